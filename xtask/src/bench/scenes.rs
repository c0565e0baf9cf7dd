//! What is measured: keys, tokens, configurations.

use std::time::UNIX_EPOCH;

use jwt_gate_demo::keys::{Alg, SigningKey, base64url, jwks};
use serde_json::{Map, Value, json};

use super::Extent;

/// What stands in the filter chain.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Filter {
    None,
    /// A WebAssembly filter that does nothing.
    Empty,
    Native,
    /// With its cache, and the same token over and over.
    NativeCached,
    Gate,
    /// The same token over and over.
    GateCached,
}

impl Filter {
    pub(crate) const ALL: [Self; 6] =
        [Self::None, Self::Empty, Self::Native, Self::NativeCached, Self::Gate, Self::GateCached];

    /// Whether it looks at tokens.
    pub(crate) fn checks(self) -> bool {
        !matches!(self, Self::None | Self::Empty)
    }
}

/// A configuration and what is sent through it.
pub(crate) struct Scene {
    pub(crate) name: String,
    /// What the filters answer.
    pub(crate) status: u16,
    configuration: Value,
    requests: Vec<Vec<u8>>,
    once: Vec<Vec<u8>>,
    cached: bool,
    /// Good requests to begin with: keys are used to good tokens before bad ones come.
    pub(crate) prelude: Vec<Vec<u8>>,
}

impl Scene {
    /// The filters that are compared.
    pub(crate) fn filters(&self) -> impl Iterator<Item = Filter> + use<> {
        let cached = self.cached;
        Filter::ALL.into_iter().filter(move |filter| {
            cached || !matches!(filter, Filter::NativeCached | Filter::GateCached)
        })
    }

    /// The requests to send in turn.
    pub(crate) fn requests(&self, filter: Filter) -> &[Vec<u8>] {
        match filter {
            Filter::NativeCached | Filter::GateCached => &self.once,
            _ => &self.requests,
        }
    }

    /// The configuration of both filters. Where every token is to be new, the cache is far smaller
    /// than the pool of tokens.
    pub(crate) fn configuration(&self, filter: Filter) -> Value {
        let mut configuration = self.configuration.clone();
        if filter != Filter::Native
            && let Some(providers) = configuration["providers"].as_object_mut()
        {
            for provider in providers.values_mut() {
                provider["jwt_cache_config"] = json!({ "jwt_cache_size": 100 });
            }
        }
        configuration
    }

    /// The same for the native filter.
    pub(crate) fn native(&self, filter: Filter) -> Value {
        let mut configuration = self.configuration(filter);
        configuration["@type"] = json!(
            "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
        );
        configuration
    }
}

/// A name in a table, and the key behind it.
fn keys(extent: Extent) -> Vec<(&'static str, SigningKey)> {
    let mut keys = vec![
        ("RS256", SigningKey::test_rsa(Alg::RS256, "k")),
        ("ES256", SigningKey::generate(Alg::ES256, "k")),
        ("EdDSA", SigningKey::generate(Alg::EdDSA, "k")),
        ("HS256", SigningKey::generate(Alg::HS256, "k")),
    ];
    if extent == Extent::Full {
        keys.extend([
            ("RS512", SigningKey::test_rsa(Alg::RS512, "k")),
            ("PS256", SigningKey::test_rsa(Alg::PS256, "k")),
            ("RS256, 3072 bits", SigningKey::generate_rsa(Alg::RS256, "k", 3072)),
            ("RS256, 4096 bits", SigningKey::generate_rsa(Alg::RS256, "k", 4096)),
            ("ES384", SigningKey::generate(Alg::ES384, "k")),
            ("ES512", SigningKey::generate(Alg::ES512, "k")),
        ]);
    }
    keys
}

/// All scenes.
pub(crate) fn all(extent: Extent) -> Vec<Scene> {
    let keys = keys(extent);
    let mut scenes: Vec<Scene> = keys.iter().map(|(name, key)| good(name, key)).collect();
    let key = &keys[1].1;
    scenes.extend(refused(key));
    if extent == Extent::Full {
        scenes.extend(scaling(key));
    }
    scenes
}

/// Tokens of one key, all different, and nothing else to do.
fn good(name: &str, key: &SigningKey) -> Scene {
    let tokens = (0..POOL).map(|index| key.sign(&claims(index, 400)));
    scene(name, provider(&[key]), tokens.collect(), 200, true)
}

/// What is not let in must not be dearer than what is.
fn refused(key: &SigningKey) -> Vec<Scene> {
    let tokens = |change: &dyn Fn(u64) -> String| (0..POOL).map(change).collect::<Vec<_>>();
    let stranger = SigningKey::generate(Alg::ES256, "k");
    let bad = tokens(&|index| stranger.sign(&claims(index, 400)));
    let expired = tokens(&|index| {
        let mut claims = claims(index, 400);
        claims["exp"] = json!(1_000_000_000);
        key.sign(&claims)
    });
    let malformed =
        tokens(&|index| format!("{}.{}.AAAA", base64url("{}"), base64url(format!("{index}"))));
    let good = (0..8).map(|index| key.sign(&claims(index, 400))).collect();
    let prelude = scene("", Value::Null, good, 200, false).requests;
    let mut scenes = vec![
        scene("refused: bad signature (ES256)", provider(&[key]), bad, 401, false),
        scene("refused: expired (ES256)", provider(&[key]), expired, 401, false),
        scene("refused: malformed", provider(&[key]), malformed, 401, false),
    ];
    scenes.iter_mut().for_each(|scene| scene.prelude = prelude.clone());
    scenes
}

/// What grows, and by how much the price does.
fn scaling(key: &SigningKey) -> Vec<Scene> {
    let good = |size: usize| -> Vec<String> {
        (0..POOL).map(|index| key.sign(&claims(index, size))).collect()
    };
    let mut scenes = Vec::new();
    for size in [100, 2_000, 8_000] {
        let name = format!("payload of {size} octets (ES256)");
        scenes.push(scene(&name, provider(&[key]), good(size), 200, false));
    }
    for count in [10, 100] {
        let others: Vec<_> = (1..count)
            .map(|index| SigningKey::generate(Alg::ES256, &format!("other {index}")))
            .collect();
        let set: Vec<&SigningKey> = others.iter().chain([key]).collect();
        let name = format!("{count} keys (ES256)");
        scenes.push(scene(&name, provider(&set), good(400), 200, false));
    }
    for count in [10, 1_000] {
        let mut configuration = provider(&[key]);
        let mut rules: Vec<Value> = (1..count)
            .map(|index| json!({ "match": { "prefix": format!("/service{index}/") } }))
            .collect();
        rules.push(json!({ "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }));
        configuration["rules"] = json!(rules);
        let name = format!("{count} rules (ES256)");
        scenes.push(scene(&name, configuration, good(400), 200, false));
    }
    let mut configuration = provider(&[key]);
    configuration["providers"]["p"]["claim_to_headers"] = (0..10)
        .map(|index| json!({ "header_name": format!("x-claim-{index}"), "claim_name": "sub" }))
        .collect();
    scenes.push(scene("10 claims to headers (ES256)", configuration, good(400), 200, false));
    scenes
}

/// More tokens than the caches of the scenes hold.
const POOL: u64 = 400;

fn provider(keys: &[&SigningKey]) -> Value {
    json!({
        "providers": { "p": {
            "issuer": "https://issuer.example",
            "audiences": ["orders-api"],
            "local_jwks": { "inline_string": jwks(keys).to_string() },
            "forward": true,
        } },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }],
    })
}

/// Claims as issuers write them, with something to make up the size.
fn claims(index: u64, size: usize) -> Value {
    let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let mut claims: Map<String, Value> = Map::new();
    for (name, value) in [
        ("iss", json!("https://issuer.example")),
        ("sub", json!(format!("user-{index:06}"))),
        ("aud", json!(["orders-api"])),
        ("exp", json!(now + 86_400)),
        ("iat", json!(now)),
        ("jti", json!(format!("{index:032x}"))),
        ("scope", json!("orders:read orders:write profile email")),
        ("roles", json!(["admin", "buyer", "auditor"])),
    ] {
        claims.insert(name.to_owned(), value);
    }
    let fill = size.saturating_sub(Value::Object(claims.clone()).to_string().len());
    claims.insert("fill".to_owned(), json!("x".repeat(fill)));
    Value::Object(claims)
}

fn scene(
    name: &str,
    configuration: Value,
    tokens: Vec<String>,
    status: u16,
    cached: bool,
) -> Scene {
    let requests: Vec<Vec<u8>> = tokens
        .iter()
        .map(|token| {
            format!(
                "GET /orders HTTP/1.1\r\nhost: api.example\r\nuser-agent: bench/1.0\r\n\
                 accept: */*\r\nx-request-id: 6ba7b810-9dad-41d1-80b4-00c04fd430c8\r\n\
                 authorization: Bearer {token}\r\n\r\n"
            )
            .into_bytes()
        })
        .collect();
    let once = requests.iter().take(1).cloned().collect();
    Scene {
        name: name.to_owned(),
        status,
        configuration,
        requests,
        once,
        cached,
        prelude: Vec::new(),
    }
}
