//! The RSA public operation against RustCrypto's.
#![expect(clippy::unwrap_used, reason = "tests")]

use fast_verify::rsa::{Arithmetic, MAX_OCTETS, PublicKey};
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
    let expected = (s < n).then(|| by_library(n, e, s));
    for arithmetic in [Arithmetic::Integers, Arithmetic::Fused] {
        let key = PublicKey::with(arithmetic, n, e).unwrap();
        assert_eq!(key.power(s), expected, "{arithmetic:?} n {n:x?} s {s:x?}");
    }
}

/// A modulus of this many bits and this pattern: the lowest bit and the highest are ones.
fn modulus(bits: usize, pattern: impl Fn(usize) -> bool) -> Vec<u8> {
    let mut n = vec![0; bits.div_ceil(8)];
    let last = n.len() - 1;
    for bit in (0..bits).filter(|bit| [0, bits - 1].contains(bit) || pattern(*bit)) {
        n[last - bit / 8] |= 1 << (bit % 8);
    }
    n
}

/// Both sides of every power of two that is a common size, and sizes at which the count of limbs
/// changes, with operands around everything.
#[test]
fn sizes() {
    let common = [512, 1024, 2048, 3072, 4096, 8192];
    let around = common.into_iter().flat_map(|bits| [bits - 1, bits, bits + 1]);
    // Multiples of 51 or 29 bits, less the room above the modulus.
    let limbs = [12, 20, 40, 41, 42, 60, 80, 81, 160].into_iter().map(|limbs| 51 * limbs - 6);
    let small =
        [24, 62, 63, 72, 107, 124, 126, 142, 188, 282].into_iter().map(|limbs| 29 * limbs - 6);
    let limits = limbs.chain(small).flat_map(|bits| [bits, bits + 1, bits + 2]);
    for bits in around.chain(limits).filter(|bits| (505..=8192).contains(bits)) {
        // Just above a power of two and just below one; limbs of 51 or 29 bits at their bound.
        let patterns: [fn(usize) -> bool; 4] =
            [|_| false, |_| true, |bit| bit % 51 == 50, |bit| bit % 29 == 28];
        for pattern in patterns {
            let n = modulus(bits, pattern);
            for operand in patterns.map(|pattern| modulus(bits - 1, pattern)) {
                let mut s = vec![0; n.len() - operand.len()];
                s.extend(operand);
                check(&n, if bits % 2 == 0 { 3 } else { 65_537 }, &s);
            }
        }
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

/// Octets of which many are all ones or all zeros, which is where carries go wrong; or limbs of the
/// size that either arithmetic has, many of them at their bounds.
fn octets(length: usize) -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![3 => any::<u8>(), 2 => Just(0xff), 2 => Just(0)];
    prop_oneof![
        proptest::collection::vec(octet, length),
        limbs(29, length),
        limbs(51, length),
        proptest::collection::vec(any::<u8>(), length),
    ]
}

fn limbs(bits: usize, length: usize) -> impl Strategy<Value = Vec<u8>> {
    let half = 1_u64 << (bits - 1);
    let limb = prop_oneof![
        3 => half - 2..=half + 2,
        1 => 0..=2_u64,
        1 => 2 * half - 3..2 * half,
        1 => 0..2 * half,
    ];
    proptest::collection::vec(limb, (8 * length).div_ceil(bits)).prop_map(move |limbs| {
        let mut octets = vec![0; length];
        for bit in 0..8 * length {
            if limbs[bit / bits] >> (bit % bits) & 1 == 1 {
                octets[length - 1 - bit / 8] |= 1 << (bit % 8);
            }
        }
        octets
    })
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

fn exponent() -> impl Strategy<Value = u32> {
    prop_oneof![Just(3), Just(65_537)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_operands((n, s) in pair(), e in exponent()) {
        check(&n, e, &s);
    }
}

proptest! {
    // PROPTEST_CASES makes it fewer or more: see docs/performance.md.
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1_000_000)
    ))]

    #[test]
    #[ignore = "minutes, in a release build"]
    fn very_many_operands((n, s) in pair(), e in exponent()) {
        check(&n, e, &s);
    }
}
