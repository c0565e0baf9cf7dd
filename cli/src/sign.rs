//! `sign`: a token of these claims.

use std::path::Path;

use jwt_gate::json;
use jwt_gate_signing::SigningKey;
use serde_json::{Map, Value, json};

use crate::args::SignArguments;
use crate::files::{self, Readers};
use crate::keygen::algorithm;
use crate::output::{Answer, Trouble};
use crate::times;

/// Claims that are times (RFC 7519 section 4.1, OpenID Connect Core section 2).
const TIMES: [&str; 4] = ["exp", "nbf", "iat", "auth_time"];

pub fn run(arguments: &SignArguments) -> Result<Answer, Trouble> {
    let now = times::now();
    let alg = arguments.alg.as_deref().map(algorithm).transpose()?;
    let key = read_key(
        &arguments.key,
        arguments.kid.as_deref(),
        |jwk| SigningKey::from_jwk(jwk, alg),
        |pem| SigningKey::from_pem(pem, alg, arguments.kid.as_deref()),
    )?;
    let claims = claims(arguments, now)?;
    let mut header = Map::new();
    header.insert("alg".to_owned(), key.alg().as_str().into());
    if !key.kid().is_empty() {
        header.insert("kid".to_owned(), key.kid().into());
    }
    header.insert("typ".to_owned(), arguments.typ.clone().into());
    for argument in &arguments.header {
        let (name, value) = named(argument, "--header")?;
        header.insert(name, value);
    }
    let payload = Value::Object(claims.clone()).to_string();
    let token = key.sign_with_header(&Value::Object(header.clone()), payload.as_bytes());
    let json = json!({ "token": token, "header": header, "claims": claims });
    match &arguments.out {
        None => Ok(Answer::good(token, json)),
        Some(file) => {
            // Whoever has it can use it.
            files::write(file, &format!("{token}\n"), Readers::Owner, arguments.force)?;
            let json = json!({ "token_file": file.display().to_string(), "header": header, "claims": claims });
            Ok(Answer::good(format!("{}: a token\n", file.display()), json))
        }
    }
}

/// The key in a file: a JWK, one of a set, or PEM.
fn read_key(
    file: &Path,
    kid: Option<&str>,
    from_jwk: impl Fn(&Value) -> Result<SigningKey, String>,
    from_pem: impl Fn(&str) -> Result<SigningKey, String>,
) -> Result<SigningKey, Trouble> {
    let name = files::name(file);
    let text = files::read_text(file)?;
    let trouble = |why: String| Trouble::new(format!("{name}: {why}"));
    if text.contains("-----BEGIN ") {
        return from_pem(&text).map_err(trouble);
    }
    let json = json::parse(text.trim().as_bytes())
        .map_err(|error| trouble(format!("neither a JWK nor PEM: {error}")))?;
    let Some(keys) = json.get("keys").and_then(Value::as_array) else {
        let key = from_jwk(&json).map_err(trouble)?;
        return Ok(kid.map(|kid| key.clone().named(kid)).unwrap_or(key));
    };
    let is_named =
        |jwk: &&Value| kid.is_none_or(|kid| jwk.get("kid").is_some_and(|own| own == kid));
    let found: Vec<_> = keys.iter().filter(is_named).collect();
    match found.as_slice() {
        [jwk] => from_jwk(jwk).map_err(trouble),
        [] => Err(trouble(format!("no key is called `{}`", kid.unwrap_or_default()))),
        several => {
            let names = several.iter().filter_map(|jwk| jwk.get("kid")?.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            Err(trouble(format!("which key? --kid picks one of: {names}")))
        }
    }
}

fn claims(arguments: &SignArguments, now: u64) -> Result<Map<String, Value>, Trouble> {
    let mut claims = match &arguments.claims {
        None => Map::new(),
        Some(file) => {
            let name = files::name(file);
            let text = files::read(file)?;
            let value =
                json::parse(&text).map_err(|error| Trouble::new(format!("{name}: {error}")))?;
            match value {
                Value::Object(claims) => claims,
                _ => return Err(Trouble::new(format!("{name}: claims are a JSON object"))),
            }
        }
    };
    let texts = [("iss", &arguments.iss), ("sub", &arguments.sub), ("scope", &arguments.scope)];
    for (name, value) in texts {
        if let Some(value) = value {
            claims.insert(name.to_owned(), value.clone().into());
        }
    }
    match arguments.aud.as_slice() {
        [] => {}
        [one] => drop(claims.insert("aud".to_owned(), one.clone().into())),
        several => drop(claims.insert("aud".to_owned(), several.into())),
    }
    for argument in &arguments.claim {
        let (name, value) = named(argument, "--claim")?;
        claims.insert(name, value);
    }
    // Made now, and good for an hour, unless something else is said.
    let given = [
        ("exp", &arguments.exp, "+1h"),
        ("nbf", &arguments.nbf, "none"),
        ("iat", &arguments.iat, "now"),
    ];
    for (name, given, default) in given {
        match given {
            Some(text) => claims.insert(name.to_owned(), text.clone().into()),
            None if claims.contains_key(name) => None,
            None => claims.insert(name.to_owned(), default.into()),
        };
        if claims.get(name).is_some_and(|value| value == "none") {
            claims.remove(name);
        }
    }
    for name in TIMES {
        if let Some(Value::String(text)) = claims.get(name) {
            let time = times::parse(text, now).ok_or_else(|| {
                Trouble::new(format!(
                    "{name}: expected `none`, `now`, seconds since 1970, 2026-01-31T12:00:00Z, or a time \
                     from now on such as +1h"
                ))
            })?;
            claims.insert(name.to_owned(), time.into());
        }
    }
    Ok(claims)
}

/// `NAME=VALUE`, where the value is JSON if it reads as such, else text.
fn named(argument: &str, option: &str) -> Result<(String, Value), Trouble> {
    let split = argument.split_once('=').filter(|(name, _)| !name.is_empty());
    let Some((name, text)) = split else {
        return Err(Trouble::new(format!("{option} {argument}: expected NAME=VALUE")));
    };
    let value = json::parse(text.as_bytes()).unwrap_or_else(|_| text.into());
    Ok((name.to_owned(), value))
}
