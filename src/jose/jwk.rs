//! A JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8037 section 2) into a key that verifies.
//!
//! Parsed once, when a set arrives. What is not usable says why, so that an operator can be told.

mod issuer;

use std::fmt;
use std::rc::Rc;

use ed25519_dalek::VerifyingKey as Ed25519Key;
use rsa::{BoxedUint, RsaPublicKey};
use serde_json::{Map, Value};

use crate::issuer::IssuerPattern;
use crate::jose::algorithm::{Algorithm, Curve, Family};
use crate::jose::base64url;
use crate::jose::ec_key::EcKey;
use crate::jose::ed_key::EdKey;
use crate::jose::hmac_key::HmacKey;
pub use crate::jose::jwk::issuer::KeyIssuers;
use crate::jose::roca;
use crate::jose::rsa_key::RsaKey;
use crate::jose::signature::{BadSignature, VerifyingKey};
use crate::jose::table_memory::TableMemory;
use crate::jose::x509;

/// Smallest RSA modulus, in bits (NIST SP 800-131A; RFC 7518 section 3.3).
pub const MIN_RSA_BITS: usize = 2048;
/// Smallest RSA modulus with weak keys allowed. (Natively 512 bits, which anybody can factor.)
pub const MIN_WEAK_RSA_BITS: usize = 1024;
/// Largest RSA modulus, in bits: beyond it one verification costs tens of milliseconds.
pub const MAX_RSA_BITS: usize = 8192;
/// Longest HMAC secret, in octets: ten times what any algorithm uses.
pub const MAX_SECRET_OCTETS: usize = 1024;

/// How much strength a key must have.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum KeyStrength {
    /// RSA from 2048 bits, HMAC secrets as long as their hash.
    #[default]
    Required,
    /// `allow_weak_keys`: RSA from 1024 bits and however it was made, HMAC secrets of any length but
    /// zero.
    WeakAllowed,
}

/// A key of a set: what it is, what it is called and what it may be used for.
#[derive(Clone)]
pub struct Jwk {
    /// `kid`; an empty one counts as none.
    pub kid: Option<String>,
    /// Whose tokens it may sign; none: anybody's.
    issuer: Option<Box<IssuerPattern>>,
    algorithm: Option<Algorithm>,
    strength: KeyStrength,
    key: VerifyingKey,
}

/// Why a JWK is not used. `Display` names members, never their values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JwkError {
    /// `alg` is none of the table, or does not fit the key.
    AlgorithmUnfit,
    /// `issuer` is no text that stands for issuers.
    IssuerUnfit,
    /// In a map of certificates: not a certificate, or one with a key of another kind than RSA.
    Certificate,
    /// The `crv` is not supported for this kind of key.
    CurveUnsupported,
    /// A member is absent or has the wrong type.
    Member(&'static str),
    /// A member is not base64url.
    MemberEncoding(&'static str),
    /// The `kty` is not supported.
    KindUnsupported,
    /// Not a JSON object.
    NotObject,
    /// `use` or `key_ops` do not allow verifying.
    NotForVerifying,
    /// The coordinates are no point of the curve, or one of small order.
    PointInvalid,
    /// The private half is in the set: whoever reads it can sign.
    PrivatePart,
    /// The RSA exponent is neither 3 nor 65537.
    RsaExponent,
    /// The RSA modulus is even or otherwise unusable.
    RsaModulus,
    /// The RSA modulus can be factored (ROCA), and weak keys are not allowed.
    RsaRoca,
    /// The key is larger than is sensible.
    TooLarge,
    /// The key is too short, and weak keys are not allowed.
    TooWeak,
}

impl JwkError {
    /// The name in metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::AlgorithmUnfit => "algorithm_unfit",
            Self::Certificate => "certificate",
            Self::IssuerUnfit => "issuer_unfit",
            Self::CurveUnsupported => "curve_unsupported",
            Self::Member(_) => "member",
            Self::MemberEncoding(_) => "member_encoding",
            Self::KindUnsupported => "kind_unsupported",
            Self::NotObject => "not_object",
            Self::NotForVerifying => "not_for_verifying",
            Self::PointInvalid => "point_invalid",
            Self::PrivatePart => "private_part",
            Self::RsaExponent => "rsa_exponent",
            Self::RsaModulus => "rsa_modulus",
            Self::RsaRoca => "rsa_roca",
            Self::TooLarge => "too_large",
            Self::TooWeak => "too_weak",
        }
    }
}

impl fmt::Display for JwkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlgorithmUnfit => f.write_str("`alg` is not supported for this kind of key"),
            Self::Certificate => f.write_str("not an X.509 certificate with an RSA key"),
            Self::IssuerUnfit => f.write_str("`issuer` is neither an issuer nor a pattern of some"),
            Self::CurveUnsupported => f.write_str("`crv` is not supported for this kind of key"),
            Self::Member(name) => write!(f, "`{name}` is missing or not a string"),
            Self::MemberEncoding(name) => write!(f, "`{name}` is not base64url"),
            Self::KindUnsupported => f.write_str("`kty` is none of RSA, EC, OKP, oct"),
            Self::NotObject => f.write_str("a key must be an object"),
            Self::NotForVerifying => f.write_str("`use` or `key_ops` do not allow verifying"),
            Self::PointInvalid => {
                f.write_str("the coordinates are not a usable point of the curve")
            }
            Self::PrivatePart => f.write_str("the private half of the key is published with it"),
            Self::RsaExponent => f.write_str("`e` must be 3 or 65537"),
            Self::RsaModulus => f.write_str("`n` is not a usable modulus"),
            Self::RsaRoca => {
                f.write_str("`n` can be factored: CVE-2017-15361 (see `allow_weak_keys`)")
            }
            Self::TooLarge => f.write_str("the key is too large"),
            Self::TooWeak => f.write_str("the key is too short (`allow_weak_keys` would take it)"),
        }
    }
}

impl Jwk {
    /// Reads one member of `keys`.
    pub fn parse(jwk: &Value, strength: KeyStrength) -> Result<Self, JwkError> {
        let Value::Object(members) = jwk else {
            return Err(JwkError::NotObject);
        };
        let members = Members(members);
        let key = match members.text("kty")? {
            "RSA" => rsa_key(members, strength)?,
            "EC" => ec_key(members)?,
            "OKP" => okp_key(members)?,
            "oct" => VerifyingKey::Hmac(Box::new(HmacKey::new(secret(members, strength)?))),
            _ => return Err(JwkError::KindUnsupported),
        };
        if !members.allows_verifying() {
            return Err(JwkError::NotForVerifying);
        }
        let jwk = Self {
            kid: members.optional_text("kid")?.filter(|kid| !kid.is_empty()).map(str::to_owned),
            issuer: None,
            algorithm: members.algorithm()?,
            strength,
            key,
        };
        match jwk.algorithm {
            Some(algorithm) if !jwk.serves(algorithm) => Err(match jwk.key {
                VerifyingKey::Hmac(_) if jwk.key.serves(algorithm.family) => JwkError::TooWeak,
                _ => JwkError::AlgorithmUnfit,
            }),
            _ => Ok(jwk),
        }
    }

    /// Reads one member of a map of certificates: its name is the `kid`. The key may be used with
    /// every algorithm of its kind, as natively.
    pub fn parse_certificate(
        kid: &str,
        certificate: &Value,
        strength: KeyStrength,
    ) -> Result<Self, JwkError> {
        let parts = certificate.as_str().and_then(x509::rsa_parts).ok_or(JwkError::Certificate)?;
        // A key without a name would fit tokens with any; natively such a set is refused.
        if kid.is_empty() {
            return Err(JwkError::Member("kid"));
        }
        Ok(Self {
            kid: Some(kid.to_owned()),
            issuer: None,
            algorithm: None,
            strength,
            key: rsa_public_key(&parts.modulus, &parts.exponent, strength)?,
        })
    }

    /// Whether this key may verify tokens of `algorithm`: its own `alg`, its kind and its length.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm) && self.serves(algorithm)
    }

    /// Whether arithmetic of our own was wrong for this key, so that only the library serves it.
    pub fn is_distrusted(&self) -> bool {
        self.key.is_distrusted()
    }

    /// Whether arithmetic of our own serves this key by now, and the library is not asked any more.
    pub fn is_fast(&self) -> bool {
        self.key.is_fast()
    }

    /// Takes the memory for a table of multiples, if it ever has one, from there.
    pub(crate) fn share_memory(&mut self, memory: &Rc<TableMemory>) {
        match &mut self.key {
            VerifyingKey::Ed25519(key) => key.share_memory(memory),
            VerifyingKey::P256(key) => key.share_memory(memory),
            VerifyingKey::P384(key) => key.share_memory(memory),
            VerifyingKey::P521(key) => key.share_memory(memory),
            VerifyingKey::Hmac(_) | VerifyingKey::Rsa(_) => {}
        }
    }

    /// Checks one signature.
    pub fn verify(
        &self,
        algorithm: Algorithm,
        input: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        if !self.fits(algorithm) {
            return Err(BadSignature);
        }
        self.key.verify(algorithm, input, signature)
    }

    fn serves(&self, algorithm: Algorithm) -> bool {
        let strong = match (&self.key, algorithm.family, self.strength) {
            (VerifyingKey::Hmac(key), Family::Hmac(hash), KeyStrength::Required) => {
                key.octets() >= hash.octets()
            }
            _ => true,
        };
        strong && self.key.serves(algorithm.family)
    }
}

#[derive(Clone, Copy)]
struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    fn optional_text(self, name: &'static str) -> Result<Option<&'a str>, JwkError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(JwkError::Member(name)),
        }
    }

    fn text(self, name: &'static str) -> Result<&'a str, JwkError> {
        self.optional_text(name)?.ok_or(JwkError::Member(name))
    }

    fn octets(self, name: &'static str) -> Result<Vec<u8>, JwkError> {
        base64url::decode_key_member(self.text(name)?).map_err(|_| JwkError::MemberEncoding(name))
    }

    fn algorithm(self) -> Result<Option<Algorithm>, JwkError> {
        match self.optional_text("alg")?.filter(|name| !name.is_empty()) {
            None => Ok(None),
            Some(name) => match Algorithm::from_name(name) {
                None => Err(JwkError::AlgorithmUnfit),
                some => Ok(some),
            },
        }
    }

    /// RFC 7517 sections 4.2 and 4.3: absent means any use; present, it must name this one.
    fn allows_verifying(self) -> bool {
        let usage = self.0.get("use").is_none_or(|usage| usage == "sig");
        let operations = self.0.get("key_ops").is_none_or(|operations| match operations {
            Value::Array(operations) => operations.iter().any(|name| name == "verify"),
            _ => false,
        });
        usage && operations
    }

    fn refuse_private_part(self) -> Result<(), JwkError> {
        // `d` is in every private key of these kinds (RFC 7518 section 6, RFC 8037 section 2).
        if self.0.contains_key("d") { Err(JwkError::PrivatePart) } else { Ok(()) }
    }
}

fn rsa_key(members: Members<'_>, strength: KeyStrength) -> Result<VerifyingKey, JwkError> {
    members.refuse_private_part()?;
    let modulus = members.octets("n")?;
    let exponent = members.octets("e")?;
    rsa_public_key(&modulus, &exponent, strength)
}

/// An RSA key of big-endian numbers, wherever they come from.
fn rsa_public_key(
    modulus: &[u8],
    exponent: &[u8],
    strength: KeyStrength,
) -> Result<VerifyingKey, JwkError> {
    let modulus = strip_zeros(modulus);
    let exponent = strip_zeros(exponent);
    if modulus.len() > MAX_RSA_BITS.div_ceil(8) {
        return Err(JwkError::TooLarge);
    }
    if !matches!(exponent, [3] | [1, 0, 1]) {
        return Err(JwkError::RsaExponent);
    }
    let least = match strength {
        KeyStrength::Required => MIN_RSA_BITS,
        KeyStrength::WeakAllowed => MIN_WEAK_RSA_BITS,
    };
    let octets = modulus;
    let modulus = BoxedUint::from_be_slice_vartime(octets);
    if (modulus.bits_vartime() as usize) < least {
        return Err(JwkError::TooWeak);
    }
    if strength == KeyStrength::Required && roca::was_made_badly(octets) {
        return Err(JwkError::RsaRoca);
    }
    let exponent = BoxedUint::from_be_slice_vartime(exponent);
    RsaPublicKey::new_with_size_limits(modulus, exponent, least..=MAX_RSA_BITS)
        .map(|key| VerifyingKey::Rsa(Box::new(RsaKey::new(key))))
        .map_err(|_| JwkError::RsaModulus)
}

fn ec_key(members: Members<'_>) -> Result<VerifyingKey, JwkError> {
    members.refuse_private_part()?;
    let curve = match members.optional_text("crv")? {
        Some(name) => Curve::from_name(name).ok_or(JwkError::CurveUnsupported)?,
        // Natively the curve follows from `alg` then, and is P-256 without one.
        None => match members.algorithm()?.map(|algorithm| algorithm.family) {
            None => Curve::P256,
            Some(Family::Ecdsa(curve)) => curve,
            Some(_) => return Err(JwkError::AlgorithmUnfit),
        },
    };
    // The uncompressed point of SEC 1 section 2.3.3; reading it checks that it is on the curve.
    let mut point = vec![4];
    for name in ["x", "y"] {
        let coordinate = members.octets(name)?;
        // Issuers that drop leading zeros exist; the native filter reads them, too.
        let missing = curve.octets().checked_sub(coordinate.len()).ok_or(JwkError::PointInvalid)?;
        point.resize(point.len().saturating_add(missing), 0);
        point.extend(coordinate);
    }
    match curve {
        Curve::P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(&point)
            .map(|key| VerifyingKey::P256(Box::new(EcKey::new(*key.as_affine())))),
        Curve::P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(&point)
            .map(|key| VerifyingKey::P384(Box::new(EcKey::new(*key.as_affine())))),
        Curve::P521 => p521::ecdsa::VerifyingKey::from_sec1_bytes(&point)
            .map(|key| VerifyingKey::P521(Box::new(EcKey::new(*key.as_affine())))),
    }
    .map_err(|_| JwkError::PointInvalid)
}

fn okp_key(members: Members<'_>) -> Result<VerifyingKey, JwkError> {
    members.refuse_private_part()?;
    if members.text("crv")? != "Ed25519" {
        return Err(JwkError::CurveUnsupported);
    }
    let point = <[u8; 32]>::try_from(members.octets("x")?).map_err(|_| JwkError::PointInvalid)?;
    match Ed25519Key::from_bytes(&point) {
        Ok(key) if !key.is_weak() => Ok(VerifyingKey::Ed25519(Box::new(EdKey::new(key)))),
        _ => Err(JwkError::PointInvalid),
    }
}

fn secret(members: Members<'_>, strength: KeyStrength) -> Result<Vec<u8>, JwkError> {
    let secret = members.octets("k")?;
    let least = match strength {
        // The shortest hash: a longer one is asked for where the algorithm is known.
        KeyStrength::Required => 32,
        KeyStrength::WeakAllowed => 1,
    };
    match secret.len() {
        length if length < least => Err(JwkError::TooWeak),
        length if length > MAX_SECRET_OCTETS => Err(JwkError::TooLarge),
        _ => Ok(secret),
    }
}

fn strip_zeros(octets: &[u8]) -> &[u8] {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    octets.get(zeros..).unwrap_or_default()
}
