//! What is open and why, for the log at start: an operator should not find out from an attacker.

use crate::config::Mode;
use crate::config::authorization::Action;
use crate::policy::requirement::Requirement;
use crate::policy::{Policy, Rule};

/// Most lines about open paths: a thousand open rules are better counted than listed.
const MAX_LINES: usize = 100;

impl Policy {
    /// What is protected, and every way past it, in lines for the log.
    pub fn report(&self) -> Vec<String> {
        let mut lines = vec![self.summary()];
        let open = self.open();
        let more = open.len().saturating_sub(MAX_LINES);
        lines.extend(open.into_iter().take(MAX_LINES).map(|line| format!("open: {line}")));
        if more > 0 {
            lines.push(format!("open: {more} more"));
        }
        if let Some(shadow) = &self.shadow {
            lines.push(format!("shadow (decides nothing): {}", shadow.summary()));
        }
        lines
    }

    fn summary(&self) -> String {
        let (providers, rules) = (self.providers.len(), self.rules.len());
        let rest = match Openness::of(&self.fallback) {
            Openness::Closed => "protected",
            Openness::WithoutToken(_) => "protected where a token is sent",
            Openness::Open(_) => "open (`default_requirement` changes that)",
        };
        let policies = self.policies.as_ref().map(|policies| {
            let default = match policies.default {
                Action::Allow => "allowed",
                Action::Deny => "denied",
            };
            let count = policies.list.len();
            // They hold for what is open, too.
            format!("; authorization policies for every request: {count}, otherwise {default}")
        });
        let policies = policies.unwrap_or_default();
        format!("providers: {providers}, rules: {rules}; what no rule matches: {rest}{policies}")
    }

    fn open(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for resource in &self.resources {
            lines.push(format!("GET {}: the gate answers itself", resource.document_path));
        }
        if let Some(logout) = self.logout() {
            lines.push(format!("POST {}: the gate takes logouts", logout.path));
        }
        if self.bypass_cors_preflight {
            lines.push("CORS preflights everywhere: bypass_cors_preflight".to_owned());
        }
        for (index, rule) in (0_usize..).zip(&self.rules) {
            let place = format!("rules[{index}] ({})", rule.described);
            if rule.mode == Mode::ReportOnly {
                lines.push(format!("{place}: report_only, nobody is refused"));
            } else if let Some(why) = rule.open() {
                lines.push(format!("{place}: {why}"));
            }
        }
        let texts = self.state_rules.iter().flat_map(|rules| &rules.requirements);
        for (text, requirement) in texts {
            if let Some(why) = Openness::of(requirement).why() {
                let text = String::from_utf8_lossy(text);
                lines.push(format!("filter_state_rules.requires[{text:?}]: {why}"));
            }
        }
        let place = "what no rule matches";
        if self.mode == Mode::ReportOnly {
            lines.push(format!("{place}: report_only, nobody is refused"));
        } else if let Some(why) = Openness::of(&self.fallback).why() {
            lines.push(format!("{place}: {why}"));
        }
        lines
    }
}

impl Rule {
    fn open(&self) -> Option<&'static str> {
        // Conditions refuse whoever has no good token, unless they are about that.
        let asks_more = self.step_up.is_some() || self.writes.read_claims();
        match (self.condition.is_some(), asks_more) {
            (_, true) => None,
            (true, _) => Openness::of(&self.requirement).why().map(|_| "as `authorization` says"),
            _ => Openness::of(&self.requirement).why(),
        }
    }
}

/// How somebody without a good token gets past a requirement.
enum Openness {
    Closed,
    /// Without any token.
    WithoutToken(&'static str),
    /// Whatever they send.
    Open(&'static str),
}

impl Openness {
    fn of(requirement: &Requirement) -> Self {
        match requirement {
            Requirement::Nothing => Self::Open("nothing is required"),
            Requirement::AllowMissingOrFailed => {
                Self::Open("allow_missing_or_failed, any token or none passes")
            }
            Requirement::ExtractOnly(_) => {
                Self::Open("extract_only_without_validation, any token or none passes")
            }
            _ if requirement.is_always_met() => {
                Self::Open("an alternative allows any token or none")
            }
            _ if requirement.is_met_without_token() => {
                Self::WithoutToken("allow_missing, passes without a token")
            }
            _ => Self::Closed,
        }
    }

    fn why(self) -> Option<&'static str> {
        match self {
            Self::Closed => None,
            Self::WithoutToken(why) | Self::Open(why) => Some(why),
        }
    }
}
