//! Where keys come from: from JSON to the wire structs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::fields::Fields;
use crate::config::headers::{header_value, sent_header};
use crate::config::reader::Node;
use crate::config::{Document, Jwks, RemoteJwks, RemoteSource};
use crate::sorted;

/// The shortest `timeout`: the host counts in milliseconds, and takes zero for no time-out.
pub(super) const MIN_TIMEOUT: Duration = Duration::from_millis(1);
/// The longest `timeout`: a fetch that hangs longer only keeps the next one from being tried.
pub(super) const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// The shortest `unknown_kid_cooldown`: it is what protects the issuer from invented `kid`s.
const MIN_COOLDOWN: Duration = Duration::from_millis(100);
/// The longest `unknown_kid_cooldown`: shorter than requests wait for keys, so that a `kid` that
/// nobody looked for yet is looked for before its request is given up.
const MAX_COOLDOWN: Duration = Duration::from_secs(4);
/// The longest wait between attempts: keys that nobody can fetch are soon too old.
const MAX_WAIT: Duration = Duration::from_secs(3600);

reference! {
    /// Keys in the configuration.
    LOCAL_JWKS = "DataSource" ("configuration.md#key-sets").message("envoy.config.core.v3.DataSource")
    .rules(&[OneOf(&INLINE)]) {
        /// A key set as text.
        "inline_string": Text(Letters::SOME), example("\"{\\\"keys\\\":[]}\"");
        /// A key set as base64.
        "inline_bytes": Octets;
        "filename": Anything, refused(UNREADABLE);
        "environment_variable": Anything, refused(UNREADABLE);
        "watched_directory": Anything, refused(UNREADABLE);
    }

    /// Keys that are fetched.
    REMOTE_JWKS = "RemoteJwks" ("configuration.md#remote_jwks")
    .message("envoy.extensions.filters.http.jwt_authn.v3.RemoteJwks")
    .rules(&[OneOf(&["http_uri", "discovery"])]) {
        /// Where the keys are.
        "http_uri": Fields(&HTTP_URI);
        /// In place of `http_uri`: find the keys by the issuer's metadata.
        "discovery": Fields(&DISCOVERY), ours, rfc("RFC 8414");
        /// The longest that a set counts as fresh; the issuer's `Cache-Control` and `Age` can shorten it.
        /// It is fetched again one to two tenths earlier, and not more often than once a second.
        "cache_duration": Time(Span::SOME), default("600s");
        /// The shortest, whatever the issuer says; at most `cache_duration`.
        "min_cache_duration": Time(Span::SOME), ours,
            default("30s, or `cache_duration` if that is shorter");
        /// How long past its freshness a set is used while the issuer fails.
        "stale_if_error": Time(Span::ANY), ours, default("3600s");
        /// The least time between two fetches for `kid`s that are not in the set.
        "unknown_kid_cooldown": Time(Span::within(MIN_COOLDOWN, MAX_COOLDOWN)), ours, default("2s");
        /// The waits after failures.
        "retry_policy": Fields(&RETRY_POLICY), default("0.5s, doubled up to 30s");
        /// The longest wait after failures, in another way.
        "async_fetch": Fields(&ASYNC_FETCH), default("none");
        /// Headers to send along with every fetch, in place of the gate's own `accept` and `user-agent`
        /// if they are among them.
        "request_headers": List(&Fields(&REQUEST_HEADER), 0), ours, default("none");
    }

    /// An address, the way there, and how long to wait.
    HTTP_URI = "HttpUri" ("configuration.md#remote_jwks").message("envoy.config.core.v3.HttpUri") {
        /// The address: `http` or `https`, without a user name. `https` in production: whoever controls
        /// the answer can sign.
        "uri": Text(Letters::SOME), required, example("\"https://issuer.example/jwks.json\"");
        /// The Envoy cluster that leads there. It must check the certificate and the name.
        "cluster": Text(Letters::SOME), required, example("\"issuer\"");
        /// How long one request may take.
        "timeout": Time(Span::within(MIN_TIMEOUT, MAX_TIMEOUT)), required, example("\"5s\"");
    }

    /// Keys that are where the issuer's metadata says. Needs the provider's `issuer` or `issuers`.
    DISCOVERY = "Discovery" ("configuration.md#remote_jwks") {
        /// The Envoy cluster that leads to the issuer; with `issuers`, to those whose host is not among
        /// `clusters`.
        "cluster": Text(Letters::SOME), ours, default("none: the issuers' hosts are in `clusters`");
        /// How long one request may take.
        "timeout": Time(Span::within(MIN_TIMEOUT, MAX_TIMEOUT)), ours, required, example("\"5s\"");
        /// The form of the metadata: OpenID Connect Discovery 1.0, or RFC 8414.
        "document": Choice(&["openid-configuration", "oauth-authorization-server"]), ours,
            default("first the one, then the other");
        /// The clusters that lead to other hosts (with a port where the address has one; `:443` is the
        /// same as none), for a `jwks_uri` that is not on the issuer's.
        "clusters": Map(&Text(Letters::SOME), 0), ours, default("none"),
            example("{ \"keys.example\": \"keys\" }");
    }

    /// The waits after failures. The gate never gives up.
    RETRY_POLICY = "RetryPolicy" ("configuration.md#remote_jwks").message("envoy.config.core.v3.RetryPolicy") {
        /// The waits.
        "retry_back_off": Fields(&BACK_OFF), default("0.5s, doubled up to 30s");
        /// Without effect.
        "num_retries": Unsigned(0, u32::MAX);
        /// Without effect.
        "retry_on": Text(Letters::ANY);
        "retry_priority": Anything, refused(HOSTS);
        "retry_host_predicate": Anything, refused(HOSTS);
        "host_selection_retry_max_attempts": Anything, refused(HOSTS);
    }

    /// Waits that grow.
    BACK_OFF = "BackoffStrategy" ("configuration.md#remote_jwks")
    .message("envoy.config.core.v3.BackoffStrategy") {
        /// The wait after a first failure, doubled with each further one. Less than 0.1s counts as that.
        "base_interval": Time(Span::up_to(MAX_WAIT)), required;
        /// The longest wait; at least `base_interval`.
        "max_interval": Time(Span::up_to(MAX_WAIT)), default("30s");
    }

    /// How the native filter fetches ahead of requests.
    ASYNC_FETCH = "JwksAsyncFetch" ("configuration.md#remote_jwks")
    .message("envoy.extensions.filters.http.jwt_authn.v3.JwksAsyncFetch") {
        /// Without effect: a plugin cannot keep its listener closed until there are keys, so requests
        /// wait for them.
        "fast_listener": Flag, default("false");
        /// The longest wait after failures, in place of `max_interval`.
        "failed_refetch_duration": Time(Span::up_to(MAX_WAIT)), default("30s");
    }

    /// A header that is sent along with a fetch.
    REQUEST_HEADER = "RequestHeader" ("configuration.md#remote_jwks") {
        /// Its name: not one that frames or routes the request, nor `accept-encoding` or `if-none-match`.
        "key": Text(Letters::HEADER), ours, required;
        /// Its value.
        "value": Text(Letters::HEADER_VALUE), ours, required;
    }
}

/// Where keys in the configuration may stand.
const INLINE: [&str; 2] = ["inline_string", "inline_bytes"];
const UNREADABLE: &str = "a plugin cannot read it; put the keys into `inline_string`";
const HOSTS: &str = "a plugin cannot choose hosts; leave it out";

impl Jwks {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let is_fallback = fields.flag("local_jwks_is_fallback");
        let (remote, local) = (fields.get("remote_jwks"), fields.get("local_jwks"));
        let complaint = match (&remote, &local, is_fallback) {
            (Some(_), Some(_), true) | (Some(_), None, false) | (None, Some(_), false) => None,
            (Some(_), Some(_), false) => Some(
                "only one of `remote_jwks`, `local_jwks` may be set, unless \
                 `local_jwks_is_fallback` is true: then the local keys serve until the first fetch",
            ),
            (None, None, false) => Some("`remote_jwks` or `local_jwks` is required"),
            (_, _, true) => {
                Some("`local_jwks_is_fallback` needs both `remote_jwks` and `local_jwks`")
            }
        };
        if let Some(complaint) = complaint {
            fields.error(complaint);
        }
        let local = local.map(|node| inline(&node));
        match remote {
            Some(node) => {
                let remote = node.object(RemoteJwks::read)?;
                Some(Self::Remote { remote, fallback: local.flatten() })
            }
            None => local.flatten().map(Self::Local),
        }
    }
}

fn inline(node: &Node<'_>) -> Option<Vec<u8>> {
    node.object(|fields| {
        for source in ["filename", "environment_variable", "watched_directory"] {
            fields.unsupported(source, UNREADABLE);
        }
        let Some((source, node)) = fields.one_of(&INLINE) else {
            fields.error("`inline_string` or `inline_bytes` is required");
            return None;
        };
        match source {
            "inline_string" => node.non_empty_text().map(String::into_bytes),
            _ => node.octets(),
        }
    })?
}

impl RemoteJwks {
    fn read(fields: &mut Fields<'_>) -> Self {
        let mut remote = Self::default();
        match fields.one_of(&["http_uri", "discovery"]) {
            Some(("http_uri", node)) => {
                if let Some((uri, cluster, timeout)) = node.object(http_uri) {
                    remote.timeout = timeout;
                    remote.source = Some(RemoteSource::Uri { uri, cluster });
                }
            }
            Some((_, node)) => {
                node.object(|fields| {
                    remote.timeout = timeout(fields);
                    remote.source = Some(RemoteSource::Discovery {
                        cluster: fields
                            .get("cluster")
                            .map(|node| node.non_empty_text().unwrap_or_default()),
                        document: fields.get("document").and_then(|node| document(&node)),
                        clusters: clusters(fields.get("clusters")),
                    });
                });
            }
            None => fields.error("`http_uri` or `discovery` is required"),
        }
        remote.cache_duration = fields.get("cache_duration").and_then(positive);
        remote.min_cache_duration = fields.get("min_cache_duration").and_then(positive);
        if let (Some(longest), Some(shortest)) = (remote.cache_duration, remote.min_cache_duration)
            && shortest > longest
        {
            fields.error("`min_cache_duration` must not be longer than `cache_duration`");
        }
        remote.read_retries(fields);
        remote.stale_if_error = fields.get("stale_if_error").and_then(|node| node.duration());
        remote.unknown_kid_cooldown = fields
            .get("unknown_kid_cooldown")
            .and_then(|node| within(&node, MIN_COOLDOWN, MAX_COOLDOWN, "0.1s to 4s"));
        remote.request_headers = fields.list("request_headers", request_header);
        remote
    }

    /// How the native filter fetches again after failures. The gate never gives up, so the number
    /// of retries and what they are for are checked and change nothing; nor does `fast_listener`:
    /// a plugin cannot keep its listener closed until there are keys.
    fn read_retries(&mut self, fields: &mut Fields<'_>) {
        if let Some(node) = fields.get("retry_policy") {
            node.object(|fields| {
                fields.get("num_retries").map(|node| node.unsigned());
                fields.get("retry_on").map(|node| node.text());
                for field in
                    ["retry_priority", "retry_host_predicate", "host_selection_retry_max_attempts"]
                {
                    fields.unsupported(field, HOSTS);
                }
                if let Some(node) = fields.get("retry_back_off") {
                    node.object(|fields| {
                        self.first_back_off = fields.required("base_interval").and_then(wait);
                        self.longest_back_off = fields.get("max_interval").and_then(wait);
                        if self.longest_back_off.is_some_and(|longest| {
                            self.first_back_off.is_some_and(|first| longest < first)
                        }) {
                            fields.error("`max_interval` must not be shorter than `base_interval`");
                        }
                    });
                }
            });
        }
        if let Some(node) = fields.get("async_fetch") {
            node.object(|fields| {
                fields.flag("fast_listener");
                let longest = fields.get("failed_refetch_duration").and_then(wait);
                self.longest_back_off = longest.or(self.longest_back_off);
            });
        }
    }
}

/// `core.v3.HttpUri`: address, cluster and time-out.
pub(super) fn http_uri(fields: &mut Fields<'_>) -> (String, String, Duration) {
    (fields.required_text("uri"), fields.required_text("cluster"), timeout(fields))
}

pub(super) fn timeout(fields: &mut Fields<'_>) -> Duration {
    let node = fields.required("timeout");
    let timeout = node.and_then(|node| within(&node, MIN_TIMEOUT, MAX_TIMEOUT, "0.001s to 60s"));
    timeout.unwrap_or(MAX_TIMEOUT)
}

pub(super) fn within(
    node: &Node<'_>,
    least: Duration,
    most: Duration,
    range: &str,
) -> Option<Duration> {
    let duration = node.duration()?;
    if duration < least || duration > most {
        node.error(format!("must be from {range}"));
    }
    Some(duration)
}

fn positive(node: Node<'_>) -> Option<Duration> {
    let duration = node.duration()?;
    if duration.is_zero() {
        node.error("must be longer than 0s");
    }
    Some(duration)
}

fn wait(node: Node<'_>) -> Option<Duration> {
    let duration = positive(node.clone())?;
    if duration > MAX_WAIT {
        node.error("must be at most 3600s");
    }
    Some(duration)
}

fn document(node: &Node<'_>) -> Option<Document> {
    match node.text()?.as_str() {
        "openid-configuration" => Some(Document::OpenidConfiguration),
        "oauth-authorization-server" => Some(Document::OauthAuthorizationServer),
        _ => {
            node.error("expected `openid-configuration` or `oauth-authorization-server`");
            None
        }
    }
}

/// Clusters by host, and port where the address has one, spelt as addresses spell them.
pub(super) fn clusters(node: Option<Node<'_>>) -> BTreeMap<String, String> {
    let mut clusters = BTreeMap::new();
    let Some(node) = node else { return BTreeMap::new() };
    let written = node.map(|node| node.non_empty_text());
    if written.keys().any(|host| host.contains(['/', '@'])) {
        node.error("expected hosts, with a port where the address has one");
    }
    let count = written.len();
    for (host, cluster) in written {
        let plain = host.strip_suffix(":443").unwrap_or(&host).to_ascii_lowercase();
        clusters.insert(plain, cluster);
    }
    if clusters.len() < count {
        node.error("names a host twice: capital letters and `:443` make no difference");
    }
    sorted::map(clusters.into_iter().filter_map(|(host, cluster)| Some((host, cluster?))))
}

/// `core.v3.HeaderValue`.
pub(super) fn request_header(node: Node<'_>) -> Option<(String, String)> {
    node.object(|fields| {
        let name = fields.required("key").and_then(|node| sent_header(&node));
        let value = fields.required("value").and_then(|node| header_value(&node));
        Some((name?, value?))
    })?
}
