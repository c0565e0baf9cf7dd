//! The key store under a virtual clock: what it does in each situation, and a simulation with
//! random schedules that checks its invariants after every step.
#![expect(clippy::arithmetic_side_effects, clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use jwt_gate::jose::jwk::KeyStrength;
use jwt_gate::jwks::key_store::{
    Answered, FetchFailure, FetchNumber, FetchSettings, KeyStore, MAX_BACK_OFF,
    MAX_BACK_OFF_WITHOUT_KEYS,
};
use jwt_gate::jwks::{KeyState, UnknownKid};
use jwt_gate::time::UnixTime;
use proptest::prelude::*;

const SETTINGS: FetchSettings = FetchSettings {
    fresh_for: Duration::from_secs(600),
    stale_for: Duration::from_secs(3600),
    timeout: Duration::from_secs(5),
    cooldown: Duration::from_secs(2),
    strength: KeyStrength::WeakAllowed,
};

/// A set with one key of this name.
fn body(kid: &str) -> String {
    format!(r#"{{"keys":[{{"kty":"oct","kid":"{kid}","k":"AQIDBA"}}]}}"#)
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
        Self { store: KeyStore::new(SETTINGS), now: 0 }
    }

    /// A store that holds the key `a`, fetched at the start.
    fn with_keys() -> Self {
        let mut bench = Self::new();
        let number = bench.fetch().unwrap();
        assert_eq!(bench.good(number, "a"), Answered::Replaced);
        bench
    }

    fn wait(&mut self, millis: u64) -> &mut Self {
        self.now += millis;
        self.store.expire(at(self.now));
        self
    }

    fn fetch(&mut self) -> Option<FetchNumber> {
        self.store.next_fetch(at(self.now))
    }

    /// Waits for the next fetch and returns how long that took.
    fn wait_for_fetch(&mut self) -> (u64, FetchNumber) {
        let began = self.now;
        for _ in 0..10_000_000 {
            if let Some(number) = self.fetch() {
                return (self.now - began, number);
            }
            self.wait(1);
        }
        panic!("no fetch");
    }

    fn good(&mut self, number: FetchNumber, kid: &str) -> Answered {
        self.store.answer(number, Ok(body(kid).as_bytes()), at(self.now))
    }

    fn bad(&mut self, number: FetchNumber) -> Answered {
        self.store.answer(number, Err(FetchFailure::NoAnswer), at(self.now))
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
    assert_eq!(bench.good(number, "a"), Answered::Replaced);
    assert_eq!(bench.state(), "ready");
    assert_eq!(bench.store.generation(), 1);
}

#[test]
fn a_refresh_comes_before_freshness_ends_and_keeps_the_generation() {
    let mut bench = Bench::with_keys();
    let (waited, number) = bench.wait_for_fetch();
    assert!((480_000..=540_000).contains(&waited), "{waited} ms");
    assert_eq!(bench.state(), "ready");
    assert_eq!(bench.good(number, "a"), Answered::Renewed);
    assert_eq!(bench.store.generation(), 1);
    let (_, number) = bench.wait_for_fetch();
    assert_eq!(bench.good(number, "b"), Answered::Replaced);
    assert_eq!(bench.store.generation(), 2);
    assert!(bench.holds("b") && !bench.holds("a"));
}

#[test]
fn while_the_cluster_warms_up_retries_are_quick() {
    let mut bench = Bench::new();
    let number = bench.fetch().unwrap();
    assert!(matches!(bench.bad(number), Answered::Failed(_)));
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
    assert_eq!(bench.good(number, "a"), Answered::Replaced);
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
        let answered = bench.store.answer(number, Ok(bad.as_bytes()), at(bench.now));
        assert!(matches!(answered, Answered::Failed(FetchFailure::Body(_))), "{bad}");
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
    assert_eq!(bench.good(lost, "a"), Answered::Replaced);
    assert_eq!(bench.state(), "ready");
    assert_eq!(bench.good(next, "b"), Answered::Replaced);
    assert_eq!(bench.good(lost, "a"), Answered::Ignored, "older than what is held");
    assert_eq!(bench.bad(next), Answered::Ignored, "answered already");
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
    assert_eq!(bench.good(number, "a"), Answered::Renewed);
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
enum Step {
    Wait(u64),
    AnswerGood { back: usize, kid: u8 },
    AnswerBad { back: usize },
    WantKid(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop_oneof![0..50_u64, 0..5_000_u64, 0..700_000_u64].prop_map(Step::Wait),
        3 => (0..3_usize, 0..4_u8).prop_map(|(back, kid)| Step::AnswerGood { back, kid }),
        2 => (0..3_usize).prop_map(|back| Step::AnswerBad { back }),
        2 => (0..8_u8).prop_map(Step::WantKid),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn invariants_hold_under_any_schedule(steps in proptest::collection::vec(step(), 1..120)) {
        let mut bench = Bench::new();
        // Every fetch ever asked for: number and when it began.
        let mut asked: Vec<(FetchNumber, u64)> = Vec::new();
        let mut newest_good: Option<FetchNumber> = None;
        let mut good_until = 0;
        for step in steps {
            let generation = bench.store.generation();
            let held = bench.store.held().map(|set| (0..4).map(|k| set.names(&k.to_string())).collect::<Vec<_>>());
            match step {
                Step::Wait(millis) => {
                    bench.wait(millis);
                    // 2: time and failures alone never discard keys before their time.
                    if bench.now < good_until {
                        prop_assert_eq!(bench.state(), "ready");
                    }
                }
                Step::AnswerGood { back, kid } => {
                    let Some(index) = asked.len().checked_sub(back + 1) else { continue };
                    let (number, _) = asked[index];
                    let answered = bench.good(number, &kid.to_string());
                    if newest_good.is_some_and(|newest| number <= newest) {
                        // 3: never an older answer over a newer one.
                        prop_assert_eq!(answered, Answered::Ignored);
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
                Step::AnswerBad { back } => {
                    let Some(index) = asked.len().checked_sub(back + 1) else { continue };
                    bench.bad(asked[index].0);
                    // 2: nothing is lost by a failure.
                    prop_assert_eq!(bench.store.generation(), generation);
                }
                Step::WantKid(kid) => {
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
            prop_assert_eq!(bench.store.next_fetch(now), None);
            prop_assert_eq!(bench.store.next_wake_up(), wake);
            prop_assert_eq!((bench.store.failures(), bench.store.generation()), (failures, generation));
        }
    }
}
