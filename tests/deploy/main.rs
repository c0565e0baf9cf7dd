//! The manifests in `deploy/`: every one fits the definition of its kind and its siblings, its
//! configuration loads, and asks for tokens. Those for Envoy run in one.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests"
)]

mod envoy;
#[path = "../gate/mod.rs"]
mod gate;
mod schema;
mod snippets;

use std::fs;
use std::path::{Path, PathBuf};

use gate::Gate;
use jwt_gate::policy::Policy;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

/// A manifest: where it is, and what it says.
struct Manifest {
    file: String,
    value: Value,
}

impl Manifest {
    fn is(&self, kind: &str) -> bool {
        self.value["kind"] == kind
    }

    /// The plugin's configuration.
    fn config(&self) -> Option<&Value> {
        let spec = &self.value["spec"];
        let found = [&spec["pluginConfig"], &spec["defaultConfig"], &spec["wasm"][0]["config"]];
        found.into_iter().find(|config| !config.is_null())
    }
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// The documents of a file; a member that is there twice is an error.
pub(crate) fn read(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifests() -> Vec<Manifest> {
    let mut manifests = Vec::new();
    for folder in
        ["istio", "envoy-gateway", "higress", "kubernetes"].map(|name| folder().join(name))
    {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let file = path.strip_prefix(self::folder()).unwrap().to_str().unwrap().to_owned();
            let documents = read(&path).into_iter();
            manifests.extend(documents.map(|value| Manifest { file: file.clone(), value }));
        }
    }
    assert!(manifests.len() > 10);
    manifests
}

fn of(file: &str) -> Vec<Manifest> {
    let found: Vec<_> = manifests().into_iter().filter(|one| one.file == file).collect();
    assert!(!found.is_empty(), "{file}");
    found
}

#[test]
fn manifests_fit_the_definitions_of_their_kinds() {
    let kinds = read(&folder().join("../tests/deploy/kinds.yaml")).remove(0);
    let name = "/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/";
    for Manifest { file, value } in manifests() {
        let kind = [&value["apiVersion"], &value["kind"]].map(|text| text.as_str().unwrap());
        let kind = kind.join(" ");
        let spec = kinds.get(&kind).unwrap_or_else(|| panic!("{file}: unknown kind {kind}"));
        let schema = json!({
            "apiVersion!": "text",
            "kind!": "text",
            "metadata!": { "name!": name, "namespace!": name, "labels": { "*": "text" } },
            (if kind == "v1 ConfigMap" { "data!" } else { "spec!" }): spec,
        });
        assert_eq!(schema::errors(&schema, &value), [""; 0], "{file}: {kind}");
    }
}

/// Each has a gate that fails closed, fetched by digest, first in its phase, on what comes in.
#[test]
fn plugins_fail_closed_and_are_pinned() {
    let mut seen = 0;
    for manifest in manifests() {
        let (file, spec) = (&manifest.file, &manifest.value["spec"]);
        if manifest.is("WasmPlugin") {
            assert_eq!(spec["failStrategy"], "FAIL_CLOSE", "{file}");
            assert_eq!(spec["phase"], "AUTHN", "{file}");
            assert!(spec["priority"].as_u64() > Some(0), "{file}");
            let url = spec["url"].as_str().unwrap();
            let (image, digest) = url.split_once("@sha256:").unwrap();
            assert!(image.starts_with("oci://"), "{file}");
            assert!(digest.len() == 64, "{file}");
            seen += 1;
        } else if manifest.is("EnvoyExtensionPolicy") {
            assert_eq!(spec["wasm"][0]["failOpen"], false, "{file}");
            assert!(spec["wasm"][0]["code"]["image"]["sha256"].is_string(), "{file}");
            seen += 1;
        }
        if file.starts_with("istio/") && manifest.is("WasmPlugin") {
            let mode = if file.contains("sidecar") { "SERVER" } else { "CLIENT" };
            assert_eq!(spec["match"], json!([{ "mode": mode }]), "{file}");
        }
    }
    assert_eq!(seen, 7);
}

/// Every cluster that a configuration names is one that its manifests make, and leads to the host of
/// the address, whose certificate and name are checked.
#[test]
fn clusters_are_there_and_check_the_issuer() {
    let all = manifests();
    for manifest in all.iter().filter(|one| one.config().is_some()) {
        let file = &manifest.file;
        let uri = &manifest.config().unwrap()["providers"]["main"]["remote_jwks"]["http_uri"];
        let (uri, cluster) = (uri["uri"].as_str().unwrap(), uri["cluster"].as_str().unwrap());
        let host = uri.strip_prefix("https://").unwrap().split('/').next().unwrap();
        let namespace = &manifest.value["metadata"]["namespace"];
        let beside = |kind: &str, field: &str, value: Value| {
            let found = all.iter().filter(|one| {
                one.file.split('/').next() == file.split('/').next()
                    && one.is(kind)
                    && one.value["metadata"]["namespace"] == *namespace
                    && one.value["spec"].pointer(field) == Some(&value)
            });
            let found: Vec<_> = found.collect();
            assert_eq!(found.len(), 1, "{file}: {kind} {value}");
            &found[0].value["spec"]
        };
        if manifest.is("EnvoyExtensionPolicy") {
            let proxy = beside("EnvoyProxy", "/bootstrap/jsonPatches/0/value/name", json!(cluster));
            let patch = &proxy["bootstrap"]["jsonPatches"][0];
            assert_eq!(patch["path"], "/static_resources/clusters/-");
            envoy::checks_names(&patch["value"], host);
            // The one that runs in Envoy in another test.
            let whole = read(&folder().join("envoy/static.yaml")).remove(0);
            assert_eq!(patch["value"], whole["static_resources"]["clusters"][0]);
            continue;
        }
        assert_eq!(cluster, format!("outbound|443||{host}"), "{file}");
        let entry = beside("ServiceEntry", "/hosts/0", json!(host));
        let port = &entry["ports"][0];
        // With HTTPS there, the proxy would take the plugin's request for TLS already.
        assert_eq!((&port["number"], &port["protocol"]), (&json!(443), &json!("HTTP")));
        let tls = &beside("DestinationRule", "/host", json!(host))["trafficPolicy"]["tls"];
        assert_eq!((&tls["mode"], &tls["sni"]), (&json!("SIMPLE"), &json!(host)), "{file}");
        assert_eq!(tls["subjectAltNames"], json!([host]), "{file}");
        assert!(tls["caCertificates"].is_string(), "{file}");
    }
}

/// A gate with this configuration, its keys at hand, and a key for tokens.
fn gate(config: &Value) -> (Gate, SigningKey) {
    let errors = Policy::parse(config.to_string().as_bytes()).err().unwrap_or_default();
    assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    let key = SigningKey::generate(Alg::ES256, "k");
    let mut config = config.clone();
    let main = config["providers"]["main"].as_object_mut().unwrap();
    main.remove("remote_jwks").unwrap();
    main.insert("local_jwks".to_owned(), json!({ "inline_string": jwks(&[&key]).to_string() }));
    (Gate::new(&config), key)
}

fn token(key: &SigningKey, more: Value) -> String {
    let mut claims = json!({
        "iss": "https://issuer.example", "aud": "orders-api", "sub": "u", "exp": gate::NOW + 60,
    });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    key.sign(&claims)
}

#[test]
fn configurations_of_plugins_ask_for_tokens() {
    let mut seen = 0;
    for manifest in manifests() {
        let Some(config) = manifest.config() else { continue };
        let (mut gate, key) = gate(config);
        let good = token(&key, json!({}));
        let bad = token(&key, json!({ "iss": "https://other.example" }));
        assert_eq!(gate.get("/orders", &good), "pass", "{}", manifest.file);
        let without = match config["mode"] == "report_only" {
            true => ["pass", "pass"],
            false => ["401 token_missing", "401 issuer_unknown"],
        };
        let answers = [None, Some(bad.as_str())].map(|token| gate.ask("GET", "/orders", token));
        assert_eq!(answers, without, "{}", manifest.file);
        seen += 1;
    }
    assert_eq!(seen, 7);
}

/// What stands in step 1 of the migration is what steps 2 and 3 say.
#[test]
fn the_migration_keeps_its_meaning() {
    let steps = [1, 2, 3].map(|step| of(&format!("istio/migration-{step}.yaml")));
    let before = &steps[0][0].value["spec"];
    let rule = &before["jwtRules"][0];
    for step in &steps[1..] {
        let spec = &step[0].value["spec"];
        assert_eq!(spec["selector"], before["selector"]);
        let main = &spec["pluginConfig"]["providers"]["main"];
        assert_eq!(main["issuer"], rule["issuer"]);
        assert_eq!(main["audiences"], rule["audiences"]);
        assert_eq!(main["remote_jwks"]["http_uri"]["uri"], rule["jwksUri"]);
        assert_eq!(main["forward"], rule["forwardOriginalToken"]);
        let (theirs, ours) = (&rule["outputClaimToHeaders"][0], &main["claim_to_headers"][0]);
        assert_eq!(ours["header_name"], theirs["header"]);
        assert_eq!(ours["claim_name"], theirs["claim"]);
    }
    let mut reporting = steps[1][0].value["spec"].clone();
    assert_eq!(
        reporting["pluginConfig"].as_object_mut().unwrap().remove("mode").unwrap(),
        "report_only"
    );
    assert_eq!(reporting, steps[2][0].value["spec"]);

    let (mut gate, key) = gate(steps[2][0].config().unwrap());
    let plain = token(&key, json!({}));
    let clerk = token(&key, json!({ "groups": ["clerks", "x"] }));
    for (method, path, token, expected) in [
        ("GET", "/healthz", None, "pass"),
        ("POST", "/healthz", None, "pass"),
        ("GET", "/orders", None, "401 token_missing"),
        ("GET", "/orders", Some(&plain), "pass"),
        ("POST", "/orders", Some(&plain), "403 allowed_by_no_policy"),
        ("POST", "/orders", Some(&clerk), "pass"),
    ] {
        assert_eq!(gate.ask(method, path, token.map(String::as_str)), expected, "{method} {path}");
    }
}

/// The pod's Envoy has the configuration that another test runs, and a module that was checked.
#[test]
fn the_deployment_runs_what_was_tested() {
    let manifests = of("kubernetes/gate.yaml");
    let one = |kind: &str| &manifests.iter().find(|one| one.is(kind)).unwrap().value;
    let tested = fs::read_to_string(folder().join("envoy/static.yaml")).unwrap();
    assert_eq!(one("ConfigMap")["data"], json!({ "envoy.yaml": tested }));
    let template = &one("Deployment")["spec"]["template"];
    assert_eq!(template["metadata"]["labels"], one("Service")["spec"]["selector"]);
    let pod = &template["spec"];
    assert_eq!(pod["volumes"][0]["configMap"]["name"], one("ConfigMap")["metadata"]["name"]);
    let [first, envoy] = ["initContainers", "containers"].map(|field| &pod[field][0]);
    assert!(first["args"][0].as_str().unwrap().contains("sha256sum -c"));
    let image = format!("envoyproxy/envoy:v{}", jwt_gate_demo::envoy::PINNED);
    assert_eq!(envoy["image"], image);
    let mounted: Vec<_> = envoy["volumeMounts"].as_array().unwrap().iter().collect();
    let paths = mounted.iter().map(|mount| mount["mountPath"].as_str().unwrap());
    assert_eq!(paths.collect::<Vec<_>>(), ["/etc/envoy/envoy.yaml", "/etc/envoy/jwt_gate.wasm"]);
    for container in [first, envoy] {
        let narrow = &container["securityContext"];
        assert_eq!(narrow["allowPrivilegeEscalation"], false);
        assert_eq!(narrow["readOnlyRootFilesystem"], true);
    }
}

/// The candidate differs from what is in use by its digest and by whom it selects.
#[test]
fn an_upgrade_changes_the_digest_only() {
    let now = of("istio/gateway.yaml").remove(0).value["spec"].take();
    let mut next = of("istio/upgrade.yaml").remove(0).value["spec"].take();
    assert_ne!(next["url"], now["url"]);
    assert_ne!(next["selector"], now["selector"]);
    for field in ["url", "selector"] {
        next[field] = now[field].clone();
    }
    assert_eq!(next, now);
}

/// Actions by the hash of a commit, rights by the job, and the compiler that the sources ask for.
#[test]
fn the_release_workflow_is_pinned() {
    let path = folder().join("../.github/workflows/release.yml");
    let workflow = read(&path).remove(0);
    assert_eq!(workflow["permissions"], json!({}));
    let asked = include_str!("../../Cargo.toml").split("rust-version = \"").nth(1).unwrap();
    let pinned = workflow["env"]["RUST"].as_str().unwrap();
    assert_eq!(pinned.rsplit_once('.').unwrap().0, asked.split('"').next().unwrap());
    let steps = |job: &str| workflow["jobs"][job]["steps"].as_array().unwrap().clone();
    let (build, publish) = (steps("build"), steps("publish"));
    assert_eq!(workflow["jobs"]["build"]["permissions"], json!({ "contents": "read" }));
    for step in build.iter().chain(&publish) {
        let Some(action) = step["uses"].as_str() else { continue };
        let (_, commit) = action.split_once('@').unwrap();
        assert!(commit.len() == 40 && commit.bytes().all(|octet| octet.is_ascii_hexdigit()));
    }
    // What can write runs nothing of ours.
    for step in publish {
        let run = step["run"].as_str().unwrap_or_default();
        assert!(!run.contains("cargo") && !run.contains(".sh"), "{run}");
    }
}
