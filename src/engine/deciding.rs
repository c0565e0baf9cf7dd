//! How the engine decides about one request, and what it tells of the decision.

use crate::denial::{Denial, Manner, Reason, Rejection};
use crate::engine::effect::{Counter, Effect, LogLevel};
use crate::engine::{Engine, RETRY_WHEN_CROWDED};
use crate::policy::check::Budget;
use crate::policy::evaluate::{Evaluation, Patience, Permit, Verdict, Wanted};
use crate::request::{RequestEdits, RequestHead};
use crate::single_use::Mark;
use crate::time::UnixTime;

/// What is decided.
pub(super) enum Decided {
    Allowed {
        edits: RequestEdits,
        /// What the access log is told.
        record: RequestEdits,
        /// Why it would have been refused, where that is only reported.
        reported: Option<Reason>,
    },
    Denied(Rejection),
    MustSpend(Permit, Budget),
    MustWait(Vec<Wanted>),
}

impl Engine {
    pub(super) fn decide(
        &mut self,
        head: &RequestHead,
        arrived: UnixTime,
        patience: Patience,
    ) -> Decided {
        let budget = Budget::default();
        let decided = match self.evaluate(head, arrived, patience, &[], &budget) {
            Verdict::Allow(permit) => self.allow(permit, None, budget, arrived),
            Verdict::Deny(denial) => Decided::Denied(self.reject_recorded(denial, head, arrived)),
            Verdict::Report { permit, denial, wanted } => {
                self.report(&denial);
                self.want_unattended(wanted, arrived);
                self.allow(permit, Some(&denial), budget, arrived)
            }
            Verdict::Wait(wanted) => Decided::MustWait(wanted),
        };
        self.settle_with_shadow(head, arrived, &decided);
        decided
    }

    fn allow(
        &mut self,
        permit: Permit,
        reported: Option<&Denial>,
        budget: Budget,
        arrived: UnixTime,
    ) -> Decided {
        if budget.has_uncompared() {
            self.count(Counter::Uncompared);
        }
        if !permit.uses().is_empty() {
            return Decided::MustSpend(permit, budget);
        }
        let (edits, vouched) = permit.into_parts();
        let record = match reported {
            Some(denial) => self.record_reported(denial, arrived),
            None => self.record_passed(vouched, arrived),
        };
        Decided::Allowed { edits, record, reported: reported.map(|denial| denial.reason) }
    }

    /// `refused`: what cannot be used, and why.
    pub(super) fn evaluate(
        &mut self,
        head: &RequestHead,
        arrived: UnixTime,
        patience: Patience,
        refused: &[(Mark, Reason)],
        budget: &Budget,
    ) -> Verdict {
        let Some(policy) = &self.policy else {
            return Verdict::Deny(Reason::ConfigurationInvalid.into());
        };
        let (keys, verified) = (self.keys.as_slice(), self.verified.as_slice());
        let now = self.now;
        let before = budget.spent();
        let standing = self.standing(0);
        let verdict = Evaluation {
            policy,
            keys,
            head,
            arrived,
            now,
            patience,
            budget,
            standing,
            verified,
            refused,
        }
        .decide();
        let spent = budget.spent();
        let (known, checked) = (spent.0.saturating_sub(before.0), spent.1.saturating_sub(before.1));
        for (count, counter) in [(known, Counter::CacheHit), (checked, Counter::CacheMiss)] {
            self.effects.extend((0..count).map(|_| Effect::Count(counter)));
        }
        if let Some((place, error)) = budget.bad_list() {
            self.note_bad_list(place, error.code());
        }
        if budget.met_distrusted_key() {
            self.count(Counter::DistrustedKey);
            if !std::mem::replace(&mut self.told_of_distrust, true) {
                let line = "the fast arithmetic disagreed with the library for a key, which only \
                            the library serves from now on; please report this";
                self.log(LogLevel::Error, line.to_owned());
            }
        }
        verdict
    }

    /// A request that would have to wait, and cannot: optional tokens may let it pass.
    pub(super) fn decide_without_room(&mut self, head: &RequestHead) -> Decided {
        let budget = Budget::default();
        let decided = match self.evaluate(head, self.now, Patience::Exhausted, &[], &budget) {
            Verdict::Allow(permit) => self.allow(permit, None, budget, self.now),
            Verdict::Report { permit, denial, .. } => {
                self.allow(permit, Some(&denial), budget, self.now)
            }
            Verdict::Deny(_) | Verdict::Wait(_) => {
                let retry_after = Some(RETRY_WHEN_CROWDED);
                let denial = Denial { retry_after, ..Reason::TooManyWaiting.into() };
                Decided::Denied(self.reject_recorded(denial, head, self.now))
            }
        };
        self.settle_with_shadow(head, self.now, &decided);
        decided
    }

    /// Refuses a request, and tells the access log of it.
    pub(super) fn reject_recorded(
        &mut self,
        denial: Denial,
        head: &RequestHead,
        arrived: UnixTime,
    ) -> Rejection {
        let record = self.record_refused(&denial, arrived);
        let mut rejection = self.reject(denial, head);
        rejection.states.extend(record);
        rejection
    }

    pub(super) fn reject(&mut self, denial: Denial, head: &RequestHead) -> Rejection {
        let manner = match &self.policy {
            Some(policy) => policy.manner(denial.provider, head),
            None => Manner { keys_unavailable_status: 503, ..Manner::default() },
        };
        let by = denial.provider;
        let rejection = denial.into_rejection(head, manner);
        let reason = rejection.reason;
        self.count(Counter::Denied);
        self.count(Counter::DeniedFor(reason));
        if let Some(provider) = by {
            self.count(Counter::DeniedBy(provider, reason));
        }
        if let Some(dropped) = self.log_limit.admit(self.now) {
            let mut line = format!("denied reason={} status={}", reason.code(), rejection.status);
            if dropped > 0 {
                line.push_str(&format!(" ({dropped} such lines were left out)"));
            }
            self.log(LogLevel::Info, line);
        }
        rejection
    }
}
