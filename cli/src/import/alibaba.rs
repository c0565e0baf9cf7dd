//! The JWT plug-in of Alibaba Cloud's API Gateway.

use serde_json::{Map, json};

use crate::import::Imported;
use crate::tree::Tree;

/// Its object.
pub fn import(trees: &[Tree], imported: &mut Imported) -> Result<(), String> {
    let is_plugin = |tree: &&Tree| tree.get("jwk").is_some() || tree.get("jwks").is_some();
    let Some(plugin) = trees.iter().find(is_plugin) else {
        return Err("there is neither `jwk` nor `jwks` in it".to_owned());
    };
    let mut own = Map::new();
    let one = plugin.get("jwk").map(Tree::to_value);
    let more = plugin.get("jwks").map(Tree::items).unwrap_or_default().iter().map(Tree::to_value);
    let keys: Vec<_> = one.into_iter().chain(more).collect();
    let keys = json!({ "keys": keys }).to_string();
    own.insert("local_jwks".to_owned(), json!({ "inline_string": keys }));
    own.insert("algorithms".to_owned(), json!(["RS256"]));
    let name = plugin.text_at("parameter").unwrap_or("Authorization");
    match plugin.text_at("parameter_location").unwrap_or("header") {
        "query" => drop(own.insert("from_params".to_owned(), json!([name]))),
        "cookie" => drop(own.insert("from_cookies".to_owned(), json!([name]))),
        _ => {
            let prefix = if name.eq_ignore_ascii_case("authorization") { "Bearer " } else { "" };
            let header = json!([{ "name": name, "value_prefix": prefix }]);
            own.insert("from_headers".to_owned(), header);
        }
    }
    let (mut headers, mut params) = (Vec::new(), Vec::new());
    for claim in plugin.get("claim_parameters").map(Tree::items).unwrap_or_default() {
        let (from, to) = (claim.text_at("claim_name"), claim.text_at("parameter_name"));
        match claim.text_at("location").unwrap_or("header") {
            "header" => headers.push(json!({ "header_name": to, "claim_name": from })),
            "query" => params.push(json!({ "parameter_name": to, "claim_name": from })),
            "path" => imported.lost(
                claim,
                "a claim in the path: write `claim_to_path` in a rule with a path template",
            ),
            _ => imported.lost(claim, "a claim in a form: the gate reads no bodies"),
        }
    }
    for (field, list) in [("claim_to_headers", headers), ("claim_to_query_parameters", params)] {
        if !list.is_empty() {
            own.insert(field.to_owned(), list.into());
        }
    }
    let is_on = |name: &str| plugin.get(name).filter(|own| own.is_true());
    if is_on("prevent_jti_replay").is_some() {
        own.insert("single_use".to_owned(), json!({}));
        imported.note(
            plugin,
            "`preventJtiReplay` becomes `single_use`, within one Envoy: docs/single-use.md",
        );
    }
    if let Some(tree) = is_on("ignore_expiration_check") {
        imported.lost(tree, "`ignoreExpirationCheck` makes every leaked token good for ever; `clock_skew` can be long");
    }
    let main = json!({ "provider_name": "main" });
    let requires = match is_on("bypass_empty_token") {
        Some(_) => json!({ "requires_any": { "requirements": [main, { "allow_missing": {} }] } }),
        None => main,
    };
    imported
        .note(plugin, "the plug-in checks neither `iss` nor `aud`; `issuer` and `audiences` would");
    imported.note(plugin, "bad tokens get 401 here; `error_responses` can say something else");
    imported.documents.push(json!({
        "providers": { "main": own },
        "rules": [{ "match": { "prefix": "/" }, "requires": requires }],
    }));
    Ok(())
}
