//! What the access log is told of decisions.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod gate;

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

/// What waits, what is used once, and what is only reported is recorded like the rest.
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
}

/// Nothing is left where nothing is asked for, and nobody asks for nothing by mistake.
#[test]
fn the_record_is_asked_for() {
    let key = SigningKey::generate(Alg::ES256, "k");
    let mut gate = Gate::new(&json!({ "providers": { "p": local(&key, json!({})) } }));
    check(&mut gate, &key.sign(&json!({})), "pass", "");
    check(&mut gate, "x", "401 token_malformed", "");
}
