//! Ed25519 against dalek's strict verification: any octets as a key and a signature, good signatures
//! with some bits changed, and the equation alone with points of mixed order.
#![no_main]

use std::sync::OnceLock;

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::{EdwardsPoint, Scalar};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use fast_verify::ed25519::{Table, Window, verify};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha512};

fn generator() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::generator(Window::Bits7))
}

fn table(key: &[u8; 32], choice: u8) -> Option<Table> {
    let window = if choice & 0x80 == 0 { Window::Bits5 } else { Window::Bits6 };
    let table = Table::new(key, window);
    let library = VerifyingKey::from_bytes(key).ok().filter(|key| !key.is_weak());
    assert_eq!(table.is_some(), library.is_some());
    table
}

fn check(table: &Table, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let library = VerifyingKey::from_bytes(key).unwrap();
    let expected = library.verify_strict(message, &Signature::from_bytes(signature)).is_ok();
    let digest = Sha512::new_with_prefix(&signature[..32]).chain_update(key).chain_update(message);
    assert_eq!(verify(generator(), table, &digest.finalize().into(), signature), expected);
    expected
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let Some((first, data)) = data.split_first_chunk::<32>() else { return };
    let Some((other, data)) = data.split_first_chunk::<64>() else { return };
    match choice % 3 {
        0 => {
            if let Some(table) = table(first, *choice) {
                check(&table, first, data, other);
            }
        }
        1 => {
            let signing = SigningKey::from_bytes(first);
            let key = signing.verifying_key().to_bytes();
            let mut signature = signing.sign(data).to_bytes();
            let table = table(&key, *choice).unwrap();
            assert!(check(&table, &key, data, &signature));
            for (octet, change) in signature.iter_mut().zip(other) {
                *octet ^= change;
            }
            check(&table, &key, data, &signature);
        }
        _ => {
            let Some(s) = data.first_chunk::<32>() else { return };
            let torsion = EIGHT_TORSION[usize::from(choice >> 4 & 7)];
            let a = Scalar::from_bytes_mod_order(*first);
            let public: EdwardsPoint = ED25519_BASEPOINT_POINT * a + torsion;
            let Some(table) = table(&public.compress().to_bytes(), *choice) else { return };
            let k = Scalar::from_bytes_mod_order_wide(other);
            let canonical: Option<Scalar> = Scalar::from_canonical_bytes(*s).into();
            let r = ED25519_BASEPOINT_POINT * Scalar::from_bytes_mod_order(*s) - public * k;
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(r.compress().as_bytes());
            signature[32..].copy_from_slice(s);
            let expected = canonical.is_some() && !r.is_small_order();
            assert_eq!(verify(generator(), &table, other, &signature), expected);
        }
    }
});
