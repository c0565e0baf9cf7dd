//! An independent verifier: `jsonwebtoken` on AWS-LC, which shares no code with the gate but for the
//! JSON parser. ES512, which `jsonwebtoken` does not know, is checked by AWS-LC directly.

use std::cell::RefCell;
use std::collections::BTreeMap;

use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, crypto, decode};
use serde_json::{Map, Value};

/// Checks what one key signed.
pub struct Verifier {
    jwk: String,
    name: String,
    key: Kind,
}

thread_local! {
    /// What was checked lately, by the key and the whole token: the model asks again and again.
    static KNOWN: RefCell<BTreeMap<(String, String), bool>> = const { RefCell::new(BTreeMap::new()) };
}

enum Kind {
    Library(Algorithm, Box<DecodingKey>),
    /// The uncompressed point.
    P521(Vec<u8>),
}

/// A token that was taken apart.
pub struct Read {
    /// The header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
    /// What is signed.
    pub input: String,
    /// The signature as it stands there.
    pub signature: String,
    /// The payload as it stands there.
    pub payload: String,
    /// Header and payload as text.
    pub texts: [String; 2],
}

impl Read {
    /// Takes a token apart as RFC 7515 section 5.2 says; none where it is no token.
    pub fn parse(token: &[u8]) -> Option<Self> {
        let token = str::from_utf8(token).ok()?;
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts[..] else { return None };
        URL_SAFE_NO_PAD.decode(signature).ok()?;
        let text = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        let object = |text: &str| match serde_json::from_str(text).ok()? {
            Value::Object(members) => Some(members),
            _ => None,
        };
        let texts = [text(header)?, text(payload)?];
        Some(Self {
            header: object(&texts[0])?,
            claims: object(&texts[1])?,
            input: format!("{header}.{payload}"),
            signature: signature.to_owned(),
            payload: payload.to_owned(),
            texts,
        })
    }
}

impl Verifier {
    /// A verifier for what the key in this JWK signs by the JWK's own `alg`.
    pub fn new(jwk: &Value) -> Self {
        let name = jwk["alg"].as_str().expect("the keys here have an `alg`").to_owned();
        let key = match name.parse() {
            Ok(algorithm) => {
                let jwk = serde_json::from_value(jwk.clone()).expect("a JWK");
                let key = DecodingKey::from_jwk(&jwk).expect("a usable key");
                Kind::Library(algorithm, Box::new(key))
            }
            Err(_) => {
                assert_eq!(name, "ES512");
                let octets = |member: &str| {
                    URL_SAFE_NO_PAD.decode(jwk[member].as_str().expect("text")).expect("base64url")
                };
                Kind::P521([vec![4], octets("x"), octets("y")].concat())
            }
        };
        Self { jwk: jwk.to_string(), name, key }
    }

    /// Whether this key made the token's signature by its own algorithm.
    pub fn verifies(&self, token: &Read) -> bool {
        let whole = format!("{}.{}", token.input, token.signature);
        KNOWN.with_borrow_mut(|known| {
            if known.len() > 1_000 {
                known.clear();
            }
            *known.entry((self.jwk.clone(), whole)).or_insert_with(|| self.check(token))
        })
    }

    fn check(&self, token: &Read) -> bool {
        if token.header.get("alg").and_then(Value::as_str) != Some(&self.name) {
            return false;
        }
        let input = token.input.as_bytes();
        match &self.key {
            Kind::Library(algorithm, key) => {
                let made = crypto::verify(&token.signature, input, key, *algorithm);
                let made = made.is_ok_and(|made| made);
                // The library's whole reading may only be stricter: it wants members of the header
                // in good order of which the gate takes no notice.
                assert!(made || !self.decodes(token, *algorithm, key));
                made
            }
            Kind::P521(point) => {
                let key = UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, point);
                let signature = URL_SAFE_NO_PAD.decode(&token.signature).unwrap_or_default();
                key.verify(input, &signature).is_ok()
            }
        }
    }

    fn decodes(&self, token: &Read, algorithm: Algorithm, key: &DecodingKey) -> bool {
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        // The clock is not this library's: it would ask the machine.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let text = format!("{}.{}", token.input, token.signature);
        decode::<Value>(text, key, &validation).is_ok()
    }
}
