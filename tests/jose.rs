//! Tokens and keys as values: every refusal with its exact reason, every algorithm against every
//! key, and the properties that no change to a good token keeps it good.
#![expect(clippy::unwrap_used, reason = "tests")]

use jwt_gate::jose::algorithm::ALGORITHMS;
use jwt_gate::jose::header::{Header, HeaderError};
use jwt_gate::jose::jwk::{Jwk, JwkError, KeyStrength};
use jwt_gate::jose::jws::{JwsError, Parts, UnverifiedJws};
use jwt_gate::jwks::key_set::{KeySet, KeySetError, MAX_KEYS, MAX_SET_OCTETS, MAX_TRIES};
use jwt_gate_demo::keys::{Alg, SigningKey, base64url};
use proptest::prelude::*;
use serde_json::{Value, json};

fn key(alg: Alg) -> SigningKey {
    match alg.is_rsa() {
        true => SigningKey::test_rsa(alg, "k"),
        false => SigningKey::generate(alg, "k"),
    }
}

fn set(keys: &[Value]) -> KeySet {
    let text = json!({ "keys": keys }).to_string();
    KeySet::parse(text.as_bytes(), KeyStrength::Required).unwrap()
}

fn accepts(set: &KeySet, token: &[u8]) -> bool {
    let Ok(parts) = Parts::of(token) else { return false };
    let Ok(jws) = UnverifiedJws::parse(&parts) else { return false };
    let Ok(jws) = jws.decode_signature() else { return false };
    let candidates = set.candidates(jws.header(), None);
    jws.verify(candidates.into_iter()).is_ok()
}

#[test]
fn every_algorithm_fits_its_own_keys_only() {
    let keys: Vec<_> = Alg::ALL.into_iter().map(|alg| (alg, key(alg))).collect();
    assert_eq!(keys.len(), ALGORITHMS.len());
    for (alg, signer) in &keys {
        let token = signer.sign(&json!({"sub": "a"}));
        for (other, holder) in &keys {
            let mut jwk = holder.public_jwk();
            let own = alg == other;
            assert_eq!(
                accepts(&set(std::slice::from_ref(&jwk)), token.as_bytes()),
                own,
                "{alg:?} under {other:?}"
            );
            // Without `alg`, an RSA key serves both paddings and all hashes: it is the same key.
            jwk.as_object_mut().unwrap().remove("alg");
            let same_key = alg.is_rsa() && other.is_rsa();
            assert_eq!(accepts(&set(&[jwk]), token.as_bytes()), own || same_key);
        }
    }
}

/// The classic: a token "signed" by HMAC with the public key as the secret.
#[test]
fn a_public_key_is_no_hmac_secret() {
    for alg in [Alg::RS256, Alg::ES256, Alg::EdDSA] {
        let holder = key(alg);
        let jwk = holder.public_jwk();
        let secrets = ["n", "x", "y"].iter().filter_map(|name| jwk[name].as_str());
        for secret in secrets.flat_map(|text| {
            let octets = jwt_gate::jose::base64url::decode(text.as_bytes()).unwrap();
            [text.as_bytes().to_vec(), octets, jwk.to_string().into_bytes()]
        }) {
            for hmac in [Alg::HS256, Alg::HS384, Alg::HS512] {
                let forger = SigningKey::from_hmac_secret(hmac, "k", &secret);
                let forged = forger.sign(&json!({"sub": "admin"}));
                assert!(!accepts(&set(std::slice::from_ref(&jwk)), forged.as_bytes()));
                let mut without = jwk.clone();
                without.as_object_mut().unwrap().remove("alg");
                assert!(!accepts(&set(&[without]), forged.as_bytes()));
            }
        }
    }
}

/// Whoever signs with a key of their own and ships it in the header gets nowhere.
#[test]
fn keys_in_the_header_are_not_used() {
    let good = key(Alg::ES256);
    let forger = key(Alg::ES256);
    for header in [
        json!({"alg": "ES256", "jwk": forger.public_jwk()}),
        json!({"alg": "ES256", "kid": "k", "jwk": forger.public_jwk()}),
        json!({"alg": "ES256", "jku": "https://evil.example/jwks.json"}),
        json!({"alg": "ES256", "x5u": "https://evil.example/cert", "x5c": ["AA=="]}),
    ] {
        let token = forger.sign_with_header(&header, b"{}");
        assert!(!accepts(&set(&[good.public_jwk()]), token.as_bytes()), "{header}");
    }
}

#[track_caller]
fn check_token(token: &str, expected: JwsError) {
    let error = match Parts::of(token.as_bytes()) {
        Err(error) => Some(error),
        Ok(parts) => UnverifiedJws::parse(&parts).and_then(UnverifiedJws::decode_signature).err(),
    };
    assert_eq!(error, Some(expected), "{token}");
}

#[test]
fn malformed_tokens() {
    let header = base64url(br#"{"alg":"ES256"}"#);
    let payload = base64url(b"{}");
    for token in [
        "",
        ".",
        "..",
        "a",
        "a.b",
        &format!("{header}.{payload}"),
        &format!("{header}.{payload}."),
        &format!(".{header}.{payload}.AA"),
        &format!("{header}.{payload}.AA."),
        &format!("{header}..{payload}.AA"),
        &format!("{header}.{payload}.AA.AA.AA"),
        &format!("{header}..AA"),
        &format!(".{payload}.AA"),
    ] {
        check_token(token, JwsError::NotThreeParts);
    }
    for bad in ["A", "A=", "AA==", "A A", "A+", "A/", "\u{e4}", "AB", "A%", "A\n"] {
        check_token(&format!("{bad}.{payload}.AA"), JwsError::HeaderEncoding);
        check_token(&format!("{header}.{bad}.AA"), JwsError::PayloadEncoding);
        check_token(&format!("{header}.{payload}.{bad}"), JwsError::SignatureEncoding);
    }
    for json in [
        "",
        "[]",
        "1",
        "\"\"",
        "null",
        "{",
        "{'a':1}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,}",
        "{}{}",
        "\u{feff}{}",
        "{\"a\":NaN}",
        "{\"a\":\"\u{1}\"}",
    ] {
        if json.is_empty() {
            continue;
        }
        let part = base64url(json);
        check_token(&format!("{part}.{payload}.AA"), JwsError::Header(HeaderError::NotJson));
        check_token(&format!("{header}.{part}.AA"), JwsError::PayloadNotJson);
    }
    check_token(
        &format!("{header}.{}.AA", base64url(b"{\"a\":\"\xff\"}")),
        JwsError::PayloadNotJson,
    );
    let none = base64url(br#"{"alg":"none"}"#);
    check_token(&format!("{none}.{payload}.AA"), JwsError::Header(HeaderError::AlgorithmUnknown));
    check_token(&"a".repeat(64 * 1024 + 1), JwsError::TooLong);
    let deep = base64url(format!("{{\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000)));
    check_token(&format!("{header}.{deep}.AA"), JwsError::PayloadNotJson);
}

#[track_caller]
fn check_jwk(jwk: Value, expected: JwkError) {
    assert_eq!(Jwk::parse(&jwk, KeyStrength::Required).map(|_| ()), Err(expected), "{jwk}");
}

/// `jwk` with members changed; null removes.
fn with(jwk: &Value, changes: Value) -> Value {
    let mut jwk = jwk.clone();
    let members = jwk.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    jwk
}

#[test]
fn unusable_rsa_keys() {
    let good = key(Alg::RS256).public_jwk();
    check_jwk(json!(1), JwkError::NotObject);
    check_jwk(json!({}), JwkError::Member("kty"));
    check_jwk(with(&good, json!({"kty": "rsa"})), JwkError::KindUnsupported);
    check_jwk(with(&good, json!({"kty": 1})), JwkError::Member("kty"));
    check_jwk(with(&good, json!({"n": null})), JwkError::Member("n"));
    check_jwk(with(&good, json!({"e": ["AQAB"]})), JwkError::Member("e"));
    check_jwk(with(&good, json!({"n": "!"})), JwkError::MemberEncoding("n"));
    check_jwk(with(&good, json!({"d": "AQ"})), JwkError::PrivatePart);
    check_jwk(with(&good, json!({"use": "enc"})), JwkError::NotForVerifying);
    check_jwk(with(&good, json!({"use": ["sig"]})), JwkError::NotForVerifying);
    check_jwk(with(&good, json!({"key_ops": ["sign"]})), JwkError::NotForVerifying);
    check_jwk(with(&good, json!({"key_ops": "verify"})), JwkError::NotForVerifying);
    check_jwk(with(&good, json!({"kid": 7})), JwkError::Member("kid"));
    for alg in ["ES256", "HS256", "EdDSA", "RSA-OAEP", "none"] {
        check_jwk(with(&good, json!({"alg": alg})), JwkError::AlgorithmUnfit);
    }
    for exponent in [&b"\x01"[..], b"\x02", b"\x00", b"", b"\x11", b"\x01\x00\x00\x01", &[255; 300]]
    {
        check_jwk(with(&good, json!({"e": base64url(exponent)})), JwkError::RsaExponent);
    }
    let modulus = |octets: Vec<u8>| with(&good, json!({"n": base64url(octets)}));
    check_jwk(modulus(vec![]), JwkError::TooWeak);
    check_jwk(modulus(vec![0xff; 255]), JwkError::TooWeak);
    check_jwk(modulus([vec![0x7f], vec![0xff; 255]].concat()), JwkError::TooWeak);
    check_jwk(modulus([vec![0; 200], vec![0xff; 128]].concat()), JwkError::TooWeak);
    check_jwk(modulus([vec![0xff; 255], vec![0xfe]].concat()), JwkError::RsaModulus);
    check_jwk(modulus(vec![0xff; 1025]), JwkError::TooLarge);
    let vectors = include_str!("data/wycheproof/json_web_crypto_test.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let groups = vectors["testGroups"].as_array().unwrap();
    let roca = groups.iter().find(|group| group["comment"] == "jws_rsa_roca_key").unwrap();
    check_jwk(roca["public"].clone(), JwkError::RsaRoca);
    assert!(Jwk::parse(&roca["public"], KeyStrength::WeakAllowed).is_ok());
    assert!(Jwk::parse(&modulus(vec![0xff; 1024]), KeyStrength::Required).is_ok());

    let weak = SigningKey::generate_rsa(Alg::RS256, "k", 1024);
    check_jwk(weak.public_jwk(), JwkError::TooWeak);
    assert!(Jwk::parse(&weak.public_jwk(), KeyStrength::WeakAllowed).is_ok());
    // A digest and a salt of 64 octets each do not fit into 1024 bits.
    let pss = with(&weak.public_jwk(), json!({"alg": "PS512"}));
    let refused = Jwk::parse(&pss, KeyStrength::WeakAllowed).map(|_| ());
    assert_eq!(refused, Err(JwkError::AlgorithmUnfit));
}

#[test]
fn unusable_curve_keys() {
    let good = key(Alg::ES256).public_jwk();
    check_jwk(with(&good, json!({"crv": "secp256k1"})), JwkError::CurveUnsupported);
    check_jwk(with(&good, json!({"crv": "P-384", "alg": null})), JwkError::PointInvalid);
    check_jwk(with(&good, json!({"alg": "ES384"})), JwkError::AlgorithmUnfit);
    check_jwk(with(&good, json!({"y": good["x"]})), JwkError::PointInvalid);
    check_jwk(with(&good, json!({"x": "", "y": ""})), JwkError::PointInvalid);
    check_jwk(with(&good, json!({"x": base64url([1; 33])})), JwkError::PointInvalid);
    check_jwk(with(&good, json!({"d": "AQ"})), JwkError::PrivatePart);
    // Natively the curve follows from `alg`, and is P-256 without one.
    for changes in [json!({"crv": null}), json!({"crv": null, "alg": null})] {
        assert!(Jwk::parse(&with(&good, changes), KeyStrength::Required).is_ok());
    }
    check_jwk(with(&good, json!({"crv": null, "alg": "RS256"})), JwkError::AlgorithmUnfit);

    let good = key(Alg::EdDSA).public_jwk();
    check_jwk(with(&good, json!({"crv": "Ed448"})), JwkError::CurveUnsupported);
    check_jwk(with(&good, json!({"crv": "X25519"})), JwkError::CurveUnsupported);
    check_jwk(with(&good, json!({"crv": null})), JwkError::Member("crv"));
    check_jwk(with(&good, json!({"x": base64url([1; 31])})), JwkError::PointInvalid);
    // The neutral element and the point of order two.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    check_jwk(with(&good, json!({"x": base64url(neutral)})), JwkError::PointInvalid);
    let mut order_two = [0xff; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    check_jwk(with(&good, json!({"x": base64url(order_two)})), JwkError::PointInvalid);
}

#[test]
fn unusable_secrets() {
    let secret = |octets: usize, alg: Value| {
        with(&json!({"kty": "oct", "k": base64url(vec![7; octets])}), json!({"alg": alg}))
    };
    check_jwk(secret(0, json!(null)), JwkError::TooWeak);
    check_jwk(secret(31, json!(null)), JwkError::TooWeak);
    check_jwk(secret(47, json!("HS384")), JwkError::TooWeak);
    check_jwk(secret(63, json!("HS512")), JwkError::TooWeak);
    check_jwk(secret(1025, json!(null)), JwkError::TooLarge);
    check_jwk(secret(64, json!("RS256")), JwkError::AlgorithmUnfit);
    assert!(Jwk::parse(&secret(1, json!("HS512")), KeyStrength::WeakAllowed).is_ok());
    // Long enough for one hash and too short for another.
    let set = set(&[secret(32, json!(null))]);
    let header = |alg| Header::parse(json!({"alg": alg}).to_string().as_bytes()).unwrap();
    assert_eq!(set.candidates(&header("HS256"), None).len(), 1);
    assert_eq!(set.candidates(&header("HS512"), None).len(), 0);
}

#[test]
fn key_sets() {
    let parse = |text: &str| KeySet::parse(text.as_bytes(), KeyStrength::Required).map(|s| s.len());
    assert_eq!(parse(""), Err(KeySetError::NotJson));
    assert_eq!(parse("<html>"), Err(KeySetError::NotJson));
    assert_eq!(parse("[]"), Err(KeySetError::NotJson));
    assert_eq!(parse("{}"), Err(KeySetError::NoKeys));
    assert_eq!(parse(r#"{"keys":{}}"#), Err(KeySetError::NoKeys));
    assert_eq!(parse(r#"{"keys":[]}"#), Err(KeySetError::NoUsableKey(None)));
    assert_eq!(
        parse(r#"{"keys":[{"kty":"x"},1]}"#),
        Err(KeySetError::NoUsableKey(Some(JwkError::KindUnsupported)))
    );
    assert_eq!(parse(&" ".repeat(MAX_SET_OCTETS + 1)), Err(KeySetError::TooLarge));
    let many = json!({"keys": vec![json!({}); MAX_KEYS + 1]});
    assert_eq!(parse(&many.to_string()), Err(KeySetError::TooLarge));

    let good = key(Alg::ES256).public_jwk();
    let mixed = set(&[json!({"kty": "x"}), good.clone(), with(&good, json!({"use": "enc"}))]);
    assert_eq!(mixed.len(), 1);
    let skipped: Vec<_> = mixed.skipped().iter().map(|key| (key.index, key.reason)).collect();
    assert_eq!(skipped, [(0, JwkError::KindUnsupported), (2, JwkError::NotForVerifying)]);
}

#[test]
fn keys_are_chosen_by_name_and_algorithm() {
    let signer = key(Alg::ES256);
    let jwk = signer.public_jwk();
    let token = |kid: Value| {
        let header = with(&json!({"alg": "ES256"}), json!({ "kid": kid }));
        signer.sign_with_header(&header, b"{}")
    };
    let named = set(&[with(&jwk, json!({"kid": "a"}))]);
    assert!(accepts(&named, token(json!("a")).as_bytes()));
    assert!(accepts(&named, token(json!(null)).as_bytes()));
    assert!(!accepts(&named, token(json!("b")).as_bytes()));
    assert!(!accepts(&named, token(json!("A")).as_bytes()));
    let nameless = set(&[with(&jwk, json!({"kid": null}))]);
    assert!(accepts(&nameless, token(json!("b")).as_bytes()));
    // Two keys of one name are both tried.
    let other = with(&key(Alg::ES256).public_jwk(), json!({"kid": "a"}));
    let twins = set(&[other.clone(), with(&jwk, json!({"kid": "a"}))]);
    assert!(accepts(&twins, token(json!("a")).as_bytes()));
    // A token without a name may cost a bounded number of tries only.
    let crowd = set(&vec![other; 100]);
    let header = Header::parse(br#"{"alg":"ES256"}"#).unwrap();
    assert_eq!(crowd.candidates(&header, None).len(), MAX_TRIES);
}

#[test]
fn no_flipped_bit_and_no_truncation_passes() {
    for alg in [Alg::ES256, Alg::EdDSA, Alg::HS256, Alg::RS256] {
        let signer = key(alg);
        let set = set(&[signer.public_jwk()]);
        let good = signer.sign(&json!({"iss": "i", "sub": "a", "exp": 1})).into_bytes();
        assert!(accepts(&set, &good));
        for length in 0..good.len() {
            assert!(!accepts(&set, &good[..length]), "{alg:?} cut to {length}");
        }
        for (index, _) in good.iter().enumerate() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[index] ^= 1 << bit;
                assert!(!accepts(&set, &bad), "{alg:?} octet {index} bit {bit}");
            }
        }
    }
}

/// ECDSA halves of the wrong length, zero, and the other solution's encoding tricks.
#[test]
fn odd_ecdsa_signatures() {
    let signer = key(Alg::ES256);
    let set = set(&[signer.public_jwk()]);
    let token = signer.sign(&json!({}));
    let (input, signature) = token.rsplit_once('.').unwrap();
    let good = jwt_gate::jose::base64url::decode(signature.as_bytes()).unwrap();
    let (r, s) = good.split_at(32);
    let zero = [0; 32];
    let der = [&[0x30, 68, 2, 32], r, &[2, 32], s].concat();
    for bad in [
        [r, s, &[0]].concat(),
        [&[0], r, s].concat(),
        [&[0], r, &[0], s].concat(),
        [&zero[..], s].concat(),
        [r, &zero].concat(),
        zero.repeat(2),
        vec![0xff; 64],
        r.to_vec(),
        der,
    ] {
        assert!(!accepts(&set, format!("{input}.{}", base64url(&bad)).as_bytes()), "{bad:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
        let parts = Parts::of(&octets);
        let _ = parts.map(|parts| UnverifiedJws::parse(&parts).map(|jws| jws.decode_signature().is_ok()));
        let _ = KeySet::parse(&octets, KeyStrength::WeakAllowed);
    }

    #[test]
    fn arbitrary_members_never_panic(
        members in proptest::collection::btree_map(
            prop_oneof![Just("kty"), Just("n"), Just("e"), Just("x"), Just("y"), Just("crv"),
                Just("k"), Just("alg"), Just("use"), Just("key_ops"), Just("kid")],
            prop_oneof![
                Just(json!("RSA")), Just(json!("EC")), Just(json!("OKP")), Just(json!("oct")),
                Just(json!("P-256")), Just(json!("P-384")), Just(json!("P-521")),
                Just(json!("Ed25519")), Just(json!("AQAB")), Just(json!("Aw")), Just(json!(1)),
                proptest::collection::vec(any::<u8>(), 0..300).prop_map(|o| json!(base64url(o))),
            ],
            0..8,
        )
    ) {
        let jwk = json!(members);
        if let Ok(jwk) = Jwk::parse(&jwk, KeyStrength::WeakAllowed) {
            for algorithm in ALGORITHMS {
                prop_assert!(jwk.verify(algorithm, b"x", &[7; 64]).is_err());
            }
        }
    }

    #[test]
    fn other_payloads_do_not_inherit_a_signature(claims in "[a-z]{0,20}") {
        let signer = key(Alg::HS256);
        let set = set(&[signer.public_jwk()]);
        let token = signer.sign(&json!({"sub": "a good one"}));
        let mut parts = token.split('.');
        let (header, _, signature) =
            (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let payload = base64url(json!({"sub": claims}).to_string());
        let forged = format!("{header}.{payload}.{signature}");
        prop_assert!(!accepts(&set, forged.as_bytes()));
    }
}
