//! The RSA public operation against RustCrypto's: any odd modulus, any operand.
#![no_main]

use fast_verify::rsa::{MAX_OCTETS, MIN_OCTETS, PublicKey};
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
    let Some(key) = PublicKey::new(n, e) else {
        assert_eq!(n[0], 0);
        return;
    };
    let power = key.power(s);
    if s >= n.as_slice() {
        assert_eq!(power, None);
        return;
    }
    let bits = 8 * length as u32;
    let number = |octets: &[u8]| BoxedUint::from_be_slice(octets, bits).unwrap();
    let library = RsaPublicKey::new_unchecked(number(n), BoxedUint::from(e));
    let expected = rsa::hazmat::rsa_encrypt(&library, &number(s)).unwrap().to_be_bytes();
    assert_eq!(power.as_deref(), Some(&expected[expected.len() - length..]));
});
