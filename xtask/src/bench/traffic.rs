//! How long requests take at a fixed rate, and how many there can be at most; answered by Envoy
//! itself, and by a server behind it.
//!
//! The generator, the server and Envoy share the processors of one machine, and take from each other:
//! on machines of their own they do better. How busy the worker was tells whether it was the limit;
//! answers for each second that it was on a processor (`per worker/s`) hardly depend on the others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Tools;
use super::bed::Bed;
use super::load::{self, Connection, Turn};
use super::open_loop::{self, LANES};
use super::report::{Report, median, percentile};
use super::scenes::{self, Filter, Scene};
use super::upstream;

/// Requests a second for the latencies: a fraction of what each filter can do.
const RATE: u32 = 1_000;

/// What was seen with one filter.
#[derive(Default)]
struct Seen {
    latencies: Vec<u64>,
    lateness: Vec<u64>,
    /// Answers a second, the worker's share of a processor meanwhile, and its nanoseconds for each
    /// request, round by round.
    per_second: Vec<f64>,
    busy: Vec<f64>,
    each: Vec<f64>,
}

pub(super) fn run(tools: &Tools, report: &mut Report) -> Result<(), String> {
    let keys = scenes::keys(tools.extent);
    let scenes: Vec<Scene> = keys
        .iter()
        .filter(|(name, _)| ["RS256", "ES256"].contains(name))
        .map(|(name, key)| scenes::good(name, key))
        .collect();
    let port = upstream::start(BTreeMap::new()).map_err(|error| error.to_string())?;
    let bed = Bed::start(tools, &scenes, port)?;
    let (rounds, open, closed) = tools.extent.choose((4, 1_000, 400), (1, 150, 100));
    let (open, closed) = (Duration::from_millis(open), Duration::from_millis(closed));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "\nTRAFFIC: latency from the moment when a request is due, at {RATE} requests a second over \
         {LANES} connections,\nin microseconds; answers a second when Envoy's one worker always has a \
         next request; and what that would be\nif the worker had a processor to itself: the client, \
         the server and Envoy share {cores} processors here."
    );
    let mut found = serde_json::Map::new();
    for path in ["/orders", "/upstream"] {
        for scene in &scenes {
            let requests: BTreeMap<Filter, Vec<Vec<u8>>> =
                Filter::ALL.map(|filter| (filter, to(path, scene.requests(filter)))).into();
            let mut seen: BTreeMap<Filter, Seen> = BTreeMap::new();
            // The first round warms up, and does not count.
            for round in 0..=rounds {
                for (filter, requests) in &requests {
                    let measured = measure(&bed, scene, *filter, requests, (open, closed))
                        .map_err(|error| format!("{} {filter:?}: {error}", scene.name))?;
                    if round > 0 {
                        seen.entry(*filter).or_default().add(measured);
                    }
                }
            }
            let by = if path == "/orders" { "answered by Envoy" } else { "answered upstream" };
            let name = format!("{}, {by}", scene.name);
            print(&name, &seen);
            let filters =
                seen.iter().map(|(filter, seen)| (filter.label().to_owned(), seen.json()));
            found.insert(name, Value::Object(filters.collect()));
        }
    }
    report.put("traffic", json!({ "requests_per_second": RATE, "scenes": found }));
    Ok(())
}

/// The same requests for another path.
fn to(path: &str, requests: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let change = |request: &Vec<u8>| {
        let rest = request.strip_prefix(b"GET /orders").unwrap_or(request);
        [b"GET ", path.as_bytes(), rest].concat()
    };
    requests.iter().map(change).collect()
}

fn measure(
    bed: &Bed,
    scene: &Scene,
    filter: Filter,
    requests: &[Vec<u8>],
    (open, closed): (Duration, Duration),
) -> Result<Seen, String> {
    let address = bed.address(scene, filter)?;
    let text = |error: std::io::Error| error.to_string();
    let open = open_loop::run(address, requests, 200, RATE, open).map_err(text)?;

    let (before, began) = (bed.on_processor()?, Instant::now());
    let mut turn = Turn { requests, next: 0 };
    let send = |connection: &mut Connection| connection.send(turn.next()?);
    let answered = load::saturate(address, send, 200, |_| began.elapsed() < closed);
    let answered = answered.map_err(text)? as f64;
    let (spent, seconds) = (bed.on_processor()? - before, began.elapsed().as_secs_f64());
    Ok(Seen {
        latencies: open.latencies,
        lateness: open.lateness,
        per_second: vec![answered / seconds],
        busy: vec![spent as f64 / 1e9 / seconds],
        each: vec![spent as f64 / answered],
    })
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.lateness.extend(other.lateness);
        self.per_second.extend(other.per_second);
        self.busy.extend(other.busy);
        self.each.extend(other.each);
        self.latencies.sort_unstable();
        self.lateness.sort_unstable();
    }

    fn json(&self) -> Value {
        json!({
            "latency_nanoseconds": {
                "p50": percentile(&self.latencies, 0.5),
                "p90": percentile(&self.latencies, 0.9),
                "p99": percentile(&self.latencies, 0.99),
                "most": percentile(&self.latencies, 1.0),
                "samples": self.latencies.len(),
            },
            "generator_lateness_nanoseconds_p99": percentile(&self.lateness, 0.99),
            "saturated": {
                "answers_per_second": self.per_second,
                "worker_busy": self.busy,
                "worker_nanoseconds_per_request": self.each,
            },
        })
    }
}

fn print(name: &str, seen: &BTreeMap<Filter, Seen>) {
    println!(
        "\n{name:34} {:>7} {:>7} {:>7}   {:>9} {:>11}   {:>13} {:>9}",
        "p50", "p90", "p99", "answers/s", "worker busy", "per worker/s", "of native"
    );
    let alone = |seen: &Seen| 1e9 / median(&seen.each);
    let native = seen.get(&Filter::Native).map_or(f64::NAN, alone);
    for (filter, seen) in seen {
        let at = |share| percentile(&seen.latencies, share) as f64 / 1000.0;
        println!(
            "  {:32} {:7.0} {:7.0} {:7.0}   {:9.0} {:10.0}%   {:13.0} {:9.2}",
            filter.label(),
            at(0.5),
            at(0.9),
            at(0.99),
            median(&seen.per_second),
            100.0 * median(&seen.busy),
            alone(seen),
            alone(seen) / native,
        );
    }
    let mut late: Vec<u64> = seen.values().flat_map(|seen| seen.lateness.iter().copied()).collect();
    late.sort_unstable();
    println!(
        "  (of which the generator itself was late: p50 {:.0}, p99 {:.0})",
        percentile(&late, 0.5) as f64 / 1000.0,
        percentile(&late, 0.99) as f64 / 1000.0
    );
}
