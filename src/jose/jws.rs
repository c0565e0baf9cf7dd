//! A token in compact serialization (RFC 7515 section 3.1): from text to [`VerifiedPayload`].

use std::ops::Deref;

use serde_json::{Map, Value};

use crate::jose::algorithm::Family;
use crate::jose::base64url;
use crate::jose::header::{Header, HeaderError};
use crate::jose::jwk::Jwk;
use crate::json;

/// Longest token, in octets: more than fits into a request head under Envoy's default limit
/// (60 KiB), so nothing that reaches the filter today is refused for it.
pub const MAX_TOKEN_OCTETS: usize = 64 * 1024;

/// Why a text is not a token that could be verified.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JwsError {
    /// The header is refused.
    Header(HeaderError),
    /// The first part is not base64url.
    HeaderEncoding,
    /// Not exactly three parts, each of at least one octet.
    NotThreeParts,
    /// The second part is not base64url.
    PayloadEncoding,
    /// The payload is no JSON object in the strict sense.
    PayloadNotJson,
    /// The third part is not base64url.
    SignatureEncoding,
    /// Longer than [`MAX_TOKEN_OCTETS`].
    TooLong,
}

/// A token that was taken apart, but whose signature nobody has checked yet.
pub struct UnverifiedJws<'a> {
    header: Header,
    payload: Payload<'a>,
    signature: &'a [u8],
    signing_input: &'a [u8],
}

/// What a token says. It leaves this module as a [`VerifiedPayload`] only.
pub struct Payload<'a> {
    encoded: &'a str,
    json: String,
    claims: Map<String, Value>,
    header_json: Vec<u8>,
}

impl<'a> UnverifiedJws<'a> {
    /// Takes a token apart; refuses it in the native filter's order: shape, header, payload.
    pub fn parse(token: &'a [u8]) -> Result<Self, JwsError> {
        if token.len() > MAX_TOKEN_OCTETS {
            return Err(JwsError::TooLong);
        }
        let parts: Vec<&[u8]> = token.splitn(4, |octet| *octet == b'.').collect();
        let &[header, payload, signature] = parts.as_slice() else {
            return Err(JwsError::NotThreeParts);
        };
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(JwsError::NotThreeParts);
        }
        let signing_input = token
            .get(..token.len().saturating_sub(signature.len()).saturating_sub(1))
            .ok_or(JwsError::NotThreeParts)?;
        let header_json = base64url::decode(header).map_err(|_| JwsError::HeaderEncoding)?;
        let header = Header::parse(&header_json).map_err(JwsError::Header)?;
        let payload = Payload::parse(payload, header_json)?;
        Ok(Self { header, payload, signature, signing_input })
    }

    /// The token's header: an unproved statement that selects keys and nothing else.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The claims as they stand in the token. Nobody vouches for them yet: they may only serve to
    /// refuse it.
    pub fn unverified_claims(&self) -> &Map<String, Value> {
        &self.payload.claims
    }

    /// Checks that the third part is base64url, before anything is spent on keys.
    pub fn decode_signature(self) -> Result<SignedJws<'a>, JwsError> {
        match base64url::decode(self.signature) {
            Ok(signature) => Ok(SignedJws { jws: self, signature }),
            Err(_) => Err(JwsError::SignatureEncoding),
        }
    }
}

impl<'a> Payload<'a> {
    fn parse(encoded: &'a [u8], header_json: Vec<u8>) -> Result<Self, JwsError> {
        let octets = base64url::decode(encoded).map_err(|_| JwsError::PayloadEncoding)?;
        let Ok(Value::Object(claims)) = json::parse(&octets) else {
            return Err(JwsError::PayloadNotJson);
        };
        let json = String::from_utf8(octets).map_err(|_| JwsError::PayloadNotJson)?;
        let encoded = str::from_utf8(encoded).map_err(|_| JwsError::PayloadEncoding)?;
        Ok(Self { encoded, json, claims, header_json })
    }
}

impl Payload<'_> {
    /// The claims.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The JOSE header as it stands in the token, decoded; the signature covers it, too.
    pub fn header_json(&self) -> &[u8] {
        &self.header_json
    }

    /// The payload part as it stands in the token, base64url without padding.
    pub fn encoded(&self) -> &str {
        self.encoded
    }

    /// The text of the member at `path`, every digit of a number kept.
    pub fn member_text(&self, path: &[String]) -> Option<&str> {
        json::member_text(&self.json, path)
    }
}

/// An unverified token with its signature decoded.
pub struct SignedJws<'a> {
    jws: UnverifiedJws<'a>,
    signature: Vec<u8>,
}

/// No key that was tried made this signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotVerified {
    /// An Ed25519 signature has 64 octets; natively this is told apart.
    Length,
    /// It is not one of theirs.
    Signature,
}

impl<'a> SignedJws<'a> {
    /// The token's header.
    pub fn header(&self) -> &Header {
        &self.jws.header
    }

    /// The claims, for which nobody vouches yet: they may only serve to refuse the token.
    pub fn unverified_claims(&self) -> &Map<String, Value> {
        self.jws.unverified_claims()
    }

    /// Tries `keys` in turn; the first that made the signature vouches for the payload.
    pub fn verify<'k>(
        self,
        keys: impl Iterator<Item = &'k Jwk>,
    ) -> Result<VerifiedPayload<'a>, NotVerified> {
        let algorithm = self.jws.header.algorithm;
        if algorithm.family == Family::Ed25519 && self.signature.len() != 64 {
            return Err(NotVerified::Length);
        }
        for key in keys {
            if key.verify(algorithm, self.jws.signing_input, &self.signature).is_ok() {
                return Ok(VerifiedPayload(self.jws.payload));
            }
        }
        Err(NotVerified::Signature)
    }
}

/// A payload whose signature was checked. Only [`SignedJws::verify`] makes one.
pub struct VerifiedPayload<'a>(Payload<'a>);

impl<'a> Deref for VerifiedPayload<'a> {
    type Target = Payload<'a>;

    fn deref(&self) -> &Payload<'a> {
        &self.0
    }
}
