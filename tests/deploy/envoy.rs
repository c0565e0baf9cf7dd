//! The configurations for plain Envoy, in one: only addresses and files are replaced by those of a
//! test bed.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use jwt_gate::policy::Policy;
use jwt_gate_demo::envoy::{self, Envoy, EnvoyOptions, OLDEST, PINNED};
use jwt_gate_demo::http::Request;
use jwt_gate_demo::issuer::{Issuer, IssuerOptions};
use jwt_gate_demo::keys::Alg;
use jwt_gate_demo::pki::Authority;
use jwt_gate_demo::serve::Server;
use jwt_gate_demo::{backend, wasm};
use serde_json::{Value, json};

use super::{folder, read};

/// Asserts that a cluster checks the certificate and the name of `host`, to which it leads.
#[track_caller]
pub fn checks_names(cluster: &Value, host: &str) {
    let address = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
    assert_eq!(cluster.pointer(address).unwrap()["address"], host);
    let tls = &cluster["transport_socket"]["typed_config"];
    assert_eq!(tls["sni"], host);
    let checks = &tls["common_tls_context"]["validation_context"];
    assert!(checks["trusted_ca"]["filename"].is_string());
    assert_eq!(
        checks["match_typed_subject_alt_names"],
        json!([{ "san_type": "DNS", "matcher": { "exact": host } }])
    );
}

/// An issuer and a backend, and a folder with the files of `deploy/envoy/` for them.
struct Bed {
    folder: PathBuf,
    issuer: Issuer,
    _servers: [Server; 2],
}

const FILES: [&str; 4] = ["static.yaml", "bootstrap.yaml", "listeners.yaml", "extensions.yaml"];

impl Bed {
    fn new(name: &str) -> Self {
        let folder = wasm::workspace().join(format!("target/envoy/{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let issuer = Issuer::new(IssuerOptions {
            issuer: "https://issuer.example".to_owned(),
            audience: "orders-api".to_owned(),
            algorithm: Alg::ES256,
            ..IssuerOptions::default()
        });
        let authority = Authority::new("test");
        fs::write(folder.join("ca.pem"), authority.ca_pem()).unwrap();
        let any_port: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let identity = authority.issue(&["issuer.example"]);
        let issuing = Server::start(any_port, issuer.router(), Some(identity)).unwrap();
        let behind = Server::start(any_port, backend::router(), None).unwrap();
        let module = match std::env::var_os("JWT_GATE_WASM") {
            Some(path) => path.into(),
            None => wasm::build_filter(&wasm::workspace()).unwrap(),
        };
        let address = |host: &str, port: u16| format!("address: {host}, port_value: {port} ");
        let here = |port: u16| address("127.0.0.1", port);
        let local = |file: &str| format!("\"{}\"", folder.join(file).display());
        let replacements = [
            (address("0.0.0.0", 10000), here(0)),
            (address("127.0.0.1", 9901), here(0)),
            (address("issuer.example", 443), here(issuing.addr().port())),
            (address("backend", 8080), here(behind.addr().port())),
            ("\"/etc/envoy/jwt_gate.wasm\"".to_owned(), format!("\"{}\"", module.display())),
            ("\"/etc/ssl/certs/ca-certificates.crt\"".to_owned(), local("ca.pem")),
            ("\"/etc/envoy/listeners.yaml\"".to_owned(), local("listeners.yaml")),
            ("\"/etc/envoy/extensions.yaml\"".to_owned(), local("extensions.yaml")),
        ];
        for file in FILES {
            let mut text = fs::read_to_string(super::folder().join("envoy").join(file)).unwrap();
            for (from, to) in &replacements {
                text = text.replace(from, to);
            }
            for left in ["/etc/", "0.0.0.0", "address: issuer", "address: backend"] {
                assert!(!text.contains(left), "{file}: {left}");
            }
            fs::write(folder.join(file), text).unwrap();
        }
        Self { folder, issuer, _servers: [issuing, behind] }
    }

    fn start(&self, version: &str, file: &str) -> Envoy {
        let binary = envoy::find(version).unwrap();
        let config = self.folder.join(file);
        envoy::validate(&binary, &config).unwrap();
        Envoy::start_yaml_file(&binary, &config, EnvoyOptions::default()).unwrap()
    }

    fn token(&self) -> String {
        self.issuer.mint(json!({ "sub": "alice" }))
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Statuses of `/orders` without and with a token, and of `/healthz`.
fn statuses(envoy: &Envoy, token: &str) -> [u16; 3] {
    let port = envoy.listener_port("http").unwrap();
    let send = |request: Request| request.send((Ipv4Addr::LOCALHOST, port)).unwrap().status;
    [
        send(Request::get("/orders")),
        send(Request::get("/orders").bearer(token)),
        send(Request::get("/healthz")),
    ]
}

#[track_caller]
fn eventually(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "it did not happen");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The configurations of the gate in these files, and the clusters that they name.
#[test]
fn configurations_for_envoy_are_accepted() {
    let file = |name: &str| read(&folder().join("envoy").join(name)).remove(0);
    let (whole, bootstrap) = (file("static.yaml"), file("bootstrap.yaml"));
    let listener = &whole["static_resources"]["listeners"][0];
    let filters = &listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"];
    let gate = &filters[0]["typed_config"];
    assert_eq!(*gate, file("extensions.yaml")["resources"][0]["typed_config"]);
    assert_eq!(gate["config"]["failure_policy"], "FAIL_RELOAD");
    let text = gate["config"]["configuration"]["value"].as_str().unwrap();
    assert!(Policy::parse(text.as_bytes()).is_ok());
    for clusters in [&whole, &bootstrap].map(|file| &file["static_resources"]["clusters"]) {
        checks_names(&clusters[0], "issuer.example");
        assert_eq!(clusters[0]["name"], "issuer");
    }
}

#[test]
fn one_file_is_enough_for_envoy() {
    for version in [PINNED, OLDEST] {
        let bed = Bed::new(&format!("static-{version}"));
        let envoy = bed.start(version, "static.yaml");
        assert_eq!(statuses(&envoy, &bed.token()), [401, 200, 200]);
    }
}

/// The gate by ECDS, in a listener by LDS: it changes while Envoy runs, and a mistake changes nothing.
#[test]
fn the_gate_follows_its_file() {
    for version in [PINNED, OLDEST] {
        let bed = Bed::new(&format!("discovery-{version}"));
        let envoy = bed.start(version, "bootstrap.yaml");
        eventually(|| envoy.listener_port("http").is_ok());
        let token = bed.token();
        assert_eq!(statuses(&envoy, &token), [401, 200, 200]);

        let file = bed.folder.join("extensions.yaml");
        let first = fs::read_to_string(&file).unwrap();
        let replace = |text: &str| {
            let aside = bed.folder.join("aside");
            fs::write(&aside, text).unwrap();
            fs::rename(aside, &file as &Path).unwrap();
        };
        replace(&first.replace("/healthz", "/livez"));
        eventually(|| statuses(&envoy, &token) == [401, 200, 401]);
        replace(&first.replace("\"rules\"", "\"rulez\""));
        eventually(|| envoy.logs().contains("rulez"));
        assert_eq!(statuses(&envoy, &token), [401, 200, 401]);
        replace(&first);
        eventually(|| statuses(&envoy, &token) == [401, 200, 200]);
    }
}
