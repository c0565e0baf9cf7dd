//! The memory of one worker's VM after very many distinct tokens, in the default configuration.
//!
//! Measured is the linear memory of the product's own module inside Envoy. Envoy also has a VM in its main
//! thread that sees no requests: the worker's is the one that grows.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Instant;

use jwt_gate_demo::bootstrap::{listener, wasm_filter};
use jwt_gate_demo::keys::{SigningKey, base64url};
use jwt_gate_demo::memory::{Linear, linear_memories};
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
