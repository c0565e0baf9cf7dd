//! What the module is made of, as CycloneDX 1.6: the crates that cargo resolves for it, with their
//! licences, and their checksums by `Cargo.lock`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use jwt_gate_demo::wasm::{TARGET, cargo};
use serde_json::{Value, json};

use super::{Module, sha256};

/// What a bill of materials is made from.
pub struct Sources {
    /// The version of the release.
    pub version: String,
    components: Vec<Value>,
    dependencies: Vec<Value>,
}

impl Sources {
    /// Asks cargo and the lock file.
    pub fn read(workspace: &Path) -> Result<Self, String> {
        let metadata = metadata(workspace)?;
        let lock = std::fs::read_to_string(workspace.join("Cargo.lock"))
            .map_err(|error| format!("Cargo.lock: {error}"))?;
        let tree = tree(workspace)?;
        let linked = tree.lines().filter_map(name_and_version).collect();
        let mut sources = Self::resolve(&metadata, &linked, &checksums(&lock))
            .ok_or("cargo's metadata is not as expected")?;
        // The standard library is linked in, too.
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc).arg("--version").output();
        let output = output.map_err(|error| format!("cannot run rustc: {error}"))?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = told.split(' ').nth(1).ok_or("rustc tells no version")?;
        sources.components.push(json!({
            "type": "library",
            "name": "rust-std",
            "version": version,
            "licenses": [{ "expression": "MIT OR Apache-2.0" }],
        }));
        Ok(sources)
    }

    fn resolve(
        metadata: &Value,
        linked: &BTreeSet<[&str; 2]>,
        checksums: &BTreeMap<[&str; 2], &str>,
    ) -> Option<Self> {
        let packages = metadata["packages"].as_array()?.iter();
        let packages =
            packages.filter(|one| identity(one).is_some_and(|one| linked.contains(&one)));
        let packages: BTreeMap<_, _> =
            packages.map(|one| Some((one["id"].as_str()?, one))).collect::<Option<_>>()?;
        let mut components = BTreeMap::new();
        let mut dependencies = BTreeMap::new();
        for node in metadata["resolve"]["nodes"].as_array()? {
            let Some(package) = packages.get(node["id"].as_str()?) else { continue };
            // Neither for builds nor for tests.
            let normal = |edge: &&Value| {
                let kinds = edge["dep_kinds"].as_array();
                kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
            };
            let on = node["deps"].as_array()?.iter().filter(normal);
            let on = on.filter_map(|edge| packages.get(edge["pkg"].as_str()?));
            let on: BTreeSet<String> = on.map(|one| reference(one)).collect::<Option<_>>()?;
            let own = reference(package)?;
            dependencies.insert(own.clone(), json!({ "ref": own, "dependsOn": on }));
            if package["name"] != "jwt-gate" {
                components.insert(own, component(package, checksums)?);
            }
        }
        let gate = packages.values().find(|package| package["name"] == "jwt-gate")?;
        Some(Self {
            version: gate["version"].as_str()?.to_owned(),
            components: components.into_values().collect(),
            dependencies: dependencies.into_values().collect(),
        })
    }

    /// The bill of one module. It has neither time nor serial number: they would be different each time.
    pub fn bill(&self, module: &Module) -> Vec<u8> {
        let version = &self.version;
        let bill = json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": { "component": {
                "type": "application",
                "bom-ref": format!("pkg:cargo/jwt-gate@{version}"),
                "name": module.name,
                "version": version,
                "purl": format!("pkg:cargo/jwt-gate@{version}"),
                "hashes": [{ "alg": "SHA-256", "content": sha256(&module.octets) }],
                "licenses": [{ "expression": "Apache-2.0" }],
            } },
            "components": self.components,
            "dependencies": self.dependencies,
        });
        format!("{bill:#}\n").into_bytes()
    }
}

/// The graph of the whole workspace: it has what features need that only tests or commands ask for.
fn metadata(workspace: &Path) -> Result<Value, String> {
    let flags = ["metadata", "--format-version=1", "--locked", "--filter-platform", TARGET];
    serde_json::from_str(&ask_cargo(workspace, &flags)?).map_err(|error| error.to_string())
}

/// What the module is really built from, a package a line: `NAME vVERSION …`.
fn tree(workspace: &Path) -> Result<String, String> {
    let flags = "tree --locked -p jwt-gate -e normal --prefix none --format {p} --target";
    let flags: Vec<&str> = flags.split(' ').chain([TARGET]).collect();
    ask_cargo(workspace, &flags)
}

fn name_and_version(line: &str) -> Option<[&str; 2]> {
    let mut words = line.split(' ');
    Some([words.next()?, words.next()?.strip_prefix('v')?])
}

fn ask_cargo(workspace: &Path, flags: &[&str]) -> Result<String, String> {
    let output = cargo(workspace)
        .args(flags)
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    match output.status.success() {
        true => String::from_utf8(output.stdout).map_err(|error| error.to_string()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Checksums by name and version.
fn checksums(lock: &str) -> BTreeMap<[&str; 2], &str> {
    let packages = lock.split("[[package]]").skip(1);
    packages
        .filter_map(|package| {
            let field = |name: &str| {
                let lines = package.lines().filter_map(|line| line.split_once(" = "));
                let mut values = lines.filter(|(field, _)| *field == name);
                values.next().map(|(_, value)| value.trim_matches('"'))
            };
            Some(([field("name")?, field("version")?], field("checksum")?))
        })
        .collect()
}

fn identity(package: &Value) -> Option<[&str; 2]> {
    Some([package["name"].as_str()?, package["version"].as_str()?])
}

/// The package's URL; a `+` in a version stands for a space in one.
fn reference(package: &Value) -> Option<String> {
    let [name, version] = identity(package)?;
    Some(format!("pkg:cargo/{name}@{}", version.replace('+', "%2B")))
}

fn component(package: &Value, checksums: &BTreeMap<[&str; 2], &str>) -> Option<Value> {
    let [name, version] = identity(package)?;
    let reference = reference(package)?;
    let mut component = json!({
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        "purl": reference,
        // An older way to write the same.
        "licenses": [{ "expression": package["license"].as_str()?.replace('/', " OR ") }],
    });
    if let Some(checksum) = checksums.get(&[name, version]) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    Some(component)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jwt_gate_demo::wasm;

    #[test]
    fn the_bill_has_what_is_in_the_module() {
        let sources = Sources::read(&wasm::workspace()).unwrap();
        let module = Module { name: "jwt_gate", suffix: "", octets: b"x".to_vec() };
        let bill: Value = serde_json::from_slice(&sources.bill(&module)).unwrap();
        let told = &bill["metadata"]["component"]["hashes"][0]["content"];
        assert_eq!(*told, sha256(b"x"));
        let components = bill["components"].as_array().unwrap();
        let names: Vec<_> = components.iter().map(|one| one["name"].as_str().unwrap()).collect();
        for name in ["p256", "proxy-wasm", "rsa", "serde_json", "fast-verify", "rust-std"] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        // Of the tests, the demo and these commands.
        for name in ["axum", "proptest", "simd-adler32", "tar", "tokio", "wat"] {
            assert!(!names.contains(&name), "{name}");
        }
        for one in components {
            assert!(one["licenses"][0]["expression"].is_string(), "{one}");
            let ours = ["fast-verify", "rust-std"].map(Value::from);
            let checksum = one["hashes"][0]["content"].as_str().unwrap_or_default();
            assert_eq!(checksum.len(), if ours.contains(&one["name"]) { 0 } else { 64 }, "{one}");
        }
        // Whatever is depended on is there.
        for entry in bill["dependencies"].as_array().unwrap() {
            for on in entry["dependsOn"].as_array().unwrap() {
                assert!(components.iter().any(|one| one["bom-ref"] == *on), "{on}");
            }
        }
    }

    #[test]
    fn checksums_are_read_from_the_lock_file() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1\"\nchecksum = \"c\"\n\n\
                    [[package]]\nname = \"ours\"\nversion = \"2\"\n";
        assert_eq!(checksums(lock), BTreeMap::from([(["a", "1"], "c")]));
    }
}
