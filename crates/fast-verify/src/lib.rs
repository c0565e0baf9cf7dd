//! **Variable time: for public data only.** Nothing secret may ever enter here, no private key and no
//! plaintext: how long a call takes depends on its operands.
//!
//! The arithmetic of signature verification, laid out for 32-bit multiplications with 64-bit
//! products, which is what WebAssembly has. Padding, hashes and key formats are the caller's.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod ecdsa;
pub mod ed25519;
mod inverse;
pub mod rsa;
