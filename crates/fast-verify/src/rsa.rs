//! The RSA public operation (RSAVP1, RFC 8017 section 5.2.2): `s^e mod n` for `e` of 3 or 65537 and
//! moduli from 512 to 8192 bits.
//!
//! Montgomery multiplication (P. L. Montgomery, 1985) in limbs of fewer bits than a word has. Two
//! limbs multiply into less than a 64-bit word, so a column of products is summed without a carry,
//! and carries run once for each multiplication instead of once for each product. Rows are taken
//! four at a time: eight products for each load and store of a column.
//!
//! Why no sum overflows: limbs are below `2^BITS`. A column of `a·b + m·n` sums at most `2·L`
//! products, each below `2^(2·BITS)`, and a carry below `2^(64-BITS)`. The sizes of [`PublicKey`]
//! keep `2·L·2^(2·BITS) + 2^(64-BITS)` below `2^64`: see the assertion in [`Modulus::SOUND`].
//!
//! Why no final subtraction is needed between multiplications: `R = 2^(BITS·L) > 4n`. For operands
//! below `2n`, a product is below `(2n·2n + R·n)/R < 2n` again.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "indices are loop counters below the constant length of the array; sums are bounded above"
)]

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// The most octets of a modulus: 8192 bits.
pub const MAX_OCTETS: usize = 1024;
/// The least: 512 bits. Whether such a key is acceptable is not decided here.
pub const MIN_OCTETS: usize = 64;

/// A public key: modulus and exponent.
#[derive(Clone, Debug)]
pub struct PublicKey {
    modulus: Size,
    /// In octets.
    length: usize,
    /// How often to square: `e = 2^squarings + 1`.
    squarings: u32,
}

/// The modulus, in limbs of a size for which sums do not overflow.
#[derive(Clone, Debug)]
enum Size {
    /// Up to 2048 bits (76 limbs of 28 bits are 2128).
    Bits2048(Box<Modulus<28, 76>>),
    /// Up to 3072 bits (3136).
    Bits3072(Box<Modulus<28, 112>>),
    /// Up to 4096 bits (4104).
    Bits4096(Box<Modulus<27, 152>>),
    /// Up to 8192 bits (8208).
    Bits8192(Box<Modulus<27, 304>>),
}

impl PublicKey {
    /// A key of this big-endian modulus, without leading zeros, and this exponent. None: the modulus
    /// is even or of another size, or the exponent is neither 3 nor 65537.
    pub fn new(modulus: &[u8], exponent: u32) -> Option<Self> {
        let squarings = match exponent {
            3 => 1,
            65_537 => 16,
            _ => return None,
        };
        let length = modulus.len();
        let odd = modulus.last().is_some_and(|octet| octet & 1 == 1);
        let trimmed = modulus.first().is_some_and(|octet| *octet != 0);
        if !odd || !trimmed || !(MIN_OCTETS..=MAX_OCTETS).contains(&length) {
            return None;
        }
        let modulus = match length {
            0..=256 => Size::Bits2048(Box::new(Modulus::new(modulus))),
            257..=384 => Size::Bits3072(Box::new(Modulus::new(modulus))),
            385..=512 => Size::Bits4096(Box::new(Modulus::new(modulus))),
            _ => Size::Bits8192(Box::new(Modulus::new(modulus))),
        };
        Some(Self { modulus, length, squarings })
    }

    /// `s^e mod n`, big-endian, as long as the modulus. None: `s` is not as long as the modulus, or
    /// not less than it (RFC 8017 sections 8.1.2 and 8.2.2, steps 1 and 2b).
    pub fn power(&self, s: &[u8]) -> Option<Vec<u8>> {
        if s.len() != self.length {
            return None;
        }
        match &self.modulus {
            Size::Bits2048(modulus) => modulus.power(s, self.squarings),
            Size::Bits3072(modulus) => modulus.power(s, self.squarings),
            Size::Bits4096(modulus) => modulus.power(s, self.squarings),
            Size::Bits8192(modulus) => modulus.power(s, self.squarings),
        }
    }
}

/// A number in `L` limbs of `BITS` bits, the least significant first.
type Limbs<const L: usize> = [u32; L];

#[derive(Clone, Debug)]
struct Modulus<const BITS: u32, const L: usize> {
    n: Limbs<L>,
    /// `-1/n mod 2^BITS`.
    n_inverse: u32,
    /// `R^2 mod n`, which brings a number into Montgomery form.
    r_squared: Limbs<L>,
}

impl<const BITS: u32, const L: usize> Modulus<BITS, L> {
    /// The bounds of the module's comment, and rows in fours.
    const SOUND: () = {
        assert!(BITS < 32 && L.is_multiple_of(4));
        let products = (2 * L as u128) << (2 * BITS);
        assert!(products + (1 << (64 - BITS)) < 1 << 64);
    };
    const MASK: u32 = (1 << BITS) - 1;

    fn new(modulus: &[u8]) -> Self {
        let () = Self::SOUND;
        let n = from_octets::<BITS, L>(modulus);
        // Newton's iteration: each step doubles the number of good bits, from three.
        let mut inverse = n[0];
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2_u32.wrapping_sub(n[0].wrapping_mul(inverse)));
        }
        let n_inverse = inverse.wrapping_neg() & Self::MASK;
        let mut this = Self { n, n_inverse, r_squared: [0; L] };
        // R mod n: the highest power of two below n, doubled up to R.
        let bits = 8 * modulus.len() - modulus[0].leading_zeros() as usize;
        let mut one = [0; L];
        one[(bits - 1) / BITS as usize] = 1 << ((bits - 1) % BITS as usize);
        for _ in bits - 1..BITS as usize * L {
            this.double(&mut one);
        }
        // That is 1 in Montgomery form; 2 to the power of the bits of R is R^2 when it leaves it.
        let exponent = BITS as usize * L;
        let mut power = one;
        for bit in (0..usize::BITS - exponent.leading_zeros()).rev() {
            power = this.multiply(&power, &power);
            this.reduce(&mut power);
            if exponent >> bit & 1 == 1 {
                this.double(&mut power);
            }
        }
        this.r_squared = power;
        this
    }

    fn power(&self, s: &[u8], squarings: u32) -> Option<Vec<u8>> {
        let s_limbs = from_octets::<BITS, L>(s);
        if !less(&s_limbs, &self.n) {
            return None;
        }
        let mut power = self.multiply(&s_limbs, &self.r_squared);
        for _ in 0..squarings {
            power = self.multiply(&power, &power);
        }
        // By a number that is not in Montgomery form: the product is not, either.
        let mut power = self.multiply(&power, &s_limbs);
        self.reduce(&mut power);
        Some(to_octets::<BITS, L>(&power, s.len()))
    }

    /// `a·b/R mod n`, below `2n` for operands below `2n`.
    fn multiply(&self, a: &Limbs<L>, b: &Limbs<L>) -> Limbs<L> {
        let n = &self.n;
        let product = |left: u32, right: u32| u64::from(left) * u64::from(right);
        // What makes a column divisible by 2^BITS.
        let quotient = |column: u64| (column as u32).wrapping_mul(self.n_inverse) & Self::MASK;
        let mut columns = [0_u64; L];
        for tile in 0..L / 4 {
            let row = 4 * tile;
            let (a0, a1, a2, a3) = (a[row], a[row + 1], a[row + 2], a[row + 3]);
            // The lowest four columns decide the quotients, and vanish but for their carry.
            let t = columns[0] + product(a0, b[0]);
            let m0 = quotient(t);
            let carry = (t + product(m0, n[0])) >> BITS;
            let t = columns[1] + product(a0, b[1]) + product(a1, b[0]) + product(m0, n[1]) + carry;
            let m1 = quotient(t);
            let carry = (t + product(m1, n[0])) >> BITS;
            let t = columns[2]
                + product(a0, b[2])
                + product(a1, b[1])
                + product(a2, b[0])
                + product(m0, n[2])
                + product(m1, n[1])
                + carry;
            let m2 = quotient(t);
            let carry = (t + product(m2, n[0])) >> BITS;
            let t = columns[3]
                + product(a0, b[3])
                + product(a1, b[2])
                + product(a2, b[1])
                + product(a3, b[0])
                + product(m0, n[3])
                + product(m1, n[2])
                + product(m2, n[1])
                + carry;
            let m3 = quotient(t);
            let carry = (t + product(m3, n[0])) >> BITS;
            columns[4] += carry;
            for column in 4..L {
                columns[column - 4] = columns[column]
                    + product(a0, b[column])
                    + product(a1, b[column - 1])
                    + product(a2, b[column - 2])
                    + product(a3, b[column - 3])
                    + product(m0, n[column])
                    + product(m1, n[column - 1])
                    + product(m2, n[column - 2])
                    + product(m3, n[column - 3]);
            }
            columns[L - 4] = product(a1, b[L - 1])
                + product(a2, b[L - 2])
                + product(a3, b[L - 3])
                + product(m1, n[L - 1])
                + product(m2, n[L - 2])
                + product(m3, n[L - 3]);
            columns[L - 3] = product(a2, b[L - 1])
                + product(a3, b[L - 2])
                + product(m2, n[L - 1])
                + product(m3, n[L - 2]);
            columns[L - 2] = product(a3, b[L - 1]) + product(m3, n[L - 1]);
            columns[L - 1] = 0;
        }
        let mut limbs = [0; L];
        let mut carry = 0;
        for (limb, column) in limbs.iter_mut().zip(columns) {
            let sum = column + carry;
            *limb = sum as u32 & Self::MASK;
            carry = sum >> BITS;
        }
        debug_assert_eq!(carry, 0, "a product below 2n");
        limbs
    }

    /// Doubles a number below `n`, modulo `n`.
    fn double(&self, number: &mut Limbs<L>) {
        let mut carry = 0;
        for limb in number.iter_mut() {
            let sum = (*limb << 1) | carry;
            *limb = sum & Self::MASK;
            carry = sum >> BITS;
        }
        self.reduce(number);
    }

    /// Brings a number below `2n` below `n`.
    fn reduce(&self, number: &mut Limbs<L>) {
        if less(number, &self.n) {
            return;
        }
        let mut borrow = 0;
        for (limb, n) in number.iter_mut().zip(&self.n) {
            let difference = limb.wrapping_sub(*n).wrapping_sub(borrow);
            *limb = difference & Self::MASK;
            borrow = difference >> 31;
        }
        debug_assert_eq!(borrow, 0, "a number not below n");
    }
}

/// Whether `left` is less than `right`.
fn less<const L: usize>(left: &Limbs<L>, right: &Limbs<L>) -> bool {
    left.iter().rev().lt(right.iter().rev())
}

/// Limbs of a big-endian number that has room in them.
fn from_octets<const BITS: u32, const L: usize>(octets: &[u8]) -> Limbs<L> {
    debug_assert!(octets.len() * 8 <= BITS as usize * L);
    let mut limbs = [0; L];
    let (mut pending, mut bits, mut next) = (0_u64, 0, 0);
    for octet in octets.iter().rev() {
        pending |= u64::from(*octet) << bits;
        bits += 8;
        if bits >= BITS && next < L {
            limbs[next] = pending as u32 & ((1 << BITS) - 1);
            pending >>= BITS;
            bits -= BITS;
            next += 1;
        }
    }
    if next < L {
        limbs[next] = pending as u32;
    }
    limbs
}

/// The lowest `length` octets of a number, big-endian.
fn to_octets<const BITS: u32, const L: usize>(limbs: &Limbs<L>, length: usize) -> Vec<u8> {
    let mut octets = vec![0; length];
    let (mut pending, mut bits, mut next) = (0_u64, 0, limbs.iter());
    for octet in octets.iter_mut().rev() {
        if bits < 8 {
            pending |= u64::from(next.next().copied().unwrap_or_default()) << bits;
            bits += BITS;
        }
        *octet = pending as u8;
        pending >>= 8;
        bits -= 8;
    }
    octets
}
