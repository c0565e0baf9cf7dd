//! What the engine answers, and what it wants from its host: values.

use std::time::Duration;

use crate::denial::{Reason, Rejection};
use crate::jwks::key_store::FetchNumber;
use crate::policy::{ProviderIndex, RemoteKeys};
use crate::request::RequestEdits;

/// A request, by the host's number for it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub u32);

/// A fetch, as the engine knows it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct FetchId {
    pub(super) provider: ProviderIndex,
    pub(super) number: FetchNumber,
}

/// What becomes of a request now.
#[derive(Debug, Eq, PartialEq)]
pub enum Decision {
    /// It goes on, changed like this.
    Forward(RequestEdits),
    /// It is answered here.
    Reject(Rejection),
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
    /// A waiting request is answered.
    Reject(StreamId, Rejection),
    /// A waiting request goes on.
    Resume(StreamId, RequestEdits),
}

/// A request for a key set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FetchRequest {
    /// The Envoy cluster.
    pub cluster: String,
    /// Headers and pseudo-headers.
    pub headers: Vec<(&'static str, String)>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Counter {
    /// Requests let through.
    Allowed,
    /// Requests refused.
    Denied,
    /// Requests refused, by reason.
    DeniedFor(Reason),
    /// Key sets that could not be had.
    FetchFailed,
    /// Key sets fetched.
    FetchSucceeded,
    /// Requests that had to wait for keys.
    Waited,
}

impl Counter {
    /// The name of the counter, behind [`Engine::counter_prefix`](super::Engine::counter_prefix);
    /// Envoy shows it behind `wasmcustom.`.
    pub fn name(self) -> String {
        match self {
            Self::Allowed => "allowed".to_owned(),
            Self::Denied => "denied".to_owned(),
            Self::DeniedFor(reason) => format!("denied_for.{}", reason.code()),
            Self::FetchFailed => "jwks_fetch_failed".to_owned(),
            Self::FetchSucceeded => "jwks_fetch_success".to_owned(),
            Self::Waited => "waited".to_owned(),
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
    pub(super) fn new(remote: &RemoteKeys) -> Self {
        Self {
            cluster: remote.cluster.clone(),
            headers: vec![
                (":method", "GET".to_owned()),
                (":scheme", remote.scheme.clone()),
                (":authority", remote.authority.clone()),
                (":path", remote.path.clone()),
                ("accept", "application/jwk-set+json, application/json".to_owned()),
                ("user-agent", concat!("jwt-gate/", env!("CARGO_PKG_VERSION")).to_owned()),
            ],
            timeout: remote.settings.timeout,
        }
    }
}
