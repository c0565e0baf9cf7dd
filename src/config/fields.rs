//! The fields of an object, in either spelling of their names; what nobody asks for is a mistake.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::config::reader::{ConfigError, Errors, Node, member_path};

/// The fields of an object, each asked for by name.
pub struct Fields<'a> {
    members: &'a Map<String, Value>,
    path: String,
    errors: &'a Errors,
    known: BTreeSet<String>,
}

impl<'a> Fields<'a> {
    /// The fields of the object at `path`.
    pub(super) fn new(members: &'a Map<String, Value>, path: &str, errors: &'a Errors) -> Self {
        Self { members, path: path.to_owned(), errors, known: BTreeSet::new() }
    }

    /// A text; empty when it is not set, as in protobuf.
    pub fn text(&mut self, name: &str) -> String {
        self.get(name).and_then(|node| node.text()).unwrap_or_default()
    }

    /// A text that must be there and not be empty.
    pub fn required_text(&mut self, name: &str) -> String {
        self.required(name).and_then(|node| node.non_empty_text()).unwrap_or_default()
    }

    /// A list of texts, none of them empty.
    pub fn texts(&mut self, name: &str) -> Vec<String> {
        self.list(name, |node| node.non_empty_text())
    }

    /// A list; empty when it is not set.
    pub fn list<T>(&mut self, name: &str, read: impl FnMut(Node<'a>) -> Option<T>) -> Vec<T> {
        self.get(name).map(|node| node.list(read)).unwrap_or_default()
    }

    /// A boolean; false when it is not set.
    pub fn flag(&mut self, name: &str) -> bool {
        self.get(name).and_then(|node| node.boolean()).unwrap_or_default()
    }

    /// The field of this snake_case name, in either spelling; `null` counts as absent.
    pub fn get(&mut self, name: &str) -> Option<Node<'a>> {
        let camel = lower_camel_case(name);
        let snake_value = self.members.get(name);
        let camel_value = self.members.get(&camel).filter(|_| camel != name);
        if snake_value.is_some() && camel_value.is_some() {
            self.errors.push(&self.path, format!("`{name}` and `{camel}` are the same field"));
        }
        let (spelling, value) = match (snake_value, camel_value) {
            (None, Some(value)) => (camel.as_str(), Some(value)),
            (value, _) => (name, value),
        };
        let node = value
            .filter(|value| !value.is_null())
            .map(|value| Node::at(value, member_path(&self.path, spelling), self.errors));
        self.known.insert(name.to_owned());
        node
    }

    /// The field, for which `null` is a mistake: where it would mean "nothing is required", it is
    /// more likely a line of YAML that somebody forgot to finish.
    pub fn get_not_null(&mut self, name: &str) -> Option<Node<'a>> {
        for spelling in [name, &lower_camel_case(name)] {
            if self.members.get(spelling).is_some_and(Value::is_null) {
                let path = member_path(&self.path, spelling);
                self.errors.push(&path, "must not be null; write {} or leave the field out");
                break;
            }
        }
        self.get(name)
    }

    /// The field, whose absence is a mistake.
    pub fn required(&mut self, name: &str) -> Option<Node<'a>> {
        let node = self.get(name);
        if node.is_none() {
            self.errors.push(&self.path, format!("`{name}` is required"));
        }
        node
    }

    /// Which of `names` are set: protobuf allows one member of a `oneof`.
    pub fn one_of(&mut self, names: &[&'static str]) -> Option<(&'static str, Node<'a>)> {
        let mut set: Vec<_> =
            names.iter().filter_map(|name| self.get(name).map(|node| (*name, node))).collect();
        if set.len() > 1 {
            let listed: Vec<_> = set.iter().map(|(name, _)| format!("`{name}`")).collect();
            self.error(format!("only one of {} may be set", listed.join(", ")));
        }
        set.drain(..).next()
    }

    /// A field of Envoy's message that a plugin cannot have; `instead` says what to do.
    pub fn unsupported(&mut self, name: &str, instead: &str) {
        if let Some(node) = self.get(name) {
            node.error(instead);
        }
    }

    /// Where the object stands.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// All members as they stand.
    pub(super) fn members(&self) -> &'a Map<String, Value> {
        self.members
    }

    /// Notes a mistake that was found elsewhere.
    pub(super) fn note(&self, error: ConfigError) {
        self.errors.push(&error.path, error.message);
    }

    /// Notes a mistake about the object as a whole.
    pub fn error(&self, message: impl Into<String>) {
        self.errors.push(&self.path, message);
    }

    /// Reports whatever was not asked for.
    pub(super) fn refuse_unknown(&self) {
        for name in self.members.keys() {
            let known = self.known.contains(name)
                || self.known.iter().any(|known| lower_camel_case(known) == *name);
            if !known {
                let listed: Vec<_> = self.known.iter().map(String::as_str).collect();
                let message = match listed.join(", ") {
                    listed if listed.is_empty() => "unknown field; expected none".to_owned(),
                    listed => format!("unknown field; expected one of: {listed}"),
                };
                self.errors.push(&member_path(&self.path, name), message);
            }
        }
    }
}

pub(super) fn lower_camel_case(snake: &str) -> String {
    let mut camel = String::with_capacity(snake.len());
    let mut upper = false;
    for letter in snake.chars() {
        match letter {
            '_' => upper = true,
            _ if upper => {
                camel.push(letter.to_ascii_uppercase());
                upper = false;
            }
            _ => camel.push(letter),
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(lower_camel_case("remote_jwks"), "remoteJwks");
        assert_eq!(lower_camel_case("forward"), "forward");
    }
}
