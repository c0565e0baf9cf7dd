//! Istio's AuthorizationPolicies as ordered policies. What cannot be said here stays in Istio as a whole: half
//! a condition would let others in.

mod principal;

use serde_json::{Value, json};

use crate::import::Imported;
use crate::import::istio_policy::principal::principal;
use crate::tree::Tree;

/// Whether a policy judges what is in tokens.
pub fn looks_at_tokens(policy: &Tree) -> bool {
    let mut found = false;
    policy.each_object(&mut |object| {
        let mut names = ["request_principals", "not_request_principals"].into_iter();
        let key = object.text_at("key").unwrap_or_default();
        found |= names.any(|name| object.get(name).is_some()) || key.starts_with("request.auth.");
    });
    found
}

/// `authorization`, for tokens of these issuers; none where nothing asks for it.
pub fn authorization(
    policies: &[&Tree],
    issuers: &[&str],
    imported: &mut Imported,
) -> Option<Value> {
    let (mut denials, mut allowances, mut default) = (Vec::new(), Vec::new(), "allow");
    for policy in policies {
        let name =
            policy.at(&["metadata", "name"]).and_then(Tree::text).unwrap_or("without a name");
        let action = policy.at(&["spec", "action"]).and_then(Tree::text).unwrap_or("ALLOW");
        let list = match action {
            "ALLOW" => &mut allowances,
            "DENY" => &mut denials,
            other => {
                imported
                    .lost(policy, format!("AuthorizationPolicy {name}: {other} stays in Istio"));
                continue;
            }
        };
        // Where there are allowances, one of them must apply; one without rules never does.
        if action == "ALLOW" {
            default = "deny";
        }
        let rules = policy.at(&["spec", "rules"]).map(Tree::items).unwrap_or_default();
        match rules.iter().map(|own| rule(own, action, issuers)).collect::<Result<Vec<_>, _>>() {
            Ok(own) => list.extend(own.into_iter().flatten()),
            Err(what) => {
                let more = match action {
                    "ALLOW" => "; what it allows is refused here until you write it",
                    _ => "",
                };
                let message = format!(
                    "AuthorizationPolicy {name}: {what} cannot be judged by a plugin; the policy stays in \
                     Istio, without its conditions on tokens{more}"
                );
                imported.lost(policy, message);
            }
        }
    }
    let list: Vec<_> = denials.into_iter().chain(allowances).collect();
    match (list.is_empty(), default) {
        (true, "allow") => None,
        _ => Some(json!({ "policies": list, "default": default })),
    }
}

/// The policies that a rule comes to: one for each path and host.
fn rule(rule: &Tree, action: &str, issuers: &[&str]) -> Result<Vec<Value>, String> {
    let list = |name: &str| rule.get(name).map(Tree::items).unwrap_or_default();
    known(rule, &["from", "to", "when"])?;
    let sources = list("from").iter().map(|own| source(own.get("source").unwrap_or(own), issuers));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    let whens = list("when").iter().map(when).collect::<Result<Vec<_>, _>>()?;
    let mut all = whens;
    all.extend(joined("any", sources));
    let condition = joined("all", all);
    let operations = match list("to") {
        [] => vec![(Vec::new(), None)],
        some => {
            let each = some.iter().map(|own| operation(own.get("operation").unwrap_or(own)));
            each.collect::<Result<Vec<_>, _>>()?.concat()
        }
    };
    let policies = operations.into_iter().map(|(methods, matches)| {
        let mut policy = json!({ "action": action.to_lowercase() });
        let parts = [
            ("methods", Some(Value::from(methods)).filter(|own| own != &json!([]))),
            ("match", matches),
            ("when", condition.clone()),
        ];
        for (name, value) in parts {
            if let (Some(value), Some(members)) = (value, policy.as_object_mut()) {
                members.insert(name.to_owned(), value);
            }
        }
        policy
    });
    Ok(policies.collect())
}

/// One condition of several; none of none.
fn joined(how: &str, mut all: Vec<Value>) -> Option<Value> {
    match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(json!({ how: all })),
    }
}

/// That an object has no other members: each would be a condition.
fn known(tree: &Tree, names: &[&str]) -> Result<(), String> {
    let other = tree.members().iter().find(|own| !names.contains(&own.name.as_str()));
    other.map_or(Ok(()), |own| Err(format!("`{}`", own.name)))
}

fn source(tree: &Tree, issuers: &[&str]) -> Result<Value, String> {
    known(tree, &["requestPrincipals", "notRequestPrincipals"])?;
    let mut all = Vec::new();
    for (name, is_not) in [("requestPrincipals", false), ("notRequestPrincipals", true)] {
        let Some(list) = tree.get(name) else { continue };
        let each = texts(list)?.into_iter().map(|own| principal(own, issuers));
        let each = each.collect::<Result<Vec<_>, _>>()?;
        let any = joined("any", each).ok_or("an empty list")?;
        all.push(if is_not { json!({ "not": any }) } else { any });
    }
    joined("all", all).ok_or_else(|| "an empty `source`".to_owned())
}

/// A text with a `*` at one end, as a matcher.
fn pattern(text: &str) -> Result<Value, String> {
    let inner = text.strip_suffix('*').or_else(|| text.strip_prefix('*')).unwrap_or(text);
    if inner.contains('*') {
        return Err(format!("the value `{text}`"));
    }
    Ok(match (text.strip_suffix('*'), text.strip_prefix('*')) {
        (Some(""), _) => json!({ "safe_regex": { "regex": ".+" } }),
        (Some(start), _) => json!({ "prefix": start }),
        (None, Some(end)) => json!({ "suffix": end }),
        (None, None) => text.into(),
    })
}

fn texts(tree: &Tree) -> Result<Vec<&str>, String> {
    let all = tree.items().iter().map(|own| own.text().ok_or("a value that is no text".to_owned()));
    all.collect()
}

fn when(tree: &Tree) -> Result<Value, String> {
    known(tree, &["key", "values", "notValues"])?;
    let key = tree.text_at("key").unwrap_or_default();
    let claim = claim(key).ok_or(format!("the condition on `{key}`"))?;
    let one = |values: &Tree| -> Result<Value, String> {
        let texts = texts(values)?;
        if claim == ["scope"] && texts.iter().all(|text| !text.contains('*')) {
            return Ok(json!({ "scopes": { "any": texts } }));
        }
        let patterns = texts.into_iter().map(pattern).collect::<Result<Vec<_>, _>>()?;
        let any = json!({ "string_match": patterns });
        // Istio splits these two at spaces, and no others.
        let is_words = matches!(claim.as_slice(), ["scope" | "permission"]);
        let text_as = if is_words { "words" } else { "item" };
        Ok(json!({ "claim": claim, "list_match": { "any": any, "text_as": text_as } }))
    };
    let values = tree.get("values").map(one).transpose()?;
    let not = tree.get("notValues").map(one).transpose()?.map(|own| json!({ "not": own }));
    let all = values.into_iter().chain(not).collect();
    joined("all", all).ok_or_else(|| format!("the condition on `{key}` without values"))
}

/// The claim that a key names.
fn claim(key: &str) -> Option<Vec<&str>> {
    match key {
        "request.auth.audiences" => return Some(vec!["aud"]),
        "request.auth.presenter" => return Some(vec!["azp"]),
        _ => {}
    }
    let inner = key.strip_prefix("request.auth.claims[")?.strip_suffix(']')?;
    let names: Vec<_> = inner.split("][").collect();
    names.iter().all(|name| !name.is_empty()).then_some(names)
}

/// Methods, and the conditions of each path at each host.
type Operation = (Vec<Value>, Option<Value>);

fn operation(tree: &Tree) -> Result<Vec<Operation>, String> {
    known(tree, &["methods", "paths", "hosts"])?;
    let list = |name: &str| tree.get(name).map(texts).transpose();
    let methods: Vec<Value> =
        list("methods")?.unwrap_or_default().into_iter().map(Value::from).collect();
    if methods.iter().any(|own| own.as_str().is_some_and(|own| own.contains('*'))) {
        return Err("a method with `*`".to_owned());
    }
    let paths = match list("paths")? {
        None => vec![None],
        Some(some) => some.into_iter().map(|own| path(own).map(Some)).collect::<Result<_, _>>()?,
    };
    let hosts = match list("hosts")? {
        None => vec![None],
        Some(some) => some.into_iter().map(|own| host(own).map(Some)).collect::<Result<_, _>>()?,
    };
    let mut all = Vec::new();
    for path in &paths {
        for host in &hosts {
            let matches = match (path.clone(), host) {
                (None, None) => None,
                (path, host) => {
                    let mut matches = path.unwrap_or_else(|| json!({ "prefix": "/" }));
                    if let (Some(host), Some(members)) = (host, matches.as_object_mut()) {
                        members.insert("headers".to_owned(), json!([host]));
                    }
                    Some(matches)
                }
            };
            all.push((methods.clone(), matches));
        }
    }
    Ok(all)
}

fn path(text: &str) -> Result<Value, String> {
    if text.contains('{') {
        return Err(format!("the path template `{text}`"));
    }
    let inner = text.strip_suffix('*').or_else(|| text.strip_prefix('*')).unwrap_or(text);
    if inner.contains('*') {
        return Err(format!("the path `{text}`"));
    }
    Ok(match (text.strip_suffix('*'), text.strip_prefix('*')) {
        (Some(""), _) => json!({ "prefix": "/" }),
        (Some(start), _) => json!({ "prefix": start }),
        (None, Some(end)) => json!({ "safe_regex": { "regex": format!(".*{}", escaped(end)) } }),
        (None, None) => json!({ "path": text }),
    })
}

/// A condition on the host, with or without a port.
fn host(text: &str) -> Result<Value, String> {
    let inner = text.strip_suffix('*').or_else(|| text.strip_prefix('*')).unwrap_or(text);
    if inner.contains('*') || text == "*" {
        return Err(format!("the host `{text}`"));
    }
    let (start, end) = match (text.strip_prefix('*'), text.strip_suffix('*')) {
        (Some(_), _) => (".*", ""),
        (None, Some(_)) => ("", ".*"),
        (None, None) => ("", ""),
    };
    // Hosts compare without regard to case.
    let regex = format!("(?i){start}{}{end}(:[0-9]+)?", escaped(inner));
    Ok(json!({ "name": ":authority", "string_match": { "safe_regex": { "regex": regex } } }))
}

/// A text that a regular expression takes as it is.
fn escaped(text: &str) -> String {
    let mut regex = String::new();
    for letter in text.chars() {
        if !letter.is_ascii_alphanumeric() && !"/_-".contains(letter) && letter.is_ascii() {
            regex.push('\\');
        }
        regex.push(letter);
    }
    regex
}
