//! `cargo xtask bench`: what a request costs with the gate, beside the native filter, an empty
//! WebAssembly filter and no filter; how long requests take and how many there can be; what starting
//! and memory cost; and where the time goes, natively and inside Envoy's engine.
//!
//! Nothing here judges: machines are shared and noisy, and tests are elsewhere. What counts are ratios
//! within one run. A wrong answer ends it all, so that nothing is measured that did not happen.

mod bed;
mod chart;
mod cost;
mod features;
mod heap;
mod load;
mod micro;
mod open_loop;
mod report;
mod scenes;
mod start;
mod traffic;
mod upstream;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use jwt_gate_demo::envoy::{self, EnvoyBinary, PINNED};
use jwt_gate_demo::wasm::{self, workspace};

use crate::bench::report::Report;

/// How much to measure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// Enough for figures to be quoted.
    Full,
    /// Enough to see that it works.
    Quick,
}

impl Extent {
    /// The one or the other.
    fn choose<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// What the sections need.
struct Tools {
    module: PathBuf,
    /// A module that does nothing.
    empty: PathBuf,
    envoy: EnvoyBinary,
    extent: Extent,
}

type Section = fn(&Tools, &mut Report) -> Result<(), String>;

/// The sections but for the first, whose scenes can be chosen.
const SECTIONS: [(&str, Section); 5] = [
    ("features", features::run),
    ("traffic", traffic::run),
    ("start", start::run),
    ("heap", heap::run),
    ("micro", micro::run),
];

/// Runs the benchmark and writes `target/bench/report.json` and `target/bench/report.svg`. With a
/// word, only the section of that name (`cost`, `features`, `traffic`, `start`, `heap`, `micro`), or else the
/// scenes of `cost` with that word in their names.
pub fn run(extent: Extent, only: Option<&str>) -> Result<(), String> {
    let module = wasm::build_filter(&workspace())?;
    let folder = workspace().join("target/bench");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let empty = folder.join("empty.wasm");
    let bytes = wat::parse_str(EMPTY_FILTER).map_err(|error| error.to_string())?;
    fs::write(&empty, bytes).map_err(|error| error.to_string())?;
    let tools = Tools { module, empty, envoy: envoy::find(PINNED)?, extent };
    let mut report = Report::new(&tools.module, &tools.envoy.version)?;

    let began = Instant::now();
    let section = SECTIONS.iter().find(|(name, _)| Some(*name) == only);
    match (only, section) {
        (_, Some((_, section))) => section(&tools, &mut report)?,
        (None | Some("cost"), None) => cost::run(&tools, &mut report, "")?,
        (Some(word), None) => cost::run(&tools, &mut report, word)?,
    }
    if only.is_none() {
        for (_, section) in SECTIONS {
            section(&tools, &mut report)?;
        }
    }
    println!();
    report.write(&folder)?;
    println!("{:.0} s in all, builds apart", began.elapsed().as_secs_f64());
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
