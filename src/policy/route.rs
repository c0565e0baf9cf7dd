//! Which rule a request falls under (`config.route.v3.RouteMatch`).
//!
//! Paths are compared as Envoy shows them to filters. Whether `/a%2Fb` and `/a/../b` are
//! normalised before that is the connection manager's setting (`normalize_path`), for this filter
//! and for the native one.

use std::borrow::Cow;

use crate::authorize::Truth;
use crate::config::matching::{
    CookieMatch, HeaderCondition, HeaderMatch, MetadataCondition, MetadataMatch, ParameterMatch,
    RouteMatch, StringMatch,
};
use crate::config::path::PathSpecifier;
use crate::config::path_template::PathTemplate;
use crate::extract::{cookies, params};
use crate::path;
use crate::policy::path_start::StartPattern;
use crate::request::{PropertyPath, RequestHead};
use crate::text::TextMatcher;

/// A compiled `RouteMatch`.
#[derive(Clone, Debug)]
pub struct RouteMatcher {
    start: StartPattern,
    path: PathMatcher,
    headers: Vec<HeaderMatcher>,
    parameters: Vec<ParameterMatcher>,
    cookies: Vec<CookieMatcher>,
    grpc: bool,
    route: Vec<PropertyMatcher>,
}

impl RouteMatcher {
    /// Compiles `wire`.
    pub fn new(wire: &RouteMatch) -> Self {
        Self {
            start: StartPattern::of(&wire.path, wire.case_sensitive),
            path: PathMatcher::new(&wire.path, wire.case_sensitive),
            headers: wire.headers.iter().map(HeaderMatcher::new).collect(),
            parameters: wire.query_parameters.iter().map(ParameterMatcher::new).collect(),
            cookies: wire.cookies.iter().map(CookieMatcher::new).collect(),
            grpc: wire.grpc,
            route: wire
                .route_name
                .iter()
                .map(PropertyMatcher::of_route_name)
                .chain(wire.route_metadata.iter().map(PropertyMatcher::of_route_metadata))
                .collect(),
        }
    }

    /// How the paths begin that can match.
    pub(super) fn start(&self) -> StartPattern {
        self.start
    }

    /// Whether a request falls under this match.
    pub fn matches(&self, head: &RequestHead) -> bool {
        self.path.matches(head, head.path()) && self.conditions_hold(head)
    }

    /// The same where it is not certain that the backend reads the path as it stands: with every
    /// condition on it, a path is unclear that parsers read differently.
    pub fn judge(&self, head: &RequestHead) -> Truth {
        if !self.conditions_hold(head) {
            return Truth::No;
        }
        let matches = self.path.matches(head, head.path());
        match self.path {
            PathMatcher::Connect => return matches.into(),
            // It asks nothing of the path.
            PathMatcher::Prefix { all: true, .. } if matches => return Truth::Yes,
            _ => {}
        }
        let Some(path) = path::clear(head) else { return Truth::Unclear };
        let agrees = |path: &[u8]| self.path.matches(head, path) == matches;
        let certain = match (path::plain(path), &self.path) {
            (Cow::Borrowed(_), _) => true,
            // A template is written without escapes, and a glob takes any.
            (Cow::Owned(plain), PathMatcher::Template(_)) => agrees(&plain),
            // The other spellings of the escapes that are left, and what they stand for.
            (Cow::Owned(plain), _) => {
                agrees(&plain)
                    && agrees(&path::with_escapes(&plain, u8::to_ascii_uppercase))
                    && agrees(&path::with_escapes(&plain, u8::to_ascii_lowercase))
                    && agrees(&path::decoded(path))
            }
        };
        if certain { matches.into() } else { Truth::Unclear }
    }

    fn conditions_hold(&self, head: &RequestHead) -> bool {
        self.headers.iter().all(|matcher| matcher.matches(head))
            && self.parameters.iter().all(|matcher| matcher.matches(head))
            && self.cookies.iter().all(|matcher| matcher.matches(head))
            && (!self.grpc || head.is_grpc())
            && self.route.iter().all(|matcher| matcher.matches(head))
    }

    /// What the host must tell of the route, beside the headers.
    pub fn properties(&self) -> impl Iterator<Item = &PropertyPath> {
        self.route.iter().map(|matcher| &matcher.path)
    }
}

#[derive(Clone, Debug)]
pub(super) enum PathMatcher {
    Connect,
    Exact(TextMatcher),
    /// A prefix; `all` when it is that of all paths.
    Prefix {
        matcher: TextMatcher,
        all: bool,
    },
    Separated(TextMatcher, TextMatcher),
    Template(PathTemplate),
}

impl PathMatcher {
    pub(super) fn new(wire: &PathSpecifier, case_sensitive: bool) -> Self {
        use crate::config::matching::Pattern;
        let text = |pattern: Pattern| {
            TextMatcher::new(&StringMatch { pattern, ignore_case: !case_sensitive })
        };
        match wire {
            PathSpecifier::Connect => Self::Connect,
            PathSpecifier::Path(path) => Self::Exact(text(Pattern::Exact(path.clone()))),
            PathSpecifier::Regex(regex) => Self::Exact(TextMatcher::regex(regex)),
            PathSpecifier::Prefix(prefix) => {
                let all = prefix.is_empty() || prefix == "/";
                Self::Prefix { matcher: text(Pattern::Prefix(prefix.clone())), all }
            }
            PathSpecifier::SeparatedPrefix(prefix) => Self::Separated(
                text(Pattern::Exact(prefix.clone())),
                text(Pattern::Prefix(format!("{prefix}/"))),
            ),
            PathSpecifier::Template(template) => Self::Template(template.clone()),
        }
    }

    pub(super) fn matches(&self, head: &RequestHead, path: &[u8]) -> bool {
        match self {
            Self::Connect => head.value(":method") == Some(b"CONNECT"),
            Self::Exact(matcher) => matcher.matches(path),
            // The prefix of all paths stands for every request, also for those whose path does not
            // begin with a slash: CONNECT has none, and `OPTIONS *` is for the whole server.
            // (Natively they fall under no rule, and pass.)
            Self::Prefix { matcher, all } => *all || matcher.matches(path),
            Self::Separated(whole, prefix) => whole.matches(path) || prefix.matches(path),
            Self::Template(template) => path::fills(template, path),
        }
    }
}

/// What the proxy knows of the route that it chose.
#[derive(Clone, Debug)]
struct PropertyMatcher {
    path: PropertyPath,
    condition: PropertyCondition,
    invert: bool,
}

#[derive(Clone, Debug)]
enum PropertyCondition {
    Octets(Vec<u8>),
    /// A text, where what is absent counts as empty.
    Name(TextMatcher),
    Present(bool),
    Text(TextMatcher),
}

impl PropertyMatcher {
    fn of_route_name(wire: &StringMatch) -> Self {
        let path = ["xds", "route_name"].map(str::to_owned).to_vec();
        Self { path, condition: PropertyCondition::Name(TextMatcher::new(wire)), invert: false }
    }

    fn of_route_metadata(wire: &MetadataMatch) -> Self {
        let mut path = ["xds", "route_metadata", "filter_metadata"].map(str::to_owned).to_vec();
        path.extend(wire.path.iter().cloned());
        let condition = match &wire.value {
            // How Envoy hands a boolean to a plugin: one octet.
            MetadataCondition::Boolean(value) => PropertyCondition::Octets(vec![u8::from(*value)]),
            MetadataCondition::Present(present) => PropertyCondition::Present(*present),
            MetadataCondition::Text(text) => PropertyCondition::Text(TextMatcher::new(text)),
        };
        Self { path, condition, invert: wire.invert }
    }

    fn matches(&self, head: &RequestHead) -> bool {
        let value = head.property(&self.path);
        let holds = match &self.condition {
            PropertyCondition::Octets(octets) => value == Some(octets),
            PropertyCondition::Present(present) => value.is_some() == *present,
            PropertyCondition::Name(text) => text.matches(value.unwrap_or_default()),
            PropertyCondition::Text(text) => value.is_some_and(|value| text.matches(value)),
        };
        holds != self.invert
    }
}

#[derive(Clone, Debug)]
struct HeaderMatcher {
    name: String,
    condition: Condition,
    invert: bool,
    missing_as_empty: bool,
}

#[derive(Clone, Debug)]
enum Condition {
    Present(bool),
    Range(std::ops::Range<i64>),
    Text(TextMatcher),
}

impl HeaderMatcher {
    fn new(wire: &HeaderMatch) -> Self {
        let condition = match &wire.value {
            HeaderCondition::Present(present) => Condition::Present(*present),
            HeaderCondition::Range { start, end } => Condition::Range(*start..*end),
            HeaderCondition::Text(text) => Condition::Text(TextMatcher::new(text)),
        };
        let (invert, missing_as_empty) = (wire.invert, wire.missing_as_empty);
        Self { name: wire.name.clone(), condition, invert, missing_as_empty }
    }

    fn matches(&self, head: &RequestHead) -> bool {
        let mut values: Vec<&[u8]> = head.values(&self.name).collect();
        if values.is_empty() && self.missing_as_empty {
            values.push(b"");
        }
        let holds = match &self.condition {
            Condition::Present(present) => values.is_empty() != *present,
            // An absent header fulfils no condition on its value, and no inverted one.
            _ if values.is_empty() => return false,
            // Of several values, natively any one suffices.
            Condition::Range(range) => values.iter().any(|value| {
                let number = str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
                number.is_some_and(|number| range.contains(&number))
            }),
            Condition::Text(text) => values.iter().any(|value| text.matches(value)),
        };
        holds != self.invert
    }
}

#[derive(Clone, Debug)]
struct ParameterMatcher {
    name: Vec<u8>,
    value: Option<TextMatcher>,
    absent: bool,
}

impl ParameterMatcher {
    fn new(wire: &ParameterMatch) -> Self {
        let value = wire.value.as_ref().map(TextMatcher::new);
        Self { name: wire.name.clone().into_bytes(), value, absent: wire.absent }
    }

    /// The first parameter of the name counts, undecoded, as natively.
    fn matches(&self, head: &RequestHead) -> bool {
        let mut found = head.query().into_iter().flat_map(params);
        match found.find(|(name, _)| *name == self.name) {
            None => self.absent,
            Some((_, value)) => {
                !self.absent && self.value.as_ref().is_none_or(|matcher| matcher.matches(value))
            }
        }
    }
}

#[derive(Clone, Debug)]
struct CookieMatcher {
    name: Vec<u8>,
    value: TextMatcher,
    invert: bool,
}

impl CookieMatcher {
    fn new(wire: &CookieMatch) -> Self {
        let (name, invert) = (wire.name.clone().into_bytes(), wire.invert);
        Self { name, value: TextMatcher::new(&wire.value), invert }
    }

    fn matches(&self, head: &RequestHead) -> bool {
        let mut found = head.values("cookie").flat_map(cookies);
        let holds = found.any(|(name, value)| name == self.name && self.value.matches(value));
        holds != self.invert
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        #[track_caller]
        fn check(path: PathSpecifier, case_sensitive: bool, asked: &str, expected: bool) {
            let matcher = PathMatcher::new(&path, case_sensitive);
            let head = RequestHead::new(vec![(b":path".to_vec(), asked.as_bytes().to_vec())]);
            assert_eq!(matcher.matches(&head, head.path()), expected, "{path:?} {asked}");
        }
        let path = || PathSpecifier::Path("/Login".to_owned());
        let prefix = || PathSpecifier::Prefix("/api/".to_owned());
        let separated = || PathSpecifier::SeparatedPrefix("/api".to_owned());
        check(path(), true, "/Login", true);
        check(path(), true, "/Login?x", true);
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
        check(separated(), true, "/api", true);
        check(separated(), true, "/api?x", true);
        check(separated(), true, "/api/x", true);
        check(separated(), true, "/apix", false);
        check(separated(), false, "/API/", true);
        check(PathSpecifier::Regex("/[ab]+".to_owned()), true, "/ab?c", true);
        check(PathSpecifier::Regex("/[ab]+".to_owned()), true, "/abc", false);
        check(PathSpecifier::Prefix(String::new()), true, "", true);
        check(PathSpecifier::Prefix("/".to_owned()), true, "", true);
        check(PathSpecifier::Prefix("/".to_owned()), true, "*", true);
        check(PathSpecifier::Prefix("/a".to_owned()), true, "*", false);
        check(PathSpecifier::Path("/".to_owned()), true, "", false);
    }

    /// Where the backend may read another path than this one, nobody can tell.
    #[test]
    fn unclear_paths() {
        #[track_caller]
        fn check(path: PathSpecifier, asked: &[(&str, &str)], expected: Truth) {
            let matcher = RouteMatcher {
                start: StartPattern::ANY,
                path: PathMatcher::new(&path, true),
                headers: Vec::new(),
                parameters: Vec::new(),
                cookies: Vec::new(),
                grpc: false,
                route: Vec::new(),
            };
            let octets = |text: &str| text.as_bytes().to_vec();
            let head = asked.iter().map(|(name, value)| (octets(name), octets(value)));
            let head = RequestHead::new(head.collect());
            assert_eq!(matcher.judge(&head), expected, "{path:?} {asked:?}");
        }
        use Truth::{No, Unclear, Yes};
        let admin = || PathSpecifier::Prefix("/admin".to_owned());
        for (path, expected) in [
            ("/admin/x", Yes),
            ("/x", No),
            ("/x%20y", No),
            ("/x%40y", No),
            ("/%61dmin", Unclear),
            ("/admin%2Fx", Unclear),
            ("/admin/../x", Unclear),
            ("/x/../admin", Unclear),
            ("//admin", Unclear),
            ("/x;/../admin", Unclear),
            ("admin", Unclear),
            ("*", No),
            ("", No),
        ] {
            check(admin(), &[(":path", path)], expected);
        }
        let all = || PathSpecifier::Prefix("/".to_owned());
        check(all(), &[(":path", "/x/../y;z")], Yes);
        check(all(), &[(":method", "CONNECT")], Yes);
        check(all(), &[(":path", "*")], Yes);
        check(all(), &[(":path", "x")], Yes);
        check(PathSpecifier::Connect, &[(":method", "CONNECT")], Yes);
        check(PathSpecifier::Connect, &[(":method", "GET"), (":path", "/..")], No);
    }
}
