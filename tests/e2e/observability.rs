//! What the gate decided, where operators look for it: access logs, filtered by CEL, and traces.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use jwt_gate_demo::bootstrap::cluster;
use jwt_gate_demo::envoy::PINNED;
use jwt_gate_demo::http::Request;
use jwt_gate_demo::issuer::Fault;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

use crate::bed::{Bed, Plan, config, eventually, in_both, issuer, serve};

fn command(field: &str) -> String {
    format!("%FILTER_STATE(wasm.jwt_gate.decision.{field}:PLAIN)%")
}

/// The formats of the documentation, as one line of text.
fn log_decisions(manager: &mut Value) {
    let fields = ["outcome", "reason", "provider", "kid", "subject"];
    let commands: Vec<_> = fields.map(command).into_iter().collect();
    let line = format!("record: %PATH(NQ)% {}\n", commands.join(" "));
    manager["access_log"][0]["typed_config"]["log_format"]["text_format_source"]["inline_string"] =
        json!(line);
    let refused = json!({
        "name": "envoy.access_loggers.stdout",
        "filter": { "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": "'wasm.jwt_gate.decision.outcome' in filter_state && filter_state['wasm.jwt_gate.decision.outcome'] == b'deny'",
            },
        } },
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": { "text_format_source": { "inline_string": "refused: %PATH(NQ)%\n" } },
        },
    });
    manager["access_log"].as_array_mut().unwrap().push(refused);
}

fn local(key: &SigningKey, record: Value) -> Value {
    json!({
        "providers": { "p": { "local_jwks": { "inline_string": jwks(&[key]).to_string() } } },
        "rules": [
            { "match": { "path": "/open" } },
            { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
        ],
        "decision_record": record,
    })
}

in_both!(decisions_are_in_the_access_log);

fn decisions_are_in_the_access_log(version: &'static str) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let stranger = SigningKey::generate(Alg::ES256, "k");
    let fields = json!({ "fields": ["outcome", "reason", "provider", "kid", "subject"] });
    let mut plan = Plan { version, ..Plan::new(local(&key, fields), 1) };
    plan.change = log_decisions;
    let bed = plan.start();
    let send = |path: &str, token: Option<String>| {
        let request = Request::get(path);
        let request = token.iter().fold(request, |request, token| request.bearer(token));
        bed.send(&request).status
    };
    let alice = json!({ "sub": "alice\nrecord: forged" });
    // Twice, as a new token and as one that is known.
    assert_eq!(send("/1", Some(key.sign(&alice))), 200);
    let same = key.sign(&alice);
    assert_eq!(send("/2", Some(same.clone())), 200);
    assert_eq!(send("/3", Some(same)), 200);
    assert_eq!(send("/4?secret=x", Some(stranger.sign(&alice))), 401);
    assert_eq!(send("/5", None), 401);
    assert_eq!(send("/open", None), 200);
    let subject = "alice%0Arecord:%20forged";
    for line in [
        format!("record: /1 allow - p k {subject}\n"),
        format!("record: /2 allow - p k {subject}\n"),
        format!("record: /3 allow - p k {subject}\n"),
        "record: /4 deny signature_invalid p - -\n".to_owned(),
        "record: /5 deny token_missing p - -\n".to_owned(),
        "record: /open allow - - - -\n".to_owned(),
    ] {
        eventually("the record is in the log", || bed.log().contains(&line));
    }
    eventually("refusals are in a log of their own", || bed.log().contains("refused: /5\n"));
    assert_eq!(bed.log().matches("refused: ").count(), 2, "{}", bed.log());
}

in_both!(a_wait_for_keys_is_recorded);

/// What waited for keys says for how long.
fn a_wait_for_keys_is_recorded(version: &'static str) {
    let issuer = issuer(Alg::ES256);
    issuer.set_fault(Fault::Hang(Duration::from_millis(700)));
    let server = serve(&issuer, None);
    let mut configuration = config("http");
    configuration["decision_record"] = json!({ "fields": ["outcome", "waited_ms"] });
    let mut plan = Plan { version, ..Plan::new(configuration, server.addr().port()) };
    plan.change = |manager| {
        let line = format!("waited: {} {}ms\n", command("outcome"), command("waited_ms"));
        manager["access_log"][0]["typed_config"]["log_format"]["text_format_source"]["inline_string"] =
            json!(line);
    };
    let bed = plan.start();
    assert_eq!(bed.get(&issuer.mint(json!({}))).status, 200);
    assert_eq!(bed.get("x").status, 401);
    let waited = |bed: &Bed| {
        let log = bed.log();
        let (_, rest) = log.split_once("waited: allow ")?;
        rest.split_once("ms\n")?.0.parse::<u64>().ok()
    };
    eventually("the wait is in the log", || waited(&bed).is_some());
    assert!((1..10_000).contains(&waited(&bed).unwrap()), "{}", bed.log());
    eventually("who did not wait is, too", || bed.log().contains("waited: deny -ms\n"));
}

/// A collector of spans (OTLP over HTTP), which keeps what it is sent.
struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&received);
        // Ends with the test process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve_spans(stream.unwrap(), &shared));
            }
        });
        Self { address, received }
    }

    /// Whether a span has this attribute: a `KeyValue` of a key and an `AnyValue` that holds text.
    fn has(&self, key: &str, value: &str) -> bool {
        let field = |tag: u8, octets: &[u8]| [&[tag, octets.len() as u8], octets].concat();
        let text = field(0x0a, value.as_bytes());
        let attribute = [field(0x0a, key.as_bytes()), field(0x12, &text)].concat();
        let received = self.received.lock().unwrap();
        received.windows(attribute.len()).any(|window| window == attribute)
    }
}

fn serve_spans(mut stream: TcpStream, received: &Mutex<Vec<u8>>) {
    let mut octets = [0; 65536];
    while let Ok(count @ 1..) = stream.read(&mut octets) {
        received.lock().unwrap().extend(&octets[..count]);
        // Requests come one after the other, each within one read or with its end in a later one,
        // for which one answer more does no harm: the connection is closed then.
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
            break;
        }
    }
}

/// Envoy puts the record into spans: custom tags by filter state, from Envoy 1.37 on.
#[test]
fn decisions_are_in_traces() {
    let key = SigningKey::generate(Alg::ES256, "k");
    let collector = Collector::start();
    let mut plan = Plan { version: PINNED, ..Plan::new(local(&key, json!({})), 1) };
    plan.clusters = vec![cluster("collector", "127.0.0.1", collector.address.port(), None)];
    plan.change = |manager| {
        manager["tracing"] = json!({
            "custom_tags": [
                { "tag": "jwt_gate.outcome", "value": command("outcome") },
                { "tag": "jwt_gate.reason", "value": command("reason") },
            ],
            "provider": {
                "name": "envoy.tracers.opentelemetry",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
                    "http_service": { "http_uri": {
                        "uri": "http://collector.test/v1/traces", "cluster": "collector",
                        "timeout": "2s" } },
                },
            },
        });
    };
    let bed = plan.start();
    assert_eq!(bed.get(&key.sign(&json!({}))).status, 200);
    assert_eq!(bed.get("x").status, 401);
    for (tag, value) in [
        ("jwt_gate.outcome", "allow"),
        ("jwt_gate.outcome", "deny"),
        ("jwt_gate.reason", "token_malformed"),
    ] {
        eventually("the decision is in a span", || collector.has(tag, value));
    }
}
