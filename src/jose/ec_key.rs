//! An ECDSA key (RFC 7518 section 3.4): RustCrypto's, and a table of its multiples for `fast_verify`.
//!
//! A signature is good if `u1·G + u2·Q` has the right `x` (SEC 1 section 4.1.4). `G` is the same for all
//! keys and `Q` for all signatures of a key, so their multiples are kept: then the sum is an addition
//! for each window of a scalar's bits, and no doubling. What makes that safe:
//!
//! - the library parses the key, and checks that its point is on the curve;
//! - until a key's table has accepted a signature, the library checks each one, too (refusals prove
//!   nothing: a wrong table refuses everything), and should they ever disagree, that key is the
//!   library's alone from then on;
//! - all inputs are public: how long it takes is no secret.

use std::rc::Rc;
use std::sync::OnceLock;

use ecdsa::elliptic_curve::point::AffineCoordinates as _;
use ecdsa::elliptic_curve::{AffinePoint, CurveArithmetic, ProjectivePoint};
use ecdsa::hazmat::verify_prehashed;
use ecdsa::{EcdsaCurve, Signature, SignatureSize};
use fast_verify::ecdsa::{Curve, P256, P384, P521, Table, Window, verify};
use sha2::digest::Digest;
use sha2::digest::array::ArraySize;

use crate::jose::table_memory::{KeyTable, Size, TableMemory};
use crate::jose::trust::Trust;

/// For a key that is in use, bits of a scalar that one addition takes care of: 60 KB for P-256, 128 KB for
/// P-384, and 242 KB for P-521.
const SMALL: u8 = 5;

/// A curve whose signatures are checked.
pub trait TableCurve: EcdsaCurve + CurveArithmetic
where
    SignatureSize<Self>: ArraySize,
{
    /// The same curve for fast arithmetic.
    type Fast: Curve;

    /// Bits for a key that is in use all the time, and for the generator: as many as can be made in
    /// a few milliseconds.
    const LARGE: u8;

    /// The table of the generator: a constant, computed when it is first needed.
    fn generator() -> Option<&'static Table<Self::Fast>>;
}

macro_rules! table_curve {
    ($curve:ty, $fast:ty, $bits:literal) => {
        impl TableCurve for $curve {
            type Fast = $fast;

            const LARGE: u8 = $bits;

            fn generator() -> Option<&'static Table<$fast>> {
                static TABLE: OnceLock<Option<Table<$fast>>> = OnceLock::new();
                TABLE.get_or_init(|| Table::generator(Window::new(Self::LARGE)?)).as_ref()
            }
        }
    };
}

// 170, 216 and 242 KB.
table_curve!(p256::NistP256, P256, 7);
table_curve!(p384::NistP384, P384, 6);
table_curve!(p521::NistP521, P521, 5);

/// An ECDSA public key.
pub struct EcKey<C: TableCurve>
where
    SignatureSize<C>: ArraySize,
{
    point: AffinePoint<C>,
    /// No table inside: the arithmetic does not take the key, and is wrong.
    table: KeyTable<Option<Table<C::Fast>>>,
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

    /// Whether there is a table that is believed.
    pub fn is_fast(&self) -> bool {
        self.trust.is_earned()
    }

    /// Takes the memory for its table from there.
    pub fn share_memory(&mut self, memory: &Rc<TableMemory>) {
        self.table.share_memory(memory);
    }

    /// Checks a signature in its fixed form: two coordinates of the curve's length, none of them
    /// zero or beyond the order.
    pub fn verify<D: Digest>(&self, input: &[u8], signature: &[u8]) -> bool {
        let digest = D::digest(input);
        let library = || {
            let point = ProjectivePoint::<C>::from(self.point);
            Signature::<C>::from_slice(signature)
                .is_ok_and(|signature| verify_prehashed::<C>(&point, &digest, &signature).is_ok())
        };
        if self.is_distrusted() {
            return library();
        }
        let make = |size| {
            self.trust.doubt();
            table::<C>(&self.point, size)
        };
        let good = match self.table.get(octets::<C>, make) {
            None => library(),
            Some(kept) => {
                let tables = C::generator().zip(kept.table().as_ref());
                let fast =
                    |(generator, table)| verify::<C::Fast>(generator, table, &digest, signature);
                self.trust.judge(|| tables.is_some_and(fast), library)
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

/// The multiples of a point. None: it is infinity.
fn table<C: TableCurve>(point: &AffinePoint<C>, size: Size) -> Option<Table<C::Fast>>
where
    SignatureSize<C>: ArraySize,
{
    Table::new(&[point.x(), point.y()].concat(), window::<C>(size)?)
}

fn window<C: TableCurve>(size: Size) -> Option<Window>
where
    SignatureSize<C>: ArraySize,
{
    Window::new(match size {
        Size::Small => SMALL,
        Size::Large => C::LARGE,
    })
}

fn octets<C: TableCurve>(size: Size) -> usize
where
    SignatureSize<C>: ArraySize,
{
    window::<C>(size).map_or(0, Table::<C::Fast>::octets_for)
}

#[cfg(test)]
mod tests {
    use ecdsa::elliptic_curve::group::Group as _;
    use sha2::{Sha256, Sha384};

    use super::*;

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
        key.table.put(table::<p256::NistP256>(&generator.to_affine(), Size::Small));
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
        let small = octets::<p256::NistP256>(Size::Small);
        let memory = Rc::new(TableMemory::new(u32::try_from(5 * small / 2).unwrap()));
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
        let sizes = keys.each_ref().map(|key| key.table.octets());
        assert_eq!(sizes, [Some(small), Some(small), None]);
        drop(keys);
        assert_eq!(memory.taken(), 0);
    }

    #[test]
    fn a_key_goes_through_all_sizes() {
        use p384::ecdsa::SigningKey;
        use p384::ecdsa::signature::Signer as _;
        let signing = SigningKey::from_slice(&[7; 48]).unwrap();
        let signature: p384::ecdsa::Signature = signing.sign(b"input");
        let mut key = EcKey::<p384::NistP384>::new(*signing.verifying_key().as_affine());
        let memory = Rc::new(TableMemory::default());
        key.share_memory(&memory);
        let mut sizes = Vec::new();
        for _ in 0..2010 {
            assert!(key.verify::<Sha384>(b"input", &signature.to_bytes()));
            if sizes.last() != Some(&key.table.octets()) {
                sizes.push(key.table.octets());
                assert_eq!(memory.taken(), key.table.octets().unwrap_or_default());
                assert!(!key.verify::<Sha384>(b"other", &signature.to_bytes()));
                assert!(!key.verify::<Sha384>(b"input", &[0; 96]));
                assert!(!key.verify::<Sha384>(b"input", b""));
            }
        }
        assert_eq!(sizes, [None, Some(128_128), Some(216_320)]);
        assert!(!key.is_distrusted());
    }
}
