//! Attacks on the wire: all configurations as listeners of one Envoy, with the built module.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use jwt_gate::denial::Reason;
use jwt_gate::engine::Decision;
use jwt_gate_demo::backend;
use jwt_gate_demo::bootstrap::{cluster, listener, wasm_filter};
use jwt_gate_demo::envoy::{self, Envoy, EnvoyOptions, OLDEST};
use jwt_gate_demo::http::Response;
use jwt_gate_demo::serve::Server;
use jwt_gate_demo::wasm;
use serde_json::{Value, json};

use crate::corpus::{Case, Gate as Described, Shot};
use crate::native::{self, HOST, Headers, Ready, configuration, listed, sorted};
use crate::text::shown;
use crate::wire::{self, Client};

/// What Envoy adds to every request; to some also `content-length: 0`.
const ADDED: [&str; 4] =
    ["host", "x-envoy-expected-rq-timeout-ms", "x-forwarded-proto", "x-request-id"];

struct Bed {
    envoy: Envoy,
    _backend: Server,
}

impl Bed {
    fn start(version: &str, gates: &BTreeMap<String, Described>) -> Self {
        let module: PathBuf = match std::env::var_os("JWT_GATE_WASM") {
            Some(path) => path.into(),
            None => wasm::build_filter(&wasm::workspace()).unwrap(),
        };
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let backend = Server::start(any, backend::router(), None).unwrap();
        let (mut listeners, mut clusters) = (Vec::new(), Vec::new());
        for (name, gate) in gates {
            let mut configuration = configuration(gate);
            configuration["stat_prefix"] = json!(prefix(name));
            let mut listener = listener(name, &[wasm_filter(&module, &configuration)]);
            let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
            // A cluster for each, whose counter says how many requests got there.
            let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
            routes[0]["route"]["cluster"] = json!(format!("backend-{name}"));
            // Envoy leaves a connection that it gives up open for a second.
            manager["delayed_close_timeout"] = json!("0.01s");
            for (field, value) in &gate.connection_manager {
                manager[field] = value.clone();
            }
            listeners.push(listener);
            let port = backend.addr().port();
            clusters.push(cluster(&format!("backend-{name}"), "127.0.0.1", port, None));
        }
        let bootstrap =
            json!({ "static_resources": { "listeners": listeners, "clusters": clusters } });
        let options = EnvoyOptions { concurrency: 1, ..EnvoyOptions::default() };
        let envoy = Envoy::start(&envoy::find(version).unwrap(), &bootstrap, options).unwrap();
        Self { envoy, _backend: backend }
    }

    fn address(&self, gate: &str) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.envoy.listener_port(gate).unwrap()).into()
    }
}

fn prefix(gate: &str) -> String {
    gate.replace('-', "_")
}

/// What was to happen at a configuration: how often each counter was to count.
type Counts = BTreeMap<String, u64>;

/// Runs them; what went wrong.
pub(crate) fn run(
    version: &str,
    described: &BTreeMap<String, Described>,
    cases: &[&Case],
) -> Vec<String> {
    let bed = Bed::start(version, described);
    let mut beside = native::gates(described);
    let mut clients: BTreeMap<&String, Client> =
        described.keys().map(|name| (name, Client::new(bed.address(name)))).collect();
    let mut counts: BTreeMap<&String, Counts> = BTreeMap::new();
    let mut failures = Vec::new();
    for case in cases {
        let now = native::now();
        for (number, shot) in case.shots.iter().enumerate() {
            let ready = Ready::new(shot, now);
            let expected = match (&shot.envoy, &shot.oldest) {
                (_, Some(other)) if version == OLDEST => other,
                (Some(other), _) => other,
                _ => &shot.expect,
            };
            let native =
                case.runs_natively().then(|| ready.decide(beside.get_mut(&case.gate).unwrap()).1);
            let answer =
                send(clients.get_mut(&case.gate).unwrap(), bed.address(&case.gate), &ready);
            let told = told(&answer, native.as_ref(), expected);
            let counted = counts.entry(&case.gate).or_default();
            for expected in std::iter::once(expected).chain(&shot.also) {
                match expected.split_once(' ') {
                    Some(("proxy", _)) => {}
                    Some((_, code)) => {
                        *counted.entry(format!("denied_for.{code}")).or_default() += 1
                    }
                    None if expected != "closed" => {
                        *counted.entry("allowed".to_owned()).or_default() += 1
                    }
                    None => {}
                }
            }
            let what = match (told, &answer) {
                (Err(told), _) => format!("{told}, expected {expected}"),
                (Ok(()), Ok(answer)) if expected == "pass" => {
                    let seen = seen(answer);
                    let oldest = shot.oldest_backend.as_ref().filter(|_| version == OLDEST);
                    let own = oldest.or(shot.envoy_backend.as_ref()).unwrap_or(&shot.backend);
                    if seen == sorted(own) {
                        continue;
                    }
                    format!("the backend sees\n{}", listed(&seen))
                }
                _ => continue,
            };
            failures.push(format!("{} [{number}]: {what}", case.full_name()));
        }
    }
    // The filter tells its counts a fifth of a second late.
    thread::sleep(Duration::from_millis(400));
    failures.extend(miscounts(&bed, &counts));
    let logs = bed.envoy.logs();
    let (_, logs) = logs.split_once("starting main dispatch loop").unwrap_or_default();
    for word in ["panicked", "[critical]", "Proxy-Wasm plugin in-VM", "eyJ"] {
        if let Some(line) = logs.lines().find(|line| line.contains(word)) {
            failures.push(format!("in the log: {line}"));
        }
    }
    failures
}

/// A request as it goes over the wire.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Octets {
    /// HTTP/1, in good order or not.
    Http1(Vec<u8>),
    /// The headers of a request over HTTP/2.
    Http2(Headers),
}

/// What this shot sends at this time.
pub(crate) fn sent(shot: &Shot, now: u64) -> Octets {
    octets(&Ready::new(shot, now))
}

fn octets(ready: &Ready<'_>) -> Octets {
    let shot = ready.shot;
    if let Some(lines) = &shot.h2 {
        return Octets::Http2(ready.headers(lines));
    }
    if let Some(raw) = &shot.raw {
        return Octets::Http1(ready.octets(&as_http(raw)));
    }
    let headers = ready.headers(&shot.headers);
    let (method, path) = (ready.octets(&shot.method), ready.octets(&shot.path));
    Octets::Http1(wire::http1(&method, &path, &headers, &ready.octets(&shot.body), HOST))
}

fn send(client: &mut Client, address: SocketAddr, ready: &Ready<'_>) -> io::Result<Response> {
    let shot = ready.shot;
    match (octets(ready), &shot.raw) {
        (Octets::Http2(headers), _) => wire::http2(address, &headers),
        (Octets::Http1(octets), Some(raw)) => {
            let method = raw.split(' ').next().unwrap_or_default();
            let (first, more) = wire::send_once(address, &octets, method, shot.also.len())?;
            for (answer, expected) in more.into_iter().zip(&shot.also) {
                told(&Ok(answer), None, expected).map_err(io::Error::other)?;
            }
            Ok(first)
        }
        (Octets::Http1(octets), None) => client.send(&octets, &shot.method),
    }
}

/// Lines as HTTP ends them, and an end of the head where none is written. What else
/// there is to say has names: `{CR}`, `{LF}`, `{NUL}`, `{VT}`, and `{END}` where nothing is to be added.
fn as_http(raw: &str) -> String {
    let lines = raw.replace('\n', "\r\n").replace("{CR}", "\r");
    let lines = lines.replace("{LF}", "\n").replace("{NUL}", "\0").replace("{VT}", "\x0b");
    if lines.contains("\r\n\r\n") || lines.contains("{END}") {
        return lines.replace("{END}", "");
    }
    format!("{lines}\r\n")
}

/// Whether the answer is the one that was expected, to the last word.
fn told(
    answer: &io::Result<Response>,
    native: Option<&Decision>,
    expected: &str,
) -> Result<(), String> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(_) if ["closed", "cut"].contains(&expected) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let is_echo = echo(answer).is_some();
    let whole = || format!("{} {:.400}", answer.status, answer.text());
    if expected == "pass" {
        return if is_echo { Ok(()) } else { Err(whole()) };
    }
    if is_echo || ["closed", "cut"].contains(&expected) {
        return Err(format!("it passes: {}", whole()));
    }
    let (status, code) = expected.split_once(' ').unwrap();
    if status == "proxy" {
        let is_ours = Reason::codes()
            .filter_map(Reason::from_code)
            .any(|reason| !answer.body.is_empty() && answer.text() == reason.text());
        let fits = answer.status.to_string() == code && !is_ours;
        return if fits { Ok(()) } else { Err(whole()) };
    }
    let reason = Reason::from_code(code).unwrap_or_else(|| panic!("no such code: {code}"));
    let is_bodiless = answer.body.is_empty()
        && answer.headers.iter().any(|(name, value)| {
            // An answer to HEAD.
            name == "content-length" && *value != b"0"
        });
    if answer.status.to_string() != status || (answer.text() != reason.text() && !is_bodiless) {
        return Err(whole());
    }
    // Over HTTP/2 headers are not read.
    let Some(Decision::Reject(rejection)) = native.filter(|_| !answer.headers.is_empty()) else {
        return Ok(());
    };
    let of = |name: &str| {
        let own = rejection.headers.iter().filter(|(own, _)| own == name);
        let own: Vec<_> = own.map(|(_, value)| value.as_bytes().to_vec()).collect();
        let theirs = answer.headers.iter().filter(|(own, _)| own == name);
        (own, theirs.map(|(_, value)| value.clone()).collect::<Vec<_>>())
    };
    if rejection.reason.code() == code {
        for name in ["www-authenticate", "retry-after", "dpop-nonce"] {
            let (own, theirs) = of(name);
            if own != theirs {
                let list = |all: &[Vec<u8>]| all.iter().map(|one| shown(one)).collect::<Vec<_>>();
                return Err(format!("{name}: {:?}, natively {:?}", list(&theirs), list(&own)));
            }
        }
    }
    Ok(())
}

fn echo(answer: &Response) -> Option<Value> {
    answer.json().ok().filter(|echo| answer.status == 200 && echo["body_bytes"].is_number())
}

fn seen(answer: &Response) -> Vec<String> {
    let echo = echo(answer).unwrap();
    let text = |value: &Value| shown(value.as_str().unwrap().as_bytes());
    let headers = echo["headers"].as_array().unwrap().iter();
    let headers = headers.filter(|header| {
        !ADDED.contains(&header[0].as_str().unwrap()) && **header != json!(["content-length", "0"])
    });
    let mut lines: Vec<_> =
        headers.map(|header| format!("{}: {}", text(&header[0]), text(&header[1]))).collect();
    lines.sort();
    [vec![format!("{} {}", text(&echo["method"]), text(&echo["path"]))], lines].concat()
}

/// Which counters say something else than the cases.
fn miscounts(bed: &Bed, counts: &BTreeMap<&String, Counts>) -> Vec<String> {
    let stats = bed.envoy.stats().unwrap();
    let of = |name: &str| stats.get(name).copied().unwrap_or_default();
    let mut wrong = Vec::new();
    for (gate, expected) in counts {
        let start = format!("wasmcustom.jwt_gate.{}.", prefix(gate));
        for code in Reason::codes() {
            let name = format!("denied_for.{code}");
            let (is, was_to_be) =
                (of(&format!("{start}{name}")), expected.get(&name).copied().unwrap_or_default());
            if is != was_to_be {
                wrong.push(format!("{gate}: {name} is {is}, and was to be {was_to_be}"));
            }
        }
        let passed = expected.get("allowed").copied().unwrap_or_default();
        for name in [format!("{start}allowed"), format!("cluster.backend-{gate}.upstream_rq_total")]
        {
            let is = of(&name);
            if is != passed {
                wrong.push(format!("{name} is {is}, and was to be {passed}"));
            }
        }
    }
    wrong
}
