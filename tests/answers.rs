//! What refused clients get, what the gate serves itself, and what only reports.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod gate;

use gate::{Gate, NOW, challenge, run_examples, told};
use jwt_gate::engine::{Counter, Decision, StreamId};
use jwt_gate::policy::Policy;
use jwt_gate::request::RequestHead;
use jwt_gate::time::UnixTime;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

#[test]
fn examples_of_answers() {
    assert_eq!(run_examples(include_str!("../docs/answers.md")), (4, 23));
}

#[test]
fn examples_of_rolling_out() {
    assert_eq!(run_examples(include_str!("../docs/roll-out.md")), (2, 8));
}

fn key() -> SigningKey {
    SigningKey::generate(Alg::HS256, "k")
}

fn with(key: &SigningKey, mut rest: Value) -> Value {
    let set = jwks(&[key]).to_string();
    rest["providers"] = json!({ "p": {
        "local_jwks": { "inline_string": set },
        "claim_to_headers": [{ "header_name": "x-sub", "claim_name": "sub" }],
    } });
    rest
}

fn everywhere() -> Value {
    json!([{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }])
}

#[test]
fn nothing_of_the_request_gets_into_a_body() {
    let config = json!({
        "rules": everywhere(),
        "error_responses": { "formats": ["json", "problem_json", "text"], "overrides": [
            { "reasons": ["token_missing"], "body": "<p>%MESSAGE% %REASON%</p>", "content_type": "text/html" },
        ] },
    });
    let mut gate = Gate::new(&with(&key(), config));
    let spiteful = "/<script>alert(1)</script>?x=%3Cb%3E\"'";
    for token in [None, Some("Bearer <b>.\"a\".c")] {
        let mut headers =
            vec![(":path", spiteful), ("accept", "text/html;\"<b>, */*"), ("x-request-id", "<b>")];
        headers.extend(token.map(|token| ("authorization", token)));
        let Decision::Reject(rejection) = gate.decide(NOW, &headers) else { panic!() };
        assert!(!rejection.body.contains("script") && !rejection.body.contains("<b>"));
        let head: Vec<_> =
            rejection.headers.iter().filter(|(name, _)| name != "www-authenticate").collect();
        assert!(head.iter().all(|(_, value)| !value.contains('<')), "{head:?}");
    }
}

/// RFC 9110 section 15.5.2.
#[test]
fn no_401_goes_without_a_challenge() {
    let key = key();
    let config = json!({
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" },
            "authorization": { "claim": ["a"], "string_match": "b" } }],
        "error_responses": { "overrides": [
            { "reasons": ["claims_not_allowed", "keys_unavailable"], "status": 401 },
            { "reasons": ["token_missing"], "status": 403 },
            { "reasons": ["expired"], "status": 409 },
        ] },
    });
    let mut gate = Gate::new(&with(&key, config));
    let mut ask = |token: Option<String>| {
        let bearer = format!("Bearer {}", token.clone().unwrap_or_default());
        let headers: Vec<_> = token.iter().map(|_| ("authorization", &*bearer)).collect();
        let decision = gate.decide(NOW, &headers);
        (told(&decision), challenge(&decision).unwrap_or_default())
    };
    let plain = "Bearer realm=\"http://h/\"".to_owned();
    let answer = ask(Some(key.sign(&json!({}))));
    assert_eq!(answer, ("401 claims_not_allowed".to_owned(), plain.clone()));
    assert_eq!(ask(None), ("403 token_missing".to_owned(), plain));
    assert_eq!(
        ask(Some(key.sign(&json!({ "exp": 1 })))),
        ("409 expired".to_owned(), String::new())
    );
    // An issuer that cannot be reached, as the client's fault: with a challenge, and no time to wait.
    let mut config = with(&key, json!({ "rules": everywhere(), "mode": "enforce" }));
    config["error_responses"] = json!({ "overrides": [{ "statuses": [503], "status": 401 }] });
    let provider = &mut config["providers"]["p"];
    provider["local_jwks"] = json!(null);
    let uri = json!({ "uri": "https://i.example/k", "cluster": "c", "timeout": "1s" });
    provider["remote_jwks"] = json!({ "http_uri": uri });
    let mut gate = Gate::new(&config);
    let token = format!("Bearer {}", key.sign(&json!({})));
    let mut decision = Decision::Wait;
    // More than may wait.
    for stream in 0..2000 {
        decision = gate.engine.handle_request(
            StreamId(stream),
            RequestHead::new(vec![
                (b":path".to_vec(), b"/".to_vec()),
                (b"authorization".to_vec(), token.clone().into_bytes()),
            ]),
            UnixTime::from_secs(NOW),
        );
    }
    let Decision::Reject(rejection) = &decision else { panic!("{decision:?}") };
    let names: Vec<_> = rejection.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((rejection.status, names), (401, vec!["www-authenticate"]));
}

#[test]
fn step_up_is_judged_anew_for_known_tokens() {
    let key = key();
    let rules = json!([
        { "match": { "prefix": "/pay" }, "requires": { "provider_name": "p" },
          "authorization": { "scopes": { "any": ["pay"] } }, "step_up": { "max_age": "100s" } },
        { "match": { "prefix": "/now" }, "requires": { "provider_name": "p" }, "step_up": { "max_age": "0s" } },
        { "match": { "prefix": "/or" }, "requires": { "requires_any": { "requirements": [
            { "provider_name": "p" }, { "allow_missing": {} } ] } }, "step_up": { "acr_values": ["gold"] } },
    ]);
    let mut config = with(&key, json!({ "rules": rules }));
    config["providers"]["p"]["clock_skew"] = json!("5s");
    let mut gate = Gate::new(&config);
    let token = key.sign(&json!({ "scope": "pay", "auth_time": NOW, "acr": "silver" }));
    let bearer = format!("Bearer {token}");
    let mut at = |seconds: u64, path: &str| {
        told(&gate.decide(NOW + seconds, &[(":path", path), ("authorization", &bearer)]))
    };
    let no = "401 insufficient_user_authentication";
    assert_eq!(at(0, "/pay"), "pass");
    assert_eq!(at(105, "/pay"), "pass");
    assert_eq!(at(106, "/pay"), no);
    assert_eq!(at(5, "/now"), "pass");
    assert_eq!(at(6, "/now"), no);
    assert_eq!(at(0, "/or"), no);
    // Who may not pay at all need not authenticate anew.
    let poor = key.sign(&json!({ "scope": "look", "auth_time": 1 }));
    assert_eq!(gate.get("/pay", &poor), "403 insufficient_scope");
    // Nobody is somebody without an authentication.
    assert_eq!(gate.ask("GET", "/or", None), "401 token_missing");
    for time in [json!(1e300), json!(-1), json!(true), json!([NOW]), json!(null), json!({})] {
        let token = key.sign(&json!({ "scope": "pay", "auth_time": time }));
        assert_eq!(gate.get("/pay", &token), no, "{time}");
    }
    let token = key.sign(&json!({ "scope": "pay", "auth_time": NOW }));
    let (other, both) = (key.sign(&json!({ "scope": "pay" })), [token.as_str()]);
    // All tokens count.
    let two = [format!("Bearer {}", both[0]), format!("Bearer {other}")];
    let headers = [(":path", "/pay"), ("authorization", &*two[0]), ("authorization", &two[1])];
    assert_eq!(told(&gate.decide(NOW, &headers)), no);
}

#[test]
fn challenges_name_the_most_precise_resource() {
    let resource = |resource: &str| json!({ "resource": resource, "hosts": ["internal"] });
    let config = json!({
        "rules": everywhere(),
        "protected_resources": [
            resource("https://api.example"),
            resource("https://api.example/a/"),
            resource("https://api.example/a/b"),
            { "resource": "http://localhost:8080/any", "hosts": ["*"] },
            { "resource": "http://[::1]/six" },
            { "resource": "http://[::1]:81/six" },
        ],
    });
    let mut gate = Gate::new(&with(&key(), config));
    let mut named = |path: &str, host: &str, more: &[(&str, &str)]| {
        let mut headers = vec![(":path", path), (":authority", host)];
        headers.extend(more);
        let challenge = challenge(&gate.decide(NOW, &headers)).unwrap();
        challenge
            .split_once("resource_metadata=\"")
            .map(|(_, rest)| rest.trim_end_matches('"').to_owned())
    };
    let at =
        |host: &str, path: &str| Some(format!("{host}/.well-known/oauth-protected-resource{path}"));
    let api = "https://api.example";
    assert_eq!(named("/x", "api.example", &[]), at(api, ""));
    assert_eq!(named("/x", "Api.Example:443", &[]), at(api, ""));
    assert_eq!(named("/a", "internal:80", &[]), at(api, "/a/"));
    assert_eq!(named("/a/x?/a/b", "internal", &[]), at(api, "/a/"));
    assert_eq!(named("/a/b/c", "internal", &[]), at(api, "/a/b"));
    assert_eq!(named("/a/bc", "api.example", &[]), at(api, "/a/"));
    assert_eq!(named("/any/thing", "elsewhere", &[]), at("http://localhost:8080", "/any"));
    assert_eq!(named("/x", "elsewhere", &[]), None);
    assert_eq!(named("/x", "api.example:8443", &[]), None);
    assert_eq!(named("/new", "internal", &[("x-envoy-original-path", "/a/b?q")]), at(api, "/a/b"));
    assert_eq!(named("/six", "[::1]", &[]), at("http://[::1]", "/six"));
    assert_eq!(named("/six/x", "[::1]:81", &[]), at("http://[::1]:81", "/six"));
    let serve = |gate: &mut Gate, path: &str, host: &str| {
        told(&gate.decide(NOW, &[(":path", path), (":authority", host)]))
    };
    let well_known = "/.well-known/oauth-protected-resource";
    assert_eq!(serve(&mut gate, well_known, "api.example"), "200 served");
    assert_eq!(serve(&mut gate, &format!("{well_known}?a=b"), "api.example"), "200 served");
    assert_eq!(serve(&mut gate, &format!("{well_known}/a/b"), "internal"), "200 served");
    assert_eq!(serve(&mut gate, &format!("{well_known}/any"), "internal"), "200 served");
    for other in ["/a/b/", "/a/B", "/a%2Fb", "//", "/../a/b", "/a"] {
        let path = format!("{well_known}{other}");
        assert_eq!(serve(&mut gate, &path, "internal"), "401 token_missing", "{other}");
    }
    assert_eq!(gate.counted.iter().filter(|counter| **counter == Counter::Served).count(), 4);
}

#[test]
fn what_only_reports_lets_nothing_spoofed_through() {
    let key = key();
    let config = json!({ "mode": "report_only", "rules": everywhere(), "authorization": {
        "policies": [{ "action": "deny", "match": { "prefix": "/admin" } }], "default": "allow" } });
    let mut gate = Gate::new(&with(&key, config));
    let bad = format!("Bearer {}x", key.sign(&json!({ "sub": "alice" })));
    let headers = [(":path", "/a"), ("x-sub", "root"), ("X_Sub", "root"), ("authorization", &*bad)];
    let Decision::Forward(edits) = gate.decide(NOW, &headers) else { panic!() };
    let text = format!("{edits:?}");
    assert_eq!(edits.len(), 2, "{text}");
    assert!(!text.contains("Add") && !text.contains("authorization"), "{text}");
    let good = key.sign(&json!({ "sub": "alice" }));
    assert_eq!(gate.get("/admin", &good), "pass");
    let reason = |counter: &Counter| match counter {
        Counter::ReportOnlyFor(reason) => Some(reason.code()),
        _ => None,
    };
    let reasons: Vec<_> = gate.counted.iter().filter_map(reason).collect();
    assert_eq!(reasons, ["signature_invalid", "denied_by_policy"]);
    assert_eq!(
        gate.logged,
        [
            "report_only: would be denied reason=signature_invalid",
            "report_only: would be denied reason=denied_by_policy"
        ]
    );
}

#[test]
fn the_candidate_has_its_own_tokens_and_decides_nothing() {
    let (key, other) = (key(), key());
    let mut config = with(&key, json!({ "rules": everywhere() }));
    let mut provider = config["providers"]["p"].clone();
    provider["local_jwks"]["inline_string"] = json!(jwks(&[&other]).to_string());
    let mut stricter = config["providers"]["p"].clone();
    stricter["claim_to_headers"] = json!([]);
    config["shadow"] = json!({ "providers": { "p": provider } });
    let mut gate = Gate::new(&config);
    let good = key.sign(&json!({ "sub": "alice" }));
    for _ in 0..2 {
        assert_eq!(gate.get("/", &good), "pass");
        assert_eq!(gate.get("/", &other.sign(&json!({}))), "401 signature_invalid");
    }
    let counted = |gate: &Gate, wanted: &str| {
        let names = gate.counted.iter().map(|counter| gate.engine.counter_name(*counter));
        names.filter(|name| name.trim_start_matches("jwt_gate.") == wanted).count()
    };
    assert_eq!(counted(&gate, "shadow_denies_for.signature_invalid"), 2);
    assert_eq!(counted(&gate, "shadow_allows_for.signature_invalid"), 2);
    assert_eq!(counted(&gate, "shadow_same"), 0);
    assert_eq!(counted(&gate, "allowed"), 2);
    assert!(gate.logged.contains(&"differs: shadow_denies_for.signature_invalid".to_owned()));

    config["shadow"] = json!({ "providers": { "p": stricter } });
    let mut gate = Gate::new(&config);
    assert_eq!(gate.get("/", &good), "pass");
    assert_eq!(gate.get("/", "x"), "401 token_malformed");
    assert_eq!(counted(&gate, "shadow_other_changes"), 1);
    assert_eq!(counted(&gate, "shadow_same"), 1);

    // Modes are no matter of who should get in.
    config["shadow"] = json!({ "mode": "report_only" });
    let mut gate = Gate::new(&config);
    assert_eq!(gate.get("/", "x"), "401 token_malformed");
    assert_eq!(counted(&gate, "shadow_same"), 1);
    let mut reported = with(&key, json!({ "mode": "report_only", "rules": everywhere() }));
    let mut stricter = everywhere();
    stricter[0]["authorization"] = json!({ "scopes": { "any": ["new"] } });
    reported["shadow"] = json!({ "rules": stricter });
    let mut gate = Gate::new(&reported);
    assert_eq!(gate.get("/", &good), "pass");
    assert_eq!(counted(&gate, "shadow_denies_for.insufficient_scope"), 1);
    assert_eq!(gate.get("/", "x"), "pass");
    assert_eq!(counted(&gate, "shadow_same"), 1);
}

#[test]
fn the_start_tells_what_is_open() {
    let key = key();
    let template = json!({ "path_match_policy": { "name": "t", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
        "path_template": "/t/{id}" } } });
    let any = |more: Value| json!({ "requires_any": { "requirements": [{ "provider_name": "p" }, more] } });
    let config = json!({
        "rules": [
            { "match": { "path": "/healthz" } },
            { "match": { "prefix": "/a" }, "requires": { "provider_name": "p" } },
            { "match": { "prefix": "/b", "headers": [{ "name": "x" }], "grpc": {} },
              "requires": { "allow_missing": {} } },
            { "match": { "safe_regex": { "regex": "/c.*" } }, "requires": any(json!({ "allow_missing": {} })) },
            { "match": template, "requires": any(json!({ "allow_missing_or_failed": {} })) },
            { "match": { "prefix": "/e" }, "requires": { "extract_only_without_validation": {} } },
            { "match": { "prefix": "/f" }, "requires": { "provider_name": "p" }, "mode": "report_only" },
            { "match": { "prefix": "/g" }, "requires": { "allow_missing": {} },
              "authorization": { "authenticated": true } },
            { "match": { "prefix": "/h" }, "requires": { "allow_missing": {} },
              "step_up": { "max_age": "5s" } },
        ],
        "bypass_cors_preflight": true,
        "filter_state_rules": { "name": "s", "requires": {
            "guest": { "allow_missing_or_failed": {} }, "user": { "provider_name": "p" } } },
        "protected_resources": [{ "resource": "https://api.example/v1" }],
        "authorization": { "policies": [], "default": "allow" },
        "shadow": { "default_requirement": { "provider_name": "p" } },
    });
    let policy = Policy::parse(with(&key, config).to_string().as_bytes()).unwrap();
    let expected = [
        "providers: 1, rules: 9; what no rule matches: open (`default_requirement` changes that); \
         authorization policies for every request: 0, otherwise allowed",
        "open: GET /.well-known/oauth-protected-resource/v1: the gate answers itself",
        "open: CORS preflights everywhere: bypass_cors_preflight",
        "open: rules[0] (path \"/healthz\"): nothing is required",
        "open: rules[2] (prefix \"/b\", with conditions on headers, gRPC): allow_missing, passes without a token",
        "open: rules[3] (safe_regex \"/c.*\"): allow_missing, passes without a token",
        "open: rules[4] (path_match_policy \"/t/{id}\"): an alternative allows any token or none",
        "open: rules[5] (prefix \"/e\"): extract_only_without_validation, any token or none passes",
        "open: rules[6] (prefix \"/f\"): report_only, nobody is refused",
        "open: rules[7] (prefix \"/g\"): as `authorization` says",
        "open: filter_state_rules.requires[\"guest\"]: allow_missing_or_failed, any token or none passes",
        "open: what no rule matches: nothing is required",
        "shadow (decides nothing): providers: 1, rules: 9; what no rule matches: protected; \
         authorization policies for every request: 0, otherwise allowed",
    ];
    assert_eq!(policy.report(), expected);
    let closed = json!({ "mode": "report_only" });
    let policy = Policy::parse(with(&key, closed).to_string().as_bytes()).unwrap();
    let expected = [
        "providers: 1, rules: 0; what no rule matches: protected",
        "open: what no rule matches: report_only, nobody is refused",
    ];
    assert_eq!(policy.report(), expected);
    let many: Vec<_> =
        (0..150).map(|index| json!({ "match": { "path": format!("/{index}") } })).collect();
    let policy =
        with(&key, json!({ "rules": many, "default_requirement": { "provider_name": "p" } }));
    let report = Policy::parse(policy.to_string().as_bytes()).unwrap().report();
    assert_eq!((report.len(), report.last().unwrap().as_str()), (102, "open: 50 more"));
}
