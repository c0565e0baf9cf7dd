//! `cargo xtask bench`: what a request costs with the gate, beside the native filter, an empty
//! WebAssembly filter and no filter, in one Envoy and one run.
//!
//! Measured is the time that Envoy's only worker thread is on a processor, as the kernel counts it,
//! divided by the requests of the moment; what counts are ratios within one round. Nothing here
//! judges: machines are shared and noisy, and tests are elsewhere.

mod load;
mod report;
mod scenes;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jwt_gate_demo::bootstrap::{cluster, listener, wasm_filter};
use jwt_gate_demo::envoy::{self, Envoy, EnvoyOptions, PINNED};
use jwt_gate_demo::wasm::{self, workspace};
use serde_json::{Value, json};

use crate::bench::report::Report;
use crate::bench::scenes::{Filter, Scene};

/// How much to measure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// Enough for figures to be quoted.
    Full,
    /// Enough to see that it works.
    Quick,
}

/// What the runs of one filter of a scene came to, one figure a round: nanoseconds of the worker's
/// processor time for a request.
pub(crate) type Rounds = Vec<f64>;

/// Runs the benchmark and writes `target/bench/report.json` and `target/bench/report.svg`.
pub fn run(extent: Extent, only: Option<&str>) -> Result<(), String> {
    let began = Instant::now();
    let module = wasm::build_filter(&workspace())?;
    let folder = workspace().join("target/bench");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let empty = folder.join("empty.wasm");
    let bytes = wat::parse_str(EMPTY_FILTER).map_err(|error| error.to_string())?;
    fs::write(&empty, bytes).map_err(|error| error.to_string())?;

    println!("making keys and tokens");
    let scenes: Vec<Scene> = scenes::all(extent)
        .into_iter()
        .filter(|scene| only.is_none_or(|only| scene.name.contains(only)))
        .collect();
    let bed = Bed::start(&scenes, &module, &empty)?;
    let (rounds, span) = match extent {
        Extent::Full => (7, Duration::from_millis(400)),
        Extent::Quick => (3, Duration::from_millis(100)),
    };
    println!("{} scenes, {rounds} rounds of {span:?} for each filter", scenes.len());
    let mut report = Report::new(&module, bed.ready_after)?;
    for scene in &scenes {
        let mut figures: BTreeMap<Filter, Rounds> = BTreeMap::new();
        // The first round warms up, and does not count.
        for round in 0..=rounds {
            for filter in scene.filters() {
                let nanos = bed.measure(scene, filter, span)?;
                if round > 0 {
                    figures.entry(filter).or_default().push(nanos);
                }
            }
        }
        println!("{}", report.add(scene, figures));
    }
    report.memory(bed.resident());
    report.write(&folder)?;
    println!("{}\n{:.0} s in all", report.summary(), began.elapsed().as_secs_f64());
    Ok(())
}

/// The least that a proxy takes for a filter: it says "continue" to the headers of a request.
const EMPTY_FILTER: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0)))"#;

/// One Envoy with a listener for each filter of each scene.
struct Bed {
    envoy: Envoy,
    worker: PathBuf,
    ready_after: Duration,
    resident_without: Option<u64>,
}

impl Bed {
    fn start(
        scenes: &[Scene],
        module: &std::path::Path,
        empty: &std::path::Path,
    ) -> Result<Self, String> {
        let answer = |mut listener: Value| {
            let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
            manager["route_config"]["virtual_hosts"][0]["routes"] = json!([{
                "match": { "prefix": "/" },
                "direct_response": { "status": 200 },
            }]);
            if let Some(manager) = manager.as_object_mut() {
                manager.remove("access_log");
            }
            listener
        };
        let filter = |scene: &Scene, filter: Filter| -> Vec<Value> {
            match filter {
                Filter::None => Vec::new(),
                Filter::Empty => {
                    let mut filter = wasm_filter(empty, &json!({}));
                    filter["typed_config"]["config"]["vm_config"]["vm_id"] = json!("empty");
                    vec![filter]
                }
                Filter::Native | Filter::NativeCached => vec![json!({
                    "name": "envoy.filters.http.jwt_authn",
                    "typed_config": scene.native(filter),
                })],
                Filter::Gate | Filter::GateCached => {
                    vec![wasm_filter(module, &scene.configuration(filter))]
                }
            }
        };
        let listeners: Vec<Value> = scenes
            .iter()
            .flat_map(|scene| scene.filters().map(move |filter| (scene, filter)))
            .map(|(scene, kind)| answer(listener(&name(scene, kind), &filter(scene, kind))))
            .collect();
        let binary = envoy::find(PINNED)?;
        let options = || EnvoyOptions {
            concurrency: 1,
            log_level: "warn".to_owned(),
            ..EnvoyOptions::default()
        };
        let backend = cluster("backend", "127.0.0.1", 1, None);
        let bare = json!({ "static_resources": { "clusters": [backend] } });
        let resident_without = Envoy::start(&binary, &bare, options())?.rss();
        let bootstrap = json!({ "static_resources": {
            "listeners": listeners,
            "clusters": [backend],
        } });
        let began = Instant::now();
        let envoy = Envoy::start(&binary, &bootstrap, options())?;
        let ready_after = began.elapsed();
        let worker = worker_thread(envoy.pid())?;
        Ok(Self { envoy, worker, ready_after, resident_without })
    }

    /// Sends requests for about `span`; the worker's time for each.
    fn measure(&self, scene: &Scene, filter: Filter, span: Duration) -> Result<f64, String> {
        let port = self.envoy.listener_port(&name(scene, filter))?;
        let address: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
        if !scene.prelude.is_empty() {
            load::run(address, &scene.prelude, 200, Duration::from_millis(2))?;
        }
        let before = on_processor(&self.worker)?;
        let expected = if filter.checks() { scene.status } else { 200 };
        let sent = load::run(address, scene.requests(filter), expected, span)?;
        let after = on_processor(&self.worker)?;
        Ok((after - before) as f64 / sent as f64)
    }

    /// Resident memory with everything loaded, beyond an Envoy without it.
    fn resident(&self) -> Option<u64> {
        Some(self.envoy.rss()?.saturating_sub(self.resident_without?))
    }
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

/// How long a thread has been on a processor, in nanoseconds.
fn on_processor(thread: &std::path::Path) -> Result<u64, String> {
    let text = fs::read_to_string(thread.join("schedstat")).map_err(|error| error.to_string())?;
    let first = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    first.ok_or_else(|| format!("schedstat says {text}"))
}
