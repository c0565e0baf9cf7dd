//! P-521 (SP 800-186 section 3.2.1.5): `p = 2^521 - 1`.
//!
//! Eighteen limbs of 29 bits on both sides of zero, which are 522 bits: a column beyond them counts twice in
//! the one eighteen below.
//!
//! Why elements stay small: the highest limb takes 28 bits, and what is beyond is carried to the lowest
//! one. So numbers are between `-2^521` and `2^521`. That carry is below `2^36`, and a second one takes
//! it from there to the next limb, which it moves by less than `2^7`.
//!
//! Why no sum overflows: see the assertion in [`SOUND`]. A difference, also of a tight element and the
//! negative of one, has limbs twice as large as a tight one. A column sums at most 35 products of limbs,
//! counting those twice that come from beyond; a carry is below `2^35`, and what is subtracted below
//! `2^31`.

use crate::ecdsa::field::{Columns, Curve, is_tight, products, unrolled};
use crate::ecdsa::words::{Modulus, Words, words};

/// The curve P-521.
pub enum P521 {}

const BITS: u32 = 29;
const MASK: i64 = (1 << BITS) - 1;
const HALF: i64 = 1 << (BITS - 1);
/// The bounds of the module's comment.
const SOUND: () = {
    let tight = P521::TIGHT[1] as u64;
    assert!(tight == P521::TIGHT[0].unsigned_abs() as u64);
    assert!(35 * (2 * tight * tight + tight * tight) < (1 << 63) - (1 << 36));
    assert!(3 * tight < 1 << 31);
};

type Element = [i32; 18];

impl Curve for P521 {
    type Element = Element;

    const OCTETS: usize = 66;
    const LIMB_BITS: u32 = BITS;
    const TIGHT: [i32; 2] = [-(1 << 28) - (1 << 7), (1 << 28) + (1 << 7)];
    const TIGHT_TOP: [i32; 2] = [-(1 << 27), 1 << 27];
    const PRIME: Words = words(
        "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    );
    const PRIME_LIMBS: Element = [-1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 << 28];
    const B: Words = words(
        "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
    );
    const GENERATOR: [Words; 2] = [
        words(
            "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66",
        ),
        words(
            "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
        ),
    ];
    const ORDER_BITS: usize = 521;
    const ORDER: Modulus = Modulus::new(
        words(
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
        ),
        17,
        words(
            "019a5b5a3afe8c44383d2d8e03d1492d0d455bcc6d61a8e567bccff3d142b7756e3a4fb35b72d34027055d4dd6d30791d9dc18354a564374a6421163115a61c64ca7",
        ),
    );
    const PAIRINGS: usize = 3;
    const ZERO: Element = [0; 18];
    const ONE: Element = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const ENTER: Element = Self::ONE;
    const AFTER_INVERSE: Element = Self::ONE;

    products!();

    fn difference(a: &Element, b: &Element) -> Element {
        core::array::from_fn(|index| a[index] - b[index])
    }
}

/// The sum of columns, less `c`, tight.
#[inline(always)]
fn reduce(columns: &impl Columns, c: &Element) -> Element {
    let () = SOUND;
    let mut limbs = [0_i64; 18];
    let mut sum = 0;
    // Eighteen limbs are 522 bits: 2^522 is 2.
    unrolled!(index in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16] {
        sum += columns.column(index) + 2 * columns.column(index + 18) - i64::from(c[index]) + HALF;
        limbs[index] = (sum & MASK) - HALF;
        sum >>= BITS;
    });
    // And 2^521 is 1: the highest limb has 28 bits.
    sum += columns.column(17) - i64::from(c[17]) + (HALF >> 1);
    limbs[17] = (sum & (MASK >> 1)) - (HALF >> 1);
    sum >>= BITS - 1;
    sum += limbs[0] + HALF;
    limbs[0] = (sum & MASK) - HALF;
    limbs[1] += sum >> BITS;
    let limbs = limbs.map(|limb| limb as i32);
    debug_assert!(is_tight::<P521>(&limbs));
    limbs
}
