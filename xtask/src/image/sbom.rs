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
        let mut sources = Self::resolve(&metadata, &checksums(&lock))
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

    fn resolve(metadata: &Value, checksums: &BTreeMap<[&str; 2], &str>) -> Option<Self> {
        let by_id = |list: &'_ Value| -> Option<BTreeMap<String, Value>> {
            let entries = list.as_array()?.iter();
            entries.map(|entry| Some((entry["id"].as_str()?.to_owned(), entry.clone()))).collect()
        };
        let packages = by_id(&metadata["packages"])?;
        let nodes = by_id(&metadata["resolve"]["nodes"])?;
        let (root, gate) = packages.iter().find(|(_, package)| package["name"] == "jwt-gate")?;
        let mut needed = BTreeMap::new();
        let mut next = vec![root.clone()];
        while let Some(id) = next.pop() {
            // Neither for builds nor for tests.
            let normal = |edge: &&Value| {
                edge["dep_kinds"]
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
            };
            let edges = nodes.get(&id)?["deps"].as_array()?.iter().filter(normal);
            let edges: BTreeSet<String> =
                edges.map(|edge| edge["pkg"].as_str().map(str::to_owned)).collect::<Option<_>>()?;
            next.extend(edges.iter().filter(|id| !needed.contains_key(*id)).cloned());
            needed.insert(id, edges);
        }
        let reference = |id: &String| reference(packages.get(id)?);
        let mut components = BTreeMap::new();
        let mut dependencies = BTreeMap::new();
        for (id, edges) in &needed {
            let on: BTreeSet<String> = edges.iter().map(reference).collect::<Option<_>>()?;
            let own = reference(id)?;
            dependencies.insert(own.clone(), json!({ "ref": own, "dependsOn": on }));
            if id != root {
                let component = component(packages.get(id)?, checksums)?;
                components.insert(own, component);
            }
        }
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

fn metadata(workspace: &Path) -> Result<Value, String> {
    let output = cargo(workspace)
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform", TARGET])
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    match output.status.success() {
        true => serde_json::from_slice(&output.stdout).map_err(|error| error.to_string()),
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

/// The package's URL; a `+` in a version stands for a space in one.
fn reference(package: &Value) -> Option<String> {
    let [name, version] = [package["name"].as_str()?, package["version"].as_str()?];
    Some(format!("pkg:cargo/{name}@{}", version.replace('+', "%2B")))
}

fn component(package: &Value, checksums: &BTreeMap<[&str; 2], &str>) -> Option<Value> {
    let [name, version] = [package["name"].as_str()?, package["version"].as_str()?];
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
        for name in ["axum", "proptest", "tar", "tokio", "wat"] {
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
