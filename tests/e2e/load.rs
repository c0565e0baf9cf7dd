//! Mixed traffic while everything around the gate fails. Of every request it is known beforehand which
//! answers are right, and each answer is held against that: nobody gets in who may not, and nobody is
//! refused who may, but for 503 where keys can truly not be had.
//!
//! `JWT_GATE_LOAD_SECONDS` makes each phase longer.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use jwt_gate_demo::backend::FAULT;
use jwt_gate_demo::http::{Connection, Request, Response};
use jwt_gate_demo::keys::{Alg, SigningKey, jwks, random_id};
use serde_json::{Value, json};

use crate::bed::{AUDIENCE, Bed, ISSUER, Plan, config, eventually};

/// How an issuer can be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Fine,
    Status,
    Garbage,
    Reset,
    Hang,
    /// An octet at a time, and never done before the fetch is given up.
    Drip,
}

/// How many of the newest keys are published. At 150 ms each it takes half a minute until one is withdrawn,
/// longer than any request waits: one whose key is gone meanwhile is refused with 401, and rightly.
const PUBLISHED: usize = 200;

const STORMS: [Mood; 5] = [Mood::Status, Mood::Garbage, Mood::Reset, Mood::Hang, Mood::Drip];

/// What everybody looks at.
struct World {
    mood: Mutex<Mood>,
    /// All keys so far; the last one is the newest. The issuer publishes the first and the newest ones.
    keys: Mutex<Vec<SigningKey>>,
    /// Even while the issuer is fine and known to be, odd while it is not.
    epoch: AtomicU64,
    /// Nobody begins anything any more.
    over: AtomicBool,
    /// Listeners may close.
    draining: AtomicBool,
    numbers: AtomicU64,
    /// How many requests got an answer of each kind.
    tally: Mutex<BTreeMap<String, u64>>,
    wrong: Mutex<Vec<String>>,
}

impl World {
    fn published(&self) -> String {
        let keys = self.keys.lock().unwrap();
        let newest = keys.len().saturating_sub(PUBLISHED).max(1);
        jwks(&keys[..1].iter().chain(&keys[newest..]).collect::<Vec<_>>()).to_string()
    }

    fn count(&self, what: String) {
        *self.tally.lock().unwrap().entry(what).or_default() += 1;
    }

    fn rotate(&self) {
        let mut keys = self.keys.lock().unwrap();
        let name = format!("key {}", keys.len());
        keys.push(SigningKey::generate(Alg::ES256, &name));
    }
}

/// Serves the keys, in its mood.
fn serve_keys(world: &Arc<World>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let world = Arc::clone(world);
    // Ends with the test process.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let world = Arc::clone(&world);
            thread::spawn(move || answer(stream, &world));
        }
    });
    port
}

fn answer(mut stream: TcpStream, world: &World) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    let mood = *world.mood.lock().unwrap();
    // Octets that nobody read make the end of the connection a reset.
    if mood == Mood::Reset {
        return;
    }
    let _ = stream.read(&mut [0; 4096]);
    let whole = |status: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let text = match mood {
        Mood::Status => whole("500 x", ""),
        Mood::Garbage => whole("200 OK", "{\"keys\":[{\"kty\":"),
        _ => whole("200 OK", &world.published()),
    };
    match mood {
        Mood::Hang => thread::sleep(Duration::from_secs(4)),
        Mood::Drip => {
            for octet in text.as_bytes() {
                if stream.write_all(&[*octet]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        _ => drop(stream.write_all(text.as_bytes())),
    }
}

/// Which token a request brings.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    Known,
    /// By the newest key, which the gate may not have seen.
    Fresh,
    Forged,
    Expired,
    Missing,
    UnknownKey,
    OtherAudience,
    AlgNone,
}

const TOKENS: [Token; 12] = [
    Token::Known,
    Token::Known,
    Token::Known,
    Token::Known,
    Token::Fresh,
    Token::Fresh,
    Token::Forged,
    Token::Expired,
    Token::Missing,
    Token::UnknownKey,
    Token::OtherAudience,
    Token::AlgNone,
];

/// A request, and what is known of it beforehand.
struct Case {
    number: u64,
    token: Token,
    fault: Option<&'static str>,
    body: usize,
    text: Option<String>,
    sub: String,
    epoch: u64,
}

impl Case {
    fn new(world: &World) -> Self {
        let number = world.numbers.fetch_add(1, Ordering::Relaxed);
        let pick = |sides: usize, salt: u64| {
            let mixed = (number ^ salt << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33;
            usize::try_from(mixed).unwrap_or_default() % sides
        };
        let token = TOKENS[pick(TOKENS.len(), 1)];
        let epoch = world.epoch.load(Ordering::SeqCst);
        let sub = format!("user {number}");
        Self {
            number,
            token,
            fault: [None, None, None, Some("status"), Some("reset")][pick(5, 2)],
            body: [0, 0, 10, 5_000, 200_000][pick(5, 3)],
            text: make(world, token, &sub),
            sub,
            epoch,
        }
    }

    fn request(&self) -> Request {
        let method = if self.body > 0 { "POST" } else { "GET" };
        let mut request = Request::new(method, format!("/{}", self.number))
            .header("x-id", self.number.to_string())
            .body(vec![b'x'; self.body]);
        if let Some(token) = &self.text {
            request = request.bearer(token);
        }
        if let Some(fault) = self.fault {
            request = request.header(FAULT, fault);
        }
        request
    }

    /// Holds an answer against what is right.
    fn check(&self, world: &World, answer: &Response) {
        let now = world.epoch.load(Ordering::SeqCst);
        let calm = self.epoch == now && now.is_multiple_of(2);
        let unavailable =
            answer.status == 503 && answer.text() == "Jwks remote fetch is failed" && !calm;
        let may_pass = matches!(self.token, Token::Known | Token::Fresh);
        let refused =
            |status: u16| answer.status == status && answer.header("www-authenticate").is_some();
        let right = match self.token {
            Token::Known => self.is_through(answer),
            Token::Fresh => self.is_through(answer) || unavailable,
            Token::UnknownKey => refused(401) || unavailable,
            Token::OtherAudience => refused(403),
            Token::Forged | Token::Expired | Token::Missing | Token::AlgNone => refused(401),
        };
        let kind = match (right, may_pass, unavailable) {
            (false, ..) => "wrong",
            (_, _, true) => "no keys to be had",
            (_, true, _) => "let through",
            (_, false, _) => "refused",
        };
        world.count(kind.to_owned());
        if !right {
            world.wrong.lock().unwrap().push(format!(
                "request {} ({:?}, {:?}, epoch {} to {now}): {} {:?}",
                self.number,
                self.token,
                self.fault,
                self.epoch,
                answer.status,
                answer.text(),
            ));
        }
    }

    /// Whether the backend had the request, and this one.
    fn is_through(&self, answer: &Response) -> bool {
        match self.fault {
            Some("status") => answer.status == 503 && answer.header(FAULT).is_some(),
            Some(_) => answer.status == 503 && answer.text().starts_with("upstream connect error"),
            None => answer.json().is_ok_and(|echo| {
                let has = |name: &str, value: &str| {
                    let headers = echo["headers"].as_array();
                    headers.is_some_and(|all| all.contains(&json!([name, value])))
                };
                answer.status == 200
                    && has("x-id", &self.number.to_string())
                    && has("x-sub", &self.sub)
                    && echo["body_bytes"] == self.body
            }),
        }
    }
}

fn make(world: &World, token: Token, sub: &str) -> Option<String> {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let mut claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": sub, "exp": now + 600 });
    let keys = world.keys.lock().unwrap();
    let (known, newest) = (keys.first().unwrap().clone(), keys.last().unwrap().clone());
    drop(keys);
    Some(match token {
        Token::Missing => return None,
        Token::Known => known.sign(&claims),
        Token::Fresh => newest.sign(&claims),
        Token::Forged => SigningKey::generate(Alg::ES256, known.kid()).sign(&claims),
        Token::UnknownKey => SigningKey::generate(Alg::ES256, &random_id()).sign(&claims),
        Token::Expired => {
            claims["exp"] = json!(now - 600);
            known.sign(&claims)
        }
        Token::OtherAudience => {
            claims["aud"] = json!("other");
            known.sign(&claims)
        }
        Token::AlgNone => {
            let header = json!({ "alg": "none", "kid": known.kid() });
            known.sign_with_header(&header, claims.to_string().as_bytes())
        }
    })
}

/// One request after the other over a connection that is kept.
fn steadily(world: &World, address: SocketAddr) {
    let mut connection = None;
    while !world.over.load(Ordering::SeqCst) {
        let case = Case::new(world);
        let sent = match &mut connection {
            Some(connection) => Connection::send(connection, &case.request()),
            None => match Connection::open(address) {
                Ok(opened) => connection.insert(opened).send(&case.request()),
                Err(error) => Err(error),
            },
        };
        match sent {
            Ok(answer) => {
                case.check(world, &answer);
                // Envoy closes what it has refused before it had the whole body.
                if answer.header("connection").is_some_and(|value| value == "close") {
                    connection = None;
                }
            }
            Err(error) => {
                connection = None;
                lost(world, &case, &error.to_string());
            }
        }
    }
}

/// No answer at all: fine where a listener is drained, or where a large body was cut off by a refusal.
fn lost(world: &World, case: &Case, error: &str) {
    let is_expected = world.draining.load(Ordering::SeqCst) || case.body > 100_000;
    world.count(if is_expected { "cut off" } else { "lost" }.to_owned());
    if !is_expected {
        world.wrong.lock().unwrap().push(format!("request {}: {error}", case.number));
    }
}

/// A client that takes its time, octet by octet.
fn slowly(world: &World, address: SocketAddr) {
    while !world.over.load(Ordering::SeqCst) {
        let case = Case { body: 0, fault: None, ..Case::new(world) };
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        let bearer = case.text.iter().map(|token| format!("authorization: Bearer {token}\r\n"));
        let text = format!(
            "GET /{0} HTTP/1.1\r\nhost: h\r\nx-id: {0}\r\nconnection: close\r\n{1}\r\n",
            case.number,
            bearer.collect::<String>()
        );
        for part in text.as_bytes().chunks(text.len() / 20 + 1) {
            if stream.write_all(part).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let mut answer = String::new();
        let _ = stream.set_read_timeout(Some(Duration::from_secs(15)));
        let read = stream.read_to_string(&mut answer);
        match (read, parse(&answer)) {
            (Ok(_), Some(answer)) => case.check(world, &answer),
            (read, _) => lost(world, &case, &format!("{read:?} {answer:?}")),
        }
    }
}

/// An answer with a length or in one chunk, as text.
fn parse(text: &str) -> Option<Response> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let headers: Vec<_> = headers.collect();
    let chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
    let body = match chunked {
        true => body.split_once("\r\n")?.1.split_once("\r\n0\r\n")?.0,
        false => body,
    };
    Some(Response { status, headers, body: body.into() })
}

/// Clients that go away while their requests wait for a key that does not exist.
fn impatiently(world: &World, address: SocketAddr) {
    while !world.over.load(Ordering::SeqCst) {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        let token = make(world, Token::UnknownKey, "nobody").unwrap();
        let text = format!("GET / HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\n\r\n");
        let _ = stream.write_all(text.as_bytes());
        thread::sleep(Duration::from_millis(30));
        drop(stream);
        world.count("gone".to_owned());
    }
}

/// Thirty requests at a time over one HTTP/2 connection, some of which are reset.
fn multiplexed(world: &Arc<World>, address: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    while !world.over.load(Ordering::SeqCst) {
        runtime.block_on(async {
            let Ok(stream) = tokio::net::TcpStream::connect(address).await else { return };
            let (executor, io) =
                (hyper_util::rt::TokioExecutor::new(), hyper_util::rt::TokioIo::new(stream));
            let Ok((sender, connection)) =
                hyper::client::conn::http2::handshake(executor, io).await
            else {
                return;
            };
            tokio::spawn(connection);
            let mut tasks = tokio::task::JoinSet::new();
            for index in 0..30 {
                let (case, world, sender) = (Case::new(world), Arc::clone(world), sender.clone());
                tasks.spawn(async move {
                    let asked = ask_multiplexed(sender, &case);
                    if index % 6 == 5 {
                        // The stream is reset while it may wait for keys.
                        let _ = tokio::time::timeout(Duration::from_millis(40), asked).await;
                        world.count("gone".to_owned());
                        return;
                    }
                    match asked.await {
                        Ok(answer) => case.check(&world, &answer),
                        Err(error) => lost(&world, &case, &error.to_string()),
                    }
                });
            }
            while tasks.join_next().await.is_some() {}
        });
    }
}

async fn ask_multiplexed(
    mut sender: hyper::client::conn::http2::SendRequest<http_body_util::Full<hyper::body::Bytes>>,
    case: &Case,
) -> Result<Response, hyper::Error> {
    let method = if case.body > 0 { "POST" } else { "GET" };
    let mut request = http::Request::builder()
        .method(method)
        .uri(format!("http://gate.test/{}", case.number))
        .header("x-id", case.number);
    if let Some(token) = &case.text {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if let Some(fault) = case.fault {
        request = request.header(FAULT, fault);
    }
    let body = hyper::body::Bytes::from(vec![b'x'; case.body]);
    let request = request.body(http_body_util::Full::new(body)).unwrap();
    let answer = sender.send_request(request).await?;
    let (head, body) = answer.into_parts();
    let headers = head.headers.iter();
    Ok(Response {
        status: head.status.as_u16(),
        headers: headers.map(|(name, value)| (name.to_string(), value.as_bytes().into())).collect(),
        body: body.collect().await?.to_bytes().to_vec(),
    })
}

#[test]
fn one_worker_answers_rightly_whatever_fails() {
    run(1);
}

#[test]
fn two_workers_answer_rightly_whatever_fails() {
    run(2);
}

#[test]
fn four_workers_answer_rightly_whatever_fails() {
    run(4);
}

fn run(concurrency: u32) {
    let seconds = std::env::var("JWT_GATE_LOAD_SECONDS").ok().and_then(|text| text.parse().ok());
    let span = Duration::from_secs_f64(seconds.unwrap_or(0.4));
    let world = Arc::new(World {
        mood: Mutex::new(Mood::Fine),
        keys: Mutex::default(),
        epoch: AtomicU64::new(0),
        over: AtomicBool::new(false),
        draining: AtomicBool::new(false),
        numbers: AtomicU64::new(1),
        tally: Mutex::default(),
        wrong: Mutex::default(),
    });
    world.rotate();
    let mut configuration = config("http");
    let remote = &mut configuration["providers"]["p"]["remote_jwks"];
    remote["unknown_kid_cooldown"] = json!("0.2s");
    remote["async_fetch"] = json!({ "failed_refetch_duration": "0.5s" });
    let plan = Plan::new(configuration, serve_keys(&world));
    let mut bed = Plan { concurrency, change_bootstrap: no_limits, ..plan }.start();
    let address = bed.address;
    let vms = vms(&bed);
    // All workers have keys, so that a known token never waits.
    let known = make(&world, Token::Known, "first").unwrap();
    for _ in 0..20 * concurrency {
        assert_eq!(bed.get(&known).status, 200);
    }
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| steadily(&world, address));
        }
        scope.spawn(|| slowly(&world, address));
        scope.spawn(|| impatiently(&world, address));
        scope.spawn(|| multiplexed(&world, address));
        for mood in STORMS {
            rotate_for(&world, span);
            world.epoch.fetch_add(1, Ordering::SeqCst);
            *world.mood.lock().unwrap() = mood;
            // Long enough for requests to give up in one of them.
            let least = if mood == Mood::Hang { 6 } else { 0 };
            rotate_for(&world, span.max(Duration::from_secs(least)));
            *world.mood.lock().unwrap() = Mood::Fine;
            // It is known to be fine when keys of now are known to every worker.
            world.rotate();
            eventually("the issuer is back", || {
                let token = make(&world, Token::Fresh, "back").unwrap();
                (0..10 * concurrency).all(|_| bed.get(&token).status == 200)
            });
            world.epoch.fetch_add(1, Ordering::SeqCst);
        }
        rotate_for(&world, span);
        world.draining.store(true, Ordering::SeqCst);
        bed.envoy.admin_post("/drain_listeners?graceful&skip_exit").unwrap();
        rotate_for(&world, span.max(Duration::from_secs(1)));
        world.over.store(true, Ordering::SeqCst);
    });
    let wrong = world.wrong.lock().unwrap();
    let tally = world.tally.lock().unwrap();
    println!("{concurrency} workers: {tally:?}");
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(10)].join("\n")
    );
    for kind in ["let through", "refused", "no keys to be had", "gone"] {
        assert!(tally.get(kind).is_some_and(|count| *count > 0), "{kind}: {tally:?}");
    }
    println!("assured: {} cases, 0 exceptions", tally.values().sum::<u64>());
    check_health(&mut bed, &vms);
}

/// Keys change all the time.
fn rotate_for(world: &World, span: Duration) {
    let began = Instant::now();
    while began.elapsed() < span {
        world.rotate();
        thread::sleep(Duration::from_millis(150));
    }
}

/// Envoy's own limits would answer in the gate's place.
fn no_limits(bootstrap: &mut Value) {
    for cluster in bootstrap["static_resources"]["clusters"].as_array_mut().unwrap() {
        cluster["circuit_breakers"] = json!({ "thresholds": [{
            "max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000,
        }] });
    }
}

/// How many VMs there are, and how many there ever were.
pub fn vms(bed: &Bed) -> BTreeMap<String, u64> {
    let stats = bed.envoy.stats().unwrap();
    stats.into_iter().filter(|(name, _)| name.starts_with("wasm.envoy.wasm.runtime")).collect()
}

/// Envoy is alive, with the VMs that it began with, and nothing is left of any request.
pub fn check_health(bed: &mut Bed, vms_before: &BTreeMap<String, u64>) {
    assert!(bed.envoy.is_running());
    assert!(!vms_before.is_empty());
    assert_eq!(&vms(bed), vms_before, "a VM was lost");
    for gauge in [
        "wasmcustom.jwt_gate.provider.p.waiting",
        "http.ingress.downstream_rq_active",
        "cluster.backend.upstream_rq_active",
        "cluster.issuer.upstream_rq_active",
    ] {
        eventually(gauge, || bed.envoy.stats().unwrap().get(gauge) == Some(&0));
    }
    let log = bed.log();
    for word in ["panicked", "Plugin", "critical", "Wasm VM failed", "assert"] {
        let line = log.lines().find(|line| line.contains(word));
        assert_eq!(line, None, "Envoy complains");
    }
}
