//! The table: configurations, and the requests sent through each.

mod algorithms;
mod claims;
mod fields;
mod locations;
mod matching;
mod requirements;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::LazyLock;

use jwt_gate_demo::envoy::OLDEST;
use jwt_gate_demo::http::Request;
use jwt_gate_demo::issuer::{Issuer, IssuerOptions};
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use jwt_gate_demo::serve::Server;
use serde_json::{Map, Value, json};

use crate::Scene;

/// One key of each algorithm, called after it.
pub(crate) static KEYS: LazyLock<BTreeMap<&str, SigningKey>> = LazyLock::new(|| {
    Alg::ALL
        .into_iter()
        .map(|alg| match alg.is_rsa() {
            true => (alg.as_str(), SigningKey::test_rsa(alg, alg.as_str())),
            false => (alg.as_str(), SigningKey::generate(alg, alg.as_str())),
        })
        .collect()
});

/// All scenes, and the server of the remote key set.
pub(crate) fn scenes(version: &str) -> (Vec<Scene>, Server) {
    let issuer = Issuer::new(IssuerOptions {
        issuer: "remote".to_owned(),
        audience: "api".to_owned(),
        algorithm: Alg::ES256,
        ..IssuerOptions::default()
    });
    let server = Server::start((Ipv4Addr::LOCALHOST, 0).into(), issuer.router(), None).unwrap();
    let scenes = [
        algorithms::scenes(),
        claims::scenes(),
        fields::scenes(),
        // What came after the oldest supported version.
        if version == OLDEST { Vec::new() } else { fields::newer_scenes() },
        locations::scenes(),
        matching::scenes(),
        requirements::scenes(&issuer),
    ];
    (scenes.into_iter().flatten().collect(), server)
}

/// A key set with every key.
pub(crate) fn all_keys() -> Value {
    jwks(&KEYS.values().collect::<Vec<_>>())
}

/// `base` with `changes`; null removes.
pub(crate) fn with(base: Value, changes: Value) -> Value {
    let Value::Object(mut members) = base else { panic!("no object") };
    let Value::Object(changes) = changes else { panic!("no object") };
    for (name, value) in changes {
        match value {
            Value::Null => members.remove(&name),
            value => members.insert(name, value),
        };
    }
    Value::Object(members)
}

/// A provider of issuer `i` with every key, changed.
pub(crate) fn provider(changes: Value) -> Value {
    let base = json!({ "issuer": "i", "local_jwks": { "inline_string": all_keys().to_string() } });
    with(base, changes)
}

/// The provider `p` with these changes, required everywhere.
pub(crate) fn required(changes: Value) -> Value {
    json!({
        "providers": { "p": provider(changes) },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }],
    })
}

/// Claims of issuer `i`, changed.
pub(crate) fn claims(changes: Value) -> Value {
    with(json!({ "iss": "i", "sub": "alice", "aud": "api", "exp": 4_000_000_000_u64 }), changes)
}

/// A token with these claims and a good signature.
pub(crate) fn token(changes: Value) -> String {
    KEYS["ES256"].sign(&claims(changes))
}

/// A token with this text as its payload.
pub(crate) fn token_of_text(payload: impl AsRef<[u8]>) -> String {
    let header = json!({"alg": "ES256", "kid": "ES256"});
    KEYS["ES256"].sign_with_header(&header, payload.as_ref())
}

/// A request with a fixed host, so that both sides' realms are equal.
pub(crate) fn get(path: impl AsRef<[u8]>) -> Request {
    Request::get(path).header("host", "parity.test")
}

/// A `GET /` with this token as `Authorization: Bearer`.
pub(crate) fn bearer(token: &str) -> Request {
    get("/").bearer(token)
}

pub(crate) fn scene(name: &'static str, configuration: Value) -> Scene {
    Scene { name, configuration, rows: Vec::new() }
}

impl Scene {
    /// Adds a row.
    pub(crate) fn row(mut self, name: impl Into<String>, request: Request) -> Self {
        self.rows.push((name.into(), request));
        self
    }

    /// Adds a row for each, under its name.
    pub(crate) fn rows(self, rows: impl IntoIterator<Item = (String, Request)>) -> Self {
        rows.into_iter().fold(self, |scene, (name, request)| scene.row(name, request))
    }
}

/// `{}` of the payload's members.
pub(crate) fn members(value: Value) -> Map<String, Value> {
    let Value::Object(members) = value else { panic!("no object") };
    members
}
