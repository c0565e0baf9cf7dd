//! Answers as the configuration wants them, reports and candidates, through Envoy.

use jwt_gate_demo::http::Request;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

use crate::bed::{Bed, Plan, config, eventually, in_both, issuer, seen, serve};

fn bed(version: &'static str, key: &SigningKey, mut rest: Value) -> Bed {
    rest["providers"] = json!({ "p": {
        "issuer": "https://issuer.example",
        "local_jwks": { "inline_string": jwks(&[key]).to_string() },
        "claim_to_headers": [{ "header_name": "x-sub", "claim_name": "sub" }],
    } });
    Plan { version, concurrency: 1, ..Plan::new(rest, 1) }.start()
}

fn key() -> SigningKey {
    SigningKey::generate(Alg::ES256, "k")
}

fn everywhere() -> Value {
    json!([{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }])
}

in_both!(refusals_look_as_configured);
fn refusals_look_as_configured(version: &'static str) {
    let configuration = json!({
        "rules": everywhere(),
        "error_responses": {
            "formats": ["text", "problem_json"],
            "headers": [{ "key": "cache-control", "value": "no-store" }],
            "overrides": [{ "reasons": ["token_malformed"], "status": 404, "content_type": "text/html",
                "body": "<h1>%TITLE%</h1>", "headers": [{ "key": "x-help", "value": "desk 7" }] }],
        },
    });
    let bed = bed(version, &key(), configuration);
    let plain = bed.send(&Request::get("/"));
    assert_eq!((plain.status, plain.text()), (401, "Jwt is missing".to_owned()));
    assert_eq!(plain.header("content-type").unwrap(), "text/plain");
    assert_eq!(plain.header("cache-control").unwrap(), "no-store");
    assert_eq!(plain.header("vary").unwrap(), "accept");
    let problem = bed.send(&Request::get("/").header("accept", "application/problem+json"));
    assert_eq!(problem.header("content-type").unwrap(), "application/problem+json");
    let expected = json!({ "type": "about:blank", "status": 401, "title": "Unauthorized",
        "detail": "Jwt is missing", "reason": "token_missing" });
    assert_eq!(problem.json().unwrap(), expected);
    assert!(problem.header("www-authenticate").is_some());
    let hidden = bed.get("x");
    assert_eq!((hidden.status, hidden.text()), (404, "<h1>Not Found</h1>".to_owned()));
    assert_eq!(hidden.header("content-type").unwrap(), "text/html");
    assert_eq!(hidden.header("x-help").unwrap(), "desk 7");
    assert_eq!(hidden.header("www-authenticate"), None);
    let call = Request::new("POST", "/").header("content-type", "application/grpc");
    let call = bed.send(&call.header("accept", "application/problem+json"));
    assert_eq!(call.header("grpc-status").unwrap(), "16");
    assert_eq!(call.header("grpc-message").unwrap(), "Jwt is missing");
    assert_eq!(bed.counter("denied_for.token_malformed"), 1);
}

in_both!(clients_find_the_issuer_and_authenticate_anew);
/// The way of a client that knows the address of the API only (RFC 9728), and of one whose user must
/// authenticate better (RFC 9470).
fn clients_find_the_issuer_and_authenticate_anew(version: &'static str) {
    let key = key();
    let configuration = json!({
        "rules": [
            { "match": { "prefix": "/mcp/pay" }, "requires": { "provider_name": "p" },
              "step_up": { "acr_values": ["gold"], "max_age": "60s" } },
            { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
        ],
        "protected_resources": [{ "resource": "https://api.example/mcp", "hosts": ["*"] }],
    });
    let bed = bed(version, &key, configuration);
    let refused = bed.send(&Request::get("/mcp"));
    let challenge = refused.header("www-authenticate").unwrap();
    let address = challenge.split_once("resource_metadata=\"").unwrap().1.trim_end_matches('"');
    assert_eq!(address, "https://api.example/.well-known/oauth-protected-resource/mcp");
    let path = address.strip_prefix("https://api.example").unwrap();
    let document = bed.send(&Request::get(path));
    assert_eq!(
        (document.status, document.header("content-type").unwrap()),
        (200, "application/json".to_owned())
    );
    let expected = json!({ "resource": "https://api.example/mcp",
        "authorization_servers": ["https://issuer.example"], "bearer_methods_supported": ["header"] });
    assert_eq!(document.json().unwrap(), expected);
    assert_eq!(document.header("access-control-allow-origin").unwrap(), "*");
    let asked_first = Request::new("OPTIONS", path).header("origin", "https://app.example");
    assert_eq!(bed.send(&asked_first).status, 204);
    let written = bed.send(&Request::new("PUT", path));
    assert_eq!(
        (written.status, written.header("allow").unwrap()),
        (405, "GET, HEAD, OPTIONS".to_owned())
    );
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let token = |acr: &str, time: u64| {
        key.sign(&json!({ "iss": "https://issuer.example", "acr": acr, "auth_time": time }))
    };
    let pay = |token: &str| bed.send(&Request::get("/mcp/pay").bearer(token));
    assert_eq!(pay(&token("gold", at)).status, 200);
    for token in [token("silver", at), token("gold", at - 130)] {
        let answer = pay(&token);
        let challenge = answer.header("www-authenticate").unwrap();
        assert_eq!(answer.status, 401);
        assert!(
            challenge.contains("error=\"insufficient_user_authentication\", error_description="),
            "{challenge}"
        );
        assert!(
            challenge.contains("acr_values=\"gold\", max_age=\"60\", resource_metadata="),
            "{challenge}"
        );
    }
    assert_eq!(bed.counter("served"), 3);
    assert!(bed.log().is_empty() || !bed.log().contains("panic"));
    let log = bed.envoy.logs();
    assert!(
        log.contains(
            "open: GET /.well-known/oauth-protected-resource/mcp: the gate answers itself"
        )
    );
}

in_both!(reports_and_candidates_refuse_nobody);
fn reports_and_candidates_refuse_nobody(version: &'static str) {
    let key = key();
    let configuration = json!({
        "rules": [
            { "match": { "prefix": "/new" }, "requires": { "provider_name": "p" }, "mode": "report_only" },
            { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
        ],
        "shadow": { "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" },
            "authorization": { "scopes": { "any": ["new"] } } }] },
    });
    let bed = bed(version, &key, configuration);
    let good = key.sign(&json!({ "iss": "https://issuer.example", "sub": "alice" }));
    let answer = bed.send(&Request::get("/new").bearer(&good));
    assert_eq!((answer.status, seen(&answer, "x-sub")), (200, vec!["alice".to_owned()]));
    let answer = bed.send(&Request::get("/new").bearer("a.b.c").header("x-sub", "root"));
    assert_eq!((answer.status, seen(&answer, "x-sub")), (200, vec![]));
    assert_eq!(seen(&answer, "authorization"), ["Bearer a.b.c"]);
    assert_eq!(bed.send(&Request::get("/old")).status, 401);
    assert_eq!(bed.counter("report_only"), 1);
    assert_eq!(bed.counter("report_only_for.header_encoding"), 1);
    assert_eq!(bed.counter("shadow_denies_for.insufficient_scope"), 1);
    assert_eq!(bed.counter("shadow_same"), 2);
    let lines = [
        "report_only: would be denied reason=header_encoding",
        "differs: shadow_denies_for.insufficient_scope",
    ];
    eventually("both are logged", || lines.iter().all(|line| bed.log().contains(line)));
    for line in [
        "open: rules[0] (prefix \"/new\"): report_only, nobody is refused",
        "shadow (decides nothing): providers: 1, rules: 1",
    ] {
        assert!(bed.envoy.logs().contains(line), "{line}");
    }
}

in_both!(a_candidate_fetches_keys_of_its_own);
/// Its provider is another one, whose keys come by the same cluster; nobody waits for them.
fn a_candidate_fetches_keys_of_its_own(version: &'static str) {
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let mut configuration = config("http");
    let mut provider = configuration["providers"]["p"].clone();
    provider["audiences"] = json!(["other"]);
    configuration["shadow"] = json!({ "providers": { "q": provider } });
    let bed = Plan { version, ..Plan::new(configuration, server.addr().port()) }.start();
    let token = issuer.mint(json!({}));
    eventually("the candidate has keys", || {
        assert_eq!(bed.get(&token).status, 200);
        bed.counter("shadow_denies_for.audience_not_allowed") > 0
    });
    // What is counted and what is measured need not get to the proxy together.
    for gauge in ["shadow_provider.q.jwks_keys", "provider.p.jwks_keys"] {
        eventually(gauge, || bed.counter(gauge) == 1);
    }
    assert_eq!(bed.counter("denied"), 0);
}
