//! Keeps the keys of one issuer fresh, or a list of revoked tokens: a state machine that is told the time, the answers and what
//! other workers wrote, and says what to do next.
//!
//! The workers of one Envoy share a notice (which fetch is the latest, and how it went) and the
//! newest key set. Whoever wants to fetch first puts the number of the fetch on the notice, by
//! compare-and-swap; the others see it there and wait for its keys. A fetch whose time is over can
//! be followed by the next one's, so a worker that dies or stalls keeps nobody waiting.
//!
//! Its invariants, which the simulations in `tests/key_store.rs` check:
//!
//! 1. At most one fetch is in flight, over all workers that share a notice.
//! 2. A failed or malformed answer never discards good keys; they are used past their freshness
//!    up to `stale_for`.
//! 3. An answer to an older question never replaces a newer one.
//! 4. An unknown `kid` asks for at most one fetch per cooldown, whatever the request rate.
//! 5. Failures back off with jitter, and recovery is noticed soon after the issuer is back.
//! 6. A refresh starts before freshness ends, so in steady state no request waits.
//! 7. Other keys mean another generation; the same keys keep theirs.
//! 8. A call with an unchanged clock changes nothing.
//! 9. Before the time that it names with [`KeyStore::next_wake_up`], it wants nothing.

mod fetching;
mod sharing;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::jose::table_memory::TableMemory;
use crate::jwks::absent_kids::AbsentKids;
use crate::jwks::answer::FetchFailure;
use crate::jwks::board::{Found, Notice, SharedKeys};
use crate::jwks::content::{Content, Kind};
use crate::jwks::flight::{Ask, Flight};
use crate::jwks::held::Held;
use crate::jwks::key_set::KeySet;
use crate::jwks::key_store::sharing::Others;
use crate::jwks::schedule::{FetchSettings, MAX_BACK_OFF_WITHOUT_KEYS, SOON};
use crate::jwks::source::Source;
use crate::jwks::{KeyState, UnknownKid};
use crate::revocation::deny_list::DenyList;
use crate::revocation::status_token::StatusToken;
use crate::time::UnixTime;

/// The state of the notice when it was read, which a compare-and-swap compares with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen(pub u32);

/// The host has no shared data: every worker fetches for itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotShared;

/// What the store wants done next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Ask the issuer, and tell the answer with [`KeyStore::answer`].
    Fetch(Ask),
    /// Read the notice, and tell it with [`KeyStore::noticed`].
    Look,
    /// Write the notice if nobody has since it was `Seen`, and tell whether it was with
    /// [`KeyStore::posted`].
    Post(Notice, Seen),
    /// Write the key set.
    Publish(SharedKeys),
    /// Read the key set, and tell it with [`KeyStore::taken`].
    Take,
}

/// What an event changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Changed {
    /// The fetch failed; what was held is kept.
    Failed(FetchFailure),
    /// The issuer's metadata led nowhere; the keys are fetched from where they were.
    Misled(FetchFailure),
    /// Nothing that matters to requests.
    Nothing,
    /// The same keys, but when the next attempt will be made.
    Outlook,
    /// The same keys as before, fresh again.
    Renewed,
    /// Other keys than before, or the first ones.
    Replaced,
}

/// The keys of one issuer over time.
pub struct KeyStore {
    kind: Kind,
    settings: FetchSettings,
    source: Source,
    held: Option<Held>,
    phase: Phase,
    steps: VecDeque<Step>,
    /// None: there are none, or they cannot be heard.
    others: Option<Box<Others>>,
    /// Failures since the last good answer, when the latest was learnt of, and when to try again.
    failures: u32,
    failed: UnixTime,
    retry: Option<UnixTime>,
    /// Until when the issuer wants to be left alone.
    not_before: UnixTime,
    /// When this store first wanted to fetch.
    first_began: Option<UnixTime>,
    /// When the latest fetch began, whoever's it is, and its number.
    last_began: Option<UnixTime>,
    last_number: u64,
    /// Somebody waits for keys, or for a `kid` that is not in the set.
    wanted: bool,
    absent: AbsentKids,
    found: Option<Found>,
    /// For the keys' tables.
    table_memory: Rc<TableMemory>,
}

enum Phase {
    Idle,
    /// The notice is being read, written or swapped, or the set read: over within a turn.
    Looking,
    Claiming(Flight),
    Settling,
    Taking(u64),
    InFlight(Flight),
}

impl KeyStore {
    /// A store without keys, which looks for them at once; `shared`: together with other workers.
    pub fn new(settings: FetchSettings, source: Source, shared: bool) -> Self {
        Self {
            kind: Kind::Keys,
            settings,
            source,
            held: None,
            phase: Phase::Idle,
            steps: VecDeque::new(),
            others: shared.then(Box::default),
            failures: 0,
            failed: UnixTime::default(),
            retry: None,
            not_before: UnixTime::default(),
            first_began: None,
            last_began: None,
            last_number: 0,
            wanted: false,
            absent: AbsentKids::default(),
            found: None,
            table_memory: Rc::default(),
        }
    }

    /// The store, with its keys' tables in this memory.
    pub fn with_table_memory(mut self, memory: &Rc<TableMemory>) -> Self {
        self.table_memory = Rc::clone(memory);
        self
    }

    /// The store, for what is of this kind.
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// What to do now; none when there is nothing before [`KeyStore::next_wake_up`].
    pub fn next_step(&mut self, now: UnixTime) -> Option<Step> {
        if self.steps.is_empty() && matches!(self.phase, Phase::Idle) && now >= self.next_action() {
            self.first_began.get_or_insert(now);
            if self.others.is_some() {
                self.phase = Phase::Looking;
                self.steps.push_back(Step::Look);
            } else {
                let flight = self.flight(now);
                self.take_off(flight);
            }
        }
        self.steps.pop_front()
    }

    /// The keys, or what keeps them away.
    pub fn state(&self, now: UnixTime) -> KeyState {
        self.pick(now, |content| content.keys().map(Rc::clone))
    }

    /// The list of revoked tokens, or what keeps it away.
    pub fn deny_list(&self, now: UnixTime) -> KeyState<Rc<DenyList>> {
        self.pick(now, |content| content.deny_list().map(Rc::clone))
    }

    /// The list of token states, or what keeps it away.
    pub fn status_token(&self, now: UnixTime) -> KeyState<Rc<StatusToken>> {
        self.pick(now, |content| content.status_token().map(Rc::clone))
    }

    /// The text of what is held.
    pub fn text(&self) -> Option<&str> {
        self.held.as_ref().map(|held| held.text.as_str())
    }

    /// What is held, while it can be used.
    fn pick<T>(&self, now: UnixTime, pick: impl Fn(&Content) -> Option<T>) -> KeyState<T> {
        let usable = self.held.as_ref().filter(|held| self.usable(held, now));
        match usable.and_then(|held| pick(&held.content)) {
            Some(ready) => KeyState::Ready(ready),
            None => match self.wait(now) {
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

    /// Somebody waits for keys, or for a `kid` that is not in the set: look often, and fetch as soon as
    /// the cooldown allows.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// If a fetch that began at `arrived` or later did not bring `kid`, that is remembered until
    /// the cooldown is over.
    pub fn remember_if_absent(&mut self, kid: &str, arrived: UnixTime, now: UnixTime) {
        if let Some(held) = &self.held
            && held.began >= arrived
            && !held.content.keys().is_some_and(|set| set.names(kid))
        {
            self.absent.insert(kid, held.began.after(self.settings.cooldown), now);
        }
    }

    /// When the store wants to be called again.
    pub fn next_wake_up(&self) -> UnixTime {
        match &self.phase {
            _ if !self.steps.is_empty() => UnixTime::default(),
            Phase::InFlight(flight) => flight.deadline,
            Phase::Idle => self.next_action(),
            // Over within the turn: the host answers at once.
            _ => UnixTime::default(),
        }
    }

    /// Which keys are held: changes whenever they do, zero while there are none.
    pub fn generation(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.generation)
    }

    /// The set that is held, however old.
    pub fn held(&self) -> Option<&KeySet> {
        self.content()?.keys().map(|set| &**set)
    }

    /// What is held, however old.
    pub fn content(&self) -> Option<&Content> {
        self.held.as_ref().map(|held| &held.content)
    }

    /// How old the set is that is held, and how long it can still be used.
    pub fn age(&self, now: UnixTime) -> Option<(Duration, Duration)> {
        let held = self.held.as_ref()?;
        Some((now.since(held.fetched), self.end(held).since(now)))
    }

    /// Failures since the last good answer.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Moves all times back, after the clock did, so that nothing is due in a far future.
    pub fn shift_back(&mut self, span: Duration) {
        let back = |time: &mut UnixTime| *time = time.before(span);
        if let Some(held) = &mut self.held {
            held.shift_back(span);
        }
        if let Phase::InFlight(flight) | Phase::Claiming(flight) = &mut self.phase {
            flight.shift_back(span);
        }
        self.others.iter_mut().for_each(|others| others.shift_back(span));
        let own = [&mut self.retry, &mut self.first_began, &mut self.last_began];
        let own = own.into_iter().flatten();
        own.chain([&mut self.failed, &mut self.not_before]).for_each(back);
        self.found.iter_mut().for_each(|found| back(&mut found.at));
        self.absent.shift_back(span);
    }

    fn usable(&self, held: &Held, now: UnixTime) -> bool {
        now < self.end(held)
    }

    fn end(&self, held: &Held) -> UnixTime {
        held.end(&self.settings)
    }

    /// When the next fetch is due, if no other worker makes it.
    fn due(&self) -> UnixTime {
        let due = self.due_anyway();
        match self.last_began {
            // While the issuer fails, unknown names do not make it work harder.
            Some(began) if self.wanted && self.failures == 0 => {
                due.min(began.after(self.settings.cooldown))
            }
            _ => due,
        }
    }

    /// The same without regard to an unknown `kid`.
    fn due_anyway(&self) -> UnixTime {
        let held = self.held.as_ref();
        let Some(retry) = self.retry else {
            return held.map_or(UnixTime::default(), |held| held.refresh);
        };
        // From the moment that there are no usable keys, attempts are closer.
        let end = held.map_or(UnixTime::default(), |held| self.end(held));
        let closer = self.failed.after(MAX_BACK_OFF_WITHOUT_KEYS).max(end);
        // Whoever asks to be left alone is, but not for longer than what is held can be used.
        let not_before = if held.is_some() { self.not_before.min(end) } else { self.not_before };
        retry.min(closer).max(not_before)
    }

    /// None when a fetch is in flight or near; otherwise how far it is.
    fn wait(&self, now: UnixTime) -> Option<Duration> {
        let busy = self.others.as_ref().is_some_and(|others| others.are_busy(now));
        if busy || matches!(self.phase, Phase::InFlight(_) | Phase::Claiming(_)) {
            return None;
        }
        let wait = self.due().since(now);
        (wait > SOON).then_some(wait)
    }
}
