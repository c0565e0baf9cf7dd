//! The RSA public operation in either arithmetic against RustCrypto's: any odd modulus, any operand.
#![no_main]

use fast_verify::rsa::{Arithmetic, MAX_OCTETS, MIN_OCTETS, PublicKey};
use libfuzzer_sys::fuzz_target;
use rsa::{BoxedUint, RsaPublicKey};

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let length = (rest.len() / 2).min(MAX_OCTETS);
    if length < MIN_OCTETS {
        return;
    }
    let (n, s) = (&mut rest[..length].to_vec(), &rest[length..2 * length]);
    n[length - 1] |= 1;
    let e = if choice & 1 == 0 { 3 } else { 65_537 };
    let powers = [Arithmetic::Integers, Arithmetic::Fused].map(|arithmetic| {
        let key = PublicKey::with(arithmetic, n, e);
        assert_eq!(key.is_none(), n[0] == 0);
        key.and_then(|key| key.power(s))
    });
    if n[0] == 0 || s >= n.as_slice() {
        assert_eq!(powers, [None, None]);
        return;
    }
    let bits = 8 * length as u32;
    let number = |octets: &[u8]| BoxedUint::from_be_slice(octets, bits).unwrap();
    let library = RsaPublicKey::new_unchecked(number(n), BoxedUint::from(e));
    let expected = rsa::hazmat::rsa_encrypt(&library, &number(s)).unwrap().to_be_bytes();
    for power in powers {
        assert_eq!(power.as_deref(), Some(&expected[expected.len() - length..]));
    }
});
