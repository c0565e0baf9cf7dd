//! Published vectors inside Envoy: the code as it is compiled to WebAssembly and run by Envoy's own
//! engine, by the libraries and by fast arithmetic.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

mod published;

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
    for set in published::NAMES.map(published::set) {
        let mut sum = 0;
        let mut failed = Vec::new();
        let groups = set.groups.iter().map(|group| json!({ "check": group }));
        for job in groups.chain(set.tokens.iter().map(|group| json!({ "judge": group }))) {
            let tally: Tally = serde_json::from_value(probe.ask(&job).unwrap()).unwrap();
            sum += tally.good + tally.bad;
            failed.extend(tally.failures);
        }
        assert_eq!(sum, set.size().0, "{}", set.name);
        println!("{}", set.line("in Envoy", failed.len()));
        failures.extend(failed.into_iter().map(|failure| format!("{}: {failure}", set.name)));
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
