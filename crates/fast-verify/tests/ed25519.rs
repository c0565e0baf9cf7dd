//! Ed25519 against dalek's strict verification.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::OnceLock;

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::{EdwardsPoint, Scalar};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use fast_verify::ed25519::{Table, Window, verify};
use proptest::prelude::*;
use sha2::{Digest as _, Sha512};

const WINDOWS: [Window; 4] = [Window::Bits5, Window::Bits6, Window::Bits7, Window::Bits8];

/// The order of the generator, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn generators() -> &'static [Table; 4] {
    static TABLES: OnceLock<[Table; 4]> = OnceLock::new();
    TABLES.get_or_init(|| WINDOWS.map(Table::generator))
}

/// A key in both worlds.
struct Key {
    octets: [u8; 32],
    library: Option<VerifyingKey>,
    tables: Vec<Table>,
}

impl Key {
    fn new(octets: [u8; 32]) -> Self {
        Self::with(octets, &WINDOWS)
    }

    fn with(octets: [u8; 32], windows: &[Window]) -> Self {
        let library = VerifyingKey::from_bytes(&octets).ok().filter(|key| !key.is_weak());
        let tables: Vec<_> =
            windows.iter().filter_map(|window| Table::new(&octets, *window)).collect();
        assert_eq!(tables.len(), if library.is_some() { windows.len() } else { 0 }, "{octets:x?}");
        Self { octets, library, tables }
    }

    /// Both worlds' answer, by every table.
    #[track_caller]
    fn check(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let Some(library) = &self.library else { return false };
        let reference = ed25519_dalek::Signature::from_bytes(signature);
        let expected = library.verify_strict(message, &reference).is_ok();
        let digest = self.digest(message, signature);
        for table in &self.tables {
            for generator in &generators()[..if self.tables.len() == 1 { 1 } else { 4 }] {
                let good = verify(generator, table, &digest, signature);
                assert_eq!(good, expected, "key {:x?} signature {signature:x?}", self.octets);
            }
        }
        expected
    }

    fn digest(&self, message: &[u8], signature: &[u8; 64]) -> [u8; 64] {
        let digest = Sha512::new_with_prefix(&signature[..32]);
        digest.chain_update(self.octets).chain_update(message).finalize().into()
    }
}

#[test]
fn good_signatures_and_flipped_bits() {
    for seed in 0..4_u8 {
        let signing = SigningKey::from_bytes(&[seed; 32]);
        let key = Key::new(signing.verifying_key().to_bytes());
        let message = [seed; 40];
        let signature = signing.sign(&message).to_bytes();
        assert!(key.check(&message, &signature));
        assert!(!key.check(b"another", &signature));
        for bit in 0..512 {
            let mut signature = signature;
            signature[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.check(&message, &signature));
        }
    }
}
