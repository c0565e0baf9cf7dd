//! Names of parameters and cookies as backends may read them: a second token, or an identity that the
//! client sends, must not pass because its name is written otherwise. Those of headers: [`header_reads_as`].
//!
//! [`header_reads_as`]: crate::request::header_reads_as

use std::borrow::Cow;

/// Whether some backend may read this name of a parameter or cookie, undecoded, as that one, decoded:
/// as it stands, with blanks or brackets around it, with a subscript (`name[]`), cut off at an octet zero, or, as PHP
/// does, with `_` for what else names of variables cannot hold.
pub(super) fn reads_as(name: &[u8], own: &[u8]) -> bool {
    name == own
        || *percent_decode(name) == *own
        || reads(name, |read| read.eq(own.iter().map(fold)))
}

/// The same for backends whose names of parameters have no case, such as ASP.NET.
pub(super) fn reads_as_in_any_case(name: &[u8], own: &[u8]) -> bool {
    let is_same = percent_decode(name).eq_ignore_ascii_case(own);
    is_same
        || reads(name, |read| {
            read.map(|octet| octet.to_ascii_lowercase())
                .eq(own.iter().map(|octet| fold(octet).to_ascii_lowercase()))
        })
}

fn reads(name: &[u8], is_own: impl Fn(&mut dyn Iterator<Item = u8>) -> bool) -> bool {
    let decoded = percent_decode(name);
    let name = decoded.split(|octet| *octet == 0).next().unwrap_or_default();
    let stray = |octet: &u8| octet.is_ascii_whitespace() || matches!(octet, b'+' | b'[' | b']');
    let start = name.iter().position(|octet| !stray(octet)).unwrap_or(name.len());
    let end = name.iter().rposition(|octet| !stray(octet)).unwrap_or_default();
    let whole = name.get(start..=end).unwrap_or_default();
    let root = whole.split(|octet| *octet == b'[').next().unwrap_or_default();
    [whole, root].into_iter().any(|name| is_own(&mut name.iter().map(fold)))
}

fn fold(octet: &u8) -> u8 {
    match octet {
        b'.' | b' ' | b'+' | b'[' => b'_',
        octet => *octet,
    }
}

/// Decodes `%41`; leaves what is no such triplet as it is. `+` is no space: not in a token.
pub(super) fn percent_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let digit = |octet: &u8| char::from(*octet).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let triplet = match (first, tail) {
            (b'%', [high, low, after @ ..]) => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => Some((high << 4 | low, after)),
                _ => None,
            },
            _ => None,
        };
        let (octet, after) = triplet.unwrap_or((*first, tail));
        decoded.push(octet);
        rest = after;
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_read_alike() {
        for name in [
            "a_b",
            "a.b",
            "a%20b",
            "a+b",
            "a[b",
            "%61_b",
            "a_b[]",
            "a_b[0]",
            "a_b%5b%5d",
            "+a_b",
            "%09a_b ",
            "[a_b]",
            "a_b%00",
            "a_b%00x",
        ] {
            assert!(reads_as(name.as_bytes(), b"a_b"), "{name}");
            assert!(reads_as_in_any_case(name.to_ascii_uppercase().as_bytes(), b"a_b"), "{name}");
        }
        for name in ["", "a", "ab", "a_bc", "xa_b", "a-b", "A_b", "%2561_b", "a_b=", "_"] {
            assert!(!reads_as(name.as_bytes(), b"a_b"), "{name}");
        }
        for own in ["t[]", "a[b]", "t+", " t", "a%20b", "[", "t\0x"] {
            assert!(reads_as(own.as_bytes(), own.as_bytes()), "{own}");
            assert!(reads_as_in_any_case(own.as_bytes(), own.as_bytes()) || own.contains('%'));
        }
    }
}
