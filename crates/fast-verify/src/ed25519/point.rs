//! Points of edwards25519: `-x² + y² = 1 + d·x²·y²`. The formulas are those of Hisil, Wong, Carter and
//! Dawson (2008) for `a = -1`; as -1 is a square and `d` is none, they have no exceptions.

use super::field::Fe;

/// A point `(X/Z, Y/Z)`, with `T = X·Y/Z`. `X` and `Y` may be sums of two tight numbers, the others are
/// tight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    x: Fe,
    y: Fe,
    z: Fe,
    t: Fe,
}

/// A point prepared for being added: halves of `y + x` and `y - x`, and `d·x·y`. All tight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prepared {
    plus: Fe,
    minus: Fe,
    product: Fe,
}

/// Whether a prepared point is added as it is, or its negative.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sign {
    Minus,
    Plus,
}

impl Point {
    pub(super) const IDENTITY: Self = Self { x: Fe::ZERO, y: Fe::ONE, z: Fe::ONE, t: Fe::ZERO };

    /// The point of an encoding (RFC 8032 section 5.1.3). Like the library, it takes a `y` beyond the
    /// prime, and a sign for an `x` of zero.
    pub(super) fn decode(octets: &[u8; 32]) -> Option<Self> {
        let y = Fe::from_octets(octets);
        let square = y.square();
        let u = square - Fe::ONE;
        let v = square * Fe::D + Fe::ONE;
        // x² = u/v. A candidate is u·v³·(u·v⁷)^((p-5)/8), and if its square is -u/v, so is its
        // product with a root of -1.
        let v3 = v.square() * v;
        let candidate = u * v3 * (u * (v3.square() * v)).root_power();
        let check = (v * candidate.square()).to_octets();
        let x = if check == u.to_octets() {
            candidate
        } else if check == (-u).to_octets() {
            candidate * Fe::ROOT
        } else {
            return None;
        };
        let odd = x.to_octets()[0] & 1;
        let x = if odd == octets[31] >> 7 { x } else { -x };
        Some(Self { x, y, z: Fe::ONE, t: x * y })
    }

    /// The encoding (RFC 8032 section 5.1.2).
    pub(super) fn encode(&self) -> [u8; 32] {
        let inverse = self.z.invert();
        let mut octets = (self.y * inverse).to_octets();
        octets[31] |= (self.x * inverse).to_octets()[0] << 7;
        octets
    }

    pub(super) fn negative(&self) -> Self {
        Self { x: -self.x, t: -self.t, ..*self }
    }

    pub(super) fn double(&self) -> Self {
        let (x, y) = (self.x * Fe::ONE, self.y * Fe::ONE);
        let (a, b) = (x.square(), y.square());
        let c = self.z.square();
        let e = (x + y).square() - a - b;
        let g = b - a;
        let f = g - c - c;
        let h = -a - b;
        Self { x: e * f, y: g * h, z: f * g, t: e * h }
    }

    /// The sum with a prepared point.
    #[inline(always)]
    pub(super) fn add(&self, other: &Prepared, sign: Sign) -> Self {
        let (plus, minus) = match sign {
            Sign::Plus => (&other.plus, &other.minus),
            Sign::Minus => (&other.minus, &other.plus),
        };
        let a = (self.y + self.x) * *plus;
        let b = (self.y - self.x) * *minus;
        let c = self.t * other.product;
        let (less, more) = (self.z - c, self.z + c);
        // Half of what the formulas call so, in all four: the coordinates' ratios are the same.
        let (e, h) = (a - b, a + b);
        let (f, g) = match sign {
            Sign::Plus => (&less, &more),
            Sign::Minus => (&more, &less),
        };
        Self { x: e * *f, y: *g * h, z: less * more, t: e * h }
    }
}

impl Prepared {
    pub(super) const IDENTITY: Self = Self { plus: Fe::HALF, minus: Fe::HALF, product: Fe::ZERO };

    /// The point itself.
    pub(super) fn point(&self) -> Point {
        let (x, y) = (self.plus - self.minus, self.plus + self.minus);
        Point { x, y, z: Fe::ONE, t: x * y }
    }
}

/// Prepares points, with one inversion for all of them.
pub(super) fn prepare(points: &[Point], prepared: &mut [Prepared]) {
    debug_assert_eq!(points.len(), prepared.len());
    // The products of all `z` before each one; `z` is never zero.
    let mut product = Fe::ONE;
    for (point, place) in points.iter().zip(prepared.iter_mut()) {
        place.product = product;
        product = product * point.z;
    }
    let mut inverse = product.invert();
    for (point, place) in points.iter().zip(prepared.iter_mut()).rev() {
        let own = inverse * place.product;
        inverse = inverse * point.z;
        let (x, y) = (point.x * own, point.y * own);
        place.plus = (y + x) * Fe::HALF;
        place.minus = (y - x) * Fe::HALF;
        place.product = x * y * Fe::D;
    }
}
