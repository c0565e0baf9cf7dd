//! Builds the filter's module, and whatever else cargo builds for the demo.

use serde_json::Value;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target of the filter: no WASI, so the module can call nothing but Envoy.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The top folder of the workspace, where it was when this was compiled.
pub fn workspace() -> PathBuf {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR"));
    demo.parent().unwrap_or(demo).to_owned()
}

/// Builds the filter in release mode and returns the path of `jwt_gate.wasm`.
///
/// Installs the wasm target with rustup when it is missing. Cargo's progress goes
/// to standard error.
pub fn build_filter(workspace: &Path) -> Result<PathBuf, String> {
    build(workspace, &[])
}

/// The same for hosts whose engine refuses relaxed SIMD: `jwt_gate_portable.wasm`.
pub fn build_portable_filter(workspace: &Path) -> Result<PathBuf, String> {
    // In a folder of its own, so that neither replaces the other.
    let target = target_folder(workspace)?.join("portable");
    let target = target.to_str().ok_or("the target folder's name is not UTF-8")?;
    let module = build(
        workspace,
        &["--no-default-features", "--features", "plugin", "--target-dir", target],
    )?;
    let portable = module.with_file_name("jwt_gate_portable.wasm");
    fs::copy(&module, &portable)
        .map_err(|error| format!("cannot write {}: {error}", portable.display()))?;
    Ok(portable)
}

/// The default module with the names of its functions, which the product does without. The functions are
/// the same, in another order.
pub fn build_named_filter(workspace: &Path) -> Result<PathBuf, String> {
    let target = target_folder(workspace)?.join("named");
    let target = target.to_str().ok_or("the target folder's name is not UTF-8")?;
    build(workspace, &["--config", "profile.release.strip=false", "--target-dir", target])
}

fn build(workspace: &Path, more: &[&str]) -> Result<PathBuf, String> {
    install_target()?;
    let paths = same_paths_everywhere(workspace)?;
    let flags = ["--release", "--target", TARGET, "-p", "jwt-gate", "--lib", "--config", &paths];
    cargo_build(workspace, &[&flags, more].concat())?
        .into_iter()
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
        .ok_or_else(|| "cargo built jwt-gate, but named no .wasm file".to_owned())
}

/// An entry of cargo's configuration. Panics name the files of dependencies, which lie wherever this
/// machine's cargo keeps them: under one name, the module has the same octets on every machine. In the
/// variable `RUSTFLAGS` it would displace the flags in `.cargo/config.toml`, which this joins.
fn same_paths_everywhere(workspace: &Path) -> Result<String, String> {
    let cargo_home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => env::home_dir().ok_or("there is no home folder")?.join(".cargo"),
    };
    let flag = |path: &Path, name: &str| match path.to_str() {
        Some(path) => Ok(Value::from(format!("--remap-path-prefix={path}={name}")).to_string()),
        None => Err(format!("{} is not UTF-8", path.display())),
    };
    let flags = [flag(workspace, "/jwt-gate")?, flag(&cargo_home, "/cargo")?].join(", ");
    Ok(format!("target.{TARGET}.rustflags=[{flags}]"))
}

/// Builds the probe (`crates/probe`) for Envoy, optimised like the filter.
pub fn build_probe(workspace: &Path) -> Result<PathBuf, String> {
    install_target()?;
    let flags = ["--profile", PROBE_PROFILE, "-p", "jwt-gate-probe", "--lib", "--target", TARGET];
    cargo_build(workspace, &flags)?
        .into_iter()
        .find(|file| file.file_name().is_some_and(|name| name == "jwt_gate_probe.wasm"))
        .ok_or_else(|| "cargo built the probe, but named no .wasm file".to_owned())
}

/// Builds the same as a program of this machine.
pub fn build_probe_program(workspace: &Path) -> Result<PathBuf, String> {
    let flags = ["--profile", PROBE_PROFILE, "-p", "jwt-gate-probe", "--bin", "probe"];
    cargo_build(workspace, &flags)?
        .into_iter()
        .find(|file| file.file_name().is_some_and(|name| name == "probe"))
        .ok_or_else(|| "cargo built the probe, but named no program".to_owned())
}

/// Cargo's profile for the probe: the workspace's Cargo.toml says why it has its own.
const PROBE_PROFILE: &str = "probe";

/// Where cargo puts what it builds.
fn target_folder(workspace: &Path) -> Result<PathBuf, String> {
    let output = cargo(workspace)
        .args(["metadata", "--no-deps", "--format-version=1"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    serde_json::from_slice::<Value>(&output.stdout)
        .ok()
        .and_then(|metadata| metadata["target_directory"].as_str().map(PathBuf::from))
        .ok_or_else(|| "cargo named no target folder".to_owned())
}

/// Runs `cargo build` with these flags and returns the files that it made, also
/// those that were fresh. Cargo is asked for the names because the target folder
/// can be anywhere (`CARGO_TARGET_DIR`, `build.target-dir`).
pub fn cargo_build(workspace: &Path, flags: &[&str]) -> Result<Vec<PathBuf>, String> {
    let output = cargo(workspace)
        .args(["build", "--message-format=json-render-diagnostics"])
        .args(flags)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo build {} failed", flags.join(" ")));
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| message["filenames"].as_array().cloned())
        .flatten()
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .collect())
}

/// A call of cargo, of the one that called us if any.
pub fn cargo(workspace: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace);
    // What cargo told this program about its own package is not for another cargo:
    // build scripts that look at it (ring's) would run again each time.
    for (name, _) in env::vars_os() {
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
        if told.iter().any(|it| name.as_encoded_bytes().starts_with(it.as_bytes())) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Installs the standard library of the wasm target, unless it is there.
pub fn install_target() -> Result<(), String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("cannot run rustc: {error}"))?;
    let libdir = String::from_utf8_lossy(&output.stdout);
    // An empty answer would name the current folder, which always exists.
    if !libdir.trim().is_empty() && Path::new(libdir.trim()).is_dir() {
        return Ok(());
    }
    eprintln!("installing the Rust target {TARGET}");
    // `target add` takes the files of the installed toolchain's own release. A `targets` line in
    // rust-toolchain.toml does nothing where automatic installation is off, and
    // where it is on it may move the user's whole toolchain to a newer release.
    match Command::new("rustup").args(["target", "add", TARGET]).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("rustup could not install the target {TARGET}")),
        Err(_) => Err(format!(
            "the Rust target {TARGET} is missing and there is no rustup to install it: \
             install Rust with rustup (https://rustup.rs)"
        )),
    }
}
