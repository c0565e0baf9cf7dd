//! `cargo xtask test`: what the CI runs, in the order in which failures are cheap.

use std::ffi::OsString;
use std::time::Instant;

use jwt_gate_demo::envoy::{self, OLDEST, PINNED};
use jwt_gate_demo::wasm::{self, TARGET, cargo, workspace};

use crate::tools::{self, LINKER, PYTHON};

/// How much to test.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything, end to end through Envoy.
    All,
    /// Checks and unit tests.
    WithoutEnvoy,
}

/// Runs all steps, and stops at the first that fails.
pub fn run(extent: Extent) -> Result<(), String> {
    let all = extent == Extent::All;
    let mut steps = Steps::new(if all { 9 } else { 6 });

    steps.run("tools", || {
        tools::check(if all { &[LINKER, PYTHON] } else { &[LINKER] })?;
        tools::install_component("fmt", "rustfmt")?;
        tools::install_component("clippy", "clippy")?;
        wasm::install_target()
    })?;
    steps.run("format", || run_cargo("fmt --all --check", &[]))?;
    steps.run("clippy on the host", || {
        run_cargo("clippy --workspace --all-targets -- -D warnings", &[])
    })?;
    steps.run("clippy on the wasm target", || {
        // One by one: together they would share features, and both bring an entry point.
        for package in ["jwt-gate", "jwt-gate-probe"] {
            let flags = format!("clippy -p {package} --lib --target {TARGET} -- -D warnings");
            run_cargo(&flags, &[])?;
        }
        Ok(())
    })?;
    if all {
        let (module, portable) = steps.run("build the filter", || {
            Ok((wasm::build_filter(&workspace())?, wasm::build_portable_filter(&workspace())?))
        })?;
        let probe = steps.run("build the probe", || wasm::build_probe(&workspace()))?;
        let (pinned, oldest) =
            steps.run("find Envoy", || Ok((envoy::find(PINNED)?, envoy::find(OLDEST)?)))?;
        steps.run("tests", || {
            let variables = [
                ("JWT_GATE_WASM", module.into()),
                ("JWT_GATE_PROBE", probe.into()),
                ("JWT_GATE_PORTABLE_WASM", portable.into()),
                ("ENVOY", pinned.path.into()),
                ("ENVOY_OLDEST", oldest.path.into()),
            ];
            run_cargo("test --workspace", &variables)
        })?;
    } else {
        steps.run("unit tests", || run_cargo("test --workspace --lib --bins", &[]))?;
    }
    steps.run("dependencies", || {
        if tools::has_subcommand("deny") {
            return run_cargo("deny check bans licenses sources", &[]);
        }
        println!(
            "      SKIPPED: licences, bans and sources of dependencies were not looked at, since \
             cargo-deny is not installed (cargo install cargo-deny)"
        );
        Ok(())
    })?;
    Ok(())
}

struct Steps {
    number: usize,
    count: usize,
}

impl Steps {
    fn new(count: usize) -> Self {
        Self { number: 0, count }
    }

    fn run<T>(
        &mut self,
        name: &str,
        step: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        self.number += 1;
        println!("[{}/{}] {name}", self.number, self.count);
        let start = Instant::now();
        let result = step().map_err(|error| format!("{name}: {error}"))?;
        println!("      done in {:.1} s", start.elapsed().as_secs_f64());
        Ok(result)
    }
}

fn run_cargo(arguments: &str, variables: &[(&str, OsString)]) -> Result<(), String> {
    let status = cargo(&workspace())
        .args(arguments.split(' '))
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("cargo {arguments} failed")),
    }
}
