//! The module is made of the sources, the lock file and the compiler, and of nothing else: built in another
//! folder, it has the same octets.

use std::fs;
use std::path::Path;
use std::process::Command;

use jwt_gate_demo::wasm::{self, workspace};

use super::{Bench, Found, told};
use crate::image::sha256;

pub(super) fn run(bench: &Bench) -> Result<Found, String> {
    let elsewhere = bench.folder.join("another place/sources");
    if elsewhere.exists() {
        fs::remove_dir_all(&elsewhere).map_err(|error| told(&elsewhere, &error))?;
    }
    copy_sources(&workspace(), &elsewhere)?;
    type Build = fn(&Path) -> Result<std::path::PathBuf, String>;
    let builds: [Build; 2] = [wasm::build_filter, wasm::build_portable_filter];
    let mut found = Found::default();
    for build in builds {
        let read = |folder: &Path| {
            let path = build(folder)?;
            fs::read(&path).map_err(|error| told(&path, &error))
        };
        let (here, there) = (read(&workspace())?, read(&elsewhere)?);
        found.cases += 1;
        if here != there {
            found.failed += 1;
        }
        found.remark += &format!("{}; ", sha256(&there).get(..16).unwrap_or_default());
    }
    // As large as all dependencies.
    fs::remove_dir_all(&elsewhere).map_err(|error| told(&elsewhere, &error))?;
    Ok(found)
}

/// Copies what is in the repository, as it is now.
fn copy_sources(from: &Path, to: &Path) -> Result<(), String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(from)
        .output()
        .map_err(|error| format!("cannot run git: {error}"))?;
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    let names: Vec<_> = list.split('\0').filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err("git knows no files here".to_owned());
    }
    for name in names {
        let (source, target) = (from.join(name), to.join(name));
        // One that was deleted, and not yet from the index.
        if !source.is_file() {
            continue;
        }
        let parent = target.parent().unwrap_or(to);
        fs::create_dir_all(parent).map_err(|error| told(parent, &error))?;
        fs::copy(&source, &target).map_err(|error| told(&source, &error))?;
    }
    Ok(())
}
