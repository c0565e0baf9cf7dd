//! Two numbers of 64 bits side by side, which are floating-point numbers or integers.

/// Two lanes.
pub(super) trait Lanes: Copy {
    /// Zeros.
    const ZERO: Self;
    /// These two integers.
    fn of_integers(integers: [i64; 2]) -> Self;
    /// Twice this number.
    fn splat(number: f64) -> Self;
    /// Both as integers.
    fn integers(self) -> [i64; 2];
    /// Both as floating-point numbers.
    fn floats(self) -> [f64; 2];
    /// `self·factor + addend` in floating point: rounded once if it is fused, which is not certain.
    fn multiply_add(self, factor: Self, addend: Self) -> Self;
    /// The difference in floating point.
    fn minus(self, other: Self) -> Self;
    /// Twice the numbers in floating point.
    fn twice(self) -> Self;
    /// The sum of integers, modulo `2^64`.
    fn plus(self, other: Self) -> Self;
}

#[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
mod wasm {
    use core::arch::wasm32::{
        f64x2_add, f64x2_extract_lane, f64x2_relaxed_madd, f64x2_splat, f64x2_sub, i64x2,
        i64x2_add, i64x2_extract_lane, v128,
    };

    use super::Lanes;

    // None of these has the target feature of the instructions: a method of a trait cannot. They
    // vanish in callers that have it.
    impl Lanes for v128 {
        const ZERO: Self = i64x2(0, 0);

        #[inline(always)]
        fn of_integers([low, high]: [i64; 2]) -> Self {
            i64x2(low, high)
        }

        #[inline(always)]
        fn splat(number: f64) -> Self {
            f64x2_splat(number)
        }

        #[inline(always)]
        fn integers(self) -> [i64; 2] {
            [i64x2_extract_lane::<0>(self), i64x2_extract_lane::<1>(self)]
        }

        #[inline(always)]
        fn floats(self) -> [f64; 2] {
            [f64x2_extract_lane::<0>(self), f64x2_extract_lane::<1>(self)]
        }

        #[inline(always)]
        fn multiply_add(self, factor: Self, addend: Self) -> Self {
            f64x2_relaxed_madd(self, factor, addend)
        }

        #[inline(always)]
        fn minus(self, other: Self) -> Self {
            f64x2_sub(self, other)
        }

        #[inline(always)]
        fn twice(self) -> Self {
            f64x2_add(self, self)
        }

        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            i64x2_add(self, other)
        }
    }
}

/// The same on other machines, so that the algorithm can be tested there.
#[cfg(not(target_arch = "wasm32"))]
pub(super) mod emulated {
    use super::Lanes;

    /// Emulated lanes. A bit of `UNFUSED` stands for the lane that rounds products, too.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Emulated<const UNFUSED: u32>([u64; 2]);

    impl<const UNFUSED: u32> Lanes for Emulated<UNFUSED> {
        const ZERO: Self = Self([0; 2]);

        fn of_integers(integers: [i64; 2]) -> Self {
            Self(integers.map(i64::cast_unsigned))
        }

        fn splat(number: f64) -> Self {
            Self([number.to_bits(); 2])
        }

        fn integers(self) -> [i64; 2] {
            self.0.map(u64::cast_signed)
        }

        fn floats(self) -> [f64; 2] {
            self.0.map(f64::from_bits)
        }

        fn multiply_add(self, factor: Self, addend: Self) -> Self {
            let multiply_add = |lane: usize| {
                let (a, b, c) = (self.floats()[lane], factor.floats()[lane], addend.floats()[lane]);
                match UNFUSED >> lane & 1 {
                    0 => a.mul_add(b, c).to_bits(),
                    _ => (a * b + c).to_bits(),
                }
            };
            Self([multiply_add(0), multiply_add(1)])
        }

        fn minus(self, other: Self) -> Self {
            let ([a, b], [c, d]) = (self.floats(), other.floats());
            Self([a - c, b - d].map(f64::to_bits))
        }

        fn twice(self) -> Self {
            Self(self.floats().map(|number| (number + number).to_bits()))
        }

        fn plus(self, other: Self) -> Self {
            let ([a, b], [c, d]) = (self.0, other.0);
            Self([a.wrapping_add(c), b.wrapping_add(d)])
        }
    }
}
