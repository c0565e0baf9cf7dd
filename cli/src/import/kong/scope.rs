//! Which requests plugins of Kong are for: they stand in services and routes, or beside them and name them.

use crate::import::Imported;
use crate::import::kong::route::{self, Matches};
use crate::tree::{Data, Tree};

/// A plugin, and the requests that it is for.
pub type Placed<'a> = (&'a Tree, Vec<Matches>);

/// All routes, each with its service, if any.
struct Entities<'a> {
    services: &'a [Tree],
    routes: Vec<(&'a Tree, Option<&'a Tree>)>,
}

/// Where a plugin stands.
#[derive(Clone, Copy)]
enum Within<'a> {
    Everything,
    Service(&'a Tree),
    Route(&'a Tree),
}

/// The members of a list of entities.
pub fn list<'a>(tree: &'a Tree, name: &str) -> &'a [Tree] {
    tree.get(name).map_or(&[], Tree::items)
}

/// What an entity names, unless nothing.
pub fn reference<'a>(tree: &'a Tree, name: &str) -> Option<&'a Tree> {
    tree.get(name).filter(|own| own.data != Data::Null)
}

/// The entity that is meant: by `{ name }`, `{ id }`, or either as a text.
pub fn find<'a>(all: &'a [Tree], reference: &Tree, names: &[&str]) -> Option<&'a Tree> {
    all.iter().find(|own| is_meant(own, reference, names))
}

fn is_meant(own: &Tree, reference: &Tree, names: &[&str]) -> bool {
    let is_same = |name: &&str| {
        let meant = reference.text().or_else(|| reference.text_at(name));
        meant.is_some() && meant == own.text_at(name)
    };
    names.iter().any(is_same)
}

/// The `jwt` plugins that are on.
pub fn plugins<'a>(tree: &'a Tree, imported: &mut Imported) -> Vec<Placed<'a>> {
    let all = Entities::read(tree, imported);
    let mut found = Vec::new();
    let mut each = |within: Within<'a>, tree: &'a Tree| {
        let is_off =
            |own: &Tree| own.get("enabled").is_some_and(|own| own.data == Data::Bool(false));
        for plugin in list(tree, "plugins") {
            if plugin.text_at("name") == Some("jwt") && !is_off(plugin) {
                let matches = all.matches(plugin, within, imported);
                found.push((plugin, matches));
            }
        }
    };
    each(Within::Everything, tree);
    for service in all.services {
        each(Within::Service(service), service);
    }
    for (route, _) in &all.routes {
        each(Within::Route(route), route);
    }
    found
}

impl<'a> Entities<'a> {
    fn read(tree: &'a Tree, imported: &mut Imported) -> Self {
        let services = list(tree, "services");
        let mut routes = Vec::new();
        for service in services {
            routes.extend(list(service, "routes").iter().map(|own| (own, Some(service))));
        }
        for route in list(tree, "routes") {
            let named = reference(route, "service");
            let service = named.and_then(|own| find(services, own, &["name", "id"]));
            if let (Some(named), None) = (named, service) {
                imported.lost(named, "a route of a service that is not here, nor its plugins");
            }
            routes.push((route, service));
        }
        Self { services, routes }
    }

    /// What a plugin is for: what it names, or else what it stands in.
    fn matches(&self, plugin: &Tree, within: Within<'a>, imported: &mut Imported) -> Vec<Matches> {
        for name in ["consumer", "consumer_group"] {
            if let Some(own) = reference(plugin, name) {
                imported.lost(own, format!("a plugin for a `{name}`: the rule is for everybody"));
            }
        }
        if let Some(named) = reference(plugin, "route") {
            let mut routes = self.routes.iter().map(|(route, _)| *route);
            let route = routes.find(|own| is_meant(own, named, &["name", "id"]));
            return match route {
                Some(route) => route::read(route, imported),
                None => nothing(named, "a plugin of a route that is not here", imported),
            };
        }
        if let Some(named) = reference(plugin, "service") {
            return match find(self.services, named, &["name", "id"]) {
                Some(service) => self.of_service(service, plugin, imported),
                None => nothing(named, "a plugin of a service that is not here", imported),
            };
        }
        match within {
            Within::Everything => vec![Matches::everything()],
            Within::Service(service) => self.of_service(service, plugin, imported),
            Within::Route(route) => route::read(route, imported),
        }
    }

    fn of_service(&self, service: &Tree, plugin: &Tree, imported: &mut Imported) -> Vec<Matches> {
        let is_own = |own: &Option<&Tree>| own.is_some_and(|own| std::ptr::eq(own, service));
        let routes: Vec<_> = self.routes.iter().filter(|(_, own)| is_own(own)).collect();
        if routes.is_empty() {
            return nothing(plugin, "a plugin of a service without a route here", imported);
        }
        routes.into_iter().flat_map(|(route, _)| route::read(route, imported)).collect()
    }
}

fn nothing(tree: &Tree, message: &str, imported: &mut Imported) -> Vec<Matches> {
    imported.lost(tree, format!("{message}: what it protects is open"));
    Vec::new()
}
