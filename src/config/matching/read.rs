//! Conditions of rules: from JSON to the wire structs.

use crate::config::fields::Fields;
use crate::config::headers::any_header;
use crate::config::matching::{
    CookieMatch, HeaderCondition, HeaderMatch, MetadataCondition, MetadataMatch, ParameterMatch,
    Pattern, RouteMatch, StringMatch,
};
use crate::config::path::PathSpecifier;
use crate::config::reader::Node;
use crate::expression;

#[cfg(feature = "reference")]
use crate::config::{path, requirement};

reference! {
    /// Which requests. Everything that is set must hold.
    ROUTE_MATCH = "RouteMatch" ("configuration.md#rule").message("envoy.config.route.v3.RouteMatch")
    .rules(&[OneOf(&path::SPECIFIERS)]) {
        /// Paths that begin with it, compared without the query. It begins with `/`, or is empty.
        "prefix": Text(Letters::like("^((/[^?#]*)?|\\*)$")), example("\"/\"");
        /// The whole path, without the query.
        "path": Text(Letters::like("^(/[^?#]*|\\*)$")), example("\"/healthz\"");
        /// The path, or what begins with it and `/`, without the query. It does not end with `/`.
        "path_separated_prefix": Text(Letters::like("^(/([^?#]*[^?#/])?|\\*)$")), example("\"/api\"");
        /// The whole path, without the query, as a regular expression.
        "safe_regex": Fields(&REGEX_MATCHER);
        /// The whole path, without the query, as a template.
        "path_match_policy": Fields(&path::PATH_MATCH_POLICY);
        /// CONNECT requests.
        "connect_matcher": Fields(&requirement::EMPTY);
        /// Whether the case of the path matters. Without effect on `safe_regex` and `path_match_policy`.
        "case_sensitive": Flag, default("true");
        /// Conditions on headers; each must hold.
        "headers": List(&Fields(&HEADER_MATCHER), 0), default("none");
        /// Conditions on query parameters; each must hold.
        "query_parameters": List(&Fields(&PARAMETER_MATCHER), 0), default("none");
        /// Conditions on cookies; each must hold (natively ignored here).
        "cookies": List(&Fields(&COOKIE_MATCHER), 0), default("none");
        /// gRPC requests only (natively ignored here).
        "grpc": Fields(&requirement::EMPTY), default("all requests");
        /// Requests for which Envoy chose the route of this name, a text or a text matcher. Any change to
        /// a request makes Envoy choose again, so every provider must then have `forward: true`, and
        /// nothing may be written into requests.
        "route_name": Either(&[Text(Letters::SOME), Fields(&STRING_MATCHER)]), ours, default("any");
        /// Conditions on the metadata of that route; each must hold. As for `route_name`, nothing may be
        /// changed in requests.
        "route_metadata": List(&Fields(&METADATA_MATCHER), 0), ours, default("none");
        "runtime_fraction": Anything, refused(FRACTION);
        "tls_context": Anything, refused(TLS);
        "dynamic_metadata": Anything, refused(METADATA);
        "filter_state": Anything, refused(STATE);
    }

    /// A condition on a header. Without one of the forms: the header is there. Of several values any one
    /// suffices.
    HEADER_MATCHER = "HeaderMatcher" ("configuration.md#rule").message("envoy.config.route.v3.HeaderMatcher")
    .rules(&[AtMostOne(&HEADER_FORMS)]) {
        /// The header's name.
        "name": Text(Letters::like("^:?[!#$%&'*+.^_`|~0-9A-Za-z-]+$")), required, example("\":method\"");
        /// A text matcher.
        "string_match": Fields(&STRING_MATCHER);
        /// Whether it is there.
        "present_match": Flag;
        /// A whole number in a range.
        "range_match": Fields(&RANGE);
        /// Just this text.
        "exact_match": Text(Letters::ANY);
        /// Text that begins with it.
        "prefix_match": Text(Letters::SOME);
        /// Text that ends with it.
        "suffix_match": Text(Letters::SOME);
        /// Text that holds it.
        "contains_match": Text(Letters::SOME);
        /// The whole text, as a regular expression.
        "safe_regex_match": Fields(&REGEX_MATCHER);
        /// The condition must not hold.
        "invert_match": Flag, default("false");
        /// An absent header counts as an empty one.
        "treat_missing_header_as_empty": Flag, default("false");
    }

    /// Whole numbers from `start` to below `end`.
    RANGE = "Int64Range" ("configuration.md#rule").message("envoy.type.v3.Int64Range") {
        /// The least.
        "start": Whole(false), default("0");
        /// The number beyond the greatest.
        "end": Whole(false), default("0");
    }

    /// A condition on a query parameter: the first of a name counts, undecoded. Without one of the forms:
    /// it is there.
    PARAMETER_MATCHER = "QueryParameterMatcher" ("configuration.md#rule")
    .message("envoy.config.route.v3.QueryParameterMatcher")
    .rules(&[AtMostOne(PARAMETER_FORMS)]) {
        /// The parameter's name, undecoded.
        "name": Text(Letters::SOME), required;
        /// A text matcher.
        "string_match": Fields(&STRING_MATCHER);
        /// Whether it is there.
        "present_match": Flag;
    }

    /// A condition on a cookie (natively ignored).
    COOKIE_MATCHER = "CookieMatcher" ("configuration.md#rule").message("envoy.config.route.v3.CookieMatcher") {
        /// The cookie's name.
        "name": Text(Letters::SOME), required;
        /// What its value must be.
        "string_match": Fields(&STRING_MATCHER), required;
        /// The condition must not hold.
        "invert_match": Flag, default("false");
    }

    /// A condition on metadata.
    METADATA_MATCHER = "MetadataMatcher" ("configuration.md#rule").message("envoy.type.matcher.v3.MetadataMatcher") {
        /// The namespace.
        "filter": Text(Letters::SOME), required, example("\"envoy.filters.http.jwt_authn\"");
        /// The names that lead to the value.
        "path": List(&Fields(&SEGMENT), 1), required;
        /// What the value must be.
        "value": Fields(&VALUE_MATCHER), required;
        /// The condition must not hold.
        "invert": Flag, default("false");
    }

    /// A name on the way to the value.
    SEGMENT = "MetadataPathSegment" ("configuration.md#rule")
    .message("envoy.type.matcher.v3.MetadataMatcher.PathSegment") {
        /// The name.
        "key": Text(Letters::SOME), required;
    }

    /// What a value must be.
    VALUE_MATCHER = "ValueMatcher" ("configuration.md#rule").message("envoy.type.matcher.v3.ValueMatcher")
    .rules(&[OneOf(&VALUE_FORMS)]) {
        /// A text.
        "string_match": Fields(&STRING_MATCHER);
        /// This boolean.
        "bool_match": Flag;
        /// Whether there is a value.
        "present_match": Flag;
        "null_match": Anything, refused(OTHER_VALUES);
        "double_match": Anything, refused(OTHER_VALUES);
        "list_match": Anything, refused(OTHER_VALUES);
        "or_match": Anything, refused(OTHER_VALUES);
    }

    /// A text matcher.
    STRING_MATCHER = "StringMatcher" ("configuration.md#rule").message("envoy.type.matcher.v3.StringMatcher")
    .rules(&[OneOf(&TEXT_FORMS)]) {
        /// Just this text.
        "exact": Text(Letters::ANY);
        /// Text that begins with it.
        "prefix": Text(Letters::SOME);
        /// Text that ends with it.
        "suffix": Text(Letters::SOME);
        /// Text that holds it.
        "contains": Text(Letters::SOME);
        /// The whole text, as a regular expression.
        "safe_regex": Fields(&REGEX_MATCHER);
        /// Compare without regard to case. Without effect on `safe_regex`.
        "ignore_case": Flag, default("false");
        "custom": Anything, refused(EXTENSION);
    }

    /// A regular expression in RE2's dialect, for the whole text. What means something else here (`\\<`, the
    /// flags `x`, `u`, `R`), what needs Unicode tables (`\\pL`, `i` with other letters than ASCII), and
    /// programs over 4 KiB are refused.
    REGEX_MATCHER = "RegexMatcher" ("configuration.md#rule").message("envoy.type.matcher.v3.RegexMatcher") {
        /// The expression.
        "regex": Text(Letters::SOME), required, example("\"/v[0-9]+/.*\"");
        /// Accepted, and without effect.
        "google_re2": Fields(&GOOGLE_RE2);
    }

    /// Settings of RE2.
    GOOGLE_RE2 = "GoogleRE2" ("configuration.md#rule").message("envoy.type.matcher.v3.RegexMatcher.GoogleRE2") {
        /// Accepted, and without effect.
        "max_program_size": Anything;
    }
}

const FRACTION: &str = "it is not supported; leave it out";
const TLS: &str = "it is not supported; use `headers` on x-forwarded-client-cert";
const METADATA: &str = "it is not supported; match on a header";
const STATE: &str = "it is not supported; use `filter_state_rules`";
const OTHER_VALUES: &str = "use `string_match`, `bool_match` or `present_match`";
const EXTENSION: &str = "a plugin has no extensions of Envoy; use another form";

const HEADER_FORMS: [&str; 8] = [
    "exact_match",
    "safe_regex_match",
    "range_match",
    "present_match",
    "prefix_match",
    "suffix_match",
    "contains_match",
    "string_match",
];
const PARAMETER_FORMS: &[&str] = &["string_match", "present_match"];
const VALUE_FORMS: [&str; 3] = ["string_match", "bool_match", "present_match"];
const TEXT_FORMS: [&str; 5] = ["exact", "prefix", "suffix", "safe_regex", "contains"];

impl RouteMatch {
    pub(in crate::config) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let path = PathSpecifier::read(fields);
        for (field, instead) in [
            ("runtime_fraction", FRACTION),
            ("tls_context", TLS),
            ("dynamic_metadata", METADATA),
            ("filter_state", STATE),
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
            fields.unsupported(field, OTHER_VALUES);
        }
        match fields.one_of(&VALUE_FORMS) {
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
        node.object(|fields| {
            let name = fields.required("name").and_then(|node| any_header(&node));
            let invert = fields.flag("invert_match");
            let missing_as_empty = fields.flag("treat_missing_header_as_empty");
            let value = match fields.one_of(&HEADER_FORMS) {
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
            let (value, absent) = match fields.one_of(PARAMETER_FORMS) {
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
    pub(in crate::config) fn read(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let ignore_case = fields.flag("ignore_case");
            fields.unsupported("custom", EXTENSION);
            let Some((form, node)) = fields.one_of(&TEXT_FORMS) else {
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
pub(in crate::config) fn regex(node: &Node<'_>) -> Option<String> {
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
