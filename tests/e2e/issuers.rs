//! Several issuers of one provider, through Envoy.

use jwt_gate_demo::bootstrap::cluster;
use jwt_gate_demo::issuer::{Fault, Issuer, IssuerOptions};
use jwt_gate_demo::keys::{Alg, SigningKey};
use jwt_gate_demo::serve::Server;
use serde_json::{Value, json};

use crate::bed::{Plan, eventually, in_both, issuer, seen, serve};

const A: &str = "http://issuer.test";
const B: &str = "http://b.test:8080";

fn called(name: &str) -> Issuer {
    Issuer::new(IssuerOptions {
        issuer: name.to_owned(),
        algorithm: Alg::ES256,
        ..IssuerOptions::default()
    })
}

in_both!(issuers_of_one_provider_have_their_own_keys);
/// Two issuers, each discovered by way of its own cluster. One of them goes down and comes back.
fn issuers_of_one_provider_have_their_own_keys(version: &'static str) {
    let (a, b) = (called(A), called(B));
    let server_a = serve(&a, None);
    let server_b = serve(&b, None);
    let address_b = server_b.addr();
    let configuration = json!({
        "providers": { "corp": {
            "issuers": [A, B],
            "remote_jwks": {
                "discovery": {
                    "cluster": "issuer", "timeout": "2s", "document": "openid-configuration",
                    "clusters": { "b.test:8080": "b" },
                },
                "cache_duration": "1s",
                "stale_if_error": "1s",
            },
            "claim_to_headers": [{ "header_name": "x-sub", "claim_name": "sub" }],
        } },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "corp" } }],
        "authorization": {
            "policies": [{ "action": "deny", "provider_name": "corp",
                "when": { "claim": "sub", "string_match": "mallory" } }],
            "default": "allow",
        },
    });
    let clusters = vec![cluster("b", "127.0.0.1", address_b.port(), None)];
    let plan = Plan::new(configuration, server_a.addr().port());
    let bed = Plan { version, clusters, ..plan }.start();
    let good = |issuer: &Issuer| {
        let answer = bed.get(&issuer.mint(json!({ "sub": "alice" })));
        (answer.status == 200).then(|| assert_eq!(seen(&answer, "x-sub"), ["alice"])).is_some()
    };
    assert!(good(&a) && good(&b));
    for (own, other, iss) in [(&a, &b, B), (&b, &a, A)] {
        let forged = own.mint(json!({ "iss": iss }));
        let answer = bed.get(&forged);
        let told = "Jwks doesn't have key to match kid or alg from Jwt";
        assert_eq!((answer.status, answer.text()), (401, told.to_owned()));
        let kid = other.signing_key().kid().to_owned();
        let forged = own.mint_with_header(json!({ "iss": iss }), json!({ "kid": kid }));
        let answer = bed.get(&forged);
        assert_eq!((answer.status, answer.text()), (401, "Jwt verification fails".to_owned()));
        assert_eq!(bed.get(&own.mint(json!({ "sub": "mallory" }))).status, 403);
        assert_eq!(bed.get(&own.mint(json!({ "iss": "http://c.test" }))).status, 401);
    }
    drop(server_b);
    eventually("issuer b's keys are too old", || bed.get(&b.mint(json!({}))).status == 503);
    for _ in 0..20 {
        assert!(good(&a));
    }
    assert!(bed.counter("provider.corp_b_test_8080.jwks_fetch_failed") > 0);
    assert_eq!(bed.counter("provider.corp_issuer_test.jwks_fetch_failed"), 0);
    let told = "provider `corp/b.test:8080`: the key set could not be fetched";
    eventually("the log says which", || bed.log().contains(told));
    let _server_b = Server::start(address_b, b.router(), None).unwrap();
    eventually("issuer b is back", || good(&b));
    assert!(good(&a));
}

in_both!(keys_of_a_pattern_are_bound_to_their_issuers);
/// Keys as a multi-tenant issuer publishes them.
fn keys_of_a_pattern_are_bound_to_their_issuers(version: &'static str) {
    const PATTERN: &str = "https://login.test/{tenantid}/v2.0";
    let key = |kid: &str| SigningKey::generate(Alg::ES256, kid);
    let (all, one) = (key("all"), key("one"));
    let published = |key: &SigningKey, issuer: &str| {
        let mut jwk = key.public_jwk();
        jwk["issuer"] = json!(issuer);
        jwk
    };
    let tenant = |name: &str| format!("https://login.test/{name}/v2.0");
    let mut bad = published(&key("bad"), PATTERN);
    bad["issuer"] = json!(7);
    let keys = json!({ "keys": [published(&all, PATTERN), published(&one, &tenant("one")), bad] });
    let publisher = issuer(Alg::ES256);
    publisher.set_fault(Fault::Body(keys.to_string()));
    let server = serve(&publisher, None);
    let configuration = json!({ "providers": { "p": {
        "issuer_pattern": PATTERN,
        "issuer_claims": { "tid": "tenantid" },
        "remote_jwks": { "http_uri": {
            "uri": "http://issuer.test/jwks.json", "cluster": "issuer", "timeout": "2s" } },
        "claim_to_headers": [{ "header_name": "x-tenant", "claim_name": "tid" }],
    } } });
    let bed = Plan { version, ..Plan::new(configuration, server.addr().port()) }.start();
    let token =
        |key: &SigningKey, iss: &str, tid: Value| key.sign(&json!({ "iss": iss, "tid": tid }));
    for _ in 0..2 {
        for (key, name) in [(&all, "one"), (&all, "two"), (&one, "one")] {
            let answer = bed.get(&token(key, &tenant(name), json!(name)));
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(seen(&answer, "x-tenant"), [name]);
        }
        let refused = |token: &str| {
            let answer = bed.get(token);
            assert_eq!(answer.status, 401);
            answer.text()
        };
        let unknown = "Jwks doesn't have key to match kid or alg from Jwt";
        assert_eq!(refused(&token(&one, &tenant("two"), json!("two"))), unknown);
        let issuer = "Jwt issuer is not configured";
        assert_eq!(refused(&token(&all, &tenant("one"), json!("two"))), issuer);
        for name in ["", "..", "a/b", "a%2fb", "\u{e9}", "a\n", "a\0", &"a".repeat(129)] {
            assert_eq!(refused(&token(&all, &tenant(name), json!(name))), issuer, "{name:?}");
        }
        assert_eq!(refused(&token(&all, "https://evil.test/one/v2.0", json!("one"))), issuer);
    }
    assert_eq!(bed.counter("provider.p.jwks_keys_skipped.issuer_unfit"), 1);
}
