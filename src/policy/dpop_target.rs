//! Whether a proof is for the address that a request asks for (RFC 9449 section 4.3, `htu`), which is
//! told by the client in a text, and by the request in parts.

use crate::config::reader::Errors;
use crate::jwks::source::Address;
use crate::request::RequestHead;

/// Scheme, host and port that clients use.
#[derive(Debug)]
pub(super) enum Origins {
    /// As each request says.
    Requested,
    /// One of these, and the one that the request says if it is among them.
    Listed(Vec<(String, String)>),
}

impl Origins {
    pub(super) fn compile(wire: &[String], path: &str, errors: &Errors) -> Self {
        if wire.is_empty() {
            return Self::Requested;
        }
        let mut origins = Vec::new();
        for (index, text) in (0_usize..).zip(wire) {
            let address = Address::parse(text, "").filter(|own| own.path == "/");
            match address {
                Some(Address { scheme, authority, .. }) => origins.push((scheme, authority)),
                None => errors.push(
                    &format!("{path}[{index}]"),
                    "expected a scheme and a host, such as https://api.example",
                ),
            }
        }
        Self::Listed(origins)
    }

    /// Whether `htu` is the address of this request, without query and fragment.
    pub(super) fn fit(&self, htu: &str, head: &RequestHead) -> bool {
        let Some(told) = Address::parse(htu, "") else { return false };
        let is_told =
            |here: &Address| here.scheme == told.scheme && here.authority == told.authority;
        let is_here = match (self, requested(head)) {
            (Self::Requested, here) => here.as_ref().is_some_and(is_told),
            // What the request says counts where it is one of them.
            (Self::Listed(own), Some(here)) if lists(own, &here) => is_told(&here),
            (Self::Listed(own), _) => lists(own, &told),
        };
        // The path as the proxy has it, and not in `x-envoy-original-path`, which clients can send.
        is_here && normal(without_query(told.path.as_bytes())) == normal(head.sent_path())
    }
}

fn lists(origins: &[(String, String)], address: &Address) -> bool {
    origins.iter().any(|(scheme, host)| *scheme == address.scheme && *host == address.authority)
}

/// Where a request goes, as far as it says so.
fn requested(head: &RequestHead) -> Option<Address> {
    let scheme = head.value("x-forwarded-proto").or_else(|| head.value(":scheme"))?;
    let authority = head.value(":authority")?;
    let origin = [scheme, b"://", authority, b"/"].concat();
    // More than a host would be another address.
    Address::parse(str::from_utf8(&origin).ok()?, "").filter(|address| address.path == "/")
}

fn without_query(path: &[u8]) -> &[u8] {
    path.split(|octet| matches!(octet, b'?' | b'#')).next().unwrap_or_default()
}

/// A path in the one form of all its spellings (RFC 3986 sections 6.2.2 and 6.2.3).
fn normal(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        let triplet = after.first_chunk::<2>().filter(|_| *first == b'%');
        match triplet.and_then(|digits| octet(*digits)) {
            Some(octet) if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) => {
                decoded.push(octet);
                rest = after.get(2..).unwrap_or_default();
            }
            Some(_) => {
                decoded.push(b'%');
                decoded.extend(after.iter().take(2).map(u8::to_ascii_uppercase));
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    let mut kept: Vec<&[u8]> = Vec::new();
    let segments: Vec<_> = decoded.split(|octet| *octet == b'/').skip(1).collect();
    let last = segments.len().saturating_sub(1);
    for (index, segment) in (0_usize..).zip(segments) {
        match segment {
            b"." | b".." => {
                if segment == b".." {
                    kept.pop();
                }
                // What it leads to is a folder.
                if index == last {
                    kept.push(b"");
                }
            }
            other => kept.push(other),
        }
    }
    [&b"/"[..], &kept.join(&b"/"[..])].concat()
}

fn octet(digits: [u8; 2]) -> Option<u8> {
    let digit =
        |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let [high, low] = digits;
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&str, &str)]) -> RequestHead {
        let octets = |text: &str| text.as_bytes().to_vec();
        let fields = fields.iter().map(|(name, value)| (octets(name), octets(value)));
        RequestHead::new(fields.collect())
    }

    #[test]
    fn addresses_in_their_spellings() {
        let at = |path: &'static str| {
            head(&[(":scheme", "https"), (":authority", "API.example:443"), (":path", path)])
        };
        let check = |htu: &str, path: &'static str| Origins::Requested.fit(htu, &at(path));
        for (htu, path) in [
            ("https://api.example/a/b", "/a/b"),
            ("HTTPS://API.EXAMPLE:443/a/b", "/a/b?x=1#y"),
            ("https://api.example/a/b?c=d#e", "/a/b"),
            ("https://api.example/%7Ea/%c3%a4", "/~a/%C3%A4"),
            ("https://api.example/a/./c/../b", "/a/b"),
            ("https://api.example/a/c/..", "/a/"),
            ("https://api.example", "/"),
            ("https://api.example/", "/?x"),
            ("https://api.example/../a", "/a"),
        ] {
            assert!(check(htu, path), "{htu} {path}");
        }
        for (htu, path) in [
            ("http://api.example/a", "/a"),
            ("https://api.example:444/a", "/a"),
            ("https://api.example.evil/a", "/a"),
            ("https://user@api.example/a", "/a"),
            ("https://api.example/a", "/b"),
            ("https://api.example/a", "/a/"),
            ("https://api.example/A", "/a"),
            ("https://api.example/a%2Fb", "/a/b"),
            ("https://api.example/a//b", "/a/b"),
            ("/a", "/a"),
            ("", "/"),
            ("https://", "/"),
        ] {
            assert!(!check(htu, path), "{htu} {path}");
        }
    }

    #[test]
    fn origins_behind_a_proxy() {
        let forwarded = head(&[
            (":scheme", "http"),
            (":authority", "api.example"),
            (":path", "/a"),
            ("x-forwarded-proto", "https"),
        ]);
        assert!(Origins::Requested.fit("https://api.example/a", &forwarded));
        assert!(!Origins::Requested.fit("http://api.example/a", &forwarded));
        let errors = Errors::default();
        let wire = ["https://public.example".to_owned(), "http://localhost:8080/".to_owned()];
        let listed = Origins::compile(&wire, "o", &errors);
        assert!(listed.fit("https://public.example:443/a", &forwarded));
        assert!(listed.fit("http://localhost:8080/a", &forwarded));
        assert!(!listed.fit("https://api.example/a", &forwarded));
        assert!(!listed.fit("https://localhost:8080/a", &forwarded));
        assert!(errors.into_sorted().is_empty());
        let errors = Errors::default();
        Origins::compile(&["https://a/b".to_owned(), "a".to_owned()], "o", &errors);
        assert_eq!(errors.into_sorted().len(), 2);
        for odd in ["a/b", "a@b", "", "a?b"] {
            let odd = head(&[(":scheme", "https"), (":authority", odd), (":path", "/a")]);
            assert!(!Origins::Requested.fit("https://a/a", &odd));
            assert!(!Origins::Requested.fit("https://b/a", &odd));
        }
    }
}
