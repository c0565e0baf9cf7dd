//! Requirements by what an earlier filter left in the filter state.

use std::collections::BTreeMap;

use crate::config;
use crate::config::reader::Errors;
use crate::policy::requirement::{Names, Requirement};
use crate::request::{PropertyPath, RequestHead};
use crate::sorted;

/// `filter_state_rules`: what is required by a text that an earlier filter left.
#[derive(Debug)]
pub(super) struct StateRules {
    pub(super) path: PropertyPath,
    pub(super) requirements: BTreeMap<Vec<u8>, Requirement>,
}

impl StateRules {
    pub(super) fn compile(wire: config::FilterStateRules, names: &Names, errors: &Errors) -> Self {
        let requirements = wire.requires.iter().map(|(value, requirement)| {
            (value.clone().into_bytes(), Requirement::compile(requirement, None, names, errors))
        });
        Self {
            requirements: sorted::map(requirements),
            path: vec!["filter_state".to_owned(), wire.name],
        }
    }

    pub(super) fn requirement(&self, head: &RequestHead) -> Option<&Requirement> {
        self.requirements.get(head.property(&self.path)?)
    }
}
