//! `jwt_gate_fuzzing::jwks` says what must be true.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jwt_gate_fuzzing::jwks::run(data));
