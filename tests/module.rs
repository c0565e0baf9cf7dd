//! The built module: what it imports and exports.
#![expect(clippy::print_stdout, reason = "tests")]

use std::collections::BTreeSet;

use jwt_gate_demo::wasm;
use wasmparser::{Parser, Payload};

/// No WASI, no ambient authority: whatever the module can do, it asks the proxy for.
#[test]
fn the_module_imports_proxy_functions_only() {
    let module = match std::env::var_os("JWT_GATE_WASM") {
        Some(path) => path.into(),
        None => wasm::build_filter(&wasm::workspace()).unwrap(),
    };
    let octets = std::fs::read(module).unwrap();
    let mut imports = BTreeSet::new();
    let mut exports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&octets) {
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
