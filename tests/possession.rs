//! Tokens that pass once, and tokens that are bound to who they were issued to, in the engine.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod gate;

use gate::{Gate, NOW, Shared, run_examples, told};
use jwt_gate::engine::{Counter, Decision, StreamId};
use jwt_gate::policy::Policy;
use jwt_gate::request::RequestHead;
use jwt_gate::time::UnixTime;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

#[test]
fn examples_of_single_use() {
    assert_eq!(run_examples(include_str!("../docs/single-use.md")), (2, 12));
}

fn key() -> SigningKey {
    SigningKey::generate(Alg::HS256, "k")
}

fn with(key: &SigningKey, provider: Value, mut rest: Value) -> Value {
    rest["providers"]["p"] = provider;
    for provider in rest["providers"].as_object_mut().unwrap().values_mut() {
        provider["local_jwks"] = json!({ "inline_string": jwks(&[key]).to_string() });
    }
    rest
}

fn once(key: &SigningKey, jti: &str) -> String {
    key.sign(&json!({ "jti": jti, "exp": NOW + 100 }))
}

#[test]
fn what_is_refused_uses_nothing_up() {
    let key = key();
    let rules = json!([
        { "match": { "prefix": "/staff" }, "requires": { "provider_name": "p" },
          "authorization": { "scopes": { "any": ["staff"] } } },
        { "match": { "prefix": "/pay" }, "requires": { "provider_name": "p" },
          "step_up": { "acr_values": ["gold"] } },
        { "match": { "prefix": "/both" }, "requires": { "requires_all": { "requirements": [
            { "provider_name": "p" }, { "provider_name": "q" } ] } } },
        { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
    ]);
    let q = json!({ "q": { "from_headers": [{ "name": "x-other" }] } });
    let config = with(
        &key,
        json!({ "single_use": {} }),
        json!({ "rules": rules, "providers": q, "bypass_cors_preflight": true,
            "authorization": { "default": "allow", "policies": [
                { "action": "deny", "match": { "prefix": "/shut" } } ] } }),
    );
    let mut gate = Gate::new(&config);
    let token = once(&key, "a");
    assert_eq!(gate.get("/staff", &token), "403 insufficient_scope");
    assert_eq!(gate.get("/pay", &token), "401 insufficient_user_authentication");
    assert_eq!(gate.get("/both", &token), "401 token_missing");
    assert_eq!(gate.get("/shut", &token), "403 denied_by_policy");
    let bearer = format!("Bearer {token}");
    let preflight = [
        (":method", "OPTIONS"),
        ("origin", "https://a"),
        ("access-control-request-method", "GET"),
        ("authorization", bearer.as_str()),
    ];
    assert_eq!(told(&gate.decide(NOW, &preflight)), "pass");
    assert!(gate.shared.0.borrow().is_empty());
    assert_eq!(gate.get("/", &token), "pass");
    assert_eq!(gate.get("/", &token), "401 token_replayed");
    assert_eq!(gate.get("/staff", &token), "403 insufficient_scope", "the use comes last");
    assert_eq!(gate.shared.0.borrow().len(), 1);
}

/// Two workers decide before either writes down, and a third comes late.
#[test]
fn workers_share_what_was_used() {
    let key = key();
    let config = with(&key, json!({ "single_use": {} }), json!({}));
    let bearer = format!("Bearer {}", once(&key, "a"));
    let now = UnixTime::from_secs(NOW);
    let mut shared = Shared::default();
    let mut gates = [Gate::new(&config), Gate::new(&config)];
    let mut spendings = Vec::new();
    for gate in &mut gates {
        let head = [(":path", "/"), ("authorization", bearer.as_str())];
        let octets = |text: &str| text.as_bytes().to_vec();
        let head = head.map(|(name, value)| (octets(name), octets(value)));
        let head = RequestHead::new(head.to_vec());
        match gate.engine.handle_request(StreamId(1), head, now) {
            Decision::Spend(spending) => spendings.push(spending),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            gate.engine.next_effect(),
            Some(jwt_gate::engine::Effect::Count(Counter::CacheMiss))
        );
        assert_eq!(gate.engine.next_effect(), None, "nothing is counted yet");
    }
    let mut answers = Vec::new();
    for (gate, mut spending) in gates.iter_mut().zip(spendings) {
        spending.carry_out(now, &mut shared);
        answers.push(told(&gate.engine.handle_spent(spending)));
    }
    assert_eq!(answers, ["pass", "401 token_replayed"]);
    let mut late = Gate::new(&config);
    late.shared = shared;
    assert_eq!(told(&late.decide(NOW, &[("authorization", &bearer)])), "401 token_replayed");
    assert_eq!(
        late.counted[1..],
        [
            Counter::CacheHit,
            Counter::Denied,
            Counter::DeniedFor(jwt_gate::denial::Reason::from_code("token_replayed").unwrap()),
            Counter::DeniedBy(0, jwt_gate::denial::Reason::from_code("token_replayed").unwrap()),
        ]
    );
}

#[test]
fn a_host_that_does_nothing_lets_nobody_pass() {
    let key = key();
    let config = with(&key, json!({ "single_use": {} }), json!({}));
    let mut gate = Gate::new(&config);
    let bearer = format!("Bearer {}", once(&key, "a"));
    let head = vec![(b":path".to_vec(), b"/".to_vec()), (b"authorization".to_vec(), bearer.into())];
    let now = UnixTime::from_secs(NOW);
    let decision = gate.engine.handle_request(StreamId(1), RequestHead::new(head), now);
    let Decision::Spend(spending) = decision else { panic!("{decision:?}") };
    assert_eq!(told(&gate.engine.handle_spent(spending)), "503 host_failed");
}

#[test]
fn a_full_memory_is_our_fault() {
    let key = key();
    let rest = json!({ "replay_memory": { "max_entries": 128 } });
    let mut gate = Gate::new(&with(&key, json!({ "single_use": {} }), rest));
    for jti in 0..128 {
        assert_eq!(gate.get("/", &once(&key, &jti.to_string())), "pass");
    }
    let more = once(&key, "more");
    let Decision::Reject(full) = gate.decide(NOW, &[("authorization", &format!("Bearer {more}"))])
    else {
        panic!()
    };
    assert_eq!((full.status, full.reason.code()), (503, "replay_memory_full"));
    assert!(full.headers.iter().all(|(name, _)| name != "www-authenticate"));
    assert_eq!(gate.get("/", &once(&key, "0")), "401 token_replayed");
    // The others expired, with the clock skew of a minute and ten seconds behind them.
    let later = key.sign(&json!({ "jti": "later", "exp": NOW + 1_000 }));
    let later = [("authorization", format!("Bearer {later}"))];
    let later = later.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(told(&gate.decide(NOW + 169, &later)), "503 replay_memory_full");
    assert_eq!(told(&gate.decide(NOW + 170, &later)), "pass");
}

/// Several tokens, tokens that are there twice, and alternatives.
#[test]
fn each_token_of_a_request_is_used() {
    let key = key();
    let rules = json!([
        { "match": { "prefix": "/all" }, "requires": { "requires_all": { "requirements": [
            { "provider_name": "p" }, { "provider_name": "q" } ] } } },
        { "match": { "prefix": "/any" }, "requires": { "requires_any": { "requirements": [
            { "provider_name": "p" }, { "provider_name": "r" } ] } } },
        { "match": { "prefix": "/told" }, "requires": { "extract_only_without_validation": {} } },
        { "match": { "prefix": "/missing" }, "requires": { "requires_any": { "requirements": [
            { "provider_name": "p" }, { "allow_missing": {} } ] } } },
        { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
    ]);
    let others = json!({
        "q": { "issuer": "q", "from_headers": [{ "name": "x-other" }], "single_use": {} },
        "r": { "issuer": "r", "from_headers": [{ "name": "x-more" }] },
    });
    let p = json!({ "issuer": "p", "single_use": {}, "from_params": ["t", "u"],
        "from_headers": [{ "name": "authorization", "value_prefix": "Bearer " }] });
    let mut gate = Gate::new(&with(&key, p, json!({ "rules": rules, "providers": others })));
    let token =
        |iss: &str, jti: &str| key.sign(&json!({ "iss": iss, "jti": jti, "exp": NOW + 100 }));
    let mut ask = |path: &str, headers: &[(&str, &str)]| {
        let mut all = vec![(":path", path)];
        all.extend(headers);
        told(&gate.decide(NOW, &all))
    };
    let of_p = token("p", "a");
    assert_eq!(ask(&format!("/?t={of_p}&u={of_p}&t={of_p}"), &[]), "pass");
    assert_eq!(ask(&format!("/?t={of_p}"), &[]), "401 token_replayed");
    // The same `jti` of another issuer is another token.
    let of_q = token("q", "a");
    let both = |p: &str, q: &str| {
        let path = format!("/all?t={p}");
        (path, q.to_owned())
    };
    let (path, q) = both(&token("p", "b"), &of_q);
    assert_eq!(ask(&path, &[("x-other", &q)]), "pass");
    assert_eq!(ask(&path, &[("x-other", &token("q", "c"))]), "401 token_replayed");
    let (path, q) = both(&token("p", "d"), &of_q);
    assert_eq!(ask(&path, &[("x-other", &q)]), "401 token_replayed");
    // Another alternative lets it pass, and a bad token among several does not.
    let path = format!("/any?t={of_p}");
    assert_eq!(ask(&path, &[]), "401 token_replayed");
    assert_eq!(ask(&path, &[("x-more", &token("r", "a"))]), "pass");
    assert_eq!(ask(&format!("/missing?t={of_p}"), &[]), "401 token_replayed");
    assert_eq!(ask("/missing", &[]), "pass");
    assert_eq!(ask(&format!("/?t={of_p}&u={}", token("p", "e")), &[]), "401 token_replayed");
    let path = format!("/told?t={of_p}");
    let Decision::Forward(edits) = gate.decide(NOW, &[(":path", &path)]) else { panic!() };
    let failed = jwt_gate::request::RequestEdit::Replace(
        "x-jwt-signature-verified".to_owned(),
        b"false".to_vec(),
    );
    assert!(edits.contains(&failed), "{edits:?}");
}

/// What is known of a token does not let it pass twice, and neither does a missing cache.
#[test]
fn caches_and_candidates_use_nothing_up() {
    let key = key();
    for cache in [json!({}), json!({ "disabled": true })] {
        let p = json!({ "single_use": {}, "jwt_cache_config": cache });
        let rest = json!({ "shadow": { "default_requirement": { "allow_missing": {} } } });
        let mut gate = Gate::new(&with(&key, p, rest));
        let token = once(&key, "a");
        assert_eq!(gate.get("/", &token), "pass");
        assert!(gate.counted.contains(&Counter::ShadowSame));
        gate.counted.clear();
        assert_eq!(gate.get("/", &token), "401 token_replayed");
        assert!(gate.counted.contains(&Counter::ShadowSame), "{:?}", gate.counted);
        assert_eq!(gate.shared.0.borrow().len(), 1);
    }
}

#[test]
fn mistakes_about_single_use() {
    let config = with(
        &key(),
        json!({ "single_use": { "max_lifetime": "86401s", "size": 1 } }),
        json!({ "replay_memory": { "max_entries": 127 } }),
    );
    let errors = Policy::parse(config.to_string().as_bytes()).unwrap_err();
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "providers.p.single_use.max_lifetime: must be longer than 0s, and at most 86400s",
            "providers.p.single_use.size: unknown field; expected one of: max_lifetime",
            "replay_memory.max_entries: must be at least 128, and at most 4194304",
        ]
    );
}
