//! The algorithms, in one table: nothing else matches on their names (RFC 7518 section 3.1,
//! RFC 8037 section 3.1). `none` is not in it.

/// A signature algorithm that the gate verifies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Algorithm {
    /// The `alg` value.
    pub name: &'static str,
    /// How it is computed.
    pub family: Family,
}

/// What a key must be to serve an algorithm, and how the algorithm uses it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// Ed25519, the only curve of `EdDSA` here.
    Ed25519,
    /// ECDSA; the curve settles the hash (RFC 7518 section 3.4).
    Ecdsa(Curve),
    /// HMAC with a shared secret.
    Hmac(Hash),
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(Hash),
    /// RSASSA-PSS with MGF1 over the same hash and a salt as long as the hash.
    RsaPss(Hash),
}

/// The curves of ECDSA keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

impl Curve {
    /// Octets of one coordinate, and of each half of a signature.
    pub const fn octets(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The curve that a JWK's `crv` names (RFC 7518 section 6.2.1.1).
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "P-256" => Some(Self::P256),
            "P-384" => Some(Self::P384),
            "P-521" => Some(Self::P521),
            _ => None,
        }
    }
}

/// The hashes of RSA and HMAC algorithms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Octets of a digest; also the least length of an HMAC key (RFC 7518 section 3.2).
    pub const fn octets(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// Every algorithm, in the order of RFC 7518.
pub static ALGORITHMS: [Algorithm; 13] = [
    row("HS256", Family::Hmac(Hash::Sha256)),
    row("HS384", Family::Hmac(Hash::Sha384)),
    row("HS512", Family::Hmac(Hash::Sha512)),
    row("RS256", Family::RsaPkcs1(Hash::Sha256)),
    row("RS384", Family::RsaPkcs1(Hash::Sha384)),
    row("RS512", Family::RsaPkcs1(Hash::Sha512)),
    row("ES256", Family::Ecdsa(Curve::P256)),
    row("ES384", Family::Ecdsa(Curve::P384)),
    row("ES512", Family::Ecdsa(Curve::P521)),
    row("PS256", Family::RsaPss(Hash::Sha256)),
    row("PS384", Family::RsaPss(Hash::Sha384)),
    row("PS512", Family::RsaPss(Hash::Sha512)),
    row("EdDSA", Family::Ed25519),
];

const fn row(name: &'static str, family: Family) -> Algorithm {
    Algorithm { name, family }
}

impl Algorithm {
    /// The algorithm of this exact name (RFC 7515 section 4.1.1: case-sensitive).
    pub fn from_name(name: &str) -> Option<Self> {
        ALGORITHMS.iter().copied().find(|row| row.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact_and_none_is_not_one() {
        assert_eq!(
            Algorithm::from_name("ES512").map(|alg| alg.family),
            Some(Family::Ecdsa(Curve::P521))
        );
        for name in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "ES256K", "HS1"] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }
}
