//! `jwt_gate_fuzzing::engine` says what must be true.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jwt_gate_fuzzing::engine::run(data));
