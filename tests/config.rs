//! Configurations: what is accepted in which spelling, and every mistake with its place.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

use jwt_gate::policy::Policy;
use serde_json::{Value, json};

/// The errors of a configuration, one a line.
fn errors(text: &str) -> String {
    match Policy::parse(text.as_bytes()) {
        Ok(_) => String::new(),
        Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
    }
}

#[track_caller]
fn check(config: Value, expected: &[&str]) {
    let expected: String = expected.iter().map(|line| format!("{line}\n")).collect();
    let actual = errors(&config.to_string());
    assert_eq!(actual, expected, "\n--- actual\n{actual}--- expected\n{expected}");
}

fn jwks() -> String {
    json!({"keys": [{"kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]})
        .to_string()
}

fn good() -> Value {
    json!({
        "providers": {
            "local": {"issuer": "i", "local_jwks": {"inline_string": jwks()}},
            "remote": {"remote_jwks": {"http_uri": {
                "uri": "https://issuer.example/jwks.json", "cluster": "issuer", "timeout": "5s"}}},
        },
    })
}

/// A good configuration with this put at a JSON pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut config = good();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    config.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
    config
}

#[test]
fn spellings_of_protobuf_json() {
    check(good(), &[]);
    check(
        json!({
            "providers": {"p": {
                "issuer": "i",
                "audiences": "one",
                "remoteJwks": {
                    "httpUri": {"uri": "http://h:80/x?y=z", "cluster": "c", "timeout": "0.5s"},
                    "cacheDuration": "300s",
                },
                "localJwks": null,
                "forward": "true",
                "fromHeaders": [{"name": "X-Jwt", "valuePrefix": "JWT "}],
                "fromParams": ["a"],
                "fromCookies": [],
                "forwardPayloadHeader": "",
                "claimToHeaders": {"headerName": "x-sub", "claimName": "sub"},
                "clockSkewSeconds": "5",
            }},
            "rules": [
                {"match": {"prefix": "/", "caseSensitive": false}, "requires": {
                    "requiresAny": {"requirements": [
                        {"providerAndAudiences": {"providerName": "p", "audiences": ["x"]}},
                        {"allowMissing": {}},
                    ]}}},
            ],
        }),
        &[],
    );
    check(with("/providers/local/clock_skew_seconds", json!(5.0)), &[]);
    check(with("/providers/local/clock_skew", json!("0s")), &[]);
    let paths = json!([{"header_name": "x-a", "claim_path": [{"key": "a.b"}, {"key": "c"}]},
        {"header_name": "x-b", "claim_path": ["a.b", "c"]}]);
    check(with("/providers/local/claim_to_headers", paths), &[]);
}

#[test]
fn all_mistakes_appear_at_once_each_with_its_path() {
    check(
        json!({
            "providers": {
                "a b": {"isuer": "i", "jwks": 1},
                "p": {
                    "issuer": 7,
                    "audiences": ["x", 1, ""],
                    "remote_jwks": {
                        "http_uri": {"uri": "issuer.example", "timeout": 5},
                        "cache_duration": "5m",
                    },
                    "forward": "yes",
                    "from_headers": [{"value_prefix": "x"}, {"name": "a b"}],
                    "claim_to_headers": [{"header_name": "content-length", "claim_name": ""}],
                    "clock_skew_seconds": -1,
                },
                "q": {"local_jwks": {"filename": "/jwks"}, "remote_jwks": {}},
            },
            "rules": [
                {"requires": {"provider_name": "nobody"}},
                {"match": {"tls_context": {}}, "requires": {"requires_any": {"requirements": [{}]}}},
                {"match": {"prefix": "/", "path": "/"}, "requires": {"allow_missing": {"x": 1}}},
            ],
            "default_requirement": {"requires_all": {"requirements": [
                {"provider_name": "p"}, {"provider_name": "r"}]}},
            "keys_unavailable_status": 500,
            "rule": [],
        }),
        &[
            "default_requirement.requires_all.requirements[1]: no provider is called `r`; there is: a b, p, q",
            "keys_unavailable_status: expected 401 or 503",
            "providers.p.audiences[1]: expected a string, found a number",
            "providers.p.audiences[2]: must not be empty",
            "providers.p.claim_to_headers[0].claim_name: must not be empty",
            "providers.p.claim_to_headers[0].header_name: this header frames or routes the request and cannot carry a claim",
            "providers.p.clock_skew_seconds: expected a whole number from 0 to 4294967295, found a number",
            "providers.p.forward: expected true or false",
            "providers.p.from_headers[0]: `name` is required",
            "providers.p.from_headers[1].name: expected the name of a header",
            "providers.p.issuer: expected a string, found a number",
            "providers.p.remote_jwks.cache_duration: expected a duration in seconds as a string, such as \"5s\" or \"0.5s\"",
            "providers.p.remote_jwks.http_uri: `cluster` is required",
            "providers.p.remote_jwks.http_uri.timeout: expected a duration in seconds as a string, such as \"5s\" or \"0.5s\", found a number",
            "providers.p.remote_jwks.http_uri.uri: expected an address such as https://issuer.example/jwks.json",
            "providers.q: only one of `remote_jwks`, `local_jwks` may be set, unless `local_jwks_is_fallback` is true: then the local keys serve until the first fetch",
            "providers.q.local_jwks: `inline_string` or `inline_bytes` is required",
            "providers.q.local_jwks.filename: a plugin cannot read it; put the keys into `inline_string`",
            "providers.q.remote_jwks: `http_uri` or `discovery` is required",
            "providers[\"a b\"]: `remote_jwks` or `local_jwks` is required",
            "providers[\"a b\"].isuer: unknown field; expected one of: algorithms, allow_weak_keys, audiences, authorized_parties, claim_to_headers, claim_to_query_parameters, clear_route_cache, clock_skew, clock_skew_seconds, consumer, failed_status_in_metadata, forward, forward_payload_header, forward_payload_value_header, from_cookies, from_headers, from_params, header_in_metadata, issuer, issuer_claims, issuer_pattern, issuers, jwt_cache_config, local_jwks, local_jwks_is_fallback, max_age, max_lifetime, normalize_payload_in_metadata, pad_forward_payload_header, payload_in_metadata, remote_jwks, require_expiration, required_claims, revocation, sender_constraint, set_headers, single_use, status_list, subjects, token_types",
            "providers[\"a b\"].jwks: unknown field; expected one of: algorithms, allow_weak_keys, audiences, authorized_parties, claim_to_headers, claim_to_query_parameters, clear_route_cache, clock_skew, clock_skew_seconds, consumer, failed_status_in_metadata, forward, forward_payload_header, forward_payload_value_header, from_cookies, from_headers, from_params, header_in_metadata, issuer, issuer_claims, issuer_pattern, issuers, jwt_cache_config, local_jwks, local_jwks_is_fallback, max_age, max_lifetime, normalize_payload_in_metadata, pad_forward_payload_header, payload_in_metadata, remote_jwks, require_expiration, required_claims, revocation, sender_constraint, set_headers, single_use, status_list, subjects, token_types",
            "rule: unknown field; expected one of: authorization, bypass_cors_preflight, decision_record, default_requirement, error_responses, filter_state_rules, key_sharing, key_tables, keys_unavailable_status, mode, protected_resources, providers, replay_memory, requirement_map, revocation, rules, shadow, stat_prefix, strip_failure_response",
            "rules[0]: `match` is required",
            "rules[0].requires: no provider is called `nobody`; there is: a b, p, q",
            "rules[1].match: `prefix`, `path`, `safe_regex`, `path_separated_prefix`, `path_match_policy` or `connect_matcher` is required",
            "rules[1].match.tls_context: it is not supported; use `headers` on x-forwarded-client-cert",
            "rules[1].requires.requires_any.requirements: at least two requirements are expected",
            "rules[2].match: only one of `prefix`, `path` may be set",
            "rules[2].requires.allow_missing.x: unknown field; expected none",
        ],
    );
}

#[test]
fn whole_texts() {
    for text in [
        "",
        "x",
        "[]",
        "1",
        "null",
        "{}",
        "{\"providers\":{}}",
        "{\"providers\":[]}",
        "{\"providers\":{},\"providers\":{}}",
    ] {
        assert_ne!(errors(text), "", "{text}");
    }
    // What an empty `google.protobuf.Struct` is, and no configuration at all.
    assert_eq!(errors(""), "`providers` is required\n");
    assert_eq!(
        errors("{\"a\":1,\"a\":1}"),
        "the configuration is not acceptable: \
         an object names a member twice (line 1, column 13); \
         expected a JSON text, delivered as google.protobuf.StringValue, \
         or a google.protobuf.Struct\n"
    );
}

/// What people copy from the README and from `envoy.yaml` works.
#[test]
fn published_configurations_are_accepted() {
    for text in [include_str!("../README.md"), include_str!("../envoy.yaml")] {
        let (_, rest) = text.split_once("value: |").unwrap();
        let indent = |line: &str| line.len() - line.trim_start().len();
        let mut block = rest.lines().skip(1).peekable();
        let own = indent(block.peek().unwrap());
        let json: String = block.take_while(|line| indent(line) >= own).collect();
        assert!(json.contains("\"providers\""), "{json}");
        assert_eq!(errors(&json), "");
    }
}

#[test]
fn odd_values() {
    let uri = "/providers/remote/remote_jwks/http_uri/uri";
    for bad in [
        "",
        "/x",
        "issuer",
        "ftp://issuer/",
        "https://",
        "https://u:p@issuer/",
        "https:///x",
        "https://a b/",
        "https://issuer/\n",
    ] {
        assert_ne!(errors(&with(uri, json!(bad)).to_string()), "", "{bad}");
    }
    for (pointer, bad) in [
        ("/providers/remote/remote_jwks/http_uri/timeout", json!("0s")),
        ("/providers/remote/remote_jwks/http_uri/timeout", json!("0.0005s")),
        ("/providers/remote/remote_jwks/http_uri/timeout", json!("4294967.296s")),
        ("/providers/remote/remote_jwks/cache_duration", json!("0s")),
        ("/providers/remote/remote_jwks/unknown_kid_cooldown", json!("0s")),
        ("/providers/remote/remote_jwks/unknown_kid_cooldown", json!("60s")),
        ("/providers/local/local_jwks", json!({"inline_string": "{}"})),
        ("/providers/local/local_jwks", json!({"inline_string": "{\"keys\":[]}"})),
        ("/providers/local/forward_payload_header", json!("host")),
        ("/providers/local/forward_payload_header", json!(":path")),
        ("/providers/local/forwardPayloadHeader", json!("a\r\nb")),
    ] {
        assert_ne!(errors(&with(pointer, bad.clone()).to_string()), "", "{pointer} {bad}");
    }
    let mut twice = with("/providers/local/from_params", json!(["a"]));
    twice["providers"]["local"]["fromParams"] = json!(["b"]);
    check(twice, &["providers.local: `from_params` and `fromParams` are the same field"]);
    let mut skews = with("/providers/local/clock_skew", json!("1s"));
    skews["providers"]["local"]["clock_skew_seconds"] = json!(1);
    check(skews, &["providers.local: only one of `clock_skew`, `clock_skew_seconds` may be set"]);
}

/// Found in review: each of these was accepted, and opened what it was meant to protect.
#[test]
fn mistakes_that_would_open_traffic() {
    let rule = |matches: Value, requires: Value| {
        with("/rules", json!([{"match": matches, "requires": requires}]))
    };
    let all = || json!({"prefix": "/"});
    check(
        rule(all(), json!(null)),
        &["rules[0].requires: must not be null; write {} or leave the field out"],
    );
    let within = "must not be null; write {} or leave the field out";
    check(
        rule(all(), json!({"providerName": null})),
        &[&format!("rules[0].requires.providerName: {within}")],
    );
    check(
        rule(
            all(),
            json!({"requires_any": {"requirements": [
            {"provider_name": "local"}, {"allow_missing": null}]}}),
        ),
        &[&format!("rules[0].requires.requires_any.requirements[1].allow_missing: {within}")],
    );
    check(
        with("/rules", json!([{"match": all(), "requirementName": null}])),
        &[&format!("rules[0].requirementName: {within}")],
    );
    for rules in [
        json!(null),
        json!({"name": "x"}),
        json!({"name": "x", "requires": null}),
        json!({"name": "x", "requires": {}}),
        json!({"name": "x", "requires": {"a": null}}),
    ] {
        let errors = errors(&with("/filter_state_rules", rules.clone()).to_string());
        assert!(errors.starts_with("filter_state_rules"), "{rules}: {errors}");
    }
    for header in ["host", "Content-Length", "transfer-encoding", "cookie", "Authorization", "a b"]
    {
        let requires =
            json!({"extract_only_without_validation": {"verification_status_header": header}});
        assert_ne!(errors(&rule(all(), requires).to_string()), "", "{header}");
    }
    let mut held = with("/providers/local/from_headers", json!([{"name": "x-a"}]));
    held["rules"] = json!([{"match": all(), "requires": {
        "extract_only_without_validation": {"verification_status_header": "X-A"}}}]);
    check(
        held,
        &["providers.local: takes tokens from `x-a`, a requirement's `verification_status_header`"],
    );
    let required = || json!({"provider_name": "local"});
    // Conditions that no request fulfils.
    for (matches, line) in [
        (
            json!({"safe_regex": {"regex": "admin/.*"}}),
            "safe_regex: expected an expression for whole paths, which begin with `/`",
        ),
        (
            json!({"safe_regex": {"regex": "(?x) /a # b"}}),
            "safe_regex.regex: not a regular expression that is supported: \
             the flags of RE2 are `i`, `m`, `s` and `U`",
        ),
        (
            json!({"prefix": "/", "headers": [{"name": "x y"}]}),
            "headers[0].name: expected the name of a header",
        ),
        (
            json!({"prefix": "/", "headers": [{"name": "x", "contains_match": ""}]}),
            "headers[0].contains_match: must not be empty",
        ),
        (
            json!({"prefix": "/", "headers": [{"name": "x", "range_match": {}}]}),
            "headers[0].range_match: no number is from `start` to below `end`",
        ),
    ] {
        check(rule(matches, required()), &[&format!("rules[0].match.{line}")]);
    }
    for (matches, field) in [
        (json!({"prefix": "admin"}), "prefix"),
        (json!({"path": "admin"}), "path"),
        (json!({"path": ""}), "path"),
    ] {
        let line = format!("rules[0].match.{field}: expected a path, which begins with `/`");
        check(rule(matches, required()), &[&line]);
    }
    for pattern in ["/a?b", "/a#b"] {
        check(
            rule(json!({"prefix": pattern}), required()),
            &["rules[0].match.prefix: paths are compared without their query: \
               expected no `?` and no `#`"],
        );
    }
    for pattern in ["/", "", "*"] {
        check(rule(json!({"prefix": pattern}), required()), &[]);
    }
}

#[test]
fn path_templates_and_route_metadata() {
    let rule = |matches: Value| {
        with("/rules", json!([{ "match": matches, "requires": { "provider_name": "local" } }]))
    };
    let template = |template: &str| {
        let typed = json!({
            "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.\
                      UriTemplateMatchConfig",
            "path_template": template,
        });
        rule(json!({ "path_match_policy": { "name": "t", "typed_config": typed } }))
    };
    check(template("/users/{id}/**"), &[]);
    check(
        template("/users/**/{id}"),
        &["rules[0].match.path_match_policy.typed_config.path_template: \
           no glob may come after `**`"],
    );
    check(
        rule(json!({ "path_match_policy": { "typed_config": {
                "@type": "other", "path_template": "/", "x": 1 } } })),
        &[
            "rules[0].match.path_match_policy.typed_config.x: unknown field; \
             expected one of: @type, path_template",
            "rules[0].match.path_match_policy.typed_config[\"@type\"]: expected \
             `type.googleapis.com/envoy.extensions.path.match.uri_template.v3.\
             UriTemplateMatchConfig`",
        ],
    );
    check(
        rule(json!({ "prefix": "/", "route_metadata": [
                { "filter": "f", "path": [], "value": { "double_match": {} } }] })),
        &[
            "rules[0].match.route_metadata[0].path: expected the names that lead to the value",
            "rules[0].match.route_metadata[0].value: `string_match`, `bool_match` or \
             `present_match` is required",
            "rules[0].match.route_metadata[0].value.double_match: \
             use `string_match`, `bool_match` or `present_match`",
        ],
    );
}

/// Ours, beside the fields of the native message.
#[test]
fn how_keys_are_fetched() {
    let remote = |changes: Value| {
        let mut config = good();
        let remote = config["providers"]["remote"]["remote_jwks"].as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            remote.insert(name.clone(), value.clone());
        }
        config
    };
    check(
        remote(json!({
            "min_cache_duration": "5s",
            "cacheDuration": "60s",
            "request_headers": [{"key": "x-api-key", "value": "k"}],
            "async_fetch": {"failed_refetch_duration": "10s", "fast_listener": true},
            "retry_policy": {"num_retries": 3, "retry_back_off": {"base_interval": "0.2s"}},
        })),
        &[],
    );
    let at = "providers.remote.remote_jwks";
    for (changes, message) in [
        (
            json!({"min_cache_duration": "60s", "cache_duration": "5s"}),
            ": `min_cache_duration` must not be longer than `cache_duration`",
        ),
        (json!({"min_cache_duration": "0s"}), ".min_cache_duration: must be longer than 0s"),
        (
            json!({"request_headers": [{"key": "Host", "value": "k"}]}),
            ".request_headers[0].key: this header is the gate's own",
        ),
        (
            json!({"request_headers": [{"key": "a b", "value": "k"}]}),
            ".request_headers[0].key: expected the name of a header",
        ),
        (
            json!({"request_headers": [{"key": "a", "value": "secret\r\nb: c"}]}),
            ".request_headers[0].value: must not hold control characters",
        ),
        (
            json!({"retry_policy": {"retry_back_off": {
                "base_interval": "2s", "max_interval": "1s"}}}),
            ".retry_policy.retry_back_off: `max_interval` must not be shorter than `base_interval`",
        ),
        (
            json!({"async_fetch": {"failed_refetch_duration": "2h"}}),
            ".async_fetch.failed_refetch_duration: expected a duration in seconds as a string, \
             such as \"5s\" or \"0.5s\"",
        ),
        (
            json!({"async_fetch": {"failed_refetch_duration": "7200s"}}),
            ".async_fetch.failed_refetch_duration: must be at most 3600s",
        ),
        (
            json!({"discovery": {"cluster": "c", "timeout": "5s"}}),
            ": only one of `http_uri`, `discovery` may be set",
        ),
    ] {
        check(remote(changes), &[&format!("{at}{message}")]);
    }
    let discovered = |issuer: &str, discovery: Value| {
        let mut config = good();
        config["providers"]["remote"]["issuer"] = json!(issuer);
        config["providers"]["remote"]["remote_jwks"] = json!({ "discovery": discovery });
        config
    };
    check(
        discovered(
            "https://i.test/a",
            json!({"cluster": "c", "timeout": "5s", "document": "openid-configuration",
                "clusters": {"keys.test": "k", "[::1]:8443": "l"}}),
        ),
        &[],
    );
    check(
        discovered("accounts.test", json!({"cluster": "c", "timeout": "5s"})),
        &[&format!(
            "{at}.discovery: the provider's `issuer` must be an address such as \
             https://issuer.example"
        )],
    );
    check(
        discovered(
            "https://i.test",
            json!({"document": "x", "clusters": {"https://k/": "k"}, "timeout": "0s"}),
        ),
        &[
            &format!("{at}.discovery: `cluster` is required"),
            &format!(
                "{at}.discovery.clusters: expected hosts, with a port where the address has one"
            ),
            &format!(
                "{at}.discovery.document: expected `openid-configuration` or \
                 `oauth-authorization-server`"
            ),
            &format!("{at}.discovery.timeout: must be from 0.001s to 60s"),
        ],
    );
    check(
        discovered(
            "https://i.test",
            json!({"cluster": "c", "timeout": "5s", "clusters": {"K.test": "k", "k.test:443": "l"}}),
        ),
        &[&format!(
            "{at}.discovery.clusters: names a host twice: capital letters and `:443` make no difference"
        )],
    );
    let mut pinned = good();
    pinned["providers"]["remote"]["local_jwks"] = json!({"inline_string": jwks()});
    pinned["providers"]["remote"]["local_jwks_is_fallback"] = json!(true);
    check(pinned.clone(), &[]);
    pinned["providers"]["remote"]["local_jwks"] = json!({"inline_string": "{}"});
    check(pinned, &["providers.remote.local_jwks: the key set has no list `keys`"]);
    check(
        with("/providers/local/local_jwks_is_fallback", json!(true)),
        &["providers.local: `local_jwks_is_fallback` needs both `remote_jwks` and `local_jwks`"],
    );
    check(with("/key_sharing", json!({"disabled": true, "secret": "s"})), &[]);
    check(with("/key_tables", json!({"max_octets": 0})), &[]);
    check(with("/key_tables", json!({"maxOctets": "268435456"})), &[]);
    check(
        with("/key_tables", json!({"max_octets": 268_435_457})),
        &["key_tables.max_octets: must be at most 268435456"],
    );
    check(
        with("/key_tables", json!({"octets": 1})),
        &["key_tables.octets: unknown field; expected one of: max_octets"],
    );
}

/// Every field of the native message is known: read, or refused with a sentence; none is ignored.
#[test]
fn every_field_of_the_native_message_is_known() {
    // Where an object of each message stands.
    let places = [
        ("JwtAuthentication", ""),
        ("JwtProvider", "/providers/remote"),
        ("JwtProvider.NormalizePayload", "/providers/remote/normalize_payload_in_metadata"),
        ("RemoteJwks", "/providers/remote/remote_jwks"),
        ("HttpUri", "/providers/remote/remote_jwks/http_uri"),
        ("JwksAsyncFetch", "/providers/remote/remote_jwks/async_fetch"),
        ("RetryPolicy", "/providers/remote/remote_jwks/retry_policy"),
        ("DataSource", "/providers/local/local_jwks"),
        ("JwtHeader", "/providers/local/from_headers/0"),
        ("JwtClaimToHeader", "/providers/local/claim_to_headers/0"),
        ("JwtClaimToHeader.PathSegment", "/providers/local/claim_to_headers/0/claim_path/0"),
        ("JwtCacheConfig", "/providers/local/jwt_cache_config"),
        ("StringMatcher", "/providers/local/subjects"),
        ("RegexMatcher", "/providers/local/subjects/safe_regex"),
        ("RegexMatcher.GoogleRE2", "/providers/local/subjects/safe_regex/google_re2"),
        ("RequirementRule", "/rules/0"),
        ("FilterStateRule", "/filter_state_rules"),
        ("RouteMatch", "/rules/0/match"),
        ("HeaderMatcher", "/rules/0/match/headers/0"),
        ("QueryParameterMatcher", "/rules/0/match/query_parameters/0"),
        ("CookieMatcher", "/rules/0/match/cookies/0"),
        ("JwtRequirement", "/rules/0/requires"),
        ("JwtRequirementOrList", "/rules/1/requires/requires_any"),
        ("JwtRequirementAndList", "/rules/2/requires/requires_all"),
        ("ProviderWithAudiences", "/rules/3/requires/provider_and_audiences"),
        ("ExtractOnlyWithoutValidation", "/rules/4/requires/extract_only_without_validation"),
    ];
    let fields: Value = serde_json::from_str(include_str!("data/fields.json")).unwrap();
    assert_eq!(fields.as_object().unwrap().len(), places.len() + 1, "a message has no place");
    let mut known = 0;
    for (message, place) in places {
        for field in fields[message].as_array().unwrap() {
            let mut config = config_with_places(place);
            let object = config.pointer_mut(place).unwrap().as_object_mut().unwrap();
            object.entry(field.as_str().unwrap()).or_insert(Value::Null);
            let errors = errors(&config.to_string());
            assert!(!errors.contains("unknown field"), "{message}.{field}: {errors}");
            known += 1;
        }
    }
    assert_eq!(known, 116);
}

/// A configuration in which an object stands at `place`.
fn config_with_places(place: &str) -> Value {
    let mut config = good();
    let rules = json!([{}, {}, {}, {}, {}]);
    config.as_object_mut().unwrap().insert("rules".to_owned(), rules);
    let mut at = &mut config;
    for name in place.split('/').skip(1) {
        at = match name.parse::<usize>() {
            Ok(index) => {
                if !at.is_array() {
                    *at = json!([{}]);
                }
                at.get_mut(index).unwrap()
            }
            Err(_) => at.as_object_mut().unwrap().entry(name).or_insert(json!({})),
        };
    }
    config
}

/// Found in review: striking a header made Envoy choose another route than the one decided on.
#[test]
fn rules_on_routes_need_requests_that_stay_as_they_are() {
    let forward = |changes: Value| {
        let mut provider = json!({"forward": true, "local_jwks": {"inline_string": jwks()}});
        for (name, value) in changes.as_object().unwrap() {
            provider.as_object_mut().unwrap().insert(name.clone(), value.clone());
        }
        json!({
            "providers": {"p": provider},
            "rules": [{"match": {"prefix": "/", "route_name": "a"}}],
        })
    };
    check(forward(json!({"payload_in_metadata": "p"})), &[]);
    for changes in [
        json!({"forward": false}),
        json!({"clear_route_cache": true}),
        json!({"forward_payload_header": "x-p"}),
        json!({"claim_to_headers": [{"header_name": "x-s", "claim_name": "sub"}]}),
    ] {
        let errors = errors(&forward(changes).to_string());
        assert!(errors.starts_with("rules[0].match: with a condition on the route"), "{errors}");
    }
}

/// What is wrong with a secret is said without the secret.
#[test]
fn secrets_are_not_quoted() {
    let jwks = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0LXNlY3JldA"}]}).to_string();
    let config = with("/providers/local/local_jwks", json!({ "inline_string": jwks }));
    check(
        config,
        &["providers.local.local_jwks: the key set holds no usable key: \
           the key is too short (`allow_weak_keys` would take it)"],
    );
    let misplaced = errors(&with("/providers/local/local_jwks", json!("c2VjcmV0")).to_string());
    assert!(!misplaced.contains("c2VjcmV0"), "{misplaced}");
}

#[test]
fn deep_requirements_are_refused() {
    let mut requirement = json!({"provider_name": "local"});
    for _ in 0..20 {
        requirement =
            json!({"requires_any": {"requirements": [requirement, {"allow_missing": {}}]}});
    }
    let config = with("/rules", json!([{"match": {"prefix": "/"}, "requires": requirement}]));
    assert!(errors(&config.to_string()).contains("nested too deeply"));
}

/// Ours: conditions on claims and ordered policies, each mistake at its place.
#[test]
fn authorization_and_its_mistakes() {
    let template = json!({ "path_match_policy": { "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.\
                  UriTemplateMatchConfig",
        "path_template": "/{id}/{v=a/*}/{rest=**}" } } });
    let condition = |condition: Value| {
        with(
            "/rules",
            json!([{ "match": template, "requires": { "provider_name": "local" },
                "authorization": condition }]),
        )
    };
    let at = "rules[0].authorization";
    for good in [
        json!({ "scopes": { "any": "a", "all": ["b", "c:d/e?x=[1]"] } }),
        json!({ "scopes": { "claim": ["x.y", "z"], "any": ["a"] } }),
        json!({ "claim": "sub", "stringMatch": ["a", { "safeRegex": { "regex": "a+" } }] }),
        json!({ "claim": ["https://a.b/c"], "number_match": ["9007199254740993", { "atLeast": -1 }] }),
        json!({ "claim": "x", "bool_match": "true" }),
        json!({ "claim": "x", "list_match": { "none": { "number_match": 1 }, "text_as": "words" } }),
        json!({ "claim": "x", "request_match": { "path_variable": "id" } }),
        json!({ "claim": "x", "request_match": { "path_variable": "y", "path_template": "/x/{y}" } }),
        json!({ "claim": "x", "request_match": { "host": {} } }),
        json!({ "all": { "not": { "any": [{ "authenticated": true }] } } }),
    ] {
        check(condition(good), &[]);
    }
    for (bad, lines) in [
        (json!(null), vec![": must not be null; write {} or leave the field out"]),
        (
            json!({}),
            vec![": `all`, `any`, `not`, `scopes`, `claim` or `authenticated` is required"],
        ),
        (json!({ "all": [] }), vec![".all: expected at least one condition"]),
        (
            json!({ "any": [{ "all": [] }, { "x": 1 }] }),
            vec![
                ".any[0].all: expected at least one condition",
                ".any[1]: `all`, `any`, `not`, `scopes`, `claim` or `authenticated` is required",
                ".any[1].x: unknown field; expected one of: all, any, authenticated, claim, not, scopes",
            ],
        ),
        (json!({ "scopes": {} }), vec![".scopes: `all` or `any` must name a scope"]),
        (
            json!({ "scopes": { "any": ["a b", "", "\"", "\u{e9}"] } }),
            vec![
                ".scopes.any[0]: expected one word, without spaces, quotes and backslashes",
                ".scopes.any[1]: must not be empty",
                ".scopes.any[2]: expected one word, without spaces, quotes and backslashes",
                ".scopes.any[3]: expected one word, without spaces, quotes and backslashes",
            ],
        ),
        (
            json!({ "claim": "a.b", "present_match": true }),
            vec![
                ".claim: expected a list: [\"a\", \"b\"] for the member b of the claim a, [\"a.b\"] for \
             the claim whose name is a.b",
            ],
        ),
        (
            json!({ "claim": [], "present_match": true }),
            vec![".claim: expected the names that lead to the claim"],
        ),
        (
            json!({ "claim": "a" }),
            vec![
                ": `string_match`, `number_match`, `bool_match`, `list_match`, `request_match` or \
             `present_match` is required",
            ],
        ),
        (
            json!({ "claim": "a", "string_match": "x", "bool_match": true }),
            vec![": only one of `string_match`, `bool_match` may be set"],
        ),
        (json!({ "claim": "a", "string_match": [] }), vec![".string_match: must not be empty"]),
        (
            json!({ "claim": "a", "string_match": [1, { "prefix": "" }] }),
            vec![
                ".string_match[0]: expected an object, found a number",
                ".string_match[1].prefix: must not be empty",
            ],
        ),
        (
            json!({ "claim": "a", "number_match": [1.5, "x", {}, { "at_least": 2, "at_most": 1 }] }),
            vec![
                ".number_match[0]: expected a whole number of 64 bits, found a number",
                ".number_match[1]: expected a whole number of 64 bits",
                ".number_match[2]: `at_least` or `at_most` is required",
                ".number_match[3]: no number is from `at_least` to `at_most`",
            ],
        ),
        (
            json!({ "claim": "a", "list_match": { "text_as": "list" } }),
            vec![
                ".list_match: `any`, `all` or `none` is required",
                ".list_match.text_as: expected `item` or `words`",
            ],
        ),
        (
            json!({ "claim": "a", "list_match": { "any": { "present_match": true } } }),
            vec![
                ".list_match.any: `string_match`, `number_match`, `bool_match` or `request_match` is \
             required",
                ".list_match.any.present_match: unknown field; expected one of: bool_match, \
             number_match, request_match, string_match",
            ],
        ),
        (
            json!({ "claim": "a", "request_match": { "path_variable": "nobody" } }),
            vec![": the path template has no such variable that stands for one segment"],
        ),
        (
            json!({ "claim": "a", "request_match": { "path_variable": "v" } }),
            vec![": the path template has no such variable that stands for one segment"],
        ),
        (
            json!({ "claim": "a", "request_match": { "path_variable": "rest" } }),
            vec![": the path template has no such variable that stands for one segment"],
        ),
        (
            json!({ "claim": "a", "request_match": { "path_variable": "x", "path_template": "x" } }),
            vec![
                ": the path template has no such variable that stands for one segment",
                ".request_match.path_template: expected a path template, which begins with `/`",
            ],
        ),
        (
            json!({ "claim": "a", "request_match": { "header": "Host", "path_template": "/x" } }),
            vec![
                ".request_match: `path_template` goes with `path_variable`",
                ".request_match.header: use `host`",
            ],
        ),
        (
            json!({ "claim": "a", "request_match": { "method": 1 } }),
            vec![".request_match.method: expected an object, found a number"],
        ),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| format!("{at}{line}")).collect();
        check(condition(bad), &lines.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let deep = (0..20).fold(json!({ "authenticated": true }), |inner, _| json!({ "not": inner }));
    assert!(errors(&condition(deep).to_string()).contains("conditions are nested too deeply"));

    // A rule that looks at no token, and requirements that several rules share.
    let id = json!({ "claim": "a", "request_match": { "path_variable": "id" } });
    let mut config = with("/rules", json!([{ "match": template, "authorization": id }]));
    config["requirement_map"] = json!({ "r": { "provider_name": "local", "authorization": id },
        "s": { "allow_missing": {}, "authorization": { "authenticated": true } } });
    check(
        config,
        &[
            "requirement_map.r.authorization: `path_variable` needs a `path_template` beside it, or in \
         the `match` of the rule or policy",
            "requirement_map.s: `authorization` goes with `provider_name` and \
         `provider_and_audiences`, or stands in the rule",
            "rules[0].authorization: without `requires`, no token is looked at, and there are no claims",
        ],
    );

    let policies = json!({ "policies": [
        { "action": "allow", "match": template, "methods": ["GET", "M-SEARCH"],
          "provider_name": "local", "when": id },
        { "action": "audit", "methods": ["get", ""], "provider_name": "nobody" },
        { "action": "deny", "match": { "prefix": "/", "route_name": "r" }, "when": {} },
        { "match": null, "provider_name": "nobody", "when": null },
    ], "default": "maybe" });
    check(
        with("/authorization", policies),
        &[
            "authorization.default: expected `allow` or `deny`",
            "authorization.policies[1].action: expected `allow` or `deny`",
            "authorization.policies[1].methods[0]: expected a method in capital letters",
            "authorization.policies[1].methods[1]: must not be empty",
            "authorization.policies[2].when: `all`, `any`, `not`, `scopes`, `claim` or `authenticated` \
         is required",
            "authorization.policies[3]: `action` is required",
            "authorization.policies[3].match: must not be null; write {} or leave the field out",
            "authorization.policies[3].when: must not be null; write {} or leave the field out",
        ],
    );
    let policies = json!({ "policies": [
        { "action": "deny", "match": { "prefix": "/", "route_name": "r" } },
        { "action": "deny", "provider_name": "nobody" },
    ], "default": "allow" });
    check(
        with("/authorization", policies),
        &[
            "authorization.policies[0].match: with a condition on the route, every provider must have \
         `forward: true`, and nothing may be written into requests: any change makes Envoy choose the \
         route again, after the decision",
            "authorization.policies[1].provider_name: no provider is called `nobody`; there is: local, \
         remote",
        ],
    );
    check(with("/authorization", json!({})), &["authorization: `default` is required"]);
    check(
        with("/authorization", json!(null)),
        &["authorization: must not be null; write {} or leave the field out"],
    );
}

/// Ours: what tokens of a provider must be.
#[test]
fn token_checks_and_their_mistakes() {
    let local = |field: &str, value: Value| with(&format!("/providers/local/{field}"), value);
    check(local("algorithms", json!(["HS256"])), &[]);
    check(
        local("algorithms", json!(["none", "hs256"])),
        &[
            "providers.local.algorithms: expected some of: HS256, HS384, HS512, RS256, RS384, RS512, \
           ES256, ES384, ES512, PS256, PS384, PS512, EdDSA",
        ],
    );
    check(local("max_age", json!("0s")), &["providers.local.max_age: must be longer than 0s"]);
    check(
        local("issuers", json!(["a", "b"])),
        &["providers.local: only one of `issuer`, `issuers`, `issuer_pattern` may be set"],
    );
    for field in ["token_types", "required_claims", "authorized_parties", "issuers"] {
        let line = format!("providers.local.{field}[0]: must not be empty");
        let mut config = local(field, json!([""]));
        config["providers"]["local"]["issuer"] = json!("");
        check(config, &[&line]);
    }
}

/// Ours: issuers that each have their own keys, and issuers by a pattern.
#[test]
fn several_issuers_and_their_mistakes() {
    let several = |issuers: Value, changes: Value| {
        let mut discovery = json!({ "timeout": "5s", "clusters": { "a.example": "a" } });
        for (name, value) in changes.as_object().unwrap() {
            discovery[name] = value.clone();
        }
        let mut config = with("/providers/remote/remote_jwks", json!({ "discovery": discovery }));
        config["providers"]["remote"]["issuers"] = issuers;
        config
    };
    let both = || json!(["https://a.example/x", "https://b.example:8443"]);
    check(several(both(), json!({ "cluster": "all" })), &[]);
    let clusters = json!({ "clusters": { "A.example": "a", "b.example:8443": "b" } });
    check(several(both(), clusters), &[]);
    // As addresses spell it: without the port that goes without saying.
    let clusters = json!({ "clusters": { "a.example:443": "a", "b.example:8443": "b" } });
    check(several(both(), clusters), &[]);
    check(several(json!("https://a.example"), json!({})), &[]);
    let list = "providers.remote.issuers";
    check(
        several(both(), json!({})),
        &[&format!(
            "{list}[1]: no cluster leads to `b.example:8443`: name one in `discovery.clusters`, or one \
             for all issuers in `discovery.cluster`"
        )],
    );
    let address = "with `discovery`, must be an address such as https://issuer.example";
    check(
        several(
            json!(["https://a.example", "accounts.test", "https://a.example?x", "urn:a"]),
            json!({}),
        ),
        &[
            &format!("{list}[1]: {address}"),
            &format!("{list}[2]: {address}"),
            &format!("{list}[3]: {address}"),
        ],
    );
    check(
        several(json!(["https://a.example", "https://a.example/", "https://a.example"]), json!({})),
        &[
            &format!("{list}: two providers would be called `remote_a_example` in metrics"),
            &format!("{list}[2]: is in the list twice"),
        ],
    );
    check(
        several(json!(["https://a.example/b", "http://a.example/b"]), json!({})),
        &[&format!("{list}: two providers would be called `remote_a_example_b` in metrics")],
    );
    let mut namesake = several(both(), json!({ "cluster": "all" }));
    namesake["providers"]["remote_a_example_x"] = namesake["providers"]["local"].clone();
    check(
        namesake,
        &[&format!("{list}: two providers would be called `remote_a_example_x` in metrics")],
    );
    let many = |count: usize| {
        let issuers: Vec<_> =
            (0..count).map(|index| format!("https://a.example/{index}")).collect();
        several(json!(issuers), json!({}))
    };
    check(many(16), &[]);
    check(
        many(17),
        &[&format!("{list}: with `discovery`, at most 16: each is asked for its own keys")],
    );
    let mut pinned = many(2);
    pinned["providers"]["remote"]["local_jwks"] = json!({ "inline_string": jwks() });
    pinned["providers"]["remote"]["local_jwks_is_fallback"] = json!(true);
    check(
        pinned,
        &[
            "providers.remote: `local_jwks_is_fallback` does not go with `issuers` and `discovery`: the \
           local keys would be those of every issuer",
        ],
    );
    let mut two = many(2);
    two["providers"]["remote"]["issuer"] = json!("https://a.example");
    check(two, &["providers.remote: only one of `issuer`, `issuers`, `issuer_pattern` may be set"]);
    // Names that stand for several providers are names as any other.
    let mut named = many(3);
    named["rules"] =
        json!([{ "match": { "prefix": "/" }, "requires": { "provider_name": "remote/0" } }]);
    check(named, &["rules[0].requires: no provider is called `remote/0`; there is: local, remote"]);
}

#[test]
fn issuer_patterns_and_their_mistakes() {
    let at = "providers.local";
    let pattern = |pattern: Value, changes: Value| {
        let mut config = with("/providers/local/issuer_pattern", pattern);
        config["providers"]["local"]["issuer"] = json!("");
        for (name, value) in changes.as_object().unwrap() {
            config["providers"]["local"][name] = value.clone();
        }
        config
    };
    let good = "https://login.example/{tenantid}/v2.0";
    check(pattern(json!(good), json!({})), &[]);
    check(pattern(json!(good), json!({ "issuerClaims": { "tid": "tenantid" } })), &[]);
    let one = "only one of `issuer`, `issuers`, `issuer_pattern` may be set";
    for other in [json!({ "issuer": "a" }), json!({ "issuers": ["a"] })] {
        check(pattern(json!(good), other), &[&format!("{at}: {one}")]);
    }
    check(
        pattern(json!(good), json!({ "issuer_claims": { "tid": "tenant", "x": 1, "y": "" } })),
        &[
            &format!(
                "{at}.issuer_claims.tid: `issuer_pattern` has no such variable; it has: tenantid"
            ),
            &format!("{at}.issuer_claims.x: expected a string, found a number"),
            &format!(
                "{at}.issuer_claims.y: `issuer_pattern` has no such variable; it has: tenantid"
            ),
        ],
    );
    check(
        with("/providers/local/issuer_claims", json!({ "tid": "tenantid" })),
        &[&format!("{at}.issuer_claims: goes with `issuer_pattern`, whose variables it names")],
    );
    // Nothing that is written leaves the provider without an issuer.
    for (written, why) in [
        (
            json!(""),
            "expected an address such as https://issuer.example/{tenant}, with variables in its path \
             only: were the host variable, anybody could be an issuer",
        ),
        (
            json!("https://{tenant}.example/"),
            "expected an address such as https://issuer.example/{tenant}, with variables in its path \
             only: were the host variable, anybody could be an issuer",
        ),
        (
            json!("https://a.example/"),
            "has no variable such as {tenant}: without one it is an `issuer`",
        ),
        (json!("https://a.example/{x}{y}"), "between two variables there must be text"),
        (json!(7), "expected a string, found a number"),
    ] {
        check(pattern(written, json!({})), &[&format!("{at}.issuer_pattern: {why}")]);
    }
    let mut discovered = pattern(json!(good), json!({}));
    discovered["providers"]["remote"] = json!({
        "issuer_pattern": good,
        "remote_jwks": { "discovery": { "cluster": "c", "timeout": "5s" } },
    });
    let told = errors(&discovered.to_string());
    let expected = "providers.remote.remote_jwks.discovery: does not go with `issuer_pattern`: there is \
                    no one issuer to ask";
    assert!(told.starts_with(expected), "{told}");
    // A bad member of a key is bad where it has a meaning only.
    let keys = |issuer: Value| {
        let key = json!({ "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY",
            "issuer": issuer });
        json!({ "local_jwks": { "inline_string": json!({ "keys": [key] }).to_string() } })
    };
    for issuer in [json!(good), json!("https://login.example/common/v2.0"), json!("{x}")] {
        check(pattern(json!(good), keys(issuer)), &[]);
    }
    for issuer in
        [json!(7), json!(null), json!([good]), json!(""), json!("https://h/{"), json!("\u{e9}")]
    {
        check(
            pattern(json!(good), keys(issuer.clone())),
            &[&format!(
                "{at}.local_jwks: the key set holds no usable key: `issuer` is neither an issuer nor a \
                 pattern of some"
            )],
        );
        check(with("/providers/local/local_jwks", keys(issuer)["local_jwks"].clone()), &[]);
    }
}

#[test]
fn answers_and_modes_and_their_mistakes() {
    let over = |value: Value| json!({ "overrides": [value] });
    for (field, value, lines) in [
        ("mode", json!("REPORT"), vec!["mode: expected `enforce` or `report_only`"]),
        (
            "decision_record",
            json!({ "fields": ["outcome", "sub"], "claims": [] }),
            vec![
                "decision_record.claims: unknown field; expected one of: fields",
                "+decision_record.fields[1]: expected one of `issuer`, `kid`, `outcome`, ",
            ],
        ),
        (
            "decision_record",
            json!("all"),
            vec!["decision_record: expected an object, found a string"],
        ),
        (
            "error_responses",
            json!({ "formats": ["html"], "hide_detail": 1, "headers": [
                { "key": "content-type", "value": "x" }, { "key": "www-authenticate", "value": "x" },
                { "key": "x", "value": "a\r\nb" }, { "key": "connection", "value": "x" }] }),
            vec![
                "error_responses.formats[0]: expected `text`, `json` or `problem_json`",
                "error_responses.headers[0].key: `content_type` beside `body` says it",
                "error_responses.headers[1].key: this header is the gate's own",
                "error_responses.headers[2].value: must not hold control characters",
                "error_responses.headers[3].key: this header is the gate's own",
                "error_responses.hide_detail: expected true or false, found a number",
            ],
        ),
        (
            "error_responses",
            over(json!({ "reasons": ["expird"], "status": 200, "statuses": [700, "401"],
                "body": "100%", "content_type": "text/html" })),
            vec![
                "error_responses.overrides[0].body: a `%` without a second one; `%%` stands for `%`",
                "error_responses.overrides[0].content_type: goes with `body`",
                "error_responses.overrides[0].status: expected a status from 400 to 599",
                "error_responses.overrides[0].statuses[0]: expected a status from 400 to 599",
                "error_responses.overrides[0]: changes nothing: expected `status`, `body` or `headers`",
                "+error_responses.overrides[0].reasons[0]: expected one of: token_missing, ",
            ],
        ),
        (
            "error_responses",
            over(json!({ "reasons": ["host_failed"], "status": 500 })),
            vec![
                "error_responses.overrides[0].reasons[0]: has an answer of its own: there may be no \
                 configuration then",
            ],
        ),
        (
            "error_responses",
            over(json!({ "body": "%reason%" })),
            vec![
                "error_responses.overrides[0].body: expected `%MESSAGE%`, `%REASON%`, `%STATUS%`, \
                 `%TITLE%`, or `%%` for `%`",
                "error_responses.overrides[0]: changes nothing: expected `status`, `body` or `headers`",
            ],
        ),
        (
            "protected_resources",
            json!([{}, { "resource": "http://api.example" }, { "resource": "https://a/?b" },
                { "resource": "https://a/\"" }, { "resource": "api", "metadata": [] },
                { "resource": "https://a", "metadata": { "resource": 1, "signed_metadata": 2 } },
                { "resource": "https://A.example:443/" }, { "resource": "http://[::2]/" },
                { "resource": "https://a", "hosts": ["*.a", "https://a", "a/", "a:80"] }]),
            vec![
                "+protected_resources[0]: `resource` is required",
                "+protected_resources[1].resource: expected an https address",
                "+protected_resources[2].resource: expected an https address",
                "+protected_resources[3].resource: expected an https address",
                "+protected_resources[4].metadata: expected an object, found a list",
                "+protected_resources[4].resource: expected an https address",
                "+protected_resources[5].metadata: `resource` is a field of its own, beside `metadata`",
                "+protected_resources[5].metadata: `signed_metadata` cannot be made here",
                "+protected_resources[6].resource: expected an https address",
                "+protected_resources[7].resource: expected an https address",
                "+protected_resources[8].hosts[0]: expected a host such as",
                "+protected_resources[8].hosts[1]: expected a host such as",
                "+protected_resources[8].hosts[2]: expected a host such as",
                "+protected_resources[8].resource: is in the list twice",
            ],
        ),
        (
            "rules",
            json!([
                { "match": { "prefix": "/" }, "step_up": { "max_age": "5s" } },
                { "match": { "prefix": "/" }, "requires": { "provider_name": "local" }, "step_up": null },
                { "match": { "prefix": "/" }, "requires": { "provider_name": "local" }, "step_up": {} },
                { "match": { "prefix": "/" }, "requires": { "provider_name": "local" }, "mode": 1,
                  "step_up": { "acr_values": ["a b"], "max_age": "0.5s" } },
            ]),
            vec![
                "rules[0].step_up: without `requires`, no token is looked at, and there are no claims",
                "rules[1].step_up: must not be null; write {} or leave the field out",
                "rules[2].step_up: `acr_values` or `max_age` is required",
                "rules[3].mode: expected a string, found a number",
                "rules[3].step_up.acr_values[0]: expected one word, without spaces, quotes and backslashes",
                "rules[3].step_up.max_age: expected whole seconds",
            ],
        ),
        ("shadow", json!({}), vec!["shadow: expected the fields that are to be different"]),
        ("shadow", json!(null), vec!["shadow: must not be null; write {} or leave the field out"]),
        (
            "shadow",
            json!({ "statPrefix": "x", "shadow": {}, "ruls": 1,
                "requirementMap": { "a": { "provider_name": "nobody" } },
                "rules": [{ "requires": { "provider_name": "nobody" } }] }),
            vec![
                "shadow.requirementMap.a: no provider is called `nobody`; there is: local, remote",
                "shadow.rules[0].requires: no provider is called `nobody`; there is: local, remote",
                "shadow.rules[0]: `match` is required",
                "+shadow.ruls: unknown field; expected one of: ",
                "shadow: `shadow` holds for both, and cannot be different",
                "shadow: `stat_prefix` holds for both, and cannot be different",
            ],
        ),
        (
            "shadow",
            json!({ "providers": null, "rules": [], "requirement_map": {}, "requirementMap": {} }),
            vec![
                "shadow: `providers` is required",
                "shadow: `requirement_map` and `requirementMap` are the same field",
            ],
        ),
    ] {
        check_lines(with(&format!("/{field}"), value), &lines);
    }
    // What is wrong without the candidate is said once.
    let mut twice = with(
        "/rules",
        json!([{ "match": { "prefix": "/" }, "requires": { "provider_name": "x" } }]),
    );
    twice["shadow"] = json!({ "mode": "report_only" });
    check(twice, &["rules[0].requires: no provider is called `x`; there is: local, remote"]);
    let both = json!({ "formats": ["json"] });
    let mut stripped = with("/error_responses", both);
    stripped["strip_failure_response"] = json!(true);
    check(stripped, &["error_responses: `strip_failure_response` leaves nothing of them"]);
    check(with("/shadow", json!({ "rules": [] })), &[]);
}

/// Like `check`; a line with a `+` says how the line begins.
#[track_caller]
fn check_lines(config: Value, expected: &[&str]) {
    let errors = errors(&config.to_string());
    let mut lines: Vec<&str> = errors.lines().collect();
    for expected in expected {
        let is_it = |line: &&str| match expected.strip_prefix('+') {
            Some(start) => line.starts_with(start),
            None => line == expected,
        };
        let place = lines.iter().position(is_it);
        lines.remove(place.unwrap_or_else(|| panic!("no {expected:?} in\n{errors}")));
    }
    assert!(lines.is_empty(), "{lines:#?}");
}

#[test]
fn what_tokens_become() {
    let claim =
        |name: &str| json!({ "header_name": "x-a", "claim_name": "a", "value_format": name });
    for format in ["base64_json", "json", "csv", "repeated", "protobuf_value"] {
        check(with("/providers/local/claim_to_headers", claim(format)), &[]);
    }
    check(
        with("/providers/local/claim_to_headers", json!([claim("CSV"), claim("")])),
        &[
            "providers.local.claim_to_headers[0].value_format: expected one of: base64_json, json, csv, \
         repeated, protobuf_value",
            "providers.local.claim_to_headers[1].value_format: expected one of: base64_json, json, csv, \
         repeated, protobuf_value",
        ],
    );
    check(
        with("/providers/local/forward_payload_value_header", json!("host")),
        &[
            "providers.local.forward_payload_value_header: this header frames or routes the request and \
         cannot carry a claim",
        ],
    );
    check(
        with(
            "/providers/local/claim_to_query_parameters",
            json!([
                { "parameter_name": "user.id", "claim_path": ["a.b"] },
                { "parameter_name": "a[b]", "claim_name": "a" },
                { "parameter_name": "a b", "claim_name": "a" },
                { "parameter_name": "", "claim_name": "a" },
                { "claim_name": "a" },
                { "parameter_name": "a" },
            ]),
        ),
        &[
            "providers.local.claim_to_query_parameters[1].parameter_name: expected a name without spaces, \
         control characters and any of `&;=[]+`",
            "providers.local.claim_to_query_parameters[2].parameter_name: expected a name without spaces, \
         control characters and any of `&;=[]+`",
            "providers.local.claim_to_query_parameters[3].parameter_name: must not be empty",
            "providers.local.claim_to_query_parameters[4]: `parameter_name` is required",
            "providers.local.claim_to_query_parameters[5]: `claim_name` or `claim_path` is required",
        ],
    );
    let bad = "expected printable ASCII characters, without spaces around them";
    check(
        with(
            "/providers/local/set_headers",
            json!([{ "key": "x-a", "value": "a\nb" }, { "key": "x-a", "value": " a" },
                { "key": "te", "value": "a" }, { "key": "x-a" }, { "key": "Cookie", "value": "a" }]),
        ),
        &[
            &format!("providers.local.set_headers[0].value: {bad}"),
            &format!("providers.local.set_headers[1].value: {bad}"),
            "providers.local.set_headers[2].key: this header frames or routes the request and cannot \
         carry a claim",
            "providers.local.set_headers[3]: `value` is required",
            "providers.local.set_headers[4].key: this header holds the client's cookies and cannot carry \
         a claim",
        ],
    );
    check(
        with("/providers/local/consumer", json!({ "header_name": "x-a", "names": {} })),
        &[
            "providers.local.consumer: `claim_name` or `claim_path` is required",
            "providers.local.consumer.names: at least one name is required",
        ],
    );
    check(
        with(
            "/providers/local/consumer",
            json!({ "header_name": "x-a", "claim_name": "a", "names": { "a b": "\u{e4}", "c": "d" } }),
        ),
        &[&format!("providers.local.consumer.names[\"a b\"]: {bad}")],
    );
}

#[test]
fn claims_in_paths_need_a_template_and_tokens() {
    let template = json!({ "path_match_policy": { "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
        "path_template": "/{a}/{rest=**}" } } });
    let claim = |variable: &str| json!({ "path_variable": variable, "claim_name": "a" });
    let requires = json!({ "provider_name": "local" });
    check(
        with(
            "/rules",
            json!([
                { "match": template, "requires": requires, "claim_to_path": claim("a") },
                { "match": template, "claim_to_path": claim("a") },
                { "match": template, "requires": {}, "claim_to_path": claim("a") },
                { "match": { "prefix": "/" }, "requires": requires, "claim_to_path": claim("a") },
                { "match": template, "requires": requires, "claim_to_path": [
                    claim("a"), claim("a"), claim("b"), claim("rest"), claim(""), {}] },
            ]),
        ),
        &[
            "rules[1].claim_to_path: without `requires`, no token is looked at, and there are no claims",
            "rules[2].claim_to_path: without `requires`, no token is looked at, and there are no claims",
            "rules[3].claim_to_path: needs a `path_match_policy` in the `match` of the rule",
            "rules[4].claim_to_path[1]: another claim replaces this segment already",
            "rules[4].claim_to_path[2]: the path template has no such variable that stands for one segment",
            "rules[4].claim_to_path[3]: the path template has no such variable that stands for one segment",
            "rules[4].claim_to_path[4].path_variable: must not be empty",
            "rules[4].claim_to_path[5]: `claim_name` or `claim_path` is required",
            "rules[4].claim_to_path[5]: `path_variable` is required",
        ],
    );
}

/// Whatever changes requests makes Envoy choose the route again.
#[test]
fn nothing_is_written_where_rules_ask_for_the_route() {
    let reads = |provider: Value, rule: Value| {
        let mut config = json!({
            "providers": { "p": { "local_jwks": { "inline_string": jwks() }, "forward": true } },
            "rules": [{ "match": { "prefix": "/", "route_name": "r" } }],
        });
        for (pointer, fields) in [("/providers/p", provider), ("/rules/0", rule)] {
            let object = config.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
            object.extend(fields.as_object().unwrap().clone());
        }
        errors(&config.to_string()).contains("with a condition on the route")
    };
    assert!(!reads(json!({}), json!({})));
    let header = json!([{ "key": "x-a", "value": "a" }]);
    assert!(reads(json!({ "set_headers": header }), json!({})));
    assert!(reads(json!({}), json!({ "set_headers": header })));
    assert!(reads(json!({ "forward_payload_value_header": "x-a" }), json!({})));
    let parameter = json!({ "parameter_name": "a", "claim_name": "a" });
    assert!(reads(json!({ "claim_to_query_parameters": parameter }), json!({})));
    let consumer = json!({ "header_name": "x-a", "claim_name": "a", "names": { "a": "b" } });
    assert!(reads(json!({ "consumer": consumer }), json!({})));
}

#[test]
fn revocation_and_its_mistakes() {
    let uri = json!({ "uri": "https://l.example/", "cluster": "l", "timeout": "1s" });
    let list = |change: fn(&mut Value)| {
        let mut list = json!({ "http_uri": uri });
        change(&mut list);
        json!({ "list": list })
    };
    for place in ["/revocation", "/providers/local/revocation"] {
        let path = place.trim_start_matches('/').replace('/', ".");
        check(with(place, list(|_| ())), &[]);
        check(
            with(
                place,
                list(|list| {
                    *list = json!({ "httpUri": list["http_uri"], "pollInterval": "1s", "staleIfError": "0s",
                "whenUnavailable": "allow", "requestHeaders": [{ "key": "x", "value": "y" }] });
                }),
            ),
            &[],
        );
        for (revocation, expected) in [
            (json!(null), ": must not be null; write {} or leave the field out"),
            (json!({ "list": {} }), ".list: `http_uri` is required"),
            (
                list(|list| list["http_uri"]["uri"] = json!("ftp://l.example/")),
                ".list.http_uri.uri: expected an address such as https://logout.example/revoked.json",
            ),
            (
                list(|list| list["poll_interval"] = json!("0.5s")),
                ".list.poll_interval: must be from 1s to 3600s",
            ),
            (
                list(|list| list["poll_interval"] = json!("3601s")),
                ".list.poll_interval: must be from 1s to 3600s",
            ),
            (
                list(|list| list["when_unavailable"] = json!("open")),
                ".list.when_unavailable: expected `allow` or `deny`",
            ),
            (
                list(|list| list["max_entries"] = json!(5)),
                ".list.max_entries: unknown field; expected one of: http_uri, poll_interval, \
                 request_headers, stale_if_error, when_unavailable",
            ),
        ] {
            check(with(place, revocation), &[&format!("{path}{expected}")]);
        }
    }
}

#[test]
fn status_lists_and_their_mistakes() {
    let list = |change: fn(&mut Value)| {
        let mut list = json!({ "clusters": { "s.example": "s" }, "timeout": "1s" });
        change(&mut list);
        list
    };
    let place = "/providers/local/status_list";
    check(with(place, list(|_| ())), &[]);
    for (list, expected) in [
        (json!(null), ": must not be null; write {} or leave the field out"),
        (
            list(|list| list["clusters"] = json!({})),
            ": `clusters` needs at least one host: no other is asked",
        ),
        (list(|list| list["max_lists"] = json!(0)), ".max_lists: must be from 1 to 256"),
        (
            list(|list| list["max_octets"] = json!(16_777_217)),
            ".max_octets: must be from 1 to 16777216",
        ),
        (
            list(|list| list["cache_duration"] = json!("0s")),
            ".cache_duration: must be from 1s to 86400s",
        ),
        (
            list(|list| list["when_unavailable"] = json!("x")),
            ".when_unavailable: expected `allow` or `deny`",
        ),
    ] {
        check(with(place, list), &[&format!("providers.local.status_list{expected}")]);
    }
}

#[test]
fn logouts_and_their_mistakes() {
    check(with("/revocation", json!({})), &["revocation: `list` or `logout` is required"]);
    let own = "/providers/local/revocation";
    check(with(own, json!({})), &["providers.local.revocation: `list` is required"]);
    let logout = |change: fn(&mut Value)| {
        let mut logout = json!({ "path": "/l", "provider_name": "local", "client_ids": ["c"] });
        change(&mut logout);
        json!({ "logout": logout })
    };
    check(with("/revocation", logout(|_| ())), &[]);
    for (logout, expected) in [
        (
            json!({ "logout": {} }),
            ": `client_ids` is required: a logout of another client's is none of ours",
        ),
        (logout(|l| l["path"] = json!("l")), ".path: expected a path such as /backchannel-logout"),
        (
            logout(|l| l["path"] = json!("/l?x")),
            ".path: expected a path such as /backchannel-logout",
        ),
        (
            logout(|l| l["provider_name"] = json!("x")),
            ".provider_name: no provider is called `x`; there is: local, remote",
        ),
        (
            logout(|l| l["provider_name"] = json!("remote")),
            ".provider_name: the provider needs its `issuer`",
        ),
        (logout(|l| l["remember_for"] = json!("1s")), ".remember_for: must be from 60s to 604800s"),
    ] {
        let errors = errors(&with("/revocation", logout).to_string());
        assert!(errors.contains(&format!("revocation.logout{expected}\n")), "{errors}");
    }
}
