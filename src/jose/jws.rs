//! A token in compact serialization (RFC 7515 section 3.1): from text to [`VerifiedPayload`].

use std::ops::Deref;

use memchr::memchr;

use crate::jose::algorithm::Family;
use crate::jose::base64url;
use crate::jose::header::{Header, HeaderError};
use crate::jose::jwk::Jwk;
use crate::json::{self, Members, Node};

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

/// The three parts of a token, decoded as far as they are base64url. What is said about a token
/// borrows from it.
pub struct Parts<'a> {
    signing_input: &'a [u8],
    header: Vec<u8>,
    encoded_payload: &'a [u8],
    payload: Option<Vec<u8>>,
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Takes a token apart.
    pub fn of(token: &'a [u8]) -> Result<Self, JwsError> {
        Self::of_up_to(token, MAX_TOKEN_OCTETS)
    }

    /// Takes a token apart that may have this many octets.
    pub fn of_up_to(token: &'a [u8], most: usize) -> Result<Self, JwsError> {
        if token.len() > most {
            return Err(JwsError::TooLong);
        }
        let (header, rest) = split_at_dot(token).ok_or(JwsError::NotThreeParts)?;
        let (encoded_payload, signature) = split_at_dot(rest).ok_or(JwsError::NotThreeParts)?;
        let is_dotted = memchr(b'.', signature).is_some();
        if is_dotted || header.is_empty() || encoded_payload.is_empty() || signature.is_empty() {
            return Err(JwsError::NotThreeParts);
        }
        let signing_input = token
            .get(..token.len().saturating_sub(signature.len()).saturating_sub(1))
            .ok_or(JwsError::NotThreeParts)?;
        let header = base64url::decode(header).map_err(|_| JwsError::HeaderEncoding)?;
        let payload = base64url::decode(encoded_payload).ok();
        Ok(Self { signing_input, header, encoded_payload, payload, signature })
    }

    /// The decoded header.
    pub(super) fn header_json(&self) -> &[u8] {
        &self.header
    }
}

/// What is before the first dot, and behind it. A token is long, and engines go through it octet by
/// octet unless they are told otherwise.
fn split_at_dot(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, rest) = text.split_at_checked(memchr(b'.', text)?)?;
    Some((before, rest.get(1..)?))
}

/// A token that was read, but whose signature nobody has checked yet.
pub struct UnverifiedJws<'a> {
    header: Header,
    payload: Payload<'a>,
    signature: &'a [u8],
    signing_input: &'a [u8],
}

/// What a token says. It leaves this module as a [`VerifiedPayload`] only.
pub struct Payload<'a> {
    encoded: &'a str,
    json: &'a str,
    claims: Members<'a>,
    header_json: &'a [u8],
}

impl<'a> UnverifiedJws<'a> {
    /// Reads a token; refuses it in the native filter's order: header, payload.
    pub fn parse(parts: &'a Parts<'_>) -> Result<Self, JwsError> {
        let header = Header::parse(&parts.header).map_err(JwsError::Header)?;
        let payload = Payload::parse(parts)?;
        let Parts { signature, signing_input, .. } = parts;
        Ok(Self { header, payload, signature, signing_input })
    }

    /// The token's header: an unproved statement that selects keys and nothing else.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The claims as they stand in the token. Nobody vouches for them yet: they may only serve to
    /// refuse it.
    pub fn unverified_claims(&self) -> &Members<'a> {
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
    fn parse(parts: &'a Parts<'_>) -> Result<Self, JwsError> {
        let octets = parts.payload.as_deref().ok_or(JwsError::PayloadEncoding)?;
        let Ok(Node::Object(claims)) = Node::parse(octets) else {
            return Err(JwsError::PayloadNotJson);
        };
        let json = str::from_utf8(octets).map_err(|_| JwsError::PayloadNotJson)?;
        let encoded =
            str::from_utf8(parts.encoded_payload).map_err(|_| JwsError::PayloadEncoding)?;
        Ok(Self { encoded, json, claims, header_json: &parts.header })
    }
}

impl<'a> Payload<'a> {
    /// The claims.
    pub fn claims(&self) -> &Members<'a> {
        &self.claims
    }

    /// The JOSE header as it stands in the token, decoded; the signature covers it, too.
    pub fn header_json(&self) -> &[u8] {
        self.header_json
    }

    /// The payload part as it stands in the token, base64url without padding.
    pub fn encoded(&self) -> &str {
        self.encoded
    }

    /// The text of the member at `path`, every digit of a number kept.
    pub fn member_text(&self, path: &[String]) -> Option<&str> {
        json::member_text(self.json, path)
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
    pub fn unverified_claims(&self) -> &Members<'a> {
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

    /// Tries `keys` up to one that vouches for everybody: also brings the places of those that made the
    /// signature.
    pub fn verify_all<'k>(
        self,
        keys: impl Iterator<Item = (usize, &'k Jwk)>,
    ) -> Option<(VerifiedPayload<'a>, Vec<usize>)> {
        let Self { jws: UnverifiedJws { header, payload, signing_input, .. }, signature } = self;
        let mut signers = Vec::new();
        for (place, key) in keys {
            if key.verify(header.algorithm, signing_input, &signature).is_ok() {
                signers.push(place);
                if key.vouches_for(None) {
                    break;
                }
            }
        }
        (!signers.is_empty()).then_some((VerifiedPayload(payload), signers))
    }
}

/// A payload whose signature was checked. Only [`SignedJws::verify`] and
/// [`SignedJws::verify_all`] make one.
pub struct VerifiedPayload<'a>(Payload<'a>);

impl<'a> Deref for VerifiedPayload<'a> {
    type Target = Payload<'a>;

    fn deref(&self) -> &Payload<'a> {
        &self.0
    }
}
