//! Scopes: what a token was issued for (RFC 6749 section 3.3).

use serde_json::Value;

use crate::authorize::Truth;
use crate::authorize::facts::{Facts, Found};
use crate::config::condition as wire;

/// Scopes that a token must have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scopes(wire::Scopes);

/// Where scopes are, unless the condition says: RFC 9068 section 2.2.3, and what other issuers use.
/// The first that is there counts, whatever it is.
const CLAIMS: [&str; 2] = ["scope", "scp"];

impl Scopes {
    pub(super) fn new(wire: &wire::Scopes) -> Self {
        Self(wire.clone())
    }

    pub(super) fn judge(&self, token: Option<&Facts>) -> Truth {
        let Some(held) = token.map_or(Some(&NONE), |token| self.held(token)) else {
            return Truth::Unclear;
        };
        let has = |scope: &String| has(held, scope);
        (self.0.all.iter().all(has) && (self.0.any.is_empty() || self.0.any.iter().any(has))).into()
    }

    /// What to ask for: each of `all`, and the first of `any`. Nothing where the claim is not one of
    /// scopes.
    pub(super) fn lacking(&self, token: &Facts) -> Option<Vec<&str>> {
        let held = self.held(token)?;
        let mut lacking: Vec<&str> = self.0.all.iter().map(String::as_str).collect();
        if let Some(first) = self.0.any.first()
            && !self.0.any.iter().any(|scope| has(held, scope))
            && !lacking.contains(&first.as_str())
        {
            lacking.push(first);
        }
        Some(lacking)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.0.claim.first().map(String::as_str);
        own.into_iter().chain(CLAIMS.into_iter().filter(move |_| own.is_none()))
    }

    /// The claim with the scopes of a token; nothing where it is of another type.
    fn held<'t>(&self, token: &'t Facts) -> Option<&'t Value> {
        let found = match self.0.claim.as_slice() {
            [] => {
                let mut values = CLAIMS.iter().filter_map(|name| token.get(name));
                values.next().map_or(Found::Absent, Found::Value)
            }
            path => token.find(path),
        };
        match found {
            Found::Absent => Some(&NONE),
            Found::NoWay => None,
            Found::Value(value) => match value {
                Value::String(_) => Some(value),
                Value::Array(items) if items.iter().all(Value::is_string) => Some(value),
                _ => None,
            },
        }
    }
}

/// The claim of a token without scopes.
static NONE: Value = Value::String(String::new());

fn has(held: &Value, scope: &str) -> bool {
    match held {
        Value::String(text) => words(text).any(|own| own == scope),
        Value::Array(items) => items.iter().any(|own| own == scope),
        _ => false,
    }
}

/// The words of a text, which are separated by spaces and by nothing else.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}
