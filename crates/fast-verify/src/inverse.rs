//! The inverse of a number modulo an odd one.
//!
//! The division steps of D. J. Bernstein and B.-Y. Yang ("Fast constant-time gcd computation and
//! modular inversion", 2019), not in constant time: zeros are skipped, and a step of several bits is
//! taken at once. Thirty steps depend on the lowest thirty bits of both numbers only, and are a
//! linear map of both: so they are done on single words, and then applied to the long numbers with
//! four products for a limb.
//!
//! Why no sum overflows: limbs have [`BITS`] bits, the highest one (and only that) a sign. A map's rows
//! have absolute sums of at most `2^30`: a step doubles a row, or replaces one by the sum or difference
//! of both while the other is doubled. So a column of a row's two products is at most `2^60`, one with
//! a multiple of the modulus (below `2^31` times) at most `2^62`, and carries are below `2^33`.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "indices are loop counters below the length of the arrays; sums are bounded above"
)]

/// Bits of a limb, and steps that are taken at once.
const BITS: u32 = 30;
const MASK: i64 = (1 << BITS) - 1;
/// Enough for 544 bits, a factor of two, and a sign.
const LIMBS: usize = 19;

/// The `x` below the modulus for which `x·value` is 1 modulo it. Words of 32 bits, the least significant
/// one first; at most 17. None: there is no inverse, or the modulus is even, or the value is not below it.
pub(crate) fn inverse<const W: usize>(value: &[u32; W], modulus: &[u32; W]) -> Option<[u32; W]> {
    const { assert!(0 < W && W as u32 * 32 + 2 <= LIMBS as u32 * BITS) };
    let below = value.iter().rev().lt(modulus.iter().rev());
    if !below || modulus[0] & 1 == 0 {
        return None;
    }
    let words = modulus.iter().rposition(|word| *word != 0)? + 1;
    let bits = words * 32 - modulus[words - 1].leading_zeros() as usize;
    let length = (bits + 2).div_ceil(BITS as usize).min(LIMBS);
    let number = Number::from_words(modulus);
    let inverse = inverse_of(Number::from_words(value), &number, length, bits)?;
    Some(inverse.to_words())
}

/// The value's inverse. Numbers have `length` limbs, and the modulus `bits` bits.
fn inverse_of(value: Number, modulus: &Number, length: usize, bits: usize) -> Option<Number> {
    // Newton's iteration: each step doubles the number of good bits, from three.
    let lowest = modulus.0[0] as u32;
    let mut minus_inverse = lowest.wrapping_neg();
    for _ in 0..4 {
        minus_inverse =
            minus_inverse.wrapping_mul(lowest.wrapping_mul(minus_inverse).wrapping_add(2));
    }
    // Always: f is d times the value, and g is e times the value, modulo the modulus.
    let (mut f, mut g) = (*modulus, value);
    let (mut d, mut e) = (Number([0; LIMBS]), Number([0; LIMBS]));
    e.0[0] = 1;
    let mut delta = 1;
    // Limbs that f and g still have.
    let mut left = length;
    // Theorem 11.2 of the paper: g is zero after so many steps.
    for _ in 0..(49 * bits + 80).div_ceil(17 * BITS as usize) {
        let map = Map::of_steps(&mut delta, f.0[0] as u32, g.0[0] as u32);
        map.apply_modulo(&mut d, &mut e, modulus, minus_inverse, length);
        map.apply(&mut f, &mut g, left);
        if g.0[..left].iter().all(|limb| *limb == 0) {
            break;
        }
        let top = left - 1;
        let is_sign = |limb: i32| limb == 0 || limb == -1;
        if top > 0 && is_sign(f.0[top]) && is_sign(g.0[top]) {
            // The limb below becomes the one with the sign.
            f.0[top - 1] |= f.0[top] << BITS;
            g.0[top - 1] |= g.0[top] << BITS;
            left = top;
        }
    }
    // Now f is the greatest common divisor, or its negative.
    let rest_is = |limb: i32| f.0[1..left].iter().all(|other| *other == limb);
    if f.0[0] == 1 && rest_is(0) {
    } else if f.0[0] == if left == 1 { -1 } else { MASK as i32 } && is_minus_one(&f.0[1..left]) {
        d.negate(length);
    } else {
        return None;
    }
    // d is above -2 times the modulus, and below 2 times.
    for _ in 0..2 {
        if d.0[length - 1] < 0 {
            d.add(modulus, 1, length);
        }
    }
    let mut less = d;
    less.add(modulus, -1, length);
    Some(if less.0[length - 1] < 0 { d } else { less })
}

/// Whether the limbs above the lowest one are those of -1.
fn is_minus_one(limbs: &[i32]) -> bool {
    limbs
        .split_last()
        .is_none_or(|(top, rest)| *top == -1 && rest.iter().all(|limb| i64::from(*limb) == MASK))
}

/// What some steps make of two numbers `f` and `g`: `(u·f + v·g, q·f + r·g)`, over `2^BITS`.
struct Map {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

impl Map {
    /// [`BITS`] steps, for numbers that end in these bits, of which the first is odd. A step is, for
    /// `delta` above zero and odd `g`: `(1 - delta, g, (g - f)/2)`; otherwise
    /// `(1 + delta, f, (g + (g mod 2)·f)/2)`.
    fn of_steps(delta: &mut i32, mut f: u32, mut g: u32) -> Self {
        let (mut u, mut v, mut q, mut r) = (1_i32, 0_i32, 0_i32, 1_i32);
        let mut steps = BITS;
        loop {
            // Steps with an even g.
            let zeros = (g | (u32::MAX << steps)).trailing_zeros();
            g >>= zeros;
            u <<= zeros;
            v <<= zeros;
            *delta += zeros as i32;
            steps -= zeros;
            if steps == 0 {
                return Self { u: u.into(), v: v.into(), q: q.into(), r: r.into() };
            }
            if *delta > 0 {
                *delta = -*delta;
                (f, g) = (g, f.wrapping_neg());
                (u, q) = (q, u.wrapping_neg());
                (v, r) = (r, v.wrapping_neg());
            }
            // For 1 - delta steps, f stays; they add a multiple of it to g which makes the lowest
            // bits zero. Six of them at most: f·(f² - 2) is -1/f modulo 64.
            let count = (1 - *delta).cast_unsigned().min(steps).min(6);
            let minus_inverse = f.wrapping_mul(f.wrapping_mul(f).wrapping_sub(2));
            let times = g.wrapping_mul(minus_inverse) & ((1 << count) - 1);
            g = g.wrapping_add(f.wrapping_mul(times));
            q = q.wrapping_add(u.wrapping_mul(times.cast_signed()));
            r = r.wrapping_add(v.wrapping_mul(times.cast_signed()));
        }
    }

    /// The division by `2^BITS` is exact here.
    fn apply(&self, f: &mut Number, g: &mut Number, length: usize) {
        let Self { u, v, q, r } = *self;
        let (f, g) = (&mut f.0[..length], &mut g.0[..length]);
        let (mut f_sum, mut g_sum) = (0, 0);
        for index in 0..length {
            let (f_limb, g_limb) = (i64::from(f[index]), i64::from(g[index]));
            f_sum += u * f_limb + v * g_limb;
            g_sum += q * f_limb + r * g_limb;
            if index > 0 {
                f[index - 1] = (f_sum & MASK) as i32;
                g[index - 1] = (g_sum & MASK) as i32;
            } else {
                debug_assert!(f_sum & MASK == 0 && g_sum & MASK == 0);
            }
            f_sum >>= BITS;
            g_sum >>= BITS;
        }
        f[length - 1] = f_sum as i32;
        g[length - 1] = g_sum as i32;
    }

    /// Here it is modulo the modulus `m`. Numbers are above `-2m` and below `m`, before and after:
    /// with `m` added to a negative one, a row's sum is between `-2^30·m` and `2^30·m`, and what
    /// makes it divisible takes away less than `2^30·m`.
    fn apply_modulo(
        &self,
        d: &mut Number,
        e: &mut Number,
        modulus: &Number,
        minus_inverse: u32,
        length: usize,
    ) {
        let Self { u, v, q, r } = *self;
        let (d, e, m) = (&mut d.0[..length], &mut e.0[..length], &modulus.0[..length]);
        let (d_sign, e_sign) = (i64::from(d[length - 1] >> 31), i64::from(e[length - 1] >> 31));
        // How many times the modulus is added to each row.
        let times = |row: (i64, i64)| {
            let signs = (row.0 & d_sign) + (row.1 & e_sign);
            let lowest =
                row.0 * i64::from(d[0]) + row.1 * i64::from(e[0]) + signs * i64::from(m[0]);
            // Added to it, -(2^30 - x) times m is the same as x times, for the lowest bits.
            let divisible = i64::from((lowest as u32).wrapping_mul(minus_inverse)) & MASK;
            signs - (-divisible & MASK)
        };
        let (d_times, e_times) = (times((u, v)), times((q, r)));
        let (mut d_sum, mut e_sum) = (0, 0);
        for index in 0..length {
            let (d_limb, e_limb) = (i64::from(d[index]), i64::from(e[index]));
            let modulus = i64::from(m[index]);
            d_sum += u * d_limb + v * e_limb + d_times * modulus;
            e_sum += q * d_limb + r * e_limb + e_times * modulus;
            if index > 0 {
                d[index - 1] = (d_sum & MASK) as i32;
                e[index - 1] = (e_sum & MASK) as i32;
            } else {
                debug_assert!(d_sum & MASK == 0 && e_sum & MASK == 0);
            }
            d_sum >>= BITS;
            e_sum >>= BITS;
        }
        d[length - 1] = d_sum as i32;
        e[length - 1] = e_sum as i32;
    }
}

/// A number in limbs of [`BITS`] bits, the least significant one first; the highest one in use has the
/// sign.
#[derive(Clone, Copy)]
struct Number([i32; LIMBS]);

impl Number {
    fn from_words<const W: usize>(words: &[u32; W]) -> Self {
        let mut number = Self([0; LIMBS]);
        let (mut pending, mut bits, mut words) = (0_u64, 0, words.iter());
        for limb in &mut number.0 {
            if bits < BITS {
                pending |= u64::from(words.next().copied().unwrap_or_default()) << bits;
                bits += u32::BITS;
            }
            *limb = (pending as i64 & MASK) as i32;
            pending >>= BITS;
            bits -= BITS;
        }
        number
    }

    /// Of a number that is not negative and not too long.
    fn to_words<const W: usize>(self) -> [u32; W] {
        let mut words = [0; W];
        let (mut pending, mut bits, mut limbs) = (0_u64, 0, self.0.iter());
        for word in &mut words {
            while bits < u32::BITS {
                let limb = limbs.next().copied().unwrap_or_default();
                pending |= u64::from(limb.cast_unsigned()) << bits;
                bits += BITS;
            }
            *word = pending as u32;
            pending >>= u32::BITS;
            bits -= u32::BITS;
        }
        words
    }

    fn add(&mut self, other: &Self, times: i64, length: usize) {
        self.combine(1, other, times, length);
    }

    fn negate(&mut self, length: usize) {
        self.combine(-1, &Self([0; LIMBS]), 0, length);
    }

    /// `by·self + times·other`.
    fn combine(&mut self, by: i64, other: &Self, times: i64, length: usize) {
        let mut sum = 0;
        for (limb, other) in self.0[..length].iter_mut().zip(&other.0) {
            sum += by * i64::from(*limb) + times * i64::from(*other);
            *limb = (sum & MASK) as i32;
            sum >>= BITS;
        }
        let top = &mut self.0[length - 1];
        *top |= (sum << BITS) as i32;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// `(2·number + bit) mod modulus` for a number below it, word by word.
    fn append<const W: usize>(number: &mut [u32; W], bit: u32, modulus: &[u32; W]) {
        let mut carry = bit;
        for word in number.iter_mut() {
            let sum = u64::from(*word) << 1 | u64::from(carry);
            (*word, carry) = (sum as u32, (sum >> 32) as u32);
        }
        if carry == 1 || !number.iter().rev().lt(modulus.iter().rev()) {
            subtract(number, modulus);
        }
    }

    fn subtract<const W: usize>(number: &mut [u32; W], other: &[u32; W]) {
        let mut borrow = false;
        for (word, other) in number.iter_mut().zip(other) {
            let (difference, first) = word.overflowing_sub(*other);
            let (difference, second) = difference.overflowing_sub(u32::from(borrow));
            (*word, borrow) = (difference, first || second);
        }
    }

    fn add<const W: usize>(number: &mut [u32; W], other: &[u32; W], modulus: &[u32; W]) {
        let mut carry = 0;
        for (word, other) in number.iter_mut().zip(other) {
            let sum = u64::from(*word) + u64::from(*other) + carry;
            (*word, carry) = (sum as u32, sum >> 32);
        }
        if carry == 1 || !number.iter().rev().lt(modulus.iter().rev()) {
            subtract(number, modulus);
        }
    }

    fn bits<const W: usize>(number: &[u32; W]) -> impl Iterator<Item = u32> {
        number.iter().rev().flat_map(|word| (0..32).rev().map(move |bit| word >> bit & 1))
    }

    /// By doubling and adding.
    fn product<const W: usize>(a: &[u32; W], b: &[u32; W], modulus: &[u32; W]) -> [u32; W] {
        let mut product = [0; W];
        for bit in bits(a) {
            append(&mut product, 0, modulus);
            if bit == 1 {
                add(&mut product, b, modulus);
            }
        }
        product
    }

    fn one<const W: usize>() -> [u32; W] {
        core::array::from_fn(|index| u32::from(index == 0))
    }

    fn is_zero<const W: usize>(number: &[u32; W]) -> bool {
        number.iter().all(|word| *word == 0)
    }

    /// By Euclid's algorithm, whether there is an inverse.
    fn are_coprime<const W: usize>(a: &[u32; W], b: &[u32; W]) -> bool {
        let (mut a, mut b) = (*a, *b);
        while !is_zero(&b) {
            let mut rest = [0; W];
            bits(&a).for_each(|bit| append(&mut rest, bit, &b));
            (a, b) = (b, rest);
        }
        a == one()
    }

    /// Whether there was one.
    #[track_caller]
    fn check<const W: usize>(value: &[u32; W], modulus: &[u32; W]) -> bool {
        let Some(inverse) = inverse(value, modulus) else { return false };
        assert!(inverse.iter().rev().lt(modulus.iter().rev()), "{value:x?} {modulus:x?}");
        let mut one = one();
        if *modulus == one {
            one = [0; W];
        }
        assert_eq!(product(value, &inverse, modulus), one, "{value:x?} {modulus:x?}");
        true
    }

    fn minus<const W: usize>(number: &[u32; W], other: u32) -> [u32; W] {
        let mut difference = *number;
        let mut subtrahend = [0; W];
        subtrahend[0] = other;
        subtract(&mut difference, &subtrahend);
        difference
    }

    fn check_edges<const W: usize>() {
        let mut moduli: Vec<[u32; W]> = Vec::new();
        for bits in
            [1, 2, 3, 28, 29, 30, 31, 32, 33, 58, 59, 60, 61, 62, 63, 64, 88, 89, 90, 91, 255]
                .into_iter()
                .chain([W * 32 - 3, W * 32 - 2, W * 32 - 1, W * 32])
        {
            let ones: [u32; W] = core::array::from_fn(|index| {
                let above = (32 * index).max(bits) - 32 * index;
                if above >= 32 { u32::MAX } else { (1 << above) - 1 }
            });
            moduli.push(ones);
            let mut sparse = [0; W];
            sparse[(bits - 1) / 32] = 1 << ((bits - 1) % 32);
            sparse[0] |= 1;
            moduli.push(sparse);
            moduli.push(minus(&ones, 18));
        }
        for modulus in moduli {
            if modulus[0] & 1 == 0 || modulus == one() {
                continue;
            }
            assert_eq!(inverse(&[0; W], &modulus), None);
            assert_eq!(inverse(&modulus, &modulus), None);
            assert_eq!(inverse(&[u32::MAX; W], &modulus), None);
            assert_eq!(inverse(&one(), &modulus), Some(one()));
            assert!(check(&minus(&modulus, 1), &modulus));
            for shift in 0..W * 32 {
                let mut power = [0; W];
                power[shift / 32] = 1 << (shift % 32);
                for value in [power, minus(&power, 1)] {
                    if value.iter().rev().lt(modulus.iter().rev()) {
                        let coprime = are_coprime(&modulus, &value);
                        assert_eq!(check(&value, &modulus), coprime, "{value:x?} {modulus:x?}");
                    }
                }
            }
        }
    }

    #[test]
    fn edges() {
        check_edges::<8>();
        check_edges::<12>();
        check_edges::<17>();
        assert_eq!(inverse(&[3], &[8]), None, "an even modulus");
        assert_eq!(inverse(&[0], &[0]), None);
        assert_eq!(inverse(&[21], &[35]), None);
        assert_eq!(inverse(&[2], &[u32::MAX]), Some([1 << 31]));
    }

    /// Words of which many are all ones or all zeros.
    fn words<const W: usize>() -> impl Strategy<Value = [u32; W]> {
        let word = prop_oneof![3 => any::<u32>(), 1 => Just(u32::MAX), 1 => Just(0)];
        proptest::collection::vec(word, W).prop_map(|words| words.try_into().unwrap())
    }

    fn check_any<const W: usize>(value: &[u32; W], modulus: &[u32; W]) {
        let mut modulus = *modulus;
        modulus[0] |= 1;
        let mut value = *value;
        if !value.iter().rev().lt(modulus.iter().rev()) {
            (value, modulus) = (minus(&modulus, 1), value);
            modulus[0] |= 1;
        }
        let found = check(&value, &modulus);
        // Euclid by bits is slow, and the smaller the operands, the more have no inverse.
        if W < 8 {
            assert_eq!(found, are_coprime(&modulus, &value));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(
            std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000)
        ))]

        #[test]
        fn any_operands(
            a in words::<17>(), b in words::<17>(), c in words::<12>(), d in words::<12>(),
            e in words::<8>(), f in words::<8>(), g in words::<2>(), h in words::<2>(),
        ) {
            check_any(&a, &b);
            check_any(&c, &d);
            check_any(&e, &f);
            check_any(&g, &h);
            check_any(&[g[0]], &[h[0]]);
        }
    }
}
