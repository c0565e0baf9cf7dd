//! Ed25519 against dalek's strict verification.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::OnceLock;

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as BASE, EIGHT_TORSION};
use curve25519_dalek::edwards::CompressedEdwardsY;
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

/// The equation alone: any `S`, any `k` as a digest, with the `R` that fits and with others.
#[track_caller]
fn check_equation(key: &Key, s: [u8; 32], digest: &[u8; 64]) {
    let public = CompressedEdwardsY(key.octets).decompress().unwrap();
    let k = Scalar::from_bytes_mod_order_wide(digest);
    let canonical: Option<Scalar> = Scalar::from_canonical_bytes(s).into();
    let r = BASE * canonical.unwrap_or(Scalar::from_bytes_mod_order(s)) - public * k;
    for other in EIGHT_TORSION {
        let signature = with(&(r + other), s);
        let expected = canonical.is_some() && other == EIGHT_TORSION[0] && !r.is_small_order();
        for table in &key.tables {
            for generator in generators() {
                let good = verify(generator, table, digest, &signature);
                assert_eq!(good, expected, "S {s:x?} digest {digest:x?}");
            }
        }
    }
}

/// A signature of these two parts.
fn with(r: &EdwardsPoint, s: [u8; 32]) -> [u8; 64] {
    parts(r.compress().to_bytes(), s)
}

fn parts(r: [u8; 32], s: [u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(&s);
    signature
}

fn wide(octets: [u8; 32]) -> [u8; 64] {
    parts(octets, [0; 32])
}

/// Adds a small number to a little-endian one, if there is room.
fn add(octets: &[u8; 32], number: i16) -> [u8; 32] {
    let mut carry = number;
    octets.map(|octet| {
        let sum = i16::from(octet) + carry;
        carry = sum >> 8;
        sum as u8
    })
}

fn key(seed: u8) -> Key {
    Key::new(SigningKey::from_bytes(&[seed; 32]).verifying_key().to_bytes())
}

/// Scalars at the ends of their range, and those whose digits are all at the ends of theirs.
fn scalars() -> Vec<[u8; 32]> {
    let mut all = Vec::new();
    let mut power = [0; 32];
    power[31] = 0x10;
    for offset in -2..=2 {
        all.extend([
            add(&[0; 32], offset),
            add(&ORDER, offset),
            add(&power, offset),
            add(&[0xff; 32], offset),
        ]);
    }
    for bits in 5..=8 {
        for digit in
            [1, (1 << (bits - 1)) - 1, 1 << (bits - 1), (1 << (bits - 1)) + 1, (1 << bits) - 1]
        {
            let mut octets = [0; 32];
            for bit in (0..252 / bits * bits).filter(|bit| digit >> (bit % bits) & 1 == 1) {
                octets[bit / 8] |= 1 << (bit % 8);
            }
            all.push(octets);
            // With the topmost bits as high as they may be.
            octets[31] |= 0x0f;
            all.push(octets);
        }
    }
    all
}

#[test]
fn scalars_at_the_edges() {
    let key = key(1);
    let scalars = scalars();
    let ones = [0xff; 64];
    for s in &scalars {
        check_equation(&key, *s, &wide([7; 32]));
        check_equation(&key, [7; 32], &wide(*s));
        check_equation(&key, *s, &wide(*s));
        // The upper half of a digest as well.
        check_equation(&key, [3; 32].map(|octet| octet / 4), &parts([0; 32], *s));
        check_equation(&key, [0; 32], &parts(*s, *s));
    }
    check_equation(&key, [0; 32], &ones);
    for shift in 0..512 {
        let mut power = [0; 64];
        power[shift / 8] = 1 << (shift % 8);
        let less = if shift > 255 { ones } else { wide([0xff; 32]) };
        check_equation(&key, [9; 32].map(|octet| octet % 16), &power);
        let below: [u8; 64] = core::array::from_fn(|at| match at.cmp(&(shift / 8)) {
            std::cmp::Ordering::Less => less[at],
            std::cmp::Ordering::Equal => (1 << (shift % 8)) - 1,
            std::cmp::Ordering::Greater => 0,
        });
        check_equation(&key, [0; 32], &below);
    }
}

#[test]
fn good_signatures_and_flipped_bits() {
    for seed in 0..4 {
        let signing = SigningKey::from_bytes(&[seed; 32]);
        let key = key(seed);
        let message = [seed; 40];
        let signature = signing.sign(&message).to_bytes();
        assert!(key.check(&message, &signature));
        assert!(!key.check(b"another", &signature));
        for bit in 0..512 {
            let mut signature = signature;
            signature[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.check(&message, &signature));
        }
        // `S + L`: the same point, and refused.
        let mut carry = 0;
        let mut more = signature;
        for (octet, order) in more[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*octet) + u16::from(order) + carry;
            *octet = sum as u8;
            carry = sum >> 8;
        }
        assert!(!key.check(&message, &more));
    }
}

/// Every encoding that is not the only one of its point: a `y` of the prime or beyond, and a sign of zero.
fn odd_encodings() -> Vec<[u8; 32]> {
    let mut prime = [0xff; 32];
    (prime[0], prime[31]) = (0xed, 0x7f);
    let mut all: Vec<_> = (-2..19).map(|beyond| add(&prime, beyond)).collect();
    all.extend((0..19).map(|small| add(&[0; 32], small)));
    let signed: Vec<_> = all
        .iter()
        .map(|octets| {
            let mut octets = *octets;
            octets[31] |= 0x80;
            octets
        })
        .collect();
    all.extend(signed);
    all
}

#[test]
fn points_are_decoded_as_by_the_library() {
    // `Key::new` compares who takes a key, and `check_equation` what it is.
    let mut keys = 0;
    for octets in odd_encodings() {
        let key = Key::new(octets);
        if key.library.is_some() {
            keys += 1;
            check_equation(&key, [5; 32].map(|octet| octet / 2), &[0xab; 64]);
        }
    }
    assert!(keys > 20, "{keys}");
    for point in EIGHT_TORSION {
        assert!(Key::new(point.compress().to_bytes()).library.is_none());
    }
}

#[test]
fn encodings_of_r_that_are_not_canonical_are_refused() {
    let mut refused = 0;
    for octets in odd_encodings() {
        let Some(r) = CompressedEdwardsY(octets).decompress() else { continue };
        // With `k` = 1, `A` can be chosen for an `R`.
        let s = Scalar::from(77_u8);
        let key = Key::new((BASE * s - r).compress().to_bytes());
        let mut one = [0; 64];
        one[0] = 1;
        let canonical = r.compress().to_bytes() == octets;
        refused += usize::from(!canonical);
        for table in &key.tables {
            let good = verify(&generators()[0], table, &one, &parts(octets, s.to_bytes()));
            assert_eq!(good, canonical && !r.is_small_order(), "{octets:x?}");
        }
    }
    assert!(refused > 15, "{refused}");
}

/// Keys and `R` with a part of small order, and all of them of small order.
#[test]
fn points_of_mixed_order() {
    let (a, r) =
        (Scalar::from_bytes_mod_order([0x5a; 32]), Scalar::from_bytes_mod_order([0xa5; 32]));
    let mut counts = [0; 2];
    for of_key in EIGHT_TORSION {
        for base in [BASE * a, EIGHT_TORSION[0]] {
            let key = Key::new((base + of_key).compress().to_bytes());
            for of_r in EIGHT_TORSION {
                for (r_base, r) in [(BASE * r, r), (EIGHT_TORSION[0], Scalar::ZERO)] {
                    for message in 0..16_u8 {
                        let mut signature = with(&(r_base + of_r), [0; 32]);
                        let digest = key.digest(&[message], &signature);
                        let s = r + Scalar::from_bytes_mod_order_wide(&digest) * a;
                        signature[32..].copy_from_slice(s.as_bytes());
                        counts[usize::from(key.check(&[message], &signature))] += 1;
                    }
                }
            }
        }
    }
    // An eighth of those with a whole `A` and `R` is good, by chance of `k`.
    assert!(counts[1] > 80 && counts[0] > 3000, "{counts:?}");
}

/// The vectors of "Taming the many EdDSAs" (K. Chalkias, F. Garillot and V. Nikolaenko, 2020): message,
/// key, `R`, `S`. From `cases.json` of novifinancial/ed25519-speccheck (Apache-2.0).
const TAMING: [(&str, &str, &str, &str); 12] = [
    (
        "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "0000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ),
    (
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
    ),
    (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f",
        "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
    ),
    (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512",
        "5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
    ),
    (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7",
        "e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
    ),
    (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e",
        "547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
    ),
    (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942",
        "7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
    ),
    (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
    ),
    (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
    ),
    (
        "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc",
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ),
    (
        "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc",
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ),
];

#[test]
fn taming_the_many_eddsas() {
    fn octets<const N: usize>(text: &str) -> [u8; N] {
        core::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    }
    let good = TAMING.map(|(message, key, r, s)| {
        Key::new(octets(key)).check(&octets::<32>(message), &parts(octets(r), octets(s)))
    });
    // Of mixed order both, and without the cofactor: that is good by the equation of RFC 8032.
    let expected: [bool; 12] = core::array::from_fn(|case| case == 3);
    assert_eq!(good, expected);
}

#[test]
fn memory_is_what_is_said() {
    for (window, octets) in WINDOWS.into_iter().zip([86_724, 145_260, 248_940, 429_516]) {
        assert_eq!(window.octets(), octets);
        assert_eq!(Table::generator(window).octets(), octets);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_signature(
        seed in any::<[u8; 32]>(), message in any::<[u8; 32]>(), bit in 0..512_usize,
        s in any::<[u8; 32]>(), low in any::<[u8; 32]>(), high in any::<[u8; 32]>(),
    ) {
        let signing = SigningKey::from_bytes(&seed);
        let key = Key::with(signing.verifying_key().to_bytes(), &[Window::Bits5]);
        let mut signature = signing.sign(&message).to_bytes();
        prop_assert!(key.check(&message, &signature));
        signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!key.check(&message, &signature));
        check_equation(&key, Scalar::from_bytes_mod_order(s).to_bytes(), &parts(low, high));
    }

    /// Any octets as a key, and as `R`.
    #[test]
    fn any_octets(key in any::<[u8; 32]>(), r in any::<[u8; 32]>(), s in any::<[u8; 32]>()) {
        let key = Key::with(key, &[Window::Bits5]);
        key.check(b"message", &parts(r, s));
    }
}

/// `cargo test --release -p fast-verify --test ed25519 -- --ignored`: some minutes.
#[test]
#[ignore = "long"]
fn a_million_signatures() {
    let mut state = Sha512::digest(b"a million");
    for seed in 0..100_u8 {
        let signing = SigningKey::from_bytes(&[seed; 32]);
        let window = WINDOWS[usize::from(seed) % 4];
        let key = Key::with(signing.verifying_key().to_bytes(), &[window]);
        for _ in 0..10_000 {
            state = Sha512::digest(state);
            let mut signature = signing.sign(&state).to_bytes();
            assert!(key.check(&state, &signature));
            let bit = usize::from(state[0]) * 2 + usize::from(state[1] & 1);
            signature[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.check(&state, &signature));
        }
    }
}
