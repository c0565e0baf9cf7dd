//! Istio's RequestAuthentication, with the AuthorizationPolicies for the same workloads, as WasmPlugins.

mod workloads;

use serde_json::{Map, Value, json};

use crate::import::istio::workloads::{Share, share};
use crate::import::{Imported, istio_policy, mesh_cluster, provider_name};
use crate::tree::Tree;

pub fn import(trees: &[Tree], imported: &mut Imported) -> Result<(), String> {
    let all = trees.iter().flat_map(|tree| match tree.text_at("kind") {
        Some("List") => tree.get("items").map(Tree::items).unwrap_or_default(),
        _ => std::slice::from_ref(tree),
    });
    let (mut requests, mut policies) = (Vec::new(), Vec::new());
    for tree in all {
        match tree.text_at("kind") {
            Some("RequestAuthentication") => requests.push(tree),
            Some("AuthorizationPolicy") => policies.push(tree),
            _ => {}
        }
    }
    if requests.is_empty() {
        return Err("there is no RequestAuthentication in it".to_owned());
    }
    // Several for the same workloads are one gate: two would refuse each other's tokens.
    let mut groups: Vec<Vec<&Tree>> = Vec::new();
    for request in requests {
        let is_for_all = |one: &Tree, other: &Tree| share(one, other) == Share::All;
        let is_same = |group: &&mut Vec<&Tree>| {
            let mut first = group.first().into_iter();
            first.any(|first| is_for_all(first, request) && is_for_all(request, first))
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.push(request),
            None => groups.push(vec![request]),
        }
    }
    about_overlaps(&groups, imported);
    for group in &groups {
        let Some(first) = group.first() else { continue };
        let is_for = |own: &&Tree| share(own, first) == Share::All;
        let own: Vec<_> = policies.iter().copied().filter(is_for).collect();
        let plugin = plugin(first, group, &own, imported);
        imported.documents.push(plugin);
    }
    for policy in policies {
        about_rest(policy, &groups, imported);
    }
    Ok(())
}

/// Two gates for a workload, where Istio has all rules in one.
fn about_overlaps(groups: &[Vec<&Tree>], imported: &mut Imported) {
    let firsts: Vec<_> = groups.iter().filter_map(|group| group.first().copied()).collect();
    for (index, request) in firsts.iter().enumerate() {
        for other in firsts.iter().skip(index.saturating_add(1)) {
            if share(request, other) > Share::None {
                let message = format!(
                    "workloads of the RequestAuthentication {}, too: they would have two gates, which refuse \
                     each other's tokens; write one for each kind of workload",
                    name(request)
                );
                imported.lost(other, message);
            }
        }
    }
}

/// A policy for other workloads than those of a gate, or for some of them.
fn about_rest(policy: &Tree, groups: &[Vec<&Tree>], imported: &mut Imported) {
    let firsts = groups.iter().filter_map(|group| group.first().copied());
    let shares: Vec<_> = firsts.map(|first| (share(policy, first), first)).collect();
    let looks_at_tokens = istio_policy::looks_at_tokens(policy);
    for (_, request) in shares.iter().filter(|(own, _)| *own == Share::Part && looks_at_tokens) {
        let message = format!(
            "AuthorizationPolicy {}: it looks at tokens, for some workloads only of the RequestAuthentication \
             {}, without which it sees none; write a gate for these workloads, or keep both in Istio",
            name(policy),
            name(request)
        );
        imported.lost(policy, message);
    }
    match shares.iter().map(|(own, _)| *own).max() {
        Some(Share::All) => {}
        Some(Share::Part) if looks_at_tokens => {}
        Some(Share::Part) => {
            imported.note(policy, "an AuthorizationPolicy that looks at no tokens; it is left alone");
        }
        _ => imported.note(
            policy,
            "an AuthorizationPolicy for other workloads than any RequestAuthentication here; it is left alone",
        ),
    }
}

fn name(tree: &Tree) -> &str {
    tree.at(&["metadata", "name"]).and_then(Tree::text).unwrap_or("without a name")
}

/// The gate for the workloads of `request`, one of `group`.
fn plugin(request: &Tree, group: &[&Tree], policies: &[&Tree], imported: &mut Imported) -> Value {
    let name = request.at(&["metadata", "name"]).and_then(Tree::text).unwrap_or("jwt");
    let mut metadata = json!({ "name": format!("jwt-gate-{name}") });
    let mut spec = Map::new();
    if let Some(namespace) = request.at(&["metadata", "namespace"])
        && let Some(members) = metadata.as_object_mut()
    {
        members.insert("namespace".to_owned(), namespace.to_value());
    }
    for (field, written) in
        [("selector", "selector"), ("target_ref", "targetRef"), ("target_refs", "targetRefs")]
    {
        if let Some(own) = request.get("spec").and_then(|spec| spec.get(field)) {
            spec.insert(written.to_owned(), own.to_value());
        }
    }
    let mut config = Map::new();
    let mut providers = Map::new();
    let rules = group.iter().filter_map(|own| own.at(&["spec", "jwt_rules"])).flat_map(Tree::items);
    let rules: Vec<_> = rules.collect();
    for rule in &rules {
        let name = provider_name(rule.text_at("issuer").unwrap_or_default(), &providers);
        let provider = provider(rule, imported);
        providers.insert(name, provider);
    }
    if providers.is_empty() {
        imported.lost(
            request,
            "no `jwtRules`: in Istio this turns nothing on, and here there is no provider",
        );
    }
    config.insert("providers".to_owned(), providers.into());
    // Istio lets requests without a token pass, and policies refuse them.
    config.insert(
        "rules".to_owned(),
        json!([
            { "match": { "prefix": "/" }, "requires": { "allow_missing": {} } }
        ]),
    );
    let issuers: Vec<_> = rules.iter().filter_map(|own| own.text_at("issuer")).collect();
    let authorization = istio_policy::authorization(policies, &issuers, imported);
    // A bypass would spare preflights the policies, too, and Istio judges them, as requests without a token.
    config.insert("bypass_cors_preflight".to_owned(), authorization.is_none().into());
    match authorization {
        Some(authorization) => {
            config.insert("authorization".to_owned(), authorization);
            imported.note(
                request,
                "CORS preflights are judged by the policies, as in Istio; if they come with a token, it \
                 must be good",
            );
        }
        None => imported.note(
            request,
            "requests without a token pass, as in Istio without an AuthorizationPolicy; `requires: { \
             provider_name: … }` refuses them",
        ),
    }
    spec.insert("url".to_owned(), "oci://registry.example/jwt-gate:0.1.0".into());
    spec.insert("phase".to_owned(), "AUTHN".into());
    spec.insert("failStrategy".to_owned(), "FAIL_CLOSE".into());
    spec.insert("pluginConfig".to_owned(), config.into());
    imported.note(
        request,
        "`url` must name the module in your registry; then take the RequestAuthentication away",
    );
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": metadata,
        "spec": spec,
    })
}

fn provider(rule: &Tree, imported: &mut Imported) -> Value {
    let mut own = Map::new();
    let mut put = |name: &str, value: Value| drop(own.insert(name.to_owned(), value));
    let copy = |name: &str| rule.get(name).map(Tree::to_value);
    for (from, to) in [
        ("issuer", "issuer"),
        ("audiences", "audiences"),
        ("from_params", "from_params"),
        ("from_cookies", "from_cookies"),
        ("output_payload_to_header", "forward_payload_header"),
        ("forward_original_token", "forward"),
    ] {
        if let Some(value) = copy(from) {
            put(to, value);
        }
    }
    let headers =
        rule.get("from_headers").map(Tree::items).unwrap_or_default().iter().map(|from| {
            let prefix = from.text_at("prefix").unwrap_or_default();
            json!({ "name": from.text_at("name"), "value_prefix": prefix })
        });
    let headers: Vec<_> = headers.collect();
    if !headers.is_empty() {
        put("from_headers", headers.into());
    }
    let claims = rule.get("output_claim_to_headers").map(Tree::items).unwrap_or_default().iter();
    let claims = claims.map(
        |own| json!({ "header_name": own.text_at("header"), "claim_name": own.text_at("claim") }),
    );
    let claims: Vec<_> = claims.collect();
    if !claims.is_empty() {
        put("claim_to_headers", claims.into());
    }
    let timeout = rule.text_at("timeout").unwrap_or("5s").to_owned();
    let inline = rule.text_at("jwks").filter(|text| !text.is_empty());
    let uri = rule.get("jwks_uri").or_else(|| rule.get("jwksUri")).and_then(Tree::text);
    let needs = |host: &str| {
        format!(
            "the cluster needs a ServiceEntry for `{host}`, and a DestinationRule with `tls: {{ mode: \
             SIMPLE, sni: {host}, subjectAltNames: [{host}] }}` where it is https"
        )
    };
    match (inline, uri) {
        (Some(keys), _) => put("local_jwks", json!({ "inline_string": keys })),
        (None, Some(uri)) => match mesh_cluster(uri) {
            Some((cluster, host)) => {
                let uri = json!({ "uri": uri, "cluster": cluster, "timeout": timeout });
                put("remote_jwks", json!({ "http_uri": uri }));
                imported.note(rule, needs(&host));
            }
            None => imported.lost(rule, format!("`jwksUri` is no address: {uri}")),
        },
        (None, None) => match mesh_cluster(rule.text_at("issuer").unwrap_or_default()) {
            Some((cluster, host)) => {
                put(
                    "remote_jwks",
                    json!({ "discovery": { "cluster": cluster, "timeout": timeout } }),
                );
                imported.note(rule, needs(&host));
            }
            None => imported
                .lost(rule, "no keys, and the issuer is no address where they could be found"),
        },
    }
    for field in rule.members() {
        let known =
            ["issuer", "audiences", "jwksUri", "jwks_uri", "jwks", "fromHeaders", "from_headers"];
        let known =
            known.iter().chain(&["fromParams", "from_params", "fromCookies", "from_cookies"]);
        let known = known.chain(&["outputPayloadToHeader", "output_payload_to_header", "timeout"]);
        let mut known = known.chain(&["forwardOriginalToken", "forward_original_token"]);
        let is_claims =
            ["outputClaimToHeaders", "output_claim_to_headers"].contains(&field.name.as_str());
        if !is_claims && !known.any(|name| *name == field.name) {
            imported.lost(&field.value, format!("jwtRules: `{}`", field.name));
        }
    }
    own.into()
}
