//! Which workloads a resource of Istio is about, and whether two are about the same ones.

use serde_json::Value;

use crate::tree::Tree;

/// Istio's own namespace: what stands there counts for all others, too.
const ROOT: &str = "istio-system";

/// How many of some workloads a resource is about. What is not sure is a part of them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Share {
    None,
    Part,
    All,
}

/// How many of the workloads of `other` a resource is about.
pub fn share(tree: &Tree, other: &Tree) -> Share {
    of_namespaces(namespace(tree), namespace(other)).min(of_selectors(tree, other))
}

fn namespace(tree: &Tree) -> Option<&str> {
    tree.at(&["metadata", "namespace"]).and_then(Tree::text)
}

fn of_namespaces(own: Option<&str>, other: Option<&str>) -> Share {
    match (own, other) {
        (own, other) if own == other => Share::All,
        (Some(ROOT), _) => Share::All,
        // Without a name it is the one that `kubectl` is told.
        (None, _) | (_, None | Some(ROOT)) => Share::Part,
        _ => Share::None,
    }
}

fn of_selectors(tree: &Tree, other: &Tree) -> Share {
    let (own_targets, other_targets) = (targets(tree), targets(other));
    match (own_targets.as_slice(), other_targets.as_slice()) {
        ([], []) => of_labels(&labels(tree), &labels(other)),
        ([], _) if labels(tree).is_empty() => Share::All,
        ([], _) | (_, []) => Share::Part,
        (own, other) => of_targets(own, other),
    }
}

fn of_labels(own: &[(&str, Value)], other: &[(&str, Value)]) -> Share {
    let has = |label: &(&str, Value)| other.contains(label);
    let differs = |(name, value): &(&str, Value)| {
        other.iter().any(|(other, asked)| other == name && asked != value)
    };
    match (own.iter().all(has), own.iter().any(differs)) {
        (true, _) => Share::All,
        (_, true) => Share::None,
        _ => Share::Part,
    }
}

fn of_targets(own: &[Value], other: &[Value]) -> Share {
    // A gateway and a service may be on the same way.
    let may_meet = |one: &Value, other: &Value| {
        one == other
            || one.get("kind") != other.get("kind")
            || one.get("group") != other.get("group")
    };
    match other {
        other if other.iter().all(|target| own.contains(target)) => Share::All,
        other if own.iter().any(|one| other.iter().any(|target| may_meet(one, target))) => {
            Share::Part
        }
        _ => Share::None,
    }
}

fn labels(tree: &Tree) -> Vec<(&str, Value)> {
    let all = tree.at(&["spec", "selector", "match_labels"]).map(Tree::members);
    let all = all.unwrap_or_default().iter();
    all.map(|own| (own.name.as_str(), own.value.to_value())).collect()
}

fn targets(tree: &Tree) -> Vec<Value> {
    let one = tree.at(&["spec", "target_ref"]).filter(|own| own.is_object());
    let several = tree.at(&["spec", "target_refs"]).map(Tree::items).unwrap_or_default();
    one.into_iter().chain(several).map(Tree::to_value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::yaml;

    #[test]
    fn shares_of_workloads() {
        for (own, other, expected) in [
            ("a", "a", Share::All),
            ("a", "b", Share::None),
            ("istio-system", "b", Share::All),
            ("a", "istio-system", Share::Part),
            ("a }, spec: { selector: { matchLabels: { x: a } }", "a", Share::Part),
            ("a", "a }, spec: { selector: { matchLabels: { x: a } }", Share::All),
            (
                "a }, spec: { selector: { matchLabels: { x: a } }",
                "a }, spec: { selector: { matchLabels: { x: a, y: b } }",
                Share::All,
            ),
            (
                "a }, spec: { selector: { matchLabels: { x: a } }",
                "a }, spec: { selector: { matchLabels: { x: b } }",
                Share::None,
            ),
            (
                "a }, spec: { selector: { matchLabels: { x: a } }",
                "a }, spec: { selector: { matchLabels: { y: b } }",
                Share::Part,
            ),
            (
                "a }, spec: { targetRef: { name: g }",
                "a }, spec: { targetRefs: [{ name: g }]",
                Share::All,
            ),
            (
                "a }, spec: { targetRef: { name: g }",
                "a }, spec: { targetRef: { name: h }",
                Share::None,
            ),
            (
                "a }, spec: { targetRef: { kind: Gateway, name: g }",
                "a }, spec: { targetRef: { kind: Service, name: h }",
                Share::Part,
            ),
            ("a }, spec: { targetRef: { name: g }", "a", Share::Part),
            ("a", "a }, spec: { targetRef: { name: g }", Share::All),
        ] {
            let read = |text: &str| {
                yaml::parse(&format!("{{ metadata: {{ namespace: {text} }} }}")).unwrap().remove(0)
            };
            assert_eq!(share(&read(own), &read(other)), expected, "{own} {other}");
        }
    }
}
