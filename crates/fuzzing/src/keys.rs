//! The keys of the targets: always the same ones, so that what is found can be found again.

use std::sync::OnceLock;

use jwt_gate_signing::SigningKey;
use serde_json::{Value, json};

use crate::oracle::Verifier;

/// A key that signs, what is published of it, and an independent verifier of what it signs.
pub struct Key {
    /// Signs.
    pub signing: SigningKey,
    /// The public half, or the secret.
    pub jwk: Value,
    /// Another library's opinion.
    pub verifier: Verifier,
}

/// All keys: one of each kind, a second one by the name of another, and a second secret.
pub fn keys() -> &'static [Key] {
    static KEYS: OnceLock<Vec<Key>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let text = include_str!("../data/keys.json");
        let set: Value = serde_json::from_str(text).expect("the file is JSON");
        let list = set["keys"].as_array().expect("a list").iter();
        list.map(|private| {
            let signing = SigningKey::from_jwk(private, None).expect("a key");
            let jwk = signing.public_jwk();
            let verifier = Verifier::new(&jwk);
            Key { signing, jwk, verifier }
        })
        .collect()
    })
}

/// A key of the list, whatever the number.
pub fn key(number: u8) -> &'static Key {
    let keys = keys();
    &keys[usize::from(number) % keys.len()]
}

/// The set that publishes the keys at these places.
pub fn set(places: &[usize]) -> Value {
    json!({ "keys": places.iter().map(|place| &keys()[*place].jwk).collect::<Vec<_>>() })
}
