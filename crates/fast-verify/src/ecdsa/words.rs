//! Numbers of any curve in words of 32 bits, and arithmetic modulo a curve's order.
//!
//! A verification does it four times, so it is one loop for all curves.

/// The most words: 521 bits.
pub(super) const WORDS: usize = 17;
/// The least significant word first.
pub(super) type Words = [u32; WORDS];

/// The number that is written in hexadecimal digits.
pub(super) const fn words(text: &str) -> Words {
    let digits = text.as_bytes();
    let mut words = [0; WORDS];
    let mut place = 0;
    while place < digits.len() {
        let digit = digits[digits.len() - 1 - place];
        assert!(digit.is_ascii_digit() || b'a' <= digit && digit <= b'f');
        let value = if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 };
        words[place / 8] |= (value as u32) << (4 * (place % 8));
        place += 1;
    }
    words
}

/// The number in big-endian octets, of which there are at most 68.
pub(super) fn from_octets(octets: &[u8]) -> Words {
    debug_assert!(octets.len() <= 4 * WORDS);
    let mut words = [0; WORDS];
    for (place, octet) in octets.iter().rev().take(4 * WORDS).enumerate() {
        words[place / 4] |= u32::from(*octet) << (8 * (place % 4));
    }
    words
}

/// Whether `left` is less than `right`.
pub(super) fn less(left: &Words, right: &Words) -> bool {
    left.iter().rev().lt(right.iter().rev())
}

pub(super) fn is_zero(words: &Words) -> bool {
    words.iter().all(|word| *word == 0)
}

/// `left + right`, of numbers whose sum has room.
pub(super) fn sum(left: &Words, right: &Words) -> Words {
    let mut sum = *left;
    let mut carry = 0;
    for (word, other) in sum.iter_mut().zip(right) {
        let column = u64::from(*word) + u64::from(*other) + carry;
        *word = column as u32;
        carry = column >> 32;
    }
    debug_assert_eq!(carry, 0);
    sum
}

/// `left - right`, of numbers of which the right one is not greater.
pub(super) fn difference(left: &Words, right: &Words) -> Words {
    let mut difference = *left;
    let mut borrow = 0;
    for (word, other) in difference.iter_mut().zip(right) {
        let column = i64::from(*word) - i64::from(*other) + borrow;
        *word = column as u32;
        borrow = column >> 32;
    }
    debug_assert_eq!(borrow, 0);
    difference
}

/// An odd modulus.
pub struct Modulus {
    pub(super) modulus: Words,
    /// Words that it has, `w`.
    length: usize,
    /// `-1/n mod 2^32`.
    minus_inverse: u32,
    /// `2^(64·w) mod n`.
    pub(super) r_squared: Words,
}

impl Modulus {
    /// The square is that of `2^(32·w)`, for a modulus of `w` words.
    pub(super) const fn new(modulus: Words, length: usize, r_squared: Words) -> Self {
        // Newton's iteration: each step doubles the number of good bits, from three.
        let mut inverse = modulus[0];
        let mut step = 0;
        while step < 4 {
            inverse = inverse.wrapping_mul(2_u32.wrapping_sub(modulus[0].wrapping_mul(inverse)));
            step += 1;
        }
        assert!(inverse.wrapping_mul(modulus[0]) == 1 && length <= WORDS);
        Self { modulus, length, minus_inverse: inverse.wrapping_neg(), r_squared }
    }

    /// `a·b / 2^(32·w) mod n`, for an `a` below `2^(32·w)` and a `b` below `n`.
    ///
    /// A row adds `a_i·b + m·n < 2^32·2n`, and divides by `2^32`: the sum stays below `2n`. At last it is
    /// below `n + n` again, whatever `a`.
    pub(super) fn product(&self, a: &Words, b: &Words) -> Words {
        let length = self.length.min(WORDS);
        let (b, n) = (&b[..length], &self.modulus[..length]);
        // Words of the sum, and what is above them.
        let mut sum = [0_u32; WORDS];
        let mut above = 0_u64;
        for a in &a[..length] {
            let a = u64::from(*a);
            let lowest = u64::from(sum[0]) + a * u64::from(b[0]);
            let m = u64::from((lowest as u32).wrapping_mul(self.minus_inverse));
            let mut product_carry = lowest >> 32;
            let mut carry = (u64::from(lowest as u32) + m * u64::from(n[0])) >> 32;
            for column in 1..length {
                // Below 2^32 - 1 + (2^32 - 1)^2 + 2^32 - 1 < 2^64.
                let product = u64::from(sum[column]) + a * u64::from(b[column]) + product_carry;
                product_carry = product >> 32;
                let reduced = u64::from(product as u32) + m * u64::from(n[column]) + carry;
                carry = reduced >> 32;
                sum[column - 1] = reduced as u32;
            }
            above += product_carry + carry;
            sum[length - 1] = above as u32;
            above >>= 32;
        }
        if above == 1 || !less(&sum, &self.modulus) {
            let mut borrow = 0;
            for (word, n) in sum[..length].iter_mut().zip(n) {
                let column = i64::from(*word) - i64::from(*n) + borrow;
                *word = column as u32;
                borrow = column >> 32;
            }
        }
        sum
    }
}
