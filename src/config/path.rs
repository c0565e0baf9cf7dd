//! How a rule compares the path: the `path_specifier` of a `RouteMatch`.

use std::fmt;

use crate::config::fields::Fields;
use crate::config::matching::regex;
use crate::config::path_template::PathTemplate;
use crate::config::reader::Node;

/// The `path_specifier` of a `RouteMatch`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PathSpecifier {
    /// `connect_matcher`: CONNECT requests.
    Connect,
    /// `path`: the whole path, without the query.
    Path(String),
    /// `prefix`: how the path begins.
    Prefix(String),
    /// `safe_regex`: the whole path, without the query, as a regular expression.
    Regex(String),
    /// `path_separated_prefix`: the path, or what begins with it and a slash.
    SeparatedPrefix(String),
    /// `path_match_policy`: the whole path, without the query, as a template.
    Template(PathTemplate),
}

impl fmt::Display for PathSpecifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("CONNECT"),
            Self::Path(path) => write!(f, "path {path:?}"),
            Self::Prefix(prefix) => write!(f, "prefix {prefix:?}"),
            Self::Regex(regex) => write!(f, "safe_regex {regex:?}"),
            Self::SeparatedPrefix(prefix) => write!(f, "path_separated_prefix {prefix:?}"),
            Self::Template(template) => write!(f, "path_match_policy {:?}", template.written()),
        }
    }
}

reference! {
    /// The one extension for paths that Envoy has.
    PATH_MATCH_POLICY = "TypedExtensionConfig" ("configuration.md#rule")
    .message("envoy.config.core.v3.TypedExtensionConfig") {
        /// Without effect.
        "name": Text(Letters::ANY);
        /// The template.
        "typed_config": Fields(&URI_TEMPLATE), required;
    }

    /// A template of paths.
    URI_TEMPLATE = "UriTemplateMatchConfig" ("configuration.md#rule")
    .message("envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig") {
        /// The type of this object.
        "@type": Choice(&[TYPE]), required;
        /// The template: `*`, `{name}` and `{name=*}` stand for a segment, `**` and `{name=**}` for any
        /// rest. Text with a `*` in it is refused (natively it repeats the letter before).
        "path_template": Text(Letters::SOME), required, example("\"/users/{id}/**\"");
    }
}

/// The ways to compare a path.
pub(super) const SPECIFIERS: [&str; 6] = [
    "prefix",
    "path",
    "safe_regex",
    "connect_matcher",
    "path_separated_prefix",
    "path_match_policy",
];

const TYPE: &str = "type.googleapis.com/\
                    envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";

impl PathSpecifier {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let Some((name, node)) = fields.one_of(&SPECIFIERS) else {
            fields.error(
                "`prefix`, `path`, `safe_regex`, `path_separated_prefix`, `path_match_policy` or \
                 `connect_matcher` is required",
            );
            return None;
        };
        match name {
            "connect_matcher" => node.object(|_| Self::Connect),
            "path_match_policy" => path_template(&node).map(Self::Template),
            "safe_regex" => {
                let regex = regex(&node)?;
                if regex.starts_with(|first: char| first.is_ascii_alphanumeric()) {
                    node.error("expected an expression for whole paths, which begin with `/`");
                }
                Some(Self::Regex(regex))
            }
            "path" => path(&node, name).map(Self::Path),
            "prefix" => path(&node, name).map(Self::Prefix),
            _ => path(&node, name).map(Self::SeparatedPrefix),
        }
    }
}

/// A pattern for paths. One that no path can match would leave open what it is meant to protect.
fn path(node: &Node<'_>, name: &str) -> Option<String> {
    let pattern = node.text()?;
    let anything = pattern.is_empty() && name == "prefix";
    if !anything && !pattern.starts_with('/') && pattern != "*" {
        node.error("expected a path, which begins with `/`");
    }
    if pattern.contains(['?', '#']) {
        node.error("paths are compared without their query: expected no `?` and no `#`");
    }
    // Envoy's own rule: the slash is what separates.
    if name == "path_separated_prefix" && pattern.ends_with('/') {
        node.error("must not end with `/`");
    }
    Some(pattern)
}

/// The one extension of `path_match_policy` that Envoy has.
fn path_template(node: &Node<'_>) -> Option<PathTemplate> {
    node.object(|fields| {
        fields.get("name").map(|node| node.text());
        fields.required("typed_config")?.object(|fields| {
            if let Some(node) = fields.required("@type")
                && node.text().is_some_and(|text| text != TYPE)
            {
                node.error(format!("expected `{TYPE}`"));
            }
            let node = fields.required("path_template")?;
            PathTemplate::parse(&node.non_empty_text()?).map_err(|error| node.error(error)).ok()
        })?
    })?
}
