//! What a decision looked at, step by step, for tools. Only the feature `trace` keeps notes; without it
//! none is ever made, and a module is as small as before.

use crate::denial::{Denial, Reason};
use crate::extract::TokenLocation;
use crate::policy::evaluate::Evaluation;
use crate::policy::grant::Outcome;
use crate::policy::requirement::{Otherwise, Requirement};
use crate::policy::{Policy, ProviderIndex};
use crate::request::RequestHead;

/// Something that a decision looked at, or came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// What decides about the request.
    Asked(AskedBy),
    /// What a requirement, or a part of it, asks for.
    Requirement(String),
    /// The provider as whose token it is judged.
    JudgedFor(ProviderIndex),
    /// The keys that may have signed it, by their `kid`, of so many.
    Keys(Vec<Option<String>>, usize),
    /// The signature was checked with this one.
    Tried(Option<String>),
    /// What became of a token, where it was and what it is; what was noted since the last one is about it.
    Judged(TokenLocation, Vec<u8>, Came),
    /// What conditions on its claims came to.
    Conditions(Came),
    /// How, and how lately, its user authenticated.
    StepUp(Came),
    /// A policy that is about the request, by its place, and whether it applies.
    Policy(usize, bool),
    /// No policy decided.
    PolicyDefault,
}

/// By what it is decided what a request must bring.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AskedBy {
    /// Nothing: it is a preflight that is let through.
    Preflight,
    /// The rule at this place, and its path.
    Rule(usize, String),
    /// `filter_state_rules`.
    FilterState,
    /// No rule matches.
    Fallback,
}

/// How something ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Came {
    /// It is good.
    Good,
    /// It is refused.
    Refused(Reason),
    /// There are no keys yet.
    Waiting,
}

impl Came {
    fn of(outcome: &Result<Outcome, Denial>) -> Self {
        match outcome {
            Ok(Outcome::Met(_)) => Self::Good,
            Ok(Outcome::Waiting(_)) => Self::Waiting,
            Ok(Outcome::Failed(denial)) | Err(denial) => Self::Refused(denial.reason),
        }
    }

    pub(super) fn of_conditions(result: &Result<(), Denial>) -> Self {
        result.as_ref().map_or_else(|denial| Self::Refused(denial.reason), |()| Self::Good)
    }
}

impl Policy {
    pub(super) fn asked_by(&self, head: &RequestHead) -> AskedBy {
        if self.bypass_cors_preflight && head.is_cors_preflight() {
            return AskedBy::Preflight;
        }
        let mut rules = self.rules.iter().enumerate();
        match rules.find(|(_, rule)| rule.matcher.matches(head)) {
            Some((index, rule)) => AskedBy::Rule(index, rule.described.clone()),
            None if self
                .state_rules
                .as_ref()
                .is_some_and(|all| all.requirement(head).is_some()) =>
            {
                AskedBy::FilterState
            }
            None => AskedBy::Fallback,
        }
    }
}

impl Evaluation<'_> {
    /// Keeps a note, and the notes of one decision only.
    #[inline(always)]
    pub(super) fn note(self, note: impl FnOnce() -> Note) {
        #[cfg(feature = "trace")]
        {
            let note = note();
            let mut notes = self.policy.notes.borrow_mut();
            if matches!(note, Note::Asked(_)) {
                notes.clear();
            }
            notes.push(note);
        }
        #[cfg(not(feature = "trace"))]
        let _ = note;
    }

    #[inline(always)]
    pub(super) fn note_asked(self) {
        self.note(|| Note::Asked(self.policy.asked_by(self.head)));
    }

    #[inline(always)]
    pub(super) fn note_requirement(self, requirement: &Requirement) {
        self.note(|| Note::Requirement(self.in_words(requirement)));
    }

    /// What one token comes to.
    #[inline(always)]
    pub(super) fn judged(
        self,
        location: &TokenLocation,
        token: &[u8],
        outcome: Result<Outcome, Denial>,
    ) -> Outcome {
        self.note(|| Note::Judged(location.clone(), token.to_vec(), Came::of(&outcome)));
        outcome.unwrap_or_else(Outcome::Failed)
    }

    /// What `requirement` asks for, in words.
    pub(super) fn in_words(self, requirement: &Requirement) -> String {
        match requirement {
            Requirement::Nothing => "nothing".to_owned(),
            Requirement::Provider { places, audiences, .. } => {
                let name = self.policy.providers.get(places.start);
                let name = name.map_or("?", |provider| &provider.configured);
                match audiences {
                    Some(audiences) => {
                        format!("a token of `{name}` for {}", audiences.join(" or "))
                    }
                    None => format!("a token of `{name}`"),
                }
            }
            Requirement::Any { children, otherwise } => {
                let rest = match otherwise {
                    Otherwise::Allow => ", or none of them (allow_missing_or_failed)",
                    Otherwise::AllowMissing => ", or no token (allow_missing)",
                    Otherwise::Deny => "",
                };
                let children: Vec<_> = children.iter().map(|child| self.in_words(child)).collect();
                format!("any of: {}{rest}", children.join("; "))
            }
            Requirement::All(children) => {
                let children: Vec<_> = children.iter().map(|child| self.in_words(child)).collect();
                format!("all of: {}", children.join("; "))
            }
            Requirement::AllowMissing => {
                "no token, or a good one of any provider (allow_missing)".to_owned()
            }
            Requirement::AllowMissingOrFailed => {
                "nothing; good tokens are read (allow_missing_or_failed)".to_owned()
            }
            Requirement::ExtractOnly(_) => {
                "nothing; good tokens are read (extract_only_without_validation)".to_owned()
            }
        }
    }
}
