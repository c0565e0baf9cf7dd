//! Everything around jwt-gate that is not the filter: the demo issuer, the echo
//! backend, the signing side of the end-to-end tests, and what finds and runs Envoy.
//!
//! Nothing here is meant for production: the issuer has two users with
//! well-known passwords, and its keys live only as long as the process.

pub mod backend;
pub mod bootstrap;
pub mod browser;
pub mod envoy;
pub mod guard;
pub mod http;
pub mod issuer;
pub mod local;
pub mod memory;
mod page;
pub mod pki;
pub mod probe;
pub mod serve;
pub mod story;
pub mod tls;
pub mod wasm;

pub use jwt_gate_signing as keys;
