//! Points, their multiples, and sums of many.
//!
//! Two ways to add. *Pairs*: many sums of two affine points at once, which share one inversion (five
//! products and a square for each). *One after the other*: to a sum in coordinates
//! `x = X/ZZ, y = Y/ZZZ, ZZ³ = ZZZ²` (eight products and two squares, no inversion; the formulas
//! `madd-2008-s` and `dbl-2008-s-1` of the Explicit-Formulas Database).
//!
//! Both have exceptions: equal points are doubled, and opposite ones make infinity. Their `x` is the same
//! then, and the difference of it is a factor of what is inverted, or of the sum's `ZZ`, which is zero from
//! then on. So one look at the end finds out, and [`careful_sum`] adds again with a look at each step.

use alloc::vec;
use alloc::vec::Vec;

use crate::ecdsa::field::{Curve, enter, invert_all, is_zero, negative, plus};
use crate::ecdsa::words::{Words, less};

/// A point that is not infinity.
pub(super) struct Affine<C: Curve> {
    pub(super) x: C::Element,
    pub(super) y: C::Element,
}

impl<C: Curve> Clone for Affine<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Curve> Copy for Affine<C> {}

impl<C: Curve> Affine<C> {
    /// The point with these coordinates. None: one is too large, or it is not on the curve.
    pub(super) fn new([x, y]: &[Words; 2]) -> Option<Self> {
        if !less(x, &C::PRIME) || !less(y, &C::PRIME) {
            return None;
        }
        let this = Self { x: enter::<C>(x), y: enter::<C>(y) };
        // x³ - 3x + b is x·(x² - 3) + b.
        let three = plus::<C>(&plus::<C>(&C::ONE, &C::ONE), &C::ONE);
        let factor = C::square_minus(&this.x, &three);
        let right = C::product_minus(&this.x, &factor, &negative::<C>(&enter::<C>(&C::B)));
        is_zero::<C>(&C::difference(&C::square(&this.y), &right)).then_some(this)
    }

    pub(super) fn negative(&self) -> Self {
        Self { x: self.x, y: negative::<C>(&self.y) }
    }

    /// The point at which a line through this one and `other` with this slope meets the curve a third
    /// time, mirrored: their sum.
    fn sum_by_slope(&self, other: &Self, slope: &C::Element) -> Self {
        let x = C::square_minus(slope, &plus::<C>(&self.x, &other.x));
        let y = C::product_minus(slope, &C::difference(&self.x, &x), &self.y);
        Self { x, y }
    }
}

/// `x = X/ZZ` and `y = Y/ZZZ`. With a `ZZ` of zero, it is no point: there was an exception.
pub(super) struct Sum<C: Curve> {
    pub(super) x: C::Element,
    pub(super) y: C::Element,
    pub(super) zz: C::Element,
    pub(super) zzz: C::Element,
}

impl<C: Curve> Sum<C> {
    pub(super) fn new(point: &Affine<C>) -> Self {
        Self { x: point.x, y: point.y, zz: C::ONE, zzz: C::ONE }
    }

    /// Adds a point that is neither this one nor its opposite.
    pub(super) fn add(&mut self, point: &Affine<C>) {
        let x_difference = C::product_minus(&point.x, &self.zz, &self.x);
        let y_difference = C::product_minus(&point.y, &self.zzz, &self.y);
        self.add_by_differences(&x_difference, &y_difference);
    }

    fn add_by_differences(&mut self, x_difference: &C::Element, y_difference: &C::Element) {
        let square = C::square(x_difference);
        let cube = C::product(x_difference, &square);
        let q = C::product(&self.x, &square);
        self.x = C::square_minus(y_difference, &plus::<C>(&cube, &plus::<C>(&q, &q)));
        self.y = C::products_minus(y_difference, &C::difference(&q, &self.x), &self.y, &cube);
        self.zz = C::product(&self.zz, &square);
        self.zzz = C::product(&self.zzz, &cube);
    }

    /// There is no exception: no point has order two.
    fn double(&mut self) {
        let u = C::product_minus(&C::ONE, &self.y, &negative::<C>(&self.y));
        let v = C::square(&u);
        let w = C::product(&u, &v);
        let s = C::product(&self.x, &v);
        // 3x² + a·ZZ², and a is -3.
        let third = C::products_minus(&self.x, &self.x, &self.zz, &self.zz);
        let m = C::product_minus(&C::ONE, &third, &negative::<C>(&plus::<C>(&third, &third)));
        self.x = C::square_minus(&m, &plus::<C>(&s, &s));
        self.y = C::products_minus(&m, &C::difference(&s, &self.x), &w, &self.y);
        self.zz = C::product(&v, &self.zz);
        self.zzz = C::product(&w, &self.zzz);
    }
}

/// The sum of points that may be equal or opposite to each other's sums. None: infinity.
pub(super) fn careful_sum<C: Curve>(points: &[Affine<C>]) -> Option<Sum<C>> {
    let mut sum: Option<Sum<C>> = None;
    for point in points {
        let Some(so_far) = &mut sum else {
            sum = Some(Sum::new(point));
            continue;
        };
        let x_difference = C::product_minus(&point.x, &so_far.zz, &so_far.x);
        let y_difference = C::product_minus(&point.y, &so_far.zzz, &so_far.y);
        if !is_zero::<C>(&x_difference) {
            so_far.add_by_differences(&x_difference, &y_difference);
        } else if is_zero::<C>(&y_difference) {
            so_far.double();
        } else {
            sum = None;
        }
    }
    sum
}

/// Adds pairs of neighbours, halving the points. None: there was an exception, and nothing is changed.
pub(super) fn add_pairs<C: Curve>(points: &mut Vec<Affine<C>>) -> Option<()> {
    let mut inverses: Vec<_> =
        points.chunks_exact(2).map(|pair| C::difference(&pair[1].x, &pair[0].x)).collect();
    let mut products = vec![C::ZERO; inverses.len()];
    invert_all::<C>(&mut inverses, &mut products)?;
    for (index, inverse) in inverses.iter().enumerate() {
        let (left, right) = (points[2 * index], points[2 * index + 1]);
        let slope = C::product(&C::difference(&right.y, &left.y), inverse);
        points[index] = left.sum_by_slope(&right, &slope);
    }
    if points.len() % 2 == 1 {
        points[inverses.len()] = points[points.len() - 1];
    }
    points.truncate(points.len().div_ceil(2));
    Some(())
}

/// For each of `windows` windows of `bits` bits, the multiples of a point's multiple by the window's
/// weight: from one to `2^(bits - 1)` times.
pub(super) fn multiples<C: Curve>(
    point: &Affine<C>,
    bits: usize,
    windows: usize,
) -> Option<Vec<Affine<C>>> {
    let digits = 1 << (bits - 1);
    let bases = bases(point, bits, windows)?;
    let mut table = vec![*point; windows * digits];
    for (multiples, base) in table.chunks_exact_mut(digits).zip(&bases) {
        multiples[0] = *base;
    }
    let (mut inverses, mut products) = (Vec::new(), Vec::new());
    // From k multiples to 2k: the greatest is added to each.
    for level in 0..bits - 1 {
        let known = 1 << level;
        inverses.clear();
        for multiples in table.chunks_exact(digits) {
            let (last, others) = (&multiples[known - 1], &multiples[..known - 1]);
            inverses.extend(others.iter().map(|other| C::difference(&other.x, &last.x)));
            inverses.push(C::product_minus(&C::ONE, &last.y, &negative::<C>(&last.y)));
        }
        products.resize(inverses.len(), C::ZERO);
        invert_all::<C>(&mut inverses, &mut products)?;
        for (multiples, inverses) in
            table.chunks_exact_mut(digits).zip(inverses.chunks_exact(known))
        {
            let (known, new) = multiples.split_at_mut(known);
            let last = known[known.len() - 1];
            for ((other, new), inverse) in known.iter().zip(new).zip(inverses) {
                *new = last
                    .sum_by_slope(other, &C::product(&C::difference(&other.y, &last.y), inverse));
            }
            // The last one is added to itself: the slope is that of the tangent, (3x² - 3)/2y.
            let square = C::square_minus(&last.x, &C::ONE);
            let numerator =
                C::product_minus(&C::ONE, &square, &negative::<C>(&plus::<C>(&square, &square)));
            let slope = C::product(&numerator, &inverses[inverses.len() - 1]);
            multiples[2 * inverses.len() - 1] = last.sum_by_slope(&last, &slope);
        }
    }
    Some(table)
}

/// The point times `2^(bits·i)`, for each window `i`.
fn bases<C: Curve>(point: &Affine<C>, bits: usize, windows: usize) -> Option<Vec<Affine<C>>> {
    let mut sum = Sum::new(point);
    let mut sums = Vec::with_capacity(windows);
    for _ in 0..windows {
        sums.push(Sum::<C> { ..sum });
        (0..bits).for_each(|_| sum.double());
    }
    let mut inverses: Vec<_> = sums.iter().map(|sum| sum.zzz).collect();
    let mut products = vec![C::ZERO; windows];
    invert_all::<C>(&mut inverses, &mut products)?;
    let affine = |(sum, inverse): (&Sum<C>, &C::Element)| {
        // ZZ/ZZZ is 1/Z.
        let z_inverse = C::product(&sum.zz, inverse);
        let x = C::product(&sum.x, &C::square(&z_inverse));
        Affine { x, y: C::product(&sum.y, inverse) }
    };
    Some(sums.iter().zip(&inverses).map(affine).collect())
}

/// Whether the sum's `x` is this number, which is below `p`.
pub(super) fn has_x<C: Curve>(sum: &Sum<C>, x: &Words) -> bool {
    is_zero::<C>(&C::product_minus(&sum.zz, &enter::<C>(x), &sum.x))
}
