//! A real Prometheus reads a real Envoy: every query of the dashboard has data, and alerts fire by
//! real faults.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use jwt_gate_demo::browser::find_program;
use jwt_gate_demo::envoy::PINNED;
use jwt_gate_demo::guard::Guarded;
use jwt_gate_demo::http::Request;
use jwt_gate_demo::issuer::Fault;
use serde_json::{Value, json};

use super::bed::Demo;
use super::dashboard::{alerts, dashboard, folder, queries};
use super::skipped;

const LIMIT: Duration = Duration::from_secs(60);

struct Prometheus {
    address: SocketAddr,
    _process: Guarded,
}

impl Prometheus {
    /// The files that ship, with another address to read from, at once and more often. With `relabel`, it
    /// makes the labels.
    fn start(demo: &Demo, relabel: bool) -> Option<Self> {
        let program = find_program("PROMETHEUS", &["prometheus"])?;
        let folder_here = demo.folder.join("prometheus");
        fs::create_dir_all(&folder_here).unwrap();
        let config = fs::read_to_string(folder().join("prometheus.yml")).unwrap();
        let from = format!("127.0.0.1:{}", demo.ports.metrics);
        let config = config.replace("envoy:9902", &from).replace(": 5s", ": 1s");
        assert_eq!((config.matches(&from).count(), config.matches(": 1s").count()), (1, 2));
        let more = fs::read_to_string(folder().join("relabel.yml")).unwrap();
        let more: String = more.lines().map(|line| format!("  {line}\n")).collect();
        let config = if relabel { config + &more } else { config };
        fs::write(folder_here.join("prometheus.yml"), config).unwrap();
        let rules = fs::read_to_string(folder().join("rules.yml")).unwrap();
        let rules = rules.replace("for: 1m", "for: 0s").replace("for: 5m", "for: 0s");
        fs::write(folder_here.join("rules.yml"), rules).unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let log = fs::File::create(folder_here.join("log")).unwrap();
        let process = Guarded::spawn(
            Command::new(program)
                .arg("--config.file=prometheus.yml")
                .arg("--storage.tsdb.path=data")
                .arg(format!("--web.listen-address={address}"))
                .current_dir(&folder_here)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log),
        )
        .unwrap();
        let prometheus = Self { address, _process: process };
        let is_ready =
            || Request::get("/-/ready").send(address).is_ok_and(|answer| answer.status == 200);
        prometheus.eventually("Prometheus is ready", is_ready);
        Some(prometheus)
    }

    fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !holds() {
            assert!(Instant::now() < deadline, "not so: {what}; alerts: {:?}", self.firing());
            sleep(Duration::from_millis(100));
        }
    }

    fn ask(&self, path: &str, name: &str, value: &str) -> Value {
        let mut encoded = String::new();
        for octet in value.bytes() {
            match octet {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => encoded.push(char::from(octet)),
                _ => encoded += &format!("%{octet:02X}"),
            }
        }
        let answer = Request::get(format!("{path}?{name}={encoded}")).send(self.address).unwrap();
        let answer = answer.json().unwrap();
        assert_eq!(answer["status"], "success", "{value}: {answer}");
        answer["data"].clone()
    }

    /// The numbers that an expression comes to now; none that is no number.
    fn query(&self, expression: &str) -> Vec<f64> {
        let data = self.ask("/api/v1/query", "query", expression);
        let series = data["result"].as_array().unwrap();
        let values = series.iter().map(|one| one["value"][1].as_str().unwrap().parse().unwrap());
        values.filter(|value: &f64| value.is_finite()).collect()
    }

    /// Waits until everything that the dashboard asks for is there, while somebody calls with these tokens.
    fn has_data_for_every_query(&self, demo: &Demo, tokens: &[&str]) {
        let deadline = Instant::now() + LIMIT;
        loop {
            for token in tokens {
                demo.get(token);
            }
            let queries = queries().into_iter();
            let missing: Vec<_> = queries
                .filter(|(_, expression)| self.query(&filled_in(expression)).is_empty())
                .collect();
            if missing.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "no data: {missing:#?}");
            sleep(Duration::from_millis(500));
        }
    }

    fn firing(&self) -> Vec<String> {
        let Ok(answer) = Request::get("/api/v1/alerts").send(self.address) else { return vec![] };
        let answer = answer.json().unwrap();
        let mut firing: Vec<String> = answer["data"]["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|alert| alert["state"] == "firing")
            .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
            .collect();
        firing.sort();
        firing.dedup();
        firing
    }
}

/// An expression of the dashboard with its variables filled in, as Grafana does.
fn filled_in(expression: &str) -> String {
    let values = [
        ("$__rate_interval", "30s"),
        ("$job", "envoy"),
        ("$instance", ".*"),
        ("$listener", "ingress_http"),
    ];
    let filled =
        values.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
    assert!(!filled.contains('$'), "{filled}");
    filled
}

#[test]
fn prometheus_has_data_for_every_query_and_alerts_fire() {
    let demo = Demo::start(PINNED);
    let Some(prometheus) = Prometheus::start(&demo, false) else {
        return skipped(
            "prometheus_has_data_for_every_query_and_alerts_fire",
            "no Prometheus on PATH or in the variable PROMETHEUS (Debian: apt install prometheus)",
        );
    };
    prometheus.eventually("Envoy is read", || prometheus.query("up") == [1.0]);
    assert_eq!(prometheus.query("count(ALERTS)").len(), 0);

    // Good calls, and a few bad ones: no reason for an alert.
    let token = demo.issuer.mint(json!({}));
    for _ in 0..50 {
        assert_eq!(demo.get(&token), 200);
        sleep(Duration::from_millis(40));
    }
    for _ in 0..5 {
        assert_eq!(demo.get("nonsense"), 401);
    }
    sleep(Duration::from_secs(3));
    assert_eq!(prometheus.firing(), Vec::<String>::new());

    // The issuer is away, and signs with a new key. Somebody sends nonsense by the hundred.
    demo.issuer.set_fault(Fault::Status(503));
    demo.issuer.rotate();
    let new = demo.issuer.mint(json!({}));
    let wanted = ["JwtGateDenialsSurge", "JwtGateFetchesFail", "JwtGateKeysMissing"];
    prometheus.eventually("three alerts fire", || {
        assert_eq!(demo.get(&new), 503);
        // Keys that are held count.
        assert_eq!(demo.get(&token), 200);
        for _ in 0..60 {
            assert_eq!(demo.get("nonsense"), 401);
        }
        prometheus.firing() == wanted
    });

    // Back again; everything that the dashboard shows goes on meanwhile.
    demo.issuer.set_fault(Fault::None);
    prometheus.eventually("the new key is known", || demo.get(&new) == 200);
    prometheus.has_data_for_every_query(&demo, &[&token, &new, "nonsense"]);
    // What the numbers say is what happened.
    let sum = |expression: &str| prometheus.query(expression).iter().sum::<f64>();
    prometheus.eventually("all have been counted", || {
        sum("jwt_gate_denied_for{jwt_gate_reason='keys_unavailable'}") > 0.0
            && sum("jwt_gate_denied") == sum("sum(jwt_gate_denied_for)")
    });
    assert_eq!(
        sum("jwt_gate_provider_jwks_fetch_failed"),
        sum("jwt_gate_provider_jwks_fetch_failed_for")
    );

    // Expressions of alerts are good ones, and the variables of the dashboard find something.
    for (_, expression) in alerts() {
        prometheus.query(&expression);
    }
    for variable in dashboard()["templating"]["list"].as_array().unwrap() {
        let Some(expression) = variable["definition"].as_str() else { continue };
        let inner = expression.strip_prefix("label_values(").unwrap().strip_suffix(")").unwrap();
        let (series, label) = inner.rsplit_once(", ").unwrap();
        let data = prometheus.ask("/api/v1/series", "match[]", &filled_in(series));
        let found = data.as_array().unwrap();
        assert!(found.iter().any(|one| one[label].is_string()), "{expression}: {data}");
    }
}

/// Where Envoy's bootstrap makes no labels, Prometheus can.
#[test]
fn labels_can_be_made_by_prometheus() {
    let demo = Demo::without_labels(PINNED);
    let Some(prometheus) = Prometheus::start(&demo, true) else {
        return skipped(
            "labels_can_be_made_by_prometheus",
            "no Prometheus on PATH or in the variable PROMETHEUS (Debian: apt install prometheus)",
        );
    };
    demo.story();
    assert!(demo.metrics().contains("\njwt_gate_denied_for_token_malformed{} 1\n"));
    assert!(demo.metrics().contains("\njwt_gate_provider_demo_waiting{} 0\n"));
    let token = demo.issuer.mint(json!({}));
    prometheus.has_data_for_every_query(&demo, &[&token, "nonsense"]);
    for expected in [
        "jwt_gate_denied_for{jwt_gate_reason='token_malformed'}",
        "jwt_gate_provider_waiting{jwt_gate_provider='demo'}",
        "jwt_gate_provider_jwks_fetch_failed_for{jwt_gate_provider='demo',jwt_gate_reason='status'}",
        "jwt_gate_provider_jwks_age_seconds{jwt_gate_provider='demo'}",
    ] {
        assert_eq!(prometheus.query(expected).len(), 1, "{expected}");
    }
    let left = "{__name__=~'jwt_gate_(.*_for_.*|provider_demo_.*)'}";
    assert_eq!(prometheus.query(left).len(), 0);
}
