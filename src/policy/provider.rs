//! One issuer, compiled: where its tokens and keys are, what they must be, what they become.

use std::rc::Rc;
use std::time::Duration;

use http::Uri;

use crate::claims::comparable_audience;
use crate::config;
use crate::config::reader::{Errors, member_path};
use crate::extract::TokenLocation;
use crate::jose::jwk::KeyStrength;
use crate::jwks::key_set::KeySet;
use crate::jwks::key_store::FetchSettings;
use crate::policy::identity::Outputs;
use crate::policy::text::TextMatcher;

/// What native calls the default clock skew.
const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(60);
/// Native's default `cache_duration`.
const DEFAULT_CACHE_DURATION: Duration = Duration::from_secs(600);
/// Default `stale_if_error`: long enough for an outage to be noticed and mended, short enough
/// that a withdrawn key does not live on for a day because the issuer is unreachable.
const DEFAULT_STALE_IF_ERROR: Duration = Duration::from_secs(3600);
/// Default `unknown_kid_cooldown`: a client that was handed a token of a new key waits no longer.
const DEFAULT_UNKNOWN_KID_COOLDOWN: Duration = Duration::from_secs(2);
/// The least time a request waits for keys. It waits longer where the cooldown and one fetch may
/// take longer together, since only then is its key looked for before it is given up.
const MIN_KEY_WAIT: Duration = Duration::from_secs(5);
/// The longest time a request waits for keys: clients have time-outs of their own.
const MAX_KEY_WAIT: Duration = Duration::from_secs(30);

/// One issuer.
#[derive(Debug)]
pub struct Provider {
    /// Its name in the configuration, for logs.
    pub name: String,
    /// Where its keys come from.
    pub keys: KeySource,
    /// How long a request waits for them.
    pub key_wait: Duration,
    /// The key of the filter state that receives the reason of a refusal.
    pub failed_status_state: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) audiences: Vec<String>,
    pub(super) subjects: Option<TextMatcher>,
    pub(super) lifetime: Lifetime,
    pub(super) locations: Vec<TokenLocation>,
    pub(super) forward: bool,
    pub(super) outputs: Outputs,
    pub(super) clock_skew: Duration,
}

/// What `exp` must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lifetime {
    /// It may be absent.
    Any,
    /// It must be there.
    Bounded,
    /// It must be there, and less than this far away.
    Below(Duration),
}

/// Where keys come from.
pub enum KeySource {
    /// The configuration itself.
    Local(Rc<KeySet>),
    /// The issuer.
    Remote(RemoteKeys),
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // The set may hold secrets.
            Self::Local(_) => f.write_str("Local"),
            Self::Remote(remote) => remote.fmt(f),
        }
    }
}

/// How to ask an issuer for its keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemoteKeys {
    /// The Envoy cluster.
    pub cluster: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The host and port to ask for.
    pub authority: String,
    /// The path and query.
    pub path: String,
    /// Times.
    pub settings: FetchSettings,
}

impl Provider {
    pub(super) fn compile(
        name: String,
        provider: config::Provider,
        errors: &Errors,
    ) -> Option<Self> {
        let path = member_path("providers", &name);
        let strength = match provider.allow_weak_keys {
            true => KeyStrength::WeakAllowed,
            false => KeyStrength::Required,
        };
        let outputs = Outputs::new(&provider);
        let keys = KeySource::compile(provider.jwks?, &path, strength, errors)?;
        let key_wait = match &keys {
            KeySource::Local(_) => Duration::ZERO,
            KeySource::Remote(remote) => {
                let look_up = remote.settings.cooldown.saturating_add(remote.settings.timeout);
                look_up.clamp(MIN_KEY_WAIT, MAX_KEY_WAIT)
            }
        };
        Some(Self {
            name,
            keys,
            key_wait,
            issuer: Some(provider.issuer).filter(|issuer| !issuer.is_empty()),
            failed_status_state: Some(provider.failed_status_in_metadata.clone())
                .filter(|key| !key.is_empty()),
            audiences: comparable(&provider.audiences),
            subjects: provider.subjects.as_ref().map(TextMatcher::new),
            lifetime: match (provider.max_lifetime, provider.require_expiration) {
                (Some(most), _) => Lifetime::Below(most),
                (None, true) => Lifetime::Bounded,
                (None, false) => Lifetime::Any,
            },
            outputs,
            locations: locations(
                provider.from_headers,
                provider.from_params,
                provider.from_cookies,
            ),
            forward: provider.forward,
            clock_skew: match (provider.clock_skew, provider.clock_skew_seconds) {
                (Some(skew), 0) => skew,
                (None, 0) => DEFAULT_CLOCK_SKEW,
                (None, seconds) => Duration::from_secs(seconds.into()),
                (Some(_), _) => {
                    errors.push(&path, "only one of `clock_skew`, `clock_skew_seconds` may be set");
                    DEFAULT_CLOCK_SKEW
                }
            },
        })
    }
}

impl Provider {
    /// Whether tokens are taken from the header `name`.
    pub(super) fn takes_tokens_from_header(&self, name: &str) -> bool {
        let is_it = |location: &TokenLocation| matches!(location, TokenLocation::Header { name: own, .. } if own == name);
        self.locations.iter().any(is_it)
    }

    /// Whether a request goes on just as it came.
    pub(super) fn changes_nothing(&self) -> bool {
        self.forward && !self.outputs.change_requests()
    }
}

/// Native's order: headers, parameters, cookies, each sorted.
fn locations(
    headers: Vec<config::FromHeader>,
    params: Vec<String>,
    cookies: Vec<String>,
) -> Vec<TokenLocation> {
    let headers = headers
        .into_iter()
        .map(|header| TokenLocation::Header { name: header.name, prefix: header.value_prefix });
    let params = params.into_iter().map(|name| TokenLocation::Param { name });
    let cookies = cookies.into_iter().map(|name| TokenLocation::Cookie { name });
    let mut locations: Vec<_> = headers.chain(params).chain(cookies).collect();
    if locations.is_empty() {
        locations = TokenLocation::defaults();
    }
    locations.sort();
    locations.dedup();
    locations
}

/// Audiences in the form in which they compare.
pub(super) fn comparable(audiences: &[String]) -> Vec<String> {
    audiences.iter().map(|audience| comparable_audience(audience).to_owned()).collect()
}

impl KeySource {
    fn compile(
        jwks: config::Jwks,
        provider: &str,
        strength: KeyStrength,
        errors: &Errors,
    ) -> Option<Self> {
        match jwks {
            config::Jwks::Local(text) => match KeySet::parse(&text, strength) {
                Ok(set) => Some(Self::Local(Rc::new(set))),
                Err(error) => {
                    let path = format!("{provider}.local_jwks");
                    errors.push(&path, format!("the key set {error}"));
                    None
                }
            },
            config::Jwks::Remote(remote) => {
                RemoteKeys::compile(remote, provider, strength, errors).map(Self::Remote)
            }
        }
    }
}

impl RemoteKeys {
    fn compile(
        remote: config::RemoteJwks,
        provider: &str,
        strength: KeyStrength,
        errors: &Errors,
    ) -> Option<Self> {
        if remote.uri.is_empty() {
            // Said already: it is required.
            return None;
        }
        let uri = remote.uri.parse::<Uri>().ok();
        let parts = uri.as_ref().and_then(|uri| {
            let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
            // A user name in the address would end up in `:authority`, and in logs.
            let authority = uri.authority()?.as_str();
            let host = Some(authority).filter(|host| !host.is_empty() && !host.contains('@'))?;
            Some((scheme, host, uri.path_and_query()?.as_str()))
        });
        let Some((scheme, authority, path)) = parts else {
            let path = format!("{provider}.remote_jwks.http_uri.uri");
            errors.push(&path, "expected an address such as https://issuer.example/jwks.json");
            return None;
        };
        Some(Self {
            cluster: remote.cluster,
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            settings: FetchSettings {
                fresh_for: remote.cache_duration.unwrap_or(DEFAULT_CACHE_DURATION),
                stale_for: remote.stale_if_error.unwrap_or(DEFAULT_STALE_IF_ERROR),
                timeout: remote.timeout,
                cooldown: remote.unknown_kid_cooldown.unwrap_or(DEFAULT_UNKNOWN_KID_COOLDOWN),
                strength,
            },
        })
    }
}
