//! End to end: the built module in a real Envoy, with real keys, tokens, fetches and failures.
//!
//! `cargo xtask test` builds the module and finds Envoy first; run alone, these tests do both
//! themselves.
#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    reason = "tests"
)]

mod answers;
mod authorization;
mod bed;
mod bound_tokens;
mod bridge;
mod configuration;
mod cookbook;
mod faults;
mod getting_started;
mod hostile;
mod issuers;
mod keys;
mod load;
mod observability;
mod outputs;
mod revocation;
mod sharing;
mod single_use;
mod soak;
mod tokens;
