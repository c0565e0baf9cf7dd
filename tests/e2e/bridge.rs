//! Claims for native filters: the recipe of `docs/bridge.md`, as it stands there.

use jwt_gate_demo::http::{Request, Response};
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

use crate::bed::{Bed, Plan, eventually, in_both, seen};

const ISSUER: &str = "https://issuer.example";
const LOG: &str = "metadata: %DYNAMIC_METADATA(envoy.filters.http.jwt_authn)%\n";

/// The JSON blocks of the document: the gate's configuration, and the filters behind it.
fn recipe() -> [Value; 2] {
    let text = include_str!("../../docs/bridge.md");
    let mut blocks = text.split("\n```json\n").skip(1).map(|rest| {
        let (block, _) = rest.split_once("\n```").unwrap();
        serde_json::from_str(block).unwrap()
    });
    [(); 2].map(|()| blocks.next().unwrap())
}

fn change(manager: &mut Value) {
    let [_, filters] = recipe();
    let chain = manager["http_filters"].as_array_mut().unwrap();
    chain.splice(1..1, filters.as_array().unwrap().clone());
    let format = &mut manager["access_log"][0]["typed_config"]["log_format"];
    format["text_format_source"]["inline_string"] = json!(LOG);
}

fn start(version: &'static str, key: &SigningKey, more: Value) -> Bed {
    let [mut configuration, _] = recipe();
    let provider = configuration["providers"]["main"].as_object_mut().unwrap();
    provider.insert("local_jwks".to_owned(), json!({ "inline_string": jwks(&[key]).to_string() }));
    provider.extend(more.as_object().unwrap().clone());
    let mut plan = Plan::new(configuration, 1);
    plan.version = version;
    plan.change = change;
    plan.start()
}

/// Whether RBAC refused, which the gate's own refusals do not say.
fn by_rbac(answer: &Response) -> bool {
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status == 403, body.contains("RBAC") || body.contains("Jwt"), "{body}");
    body.contains("RBAC: access denied")
}

in_both!(rbac_sees_the_claims);
fn rbac_sees_the_claims(version: &'static str) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let bed = start(version, &key, json!({}));
    let sign = |claims: Value| {
        let mut all = json!({ "iss": ISSUER });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        key.sign(&all)
    };
    for (claims, passes) in [
        (json!({ "groups": ["x", "clerks"] }), true),
        (json!({ "groups": "clerks" }), true),
        (json!({ "groups": ["x"] }), false),
        (json!({ "groups": [] }), false),
        (json!({ "groups": { "clerks": true } }), false),
        (json!({ "groups": ["clerks", "banned"] }), false),
        (json!({ "realm_access": { "roles": ["a", "order-1"] } }), true),
        (json!({ "realm_access": { "roles": "order-1" } }), false),
        (json!({ "realm_access.roles": ["order-1"] }), false),
        (json!({ "scope": "read orders" }), true),
        (json!({ "scope": "orders-read" }), false),
        (json!({}), false),
    ] {
        // Again from the cache.
        for _ in 0..2 {
            let answer = bed.get(&sign(claims.clone()));
            assert_eq!(answer.status, if passes { 200 } else { 403 }, "{claims}");
            assert_eq!(by_rbac(&answer), !passes, "{claims}");
            if passes {
                assert_eq!(seen(&answer, "x-jwt-gate-payload"), [""; 0], "it goes no further");
            }
        }
    }
    let line = "metadata: {\"payload\":{\"groups\":\"clerks\",\"iss\":\"https://issuer.example\"}}";
    eventually("the metadata is in the log", || bed.log().contains(line));
}

in_both!(clients_write_no_metadata);
/// The header counts only if the gate wrote it.
fn clients_write_no_metadata(version: &'static str) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let bed = start(version, &key, json!({}));
    // `{"iss": "https://issuer.example", "groups": "clerks"}`, as anybody can write it.
    let value = "KjUKHwoDaXNzEhgaFmh0dHBzOi8vaXNzdWVyLmV4YW1wbGUKEgoGZ3JvdXBzEggaBmNsZXJrcw==";
    let spoof = |path: &str, name: &str| Request::get(path).header(name, value);
    for name in ["x-jwt-gate-payload", "X-Jwt-Gate-Payload", "x_jwt_gate_payload"] {
        let answer = bed.send(&spoof("/maybe", name));
        assert!(by_rbac(&answer), "{name}");
        assert_eq!(bed.send(&spoof("/", name)).status, 401, "{name}");
        let poor = key.sign(&json!({ "iss": ISSUER, "sub": "poor" }));
        assert!(by_rbac(&bed.send(&spoof("/", name).bearer(&poor))), "{name}");
        let answer = bed.send(&spoof("/healthz", name));
        assert_eq!(answer.status, 200);
        for name in ["x-jwt-gate-payload", "x_jwt_gate_payload"] {
            assert_eq!(seen(&answer, name), [""; 0]);
        }
    }
    assert!(!bed.log().contains("clerks"));
    assert_eq!(bed.send(&Request::get("/")).status, 401);
    assert!(by_rbac(&bed.send(&Request::get("/maybe"))), "no token, no claims");
    // Two good tokens: one payload, not none.
    let banned = key.sign(&json!({ "iss": ISSUER, "groups": ["banned"] }));
    let two = Request::get(format!("/?access_token={banned}")).bearer(&banned);
    assert!(by_rbac(&bed.send(&two)));
}

in_both!(long_payloads_get_around_no_policy);
/// From 8 KiB on, `header_to_metadata` passes over a value as if there were none, and a policy that
/// denies does not apply. The gate refuses such tokens.
fn long_payloads_get_around_no_policy(version: &'static str) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let of_length = |groups: &[&str], length: usize| {
        key.sign(&json!({ "iss": ISSUER, "groups": groups, "x": "x".repeat(length) }))
    };
    let bed = start(version, &key, json!({}));
    let mut refused = [0; 2];
    // The limit is somewhere in between: below it, RBAC decides.
    for length in (6_000..6_100).step_by(5) {
        for (place, groups) in [&["clerks"][..], &["clerks", "banned"]].into_iter().enumerate() {
            let answer = bed.get(&of_length(groups, length));
            let passes = answer.status == 200;
            let by_gate = !passes && !by_rbac(&answer);
            assert!(!passes || place == 0, "{length}");
            assert!(by_gate || refused[place] == 0, "{length}");
            refused[place] += u64::from(by_gate);
        }
    }
    assert!(refused.iter().all(|refused| (1..20).contains(refused)), "{refused:?}");
    assert_eq!(bed.counter("denied_for.claims_not_allowed"), refused.iter().sum::<u64>());
    assert_eq!(bed.get(&of_length(&["clerks"], 20_000)).status, 403);

    // Depth is bounded, too: by what protobuf's parsers read, which RBAC sees to the last level.
    let nested = |wrap: fn(Value) -> Value, levels: usize, groups: &[&str]| {
        let deep = (0..levels).fold(json!("x"), |value, _| wrap(value));
        bed.get(&key.sign(&json!({ "iss": ISSUER, "groups": groups, "x": deep })))
    };
    for (wrap, most) in
        [((|value| json!([value])) as fn(Value) -> Value, 48), (|value| json!({ "x": value }), 32)]
    {
        assert_eq!(nested(wrap, most, &["clerks"]).status, 200);
        assert!(by_rbac(&nested(wrap, most, &["clerks", "banned"])));
        for groups in [&["clerks"][..], &["clerks", "banned"]] {
            let answer = nested(wrap, most + 1, groups);
            assert!(answer.status == 403 && !by_rbac(&answer));
        }
    }
}

in_both!(values_of_eight_kib_are_passed_over);
/// Why the gate refuses them: what Envoy makes of a value of 8 KiB, and of one that is deeper than
/// protobuf's parsers read.
fn values_of_eight_kib_are_passed_over(version: &'static str) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let mut plan = Plan::new(
        json!({ "providers": { "p": {
            "local_jwks": { "inline_string": jwks(&[&key]).to_string() },
            "claim_to_headers": [
                { "header_name": "x-long", "claim_name": "x", "value_format": "protobuf_value" }],
        } } }),
        1,
    );
    plan.version = version;
    plan.change = |manager| {
        let [_, filters] = recipe();
        let mut filter = filters[0].clone();
        filter["typed_config"]["request_rules"][0]["header"] = json!("x-long");
        manager["http_filters"].as_array_mut().unwrap().insert(1, filter);
        let format = &mut manager["access_log"][0]["typed_config"]["log_format"];
        format["text_format_source"]["inline_string"] = json!(LOG);
    };
    let bed = plan.start();
    // Base64 of 3 octets and the text: 8188 and 8192 octets.
    let nested = |levels| (0..levels).fold(json!("x"), |value, _| json!([value]));
    let (read, passed_over) = ("metadata: {\"payload\":", "metadata: -\n");
    for (claim, line) in [
        (json!("x".repeat(6_138)), read),
        (json!("x".repeat(6_139)), passed_over),
        (nested(50), read),
        (nested(51), passed_over),
    ] {
        let before = bed.log().matches(line).count();
        let answer = bed.get(&key.sign(&json!({ "x": claim })));
        assert_eq!(answer.status, 200);
        assert_eq!(seen(&answer, "x-long"), [""; 0], "taken out all the same");
        eventually(line, || bed.log().matches(line).count() > before);
    }
}
