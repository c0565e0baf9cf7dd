//! The documents beside the code: the page of reasons, metrics and log lines has all of them and no
//! others, links lead somewhere, and every snippet is exercised by some test.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use jwt_gate::denial::{Denial, DpopScheme, Manner, Reason};
use jwt_gate::policy::Policy;
use jwt_gate::request::RequestHead;
use regex_lite::Regex;
use serde_json::Value;

const PAGE: &str = "docs/metrics-and-reasons.md";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A file's code without its tests and comments, in one line.
fn code(name: &str) -> String {
    let text = read(name);
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let line = lines.collect::<Vec<_>>().join(" ");
    // A text that goes on in the next line.
    let line = Regex::new(r"\\\s+").unwrap().replace_all(&line, "").into_owned();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands between two texts.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no `{start}`"));
    rest.split_once(end).map_or(rest, |(part, _)| part)
}

fn section(heading: &str) -> String {
    between(&read(PAGE), &format!("\n## {heading}\n"), "\n## ").to_owned()
}

/// The cells of the rows of tables; headings and lines between are left out.
fn rows(text: &str) -> Vec<Vec<String>> {
    let rows = text.lines().filter(|line| line.starts_with("| `") || line.starts_with("| ``"));
    let cells = |row: &str| {
        let row = row.trim().trim_start_matches('|').trim_end_matches('|');
        row.split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(cells).collect()
}

/// Names in backticks.
fn names(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_reason_is_told_as_it_is() {
    let mut told = BTreeSet::new();
    for row in rows(&section("Reasons")) {
        let code = names(&row[0])[0];
        let reason = Reason::from_code(code).unwrap_or_else(|| panic!("{code} does not exist"));
        assert!(told.insert(code.to_owned()), "{code} is there twice");
        // With everything at hand that a challenge may tell.
        let denial = Denial { asked: Some(Rc::from("x")), ..reason.into() };
        let dpop = Some(DpopScheme { algorithms: "ES256", only: false });
        let manner = Manner { keys_unavailable_status: 503, dpop, ..Manner::default() };
        let rejection = denial.into_rejection(&RequestHead::default(), manner);
        assert_eq!(row[1], rejection.status.to_string(), "{code}");
        let challenges: Vec<_> =
            rejection.headers.iter().filter(|(name, _)| name == "www-authenticate").collect();
        let error = challenges.iter().find_map(|(_, text)| text.split("error=\"").nth(1));
        let challenge = match error.map(|rest| rest.split('"').next().unwrap()) {
            Some(error) => format!("`{error}`"),
            None if challenges.is_empty() => "none".to_owned(),
            None => "without error".to_owned(),
        };
        assert_eq!(row[2], challenge, "{code}");
        assert_eq!(row[3], rejection.body, "{code}");
        assert!(row[4].len() > 5, "{code}: nothing to do");
    }
    assert_eq!(told, Reason::codes().map(str::to_owned).collect());
}

/// The texts in quotes that a function answers, such as `=> "allowed".to_owned()`.
fn answers(code: &str) -> BTreeSet<String> {
    let pattern = Regex::new(r#"=> (?:\{ )?(?:format!\()?"([a-z_.]+)(?:\{[a-z]*\})?""#).unwrap();
    pattern.captures_iter(code).map(|found| found[1].trim_end_matches('.').to_owned()).collect()
}

#[test]
fn every_metric_is_told_and_exists() {
    let effect = code("src/engine/effect.rs");
    let counters = answers(between(&effect, "impl Counter {", "impl Quantity {"));
    let gauges = answers(between(&effect, "impl Quantity {", "pub enum LogLevel"));
    assert!(counters.len() > 25 && gauges.len() >= 6, "{counters:?} {gauges:?}");
    let text = section("Metrics");
    let (mut told, mut of_lists) = (BTreeSet::new(), BTreeSet::new());
    for row in rows(between(&text, "", "| causes | of |")) {
        for name in names(&row[0]) {
            assert!(row.iter().all(|cell| !cell.is_empty()), "{name}");
            let name = name.split('.').next().unwrap().to_owned();
            let is_lists = name.starts_with("revocation_") && name != "revocation_skipped";
            let is_new = if is_lists { of_lists.insert(name) } else { told.insert(name) };
            // Counted for all, and for each provider.
            let both = ["waited", "jwks_fetch", "`allowed`", "`denied_for"];
            assert!(is_new || both.iter().any(|one| row[0].contains(one)), "{row:?}");
        }
    }
    let exist: BTreeSet<_> = counters.union(&gauges).cloned().collect();
    // Lists of revoked tokens are counted like keys, and have entries in their place.
    let only_keys = ["jwks_keys", "jwks_keys_skipped", "jwks_unknown_kid_fetch"];
    let like_keys = exist.iter().filter(|name| !only_keys.contains(&name.as_str()));
    let like_keys = like_keys.filter_map(|name| match name.as_str() {
        "waited" | "waiting" => Some(format!("revocation_{name}")),
        name => name.strip_prefix("jwks_").map(|rest| format!("revocation_{rest}")),
    });
    assert_eq!(of_lists, like_keys.collect());
    told.insert("jwks_entries".to_owned());
    assert_eq!(told, exist);
    // By reason and by cause, where there are such.
    for name in exist.iter().filter(|name| name.ends_with("_for") || name.ends_with("skipped")) {
        let written = ["CODE", "CAUSE", "REASON"].map(|kind| format!("`{name}.{kind}`"));
        let is_other = name == "revocation_skipped";
        assert!(is_other || written.iter().any(|one| text.contains(one)), "{name}");
    }
}

#[test]
fn every_cause_is_told_and_exists() {
    let text = section("Metrics");
    let table = between(&text, "| causes | of |", "What to watch");
    let told: BTreeSet<_> = rows(table)
        .iter()
        .flat_map(|row| names(&row[0]).into_iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut exist = BTreeSet::new();
    for (file, start) in [
        ("src/jwks/answer.rs", "pub fn code("),
        ("src/revocation/deny_list.rs", "pub fn code("),
        ("src/revocation/status_list.rs", "pub fn code("),
        ("src/policy/logout.rs", "fn code("),
        ("src/jose/jwk.rs", "pub fn code("),
    ] {
        let found = answers(between(&code(file), start, " } } "));
        assert!(found.len() >= 4, "{file}: {found:?}");
        exist.extend(found);
    }
    assert_eq!(told, exist);
}

/// What varies in a line, as `*`.
fn pattern(line: &str) -> String {
    let line = Regex::new(r"\{[^}]*\}").unwrap().replace_all(line, "*").into_owned();
    let line = Regex::new(r"\b[A-Z]{4,}\b|keysAFTER|entriesAFTER").unwrap().replace_all(
        &line,
        |found: &regex_lite::Captures<'_>| {
            found[0]
                .replace("AFTER", "")
                .trim_matches(|letter: char| letter.is_ascii_uppercase())
                .to_owned()
                + "*"
        },
    );
    line.into_owned()
}

/// The texts that are written into the log: literals in or just before the calls that do it.
fn log_lines() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let literal = r#"(?:&)?(?:format!\()?\s*"((?:[^"\\]|\\.)*)""#;
    let direct =
        Regex::new(&format!(r"(?:self\.log|abi::log)\((?:LogLevel::[A-Za-z]+|level), {literal}"))
            .unwrap();
    let limited = Regex::new(&format!(r"log_in_limits\({literal}")).unwrap();
    let named = Regex::new(&format!(r"let (?:mut )?(?:line|first) = {literal}")).unwrap();
    let mut files = vec!["src/engine.rs".to_owned(), "src/host.rs".to_owned()];
    for folder in ["src/engine", "src/host"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            files.push(format!("{folder}/{name}"));
        }
    }
    let mut calls = 0;
    for file in files {
        let code = code(&file);
        calls += code.matches("self.log(").count() + code.matches("abi::log(").count();
        calls += code.matches("log_in_limits(").count();
        for pattern in [&direct, &limited, &named] {
            found.extend(pattern.captures_iter(&code).map(|own| own[1].to_owned()));
        }
    }
    // Someone who adds a call has to look here.
    assert_eq!(calls, 21, "calls that write into the log");
    found
}

#[test]
fn every_log_line_is_told_and_exists() {
    let lines: BTreeSet<_> = log_lines().iter().map(|line| pattern(line)).collect();
    assert!(lines.len() > 10, "{lines:?}");
    let mut told = BTreeSet::new();
    for row in section("Log lines").lines().filter(|line| line.contains(" | ``")) {
        told.insert(pattern(between(row, " | ``", "``")));
    }
    assert_eq!(told, lines);
}

/// Links lead to files and headings that exist.
#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut count = 0;
    for document in documents() {
        for found in link.captures_iter(&read(&document)) {
            let target = found[1].to_owned();
            if target.contains("://") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
            let folder = Path::new(&document).parent().unwrap();
            let file = if path.is_empty() {
                root().join(&document)
            } else {
                root().join(folder).join(path)
            };
            assert!(file.exists(), "{document}: {target}");
            if !heading.is_empty() {
                let text = fs::read_to_string(&file).unwrap();
                assert!(headings(&text).contains(heading), "{document}: no heading for {target}");
            }
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

/// Every document for people.
fn documents() -> Vec<String> {
    let mut all: Vec<_> =
        ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"]
            .map(str::to_owned)
            .to_vec();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            all.push(format!("docs/{name}"));
        }
    }
    all
}

/// What headings are called in links.
fn headings(text: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if is_code || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let letters = heading.trim().chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            letter => letter.is_alphanumeric().then(|| letter.to_ascii_lowercase()),
        });
        found.insert(letters.collect());
    }
    found
}

/// A fenced block: the document, the line it begins in, its kind and its text.
struct Block {
    place: String,
    document: String,
    kind: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let mut found = Vec::new();
    let is_manual = |name: &String| name.starts_with("docs/") || name == "README.md";
    for document in documents().into_iter().filter(is_manual) {
        let text = read(&document);
        let mut open: Option<Block> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let fence = line.trim_start().strip_prefix("```");
            match (fence, &mut open) {
                (Some(info), None) => {
                    let kind = info.split(' ').next().unwrap().to_owned();
                    let place = format!("{document}:{number}");
                    assert!(!kind.is_empty(), "{place}: a block without a kind");
                    let document = document.clone();
                    open = Some(Block { place, document, kind, text: String::new() });
                }
                (Some(_), Some(_)) => found.extend(open.take()),
                (None, Some(block)) => {
                    // Blocks in lists are indented.
                    block.text.push_str(
                        line.strip_prefix("  ").filter(|_| block.kind == "sh").unwrap_or(line),
                    );
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{document}: a block does not end");
    }
    found
}

/// Which test runs which kinds of blocks of a document. The test must read the document.
const RUN: [(&str, &[&str], &str); 19] = [
    ("docs/answers.md", &["json", "requests"], "tests/answers.rs"),
    ("docs/authorization.md", &["json", "requests"], "tests/authorization.rs"),
    ("docs/bound-tokens.md", &["json", "requests"], "tests/bound_tokens.rs"),
    ("docs/bridge.md", &["json"], "tests/e2e/bridge.rs"),
    ("docs/cli.md", &["console", "yaml"], "cli/tests/documents.rs"),
    ("docs/cookbook.md", &["token", "answer", "requests"], "tests/cookbook/recipe.rs"),
    ("docs/getting-started.md", &["sh"], "tests/e2e/getting_started.rs"),
    ("docs/keys.md", &["json", "tokens", "keys"], "tests/issuers.rs"),
    ("docs/logout.md", &["json", "logout", "requests"], "tests/logout.rs"),
    ("docs/mapping.md", &["json", "requests"], "tests/mapping.rs"),
    ("docs/metrics-and-reasons.md", &["yaml"], "tests/e2e/faults.rs"),
    ("docs/observability.md", &["json", "requests"], "tests/decision_record.rs"),
    ("docs/observability.md", &["yaml"], "tests/deploy/snippets.rs"),
    ("docs/revocation.md", &["json", "list", "requests"], "tests/revocation.rs"),
    ("docs/roll-out.md", &["json", "requests"], "tests/answers.rs"),
    ("docs/single-use.md", &["json", "requests"], "tests/possession.rs"),
    ("docs/status-list.md", &["json", "status", "requests"], "tests/status_list.rs"),
    ("docs/troubleshooting.md", &["console", "yaml"], "cli/tests/documents.rs"),
    ("docs/roll-out.md", &["text"], "tests/docs.rs"),
];

#[test]
fn every_snippet_is_exercised() {
    let mut used = BTreeSet::new();
    let mut counts = [0; 3];
    for block in blocks() {
        let runs = |(document, kinds, _): &&(&str, &[&str], &str)| {
            *document == block.document && kinds.contains(&&*block.kind)
        };
        if let Some((document, _, test)) = RUN.iter().find(runs) {
            let name = document.rsplit('/').next().unwrap();
            assert!(
                read(test).contains(&format!("docs/{name}\")")),
                "{test} does not read {document}"
            );
            used.insert((*document, *test));
            counts[0] += 1;
        } else {
            match &*block.kind {
                "yaml" => check_yaml(&block),
                "sh" => check_commands(&block),
                kind => panic!("{}: nothing exercises this block of `{kind}`", block.place),
            }
            counts[1] += 1;
        }
    }
    for (document, _, test) in RUN {
        assert!(used.contains(&(document, test)), "{document} has no blocks for {test}");
    }
    assert!(counts[0] > 60 && counts[1] > 8, "{counts:?}");
}

/// What the gate says at start, of a configuration that is open in all these ways.
#[test]
fn the_lines_at_start_are_as_shown() {
    let shown = read("docs/roll-out.md");
    let shown = between(&shown, "```text\n", "```");
    let config = serde_json::json!({
        "providers": { "main": {
            "remote_jwks": { "http_uri": { "uri": "https://a/b", "cluster": "c", "timeout": "1s" } } } },
        "rules": [
            { "match": { "path": "/healthz" } },
            { "match": { "prefix": "/orders" }, "requires": { "provider_name": "main" } },
            { "match": { "prefix": "/public" }, "requires": { "allow_missing": {} } },
        ],
    });
    let policy = Policy::parse(config.to_string().as_bytes()).ok().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let said = policy
        .report()
        .iter()
        .map(|line| format!("jwt-gate {version}: {line}\n"))
        .collect::<String>();
    assert_eq!(said, shown);
}

/// Configurations are read by the gate; in a filter of Envoy's or a WasmPlugin, too.
fn check_yaml(block: &Block) {
    let place = &block.place;
    let value: Value =
        serde_saphyr::from_str(&block.text).unwrap_or_else(|e| panic!("{place}: {e}"));
    let filter = &value[0]["typed_config"]["config"]["configuration"]["value"];
    let mut config = match (filter.as_str(), value["kind"].as_str()) {
        (Some(text), _) => serde_json::from_str(text).unwrap_or_else(|e| panic!("{place}: {e}")),
        (None, Some("WasmPlugin")) => value["spec"]["pluginConfig"].clone(),
        _ => value,
    };
    assert!(config.get("rules").is_some(), "{place}: this is no configuration of the gate");
    if config.get("providers").is_none() {
        config["providers"] = serde_json::json!({ "main": {
            "remote_jwks": { "http_uri": { "uri": "https://a/b", "cluster": "c", "timeout": "1s" } } } });
    }
    let errors = Policy::parse(config.to_string().as_bytes()).err().unwrap_or_default();
    assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0], "{place}");
}

/// Programs whose calls are looked at by their words and by `bash -n` only, and why.
const NOT_RUN: [(&str, &str); 10] = [
    ("curl", "asks addresses of an example, or of an Envoy that runs"),
    ("docker", "needs a daemon and images"),
    ("envoy", "is run with other files by tests/e2e and tests/deploy"),
    ("grep", "reads what a cluster says"),
    ("istioctl", "needs a mesh"),
    ("kubectl", "needs a cluster"),
    ("sed", "reads what the demo says"),
    ("skopeo", "needs a registry"),
    ("target/release/jwt-gate", "is run by cli/tests"),
    ("token=$(curl", "asks the demo, which `cargo xtask demo` does itself"),
];

/// Commands of ours exist, and so do the files and flags that they name; those of others are
/// syntactically right.
fn check_commands(block: &Block) {
    let place = &block.place;
    let checked = Command::new("bash").args(["-n", "-c", &block.text]).status().unwrap();
    assert!(checked.success(), "{place}: bash does not understand it");
    let text = block.text.replace("\\\n", " ");
    let comment = Regex::new(r"(^|\s)#.*").unwrap();
    let and_then = Regex::new(r"\s\|(\s|$)|\s&&\s").unwrap();
    let text: Vec<_> = text.lines().map(|line| comment.replace(line, "").into_owned()).collect();
    let parts = text.iter().flat_map(|line| and_then.split(line));
    for line in parts {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            [] => {}
            ["cargo", "xtask", command, ..] => {
                let known = read("xtask/src/main.rs").contains(&format!("[\"{command}\""));
                assert!(known, "{place}: no `cargo xtask {command}`");
            }
            ["cargo", "build", "--release", "-p", package] => {
                assert_eq!(package, "jwt-gate-cli", "{place}");
            }
            ["jwt-gate", command, ..] => {
                let arguments = read("cli/src/args.rs");
                let variant = command[..1].to_uppercase() + &command[1..];
                assert!(arguments.contains(&format!("    {variant}(")), "{place}: {command}");
                let flags = words.iter().filter_map(|word| word.strip_prefix("--"));
                for flag in flags {
                    let field = flag.replace('-', "_");
                    assert!(arguments.contains(&format!("pub {field}:")), "{place}: --{flag}");
                }
            }
            [program, ..] => {
                let why = NOT_RUN.iter().find(|(known, _)| *known == program);
                assert!(why.is_some(), "{place}: nothing exercises `{line}`");
            }
        }
    }
}
