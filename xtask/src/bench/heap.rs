//! The memory of one worker's VM after very many distinct tokens, in the default configuration.
//!
//! Measured is the linear memory of the product's own module inside Envoy: everything that the gate
//! has, stack and constants included, and it never shrinks. V8 reserves gigabytes of addresses for it
//! and makes the beginning usable, so `/proc/PID/smaps` shows its size: a writable mapping with a
//! forbidden one right behind it that make a whole number of gibibytes together. (Resident memory of
//! the process would have Envoy's own buffers in it, and a count inside the module would need a module
//! that is not the product.) Envoy also has a VM in its main thread that sees no requests: the worker's
//! is the one that grows.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Instant;

use jwt_gate_demo::bootstrap::{listener, wasm_filter};
use jwt_gate_demo::envoy::Envoy;
use jwt_gate_demo::keys::{SigningKey, base64url};
use serde_json::json;

use super::Tools;
use super::bed::{answering, start};
use super::load::{self, Connection};
use super::report::Report;
use super::scenes::{self, claims, request};

/// Tokens that are signed ahead.
const AHEAD: usize = 64;
/// Requests after which nothing should grow any more: twice what the cache holds.
const FULL: u64 = 2_000;

pub(super) fn run(tools: &Tools, report: &mut Report) -> Result<(), String> {
    let keys = scenes::keys(tools.extent);
    let key = |name: &str| {
        let found = keys.iter().find(|(own, _)| *own == name);
        found.map(|(_, key)| key).ok_or_else(|| format!("no key {name}"))
    };
    let choose = |full, quick| tools.extent.choose(full, quick);
    println!(
        "\nHEAP: the linear memory of the worker's VM in KiB (stack and constants included), by \
         distinct tokens seen\n  {:36} {:>10} {:>10} {:>10} {:>10}  resident  seconds",
        "", "at first", FULL, "at last", "tokens"
    );
    let mut found = serde_json::Map::new();
    for (name, key, claims, count) in [
        ("HS256, 400 octets of claims", key("HS256")?, 400, choose(1_000_000, 30_000)),
        ("RS256, 400 octets of claims", key("RS256")?, 400, choose(20_000, FULL + 500)),
        // As long as tokens can be on average if the cache is to hold as many as it may.
        ("HS256, 1300 octets of claims", key("HS256")?, 1_300, choose(100_000, 10_000)),
    ] {
        let began = Instant::now();
        let sizes = drive(tools, key, claims, count)?;
        let kib = |octets: u64| octets / 1024;
        let [first, full, last] = [sizes.first, sizes.full, sizes.last].map(|seen| seen.octets);
        println!(
            "  {name:36} {:10} {:10} {:10} {count:10}  {:8}  {:7.0}",
            kib(first),
            kib(full),
            kib(last),
            kib(sizes.last.resident),
            began.elapsed().as_secs_f64()
        );
        found.insert(
            name.to_owned(),
            json!({
                "tokens": count,
                "octets_at_first": first,
                "octets_after_2000": full,
                "octets_at_last": last,
                "resident_octets_at_last": sizes.last.resident,
            }),
        );
    }
    report.put("heap", serde_json::Value::Object(found));
    Ok(())
}

struct Sizes {
    first: Linear,
    full: Linear,
    last: Linear,
}

/// A gate in an Envoy of its own, and so many tokens.
fn drive(tools: &Tools, key: &SigningKey, octets: usize, count: u64) -> Result<Sizes, String> {
    let scene = scenes::good("heap", key);
    let filter = wasm_filter(&tools.module, scene.default_configuration());
    let envoy = start(tools, &[answering(listener("heap", &[filter]))], 1, 1)?;
    let address = (Ipv4Addr::LOCALHOST, envoy.listener_port("heap")?).into();
    let before = linear_memories(&envoy)?;
    let (sender, requests) = sync_channel(AHEAD);
    let signer = Signer::new(key, octets);
    thread::scope(|scope| {
        scope.spawn(move || {
            for index in 0.. {
                // The receiver has had enough.
                if sender.send(request(&signer.sign(index), 0)).is_err() {
                    return;
                }
            }
        });
        let send = |count| pass_through(address, &requests, count);
        send(FULL)?;
        let full = linear_memories(&envoy)?;
        send(count.saturating_sub(FULL))?;
        let last = linear_memories(&envoy)?;
        drop(requests);
        // The worker's memory, by what it is at the end.
        let (place, grown) = last
            .iter()
            .max_by_key(|(_, seen)| seen.octets)
            .ok_or("no linear memory is to be found in /proc/PID/smaps")?;
        let at = |seen: &BTreeMap<u64, Linear>| seen.get(place).copied().unwrap_or_default();
        Ok(Sizes { first: at(&before), full: at(&full), last: *grown })
    })
}

/// Makes tokens that differ in `jti`, without a JSON value for each: that takes longer than to sign.
struct Signer<'a> {
    key: &'a SigningKey,
    header: String,
    payload: String,
}

impl<'a> Signer<'a> {
    fn new(key: &'a SigningKey, octets: usize) -> Self {
        let header = base64url(key.header().to_string());
        Self { key, header, payload: claims(0, octets).to_string() }
    }

    fn sign(&self, index: u64) -> String {
        let payload = self.payload.replacen(&"0".repeat(32), &format!("{index:032}"), 1);
        let input = format!("{}.{}", self.header, base64url(payload));
        let signature = base64url(self.key.sign_bytes(input.as_bytes()));
        format!("{input}.{signature}")
    }
}

fn pass_through(
    address: SocketAddr,
    requests: &Receiver<Vec<u8>>,
    count: u64,
) -> Result<(), String> {
    let send = |connection: &mut Connection| {
        connection.send(&requests.recv().map_err(std::io::Error::other)?)
    };
    load::saturate(address, send, 200, |answered| answered < count)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A VM's linear memory.
#[derive(Clone, Copy, Default)]
struct Linear {
    octets: u64,
    resident: u64,
}

/// The linear memories of a process, by where they begin.
fn linear_memories(envoy: &Envoy) -> Result<BTreeMap<u64, Linear>, String> {
    let file = format!("/proc/{}/smaps", envoy.pid());
    let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    Ok(parse_smaps(&text))
}

fn parse_smaps(text: &str) -> BTreeMap<u64, Linear> {
    const GIBIBYTE: u64 = 1 << 30;
    let mut found = BTreeMap::new();
    // The mapping before, if it is writable: its range and what is resident of it.
    let mut writable: Option<(u64, u64, u64)> = None;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(first), second) = (words.next(), words.next().unwrap_or_default()) else {
            continue;
        };
        if first == "Rss:" {
            if let Some((.., resident)) = &mut writable {
                *resident = second.parse::<u64>().unwrap_or_default() * 1024;
            }
        } else if let Some((start, end)) = range(first) {
            if let Some((memory, until, resident)) = writable.take()
                && second == "---p"
                && until == start
                && end - memory >= 4 * GIBIBYTE
                && (end - memory).is_multiple_of(GIBIBYTE)
            {
                found.insert(memory, Linear { octets: until - memory, resident });
            }
            writable = (second == "rw-p").then_some((start, end, 0));
        }
    }
    found
}

/// The range in the first line of a mapping: `7fdeb55a0000-7fdeb56d0000`.
fn range(word: &str) -> Option<(u64, u64)> {
    let (start, end) = word.split_once('-')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    Some((number(start)?, number(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_memories_are_found() {
        let smaps = "\
558dd7200000-558dd73e3000 rw-p 00000000 00:00 0\nSize: 1932 kB\nRss: 90 kB\n\
7fdeb55a0000-7fdeb56d0000 rw-p 00000000 00:00 0\nSize: 1216 kB\nRss: 84 kB\n\
7fdeb56d0000-7fe0b55a0000 ---p 00000000 00:00 0\nSize: 8387392 kB\nRss: 0 kB\n\
7fe0b55ac000-7fe0b55bc000 r--p 00000000 00:00 0\nSize: 64 kB\nRss: 64 kB\n";
        let found = parse_smaps(smaps);
        assert_eq!(found.len(), 1);
        let linear = found[&0x7fde_b55a_0000];
        assert_eq!((linear.octets, linear.resident), (1216 * 1024, 84 * 1024));
    }
}
