//! What the engine answers, and what it wants from its host: values.

use std::time::Duration;

use crate::denial::{Reason, Rejection};
use crate::engine::spending::Spending;
use crate::jwks::flight::{Ask, Leg};
use crate::jwks::key_store::Seen;
use crate::policy::{ProviderIndex, RemoteKeys, Served};
use crate::request::RequestEdits;

/// A request, by the host's number for it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub u32);

/// A fetch, as the engine knows it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct FetchId {
    pub(super) provider: ProviderIndex,
    pub(super) number: u64,
    pub(super) leg: Leg,
}

impl FetchId {
    /// Whose keys are fetched.
    pub fn provider(self) -> ProviderIndex {
        self.provider
    }

    /// Whether it is the issuer's metadata that is asked for, and not its keys.
    pub fn is_for_metadata(self) -> bool {
        matches!(self.leg, Leg::Metadata(_))
    }
}

/// What becomes of a request now.
#[derive(Debug, Eq, PartialEq)]
pub enum Decision {
    /// It goes on, changed like this.
    Forward(RequestEdits),
    /// It is refused here.
    Reject(Rejection),
    /// It asks for something that the gate serves.
    Serve(Served),
    /// Its body is to be read, and told with [`Engine::handle_body`](super::Engine::handle_body).
    Receive,
    /// Write down what it uses up, and tell with [`Engine::handle_spent`].
    ///
    /// [`Engine::handle_spent`]: super::Engine::handle_spent
    Spend(Box<Spending>),
    /// It waits; an effect will end that.
    Wait,
}

/// What the engine wants from its host.
#[derive(Debug, Eq, PartialEq)]
pub enum Effect {
    /// Count one.
    Count(Counter),
    /// Send this request and tell the answer with [`Engine::handle_fetched`].
    Fetch {
        /// The fetch.
        id: FetchId,
        /// Where to send it.
        request: FetchRequest,
    },
    /// Write a line.
    Log(LogLevel, String),
    /// Read this entry of the shared data and tell it with [`Engine::handle_notice`].
    ///
    /// [`Engine::handle_notice`]: super::Engine::handle_notice
    Look {
        /// Whose keys it is about.
        provider: ProviderIndex,
        /// The name of the entry.
        entry: String,
    },
    /// Set a gauge.
    Measure(Gauge, u64),
    /// Write this entry of the shared data if nobody has since it was `seen`, and tell with
    /// [`Engine::handle_posted`] whether it was.
    ///
    /// [`Engine::handle_posted`]: super::Engine::handle_posted
    Post {
        /// Whose keys it is about.
        provider: ProviderIndex,
        /// The name of the entry.
        entry: String,
        /// What to write.
        text: Vec<u8>,
        /// What it must have been.
        seen: Seen,
    },
    /// Write this entry of the shared data.
    Publish {
        /// The name of the entry.
        entry: String,
        /// What to write.
        text: Vec<u8>,
    },
    /// A waiting request is answered.
    Reject(StreamId, Rejection),
    /// A waiting request goes on.
    Resume(StreamId, RequestEdits),
    /// A waiting request goes on if what it uses up can be written down: tell with
    /// [`Engine::handle_spent`].
    ///
    /// [`Engine::handle_spent`]: super::Engine::handle_spent
    Spend(StreamId, Box<Spending>),
    /// Read this entry of the shared data and tell it with [`Engine::handle_taken`].
    ///
    /// [`Engine::handle_taken`]: super::Engine::handle_taken
    Take {
        /// Whose keys they are.
        provider: ProviderIndex,
        /// The name of the entry.
        entry: String,
    },
    /// Add to a gauge, or take away.
    Vary(Gauge, i64),
}

/// A request to an issuer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FetchRequest {
    /// The Envoy cluster.
    pub cluster: String,
    /// Headers and pseudo-headers.
    pub headers: Vec<(String, String)>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Counter {
    /// Requests let through.
    Allowed,
    /// The same, with a token of this provider.
    AllowedBy(ProviderIndex),
    /// Requests refused.
    Denied,
    /// Requests for which a key was used that only the library serves, since arithmetic of our own
    /// disagreed with it.
    DistrustedKey,
    /// Requests refused, by reason.
    DeniedFor(Reason),
    /// The same, by this provider.
    DeniedBy(ProviderIndex, Reason),
    /// Fetches that brought no keys.
    FetchFailed,
    /// Fetches that brought keys.
    FetchSucceeded,
    /// Tokens that were known from earlier requests.
    CacheHit,
    /// Signatures that were checked.
    CacheMiss,
    /// Something about the keys of a provider.
    Of(ProviderIndex, KeyEvent),
    /// Requests that would be refused where refusals are only reported.
    ReportOnly,
    /// The same, by reason.
    ReportOnlyFor(Reason),
    /// Requests that the gate answered itself, with what it serves.
    Served,
    /// Requests refused that the candidate would let pass, by the reason of the refusal.
    ShadowAllowsFor(Reason),
    /// Requests let through that the candidate would refuse, by its reason.
    ShadowDeniesFor(Reason),
    /// Requests let through that the candidate would let pass with other changes.
    ShadowOtherChanges,
    /// Requests refused that the candidate would refuse for this other reason.
    ShadowOtherReasonFor(Reason),
    /// Requests about which the candidate agrees.
    ShadowSame,
    /// Requests for which the candidate had no keys yet.
    ShadowUndecided,
    /// Logouts that were taken.
    Logout,
    /// Logouts that were refused, by cause.
    LogoutRefusedFor(&'static str),
    /// Requests for which a list of token states was at hand that does not count, by cause.
    UnusableList(&'static str),
    /// Requests with tokens that passed although a list of revoked ones could not be had.
    Uncompared,
    /// Requests that had to wait for keys.
    Waited,
}

/// What is counted of the keys of a provider.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum KeyEvent {
    /// Other keys than before were fetched.
    Changed,
    /// A fetch brought no keys.
    Failed,
    /// The same, by cause.
    FailedFor(&'static str),
    /// A fetch was begun for the sake of an unknown `kid`.
    LookedForKid,
    /// A fetch brought keys.
    Succeeded,
    /// A list of token states could not be fetched.
    StatusFailed,
    /// The same, by cause.
    StatusFailedFor(&'static str),
    /// A list of token states was fetched.
    StatusFetched,
    /// A worker took the keys that another one fetched.
    Taken,
    /// A request had to wait for keys.
    Waited,
}

/// What is measured of the keys of a provider.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Gauge {
    /// Whose keys.
    pub provider: ProviderIndex,
    /// What of them.
    pub quantity: Quantity,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Quantity {
    /// Seconds since the key set was fetched.
    Age,
    /// Entries of a list of revoked tokens.
    Entries,
    /// The number of the fetch that first brought this set.
    Generation,
    /// Usable keys.
    Keys,
    /// Unusable keys, by reason.
    Skipped(&'static str),
    /// Requests that wait, over all workers.
    Waiting,
}

impl Counter {
    /// The end of the counter's name.
    pub(super) fn name(self) -> String {
        match self {
            Self::Allowed | Self::AllowedBy(_) => "allowed".to_owned(),
            Self::CacheHit => "jwt_cache_hit".to_owned(),
            Self::CacheMiss => "jwt_cache_miss".to_owned(),
            Self::Denied => "denied".to_owned(),
            Self::DistrustedKey => "distrusted_key".to_owned(),
            Self::DeniedFor(reason) | Self::DeniedBy(_, reason) => {
                format!("denied_for.{}", reason.code())
            }
            Self::FetchFailed => "jwks_fetch_failed".to_owned(),
            Self::FetchSucceeded => "jwks_fetch_success".to_owned(),
            Self::Of(_, event) => match event {
                KeyEvent::Changed => "jwks_changed".to_owned(),
                KeyEvent::Failed => "jwks_fetch_failed".to_owned(),
                KeyEvent::FailedFor(cause) => format!("jwks_fetch_failed_for.{cause}"),
                KeyEvent::LookedForKid => "jwks_unknown_kid_fetch".to_owned(),
                KeyEvent::Succeeded => "jwks_fetch_success".to_owned(),
                KeyEvent::StatusFailed => "status_list_fetch_failed".to_owned(),
                KeyEvent::StatusFailedFor(cause) => {
                    format!("status_list_fetch_failed_for.{cause}")
                }
                KeyEvent::StatusFetched => "status_list_fetch_success".to_owned(),
                KeyEvent::Taken => "jwks_taken".to_owned(),
                KeyEvent::Waited => "waited".to_owned(),
            },
            Self::ReportOnly => "report_only".to_owned(),
            Self::ReportOnlyFor(reason) => format!("report_only_for.{}", reason.code()),
            Self::Served => "served".to_owned(),
            Self::ShadowAllowsFor(reason) => format!("shadow_allows_for.{}", reason.code()),
            Self::ShadowDeniesFor(reason) => format!("shadow_denies_for.{}", reason.code()),
            Self::ShadowOtherChanges => "shadow_other_changes".to_owned(),
            Self::ShadowOtherReasonFor(reason) => {
                format!("shadow_other_reason_for.{}", reason.code())
            }
            Self::ShadowSame => "shadow_same".to_owned(),
            Self::ShadowUndecided => "shadow_undecided".to_owned(),
            Self::Logout => "logout_taken".to_owned(),
            Self::LogoutRefusedFor(cause) => format!("logout_refused_for.{cause}"),
            Self::UnusableList(cause) => format!("status_list_unusable_for.{cause}"),
            Self::Uncompared => "revocation_skipped".to_owned(),
            Self::Waited => "waited".to_owned(),
        }
    }

    /// The provider that it is about.
    pub(super) fn provider(self) -> Option<ProviderIndex> {
        match self {
            Self::Of(provider, _) => Some(provider),
            _ => None,
        }
    }
}

impl Quantity {
    /// The end of the gauge's name.
    pub(super) fn name(self) -> String {
        match self {
            Self::Age => "jwks_age_seconds".to_owned(),
            Self::Entries => "jwks_entries".to_owned(),
            Self::Generation => "jwks_generation".to_owned(),
            Self::Keys => "jwks_keys".to_owned(),
            Self::Skipped(reason) => format!("jwks_keys_skipped.{reason}"),
            Self::Waiting => "waiting".to_owned(),
        }
    }
}

/// How loud a line is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogLevel {
    /// Something an operator must mend.
    Error,
    /// Something that happened.
    Info,
    /// Something that may need attention.
    Warn,
}

impl FetchRequest {
    /// The question `ask`, as an HTTP request. What the configuration says of a header comes before
    /// what the gate would say.
    pub(super) fn new(ask: Ask, remote: &RemoteKeys) -> Self {
        let Ask { address, leg, etag, .. } = ask;
        let accept = match leg {
            Leg::Metadata(_) => "application/json",
            Leg::Keys => remote.accept,
        };
        let own = [
            ("accept", Some(accept.to_owned())),
            // Nothing here can read a compressed body.
            ("accept-encoding", Some("identity".to_owned())),
            ("if-none-match", etag),
            ("user-agent", Some(concat!("jwt-gate/", env!("CARGO_PKG_VERSION")).to_owned())),
        ];
        let configured = |name: &str| remote.headers.iter().any(|(other, _)| other == name);
        let own = own.into_iter().filter(|(name, _)| !configured(name));
        let pseudo = [
            (":method", Some("GET".to_owned())),
            (":scheme", Some(address.scheme)),
            (":authority", Some(address.authority)),
            (":path", Some(address.path)),
        ];
        let given = pseudo.into_iter().chain(own);
        let given = given.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Self {
            cluster: address.cluster,
            headers: given.chain(remote.headers.iter().cloned()).collect(),
            timeout: remote.settings.timeout,
        }
    }
}
