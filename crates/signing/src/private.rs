//! Private keys in files: JWK (RFC 7517, RFC 7518 section 6, RFC 8037) and PEM (PKCS#8; PKCS#1 and SEC 1
//! are read, too).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::elliptic_curve::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding,
};
use p256::elliptic_curve::sec1::ToSec1Point;
use rsa::pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BoxedUint, RsaPrivateKey, RsaPublicKey};
use serde_json::{Value, json};

use crate::{Alg, Secret, SigningKey, base64url, ec_jwk};

/// Why a text is no key that signs. It names members, never their values.
pub type NoKey = String;

impl SigningKey {
    /// The whole key as a JWK. Whoever has it can sign.
    pub fn private_jwk(&self) -> Value {
        let mut jwk = self.public_jwk();
        match &self.secret {
            Secret::Rsa(key) => {
                let mut put = |name: &str, number: Option<&BoxedUint>| {
                    if let Some(number) = number {
                        jwk[name] = base64url(number.to_be_bytes_trimmed_vartime()).into();
                    }
                };
                put("d", Some(key.d()));
                for (name, prime) in ["p", "q"].into_iter().zip(key.primes()) {
                    put(name, Some(prime.as_ref()));
                }
                put("dp", key.dp());
                put("dq", key.dq());
                put("qi", key.crt_coefficient().as_ref());
            }
            Secret::P256(key) => jwk["d"] = base64url(key.to_bytes()).into(),
            Secret::P384(key) => jwk["d"] = base64url(key.to_bytes()).into(),
            Secret::P521(key) => jwk["d"] = base64url(key.to_bytes()).into(),
            Secret::Ed25519(key) => jwk["d"] = base64url(key.to_bytes()).into(),
            Secret::Oct(_) => {}
        }
        jwk
    }

    /// The key in a JWK. `alg` comes before the key's own; without either, the usual one of its kind.
    pub fn from_jwk(jwk: &Value, alg: Option<Alg>) -> Result<SigningKey, NoKey> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let octets = |name: &str| -> Result<Vec<u8>, NoKey> {
            let text = text(name).ok_or_else(|| match name {
                "d" => "it has no private half (`d`)".to_owned(),
                _ => format!("`{name}` is missing"),
            })?;
            let text = text.trim_end_matches('=');
            URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("`{name}` is not base64url"))
        };
        let number = |name: &str| Ok::<_, NoKey>(BoxedUint::from_be_slice_vartime(&octets(name)?));
        let bad = |kind: &str| format!("it is no {kind} key: its numbers do not belong together");
        let secret = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => {
                let (n, e, d) = (number("n")?, number("e")?, number("d")?);
                let primes = vec![number("p")?, number("q")?];
                let key = RsaPrivateKey::from_components(n, e, d, primes);
                Secret::Rsa(Arc::new(key.map_err(|_| bad("RSA"))?))
            }
            (Some("EC"), Some("P-256")) => {
                let key = p256::ecdsa::SigningKey::from_slice(&octets("d")?);
                Secret::P256(Box::new(key.map_err(|_| bad("P-256"))?))
            }
            (Some("EC"), Some("P-384")) => {
                let key = p384::ecdsa::SigningKey::from_slice(&octets("d")?);
                Secret::P384(Box::new(key.map_err(|_| bad("P-384"))?))
            }
            (Some("EC"), Some("P-521")) => {
                let key = p521::ecdsa::SigningKey::from_slice(&octets("d")?);
                Secret::P521(Box::new(key.map_err(|_| bad("P-521"))?))
            }
            (Some("OKP"), Some("Ed25519")) => {
                let seed = <[u8; 32]>::try_from(octets("d")?).map_err(|_| bad("Ed25519"))?;
                Secret::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed)))
            }
            (Some("oct"), _) => Secret::Oct(octets("k")?),
            (Some(_), _) => return Err("its `kty` and `crv` are none that sign tokens".to_owned()),
            (None, _) => return Err("it has no `kty`".to_owned()),
        };
        let own = text("alg").map(str::parse).transpose()?;
        let key = SigningKey::with_secret(secret, alg.or(own), text("kid"))?;
        let derived = key.public_jwk();
        for name in ["x", "y"] {
            // A public half of another key would publish what nothing verifies.
            if let (Some(own), Some(derived)) = (text(name), derived[name].as_str())
                && own.trim_end_matches('=') != derived
            {
                return Err(format!("`{name}` does not belong to `d`"));
            }
        }
        Ok(key)
    }

    /// The whole key as PKCS#8 in PEM; none of a shared secret. Whoever has it can sign.
    pub fn private_pem(&self) -> Option<String> {
        let ending = LineEnding::LF;
        let pem = match &self.secret {
            Secret::Rsa(key) => key.to_pkcs8_pem(ending),
            Secret::P256(key) => p256::SecretKey::from(key.as_ref()).to_pkcs8_pem(ending),
            Secret::P384(key) => p384::SecretKey::from(key.as_ref()).to_pkcs8_pem(ending),
            Secret::P521(key) => p521::SecretKey::from(key.as_ref()).to_pkcs8_pem(ending),
            Secret::Ed25519(key) => key.to_pkcs8_pem(ending),
            Secret::Oct(_) => return None,
        };
        pem.ok().map(|pem| pem.to_string())
    }

    /// The public half as a SubjectPublicKeyInfo in PEM; none of a shared secret.
    pub fn public_pem(&self) -> Option<String> {
        let ending = LineEnding::LF;
        let pem = match &self.secret {
            Secret::Rsa(key) => key.to_public_key().to_public_key_pem(ending),
            Secret::P256(key) => {
                p256::PublicKey::from(key.verifying_key()).to_public_key_pem(ending)
            }
            Secret::P384(key) => {
                p384::PublicKey::from(key.verifying_key()).to_public_key_pem(ending)
            }
            Secret::P521(key) => {
                p521::PublicKey::from(key.verifying_key()).to_public_key_pem(ending)
            }
            Secret::Ed25519(key) => key.verifying_key().to_public_key_pem(ending),
            Secret::Oct(_) => return None,
        };
        pem.ok()
    }

    /// The key in a PEM text, with the usual algorithm of its kind if none is given.
    pub fn from_pem(pem: &str, alg: Option<Alg>, kid: Option<&str>) -> Result<SigningKey, NoKey> {
        if pem.contains("BEGIN PUBLIC KEY") || pem.contains("BEGIN CERTIFICATE") {
            return Err("it has no private half".to_owned());
        }
        if pem.contains("ENCRYPTED") {
            return Err("it is encrypted; decrypt it first".to_owned());
        }
        let rsa = || {
            let key = RsaPrivateKey::from_pkcs8_pem(pem).ok();
            key.or_else(|| RsaPrivateKey::from_pkcs1_pem(pem).ok()).map(Arc::new).map(Secret::Rsa)
        };
        let p256 = || {
            let key = p256::SecretKey::from_pkcs8_pem(pem).ok();
            let key = key.or_else(|| p256::SecretKey::from_sec1_pem(pem).ok())?;
            Some(Secret::P256(Box::new(p256::ecdsa::SigningKey::from(key))))
        };
        let p384 = || {
            let key = p384::SecretKey::from_pkcs8_pem(pem).ok();
            let key = key.or_else(|| p384::SecretKey::from_sec1_pem(pem).ok())?;
            Some(Secret::P384(Box::new(p384::ecdsa::SigningKey::from(key))))
        };
        let p521 = || {
            let key = p521::SecretKey::from_pkcs8_pem(pem).ok();
            let key = key.or_else(|| p521::SecretKey::from_sec1_pem(pem).ok())?;
            Some(Secret::P521(Box::new(p521::ecdsa::SigningKey::from(key))))
        };
        let ed25519 = || {
            let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem).ok()?;
            Some(Secret::Ed25519(Box::new(key)))
        };
        let secret = rsa().or_else(p256).or_else(p384).or_else(p521).or_else(ed25519);
        let secret = secret.ok_or("it is no private key of RSA, P-256, P-384, P-521 or Ed25519")?;
        SigningKey::with_secret(secret, alg, kid)
    }

    /// The same key under another name.
    #[must_use]
    pub fn named(mut self, kid: &str) -> SigningKey {
        self.kid = kid.to_owned();
        self
    }

    fn with_secret(
        secret: Secret,
        alg: Option<Alg>,
        kid: Option<&str>,
    ) -> Result<SigningKey, NoKey> {
        let (usual, fitting): (Alg, &[Alg]) = match &secret {
            Secret::Rsa(_) => (Alg::RS256, &Alg::ALL[..6]),
            Secret::P256(_) => (Alg::ES256, &[Alg::ES256]),
            Secret::P384(_) => (Alg::ES384, &[Alg::ES384]),
            Secret::P521(_) => (Alg::ES512, &[Alg::ES512]),
            Secret::Ed25519(_) => (Alg::EdDSA, &[Alg::EdDSA]),
            Secret::Oct(_) => (Alg::HS256, &Alg::ALL[10..]),
        };
        let alg = alg.unwrap_or(usual);
        if !fitting.contains(&alg) {
            let names: Vec<_> = fitting.iter().map(|alg| alg.as_str()).collect();
            return Err(format!("it does not sign {alg}, but {}", names.join(", ")));
        }
        Ok(SigningKey::new(alg, kid.unwrap_or_default(), secret))
    }
}

/// What a PEM text with a public key of RSA, P-256, P-384, P-521 or Ed25519 is as a JWK.
pub fn public_jwk_of_pem(pem: &str) -> Option<Value> {
    let pem = pem.trim();
    let rsa = || {
        let key = RsaPublicKey::from_public_key_pem(pem).ok();
        let key = key.or_else(|| RsaPublicKey::from_pkcs1_pem(pem).ok())?;
        let (n, e) = (base64url(key.n_bytes()), base64url(key.e_bytes()));
        Some(json!({ "kty": "RSA", "n": n, "e": e }))
    };
    let p256 = || {
        let key = p256::PublicKey::from_public_key_pem(pem).ok()?;
        Some(ec_jwk("P-256", key.to_sec1_point(false).as_bytes()))
    };
    let p384 = || {
        let key = p384::PublicKey::from_public_key_pem(pem).ok()?;
        Some(ec_jwk("P-384", key.to_sec1_point(false).as_bytes()))
    };
    let p521 = || {
        let key = p521::PublicKey::from_public_key_pem(pem).ok()?;
        Some(ec_jwk("P-521", key.to_sec1_point(false).as_bytes()))
    };
    let ed25519 = || {
        let key = ed25519_dalek::VerifyingKey::from_public_key_pem(pem).ok()?;
        Some(json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(key.as_bytes()) }))
    };
    rsa().or_else(p256).or_else(p384).or_else(p521).or_else(ed25519)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(alg: Alg) -> SigningKey {
        if alg.is_rsa() { SigningKey::test_rsa(alg, "k") } else { SigningKey::generate(alg, "k") }
    }

    #[test]
    fn keys_come_back_from_files() {
        for alg in Alg::ALL {
            let key = key(alg);
            let again = SigningKey::from_jwk(&key.private_jwk(), None).unwrap();
            assert_eq!(again.private_jwk(), key.private_jwk(), "{alg}");
            assert_eq!((again.alg(), again.kid()), (alg, "k"));
            let Some(pem) = key.private_pem() else {
                assert!(alg.is_hmac());
                continue;
            };
            assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"));
            let again = SigningKey::from_pem(&pem, Some(alg), Some("k")).unwrap();
            assert_eq!(again.private_jwk(), key.private_jwk(), "{alg}");
            let public = key.public_pem().unwrap();
            let own = public_jwk_of_pem(&public).unwrap();
            let members = own.as_object().unwrap();
            assert!(members.iter().all(|(name, value)| key.public_jwk()[name] == *value), "{own}");
            assert!(public.starts_with("-----BEGIN PUBLIC KEY-----"));
            assert_eq!(
                SigningKey::from_pem(&public, None, None).unwrap_err(),
                "it has no private half"
            );
            if !alg.is_rsa() {
                assert!(
                    SigningKey::from_jwk(&key.public_jwk(), None)
                        .unwrap_err()
                        .contains("private half")
                );
            }
        }
    }

    #[test]
    fn nonsense_is_told() {
        let jwk = key(Alg::ES256).private_jwk();
        let with = |name: &str, value: Value| {
            let mut jwk = jwk.clone();
            jwk[name] = value;
            SigningKey::from_jwk(&jwk, None).unwrap_err()
        };
        assert!(with("kty", json!("AKP")).contains("none that sign"));
        assert!(with("d", json!("!")).contains("not base64url"));
        assert!(with("d", json!("AA")).contains("do not belong together"));
        assert!(with("x", jwk["y"].clone()).contains("does not belong"));
        assert!(with("alg", json!("RS256")).contains("does not sign RS256, but ES256"));
        assert!(with("alg", json!("none")).contains("unknown algorithm"));
        assert!(SigningKey::from_jwk(&json!({}), None).is_err());
        assert!(SigningKey::from_pem("", None, None).is_err());
    }

    /// RFC 7638 section 3.1 has an RSA key, RFC 8037 appendix A.3 this one.
    #[test]
    fn thumbprints_are_those_of_the_rfc() {
        let jwk = json!({
            "kty": "OKP", "crv": "Ed25519",
            "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        });
        let key = SigningKey::from_jwk(&jwk, None).unwrap();
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
