//! Strict JSON: what the gate accepts in tokens, key sets and its configuration.
//!
//! Duplicate members are refused, because two parsers that pick different ones read two different
//! tokens (RFC 8725 section 2.4, RFC 7515 section 4); so are invalid UTF-8 and great depth.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

/// How deep objects and lists may nest: the limit of protobuf's parser, which the native filter
/// uses. It also bounds the stack.
pub const MAX_DEPTH: u8 = 100;

/// Why a text is not acceptable JSON; says where, and never quotes the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JsonError {
    line: usize,
    column: usize,
    kind: JsonErrorKind,
}

/// The kinds of [`JsonError`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JsonErrorKind {
    /// An object names a member twice.
    DuplicateMember,
    /// The text is not JSON, or not UTF-8.
    Syntax,
    /// Deeper than [`MAX_DEPTH`].
    TooDeep,
}

impl JsonError {
    /// What is wrong with the text.
    pub fn kind(&self) -> JsonErrorKind {
        self.kind
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            JsonErrorKind::DuplicateMember => "an object names a member twice",
            JsonErrorKind::Syntax => "not valid JSON",
            JsonErrorKind::TooDeep => "nested too deeply",
        };
        write!(f, "{what} (line {}, column {})", self.line, self.column)
    }
}

/// Parses `text` as one JSON value.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    Strict { depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| JsonError {
            line: error.line(),
            column: error.column(),
            // The visitor's two messages are constants of ours: nothing else yields them.
            kind: match error.to_string() {
                text if text.starts_with(DUPLICATE) => JsonErrorKind::DuplicateMember,
                text if text.starts_with(TOO_DEEP) || text.starts_with("recursion limit") => {
                    JsonErrorKind::TooDeep
                }
                _ => JsonErrorKind::Syntax,
            },
        })
}

/// The text of the member at `path` exactly as it stands in `json`: numbers keep every digit.
pub fn member_text<'a>(json: &'a str, path: &[String]) -> Option<&'a str> {
    let mut text = json;
    for segment in path {
        let members: BTreeMap<String, &'a RawValue> = serde_json::from_str(text).ok()?;
        text = members.get(segment)?.get();
    }
    Some(text)
}

const DUPLICATE: &str = "duplicate member";
const TOO_DEEP: &str = "nested too deeply";

struct Strict {
    depth: u8,
}

impl Strict {
    fn deeper<E: de::Error>(&self) -> Result<Self, E> {
        match self.depth.checked_add(1) {
            Some(depth) if depth <= MAX_DEPTH => Ok(Self { depth }),
            _ => Err(E::custom(TOO_DEEP)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(self.deeper()?)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(self.deeper()?)?;
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom(DUPLICATE));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn accepts_json() {
        let text = br#" {"a": [1, -2, 3.5, true, null, "\u00e4"], "b": {}} "#;
        assert_eq!(parse(text), Ok(json!({"a": [1, -2, 3.5, true, null, "ä"], "b": {}})));
    }

    #[test]
    fn refuses_what_parsers_read_differently() {
        let kind = |text: &[u8]| parse(text).map_err(|error| error.kind());
        assert_eq!(kind(br#"{"a":1,"a":1}"#), Err(JsonErrorKind::DuplicateMember));
        assert_eq!(kind(br#"{"a":1,"\u0061":1}"#), Err(JsonErrorKind::DuplicateMember));
        assert_eq!(kind(br#"[{"x":{"a":1,"a":2}}]"#), Err(JsonErrorKind::DuplicateMember));
        for text in [
            &b""[..],
            b"{",
            b"{} x",
            b"{'a':1}",
            b"{a:1}",
            b"[1,]",
            b"\"\xff\"",
            b"\"\\ud800\"",
            b"\"\n\"",
            b"NaN",
            b"1e999",
            b"01",
            b"+1",
            b"\xef\xbb\xbf{}",
            b"{\"a\xff\":1}",
        ] {
            assert_eq!(kind(text), Err(JsonErrorKind::Syntax), "{text:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(parse(&nested(100)).is_ok());
        for depth in [102, 127, 128, 100_000] {
            assert_eq!(
                parse(&nested(depth)).map_err(|error| error.kind()),
                Err(JsonErrorKind::TooDeep),
                "{depth}"
            );
        }
    }

    #[test]
    fn member_text_keeps_every_digit() {
        let json = r#"{"a":{"b.c": 12345678901234567890.10 }, "d": -5}"#;
        let at = |path: &[&str]| {
            member_text(json, &path.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(at(&["a", "b.c"]), Some("12345678901234567890.10"));
        assert_eq!(at(&["d"]), Some("-5"));
        assert_eq!(at(&["a", "x"]), None);
        assert_eq!(at(&["d", "x"]), None);
    }
}
