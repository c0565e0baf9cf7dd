//! The launcher against the oldest and the newest Envoy, without any filter.

use std::process::Command;

use jwt_gate_demo::envoy::{self, Envoy, EnvoyOptions, OLDEST, PINNED};
use jwt_gate_demo::http::Request;
use serde_json::{Value, json};

const TYPES: &str = "type.googleapis.com/envoy.extensions.filters";

/// Answers everything with 200, on a free port.
fn bootstrap() -> Value {
    json!({"static_resources": {"listeners": [{
        "name": "http",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": format!(
                    "{TYPES}.network.http_connection_manager.v3.HttpConnectionManager"
                ),
                "stat_prefix": "ingress",
                "http_filters": [{
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": format!("{TYPES}.http.router.v3.Router")},
                }],
                "route_config": {"virtual_hosts": [{
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{
                        "match": {"prefix": "/"},
                        "direct_response": {"status": 200, "body": {"inline_string": "hello"}},
                    }],
                }]},
            },
        }]}],
    }]}})
}

fn runs(pid: u32) -> bool {
    let probe = Command::new("sh").args(["-c", &format!("kill -0 {pid} 2>/dev/null")]).status();
    probe.unwrap().success()
}

fn starts_serves_and_ends(version: &str) {
    let binary = envoy::find(version).unwrap();
    let envoy = Envoy::start(&binary, &bootstrap(), EnvoyOptions::default()).unwrap();
    let other = Envoy::start(&binary, &bootstrap(), EnvoyOptions::default()).unwrap();
    let port = envoy.listener_port("http").unwrap();
    assert_ne!(port, other.listener_port("http").unwrap());
    assert!(envoy.listener_port("https").is_err());

    let answer = Request::get("/").send(("127.0.0.1", port)).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    let stats = envoy.stats().unwrap();
    assert_eq!(stats["http.ingress.downstream_rq_2xx"], 1);
    assert_eq!(stats["server.concurrency"], 2);
    let info = envoy.admin_get("/server_info").unwrap().json().unwrap();
    assert!(info["version"].as_str().unwrap().contains(version), "{info}");
    assert!(envoy.logs().contains("starting main dispatch loop"));
    if cfg!(target_os = "linux") {
        assert!(envoy.rss().unwrap() > 1_000_000);
    }

    let pid = envoy.pid();
    assert!(runs(pid));
    drop(envoy);
    assert!(!runs(pid));
}

#[test]
fn the_pinned_version_starts_serves_and_ends() {
    starts_serves_and_ends(PINNED);
}

#[test]
fn the_oldest_version_starts_serves_and_ends() {
    starts_serves_and_ends(OLDEST);
}

#[test]
fn a_bad_configuration_is_told() {
    let binary = envoy::find(PINNED).unwrap();
    let mut bad = bootstrap();
    bad["static_resources"]["clusters"] = json!([{"nonsense": 1}]);
    let error = Envoy::start(&binary, &bad, EnvoyOptions::default()).unwrap_err();
    assert!(error.contains("nonsense"), "{error}");

    let folder = jwt_gate_demo::wasm::workspace().join("target/envoy");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("validate-{}.json", std::process::id()));
    std::fs::write(&file, bad.to_string()).unwrap();
    assert!(envoy::validate(&binary, &file).unwrap_err().contains("nonsense"));
    std::fs::write(&file, bootstrap().to_string()).unwrap();
    envoy::validate(&binary, &file).unwrap();
    std::fs::remove_file(&file).unwrap();
}
