//! A key set as a value: which of its keys may have signed this token.
//!
//! A set is a JWK set (RFC 7517 section 5) or, in the form that Google published first and that
//! the native filter reads wherever it reads JWK sets, an object of certificates by `kid`.

use std::fmt;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::jose::header::Header;
use crate::jose::jwk::{Jwk, JwkError, KeyIssuers, KeyStrength};
use crate::jose::table_memory::TableMemory;
use crate::jose::x509;
use crate::json;

/// Largest set, in octets: an order of magnitude above the largest that issuers publish.
pub const MAX_SET_OCTETS: usize = 512 * 1024;
/// Most keys that are read from a set.
pub const MAX_KEYS: usize = 256;
/// Most keys that are tried for one token. Only a token without `kid` can reach more than the
/// few keys of one name, and this bounds what such a token may cost.
pub const MAX_TRIES: usize = 16;

/// The usable keys of a set, and why the others are not.
#[derive(Clone)]
pub struct KeySet {
    keys: Vec<Jwk>,
    skipped: Vec<SkippedKey>,
}

/// A key that is not used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SkippedKey {
    /// Its place in `keys` or, among certificates, in the order of their names, from zero.
    pub index: usize,
    /// Why it is not used.
    pub reason: JwkError,
}

/// Why a text is no key set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeySetError {
    /// `keys` is no list, or absent and there is no certificate either.
    NoKeys,
    /// No key of the set is usable; the reason of the first.
    NoUsableKey(Option<JwkError>),
    /// Not a JSON object in the strict sense.
    NotJson,
    /// More than [`MAX_SET_OCTETS`] or [`MAX_KEYS`].
    TooLarge,
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeys => f.write_str("has no list `keys`"),
            Self::NoUsableKey(None) => f.write_str("holds no key"),
            Self::NoUsableKey(Some(reason)) => write!(f, "holds no usable key: {reason}"),
            Self::NotJson => f.write_str("is not a JSON object"),
            Self::TooLarge => f.write_str("is too large"),
        }
    }
}

impl KeySet {
    /// Reads a set whose keys are all those of one issuer.
    pub fn parse(text: &[u8], strength: KeyStrength) -> Result<Self, KeySetError> {
        Self::parse_for(text, strength, KeyIssuers::Ignored)
    }

    /// Reads a set; one bad key does not spoil the others.
    pub fn parse_for(
        text: &[u8],
        strength: KeyStrength,
        issuers: KeyIssuers,
    ) -> Result<Self, KeySetError> {
        if text.len() > MAX_SET_OCTETS {
            return Err(KeySetError::TooLarge);
        }
        let Ok(Value::Object(set)) = json::parse(text) else {
            return Err(KeySetError::NotJson);
        };
        match set.get("keys") {
            Some(Value::Array(keys)) => Self::collect(keys.iter().map(|key| match issuers {
                KeyIssuers::Ignored => Jwk::parse(key, strength),
                KeyIssuers::Bind => Jwk::parse(key, strength)?.bind(key),
            })),
            None if holds_certificates(&set) => Self::collect(
                set.iter().map(|(kid, member)| Jwk::parse_certificate(kid, member, strength)),
            ),
            _ => Err(KeySetError::NoKeys),
        }
    }

    fn collect(
        members: impl ExactSizeIterator<Item = Result<Jwk, JwkError>>,
    ) -> Result<Self, KeySetError> {
        if members.len() > MAX_KEYS {
            return Err(KeySetError::TooLarge);
        }
        let mut keys = Vec::new();
        let mut skipped = Vec::new();
        for (index, member) in members.enumerate() {
            match member {
                Ok(key) => keys.push(key),
                Err(reason) => skipped.push(SkippedKey { index, reason }),
            }
        }
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey(skipped.first().map(|key| key.reason)));
        }
        Ok(Self { keys, skipped })
    }

    /// The set, with its keys' tables in this memory.
    pub fn with_table_memory(mut self, memory: &Rc<TableMemory>) -> Self {
        self.keys.iter_mut().for_each(|key| key.share_memory(memory));
        self
    }

    /// The keys that may have signed a token with this header and `iss`, in the set's order.
    ///
    /// A `kid` on one side only matches, as natively; the algorithm must fit in any case.
    pub fn candidates<'a>(&'a self, header: &Header, iss: Option<&str>) -> Vec<&'a Jwk> {
        self.fitting(header)
            .map(|(_, key)| key)
            .filter(|key| key.vouches_for(iss))
            .take(MAX_TRIES)
            .collect()
    }

    /// The same whosever they are, and all of them, with their places: for what is checked once.
    pub fn fitting<'a>(&'a self, header: &Header) -> impl Iterator<Item = (usize, &'a Jwk)> {
        let keys = self.keys.iter().enumerate();
        keys.filter(|(_, key)| match (&key.kid, &header.kid) {
            (Some(own), Some(wanted)) => own == wanted,
            _ => true,
        })
        .filter(|(_, key)| key.fits(header.algorithm))
    }

    /// Whether one of the keys at these places may sign for this `iss`.
    pub fn vouch_for(&self, places: &[usize], iss: Option<&str>) -> bool {
        let mut keys = places.iter().filter_map(|place| self.keys.get(*place));
        keys.any(|key| key.vouches_for(iss))
    }

    /// Whether a usable key of this name is in the set, whatever its algorithm and whosever it is.
    pub fn names(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// How many keys are usable.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is usable; never the case for a set that was parsed.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that are not used.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }
}

/// Natively every member must look like a certificate, and one that is none spoils the set; here
/// the others stay usable, as with JWKs.
fn holds_certificates(set: &Map<String, Value>) -> bool {
    set.values().any(|member| member.as_str().is_some_and(|text| text.starts_with(x509::BEGIN)))
}
