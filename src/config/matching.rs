//! The wire structs of rules: `RouteMatch`, `HeaderMatcher`, `QueryParameterMatcher`,
//! `StringMatcher` (`envoy.config.route.v3`, `envoy.type.matcher.v3`).

use std::fmt;

use crate::config::fields::Fields;
use crate::config::headers::any_header;
use crate::config::path::PathSpecifier;
use crate::config::reader::Node;
use crate::expression;

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

impl RouteMatch {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let path = PathSpecifier::read(fields);
        for (field, instead) in [
            ("runtime_fraction", "it is not supported; leave it out"),
            ("tls_context", "it is not supported; use `headers` on x-forwarded-client-cert"),
            ("dynamic_metadata", "it is not supported; match on a header"),
            ("filter_state", "it is not supported; use `filter_state_rules`"),
        ] {
            fields.unsupported(field, instead);
        }
        Some(Self {
            case_sensitive: fields
                .get("case_sensitive")
                .and_then(|node| node.boolean())
                .unwrap_or(true),
            headers: fields.list("headers", HeaderMatch::read),
            query_parameters: fields.list("query_parameters", ParameterMatch::read),
            cookies: fields.list("cookies", CookieMatch::read),
            grpc: fields.get("grpc").map(|node| node.object(|_| ())).is_some(),
            route_name: fields.get("route_name").and_then(StringMatch::read_or_text),
            route_metadata: fields.list("route_metadata", MetadataMatch::read),
            path: path?,
        })
    }
}

impl MetadataMatch {
    fn read(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let namespace = fields.required_text("filter");
            let keys = fields.required("path").map(|node| {
                let keys = node.list(|node| node.object(|fields| fields.required_text("key")));
                if keys.is_empty() {
                    node.error("expected the names that lead to the value");
                }
                keys
            });
            let value = fields.required("value").and_then(|node| node.object(Self::read_value)?);
            let invert = fields.flag("invert");
            let path: Vec<_> = [namespace].into_iter().chain(keys?).collect();
            // The host separates the names of a path by it.
            if path.iter().any(|name| name.contains('\0')) {
                fields.error("names must not hold the octet zero");
            }
            Some(Self { path, value: value?, invert })
        })?
    }

    fn read_value(fields: &mut Fields<'_>) -> Option<MetadataCondition> {
        for field in ["null_match", "double_match", "list_match", "or_match"] {
            fields.unsupported(field, "use `string_match`, `bool_match` or `present_match`");
        }
        match fields.one_of(&["string_match", "bool_match", "present_match"]) {
            Some(("string_match", node)) => StringMatch::read(node).map(MetadataCondition::Text),
            Some(("bool_match", node)) => node.boolean().map(MetadataCondition::Boolean),
            Some((_, node)) => node.boolean().map(MetadataCondition::Present),
            None => {
                fields.error("`string_match`, `bool_match` or `present_match` is required");
                None
            }
        }
    }
}

impl HeaderMatch {
    fn read(node: Node<'_>) -> Option<Self> {
        let forms = [
            "exact_match",
            "safe_regex_match",
            "range_match",
            "present_match",
            "prefix_match",
            "suffix_match",
            "contains_match",
            "string_match",
        ];
        node.object(|fields| {
            let name = fields.required("name").and_then(|node| any_header(&node));
            let invert = fields.flag("invert_match");
            let missing_as_empty = fields.flag("treat_missing_header_as_empty");
            let value = match fields.one_of(&forms) {
                None => HeaderCondition::Present(true),
                Some(("present_match", node)) => HeaderCondition::Present(node.boolean()?),
                Some(("range_match", node)) => node.object(|fields| {
                    let mut bound = |name| fields.get(name).and_then(|node| node.integer());
                    let start = bound("start").unwrap_or_default();
                    let end = bound("end").unwrap_or_default();
                    if start >= end {
                        node.error("no number is from `start` to below `end`");
                    }
                    HeaderCondition::Range { start, end }
                })?,
                Some(("string_match", node)) => HeaderCondition::Text(StringMatch::read(node)?),
                Some(("safe_regex_match", node)) => {
                    HeaderCondition::Text(Pattern::Regex(regex(&node)?).with_case())
                }
                Some((form, node)) => {
                    let text = match form {
                        "exact_match" => node.text()?,
                        _ => node.non_empty_text()?,
                    };
                    HeaderCondition::Text(
                        match form {
                            "exact_match" => Pattern::Exact(text),
                            "prefix_match" => Pattern::Prefix(text),
                            "suffix_match" => Pattern::Suffix(text),
                            _ => Pattern::Contains(text),
                        }
                        .with_case(),
                    )
                }
            };
            Some(Self { name: name?, value, invert, missing_as_empty })
        })?
    }
}

impl ParameterMatch {
    fn read(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let name = fields.required("name").and_then(|node| node.non_empty_text());
            let (value, absent) = match fields.one_of(&["string_match", "present_match"]) {
                None => (None, false),
                Some(("string_match", node)) => (Some(StringMatch::read(node)?), false),
                Some((_, node)) => (None, !node.boolean()?),
            };
            Some(Self { name: name?, value, absent })
        })?
    }
}

impl CookieMatch {
    fn read(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let name = fields.required("name").and_then(|node| node.non_empty_text());
            let value = fields.required("string_match").and_then(StringMatch::read);
            let invert = fields.flag("invert_match");
            Some(Self { name: name?, value: value?, invert })
        })?
    }
}

impl Pattern {
    fn with_case(self) -> StringMatch {
        StringMatch { pattern: self, ignore_case: false }
    }
}

impl StringMatch {
    pub(super) fn read(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let ignore_case = fields.flag("ignore_case");
            fields.unsupported("custom", "a plugin has no extensions of Envoy; use another form");
            let forms = ["exact", "prefix", "suffix", "safe_regex", "contains"];
            let Some((form, node)) = fields.one_of(&forms) else {
                fields.error("`exact`, `prefix`, `suffix`, `contains` or `safe_regex` is required");
                return None;
            };
            let pattern = match form {
                "safe_regex" => Pattern::Regex(regex(&node)?),
                "exact" => Pattern::Exact(node.text()?),
                "prefix" => Pattern::Prefix(node.non_empty_text()?),
                "suffix" => Pattern::Suffix(node.non_empty_text()?),
                _ => Pattern::Contains(node.non_empty_text()?),
            };
            Some(Self { pattern, ignore_case })
        })?
    }

    /// A plain text stands for `exact`.
    fn read_or_text(node: Node<'_>) -> Option<Self> {
        match node.is_text() {
            true => node.non_empty_text().map(|text| Pattern::Exact(text).with_case()),
            false => Self::read(node),
        }
    }
}

/// `RegexMatcher`: RE2's dialect, without the classes that need Unicode tables.
pub(super) fn regex(node: &Node<'_>) -> Option<String> {
    node.object(|fields| {
        if let Some(node) = fields.get("google_re2") {
            node.object(|fields| {
                // Deprecated and without effect here: the size is bounded anyway.
                fields.get("max_program_size");
            });
        }
        let node = fields.required("regex")?;
        let regex = node.non_empty_text()?;
        if let Err(error) = expression::compile(&regex) {
            node.error(format!("not a regular expression that is supported: {error}"));
        }
        Some(regex)
    })?
}
