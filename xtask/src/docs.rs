//! `cargo xtask docs`: what is made of the tables beside the configuration's reader. A test of the command line
//! (`cli/tests/schema.rs`) fails where it is stale.

use std::fs;

use jwt_gate_demo::wasm::{cargo, workspace};

/// What the command line prints, and where it goes.
const DOCUMENTS: [(&str, &[&str]); 2] =
    [("docs/schema.json", &["schema"]), ("docs/reference.md", &["schema", "--reference"])];

/// Writes the documents that are not as they should be.
pub fn run() -> Result<(), String> {
    for (name, arguments) in DOCUMENTS {
        let output = cargo(&workspace())
            .args(["run", "--quiet", "-p", "jwt-gate-cli", "--"])
            .args(arguments)
            .output()
            .map_err(|error| format!("cannot run cargo: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let path = workspace().join(name);
        if fs::read(&path).is_ok_and(|there| there == output.stdout) {
            println!("{name} is as it should be");
            continue;
        }
        fs::write(&path, output.stdout).map_err(|error| format!("cannot write {name}: {error}"))?;
        println!("{name} is made anew");
    }
    Ok(())
}
