//! Key sets that are maps of X.509 certificates.
//!
//! The certificates and tokens in `tests/data/x509/` were made with OpenSSL 3.0; their private keys
//! are gone. All of them were valid in the first days of 2020 only.
#![expect(clippy::unwrap_used, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jwt_gate::jose::jwk::{JwkError, KeyStrength};
use jwt_gate::jose::jws::{Parts, UnverifiedJws};
use jwt_gate::jose::x509::{BEGIN, rsa_parts};
use jwt_gate::jwks::key_set::{KeySet, KeySetError, MAX_KEYS};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const EXPIRED: &str = include_str!("data/x509/expired.pem");
const VERSION1: &str = include_str!("data/x509/version1.pem");
const WEAK: &str = include_str!("data/x509/weak.pem");
const EC: &str = include_str!("data/x509/ec.pem");
const PSS: &str = include_str!("data/x509/pss.pem");
const EXPONENT: &str = include_str!("data/x509/exponent.pem");

const EXPIRED_RS256: &str = include_str!("data/x509/expired-RS256.jwt");
const EXPIRED_PS256: &str = include_str!("data/x509/expired-PS256.jwt");
const VERSION1_RS512: &str = include_str!("data/x509/version1-RS512.jwt");
const WEAK_RS256: &str = include_str!("data/x509/weak-RS256.jwt");

fn parse(set: &Value, strength: KeyStrength) -> Result<KeySet, KeySetError> {
    KeySet::parse(set.to_string().as_bytes(), strength)
}

fn accepts(set: &KeySet, token: &str) -> bool {
    let parts = Parts::of(token.as_bytes()).unwrap();
    let jws = UnverifiedJws::parse(&parts).unwrap().decode_signature().unwrap();
    let candidates = set.candidates(jws.header(), None);
    jws.verify(candidates.into_iter()).is_ok()
}

#[track_caller]
fn check_unusable(member: Value, reason: JwkError) {
    let set = parse(&json!({"a": EXPIRED, "b": member}), KeyStrength::Required).unwrap();
    let skipped: Vec<_> = set.skipped().iter().map(|key| (key.index, key.reason)).collect();
    assert_eq!(skipped, [(1, reason)], "{member}");
}

/// When a certificate was valid is not looked at, as natively: the set is the authority, and an
/// issuer withdraws a key by taking it out. Google's certificates outlive their publication.
#[test]
fn an_expired_certificate_holds_a_key_all_the_same() {
    let set = parse(&json!({"expired": EXPIRED}), KeyStrength::Required).unwrap();
    assert_eq!((set.len(), set.skipped()), (1, &[][..]));
    assert!(accepts(&set, EXPIRED_RS256));
    // A certificate does not say which of RSA's algorithms its key is for.
    assert!(accepts(&set, EXPIRED_PS256));
}

#[test]
fn the_name_of_a_member_is_the_kid() {
    let other = parse(&json!({"other": EXPIRED}), KeyStrength::Required).unwrap();
    assert!(other.names("other") && !other.names("expired"));
    assert!(!accepts(&other, EXPIRED_RS256));
    let swapped = parse(&json!({"expired": VERSION1, "version1": EXPIRED}), KeyStrength::Required);
    assert!(!accepts(&swapped.unwrap(), EXPIRED_RS256));
}

#[test]
fn one_bad_member_does_not_spoil_the_others() {
    let set = json!({
        "a garbage": format!("{BEGIN}\nAAAA\n-----END CERTIFICATE-----\n"),
        "b curve": EC,
        "expired": EXPIRED,
        "number": 7,
        "version1": VERSION1,
    });
    let set = parse(&set, KeyStrength::Required).unwrap();
    assert_eq!(set.len(), 2);
    let skipped: Vec<_> = set.skipped().iter().map(|key| (key.index, key.reason)).collect();
    assert_eq!(skipped, [0, 1, 3].map(|index| (index, JwkError::Certificate)));
    assert!(accepts(&set, EXPIRED_RS256));
    assert!(accepts(&set, VERSION1_RS512));
}

#[test]
fn members_that_are_not_used() {
    for member in [
        json!(EC),
        // A key for RSASSA-PSS alone; the native filter knows no such kind either.
        json!(PSS),
        json!(null),
        json!({}),
        json!([EXPIRED]),
        json!(""),
        json!("garbage"),
        json!(BEGIN),
        json!(format!("{BEGIN}\n-----END CERTIFICATE-----\n")),
        json!(format!("{BEGIN}\n*\n-----END CERTIFICATE-----\n")),
        json!(format!(" {EXPIRED}")),
        json!(EXPIRED.replace("END CERTIFICATE", "END PUBLIC KEY")),
        json!(EXPIRED.replace("CERTIFICATE", "PUBLIC KEY")),
        json!(EXPIRED.replacen("\nMII", "\nMIJ", 1)),
    ] {
        check_unusable(member, JwkError::Certificate);
    }
    check_unusable(json!(WEAK), JwkError::TooWeak);
    check_unusable(json!(EXPONENT), JwkError::RsaExponent);

    let weak = parse(&json!({"weak": WEAK}), KeyStrength::WeakAllowed).unwrap();
    assert!(accepts(&weak, WEAK_RS256));
    let nameless = parse(&json!({"": EXPIRED}), KeyStrength::Required).map(|set| set.len());
    assert_eq!(nameless, Err(KeySetError::NoUsableKey(Some(JwkError::Member("kid")))));
}

#[test]
fn spellings_of_pem() {
    let expected = rsa_parts(EXPIRED).unwrap();
    assert_eq!((expected.modulus.len(), &expected.exponent[..]), (256, &[1, 0, 1][..]));
    for pem in [
        EXPIRED.trim_end().to_owned(),
        EXPIRED.replace('\n', "\r\n"),
        EXPIRED.replace('\n', ""),
        // Of a chain, the first, as natively.
        format!("{EXPIRED}{VERSION1}"),
    ] {
        assert_eq!(rsa_parts(&pem).as_ref(), Some(&expected), "{pem}");
    }
}

#[test]
fn what_is_no_map_of_certificates() {
    let keys = |set: Value| parse(&set, KeyStrength::Required).map(|set| set.len());
    assert_eq!(keys(json!({"error": "not found"})), Err(KeySetError::NoKeys));
    assert_eq!(keys(json!({"a": "-----BEGIN PUBLIC KEY-----\n"})), Err(KeySetError::NoKeys));
    assert_eq!(keys(json!({"a": [EXPIRED]})), Err(KeySetError::NoKeys));
    // `keys` decides.
    assert_eq!(keys(json!({"a": EXPIRED, "keys": EXPIRED})), Err(KeySetError::NoKeys));
    assert_eq!(keys(json!({"a": EXPIRED, "keys": []})), Err(KeySetError::NoUsableKey(None)));
    let many: Map<_, _> = (0..=MAX_KEYS).map(|kid| (kid.to_string(), json!(EC))).collect();
    assert_eq!(keys(json!(many)), Err(KeySetError::TooLarge));
}

fn pem(der: &[u8]) -> String {
    format!("{BEGIN}\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).unwrap()
}

#[test]
fn no_truncation_and_no_appendix_passes() {
    let good = der(EXPIRED);
    assert!(rsa_parts(&pem(&good)).is_some());
    for length in 0..good.len() {
        assert_eq!(rsa_parts(&pem(&good[..length])), None, "{length}");
    }
    assert_eq!(rsa_parts(&pem(&[&good[..], &[0]].concat())), None);
    assert_eq!(rsa_parts(&pem(&[&good[..], &[5, 0]].concat())), None);
}

/// No bit of the wrapping can change the key: it stays the same, or there is none.
#[test]
fn flipped_bits_change_the_key_or_nothing() {
    for good in [EXPIRED, VERSION1].map(der) {
        let expected = rsa_parts(&pem(&good)).unwrap();
        let modulus = good.windows(256).position(|part| part == expected.modulus).unwrap();
        // The zero before the modulus is a part of the number; tag and length of `e` follow it.
        let key = modulus - 1..modulus + 256 + 2 + expected.exponent.len();
        for (index, bit) in (0..good.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
            let mut bad = good.clone();
            bad[index] ^= 1 << bit;
            let parts = rsa_parts(&pem(&bad));
            let same = parts.is_none_or(|parts| parts == expected);
            assert!(same || key.contains(&index), "octet {index} bit {bit}");
            let _ = KeySet::parse(
                json!({"a": pem(&bad)}).to_string().as_bytes(),
                KeyStrength::WeakAllowed,
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = rsa_parts(&pem(&octets));
        let _ = rsa_parts(&format!("{BEGIN}{}", String::from_utf8_lossy(&octets)));
    }

    #[test]
    fn mangled_certificates_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut octets = der(EXPIRED);
        for (index, octet) in changes {
            let index = index.index(octets.len());
            octets[index] = octet;
        }
        let _ = rsa_parts(&pem(&octets));
        octets.truncate(cut.index(octets.len()));
        let _ = rsa_parts(&pem(&octets));
    }
}
