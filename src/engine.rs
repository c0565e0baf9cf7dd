//! The engine: events and the time go in, decisions and effects come out.
//!
//! It owns the policy, the keys and the requests that wait for keys. It never calls the host:
//! what it wants done is an [`Effect`], which the host carries out after the engine has returned.
//!
//! The contract: after every `handle_*` call, drain [`Engine::next_effect`]; what is left may be
//! drained later.

mod deciding;
mod effect;
mod fetching;
mod lists;
mod log_limit;
mod logouts;
mod recording;
mod roll_out;
mod spending;
mod statuses;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::engine::deciding::Decided;
pub use crate::engine::effect::{
    Counter, Decision, Effect, FetchId, FetchRequest, Gauge, KeyEvent, LogLevel, Quantity, StreamId,
};
use crate::engine::fetching::Shown;
use crate::engine::log_limit::LogLimit;
pub use crate::engine::logouts::MAX_BODY;
use crate::engine::logouts::Received;
pub use crate::engine::spending::Spending;
pub use crate::engine::waiting::{MAX_KIDS_WAITED_FOR, MAX_WAITING, MAX_WAITING_FOR_PROVIDER};
use crate::engine::waiting::{Waiting, WaitingRoom};
use crate::jwks::Keys;
use crate::jwks::answer::Cause;
use crate::policy::evaluate::{Patience, Wanted};
use crate::policy::status::Statuses;
use crate::policy::verified_tokens::VerifiedTokens;
use crate::policy::{Policy, RemoteList};
use crate::request::{Fields, PropertyPath, RequestHead};
use crate::time::UnixTime;

/// `Retry-After` for requests that find no room to wait.
const RETRY_WHEN_CROWDED: Duration = Duration::from_secs(1);

/// Decides about the requests of one worker.
pub struct Engine {
    /// None: the configuration is invalid, and nobody gets in.
    policy: Option<Policy>,
    /// Of each provider, and behind them the lists of revoked tokens.
    keys: Vec<Keys>,
    /// What the gauges show of the keys, and when they were last set.
    shown: Vec<Shown>,
    /// The verified tokens of each provider.
    verified: Vec<VerifiedTokens>,
    /// The lists of token states that tokens named lately.
    statuses: Statuses,
    received: Received,
    waiting: WaitingRoom,
    effects: VecDeque<Effect>,
    told_of_distrust: bool,
    log_limit: LogLimit,
    roll_out_log: LogLimit,
    /// Keys that are looked for without anybody who waits, and since when.
    unattended: BTreeMap<Wanted, UnixTime>,
    now: UnixTime,
    /// Before this, no key store wants anything: most requests need not look.
    due: UnixTime,
}

impl Engine {
    /// An engine for this policy.
    pub fn new(policy: Policy) -> Self {
        let memory = &policy.table_memory;
        let providers = || policy.all_providers();
        let keys = providers().map(|provider| provider.keys.keys(memory));
        let keys: Vec<_> = keys.chain(policy.all_lists().map(RemoteList::store)).collect();
        let shown = keys.iter().map(|_| Shown::default()).collect();
        let verified = providers().map(|provider| VerifiedTokens::new(provider.cache)).collect();
        let statuses = Statuses::behind(keys.len());
        let mut this =
            Self { policy: Some(policy), statuses, keys, shown, verified, ..Self::closed() };
        this.settle();
        this
    }

    /// An engine that refuses everything: what an invalid configuration comes to.
    pub fn closed() -> Self {
        Self {
            policy: None,
            keys: Vec::new(),
            shown: Vec::new(),
            verified: Vec::new(),
            statuses: Statuses::default(),
            received: Received::default(),
            waiting: WaitingRoom::default(),
            effects: VecDeque::new(),
            told_of_distrust: false,
            log_limit: LogLimit::default(),
            roll_out_log: LogLimit::default(),
            unattended: BTreeMap::new(),
            now: UnixTime::default(),
            due: UnixTime::MAX,
        }
    }

    /// A request arrived.
    pub fn handle_request(
        &mut self,
        stream: StreamId,
        head: RequestHead,
        now: UnixTime,
    ) -> Decision {
        self.advance(now);
        if let Some(decision) = self.decide_itself(stream, &head) {
            return decision;
        }
        let patience = match self.waiting.is_ample() {
            true => Patience::Left,
            false => Patience::Scarce,
        };
        let decided = match self.decide(&head, now, patience) {
            Decided::MustWait(wanted) if !self.waiting.has_room_for(&wanted) => {
                // Its keys are looked for all the same, so that the next attempt may pass.
                self.want(&wanted);
                self.drive();
                self.decide_without_room(&head)
            }
            decided => decided,
        };
        match decided {
            Decided::Allowed { mut edits, record, .. } => {
                edits.extend(record);
                Decision::Forward(edits)
            }
            Decided::Denied(rejection) => Decision::Reject(rejection),
            Decided::MustSpend(permit, budget) => {
                Decision::Spend(self.spending(head, now, permit, budget))
            }
            Decided::MustWait(wanted) => {
                self.count(Counter::Waited);
                let deadline = now.after(self.longest_wait(&wanted));
                self.want(&wanted);
                self.count_waiting(&wanted);
                self.waiting.insert(stream, Waiting { head, arrived: now, deadline, wanted });
                self.drive();
                Decision::Wait
            }
        }
    }

    /// Time passed.
    pub fn handle_tick(&mut self, now: UnixTime) {
        self.advance(now);
        self.reconsider(&|waiting| now >= waiting.deadline);
        self.show();
        self.drive();
    }

    /// A request is over, whatever it was waiting for.
    pub fn handle_gone(&mut self, stream: StreamId) {
        self.give_up_receiving(stream);
        if let Some(waiting) = self.waiting.remove(stream) {
            self.vary_waiting(&waiting.wanted, -1);
        }
    }

    /// The next thing to do; none when all is done.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When the engine wants [`Engine::handle_tick`]; none when never.
    pub fn next_wake_up(&self) -> Option<UnixTime> {
        let stores = Some(self.due).filter(|due| *due < UnixTime::MAX);
        stores.into_iter().chain(self.waiting.next_deadline()).min()
    }

    /// The time, as far as the engine knows.
    pub fn now(&self) -> UnixTime {
        self.now
    }

    /// What requests must come with beside their headers.
    pub fn properties(&self) -> Vec<PropertyPath> {
        self.policy.as_ref().map(Policy::all_properties).unwrap_or_default()
    }

    /// The names of the trailers of a request that must not reach the backend.
    pub fn struck_trailers(&self, trailers: &Fields) -> Vec<Vec<u8>> {
        self.policy.as_ref().map(|policy| policy.struck_trailers(trailers)).unwrap_or_default()
    }

    /// The name of a counter; Envoy shows it behind `wasmcustom.`.
    pub fn counter_name(&self, counter: Counter) -> String {
        match counter {
            Counter::AllowedBy(provider) | Counter::DeniedBy(provider, _) => {
                self.decision_metric_name(provider, &counter.name())
            }
            _ => self.metric_name(counter.provider(), &counter.name()),
        }
    }

    /// The name of a gauge.
    pub fn gauge_name(&self, gauge: Gauge) -> String {
        self.metric_name(Some(gauge.provider), &gauge.quantity.name())
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The keys of each provider, and the lists, for tests and tools.
    pub fn keys(&self) -> &[Keys] {
        &self.keys
    }

    /// Takes note of the time: a clock that was set back moves everything back with it, and
    /// answers that are overdue count as failures.
    fn advance(&mut self, now: UnixTime) {
        if (self.now..self.due).contains(&now) {
            self.now = now;
            return;
        }
        let back = self.now.since(now);
        if !back.is_zero() {
            for store in self.keys.iter_mut().filter_map(Keys::remote_mut) {
                store.shift_back(back);
            }
            self.statuses.shift_back(back);
            self.received.shift_back(back);
            self.waiting.shift_back(back);
        }
        self.now = now;
        self.statuses.forget_unused(now);
        self.tend_logouts();
        for place in self.places() {
            if self.store_mut(place).is_some_and(|store| store.expire(now)) {
                self.note_failure(place, &Cause::NoAnswer);
                self.reconsider_for(place);
            }
        }
        self.drive();
    }

    /// Decides again about the requests that `concerned` picks.
    fn reconsider(&mut self, concerned: &dyn Fn(&Waiting) -> bool) {
        for stream in self.waiting.select(concerned) {
            let Some(mut waiting) = self.waiting.remove(stream) else { continue };
            self.vary_waiting(&waiting.wanted, -1);
            self.remember_absent(&waiting);
            let patience = match self.now >= waiting.deadline {
                true => Patience::Exhausted,
                false => Patience::Left,
            };
            match self.decide(&waiting.head, waiting.arrived, patience) {
                Decided::Allowed { mut edits, record, .. } => {
                    edits.extend(record);
                    self.effects.push_back(Effect::Resume(stream, edits));
                }
                Decided::Denied(rejection) => {
                    self.effects.push_back(Effect::Reject(stream, rejection));
                }
                Decided::MustSpend(permit, budget) => {
                    let spending = self.spending(waiting.head, waiting.arrived, permit, budget);
                    self.effects.push_back(Effect::Spend(stream, spending));
                }
                Decided::MustWait(wanted) => {
                    self.want(&wanted);
                    self.vary_waiting(&wanted, 1);
                    // Other keys than before may take longer than those did.
                    let deadline = waiting.arrived.after(self.longest_wait(&wanted));
                    waiting.deadline = waiting.deadline.max(deadline);
                    waiting.wanted = wanted;
                    self.waiting.insert(stream, waiting);
                }
            }
        }
    }

    fn count(&mut self, counter: Counter) {
        self.effects.push_back(Effect::Count(counter));
    }

    fn log(&mut self, level: LogLevel, line: String) {
        self.effects.push_back(Effect::Log(level, line));
    }
}
