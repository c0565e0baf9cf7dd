//! The policy: a configuration compiled, once, into something that can be evaluated.
//!
//! It is immutable and free of names to look up. A configuration with any mistake compiles to
//! nothing, so that no half of it ever decides about a request.

pub mod check;
pub mod evaluate;
pub mod identity;
mod requirement;
pub mod route;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use http::Uri;

use crate::claims::comparable_audience;
use crate::config::reader::{ConfigError, Errors, member_path};
use crate::config::{self, Config};
use crate::extract::TokenLocation;
use crate::jose::jwk::KeyStrength;
use crate::jwks::key_set::KeySet;
use crate::jwks::key_store::FetchSettings;
use crate::policy::identity::{ClaimHeader, IdentityHeaders};
use crate::policy::requirement::Requirement;
use crate::policy::route::PathMatcher;

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

/// The place of a provider in [`Policy::providers`].
pub type ProviderIndex = usize;

/// A compiled configuration.
#[derive(Debug)]
pub struct Policy {
    /// All providers, in the order of their names.
    pub providers: Vec<Provider>,
    /// The status of an answer when keys cannot be had.
    pub keys_unavailable_status: u16,
    rules: Vec<Rule>,
    fallback: Requirement,
    identity_headers: IdentityHeaders,
}

/// One issuer.
#[derive(Debug)]
pub struct Provider {
    /// Its name in the configuration, for logs.
    pub name: String,
    /// Where its keys come from.
    pub keys: KeySource,
    /// How long a request waits for them.
    pub key_wait: Duration,
    issuer: Option<String>,
    audiences: Vec<String>,
    locations: Vec<TokenLocation>,
    forward: bool,
    payload_header: Option<String>,
    claim_headers: Vec<ClaimHeader>,
    clock_skew: Duration,
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

#[derive(Debug)]
struct Rule {
    matcher: PathMatcher,
    requirement: Requirement,
}

impl Policy {
    /// Compiles the text of a configuration, or returns every mistake in it.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<ConfigError>> {
        let (config, mut errors) = Config::parse(text);
        let (policy, more) = Self::compile(config);
        errors.extend(more);
        errors.sort();
        errors.dedup();
        if errors.is_empty() { Ok(policy) } else { Err(errors) }
    }

    fn compile(config: Config) -> (Self, Vec<ConfigError>) {
        let errors = Errors::default();
        let names: BTreeMap<String, ProviderIndex> =
            config.providers.keys().cloned().zip(0..).collect();
        let fallback = match &config.default_requirement {
            Some(requirement) => Requirement::compile(requirement, &names, &errors),
            // Providers without rules protect everything: the empty list is the commonest mistake.
            None if config.rules.is_empty() => Requirement::any_provider(names.len()),
            None => Requirement::Nothing,
        };
        let rules = config
            .rules
            .iter()
            .filter_map(|rule| {
                let requirement = match &rule.requires {
                    Some(requirement) => Requirement::compile(requirement, &names, &errors),
                    None => Requirement::Nothing,
                };
                Some(Rule { matcher: PathMatcher::new(rule.matches.as_ref()?), requirement })
            })
            .collect();
        let providers: Vec<_> = config
            .providers
            .into_iter()
            .filter_map(|(name, provider)| Provider::compile(name, provider, &errors))
            .collect();
        let policy = Self {
            identity_headers: IdentityHeaders::of(&providers),
            keys_unavailable_status: match config.keys_unavailable_status {
                Some(401) => 401,
                _ => 503,
            },
            providers,
            rules,
            fallback,
        };
        (policy, errors.into_sorted())
    }

    /// What is open, in one line for the log: an operator should not find out from an attacker.
    pub fn report(&self) -> String {
        let open = |requirement: &Requirement| *requirement == Requirement::Nothing;
        let rules: Vec<String> = (0_usize..)
            .zip(&self.rules)
            .filter(|(_, rule)| open(&rule.requirement))
            .map(|(index, _)| format!("rules[{index}]"))
            .collect();
        let rules = match rules.is_empty() {
            true => "none".to_owned(),
            false => rules.join(", "),
        };
        let rest = match open(&self.fallback) {
            true => "open (`default_requirement` changes that)",
            false => "protected",
        };
        let (providers, count) = (self.providers.len(), self.rules.len());
        format!(
            "{providers} providers, {count} rules; rules that require nothing: {rules}; \
             what no rule matches: {rest}"
        )
    }

    /// What the first rule that matches `path` asks for.
    fn requirement(&self, path: &[u8]) -> &Requirement {
        self.rules
            .iter()
            .find(|rule| rule.matcher.matches(path))
            .map_or(&self.fallback, |rule| &rule.requirement)
    }
}

impl Provider {
    fn compile(name: String, provider: config::Provider, errors: &Errors) -> Option<Self> {
        let path = member_path("providers", &name);
        let strength = match provider.allow_weak_keys {
            true => KeyStrength::WeakAllowed,
            false => KeyStrength::Required,
        };
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
            audiences: comparable(&provider.audiences),
            locations: locations(
                provider.from_headers,
                provider.from_params,
                provider.from_cookies,
            ),
            forward: provider.forward,
            payload_header: Some(provider.forward_payload_header).filter(|name| !name.is_empty()),
            claim_headers: provider.claim_to_headers.into_iter().map(ClaimHeader::new).collect(),
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

fn comparable(audiences: &[String]) -> Vec<String> {
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
            config::Jwks::Local(text) => match KeySet::parse(text.as_bytes(), strength) {
                Ok(set) => Some(Self::Local(Rc::new(set))),
                Err(error) => {
                    let path = format!("{provider}.local_jwks.inline_string");
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
