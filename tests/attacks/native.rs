//! Attacks against the engine.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use jwt_gate::engine::Decision;
use jwt_gate::request::{RequestEdit, RequestHead};
use serde_json::{Value, json};

use crate::corpus::{Case, Gate as Described, Shot};
use crate::gate::{Gate, told};
use crate::keys;
use crate::text::{octets, shown, time};
use crate::token;

pub(crate) type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// The host that requests are sent to unless they say otherwise.
pub(crate) const HOST: &str = "gate.test";

/// The gate's configuration, with its keys.
pub(crate) fn configuration(gate: &Described) -> Value {
    let mut configuration = gate.configuration.clone();
    for provider in configuration["providers"].as_object_mut().unwrap().values_mut() {
        let provider = provider.as_object_mut().unwrap();
        if let Some(described) = provider.remove("keys") {
            let set = keys::set(&described);
            provider.insert("local_jwks".to_owned(), json!({ "inline_string": set }));
        }
    }
    configuration
}

/// One request with its tokens, ready to be sent.
pub(crate) struct Ready<'a> {
    pub(crate) shot: &'a Shot,
    tokens: BTreeMap<&'a str, String>,
    now: u64,
}

impl<'a> Ready<'a> {
    pub(crate) fn new(shot: &'a Shot, now: u64) -> Self {
        let mut tokens = BTreeMap::new();
        // Proofs last: they say which token they are for.
        for are_proofs in [false, true] {
            let wanted = shot.tokens.iter().filter(|(_, own)| own.proof_of.is_some() == are_proofs);
            for (name, recipe) in wanted {
                let token = token::make(recipe, &tokens, now);
                tokens.insert(name.as_str(), token);
            }
        }
        Self { shot, tokens, now }
    }

    /// A text of the shot as octets.
    pub(crate) fn octets(&self, text: &str) -> Vec<u8> {
        octets(text, &|name| {
            self.tokens.get(name).cloned().or_else(|| time(name, self.now)).or_else(|| {
                // A part of a token.
                let (name, part) = name.split_once('.')?;
                let parts: Vec<_> = self.tokens.get(name)?.split('.').collect();
                Some((*parts.get(part.parse::<usize>().ok()?)?).to_owned())
            })
        })
    }

    /// Headers from lines, in their order.
    pub(crate) fn headers(&self, lines: &[String]) -> Headers {
        let mut headers = Vec::new();
        for line in lines {
            let (times, line) = match line.split_once(" times ") {
                Some((times, line)) if times.parse::<usize>().is_ok() => {
                    (times.parse().unwrap(), line)
                }
                _ => (1, line.as_str()),
            };
            // Names of pseudo headers begin with a colon.
            let end = 1 + line[1..].find(':').unwrap_or_else(|| panic!("no header: {line}"));
            let name = self.octets(&line[..end]);
            let value = line[end + 1..].strip_prefix(' ').unwrap_or(&line[end + 1..]);
            headers.extend(std::iter::repeat_n((name, self.octets(value)), times));
        }
        headers
    }

    /// The head as the proxy shows it to filters.
    fn head(&self) -> RequestHead {
        let shown = |(name, value): (Vec<u8>, Vec<u8>)| {
            (name.to_ascii_lowercase(), value.trim_ascii().to_vec())
        };
        if let Some(lines) = &self.shot.seen_as {
            return RequestHead::new(self.headers(lines).into_iter().map(shown).collect());
        }
        let pseudo = [
            (b":authority".to_vec(), HOST.as_bytes().to_vec()),
            (b":path".to_vec(), self.octets(&self.shot.path)),
            (b":method".to_vec(), self.octets(&self.shot.method)),
            (b":scheme".to_vec(), b"http".to_vec()),
        ];
        let own = self.headers(&self.shot.headers).into_iter();
        let (hosts, own): (Headers, Headers) =
            own.partition(|(name, _)| name.eq_ignore_ascii_case(b"host"));
        let pseudo = pseudo.into_iter().map(|(name, value)| match hosts.first() {
            Some((_, host)) if name == b":authority" => (name, host.clone()),
            _ => (name, value),
        });
        RequestHead::new(pseudo.chain(own.into_iter().map(shown)).collect())
    }

    /// What the engine says.
    pub(crate) fn decide(&self, gate: &mut Gate) -> (RequestHead, Decision) {
        let head = self.head();
        let decision = gate.decide_about(self.now, head.clone());
        (head, decision)
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// An engine for each configuration.
pub(crate) fn gates(described: &BTreeMap<String, Described>) -> BTreeMap<String, Gate> {
    let gates = described.iter();
    gates.map(|(name, gate)| (name.clone(), Gate::new(&configuration(gate)))).collect()
}

/// Runs them; what went wrong.
pub(crate) fn run(described: &BTreeMap<String, Described>, cases: &[&Case]) -> Vec<String> {
    let mut gates = gates(described);
    let mut failures = Vec::new();
    for case in cases {
        let gate = gates.get_mut(&case.gate).unwrap_or_else(|| panic!("{}: no gate", case.name));
        let now = now();
        for (number, shot) in case.shots.iter().enumerate() {
            gate.counted.clear();
            let ready = Ready::new(shot, now);
            let (head, decision) = ready.decide(gate);
            let mut fail = |what: String| {
                failures.push(format!("{} [{number}]: {what}", case.full_name()));
            };
            let told = told(&decision);
            if told != shot.expect {
                fail(format!("{told}, expected {}", shot.expect));
                continue;
            }
            let counted: Vec<_> =
                gate.counted.iter().map(|own| gate.engine.counter_name(*own)).collect();
            let expected = match told.split_once(' ') {
                Some((_, code)) => format!("denied_for.{code}"),
                None => "allowed".to_owned(),
            };
            if !counted.iter().any(|name| name.ends_with(&expected)) {
                fail(format!("counted {counted:?}, expected {expected}"));
            }
            match decision {
                Decision::Forward(edits) => {
                    let seen = seen(applied(&head, &edits));
                    if seen != sorted(&shot.backend) {
                        fail(format!("the backend sees\n{}", listed(&seen)));
                    }
                }
                Decision::Reject(rejection) => {
                    let challenges = rejection.headers.iter();
                    let challenges = challenges.filter(|(name, _)| name == "www-authenticate");
                    let challenges: Vec<_> = challenges.map(|(_, value)| value.as_str()).collect();
                    if shot.challenge.as_deref().is_some_and(|own| challenges != [own]) {
                        fail(format!("the challenge is {challenges:?}"));
                    }
                    // No answer says what was sent, but for the address.
                    let body = rejection.body.as_bytes();
                    for token in ready.tokens.values().filter(|token| token.len() > 20) {
                        let text = rejection.headers.iter().map(|(_, value)| value.as_bytes());
                        if text.chain([body]).any(|text| contains(text, token.as_bytes())) {
                            fail("the answer repeats the token".to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
        for line in &gate.logged {
            assert!(!line.contains("eyJ"), "{}: a token in the log: {line}", case.full_name());
        }
        gate.logged.clear();
    }
    failures
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// As in a sheet, with the headers in the order of their names.
pub(crate) fn sorted(lines: &[String]) -> Vec<String> {
    let mut lines = lines.to_vec();
    if let Some((_, headers)) = lines.split_first_mut() {
        headers.sort();
    }
    lines
}

/// The lines for a sheet.
pub(crate) fn listed(seen: &[String]) -> String {
    seen.iter().map(|line| format!("  - {}\n", json!(line))).collect()
}

/// The headers after these edits.
fn applied(head: &RequestHead, edits: &[RequestEdit]) -> Headers {
    let mut headers: Headers =
        head.headers().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    for edit in edits {
        match edit {
            RequestEdit::Add(name, value) => {
                headers.push((name.clone().into_bytes(), value.clone()));
            }
            RequestEdit::Remove(name) => headers.retain(|(own, _)| own != name),
            RequestEdit::Replace(name, value) => {
                let place = headers.iter().position(|(own, _)| own == name.as_bytes());
                headers.retain(|(own, _)| own != name.as_bytes());
                let place = place.unwrap_or(headers.len()).min(headers.len());
                headers.insert(place, (name.clone().into_bytes(), value.clone()));
            }
            // Beside the request.
            _ => {}
        }
    }
    headers
}

/// What the backend sees: method and path, then the headers in the order of their names.
fn seen(headers: Headers) -> Vec<String> {
    let of = |wanted: &[u8]| {
        let found = headers.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| shown(value)).unwrap_or_default()
    };
    let first = format!("{} {}", of(b":method"), of(b":path"));
    let rest = headers.iter().filter(|(name, _)| !name.starts_with(b":"));
    let mut rest: Vec<_> =
        rest.map(|(name, value)| format!("{}: {}", shown(name), shown(value))).collect();
    rest.sort();
    [vec![first], rest].concat()
}
