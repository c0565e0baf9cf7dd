//! How users must have authenticated (RFC 9470), as written. Ours.

use std::time::Duration;

#[cfg(feature = "reference")]
use crate::config::condition::SCOPE;
use crate::config::condition::scope;
use crate::config::fields::Fields;

/// `step_up` of a rule. Everything that is set must hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StepUp {
    /// `acr` must be one of these; empty: not asked for.
    pub acr_values: Vec<String>,
    /// `auth_time` must lie at most this far back.
    pub max_age: Option<Duration>,
}

reference! {
    /// How, and how lately, users must have authenticated. Everything that is set must hold.
    STEP_UP = "StepUp" ("answers.md#authenticate-anew-rfc-9470").rules(&[AnyOf(&["acr_values", "max_age"])]) {
        /// The token's `acr` must be one of these.
        "acr_values": List(&Text(Letters::like(SCOPE)), 0), ours, default("not asked for"),
            rfc("RFC 9470 section 4");
        /// The token's `auth_time` must lie at most this far back.
        "max_age": Time(Span::ANY.whole()), ours, default("not asked for"), rfc("RFC 9470 section 4");
    }
}

impl StepUp {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let max_age = fields.get("max_age");
        let read = Self {
            // Separated by spaces in the challenge, as scopes are.
            acr_values: fields.list("acr_values", scope),
            max_age: max_age.as_ref().and_then(|node| node.duration()),
        };
        if let (Some(node), Some(age)) = (max_age, read.max_age)
            && age.subsec_nanos() > 0
        {
            node.error("expected whole seconds");
        }
        if read.acr_values.is_empty() && read.max_age.is_none() {
            fields.error("`acr_values` or `max_age` is required");
        }
        read
    }
}
