//! The demo as it ships: `envoy.yaml` in a real Envoy, with its issuer, backend and page. The page is
//! driven by a browser, if there is one. And its metrics, as the dashboard and the alerts in
//! `deploy/observability/` ask for them; by a Prometheus, if there is one.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests"
)]

use std::io::{self, Write as _};

mod bed;
mod dashboard;
mod page;
mod prometheus;

/// Says in a way that cannot be overlooked that a test did nothing.
fn skipped(test: &str, missing: &str) {
    // Not by `eprintln`, which the test harness keeps to itself where a test passes.
    let _ = writeln!(io::stderr(), "\n!!! SKIPPED {test}: {missing}\n");
}
