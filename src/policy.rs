//! The policy: a configuration compiled, once, into something that can be evaluated.
//!
//! It is immutable and free of names to look up. A configuration with any mistake compiles to
//! nothing, so that no half of it ever decides about a request.

mod authorization;
pub mod check;
mod claim_value;
pub mod evaluate;
pub mod identity;
mod protobuf_value;
pub mod provider;
mod requirement;
mod rewrite;
pub mod route;
pub mod verified_tokens;

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::authorize::Condition;
use crate::config::reader::{ConfigError, Errors, member_path};
use crate::config::{self, Config};
use crate::denial::Manner;
use crate::jose::table_memory::{DEFAULT_TABLE_OCTETS, TableMemory};
use crate::policy::authorization::{Policies, template};
use crate::policy::identity::{IdentityHeaders, identity_parameters};
pub use crate::policy::provider::{KeySource, Provider, RemoteKeys};
use crate::policy::requirement::{Names, Requirement};
use crate::policy::rewrite::Writes;
use crate::policy::route::RouteMatcher;
use crate::request::{PropertyPath, RequestHead};
use crate::sorted;

/// The place of a provider in [`Policy::providers`].
pub type ProviderIndex = usize;

/// A compiled configuration.
#[derive(Debug)]
pub struct Policy {
    /// All providers, in the order of their names.
    pub providers: Vec<Provider>,
    keys_unavailable_status: u16,
    /// What the host must tell of a request beside its headers.
    pub properties: Vec<PropertyPath>,
    /// A part of the counters' names, with a dot behind it if there is one.
    pub stat_prefix: String,
    strip_failure_response: bool,
    bypass_cors_preflight: bool,
    rules: Vec<Rule>,
    state_rules: Option<StateRules>,
    fallback: Requirement,
    identity_headers: IdentityHeaders,
    identity_parameters: Vec<Vec<u8>>,
    /// What all keys have for their tables.
    pub table_memory: Rc<TableMemory>,
    policies: Option<Policies>,
    /// Whether anything is asked of the claims, so that tokens must be at hand after the requirement.
    has_conditions: bool,
}

#[derive(Debug)]
struct Rule {
    matcher: RouteMatcher,
    requirement: Requirement,
    condition: Option<Condition>,
    writes: Writes,
}

/// What a request is asked for.
struct Asked<'a> {
    requirement: &'a Requirement,
    /// Of its claims, by the rule.
    condition: Option<&'a Condition>,
    /// What the rule writes into the request.
    writes: Option<&'a Writes>,
}

/// `filter_state_rules`: what is required by a text that an earlier filter left.
#[derive(Debug)]
struct StateRules {
    path: PropertyPath,
    requirements: BTreeMap<Vec<u8>, Requirement>,
}

impl StateRules {
    fn compile(wire: config::FilterStateRules, names: &Names, errors: &Errors) -> Self {
        let requirements = wire.requires.iter().map(|(value, requirement)| {
            (value.clone().into_bytes(), Requirement::compile(requirement, None, names, errors))
        });
        Self {
            requirements: sorted::map(requirements),
            path: vec!["filter_state".to_owned(), wire.name],
        }
    }

    fn requirement(&self, head: &RequestHead) -> Option<&Requirement> {
        self.requirements.get(head.property(&self.path)?)
    }
}

impl Policy {
    /// Compiles the text of a configuration, or returns every mistake in it.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<ConfigError>> {
        let (config, mut errors) = Config::parse(text);
        let (policy, more) = Self::compile(config);
        errors.extend(more);
        let errors = sorted::list(errors);
        if errors.is_empty() { Ok(policy) } else { Err(errors) }
    }

    fn compile(config: Config) -> (Self, Vec<ConfigError>) {
        let errors = Errors::default();
        let providers: BTreeMap<String, ProviderIndex> =
            sorted::map(config.providers.keys().cloned().zip(0..));
        let count = providers.len();
        let names = Names { providers, requirements: config.requirement_map };
        for requirement in names.requirements.values() {
            // For its mistakes, should no rule use it.
            Requirement::compile(requirement, None, &names, &errors);
        }
        let fallback = match &config.default_requirement {
            Some(requirement) => Requirement::compile(requirement, None, &names, &errors),
            // Providers without rules protect everything: the empty list is the commonest mistake.
            None if config.rules.is_empty() => Requirement::any_provider(count),
            None => Requirement::Nothing,
        };
        let rules = (0_usize..).zip(&config.rules);
        let rules: Vec<Rule> =
            rules.filter_map(|(index, rule)| Rule::compile(rule, index, &names, &errors)).collect();
        let policies = config.authorization.map(|wire| Policies::compile(&wire, &names, &errors));
        let table_octets = config.key_tables.max_octets.unwrap_or(DEFAULT_TABLE_OCTETS);
        let table_memory = Rc::new(TableMemory::new(table_octets));
        let mut providers: Vec<_> = config
            .providers
            .into_iter()
            .filter_map(|(name, provider)| {
                Provider::compile(name, provider, &config.key_sharing, &table_memory, &errors)
            })
            .collect();
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
        let properties = sorted::list(properties);
        let has_conditions = note_claims_read(&mut providers, &rules, &requirements, &policies);
        let status_headers: Vec<_> =
            requirements.into_iter().flat_map(Requirement::status_headers).collect();
        refuse_unstable_routes(&rules, &policies, &providers, &status_headers, &errors);
        refuse_token_headers(&status_headers, &providers, &errors);
        let written = rules.iter().flat_map(|rule| rule.writes.header_names());
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
            providers,
            table_memory,
            rules,
            state_rules,
            fallback,
            policies,
            has_conditions,
        };
        (policy, errors.into_sorted())
    }

    /// What is open, in one line for the log: an operator should not find out from an attacker.
    pub fn report(&self) -> String {
        let open = Requirement::is_always_met;
        let rules: Vec<String> = (0_usize..)
            .zip(&self.rules)
            .filter(|(_, rule)| open(&rule.requirement) && rule.condition.is_none())
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
        let texts = self.state_rules.iter().flat_map(|rules| &rules.requirements);
        let texts = texts.filter(|(_, requirement)| open(requirement)).count();
        let rest = match texts {
            0 => rest.to_owned(),
            texts => format!("{rest}, and open for {texts} texts of `filter_state_rules`"),
        };
        let preflights = if self.bypass_cors_preflight { "open" } else { "as other requests" };
        let (providers, count) = (self.providers.len(), self.rules.len());
        let policies = self.policies.iter().map(|policies| format!("; {}", policies.report()));
        let policies: String = policies.collect();
        format!(
            "{providers} providers, {count} rules; rules that let everything pass: {rules}; \
             what no rule matches: {rest}; CORS preflights: {preflights}{policies}"
        )
    }

    /// How a refusal by `provider` is told; natively, the only provider speaks for all.
    pub fn manner(&self, provider: Option<ProviderIndex>) -> Manner {
        let provider = match (provider, self.providers.as_slice()) {
            (Some(index), providers) => providers.get(index),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        Manner {
            keys_unavailable_status: self.keys_unavailable_status,
            strip: self.strip_failure_response,
            state_key: provider.and_then(|provider| provider.failed_status_state.clone()),
        }
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
        let rule = self.rules.iter().find(|rule| rule.matcher.matches(head));
        let requirement = rule.map(|rule| &rule.requirement);
        Some(Asked {
            requirement: requirement
                .or_else(|| self.state_rules.as_ref()?.requirement(head))
                .unwrap_or(&self.fallback),
            condition: rule.and_then(|rule| rule.condition.as_ref()),
            writes: rule.map(|rule| &rule.writes),
        })
    }
}

impl Rule {
    fn compile(wire: &config::Rule, index: usize, names: &Names, errors: &Errors) -> Option<Self> {
        let template = wire.matches.as_ref().and_then(|matches| template(&matches.path));
        let requirement = match &wire.requires {
            Some(requirement) => Requirement::compile(requirement, template, names, errors),
            None => Requirement::Nothing,
        };
        if wire.authorization.is_some() && matches!(requirement, Requirement::Nothing) {
            let path = format!("rules[{index}].authorization");
            errors
                .push(&path, "without `requires`, no token is looked at, and there are no claims");
        }
        let condition = wire.authorization.as_ref();
        Some(Self {
            writes: Writes::compile(wire, !matches!(requirement, Requirement::Nothing), errors),
            requirement,
            condition: condition.map(|wire| Condition::compile(wire, template, errors)),
            matcher: RouteMatcher::new(wire.matches.as_ref()?),
        })
    }
}

/// Tells each provider which claims of its tokens are looked at; returns whether anything is asked of
/// claims at all.
fn note_claims_read(
    providers: &mut [Provider],
    rules: &[Rule],
    requirements: &[&Requirement],
    policies: &Option<Policies>,
) -> bool {
    let everyone = ProviderIndex::MAX;
    let mut conditions: Vec<(ProviderIndex, &Condition)> = Vec::new();
    for requirement in requirements {
        conditions.extend(requirement.conditions());
    }
    for rule in rules {
        conditions.extend(rule.condition.iter().map(|own| (everyone, own)));
    }
    for policy in policies.iter().flat_map(|policies| &policies.list) {
        let whose = policy.provider.unwrap_or(everyone);
        conditions.extend(policy.when.iter().map(|when| (whose, when)));
    }
    for (index, provider) in providers.iter_mut().enumerate() {
        for (whose, condition) in &conditions {
            if *whose == index || *whose == everyone {
                condition.claims_read(&mut provider.claims_read);
            }
        }
        for rule in rules {
            rule.writes.claims_read(&mut provider.claims_read);
        }
    }
    let writes = rules.iter().any(|rule| rule.writes.read_claims());
    writes || !conditions.is_empty() || policies.is_some()
}

/// Any change to a request makes Envoy choose its route again, after the gate has decided on the
/// route before. Where rules ask for the route, the gate must change nothing.
fn refuse_unstable_routes(
    rules: &[Rule],
    policies: &Option<Policies>,
    providers: &[Provider],
    status_headers: &[String],
    errors: &Errors,
) {
    let stable = status_headers.is_empty()
        && providers.iter().all(Provider::changes_nothing)
        && rules.iter().all(|rule| rule.writes.nothing());
    let rules = rules.iter().map(|rule| ("rules", Some(&rule.matcher)));
    let policies = policies.iter().flat_map(|policies| &policies.list);
    let policies = policies.map(|policy| ("authorization.policies", policy.matcher.as_ref()));
    let rules = (0_usize..).zip(rules).chain((0_usize..).zip(policies));
    for (index, (list, matcher)) in rules {
        let asks = matcher.is_some_and(|matcher| matcher.properties().next().is_some());
        if !stable && asks {
            errors.push(
                &format!("{list}[{index}].match"),
                "with a condition on the route, every provider must have `forward: true`, and nothing \
                 may be written into requests: any change makes Envoy choose the route again, after \
                 the decision",
            );
        }
    }
}

/// The header that tells of a failed token must not be one that holds tokens.
fn refuse_token_headers(status_headers: &[String], providers: &[Provider], errors: &Errors) {
    for provider in providers {
        for name in status_headers.iter().filter(|name| provider.takes_tokens_from_header(name)) {
            errors.push(
                &member_path("providers", &provider.name),
                format!("takes tokens from `{name}`, a requirement's `verification_status_header`"),
            );
        }
    }
}
