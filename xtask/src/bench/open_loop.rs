//! Requests at a fixed rate, and how long each takes from the moment when it was due.
//!
//! When each request is due is settled beforehand, whatever becomes of those before it. Should Envoy
//! stall, those that come to wait for their turn count with all their waiting: a generator that counts
//! from when it sends would leave that out ("coordinated omission").

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::load::{self, Connection};

/// Connections that take turns. One has a single request under way: Envoy closes HTTP/1.1 connections
/// on which more than two answers queue up.
pub(super) const LANES: usize = 16;
/// Sleeping ends late by about this much; the rest is waited for awake.
const SLACK: Duration = Duration::from_micros(80);

/// What was seen, in nanoseconds.
#[derive(Default)]
pub(super) struct Seen {
    /// From when a request was due until its answer was read.
    pub(super) latencies: Vec<u64>,
    /// By how much the generator was late to send, of its own fault.
    pub(super) lateness: Vec<u64>,
}

/// Sends `rate` requests a second for `span`, from `requests` in turn. Every answer must have the
/// status `expected`.
pub(super) fn run(
    address: SocketAddr,
    requests: &[Vec<u8>],
    expected: u16,
    rate: u32,
    span: Duration,
) -> io::Result<Seen> {
    let connections = load::open_many(address, LANES)?;
    let gap = Duration::from_secs(1) / rate;
    let count = (span.as_nanos() / gap.as_nanos()) as usize;
    // A little later, when the threads are there.
    let began = Instant::now() + Duration::from_millis(10);
    let lane = |lane: usize, mut connection: Connection| {
        let mut seen = Seen::default();
        for index in (lane..count).step_by(LANES) {
            let due = began + gap * index as u32;
            let free = Instant::now();
            wait_until(due);
            seen.lateness.push(nanos_since(due.max(free)));
            connection.send(&requests[index % requests.len()])?;
            connection.expect(expected)?;
            seen.latencies.push(nanos_since(due));
        }
        Ok::<_, io::Error>(seen)
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = connections
            .into_iter()
            .enumerate()
            .map(|(index, connection)| scope.spawn(move || lane(index, connection)))
            .collect();
        let mut all = Seen::default();
        for lane in lanes {
            let seen = lane.join().map_err(|_| io::Error::other("the generator died"))??;
            all.latencies.extend(seen.latencies);
            all.lateness.extend(seen.lateness);
        }
        Ok(all)
    })
}

fn nanos_since(then: Instant) -> u64 {
    u64::try_from(then.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn wait_until(due: Instant) {
    if let Some(rest) = due.checked_duration_since(Instant::now())
        && let Some(sleep) = rest.checked_sub(SLACK)
    {
        thread::sleep(sleep);
    }
    while Instant::now() < due {
        std::hint::spin_loop();
    }
}
