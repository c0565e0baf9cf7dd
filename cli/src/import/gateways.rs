//! Gateways whose JWT plug-ins are one object: Higress and Alibaba Cloud's API Gateway.

use serde_json::{Map, Value, json};

use crate::import::Imported;
use crate::tree::Tree;

/// Higress' `jwt-auth`: the plugin configuration, or a WasmPlugin that holds it.
pub fn higress(trees: &[Tree], imported: &mut Imported) -> Result<(), String> {
    let configs = trees.iter().filter_map(|tree| match tree.text_at("kind") {
        Some("WasmPlugin") => {
            tree.at(&["spec", "default_config"]).or_else(|| tree.at(&["spec", "plugin_config"]))
        }
        _ => Some(tree),
    });
    let configs: Vec<_> = configs.filter(|own| own.get("consumers").is_some()).collect();
    if configs.is_empty() {
        return Err("there are no `consumers` in it".to_owned());
    }
    for tree in trees {
        if let Some(rules) = tree.at(&["spec", "match_rules"]) {
            imported.lost(
                rules,
                "`matchRules`: write a rule for each, on `route_name` or `:authority`",
            );
        }
    }
    for config in configs {
        let mut providers = Map::new();
        for consumer in config.get("consumers").map(Tree::items).unwrap_or_default() {
            let name = consumer.text_at("name").unwrap_or("main").to_owned();
            let provider = consumer_provider(consumer, &name, imported);
            providers.insert(name, provider);
        }
        let rules = higress_rules(config, &providers, imported);
        imported.documents.push(json!({ "providers": providers, "rules": rules }));
    }
    Ok(())
}

fn consumer_provider(consumer: &Tree, name: &str, imported: &mut Imported) -> Value {
    let mut own = Map::new();
    for field in ["issuer", "from_headers", "from_params", "from_cookies", "clock_skew_seconds"] {
        if let Some(value) = consumer.get(field) {
            own.insert(field.to_owned(), value.to_value());
        }
    }
    match consumer.text_at("jwks") {
        Some(keys) => drop(own.insert("local_jwks".to_owned(), json!({ "inline_string": keys }))),
        None => imported.lost(
            consumer,
            format!("{name}: `remote_jwks` names a service; write our `remote_jwks` with its address and cluster"),
        ),
    }
    let claims = consumer.get("claims_to_headers").map(Tree::items).unwrap_or_default().iter();
    let claims = claims.map(
        |own| json!({ "header_name": own.text_at("header"), "claim_name": own.text_at("claim") }),
    );
    let claims: Vec<_> = claims.collect();
    if !claims.is_empty() {
        own.insert("claim_to_headers".to_owned(), claims.into());
    }
    let keeps = consumer.get("keep_token").is_none_or(Tree::is_true);
    own.insert("forward".to_owned(), keeps.into());
    own.insert("set_headers".to_owned(), json!([{ "key": "x-mse-consumer", "value": name }]));
    own.into()
}

fn higress_rules(
    config: &Tree,
    providers: &Map<String, Value>,
    imported: &mut Imported,
) -> Vec<Value> {
    let any = |names: Vec<String>| -> Value {
        let mut each: Vec<_> = names.iter().map(|name| json!({ "provider_name": name })).collect();
        match (each.len(), each.pop()) {
            (1, Some(only)) => only,
            (_, Some(last)) => {
                each.push(last);
                json!({ "requires_any": { "requirements": each } })
            }
            (_, None) => json!({}),
        }
    };
    let everybody = || any(providers.keys().cloned().collect());
    let mut rules = Vec::new();
    let special = config.get("_rules_").map(Tree::items).unwrap_or_default();
    for rule in special {
        let texts = |name: &str| {
            let list = rule.get(name).map(Tree::items).unwrap_or_default();
            list.iter().filter_map(Tree::text).map(str::to_owned).collect::<Vec<_>>()
        };
        let requires = match rule.get("allow") {
            Some(_) => any(texts("allow")),
            None => everybody(),
        };
        if rule.get("allow").is_some_and(|own| own.items().is_empty()) {
            imported.lost(rule, "a rule that allows nobody; write `authorization` that denies");
            continue;
        }
        for route in texts("_match_route_") {
            let matches = json!({ "prefix": "/", "route_name": { "exact": route } });
            rules.push(json!({ "match": matches, "requires": requires }));
        }
        for domain in texts("_match_domain_") {
            let host = match domain.strip_prefix('*') {
                Some(end) => json!({ "suffix": end }),
                None => json!({ "exact": domain }),
            };
            let host = json!({ "name": ":authority", "string_match": host });
            rules.push(
                json!({ "match": { "prefix": "/", "headers": [host] }, "requires": requires }),
            );
        }
        if texts("_match_route_").is_empty() && texts("_match_domain_").is_empty() {
            imported.lost(rule, "a rule on neither `_match_route_` nor `_match_domain_`");
        }
    }
    let global = config.get("global_auth").map(Tree::is_true);
    if global.unwrap_or(special.is_empty()) {
        rules.push(json!({ "match": { "prefix": "/" }, "requires": everybody() }));
    } else {
        imported.note(config, "not for everybody (`global_auth`): what no rule matches stays open");
        rules.push(json!({ "match": { "prefix": "/" } }));
    }
    rules
}

/// The JWT plug-in of Alibaba Cloud's API Gateway.
pub fn alibaba(trees: &[Tree], imported: &mut Imported) -> Result<(), String> {
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
