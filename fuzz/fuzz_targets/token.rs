//! `jwt_gate_fuzzing::token` says what must be true.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jwt_gate_fuzzing::token::run(data));
