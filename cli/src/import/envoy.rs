//! Envoy's own `jwt_authn`: the same configuration, but for what a plugin cannot have.

use serde_json::{Map, Value, json};

use crate::import::Imported;
use crate::tree::{Data, Tree, snake_case};

const FILTER: &str = ".jwt_authn.v3.JwtAuthentication";
const PER_ROUTE: &str = ".jwt_authn.v3.PerRouteConfig";

pub fn import(trees: &[Tree], imported: &mut Imported) -> Result<(), String> {
    let (mut filters, mut routes) = (Vec::new(), Vec::new());
    for tree in trees {
        tree.each_object(&mut |object| {
            let kind = object.text_at("@type").unwrap_or_default();
            if kind.ends_with(FILTER) {
                filters.push(object);
            } else if object.text_at("type_url").is_some_and(|kind| kind.ends_with(FILTER)) {
                filters.extend(object.get("value"));
            }
            if object.get("typed_per_filter_config").is_some() {
                routes.push(object);
            }
        });
        // The filter's configuration alone.
        if tree.get("providers").is_some() && tree.text_at("@type").is_none() {
            filters.push(tree);
        }
    }
    if filters.is_empty() {
        return Err("there is no filter envoy.filters.http.jwt_authn in it".to_owned());
    }
    let count = filters.len();
    for filter in filters {
        let mut config = match filter.to_value() {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        config.remove("@type");
        about_differences(filter, imported);
        let rules = route_rules(&routes, imported);
        if !rules.is_empty() {
            if count > 1 {
                imported.note(filter, "rules by route are the same for each of the filters; keep those that are meant");
            }
            let own = config.remove("rules").unwrap_or_else(|| json!([]));
            let own = match own {
                Value::Array(own) => own,
                one => vec![one],
            };
            config.insert("rules".to_owned(), rules.into_iter().chain(own).collect());
        }
        imported.documents.push(Value::Object(config));
    }
    Ok(())
}

fn about_differences(filter: &Tree, imported: &mut Imported) {
    let rules = filter.get("rules");
    if rules.is_none_or(|own| own.items().is_empty()) {
        imported.note(
            filter,
            "no `rules`: natively everything is open, here every path asks for a token of any provider; a \
             rule for the prefix `/` without `requires` opens it again",
        );
    }
    for provider in filter.get("providers").map(Tree::members).unwrap_or_default() {
        let name = &provider.name;
        for (field, message) in [
            ("payload_in_metadata", "becomes filter state; docs/bridge.md leads to native filters"),
            ("header_in_metadata", "becomes filter state"),
            ("failed_status_in_metadata", "becomes filter state"),
        ] {
            if let Some(tree) = provider.value.get(field) {
                imported.note(tree, format!("providers.{name}.{field} {message}"));
            }
        }
        for field in ["filename", "environment_variable"] {
            if let Some(tree) = provider.value.at(&["local_jwks", field]) {
                let message = format!(
                    "providers.{name}.local_jwks.{field}: a plugin cannot read it; put the keys into \
                     `inline_string`, or serve them"
                );
                imported.lost(tree, message);
            }
        }
    }
    let mut asks_for_metadata = Vec::new();
    filter.each_object(&mut |object| asks_for_metadata.extend(object.get("dynamic_metadata")));
    for tree in asks_for_metadata {
        imported.lost(tree, "conditions on dynamic metadata: a plugin cannot read it");
    }
}

/// Rules in place of what routes say of the filter; they come before all others, as natively.
fn route_rules(routes: &[&Tree], imported: &mut Imported) -> Vec<Value> {
    let mut rules = Vec::new();
    for route in routes {
        let all = route.get("typed_per_filter_config").map(Tree::members).unwrap_or_default();
        let own = all.iter().map(|member| &member.value);
        let own =
            own.filter(|own| own.text_at("@type").is_some_and(|kind| kind.ends_with(PER_ROUTE)));
        for own in own {
            let Some(matches) = route.get("match").filter(|tree| tree.is_object()) else {
                imported.lost(
                    own,
                    "a configuration for a whole virtual host; write rules on `:authority`",
                );
                continue;
            };
            let is_disabled = own.get("disabled").is_some_and(Tree::is_true);
            let rule = match (is_disabled, own.text_at("requirement_name")) {
                (true, _) => json!({ "match": conditions(matches) }),
                (false, Some(name)) => {
                    json!({ "match": conditions(matches), "requirement_name": name })
                }
                (false, None) => {
                    imported.lost(own, "neither `disabled` nor `requirement_name`");
                    continue;
                }
            };
            imported.note(
                own,
                "becomes a rule on the path of its route, for every virtual host; where the gate changes \
                 nothing in requests, `route_name` is exact",
            );
            rules.push(rule);
        }
    }
    rules
}

/// The conditions of a route that rules have, too.
fn conditions(matches: &Tree) -> Value {
    let members = matches.members().iter().filter(|own| {
        let known = ["prefix", "path", "safe_regex", "path_separated_prefix", "connect_matcher"];
        let known = known.iter().chain(&["headers", "query_parameters", "case_sensitive"]);
        known.into_iter().any(|name| *name == snake_case(&own.name)) && own.value.data != Data::Null
    });
    members.map(|own| (own.name.clone(), own.value.to_value())).collect::<Map<_, _>>().into()
}
