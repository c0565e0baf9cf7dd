//! One signature under one key: by RustCrypto and dalek, or faster under their eyes.
//!
//! The algorithm comes from the token and the key from the issuer; they must belong together
//! before any arithmetic happens, so that no key is ever used for what it was not made for.

use sha2::{Sha256, Sha384, Sha512};

use crate::jose::algorithm::{Algorithm, Curve, Family, Hash};
use crate::jose::ec_key::EcKey;
use crate::jose::ed_key::EdKey;
use crate::jose::hmac_key::HmacKey;
use crate::jose::rsa_key::RsaKey;

/// A key as the libraries hold it, parsed once when its set arrives.
#[derive(Clone)]
pub enum VerifyingKey {
    /// A point on Ed25519, not of small order.
    Ed25519(Box<EdKey>),
    /// A shared secret.
    Hmac(Box<HmacKey>),
    /// A point on P-256.
    P256(Box<EcKey<p256::NistP256>>),
    /// A point on P-384.
    P384(Box<EcKey<p384::NistP384>>),
    /// A point on P-521.
    P521(Box<EcKey<p521::NistP521>>),
    /// An RSA modulus and exponent.
    Rsa(Box<RsaKey>),
}

/// The signature does not fit the key and the input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadSignature;

impl VerifyingKey {
    /// Whether this key can serve `family` at all: kind, curve and size (RFC 7518 section 3).
    pub fn serves(&self, family: Family) -> bool {
        match (self, family) {
            (Self::Ed25519(_), Family::Ed25519)
            | (Self::Hmac(_), Family::Hmac(_))
            | (Self::P256(_), Family::Ecdsa(Curve::P256))
            | (Self::P384(_), Family::Ecdsa(Curve::P384))
            | (Self::P521(_), Family::Ecdsa(Curve::P521))
            | (Self::Rsa(_), Family::RsaPkcs1(_)) => true,
            // The encoding holds a digest, a salt as long, and two octets (RFC 8017 section 9.1.1).
            (Self::Rsa(key), Family::RsaPss(hash)) => {
                key.size() > hash.octets().saturating_mul(2).saturating_add(2)
            }
            _ => false,
        }
    }

    /// Whether arithmetic of our own was wrong for this key.
    pub fn is_distrusted(&self) -> bool {
        match self {
            Self::P256(key) => key.is_distrusted(),
            Self::P384(key) => key.is_distrusted(),
            Self::P521(key) => key.is_distrusted(),
            Self::Rsa(key) => key.is_distrusted(),
            Self::Ed25519(key) => key.is_distrusted(),
            Self::Hmac(_) => false,
        }
    }

    /// Whether arithmetic of our own is believed for this key.
    pub fn is_fast(&self) -> bool {
        match self {
            Self::P256(key) => key.is_fast(),
            Self::P384(key) => key.is_fast(),
            Self::P521(key) => key.is_fast(),
            Self::Rsa(key) => key.is_fast(),
            Self::Ed25519(key) => key.is_fast(),
            Self::Hmac(_) => false,
        }
    }

    /// Checks `signature` over `input`.
    pub fn verify(
        &self,
        algorithm: Algorithm,
        input: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        if !self.serves(algorithm.family) {
            return Err(BadSignature);
        }
        let good = match (self, algorithm.family) {
            (Self::Rsa(key), Family::RsaPkcs1(hash)) => match hash {
                Hash::Sha256 => key.verify_pkcs1::<Sha256>(input, signature),
                Hash::Sha384 => key.verify_pkcs1::<Sha384>(input, signature),
                Hash::Sha512 => key.verify_pkcs1::<Sha512>(input, signature),
            },
            (Self::Rsa(key), Family::RsaPss(hash)) => match hash {
                Hash::Sha256 => key.verify_pss::<Sha256>(input, signature),
                Hash::Sha384 => key.verify_pss::<Sha384>(input, signature),
                Hash::Sha512 => key.verify_pss::<Sha512>(input, signature),
            },
            (Self::P256(key), _) => key.verify::<Sha256>(input, signature),
            (Self::P384(key), _) => key.verify::<Sha384>(input, signature),
            (Self::P521(key), _) => key.verify::<Sha512>(input, signature),
            (Self::Ed25519(key), _) => key.verify(input, signature),
            (Self::Hmac(key), Family::Hmac(hash)) => key.verify(hash, input, signature),
            _ => false,
        };
        if good { Ok(()) } else { Err(BadSignature) }
    }
}
