//! A shared secret and its signatures (RFC 7518 section 3.2), by RustCrypto alone: secrets never enter
//! arithmetic of our own.

use std::cell::OnceCell;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha384, Sha512};

use crate::jose::algorithm::Hash;

/// A shared secret. What HMAC makes of it before the first octet of a message is kept for each hash
/// that is used: two of some ten blocks for a usual token.
#[derive(Clone)]
pub struct HmacKey {
    secret: Vec<u8>,
    sha256: OnceCell<Hmac<Sha256>>,
    sha384: OnceCell<Hmac<Sha384>>,
    sha512: OnceCell<Hmac<Sha512>>,
}

impl HmacKey {
    /// The key with this secret; whether it is long enough for a hash is not decided here.
    pub fn new(secret: Vec<u8>) -> Self {
        let (sha256, sha384, sha512) = Default::default();
        Self { secret, sha256, sha384, sha512 }
    }

    /// The length of the secret in octets.
    pub fn octets(&self) -> usize {
        self.secret.len()
    }

    /// The signature of `input` by SHA-256. None: HMAC takes keys of any length, so never.
    pub fn sign_sha256(&self, input: &[u8]) -> Option<[u8; 32]> {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.secret).ok()?;
        Some(mac.chain_update(input).finalize().into_bytes().into())
    }

    /// Compares in constant time, so that a forger learns nothing from how long a refusal takes.
    pub fn verify(&self, hash: Hash, input: &[u8], signature: &[u8]) -> bool {
        match hash {
            Hash::Sha256 => verify(&self.sha256, &self.secret, input, signature),
            Hash::Sha384 => verify(&self.sha384, &self.secret, input, signature),
            Hash::Sha512 => verify(&self.sha512, &self.secret, input, signature),
        }
    }
}

fn verify<M: Mac + KeyInit + Clone>(
    prepared: &OnceCell<M>,
    secret: &[u8],
    input: &[u8],
    signature: &[u8],
) -> bool {
    let mac = match prepared.get() {
        Some(mac) => mac.clone(),
        None => {
            // HMAC takes keys of any length, so there is no such failure.
            let Ok(mac) = <M as KeyInit>::new_from_slice(secret) else { return false };
            prepared.get_or_init(|| mac).clone()
        }
    };
    mac.chain_update(input).verify_slice(signature).is_ok()
}
