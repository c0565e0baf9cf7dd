//! What a Montgomery multiplication needs of the machine: rows of products, summed in columns.

use alloc::vec::Vec;

/// Arithmetic in signed limbs of `BITS` bits, the least significant first.
///
/// Operands and columns are kept in cells of `WIDTH` neighbours. A limb is *balanced* when it is at
/// least `-2^(BITS-1)` and below `2^(BITS-1)`; operands are, but for the highest limb, which is
/// smaller still where there is room in it, and takes the sign of the number.
pub(super) trait Kernel {
    /// Of a limb.
    const BITS: u32;
    /// Limbs in a cell of an operand, columns in a cell of columns: 1 or 2.
    const WIDTH: usize;
    /// How many products of two balanced limbs a column can hold, besides a carry.
    const CAPACITY: usize;

    /// `WIDTH` limbs.
    type Cell: Copy;
    /// `WIDTH` columns.
    type Column: Copy;
    /// A limb to multiply cells with.
    type Factor: Copy;

    /// Columns without anything in them.
    const EMPTY: Self::Column;
    /// A zero.
    const ZERO: Self::Cell;

    /// Two neighbouring limbs into cells.
    fn put(cells: &mut [Self::Cell], limbs: [i64; 2]);
    /// Two neighbouring limbs.
    fn limbs(cells: &[Self::Cell]) -> [i64; 2];
    /// Two neighbouring limbs, to multiply with.
    fn factors(cells: &[Self::Cell]) -> [Self::Factor; 2];
    /// A limb, to multiply with.
    fn factor_of(limb: i64) -> Self::Factor;
    /// Twice a factor.
    fn double(factor: Self::Factor) -> Self::Factor;

    /// The sums in two neighbouring columns, and what belongs to the next one besides. Apart from the
    /// products there is in them what `add_rows` left there.
    fn sums(columns: &[Self::Column]) -> ([i64; 2], i64);
    /// What would make up for all that is in these columns: their contents, negated.
    fn negated(columns: &[Self::Column]) -> Vec<Self::Column>;

    /// Adds the products of two factors and an operand, `columns` beginning at the product of the
    /// first limbs; there are two more of them than of limbs, or more. Besides the products, each
    /// column receives what depends on their number alone.
    fn add_two_rows(
        columns: &mut [Self::Column],
        factors: [Self::Factor; 2],
        operand: &[Self::Cell],
    );
    /// The same with four factors, and columns. The limbs of `below` are multiplied with `factors`,
    /// those of `above`, which follow them, with `doubled`.
    fn add_rows(
        columns: &mut [Self::Column],
        factors: [Self::Factor; 4],
        below: &[Self::Cell],
        doubled: [Self::Factor; 4],
        above: &[Self::Cell],
    );

    /// Carries, so that the sums can grow again. The last column keeps what it has.
    fn settle(columns: &mut [Self::Column]);
}

/// The balanced limb at the bottom of a sum, and the carry.
#[inline]
pub(super) fn split<K: Kernel + ?Sized>(sum: i64) -> (i64, i64) {
    // Rounded to the nearest, half up. Only sums within 2^BITS of the bounds of i64 could wrap, and
    // CAPACITY keeps them far from there.
    let carry = sum.wrapping_add(1 << (K::BITS - 1)) >> K::BITS;
    (sum.wrapping_sub(carry << K::BITS), carry)
}
