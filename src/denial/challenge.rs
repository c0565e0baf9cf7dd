//! The `WWW-Authenticate` header: RFC 6750 section 3, and what RFC 9449, RFC 9470 and RFC 9728 add.

use crate::denial::{Denial, Reason};
use crate::request::RequestHead;

/// How challenges speak of tokens that are bound to keys.
#[derive(Clone, Copy, Debug)]
pub struct DpopScheme<'a> {
    /// The algorithms of proofs, separated by spaces.
    pub algorithms: &'a str,
    /// Whether no other tokens are taken.
    pub only: bool,
}

impl Denial {
    /// The challenges: no error code where no token came (RFC 6750 section 3.1), the scopes where those
    /// of the token do not suffice, what is asked of the user where RFC 9470 applies, and where to
    /// read of issuers (RFC 9728 section 5.1). None where the client can do nothing about its token.
    ///
    /// With DPoP (RFC 9449 section 7.1), there is a challenge for each scheme, and the error is told in
    /// the one that the client used.
    pub(super) fn challenges(
        &self,
        head: &RequestHead,
        resource_metadata: Option<&str>,
        dpop: Option<DpopScheme<'_>>,
        hides_detail: bool,
    ) -> Vec<String> {
        let error = match (self.reason, &self.asked) {
            (Reason::TokenMissing, _) => String::new(),
            // Scopes hold neither quotes nor backslashes.
            (Reason::InsufficientScope, Some(scopes)) => {
                format!(", error=\"insufficient_scope\", scope=\"{scopes}\"")
            }
            (reason @ Reason::InsufficientUserAuthentication, asked) => {
                let (code, text) = (reason.code(), reason.text());
                let asked = asked.as_deref().unwrap_or_default();
                format!(", error=\"{code}\", error_description=\"{text}\"{asked}")
            }
            (reason, _) if reason.is_about_authorization() => return Vec::new(),
            (Reason::Misused(misuse), _) if dpop.is_some() => {
                let (error, text) = (misuse.error(), self.reason.text());
                match hides_detail {
                    true => format!(", error=\"{error}\""),
                    false => format!(", error=\"{error}\", error_description=\"{text}\""),
                }
            }
            _ => ", error=\"invalid_token\"".to_owned(),
        };
        let wants_proof = matches!(self.reason, Reason::Misused(misuse) if misuse.wants_proof());
        challenges(head, &error, resource_metadata, dpop, wants_proof)
    }
}

/// Challenges that say nothing of the reason.
pub(super) fn plain(
    head: &RequestHead,
    resource_metadata: Option<&str>,
    dpop: Option<DpopScheme<'_>>,
) -> Vec<String> {
    challenges(head, "", resource_metadata, dpop, false)
}

fn challenges(
    head: &RequestHead,
    error: &str,
    resource_metadata: Option<&str>,
    dpop: Option<DpopScheme<'_>>,
    wants_proof: bool,
) -> Vec<String> {
    let metadata = resource_metadata.map(|address| format!(", resource_metadata=\"{address}\""));
    let metadata = metadata.unwrap_or_default();
    let realm = realm(head);
    let bearer = |error: &str| format!("Bearer realm=\"{realm}\"{error}{metadata}");
    let Some(dpop) = dpop else { return vec![bearer(error)] };
    let with_proof = |error: &str| {
        format!("DPoP realm=\"{realm}\"{error}, algs=\"{}\"{metadata}", dpop.algorithms)
    };
    match dpop.only || wants_proof {
        true => vec![with_proof(error)],
        false if uses_dpop(head) => vec![with_proof(error), bearer("")],
        false => vec![bearer(error), with_proof("")],
    }
}

/// Whether the client sent a token as one that is bound to a key.
fn uses_dpop(head: &RequestHead) -> bool {
    let scheme = head.value("authorization").and_then(|value| value.first_chunk::<5>());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"dpop "))
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
    let host = quotable(head.value(":authority").unwrap_or_default(), MAX_REALM_HOST);
    format!("{scheme}://{host}{}", quotable(head.original_path(), MAX_REALM_PATH))
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
    use crate::request::tests::head;

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
}
