//! JOSE: algorithms, headers, keys and compact JWS (RFC 7515, 7517, 7518, 8037).
//!
//! Knows nothing of HTTP, of policy or of time. What was checked is a type that only the checker
//! can make: a [`jws::VerifiedPayload`] exists only after a signature fitted a key.

pub mod algorithm;
pub mod base64url;
pub mod ec_key;
pub mod ed_key;
pub mod header;
pub mod hmac_key;
pub mod jwk;
pub mod jws;
mod roca;
pub mod rsa_key;
pub mod self_signed;
pub mod signature;
pub mod table_memory;
mod trust;
pub mod x509;
