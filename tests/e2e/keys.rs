//! Keys through Envoy: cold start, outages, rotation, TLS.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jwt_gate_demo::http::{Connection, Request};
use jwt_gate_demo::issuer::Fault;
use jwt_gate_demo::keys::Alg;
use jwt_gate_demo::pki::Authority;
use jwt_gate_demo::serve::Server;
use serde_json::json;

use crate::bed::{Plan, any_port, config, eventually, issuer, seen, serve};

#[test]
fn the_first_request_waits_for_the_keys_and_passes() {
    let issuer = issuer(Alg::ES256);
    issuer.set_fault(Fault::Hang(Duration::from_millis(800)));
    let server = serve(&issuer, None);
    let bed = Plan::new(config("http"), server.addr().port()).start();
    let address = bed.address;
    let token = issuer.mint(json!({"sub": "first"}));
    // Several at once, with and without a body; one of them gives up before the keys are there.
    thread::scope(|scope| {
        let requests: Vec<_> = (0..10)
            .map(|index| {
                let request = match index % 2 {
                    0 => Request::get("/").bearer(&token),
                    _ => Request::new("POST", "/").bearer(&token).body(vec![b'x'; 100_000]),
                };
                scope.spawn(move || request.send(address).unwrap())
            })
            .collect();
        let impatient = Request::get("/").bearer(&token).timeout(Duration::from_millis(50));
        assert!(impatient.send(address).is_err());
        for (index, request) in requests.into_iter().enumerate() {
            let answer = request.join().unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(seen(&answer, "x-sub"), ["first"]);
            let octets = if index % 2 == 0 { 0 } else { 100_000 };
            assert_eq!(answer.json().unwrap()["body_bytes"], octets);
        }
    });
    assert!(bed.counter("waited") > 0, "nobody waited");
    // In steady state nobody waits and nobody fetches.
    let (waited, fetches) = (bed.counter("waited"), issuer.jwks_fetches());
    for _ in 0..20 {
        assert_eq!(bed.get(&token).status, 200);
    }
    assert_eq!((bed.counter("waited"), issuer.jwks_fetches()), (waited, fetches));
}

/// Many streams of one connection wait at once; some are reset meanwhile, and some have bodies.
#[test]
fn streams_of_one_http2_connection_wait_and_pass() {
    let issuer = issuer(Alg::ES256);
    issuer.set_fault(Fault::Hang(Duration::from_millis(800)));
    let server = serve(&issuer, None);
    let bed = Plan::new(config("http"), server.addr().port()).start();
    let token = issuer.mint(json!({"sub": "h2"}));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let statuses = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(bed.address).await.unwrap();
        let (sender, connection) = hyper::client::conn::http2::handshake(
            hyper_util::rt::TokioExecutor::new(),
            hyper_util::rt::TokioIo::new(stream),
        )
        .await
        .unwrap();
        tokio::spawn(connection);
        let sent: Vec<_> = (0..90)
            .map(|index| {
                let body = if index % 3 == 0 { vec![b'x'; 50_000] } else { Vec::new() };
                let request = http::Request::builder()
                    .method(if index % 3 == 0 { "POST" } else { "GET" })
                    .uri("http://gate.test/")
                    .header("authorization", format!("Bearer {token}"))
                    .body(http_body_util::Full::new(hyper::body::Bytes::from(body)))
                    .unwrap();
                let answer = sender.clone().send_request(request);
                tokio::spawn(async move { answer.await.map(|answer| answer.status().as_u16()) })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut statuses = Vec::new();
        for (index, answer) in sent.into_iter().enumerate() {
            if index % 5 == 4 {
                answer.abort();
            } else {
                statuses.push(answer.await.unwrap().unwrap());
            }
        }
        statuses
    });
    assert_eq!(statuses, vec![200; 72]);
    assert_eq!(issuer.jwks_fetches(), 1);
    eventually("nobody waits", || bed.counter("provider.p.waiting") == 0);
}

#[test]
fn an_issuer_that_is_down_at_start_is_found_when_it_comes_up() {
    let issuer = issuer(Alg::ES256);
    // A port that nobody listens on, for now.
    let address = Server::start(any_port(), issuer.router(), None).unwrap().addr();
    let bed = Plan::new(config("http"), address.port()).start();
    let token = issuer.mint(json!({}));
    let began = Instant::now();
    let answer = bed.get(&token);
    assert_eq!((answer.status, answer.text()), (503, "Jwks remote fetch is failed".to_owned()));
    assert!(answer.header("retry-after").is_some());
    assert!(answer.header("www-authenticate").is_none(), "the client is not at fault");
    assert!(began.elapsed() < Duration::from_secs(8));
    // What needs no keys is told without them.
    assert_eq!(bed.send(&Request::get("/")).status, 401);

    let server = Server::start(address, issuer.router(), None).unwrap();
    eventually("a good token passes", || bed.get(&token).status == 200);
    // And goes on passing when the issuer is gone again, once both workers have the keys.
    eventually("all workers have the keys", || bed.counter("provider.p.jwks_taken") == 2);
    drop(server);
    thread::sleep(Duration::from_millis(200));
    for _ in 0..10 {
        assert_eq!(bed.get(&token).status, 200);
    }
    assert!(bed.log().contains("the key set could not be fetched"));
}

#[test]
fn rotation_under_load_fails_no_good_request() {
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let bed = Plan { concurrency: 2, ..Plan::new(config("http"), server.addr().port()) }.start();
    let done = AtomicBool::new(false);
    let sent = AtomicU64::new(0);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut failures = Vec::new();
                    let mut connection = Connection::open(bed.address).unwrap();
                    while !done.load(Ordering::Relaxed) {
                        let request = Request::get("/").bearer(&issuer.mint(json!({})));
                        let answer = connection.send(&request).unwrap();
                        sent.fetch_add(1, Ordering::Relaxed);
                        if answer.status != 200 {
                            failures.push((answer.status, answer.text()));
                        }
                    }
                    failures
                })
            })
            .collect();
        // The hardest way: the new key signs the moment it is published.
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(2_500));
            issuer.rotate();
        }
        thread::sleep(Duration::from_millis(2_500));
        done.store(true, Ordering::Relaxed);
        for caller in callers {
            assert_eq!(caller.join().unwrap(), []);
        }
    });
    let (sent, fetches) = (sent.load(Ordering::Relaxed), issuer.jwks_fetches());
    println!("{sent} requests over three rotations, {fetches} fetches, none refused");
    assert!(sent > 100);
    // One at start and one for each rotation, whatever the number of workers; a caller may find the
    // set of a moment before its rotation once.
    assert!(fetches <= 1 + 3 * 2, "{fetches} fetches");
}

#[test]
fn a_withdrawn_key_is_noticed_with_the_next_set() {
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let mut configuration = config("http");
    configuration["providers"]["p"]["remote_jwks"]["cache_duration"] = json!("2s");
    let bed = Plan::new(configuration, server.addr().port()).start();
    let token = issuer.mint(json!({}));
    assert_eq!(bed.get(&token).status, 200);
    let other = crate::bed::issuer(Alg::ES256);
    issuer.set_fault(Fault::Body(other.jwks().to_string()));
    eventually("the withdrawn key is refused", || {
        bed.get(&token).text() == "Jwks doesn't have key to match kid or alg from Jwt"
    });
    assert_eq!(bed.get(&other.mint(json!({}))).status, 200);
}

#[test]
fn good_keys_survive_bad_answers() {
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let mut configuration = config("http");
    configuration["providers"]["p"]["remote_jwks"]["cache_duration"] = json!("1s");
    let bed = Plan::new(configuration, server.addr().port()).start();
    let token = issuer.mint(json!({}));
    assert_eq!(bed.get(&token).status, 200);
    for fault in [
        Fault::Status(500),
        Fault::Status(404),
        Fault::Body("<html>".to_owned()),
        Fault::Body("{\"keys\":[]}".to_owned()),
        Fault::Body("x".repeat(2_000_000)),
        Fault::CloseConnection,
    ] {
        let before = bed.counter("jwks_fetch_failed");
        issuer.set_fault(fault.clone());
        eventually("a fetch fails", || bed.counter("jwks_fetch_failed") > before);
        assert_eq!(bed.get(&token).status, 200, "{fault:?}");
        issuer.set_fault(Fault::None);
        let before = bed.counter("jwks_fetch_success");
        eventually("a fetch succeeds", || bed.counter("jwks_fetch_success") > before);
    }
}

#[test]
fn an_issuer_behind_tls_with_a_private_ca() {
    let authority = Authority::new("test");
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, Some(authority.issue(&["issuer.test"])));
    let plan = Plan::new(config("https"), server.addr().port());
    let bed = Plan { issuer_ca: Some(authority.ca_pem()), ..plan }.start();
    assert_eq!(bed.get(&issuer.mint(json!({}))).status, 200);
}

/// Whoever answers under another name, or with another CA's certificate, is not the issuer.
#[test]
fn an_impostor_of_the_issuer_is_not_believed() {
    let authority = Authority::new("test");
    let other = Authority::new("other");
    for identity in [authority.issue(&["evil.test"]), other.issue(&["issuer.test"])] {
        let issuer = issuer(Alg::ES256);
        let server = serve(&issuer, Some(identity));
        let plan = Plan::new(config("https"), server.addr().port());
        let bed = Plan { issuer_ca: Some(authority.ca_pem()), ..plan }.start();
        let answer = bed.get(&issuer.mint(json!({})));
        assert_eq!((answer.status, answer.text()), (503, "Jwks remote fetch is failed".to_owned()));
        assert_eq!(issuer.jwks_fetches(), 0, "the handshake already fails");
    }
}
