//! Published vectors inside Envoy: the code as it is compiled to WebAssembly and run by Envoy's own
//! engine, by the libraries and by fast arithmetic.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

mod published;

use std::io::{self, Write as _};

use jwt_gate_demo::envoy::{self, PINNED};
use jwt_gate_demo::probe::Probe;
use jwt_gate_demo::wasm;
use jwt_gate_probe::vectors::Tally;
use serde_json::json;

/// As many as `tests/wycheproof.rs` checks natively.
#[test]
fn vectors_hold_in_envoy() {
    let module = match std::env::var_os("JWT_GATE_PROBE") {
        Some(path) => path.into(),
        None => wasm::build_probe(&wasm::workspace()).unwrap(),
    };
    let probe = Probe::start(&envoy::find(PINNED).unwrap(), &module).unwrap();
    let mut failures = Vec::new();
    let mut fused_in_all = 0;
    for set in published::NAMES.map(published::set) {
        let (mut sum, mut fast, mut fused) = (0, 0, 0);
        let mut failed = Vec::new();
        let groups = set.groups.iter().map(|group| json!({ "check": group }));
        for job in groups.chain(set.tokens.iter().map(|group| json!({ "judge": group }))) {
            let tally: Tally = serde_json::from_value(probe.ask(&job).unwrap()).unwrap();
            sum += tally.good + tally.bad;
            fast += tally.fast;
            fused += tally.fused;
            failed.extend(tally.failures);
        }
        assert_eq!(sum, set.size().0, "{}", set.name);
        let (to_be_fast, of_rsa) = set.fast();
        assert_eq!(fast, to_be_fast, "{}: by arithmetic of our own", set.name);
        let to_be_fused = if processor_fuses() { of_rsa } else { 0 };
        assert_eq!(fused, to_be_fused, "{}: by fused multiply-adds", set.name);
        fused_in_all += fused;
        println!("{}", set.line("in Envoy", failed.len()));
        failures.extend(failed.into_iter().map(|failure| format!("{}: {failure}", set.name)));
    }
    assert!(failures.is_empty(), "{failures:#?}");
    if processor_fuses() {
        assert!(fused_in_all > 2000, "{fused_in_all}");
    } else {
        // Not by `println!`, which the test runner keeps to itself: it is for everybody.
        let _ = writeln!(
            io::stderr(),
            "SKIPPED: this processor does not fuse multiply-adds, so the vectors of RSA ran by integers only"
        );
    }
}

/// Whether Envoy's engine has instructions for it here. It emulates them otherwise, in two roundings.
fn processor_fuses() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    return cfg!(target_arch = "aarch64");
}
