//! The key store under a virtual clock: what it does in each situation, and a simulation with
//! random schedules that checks its invariants after every step.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::rc::Rc;
use std::time::Duration;

use jwt_gate::jose::header::Header;
use jwt_gate::jose::jwk::{KeyIssuers, KeyStrength};
use jwt_gate::jose::table_memory::TableMemory;
use jwt_gate::jwks::answer::{Cause, FetchFailure, Fetched};
use jwt_gate::jwks::flight::Leg;
use jwt_gate::jwks::key_store::{Changed, KeyStore, Seen, Step};
use jwt_gate::jwks::schedule::{FetchSettings, MAX_BACK_OFF, MAX_BACK_OFF_WITHOUT_KEYS};
use jwt_gate::jwks::source::{Address, Source};
use jwt_gate::jwks::{KeyState, UnknownKid};
use jwt_gate::time::UnixTime;
use jwt_gate_demo::keys::{Alg, SigningKey, jwks};
use proptest::prelude::*;

const SETTINGS: FetchSettings = FetchSettings {
    fresh_for: Duration::from_secs(600),
    fresh_at_least: Duration::from_secs(30),
    stale_for: Duration::from_secs(3600),
    timeout: Duration::from_secs(5),
    cooldown: Duration::from_secs(2),
    first_back_off: Duration::from_millis(500),
    longest_back_off: MAX_BACK_OFF,
    strength: KeyStrength::WeakAllowed,
    issuers: KeyIssuers::Ignored,
};

/// A set with one key of this name.
fn body(kid: &str) -> String {
    format!(r#"{{"keys":[{{"kty":"oct","kid":"{kid}","k":"AQIDBA"}}]}}"#)
}

fn fetched(body: &str) -> Fetched<'_> {
    Fetched { body: Some(body.as_bytes()), max_age: None, etag: None }
}

fn store(shared: bool) -> KeyStore {
    let source = Source::At(Address::parse("https://i/k", "i").unwrap());
    KeyStore::new(SETTINGS, source, shared)
}

fn at(millis: u64) -> UnixTime {
    UnixTime::from_nanos((1_000_000 + millis) * 1_000_000)
}

/// A store and its clock, in milliseconds from the start.
struct Bench {
    store: KeyStore,
    now: u64,
}

impl Bench {
    fn new() -> Self {
        Self { store: store(false), now: 0 }
    }

    /// A store that holds the key `a`, fetched at the start.
    fn with_keys() -> Self {
        let mut bench = Self::new();
        let number = bench.fetch().unwrap();
        assert_eq!(bench.good(number, "a"), Changed::Replaced);
        bench
    }

    fn wait(&mut self, millis: u64) -> &mut Self {
        self.now += millis;
        self.store.expire(at(self.now));
        self
    }

    fn fetch(&mut self) -> Option<u64> {
        match self.store.next_step(at(self.now))? {
            Step::Fetch(ask) => Some(ask.number),
            other => panic!("{other:?} of a store that is alone"),
        }
    }

    /// Waits for the next fetch and returns how long that took.
    fn wait_for_fetch(&mut self) -> (u64, u64) {
        let began = self.now;
        for _ in 0..10_000_000 {
            if let Some(number) = self.fetch() {
                return (self.now - began, number);
            }
            self.wait(1);
        }
        panic!("no fetch");
    }

    fn good(&mut self, number: u64, kid: &str) -> Changed {
        self.store.answer(number, Leg::Keys, Ok(fetched(&body(kid))), at(self.now))
    }

    fn bad(&mut self, number: u64) -> Changed {
        self.store.answer(number, Leg::Keys, Err(Cause::NoAnswer.into()), at(self.now))
    }

    fn state(&self) -> &'static str {
        match self.store.state(at(self.now)) {
            KeyState::Pending => "pending",
            KeyState::Ready(_) => "ready",
            KeyState::Unavailable { .. } => "unavailable",
        }
    }

    fn holds(&self, kid: &str) -> bool {
        self.store.held().is_some_and(|set| set.names(kid))
    }

    fn unknown(&self, kid: &str, arrived: u64) -> UnknownKid {
        self.store.unknown_kid(kid, at(arrived), at(self.now))
    }
}

#[test]
fn the_first_fetch_is_due_at_once_and_only_one_is_in_flight() {
    let mut bench = Bench::new();
    assert_eq!(bench.state(), "pending");
    let number = bench.fetch().unwrap();
    assert_eq!(bench.fetch(), None);
    assert_eq!(bench.state(), "pending");
    assert_eq!(bench.good(number, "a"), Changed::Replaced);
    assert_eq!(bench.state(), "ready");
    assert_eq!(bench.store.generation(), 1);
}

/// Tables are made for keys in use, and their memory comes back when other keys replace them.
#[test]
fn tables_go_with_their_keys() {
    let memory = Rc::new(TableMemory::default());
    let mut bench = Bench::new();
    bench.store = bench.store.with_table_memory(&memory);
    let mut taken = Vec::new();
    for alg in [Alg::EdDSA, Alg::ES256, Alg::EdDSA] {
        let key = SigningKey::generate(alg, "a");
        let header = Header::parse(key.header().to_string().as_bytes()).unwrap();
        let body = jwks(&[&key]).to_string();
        // The second answer is that nothing has changed.
        for changed in [Changed::Replaced, Changed::Renewed] {
            let (_, number) = bench.wait_for_fetch();
            let answer = bench.store.answer(number, Leg::Keys, Ok(fetched(&body)), at(bench.now));
            assert_eq!(answer, changed);
            if changed == Changed::Replaced {
                assert_eq!(memory.taken(), 0);
            }
            let candidates = bench.store.held().unwrap().candidates(&header, None);
            for _ in 0..5 {
                let signature = key.sign_bytes(b"input");
                candidates[0].verify(header.algorithm, b"input", &signature).unwrap();
            }
        }
        taken.push(memory.taken());
    }
    assert!(taken.iter().all(|taken| *taken > 50_000), "{taken:?}");
    drop(bench);
    assert_eq!(memory.taken(), 0);
}

#[test]
fn a_refresh_comes_before_freshness_ends_and_keeps_the_generation() {
    let mut bench = Bench::with_keys();
    let (waited, number) = bench.wait_for_fetch();
    assert!((480_000..=540_000).contains(&waited), "{waited} ms");
    assert_eq!(bench.state(), "ready");
    assert_eq!(bench.good(number, "a"), Changed::Renewed);
    assert_eq!(bench.store.generation(), 1);
    let (_, number) = bench.wait_for_fetch();
    assert_eq!(bench.good(number, "b"), Changed::Replaced);
    assert_eq!(bench.store.generation(), 3, "the fetch that brought it");
    assert!(bench.holds("b") && !bench.holds("a"));
}

#[test]
fn while_the_cluster_warms_up_retries_are_quick() {
    let mut bench = Bench::new();
    let number = bench.fetch().unwrap();
    assert!(matches!(bench.bad(number), Changed::Failed(_)));
    while bench.now < 4_800 {
        assert_eq!(bench.state(), "pending");
        let (waited, number) = bench.wait_for_fetch();
        assert!(waited <= 100, "{waited} ms");
        bench.bad(number);
    }
    let number = bench.wait_for_fetch().1;
    bench.wait(500);
    bench.bad(number);
    assert_eq!(bench.state(), "unavailable");
    for _ in 0..20 {
        let (waited, number) = bench.wait_for_fetch();
        assert!(waited <= MAX_BACK_OFF_WITHOUT_KEYS.as_millis() as u64, "{waited} ms");
        bench.bad(number);
    }
    let number = bench.wait_for_fetch().1;
    assert_eq!(bench.good(number, "a"), Changed::Replaced);
    assert_eq!(bench.state(), "ready");
}

#[test]
fn an_outage_is_bridged_with_stale_keys_and_a_growing_back_off() {
    let mut bench = Bench::with_keys();
    let mut waits = Vec::new();
    while bench.now < 600_000 + 3_600_000 - 60_000 {
        assert_eq!(bench.state(), "ready");
        let (waited, number) = bench.wait_for_fetch();
        bench.bad(number);
        waits.push(waited);
    }
    let retries = &waits[1..];
    assert!((400..=500).contains(&retries[0]), "{retries:?}");
    assert!((800..=1000).contains(&retries[1]), "{retries:?}");
    assert!(retries.iter().all(|wait| *wait <= MAX_BACK_OFF.as_millis() as u64));
    assert!(retries.len() < 200, "{} attempts in an hour", retries.len());
    bench.wait(120_000);
    assert_ne!(bench.state(), "ready", "stale keys have an end");
}

#[test]
fn a_bad_answer_discards_nothing() {
    let mut bench = Bench::with_keys();
    for bad in
        ["", "<html>", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"x\"}]}", "{\"keys\":[{\"kty\""]
    {
        let (_, number) = bench.wait_for_fetch();
        let answered = bench.store.answer(number, Leg::Keys, Ok(fetched(bad)), at(bench.now));
        let body = |failure: &FetchFailure| matches!(failure.cause, Cause::Body(_));
        assert!(matches!(&answered, Changed::Failed(failure) if body(failure)), "{bad}");
        assert!(bench.holds("a"));
        assert_eq!(bench.state(), "ready");
    }
}

#[test]
fn a_lost_answer_is_given_up_and_a_late_one_still_helps() {
    let mut bench = Bench::new();
    let lost = bench.fetch().unwrap();
    bench.wait(5_999);
    assert_eq!(bench.fetch(), None);
    bench.wait(1);
    assert_eq!(bench.store.failures(), 1);
    let next = bench.wait_for_fetch().1;
    assert_eq!(bench.good(lost, "a"), Changed::Replaced);
    assert_eq!(bench.state(), "ready");
    assert_eq!(bench.good(next, "b"), Changed::Replaced);
    assert_eq!(bench.good(lost, "a"), Changed::Nothing, "older than what is held");
    assert_eq!(bench.bad(next), Changed::Nothing, "answered already");
    assert!(bench.holds("b"));
}

#[test]
fn an_unknown_kid_waits_for_one_lookup_per_cooldown() {
    let mut bench = Bench::with_keys();
    bench.wait(500);
    let arrived = bench.now;
    assert_eq!(bench.unknown("b", arrived), UnknownKid::Wait);
    bench.store.want();
    // The first fetch began 500 ms ago: the slot opens 2 s after it.
    let (waited, number) = bench.wait_for_fetch();
    assert_eq!(waited, 1_500);
    assert_eq!(bench.unknown("b", arrived), UnknownKid::Wait);
    bench.wait(50);
    assert_eq!(bench.good(number, "a"), Changed::Renewed);
    assert_eq!(bench.unknown("b", arrived), UnknownKid::Refuse);
    bench.store.remember_if_absent("b", at(arrived), at(bench.now));
    bench.wait(100);
    assert_eq!(bench.unknown("b", bench.now), UnknownKid::AbsentLately, "remembered");
    assert_eq!(bench.unknown("c", bench.now), UnknownKid::Wait, "not looked for yet");
    bench.wait(2_000);
    assert_eq!(bench.unknown("b", bench.now), UnknownKid::Wait, "forgotten");
}

#[test]
fn unknown_kids_do_not_make_a_failing_issuer_work_harder() {
    let mut bench = Bench::with_keys();
    let number = bench.wait_for_fetch().1;
    bench.bad(number);
    let mut fetches = 0;
    let end = bench.now + 60_000;
    while bench.now < end {
        bench.store.want();
        if let Some(number) = bench.fetch() {
            fetches += 1;
            bench.bad(number);
        }
        bench.wait(10);
    }
    assert!(fetches <= 8, "{fetches} fetches in a minute");
    assert!(matches!(bench.unknown("b", bench.now), UnknownKid::Unavailable { .. }));
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_anything() {
    let mut bench = Bench::with_keys();
    bench.wait(300_000);
    bench.store.shift_back(Duration::from_secs(290));
    bench.now -= 290_000;
    assert_eq!(bench.state(), "ready");
    let (waited, _) = bench.wait_for_fetch();
    assert!(waited <= 240_000, "{waited} ms");
}

/// What may happen next in the simulation.
#[derive(Clone, Debug)]
enum LoneEvent {
    Wait(u64),
    AnswerGood { back: usize, kid: u8 },
    AnswerBad { back: usize },
    WantKid(u8),
}

fn lone_event() -> impl Strategy<Value = LoneEvent> {
    prop_oneof![
        4 => prop_oneof![0..50_u64, 0..5_000_u64, 0..700_000_u64].prop_map(LoneEvent::Wait),
        3 => (0..3_usize, 0..4_u8).prop_map(|(back, kid)| LoneEvent::AnswerGood { back, kid }),
        2 => (0..3_usize).prop_map(|back| LoneEvent::AnswerBad { back }),
        2 => (0..8_u8).prop_map(LoneEvent::WantKid),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn invariants_hold_under_any_schedule(steps in proptest::collection::vec(lone_event(), 1..120)) {
        let mut bench = Bench::new();
        // Every fetch ever asked for: number and when it began.
        let mut asked: Vec<(u64, u64)> = Vec::new();
        let mut newest_good: Option<u64> = None;
        let mut good_until = 0;
        for step in steps {
            let generation = bench.store.generation();
            let held = bench.store.held().map(|set| (0..4).map(|k| set.names(&k.to_string())).collect::<Vec<_>>());
            match step {
                LoneEvent::Wait(millis) => {
                    bench.wait(millis);
                    // 2: time and failures alone never discard keys before their time.
                    if bench.now < good_until {
                        prop_assert_eq!(bench.state(), "ready");
                    }
                }
                LoneEvent::AnswerGood { back, kid } => {
                    let Some(index) = asked.len().checked_sub(back + 1) else { continue };
                    let (number, _) = asked[index];
                    let answered = bench.good(number, &kid.to_string());
                    if newest_good.is_some_and(|newest| number <= newest) {
                        // 3: never an older answer over a newer one.
                        prop_assert_eq!(answered, Changed::Nothing);
                        prop_assert_eq!(bench.store.generation(), generation);
                    } else {
                        newest_good = Some(number);
                        good_until = bench.now + 4_200_000;
                        prop_assert!(bench.holds(&kid.to_string()));
                        prop_assert_eq!(bench.state(), "ready");
                        // 7: other keys, another generation; the same keys keep theirs.
                        let same = held.as_ref().is_some_and(|held| held[usize::from(kid)]);
                        prop_assert_eq!(bench.store.generation() == generation, same);
                        prop_assert_eq!(bench.store.failures(), 0);
                    }
                }
                LoneEvent::AnswerBad { back } => {
                    let Some(index) = asked.len().checked_sub(back + 1) else { continue };
                    bench.bad(asked[index].0);
                    // 2: nothing is lost by a failure.
                    prop_assert_eq!(bench.store.generation(), generation);
                }
                LoneEvent::WantKid(kid) => {
                    let kid = kid.to_string();
                    if !bench.holds(&kid) {
                        bench.unknown(&kid, bench.now);
                        bench.store.want();
                        bench.store.remember_if_absent(&kid, at(bench.now), at(bench.now));
                    }
                }
            }
            // 1 and 4: a new fetch only when none is in flight, and never sooner after the last
            // than the shortest of the warm-up retry, the least refresh and the cooldown.
            let before = bench.store.next_wake_up();
            if let Some(number) = bench.fetch() {
                prop_assert!(before <= at(bench.now));
                if let Some((last, began)) = asked.last() {
                    prop_assert!(number > *last);
                    prop_assert!(bench.now - began >= 100, "{} after {}", bench.now, began);
                }
                asked.push((number, bench.now));
                prop_assert_eq!(bench.fetch(), None);
            }
            // 5: there is always a next attempt within reach.
            let wake = bench.store.next_wake_up();
            prop_assert!(wake <= at(bench.now).after(Duration::from_secs(600)));
            // 8: with an unchanged clock, nothing changes.
            let now = at(bench.now);
            let (failures, generation) = (bench.store.failures(), bench.store.generation());
            prop_assert!(!bench.store.expire(now));
            prop_assert_eq!(bench.store.next_step(now), None);
            prop_assert_eq!(bench.store.next_wake_up(), wake);
            // 9: it wants nothing before the time that it names; the engine does not even ask.
            let early = wake.before(Duration::from_nanos(1));
            if early > now {
                prop_assert!(!bench.store.expire(early));
                prop_assert_eq!(bench.store.next_step(early), None);
            }
            prop_assert_eq!((bench.store.failures(), bench.store.generation()), (failures, generation));
        }
    }
}

/// The shared data of one Envoy, and how hosts behave that have it.
#[derive(Default)]
struct Board {
    notice: Option<(Vec<u8>, u32)>,
    keys: Option<Vec<u8>>,
    swaps: u32,
}

impl Board {
    fn swap(&mut self, text: Vec<u8>, seen: Seen) -> bool {
        let fits = self.notice.as_ref().is_none_or(|(_, state)| *state == seen.0);
        if fits {
            self.swaps += 1;
            self.notice = Some((text, self.swaps));
        }
        fits
    }
}

/// Workers that share a board. Each step of a worker can be followed by one of any other.
struct Workers {
    stores: Vec<KeyStore>,
    /// What a worker wants done next, and nobody has done yet.
    pending: Vec<Option<Step>>,
    /// The notice as a worker read it.
    board: Board,
    now: u64,
    /// Fetches in the air: worker, number, when they began.
    flights: Vec<(usize, u64, u64)>,
    /// All that were ever begun: number, worker, when.
    begun: Vec<(u64, usize, u64)>,
}

impl Workers {
    fn new(count: usize) -> Self {
        Self {
            stores: (0..count).map(|_| store(true)).collect(),
            pending: (0..count).map(|_| None).collect(),
            board: Board::default(),
            now: 0,
            flights: Vec::new(),
            begun: Vec::new(),
        }
    }

    /// Lets a worker take one step; false when it has nothing to do.
    fn step(&mut self, worker: usize) -> bool {
        let now = at(self.now);
        let store = &mut self.stores[worker];
        store.expire(now);
        if self.pending[worker].is_none() {
            self.pending[worker] = store.next_step(now);
            return self.pending[worker].is_some();
        }
        match self.pending[worker].take().unwrap() {
            Step::Fetch(ask) => panic!("{ask:?} without a claim"),
            Step::Look => {
                let notice = self.board.notice.clone();
                let state = notice.as_ref().map_or(u32::MAX, |(_, state)| *state);
                let text = notice.as_ref().map(|(text, _)| text.as_slice());
                store.noticed(Ok((text, Seen(state))), now);
            }
            Step::Post(notice, seen) => {
                store.posted(self.board.swap(notice.encode(), seen));
                // A claim and its request are one turn of the host.
                match store.next_step(now) {
                    Some(Step::Fetch(ask)) => {
                        self.flights.push((worker, ask.number, self.now));
                        self.begun.push((ask.number, worker, self.now));
                    }
                    other => self.pending[worker] = other,
                }
            }
            Step::Publish(keys) => self.board.keys = Some(keys.encode()),
            Step::Take => {
                store.taken(self.board.keys.as_deref(), now);
            }
        }
        true
    }

    /// Lets every worker finish what it has begun.
    fn finish_turns(&mut self) {
        for worker in 0..self.stores.len() {
            while self.step(worker) {}
        }
    }

    /// Lets every worker do what it wants now.
    fn settle(&mut self) {
        for _ in 0..100 {
            let busy = (0..self.stores.len()).filter(|worker| self.step(*worker)).count();
            if busy == 0 {
                return;
            }
        }
        panic!("the workers do not come to rest");
    }

    /// Ticks every worker as often as it wants, for this long.
    fn wait(&mut self, millis: u64) {
        let end = self.now + millis;
        while self.now < end {
            self.settle();
            self.now += 5;
        }
        self.settle();
    }

    fn answer(&mut self, flight: usize, kid: Option<&str>) -> Changed {
        let (worker, number, _) = self.flights.remove(flight);
        let body = kid.map(body);
        let answer = match &body {
            Some(body) => Ok(fetched(body)),
            None => Err(Cause::NoAnswer.into()),
        };
        self.stores[worker].answer(number, Leg::Keys, answer, at(self.now))
    }

    fn ready(&self) -> usize {
        let ready = |store: &&KeyStore| matches!(store.state(at(self.now)), KeyState::Ready(_));
        self.stores.iter().filter(ready).count()
    }
}

#[test]
fn workers_fetch_once_and_all_have_the_keys() {
    let mut workers = Workers::new(9);
    workers.settle();
    assert_eq!(workers.flights.len(), 1);
    workers.wait(300);
    assert_eq!(workers.begun.len(), 1);
    assert_eq!(workers.answer(0, Some("a")), Changed::Replaced);
    workers.wait(1_100);
    assert_eq!((workers.ready(), workers.begun.len()), (9, 1));
    // And so on, over every refresh.
    for _ in 0..3 {
        while workers.flights.is_empty() {
            workers.wait(1_000);
            assert_eq!(workers.ready(), 9);
        }
        assert_eq!(
            workers.answer(0, Some("b")),
            if workers.begun.len() == 2 { Changed::Replaced } else { Changed::Renewed }
        );
        workers.wait(1_100);
        assert!(workers.stores.iter().all(|store| store.held().unwrap().names("b")));
    }
    assert_eq!(workers.begun.len(), 4);
}

#[test]
fn a_worker_that_is_gone_keeps_nobody_waiting() {
    let mut workers = Workers::new(3);
    workers.settle();
    let (dead, _, began) = workers.flights.remove(0);
    workers.stores[dead] = store(true);
    workers.pending[dead] = None;
    while workers.flights.is_empty() {
        workers.wait(10);
    }
    // The time-out, and a second for each of two reasons.
    assert!((7_000..7_100).contains(&(workers.now - began)), "{}", workers.now - began);
    workers.answer(0, Some("a"));
    workers.wait(1_100);
    assert_eq!(workers.ready(), 3);
}

#[test]
fn workers_back_off_together() {
    let mut workers = Workers::new(8);
    workers.settle();
    workers.answer(0, Some("a"));
    workers.wait(1_000);
    while workers.now < 3_000_000 {
        workers.wait(500);
        if !workers.flights.is_empty() {
            workers.answer(0, None);
        }
        assert_eq!(workers.ready(), 8);
    }
    // Forty minutes of failures, half a minute apart, whatever the number of workers.
    assert!(workers.begun.len() < 120, "{}", workers.begun.len());
    while workers.flights.is_empty() {
        workers.wait(500);
    }
    workers.answer(0, Some("a"));
    workers.wait(1_100);
    assert!(workers.stores.iter().all(|store| store.failures() == 0));
}

#[test]
fn one_look_up_serves_the_unknown_kids_of_all_workers() {
    let mut workers = Workers::new(4);
    workers.settle();
    workers.answer(0, Some("a"));
    workers.wait(10_000);
    let arrived = at(workers.now);
    for store in &mut workers.stores {
        assert_eq!(store.unknown_kid("b", arrived, arrived), UnknownKid::Wait);
        store.want();
    }
    workers.wait(20);
    assert_eq!(workers.flights.len(), 1, "at once: the cooldown is long over");
    workers.answer(0, Some("b"));
    workers.wait(20);
    assert!(workers.stores.iter().all(|store| store.held().unwrap().names("b")), "within 20 ms");
    // The next one has to wait for the cooldown, whoever asks.
    workers.stores[3].want();
    workers.wait(1_900);
    assert!(workers.flights.is_empty());
    workers.wait(100);
    assert_eq!(workers.flights.len(), 1);
}

/// What may happen next in the simulation of several workers.
#[derive(Clone, Debug)]
enum Event {
    /// The clock is set back.
    Back(u64),
    Answer {
        flight: usize,
        kid: Option<u8>,
    },
    Lose {
        flight: usize,
    },
    Restart(usize),
    Steps(Vec<usize>),
    Wait(u64),
    Want(usize),
}

const WORKERS: usize = 4;

fn event() -> impl Strategy<Value = Event> {
    let steps = proptest::collection::vec(0..WORKERS, 1..12);
    prop_oneof![
        5 => steps.prop_map(Event::Steps),
        3 => prop_oneof![0..30_u64, 0..3_000_u64, 0..20_000_u64].prop_map(Event::Wait),
        3 => (0..3_usize, proptest::option::weighted(0.7, 0..3_u8))
            .prop_map(|(flight, kid)| Event::Answer { flight, kid }),
        1 => (0..3_usize).prop_map(|flight| Event::Lose { flight }),
        1 => (0..WORKERS).prop_map(Event::Restart),
        2 => (0..WORKERS).prop_map(Event::Want),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Any order of steps, answers, losses and restarts.
    #[test]
    fn workers_never_fetch_at_the_same_time(events in proptest::collection::vec(event(), 1..80)) {
        let mut workers = Workers::new(WORKERS);
        for event in events {
            match event {
                Event::Answer { flight, kid } => {
                    if flight < workers.flights.len() {
                        let kid = kid.map(|kid| kid.to_string());
                        let (worker, number, _) = workers.flights[flight];
                        let names = |workers: &Workers| {
                            let held = workers.stores[worker].held();
                            held.map(|set| ["0", "1", "2", "9"].map(|kid| set.names(kid)))
                        };
                        let (before, generation) =
                            (names(&workers), workers.stores[worker].generation());
                        let changed = workers.answer(flight, kid.as_deref());
                        let (after, now) =
                            (names(&workers), workers.stores[worker].generation());
                        // 2: nothing is lost by a bad answer. 3: nor by one that comes too late.
                        // 7: other keys, another generation.
                        if kid.is_none() || changed == Changed::Nothing {
                            prop_assert_eq!(&before, &after);
                        }
                        prop_assert_eq!(before == after, generation == now);
                        prop_assert!(number > 0);
                    }
                }
                Event::Lose { flight } => {
                    if flight < workers.flights.len() {
                        workers.flights.remove(flight);
                    }
                }
                Event::Restart(worker) => {
                    workers.stores[worker] = store(true);
                    workers.pending[worker] = None;
                    workers.flights.retain(|(own, ..)| *own != worker);
                }
                Event::Steps(order) => {
                    for worker in order {
                        workers.step(worker);
                    }
                }
                Event::Wait(millis) => {
                    // A turn of the host takes no time.
                    workers.finish_turns();
                    workers.now += millis;
                }
                Event::Want(worker) => workers.stores[worker].want(),
                Event::Back(_) => {}
            }
            // Every fetch has its own number, and greater numbers begin later.
            for pair in workers.begun.windows(2) {
                prop_assert!(pair[0].0 < pair[1].0, "{:?}", workers.begun);
                prop_assert!(pair[0].2 <= pair[1].2);
            }
            // 1: one at a time, until its time is over.
            let in_time = workers.flights.iter().filter(|(_, _, began)| workers.now < began + 6_000);
            prop_assert!(in_time.count() <= 1, "{:?} at {}", workers.flights, workers.now);
        }
        // 5: once everybody works again and the issuer answers, all have keys.
        workers.flights.clear();
        for _ in 0..200 {
            workers.wait(200);
            while !workers.flights.is_empty() {
                workers.answer(0, Some("9"));
            }
        }
        prop_assert_eq!(workers.ready(), WORKERS);
        let number = workers.begun.len();
        workers.wait(2_000);
        prop_assert_eq!(workers.begun.len(), number, "rest");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the clock did: once everybody works again, all have keys, and soon.
    #[test]
    fn clocks_that_jump_strand_no_worker(
        events in proptest::collection::vec(
            prop_oneof![
                6 => event(),
                1 => (0..4_000_000_u64).prop_map(Event::Back),
                1 => (0..4_000_000_u64).prop_map(Event::Wait),
            ],
            1..60,
        ),
    ) {
        let mut workers = Workers::new(WORKERS);
        // Far enough from the beginning of time.
        workers.now = 1_000_000_000;
        for event in events {
            match event {
                Event::Answer { flight, kid } if flight < workers.flights.len() => {
                    workers.answer(flight, kid.map(|kid| kid.to_string()).as_deref());
                }
                Event::Lose { flight } if flight < workers.flights.len() => {
                    workers.flights.remove(flight);
                }
                Event::Answer { .. } | Event::Lose { .. } => {}
                Event::Restart(worker) => {
                    workers.stores[worker] = store(true);
                    workers.pending[worker] = None;
                    workers.flights.retain(|(own, ..)| *own != worker);
                }
                Event::Steps(order) => {
                    for worker in order {
                        workers.step(worker);
                    }
                }
                Event::Wait(millis) => {
                    workers.finish_turns();
                    workers.now += millis;
                }
                Event::Back(millis) => {
                    workers.finish_turns();
                    workers.now -= millis;
                    for store in &mut workers.stores {
                        store.shift_back(Duration::from_millis(millis));
                    }
                }
                Event::Want(worker) => workers.stores[worker].want(),
            }
        }
        workers.flights.clear();
        for _ in 0..100 {
            workers.wait(200);
            while !workers.flights.is_empty() {
                workers.answer(0, Some("9"));
            }
        }
        prop_assert_eq!(workers.ready(), WORKERS);
    }
}
