//! Images of the module, as an OCI image layout (version 1.0 of the image specification).
//!
//! Istio, Envoy Gateway and Higress fetch with the same code. It takes an image whose last layer is a
//! gzipped tar with a file `plugin.wasm`, and, failing that, an artifact of two layers, one of which is
//! the bare module under a media type of its own. The first is what any registry and any tool knows;
//! the second is for tools that look for modules.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

use super::{Files, Module, sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const MODULE_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const MODULE: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

/// A layout with two images of each module, and the digest of each tag.
pub fn layout(version: &str, modules: &[Module]) -> (Files, Vec<(String, String)>) {
    let mut blobs = Blobs(Files::new());
    let mut manifests = Vec::new();
    let mut digests = Vec::new();
    for Module { suffix, octets, .. } in modules {
        let annotations = json!({
            "org.opencontainers.image.title": "jwt-gate",
            "org.opencontainers.image.version": format!("{version}{suffix}"),
            "org.opencontainers.image.licenses": "Apache-2.0",
        });
        for (kind, mut manifest) in
            [("", image(&mut blobs, octets)), ("-artifact", artifact(&mut blobs, octets))]
        {
            manifest["schemaVersion"] = 2.into();
            manifest["mediaType"] = MANIFEST.into();
            manifest["annotations"] = annotations.clone();
            let tag = format!("{version}{suffix}{kind}");
            let mut entry = blobs.add(MANIFEST, text(&manifest));
            digests.push((tag.clone(), entry["digest"].as_str().unwrap_or_default().to_owned()));
            entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
            manifests.push(entry);
        }
    }
    let Blobs(mut files) = blobs;
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    });
    files.insert("index.json".to_owned(), text(&index));
    files.insert("oci-layout".to_owned(), text(&json!({ "imageLayoutVersion": "1.0.0" })));
    (files, digests)
}

fn image(blobs: &mut Blobs, module: &[u8]) -> Value {
    let layer = tar(&Files::from([("plugin.wasm".to_owned(), module.to_vec())]));
    let config = json!({
        // Neither a processor nor a system: whatever has an Envoy.
        "architecture": "wasm",
        "os": "unknown",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))] },
    });
    json!({
        "config": blobs.add(CONFIG, text(&config)),
        "layers": [blobs.add(LAYER, gzip(&layer))],
    })
}

fn artifact(blobs: &mut Blobs, module: &[u8]) -> Value {
    let config = blobs
        .add(MODULE_CONFIG, text(&json!({ "type": "envoy_proxy", "abiVersions": ["v0-2-1"] })));
    // Those who fetch want exactly two layers.
    json!({ "config": config, "layers": [config, blobs.add(MODULE, module.to_vec())] })
}

/// What an index and manifests point to.
struct Blobs(Files);

impl Blobs {
    /// Keeps a blob and returns its descriptor.
    fn add(&mut self, media_type: &str, octets: Vec<u8>) -> Value {
        let digest = sha256(&octets);
        let descriptor = json!({
            "mediaType": media_type,
            "digest": format!("sha256:{digest}"),
            "size": octets.len(),
        });
        self.0.insert(format!("blobs/sha256/{digest}"), octets);
        descriptor
    }
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// The files in the order of their names, of nobody, from 1970.
pub fn tar(files: &Files) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, octets) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(octets.len() as u64);
        for set in [tar::Header::set_uid, tar::Header::set_gid, tar::Header::set_mtime] {
            set(&mut header, 0);
        }
        let written = tar.append_data(&mut header, name, octets.as_slice());
        written.expect("a vector takes everything");
    }
    tar.into_inner().expect("a vector takes everything")
}

/// Without time, name and system in its header.
fn gzip(octets: &[u8]) -> Vec<u8> {
    let builder = GzBuilder::new().mtime(0).operating_system(255);
    let mut gzip = builder.write(Vec::new(), Compression::best());
    gzip.write_all(octets).expect("a vector takes everything");
    gzip.finish().expect("a vector takes everything")
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn blob<'a>(files: &'a Files, descriptor: &Value) -> &'a [u8] {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let octets = &files[&format!("blobs/sha256/{digest}")];
        assert_eq!(sha256(octets), digest);
        assert_eq!(descriptor["size"], octets.len());
        octets
    }

    /// The module, as Istio's and Envoy Gateway's code finds it.
    fn fetched(files: &Files, tag: &str) -> Vec<u8> {
        let json = |octets| serde_json::from_slice::<Value>(octets).unwrap();
        let index = json(&files["index.json"]);
        let entry = index["manifests"].as_array().unwrap().iter();
        let name = "/annotations/org.opencontainers.image.ref.name";
        let entry = entry.clone().find(|entry| entry.pointer(name).unwrap() == tag).unwrap();
        let manifest = json(blob(files, entry));
        let layers = manifest["layers"].as_array().unwrap();
        let config = json(blob(files, &manifest["config"]));
        let last = layers.last().unwrap();
        if last["mediaType"] == LAYER {
            let mut layer = Vec::new();
            GzDecoder::new(blob(files, last)).read_to_end(&mut layer).unwrap();
            let diff = format!("sha256:{}", sha256(&layer));
            assert_eq!(config["rootfs"]["diff_ids"], json!([diff]));
            let mut archive = tar::Archive::new(layer.as_slice());
            let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(entry.path().unwrap().file_name().unwrap(), "plugin.wasm");
            let mut module = Vec::new();
            entry.read_to_end(&mut module).unwrap();
            return module;
        }
        assert_eq!(layers.len(), 2);
        let module = layers.iter().find(|layer| layer["mediaType"] == MODULE).unwrap();
        blob(files, module).to_vec()
    }

    #[test]
    fn modules_are_found_in_either_kind_of_image() {
        let module = |suffix, octets: &[u8]| Module { name: "m", suffix, octets: octets.to_vec() };
        let modules = [module("", b"\0asm1"), module("-portable", b"\0asm2")];
        let (files, digests) = layout("1.2.3", &modules);
        let tags: Vec<_> = digests.iter().map(|(tag, _)| tag.as_str()).collect();
        assert_eq!(tags, ["1.2.3", "1.2.3-artifact", "1.2.3-portable", "1.2.3-portable-artifact"]);
        for (tag, digest) in &digests {
            let expected = if tag.contains("portable") { b"\0asm2" } else { b"\0asm1" };
            assert_eq!(fetched(&files, tag), expected, "{tag}");
            let digest = digest.strip_prefix("sha256:").unwrap();
            assert!(files.contains_key(&format!("blobs/sha256/{digest}")));
        }
        assert_eq!(files["oci-layout"], b"{\"imageLayoutVersion\":\"1.0.0\"}");
    }

    #[test]
    fn archives_say_nothing_of_whoever_made_them() {
        let files = Files::from([("b".into(), b"2".to_vec()), ("a/c".into(), b"1".to_vec())]);
        let octets = tar(&files);
        let mut archive = tar::Archive::new(octets.as_slice());
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!(header.uid().unwrap() + header.gid().unwrap(), 0);
            assert_eq!(header.mtime().unwrap(), 0);
            assert_eq!(header.username().unwrap(), Some(""));
            names.push(entry.path().unwrap().to_str().unwrap().to_owned());
        }
        assert_eq!(names, ["a/c", "b"]);
        assert_eq!(gzip(b"x")[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
    }
}
