//! The engine under a virtual clock: configurations and requests in, decisions and effects out.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod gate;

use std::collections::BTreeMap;
use std::time::Duration;

use jwt_gate::denial::Reason;
use jwt_gate::engine::{
    Counter, Decision, Effect, Engine, FetchId, FetchRequest, KeyEvent, MAX_WAITING,
    MAX_WAITING_FOR_PROVIDER, Quantity, StreamId,
};
use jwt_gate::jwks::answer::{Answer, Cause};
use jwt_gate::jwks::key_store::Seen;
use jwt_gate::policy::Policy;
use jwt_gate::request::{RequestEdit, RequestEdits, RequestHead};
use jwt_gate::time::UnixTime;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use serde_json::{Value, json};

const START: u64 = 1_800_000_000_000;

/// An engine, its clock in milliseconds, and what it wanted done.
struct Gate {
    engine: Engine,
    now: u64,
    fetches: Vec<FetchId>,
    requests: Vec<(FetchId, FetchRequest)>,
    /// The proxy's shared data: text and state of each entry.
    shared: BTreeMap<String, (Vec<u8>, u32)>,
    used: gate::Shared,
    gauges: BTreeMap<Quantity, i64>,
    resumed: Vec<(StreamId, RequestEdits)>,
    rejected: Vec<(StreamId, u16, &'static str)>,
    counted: Vec<Counter>,
    logged: Vec<String>,
}

impl Gate {
    /// How long until the engine wants to be called.
    fn wait(&self) -> Option<Duration> {
        self.engine.next_wake_up().map(|due| due.since(self.engine.now()))
    }

    #[track_caller]
    fn new(config: &Value) -> Self {
        let policy = Policy::parse(config.to_string().as_bytes()).unwrap_or_else(|errors| {
            panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        });
        Self {
            engine: Engine::new(policy),
            now: START,
            fetches: Vec::new(),
            requests: Vec::new(),
            shared: BTreeMap::new(),
            used: gate::Shared::default(),
            gauges: BTreeMap::new(),
            resumed: Vec::new(),
            rejected: Vec::new(),
            counted: Vec::new(),
            logged: Vec::new(),
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
                    self.fetches.push(id);
                    self.requests.push((id, request));
                }
                Effect::Look { provider, entry } => {
                    let found = self.shared.get(&entry).cloned();
                    let (text, state) = found.map_or((None, u32::MAX), |(t, s)| (Some(t), s));
                    let notice = Ok((text.as_deref(), Seen(state)));
                    self.engine.handle_notice(provider, notice, self.time());
                }
                Effect::Post { provider, entry, text, seen } => {
                    let state = self.shared.get(&entry).map_or(seen.0, |(_, state)| *state);
                    if state == seen.0 {
                        self.write(entry, text);
                    }
                    self.engine.handle_posted(provider, state == seen.0);
                }
                Effect::Publish { entry, text } => self.write(entry, text),
                Effect::Take { provider, entry } => {
                    let keys = self.shared.get(&entry).map(|(text, _)| text.clone());
                    self.engine.handle_taken(provider, keys.as_deref(), self.time());
                }
                Effect::Measure(gauge, value) => {
                    self.gauges.insert(gauge.quantity, i64::try_from(value).unwrap());
                }
                Effect::Vary(gauge, by) => *self.gauges.entry(gauge.quantity).or_default() += by,
                Effect::Log(_, line) => self.logged.push(line),
                Effect::Reject(stream, rejection) => {
                    self.rejected.push((stream, rejection.status, rejection.reason.code()));
                }
                Effect::Resume(stream, edits) => self.resumed.push((stream, edits)),
                Effect::Spend(stream, mut spending) => {
                    spending.carry_out(self.time(), &mut self.used);
                    match self.engine.handle_spent(spending) {
                        Decision::Forward(edits) => self.resumed.push((stream, edits)),
                        Decision::Reject(rejection) => {
                            let told = (stream, rejection.status, rejection.reason.code());
                            self.rejected.push(told);
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
    }

    fn write(&mut self, entry: String, text: Vec<u8>) {
        let states = self.shared.values().map(|(_, state)| *state);
        let state = states.max().unwrap_or_default() + 1;
        self.shared.insert(entry, (text, state));
    }

    fn request(&mut self, stream: u32, headers: &[(&str, &str)]) -> Decision {
        let head = [(":method", "GET"), (":authority", "h"), (":path", "/")];
        let head = head.iter().filter(|(name, _)| headers.iter().all(|(own, _)| own != name));
        let head = head
            .chain(headers)
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let head = RequestHead::new(head.collect());
        let decision = self.engine.handle_request(StreamId(stream), head, self.time());
        self.drain();
        decision
    }

    fn tick(&mut self, millis: u64) {
        self.now += millis;
        self.engine.handle_tick(self.time());
        self.drain();
    }

    fn answer(&mut self, id: FetchId, body: Result<&Value, Cause>) {
        match body {
            Ok(body) => self.answer_with(id, &[(":status", "200")], &body.to_string()),
            Err(cause) => {
                self.engine.handle_fetched(id, Err(cause.into()), self.time());
                self.drain();
            }
        }
    }

    fn answer_with(&mut self, id: FetchId, headers: &[(&str, &str)], body: &str) {
        let octets = |text: &str| text.as_bytes().to_vec();
        let headers = headers.iter().map(|(name, value)| (octets(name), octets(value)));
        let answer = Answer { headers: headers.collect(), body: octets(body) };
        self.engine.handle_fetched(id, Ok(&answer), self.time());
        self.drain();
    }

    /// Ticks until a fetch is wanted.
    fn next_fetch(&mut self) -> FetchId {
        for _ in 0..100_000 {
            if !self.fetches.is_empty() {
                return self.fetches.remove(0);
            }
            self.tick(100);
        }
        panic!("no fetch");
    }
}

/// What a fetch sends in this header.
fn sent<'a>(request: &'a FetchRequest, name: &str) -> &'a str {
    let found = request.headers.iter().find(|(own, _)| own == name);
    found.map_or("", |(_, value)| value)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// A claim set that is good at the start.
fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": "issuer", "sub": "alice", "aud": "api", "exp": START / 1000 + 600,
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn provider(key: &SigningKey, changes: Value) -> Value {
    let mut provider = json!({
        "issuer": "issuer",
        "local_jwks": { "inline_string": jwks(&[key]).to_string() },
    });
    for (name, value) in changes.as_object().unwrap() {
        provider.as_object_mut().unwrap().insert(name.clone(), value.clone());
    }
    provider
}

fn remote(changes: Value) -> Value {
    let mut provider = json!({
        "issuer": "issuer",
        "remote_jwks": {
            "http_uri": { "uri": "https://i/jwks", "cluster": "i", "timeout": "5s" },
        },
    });
    for (name, value) in changes.as_object().unwrap() {
        provider["remote_jwks"].as_object_mut().unwrap().insert(name.clone(), value.clone());
    }
    provider
}

#[track_caller]
fn refused(decision: &Decision) -> (u16, &'static str) {
    match decision {
        Decision::Reject(rejection) => (rejection.status, rejection.reason.code()),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn forwarded(decision: Decision) -> RequestEdits {
    match decision {
        Decision::Forward(edits) => edits,
        other => panic!("{other:?}"),
    }
}

fn add(name: &str, value: &str) -> RequestEdit {
    RequestEdit::Add(name.to_owned(), value.as_bytes().to_vec())
}

fn remove(name: &str) -> RequestEdit {
    RequestEdit::Remove(name.as_bytes().to_vec())
}

fn key() -> SigningKey {
    SigningKey::generate(Alg::ES256, "k")
}

#[test]
fn every_refusal_has_its_reason() {
    let key = key();
    let stranger = SigningKey::generate(Alg::ES256, "k");
    let mut gate = Gate::new(&json!({
        "providers": { "p": provider(&key, json!({ "audiences": ["api"] })) },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }],
    }));
    let now = START / 1000;
    let signed = |changes| key.sign(&claims(changes));
    let header =
        |header: Value| key.sign_with_header(&header, claims(json!({})).to_string().as_bytes());
    let cases: Vec<(String, u16, &str)> = vec![
        (String::new(), 401, "token_malformed"),
        ("a.b".into(), 401, "token_malformed"),
        ("!.e30.AA".into(), 401, "header_encoding"),
        ("e30x.e30.AA".into(), 401, "header_not_json"),
        ("e30.e30.AA".into(), 401, "algorithm_missing"),
        (header(json!({"alg": "none"})), 401, "algorithm_unknown"),
        (header(json!({"alg": "ES256", "kid": 1})), 401, "kid_type"),
        (header(json!({"alg": "ES256", "crit": ["exp"]})), 401, "header_critical"),
        (header(json!({"alg": "ES256", "kid": "other"})), 401, "key_unknown"),
        (header(json!({"alg": "ES384", "kid": "k"})), 401, "key_unknown"),
        (signed(json!({"iss": 1})), 401, "iss_type"),
        (signed(json!({"exp": "soon"})), 401, "exp_type"),
        (signed(json!({"exp": -1})), 401, "exp_range"),
        (signed(json!({"aud": {}})), 401, "aud_type"),
        (signed(json!({"iss": "other"})), 401, "issuer_unknown"),
        (signed(json!({"iss": null})), 401, "issuer_unknown"),
        (signed(json!({"nbf": now + 61})), 401, "not_yet_valid"),
        (signed(json!({"exp": now - 60})), 401, "expired"),
        (signed(json!({"exp": 0})), 401, "expired"),
        (signed(json!({"aud": "other"})), 403, "audience_not_allowed"),
        (signed(json!({"aud": null})), 403, "audience_not_allowed"),
        (stranger.sign(&claims(json!({}))), 401, "signature_invalid"),
        (format!("{}!", signed(json!({}))), 401, "signature_encoding"),
        ("a".repeat(70_000), 401, "token_too_long"),
    ];
    for (token, status, code) in cases {
        // An empty token is a header with the scheme only, which Envoy would have trimmed.
        let decision = gate.request(1, &[("authorization", &bearer(&token))]);
        assert_eq!(refused(&decision), (status, code), "{token}");
        let reason = Reason::from_code(code).unwrap();
        let counters = [Counter::Denied, Counter::DeniedFor(reason), Counter::DeniedBy(0, reason)];
        assert!(gate.counted.ends_with(&counters), "{code}: {:?}", gate.counted);
    }
    assert_eq!(refused(&gate.request(1, &[])), (401, "token_missing"));
    for good in [
        json!({}),
        json!({"exp": now - 59}),
        json!({"nbf": now + 60}),
        json!({"aud": ["x", "https://api/"]}),
        json!({"exp": null}),
        json!({"sub": null}),
    ] {
        let decision = gate.request(1, &[("authorization", &bearer(&signed(good.clone())))]);
        assert_eq!(forwarded(decision), [remove("authorization")], "{good}");
    }
    assert!(gate.fetches.is_empty());
    let logged = gate.logged.join("\n");
    assert!(logged.contains("denied reason=token_malformed status=401"));
    assert!(!logged.contains("eyJ") && !logged.contains("alice"), "{logged}");
}

#[test]
fn without_rules_everything_is_protected() {
    let (a, b) = (key(), key());
    let mut gate = Gate::new(&json!({ "providers": {
        "a": provider(&a, json!({"issuer": "a"})), "b": provider(&b, json!({"issuer": "b"})),
    }}));
    assert_eq!(refused(&gate.request(1, &[])), (401, "token_missing"));
    for (key, iss, good) in [(&a, "a", true), (&b, "b", true), (&a, "b", false), (&b, "a", false)] {
        let token = key.sign(&claims(json!({ "iss": iss })));
        let decision = gate.request(1, &[("authorization", &bearer(&token))]);
        assert_eq!(matches!(decision, Decision::Forward(_)), good, "{iss}");
    }
    let token = a.sign(&claims(json!({"iss": "c"})));
    let decision = gate.request(1, &[("authorization", &bearer(&token))]);
    assert_eq!(refused(&decision), (401, "issuer_unknown"));
}

#[test]
fn the_first_matching_rule_decides() {
    let key = key();
    let config = |fallback: Value| {
        let mut config = json!({
            "providers": { "p": provider(&key, json!({})) },
            "rules": [
                { "match": { "path": "/open" } },
                { "match": { "prefix": "/api" }, "requires": { "providerName": "p" } },
            ],
        });
        if !fallback.is_null() {
            config["default_requirement"] = fallback;
        }
        config
    };
    let open =
        |gate: &mut Gate, path| matches!(gate.request(1, &[(":path", path)]), Decision::Forward(_));
    let mut gate = Gate::new(&config(json!(null)));
    for (path, expected) in [
        ("/open", true),
        ("/open?x", true),
        ("/open/", true),
        ("/api", false),
        ("/api?open", false),
        ("/other", true),
    ] {
        assert_eq!(open(&mut gate, path), expected, "{path}");
    }
    let mut gate = Gate::new(&config(json!({"provider_name": "p"})));
    assert!(open(&mut gate, "/open"));
    assert!(!open(&mut gate, "/other"));
}

#[test]
fn identity_headers_are_struck_on_every_path_and_written_from_claims() {
    let key = key();
    let mut gate = Gate::new(&json!({
        "providers": { "p": provider(&key, json!({
            "forward": true,
            "forward_payload_header": "x-payload",
            "claim_to_headers": [
                {"header_name": "X-Sub", "claim_name": "sub"},
                {"header_name": "x-n", "claim_name": "nested.number"},
                {"header_name": "x-list", "claim_name": "list"},
                {"header_name": "x-flag", "claim_name": "flag"},
                {"header_name": "x-evil", "claim_name": "evil"},
                {"header_name": "x-null", "claim_name": "null"},
                {"header_name": "x-deep", "claim_name": "sub.x"},
            ],
        })) },
        "rules": [
            { "match": { "path": "/open" } },
            { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
        ],
    }));
    let spoofed = [("x-sub", "admin"), ("x_sub", "admin"), ("x-payload", "e30"), ("x-other", "1")];
    let struck = [remove("x-payload"), remove("x-sub"), remove("x_sub")];
    let open = gate.request(1, &[&[(":path", "/open")], &spoofed[..]].concat());
    assert_eq!(forwarded(open), struck);

    // The exact number, which a double would round.
    let payload = r#"{"iss":"issuer","sub":"alice","nested":{"number":12345678901234567890.5},
        "list":["a",1],"flag":true,"evil":"a\r\nx-admin: 1","null":null}"#;
    let token = key.sign_with_header(&json!({"alg": "ES256"}), payload.as_bytes());
    let headers = [("authorization", &*bearer(&token))];
    let edits = forwarded(gate.request(1, &[&headers[..], &spoofed[..]].concat()));
    let encoded = token.split('.').nth(1).unwrap();
    let written = [
        add("x-payload", encoded),
        add("x-sub", "alice"),
        add("x-n", "12345678901234567890.5"),
        add("x-list", "WyJhIiwxXQ=="),
        add("x-flag", "true"),
    ];
    assert_eq!(edits, [&struck[..], &written[..]].concat());
}

#[test]
fn tokens_are_taken_out_of_every_location() {
    let key = key();
    let mut gate = Gate::new(&json!({ "providers": { "p": provider(&key, json!({
        "from_headers": [{"name": "x-jwt"}],
        "from_params": ["t"],
        "from_cookies": ["c"],
    })) } }));
    let token = key.sign(&claims(json!({})));
    let path = format!("/x?a=%26&t={token}&b=+");
    let cookie = format!("a=1; c=\"{token}\"");
    let edits = forwarded(gate.request(
        1,
        &[(":path", &path), ("cookie", &cookie), ("x-jwt", &token), ("authorization", "Basic x")],
    ));
    assert_eq!(
        edits,
        [
            remove("cookie"),
            remove("x-jwt"),
            RequestEdit::Replace(":path".to_owned(), b"/x?a=%26&b=+".to_vec()),
            add("cookie", "a=1"),
        ]
        .into_iter()
        .collect::<Vec<_>>()
        .sorted_like(&edits)
    );
    // All that are presented must be good, whichever instance it is.
    let expired = key.sign(&claims(json!({"exp": 5})));
    for headers in [
        vec![("x-jwt", token.clone()), ("x-jwt", expired.clone())],
        vec![("x-jwt", expired.clone()), ("x-jwt", token.clone())],
        vec![("x-jwt", token.clone()), (":path", format!("/?t={expired}"))],
        vec![(":path", format!("/?t={token}&t={expired}"))],
        vec![(":path", format!("/?t={token}&%74={expired}"))],
        vec![("cookie", format!("c={token}; c={expired}"))],
        vec![("cookie", format!("c={token}")), ("cookie", format!("c={expired}"))],
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        assert_eq!(refused(&gate.request(1, &headers)), (401, "expired"), "{headers:?}");
    }
    // The default location is none of them.
    let decision = gate.request(1, &[("authorization", &bearer(&token))]);
    assert_eq!(refused(&decision), (401, "token_missing"));
}

/// Compares edits without regard to their order.
trait SortedLike {
    fn sorted_like(self, other: &[RequestEdit]) -> Vec<RequestEdit>;
}

impl SortedLike for Vec<RequestEdit> {
    fn sorted_like(mut self, other: &[RequestEdit]) -> Vec<RequestEdit> {
        self.sort_by_key(|edit| other.iter().position(|own| own == edit));
        self
    }
}

#[test]
fn requirement_trees() {
    let (a, b) = (key(), key());
    let providers = json!({
        "a": provider(&a, json!({"issuer": "a", "from_headers": [{"name": "x-a"}]})),
        "b": provider(&b, json!({"issuer": "b", "from_headers": [{"name": "x-b"}], "audiences": ["api"]})),
    });
    let good_a = a.sign(&claims(json!({"iss": "a"})));
    let good_b = b.sign(&claims(json!({"iss": "b"})));
    let bad_a = b.sign(&claims(json!({"iss": "a"})));
    let expired_b = b.sign(&claims(json!({"iss": "b", "exp": 1})));
    let foreign_a = a.sign(&claims(json!({"iss": "z"})));
    #[track_caller]
    fn check(
        providers: &Value,
        requires: Value,
        headers: &[(&str, &str)],
        expected: Result<&[&str], &str>,
    ) {
        let mut gate = Gate::new(&json!({
            "providers": providers,
            "rules": [{ "match": { "prefix": "" }, "requires": requires }],
        }));
        let actual = match gate.request(1, headers) {
            Decision::Forward(edits) => Ok(edits),
            Decision::Reject(rejection) => Err(rejection.reason.code()),
            _ => panic!("neither"),
        };
        let expected =
            expected.map(|taken| taken.iter().map(|name| remove(name)).collect::<Vec<_>>());
        assert_eq!(actual, expected);
    }
    let (x_a, x_b) = (("x-a", &*good_a), ("x-b", &*good_b));
    let by_name = |name: &str| json!({ "provider_name": name });
    let any = |mut more: Vec<Value>| {
        more.splice(0..0, [by_name("a"), by_name("b")]);
        json!({"requires_any": {"requirements": more}})
    };
    let all = json!({"requires_all": {"requirements": [by_name("a"), by_name("b")]}});
    let missing = || json!({"allow_missing": {}});
    let failed = || json!({"allow_missing_or_failed": {}});

    check(&providers, json!({}), &[], Ok(&[]));

    check(&providers, any(vec![]), &[], Err("token_missing"));
    check(&providers, any(vec![]), &[x_a], Ok(&["x-a"]));
    check(&providers, any(vec![]), &[x_b], Ok(&["x-b"]));
    check(&providers, any(vec![]), &[("x-a", &bad_a), x_b], Ok(&["x-b"]));
    check(&providers, any(vec![]), &[("x-a", &bad_a)], Err("signature_invalid"));
    check(&providers, any(vec![]), &[("x-a", &bad_a), ("x-b", &expired_b)], Err("expired"));
    check(&providers, any(vec![]), &[("x-a", &foreign_a)], Err("issuer_unknown"));
    check(&providers, any(vec![missing()]), &[], Ok(&[]));
    check(&providers, any(vec![missing()]), &[("x-a", &bad_a)], Err("signature_invalid"));
    check(&providers, any(vec![missing()]), &[("x-a", &foreign_a)], Err("issuer_unknown"));
    check(&providers, any(vec![failed()]), &[("x-a", &bad_a)], Ok(&[]));
    check(&providers, any(vec![missing(), failed()]), &[("x-a", &bad_a)], Ok(&[]));
    check(&providers, any(vec![failed(), missing()]), &[("x-a", &bad_a)], Ok(&[]));

    check(&providers, all.clone(), &[x_a, x_b], Ok(&["x-a", "x-b"]));
    check(&providers, all.clone(), &[x_a], Err("token_missing"));
    check(&providers, all.clone(), &[("x-a", &bad_a), x_b], Err("signature_invalid"));
    check(&providers, all, &[x_a, ("x-b", &expired_b)], Err("expired"));

    check(&providers, missing(), &[], Ok(&[]));
    check(&providers, missing(), &[x_b], Ok(&["x-b"]));
    check(&providers, missing(), &[x_a, x_b], Ok(&["x-b", "x-a"]));
    check(&providers, missing(), &[x_a, ("x-b", &expired_b)], Err("expired"));
    check(&providers, missing(), &[("x-a", &foreign_a)], Err("issuer_unknown"));
    // Issuer b's tokens are not taken from issuer a's place.
    check(&providers, missing(), &[("x-a", &good_b)], Err("issuer_unknown"));
    check(&providers, failed(), &[("x-a", &bad_a)], Ok(&[]));
    check(&providers, failed(), &[("x-a", &bad_a), x_b], Ok(&["x-b"]));

    let audiences =
        |list: Value| json!({"provider_and_audiences": {"provider_name": "b", "audiences": list}});
    check(&providers, audiences(json!(["other"])), &[x_b], Err("audience_not_allowed"));
    check(&providers, audiences(json!(["other", "api"])), &[x_b], Ok(&["x-b"]));
    check(&providers, audiences(json!([])), &[x_b], Ok(&["x-b"]));

    // A token that one provider took is not there for the next.
    let shared = json!({
        "a": provider(&a, json!({"issuer": "a"})),
        "b": provider(&a, json!({"issuer": "a"})),
    });
    let both = json!({"requires_all": {"requirements": [by_name("a"), by_name("b")]}});
    check(&shared, both, &[("authorization", &bearer(&good_a))], Err("token_missing"));
}

fn one_remote(changes: Value) -> Value {
    json!({ "providers": { "p": remote(changes) } })
}

#[test]
fn the_first_requests_wait_and_pass() {
    let key = key();
    let token = bearer(&key.sign(&claims(json!({}))));
    let mut gate = Gate::new(&one_remote(json!({})));
    assert_eq!(gate.request(1, &[("authorization", &token)]), Decision::Wait);
    assert_eq!(gate.request(2, &[("authorization", &token)]), Decision::Wait);
    assert_eq!(refused(&gate.request(3, &[])), (401, "token_missing"), "needs no keys");
    assert_eq!(gate.fetches.len(), 1);
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&key])));
    let expected = vec![remove("authorization")];
    assert_eq!(gate.resumed, [(StreamId(1), expected.clone()), (StreamId(2), expected)]);
    assert_eq!(gate.engine.waiting(), 0);
    assert!(matches!(gate.request(4, &[("authorization", &token)]), Decision::Forward(_)));
    assert!(gate.logged.iter().any(|line| line == "provider `p`: 1 keys"), "{:?}", gate.logged);
}

/// Requests that waited for keys with the same token: one passes, and who is gone uses nothing up.
#[test]
fn what_waited_is_used_once() {
    let key = key();
    let token = |jti: &str| bearer(&key.sign(&claims(json!({ "jti": jti }))));
    let mut config = one_remote(json!({}));
    config["providers"]["p"]["single_use"] = json!({});
    let mut gate = Gate::new(&config);
    let (one, other) = (token("1"), token("2"));
    for (stream, token) in [(1, &one), (2, &one), (3, &other), (4, &one)] {
        assert_eq!(gate.request(stream, &[("authorization", token)]), Decision::Wait);
    }
    gate.engine.handle_gone(StreamId(3));
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&key])));
    assert_eq!(gate.resumed, [(StreamId(1), vec![remove("authorization")])]);
    let refused = [2, 4].map(|stream| (StreamId(stream), 401, "token_replayed"));
    assert_eq!(gate.rejected, refused);
    let count = |counter| gate.counted.iter().filter(|own| **own == counter).count();
    assert_eq!((count(Counter::Allowed), count(Counter::Denied)), (1, 2));
    assert!(matches!(gate.request(5, &[("authorization", &other)]), Decision::Spend(_)));
}

#[test]
fn who_is_gone_is_not_answered() {
    let key = key();
    let token = bearer(&key.sign(&claims(json!({}))));
    let mut gate = Gate::new(&one_remote(json!({})));
    gate.request(1, &[("authorization", &token)]);
    gate.request(2, &[("authorization", &token)]);
    gate.engine.handle_gone(StreamId(1));
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&key])));
    assert_eq!(gate.resumed.len(), 1);
    assert_eq!(gate.resumed[0].0, StreamId(2));
}

#[test]
fn a_request_waits_for_a_bounded_time() {
    let token = bearer(&key().sign(&claims(json!({}))));
    let mut gate = Gate::new(&one_remote(json!({})));
    gate.request(1, &[("authorization", &token)]);
    // The issuer says nothing at all.
    gate.tick(6_999);
    assert!(gate.rejected.is_empty());
    gate.tick(1);
    assert_eq!(gate.rejected, [(StreamId(1), 503, "keys_unavailable")]);
    assert_eq!(gate.engine.waiting(), 0);
    let mut native = one_remote(json!({}));
    native["keys_unavailable_status"] = json!(401);
    let mut gate = Gate::new(&native);
    gate.request(1, &[("authorization", &token)]);
    gate.tick(7_000);
    assert_eq!(gate.rejected, [(StreamId(1), 401, "keys_unavailable")]);
}

#[test]
fn an_issuer_that_is_down_is_told_apart_from_a_bad_token() {
    let key = key();
    let token = bearer(&key.sign(&claims(json!({}))));
    let mut gate = Gate::new(&one_remote(json!({})));
    for _ in 0..80 {
        let id = gate.next_fetch();
        gate.answer(id, Err(Cause::Status(500)));
    }
    let decision = gate.request(1, &[("authorization", &token)]);
    assert_eq!(refused(&decision), (503, "keys_unavailable"));
    let failures = gate.logged.iter().filter(|line| line.contains("could not be fetched")).count();
    assert_eq!(failures, 7, "1, 2, 4 … 64 in a row");
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&key])));
    assert!(matches!(gate.request(2, &[("authorization", &token)]), Decision::Forward(_)));
}

#[test]
fn a_rotated_key_is_looked_up_once() {
    let (old, new) = (key(), SigningKey::generate(Alg::ES256, "new"));
    let mut gate = Gate::new(&one_remote(json!({})));
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&old])));
    gate.tick(10_000);
    let of_old = bearer(&old.sign(&claims(json!({}))));
    let of_new = bearer(&new.sign(&claims(json!({}))));
    for stream in 1..=5 {
        assert_eq!(gate.request(stream, &[("authorization", &of_new)]), Decision::Wait);
    }
    assert!(matches!(gate.request(6, &[("authorization", &of_old)]), Decision::Forward(_)));
    // A worker that has just looked at the notice looks again 15 ms later.
    gate.tick(15);
    assert_eq!(gate.fetches.len(), 1, "one look-up for all");
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&old, &new])));
    assert_eq!(gate.resumed.len(), 5);
    // With the old key withdrawn, its tokens are refused, after one look-up.
    gate.tick(10_000);
    let stranger = SigningKey::generate(Alg::ES256, "x");
    gate.request(7, &[("authorization", &bearer(&stranger.sign(&claims(json!({})))))]);
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&new])));
    assert_eq!(gate.rejected, [(StreamId(7), 401, "key_unknown")]);
    gate.tick(3_000);
    assert_eq!(gate.request(8, &[("authorization", &of_old)]), Decision::Wait);
}

/// Nobody waits for a candidate, nor where refusals are only reported; what is looked for in vain is
/// found out all the same.
#[test]
fn unknown_kids_are_found_out_without_anybody_who_waits() {
    let (key, other) = (key(), SigningKey::generate(Alg::ES256, "other"));
    let rules = json!([{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }]);
    let token = bearer(&key.sign(&claims(json!({}))));
    let mut local = remote(json!({}));
    local.as_object_mut().unwrap().remove("remote_jwks");
    local["local_jwks"] = json!({ "inline_string": jwks(&[&key]).to_string() });
    let candidate = json!({ "providers": { "p": local }, "rules": rules,
        "shadow": { "providers": { "p": remote(json!({})) } } });
    let reporting =
        json!({ "providers": { "p": remote(json!({})) }, "rules": rules, "mode": "report_only" });
    for (config, before, after) in [
        (candidate, "shadow_undecided", "shadow_denies_for.key_unknown"),
        (reporting, "report_only_for.keys_unavailable", "report_only_for.key_unknown"),
    ] {
        let mut gate = Gate::new(&config);
        let id = gate.next_fetch();
        gate.answer(id, Ok(&jwks(&[&other])));
        gate.tick(10_000);
        let counted = |gate: &mut Gate, stream: u32| {
            gate.counted.clear();
            let decision = gate.request(stream, &[("authorization", &token)]);
            assert!(matches!(decision, Decision::Forward(_)), "{decision:?}");
            let names = gate.counted.iter().map(|counter| gate.engine.counter_name(*counter));
            names.collect::<Vec<_>>().join(" ")
        };
        let first = counted(&mut gate, 1);
        assert!(first.contains(before), "{first}");
        gate.tick(15);
        let id = gate.next_fetch();
        gate.answer(id, Ok(&jwks(&[&other])));
        let second = counted(&mut gate, 2);
        assert!(second.contains(after) && !second.contains(before), "{second}");
        assert_eq!(gate.engine.waiting(), 0);
    }
}

#[test]
fn a_flood_of_invented_kids_costs_one_fetch_per_cooldown() {
    let key = key();
    let good = bearer(&key.sign(&claims(json!({}))));
    let mut gate = Gate::new(&one_remote(json!({})));
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&key])));
    gate.tick(10_000);
    let mut fetches = 0;
    for round in 0..6_000_u32 {
        let header = json!({"alg": "ES256", "kid": format!("invented {round}")});
        let payload = claims(json!({})).to_string();
        let token = format!(
            "{}.{}.AAAA",
            jwt_gate_demo::keys::base64url(header.to_string()),
            jwt_gate_demo::keys::base64url(payload)
        );
        let decision = gate.request(round, &[("authorization", &bearer(&token))]);
        assert!(matches!(decision, Decision::Wait | Decision::Reject(_)));
        if round % 10 == 0 {
            let decision = gate.request(1_000_000 + round, &[("authorization", &good)]);
            assert!(matches!(decision, Decision::Forward(_)));
        }
        gate.tick(10);
        for id in std::mem::take(&mut gate.fetches) {
            fetches += 1;
            gate.answer(id, Ok(&jwks(&[&key])));
        }
        assert!(gate.engine.waiting() <= MAX_WAITING);
    }
    assert!(gate.resumed.is_empty());
    // A minute, a cooldown of two seconds.
    assert!((25..=31).contains(&fetches), "{fetches}");
}

#[test]
fn the_number_of_waiting_requests_is_bounded() {
    let token = bearer(&key().sign(&claims(json!({}))));
    let mut gate = Gate::new(&one_remote(json!({})));
    let waiting = u32::try_from(MAX_WAITING_FOR_PROVIDER).unwrap();
    for stream in 0..waiting {
        assert_eq!(gate.request(stream, &[("authorization", &token)]), Decision::Wait);
    }
    let decision = gate.request(waiting, &[("authorization", &token)]);
    assert_eq!(refused(&decision), (503, "too_many_waiting"));
    gate.tick(7_000);
    assert_eq!(gate.engine.waiting(), 0);
}

/// Who the backend sees must not depend on which keys happen to be there.
#[test]
fn an_earlier_alternative_is_waited_for() {
    let (local, key) = (key(), SigningKey::generate(Alg::ES256, "r"));
    let config = |second: Value| {
        json!({
            "providers": {
                "local": provider(&local, json!({"issuer": "l", "from_headers": [{"name": "x-l"}]})),
                "remote": remote(json!({})),
            },
            "rules": [{ "match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [
                {"provider_name": "remote"}, second]}} }],
        })
    };
    let good_local = local.sign(&claims(json!({"iss": "l"})));
    let good_remote = bearer(&key.sign(&claims(json!({}))));
    let both = [("x-l", &*good_local), ("authorization", &*good_remote)];
    for second in [json!({"provider_name": "local"}), json!({}), json!({"allow_missing": {}})] {
        let mut gate = Gate::new(&config(second));
        assert_eq!(gate.request(1, &both), Decision::Wait);
        let id = gate.next_fetch();
        gate.answer(id, Ok(&jwks(&[&key])));
        assert_eq!(gate.resumed, [(StreamId(1), vec![remove("authorization")])]);
    }
    let mut gate = Gate::new(&config(json!({"provider_name": "local"})));
    let only_local = [("x-l", &*good_local)];
    assert!(matches!(gate.request(1, &only_local), Decision::Forward(_)), "nothing to wait for");
}

/// What Istio makes of two rules: each is optional, and the first takes the token from the second.
/// While the first waits for its keys, the second must not refuse a token that is not its own.
#[test]
fn optional_requirements_side_by_side_wait_in_order() {
    let (a, b) = (key(), key());
    let mut config = json!({ "providers": { "a": remote(json!({})), "b": remote(json!({})) } });
    config["providers"]["a"]["issuer"] = json!("a");
    config["providers"]["b"]["issuer"] = json!("b");
    config["providers"]["b"]["remote_jwks"]["http_uri"]["uri"] = json!("https://b/jwks");
    let optional = |name: &str| json!({"requires_any": {"requirements": [{"provider_name": name}, {"allow_missing": {}}]}});
    let all = json!({"requires_all": {"requirements": [optional("a"), optional("b")]}});
    config["rules"] = json!([{ "match": { "prefix": "/" }, "requires": all }]);
    let mut gate = Gate::new(&config);
    let token = bearer(&a.sign(&claims(json!({"iss": "a"}))));
    assert_eq!(gate.request(1, &[("authorization", &token)]), Decision::Wait);
    for key in [&a, &b] {
        let id = gate.next_fetch();
        gate.answer(id, Ok(&jwks(&[key])));
    }
    assert_eq!(gate.resumed, [(StreamId(1), vec![remove("authorization")])]);
}

/// Found in review: the time to wait was that of the first keys, whatever came after them.
#[test]
fn keys_that_are_wanted_later_have_their_own_time() {
    let (p, q) = (key(), key());
    let mut config = json!({ "providers": { "p": remote(json!({})), "q": remote(json!({})) } });
    for (name, timeout) in [("p", "1s"), ("q", "20s")] {
        config["providers"][name]["issuer"] = json!(name);
        config["providers"][name]["from_headers"] = json!([{ "name": format!("x-{name}") }]);
        let uri =
            json!({ "uri": format!("https://{name}/k"), "cluster": name, "timeout": timeout });
        config["providers"][name]["remote_jwks"]["http_uri"] = uri;
    }
    let all = json!({"requires_all": {"requirements": [
        {"provider_name": "p"}, {"provider_name": "q"}]}});
    config["rules"] = json!([{ "match": { "prefix": "/" }, "requires": all }]);
    let mut gate = Gate::new(&config);
    let of_p = p.sign(&claims(json!({"iss": "p"})));
    let of_q = q.sign(&claims(json!({"iss": "q"})));
    let headers = [("x-p", &*of_p), ("x-q", &*of_q)];
    assert_eq!(gate.request(1, &headers), Decision::Wait);
    let (first, second) = (gate.next_fetch(), gate.next_fetch());
    gate.answer(first, Ok(&jwks(&[&p])));
    gate.tick(15_000);
    assert!(gate.rejected.is_empty());
    gate.answer(second, Ok(&jwks(&[&q])));
    assert_eq!(gate.resumed.len(), 1);
}

/// Found in review: with only `allow_missing` in a list, every bad token passed.
#[test]
fn a_list_of_allowances_checks_tokens() {
    let key = key();
    let bad = SigningKey::generate(Alg::ES256, "k").sign(&claims(json!({})));
    let good = bearer(&key.sign(&claims(json!({}))));
    let (missing, failed) = (json!({"allow_missing": {}}), json!({"allow_missing_or_failed": {}}));
    let any = |list: Value| json!({"requires_any": {"requirements": list}});
    for (requires, lenient) in [
        (any(json!([missing, missing])), false),
        (any(json!([any(json!([missing, missing])), any(json!([missing, missing]))])), false),
        (any(json!([missing, failed])), true),
    ] {
        let mut gate = Gate::new(&json!({
            "providers": { "p": provider(&key, json!({})) },
            "rules": [{ "match": { "prefix": "/" }, "requires": requires }],
        }));
        let decision = gate.request(1, &[("authorization", &bearer(&bad))]);
        assert_eq!(matches!(decision, Decision::Forward(_)), lenient, "{decision:?}");
        let edits = forwarded(gate.request(2, &[("authorization", &good)]));
        assert_eq!(edits, [remove("authorization")]);
        assert_eq!(forwarded(gate.request(3, &[])), []);
    }
}

/// Found in review: what one request may cost is bounded.
#[test]
fn many_tokens_cost_little() {
    let keys: Vec<_> = (0..20).map(|_| SigningKey::generate(Alg::ES256, "k")).collect();
    let set = jwks(&keys.iter().collect::<Vec<_>>()).to_string();
    let provider = json!({ "issuer": "issuer", "local_jwks": { "inline_string": set } });
    let config = |requires: Value| {
        json!({ "providers": { "p": provider },
            "rules": [{ "match": { "prefix": "/" }, "requires": requires }] })
    };
    let forged = SigningKey::generate(Alg::ES256, "k")
        .sign_with_header(&json!({"alg": "ES256"}), claims(json!({})).to_string().as_bytes());
    let path =
        |times: usize| format!("/?{}", vec![format!("access_token={forged}"); times].join("&"));
    let mut strict = Gate::new(&config(json!({"provider_name": "p"})));
    for (times, code) in
        [(1, "signature_invalid"), (9, "too_many_tokens"), (250, "too_many_tokens")]
    {
        assert_eq!(refused(&strict.request(1, &[(":path", &path(times))])), (401, code));
    }
    // Eight tokens with sixteen keys each are refused after 32 signatures in all.
    let mut optional = Gate::new(&config(json!({"allow_missing": {}})));
    assert_eq!(refused(&optional.request(1, &[(":path", &path(8))])), (401, "too_many_tokens"));
    let mut lenient = Gate::new(&config(json!({"allow_missing_or_failed": {}})));
    assert!(matches!(lenient.request(1, &[(":path", &path(250))]), Decision::Forward(_)));
}

/// Found in review: every alternative reads a token again; what that costs together is bounded.
#[test]
fn many_alternatives_read_a_long_token_a_bounded_number_of_times() {
    let key = key();
    let providers: serde_json::Map<String, Value> = (0..60)
        .map(|index| (format!("p{index}"), provider(&key, json!({"issuer": format!("i{index}")}))))
        .collect();
    let mut gate = Gate::new(&json!({ "providers": providers }));
    let short = key.sign(&claims(json!({"iss": "i59"})));
    let decision = gate.request(1, &[("authorization", &bearer(&short))]);
    assert!(matches!(decision, Decision::Forward(_)), "{decision:?}");
    let long = key.sign(&claims(json!({"iss": "i59", "x": "y".repeat(30_000)})));
    let decision = gate.request(1, &[("authorization", &bearer(&long))]);
    assert_eq!(refused(&decision), (401, "too_many_tokens"));
}

/// Found in review: Envoy joins repeated headers, and a token must not hide behind others.
#[test]
fn a_token_behind_other_credentials_is_found() {
    let key = key();
    let mut gate = Gate::new(&json!({
        "providers": { "p": provider(&key, json!({})) },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "allow_missing": {} } }],
    }));
    let good = key.sign(&claims(json!({})));
    let expired = key.sign(&claims(json!({"exp": 5})));
    let edits = gate.request(1, &[("authorization", &format!("Basic a,Bearer {good}"))]);
    assert_eq!(forwarded(edits), [remove("authorization")]);
    let decision = gate.request(1, &[("authorization", &format!("Basic a,Bearer {expired}"))]);
    assert_eq!(refused(&decision), (401, "expired"));
}

/// Found in review: a request without a path fell under no rule, and passed.
#[test]
fn connect_falls_under_the_prefix_of_all_paths() {
    let key = key();
    let mut gate = Gate::new(&json!({
        "providers": { "p": provider(&key, json!({})) },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "p" } }],
    }));
    let head = vec![(b":method".to_vec(), b"CONNECT".to_vec())];
    let decision =
        gate.engine.handle_request(StreamId(1), RequestHead::new(head), UnixTime::from_secs(5));
    assert_eq!(refused(&decision), (401, "token_missing"));
}

/// Found in review: a flood for one provider kept another provider's new key from being fetched.
#[test]
fn a_crowd_does_not_keep_others_from_their_keys() {
    let keys = ["a", "b", "c"].map(|_| key());
    let [a, b, _] = &keys;
    let next = SigningKey::generate(Alg::ES256, "next");
    let mut config = json!({ "providers": {} });
    for name in ["a", "b", "c"] {
        config["providers"][name] = remote(json!({}));
        config["providers"][name]["issuer"] = json!(name);
        let uri = format!("https://{name}/jwks");
        config["providers"][name]["remote_jwks"]["http_uri"]["uri"] = json!(uri);
    }
    let mut gate = Gate::new(&config);
    for key in &keys {
        let id = gate.next_fetch();
        gate.answer(id, Ok(&jwks(&[key])));
    }
    gate.tick(10_000);
    let mut stream = 0;
    let mut flood = |gate: &mut Gate, issuer: &str| {
        for _ in 0..1_000 {
            stream += 1;
            let kid = json!({"alg": "ES256", "kid": format!("invented {}", stream % 50)});
            let claims = claims(json!({"iss": issuer})).to_string();
            let token = a.sign_with_header(&kid, claims.as_bytes());
            gate.request(stream, &[("authorization", &bearer(&token))]);
        }
    };
    flood(&mut gate, "a");
    assert_eq!(gate.engine.waiting(), MAX_WAITING_FOR_PROVIDER);
    flood(&mut gate, "c");
    assert_eq!(gate.engine.waiting(), MAX_WAITING);
    assert_eq!(gate.gauges[&Quantity::Waiting], i64::try_from(MAX_WAITING).unwrap());
    gate.fetches.clear();
    let honest = bearer(&next.sign(&claims(json!({"iss": "b"}))));
    let decision = gate.request(stream + 1, &[("authorization", &honest)]);
    assert_eq!(refused(&decision), (503, "too_many_waiting"));
    let before = gate.requests.len();
    gate.tick(15);
    let id = gate.requests[before..].iter().find(|(_, request)| sent(request, ":authority") == "b");
    let id = id.unwrap().0;
    gate.answer(id, Ok(&jwks(&[b, &next])));
    let decision = gate.request(stream + 2, &[("authorization", &honest)]);
    assert!(matches!(decision, Decision::Forward(_)), "{decision:?}");
}

/// Found in review: somebody else's early look-up must not refuse an honest token.
#[test]
fn a_kid_that_was_absent_lately_waits_for_the_next_look_up() {
    let (old, new) = (key(), SigningKey::generate(Alg::ES256, "new"));
    let mut gate = Gate::new(&one_remote(json!({})));
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&old])));
    gate.tick(10_000);
    let token = bearer(&new.sign(&claims(json!({}))));
    gate.request(1, &[("authorization", &token)]);
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&old])));
    assert_eq!(gate.rejected, [(StreamId(1), 401, "key_unknown")]);
    gate.tick(100);
    assert_eq!(gate.request(2, &[("authorization", &token)]), Decision::Wait);
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&old, &new])));
    assert_eq!(gate.resumed.len(), 1);
}

/// Found in review: a request was given up before its look-up could be over.
#[test]
fn a_request_waits_as_long_as_a_look_up_may_take() {
    let (old, new) = (key(), SigningKey::generate(Alg::ES256, "new"));
    let mut gate = Gate::new(&one_remote(json!({"unknown_kid_cooldown": "4s"})));
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&old])));
    gate.tick(1);
    gate.request(1, &[("authorization", &bearer(&new.sign(&claims(json!({})))))]);
    gate.tick(4_000);
    let id = gate.next_fetch();
    gate.tick(4_900);
    assert!(gate.rejected.is_empty());
    gate.answer(id, Ok(&jwks(&[&old, &new])));
    assert_eq!(gate.resumed.len(), 1);
}

#[test]
fn a_clock_that_jumps_strands_nobody() {
    let key = key();
    let token = bearer(&key.sign(&claims(json!({"exp": null}))));
    let mut gate = Gate::new(&one_remote(json!({})));
    gate.request(1, &[("authorization", &token)]);
    gate.now -= 86_400_000;
    gate.tick(0);
    gate.tick(6_999);
    assert!(gate.rejected.is_empty());
    gate.tick(1);
    assert_eq!(gate.rejected.len(), 1, "the deadline moved with the clock");
    let id = gate.fetches.remove(0);
    gate.answer(id, Ok(&jwks(&[&key])));
    gate.now += 86_400_000 * 365;
    gate.tick(0);
    assert_eq!(gate.fetches.len(), 1, "the keys are old now");
    assert_eq!(gate.request(2, &[("authorization", &token)]), Decision::Wait);
}

#[test]
fn a_closed_engine_refuses_everything() {
    let mut engine = Engine::closed();
    let head = RequestHead::new(vec![(b":path".to_vec(), b"/".to_vec())]);
    let decision = engine.handle_request(StreamId(1), head, UnixTime::from_secs(5));
    assert_eq!(refused(&decision), (503, "configuration_invalid"));
    assert_eq!(engine.next_wake_up(), None);
}

#[test]
fn the_engine_says_when_it_wants_to_be_called() {
    let mut gate = Gate::new(&one_remote(json!({})));
    assert_eq!(gate.wait(), Some(Duration::ZERO));
    gate.tick(0);
    assert_eq!(gate.wait(), Some(Duration::from_secs(6)));
    gate.tick(3_000);
    let token = bearer(&key().sign(&claims(json!({}))));
    gate.request(1, &[("authorization", &token)]);
    assert_eq!(gate.wait(), Some(Duration::from_secs(3)), "an overdue answer");
    gate.tick(3_000);
    let next = gate.wait().unwrap();
    assert!(next <= Duration::from_millis(500), "the next attempt");
}

/// Two workers, or two plugins in one, with one notice: they ask once, and both have the keys.
#[test]
fn engines_that_share_a_notice_fetch_once() {
    let key = key();
    let token = bearer(&key.sign(&claims(json!({}))));
    let (mut first, mut second) =
        (Gate::new(&one_remote(json!({}))), Gate::new(&one_remote(json!({}))));
    assert_eq!(first.request(1, &[("authorization", &token)]), Decision::Wait);
    second.shared = first.shared.clone();
    assert_eq!(second.request(1, &[("authorization", &token)]), Decision::Wait);
    assert_eq!((first.fetches.len(), second.fetches.len()), (1, 0));
    second.tick(500);
    let id = first.next_fetch();
    first.answer(id, Ok(&jwks(&[&key])));
    assert_eq!(first.resumed.len(), 1);
    assert!(first.counted.contains(&Counter::Of(0, KeyEvent::Changed)));
    second.shared = first.shared.clone();
    second.tick(15);
    assert_eq!(second.resumed.len(), 1, "noticed within 15 ms");
    assert!(second.counted.contains(&Counter::Of(0, KeyEvent::Taken)));
    assert!(!second.counted.contains(&Counter::FetchSucceeded));
    assert_eq!((second.gauges[&Quantity::Keys], second.gauges[&Quantity::Waiting]), (1, 0));
    // A third one that comes later needs no issuer at all.
    let mut third = Gate::new(&one_remote(json!({})));
    third.shared = first.shared.clone();
    third.tick(0);
    assert!(matches!(third.request(1, &[("authorization", &token)]), Decision::Forward(_)));
    // Without sharing, every one asks.
    let mut config = one_remote(json!({}));
    config["key_sharing"] = json!({"disabled": true});
    let mut alone = Gate::new(&config);
    alone.shared = first.shared.clone();
    alone.tick(0);
    assert_eq!(alone.fetches.len(), 1);
    // And who does not know the secret finds nothing.
    config["key_sharing"] = json!({"secret": "s"});
    let mut other = Gate::new(&config);
    other.shared = first.shared.clone();
    other.tick(0);
    assert_eq!(other.fetches.len(), 1);
}

/// What others wrote there is nonsense: it costs nothing but a fetch.
#[test]
fn a_spoiled_notice_is_survived() {
    let key = key();
    let token = bearer(&key.sign(&claims(json!({}))));
    let mut honest = Gate::new(&one_remote(json!({})));
    let id = honest.next_fetch();
    honest.answer(id, Ok(&jwks(&[&key])));
    let entries: Vec<_> = honest.shared.keys().cloned().collect();
    assert_eq!(entries.len(), 2);
    let newer = r#"{"number":9,"began":{"secs":1,"nanos":0},"until":null,"keys":9,"failures":0,"due":{"secs":1,"nanos":0}}"#;
    for (notice, keys) in [("{", "{}"), (newer, "{}"), (newer, ""), ("\u{0}", "[]")] {
        let mut gate = Gate::new(&one_remote(json!({})));
        for entry in &entries {
            let text = if entry.ends_with("notice") { notice } else { keys };
            gate.write(entry.clone(), text.as_bytes().to_vec());
        }
        let id = gate.next_fetch();
        gate.answer(id, Ok(&jwks(&[&key])));
        assert!(matches!(gate.request(1, &[("authorization", &token)]), Decision::Forward(_)));
        gate.tick(5_000);
        assert!(gate.fetches.is_empty());
    }
}

#[test]
fn fetches_send_what_is_configured_and_ask_for_changes_only() {
    let key = key();
    let mut gate = Gate::new(&one_remote(json!({
        "cache_duration": "60s",
        "request_headers": [
            {"key": "X-Api-Key", "value": "k"}, {"key": "user-agent", "value": "mine"}],
    })));
    let first = gate.next_fetch();
    let request = gate.requests[0].1.clone();
    assert_eq!(request.cluster, "i");
    for (name, value) in [
        (":path", "/jwks"),
        ("accept", "application/jwk-set+json, application/json"),
        ("accept-encoding", "identity"),
        ("x-api-key", "k"),
        ("user-agent", "mine"),
        ("if-none-match", ""),
    ] {
        assert_eq!(sent(&request, name), value);
    }
    let good = [(":status", "200"), ("etag", "\"1\"")];
    gate.answer_with(first, &good, &jwks(&[&key]).to_string());
    let second = gate.next_fetch();
    assert_eq!(sent(&gate.requests[1].1, "if-none-match"), "\"1\"");
    gate.answer_with(second, &[(":status", "304")], "");
    let token = bearer(&key.sign(&claims(json!({"exp": null}))));
    assert!(matches!(gate.request(1, &[("authorization", &token)]), Decision::Forward(_)));
    let changes = gate.counted.iter().filter(|one| **one == Counter::Of(0, KeyEvent::Changed));
    assert_eq!(changes.count(), 1);
    // The tag is kept for the next time, and "not modified" counts as fresh.
    let began = gate.now;
    gate.next_fetch();
    assert!(gate.now - began > 45_000);
    assert_eq!(sent(&gate.requests[2].1, "if-none-match"), "\"1\"");
}

#[test]
fn an_issuer_is_discovered() {
    let key = key();
    let config = json!({ "providers": { "p": {
        "issuer": "https://i.test/a",
        "remote_jwks": { "discovery": {
            "cluster": "main", "timeout": "5s", "clusters": {"keys.test": "keys"} } },
    } } });
    let token = bearer(&key.sign(&claims(json!({"iss": "https://i.test/a"}))));
    let metadata = |issuer: &str, uri: &str| json!({"issuer": issuer, "jwks_uri": uri});
    let asked = |gate: &Gate| {
        let request = &gate.requests.last().unwrap().1;
        format!("{} {}{}", request.cluster, sent(request, ":authority"), sent(request, ":path"))
    };
    let mut gate = Gate::new(&config);
    assert_eq!(gate.request(1, &[("authorization", &token)]), Decision::Wait);
    let id = gate.next_fetch();
    assert_eq!(asked(&gate), "main i.test/a/.well-known/openid-configuration");
    gate.answer(id, Err(Cause::Status(404)));
    let id = gate.next_fetch();
    assert_eq!(asked(&gate), "main i.test/.well-known/oauth-authorization-server/a");
    gate.answer(id, Ok(&metadata("https://i.test/a", "https://keys.test/k")));
    let id = gate.next_fetch();
    assert_eq!(asked(&gate), "keys keys.test/k");
    gate.answer(id, Ok(&jwks(&[&key])));
    assert_eq!(gate.resumed.len(), 1);
    // A worker that takes the keys knows where they are.
    let mut other = Gate::new(&config);
    other.shared = gate.shared.clone();
    other.now += 595_000;
    other.tick(0);
    other.tick(15);
    assert_eq!(asked(&other), "keys keys.test/k");

    // Metadata that must not be believed.
    for (answer, code) in [
        (metadata("https://i.test", "https://keys.test/k"), "metadata_other_issuer"),
        (metadata("https://i.test/a", "https://evil.test/k"), "metadata_no_cluster"),
        (metadata("https://i.test/a", "http://keys.test/k"), "metadata_no_address"),
        (json!([]), "metadata_not_json"),
    ] {
        let mut gate = Gate::new(&config);
        for _ in 0..2 {
            let id = gate.next_fetch();
            gate.answer(id, Ok(&answer));
        }
        assert!(gate.counted.contains(&Counter::Of(0, KeyEvent::FailedFor(code))), "{code}");
        assert!(gate.logged.iter().any(|line| line.contains("metadata")), "{:?}", gate.logged);
    }

    // Where the keys were is the best guess while metadata cannot be had; after two failures it is
    // read again.
    gate.tick(600_000);
    for status in [500, 500, 500] {
        let id = gate.next_fetch();
        gate.answer(id, Err(Cause::Status(status)));
    }
    assert_eq!(asked(&gate), "main i.test/.well-known/oauth-authorization-server/a");
    let id = gate.next_fetch();
    gate.answer(id, Err(Cause::Status(500)));
    assert_eq!(asked(&gate), "keys keys.test/k");
}

#[test]
fn keys_of_last_resort_serve_until_the_first_fetch() {
    let (pinned, fresh) = (key(), SigningKey::generate(Alg::ES256, "fresh"));
    let mut config = one_remote(json!({}));
    config["providers"]["p"]["local_jwks"] = json!({"inline_string": jwks(&[&pinned]).to_string()});
    config["providers"]["p"]["local_jwks_is_fallback"] = json!(true);
    let mut gate = Gate::new(&config);
    let of_pinned = bearer(&pinned.sign(&claims(json!({}))));
    let of_fresh = bearer(&fresh.sign(&claims(json!({}))));
    assert_eq!(gate.request(1, &[("authorization", &of_pinned)]), Decision::Wait);
    let id = gate.next_fetch();
    gate.answer(id, Err(Cause::NoAnswer));
    assert_eq!(gate.resumed.len(), 1, "the issuer failed, the pinned key does not");
    assert!(gate.logged.iter().any(|line| line.ends_with("the keys of `local_jwks` are used")));
    for _ in 0..80 {
        let id = gate.next_fetch();
        gate.answer(id, Err(Cause::NoAnswer));
    }
    assert!(matches!(gate.request(2, &[("authorization", &of_pinned)]), Decision::Forward(_)));
    let decision = gate.request(3, &[("authorization", &of_fresh)]);
    assert_eq!(refused(&decision), (503, "keys_unavailable"), "nobody knows this key");
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&fresh])));
    assert!(matches!(gate.request(4, &[("authorization", &of_fresh)]), Decision::Forward(_)));
    // From now on the issuer's word counts, also when it fails again.
    let decision = gate.request(5, &[("authorization", &of_pinned)]);
    assert_eq!(refused(&decision), (401, "key_unknown"));
}

#[test]
fn retry_after_is_respected_within_bounds() {
    for (retry_after, least, most) in [("20", 20_000, 20_200), ("100000", 300_000, 300_200)] {
        let mut gate = Gate::new(&one_remote(json!({})));
        let id = gate.next_fetch();
        gate.answer(id, Ok(&jwks(&[&key()])));
        let id = gate.next_fetch();
        gate.answer_with(id, &[(":status", "503"), ("retry-after", retry_after)], "");
        let began = gate.now;
        gate.next_fetch();
        let waited = gate.now - began;
        assert!((least..=most).contains(&waited), "{waited}");
    }
}

/// What was verified once is not verified again, and nothing else changes.
#[test]
fn known_tokens_are_judged_like_new_ones() {
    let (first, second) = (key(), SigningKey::generate(Alg::ES256, "second"));
    let mut config = one_remote(json!({"cache_duration": "60s"}));
    config["providers"]["p"]["claim_to_headers"] =
        json!([{"header_name": "x-sub", "claim_name": "sub"}]);
    config["providers"]["p"]["audiences"] = json!(["api"]);
    config["rules"] = json!([
        { "match": { "path": "/other" }, "requires": { "provider_and_audiences": {
            "provider_name": "p", "audiences": ["other"] } } },
        { "match": { "path": "/optional" }, "requires": { "allow_missing": {} } },
        { "match": { "prefix": "/" }, "requires": { "provider_name": "p" } },
    ]);
    let mut gate = Gate::new(&config);
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&first, &second])));
    let uses = |gate: &mut Gate| {
        let counted = std::mem::take(&mut gate.counted);
        let count = |counter| counted.iter().filter(|one| **one == counter).count();
        (count(Counter::CacheHit), count(Counter::CacheMiss))
    };
    uses(&mut gate);
    let token = first.sign(&claims(json!({"exp": START / 1000 + 400})));
    let bearer_token = bearer(&token);
    let ask = |gate: &mut Gate, path: &str| {
        gate.request(1, &[(":path", path), ("authorization", &bearer_token), ("x-sub", "evil")])
    };
    let new = forwarded(ask(&mut gate, "/"));
    assert_eq!(uses(&mut gate), (0, 1));
    assert_eq!(forwarded(ask(&mut gate, "/")), new);
    assert_eq!(forwarded(ask(&mut gate, "/optional")), new);
    assert_eq!(uses(&mut gate), (2, 0));
    assert_eq!(refused(&ask(&mut gate, "/other")), (403, "audience_not_allowed"));
    // One octet less or another signature is another token.
    let mut shorter = token.clone();
    shorter.pop();
    let other = bearer(&shorter);
    assert!(matches!(gate.request(1, &[("authorization", &other)]), Decision::Reject(_)));
    let forged = SigningKey::generate(Alg::ES256, "k").sign(&claims(json!({})));
    for _ in 0..2 {
        let decision = gate.request(1, &[("authorization", &bearer(&forged))]);
        assert_eq!(refused(&decision), (401, "signature_invalid"));
    }
    uses(&mut gate);
    // A key that is withdrawn takes its tokens along; those of others are checked once more.
    let of_second = bearer(&second.sign(&claims(json!({}))));
    forwarded(gate.request(1, &[("authorization", &of_second)]));
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&second])));
    uses(&mut gate);
    forwarded(gate.request(1, &[("authorization", &of_second)]));
    assert_eq!(uses(&mut gate), (0, 1));
    assert_eq!(refused(&ask(&mut gate, "/")), (401, "key_unknown"));
    // And back again; then time goes by.
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&first, &second])));
    assert_eq!(forwarded(ask(&mut gate, "/")), new);
    gate.now = START + 400_000 + 59_000;
    assert_eq!(forwarded(ask(&mut gate, "/")), new, "within the clock skew");
    gate.now += 1_000;
    assert_eq!(refused(&ask(&mut gate, "/")), (401, "expired"));
}

/// Keys that are too old verify nothing, known tokens included.
#[test]
fn known_tokens_end_with_their_keys() {
    let key = key();
    let mut gate =
        Gate::new(&one_remote(json!({"cache_duration": "10s", "stale_if_error": "20s"})));
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&key])));
    let token = bearer(&key.sign(&claims(json!({}))));
    forwarded(gate.request(1, &[("authorization", &token)]));
    for _ in 0..20 {
        let id = gate.next_fetch();
        gate.answer(id, Err(Cause::NoAnswer));
    }
    assert!(gate.now > START + 30_000);
    let decision = gate.request(2, &[("authorization", &token)]);
    assert_eq!(refused(&decision), (503, "keys_unavailable"));
}

/// Found in review: what stood on the notice from before kept a worker from looking.
#[test]
fn a_clock_that_is_set_back_keeps_no_rotated_key_away() {
    let (old, new) = (key(), SigningKey::generate(Alg::ES256, "new"));
    let mut gate = Gate::new(&one_remote(json!({})));
    let id = gate.next_fetch();
    gate.answer(id, Ok(&jwks(&[&old])));
    gate.tick(5_000);
    gate.now -= 600_000;
    gate.tick(0);
    let token = bearer(&new.sign(&claims(json!({"exp": null}))));
    assert_eq!(gate.request(1, &[("authorization", &token)]), Decision::Wait);
    for _ in 0..200 {
        gate.tick(20);
        for id in std::mem::take(&mut gate.fetches) {
            gate.answer(id, Ok(&jwks(&[&old, &new])));
        }
    }
    assert_eq!((gate.resumed.len(), gate.rejected.len()), (1, 0));
}

/// Found in review: an issuer that fails, a clock that is set back, a new configuration.
#[test]
fn a_new_configuration_does_not_inherit_waits_from_another_time() {
    let mut gate = Gate::new(&one_remote(json!({})));
    for _ in 0..80 {
        let id = gate.next_fetch();
        gate.answer(id, Err(Cause::NoAnswer));
    }
    let mut next = Gate::new(&one_remote(json!({})));
    next.shared = gate.shared.clone();
    next.now = gate.now - 3_600_000;
    let began = next.now;
    next.next_fetch();
    assert!(next.now - began <= 5_100, "{}", next.now - began);
}
