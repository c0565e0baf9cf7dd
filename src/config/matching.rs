//! The wire structs of rules: `RouteMatch`, `HeaderMatcher`, `QueryParameterMatcher`,
//! `StringMatcher` (`envoy.config.route.v3`, `envoy.type.matcher.v3`).

mod read;

use std::fmt;

pub(super) use crate::config::matching::read::regex;
#[cfg(feature = "reference")]
pub(super) use crate::config::matching::read::{ROUTE_MATCH, STRING_MATCHER};
use crate::config::path::PathSpecifier;

/// `RouteMatch`: everything that is set must hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteMatch {
    /// How the path is compared; required.
    pub path: PathSpecifier,
    /// Whether the case of the path matters, for all but `safe_regex`. Default: true.
    pub case_sensitive: bool,
    /// Conditions on headers.
    pub headers: Vec<HeaderMatch>,
    /// Conditions on query parameters.
    pub query_parameters: Vec<ParameterMatch>,
    /// Conditions on cookies (natively ignored here).
    pub cookies: Vec<CookieMatch>,
    /// Only gRPC requests (natively ignored here).
    pub grpc: bool,
    /// Ours: the name of the route that Envoy chose.
    pub route_name: Option<StringMatch>,
    /// Ours: conditions on the metadata of that route.
    pub route_metadata: Vec<MetadataMatch>,
}

/// `MetadataMatcher` (`envoy.type.matcher.v3`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MetadataMatch {
    /// The namespace and the names that lead to the value.
    pub path: Vec<String>,
    /// What the value must be.
    pub value: MetadataCondition,
    /// Whether the condition must not hold.
    pub invert: bool,
}

/// What a `MetadataMatcher` asks of the value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MetadataCondition {
    /// `bool_match`: this boolean.
    Boolean(bool),
    /// `present_match`: whether there is a value.
    Present(bool),
    /// `string_match`: a text.
    Text(StringMatch),
}

/// `HeaderMatcher`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeaderMatch {
    /// The header's name.
    pub name: String,
    /// What its value must be.
    pub value: HeaderCondition,
    /// Whether the condition must not hold.
    pub invert: bool,
    /// Whether an absent header counts as an empty one.
    pub missing_as_empty: bool,
}

/// What a `HeaderMatcher` asks of the value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HeaderCondition {
    /// `present_match`, or nothing: whether the header is there.
    Present(bool),
    /// `range_match`: a whole number from `start`, below `end`.
    Range {
        /// The least number.
        start: i64,
        /// The number beyond the greatest.
        end: i64,
    },
    /// `string_match`, or one of the older forms.
    Text(StringMatch),
}

/// `QueryParameterMatcher`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParameterMatch {
    /// The parameter's name, compared undecoded.
    pub name: String,
    /// None: it must be there (`present_match: true`).
    pub value: Option<StringMatch>,
    /// `present_match: false`: it must not be there.
    pub absent: bool,
}

/// `CookieMatcher`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookieMatch {
    /// The cookie's name.
    pub name: String,
    /// What its value must be.
    pub value: StringMatch,
    /// Whether the condition must not hold.
    pub invert: bool,
}

/// `StringMatcher`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StringMatch {
    /// How texts are compared.
    pub pattern: Pattern,
    /// Whether case is ignored; without effect on regular expressions.
    pub ignore_case: bool,
}

/// The `match_pattern` of a `StringMatcher`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pattern {
    /// It is in the text.
    Contains(String),
    /// It is the text.
    Exact(String),
    /// The text begins with it.
    Prefix(String),
    /// It matches the whole text.
    Regex(String),
    /// The text ends with it.
    Suffix(String),
}

impl fmt::Display for RouteMatch {
    /// In a few words, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)?;
        let others = [
            (!self.headers.is_empty(), "headers"),
            (!self.query_parameters.is_empty(), "query parameters"),
            (!self.cookies.is_empty(), "cookies"),
            (self.grpc, "gRPC"),
            (self.route_name.is_some() || !self.route_metadata.is_empty(), "the route"),
        ];
        let others: Vec<_> =
            others.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name).collect();
        match others.is_empty() {
            true => Ok(()),
            false => write!(f, ", with conditions on {}", others.join(", ")),
        }
    }
}
