//! Conditions on the claims of a verified token and on what the request says.
//!
//! A small language that always comes to an end, in time linear in the condition and in what it
//! looks at. Its answers are three, because a claim of the wrong type is not an absent one: a
//! condition holds, does not hold, or cannot be judged. `not` leaves the third as it is, so no
//! negation makes a yes of it; who asks takes it for the answer that refuses.

mod claim;
mod facts;
mod request_part;
mod scopes;

use std::ops::Not;

use crate::authorize::claim::ClaimTest;
pub use crate::authorize::facts::Facts;
use crate::authorize::scopes::Scopes;
use crate::config::condition::{self as wire, ConditionKind};
use crate::config::path_template::PathTemplate;
use crate::config::reader::Errors;
use crate::request::RequestHead;

/// Whether a condition holds. In this order, "and" is the least and "or" the greatest (Kleene's
/// logic).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Truth {
    /// It does not.
    No,
    /// It cannot be judged: a claim has another type, or the request says nothing definite there.
    Unclear,
    /// It does.
    Yes,
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unclear => Self::Unclear,
            Self::Yes => Self::No,
        }
    }
}

impl Truth {
    /// Whether each holds; so it is with none.
    pub fn all(each: impl IntoIterator<Item = Self>) -> Self {
        each.into_iter().fold(Self::Yes, Self::min)
    }

    /// Whether one holds; not so with none.
    pub fn any(each: impl IntoIterator<Item = Self>) -> Self {
        each.into_iter().fold(Self::No, Self::max)
    }
}

/// A compiled condition.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Each of these holds.
    All(Vec<Condition>),
    /// One of these holds.
    Any(Vec<Condition>),
    /// There is a good token, or there is none.
    Authenticated(bool),
    /// A claim is what it should be.
    Claim(ClaimTest),
    /// This one does not hold.
    Not(Box<Condition>),
    /// The token was issued for these scopes.
    Scopes(Scopes),
}

impl Condition {
    /// Compiles `wire`. Variables of paths are those of `template` where the condition has none of
    /// its own.
    pub fn compile(
        wire: &wire::Condition,
        template: Option<&PathTemplate>,
        errors: &Errors,
    ) -> Self {
        let several = |conditions: &[wire::Condition]| {
            conditions.iter().map(|wire| Self::compile(wire, template, errors)).collect()
        };
        match &wire.kind {
            ConditionKind::All(conditions) => Self::All(several(conditions)),
            ConditionKind::Any(conditions) => Self::Any(several(conditions)),
            ConditionKind::Authenticated(expected) => Self::Authenticated(*expected),
            ConditionKind::Claim { claim, value } => {
                let report = |error: &str| errors.push(&wire.path, error);
                Self::Claim(ClaimTest::compile(claim, value, template, &report))
            }
            ConditionKind::Not(condition) => {
                Self::Not(Box::new(Self::compile(condition, template, errors)))
            }
            ConditionKind::Scopes(scopes) => Self::Scopes(Scopes::new(scopes)),
        }
    }

    /// Whether it holds for a token. No token counts as one without claims.
    pub fn judge(&self, token: Option<&Facts>, head: &RequestHead) -> Truth {
        match self {
            Self::All(each) => Truth::all(each.iter().map(|one| one.judge(token, head))),
            Self::Any(each) => Truth::any(each.iter().map(|one| one.judge(token, head))),
            Self::Authenticated(expected) => (token.is_some() == *expected).into(),
            Self::Claim(test) => test.judge(token, head),
            Self::Not(condition) => !condition.judge(token, head),
            Self::Scopes(scopes) => scopes.judge(token),
        }
    }

    /// With which scopes it would hold: none at all where it does, nothing where scopes do not help.
    pub fn lacking_scopes(&self, token: &Facts, head: &RequestHead) -> Option<Vec<&str>> {
        if self.judge(Some(token), head) == Truth::Yes {
            return Some(Vec::new());
        }
        match self {
            Self::All(each) => {
                let mut lacking = Vec::new();
                for one in each {
                    for scope in one.lacking_scopes(token, head)? {
                        if !lacking.contains(&scope) {
                            lacking.push(scope);
                        }
                    }
                }
                Some(lacking)
            }
            Self::Any(each) => each.iter().find_map(|one| one.lacking_scopes(token, head)),
            Self::Scopes(scopes) => scopes.lacking(token),
            Self::Authenticated(_) | Self::Claim(_) | Self::Not(_) => None,
        }
    }

    /// The claims that it looks at, by their first names.
    pub fn claims_read(&self, names: &mut Vec<String>) {
        let mut read = |name: &str| {
            if !names.iter().any(|own| own == name) {
                names.push(name.to_owned());
            }
        };
        match self {
            Self::All(each) | Self::Any(each) => {
                each.iter().for_each(|one| one.claims_read(names));
            }
            Self::Authenticated(_) => {}
            Self::Claim(test) => test.name().into_iter().for_each(read),
            Self::Not(condition) => condition.claims_read(names),
            Self::Scopes(scopes) => scopes.names().for_each(&mut read),
        }
    }
}
