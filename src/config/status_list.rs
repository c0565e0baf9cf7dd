//! Token Status Lists as written. All of it is ours.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::fields::Fields;
use crate::config::remote::{clusters, request_header, timeout, within};
use crate::config::revocation::{WhenUnavailable, when_unavailable};
#[cfg(feature = "reference")]
use crate::config::{remote, revocation};

/// The most lists of a provider that are kept.
const MAX_LISTS: u32 = 256;
/// The largest list, unpacked: 128 million tokens.
const MAX_OCTETS: u32 = 16 * 1024 * 1024;
/// How long a list may be kept: not less than workers need to look at each other.
const CACHE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));

/// `status_list` of a provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusLists {
    /// Clusters by host: the only hosts that are asked. Required.
    pub clusters: BTreeMap<String, String>,
    /// How long a request may take. Required.
    pub timeout: Duration,
    /// Refuse tokens without `status.status_list`. Default: false.
    pub required: bool,
    /// The longest that a list counts as fresh; its `ttl` and `exp` can shorten that. Default: 300 s.
    pub cache_duration: Option<Duration>,
    /// How long after that it is used while it cannot be fetched. Default: 300 s.
    pub stale_if_error: Option<Duration>,
    /// What becomes of tokens whose list cannot be had. Default: `deny`.
    pub when_unavailable: WhenUnavailable,
    /// How many lists are kept. Default: 16.
    pub max_lists: Option<u32>,
    /// The largest list, unpacked. Default: 1 MiB.
    pub max_octets: Option<u32>,
    /// Headers to send along.
    pub request_headers: Vec<(String, String)>,
}

reference! {
    /// Where the states of a provider's tokens stand (Token Status List).
    STATUS_LIST = "StatusLists" ("status-list.md") {
        /// The hosts on which lists may be (with a port where the address has one; `:443` is the same as
        /// none), and the Envoy clusters that lead there. No other host is ever asked, whatever a token
        /// says; each cluster must check certificate and name.
        "clusters": Map(&Text(Letters::SOME), 1), ours, required,
            example("{ \"status.example\": \"status\" }");
        /// How long one request may take.
        "timeout": Time(Span::within(remote::MIN_TIMEOUT, remote::MAX_TIMEOUT)), ours, required,
            example("\"5s\"");
        /// Refuse tokens without `status.status_list` (`claim_missing`).
        "required": Flag, ours, default("false");
        /// The longest that a list counts as fresh; its `ttl` and `exp` can shorten that, to 10 s at
        /// least. It is fetched again one to two tenths earlier.
        "cache_duration": Time(Span::within(CACHE.0, CACHE.1)), ours, default("300s");
        /// How long past that it is used while it cannot be fetched, but never past its `exp`.
        "stale_if_error": Time(Span::ANY), ours, default("300s");
        /// What becomes of tokens whose list cannot be had or does not count. `deny`: 503
        /// `revocation_unavailable`. `allow`: they pass, and count as `revocation_skipped`.
        "when_unavailable": Choice(revocation::WHEN_UNAVAILABLE), ours, default("deny");
        /// How many lists of the provider are kept in each worker.
        "max_lists": Unsigned(1, MAX_LISTS), ours, default("16"), unit("lists");
        /// The largest list, unpacked; unpacking ends there. The default holds the states of 8 million
        /// tokens, a bit each.
        "max_octets": Unsigned(1, MAX_OCTETS), ours, default("1048576"), unit("octets");
        /// Headers to send along with every fetch.
        "request_headers": List(&Fields(&remote::REQUEST_HEADER), 0), ours, default("none");
    }
}

impl StatusLists {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let clusters = clusters(fields.required("clusters"));
        if clusters.is_empty() {
            fields.error("`clusters` needs at least one host: no other is asked");
        }
        let mut number = |name, most| {
            let node = fields.get(name)?;
            let number = node.unsigned()?;
            if number == 0 || number > most {
                node.error(format!("must be from 1 to {most}"));
            }
            Some(number)
        };
        let (max_lists, max_octets) =
            (number("max_lists", MAX_LISTS), number("max_octets", MAX_OCTETS));
        Self {
            clusters,
            max_lists,
            max_octets,
            timeout: timeout(fields),
            required: fields.flag("required"),
            cache_duration: fields
                .get("cache_duration")
                .and_then(|node| within(&node, CACHE.0, CACHE.1, "1s to 86400s")),
            stale_if_error: fields.get("stale_if_error").and_then(|node| node.duration()),
            when_unavailable: fields
                .get("when_unavailable")
                .and_then(|node| when_unavailable(&node))
                .unwrap_or_default(),
            request_headers: fields.list("request_headers", request_header),
        }
    }
}
