//! From the start of Envoy's process to the first good answer, and resident memory by the number of
//! workers: with one gate, with an empty WebAssembly filter, and with none.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jwt_gate_demo::bootstrap::listener;
use serde_json::{Value, json};

use super::Tools;
use super::bed::{answering, chain, start};
use super::load::Connection;
use super::report::{Report, mebibytes, median, spread};
use super::scenes::{self, Filter, Scene};

const FILTERS: [Filter; 4] = [Filter::None, Filter::Empty, Filter::Native, Filter::Gate];
/// Connections that are opened so that each worker gets some: the kernel deals them out.
const CONNECTIONS: usize = 64;
/// Requests over each connection.
const REQUESTS: usize = 20;

pub(super) fn run(tools: &Tools, report: &mut Report) -> Result<(), String> {
    let (name, key) = &scenes::keys(tools.extent)[0];
    let scene = scenes::good(name, key);
    let runs = tools.extent.choose(5, 1);
    println!(
        "\nSTART: milliseconds from the start of Envoy's process to the first good answer, one worker; \
         and those of\nprocessors, which hardly depend on what else the machine does\n  {:20} {:>6}   \
         {:14} {:>9}",
        "", "until", "(least, most)", "processor"
    );
    let mut times = FILTERS.map(|filter| (filter, Vec::new(), Vec::new()));
    for _ in 0..runs {
        for (filter, times, processor) in &mut times {
            let (until, spent) = first_answer(tools, &scene, *filter)?;
            times.push(until);
            processor.push(spent);
        }
    }
    let mut found = serde_json::Map::new();
    for (filter, times, processor) in &times {
        let (low, middle, high) = spread(times);
        println!(
            "  {:20} {middle:6.0}   {:14} {:9.0}",
            filter.label(),
            format!("({low:.0}, {high:.0})"),
            median(processor)
        );
        found.insert(
            filter.label().to_owned(),
            json!({ "milliseconds": times, "processor_milliseconds": processor }),
        );
    }

    let workers = tools.extent.choose(&[1_u32, 4, 8][..], &[1, 4]);
    println!(
        "\nMEMORY: resident, in MiB, after {} requests over {CONNECTIONS} connections",
        CONNECTIONS * REQUESTS
    );
    println!(
        "  {:8} {}",
        "workers",
        FILTERS.map(|filter| format!("{:>20}", filter.label())).concat()
    );
    let mut memory = Vec::new();
    for count in workers {
        let mut row = serde_json::Map::new();
        let mut line = String::new();
        for filter in FILTERS {
            let mut each = Vec::new();
            for _ in 0..tools.extent.choose(2, 1) {
                each.push(resident(tools, &scene, filter, *count)? as f64);
            }
            line += &format!("{:20.1}", mebibytes(median(&each) as u64));
            row.insert(filter.label().to_owned(), json!(median(&each)));
        }
        println!("  {count:8} {line}");
        memory.push(json!({ "workers": count, "resident_octets": row }));
    }
    let of = |row: &Value, filter: Filter| {
        row["resident_octets"][filter.label()].as_f64().unwrap_or(f64::NAN)
    };
    if let [first, .., last] = &memory[..] {
        let more = f64::from(workers[workers.len() - 1] - workers[0]);
        let beyond = |row: &Value| of(row, Filter::Gate) - of(row, Filter::None);
        println!(
            "  beyond no filter, the gate takes {:.1} MiB with one worker, and {:.1} MiB for each \
             further one",
            mebibytes(beyond(first) as u64),
            (beyond(last) - beyond(first)) / more / f64::from(1 << 20)
        );
    }
    report.put("start", json!({ "first_answer": found, "memory": memory }));
    Ok(())
}

/// Starts an Envoy, and asks until it lets a good token in: the milliseconds that takes, and those of
/// processors.
fn first_answer(tools: &Tools, scene: &Scene, filter: Filter) -> Result<(f64, f64), String> {
    // Known beforehand, so that nobody need wait for Envoy's administration to tell.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| error.to_string())?;
    let mut listener = answering(listener("start", &chain(tools, scene, filter)));
    listener["address"]["socket_address"]["port_value"] = json!(address.port());
    let gave_up = AtomicBool::new(false);
    let began = Instant::now();
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            while !gave_up.load(Ordering::Relaxed) {
                if let Ok(status) = ask(address, scene) {
                    return Some((began.elapsed(), status));
                }
                thread::sleep(Duration::from_millis(1));
            }
            None
        });
        let envoy = start(tools, &[listener], 1, 1);
        gave_up.store(envoy.is_err(), Ordering::Relaxed);
        let answer = asking.join().map_err(|_| "the client died".to_owned())?;
        let processor = processor_time(envoy?.pid())?;
        match answer {
            Some((after, 200)) => Ok((after.as_secs_f64() * 1000.0, processor)),
            other => Err(format!("the first answer was {other:?}")),
        }
    })
}

/// What all threads of a process have spent, those that are gone included, in milliseconds.
fn processor_time(pid: u32) -> Result<f64, String> {
    let file = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    // The name in brackets may hold anything; after it come the third field and those that follow.
    let fields = text.rsplit_once(')').map(|(_, fields)| fields.split_ascii_whitespace());
    let ticks: Vec<f64> = fields
        .into_iter()
        .flatten()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    // A hundred ticks a second, wherever Linux runs on common machines (`USER_HZ`).
    Ok(ticks.iter().sum::<f64>() * 10.0)
}

fn ask(address: SocketAddr, scene: &Scene) -> std::io::Result<u16> {
    let mut connection = Connection::open(address)?;
    let request = scene.requests(Filter::Gate).first();
    connection.send(request.map(Vec::as_slice).unwrap_or_default())?;
    connection.receive()
}

/// The resident memory of an Envoy whose workers have all had requests.
fn resident(tools: &Tools, scene: &Scene, filter: Filter, workers: u32) -> Result<u64, String> {
    let listener = answering(listener("memory", &chain(tools, scene, filter)));
    let envoy = start(tools, &[listener], 1, workers)?;
    let address = (Ipv4Addr::LOCALHOST, envoy.listener_port("memory")?).into();
    let exercise = || -> std::io::Result<()> {
        let mut requests = scene.requests(filter).iter().cycle();
        for _ in 0..CONNECTIONS {
            let mut connection = Connection::open(address)?;
            for request in requests.by_ref().take(REQUESTS) {
                connection.send(request)?;
                connection.expect(200)?;
            }
        }
        Ok(())
    };
    exercise().map_err(|error| format!("{filter:?} with {workers} workers: {error}"))?;
    envoy.rss().ok_or_else(|| "there is no /proc/PID/status; this needs Linux".to_owned())
}
