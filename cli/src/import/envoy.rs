//! Envoy's own `jwt_authn`: the same configuration, but for what a plugin cannot have.

mod conditions;
mod host;
mod overlap;
mod route;

use serde_json::{Map, Value};

use crate::import::Imported;
use crate::import::envoy::route::Site;
use crate::tree::Tree;

const FILTER: &str = ".jwt_authn.v3.JwtAuthentication";

pub fn import(trees: &[Tree], imported: &mut Imported) -> Result<(), String> {
    let filters = filters(trees);
    if filters.is_empty() {
        return Err("there is no filter envoy.filters.http.jwt_authn in it".to_owned());
    }
    route::strays(trees, imported);
    for filter in &filters {
        let mut config = match filter.to_value() {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        config.remove("@type");
        let rules = route_rules(trees, filter, filters.len(), imported);
        about_differences(filter, rules.is_empty(), imported);
        if !rules.is_empty() {
            let own = route::filter_rules(filter).iter().map(Tree::to_value);
            config.insert("rules".to_owned(), rules.into_iter().chain(own).collect());
        }
        imported.documents.push(Value::Object(config));
    }
    Ok(())
}

/// The configurations of the filter, wherever they are.
fn filters(trees: &[Tree]) -> Vec<&Tree> {
    let mut filters = Vec::new();
    for tree in trees {
        tree.each_object(&mut |object| {
            let kind = object.text_at("@type").unwrap_or_default();
            if kind.ends_with(FILTER) {
                filters.push(object);
            } else if object.text_at("type_url").is_some_and(|kind| kind.ends_with(FILTER)) {
                filters.extend(object.get("value"));
            }
        });
        // The filter's configuration alone.
        if tree.get("providers").is_some() && tree.text_at("@type").is_none() {
            filters.push(tree);
        }
    }
    filters
}

/// Rules in place of what the routes behind a filter say of it.
fn route_rules(
    trees: &[Tree],
    filter: &Tree,
    filters: usize,
    imported: &mut Imported,
) -> Vec<Value> {
    let near = near_sites(trees, filter);
    // Where the routes are elsewhere, nobody knows which filter they are behind.
    let is_sure = !near.is_empty() || filters == 1;
    let sites = if near.is_empty() { trees.iter().flat_map(route::sites).collect() } else { near };
    match sites.as_slice() {
        sites if !sites.iter().any(Site::says) => Vec::new(),
        [only] if is_sure => only.rules(filter, imported),
        _ => {
            imported.lost(
                filter,
                "what routes say of the filter: there are several filters or lists of routes, and each \
                 list counts for one filter; import each pair from a file of its own",
            );
            Vec::new()
        }
    }
}

/// The routes that stand beside a filter, in the connection manager that it is of.
fn near_sites<'a>(trees: &'a [Tree], filter: &Tree) -> Vec<Site<'a>> {
    let mut sites = Vec::new();
    for tree in trees {
        tree.each_object(&mut |object| {
            let mut is_of = false;
            if let Some(filters) = object.get("http_filters") {
                for own in filters.items() {
                    own.each_object(&mut |own| is_of |= std::ptr::eq(own, filter));
                }
            }
            if is_of {
                sites = route::sites(object);
            }
        });
    }
    sites
}

fn about_differences(filter: &Tree, is_without_routes: bool, imported: &mut Imported) {
    if is_without_routes && route::filter_rules(filter).is_empty() {
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
