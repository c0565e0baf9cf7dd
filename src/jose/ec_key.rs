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

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::OnceLock;

use ecdsa::elliptic_curve::point::AffineCoordinates as _;
use ecdsa::elliptic_curve::{AffinePoint, CurveArithmetic, ProjectivePoint};
use ecdsa::hazmat::verify_prehashed;
use ecdsa::{EcdsaCurve, Signature, SignatureSize};
use fast_verify::ecdsa::{Curve, P256, P384, P521, Table, Window, verify};
use sha2::digest::Digest;
use sha2::digest::array::ArraySize;

use crate::jose::trust::Trust;

/// Bits of a scalar that one addition takes care of. A key's table has 60 KB for P-256, 128 KB for P-384,
/// and 242 KB for P-521.
const WINDOW: Option<Window> = Window::new(5);
/// A table is made faster than the library checks a signature, but takes memory: a key that is used
/// once has none.
const USES_BEFORE_TABLE: u32 = 1;

/// A curve whose signatures are checked.
pub trait TableCurve: EcdsaCurve + CurveArithmetic
where
    SignatureSize<Self>: ArraySize,
{
    /// The same curve for fast arithmetic.
    type Fast: Curve;

    /// The table of the generator: a constant, computed when it is first needed.
    fn generator() -> Option<&'static Table<Self::Fast>>;
}

macro_rules! table_curve {
    ($curve:ty, $fast:ty, $bits:literal) => {
        impl TableCurve for $curve {
            type Fast = $fast;

            fn generator() -> Option<&'static Table<$fast>> {
                static TABLE: OnceLock<Option<Table<$fast>>> = OnceLock::new();
                TABLE.get_or_init(|| Table::generator(Window::new($bits)?)).as_ref()
            }
        }
    };
}

// As large as can be made in some two milliseconds: 170, 216 and 242 KB.
table_curve!(p256::NistP256, P256, 7);
table_curve!(p384::NistP384, P384, 6);
table_curve!(p521::NistP521, P521, 5);

/// An ECDSA public key.
pub struct EcKey<C: TableCurve>
where
    SignatureSize<C>: ArraySize,
{
    point: AffinePoint<C>,
    table: OnceCell<Rc<Table<C::Fast>>>,
    uses: Cell<u32>,
    trust: Trust,
    /// How many tables may be made yet, of this key and those that it shares memory with.
    allowance: Rc<Cell<usize>>,
}

impl<C: TableCurve> Clone for EcKey<C>
where
    SignatureSize<C>: ArraySize,
{
    fn clone(&self) -> Self {
        Self {
            point: self.point,
            table: self.table.clone(),
            uses: self.uses.clone(),
            trust: self.trust.clone(),
            allowance: Rc::clone(&self.allowance),
        }
    }
}

impl<C: TableCurve> EcKey<C>
where
    SignatureSize<C>: ArraySize,
{
    /// The key with this point, which the library has checked.
    pub fn new(point: AffinePoint<C>) -> Self {
        Self {
            point,
            table: OnceCell::new(),
            uses: Cell::default(),
            trust: Trust::default(),
            allowance: Rc::new(Cell::new(1)),
        }
    }

    /// Whether the table was wrong.
    pub fn is_distrusted(&self) -> bool {
        self.trust.is_lost()
    }

    /// Shares what there is for tables with other keys.
    pub fn share_allowance(&mut self, allowance: &Rc<Cell<usize>>) {
        self.allowance = Rc::clone(allowance);
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
        let uses = self.uses.get().saturating_add(1);
        self.uses.set(uses);
        if uses <= USES_BEFORE_TABLE || self.is_distrusted() {
            return library();
        }
        let Some(table) = self.table() else { return library() };
        let Some(generator) = C::generator() else { return library() };
        self.trust.judge(|| verify(generator, table, &digest, signature), library)
    }
}

impl<C: TableCurve> EcKey<C>
where
    SignatureSize<C>: ArraySize,
{
    /// The key's table, made now if there is room for one.
    fn table(&self) -> Option<&Table<C::Fast>> {
        if self.table.get().is_none() {
            let allowance = self.allowance.get().checked_sub(1)?;
            let table = table::<C>(&self.point)?;
            self.allowance.set(allowance);
            self.table.set(Rc::new(table)).ok()?;
        }
        self.table.get().map(Rc::as_ref)
    }
}

/// The multiples of a point. None: it is infinity.
fn table<C: TableCurve>(point: &AffinePoint<C>) -> Option<Table<C::Fast>>
where
    SignatureSize<C>: ArraySize,
{
    Table::new(&[point.x(), point.y()].concat(), WINDOW?)
}

#[cfg(test)]
mod tests {
    use ecdsa::elliptic_curve::group::Group as _;
    use sha2::Sha256;

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
        let wrong = table::<p256::NistP256>(&generator.to_affine()).unwrap();
        assert!(key.table.set(Rc::new(wrong)).is_ok());
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
        let allowance = Rc::new(Cell::new(2));
        let keys = [(); 3].map(|()| {
            let mut key = EcKey::new(*signing.verifying_key().as_affine());
            key.share_allowance(&allowance);
            key
        });
        for key in &keys {
            for _ in 0..6 {
                assert!(verify(key));
            }
        }
        assert_eq!(keys.map(|key| key.table.get().is_some()), [true, true, false]);
    }
}
