//! Where tokens are in a request, and how to take them out again before it goes on.
//!
//! Every instance at a location is a candidate, also the second parameter of a name and the
//! second cookie, and those whose names some backend reads as that one: whatever could reach the backend
//! as a token must have been verified.

mod cookie;
mod spelling;
mod target;

use std::borrow::Cow;

pub use crate::extract::cookie::cookies;
use crate::extract::cookie::{all_cookies, cookie_pairs, cookies_in};
use crate::extract::spelling::{percent_decode, reads_as};
pub use crate::extract::target::{TargetChange, encoded_param, percent_encode};
use crate::request::{RequestEdit, RequestHead, header_reads_as};

/// A place in a request that may hold a token.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TokenLocation {
    /// A header, after a prefix.
    Header {
        /// Its name in lower case.
        name: String,
        /// What stands before the token; empty: the whole value is the token.
        prefix: String,
    },
    /// A query parameter.
    Param {
        /// Its name, decoded.
        name: String,
    },
    /// A cookie.
    Cookie {
        /// Its name.
        name: String,
    },
}

impl TokenLocation {
    /// Where tokens are when the configuration names no place (RFC 6750 sections 2.1 and 2.3).
    pub fn defaults() -> Vec<Self> {
        vec![
            Self::Header { name: "authorization".to_owned(), prefix: "Bearer ".to_owned() },
            Self::Param { name: "access_token".to_owned() },
        ]
    }

    /// Whether it is taken out with `other`: taking a header takes all of it, whatever the prefix.
    pub fn goes_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Header { name, .. }, Self::Header { name: other, .. }) => name == other,
            _ => self == other,
        }
    }

    /// The tokens at this location, in the order of the request.
    pub fn tokens<'a>(&'a self, head: &'a RequestHead) -> Vec<Cow<'a, [u8]>> {
        match self {
            Self::Header { name, prefix } => head
                .headers()
                .filter(|(own, _)| header_reads_as(own, name.as_bytes()))
                .filter_map(|(_, value)| find_prefixed(value, prefix))
                .map(Cow::Borrowed)
                .collect(),
            Self::Param { name } => head
                .query()
                .into_iter()
                .flat_map(pairs)
                .filter(|(own, _)| reads_as(own, name.as_bytes()))
                .map(|(_, value)| percent_decode(value))
                .collect(),
            Self::Cookie { name } => head
                .values("cookie")
                .flat_map(all_cookies)
                .filter(|(own, _)| reads_as(own, name.as_bytes()))
                .map(|(_, value)| Cow::Borrowed(value))
                .collect(),
        }
    }
}

/// The changes that take the tokens at `locations` out of a request, and those of `target` to its path
/// and query.
///
/// Only the token goes: other parameters keep every octet, other cookies stay. A header goes
/// whole, as natively.
pub fn removal<'a>(
    locations: impl Iterator<Item = &'a TokenLocation>,
    head: &RequestHead,
    mut target: TargetChange<'a>,
) -> Vec<RequestEdit> {
    let mut edits = Vec::new();
    let mut cookie_names = Vec::new();
    for location in locations {
        match location {
            TokenLocation::Header { name, .. } => {
                let own = name.as_bytes();
                edits.push(RequestEdit::Remove(own.to_vec()));
                let others = head.headers().map(|(other, _)| other);
                let others = others.filter(|other| *other != own && header_reads_as(other, own));
                for other in others.map(|other| RequestEdit::Remove(other.to_vec())) {
                    if !edits.contains(&other) {
                        edits.push(other);
                    }
                }
            }
            TokenLocation::Param { name } => target.taken.push(name.as_bytes()),
            TokenLocation::Cookie { name } => cookie_names.push(name.as_bytes()),
        }
    }
    edits.extend(target.edit(head));
    if !cookie_names.is_empty() {
        edits.push(RequestEdit::Remove(b"cookie".to_vec()));
        for value in head.values("cookie") {
            let kept: Vec<&[u8]> = cookie_pairs(value)
                .filter(|pair| {
                    !cookies_in(pair)
                        .any(|(name, _)| cookie_names.iter().any(|own| reads_as(name, own)))
                })
                .collect();
            if !kept.is_empty() {
                edits.push(RequestEdit::Add("cookie".to_owned(), kept.join(&b"; "[..])));
            }
        }
    }
    edits
}

/// The parameters of a query, undecoded.
pub fn params(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|octet| *octet == b'&').map(split_param)
}

/// The same, and what backends find that take `;` for a separator, too.
fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = query.split(|octet| *octet == b'&');
    pairs.flat_map(|pair| {
        // A bare word there is no token.
        let inner = pair.split(|octet| *octet == b';').skip(1);
        std::iter::once(split_param(pair)).chain(inner.filter_map(|part| split_once(part, b'=')))
    })
}

fn split_param(pair: &[u8]) -> (&[u8], &[u8]) {
    split_once(pair, b'=').unwrap_or((pair, &[]))
}

fn split_once(octets: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = octets.iter().position(|octet| *octet == separator)?;
    Some((octets.get(..at)?, octets.get(at.saturating_add(1)..)?))
}

/// The token of a header value: behind the prefix at its start, else behind the prefix at the start
/// of a later element. Envoy joins repeated headers with commas, and a token must not hide behind
/// another one's credentials.
fn find_prefixed<'a>(value: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    strip_prefix_ignoring_case(value, prefix).or_else(|| {
        let commas = value.iter().enumerate().filter(|(_, octet)| **octet == b',');
        let mut elements =
            commas.filter_map(|(at, _)| Some(value.get(at.saturating_add(1)..)?.trim_ascii()));
        elements.find_map(|element| strip_prefix_ignoring_case(element, prefix))
    })
}

/// The scheme of `Authorization` has no case (RFC 9110 section 11.1). Being lenient here lets
/// nobody in: what is found must be verified.
///
/// Only blanks end the scheme (section 11.4), but backends exist that take tabs for one, or blanks that are
/// not ASCII: what comes behind those counts, and is no good token.
fn strip_prefix_ignoring_case<'a>(value: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let scheme = prefix.trim_end_matches(' ');
    let (start, rest) = value.split_at_checked(scheme.len())?;
    let token = match (prefix.get(scheme.len()..)?, rest) {
        ("", _) | (_, [b' ', ..]) => rest.trim_ascii(),
        (_, [odd, ..]) if !odd.is_ascii_graphic() => rest,
        _ => return None,
    };
    start.eq_ignore_ascii_case(scheme.as_bytes()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::head;

    fn header(name: &str, prefix: &str) -> TokenLocation {
        TokenLocation::Header { name: name.to_owned(), prefix: prefix.to_owned() }
    }

    fn param(name: &str) -> TokenLocation {
        TokenLocation::Param { name: name.to_owned() }
    }

    fn cookie(name: &str) -> TokenLocation {
        TokenLocation::Cookie { name: name.to_owned() }
    }

    #[track_caller]
    fn check(location: &TokenLocation, headers: &[(&str, &str)], tokens: &[&str]) {
        let head = head(headers);
        let found = location.tokens(&head);
        let found: Vec<_> = found.iter().map(|token| String::from_utf8_lossy(token)).collect();
        assert_eq!(found, tokens, "{headers:?}");
    }

    #[test]
    fn headers() {
        let bearer = header("authorization", "Bearer ");
        check(&bearer, &[("authorization", "Bearer a.b.c")], &["a.b.c"]);
        check(&bearer, &[("authorization", "bearer a.b.c")], &["a.b.c"]);
        check(&bearer, &[("authorization", "BEARER   a.b.c ")], &["a.b.c"]);
        check(&bearer, &[("authorization", "Bearer a,Bearer b")], &["a,Bearer b"]);
        check(
            &bearer,
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
            &["a", "b"],
        );
        for other in [
            "Basic YTpi",
            "Bearer",
            "Bearera.b.c",
            "",
            "x Bearer a.b.c",
            "\u{e4}\u{e4}\u{e4}\u{e4}",
        ] {
            check(&bearer, &[("authorization", other)], &[]);
        }
        check(&bearer, &[("authorization", "Basic a,Bearer b.c.d")], &["b.c.d"]);
        check(&bearer, &[("authorization", "Basic a , bearer b, Bearer c")], &["b, Bearer c"]);
        for odd in ["\ta.b.c", "\t a.b.c", "\u{a0}a.b.c", "\u{2003}a.b.c", "\u{b}a.b.c"] {
            let value = format!("Bearer{odd}");
            check(&bearer, &[("authorization", &value)], &[odd]);
            check(&bearer, &[("authorization", &format!("Basic a, {value}"))], &[odd]);
        }
        check(&header("x-jwt", ""), &[("x-jwt", "a.b.c")], &["a.b.c"]);
        check(&header("x-jwt", ""), &[("x-jwt", "a"), ("x_jwt", "b")], &["a", "b"]);
    }

    #[test]
    fn parameters() {
        let path = |path| [(":path", path)];
        check(&param("t"), &path("/x?t=a.b.c"), &["a.b.c"]);
        check(&param("t"), &path("/x?a=1&t=a%2Eb.c&t=d#t=e"), &["a.b.c", "d"]);
        check(&param("t"), &path("/x?%74=a"), &["a"]);
        check(&param("t"), &path("/x?t"), &[""]);
        check(&param("t"), &path("/x?t=%zz%4"), &["%zz%4"]);
        check(&param("t"), &path("/x?T=a&tt=b&xt=c"), &[]);
        check(&param("t"), &path("/x?t[]=a&b=1;t=c&t=d;e=1&q=oauth;t"), &["a", "c", "d;e=1"]);
        for (own, target) in [
            ("t[]", "/x?t%5B%5D=a"),
            ("auth[token]", "/x?auth[token]=a"),
            ("t+", "/x?t%2B=a"),
            ("a b", "/x?a%20b=a"),
            ("\u{e9}", "/x?%C3%A9=a"),
        ] {
            check(&param(own), &path(target), &["a"]);
        }
        check(&param("t[]"), &path("/x?t[]=a"), &["a"]);
        check(&param("a;b"), &path("/x?a;b=a"), &["a"]);
        check(&param("t"), &path("/t=a"), &[]);
    }

    #[test]
    fn cookie_values() {
        check(&cookie("t"), &[("cookie", "a=1; t=x.y.z")], &["x.y.z"]);
        check(
            &cookie("t"),
            &[("cookie", "t=\"x.y.z\";t=w"), ("cookie", " t = v ")],
            &["x.y.z", "w", "v"],
        );
        check(&cookie("t"), &[("cookie", "tt=1; t; x=t=2")], &[]);
    }

    #[track_caller]
    fn check_removal(
        locations: &[TokenLocation],
        headers: &[(&str, &str)],
        expected: &[RequestEdit],
    ) {
        let edits = removal(locations.iter(), &head(headers), TargetChange::default());
        assert_eq!(edits, expected);
    }

    #[test]
    fn removal_touches_nothing_else() {
        let path = |path: &str| RequestEdit::Replace(":path".to_owned(), path.as_bytes().to_vec());
        let at = |path| [(":path", path)];
        check_removal(&[param("t")], &at("/x?a=%26b%3D&t=tok&c=+"), &[path("/x?a=%26b%3D&c=+")]);
        check_removal(&[param("t")], &at("/x?t=tok"), &[path("/x")]);
        check_removal(&[param("t")], &at("/x?t=tok&%74=b&a&&=#f"), &[path("/x?a&&=#f")]);
        check_removal(
            &[cookie("t")],
            &[("cookie", "a=1; t=x;b=\"2\""), ("cookie", "t=y")],
            &[
                RequestEdit::Remove(b"cookie".to_vec()),
                RequestEdit::Add("cookie".to_owned(), b"a=1; b=\"2\"".to_vec()),
            ],
        );
        check_removal(&[header("x", "Bearer ")], &[], &[RequestEdit::Remove(b"x".to_vec())]);
        check_removal(
            &[header("x-t", ""), header("x-t", "JWT ")],
            &[("x_t", "a"), ("x-t", "b")],
            &["x-t", "x_t", "x-t"].map(|name| RequestEdit::Remove(name.as_bytes().to_vec())),
        );
        check_removal(&[param("t")], &at("/x?a=1;t=x&t[]=y&b=2;c=t"), &[path("/x?b=2;c=t")]);
        check_removal(&[param("t[k]")], &at("/x?a&t[k]=x&t%5Bk%5D=x"), &[path("/x?a")]);
        check_removal(&[param("a;b")], &at("/x?a;b=x&c"), &[path("/x?c")]);
    }
}
