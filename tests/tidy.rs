//! Keeps the structure from eroding: what `ARCHITECTURE.md` and `SECURITY.md` say is checked
//! against the code.
#![expect(clippy::unwrap_used, reason = "tests")]

mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules each module may use. `jose` and `claims` knowing nothing of HTTP, the key store
/// nothing of the host, and nobody of `host` and `engine` above them, is what makes the core
/// testable without a proxy.
const MAY_USE: [(&str, &[&str]); 22] = [
    // Claims and what the request says; nothing of keys, of the host or of the engine.
    ("authorize", &["config", "json", "path", "request", "text"]),
    ("claims", &["json", "time"]),
    ("config", &["expression", "issuer", "json", "sorted"]),
    ("denial", &["claims", "config", "jose", "request"]),
    ("engine", &["denial", "jwks", "policy", "request", "revocation", "single_use", "time"]),
    ("expression", &[]),
    ("extract", &["request"]),
    ("header_pairs", &["request"]),
    (
        "host",
        &["denial", "engine", "header_pairs", "jwks", "policy", "request", "single_use", "time"],
    ),
    ("issuer", &[]),
    ("jose", &["issuer", "json"]),
    ("json", &[]),
    ("jwks", &["jose", "json", "revocation", "time"]),
    ("path", &["config", "request"]),
    (
        "policy",
        &[
            "authorize",
            "claims",
            "config",
            "denial",
            "extract",
            "jose",
            "json",
            "jwks",
            "path",
            "request",
            "revocation",
            "single_use",
            "sorted",
            "text",
            "time",
        ],
    ),
    ("request", &[]),
    // What a list says of tokens; nothing of how it travels.
    ("revocation", &["claims", "jose", "json", "time"]),
    ("single_use", &["time"]),
    ("sorted", &[]),
    ("text", &["config", "expression"]),
    ("time", &[]),
    ("lib", &[]),
];

/// Lines of a file beyond which it needs a reason.
const LONG: usize = 400;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> BTreeMap<String, String> {
    fn walk(folder: &Path, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(&root().join(folder), &mut files);
    assert!(!files.is_empty());
    files
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The module of the top level that a file belongs to.
fn module(file: &str) -> &str {
    let inner = file.strip_prefix("src/").unwrap();
    inner.split(['/', '.']).next().unwrap()
}

/// The code of a file, without comments and without its tests.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Words after `marker`: `crate::jose::jwk` gives `jose`.
fn names_after<'a>(text: &'a str, marker: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(marker).skip(1).map(|rest| {
        rest.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .next()
            .unwrap_or_default()
    })
}

#[test]
fn every_file_says_what_it_is() {
    for folder in ["src", "tests", "crates", "cli", "demo/src", "xtask/src"] {
        for (file, text) in rust_files(folder) {
            assert!(text.starts_with("//! "), "{file} has no module documentation");
            let long = text.lines().count();
            if folder == "src" || file.starts_with("cli/src/") {
                assert!(long <= LONG, "{file} has {long} lines");
            }
        }
    }
}

#[test]
fn modules_use_only_what_they_may() {
    let may_use: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    for (file, text) in rust_files("src") {
        let module = module(&file);
        let allowed = may_use.get(module).unwrap_or_else(|| panic!("{file}: unknown module"));
        for used in names_after(&code(&text), "crate::") {
            assert!(used == module || allowed.contains(&used), "{file} must not use `{used}`");
        }
    }
}

#[test]
fn the_host_stays_in_its_corner() {
    for (file, text) in rust_files("src") {
        let code = code(&text);
        if module(&file) != "host" {
            for word in ["proxy_wasm", "SystemTime", "Instant", "thread_local", "static mut"] {
                assert!(!code.contains(word), "{file} names `{word}`");
            }
        }
        if file != "src/host/abi.rs" {
            assert!(!code.contains("unsafe"), "{file} is unsafe");
        }
    }
}

/// Paths in backticks, such as `src/jose/jwk.rs` or `demo/`.
fn paths_in(text: &str) -> BTreeSet<&str> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.contains('/') || word.ends_with(".rs") || word.ends_with(".toml"))
        .filter(|word| word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)))
        .filter(|word| !word.starts_with('/') && !word.contains("//"))
        .collect()
}

#[test]
fn documents_name_only_what_exists() {
    for document in [
        "ARCHITECTURE.md",
        "README.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "docs/answers.md",
        "docs/authorization.md",
        "docs/README.md",
        "docs/cookbook.md",
        "docs/failures.md",
        "docs/faq.md",
        "docs/getting-started.md",
        "docs/metrics-and-reasons.md",
        "docs/observability.md",
        "docs/troubleshooting.md",
        "docs/upgrade.md",
        "docs/bound-tokens.md",
        "docs/bridge.md",
        "docs/cli.md",
        "docs/configuration.md",
        "docs/reference.md",
        "docs/dashboard.md",
        "docs/deploy.md",
        "docs/keys.md",
        "docs/limits.md",
        "docs/mapping.md",
        "docs/performance.md",
        "docs/logout.md",
        "docs/revocation.md",
        "docs/status-list.md",
        "docs/roll-out.md",
        "docs/single-use.md",
    ] {
        let text = read(document);
        for path in paths_in(&text) {
            let first = path.split('/').next().unwrap_or_default();
            let ours = ["src", "tests", "cli", "crates", "demo", "xtask", "docs", "deploy"]
                .contains(&first);
            if ours || path.ends_with(".toml") {
                assert!(root().join(path).exists(), "{document} names `{path}`");
            }
        }
    }
    let architecture = read("ARCHITECTURE.md");
    for folder in ["src", "tests", "cli", "crates", "xtask/src", "demo/src"] {
        for file in rust_files(folder).keys() {
            assert!(architecture.contains(&format!("`{file}`")), "ARCHITECTURE.md lacks {file}");
        }
    }
}

/// What the documents claim is shown by tests of the names they give.
#[test]
fn claims_name_tests_that_exist() {
    let tests = names::of_tests();
    let check = |document: &str, columns: usize, unseen: &[&str]| {
        let text = read(document);
        let is_row =
            |line: &&str| line.starts_with("| ") && line.matches('|').count() == columns + 1;
        let rows: Vec<_> = text.lines().filter(is_row).skip(1).collect();
        assert!(rows.len() > 10, "{document}: {rows:?}");
        for row in rows {
            let cells: Vec<_> = row.split('|').collect();
            let names: Vec<_> = cells[columns].split('`').skip(1).step_by(2).collect();
            let is_heading = cells[1].starts_with(" **");
            let may_be_unseen = is_heading
                || cells[1].trim() == "fault"
                || unseen.iter().any(|start| cells[columns - 1].trim().starts_with(start));
            assert!(!names.is_empty() || may_be_unseen, "{document}: no test: {row}");
            for name in names {
                assert!(tests.contains(name), "{document}: no test is called `{name}`");
            }
        }
    };
    check("SECURITY.md", 3, &[]);
    // Headings, and what the gate does not do.
    check("README.md", 7, &["no:", "not yet"]);
    check("docs/failures.md", 6, &["Not "]);
}

/// Secrets meet what clients sent in one place, where the library compares in constant time; and known
/// tokens are compared in full.
#[test]
fn secrets_are_compared_in_constant_time() {
    for (file, text) in rust_files("src") {
        let code = code(&text);
        if file == "src/jose/hmac_key.rs" {
            assert!(code.contains(".verify_slice(signature)"), "{file}");
            assert!(!code.contains("==") && !code.contains(".eq("), "{file} compares");
        } else {
            for word in ["Hmac<", "Mac as", "verify_slice", "verify_truncated"] {
                assert!(!code.contains(word), "{file} names `{word}`");
            }
        }
    }
    let cache = read("src/policy/verified_tokens.rs");
    let (_, is_same) = cache.split_once("fn is_same(").unwrap();
    let (is_same, _) = is_same.split_once("\n}\n").unwrap();
    assert!(is_same.contains(".fold(0, ") && !is_same.contains(".eq("), "{is_same}");
}

/// Every family of attacks is in the document about security.
#[test]
fn attacks_are_documented() {
    let text = read("SECURITY.md");
    let mut families = 0;
    for entry in fs::read_dir(root().join("tests/attacks/cases")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            text.contains(&format!("`tests/attacks/cases/{name}`")),
            "SECURITY.md lacks {name}"
        );
        families += 1;
    }
    assert!(families > 20);
}

/// The labels that the documents promise, by the expressions that `envoy.yaml` has.
#[test]
fn names_of_metrics_become_labels() {
    let expressions = |text: &str| -> Vec<String> {
        let found = text.split("regex: '").skip(1).filter_map(|rest| rest.split_once('\''));
        found.map(|(expression, _)| expression.to_owned()).collect()
    };
    let told = expressions(&read("docs/metrics-and-reasons.md"));
    assert_eq!(told.len(), 3);
    assert_eq!(told, expressions(&read("envoy.yaml")));
    let told: Vec<_> = told.iter().map(|text| regex_lite::Regex::new(text).unwrap()).collect();
    for (name, labels) in [
        ("allowed", ["", "", ""]),
        ("edge.allowed", ["edge", "", ""]),
        ("denied_for.denied_by_policy", ["", "", "denied_by_policy"]),
        ("edge.denied_for.allowed_by_no_policy", ["edge", "", "allowed_by_no_policy"]),
        ("report_only_for.denied_by_policy", ["", "", "denied_by_policy"]),
        ("edge.report_only", ["edge", "", ""]),
        ("denied_for.revocation_unavailable", ["", "", "revocation_unavailable"]),
        ("edge.revocation_entries", ["edge", "", ""]),
        ("revocation_fetch_failed_for.list_entry", ["", "", "list_entry"]),
        ("edge.provider.a.revocation_fetch_success", ["edge", "a", ""]),
        ("status_list_unusable_for.status_list_type", ["", "", "status_list_type"]),
        ("edge.logout_refused_for.form", ["edge", "", "form"]),
        ("shadow_denies_for.allowed_by_no_policy", ["", "", "allowed_by_no_policy"]),
        ("edge.shadow_other_reason_for.expired", ["edge", "", "expired"]),
        ("provider.main.waited", ["", "main", ""]),
        ("edge.provider.main.jwks_fetch_failed_for.status", ["edge", "main", "status"]),
        ("shadow_provider.main.waited", ["", "main", ""]),
        ("edge.shadow_provider.main.jwks_keys_skipped.weak", ["edge", "main", "weak"]),
        ("served", ["", "", ""]),
        ("edge.jwt_cache_hit", ["edge", "", ""]),
        ("edge.jwks_fetch_success", ["edge", "", ""]),
    ] {
        let name = format!("wasmcustom.jwt_gate.{name}");
        let found = told.iter().map(|expression| {
            let groups = expression.captures(&name);
            groups.and_then(|groups| groups.get(2)).map_or("", |group| group.as_str())
        });
        assert_eq!(found.collect::<Vec<_>>(), labels, "{name}");
    }
}

/// Without the manifest of one member, cargo builds nothing in the containers.
#[test]
fn the_containers_know_every_member_of_the_workspace() {
    let manifest = read("Cargo.toml");
    let (_, rest) = manifest.split_once("members = [").unwrap();
    let (members, _) = rest.split_once(']').unwrap();
    let members: Vec<_> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.len() > 5, "{members:?}");
    let dockerfile = read("deploy/docker/Dockerfile");
    for member in members {
        let copied = format!("COPY {member}/Cargo.toml {member}/\n");
        assert!(dockerfile.contains(&copied), "the Dockerfile lacks: {copied}");
        // Something to compile in its place.
        let made = ["lib", "main"].map(|name| format!(" {member}/src/{name}.rs"));
        assert!(made.iter().any(|file| dockerfile.contains(file)), "and {made:?}");
    }
}

/// The configuration reference has every field that the reader knows. (`cli/tests/schema.rs` asks the reader
/// itself, at every path.)
#[test]
fn every_field_is_in_the_reference() {
    let reference = read("docs/reference.md");
    let readers = rust_files("src/config");
    // The readers of fields as such name none of their own.
    let readers = readers
        .iter()
        .filter(|(name, _)| !["fields.rs", "reader.rs"].iter().any(|own| name.ends_with(own)));
    let readers: String = readers.map(|(_, text)| code(text)).collect();
    let mut fields = BTreeSet::new();
    for marker in ["get(\"", "required(\"", "text(\"", "texts(\"", "list(\"", "flag(\"", "null(\""]
    {
        // `@type` is protobuf's.
        let names = names_after(&readers, marker).filter(|name| !name.is_empty());
        fields.extend(names.map(str::to_owned));
    }
    assert!(fields.len() > 20, "{fields:?}");
    for field in fields {
        assert!(reference.contains(&format!("`{field}`")), "the reference lacks {field}");
    }
}
