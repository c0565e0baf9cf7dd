//! `inspect`: what a token says, which nobody vouches for.

use jwt_gate::claims::RegisteredClaims;
use jwt_gate::denial::Reason;
use jwt_gate::jose::base64url;
use jwt_gate::jose::jws::{Parts, UnverifiedJws};
use serde_json::{Value, json};

use crate::args::InspectArguments;
use crate::explain::token;
use crate::output::{Answer, Lines, Paint, Trouble, Verdict, harmless};
use crate::times;

pub fn run(arguments: &InspectArguments, paint: Paint) -> Result<Answer, Trouble> {
    let token = token(&arguments.token)?;
    let now = times::now();
    let parts: Vec<_> = token.split('.').collect();
    if parts.len() == 5 {
        return Err(Trouble::new(
            "five parts: this token is encrypted (JWE), and only the holder of the key can read it",
        ));
    }
    let (header, payload) = (part(parts.first()), part(parts.get(1)));
    if header.is_none() && payload.is_none() {
        return Err(Trouble::new(format!(
            "not a JSON Web Token: {} of at least two parts, and none is base64url of JSON",
            parts.len()
        )));
    }
    let refused = refused(token.as_bytes());
    let octets = parts.get(2).map(|text| base64url::decode(text.as_bytes()).map(|own| own.len()));
    let signature = match octets {
        Some(Ok(0)) | None => "none".to_owned(),
        Some(Ok(octets)) => format!("{octets} octets, not checked"),
        Some(Err(_)) => "not base64url".to_owned(),
    };
    let mut lines = Lines::default();
    lines.push(paint.warn("NOT VERIFIED: anybody can write such a token"));
    for (name, value) in [("header", &header), ("claims", &payload)] {
        lines.push(paint.head(name));
        match value {
            None => lines.push("  cannot be read: not base64url of JSON"),
            Some(Value::Object(members)) => {
                for (name, value) in members {
                    let time = time(name, value, now).map(|time| format!("  {time}"));
                    let value = harmless(&value.to_string());
                    lines.push(format_args!(
                        "  {}: {value}{}",
                        harmless(name),
                        time.unwrap_or_default()
                    ));
                }
            }
            Some(other) => {
                lines.push(format_args!("  not an object: {}", harmless(&other.to_string())))
            }
        }
    }
    lines.push(format_args!("{}: {signature}", paint.head("signature")));
    if let Some(reason) = refused {
        let told = format!("{}: {}", reason.code(), reason.text());
        lines.push(format_args!("{} {told}", paint.bad("the gate refuses its form:")));
    }
    let json = json!({
        "verified": false,
        "header": header,
        "claims": payload,
        "signature": signature,
        "refused": refused.map(Reason::code),
    });
    Ok(Answer::new(lines.text(), json, Verdict::of(refused.is_none())))
}

/// A part as JSON, however loosely, so that there is something to see.
fn part(text: Option<&&str>) -> Option<Value> {
    let octets = base64url::decode_key_member(text?).ok()?;
    serde_json::from_slice(&octets).ok()
}

/// Why the gate would not even look for a key.
fn refused(token: &[u8]) -> Option<Reason> {
    let parts = match Parts::of(token) {
        Ok(parts) => parts,
        Err(error) => return Some(error.into()),
    };
    let jws = match UnverifiedJws::parse(&parts) {
        Ok(jws) => jws,
        Err(error) => return Some(error.into()),
    };
    if let Err(error) = RegisteredClaims::read(jws.unverified_claims()) {
        return Some(Reason::ClaimType(error));
    }
    jws.decode_signature().err().map(Reason::from)
}

fn time(name: &str, value: &Value, now: u64) -> Option<String> {
    let is_time = matches!(name, "exp" | "nbf" | "iat" | "auth_time");
    value.as_u64().filter(|_| is_time).map(|seconds| times::beside(seconds, now))
}
