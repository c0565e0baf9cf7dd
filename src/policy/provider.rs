//! One issuer, compiled: where its tokens and keys are, what they must be, what they become.

use std::rc::Rc;
use std::time::Duration;

use crate::claims::comparable_audience;
use crate::config;
use crate::config::reader::{Errors, member_path};
use crate::extract::TokenLocation;
use crate::jose::algorithm::{ALGORITHMS, Algorithm};
use crate::jose::jwk::KeyStrength;
use crate::jose::table_memory::TableMemory;
use crate::jwks::Keys;
use crate::jwks::board::FORMAT;
use crate::jwks::key_set::KeySet;
use crate::jwks::key_store::KeyStore;
use crate::jwks::schedule::{FIRST_BACK_OFF, FetchSettings, MAX_BACK_OFF};
use crate::jwks::source::{Address, Discovery, Document, Source};
use crate::policy::identity::Outputs;
use crate::policy::verified_tokens::{
    CacheSettings, DEFAULT_TOKEN_OCTETS, DEFAULT_TOKENS, NATIVE_TOKENS,
};
use crate::sorted;
use crate::text::TextMatcher;

/// What native calls the default clock skew.
const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(60);
/// Native's default `cache_duration`.
const DEFAULT_CACHE_DURATION: Duration = Duration::from_secs(600);
/// Default `stale_if_error`: long enough for an outage to be noticed and mended, short enough
/// that a withdrawn key does not live on for a day because the issuer is unreachable.
const DEFAULT_STALE_IF_ERROR: Duration = Duration::from_secs(3600);
/// Default `unknown_kid_cooldown`: a client that was handed a token of a new key waits no longer.
const DEFAULT_UNKNOWN_KID_COOLDOWN: Duration = Duration::from_secs(2);
/// Default `min_cache_duration`: an issuer that says `no-cache` is asked twice a minute.
const DEFAULT_MIN_CACHE_DURATION: Duration = Duration::from_secs(30);
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
    /// Any of these, all of which sign with the same keys; empty: any issuer, or none.
    pub(super) issuers: Vec<String>,
    pub(super) audiences: Vec<String>,
    pub(super) subjects: Option<TextMatcher>,
    pub(super) lifetime: Lifetime,
    pub(super) max_age: Option<Duration>,
    pub(super) checks: TokenChecks,
    /// The claims that conditions look at; empty: none do, and nothing is kept for them.
    pub(super) claims_read: Vec<String>,
    pub(super) locations: Vec<TokenLocation>,
    pub(super) forward: bool,
    pub(super) outputs: Outputs,
    pub(super) clock_skew: Duration,
    /// How many verified tokens are kept.
    pub cache: CacheSettings,
}

/// What a token must be, whatever the time and the request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct TokenChecks {
    /// Empty: every algorithm that the keys allow.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) types: Vec<String>,
    pub(super) required_claims: Vec<String>,
    pub(super) parties: Vec<String>,
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
    Remote {
        /// How to ask it.
        remote: Box<RemoteKeys>,
        /// Keys of last resort while nothing was ever fetched.
        fallback: Option<Rc<KeySet>>,
    },
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // The set may hold secrets.
            Self::Local(_) => f.write_str("Local"),
            Self::Remote { remote, .. } => remote.source.fmt(f),
        }
    }
}

/// How to ask an issuer for its keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemoteKeys {
    /// Where they are.
    pub source: Source,
    /// Headers to send along.
    pub headers: Vec<(String, String)>,
    /// Times.
    pub settings: FetchSettings,
    /// The name under which workers share what they fetched; none: they do not.
    pub shared_as: Option<String>,
}

impl Provider {
    pub(super) fn compile(
        name: String,
        provider: config::Provider,
        sharing: &config::KeySharing,
        memory: &Rc<TableMemory>,
        errors: &Errors,
    ) -> Option<Self> {
        let path = member_path("providers", &name);
        let strength = match provider.allow_weak_keys {
            true => KeyStrength::WeakAllowed,
            false => KeyStrength::Required,
        };
        let outputs = Outputs::new(&provider);
        let checks = TokenChecks::compile(&provider, &path, errors);
        let issuer = Some(provider.issuer).filter(|issuer| !issuer.is_empty());
        if issuer.is_some() && !provider.issuers.is_empty() {
            errors.push(&path, "only one of `issuer`, `issuers` may be set");
        }
        let context =
            KeyContext { provider: &path, issuer: issuer.as_deref(), strength, sharing, memory };
        let keys = KeySource::compile(provider.jwks?, context, errors)?;
        let key_wait = match &keys {
            KeySource::Local(_) => Duration::ZERO,
            KeySource::Remote { remote, .. } => {
                let look_up = remote.settings.cooldown.saturating_add(remote.longest_fetch());
                look_up.clamp(MIN_KEY_WAIT, MAX_KEY_WAIT)
            }
        };
        Some(Self {
            name,
            keys,
            key_wait,
            issuers: issuer.into_iter().chain(provider.issuers).collect(),
            failed_status_state: Some(provider.failed_status_in_metadata.clone())
                .filter(|key| !key.is_empty()),
            audiences: comparable(&provider.audiences),
            subjects: provider.subjects.as_ref().map(TextMatcher::new),
            lifetime: match (provider.max_lifetime, provider.require_expiration) {
                (Some(most), _) => Lifetime::Below(most),
                (None, true) => Lifetime::Bounded,
                (None, false) => Lifetime::Any,
            },
            max_age: provider.max_age,
            checks,
            claims_read: Vec::new(),
            outputs,
            locations: locations(
                provider.from_headers,
                provider.from_params,
                provider.from_cookies,
            ),
            forward: provider.forward,
            cache: provider.jwt_cache.map_or(
                CacheSettings { tokens: DEFAULT_TOKENS, token_octets: DEFAULT_TOKEN_OCTETS },
                |wire| CacheSettings {
                    tokens: if wire.disabled { 0 } else { wire.tokens.unwrap_or(NATIVE_TOKENS) },
                    token_octets: wire.token_octets.unwrap_or(DEFAULT_TOKEN_OCTETS),
                },
            ),
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

impl TokenChecks {
    fn compile(provider: &config::Provider, path: &str, errors: &Errors) -> Self {
        let algorithms = provider.algorithms.iter().filter_map(|name| {
            let algorithm = Algorithm::from_name(name);
            if algorithm.is_none() {
                let known = ALGORITHMS.map(|row| row.name).join(", ");
                let path = format!("{path}.algorithms");
                errors.push(&path, format!("expected some of: {known}"));
            }
            algorithm
        });
        Self {
            algorithms: algorithms.collect(),
            types: provider.token_types.clone(),
            required_claims: provider.required_claims.clone(),
            parties: provider.authorized_parties.clone(),
        }
    }
}

impl Provider {
    /// Whether anything but the registered claims is looked at: by conditions, or by the checks of
    /// `required_claims` and `authorized_parties`. What claims become is [`Outputs`]' matter.
    pub fn reads_claims(&self) -> bool {
        !self.claims_read.is_empty()
            || !self.checks.required_claims.is_empty()
            || !self.checks.parties.is_empty()
    }

    /// Whether tokens of this issuer are its own; where none is named, nobody's are.
    pub(super) fn names_issuer(&self, iss: &str) -> bool {
        self.issuers.iter().any(|own| own == iss)
    }

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
    let locations = sorted::list(headers.chain(params).chain(cookies));
    if locations.is_empty() { sorted::list(TokenLocation::defaults()) } else { locations }
}

/// Audiences in the form in which they compare.
pub(super) fn comparable(audiences: &[String]) -> Vec<String> {
    audiences.iter().map(|audience| comparable_audience(audience).to_owned()).collect()
}

/// What the keys of a provider depend on beside their own configuration.
#[derive(Clone, Copy)]
struct KeyContext<'a> {
    /// The provider's JSON path.
    provider: &'a str,
    issuer: Option<&'a str>,
    strength: KeyStrength,
    sharing: &'a config::KeySharing,
    /// For tables of keys in the configuration.
    memory: &'a Rc<TableMemory>,
}

impl KeySource {
    /// The keys as they are before the first fetch; those to come have their tables in this memory.
    pub fn keys(&self, memory: &Rc<TableMemory>) -> Keys {
        match self {
            Self::Local(set) => Keys::Local(Rc::clone(set)),
            Self::Remote { remote, fallback } => {
                let RemoteKeys { settings, source, shared_as, .. } = &**remote;
                let store = KeyStore::new(*settings, source.clone(), shared_as.is_some())
                    .with_table_memory(memory);
                Keys::Remote { store: Box::new(store), fallback: fallback.clone() }
            }
        }
    }

    fn compile(jwks: config::Jwks, context: KeyContext<'_>, errors: &Errors) -> Option<Self> {
        let local = |text: &[u8]| match KeySet::parse(text, context.strength) {
            Ok(set) => Some(Rc::new(set.with_table_memory(context.memory))),
            Err(error) => {
                let path = format!("{}.local_jwks", context.provider);
                errors.push(&path, format!("the key set {error}"));
                None
            }
        };
        match jwks {
            config::Jwks::Local(text) => local(&text).map(Self::Local),
            config::Jwks::Remote { remote, fallback } => {
                let fallback = fallback.map(|text| local(&text));
                let remote = Box::new(RemoteKeys::compile(remote, context, errors)?);
                Some(Self::Remote { remote, fallback: fallback.flatten() })
            }
        }
    }
}

impl RemoteKeys {
    /// How long a fetch may take that asks all its questions.
    fn longest_fetch(&self) -> Duration {
        let documents = match &self.source {
            Source::At(_) => 0,
            Source::Discovered(discovery) => discovery.documents.len(),
        };
        let questions = u32::try_from(documents).unwrap_or(u32::MAX).saturating_add(1);
        self.settings.timeout.saturating_mul(questions)
    }

    fn compile(
        remote: config::RemoteJwks,
        context: KeyContext<'_>,
        errors: &Errors,
    ) -> Option<Self> {
        let source = compile_source(remote.source?, context, errors)?;
        let longest = remote.longest_back_off.unwrap_or(MAX_BACK_OFF);
        let settings = FetchSettings {
            fresh_for: remote.cache_duration.unwrap_or(DEFAULT_CACHE_DURATION),
            fresh_at_least: remote.min_cache_duration.unwrap_or(DEFAULT_MIN_CACHE_DURATION),
            stale_for: remote.stale_if_error.unwrap_or(DEFAULT_STALE_IF_ERROR),
            timeout: remote.timeout,
            cooldown: remote.unknown_kid_cooldown.unwrap_or(DEFAULT_UNKNOWN_KID_COOLDOWN),
            first_back_off: remote.first_back_off.unwrap_or(FIRST_BACK_OFF).min(longest),
            longest_back_off: longest,
            strength: context.strength,
        };
        let headers = remote.request_headers;
        let shared_as = (!context.sharing.disabled).then(|| {
            // Whoever shares a set must find the same keys in it usable, and have the same patience.
            let strength = format!("{:?}", context.strength);
            let timeout = settings.timeout.as_millis().to_string();
            let digest = source.digest(&headers, &[&context.sharing.secret, &strength, &timeout]);
            format!("jwt_gate/{FORMAT}/{digest}")
        });
        Some(Self { source, headers, settings, shared_as })
    }
}

fn compile_source(
    source: config::RemoteSource,
    context: KeyContext<'_>,
    errors: &Errors,
) -> Option<Source> {
    let provider = context.provider;
    match source {
        // Said already: they are required.
        config::RemoteSource::Uri { uri, .. } if uri.is_empty() => None,
        config::RemoteSource::Uri { uri, cluster } => {
            let address = Address::parse(&uri, &cluster);
            if address.is_none() {
                let path = format!("{provider}.remote_jwks.http_uri.uri");
                errors.push(&path, "expected an address such as https://issuer.example/jwks.json");
            }
            address.map(Source::At)
        }
        config::RemoteSource::Discovery { cluster, document, clusters } => {
            let documents: Vec<_> = match document {
                Some(config::Document::OpenidConfiguration) => vec![Document::OpenidConfiguration],
                Some(config::Document::OauthAuthorizationServer) => {
                    vec![Document::OauthAuthorizationServer]
                }
                None => {
                    vec![Document::OpenidConfiguration, Document::OauthAuthorizationServer]
                }
            };
            let issuer = context.issuer.unwrap_or_default();
            let discovery = Discovery::new(issuer, &cluster, &documents, clusters);
            if discovery.is_none() {
                let path = format!("{provider}.remote_jwks.discovery");
                errors.push(
                    &path,
                    "the provider's `issuer` must be an address such as https://issuer.example",
                );
            }
            discovery.map(Source::Discovered)
        }
    }
}
