//! ECDSA signature verification (FIPS 186-5 section 6.4.2, SEC 1 section 4.1.4) on the curves P-256, P-384
//! and P-521.
//!
//! A signature is good if `u1·G + u2·Q` has the right `x`. Multiples of `G` and of `Q` are kept in tables,
//! for each window of some bits of a scalar: then that sum is an addition for each window, and no
//! doubling.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "indices are constants, or loop counters below the length; sums are bounded where they are made"
)]

mod field;
mod p256;
mod p384;
mod p521;
mod points;
#[cfg(test)]
mod tests;
mod words;

use alloc::vec::Vec;

pub use crate::ecdsa::field::Curve;
pub use crate::ecdsa::p256::P256;
pub use crate::ecdsa::p384::P384;
pub use crate::ecdsa::p521::P521;
use crate::ecdsa::points::{Affine, Sum, add_pairs, careful_sum, has_x, multiples};
use crate::ecdsa::words::{Words, from_octets, is_zero, less, sum};

/// Bits of a scalar that one addition takes care of: from 4 to 8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window(u8);

impl Window {
    /// A window of so many bits. None: fewer than 4, or more than 8.
    pub const fn new(bits: u8) -> Option<Self> {
        if 4 <= bits && bits <= 8 { Some(Self(bits)) } else { None }
    }

    const fn bits(self) -> usize {
        self.0 as usize
    }
}

/// Multiples of a point.
pub struct Table<C: Curve> {
    window: Window,
    /// For each window of a scalar, from one to `2^(bits - 1)` times its weight.
    multiples: Vec<Affine<C>>,
}

impl<C: Curve> Table<C> {
    /// The multiples of the point with these coordinates, `x || y`, big-endian. None: it is not a point
    /// of the curve.
    pub fn new(point: &[u8], window: Window) -> Option<Self> {
        if point.len() != 2 * C::OCTETS {
            return None;
        }
        let (x, y) = point.split_at(C::OCTETS);
        Self::of(&[from_octets(x), from_octets(y)], window)
    }

    /// The multiples of the generator.
    pub fn generator(window: Window) -> Option<Self> {
        Self::of(&C::GENERATOR, window)
    }

    fn of(coordinates: &[Words; 2], window: Window) -> Option<Self> {
        let point = Affine::new(coordinates)?;
        let multiples = multiples(&point, window.bits(), windows::<C>(window))?;
        Some(Self { window, multiples })
    }

    /// Octets of memory that it takes.
    pub fn octets(&self) -> usize {
        self.multiples.len() * size_of::<Affine<C>>()
    }

    /// The points whose sum is `scalar` times the point.
    fn pick(&self, scalar: &Words, points: &mut Vec<Affine<C>>) {
        let bits = self.window.bits();
        let digits = 1 << (bits - 1);
        let mut carry = 0;
        for (window, multiples) in self.multiples.chunks_exact(digits).enumerate() {
            let value = window_of(scalar, window * bits) & (2 * digits - 1);
            // A digit above the half is told as itself less the whole, and one is carried.
            let digit = value + carry;
            carry = usize::from(digit > digits);
            if digit > digits {
                if let Some(multiple) = (2 * digits - digit).checked_sub(1) {
                    points.push(multiples[multiple].negative());
                }
            } else if let Some(multiple) = digit.checked_sub(1) {
                points.push(multiples[multiple]);
            }
        }
        debug_assert_eq!(carry, 0);
    }
}

/// Windows of a scalar: the highest one takes no carry out.
fn windows<C: Curve>(window: Window) -> usize {
    C::ORDER_BITS / window.bits() + 1
}

/// Bits of a number from this one on, at least 25.
fn window_of(number: &Words, bit: usize) -> usize {
    let word = |index: usize| u64::from(number.get(index).copied().unwrap_or_default());
    let pair = word(bit / 32) | word(bit / 32 + 1) << 32;
    (pair >> (bit % 32)) as u32 as usize
}

/// Whether a signature `r || s` of a message with this digest is good.
pub fn verify<C: Curve>(
    generator: &Table<C>,
    key: &Table<C>,
    digest: &[u8],
    signature: &[u8],
) -> bool {
    if signature.len() != 2 * C::OCTETS {
        return false;
    }
    let (r, s) = signature.split_at(C::OCTETS);
    let (r, s) = (from_octets(r), from_octets(s));
    let order = C::ORDER;
    if is_zero(&r) || !less(&r, &order.modulus) || !less(&s, &order.modulus) {
        return false;
    }
    // None if it is zero.
    let Some(s_inverse) = crate::inverse::inverse(&s, &order.modulus) else { return false };
    // Times R: a product with it is the product modulo n.
    let s_inverse = order.product(&order.r_squared, &s_inverse);
    let u1 = order.product(&hash_number::<C>(digest), &s_inverse);
    let u2 = order.product(&r, &s_inverse);
    let mut points = Vec::with_capacity(windows::<C>(generator.window) + windows::<C>(key.window));
    generator.pick(&u1, &mut points);
    key.pick(&u2, &mut points);
    let Some(sum_of_points) = sum_of(points) else { return false };
    // x modulo n is r: it is r, or r + n if that is below p.
    if has_x(&sum_of_points, &r) {
        return true;
    }
    let above = sum(&r, &order.modulus);
    less(&above, &C::PRIME) && has_x(&sum_of_points, &above)
}

/// None: infinity.
fn sum_of<C: Curve>(mut points: Vec<Affine<C>>) -> Option<Sum<C>> {
    for _ in 0..C::PAIRINGS {
        if add_pairs(&mut points).is_none() {
            return careful_sum(&points);
        }
    }
    let (first, others) = points.split_first()?;
    let mut sum = Sum::new(first);
    others.iter().for_each(|point| sum.add(point));
    if field::is_zero::<C>(&sum.zz) { careful_sum(&points) } else { Some(sum) }
}

/// The leftmost bits of a digest, as many as the order has (SEC 1 section 4.1.4 step 3).
fn hash_number<C: Curve>(digest: &[u8]) -> Words {
    let octets = digest.get(..C::OCTETS).unwrap_or(digest);
    let mut number = from_octets(octets);
    let excess = (8 * octets.len()).saturating_sub(C::ORDER_BITS);
    debug_assert!(excess < 32);
    if excess > 0 {
        let mut above = 0;
        for word in number.iter_mut().rev() {
            let lower = *word << (32 - excess);
            *word = *word >> excess | above;
            above = lower;
        }
    }
    number
}
