//! The story that the demo tells: what the gate lets through, what it refuses and
//! why, and that a key rotation goes unnoticed. Every answer is checked.

use std::fmt;
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::http::{Connection, Request, Response};

/// How long to wait for Envoy and the issuer to accept connections.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Callers who go on while the keys change.
const CALLERS: usize = 4;
/// Rotations, and how long the callers go on after each.
const ROTATIONS: usize = 2;
const BETWEEN_ROTATIONS: Duration = Duration::from_millis(1500);

/// What did not go as it should, one sentence each.
#[derive(Debug)]
pub struct Failures(pub Vec<String>);

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of the expectations failed:", self.0.len())?;
        self.0.iter().try_for_each(|what| writeln!(f, "  {what}"))
    }
}

impl std::error::Error for Failures {}

/// Where the story takes place: addresses (`host:port`) that speak plain HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Envoy, with the gate.
    pub envoy: &'a str,
    /// The issuer, with its `/demo` routes.
    pub issuer: &'a str,
    /// Envoy, with the page.
    pub page: &'a str,
}

/// Plays the story. Goes on after a failed expectation, so that one run shows them all.
pub fn run(places: &Places<'_>, out: &mut dyn Write) -> Result<(), Failures> {
    let Places { envoy, issuer, page } = *places;
    let mut story = Story { envoy, issuer, page, out, step: 0, failures: Vec::new() };
    if let Err(error) = story.play() {
        story.failures.push(error);
    }
    match story.failures.is_empty() {
        true => {
            story.say("\nEverything went as it should.");
            Ok(())
        }
        false => Err(Failures(story.failures)),
    }
}

struct Story<'a> {
    envoy: &'a str,
    issuer: &'a str,
    page: &'a str,
    out: &'a mut dyn Write,
    step: usize,
    failures: Vec<String>,
}

impl Story<'_> {
    fn play(&mut self) -> Result<(), String> {
        wait_for(self.envoy)?;
        wait_for(self.issuer)?;
        let token = self.login()?;
        self.admitted(&token);
        self.spoofed(&token);
        self.refusals(&token)?;
        self.scopes(&token)?;
        self.rotation(token)?;
        self.in_the_browser()
    }

    fn login(&mut self) -> Result<String, String> {
        self.title("Alice logs in: the rule for /login asks for no token");
        let credentials = json!({"username": "alice", "password": "wonderland"});
        self.say(&format!("   > POST /login {credentials}"));
        let login = Request::post_json("/login", &credentials)
            .send(self.envoy)
            .map_err(|error| format!("1. POST /login: {error}"))?;
        self.show(&login);
        self.expect_status(&login, 200);
        let token = token_in(&login).ok_or("1. the issuer gave no token")?;
        let claims = token.split('.').nth(1).and_then(decode);
        self.expect(claims.is_some(), "the token's claims cannot be decoded");
        self.say(&format!("     claims {}", claims.unwrap_or_default()));
        Ok(token)
    }

    fn admitted(&mut self, token: &str) {
        self.title("A call with the token reaches the backend, which sees the claims as headers");
        let Some(answer) = self.call(&[], Some(token)) else {
            return;
        };
        self.expect_status(&answer, 200);
        let seen = self.show_seen(&answer);
        self.expect_seen(&seen, "x-jwt-sub", &["alice"]);
        self.expect_seen(&seen, "x-jwt-scope", &["orders:read orders:write"]);
        self.expect_seen(&seen, "x-jwt-country", &["GB"]);
        self.expect_seen(&seen, "authorization", &[]);
        let payload = values(&seen, "x-jwt-payload").first().and_then(|it| decode(it));
        self.expect(
            payload.is_some_and(|claims| claims["sub"] == "alice"),
            "x-jwt-payload does not hold the claims",
        );
    }

    fn spoofed(&mut self, token: &str) {
        self.title("A client cannot choose who it is: its own x-jwt-sub is replaced");
        let Some(answer) = self.call(&[("x-jwt-sub", "admin")], Some(token)) else {
            return;
        };
        self.expect_status(&answer, 200);
        let seen = self.show_seen(&answer);
        self.expect_seen(&seen, "x-jwt-sub", &["alice"]);
    }

    fn refusals(&mut self, token: &str) -> Result<(), String> {
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            return Err("the issuer's token does not have three parts".to_owned());
        };
        let changed = if signature.starts_with('A') { "B" } else { "A" };
        let other_signature = format!("{header}.{payload}.{changed}{}", &signature[1..]);
        let mut claims = decode(payload).unwrap_or_default();
        claims["sub"] = "admin".into();
        let other_payload = format!("{header}.{}.{signature}", encode(&claims));
        let no_alg = encode(&json!({"alg": "none", "typ": "JWT"}));
        // With a third part: a token without one is refused for its form.
        let unsigned = format!("{no_alg}.{payload}.{signature}");
        let expired = self.mint(&json!({"exp": 1_000_000_000}))?;
        let audience = self.mint(&json!({"aud": "someone-else"}))?;
        let issuer = self.mint(&json!({"iss": "https://evil.demo.test"}))?;

        self.refused("No token", None, 401, "Jwt is missing");
        let forged = "Jwt verification fails";
        self.refused("A changed signature", Some(&other_signature), 401, forged);
        self.refused("A changed claim under the old signature", Some(&other_payload), 401, forged);
        self.refused("An expired token", Some(&expired), 401, "Jwt is expired");
        self.refused(
            "A token for another service",
            Some(&audience),
            403,
            "Audiences in Jwt are not allowed",
        );
        self.refused(
            "A token of another issuer",
            Some(&issuer),
            401,
            "Jwt issuer is not configured",
        );
        self.refused(
            "A token with the algorithm \"none\"",
            Some(&unsigned),
            401,
            "Jwt header [alg] is not supported",
        );
        Ok(())
    }

    fn refused(&mut self, title: &str, token: Option<&str>, status: u16, body: &str) {
        self.title(&format!("{title}: refused"));
        let Some(answer) = self.call(&[], token) else {
            return;
        };
        self.show(&answer);
        self.expect_status(&answer, status);
        self.expect(
            answer.text() == body,
            &format!("the body is {:?}, not {body:?}", answer.text()),
        );
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        self.expect(
            challenge.starts_with("Bearer realm=")
                && challenge.contains("invalid_token") == token.is_some(),
            &format!("WWW-Authenticate is {challenge:?}"),
        );
    }

    /// Reading is for every token, writing for those with a scope.
    fn scopes(&mut self, token: &str) -> Result<(), String> {
        self.title("To write, a token needs the scope orders:write; without it: refused");
        let reader = self.mint(&json!({"scope": "orders:read"}))?;
        for (scope, token, status) in [("orders:read", &*reader, 403), ("both", token, 200)] {
            self.say(&format!("   > POST /orders\n     authorization: Bearer eyJ… ({scope})"));
            let answer = Request::new("POST", "/orders")
                .bearer(token)
                .send(self.envoy)
                .map_err(|error| format!("POST /orders: {error}"))?;
            match status {
                200 => self.say(&format!("   < {}", answer.status)),
                _ => self.show(&answer),
            }
            self.expect_status(&answer, status);
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            self.expect(
                challenge.contains("insufficient_scope") == (status == 403),
                &format!("WWW-Authenticate is {challenge:?}"),
            );
        }
        Ok(())
    }

    /// What a browser asks for: the page with its files, calls through the gate, and the counters.
    fn in_the_browser(&mut self) -> Result<(), String> {
        self.title("The same in a browser: the page, and what it asks for");
        wait_for(self.page)?;
        let page = self.page;
        let get = |path: &str| {
            Request::get(path).send(page).map_err(|error| format!("GET {path}: {error}"))
        };
        for path in ["/", "/demo/page.css", "/demo/page.js", "/demo/stats", "/jwks.json"] {
            let answer = get(path)?;
            self.say(&format!("   > GET {path}\n   < {}", answer.status));
            self.expect_status(&answer, 200);
        }
        let refused = get("/orders")?;
        self.say("   > GET /orders");
        self.show(&refused);
        self.expect_status(&refused, 401);
        let path = "/stats/prometheus?filter=wasmcustom";
        let counters = get(path)?;
        let told =
            counters.text().lines().filter(|line| line.starts_with("jwt_gate_denied_for{")).count();
        self.say(&format!("   > GET {path}\n   < {}, {told} reasons with counts", counters.status));
        self.expect_status(&counters, 200);
        self.expect(told > 5, "the counters do not have the refusals of this story");
        for (method, path) in
            [("POST", "/stats/prometheus"), ("GET", "/config_dump"), ("POST", "/quitquitquit")]
        {
            let answer = Request::new(method, path)
                .send(self.page)
                .map_err(|error| format!("{method} {path}: {error}"))?;
            // Not Envoy's admin interface: the way of all requests, through the gate.
            self.expect(
                answer.status == 401,
                &format!("{method} {path} answers {}", answer.status),
            );
        }
        Ok(())
    }

    fn rotation(&mut self, token: String) -> Result<(), String> {
        self.title("The issuer rotates its key under load: no call fails");
        let token = RwLock::new(token);
        let done = AtomicBool::new(false);
        let good = AtomicU64::new(0);
        let bad = RwLock::new(Vec::new());
        let rotations = thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| {
                    let mut connection = None;
                    while !done.load(Ordering::Relaxed) {
                        let now = read(&token).clone();
                        match keep_calling(&mut connection, self.envoy, &now) {
                            Ok(answer) if answer.status == 200 => {
                                good.fetch_add(1, Ordering::Relaxed);
                            }
                            Ok(answer) => {
                                write(&bad).push(format!("{} {}", answer.status, answer.text()))
                            }
                            Err(error) => write(&bad).push(error.to_string()),
                        }
                        // A load that leaves the machine to others.
                        thread::sleep(Duration::from_millis(2));
                    }
                });
            }
            let rotations = self.rotate(&token);
            // Whatever happened: the callers must end, or the scope never does.
            done.store(true, Ordering::Relaxed);
            rotations
        });
        rotations?;
        let bad = read(&bad).clone();
        let good = good.into_inner();
        self.say(&format!("   {CALLERS} callers, {good} calls admitted, {} failed", bad.len()));
        self.expect(good > 0, "no call was admitted");
        self.expect(
            bad.is_empty(),
            &format!("{} calls failed, the first with {:?}", bad.len(), bad.first()),
        );
        Ok(())
    }

    fn rotate(&mut self, token: &RwLock<String>) -> Result<(), String> {
        for _ in 0..ROTATIONS {
            thread::sleep(BETWEEN_ROTATIONS);
            let answer = Request::new("POST", "/demo/rotate")
                .send(self.issuer)
                .map_err(|error| format!("/demo/rotate: {error}"))?;
            self.say(&format!("   the issuer signs with a new key: {}", answer.text()));
            *write(token) = self.mint(&json!({}))?;
        }
        thread::sleep(BETWEEN_ROTATIONS);
        Ok(())
    }

    /// `GET /orders` through Envoy; `None` (and a failure) when there is no answer.
    fn call(&mut self, headers: &[(&str, &str)], token: Option<&str>) -> Option<Response> {
        self.say("   > GET /orders");
        let mut request = Request::get("/orders");
        for (name, value) in headers {
            self.say(&format!("     {name}: {value}"));
            request = request.header(name, value);
        }
        if let Some(token) = token {
            self.say("     authorization: Bearer eyJ…");
            request = request.bearer(token);
        }
        match request.send(self.envoy) {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.expect(false, &format!("no answer: {error}"));
                None
            }
        }
    }

    /// A token of the issuer with other claims.
    fn mint(&self, claims: &Value) -> Result<String, String> {
        let answer = Request::post_json("/demo/mint", &json!({"claims": claims}))
            .send(self.issuer)
            .map_err(|error| format!("/demo/mint: {error}"))?;
        token_in(&answer).ok_or_else(|| format!("/demo/mint answers {}", answer.text()))
    }

    fn title(&mut self, title: &str) {
        self.step += 1;
        self.say(&format!("\n{}. {title}", self.step));
    }

    fn show(&mut self, answer: &Response) {
        self.say(&format!("   < {} {}", answer.status, shortened(answer)));
        if let Some(challenge) = answer.header("www-authenticate") {
            self.say(&format!("     www-authenticate: {challenge}"));
        }
    }

    /// Prints what the backend saw, as far as it is about identity, and returns it.
    fn show_seen(&mut self, answer: &Response) -> Value {
        let seen = answer.json().unwrap_or_default();
        self.say(&format!("   < {}, and the backend saw", answer.status));
        for (name, value) in pairs(&seen) {
            if name == "authorization" || name.starts_with("x-jwt-") {
                let value = if value.len() > 60 { "eyJ…" } else { value };
                self.say(&format!("     {name}: {value}"));
            }
        }
        seen
    }

    fn expect_status(&mut self, answer: &Response, status: u16) {
        self.expect(
            answer.status == status,
            &format!("the status is {}, not {status}", answer.status),
        );
    }

    fn expect_seen(&mut self, seen: &Value, name: &str, expected: &[&str]) {
        let found = values(seen, name);
        self.expect(
            found == expected,
            &format!("the backend saw {name} {found:?}, not {expected:?}"),
        );
    }

    fn expect(&mut self, holds: bool, otherwise: &str) {
        if !holds {
            self.say(&format!("   FAILED: {otherwise}"));
            self.failures.push(format!("{}. {otherwise}", self.step));
        }
    }

    fn say(&mut self, line: &str) {
        // A reader who closed the pipe is no reason to stop checking.
        let _ = writeln!(self.out, "{line}");
    }
}

fn wait_for(addr: &str) -> Result<(), String> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        match TcpStream::connect(addr) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(format!("{addr}: {error}")),
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// One call over a connection that is kept, or opened if there is none.
fn keep_calling(kept: &mut Option<Connection>, envoy: &str, token: &str) -> io::Result<Response> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(envoy)?,
    };
    let answer = connection.send(&Request::get("/orders").bearer(token))?;
    *kept = Some(connection);
    Ok(answer)
}

fn token_in(answer: &Response) -> Option<String> {
    Some(answer.json().ok()?["access_token"].as_str()?.to_owned())
}

/// The body on one line, with any token cut short.
fn shortened(answer: &Response) -> String {
    match answer.json() {
        Ok(mut body) if body["access_token"].is_string() => {
            body["access_token"] = "eyJ…".into();
            body.to_string()
        }
        _ => answer.text(),
    }
}

/// The headers that the backend saw.
fn pairs(seen: &Value) -> impl Iterator<Item = (&str, &str)> {
    let headers = seen["headers"].as_array().into_iter().flatten();
    headers.filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?)))
}

fn values<'a>(seen: &'a Value, name: &str) -> Vec<&'a str> {
    let named = pairs(seen).filter(|(given, _)| *given == name);
    named.map(|(_, value)| value).collect()
}

fn decode(part: &str) -> Option<Value> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn encode(part: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(part.to_string())
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().expect("no caller panics")
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().expect("no caller panics")
}
