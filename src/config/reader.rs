//! Reads JSON into wire structs the way protobuf's JSON mapping does, and collects every mistake.
//!
//! serde's derive stops at the first error and does not know where it is; an operator with three
//! typing errors should need one attempt, not three.
//! What the protobuf mapping allows (<https://protobuf.dev/programming-guides/json/>, as Envoy's
//! parser applies it) is allowed here: snake_case and lowerCamelCase names, `null` for "not set",
//! numbers and booleans as strings, one value for a list of one, durations as `"1.5s"`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Map, Value};

use crate::config::fields::Fields;
use crate::sorted;

/// One mistake in the configuration.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ConfigError {
    /// The JSON path, such as `providers.demo.remote_jwks.http_uri`; empty for the whole text.
    pub path: String,
    /// What was expected.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// Collects the mistakes while reading goes on.
#[derive(Default)]
pub struct Errors(RefCell<Vec<ConfigError>>);

impl Errors {
    /// Notes a mistake.
    pub fn push(&self, path: &str, message: impl Into<String>) {
        self.0.borrow_mut().push(ConfigError { path: path.to_owned(), message: message.into() });
    }

    /// All mistakes, in the order of their paths.
    pub fn into_sorted(self) -> Vec<ConfigError> {
        sorted::list(self.0.into_inner())
    }
}

/// A value of the configuration with the place where it stands.
#[derive(Clone)]
pub struct Node<'a> {
    value: &'a Value,
    path: String,
    errors: &'a Errors,
}

impl<'a> Node<'a> {
    /// The whole configuration.
    pub fn root(value: &'a Value, errors: &'a Errors) -> Self {
        Self { value, path: String::new(), errors }
    }

    /// Where this value stands.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Notes a mistake at this place.
    pub fn error(&self, message: impl Into<String>) {
        self.errors.push(&self.path, message);
    }

    /// Expects an object, whatever its members.
    pub fn any_object(&self) -> Option<&'a Map<String, Value>> {
        match self.value {
            Value::Object(members) => Some(members),
            _ => self.expected("an object"),
        }
    }

    /// Expects an object and hands its fields to `read`; whatever `read` does not ask for is
    /// unknown, and a mistake.
    pub fn object<T>(&self, read: impl FnOnce(&mut Fields<'a>) -> T) -> Option<T> {
        let mut fields = Fields::new(self.any_object()?, &self.path, self.errors);
        let read = read(&mut fields);
        fields.refuse_unknown();
        Some(read)
    }

    /// Expects an object whose member names are data, such as `providers`.
    pub fn map<T>(&self, mut read: impl FnMut(Node<'a>) -> T) -> BTreeMap<String, T> {
        let Value::Object(members) = self.value else {
            return self.expected("an object").unwrap_or_default();
        };
        sorted::map(members.iter().map(|(name, value)| {
            (name.clone(), read(self.child(value, &member_path(&self.path, name))))
        }))
    }

    /// Expects a list; one value stands for a list of one.
    pub fn list<T>(&self, mut read: impl FnMut(Node<'a>) -> Option<T>) -> Vec<T> {
        match self.value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| {
                    read(self.child(item, &format!("{}[{index}]", self.path)))
                })
                .collect(),
            _ => read(self.clone()).into_iter().collect(),
        }
    }

    /// Expects text.
    pub fn text(&self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text.clone()),
            _ => self.expected("a string"),
        }
    }

    /// Expects text that is not empty.
    pub fn non_empty_text(&self) -> Option<String> {
        match self.text() {
            Some(text) if text.is_empty() => {
                self.error("must not be empty");
                None
            }
            text => text,
        }
    }

    /// Whether this is `""`, which protobuf does not tell from "not set".
    pub fn is_empty_text(&self) -> bool {
        self.value == ""
    }

    /// Whether this is text.
    pub fn is_text(&self) -> bool {
        self.value.is_string()
    }

    /// Expects octets as base64, of either alphabet and with or without padding.
    pub fn octets(&self) -> Option<Vec<u8>> {
        let text = self.non_empty_text()?.replace('-', "+").replace('_', "/");
        let octets = STANDARD_NO_PAD.decode(text.trim_end_matches('='));
        if octets.is_err() {
            self.error("expected octets as base64");
        }
        octets.ok()
    }

    /// Expects a whole number of 64 bits.
    pub fn integer(&self) -> Option<i64> {
        let number = match self.value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.or_else(|| self.expected("a whole number"))
    }

    /// Whether this is a list of nothing.
    pub fn is_empty_list(&self) -> bool {
        self.value.as_array().is_some_and(Vec::is_empty)
    }

    /// Whether this is an object.
    pub fn is_object(&self) -> bool {
        self.value.is_object()
    }

    /// Expects a whole number of 64 bits, with or without a sign.
    pub fn whole_number(&self) -> Option<i128> {
        let number = match self.value {
            Value::Number(number) => {
                number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
            }
            Value::String(text) => text
                .parse::<i64>()
                .map(i128::from)
                .or_else(|_| text.parse::<u64>().map(i128::from))
                .ok(),
            _ => None,
        };
        number.or_else(|| self.expected("a whole number of 64 bits"))
    }

    /// Expects `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            _ => self.expected("true or false"),
        }
    }

    /// Expects a whole number from 0 to 4294967295.
    pub fn unsigned(&self) -> Option<u32> {
        let number = match self.value {
            Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        match number.and_then(|number| u32::try_from(number).ok()) {
            None => self.expected("a whole number from 0 to 4294967295"),
            number => number,
        }
    }

    /// Expects a span of time such as `"5s"` or `"0.25s"`, zero or longer.
    pub fn duration(&self) -> Option<Duration> {
        match self.value {
            Value::String(text) if let Some(duration) = parse_duration(text) => Some(duration),
            _ => self.expected("a duration in seconds as a string, such as \"5s\" or \"0.5s\""),
        }
    }

    /// The value of a member or an item, at its own path.
    pub(super) fn at(value: &'a Value, path: String, errors: &'a Errors) -> Self {
        Self { value, path, errors }
    }

    fn child(&self, value: &'a Value, path: &str) -> Self {
        Self { value, path: path.to_owned(), errors: self.errors }
    }

    fn expected<T>(&self, what: &str) -> Option<T> {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            // The text itself may be a secret in the wrong place.
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.error(match self.value {
            Value::String(_) if what != "an object" => format!("expected {what}"),
            _ => format!("expected {what}, found {found}"),
        });
        None
    }
}

/// The path of a member; names that are no plain words are quoted.
pub fn member_path(parent: &str, name: &str) -> String {
    let plain = !name.is_empty()
        && name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'_' || octet == b'-');
    match (parent, plain) {
        ("", true) => name.to_owned(),
        (_, true) => format!("{parent}.{name}"),
        _ => format!("{parent}[{name:?}]"),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is whole and in range"
)]
fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=4_294_967_295.0).contains(&number)).then_some(number as u64)
}

/// Seconds with up to nine decimals and an `s`, as protobuf writes them.
fn parse_duration(text: &str) -> Option<Duration> {
    let seconds = text.strip_suffix('s')?;
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    // Protobuf's own limit: about ten thousand years.
    let whole = whole.parse().ok().filter(|whole| *whole <= 315_576_000_000)?;
    Some(Duration::new(whole, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let parse = parse_duration;
        assert_eq!(parse("5s"), Some(Duration::from_secs(5)));
        assert_eq!(parse("0.25s"), Some(Duration::from_millis(250)));
        assert_eq!(parse("1.000000001s"), Some(Duration::new(1, 1)));
        for text in [
            "5",
            "s",
            ".5s",
            "5.s",
            "-1s",
            "+1s",
            "1e3s",
            "5m",
            "1.0000000001s",
            "5 s",
            "999999999999999s",
            "99999999999999999999999s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(member_path("a.b", "c-d"), "a.b.c-d");
        assert_eq!(member_path("", "a"), "a");
        assert_eq!(member_path("a", "b.c\n"), "a[\"b.c\\n\"]");
    }
}
