//! Which claims anybody looks at after a token is verified: only they are kept with it.

use std::ops::Range;

use crate::authorize::Condition;
use crate::policy::authorization::Policies;
use crate::policy::requirement::Requirement;
use crate::policy::{Provider, ProviderIndex, Rule};

/// Tells each provider which claims of its tokens are looked at; returns whether anything is asked of
/// claims at all.
pub(super) fn note_claims_read(
    providers: &mut [Provider],
    rules: &[Rule],
    requirements: &[&Requirement],
    policies: &Option<Policies>,
) -> bool {
    let everyone = 0..ProviderIndex::MAX;
    let mut conditions: Vec<(Range<ProviderIndex>, &Condition)> = Vec::new();
    for requirement in requirements {
        conditions.extend(requirement.conditions());
    }
    for rule in rules {
        conditions.extend(rule.condition.iter().map(|own| (everyone.clone(), own)));
    }
    for policy in policies.iter().flat_map(|policies| &policies.list) {
        let whose = policy.providers.as_ref().unwrap_or(&everyone);
        conditions.extend(policy.when.iter().map(|when| (whose.clone(), when)));
    }
    let step_up = rules.iter().find_map(|rule| rule.step_up.as_ref());
    for (index, provider) in providers.iter_mut().enumerate() {
        if let Some(step_up) = step_up {
            step_up.claims_read(&mut provider.claims_read);
        }
        for (whose, condition) in &conditions {
            if whose.contains(&index) {
                condition.claims_read(&mut provider.claims_read);
            }
        }
        for rule in rules {
            rule.writes.claims_read(&mut provider.claims_read);
        }
    }
    let writes = rules.iter().any(|rule| rule.writes.read_claims());
    writes || !conditions.is_empty() || policies.is_some() || step_up.is_some()
}
