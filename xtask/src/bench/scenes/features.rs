//! What the gate can do beyond the native filter, one thing at a time.

use jwt_gate_demo::keys::SigningKey;
use serde_json::{Value, json};

use super::{Filter, POOL, Scene, claims, provider, scene};

const GATES: &[Filter] = &[Filter::None, Filter::Gate, Filter::GateCached];

/// The plain gate, and the same with each feature.
pub(crate) fn all(key: &SigningKey) -> Vec<Scene> {
    let tokens: Vec<String> = (0..POOL).map(|index| key.sign(&claims(index, 400))).collect();
    let mut scenes = Vec::new();
    for (name, changes) in features() {
        let mut configuration = provider(&[key]);
        for (place, value) in changes.as_object().into_iter().flatten() {
            change(&mut configuration, place, value);
        }
        let scene = scene(name, configuration, tokens.clone(), 200);
        scenes.push(Scene { filters: GATES, ..scene });
    }
    scenes
}

/// The first is the plain gate.
fn features() -> Vec<(&'static str, Value)> {
    let template = json!({ "path_match_policy": { "name": "template", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
        "path_template": "/{what}",
    } } });
    let role = json!({ "claim": ["roles"], "list_match": { "any": { "string_match": "admin" } } });
    let policies: Vec<Value> = ["/staff", "/billing", "/"]
        .iter()
        .map(|prefix| json!({ "action": "allow", "match": { "prefix": prefix }, "when": role }))
        .collect();
    let csv = json!({ "header_name": "x-roles", "claim_name": "roles", "value_format": "csv" });
    let parameter = json!([{ "parameter_name": "user", "claim_name": "sub" }]);
    vec![
        ("plain", json!({})),
        (
            "scopes and a role, by rule",
            json!({ "/rules/0/authorization": { "all": [{ "scopes": { "all": ["orders:read"] } }, role] } }),
        ),
        (
            "three policies",
            json!({ "/authorization": { "policies": policies, "default": "deny" } }),
        ),
        (
            "step-up",
            json!({ "/rules/0/step_up": { "acr_values": ["gold"], "max_age": "864000s" } }),
        ),
        (
            "checks of algorithm and claims",
            json!({ "/providers/p/algorithms": ["ES256"], "/providers/p/required_claims": ["jti"],
                "/providers/p/max_age": "864000s" }),
        ),
        (
            "issuers by a pattern",
            json!({ "/providers/p/issuer": "",
                "/providers/p/issuer_pattern": "https://issuer.example/{tenant}" }),
        ),
        ("a list as CSV", json!({ "/providers/p/claim_to_headers": [csv] })),
        (
            "the payload for native filters",
            json!({ "/providers/p/forward_payload_value_header": "x-payload" }),
        ),
        ("a query parameter", json!({ "/providers/p/claim_to_query_parameters": parameter })),
        (
            "a segment of the path",
            json!({ "/rules/0/match": template,
                "/rules/0/claim_to_path": [{ "path_variable": "what", "claim_name": "sub" }] }),
        ),
        (
            "a fixed header",
            json!({ "/rules/0/set_headers": [{ "key": "x-area", "value": "orders" }] }),
        ),
        ("report only", json!({ "/mode": "report_only" })),
        (
            "a protected resource",
            json!({ "/protected_resources": [{ "resource": "https://api.example/" }] }),
        ),
        ("other error responses", json!({ "/error_responses": { "formats": ["text", "json"] } })),
        ("a shadow configuration", json!({ "/shadow": { "bypass_cors_preflight": true } })),
    ]
}

/// Sets the member at a JSON pointer, whose parent is there.
fn change(configuration: &mut Value, place: &str, value: &Value) {
    if let Some((parent, name)) = place.rsplit_once('/')
        && let Some(parent) = configuration.pointer_mut(parent)
    {
        parent[name] = value.clone();
    }
}
