//! `import`: what is made is valid, and decides as it did before.

mod command;

use std::fs;

use command::{data, json, run, run_with, scratch};
use jwt_gate_signing::{Alg, SigningKey};
use serde_json::{Value, json};

#[test]
fn request_authentications_become_plugins() {
    let said = run(&["import", "istio", "request-authentication.yaml"]);
    assert_eq!(said.code, 0, "{said:?}");
    for text in
        ["kind: WasmPlugin", "name: jwt-gate-jwt", "istio: ingress", "phase: AUTHN", "FAIL_CLOSE"]
    {
        assert!(said.out.contains(text), "{text}: {}", said.out);
    }
    for text in [
        "requests without a token pass",
        "a ServiceEntry for `issuer.example`",
        "`url` must name the module",
    ] {
        assert!(said.err.contains(text), "{text}: {}", said.err);
    }
    let checked = run_with(&["check", "-"], &said.out);
    assert_eq!(checked.code, 0, "{checked:?}");
    let (_, told) = json(&["import", "istio", "request-authentication.yaml"]);
    let providers = told.pointer("/documents/0/spec/pluginConfig/providers").unwrap();
    assert_eq!(
        *providers,
        json!({
            "issuer-example": {
                "issuer": "https://issuer.example",
                "audiences": ["orders-api"],
                "forward": true,
                "claim_to_headers": [{ "header_name": "x-user", "claim_name": "sub" }],
                "remote_jwks": { "http_uri": {
                    "uri": "https://issuer.example/jwks.json", "cluster": "outbound|443||issuer.example", "timeout": "5s",
                } },
            },
            "partner-example": {
                "issuer": "https://partner.example",
                "from_headers": [{ "name": "x-partner-token", "value_prefix": "Token " }],
                "from_cookies": ["session"],
                "remote_jwks": { "discovery": { "cluster": "outbound|443||partner.example", "timeout": "5s" } },
            },
        })
    );
}

/// Tokens against the policies of a mesh, as Istio would have it.
#[test]
fn policies_of_a_mesh_decide_as_before() {
    let folder = scratch("import-istio");
    let said = run(&["import", "istio", "istio-policies.yaml"]);
    assert_eq!(said.code, 1, "one policy stays in Istio: {said:?}");
    assert!(
        said.err.contains("no equivalent: AuthorizationPolicy by-address: `ipBlocks`"),
        "{}",
        said.err
    );
    let file = folder.join("plugin.yaml");
    fs::write(&file, &said.out).unwrap();
    let file = file.to_str().unwrap();
    let [own, partner] = [("k", "1"), ("p", "2")].map(|(kid, last)| {
        let secret = format!("secret-secret-secret-secret-secret-{last}");
        SigningKey::from_hmac_secret(Alg::HS256, kid, secret.as_bytes())
    });
    let staff = json!({ "iss": "https://issuer.example", "sub": "a", "groups": ["staff"] });
    let with = |name: &str, value: Value| {
        let mut claims = staff.clone();
        claims.as_object_mut().unwrap().insert(name.to_owned(), value);
        Some((&own, claims))
    };
    let good = || Some((&own, staff.clone()));
    for (method, url, token, expected) in [
        ("GET", "https://x.example/healthz", None, 0),
        ("GET", "https://api.example/orders/1", good(), 0),
        ("GET", "https://API.example:8443/lists/1", good(), 0),
        ("GET", "https://eu.shop.example/orders", good(), 0),
        ("GET", "https://apixexample/orders", good(), 1),
        ("GET", "https://api.example.evil.example/orders", good(), 1),
        ("POST", "https://api.example/orders", good(), 1),
        ("GET", "https://api.example/others", good(), 1),
        ("GET", "https://api.example/orders", None, 1),
        ("GET", "https://api.example/orders", with("groups", json!(["team-a", "x"])), 0),
        ("GET", "https://api.example/orders", with("groups", json!("staff")), 0),
        ("GET", "https://api.example/orders", with("groups", json!(["guests"])), 1),
        ("GET", "https://api.example/orders", with("level", json!("guest")), 1),
        ("GET", "https://api.example/orders", with("scope", json!("a robot")), 1),
        ("GET", "https://api.example/healthz", with("scope", json!("robot")), 1),
        (
            "GET",
            "https://api.example/healthz",
            Some((&partner, json!({ "iss": "https://partner.example" }))),
            0,
        ),
        ("GET", "https://api.example/healthz", Some((&partner, staff.clone())), 1),
        (
            "GET",
            "https://api.example/orders",
            Some((&partner, json!({ "iss": "https://partner.example", "groups": ["staff"] }))),
            1,
        ),
    ] {
        let token = token.map(|(key, claims)| key.sign(&claims));
        let mut arguments = vec!["explain", "-c", file, "-r", method, url];
        arguments.extend(token.iter().flat_map(|token| ["-t", token.as_str()]));
        let said = run(&arguments);
        assert_eq!(said.code, expected, "{method} {url}: {said:?}");
    }
}

#[test]
fn policies_without_an_equivalent_stay_where_they_are() {
    let request = "kind: RequestAuthentication\nmetadata: { name: a }\nspec: { jwtRules: [{ issuer: 'https://i.example' }] }\n---\n";
    for (spec, says, default) in [
        (
            "{ action: ALLOW, rules: [{ from: [{ source: { principals: [x] } }] }] }",
            "`principals`",
            Some("deny"),
        ),
        (
            "{ action: DENY, rules: [{ to: [{ operation: { notPaths: [/a] } }] }] }",
            "`notPaths`",
            None,
        ),
        (
            "{ action: DENY, rules: [{ to: [{ operation: { paths: ['/a/{*}/b'] } }] }] }",
            "the path template",
            None,
        ),
        (
            "{ action: ALLOW, rules: [{ when: [{ key: source.ip, values: [x] }] }] }",
            "the condition on `source.ip`",
            Some("deny"),
        ),
        ("{ action: AUDIT }", "AUDIT stays in Istio", None),
        ("{ action: CUSTOM, provider: { name: x } }", "CUSTOM stays in Istio", None),
        // Nobody at all: not lost.
        ("{}", "", Some("deny")),
    ] {
        let input =
            format!("{request}kind: AuthorizationPolicy\nmetadata: {{ name: b }}\nspec: {spec}\n");
        let said = run_with(&["import", "istio", "-", "--json"], &input);
        let told: Value =
            serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        assert_eq!(said.code, i32::from(!says.is_empty()), "{spec}: {told}");
        assert!(told.to_string().contains(says), "{spec}: {told}");
        let config = told.pointer("/documents/0/spec/pluginConfig").unwrap();
        let found = config.pointer("/authorization/default").and_then(Value::as_str);
        assert_eq!(found, default, "{spec}: {config}");
        let policies = config.pointer("/authorization/policies");
        assert!(policies.is_none_or(|own| *own == json!([])), "{config}");
    }
}

#[test]
fn the_native_filter_becomes_a_configuration() {
    let said = run(&["import", "envoy", "envoy-native.yaml"]);
    assert_eq!(said.code, 0, "{said:?}");
    let config: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        *config.get("rules").unwrap(),
        json!([
            { "match": { "prefix": "/open" } },
            { "match": { "path": "/staff" }, "requirement_name": "staff" },
            { "match": { "prefix": "/" }, "requires": { "provider_name": "main" } },
        ])
    );
    for text in [
        "envoy-native.yaml:17:40: note: providers.main.payload_in_metadata becomes filter state",
        "becomes a rule on the path of its route",
    ] {
        assert!(said.err.contains(text), "{text}: {}", said.err);
    }
    assert_eq!(run_with(&["check", "-"], &said.out).code, 0);
    // What a plugin cannot have.
    let native = fs::read_to_string(data().join("envoy-native.yaml")).unwrap();
    let keys = "                  local_jwks: { filename: /etc/keys }\n                  local_jwks_is_fallback: true\n                  remote_jwks:";
    let said = run_with(
        &["import", "envoy", "-"],
        &native.replace("                  remote_jwks:", keys),
    );
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.err
            .contains("no equivalent: providers.main.local_jwks.filename: a plugin cannot read it"),
        "{}",
        said.err
    );
    // The filter's configuration alone, as JSON.
    let said = run_with(
        &["import", "envoy", "-"],
        r#"{"providers": {"p": {"localJwks": {"inlineString": "{}"}}}}"#,
    );
    assert!(said.code == 1 && said.err.contains("what was made is not valid yet"), "{said:?}");
    assert!(said.err.contains("natively everything is open"), "{said:?}");
}

#[test]
fn other_files_are_told() {
    for (from, input, says) in [
        ("istio", "", "is empty"),
        ("istio", "kind: Service", "there is no RequestAuthentication"),
        ("istio", "a: [", "not YAML"),
        ("envoy", "kind: Service", "there is no filter envoy.filters.http.jwt_authn"),
        ("envoy", "hello", "there is no filter"),
        ("envoy", "{ \"a\": 1, }", "not valid JSON"),
    ] {
        let said = run_with(&["import", from, "-"], input);
        assert!(said.code == 3 && said.err.contains(says), "{from} {input:?}: {said:?}");
    }
    assert_eq!(run(&["import", "istio", "nowhere"]).code, 3);
    assert_eq!(run(&["import", "nobody", "nowhere"]).code, 2);
}

/// Who gets in with which token, by `explain`.
#[track_caller]
fn check_requests(config: &str, requests: &[(&str, Option<String>, i32)]) {
    for (url, header, expected) in requests {
        let mut arguments = vec!["explain", "-c", config, "-r", "GET", url];
        arguments.extend(header.iter().flat_map(|header| ["-H", header.as_str()]));
        let said = run(&arguments);
        assert_eq!(said.code, *expected, "{url}: {said:?}");
    }
}

#[test]
fn higress_decides_as_before() {
    let folder = scratch("import-higress");
    let said = run(&["import", "higress", "higress.yaml"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("what no rule matches stays open"), "{said:?}");
    let file = folder.join("gate.json");
    fs::write(&file, &said.out).unwrap();
    let sign = |kid: &str, last: &str, issuer: &str| {
        let secret = format!("secret-secret-secret-secret-secret-{last}");
        let key = SigningKey::from_hmac_secret(Alg::HS256, kid, secret.as_bytes());
        key.sign(&json!({ "iss": format!("https://{issuer}.example"), "sub": "a" }))
    };
    let web = Some(format!("authorization: Bearer {}", sign("k", "1", "issuer")));
    let partner = Some(format!("x-token: {}", sign("p", "2", "partner")));
    check_requests(
        file.to_str().unwrap(),
        &[
            ("https://api.example/a", web.clone(), 0),
            ("https://api.example/a", partner.clone(), 0),
            ("https://api.example/a", None, 1),
            ("https://eu.partner.example/a", partner, 0),
            ("https://eu.partner.example/a", web, 1),
            ("https://open.example/a", None, 0),
        ],
    );
    // With and without a port.
    check_requests(
        file.to_str().unwrap(),
        &[
            ("https://api.example:8443/a", None, 1),
            ("https://eu.partner.example:8443/a", None, 1),
            ("https://API.example/a", None, 1),
            ("https://eu.Partner.Example/a", None, 1),
            ("https://api.example.org/a", None, 0),
        ],
    );
    let manifest = "kind: WasmPlugin\nspec:\n  defaultConfig:\n    consumers: [{ name: a, issuer: b, remote_jwks: {} }]\n  matchRules: [{}, { service: [s] }, { domain: [d], config: { allow: [] } }]\n";
    let said = run_with(&["import", "higress", "-"], manifest);
    for says in [
        "a rule for neither routes nor domains",
        "a rule for services",
        "a rule that allows nobody",
        "a: neither `jwks` nor a service for `remote_jwks`",
    ] {
        assert!(said.code == 1 && said.err.contains(says), "{says}: {said:?}");
    }
    assert_eq!(run_with(&["import", "higress", "-"], "a: 1").code, 3);
}

/// The rules of the manifest, which Higress makes `_rules_` of, and keys of a service.
#[test]
fn rules_of_higress_manifests() {
    let folder = scratch("import-higress-rules");
    let manifest = |more: &str| {
        format!(
            "kind: WasmPlugin\nspec:\n  defaultConfig:\n    consumers:\n    - name: web\n      issuer: https://issuer.example\n      \
             remote_jwks: {{ service_name: keys.dns, service_host: keys.example, path: /jwks.json }}\n      \
             jwks_fetch_timeout: 2500\n      jwks_cache_duration: 5\n{more}"
        )
    };
    let said = run_with(
        &["import", "higress", "-"],
        &manifest(
            "  matchRules:\n  - domain: [api.example, \"www.*\"]\n    config: { allow: [web] }\n  \
             - domain: [off.example]\n    configDisable: true\n    config: { allow: [web] }\n",
        ),
    );
    assert_eq!(said.code, 0, "{said:?}");
    let config: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        config.pointer("/providers/web/remote_jwks"),
        Some(&json!({
            "http_uri": {
                "uri": "https://keys.example/jwks.json",
                "cluster": "outbound|443||keys.dns",
                "timeout": "2.500s",
            },
            "cache_duration": "30s",
        }))
    );
    let file = folder.join("gate.json");
    fs::write(&file, &said.out).unwrap();
    check_requests(
        file.to_str().unwrap(),
        &[
            ("https://api.example/a", None, 1),
            ("https://www.shop.example:8443/a", None, 1),
            ("https://off.example/a", None, 0),
            ("https://other.example/a", None, 0),
        ],
    );
    // Without rules that are on, all need a token; and so with `_rules_` that `pluginConfig` does not have.
    for text in [
        manifest("  matchRules:\n  - { domain: [a], configDisable: true }\n"),
        manifest("  matchRules:\n  - { domain: [a], config: { allow: [web] } }\n")
            .replace("defaultConfig", "pluginConfig"),
    ] {
        let said = run_with(&["import", "higress", "-"], &text);
        assert_eq!(said.code, 0, "{said:?}");
        fs::write(&file, &said.out).unwrap();
        check_requests(file.to_str().unwrap(), &[("https://other.example/a", None, 1)]);
    }
    // The header that names the consumer changes requests, and Envoy would choose the route again.
    let said = run_with(
        &["import", "higress", "-"],
        &manifest("  matchRules:\n  - ingress: [shop/orders]\n    config: { allow: [web] }\n"),
    );
    assert!(said.code == 1 && said.err.contains("what was made is not valid yet"), "{said:?}");
    assert!(said.out.contains("\"exact\": \"shop/orders\""), "{said:?}");
}

#[test]
fn alibabas_plugin_becomes_a_configuration() {
    let said = run(&["import", "alibaba", "alibaba.yaml"]);
    assert!(
        said.code == 1 && said.err.contains("alibaba.yaml:8:3: no equivalent: a claim in the path"),
        "{said:?}"
    );
    let config: Value = serde_json::from_str(&said.out).unwrap();
    let main = config.pointer("/providers/main").unwrap();
    for (path, expected) in [
        ("/from_headers", json!([{ "name": "X-Token", "value_prefix": "" }])),
        ("/claim_to_headers", json!([{ "header_name": "x-user", "claim_name": "sub" }])),
        (
            "/claim_to_query_parameters",
            json!([{ "parameter_name": "audience", "claim_name": "aud" }]),
        ),
        ("/single_use", json!({})),
        ("/algorithms", json!(["RS256"])),
    ] {
        assert_eq!(main.pointer(path), Some(&expected), "{path}");
    }
    assert!(said.err.contains("checks neither `iss` nor `aud`"), "{said:?}");
    assert_eq!(run_with(&["check", "-"], &said.out).code, 0);
    assert_eq!(run_with(&["import", "alibaba", "-"], "a: 1").code, 3);
}

#[test]
fn kong_decides_as_before() {
    let folder = scratch("import-kong");
    let rsa = SigningKey::generate(Alg::RS256, "");
    let pem = rsa.public_pem().unwrap();
    let quoted = Value::from(pem).to_string();
    let kong =
        fs::read_to_string(data().join("kong.yaml")).unwrap().replace("RSA_PUBLIC_KEY", &quoted);
    let said = run_with(&["import", "kong", "-"], &kong);
    assert!(said.code == 0 && said.err.contains("a path that is a regular expression"), "{said:?}");
    let config: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(config.pointer("/bypass_cors_preflight"), Some(&json!(true)));
    let file = folder.join("gate.json");
    fs::write(&file, &said.out).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let alice =
        SigningKey::from_hmac_secret(Alg::HS256, "", b"secret-secret-secret-secret-secret-1");
    let bearer = |key: &SigningKey, iss: &str, exp: u64| {
        Some(format!("authorization: Bearer {}", key.sign(&json!({ "iss": iss, "exp": exp }))))
    };
    check_requests(
        file.to_str().unwrap(),
        &[
            ("https://h/api/a", bearer(&alice, "alice-key", now + 600), 0),
            ("https://h/api/deep", bearer(&rsa, "bob-key", now + 600), 0),
            ("https://h/api/a", bearer(&alice, "bob-key", now + 600), 1),
            ("https://h/api/a", bearer(&alice, "alice-key", now + 9000), 1),
            ("https://h/api/a", None, 1),
            ("https://h/other", None, 0),
            ("https://h/items/7/a", None, 1),
            ("https://h/items/x", None, 0),
        ],
    );
    for (input, says) in
        [("a: 1", "no plugin `jwt`"), ("plugins: [{ name: cors }]", "no plugin `jwt`")]
    {
        let said = run_with(&["import", "kong", "-"], input);
        assert!(said.code == 3 && said.err.contains(says), "{said:?}");
    }
    let routes = "services:\n- routes:\n  - hosts: [api.example, \"*.shop.example\"]\n    methods: [GET, POST]\n    paths: [/a]\n    headers: { x-v: [v1, v2.0] }\n    plugins: [{ name: jwt }]\n  - hosts: [\"admin.example:8443\"]\n    plugins: [{ name: jwt }]\nconsumers: [{ username: a, jwt_secrets: [{ key: alice-key, secret: secret-secret-secret-secret-secret-1 }] }]\n";
    let said = run_with(&["import", "kong", "-"], routes);
    assert_eq!(said.code, 0, "{said:?}");
    fs::write(&file, &said.out).unwrap();
    let asks = |method: &str, url: &str, version: Option<&str>| {
        let header = version.map(|own| format!("x-v: {own}"));
        let mut arguments =
            vec!["explain", "--config", file.to_str().unwrap(), "--request", method, url];
        arguments.extend(header.iter().flat_map(|own| ["-H", own.as_str()]));
        run(&arguments).code
    };
    for (method, url, version, code) in [
        ("GET", "https://api.example/a/b", Some("v1"), 1),
        ("POST", "https://API.example:444/a", Some("V2.0"), 1),
        ("GET", "https://eu.shop.example/a", Some("v1"), 1),
        ("GET", "https://shop.example/a", Some("v1"), 0),
        ("GET", "https://apixexample/a", Some("v1"), 0),
        ("GET", "https://api.example/a", Some("v2x0"), 0),
        ("GET", "https://api.example/a", None, 0),
        ("PUT", "https://api.example/a", Some("v1"), 0),
        ("GET", "https://api.example/b", Some("v1"), 0),
        ("GET", "https://admin.example:8443/b", None, 1),
        ("GET", "https://admin.example/b", None, 0),
    ] {
        assert_eq!(asks(method, url, version), code, "{method} {url} {version:?}");
    }
    let lost = "services:\n- routes:\n  - snis: [a]\n    headers: { x: [\"~*a\"] }\n    plugins: [{ name: jwt }]\nconsumers: []\n";
    let said = run_with(&["import", "kong", "-"], lost);
    for says in ["`snis` of a route", "a header by a regular expression"] {
        assert!(said.code == 1 && said.err.contains(says), "{says}: {said:?}");
    }
    let short = "plugins: [{ name: jwt }]\nconsumers: [{ username: a, jwt_secrets: [{ key: k, secret: short }] }]\n";
    let said = run_with(&["import", "kong", "-"], short);
    assert!(
        said.code == 0
            && said.err.contains("a secret of 5 octets")
            && said.out.contains("allow_weak_keys"),
        "{said:?}"
    );
}
