//! A candidate configuration beside the one that decides, as written. All of it is ours.

use serde_json::Value;

use crate::config::Config;
use crate::config::fields::{Fields, lower_camel_case};
use crate::config::reader::{Errors, Node, member_path};

/// Fields that hold for both, and are no matter of who gets in.
pub(super) const SHARED: [&str; 8] = [
    "decision_record",
    "error_responses",
    "key_sharing",
    "key_tables",
    "protected_resources",
    "replay_memory",
    "shadow",
    "stat_prefix",
];

/// `shadow`: the same configuration but for the fields that are named there.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<Box<Config>> {
    let node = fields.get_not_null("shadow")?;
    let own = node.any_object()?;
    if own.is_empty() {
        node.error("expected the fields that are to be different");
    }
    let spellings = |name: &str| [name.to_owned(), lower_camel_case(name)];
    for name in SHARED {
        if spellings(name).iter().any(|name| own.contains_key(name)) {
            node.error(format!("`{name}` holds for both, and cannot be different"));
        }
    }
    let mut merged = fields.members().clone();
    merged.retain(|name, _| {
        let is_shadow = name == "shadow";
        let is_same = |other: &String| {
            lower_camel_case(other) == *name || *other == lower_camel_case(name) || other == name
        };
        !is_shadow && !own.keys().any(is_same)
    });
    let others = own.iter().filter(|(name, _)| *name != "shadow");
    merged.extend(others.map(|(name, value)| (name.clone(), value.clone())));
    let errors = Errors::default();
    let merged = Value::Object(merged);
    let config = Node::at(&merged, node.path().to_owned(), &errors).object(Config::read)?;
    let names: Vec<_> = own.keys().map(|name| member_path(node.path(), name)).collect();
    for error in errors.into_sorted() {
        // What is wrong with the rest was said where it stands.
        let is_own = |name: &String| {
            let rest = error.path.strip_prefix(name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        // What is said of the whole is this one's matter where it names one of its fields: a field in both
        // spellings, or one that must not be `null`.
        let is_of_own = |name: &String| error.message.contains(&format!("`{name}`"));
        if names.iter().any(is_own) || error.path == node.path() && own.keys().any(is_of_own) {
            fields.note(error);
        }
    }
    Some(Box::new(config))
}
