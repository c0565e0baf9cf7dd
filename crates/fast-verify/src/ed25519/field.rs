//! The field of 2^255 - 19, in nine signed limbs of 29 bits.
//!
//! Why no sum overflows: a product's limbs are *tight*, at most [`TIGHT`] in either direction. Sums and
//! differences are not carried; a product takes operands whose largest limbs multiply to at most
//! [`MOST`], which is three times `TIGHT` by four times `TIGHT` and more. A column sums at most nine
//! such products, and what is folded into it is below 2^46: below 2^63 altogether.
//!
//! 2^261 is 64·19 = 1216, so columns from the ninth on are multiplied by that and added to the lower
//! ones. They are cut in two before, as they would not fit.

use core::ops::{Add, Mul, Neg, Sub};

use crate::inverse::inverse;

/// Bits of a limb.
const BITS: u32 = 29;
const MASK: i64 = (1 << BITS) - 1;
/// Half a limb: limbs are rounded to the nearest, so that they have either sign.
const HALF: i64 = 1 << (BITS - 1);
/// 2^261 modulo the prime.
const FOLD: i64 = 64 * 19;
/// The largest limb of a product: half a limb, and in the lowest one what came around.
const TIGHT: i64 = HALF + (1 << 23);
/// The largest product of two limbs.
const MOST: i64 = (i64::MAX - (1 << 46)) / 9;

/// 2^255 - 19, in words of 32 bits.
const PRIME: [u32; 8] =
    [0xffff_ffed, u32::MAX, u32::MAX, u32::MAX, u32::MAX, u32::MAX, u32::MAX, 0x7fff_ffff];

/// The bounds of the module's comment.
const _: () = {
    assert!((3 * TIGHT) * (4 * TIGHT) <= MOST);
    // The upper half of a column, and what folding adds to one.
    let upper = ((9 * MOST) >> BITS) + 1;
    assert!(FOLD * (upper + MASK) < 1 << 46);
    // The topmost column's share, a carry from below, the limb itself: what comes around at the end.
    let last = FOLD * ((MOST >> BITS) + 1) + (i64::MAX >> BITS) + 1 + MASK;
    assert!(FOLD * ((last >> BITS) + 1) <= TIGHT - HALF);
    // Sums of up to four tight numbers are limbs of 32 bits.
    assert!(4 * TIGHT <= i32::MAX as i64);
};

/// A number modulo 2^255 - 19: the sum of `limb[i] · 2^(29i)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fe([i32; 9]);

impl Fe {
    pub(super) const ZERO: Self = Self([0; 9]);
    pub(super) const ONE: Self = Self([1, 0, 0, 0, 0, 0, 0, 0, 0]);
    /// One half.
    pub(super) const HALF: Self = Self([-9, 0, 0, 0, 0, 0, 0, 0, 4_194_304]);
    /// The curve's `d` (RFC 8032 section 5.1): -121665/121666.
    pub(super) const D: Self = Self([
        -212_240_221,
        257_584_721,
        -260_691_235,
        1_350_275,
        -24_543_225,
        3_980_221,
        -103_927_011,
        -37_392_896,
        5_374_829,
    ]);
    /// A root of -1.
    pub(super) const ROOT: Self = Self([
        168_730_800,
        124_836_154,
        200_875_569,
        103_812_442,
        -42_306_828,
        5_021_438,
        -64_180_940,
        -267_782_084,
        2_851_621,
    ]);

    /// The number of these little-endian octets, without their topmost bit. It may be the prime or
    /// beyond.
    pub(super) fn from_octets(octets: &[u8; 32]) -> Self {
        let mut limbs = [0; 9];
        let (mut bits, mut held, mut place) = (0_u64, 0, 0);
        for octet in octets {
            bits |= u64::from(*octet) << held;
            held += 8;
            if held >= BITS {
                limbs[place] = (bits & MASK as u64) as i32;
                bits >>= BITS;
                held -= BITS;
                place += 1;
            }
        }
        limbs[8] = (bits & 0x7f_ffff) as i32;
        // Multiplied by one, it is tight.
        Self(limbs) * Self::ONE
    }

    /// The octets of the number from zero to the prime's predecessor.
    pub(super) fn to_octets(self) -> [u8; 32] {
        // The number is below 2^262 in either direction. A first round takes it to within 19·2^7 of
        // the interval from 0 to 2^255, and a second one into it.
        let mut limbs = self.0.map(i64::from);
        for _ in 0..2 {
            let top = carry(&mut limbs);
            limbs[0] += 19 * top;
        }
        // The prime and its few successors: they reach 2^255 with 19 more.
        let mut beyond = limbs;
        beyond[0] += 19;
        if carry(&mut beyond) == 1 {
            limbs = beyond;
        } else {
            carry(&mut limbs);
        }
        let mut octets = [0; 32];
        let (mut bits, mut held, mut place) = (0_u64, 0, 0);
        for octet in &mut octets {
            if held < 8 && place < 9 {
                bits |= (limbs[place] as u64) << held;
                held += BITS;
                place += 1;
            }
            *octet = bits as u8;
            bits >>= 8;
            held = held.saturating_sub(8);
        }
        octets
    }

    pub(super) fn square(&self) -> Self {
        *self * *self
    }

    /// `self^(2^count)`.
    fn squared(&self, count: u32) -> Self {
        (0..count).fold(*self, |power, _| power.square())
    }

    /// `self^(2^252 - 3)`, for roots.
    pub(super) fn root_power(&self) -> Self {
        self.ones(250).squared(2) * *self
    }

    /// `self^(2^count - 1)`.
    fn ones(&self, count: u32) -> Self {
        match count {
            0 | 1 => *self,
            _ if count.is_multiple_of(2) => {
                let half = self.ones(count / 2);
                half.squared(count / 2) * half
            }
            _ => self.ones(count - 1).square() * *self,
        }
    }

    /// The inverse; zero for zero.
    pub(super) fn invert(self) -> Self {
        let mut words = [0; 8];
        for (word, octets) in words.iter_mut().zip(self.to_octets().as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*octets);
        }
        let Some(words) = inverse(&words, &PRIME) else { return Self::ZERO };
        let mut octets = [0; 32];
        for (octets, word) in octets.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *octets = word.to_le_bytes();
        }
        Self::from_octets(&octets)
    }
}

/// Carries with limbs from zero up and the topmost one below 2^23; tells what is beyond 2^255.
fn carry(limbs: &mut [i64; 9]) -> i64 {
    let mut carry = 0;
    for limb in &mut limbs[..8] {
        let sum = *limb + carry;
        *limb = sum & MASK;
        carry = sum >> BITS;
    }
    let sum = limbs[8] + carry;
    limbs[8] = sum & 0x7f_ffff;
    sum >> 23
}

impl Add for Fe {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        Self([
            a[0] + b[0],
            a[1] + b[1],
            a[2] + b[2],
            a[3] + b[3],
            a[4] + b[4],
            a[5] + b[5],
            a[6] + b[6],
            a[7] + b[7],
            a[8] + b[8],
        ])
    }
}

impl Sub for Fe {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        Self([
            a[0] - b[0],
            a[1] - b[1],
            a[2] - b[2],
            a[3] - b[3],
            a[4] - b[4],
            a[5] - b[5],
            a[6] - b[6],
            a[7] - b[7],
            a[8] - b[8],
        ])
    }
}

impl Neg for Fe {
    type Output = Self;

    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl Mul for Fe {
    type Output = Self;

    /// The product, tight. The operands' limbs may not be larger than the module's comment says.
    ///
    /// Not inlined: V8 finds registers for one product, but not for the seven of an addition.
    #[inline(never)]
    fn mul(self, other: Self) -> Self {
        debug_assert!(
            self.largest() * other.largest() <= MOST,
            "operands are sums of a few tight numbers"
        );
        let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = self.0.map(i64::from);
        let [b0, b1, b2, b3, b4, b5, b6, b7, b8] = other.0.map(i64::from);
        // The upper columns first; the ninth of all is half an upper one.
        let c8 =
            a0 * b8 + a1 * b7 + a2 * b6 + a3 * b5 + a4 * b4 + a5 * b3 + a6 * b2 + a7 * b1 + a8 * b0;
        let c9 = a1 * b8 + a2 * b7 + a3 * b6 + a4 * b5 + a5 * b4 + a6 * b3 + a7 * b2 + a8 * b1;
        let c10 = a2 * b8 + a3 * b7 + a4 * b6 + a5 * b5 + a6 * b4 + a7 * b3 + a8 * b2;
        let c11 = a3 * b8 + a4 * b7 + a5 * b6 + a6 * b5 + a7 * b4 + a8 * b3;
        let c12 = a4 * b8 + a5 * b7 + a6 * b6 + a7 * b5 + a8 * b4;
        let c13 = a5 * b8 + a6 * b7 + a7 * b6 + a8 * b5;
        let c14 = a6 * b8 + a7 * b7 + a8 * b6;
        let c15 = a7 * b8 + a8 * b7;
        let c16 = a8 * b8;
        // Each column's lower 29 bits come around with the upper bits of the one below it, so no
        // carry runs through them.
        let fold = |upper: i64, below: i64| FOLD * ((upper & MASK) + (below >> BITS));
        // Half a limb more, which is taken away again below: that rounds to the nearest.
        let (l0, carry) = cut(HALF + a0 * b0 + fold(c9, c8));
        let (l1, carry) = cut(HALF + a0 * b1 + a1 * b0 + fold(c10, c9) + carry);
        let (l2, carry) = cut(HALF + a0 * b2 + a1 * b1 + a2 * b0 + fold(c11, c10) + carry);
        let (l3, carry) =
            cut(HALF + a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0 + fold(c12, c11) + carry);
        let (l4, carry) =
            cut(HALF + a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0 + fold(c13, c12) + carry);
        let (l5, carry) = cut(HALF
            + a0 * b5
            + a1 * b4
            + a2 * b3
            + a3 * b2
            + a4 * b1
            + a5 * b0
            + fold(c14, c13)
            + carry);
        let (l6, carry) = cut(HALF
            + a0 * b6
            + a1 * b5
            + a2 * b4
            + a3 * b3
            + a4 * b2
            + a5 * b1
            + a6 * b0
            + fold(c15, c14)
            + carry);
        let (l7, carry) = cut(HALF
            + a0 * b7
            + a1 * b6
            + a2 * b5
            + a3 * b4
            + a4 * b3
            + a5 * b2
            + a6 * b1
            + a7 * b0
            + fold(c16, c15)
            + carry);
        let (l8, carry) = cut(HALF + (c8 & MASK) + FOLD * (c16 >> BITS) + carry);
        Self([l0 + (FOLD * carry) as i32, l1, l2, l3, l4, l5, l6, l7, l8])
    }
}

impl Fe {
    fn largest(&self) -> i64 {
        self.0.iter().fold(0, |most, limb| most.max(i64::from(*limb).abs()))
    }
}

/// The limb of a column to which half a limb was added, and the carry.
#[inline(always)]
fn cut(column: i64) -> (i32, i64) {
    ((column & MASK) as i32 - HALF as i32, column >> BITS)
}

#[cfg(test)]
mod tests;
