//! What verified tokens become besides headers: filter state, other routes, counters.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use jwt_gate_demo::bootstrap::cluster;
use jwt_gate_demo::http::{Connection, Request};
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

use crate::bed::{Bed, Plan, any_port, eventually, in_both, seen};

const LOG: &str = "state: %FILTER_STATE(wasm.jwt_gate.payload:PLAIN)% \
                   %FILTER_STATE(wasm.jwt_gate.header:PLAIN)% \
                   %FILTER_STATE(wasm.jwt_gate.failed:PLAIN)% \
                   %CEL(filter_state['wasm.jwt_gate.payload'])%\n";

fn provider(key: &SigningKey) -> Value {
    json!({
        "local_jwks": { "inline_string": jwks(&[key]).to_string() },
        "payload_in_metadata": "payload",
        "header_in_metadata": "header",
        "failed_status_in_metadata": "failed",
        "normalize_payload_in_metadata": { "space_delimited_claims": ["scope"] },
        "claim_to_headers": [{ "header_name": "x-tier", "claim_name": "tier" }],
        "clear_route_cache": true,
    })
}

/// What native leaves in dynamic metadata is in the filter state: access logs and CEL can read it.
#[test]
fn payload_header_and_failure_are_in_the_filter_state() {
    let key = SigningKey::generate(Alg::ES256, "k");
    let mut plan = Plan::new(json!({ "providers": { "p": provider(&key) } }), 1);
    plan.change = |manager| {
        let format = &mut manager["access_log"][0]["typed_config"]["log_format"];
        format["text_format_source"]["inline_string"] = json!(LOG);
        format["formatters"] = json!([{
            "name": "envoy.formatter.cel",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.formatter.cel.v3.Cel" },
        }]);
    };
    let bed = plan.start();
    let good = key.sign(&json!({"sub": "alice", "scope": "read  write"}));
    assert_eq!(bed.get(&good).status, 200);
    assert_eq!(bed.get(&key.sign(&json!({"exp": 5}))).status, 401);
    let payload = r#"{"scope":["read","write"],"sub":"alice"}"#;
    let line = format!(r#"state: {payload} {{"alg":"ES256","kid":"k","typ":"JWT"}} - {payload}"#);
    eventually("the payload is in the log", || bed.log().contains(&line));
    let line = r#"state: - - {"code":3,"message":"Jwt is expired"}"#;
    eventually("the failure is in the log", || bed.log().contains(line));
}

/// A claim that became a header can choose the route, and a client's own header cannot.
#[test]
fn the_route_is_chosen_again() {
    let key = SigningKey::generate(Alg::ES256, "k");
    let mut plan = Plan::new(json!({ "providers": { "p": provider(&key) } }), 1);
    plan.change = |manager| {
        let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
        let gold = json!({
            "match": { "prefix": "/", "headers": [
                { "name": "x-tier", "string_match": { "exact": "gold" } } ] },
            "direct_response": { "status": 202 },
        });
        routes.as_array_mut().unwrap().insert(0, gold);
    };
    let bed = plan.start();
    assert_eq!(bed.get(&key.sign(&json!({"tier": "gold"}))).status, 202);
    assert_eq!(bed.get(&key.sign(&json!({"tier": "lead"}))).status, 200);
    let spoofed = Request::get("/").bearer(&key.sign(&json!({}))).header("x-tier", "gold");
    assert_eq!(bed.send(&spoofed).status, 200);
}

/// In place of per-route configuration: rules for the route that Envoy chose, by its name.
#[test]
fn rules_can_ask_for_the_name_of_the_route() {
    let key = SigningKey::generate(Alg::ES256, "k");
    let configuration = json!({
        "providers": { "p": {
            "local_jwks": { "inline_string": jwks(&[&key]).to_string() }, "forward": true } },
        "rules": [
            { "match": { "prefix": "/", "route_name": "open" } },
            { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
        ],
        "stat_prefix": "mine",
    });
    let mut plan = Plan::new(configuration, 1);
    plan.change = |manager| {
        let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
        let open = json!({
            "name": "open",
            "match": { "path": "/health" },
            "direct_response": { "status": 204 },
        });
        routes.as_array_mut().unwrap().insert(0, open);
    };
    let bed = plan.start();
    assert_eq!(bed.send(&Request::get("/health")).status, 204);
    assert_eq!(bed.send(&Request::get("/health/x")).status, 401);
    assert_eq!(bed.get(&key.sign(&json!({}))).status, 200);
    assert_eq!(bed.counter("mine.allowed"), 2);
    assert_eq!(bed.counter("mine.denied_for.token_missing"), 1);
}

/// The same by the metadata of the route: texts, booleans, presence, inversion.
#[test]
fn rules_can_ask_for_the_metadata_of_the_route() {
    let key = SigningKey::generate(Alg::ES256, "k");
    let metadata = |name: &str, value: Value| json!([{ "filter": "jwt.gate", "path": [{ "key": "auth" }, { "key": name }], "value": value }]);
    let mut inverted = metadata("level", json!({ "string_match": { "prefix": "high" } }));
    inverted[0]["invert"] = json!(true);
    let configuration = json!({
        "providers": { "p": {
            "local_jwks": { "inline_string": jwks(&[&key]).to_string() }, "forward": true } },
        "rules": [
            { "match": { "prefix": "/", "route_metadata": metadata("open", json!({ "bool_match": true })) } },
            { "match": { "prefix": "/level", "route_metadata": inverted } },
            { "match": { "prefix": "/present", "route_metadata": metadata("note", json!({ "present_match": true })) } },
            { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
        ],
    });
    let mut plan = Plan::new(configuration, 1);
    plan.change = |manager| {
        let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
        let mut add = |path: &str, auth: Value| {
            let route = json!({
                "match": { "path": path },
                "metadata": { "filter_metadata": { "jwt.gate": { "auth": auth } } },
                "direct_response": { "status": 204 },
            });
            routes.as_array_mut().unwrap().insert(0, route);
        };
        add("/open", json!({ "open": true }));
        add("/shut", json!({ "open": false }));
        add("/text", json!({ "open": "true" }));
        add("/level/high", json!({ "level": "high-1" }));
        add("/level/low", json!({ "level": "low" }));
        add("/present/yes", json!({ "note": "" }));
        add("/present/no", json!({}));
    };
    let bed = plan.start();
    for (path, status) in [
        ("/open", 204),
        ("/shut", 401),
        ("/text", 401),
        ("/other", 401),
        ("/level/high", 401),
        ("/level/low", 204),
        ("/level/none", 200),
        ("/present/yes", 204),
        ("/present/no", 401),
    ] {
        assert_eq!(bed.send(&Request::get(path)).status, status, "{path}");
    }
}

/// What an earlier filter left in the filter state chooses the requirement where no rule matches.
#[test]
fn filter_state_chooses_the_requirement() {
    let key = SigningKey::generate(Alg::ES256, "k");
    let configuration = json!({
        "providers": { "p": provider(&key) },
        "rules": [{ "match": { "path": "/rule" } }],
        "default_requirement": { "requires_all": { "requirements": [
            { "provider_name": "p" }, { "provider_name": "p" } ] } },
        "filter_state_rules": { "name": "test.tier", "requires": {
            "open": {}, "guarded": { "provider_name": "p" } } },
    });
    let mut plan = Plan::new(configuration, 1);
    plan.change = |manager| {
        let earlier = json!({
            "name": "envoy.filters.http.set_filter_state",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
                "on_request_headers": [{
                    "object_key": "test.tier",
                    "factory_key": "envoy.string",
                    "format_string": { "text_format_source": { "inline_string": "%REQ(x-tier)%" } },
                }],
            },
        });
        manager["http_filters"].as_array_mut().unwrap().insert(0, earlier);
    };
    let bed = plan.start();
    let good = key.sign(&json!({}));
    let status = |path: &str, tier: &str, token: &str| {
        bed.send(&Request::get(path).header("x-tier", tier).bearer(token)).status
    };
    assert_eq!(status("/", "open", "bad"), 200);
    assert_eq!(status("/", "guarded", "bad"), 401);
    assert_eq!(status("/", "guarded", &good), 200);
    assert_eq!(status("/", "other", &good), 401, "the default requirement");
    assert_eq!(status("/rule", "guarded", "bad"), 200, "rules come first");
}

/// A gate that writes everything it can.
fn writing(version: &'static str, key: &SigningKey) -> Bed {
    let configuration = json!({
        "providers": { "p": {
            "local_jwks": { "inline_string": jwks(&[key]).to_string() },
            "claim_to_headers": [
                { "header_name": "x-roles", "claim_name": "roles", "value_format": "csv" },
                { "header_name": "x-group", "claim_name": "groups", "value_format": "repeated" },
                { "header_name": "x-address", "claim_name": "address", "value_format": "json" },
            ],
            "claim_to_query_parameters": [{ "parameter_name": "tenant", "claim_name": "tenant" }],
            "set_headers": [{ "key": "x-login", "value": "partner" }],
            "consumer": { "header_name": "x-consumer", "claim_name": "azp",
                "names": { "app-1": "shop" } },
        } },
        "rules": [
            { "match": { "path": "/open" }, "set_headers": [{ "key": "x-area", "value": "open" }] },
            { "match": { "path_match_policy": { "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                "path_template": "/t/{tenant}/orders" } } },
              "requires": { "provider_name": "p" },
              "claim_to_path": [{ "path_variable": "tenant", "claim_name": "tenant" }] },
            { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
        ],
    });
    let mut plan = Plan::new(configuration, 1);
    plan.version = version;
    plan.concurrency = 1;
    plan.change = |manager| {
        let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
        let gold =
            json!({ "match": { "prefix": "/t/gold/" }, "direct_response": { "status": 202 } });
        routes.as_array_mut().unwrap().insert(0, gold);
    };
    plan.start()
}

in_both!(claims_become_headers_parameters_and_segments);
fn claims_become_headers_parameters_and_segments(version: &'static str) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let bed = writing(version, &key);
    let token = key.sign(&json!({
        "azp": "app-1", "tenant": "acme", "roles": ["a", "b"], "groups": ["x", "y"],
        "address": { "city": "Zürich", "zip": [8001] },
    }));
    // The second time from the cache.
    for _ in 0..2 {
        let request = Request::get("/t/mine/orders?from=%32020&to=x+y").bearer(&token);
        let answer = bed.send(&request.header("x-envoy-original-path", "/client"));
        let path = answer.json().unwrap()["path"].clone();
        assert_eq!(path, "/t/acme/orders?from=%32020&to=x+y&tenant=acme");
        for (name, values) in [
            ("x-roles", &["a,b"][..]),
            ("x-group", &["x", "y"]),
            ("x-address", &["{\"city\":\"Zürich\",\"zip\":[8001]}"]),
            ("x-login", &["partner"]),
            ("x-consumer", &["shop"]),
            ("x-area", &[]),
            ("authorization", &[]),
        ] {
            assert_eq!(seen(&answer, name), values, "{name}");
        }
        // With the token in the query, one new path for all reasons.
        let answer = bed.send(&Request::get(format!("/t/-/orders?a&access_token={token}&b=%26")));
        assert_eq!(answer.json().unwrap()["path"], "/t/acme/orders?a&b=%26&tenant=acme");
    }
    assert_eq!(bed.counter("jwt_cache_miss"), 1);
    // Envoy chooses the route by the new path.
    let gold = key.sign(&json!({ "azp": "app-1", "tenant": "gold" }));
    assert_eq!(bed.send(&Request::get("/t/mine/orders").bearer(&gold)).status, 202);
}

in_both!(hostile_claims_write_nothing_else);
fn hostile_claims_write_nothing_else(version: &'static str) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let bed = writing(version, &key);
    let ask = |path: &str, claims: Value| {
        let mut all = json!({ "azp": "app-1" });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        bed.send(&Request::get(path).bearer(&key.sign(&all)))
    };
    for (tenant, path) in [
        (json!("a&x=y"), "/p?tenant=a%26x%3Dy"),
        (json!("../%2f;#"), "/p?tenant=..%2F%252f%3B%23"),
        (json!("a\r\nx-evil: 1"), "/p"),
        (json!("a\u{0}"), "/p"),
        (json!(["a"]), "/p"),
        (json!({ "a": "b" }), "/p"),
        (json!(null), "/p"),
        (json!(""), "/p"),
        (json!(17), "/p?tenant=17"),
    ] {
        let answer = ask("/p", json!({ "tenant": tenant }));
        assert_eq!(answer.status, 200, "{tenant}");
        assert_eq!(answer.json().unwrap()["path"], path, "{tenant}");
        assert_eq!(seen(&answer, "x-evil"), [""; 0]);
    }
    for tenant in [
        json!("../admin"),
        json!("a/b"),
        json!("a%2fb"),
        json!(".."),
        json!("."),
        json!(""),
        json!("a\r\nx-evil: 1"),
        json!("a;b"),
        json!("a\\b"),
        json!("a?b"),
        json!(["a"]),
        json!(1.5),
        json!(null),
    ] {
        assert_eq!(ask("/t/mine/orders", json!({ "tenant": tenant })).status, 403, "{tenant}");
    }
    assert_eq!(ask("/t/mine/orders", json!({})).status, 403);
    // What looks like a syntax and is none, once it is encoded.
    let answer = ask("/t/mine/orders", json!({ "tenant": "&x=y" }));
    assert_eq!(answer.json().unwrap()["path"], "/t/%26x%3Dy/orders?tenant=%26x%3Dy");
    for list in [json!(["a", "b,c"]), json!(["a\r\nx-evil: 1"]), json!([["a"]]), json!({ "a": 1 })]
    {
        let answer = ask("/p", json!({ "roles": list, "groups": list }));
        assert_eq!(answer.status, 200);
        for name in ["x-roles", "x-group", "x-evil"] {
            assert_eq!(seen(&answer, name), [""; 0], "{list}");
        }
    }
    assert_eq!(ask("/p", json!({ "azp": "app-2" })).status, 403);
    assert_eq!(ask("/p", json!({ "azp": ["app-1"] })).status, 403);
    assert_eq!(bed.counter("denied_for.claims_not_allowed"), 16);
    assert_eq!(bed.counter("denied"), 16);
}

in_both!(clients_write_nothing);
fn clients_write_nothing(version: &'static str) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let bed = writing(version, &key);
    let token = key.sign(&json!({ "azp": "app-1" }));
    let names = ["roles", "group", "address", "login", "consumer", "area"];
    for (path, expected) in [
        ("/open?tenant=evil&a=1&tenant=evil", "/open?a=1"),
        ("/open?%74enant=evil&tenan%74", "/open"),
        ("/open?b;tenant=evil&tenant[]=evil&c=tenant=1", "/open?c=tenant=1"),
        ("/p?tenant=evil", "/p"),
    ] {
        let mut request = Request::get(path);
        if path.starts_with("/p") {
            request = request.bearer(&token);
        }
        for name in names {
            for start in ["x-", "X-", "x_"] {
                request = request.header(&format!("{start}{name}"), "evil");
            }
        }
        let answer = bed.send(&request);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.json().unwrap()["path"], expected);
        assert!(!String::from_utf8_lossy(&answer.body).contains("evil"), "{path}");
        let area = if path.starts_with("/open") { &["open"][..] } else { &[] };
        assert_eq!(seen(&answer, "x-area"), area);
    }
    // Envoy itself refuses a fragment.
    assert_eq!(bed.send(&Request::get("/open#?tenant=evil")).status, 400);
}

in_both!(trailers_say_nothing_of_the_caller);
/// Some backends add trailers to the headers, so clients cannot say there who they are, either.
fn trailers_say_nothing_of_the_caller(version: &'static str) {
    let (backend, seen) = recorder();
    let key = SigningKey::generate(Alg::ES256, "k");
    let mut own = provider(&key);
    own["from_headers"] = json!([{ "name": "x-jwt" }]);
    let configuration = json!({
        "providers": { "p": own },
        "rules": [{ "match": { "prefix": "/open" } },
            { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }],
    });
    let mut plan = Plan { version, ..Plan::new(configuration, 1) };
    let mut recorder = cluster("recorder", "127.0.0.1", backend.port(), None);
    const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    recorder["typed_extension_protocol_options"] = json!({ OPTIONS: {
        "@type": format!("type.googleapis.com/{OPTIONS}"),
        "explicit_http_config": { "http_protocol_options": { "enable_trailers": true } },
    } });
    plan.clusters.push(recorder);
    plan.change = |manager| {
        manager["http_protocol_options"] = json!({ "enable_trailers": true });
        let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
        *routes = json!([{ "match": { "prefix": "/" }, "route": { "cluster": "recorder" } }]);
    };
    let bed = plan.start();
    let good = key.sign(&json!({ "sub": "alice", "tier": "tin" }));
    for path in ["/open", "/"] {
        let octets = format!(
            "POST {path} HTTP/1.1\r\nhost: h\r\nx-jwt: {good}\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\nhi\r\n0\r\nx-tier: gold\r\nX_Tier: gold\r\nx-jwt: a.b.c\r\nx_jwt: a.b.c\r\n\
             x-checksum: 7\r\n\r\n"
        );
        let mut connection = Connection::open(bed.address).unwrap();
        let answer = connection.send_octets(octets.as_bytes(), "POST", Duration::from_secs(10));
        assert_eq!(answer.unwrap().status, 200, "{path}");
        let seen = seen.recv_timeout(Duration::from_secs(10)).unwrap();
        let (_, trailers) = seen.split_once("\r\n0\r\n").unwrap();
        assert_eq!(trailers, "x-checksum: 7\r\n\r\n", "{path}");
    }
}

/// A backend that tells all octets of each request, which must end with trailers.
fn recorder() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut seen = String::new();
            let mut buffer = [0; 4096];
            while !seen.split_once("\r\n0\r\n").is_some_and(|(_, end)| end.ends_with("\r\n\r\n")) {
                let Ok(count @ 1..) = stream.read(&mut buffer) else { break };
                seen += &String::from_utf8_lossy(&buffer[..count]);
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            if stream.write_all(answer).is_err() || tell.send(seen).is_err() {
                return;
            }
        }
    });
    (address, told)
}
