//! An engine with keys at hand, for tests that ask who gets in.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests; each uses a part of it"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jwt_gate::engine::{Counter, Decision, Effect, Engine, FetchId, FetchRequest, StreamId};
use jwt_gate::jwks::answer::Answer;
use jwt_gate::jwks::key_store::NotShared;
use jwt_gate::policy::Policy;
use jwt_gate::request::{RequestEdit, RequestHead};
use jwt_gate::single_use::SharedData;
use jwt_gate::time::UnixTime;
use jwt_gate_demo::keys::{Alg, SigningKey, base64url, jwks};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// When the tests take place.
pub const NOW: u64 = 1_800_000_000;

/// Text and state of each entry.
type Entries = BTreeMap<String, (Vec<u8>, u32)>;

/// The proxy's shared data. Clones are the same data.
#[derive(Clone, Default)]
pub struct Shared(pub Rc<RefCell<Entries>>);

impl SharedData for Shared {
    type Seen = u32;

    fn read(&mut self, entry: &str) -> Option<(Option<Vec<u8>>, u32)> {
        let found = self.0.borrow().get(entry).cloned();
        Some(found.map_or((None, u32::MAX), |(text, seen)| (Some(text), seen)))
    }

    fn swap(&mut self, entry: &str, text: &[u8], seen: u32) -> bool {
        let mut entries = self.0.borrow_mut();
        let now = entries.get(entry).map_or(u32::MAX, |(_, seen)| *seen);
        if now == seen {
            entries.insert(entry.to_owned(), (text.to_vec(), now.wrapping_add(2)));
        }
        now == seen
    }
}

/// An engine, and what it did.
pub struct Gate {
    pub engine: Engine,
    pub shared: Shared,
    pub counted: Vec<Counter>,
    pub logged: Vec<String>,
    /// What is to be fetched, with the workers of their own.
    pub fetches: Vec<(FetchId, FetchRequest)>,
    /// What became of requests that waited.
    pub answered: Vec<String>,
    /// The list of token states that is served to whoever has to wait for it.
    pub status: Option<String>,
}

impl Gate {
    #[track_caller]
    pub fn new(config: &Value) -> Self {
        let policy = Policy::parse(config.to_string().as_bytes()).unwrap_or_else(|errors| {
            panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        });
        let (shared, counted, logged) = Default::default();
        let (fetches, answered, status) = Default::default();
        Self { engine: Engine::new(policy), shared, counted, logged, fetches, answered, status }
    }

    pub fn decide(&mut self, now: u64, headers: &[(&str, &str)]) -> Decision {
        let octets = |text: &str| text.as_bytes().to_vec();
        let head = [(":method", "GET"), (":authority", "h"), (":path", "/")];
        let head = head.iter().filter(|(name, _)| headers.iter().all(|(own, _)| own != name));
        let head = head.chain(headers).map(|(name, value)| (octets(name), octets(value)));
        self.decide_about(now, RequestHead::new(head.collect()))
    }

    pub fn decide_about(&mut self, now: u64, head: RequestHead) -> Decision {
        let now = UnixTime::from_secs(now);
        let mut decision = self.engine.handle_request(StreamId(1), head, now);
        while let Decision::Spend(mut spending) = decision {
            spending.carry_out(now, &mut self.shared);
            decision = self.engine.handle_spent(spending);
        }
        self.drain(now);
        decision
    }

    fn drain(&mut self, now: UnixTime) {
        while let Some(effect) = self.engine.next_effect() {
            match effect {
                Effect::Count(counter) => self.counted.push(counter),
                Effect::Log(_, line) => self.logged.push(line),
                Effect::Fetch { id, request } => self.fetches.push((id, request)),
                Effect::Look { provider, .. } => {
                    self.engine.handle_notice(provider, Err(NotShared), now);
                }
                Effect::Reject(_, rejection) => {
                    self.answered.push(format!("{} {}", rejection.status, rejection.reason.code()));
                }
                Effect::Resume(..) => self.answered.push("pass".to_owned()),
                _ => {}
            }
        }
    }

    /// Tells of a logout, at the address of the documentation.
    #[track_caller]
    fn log_out(&mut self, token: &str) {
        let decision = self.decide(NOW, &[(":method", "POST"), (":path", "/backchannel-logout")]);
        assert_eq!(told(&decision), "receive");
        let (body, now) = (format!("logout_token={token}"), UnixTime::from_secs(NOW));
        let served = self.engine.handle_body(StreamId(1), Some(body.as_bytes()), now);
        assert_eq!((served.status, &*served.body), (200, ""));
        self.drain(now);
    }

    /// Lets time come, with all that is due at it.
    pub fn tick(&mut self, now: u64) {
        let now = UnixTime::from_secs(now);
        self.engine.handle_tick(now);
        self.drain(now);
    }

    /// Answers the fetch of what is at a host whose name begins with this, once it is wanted.
    #[track_caller]
    pub fn answer(&mut self, now: u64, host: &str, status: &str, body: &str) {
        self.tick(now);
        let is_it =
            |(name, value): &(String, String)| name == ":authority" && value.starts_with(host);
        let place = self.fetches.iter().position(|(_, request)| request.headers.iter().any(is_it));
        let (id, _) = self.fetches.remove(place.unwrap_or_else(|| panic!("nobody asks {host}")));
        let headers = vec![(b":status".to_vec(), status.as_bytes().to_vec())];
        let answer = Answer { headers, body: body.as_bytes().to_vec() };
        let now = UnixTime::from_secs(now);
        self.engine.handle_fetched(id, Ok(&answer), now);
        self.drain(now);
    }

    /// `pass`, or status and code.
    #[track_caller]
    pub fn ask(&mut self, method: &str, path: &str, token: Option<&str>) -> String {
        let bearer = format!("Bearer {}", token.unwrap_or_default());
        let mut headers = vec![(":method", method), (":path", path)];
        headers.extend(token.map(|_| ("authorization", bearer.as_str())));
        told(&self.decide(NOW, &headers))
    }

    #[track_caller]
    pub fn get(&mut self, path: &str, token: &str) -> String {
        self.ask("GET", path, Some(token))
    }
}

pub fn told(decision: &Decision) -> String {
    match decision {
        Decision::Forward(_) => "pass".to_owned(),
        Decision::Reject(rejection) => format!("{} {}", rejection.status, rejection.reason.code()),
        Decision::Serve(served) => format!("{} served", served.status),
        Decision::Receive => "receive".to_owned(),
        Decision::Spend(_) => "spend".to_owned(),
        Decision::Wait => "wait".to_owned(),
    }
}

/// What the access log is told, without the part that all keys have in common.
pub fn recorded(decision: &Decision) -> Vec<String> {
    let mut texts = BTreeMap::new();
    match decision {
        Decision::Forward(edits) => texts.extend(edits.iter().filter_map(|edit| match edit {
            RequestEdit::Record(key, text) => Some((&**key, str::from_utf8(text).unwrap())),
            _ => None,
        })),
        Decision::Reject(rejection) => {
            texts.extend(rejection.states.iter().map(|(key, text)| (&**key, &**text)));
        }
        _ => {}
    }
    let own =
        texts.into_iter().filter_map(|(key, text)| Some((key.strip_prefix("decision.")?, text)));
    own.map(|(key, text)| format!("{key}={text}")).collect()
}

/// What a proof says of a token (RFC 9449 section 4.2).
pub fn ath(token: &str) -> String {
    base64url(Sha256::digest(token))
}

#[track_caller]
pub fn challenge(decision: &Decision) -> Option<String> {
    let Decision::Reject(rejection) = decision else { panic!("{decision:?}") };
    let found = rejection.headers.iter().find(|(name, _)| *name == "www-authenticate");
    found.map(|(_, value)| value.clone())
}

/// Runs the examples of a document; returns how many configurations and requests there were.
///
/// A block of `json` is a configuration, to which keys are added; one of `list` is what is fetched from
/// the first host that is asked; one of `status` is the claims of a
/// list of token states, one of `logout` those of a logout token that is posted. A line of a block of `requests` is
/// the method, the path, headers in brackets, the claims of the token, and what becomes of it;
/// indented lines under it are headers (`none`: there is no such one) and the body of the answer, or
/// what was counted or recorded. `THUMBPRINT` in claims is that of the client's key; a header `dpop: proof` is a
/// proof that it makes, with the claims behind it in place of good ones.
#[track_caller]
pub fn run_examples(document: &str) -> (usize, usize) {
    let mut keys: BTreeMap<String, SigningKey> = BTreeMap::new();
    let mut gate = None;
    let client = SigningKey::generate(Alg::ES256, "client");
    let (mut configurations, mut requests) = (0, 0);
    for block in document.split("\n```").skip(1).step_by(2) {
        let (kind, block) = block.split_once('\n').unwrap();
        match kind {
            "json" => {
                let mut config: Value = serde_json::from_str(block).unwrap();
                if config.get("providers").is_none() {
                    config["providers"] = json!({ "main": {} });
                }
                keys.clear();
                for (name, provider) in config["providers"].as_object_mut().unwrap() {
                    let key = SigningKey::generate(Alg::HS256, "k");
                    provider["local_jwks"] = json!({ "inline_string": jwks(&[&key]).to_string() });
                    keys.insert(name.clone(), key);
                }
                gate = Some(Gate::new(&config));
                configurations += 1;
            }
            "status" => {
                let gate = gate.as_mut().unwrap();
                gate.status = Some(sign(&keys["main"], "statuslist+jwt", block));
            }
            "logout" => {
                let token = sign(&keys["main"], "logout+jwt", block);
                gate.as_mut().unwrap().log_out(&token);
            }
            "list" => gate.as_mut().unwrap().answer(NOW, "", "200", block),
            "requests" => {
                let mut decision = None;
                for line in block.lines() {
                    let gate = gate.as_mut().unwrap();
                    match line.strip_prefix("  ") {
                        Some(detail) => gate.check_detail(decision.as_ref().unwrap(), detail),
                        None => {
                            gate.counted.clear();
                            requests += 1;
                            let jti = requests.to_string();
                            let checked = gate.check_example(line, &keys["main"], &client, &jti);
                            decision = Some(checked);
                        }
                    }
                }
            }
            _ => assert!(matches!(kind, "text" | "yaml"), "{kind}"),
        }
    }
    (configurations, requests)
}

/// A token of this type with these claims.
fn sign(key: &SigningKey, typ: &str, claims: &str) -> String {
    let mut header = key.header();
    header["typ"] = json!(typ);
    key.sign_with_header(&header, claims.as_bytes())
}

impl Gate {
    #[track_caller]
    fn check_example(
        &mut self,
        line: &str,
        key: &SigningKey,
        client: &SigningKey,
        jti: &str,
    ) -> Decision {
        let (request, expected) = line.split_once(" -> ").unwrap();
        let mut parts = request.splitn(3, ' ');
        let (method, path) = (parts.next().unwrap(), parts.next().unwrap());
        let mut rest = parts.next().unwrap_or_default();
        let mut headers = vec![(":method", method), (":path", path), (":authority", "api.example")];
        while let Some((header, after)) =
            rest.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        {
            let (name, value) = header.rsplit_once(": ").unwrap();
            headers.retain(|(own, _)| *own != name);
            headers.push((name, value));
            rest = after.trim_start();
        }
        let token = Some(rest).filter(|claims| !claims.is_empty()).map(|claims| {
            let claims = claims.replace("THUMBPRINT", &client.thumbprint());
            key.sign(&serde_json::from_str(&claims).unwrap())
        });
        let asked = headers.iter().find(|(name, _)| *name == "dpop");
        let asked = asked.and_then(|(_, value)| value.strip_prefix("proof"));
        let proof = asked.map(|changes| {
            let path = path.split('?').next().unwrap();
            let mut claims = json!({ "htm": method, "htu": format!("https://api.example{path}"),
                "iat": NOW, "jti": jti, "ath": ath(token.as_deref().unwrap_or_default()) });
            let changes = if changes.is_empty() { "{}" } else { changes };
            let changes: Value = serde_json::from_str(changes).unwrap();
            for (name, value) in changes.as_object().unwrap() {
                claims[name] = value.clone();
            }
            client.prove(&claims)
        });
        let scheme = if proof.is_some() { "DPoP" } else { "Bearer" };
        if let Some(proof) = &proof {
            headers.retain(|(name, _)| *name != "dpop");
            headers.push(("dpop", proof));
        }
        let credentials = token.map(|token| format!("{scheme} {token}"));
        headers.extend(credentials.iter().map(|text| ("authorization", text.as_str())));
        let mut decision = self.decide(NOW, &headers);
        if let (Decision::Wait, Some(list)) = (&decision, self.status.clone()) {
            self.answer(NOW, "", "200", &list);
            decision = self.decide(NOW, &headers);
        }
        assert_eq!(told(&decision), expected, "{line}");
        decision
    }

    #[track_caller]
    fn check_detail(&self, decision: &Decision, detail: &str) {
        let (headers, body): (Vec<(&str, &str)>, &str) = match decision {
            Decision::Reject(rejection) => {
                let headers = rejection.headers.iter();
                (headers.map(|(name, value)| (&**name, &**value)).collect(), &rejection.body)
            }
            Decision::Serve(served) => (served.headers.clone(), &served.body),
            _ => (Vec::new(), ""),
        };
        let name = detail.split_once(": ");
        match name.filter(|(name, _)| name.bytes().all(|o| o == b'-' || o.is_ascii_lowercase())) {
            Some(("counted", names)) => {
                // The same again for its provider would be in every example.
                let is_own = |counter: &&Counter| {
                    !matches!(counter, Counter::AllowedBy(_) | Counter::DeniedBy(..))
                };
                let counted = self.counted.iter().filter(is_own);
                let counted = counted.map(|counter| self.engine.counter_name(*counter));
                let mut counted: Vec<_> =
                    counted.map(|name| name.trim_start_matches("jwt_gate.").to_owned()).collect();
                let mut names: Vec<_> = names.split(' ').map(str::to_owned).collect();
                counted.sort();
                names.sort();
                assert_eq!(counted, names, "{detail}");
            }
            Some(("recorded", texts)) => {
                assert_eq!(recorded(decision).join(" "), texts, "{detail}");
            }
            Some((name, value)) => {
                let found = headers.iter().filter(|(own, _)| *own == name);
                let found: Vec<_> = found.map(|(_, value)| *value).collect();
                let is_there = found.contains(&value) || (found.is_empty() && value == "none");
                assert!(is_there, "{name}: {found:?}");
            }
            None => assert_eq!(body, detail),
        }
    }
}
