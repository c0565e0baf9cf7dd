//! The test bed: an issuer, an echo backend and an Envoy with the built module between them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jwt_gate_demo::backend;
use jwt_gate_demo::bootstrap::{cluster, listener, wasm_filter};
use jwt_gate_demo::envoy::{self, Envoy, EnvoyOptions, PINNED};
use jwt_gate_demo::http::{Request, Response};
use jwt_gate_demo::issuer::{Issuer, IssuerOptions};
use jwt_gate_demo::keys::Alg;
use jwt_gate_demo::pki::ServerIdentity;
use jwt_gate_demo::serve::Server;
use jwt_gate_demo::wasm;
use serde_json::{Value, json};

pub const ISSUER: &str = "https://issuer.test";
pub const AUDIENCE: &str = "api";

/// A test in the newest and in the oldest Envoy that is supported.
macro_rules! in_both {
    ($name:ident) => {
        mod $name {
            #[test]
            fn in_the_newest_envoy() {
                super::$name(jwt_gate_demo::envoy::PINNED);
            }

            #[test]
            fn in_the_oldest_envoy() {
                super::$name(jwt_gate_demo::envoy::OLDEST);
            }
        }
    };
}
pub(crate) use in_both;

/// The built module: from the test command, or built now.
pub fn module() -> &'static PathBuf {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| match std::env::var_os("JWT_GATE_WASM") {
        Some(path) => path.into(),
        None => wasm::build_filter(&wasm::workspace()).unwrap(),
    })
}

/// The module for engines without relaxed SIMD.
pub fn portable_module() -> &'static PathBuf {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| match std::env::var_os("JWT_GATE_PORTABLE_WASM") {
        Some(path) => path.into(),
        None => wasm::build_portable_filter(&wasm::workspace()).unwrap(),
    })
}

pub fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// An issuer whose keys can be made to go wrong.
pub fn issuer(algorithm: Alg) -> Issuer {
    Issuer::new(IssuerOptions {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithm,
        previous_key_lifetime: Duration::from_secs(30),
        admin: true,
        ..IssuerOptions::default()
    })
}

pub fn serve(issuer: &Issuer, tls: Option<ServerIdentity>) -> Server {
    Server::start(any_port(), issuer.router(), tls).unwrap()
}

/// The provider of the test issuer, its keys fetched through the cluster `issuer`.
pub fn provider(scheme: &str) -> Value {
    json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "remote_jwks": {
            "http_uri": {
                "uri": format!("{scheme}://issuer.test/jwks.json"),
                "cluster": "issuer",
                "timeout": "2s",
            },
        },
        "claim_to_headers": [{"header_name": "x-sub", "claim_name": "sub"}],
    })
}

pub fn config(scheme: &str) -> Value {
    json!({ "providers": { "p": provider(scheme) } })
}

/// The filter with this plugin configuration.
pub fn filter(configuration: &Value) -> Value {
    wasm_filter(module(), configuration)
}

/// What to start.
pub struct Plan {
    pub module: &'static PathBuf,
    pub version: &'static str,
    pub concurrency: u32,
    pub configuration: Value,
    pub issuer_port: u16,
    pub issuer_ca: Option<String>,
    /// Further clusters.
    pub clusters: Vec<Value>,
    /// A field of Envoy's `PluginConfig`.
    pub option: Option<(&'static str, Value)>,
    /// What else is to be different about the listener.
    pub change: fn(&mut Value),
    /// What else is to be different about the bootstrap.
    pub change_bootstrap: fn(&mut Value),
}

impl Plan {
    pub fn new(configuration: Value, issuer_port: u16) -> Self {
        Self {
            module: module(),
            version: PINNED,
            concurrency: 2,
            configuration,
            issuer_port,
            issuer_ca: None,
            clusters: Vec::new(),
            option: None,
            change: |_| (),
            change_bootstrap: |_| (),
        }
    }

    pub fn start(self) -> Bed {
        let backend = Server::start(any_port(), backend::router(), None).unwrap();
        let mut filter = wasm_filter(self.module, &self.configuration);
        if let Some((field, value)) = self.option {
            filter["typed_config"]["config"][field] = value;
        }
        let mut listener = listener("http", &[filter]);
        (self.change)(&mut listener["filter_chains"][0]["filters"][0]["typed_config"]);
        let mut bootstrap = json!({ "static_resources": {
            "listeners": [listener],
            "clusters": [
                // A name, so that the cluster has to be resolved while the module starts.
                cluster("issuer", "localhost", self.issuer_port, self.issuer_ca.as_deref()),
                cluster("backend", "127.0.0.1", backend.addr().port(), None),
            ],
        } });
        let clusters = &mut bootstrap["static_resources"]["clusters"];
        clusters.as_array_mut().unwrap().extend(self.clusters);
        (self.change_bootstrap)(&mut bootstrap);
        let options = EnvoyOptions { concurrency: self.concurrency, ..EnvoyOptions::default() };
        let binary = envoy::find(self.version).unwrap();
        let envoy = Envoy::start(&binary, &bootstrap, options).unwrap();
        let address = (Ipv4Addr::LOCALHOST, envoy.listener_port("http").unwrap()).into();
        Bed { envoy, address, _backend: backend }
    }
}

/// A running Envoy with its backend.
pub struct Bed {
    pub envoy: Envoy,
    pub address: SocketAddr,
    _backend: Server,
}

impl Bed {
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        request.send(self.address).unwrap()
    }

    #[track_caller]
    pub fn get(&self, token: &str) -> Response {
        self.send(&Request::get("/").bearer(token))
    }

    /// What Envoy wrote since it was ready.
    pub fn log(&self) -> String {
        let logs = self.envoy.logs();
        let (_, since) = logs.split_once("starting main dispatch loop").unwrap_or_default();
        since.to_owned()
    }

    /// A counter or gauge of the filter, which may tell counts a fifth of a second late.
    pub fn counter(&self, name: &str) -> u64 {
        std::thread::sleep(Duration::from_millis(300));
        let stats = self.envoy.stats().unwrap();
        stats.get(&format!("wasmcustom.jwt_gate.{name}")).copied().unwrap_or_default()
    }
}

/// The values of a header as the backend saw them.
pub fn seen(answer: &Response, name: &str) -> Vec<String> {
    let echo = answer.json().unwrap();
    let headers = echo["headers"].as_array().unwrap();
    headers
        .iter()
        .filter(|header| header[0] == name)
        .map(|header| header[1].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until `holds`, at most half a minute.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}
