//! Everything that `docker-compose.yml` starts around the page, in this process and one Envoy.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jwt_gate_demo::backend;
use jwt_gate_demo::envoy::{self, Envoy, EnvoyOptions};
use jwt_gate_demo::http::Request;
use jwt_gate_demo::issuer::{Fault, Issuer, IssuerOptions};
use jwt_gate_demo::local::{self, Ports, Prefer};
use jwt_gate_demo::pki::Authority;
use jwt_gate_demo::serve::Server;
use jwt_gate_demo::wasm;
use serde_json::json;

/// A running demo.
pub struct Demo {
    pub issuer: Issuer,
    pub envoy: Envoy,
    pub ports: Ports,
    pub folder: PathBuf,
    _servers: [Server; 3],
}

impl Demo {
    pub fn start(version: &str) -> Self {
        Self::start_with(version, include_str!("../../envoy.yaml"))
    }

    /// The same, without the expressions that make labels of names of metrics.
    pub fn without_labels(version: &str) -> Self {
        let shipped = include_str!("../../envoy.yaml");
        let (before, rest) = shipped.split_once("stats_config:\n").unwrap();
        let (_, after) = rest.split_once("static_resources:\n").unwrap();
        Self::start_with(version, &format!("{before}static_resources:\n{after}"))
    }

    fn start_with(version: &str, shipped: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let module = match std::env::var_os("JWT_GATE_WASM") {
            Some(path) => path.into(),
            None => wasm::build_filter(&wasm::workspace()).unwrap(),
        };
        let folder =
            wasm::workspace().join(format!("target/envoy/{}-demo-{count}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let ports = Ports::choose(Prefer::Any).unwrap();
        let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));

        let issuer = Issuer::new(IssuerOptions {
            issuer: "https://issuer.demo.test".to_owned(),
            audience: "orders-api".to_owned(),
            admin: true,
            ..IssuerOptions::default()
        });
        let authority = Authority::new("demo");
        let ca = folder.join("ca.pem");
        fs::write(&ca, authority.ca_pem()).unwrap();
        let identity = authority.issue(&["issuer"]);
        let servers = [
            Server::start(at(ports.issuer_tls), issuer.router(), Some(identity)),
            Server::start(at(ports.issuer), issuer.router(), None),
            Server::start(at(ports.backend), backend::router(), None),
        ]
        .map(Result::unwrap);

        let config = folder.join("envoy.yaml");
        fs::write(&config, local::envoy_yaml(shipped, &ports, &module, &ca).unwrap()).unwrap();
        let options = EnvoyOptions { workdir: Some(folder.clone()), ..EnvoyOptions::default() };
        let binary = envoy::find(version).unwrap();
        let envoy = Envoy::start_yaml_file(&binary, &config, options).unwrap();
        Self { issuer, envoy, ports, folder, _servers: servers }
    }

    /// Asks for orders with this token; what the status is.
    pub fn get(&self, token: &str) -> u16 {
        let envoy = SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.envoy));
        Request::get("/orders").bearer(token).send(envoy).unwrap().status
    }

    /// What Prometheus would read.
    pub fn metrics(&self) -> String {
        let envoy = SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.metrics));
        Request::get("/stats/prometheus").send(envoy).unwrap().text()
    }

    /// A bit of everything: good and bad tokens, an outage, a new key.
    pub fn story(&self) {
        let token = self.issuer.mint(json!({}));
        // Of two workers, one sees it twice.
        for _ in 0..3 {
            assert_eq!(self.get(&token), 200);
        }
        assert_eq!(self.get("nonsense"), 401);
        self.issuer.set_fault(Fault::Status(503));
        self.issuer.rotate();
        let new = self.issuer.mint(json!({}));
        assert_eq!(self.get(&new), 503);
        self.issuer.set_fault(Fault::None);
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.get(&new) != 200 {
            assert!(Instant::now() < deadline, "the new key is not noticed");
            std::thread::sleep(Duration::from_millis(50));
        }
        // Counters are told a fifth of a second late, ages once a second.
        std::thread::sleep(Duration::from_millis(1500));
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
