//! The reasons: a stable code, the native filter's text and number, and which says more.

use crate::claims::ClaimError;
use crate::denial::misuse::Misuse;
use crate::jose::header::HeaderError;
use crate::jose::jws::JwsError;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// No token at any location.
    TokenMissing,
    /// No provider has this `iss`.
    IssuerUnknown,
    /// The token is longer than the gate reads.
    TokenTooLong,
    /// Not three parts.
    TokenMalformed,
    /// The header is not base64url.
    HeaderEncoding,
    /// The header is not JSON.
    HeaderNotJson,
    /// `alg` is absent or no string.
    AlgorithmMissing,
    /// `alg` is not supported; `none` never is.
    AlgorithmUnknown,
    /// `kid` is no string.
    KidType,
    /// The header has critical parameters.
    HeaderCritical,
    /// The payload is not base64url.
    PayloadEncoding,
    /// The payload is not JSON.
    PayloadNotJson,
    /// A registered claim has the wrong type.
    ClaimType(ClaimError),
    /// The signature is not base64url.
    SignatureEncoding,
    /// `nbf` lies ahead.
    NotYetValid,
    /// `exp` lies behind.
    Expired,
    /// `aud` names none of the audiences.
    AudienceNotAllowed,
    /// `sub` is not one of those allowed.
    SubjectNotAllowed,
    /// `exp` is absent, or too far away.
    LifetimeNotAllowed,
    /// `iat` is absent, too far back, or ahead.
    AgeNotAllowed,
    /// `alg` is not one of those allowed.
    AlgorithmNotAllowed,
    /// `typ` is not one of those allowed.
    TypeNotAllowed,
    /// A claim that is required is not there.
    ClaimMissing,
    /// `azp` or `client_id` is not one of those allowed.
    PartyNotAllowed,
    /// The user did not authenticate as the rule asks, or too long ago.
    InsufficientUserAuthentication,
    /// The token has not the scopes that are asked for.
    InsufficientScope,
    /// The claims are not what the rule or the requirement asks for.
    ClaimsNotAllowed,
    /// A policy denies it.
    DeniedByPolicy,
    /// No policy allows it.
    AllowedByNoPolicy,
    /// No key of the set fits `kid` and `alg`.
    KeyUnknown,
    /// The signature does not fit.
    SignatureInvalid,
    /// An Ed25519 signature that is not 64 octets long.
    SignatureLength,
    /// The token is good, and used in a way in which it must not be.
    Misused(Misuse),
    /// More tokens, or tokens with more possible keys, than one request may cost.
    TooManyTokens,
    /// It was revoked.
    TokenRevoked,
    /// It is not good for the time being.
    TokenSuspended,
    /// Its state is nothing that is known, or stands nowhere.
    StatusUnacceptable,
    /// Nobody knows whether it was revoked.
    RevocationUnavailable,
    /// The keys cannot be had: the issuer's fault, not the client's.
    KeysUnavailable,
    /// Too many requests wait for keys already.
    TooManyWaiting,
    /// The configuration is invalid: nobody gets in.
    ConfigurationInvalid,
    /// The host did not do what it should: nobody gets in.
    HostFailed,
}

/// Every reason but misuse.
const ALL: [Reason; 50] = [
    Reason::TokenMissing,
    Reason::IssuerUnknown,
    Reason::TokenTooLong,
    Reason::TokenMalformed,
    Reason::HeaderEncoding,
    Reason::HeaderNotJson,
    Reason::AlgorithmMissing,
    Reason::AlgorithmUnknown,
    Reason::KidType,
    Reason::HeaderCritical,
    Reason::PayloadEncoding,
    Reason::PayloadNotJson,
    Reason::ClaimType(ClaimError::AudType),
    Reason::ClaimType(ClaimError::ExpRange),
    Reason::ClaimType(ClaimError::ExpType),
    Reason::ClaimType(ClaimError::IatRange),
    Reason::ClaimType(ClaimError::IatType),
    Reason::ClaimType(ClaimError::IssType),
    Reason::ClaimType(ClaimError::JtiType),
    Reason::ClaimType(ClaimError::NbfRange),
    Reason::ClaimType(ClaimError::NbfType),
    Reason::ClaimType(ClaimError::SubType),
    Reason::SignatureEncoding,
    Reason::NotYetValid,
    Reason::Expired,
    Reason::AudienceNotAllowed,
    Reason::SubjectNotAllowed,
    Reason::LifetimeNotAllowed,
    Reason::AgeNotAllowed,
    Reason::AlgorithmNotAllowed,
    Reason::TypeNotAllowed,
    Reason::ClaimMissing,
    Reason::PartyNotAllowed,
    Reason::InsufficientUserAuthentication,
    Reason::InsufficientScope,
    Reason::ClaimsNotAllowed,
    Reason::DeniedByPolicy,
    Reason::AllowedByNoPolicy,
    Reason::KeyUnknown,
    Reason::SignatureInvalid,
    Reason::SignatureLength,
    Reason::TooManyTokens,
    Reason::TokenRevoked,
    Reason::TokenSuspended,
    Reason::StatusUnacceptable,
    Reason::RevocationUnavailable,
    Reason::KeysUnavailable,
    Reason::TooManyWaiting,
    Reason::ConfigurationInvalid,
    Reason::HostFailed,
];

fn all() -> impl Iterator<Item = Reason> {
    ALL.into_iter().chain(Misuse::ALL.map(Reason::Misused))
}

impl Reason {
    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        all().find(|reason| reason.code() == code)
    }

    /// Every reason's code.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        all().map(Self::code)
    }

    /// The stable code for logs and counters.
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// What the client reads.
    pub fn text(self) -> &'static str {
        self.row().1
    }

    /// The number of the native filter's status, for `failed_status_in_metadata`; what it does not
    /// know counts as its `JwtVerificationFail`.
    pub(super) fn native_code(self) -> u8 {
        match self {
            Self::TokenMissing => 1,
            Self::NotYetValid => 2,
            Self::Expired => 3,
            Self::TokenMalformed => 4,
            Self::HeaderEncoding => 5,
            Self::HeaderNotJson => 6,
            Self::AlgorithmMissing => 7,
            Self::AlgorithmUnknown => 8,
            Self::KidType => 9,
            Self::PayloadEncoding => 10,
            Self::PayloadNotJson => 11,
            Self::ClaimType(ClaimError::IssType) => 12,
            Self::ClaimType(ClaimError::SubType) => 13,
            Self::ClaimType(ClaimError::IatType) => 14,
            Self::ClaimType(ClaimError::IatRange) => 15,
            Self::ClaimType(ClaimError::NbfType) => 16,
            Self::ClaimType(ClaimError::NbfRange) => 17,
            Self::ClaimType(ClaimError::ExpType) => 18,
            Self::ClaimType(ClaimError::ExpRange) => 19,
            Self::ClaimType(ClaimError::JtiType) => 20,
            Self::ClaimType(ClaimError::AudType) => 21,
            Self::SignatureEncoding => 22,
            Self::SignatureLength => 23,
            Self::IssuerUnknown => 24,
            Self::AudienceNotAllowed => 25,
            Self::TooManyTokens => 27,
            Self::KeyUnknown => 32,
            Self::KeysUnavailable => 40,
            _ => 26,
        }
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::TokenMissing => ("token_missing", "Jwt is missing"),
            Self::IssuerUnknown => ("issuer_unknown", "Jwt issuer is not configured"),
            Self::TokenTooLong => ("token_too_long", "Jwt is too long"),
            Self::TokenMalformed => (
                "token_malformed",
                "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
            ),
            Self::HeaderEncoding => {
                ("header_encoding", "Jwt header is an invalid Base64url encoded")
            }
            Self::HeaderNotJson => ("header_not_json", "Jwt header is an invalid JSON"),
            Self::AlgorithmMissing => {
                ("algorithm_missing", "Jwt header [alg] field is required and must be a string")
            }
            Self::AlgorithmUnknown => ("algorithm_unknown", "Jwt header [alg] is not supported"),
            Self::KidType => ("kid_type", "Jwt header [kid] field is not a string"),
            Self::HeaderCritical => {
                ("header_critical", "Jwt header [crit] names a parameter that is not supported")
            }
            Self::PayloadEncoding => {
                ("payload_encoding", "Jwt payload is an invalid Base64url encoded")
            }
            Self::PayloadNotJson => ("payload_not_json", "Jwt payload is an invalid JSON"),
            Self::ClaimType(claim) => claim_row(claim),
            Self::SignatureEncoding => {
                ("signature_encoding", "Jwt signature is an invalid Base64url encoded")
            }
            Self::NotYetValid => ("not_yet_valid", "Jwt not yet valid"),
            Self::Expired => ("expired", "Jwt is expired"),
            Self::AudienceNotAllowed => {
                ("audience_not_allowed", "Audiences in Jwt are not allowed")
            }
            Self::SubjectNotAllowed => ("subject_not_allowed", "Jwt verification fails"),
            Self::LifetimeNotAllowed => ("lifetime_not_allowed", "Jwt verification fails"),
            Self::AgeNotAllowed => ("age_not_allowed", "Jwt verification fails"),
            Self::AlgorithmNotAllowed => ("algorithm_not_allowed", "Jwt verification fails"),
            Self::TypeNotAllowed => ("type_not_allowed", "Jwt verification fails"),
            Self::ClaimMissing => ("claim_missing", "Jwt verification fails"),
            Self::PartyNotAllowed => ("party_not_allowed", "Jwt verification fails"),
            Self::InsufficientUserAuthentication => (
                "insufficient_user_authentication",
                "Another or a more recent user authentication is needed",
            ),
            Self::InsufficientScope => ("insufficient_scope", "Jwt scope is insufficient"),
            Self::ClaimsNotAllowed => ("claims_not_allowed", "Jwt claims are not allowed"),
            Self::DeniedByPolicy => ("denied_by_policy", "Jwt claims are not allowed"),
            Self::AllowedByNoPolicy => ("allowed_by_no_policy", "Jwt claims are not allowed"),
            Self::KeyUnknown => {
                ("key_unknown", "Jwks doesn't have key to match kid or alg from Jwt")
            }
            Self::SignatureInvalid => ("signature_invalid", "Jwt verification fails"),
            Self::SignatureLength => ("signature_length", "Jwt ED25519 signature is wrong length"),
            Self::Misused(misuse) => misuse.row(),
            Self::TooManyTokens => ("too_many_tokens", "Found multiple Jwt tokens"),
            Self::TokenRevoked => ("token_revoked", "Jwt is revoked"),
            Self::TokenSuspended => ("token_suspended", "Jwt is suspended"),
            Self::StatusUnacceptable => ("status_unacceptable", "Jwt status is not acceptable"),
            Self::RevocationUnavailable => {
                ("revocation_unavailable", "Jwt could not be checked for revocation")
            }
            Self::KeysUnavailable => ("keys_unavailable", "Jwks remote fetch is failed"),
            Self::TooManyWaiting => ("too_many_waiting", "Too many requests wait for the Jwks"),
            Self::ConfigurationInvalid => {
                ("configuration_invalid", "The Jwt configuration is invalid")
            }
            Self::HostFailed => ("host_failed", "The Jwt could not be checked"),
        }
    }

    /// Which of two reasons says more, when a requirement had several ways to be met: another
    /// provider's "no token" or "not my issuer" says the least, as natively.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::TokenMissing => 0,
            Self::IssuerUnknown => 1,
            // A good token that may not do this: the others are not this client's.
            reason if reason.is_about_authorization() => 3,
            Self::InsufficientUserAuthentication => 3,
            _ => 2,
        }
    }

    /// Whether the token is good, and the request refused all the same.
    pub(super) fn is_about_authorization(self) -> bool {
        matches!(
            self,
            Self::InsufficientScope
                | Self::ClaimsNotAllowed
                | Self::DeniedByPolicy
                | Self::AllowedByNoPolicy
        )
    }

    pub(super) fn is_our_fault(self) -> bool {
        matches!(
            self,
            Self::KeysUnavailable
                | Self::RevocationUnavailable
                | Self::TooManyWaiting
                | Self::ConfigurationInvalid
                | Self::HostFailed
                | Self::Misused(Misuse::MemoryFull)
        )
    }
}

fn claim_row(claim: ClaimError) -> (&'static str, &'static str) {
    match claim {
        ClaimError::AudType => {
            ("aud_type", "Jwt payload [aud] field is not a string or string list")
        }
        ClaimError::ExpRange => {
            ("exp_range", "Jwt payload [exp] field is not a positive 64 bit integer")
        }
        ClaimError::ExpType => ("exp_type", "Jwt payload [exp] field is not an integer"),
        ClaimError::IatRange => {
            ("iat_range", "Jwt payload [iat] field is not a positive 64 bit integer")
        }
        ClaimError::IatType => ("iat_type", "Jwt payload [iat] field is not an integer"),
        ClaimError::IssType => ("iss_type", "Jwt payload [iss] field is not a string"),
        ClaimError::JtiType => ("jti_type", "Jwt payload [jti] field is not a string"),
        ClaimError::NbfRange => {
            ("nbf_range", "Jwt payload [nbf] field is not a positive 64 bit integer")
        }
        ClaimError::NbfType => ("nbf_type", "Jwt payload [nbf] field is not an integer"),
        ClaimError::SubType => ("sub_type", "Jwt payload [sub] field is not a string"),
    }
}

impl From<JwsError> for Reason {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::Header(HeaderError::AlgorithmMissing) => Self::AlgorithmMissing,
            JwsError::Header(HeaderError::AlgorithmUnknown) => Self::AlgorithmUnknown,
            JwsError::Header(HeaderError::Critical) => Self::HeaderCritical,
            JwsError::Header(HeaderError::KidType) => Self::KidType,
            JwsError::Header(HeaderError::NotJson) => Self::HeaderNotJson,
            JwsError::HeaderEncoding => Self::HeaderEncoding,
            JwsError::NotThreeParts => Self::TokenMalformed,
            JwsError::PayloadEncoding => Self::PayloadEncoding,
            JwsError::PayloadNotJson => Self::PayloadNotJson,
            JwsError::SignatureEncoding => Self::SignatureEncoding,
            JwsError::TooLong => Self::TokenTooLong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_listed_and_have_codes_of_their_own() {
        let codes: std::collections::BTreeSet<_> = Reason::codes().collect();
        assert_eq!(codes.len(), all().count());
        // Each row of the table begins with a code in quotes, whatever the layout.
        let source = include_str!("reason.rs");
        let between = |start: &str, end: &str| {
            let (_, rest) = source.split_once(start).unwrap();
            rest.split_once(end).unwrap().0
        };
        let table = between("fn row(self)", "fn rank");
        let claims = between("fn claim_row", "impl From");
        let rows =
            |text: &str| text.matches("Self::").count() + text.matches("ClaimError::").count();
        // Two rows of the first hand over to other tables.
        assert_eq!(rows(table) - 2 + rows(claims), ALL.len());
        for reason in all() {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
            // They stand in quoted strings and in JSON as they are.
            let plain = |letter: char| letter.is_ascii_graphic() && !"\"\\<>&%".contains(letter);
            assert!(reason.text().chars().all(|letter| letter == ' ' || plain(letter)));
        }
        assert_eq!(Reason::from_code("none"), None);
    }
}
