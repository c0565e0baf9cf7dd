//! What becomes of a request's `:path`: one replacement, whatever the reasons for it are.

use crate::extract::spelling::{reads_as, reads_as_in_any_case};
use crate::extract::split_param;
use crate::request::{RequestEdit, RequestHead};

/// What is to be different about path and query; everything else keeps every octet.
#[derive(Default)]
pub struct TargetChange<'a> {
    /// Another path.
    pub path: Option<Vec<u8>>,
    /// The names, decoded, of parameters that go.
    pub taken: Vec<&'a [u8]>,
    /// The names, decoded, of parameters that only the gate may write: clients' copies go.
    pub ours: &'a [Vec<u8>],
    /// Parameters that come in at the end, encoded.
    pub added: Vec<Vec<u8>>,
}

impl TargetChange<'_> {
    /// The edit, if there is anything to change.
    pub(super) fn edit(&self, head: &RequestHead) -> Option<RequestEdit> {
        if self.path.is_none() && self.taken.is_empty() && self.ours.is_empty() {
            return None;
        }
        let whole = head.value(":path")?;
        let mut changed = match &self.path {
            Some(path) => path.clone(),
            None => head.path().to_vec(),
        };
        let mut pairs: Vec<&[u8]> = Vec::new();
        if let Some(query) = head.query() {
            pairs.extend(query.split(|octet| *octet == b'&').filter(|pair| self.stays(pair)));
        }
        // What is no path, as in `OPTIONS *`, has no query.
        if !self.added.is_empty() && changed.starts_with(b"/") {
            // After `?` alone, there is nothing to separate from.
            if pairs.iter().all(|pair| pair.is_empty()) && pairs.len() == 1 {
                pairs.clear();
            }
            pairs.extend(self.added.iter().map(Vec::as_slice));
        }
        if !pairs.is_empty() {
            changed.push(b'?');
            changed.extend(pairs.join(&b"&"[..]));
        }
        // A fragment never belongs into a request, but what stands there is not ours to lose; unless
        // a backend that knows no fragments could find one of our parameters in it.
        if let Some(start) = whole.iter().position(|octet| *octet == b'#')
            && self.ours.is_empty()
        {
            changed.extend(whole.get(start..).unwrap_or_default());
        }
        (changed != whole).then(|| RequestEdit::Replace(":path".to_owned(), changed))
    }

    /// Whether what stands between two `&` stays. It stays whole or goes whole: a part of it would be a
    /// parameter that nobody has judged. Some backends take `;` for a separator, too.
    fn stays(&self, pair: &[u8]) -> bool {
        let parts = pair.split(|octet| *octet == b';');
        !std::iter::once(pair).chain(parts).any(|part| {
            let (name, _) = split_param(part);
            self.taken.iter().any(|own| reads_as(name, own))
                || self.ours.iter().any(|own| reads_as_in_any_case(name, own))
        })
    }
}

/// A parameter of this name and value, encoded.
pub fn encoded_param(name: &str, value: &str) -> Vec<u8> {
    [percent_encode(name.as_bytes()), percent_encode(value.as_bytes())].join(&b"="[..])
}

/// Encodes all but unreserved characters (RFC 3986 section 2.3): what is left means itself wherever it
/// stands in a path or query.
pub fn percent_encode(text: &[u8]) -> Vec<u8> {
    let digit = |half: u8| b"0123456789ABCDEF".get(usize::from(half)).copied();
    let mut encoded = Vec::with_capacity(text.len());
    for octet in text {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(octet) {
            encoded.push(*octet);
        } else {
            encoded.push(b'%');
            encoded.extend(digit(octet >> 4).into_iter().chain(digit(octet & 0xf)));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::spelling::percent_decode;
    use proptest::prelude::*;

    fn changed(change: &TargetChange<'_>, path: &str) -> String {
        let head = RequestHead::new(vec![(b":path".to_vec(), path.as_bytes().to_vec())]);
        match change.edit(&head) {
            None => path.to_owned(),
            Some(RequestEdit::Replace(name, path)) if name == ":path" => {
                String::from_utf8(path).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn clients_copies_go_in_every_spelling() {
        let ours = [b"tenant".to_vec(), b"x-y".to_vec(), b"a_b".to_vec()];
        let change = TargetChange { ours: &ours, ..TargetChange::default() };
        for (path, expected) in [
            ("/a?b=1&c=%20&&d", "/a?b=1&c=%20&&d"),
            ("/a", "/a"),
            ("/a?", "/a?"),
            ("/a?tenant=x", "/a"),
            ("/a?tenant", "/a"),
            ("/a?b=1&tenant=x&c=2&tenant=y", "/a?b=1&c=2"),
            ("/a?%74enant=x&b", "/a?b"),
            ("/a?%74%65%6E%61%6e%74=x&b", "/a?b"),
            ("/a?x%2dy=x&b", "/a?b"),
            // What is left of such a pair would be another parameter, which nobody has judged.
            ("/a?b=1;tenant=x", "/a"),
            ("/a?tenant=x;access_token=evil&c", "/a?c"),
            ("/a?tenant=x;tenant=y&c;", "/a?c;"),
            ("/a?b;tenant=x;c&d", "/a?d"),
            ("/a?tenant[]=x&tenant%5B0%5d=y&b", "/a?b"),
            ("/a?[tenant]=x&%5btenant%5D=x&]tenant=x&tenant]=x&[[tenant=x&b", "/a?b"),
            ("/a?a.b=x&a%20b=x&a+b=x&a[b=x&a%5Bb]=x&a_b=x&b", "/a?b"),
            ("/a?+tenant=x&tenant%20=y&%09tenant&b", "/a?b"),
            ("/a?tenant%00=x&b", "/a?b"),
            ("/a?Tenant=x&TENANT=y&%54enant[]=z&A.B&X-y", "/a"),
            // Others' names, and what stands in their values.
            ("/a?tenants=y&t=tenant=z&xtenant", "/a?tenants=y&t=tenant=z&xtenant"),
            ("/a?x_y=1&%2574enant=x", "/a?x_y=1&%2574enant=x"),
            ("/a?=&==&%&%zz=1", "/a?=&==&%&%zz=1"),
            ("/a?b#&tenant=x", "/a?b"),
            ("/a#?tenant=x", "/a"),
            ("*?tenant=x", "*"),
        ] {
            assert_eq!(changed(&change, path), expected, "{path}");
        }
        assert_eq!(change.edit(&RequestHead::default()), None, "no path, as in CONNECT");
    }

    #[test]
    fn everything_in_one_replacement() {
        let ours = [b"tenant".to_vec()];
        let change = TargetChange {
            path: Some(b"/t/acme".to_vec()),
            taken: vec![b"access_token"],
            ours: &ours,
            added: vec![encoded_param("tenant", "a&b=c/../%2f \u{e4}")],
        };
        let added = "tenant=a%26b%3Dc%2F..%2F%252f%20%C3%A4";
        assert_eq!(
            changed(&change, "/t/x?a=%26&access_token=tok&tenant=y&b=+#f"),
            format!("/t/acme?a=%26&b=+&{added}")
        );
        for path in ["/t/x", "/t/x?", "/t/x?tenant=x", "/t/x?access_token=tok&tenant#"] {
            assert_eq!(changed(&change, path), format!("/t/acme?{added}"), "{path}");
        }
        let change = TargetChange { path: None, ..change };
        assert_eq!(changed(&change, "*"), "*");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(name in "[a-z%.~é]{1,9}", value: String) {
            let encoded = encoded_param(&name, &value);
            let (own, rest) = split_param(&encoded);
            prop_assert_eq!(percent_decode(own).into_owned(), name.as_bytes());
            prop_assert_eq!(percent_decode(rest).into_owned(), value.as_bytes());
            prop_assert!(encoded.iter().all(|o| o.is_ascii_alphanumeric() || b"-._~%=".contains(o)));
        }

        #[test]
        fn no_copy_survives_and_ours_is_last(query in "[ab=&;%67+]{0,30}") {
            let ours = [b"a".to_vec()];
            let change = TargetChange { ours: &ours, added: vec![b"a=1".to_vec()],
                ..TargetChange::default() };
            let path = changed(&change, &format!("/?{query}"));
            let (_, query) = path.split_once('?').unwrap();
            let all: Vec<_> = query.as_bytes().split(|octet| b"&;".contains(octet)).collect();
            let named = all.iter().filter(|pair| *percent_decode(split_param(pair).0) == *b"a");
            prop_assert_eq!(named.collect::<Vec<_>>(), [all.last().unwrap()]);
            prop_assert_eq!(all.last().unwrap(), b"a=1");
        }

        /// Nothing is left that was not there before: the query is one of whole pairs.
        #[test]
        fn pairs_stay_whole(query in "[ab=&;%67+]{0,30}") {
            let ours = [b"a".to_vec()];
            let change = TargetChange { ours: &ours, ..TargetChange::default() };
            let path = changed(&change, &format!("/?{query}"));
            let before: Vec<_> = query.split('&').collect();
            for pair in path.split_once('?').into_iter().flat_map(|(_, left)| left.split('&')) {
                prop_assert!(before.contains(&pair), "{}", pair);
            }
        }
    }
}
