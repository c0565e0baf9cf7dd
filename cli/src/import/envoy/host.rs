//! Which hosts a virtual host is for, in the order in which Envoy looks for it.

use std::cmp::Reverse;

use serde_json::{Value, json};

use crate::tree::Tree;

/// Some hosts of a virtual host; what Envoy tries first is less: whole names, then long ends, long beginnings,
/// and everything.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Hosts {
    rank: u8,
    length: Reverse<usize>,
    /// An expression for `:authority`; none for every host.
    expression: Option<String>,
}

/// The hosts of a virtual host.
pub fn of(host: &Tree) -> Vec<Hosts> {
    let domains = host.get("domains").map(Tree::items).unwrap_or_default();
    let domains: Vec<_> = domains.iter().filter_map(Tree::text).collect();
    let (wild, whole): (Vec<_>, Vec<_>) = domains.iter().partition(|own| own.contains('*'));
    let mut all: Vec<_> = wild.into_iter().map(wildcard).collect();
    // No other virtual host can have the same name, so their order does not matter.
    if !whole.is_empty() {
        let names: Vec<_> = whole.into_iter().map(literal).collect();
        let expression = Some(format!("(?:{})", names.join("|")));
        all.push(Hosts { rank: 0, length: Reverse(0), expression });
    }
    if all.is_empty() {
        all.push(wildcard("*"));
    }
    all
}

/// A name with `*` at one end, which stands for one letter at least.
fn wildcard(domain: &str) -> Hosts {
    let (rank, expression) = match (domain.strip_prefix('*'), domain.strip_suffix('*')) {
        (Some(""), _) => (3, None),
        (Some(end), _) => (1, Some(format!(".+{}", literal(end)))),
        (None, Some(beginning)) => (2, Some(format!("{}.+", literal(beginning)))),
        (None, None) => (0, Some(literal(domain))),
    };
    Hosts { rank, length: Reverse(domain.len()), expression }
}

/// An expression for just this text.
fn literal(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let escaped = |own: char| if is_plain(own) { own.to_string() } else { format!("\\{own}") };
    text.chars().map(escaped).collect()
}

impl Hosts {
    /// The condition on `:authority`, if any. A port counts, unless the routes say that it does not.
    pub fn condition(&self, is_port_ignored: bool) -> Option<Value> {
        let port = if is_port_ignored { "(?::[0-9]+)?" } else { "" };
        let expression = self.expression.as_ref()?;
        let regex = json!({ "regex": format!("(?i){expression}{port}") });
        Some(json!({ "name": ":authority", "string_match": { "safe_regex": regex } }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envoys_order() {
        let mut all: Vec<_> =
            ["*", "a.*", "*.example", "ab.*", "*.a.example", "a"].map(wildcard).into();
        all.sort();
        let all: Vec<_> = all.into_iter().map(|own| own.expression).collect();
        let all: Vec<_> = all.iter().map(Option::as_deref).collect();
        assert_eq!(
            all,
            [
                Some("a"),
                Some(".+\\.a\\.example"),
                Some(".+\\.example"),
                Some("ab\\..+"),
                Some("a\\..+"),
                None
            ]
        );
    }
}
