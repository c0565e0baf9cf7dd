//! What routes say of the filter, as rules. Natively it counts for the route that Envoy chose, so the routes
//! before it are rules, too, with what the filter's own rules ask for.

use serde_json::{Map, Value, json};

use crate::import::Imported;
use crate::import::envoy::host::{self, Hosts};
use crate::import::envoy::{conditions, overlap};
use crate::tree::{Tree, snake_case};

const PER_ROUTE: &str = ".jwt_authn.v3.PerRouteConfig";
const FILTER_CONFIG: &str = "config.route.v3.FilterConfig";

/// Virtual hosts among which Envoy chooses.
pub struct Site<'a> {
    tree: &'a Tree,
    hosts: Vec<&'a Tree>,
}

/// What a route says of the filter.
#[derive(Clone, Copy)]
enum Says<'a> {
    Off,
    Asks(&'a str),
    /// Nothing, or nothing that can be read.
    Nothing,
}

/// All that routes are found in, in a tree.
pub fn sites(tree: &Tree) -> Vec<Site<'_>> {
    let mut sites: Vec<Site<'_>> = Vec::new();
    tree.each_object(&mut |object| {
        let items = |name: &str| object.get(name).map(Tree::items).unwrap_or_default();
        let is_within = |site: &Site<'_>| site.hosts.iter().any(|own| std::ptr::eq(*own, object));
        if object.get("virtual_hosts").is_some() {
            sites.push(Site { tree: object, hosts: items("virtual_hosts").iter().collect() });
        } else if items("routes").iter().any(|own| own.get("match").is_some())
            && !sites.iter().any(is_within)
        {
            // A virtual host alone.
            sites.push(Site { tree: object, hosts: vec![object] });
        }
    });
    sites
}

/// What says something of the filter where no rule can be made of it, such as a share of a route.
pub fn strays(trees: &[Tree], imported: &mut Imported) {
    let mut known: Vec<&Tree> = Vec::new();
    for site in trees.iter().flat_map(sites) {
        known.push(site.tree);
        for own in site.hosts {
            known.push(own);
            known.extend(own.get("routes").map(Tree::items).unwrap_or_default());
        }
    }
    for tree in trees {
        tree.each_object(&mut |object| {
            if let Some(own) = about(object)
                && !known.iter().any(|known| std::ptr::eq(*known, object))
            {
                imported.lost(own, "a configuration that is not of a route of a virtual host here");
            }
        });
    }
}

/// What an object says of the filter.
fn about(object: &Tree) -> Option<&Tree> {
    let all = object.get("typed_per_filter_config").map(Tree::members).unwrap_or_default();
    let is_about = |own: &Tree| {
        let mut found = false;
        own.each_object(&mut |object| {
            let kinds = ["@type", "type_url"].map(|name| object.text_at(name).unwrap_or_default());
            found |= kinds.iter().any(|kind| kind.ends_with(PER_ROUTE));
        });
        found
    };
    let mut all = all.iter().filter(|own| own.name.contains("jwt_authn") || is_about(&own.value));
    all.next().map(|own| &own.value)
}

fn says(own: &Tree) -> Option<Says<'_>> {
    let kind = own.text_at("@type").unwrap_or_default();
    let is_disabled = own.get("disabled").is_some_and(Tree::is_true);
    let inner = if kind.ends_with(FILTER_CONFIG) { own.get("config") } else { own.get("value") };
    match (kind.ends_with(PER_ROUTE), is_disabled, own.text_at("requirement_name")) {
        // An entry that takes the filter away comes to the same.
        (true, true, _) => Some(Says::Off),
        (false, true, _) if kind.ends_with(FILTER_CONFIG) => Some(Says::Off),
        (true, false, Some(name)) => Some(Says::Asks(name)),
        (true, false, None) => None,
        (false, ..) if own.text_at("type_url").is_some_and(|kind| kind.ends_with(PER_ROUTE)) => {
            let inner = inner?;
            match (
                inner.get("disabled").is_some_and(Tree::is_true),
                inner.text_at("requirement_name"),
            ) {
                (true, _) => Some(Says::Off),
                (false, name) => name.map(Says::Asks),
            }
        }
        (false, ..) => inner.filter(|_| kind.ends_with(FILTER_CONFIG)).and_then(says),
    }
}

impl<'a> Site<'a> {
    /// Whether it says anything of the filter.
    pub fn says(&self) -> bool {
        self.hosts.iter().any(|host| self.host_says(host))
    }

    fn host_says(&self, host: &Tree) -> bool {
        let routes = host.get("routes").map(Tree::items).unwrap_or_default();
        [self.tree, host].into_iter().chain(routes).any(|own| about(own).is_some())
    }

    /// Rules in place of what it says, which come before the filter's own.
    pub fn rules(&self, filter: &Tree, imported: &mut Imported) -> Vec<Value> {
        if let Some(own) = self.tree.get("vhost_header") {
            imported.lost(own, "`vhost_header`: the rules are by `:authority`");
        }
        let mut blocks: Vec<(Hosts, &Tree)> = Vec::new();
        for tree in &self.hosts {
            blocks.extend(host::of(tree).into_iter().map(|hosts| (hosts, *tree)));
        }
        blocks.sort_by(|(one, _), (other, _)| one.cmp(other));
        // Behind the last one that says something, the filter's own rules are enough.
        let last = blocks.iter().rposition(|(_, tree)| self.host_says(tree));
        let is_port_ignored =
            self.tree.get("ignore_port_in_host_matching").is_some_and(Tree::is_true);
        let mut rules = Vec::new();
        for (index, (hosts, tree)) in blocks.iter().enumerate() {
            if last.is_none_or(|last| index > last) {
                break;
            }
            let host = hosts.condition(is_port_ignored);
            rules.extend(self.rules_of_host(tree, host.as_ref(), filter, imported));
            if last != Some(index) {
                let mut place = Map::from_iter([("prefix".to_owned(), json!("/"))]);
                at_host(&mut place, host.as_ref());
                rules.extend(own_rules(tree, &place, filter, imported));
            }
        }
        rules
    }

    fn rules_of_host(
        &self,
        tree: &'a Tree,
        host: Option<&Value>,
        filter: &Tree,
        imported: &mut Imported,
    ) -> Vec<Value> {
        let routes = tree.get("routes").map(Tree::items).unwrap_or_default();
        let own =
            |route: &'a Tree| about(route).or_else(|| about(tree)).or_else(|| about(self.tree));
        let of_all = about(tree).or_else(|| about(self.tree));
        if let Some(own) = of_all.filter(|_| routes.is_empty()) {
            imported.lost(own, "a virtual host whose routes are not here");
        }
        let until = routes.iter().rposition(|route| own(route).is_some());
        let count = until.map_or(0, |last| last.saturating_add(1));
        let mut rules = Vec::new();
        for route in routes.iter().take(count) {
            let said = own(route).map_or(Says::Nothing, |own| read(own, imported));
            rules.extend(rules_of_route(route, said, host, filter, imported));
        }
        rules
    }
}

fn read<'a>(own: &'a Tree, imported: &mut Imported) -> Says<'a> {
    match says(own) {
        Some(said) => {
            imported.note(
                own,
                "becomes a rule on the path of its route; where the gate changes nothing in requests, \
                 `route_name` is exact",
            );
            said
        }
        None => {
            imported.lost(own, "neither `disabled` nor `requirement_name`");
            Says::Nothing
        }
    }
}

fn rules_of_route(
    route: &Tree,
    said: Says<'_>,
    host: Option<&Value>,
    filter: &Tree,
    imported: &mut Imported,
) -> Vec<Value> {
    let Some(matches) = route.get("match").filter(|own| own.is_object()) else {
        imported.lost(route, "a route without `match`");
        return Vec::new();
    };
    let (mut place, others) = conditions::of(matches);
    for other in &others {
        imported.lost(other, "a condition of a route that no rule can have");
    }
    at_host(&mut place, host);
    match said {
        // Without the condition it would open more.
        Says::Off if !others.is_empty() => Vec::new(),
        Says::Off => vec![json!({ "match": place })],
        Says::Asks(name) => vec![json!({ "match": place, "requirement_name": name })],
        Says::Nothing => own_rules(route, &place, filter, imported),
    }
}

fn at_host(place: &mut Map<String, Value>, host: Option<&Value>) {
    let Some(host) = host else { return };
    let headers = place.entry("headers").or_insert_with(|| json!([]));
    if let Value::Array(headers) = headers {
        headers.push(host.clone());
    }
}

/// What the filter's own rules ask of some requests, as rules for just these.
fn own_rules(
    tree: &Tree,
    place: &Map<String, Value>,
    filter: &Tree,
    imported: &mut Imported,
) -> Vec<Value> {
    let mut rules = Vec::new();
    for rule in filter_rules(filter) {
        let members = rule.get("match").map(Tree::members).unwrap_or_default();
        let own = members.iter().map(|own| (snake_case(&own.name), own.value.to_value()));
        match overlap::both(place, &own.filter(|(_, value)| !value.is_null()).collect()) {
            Ok(None) => {}
            Ok(Some(both)) => {
                let is_whole = both == *place;
                let mut value = rule.to_value();
                if let Some(members) = value.as_object_mut() {
                    members.insert("match".to_owned(), both.into());
                }
                rules.push(value);
                if is_whole {
                    return rules;
                }
            }
            Err(()) => {
                imported.lost(
                    tree,
                    "what the filter's own rules ask for here, before a route that says otherwise; the rule \
                     asks for a token of any provider",
                );
                rules.push(json!({ "match": place, "requires": any_provider(filter) }));
                return rules;
            }
        }
    }
    // No rule of the filter is for the rest, so natively it is open, unless state of others decides.
    match filter.get("filter_state_rules") {
        None => rules.push(json!({ "match": place })),
        Some(own) => {
            imported
                .lost(own, "before rules of routes, which ask for a token of any provider here");
            rules.push(json!({ "match": place, "requires": any_provider(filter) }));
        }
    }
    rules
}

/// The filter's own rules.
pub fn filter_rules(filter: &Tree) -> &[Tree] {
    match filter.get("rules") {
        Some(rules) if rules.is_object() => std::slice::from_ref(rules),
        Some(rules) => rules.items(),
        None => &[],
    }
}

fn any_provider(filter: &Tree) -> Value {
    let all = filter.get("providers").map(Tree::members).unwrap_or_default();
    let all: Vec<_> = all.iter().map(|own| json!({ "provider_name": own.name })).collect();
    match all.as_slice() {
        [only] => only.clone(),
        _ => json!({ "requires_any": { "requirements": all } }),
    }
}
