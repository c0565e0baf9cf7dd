//! Conditions on claims as written. All of it is ours.

mod read;

pub(super) use crate::config::condition::read::scope;
#[cfg(feature = "reference")]
pub(super) use crate::config::condition::read::{CONDITION, SCOPE};
use crate::config::matching::StringMatch;
use crate::config::path_template::PathTemplate;

/// A condition, with the place where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition {
    /// The JSON path.
    pub path: String,
    /// What it asks.
    pub kind: ConditionKind,
}

/// The kinds of conditions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConditionKind {
    /// `all`: each of them.
    All(Vec<Condition>),
    /// `any`: one of them.
    Any(Vec<Condition>),
    /// `authenticated`: whether there is a good token.
    Authenticated(bool),
    /// `claim` and one of the forms of [`ClaimMatch`].
    Claim {
        /// The names that lead to the claim.
        claim: Vec<String>,
        /// What it must be.
        value: ClaimMatch,
    },
    /// `not`: not this one.
    Not(Box<Condition>),
    /// `scopes`.
    Scopes(Scopes),
}

/// `scopes`: what the token was issued for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scopes {
    /// `claim`: the names that lead to the claim; empty: `scope`, else `scp`.
    pub claim: Vec<String>,
    /// `all`: each of these.
    pub all: Vec<String>,
    /// `any`: one of these.
    pub any: Vec<String>,
}

/// What a claim must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClaimMatch {
    /// `list_match`: a list, and some of what is in it.
    List(ListMatch),
    /// `present_match`: whether it is there.
    Present(bool),
    /// One of the forms that items of a list have, too.
    Value(ValueMatch),
}

/// What a value must be that is no list and no object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ValueMatch {
    /// `bool_match`.
    Boolean(bool),
    /// `number_match`: a whole number in one of these ranges.
    Number(Vec<NumberRange>),
    /// `request_match`: what the request says there.
    Request(RequestPart),
    /// `string_match`: a text that one of these matches.
    Text(Vec<StringMatch>),
}

/// Whole numbers from `least` to `most`, both included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NumberRange {
    /// `at_least`.
    pub least: i128,
    /// `at_most`.
    pub most: i128,
}

/// `list_match`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListMatch {
    /// Of how many items `item` must hold.
    pub quantity: Quantity,
    /// What items must be.
    pub item: ValueMatch,
    /// What a text counts as in place of a list.
    pub text_as: TextAs,
}

/// Of how many items of a list a condition must hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quantity {
    /// `all`: of each, and there is one.
    All,
    /// `any`: of one at least.
    Any,
    /// `none`: of none.
    None,
}

/// `text_as`: what a text counts as where a list is expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TextAs {
    /// `item`: a list of this text.
    Item,
    /// Not set: it is no list.
    NoList,
    /// `words`: the list of its words, which are separated by spaces.
    Words,
}

/// A part of the request that a claim must be equal to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RequestPart {
    /// `header`: the only value of this header.
    Header(String),
    /// `host`: the name in `:authority`, in lower case and without port.
    Host,
    /// `method`.
    Method,
    /// `path_variable`: a segment of the path.
    PathVariable {
        /// The variable's name.
        name: String,
        /// `path_template`; not set: that of the rule's or policy's `match`.
        template: Option<PathTemplate>,
    },
}
