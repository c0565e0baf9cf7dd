//! Fields, points and their multiples against RustCrypto's.

use alloc::vec::Vec;

use ecdsa::EcdsaCurve;
use ecdsa::elliptic_curve::group::Group as _;
use ecdsa::elliptic_curve::ops::Reduce as _;
use ecdsa::elliptic_curve::point::AffineCoordinates as _;
use ecdsa::elliptic_curve::{Field as _, FieldBytes, PrimeField as _, ProjectivePoint, Scalar};
use p256::NistP256;
use p384::NistP384;
use p521::NistP521;
use primeorder::PrimeCurveParams;

use super::field::{self, Curve, is_tight, negative, number, plus};
use super::points::{Affine, Sum, careful_sum, multiples};
use super::words::{WORDS, Words, difference, from_octets, is_zero, less, sum};
use super::{P256, P384, P521, Table, Window, sum_of, windows};

/// A curve of the library, and ours.
trait Pair: PrimeCurveParams + EcdsaCurve {
    type Ours: Curve;
}

impl Pair for NistP256 {
    type Ours = P256;
}

impl Pair for NistP384 {
    type Ours = P384;
}

impl Pair for NistP521 {
    type Ours = P521;
}

type Element<C> = <<C as Pair>::Ours as Curve>::Element;

/// Runs a generic test for every curve.
macro_rules! for_all_curves {
    ($($test:ident => $check:ident;)*) => {
        $(
            #[test]
            fn $test() {
                $check::<NistP256>();
                $check::<NistP384>();
                $check::<NistP521>();
            }
        )*
    };
}

for_all_curves! {
    constants_are_the_librarys => check_constants;
    field_at_the_edges => check_field_edges;
    field_with_any_operands => check_field;
    inverses_of_elements => check_inverses;
    products_modulo_the_order => check_order;
    tables_hold_the_multiples => check_tables;
    multiples_at_the_edges => check_multiples;
    sums_with_exceptions => check_sums;
    points_that_are_none => check_points;
}

/// A generator of numbers that look random (splitmix64, by S. Vigna).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One of the interval, often one of its ends.
    fn limb(&mut self, [least, greatest]: [i32; 2]) -> i32 {
        match self.below(6) {
            0 => least,
            1 => greatest,
            2 => 0,
            3 => greatest.min(1),
            _ => {
                let width = u64::from(greatest.abs_diff(least)) + 1;
                (i64::from(least) + self.below(width).cast_signed()) as i32
            }
        }
    }

    fn tight<C: Pair>(&mut self) -> Element<C> {
        let mut limbs = C::Ours::ZERO;
        let (top, others) = limbs.as_mut().split_last_mut().unwrap();
        others.iter_mut().for_each(|limb| *limb = self.limb(C::Ours::TIGHT));
        *top = self.limb(C::Ours::TIGHT_TOP);
        limbs
    }

    /// A number below a bound, often near one of its ends.
    fn number(&mut self, bound: &Words) -> Words {
        let mut one = [0; WORDS];
        one[0] = 1 + self.below(3) as u32;
        match self.below(8) {
            0 => [0; WORDS],
            1 => one,
            2 => difference(bound, &one),
            _ => loop {
                let mut words = [0; WORDS];
                let top = bound.iter().rposition(|word| *word != 0).unwrap();
                for word in &mut words[..=top] {
                    *word = match self.below(5) {
                        0 => 0,
                        1 => u32::MAX,
                        _ => self.next() as u32,
                    };
                }
                words[top] &= u32::MAX >> bound[top].leading_zeros();
                if less(&words, bound) {
                    return words;
                }
            },
        }
    }
}

/// Big-endian, as long as the curve's numbers.
fn octets<C: Pair>(number: &Words) -> FieldBytes<C> {
    let mut octets = FieldBytes::<C>::default();
    for (place, octet) in octets.iter_mut().rev().enumerate() {
        *octet = (number[place / 4] >> (8 * (place % 4))) as u8;
    }
    assert_eq!(from_octets(&octets), *number);
    octets
}

/// What limbs stand for, by the library: the sum of them with their weights.
fn value<C: Pair>(limbs: &Element<C>) -> C::FieldElement {
    let weight = C::FieldElement::from(1 << C::Ours::LIMB_BITS);
    limbs.as_ref().iter().rev().fold(C::FieldElement::ZERO, |sum, limb| {
        let magnitude = C::FieldElement::from(u64::from(limb.unsigned_abs()));
        sum * weight + if *limb < 0 { -magnitude } else { magnitude }
    })
}

fn library<C: Pair>(number: &Words) -> C::FieldElement {
    C::FieldElement::from_repr(octets::<C>(number)).unwrap()
}

fn scalar<C: Pair>(number: &Words) -> Scalar<C> {
    Scalar::<C>::from_repr(octets::<C>(number)).unwrap()
}

fn words_of<C: Pair>(scalar: &Scalar<C>) -> Words {
    from_octets(scalar.to_repr().as_ref())
}

fn check_constants<C: Pair>() {
    let one = from_octets(&[1]);
    let minus_one = from_octets(C::FieldElement::from(1).neg_octets().as_ref());
    assert_eq!(sum(&minus_one, &one), C::Ours::PRIME);
    let minus_one = words_of::<C>(&-Scalar::<C>::ONE);
    let order = C::Ours::ORDER.modulus;
    assert_eq!(sum(&minus_one, &one), order);
    let bits = 32 * WORDS as u32 - {
        let top = order.iter().rposition(|word| *word != 0).unwrap();
        32 * (WORDS - 1 - top) as u32 + order[top].leading_zeros()
    };
    assert_eq!(bits as usize, C::Ours::ORDER_BITS);
    assert_eq!(library::<C>(&C::Ours::B), C::EQUATION_B);
    assert_eq!(C::EQUATION_A, -C::FieldElement::from(3));
    let [x, y] = C::Ours::GENERATOR;
    assert_eq!((library::<C>(&x), library::<C>(&y)), C::GENERATOR);
    assert_eq!(octets::<C>(&x).len(), C::Ours::OCTETS);
    // The prime in limbs: zero, but not the number zero.
    assert_eq!(value::<C>(&C::Ours::PRIME_LIMBS), C::FieldElement::ZERO);
    let r = value::<C>(&C::Ours::ONE);
    assert_eq!(value::<C>(&C::Ours::ENTER), r.square());
    assert_eq!(value::<C>(&C::Ours::AFTER_INVERSE), r.square() * r);
    for constant in [C::Ours::ONE, C::Ours::ENTER, C::Ours::AFTER_INVERSE] {
        assert!(is_tight::<C::Ours>(&constant));
    }
}

/// `-a` as octets.
trait NegOctets: ecdsa::elliptic_curve::PrimeField {
    fn neg_octets(&self) -> Self::Repr {
        (-*self).to_repr()
    }
}

impl<F: ecdsa::elliptic_curve::PrimeField> NegOctets for F {}

/// All functions of the field, with operands as large as they may be.
fn check_operands<C: Pair>(a: &Element<C>, b: &Element<C>, c: &Element<C>, d: &Element<C>) {
    let r = value::<C>(&C::Ours::ONE);
    let [va, vb, vc, vd] = [a, b, c, d].map(value::<C>);
    let same = |ours: Element<C>, expected: C::FieldElement| {
        assert!(is_tight::<C::Ours>(&ours));
        // Without the representation's factor.
        assert_eq!(value::<C>(&ours), expected);
        assert_eq!(library::<C>(&number::<C::Ours>(&ours)), expected);
        assert_eq!(field::is_zero::<C::Ours>(&ours), expected == C::FieldElement::ZERO);
    };
    let over_r = r.invert().unwrap();
    let three = plus::<C::Ours>(&plus::<C::Ours>(c, d), a);
    let minus_three = negative::<C::Ours>(&three);
    let value_of_three = va + vc + vd;
    let near = C::Ours::difference(a, b);
    let far = C::Ours::difference(a, &negative::<C::Ours>(b));
    assert_eq!(value::<C>(&near), va - vb);
    assert_eq!(value::<C>(&far), va + vb);
    assert_eq!(library::<C>(&number::<C::Ours>(&near)), va - vb);
    same(C::Ours::product(a, b), va * vb * over_r);
    same(C::Ours::product(&near, c), (va - vb) * vc * over_r);
    same(C::Ours::product(&far, c), (va + vb) * vc * over_r);
    same(C::Ours::product(c, &negative::<C::Ours>(d)), -vc * vd * over_r);
    same(C::Ours::product_minus(a, b, &three), va * vb * over_r - value_of_three);
    same(C::Ours::product_minus(a, &far, &minus_three), va * (va + vb) * over_r + value_of_three);
    same(C::Ours::products_minus(a, b, c, d), (va * vb - vc * vd) * over_r);
    same(C::Ours::products_minus(c, &near, d, a), (vc * (va - vb) - vd * va) * over_r);
    same(C::Ours::square(a), va.square() * over_r);
    same(C::Ours::square_minus(a, &three), va.square() * over_r - value_of_three);
    same(C::Ours::square_minus(a, &minus_three), va.square() * over_r + value_of_three);
}

/// Elements in which limbs, or the number, are at their ends.
fn edges<C: Pair>() -> Vec<Element<C>> {
    let mut edges = Vec::new();
    let fill = |other: i32, top: i32| {
        let mut limbs = C::Ours::ZERO;
        limbs.as_mut().fill(other);
        *limbs.as_mut().last_mut().unwrap() = top;
        limbs
    };
    for other in C::Ours::TIGHT.into_iter().chain([0, 1, -1, (1 << C::Ours::LIMB_BITS) - 1]) {
        let other = other.clamp(C::Ours::TIGHT[0], C::Ours::TIGHT[1]);
        for top in C::Ours::TIGHT_TOP.into_iter().chain([0, 1]) {
            edges.push(fill(other, top));
        }
    }
    let alternating = |first: usize| {
        let mut limbs = fill(C::Ours::TIGHT[0], C::Ours::TIGHT_TOP[1]);
        let (_, others) = limbs.as_mut().split_last_mut().unwrap();
        others.iter_mut().skip(first).step_by(2).for_each(|limb| *limb = C::Ours::TIGHT[1]);
        limbs
    };
    edges.extend([alternating(0), alternating(1)]);
    edges.extend([C::Ours::ONE, C::Ours::ENTER, C::Ours::PRIME_LIMBS]);
    for far in [1, 2] {
        let numbers = [from_octets(&[far]), difference(&C::Ours::PRIME, &from_octets(&[far]))];
        for number in numbers {
            edges.push(field::limbs::<C::Ours>(&number));
            edges.push(field::enter::<C::Ours>(&number));
        }
    }
    // More than p, and a multiple of it.
    let mut above = C::Ours::PRIME_LIMBS;
    above.as_mut()[0] += 1;
    edges.push(above);
    edges.retain(is_tight::<C::Ours>);
    assert!(edges.len() > 20);
    edges
}

fn check_field_edges<C: Pair>() {
    let edges = edges::<C>();
    for (place, a) in edges.iter().enumerate() {
        for b in &edges {
            // Two others that come by every one.
            let c = &edges[(place * 7 + 3) % edges.len()];
            check_operands::<C>(a, b, c, b);
            check_operands::<C>(a, b, a, a);
        }
    }
}

fn check_field<C: Pair>() {
    let mut random = Random(1);
    for _ in 0..2000 {
        let [a, b, c, d] = [(); 4].map(|()| random.tight::<C>());
        check_operands::<C>(&a, &b, &c, &d);
    }
    for _ in 0..2000 {
        let number = random.number(&C::Ours::PRIME);
        let element = field::enter::<C::Ours>(&number);
        assert!(is_tight::<C::Ours>(&element));
        assert_eq!(value::<C>(&element), library::<C>(&number) * value::<C>(&C::Ours::ONE));
        assert_eq!(super::words::is_zero(&field::number::<C::Ours>(&element)), is_zero(&number));
    }
}

fn check_inverses<C: Pair>() {
    let mut random = Random(2);
    let one = value::<C>(&C::Ours::ONE);
    let mut elements: Vec<_> = edges::<C>();
    elements.extend((0..300).map(|_| random.tight::<C>()));
    let check = |element: &Element<C>, inverse: &Element<C>| {
        assert!(is_tight::<C::Ours>(inverse));
        assert_eq!(value::<C>(element) * value::<C>(inverse), one.square());
    };
    for element in &elements {
        match field::inverse::<C::Ours>(element) {
            Some(inverse) => check(element, &inverse),
            None => assert_eq!(value::<C>(element), C::FieldElement::ZERO),
        }
    }
    let mut products = elements.clone();
    assert!(field::invert_all::<C::Ours>(&mut elements.clone(), &mut products).is_none());
    elements.retain(|element| !field::is_zero::<C::Ours>(element));
    let mut inverses = elements.clone();
    field::invert_all::<C::Ours>(&mut inverses, &mut products).unwrap();
    elements.iter().zip(&inverses).for_each(|(element, inverse)| check(element, inverse));
}

fn check_order<C: Pair>() {
    let mut random = Random(3);
    let order = C::Ours::ORDER;
    for _ in 0..3000 {
        let (a, b) = (random.number(&order.modulus), random.number(&order.modulus));
        let b_entered = order.product(&order.r_squared, &b);
        assert!(less(&b_entered, &order.modulus));
        let product = order.product(&a, &b_entered);
        assert_eq!(product, words_of::<C>(&(scalar::<C>(&a) * scalar::<C>(&b))));
        if !is_zero(&a) {
            let inverse = crate::inverse::inverse(&a, &order.modulus).unwrap();
            assert_eq!(inverse, words_of::<C>(&scalar::<C>(&a).invert().unwrap()));
        }
        // A factor that is larger than the order, as a digest may be.
        let large = from_octets(&[0xff; 66][..C::Ours::OCTETS]);
        let large = if C::Ours::OCTETS == 66 { C::Ours::PRIME } else { large };
        let reduced = Scalar::<C>::reduce(&octets::<C>(&large));
        let product = order.product(&large, &b_entered);
        assert_eq!(product, words_of::<C>(&(reduced * scalar::<C>(&b))));
    }
}

/// The library's point, as ours.
fn point<C: Pair>(point: &ProjectivePoint<C>) -> Affine<C::Ours> {
    let point = point.to_affine();
    Affine::new(&[from_octets(&point.x()), from_octets(&point.y())]).unwrap()
}

#[track_caller]
fn same_point<C: Pair>(ours: &Affine<C::Ours>, library: &ProjectivePoint<C>) {
    let expected = point::<C>(library);
    assert_eq!(number::<C::Ours>(&ours.x), number::<C::Ours>(&expected.x));
    assert_eq!(number::<C::Ours>(&ours.y), number::<C::Ours>(&expected.y));
}

#[track_caller]
fn same_sum<C: Pair>(ours: Option<&Sum<C::Ours>>, library: &ProjectivePoint<C>) {
    let Some(ours) = ours else { return assert!(bool::from(library.is_identity())) };
    assert!(!bool::from(library.is_identity()));
    let expected = point::<C>(library);
    let x = C::Ours::product(&ours.zz, &expected.x);
    assert_eq!(number::<C::Ours>(&x), number::<C::Ours>(&ours.x));
    let y = C::Ours::product(&ours.zzz, &expected.y);
    assert_eq!(number::<C::Ours>(&y), number::<C::Ours>(&ours.y));
}

fn check_tables<C: Pair>() {
    let generator = ProjectivePoint::<C>::generator();
    let base = generator * Scalar::<C>::from(0x1234_5678_9abc_def1_u64);
    for bits in [4, 5, 8] {
        let windows = windows::<C::Ours>(Window::new(bits).unwrap());
        let bits = usize::from(bits);
        let table = multiples(&point::<C>(&base), bits, windows).unwrap();
        let mut base = base;
        assert_eq!(table.len(), windows << (bits - 1));
        for multiples in table.chunks(1 << (bits - 1)) {
            let mut multiple = base;
            for ours in multiples {
                assert!(is_tight::<C::Ours>(&ours.x) && is_tight::<C::Ours>(&ours.y));
                // Every entry of the small tables, and some of the large ones.
                if bits < 8 || ours.x.as_ref()[0] & 15 == 0 {
                    same_point::<C>(ours, &multiple);
                }
                multiple += base;
            }
            same_point::<C>(multiples.last().unwrap(), &(multiple - base));
            (0..bits).for_each(|_| base = base.double());
        }
    }
}

fn check_multiples<C: Pair>() {
    let generator = ProjectivePoint::<C>::generator();
    for bits in 4..=8_u8 {
        let window = Window::new(bits).unwrap();
        let table = Table::<C::Ours>::generator(window).unwrap();
        let bits = usize::from(bits);
        assert_eq!(
            table.octets(),
            (windows::<C::Ours>(window) << (bits - 1)) * size_of::<Affine<C::Ours>>()
        );
        let half = Scalar::<C>::from(1 << (bits - 1));
        let mut scalars = Vec::from([Scalar::<C>::ZERO, -Scalar::<C>::ONE, -half]);
        let mut weight = Scalar::<C>::ONE;
        for window in 0..C::Ours::ORDER_BITS / bits + 1 {
            scalars.extend([weight, weight * half, weight * (half + Scalar::<C>::ONE)]);
            // All windows would take long where the library is slow.
            if window % 4 == bits % 4 {
                let below = weight * half - Scalar::<C>::ONE;
                scalars.extend([weight - Scalar::<C>::ONE, -weight, below, -below]);
            }
            weight *= half.double();
        }
        let mut random = Random(bits as u64);
        scalars.extend((0..20).map(|_| scalar::<C>(&random.number(&C::Ours::ORDER.modulus))));
        for scalar in scalars {
            let mut points = Vec::new();
            table.pick(&words_of::<C>(&scalar), &mut points);
            same_sum::<C>(sum_of(points).as_ref(), &(generator * scalar));
        }
    }
}

/// Small multiples of one point, of which sums are often equal, opposite, or infinity.
fn check_sums<C: Pair>() {
    let generator = ProjectivePoint::<C>::generator();
    let mut random = Random(4);
    let (mut infinities, mut known) = (0, Vec::new());
    let mut multiple = generator;
    for _ in 0..6 {
        known.push((multiple, point::<C>(&multiple)));
        multiple += generator;
    }
    for _ in 0..3000 {
        let mut expected = ProjectivePoint::<C>::identity();
        let points: Vec<_> = (0..random.below(13))
            .map(|_| {
                let (library, ours) = &known[random.below(6) as usize];
                if random.below(2) == 0 {
                    expected += library;
                    *ours
                } else {
                    expected -= library;
                    ours.negative()
                }
            })
            .collect();
        infinities += u32::from(bool::from(expected.is_identity()));
        same_sum::<C>(careful_sum(&points).as_ref(), &expected);
        same_sum::<C>(sum_of(points).as_ref(), &expected);
    }
    assert!(infinities > 100);
}

fn check_points<C: Pair>() {
    let [x, y] = C::Ours::GENERATOR;
    assert!(Affine::<C::Ours>::new(&[x, y]).is_some());
    let prime = C::Ours::PRIME;
    let mut wrong = Vec::from([[y, x], [x, x], [prime, y], [x, prime], [[0; WORDS], [0; WORDS]]]);
    wrong.push([[u32::MAX; WORDS], y]);
    // The right point, but told with numbers that are too large.
    let beyond = |number: &Words| {
        let mut sum = *number;
        let mut carry = 0;
        for (word, other) in sum.iter_mut().zip(&prime) {
            let column = u64::from(*word) + u64::from(*other) + carry;
            (*word, carry) = (column as u32, column >> 32);
        }
        sum
    };
    wrong.extend([[beyond(&x), y], [x, beyond(&y)]]);
    for place in 0..C::Ours::OCTETS {
        let mut other = y;
        other[place / 4] ^= 1 << (8 * (place % 4));
        wrong.push([x, other]);
    }
    for coordinates in wrong {
        assert!(Affine::<C::Ours>::new(&coordinates).is_none());
    }
    assert!(Affine::<C::Ours>::new(&[x, difference(&prime, &y)]).is_some(), "-G");
    for length in [0, 1, 2 * C::Ours::OCTETS - 1, 2 * C::Ours::OCTETS + 1] {
        assert!(Table::<C::Ours>::new(&[0; 200][..length], Window::new(4).unwrap()).is_none());
    }
    assert!(Window::new(3).is_none() && Window::new(9).is_none());
}
