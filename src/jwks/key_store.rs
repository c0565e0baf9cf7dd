//! Keeps the keys of one issuer fresh: a state machine that is told the time and the answers,
//! and says when to fetch.
//!
//! Its invariants, which the simulation in `tests/key_store.rs` checks:
//!
//! 1. At most one fetch is in flight.
//! 2. A failed or malformed answer never discards good keys; they are used past their freshness
//!    up to `stale_for`.
//! 3. An answer to an older question never replaces a newer one.
//! 4. An unknown `kid` asks for at most one fetch per cooldown, whatever the request rate.
//! 5. Failures back off with jitter, and recovery is noticed soon after the issuer is back.
//! 6. A refresh starts before freshness ends, so in steady state no request waits.
//! 7. Other keys mean another generation; the same keys keep theirs.
//! 8. A call with an unchanged clock changes nothing.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::jose::jwk::KeyStrength;
use crate::jwks::absent_kids::AbsentKids;
use crate::jwks::key_set::{KeySet, KeySetError};
use crate::jwks::{KeyState, UnknownKid};
use crate::time::UnixTime;

/// No set is fetched more often than this, however short its `cache_duration` is.
pub const MIN_REFRESH: Duration = Duration::from_secs(1);
/// How long the first fetches may fail without being taken for an outage: at start, Envoy's
/// cluster is often not resolved yet.
pub const WARM_UP: Duration = Duration::from_secs(5);
/// Between attempts while the cluster warms up.
pub const WARM_UP_RETRY: Duration = Duration::from_millis(100);
/// The first wait after a failure; each further one doubles it.
pub const FIRST_BACK_OFF: Duration = Duration::from_millis(500);
/// The longest wait between attempts while there are keys to work with.
pub const MAX_BACK_OFF: Duration = Duration::from_secs(30);
/// The longest wait between attempts while requests are refused for want of keys.
pub const MAX_BACK_OFF_WITHOUT_KEYS: Duration = Duration::from_secs(5);
/// A fetch this close is worth waiting for.
pub const SOON: Duration = Duration::from_secs(1);
/// What is added to the fetch time-out before an answer counts as lost: the host reports a
/// time-out itself, unless the context that asked is gone.
pub const ANSWER_GRACE: Duration = Duration::from_secs(1);

/// How one issuer's keys are fetched and kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FetchSettings {
    /// How long a fetched set counts as fresh (`cache_duration`).
    pub fresh_for: Duration,
    /// How long past its freshness a set is used while the issuer fails (`stale_if_error`).
    pub stale_for: Duration,
    /// How long one fetch may take (`http_uri.timeout`).
    pub timeout: Duration,
    /// The least time between two fetches for unknown `kid`s (`unknown_kid_cooldown`).
    pub cooldown: Duration,
    /// What a key must be.
    pub strength: KeyStrength,
}

/// The number of a fetch; later ones have greater numbers.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct FetchNumber(u64);

/// Why a fetch brought no keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FetchFailure {
    /// The body is no usable key set.
    Body(KeySetError),
    /// The host did not take the request: most often the cluster does not exist.
    Dispatch,
    /// No answer came: connection refused or reset, TLS failure, time-out.
    NoAnswer,
    /// A status other than 200.
    Status(u16),
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(error) => write!(f, "the answer {error}"),
            Self::Dispatch => f.write_str("the request could not be sent; does the cluster exist?"),
            Self::NoAnswer => f.write_str("no answer came in time"),
            Self::Status(status) => write!(f, "the answer has status {status}, not 200"),
        }
    }
}

/// What an answer changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answered {
    /// The fetch failed; what was held is kept.
    Failed(FetchFailure),
    /// The answer came too late to matter.
    Ignored,
    /// The same keys as before, fresh again.
    Renewed,
    /// Other keys than before, or the first ones.
    Replaced,
}

/// The keys of one issuer over time.
pub struct KeyStore {
    settings: FetchSettings,
    held: Option<Held>,
    fetch: Fetch,
    /// Failures since the last good answer.
    failures: u32,
    /// When the very first fetch began.
    first_began: Option<UnixTime>,
    /// When the latest fetch began.
    last_began: Option<UnixTime>,
    /// The greatest number given to a fetch.
    last_number: u64,
    /// Somebody waits for a `kid` that is not in the set.
    wanted: bool,
    absent: AbsentKids,
}

struct Held {
    set: Rc<KeySet>,
    digest: [u8; 32],
    generation: u64,
    number: FetchNumber,
    began: UnixTime,
    fetched: UnixTime,
}

#[derive(Clone, Copy)]
enum Fetch {
    Idle { due: UnixTime },
    InFlight { number: FetchNumber, began: UnixTime, deadline: UnixTime },
}

impl KeyStore {
    /// A store without keys, whose first fetch is due at once.
    pub fn new(settings: FetchSettings) -> Self {
        Self {
            settings,
            held: None,
            fetch: Fetch::Idle { due: UnixTime::default() },
            failures: 0,
            first_began: None,
            last_began: None,
            last_number: 0,
            wanted: false,
            absent: AbsentKids::default(),
        }
    }

    /// Whether a fetch should start now; if so, it counts as started.
    pub fn next_fetch(&mut self, now: UnixTime) -> Option<FetchNumber> {
        if now < self.due()? {
            return None;
        }
        self.last_number = self.last_number.saturating_add(1);
        let number = FetchNumber(self.last_number);
        let deadline = now.after(self.settings.timeout).after(ANSWER_GRACE);
        self.fetch = Fetch::InFlight { number, began: now, deadline };
        self.first_began.get_or_insert(now);
        self.last_began = Some(now);
        Some(number)
    }

    /// Gives up a fetch whose answer is overdue; true when there was one.
    pub fn expire(&mut self, now: UnixTime) -> bool {
        match self.fetch {
            Fetch::InFlight { deadline, .. } if now >= deadline => {
                self.fail(now);
                true
            }
            _ => false,
        }
    }

    /// Takes the answer to fetch `number`: the body of a 200, or why there is none.
    pub fn answer(
        &mut self,
        number: FetchNumber,
        body: Result<&[u8], FetchFailure>,
        now: UnixTime,
    ) -> Answered {
        if self.held.as_ref().is_some_and(|held| number <= held.number) {
            return Answered::Ignored;
        }
        let asked = match self.fetch {
            Fetch::InFlight { number: current, began, .. } if current == number => Some(began),
            _ => None,
        };
        let parsed = body.and_then(|body| {
            KeySet::parse(body, self.settings.strength)
                .map(|set| (set, Sha256::digest(body).into()))
                .map_err(FetchFailure::Body)
        });
        match (parsed, asked) {
            (Ok((set, digest)), _) => {
                // A late answer to a fetch that was given up is good news, but it says nothing of
                // the time after it was asked; counting it as old as the first fetch is safe.
                let began = asked.or(self.first_began).unwrap_or(now);
                let answered = self.hold(set, digest, number, began, now);
                self.failures = 0;
                self.wanted = false;
                if asked.is_some() || matches!(self.fetch, Fetch::Idle { .. }) {
                    self.fetch = Fetch::Idle { due: self.refresh_due(now) };
                }
                answered
            }
            (Err(failure), Some(_)) => {
                self.fail(now);
                Answered::Failed(failure)
            }
            (Err(_), None) => Answered::Ignored,
        }
    }

    /// The keys, or what keeps them away.
    pub fn state(&self, now: UnixTime) -> KeyState {
        match &self.held {
            Some(held) if self.usable(held, now) => KeyState::Ready(Rc::clone(&held.set)),
            _ => match self.wait(now) {
                None => KeyState::Pending,
                Some(retry_after) => KeyState::Unavailable { retry_after },
            },
        }
    }

    /// What becomes of a request that arrived at `arrived` with a `kid` that is not in the set.
    pub fn unknown_kid(&self, kid: &str, arrived: UnixTime, now: UnixTime) -> UnknownKid {
        if self.held.as_ref().is_some_and(|held| held.began >= arrived) {
            return UnknownKid::Refuse;
        }
        if self.absent.contains(kid, now) {
            return UnknownKid::AbsentLately;
        }
        if self.failures == 0 {
            return UnknownKid::Wait;
        }
        match self.wait(now) {
            None => UnknownKid::Wait,
            Some(retry_after) => UnknownKid::Unavailable { retry_after },
        }
    }

    /// Somebody waits for a `kid` that is not in the set: fetch as soon as the cooldown allows.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// If a fetch that began at `arrived` or later did not bring `kid`, that is remembered until
    /// the cooldown is over.
    pub fn remember_if_absent(&mut self, kid: &str, arrived: UnixTime, now: UnixTime) {
        if let Some(held) = &self.held
            && held.began >= arrived
            && !held.set.names(kid)
        {
            self.absent.insert(kid, held.began.after(self.settings.cooldown), now);
        }
    }

    /// When the store wants to be called again: a fetch is due, or an answer overdue.
    pub fn next_wake_up(&self) -> UnixTime {
        match self.fetch {
            Fetch::InFlight { deadline, .. } => deadline,
            Fetch::Idle { .. } => self.due().unwrap_or_default(),
        }
    }

    /// Which keys are held: changes whenever they do, zero while there are none.
    pub fn generation(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.generation)
    }

    /// The set that is held, however old.
    pub fn held(&self) -> Option<&KeySet> {
        self.held.as_ref().map(|held| &*held.set)
    }

    /// Failures since the last good answer.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Moves all times back, after the clock did, so that nothing is due in a far future.
    pub fn shift_back(&mut self, span: Duration) {
        let back = |time: &mut UnixTime| *time = time.before(span);
        if let Some(held) = &mut self.held {
            back(&mut held.began);
            back(&mut held.fetched);
        }
        match &mut self.fetch {
            Fetch::Idle { due } => back(due),
            Fetch::InFlight { began, deadline, .. } => {
                back(began);
                back(deadline);
            }
        }
        self.first_began.iter_mut().for_each(back);
        self.last_began.iter_mut().for_each(back);
        self.absent.shift_back(span);
    }

    fn usable(&self, held: &Held, now: UnixTime) -> bool {
        now < held.fetched.after(self.settings.fresh_for).after(self.settings.stale_for)
    }

    /// When the next fetch is due; none while one is in flight.
    fn due(&self) -> Option<UnixTime> {
        let Fetch::Idle { due } = self.fetch else {
            return None;
        };
        match self.last_began {
            // While the issuer fails, unknown names do not make it work harder.
            Some(began) if self.wanted && self.failures == 0 => {
                Some(due.min(began.after(self.settings.cooldown)))
            }
            _ => Some(due),
        }
    }

    /// None when a fetch is in flight or near; otherwise how far it is.
    fn wait(&self, now: UnixTime) -> Option<Duration> {
        let wait = self.due()?.since(now);
        (wait > SOON).then_some(wait)
    }

    fn hold(
        &mut self,
        set: KeySet,
        digest: [u8; 32],
        number: FetchNumber,
        began: UnixTime,
        now: UnixTime,
    ) -> Answered {
        let generation = self.generation();
        let same = self.held.as_ref().is_some_and(|held| held.digest == digest);
        let (generation, answered) = if same {
            (generation, Answered::Renewed)
        } else {
            (generation.saturating_add(1), Answered::Replaced)
        };
        let set = Rc::new(set);
        self.held = Some(Held { set, digest, generation, number, began, fetched: now });
        answered
    }

    /// Ahead of the end of freshness by a tenth of it, and by up to another tenth so that many
    /// gateways do not ask at once.
    fn refresh_due(&self, now: UnixTime) -> UnixTime {
        let fresh_for = self.settings.fresh_for.max(MIN_REFRESH);
        let tenth = fresh_for.checked_div(10).unwrap_or_default();
        let ahead = tenth.saturating_add(self.jitter(tenth, now));
        now.after(fresh_for.saturating_sub(ahead).max(MIN_REFRESH))
    }

    fn fail(&mut self, now: UnixTime) {
        self.failures = self.failures.saturating_add(1);
        self.fetch = Fetch::Idle { due: now.after(self.back_off(now)) };
    }

    fn back_off(&self, now: UnixTime) -> Duration {
        let warming_up =
            self.held.is_none() && self.first_began.is_some_and(|began| now.since(began) < WARM_UP);
        if warming_up {
            return WARM_UP_RETRY;
        }
        let longest = match &self.held {
            Some(held) if self.usable(held, now) => MAX_BACK_OFF,
            _ => MAX_BACK_OFF_WITHOUT_KEYS,
        };
        // Ten doublings reach the longest wait from anywhere, and cannot overflow.
        let factor = 1_u32.checked_shl(self.failures.saturating_sub(1).min(10)).unwrap_or(u32::MAX);
        let wait = FIRST_BACK_OFF.saturating_mul(factor).min(longest);
        let fifth = wait.checked_div(5).unwrap_or_default();
        wait.saturating_sub(self.jitter(fifth, now))
    }

    /// A part of `span` that differs between workers and gateways. The plugin has no source of
    /// randomness; the nanoseconds of the clock differ enough, and nothing secret depends on it.
    fn jitter(&self, span: Duration, now: UnixTime) -> Duration {
        let seed = u64::from(now.subsec_nanos()) ^ self.last_number.rotate_left(32);
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        let thousandths = u32::try_from(mixed % 1000).unwrap_or_default();
        span.saturating_mul(thousandths).checked_div(1000).unwrap_or_default()
    }
}
