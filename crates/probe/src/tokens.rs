//! Whole tokens whose worth is known, under sets of keys.
//!
//! A JWT is a JWS whose payload is a JSON object, and published vectors sign other payloads. So a token
//! counts as accepted if nothing but that is wrong with it: its form, header and signature are read by
//! the gate's own code, and what is not base64url is refused there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_gate::jose::base64url;
use jwt_gate::jose::header::Header;
use jwt_gate::jose::jwk::KeyStrength;
use jwt_gate::jose::jws::{JwsError, Parts, UnverifiedJws};
use jwt_gate::jwks::key_set::KeySet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::vectors::Tally;

/// Tokens under one set of keys.
#[derive(Debug, Deserialize, Serialize)]
pub struct TokenGroup {
    /// What a failure is told with.
    pub name: String,
    /// The set, with its member `keys`.
    pub keys: Value,
    /// The tokens.
    pub cases: Vec<TokenCase>,
}

/// One token, and whether it is good.
#[derive(Debug, Deserialize, Serialize)]
pub struct TokenCase {
    /// What a failure is told with.
    pub name: String,
    /// The token, in base64url: published ones hold octets that JSON does not.
    pub token: String,
    /// Whether it must be accepted.
    pub good: bool,
}

/// Judges every token.
pub fn check(group: &TokenGroup) -> Result<Tally, String> {
    // Of a set without a usable key, no token is good.
    let keys = KeySet::parse(group.keys.to_string().as_bytes(), KeyStrength::Required).ok();
    let mut tally = Tally::default();
    for case in &group.cases {
        let error = |_| format!("{} {}: not base64url", group.name, case.name);
        let token = URL_SAFE_NO_PAD.decode(&case.token).map_err(error)?;
        let accepted = keys.as_ref().is_some_and(|keys| is_good(keys, &token));
        if accepted != case.good {
            tally.failures.push(format!("{} {}", group.name, case.name));
        }
        match case.good {
            true => tally.good += 1,
            false => tally.bad += 1,
        }
    }
    Ok(tally)
}

fn is_good(keys: &KeySet, token: &[u8]) -> bool {
    let Ok(parts) = Parts::of(token) else { return false };
    match UnverifiedJws::parse(&parts) {
        Ok(_) | Err(JwsError::PayloadNotJson) => {}
        Err(_) => return false,
    }
    // There are just two dots.
    let first = token.iter().position(|octet| *octet == b'.').unwrap_or_default();
    let last = token.iter().rposition(|octet| *octet == b'.').unwrap_or_default();
    let (input, signature) = token.split_at(last);
    let (header, signature) = (&input[..first], &signature[1..]);
    let Some(header) = base64url::decode(header).ok().and_then(|json| Header::parse(&json).ok())
    else {
        return false;
    };
    let Ok(signature) = base64url::decode(signature) else { return false };
    let candidates = keys.candidates(&header, None);
    candidates.iter().any(|key| key.verify(header.algorithm, input, &signature).is_ok())
}
