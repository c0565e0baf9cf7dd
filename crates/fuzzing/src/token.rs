//! Any octets as a token, and changed good tokens, under every key of ours: the gate and an independent
//! verifier agree on whether it is good.

use jwt_gate::claims::RegisteredClaims;
use jwt_gate::jose::jwk::{Jwk, KeyStrength};
use jwt_gate::jose::jws::{Parts, UnverifiedJws, VerifiedPayload};
use std::cell::OnceCell;

use crate::keys::keys;
use crate::model;
use crate::oracle::Read;

thread_local! {
    // Keys share tables of multiples, which are not for several threads.
    static JWKS: OnceCell<Vec<Jwk>> = const { OnceCell::new() };
}

/// The octets are a token.
pub fn run(octets: &[u8]) {
    JWKS.with(|jwks| {
        let parse = |jwk| Jwk::parse(jwk, KeyStrength::Required).expect("a good key");
        let jwks = jwks.get_or_init(|| keys().iter().map(|key| parse(&key.jwk)).collect());
        for (place, jwk) in jwks.iter().enumerate() {
            let read = Read::parse(octets).filter(|read| model::is_well_formed(octets, read));
            let expected = read.as_ref().is_some_and(|read| keys()[place].verifier.verifies(read));
            let parts = Parts::of(octets);
            let verified = parts.as_ref().ok().and_then(|parts| verify(parts, jwk));
            assert_eq!(verified.is_some(), expected, "key {place}");
            if let (Some(verified), Some(read)) = (verified, read) {
                assert_eq!(verified.encoded(), read.payload);
                assert_eq!(verified.claims().to_map(), read.claims);
                let typed = RegisteredClaims::read(verified.claims()).is_ok();
                assert_eq!(typed, model::are_typed(&read.claims));
            }
        }
    });
}

fn verify<'a>(parts: &'a Parts<'_>, jwk: &Jwk) -> Option<VerifiedPayload<'a>> {
    let jws = UnverifiedJws::parse(parts).ok()?.decode_signature().ok()?;
    jws.verify([jwk].into_iter()).ok()
}
