//! Hostile requests through Envoy: each is refused, and the next good one still passes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use jwt_gate_demo::http::Request;
use jwt_gate_demo::issuer::Fault;
use jwt_gate_demo::keys::{Alg, SigningKey, base64url, jwks};
use serde_json::json;

use crate::bed::{Bed, Plan, config, issuer, seen, serve};

fn bed() -> (Bed, SigningKey) {
    let key = SigningKey::generate(Alg::ES256, "k");
    let configuration = json!({
        "providers": { "p": {
            "local_jwks": { "inline_string": jwks(&[&key]).to_string() },
            "claim_to_headers": [
                { "header_name": "x-user-id", "claim_name": "sub" },
                { "header_name": "x-evil", "claim_name": "evil" },
            ],
            "forward_payload_header": "x-payload",
        } },
        "rules": [
            { "match": { "path": "/open" } },
            { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
        ],
    });
    (Plan::new(configuration, 1).start(), key)
}

#[test]
fn odd_octets_and_sizes() {
    let (bed, key) = bed();
    let good = key.sign(&json!({"sub": "alice"}));
    let part = |json: &str| base64url(json);
    let header = part(r#"{"alg":"ES256","kid":"k"}"#);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let requests = vec![
        Request::get("/").header("authorization", b"Bearer \xff\xfe\x80".as_slice()),
        Request::get("/").header("authorization", b"\xff".repeat(100)),
        Request::get("/").header("x-other", b"\xc3\x28\xa0\xa1".as_slice()),
        Request::get("/").header("x-\u{fc}mlaut", "1"),
        Request::get(b"/\xff?access_token=\xff".as_slice()),
        Request::get("/?access_token=%ff%00%0d%0a&%=&=&%zz"),
        Request::get(format!("/{}", "a/".repeat(4_000))),
        Request::get("/").bearer(&"a".repeat(50_000)),
        Request::get("/").bearer(&"a.".repeat(20_000)),
        Request::get("/").bearer(&format!("{header}.{}.AAAA", part(&deep))),
        Request::get("/").bearer(&format!("{}.e30.AAAA", part(&deep))),
        Request::get("/").bearer(&format!("{header}.{}.AAAA", "A".repeat(45_000))),
        Request::get("/").bearer(&format!("{header}.e30.{}", "A".repeat(45_000))),
        Request::get("/").header("cookie", ";;=;\"=\";a=\"".repeat(500)),
        (0..90)
            .fold(Request::get("/"), |request, _| request.header("authorization", "Bearer a.b.c")),
        // Larger than Envoy takes at all.
        Request::get("/").bearer(&"a".repeat(80_000)),
    ];
    for (index, request) in requests.iter().enumerate() {
        // Envoy itself may answer, or close the connection; what matters is that nobody gets in.
        if let Ok(answer) = request.send(bed.address) {
            assert!((400..500).contains(&answer.status), "{index}: {}", answer.status);
        }
        assert_eq!(bed.get(&good).status, 200, "after {index}");
    }
    let logs = bed.log();
    assert!(!logs.contains("panicked") && !logs.contains("[critical]"), "{logs}");
}

#[test]
fn identity_headers_cannot_be_spoofed() {
    let (bed, key) = bed();
    let spoofed = |path: &str| {
        let names = [
            "x-user-id",
            "X-User-Id",
            "X_USER_ID",
            "x-user_id",
            "x-payload",
            "x_payload",
            "x-evil",
        ];
        names.iter().fold(Request::get(path), |request, name| request.header(name, "admin"))
    };
    let open = bed.send(&spoofed("/open"));
    assert_eq!(open.status, 200);
    assert!(!open.text().contains("admin"), "{}", open.text());

    // A claim with a line feed writes no header.
    let token = key.sign(&json!({"sub": "alice", "evil": "a\r\nx-user-id: admin"}));
    let answer = bed.send(&spoofed("/").bearer(&token));
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains("admin"), "{}", answer.text());
    assert_eq!(seen(&answer, "x-user-id"), ["alice"]);
    assert_eq!(seen(&answer, "x-evil"), [""; 0]);
}

#[test]
fn old_and_broken_http() {
    let (bed, key) = bed();
    let good = key.sign(&json!({"sub": "alice"}));
    for text in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET http://h/ HTTP/1.1\r\nhost: h\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\nhost: h:1\r\n\r\n",
        "HEAD / HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /open/../secret HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /open%2f HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET //open HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /OPEN HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /open;a=b HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: h\r\nauthorization: Bearer a\r\n b.c\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(bed.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = [0; 12];
        let read = stream.read_exact(&mut answer);
        if read.is_ok() {
            let status = String::from_utf8_lossy(&answer[9..12]).into_owned();
            assert!(status.starts_with('4'), "{text:?}: {status}");
        }
        assert_eq!(bed.get(&good).status, 200, "after {text:?}");
    }
}

/// Found in review: Envoy runs answers to waiting requests inside one another, and some three
/// hundred at once exhausted the VM's stack and ended it for good.
#[test]
fn a_thousand_waiting_requests_refused_at_once_do_no_harm() {
    let issuer = issuer(Alg::ES256);
    let server = serve(&issuer, None);
    let plan = Plan::new(config("http"), server.addr().port());
    let bed = Plan { concurrency: 1, ..plan }.start();
    let good = issuer.mint(json!({}));
    assert_eq!(bed.get(&good).status, 200);
    issuer.set_fault(Fault::Hang(Duration::from_millis(1_500)));
    // Let the cooldown pass, so that the first of them starts the look-up.
    thread::sleep(Duration::from_millis(2_100));
    let forged = issuer.mint_with_header(json!({}), json!({"kid": "invented"}));
    let request = Request::get("/").bearer(&forged);
    let answers: Vec<u16> = thread::scope(|scope| {
        let callers: Vec<_> = (0..1_000)
            .map(|_| scope.spawn(|| request.send(bed.address).map_or(0, |answer| answer.status)))
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let refused = answers.iter().filter(|status| matches!(status, 401 | 503)).count();
    assert_eq!(refused, 1_000, "{answers:?}");
    assert!(answers.iter().filter(|status| **status == 401).count() > 500, "{answers:?}");
    assert!(bed.counter("waited") > 500);
    assert_eq!(bed.get(&good).status, 200);
    assert!(!bed.log().contains("RangeError"));
}

/// Found in review: where Envoy sends the body through while the headers are held, a `Continue` for
/// the body sent all of it on.
#[test]
fn a_body_does_not_carry_held_headers_along() {
    let issuer = issuer(Alg::ES256);
    issuer.set_fault(Fault::Hang(Duration::from_millis(700)));
    let server = serve(&issuer, None);
    let mut plan = Plan::new(config("http"), server.addr().port());
    plan.option = Some(("allow_on_headers_stop_iteration", json!(true)));
    let bed = plan.start();
    let post = |token: &str| Request::new("POST", "/").bearer(token).body("hello");
    let forged = issuer.mint_with_header(json!({}), json!({"kid": "invented"}));
    let good = issuer.mint(json!({"sub": "alice"}));
    thread::scope(|scope| {
        let forged = scope.spawn(|| bed.send(&post(&forged)));
        let answer = bed.send(&post(&good));
        assert_eq!((answer.status, seen(&answer, "x-sub")), (200, vec!["alice".to_owned()]));
        assert_eq!(answer.json().unwrap()["body_bytes"], 5);
        assert_eq!(forged.join().unwrap().status, 401);
    });
    assert_eq!(bed.send(&post("a.b.c")).status, 401);
    assert_eq!(bed.send(&post(&forged)).status, 401);
    assert_eq!(bed.send(&post(&good)).status, 200);
}
