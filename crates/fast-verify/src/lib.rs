//! **Variable time: for public data only.** Nothing secret may ever enter here, no private key and no
//! plaintext: how long a call takes depends on its operands.
//!
//! The arithmetic of signature verification, laid out for what WebAssembly has: multiplications with
//! 64-bit products, and, with the feature `relaxed-simd`, fused multiply-adds of two floating-point
//! numbers. Padding, hashes and key formats are the caller's.

// The emulated vectors of other targets, which only tests use, need `f64::mul_add` of std.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod ecdsa;
pub mod ed25519;
mod inverse;
pub mod rsa;
