//! Published vectors natively: each signature is checked by a key that the library serves, and by one
//! that has earned its fast arithmetic. `tests/probe.rs` does the same inside Envoy.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

mod published;

use jwt_gate_probe::vectors::{self, Group, Tally};

/// Checks groups; how many good and bad signatures there were.
#[track_caller]
fn check(groups: &[Group]) -> Tally {
    let mut sum = Tally::default();
    for group in groups {
        let tally = vectors::check(group).unwrap();
        assert!(tally.failures.is_empty(), "{:#?}", tally.failures);
        sum.good += tally.good;
        sum.bad += tally.bad;
        sum.by_experience += tally.by_experience;
    }
    println!("{} good and {} bad, {} by experience", sum.good, sum.bad, sum.by_experience);
    sum
}

#[test]
fn rsa_pkcs1() {
    let tally = check(&published::rsa_pkcs1());
    assert!(tally.good > 50 && tally.bad > 1000 && tally.by_experience > 1000, "{tally:?}");
}

#[test]
fn rsa_pss() {
    let tally = check(&published::rsa_pss());
    assert!(tally.good > 100 && tally.bad > 100 && tally.by_experience > 500, "{tally:?}");
}

/// Salts of another length than the digest's are good signatures of another scheme.
#[test]
fn pss_with_other_salts_is_refused() {
    let tally = check(&published::rsa_pss_with_other_salts());
    assert!(tally.bad > 50 && tally.good == 1 && tally.by_experience > 50, "{tally:?}");
}

#[test]
fn ecdsa() {
    let tally = check(&published::ecdsa());
    assert!(tally.good > 500 && tally.bad > 100 && tally.by_experience > 500, "{tally:?}");
}

#[test]
fn ed25519() {
    let tally = check(&published::ed25519());
    assert!(tally.good > 50 && tally.bad > 50 && tally.by_experience > 50, "{tally:?}");
}

#[test]
fn rfcs() {
    let tally = check(&published::rfcs());
    assert_eq!((tally.good, tally.bad), (5, 10));
}
