//! Back-channel logout: which logout tokens count, what they end, and how workers tell each other.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod gate;

use std::collections::BTreeMap;

use gate::{NOW, told};
use jwt_gate::engine::{Decision, Effect, Engine, StreamId};
use jwt_gate::jwks::key_store::Seen;
use jwt_gate::policy::Policy;
use jwt_gate::request::RequestHead;
use jwt_gate::revocation::deny_list::Handles;
use jwt_gate::revocation::logouts::{Full, Logouts, MAX_LOGOUTS, When, Who};
use jwt_gate::time::UnixTime;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Workers of one Envoy.
struct World {
    key: SigningKey,
    workers: Vec<Engine>,
    shared: BTreeMap<String, (Vec<u8>, u32)>,
    now: u64,
    answered: Vec<String>,
    logged: Vec<String>,
}

impl World {
    fn new(workers: usize) -> Self {
        Self::with(workers, false)
    }

    fn with(workers: usize, all_sessions: bool) -> Self {
        let key = SigningKey::generate(Alg::ES256, "k");
        let config = json!({
            "providers": { "main": {
                "issuer": "i", "local_jwks": { "inline_string": jwks(&[&key]).to_string() } } },
            "revocation": { "logout": {
                "path": "/logout", "provider_name": "main", "client_ids": ["app"],
                "remember_for": "3600s", "all_sessions": all_sessions } },
        });
        let engine = |_| Engine::new(Policy::parse(config.to_string().as_bytes()).unwrap());
        Self {
            key,
            workers: (0..workers).map(engine).collect(),
            shared: BTreeMap::new(),
            now: NOW,
            answered: Vec::new(),
            logged: Vec::new(),
        }
    }

    fn time(&self) -> UnixTime {
        UnixTime::from_secs(self.now)
    }

    fn drain(&mut self, worker: usize) {
        let now = self.time();
        while let Some(effect) = self.workers[worker].next_effect() {
            match effect {
                Effect::Look { provider, entry } => {
                    let found = self.shared.get(&entry).cloned();
                    let (text, seen) = found.map_or((None, u32::MAX), |(t, s)| (Some(t), s));
                    let found = Ok((text.as_deref(), Seen(seen)));
                    self.workers[worker].handle_notice(provider, found, now);
                }
                Effect::Post { provider, entry, text, seen } => {
                    let state = self.shared.get(&entry).map_or(u32::MAX, |(_, state)| *state);
                    let written = state == seen.0;
                    if written {
                        self.shared.insert(entry, (text, state.wrapping_add(2)));
                    }
                    self.workers[worker].handle_posted(provider, written);
                }
                Effect::Reject(_, rejection) => self.answered.push(rejection.status.to_string()),
                Effect::Log(_, line) => self.logged.push(line),
                _ => {}
            }
        }
    }

    fn tick(&mut self, seconds: u64) {
        self.now += seconds;
        for worker in 0..self.workers.len() {
            let now = self.time();
            self.workers[worker].handle_tick(now);
            self.drain(worker);
        }
    }

    fn request(&mut self, worker: usize, headers: &[(&str, &str)]) -> Decision {
        let octets =
            |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        let head = RequestHead::new(headers.iter().map(octets).collect());
        let now = self.time();
        let decision = self.workers[worker].handle_request(StreamId(1), head, now);
        self.drain(worker);
        decision
    }

    fn get(&mut self, worker: usize, claims: &Value) -> String {
        let mut all = json!({ "iss": "i" });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let bearer = format!("Bearer {}", self.key.sign(&all));
        let head = [(":method", "GET"), (":path", "/"), ("authorization", bearer.as_str())];
        told(&self.request(worker, &head))
    }

    /// Posts this body to a worker; the status of the answer.
    fn post(&mut self, worker: usize, body: Option<&[u8]>) -> u16 {
        let head = [(":method", "POST"), (":path", "/logout?x"), (":authority", "h")];
        assert_eq!(self.request(worker, &head), Decision::Receive);
        let now = self.time();
        let served = self.workers[worker].handle_body(StreamId(1), body, now);
        assert!(served.headers.contains(&("cache-control", "no-store")));
        self.drain(worker);
        served.status
    }

    fn claims(&self) -> Value {
        json!({ "iss": "i", "aud": "app", "iat": self.now, "exp": self.now + 120, "jti": "l1",
            "sub": "alice", "events": { EVENT: {} } })
    }

    /// Tells a worker of a logout, with changes to header and claims.
    fn logout(&mut self, worker: usize, change: impl FnOnce(&mut Value, &mut Value)) -> u16 {
        let (mut header, mut claims) = (self.key.header(), self.claims());
        header["typ"] = json!("logout+jwt");
        change(&mut header, &mut claims);
        let token = self.key.sign_with_header(&header, claims.to_string().as_bytes());
        self.post(worker, Some(format!("logout_token={token}").as_bytes()))
    }
}

/// A user's logout ends tokens of before, a session's all of the session; both expire.
#[test]
fn logouts_end_tokens() {
    let mut world = World::new(1);
    let alice = json!({ "sub": "alice", "sid": "s1", "iat": NOW - 10 });
    let later = json!({ "sub": "alice", "sid": "s2", "iat": NOW + 1 });
    let bob = json!({ "sub": "bob", "sid": "s3", "iat": NOW - 10 });
    assert_eq!(world.get(0, &alice), "pass");
    assert_eq!(world.logout(0, |_, _| ()), 200);
    assert_eq!(world.get(0, &alice), "401 token_revoked");
    assert_eq!(world.get(0, &json!({ "sub": "alice", "iat": NOW })), "401 token_revoked");
    assert_eq!(world.get(0, &json!({ "sub": "alice" })), "401 token_revoked", "of any age");
    assert_eq!(world.get(0, &later), "pass", "logged in again");
    assert_eq!(world.get(0, &bob), "pass");
    // Only the session, whenever its tokens were issued.
    assert_eq!(world.logout(0, |_, claims| claims["sid"] = json!("s2")), 200);
    assert_eq!(world.get(0, &later), "401 token_revoked");
    assert_eq!(world.get(0, &json!({ "sub": "alice", "sid": "s4", "iat": NOW + 1 })), "pass");
    world.tick(3599);
    assert_eq!(world.get(0, &alice), "401 token_revoked");
    world.tick(1);
    assert_eq!(world.get(0, &alice), "pass");
}

/// Where access tokens name no session, the user has to do.
#[test]
fn all_sessions_of_a_user() {
    for (all_sessions, expected) in [(false, "pass"), (true, "401 token_revoked")] {
        let mut world = World::with(1, all_sessions);
        assert_eq!(world.logout(0, |_, claims| claims["sid"] = json!("s1")), 200);
        let token = json!({ "sub": "alice", "iat": NOW - 1 });
        assert_eq!(world.get(0, &token), expected);
        let token = json!({ "sub": "bob", "sid": "s1", "iat": NOW + 9 });
        assert_eq!(world.get(0, &token), "401 token_revoked");
    }
}

#[test]
fn logout_tokens_that_do_not_count() {
    type Change = fn(&mut Value, &mut Value);
    let refused: [Change; 25] = [
        |_, claims| claims["nonce"] = json!("n"),
        |_, claims| claims["nonce"] = Value::Null,
        |_, claims| claims["aud"] = json!("other"),
        |_, claims| claims["aud"] = json!([]),
        |_, claims| claims["iss"] = json!("j"),
        |_, claims| claims["events"] = json!({}),
        |_, claims| claims["events"] = json!([EVENT]),
        |_, claims| claims["events"] = json!({ EVENT: true }),
        |_, claims| claims["jti"] = json!(""),
        |_, claims| claims["sub"] = json!(""),
        |_, claims| claims["sub"] = json!("a".repeat(256)),
        |_, claims| claims["sid"] = json!(5),
        |_, claims| claims["iat"] = json!(NOW - 400),
        |_, claims| claims["iat"] = json!(NOW + 100),
        |_, claims| claims["exp"] = json!(NOW - 100),
        |_, claims| claims["exp"] = json!("x"),
        |_, claims| {
            claims.as_object_mut().unwrap().remove("events");
        },
        |_, claims| {
            claims.as_object_mut().unwrap().remove("jti");
        },
        |_, claims| {
            claims.as_object_mut().unwrap().remove("sub");
        },
        |_, claims| {
            claims.as_object_mut().unwrap().remove("iat");
        },
        |_, claims| {
            claims.as_object_mut().unwrap().remove("aud");
        },
        |_, claims| {
            claims.as_object_mut().unwrap().remove("iss");
        },
        |header, _| header["typ"] = json!("at+jwt"),
        |header, _| header["kid"] = json!("unknown"),
        |header, _| header["alg"] = json!("none"),
    ];
    let alice = json!({ "sub": "alice", "iat": NOW - 10 });
    let mut world = World::new(1);
    for (index, change) in refused.into_iter().enumerate() {
        assert_eq!(world.logout(0, change), 400, "{index}");
        assert_eq!(world.get(0, &alice), "pass", "{index}");
    }
    let good = world.key.sign(&world.claims());
    let forged = SigningKey::generate(Alg::ES256, "k").sign(&world.claims());
    let twice = format!("logout_token={good}&logout_token={good}");
    for body in [
        "",
        "logout_token",
        "logout_token=",
        "logout_token=a.b.c",
        &good,
        &twice,
        "x=y",
        &format!("logout_token={forged}"),
        &format!("logout%5ftoken={good}"),
    ] {
        assert_eq!(world.post(0, Some(body.as_bytes())), 400, "{body:.30}");
    }
    assert_eq!(world.post(0, None), 400);
    assert_eq!(world.get(0, &alice), "pass");
    // Other methods and other paths are none of its matter.
    let get = world.request(0, &[(":method", "GET"), (":path", "/logout")]);
    assert_eq!(told(&get), "405 served");
    for path in ["/logout/", "/Logout", "/logou"] {
        let other = world.request(0, &[(":method", "POST"), (":path", path)]);
        assert_eq!(told(&other), "401 token_missing", "{path}");
    }
    // And with all that, a good one still counts, as older providers send it, too.
    assert_eq!(world.post(0, Some(format!("a=b&logout_token={good}").as_bytes())), 200);
    assert_eq!(world.get(0, &alice), "401 token_revoked");
    assert!(world.logged.iter().any(|line| line == "a logout was refused: not_for_us"));
    assert!(!world.logged.iter().any(|line| line.contains("alice")));
}

/// All workers of an Envoy know within a second, whoever is told, and whoever is faster.
#[test]
fn workers_tell_each_other() {
    let mut world = World::new(3);
    world.tick(1);
    let token = |name: &str| json!({ "sub": name, "iat": NOW });
    for (worker, name) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(world.logout(worker, |_, claims| claims["sub"] = json!(name)), 200);
        assert_eq!(world.get(worker, &token(name)), "401 token_revoked");
    }
    world.tick(1);
    world.tick(1);
    for worker in 0..3 {
        for name in ["a", "b", "c"] {
            assert_eq!(world.get(worker, &token(name)), "401 token_revoked", "{worker} {name}");
        }
        assert_eq!(world.get(worker, &token("d")), "pass");
    }
    // Nonsense in the shared entry, or nothing, takes nothing away, and is mended.
    for nonsense in [&b"x"[..], b"[]", b"", b"[[{},{}]]", b"null"] {
        for (text, state) in world.shared.values_mut() {
            (*text, *state) = (nonsense.to_vec(), *state + 2);
        }
        world.tick(1);
        world.tick(1);
        for worker in 0..3 {
            assert_eq!(world.get(worker, &token("a")), "401 token_revoked");
        }
        assert!(world.shared.values().all(|(text, _)| text.len() > 50));
    }
    // A worker that starts later, with a new configuration, knows them, too.
    let fresh = World::new(1);
    world.workers.push(fresh.workers.into_iter().next().unwrap());
    world.tick(1);
    let bearer = fresh.key.sign(&json!({ "iss": "i", "sub": "a", "iat": NOW }));
    let bearer = format!("Bearer {bearer}");
    let head = [(":method", "GET"), (":path", "/"), ("authorization", bearer.as_str())];
    assert_eq!(told(&world.request(3, &head)), "401 token_revoked");
}

/// A body that never comes does not keep its request for ever.
#[test]
fn bodies_that_do_not_come() {
    let mut world = World::new(1);
    let head = [(":method", "POST"), (":path", "/logout")];
    assert_eq!(world.request(0, &head), Decision::Receive);
    world.tick(4);
    assert!(world.answered.is_empty());
    world.tick(1);
    assert_eq!(world.answered, ["503"]);
    assert!(world.logged.iter().any(|line| line.contains("allow_on_headers_stop_iteration")));
    // Nor do many.
    for _ in 0..64 {
        assert_eq!(world.request(0, &head), Decision::Receive);
    }
    assert_eq!(told(&world.request(0, &head)), "503 too_many_waiting");
    world.workers[0].handle_gone(StreamId(1));
    assert_eq!(world.request(0, &head), Decision::Receive);
}

#[test]
fn the_number_of_logouts_is_bounded() {
    let mut all = Logouts::default();
    let who = |n: usize| Who { iss: "i".into(), sid: Some(n.to_string()), sub: None };
    let when = When { at: 5, until: 10 };
    for n in 0..MAX_LOGOUTS {
        assert_eq!(all.insert(who(n), when), Ok(()));
    }
    assert_eq!(all.insert(who(MAX_LOGOUTS), when), Err(Full));
    assert_eq!(all.insert(who(0), When { at: 6, until: 20 }), Ok(()), "known already");
    let token = Handles { iss: Some("i"), sid: Some("7"), ..Handles::default() };
    assert!(all.revoke(&token));
    assert!(!all.revoke(&Handles { iss: Some("j"), ..token }));
    assert!(!all.revoke(&Handles { iss: None, ..token }));
    let text = all.encode();
    assert_eq!(Logouts::decode(&text, UnixTime::from_secs(0), 100), all);
    assert!(Logouts::decode(&text, UnixTime::from_secs(20), 100).is_empty());
    all.expire(UnixTime::from_secs(10));
    assert_eq!(all.len(), 1);
    assert_eq!(all.insert(who(MAX_LOGOUTS), when), Ok(()));
}

#[test]
fn examples_of_logout() {
    let examples = gate::run_examples(include_str!("../docs/logout.md"));
    assert_eq!(examples, (1, 4));
}
