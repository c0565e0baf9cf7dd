//! `cargo xtask image`: what a release consists of. Everything is made of the sources, the lock file
//! and the compiler, and of nothing else: no time, no user, no folder. So two machines make the same
//! octets, and a digest can be checked by whoever has the sources.

mod oci;
mod sbom;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jwt_gate_demo::wasm;
use sha2::{Digest, Sha256};

use crate::tools;

/// Files by their names.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A module to publish.
pub struct Module {
    /// The name of the file, without its extension.
    pub name: &'static str,
    /// What tells it from the default one, in tags.
    pub suffix: &'static str,
    /// The file.
    pub octets: Vec<u8>,
}

/// Builds both modules and writes everything into `target/image`.
pub fn run() -> Result<(), String> {
    tools::check(&[tools::LINKER])?;
    let workspace = wasm::workspace();
    let read = |path: PathBuf| fs::read(&path).map_err(|error| told(&path, &error));
    let modules = [
        Module { name: "jwt_gate", suffix: "", octets: read(wasm::build_filter(&workspace)?)? },
        Module {
            name: "jwt_gate_portable",
            suffix: "-portable",
            octets: read(wasm::build_portable_filter(&workspace)?)?,
        },
    ];
    let files = release(&sbom::Sources::read(&workspace)?, &modules);
    let folder = workspace.join("target/image");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| told(&folder, &error))?;
    }
    for (name, octets) in &files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(|error| told(parent, &error))?;
        fs::write(&path, octets).map_err(|error| told(&path, &error))?;
    }
    print!("{}", String::from_utf8_lossy(&files["digests.txt"]));
    println!("{}", folder.display());
    Ok(())
}

/// All files of a release: modules, their bills of materials, images as a folder and as one file,
/// digests and checksums.
fn release(sources: &sbom::Sources, modules: &[Module]) -> Files {
    let mut files = Files::new();
    for module in modules {
        let name = module.name;
        files.insert(format!("{name}.cdx.json"), sources.bill(module));
        files.insert(format!("{name}.wasm"), module.octets.clone());
    }
    let (layout, digests) = oci::layout(&sources.version, modules);
    files.insert(format!("jwt-gate-{}.oci.tar", sources.version), oci::tar(&layout));
    let digests = digests.iter().map(|(tag, digest)| format!("{tag} {digest}\n"));
    files.insert("digests.txt".to_owned(), digests.collect::<String>().into_bytes());
    // In the form that `sha256sum --check` reads.
    let sums = files.iter().map(|(name, octets)| format!("{}  {name}\n", sha256(octets)));
    let sums: String = sums.collect();
    files.insert("sha256sums.txt".to_owned(), sums.into_bytes());
    files.extend(layout.into_iter().map(|(name, octets)| (format!("oci/{name}"), octets)));
    files
}

/// The SHA-256, in hexadecimal digits.
pub fn sha256(octets: &[u8]) -> String {
    Sha256::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}

fn told(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules() -> [Module; 2] {
        let module =
            |name, suffix, text: &str| Module { name, suffix, octets: text.repeat(999).into() };
        [module("jwt_gate", "", "\0asm"), module("jwt_gate_portable", "-portable", "\0ASM")]
    }

    #[test]
    fn two_releases_have_the_same_octets() {
        let make = || release(&sbom::Sources::read(&wasm::workspace()).unwrap(), &modules());
        let (one, two) = (make(), make());
        assert_eq!(one, two);
        assert_eq!(one["jwt_gate.wasm"], modules()[0].octets);
        let sums = String::from_utf8(one["sha256sums.txt"].clone()).unwrap();
        assert_eq!(sums.lines().count(), 6, "{sums}");
        for line in sums.lines() {
            let (sum, name) = line.split_once("  ").unwrap();
            assert_eq!(sum, sha256(&one[name]), "{name}");
        }
        // Nothing of this machine.
        let here = wasm::workspace();
        for (name, octets) in &one {
            let text = String::from_utf8_lossy(octets);
            assert!(!text.contains(here.to_str().unwrap()), "{name}");
        }
    }

    #[test]
    fn checksums_are_those_of_the_standard() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
    }
}
