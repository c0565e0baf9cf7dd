//! Configurations through Envoy: a bad one never leaves traffic open.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jwt_gate_demo::backend;
use jwt_gate_demo::bootstrap::{cluster, listener};
use jwt_gate_demo::envoy::{self, Envoy, EnvoyOptions, PINNED};
use jwt_gate_demo::http::Request;
use jwt_gate_demo::issuer::Fault;
use jwt_gate_demo::keys::{Alg, SigningKey};
use jwt_gate_demo::serve::Server;
use serde_json::{Value, json};

use crate::bed::{any_port, config, eventually, filter, issuer, serve};

fn good() -> Value {
    json!({ "providers": { "p": { "local_jwks": { "inline_string":
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}]}" } } } })
}

fn bad() -> Value {
    json!({ "providers": { "p": { "isuer": "i" } }, "rulez": [] })
}

fn start(listener: &Value) -> Result<Envoy, String> {
    let bootstrap = json!({ "static_resources": { "listeners": [listener] } });
    Envoy::start(&envoy::find(PINNED).unwrap(), &bootstrap, EnvoyOptions::default())
}

#[test]
fn a_bad_configuration_does_not_start_and_says_why() {
    let mut listener = listener("http", &[filter(&bad())]);
    let routes = "/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes/0";
    *listener.pointer_mut(routes).unwrap() = json!({
        "match": { "prefix": "/" }, "direct_response": { "status": 200 } });
    let words = match start(&listener) {
        Err(words) => words,
        Ok(_) => panic!("Envoy started"),
    };
    for line in [
        "jwt-gate configuration: providers.p: `remote_jwks` or `local_jwks` is required",
        "jwt-gate configuration: providers.p.isuer: unknown field",
        "jwt-gate configuration: rulez: unknown field",
    ] {
        assert!(words.contains(line), "{line}\n---\n{words}");
    }

    // Even where the operator told Envoy to fail open.
    listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"][0]["typed_config"]
        ["config"]["failure_policy"] = json!("FAIL_OPEN");
    if let Ok(envoy) = start(&listener) {
        let port = envoy.listener_port("http").unwrap();
        let answer = Request::get("/").send(("127.0.0.1", port));
        assert!(!answer.is_ok_and(|answer| answer.status == 200), "open");
    }
}

/// A text and a message are the same configuration; the message has no integers and no order.
#[test]
fn a_struct_is_as_good_as_a_text() {
    let backend = Server::start(any_port(), backend::router(), None).unwrap();
    let key = SigningKey::generate(Alg::ES256, "k");
    let jwks = json!({ "keys": [key.public_jwk()] }).to_string();
    let configuration = json!({
        "providers": { "p": {
            "issuer": "https://issuer.test",
            "audiences": ["api"],
            "local_jwks": { "inline_string": jwks },
            "forward": true,
            "clock_skew_seconds": 5,
        } },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }],
        "keys_unavailable_status": 503,
    });
    let text = filter(&configuration);
    let mut message = text.clone();
    message["typed_config"]["config"]["configuration"] =
        json!({ "@type": "type.googleapis.com/google.protobuf.Struct", "value": configuration });
    let bootstrap = json!({ "static_resources": {
        "listeners": [listener("text", &[text]), listener("message", &[message])],
        "clusters": [cluster("backend", "127.0.0.1", backend.addr().port(), None)],
    } });
    let binary = envoy::find(PINNED).unwrap();
    let envoy = Envoy::start(&binary, &bootstrap, EnvoyOptions::default()).unwrap();
    let token = key.sign(&json!({ "iss": "https://issuer.test", "aud": "api", "sub": "a" }));
    for name in ["text", "message"] {
        let port = envoy.listener_port(name).unwrap();
        let status = |request: Request| request.send(("127.0.0.1", port)).unwrap().status;
        assert_eq!(status(Request::get("/")), 401, "{name}");
        assert_eq!(status(Request::get("/").bearer(&token)), 200, "{name}");
    }
}

/// Listeners from a file, as a control plane would deliver them.
pub struct Delivered {
    pub file: PathBuf,
    version: u32,
}

impl Delivered {
    pub fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        Self { file: folder.join("listeners.json"), version: 0 }
    }

    /// Replaces the file in one step, which is what Envoy watches for.
    pub fn deliver(&mut self, listener: &Value) {
        self.version += 1;
        let mut resource = listener.clone();
        resource["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
        let text = json!({ "version_info": self.version.to_string(), "resources": [resource] });
        let draft = self.file.with_extension("draft");
        fs::write(&draft, text.to_string()).unwrap();
        fs::rename(&draft, &self.file).unwrap();
    }
}

#[test]
fn a_bad_update_leaves_the_good_configuration_in_force() {
    let backend = Server::start(any_port(), backend::router(), None).unwrap();
    let folder = jwt_gate_demo::wasm::workspace()
        .join(format!("target/envoy/listeners-{}", std::process::id()));
    let mut delivered = Delivered::new(&folder);
    delivered.deliver(&listener("http", &[filter(&good())]));
    let bootstrap = json!({
        "node": { "id": "test", "cluster": "test" },
        "dynamic_resources": { "lds_config": { "path_config_source": { "path": delivered.file } } },
        "static_resources": { "clusters": [
            cluster("backend", "127.0.0.1", backend.addr().port(), None),
        ] },
    });
    let binary = envoy::find(PINNED).unwrap();
    let envoy = Envoy::start(&binary, &bootstrap, EnvoyOptions::default()).unwrap();
    eventually("the listener is there", || envoy.listener_port("http").is_ok());
    let port = envoy.listener_port("http").unwrap();
    let status = |path: &str| {
        Request::get(path).send(("127.0.0.1", port)).map(|answer| answer.status).unwrap_or_default()
    };
    assert_eq!(status("/"), 401);

    let rejected = || envoy.stats().unwrap()["listener_manager.lds.update_rejected"];
    delivered.deliver(&listener("http", &[filter(&bad())]));
    eventually("the update is refused", || rejected() == 1);
    assert!(envoy.logs().contains("jwt-gate configuration: providers.p.isuer: unknown field"));
    for _ in 0..20 {
        assert_eq!(status("/"), 401, "the good configuration is still in force");
        std::thread::sleep(Duration::from_millis(20));
    }

    // A good update takes effect, without a restart.
    let mut opened = good();
    opened["rules"] = json!([
        { "match": { "path": "/open" } },
        { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
    ]);
    delivered.deliver(&listener("http", &[filter(&opened)]));
    eventually("the update is in force", || status("/open") == 200);
    assert_eq!(status("/"), 401);
    drop(envoy);
    fs::remove_dir_all(&folder).unwrap();
}

/// A configuration that changes while requests wait: they are answered by the one they came under.
#[test]
fn an_update_while_requests_wait() {
    let issuer = issuer(Alg::ES256);
    issuer.set_fault(Fault::Hang(Duration::from_millis(1_500)));
    let server = serve(&issuer, None);
    let backend = Server::start(any_port(), backend::router(), None).unwrap();
    let folder = jwt_gate_demo::wasm::workspace()
        .join(format!("target/envoy/waiting-{}", std::process::id()));
    let mut delivered = Delivered::new(&folder);
    delivered.deliver(&listener("http", &[filter(&config("http"))]));
    let bootstrap = json!({
        "node": { "id": "test", "cluster": "test" },
        "dynamic_resources": { "lds_config": { "path_config_source": { "path": delivered.file } } },
        "static_resources": { "clusters": [
            cluster("backend", "127.0.0.1", backend.addr().port(), None),
            cluster("issuer", "localhost", server.addr().port(), None),
        ] },
    });
    let binary = envoy::find(PINNED).unwrap();
    let envoy = Envoy::start(&binary, &bootstrap, EnvoyOptions::default()).unwrap();
    eventually("the listener is there", || envoy.listener_port("http").is_ok());
    let port = envoy.listener_port("http").unwrap();
    let good = Request::get("/").bearer(&issuer.mint(json!({"sub": "a"})));
    let forged = issuer.mint_with_header(json!({}), json!({"kid": "invented"}));
    let forged = Request::get("/").bearer(&forged);
    let send = |request: &Request| request.send(("127.0.0.1", port)).map(|answer| answer.status);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..20).map(|_| scope.spawn(|| send(&good).unwrap())).collect();
        let refused: Vec<_> = (0..20).map(|_| scope.spawn(|| send(&forged).unwrap())).collect();
        std::thread::sleep(Duration::from_millis(300));
        let updated = || envoy.stats().unwrap()["listener_manager.lds.update_success"];
        for version in 1..4 {
            let mut changed = config("http");
            changed["stat_prefix"] = json!(format!("version{version}"));
            let before = updated();
            delivered.deliver(&listener("http", &[filter(&changed)]));
            eventually("the update is in force", || updated() > before);
        }
        for status in waiting {
            assert_eq!(status.join().unwrap(), 200);
        }
        for status in refused {
            assert_eq!(status.join().unwrap(), 401);
        }
    });
    eventually("the new configuration works", || send(&good).is_ok_and(|status| status == 200));
    assert!(!envoy.logs().contains("panicked"));
    drop(envoy);
    fs::remove_dir_all(&folder).unwrap();
}
