//! Texts against patterns (`envoy.type.matcher.v3.StringMatcher`), in time linear in the text.

use regex_lite::Regex;

use crate::config::matching::{Pattern, StringMatch};
use crate::expression;

/// A compiled `StringMatcher`.
#[derive(Clone, Debug)]
pub struct TextMatcher {
    kind: Kind,
    ignore_case: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Contains(Vec<u8>),
    Exact(Vec<u8>),
    Prefix(Vec<u8>),
    /// None: it does not compile, which is a mistake that the configuration reported.
    Regex(Option<Regex>),
    Suffix(Vec<u8>),
}

impl TextMatcher {
    /// Compiles `wire`.
    pub fn new(wire: &StringMatch) -> Self {
        let octets = |text: &String| text.clone().into_bytes();
        let kind = match &wire.pattern {
            Pattern::Contains(text) => Kind::Contains(octets(text)),
            Pattern::Exact(text) => Kind::Exact(octets(text)),
            Pattern::Prefix(text) => Kind::Prefix(octets(text)),
            Pattern::Suffix(text) => Kind::Suffix(octets(text)),
            Pattern::Regex(regex) => Kind::Regex(expression::compile(regex).ok()),
        };
        Self { kind, ignore_case: wire.ignore_case }
    }

    /// A matcher for all of a text, by a regular expression.
    pub fn regex(regex: &str) -> Self {
        Self { kind: Kind::Regex(expression::compile(regex).ok()), ignore_case: false }
    }

    /// Whether `text` matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        let same = |part: Option<&[u8]>, pattern: &[u8]| {
            part.is_some_and(|part| match self.ignore_case {
                true => part.eq_ignore_ascii_case(pattern),
                false => part == pattern,
            })
        };
        match &self.kind {
            Kind::Exact(pattern) => same(Some(text), pattern),
            Kind::Prefix(pattern) => same(text.get(..pattern.len()), pattern),
            Kind::Suffix(pattern) => {
                let start = text.len().checked_sub(pattern.len());
                same(start.and_then(|start| text.get(start..)), pattern)
            }
            Kind::Contains(pattern) => {
                text.windows(pattern.len().max(1)).any(|part| same(Some(part), pattern))
            }
            // What is not UTF-8 matches no expression, as natively.
            Kind::Regex(regex) => match (regex, str::from_utf8(text)) {
                (Some(regex), Ok(text)) => regex.is_match(text),
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        #[track_caller]
        fn check(pattern: Pattern, ignore_case: bool, text: &str, expected: bool) {
            let matcher = TextMatcher::new(&StringMatch { pattern, ignore_case });
            assert_eq!(matcher.matches(text.as_bytes()), expected, "{matcher:?} {text}");
        }
        let text = |text: &str| text.to_owned();
        check(Pattern::Exact(text("Ab")), false, "Ab", true);
        check(Pattern::Exact(text("Ab")), false, "ab", false);
        check(Pattern::Exact(text("Ab")), true, "aB", true);
        check(Pattern::Exact(text("")), false, "", true);
        check(Pattern::Prefix(text("ab")), false, "abc", true);
        check(Pattern::Prefix(text("ab")), false, "a", false);
        check(Pattern::Suffix(text("bc")), true, "ABC", true);
        check(Pattern::Suffix(text("bc")), false, "c", false);
        check(Pattern::Contains(text("b")), false, "abc", true);
        check(Pattern::Contains(text("B")), true, "abc", true);
        check(Pattern::Contains(text("b")), false, "", false);
        check(Pattern::Regex(text("a+")), false, "aa", true);
        check(Pattern::Regex(text("a+")), true, "AA", false);
    }
}
