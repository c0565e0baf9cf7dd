//! Envoys to measure in.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use jwt_gate_demo::bootstrap::{cluster, listener, wasm_filter};
use jwt_gate_demo::envoy::{Envoy, EnvoyOptions};
use serde_json::{Value, json};

use super::Tools;
use super::scenes::{Filter, Scene};

/// One Envoy with one worker, and a listener for each filter of each scene.
pub(super) struct Bed {
    pub(super) envoy: Envoy,
    worker: PathBuf,
}

impl Bed {
    /// Starts it. Requests for `/upstream` go to `upstream`; Envoy answers all others itself.
    pub(super) fn start(tools: &Tools, scenes: &[Scene], upstream: u16) -> Result<Self, String> {
        let listeners: Vec<Value> = scenes
            .iter()
            .flat_map(|scene| scene.filters.iter().map(move |filter| (scene, *filter)))
            .map(|(scene, filter)| {
                answering(listener(&name(scene, filter), &chain(tools, scene, filter)))
            })
            .collect();
        let envoy = start(tools, &listeners, upstream, 1)?;
        let worker = worker_thread(envoy.pid())?;
        Ok(Self { envoy, worker })
    }

    /// Where a scene is played with a filter.
    pub(super) fn address(&self, scene: &Scene, filter: Filter) -> Result<SocketAddr, String> {
        let port = self.envoy.listener_port(&name(scene, filter))?;
        Ok((Ipv4Addr::LOCALHOST, port).into())
    }

    /// How long the worker has been on a processor, in nanoseconds, as the kernel counts it.
    pub(super) fn on_processor(&self) -> Result<u64, String> {
        let file = self.worker.join("schedstat");
        let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
        let first = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
        first.ok_or_else(|| format!("schedstat says {text}"))
    }
}

/// Starts an Envoy with these listeners.
pub(super) fn start(
    tools: &Tools,
    listeners: &[Value],
    upstream: u16,
    workers: u32,
) -> Result<Envoy, String> {
    let bootstrap = json!({ "static_resources": {
        "listeners": listeners,
        "clusters": [cluster("backend", "127.0.0.1", upstream, None)],
    } });
    let options = EnvoyOptions {
        concurrency: workers,
        log_level: "warn".to_owned(),
        ..EnvoyOptions::default()
    };
    Envoy::start(&tools.envoy, &bootstrap, options)
}

/// What stands before the router.
pub(super) fn chain(tools: &Tools, scene: &Scene, filter: Filter) -> Vec<Value> {
    match filter {
        Filter::None => Vec::new(),
        Filter::Empty => vec![empty(&tools.empty)],
        Filter::Native | Filter::NativeCached => vec![json!({
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": scene.native(filter),
        })],
        Filter::Gate | Filter::GateCached => {
            vec![wasm_filter(&tools.module, &scene.configuration(filter))]
        }
    }
}

fn empty(module: &Path) -> Value {
    let mut filter = wasm_filter(module, &json!({}));
    filter["typed_config"]["config"]["vm_config"]["vm_id"] = json!("empty");
    filter
}

/// A listener that answers by itself, and writes no access log.
pub(super) fn answering(mut listener: Value) -> Value {
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager["route_config"]["virtual_hosts"][0]["routes"] = json!([
        { "match": { "prefix": "/upstream" }, "route": { "cluster": "backend" } },
        { "match": { "prefix": "/" }, "direct_response": { "status": 200 } },
    ]);
    // A hundred by default, and one scene has that many of its own.
    manager["common_http_protocol_options"] = json!({ "max_headers_count": 200 });
    if let Some(manager) = manager.as_object_mut() {
        manager.remove("access_log");
    }
    listener
}

fn name(scene: &Scene, filter: Filter) -> String {
    format!("{} {filter:?}", scene.name)
}

/// The folder of the worker thread under `/proc`.
fn worker_thread(pid: u32) -> Result<PathBuf, String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| error.to_string())?;
    let mut threads = tasks.filter_map(|task| Some(task.ok()?.path()));
    threads
        .find(|task| {
            fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("wrk:worker_0"))
        })
        .ok_or_else(|| "Envoy's worker thread is not to be found; this needs Linux".to_owned())
}
