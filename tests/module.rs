//! The built module: what it imports and exports, and what it asks of an engine.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jwt_gate_demo::wasm;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// No WASI, no ambient authority: whatever the module can do, it asks the proxy for.
#[test]
fn the_module_imports_proxy_functions_only() {
    for octets in [default(), portable()] {
        check_interface(&octets);
    }
}

/// The default module wants relaxed SIMD, and the portable one neither that nor SIMD.
#[test]
fn the_portable_module_has_no_vectors() {
    let everything = WasmFeatures::default() | WasmFeatures::RELAXED_SIMD;
    let vectors = WasmFeatures::SIMD | WasmFeatures::RELAXED_SIMD;
    let is_valid = |octets: &[u8], features| {
        Validator::new_with_features(features).validate_all(octets).is_ok()
    };
    let (default, portable) = (default(), portable());
    assert!(is_valid(&default, everything));
    assert!(!is_valid(&default, everything - WasmFeatures::RELAXED_SIMD));
    assert!(is_valid(&portable, everything - vectors));
    println!("{} octets, portable {}", default.len(), portable.len());
}

fn default() -> Vec<u8> {
    read("JWT_GATE_WASM", wasm::build_filter)
}

fn portable() -> Vec<u8> {
    read("JWT_GATE_PORTABLE_WASM", wasm::build_portable_filter)
}

fn read(variable: &str, build: fn(&Path) -> Result<PathBuf, String>) -> Vec<u8> {
    let module = match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => build(&wasm::workspace()).unwrap(),
    };
    std::fs::read(module).unwrap()
}

fn check_interface(octets: &[u8]) {
    let mut imports = BTreeSet::new();
    let mut exports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(octets) {
        match payload.unwrap() {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.unwrap();
                    imports.insert(format!("{}.{}", import.module, import.name));
                }
            }
            Payload::ExportSection(section) => {
                exports.extend(section.into_iter().map(|export| export.unwrap().name.to_owned()));
            }
            _ => {}
        }
    }
    assert!(!imports.is_empty());
    for import in &imports {
        assert!(import.starts_with("env.proxy_"), "{import}");
    }
    for export in ["_initialize", "malloc", "proxy_abi_version_0_2_1", "proxy_on_request_headers"] {
        assert!(exports.contains(export), "{export} is missing");
    }
    println!("{} octets, imports: {imports:?}", octets.len());
}
