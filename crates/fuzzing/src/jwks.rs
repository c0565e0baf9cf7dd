//! Any octets as a key set: it is read, refused, or read but for some keys, and always the same way.

use jwt_gate::jose::header::Header;
use jwt_gate::jose::jwk::{KeyIssuers, KeyStrength};
use jwt_gate::jwks::key_set::{KeySet, MAX_KEYS, MAX_SET_OCTETS, MAX_TRIES};
use serde_json::Value;

use crate::strict::is_strict;

/// The octets are a set.
pub fn run(octets: &[u8]) {
    let strict = KeySet::parse(octets, KeyStrength::Required);
    let weak = KeySet::parse(octets, KeyStrength::WeakAllowed);
    let bound = KeySet::parse_for(octets, KeyStrength::Required, KeyIssuers::Bind);
    let lengths = [&strict, &weak, &bound].map(|set| set.as_ref().map_or(0, KeySet::len));
    // A weaker demand takes no key away, and a stronger one brings none.
    assert!(lengths[0] <= lengths[1] && lengths[2] <= lengths[0], "{lengths:?}");
    for set in [strict, weak, bound].into_iter().flatten() {
        check(octets, &set);
    }
}

fn check(octets: &[u8], set: &KeySet) {
    assert!(octets.len() <= MAX_SET_OCTETS);
    let text = str::from_utf8(octets).expect("a set is UTF-8");
    assert!(is_strict(text, 100));
    let read: Value = serde_json::from_str(text).expect("a set is JSON");
    let members = match read.get("keys") {
        Some(keys) => keys.as_array().map_or(0, Vec::len),
        None => read.as_object().map_or(0, |set| set.len()),
    };
    assert!(!set.is_empty() && members <= MAX_KEYS);
    assert_eq!(set.len() + set.skipped().len(), members);
    for algorithm in jwt_gate::jose::algorithm::ALGORITHMS {
        let header = Header { algorithm, kid: None, typ: None };
        let found = set.candidates(&header, Some("issuer"));
        assert!(found.len() <= MAX_TRIES);
        for key in found {
            assert!(key.fits(algorithm));
            if let Some(kid) = &key.kid {
                assert!(set.names(kid));
            }
            // Nobody signed this.
            assert!(key.verify(algorithm, b"input", &[0; 64]).is_err());
            assert!(key.verify(algorithm, b"input", b"").is_err());
        }
    }
}
