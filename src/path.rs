//! Paths: against templates, and whether every parser reads them alike.
//!
//! Authorization compares a part of the path with what a token says. That is worth nothing where the
//! backend takes another part: it may resolve dot segments, merge slashes, decode once or twice, or
//! cut parameters off segments. So a path that leaves room for that is not clear, and gives no value.

use std::borrow::Cow;

use crate::config::path_template::{PathTemplate, Piece, is_plain};
use crate::request::RequestHead;

/// Whether `path` is what a template stands for.
pub fn fills(template: &PathTemplate, path: &[u8]) -> bool {
    find(template.pieces(), path, &mut |_| ())
}

/// The segment for which the glob with this number stands, if `path` is what the template stands for.
pub fn segment<'p>(template: &PathTemplate, glob: usize, path: &'p [u8]) -> Option<&'p [u8]> {
    let mut left = glob;
    let mut segment = None;
    let filled = find(template.pieces(), path, &mut |part| match left.checked_sub(1) {
        Some(fewer) => left = fewer,
        None => {
            segment.get_or_insert(part);
        }
    });
    segment.filter(|_| filled)
}

/// The path with other texts for globs with these numbers, if it is what the template stands for.
pub fn replaced(
    template: &PathTemplate,
    texts: &[(usize, Vec<u8>)],
    path: &[u8],
) -> Option<Vec<u8>> {
    let mut parts = Vec::new();
    if !find(template.pieces(), path, &mut |part| parts.push(part)) {
        return None;
    }
    let mut replaced = Vec::with_capacity(path.len());
    let mut parts = (0_usize..).zip(parts);
    for piece in template.pieces() {
        if let Piece::Literal(text) = piece {
            replaced.extend_from_slice(text.as_bytes());
            continue;
        }
        let (glob, part) = parts.next()?;
        let other = texts.iter().find(|(own, _)| *own == glob).map(|(_, text)| text.as_slice());
        replaced.extend_from_slice(other.unwrap_or(part));
    }
    Some(replaced)
}

/// Matches from the left and tells what each glob stands for. One pass suffices: a segment ends at
/// a slash or, as the last piece but one, before a suffix; behind `**` comes one literal.
fn find<'p>(pieces: &[Piece], path: &'p [u8], told: &mut dyn FnMut(&'p [u8])) -> bool {
    let plain = |part: &[u8]| part.iter().copied().all(is_plain);
    match pieces {
        [] => path.is_empty(),
        [Piece::Literal(text), rest @ ..] => {
            path.strip_prefix(text.as_bytes()).is_some_and(|path| find(rest, path, told))
        }
        [Piece::Rest, rest @ ..] => path.strip_suffix(literal(rest)).is_some_and(|part| {
            told(part);
            part.split(|octet| *octet == b'/').all(plain)
        }),
        [Piece::Segment, rest @ ..] => {
            let end = path.iter().position(|octet| *octet == b'/').unwrap_or(path.len());
            let (segment, path) = path.split_at_checked(end).unwrap_or_default();
            let suffix = Some(literal(rest)).filter(|suffix| !suffix.contains(&b'/'));
            match suffix {
                Some(suffix) => {
                    let part = segment.strip_suffix(suffix).unwrap_or_default();
                    told(part);
                    path.is_empty() && !part.is_empty() && plain(part)
                }
                None => {
                    told(segment);
                    !segment.is_empty() && plain(segment) && find(rest, path, told)
                }
            }
        }
    }
}

/// The text of the literal that comes first, or none.
fn literal(pieces: &[Piece]) -> &[u8] {
    match pieces {
        [Piece::Literal(text), ..] => text.as_bytes(),
        _ => b"",
    }
}

/// The path of a request, if every parser finds the same segments in it.
///
/// Not clear are: dot segments and empty segments (but for the last), `;` and backslashes, all of them
/// escaped or not; escaped slashes and percent signs; escaped or plain control characters; octets that
/// no path may have (RFC 3986 section 3.3), unless they are escaped UTF-8; and escapes that are none.
/// Nor is a path with a fragment, which no request should have.
pub fn clear(head: &RequestHead) -> Option<&[u8]> {
    let path = head.path();
    (is_clear(path) && !head.path_and_query().contains(&b'#')).then_some(path)
}

/// The same of a path alone.
pub fn is_clear(path: &[u8]) -> bool {
    // CONNECT has no path, and `OPTIONS *` only this one.
    if path.is_empty() || path == b"*" {
        return true;
    }
    let Some(rest) = path.strip_prefix(b"/") else { return false };
    let mut segments = rest.split(|octet| *octet == b'/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if (segment.is_empty() && !last) || !is_clear_segment(segment) {
            return false;
        }
    }
    true
}

fn is_clear_segment(segment: &[u8]) -> bool {
    let mut rest = segment;
    while let Some((octet, after)) = next(rest) {
        let escaped = after.len().abs_diff(rest.len()) > 1;
        let clear = match octet {
            None | Some(b'/' | b'%' | b';' | b'\\' | b'?' | b'#' | 0..0x20 | 0x7f) => false,
            // What no path may have without an escape (RFC 3986 section 3.3) has two spellings.
            Some(octet) => escaped || is_plain(octet),
        };
        if !clear {
            return false;
        }
        rest = after;
    }
    // Long forms of UTF-8 hide slashes and dots from parsers that do not know them.
    !matches!(plain(segment).as_ref(), b"." | b"..") && str::from_utf8(&decoded(segment)).is_ok()
}

/// `path` with the escapes of octets decoded that need none in a path: what a parser that normalises
/// (RFC 3986 section 6.2.2.2) may see in its place.
pub fn plain(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.contains(&b'%') {
        return Cow::Borrowed(path);
    }
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((octet, after)) = next(rest) {
        match octet {
            Some(octet) if is_plain(octet) && octet != b'%' => plain.push(octet),
            _ => {
                let written = rest.len().saturating_sub(after.len());
                plain.extend(rest.get(..written).unwrap_or_default());
            }
        }
        rest = after;
    }
    Cow::Owned(plain)
}

/// The same path with each escape's digits in one case.
pub fn with_escapes(path: &[u8], case: fn(&u8) -> u8) -> Vec<u8> {
    let mut written = Vec::with_capacity(path.len());
    let mut digits = 0_u8;
    for octet in path {
        written.push(if digits > 0 { case(octet) } else { *octet });
        digits = if *octet == b'%' { 2 } else { digits.saturating_sub(1) };
    }
    written
}

/// What a segment of a clear path says, decoded.
pub fn decoded(segment: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((octet, after)) = next(rest) {
        decoded.extend(octet);
        rest = after;
    }
    decoded
}

/// The first octet, decoded (none: a `%` without two digits), and what follows.
fn next(text: &[u8]) -> Option<(Option<u8>, &[u8])> {
    let (first, rest) = text.split_first()?;
    if *first != b'%' {
        return Some((Some(*first), rest));
    }
    let digit =
        |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let octet = match rest {
        [high, low, ..] => digit(*high).zip(digit(*low)).map(|(high, low)| (high << 4) | low),
        _ => None,
    };
    match octet {
        Some(octet) => Some((Some(octet), rest.get(2..).unwrap_or_default())),
        None => Some((None, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        #[track_caller]
        fn check(template: &str, path: &str, expected: bool) {
            let template = PathTemplate::parse(template).unwrap();
            assert_eq!(fills(&template, path.as_bytes()), expected, "{template:?} {path}");
        }
        check("/", "/", true);
        check("/", "/a", false);
        check("/a/", "/a", false);
        check("/a/", "/a/", true);
        check("/users/{id}", "/users/7", true);
        check("/users/{id}", "/users/", false);
        check("/users/{id}", "/users/7/", false);
        check("/users/{id}", "/users/7/orders", false);
        check("/users/{id}/orders", "/users/7/orders", true);
        check("/users/{id}/orders", "/users//orders", false);
        check("/users/*", "/users/a%20b;c@d", true);
        check("/users/*", "/users/a=b", true);
        check("/users/*", "/users/a^b", false);
        check("/users/*", "/users/\u{e9}", false);
        check("/v/*/*.m4s", "/v/hls/1.m4s", true);
        check("/v/*/*.m4s", "/v/hls/.m4s", false);
        check("/v/*/*.m4s", "/v/hls/1.m4s.m4s", true);
        check("/v/*/*.m4s", "/v/hls/1.m4s/", false);
        check("/a/**", "/a", false);
        check("/a/**", "/a/", true);
        check("/a/**", "/a/b//c", true);
        check("/a/**", "/a/b\"c", false);
        check("/**.mpd", "/a/b.mpd", true);
        check("/**.mpd", "/.mpd", true);
        check("/**.mpd", "/a/b.mp4", false);
        check("/a/**/z", "/a//z", true);
        check("/a/**/z", "/a/b/c/z", true);
        check("/a/**/z", "/a/z", false);
        check("/{x=v/*}/{rest=**}", "/v/1/2/3", true);
        check("/{x=v/*}/{rest=**}", "/w/1/2/3", false);
        check("/{x=v/*}.json", "/v/1.json", true);
    }
    #[test]
    fn variables() {
        #[track_caller]
        fn check(template: &str, name: &str, path: &str, expected: Option<&str>) {
            let template = PathTemplate::parse(template).unwrap();
            let found =
                template.variable(name).and_then(|glob| segment(&template, glob, path.as_bytes()));
            assert_eq!(found, expected.map(str::as_bytes), "{template:?} {path}");
        }
        check("/users/{id}", "id", "/users/7", Some("7"));
        check("/users/{id}", "id", "/users/7/", None);
        check("/users/{id}", "id", "/users/", None);
        check("/users/{id}", "other", "/users/7", None);
        check("/{a}/{b=*}/**", "b", "/x/y/z/w", Some("y"));
        check("/*/{b}", "b", "/x/y", Some("y"));
        check("/{v=x/*}/{b}", "b", "/x/1/y", Some("y"));
        check("/{v=x/*}/{b}", "v", "/x/1/y", None);
        check("/{rest=**}", "rest", "/x/1", None);
        check("/u/{id}.json", "id", "/u/a.b.json", Some("a.b"));
        check("/u/{id}.json", "id", "/u/a.json/x", None);
    }

    #[test]
    fn clear_paths() {
        for path in [
            "", "*", "/", "/a", "/a/", "/a/b", "/a%20b", "/a%40b@c", "/%C3%A9", "/...", "/a.b",
            "/.a",
        ] {
            assert!(is_clear(path.as_bytes()), "{path}");
        }
        for path in [
            "a",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/./a",
            "/a/..",
            "/a/../b",
            "/%2e/a",
            "/a/%2E.",
            "/.%2e",
            "/a;x",
            "/a;",
            "/..;/a",
            "/a%3bx",
            "/a%3Bx",
            "/a%2Fb",
            "/a%2fb",
            "/a\\b",
            "/a%5Cb",
            "/a%252Fb",
            "/a%25",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%00",
            "/a%0d%0ab",
            "/a\u{1}",
            "/a%7F",
            "/\u{e9}",
            "/a%3Fb",
            "/a%23b",
            "http://h/a",
            "/%C0%AE%C0%AE/a",
            "/a%C0%AFb",
            "/%FF",
            "/a%u002fb",
        ] {
            assert!(!is_clear(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(plain(b"/%61dmin/%2F%20%zz%4").as_ref(), b"/admin/%2F%20%zz%4");
        assert_eq!(plain(b"/a@b").as_ref(), b"/a@b");
        assert_eq!(plain(b"/a%40b").as_ref(), b"/a@b");
        assert_eq!(decoded(b"a%40b%C3%A9+c"), "a@b\u{e9}+c".as_bytes());
    }
}
