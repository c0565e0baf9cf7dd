//! What the gate can do beyond the native filter, one thing at a time.

use std::time::UNIX_EPOCH;

use jwt_gate_demo::keys::{Alg, SigningKey, base64url};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Filter, POOL, Scene, claims, provider, scene};
use crate::bench::upstream::Documents;

const GATES: &[Filter] = &[Filter::None, Filter::Gate, Filter::GateCached];

/// The plain gate, and the same with each feature; `uses`: how many tokens and proofs there are that
/// pass once.
pub(crate) fn all(key: &SigningKey, uses: u64) -> Vec<Scene> {
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
    scenes.extend(possession(key, uses));
    scenes.extend(revocation(key));
    scenes
}

/// Where the lists are on the server behind Envoy.
const DENY_LIST: &str = "/deny.json";
const STATUS_LIST: &str = "/lists/1";

/// The lists that the scenes ask for, by path.
pub(crate) fn documents(key: &SigningKey) -> Documents {
    let revoked: Vec<Value> = (0..1_000)
        .map(
            |index| json!({ "iss": "https://issuer.example/main", "jti": format!("gone {index}") }),
        )
        .chain([json!({ "sub": "gone", "issued_before": 1 })])
        .collect();
    let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    // The states 1, 2, 0, 3, 0, 1 and so on, of the draft's example.
    let statuses = json!({ "sub": format!("https://status.example{STATUS_LIST}"), "iat": now,
        "exp": now + 36_000, "ttl": 3_600, "status_list": { "bits": 2, "lst": "eNo76fITAAPfAgc" } });
    let mut header = key.header();
    header["typ"] = json!("statuslist+jwt");
    let statuses = key.sign_with_header(&header, statuses.to_string().as_bytes());
    let documents =
        [(DENY_LIST, json!({ "revoked": revoked }).to_string()), (STATUS_LIST, statuses)];
    documents.map(|(path, text)| (path.to_owned(), text)).into()
}

/// Tokens that a list may revoke.
fn revocation(key: &SigningKey) -> Vec<Scene> {
    let mut scenes = Vec::new();
    let tokens = || (0..POOL).map(|index| key.sign(&claims(index, 400)));
    let mut denied = provider(&[key]);
    denied["revocation"] = json!({ "list": { "http_uri": {
        "uri": format!("http://deny.example{DENY_LIST}"), "cluster": "backend", "timeout": "2s" } } });
    scenes.push(scene("a deny list of 1,000", denied, tokens().collect(), 200));
    let mut stated = provider(&[key]);
    stated["providers"]["p"]["status_list"] =
        json!({ "clusters": { "status.example": "backend" }, "timeout": "2s" });
    let with_status = |index: u64| {
        let mut claims = claims(index, 400);
        let uri = format!("https://status.example{STATUS_LIST}");
        claims["status"] = json!({ "status_list": { "idx": 2, "uri": uri } });
        key.sign(&claims)
    };
    scenes.push(scene("a status list", stated, (0..POOL).map(with_status).collect(), 200));
    let mut logout = provider(&[key]);
    logout["revocation"] =
        json!({ "logout": { "path": "/logout", "provider_name": "p", "client_ids": ["rp"] } });
    scenes.push(scene("a receiver of logouts", logout, tokens().collect(), 200));
    scenes.into_iter().map(|scene| Scene { filters: GATES, ..scene }).collect()
}

/// Tokens that pass once, and tokens that are bound to a certificate or a key.
fn possession(key: &SigningKey, uses: u64) -> Vec<Scene> {
    let with = |name: &str, value: Value| {
        let mut configuration = provider(&[key]);
        configuration["providers"]["p"][name] = value;
        configuration["replay_memory"] = json!({ "max_entries": 4_194_304 });
        configuration
    };
    let once = (0..uses).map(|index| key.sign(&claims(index, 400))).collect();
    let once = scene(
        "each token once",
        with("single_use", json!({ "max_lifetime": "86400s" })),
        once,
        200,
    );
    let once = Scene { filters: &[Filter::None, Filter::Gate], ..once };

    let digest = base64url([0; 32]);
    let bound = |cnf: Value| {
        move |index: u64| {
            let mut claims = claims(index, 400);
            claims["cnf"] = cnf.clone();
            key.sign(&claims)
        }
    };
    let certified: Vec<String> = (0..POOL).map(bound(json!({ "x5t#S256": digest }))).collect();
    // Envoy would take the usual one out.
    let header = format!("x-client-cert: Hash={}\r\n\r\n", "0".repeat(64));
    let mtls = json!({ "mtls": { "from_header": "x-client-cert" } });
    let mut certificate =
        scene("bound to a certificate", with("sender_constraint", mtls), certified, 200);
    let add = |request: &mut Vec<u8>, header: &str| {
        request.truncate(request.len().saturating_sub(2));
        request.extend_from_slice(header.as_bytes());
    };
    for request in certificate.requests.iter_mut().chain(&mut certificate.known) {
        add(request, &header);
    }

    let client = SigningKey::generate(Alg::ES256, "client");
    let token = bound(json!({ "jkt": client.thumbprint() }))(0);
    let dpop = json!({ "dpop": { "max_age": "3600s" } });
    let mut proven = scene(
        "bound to a key, with a proof",
        with("sender_constraint", dpop),
        vec![token.clone()],
        200,
    );
    let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let ath = base64url(Sha256::digest(&token));
    // Known tokens, each with a proof of its own.
    let first = String::from_utf8_lossy(&proven.known[0]).replace("Bearer ", "DPoP ").into_bytes();
    proven.known = (0..uses)
        .map(|index| {
            let proof = client.prove(&json!({ "jti": format!("{index}"), "htm": "GET",
                "htu": "http://api.example/orders", "iat": now, "ath": ath }));
            let mut request = first.clone();
            add(&mut request, &format!("dpop: {proof}\r\n\r\n"));
            request
        })
        .collect();
    let proven = Scene { filters: &[Filter::None, Filter::GateCached], ..proven };
    vec![once, Scene { filters: GATES, ..certificate }, proven]
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
