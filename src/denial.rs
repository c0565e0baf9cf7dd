//! Why a request is refused, and what the client is told: the only place that knows HTTP errors.
//!
//! Statuses and texts are those of the native filter, so that clients and dashboards built on
//! them keep working. Codes are stable: logs and counters use them.

use std::time::Duration;

use crate::claims::ClaimError;
use crate::jose::header::HeaderError;
use crate::jose::jws::JwsError;
use crate::request::RequestHead;

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
    /// No key of the set fits `kid` and `alg`.
    KeyUnknown,
    /// The signature does not fit.
    SignatureInvalid,
    /// An Ed25519 signature that is not 64 octets long.
    SignatureLength,
    /// More tokens, or tokens with more possible keys, than one request may cost.
    TooManyTokens,
    /// The keys cannot be had: the issuer's fault, not the client's.
    KeysUnavailable,
    /// Too many requests wait for keys already.
    TooManyWaiting,
    /// The configuration is invalid: nobody gets in.
    ConfigurationInvalid,
    /// The host did not do what it should: nobody gets in.
    HostFailed,
}

/// A refusal: the reason, and when to come back where that is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Denial {
    /// Why.
    pub reason: Reason,
    /// For `Retry-After`, where trying again may help.
    pub retry_after: Option<Duration>,
}

/// The answer to a refused request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejection {
    /// Why, for the log.
    pub reason: Reason,
    /// HTTP status.
    pub status: u16,
    /// gRPC status, used by the host when the request is gRPC.
    pub grpc_status: i32,
    /// Headers of the answer.
    pub headers: Vec<(&'static str, String)>,
    /// Text of the answer.
    pub body: &'static str,
    /// What `%RESPONSE_CODE_DETAILS%` shows: the native filter's words.
    pub details: String,
}

impl Reason {
    /// The stable code for logs and counters.
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// What the client reads.
    pub fn text(self) -> &'static str {
        self.row().1
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
            Self::KeyUnknown => {
                ("key_unknown", "Jwks doesn't have key to match kid or alg from Jwt")
            }
            Self::SignatureInvalid => ("signature_invalid", "Jwt verification fails"),
            Self::SignatureLength => ("signature_length", "Jwt ED25519 signature is wrong length"),
            Self::TooManyTokens => ("too_many_tokens", "Found multiple Jwt tokens"),
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
    fn rank(self) -> u8 {
        match self {
            Self::TokenMissing => 0,
            Self::IssuerUnknown => 1,
            _ => 2,
        }
    }

    fn is_our_fault(self) -> bool {
        matches!(
            self,
            Self::KeysUnavailable
                | Self::TooManyWaiting
                | Self::ConfigurationInvalid
                | Self::HostFailed
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

impl From<Reason> for Denial {
    fn from(reason: Reason) -> Self {
        Self { reason, retry_after: None }
    }
}

impl Denial {
    /// Of two refusals of alternatives, the one to tell: the later, unless it says less.
    pub fn or_later(self, later: Self) -> Self {
        if later.reason.rank() >= self.reason.rank() { later } else { self }
    }

    /// The answer, with the `keys_unavailable_status` of the configuration.
    pub fn into_rejection(self, head: &RequestHead, keys_unavailable_status: u16) -> Rejection {
        let status = match self.reason {
            Reason::AudienceNotAllowed => 403,
            Reason::KeysUnavailable => keys_unavailable_status,
            reason if reason.is_our_fault() => 503,
            _ => 401,
        };
        let mut headers = Vec::new();
        if status != 503 {
            headers.push(("www-authenticate", challenge(self.reason, head)));
        } else if let Some(wait) = self.retry_after {
            // Whole seconds, rounded up, at least one: zero would invite a storm.
            let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
            headers.push(("retry-after", seconds.to_string()));
        }
        let text = self.reason.text();
        Rejection {
            reason: self.reason,
            status,
            grpc_status: match status {
                403 => 7,
                503 => 14,
                _ => 16,
            },
            headers,
            body: text,
            // White space would split the field of an access log.
            details: format!("jwt_authn_access_denied{{{}}}", text.replace(' ', "_")),
        }
    }
}

/// The challenge of RFC 6750 section 3; no error code where no token came (section 3.1).
fn challenge(reason: Reason, head: &RequestHead) -> String {
    let realm = realm(head);
    match reason {
        Reason::TokenMissing => format!("Bearer realm=\"{realm}\""),
        _ => format!("Bearer realm=\"{realm}\", error=\"invalid_token\""),
    }
}

/// Longest path in the realm, in octets, as natively.
const MAX_REALM_PATH: usize = 256;
/// Longest host in the realm, in octets: the longest name DNS knows, with a port.
const MAX_REALM_HOST: usize = 262;

/// `scheme://host/path`: what the client asked for, without the query, which may hold a token.
fn realm(head: &RequestHead) -> String {
    let scheme = match head.value("x-forwarded-proto").or_else(|| head.value(":scheme")) {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => "https",
        _ => "http",
    };
    let path = match head.value("x-envoy-original-path") {
        Some(path) => path.split(|octet| matches!(octet, b'?' | b'#')).next().unwrap_or_default(),
        None => head.path(),
    };
    let host = quotable(head.value(":authority").unwrap_or_default(), MAX_REALM_HOST);
    format!("{scheme}://{host}{}", quotable(path, MAX_REALM_PATH))
}

/// At most `longest` octets of `text`, safe inside a quoted-string (RFC 9110 section 5.6.4).
/// What is not visible ASCII is left out: neither paths nor hosts hold it rightfully.
fn quotable(text: &[u8], longest: usize) -> String {
    let mut quoted = String::new();
    for octet in text.iter().take(longest).filter(|octet| octet.is_ascii_graphic()) {
        if matches!(octet, b'"' | b'\\') {
            quoted.push('\\');
        }
        quoted.push(char::from(*octet));
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> RequestHead {
        RequestHead::new(
            headers
                .iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect(),
        )
    }

    #[test]
    fn realm_is_bounded_escaped_and_without_query() {
        #[track_caller]
        fn check(headers: &[(&str, &str)], expected: &str) {
            assert_eq!(realm(&head(headers)), expected);
        }
        let at = |path| [(":authority", "h:1"), (":scheme", "http"), (":path", path)];
        check(&at("/a?access_token=secret"), "http://h:1/a");
        check(&at("/a\"\\b"), "http://h:1/a\\\"\\\\b");
        check(&at("/\u{e4}\r\nx: y"), "http://h:1/x:y");
        check(&at(&"/x".repeat(500)), &format!("http://h:1{}", "/x".repeat(128)));
        check(
            &[
                (":authority", "h"),
                ("x-forwarded-proto", "https"),
                (":path", "/new"),
                ("x-envoy-original-path", "/old?t=secret"),
            ],
            "https://h/old",
        );
        check(&[], "http://");
    }

    #[test]
    fn answers() {
        let head = head(&[(":authority", "h"), (":path", "/p")]);
        let reject = |denial: Denial, status| denial.into_rejection(&head, status);

        let missing = reject(Reason::TokenMissing.into(), 503);
        assert_eq!((missing.status, missing.grpc_status), (401, 16));
        assert_eq!(missing.headers, [("www-authenticate", "Bearer realm=\"http://h/p\"".into())]);
        assert_eq!(missing.details, "jwt_authn_access_denied{Jwt_is_missing}");

        let audience = reject(Reason::AudienceNotAllowed.into(), 503);
        assert_eq!((audience.status, audience.grpc_status), (403, 7));
        assert!(audience.headers[0].1.ends_with("error=\"invalid_token\""));

        let wait = Some(Duration::from_millis(1500));
        let keys = Denial { reason: Reason::KeysUnavailable, retry_after: wait };
        let unavailable = reject(keys, 503);
        assert_eq!((unavailable.status, unavailable.grpc_status), (503, 14));
        assert_eq!(unavailable.headers, [("retry-after", "2".into())]);
        assert_eq!(reject(keys, 401).headers[0].0, "www-authenticate");
    }

    #[test]
    fn the_more_telling_reason_wins() {
        let told = |reasons: &[Reason]| {
            reasons.iter().copied().map(Denial::from).reduce(Denial::or_later).unwrap().reason
        };
        use Reason::{Expired, IssuerUnknown, SignatureInvalid, TokenMissing};
        assert_eq!(told(&[TokenMissing, IssuerUnknown, TokenMissing]), IssuerUnknown);
        assert_eq!(told(&[Expired, TokenMissing]), Expired);
        assert_eq!(told(&[Expired, SignatureInvalid, IssuerUnknown]), SignatureInvalid);
    }
}
