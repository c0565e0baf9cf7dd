//! Issuers that answer oddly: what is tolerated, what is not, and how it is told.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use jwt_gate_demo::envoy::{OLDEST, PINNED};
use jwt_gate_demo::http::Request;
use jwt_gate_demo::issuer::{Fault, Issuer, IssuerOptions};
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

use crate::bed::{AUDIENCE, Bed, ISSUER, Plan, config, eventually, in_both, issuer, serve};

/// An issuer that answers every request with the same octets, whatever they are.
struct Parrot {
    address: SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Parrot {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&answer);
        // Ends with the test process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut request = [0; 4096];
                let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                let _ = stream.read(&mut request);
                let answer = shared.lock().unwrap().clone();
                let _ = stream.write_all(&answer);
            }
        });
        Self { address, answer }
    }

    fn says(&self, answer: impl Into<Vec<u8>>) {
        *self.answer.lock().unwrap() = answer.into();
    }
}

fn plain(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{headers}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A configuration that fetches every second, however the last fetch went.
fn eager() -> Value {
    let mut configuration = config("http");
    let remote = &mut configuration["providers"]["p"]["remote_jwks"];
    remote["cache_duration"] = json!("1s");
    remote["async_fetch"] = json!({"failed_refetch_duration": "0.2s"});
    configuration
}

fn good_token(key: &SigningKey) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    key.sign(&json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "exp": now + 600}))
}

#[test]
fn odd_answers_with_good_keys_are_taken() {
    for version in [PINNED, OLDEST] {
        let parrot = Parrot::start();
        parrot.says("HTTP/1.1 500 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let bed = Plan { version, ..Plan::new(eager(), parrot.address.port()) }.start();
        for (index, what) in [
            "wrong content type",
            "byte order mark",
            "chunked",
            "until the end of the connection",
            "one bad key among good ones",
            "a kid twice",
        ]
        .into_iter()
        .enumerate()
        {
            // Another key each time, so that a pass shows that this answer was read.
            let key = SigningKey::generate(Alg::ES256, &format!("key {index}"));
            let other = SigningKey::generate(Alg::ES256, &format!("key {index}"));
            let set = jwks(&[&key]).to_string();
            let length = |set: &str| format!("content-length: {}", set.len());
            parrot.says(match what {
                "wrong content type" => {
                    plain(&format!("content-type: text/html\r\n{}", length(&set)), set.as_bytes())
                }
                "byte order mark" => {
                    let marked = format!("\u{feff}{set}");
                    plain(&length(&marked), marked.as_bytes())
                }
                "chunked" => {
                    let (first, second) = set.split_at(20);
                    let body =
                        format!("14\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", second.len());
                    plain("transfer-encoding: chunked", body.as_bytes())
                }
                "until the end of the connection" => plain("x: y", set.as_bytes()),
                "one bad key among good ones" => {
                    let set = json!({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}, 5,
                        key.public_jwk()]});
                    plain(&length(&set.to_string()), set.to_string().as_bytes())
                }
                _ => {
                    let set = jwks(&[&other, &key]).to_string();
                    plain(&length(&set), set.as_bytes())
                }
            });
            let token = good_token(&key);
            eventually(what, || bed.get(&token).status == 200);
        }
        for told in
            ["keys[0] is not used: the key is too short", "keys[1] is not used: a key must be"]
        {
            eventually(told, || bed.log().contains(told));
        }
    }
}

in_both!(bad_answers_are_told_by_their_cause);

/// The causes in counters and log; good keys survive all of them.
fn bad_answers_are_told_by_their_cause(version: &'static str) {
    let parrot = Parrot::start();
    let key = SigningKey::generate(Alg::ES256, "k");
    let set = jwks(&[&key]).to_string();
    let good = plain(&format!("content-length: {}", set.len()), set.as_bytes());
    parrot.says(good.clone());
    let bed = Plan { version, ..Plan::new(eager(), parrot.address.port()) }.start();
    let token = good_token(&key);
    assert_eq!(bed.get(&token).status, 200);
    let with_length =
        |body: &str| plain(&format!("content-length: {}", body.len()), body.as_bytes());
    let private = json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "AA"}]});
    let status = |line: &str| {
        format!("HTTP/1.1 {line}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").into_bytes()
    };
    for (cause, answer, told) in [
        ("status", status("404 x"), "has status 404"),
        (
            "redirect",
            status("302 x\r\nlocation: https://elsewhere.test/keys?secret=1"),
            "this one is to https://elsewhere.test/keys; ",
        ),
        ("status", status("304 x"), "has status 304"),
        ("body_not_json", with_length("<html>not found</html>"), "is not a JSON object"),
        ("body_not_json", with_length(set.get(..50).unwrap()), "is not a JSON object"),
        ("body_no_usable_key", with_length("{\"keys\":[]}"), "holds no key"),
        ("body_no_usable_key", with_length(&private.to_string()), "private half"),
        ("body_no_keys", with_length("{}"), "has no list `keys`"),
        (
            "body_too_large",
            with_length(&format!("{{\"keys\":[{}1]}}", "1,".repeat(300))),
            "too large",
        ),
        ("body_too_large", with_length(&" ".repeat(600_000)), "is too large"),
        (
            "content_coding",
            plain("content-encoding: gzip\r\ncontent-length: 2", b"\x1f\x8b"),
            "compressed",
        ),
    ] {
        let counter = format!("provider.p.jwks_fetch_failed_for.{cause}");
        let before = bed.counter(&counter);
        parrot.says(answer);
        eventually(cause, || bed.counter(&counter) > before);
        eventually(told, || bed.log().contains(told));
        assert_eq!(bed.get(&token).status, 200, "{cause}");
        let before = bed.counter("jwks_fetch_success");
        parrot.says(good.clone());
        eventually("recovery", || bed.counter("jwks_fetch_success") > before);
    }
    assert!(!bed.log().contains("secret"), "queries stay out of the log");
}

in_both!(fetches_that_cannot_be_sent);

/// A cluster that does not exist, and a host that refuses connections.
fn fetches_that_cannot_be_sent(version: &'static str) {
    for (cluster, port, cause) in [("nowhere", 1, "dispatch"), ("issuer", 1, "status")] {
        let mut configuration = eager();
        configuration["providers"]["p"]["remote_jwks"]["http_uri"]["cluster"] = json!(cluster);
        let bed = Plan { version, ..Plan::new(configuration, port) }.start();
        let answer = bed.get(&good_token(&SigningKey::generate(Alg::ES256, "k")));
        assert_eq!((answer.status, answer.text()), (503, "Jwks remote fetch is failed".to_owned()));
        assert!(bed.counter(&format!("provider.p.jwks_fetch_failed_for.{cause}")) > 0, "{cluster}");
        eventually("the log says so", || bed.log().contains("there are no keys"));
    }
}

/// An issuer whose documents name `http://issuer.test`, where the cluster `issuer` leads.
fn discovered(document: Option<&str>) -> (Issuer, Value) {
    let issuer = Issuer::new(IssuerOptions {
        issuer: "http://issuer.test".to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithm: Alg::ES256,
        ..IssuerOptions::default()
    });
    let mut configuration = config("http");
    let provider = &mut configuration["providers"]["p"];
    provider["issuer"] = json!("http://issuer.test");
    provider["remote_jwks"] = json!({ "discovery": { "cluster": "issuer", "timeout": "2s" } });
    if let Some(document) = document {
        provider["remote_jwks"]["discovery"]["document"] = json!(document);
    }
    (issuer, configuration)
}

#[test]
fn an_issuer_is_discovered_by_its_metadata() {
    for (version, document) in [
        (PINNED, None),
        (PINNED, Some("openid-configuration")),
        (PINNED, Some("oauth-authorization-server")),
        (OLDEST, None),
    ] {
        let (issuer, configuration) = discovered(document);
        let server = serve(&issuer, None);
        let bed = Plan { version, ..Plan::new(configuration, server.addr().port()) }.start();
        assert_eq!(bed.get(&issuer.mint(json!({}))).status, 200, "{document:?}");
        assert_eq!(issuer.jwks_fetches(), 1);
        issuer.rotate();
        assert_eq!(bed.get(&issuer.mint(json!({}))).status, 200);
        assert_eq!(issuer.jwks_fetches(), 2);
    }
}

in_both!(keys_on_a_host_without_a_cluster_are_a_clear_error);
fn keys_on_a_host_without_a_cluster_are_a_clear_error(version: &'static str) {
    let (issuer, configuration) = discovered(None);
    issuer.set_jwks_uri("https://keys.elsewhere.test/jwks.json");
    let server = serve(&issuer, None);
    let bed = Plan { version, ..Plan::new(configuration.clone(), server.addr().port()) }.start();
    assert_eq!(bed.get(&issuer.mint(json!({}))).status, 503);
    assert!(bed.counter("provider.p.jwks_fetch_failed_for.metadata_no_cluster") > 0);
    let told =
        "has its `jwks_uri` on `keys.elsewhere.test`, for which `discovery.clusters` names no";
    eventually(told, || bed.log().contains(told));

    let mut configuration = configuration;
    configuration["providers"]["p"]["remote_jwks"]["discovery"]["clusters"] =
        json!({"keys.elsewhere.test": "issuer"});
    let bed = Plan { version, ..Plan::new(configuration, server.addr().port()) }.start();
    assert_eq!(bed.get(&issuer.mint(json!({}))).status, 200);
}

in_both!(unchanged_sets_are_not_sent_again);
fn unchanged_sets_are_not_sent_again(version: &'static str) {
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let mut configuration = eager();
    configuration["providers"]["p"]["remote_jwks"]["request_headers"] =
        json!([{"key": "x-api-key", "value": "k3y"}]);
    let bed = Plan { version, ..Plan::new(configuration, server.addr().port()) }.start();
    let token = issuer.mint(json!({}));
    assert_eq!(bed.get(&token).status, 200);
    eventually("nothing has changed", || issuer.not_modified() > 1);
    assert_eq!(issuer.last_fetch_header("x-api-key").as_deref(), Some("k3y"));
    assert_eq!(bed.get(&token).status, 200);
    assert_eq!(bed.counter("provider.p.jwks_changed"), 1);
    issuer.rotate();
    eventually("the new set is taken", || bed.counter("provider.p.jwks_changed") == 2);
    assert_eq!(bed.get(&issuer.mint(json!({}))).status, 200);
}

in_both!(issuers_say_how_long_their_keys_may_be_kept);

/// The issuer's `Cache-Control` counts, within bounds.
fn issuers_say_how_long_their_keys_may_be_kept(version: &'static str) {
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let set = issuer.jwks().to_string();
    let say = |cache: &str| {
        let headers = vec![("cache-control", cache.to_owned())];
        issuer.set_fault(Fault::Answer(200, headers, set.clone().into_bytes()));
    };
    say("max-age=2");
    let mut configuration = config("http");
    configuration["providers"]["p"]["remote_jwks"]["min_cache_duration"] = json!("1s");
    let bed = Plan { version, ..Plan::new(configuration, server.addr().port()) }.start();
    let token = issuer.mint(json!({}));
    assert_eq!(bed.get(&token).status, 200);
    eventually("it is fetched again", || issuer.jwks_fetches() >= 3);
    say("max-age=86400");
    let fetches = issuer.jwks_fetches();
    eventually("the last short-lived one is over", || issuer.jwks_fetches() > fetches);
    let fetches = issuer.jwks_fetches();
    thread::sleep(Duration::from_secs(3));
    assert_eq!(issuer.jwks_fetches(), fetches);
}

in_both!(pinned_keys_serve_until_the_first_fetch);
fn pinned_keys_serve_until_the_first_fetch(version: &'static str) {
    let issuer = issuer(Alg::ES256);
    let address = serve(&issuer, None).addr();
    let mut configuration = eager();
    let provider = &mut configuration["providers"]["p"];
    provider["local_jwks"] = json!({"inline_string": issuer.jwks().to_string()});
    provider["local_jwks_is_fallback"] = json!(true);
    let bed = Plan { version, ..Plan::new(configuration, address.port()) }.start();
    let pinned = issuer.mint(json!({}));
    assert_eq!(bed.get(&pinned).status, 200, "the issuer is not there at all");
    eventually("the log says so", || bed.log().contains("the keys of `local_jwks` are used"));
    // Once the issuer is there, its word counts.
    let other = crate::bed::issuer(Alg::ES256);
    let _server = jwt_gate_demo::serve::Server::start(address, other.router(), None).unwrap();
    eventually("the issuer's own keys are used", || {
        bed.get(&other.mint(json!({}))).status == 200 && bed.get(&pinned).status == 401
    });
}

in_both!(metrics_have_labels);

/// The lines of `stats_config` that the documentation gives turn names into labels.
fn metrics_have_labels(version: &'static str) {
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let mut configuration = config("http");
    let provider = configuration["providers"]["p"].take();
    configuration["providers"] = json!({ "main issuer": provider });
    configuration["stat_prefix"] = json!("edge");
    let plan = Plan::new(configuration, server.addr().port());
    let change_bootstrap = |bootstrap: &mut Value| {
        let text = include_str!("../../docs/metrics-and-reasons.md");
        let (_, rest) = text.split_once("```yaml\nstats_config:").unwrap();
        let (block, _) = rest.split_once("```").unwrap();
        let tags: Vec<Value> = block
            .split("- tag_name: ")
            .skip(1)
            .map(|tag| {
                let (name, regex) = tag.split_once("regex: ").unwrap();
                let regex = regex.trim().trim_matches('\'');
                json!({ "tag_name": name.trim(), "regex": regex })
            })
            .collect();
        assert!(tags.len() >= 3, "{block}");
        bootstrap["stats_config"] = json!({ "stats_tags": tags });
    };
    let bed = Plan { version, change_bootstrap, ..plan }.start();
    assert_eq!(bed.get(&issuer.mint(json!({}))).status, 200);
    assert_eq!(bed.send(&Request::get("/")).status, 401);
    bed.counter("allowed");
    let page = bed.envoy.admin_get("/stats/prometheus").unwrap().text();
    for line in [
        "jwt_gate_allowed{jwt_gate_prefix=\"edge\"} 1",
        "jwt_gate_denied_for{jwt_gate_prefix=\"edge\",jwt_gate_reason=\"token_missing\"} 1",
        "jwt_gate_provider_jwks_fetch_success{jwt_gate_prefix=\"edge\",jwt_gate_provider=\"main_issuer\"} 1",
        "jwt_gate_provider_jwks_keys{jwt_gate_prefix=\"edge\",jwt_gate_provider=\"main_issuer\"} 1",
    ] {
        assert!(page.contains(line), "{line}\n{}", wasm_lines(&bed, &page));
    }
}

fn wasm_lines(_: &Bed, page: &str) -> String {
    page.lines().filter(|line| line.contains("jwt_gate")).collect::<Vec<_>>().join("\n")
}
