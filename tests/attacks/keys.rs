//! The keys of the corpus, and sets of them as configurations name them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_gate_demo::keys::{Alg, SigningKey};
use num_bigint::BigUint;
use serde_json::{Map, Value, json};

/// One key of each kind, some twice: those of somebody else.
pub(crate) static KEYS: LazyLock<BTreeMap<&str, SigningKey>> = LazyLock::new(|| {
    let generated = |name: &'static str, alg: Alg| (name, SigningKey::generate(alg, name));
    [
        generated("rsa", Alg::RS256),
        generated("rsa-of-another", Alg::RS256),
        ("rsa-1024", SigningKey::generate_rsa(Alg::RS256, "rsa-1024", 1024)),
        ("rsa-e3", exponent_three()),
        ("ps256", SigningKey::test_rsa(Alg::PS256, "ps256")),
        generated("ec256", Alg::ES256),
        generated("ec256-of-another", Alg::ES256),
        generated("ec384", Alg::ES384),
        generated("ec521", Alg::ES512),
        generated("ed", Alg::EdDSA),
        generated("ed-of-another", Alg::EdDSA),
        generated("hs256", Alg::HS256),
        generated("hs384", Alg::HS384),
        generated("hs512", Alg::HS512),
        generated("hs256-of-another", Alg::HS256),
        ("hs-of-31", SigningKey::from_hmac_secret(Alg::HS256, "hs-of-31", &[7; 31])),
    ]
    .into()
});

/// A key with the exponent 3, of which the library makes none. It is for tests and signs nothing else.
fn exponent_three() -> SigningKey {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks/exponent-three.json");
    let jwk: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    SigningKey::from_jwk(&jwk, Some(Alg::RS256)).unwrap()
}

#[track_caller]
pub(crate) fn key(name: &str) -> &'static SigningKey {
    KEYS.get(name).unwrap_or_else(|| panic!("no key is called {name}"))
}

/// The same secret, used with another algorithm.
pub(crate) fn with_algorithm(key: &SigningKey, alg: Alg) -> SigningKey {
    SigningKey::from_jwk(&key.private_jwk(), Some(alg)).unwrap()
}

pub(crate) fn member(jwk: &Value, name: &str) -> Vec<u8> {
    let text = jwk[name].as_str().unwrap_or_else(|| panic!("no {name} in {jwk}"));
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub(crate) fn number(jwk: &Value, name: &str) -> BigUint {
    BigUint::from_bytes_be(&member(jwk, name))
}

/// The text of a set, as a configuration describes it: names of keys; or `key` and the members that are
/// otherwise, where `{absent}` is not there and `odd NAME` is what [`odd`] makes of the key; or just
/// a `jwk`.
pub(crate) fn set(described: &Value) -> String {
    if let Some(kid) = described.get("certificate") {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/x509");
        let pem = fs::read_to_string(folder.join("expired.pem")).unwrap();
        return json!({ kid.as_str().unwrap(): pem }).to_string();
    }
    let keys = described.as_array().unwrap().iter().map(|one| match one {
        Value::String(name) => key(name).public_jwk(),
        Value::Object(own) if own.contains_key("jwk") => own["jwk"].clone(),
        Value::Object(own) => {
            let mut jwk = match own.get("private") {
                Some(_) => key(own["key"].as_str().unwrap()).private_jwk(),
                None => key(own["key"].as_str().unwrap()).public_jwk(),
            };
            let members = jwk.clone();
            change(jwk.as_object_mut().unwrap(), own, &members);
            jwk
        }
        other => panic!("no key: {other}"),
    });
    json!({ "keys": keys.collect::<Vec<_>>() }).to_string()
}

fn change(jwk: &mut Map<String, Value>, own: &Map<String, Value>, before: &Value) {
    for (name, value) in own.iter().filter(|(name, _)| !["key", "private"].contains(&name.as_str()))
    {
        match value.as_str() {
            Some("{absent}") => {
                jwk.remove(name);
            }
            Some(text) if text.starts_with("odd ") => {
                jwk.insert(name.clone(), json!(odd(&text[4..], before)));
            }
            _ => {
                jwk.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Members of odd keys, in base64url.
fn odd(name: &str, jwk: &Value) -> String {
    let octets = match name {
        "n - 1" => (number(jwk, "n") - 1_u8).to_bytes_be(),
        "n of 8200 bits" => vec![0xff; 1025],
        "n of 2 MB" => vec![0xff; 100_000],
        "n = 1" => vec![1],
        "n = 0" => vec![0],
        "n negative" => [vec![0xff], member(jwk, "n")].concat(),
        "y of another point" => {
            let mut y = member(jwk, "y");
            *y.last_mut().unwrap() ^= 1;
            y
        }
        "one more octet" => [member(jwk, "x"), vec![1]].concat(),
        "identity" => [vec![1], vec![0; 31]].concat(),
        "small order" => {
            // A point of order 8 (RFC 7748's twist aside, the usual one of such lists).
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
                .as_bytes()
                .chunks(2)
                .map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap())
                .collect()
        }
        other => panic!("odd {other}?"),
    };
    URL_SAFE_NO_PAD.encode(octets)
}
