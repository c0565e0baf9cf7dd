//! Whether a user authenticated well and lately enough (RFC 9470).

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::claims::whole_seconds;
use crate::config::step_up as wire;
use crate::denial::{Denial, Reason};
use crate::policy::authorization::Bearer;
use crate::policy::evaluate::Evaluation;

/// `step_up`, compiled.
#[derive(Debug)]
pub(super) struct StepUp {
    acr_values: Vec<String>,
    max_age: Option<Duration>,
    /// For the challenge.
    asked: Rc<str>,
}

impl StepUp {
    pub(super) fn compile(wire: &wire::StepUp) -> Self {
        let mut asked = String::new();
        if !wire.acr_values.is_empty() {
            asked.push_str(&format!(", acr_values=\"{}\"", wire.acr_values.join(" ")));
        }
        if let Some(age) = wire.max_age {
            asked.push_str(&format!(", max_age=\"{}\"", age.as_secs()));
        }
        let (acr_values, max_age) = (wire.acr_values.clone(), wire.max_age);
        Self { acr_values, max_age, asked: asked.into() }
    }

    /// Tells a provider which claims are looked at.
    pub(super) fn claims_read(&self, names: &mut Vec<String>) {
        for name in [ACR, AUTH_TIME] {
            if !names.iter().any(|own| own == name) {
                names.push(name.to_owned());
            }
        }
    }
}

/// OpenID Connect Core section 2.
const ACR: &str = "acr";
const AUTH_TIME: &str = "auth_time";

impl Evaluation<'_> {
    /// That the users of all tokens authenticated as `step_up` asks.
    pub(super) fn step_up(self, step_up: &StepUp, bearers: &[Bearer]) -> Result<(), Denial> {
        if bearers.is_empty() {
            return Err(Reason::TokenMissing.into());
        }
        let is_enough = |bearer: &Bearer| {
            let acr = bearer.known.facts.get(ACR).and_then(Value::as_str).unwrap_or_default();
            let is_known =
                step_up.acr_values.is_empty() || step_up.acr_values.iter().any(|own| own == acr);
            is_known && step_up.max_age.is_none_or(|most| self.is_recent(bearer, most))
        };
        match bearers.iter().find(|bearer| !is_enough(bearer)) {
            None => Ok(()),
            Some(bearer) => Err(Denial {
                provider: Some(bearer.provider),
                asked: Some(Rc::clone(&step_up.asked)),
                ..Reason::InsufficientUserAuthentication.into()
            }),
        }
    }

    /// Whether the user authenticated at most this long ago, and not in a future that no clock
    /// explains. Where the token does not say, it may have been last year.
    fn is_recent(self, bearer: &Bearer, most: Duration) -> bool {
        let skew = self.policy.providers.get(bearer.provider).map(|provider| provider.clock_skew);
        let (now, skew) = (self.now.as_secs(), skew.unwrap_or_default().as_secs());
        let time = bearer.known.facts.get(AUTH_TIME);
        let time = match time {
            Some(Value::Number(number)) => whole_seconds(number),
            _ => None,
        };
        time.is_some_and(|time| {
            time <= now.saturating_add(skew)
                && now <= time.saturating_add(most.as_secs()).saturating_add(skew)
        })
    }
}
