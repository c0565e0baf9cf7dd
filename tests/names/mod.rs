//! The names of the tests of this project, for whoever holds documents against them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where tests stand.
const FOLDERS: [&str; 6] = ["src", "tests", "cli", "crates", "demo/src", "xtask/src"];

/// The names of all functions that run as tests: a helper that is called like one shows nothing.
pub(crate) fn of_tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    for folder in FOLDERS {
        walk(&root.join(folder), &mut names);
    }
    assert!(names.len() > 500, "{} tests are no project", names.len());
    names
}

fn walk(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, names);
        } else if path.extension().is_some_and(|end| end == "rs") {
            names.extend(in_file(&fs::read_to_string(&path).unwrap()));
        }
    }
}

/// What a file calls tests: functions behind `#[test]` (those in `proptest!`, too) that are not ignored, and
/// what the macros `in_both!` and `for_all_curves!` make tests of.
fn in_file(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    // Inside of these: an attribute that waits for its function, and a list of curves' tests.
    let (mut is_test, mut of_curves) = (false, false);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("in_both!(") {
            names.extend(name.strip_suffix(");").map(str::to_owned));
        }
        match line {
            "#[test]" => is_test = true,
            "for_all_curves! {" => of_curves = true,
            "}" => of_curves = false,
            _ if line.starts_with("#[ignore") => is_test = false,
            _ => {}
        }
        if let Some(name) = function(line) {
            // Macros have a variable there.
            if (is_test || of_curves) && !name.starts_with('$') {
                names.push(name.to_owned());
            }
            is_test = false;
        }
    }
    names
}

/// The name of the function that begins in this line.
fn function(line: &str) -> Option<&str> {
    let words = ["pub ", "async "];
    let line = words.iter().fold(line, |line, word| line.strip_prefix(word).unwrap_or(line));
    let (name, _) = line.strip_prefix("fn ")?.split_once('(')?;
    Some(name)
}

#[test]
fn helpers_and_ignored_tests_are_none() {
    // Behind bars, so that this file has no tests of these names.
    let text = "
        |#[test]
        |#[expect(clippy::panic, reason = \"of a test\")]
        |fn one() {}
        |fn helper() {}
        |#[test]
        |#[ignore = \"long\"]
        |fn long() {}
        |in_both!(two);
        |fn two(version: &str) {}
        |macro_rules! for_all_curves { () => {
        |        #[test]
        |        fn $test() {}
        |} }
        |for_all_curves! {
        |    fn three() => check;
        |}
        |fn check() {}
    ";
    assert_eq!(in_file(&text.replace('|', "")), ["one", "two", "three"]);
}
