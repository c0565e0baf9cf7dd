//! What the core noted, as steps.

use jwt_gate::config::Config;
use jwt_gate::extract::TokenLocation;
use jwt_gate::policy::trace::{AskedBy, Came, Note};
use serde_json::{Value, json};

use crate::explain::checks::{Checks, checks};
use crate::output::{Paint, harmless};

/// One step of a decision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    pub what: &'static str,
    pub state: State,
    pub text: String,
    /// Whether it is a part of the one before.
    pub is_part: bool,
}

/// How it went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It says something.
    Told,
    Good,
    Bad,
    /// It is not asked for, or was not reached.
    Skipped,
}

impl Step {
    pub fn told(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, state: State::Told, text: text.into(), is_part: false }
    }

    pub fn part(what: &'static str, state: State, text: impl Into<String>) -> Self {
        Self { what, state, text: text.into(), is_part: true }
    }

    pub fn line(&self, paint: Paint) -> String {
        let text = harmless(&self.text);
        let mark = match self.state {
            State::Told => "    ".to_owned(),
            State::Good => paint.good("ok  "),
            State::Bad => paint.bad("FAIL"),
            State::Skipped => "-   ".to_owned(),
        };
        match self.is_part {
            true => format!("  {mark} {:<16} {text}", self.what),
            false => format!("{} {text}", paint.head(self.what)),
        }
    }

    pub fn json(&self) -> Value {
        let state = match self.state {
            State::Told => "told",
            State::Good => "good",
            State::Bad => "bad",
            State::Skipped => "skipped",
        };
        json!({ "step": self.what, "state": state, "text": self.text, "part": self.is_part })
    }
}

/// The steps that led to a decision. `providers` are their names in the configuration, and in logs.
pub fn steps(
    notes: &[Note],
    config: &Config,
    providers: &[(String, String)],
    at: u64,
) -> Vec<Step> {
    let mut steps = Vec::new();
    // What is noted of a token comes before the token itself.
    let mut seen = Seen::default();
    let (mut tokens, mut asks) = (0_usize, false);
    for note in notes {
        match note {
            Note::Asked(by) => steps.push(Step::told("rule   ", asked(by))),
            Note::Requirement(words) => {
                asks |= words != "nothing";
                steps.push(Step::told("asks   ", format!("for {words}")));
            }
            Note::JudgedFor(index) => seen.provider = providers.get(*index),
            Note::Keys(fitting, of) => seen.keys = Some((fitting, *of)),
            Note::Tried(kid) => seen.tried.push(kid),
            Note::Judged(location, octets, came) => {
                tokens = tokens.saturating_add(1);
                steps.push(Step::told("token  ", place(location)));
                if let Some((_, shown)) = seen.provider {
                    let text = format!("judged as one of `{shown}`");
                    steps.push(Step::part("provider", State::Told, text));
                }
                let Seen { provider, keys, tried } = std::mem::take(&mut seen);
                let provider =
                    provider.and_then(|(configured, _)| config.providers.get(configured));
                let token = Checks { provider, keys, tried, ..Checks::of(octets) };
                steps.extend(checks(&token, *came, at));
            }
            Note::Conditions(came) => {
                let text = "what is asked of the claims (`authorization`)";
                steps.push(Step::told("claims ", text));
                steps.push(conditions(*came));
            }
            Note::StepUp(came) => {
                let text = "how and how lately the user authenticated (`step_up`)";
                steps.push(Step::told("claims ", text));
                steps.push(conditions(*came));
            }
            Note::Policy(index, applies) => {
                let action = config.authorization.as_ref().and_then(|all| all.policies.get(*index));
                let action = action.map(|own| format!("{:?}", own.action).to_lowercase());
                let action = action.unwrap_or_default();
                let text = match applies {
                    true => format!("authorization.policies[{index}] applies: {action}"),
                    false => format!("authorization.policies[{index}] ({action}) does not apply"),
                };
                steps.push(Step::told("policy ", text));
            }
            Note::PolicyDefault => {
                let default = config.authorization.as_ref().map(|own| format!("{:?}", own.default));
                let default = default.unwrap_or_default().to_lowercase();
                steps
                    .push(Step::told("policy ", format!("none decides; the default is {default}")));
            }
        }
    }
    if asks && tokens == 0 {
        steps.push(Step::told("token  ", "none is where it is looked for"));
    }
    steps
}

/// What was noted of a token that is being judged.
#[derive(Default)]
struct Seen<'a> {
    provider: Option<&'a (String, String)>,
    keys: Option<(&'a [Option<String>], usize)>,
    tried: Vec<&'a Option<String>>,
}

fn conditions(came: Came) -> Step {
    match came {
        Came::Good => Step::part("conditions", State::Good, "met"),
        Came::Refused(reason) => {
            let text = format!("{}: {}", reason.code(), reason.text());
            Step::part("conditions", State::Bad, text)
        }
        Came::Waiting => Step::part("conditions", State::Skipped, "wait for keys"),
    }
}

fn asked(by: &AskedBy) -> String {
    match by {
        AskedBy::Preflight => {
            "none: a CORS preflight is let through (`bypass_cors_preflight`)".to_owned()
        }
        AskedBy::Rule(index, described) => {
            format!("rules[{index}] ({described}) is the first that matches")
        }
        AskedBy::FilterState => "none matches; `filter_state_rules` decides".to_owned(),
        AskedBy::Fallback => "none matches".to_owned(),
    }
}

fn place(location: &TokenLocation) -> String {
    match location {
        TokenLocation::Header { name, prefix } if prefix.is_empty() => {
            format!("in the header {name}")
        }
        TokenLocation::Header { name, prefix } => {
            format!("in the header {name}, behind `{prefix}`")
        }
        TokenLocation::Param { name } => format!("in the query parameter {name}"),
        TokenLocation::Cookie { name } => format!("in the cookie {name}"),
    }
}
