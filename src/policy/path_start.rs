//! How paths begin: most of a thousand rules are passed over by one comparison.

use crate::config::path::PathSpecifier;
use crate::config::path_template::Piece;

/// The first octets of a path, with zeros behind a shorter one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PathStart(u128);

/// The first octets of all paths that can match; those that may be anything are masked out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct StartPattern {
    octets: u128,
    mask: u128,
}

impl PathStart {
    /// That of `path`.
    pub(super) fn of(path: &[u8]) -> Self {
        Self(first_octets(path, |octet| octet))
    }
}

impl StartPattern {
    /// That of any path.
    pub(super) const ANY: Self = Self { octets: 0, mask: 0 };

    /// That of the paths that `wire` can match.
    pub(super) fn of(wire: &PathSpecifier, case_sensitive: bool) -> Self {
        let text = match wire {
            PathSpecifier::Path(text) | PathSpecifier::SeparatedPrefix(text) => text,
            // The prefix of all paths is that of requests without a path, too.
            PathSpecifier::Prefix(text) if text != "/" => text,
            PathSpecifier::Template(template) => match template.pieces().first() {
                Some(Piece::Literal(text)) => return Self::literal(text.as_bytes()),
                _ => return Self::ANY,
            },
            _ => return Self::ANY,
        };
        if case_sensitive { Self::literal(text.as_bytes()) } else { Self::ANY }
    }

    fn literal(text: &[u8]) -> Self {
        Self { octets: first_octets(text, |octet| octet), mask: first_octets(text, |_| 0xff) }
    }

    /// Whether a path that begins so can match. If not, it cannot.
    pub(super) fn may_fit(self, start: PathStart) -> bool {
        (self.octets ^ start.0) & self.mask == 0
    }
}

fn first_octets(text: &[u8], of: impl Fn(u8) -> u8) -> u128 {
    let mut octets = [0; 16];
    for (place, octet) in octets.iter_mut().zip(text) {
        *place = of(*octet);
    }
    u128::from_le_bytes(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::path_template::PathTemplate;
    use crate::policy::route::PathMatcher;
    use crate::request::RequestHead;
    use proptest::prelude::*;

    fn specifier() -> impl Strategy<Value = PathSpecifier> {
        let text = || "/[ab/A]{0,18}";
        prop_oneof![
            text().prop_map(PathSpecifier::Path),
            text().prop_map(PathSpecifier::Prefix),
            Just(PathSpecifier::Prefix(String::new())),
            text().prop_map(|text| PathSpecifier::SeparatedPrefix(
                text.trim_end_matches('/').to_owned()
            )),
            text().prop_map(|text| {
                let text = format!("{}/*", text.trim_end_matches('/').replace("//", "/b/"));
                PathTemplate::parse(&text).map_or(PathSpecifier::Connect, PathSpecifier::Template)
            }),
            Just(PathSpecifier::Regex("/a.*".to_owned())),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Whatever matches fits.
        #[test]
        fn no_match_is_passed_over(
            wire in specifier(),
            case_sensitive: bool,
            path in "(/?[abA/]{0,20})?",
            own in 0..24_usize,
        ) {
            // Often a path that begins as the pattern does.
            let path = match &wire {
                PathSpecifier::Path(text) | PathSpecifier::Prefix(text)
                | PathSpecifier::SeparatedPrefix(text) if own < 20 => {
                    format!("{}{path}", text.get(..own.min(text.len())).unwrap_or_default())
                }
                _ => path,
            };
            let head = RequestHead::new(vec![(b":path".to_vec(), path.clone().into_bytes())]);
            if PathMatcher::new(&wire, case_sensitive).matches(&head, head.path()) {
                let fits = StartPattern::of(&wire, case_sensitive)
                    .may_fit(PathStart::of(head.path()));
                prop_assert!(fits, "{:?} {}", wire, path);
            }
        }
    }

    #[test]
    fn most_are_passed_over() {
        let fits = |prefix: &str, path: &str| {
            StartPattern::of(&PathSpecifier::Prefix(prefix.to_owned()), true)
                .may_fit(PathStart::of(path.as_bytes()))
        };
        assert!(fits("/service12/", "/service12/x") && fits("/a", "/a"));
        assert!(!fits("/service12/", "/service13/x") && !fits("/ab", "/a") && !fits("/a", ""));
        assert!(fits("/", "") && fits("", ""));
    }
}
