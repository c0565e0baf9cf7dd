//! The RSA public operation (RSAVP1, RFC 8017 section 5.2.2): `s^e mod n` for `e` of 3 or 65537 and
//! moduli from 512 to 8192 bits.
//!
//! `src/rsa/montgomery.rs` has the algorithm, once. It is generic over a `Kernel` that multiplies and
//! sums up: `src/rsa/scalar.rs` in integers, `src/rsa/fused.rs` in floating point by vectors, which is
//! several times as fast where WebAssembly has fused multiply-adds. Each argues its bounds, and asserts
//! them at compile time.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "indices are below lengths that follow from the modulus alone; sums are bounded"
)]

use alloc::boxed::Box;
use alloc::vec::Vec;

// Without vectors there is no use for them on this target.
#[cfg(any(not(target_arch = "wasm32"), feature = "relaxed-simd"))]
mod fused;
mod kernel;
#[cfg(any(not(target_arch = "wasm32"), feature = "relaxed-simd"))]
mod lanes;
mod montgomery;
mod plain;
mod scalar;

use montgomery::Modulus;
use scalar::Scalar;

#[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
type Fused = fused::Fused<core::arch::wasm32::v128>;
#[cfg(not(target_arch = "wasm32"))]
type Fused = fused::Fused<lanes::emulated::Emulated<0>>;

/// The most octets of a modulus: 8192 bits.
pub const MAX_OCTETS: usize = 1024;
/// The least: 512 bits. Whether such a key is acceptable is not decided here.
pub const MIN_OCTETS: usize = 64;

/// A way to multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// Integers of 64 bits: on every machine.
    Integers,
    /// Fused multiply-adds of two floating-point numbers at a time. On other targets than WebAssembly
    /// they are emulated, for tests.
    #[cfg(any(not(target_arch = "wasm32"), feature = "relaxed-simd"))]
    Fused,
}

impl Arithmetic {
    /// The fastest that is right on this machine.
    pub fn best() -> Self {
        #[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
        if is_fused() {
            return Self::Fused;
        }
        Self::Integers
    }
}

/// Whether this engine, on this processor, fuses. That is tried once.
#[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
fn is_fused() -> bool {
    use core::sync::atomic::{AtomicU8, Ordering};

    const UNKNOWN: u8 = 0;
    const YES: u8 = 1;
    const NO: u8 = 2;
    static FUSED: AtomicU8 = AtomicU8::new(UNKNOWN);
    if FUSED.load(Ordering::Relaxed) == UNKNOWN {
        let fused = fused::is_fused::<core::arch::wasm32::v128>();
        FUSED.store(if fused { YES } else { NO }, Ordering::Relaxed);
    }
    FUSED.load(Ordering::Relaxed) == YES
}

/// A public key: modulus and exponent.
#[derive(Clone, Debug)]
pub struct PublicKey {
    modulus: Form,
    /// In octets.
    length: usize,
    /// How often to square: `e = 2^squarings + 1`.
    squarings: u32,
}

#[derive(Clone, Debug)]
enum Form {
    Integers(Box<Modulus<Scalar>>),
    #[cfg(any(not(target_arch = "wasm32"), feature = "relaxed-simd"))]
    Fused(Box<Modulus<Fused>>),
}

impl PublicKey {
    /// A key of this big-endian modulus, without leading zeros, and this exponent. None: the modulus
    /// is even or of another size, or the exponent is neither 3 nor 65537.
    pub fn new(modulus: &[u8], exponent: u32) -> Option<Self> {
        Self::with(Arithmetic::best(), modulus, exponent)
    }

    /// The same, to be used with this arithmetic.
    pub fn with(arithmetic: Arithmetic, modulus: &[u8], exponent: u32) -> Option<Self> {
        let squarings = match exponent {
            3 => 1,
            65_537 => 16,
            _ => return None,
        };
        let length = modulus.len();
        let odd = modulus.last().is_some_and(|octet| octet & 1 == 1);
        let trimmed = modulus.first().is_some_and(|octet| *octet != 0);
        if !odd || !trimmed || !(MIN_OCTETS..=MAX_OCTETS).contains(&length) {
            return None;
        }
        let modulus = match arithmetic {
            Arithmetic::Integers => Form::Integers(Box::new(Modulus::new(modulus))),
            #[cfg(any(not(target_arch = "wasm32"), feature = "relaxed-simd"))]
            Arithmetic::Fused => Form::Fused(Box::new(Modulus::new(modulus))),
        };
        Some(Self { modulus, length, squarings })
    }

    /// `s^e mod n`, big-endian, as long as the modulus. None: `s` is not as long as the modulus, or
    /// not less than it (RFC 8017 sections 8.1.2 and 8.2.2, steps 1 and 2b).
    pub fn power(&self, s: &[u8]) -> Option<Vec<u8>> {
        if s.len() != self.length {
            return None;
        }
        match &self.modulus {
            Form::Integers(modulus) => modulus.power(s, self.squarings),
            #[cfg(any(not(target_arch = "wasm32"), feature = "relaxed-simd"))]
            Form::Fused(modulus) => modulus.power(s, self.squarings),
        }
    }
}
