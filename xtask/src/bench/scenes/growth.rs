//! What grows, and by how much the price does.

use jwt_gate_demo::keys::{Alg, SigningKey};
use serde_json::{Value, json};

use super::{CACHES, POOL, Scene, claims, provider, request, scene};

/// All of them, with tokens of `key`.
pub(super) fn all(key: &SigningKey) -> Vec<Scene> {
    let good = |size: usize| -> Vec<String> {
        (0..POOL).map(|index| key.sign(&claims(index, size))).collect()
    };
    let tokens = good(400);
    let mut scenes = Vec::new();
    for size in [100, 2_000, 8_000] {
        let name = format!("payload of {size} octets (ES256)");
        scenes.push(scene(&name, provider(&[key]), good(size), 200));
    }
    for count in [10, 100] {
        let others: Vec<_> = (1..count)
            .map(|index| SigningKey::generate(Alg::ES256, &format!("other {index}")))
            .collect();
        let set: Vec<&SigningKey> = others.iter().chain([key]).collect();
        let name = format!("{count} keys (ES256)");
        scenes.push(scene(&name, provider(&set), tokens.clone(), 200));
    }
    for count in [10, 1_000] {
        let mut configuration = provider(&[key]);
        let mut rules: Vec<Value> = (1..count)
            .map(|index| json!({ "match": { "prefix": format!("/service{index}/") } }))
            .collect();
        rules.push(json!({ "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }));
        configuration["rules"] = json!(rules);
        let name = format!("{count} rules (ES256)");
        scenes.push(scene(&name, configuration, tokens.clone(), 200));
    }
    for count in [10, 50] {
        let name = format!("{count} providers (ES256)");
        scenes.push(scene(&name, providers(key, count), tokens.clone(), 200));
    }
    for count in [10, 50, 100] {
        let name = format!("{count} more headers (ES256)");
        let mut scene = scene(&name, provider(&[key]), Vec::new(), 200);
        scene.requests = tokens.iter().map(|token| request(token, count)).collect();
        scenes.push(scene);
    }
    let mut configuration = provider(&[key]);
    configuration["providers"]["p"]["claim_to_headers"] = (0..10)
        .map(|index| json!({ "header_name": format!("x-claim-{index}"), "claim_name": "sub" }))
        .collect();
    scenes.push(scene("10 claims to headers (ES256)", configuration, tokens, 200));
    for count in [100, 1_000, 3_000] {
        scenes.push(pool(key, count));
    }
    scenes
}

/// The token is the last one's, and any would do: each is asked in turn.
fn providers(key: &SigningKey, count: usize) -> Value {
    let mut configuration = provider(&[key]);
    for index in 1..count {
        let mut other = configuration["providers"]["p"].clone();
        other["issuer"] = json!(format!("https://other{index}.example"));
        configuration["providers"][format!("other{index:02}")] = other;
    }
    let names = configuration["providers"].as_object().into_iter().flatten();
    let any: Vec<Value> = names.map(|(name, _)| json!({ "provider_name": name })).collect();
    configuration["rules"][0]["requires"] = json!({ "requires_any": { "requirements": any } });
    configuration
}

/// Tokens that come again, in no order, with caches of a thousand: what those make of it.
fn pool(key: &SigningKey, count: u64) -> Scene {
    let pool: Vec<Vec<u8>> =
        (0..count).map(|index| request(&key.sign(&claims(index, 400)), 0)).collect();
    let mut draw = 1_u64;
    let mut next = || {
        // The generator of Knuth's MMIX, of which the upper bits are good.
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        pool[((draw >> 33) % count) as usize].clone()
    };
    let requests: Vec<Vec<u8>> = (0..8_000).map(|_| next()).collect();
    let scene = scene(&format!("{count} tokens again (ES256)"), provider(&[key]), Vec::new(), 200);
    Scene { filters: CACHES, cache: 1_000, known: requests.clone(), requests, pool, ..scene }
}
