//! Tokens that pass once, through Envoy with several workers.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jwt_gate_demo::http::{Connection, Request};
use jwt_gate_demo::issuer::Fault;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

use crate::bed::{Bed, Plan, config, in_both, issuer, serve};

fn bed(version: &'static str, key: &SigningKey, mut rest: Value) -> Bed {
    rest["providers"] = json!({ "p": {
        "local_jwks": { "inline_string": jwks(&[key]).to_string() },
        "single_use": { "max_lifetime": "600s" },
    } });
    Plan { version, concurrency: 4, ..Plan::new(rest, 1) }.start()
}

fn token(key: &SigningKey, jti: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    key.sign(&json!({ "jti": jti, "exp": now + 300 }))
}

/// Sends each of `requests` over as many connections at the same moment, and tells the statuses.
fn race(address: SocketAddr, requests: &[Request], connections: usize) -> Vec<Vec<u16>> {
    let start = &Barrier::new(connections);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(move || {
                    let mut connection = Connection::open(address).unwrap();
                    let send = |request| {
                        start.wait();
                        connection.send(request).unwrap().status
                    };
                    requests.iter().map(send).collect::<Vec<_>>()
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    })
}

in_both!(a_token_passes_once_whichever_worker_sees_it);
fn a_token_passes_once_whichever_worker_sees_it(version: &'static str) {
    const TOKENS: usize = 120;
    const CONNECTIONS: usize = 8;
    // Quick to check, so that what follows is done at the same moment.
    let key = SigningKey::generate(Alg::HS256, "k");
    // One bucket: all workers write the same entry.
    let bed = bed(version, &key, json!({ "replay_memory": { "max_entries": 128 } }));
    let request = |index: usize| Request::get("/").bearer(&token(&key, &index.to_string()));
    let requests: Vec<_> = (0..TOKENS).map(request).collect();
    let answers = race(bed.address, &requests, CONNECTIONS);
    for index in 0..TOKENS {
        let of = |status| answers.iter().filter(|answer| answer[index] == status).count();
        assert_eq!((of(200), of(401)), (1, CONNECTIONS - 1), "{answers:?}");
    }
    let stats = bed.envoy.stats().unwrap();
    let is_busy = |(name, count): &(&String, &u64)| {
        name.contains(".worker_") && name.ends_with(".downstream_cx_total") && **count > 0
    };
    assert!(stats.iter().filter(is_busy).count() > 1, "one worker saw all of them: {stats:?}");
    assert_eq!(bed.counter("allowed"), TOKENS as u64);
    assert_eq!(bed.counter("denied_for.token_replayed"), (TOKENS * (CONNECTIONS - 1)) as u64);
    let again = bed.send(&requests[0]);
    assert_eq!((again.status, again.text()), (401, "Jwt was used before".to_owned()));
    assert!(again.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
    // The memory is bounded, and refuses what it cannot remember.
    let more: Vec<_> = (TOKENS..140).map(request).collect();
    let answers = race(bed.address, &more, 1).remove(0);
    let passed = answers.iter().filter(|status| **status == 200).count();
    assert_eq!((passed, answers.last()), (128 - TOKENS, Some(&503)));
    assert_eq!(bed.counter("denied_for.replay_memory_full"), 140 - 128);
    assert_eq!(bed.send(&requests[1]).status, 401, "and forgets nothing");
}

in_both!(a_token_that_waited_for_keys_passes_once);
fn a_token_that_waited_for_keys_passes_once(version: &'static str) {
    let issuer = issuer(Alg::ES256);
    issuer.set_fault(Fault::Hang(Duration::from_millis(800)));
    let server = serve(&issuer, None);
    let mut configuration = config("http");
    configuration["providers"]["p"]["single_use"] = json!({});
    let plan = Plan::new(configuration, server.addr().port());
    let bed = Plan { version, concurrency: 4, ..plan }.start();
    let request = Request::get("/").bearer(&issuer.mint(json!({ "jti": "one" })));
    let answers = race(bed.address, std::slice::from_ref(&request), 24).concat();
    let of = |wanted| answers.iter().filter(|status| **status == wanted).count();
    assert_eq!((of(200), of(401)), (1, 23), "{answers:?}");
    assert!(bed.counter("waited") > 1, "nobody waited");
    assert_eq!(bed.counter("allowed"), 1);
    assert_eq!(bed.send(&request).status, 401);
    assert_eq!(
        bed.send(&Request::get("/").bearer(&issuer.mint(json!({ "jti": "two" })))).status,
        200
    );
}
