//! Which rule a path falls under (`config.route.v3.RouteMatch`).
//!
//! Paths are compared as Envoy shows them to filters. Whether `/a%2Fb` and `/a/../b` are
//! normalised before that is the connection manager's setting (`normalize_path`), for this filter
//! and for the native one.

use crate::config::{PathMatch, PathMatchKind};

/// A compiled match on the path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathMatcher {
    kind: Kind,
    pattern: Vec<u8>,
    case_sensitive: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Exact,
    Prefix,
}

impl PathMatcher {
    /// Compiles `wire`.
    pub fn new(wire: &PathMatch) -> Self {
        let (kind, pattern) = match &wire.kind {
            PathMatchKind::Path(path) => (Kind::Exact, path),
            PathMatchKind::Prefix(prefix) => (Kind::Prefix, prefix),
        };
        Self { kind, pattern: pattern.clone().into_bytes(), case_sensitive: wire.case_sensitive }
    }

    /// Whether `path`, without its query, falls under this match.
    pub fn matches(&self, path: &[u8]) -> bool {
        let compared = match self.kind {
            Kind::Exact => Some(path),
            // A request without a path, such as CONNECT, falls under the prefix of all paths.
            // (Natively it falls under no rule, and passes.)
            Kind::Prefix if path.is_empty() && self.pattern == b"/" => return true,
            Kind::Prefix => path.get(..self.pattern.len()),
        };
        compared.is_some_and(|compared| match self.case_sensitive {
            true => compared == self.pattern,
            false => compared.eq_ignore_ascii_case(&self.pattern),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches() {
        #[track_caller]
        fn check(kind: PathMatchKind, case_sensitive: bool, path: &str, expected: bool) {
            let matcher = PathMatcher::new(&PathMatch { kind, case_sensitive });
            assert_eq!(matcher.matches(path.as_bytes()), expected, "{path}");
        }
        let path = || PathMatchKind::Path("/Login".to_owned());
        let prefix = || PathMatchKind::Prefix("/api/".to_owned());
        check(path(), true, "/Login", true);
        check(path(), true, "/login", false);
        check(path(), false, "/login", true);
        for other in ["/Login/", "/Login%20", "/Login;x", "//Login", "Login", ""] {
            check(path(), true, other, false);
        }
        check(prefix(), true, "/api/x", true);
        check(prefix(), true, "/api/", true);
        check(prefix(), true, "/api", false);
        check(prefix(), true, "/API/x", false);
        check(prefix(), false, "/API/x", true);
        check(PathMatchKind::Prefix(String::new()), true, "", true);
        check(PathMatchKind::Prefix("/".to_owned()), true, "", true);
        check(PathMatchKind::Path("/".to_owned()), true, "", false);
    }
}
