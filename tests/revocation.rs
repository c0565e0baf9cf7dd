//! Revoked tokens: lists as values, lists in the engine, and the examples of the documentation.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod gate;

use gate::{Gate, NOW, told};
use jwt_gate::engine::Counter;
use jwt_gate::revocation::deny_list::{DenyList, Handles, ListError, MAX_ENTRIES, MAX_LIST_OCTETS};
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

#[test]
fn examples_of_revocation() {
    let (configurations, requests) = gate::run_examples(include_str!("../docs/revocation.md"));
    assert!(configurations >= 1 && requests >= 10, "{configurations} {requests}");
}

fn list(entries: &Value) -> DenyList {
    DenyList::parse(json!({ "revoked": entries, "at": 5 }).to_string().as_bytes()).unwrap()
}

const TOKEN: Handles<'_> = Handles {
    iss: Some("i"),
    sub: Some("alice"),
    jti: Some("t1"),
    sid: Some("s1"),
    clients: [Some("app"), None],
    iat: Some(1000),
};

/// Every member of an entry must hold, and nothing else is asked.
#[test]
fn entries_are_conjunctions() {
    let members = [
        ("jti", json!("t1"), json!("t2")),
        ("sid", json!("s1"), json!("S1")),
        ("sub", json!("alice"), json!("alic")),
        ("client_id", json!("app"), json!("")),
        ("iss", json!("i"), json!("j")),
        ("issued_before", json!(1001), json!(1000)),
    ];
    let others = (0..50).map(|n| json!({ "jti": format!("x{n}"), "sub": "alice" }));
    let others: Vec<_> = others.chain([json!({"sub": "alice", "sid": "x"})]).collect();
    for chosen in 1..1_u32 << members.len() {
        let chosen: Vec<_> = (0..members.len()).filter(|place| chosen >> place & 1 == 1).collect();
        if chosen == [4] {
            continue;
        }
        let entry = |wrong: Option<usize>| -> Value {
            let member = |place: &usize| {
                let (name, right, other) = &members[*place];
                (name.to_string(), if wrong == Some(*place) { other } else { right }.clone())
            };
            Value::Object(chosen.iter().map(member).collect())
        };
        for (entry, expected) in
            chosen.iter().map(|wrong| (entry(Some(*wrong)), false)).chain([(entry(None), true)])
        {
            assert_eq!(list(&json!([entry])).revokes(&TOKEN), expected, "{entry}");
            let many: Vec<_> = others.iter().chain([&entry]).collect();
            assert_eq!(list(&json!(many)).revokes(&TOKEN), expected, "{entry}");
        }
    }
}

#[test]
fn tokens_that_do_not_say() {
    let silent = Handles::default();
    assert!(!list(&json!([])).revokes(&silent));
    for entry in [json!({"jti": ""}), json!({"sub": ""}), json!({"sub": "a", "sid": "b"})] {
        assert!(!list(&json!([entry])).revokes(&silent), "{entry}");
    }
    // One that does not say when it was issued may be as old as any.
    assert!(list(&json!([{"issued_before": 1}])).revokes(&silent));
    assert!(!list(&json!([{"issued_before": 1, "iss": "i"}])).revokes(&silent));
    let party = Handles { clients: [None, Some("app")], ..silent };
    assert!(list(&json!([{"client_id": "app"}])).revokes(&party));
    assert!(list(&json!([{"client_id": "app", "issued_before": 5}])).revokes(&party));
}

#[test]
fn of_several_times_the_latest_counts() {
    let several = list(&json!([
        {"issued_before": 900}, {"issued_before": 1001}, {"issued_before": 5},
        {"issued_before": 2000, "iss": "j"},
    ]));
    assert!(several.revokes(&TOKEN));
    assert!(!several.revokes(&Handles { iat: Some(1001), ..TOKEN }));
    assert!(several.revokes(&Handles { iat: Some(1999), iss: Some("j"), ..TOKEN }));
    assert_eq!(several.len(), 4);
}

#[test]
fn what_is_no_list_is_refused_as_a_whole() {
    use ListError::{Entry, NotAList, TooLarge, TooMany};
    #[track_caller]
    fn check(text: &str, expected: ListError) {
        assert_eq!(DenyList::parse(text.as_bytes()), Err(expected), "{text}");
    }
    for text in [
        "",
        "[]",
        "null",
        "{}",
        "{\"revoked\":{}}",
        "{\"revoked\":null}",
        "{\"Revoked\":[]}",
        "{\"revoked\":[]",
        "{\"revoked\":[]} x",
        "{\"revoked\":[],\"revoked\":[]}",
        "<html>",
        "{\"revoked\":[],}",
        "{\"revoked\":[{\"jti\":\"a\"},",
        "{\"revoked\":[{\"jti\":\"a\"}, {\"jti\":\"\\ud800\"}]}",
        "{\"revoked\":[{\"jti\":\"a\"",
    ] {
        check(text, NotAList);
    }
    for entry in [
        "{}",
        "null",
        "5",
        "\"t1\"",
        "[]",
        "[\"t1\"]",
        "{\"iss\":\"i\"}",
        "{\"jti\":null}",
        "{\"jti\":5}",
        "{\"jti\":[\"a\"]}",
        "{\"sub\":\"a\",\"jti\":null}",
        "{\"sub\":\"a\",\"role\":\"b\"}",
        "{\"sub\":\"a\",\"sub\":\"b\"}",
        "{\"issued_before\":-1}",
        "{\"issued_before\":1.5}",
        "{\"issued_before\":\"5\"}",
    ] {
        check(&format!("{{\"revoked\":[{{\"jti\":\"a\"}},{entry}]}}"), Entry(1));
    }
    let many = |count: usize| {
        let entries = (0..count).map(|n| format!("{{\"jti\":\"{n}\"}}"));
        format!("{{\"revoked\":[{}]}}", entries.collect::<Vec<_>>().join(","))
    };
    assert_eq!(DenyList::parse(many(MAX_ENTRIES).as_bytes()).unwrap().len(), MAX_ENTRIES);
    check(&many(MAX_ENTRIES + 1), TooMany);
    let long = format!("{{\"revoked\":[]{}}}", " ".repeat(MAX_LIST_OCTETS));
    assert_eq!(DenyList::parse(long.as_bytes()), Err(TooLarge));
}

/// The key of the tests, and a configuration with a list.
fn setting(change: impl FnOnce(&mut Value)) -> (SigningKey, Value) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let mut config = json!({
        "providers": {
            "main": { "issuer": "i", "local_jwks": { "inline_string": jwks(&[&key]).to_string() } },
        },
        "revocation": { "list": { "http_uri": {
            "uri": "https://list.test/revoked", "cluster": "list", "timeout": "2s" } } },
    });
    change(&mut config);
    (key, config)
}

fn token(key: &SigningKey, jti: &str) -> String {
    key.sign(
        &json!({ "iss": "i", "sub": "a", "jti": jti, "iat": NOW - 10, "exp": NOW + 1_000_000 }),
    )
}

const EMPTY: &str = r#"{"revoked": []}"#;
const T1: &str = r#"{"revoked": [{"jti": "t1"}]}"#;

/// A known token is compared with every new list, and one that is taken off is good again.
#[test]
fn a_list_counts_at_once_for_known_tokens() {
    let (key, config) = setting(|_| ());
    let mut gate = Gate::new(&config);
    let (first, second) = (token(&key, "t1"), token(&key, "t2"));
    gate.answer(NOW, "list.test", "200", EMPTY);
    assert_eq!(gate.get("/", &first), "pass");
    gate.answer(NOW + 10, "list.test", "200", T1);
    gate.counted.clear();
    assert_eq!(gate.get("/", &first), "401 token_revoked");
    assert_eq!(gate.get("/", &second), "pass");
    assert_eq!(gate.get("/", &first), "401 token_revoked");
    let hits = gate.counted.iter().filter(|counter| **counter == Counter::CacheHit).count();
    assert_eq!(hits, 2, "a revoked token costs no signature either");
    gate.answer(NOW + 20, "list.test", "200", EMPTY);
    assert_eq!(gate.get("/", &first), "pass");
    // Not modified, asked by nobody's tag: no answer, and the list stays as it is.
    gate.answer(NOW + 30, "list.test", "304", "");
    assert_eq!(gate.get("/", &first), "pass");
}

#[test]
fn requests_wait_for_the_first_list() {
    let (key, config) = setting(|_| ());
    let mut gate = Gate::new(&config);
    assert_eq!(gate.get("/", &token(&key, "t1")), "wait");
    gate.answer(NOW, "list.test", "200", T1);
    assert_eq!(gate.answered, ["401 token_revoked"]);
    let mut gate = Gate::new(&config);
    assert_eq!(gate.get("/", &token(&key, "t2")), "wait");
    gate.answer(NOW, "list.test", "200", T1);
    assert_eq!(gate.answered, ["pass"]);
    // Nobody answers: not for ever.
    let mut gate = Gate::new(&config);
    assert_eq!(gate.get("/", &token(&key, "t2")), "wait");
    gate.tick(NOW + 1);
    gate.tick(NOW + 6);
    assert_eq!(gate.answered, ["503 revocation_unavailable"]);
    // Bad tokens need no list to be refused, and those without a token neither.
    let mut gate = Gate::new(&config);
    assert_eq!(gate.get("/", "x"), "401 token_malformed");
    assert_eq!(gate.ask("GET", "/", None), "401 token_missing");
}

/// The list that is held serves for a bounded time; then what the configuration chose.
#[test]
fn an_unreachable_list_is_bridged_and_then_fails_closed_or_open() {
    for (when, expected) in [
        (None, "503 revocation_unavailable"),
        (Some("deny"), "503 revocation_unavailable"),
        (Some("allow"), "pass"),
    ] {
        let (key, config) = setting(|config| {
            let list = &mut config["revocation"]["list"];
            list["stale_if_error"] = json!("60s");
            if let Some(when) = when {
                list["when_unavailable"] = json!(when);
            }
        });
        let (revoked, good) = (token(&key, "t1"), token(&key, "t2"));
        let mut gate = Gate::new(&config);
        gate.answer(NOW, "list.test", "200", T1);
        let bad = [
            ("500", T1),
            ("200", "<html>"),
            ("200", r#"{"revoked": [{"jti": 5}]}"#),
            ("404", ""),
            ("301", T1),
            ("200", r#"{"revoked": [{}]}"#),
        ];
        for (index, (status, body)) in bad.iter().enumerate() {
            gate.answer(NOW + 10 + 10 * u64::try_from(index).unwrap(), "list.test", status, body);
        }
        let ask = |gate: &mut Gate, after: u64, token: &str| {
            let bearer = format!("Bearer {token}");
            told(&gate.decide(NOW + after, &[("authorization", &bearer)]))
        };
        assert_eq!(ask(&mut gate, 69, &revoked), "401 token_revoked");
        assert_eq!(ask(&mut gate, 69, &good), "pass");
        assert!(gate.logged.iter().any(|line| line.contains("the one held is used for")));
        gate.tick(NOW + 71);
        for (id, _) in std::mem::take(&mut gate.fetches) {
            let lost = Err(jwt_gate::jwks::answer::Cause::NoAnswer.into());
            gate.engine.handle_fetched(id, lost, jwt_gate::time::UnixTime::from_secs(NOW + 71));
        }
        gate.counted.clear();
        assert_eq!(ask(&mut gate, 71, &revoked), expected, "{when:?}");
        assert_eq!(ask(&mut gate, 71, &good), expected);
        let skipped = gate.counted.iter().filter(|counter| **counter == Counter::Uncompared);
        assert_eq!(skipped.count(), if expected == "pass" { 2 } else { 0 });
        // It comes back.
        gate.answer(NOW + 90, "list.test", "200", T1);
        assert_eq!(ask(&mut gate, 90, &revoked), "401 token_revoked");
        assert_eq!(ask(&mut gate, 90, &good), "pass");
    }
}

/// A list of a provider's is about its tokens, one of the whole about everybody's.
#[test]
fn lists_are_about_their_providers() {
    let other = SigningKey::generate(Alg::ES256, "k");
    let (key, config) = setting(|config| {
        let own = json!({ "inline_string": jwks(&[&other]).to_string() });
        config["providers"]["other"] = json!({ "issuer": "j", "local_jwks": own,
            "revocation": { "list": { "http_uri": {
                "uri": "https://own.test/", "cluster": "own", "timeout": "2s" } } } });
    });
    let mut gate = Gate::new(&config);
    let claims = |iss: &str, jti: &str| json!({ "iss": iss, "jti": jti, "sub": "a" });
    gate.answer(NOW, "own.test", "200", r#"{"revoked": [{"sub": "a", "jti": "t2"}]}"#);
    gate.answer(NOW, "list.test", "200", T1);
    assert_eq!(gate.get("/", &key.sign(&claims("i", "t1"))), "401 token_revoked");
    assert_eq!(gate.get("/", &key.sign(&claims("i", "t2"))), "pass");
    assert_eq!(gate.get("/", &other.sign(&claims("j", "t1"))), "401 token_revoked");
    assert_eq!(gate.get("/", &other.sign(&claims("j", "t2"))), "401 token_revoked");
    assert_eq!(gate.get("/", &other.sign(&claims("j", "t3"))), "pass");
    let names = gate.counted.iter().map(|counter| gate.engine.counter_name(*counter));
    let names: Vec<_> = names.collect();
    for name in ["revocation_fetch_success", "provider.other.revocation_fetch_success"] {
        assert!(names.contains(&format!("jwt_gate.{name}")), "{names:?}");
    }
    assert!(!names.contains(&"jwt_gate.jwks_fetch_success".to_owned()), "{names:?}");
}

/// Where refusals are only reported, nobody waits, and nobody is refused; a candidate has its own list.
#[test]
fn lists_that_only_report_and_lists_of_candidates() {
    let (key, config) = setting(|config| config["mode"] = json!("report_only"));
    let mut gate = Gate::new(&config);
    let counted = |gate: &mut Gate| {
        let counted = std::mem::take(&mut gate.counted).into_iter();
        counted.map(|counter| gate.engine.counter_name(counter)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(gate.get("/", &token(&key, "t1")), "pass");
    assert!(counted(&mut gate).contains("report_only_for.revocation_unavailable"));
    gate.answer(NOW, "list.test", "200", T1);
    assert_eq!(gate.get("/", &token(&key, "t1")), "pass");
    assert!(counted(&mut gate).contains("report_only_for.token_revoked"));
    let (key, config) = setting(|config| {
        let revocation = config.as_object_mut().unwrap().remove("revocation").unwrap();
        config["shadow"] = json!({ "revocation": revocation });
    });
    let mut gate = Gate::new(&config);
    assert_eq!(gate.get("/", &token(&key, "t1")), "pass");
    assert!(counted(&mut gate).contains("shadow_undecided"));
    gate.answer(NOW, "list.test", "200", T1);
    assert!(counted(&mut gate).contains("jwt_gate.shadow_revocation_fetch_success"));
    assert_eq!(gate.get("/", &token(&key, "t1")), "pass");
    assert!(counted(&mut gate).contains("shadow_denies_for.token_revoked"));
    assert_eq!(gate.get("/", &token(&key, "t2")), "pass");
    assert!(counted(&mut gate).contains("shadow_same"));
}
