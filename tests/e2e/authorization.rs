//! Authorization on claims, through Envoy.

use jwt_gate_demo::http::Request;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

use crate::bed::{Bed, Plan, eventually, in_both, seen};

fn bed(version: &'static str, key: &SigningKey, mut rest: Value) -> Bed {
    rest["providers"] = json!({ "p": {
        "local_jwks": { "inline_string": jwks(&[key]).to_string() },
        "claim_to_headers": [{ "header_name": "x-sub", "claim_name": "sub" }],
    } });
    Plan { version, concurrency: 1, ..Plan::new(rest, 1) }.start()
}

fn key() -> SigningKey {
    SigningKey::generate(Alg::ES256, "k")
}

in_both!(scopes_are_asked_for_in_the_challenge);
fn scopes_are_asked_for_in_the_challenge(version: &'static str) {
    let key = key();
    let bed = bed(
        version,
        &key,
        json!({ "rules": [
            { "match": { "prefix": "/orders" }, "requires": { "provider_name": "p" },
              "authorization": { "scopes": { "all": ["orders:read", "orders:list"] } } },
            { "match": { "prefix": "/staff" }, "requires": { "provider_name": "p" },
              "authorization": { "claim": ["realm_access", "roles"],
                "list_match": { "any": { "string_match": "staff" } } } },
        ] }),
    );
    let ask = |path: &str, claims: Value| bed.send(&Request::get(path).bearer(&key.sign(&claims)));
    let good = ask("/orders", json!({ "sub": "alice", "scope": "orders:list orders:read" }));
    assert_eq!((good.status, seen(&good, "x-sub")), (200, vec!["alice".to_owned()]));
    let poor = ask("/orders?secret", json!({ "scope": "orders:list" }));
    assert_eq!((poor.status, poor.text()), (403, "Jwt scope is insufficient".to_owned()));
    let told = format!(
        "Bearer realm=\"http://{}/orders\", error=\"insufficient_scope\", \
         scope=\"orders:read orders:list\"",
        bed.address
    );
    assert_eq!(poor.header("www-authenticate"), Some(told));
    let roles = |roles: Value| ask("/staff", json!({ "realm_access": { "roles": roles } }));
    assert_eq!(roles(json!(["clerk", "staff"])).status, 200);
    for other in
        [json!(["clerk"]), json!("staff"), json!(null), json!([]), json!({ "staff": true })]
    {
        let answer = roles(other);
        assert_eq!((answer.status, answer.text()), (403, "Jwt claims are not allowed".to_owned()));
        assert_eq!(answer.header("www-authenticate"), None);
    }
    let call = Request::new("POST", "/orders").header("content-type", "application/grpc");
    let answer = bed.send(&call.bearer(&key.sign(&json!({}))));
    assert_eq!(answer.header("grpc-status").unwrap(), "7");
    assert_eq!(bed.counter("allowed"), 2);
    assert_eq!(bed.counter("denied_for.insufficient_scope"), 2);
    assert_eq!(bed.counter("denied_for.claims_not_allowed"), 5);
    let line = "access: - 403 jwt_authn_access_denied{Jwt_scope_is_insufficient}";
    eventually("the access log is written", || bed.log().contains(line));
    assert!(bed.log().contains("denied reason=claims_not_allowed status=403"));
}

in_both!(providers_are_particular_about_tokens);
/// What a provider asks of its tokens beyond a good signature; with room for one key's table and not
/// for two.
fn providers_are_particular_about_tokens(version: &'static str) {
    let (key, other) = (key(), SigningKey::generate(Alg::ES384, "other"));
    let configuration = json!({
        "providers": { "p": {
            "local_jwks": { "inline_string": jwks(&[&key, &other]).to_string() },
            "issuers": ["https://a.example", "https://b.example"],
            "algorithms": ["ES256"],
            "token_types": ["at+jwt"],
            "required_claims": ["jti"],
            "authorized_parties": ["shop"],
            "max_age": "600s",
            "clock_skew": "0s",
        } },
        "key_tables": { "max_octets": 70_000 },
    });
    let bed = Plan { version, concurrency: 1, ..Plan::new(configuration, 1) }.start();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let good = || {
        json!({ "iss": "https://b.example", "jti": "1", "azp": "shop", "client_id": "shop",
                "iat": now - 5, "exp": now + 600 })
    };
    let header = |key: &SigningKey, typ: &str| {
        let mut header = key.header();
        header["typ"] = json!(typ);
        header
    };
    let ask = |key: &SigningKey, typ: &str, claims: &Value| {
        let token = key.sign_with_header(&header(key, typ), claims.to_string().as_bytes());
        bed.get(&token).status
    };
    // Often enough for a table, each token a new one.
    for round in 0..12 {
        let mut claims = good();
        claims["jti"] = json!(format!("{round}"));
        assert_eq!(ask(&key, "AT+JWT", &claims), 200);
        assert_eq!(ask(&key, "application/at+jwt", &claims), 200);
    }
    let with = |name: &str, value: Value| {
        let mut claims = good();
        claims[name] = value;
        claims
    };
    for (claims, reason) in [
        (with("iss", json!("https://c.example")), "issuer_unknown"),
        (with("jti", json!("")), ""),
        (with("azp", json!("spy")), "party_not_allowed"),
        (with("client_id", json!(["shop"])), "party_not_allowed"),
        (with("iat", json!(now - 3_600)), "age_not_allowed"),
        (with("iat", json!(now + 3_600)), "age_not_allowed"),
    ] {
        let before = bed.counter(&format!("denied_for.{reason}"));
        let expected = if reason.is_empty() { 200 } else { 401 };
        assert_eq!(ask(&key, "at+jwt", &claims), expected, "{claims}");
        let after = bed.counter(&format!("denied_for.{reason}"));
        assert_eq!(after - before, u64::from(!reason.is_empty()), "{reason}");
    }
    let mut without = good();
    without.as_object_mut().unwrap().remove("jti");
    assert_eq!(ask(&key, "at+jwt", &without), 401);
    assert_eq!(ask(&key, "JWT", &good()), 401);
    assert_eq!(ask(&other, "at+jwt", &good()), 401);
    for reason in ["claim_missing", "type_not_allowed", "algorithm_not_allowed"] {
        assert_eq!(bed.counter(&format!("denied_for.{reason}")), 1, "{reason}");
    }
    assert_eq!(bed.counter("distrusted_key"), 0);
}

in_both!(a_path_is_bound_to_its_subject);
fn a_path_is_bound_to_its_subject(version: &'static str) {
    let key = key();
    let template = json!({ "path_match_policy": { "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
        "path_template": "/users/{id}/**" } } });
    let bed = bed(
        version,
        &key,
        json!({ "rules": [
            { "match": template, "requires": { "provider_name": "p" },
              "authorization": { "claim": ["sub"], "request_match": { "path_variable": "id" } } },
            { "match": { "prefix": "/" }, "requires": { "provider_name": "p" },
              "authorization": { "claim": ["admin"], "bool_match": true } },
        ] }),
    );
    let alice = key.sign(&json!({ "sub": "alice@a.example" }));
    let ask = |path: &str| bed.send(&Request::get(path).bearer(&alice)).status;
    // The token is verified once, and authorized for each path.
    for _ in 0..2 {
        assert_eq!(ask("/users/alice@a.example/x"), 200);
        assert_eq!(ask("/users/alice%40a.example/x?y=/users/bob/"), 200);
        for other in [
            "/users/bob/x",
            "/users/alice@a.example",
            "/users//x",
            "/users/alice@a.example/../bob/x",
            "/users/alice@a.example/%2e%2e/bob/x",
            "/users/alice@a.example/..;/bob/x",
            "/users/alice@a.example/..%2fbob/x",
            "/users/alice@a.example/..%5cbob/x",
            "/users/alice@a.example/%252e%252e/bob/x",
            "/users/alice@a.example//x",
            "//users/alice@a.example/x",
            "/users/alice@a.example;/x",
            "/users/alice%2540a.example/x",
        ] {
            assert!([400, 403].contains(&ask(other)), "{other}");
        }
    }
    assert_eq!(bed.counter("jwt_cache_miss"), 1);
    assert_eq!(bed.counter("allowed"), 4);
}

in_both!(denials_come_before_allowances);
fn denials_come_before_allowances(version: &'static str) {
    let key = key();
    let bed = bed(
        version,
        &key,
        json!({
            "rules": [{ "match": { "prefix": "/" }, "requires": { "allow_missing": {} } }],
            "authorization": {
                "policies": [
                    { "action": "deny", "when": { "claim": ["suspended"], "bool_match": true } },
                    { "action": "deny", "match": { "prefix": "/admin" },
                      "when": { "not": { "claim": ["role"], "string_match": "admin" } } },
                    { "action": "allow", "when": { "authenticated": true } },
                    { "action": "allow", "match": { "prefix": "/public/" }, "methods": ["GET"] },
                ],
                "default": "deny",
            },
        }),
    );
    let ask = |method: &str, path: &str, claims: Option<Value>| {
        let request = Request::new(method, path);
        bed.send(&match claims {
            Some(claims) => request.bearer(&key.sign(&claims)),
            None => request,
        })
        .status
    };
    let admin = || Some(json!({ "role": "admin" }));
    assert_eq!(ask("GET", "/admin", admin()), 200);
    assert_eq!(ask("GET", "/admin", Some(json!({ "role": "admin", "suspended": true }))), 403);
    assert_eq!(ask("GET", "/admin", Some(json!({ "role": "admin", "suspended": "no" }))), 403);
    assert_eq!(ask("GET", "/admin", Some(json!({ "role": "user" }))), 403);
    assert_eq!(ask("GET", "/%61dmin", Some(json!({ "role": "user" }))), 403);
    assert_eq!(ask("GET", "/x;/../admin", Some(json!({ "role": "user" }))), 403);
    assert_eq!(ask("GET", "/x", Some(json!({ "role": "user" }))), 200);
    assert_eq!(ask("GET", "/x", None), 401);
    assert_eq!(ask("GET", "/public/x", None), 200);
    assert_eq!(ask("POST", "/public/x", None), 401);
    assert_ne!(ask("GET", "/public/..;/admin", None), 200);
    assert!(bed.counter("denied_for.denied_by_policy") >= 6);
    assert_eq!(bed.counter("denied_for.token_missing"), 2);
    let report = "authorization policies for every request: 4, otherwise denied";
    eventually("the report is in the log", || bed.envoy.logs().contains(report));
}
