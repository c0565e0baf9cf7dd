//! The examples of `docs/cli.md` and `docs/troubleshooting.md`: what they show is what happens.
#![expect(clippy::unwrap_used, reason = "tests")]

mod command;

use std::fs;
use std::path::Path;

use command::{Said, run_in, scratch};

/// `…` in a line stands for anything in it, and alone for any lines; `[1]` at the end is the exit code.
#[track_caller]
fn compare(command: &str, expected: &[&str], said: &Said) {
    let (expected, code) = match expected.split_last() {
        Some((last, rest)) if last.starts_with('[') && last.ends_with(']') => {
            (rest, last.trim_matches(['[', ']']).parse().unwrap())
        }
        _ => (expected, 0),
    };
    assert_eq!(said.code, code, "{command}: {said:?}");
    let text = format!("{}{}", said.out, said.err);
    let mut lines = text.lines().peekable();
    let mut skips = false;
    for wanted in expected {
        if *wanted == "…" {
            skips = true;
            continue;
        }
        let found = loop {
            match lines.next() {
                Some(line) if fits(wanted, line) => break true,
                Some(_) if skips => {}
                _ => break false,
            }
        };
        assert!(found, "{command}: {wanted}\n{text}");
        skips = false;
    }
    assert!(skips || lines.next().is_none(), "{command}: there is more\n{text}");
}

fn fits(wanted: &str, line: &str) -> bool {
    let parts: Vec<_> = wanted.split('…').collect();
    let mut rest = line;
    for (index, part) in parts.iter().enumerate() {
        let found = if index == 0 {
            rest.strip_prefix(part)
        } else {
            rest.split_once(part).map(|(_, behind)| behind)
        };
        let Some(behind) = found else { return false };
        rest = behind;
    }
    rest.is_empty() || parts.last().is_some_and(|last| parts.len() > 1 && last.is_empty())
}

fn words(command: &str) -> Vec<&str> {
    command.split_whitespace().skip(1).collect()
}

fn run_examples(text: &str, folder: &Path) -> usize {
    let mut count = 0;
    for block in text.split("\n```").skip(1).step_by(2) {
        let (kind, block) = block.split_once('\n').unwrap();
        if let Some((name, rest)) =
            block.strip_prefix("# ").and_then(|block| block.split_once('\n'))
        {
            fs::write(folder.join(name), format!("# {name}\n{rest}")).unwrap();
        }
        if kind != "console" {
            continue;
        }
        for example in format!("\n{block}").split("\n$ ").skip(1) {
            let mut lines = example.lines();
            let command = lines.next().unwrap();
            let said = run_in(folder, &words(command), "");
            compare(command, &lines.collect::<Vec<_>>(), &said);
            count += 1;
        }
    }
    count
}

#[test]
fn examples_of_the_command_line() {
    let folder = scratch("documents");
    let text = include_str!("../../docs/cli.md");
    let count = run_examples(text, &folder);
    assert!(count >= 10, "{count}");
}

#[test]
fn examples_by_symptom() {
    let folder = scratch("troubleshooting");
    let text = include_str!("../../docs/troubleshooting.md");
    let count = run_examples(text, &folder);
    assert!(count >= 10, "{count}");
}

/// Calls of the program in blocks for the shell: flags and their order are understood. What they do is
/// shown by blocks of `console`, and by the tests of each command.
#[test]
fn calls_in_documents_are_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut texts = vec![fs::read_to_string(root.join("README.md")).unwrap()];
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    let mut count = 0;
    for text in texts {
        for block in text.split("```sh\n").skip(1) {
            let (block, _) = block.split_once("```").unwrap();
            for line in block.split(['\n', '|']).map(str::trim) {
                let Some(call) = line.strip_prefix("jwt-gate ") else { continue };
                let call = call.split(" #").next().unwrap();
                let words: Vec<_> = call.split_whitespace().chain(["--help"]).collect();
                let said = run_in(&root, &words, "");
                assert_eq!(said.code, 0, "{line}: {said:?}");
                count += 1;
            }
        }
    }
    assert!(count >= 8, "{count}");
}

#[test]
fn every_warning_and_command_is_documented() {
    let text = include_str!("../../docs/cli.md");
    let sources = [include_str!("../src/check/warnings.rs"), include_str!("../src/check/proxy.rs")];
    for source in sources {
        let source = source.split_whitespace().collect::<Vec<_>>().join(" ");
        for marker in ["warnings.say( \"", "warnings.say(\"", "place, \"", "_place, \""] {
            for rest in source.split(marker).skip(1) {
                let code = rest.split('"').next().unwrap();
                assert!(text.contains(&format!("`{code}`")), "{code}");
            }
        }
    }
    let help = run_in(Path::new("."), &["--help"], "").out;
    let commands = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    for command in commands.lines().filter_map(|line| line.split_whitespace().next()) {
        assert!(command == "help" || text.contains(&format!("`{command}")), "{command}");
    }
}
