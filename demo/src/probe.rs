//! Drives the probe (`crates/probe`): a plugin that runs parts of the gate inside an Envoy and answers
//! requests with what came of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bootstrap::{cluster, listener, wasm_filter};
use crate::envoy::{Envoy, EnvoyBinary, EnvoyOptions};
use crate::http::Request;

/// How long a job may take. RSA of 8192 bits by the library takes milliseconds a signature, and the
/// vectors come by the hundred.
const PATIENCE: Duration = Duration::from_secs(200);
/// How much of a job Envoy may hold: a group of vectors has less than a megabyte.
const MOST_OCTETS: u32 = 16 << 20;

/// An Envoy with the probe in it.
pub struct Probe {
    _envoy: Envoy,
    address: SocketAddr,
}

impl Probe {
    /// Starts an Envoy with the probe's module.
    pub fn start(binary: &EnvoyBinary, module: &Path) -> Result<Self, String> {
        let mut filter = wasm_filter(module, &json!({}));
        filter["typed_config"]["config"]["vm_config"]["vm_id"] = json!("probe");
        // Otherwise the body would wait for a filter that waits for the body.
        filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = json!(true);
        let mut listener = listener("probe", &[filter]);
        listener["per_connection_buffer_limit_bytes"] = json!(MOST_OCTETS);
        let bootstrap = json!({ "static_resources": {
            "listeners": [listener],
            "clusters": [cluster("backend", "127.0.0.1", 1, None)],
        } });
        let options = EnvoyOptions { concurrency: 1, ..EnvoyOptions::default() };
        let envoy = Envoy::start(binary, &bootstrap, options)?;
        let address = (Ipv4Addr::LOCALHOST, envoy.listener_port("probe")?).into();
        Ok(Self { _envoy: envoy, address })
    }

    /// Has a job done; what the probe answers, unless that is an error.
    pub fn ask(&self, job: &Value) -> Result<Value, String> {
        let request = Request::post_json("/", job).timeout(PATIENCE);
        let answer = request.send(self.address).map_err(|error| format!("the probe: {error}"))?;
        if answer.status != 200 {
            return Err(format!("the probe answers {}: {}", answer.status, answer.text()));
        }
        let answer = answer.json().map_err(|error| format!("the probe: {error}"))?;
        match answer.get("error") {
            Some(error) => Err(format!("the probe: {error}")),
            None => Ok(answer),
        }
    }
}
