//! The RSA public operation against RustCrypto's.
#![expect(clippy::unwrap_used, reason = "tests")]

use fast_verify::rsa::{MAX_OCTETS, PublicKey};
use proptest::prelude::*;
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, RsaPublicKey};

/// By the library: `s^e mod n`, as long as `n`.
fn by_library(n: &[u8], e: u32, s: &[u8]) -> Vec<u8> {
    let bits = u32::try_from(8 * n.len()).unwrap();
    let number = |octets: &[u8]| BoxedUint::from_be_slice(octets, bits).unwrap();
    let key = RsaPublicKey::new_unchecked(number(n), BoxedUint::from(e));
    let power = rsa::hazmat::rsa_encrypt(&key, &number(s)).unwrap();
    let octets = power.to_be_bytes();
    let excess = octets.len() - key.size();
    octets[excess..].to_vec()
}

#[track_caller]
fn check(n: &[u8], e: u32, s: &[u8]) {
    let key = PublicKey::new(n, e).unwrap();
    let power = key.power(s);
    if s < n {
        assert_eq!(power.as_deref(), Some(&*by_library(n, e, s)), "n {n:x?} s {s:x?}");
    } else {
        assert_eq!(power, None);
    }
}

/// Moduli at the ends of every size, dense and sparse ones, with operands at every end.
#[test]
fn edges() {
    for length in [64, 65, 127, 128, 255, 256, 257, 300, 383, 384, 385, 511, 512, 513, 700, 1024] {
        let ones = vec![0xff; length];
        let mut sparse = vec![0; length];
        sparse[0] = 0x80;
        sparse[length - 1] = 1;
        let mut low_top = vec![0xff; length];
        low_top[0] = 1;
        let mut striped: Vec<u8> =
            (0..length).map(|index| if index % 7 < 4 { 0xff } else { 0 }).collect();
        striped[length - 1] |= 1;
        for n in [ones, sparse, low_top, striped] {
            let near = |up: bool| {
                let mut near = n.clone();
                near[length - 1] =
                    if up { n[length - 1].wrapping_add(1) } else { n[length - 1] - 1 };
                near
            };
            let mut one = vec![0; length];
            one[length - 1] = 1;
            let mut top = vec![0; length];
            top[0] = n[0];
            for s in
                [vec![0; length], one, near(false), n.clone(), near(true), top, vec![0xff; length]]
            {
                for e in [3, 65_537] {
                    check(&n, e, &s);
                }
            }
        }
    }
}

#[test]
fn what_is_no_key_or_no_signature_is_refused() {
    let good = vec![0xff; 256];
    assert!(PublicKey::new(&good, 65_537).is_some());
    for e in [0, 1, 2, 5, 17, 65_536, 65_539] {
        assert!(PublicKey::new(&good, e).is_none());
    }
    let mut even = good.clone();
    even[255] = 0xfe;
    let mut zero = good.clone();
    zero[0] = 0;
    for n in [even, zero, vec![], vec![1], vec![0xff; 63], vec![0xff; MAX_OCTETS + 1]] {
        assert!(PublicKey::new(&n, 3).is_none());
    }
    let key = PublicKey::new(&good, 3).unwrap();
    for s in [vec![], vec![1; 255], vec![1; 257], vec![0xff; 256]] {
        assert_eq!(key.power(&s), None);
    }
}

/// Octets of which many are all ones or all zeros, which is where carries go wrong.
fn octets(length: usize) -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![3 => any::<u8>(), 2 => Just(0xff), 2 => Just(0)];
    proptest::collection::vec(octet, length)
}

fn pair() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let length = prop_oneof![
        5 => Just(256_usize), 2 => Just(384), 2 => Just(512), 1 => 64..=1024_usize
    ];
    length.prop_flat_map(|length| (octets(length), octets(length))).prop_map(|(mut n, s)| {
        let last = n.len() - 1;
        n[0] |= 1;
        n[last] |= 1;
        (n, s)
    })
}

proptest! {
    // PROPTEST_CASES makes it more: see docs/performance.md.
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000)
    ))]

    #[test]
    fn any_operands((n, s) in pair(), e in prop_oneof![Just(3), Just(65_537)]) {
        check(&n, e, &s);
    }
}
