//! `check`: every mistake with its line, and a report in plain words.

mod advice;
mod differences;
mod proxy;
mod warnings;
pub mod words;

use jwt_gate::config::Config;
use jwt_gate::policy::Policy;
use serde_json::{Value, json};

use crate::args::CheckArguments;
use crate::manifest::{self, Found, Loaded, Unusable};
use crate::output::{Answer, Lines, Paint, Trouble, Verdict, harmless};
use crate::tree::{Flaw, Place};

/// Something to say about a place.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Finding {
    pub place: Place,
    /// Of the configuration; empty for what is about the file around it.
    pub path: String,
    /// The kind of a warning; empty for errors.
    pub code: &'static str,
    pub message: String,
}

/// What was found out about one configuration.
#[derive(Debug, Default)]
struct Checked {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    summary: String,
    protected: Vec<String>,
    open: Vec<String>,
    providers: Vec<String>,
    differences: Vec<String>,
}

pub fn run(arguments: &CheckArguments, paint: Paint) -> Result<Answer, Trouble> {
    let loaded = match manifest::load(&arguments.file) {
        Ok(loaded) => loaded,
        Err(Unusable::Trouble(trouble)) => return Err(trouble),
        Err(Unusable::Flawed(name, flaw)) => return Ok(flawed(&name, flaw, paint)),
    };
    let name = &loaded.name;
    let (mut lines, mut configurations) = (Lines::default(), Vec::new());
    let (mut errors, mut warnings) = (0_usize, 0_usize);
    for passed_over in &loaded.passed_over {
        lines.push(format_args!("{name}: passed over: {}", harmless(passed_over)));
    }
    for found in &loaded.found {
        let checked = Checked::of(found, &loaded);
        errors = errors.saturating_add(checked.errors.len());
        warnings = warnings.saturating_add(checked.warnings.len());
        checked.write(name, found, paint, &mut lines);
        configurations.push(checked.json(found));
    }
    let is_good = errors == 0 && (warnings == 0 || !arguments.strict);
    let told = match (errors, warnings) {
        (0, 0) => paint.good("good"),
        (0, warnings) => {
            format!("{}, {}", paint.good("good"), paint.warn(&count(warnings, "warning")))
        }
        (errors, _) => paint.bad(&count(errors, "error")),
    };
    lines.push(format_args!("{name}: {told}"));
    let json = json!({
        "file": name,
        "good": is_good,
        "passed_over": loaded.passed_over,
        "configurations": configurations,
    });
    Ok(Answer::new(lines.text(), json, Verdict::of(is_good)))
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// A file that cannot even be read has one error.
fn flawed(name: &str, flaw: Flaw, paint: Paint) -> Answer {
    let Flaw { place, message } = flaw;
    let finding = Finding { place, path: String::new(), code: "", message };
    let text = format!(
        "{}\n{name}: {}\n",
        line(name, &finding, &paint.bad("error")),
        paint.bad("1 error")
    );
    let error = [to_json(&finding)];
    let json = json!({ "file": name, "good": false, "configurations": [{ "errors": error }] });
    Answer::new(text, json, Verdict::Bad)
}

fn line(name: &str, finding: &Finding, kind: &str) -> String {
    let Finding { place: Place { line, column }, path, message, .. } = finding;
    let colon = if path.is_empty() { "" } else { ": " };
    let (path, message) = (harmless(path), harmless(message));
    format!("{name}:{line}:{column}: {kind}: {path}{colon}{message}")
}

fn to_json(finding: &Finding) -> Value {
    let Finding { place, path, code, message } = finding;
    let mut json = json!({
        "path": path, "line": place.line, "column": place.column, "message": message,
    });
    let help = advice::of(path, message).filter(|_| code.is_empty());
    if let Some(members) = json.as_object_mut() {
        if !code.is_empty() {
            members.insert("code".to_owned(), (*code).into());
        }
        members.extend(help.map(|help| ("help".to_owned(), help.into())));
    }
    json
}

impl Checked {
    fn of(found: &Found, loaded: &Loaded) -> Self {
        let finding = |path: &str, message: String| Finding {
            place: found.tree.place_of(path),
            path: path.to_owned(),
            code: "",
            message,
        };
        let policy = match (Policy::parse(&found.text), &found.flaw) {
            (Ok(policy), None) => policy,
            (_, Some(Flaw { place, message })) => {
                let (place, message) = (*place, message.clone());
                let error = Finding { place, path: String::new(), code: "", message };
                return Self { errors: vec![error], ..Self::default() };
            }
            (Err(errors), None) => {
                let errors = errors.into_iter().map(|error| finding(&error.path, error.message));
                let mut errors: Vec<_> = errors.collect();
                errors.sort();
                return Self { errors, ..Self::default() };
            }
        };
        let errors = proxy::mistakes(found);
        if !errors.is_empty() {
            return Self { errors, ..Self::default() };
        }
        let (config, _) = Config::parse(&found.text);
        let mut report = policy.report().into_iter();
        let summary = report.next().unwrap_or_default();
        let (open, others): (Vec<_>, Vec<_>) = report.partition(|line| line.starts_with("open: "));
        let open: Vec<_> =
            open.iter().map(|line| line.trim_start_matches("open: ").to_owned()).collect();
        let mut warnings = warnings::list(&config, &found.tree);
        warnings.extend(proxy::list(&config, found, loaded));
        warnings.sort();
        Self {
            errors: Vec::new(),
            warnings,
            summary: [vec![summary], others].concat().join("; "),
            protected: words::protected(&config, &open),
            open,
            providers: words::providers(&config),
            differences: differences::list(&config),
        }
    }

    fn write(&self, name: &str, found: &Found, paint: Paint, lines: &mut Lines) {
        let Place { line: number, .. } = found.tree.place;
        lines.push(format_args!("{name}:{number}: {}", paint.head(&harmless(&found.title))));
        for error in &self.errors {
            lines.push(line(name, error, &paint.bad("error")));
            if let Some(help) = advice::of(&error.path, &error.message) {
                lines.push(format_args!("  help: {}", harmless(&help)));
            }
        }
        if !self.errors.is_empty() {
            return;
        }
        let harmless = |all: &[String]| all.iter().map(|one| harmless(one)).collect::<Vec<_>>();
        lines.push(format_args!("  {}", self.summary));
        lines.section(paint, "Protected", &harmless(&self.protected));
        lines.section(paint, "Open", &harmless(&self.open));
        lines.section(paint, "Providers", &harmless(&self.providers));
        lines.section(paint, "Different from Envoy's jwt_authn", &harmless(&self.differences));
        for warning in &self.warnings {
            let kind = paint.warn(&format!("warning[{}]", warning.code));
            lines.push(line(name, warning, &kind));
        }
    }

    fn json(&self, found: &Found) -> Value {
        json!({
            "title": found.title,
            "line": found.tree.place.line,
            "errors": self.errors.iter().map(to_json).collect::<Vec<_>>(),
            "warnings": self.warnings.iter().map(to_json).collect::<Vec<_>>(),
            "summary": self.summary,
            "protected": self.protected,
            "open": self.open,
            "providers": self.providers,
            "differences": self.differences,
        })
    }
}
