//! Ed25519 verification (RFC 8032 section 5.1.7), strictly: `S` below the order, neither `A` nor `R` of
//! small order, and `R` in the only encoding of `S·B - k·A`.
//!
//! Multiples of `B` and of `-A` are kept: for each window of bits of a scalar, all multiples of the
//! window's weight. So a sum takes one addition for each window, and no doubling.
//!
//! The digits of a window of `w` bits are from `-2^(w-1)` to `2^(w-1)`, and half of the multiples are
//! kept, as negatives cost nothing. Nothing is carried between digits: `2^(w-1)` is taken from every
//! window, whatever is in it, and the sum begins with the point that makes up for it.
//!
//! `k` stays what it is, a number below the order. `k - L` would be another multiple of an `A` that is not
//! of prime order; and such keys are answered exactly as the library answers them.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "indices are loop counters below the constant length of the array; sums are bounded in `field`"
)]

mod field;
mod point;
mod scalar;

use alloc::vec;
use alloc::vec::Vec;

use point::{Point, Prepared, Sign, prepare};
use scalar::Scalar;

/// Bits of a scalar below its topmost window: 2^252 is the order's topmost bit, and what is there
/// counts for the topmost window.
const SCALAR_BITS: u32 = 252;
/// Points that are prepared together at least: an inversion costs as much as some hundred products.
const BATCH: usize = 128;
/// The generator (RFC 8032 section 5.1): `y` is 4/5, `x` is even.
const GENERATOR: [u8; 32] = [
    0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
    0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
];
/// The `y` of the eight points of small order, little-endian: 1, -1, 0, and two that double to `y = 0`.
const SMALL_ORDER: [[u8; 32]; 5] = [
    least_and_most(1, 0, 0),
    least_and_most(0xec, 0xff, 0x7f),
    least_and_most(0, 0, 0),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// How many bits of a scalar one addition takes care of. More are faster, and take more memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Window {
    /// 51 additions; 86,724 octets.
    Bits5,
    /// 42 additions; 145,260 octets.
    Bits6,
    /// 36 additions; 248,940 octets.
    Bits7,
    /// 32 additions; 429,516 octets.
    Bits8,
}

impl Window {
    const fn bits(self) -> u32 {
        match self {
            Self::Bits5 => 5,
            Self::Bits6 => 6,
            Self::Bits7 => 7,
            Self::Bits8 => 8,
        }
    }

    /// How many windows there are.
    const fn count(self) -> u32 {
        SCALAR_BITS.div_ceil(self.bits())
    }

    /// Bits of the topmost window, which has one digit more: 2^252.
    const fn top_bits(self) -> u32 {
        SCALAR_BITS - (self.count() - 1) * self.bits()
    }

    /// Points in a table.
    const fn points(self) -> usize {
        ((self.count() as usize - 1) << (self.bits() - 1)) + (1 << (self.top_bits() - 1))
    }

    /// What a table takes, in octets.
    pub const fn octets(self) -> usize {
        (self.points() + 1) * size_of::<Prepared>()
    }
}

/// Multiples of a point.
#[derive(Clone, Debug)]
pub struct Table {
    window: Window,
    /// For each window, from one to `2^(w-1)` times its weight.
    multiples: Vec<Prepared>,
    /// The sum of `2^(w-1)` times the weights of all windows.
    start: Prepared,
}

impl Table {
    /// Multiples of the generator.
    pub fn generator(window: Window) -> Self {
        let point = Point::decode(&GENERATOR).unwrap_or(Point::IDENTITY);
        Self::of(&point, window)
    }

    /// Multiples of the negative of a public key. None: it is no point, or one of small order.
    pub fn new(public_key: &[u8; 32], window: Window) -> Option<Self> {
        let point = Point::decode(public_key)?;
        (!is_small_order(&point.encode())).then(|| Self::of(&point.negative(), window))
    }

    /// What it takes, in octets.
    pub fn octets(&self) -> usize {
        self.window.octets()
    }

    fn of(point: &Point, window: Window) -> Self {
        // The windows' weights, prepared.
        let mut weights = Vec::with_capacity(window.count() as usize);
        let mut weight = *point;
        for _ in 0..window.count() {
            weights.push(weight);
            for _ in 0..window.bits() {
                weight = weight.double();
            }
        }
        let mut bases = vec![Prepared::IDENTITY; weights.len()];
        prepare(&weights, &mut bases);
        let mut multiples = Vec::with_capacity(window.points());
        let mut start = Point::IDENTITY;
        let mut batch = Vec::with_capacity(BATCH);
        for (place, base) in (1..).zip(&bases) {
            let top = place == bases.len();
            let digits = 1 << (if top { window.top_bits() } else { window.bits() } - 1);
            let mut multiple = base.point();
            batch.push(multiple);
            for _ in 1..digits {
                multiple = multiple.add(base, Sign::Plus);
                batch.push(multiple);
            }
            if batch.len() >= BATCH || top {
                let begin = multiples.len();
                multiples.resize(begin + batch.len(), Prepared::IDENTITY);
                prepare(&batch, &mut multiples[begin..]);
                batch.clear();
            }
        }
        let size = 1 << (window.bits() - 1);
        for last in multiples.chunks(size).filter_map(<[_]>::last) {
            start = start.add(last, Sign::Plus);
        }
        let mut prepared = [Prepared::IDENTITY];
        prepare(&[start], &mut prepared);
        Self { window, multiples, start: prepared[0] }
    }

    /// Adds `scalar` times the point to `sum`.
    fn add_multiple(&self, scalar: &Scalar, mut sum: Point) -> Point {
        let bits = self.window.bits();
        let half = 1 << (bits - 1);
        sum = sum.add(&self.start, Sign::Plus);
        let mut first = 0;
        for multiples in self.multiples.chunks(half) {
            // The topmost window takes what is left.
            let (digit, zero) = if multiples.len() == half && first + bits < SCALAR_BITS {
                (scalar.bits(first as usize, bits), half)
            } else {
                (scalar.bits(first as usize, bits + 1), multiples.len())
            };
            first += bits;
            let (sign, multiple) = match digit.checked_sub(zero) {
                Some(multiple) => (Sign::Plus, multiple),
                None => (Sign::Minus, zero - digit),
            };
            // Nothing to add for zero.
            if let Some(multiple) = multiples.get(multiple.wrapping_sub(1)) {
                sum = sum.add(multiple, sign);
            }
        }
        sum
    }
}

/// Whether this is a good signature under the key, by the table of the generator and the key's.
///
/// `digest` is SHA-512 of `R`, the public key as it is encoded, and the message.
pub fn verify(generator: &Table, key: &Table, digest: &[u8; 64], signature: &[u8; 64]) -> bool {
    let (Some(r), Some(s)) = (signature.first_chunk::<32>(), signature.last_chunk::<32>()) else {
        return false;
    };
    let Some(s) = Scalar::canonical(s) else { return false };
    // Only the canonical encodings matter: others are equal to none that is computed.
    if is_small_order(r) {
        return false;
    }
    let k = Scalar::reduce(digest);
    let sum = generator.add_multiple(&s, Point::IDENTITY);
    key.add_multiple(&k, sum).encode() == *r
}

/// Whether the point of this canonical encoding is one of the eight of small order.
fn is_small_order(encoding: &[u8; 32]) -> bool {
    let mut y = *encoding;
    y[31] &= 0x7f;
    SMALL_ORDER.contains(&y)
}

/// Octets that are all the same but for the first and the last.
const fn least_and_most(least: u8, between: u8, most: u8) -> [u8; 32] {
    let mut octets = [between; 32];
    octets[0] = least;
    octets[31] = most;
    octets
}
