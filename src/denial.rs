//! Why a request is refused, and what the client is told: the only place that knows HTTP errors.
//!
//! Statuses and texts are those of the native filter, so that clients and dashboards built on
//! them keep working. Codes are stable: logs and counters use them.

mod reason;

use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

pub use crate::denial::reason::Reason;
use crate::request::RequestHead;

/// A refusal: the reason, and when to come back where that is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denial {
    /// Why.
    pub reason: Reason,
    /// For `Retry-After`, where trying again may help.
    pub retry_after: Option<Duration>,
    /// The place of the provider that refused, if it was one.
    pub provider: Option<usize>,
    /// The scopes with which the request would have passed, separated by spaces.
    pub scopes: Option<Rc<str>>,
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
    /// What is left in the filter state: key and text.
    pub state: Option<(String, String)>,
}

/// How refusals are told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Manner {
    /// The status when keys cannot be had: 401 or 503.
    pub keys_unavailable_status: u16,
    /// Whether body and challenge are left out.
    pub strip: bool,
    /// The key of the filter state that receives code and text.
    pub state_key: Option<String>,
}

impl From<Reason> for Denial {
    fn from(reason: Reason) -> Self {
        Self { reason, retry_after: None, provider: None, scopes: None }
    }
}

impl Denial {
    /// Of two refusals of alternatives, the one to tell: the later, unless it says less.
    pub fn or_later(self, later: Self) -> Self {
        if later.reason.rank() >= self.reason.rank() { later } else { self }
    }

    /// The answer.
    pub fn into_rejection(self, head: &RequestHead, manner: Manner) -> Rejection {
        let status = match self.reason {
            Reason::AudienceNotAllowed => 403,
            reason if reason.is_about_authorization() => 403,
            Reason::KeysUnavailable => manner.keys_unavailable_status,
            reason if reason.is_our_fault() => 503,
            _ => 401,
        };
        let mut headers = Vec::new();
        if status != 503 && !manner.strip {
            let challenge = self.challenge(head);
            headers.extend(challenge.map(|challenge| ("www-authenticate", challenge)));
        }
        if let Some(wait) = self.retry_after.filter(|_| status == 503) {
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
            body: if manner.strip { "" } else { text },
            // White space would split the field of an access log.
            details: format!("jwt_authn_access_denied{{{}}}", text.replace(' ', "_")),
            state: manner.state_key.map(|key| {
                let code = self.reason.native_code();
                (key, json!({ "code": code, "message": text }).to_string())
            }),
        }
    }

    /// The challenge of RFC 6750 section 3: no error code where no token came, and with the scopes
    /// where those of the token do not suffice (section 3.1). None where the client can do nothing
    /// about its token.
    fn challenge(&self, head: &RequestHead) -> Option<String> {
        let error = match (self.reason, &self.scopes) {
            (Reason::TokenMissing, _) => String::new(),
            // Scopes hold neither quotes nor backslashes.
            (Reason::InsufficientScope, Some(scopes)) => {
                format!(", error=\"insufficient_scope\", scope=\"{scopes}\"")
            }
            (reason, _) if reason.is_about_authorization() => return None,
            _ => ", error=\"invalid_token\"".to_owned(),
        };
        Some(format!("Bearer realm=\"{}\"{error}", realm(head)))
    }
}

/// Longest path in the realm, in octets, as natively.
const MAX_REALM_PATH: usize = 256;
/// Longest host in the realm, in octets: the longest name DNS knows, with a port.
const MAX_REALM_HOST: usize = 262;

/// `scheme://host/path`: what the client asked for, without the query, which may hold a token.
/// Empty, as natively, for a request without a path.
fn realm(head: &RequestHead) -> String {
    if head.value(":path").is_none() {
        return String::new();
    }
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
        check(&[(":path", "/")], "http:///");
        check(&[(":authority", "h")], "");
    }

    #[test]
    fn answers() {
        let head = head(&[(":authority", "h"), (":path", "/p")]);
        let reject = |denial: Denial, keys_unavailable_status| {
            denial.into_rejection(&head, Manner { keys_unavailable_status, ..Manner::default() })
        };

        let missing = reject(Reason::TokenMissing.into(), 503);
        assert_eq!((missing.status, missing.grpc_status), (401, 16));
        assert_eq!(missing.headers, [("www-authenticate", "Bearer realm=\"http://h/p\"".into())]);
        assert_eq!(missing.details, "jwt_authn_access_denied{Jwt_is_missing}");

        let audience = reject(Reason::AudienceNotAllowed.into(), 503);
        assert_eq!((audience.status, audience.grpc_status), (403, 7));
        assert!(audience.headers[0].1.ends_with("error=\"invalid_token\""));

        let wait = Some(Duration::from_millis(1500));
        let keys = Denial { retry_after: wait, ..Reason::KeysUnavailable.into() };
        let unavailable = reject(keys.clone(), 503);
        assert_eq!((unavailable.status, unavailable.grpc_status), (503, 14));
        assert_eq!(unavailable.headers, [("retry-after", "2".into())]);
        assert_eq!(reject(keys, 401).headers[0].0, "www-authenticate");

        let state_key = Some("failed".to_owned());
        let manner = Manner { strip: true, state_key, keys_unavailable_status: 503 };
        let stripped = Denial::from(Reason::Expired).into_rejection(&head, manner);
        assert_eq!((stripped.status, stripped.body, stripped.headers), (401, "", vec![]));
        assert_eq!(stripped.details, "jwt_authn_access_denied{Jwt_is_expired}");
        let state = r#"{"code":3,"message":"Jwt is expired"}"#;
        assert_eq!(stripped.state, Some(("failed".to_owned(), state.to_owned())));
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
