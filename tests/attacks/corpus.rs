//! The attacks as data: sheets of cases in YAML, one for each family.
//!
//! A sheet has `with`, what its cases have in common, and `cases`. A case with `each` stands for as many
//! as that has members: `{each}` in it is the member's value, and the member's name becomes part of
//! the case's. `again` holds what is sent next, as far as it differs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

/// All of it.
pub(crate) struct Corpus {
    pub(crate) gates: BTreeMap<String, Gate>,
    pub(crate) cases: Vec<Case>,
}

/// A configuration, and what is different about the proxy around it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gate {
    /// The gate's configuration. Where a provider's `keys` stand, they become its `local_jwks`.
    pub(crate) configuration: Value,
    /// Fields of Envoy's connection manager.
    #[serde(default)]
    pub(crate) connection_manager: Map<String, Value>,
}

/// An attack.
pub(crate) struct Case {
    /// The name of the sheet.
    pub(crate) family: String,
    pub(crate) name: String,
    /// Who says so: a section of an RFC, a CVE.
    pub(crate) source: String,
    /// The configuration.
    pub(crate) gate: String,
    /// Why it is right that it passes, where it does.
    pub(crate) why: String,
    /// The requests, one after another.
    pub(crate) shots: Vec<Shot>,
}

/// One request and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shot {
    /// The tokens: `{token}`, or any other name, in the request.
    #[serde(default)]
    pub(crate) tokens: BTreeMap<String, Recipe>,
    #[serde(default = "get")]
    pub(crate) method: String,
    #[serde(default = "root")]
    pub(crate) path: String,
    /// In the form `name: value`.
    #[serde(default = "bearer")]
    pub(crate) headers: Vec<String>,
    #[serde(default)]
    pub(crate) body: String,
    /// In place of method, path and headers: the lines of the request.
    pub(crate) raw: Option<String>,
    /// Headers of a request over HTTP/2, with those that begin with a colon.
    pub(crate) h2: Option<Vec<String>>,
    /// What of such a request the proxy shows to filters, where it does not refuse it itself.
    pub(crate) seen_as: Option<Vec<String>>,
    /// `pass`; a status and a code; `proxy` and a status, where the proxy refuses; `closed`, where it
    /// does so without an answer; `cut`, where it does so after the request went on.
    pub(crate) expect: String,
    /// The challenge, where it is to be said here.
    pub(crate) challenge: Option<String>,
    /// Of further requests in `raw`, what becomes of them; they are not told natively.
    #[serde(default)]
    pub(crate) also: Vec<String>,
    /// Where the answer in Envoy is another one.
    pub(crate) envoy: Option<String>,
    /// Where that in the oldest Envoy is yet another one.
    pub(crate) oldest: Option<String>,
    /// What the backend sees of a request that passes, without what Envoy always adds.
    #[serde(default)]
    pub(crate) backend: Vec<String>,
    /// The same, where Envoy shows it otherwise than it stands in the request.
    pub(crate) envoy_backend: Option<Vec<String>>,
    pub(crate) oldest_backend: Option<Vec<String>>,
}

fn get() -> String {
    "GET".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

fn bearer() -> Vec<String> {
    vec!["authorization: Bearer {token}".to_owned()]
}

/// How a token is made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    /// The key that signs it, whose name, algorithm and `kid` the header has; `rsa` if none is named.
    pub(crate) key: Option<String>,
    /// The token that it proves the possession of: it is then a DPoP proof (RFC 9449 section 4.2) for
    /// `GET http://gate.test/`, and brings its key along. The `jti` is always the same.
    pub(crate) proof_of: Option<String>,
    /// Members of the header that are otherwise; `{absent}`: not there, `{jwk KEY}`: a public key.
    #[serde(default)]
    pub(crate) header: Map<String, Value>,
    /// In place of the header's JSON.
    pub(crate) header_text: Option<String>,
    /// Claims that are otherwise; `{thumbprint KEY}`: of a public key (RFC 7638).
    #[serde(default)]
    pub(crate) claims: Map<String, Value>,
    /// In place of the claims' JSON.
    pub(crate) payload_text: Option<String>,
    /// How the parts are written, before they are signed: `header`, `payload`, `signature`, and the
    /// name of an odd way.
    #[serde(default)]
    pub(crate) written: BTreeMap<String, String>,
    /// What is signed, if not `{h}.{p}`.
    pub(crate) signed: Option<String>,
    /// How it is signed, if not by the key in its own way.
    #[serde(default)]
    pub(crate) sign: String,
    /// What the parts `{h}`, `{p}` and `{s}` are put into.
    pub(crate) shape: Option<String>,
}

impl Case {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.family, self.name)
    }

    pub(crate) fn runs_natively(&self) -> bool {
        self.shots.iter().all(|shot| {
            let is_whole = shot.raw.is_none() && shot.h2.is_none();
            is_whole || shot.seen_as.is_some()
        })
    }
}

impl Corpus {
    pub(crate) fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks");
        let gates = serde_json::from_value(read(&folder.join("gates.yaml"))).unwrap();
        let mut files: Vec<PathBuf> = fs::read_dir(folder.join("cases"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let cases = files.iter().flat_map(|file| cases(file)).collect();
        Self { gates, cases }
    }
}

/// A document; a member that is there twice is an error.
fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    about: String,
    source: String,
    #[serde(default)]
    with: Map<String, Value>,
    cases: Vec<Map<String, Value>>,
}

fn cases(file: &Path) -> Vec<Case> {
    let family = file.file_stem().unwrap().to_str().unwrap().to_owned();
    let sheet: Sheet = serde_json::from_value(read(file))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(sheet.about.len() > 20, "{family}: what is it about?");
    let mut cases = Vec::new();
    for written in sheet.cases {
        let mut case = merged(&sheet.with, &written);
        let each = case.remove("each");
        let place = case.clone();
        let members: Vec<(Option<String>, Value)> = match each {
            None => vec![(None, Value::Null)],
            Some(Value::Array(list)) => list
                .into_iter()
                .map(|value| {
                    (Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)), value)
                })
                .collect(),
            Some(Value::Object(map)) => {
                map.into_iter().map(|(name, value)| (Some(name), value)).collect()
            }
            Some(other) => panic!("{family}: each: {other}"),
        };
        for (member, value) in members {
            let mut case = match filled(&Value::Object(place.clone()), &value) {
                Value::Object(case) => case,
                other => panic!("{family}: {other}"),
            };
            let mut text = |name: &str| match case.remove(name) {
                None => String::new(),
                Some(Value::String(text)) => text,
                Some(other) => panic!("{family}: {name}: {other}"),
            };
            let (mut name, gate, why) = (text("name"), text("gate"), text("why"));
            let source = Some(text("source")).filter(|own| !own.is_empty());
            if let Some(member) = member {
                name = format!("{name}: {member}").trim_start_matches(": ").to_owned();
            }
            let again = case.remove("again");
            let mut shots = vec![case.clone()];
            for next in again.as_ref().and_then(Value::as_array).into_iter().flatten() {
                case.remove("backend");
                case.remove("envoy");
                case.remove("oldest");
                case.remove("envoy_backend");
                case.remove("oldest_backend");
                shots.push(merged(&case, next.as_object().unwrap()));
            }
            let shots = shots.into_iter().map(|mut shot| {
                // The usual token is called just that.
                if let Some(token) = shot.remove("token") {
                    let tokens = shot.entry("tokens").or_insert_with(|| Value::Object(Map::new()));
                    tokens.as_object_mut().unwrap().insert("token".to_owned(), token);
                }
                serde_json::from_value(Value::Object(shot))
                    .unwrap_or_else(|error| panic!("{family}/{name}: {error}"))
            });
            let shots = shots.collect();
            let source = source.unwrap_or_else(|| sheet.source.clone());
            cases.push(Case { family: family.clone(), name, source, gate, why, shots });
        }
    }
    cases
}

/// `case`, with what it does not say itself from `base`; tokens member by member.
fn merged(base: &Map<String, Value>, case: &Map<String, Value>) -> Map<String, Value> {
    let mut all = base.clone();
    for (name, value) in case {
        match (name.as_str(), all.get_mut(name), value) {
            ("token", Some(Value::Object(own)), Value::Object(new)) => {
                own.extend(new.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            _ => {
                all.insert(name.clone(), value.clone());
            }
        }
    }
    all
}

/// `value` with `each` wherever it says `{each}`: as it is where nothing else stands there.
fn filled(value: &Value, each: &Value) -> Value {
    match value {
        Value::String(text) if text == "{each}" => each.clone(),
        Value::String(text) if text.contains("{each}") => {
            let own = each.as_str().map_or_else(|| each.to_string(), str::to_owned);
            Value::String(text.replace("{each}", &own))
        }
        Value::Array(list) => Value::Array(list.iter().map(|one| filled(one, each)).collect()),
        Value::Object(map) => {
            let members = map.iter().map(|(name, one)| (name.clone(), filled(one, each)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}
