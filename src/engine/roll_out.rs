//! What changes nothing for clients: refusals that are only reported, and a candidate configuration
//! that is asked beside the one that decides.

use crate::denial::Denial;
use crate::engine::effect::{Counter, LogLevel};
use crate::engine::{Decided, Engine};
use crate::policy::check::Budget;
use crate::policy::evaluate::{Evaluation, Patience, Verdict, Wanted};
use crate::request::RequestHead;
use crate::time::UnixTime;

impl Engine {
    /// Reports a refusal that does not take place.
    pub(super) fn report(&mut self, denial: &Denial) {
        let code = denial.reason.code();
        self.count(Counter::ReportOnly);
        self.count(Counter::ReportOnlyFor(denial.reason));
        self.log_in_limits(format!("report_only: would be denied reason={code}"));
    }

    /// Asks the candidate as well, and counts what it would do otherwise. It waits for nothing.
    pub(super) fn consult_shadow(
        &mut self,
        head: &RequestHead,
        arrived: UnixTime,
        decided: &Decided,
    ) {
        let Some(policy) = &self.policy else { return };
        let Some(shadow) = policy.shadow.as_deref() else { return };
        let first = policy.providers.len();
        let verdict = Evaluation {
            policy: shadow,
            keys: self.keys.get(first..).unwrap_or_default(),
            head,
            arrived,
            now: self.now,
            patience: Patience::Left,
            budget: &Budget::default(),
            standing: self.standing(first),
            verified: self.verified.get(first..).unwrap_or_default(),
        }
        .decide();
        let counter = match (decided, verdict) {
            (Decided::MustWait(_), _) => return,
            (_, Verdict::Wait(wanted)) => {
                let place =
                    |one: Wanted| Wanted { provider: one.provider.saturating_add(first), ..one };
                let wanted: Vec<_> = wanted.into_iter().map(place).collect();
                self.want(&wanted);
                self.drive();
                Counter::ShadowUndecided
            }
            (Decided::Allowed(edits), Verdict::Allow(permit) | Verdict::Report { permit, .. }) => {
                match *edits == permit.into_edits() {
                    true => Counter::ShadowSame,
                    false => Counter::ShadowOtherChanges,
                }
            }
            (Decided::Allowed(_), Verdict::Deny(denial)) => Counter::ShadowDeniesFor(denial.reason),
            (Decided::Denied(live), Verdict::Deny(denial)) if live.reason == denial.reason => {
                Counter::ShadowSame
            }
            (Decided::Denied(_), Verdict::Deny(denial)) => {
                Counter::ShadowOtherReasonFor(denial.reason)
            }
            (Decided::Denied(live), Verdict::Allow(_) | Verdict::Report { .. }) => {
                Counter::ShadowAllowsFor(live.reason)
            }
        };
        self.count(counter);
        if !matches!(counter, Counter::ShadowSame | Counter::ShadowUndecided) {
            self.log_in_limits(format!("differs: {}", counter.name()));
        }
    }

    pub(super) fn log_in_limits(&mut self, mut line: String) {
        let Some(dropped) = self.roll_out_log.admit(self.now) else { return };
        if dropped > 0 {
            line.push_str(&format!(" ({dropped} such lines were left out)"));
        }
        self.log(LogLevel::Info, line);
    }
}
