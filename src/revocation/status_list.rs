//! A Token Status List (draft-ietf-oauth-status-list): the states of many tokens, a few bits each.
//!
//! The list comes compressed. How large it may become is decided before it is unpacked, and enforced
//! while it is: a few octets can stand for a thousand times as many.

use std::fmt;

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use crate::claims::whole_seconds;
use crate::jose::base64url;
use crate::json::{Members, Node};
use crate::revocation::deny_list::MAX_LIST_OCTETS;
use crate::time::UnixTime;

/// The states of many tokens.
#[derive(Debug, Eq, PartialEq)]
pub struct StatusList {
    bits: u8,
    octets: Vec<u8>,
    /// When it is good no longer.
    expires: Option<u64>,
}

/// The state of one token (section 7.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// Good.
    Valid,
    /// Revoked, for good.
    Invalid,
    /// Not good for the time being.
    Suspended,
    /// What an application means by it, or what is to be defined yet.
    Other(u8),
}

/// Why a text is no list that counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StatusError {
    /// Signed with an algorithm that the provider does not allow.
    Algorithm,
    /// The list is not what it should be, or packed otherwise.
    BadList,
    /// `sub`, `iat` or another claim is absent or wrong.
    Claims,
    /// It has expired.
    Expired,
    /// The provider's keys do not have its `kid`.
    KeyUnknown,
    /// Not a token.
    NotAToken,
    /// `sub` is another address than the one it was asked for.
    OtherSubject,
    /// Larger than is allowed once it is unpacked.
    TooLarge,
    /// Longer than [`MAX_LIST_OCTETS`].
    TooLong,
    /// `typ` is not `statuslist+jwt`.
    Type,
    /// No key of the provider made the signature.
    Unsigned,
}

impl StatusError {
    /// The name in counters.
    pub fn code(self) -> &'static str {
        match self {
            Self::Algorithm => "status_list_algorithm",
            Self::BadList => "status_list_malformed",
            Self::Claims => "status_list_claims",
            Self::Expired => "status_list_expired",
            Self::KeyUnknown => "status_list_key_unknown",
            Self::NotAToken => "status_list_no_token",
            Self::OtherSubject => "status_list_other_subject",
            Self::TooLarge => "status_list_too_large",
            Self::TooLong => "status_list_too_long",
            Self::Type => "status_list_type",
            Self::Unsigned => "status_list_signature",
        }
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm => f.write_str("has an `alg` that the provider does not allow"),
            Self::BadList => f.write_str("has no list with 1, 2, 4 or 8 bits, packed by ZLIB"),
            Self::Claims => f.write_str("lacks `sub`, `iat` or `status_list`, or they are wrong"),
            Self::Expired => f.write_str("has expired"),
            Self::KeyUnknown => f.write_str("has a `kid` that is not among the provider's keys"),
            Self::NotAToken => f.write_str("is not a token"),
            Self::OtherSubject => f.write_str("names another `sub` than its address"),
            Self::TooLarge => f.write_str("is larger than `max_octets` once it is unpacked"),
            Self::TooLong => write!(f, "is longer than {MAX_LIST_OCTETS} octets"),
            Self::Type => f.write_str("has another `typ` than `statuslist+jwt`"),
            Self::Unsigned => f.write_str("is signed by no key of the provider"),
        }
    }
}

impl StatusList {
    /// Unpacks a list, which may take as many octets.
    pub fn unpack(
        bits: u8,
        packed: &[u8],
        most: usize,
        expires: Option<u64>,
    ) -> Result<Self, StatusError> {
        if !matches!(bits, 1 | 2 | 4 | 8) {
            return Err(StatusError::BadList);
        }
        let octets = decompress_to_vec_zlib_with_limit(packed, most).map_err(|error| {
            use miniz_oxide::inflate::TINFLStatus;
            match error.status {
                TINFLStatus::HasMoreOutput => StatusError::TooLarge,
                _ => StatusError::BadList,
            }
        })?;
        Ok(Self { bits, octets, expires })
    }

    /// What the claims of a list say, whose signature was checked (sections 5.1 and 8.3).
    pub fn read(
        claims: &Members<'_>,
        address: &str,
        most: usize,
        now: UnixTime,
    ) -> Result<Self, StatusError> {
        let time = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(Node::Number(number)) => {
                whole_seconds(number).map(Some).ok_or(StatusError::Claims)
            }
            Some(_) => Err(StatusError::Claims),
        };
        match claims.get("sub").and_then(Node::as_text) {
            None => return Err(StatusError::Claims),
            Some(sub) if sub != address => return Err(StatusError::OtherSubject),
            Some(_) => {}
        }
        if time("iat")?.is_none() {
            return Err(StatusError::Claims);
        }
        let expires = time("exp")?;
        if expires.is_some_and(|expires| now.as_secs() >= expires) {
            return Err(StatusError::Expired);
        }
        let list = claims.get("status_list").and_then(Node::as_object);
        let list = list.ok_or(StatusError::Claims)?;
        let bits = match list.get("bits") {
            Some(Node::Number(bits)) => bits.as_u64().and_then(|bits| u8::try_from(bits).ok()),
            _ => None,
        };
        let packed = list.get("lst").and_then(Node::as_text).ok_or(StatusError::BadList)?;
        let packed = base64url::decode(packed.as_bytes()).map_err(|_| StatusError::BadList)?;
        Self::unpack(bits.ok_or(StatusError::BadList)?, &packed, most, expires)
    }

    /// The state of the token with this number; none: the list does not have it.
    pub fn get(&self, index: u64) -> Option<Status> {
        let each = 8_u64.checked_div(self.bits.into())?;
        let place = usize::try_from(index.checked_div(each)?).ok()?;
        // The first of an octet's has the lowest bits.
        let shift = index.checked_rem(each)?.checked_mul(self.bits.into())?;
        let octet = u32::from(*self.octets.get(place)?);
        let mask = 1_u32.checked_shl(self.bits.into())?.checked_sub(1)?;
        let status = octet.checked_shr(u32::try_from(shift).ok()?)? & mask;
        Some(match status {
            0 => Status::Valid,
            1 => Status::Invalid,
            2 => Status::Suspended,
            other => Status::Other(u8::try_from(other).ok()?),
        })
    }

    /// Whether it is good no longer.
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.expires.is_some_and(|expires| now.as_secs() >= expires)
    }

    /// How many octets it takes.
    pub fn octets(&self) -> usize {
        self.octets.len()
    }
}
