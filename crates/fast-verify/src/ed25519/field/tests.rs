//! The field against big numbers.

use alloc::vec::Vec;

use crypto_bigint::{NonZero, U256};
use proptest::prelude::*;

use super::*;

fn prime() -> NonZero<U256> {
    NonZero::new(U256::MAX.shr(1).wrapping_sub(&U256::from(18_u8))).unwrap()
}

/// The number that the limbs stand for, by big numbers.
fn value(fe: Fe) -> U256 {
    let prime = prime();
    fe.0.iter().rev().fold(U256::ZERO, |sum, limb| {
        let shifted = sum.mul_mod(&U256::from(1_u32 << BITS), &prime);
        let size = U256::from(limb.unsigned_abs());
        if *limb < 0 { shifted.sub_mod(&size, &prime) } else { shifted.add_mod(&size, &prime) }
    })
}

fn octets(number: &U256) -> [u8; 32] {
    number.to_le_bytes().as_ref().try_into().unwrap()
}

#[track_caller]
fn check(a: Fe, b: Fe) {
    let prime = prime();
    let (x, y) = (value(a), value(b));
    assert_eq!(a.to_octets(), octets(&x), "{a:?}");
    assert_eq!((a + b).to_octets(), octets(&x.add_mod(&y, &prime)), "{a:?} + {b:?}");
    assert_eq!((a - b).to_octets(), octets(&x.sub_mod(&y, &prime)), "{a:?} - {b:?}");
    let product = a * b;
    assert_eq!(product.to_octets(), octets(&x.mul_mod(&y, &prime)), "{a:?} * {b:?}");
    assert!(product.largest() <= TIGHT, "{a:?} * {b:?}");
    let inverse = product.invert();
    let one = if value(product) == U256::ZERO { U256::ZERO } else { U256::ONE };
    assert_eq!(value(inverse * product), one);
}

/// Numbers at the ends of what 32 octets hold, and limbs at the ends of what sums have.
fn edges() -> Vec<Fe> {
    let mut all = Vec::new();
    let prime = *prime();
    for offset in 0..20_u8 {
        let offset = U256::from(offset);
        for number in [
            offset,
            prime.wrapping_sub(&offset),
            prime.wrapping_add(&offset),
            U256::ONE.shl(254).wrapping_sub(&offset),
            U256::MAX.wrapping_sub(&offset),
        ] {
            let octets = octets(&number);
            let fe = Fe::from_octets(&octets);
            let without_top = number.shl(1).shr(1);
            assert_eq!(value(fe), without_top.rem(&NonZero::new(prime).unwrap()));
            all.push(fe);
        }
    }
    for most in [HALF, TIGHT, 2 * TIGHT] {
        let most = i32::try_from(most).unwrap();
        all.push(Fe([most; 9]));
        all.push(Fe([-most; 9]));
        all.push(Fe(core::array::from_fn(|at| if at % 2 == 0 { most } else { -most })));
        for place in 0..9 {
            for limb in [most, -most] {
                let mut limbs = [0; 9];
                limbs[place] = limb;
                all.push(Fe(limbs));
                all.push(Fe([limb; 9].map(|limb| limb - limbs[place])));
            }
        }
    }
    all
}

#[test]
fn products_at_the_edges() {
    let edges = edges();
    for a in &edges {
        for b in &edges {
            check(*a, *b);
        }
    }
    // The largest that any formula multiplies.
    let limbs = |most: i64| i32::try_from(most).unwrap();
    for (three, four) in [(3, 4), (3, -4), (-3, -4)] {
        check(Fe([limbs(three * TIGHT); 9]), Fe([limbs(four * TIGHT); 9]));
        let sign = |at| if at % 2 == 0 { 1 } else { -1 };
        check(
            Fe(core::array::from_fn(|at| limbs(sign(at) * three * TIGHT))),
            Fe(core::array::from_fn(|at| limbs(sign(at) * four * TIGHT))),
        );
    }
}

#[test]
fn constants() {
    assert_eq!((Fe::HALF + Fe::HALF).to_octets(), Fe::ONE.to_octets());
    assert_eq!(Fe::ROOT.square().to_octets(), (-Fe::ONE).to_octets());
    let d = Fe::D * Fe([121_666, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(d.to_octets(), Fe([-121_665, 0, 0, 0, 0, 0, 0, 0, 0]).to_octets());
    for limb in [Fe::HALF, Fe::D, Fe::ROOT, Fe::ONE].map(|fe| fe.largest()) {
        assert!(limb <= TIGHT);
    }
}

#[test]
fn the_power_for_roots() {
    // (2^252 - 3) = (p - 5)/8: eight times it and four more are p - 1.
    for fe in edges() {
        let eighth = (fe * Fe::ONE).root_power();
        let one = eighth.squared(3) * fe.square().square();
        let expected = if value(fe) == U256::ZERO { Fe::ZERO } else { Fe::ONE };
        assert_eq!(one.to_octets(), expected.to_octets());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn any_operands(
        a in proptest::array::uniform9(-(2 * TIGHT as i32)..=2 * TIGHT as i32),
        b in proptest::array::uniform9(-(2 * TIGHT as i32)..=2 * TIGHT as i32),
    ) {
        check(Fe(a), Fe(b));
    }
}
