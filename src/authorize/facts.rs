//! What a verified token says, as far as conditions ask.

use serde_json::{Map, Value};

use crate::json::Members;

/// The claims of a verified token that some condition looks at. Others are not kept: a cache of a
/// thousand tokens should not hold what nobody asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(Map<String, Value>);

/// What looking for a claim comes to.
pub(super) enum Found<'a> {
    /// There is no such claim.
    Absent,
    /// Something on the way to it is no object.
    NoWay,
    /// It is this.
    Value(&'a Value),
}

impl Facts {
    /// Of these claims, those that are among `names`.
    pub fn of(claims: &Members<'_>, names: &[String]) -> Self {
        let mut kept = Map::new();
        for name in names {
            if let Some(value) = claims.get(name) {
                kept.insert(name.clone(), value.to_value());
            }
        }
        Self(kept)
    }

    /// What they take, roughly, in octets.
    pub fn octets(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len().saturating_add(octets(value))).sum()
    }

    /// What the claim to which these names lead says, where it is a text, a boolean or a whole number of
    /// 64 bits; any other number has passed through a double.
    pub fn scalar(&self, path: &[String]) -> Option<String> {
        match self.find(path) {
            Found::Value(Value::String(text)) => Some(text.clone()),
            Found::Value(Value::Bool(value)) => Some(value.to_string()),
            Found::Value(Value::Number(number)) if number.is_i64() || number.is_u64() => {
                Some(number.to_string())
            }
            _ => None,
        }
    }

    /// The claim of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The claim to which these names lead.
    pub(super) fn find(&self, path: &[String]) -> Found<'_> {
        let Some((first, rest)) = path.split_first() else { return Found::Absent };
        let Some(mut value) = self.0.get(first) else { return Found::Absent };
        for name in rest {
            let Value::Object(members) = value else { return Found::NoWay };
            match members.get(name) {
                Some(member) => value = member,
                None => return Found::Absent,
            }
        }
        Found::Value(value)
    }
}

/// What a value takes, roughly. It nests no deeper than what the parser takes.
fn octets(value: &Value) -> usize {
    /// A value without what it points to.
    const ALONE: usize = 32;
    let within = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(octets).sum(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| name.len().saturating_add(octets(value))).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    within.saturating_add(ALONE)
}
