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
use crate::policy::identity::Outputs;
use crate::policy::issuer::{Issuers, Name};
use crate::policy::key_source::{KeyContext, KeySource};
use crate::policy::possession::{JTI, Possession, longest_life};
use crate::policy::record::Record;
use crate::policy::status::StatusLists;
use crate::policy::verified_tokens::{
    CacheSettings, DEFAULT_TOKEN_OCTETS, DEFAULT_TOKENS, NATIVE_TOKENS,
};
use crate::sorted;
use crate::text::TextMatcher;

/// What native calls the default clock skew.
const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(60);
/// The least time a request waits for keys. It waits longer where the cooldown and one fetch may
/// take longer together, since only then is its key looked for before it is given up.
pub(super) const MIN_KEY_WAIT: Duration = Duration::from_secs(5);
/// The longest time a request waits for keys: clients have time-outs of their own.
pub(super) const MAX_KEY_WAIT: Duration = Duration::from_secs(30);

/// One issuer.
#[derive(Debug)]
pub struct Provider {
    /// Its name, for logs and metrics.
    pub name: String,
    /// Its name in the configuration, which it may share with other issuers.
    pub configured: String,
    /// Where its keys come from.
    pub keys: KeySource,
    /// How long a request waits for them.
    pub key_wait: Duration,
    /// The key of the filter state that receives the reason of a refusal.
    pub failed_status_state: Option<String>,
    /// Whose tokens it takes.
    pub(super) issuers: Issuers,
    pub(super) audiences: Vec<String>,
    pub(super) subjects: Option<TextMatcher>,
    pub(super) lifetime: Lifetime,
    pub(super) max_age: Option<Duration>,
    pub(super) checks: TokenChecks,
    pub(super) possession: Possession,
    /// The claims that conditions look at; empty: none do, and nothing is kept for them.
    pub(super) claims_read: Vec<String>,
    /// Where the states of its tokens stand.
    pub(super) status_lists: Option<StatusLists>,
    pub(super) locations: Vec<TokenLocation>,
    pub(super) forward: bool,
    pub(super) outputs: Outputs,
    pub(super) clock_skew: Duration,
    /// What the access log is told of its tokens.
    pub(super) record: Record,
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

impl Provider {
    pub(super) fn compile(
        name: Name,
        provider: config::Provider,
        sharing: &config::KeySharing,
        memory: &Rc<TableMemory>,
        errors: &Errors,
    ) -> Option<Self> {
        let path = member_path("providers", &name.configured);
        let strength = match provider.allow_weak_keys {
            true => KeyStrength::WeakAllowed,
            false => KeyStrength::Required,
        };
        let status_lists =
            provider.status_list.clone().map(|wire| StatusLists::compile(wire, sharing));
        let outputs = Outputs::new(&provider);
        let checks = TokenChecks::compile(&provider, &path, errors);
        let possession = Possession::compile(&name.configured, &provider, &path, errors);
        let longest_life = longest_life(&provider);
        let issuers = Issuers::compile(&provider, &path, errors);
        let context = KeyContext {
            provider: &path,
            issuer: Some(provider.issuer.as_str()).filter(|issuer| !issuer.is_empty()),
            strength,
            issuers: issuers.of_keys(),
            sharing,
            memory,
        };
        let keys = KeySource::compile(provider.jwks?, context, errors)?;
        let key_wait = match &keys {
            KeySource::Local(_) => Duration::ZERO,
            KeySource::Remote { remote, .. } => {
                let look_up = remote.settings.cooldown.saturating_add(remote.longest_fetch());
                look_up.clamp(MIN_KEY_WAIT, MAX_KEY_WAIT)
            }
        };
        let list_wait = status_lists.as_ref().map(StatusLists::wait).unwrap_or_default();
        Some(Self {
            name: name.shown,
            configured: name.configured,
            keys,
            key_wait: key_wait.max(list_wait),
            issuers,
            failed_status_state: Some(provider.failed_status_in_metadata.clone())
                .filter(|key| !key.is_empty()),
            audiences: comparable(&provider.audiences),
            subjects: provider.subjects.as_ref().map(TextMatcher::new),
            lifetime: match (longest_life, provider.require_expiration) {
                (Some(most), _) => Lifetime::Below(most),
                (None, true) => Lifetime::Bounded,
                (None, false) => Lifetime::Any,
            },
            max_age: provider.max_age,
            checks,
            claims_read: status_lists.iter().map(|_| "status".to_owned()).collect(),
            status_lists,
            outputs,
            locations: sorted::list(
                locations(provider.from_headers, provider.from_params, provider.from_cookies)
                    .into_iter()
                    .chain(possession.location()),
            ),
            possession,
            record: Record::default(),
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
        let algorithms = algorithms.collect();
        let mut required_claims = provider.required_claims.clone();
        required_claims.extend(provider.single_use.map(|_| JTI.to_owned()));
        Self {
            algorithms,
            types: provider.token_types.clone(),
            required_claims,
            parties: provider.authorized_parties.clone(),
        }
    }
}

impl Provider {
    /// Whether anything but the registered claims is looked at: by conditions, or by the checks of
    /// `issuer_claims`, `required_claims` and `authorized_parties`. What claims become is [`Outputs`]' matter.
    pub fn reads_claims(&self) -> bool {
        !self.claims_read.is_empty()
            || !self.checks.required_claims.is_empty()
            || !self.checks.parties.is_empty()
            || self.issuers.reads_claims()
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

/// The header that tells of a failed token must not be one that holds tokens.
pub(super) fn refuse_token_headers(
    status_headers: &[String],
    providers: &[Provider],
    errors: &Errors,
) {
    for provider in providers {
        for name in status_headers.iter().filter(|name| provider.takes_tokens_from_header(name)) {
            errors.push(
                &member_path("providers", &provider.configured),
                format!("takes tokens from `{name}`, a requirement's `verification_status_header`"),
            );
        }
    }
}
