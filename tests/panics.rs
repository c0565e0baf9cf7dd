//! The panic machinery in the built module: every function that can reach it is in a list, with the
//! reason why that is no way for an attacker.
//!
//! A panic ends the VM. Lints keep what panics out of our own code; this looks at what the compiler and
//! the libraries made of it all. The module is built once more with the names of its functions.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use jwt_gate_demo::wasm;
use rustc_demangle::demangle;
use serde_json::Value;
use wasmparser::{KnownCustom, Name, Operator, Parser, Payload, TypeRef};

/// What panics look like: functions of these names are the machinery, and whoever calls them has a panic.
const MACHINERY: [&str; 17] = [
    "__rustc::rust_begin_unwind",
    "__rustc::rust_panic",
    "__rustc::__rust_start_panic",
    "__rustc::__rust_abort",
    "alloc::alloc::handle_alloc_error",
    "alloc::raw_vec::capacity_overflow",
    "alloc::raw_vec::handle_error",
    "core::cell::panic_",
    "core::option::expect_failed",
    "core::option::unwrap_failed",
    "core::panicking::",
    "core::result::unwrap_failed",
    "core::slice::copy_from_slice_impl::len_mismatch_fail",
    "core::slice::index::slice_",
    "core::str::slice_error_fail",
    "std::panicking::",
    "std::process::abort",
];

/// A module's functions: what they are called, and what they call.
struct Module {
    names: BTreeMap<u32, String>,
    /// By callers: the callees, and whether there is a trap that follows no call.
    calls: BTreeMap<u32, BTreeSet<u32>>,
    traps: BTreeSet<u32>,
    exports: BTreeMap<String, u32>,
    /// Functions that are called by way of a table.
    in_tables: BTreeSet<u32>,
}

impl Module {
    fn read(octets: &[u8]) -> Self {
        let mut module = Self {
            names: BTreeMap::new(),
            calls: BTreeMap::new(),
            traps: BTreeSet::new(),
            exports: BTreeMap::new(),
            in_tables: BTreeSet::new(),
        };
        let mut function = 0;
        for payload in Parser::new(0).parse_all(octets) {
            match payload.unwrap() {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        if let TypeRef::Func(_) = import.unwrap().ty {
                            function += 1;
                        }
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.unwrap();
                        if export.kind == wasmparser::ExternalKind::Func {
                            module.exports.insert(export.name.to_owned(), export.index);
                        }
                    }
                }
                Payload::ElementSection(section) => {
                    for element in section {
                        if let wasmparser::ElementItems::Functions(list) = element.unwrap().items {
                            module.in_tables.extend(list.into_iter().map(Result::unwrap));
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    module.read_body(function, &body);
                    function += 1;
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(names) = section.as_known() {
                        for name in names {
                            if let Name::Function(map) = name.unwrap() {
                                for naming in map {
                                    let naming = naming.unwrap();
                                    let name = format!("{:#}", demangle(naming.name));
                                    module.names.insert(naming.index, name);
                                }
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        module
    }

    fn read_body(&mut self, function: u32, body: &wasmparser::FunctionBody<'_>) {
        let calls = self.calls.entry(function).or_default();
        let mut after_call = false;
        for operator in body.get_operators_reader().unwrap() {
            match operator.unwrap() {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    calls.insert(function_index);
                    after_call = true;
                }
                Operator::Unreachable if !after_call => {
                    self.traps.insert(function);
                }
                Operator::Unreachable => {}
                Operator::CallIndirect { .. } => after_call = true,
                _ => after_call = false,
            }
        }
    }

    fn name(&self, function: u32) -> &str {
        self.names.get(&function).map_or("?", String::as_str)
    }

    fn is_machinery(&self, function: u32) -> bool {
        let name = self.name(function);
        MACHINERY.iter().any(|start| name.starts_with(start))
    }

    /// What can run: whatever exports and tables lead to.
    fn reachable(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        let mut open: Vec<u32> = self.exports.values().chain(&self.in_tables).copied().collect();
        while let Some(function) = open.pop() {
            // What the machinery calls in its turn is no new way to it.
            if found.insert(function) && !self.is_machinery(function) {
                open.extend(self.calls.get(&function).into_iter().flatten());
            }
        }
        found
    }
}

/// Functions with the same reason.
struct Group {
    why: String,
    /// How the names of the functions begin, and those of the machinery that they call.
    of: Vec<String>,
    calls: Vec<String>,
    /// None: any.
    functions: Option<BTreeSet<String>>,
}

fn read_groups(list: &Value) -> Vec<Group> {
    let texts = |value: &Value| -> Vec<String> {
        let texts = value.as_array().into_iter().flatten();
        texts.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let groups = list["groups"].as_array().unwrap().iter();
    let group = |group: &Value| Group {
        why: group["why"].as_str().unwrap().to_owned(),
        of: texts(&group["of"]),
        calls: texts(&group["calls"]),
        functions: group.get("functions").map(|list| texts(list).into_iter().collect()),
    };
    groups.map(group).collect()
}

impl Group {
    fn fits(&self, function: &str, callee: &str) -> bool {
        // `<core::option::Option<a::B> as c::D>::e` begins like `core`, and so does `<&core`.
        let bare = function.trim_start_matches(['<', '&', '[', '*']).trim_start_matches("mut ");
        // A name that does not end in a colon is a whole one, but for what it is generic over.
        let begins = |starts: &[String], name: &str| {
            let fits = |start: &String| {
                let rest = name.strip_prefix(start.as_str());
                rest.is_some_and(|rest| {
                    rest.is_empty() || start.ends_with(':') || rest.starts_with("::<")
                })
            };
            starts.is_empty() || starts.iter().any(fits)
        };
        let is_theirs =
            self.of.is_empty() || self.of.iter().any(|own| bare.starts_with(own.as_str()));
        is_theirs && begins(&self.calls, callee)
    }
}

/// How a trap is called that is none of the machinery.
const TRAP: &str = "trap";

/// How many functions there are, and how many operators in all of them. With names, the compiler takes the
/// same functions in another order, so nothing more can be compared.
fn size(octets: &[u8]) -> (usize, usize) {
    let (mut functions, mut operators) = (0, 0);
    for payload in Parser::new(0).parse_all(octets) {
        if let Payload::CodeSectionEntry(body) = payload.unwrap() {
            functions += 1;
            operators += body.get_operators_reader().unwrap().into_iter().count();
        }
    }
    (functions, operators)
}

/// `PANICS=write cargo test --test panics` writes the list anew; reasons are for people to write.
#[test]
fn every_way_to_a_panic_has_a_reason() {
    let named = fs::read(wasm::build_named_filter(&wasm::workspace()).unwrap()).unwrap();
    let product = match std::env::var_os("JWT_GATE_WASM") {
        Some(path) => path.into(),
        None => wasm::build_filter(&wasm::workspace()).unwrap(),
    };
    let product = fs::read(product).unwrap();
    let ((functions, operators), (own, others)) = (size(&named), size(&product));
    let same = functions == own && operators.abs_diff(others) * 1_000 < operators;
    assert!(same, "the module with names has other code");
    let module = Module::read(&named);
    let reachable = module.reachable();
    // What the search must find, or it would find nothing.
    for export in ["proxy_on_request_headers", "proxy_on_configure", "proxy_on_http_call_response"]
    {
        assert!(reachable.contains(&module.exports[export]), "{export}");
    }
    let mut found = BTreeSet::new();
    for (caller, callees) in &module.calls {
        if !reachable.contains(caller) || module.is_machinery(*caller) {
            continue;
        }
        let name = module.name(*caller);
        let machinery = callees.iter().filter(|callee| module.is_machinery(**callee));
        found.extend(machinery.map(|callee| (name, module.name(*callee))));
        if module.traps.contains(caller) {
            found.insert((name, TRAP));
        }
    }
    assert!(found.len() > 100, "{}", found.len());

    let file = wasm::workspace().join("tests/data/panics.json");
    let mut list: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let groups = read_groups(&list);
    let mut sorted: Vec<BTreeSet<&str>> = groups.iter().map(|_| BTreeSet::new()).collect();
    let mut without_reason = Vec::new();
    for (function, callee) in &found {
        match groups.iter().position(|group| group.fits(function, callee)) {
            Some(place) => drop(sorted[place].insert(function)),
            None => without_reason.push(format!("{function} -> {callee}")),
        }
    }
    assert!(without_reason.is_empty(), "no reason is given for\n{}", without_reason.join("\n"));
    let compiler = compiler();
    if std::env::var_os("PANICS").is_some_and(|word| word == "write") {
        list["compiler"] = compiler.into();
        for (group, functions) in list["groups"].as_array_mut().unwrap().iter_mut().zip(&sorted) {
            if group.get("functions").is_some() {
                group["functions"] = functions.iter().copied().collect();
            }
        }
        fs::write(&file, serde_json::to_string_pretty(&list).unwrap() + "\n").unwrap();
        println!("{} is written anew", file.display());
        return;
    }
    let mut listed = 0;
    let is_same_compiler = list["compiler"] == compiler;
    let mut differences = Vec::new();
    for (group, functions) in groups.iter().zip(&sorted) {
        assert!(!functions.is_empty(), "nothing has this reason any more: {}", group.why);
        let Some(own) = &group.functions else { continue };
        listed += own.len();
        let own: BTreeSet<_> = own.iter().map(String::as_str).collect();
        differences.extend(functions.difference(&own).map(|name| format!("new: {name}")));
        differences.extend(own.difference(functions).map(|name| format!("gone: {name}")));
    }
    let functions: BTreeSet<_> = found.iter().map(|(function, _)| function).collect();
    println!("assured: {} cases, 0 exceptions", functions.len());
    println!("{} functions with panics, {listed} of them one by one in the list", functions.len());
    if !is_same_compiler {
        println!("skipped loudly: functions one by one, since the compiler is {compiler}");
        return;
    }
    assert!(
        differences.is_empty(),
        "look at these, and write the list anew with PANICS=write:\n{}",
        differences.join("\n")
    );
}

fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(rustc).arg("--version").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
