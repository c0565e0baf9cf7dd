//! The recipes of `docs/cookbook.md`: `check` accepts them, with no warning but those that they name.
#![expect(clippy::unwrap_used, reason = "tests")]

mod command;

use std::fs;
use std::path::{Path, PathBuf};

use command::run_in;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cookbook")
}

/// The codes behind `# check warns:`, in the comments at the top of a file.
fn expected_warnings(text: &str) -> Vec<String> {
    let comments = text.lines().take_while(|line| line.starts_with('#'));
    let named = comments.filter_map(|line| line.strip_prefix("# check warns: "));
    let mut codes: Vec<_> =
        named.map(|rest| rest.split([' ', '(']).next().unwrap().to_owned()).collect();
    codes.sort();
    codes
}

#[test]
fn recipes_are_accepted_without_unexpected_warnings() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "native-before.yaml" {
            continue;
        }
        let said = run_in(&folder(), &["check", &name, "--json"], "");
        assert_eq!(said.code, 0, "{name}: {said:?}");
        let json: Value = serde_json::from_str(&said.out).unwrap();
        let warnings = json["configurations"][0]["warnings"].as_array().unwrap();
        let mut codes: Vec<_> =
            warnings.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect();
        codes.sort();
        let text = fs::read_to_string(folder().join(&name)).unwrap();
        assert_eq!(codes, expected_warnings(&text), "{name}");
        count += 1;
    }
    assert!(count >= 20, "{count}");
}

/// The one file is what the command makes of the other, to the letter.
#[test]
fn the_move_from_native_is_what_import_makes() {
    let made = run_in(&folder(), &["import", "envoy", "native-before.yaml"], "");
    assert_eq!((made.code, &*made.err), (0, ""), "{made:?}");
    assert_eq!(made.out, fs::read_to_string(folder().join("native-after.json")).unwrap());
}
