//! Principals of requests, `ISSUER/SUBJECT` with a `*` at an end.

use serde_json::{Value, json};

use super::{joined, pattern};

/// A condition for a principal. Issuers say where they end and the subject begins: both may hold a `/`.
pub fn principal(text: &str, issuers: &[&str]) -> Result<Value, String> {
    // A principal has both, and tokens are of a known issuer.
    if text == "*" {
        return subject("*");
    }
    let inner = text.strip_suffix('*').or_else(|| text.strip_prefix('*')).unwrap_or(text);
    if inner.contains('*') {
        return Err(format!("the principal `{text}`"));
    }
    let mut any = match (text.strip_prefix('*'), text.strip_suffix('*')) {
        (Some(end), _) => of_end(end, issuers)?,
        (None, start) => {
            let of_issuer = |issuer: &&str| match start {
                Some(start) => rest_of_start(start, issuer),
                None => text.strip_prefix(issuer)?.strip_prefix('/').map(str::to_owned),
            };
            let own = |issuer: &&str| {
                let rest = of_issuer(issuer).filter(|rest| !rest.is_empty())?;
                Some(pair(issuer, &rest))
            };
            issuers.iter().filter_map(own).collect::<Result<Vec<_>, _>>()?
        }
    };
    any.dedup();
    joined("any", any)
        .ok_or_else(|| format!("the principal `{text}`, of none of the issuers here,"))
}

/// What is left for the subject of a principal that begins so, if it can be of this issuer.
fn rest_of_start(start: &str, issuer: &str) -> Option<String> {
    let whole = format!("{issuer}/");
    match start.strip_prefix(&whole) {
        Some(rest) => Some(format!("{rest}*")),
        None => whole.starts_with(start).then(|| "*".to_owned()),
    }
}

/// Principals that end so: the end of a subject, or a whole one after the end of an issuer.
fn of_end(end: &str, issuers: &[&str]) -> Result<Vec<Value>, String> {
    let mut all = vec![subject(&format!("*{end}"))?];
    for issuer in issuers {
        for (place, _) in end.match_indices('/') {
            let (of_issuer, rest) = end.split_at(place);
            let sub = rest.strip_prefix('/').filter(|own| !own.is_empty());
            if let Some(sub) = sub
                && issuer.ends_with(of_issuer)
            {
                all.push(pair(issuer, sub)?);
            }
        }
    }
    Ok(all)
}

fn pair(issuer: &str, sub: &str) -> Result<Value, String> {
    Ok(json!({ "all": [{ "claim": "iss", "string_match": issuer }, subject(sub)?] }))
}

fn subject(sub: &str) -> Result<Value, String> {
    Ok(json!({ "claim": "sub", "string_match": pattern(sub)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_say_where_subjects_begin() {
        let issuers = ["https://i.example", "https://i.example/t"];
        let of = |text: &str| principal(text, &issuers);
        let one = |issuer: &str, sub: Value| json!({ "all": [{ "claim": "iss", "string_match": issuer }, { "claim": "sub", "string_match": sub }] });
        let some = json!({ "safe_regex": { "regex": ".+" } });
        let [first, second] = issuers;
        for (text, expected) in [
            ("https://i.example/a", one(first, json!("a"))),
            ("https://i.example/a/b", one(first, json!("a/b"))),
            (
                "https://i.example/t/a",
                json!({ "any": [one(first, json!("t/a")), one(second, json!("a"))] }),
            ),
            (
                "https://i.example/t/*",
                json!({ "any": [one(first, json!({ "prefix": "t/" })), one(second, some.clone())] }),
            ),
            ("https://i*", json!({ "any": [one(first, some.clone()), one(second, some.clone())] })),
            ("*", json!({ "claim": "sub", "string_match": some })),
            ("*admin", json!({ "claim": "sub", "string_match": { "suffix": "admin" } })),
            (
                "*/t/a",
                json!({ "any": [
                    { "claim": "sub", "string_match": { "suffix": "/t/a" } },
                    one(first, json!("t/a")),
                    one(second, json!("t/a")),
                    one(second, json!("a")),
                ] }),
            ),
        ] {
            assert_eq!(of(text), Ok(expected), "{text}");
        }
        for text in
            ["https://bad*", "https://bad/a", "https://i.example/", "a", "https://*/a*", "a*b"]
        {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
