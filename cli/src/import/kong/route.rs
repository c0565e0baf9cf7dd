//! Which requests a route of Kong is for.

use std::cmp::Reverse;

use serde_json::{Map, Value, json};

use crate::import::Imported;
use crate::tree::Tree;

/// The requests of a route with one of its paths, in the order in which Kong tries them: what says more,
/// hosts without wildcards, regular expressions, longer paths.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Matches {
    parts: Reverse<usize>,
    has_wildcards: bool,
    is_prefix: bool,
    length: Reverse<usize>,
    path: String,
    hosts: Vec<String>,
    methods: Vec<String>,
    headers: Vec<(String, Vec<String>)>,
}

/// The routes of a route: one for each of its paths.
pub fn read(route: &Tree, imported: &mut Imported) -> Vec<Matches> {
    if let Some(own) = route.get("snis") {
        imported.lost(own, "`snis` of a route: the rule is for every server name");
    }
    if let Some(own) = route.get("expression") {
        imported.lost(own, "`expression` of a route: the rule is for every request");
    }
    let texts = |name: &str| -> Vec<String> {
        let list = route.get(name).map(Tree::items).unwrap_or_default();
        list.iter().filter_map(Tree::text).map(str::to_owned).collect()
    };
    let (hosts, methods) = (texts("hosts"), texts("methods"));
    let mut headers = Vec::new();
    for own in route.get("headers").map(Tree::members).unwrap_or_default() {
        let values: Vec<_> =
            own.value.items().iter().filter_map(Tree::text).map(str::to_owned).collect();
        match values.iter().any(|value| value.starts_with("~*")) {
            true => imported.lost(
                &own.value,
                "a header by a regular expression: the rule is for requests whatever it says",
            ),
            false => headers.push((own.name.to_ascii_lowercase(), values)),
        }
    }
    headers.sort();
    let parts = [!hosts.is_empty(), !methods.is_empty(), !headers.is_empty()];
    let parts = parts.into_iter().filter(|is_there| *is_there).count();
    let written = texts("paths");
    let has_paths = !written.is_empty();
    let paths = if has_paths { written } else { vec!["/".to_owned()] };
    let one = |path: String| {
        let expression = path.strip_prefix('~').map(whole);
        Matches {
            parts: Reverse(parts.saturating_add(usize::from(has_paths))),
            has_wildcards: hosts.iter().any(|host| host.contains('*')),
            is_prefix: expression.is_none(),
            length: Reverse(path.len()),
            path: expression.unwrap_or(path),
            hosts: hosts.clone(),
            methods: methods.clone(),
            headers: headers.clone(),
        }
    };
    if paths.iter().any(|path| path.starts_with('~')) {
        imported.note(
            route,
            "a path that is a regular expression: Kong's are Perl's, the gate's are RE2's, so look at it",
        );
    }
    // As a prefix, such a path would match nothing.
    let is_expression = |path: &String| !path.starts_with('~') && path.contains(EXPRESSIVE);
    if paths.iter().any(is_expression) {
        imported.lost(
            route,
            "a path that Kong before 3.0 takes as a regular expression: write it with `~` in front",
        );
    }
    paths.into_iter().map(one).collect()
}

const EXPRESSIVE: &[char] = &['(', ')', '[', ']', '{', '}', '*', '+', '?', '^', '$', '|', '\\'];

/// Kong's expressions match at the beginning, the gate's as a whole.
fn whole(expression: &str) -> String {
    let plain = expression.strip_suffix('$').filter(|rest| !rest.ends_with('\\'));
    match (first_alternative(expression), plain) {
        // Kong's usual router writes `^` in front, which is of the first alternative only: the others match
        // anywhere. Its older router means the beginning for all of them, for which this is no less.
        (Some((first, rest)), _) => format!("(?:{first}|.*(?:{rest})).*"),
        (None, Some(plain)) => plain.to_owned(),
        (None, None) => format!("{expression}.*"),
    }
}

/// The alternative before a `|` that stands in neither a group nor a class, and all others.
fn first_alternative(expression: &str) -> Option<(&str, &str)> {
    let (mut depth, mut is_class, mut is_escaped) = (0_u32, false, false);
    for (place, letter) in expression.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '[' => is_class = true,
            ']' => is_class = false,
            _ if is_class => {}
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => {
                let rest = expression.get(place..)?.strip_prefix('|')?;
                return Some((expression.get(..place)?, rest));
            }
            _ => {}
        }
    }
    None
}

impl Matches {
    /// What a plugin for all routes is for.
    pub fn everything() -> Self {
        Self {
            parts: Reverse(0),
            has_wildcards: false,
            is_prefix: true,
            length: Reverse(1),
            path: "/".to_owned(),
            hosts: Vec::new(),
            methods: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Whether no request is left out.
    pub fn is_everything(&self) -> bool {
        self.is_prefix
            && self.path == "/"
            && self.hosts.is_empty()
            && self.methods.is_empty()
            && self.headers.is_empty()
    }

    /// The same as `match` of a rule.
    pub fn to_match(&self) -> Value {
        let mut own = Map::new();
        match self.is_prefix {
            true => own.insert("prefix".to_owned(), self.path.clone().into()),
            false => own.insert("safe_regex".to_owned(), json!({ "regex": self.path })),
        };
        let mut headers = Vec::new();
        let mut any = |name: &str, patterns: Vec<String>, how: &str| {
            if !patterns.is_empty() {
                let regex = format!("{how}(?:{})", patterns.join("|"));
                let matcher = json!({ "safe_regex": { "regex": regex } });
                headers.push(json!({ "name": name, "string_match": matcher }));
            }
        };
        any(":authority", self.hosts.iter().map(|host| host_pattern(host)).collect(), "(?i)");
        any(":method", self.methods.iter().map(|method| literal(method)).collect(), "");
        for (name, values) in &self.headers {
            any(name, values.iter().map(|value| literal(value)).collect(), "(?i)");
        }
        if !headers.is_empty() {
            own.insert("headers".to_owned(), headers.into());
        }
        own.into()
    }
}

/// A host with a wildcard at one end, if any; without a port it is for all.
fn host_pattern(host: &str) -> String {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => {
            (name, format!(":{port}"))
        }
        _ => (host, "(?::[0-9]*)?".to_owned()),
    };
    let name = match (name.strip_prefix("*."), name.strip_suffix(".*")) {
        (Some(end), _) => format!(".+[.]{}", literal(end)),
        (None, Some(beginning)) => format!("{}[.].+", literal(beginning)),
        (None, None) => literal(name),
    };
    format!("{name}{port}")
}

/// An expression for just this text.
fn literal(text: &str) -> String {
    let escaped = |letter: char| match letter {
        own if own.is_ascii_alphanumeric() || own == '-' || own == '_' || own == ' ' => {
            own.to_string()
        }
        own => format!("\\{own}"),
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (host, pattern) in [
            ("api.example", "api\\.example(?::[0-9]*)?"),
            ("*.api.example", ".+[.]api\\.example(?::[0-9]*)?"),
            ("api.*", "api[.].+(?::[0-9]*)?"),
            ("api.example:8443", "api\\.example:8443"),
        ] {
            assert_eq!(host_pattern(host), pattern);
        }
        assert_eq!(whole("/items/[0-9]+$"), "/items/[0-9]+");
        assert_eq!(whole("/items/[0-9]+"), "/items/[0-9]+.*");
        assert_eq!(whole("/a\\$"), "/a\\$.*");
        assert_eq!(whole("/admin|/private"), "(?:/admin|.*(?:/private)).*");
        assert_eq!(whole("/a|/b$"), "(?:/a|.*(?:/b$)).*");
        assert_eq!(whole("/(a|b)[|]\\|$"), "/(a|b)[|]\\|");
    }
}
