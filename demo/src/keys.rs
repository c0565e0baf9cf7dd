//! Signing keys for every algorithm that jwt-gate knows, their JWKs, and the
//! tokens made with them: proper ones and, for tests, deliberately odd ones.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::signature::Signer;
use p256::elliptic_curve::Generate;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, Pss, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// A JWS signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alg {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
    HS256,
    HS384,
    HS512,
}

impl Alg {
    /// Every algorithm.
    pub const ALL: [Alg; 13] = [
        Alg::RS256,
        Alg::RS384,
        Alg::RS512,
        Alg::PS256,
        Alg::PS384,
        Alg::PS512,
        Alg::ES256,
        Alg::ES384,
        Alg::ES512,
        Alg::EdDSA,
        Alg::HS256,
        Alg::HS384,
        Alg::HS512,
    ];

    /// The name in the `alg` member of headers and JWKs.
    pub fn as_str(self) -> &'static str {
        match self {
            Alg::RS256 => "RS256",
            Alg::RS384 => "RS384",
            Alg::RS512 => "RS512",
            Alg::PS256 => "PS256",
            Alg::PS384 => "PS384",
            Alg::PS512 => "PS512",
            Alg::ES256 => "ES256",
            Alg::ES384 => "ES384",
            Alg::ES512 => "ES512",
            Alg::EdDSA => "EdDSA",
            Alg::HS256 => "HS256",
            Alg::HS384 => "HS384",
            Alg::HS512 => "HS512",
        }
    }

    /// Whether an RSA key signs.
    pub fn is_rsa(self) -> bool {
        self.as_str().starts_with(['R', 'P'])
    }

    /// Whether one shared secret both signs and verifies.
    pub fn is_hmac(self) -> bool {
        self.as_str().starts_with('H')
    }
}

impl fmt::Display for Alg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Alg {
    type Err = String;

    fn from_str(name: &str) -> Result<Alg, String> {
        Alg::ALL
            .into_iter()
            .find(|alg| alg.as_str() == name)
            .ok_or_else(|| format!("unknown algorithm {name:?}"))
    }
}

/// A key that signs tokens: the secret part, its id and the algorithm it is used with.
#[derive(Clone)]
pub struct SigningKey {
    alg: Alg,
    kid: String,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Rsa(Arc<RsaPrivateKey>),
    P256(Box<p256::ecdsa::SigningKey>),
    P384(Box<p384::ecdsa::SigningKey>),
    P521(Box<p521::ecdsa::SigningKey>),
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Oct(Vec<u8>),
}

impl SigningKey {
    /// Makes a fresh key; RSA keys have 2048 bits, HMAC secrets 64 bytes.
    pub fn generate(alg: Alg, kid: &str) -> SigningKey {
        let secret = match alg {
            Alg::ES256 => Secret::P256(Box::new(Generate::generate_from_rng(&mut rng()))),
            Alg::ES384 => Secret::P384(Box::new(Generate::generate_from_rng(&mut rng()))),
            Alg::ES512 => Secret::P521(Box::new(Generate::generate_from_rng(&mut rng()))),
            Alg::EdDSA => {
                Secret::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&random_bytes())))
            }
            Alg::HS256 | Alg::HS384 | Alg::HS512 => Secret::Oct(random_bytes::<64>().to_vec()),
            _ => return SigningKey::generate_rsa(alg, kid, 2048),
        };
        SigningKey::new(alg, kid, secret)
    }

    /// Makes a fresh RSA key of the given size; 1024 bits too, so that tests can see it refused.
    ///
    /// # Panics
    /// If `alg` is not an RSA algorithm, or the size is below 1024.
    pub fn generate_rsa(alg: Alg, kid: &str, bits: usize) -> SigningKey {
        assert!(alg.is_rsa(), "{alg} does not use RSA");
        let key = RsaPrivateKey::new(&mut rng(), bits).expect("a size for an RSA key");
        SigningKey::new(alg, kid, Secret::Rsa(Arc::new(key)))
    }

    /// An RSA key for tests, where generating one takes too long: every call in
    /// this process returns the same key, only the algorithm and the id differ.
    ///
    /// # Panics
    /// If `alg` is not an RSA algorithm.
    pub fn test_rsa(alg: Alg, kid: &str) -> SigningKey {
        static KEY: OnceLock<SigningKey> = OnceLock::new();
        assert!(alg.is_rsa(), "{alg} does not use RSA");
        let key = KEY.get_or_init(|| SigningKey::generate_rsa(Alg::RS256, "", 2048));
        SigningKey::new(alg, kid, key.secret.clone())
    }

    /// An HMAC key with a chosen secret.
    ///
    /// # Panics
    /// If `alg` is not an HMAC algorithm.
    pub fn from_hmac_secret(alg: Alg, kid: &str, secret: &[u8]) -> SigningKey {
        assert!(alg.is_hmac(), "{alg} does not use a shared secret");
        SigningKey::new(alg, kid, Secret::Oct(secret.to_vec()))
    }

    fn new(alg: Alg, kid: &str, secret: Secret) -> SigningKey {
        SigningKey { alg, kid: kid.to_owned(), secret }
    }

    /// The key id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm that the key signs with.
    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// What a verifier needs, as a JWK. Of an HMAC key that is the secret itself.
    pub fn public_jwk(&self) -> Value {
        let mut jwk = match &self.secret {
            Secret::Rsa(key) => json!({
                "kty": "RSA",
                "n": base64url(key.n_bytes()),
                "e": base64url(key.e_bytes()),
            }),
            Secret::P256(key) => {
                ec_jwk("P-256", key.verifying_key().to_sec1_point(false).as_bytes())
            }
            Secret::P384(key) => {
                ec_jwk("P-384", key.verifying_key().to_sec1_point(false).as_bytes())
            }
            Secret::P521(key) => {
                ec_jwk("P-521", key.verifying_key().to_sec1_point(false).as_bytes())
            }
            Secret::Ed25519(key) => json!({
                "kty": "OKP",
                "crv": "Ed25519",
                "x": base64url(key.verifying_key().as_bytes()),
            }),
            Secret::Oct(secret) => json!({ "kty": "oct", "k": base64url(secret) }),
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["alg"] = self.alg.as_str().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A token with these claims and the usual header (`alg`, `kid`, `typ`).
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with_header(&self.header(), claims.to_string().as_bytes())
    }

    /// A proof of possession of this key with these claims (RFC 9449, 4.2).
    pub fn prove(&self, claims: &Value) -> String {
        let header = json!({ "typ": "dpop+jwt", "alg": self.alg.as_str(), "jwk": self.bare_jwk() });
        self.sign_with_header(&header, claims.to_string().as_bytes())
    }

    /// The thumbprint of the public key by SHA-256 (RFC 7638): of its members alone, in their order.
    ///
    /// # Panics
    /// If it is a shared secret.
    pub fn thumbprint(&self) -> String {
        let jwk = self.bare_jwk();
        let jwk = jwk.as_object().expect("an object");
        assert!(!jwk.contains_key("k"), "a secret has no public half");
        let members: BTreeMap<_, _> = jwk.iter().collect();
        let text = serde_json::to_string(&members).expect("texts");
        base64url(Sha256::digest(text))
    }

    fn bare_jwk(&self) -> Value {
        let mut jwk = self.public_jwk();
        let members = jwk.as_object_mut().expect("an object");
        members.retain(|name, _| !["alg", "kid", "use"].contains(&name.as_str()));
        jwk
    }

    /// The usual header of this key's tokens.
    pub fn header(&self) -> Value {
        json!({ "alg": self.alg.as_str(), "kid": self.kid, "typ": "JWT" })
    }

    /// A token with exactly this header and payload, whatever they say:
    /// the signature is always that of this key and its algorithm.
    pub fn sign_with_header(&self, header: &Value, payload: &[u8]) -> String {
        let input = format!("{}.{}", base64url(header.to_string()), base64url(payload));
        let signature = base64url(self.sign_bytes(input.as_bytes()));
        format!("{input}.{signature}")
    }

    /// The bare JWS signature; ECDSA as `r || s` of fixed length (RFC 7518, 3.4).
    pub fn sign_bytes(&self, input: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Rsa(key) => rsa_signature(key, self.alg, input),
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(input);
                signature.to_bytes().to_vec()
            }
            Secret::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(input);
                signature.to_bytes().to_vec()
            }
            Secret::P521(key) => {
                let signature: p521::ecdsa::Signature = key.sign(input);
                signature.to_bytes().to_vec()
            }
            Secret::Ed25519(key) => key.sign(input).to_bytes().to_vec(),
            Secret::Oct(secret) => match self.alg {
                Alg::HS256 => hmac::<Hmac<Sha256>>(secret, input),
                Alg::HS384 => hmac::<Hmac<Sha384>>(secret, input),
                _ => hmac::<Hmac<Sha512>>(secret, input),
            },
        }
    }
}

impl fmt::Debug for SigningKey {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {:?})", self.alg, self.kid)
    }
}

/// The key set that publishes these keys.
pub fn jwks(keys: &[&SigningKey]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.public_jwk()).collect::<Vec<_>>() })
}

/// Base64url without padding, the encoding of every part of a JWS.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A random name that no other key or token has.
pub(crate) fn random_id() -> String {
    base64url(random_bytes::<12>())
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's randomness");
    bytes
}

fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

fn hmac<M: Mac + KeyInit>(secret: &[u8], input: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(secret).expect("HMAC takes any length");
    mac.update(input);
    mac.finalize().into_bytes().to_vec()
}

fn rsa_signature(key: &RsaPrivateKey, alg: Alg, input: &[u8]) -> Vec<u8> {
    let sha256 = || Sha256::digest(input);
    let sha384 = || Sha384::digest(input);
    let sha512 = || Sha512::digest(input);
    let rng = &mut rng();
    // The salt of a JWS is as long as the hash (RFC 7518, 3.5).
    match alg {
        Alg::RS256 => key.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha256>(), &sha256()),
        Alg::RS384 => key.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha384>(), &sha384()),
        Alg::RS512 => key.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha512>(), &sha512()),
        Alg::PS256 => key.sign_with_rng(rng, Pss::<Sha256>::new(), &sha256()),
        Alg::PS384 => key.sign_with_rng(rng, Pss::<Sha384>::new(), &sha384()),
        _ => key.sign_with_rng(rng, Pss::<Sha512>::new(), &sha512()),
    }
    .expect("the key is large enough for the hash")
}

/// `point` is in the uncompressed form: a 4, then both coordinates in full length.
fn ec_jwk(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
}

#[cfg(test)]
mod tests {
    use p521::ecdsa::signature::Verifier;
    use ring::signature as ring_signature;
    use ring::signature::{RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};

    use super::*;

    fn member(jwk: &Value, name: &str) -> Vec<u8> {
        let text = jwk[name].as_str().unwrap_or_else(|| panic!("no {name}"));
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// Verifies with another library than the one that signs, from the JWK alone.
    fn verifies(jwk: &Value, input: &[u8], signature: &[u8]) -> bool {
        let rsa = |parameters: &RsaParameters| {
            let (n, e) = (member(jwk, "n"), member(jwk, "e"));
            let key = RsaPublicKeyComponents { n, e };
            key.verify(parameters, input, signature).is_ok()
        };
        let point = || [vec![4], member(jwk, "x"), member(jwk, "y")].concat();
        let ec = |algorithm: &'static ring_signature::EcdsaVerificationAlgorithm| {
            let key = UnparsedPublicKey::new(algorithm, point());
            key.verify(input, signature).is_ok()
        };
        let hmac = |algorithm| {
            let key = ring::hmac::Key::new(algorithm, &member(jwk, "k"));
            ring::hmac::verify(&key, input, signature).is_ok()
        };
        match jwk["alg"].as_str().unwrap().parse().unwrap() {
            Alg::RS256 => rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA256),
            Alg::RS384 => rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA384),
            Alg::RS512 => rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA512),
            Alg::PS256 => rsa(&ring_signature::RSA_PSS_2048_8192_SHA256),
            Alg::PS384 => rsa(&ring_signature::RSA_PSS_2048_8192_SHA384),
            Alg::PS512 => rsa(&ring_signature::RSA_PSS_2048_8192_SHA512),
            Alg::ES256 => ec(&ring_signature::ECDSA_P256_SHA256_FIXED),
            Alg::ES384 => ec(&ring_signature::ECDSA_P384_SHA384_FIXED),
            Alg::ES512 => {
                // Ring has no P-521.
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&point()).unwrap();
                p521::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify(input, &signature).is_ok())
            }
            Alg::EdDSA => {
                let key = UnparsedPublicKey::new(&ring_signature::ED25519, member(jwk, "x"));
                key.verify(input, signature).is_ok()
            }
            Alg::HS256 => hmac(ring::hmac::HMAC_SHA256),
            Alg::HS384 => hmac(ring::hmac::HMAC_SHA384),
            Alg::HS512 => hmac(ring::hmac::HMAC_SHA512),
        }
    }

    fn key(alg: Alg) -> SigningKey {
        match alg.is_rsa() {
            true => SigningKey::test_rsa(alg, "k1"),
            false => SigningKey::generate(alg, "k1"),
        }
    }

    #[test]
    fn every_algorithm_signs_what_its_jwk_verifies() {
        for alg in Alg::ALL {
            let key = key(alg);
            let jwk = key.public_jwk();
            let token = key.sign(&json!({ "sub": "alice" }));
            let (input, signature) = token.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            assert!(verifies(&jwk, input.as_bytes(), &signature), "{alg}");
            assert!(!verifies(&jwk, b"another input", &signature), "{alg}");
            let lengths = match alg {
                Alg::ES256 | Alg::EdDSA | Alg::HS512 => 64,
                Alg::ES384 => 96,
                Alg::ES512 => 132,
                Alg::HS256 => 32,
                Alg::HS384 => 48,
                _ => 256,
            };
            assert_eq!(signature.len(), lengths, "{alg}");
        }
    }

    #[test]
    fn jwks_have_the_members_of_their_type() {
        for alg in Alg::ALL {
            let jwk = key(alg).public_jwk();
            assert_eq!(jwk["kid"], "k1");
            assert_eq!(jwk["alg"], alg.as_str());
            assert_eq!(jwk["use"], "sig");
            let (own, lengths): (&[&str], &[usize]) = match jwk["kty"].as_str().unwrap() {
                "RSA" => (&["n", "e"], &[256, 3]),
                "OKP" => (&["crv", "x"], &[0, 32]),
                "oct" => (&["k"], &[64]),
                "EC" => match jwk["crv"].as_str().unwrap() {
                    "P-256" => (&["crv", "x", "y"], &[0, 32, 32]),
                    "P-384" => (&["crv", "x", "y"], &[0, 48, 48]),
                    "P-521" => (&["crv", "x", "y"], &[0, 66, 66]),
                    other => panic!("{other}"),
                },
                other => panic!("{other}"),
            };
            // kty, kid, alg, use; and nothing of the private part.
            assert_eq!(jwk.as_object().unwrap().len(), 4 + own.len(), "{alg}");
            for (name, length) in own.iter().zip(lengths).filter(|(name, _)| **name != "crv") {
                assert_eq!(member(&jwk, name).len(), *length, "{alg} {name}");
            }
        }
    }

    #[test]
    fn a_token_has_the_header_it_is_given() {
        let key = SigningKey::generate(Alg::ES256, "k1");
        let part = |token: &str, index: usize| {
            let part = token.split('.').nth(index).unwrap();
            String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let usual = key.sign(&json!({ "sub": "alice" }));
        assert_eq!(part(&usual, 0), r#"{"alg":"ES256","kid":"k1","typ":"JWT"}"#);
        assert_eq!(part(&usual, 1), r#"{"sub":"alice"}"#);
        let odd = key.sign_with_header(&json!({ "alg": "none" }), b"not JSON");
        assert_eq!(part(&odd, 0), r#"{"alg":"none"}"#);
        assert_eq!(part(&odd, 1), "not JSON");
    }

    #[test]
    fn names_of_algorithms_are_read_back() {
        for alg in Alg::ALL {
            assert_eq!(alg.as_str().parse(), Ok(alg));
        }
        assert!("none".parse::<Alg>().is_err());
        assert!("rs256".parse::<Alg>().is_err());
    }

    #[test]
    fn keys_differ_and_small_ones_can_be_made() {
        let one = SigningKey::generate(Alg::HS256, "k1").public_jwk();
        let two = SigningKey::generate(Alg::HS256, "k1").public_jwk();
        assert_ne!(one, two);
        let small = SigningKey::generate_rsa(Alg::RS256, "small", 1024);
        assert_eq!(member(&small.public_jwk(), "n").len(), 128);
        assert_eq!(small.sign_bytes(b"input").len(), 128);
        assert_eq!(format!("{small:?}"), r#"SigningKey(RS256 "small")"#);
    }
}
