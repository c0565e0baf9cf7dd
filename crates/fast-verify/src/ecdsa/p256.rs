//! P-256 (SP 800-186 section 3.2.1.3): `p = 2^256 - 2^224 + 2^192 + 2^96 - 1`.
//!
//! Nine limbs of 29 bits, in Montgomery's representation with `R = 2^261`, which is about `32p`. Since `p`
//! is -1 modulo `2^29`, the lowest bits of a column say how many times `p` makes them vanish, and that
//! multiple of `p` is four shifts.
//!
//! Why elements stay small: factors are between `-2.1p` and `2.1p`, of which at most one is larger than
//! `1.1p`; so what is reduced is between `-5p²` and `5p²`, and over `R`, with at most `p` added by the
//! reduction and three tight elements subtracted, between `-5p` and `5p`. The bits from `2^256` on are at
//! most 6 then, and folding them back leaves a number from `-2^232` to `2^256 + 2^232`. The fold moves
//! the limbs by less than `2^24`.
//!
//! Why no sum overflows: see the assertion in [`SOUND`]. A difference has limbs of at most
//! `2^29 + 2^25` on either side of zero; that of a tight element and of the negative of one, twice
//! those of a tight one. So nine products of a tight element and the latter are less than nine of
//! differences and nine of tight ones, which is what [`Curve::products_minus`] sums in a column. A
//! column's multiples of `p` are below `2^54`, a carry is below `2^35`, and what is subtracted below
//! `2^31`.

use crate::ecdsa::field::{Columns, Curve, is_tight, products, unrolled};
use crate::ecdsa::words::{Modulus, Words, words};

/// The curve P-256.
pub enum P256 {}

const BITS: u32 = 29;
const MASK: i64 = (1 << BITS) - 1;
/// The bounds of the module's comment.
const SOUND: () = {
    let tight = P256::TIGHT[1] as u64;
    let difference = (1_u64 << 29) + (1 << 25);
    assert!(tight + P256::TIGHT[0].unsigned_abs() as u64 <= difference);
    assert!(9 * (difference * difference + tight * tight) < (1 << 63) - (1 << 55));
    assert!(18 * tight * tight <= 9 * (difference * difference + tight * tight));
    assert!(3 * tight < 1 << 31);
};

type Element = [i32; 9];

impl Curve for P256 {
    type Element = Element;

    const OCTETS: usize = 32;
    const LIMB_BITS: u32 = BITS;
    const TIGHT: [i32; 2] = [-(1 << 24), (1 << 29) + (1 << 24)];
    const TIGHT_TOP: [i32; 2] = [0, 1 << 24];
    const PRIME: Words = words("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    const PRIME_LIMBS: Element =
        [536870911, 536870911, 536870911, 511, 0, 0, 262144, 534773760, 16777215];
    const B: Words = words("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");
    const GENERATOR: [Words; 2] = [
        words("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
        words("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
    ];
    const ORDER_BITS: usize = 256;
    const ORDER: Modulus = Modulus::new(
        words("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
        8,
        words("66e12d94f3d956202845b2392b6bec594699799c49bd6fa683244c95be79eea2"),
    );
    const PAIRINGS: usize = 1;
    const ZERO: Element = [0; 9];
    const ONE: Element = [32, 0, 0, 536854528, 536870911, 536870911, 528482303, 67108863, 0];
    const ENTER: Element =
        [3072, 0, 536805376, 534773759, 532676607, 536870911, 536870911, 536870910, 19];
    const AFTER_INVERSE: Element =
        [327680, 536084480, 520093695, 234881023, 134217727, 536870911, 11, 16, 3072];

    products!();

    fn difference(a: &Element, b: &Element) -> Element {
        core::array::from_fn(|index| a[index] - b[index])
    }
}

/// The sum of columns over `R`, less `c`, tight.
#[inline(always)]
fn reduce(columns: &impl Columns, c: &Element) -> Element {
    let () = SOUND;
    let mut m = [0_i64; 9];
    let mut sum = 0;
    // m·p without its -m, which takes away the column's lowest bits: they are m.
    let multiples = |m: &[i64; 9], index: usize| {
        let m = |below: usize| {
            let place = index.wrapping_sub(below);
            if place < 9 { m[place] } else { 0 }
        };
        (m(3) << 9) + (m(6) << 18) - (m(7) << 21) + (m(8) << 24)
    };
    unrolled!(index in [0 1 2 3 4 5 6 7 8] {
        sum += columns.column(index) + multiples(&m, index);
        m[index] = sum & MASK;
        sum >>= BITS;
    });
    let mut limbs = [0_i64; 9];
    unrolled!(index in [0 1 2 3 4 5 6 7] {
        sum += columns.column(index + 9) + multiples(&m, index + 9) - i64::from(c[index]);
        limbs[index] = sum & MASK;
        sum >>= BITS;
    });
    sum -= i64::from(c[8]);
    // 2^256 is 2^224 - 2^192 - 2^96 + 1.
    let excess = sum >> 24;
    limbs[8] = sum - (excess << 24);
    limbs[7] += excess << 21;
    limbs[6] -= excess << 18;
    limbs[3] -= excess << 9;
    limbs[0] += excess;
    let limbs = limbs.map(|limb| limb as i32);
    debug_assert!(is_tight::<P256>(&limbs));
    limbs
}
