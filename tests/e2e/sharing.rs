//! Many workers, listeners and generations of a configuration, one issuer: how often it is asked.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jwt_gate_demo::backend;
use jwt_gate_demo::bootstrap::{cluster, listener};
use jwt_gate_demo::envoy::{self, Envoy, EnvoyOptions, OLDEST, PINNED};
use jwt_gate_demo::http::{Connection, Request};
use jwt_gate_demo::issuer::{Fault, Issuer};
use jwt_gate_demo::keys::Alg;
use jwt_gate_demo::serve::Server;
use serde_json::{Value, json};

use crate::bed::{Bed, Plan, any_port, config, eventually, filter, in_both, issuer, seen, serve};
use crate::configuration::Delivered;

/// One fetch, whatever the number of workers, and nobody is refused.
#[test]
fn a_cold_start_costs_one_fetch() {
    for (version, workers) in [(PINNED, 1), (PINNED, 2), (PINNED, 8), (OLDEST, 8)] {
        let issuer = issuer(Alg::ES256);
        issuer.set_fault(Fault::Hang(Duration::from_millis(700)));
        let server = serve(&issuer, None);
        let plan = Plan::new(config("http"), server.addr().port());
        let bed = Plan { version, concurrency: workers, ..plan }.start();
        let token = issuer.mint(json!({"sub": "cold"}));
        let address = bed.address;
        let began = Instant::now();
        let answers: Vec<_> = thread::scope(|scope| {
            let send = || Request::get("/").bearer(&token).send(address).unwrap();
            let sent: Vec<_> = (0..500).map(|_| scope.spawn(send)).collect();
            sent.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
        let texts = refused.iter().map(|answer| answer.text()).collect::<BTreeSet<_>>();
        assert!(refused.is_empty(), "{} refused: {texts:?}", refused.len());
        println!(
            "Envoy {version}, {workers} workers, 500 requests at a cold start: {} fetches, {} \
             waited, {:.1} s",
            issuer.jwks_fetches(),
            bed.counter("waited"),
            began.elapsed().as_secs_f64()
        );
        assert_eq!(issuer.jwks_fetches(), 1);
        assert_eq!(bed.counter("provider.p.waiting"), 0);
        assert_eq!(bed.counter("provider.p.jwks_keys"), 1);
    }
}

in_both!(listeners_share_by_what_they_ask_and_not_by_name);

/// Two listeners, two names for the same issuer, one fetch; another address is another one.
fn listeners_share_by_what_they_ask_and_not_by_name(version: &'static str) {
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let backend = Server::start(any_port(), backend::router(), None).unwrap();
    let named = |name: &str, changes: Value| {
        let mut configuration = config("http");
        let mut provider = configuration["providers"]["p"].take();
        for (name, value) in changes.as_object().unwrap() {
            provider["remote_jwks"][name] = value.clone();
        }
        json!({ "providers": { name: provider } })
    };
    let bootstrap = json!({ "static_resources": {
        "listeners": [
            listener("a", &[filter(&named("a", json!({})))]),
            listener("b", &[filter(&named("b", json!({"cache_duration": "300s"})))]),
            listener("c", &[filter(&named("c", json!({
                "request_headers": [{"key": "x-tenant", "value": "c"}]})))]),
        ],
        "clusters": [
            cluster("issuer", "localhost", server.addr().port(), None),
            cluster("backend", "127.0.0.1", backend.addr().port(), None),
        ],
    } });
    let options = EnvoyOptions { concurrency: 4, ..EnvoyOptions::default() };
    let envoy = Envoy::start(&envoy::find(version).unwrap(), &bootstrap, options).unwrap();
    let token = issuer.mint(json!({}));
    for name in ["a", "b", "c"] {
        let port = envoy.listener_port(name).unwrap();
        for _ in 0..8 {
            let answer = Request::get("/").bearer(&token).send(("127.0.0.1", port)).unwrap();
            assert_eq!(answer.status, 200, "{name}");
        }
    }
    assert_eq!(issuer.jwks_fetches(), 2);
    assert_eq!(issuer.last_fetch_header("accept-encoding").as_deref(), Some("identity"));
    assert!(issuer.last_fetch_header("user-agent").unwrap().starts_with("jwt-gate/"));
}

in_both!(an_update_starts_with_the_keys_that_are_there);

/// A new configuration has the keys that the old one had, and needs no issuer.
fn an_update_starts_with_the_keys_that_are_there(version: &'static str) {
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let backend = Server::start(any_port(), backend::router(), None).unwrap();
    let folder = jwt_gate_demo::wasm::workspace()
        .join(format!("target/envoy/sharing-{}-{version}", std::process::id()));
    let mut delivered = Delivered::new(&folder);
    delivered.deliver(&listener("http", &[filter(&config("http"))]));
    let bootstrap = json!({
        "node": { "id": "test", "cluster": "test" },
        "dynamic_resources": { "lds_config": { "path_config_source": { "path": delivered.file } } },
        "static_resources": { "clusters": [
            cluster("backend", "127.0.0.1", backend.addr().port(), None),
            cluster("issuer", "localhost", server.addr().port(), None),
        ] },
    });
    let options = EnvoyOptions { concurrency: 2, ..EnvoyOptions::default() };
    let envoy = Envoy::start(&envoy::find(version).unwrap(), &bootstrap, options).unwrap();
    eventually("the listener is there", || envoy.listener_port("http").is_ok());
    let port = envoy.listener_port("http").unwrap();
    let token = issuer.mint(json!({}));
    let send = || Request::get("/").bearer(&token).send(("127.0.0.1", port));
    assert_eq!(send().unwrap().status, 200);
    assert_eq!(issuer.jwks_fetches(), 1);
    // From now on the issuer does not answer.
    drop(server);
    for version in 1..6 {
        let mut changed = config("http");
        changed["providers"]["p"]["claim_to_headers"] =
            json!([{ "header_name": format!("x-version-{version}"), "claim_name": "sub" }]);
        delivered.deliver(&listener("http", &[filter(&changed)]));
        let header = format!("x-version-{version}");
        eventually("the update is in force", || match send() {
            Ok(answer) => {
                assert_eq!(answer.status, 200, "{}", answer.text());
                !seen(&answer, &header).is_empty()
            }
            // A connection that the old listener had already closed.
            Err(_) => false,
        });
    }
    assert_eq!(issuer.jwks_fetches(), 1);
    drop(envoy);
    fs::remove_dir_all(&folder).unwrap();
}

/// Callers with a connection each, who mint a token and send it until `done`; what was refused.
fn call_until(
    done: &AtomicBool,
    sent: &AtomicU64,
    issuer: &Issuer,
    address: SocketAddr,
) -> Vec<String> {
    let mut refused = Vec::new();
    let mut connection = Connection::open(address).unwrap();
    while !done.load(Ordering::Relaxed) {
        let token = issuer.mint(json!({}));
        let answer = connection.send(&Request::get("/").bearer(&token)).unwrap();
        sent.fetch_add(1, Ordering::Relaxed);
        if answer.status != 200 {
            refused.push(format!("{} {}", answer.status, answer.text()));
        }
    }
    refused
}

in_both!(rotation_every_second_refuses_nobody);
fn rotation_every_second_refuses_nobody(version: &'static str) {
    const ROTATIONS: u64 = 60;
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let bed = Plan { version, ..Plan::new(config("http"), server.addr().port()) }.start();
    let (done, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| call_until(&done, &sent, &issuer, bed.address)))
            .collect();
        for _ in 0..ROTATIONS {
            // As issuers do it: published, then used, and still published when no longer used.
            issuer.stage_key();
            thread::sleep(Duration::from_millis(500));
            issuer.rotate();
            thread::sleep(Duration::from_millis(500));
        }
        done.store(true, Ordering::Relaxed);
        for caller in callers {
            assert_eq!(caller.join().unwrap(), Vec::<String>::new());
        }
    });
    let (sent, fetches) = (sent.load(Ordering::Relaxed), issuer.jwks_fetches());
    println!(
        "Envoy {version}: {ROTATIONS} rotations in a minute, {sent} requests, none refused, \
         {fetches} fetches"
    );
    assert!(sent > 100);
    // One per cooldown of two seconds.
    assert!(fetches <= ROTATIONS / 2 + 3, "{fetches}");
}

in_both!(a_new_key_is_accepted_soon);

/// From the moment a key signs to the first good answer, in all workers.
fn a_new_key_is_accepted_soon(version: &'static str) {
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let bed =
        Plan { version, concurrency: 4, ..Plan::new(config("http"), server.addr().port()) }.start();
    assert_eq!(bed.get(&issuer.mint(json!({}))).status, 200);
    let mut times = Vec::new();
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(2_200));
        issuer.rotate();
        let token = issuer.mint(json!({}));
        // New connections, so that every worker has its turn.
        let spans: Vec<_> = thread::scope(|scope| {
            let send = || {
                let began = Instant::now();
                let answer = Request::get("/").bearer(&token).send(bed.address).unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
                began.elapsed().as_millis()
            };
            let sent: Vec<_> = (0..16).map(|_| scope.spawn(send)).collect();
            sent.into_iter().map(|one| one.join().unwrap()).collect()
        });
        times.push(spans.into_iter().max().unwrap());
    }
    println!(
        "Envoy {version}: rotation to the last of 16 good answers from 4 workers: {times:?} ms"
    );
    assert_eq!(issuer.jwks_fetches(), 6);
}

in_both!(a_key_that_signs_before_it_is_published_waits);

/// Its look-up slot comes after it is published: it waits, and passes.
fn a_key_that_signs_before_it_is_published_waits(version: &'static str) {
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let bed = Plan { version, ..Plan::new(config("http"), server.addr().port()) }.start();
    assert_eq!(bed.get(&issuer.mint(json!({}))).status, 200);
    thread::sleep(Duration::from_millis(2_100));
    // A look-up in vain opens the cooldown.
    let invented = issuer.mint_with_header(json!({}), json!({"kid": "invented"}));
    assert_eq!(bed.get(&invented).status, 401);
    issuer.set_fault(Fault::Body(issuer.jwks().to_string()));
    issuer.rotate();
    let early = issuer.mint(json!({}));
    let began = Instant::now();
    thread::scope(|scope| {
        let answer = scope.spawn(|| bed.get(&early));
        thread::sleep(Duration::from_millis(800));
        issuer.set_fault(Fault::None);
        assert_eq!(answer.join().unwrap().status, 200);
    });
    println!(
        "Envoy {version}: a token signed 0.8 s before its key was published: {:?}",
        began.elapsed()
    );
}

in_both!(a_flood_of_invented_kids_harms_nobody);

/// Fifty thousand invented names cost the issuer a fetch per cooldown, and others nothing.
///
/// Found by it: refusals were sent from the callbacks of other requests, and Envoy held those.
fn a_flood_of_invented_kids_harms_nobody(version: &'static str) {
    const CALLERS: u64 = 250;
    const IN_ALL: u64 = 50_000;
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let bed = Plan { version, ..Plan::new(config("http"), server.addr().port()) }.start();
    let good = issuer.mint(json!({}));
    let start = Instant::now();
    let before = call_steadily(&bed, &good, || start.elapsed() > Duration::from_secs(2));
    let rss = || bed.envoy.rss().unwrap_or_default() >> 20;
    let (rss_before, fetches) = (rss(), issuer.jwks_fetches());
    let (left, sent) = (AtomicU64::new(CALLERS), AtomicU64::new(0));
    let began = Instant::now();
    let (during, told) = thread::scope(|scope| {
        let flood = || {
            // Also when it fails, so that the test ends.
            let _done = Done(&left);
            let mut connection = Connection::open(bed.address).unwrap();
            let payload = good.split('.').nth(1).unwrap();
            let mut told = [0, 0];
            loop {
                let round = sent.fetch_add(1, Ordering::Relaxed);
                if round >= IN_ALL {
                    break told;
                }
                let header = json!({"alg": "ES256", "kid": format!("invented {round}")});
                let header = jwt_gate_demo::keys::base64url(header.to_string());
                let token = format!("{header}.{payload}.AAAA");
                let answer = connection.send(&Request::get("/").bearer(&token)).unwrap();
                match answer.status {
                    401 => told[0] += 1,
                    503 => told[1] += 1,
                    status => assert_eq!(status, 401),
                }
            }
        };
        let floods: Vec<_> = (0..CALLERS).map(|_| scope.spawn(flood)).collect();
        let during = call_steadily(&bed, &good, || left.load(Ordering::Relaxed) == 0);
        let told: Vec<[u64; 2]> = floods.into_iter().map(|flood| flood.join().unwrap()).collect();
        (during, told)
    });
    let (seconds, fetches) = (began.elapsed().as_secs(), issuer.jwks_fetches() - fetches);
    let sum = |index: usize| told.iter().map(|told| told[index]).sum::<u64>();
    println!(
        "Envoy {version}: {IN_ALL} invented kids in {seconds} s ({} times 401 after a look-up, {} times 503): {fetches} \
         fetches; good requests (count, median and 99th percentile in us): before {before:?}, \
         during {during:?}; resident memory {rss_before} -> {} MiB",
        sum(0),
        sum(1),
        rss()
    );
    assert!(fetches <= seconds / 2 + 2, "{fetches} fetches in {seconds} s");
}

/// Counts down when it goes.
struct Done<'a>(&'a AtomicU64);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One good request after the other, with a pause between them, none of which may be refused: how
/// many, and median and 99th percentile of the time in microseconds.
fn call_steadily(bed: &Bed, token: &str, until: impl Fn() -> bool) -> (usize, u128, u128) {
    let mut connection = Connection::open(bed.address).unwrap();
    let mut times = Vec::new();
    while !until() {
        let began = Instant::now();
        let answer = connection.send(&Request::get("/").bearer(token)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        times.push(began.elapsed().as_micros());
        thread::sleep(Duration::from_millis(2));
    }
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100];
    (times.len(), at(50), at(99))
}

/// Longer than the cache, shorter than `stale_if_error`; then recovery.
#[test]
fn an_outage_is_bridged_and_recovery_noticed() {
    for version in [PINNED, OLDEST] {
        let issuer = issuer(Alg::ES256);
        let server = serve(&issuer, None);
        let address = server.addr();
        let mut configuration = config("http");
        configuration["providers"]["p"]["remote_jwks"]["cache_duration"] = json!("2s");
        let bed = Plan { version, ..Plan::new(configuration, address.port()) }.start();
        let token = issuer.mint(json!({}));
        assert_eq!(bed.get(&token).status, 200);
        drop(server);
        let down = Instant::now();
        while down.elapsed() < Duration::from_secs(8) {
            assert_eq!(bed.get(&token).status, 200);
            thread::sleep(Duration::from_millis(20));
        }
        let failed = bed.counter("jwks_fetch_failed");
        assert!((2..20).contains(&failed), "{failed} failures in 8 s");
        assert!(bed.counter("provider.p.jwks_age_seconds") >= 5);
        let server = Server::start(address, issuer.router(), None).unwrap();
        let up = Instant::now();
        let before = bed.counter("jwks_fetch_success");
        eventually("recovery is noticed", || bed.counter("jwks_fetch_success") > before);
        println!(
            "Envoy {version}: {failed} attempts in an outage of 8 s; recovery noticed after {:?}",
            up.elapsed()
        );
        eventually("the log says so", || bed.log().contains(" keys, after "));
        drop(server);
    }
}
