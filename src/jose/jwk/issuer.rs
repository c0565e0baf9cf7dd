//! Whose tokens a key may sign: its member `issuer`, which Microsoft Entra publishes with its keys.

use serde_json::Value;

use crate::issuer::IssuerPattern;
use crate::jose::jwk::{Jwk, JwkError};

/// What a key's member `issuer` is to those who use the key (RFC 8725 section 3.8).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum KeyIssuers {
    /// Nothing: all keys are those of whoever is asked for them.
    #[default]
    Ignored,
    /// The issuer, or the pattern of issuers, whose tokens the key may sign; without it, anybody's.
    Bind,
}

impl Jwk {
    /// The key, bound to the issuer that its `jwk` names.
    pub fn bind(self, jwk: &Value) -> Result<Self, JwkError> {
        let issuer = match jwk.get("issuer") {
            None => None,
            Some(Value::String(text)) if !text.is_empty() => {
                Some(Box::new(IssuerPattern::parse(text).map_err(|_| JwkError::IssuerUnfit)?))
            }
            Some(_) => return Err(JwkError::IssuerUnfit),
        };
        Ok(Self { issuer, ..self })
    }

    /// Whether this key may sign tokens with this `iss`.
    pub fn vouches_for(&self, iss: Option<&str>) -> bool {
        let is_it = |own: &IssuerPattern| iss.is_some_and(|iss| own.matches(iss));
        self.issuer.as_deref().is_none_or(is_it)
    }
}
