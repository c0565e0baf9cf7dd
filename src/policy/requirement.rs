//! The requirement tree, compiled: names became places.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::authorize::Condition;
use crate::config::path_template::PathTemplate;
use crate::config::reader::Errors;
use crate::config::{self, RequirementKind};
use crate::policy::ProviderIndex;
use crate::policy::provider::comparable;

/// What a request must bring.
#[derive(Clone, Debug)]
pub(super) enum Requirement {
    All(Vec<Requirement>),
    AllowMissing,
    AllowMissingOrFailed,
    Any {
        children: Vec<Requirement>,
        otherwise: Otherwise,
    },
    /// Like `AllowMissingOrFailed`, with a header that says when a token was not good.
    ExtractOnly(Option<String>),
    Nothing,
    Provider {
        /// All of one name.
        places: Range<ProviderIndex>,
        audiences: Option<Vec<String>>,
        /// What the claims of its tokens must be.
        condition: Option<Condition>,
    },
}

/// What `requires_any` says when no child is met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Otherwise {
    Allow,
    AllowMissing,
    Deny,
}

/// What names of the configuration stand for.
pub(super) struct Names {
    pub(super) providers: BTreeMap<String, Range<ProviderIndex>>,
    pub(super) requirements: BTreeMap<String, config::Requirement>,
}

impl Names {
    /// The places of the providers of this name, or what names there are.
    pub(super) fn provider(&self, name: &str) -> Result<Range<ProviderIndex>, String> {
        self.providers.get(name).cloned().ok_or_else(|| {
            let known: Vec<_> = self.providers.keys().map(String::as_str).collect();
            known.join(", ")
        })
    }
}

impl Requirement {
    /// Any one of all providers.
    pub(super) fn any_provider(names: &Names) -> Self {
        let places = names.providers.values().cloned();
        let children = places
            .map(|places| Self::Provider { places, audiences: None, condition: None })
            .collect();
        Self::Any { children, otherwise: Otherwise::Deny }
    }

    /// Compiles `requirement`; a name that does not exist is a mistake. Conditions may name the
    /// variables of `template`, but not in requirements that several rules share.
    pub(super) fn compile(
        requirement: &config::Requirement,
        template: Option<&PathTemplate>,
        names: &Names,
        errors: &Errors,
    ) -> Self {
        match &requirement.kind {
            RequirementKind::Nothing => Self::Nothing,
            RequirementKind::ExtractOnly(header) => Self::ExtractOnly(header.clone()),
            RequirementKind::AllowMissing => Self::AllowMissing,
            RequirementKind::AllowMissingOrFailed => Self::AllowMissingOrFailed,
            RequirementKind::All(children) => Self::All(
                children
                    .iter()
                    .map(|child| Self::compile(child, template, names, errors))
                    .collect(),
            ),
            RequirementKind::Any(children) => Self::compile_any(children, template, names, errors),
            RequirementKind::Named(name) => match names.requirements.get(name) {
                Some(requirement) => Self::compile(requirement, None, names, errors),
                None => {
                    let known = names.requirements.keys();
                    Self::unknown(&requirement.path, "requirement", name, known, errors)
                }
            },
            RequirementKind::Provider { name, audiences, authorization } => {
                match names.providers.get(name) {
                    Some(places) => Self::Provider {
                        places: places.clone(),
                        audiences: Some(comparable(audiences)).filter(|own| !own.is_empty()),
                        condition: authorization
                            .as_ref()
                            .map(|wire| Condition::compile(wire, template, errors)),
                    },
                    None => {
                        let known = names.providers.keys();
                        Self::unknown(&requirement.path, "provider", name, known, errors)
                    }
                }
            }
        }
    }

    /// The status headers of this requirement and of those within it.
    pub(super) fn status_headers(&self) -> Vec<String> {
        match self {
            Self::ExtractOnly(header) => header.iter().cloned().collect(),
            Self::All(children) | Self::Any { children, .. } => {
                children.iter().flat_map(Self::status_headers).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The conditions within it, each with the providers whose tokens it is about.
    pub(super) fn conditions(&self) -> Vec<(Range<ProviderIndex>, &Condition)> {
        match self {
            Self::Provider { places, condition, .. } => {
                condition.iter().map(|condition| (places.clone(), condition)).collect()
            }
            Self::All(children) | Self::Any { children, .. } => {
                children.iter().flat_map(Self::conditions).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether every request meets it.
    pub(super) fn is_always_met(&self) -> bool {
        match self {
            Self::Nothing | Self::AllowMissingOrFailed | Self::ExtractOnly(_) => true,
            Self::AllowMissing | Self::Provider { .. } => false,
            Self::All(children) => children.iter().all(Self::is_always_met),
            Self::Any { children, otherwise } => {
                *otherwise == Otherwise::Allow || children.iter().any(Self::is_always_met)
            }
        }
    }

    /// Whether a request without any token meets it.
    pub(super) fn is_met_without_token(&self) -> bool {
        match self {
            Self::Provider { .. } => false,
            Self::All(children) => children.iter().all(Self::is_met_without_token),
            Self::Any { children, otherwise } => {
                *otherwise != Otherwise::Deny || children.iter().any(Self::is_met_without_token)
            }
            _ => true,
        }
    }

    /// A name that nothing is called by: a mistake, and nobody gets in.
    fn unknown<'a>(
        path: &str,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'a String>,
        errors: &Errors,
    ) -> Self {
        // An empty name was reported when it was read.
        if !name.is_empty() {
            let known: Vec<_> = known.map(String::as_str).collect();
            let known = known.join(", ");
            errors.push(path, format!("no {what} is called `{name}`; there is: {known}"));
        }
        Self::Any { children: Vec::new(), otherwise: Otherwise::Deny }
    }

    /// Natively, the two `allow_…` kinds beside alternatives only say what to do when none of
    /// those is met.
    fn compile_any(
        children: &[config::Requirement],
        template: Option<&PathTemplate>,
        names: &Names,
        errors: &Errors,
    ) -> Self {
        let mut otherwise = Otherwise::Deny;
        let mut compiled = Vec::new();
        for child in children {
            match child.kind {
                RequirementKind::AllowMissingOrFailed => otherwise = Otherwise::Allow,
                RequirementKind::AllowMissing if otherwise == Otherwise::Deny => {
                    otherwise = Otherwise::AllowMissing;
                }
                RequirementKind::AllowMissing => {}
                _ => compiled.push(Self::compile(child, template, names, errors)),
            }
        }
        match (compiled.is_empty(), otherwise) {
            // Without alternatives, natively the allowances stand on their own: tokens that are
            // there are checked.
            (true, Otherwise::AllowMissing) => Self::AllowMissing,
            (true, Otherwise::Allow) => Self::AllowMissingOrFailed,
            _ => Self::Any { children: compiled, otherwise },
        }
    }
}
