//! Strict JSON: what the gate accepts in tokens, key sets and its configuration.
//!
//! Duplicate members are refused, because two parsers that pick different ones read two different
//! tokens (RFC 8725 section 2.4, RFC 7515 section 4); so are invalid UTF-8 and great depth.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::Utf8Error;

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
    fn new(error: &serde_json::Error) -> Self {
        Self {
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
        }
    }

    fn not_utf8(text: &[u8], error: Utf8Error) -> Self {
        let good = text.get(..error.valid_up_to()).unwrap_or_default();
        let last_line = good.split(|octet| *octet == b'\n').next_back().unwrap_or_default();
        let line = good.iter().filter(|octet| **octet == b'\n').count().saturating_add(1);
        let column = last_line.len().saturating_add(1);
        Self { line, column, kind: JsonErrorKind::Syntax }
    }

    /// Where: line and column.
    pub fn place(&self) -> (usize, usize) {
        (self.line, self.column)
    }

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

/// A JSON value that borrows its texts from where it was read: what a token says is looked at once,
/// and most of it by nobody.
#[derive(Clone, Debug, PartialEq)]
pub enum Node<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// A list.
    List(Vec<Node<'a>>),
    /// `null`.
    Null,
    /// A number.
    Number(Number),
    /// An object.
    Object(Members<'a>),
    /// A text, without its escapes.
    Text(Cow<'a, str>),
}

/// The members of an object, in their order; no name occurs twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'a> Node<'a> {
    /// Parses `text` as one JSON value.
    pub fn parse(text: &'a [u8]) -> Result<Self, JsonError> {
        let text = str::from_utf8(text).map_err(|error| JsonError::not_utf8(text, error))?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        Strict { depth: 0 }
            .deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value))
            .map_err(|error| JsonError::new(&error))
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The members, if it is an object.
    pub fn as_object(&self) -> Option<&Members<'a>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The same value with texts of its own.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::List(list) => Value::Array(list.iter().map(Node::to_value).collect()),
            Self::Null => Value::Null,
            Self::Number(number) => Value::Number(number.clone()),
            Self::Object(members) => Value::Object(members.to_map()),
            Self::Text(text) => Value::String(text.clone().into_owned()),
        }
    }
}

impl<'a> Members<'a> {
    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Node<'a>> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// The same members with texts of their own.
    pub fn to_map(&self) -> Map<String, Value> {
        let mut map = Map::new();
        for (name, value) in &self.0 {
            map.insert(name.clone().into_owned(), value.to_value());
        }
        map
    }

    /// Whether a name occurs twice. Few names are compared with each other; many go into a set, since
    /// an object with thousands of members costs its sender nothing.
    fn name_one_twice(&self) -> bool {
        const FEW: usize = 16;
        let names = || self.0.iter().map(|(name, _)| name.as_ref());
        if self.0.len() <= FEW {
            let earlier = |place: usize, name: &str| names().take(place).any(|own| own == name);
            return names().enumerate().any(|(place, name)| earlier(place, name));
        }
        let mut seen = BTreeSet::new();
        !names().all(|name| seen.insert(name))
    }
}

/// Parses `text` as one JSON value.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    Node::parse(text).map(|value| value.to_value())
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

/// The texts of a list's items exactly as they stand in `json`.
pub fn item_texts(json: &str) -> Option<Vec<&str>> {
    let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    Some(items.into_iter().map(RawValue::get).collect())
}

/// `json`, which is JSON, without white space between its tokens.
pub fn compact(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let kept = json.chars().filter(|letter| {
        let kept = in_text || !letter.is_ascii_whitespace();
        in_text ^= *letter == '"' && !escaped;
        escaped = in_text && *letter == '\\' && !escaped;
        kept
    });
    kept.collect()
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
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node<'de>, E> {
        Number::from_f64(value).map(Node::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(self.deeper()?)? {
            list.push(value);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node<'de>, A::Error> {
        // Most tokens have about so many claims.
        let mut members = Members(Vec::with_capacity(8));
        while let Some(name) = access.next_key_seed(Name)? {
            members.0.push((name, access.next_value_seed(self.deeper()?)?));
        }
        if members.name_one_twice() {
            return Err(de::Error::custom(DUPLICATE));
        }
        Ok(Node::Object(members))
    }
}

/// The name of a member, borrowed where it has no escapes (serde's own `Cow` never borrows).
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
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
        for count in [15, 16, 17, 40] {
            let members = |last: usize| {
                let names = (0..count).chain([last]).map(|name| format!("\"n{name}\":0"));
                format!("{{{}}}", names.collect::<Vec<_>>().join(","))
            };
            assert!(parse(members(count).as_bytes()).is_ok());
            for twice in [0, count / 2, count - 1] {
                let text = members(twice);
                assert_eq!(kind(text.as_bytes()), Err(JsonErrorKind::DuplicateMember), "{text}");
            }
        }
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
    fn compact_texts() {
        let text = "{ \"a b\" : [ 1.0 , \"\\\\\" , \" \\\" , \" ] ,\r\n\t\"c\":\"\\\\\\\" \" }";
        let expected = "{\"a b\":[1.0,\"\\\\\",\" \\\" , \"],\"c\":\"\\\\\\\" \"}";
        assert_eq!(compact(text), expected);
        assert_eq!(parse(expected.as_bytes()), parse(text.as_bytes()));
        assert_eq!(item_texts("[ 1.50 ,\"a\", null]"), Some(vec!["1.50", "\"a\"", "null"]));
        assert_eq!(item_texts("{}"), None);
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
