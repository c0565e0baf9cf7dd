//! What the fuzz targets do, and what must be true of it.
//!
//! A target takes octets and panics when something is wrong. `fuzz/` calls them from `cargo fuzz`,
//! which wants a nightly compiler; `tests/replay.rs` calls them with every seed and with changed
//! seeds, on any compiler.

pub mod configuration;
pub mod engine;
pub mod jwks;
pub mod keys;
pub mod model;
pub mod oracle;
pub mod pairs;
pub mod paths;
pub mod scenario;
pub mod seeds;
pub mod strict;
pub mod token;

/// A target: it panics when something is wrong with what the gate makes of the octets.
pub type Target = fn(&[u8]);

/// Every target, by the name of its file in `fuzz/fuzz_targets` and of its folder in `fuzz/seeds`.
pub const TARGETS: [(&str, Target); 6] = [
    ("configuration", configuration::run),
    ("engine", engine::run),
    ("jwks", jwks::run),
    ("pairs", pairs::run),
    ("paths", paths::run),
    ("token", token::run),
];
