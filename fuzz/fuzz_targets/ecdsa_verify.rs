//! ECDSA verification against RustCrypto's: any curve, key and signature, and signatures that are made
//! from what verification computes, so that they are good, or meet the exceptions of point additions.
#![no_main]

use ecdsa::elliptic_curve::group::Group as _;
use ecdsa::elliptic_curve::ops::Reduce as _;
use ecdsa::elliptic_curve::point::AffineCoordinates as _;
use ecdsa::elliptic_curve::{FieldBytes, PrimeField as _, ProjectivePoint, Scalar};
use ecdsa::{Signature, hazmat::verify_prehashed};
use fast_verify::ecdsa::{P256, P384, P521, Table, Window, verify};
use libfuzzer_sys::fuzz_target;

/// Octets for a scalar; those that are missing are zero.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn octet(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

macro_rules! curve {
    ($name:ident, $library:ty, $ours:ty, $octets:literal, $digest:literal) => {
        fn $name(input: &mut Input<'_>, window: Window) {
            // Small ones, negative small ones, and any.
            let mut scalar = || {
                let kind = input.octet();
                let length = [1, 2, $octets, $octets][usize::from(kind & 3)];
                let taken = input.take(length);
                let mut octets = FieldBytes::<$library>::default();
                octets[$octets - taken.len()..].copy_from_slice(taken);
                if $octets == 66 {
                    octets[0] &= 1;
                }
                let scalar = Scalar::<$library>::reduce(&octets);
                if kind & 4 == 0 { scalar } else { -scalar }
            };
            let (d, u1, u2) = (scalar(), scalar(), scalar());
            let one = Scalar::<$library>::ONE;
            let or_one = |scalar| if scalar == Scalar::<$library>::ZERO { one } else { scalar };
            let (d, u2) = (or_one(d), or_one(u2));
            let choice = input.octet();
            // Equal or opposite points at the end.
            let u1 = match choice & 3 {
                0 => u2 * d,
                1 => -u2 * d,
                _ => u1,
            };
            let key = ProjectivePoint::<$library>::generator() * d;
            let affine = key.to_affine();
            let point = [affine.x(), affine.y()].concat();
            let sum = ProjectivePoint::<$library>::generator() * (u1 + u2 * d);
            let r = or_one(Scalar::<$library>::reduce(&sum.to_affine().x()));
            let s = r * u2.invert().unwrap();
            let number = (u1 * s).to_repr();
            // What is longer than the curve's hash would be cut.
            let (cut, digest) = number.split_at($octets - $digest);
            let is_good = !bool::from(sum.is_identity()) && cut.iter().all(|octet| *octet == 0);
            let mut digest = digest.to_vec();
            let mut signature = [r.to_repr(), s.to_repr()].concat();
            for _ in 0..choice >> 2 & 3 {
                let place = usize::from(input.octet());
                let octet = input.octet();
                if place < signature.len() {
                    signature[place] ^= octet;
                } else {
                    digest[place % $digest] ^= octet;
                }
            }
            if choice & 0x40 != 0 {
                let taken = input.take(2 * $octets);
                signature[..taken.len()].copy_from_slice(taken);
            }
            let expected = Signature::<$library>::from_slice(&signature)
                .is_ok_and(|signature| verify_prehashed(&key, &digest, &signature).is_ok());
            if choice & 0x4c == 0 && is_good {
                assert!(expected);
            }
            static GENERATOR: std::sync::OnceLock<Vec<Table<$ours>>> = std::sync::OnceLock::new();
            let generators = GENERATOR.get_or_init(|| {
                [4, 5, 8].map(|bits| Table::generator(Window::new(bits).unwrap()).unwrap()).into()
            });
            let table = Table::<$ours>::new(&point, window).unwrap();
            for generator in generators {
                assert_eq!(verify(generator, &table, &digest, &signature), expected);
            }
        }
    };
}

curve!(check_p256, p256::NistP256, P256, 32, 32);
curve!(check_p384, p384::NistP384, P384, 48, 48);
curve!(check_p521, p521::NistP521, P521, 66, 65);

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let choice = input.octet();
    let window = Window::new(4 + (choice >> 2 & 3)).unwrap();
    match choice & 3 {
        0 | 1 => check_p256(&mut input, window),
        2 => check_p384(&mut input, window),
        _ => check_p521(&mut input, window),
    }
});
