//! Memory stays where it is: over very many requests, good and hostile, over many changes of keys and over
//! many configurations. `cargo xtask assure --long` has these go on for a million, a thousand and two
//! hundred; otherwise they only show that they work.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jwt_gate_demo::bootstrap::{cluster, listener};
use jwt_gate_demo::envoy::{self, Envoy, EnvoyOptions, PINNED};
use jwt_gate_demo::http::{Connection, Request};
use jwt_gate_demo::issuer::{Issuer, IssuerOptions};
use jwt_gate_demo::keys::{Alg, SigningKey, base64url, jwks, random_id};
use jwt_gate_demo::memory::linear_memories;
use serde_json::{Value, json};

use crate::bed::{AUDIENCE, ISSUER, Plan, config, eventually, filter, issuer, serve};
use crate::configuration::Delivered;
use crate::load::{check_health, vms};

/// A number from the environment, for longer runs.
fn count(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Octets of the linear memory of all VMs.
fn memory(envoy: &Envoy) -> u64 {
    let found = linear_memories(envoy).unwrap();
    assert!(!found.is_empty(), "no linear memory is to be found");
    found.values().map(|linear| linear.octets).sum()
}

fn kib(octets: u64) -> u64 {
    octets / 1024
}

/// What a VM may still grow once it is warm: a page here and there, as its heap is divided otherwise. A
/// leak of an octet for each request would be more in a million.
const SLACK: u64 = 256 * 1024;

/// Envoy answers what passes; there is no backend to wait for.
fn answers_itself(manager: &mut Value) {
    manager["route_config"]["virtual_hosts"][0]["routes"] =
        json!([{ "match": { "prefix": "/" }, "direct_response": { "status": 200 } }]);
    manager.as_object_mut().unwrap().remove("access_log");
}

#[test]
fn memory_is_flat_over_mixed_requests() {
    let total = count("JWT_GATE_SOAK_REQUESTS", 12_000);
    let key = SigningKey::generate(Alg::ES256, "es");
    let secret = SigningKey::generate(Alg::HS256, "hs");
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let mut configuration = config("http");
    configuration["providers"]["local"] = json!({
        "issuer": "local",
        "local_jwks": { "inline_string": jwks(&[&key, &secret]).to_string() },
        "forward_payload_header": "x-payload",
        "from_cookies": ["token"],
        "from_headers": [{ "name": "authorization", "value_prefix": "Bearer " }],
        "from_params": ["access_token"],
    });
    configuration["rules"] = json!([
        { "match": { "prefix": "/admin/" }, "requires": { "provider_name": "local" },
          "authorization": { "claim": "role", "string_match": { "exact": "admin" } } },
        { "match": { "prefix": "/" }, "requires": { "requires_any": { "requirements": [
            { "provider_name": "local" }, { "provider_name": "p" },
        ] } } },
    ]);
    let plan = Plan::new(configuration, server.addr().port());
    let mut bed = Plan { concurrency: 2, change: answers_itself, ..plan }.start();
    let before = vms(&bed);
    let done = AtomicU64::new(0);
    let send = |upto: u64| {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| traffic(bed.address, &key, &secret, &issuer, &done, upto));
            }
        });
    };
    let (began, first) = (Instant::now(), memory(&bed.envoy));
    // Both workers' caches are full, and what is remembered of absent keys, too.
    send(total / 2);
    let warm = memory(&bed.envoy);
    send(total);
    let last = memory(&bed.envoy);
    println!(
        "{} requests, good and hostile, in {:.0} s: all VMs have {} KiB at first, {} KiB after \
         half of them, {} KiB at last",
        done.load(Ordering::Relaxed),
        began.elapsed().as_secs_f64(),
        kib(first),
        kib(warm),
        kib(last)
    );
    println!("assured: {total} cases, 0 exceptions");
    // A short run does not fill everything.
    let slack = if total >= 400_000 { SLACK } else { 16 * SLACK };
    assert!(last <= warm + slack, "{} KiB became {} KiB", kib(warm), kib(last));
    check_health(&mut bed, &before);
}

/// Requests over one connection after the other, until so many are done by all.
fn traffic(
    address: SocketAddr,
    key: &SigningKey,
    secret: &SigningKey,
    issuer: &Issuer,
    done: &AtomicU64,
    upto: u64,
) {
    let mut connection = None;
    loop {
        let number = done.fetch_add(1, Ordering::Relaxed);
        if number >= upto {
            done.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let (request, expected) = hostile_or_good(number, key, secret, issuer);
        if connection.is_none() {
            connection = Some(Connection::open(address).unwrap());
        }
        let answer = connection.as_mut().unwrap().send(&request);
        let answer = answer.map_err(|error| format!("{number}: {error}")).unwrap();
        assert!(expected.contains(&answer.status), "{number}: {}", answer.status);
        if answer.header("connection").is_some() {
            connection = None;
        }
    }
}

/// A request, and the statuses that are right.
fn hostile_or_good(
    number: u64,
    key: &SigningKey,
    secret: &SigningKey,
    issuer: &Issuer,
) -> (Request, &'static [u16]) {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let claims = |more: Value| {
        let mut claims = json!({ "iss": "local", "aud": "api", "exp": now + 600, "jti": number });
        claims["jti"] = json!(number.to_string());
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let get = |token: String| Request::get("/").bearer(&token);
    let signed = || secret.sign(&claims(json!({})));
    match number % 20 {
        0..6 => (get(signed()), &[200]),
        6 => (get(key.sign(&claims(json!({ "long": "x".repeat(3_000) })))), &[200]),
        7 => (Request::get(format!("/?access_token={}", signed())), &[200]),
        8 => (Request::get("/").header("cookie", format!("a=b; token={}; c=d", signed())), &[200]),
        9 => (get(issuer.mint(json!({ "jti": number.to_string() }))), &[200]),
        10 => (Request::get("/admin/x").bearer(&signed()), &[403]),
        // Signed by nobody.
        11 => {
            let token = signed();
            let (input, _) = token.rsplit_once('.').unwrap();
            (get(format!("{input}.{}", base64url([number as u8; 32]))), &[401])
        }
        // Names that nobody has, to be remembered and looked for. One in a hundred, since they wait.
        12 if number % 2_000 == 12 => {
            let other = SigningKey::from_hmac_secret(Alg::HS256, &random_id(), &[7; 64]);
            let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": now + 600 });
            (get(other.sign(&claims)), &[401, 503])
        }
        12 => (get("x".repeat(usize::try_from(number % 40_000).unwrap())), &[401]),
        13 => {
            let payload =
                format!(r#"{{"iss":"local","a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
            (get(secret.sign_with_header(&secret.header(), payload.as_bytes())), &[401])
        }
        14 => {
            let bearers = (0..12).fold(Request::get("/"), |request, _| request.bearer(&signed()));
            (bearers, &[401])
        }
        15 => {
            let header = json!({ "alg": "none", "kid": "x".repeat(2_000) });
            (
                get(secret.sign_with_header(&header, claims(json!({})).to_string().as_bytes())),
                &[401],
            )
        }
        16 => (get(secret.sign(&claims(json!({ "exp": 1 })))), &[401]),
        17 => {
            (Request::get("/../admin//%2e%2e;/x?access_token=%00&access_token"), &[401, 400, 403])
        }
        18 => {
            let token = [b"Bearer \xff\xfe".to_vec(), vec![0x80; 100]].concat();
            (Request::get("/").header("authorization", token), &[401, 400])
        }
        _ => (Request::get("/"), &[401]),
    }
}

#[test]
fn memory_is_flat_over_key_rotations() {
    let total = count("JWT_GATE_SOAK_ROTATIONS", 30);
    // One key at a time: how many there are must not depend on how fast this goes.
    let issuer = Issuer::new(IssuerOptions {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithm: Alg::ES256,
        previous_key_lifetime: Duration::ZERO,
        ..IssuerOptions::default()
    });
    let server = serve(&issuer, None);
    let mut configuration = config("http");
    configuration["providers"]["p"]["remote_jwks"]["unknown_kid_cooldown"] = json!("0.1s");
    // Full after a quarter, too.
    configuration["providers"]["p"]["jwt_cache_config"] = json!({ "jwt_cache_size": 50 });
    let plan = Plan::new(configuration, server.addr().port());
    let mut bed = Plan { concurrency: 2, change: answers_itself, ..plan }.start();
    let before = vms(&bed);
    let began = Instant::now();
    let rotate = |times: u64| {
        for _ in 0..times {
            issuer.rotate();
            for _ in 0..4 {
                assert_eq!(bed.get(&issuer.mint(json!({}))).status, 200);
            }
        }
    };
    rotate(total / 4);
    let warm = memory(&bed.envoy);
    rotate(total - total / 4);
    let last = memory(&bed.envoy);
    println!(
        "{total} rotations in {:.0} s: all VMs have {} KiB after a quarter, {} KiB at last",
        began.elapsed().as_secs_f64(),
        kib(warm),
        kib(last)
    );
    println!("assured: {total} cases, 0 exceptions");
    // A short run does not see every size of a heap.
    let slack = if total >= 400 { SLACK } else { 4 * SLACK };
    assert!(last <= warm + slack, "{} KiB became {} KiB", kib(warm), kib(last));
    assert!(bed.counter("provider.p.jwks_changed") >= total);
    check_health(&mut bed, &before);
}

#[test]
fn memory_is_flat_over_reloads() {
    let total = count("JWT_GATE_SOAK_RELOADS", 8);
    let key = SigningKey::generate(Alg::ES256, "k");
    let folder = jwt_gate_demo::wasm::workspace()
        .join(format!("target/envoy/reloads-{}", std::process::id()));
    let mut delivered = Delivered::new(&folder);
    let configured = |version: u64| {
        let mut listener = listener(
            "http",
            &[filter(&json!({
                "providers": { "p": {
                    "issuer": "local",
                    "local_jwks": { "inline_string": jwks(&[&key]).to_string() },
                } },
                "rules": [
                    { "match": { "path": format!("/open-{version}") } },
                    { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
                ],
            }))],
        );
        answers_itself(&mut listener["filter_chains"][0]["filters"][0]["typed_config"]);
        listener
    };
    delivered.deliver(&configured(0));
    let bootstrap = json!({
        "node": { "id": "test", "cluster": "test" },
        "dynamic_resources": { "lds_config": { "path_config_source": { "path": delivered.file } } },
        "static_resources": { "clusters": [cluster("backend", "127.0.0.1", 1, None)] },
    });
    // Old listeners go on for ten minutes otherwise, and what belongs to them is in the VM as long.
    let options = EnvoyOptions { concurrency: 2, drain_time: 1, ..EnvoyOptions::default() };
    let mut envoy = Envoy::start(&envoy::find(PINNED).unwrap(), &bootstrap, options).unwrap();
    eventually("the listener is there", || envoy.listener_port("http").is_ok());
    let address = (Ipv4Addr::LOCALHOST, envoy.listener_port("http").unwrap());
    let status = |request: Request| request.send(address).map(|answer| answer.status).unwrap_or(0);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let token = key.sign(&json!({ "iss": "local", "exp": now + 36_000 }));
    let began = Instant::now();
    let mut reload = |versions: std::ops::RangeInclusive<u64>| {
        for version in versions {
            delivered.deliver(&configured(version));
            let open = format!("/open-{version}");
            eventually("the update is in force", || status(Request::get(&open)) == 200);
            assert_eq!(status(Request::get("/").bearer(&token)), 200);
            assert_eq!(status(Request::get("/")), 401);
            thread::sleep(Duration::from_millis(100));
        }
        thread::sleep(Duration::from_secs(2));
    };
    let quarter = (total / 4).max(2);
    reload(1..=quarter);
    let warm = (memory(&envoy), envoy.rss().unwrap_or_default());
    reload(quarter + 1..=total);
    let last = (memory(&envoy), envoy.rss().unwrap_or_default());
    println!(
        "{total} reloads in {:.0} s: all VMs have {} KiB after a quarter, {} KiB at last; the process \
         has {} KiB and {} KiB resident",
        began.elapsed().as_secs_f64(),
        kib(warm.0),
        kib(last.0),
        kib(warm.1),
        kib(last.1)
    );
    println!("assured: {total} cases, 0 exceptions");
    // A short run is not warm after a quarter, which is two reloads.
    let slack = if total >= 100 { SLACK } else { 16 * SLACK };
    assert!(last.0 <= warm.0 + slack, "{} KiB became {} KiB", kib(warm.0), kib(last.0));
    assert!(envoy.is_running());
    assert!(!envoy.logs().contains("panicked"));
    drop(envoy);
    fs::remove_dir_all(&folder).unwrap();
}
