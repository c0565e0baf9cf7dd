//! Whether a request may do what it asks for, given the claims of its verified tokens.
//!
//! Two things ask: the rule that matched (and, within its requirement, providers) with a condition,
//! and ordered policies for all requests. Every token of a request must meet what allows, because the
//! backend may look at any of them; one suffices for what denies. What cannot be judged never
//! allows, and denies.

use std::ops::Range;
use std::rc::Rc;

use crate::authorize::{Condition, Facts, Truth};
use crate::config::authorization::{self as wire, Action};
use crate::config::path::PathSpecifier;
use crate::config::path_template::PathTemplate;
use crate::config::reader::Errors;
use crate::denial::{Denial, Reason};
use crate::policy::evaluate::Evaluation;
use crate::policy::known_token::KnownToken;
use crate::policy::requirement::{Names, Requirement};
use crate::policy::route::RouteMatcher;
use crate::policy::trace::{Came, Note};
use crate::policy::{Asked, ProviderIndex};
use crate::request::RequestHead;

/// A verified token of a request.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    pub(super) provider: ProviderIndex,
    pub(super) known: Rc<KnownToken>,
}

/// `authorization`, compiled.
#[derive(Debug)]
pub(super) struct Policies {
    pub(super) list: Vec<OrderedPolicy>,
    pub(super) default: Action,
}

#[derive(Debug)]
pub(super) struct OrderedPolicy {
    action: Action,
    pub(super) matcher: Option<RouteMatcher>,
    methods: Vec<String>,
    pub(super) providers: Option<Range<ProviderIndex>>,
    pub(super) when: Option<Condition>,
}

impl Policies {
    pub(super) fn compile(wire: &wire::Authorization, names: &Names, errors: &Errors) -> Self {
        let list = wire.policies.iter().map(|policy| OrderedPolicy::compile(policy, names, errors));
        Self { list: list.collect(), default: wire.default }
    }
}

impl OrderedPolicy {
    fn compile(wire: &wire::AuthorizationPolicy, names: &Names, errors: &Errors) -> Self {
        let template = wire.matches.as_ref().and_then(|matches| template(&matches.path));
        let providers = match wire.provider_name.as_str() {
            "" => None,
            name => Some(names.provider(name).unwrap_or_else(|known| {
                let path = format!("{}.provider_name", wire.path);
                errors.push(&path, format!("no provider is called `{name}`; there is: {known}"));
                ProviderIndex::MAX..ProviderIndex::MAX
            })),
        };
        Self {
            action: wire.action,
            matcher: wire.matches.as_ref().map(RouteMatcher::new),
            methods: wire.methods.clone(),
            providers,
            when: wire.when.as_ref().map(|when| Condition::compile(when, template, errors)),
        }
    }

    /// Whether it is about this request at all, whatever its claims say.
    fn concerns(&self, head: &RequestHead) -> Truth {
        let method = || head.value(":method").unwrap_or_default();
        if !self.methods.is_empty() && !self.methods.iter().any(|own| own.as_bytes() == method()) {
            return Truth::No;
        }
        self.matcher.as_ref().map_or(Truth::Yes, |matcher| matcher.judge(head))
    }

    /// Whether it applies: to those tokens that count, and to a request without any unless it names a
    /// provider.
    fn applies(&self, tokens: &[&Facts], head: &RequestHead) -> Truth {
        if self.providers.is_some() && tokens.is_empty() {
            return Truth::No;
        }
        let Some(when) = &self.when else { return Truth::Yes };
        match self.action {
            Action::Allow => every(when, tokens, head),
            Action::Deny if tokens.is_empty() => when.judge(None, head),
            Action::Deny => Truth::any(tokens.iter().map(|token| when.judge(Some(token), head))),
        }
    }

    fn tokens<'b>(&self, bearers: &'b [Bearer]) -> Vec<&'b Facts> {
        let counts = |bearer: &&Bearer| {
            self.providers.as_ref().is_none_or(|own| own.contains(&bearer.provider))
        };
        bearers.iter().filter(counts).map(|bearer| &bearer.known.facts).collect()
    }
}

/// Whether every token meets `condition`; without tokens, whether no claims do.
fn every(condition: &Condition, tokens: &[&Facts], head: &RequestHead) -> Truth {
    match tokens {
        [] => condition.judge(None, head),
        tokens => Truth::all(tokens.iter().map(|token| condition.judge(Some(token), head))),
    }
}

/// The template by which a rule compares paths, whose variables its conditions may name.
pub(super) fn template(path: &PathSpecifier) -> Option<&PathTemplate> {
    match path {
        PathSpecifier::Template(template) => Some(template),
        _ => None,
    }
}

impl Evaluation<'_> {
    /// What the rule asks for, and then the policies.
    pub(super) fn authorize(self, asked: &Asked<'_>, bearers: &[Bearer]) -> Result<(), Denial> {
        // Whose token it is decides what the challenge asks for.
        let provider = bearers.first().map(|bearer| bearer.provider);
        let of = |denial: Denial| Denial { provider: denial.provider.or(provider), ..denial };
        self.authorize_bearers(asked, bearers).map_err(of)
    }

    fn authorize_bearers(self, asked: &Asked<'_>, bearers: &[Bearer]) -> Result<(), Denial> {
        if let Some(condition) = asked.condition {
            let tokens: Vec<_> = bearers.iter().map(|bearer| &bearer.known.facts).collect();
            self.demand(condition, &tokens)?;
        }
        // Whoever may not do it at all need not authenticate anew for it.
        if let Some(step_up) = asked.step_up {
            let stepped = self.step_up(step_up, bearers);
            self.note(|| Note::StepUp(Came::of_conditions(&stepped)));
            stepped?;
        }
        match &self.policy.policies {
            Some(policies) => self.obey(policies, asked.requirement, bearers),
            None => Ok(()),
        }
    }

    /// That every token meets `condition`.
    pub(super) fn demand(self, condition: &Condition, tokens: &[&Facts]) -> Result<(), Denial> {
        let demanded = match every(condition, tokens, self.head) {
            Truth::Yes => Ok(()),
            // A token may help: RFC 6750 section 3.1 asks for one without an error code.
            _ if tokens.is_empty() => Err(Reason::TokenMissing.into()),
            _ => Err(self.lacking(condition, tokens).unwrap_or(Reason::ClaimsNotAllowed.into())),
        };
        self.note(|| Note::Conditions(Came::of_conditions(&demanded)));
        demanded
    }

    /// The first policy that applies decides.
    fn obey(
        self,
        policies: &Policies,
        requirement: &Requirement,
        bearers: &[Bearer],
    ) -> Result<(), Denial> {
        let mut told: Option<Denial> = None;
        for (index, policy) in policies.list.iter().enumerate() {
            let concerns = policy.concerns(self.head);
            if concerns == Truth::No {
                continue;
            }
            let tokens = policy.tokens(bearers);
            let applies = policy.applies(&tokens, self.head).min(concerns);
            self.note(|| {
                let decides = match policy.action {
                    Action::Allow => applies == Truth::Yes,
                    Action::Deny => applies != Truth::No,
                };
                Note::Policy(index, decides)
            });
            match (policy.action, applies) {
                (Action::Deny, Truth::Yes | Truth::Unclear) => {
                    return Err(Reason::DeniedByPolicy.into());
                }
                (Action::Allow, Truth::Yes) => return Ok(()),
                (Action::Allow, Truth::Unclear | Truth::No) => {
                    let when = policy.when.as_ref().filter(|_| concerns == Truth::Yes);
                    told = told.or_else(|| self.lacking(when?, &tokens));
                }
                (Action::Deny, Truth::No) => {}
            }
        }
        self.note(|| Note::PolicyDefault);
        match policies.default {
            Action::Allow => Ok(()),
            // No token can help where none is looked at.
            Action::Deny if bearers.is_empty() && !matches!(requirement, Requirement::Nothing) => {
                Err(Reason::TokenMissing.into())
            }
            Action::Deny => Err(told.unwrap_or(Reason::AllowedByNoPolicy.into())),
        }
    }

    /// The refusal for want of scopes, if scopes are all that a token lacks.
    fn lacking(self, condition: &Condition, tokens: &[&Facts]) -> Option<Denial> {
        let mut lacking = tokens.iter().map(|token| condition.lacking_scopes(token, self.head));
        let scopes = lacking.find(|scopes| scopes.as_ref().is_none_or(|all| !all.is_empty()))??;
        Some(Denial { asked: Some(scopes.join(" ").into()), ..Reason::InsufficientScope.into() })
    }
}
