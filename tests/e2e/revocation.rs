//! Revoked tokens, with lists that are fetched by real callouts.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_gate_demo::bootstrap::cluster;
use jwt_gate_demo::http::Request;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::{Value, json};

use crate::bed::{AUDIENCE, Bed, ISSUER, Plan, eventually, in_both};

/// What a source of lists answers, and what it was asked.
#[derive(Default)]
struct State {
    /// Status line, further header lines, body. None: the connection closes.
    answer: Option<(String, String, String)>,
    tag: u64,
    asked: usize,
    not_modified: usize,
}

/// A source of lists with entity tags.
pub struct Source {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Source {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        // Ends with the test process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                let mut request = Vec::new();
                let mut part = [0; 4096];
                while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                    match stream.read(&mut part) {
                        Ok(read) if read > 0 => request.extend_from_slice(&part[..read]),
                        _ => break,
                    }
                }
                let request = String::from_utf8_lossy(&request).to_ascii_lowercase();
                let mut state = shared.lock().unwrap();
                state.asked += 1;
                let Some((status, headers, body)) = state.answer.clone() else { continue };
                let tag = format!("\"{}\"", state.tag);
                let is_known = request.contains(&format!("if-none-match: {tag}"));
                let answer = if is_known && status.starts_with("200") {
                    state.not_modified += 1;
                    format!("HTTP/1.1 304 x\r\netag: {tag}\r\nconnection: close\r\n\r\n")
                } else {
                    let length = body.len();
                    format!(
                        "HTTP/1.1 {status}\r\netag: {tag}\r\nconnection: close\r\n{headers}\
                         content-length: {length}\r\n\r\n{body}"
                    )
                };
                drop(state);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { port, state }
    }

    pub fn says(&self, status: &str, headers: &str, body: &str) {
        let mut state = self.state.lock().unwrap();
        state.tag += 1;
        state.answer = Some((status.to_owned(), headers.to_owned(), body.to_owned()));
    }

    fn revokes(&self, entries: &Value) {
        self.says("200 OK", "", &json!({ "revoked": entries }).to_string());
    }

    fn closes(&self) {
        self.state.lock().unwrap().answer = None;
    }

    fn asked(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.asked, state.not_modified)
    }

    pub fn cluster(&self, name: &str) -> Value {
        cluster(name, "127.0.0.1", self.port, None)
    }
}

fn setting(list: &Value) -> (SigningKey, Value) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let mut list = list.clone();
    list["http_uri"] =
        json!({ "uri": "http://list.test/revoked.json", "cluster": "list", "timeout": "2s" });
    let config = json!({
        "providers": { "p": {
            "issuer": ISSUER,
            "audiences": [AUDIENCE],
            "local_jwks": { "inline_string": jwks(&[&key]).to_string() },
        } },
        "revocation": { "list": list },
    });
    (key, config)
}

fn start(source: &Source, version: &'static str, config: Value) -> Bed {
    Plan { version, clusters: vec![source.cluster("list")], ..Plan::new(config, 1) }.start()
}

fn token(key: &SigningKey, name: &str) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    key.sign(&json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": name, "jti": name, "iat": now, "exp": now + 600,
    }))
}

in_both!(a_deny_list_in_envoy);

/// Cold start, revocation of a token that every worker knows, an outage that is bridged and then
/// fails closed, recovery; one fetch for all workers, and only for changes.
fn a_deny_list_in_envoy(version: &'static str) {
    let source = Source::start();
    source.revokes(&json!([]));
    let (key, config) = setting(&json!({ "poll_interval": "1s", "stale_if_error": "2s" }));
    let bed = start(&source, version, config);
    let (stolen, good) = (token(&key, "stolen"), token(&key, "good"));
    for _ in 0..10 {
        assert_eq!(bed.get(&stolen).status, 200, "also the first, which waited for the list");
        assert_eq!(bed.get(&good).status, 200);
    }
    source.revokes(&json!([{ "jti": "stolen" }]));
    let since = Instant::now();
    // Of several workers, all.
    let refused = || (0..10).all(|_| bed.get(&stolen).status == 401);
    eventually("the token is revoked", refused);
    let took = since.elapsed();
    println!("revoked for every worker after {took:?} ({version}, polled every second)");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let answer = bed.get(&stolen);
    assert_eq!(answer.text(), "Jwt is revoked");
    assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"));
    assert_eq!(bed.get(&good).status, 200);
    assert_eq!(bed.counter("revocation_entries"), 1);
    // Unchanged, nothing travels; two workers ask once a second together.
    let before = source.asked();
    thread::sleep(Duration::from_secs(3));
    let after = source.asked();
    assert!((2..=5).contains(&(after.0 - before.0)), "{before:?} {after:?}");
    assert!(after.1 > before.1, "{before:?} {after:?}");
    // An outage: bridged, then nobody gets in, with a hint when to come back.
    source.closes();
    let since = Instant::now();
    assert_eq!(bed.get(&good).status, 200);
    assert_eq!(bed.get(&stolen).status, 401);
    eventually("it fails closed", || bed.get(&good).status == 503);
    let bridged = since.elapsed();
    println!("bridged for {bridged:?} ({version})");
    assert!(bridged > Duration::from_secs(1) && bridged < Duration::from_secs(6), "{bridged:?}");
    let answer = bed.get(&good);
    assert_eq!(answer.text(), "Jwt could not be checked for revocation");
    assert!(answer.header("retry-after").is_some());
    assert!(bed.log().contains("revocation: the list could not be fetched"), "{}", bed.log());
    source.revokes(&json!([{ "jti": "stolen" }]));
    eventually("it recovers", || bed.get(&good).status == 200);
    assert_eq!(bed.get(&stolen).status, 401);
    assert!(!bed.log().contains("stolen"), "no claim in the log");
}

in_both!(a_list_that_is_down_at_start_is_found);

fn a_list_that_is_down_at_start_is_found(version: &'static str) {
    for (when, expected) in [("deny", 503), ("allow", 200)] {
        let source = Source::start();
        let (key, config) = setting(&json!({ "poll_interval": "1s", "when_unavailable": when }));
        let bed = start(&source, version, config);
        let (stolen, good) = (token(&key, "stolen"), token(&key, "good"));
        eventually("it fails as configured", || bed.get(&good).status == expected);
        assert_eq!(bed.get(&stolen).status, expected);
        assert_eq!(bed.send(&Request::get("/")).status, 401, "no token, no list");
        if when == "allow" {
            assert!(bed.counter("revocation_skipped") > 0);
        }
        source.revokes(&json!([{ "sub": "stolen" }]));
        eventually("the list is found", || bed.get(&stolen).status == 401);
        eventually("in every worker", || (0..10).all(|_| bed.get(&good).status == 200));
    }
}

in_both!(hostile_deny_lists);

/// What is no list takes none away, whatever it is; a list may shrink.
fn hostile_deny_lists(version: &'static str) {
    let source = Source::start();
    source.revokes(&json!([{ "jti": "stolen" }, { "jti": "other" }]));
    let (key, config) = setting(&json!({ "poll_interval": "1s", "stale_if_error": "600s" }));
    let bed = start(&source, version, config);
    let (stolen, other) = (token(&key, "stolen"), token(&key, "other"));
    assert_eq!(bed.get(&stolen).status, 401);
    let many: Vec<_> = (0..30_000).map(|n| json!({ "jti": n.to_string() })).collect();
    let many = json!({ "revoked": many }).to_string();
    let huge = format!("{{\"revoked\":[]{}}}", " ".repeat(8 << 20));
    for (cause, status, headers, body) in [
        ("list_malformed", "200 OK", "", "<html>"),
        ("list_malformed", "200 OK", "", ""),
        ("list_malformed", "200 OK", "", "{\"revoked\":[{\"jti\":\"stolen\"}"),
        ("list_malformed", "200 OK", "", "{\"revoked\":null}"),
        ("list_entry", "200 OK", "", "{\"revoked\":[{\"jti\":\"x\",\"unless\":\"y\"}]}"),
        ("list_entry", "200 OK", "", "{\"revoked\":[{}]}"),
        ("list_too_many_entries", "200 OK", "", &many),
        ("list_too_large", "200 OK", "", &huge),
        ("content_coding", "200 OK", "content-encoding: gzip\r\n", "{\"revoked\":[]}"),
        ("redirect", "302 x", "location: http://elsewhere.test/\r\n", ""),
        ("status", "500 x", "", "{\"revoked\":[]}"),
    ] {
        let name = format!("revocation_fetch_failed_for.{cause}");
        let before = bed.counter(&name);
        source.says(status, headers, body);
        eventually(cause, || bed.counter(&name) > before);
        assert_eq!(bed.get(&stolen).status, 401, "{cause}");
    }
    source.revokes(&json!([{ "jti": "other" }]));
    eventually("it shrinks", || bed.get(&stolen).status == 200);
    assert_eq!(bed.get(&other).status, 401);
    source.revokes(&json!([]));
    eventually("it is empty", || bed.get(&other).status == 200);
}

in_both!(a_status_list_in_envoy);

/// Cold start, a token that is revoked later, a bomb, a forged list, an outage that fails closed.
fn a_status_list_in_envoy(version: &'static str) {
    let uri = "https://list.test/1";
    let source = Source::start();
    let (key, mut config) = setting(&json!({}));
    config.as_object_mut().unwrap().remove("revocation");
    config["providers"]["p"]["status_list"] = json!({
        "clusters": { "list.test": "list" },
        "timeout": "2s",
        "cache_duration": "1s",
        "stale_if_error": "2s",
    });
    let bed = start(&source, version, config);
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let list = |key: &SigningKey, octets: &[u8]| {
        let mut header = key.header();
        header["typ"] = json!("statuslist+jwt");
        let packed = URL_SAFE_NO_PAD.encode(compress_to_vec_zlib(octets, 9));
        let claims = json!({ "sub": uri, "iat": now(), "exp": now() + 600,
            "status_list": { "bits": 1, "lst": packed } });
        key.sign_with_header(&header, claims.to_string().as_bytes())
    };
    let token = |index: u64| {
        key.sign(&json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": now() + 600,
            "status": { "status_list": { "idx": index, "uri": uri } } }))
    };
    let says = |list: &str| {
        source.says("200 OK", "content-type: application/statuslist+jwt\r\n", list);
    };
    says(&list(&key, &[0b0000_0010]));
    let (good, bad, beyond) = (token(0), token(1), token(8));
    for _ in 0..5 {
        assert_eq!(bed.get(&good).status, 200, "also the first, which waited for the list");
        assert_eq!(bed.get(&bad).text(), "Jwt is revoked");
        assert_eq!(bed.get(&beyond).text(), "Jwt status is not acceptable");
    }
    says(&list(&key, &[0b0000_0001]));
    eventually("the token is revoked", || (0..10).all(|_| bed.get(&good).status == 401));
    eventually("the other is good again", || (0..10).all(|_| bed.get(&bad).status == 200));
    says(&list(&key, &vec![0; 64 << 20]));
    eventually("a bomb counts for nothing", || (0..10).all(|_| bed.get(&bad).status == 503));
    assert!(bed.counter("status_list_unusable_for.status_list_too_large") > 0);
    says(&list(&SigningKey::generate(Alg::ES256, "k"), &[0]));
    let forged = "status_list_unusable_for.status_list_signature";
    eventually("nor does a forged one", || bed.get(&bad).status == 503 && bed.counter(forged) > 0);
    says(&list(&key, &[0]));
    eventually("it recovers", || (0..10).all(|_| bed.get(&good).status == 200));
    source.closes();
    eventually("it fails closed", || bed.get(&good).status == 503);
    says(&list(&key, &[0]));
    eventually("it recovers again", || (0..10).all(|_| bed.get(&good).status == 200));
}

in_both!(a_logout_in_envoy);

/// A logout by a real POST, for every worker; forged ones; and an Envoy that does not show bodies.
fn a_logout_in_envoy(version: &'static str) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let config = json!({
        "providers": { "p": {
            "issuer": ISSUER,
            "audiences": [AUDIENCE],
            "local_jwks": { "inline_string": jwks(&[&key]).to_string() },
        } },
        "revocation": { "logout": {
            "path": "/logout", "provider_name": "p", "client_ids": ["shop"] } },
    });
    let logout = |key: &SigningKey, name: &str| {
        let mut header = key.header();
        header["typ"] = json!("logout+jwt");
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let claims = json!({ "iss": ISSUER, "aud": "shop", "iat": now, "exp": now + 120,
            "jti": "l", "sub": name,
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} } });
        let token = key.sign_with_header(&header, claims.to_string().as_bytes());
        format!("logout_token={token}")
    };
    let post = |body: &str| {
        Request::new("POST", "/logout")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    };
    let mut plan = Plan { version, ..Plan::new(config.clone(), 1) };
    plan.option = Some(("allow_on_headers_stop_iteration", json!(true)));
    let bed = plan.start();
    let (alice, bob) = (token(&key, "alice"), token(&key, "bob"));
    assert_eq!((bed.get(&alice).status, bed.get(&bob).status), (200, 200));
    let forged = SigningKey::generate(Alg::ES256, "k");
    let padded = format!("x={}&{}", "y".repeat(20_000), logout(&key, "alice"));
    for bad in ["", "x", "logout_token=a.b.c", &logout(&forged, "alice"), &padded] {
        let answer = bed.send(&post(bad));
        assert_eq!(answer.status, 400, "{bad:.40}");
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    }
    assert_eq!(bed.get(&alice).status, 200);
    let answer = bed.send(&post(&logout(&key, "alice")));
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    let since = Instant::now();
    eventually("every worker knows", || (0..20).all(|_| bed.get(&alice).status == 401));
    println!("every worker knows after {:?} ({version})", since.elapsed());
    assert!(since.elapsed() < Duration::from_secs(5));
    assert_eq!(bed.get(&bob).status, 200);
    assert_eq!(bed.send(&post(&logout(&key, "bob"))).status, 200);
    eventually("the second, too", || (0..20).all(|_| bed.get(&bob).status == 401));
    assert_eq!(bed.get(&alice).status, 401);
    assert_eq!(bed.counter("logout_taken"), 2);
    assert_eq!(bed.counter("logout_refused_for.signature"), 1);
    // Where Envoy does not show bodies, nobody waits for ever, and the log says why.
    let bed = Plan { version, ..Plan::new(config, 1) }.start();
    let answer = bed.send(&post(&logout(&key, "alice")).timeout(Duration::from_secs(20)));
    assert_eq!(answer.status, 503);
    assert!(bed.log().contains("allow_on_headers_stop_iteration"));
    assert_eq!(bed.get(&alice).status, 200);
}
