//! Revocation as written. All of it is ours.

use std::time::Duration;

use crate::config::fields::Fields;
use crate::config::reader::Node;
#[cfg(feature = "reference")]
use crate::config::remote;
use crate::config::remote::{http_uri, request_header, within};

/// The shortest wait between two fetches of a list: workers look at each other once a second.
const MIN_POLL: Duration = Duration::from_secs(1);
/// The longest: who needs revocation does not mean tomorrow.
const MAX_POLL: Duration = Duration::from_secs(3600);

/// How long a logout is remembered: not less than a token takes to arrive, and not for ever.
const MIN_REMEMBER: Duration = Duration::from_secs(60);
const MAX_REMEMBER: Duration = Duration::from_secs(7 * 86_400);

/// `revocation`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Revocation {
    /// A list of revoked tokens that is fetched.
    pub list: Option<PolledList>,
    /// Where a provider tells of logouts. Not in a provider.
    pub logout: Option<Logout>,
}

/// `revocation.logout`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Logout {
    /// The path of the requests. Required.
    pub path: String,
    /// Whose logouts. Required.
    pub provider_name: String,
    /// The clients for which they may be: one must be in `aud`. Required.
    pub client_ids: Vec<String>,
    /// End all sessions of the user, also where one is named. Default: false.
    pub all_sessions: bool,
    /// How long they are remembered. Default: an hour.
    pub remember_for: Option<Duration>,
}

/// `revocation.list`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolledList {
    /// Where it is. Required.
    pub uri: String,
    /// The Envoy cluster that leads there. Required.
    pub cluster: String,
    /// How long a request may take. Required.
    pub timeout: Duration,
    /// How often it is fetched. Default: 10 s.
    pub poll_interval: Option<Duration>,
    /// How long after that it is used while it cannot be fetched. Default: 5 minutes.
    pub stale_if_error: Option<Duration>,
    /// What becomes of tokens that cannot be compared with it. Default: `deny`.
    pub when_unavailable: WhenUnavailable,
    /// Headers to send along.
    pub request_headers: Vec<(String, String)>,
}

/// What becomes of tokens of which nobody knows whether they were revoked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WhenUnavailable {
    /// `allow`: they pass, and are counted.
    Allow,
    /// `deny`: they are refused.
    #[default]
    Deny,
}

reference! {
    /// What says that tokens are good no longer, of whichever provider.
    REVOCATION = "Revocation" ("revocation.md").rules(&[AnyOf(&["list", "logout"])]) {
        /// A list of revoked tokens of all providers.
        "list": Fields(&POLLED_LIST), ours, default("none"), page("revocation.md#a-list-of-revoked-tokens");
        /// Where a provider tells of logouts.
        "logout": Fields(&LOGOUT), ours, default("none"), page("logout.md");
    }

    /// What says that tokens of a provider are good no longer.
    OWN_REVOCATION = "ProviderRevocation" ("revocation.md") {
        /// A list of revoked tokens of this provider.
        "list": Fields(&POLLED_LIST), ours, required, page("revocation.md#a-list-of-revoked-tokens");
        "logout": Anything, ours, refused(LOGOUT_ELSEWHERE);
    }

    /// A list of revoked tokens that is fetched again and again.
    POLLED_LIST = "RevocationList" ("revocation.md#a-list-of-revoked-tokens") {
        /// Where it is. The cluster must check the source's certificate and name: whoever answers there
        /// can undo a logout.
        "http_uri": Fields(&remote::HTTP_URI), ours, required;
        /// How often it is fetched; a tenth to two tenths earlier. The source's `Cache-Control` changes
        /// nothing.
        "poll_interval": Time(Span::within(MIN_POLL, MAX_POLL)), ours, default("10s");
        /// How long after that it is used while it cannot be fetched.
        "stale_if_error": Time(Span::ANY), ours, default("300s");
        /// What becomes of tokens when there is no list, or only one that is too old. `deny`: 503
        /// `revocation_unavailable` with `Retry-After`. `allow`: they pass, and count as
        /// `revocation_skipped`.
        "when_unavailable": Choice(WHEN_UNAVAILABLE), ours, default("deny");
        /// Headers to send along with every fetch.
        "request_headers": List(&Fields(&remote::REQUEST_HEADER), 0), ours, default("none");
    }

    /// Where a provider tells of logouts.
    LOGOUT = "Logout" ("logout.md") {
        /// The path of the requests, compared exactly, without the query, on every host. The gate answers
        /// it before any rule.
        "path": Text(Letters::like("^/[!$->@-~]*$")), ours, required, example("\"/backchannel-logout\"");
        /// Whose logout tokens: verified with this provider's keys; it needs an issuer.
        "provider_name": Text(Letters::SOME), ours, required;
        /// The clients at the provider; one must be in the token's `aud`.
        "client_ids": List(&Text(Letters::SOME), 1), ours, required;
        /// End all sessions of the user, also where the token names one: for access tokens that have no
        /// `sid`.
        "all_sessions": Flag, ours, default("false");
        /// How long a logout counts: at least as long as your tokens live.
        "remember_for": Time(Span::within(MIN_REMEMBER, MAX_REMEMBER)), ours, default("3600s");
    }
}

#[cfg(feature = "reference")]
pub(super) const WHEN_UNAVAILABLE: &[&str] = &["allow", "deny"];
const LOGOUT_ELSEWHERE: &str = "stands at the top, with a `provider_name`";

impl Revocation {
    /// `revocation` of the whole.
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let node = fields.get_not_null("revocation")?;
        node.object(|fields| {
            let (list, logout) = (fields.get("list"), fields.get("logout"));
            if list.is_none() && logout.is_none() {
                fields.error("`list` or `logout` is required");
            }
            let list = list.and_then(|node| node.object(PolledList::read));
            Self { list, logout: logout.and_then(|node| node.object(Logout::read)) }
        })
    }

    /// `revocation` of a provider.
    pub(super) fn read_own(fields: &mut Fields<'_>) -> Option<Self> {
        let node = fields.get_not_null("revocation")?;
        node.object(|fields| {
            let list = fields.required("list").and_then(|node| node.object(PolledList::read));
            fields.unsupported("logout", LOGOUT_ELSEWHERE);
            Self { list, logout: None }
        })
    }
}

impl Logout {
    fn read(fields: &mut Fields<'_>) -> Self {
        let path = fields.required("path").and_then(|node| {
            let path = node.non_empty_text()?;
            let plain = |octet: u8| octet.is_ascii_graphic() && !b"?#\"".contains(&octet);
            if !path.starts_with('/') || !path.bytes().all(plain) {
                node.error("expected a path such as /backchannel-logout");
            }
            Some(path)
        });
        let client_ids = fields.texts("client_ids");
        if client_ids.is_empty() {
            fields.error("`client_ids` is required: a logout of another client's is none of ours");
        }
        Self {
            path: path.unwrap_or_default(),
            provider_name: fields.required_text("provider_name"),
            client_ids,
            all_sessions: fields.flag("all_sessions"),
            remember_for: fields
                .get("remember_for")
                .and_then(|node| within(&node, MIN_REMEMBER, MAX_REMEMBER, "60s to 604800s")),
        }
    }
}

impl PolledList {
    fn read(fields: &mut Fields<'_>) -> Self {
        let address = fields.required("http_uri").and_then(|node| node.object(http_uri));
        let (uri, cluster, timeout) = address.unwrap_or_default();
        Self {
            uri,
            cluster,
            timeout,
            poll_interval: fields
                .get("poll_interval")
                .and_then(|node| within(&node, MIN_POLL, MAX_POLL, "1s to 3600s")),
            stale_if_error: fields.get("stale_if_error").and_then(|node| node.duration()),
            when_unavailable: fields
                .get("when_unavailable")
                .and_then(|node| when_unavailable(&node))
                .unwrap_or_default(),
            request_headers: fields.list("request_headers", request_header),
        }
    }
}

pub(super) fn when_unavailable(node: &Node<'_>) -> Option<WhenUnavailable> {
    match node.text()?.as_str() {
        "allow" => Some(WhenUnavailable::Allow),
        "deny" => Some(WhenUnavailable::Deny),
        _ => {
            node.error("expected `allow` or `deny`");
            None
        }
    }
}
