//! What the access log is told of a decision: texts in the filter state, which decide nothing.
//!
//! Of a token that was not verified nothing is told: whoever sends one could write into the log what
//! they like.

use std::rc::Rc;

use crate::claims::RegisteredClaims;
use crate::config::decision_record::DecisionRecord;
pub use crate::config::decision_record::RecordField;
use crate::request::RecordEntry;

/// The longest text, in octets as they are told. What is longer is cut, and ends in a `%` of its own.
const MOST_OCTETS: usize = 256;

/// `decision_record`, compiled.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Record(Vec<RecordField>);

impl Record {
    pub(super) fn new(wire: Option<DecisionRecord>) -> Self {
        Self(wire.map(|wire| wire.fields).unwrap_or_default())
    }

    /// Whether anything is told.
    pub fn is_kept(&self) -> bool {
        !self.0.is_empty()
    }

    /// The entry of this field, if it is asked for.
    pub fn entry(&self, field: RecordField, text: &str) -> Option<RecordEntry> {
        self.0.contains(&field).then(|| (field.key(), printable(text)))
    }

    /// What is told of a verified token.
    pub(super) fn of_token(
        &self,
        provider: &str,
        kid: Option<&str>,
        claims: &RegisteredClaims,
    ) -> Rc<[RecordEntry]> {
        let known = [
            (RecordField::Provider, Some(provider)),
            (RecordField::Kid, kid),
            (RecordField::Issuer, claims.iss.as_deref()),
            (RecordField::Subject, claims.sub.as_deref()),
        ];
        let entries = known.into_iter().filter_map(|(field, text)| self.entry(field, text?));
        entries.collect()
    }
}

/// The text, fit for one field of a log: the rest is percent-encoded, so that no name ends a line, a
/// field or a quotation, or looks like one that is not there.
fn printable(text: &str) -> String {
    if text == "-" {
        return "%2D".to_owned();
    }
    let mut told = String::new();
    for octet in text.bytes() {
        let next = match octet {
            b'"' | b'%' | b'\\' => format!("%{octet:02X}"),
            _ if octet.is_ascii_graphic() => char::from(octet).to_string(),
            _ => format!("%{octet:02X}"),
        };
        if told.len().saturating_add(next.len()) >= MOST_OCTETS {
            told.push('%');
            break;
        }
        told.push_str(&next);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_in_their_field() {
        for (text, told) in [
            ("https://issuer.test/a|b", "https://issuer.test/a|b"),
            ("a b", "a%20b"),
            ("a\nb\"c\\d%e", "a%0Ab%22c%5Cd%25e"),
            ("\u{e9}", "%C3%A9"),
            ("", ""),
            ("-", "%2D"),
            ("--", "--"),
        ] {
            assert_eq!(printable(text), told);
        }
        assert_eq!(printable(&"a".repeat(255)), "a".repeat(255));
        assert_eq!(printable(&"a".repeat(1000)), format!("{}%", "a".repeat(255)));
        assert_eq!(printable(&"\n".repeat(1000)), format!("{}%", "%0A".repeat(85)));
    }

    #[test]
    fn only_what_is_asked_for_is_told() {
        let claims = RegisteredClaims {
            iss: Some("i".to_owned()),
            sub: Some("s".to_owned()),
            ..RegisteredClaims::default()
        };
        let told = |fields: &[RecordField]| {
            let entries = Record(fields.to_vec()).of_token("p", Some("k"), &claims);
            let entries = entries.iter();
            entries.map(|(key, text)| format!("{key}={text}")).collect::<Vec<_>>()
        };
        assert_eq!(told(&[]), Vec::<String>::new());
        assert_eq!(told(&[RecordField::Outcome]), Vec::<String>::new());
        assert_eq!(told(&[RecordField::Kid]), ["decision.kid=k"]);
        assert_eq!(
            told(&[RecordField::Subject, RecordField::Issuer, RecordField::Provider]),
            ["decision.provider=p", "decision.issuer=i", "decision.subject=s"]
        );
    }
}
