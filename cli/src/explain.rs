//! `explain`: one request through the very code that decides in the proxy, and what that looked at.

mod checks;
mod request;
mod run;
mod steps;

use jwt_gate::config::Config;
use jwt_gate::denial::Rejection;
use jwt_gate::engine::Decision;
use jwt_gate::policy::{Policy, Provider};
use jwt_gate::request::{RequestEdit, RequestEdits};
use serde_json::{Value, json};

use crate::args::ExplainArguments;
use crate::explain::request::Request;
pub use crate::explain::request::token;
use crate::explain::run::{Outcome, Run};
use crate::explain::steps::{Step, steps};
use crate::manifest;
use crate::output::{Answer, Lines, Paint, Trouble, Verdict, harmless};
use crate::times;

pub fn run(arguments: &ExplainArguments, paint: Paint) -> Result<Answer, Trouble> {
    let mut loaded = manifest::load(&arguments.config)?;
    let name = loaded.name;
    let found = match (loaded.found.pop(), loaded.found.is_empty()) {
        (Some(found), true) => found,
        _ => {
            return Err(Trouble::new(format!(
                "{name}: there are several configurations of jwt-gate in it; keep the one that is meant"
            )));
        }
    };
    let policy = Policy::parse(&found.text).map_err(|errors| {
        let count = errors.len();
        let first = errors.first().map(ToString::to_string).unwrap_or_default();
        Trouble::new(format!(
            "{name}: {first}; `jwt-gate check` lists all mistakes, of which there are {count}"
        ))
    })?;
    let (config, _) = Config::parse(&found.text);
    let now = times::now();
    let at = times::parse(&arguments.at, now).ok_or_else(|| {
        Trouble::new(format!(
            "--at {}: expected `now`, seconds since 1970, 2026-01-31T12:00:00Z, or a time from now on \
             such as -1h",
            arguments.at
        ))
    })?;
    let request = Request::new(arguments, &config)?;
    let providers: Vec<_> =
        policy.all_providers().map(|own| (own.configured.clone(), own.name.clone())).collect();
    let keys = run::keys(&arguments.jwks, &policy)?;
    let run = Run::new(policy, &request, keys, at);
    let steps = steps(&run.notes(), &config, &providers, at);
    let of_rules = config.rules.iter().flat_map(|own| &own.set_headers);
    let fixed = config.providers.values().flat_map(|own| &own.set_headers).chain(of_rules);
    let fixed = fixed.map(|own| own.name.clone()).collect();
    let told = Told { request: &request, run: &run, steps: &steps, at, fixed };
    Ok(Answer::new(told.text(paint), told.json(), told.verdict()))
}

struct Told<'a> {
    request: &'a Request,
    run: &'a Run,
    steps: &'a [Step],
    at: u64,
    /// The names of headers with fixed values.
    fixed: Vec<String>,
}

impl Told<'_> {
    fn verdict(&self) -> Verdict {
        match &self.run.outcome {
            Outcome::Decided(Decision::Forward(_) | Decision::Serve(_) | Decision::Receive) => {
                Verdict::Good
            }
            Outcome::Decided(Decision::Reject(_)) => Verdict::Bad,
            Outcome::Decided(Decision::Wait | Decision::Spend(_)) | Outcome::NoKeys(_) => {
                Verdict::Open
            }
        }
    }

    fn text(&self, paint: Paint) -> String {
        let mut lines = Lines::default();
        lines.push(format_args!(
            "{} {}, at {}",
            paint.head("request"),
            harmless(&self.request.shown),
            times::show(self.at)
        ));
        for note in self.request.notes.iter().chain(&self.run.log) {
            lines.push(format_args!("  {}", harmless(note)));
        }
        for step in self.steps {
            lines.push(step.line(paint));
        }
        for line in self.answer_lines(paint) {
            lines.push(line);
        }
        lines.text()
    }

    fn answer_lines(&self, paint: Paint) -> Vec<String> {
        let head = paint.head("answer");
        let mut lines = match &self.run.outcome {
            Outcome::Decided(Decision::Forward(edits)) => {
                let mut lines =
                    vec![format!("{head}  {}: the request goes on", paint.good("pass"))];
                lines.extend(
                    changes(edits, &self.fixed).iter().map(|line| format!("  {}", harmless(line))),
                );
                lines
            }
            Outcome::Decided(Decision::Serve(served)) => {
                vec![format!("{head}  {}: the gate answers itself", served.status)]
            }
            Outcome::Decided(Decision::Receive) => {
                vec![format!(
                    "{head}  the gate reads the body itself: here issuers tell of logouts"
                )]
            }
            Outcome::Decided(Decision::Reject(rejection)) => {
                let Rejection { reason, status, headers, body, .. } = rejection;
                let code = paint.bad(&format!("{status} {}", reason.code()));
                let mut lines = vec![format!("{head}  {code}: {}", harmless(body))];
                let headers =
                    headers.iter().map(|(name, value)| format!("  {name}: {}", harmless(value)));
                lines.extend(headers);
                lines
            }
            Outcome::Decided(Decision::Wait | Decision::Spend(_)) => {
                vec![format!("{head}  {}: the request waits for keys", paint.warn("open"))]
            }
            Outcome::NoKeys(names) => vec![format!(
                "{head}  {}: it depends on the keys of {}; give them with --jwks FILE",
                paint.warn("open"),
                harmless(&names.join(", "))
            )],
        };
        lines.extend(self.run.beside.iter().map(|line| format!("  {line}")));
        lines
    }

    fn json(&self) -> Value {
        let answer = match &self.run.outcome {
            Outcome::Decided(Decision::Forward(edits)) => {
                json!({ "decision": "pass", "changes": changes(edits, &self.fixed) })
            }
            Outcome::Decided(Decision::Serve(served)) => {
                json!({ "decision": "served", "status": served.status })
            }
            Outcome::Decided(Decision::Reject(rejection)) => {
                let Rejection { reason, status, headers, body, grpc_status, .. } = rejection;
                json!({
                    "decision": "refused", "reason": reason.code(), "status": status,
                    "grpc_status": grpc_status, "body": body,
                    "headers": headers.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
                })
            }
            Outcome::Decided(Decision::Receive) => json!({ "decision": "received" }),
            Outcome::Decided(Decision::Wait | Decision::Spend(_)) => json!({ "decision": "open" }),
            Outcome::NoKeys(names) => json!({ "decision": "open", "keys_missing_of": names }),
        };
        json!({
            "request": self.request.shown,
            "at": self.at,
            "notes": self.request.notes.iter().chain(&self.run.log).collect::<Vec<_>>(),
            "steps": self.steps.iter().map(Step::json).collect::<Vec<_>>(),
            "answer": answer,
            "beside": self.run.beside,
        })
    }
}

/// What becomes of the request, without what may be secret.
fn changes(edits: &RequestEdits, fixed: &[String]) -> Vec<String> {
    // Fixed headers may be what a backend knows the gate by.
    let is_secret = |name: &str| {
        matches!(name, "cookie" | "authorization") || fixed.iter().any(|own| own == name)
    };
    let value = |name: &str, value: &[u8]| match name {
        ":path" => {
            let path = value.split(|octet| *octet == b'?').next().unwrap_or_default();
            String::from_utf8_lossy(path).into_owned() + " (and what is left of the query)"
        }
        name if is_secret(name) => "(not shown)".to_owned(),
        _ => String::from_utf8_lossy(value).into_owned(),
    };
    let one = |edit: &RequestEdit| match edit {
        RequestEdit::Add(name, own) => format!("adds {name}: {}", value(name, own)),
        RequestEdit::Replace(name, own) => format!("sets {name}: {}", value(name, own)),
        RequestEdit::Remove(name) => format!("takes {} away", String::from_utf8_lossy(name)),
        RequestEdit::ClearRouteCache => "has the route chosen again".to_owned(),
        RequestEdit::State(name, _) | RequestEdit::Record(name, _) => {
            format!("leaves {name} in the filter state")
        }
    };
    edits.iter().map(one).collect()
}

/// What a provider is called, for those who give keys.
fn names(providers: &[&Provider]) -> Vec<String> {
    let mut names: Vec<_> = providers.iter().map(|own| own.configured.clone()).collect();
    names.sort();
    names.dedup();
    names
}
