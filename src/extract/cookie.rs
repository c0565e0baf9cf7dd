//! Cookies as backends may read them: at `;` as RFC 6265 has it, and at commas and blanks, where readers
//! of RFC 2965 and some lenient ones find another one.

use crate::extract::split_once;

/// Cookies of one header value (RFC 6265 section 4.2.1), quotes taken off.
pub fn cookies(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    cookie_pairs(value).filter_map(split_cookie)
}

/// The same, and what some backends find inside them.
pub(super) fn all_cookies(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    cookie_pairs(value).flat_map(cookies_in)
}

pub(super) fn cookie_pairs(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|octet| *octet == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

/// The cookie that a pair is, and those that some backends find in it.
pub(super) fn cookies_in(pair: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    split_cookie(pair).into_iter().chain(hidden(pair))
}

fn split_cookie(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = split_once(pair, b'=')?;
    let value = value.trim_ascii();
    let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    Some((name.trim_ascii(), bare.unwrap_or(value)))
}

/// Whatever looks like `NAME=VALUE` behind a comma or a blank. One pass, however many there are.
fn hidden(pair: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let separates = |octet: &u8| *octet == b',' || octet.is_ascii_whitespace();
    let mut octets = pair.iter().enumerate();
    // Where the latest word began behind a separator, and what came before this octet.
    let (mut word, mut before) = (None, b'=');
    std::iter::from_fn(move || {
        for (at, octet) in octets.by_ref() {
            let earlier = std::mem::replace(&mut before, *octet);
            match octet {
                b'=' => {
                    let Some(name) = word.take().and_then(|start| pair.get(start..at)) else {
                        continue;
                    };
                    let value = pair.get(at.saturating_add(1)..).unwrap_or_default();
                    let value = value.trim_ascii_start().split(separates).next();
                    let value = value.unwrap_or_default();
                    let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
                    return Some((name.trim_ascii_end(), bare.unwrap_or(value)));
                }
                b',' => word = None,
                octet if separates(octet) => {}
                _ if separates(&earlier) => word = Some(at),
                _ => {}
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pair: &str, expected: &[(&str, &str)]) {
        let found = cookies_in(pair.as_bytes());
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        let found: Vec<_> = found.map(|(name, value)| (text(name), text(value))).collect();
        let found: Vec<_> = found.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(found, expected, "{pair}");
    }

    #[test]
    fn cookies_inside_of_cookies() {
        check("a=b", &[("a", "b")]);
        check("a", &[]);
        check("a=b=c", &[("a", "b=c")]);
        check("a=1, t=x", &[("a", "1, t=x"), ("t", "x")]);
        check("a=1,t = x,u=\"y\"", &[("a", "1,t = x,u=\"y\""), ("t", "x"), ("u", "y")]);
        check("a=1 t=x", &[("a", "1 t=x"), ("t", "x")]);
        check("a t=x", &[("a t", "x"), ("t", "x")]);
        check("a=1 b t\t=x", &[("a", "1 b t\t=x"), ("t", "x")]);
        check("a=t=x,", &[("a", "t=x,")]);
        check("a=1 ,=x", &[("a", "1 ,=x")]);
        check("a= t=x", &[("a", "t=x"), ("t", "x")]);
    }
}
