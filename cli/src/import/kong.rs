//! Kong's `jwt` plugin in a declarative configuration.

mod route;
mod scope;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jwt_gate_signing::public_jwk_of_pem;
use serde_json::{Map, Value, json};

use crate::import::Imported;
use crate::import::kong::route::Matches;
use crate::import::kong::scope::{find, list, reference};
use crate::tree::Tree;

pub fn import(trees: &[Tree], imported: &mut Imported) -> Result<(), String> {
    let tree = trees.first().ok_or("there is nothing in it")?;
    for other in trees.iter().skip(1) {
        imported.lost(other, "another document: Kong reads one");
    }
    let plugins = scope::plugins(tree, imported);
    let Some((first, _)) = plugins.first().cloned() else {
        return Err("there is no plugin `jwt` in it".to_owned());
    };
    let config = first
        .get("config")
        .cloned()
        .unwrap_or(Tree { data: crate::tree::Data::Null, ..first.clone() });
    for (other, _) in plugins.iter().skip(1) {
        let same =
            other.get("config").map(Tree::to_value) == first.get("config").map(Tree::to_value);
        if !same {
            imported.lost(other, "another `config` than that of the first `jwt` plugin");
        }
    }
    let mut providers = Map::new();
    for (secret, consumer) in secrets(tree, imported) {
        let name = consumer.text_at("username").unwrap_or("consumer");
        let mut names = std::iter::once(name.to_owned())
            .chain((2..).map(|count: u32| format!("{name}-{count}")));
        let own = names.find(|own| !providers.contains_key(own)).unwrap_or_default();
        if let Some(provider) = provider(secret, name, &config, imported) {
            providers.insert(own, provider);
        }
    }
    let names: Vec<_> = providers.keys().map(|name| json!({ "provider_name": name })).collect();
    let mut requires = match names.as_slice() {
        [only] => only.clone(),
        _ => json!({ "requires_any": { "requirements": names } }),
    };
    if let Some(anonymous) =
        config.get("anonymous").filter(|own| own.text().is_some_and(|own| !own.is_empty()))
    {
        imported.note(
            anonymous,
            "`anonymous`: whoever has no good token passes, as a request without claims",
        );
        let mut all = names;
        all.push(json!({ "allow_missing_or_failed": {} }));
        requires = json!({ "requires_any": { "requirements": all } });
    }
    let mut places: Vec<_> = plugins.into_iter().flat_map(|(_, matches)| matches).collect();
    // What Kong tries first stands first: the first rule that matches decides.
    places.sort();
    places.dedup();
    let mut rules: Vec<_> = places
        .iter()
        .map(|place| json!({ "match": place.to_match(), "requires": requires }))
        .collect();
    if !places.iter().any(Matches::is_everything) {
        imported.note(tree, "the plugin is not global: what no rule matches stays open");
        rules.push(json!({ "match": { "prefix": "/" } }));
    }
    let preflight = config.get("run_on_preflight").is_some_and(|own| !own.is_true());
    imported.documents.push(json!({
        "providers": providers, "rules": rules, "bypass_cors_preflight": preflight,
    }));
    Ok(())
}

/// Credentials, each with whose it is: they stand in consumers, or beside them.
fn secrets<'a>(tree: &'a Tree, imported: &mut Imported) -> Vec<(&'a Tree, &'a Tree)> {
    let consumers = list(tree, "consumers");
    let mut all = Vec::new();
    for consumer in consumers {
        all.extend(list(consumer, "jwt_secrets").iter().map(|own| (own, consumer)));
    }
    for secret in list(tree, "jwt_secrets") {
        let named = reference(secret, "consumer");
        match named.and_then(|own| find(consumers, own, &["username", "id", "custom_id"])) {
            Some(consumer) => all.push((secret, consumer)),
            None => imported.lost(secret, "a credential of a consumer that is not here"),
        }
    }
    all
}

fn provider(
    secret: &Tree,
    consumer: &str,
    config: &Tree,
    imported: &mut Imported,
) -> Option<Value> {
    let mut own = Map::new();
    let key = secret.text_at("key").unwrap_or_default();
    if key.is_empty() {
        imported.lost(
            secret,
            format!("{consumer}: a credential without `key`, by which tokens name it"),
        );
        return None;
    }
    match config.text_at("key_claim_name").unwrap_or("iss") {
        "iss" => drop(own.insert("issuer".to_owned(), key.into())),
        other => {
            imported.lost(
                config,
                format!("`key_claim_name: {other}`: here `iss` says whose a token is"),
            );
            return None;
        }
    }
    let alg = secret.text_at("algorithm").unwrap_or("HS256");
    let mut jwk = match (
        alg.starts_with("HS"),
        secret.text_at("rsa_public_key"),
        secret.text_at("secret"),
    ) {
        (true, _, Some(text)) => {
            let is_base64 = config.get("secret_is_base64").is_some_and(Tree::is_true);
            let octets = match is_base64 {
                true => STANDARD.decode(text).unwrap_or_default(),
                false => text.as_bytes().to_vec(),
            };
            let least = match alg {
                "HS384" => 48,
                "HS512" => 64,
                _ => 32,
            };
            if octets.len() < least {
                own.insert("allow_weak_keys".to_owned(), true.into());
                imported.note(secret, format!("{consumer}: a secret of {} octets, which whoever has a token can try out; make a longer one", octets.len()));
            }
            json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(octets) })
        }
        (false, Some(pem), _) if let Some(jwk) = public_jwk_of_pem(pem) => jwk,
        _ => {
            imported.lost(secret, format!("{consumer}: no key for {alg} that can be read"));
            return None;
        }
    };
    if let Some(members) = jwk.as_object_mut() {
        members.insert("alg".to_owned(), alg.into());
    }
    let keys = json!({ "keys": [jwk] }).to_string();
    own.insert("local_jwks".to_owned(), json!({ "inline_string": keys }));
    let names = |field: &str, default: &[&str]| match config.get(field) {
        Some(own) => own.items().iter().filter_map(Tree::text).map(str::to_owned).collect(),
        None => default.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
    };
    let headers = names("header_names", &["authorization"]);
    let headers = headers.iter().map(|name| json!({ "name": name, "value_prefix": "Bearer " }));
    own.insert("from_headers".to_owned(), headers.collect());
    own.insert("from_params".to_owned(), names("uri_param_names", &["jwt"]).into());
    own.insert("from_cookies".to_owned(), names("cookie_names", &[]).into());
    let verified = names("claims_to_verify", &[]);
    if verified.iter().any(|claim| claim == "exp") {
        own.insert("require_expiration".to_owned(), true.into());
    } else {
        imported.note(
            config,
            "`claims_to_verify` has no `exp`; here it counts wherever a token has one",
        );
    }
    if verified.iter().any(|claim| claim == "nbf") {
        own.insert("required_claims".to_owned(), json!(["nbf"]));
    }
    if let Some(most) =
        config.get("maximum_expiration").map(Tree::to_value).and_then(|own| own.as_u64())
        && most > 0
    {
        own.insert("max_lifetime".to_owned(), format!("{most}s").into());
    }
    own.insert("forward".to_owned(), true.into());
    own.insert(
        "set_headers".to_owned(),
        json!([
            { "key": "x-consumer-username", "value": consumer },
            { "key": "x-credential-identifier", "value": key },
        ]),
    );
    Some(own.into())
}
