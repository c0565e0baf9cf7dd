//! The suites, one line each: a new test target is a new line.

use std::num::NonZero;
use std::process::Command;
use std::thread::{self, ScopedJoinHandle};

use jwt_gate_demo::wasm::workspace;

use super::{Bench, Found, twice};
use crate::tools;

/// Something that is shown.
pub(super) struct Suite {
    pub(super) name: &'static str,
    how: How,
}

enum How {
    /// Arguments of `cargo test`, and of the tests behind `--`.
    Tests(&'static [&'static str], &'static [(&'static str, &'static str)]),
    Own(fn(&Bench) -> Result<Found, String>),
}

use How::{Own, Tests};

/// What everybody runs.
const SUITES: [(&str, How); 25] = [
    ("each part of the filter", Tests(&["-p", "jwt-gate", "--lib"], &[])),
    ("published vectors, natively", Tests(&["--test", "wycheproof"], &[])),
    ("published vectors, in Envoy's engine", Tests(&["--test", "probe"], &[])),
    (
        "RFC examples, keys, signatures",
        Tests(&["--test", "vectors", "--test", "jose", "--test", "x509"], &[]),
    ),
    ("attacks, natively and in both Envoys", Tests(&["--test", "attacks"], &[])),
    ("arithmetic of our own", Tests(&["-p", "fast-verify"], &[])),
    (
        "decisions under a virtual clock",
        Tests(
            &[
                "--test",
                "engine",
                "--test",
                "key_store",
                "--test",
                "key_store_hostile",
                "--test",
                "authorization",
                "--test",
                "conditions",
                "--test",
                "issuers",
                "--test",
                "mapping",
                "--test",
                "answers",
                "--test",
                "revocation",
                "--test",
                "status_list",
                "--test",
                "logout",
                "--test",
                "possession",
                "--test",
                "bound_tokens",
                "--test",
                "config",
                "--test",
                "decision_record",
            ],
            &[],
        ),
    ),
    ("parity with the native filter", Tests(&["--test", "parity"], &[])),
    ("modules: imports and vectors", Tests(&["--test", "module"], &[])),
    ("panic machinery in the module", Tests(&["--test", "panics"], &[])),
    ("limits", Tests(&["--test", "limits"], &[])),
    (
        "fuzz targets: seeds and changed seeds",
        Tests(&["-p", "jwt-gate-fuzzing"], &[("FUZZ_SECONDS", "10")]),
    ),
    ("fuzzers, on a nightly compiler", Own(fuzzers)),
    ("end to end", Tests(&["--test", "e2e", "--", "--skip", "load::", "--skip", "soak::"], &[])),
    (
        "load and faults, 1, 2 and 4 workers",
        Tests(
            &["--test", "e2e", "--", "load::", "--test-threads", "1"],
            &[("JWT_GATE_LOAD_SECONDS", "2")],
        ),
    ),
    (
        "memory over requests, good and hostile",
        Tests(&["--test", "e2e", "--", "flat_over_mixed"], &[("JWT_GATE_SOAK_REQUESTS", "400000")]),
    ),
    (
        "memory over key rotations",
        Tests(&["--test", "e2e", "--", "flat_over_key"], &[("JWT_GATE_SOAK_ROTATIONS", "400")]),
    ),
    (
        "memory over reloads of the configuration",
        Tests(&["--test", "e2e", "--", "flat_over_reloads"], &[("JWT_GATE_SOAK_RELOADS", "100")]),
    ),
    ("manifests", Tests(&["--test", "deploy"], &[])),
    (
        "what the documents claim",
        Tests(&["--test", "tidy", "--test", "docs", "--test", "cookbook"], &[]),
    ),
    ("the command line tool", Tests(&["-p", "jwt-gate-cli"], &[])),
    ("the demo: story, page, dashboard", Tests(&["--test", "demo"], &[])),
    ("bills of materials, the same octets", Tests(&["-p", "xtask", "image"], &[])),
    ("the module from two folders", Own(twice::run)),
    ("dependencies: bans, licences, sources", Own(dependencies)),
];

/// Longer runs of the same. They take less than an hour, and the fuzzers nine, divided by the processors.
const LONG: [(&str, &str); 5] = [
    ("JWT_GATE_SOAK_REQUESTS", "1000000"),
    ("JWT_GATE_SOAK_ROTATIONS", "1000"),
    ("JWT_GATE_SOAK_RELOADS", "200"),
    ("JWT_GATE_LOAD_SECONDS", "30"),
    ("FUZZ_SECONDS", "60"),
];

/// The suites, in the order in which they run.
pub(super) fn all() -> impl Iterator<Item = Suite> {
    SUITES.into_iter().map(|(name, how)| Suite { name, how })
}

impl Suite {
    pub(super) fn run(&self, bench: &Bench) -> Result<Found, String> {
        match &self.how {
            Own(check) => check(bench),
            Tests(arguments, variables) => {
                let mut arguments = arguments.to_vec();
                if !arguments.contains(&"--") {
                    arguments.push("--");
                }
                // The counts are for us.
                arguments.push("--nocapture");
                let longer = |name: &str, otherwise: &str| {
                    let longer = LONG.iter().find(|(own, _)| bench.long && *own == name);
                    longer.map_or(otherwise, |(_, value)| *value).to_owned()
                };
                let variables: Vec<_> =
                    variables.iter().map(|(name, value)| (*name, longer(name, value))).collect();
                bench.test(self.name, &arguments, &variables)
            }
        }
    }
}

/// The fuzz targets themselves, where there are a nightly compiler and cargo-fuzz: half a minute each, or an
/// hour, as many at once as there are processors.
fn fuzzers(bench: &Bench) -> Result<Found, String> {
    const TARGETS: [&str; 9] = [
        "engine",
        "configuration",
        "ecdsa_verify",
        "ed25519_verify",
        "jwks",
        "pairs",
        "paths",
        "rsa_power",
        "token",
    ];
    let is_there =
        nightly().args(["fuzz", "--version"]).output().is_ok_and(|output| output.status.success());
    if !is_there {
        let why = "rustup toolchain install nightly, and cargo install cargo-fuzz".to_owned();
        return Ok(Found { skipped: Some(why), ..Found::default() });
    }
    let corpus = workspace().join("fuzz/corpus");
    let corpus = corpus.to_str().ok_or("the folder's name is not UTF-8")?;
    let seeds = ["run", "-q", "-p", "jwt-gate-fuzzing", "--bin", "seeds", "--", corpus];
    let (_, written) = bench.cargo("seeds", &seeds, &[])?;
    if !written.success() {
        return Err("the seeds cannot be written".to_owned());
    }
    let (_, built) = bench.logged("fuzzers", nightly().args(["fuzz", "build"]))?;
    if !built.success() {
        return Err("they cannot be built".to_owned());
    }
    let mut found = Found::default();
    let at_once = thread::available_parallelism().map_or(1, NonZero::get);
    for targets in TARGETS.chunks(at_once) {
        let runs: Vec<_> = thread::scope(|scope| {
            let runs: Vec<_> =
                targets.iter().map(|target| scope.spawn(|| fuzz(bench, target))).collect();
            runs.into_iter().map(ScopedJoinHandle::join).collect()
        });
        for (target, runs) in targets.iter().zip(runs) {
            match runs {
                Ok(Ok(runs)) => found.cases += runs,
                _ => {
                    found.failed += 1;
                    found.remark += &format!("{target}; ");
                }
            }
        }
    }
    Ok(found)
}

/// Lets the fuzzer look for what breaks this target; how many cases it tried, if nothing did.
fn fuzz(bench: &Bench, target: &str) -> Result<u64, String> {
    let seconds = if bench.long { "-max_total_time=3600" } else { "-max_total_time=30" };
    // Slow targets would never get to inputs of a sensible length otherwise.
    let options = [seconds, "-rss_limit_mb=4096", "-len_control=0"];
    let arguments = [&["fuzz", "run", target, "--"], &options[..]].concat();
    let (text, status) = bench.logged(&format!("fuzzer {target}"), nightly().args(arguments))?;
    // `Done 12345 runs in 31 second(s)`
    let runs = text.lines().rev().find_map(|line| line.strip_prefix("Done "));
    let runs = runs.and_then(|rest| rest.split(' ').next()).and_then(|runs| runs.parse().ok());
    runs.filter(|_| status.success()).ok_or_else(|| "it found something, or did not run".to_owned())
}

/// The cargo of a nightly toolchain. What the one that called us told of itself is not for it.
fn nightly() -> Command {
    let mut command = Command::new("cargo");
    command.arg("+nightly").current_dir(workspace());
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command
}

fn dependencies(bench: &Bench) -> Result<Found, String> {
    if !tools::has_subcommand("deny") {
        let why = "cargo install cargo-deny".to_owned();
        return Ok(Found { skipped: Some(why), ..Found::default() });
    }
    let mut found = Found::default();
    for check in ["bans", "licenses", "sources"] {
        let (_, status) = bench.cargo("cargo deny", &["deny", "check", check], &[])?;
        found.cases += 1;
        if !status.success() {
            found.failed += 1;
            found.remark += &format!("{check}; ");
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_target_is_in_a_suite() {
        let targets = std::fs::read_dir(workspace().join("tests")).unwrap().filter_map(|entry| {
            let path = entry.unwrap().path();
            let is_target =
                path.extension().is_some_and(|end| end == "rs") || path.join("main.rs").exists();
            is_target.then(|| path.file_stem().unwrap().to_str().unwrap().to_owned())
        });
        let targets: Vec<_> = targets.collect();
        assert!(targets.len() > 30, "{targets:?}");
        for target in targets {
            let is_run = SUITES.iter().any(|(_, how)| match how {
                Tests(arguments, _) => {
                    arguments.windows(2).any(|pair| pair[0] == "--test" && pair[1] == target)
                }
                Own(_) => false,
            });
            assert!(is_run, "no suite runs {target}");
        }
    }
}
