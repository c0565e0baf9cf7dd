//! Limbs of 51 bits, products in floating point by fused multiply-adds, columns in 64-bit integers.
//!
//! **Why nothing is lost.** A floating-point number has 53 bits. Limbs are balanced, at most `2^50`, and
//! a factor is a limb or twice a limb, so a product `p` of 102 bits is at most `2^101`.
//!
//! - `high = p + HIGH`, rounded once, with `HIGH = 3·2^102`. The sum is between `2^103` and `2^104`, where
//!   neighbouring numbers differ by `2^51`. So `high` is `HIGH + h·2^51`, `h` being the integer nearest
//!   to `p/2^51`, at most `2^50` in magnitude. In that range one more in the last place is one more in
//!   the number's 64 bits, read as an integer: these are the bits of `HIGH`, plus `h`.
//! - `(HIGH + LOW) - high = LOW - h·2^51`, with `LOW = 3·2^51`, is `2^51·(3 - h)`: exact, and so is
//!   `HIGH + LOW = 2^51·(3·2^51 + 3)`.
//! - `low = p + (LOW - h·2^51)`, rounded once, is `LOW + l` with `l = p - h·2^51`, at most `2^50` in
//!   magnitude. It is between `2^52` and `2^53`, where neighbours differ by 1: nothing is rounded, and
//!   the bits are those of `LOW`, plus `l`.
//!
//! So `p = h·2^51 + l`, exactly, whatever way ties are rounded. The bits are added as integers, modulo
//! `2^64`: `h` belongs one column higher than `l`. How often the bits of `HIGH` and `LOW` are in a column
//! depends on the count of limbs alone; columns start with that negated (see `Modulus::balance`).
//!
//! **Why no column overflows** is asserted in `SOUND`: sums of `h` and `l` need not be carried.
//!
//! **It must be fused.** Rounded twice, `p` loses its lower half. Relaxed SIMD leaves that open, and a
//! processor without such an instruction does it: [`is_fused`] has to be asked first.

use alloc::vec::Vec;
use core::cell::Cell;
#[cfg(any(test, target_arch = "wasm32"))]
use core::hint::black_box;
use core::marker::PhantomData;

use super::MAX_OCTETS;
use super::kernel::Kernel;
use super::lanes::Lanes;
use super::montgomery::ROOM;
#[cfg(any(test, target_arch = "wasm32"))]
use super::{Modulus, Scalar};

/// `3·2^102`: what is added to it is rounded to multiples of `2^51`.
const HIGH: f64 = 3.0 * (1_u128 << 102) as f64;
/// `3·2^51`: what is added to it is rounded to integers.
const LOW: f64 = 3.0 * (1_u64 << 51) as f64;
/// The bits of `LOW` as an integer.
const LOW_BITS: i64 = LOW.to_bits().cast_signed();

/// The arithmetic for machines with fused multiply-adds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fused<V>(PhantomData<V>);

/// Columns, two and two: `even` are two neighbours of which the first has an even index, `odd` the
/// two that begin one higher. What a column holds is in one of either: the sum of both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns<V> {
    even: V,
    odd: V,
}

impl<V: Lanes> Fused<V> {
    /// The bounds of the module's comment.
    const SOUND: () = {
        let limb = 1_i128 << (Self::BITS - 1);
        let product = 2 * limb * limb;
        assert!(HIGH as i128 - product >= 1 << 103 && HIGH as i128 + product <= 1 << 104);
        assert!(LOW as i128 - limb >= 1 << 52 && LOW as i128 + limb <= 1 << 53);
        assert!((HIGH + LOW) as i128 == HIGH as i128 + LOW as i128);
        // The longest numbers; products of two, and of a quotient and the modulus, in each column.
        let limbs = (8 * MAX_OCTETS + ROOM).div_ceil(Self::BITS as usize) + 1;
        assert!(2 * limbs <= Self::CAPACITY);
        // A high half, a low half and a carry for each.
        assert!(Self::CAPACITY as i128 * (4 * limb) < 1 << 63);
    };
}

/// Whether multiply-adds are fused in both lanes, by what they should be equal to.
#[cfg(any(test, target_arch = "wasm32"))]
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "simd128,relaxed-simd")
)]
pub(super) fn is_fused<V: Lanes>() -> bool {
    // (2^50 - 1)·(2^50 - 1) = (2^49 - 1)·2^51 + 1, and (3 - 2^50)·(2^50 - 1) = (2 - 2^49)·2^51 - 3.
    // Rounded to 53 bits, both would lose the last term.
    let most = (1_i64 << 50) - 1;
    let mut cells = [V::ZERO; 2];
    Fused::<V>::put(&mut cells[..1], black_box([most, 2 - most]));
    Fused::<V>::put(&mut cells[1..], black_box([most, most]));
    let (high, low) = products(cells[0], cells[1]);
    let half = 1_i64 << 49;
    let bits = |number: f64, more: i64| number.to_bits().cast_signed() + more;
    high.integers() == [bits(HIGH, half - 1), bits(HIGH, 2 - half)]
        && low.integers() == [bits(LOW, 1), bits(LOW, -3)]
        && agrees::<V>()
}

/// Whether a whole computation has the result that it should have.
#[cfg(any(test, target_arch = "wasm32"))]
fn agrees<V: Lanes>() -> bool {
    let (mut n, mut s) = ([0xff; 65], [0x5a; 65]);
    for (index, octet) in (0..).zip(n.iter_mut().step_by(3)) {
        *octet = 0x81 ^ (4 * index);
    }
    s[64] = 0xfe;
    let fused = Modulus::<Fused<V>>::new(&n).power(&s, 16);
    fused.is_some() && fused == Modulus::<Scalar>::new(&n).power(&s, 16)
}

impl<V: Lanes> Kernel for Fused<V> {
    const BITS: u32 = 51;
    const WIDTH: usize = 2;
    /// More than there ever are: see `SOUND`.
    const CAPACITY: usize = 1 << 10;

    type Cell = V;
    type Column = Columns<V>;
    type Factor = V;

    const EMPTY: Columns<V> = Columns { even: V::ZERO, odd: V::ZERO };
    const ZERO: V = V::ZERO;

    #[inline(always)]
    fn put(cells: &mut [V], limbs: [i64; 2]) {
        // As bits: an integer added to the bits of LOW is added to the number.
        let bits = V::of_integers(limbs).plus(V::splat(LOW));
        cells[0] = bits.minus(V::splat(LOW));
    }

    #[inline(always)]
    fn limbs(cells: &[V]) -> [i64; 2] {
        cells[0].floats().map(|limb| (limb + LOW).to_bits().cast_signed() - LOW_BITS)
    }

    #[inline(always)]
    fn factors(cells: &[V]) -> [V; 2] {
        cells[0].floats().map(V::splat)
    }

    #[inline(always)]
    fn factor_of(limb: i64) -> V {
        V::splat(limb as f64)
    }

    #[inline(always)]
    fn double(factor: V) -> V {
        factor.twice()
    }

    #[inline(always)]
    fn sums(columns: &[Columns<V>]) -> ([i64; 2], i64) {
        let ([first, second], [also_second, third]) =
            (columns[0].even.integers(), columns[0].odd.integers());
        ([first, second.wrapping_add(also_second)], third)
    }

    fn negated(columns: &[Columns<V>]) -> Vec<Columns<V>> {
        let negated = |lanes: V| V::of_integers(lanes.integers().map(i64::wrapping_neg));
        columns
            .iter()
            .map(|columns| Columns { even: negated(columns.even), odd: negated(columns.odd) })
            .collect()
    }

    #[inline(always)]
    fn add_two_rows(columns: &mut [Columns<V>], factors: [V; 2], operand: &[V]) {
        add_two_rows(columns, factors, operand);
    }

    #[inline(always)]
    fn add_rows(
        columns: &mut [Columns<V>],
        factors: [V; 4],
        below: &[V],
        doubled: [V; 4],
        above: &[V],
    ) {
        let () = Self::SOUND;
        add_rows(columns, factors, below, doubled, above);
    }

    // Never called: CAPACITY is not reached.
    fn settle(_: &mut [Columns<V>]) {}
}

/// The high and the low half of both products, each with what was added to round there.
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "simd128,relaxed-simd")
)]
#[inline]
fn products<V: Lanes>(factor: V, limbs: V) -> (V, V) {
    let high = factor.multiply_add(limbs, V::splat(HIGH));
    (high, factor.multiply_add(limbs, V::splat(HIGH + LOW).minus(high)))
}

/// See [`Kernel::add_two_rows`].
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "simd128,relaxed-simd")
)]
#[inline]
fn add_two_rows<V: Lanes>(columns: &mut [Columns<V>], factors: [V; 2], operand: &[V]) {
    let columns = Cell::from_mut(&mut columns[..=operand.len()]).as_slice_of_cells();
    let [factor_0, factor_1] = factors;
    let mut even = columns[0].get().even;
    for (window, limbs) in columns.windows(2).zip(operand) {
        let [here, next] = window else { break };
        let (high, low) = products(factor_0, *limbs);
        even = even.plus(low);
        let odd = here.get().odd.plus(high);
        let (high, low) = products(factor_1, *limbs);
        here.set(Columns { even, odd: odd.plus(low) });
        even = next.get().even.plus(high);
    }
    let last = &columns[operand.len()];
    last.set(Columns { even, ..last.get() });
}

/// See [`Kernel::add_rows`].
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "simd128,relaxed-simd")
)]
#[inline]
fn add_rows<V: Lanes>(
    columns: &mut [Columns<V>],
    factors: [V; 4],
    below: &[V],
    doubled: [V; 4],
    above: &[V],
) {
    let last = below.len() + above.len();
    let columns = Cell::from_mut(&mut columns[..last + 2]).as_slice_of_cells();
    // The columns that the next limbs of the operand reach, too, stay in registers.
    let Columns { even, odd } = columns[0].get();
    let mut open = (even, odd, columns[1].get().even);
    for (window, limbs) in columns.windows(3).zip(below) {
        open = add_cell(window, open, factors, *limbs);
    }
    for (window, limbs) in columns[below.len()..].windows(3).zip(above) {
        open = add_cell(window, open, doubled, *limbs);
    }
    let (even, odd, next_even) = open;
    columns[last].set(Columns { even, odd });
    let last = &columns[last + 1];
    last.set(Columns { even: next_even, ..last.get() });
}

/// Adds the products of four factors and two limbs. `open` are the contents of the first three
/// vectors of columns; the next three are returned.
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "simd128,relaxed-simd")
)]
#[inline]
fn add_cell<V: Lanes>(
    window: &[Cell<Columns<V>>],
    open: (V, V, V),
    factors: [V; 4],
    limbs: V,
) -> (V, V, V) {
    let Some([here, next, next_but_one]) = window.first_chunk() else { return open };
    let (even, odd, next_even) = open;
    let (high, low) = products(factors[0], limbs);
    let (even, odd) = (even.plus(low), odd.plus(high));
    let (high, low) = products(factors[1], limbs);
    here.set(Columns { even, odd: odd.plus(low) });
    let even = next_even.plus(high);
    let (high, low) = products(factors[2], limbs);
    let (even, odd) = (even.plus(low), next.get().odd.plus(high));
    let (high, low) = products(factors[3], limbs);
    (even, odd.plus(low), next_but_one.get().even.plus(high))
}

#[cfg(test)]
mod tests {
    use super::super::lanes::emulated::Emulated;
    use super::*;

    #[test]
    fn a_machine_that_does_not_fuse_is_found_out() {
        assert!(is_fused::<Emulated<0b00>>());
        assert!(!is_fused::<Emulated<0b01>>());
        assert!(!is_fused::<Emulated<0b10>>());
        assert!(!is_fused::<Emulated<0b11>>());
    }

    /// High and low halves of products at every bound, against integers.
    #[test]
    fn products_are_exact() {
        let most = 1_i64 << 50;
        let limbs = [0, 1, 2, 3, most / 2, most / 2 + 1, most - 3, most - 2, most - 1, most];
        let signed = || limbs.into_iter().flat_map(|limb| [limb, -limb]);
        for (a, b) in signed().flat_map(|a| signed().map(move |b| (a, b))) {
            for factor in [1, 2] {
                let lane = |limb: i64| Emulated::<0>::splat(limb as f64);
                let (high, low) = products(lane(factor * a), lane(b));
                let of = |lanes: Emulated<0>, bias: f64| {
                    i128::from(lanes.integers()[1] - bias.to_bits().cast_signed())
                };
                let (high, low) = (of(high, HIGH), of(low, LOW));
                assert_eq!((high << 51) + low, i128::from(factor * a) * i128::from(b));
                assert!(high.abs() <= 1 << 50 && low.abs() <= 1 << 50);
            }
        }
    }
}
