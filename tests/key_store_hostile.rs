//! Key stores against clocks that are set back, notices from nowhere, and issuers that move their
//! keys: what a hostile review found, each a test.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use jwt_gate::jose::jwk::{KeyIssuers, KeyStrength};
use jwt_gate::jwks::answer::{Cause, FetchFailure, Fetched};
use jwt_gate::jwks::board::Notice;
use jwt_gate::jwks::flight::{Ask, Leg};
use jwt_gate::jwks::key_store::{Changed, KeyStore, Seen, Step};
use jwt_gate::jwks::schedule::{FetchSettings, MAX_BACK_OFF};
use jwt_gate::jwks::source::{Address, Discovery, Document, Source};
use jwt_gate::jwks::{KeyState, UnknownKid};
use jwt_gate::time::UnixTime;
use std::time::Duration;

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
fn body(kid: &str) -> String {
    format!(r#"{{"keys":[{{"kty":"oct","kid":"{kid}","k":"AQIDBA"}}]}}"#)
}
fn with<'a>(body: &'a str, etag: Option<&str>) -> Fetched<'a> {
    Fetched { body: Some(body.as_bytes()), max_age: None, etag: etag.map(str::to_owned) }
}
fn not_modified(etag: Option<&str>) -> Fetched<'static> {
    Fetched { body: None, max_age: None, etag: etag.map(str::to_owned) }
}
fn src() -> Source {
    Source::At(Address::parse("https://i/k", "i").unwrap())
}
fn at(millis: u64) -> UnixTime {
    UnixTime::from_nanos((100_000_000_000 + millis) * 1_000_000)
}

struct Workers {
    stores: Vec<KeyStore>,
    notice: Option<(Vec<u8>, u32)>,
    keys: Option<Vec<u8>>,
    swaps: u32,
    now: u64,
    flights: Vec<(usize, Ask, u64)>,
    begun: Vec<(u64, usize, u64)>,
}
impl Workers {
    fn new(stores: Vec<KeyStore>) -> Self {
        Workers {
            stores,
            notice: None,
            keys: None,
            swaps: 0,
            now: 0,
            flights: vec![],
            begun: vec![],
        }
    }
    fn same(n: usize, s: FetchSettings) -> Self {
        Self::new((0..n).map(|_| KeyStore::new(s, src(), true)).collect())
    }
    fn turn(&mut self, w: usize) {
        let now = at(self.now);
        self.stores[w].expire(now);
        for _ in 0..100 {
            let Some(step) = self.stores[w].next_step(now) else { return };
            match step {
                Step::Fetch(ask) => {
                    self.begun.push((ask.number, w, self.now));
                    self.flights.push((w, ask, self.now));
                }
                Step::Look => {
                    let n = self.notice.clone();
                    let st = n.as_ref().map_or(u32::MAX, |(_, s)| *s);
                    self.stores[w]
                        .noticed(Ok((n.as_ref().map(|(t, _)| t.as_slice()), Seen(st))), now);
                }
                Step::Post(n, seen) => {
                    let fits = self.notice.as_ref().is_none_or(|(_, s)| *s == seen.0);
                    if fits {
                        self.swaps += 1;
                        self.notice = Some((n.encode(), self.swaps));
                    }
                    self.stores[w].posted(fits);
                }
                Step::Publish(k) => self.keys = Some(k.encode()),
                Step::Take => {
                    let k = self.keys.clone();
                    self.stores[w].taken(k.as_deref(), now);
                }
            }
        }
        panic!("busy");
    }
    fn settle(&mut self) {
        for _ in 0..2 {
            for w in 0..self.stores.len() {
                self.turn(w)
            }
        }
    }
    fn wait(&mut self, ms: u64) {
        let end = self.now + ms;
        while self.now < end {
            self.settle();
            self.now += 5;
        }
        self.settle();
    }
    fn answer(&mut self, f: usize, a: Result<Fetched<'_>, FetchFailure>) -> Changed {
        let (w, ask, _) = self.flights.remove(f);
        self.stores[w].answer(ask.number, ask.leg, a, at(self.now))
    }
    fn back(&mut self, ms: u64) {
        for s in &mut self.stores {
            s.shift_back(Duration::from_millis(ms));
        }
        self.now -= ms;
    }
    fn write(&mut self, n: Notice) {
        self.swaps += 1;
        self.notice = Some((n.encode(), self.swaps));
    }
}
fn no() -> Result<Fetched<'static>, FetchFailure> {
    Err(Cause::NoAnswer.into())
}

/// `until` in a far future: documented as "not longer than three minutes".
#[test]
fn a_lease_from_nowhere_ends() {
    let mut w = Workers::same(2, SETTINGS);
    w.write(Notice { until: Some(UnixTime::from_secs(u64::MAX)), number: 1, ..Notice::default() });
    w.wait(30 * 60_000);
    assert!(!w.begun.is_empty(), "no fetch in half an hour");
}

/// The fetcher dies and the clock is set back by an hour.
#[test]
fn a_lease_survives_a_clock_set_back() {
    let mut w = Workers::same(2, SETTINGS);
    w.now = 3_600_000;
    w.settle();
    let (dead, ..) = w.flights.remove(0);
    w.stores[dead] = KeyStore::new(SETTINGS, src(), true);
    w.back(3_600_000);
    w.begun.clear();
    w.wait(20 * 60_000);
    assert!(!w.begun.is_empty(), "no fetch in 20 minutes");
}

/// Clock set back: unknown kids are looked for within the cooldown?
#[test]
fn rotation_after_clock_set_back() {
    let mut w = Workers::same(2, SETTINGS);
    w.now = 3_600_000;
    w.settle();
    w.answer(0, Ok(with(&body("a"), None)));
    w.wait(60_000);
    w.back(1_800_000);
    w.wait(5_000);
    let n = w.begun.len();
    let t = w.now;
    while w.begun.len() == n && w.now - t < 900_000 {
        for s in &mut w.stores {
            s.want();
        }
        w.wait(50);
    }
    assert!(w.now - t < 5_000, "look-up only after {} ms", w.now - t);
}

#[test]
fn rotation_after_small_clock_set_back() {
    let mut w = Workers::same(2, SETTINGS);
    w.now = 3_600_000;
    w.settle();
    w.answer(0, Ok(with(&body("a"), None)));
    w.wait(5_000);
    w.back(35_000);
    w.wait(1_000);
    let n = w.begun.len();
    let t = w.now;
    while w.begun.len() == n && w.now - t < 900_000 {
        for s in &mut w.stores {
            s.want();
        }
        w.wait(50);
    }
    assert!(w.now - t < 5_000, "look-up only after {} ms", w.now - t);
}

/// number u64::MAX on the notice.
#[test]
fn a_number_from_nowhere_costs_one_fetch() {
    let mut w = Workers::same(2, SETTINGS);
    w.write(Notice { number: u64::MAX, ..Notice::default() });
    w.wait(100);
    assert_eq!(w.flights.len(), 1);
    w.answer(0, Ok(with(&body("a"), None)));
    w.wait(2_000);
    assert!(w.stores.iter().all(|s| s.held().is_some()));
    // the next refresh
    while w.flights.is_empty() {
        w.wait(1000);
    }
    let c = w.answer(0, Ok(with(&body("b"), None)));
    assert_eq!(c, Changed::Replaced);
}

/// Equal numbers of failures hide a later `due`.
#[test]
fn workers_back_off_together_after_a_take_over() {
    let mut w = Workers::same(2, SETTINGS);
    w.settle();
    w.answer(0, Ok(with(&body("a"), None)));
    w.wait(2_000);
    while w.flights.is_empty() {
        w.wait(100);
    }
    let (slow, ..) = w.flights[0];
    // The worker is stalled beyond its lease: only the other one runs.
    let other = 1 - slow;
    w.flights.clear();
    for _ in 0..8_000 {
        w.now += 1;
        w.turn(other);
    }
    assert_eq!(w.flights.len(), 1);
    // The stalled worker wakes up: gives its fetch up.
    w.turn(slow);
    w.answer(
        0,
        Err(FetchFailure {
            cause: Cause::Status(429),
            retry_after: Some(Duration::from_secs(300)),
        }),
    );
    let t = w.now;
    let n = w.begun.len();
    while w.begun.len() == n {
        w.wait(10);
    }
    assert!(w.now - t > 290_000, "the issuer was asked again after {} ms, not 300 s", w.now - t);
}

/// No attempts when stale keys end.
#[test]
fn at_most_five_seconds_between_attempts_without_keys() {
    for longest in [30, 3600] {
        let mut s = KeyStore::new(
            FetchSettings {
                longest_back_off: Duration::from_secs(longest),
                stale_for: Duration::from_secs(60),
                ..SETTINGS
            },
            src(),
            false,
        );
        let mut now = 0u64;
        let mut last = 0;
        let mut worst = 0;
        while now < 6 * 3_600_000 {
            s.expire(at(now));
            if let Some(Step::Fetch(ask)) = s.next_step(at(now)) {
                if s.failures() > 0 && now > 700_000 {
                    worst = worst.max(now - last.max(660_000));
                }
                last = now;
                if now == 0 {
                    s.answer(ask.number, ask.leg, Ok(with(&body("a"), None)), at(now));
                } else {
                    s.answer(ask.number, ask.leg, no(), at(now));
                }
            }
            now += 100;
        }
        assert!(
            worst <= 5_100,
            "longest {longest}: {worst} ms without an attempt while there are no usable keys"
        );
    }
}

/// A plugin whose keys live longer decides how long one without keys waits.
#[test]
fn other_plugins_settings() {
    let patient = FetchSettings { longest_back_off: Duration::from_secs(3600), ..SETTINGS };
    let strict = FetchSettings { stale_for: Duration::ZERO, ..SETTINGS };
    let mut w =
        Workers::new(vec![KeyStore::new(patient, src(), true), KeyStore::new(strict, src(), true)]);
    w.settle();
    w.answer(0, Ok(with(&body("a"), None)));
    let mut gap = 0;
    while w.now < 3_000_000 {
        let n = w.begun.len();
        let t = w.now;
        w.wait(100);
        if w.now > 700_000 && w.begun.len() == n {
            gap += w.now - t
        } else {
            gap = 0
        }
        if !w.flights.is_empty() {
            w.answer(0, no());
        }
        assert!(
            gap < 10_000 || matches!(w.stores[1].state(at(w.now)), KeyState::Ready(_)),
            "plugin without keys makes no attempt for 10 s at {}",
            w.now
        );
    }
}

/// 304 to another question.
#[test]
fn not_modified_belongs_to_the_tag_that_was_asked() {
    let mut s = KeyStore::new(SETTINGS, src(), false);
    let ask = |s: &mut KeyStore, now: u64| match s.next_step(at(now)) {
        Some(Step::Fetch(a)) => a,
        o => panic!("{o:?}"),
    };
    let a = ask(&mut s, 0);
    s.answer(a.number, a.leg, Ok(with(&body("a"), Some("\"a\""))), at(0));
    let mut now = 600_000;
    let first = ask(&mut s, now);
    assert_eq!(first.etag.as_deref(), Some("\"a\""));
    now += 6_000; // or a clock that jumped ahead
    assert!(s.expire(at(now)));
    now += 1_000;
    let second = ask(&mut s, now);
    assert_eq!(second.etag.as_deref(), Some("\"a\""));
    // The answer to the first: a rogue or premature key `b`...
    s.answer(first.number, first.leg, Ok(with(&body("b"), Some("\"b\""))), at(now));
    // ...withdrawn again by the time of the second: the set is `a` as it was.
    s.answer(second.number, second.leg, Ok(not_modified(Some("\"a\""))), at(now));
    now += 600_000;
    let third = ask(&mut s, now);
    assert_eq!(third.etag.as_deref(), Some("\"b\""), "the tag of what is held");
    s.answer(third.number, third.leg, Ok(with(&body("a"), Some("\"a\""))), at(now));
    assert!(s.held().unwrap().names("a"));
}

fn disc(docs: &[Document]) -> KeyStore {
    let d = Discovery::new(
        "https://i.test",
        "main",
        docs,
        [("k2.test".to_owned(), "k2".to_owned())].into(),
    )
    .unwrap();
    KeyStore::new(SETTINGS, Source::Discovered(d), false)
}
fn meta(uri: &str) -> String {
    format!(r#"{{"issuer":"https://i.test","jwks_uri":"{uri}"}}"#)
}
const BOTH: [Document; 2] = [Document::OpenidConfiguration, Document::OauthAuthorizationServer];

/// An entity tag of one address is sent to another.
#[test]
fn tags_belong_to_an_address() {
    let mut s = disc(&BOTH);
    let ask = |s: &mut KeyStore, now: u64| match s.next_step(at(now)) {
        Some(Step::Fetch(a)) => a,
        o => panic!("{o:?}"),
    };
    let m = ask(&mut s, 0);
    s.answer(m.number, m.leg, Ok(with(&meta("https://i.test/v1"), None)), at(0));
    let k = ask(&mut s, 0);
    assert_eq!(k.address.path, "/v1");
    s.answer(k.number, k.leg, Ok(with(&body("old"), Some("\"1\""))), at(0));
    let now = 3_700_000;
    let m = ask(&mut s, now);
    assert!(matches!(m.leg, Leg::Metadata(_)));
    s.answer(m.number, m.leg, Ok(with(&meta("https://k2.test/v2"), None)), at(now));
    let k = ask(&mut s, now);
    assert_eq!(k.address.authority, "k2.test");
    assert_eq!(k.etag, None, "the tag of https://i.test/v1 is sent to https://k2.test/v2");
}

/// What discovery says is swallowed.
#[test]
fn no_cluster_is_told_with_the_default_documents() {
    let mut s = disc(&BOTH);
    let ask = |s: &mut KeyStore, now: u64| match s.next_step(at(now)) {
        Some(Step::Fetch(a)) => a,
        o => panic!("{o:?}"),
    };
    let m = ask(&mut s, 0);
    // Like Google's: the keys on another host, no OAuth document.
    s.answer(m.number, m.leg, Ok(with(&meta("https://www.googleapis.test/certs"), None)), at(0));
    let m = ask(&mut s, 0);
    let Changed::Failed(f) = s.answer(m.number, m.leg, Err(Cause::Status(404).into()), at(0))
    else {
        panic!()
    };
    assert_eq!(f.cause.code(), "metadata_no_cluster", "log says: {}", f.cause);
}

#[test]
fn keys_that_moved_to_a_host_without_cluster_are_told() {
    let mut s = disc(&BOTH);
    let ask = |s: &mut KeyStore, now: u64| match s.next_step(at(now)) {
        Some(Step::Fetch(a)) => a,
        o => panic!("{o:?}"),
    };
    let m = ask(&mut s, 0);
    s.answer(m.number, m.leg, Ok(with(&meta("https://i.test/v1"), None)), at(0));
    let k = ask(&mut s, 0);
    s.answer(k.number, k.leg, Ok(with(&body("old"), None)), at(0));
    let now = 3_700_000;
    let mut told = Vec::new();
    for round in 0..20u64 {
        let now = now + round * 600_000;
        while let Some(Step::Fetch(q)) = s.next_step(at(now)) {
            let c = match q.leg {
                Leg::Metadata(_) => s.answer(
                    q.number,
                    q.leg,
                    Ok(with(&meta("https://elsewhere.test/k"), None)),
                    at(now),
                ),
                Leg::Keys => s.answer(q.number, q.leg, Ok(with(&body("old"), None)), at(now)),
            };
            if let Changed::Misled(f) = c {
                told.push(f.cause.code());
            }
        }
    }
    assert!(told.contains(&"metadata_no_cluster"), "{told:?}");
}

#[test]
fn retry_after_of_metadata_is_respected() {
    let mut s = disc(&BOTH);
    let m = match s.next_step(at(0)) {
        Some(Step::Fetch(a)) => a,
        o => panic!("{o:?}"),
    };
    s.answer(
        m.number,
        m.leg,
        Err(FetchFailure {
            cause: Cause::Status(429),
            retry_after: Some(Duration::from_secs(120)),
        }),
        at(0),
    );
    let next = s.next_step(at(0));
    if let Some(Step::Fetch(q)) = next {
        s.answer(q.number, q.leg, Err(Cause::Status(404).into()), at(0));
    }
    let wait = s.next_wake_up().since(at(0));
    assert!(wait >= Duration::from_secs(120), "asked again after {wait:?}");
}

/// The clock was set back: a set from the board counts as newer than the request.
#[test]
fn a_set_from_the_future_does_not_refuse() {
    let mut w = Workers::same(1, SETTINGS);
    w.now = 3_600_000;
    w.settle();
    w.answer(0, Ok(with(&body("a"), None)));
    w.wait(60_000);
    w.back(1_800_000);
    // A listener update: a new store, and a request with a new key.
    w.stores.push(KeyStore::new(SETTINGS, src(), true));
    let arrived = at(w.now);
    w.turn(1);
    assert!(w.stores[1].held().is_some());
    assert_eq!(w.stores[1].unknown_kid("b", arrived, at(w.now)), UnknownKid::Wait);
}

/// A host that finds nothing and writes nothing: every worker fetches for itself.
#[test]
fn a_host_that_only_pretends_to_share() {
    let mut store = KeyStore::new(SETTINGS, src(), true);
    let mut now = 0;
    while now < 1_000 {
        match store.next_step(at(now)) {
            Some(Step::Fetch(ask)) => {
                store.answer(ask.number, ask.leg, Ok(with(&body("a"), None)), at(now));
                assert!(store.held().is_some());
                return;
            }
            Some(Step::Look) => {
                store.noticed(Ok((None, Seen(u32::MAX))), at(now));
            }
            Some(Step::Post(..)) => store.posted(false),
            Some(other) => panic!("{other:?}"),
            None => now += 5,
        }
    }
    panic!("no fetch in a second");
}
