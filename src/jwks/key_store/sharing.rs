//! What the store does on the notice that it shares with other workers.

use super::{Changed, KeyStore, NotShared, Phase, Seen, Step};
use crate::jwks::board::{Notice, SharedKeys};
use crate::jwks::schedule::{LEASE_GRACE, LOOK, LOOK_WHILE_WAITING};
use crate::time::UnixTime;
use std::time::Duration;

/// What is known of the other workers.
pub(super) enum Board {
    /// There are none, or they cannot be heard.
    None,
    Shared {
        looked: Option<UnixTime>,
        /// Until when another worker's fetch is left alone.
        others: Option<UnixTime>,
        /// Keys that could not be read are not tried again.
        spoiled: u64,
        /// How a fetch of this store went, until it stands on the notice.
        outcome: Option<Outcome>,
    },
}

pub(super) struct Outcome {
    number: u64,
    keys: Option<SharedKeys>,
}

impl Board {
    /// What is known before the first look.
    pub(super) fn unread() -> Self {
        Self::Shared { looked: None, others: None, spoiled: 0, outcome: None }
    }

    /// Whether another worker fetches.
    pub(super) fn is_busy(&self, now: UnixTime) -> bool {
        matches!(self, Self::Shared { others: Some(until), .. } if now < *until)
    }

    /// Moves all times back, after the clock did.
    pub(super) fn shift_back(&mut self, span: Duration) {
        if let Self::Shared { looked, others, .. } = self {
            for time in looked.iter_mut().chain(others) {
                *time = time.before(span);
            }
        }
    }
}

impl KeyStore {
    /// When to do something, if nothing is under way.
    pub(super) fn next_action(&self) -> UnixTime {
        let Board::Shared { looked, others, outcome, .. } = &self.board else {
            return self.due();
        };
        let Some(looked) = looked.filter(|_| outcome.is_none()) else {
            return UnixTime::default();
        };
        let look = looked.after(if self.wanted { LOOK_WHILE_WAITING } else { LOOK });
        let fetch = others.unwrap_or_else(|| self.due()).max(looked.after(LOOK_WHILE_WAITING));
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
        let (Ok((text, seen)), Board::Shared { looked, others, spoiled, outcome }) =
            (notice, &mut self.board)
        else {
            self.board = Board::None;
            return Changed::Nothing;
        };
        let notice = text.and_then(|text| Notice::decode(text, now)).unwrap_or_default();
        let spoiled = *spoiled;
        let outcome = outcome.take().filter(|outcome| outcome.number == notice.number);
        *looked = Some(now);
        // This store's own fetch is over.
        *others = notice.until.filter(|until| now < *until && outcome.is_none());
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
        let changed = self.adopt(&notice);
        let alone = matches!(&self.board, Board::Shared { others: None, .. });
        if alone && now >= self.due() {
            let flight = self.flight(now);
            let until = Some(flight.deadline.after(LEASE_GRACE));
            let claim = Notice { number: flight.number, began: now, until, ..notice };
            self.steps.push_back(Step::Post(claim, seen));
            self.phase = Phase::Claiming(flight);
        }
        changed
    }

    /// Believes how somebody else's latest fetch went.
    fn adopt(&mut self, notice: &Notice) -> Changed {
        if notice.number < self.last_number {
            return Changed::Nothing;
        }
        self.last_number = notice.number;
        self.last_began = self.last_began.max(Some(notice.began));
        let news = notice.until.is_none() && notice.failures != self.failures;
        if news {
            self.failures = notice.failures;
            self.retry = Some(notice.due).filter(|_| notice.failures > 0);
            self.wanted = self.wanted && notice.failures == 0;
        }
        if news { Changed::Outlook } else { Changed::Nothing }
    }

    /// Takes whether the notice was written.
    pub fn posted(&mut self, written: bool) {
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
                if let Board::Shared { spoiled, .. } = &mut self.board {
                    *spoiled = number;
                }
                Changed::Nothing
            }
        }
    }

    /// Keeps how a fetch went until it can be put on the notice.
    pub(super) fn tell(&mut self, number: u64, keys: Option<SharedKeys>) {
        if let Board::Shared { outcome, .. } = &mut self.board {
            *outcome = Some(Outcome { number, keys });
        }
    }

    /// Puts on the notice how a fetch went. Keys come first, so that whoever reads of them finds
    /// them.
    fn settle(&mut self, notice: Notice, outcome: Outcome, seen: Seen) {
        let over = Notice { until: None, ..notice };
        let over = match outcome.keys {
            Some(keys) => {
                self.steps.push_back(Step::Publish(keys));
                Notice { keys: outcome.number, failures: 0, due: UnixTime::default(), ..over }
            }
            None => {
                let due = self.retry.unwrap_or_default();
                Notice { failures: self.failures, due, ..over }
            }
        };
        self.steps.push_back(Step::Post(over, seen));
        self.phase = Phase::Settling;
    }
}
