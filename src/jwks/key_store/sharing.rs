//! What the store does on the notice that it shares with other workers.

use super::{Changed, KeyStore, NotShared, Phase, Seen, Step};
use crate::jwks::board::{Notice, SharedKeys};
use crate::jwks::schedule::{
    CLAIMS_UNTIL_ALONE, LEASE_GRACE, LOOK, LOOK_WHILE_WAITING, MAX_RETRY_AFTER,
};
use crate::time::UnixTime;
use std::time::Duration;

/// What is known of the other workers.
#[derive(Default)]
pub(super) struct Others {
    looked: Option<UnixTime>,
    /// Until when another worker's fetch is left alone.
    pub(super) until: Option<UnixTime>,
    /// Keys that could not be read are not tried again.
    spoiled: u64,
    /// The latest fetch whose end was noticed.
    settled: u64,
    /// Claims in a row that were not written.
    refused: u8,
    /// How a fetch of this store went, until it stands on the notice.
    outcome: Option<Outcome>,
}

pub(super) struct Outcome {
    number: u64,
    keys: Option<SharedKeys>,
}

impl Others {
    /// Whether another worker fetches.
    pub(super) fn are_busy(&self, now: UnixTime) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Moves all times back, after the clock did.
    pub(super) fn shift_back(&mut self, span: Duration) {
        for time in self.looked.iter_mut().chain(&mut self.until) {
            *time = time.before(span);
        }
    }
}

impl KeyStore {
    /// When to do something, if nothing is under way.
    pub(super) fn next_action(&self) -> UnixTime {
        let Some(others) = &self.others else { return self.due() };
        let Some(looked) = others.looked.filter(|_| others.outcome.is_none()) else {
            return UnixTime::default();
        };
        let look = looked.after(if self.wanted { LOOK_WHILE_WAITING } else { LOOK });
        let fetch =
            others.until.unwrap_or_else(|| self.due()).max(looked.after(LOOK_WHILE_WAITING));
        look.min(fetch)
    }

    /// Takes what stands on the notice.
    pub fn noticed(
        &mut self,
        notice: Result<(Option<&[u8]>, Seen), NotShared>,
        now: UnixTime,
    ) -> Changed {
        if !matches!(self.phase, Phase::Looking) {
            return Changed::Nothing;
        }
        self.phase = Phase::Idle;
        let (Ok((text, seen)), Some(others)) = (notice, &mut self.others) else {
            self.others = None;
            return Changed::Nothing;
        };
        // Nothing was written, by nobody: the host only pretends.
        if text.is_none() && others.refused >= CLAIMS_UNTIL_ALONE {
            self.others = None;
            return Changed::Nothing;
        }
        let notice = text.and_then(|text| Notice::decode(text, now)).unwrap_or_default();
        let outcome = others.outcome.take().filter(|outcome| outcome.number == notice.number);
        others.looked = Some(now);
        // This store's own fetch is over.
        others.until = notice.until.filter(|until| now < *until && outcome.is_none());
        let spoiled = others.spoiled;
        if let Some(outcome) = outcome {
            self.settle(notice, outcome, seen);
            return Changed::Nothing;
        }
        if notice.keys > self.held.as_ref().map_or(0, |held| held.number) && notice.keys != spoiled
        {
            self.phase = Phase::Taking(notice.keys);
            self.steps.push_back(Step::Take);
            return Changed::Nothing;
        }
        let changed = self.adopt(&notice, now);
        let busy = self.others.as_ref().is_some_and(|others| others.until.is_some());
        if !busy && now >= self.due() {
            let flight = self.flight(now);
            let until = Some(flight.deadline.after(LEASE_GRACE));
            let claim = Notice { number: flight.number, began: now, until, ..notice };
            self.steps.push_back(Step::Post(claim, seen));
            self.phase = Phase::Claiming(flight);
        }
        changed
    }

    /// Believes how somebody else's latest fetch went.
    fn adopt(&mut self, notice: &Notice, now: UnixTime) -> Changed {
        if notice.number < self.last_number {
            return Changed::Nothing;
        }
        self.last_number = notice.number;
        self.last_began = self.last_began.max(Some(notice.began));
        let Some(others) = &mut self.others else { return Changed::Nothing };
        let newer = notice.number > others.settled || notice.failures != self.failures;
        if notice.until.is_some() || !newer {
            return Changed::Nothing;
        }
        others.settled = notice.number;
        if notice.failures == 0 && self.failures == 0 {
            return Changed::Nothing;
        }
        // Whoever failed may have other settings, or a clock of before: no wait is longer than this
        // store's own.
        let latest = now.after(self.settings.longest_back_off);
        self.failures = notice.failures;
        self.failed = now;
        self.retry = Some(notice.due.min(latest)).filter(|_| notice.failures > 0);
        self.not_before = notice.not_before.min(now.after(MAX_RETRY_AFTER));
        self.wanted = self.wanted && notice.failures == 0;
        Changed::Outlook
    }

    /// Takes whether the notice was written.
    pub fn posted(&mut self, written: bool) {
        if let (Phase::Claiming(_), Some(others)) = (&self.phase, &mut self.others) {
            others.refused = if written { 0 } else { others.refused.saturating_add(1) };
        }
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Claiming(flight) if written => self.take_off(flight),
            // Somebody was faster: the next look shows who.
            Phase::Claiming(_) | Phase::Settling => {}
            other => self.phase = other,
        }
    }

    /// Takes the key set of another worker.
    pub fn taken(&mut self, keys: Option<&[u8]>, now: UnixTime) -> Changed {
        let Phase::Taking(number) = self.phase else { return Changed::Nothing };
        self.phase = Phase::Idle;
        let keys = keys.and_then(|keys| SharedKeys::decode(keys, now));
        match keys.filter(|keys| keys.number >= number).and_then(|keys| self.hold(keys, now).ok()) {
            Some(changed) => changed,
            None => {
                if let Some(others) = &mut self.others {
                    others.spoiled = number;
                }
                Changed::Nothing
            }
        }
    }

    /// Keeps how a fetch went until it can be put on the notice.
    pub(super) fn tell(&mut self, number: u64, keys: Option<SharedKeys>) {
        if let Some(others) = &mut self.others {
            others.outcome = Some(Outcome { number, keys });
        }
    }

    /// Puts on the notice how a fetch went. Keys come first, so that whoever reads of them finds
    /// them.
    fn settle(&mut self, notice: Notice, outcome: Outcome, seen: Seen) {
        if let Some(others) = &mut self.others {
            others.settled = notice.number;
        }
        let over = Notice { until: None, ..notice };
        let over = match outcome.keys {
            Some(keys) => {
                self.steps.push_back(Step::Publish(keys));
                let (due, not_before) = (UnixTime::default(), UnixTime::default());
                Notice { keys: outcome.number, failures: 0, due, not_before, ..over }
            }
            None => {
                let due = self.retry.unwrap_or_default();
                Notice { failures: self.failures, due, not_before: self.not_before, ..over }
            }
        };
        self.steps.push_back(Step::Post(over, seen));
        self.phase = Phase::Settling;
    }
}
