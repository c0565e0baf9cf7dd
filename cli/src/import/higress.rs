//! Higress' `jwt-auth`.

use serde_json::{Map, Value, json};

use crate::import::Imported;
use crate::tree::Tree;

/// The plugin configuration, or a WasmPlugin that holds it.
pub fn import(trees: &[Tree], imported: &mut Imported) -> Result<(), String> {
    let mut found = false;
    for tree in trees {
        let spec = tree.get("spec").filter(|_| tree.text_at("kind") == Some("WasmPlugin"));
        // A `pluginConfig` is handed over as it stands, without what the rules of the manifest say.
        let of_plugin = spec.and_then(|own| own.get("plugin_config"));
        let config = match spec {
            Some(spec) => of_plugin.or_else(|| spec.get("default_config")),
            None => Some(tree),
        };
        let Some(config) = config.filter(|own| own.get("consumers").is_some()) else { continue };
        found = true;
        let manifest = spec.filter(|_| of_plugin.is_none()).and_then(|own| own.get("match_rules"));
        let rules: Vec<_> = match manifest.map(Tree::items).filter(|own| !own.is_empty()) {
            Some(rules) => rules.iter().filter_map(Special::of_manifest).collect(),
            None => {
                let rules = config.get("_rules_").map(Tree::items).unwrap_or_default();
                rules.iter().map(Special::of_configuration).collect()
            }
        };
        let mut providers = Map::new();
        for consumer in config.get("consumers").map(Tree::items).unwrap_or_default() {
            let name = consumer.text_at("name").unwrap_or("main").to_owned();
            let provider = consumer_provider(consumer, &name, imported);
            providers.insert(name, provider);
        }
        let rules = all_rules(config, &rules, &providers, imported);
        imported.documents.push(json!({ "providers": providers, "rules": rules }));
    }
    if found { Ok(()) } else { Err("there are no `consumers` in it".to_owned()) }
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
        None => match consumer.get("remote_jwks").and_then(|own| remote(consumer, own)) {
            Some((remote, address)) => {
                own.insert("remote_jwks".to_owned(), remote);
                imported.note(
                    consumer,
                    format!("{name}: keys come from {address}; its cluster must check certificate and name"),
                );
            }
            None => imported
                .lost(consumer, format!("{name}: neither `jwks` nor a service for `remote_jwks`")),
        },
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

/// Keys of a service: the cluster that Higress has for it, and the host that it is called by.
fn remote(consumer: &Tree, own: &Tree) -> Option<(Value, String)> {
    let number = |tree: &Tree, name: &str, default: u64| {
        tree.get(name).map(Tree::to_value).and_then(|own| own.as_u64()).unwrap_or(default)
    };
    let service = own.text_at("service_name").filter(|own| !own.is_empty())?;
    let path = own.text_at("path").filter(|own| own.starts_with('/'))?;
    let port = number(own, "service_port", 443);
    let host = own.text_at("service_host").filter(|own| !own.is_empty()).unwrap_or(service);
    let address = match port {
        80 => format!("http://{host}{path}"),
        443 => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
    // The least that Higress takes is half a minute.
    let fresh = number(consumer, "jwks_cache_duration", 600).max(30);
    let timeout = number(consumer, "jwks_fetch_timeout", 1500);
    let timeout = format!("{}.{:03}s", timeout.checked_div(1000)?, timeout.checked_rem(1000)?);
    let remote = json!({
        "http_uri": {
            "uri": address,
            "cluster": format!("outbound|{port}||{service}"),
            "timeout": timeout,
        },
        "cache_duration": format!("{fresh}s"),
    });
    Some((remote, address))
}

/// A rule for some requests.
struct Special<'a> {
    tree: &'a Tree,
    /// Who may; none: whoever has a token.
    allow: Option<Vec<String>>,
    routes: Vec<String>,
    /// How names of routes begin.
    beginnings: Vec<String>,
    domains: Vec<String>,
    services: Vec<String>,
}

fn texts(tree: &Tree, name: &str) -> Vec<String> {
    let list = tree.get(name).map(Tree::items).unwrap_or_default();
    list.iter().filter_map(Tree::text).map(str::to_owned).collect()
}

impl<'a> Special<'a> {
    /// One of `matchRules` of a WasmPlugin, unless it is off.
    fn of_manifest(tree: &'a Tree) -> Option<Self> {
        if tree.get("config_disable").is_some_and(Tree::is_true) {
            return None;
        }
        let config = tree.get("config");
        Some(Self {
            tree,
            allow: config.filter(|own| own.get("allow").is_some()).map(|own| texts(own, "allow")),
            routes: texts(tree, "ingress"),
            beginnings: Vec::new(),
            domains: texts(tree, "domain"),
            services: texts(tree, "service"),
        })
    }

    /// One of `_rules_` of a configuration, which Higress makes of those.
    fn of_configuration(tree: &'a Tree) -> Self {
        Self {
            tree,
            allow: tree.get("allow").map(|_| texts(tree, "allow")),
            routes: texts(tree, "_match_route_"),
            beginnings: texts(tree, "_match_route_prefix_"),
            domains: texts(tree, "_match_domain_"),
            services: texts(tree, "_match_service_"),
        }
    }

    /// The requests that it is for.
    fn matches(&self) -> Vec<Value> {
        let of_route =
            |how: &str, name: &String| json!({ "prefix": "/", "route_name": { how: name } });
        let routes = self.routes.iter().map(|name| of_route("exact", name));
        let beginnings = self.beginnings.iter().map(|name| of_route("prefix", name));
        let domains = self.domains.iter().map(|domain| of_domain(domain));
        routes.chain(beginnings).chain(domains).collect()
    }
}

/// Requests to a host: `*` stands at one end, and the port does not count.
fn of_domain(domain: &str) -> Value {
    let literal = |text: &str| -> String {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        text.chars()
            .map(|own| if plain(own) { own.to_string() } else { format!("[{own}]") })
            .collect()
    };
    let host = match (domain.strip_prefix('*'), domain.strip_suffix('*')) {
        (Some(""), _) => return json!({ "prefix": "/" }),
        (Some(end), _) => format!(".*{}", literal(end)),
        (None, Some(beginning)) => format!("{}.*", literal(beginning)),
        (None, None) => literal(domain),
    };
    // Hosts compare without regard to case.
    let host = json!({ "safe_regex": { "regex": format!("(?i){host}(:[0-9]*)?") } });
    json!({ "prefix": "/", "headers": [{ "name": ":authority", "string_match": host }] })
}

fn all_rules(
    config: &Tree,
    special: &[Special<'_>],
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
    for rule in special {
        let requires = match &rule.allow {
            Some(names) if names.is_empty() => {
                let message = "a rule that allows nobody; write `authorization` that denies";
                imported.lost(rule.tree, message);
                continue;
            }
            Some(names) => any(names.clone()),
            None => everybody(),
        };
        if !rule.services.is_empty() {
            let message = "a rule for services: write one for the routes or hosts that lead there";
            imported.lost(rule.tree, message);
            continue;
        }
        let matches = rule.matches();
        if matches.is_empty() {
            imported.lost(rule.tree, "a rule for neither routes nor domains");
        }
        rules.extend(matches.iter().map(|own| json!({ "match": own, "requires": requires })));
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
