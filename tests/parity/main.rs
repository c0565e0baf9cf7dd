//! Parity with Envoy's own `jwt_authn`: the same configuration and the same requests, once through
//! the native filter and once through the gate, in the same Envoy process.
//!
//! Both answers must be equal: status, body, challenge, gRPC status, `RESPONSE_CODE_DETAILS`, and
//! what the backend saw. Where they are not, `exceptions.json` says what each does and why; an entry
//! that is no longer true fails, too.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

mod rows;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jwt_gate_demo::backend;
use jwt_gate_demo::bootstrap::{cluster, listener, wasm_filter};
use jwt_gate_demo::envoy::{self, Envoy, EnvoyOptions, OLDEST, PINNED};
use jwt_gate_demo::http::{Request, Response};
use jwt_gate_demo::serve::Server;
use jwt_gate_demo::wasm;
use serde::Deserialize;
use serde_json::{Value, json};

/// A configuration that both filters get, and what is sent through it.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) configuration: Value,
    pub(crate) rows: Vec<(String, Request)>,
}

/// Differences that are meant to be, for one reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    why: String,
    /// The Envoy versions they are true for; all when absent.
    #[serde(default)]
    versions: Vec<String>,
    /// Row -> what native does, what the gate does.
    rows: BTreeMap<String, (String, String)>,
}

/// The differences that are meant to be with this version.
fn exceptions(version: &str) -> BTreeMap<String, (String, String)> {
    let groups: Vec<Exceptions> = serde_json::from_str(include_str!("exceptions.json")).unwrap();
    let mut rows = BTreeMap::new();
    for group in groups {
        assert!(group.why.len() > 20, "not a reason: {}", group.why);
        if group.versions.is_empty() || group.versions.iter().any(|own| own == version) {
            for (row, outcomes) in group.rows {
                assert!(rows.insert(row.clone(), outcomes).is_none(), "{row} stands twice");
            }
        }
    }
    rows
}

/// What a client and the backend see of a request, as far as it can be compared.
#[derive(Debug, Eq, PartialEq)]
struct Outcome {
    status: u16,
    body: String,
    headers: BTreeMap<String, String>,
    backend: Vec<String>,
    details: String,
}

impl Outcome {
    fn of(answer: &Response) -> Self {
        let told = ["www-authenticate", "grpc-status", "grpc-message", "retry-after"];
        let headers = told
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), answer.header(name)?)))
            .collect();
        let echo = answer.json().ok().filter(|echo| echo["body_bytes"].is_number());
        let backend = echo.iter().flat_map(seen).collect();
        let body = if echo.is_some() { String::new() } else { answer.text() };
        Self { status: answer.status, body, headers, backend, details: String::new() }
    }

    /// In one line, the parts in which it differs from `other`, for people: with tokens shortened.
    fn unlike(&self, other: &Self) -> String {
        let mut parts = vec![self.status.to_string()];
        if self.body != other.body {
            parts.push(self.body.clone());
        }
        let names = self.headers.keys().chain(other.headers.keys());
        let differing: std::collections::BTreeSet<_> =
            names.filter(|name| self.headers.get(*name) != other.headers.get(*name)).collect();
        for name in differing {
            let value = self.headers.get(name).map_or("-", String::as_str);
            parts.push(format!("{name}: {value}"));
        }
        if !self.backend.is_empty() && !other.backend.is_empty() {
            let only = |line: &&String| !other.backend.contains(line);
            parts.extend(self.backend.iter().filter(only).map(|line| format!("backend {line}")));
        }
        if self.status == other.status && self.details != other.details {
            parts.push(self.details.clone());
        }
        shorten(&parts.join("; "))
    }

    /// The same, with all that is forwarded where `other` forwards nothing: that must be right by itself.
    fn alone(&self, other: &Self) -> String {
        let mut text = self.unlike(other);
        if other.backend.is_empty() {
            for line in &self.backend {
                text.push_str(&shorten(&format!("; backend {line}")));
            }
        }
        text
    }
}

/// The backend's view, without what Envoy adds for every request.
fn seen(echo: &Value) -> Vec<String> {
    const ADDED: [&str; 5] =
        ["x-envoy-expected-rq-timeout-ms", "x-forwarded-proto", "x-request-id", "x-row", "host"];
    let mut lines: Vec<_> = echo["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|header| (header[0].as_str().unwrap(), header[1].as_str().unwrap()))
        .filter(|(name, _)| !ADDED.contains(name))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.sort();
    lines.push(format!("{} {}", echo["method"].as_str().unwrap(), echo["path"].as_str().unwrap()));
    lines
}

/// Tokens differ from run to run, so what is listed is without them: each long one becomes `eyJ…`. They are
/// the same on both sides of one run, and compared in full.
fn shorten(text: &str) -> String {
    text.split_inclusive([' ', '&', '=', ';', '"', ','])
        .map(|word| match word.split_once("eyJ") {
            Some((before, _)) if word.len() > 60 => format!("{before}eyJ…"),
            _ => word.to_owned(),
        })
        .collect()
}

fn native_filter(configuration: &Value) -> Value {
    let mut typed = configuration.clone();
    typed["@type"] =
        json!("type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication");
    json!({ "name": "envoy.filters.http.jwt_authn", "typed_config": typed })
}

/// Both filters, for every scene, in one Envoy.
struct Bed {
    envoy: Envoy,
    _servers: Vec<Server>,
}

impl Bed {
    fn start(version: &str, scenes: &[Scene], issuer: Server) -> Self {
        let module: PathBuf = match std::env::var_os("JWT_GATE_WASM") {
            Some(path) => path.into(),
            None => wasm::build_filter(&wasm::workspace()).unwrap(),
        };
        let backend =
            Server::start((Ipv4Addr::LOCALHOST, 0).into(), backend::router(), None).unwrap();
        let listeners: Vec<_> = scenes
            .iter()
            .flat_map(|scene| {
                let configuration = &scene.configuration;
                [
                    listener(&format!("native {}", scene.name), &[native_filter(configuration)]),
                    listener(
                        &format!("gate {}", scene.name),
                        &[wasm_filter(&module, configuration)],
                    ),
                ]
            })
            .collect();
        let bootstrap = json!({ "static_resources": {
            "listeners": listeners,
            "clusters": [
                cluster("backend", "127.0.0.1", backend.addr().port(), None),
                cluster("issuer", "127.0.0.1", issuer.addr().port(), None),
                // Nobody listens there.
                cluster("down", "127.0.0.1", 1, None),
            ],
        } });
        let options = EnvoyOptions { concurrency: 1, ..EnvoyOptions::default() };
        let envoy = Envoy::start(&envoy::find(version).unwrap(), &bootstrap, options).unwrap();
        Self { envoy, _servers: vec![backend, issuer] }
    }

    /// Sends every row through `side` of every scene.
    fn run(&self, side: &str, scenes: &[Scene]) -> BTreeMap<String, Outcome> {
        let mut outcomes = BTreeMap::new();
        for scene in scenes {
            let port = self.envoy.listener_port(&format!("{side} {}", scene.name)).unwrap();
            let address: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
            for (name, request) in &scene.rows {
                let row = format!("{}/{name}", scene.name);
                let request = request.clone().header("x-row", key(side, &row));
                let answer = request.send(address).unwrap_or_else(|error| panic!("{row}: {error}"));
                let earlier = outcomes.insert(row.clone(), Outcome::of(&answer));
                assert!(earlier.is_none(), "two rows are called {row}");
            }
        }
        self.add_details(side, &mut outcomes);
        outcomes
    }

    /// `RESPONSE_CODE_DETAILS` stand in the access log only.
    fn add_details(&self, side: &str, outcomes: &mut BTreeMap<String, Outcome>) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let logs = self.envoy.logs();
            let mut lines: BTreeMap<&str, &str> = BTreeMap::new();
            for line in logs.lines().filter_map(|line| line.strip_prefix("access: ")) {
                if let Some((row, rest)) = line.split_once(' ') {
                    lines.insert(row, rest);
                }
            }
            let mut missing = Vec::new();
            for (row, outcome) in outcomes.iter_mut() {
                let line = lines.get(key(side, row).as_str());
                match line.and_then(|rest| rest.split_once(' ')) {
                    Some((_, details)) => outcome.details = details.to_owned(),
                    None => missing.push(row),
                }
            }
            if missing.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "the access log lacks {missing:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The name of a row in a header and in the access log: letters and digits only.
fn key(side: &str, row: &str) -> String {
    row.bytes().fold(format!("{side}-"), |key, octet| match octet {
        octet if octet.is_ascii_alphanumeric() => key + &char::from(octet).to_string(),
        octet => format!("{key}_{octet:02x}"),
    })
}

fn compare(version: &str) {
    let began = Instant::now();
    let (scenes, issuer) = rows::scenes(version);
    let bed = Bed::start(version, &scenes, issuer);
    let native = bed.run("native", &scenes);
    let gate = bed.run("gate", &scenes);

    if let Ok(wanted) = std::env::var("PARITY_SHOW") {
        for (row, native) in native.iter().filter(|(row, _)| row.contains(&wanted)) {
            println!("{row}\n  native: {native:?}\n  gate:   {:?}", gate[row]);
        }
    }
    let mut exceptions = exceptions(version);
    let (mut equal, mut explained) = (0, 0);
    let mut problems = Vec::new();
    for (row, native) in &native {
        let gate = &gate[row];
        let actual = (native.unlike(gate), gate.alone(native));
        match exceptions.remove(row) {
            None if native == gate => equal += 1,
            None => problems.push(format!("{}: {},", json!(row), json!(actual))),
            Some(_) if native == gate => {
                problems.push(format!("{row}: listed as different, and is equal"));
            }
            Some(known) if known == actual => explained += 1,
            Some(known) => problems.push(format!(
                "{row}: listed as\n  native: {}\n  gate: {}\nand is\n  native: {}\n  gate: {}",
                known.0, known.1, actual.0, actual.1
            )),
        }
    }
    problems.extend(exceptions.keys().map(|row| format!("{row}: listed, and is no row")));
    // Not by `println!`, which the test runner keeps to itself: the counts are for everybody.
    let _ = writeln!(
        io::stderr(),
        "parity with jwt_authn of Envoy {version}: {} rows, {equal} equal, {explained} different \
         on purpose, {} unexplained ({:.0} s)",
        native.len(),
        problems.len(),
        began.elapsed().as_secs_f64(),
    );
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    let readme = include_str!("../../README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let counts = match version {
        PINNED => format!(
            "{} requests go through Envoy's native `jwt_authn` and through the gate, with the same \
             configuration in the same Envoy {PINNED}. {equal} are answered and forwarded exactly \
             alike; {explained} differ on purpose",
            native.len()
        ),
        _ => format!("({version}: {}, {equal} and {explained})", native.len()),
    };
    assert!(readme.contains(&counts), "the README should say: {counts}");
}

/// What both filters take, the published schema takes.
#[test]
fn every_configuration_is_in_the_schema() {
    let schema: Value = serde_json::from_str(include_str!("../../docs/schema.json")).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    for version in [PINNED, OLDEST] {
        let (scenes, _) = rows::scenes(version);
        assert!(scenes.len() > 50, "{}", scenes.len());
        for scene in scenes {
            let error = schema.validate(&scene.configuration).err().map(|error| error.to_string());
            assert_eq!(error, None, "{}: {:#}", scene.name, scene.configuration);
        }
    }
}

#[test]
fn the_newest_envoy() {
    compare(PINNED);
}

#[test]
fn the_oldest_envoy() {
    compare(OLDEST);
}
