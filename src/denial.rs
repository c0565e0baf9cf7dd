//! Why a request is refused, and what the client is told: the only place that knows HTTP errors.
//!
//! Statuses and texts are those of the native filter, so that clients and dashboards built on
//! them keep working. Codes are stable: logs and counters use them.

mod challenge;
mod misuse;
mod reason;
mod responses;

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

pub use crate::denial::challenge::DpopScheme;
pub use crate::denial::misuse::Misuse;
pub use crate::denial::reason::Reason;
pub use crate::denial::responses::Responses;
use crate::denial::responses::Told;
use crate::request::{RecordEntry, RequestHead};

/// A refusal: the reason, and when to come back where that is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denial {
    /// Why.
    pub reason: Reason,
    /// For `Retry-After`, where trying again may help.
    pub retry_after: Option<Duration>,
    /// The place of the provider that refused, if it was one.
    pub provider: Option<usize>,
    /// What the challenge asks for: scopes with which the request would have passed, separated by
    /// spaces, parameters of RFC 9470, or the nonce of RFC 9449.
    pub asked: Option<Rc<str>>,
    /// What the access log is told of the verified token that is refused, if it is one.
    pub about: Option<Rc<[RecordEntry]>>,
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
    pub headers: Vec<(String, String)>,
    /// Text of the answer.
    pub body: Cow<'static, str>,
    /// What `%RESPONSE_CODE_DETAILS%` shows: the native filter's words.
    pub details: String,
    /// What is left in the filter state: keys and texts.
    pub states: Vec<(String, String)>,
}

/// How refusals are told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner<'a> {
    /// The status when keys cannot be had: 401 or 503.
    pub keys_unavailable_status: u16,
    /// Whether body and challenge are left out.
    pub strip: bool,
    /// The key of the filter state that receives code and text.
    pub state_key: Option<&'a str>,
    /// How the answer looks; none: as natively.
    pub responses: Option<&'a Responses>,
    /// Where clients can read which issuers they may ask.
    pub resource_metadata: Option<&'a str>,
    /// How tokens may be bound to keys; none: they may not.
    pub dpop: Option<DpopScheme<'a>>,
}

impl From<Reason> for Denial {
    fn from(reason: Reason) -> Self {
        Self { reason, retry_after: None, provider: None, asked: None, about: None }
    }
}

impl Denial {
    /// Of two refusals of alternatives, the one to tell: the later, unless it says less.
    pub fn or_later(self, later: Self) -> Self {
        if later.reason.rank() >= self.reason.rank() { later } else { self }
    }

    /// The answer.
    pub fn into_rejection(self, head: &RequestHead, manner: Manner<'_>) -> Rejection {
        let status = match self.reason {
            Reason::AudienceNotAllowed => 403,
            reason if reason.is_about_authorization() => 403,
            Reason::KeysUnavailable => manner.keys_unavailable_status,
            reason if reason.is_our_fault() => 503,
            _ => 401,
        };
        let text = self.reason.text();
        let told = match manner.responses {
            Some(responses) => responses.tell(self.reason, status, head),
            None => Told { status, headers: Vec::new(), body: text.into() },
        };
        let mut headers = Vec::new();
        let metadata = manner.resource_metadata;
        // A status that is to hide the reason would be betrayed by a challenge.
        let challenges = match told.status {
            401 | 403 if status != 503 => {
                let hides = manner.responses.is_some_and(Responses::hide_detail);
                self.challenges(head, metadata, manner.dpop, hides)
            }
            _ => Vec::new(),
        };
        let challenges = match challenges.is_empty() {
            // RFC 9110 section 15.5.2: no 401 without one.
            true if told.status == 401 => challenge::plain(head, metadata, manner.dpop),
            _ => challenges,
        };
        if !manner.strip {
            let challenges = challenges.into_iter();
            headers.extend(challenges.map(|text| ("www-authenticate".to_owned(), text)));
        }
        // It tells nothing, and without it nobody could ever pass.
        if let (Reason::Misused(Misuse::ProofNonce), Some(nonce)) = (self.reason, &self.asked) {
            headers.push(("dpop-nonce".to_owned(), nonce.to_string()));
        }
        if let Some(wait) = self.retry_after.filter(|_| status == 503 && told.status != 401) {
            // Whole seconds, rounded up, at least one: zero would invite a storm.
            let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
            headers.push(("retry-after".to_owned(), seconds.to_string()));
        }
        headers.extend(told.headers);
        Rejection {
            reason: self.reason,
            status: told.status,
            grpc_status: match status {
                403 => 7,
                503 => 14,
                _ => 16,
            },
            headers,
            body: if manner.strip { "".into() } else { told.body },
            // White space would split the field of an access log.
            details: format!("jwt_authn_access_denied{{{}}}", text.replace(' ', "_")),
            states: Vec::from_iter(manner.state_key.map(|key| {
                let code = self.reason.native_code();
                (key.to_owned(), json!({ "code": code, "message": text }).to_string())
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::head;

    #[test]
    fn answers() {
        let head = head(&[(":authority", "h"), (":path", "/p")]);
        let reject = |denial: Denial, keys_unavailable_status| {
            denial.into_rejection(&head, Manner { keys_unavailable_status, ..Manner::default() })
        };

        let missing = reject(Reason::TokenMissing.into(), 503);
        assert_eq!((missing.status, missing.grpc_status), (401, 16));
        let challenge = "Bearer realm=\"http://h/p\"".to_owned();
        assert_eq!(missing.headers, [("www-authenticate".to_owned(), challenge)]);
        assert_eq!(missing.details, "jwt_authn_access_denied{Jwt_is_missing}");

        let audience = reject(Reason::AudienceNotAllowed.into(), 503);
        assert_eq!((audience.status, audience.grpc_status), (403, 7));
        assert!(audience.headers[0].1.ends_with("error=\"invalid_token\""));

        let wait = Some(Duration::from_millis(1500));
        let keys = Denial { retry_after: wait, ..Reason::KeysUnavailable.into() };
        let unavailable = reject(keys.clone(), 503);
        assert_eq!((unavailable.status, unavailable.grpc_status), (503, 14));
        assert_eq!(unavailable.headers, [("retry-after".to_owned(), "2".to_owned())]);
        assert_eq!(reject(keys, 401).headers[0].0, "www-authenticate");

        let manner = Manner {
            strip: true,
            state_key: Some("failed"),
            keys_unavailable_status: 503,
            ..Manner::default()
        };
        let stripped = Denial::from(Reason::Expired).into_rejection(&head, manner);
        assert_eq!((stripped.status, &*stripped.body, stripped.headers), (401, "", vec![]));
        assert_eq!(stripped.details, "jwt_authn_access_denied{Jwt_is_expired}");
        let state = r#"{"code":3,"message":"Jwt is expired"}"#;
        assert_eq!(stripped.states, [("failed".to_owned(), state.to_owned())]);
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
