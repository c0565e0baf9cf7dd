//! Ordered policies as written. All of it is ours.

use crate::config::condition::Condition;
use crate::config::fields::Fields;
use crate::config::matching::RouteMatch;

/// `authorization` of the configuration: policies in order, and what holds where none decides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authorization {
    /// The first that applies decides.
    pub policies: Vec<AuthorizationPolicy>,
    /// `default`. Required: either answer would be somebody's surprise.
    pub default: Action,
}

/// What a policy says to a request to which it applies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// `allow`.
    Allow,
    /// `deny`.
    Deny,
}

/// One of the policies. It applies where everything that is set holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthorizationPolicy {
    /// The JSON path.
    pub path: String,
    /// Required.
    pub action: Action,
    /// Which requests; not set: all.
    pub matches: Option<RouteMatch>,
    /// Which methods; empty: all.
    pub methods: Vec<String>,
    /// Whose tokens count; empty: those of all providers.
    pub provider_name: String,
    /// What their claims must be; not set: anything.
    pub when: Option<Condition>,
}

#[cfg(feature = "reference")]
use crate::config::{condition, matching};

reference! {
    /// Policies on requests that brought what their rule requires, in order.
    AUTHORIZATION = "Authorization" ("authorization.md#policies") {
        /// The first that applies decides.
        "policies": List(&Fields(&POLICY), 0), ours, default("none");
        /// What holds where none applies.
        "default": Choice(ACTIONS), ours, required;
    }

    /// A policy. It applies where everything that is set holds.
    POLICY = "AuthorizationPolicy" ("authorization.md#policies") {
        /// What becomes of the request where it applies.
        "action": Choice(ACTIONS), ours, required;
        /// Which requests.
        "match": Fields(&matching::ROUTE_MATCH), not_null, ours, default("all");
        /// Which methods, in capital letters.
        "methods": List(&Text(Letters::like("^[A-Z_-]+$")), 0), ours, default("all"),
            example("[\"GET\"]"), rfc("RFC 9110 section 9.1");
        /// Whose tokens count.
        "provider_name": Text(Letters::SOME), ours, default("those of all providers");
        /// What their claims must be.
        "when": Fields(&condition::CONDITION), not_null, ours, default("anything"),
            page("authorization.md#conditions");
    }
}

#[cfg(feature = "reference")]
const ACTIONS: &[&str] = &["allow", "deny"];

impl Authorization {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let policies = fields.list("policies", |node| {
            let path = node.path().to_owned();
            node.object(|fields| AuthorizationPolicy::read(fields, path))?
        });
        Some(Self { policies, default: action(fields, "default")? })
    }
}

impl AuthorizationPolicy {
    fn read(fields: &mut Fields<'_>, path: String) -> Option<Self> {
        let action = action(fields, "action");
        let matches = fields.get_not_null("match").map(|node| node.object(RouteMatch::read));
        let methods = fields.list("methods", |node| {
            let method = node.non_empty_text()?;
            // Methods are compared exactly (RFC 9110 section 9.1): `get` would never be one.
            if !method.bytes().all(|octet| octet.is_ascii_uppercase() || b"-_".contains(&octet)) {
                node.error("expected a method in capital letters");
            }
            Some(method)
        });
        let provider_name = fields.get("provider_name").and_then(|node| node.non_empty_text());
        let when = Condition::read_field(fields, "when");
        Some(Self {
            path,
            action: action?,
            matches: match matches {
                Some(matches) => Some(matches??),
                None => None,
            },
            methods,
            provider_name: provider_name.unwrap_or_default(),
            when,
        })
    }
}

fn action(fields: &mut Fields<'_>, name: &str) -> Option<Action> {
    let node = fields.required(name)?;
    match node.text()?.as_str() {
        "allow" => Some(Action::Allow),
        "deny" => Some(Action::Deny),
        _ => {
            node.error("expected `allow` or `deny`");
            None
        }
    }
}
