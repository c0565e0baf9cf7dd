//! Several issuers of one provider, in the engine: keys vouch for their own issuer and for nobody else.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::collections::BTreeMap;

use jwt_gate::engine::{Counter, Decision, Effect, Engine, KeyEvent, StreamId};
use jwt_gate::issuer::IssuerPattern;
use jwt_gate::jwks::answer::{Answer, Cause};
use jwt_gate::policy::{KeySource, Policy};
use jwt_gate::request::{RequestEdit, RequestHead};
use jwt_gate::time::UnixTime;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;

/// An engine, its clock in milliseconds, and the issuers that it can ask.
struct Gate {
    engine: Engine,
    now: u64,
    /// Answers by cluster, host and path.
    answers: BTreeMap<String, Value>,
    asked: Vec<String>,
    counted: Vec<Counter>,
    told: Option<String>,
}

impl Gate {
    #[track_caller]
    fn new(config: &Value) -> Self {
        let policy = Policy::parse(config.to_string().as_bytes()).unwrap_or_else(|errors| {
            panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        });
        Self {
            engine: Engine::new(policy),
            now: NOW * 1000,
            answers: BTreeMap::new(),
            asked: Vec::new(),
            counted: Vec::new(),
            told: None,
        }
    }

    fn time(&self) -> UnixTime {
        UnixTime::from_nanos(self.now * 1_000_000)
    }

    fn drain(&mut self) {
        while let Some(effect) = self.engine.next_effect() {
            match effect {
                Effect::Count(counter) => self.counted.push(counter),
                Effect::Fetch { id, request } => {
                    let sent = |name: &str| {
                        let found = request.headers.iter().find(|(own, _)| own == name);
                        found.map_or("", |(_, value)| value)
                    };
                    let asked =
                        format!("{} {}{}", request.cluster, sent(":authority"), sent(":path"));
                    let answer = self.answers.get(&asked).map(|body| Answer {
                        headers: vec![(b":status".to_vec(), b"200".to_vec())],
                        body: body.to_string().into_bytes(),
                    });
                    self.asked.push(asked);
                    let answer = answer.as_ref().ok_or_else(|| Cause::Status(503).into());
                    self.engine.handle_fetched(id, answer, self.time());
                }
                Effect::Resume(_, edits) => self.told = Some(told(&Decision::Forward(edits))),
                Effect::Reject(_, rejection) => {
                    self.told = Some(told(&Decision::Reject(rejection)));
                }
                _ => {}
            }
        }
    }

    /// `pass` and whose token it is taken for, or status and code; waits for keys.
    fn send(&mut self, headers: &[(&str, &str)]) -> String {
        let octets = |text: &str| text.as_bytes().to_vec();
        let head = [(":method", "GET"), (":authority", "h"), (":path", "/")];
        let head = head.iter().filter(|(name, _)| headers.iter().all(|(own, _)| own != name));
        let head = head.chain(headers).map(|(name, value)| (octets(name), octets(value)));
        let head = RequestHead::new(head.collect());
        self.told = None;
        let decision = self.engine.handle_request(StreamId(1), head, self.time());
        self.drain();
        if decision != Decision::Wait {
            return told(&decision);
        }
        for _ in 0..1_000 {
            if let Some(told) = self.told.take() {
                return told;
            }
            self.now += 50;
            self.engine.handle_tick(self.time());
            self.drain();
        }
        panic!("waits");
    }

    fn get(&mut self, path: &str, token: &str) -> String {
        self.send(&[(":path", path), ("authorization", &format!("Bearer {token}"))])
    }

    fn count(&self, counter: Counter) -> usize {
        self.counted.iter().filter(|own| **own == counter).count()
    }
}

fn told(decision: &Decision) -> String {
    match decision {
        Decision::Forward(edits) => {
            let sub = edits.iter().find_map(|edit| match edit {
                RequestEdit::Add(name, value) | RequestEdit::Replace(name, value)
                    if name == "x-sub" =>
                {
                    Some(String::from_utf8(value.clone()).unwrap())
                }
                _ => None,
            });
            sub.map_or("pass".to_owned(), |sub| format!("pass {sub}"))
        }
        Decision::Reject(rejection) => format!("{} {}", rejection.status, rejection.reason.code()),
        _ => "neither".to_owned(),
    }
}

fn claims(iss: &str, sub: &str) -> Value {
    json!({ "iss": iss, "sub": sub, "aud": "api", "exp": NOW + 100_000 })
}

const A: &str = "https://a.example/t";
const B: &str = "https://b.example:8443";

/// A provider of two issuers that are discovered, and what else is in the configuration.
fn two(rest: Value) -> Value {
    let mut config = rest;
    config["key_sharing"] = json!({ "disabled": true });
    config["providers"]["corp"] = json!({
        "issuers": [A, B],
        "remote_jwks": { "discovery": {
            "cluster": "others", "timeout": "2s", "document": "openid-configuration",
            "clusters": { "b.example:8443": "b", "keys.example": "keys" },
        } },
        "claim_to_headers": [{ "header_name": "x-sub", "claim_name": "sub" }],
    });
    config
}

/// An engine with both issuers there.
fn gate(rest: Value, a: &SigningKey, b: &SigningKey) -> Gate {
    let mut gate = Gate::new(&two(rest));
    gate.answers = [
        (
            "others a.example/t/.well-known/openid-configuration",
            json!({ "issuer": A, "jwks_uri": "https://keys.example/a" }),
        ),
        ("keys keys.example/a", jwks(&[a])),
        (
            "b b.example:8443/.well-known/openid-configuration",
            json!({ "issuer": B, "jwks_uri": "https://b.example:8443/jwks" }),
        ),
        ("b b.example:8443/jwks", jwks(&[b])),
    ]
    .map(|(asked, answer)| (asked.to_owned(), answer))
    .into();
    gate
}

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(Alg::ES256, kid)
}

#[test]
fn keys_of_one_issuer_do_not_vouch_for_another() {
    // The same `kid`, and others.
    for (kid_a, kid_b, refusal) in
        [("k", "k", "401 signature_invalid"), ("ka", "kb", "401 key_unknown")]
    {
        let (a, b) = (key(kid_a), key(kid_b));
        let rules = |requires: Value| json!({ "rules": [{ "match": { "prefix": "/" }, "requires": requires }] });
        let local = key("local");
        let other = json!({ "other": { "issuer": "other",
            "local_jwks": { "inline_string": jwks(&[&local]).to_string() } } });
        let mut beside = rules(json!({ "requires_any": { "requirements": [
            { "provider_name": "corp" }, { "provider_name": "other" }] } }));
        beside["providers"] = other;
        for rest in [
            json!({}),
            rules(json!({ "provider_name": "corp" })),
            rules(json!({ "allow_missing": {} })),
            beside,
        ] {
            let mut gate = gate(rest.clone(), &a, &b);
            for _ in 0..2 {
                assert_eq!(gate.get("/", &a.sign(&claims(A, "alice"))), "pass alice");
                assert_eq!(gate.get("/", &b.sign(&claims(B, "bob"))), "pass bob");
                assert_eq!(gate.get("/", &b.sign(&claims(A, "eve"))), refusal, "{rest}");
                assert_eq!(gate.get("/", &a.sign(&claims(B, "eve"))), refusal, "{rest}");
            }
            for stranger in ["https://a.example", "https://a.example/t/", "https://B.example:8443"]
            {
                let token = a.sign(&claims(stranger, "eve"));
                assert_eq!(gate.get("/", &token), "401 issuer_unknown", "{stranger}");
            }
            let anonymous = a.sign(&json!({ "sub": "eve", "exp": NOW + 100_000 }));
            assert_eq!(gate.get("/", &anonymous), "401 issuer_unknown");
            // The most telling refusal is told.
            let mut expired = claims(B, "bob");
            expired["exp"] = json!(1);
            assert_eq!(gate.get("/", &b.sign(&expired)), "401 expired");
            assert!(gate.asked.contains(&"b b.example:8443/jwks".to_owned()), "{:?}", gate.asked);
        }
    }
}

#[test]
fn an_issuer_that_is_down_is_no_matter_to_the_other() {
    let (a, b) = (key("k"), key("k"));
    let mut gate = gate(json!({}), &a, &b);
    gate.answers.retain(|asked, _| !asked.starts_with("b "));
    assert_eq!(gate.get("/", &b.sign(&claims(B, "bob"))), "503 keys_unavailable");
    assert_eq!(gate.get("/", &a.sign(&claims(A, "alice"))), "pass alice");
    assert_eq!(gate.get("/", &a.sign(&claims(B, "eve"))), "503 keys_unavailable");
    // Each with its own metrics.
    let name = |provider| gate.engine.counter_name(Counter::Of(provider, KeyEvent::Failed));
    assert_eq!(name(0), "jwt_gate.provider.corp_a_example_t.jwks_fetch_failed");
    assert_eq!(name(1), "jwt_gate.provider.corp_b_example_8443.jwks_fetch_failed");
    assert_eq!(gate.count(Counter::Of(0, KeyEvent::Failed)), 0);
    assert!(gate.count(Counter::Of(1, KeyEvent::Failed)) > 0);
}

#[test]
fn a_name_stands_for_all_its_issuers() {
    let (a, b, local) = (key("k"), key("k"), SigningKey::generate(Alg::HS256, "k"));
    let provider = |from: &str| {
        json!({ "issuer": "local", "from_headers": [{ "name": from }],
            "local_jwks": { "inline_string": jwks(&[&local]).to_string() } })
    };
    let mut gate = gate(
        json!({
            // On both sides in the order of names.
            "providers": { "an": provider("x-an"), "zed": provider("x-zed") },
            "rules": [
                { "match": { "path": "/api" }, "requires": { "provider_and_audiences":
                    { "provider_name": "corp", "audiences": ["api"] } } },
                { "match": { "path": "/web" }, "requires": { "provider_and_audiences":
                    { "provider_name": "corp", "audiences": ["web"] } } },
                { "match": { "path": "/staff" }, "requires": { "provider_name": "corp",
                    "authorization": { "claim": "staff", "bool_match": true } } },
                { "match": { "path": "/zed" }, "requires": { "provider_name": "zed" } },
                { "match": { "path": "/any" }, "requires": { "allow_missing": {} } },
                { "match": { "prefix": "/" }, "requires": { "provider_name": "corp" } },
            ],
            "authorization": {
                "policies": [
                    { "action": "deny", "provider_name": "corp",
                      "when": { "claim": "sub", "string_match": "mallory" } },
                    { "action": "deny", "provider_name": "an", "when": { "authenticated": true } },
                ],
                "default": "allow",
            },
        }),
        &a,
        &b,
    );
    for (key, iss) in [(&a, A), (&b, B)] {
        let token = key.sign(&claims(iss, "alice"));
        // Before the token is known, and after.
        assert_eq!(gate.get("/web", &token), "403 audience_not_allowed");
        for _ in 0..2 {
            assert_eq!(gate.get("/api", &token), "pass alice");
            assert_eq!(gate.get("/web", &token), "403 audience_not_allowed");
            assert_eq!(gate.get("/staff", &token), "403 claims_not_allowed");
            assert_eq!(gate.get("/zed", &token), "401 token_missing");
            assert_eq!(gate.get("/any", &token), "pass alice");
        }
        let mut staff = claims(iss, "bob");
        staff["staff"] = json!(true);
        assert_eq!(gate.get("/staff", &key.sign(&staff)), "pass bob");
        let mallory = key.sign(&claims(iss, "mallory"));
        for path in ["/", "/any"] {
            assert_eq!(gate.get(path, &mallory), "403 denied_by_policy");
        }
    }
    // Policies about one provider are about no other.
    let local = local.sign(&claims("local", "mallory"));
    assert_eq!(gate.send(&[(":path", "/zed"), ("x-zed", &local)]), "pass");
    assert_eq!(gate.send(&[(":path", "/any"), ("x-an", &local)]), "403 denied_by_policy");
    // Tokens that are known are found with their issuer, wherever it stands in the list.
    let hits = gate.count(Counter::CacheHit);
    let token = b.sign(&claims(B, "again"));
    for _ in 0..3 {
        assert_eq!(gate.get("/", &token), "pass again");
    }
    assert_eq!(gate.count(Counter::CacheHit) - hits, 2);
    // Every token at the places must be good, whichever issuer's it is.
    let good = a.sign(&claims(A, "alice"));
    for (second, expected) in
        [(b.sign(&claims(B, "bob")), "pass"), (a.sign(&claims(B, "eve")), "401 signature_invalid")]
    {
        let path = format!("/?access_token={second}");
        let told = gate.get(&path, &good);
        assert!(told.starts_with(expected), "{told}");
    }
    assert_eq!(gate.send(&[]), "401 token_missing");
}

/// What is refused without a provider's name is told in the manner of all, where all are of one name.
#[test]
fn issuers_of_one_name_speak_alike() {
    let mut config = two(json!({
        "rules": [{ "match": { "prefix": "/" }, "requires": { "allow_missing": {} } }],
    }));
    config["providers"]["corp"]["failed_status_in_metadata"] = json!("failed");
    let policy = Policy::parse(config.to_string().as_bytes()).unwrap();
    for provider in [None, Some(0), Some(1)] {
        assert_eq!(policy.manner(provider, &RequestHead::default()).state_key, Some("failed"));
    }
    config["providers"]["other"] =
        json!({ "local_jwks": { "inline_string": jwks(&[&key("k")]).to_string() } });
    let policy = Policy::parse(config.to_string().as_bytes()).unwrap();
    assert_eq!(policy.manner(None, &RequestHead::default()).state_key, None);
    assert_eq!(policy.manner(Some(1), &RequestHead::default()).state_key, Some("failed"));
}

const PATTERN: &str = "https://login.example/{tenantid}/v2.0";

fn tenant(name: &str) -> String {
    format!("https://login.example/{name}/v2.0")
}

/// A key as it is published, with this `issuer`.
fn published(key: &SigningKey, issuer: Value) -> Value {
    let mut jwk = key.public_jwk();
    jwk["issuer"] = issuer;
    jwk
}

fn patterned(keys: &[Value], changes: Value) -> Value {
    let mut provider = json!({
        "issuer_pattern": PATTERN,
        "local_jwks": { "inline_string": json!({ "keys": keys }).to_string() },
        "claim_to_headers": [{ "header_name": "x-sub", "claim_name": "sub" }],
    });
    for (name, value) in changes.as_object().unwrap() {
        provider[name] = value.clone();
    }
    provider
}

#[test]
fn keys_say_whose_they_are() {
    let (all, one, free, bad) = (key("all"), key("one"), key("free"), key("bad"));
    let keys = [
        published(&all, json!(PATTERN)),
        published(&one, json!(tenant("one"))),
        free.public_jwk(),
        published(&bad, json!([tenant("one")])),
    ];
    let mut gate = Gate::new(&json!({ "providers": { "p": patterned(&keys, json!({})) } }));
    for _ in 0..2 {
        for (key, name, expected) in [
            (&all, "one", "pass x"),
            (&all, "two", "pass x"),
            (&one, "one", "pass x"),
            (&one, "two", "401 key_unknown"),
            (&one, "ONE", "401 key_unknown"),
            (&free, "one", "pass x"),
            (&free, "two", "pass x"),
            (&bad, "one", "401 key_unknown"),
            (&all, "", "401 issuer_unknown"),
            (&all, "..", "401 issuer_unknown"),
            (&all, "a/b", "401 issuer_unknown"),
            (&one, "one/v2.0/x", "401 issuer_unknown"),
        ] {
            let told = gate.get("/", &key.sign(&claims(&tenant(name), "x")));
            assert_eq!(told, expected, "{} {name}", key.kid());
        }
    }
    // A token without a `kid` is tried with the keys of its issuer only.
    let headless = |key: &SigningKey, name: &str| {
        let mut header = key.header();
        header.as_object_mut().unwrap().remove("kid");
        key.sign_with_header(&header, claims(&tenant(name), "x").to_string().as_bytes())
    };
    assert_eq!(gate.get("/", &headless(&one, "one")), "pass x");
    assert_eq!(gate.get("/", &headless(&one, "two")), "401 signature_invalid");

    // Nor does a crowd of others' keys keep one's own from being tried.
    let mut crowd = vec![published(&all, json!(tenant("other"))); 40];
    crowd.push(published(&one, json!(tenant("one"))));
    for jwk in &mut crowd {
        jwk.as_object_mut().unwrap().remove("kid");
    }
    let mut gate = Gate::new(&json!({ "providers": { "p": patterned(&crowd, json!({})) } }));
    assert_eq!(gate.get("/", &headless(&one, "one")), "pass x");
    assert_eq!(gate.get("/", &headless(&one, "two")), "401 key_unknown");

    // Where issuers are listed, or are none, the member is nothing.
    for whose in
        [json!({ "issuer": tenant("two") }), json!({ "issuers": [tenant("two")] }), json!({})]
    {
        let mut provider = patterned(&keys, whose);
        provider.as_object_mut().unwrap().remove("issuer_pattern");
        let mut gate = Gate::new(&json!({ "providers": { "p": provider } }));
        for key in [&one, &bad] {
            assert_eq!(gate.get("/", &key.sign(&claims(&tenant("two"), "x"))), "pass x");
        }
    }
}

/// The same with keys that are fetched, and that change their issuer.
#[test]
fn fetched_keys_say_whose_they_are() {
    let (one, two) = (key("k"), key("k"));
    let mut provider = patterned(
        &[],
        json!({ "remote_jwks": { "cache_duration": "60s",
        "http_uri": { "uri": "https://keys.example/k", "cluster": "keys", "timeout": "2s" } } }),
    );
    provider.as_object_mut().unwrap().remove("local_jwks");
    let mut gate =
        Gate::new(&json!({ "key_sharing": { "disabled": true }, "providers": { "p": provider } }));
    // Only who finds the same keys usable shares a set.
    let shared_as = |changes: Value| {
        let mut provider = provider.clone();
        for (name, value) in changes.as_object().unwrap() {
            provider[name] = value.clone();
        }
        let config = json!({ "providers": { "p": provider } });
        let policy = Policy::parse(config.to_string().as_bytes()).unwrap();
        match &policy.providers[0].keys {
            KeySource::Remote { remote, .. } => remote.shared_as.clone().unwrap(),
            KeySource::Local(_) => panic!("local"),
        }
    };
    let bound = shared_as(json!({}));
    assert_eq!(shared_as(json!({ "issuer_pattern": "https://h/{other}" })), bound);
    assert_ne!(shared_as(json!({ "issuer_pattern": null, "issuer": "https://h/i" })), bound);
    let set = |one_is: &str, two_is: &str| {
        json!({ "keys": [
            published(&one, json!(tenant(one_is))), published(&two, json!(tenant(two_is)))] })
    };
    gate.answers.insert("keys keys.example/k".to_owned(), set("one", "two"));
    let token = |key: &SigningKey, name: &str| key.sign(&claims(&tenant(name), "x"));
    let (first, second) = (token(&one, "one"), token(&two, "two"));
    for _ in 0..2 {
        assert_eq!(gate.get("/", &first), "pass x");
        assert_eq!(gate.get("/", &second), "pass x");
        assert_eq!(gate.get("/", &token(&one, "two")), "401 signature_invalid");
        assert_eq!(gate.get("/", &token(&two, "one")), "401 signature_invalid");
        assert_eq!(gate.get("/", &token(&two, "three")), "401 key_unknown");
    }
    // Tokens that are known are known no longer when the same keys are somebody else's.
    gate.answers.insert("keys keys.example/k".to_owned(), set("two", "one"));
    gate.now += 60_000;
    gate.engine.handle_tick(gate.time());
    gate.drain();
    assert_eq!(gate.get("/", &first), "401 signature_invalid");
    assert_eq!(gate.get("/", &token(&one, "two")), "pass x");
}

#[test]
fn claims_repeat_what_the_issuer_says() {
    let key = key("k");
    let provider = patterned(
        &[published(&key, json!(PATTERN))],
        json!({ "issuer_claims": { "tid": "tenantid" } }),
    );
    let config = json!({ "providers": { "p": provider } });
    assert!(Policy::parse(config.to_string().as_bytes()).unwrap().reads_claims());
    let mut gate = Gate::new(&config);
    for (tid, expected) in [
        (Some(json!("one")), "pass x"),
        (None, "401 claim_missing"),
        (Some(json!("two")), "401 issuer_unknown"),
        (Some(json!("ONE")), "401 issuer_unknown"),
        (Some(json!("one ")), "401 issuer_unknown"),
        (Some(json!("")), "401 issuer_unknown"),
        (Some(json!("{tenantid}")), "401 issuer_unknown"),
        (Some(json!(["one"])), "401 issuer_unknown"),
        (Some(json!(null)), "401 issuer_unknown"),
        (Some(json!(1)), "401 issuer_unknown"),
    ] {
        let mut claims = claims(&tenant("one"), "x");
        if let Some(tid) = &tid {
            claims["tid"] = tid.clone();
        }
        let token = key.sign(&claims);
        for _ in 0..2 {
            assert_eq!(gate.get("/", &token), expected, "{tid:?}");
        }
    }
    // Several variables, each its own.
    let provider = patterned(
        &[key.public_jwk()],
        json!({ "issuer_pattern": "https://login.example/{realm}/x/{app}",
            "issuer_claims": { "a": "app", "r": "realm" } }),
    );
    let mut gate = Gate::new(&json!({ "providers": { "p": provider } }));
    for (realm, app, expected) in [("1", "2", "pass x"), ("2", "1", "401 issuer_unknown")] {
        let mut claims = claims("https://login.example/1/x/2", "x");
        (claims["r"], claims["a"]) = (json!(realm), json!(app));
        assert_eq!(gate.get("/", &key.sign(&claims)), expected);
    }
}

/// Where tokens are optional, `iss` says whose a token is: the provider that names it, one whose
/// pattern it fits, one that takes anybody's, in this order.
#[test]
fn the_closest_provider_judges() {
    let keys = [key("k"), key("k"), key("k")];
    let local = |key: &SigningKey, mut provider: Value| {
        provider["local_jwks"] = json!({ "inline_string": jwks(&[key]).to_string() });
        provider
    };
    let [any, like, named] = &keys;
    let config = json!({
        "providers": {
            "1": local(any, json!({})),
            "2": local(like, json!({ "issuer_pattern": PATTERN })),
            "3": local(named, json!({ "issuers": [tenant("named"), "x"] })),
        },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "allow_missing": {} } }],
    });
    for (iss, own) in [("other", 0), (&*tenant("some"), 1), (&*tenant("named"), 2)] {
        let mut gate = Gate::new(&config);
        for _ in 0..2 {
            for (index, key) in keys.iter().enumerate() {
                let told = gate.get("/", &key.sign(&claims(iss, "x")));
                assert_eq!(told == "pass", index == own, "{iss} {index}: {told}");
            }
        }
    }
}

/// The examples of `docs/keys.md` are configurations, and decide as they say.
#[test]
fn examples_of_issuers_in_the_documentation() {
    let text = include_str!("../docs/keys.md");
    let mut keys = BTreeMap::<String, SigningKey>::new();
    let mut gate = None;
    let mut tokens = 0;
    for block in text.split("\n```").skip(1).step_by(2) {
        let (kind, block) = block.split_once('\n').unwrap();
        match kind {
            "json" => {
                let mut config: Value = serde_json::from_str(block).unwrap();
                config["key_sharing"] = json!({ "disabled": true });
                let gate = gate.insert(Gate::new(&config));
                // Who is discovered has a key of its name.
                for name in ["a", "b"] {
                    let host = format!("{name}.example");
                    let at = |path: &str| format!("issuer-{name} {host}{path}");
                    let url = format!("https://{host}");
                    let metadata = json!({ "issuer": url, "jwks_uri": format!("{url}/jwks") });
                    gate.answers.insert(at("/.well-known/openid-configuration"), metadata);
                    keys.insert(name.to_owned(), key(name));
                    gate.answers.insert(at("/jwks"), jwks(&[&keys[name]]));
                }
            }
            "keys" => {
                let set: Vec<_> = block
                    .lines()
                    .map(|line| {
                        let (kid, issuer) = line.split_once(' ').unwrap();
                        keys.insert(kid.to_owned(), key(kid));
                        published(&keys[kid], json!(issuer))
                    })
                    .collect();
                let asked = "entra login.microsoftonline.com/common/discovery/v2.0/keys";
                let answers = &mut gate.as_mut().unwrap().answers;
                answers.insert(asked.to_owned(), json!({ "keys": set }));
            }
            "tokens" => {
                for line in block.lines() {
                    let (token, expected) = line.split_once(" -> ").unwrap();
                    let (kid, claims) = token.split_once(' ').unwrap();
                    let mut claims: Value = serde_json::from_str(claims).unwrap();
                    claims["aud"] = json!("6e74172b-be56-4843-9ff4-e66a39bb12e3");
                    let told = gate.as_mut().unwrap().get("/", &keys[kid].sign(&claims));
                    assert_eq!(told, expected, "{line}");
                    tokens += 1;
                }
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(tokens, 13);
}

/// Whether `pattern` may stand for `text`: every way to divide the text is tried.
fn stands_for(pattern: &str, text: &str) -> bool {
    let Some(open) = pattern.find('{') else { return pattern == text };
    let close = pattern.find('}').unwrap();
    let Some(text) = text.strip_prefix(&pattern[..open]) else { return false };
    let letters: Vec<char> = text.chars().collect();
    (1..=letters.len().min(128)).any(|length| {
        let value: String = letters[..length].iter().collect();
        let rest: String = letters[length..].iter().collect();
        let plain = |letter: char| {
            matches!(letter, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' | '~')
        };
        value.chars().all(plain)
            && value != "."
            && value != ".."
            && stands_for(&pattern[close + 1..], &rest)
    })
}

/// Whoever writes a key set writes patterns, too.
#[test]
fn too_many_variables_cost_little() {
    let many: String = (0..90_000).map(|index| format!("/{{a{index}}}")).collect();
    let error = IssuerPattern::parse(&format!("https://h{many}"));
    assert_eq!(error, Err("a pattern has at most 4 variables"));
}

const PARTS: [&str; 16] =
    ["", ".", "..", "...", "a", "A", "-", "~", "/", "%2f", ":", "@", "\n", "\u{e9}", "x/y", "v2.0"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Nothing passes that the simple way of matching refuses, and nothing else is refused.
    #[test]
    fn the_matcher_accepts_what_a_naive_one_does(
        literals in prop::collection::vec(prop::sample::select(vec!["/", "/x/", ":", "/v2.0", "?t=", "//"]), 1..5),
        ends in any::<bool>(),
        values in prop::collection::vec((prop::sample::select(PARTS.to_vec()), prop::sample::select(PARTS.to_vec()), 0_usize..131), 5),
        change in prop::option::of((0_usize..60, prop::sample::select(PARTS.to_vec()))),
    ) {
        let count = literals.len();
        let mut pattern = "https://h/".to_owned();
        let mut text = pattern.clone();
        for (index, (literal, (first, second, length))) in literals.iter().zip(&values).enumerate() {
            pattern += &format!("{{v{index}}}");
            text += first;
            // Rarely about as long as may be.
            text += if *length > 125 { "l" } else { second };
            if *length > 125 {
                text += &"l".repeat(*length - first.len().min(3));
            }
            if index + 1 < count || ends {
                pattern += literal;
                text += literal;
            }
        }
        if let Some((place, part)) = change
            && text.is_char_boundary(place)
        {
            text.insert_str(place, part);
        }
        let parsed = IssuerPattern::parse_address(&pattern).unwrap();
        prop_assert_eq!(parsed.matches(&text), stands_for(&pattern, &text), "{} {}", pattern, text);
    }

    #[test]
    fn arbitrary_patterns_never_panic(pattern in ".{0,40}", text in ".{0,40}", inner in "[{}a-z/.]{0,30}") {
        for pattern in [pattern, format!("https://h/{inner}")] {
            if let Ok(parsed) = IssuerPattern::parse(&pattern) {
                prop_assert_eq!(parsed.matches(&text), stands_for(&pattern, &text));
            }
        }
    }
}
