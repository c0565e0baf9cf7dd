//! Published vectors inside Envoy: the code as it is compiled to WebAssembly and run by Envoy's own
//! engine, by the libraries and by fast arithmetic.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

mod published;

use jwt_gate_demo::envoy::{self, PINNED};
use jwt_gate_demo::probe::Probe;
use jwt_gate_demo::wasm;
use jwt_gate_probe::vectors::Tally;
use jwt_gate_probe::{Job, vectors::Group};
use serde_json::json;

/// As many as `tests/wycheproof.rs` checks natively.
#[test]
fn vectors_hold_in_envoy() {
    let module = match std::env::var_os("JWT_GATE_PROBE") {
        Some(path) => path.into(),
        None => wasm::build_probe(&wasm::workspace()).unwrap(),
    };
    let probe = Probe::start(&envoy::find(PINNED).unwrap(), &module).unwrap();
    let mut failures = Vec::new();
    for (kind, groups) in [
        ("RFCs", published::rfcs()),
        ("Ed25519", published::ed25519()),
        ("ECDSA", published::ecdsa()),
        ("RSA PSS", published::rsa_pss()),
        ("RSA PSS, other salts", published::rsa_pss_with_other_salts()),
        ("RSA PKCS#1", published::rsa_pkcs1()),
    ] {
        let mut sum = Tally::default();
        for group in groups {
            let expected = group.cases.len();
            let tally = check(&probe, group);
            assert_eq!(tally.good + tally.bad, expected);
            sum.good += tally.good;
            sum.bad += tally.bad;
            sum.by_experience += tally.by_experience;
            failures.extend(tally.failures);
        }
        println!(
            "{kind}: {} good and {} bad, {} by experience",
            sum.good, sum.bad, sum.by_experience
        );
        assert!(sum.good + sum.bad > 10);
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

fn check(probe: &Probe, group: Group) -> Tally {
    let answer = probe.ask(&json!(Job::Check(group))).unwrap();
    serde_json::from_value(answer).unwrap()
}
