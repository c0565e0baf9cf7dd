//! The demo as it ships: `envoy.yaml` in a real Envoy, with its issuer, backend and page. The page is
//! driven by a browser, if there is one.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests"
)]

mod bed;
mod page;

/// Says in a way that cannot be overlooked that a test did nothing.
fn skipped(test: &str, missing: &str) {
    eprintln!("\n!!! SKIPPED {test}: {missing}\n");
}
