//! A whole worker: a configuration, keys that come and go, requests, and a clock. Whoever passes must be
//! somebody whom [`crate::model`] lets pass, and the other way round; and what the gate writes into
//! requests comes from verified tokens only.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use jwt_gate::engine::{Decision, Effect, Engine, FetchId, StreamId};
use jwt_gate::jwks::answer::{Answer as Response, Cause};
use jwt_gate::jwks::key_store::NotShared;
use jwt_gate::policy::Policy;
use jwt_gate::request::{RequestEdit, RequestEdits, RequestHead};
use jwt_gate::time::UnixTime;

use crate::keys::set;
use crate::model::{Asked, Outcome, World};
use crate::oracle::Read;
use crate::scenario::{Answer, Event, PATHS, PAYLOAD_HEADER, Request, Scenario};

/// When it begins, in milliseconds.
const START: i64 = 1_800_000_000_000;
/// How long a fetch may take, and how long keys are used, as configured.
const TIMEOUT: i64 = 2_000;
const USABLE: i64 = 120_000;

/// What became of requests, to see that all of it happens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Requests that a token let pass.
    pub passed_by_token: u32,
    /// Requests that passed without one.
    pub passed_without: u32,
    /// Requests that were refused.
    pub refused: u32,
    /// Requests that waited.
    pub waited: u32,
    /// Those of them that passed in the end.
    pub resumed: u32,
}

/// The octets are a scenario.
pub fn run(octets: &[u8]) {
    tally(octets);
}

/// The same, and what became of its requests.
pub fn tally(octets: &[u8]) -> Tally {
    match Scenario::arbitrary_take_rest(Unstructured::new(octets)) {
        Ok(scenario) => Worker::new(&scenario).run(),
        Err(_) => Tally::default(),
    }
}

struct Worker<'a> {
    scenario: &'a Scenario,
    engine: Engine,
    now: i64,
    /// What is being fetched, and until when.
    fetches: Vec<(FetchId, i64)>,
    /// The keys that each provider brought last, and when.
    held: Vec<Option<(Vec<usize>, i64)>>,
    waiting: BTreeMap<u32, Sent>,
    streams: u32,
    requests: Vec<(Request, i64)>,
    tally: Tally,
}

/// A request on its way.
struct Sent {
    asked: Asked,
    headers: Vec<(String, String)>,
}

impl<'a> Worker<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let config = scenario.config().to_string();
        let policy = Policy::parse(config.as_bytes()).unwrap_or_else(|errors| {
            let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
            panic!("{config}\n{}", told.join("\n"));
        });
        let local = |keys| Some((keys, i64::MAX / 2));
        Self {
            held: scenario.providers.iter().map(|own| own.local_keys().and_then(local)).collect(),
            scenario,
            engine: Engine::new(policy),
            now: START,
            fetches: Vec::new(),
            waiting: BTreeMap::new(),
            streams: 0,
            requests: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn run(mut self) -> Tally {
        self.tick();
        for event in &self.scenario.events {
            match event {
                Event::Request(request) | Event::Another(request) => self.ask(request, self.now),
                Event::Keys(some) => self.answer(&Answer::Keys(some.clone())),
                Event::Again(which) => {
                    let earlier = self.requests.len().checked_sub(1 + usize::from(*which) % 4);
                    if let Some((request, made)) = earlier.and_then(|at| self.requests.get(at)) {
                        let (request, made) = (request.clone(), *made);
                        self.ask(&request, made);
                    }
                }
                Event::Answer(answer) => self.answer(answer),
                Event::Later(millis) => self.pass(i64::from(*millis)),
                Event::MuchLater(seconds) => self.pass(i64::from(*seconds) * 1_000),
                Event::Earlier(seconds) => self.set_back(i64::from(*seconds) * 1_000),
                Event::Gone(which) => {
                    let gone = self.waiting.keys().nth(usize::from(*which) % 4).copied();
                    if let Some(stream) = gone {
                        self.waiting.remove(&stream);
                        self.engine.handle_gone(StreamId(stream));
                        self.drain();
                    }
                }
            }
        }
        // Nobody waits for ever.
        for _ in 0..40 {
            self.pass(1_000);
        }
        assert!(self.waiting.is_empty(), "{} wait", self.waiting.len());
        assert_eq!(self.engine.waiting(), 0);
        self.tally
    }

    fn time(&self) -> UnixTime {
        UnixTime::from_nanos(u64::try_from(self.now).expect("after 1970") * 1_000_000)
    }

    fn tick(&mut self) {
        self.engine.handle_tick(self.time());
        self.drain();
    }

    /// Time passes, and fetches end that take too long, as in Envoy.
    fn pass(&mut self, millis: i64) {
        let end = self.now + millis;
        while self.now < end {
            let due = self.fetches.iter().map(|(_, until)| *until).min().unwrap_or(end);
            self.now = end.min(self.now + 500).min(due.max(self.now));
            while let Some(at) = self.fetches.iter().position(|(_, until)| *until <= self.now) {
                let (id, _) = self.fetches.remove(at);
                self.engine.handle_fetched(id, Err(Cause::NoAnswer.into()), self.time());
                self.drain();
            }
            self.tick();
        }
    }

    /// The clock is set back; for the gate, everything that it knows is as old as before.
    fn set_back(&mut self, millis: i64) {
        self.now -= millis;
        for (_, until) in &mut self.fetches {
            *until -= millis;
        }
        for (provider, held) in self.held.iter_mut().enumerate() {
            if let Some((_, fetched)) = held
                && self.scenario.providers[provider].local.is_none()
            {
                *fetched -= millis;
            }
        }
        self.tick();
    }

    fn answer(&mut self, answer: &Answer) {
        if self.fetches.is_empty() {
            return;
        }
        // What is due by now comes first.
        self.tick();
        if self.fetches.is_empty() {
            return;
        }
        let (id, _) = self.fetches.remove(0);
        let response = |status: &str, body: &str| Response {
            headers: vec![(b":status".to_vec(), status.as_bytes().to_vec())],
            body: body.as_bytes().to_vec(),
        };
        let response = match answer {
            Answer::Keys(some) => {
                // A set without keys is no answer.
                if !some.0.is_empty() {
                    self.held[id.provider()] = Some((some.0.clone(), self.now));
                }
                Ok(response("200", &set(&some.0).to_string()))
            }
            Answer::Nonsense => Ok(response("200", "{\"keys\":[{}]}")),
            Answer::Status(which) => {
                let all = set(&(0..10).collect::<Vec<_>>()).to_string();
                Ok(response(["500", "404", "302", "", "2000"][which.0], &all))
            }
            Answer::Reset => Err(Cause::NoAnswer.into()),
        };
        let response = response.as_ref().map_err(|failure: &_| Clone::clone(failure));
        self.engine.handle_fetched(id, response, self.time());
        self.drain();
    }

    fn ask(&mut self, request: &Request, made: i64) {
        self.requests.push((request.clone(), made));
        self.streams += 1;
        let stream = self.streams;
        let sent = Sent::new(request, made / 1_000);
        let octets = |text: &String| text.clone().into_bytes();
        let headers = sent.headers.iter().map(|(name, value)| (octets(name), octets(value)));
        let head = RequestHead::new(headers.collect());
        // What is due by now comes first.
        self.tick();
        let decision = self.engine.handle_request(StreamId(stream), head, self.time());
        match decision {
            Decision::Forward(edits) => self.check_passed(&sent, edits),
            Decision::Reject(rejection) => self.check_refused(&sent, rejection.reason.code()),
            Decision::Wait => {
                let expected = self.expected(&sent);
                assert!(
                    !matches!(expected, Outcome::Met(_) | Outcome::Absent | Outcome::Bad),
                    "waits, expected {expected:?}: {:?}",
                    sent.asked
                );
                self.tally.waited += 1;
                self.waiting.insert(stream, sent);
            }
            other => panic!("{other:?}"),
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(effect) = self.engine.next_effect() {
            match effect {
                Effect::Fetch { id, .. } => self.fetches.push((id, self.now + TIMEOUT)),
                Effect::Look { provider, .. } => {
                    self.engine.handle_notice(provider, Err(NotShared), self.time());
                }
                Effect::Resume(stream, edits) => {
                    let sent = self.waiting.remove(&stream.0).expect("somebody who waits");
                    self.tally.resumed += 1;
                    self.check_passed(&sent, edits);
                }
                Effect::Reject(stream, rejection) => {
                    let sent = self.waiting.remove(&stream.0).expect("somebody who waits");
                    self.check_refused(&sent, rejection.reason.code());
                }
                Effect::Log(_, line) => self.check_line(&line),
                Effect::Count(_) | Effect::Measure(..) | Effect::Vary(..) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// No token gets into the log.
    fn check_line(&self, line: &str) {
        let said = |token: &str| token.len() > 20 && line.contains(token);
        let mut tokens = self.waiting.values().flat_map(|sent| &sent.asked.tokens);
        assert!(!tokens.any(|(_, token)| said(token)), "{line}");
    }

    fn keys(&self) -> Vec<Option<Vec<usize>>> {
        let usable = |(keys, fetched): &(Vec<usize>, i64)| {
            (self.now < fetched + USABLE).then(|| keys.clone())
        };
        self.held.iter().map(|held| held.as_ref().and_then(usable)).collect()
    }

    fn expected(&self, sent: &Sent) -> Outcome {
        let world = World { scenario: self.scenario, keys: &self.keys(), now: self.now / 1_000 };
        world.decide(&sent.asked)
    }

    fn check_refused(&mut self, sent: &Sent, code: &str) {
        self.tally.refused += 1;
        let expected = self.expected(sent);
        assert!(
            !matches!(expected, Outcome::Met(_)),
            "{code}, expected {expected:?}: {:?}",
            sent.asked
        );
    }

    fn check_passed(&mut self, sent: &Sent, edits: RequestEdits) {
        let expected = self.expected(sent);
        let (Outcome::Met(taken) | Outcome::Later(taken)) = expected else {
            panic!("passes, expected {expected:?}: {:?}", sent.asked);
        };
        match taken.is_empty() {
            true => self.tally.passed_without += 1,
            false => self.tally.passed_by_token += 1,
        }
        let headers = apply(&sent.headers, edits);
        let values = |name: &str| -> Vec<&str> {
            headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
        };
        if self.scenario.providers.iter().any(|own| own.tells_payload) {
            let world =
                World { scenario: self.scenario, keys: &self.keys(), now: self.now / 1_000 };
            for told in values(PAYLOAD_HEADER) {
                let is_good = |token: &String| {
                    (0..self.scenario.providers.len()).any(|place| {
                        // Audiences of the requirement may be other ones than the provider's.
                        (0..8).any(|bits: usize| {
                            let some: Vec<_> = (0..3).filter(|bit| bits >> bit & 1 == 1).collect();
                            matches!(world.judge(place, Some(&some), token), Outcome::Met(_))
                        })
                    })
                };
                let is_source = |token: &String| {
                    Read::parse(token.as_bytes()).is_some_and(|read| read.payload == told)
                        && is_good(token)
                };
                let mut tokens = sent.asked.tokens.iter();
                assert!(tokens.any(|(_, token)| is_source(token)), "{told} is nobody's");
            }
            assert!(values("x_payload").is_empty(), "a client's spelling of the header passes");
        }
        for place in taken {
            let left = match place {
                0 => values("authorization").len(),
                1 => values("x-token").len(),
                2 => values(":path")[0].matches("access_token=").count(),
                _ => values("cookie").len(),
            };
            assert_eq!(left, 0, "a token is left at place {place}");
        }
    }
}

impl Sent {
    fn new(request: &Request, made: i64) -> Self {
        let mut path = PATHS[request.path.0].to_owned();
        let (mut headers, mut tokens) = (Vec::new(), Vec::new());
        for (place, token) in &request.tokens {
            let text = token.text(made);
            match place.0 {
                0 => headers.push(("authorization".to_owned(), format!("Bearer {text}"))),
                1 => headers.push(("x-token".to_owned(), text.clone())),
                2 => {
                    path.push(if path.contains('?') { '&' } else { '?' });
                    path.push_str("access_token=");
                    path.push_str(&text);
                }
                _ => headers.push(("cookie".to_owned(), format!("t={text}"))),
            }
            tokens.push((place.0, text));
        }
        if request.forges {
            for name in [PAYLOAD_HEADER, "x_payload"] {
                headers.push((name.to_owned(), "forged".to_owned()));
            }
        }
        let pseudo =
            [(":method", "GET".to_owned()), (":authority", "h".to_owned()), (":path", path)];
        let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value));
        let headers = pseudo.into_iter().chain(headers).collect();
        Self { asked: Asked { path: request.path.0, tokens }, headers }
    }
}

/// What the backend sees.
fn apply(headers: &[(String, String)], edits: RequestEdits) -> Vec<(String, String)> {
    let mut headers = headers.to_vec();
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("text in, text out");
    for edit in edits {
        match edit {
            RequestEdit::Add(name, value) => headers.push((name, text(value))),
            RequestEdit::Remove(name) => {
                headers.retain(|(own, _)| own.as_bytes() != name);
            }
            RequestEdit::Replace(name, value) => {
                headers.retain(|(own, _)| *own != name);
                headers.push((name, text(value)));
            }
            RequestEdit::ClearRouteCache | RequestEdit::Record(..) | RequestEdit::State(..) => {}
        }
    }
    headers
}
