//! `import istio`: policies that look at tokens are never left to a mesh that sees none.

#![allow(clippy::unwrap_used, reason = "tests")]

mod command;

use command::{run, run_with, scratch};
use jwt_gate_signing::{Alg, SigningKey};
use serde_json::{Value, json};

const RULES: &str = r#"jwtRules: [{ issuer: "https://i.example", jwks: '{"keys":[{"kty":"oct","alg":"HS256","kid":"k","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC0x"}]}' }]"#;

fn request(name: &str, namespace: &str, selector: &str) -> String {
    format!(
        "---\nkind: RequestAuthentication\nmetadata: {{ name: {name}, namespace: {namespace} }}\n\
         spec: {{ {selector} {RULES} }}\n"
    )
}

fn policy(namespace: &str, spec: &str) -> String {
    format!(
        "---\nkind: AuthorizationPolicy\nmetadata: {{ name: own, namespace: {namespace} }}\nspec: {spec}\n"
    )
}

/// The exit code, the first configuration and everything that was said.
fn import(input: &str) -> (i32, Value, String) {
    let said = run_with(&["import", "istio", "-", "--json"], input);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    let config = told.pointer("/documents/0/spec/pluginConfig").cloned().unwrap_or_default();
    (said.code, config, told.to_string())
}

const BY_TOKEN: &str = "from: [{ source: { notRequestPrincipals: [\"*\"] } }]";
const API: &str = "selector: { matchLabels: { app: api } },";

#[test]
fn policies_for_some_of_the_workloads_are_lost() {
    for (request_at, policy_at, selector, rule, code) in [
        ("shop", "shop", API, BY_TOKEN, 1),
        ("istio-system", "shop", API, BY_TOKEN, 1),
        ("istio-system", "shop", "", BY_TOKEN, 1),
        ("shop", "shop", API, "when: [{ key: \"request.auth.claims[a]\", values: [b] }]", 1),
        // These Istio can judge without tokens.
        ("shop", "shop", API, "to: [{ operation: { paths: [/a] } }]", 0),
        ("shop", "other", API, BY_TOKEN, 0),
    ] {
        let spec = format!("{{ {selector} action: DENY, rules: [{{ {rule} }}] }}");
        let input = [request("wide", request_at, ""), policy(policy_at, &spec)].concat();
        let (found, _, told) = import(&input);
        assert_eq!(found, code, "{request_at} {policy_at} {selector} {rule}: {told}");
        assert_eq!(told.contains("for some workloads only"), code == 1, "{told}");
    }
    // For all workloads, and more.
    let spec = format!("{{ action: DENY, rules: [{{ {BY_TOKEN} }}] }}");
    for namespace in ["shop", "istio-system"] {
        let input = [request("api", "shop", API), policy(namespace, &spec)].concat();
        let (code, config, told) = import(&input);
        assert_eq!(code, 0, "{told}");
        assert_eq!(config.pointer("/authorization/policies/0/action"), Some(&json!("deny")));
    }
}

#[test]
fn two_gates_for_a_workload_are_lost() {
    for (first, second, code) in [
        (request("a", "shop", ""), request("b", "shop", API), 1),
        (request("a", "shop", API), request("b", "istio-system", ""), 1),
        (
            request("a", "shop", API),
            request("b", "shop", "selector: { matchLabels: { app: web } },"),
            0,
        ),
        (request("a", "shop", ""), request("b", "other", ""), 0),
    ] {
        let (found, _, told) = import(&[first, second].concat());
        assert_eq!(found, code, "{told}");
        assert_eq!(told.contains("two gates"), code == 1, "{told}");
    }
}

#[test]
fn words_and_principals_as_in_istio() {
    let file = scratch("import-istio-words").join("plugin.yaml");
    let rule = |key: &str, value: &str| {
        format!("{{ when: [{{ key: \"request.auth.claims[{key}]\", values: [\"{value}\"] }}] }}")
    };
    let rules = [
        rule("scope", "write*"),
        rule("permission", "delete"),
        rule("group", "a"),
        "{ from: [{ source: { requestPrincipals: [\"https://i.example/team/eve\", \"https://i.example/bot*\"] } }] }"
            .to_owned(),
        "{ to: [{ operation: { methods: [OPTIONS], paths: [/closed] } }] }".to_owned(),
    ];
    let spec = format!("{{ action: DENY, rules: [{}] }}", rules.join(", "));
    let said = run_with(
        &["import", "istio", "-"],
        &[request("a", "shop", ""), policy("shop", &spec)].concat(),
    );
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("preflights are judged"), "{said:?}");
    std::fs::write(&file, &said.out).unwrap();
    let key =
        SigningKey::from_hmac_secret(Alg::HS256, "k", b"secret-secret-secret-secret-secret-1");
    for (claims, code) in [
        (json!({ "sub": "a" }), 0),
        (json!({ "sub": "a", "scope": "read write:all" }), 1),
        (json!({ "sub": "a", "scope": "read" }), 0),
        (json!({ "sub": "a", "permission": "read delete" }), 1),
        (json!({ "sub": "a", "group": "a b" }), 0),
        (json!({ "sub": "a", "group": "a" }), 1),
        (json!({ "sub": "team/eve" }), 1),
        (json!({ "sub": "eve" }), 0),
        (json!({ "sub": "bot-1" }), 1),
    ] {
        let mut claims = claims;
        claims.as_object_mut().unwrap().insert("iss".to_owned(), json!("https://i.example"));
        let token = key.sign(&claims);
        let arguments = [
            "explain",
            "-c",
            file.to_str().unwrap(),
            "-r",
            "GET",
            "https://h.example/",
            "-t",
            &token,
        ];
        let said = run(&arguments);
        assert_eq!(said.code, code, "{claims}: {said:?}");
    }
    // A preflight is judged, too.
    for (path, code) in [("closed", 1), ("open", 0)] {
        let url = format!("https://h.example/{path}");
        let arguments = ["explain", "-c", file.to_str().unwrap(), "-r", "OPTIONS", &url];
        let origin =
            ["-H", "origin: https://o.example", "-H", "access-control-request-method: GET"];
        let said = run(&[arguments.as_slice(), &origin].concat());
        assert_eq!(said.code, code, "{path}: {said:?}");
    }
}

#[test]
fn principals_of_nobody_are_lost() {
    for principal in ["https://bad*", "https://bad.example/a", "a"] {
        let spec = format!(
            "{{ action: DENY, rules: [{{ from: [{{ source: {{ requestPrincipals: [\"{principal}\"] }} }}] }}] }}"
        );
        let (code, _, told) = import(&[request("a", "shop", ""), policy("shop", &spec)].concat());
        assert!(code == 1 && told.contains("none of the issuers"), "{told}");
    }
}
