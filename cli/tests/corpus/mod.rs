//! Every object that is written down anywhere in the project, in JSON or YAML: configurations, and parts of
//! them.
#![allow(unreachable_pub, clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where to look.
const FOLDERS: [&str; 7] = ["deploy", "docs", "tests", "cli", "src", "demo", "xtask"];

/// The objects, each once, with a file in which it stands.
pub fn objects() -> Vec<(String, Value)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![root.join("README.md"), root.join("envoy.yaml")];
    for folder in FOLDERS {
        walk(&root.join(folder), &mut files);
    }
    let (mut known, mut all) = (BTreeSet::new(), Vec::new());
    for file in files {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        if name == "docs/schema.json" || name == "docs/reference.md" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let mut found = Vec::new();
        if name.ends_with(".yaml") {
            yaml(&text, &mut found);
        } else {
            // Examples of YAML in the documentation.
            for block in text.split("```yaml\n").skip(1) {
                yaml(block.split("```").next().unwrap_or_default(), &mut found);
            }
            json(&text, &mut found);
        }
        for value in found {
            if known.insert(value.to_string()) {
                all.push((name.clone(), value));
            }
        }
    }
    all
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if path.is_dir() {
            walk(&path, files);
        } else if ["rs", "md", "json", "yaml"].contains(&ending) {
            files.push(path);
        }
    }
}

/// All objects in a text of YAML, and in the texts in it.
fn yaml(text: &str, found: &mut Vec<Value>) {
    // What is no YAML has none.
    for document in serde_saphyr::from_multiple::<Value>(text).unwrap_or_default() {
        inside(document, found);
    }
}

fn inside(value: Value, found: &mut Vec<Value>) {
    match &value {
        Value::Array(items) => items.iter().for_each(|item| inside(item.clone(), found)),
        Value::Object(members) => {
            members.values().for_each(|member| inside(member.clone(), found));
            found.push(value);
        }
        Value::String(text) => json(text, found),
        _ => {}
    }
}

/// All objects of JSON in a text, also those of `json!` where nothing in them is Rust.
fn json(text: &str, found: &mut Vec<Value>) {
    for (start, _) in text.match_indices('{') {
        let Some(object) = object_at(text.get(start..).unwrap_or_default()) else { continue };
        if let Ok(value @ Value::Object(_)) = serde_json::from_str(&object) {
            found.push(value);
        }
    }
}

/// The text up to the brace that closes the first one, without commas in front of closing ones.
fn object_at(text: &str) -> Option<String> {
    let (mut object, mut depth, mut in_text, mut escaped) = (String::new(), 0_usize, false, false);
    for letter in text.chars() {
        if in_text {
            in_text = escaped || letter != '"';
            escaped = letter == '\\' && !escaped;
            object.push(letter);
            continue;
        }
        match letter {
            '"' => in_text = true,
            '{' | '[' => depth = depth.saturating_add(1),
            '}' | ']' => {
                depth = depth.checked_sub(1)?;
                let length = object.trim_end().trim_end_matches(',').len();
                object.truncate(length);
            }
            // Rust has these, and JSON does not.
            ';' | '(' | '!' | '=' => return None,
            _ => {}
        }
        object.push(letter);
        if depth == 0 {
            return Some(object);
        }
    }
    None
}
