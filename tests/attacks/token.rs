//! Tokens, made by recipes.

use std::collections::BTreeMap;
use std::str::FromStr;

use jwt_gate_demo::keys::{Alg, SigningKey, base64url};
use serde_json::{Map, Value, json};

use crate::corpus::Recipe;
use crate::encodings::secret;
use crate::forge;
use crate::gate::ath;
use crate::keys::{key, with_algorithm};
use crate::native::HOST;
use crate::text::{octets, time};

/// The token of this recipe at this time, beside those that are made by now.
pub(crate) fn make(recipe: &Recipe, beside: &BTreeMap<&str, String>, now: u64) -> String {
    let key = key(recipe.key.as_deref().unwrap_or("rsa"));
    let (header, claims) = match &recipe.proof_of {
        None => of_the_issuer(key, now),
        Some(name) => proof(key, &beside[name.as_str()], now),
    };
    let json = |base: Value, changes: &Map<String, Value>, text: &Option<String>| match text {
        Some(text) => octets(text, &|name| time(name, now)),
        None => changed(base, changes, now).to_string().into_bytes(),
    };
    let header = json(header, &recipe.header, &recipe.header_text);
    let payload = json(claims, &recipe.claims, &recipe.payload_text);
    let written = |part: &str, octets: &[u8]| match recipe.written.get(part) {
        None => base64url(octets),
        Some(odd) => odd_spelling(odd, base64url(octets)),
    };
    let (h, p) = (written("header", &header), written("payload", &payload));
    let in_shape = |shape: &str, s: &str| {
        let known = |name: &str| match name {
            "h" => Some(h.clone()),
            "p" => Some(p.clone()),
            "s" => Some(s.to_owned()),
            _ => None,
        };
        octets(shape, &known)
    };
    let input = in_shape(recipe.signed.as_deref().unwrap_or("{h}.{p}"), "");
    let signature = sign(&recipe.sign, key, &input);
    let s = written("signature", &signature);
    let token = in_shape(recipe.shape.as_deref().unwrap_or("{h}.{p}.{s}"), &s);
    // As the octets of a sheet.
    token.into_iter().map(char::from).collect()
}

/// Header and claims of a good token.
fn of_the_issuer(key: &SigningKey, now: u64) -> (Value, Value) {
    let header = json!({ "alg": key.alg().as_str(), "kid": key.kid(), "typ": "JWT" });
    let claims = json!({
        "iss": "https://issuer.test", "sub": "alice", "aud": "api", "exp": now + 3600,
    });
    (header, claims)
}

/// Header and claims of a good proof that whoever sends `token` has this key.
fn proof(key: &SigningKey, token: &str, now: u64) -> (Value, Value) {
    let header = json!({ "alg": key.alg().as_str(), "typ": "dpop+jwt", "jwk": bare_jwk(key) });
    let claims = json!({
        "jti": "a proof", "htm": "GET", "htu": format!("http://{HOST}/"), "iat": now,
        "ath": ath(token),
    });
    (header, claims)
}

/// A public key without what an issuer says of it.
fn bare_jwk(key: &SigningKey) -> Value {
    let mut jwk = key.public_jwk();
    for name in ["kid", "alg", "use"] {
        jwk.as_object_mut().unwrap().remove(name);
    }
    jwk
}

/// `base` with `changes`.
fn changed(base: Value, changes: &Map<String, Value>, now: u64) -> Value {
    let Value::Object(mut members) = base else { panic!("no object") };
    for (name, value) in changes {
        match value.as_str() {
            Some("{absent}") => {
                members.remove(name);
            }
            _ => {
                members.insert(name.clone(), timed(value, now));
            }
        }
    }
    Value::Object(members)
}

/// `{now+60}` as a number, keys and their thumbprints, and long texts as they are meant.
fn timed(value: &Value, now: u64) -> Value {
    match value {
        Value::String(text) => {
            let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
            if let Some(time) = bare.and_then(|name| time(name, now)) {
                return time.parse().unwrap();
            }
            match bare.and_then(|bare| bare.split_once(' ')) {
                Some(("jwk", name)) => return bare_jwk(key(name)),
                Some(("thumbprint", name)) => return json!(key(name).thumbprint()),
                _ => {}
            }
            let repeated = bare.and_then(|bare| bare.rsplit_once('*'));
            match repeated.and_then(|(text, times)| Some((text, times.parse().ok()?))) {
                Some((text, times)) => json!(text.repeat(times)),
                None => value.clone(),
            }
        }
        Value::Array(list) => list.iter().map(|one| timed(one, now)).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(name, one)| (name.clone(), timed(one, now))).collect())
        }
        other => other.clone(),
    }
}

/// Another spelling of what is base64url, as lenient decoders take it.
fn odd_spelling(odd: &str, text: String) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    match odd {
        "padded" => format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4)),
        "over-padded" => format!("{text}===="),
        "standard alphabet" => {
            let other = text.replace('-', "+").replace('_', "/");
            assert_ne!(other, text, "nothing to replace: choose other octets");
            other
        }
        "trailing bits" => {
            assert!(!text.len().is_multiple_of(4), "no trailing bits: choose another length");
            let (start, last) = text.split_at(text.len() - 1);
            let place = ALPHABET.iter().position(|octet| *octet == last.as_bytes()[0]).unwrap();
            format!("{start}{}", char::from(ALPHABET[place | 1]))
        }
        "line break inside" => {
            let (start, end) = text.split_at(text.len() / 2);
            format!("{start}\n{end}")
        }
        "blank inside" => {
            let (start, end) = text.split_at(text.len() / 2);
            format!("{start} {end}")
        }
        "tab inside" => {
            let (start, end) = text.split_at(text.len() / 2);
            format!("{start}\t{end}")
        }
        "octet zero inside" => {
            let (start, end) = text.split_at(text.len() / 2);
            format!("{start}\0{end}")
        }
        "percent sign inside" => {
            let (start, end) = text.split_at(text.len() / 2);
            format!("{start}%{end}")
        }
        "percent escape" => format!("%{:02X}{}", text.as_bytes()[0], &text[1..]),
        "letter outside ASCII" => format!("{text}\u{e4}"),
        "one letter more" => format!("{text}A"),
        "one letter less" => text[..text.len() - 1].to_owned(),
        "lower case" => text.to_lowercase(),
        "twice encoded" => base64url(text),
        "hexadecimal" => text.bytes().map(|octet| format!("{octet:02x}")).collect(),
        other => panic!("no spelling: {other}"),
    }
}

fn sign(how: &str, key: &SigningKey, input: &[u8]) -> Vec<u8> {
    let (what, rest) = how.split_once(' ').unwrap_or((how, ""));
    match what {
        "" => key.sign_bytes(input),
        "none" => Vec::new(),
        "zeros" => vec![0; rest.parse().unwrap()],
        "ones" => vec![0xff; rest.parse().unwrap()],
        "text" => rest.as_bytes().to_vec(),
        "another" => key.sign_bytes(&[input, b"another"].concat()),
        "twice" => [key.sign_bytes(input), key.sign_bytes(input)].concat(),
        "half" => {
            let whole = key.sign_bytes(input);
            whole[..whole.len() / 2].to_vec()
        }
        "cut" => {
            let mut whole = key.sign_bytes(input);
            whole.truncate(whole.len() - rest.parse::<usize>().unwrap());
            whole
        }
        "append" => [key.sign_bytes(input), vec![0; rest.parse().unwrap()]].concat(),
        "prepend" => [vec![0; rest.parse().unwrap()], key.sign_bytes(input)].concat(),
        "flip" => {
            let mut whole = key.sign_bytes(input);
            let place = match rest {
                "first" => 0,
                "last" => whole.len() - 1,
                _ => whole.len() / 2,
            };
            whole[place] ^= 1;
            whole
        }
        "by" => {
            let (name, alg) = rest.split_once(' ').unwrap_or((rest, ""));
            let other = crate::keys::key(name);
            match Alg::from_str(alg) {
                Ok(alg) => with_algorithm(other, alg).sign_bytes(input),
                Err(_) => other.sign_bytes(input),
            }
        }
        "hmac" => {
            let (alg, described) = rest.split_once(' ').unwrap();
            let alg = Alg::from_str(alg).unwrap();
            SigningKey::from_hmac_secret(alg, "", &secret(described)).sign_bytes(input)
        }
        "digest" => forge::digest(rest, input),
        "ecdsa" => forge::ecdsa(rest, key, input),
        "eddsa" => forge::eddsa(rest, key, input),
        "rsa" => forge::rsa(rest, key, input),
        "pss" => forge::pss(rest, key, input),
        other => panic!("signed how? {other}"),
    }
}
