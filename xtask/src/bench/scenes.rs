//! What is measured: keys, tokens, configurations.

mod features;
mod growth;

use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use jwt_gate_demo::keys::{Alg, SigningKey, base64url, jwks};
use serde_json::{Map, Value, json};

use super::Extent;
use super::upstream::Documents;

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

    /// What people call it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::None => "no filter",
            Self::Empty => "empty wasm filter",
            Self::Native => "native",
            Self::NativeCached => "native, known token",
            Self::Gate => "gate, new token",
            Self::GateCached => "gate, known token",
        }
    }

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
    /// Which filters are compared.
    pub(crate) filters: &'static [Filter],
    configuration: Value,
    /// How many tokens the caches hold.
    cache: u32,
    /// Requests with tokens that are all new to such a cache.
    requests: Vec<Vec<u8>>,
    /// Requests with tokens that it can know.
    known: Vec<Vec<u8>>,
    /// Good requests to begin with: keys are used to good tokens before bad ones come.
    pub(crate) prelude: Vec<Vec<u8>>,
    /// Requests with tokens that the caches have seen before anything is measured.
    pub(crate) pool: Vec<Vec<u8>>,
}

/// Tokens that are new every time, as nothing is kept of those that are refused, or is to be.
const WITHOUT_CACHES: &[Filter] = &[Filter::None, Filter::Empty, Filter::Native, Filter::Gate];
/// Only what the caches make of it.
const CACHES: &[Filter] =
    &[Filter::None, Filter::Empty, Filter::Native, Filter::NativeCached, Filter::GateCached];

impl Scene {
    /// The requests to send in turn.
    pub(crate) fn requests(&self, filter: Filter) -> &[Vec<u8>] {
        match filter {
            Filter::NativeCached | Filter::GateCached => &self.known,
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
                provider["jwt_cache_config"] = json!({ "jwt_cache_size": self.cache });
            }
        }
        configuration
    }

    /// The same as written, with the caches that are there by default.
    pub(crate) fn default_configuration(&self) -> &Value {
        &self.configuration
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
type Named = (&'static str, SigningKey);

/// The keys of all algorithms; large RSA keys take seconds to make.
pub(crate) fn keys(extent: Extent) -> &'static [Named] {
    static KEYS: OnceLock<Vec<Named>> = OnceLock::new();
    KEYS.get_or_init(|| {
        println!("making keys");
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
    })
}

/// The scenes of the costs with `word` in their names; those that grow only if they are asked for or
/// everything is.
pub(crate) fn named(extent: Extent, word: &str) -> Vec<Scene> {
    let keys = keys(extent);
    let mut scenes: Vec<Scene> = keys.iter().map(|(name, key)| good(name, key)).collect();
    let key = &keys[1].1;
    scenes.extend(refused(key));
    if extent == Extent::Full || !word.is_empty() {
        scenes.extend(growth::all(key));
    }
    scenes.retain(|scene| scene.name.contains(word));
    scenes
}

/// The plain gate, and the same with each feature; and what a server must have for them.
pub(crate) fn features(extent: Extent) -> (Vec<Scene>, Documents) {
    // More than are sent in all rounds.
    let uses = extent.choose(120_000, 20_000);
    let key = SigningKey::generate(Alg::ES256, "k");
    (features::all(&key, uses), features::documents(&key))
}

/// Tokens of one key, all different, and nothing else to do.
pub(crate) fn good(name: &str, key: &SigningKey) -> Scene {
    let tokens = (0..POOL).map(|index| key.sign(&claims(index, 400)));
    let scene = scene(name, provider(&[key]), tokens.collect(), 200);
    Scene { filters: &Filter::ALL, ..scene }
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
    let prelude = scene("", Value::Null, good, 200).requests;
    let mut scenes = vec![
        scene("refused: bad signature (ES256)", provider(&[key]), bad, 401),
        scene("refused: expired (ES256)", provider(&[key]), expired, 401),
        scene("refused: malformed", provider(&[key]), malformed, 401),
    ];
    scenes.iter_mut().for_each(|scene| scene.prelude = prelude.clone());
    scenes
}

/// More tokens than the caches of the scenes hold.
const POOL: u64 = 400;

pub(crate) fn provider(keys: &[&SigningKey]) -> Value {
    json!({
        "providers": { "p": {
            "issuer": "https://issuer.example/main",
            "audiences": ["orders-api"],
            "local_jwks": { "inline_string": jwks(keys).to_string() },
            "forward": true,
        } },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }],
    })
}

/// Claims as issuers write them, with something to make up the size.
pub(crate) fn claims(index: u64, size: usize) -> Value {
    let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let mut claims: Map<String, Value> = Map::new();
    for (name, value) in [
        ("iss", json!("https://issuer.example/main")),
        ("sub", json!(format!("user-{index:06}"))),
        ("aud", json!(["orders-api"])),
        ("exp", json!(now + 36_000)),
        ("iat", json!(now)),
        ("jti", json!(format!("{index:032x}"))),
        ("scope", json!("orders:read orders:write profile email")),
        ("roles", json!(["admin", "buyer", "auditor"])),
        ("acr", json!("gold")),
        ("auth_time", json!(now)),
    ] {
        claims.insert(name.to_owned(), value);
    }
    let fill = size.saturating_sub(Value::Object(claims.clone()).to_string().len());
    claims.insert("fill".to_owned(), json!("x".repeat(fill)));
    Value::Object(claims)
}

fn scene(name: &str, configuration: Value, tokens: Vec<String>, status: u16) -> Scene {
    let requests: Vec<Vec<u8>> = tokens.iter().map(|token| request(token, 0)).collect();
    let known = requests.iter().take(1).cloned().collect();
    Scene {
        name: name.to_owned(),
        status,
        filters: WITHOUT_CACHES,
        configuration,
        cache: 100,
        requests,
        known,
        prelude: Vec::new(),
        pool: Vec::new(),
    }
}

/// A request as clients send it, with a token and so many more headers.
pub(crate) fn request(token: &str, more: usize) -> Vec<u8> {
    let more: String = (0..more)
        .map(|index| format!("x-header-{index}: a value of common length, {index:06}\r\n"))
        .collect();
    format!(
        "GET /orders HTTP/1.1\r\nhost: api.example\r\nuser-agent: bench/1.0\r\naccept: */*\r\n\
         x-request-id: 6ba7b810-9dad-41d1-80b4-00c04fd430c8\r\n{more}\
         authorization: Bearer {token}\r\n\r\n"
    )
    .into_bytes()
}
