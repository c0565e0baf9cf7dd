//! P-384 (SP 800-186 section 3.2.1.4): `p = 2^384 - 2^128 - 2^96 + 2^32 - 1`.
//!
//! Thirteen limbs of 30 bits on both sides of zero, in Montgomery's representation with `R = 2^390`, which is
//! about `64p`. Since `p` is -1 modulo `2^30`, the lowest bits of a column say how many times `p` makes
//! them vanish, and that multiple of `p` is four shifts.
//!
//! Why elements stay small: as in P-256; here the fold leaves a number from `-2^360` to `2^384 + 2^360`,
//! and moves limbs by less than `2^11`.
//!
//! Why no sum overflows: see the assertion in [`SOUND`]. Differences are carried, which makes their limbs
//! as small as those of tight elements. A column's multiples of `p` are below `2^55`, a carry is below
//! `2^34`, and what is subtracted below `2^31`.

use crate::ecdsa::field::{Columns, Curve, is_tight, products, unrolled};
use crate::ecdsa::words::{Modulus, Words, words};

/// The curve P-384.
pub enum P384 {}

const BITS: u32 = 30;
const MASK: i64 = (1 << BITS) - 1;
const HALF: i64 = 1 << (BITS - 1);
/// The bounds of the module's comment.
const SOUND: () = {
    let tight = P384::TIGHT[1] as u64;
    assert!(tight == P384::TIGHT[0].unsigned_abs() as u64);
    assert!(26 * tight * tight < (1 << 63) - (1 << 56));
    assert!(3 * tight < 1 << 31);
};

type Element = [i32; 13];

impl Curve for P384 {
    type Element = Element;

    const OCTETS: usize = 48;
    const LIMB_BITS: u32 = BITS;
    const TIGHT: [i32; 2] = [-(1 << 29) - (1 << 11), (1 << 29) + (1 << 11)];
    const TIGHT_TOP: [i32; 2] = [0, 1 << 24];
    const PRIME: Words = words(
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
    );
    const PRIME_LIMBS: Element = [-1, 4, 0, -64, -256, 0, 0, 0, 0, 0, 0, 0, 16777216];
    const B: Words = words(
        "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    );
    const GENERATOR: [Words; 2] = [
        words(
            "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
        ),
        words(
            "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
        ),
    ];
    const ORDER_BITS: usize = 384;
    const ORDER: Modulus = Modulus::new(
        words(
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        ),
        12,
        words(
            "0c84ee012b39bf213fb05b7a28266895d40d49174aab1cc5bc3e483afcb82947ff3d81e5df1aa4192d319b2419b409a9",
        ),
    );
    const PAIRINGS: usize = 2;
    const ZERO: Element = [0; 13];
    const ONE: Element = [64, -256, 0, 4096, 16384, 0, 0, 0, 0, 0, 0, 0, 0];
    const ENTER: Element =
        [4096, -32768, 65536, 524288, 0, -8388608, 16777216, 134217728, 268435456, 0, 0, 0, 0];
    const AFTER_INVERSE: Element = [
        524288, -4194304, 12582912, 50331648, -134217728, 268435456, -1, 6, 12, -48, -128, 768,
        3072,
    ];

    products!();

    /// With carries: limbs of 31 bits were too large for a factor.
    #[inline(never)]
    fn difference(a: &Element, b: &Element) -> Element {
        let mut limbs = [0_i32; 13];
        let mut sum = 0;
        unrolled!(index in [0 1 2 3 4 5 6 7 8 9 10 11] {
            sum += i64::from(a[index]) - i64::from(b[index]) + HALF;
            limbs[index] = ((sum & MASK) - HALF) as i32;
            sum >>= BITS;
        });
        limbs[12] = (sum + i64::from(a[12]) - i64::from(b[12])) as i32;
        limbs
    }
}

/// The sum of columns over `R`, less `c`, tight.
#[inline(always)]
fn reduce(columns: &impl Columns, c: &Element) -> Element {
    let () = SOUND;
    let mut m = [0_i64; 13];
    let mut sum = 0;
    // m·p without its -m, which takes away the column's lowest bits: they are m.
    let multiples = |m: &[i64; 13], index: usize| {
        let m = |below: usize| {
            let place = index.wrapping_sub(below);
            if place < 13 { m[place] } else { 0 }
        };
        (m(1) << 2) - (m(3) << 6) - (m(4) << 8) + (m(12) << 24)
    };
    unrolled!(index in [0 1 2 3 4 5 6 7 8 9 10 11 12] {
        sum += columns.column(index) + multiples(&m, index);
        m[index] = sum & MASK;
        sum >>= BITS;
    });
    let mut limbs = [0_i64; 13];
    unrolled!(index in [0 1 2 3 4 5 6 7 8 9 10 11] {
        sum += columns.column(index + 13) + multiples(&m, index + 13) - i64::from(c[index]) + HALF;
        limbs[index] = (sum & MASK) - HALF;
        sum >>= BITS;
    });
    sum -= i64::from(c[12]);
    // 2^384 is 2^128 + 2^96 - 2^32 + 1.
    let excess = sum >> 24;
    limbs[12] = sum - (excess << 24);
    limbs[4] += excess << 8;
    limbs[3] += excess << 6;
    limbs[1] -= excess << 2;
    limbs[0] += excess;
    let limbs = limbs.map(|limb| limb as i32);
    debug_assert!(is_tight::<P384>(&limbs));
    limbs
}
