//! Parts of a request that claims are compared with.

use std::borrow::Cow;

use crate::authorize::Truth;
use crate::config::condition as wire;
use crate::config::path_template::PathTemplate;
use crate::path;
use crate::request::{RequestHead, header_reads_as};

/// A part of the request.
#[derive(Clone, Debug)]
pub(super) enum RequestPart {
    Header(String),
    Host,
    Method,
    Segment {
        template: PathTemplate,
        glob: usize,
    },
    /// What a mistake in the configuration comes to: it never has a value.
    Unknown,
}

/// The value of a header that is there once, and under no name that a backend may take for the same:
/// many read `x_tenant` and `x-tenant` as one.
fn header<'h>(head: &'h RequestHead, name: &str) -> Option<&'h [u8]> {
    let alike = head.headers().filter(|(own, _)| header_reads_as(own, name.as_bytes()));
    let (own, value) = only(alike)?;
    (own == name.as_bytes()).then_some(value)
}

impl RequestPart {
    pub(super) fn compile(
        wire: &wire::RequestPart,
        template: Option<&PathTemplate>,
        report: &dyn Fn(&str),
    ) -> Self {
        match wire {
            wire::RequestPart::Header(name) => Self::Header(name.clone()),
            wire::RequestPart::Host => Self::Host,
            wire::RequestPart::Method => Self::Method,
            wire::RequestPart::PathVariable { name, template: own } => {
                let Some(template) = own.as_ref().or(template) else {
                    report(
                        "`path_variable` needs a `path_template` beside it, or in the `match` of the \
                         rule or policy",
                    );
                    return Self::Unknown;
                };
                let Some(glob) = template.variable(name) else {
                    report("the path template has no such variable that stands for one segment");
                    return Self::Unknown;
                };
                Self::Segment { template: template.clone(), glob }
            }
        }
    }

    /// Whether the request says this there. Where it says nothing, or something that the backend may
    /// read differently, nobody can tell.
    pub(super) fn is(&self, text: &[u8], head: &RequestHead) -> Truth {
        self.value(head).map_or(Truth::Unclear, |value| (*value == *text).into())
    }

    fn value<'h>(&'h self, head: &'h RequestHead) -> Option<Cow<'h, [u8]>> {
        match self {
            Self::Header(name) => header(head, name).map(Cow::Borrowed),
            Self::Host => host(only(head.values(":authority"))?).map(Cow::Owned),
            Self::Method => only(head.values(":method")).map(Cow::Borrowed),
            Self::Segment { template, glob } => {
                let segment = path::segment(template, *glob, path::clear(head)?)?;
                Some(Cow::Owned(path::decoded(segment)))
            }
            Self::Unknown => None,
        }
        .filter(|value| !value.is_empty())
    }
}

/// The only one; of several, the backend may take another one.
fn only<T>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let first = values.next();
    first.filter(|_| values.next().is_none())
}

/// The name of a host without its port, in lower case. None for what some servers take for another
/// name: one with user information, a dot at the end, or octets that names do not have.
fn host(authority: &[u8]) -> Option<Vec<u8>> {
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    let colon = authority.iter().rposition(|octet| *octet == b':');
    let (name, port) = match colon {
        Some(colon) if authority.last() != Some(&b']') => {
            (authority.get(..colon)?, authority.get(colon..)?.get(1..)?)
        }
        _ => (authority, &b""[..]),
    };
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._".contains(octet);
    let is_address =
        name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).is_some_and(|name| {
            name.iter().all(|octet| octet.is_ascii_hexdigit() || b":.".contains(octet))
        });
    let is_name = name.iter().all(plain) && name.last() != Some(&b'.');
    (digits(port) && (is_address || is_name)).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (authority, expected) in [
            ("h", Some("h")),
            ("A.Example:8443", Some("a.example")),
            ("a.example:", Some("a.example")),
            ("10.0.0.1:80", Some("10.0.0.1")),
            ("[::1]:80", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("a.example.", None),
            ("a.example.:80", None),
            ("u@a.example", None),
            ("a.example:80:80", None),
            ("a.example:x", None),
            ("::1", None),
            ("a,b", None),
            ("a b", None),
            ("\u{e9}", None),
        ] {
            let found = host(authority.as_bytes());
            assert_eq!(found, expected.map(|name| name.as_bytes().to_vec()), "{authority}");
        }
    }
}
