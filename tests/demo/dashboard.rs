//! The dashboard and the alerts in `deploy/observability/`: what they ask for is what Envoy has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jwt_gate::denial::Reason;
use jwt_gate_demo::browser::find_program;
use jwt_gate_demo::envoy::{OLDEST, PINNED};
use serde_json::{Value, json};

use super::bed::Demo;
use super::skipped;

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/observability")
}

pub fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(folder().join(name)).unwrap()).unwrap()
}

pub fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join("grafana/dashboard.json")).unwrap())
        .unwrap()
}

/// Every query of the dashboard, with its panel's title.
pub fn queries() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            queries.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    assert!(queries.len() > 15);
    queries
}

/// Every alert: its name and expression.
pub fn alerts() -> Vec<(String, String)> {
    let rules = yaml("rules.yml");
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rules.iter().map(|rule| (text(&rule["alert"]), text(&rule["expr"]))).collect()
}

/// The names of metrics and of their labels in an expression, in that order.
fn names(expression: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let words = regex_lite::Regex::new(r#"\b(?:jwt_gate|envoy)_\w+"#).unwrap();
    // What stands in quotes is a value.
    let quoted = regex_lite::Regex::new(r#""[^"]*""#).unwrap();
    let expression = quoted.replace_all(expression, "\"\"");
    let all = words.find_iter(&expression).map(|word| word.as_str().to_owned());
    all.partition(|word| !LABELS.contains(&word.as_str()))
}

const LABELS: [&str; 4] = [
    "jwt_gate_reason",
    "jwt_gate_provider",
    "envoy_http_conn_manager_prefix",
    "envoy_response_code_class",
];

/// Not to be had in a demo: it counts a defect.
const RARE: &str = "jwt_gate_distrusted_key";

/// Names of metrics, each with its labels, as Envoy tells them.
fn told(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut metrics: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let labels = rest.split(',').filter_map(|label| label.split_once('='));
        metrics
            .entry(name.to_owned())
            .or_default()
            .extend(labels.map(|(label, _)| label.trim_matches('}').to_owned()));
    }
    metrics
}

fn every_metric_is_there(version: &str) {
    let demo = Demo::start(version);
    demo.story();
    // The access log has the decisions, each with its key or its reason.
    let kid = demo.issuer.signing_key().kid().to_owned();
    let log = demo.envoy.logs();
    for line in [
        format!("jwt=allow reason=- provider=demo kid={kid}\n"),
        "jwt=deny reason=token_malformed provider=demo kid=-\n".to_owned(),
        "jwt=deny reason=keys_unavailable provider=demo kid=-\n".to_owned(),
    ] {
        assert!(log.contains(&line), "no {line} in {log}");
    }
    let metrics = demo.metrics();
    let told = told(&metrics);
    for (place, expression) in queries().into_iter().chain(alerts()) {
        let (names, labels) = names(&expression);
        assert!(!names.is_empty(), "{place}: {expression}");
        for name in names.iter().filter(|name| *name != RARE) {
            assert!(told.contains_key(name), "{place}: Envoy {version} has no {name}");
        }
        for label in &labels {
            let has = |name: &String| told.get(name).is_some_and(|all| all.contains(label));
            assert!(names.iter().any(has), "{place}: no {label} on {names:?}");
        }
    }
    // And Prometheus understands the page.
    let Some(promtool) = promtool() else { return };
    let page = demo.folder.join("metrics");
    fs::write(&page, &metrics).unwrap();
    let checked = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(fs::File::open(&page).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    // 3: advice on names, of which those of Envoy itself get a lot.
    assert!(matches!(checked.status.code(), Some(0 | 3)), "{said}");
    assert!(!said.contains("error while linting"), "{said}");
}

#[test]
fn every_metric_of_dashboard_and_alerts_is_in_the_newest_envoy() {
    every_metric_is_there(PINNED);
}

#[test]
fn every_metric_of_dashboard_and_alerts_is_in_the_oldest_envoy() {
    every_metric_is_there(OLDEST);
}

#[test]
fn reasons_in_queries_are_reasons_of_the_gate() {
    let codes: BTreeSet<_> = Reason::codes().collect();
    let asked = regex_lite::Regex::new(r#"jwt_gate_reason=~?"([^"]*)""#).unwrap();
    let mut count = 0;
    for (place, expression) in queries().into_iter().chain(alerts()) {
        for found in asked.captures_iter(&expression) {
            for reason in found[1].split('|') {
                assert!(codes.contains(reason), "{place}: {reason}");
                count += 1;
            }
        }
    }
    assert!(count > 5);
    // The metric that no demo has stands in the documents, and in the source.
    let documented = include_str!("../../docs/configuration.md");
    assert!(documented.contains("`jwt_gate.distrusted_key`"));
    assert!(include_str!("../../src/engine/effect.rs").contains("\"distrusted_key\""));
}

/// Grafana is not at hand: the fields are held against those of its published schema
/// (`kinds/dashboard/dashboard_kind.cue` in its repository), by name and type.
#[test]
fn the_dashboard_has_the_form_of_one() {
    let dashboard = dashboard();
    for (field, value) in dashboard.as_object().unwrap() {
        let fits = match field.as_str() {
            "title" | "uid" | "description" | "timezone" | "refresh" => value.is_string(),
            "tags" | "links" | "panels" => value.is_array(),
            "editable" => value.is_boolean(),
            "graphTooltip" | "schemaVersion" | "version" => value.is_u64(),
            "time" => value["from"].is_string() && value["to"].is_string(),
            "annotations" | "templating" => value["list"].is_array(),
            _ => false,
        };
        assert!(fits, "{field}: {value}");
    }
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    let known = [
        "id",
        "type",
        "title",
        "description",
        "datasource",
        "gridPos",
        "targets",
        "fieldConfig",
        "options",
        "collapsed",
        "panels",
    ];
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        for field in panel.as_object().unwrap().keys() {
            assert!(known.contains(&field.as_str()), "{title}: {field}");
        }
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is another's");
        let place = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        let [x, y, w, h] = place;
        assert!(w > 0 && h > 0 && x + w <= 24, "{title}: {place:?}");
        for (x, y) in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert((x, y)), "{title} lies over another panel at {x}, {y}");
        }
        match panel["type"].as_str().unwrap() {
            "row" => continue,
            "stat" | "timeseries" => {}
            other => panic!("{title}: {other}"),
        }
        assert_eq!(panel["datasource"], source, "{title}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}");
        let mut letters = BTreeSet::new();
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"], source, "{title}");
            assert!(letters.insert(target["refId"].as_str().unwrap()), "{title}");
        }
        assert!(!letters.is_empty(), "{title}");
    }
    // Variables that are used are there, and the other way round.
    let text = dashboard.to_string();
    let list = dashboard["templating"]["list"].as_array().unwrap();
    let names: BTreeSet<_> = list.iter().map(|one| one["name"].as_str().unwrap()).collect();
    let used = regex_lite::Regex::new(r"\$\{?([a-z]\w*)").unwrap();
    let used: BTreeSet<_> =
        used.captures_iter(&text).map(|one| one.get(1).unwrap().as_str()).collect();
    assert_eq!(names, used);
}

/// Grafana finds the dashboard, and the dashboard's data source Prometheus.
#[test]
fn what_is_provisioned_fits_the_containers() {
    let compose: Value = serde_saphyr::from_str(include_str!("../../docker-compose.yml")).unwrap();
    let volumes = |service: &str| -> Vec<String> {
        let list = compose["services"][service]["volumes"].as_array().unwrap();
        list.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    let source = yaml("grafana/datasource.yaml")["datasources"][0].take();
    assert_eq!(source["url"], "http://prometheus:9090");
    let provider = yaml("grafana/dashboards.yaml")["providers"][0].take();
    let path = provider["options"]["path"].as_str().unwrap().to_owned();
    let mounted = [
        (
            "grafana",
            "grafana/datasource.yaml",
            "/etc/grafana/provisioning/datasources/datasource.yaml".to_owned(),
        ),
        (
            "grafana",
            "grafana/dashboards.yaml",
            "/etc/grafana/provisioning/dashboards/dashboards.yaml".to_owned(),
        ),
        ("grafana", "grafana/dashboard.json", format!("{path}/jwt-gate.json")),
        ("prometheus", "prometheus.yml", "/etc/prometheus/prometheus.yml".to_owned()),
        ("prometheus", "rules.yml", "/etc/prometheus/rules.yml".to_owned()),
    ];
    for (service, file, place) in mounted {
        let wanted = format!("./deploy/observability/{file}:{place}:ro");
        assert!(volumes(service).contains(&wanted), "{service} lacks {wanted}");
    }
    let config = yaml("prometheus.yml");
    assert_eq!(config["rule_files"], json!(["rules.yml"]));
    let target = &config["scrape_configs"][0]["static_configs"][0]["targets"][0];
    assert_eq!(target, "envoy:9902");
    assert!(include_str!("../../envoy.yaml").contains("port_value: 9902 "));
    assert_eq!(config["scrape_configs"][0]["metrics_path"], "/stats/prometheus");
}

fn promtool() -> Option<PathBuf> {
    find_program("PROMTOOL", &["promtool"])
}

/// Each alert fires when it should, and not otherwise, on series that were made up.
#[test]
fn alerts_fire_when_they_should() {
    let Some(promtool) = promtool() else {
        return skipped(
            "alerts_fire_when_they_should",
            "no promtool on PATH or in the variable PROMTOOL (Debian: apt install prometheus)",
        );
    };
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/demo/alerts.yml");
    let text = fs::read_to_string(&cases).unwrap();
    for (name, _) in alerts() {
        let fires = format!("alertname: {name}\n    exp_alerts:");
        assert!(text.contains(&fires), "no case in which {name} fires");
    }
    let rules = folder().join("rules.yml");
    let config = folder().join("prometheus.yml");
    for arguments in [["check", "rules"], ["check", "config"], ["test", "rules"]] {
        let file = match arguments {
            ["check", "rules"] => &rules,
            ["check", "config"] => &config,
            _ => &cases,
        };
        let run = Command::new(&promtool).args(arguments).arg(file).output().unwrap();
        let said = [run.stdout, run.stderr].concat();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}
