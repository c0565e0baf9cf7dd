//! `cargo xtask assure`: all evidence that nobody gets in who may not, and that nothing falls over, in one
//! table. What fits in half an hour; with `--long`, also what takes hours.
//!
//! A suite is a test target, or part of one, or a check of its own. A test tells how many cases it went
//! through by a line `assured: 12 cases, 3 exceptions` or what vectors, attacks and parity say; otherwise each test
//! counts as one case.

mod suites;
mod twice;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Instant;

use jwt_gate_demo::envoy::{self, OLDEST, PINNED};
use jwt_gate_demo::wasm::{self, cargo, workspace};

/// What a suite found.
#[derive(Debug, Default, PartialEq)]
struct Found {
    cases: u64,
    /// Cases that are known not to be as the standard has them, each with a reason in the tests' data.
    exceptions: u64,
    failed: u64,
    /// Why nothing was looked at.
    skipped: Option<String>,
    /// What there is to say about it.
    remark: String,
}

/// What the suites need.
struct Bench {
    long: bool,
    /// Modules and Envoys, for tests.
    variables: Vec<(&'static str, PathBuf)>,
    /// Where what they said is written.
    folder: PathBuf,
}

/// Runs every suite, or those with `word` in their names, and prints the table.
pub fn run(long: bool, word: Option<&str>) -> Result<(), String> {
    let folder = workspace().join("target/assure");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    println!("building the modules, and looking for Envoy");
    let variables = vec![
        ("JWT_GATE_WASM", wasm::build_filter(&workspace())?),
        ("JWT_GATE_PORTABLE_WASM", wasm::build_portable_filter(&workspace())?),
        ("JWT_GATE_PROBE", wasm::build_probe(&workspace())?),
        ("ENVOY", envoy::find(PINNED)?.path),
        ("ENVOY_OLDEST", envoy::find(OLDEST)?.path),
    ];
    let bench = Bench { long, variables, folder };
    let mut rows = Vec::new();
    for suite in suites::all() {
        if word.is_some_and(|word| !suite.name.contains(word)) {
            continue;
        }
        println!("{} ...", suite.name);
        let began = Instant::now();
        let found = suite.run(&bench).unwrap_or_else(|error| Found {
            failed: 1,
            remark: error,
            ..Found::default()
        });
        rows.push(Row { name: suite.name, found, seconds: began.elapsed().as_secs_f64() });
    }
    if rows.is_empty() {
        return Err(format!("no suite has {word:?} in its name"));
    }
    print!("\n{}", table(&rows));
    println!(
        "every exception has its reason in tests/published/exceptions.json or tests/parity/exceptions.json, \
         and one that is true no longer fails"
    );
    println!("what each of them said is in {}", bench.folder.display());
    match rows.iter().filter(|row| row.found.failed > 0).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} suites failed", rows.len())),
    }
}

struct Row {
    name: &'static str,
    found: Found,
    seconds: f64,
}

/// One line for each suite, and one for all.
fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:44} {:>9} {:>9} {:>10} {:>8}  result\n{}\n",
        "what",
        "cases",
        "passed",
        "exceptions",
        "seconds",
        "-".repeat(100)
    );
    let mut sum = Found::default();
    for Row { name, found, seconds } in rows {
        let result = match (&found.skipped, found.failed) {
            (Some(why), 0) => format!("SKIPPED: {why}"),
            (_, 0) => format!("passed {}", found.remark),
            _ => format!("FAILED {}", found.remark),
        };
        let passed = found.cases.saturating_sub(found.exceptions + found.failed);
        text += &format!(
            "{name:44} {:>9} {passed:>9} {:>10} {seconds:>8.1}  {}\n",
            found.cases,
            found.exceptions,
            result.trim_end()
        );
        sum.cases += found.cases;
        sum.exceptions += found.exceptions;
        sum.failed += found.failed;
    }
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    let passed = sum.cases.saturating_sub(sum.exceptions + sum.failed);
    let result = if sum.failed == 0 { "passed" } else { "FAILED" };
    text += &format!(
        "{}\n{:44} {:>9} {passed:>9} {:>10} {seconds:>8.1}  {result}\n",
        "-".repeat(100),
        "all",
        sum.cases,
        sum.exceptions
    );
    text
}

impl Bench {
    /// Runs cargo with these arguments; what it said, and how it ended.
    fn cargo(
        &self,
        name: &str,
        arguments: &[&str],
        variables: &[(&str, String)],
    ) -> Result<(String, ExitStatus), String> {
        let mut command = cargo(&workspace());
        command
            .args(arguments)
            .envs(self.variables.iter().map(|(name, path)| (name, path)))
            .envs(variables.iter().map(|(name, value)| (name, value)));
        self.logged(name, &mut command)
    }

    /// Runs a command; what it said, and how it ended.
    fn logged(&self, name: &str, command: &mut Command) -> Result<(String, ExitStatus), String> {
        let log = self.folder.join(format!("{}.log", name.replace([' ', ',', '/'], "-")));
        let file = fs::File::create(&log).map_err(|error| told(&log, &error))?;
        let same = file.try_clone().map_err(|error| told(&log, &error))?;
        let status = command
            .stdin(std::process::Stdio::null())
            .stdout(file)
            .stderr(same)
            .status()
            .map_err(|error| format!("cannot run it: {error}"))?;
        let text = fs::read(&log).map_err(|error| told(&log, &error))?;
        Ok((String::from_utf8_lossy(&text).into_owned(), status))
    }

    /// Runs tests.
    fn test(
        &self,
        name: &str,
        arguments: &[&str],
        variables: &[(&str, String)],
    ) -> Result<Found, String> {
        let arguments = [&["test"], arguments].concat();
        let (text, status) = self.cargo(name, &arguments, variables)?;
        let mut found = read(&text);
        if !status.success() && found.failed == 0 {
            found.failed = 1;
            found.remark = "it did not run to its end".to_owned();
        }
        Ok(found)
    }
}

fn told(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// What a run of tests says of itself.
fn read(text: &str) -> Found {
    let mut found = Found::default();
    let mut tests = 0;
    let number = |words: &[&str], of: &str| -> u64 {
        let place = words.iter().position(|word| word.trim_matches(&[',', ';'][..]) == of);
        let before = place.and_then(|place| words.get(place.checked_sub(1)?));
        before.and_then(|word| word.parse().ok()).unwrap_or_default()
    };
    for line in text.lines() {
        // Behind a name of a test, maybe.
        if let Some((_, rest)) = line.split_once("assured: ") {
            let words: Vec<_> = rest.split(' ').collect();
            found.cases += number(&words, "cases");
            found.exceptions += number(&words, "exceptions");
        } else if line.contains(" cases, ") && line.contains(" passed") {
            // Vectors and attacks, by kind.
            let words: Vec<_> = line.split(' ').collect();
            found.cases += number(&words, "cases");
            found.exceptions += number(&words, "exceptions");
        } else if line.contains(" different on purpose") {
            let words: Vec<_> = line.split(' ').collect();
            found.cases += number(&words, "rows");
            found.exceptions += number(&words, "different");
        } else if let Some((_, rest)) = line.split_once("test result: ") {
            let words: Vec<_> = rest.split(' ').collect();
            tests += number(&words, "passed") + number(&words, "failed");
            found.failed += number(&words, "failed");
        } else if let Some((_, rest)) = line.split_once("skipped loudly: ") {
            found.remark = format!("but for {rest}");
        }
    }
    if found.cases == 0 {
        found.cases = tests;
    }
    if tests == 0 {
        found.failed = 1;
        found.remark = "there are no such tests".to_owned();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read() {
        let text = "test a ... assured: 12 cases, 2 exceptions\nok\nassured: 3 cases, 0 exceptions\n\
                    test result: ok. 5 passed; 0 failed; 0 ignored\n\
                    test result: ok. 1 passed; 0 failed; 0 ignored\n";
        let found = read(text);
        assert_eq!((found.cases, found.exceptions, found.failed), (15, 2, 0));
        let text = "vectors natively, HMAC: 522 cases, 522 passed, 3 exceptions\n\
                    attacks natively, keys: 43 cases, 43 passed\nattacks natively: 43 cases in 1 family\n\
                    parity: 1612 rows, 1440 equal, 172 different on purpose, 0 unexplained (11 s)\n\
                    test result: ok. 3 passed; 0 failed;\n";
        assert_eq!((read(text).cases, read(text).exceptions), (522 + 43 + 1612, 3 + 172));
        let found = read("test result: FAILED. 5 passed; 2 failed; 0 ignored\n");
        assert_eq!((found.cases, found.failed), (7, 2));
        assert_eq!(read("test result: ok. 0 passed; 0 failed;\n").failed, 1);
        assert_eq!(read("error: could not compile\n").failed, 1);
    }

    #[test]
    fn the_table_counts_what_failed() {
        let row = |name, failed| Row {
            name,
            found: Found { cases: 10, exceptions: 1, failed, ..Found::default() },
            seconds: 1.0,
        };
        let text = table(&[row("one", 0), row("two", 2)]);
        assert!(text.contains("FAILED"), "{text}");
        let last: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(last, ["all", "20", "16", "2", "2.0", "FAILED"]);
        assert!(!table(&[row("one", 0)]).contains("FAILED"));
    }
}
