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
    let mut token: Option<Checks<'_>> = None;
    for note in notes {
        match note {
            Note::Asked(by) => steps.push(Step::told("rule   ", asked(by))),
            Note::Requirement(words) => steps.push(Step::told("asks   ", format!("for {words}"))),
            Note::Found(0) => steps.push(Step::told("token  ", "none is where it is looked for")),
            Note::Found(1) => {}
            Note::Found(count) => {
                steps.push(Step::told("tokens ", format!("{count}; each must be good")))
            }
            Note::Token(location, octets) => {
                steps.push(Step::told("token  ", place(location)));
                token = Some(Checks::of(octets));
            }
            Note::JudgedFor(index) => {
                if let (Some(token), Some((configured, shown))) =
                    (&mut token, providers.get(*index))
                {
                    token.provider = config.providers.get(configured);
                    steps.push(Step::part(
                        "provider",
                        State::Told,
                        format!("judged as one of `{shown}`"),
                    ));
                }
            }
            Note::Keys(fitting, of) => {
                if let Some(token) = &mut token {
                    token.keys = Some((fitting, *of));
                }
            }
            Note::Tried(kid) => {
                if let Some(token) = &mut token {
                    token.tried.push(kid);
                }
            }
            Note::Judged(came) => {
                if let Some(token) = token.take() {
                    steps.extend(checks(&token, *came, at));
                }
            }
            Note::Conditions(whose, came) => {
                let what = match *whose {
                    "step_up" => "how and how lately the user authenticated (`step_up`)",
                    "rule" => "what the rule asks of the claims (`authorization`)",
                    _ => "what the requirement asks of the claims (`authorization`)",
                };
                steps.push(Step::told("claims ", what));
                steps.push(match came {
                    Came::Good => Step::part("conditions", State::Good, "met"),
                    Came::Refused(reason) => Step::part(
                        "conditions",
                        State::Bad,
                        format!("{}: {}", reason.code(), reason.text()),
                    ),
                    Came::Waiting => Step::part("conditions", State::Skipped, "wait for keys"),
                });
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
    steps
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
