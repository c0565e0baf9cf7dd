//! ECDSA verification against RustCrypto's: good signatures, bad ones, and those that are made for the
//! exceptions of the arithmetic.
#![expect(clippy::unwrap_used, reason = "tests")]

use ecdsa::elliptic_curve::group::Group as _;
use ecdsa::elliptic_curve::ops::Reduce as _;
use ecdsa::elliptic_curve::point::{AffineCoordinates as _, DecompressPoint as _};
use ecdsa::elliptic_curve::{
    AffinePoint, Field as _, FieldBytes, PrimeField as _, ProjectivePoint, Scalar,
};
use ecdsa::hazmat::verify_prehashed;
use ecdsa::{EcdsaCurve, Signature};
use fast_verify::ecdsa::{Curve, P256, P384, P521, Table, Window, verify};
use p256::NistP256;
use p384::NistP384;
use p521::NistP521;
use primeorder::PrimeCurveParams;

/// A curve of the library, and ours.
trait Pair: PrimeCurveParams + EcdsaCurve {
    type Ours: Curve;
    /// Cases of a test in which the library signs and verifies: its speed differs.
    const CASES: u64;

    fn by_library(key: &ProjectivePoint<Self>, digest: &[u8], signature: &[u8]) -> bool;
}

macro_rules! pairs {
    ($($library:ident, $ours:ident, $cases:literal;)*) => {
        $(
            impl Pair for $library {
                type Ours = $ours;
                const CASES: u64 = $cases;

                fn by_library(key: &ProjectivePoint<Self>, digest: &[u8], signature: &[u8]) -> bool {
                    Signature::<Self>::from_slice(signature)
                        .is_ok_and(|signature| verify_prehashed(key, digest, &signature).is_ok())
                }
            }
        )*
    };
}

pairs! {
    NistP256, P256, 1200;
    NistP384, P384, 400;
    NistP521, P521, 200;
}

/// Runs a generic test for every curve.
macro_rules! for_all_curves {
    ($($test:ident => $check:expr;)*) => {
        $(
            #[test]
            fn $test() {
                $check(Tables::<NistP256>::new());
                $check(Tables::<NistP384>::new());
                $check(Tables::<NistP521>::new());
            }
        )*
    };
}

for_all_curves! {
    good_and_bad_signatures => |tables| check_random(&tables, 1);
    numbers_at_their_limits => |tables| check_limits(&tables);
    sums_with_exceptions => |tables| check_exceptions(&tables);
    x_beyond_the_order => |tables| check_beyond(&tables);
    digests_of_any_length => |tables| check_digests(&tables);
}

/// For a long time: `cargo test --release -p fast-verify --test ecdsa -- --ignored`, with the cases
/// for P-256 in `ECDSA_CASES` (a third as many for P-384, a sixth for P-521) and a `SEED`.
#[test]
#[ignore = "takes as long as it is told to"]
fn many_signatures() {
    let variable =
        |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let cases = variable("ECDSA_CASES").unwrap_or(100_000);
    let seed = variable("SEED").unwrap_or(1_000_000);
    for round in 0..cases.div_ceil(6000) {
        check_random(&Tables::<NistP256>::new_of(6000), seed + round);
        check_random(&Tables::<NistP384>::new_of(2000), seed + round);
        check_random(&Tables::<NistP521>::new_of(1000), seed + round);
    }
}

/// The generator's table.
struct Tables<C: Pair> {
    generator: Vec<Table<C::Ours>>,
    cases: u64,
}

impl<C: Pair> Tables<C> {
    fn new() -> Self {
        Self::new_of(C::CASES)
    }

    fn new_of(cases: u64) -> Self {
        let generator = [4, 5, 7].map(|bits| Table::generator(Window::new(bits).unwrap()).unwrap());
        Self { generator: generator.into(), cases }
    }

    /// Whether the signature is good, by both.
    #[track_caller]
    fn check(&self, key: &Key<C>, digest: &[u8], signature: &[u8]) -> bool {
        let expected = C::by_library(&key.point, &for_library::<C>(digest), signature);
        for generator in &self.generator {
            let good = verify(generator, &key.table, digest, signature);
            assert_eq!(good, expected, "{digest:x?} {signature:x?}");
        }
        expected
    }
}

/// The leftmost bits of a digest. Of one that has more bits than the order in as many octets, the
/// library (0.17) takes the rightmost ones; no hash of JOSE is so long.
fn for_library<C: Pair>(digest: &[u8]) -> Vec<u8> {
    let digest = digest.get(..<C::Ours as Curve>::OCTETS).unwrap_or(digest);
    let mut digest = digest.to_vec();
    for _ in <C::Ours as Curve>::ORDER_BITS..digest.len() * 8 {
        let mut carry = 0;
        for octet in &mut digest {
            (*octet, carry) = (*octet >> 1 | carry, *octet << 7);
        }
    }
    digest
}

struct Key<C: Pair> {
    d: Scalar<C>,
    point: ProjectivePoint<C>,
    table: Table<C::Ours>,
}

impl<C: Pair> Key<C> {
    fn new(d: Scalar<C>, bits: u8) -> Self {
        let point = ProjectivePoint::<C>::generator() * d;
        Self { d, point, table: table::<C>(&point, bits) }
    }

    /// A digest and a signature for which verification adds `u1·G` and `u2·Q`. Good, unless that sum
    /// is infinity.
    fn sign(&self, u1: Scalar<C>, u2: Scalar<C>) -> (Vec<u8>, Vec<u8>) {
        let sum = ProjectivePoint::<C>::generator() * (u1 + u2 * self.d);
        let r = if bool::from(sum.is_identity()) {
            Scalar::<C>::from(5)
        } else {
            Scalar::<C>::reduce(&sum.to_affine().x())
        };
        let s = r * u2.invert().unwrap();
        (digest_of::<C>(&(u1 * s)), signature::<C>(&r, &s))
    }
}

fn table<C: Pair>(point: &ProjectivePoint<C>, bits: u8) -> Table<C::Ours> {
    let point = point.to_affine();
    let octets = [point.x(), point.y()].concat();
    Table::new(&octets, Window::new(bits).unwrap()).unwrap()
}

fn signature<C: Pair>(r: &Scalar<C>, s: &Scalar<C>) -> Vec<u8> {
    [r.to_repr(), s.to_repr()].concat()
}

/// As long as the curve's numbers. Of P-521, the leftmost 521 bits of 528 are the number.
fn digest_of<C: Pair>(number: &Scalar<C>) -> Vec<u8> {
    let mut octets = number.to_repr().to_vec();
    for _ in 0..octets.len() * 8 - <C::Ours as Curve>::ORDER_BITS {
        let mut carry = 0;
        for octet in octets.iter_mut().rev() {
            (*octet, carry) = (*octet << 1 | carry, *octet >> 7);
        }
    }
    octets
}

/// A generator of numbers that look random (splitmix64, by S. Vigna).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn octets(&mut self, length: usize) -> Vec<u8> {
        let sparse = self.below(4) == 0;
        (0..length)
            .map(|_| match self.below(3) {
                0 if sparse => 0,
                1 if sparse => 0xff,
                _ => self.next() as u8,
            })
            .collect()
    }

    /// Any scalar, or a small one, or one with few bits, or the negative of one of those.
    fn scalar<C: Pair>(&mut self) -> Scalar<C> {
        let scalar = match self.below(8) {
            0 => Scalar::<C>::from(self.next() % 70 + 1),
            1 => {
                let bit = self.below(<C::Ours as Curve>::ORDER_BITS);
                Scalar::<C>::from(2).pow_vartime([bit as u64])
            }
            _ => {
                let octets = self.octets(<C::Ours as Curve>::OCTETS);
                let mut field = FieldBytes::<C>::default();
                field.copy_from_slice(&octets);
                // What the library reduces has as many bits as the order.
                field[0] &= 0xff >> (field.len() * 8 - <C::Ours as Curve>::ORDER_BITS);
                Scalar::<C>::reduce(&field)
            }
        };
        if self.below(2) == 0 { scalar } else { -scalar }
    }

    fn nonzero<C: Pair>(&mut self) -> Scalar<C> {
        loop {
            let scalar = self.scalar::<C>();
            if scalar != Scalar::<C>::ZERO {
                return scalar;
            }
        }
    }
}

fn check_random<C: Pair>(tables: &Tables<C>, seed: u64) {
    let mut random = Random(seed);
    let mut good = 0;
    for case in 0..tables.cases.div_ceil(25) {
        let key = Key::<C>::new(random.nonzero::<C>(), 4 + (case % 3) as u8);
        for _ in 0..5 {
            let (digest, signature) = key.sign(random.scalar::<C>(), random.nonzero::<C>());
            good += u64::from(tables.check(&key, &digest, &signature));
            for _ in 0..4 {
                let (mut digest, mut signature) = (digest.clone(), signature.clone());
                let octets = signature.len() / 2;
                match random.below(6) {
                    0 => signature.rotate_left(octets),
                    1 => signature[octets..].copy_from_slice(&random.octets(octets)),
                    2 => signature[..octets].copy_from_slice(&random.octets(octets)),
                    3 => {
                        let place = random.below(digest.len());
                        digest[place] ^= 1 << random.below(8);
                    }
                    // Of -s, the sum is the opposite point.
                    4 => {
                        let mut s = FieldBytes::<C>::default();
                        s.copy_from_slice(&signature[octets..]);
                        let s = -Scalar::<C>::from_repr(s).unwrap();
                        signature[octets..].copy_from_slice(s.to_repr().as_ref());
                    }
                    _ => {
                        let place = random.below(signature.len());
                        signature[place] ^= 1 << random.below(8);
                    }
                }
                good += u64::from(tables.check(&key, &digest, &signature));
            }
        }
    }
    assert!(good > tables.cases / 5, "{good} of {}", tables.cases);
}

/// `r` and `s` of zero, one, around the order, around the prime, and all ones.
fn check_limits<C: Pair>(tables: &Tables<C>) {
    let minus_one = (-Scalar::<C>::ONE).to_repr().to_vec();
    let plus = |number: &[u8], mut more: u8| {
        let mut number = number.to_vec();
        for octet in number.iter_mut().rev() {
            (*octet, more) = match octet.checked_add(more) {
                Some(sum) => (sum, 0),
                None => (octet.wrapping_add(more), 1),
            };
        }
        number
    };
    let octets = minus_one.len();
    let prime_less_one = (-C::FieldElement::ONE).to_repr().to_vec();
    let mut limits = vec![vec![0; octets], vec![0xff; octets]];
    limits.extend((1..4).map(|more| plus(&vec![0; octets], more)));
    limits.extend((0..4).map(|more| plus(&minus_one, more)));
    limits.extend((0..3).map(|more| plus(&prime_less_one, more)));
    let mut top = vec![0; octets];
    top[0] = 0x80;
    limits.push(top);
    for d in [Scalar::<C>::ONE, -Scalar::<C>::ONE, Scalar::<C>::from(7)] {
        let key = Key::<C>::new(d, 5);
        for digest in [vec![0; octets], vec![0xff; octets], minus_one.clone(), vec![]] {
            for r in &limits {
                for s in &limits {
                    tables.check(&key, &digest, &[r.as_slice(), s].concat());
                }
            }
        }
        let (digest, signature) = key.sign(Scalar::<C>::from(3), Scalar::<C>::from(4));
        assert!(tables.check(&key, &digest, &signature));
        for length in [0, 1, octets, 2 * octets - 1] {
            assert!(!tables.check(&key, &digest, &signature[..length]));
        }
        assert!(!tables.check(&key, &digest, &[signature.as_slice(), &[0]].concat()));
        // A good signature, but with r or s told as more than the order.
        let long = |number: &[u8]| plus_order::<C>(number);
        for (r, s) in [(true, false), (false, true), (true, true)] {
            let (old_r, old_s) = signature.split_at(octets);
            let r = if r { long(old_r) } else { Some(old_r.to_vec()) };
            let s = if s { long(old_s) } else { Some(old_s.to_vec()) };
            if let (Some(r), Some(s)) = (r, s) {
                assert!(!tables.check(&key, &digest, &[r, s].concat()));
            }
        }
    }
}

/// None: it does not fit.
fn plus_order<C: Pair>(number: &[u8]) -> Option<Vec<u8>> {
    // n is one more than n - 1.
    let mut carry = 1;
    let mut sum = number.to_vec();
    let minus_one = (-Scalar::<C>::ONE).to_repr();
    for (octet, order) in sum.iter_mut().zip(minus_one.to_vec()).rev() {
        let column = u32::from(*octet) + u32::from(order) + carry;
        *octet = column as u8;
        carry = column >> 8;
    }
    (carry == 0).then_some(sum)
}

/// Keys whose relation to the generator is known, so that sums meet equal and opposite points.
fn check_exceptions<C: Pair>(tables: &Tables<C>) {
    let scalar = |number: i64| {
        let magnitude = Scalar::<C>::from(number.unsigned_abs());
        if number < 0 { -magnitude } else { magnitude }
    };
    let mut random = Random(9);
    let (mut good, mut infinite) = (0, 0);
    for (place, d) in
        [1, -1, 2, -2, 3, 8, 15, 16, 17, -31, 32, 255, 1 << 40].into_iter().enumerate()
    {
        let key = Key::<C>::new(scalar(d), 4 + (place % 3) as u8);
        let mut pairs = Vec::new();
        for u2 in [1, -1, 2, 3, 15, 16, -17, 64] {
            // Equal points, opposite ones, and the neighbours.
            for u1 in [d * u2, -d * u2, d * u2 + 1, 1 - d * u2, 0, 1, -1, 2, 16, 32] {
                pairs.push((scalar(u1), scalar(u2)));
            }
        }
        for _ in 0..C::CASES / 50 {
            let u2 = random.nonzero::<C>();
            pairs.extend([(u2 * key.d, u2), (-u2 * key.d, u2), (Scalar::<C>::ZERO, u2)]);
            pairs.push((u2 * key.d + scalar(1), u2));
        }
        let half = scalar(2).invert().unwrap();
        pairs.extend([(half * key.d, half), (-half * key.d, half)]);
        for (u1, u2) in pairs {
            let (digest, signature) = key.sign(u1, u2);
            let is_infinity = u1 + u2 * key.d == Scalar::<C>::ZERO;
            assert_eq!(tables.check(&key, &digest, &signature), !is_infinity);
            good += u32::from(!is_infinity);
            infinite += u32::from(is_infinity);
        }
    }
    assert!(good > 500 && infinite > 90, "{good} {infinite}");
}

/// Points whose `x` is not below the order, and the signatures for which it is `r + n`.
fn check_beyond<C: Pair>(tables: &Tables<C>) {
    let mut random = Random(11);
    let mut found = 0;
    for more in 1..40 {
        let mut r = FieldBytes::<C>::default();
        *r.last_mut().unwrap() = more;
        let x = plus_order::<C>(&r).unwrap();
        let mut field = FieldBytes::<C>::default();
        field.copy_from_slice(&x);
        let point = AffinePoint::<C>::decompress(&field, (more & 1).into());
        let Some(point) = Option::<AffinePoint<C>>::from(point) else { continue };
        found += 1;
        let r = Scalar::<C>::from(u64::from(more));
        let (s, e) = (random.nonzero::<C>(), random.scalar::<C>());
        // The key for which this is good: Q is (s·R - e·G)/r.
        let sum = ProjectivePoint::<C>::from(point) * s - ProjectivePoint::<C>::generator() * e;
        let point = sum * r.invert().unwrap();
        let key = Key::<C> { d: Scalar::<C>::ZERO, point, table: table::<C>(&point, 5) };
        assert!(tables.check(&key, &digest_of::<C>(&e), &signature::<C>(&r, &s)));
        for wrong in [r + Scalar::<C>::ONE, -r] {
            assert!(!tables.check(&key, &digest_of::<C>(&e), &signature::<C>(&wrong, &s)));
        }
    }
    assert!(found > 10);
}

fn check_digests<C: Pair>(tables: &Tables<C>) {
    let mut random = Random(13);
    let key = Key::<C>::new(random.nonzero::<C>(), 5);
    let octets = <C::Ours as Curve>::OCTETS;
    for length in 0..=2 * octets + 3 {
        let digest = random.octets(length);
        // By the standard: the leftmost bits, as many as the order has.
        let used = digest.get(..octets).unwrap_or(&digest);
        let mut number = Scalar::<C>::ZERO;
        let bits = used.iter().flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1));
        for bit in bits.take(<C::Ours as Curve>::ORDER_BITS) {
            number = number.double() + Scalar::<C>::from(u64::from(bit));
        }
        // s is (e + r·d)/k.
        let k = random.nonzero::<C>();
        let r = (ProjectivePoint::<C>::generator() * k).to_affine().x();
        let r = Scalar::<C>::reduce(&r);
        let s = (number + r * key.d) * k.invert().unwrap();
        let signature = signature::<C>(&r, &s);
        for generator in &tables.generator {
            assert!(verify(generator, &key.table, &digest, &signature), "{length} octets");
        }
        assert!(tables.check(&key, &digest, &signature), "{length} octets");
    }
}
