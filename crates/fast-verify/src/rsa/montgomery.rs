//! `s^e mod n` by Montgomery multiplication (P. L. Montgomery, 1985), for any [`Kernel`].
//!
//! A number has an even count of limbs, is balanced, and may be negative: it stands for its residue.
//! A multiplication first adds up all products in columns, then makes the lower half of the columns
//! vanish by adding multiples of `n`, `TILE` columns at a time.
//!
//! **Quotients without multiplication.** Let `X = 2^(TILE·BITS)`, and `k = -1/n mod X`, so that
//! `k·n = folded·X - 1`. Where the lowest columns sum up to `t` (and a carry), adding `t·k·n` leaves
//! `t·folded` on top of what is above them. So `t` itself, which is at hand at once, multiplies
//! `folded`, which is as long as `n`. As `t·k` is as long as two tiles, the result is greater than it
//! needs to be, by up to `X·n` over the tile's place; the next tile divides that by `X` again. Only
//! the last tile must take its quotient modulo `X`, `t·k mod X`, and multiplies `n` with it.
//!
//! **How great numbers become.** A balanced `t`, `k` or quotient is at most `X/2·(1 + 2^(2-BITS))`, so
//! `folded` is at most about `n/2`. Divided by `R`, what the last tile adds is at most about `n/2`, the
//! one before it about `n/4`, and all others less than `2^-100·n`. With operands of at most `4n` and
//! `R >= 2^ROOM·n = 64n`, the product `a·b/R` is at most `n/4`; so the result is at most about `n`, and
//! twice that is an operand again. In the end one factor is below `n`, and the result below `0.8n`,
//! so that adding `n` once, or nothing, brings it between `0` and `n`. `64n <= R` also leaves room in
//! the highest limb: no balanced number has a carry out of it.

use alloc::vec;
use alloc::vec::Vec;

use super::kernel::{Kernel, split};
use super::plain::{double, from_octets, inverse, less, subtract, to_octets};

/// Limbs that are reduced at a time.
pub(super) const TILE: usize = 4;
/// `R` is at least `2^ROOM` times `n`.
pub(super) const ROOM: usize = 6;

/// An odd modulus, and what depends on it alone.
#[derive(Clone, Debug)]
pub(super) struct Modulus<K: Kernel> {
    /// How many a number has; even. `R = 2^(BITS·limbs)`.
    limbs: usize,
    /// `n`, in limbs from 0 to `2^BITS - 1`.
    plain: Vec<i64>,
    /// `n`.
    n: Vec<K::Cell>,
    /// `k`, which makes `k·n` -1 modulo `2^(TILE·BITS)`.
    k: Vec<K::Cell>,
    /// `(k·n + 1) / 2^(TILE·BITS)`.
    folded: Vec<K::Cell>,
    /// `R^2 mod n` or more by few `n`, which brings a number into Montgomery form.
    r_squared: Vec<K::Cell>,
    /// What columns hold at the beginning of a square or a product so that in the end they hold it
    /// and nothing else.
    square_start: Vec<K::Column>,
    product_start: Vec<K::Column>,
    /// What `add_rows` leaves in the lowest columns besides a product of `TILE` rows.
    excess: [i64; TILE],
}

impl<K: Kernel> Modulus<K> {
    /// Of this big-endian number, which is odd and has no leading zeros.
    pub(super) fn new(octets: &[u8]) -> Self {
        let bits = 8 * octets.len() - octets[0].leading_zeros() as usize;
        let limbs = (bits + ROOM).div_ceil(K::BITS as usize).next_multiple_of(2);
        let plain = from_octets(octets, K::BITS, limbs);
        let zero = vec![K::ZERO; limbs / K::WIDTH];
        let nothing = vec![K::EMPTY; 2 * limbs / K::WIDTH];
        let mut this = Self {
            limbs,
            n: zero.clone(),
            k: zero[..TILE / K::WIDTH].to_vec(),
            folded: zero.clone(),
            r_squared: Vec::new(),
            square_start: nothing.clone(),
            product_start: nothing.clone(),
            excess: [0; TILE],
            plain,
        };
        this.balance(&zero);
        this.n = balanced::<K>(&this.plain);
        let k = inverse(&this.plain, K::BITS);
        this.k = balanced::<K>(&k);
        this.folded = this.fold(&zero, nothing);
        this.r_squared = this.r_squared();
        this
    }

    /// `s^(2^squarings + 1) mod n`. None: `s`, as long as the modulus, is not less.
    #[cfg_attr(
        all(target_arch = "wasm32", feature = "relaxed-simd"),
        target_feature(enable = "simd128,relaxed-simd")
    )]
    pub(super) fn power(&self, s: &[u8], squarings: u32) -> Option<Vec<u8>> {
        let plain = from_octets(s, K::BITS, self.limbs);
        if !less(&plain, &self.plain) {
            return None;
        }
        let s_cells = balanced::<K>(&plain);
        let mut columns = self.square_start.clone();
        let mut power = s_cells.clone();
        self.multiply(&mut columns, &mut power, &self.r_squared);
        for _ in 0..squarings {
            self.square(&mut columns, &mut power);
        }
        // By a number that is not in Montgomery form: the product is not, either.
        self.multiply(&mut columns, &mut power, &s_cells);
        Some(to_octets(&self.reduced(&power), K::BITS, s.len()))
    }

    /// `a^2/R`, modulo `n`.
    #[cfg_attr(
        all(target_arch = "wasm32", feature = "relaxed-simd"),
        target_feature(enable = "simd128,relaxed-simd")
    )]
    fn square(&self, columns: &mut [K::Column], a: &mut [K::Cell]) {
        columns.copy_from_slice(&self.square_start);
        self.add_square(columns, a);
        let carry = self.reduce(columns);
        put_all::<K>(&columns[self.limbs / K::WIDTH..], carry, a);
    }

    /// `a·b/R`, modulo `n`.
    #[cfg_attr(
        all(target_arch = "wasm32", feature = "relaxed-simd"),
        target_feature(enable = "simd128,relaxed-simd")
    )]
    fn multiply(&self, columns: &mut [K::Column], a: &mut [K::Cell], b: &[K::Cell]) {
        columns.copy_from_slice(&self.product_start);
        self.add_product(columns, a, b);
        let carry = self.reduce(columns);
        put_all::<K>(&columns[self.limbs / K::WIDTH..], carry, a);
    }

    #[cfg_attr(
        all(target_arch = "wasm32", feature = "relaxed-simd"),
        target_feature(enable = "simd128,relaxed-simd")
    )]
    fn add_square(&self, columns: &mut [K::Column], a: &[K::Cell]) {
        let first = self.limbs % TILE;
        if first != 0 {
            let factors = K::factors(a);
            let (own, above) = a.split_at(2 / K::WIDTH);
            K::add_two_rows(columns, factors, own);
            let doubled = [K::double(factors[0]), K::double(factors[1])];
            K::add_two_rows(&mut columns[2 / K::WIDTH..], doubled, above);
        }
        let mut settled = 0;
        for at in (first..self.limbs).step_by(TILE) {
            // A row adds two products to a column; all of them, no more than there are limbs.
            if self.limbs > K::CAPACITY && 2 * (at + TILE - settled) > K::CAPACITY {
                K::settle(columns);
                settled = at;
            }
            // The products of these limbs with each other, and twice those with the limbs above.
            let (own, above) = a[at / K::WIDTH..].split_at(TILE / K::WIDTH);
            let factors = factors::<K>(own);
            let [f0, f1, f2, f3] = factors;
            let doubled = [K::double(f0), K::double(f1), K::double(f2), K::double(f3)];
            K::add_rows(&mut columns[2 * at / K::WIDTH..], factors, own, doubled, above);
        }
    }

    #[cfg_attr(
        all(target_arch = "wasm32", feature = "relaxed-simd"),
        target_feature(enable = "simd128,relaxed-simd")
    )]
    fn add_product(&self, columns: &mut [K::Column], a: &[K::Cell], b: &[K::Cell]) {
        let first = self.limbs % TILE;
        if first != 0 {
            K::add_two_rows(columns, K::factors(a), b);
        }
        let mut settled = 0;
        for at in (first..self.limbs).step_by(TILE) {
            if at + TILE - settled > K::CAPACITY {
                K::settle(columns);
                settled = at;
            }
            let factors = factors::<K>(&a[at / K::WIDTH..]);
            K::add_rows(&mut columns[at / K::WIDTH..], factors, &[], factors, b);
        }
    }

    /// Adds multiples of `n` until the lower half of the columns vanishes. Returns its carry.
    #[cfg_attr(
        all(target_arch = "wasm32", feature = "relaxed-simd"),
        target_feature(enable = "simd128,relaxed-simd")
    )]
    fn reduce(&self, columns: &mut [K::Column]) -> i64 {
        // Outer columns, below this one or as far from the upper end, do not see so many products:
        // of either kind column j has at most j + 1, and 2·limbs - 1 - j, or TILE more than that.
        let outer = K::CAPACITY / 2;
        if self.limbs > outer {
            let end = 2 * self.limbs - outer + TILE;
            K::settle(&mut columns[outer / K::WIDTH..end / K::WIDTH]);
        }
        let (mut carry, mut settled) = (0, 0);
        let first = self.limbs % TILE;
        let last = self.limbs - TILE;
        if first != 0 {
            let (low, carried) = low_two::<K>(columns, 0);
            carry = carried;
            let factors = [K::factor_of(low[0]), K::factor_of(low[1])];
            K::add_two_rows(&mut columns[TILE / K::WIDTH..], factors, &self.folded);
        }
        for at in (first..last).step_by(TILE) {
            // The last tile, too, finds room.
            if at + 2 * TILE - settled > K::CAPACITY {
                K::settle(&mut columns[at / K::WIDTH..]);
                settled = at;
            }
            let (low, carried) = low::<K>(&columns[at / K::WIDTH..], [0; TILE], carry);
            carry = carried;
            let above = &mut columns[(at + TILE) / K::WIDTH..];
            let factors = factors_of::<K>(low);
            K::add_rows(above, factors, &[], factors, &self.folded);
        }
        let columns = &mut columns[last / K::WIDTH..];
        let (low_limbs, _) = low::<K>(columns, self.excess, carry);
        let mut scratch = [K::EMPTY; 2 * TILE];
        let factors = factors_of::<K>(low_limbs);
        K::add_rows(&mut scratch, factors, &[], factors, &self.k);
        let (quotient, _) = low::<K>(&scratch, self.excess.map(i64::wrapping_neg), 0);
        let factors = factors_of::<K>(quotient);
        K::add_rows(columns, factors, &[], factors, &self.n);
        low::<K>(columns, [0; TILE], carry).1
    }

    /// Finds out, with a modulus of zero, what there is besides the products.
    fn balance(&mut self, zero: &[K::Cell]) {
        let mut scratch = [K::EMPTY; 2 * TILE];
        let nothing = [K::factor_of(0); TILE];
        K::add_rows(&mut scratch, nothing, &[], nothing, &self.k);
        let ([a, b], carry) = K::sums(&scratch);
        let ([c, d], _) = K::sums(&scratch[2 / K::WIDTH..]);
        self.excess = [a, b, c.wrapping_add(carry), d];
        let mut columns = self.square_start.clone();
        self.add_square(&mut columns, zero);
        self.reduce(&mut columns);
        self.square_start = K::negated(&columns);
        let mut columns = self.product_start.clone();
        self.add_product(&mut columns, zero, zero);
        self.reduce(&mut columns);
        self.product_start = K::negated(&columns);
    }

    /// `(k·n + 1) / 2^(TILE·BITS)`.
    fn fold(&self, zero: &[K::Cell], mut columns: Vec<K::Column>) -> Vec<K::Cell> {
        let k = factors::<K>(&self.k);
        K::add_rows(&mut columns, k, &[], k, zero);
        let mut columns = K::negated(&columns);
        K::add_rows(&mut columns, k, &[], k, &self.n);
        let (limbs, carry) = low::<K>(&columns, [0; TILE], 1);
        debug_assert_eq!(limbs, [0; TILE], "a multiple of 2^(TILE·BITS)");
        let mut folded = zero.to_vec();
        put_all::<K>(&columns[TILE / K::WIDTH..], carry, &mut folded);
        folded
    }

    fn r_squared(&self) -> Vec<K::Cell> {
        let bits = K::BITS as usize;
        // R mod n: the highest power of two below n, doubled up to R.
        let mut one = vec![0; self.limbs];
        let top = self.plain.iter().rposition(|limb| *limb != 0).unwrap_or_default();
        let highest = top * bits + self.plain[top].ilog2() as usize;
        one[top] = 1 << (highest % bits);
        for _ in highest..bits * self.limbs {
            double(&mut one, K::BITS);
            if !less(&one, &self.plain) {
                subtract(&mut one, &self.plain, K::BITS);
            }
        }
        // That is 1 in Montgomery form; 2 to the power of the bits of R is R^2 when it leaves it.
        let exponent = bits * self.limbs;
        let mut columns = self.square_start.clone();
        let mut power = balanced::<K>(&one);
        for bit in (0..usize::BITS - exponent.leading_zeros()).rev() {
            self.square(&mut columns, &mut power);
            if exponent >> bit & 1 == 1 {
                let doubled: Vec<i64> =
                    limbs::<K>(&power).into_iter().map(|limb| 2 * limb).collect();
                power = balanced::<K>(&doubled);
            }
        }
        power
    }

    /// A number between `-n` and `n` into one from 0 to `n - 1`, in limbs as `plain` has them.
    #[cfg_attr(
        all(target_arch = "wasm32", feature = "relaxed-simd"),
        target_feature(enable = "simd128,relaxed-simd")
    )]
    fn reduced(&self, number: &[K::Cell]) -> Vec<i64> {
        let mut carry = 0;
        let mut sum = limbs::<K>(number);
        for (limb, n) in sum.iter_mut().zip(&self.plain) {
            let sum = *limb + n + carry;
            carry = sum >> K::BITS;
            *limb = sum & ((1 << K::BITS) - 1);
        }
        debug_assert_eq!(carry, 0, "not negative");
        if !less(&sum, &self.plain) {
            subtract(&mut sum, &self.plain, K::BITS);
        }
        debug_assert!(less(&sum, &self.plain), "below n");
        sum
    }
}

/// The first limbs, to multiply with.
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "simd128,relaxed-simd")
)]
#[inline]
fn factors<K: Kernel>(number: &[K::Cell]) -> [K::Factor; TILE] {
    let [a, b] = K::factors(number);
    let [c, d] = K::factors(&number[2 / K::WIDTH..]);
    [a, b, c, d]
}

#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "simd128,relaxed-simd")
)]
#[inline]
fn factors_of<K: Kernel>([a, b, c, d]: [i64; TILE]) -> [K::Factor; TILE] {
    [K::factor_of(a), K::factor_of(b), K::factor_of(c), K::factor_of(d)]
}

/// Balanced limbs of the first two columns, and what is carried out of them.
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "simd128,relaxed-simd")
)]
#[inline]
fn low_two<K: Kernel>(columns: &[K::Column], carry: i64) -> ([i64; 2], i64) {
    let ([first, second], third) = K::sums(columns);
    let (low, carry) = split::<K>(first.wrapping_add(carry));
    let (high, carry) = split::<K>(second.wrapping_add(carry));
    ([low, high], third.wrapping_add(carry))
}

/// Balanced limbs of the first four columns with something added to each, and what is carried.
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "simd128,relaxed-simd")
)]
#[inline]
fn low<K: Kernel>(columns: &[K::Column], excess: [i64; TILE], carry: i64) -> ([i64; TILE], i64) {
    let ([a, b], above) = K::sums(columns);
    let ([c, d], next) = K::sums(&columns[2 / K::WIDTH..]);
    let (a, carry) = split::<K>(a.wrapping_add(excess[0]).wrapping_add(carry));
    let (b, carry) = split::<K>(b.wrapping_add(excess[1]).wrapping_add(carry));
    let c = c.wrapping_add(above).wrapping_add(excess[2]);
    let (c, carry) = split::<K>(c.wrapping_add(carry));
    let (d, carry) = split::<K>(d.wrapping_add(excess[3]).wrapping_add(carry));
    ([a, b, c, d], next.wrapping_add(carry))
}

/// A number from the columns that have room for all of it.
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "simd128,relaxed-simd")
)]
fn put_all<K: Kernel>(columns: &[K::Column], mut carry: i64, number: &mut [K::Cell]) {
    let pair = 2 / K::WIDTH;
    for (cells, columns) in number.chunks_exact_mut(pair).zip(columns.chunks_exact(pair)) {
        let (limbs, carried) = low_two::<K>(columns, carry);
        carry = carried;
        K::put(cells, limbs);
    }
    debug_assert_eq!(carry, 0, "a number that has room");
}

/// All limbs of a number.
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "simd128,relaxed-simd")
)]
fn limbs<K: Kernel>(number: &[K::Cell]) -> Vec<i64> {
    let mut limbs = Vec::with_capacity(number.len() * K::WIDTH);
    for cells in number.chunks_exact(2 / K::WIDTH) {
        limbs.extend(K::limbs(cells));
    }
    limbs
}

/// Balanced limbs, from limbs that sum up with a carry.
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "simd128,relaxed-simd")
)]
fn balanced<K: Kernel>(limbs: &[i64]) -> Vec<K::Cell> {
    let mut carry = 0;
    let mut cells = vec![K::ZERO; limbs.len() / K::WIDTH];
    let pairs = cells.chunks_exact_mut(2 / K::WIDTH);
    for (cells, limbs) in pairs.zip(limbs.chunks_exact(2)) {
        let (low, carried) = split::<K>(limbs[0] + carry);
        let (high, carried) = split::<K>(limbs[1] + carried);
        carry = carried;
        K::put(cells, [low, high]);
    }
    cells
}
