//! What the fields of the curves have in common.
//!
//! A product is computed column by column: all products of limbs of one weight are summed in a word of
//! 64 bits, and each field says what a column's excess is worth modulo its prime. Loops over columns are
//! written out (see [`unrolled`]), so that the compiler knows every index, and limbs stay in registers.

use crate::ecdsa::words::{Modulus, WORDS, Words, difference, less};

/// A prime field, and the curve `y² = x³ - 3x + b` over it.
///
/// Elements are numbers modulo the prime `p`, in signed limbs, and not unique. Each function says how
/// large limbs it takes; what it returns is *tight*: the field says what that is, and that the number is
/// between `-p` and `2p`. A *difference* is one of two tight elements.
pub trait Curve: Sized + 'static {
    /// An array of limbs.
    type Element: Copy + AsRef<[i32]> + AsMut<[i32]> + 'static;

    /// Octets of a coordinate, and of a scalar.
    const OCTETS: usize;
    /// Bits of a limb.
    const LIMB_BITS: u32;
    /// The least and the greatest limb of tight elements, but for the highest limb.
    const TIGHT: [i32; 2];
    /// The same for the highest limb.
    const TIGHT_TOP: [i32; 2];
    /// `p`.
    const PRIME: Words;
    /// `p` in limbs.
    const PRIME_LIMBS: Self::Element;
    /// The curve's `b`.
    const B: Words;
    /// The coordinates of the generator `G`.
    const GENERATOR: [Words; 2];
    /// Bits of the order.
    const ORDER_BITS: usize;
    /// The order `n` of `G`, a prime: every point but infinity generates all.
    const ORDER: Modulus;
    /// How often points are added in pairs before they are added one after the other: as long as
    /// there are so many that what this saves is more than the inversion.
    const PAIRINGS: usize;
    /// The element 0.
    const ZERO: Self::Element;
    /// The element 1.
    const ONE: Self::Element;
    /// By which a number is multiplied to become an element.
    const ENTER: Self::Element;
    /// By which the inverse of an element, taken as a number, is multiplied to become its inverse.
    const AFTER_INVERSE: Self::Element;

    /// `a·b`, of tight elements and differences.
    fn product(a: &Self::Element, b: &Self::Element) -> Self::Element;

    /// `a·b - c`, for a `c` of at most three tight elements' sum.
    fn product_minus(a: &Self::Element, b: &Self::Element, c: &Self::Element) -> Self::Element;

    /// `a·b - c·d`, of tight elements, of which `b` may be a difference.
    fn products_minus(
        a: &Self::Element,
        b: &Self::Element,
        c: &Self::Element,
        d: &Self::Element,
    ) -> Self::Element;

    /// `a²`, of a tight element.
    fn square(a: &Self::Element) -> Self::Element;

    /// `a² - c`, for a `c` of at most three tight elements' sum.
    fn square_minus(a: &Self::Element, c: &Self::Element) -> Self::Element;

    /// `a - b` of tight elements, as a factor.
    fn difference(a: &Self::Element, b: &Self::Element) -> Self::Element;
}

/// Whether limbs are those of a tight element.
pub(super) fn is_tight<C: Curve>(limbs: &C::Element) -> bool {
    let within = |[least, greatest]: [i32; 2], limb: &i32| least <= *limb && *limb <= greatest;
    limbs.as_ref().split_last().is_some_and(|(top, others)| {
        within(C::TIGHT_TOP, top) && others.iter().all(|limb| within(C::TIGHT, limb))
    })
}

/// `a + b`, limb by limb.
pub(super) fn plus<C: Curve>(a: &C::Element, b: &C::Element) -> C::Element {
    let mut sum = *a;
    for (limb, other) in sum.as_mut().iter_mut().zip(b.as_ref()) {
        *limb += other;
    }
    sum
}

/// `-a`, limb by limb.
pub(super) fn negative<C: Curve>(a: &C::Element) -> C::Element {
    let mut negative = *a;
    negative.as_mut().iter_mut().for_each(|limb| *limb = -*limb);
    negative
}

/// The element of a number below `p`.
pub(super) fn enter<C: Curve>(number: &Words) -> C::Element {
    C::product(&limbs::<C>(number), &C::ENTER)
}

/// A number below `2^522` in limbs that are a factor.
pub(super) fn limbs<C: Curve>(number: &Words) -> C::Element {
    let mut limbs = C::ZERO;
    let (mut pending, mut bits, mut words) = (0_u64, 0, number.iter());
    for limb in limbs.as_mut() {
        if bits < C::LIMB_BITS {
            pending |= u64::from(words.next().copied().unwrap_or_default()) << bits;
            bits += u32::BITS;
        }
        *limb = (pending as u32 & ((1 << C::LIMB_BITS) - 1)).cast_signed();
        pending >>= C::LIMB_BITS;
        bits -= C::LIMB_BITS;
    }
    // Tight, where that wants limbs on both sides of zero.
    C::difference(&limbs, &C::ZERO)
}

/// The number below `p` that limbs make up modulo `p`: of a difference of tight elements.
pub(super) fn number<C: Curve>(limbs: &C::Element) -> Words {
    let mut words = [0; WORDS];
    let (mut carry, mut pending, mut bits, mut next) = (0_i64, 0_u64, 0, words.iter_mut());
    let mut put = |limb: u64| {
        pending |= limb << bits;
        bits += C::LIMB_BITS;
        if bits >= u32::BITS {
            if let Some(word) = next.next() {
                *word = pending as u32;
            }
            pending >>= u32::BITS;
            bits -= u32::BITS;
        }
    };
    // With 4p added, it is between 0 and 8p.
    for (limb, prime) in limbs.as_ref().iter().zip(C::PRIME_LIMBS.as_ref()) {
        let sum = carry + i64::from(*limb) + 4 * i64::from(*prime);
        put((sum & ((1 << C::LIMB_BITS) - 1)).cast_unsigned());
        carry = sum >> C::LIMB_BITS;
    }
    debug_assert!(carry >= 0);
    // Enough limbs to write the last word.
    put(carry.cast_unsigned());
    put(0);
    while !less(&words, &C::PRIME) {
        words = difference(&words, &C::PRIME);
    }
    words
}

/// Whether an element is zero: a difference of tight elements at most.
pub(super) fn is_zero<C: Curve>(a: &C::Element) -> bool {
    number::<C>(a).iter().all(|word| *word == 0)
}

/// `1/a`. None: `a` is zero.
pub(super) fn inverse<C: Curve>(a: &C::Element) -> Option<C::Element> {
    let inverse = crate::inverse::inverse(&number::<C>(a), &C::PRIME)?;
    Some(C::product(&limbs::<C>(&inverse), &C::AFTER_INVERSE))
}

/// The inverses of all. None: one of them is zero.
///
/// One inversion, and three products for each element (P. L. Montgomery's trick).
pub(super) fn invert_all<C: Curve>(
    elements: &mut [C::Element],
    products: &mut [C::Element],
) -> Option<()> {
    let mut product = C::ONE;
    for (element, before) in elements.iter().zip(products.iter_mut()) {
        *before = product;
        product = C::product(&product, element);
    }
    let mut inverse = inverse::<C>(&product)?;
    for (element, before) in elements.iter_mut().zip(products).rev() {
        let this = C::product(&inverse, before);
        inverse = C::product(&inverse, element);
        *element = this;
    }
    Some(())
}

/// Sums of products of limbs, by weight. The index is a constant wherever this is called.
pub(super) trait Columns {
    fn column(&self, index: usize) -> i64;
}

/// `a·b`.
pub(super) struct Product<'a, const L: usize>(pub &'a [i32; L], pub &'a [i32; L]);

impl<const L: usize> Columns for Product<'_, L> {
    #[inline(always)]
    fn column(&self, index: usize) -> i64 {
        let Self(a, b) = self;
        let mut sum = 0;
        let mut left = index.saturating_sub(L - 1);
        while left < L && left <= index {
            sum += i64::from(a[left]) * i64::from(b[index - left]);
            left += 1;
        }
        sum
    }
}

/// `a·b - c·d`.
pub(super) struct Products<'a, const L: usize>(pub Product<'a, L>, pub Product<'a, L>);

impl<const L: usize> Columns for Products<'_, L> {
    #[inline(always)]
    fn column(&self, index: usize) -> i64 {
        self.0.column(index) - self.1.column(index)
    }
}

/// `a²`.
pub(super) struct Square<'a, const L: usize>(pub &'a [i32; L]);

impl<const L: usize> Columns for Square<'_, L> {
    #[inline(always)]
    fn column(&self, index: usize) -> i64 {
        let Self(a) = self;
        let mut sum = 0;
        let mut left = index.saturating_sub(L - 1);
        while 2 * left < index {
            sum += i64::from(a[left]) * i64::from(a[index - left]);
            left += 1;
        }
        sum *= 2;
        if index.is_multiple_of(2) && index / 2 < L {
            sum += i64::from(a[index / 2]) * i64::from(a[index / 2]);
        }
        sum
    }
}

/// The functions of [`Curve`] that multiply, for a field that has `reduce`, `Element` and `ZERO`. Functions that
/// are not inlined keep their limbs in registers; inlined ones run out of them.
macro_rules! products {
    () => {
        #[inline(never)]
        fn product(a: &Element, b: &Element) -> Element {
            reduce(&$crate::ecdsa::field::Product(a, b), &Self::ZERO)
        }

        #[inline(never)]
        fn product_minus(a: &Element, b: &Element, c: &Element) -> Element {
            reduce(&$crate::ecdsa::field::Product(a, b), c)
        }

        #[inline(never)]
        fn products_minus(a: &Element, b: &Element, c: &Element, d: &Element) -> Element {
            use $crate::ecdsa::field::{Product, Products};
            reduce(&Products(Product(a, b), Product(c, d)), &Self::ZERO)
        }

        #[inline(never)]
        fn square(a: &Element) -> Element {
            reduce(&$crate::ecdsa::field::Square(a), &Self::ZERO)
        }

        #[inline(never)]
        fn square_minus(a: &Element, c: &Element) -> Element {
            reduce(&$crate::ecdsa::field::Square(a), c)
        }
    };
}
pub(super) use products;

/// Repeats a block for each of these indices, as constants.
macro_rules! unrolled {
    ($index:ident in [$($value:literal)*] $block:block) => {
        $({
            let $index: usize = $value;
            $block
        })*
    };
}
pub(super) use unrolled;
