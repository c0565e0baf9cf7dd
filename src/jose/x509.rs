//! The RSA key in an X.509 certificate (RFC 5280 section 4.1), for key sets that are maps of
//! certificates.
//!
//! The certificate is nothing but the wrapping of a key here: who signed it and until when it is
//! valid is not looked at, as natively. What makes the key trustworthy is where the set came from.
//! So the way to the key is walked with `der`, and what lies beside the way is not interpreted;
//! `x509-cert` would interpret all of it, for 80 KB of the module instead of 15.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::asn1::{BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode, Reader, SliceReader};

/// How a certificate begins (RFC 7468 section 5).
pub const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// `rsaEncryption` (RFC 3279 section 2.3.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// The tag of `version`, which certificates of version 1 do not have.
const VERSION: u8 = 0xa0;
/// `serialNumber`, `signature`, `issuer`, `validity` and `subject` stand before the key.
const FIELDS_BEFORE_KEY: usize = 5;

/// Modulus and exponent of an RSA key, big-endian.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RsaParts {
    /// `n`
    pub modulus: Vec<u8>,
    /// `e`
    pub exponent: Vec<u8>,
}

/// The RSA key of the first certificate in `pem`; `None` if there is no certificate, or its key is
/// of another kind.
pub fn rsa_parts(pem: &str) -> Option<RsaParts> {
    let (body, _) = pem.strip_prefix(BEGIN)?.split_once(END)?;
    let base64: String = body.split_ascii_whitespace().collect();
    let octets = STANDARD.decode(base64).ok()?;
    let key = whole(&octets, certificate).ok()??;
    let (modulus, exponent) = whole(key, numbers).ok()?;
    Some(RsaParts { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
}

/// Reads a sequence with nothing after it.
fn whole<'a, T>(
    octets: &'a [u8],
    read: impl FnOnce(&mut SliceReader<'a>) -> der::Result<T>,
) -> der::Result<T> {
    let mut reader = SliceReader::new(octets)?;
    let value = reader.sequence(read)?;
    reader.finish()?;
    Ok(value)
}

/// `Certificate`: the octets of its key, if that is an RSA key.
fn certificate<'a>(reader: &mut SliceReader<'a>) -> der::Result<Option<&'a [u8]>> {
    let key = reader.sequence(signed_part)?;
    // The issuer's signature.
    skip_rest(reader)?;
    Ok(key)
}

/// `TBSCertificate`
fn signed_part<'a>(reader: &mut SliceReader<'a>) -> der::Result<Option<&'a [u8]>> {
    if reader.peek_byte() == Some(VERSION) {
        reader.tlv_bytes()?;
    }
    for _ in 0..FIELDS_BEFORE_KEY {
        reader.tlv_bytes()?;
    }
    let key = reader.sequence(key_info)?;
    // Unique identifiers and extensions.
    skip_rest(reader)?;
    Ok(key)
}

/// `SubjectPublicKeyInfo`
fn key_info<'a>(reader: &mut SliceReader<'a>) -> der::Result<Option<&'a [u8]>> {
    let algorithm = reader.sequence(algorithm)?;
    let key = BitStringRef::decode(reader)?;
    Ok(key.as_bytes().filter(|_| algorithm == RSA))
}

/// `AlgorithmIdentifier`
fn algorithm(reader: &mut SliceReader<'_>) -> der::Result<ObjectIdentifier> {
    let algorithm = ObjectIdentifier::decode(reader)?;
    // The parameters: none that say anything for RSA.
    skip_rest(reader)?;
    Ok(algorithm)
}

/// `RSAPublicKey` (RFC 8017 appendix A.1.1)
fn numbers<'a>(reader: &mut SliceReader<'a>) -> der::Result<(&'a [u8], &'a [u8])> {
    let modulus = UintRef::decode(reader)?;
    let exponent = UintRef::decode(reader)?;
    Ok((modulus.as_bytes(), exponent.as_bytes()))
}

fn skip_rest(reader: &mut SliceReader<'_>) -> der::Result<()> {
    while !reader.is_finished() {
        reader.tlv_bytes()?;
    }
    Ok(())
}
