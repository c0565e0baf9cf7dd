//! An ECDSA key (RFC 7518 section 3.4), by the library's own points and tables of their multiples.
//!
//! A signature is good if `u1·G + u2·Q` has the right `x` (SEC 1 section 4.1.4). The library computes
//! that sum by doubling and adding. `G` is the same for all keys and `Q` for all signatures of a key,
//! so their multiples `d·2^(5i)` can be kept: then the sum is an addition for each five bits, and no
//! doubling. What makes that safe:
//!
//! - points, fields and scalars are RustCrypto's, and so are its complete addition formulas, which
//!   have no exceptions;
//! - until a key's table has accepted a signature, the library checks each one, too (refusals prove
//!   nothing: a wrong table refuses everything), and should they ever disagree, that key is the
//!   library's alone from then on;
//! - all inputs are public: how long it takes is no secret.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "the operations of groups and fields have no overflow"
)]

use std::rc::Rc;
use std::sync::OnceLock;

use ecdsa::elliptic_curve::group::{Curve as _, CurveAffine as _, Group as _};
use ecdsa::elliptic_curve::ops::{Invert as _, Reduce as _};
use ecdsa::elliptic_curve::point::AffineCoordinates as _;
use ecdsa::elliptic_curve::{
    AffinePoint, CurveArithmetic, FieldBytes, PrimeField as _, ProjectivePoint, Scalar,
};
use ecdsa::hazmat::verify_prehashed;
use ecdsa::{EcdsaCurve, Signature, SignatureSize};
use sha2::digest::Digest;
use sha2::digest::array::ArraySize;

use crate::jose::table_memory::{KeyTable, TableMemory};
use crate::jose::trust::Trust;

/// Bits of a scalar that one addition takes care of. A table of P-256 has 52·16 points (60 KB).
const WINDOW: usize = 5;
/// Multiples for each window: digits are from -16 to 16.
const DIGITS: usize = 1 << (WINDOW - 1);

/// A curve whose signatures are checked.
pub trait TableCurve: EcdsaCurve + CurveArithmetic
where
    SignatureSize<Self>: ArraySize,
{
    /// Bits of the order.
    const BITS: usize;

    /// The table of the generator: a constant, computed when it is first needed.
    fn generator() -> &'static Table<Self>;
}

macro_rules! table_curve {
    ($curve:ty, $bits:literal) => {
        impl TableCurve for $curve {
            const BITS: usize = $bits;

            fn generator() -> &'static Table<Self> {
                static TABLE: OnceLock<Table<$curve>> = OnceLock::new();
                TABLE.get_or_init(|| Table::new(ProjectivePoint::<$curve>::generator()))
            }
        }
    };
}

table_curve!(p256::NistP256, 256);
table_curve!(p384::NistP384, 384);
table_curve!(p521::NistP521, 521);

/// Multiples of a point: for each window, from one to [`DIGITS`] times its weight.
pub struct Table<C: CurveArithmetic>(Vec<AffinePoint<C>>);

impl<C: TableCurve> Table<C>
where
    SignatureSize<C>: ArraySize,
{
    /// Points in a table, and what they take, in octets.
    const POINTS: usize = C::BITS.div_ceil(WINDOW).saturating_mul(DIGITS);
    const OCTETS: usize = Self::POINTS.saturating_mul(size_of::<AffinePoint<C>>());

    fn new(point: ProjectivePoint<C>) -> Self {
        let mut multiples = Vec::with_capacity(Self::POINTS);
        let mut base = point;
        for _ in 0..C::BITS.div_ceil(WINDOW) {
            let mut multiple = base;
            for _ in 0..DIGITS {
                multiples.push(multiple);
                multiple += base;
            }
            // The last one that was kept is 2^4 times the base, and the next base 2^5 times it.
            base = multiples.last().map_or(base, |last| last.double());
        }
        let mut table = vec![AffinePoint::<C>::identity(); multiples.len()];
        ProjectivePoint::<C>::batch_normalize(&multiples, &mut table);
        Self(table)
    }

    /// Adds `scalar` times the point to `sum`.
    fn add_multiple(&self, scalar: &Scalar<C>, mut sum: ProjectivePoint<C>) -> ProjectivePoint<C> {
        for (digit, multiples) in digits(scalar.to_repr().as_ref()).zip(self.0.chunks(DIGITS)) {
            let place = usize::from(digit.unsigned_abs()).checked_sub(1);
            let Some(multiple) = place.and_then(|place| multiples.get(place)) else { continue };
            sum += if digit < 0 { -*multiple } else { *multiple };
        }
        sum
    }
}

/// The digits of a big-endian number to the base of `2^WINDOW`, the least significant first, each
/// from -16 to 16. A digit above 16 is told as itself less 32, and one is carried.
fn digits(octets: &[u8]) -> impl Iterator<Item = i8> {
    let bit = |index: usize| {
        let octet = octets.iter().rev().nth(index / 8).copied().unwrap_or_default();
        (octet >> (index % 8)) & 1
    };
    let mut carry = 0_u8;
    (0..=octets.len().saturating_mul(8) / WINDOW).map(move |window| {
        let first = window.saturating_mul(WINDOW);
        let bits = (0..WINDOW).rev().map(|offset| bit(first.saturating_add(offset)));
        let value = bits.fold(0_u8, |value, bit| (value << 1) | bit).saturating_add(carry);
        carry = u8::from(value > 16);
        let value = i8::try_from(value).unwrap_or_default();
        if carry == 1 { value.saturating_sub(32) } else { value }
    })
}

/// An ECDSA public key.
pub struct EcKey<C: TableCurve>
where
    SignatureSize<C>: ArraySize,
{
    point: AffinePoint<C>,
    table: KeyTable<Table<C>>,
    trust: Trust,
}

impl<C: TableCurve> Clone for EcKey<C>
where
    SignatureSize<C>: ArraySize,
{
    fn clone(&self) -> Self {
        Self { point: self.point, table: self.table.clone(), trust: self.trust.clone() }
    }
}

impl<C: TableCurve> EcKey<C>
where
    SignatureSize<C>: ArraySize,
{
    /// The key with this point, which the library has checked.
    pub fn new(point: AffinePoint<C>) -> Self {
        Self { point, table: KeyTable::default(), trust: Trust::default() }
    }

    /// Whether the table was wrong.
    pub fn is_distrusted(&self) -> bool {
        self.trust.is_lost()
    }

    /// Takes the memory for its table from there.
    pub fn share_memory(&mut self, memory: &Rc<TableMemory>) {
        self.table.share_memory(memory);
    }

    /// Checks a signature in its fixed form: two coordinates of the curve's length, none of them
    /// zero or beyond the order.
    pub fn verify<D: Digest>(&self, input: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = Signature::<C>::from_slice(signature) else { return false };
        let digest = D::digest(input);
        let point = ProjectivePoint::<C>::from(self.point);
        let library = || verify_prehashed::<C>(&point, &digest, &signature).is_ok();
        if self.is_distrusted() {
            return library();
        }
        // There is one size only.
        let good = match self.table.get(|_| Table::<C>::OCTETS, |_| Table::new(point)) {
            None => library(),
            Some(table) => {
                let digest = field_octets::<C>(&digest);
                self.trust.judge(|| by_tables(table.table(), &digest, &signature), library)
            }
        };
        if self.is_distrusted() {
            self.table.give_up();
        } else if good {
            self.table.count_use();
        }
        good
    }
}

/// SEC 1 section 4.1.4, from step 3; the library has checked `r` and `s`.
fn by_tables<C: TableCurve>(
    table: &Table<C>,
    digest: &FieldBytes<C>,
    signature: &Signature<C>,
) -> bool
where
    SignatureSize<C>: ArraySize,
{
    let (r, s) = signature.split_scalars();
    let inverse = *s.invert_vartime();
    let u1 = Scalar::<C>::reduce(digest) * inverse;
    let u2 = *r * inverse;
    let sum = C::generator().add_multiple(&u1, ProjectivePoint::<C>::identity());
    let sum = table.add_multiple(&u2, sum);
    !bool::from(sum.is_identity()) && Scalar::<C>::reduce(&sum.to_affine().x()) == *r
}

/// A digest as long as the curve's numbers. None of the hashes is longer than its curve.
fn field_octets<C: EcdsaCurve>(digest: &[u8]) -> FieldBytes<C> {
    let mut octets = FieldBytes::<C>::default();
    for (octet, from) in octets.iter_mut().rev().zip(digest.iter().rev()) {
        *octet = *from;
    }
    octets
}

#[cfg(test)]
mod tests {
    use ecdsa::elliptic_curve::Field as _;
    use proptest::prelude::*;
    use sha2::{Sha256, Sha384, Sha512};

    use super::*;

    #[test]
    fn digits_make_up_the_number() {
        for octets in [[0; 4], [0xff; 4], [0x84, 0x21, 0x08, 0x42], [0x80, 0, 0, 0], [0, 0, 0, 17]]
        {
            let digits: Vec<i8> = digits(&octets).collect();
            assert!(digits.iter().all(|digit| (-16..=16).contains(digit)), "{digits:?}");
            let sum = digits.iter().rev().fold(0, |sum, digit| sum * 32 + i64::from(*digit));
            assert_eq!(sum, i64::from(u32::from_be_bytes(octets)));
        }
    }

    /// The table's multiple against the library's.
    #[track_caller]
    fn check_multiple<C: TableCurve>(scalar: Scalar<C>)
    where
        SignatureSize<C>: ArraySize,
    {
        let identity = ProjectivePoint::<C>::identity();
        let generator = ProjectivePoint::<C>::generator();
        assert_eq!(C::generator().add_multiple(&scalar, identity), generator * scalar);
        assert_eq!(C::generator().add_multiple(&scalar, generator), generator * scalar + generator);
    }

    fn check_edges<C: TableCurve>()
    where
        SignatureSize<C>: ArraySize,
    {
        let one = Scalar::<C>::ONE;
        check_multiple::<C>(Scalar::<C>::ZERO);
        let mut power = one;
        for bit in 0..C::BITS {
            if bit % 13 > 0 {
                power = power.double();
                continue;
            }
            for scalar in [power, power - one, power + one, -power, power * Scalar::<C>::from(17)] {
                check_multiple::<C>(scalar);
            }
            power = power.double();
        }
    }

    #[test]
    fn multiples_at_the_edges() {
        check_edges::<p256::NistP256>();
        check_edges::<p384::NistP384>();
        check_edges::<p521::NistP521>();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn multiples(octets in proptest::array::uniform32(any::<u8>())) {
            let octets = FieldBytes::<p256::NistP256>::from(octets);
            check_multiple::<p256::NistP256>(Scalar::<p256::NistP256>::reduce(&octets));
        }
    }

    #[test]
    fn a_table_that_is_wrong_is_never_used_again() {
        use p256::ecdsa::SigningKey;
        use p256::ecdsa::signature::Signer as _;
        let signing = SigningKey::from_slice(&[7; 32]).unwrap();
        let key = EcKey::new(*signing.verifying_key().as_affine());
        let signature: p256::ecdsa::Signature = signing.sign(b"input");
        let verify =
            |key: &EcKey<p256::NistP256>| key.verify::<Sha256>(b"input", &signature.to_bytes());
        // The table of another key.
        let generator = ProjectivePoint::<p256::NistP256>::generator();
        key.table.put(Table::new(generator));
        for _ in 0..4 {
            assert!(verify(&key), "by the library");
        }
        for _ in 0..6 {
            assert!(!key.verify::<Sha256>(b"other", &signature.to_bytes()));
        }
        assert!(!key.is_distrusted(), "refusals prove nothing");
        for _ in 0..6 {
            assert!(verify(&key), "nobody is turned away");
        }
        assert!(key.is_distrusted() && key.clone().is_distrusted());
        let key = EcKey::new(*signing.verifying_key().as_affine());
        for _ in 0..6 {
            assert!(verify(&key));
            assert!(!key.verify::<Sha256>(b"other", &signature.to_bytes()));
        }
        assert!(!key.is_distrusted());
        // Of three keys with room for two tables, the last one has none, and is none the worse.
        let octets = u32::try_from(2 * Table::<p256::NistP256>::OCTETS).unwrap();
        let memory = Rc::new(TableMemory::new(octets));
        let keys = [(); 3].map(|()| {
            let mut key = EcKey::new(*signing.verifying_key().as_affine());
            key.share_memory(&memory);
            key
        });
        for key in &keys {
            for _ in 0..6 {
                assert!(verify(key));
            }
        }
        assert_eq!(keys.each_ref().map(|key| key.table.octets().is_some()), [true, true, false]);
        drop(keys);
        assert_eq!(memory.taken(), 0);
    }

    #[test]
    fn digests_are_padded_in_front() {
        assert_eq!(field_octets::<p256::NistP256>(&[9; 32])[..], [9; 32]);
        let padded = field_octets::<p521::NistP521>(&Sha512::digest(b""));
        assert_eq!(padded[..2], [0, 0]);
        assert_eq!(field_octets::<p384::NistP384>(&Sha384::digest(b""))[0], Sha384::digest(b"")[0]);
    }
}
