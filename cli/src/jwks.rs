//! `jwks`: a key set, key by key.

use std::collections::BTreeMap;

use jwt_gate::jose::base64url::decode_key_member;
use jwt_gate::jose::jwk::{Jwk, JwkError, KeyStrength};
use jwt_gate::json;
use jwt_gate::jwks::key_set::{KeySet, MAX_KEYS, MAX_SET_OCTETS};
use serde_json::{Map, Value, json};

use crate::args::JwksArguments;
use crate::files;
use crate::output::{Answer, Lines, Paint, Trouble, Verdict, harmless};

/// Members that only the private half has, and the secret.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// Something to say about the set, or about a key of it.
struct Finding {
    is_error: bool,
    code: &'static str,
    key: Option<usize>,
    message: String,
}

#[derive(Default)]
struct Lint {
    findings: Vec<Finding>,
    keys: Vec<(String, Value)>,
}

pub fn run(arguments: &JwksArguments, paint: Paint) -> Result<Answer, Trouble> {
    let path = &arguments.file;
    let shown = path.to_string_lossy();
    if shown.starts_with("https://") || shown.starts_with("http://") {
        return Err(Trouble::new(format!(
            "{shown}: fetch it by what you trust, and pass it on: curl -fsS {shown} | jwt-gate jwks -"
        )));
    }
    let (name, text) = (files::name(path), files::read(path)?);
    let mut lint = Lint::default();
    lint.whole(&name, &text, arguments.allow_weak_keys)?;
    let count =
        |is_error: bool| lint.findings.iter().filter(|own| own.is_error == is_error).count();
    let (errors, warnings) = (count(true), count(false));
    let is_good = errors == 0 && (warnings == 0 || !arguments.strict);
    let mut lines = Lines::default();
    for (index, (words, _)) in lint.keys.iter().enumerate() {
        lines.push(format_args!("{name}: keys[{index}]: {}", harmless(words)));
    }
    for Finding { is_error, code, key, message } in &lint.findings {
        let kind = match is_error {
            true => paint.bad(&format!("error[{code}]")),
            false => paint.warn(&format!("warning[{code}]")),
        };
        let place = key.map(|index| format!("keys[{index}]: ")).unwrap_or_default();
        lines.push(format_args!("{name}: {kind}: {place}{}", harmless(message)));
    }
    let told = match (errors, warnings) {
        (0, 0) => paint.good("good"),
        (0, warnings) => format!("{}, {warnings} warnings", paint.good("good")),
        (errors, warnings) => paint.bad(&format!("{errors} errors, {warnings} warnings")),
    };
    lines.push(format_args!("{name}: {} keys: {told}", lint.keys.len()));
    let findings = lint.findings.iter().map(|own| {
        let severity = if own.is_error { "error" } else { "warning" };
        json!({ "severity": severity, "code": own.code, "key": own.key, "message": own.message })
    });
    let json = json!({
        "file": name,
        "good": is_good,
        "keys": lint.keys.iter().map(|(_, json)| json).collect::<Vec<_>>(),
        "findings": findings.collect::<Vec<_>>(),
    });
    Ok(Answer::new(lines.text(), json, Verdict::of(is_good)))
}

impl Lint {
    fn say(
        &mut self,
        is_error: bool,
        code: &'static str,
        key: Option<usize>,
        message: impl Into<String>,
    ) {
        self.findings.push(Finding { is_error, code, key, message: message.into() });
    }

    fn whole(&mut self, name: &str, text: &[u8], weak: bool) -> Result<(), Trouble> {
        let strength = if weak { KeyStrength::WeakAllowed } else { KeyStrength::Required };
        let value = match json::parse(text) {
            Ok(value) => value,
            Err(error) => return Err(Trouble::new(format!("{name}: no key set: {error}"))),
        };
        let Value::Object(set) = &value else {
            return Err(Trouble::new(format!(
                "{name}: no key set: a set is an object with `keys`"
            )));
        };
        if text.len() > MAX_SET_OCTETS {
            let message = format!("{} octets; the gate reads {MAX_SET_OCTETS}", text.len());
            self.say(true, "too_large", None, message);
        }
        match set.get("keys") {
            Some(Value::Array(keys)) => self.keys(keys, strength),
            Some(_) => self.say(true, "no_keys", None, "`keys` is no list"),
            None if set.contains_key("kty") => {
                self.say(true, "no_keys", None, "a bare key; a set is `{\"keys\": […]}`");
                self.keys(std::slice::from_ref(&value), strength);
            }
            None if set.contains_key("jwks_uri") => {
                let uri = set.get("jwks_uri").and_then(Value::as_str).unwrap_or_default();
                return Err(Trouble::new(format!(
                    "{name}: this is an issuer's metadata; its keys are at {}",
                    harmless(uri)
                )));
            }
            None if set.values().any(|own| own.as_str().is_some_and(is_certificate)) => {
                self.certificates(set, strength);
            }
            None => {
                return Err(Trouble::new(format!("{name}: no key set: there is no list `keys`")));
            }
        }
        if self.keys.len() > MAX_KEYS {
            let message = format!("{} keys; the gate reads {MAX_KEYS}", self.keys.len());
            self.say(true, "too_large", None, message);
        }
        let is_usable =
            |(_, json): &(String, Value)| json.get("usable") == Some(&Value::Bool(true));
        if !self.keys.iter().any(is_usable) {
            self.say(true, "no_usable_key", None, "the gate can use none of them");
        } else if let Err(error) = KeySet::parse(text, strength)
            && self.findings.iter().all(|own| !own.is_error)
        {
            self.say(true, "refused", None, format!("the key set {error}"));
        }
        Ok(())
    }

    fn certificates(&mut self, set: &Map<String, Value>, strength: KeyStrength) {
        for (kid, member) in set {
            let parsed = Jwk::parse_certificate(kid, member, strength);
            let index = self.keys.len();
            let usable = parsed.is_ok();
            let words = format!("kid {kid}, an X.509 certificate");
            self.keys.push((
                words,
                json!({ "kid": kid, "kty": "RSA", "certificate": true, "usable": usable }),
            ));
            if let Err(why) = parsed {
                self.say(false, why.code(), Some(index), format!("is not used: {why}"));
            }
        }
    }

    fn keys(&mut self, keys: &[Value], strength: KeyStrength) {
        let (mut kids, mut same) = (BTreeMap::new(), BTreeMap::new());
        for (index, key) in keys.iter().enumerate() {
            let parsed = Jwk::parse(key, strength);
            let described = Described::of(key);
            self.keys.push((described.words(), described.json(parsed.is_ok())));
            self.private_part(index, key, &described);
            match &parsed {
                Err(JwkError::PrivatePart) | Ok(_) => {}
                Err(why) => self.say(false, why.code(), Some(index), format!("is not used: {why}")),
            }
            match described.kid {
                None => self.say(
                    false,
                    "no_kid",
                    Some(index),
                    "has no `kid`: every token is tried with it, whatever key it names",
                ),
                Some(kid) => {
                    if let Some(first) = kids.insert((kid, described.alg), index) {
                        let message = format!(
                            "has the `kid` and `alg` of keys[{first}]: which one signed is guessed"
                        );
                        self.say(true, "duplicate_kid", Some(index), message);
                    }
                }
            }
            if let Some(first) = described.identity(key).and_then(|own| same.insert(own, index)) {
                let message = format!("is the same key as keys[{first}]");
                self.say(false, "duplicate_key", Some(index), message);
            }
            if parsed.is_ok() && described.alg.is_none() {
                self.say(
                    false,
                    "no_alg",
                    Some(index),
                    "has no `alg`: it serves every algorithm of its kind (RFC 8725 section 3.1 wants one)",
                );
            }
        }
    }

    fn private_part(&mut self, index: usize, key: &Value, described: &Described<'_>) {
        let found: Vec<_> = PRIVATE.into_iter().filter(|name| key.get(name).is_some()).collect();
        if described.kty == Some("oct") {
            self.say(
                false,
                "shared_secret",
                Some(index),
                "is a shared secret: whoever reads this set can sign; never publish it",
            );
            let length = described.bits.map_or(0, |bits| bits / 8);
            if length < 32 {
                let message =
                    format!("the secret has {length} octets; 32 at least, as long as the hash");
                self.say(true, "weak_secret", Some(index), message);
            }
        } else if !found.is_empty() {
            let message = format!(
                "holds its private half ({}): whoever reads this set can sign. Withdraw the key; \
                 the gate does not use it",
                found.join(", ")
            );
            self.say(true, "private_part", Some(index), message);
        }
    }
}

fn is_certificate(text: &str) -> bool {
    text.starts_with("-----BEGIN CERTIFICATE-----")
}

/// What a key says of itself, without its value.
struct Described<'a> {
    kid: Option<&'a str>,
    kty: Option<&'a str>,
    crv: Option<&'a str>,
    alg: Option<&'a str>,
    usage: Option<&'a str>,
    bits: Option<usize>,
}

impl<'a> Described<'a> {
    fn of(key: &'a Value) -> Self {
        let text =
            |name: &str| key.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let bits = |name: &str| -> Option<usize> {
            let octets = decode_key_member(text(name)?).ok()?;
            let zeros = octets.iter().take_while(|octet| **octet == 0).count();
            let first = octets.get(zeros).map_or(0, |octet| octet.leading_zeros());
            let first = usize::try_from(first).unwrap_or_default();
            octets.len().saturating_sub(zeros).checked_mul(8)?.checked_sub(first)
        };
        let kty = text("kty");
        Self {
            kid: text("kid"),
            kty,
            crv: text("crv"),
            alg: text("alg"),
            usage: text("use"),
            bits: match kty {
                Some("RSA") => bits("n"),
                Some("oct") => text("k")
                    .and_then(|own| decode_key_member(own).ok())
                    .map(|own| own.len().saturating_mul(8)),
                _ => None,
            },
        }
    }

    fn words(&self) -> String {
        let mut words = vec![match self.kid {
            Some(kid) => format!("kid {kid}"),
            None => "without a kid".to_owned(),
        }];
        words.push(self.kty.unwrap_or("without a kty").to_owned());
        words.extend(self.crv.map(str::to_owned));
        words.extend(self.bits.map(|bits| format!("{bits} bits")));
        words.extend(self.alg.map(|alg| format!("alg {alg}")));
        words.extend(self.usage.map(|usage| format!("use {usage}")));
        words.join(", ")
    }

    fn json(&self, usable: bool) -> Value {
        json!({
            "kid": self.kid, "kty": self.kty, "crv": self.crv, "bits": self.bits, "alg": self.alg,
            "use": self.usage, "usable": usable,
        })
    }

    /// What makes it the key that it is.
    fn identity(&self, key: &Value) -> Option<Vec<String>> {
        let names: &[&str] = match self.kty? {
            "RSA" => &["n", "e"],
            "EC" | "OKP" => &["crv", "x", "y"],
            "oct" => &["k"],
            _ => return None,
        };
        Some(names.iter().filter_map(|name| Some(key.get(name)?.as_str()?.to_owned())).collect())
    }
}
