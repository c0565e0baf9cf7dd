//! Authorization and the checks of tokens, in the engine: who gets in, and what those who do not are
//! told.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod gate;

use gate::{Gate, NOW, challenge, run_examples, told};
use jwt_gate::engine::Counter;
use jwt_gate::policy::Policy;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

fn key() -> SigningKey {
    SigningKey::generate(Alg::HS256, "k")
}

fn provider(key: &SigningKey, changes: Value) -> Value {
    let mut provider = json!({ "local_jwks": { "inline_string": jwks(&[key]).to_string() } });
    for (name, value) in changes.as_object().unwrap() {
        provider[name] = value.clone();
    }
    provider
}

fn template(template: &str) -> Value {
    json!({ "path_match_policy": { "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
        "path_template": template } } })
}

#[test]
fn rules_ask_for_scopes_and_claims() {
    let key = key();
    let mut gate = Gate::new(&json!({
        "providers": { "p": provider(&key, json!({})) },
        "rules": [
            { "match": { "prefix": "/orders", "headers": [{ "name": ":method", "string_match": { "exact": "GET" } }] },
              "requires": { "provider_name": "p" },
              "authorization": { "scopes": { "all": ["orders:read"] } } },
            { "match": { "prefix": "/orders" }, "requires": { "provider_name": "p" },
              "authorization": { "all": [
                { "scopes": { "all": ["orders:read", "orders:write"] } },
                { "claim": ["realm_access", "roles"],
                  "list_match": { "any": { "string_match": "clerk" } } } ] } },
            { "match": { "prefix": "/open" }, "requires": { "allow_missing": {} },
              "authorization": { "not": { "claim": ["banned"], "bool_match": true } } },
            { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
        ],
    }));
    let reader = key.sign(&json!({ "scope": "orders:read" }));
    let writer = key.sign(&json!({ "scope": "orders:read orders:write" }));
    let clerk = key.sign(&json!({ "scope": "orders:read orders:write",
        "realm_access": { "roles": ["clerk"] } }));
    let nobody = key.sign(&json!({}));
    assert_eq!(gate.get("/orders", &reader), "pass");
    assert_eq!(gate.get("/orders", &nobody), "403 insufficient_scope");
    assert_eq!(gate.get("/other", &nobody), "pass");
    assert_eq!(gate.ask("POST", "/orders", Some(&clerk)), "pass");
    // Scopes alone would not help the second.
    let role_only = key.sign(&json!({ "realm_access": { "roles": ["clerk"] } }));
    assert_eq!(gate.ask("POST", "/orders", Some(&role_only)), "403 insufficient_scope");
    assert_eq!(gate.ask("POST", "/orders", Some(&writer)), "403 claims_not_allowed");
    assert_eq!(gate.ask("POST", "/orders", Some(&reader)), "403 claims_not_allowed");
    let text = key.sign(&json!({ "scope": "orders:read orders:write",
        "realm_access": { "roles": "clerk" } }));
    assert_eq!(gate.ask("POST", "/orders", Some(&text)), "403 claims_not_allowed");
    assert_eq!(gate.ask("GET", "/orders", None), "401 token_missing");
    assert_eq!(gate.ask("GET", "/open", None), "pass");
    assert_eq!(gate.get("/open", &nobody), "pass");
    let banned = |value: Value| key.sign(&json!({ "banned": value }));
    assert_eq!(gate.get("/open", &banned(json!(true))), "403 claims_not_allowed");
    assert_eq!(gate.get("/open", &banned(json!("true"))), "403 claims_not_allowed");
    assert_eq!(gate.get("/open", &banned(json!(false))), "pass");
    let counted = |gate: &Gate, code: &str| {
        let is_it = |counter: &&Counter| matches!(counter, Counter::DeniedFor(reason) if reason.code() == code);
        gate.counted.iter().filter(is_it).count()
    };
    assert_eq!(counted(&gate, "insufficient_scope"), 2);
    assert_eq!(counted(&gate, "claims_not_allowed"), 5);
}

/// RFC 6750 section 3.1: the scopes that are needed; no challenge where no token could say more.
#[test]
fn challenges() {
    let key = key();
    let mut gate = Gate::new(&json!({
        "providers": { "p": provider(&key, json!({})) },
        "rules": [
            { "match": { "path": "/all" }, "requires": { "provider_name": "p" },
              "authorization": { "scopes": { "all": ["b", "a"] } } },
            { "match": { "path": "/any" }, "requires": { "provider_name": "p" },
              "authorization": { "scopes": { "any": ["b", "a"] } } },
            { "match": { "path": "/claim" }, "requires": { "provider_name": "p" },
              "authorization": { "claim": ["x"], "present_match": true } },
            { "match": { "path": "/optional" }, "requires": { "allow_missing": {} },
              "authorization": { "scopes": { "all": ["a"] } } },
        ],
    }));
    let bearer = format!("Bearer {}", key.sign(&json!({})));
    let mut ask = |path: &str| gate.decide(NOW, &[(":path", path), ("authorization", &bearer)]);
    assert_eq!(
        challenge(&ask("/all")).unwrap(),
        "Bearer realm=\"http://h/all\", error=\"insufficient_scope\", scope=\"b a\""
    );
    assert_eq!(
        challenge(&ask("/any")).unwrap(),
        "Bearer realm=\"http://h/any\", error=\"insufficient_scope\", scope=\"b\""
    );
    assert_eq!(challenge(&ask("/claim")), None);
    // Without a token, one is asked for.
    let decision = gate.decide(NOW, &[(":path", "/optional")]);
    assert_eq!(told(&decision), "401 token_missing");
    assert_eq!(challenge(&decision).unwrap(), "Bearer realm=\"http://h/optional\"");
}

/// The same token, kept in the cache, on another path and for another person.
#[test]
fn known_tokens_are_authorized_again() {
    let key = key();
    let mut rule = json!({ "match": template("/users/{id}/**"), "requires": { "provider_name": "p" },
        "authorization": { "any": [
            { "claim": ["sub"], "request_match": { "path_variable": "id" } },
            { "claim": ["admin"], "bool_match": true } ] } });
    let config = |rule: &Value| {
        json!({
            "providers": { "p": provider(&key, json!({})) },
            "rules": [rule, { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }],
        })
    };
    let mut gate = Gate::new(&config(&rule));
    let alice = key.sign(&json!({ "sub": "alice" }));
    let admin = key.sign(&json!({ "sub": "root", "admin": true }));
    for _ in 0..2 {
        assert_eq!(gate.get("/users/alice/orders", &alice), "pass");
        assert_eq!(gate.get("/users/bob/orders", &alice), "403 claims_not_allowed");
        assert_eq!(gate.get("/users/alice/../bob/orders", &alice), "403 claims_not_allowed");
        assert_eq!(gate.get("/users/alice/%2e%2e/bob/orders", &alice), "403 claims_not_allowed");
        assert_eq!(gate.get("/users/bob/orders", &admin), "pass");
    }
    let known = gate.counted.iter().filter(|counter| matches!(counter, Counter::CacheHit));
    assert_eq!(known.count(), 8);
    // The same with a template of the condition's own.
    rule["match"] = json!({ "prefix": "/users/" });
    rule["authorization"]["any"][0]["request_match"]["path_template"] = json!("/users/{id}/**");
    let mut gate = Gate::new(&config(&rule));
    assert_eq!(gate.get("/users/alice/orders", &alice), "pass");
    assert_eq!(gate.get("/users/bob/orders", &alice), "403 claims_not_allowed");
    assert_eq!(gate.get("/users/alice", &alice), "403 claims_not_allowed");
}

#[test]
fn requirements_ask_for_their_own_tokens() {
    let (user, work) = (key(), key());
    let from = |name: &str| json!([{ "name": name, "value_prefix": "" }]);
    let providers = json!({
        "user": provider(&user, json!({ "issuer": "u", "from_headers": from("x-user") })),
        "work": provider(&work, json!({ "issuer": "w", "from_headers": from("x-work") })),
    });
    let user_needs = json!({ "provider_name": "user",
        "authorization": { "scopes": { "any": ["a"] } } });
    let work_needs = json!({
        "provider_and_audiences": { "provider_name": "work", "audiences": ["api"] },
        "authorization": { "claim": ["sub"], "string_match": { "prefix": "spiffe://" } } });
    let config = |kind: &str| {
        json!({ "providers": providers, "rules": [{ "match": { "prefix": "/" },
            "requires": { kind: { "requirements": [user_needs, work_needs] } } }] })
    };
    let users = [json!({ "iss": "u", "scope": "a" }), json!({ "iss": "u" })]
        .map(|claims| user.sign(&claims));
    let works =
        ["spiffe://x", "x"].map(|sub| work.sign(&json!({ "iss": "w", "aud": "api", "sub": sub })));
    let ask = |gate: &mut Gate, user: Option<usize>, work: Option<usize>| {
        let user = user.map(|index| ("x-user", users[index].as_str()));
        let headers: Vec<_> =
            user.into_iter().chain(work.map(|index| ("x-work", works[index].as_str()))).collect();
        told(&gate.decide(NOW, &headers))
    };
    let mut all = Gate::new(&config("requires_all"));
    assert_eq!(ask(&mut all, Some(0), Some(0)), "pass");
    assert_eq!(ask(&mut all, Some(1), Some(0)), "403 insufficient_scope");
    assert_eq!(ask(&mut all, Some(0), Some(1)), "403 claims_not_allowed");
    assert_eq!(ask(&mut all, Some(0), None), "401 token_missing");
    // An alternative that is not met leaves the next one; what a good token lacks says most.
    let mut any = Gate::new(&config("requires_any"));
    assert_eq!(ask(&mut any, Some(0), None), "pass");
    assert_eq!(ask(&mut any, Some(1), Some(0)), "pass");
    assert_eq!(ask(&mut any, Some(1), None), "403 insufficient_scope");
    assert_eq!(ask(&mut any, Some(1), Some(1)), "403 claims_not_allowed");
    let bad = told(&any.decide(NOW, &[("x-user", &users[1]), ("x-work", "a.b.c")]));
    assert_eq!(bad, "403 insufficient_scope");
}

/// Every token of a request must meet what allows; one is enough for what denies.
#[test]
fn all_tokens_count() {
    let key = key();
    let tokens =
        json!([{ "name": "x-a", "value_prefix": "" }, { "name": "x-b", "value_prefix": "" }]);
    let config = || {
        json!({
            "providers": { "p": provider(&key, json!({ "from_headers": tokens })) },
            "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }],
        })
    };
    let good = key.sign(&json!({ "role": "admin" }));
    let other = key.sign(&json!({ "role": "user" }));
    let admin = json!({ "claim": ["role"], "string_match": "admin" });
    let mut rule = config();
    rule["rules"][0]["authorization"] = admin.clone();
    let mut allow = config();
    allow["authorization"] =
        json!({ "policies": [{ "action": "allow", "when": admin }], "default": "deny" });
    let mut deny = config();
    deny["authorization"] = json!({ "policies": [
        { "action": "deny", "when": { "claim": ["role"], "string_match": "user" } }], "default": "allow" });
    for (config, code) in
        [(rule, "claims_not_allowed"), (allow, "allowed_by_no_policy"), (deny, "denied_by_policy")]
    {
        let mut gate = Gate::new(&config);
        assert_eq!(told(&gate.decide(NOW, &[("x-a", &good), ("x-b", &good)])), "pass");
        for pair in [[("x-a", good.as_str()), ("x-b", &other)], [("x-a", &other), ("x-b", &good)]] {
            assert_eq!(told(&gate.decide(NOW, &pair)), format!("403 {code}"));
        }
    }
}

#[test]
fn policies_decide_in_order() {
    let key = key();
    let mut gate = Gate::new(&json!({
        "providers": { "p": provider(&key, json!({})) },
        "rules": [
            { "match": { "path": "/healthz" } },
            { "match": { "prefix": "/" }, "requires": { "allow_missing": {} } },
        ],
        "authorization": {
            "policies": [
                { "action": "deny", "when": { "claim": ["suspended"], "bool_match": true } },
                { "action": "allow", "match": { "path": "/healthz" } },
                { "action": "deny", "match": { "prefix": "/admin" },
                  "when": { "not": { "claim": ["role"], "string_match": "admin" } } },
                { "action": "allow", "match": { "prefix": "/admin" }, "methods": ["GET", "POST"] },
                { "action": "allow", "match": { "prefix": "/" }, "methods": "GET",
                  "when": { "scopes": { "any": ["read", "admin"] } } },
                { "action": "allow", "match": { "path_separated_prefix": "/public" } },
            ],
            "default": "deny",
        },
    }));
    let token = |claims: Value| key.sign(&claims);
    let (admin, reader) = (token(json!({ "role": "admin" })), token(json!({ "scope": "read" })));
    let suspended = token(json!({ "role": "admin", "suspended": true }));
    let odd = token(json!({ "role": "admin", "suspended": "yes" }));
    let nobody = token(json!({}));
    for (method, path, token, expected) in [
        ("GET", "/healthz", None, "pass"),
        ("GET", "/admin", Some(&admin), "pass"),
        ("DELETE", "/admin", Some(&admin), "403 allowed_by_no_policy"),
        ("GET", "/admin", Some(&suspended), "403 denied_by_policy"),
        ("GET", "/admin", Some(&odd), "403 denied_by_policy"),
        ("GET", "/admin", Some(&reader), "403 denied_by_policy"),
        ("GET", "/admin", None, "403 denied_by_policy"),
        ("GET", "/x", Some(&reader), "pass"),
        ("POST", "/x", Some(&reader), "403 allowed_by_no_policy"),
        ("GET", "/x", Some(&nobody), "403 insufficient_scope"),
        ("GET", "/x", None, "401 token_missing"),
        ("GET", "/public/x", None, "pass"),
        ("GET", "/public/x", Some(&nobody), "pass"),
        ("GET", "/publicx", None, "401 token_missing"),
        // Paths that the backend may read as others: no policy on paths allows them, and each denies.
        ("GET", "/public/../admin", None, "403 denied_by_policy"),
        ("GET", "/public/..;/admin", Some(&nobody), "403 denied_by_policy"),
        ("GET", "/public/%2e%2e/admin", Some(&admin), "403 insufficient_scope"),
        ("GET", "/public//x", Some(&admin), "403 insufficient_scope"),
        ("GET", "/%61dmin", Some(&reader), "403 denied_by_policy"),
        ("GET", "//admin", Some(&reader), "403 denied_by_policy"),
        ("GET", "/adm%69n", Some(&admin), "403 insufficient_scope"),
        // An escape that has nothing to do with any of them.
        ("GET", "/public/a%20b", None, "pass"),
        ("GET", "/public/a%40b", None, "pass"),
        ("GET", "/public/%61", None, "pass"),
    ] {
        let told = gate.ask(method, path, token.map(String::as_str));
        assert_eq!(told, expected, "{method} {path}");
    }
}

/// What is denied stays denied in every spelling that a backend may take for the same path.
#[test]
fn spellings_of_a_path() {
    for (denied, spellings) in [
        ("/caf%C3%A9", &["/caf%C3%A9", "/caf%c3%a9", "/caf%C3%a9", "/c%61f%c3%A9"][..]),
        ("/caf\u{e9}", &["/caf%C3%A9", "/caf%c3%a9", "/caf\u{e9}"]),
        ("/private docs", &["/private%20docs", "/private docs", "/p%72ivate%20docs"]),
        ("/r[1]", &["/r[1]", "/r%5B1%5D", "/r%5b1]"]),
        ("/r%5B1%5D", &["/r[1]", "/r%5B1%5D", "/r%5b1%5d"]),
        ("/a^b", &["/a^b", "/a%5Eb"]),
        ("/a|b", &["/a|b", "/a%7cb"]),
    ] {
        let mut gate = Gate::new(&json!({
            "providers": { "p": provider(&key(), json!({})) },
            "rules": [{ "match": { "prefix": "/" } }],
            "authorization": {
                "policies": [{ "action": "deny", "match": { "path": denied } }],
                "default": "allow",
            },
        }));
        for path in spellings {
            assert_eq!(gate.ask("GET", path, None), "403 denied_by_policy", "{denied} {path}");
        }
        assert_eq!(gate.ask("GET", "/other%20one", None), "pass", "{denied}");
    }
}

/// A policy for one provider's tokens is none for requests that bring no such token.
#[test]
fn policies_for_one_provider() {
    let (a, b) = (key(), key());
    let mut gate = Gate::new(&json!({
        "providers": { "a": provider(&a, json!({ "issuer": "a" })), "b": provider(&b, json!({ "issuer": "b" })) },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "allow_missing": {} } }],
        "authorization": {
            "policies": [
                { "action": "deny", "provider_name": "b", "when": { "not": { "scopes": { "any": ["s"] } } } },
                { "action": "allow", "provider_name": "a" },
                { "action": "allow", "provider_name": "b", "methods": ["GET"] },
            ],
            "default": "deny",
        },
    }));
    assert_eq!(gate.get("/", &a.sign(&json!({ "iss": "a" }))), "pass");
    assert_eq!(gate.get("/", &b.sign(&json!({ "iss": "b" }))), "403 denied_by_policy");
    let scoped = b.sign(&json!({ "iss": "b", "scope": "s" }));
    assert_eq!(gate.get("/", &scoped), "pass");
    assert_eq!(gate.ask("PUT", "/", Some(&scoped)), "403 allowed_by_no_policy");
    assert_eq!(gate.ask("GET", "/", None), "401 token_missing");
}

/// Preflights that are let through without a token are let through by the policies, too; and what no
/// rule asks a token of is asked for nothing that a token could bring.
#[test]
fn what_needs_no_token() {
    let key = key();
    let mut gate = Gate::new(&json!({
        "providers": { "p": provider(&key, json!({})) },
        "rules": [{ "match": { "path": "/open" } }, { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }],
        "bypass_cors_preflight": true,
        "authorization": { "policies": [], "default": "deny" },
    }));
    let preflight =
        [(":method", "OPTIONS"), ("origin", "o"), ("access-control-request-method", "PUT")];
    assert_eq!(told(&gate.decide(NOW, &preflight)), "pass");
    assert_eq!(gate.ask("GET", "/open", None), "403 allowed_by_no_policy");
    assert_eq!(gate.ask("OPTIONS", "/", None), "401 token_missing");
    assert_eq!(gate.get("/", &key.sign(&json!({}))), "403 allowed_by_no_policy");
}

/// What tokens must be, whatever the request: on the first look and from the cache.
#[test]
fn token_checks() {
    let key = key();
    let token = |header: Value, claims: Value| {
        let mut whole = json!({ "alg": "HS256", "kid": "k" });
        for (name, value) in header.as_object().unwrap() {
            whole[name] = value.clone();
        }
        key.sign_with_header(&whole, claims.to_string().as_bytes())
    };
    let check = |settings: Value, header: Value, claims: Value, expected: &str| {
        let mut gate =
            Gate::new(&json!({ "providers": { "p": provider(&key, settings.clone()) } }));
        for _ in 0..2 {
            let told = gate.get("/", &token(header.clone(), claims.clone()));
            assert_eq!(told, expected, "{settings} {header} {claims}");
        }
    };
    let none = || json!({});
    check(json!({ "algorithms": ["ES256", "HS256"] }), none(), none(), "pass");
    check(json!({ "algorithms": ["HS384", "ES256"] }), none(), none(), "401 algorithm_not_allowed");
    let at = || json!({ "token_types": ["at+jwt"] });
    for typ in ["at+jwt", "application/at+jwt", "AT+JWT", "Application/AT+jwt"] {
        check(at(), json!({ "typ": typ }), none(), "pass");
        check(
            json!({ "token_types": ["application/at+jwt"] }),
            json!({ "typ": typ }),
            none(),
            "pass",
        );
    }
    for typ in [
        json!("JWT"),
        json!("at+jwt "),
        json!("x/at+jwt"),
        json!("application/x/at+jwt"),
        json!(""),
        json!(null),
        json!(["at+jwt"]),
        json!(1),
    ] {
        check(at(), json!({ "typ": typ }), none(), "401 type_not_allowed");
    }
    check(at(), none(), none(), "401 type_not_allowed");
    let required = || json!({ "required_claims": ["sub", "client_id"] });
    check(required(), none(), json!({ "sub": "a", "client_id": "" }), "pass");
    check(required(), none(), json!({ "sub": "a" }), "401 claim_missing");
    check(required(), none(), json!({ "sub": "a", "client_id": null }), "401 claim_missing");
    let parties = || json!({ "authorized_parties": ["web", "app"] });
    check(parties(), none(), json!({ "azp": "web" }), "pass");
    check(parties(), none(), json!({ "client_id": "app" }), "pass");
    check(parties(), none(), json!({ "azp": "web", "client_id": "app" }), "pass");
    for claims in [
        none(),
        json!({ "azp": "x" }),
        json!({ "azp": "web", "client_id": "x" }),
        json!({ "azp": "x", "client_id": "web" }),
        json!({ "azp": ["web"] }),
        json!({ "azp": null, "client_id": "web" }),
        json!({ "azp": "Web" }),
    ] {
        check(parties(), none(), claims, "401 party_not_allowed");
    }
    let several = || json!({ "issuers": ["a", "b"] });
    check(several(), none(), json!({ "iss": "b" }), "pass");
    for claims in [none(), json!({ "iss": "c" }), json!({ "iss": "a b" }), json!({ "iss": "" })] {
        check(several(), none(), claims, "401 issuer_unknown");
    }
    let age = || json!({ "max_age": "100s", "clock_skew": "0s" });
    check(age(), none(), json!({ "iat": NOW - 100 }), "pass");
    check(age(), none(), json!({ "iat": NOW }), "pass");
    for claims in
        [none(), json!({ "iat": NOW - 101 }), json!({ "iat": NOW + 1 }), json!({ "iat": 0 })]
    {
        check(age(), none(), claims, "401 age_not_allowed");
    }
    check(json!({ "max_age": "100s" }), none(), json!({ "iat": NOW - 160 }), "pass");
    check(json!({ "max_age": "100s" }), none(), json!({ "iat": NOW - 161 }), "401 age_not_allowed");
    check(json!({ "max_age": "100s" }), none(), json!({ "iat": NOW + 60 }), "pass");
    check(json!({ "max_age": "100s" }), none(), json!({ "iat": NOW + 61 }), "401 age_not_allowed");
    check(json!({ "clock_skew": "0s" }), none(), json!({ "exp": NOW }), "401 expired");
    check(json!({ "clock_skew": "0s" }), none(), json!({ "exp": NOW + 1 }), "pass");
}

/// A token that is known grows too old all the same.
#[test]
fn known_tokens_grow_too_old() {
    let key = key();
    let mut gate = Gate::new(
        &json!({ "providers": { "p": provider(&key, json!({ "max_age": "100s", "clock_skew": "0s" })) } }),
    );
    let bearer = format!("Bearer {}", key.sign(&json!({ "iat": NOW })));
    let mut at = |now: u64| told(&gate.decide(now, &[("authorization", &bearer)]));
    assert_eq!(at(NOW), "pass");
    assert_eq!(at(NOW + 100), "pass");
    assert_eq!(at(NOW + 101), "401 age_not_allowed");
}

/// The same checks where the issuer says whose token it is.
#[test]
fn several_issuers_choose_their_provider() {
    let (a, b) = (key(), key());
    let mut gate = Gate::new(&json!({
        "providers": {
            "a": provider(&a, json!({ "issuers": ["a1", "a2"] })),
            "b": provider(&b, json!({ "issuer": "b" })),
        },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "allow_missing": {} } }],
    }));
    assert_eq!(gate.get("/", &a.sign(&json!({ "iss": "a2" }))), "pass");
    assert_eq!(gate.get("/", &b.sign(&json!({ "iss": "b" }))), "pass");
    assert_eq!(gate.get("/", &b.sign(&json!({ "iss": "a1" }))), "401 signature_invalid");
    assert_eq!(gate.get("/", &a.sign(&json!({ "iss": "c" }))), "401 issuer_unknown");
}

/// Without conditions, nothing is kept of the claims.
#[test]
fn claims_are_read_only_where_somebody_asks() {
    let key = key();
    let reads = |settings: Value, rest: Value| {
        let mut config = json!({ "providers": { "p": provider(&key, settings) } });
        for (name, value) in rest.as_object().unwrap() {
            config[name] = value.clone();
        }
        Policy::parse(config.to_string().as_bytes()).unwrap().reads_claims()
    };
    assert!(!reads(json!({ "max_age": "5s", "algorithms": ["HS256"] }), json!({})));
    assert!(!reads(json!({}), json!({ "authorization": { "policies": [], "default": "allow" } })));
    assert!(reads(json!({ "required_claims": ["sub"] }), json!({})));
    assert!(reads(json!({ "authorized_parties": ["a"] }), json!({})));
    let when = json!({ "claim": ["a"], "present_match": true });
    assert!(reads(
        json!({}),
        json!({ "authorization": {
        "policies": [{ "action": "deny", "when": when }], "default": "allow" } })
    ));
    assert!(reads(
        json!({}),
        json!({ "default_requirement": {
        "provider_name": "p", "authorization": when } })
    ));
}

/// The examples of `docs/authorization.md` are configurations, and decide as they say.
#[test]
fn examples_in_the_documentation() {
    assert_eq!(run_examples(include_str!("../docs/authorization.md")), (9, 52));
}
