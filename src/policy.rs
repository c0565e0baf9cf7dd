//! The policy: a configuration compiled, once, into something that can be evaluated.
//!
//! It is immutable and free of names to look up. A configuration with any mistake compiles to
//! nothing, so that no half of it ever decides about a request.

mod authorization;
mod certificate;
pub mod check;
mod claim_value;
mod claims_read;
mod dpop;
mod dpop_target;
pub mod evaluate;
pub mod grant;
pub mod identity;
mod issuer;
pub mod key_source;
pub mod known_token;
pub mod logout;
mod path_start;
mod possession;
mod protected_resource;
mod protobuf_value;
pub mod provider;
pub mod record;
mod report;
mod requirement;
mod revocation;
mod rewrite;
pub mod route;
mod state_rules;
pub mod status;
mod step_up;
pub mod trace;
mod trailers;
pub mod verified_tokens;

use std::rc::Rc;

use crate::authorize::Condition;
use crate::config::reader::{ConfigError, Errors};
use crate::config::{self, Config, Mode};
use crate::denial::{Manner, Responses};
use crate::jose::table_memory::{DEFAULT_TABLE_OCTETS, TableMemory};
use crate::policy::authorization::{Policies, template};
use crate::policy::claims_read::note_claims_read;
use crate::policy::identity::{IdentityHeaders, identity_parameters};
use crate::policy::issuer::Split;
pub use crate::policy::key_source::{KeySource, RemoteKeys};
use crate::policy::path_start::{PathStart, StartPattern};
pub use crate::policy::protected_resource::Served;
use crate::policy::protected_resource::{ProtectedResource, metadata_address, serve};
pub use crate::policy::provider::Provider;
use crate::policy::provider::refuse_token_headers;
use crate::policy::record::Record;
use crate::policy::requirement::{Names, Requirement};
use crate::policy::revocation::Lists;
pub use crate::policy::revocation::RemoteList;
use crate::policy::rewrite::{Writes, refuse_unstable_routes};
use crate::policy::route::RouteMatcher;
use crate::policy::state_rules::StateRules;
use crate::policy::step_up::StepUp;
use crate::request::{PropertyPath, RequestHead};
use crate::single_use::Memory;
use crate::sorted;

/// A quarter as much as all issuers' keys have.
const CLIENTS_SHARE: usize = 4;

/// The place of a provider in [`Policy::providers`].
pub type ProviderIndex = usize;

/// A compiled configuration.
#[derive(Debug)]
pub struct Policy {
    /// All providers, in the order of their names.
    pub providers: Vec<Provider>,
    keys_unavailable_status: u16,
    /// What the host must tell of a request beside its headers.
    properties: Vec<PropertyPath>,
    /// A part of the counters' names, with a dot behind it if there is one.
    pub stat_prefix: String,
    strip_failure_response: bool,
    bypass_cors_preflight: bool,
    rules: Vec<Rule>,
    /// How the paths of each rule begin, side by side in memory.
    starts: Vec<StartPattern>,
    state_rules: Option<StateRules>,
    fallback: Requirement,
    identity_headers: IdentityHeaders,
    identity_parameters: Vec<Vec<u8>>,
    /// What all keys have for their tables.
    pub table_memory: Rc<TableMemory>,
    /// What keys of clients have: of their own, so that many clients do not make issuers' keys slow.
    client_table_memory: Rc<TableMemory>,
    /// The age, in seconds, from which on no provider takes a proof.
    longest_proof: u64,
    /// The longest clock skew of all providers, in seconds.
    longest_skew: u64,
    /// Where uses are remembered that must be the only ones.
    pub replay_memory: Rc<Memory>,
    policies: Option<Policies>,
    /// Whether anything is asked of the claims, so that tokens must be at hand after the requirement.
    has_conditions: bool,
    /// What the access log is told.
    pub record: Record,
    /// Where no rule matches.
    mode: Mode,
    responses: Option<Responses>,
    resources: Vec<ProtectedResource>,
    lists: Lists,
    /// A candidate that is asked as well, and decides nothing. Its providers come behind this
    /// policy's own.
    pub shadow: Option<Box<Policy>>,
    /// What the last decision looked at.
    #[cfg(feature = "trace")]
    pub notes: std::cell::RefCell<Vec<trace::Note>>,
}

#[derive(Debug)]
struct Rule {
    matcher: RouteMatcher,
    requirement: Requirement,
    condition: Option<Condition>,
    writes: Writes,
    step_up: Option<StepUp>,
    mode: Mode,
    /// Its paths, for the report.
    described: String,
}

/// What a request is asked for.
struct Asked<'a> {
    requirement: &'a Requirement,
    /// Of its claims, by the rule.
    condition: Option<&'a Condition>,
    /// What the rule writes into the request.
    writes: Option<&'a Writes>,
    /// Of its user.
    step_up: Option<&'a StepUp>,
    mode: Mode,
}

impl Policy {
    /// Compiles the text of a configuration, or returns every mistake in it.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<ConfigError>> {
        let (mut config, mut errors) = Config::parse(text);
        let octets = config.key_tables.max_octets.unwrap_or(DEFAULT_TABLE_OCTETS);
        let table_memory = Rc::new(TableMemory::new(octets));
        let shadow = config.shadow.take();
        let (mut policy, more) = Self::compile(config, &table_memory);
        if let Some(shadow) = shadow {
            let (shadow, own) = Self::compile(*shadow, &table_memory);
            policy.shadow = Some(Box::new(shadow));
            // What the candidate has in common was said where it stands.
            let is_own =
                |error: &ConfigError| !more.iter().any(|live| in_shadow(live.clone()) == *error);
            errors.extend(own.into_iter().map(in_shadow).filter(is_own));
        }
        policy.place_lists();
        errors.extend(more);
        let errors = sorted::list(errors);
        if errors.is_empty() { Ok(policy) } else { Err(errors) }
    }

    fn compile(mut config: Config, table_memory: &Rc<TableMemory>) -> (Self, Vec<ConfigError>) {
        let errors = Errors::default();
        let revoked = revocation::take(&mut config);
        let Split { providers, places } = Split::new(config.providers, &errors);
        let names = Names { providers: places, requirements: config.requirement_map };
        for requirement in names.requirements.values() {
            // For its mistakes, should no rule use it.
            Requirement::compile(requirement, None, &names, &errors);
        }
        let fallback = match &config.default_requirement {
            Some(requirement) => Requirement::compile(requirement, None, &names, &errors),
            // Providers without rules protect everything: the empty list is the commonest mistake.
            None if config.rules.is_empty() => Requirement::any_provider(&names),
            None => Requirement::Nothing,
        };
        let rules = (0_usize..).zip(&config.rules);
        let rules = rules
            .filter_map(|(index, rule)| Rule::compile(rule, index, config.mode, &names, &errors));
        let rules: Vec<Rule> = rules.collect();
        let policies = config.authorization.map(|wire| Policies::compile(&wire, &names, &errors));
        let mut providers: Vec<_> = providers
            .into_iter()
            .filter_map(|(name, provider)| {
                Provider::compile(name, provider, &config.key_sharing, table_memory, &errors)
            })
            .collect();
        let lists =
            revocation::compile(revoked, &names, &config.key_sharing, &mut providers, &errors);
        let state_rules =
            config.filter_state_rules.map(|wire| StateRules::compile(wire, &names, &errors));
        let mut properties = Vec::new();
        for matcher in rules.iter().map(|rule| &rule.matcher) {
            properties.extend(matcher.properties().cloned());
        }
        for policy in policies.iter().flat_map(|policies| &policies.list) {
            properties.extend(policy.matcher.iter().flat_map(RouteMatcher::properties).cloned());
        }
        let mut requirements: Vec<_> = rules.iter().map(|rule| &rule.requirement).collect();
        requirements.push(&fallback);
        if let Some(state_rules) = &state_rules {
            properties.push(state_rules.path.clone());
            requirements.extend(state_rules.requirements.values());
        }
        properties.extend(Self::connection_properties(&providers));
        let properties = sorted::list(properties);
        let record = Record::new(config.decision_record);
        providers.iter_mut().for_each(|provider| provider.record = record.clone());
        let has_conditions = note_claims_read(&mut providers, &rules, &requirements, &policies);
        let status_headers: Vec<_> =
            requirements.into_iter().flat_map(Requirement::status_headers).collect();
        refuse_unstable_routes(&rules, &policies, &providers, &status_headers, &errors);
        refuse_token_headers(&status_headers, &providers, &errors);
        let written = rules.iter().flat_map(|rule| rule.writes.header_names());
        let resources =
            ProtectedResource::compile_all(config.protected_resources, &providers, &errors);
        let responses = Responses::compile(config.error_responses, &errors);
        if config.strip_failure_response && responses.is_some() {
            errors.push("error_responses", "`strip_failure_response` leaves nothing of them");
        }
        let policy = Self {
            properties,
            stat_prefix: match config.stat_prefix {
                prefix if prefix.is_empty() => prefix,
                prefix => prefix + ".",
            },
            strip_failure_response: config.strip_failure_response,
            bypass_cors_preflight: config.bypass_cors_preflight,
            identity_headers: IdentityHeaders::of(&providers, status_headers.iter().chain(written)),
            identity_parameters: identity_parameters(&providers),
            keys_unavailable_status: match config.keys_unavailable_status {
                Some(401) => 401,
                _ => 503,
            },
            longest_proof: possession::longest(providers.iter().filter_map(|own| {
                Some(own.possession.dpop()?.max_age().saturating_add(own.clock_skew))
            })),
            longest_skew: possession::longest(providers.iter().map(|own| own.clock_skew)),
            providers,
            client_table_memory: Rc::new(table_memory.share(CLIENTS_SHARE)),
            table_memory: Rc::clone(table_memory),
            replay_memory: possession::memory(config.replay_memory, &config.key_sharing.secret),
            starts: rules.iter().map(|rule| rule.matcher.start()).collect(),
            rules,
            state_rules,
            fallback,
            policies,
            has_conditions,
            record,
            mode: config.mode,
            responses,
            resources,
            lists,
            shadow: None,
            #[cfg(feature = "trace")]
            notes: std::cell::RefCell::default(),
        };
        (policy, errors.into_sorted())
    }

    /// Its own providers, and behind them the candidate's.
    pub fn all_providers(&self) -> impl Iterator<Item = &Provider> {
        let shadow = self.shadow.iter().flat_map(|shadow| &shadow.providers);
        self.providers.iter().chain(shadow)
    }

    /// What the host must tell of a request, for this policy and the candidate.
    pub fn all_properties(&self) -> Vec<PropertyPath> {
        let shadow = self.shadow.iter().flat_map(|shadow| &shadow.properties);
        sorted::list(self.properties.iter().chain(shadow).cloned())
    }

    /// How a refusal by `provider` is told; natively, the only provider speaks for all.
    pub fn manner(&self, provider: Option<ProviderIndex>, head: &RequestHead) -> Manner<'_> {
        let provider = match (provider, self.providers.as_slice()) {
            (Some(index), providers) => providers.get(index),
            (None, providers) => providers
                .first()
                .filter(|only| providers.iter().all(|one| one.configured == only.configured)),
        };
        Manner {
            keys_unavailable_status: self.keys_unavailable_status,
            strip: self.strip_failure_response,
            state_key: provider.and_then(|provider| provider.failed_status_state.as_deref()),
            responses: self.responses.as_ref(),
            resource_metadata: metadata_address(&self.resources, head),
            dpop: self.dpop_scheme(provider),
        }
    }

    /// What the gate answers itself, whoever asks.
    pub fn serve(&self, head: &RequestHead) -> Option<Served> {
        // The usual case should cost nothing.
        if self.resources.is_empty() { None } else { serve(&self.resources, head) }
    }

    /// Whether anything but registered claims is looked at in tokens of some provider.
    pub fn reads_claims(&self) -> bool {
        self.providers.iter().any(Provider::reads_claims)
    }

    /// What the first rule that matches asks for; nothing of a preflight that is let through.
    fn asked(&self, head: &RequestHead) -> Option<Asked<'_>> {
        if self.bypass_cors_preflight && head.is_cors_preflight() {
            return None;
        }
        let start = PathStart::of(head.path());
        let starting = self.starts.iter().zip(&self.rules).filter(|(own, _)| own.may_fit(start));
        let rule = starting.map(|(_, rule)| rule).find(|rule| rule.matcher.matches(head));
        let requirement = rule.map(|rule| &rule.requirement);
        Some(Asked {
            requirement: requirement
                .or_else(|| self.state_rules.as_ref()?.requirement(head))
                .unwrap_or(&self.fallback),
            condition: rule.and_then(|rule| rule.condition.as_ref()),
            writes: rule.map(|rule| &rule.writes),
            step_up: rule.and_then(|rule| rule.step_up.as_ref()),
            mode: rule.map_or(self.mode, |rule| rule.mode),
        })
    }
}

impl Rule {
    fn compile(
        wire: &config::Rule,
        index: usize,
        mode: Mode,
        names: &Names,
        errors: &Errors,
    ) -> Option<Self> {
        let template = wire.matches.as_ref().and_then(|matches| template(&matches.path));
        let requirement = match &wire.requires {
            Some(requirement) => Requirement::compile(requirement, template, names, errors),
            None => Requirement::Nothing,
        };
        for (field, is_set) in
            [("authorization", wire.authorization.is_some()), ("step_up", wire.step_up.is_some())]
        {
            if is_set && matches!(requirement, Requirement::Nothing) {
                let error = "without `requires`, no token is looked at, and there are no claims";
                errors.push(&format!("rules[{index}].{field}"), error);
            }
        }
        let condition = wire.authorization.as_ref();
        let matches = wire.matches.as_ref()?;
        Some(Self {
            writes: Writes::compile(wire, !matches!(requirement, Requirement::Nothing), errors),
            requirement,
            condition: condition.map(|wire| Condition::compile(wire, template, errors)),
            matcher: RouteMatcher::new(matches),
            step_up: wire.step_up.as_ref().map(StepUp::compile),
            mode: wire.mode.unwrap_or(mode),
            described: matches.to_string(),
        })
    }
}

/// A mistake of the candidate's.
fn in_shadow(error: ConfigError) -> ConfigError {
    const SHADOW: &str = "shadow";
    match error.path.starts_with(SHADOW) {
        true => error,
        false if error.path.is_empty() => ConfigError { path: SHADOW.to_owned(), ..error },
        false => ConfigError { path: format!("{SHADOW}.{}", error.path), ..error },
    }
}
