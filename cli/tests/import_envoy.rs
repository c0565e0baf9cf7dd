//! `import envoy`: rules for requests are those of the route that Envoy chooses.

#![allow(clippy::unwrap_used, reason = "tests")]

mod command;

use command::{Said, run_with};
use serde_json::{Value, json};

const FILTER: &str = r#"
http_filters:
- name: envoy.filters.http.jwt_authn
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
    providers: { main: { issuer: "https://i.example", local_jwks: { inline_string: '{"keys":[{"kty":"oct","alg":"HS256","kid":"k","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC0x"}]}' } } }
    requirement_map: { staff: { provider_name: main } }
    rules: RULES
"#;
const ALL: &str = "[{ match: { prefix: / }, requires: { provider_name: main } }]";

/// What is made of virtual hosts, beside a filter with some rules.
fn import(rules: &str, hosts: &str) -> (Said, Value) {
    let own = |what: &str| {
        format!(
            "typed_per_filter_config: {{ envoy.filters.http.jwt_authn: {{ \"@type\": \
             type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig, {what} }} }}"
        )
    };
    let hosts = hosts
        .replace("OFF", &own("disabled: true"))
        .replace("STAFF", &own("requirement_name: staff"));
    let input = format!(
        "{}route_config:\n  virtual_hosts:\n{hosts}",
        FILTER.replace("RULES", rules).trim_start()
    );
    let said = run_with(&["import", "envoy", "-", "--json"], &input);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    let found = told.pointer("/documents/0/rules").cloned().unwrap_or_default();
    (said, found)
}

/// A host with some routes.
fn host(domains: &str, routes: &str) -> String {
    format!("  - {{ name: h, domains: {domains}, routes: {routes} }}\n")
}

fn authority(regex: &str) -> Value {
    json!([{ "name": ":authority", "string_match": { "safe_regex": { "regex": regex } } }])
}

#[test]
fn routes_before_an_open_one_stay_closed() {
    let main = json!({ "provider_name": "main" });
    let routes =
        "[{ match: { prefix: /admin } }, { match: { prefix: / }, OFF }, { match: { prefix: /c } }]";
    let (said, rules) = import(ALL, &host("[\"*\"]", routes));
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(
        rules,
        json!([
            { "match": { "prefix": "/admin" }, "requires": main },
            { "match": { "prefix": "/" } },
            { "match": { "prefix": "/" }, "requires": main },
        ])
    );
    // Rules for a part of the route, and for other paths; the rest is open natively, too.
    let own = "[{ match: { path: /admin/x }, requires: { provider_name: main } }, { match: { prefix: /other } }]";
    let (said, rules) = import(
        own,
        &host("[\"*\"]", "[{ match: { prefix: /admin } }, { match: { prefix: / }, STAFF }]"),
    );
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(
        rules,
        json!([
            { "match": { "path": "/admin/x" }, "requires": main },
            { "match": { "prefix": "/admin" } },
            { "match": { "prefix": "/" }, "requirement_name": "staff" },
            { "match": { "path": "/admin/x" }, "requires": main },
            { "match": { "prefix": "/other" } },
        ])
    );
    // What no rule can say.
    let own = "[{ match: { safe_regex: { regex: '/.*' } }, requires: { provider_name: main } }]";
    let (said, rules) = import(own, &host("[\"*\"]", routes));
    assert!(said.code == 1 && said.out.contains("what the filter's own rules ask for"), "{said:?}");
    assert_eq!(
        rules.pointer("/0"),
        Some(&json!({ "match": { "prefix": "/admin" }, "requires": main }))
    );
}

#[test]
fn conditions_of_routes_are_kept_or_lost() {
    let routes = "[{ match: { prefix: /, grpc: {}, cookies: [{ name: a, stringMatch: { exact: b } }] }, OFF }]";
    let (said, rules) = import(ALL, &host("[\"*\"]", routes));
    assert_eq!(said.code, 0, "{said:?}");
    let kept = json!({ "prefix": "/", "grpc": {}, "cookies": [{ "name": "a", "stringMatch": { "exact": "b" } }] });
    assert_eq!(rules.pointer("/0/match"), Some(&kept));
    for condition in [
        "tls_context: { presented: true }",
        "dynamic_metadata: [{}]",
        "filter_state: [{}]",
        "runtime_fraction: { default_value: { numerator: 1 } }",
        "runtime_fraction: { runtime_key: a, default_value: { numerator: 100 } }",
        "later_condition: 1",
    ] {
        let routes = format!("[{{ match: {{ prefix: /, {condition} }}, OFF }}]");
        let (said, rules) = import(ALL, &host("[\"*\"]", &routes));
        assert!(said.code == 1 && said.out.contains("no rule can have"), "{condition}: {said:?}");
        assert!(
            !rules.to_string().contains("{\"match\":{\"prefix\":\"/\"}}"),
            "{condition}: {rules}"
        );
    }
}

#[test]
fn virtual_hosts_open_nothing_of_others() {
    let main = json!({ "provider_name": "main" });
    let open = "[{ match: { prefix: / }, OFF }]";
    let closed = "[{ match: { prefix: / } }]";
    let hosts = [host("[\"*\"]", open), host("[api.example, \"*.api.example\"]", closed)].concat();
    let (said, rules) = import(ALL, &hosts);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(
        rules,
        json!([
            { "match": { "prefix": "/", "headers": authority("(?i)(?:api\\.example)") }, "requires": main },
            { "match": { "prefix": "/", "headers": authority("(?i).+\\.api\\.example") }, "requires": main },
            { "match": { "prefix": "/" } },
            { "match": { "prefix": "/" }, "requires": main },
        ])
    );
    let hosts = [host("[open.example]", open), host("[\"*\"]", closed)].concat();
    let (said, rules) = import(ALL, &hosts);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(
        rules,
        json!([
            { "match": { "prefix": "/", "headers": authority("(?i)(?:open\\.example)") } },
            { "match": { "prefix": "/" }, "requires": main },
        ])
    );
    // What a whole virtual host says holds for its routes.
    let whole = "  - { domains: [a.example], OFF, routes: [{ match: { prefix: /s }, STAFF }, { match: { prefix: / } }] }\n";
    let (said, rules) = import(ALL, whole);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(rules.pointer("/0/requirement_name"), Some(&json!("staff")));
    assert_eq!(
        rules.pointer("/1"),
        Some(&json!({ "match": { "prefix": "/", "headers": authority("(?i)(?:a\\.example)") } }))
    );
    let elsewhere = "  - { domains: [a.example], STAFF, matcher: {} }\n";
    let (said, _) = import(ALL, elsewhere);
    assert!(said.code == 1 && said.out.contains("routes are not here"), "{said:?}");
    // A share of a route, and routes of several listeners.
    let share = "[{ match: { prefix: / }, route: { weighted_clusters: { clusters: [{ name: a, OFF }] } } }]";
    let (said, _) = import(ALL, &host("[\"*\"]", share));
    assert!(said.code == 1 && said.out.contains("not of a route"), "{said:?}");
    let two =
        [host("[\"*\"]", open), "more:\n  virtual_hosts:\n".to_owned(), host("[\"*\"]", closed)]
            .concat();
    let (said, rules) = import(ALL, &two);
    assert!(said.code == 1 && said.out.contains("several filters or lists"), "{said:?}");
    assert_eq!(rules, json!([{ "match": { "prefix": "/" }, "requires": main }]));
}
