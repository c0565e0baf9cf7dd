//! What the access log is told of decisions.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod gate;

use jwt_gate::engine::{Counter, Decision};
use jwt_gate::request::RequestEdit;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

use crate::gate::{Gate, NOW, recorded, run_examples, told};

#[test]
fn examples_of_the_record() {
    assert_eq!(run_examples(include_str!("../docs/observability.md")), (1, 5));
}

const ALL: [&str; 7] = ["outcome", "reason", "provider", "kid", "issuer", "subject", "waited_ms"];

fn local(key: &SigningKey, rest: Value) -> Value {
    let mut provider = rest;
    provider["local_jwks"] = json!({ "inline_string": jwks(&[key]).to_string() });
    provider
}

fn ask(gate: &mut Gate, token: &str) -> (String, String) {
    let bearer = format!("Bearer {token}");
    let decision = gate.decide(NOW, &[("authorization", &bearer)]);
    (told(&decision), recorded(&decision).join(" "))
}

#[track_caller]
fn check(gate: &mut Gate, token: &str, expected: &str, record: &str) {
    assert_eq!(ask(gate, token), (expected.to_owned(), record.to_owned()));
}

/// Whoever is refused by their claims is named only where a signature vouches for them.
#[test]
fn nothing_unverified_is_recorded() {
    let (key, other) =
        (SigningKey::generate(Alg::ES256, "k"), SigningKey::generate(Alg::ES256, "k"));
    let config = json!({
        "providers": { "p": local(&key, json!({ "issuer": "https://i" })) },
        "decision_record": { "fields": ALL },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" },
            "authorization": { "scopes": { "any": ["api"] } } }],
    });
    let mut gate = Gate::new(&config);
    let claims = json!({ "iss": "https://i", "sub": "s" });
    let denied = "outcome=deny provider=p reason=";
    check(
        &mut gate,
        &other.sign(&claims),
        "401 signature_invalid",
        &format!("{denied}signature_invalid"),
    );
    let mut header = key.header();
    header["kid"] = json!("x\ninjected=1");
    let unknown = key.sign_with_header(&header, claims.to_string().as_bytes());
    check(&mut gate, &unknown, "401 key_unknown", &format!("{denied}key_unknown"));
    let expired = json!({ "iss": "https://i", "sub": "s", "exp": 1 });
    check(&mut gate, &key.sign(&expired), "401 expired", &format!("{denied}expired"));
    check(&mut gate, "x.y.z", "401 header_encoding", &format!("{denied}header_encoding"));
    // Twice: as a new token, and as one that is known.
    for _ in 0..2 {
        check(
            &mut gate,
            &key.sign_with_header(&key.header(), claims.to_string().as_bytes()),
            "403 insufficient_scope",
            "issuer=https://i kid=k outcome=deny provider=p reason=insufficient_scope subject=s",
        );
    }
}

/// Of alternatives, what is recorded is about the token that let the request pass, or about nobody.
#[test]
fn the_record_is_about_whoever_the_backend_sees() {
    let keys = ["a", "b"].map(|kid| SigningKey::generate(Alg::ES256, kid));
    let providers = json!({
        "a": local(&keys[0], json!({ "issuer": "https://a" })),
        "b": local(&keys[1], json!({ "issuer": "https://b", "from_headers": [{ "name": "x-b" }] })),
    });
    let needs = |scope: &str| json!({ "provider_name": "a", "authorization": { "scopes": { "any": [scope] } } });
    let with = |requires: Value| {
        Gate::new(&json!({
            "providers": providers,
            "decision_record": { "fields": ALL },
            "rules": [{ "match": { "prefix": "/" }, "requires": requires }],
        }))
    };
    let token = |place: usize| {
        keys[place].sign(&json!({ "iss": format!("https://{}", ["a", "b"][place]), "sub": "s" }))
    };
    let (a, b) = (format!("Bearer {}", token(0)), token(1));
    let headers = [("authorization", &*a), ("x-b", &*b)];
    let mut all = with(json!({ "requires_all": { "requirements": [
        { "provider_name": "a" }, { "provider_name": "b" }] } }));
    let of_b = "issuer=https://b kid=b outcome=allow provider=b subject=s";
    assert_eq!(recorded(&all.decide(NOW, &headers)).join(" "), of_b);
    let mut any = with(json!({ "requires_any": { "requirements": [
        needs("none"), { "provider_name": "b" }] } }));
    assert_eq!(recorded(&any.decide(NOW, &headers)).join(" "), of_b);
    // The token of `a` is good, but nobody is let in for it.
    let mut optional = with(json!({ "requires_any": { "requirements": [
        needs("none"), { "allow_missing_or_failed": {} }] } }));
    let optional = optional.decide(NOW, &headers[..1]);
    assert_eq!(told(&optional), "pass");
    assert_eq!(recorded(&optional).join(" "), "outcome=allow");
    let mut missing = with(json!({ "requires_any": { "requirements": [
        { "provider_name": "b" }, { "allow_missing": {} }] } }));
    assert_eq!(recorded(&missing.decide(NOW, &[])).join(" "), "outcome=allow");
}

/// Two tokens: the record is about one of them, and never half of each.
#[test]
fn of_several_tokens_one_is_recorded() {
    let keys = ["a", "b"].map(|kid| SigningKey::generate(Alg::ES256, kid));
    let providers = json!({
        "a": local(&keys[0], json!({})),
        "b": local(&keys[1], json!({ "from_headers": [{ "name": "x-b" }] })),
    });
    let with = |requires: Value, fields: &[&str]| {
        Gate::new(&json!({
            "providers": providers,
            "decision_record": { "fields": fields },
            "rules": [{ "match": { "prefix": "/" }, "requires": requires }],
        }))
    };
    let alice = keys[0].sign(&json!({ "iss": "https://a", "sub": "alice" }));
    let alices = format!("Bearer {alice}");
    let mut nobody = keys[1].header();
    nobody.as_object_mut().unwrap().remove("kid");
    let nobody = keys[1].sign_with_header(&nobody, b"{}");
    let both = json!({ "requires_all": { "requirements": [
        { "provider_name": "a" }, { "provider_name": "b" }] } });
    let headers = [("authorization", &*alices), ("x-b", &*nobody)];
    let mut gate = with(both.clone(), &ALL);
    assert_eq!(recorded(&gate.decide(NOW, &headers)).join(" "), "outcome=allow provider=b");
    let mut gate = with(both.clone(), &["subject"]);
    assert_eq!(recorded(&gate.decide(NOW, &headers)).join(" "), "");
    // Alice's token is good, and it is not the one that is refused.
    let mut gate = with(both, &ALL);
    for (other, reason) in [("garbage", "token_malformed"), (&*alice, "key_unknown")] {
        let decision = gate.decide(NOW, &[("authorization", &alices), ("x-b", other)]);
        let refused = format!("outcome=deny provider=b reason={reason}");
        assert_eq!(recorded(&decision).join(" "), refused);
    }
    let mut gate = with(json!({ "allow_missing": {} }), &ALL);
    let decision = gate.decide(NOW, &[("authorization", &alices), ("x-b", "garbage")]);
    assert_eq!(told(&decision), "401 token_malformed");
    assert_eq!(recorded(&decision).join(" "), "outcome=deny reason=token_malformed");
    // Nobody knows for whose want of scopes a request with two tokens is refused.
    let scoped = json!({ "provider_name": "a", "authorization": { "scopes": { "any": ["api"] } } });
    let mut gate = with(scoped, &ALL);
    let bobs = format!("Bearer {}", keys[0].sign(&json!({ "sub": "bob", "scope": "api" })));
    let decision = gate.decide(NOW, &[("authorization", &alices), ("authorization", &bobs)]);
    let refused = "outcome=deny provider=a reason=insufficient_scope";
    assert_eq!(recorded(&decision).join(" "), refused);
    let decision = gate.decide(NOW, &[("authorization", &alices)]);
    let refused = format!("issuer=https://a kid=a {refused} subject=alice");
    assert_eq!(recorded(&decision).join(" "), refused);
}

/// Of issuers that are one provider, the record names the provider, whichever was refused.
#[test]
fn issuers_of_one_provider_have_its_name() {
    let config = json!({
        "providers": { "m": {
            "issuers": ["https://a.example", "https://b.example"],
            "remote_jwks": { "http_uri": { "uri": "https://a.example/jwks", "cluster": "c", "timeout": "1s" } },
        } },
        "decision_record": {},
    });
    let key = SigningKey::generate(Alg::ES256, "k");
    let mut gate = Gate::new(&config);
    gate.answer(NOW, "a.example", "200", &jwks(&[&key]).to_string());
    let token = |claims: Value| key.sign(&claims);
    let b = "https://b.example";
    check(
        &mut gate,
        &token(json!({ "iss": b, "exp": 1 })),
        "401 expired",
        "outcome=deny provider=m reason=expired",
    );
    check(&mut gate, &token(json!({ "iss": b })), "pass", "kid=k outcome=allow provider=m");
}

/// Several gates in one chain have keys of their own.
#[test]
fn the_prefix_of_metrics_is_that_of_records() {
    let key = SigningKey::generate(Alg::ES256, "k");
    let config = json!({
        "providers": { "p": local(&key, json!({})) },
        "decision_record": { "fields": ["outcome"] },
        "stat_prefix": "edge",
    });
    let mut gate = Gate::new(&config);
    let Decision::Reject(refused) = gate.decide(NOW, &[]) else { panic!("it passed") };
    assert_eq!(refused.states, [("edge.decision.outcome".to_owned(), "deny".to_owned())]);
    let bearer = format!("Bearer {}", key.sign(&json!({})));
    let Decision::Forward(edits) = gate.decide(NOW, &[("authorization", &bearer)]) else {
        panic!("it was refused")
    };
    let record = RequestEdit::Record("edge.decision.outcome".to_owned(), b"allow".to_vec());
    assert_eq!(edits.last(), Some(&record));
}

/// What is used once, revoked, or only reported is recorded like the rest.
#[test]
fn every_way_to_an_answer_is_recorded() {
    let key = SigningKey::generate(Alg::ES256, "k");
    let config = json!({
        "providers": { "p": local(&key, json!({ "single_use": {} })) },
        "decision_record": {},
    });
    let mut gate = Gate::new(&config);
    let token = key.sign(&json!({ "exp": NOW + 60, "jti": "1" }));
    check(&mut gate, &token, "pass", "kid=k outcome=allow provider=p");
    let again = "kid=k outcome=deny provider=p reason=token_replayed";
    check(&mut gate, &token, "401 token_replayed", again);
    let config = json!({
        "providers": { "p": local(&key, json!({})) },
        "decision_record": { "fields": ["outcome", "reason"] },
        "mode": "report_only",
    });
    let mut gate = Gate::new(&config);
    check(&mut gate, "x", "pass", "outcome=report reason=token_malformed");
    check(&mut gate, &key.sign(&json!({})), "pass", "outcome=allow");
    // Who would be refused is what one wants to know before it is enforced.
    let config = json!({
        "providers": { "p": local(&key, json!({ "forward_payload_value_header": "x-payload" })) },
        "decision_record": { "fields": ["outcome", "reason", "provider", "subject"] },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" },
            "authorization": { "scopes": { "any": ["api"] } }, "mode": "report_only" }],
    });
    let mut gate = Gate::new(&config);
    let alice = "outcome=report provider=p reason=insufficient_scope subject=alice";
    check(&mut gate, &key.sign(&json!({ "sub": "alice" })), "pass", alice);
    // It is verified, and cannot become what it must.
    let large = key.sign(&json!({ "sub": "bob", "large": "x".repeat(9000) }));
    let bob = "outcome=report provider=p reason=claims_not_allowed subject=bob";
    check(&mut gate, &large, "pass", bob);
}

/// Nothing is left where nothing is asked for, and nobody asks for nothing by mistake.
#[test]
fn the_record_is_asked_for() {
    let key = SigningKey::generate(Alg::ES256, "k");
    let mut gate = Gate::new(&json!({ "providers": { "p": local(&key, json!({})) } }));
    check(&mut gate, &key.sign(&json!({})), "pass", "");
    check(&mut gate, "x", "401 token_malformed", "");
}

/// Decisions are counted for the provider that made them, by the name that it has in the configuration.
#[test]
fn decisions_are_counted_by_provider() {
    let keys = ["a", "b"].map(|kid| SigningKey::generate(Alg::ES256, kid));
    let config = json!({
        "providers": {
            "a b": local(&keys[0], json!({ "issuer": "https://a" })),
            "b": local(&keys[1], json!({ "issuer": "https://b" })),
        },
        "rules": [
            { "match": { "path": "/open" } },
            { "match": { "path": "/b" }, "requires": { "provider_name": "b" } },
            { "match": { "prefix": "/" }, "requires": { "requires_any": { "requirements": [
                { "provider_name": "a b" }, { "provider_name": "b" }] } } },
        ],
        "stat_prefix": "edge",
    });
    let mut gate = Gate::new(&config);
    let a = keys[0].sign(&json!({ "iss": "https://a" }));
    let b = keys[1].sign(&json!({ "iss": "https://b" }));
    let mut counted = |path: &str, token: Option<&str>| {
        gate.counted.clear();
        gate.ask("GET", path, token);
        let by =
            |counter: &&Counter| matches!(counter, Counter::AllowedBy(_) | Counter::DeniedBy(..));
        let names =
            gate.counted.iter().filter(by).map(|counter| gate.engine.counter_name(*counter));
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(counted("/", Some(&a)), "jwt_gate.edge.provider.a_b.allowed");
    assert_eq!(counted("/", Some(&b)), "jwt_gate.edge.provider.b.allowed");
    assert_eq!(counted("/b", Some(&a)), "jwt_gate.edge.provider.b.denied_for.issuer_unknown");
    assert_eq!(counted("/b", None), "jwt_gate.edge.provider.b.denied_for.token_missing");
    assert_eq!(counted("/open", None), "");
}
