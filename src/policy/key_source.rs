//! Where a provider's keys come from, compiled.

use std::rc::Rc;
use std::time::Duration;

use crate::config;
use crate::config::reader::Errors;
use crate::jose::jwk::{KeyIssuers, KeyStrength};
use crate::jose::table_memory::TableMemory;
use crate::jwks::Keys;
use crate::jwks::board::FORMAT;
use crate::jwks::key_set::KeySet;
use crate::jwks::key_store::KeyStore;
use crate::jwks::schedule::{FIRST_BACK_OFF, FetchSettings, MAX_BACK_OFF};
use crate::jwks::source::{Address, Discovery, Document, Source};

/// Native's default `cache_duration`.
const DEFAULT_CACHE_DURATION: Duration = Duration::from_secs(600);
/// Default `stale_if_error`: long enough for an outage to be noticed and mended, short enough
/// that a withdrawn key does not live on for a day because the issuer is unreachable.
const DEFAULT_STALE_IF_ERROR: Duration = Duration::from_secs(3600);
/// Default `unknown_kid_cooldown`: a client that was handed a token of a new key waits no longer.
const DEFAULT_UNKNOWN_KID_COOLDOWN: Duration = Duration::from_secs(2);
/// Default `min_cache_duration`: an issuer that says `no-cache` is asked twice a minute.
const DEFAULT_MIN_CACHE_DURATION: Duration = Duration::from_secs(30);

/// What key sets are.
const KEYS: &str = "application/jwk-set+json, application/json";

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
    /// What kinds of answers are wanted.
    pub accept: &'static str,
    /// Headers to send along.
    pub headers: Vec<(String, String)>,
    /// Times.
    pub settings: FetchSettings,
    /// The name under which workers share what they fetched; none: they do not.
    pub shared_as: Option<String>,
}

/// What the keys of a provider depend on beside their own configuration.
#[derive(Clone, Copy)]
pub(super) struct KeyContext<'a> {
    /// The provider's JSON path.
    pub(super) provider: &'a str,
    pub(super) issuer: Option<&'a str>,
    pub(super) strength: KeyStrength,
    pub(super) issuers: KeyIssuers,
    pub(super) sharing: &'a config::KeySharing,
    /// For tables of keys in the configuration.
    pub(super) memory: &'a Rc<TableMemory>,
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

    pub(super) fn compile(
        jwks: config::Jwks,
        context: KeyContext<'_>,
        errors: &Errors,
    ) -> Option<Self> {
        let parse = |text: &[u8]| KeySet::parse_for(text, context.strength, context.issuers);
        let local = |text: &[u8]| match parse(text) {
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
    pub(super) fn longest_fetch(&self) -> Duration {
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
            issuers: context.issuers,
        };
        let headers = remote.request_headers;
        let shared_as = (!context.sharing.disabled).then(|| {
            // Whoever shares a set must find the same keys in it usable, and have the same patience.
            let strength = format!("{:?}", context.strength);
            let timeout = settings.timeout.as_millis().to_string();
            let mut more = vec![context.sharing.secret.as_str(), &strength, &timeout];
            if context.issuers == KeyIssuers::Bind {
                more.push("bound to issuers");
            }
            let digest = source.digest(&headers, &more);
            format!("jwt_gate/{FORMAT}/{digest}")
        });
        Some(Self { source, accept: KEYS, headers, settings, shared_as })
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
            let path = format!("{provider}.remote_jwks.discovery");
            let Some(cluster) = cluster else {
                errors.push(&path, "`cluster` is required");
                return None;
            };
            let discovery = Discovery::new(issuer, &cluster, &documents, clusters);
            if discovery.is_none() {
                errors.push(
                    &path,
                    "the provider's `issuer` must be an address such as https://issuer.example",
                );
            }
            discovery.map(Source::Discovered)
        }
    }
}
