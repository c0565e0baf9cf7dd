//! Answers: as text, coloured on a terminal only, or as JSON; and exit codes.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

/// What a command came to.
#[derive(Debug)]
pub struct Answer {
    /// For people.
    pub text: String,
    /// The same, where `text` is a document that goes somewhere.
    pub aside: String,
    /// For programs.
    pub json: Value,
    /// What the exit code says.
    pub verdict: Verdict,
}

/// What the exit code says. Wrong arguments are 2, by clap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// 0.
    Good,
    /// 1: invalid, refused, flawed.
    Bad,
    /// 3: something is missing for an answer.
    Open,
}

/// Why there is no answer: exit code 3.
#[derive(Debug)]
pub struct Trouble(String);

impl Trouble {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Answer {
    pub fn new(text: String, json: Value, verdict: Verdict) -> Self {
        Self { text, aside: String::new(), json, verdict }
    }

    pub fn good(text: String, json: Value) -> Self {
        Self { text, aside: String::new(), json, verdict: Verdict::Good }
    }
}

impl Verdict {
    /// `Bad` unless it `is_good`.
    pub fn of(is_good: bool) -> Self {
        if is_good { Self::Good } else { Self::Bad }
    }
}

/// Prints an answer. Nobody is told of a pipe that was closed.
pub fn tell(answer: Result<Answer, Trouble>, as_json: bool, paint: Paint) -> ExitCode {
    let (text, code) = match answer {
        Ok(answer) => {
            let code = match answer.verdict {
                Verdict::Good => 0,
                Verdict::Bad => 1,
                Verdict::Open => 3,
            };
            if !as_json {
                let _ = io::stderr().write_all(answer.aside.as_bytes());
            }
            (if as_json { lines(&answer.json) } else { answer.text }, code)
        }
        Err(Trouble(message)) if as_json => (lines(&json!({ "trouble": message })), 3),
        Err(Trouble(message)) => {
            let _ = writeln!(io::stderr(), "{} {message}", paint.bad("error:"));
            return ExitCode::from(3);
        }
    };
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
    ExitCode::from(code)
}

fn lines(json: &Value) -> String {
    format!("{json:#}\n")
}

/// Colours, where somebody sees them.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// On a terminal, unless `NO_COLOR` is set.
    pub fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { on: wanted && io::stdout().is_terminal() }
    }

    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    pub fn warn(self, text: &str) -> String {
        self.with("33", text)
    }

    pub fn head(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self.on {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

/// A text line by line.
#[derive(Debug, Default)]
pub struct Lines(String);

impl Lines {
    pub fn push(&mut self, line: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{line}");
    }

    /// A heading and what is under it; nothing where that is nothing.
    pub fn section(&mut self, paint: Paint, heading: &str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        self.push(format_args!("  {}", paint.head(heading)));
        for item in items {
            self.push(format_args!("    {item}"));
        }
    }

    pub fn text(self) -> String {
        self.0
    }
}

/// What a file or a token says, without anything that a terminal would obey.
pub fn harmless(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
