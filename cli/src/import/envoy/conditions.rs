//! The conditions of a route that rules have, too.

use serde_json::{Map, Value};

use crate::import::envoy::overlap::SPECIFIERS;
use crate::tree::{Data, Tree, snake_case};

/// Beside the path's.
const OTHERS: [&str; 5] = ["case_sensitive", "headers", "query_parameters", "cookies", "grpc"];

/// The conditions, and those that no rule can have.
pub fn of(matches: &Tree) -> (Map<String, Value>, Vec<&Tree>) {
    let (mut known, mut others) = (Map::new(), Vec::new());
    for own in matches.members().iter().filter(|own| own.value.data != Data::Null) {
        match snake_case(&own.name) {
            name if SPECIFIERS.iter().chain(&OTHERS).any(|known| *known == name) => {
                known.insert(name, own.value.to_value());
            }
            name if name == "runtime_fraction" && is_always(&own.value) => {}
            _ => others.push(&own.value),
        }
    }
    (known, others)
}

/// Whether a share is the whole, whatever is set at run time.
fn is_always(fraction: &Tree) -> bool {
    let whole = match fraction.at(&["default_value", "denominator"]).and_then(Tree::text) {
        None | Some("HUNDRED") => 100,
        Some("TEN_THOUSAND") => 10_000,
        Some(_) => 1_000_000,
    };
    let share = fraction.at(&["default_value", "numerator"]).map(Tree::to_value);
    let is_fixed = fraction.text_at("runtime_key").is_none_or(str::is_empty);
    is_fixed && share.and_then(|own| own.as_u64()).is_some_and(|own| own >= whole)
}
