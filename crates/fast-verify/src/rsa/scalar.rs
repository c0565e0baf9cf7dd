//! Limbs of 29 bits, products and columns in 64-bit integers.
//!
//! WebAssembly has no product of more than 64 bits, and no carry flag. Two balanced limbs multiply
//! into at most `2^56`, so a column holds 127 products before it has to be carried.

use alloc::vec::Vec;
use core::cell::Cell;

use super::kernel::{Kernel, split};

/// The portable arithmetic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar;

impl Scalar {
    /// Products at their greatest, a carry of the greatest sum, and a balanced limb.
    const SOUND: () = {
        let product = 1_i128 << (2 * (Self::BITS - 1));
        let carry = 1_i128 << (63 - Self::BITS);
        let limb = 1_i128 << (Self::BITS - 1);
        assert!(Self::CAPACITY as i128 * product + carry + limb < 1 << 63);
    };
}

impl Kernel for Scalar {
    const BITS: u32 = 29;
    const WIDTH: usize = 1;
    const CAPACITY: usize = 124;

    type Cell = i64;
    type Column = i64;
    type Factor = i64;

    const EMPTY: i64 = 0;
    const ZERO: i64 = 0;

    #[inline]
    fn put(cells: &mut [i64], limbs: [i64; 2]) {
        cells.copy_from_slice(&limbs);
    }

    #[inline]
    fn limbs(cells: &[i64]) -> [i64; 2] {
        [cells[0], cells[1]]
    }

    #[inline]
    fn factors(cells: &[i64]) -> [i64; 2] {
        [cells[0], cells[1]]
    }

    #[inline]
    fn factor_of(limb: i64) -> i64 {
        limb
    }

    #[inline]
    fn double(factor: i64) -> i64 {
        2 * factor
    }

    #[inline]
    fn sums(columns: &[i64]) -> ([i64; 2], i64) {
        ([columns[0], columns[1]], 0)
    }

    fn negated(columns: &[i64]) -> Vec<i64> {
        columns.iter().map(|column| -column).collect()
    }

    #[inline]
    fn add_two_rows(columns: &mut [i64], factors: [i64; 2], operand: &[i64]) {
        let columns = Cell::from_mut(&mut columns[..=operand.len()]).as_slice_of_cells();
        let mut first = columns[0].get();
        for (window, limb) in columns.windows(2).zip(operand) {
            let [here, next] = window else { break };
            here.set(first + factors[0] * limb);
            first = next.get() + factors[1] * limb;
        }
        columns[operand.len()].set(first);
    }

    #[inline]
    fn add_rows(
        columns: &mut [i64],
        factors: [i64; 4],
        below: &[i64],
        doubled: [i64; 4],
        above: &[i64],
    ) {
        let () = Self::SOUND;
        let last = below.len() + above.len();
        let columns = Cell::from_mut(&mut columns[..last + 3]).as_slice_of_cells();
        // The columns that the next limbs of the operand reach, too, stay in registers.
        let (mut first, mut second, mut third) =
            (columns[0].get(), columns[1].get(), columns[2].get());
        for (window, limb) in columns.windows(4).zip(below) {
            let [here, _, _, fourth] = window else { break };
            here.set(first + factors[0] * limb);
            first = second + factors[1] * limb;
            second = third + factors[2] * limb;
            third = fourth.get() + factors[3] * limb;
        }
        for (window, limb) in columns[below.len()..].windows(4).zip(above) {
            let [here, _, _, fourth] = window else { break };
            here.set(first + doubled[0] * limb);
            first = second + doubled[1] * limb;
            second = third + doubled[2] * limb;
            third = fourth.get() + doubled[3] * limb;
        }
        columns[last].set(first);
        columns[last + 1].set(second);
        columns[last + 2].set(third);
    }

    fn settle(columns: &mut [i64]) {
        let Some((last, columns)) = columns.split_last_mut() else { return };
        let mut carry = 0;
        for column in columns {
            (*column, carry) = split::<Self>(*column + carry);
        }
        *last += carry;
    }
}
