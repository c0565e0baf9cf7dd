//! What changes nothing for clients: refusals that are only reported, and a candidate configuration
//! that is asked beside the one that decides.

use crate::denial::{Denial, Reason};
use crate::engine::Engine;
use crate::engine::deciding::Decided;
use crate::engine::effect::{Counter, LogLevel};
use crate::jwks::Keys;
use crate::policy::ProviderIndex;
use crate::policy::check::Budget;
use crate::policy::evaluate::{Evaluation, Patience, Verdict, Wanted};
use crate::request::{RequestEdits, RequestHead};
use crate::single_use::Mark;
use crate::time::UnixTime;

/// Most keys that are looked for without anybody who waits: as many as are remembered as absent.
const MAX_UNATTENDED: usize = 512;

impl Engine {
    /// What the last decision looked at, step by step, for tools.
    #[cfg(feature = "trace")]
    pub fn notes(&self) -> Vec<crate::policy::trace::Note> {
        self.policy.as_ref().map(|policy| policy.notes.borrow().clone()).unwrap_or_default()
    }

    /// Reports a refusal that does not take place.
    pub(super) fn report(&mut self, denial: &Denial) {
        let code = denial.reason.code();
        self.count(Counter::ReportOnly);
        self.count(Counter::ReportOnlyFor(denial.reason));
        self.log_in_limits(format!("report_only: would be denied reason={code}"));
    }

    /// Asks the candidate about what is decided; about a request that waits or has something to spend,
    /// when it is.
    pub(super) fn settle_with_shadow(
        &mut self,
        head: &RequestHead,
        arrived: UnixTime,
        decided: &Decided,
    ) {
        let decided = match decided {
            Decided::Allowed { reported: Some(reason), .. } => Err(*reason),
            Decided::Allowed { edits, .. } => Ok(edits),
            Decided::Denied(rejection) => Err(rejection.reason),
            Decided::MustSpend(..) | Decided::MustWait(_) => return,
        };
        self.consult_shadow(head, arrived, decided, &[]);
    }

    /// Asks the candidate as well, and counts what it would do otherwise. It waits for nothing, and
    /// spends nothing: what could not be spent (`refused`), it could not spend either. What is only
    /// reported counts as refused, on both sides: modes are no matter of who should get in.
    pub(super) fn consult_shadow(
        &mut self,
        head: &RequestHead,
        arrived: UnixTime,
        live: Result<&RequestEdits, Reason>,
        refused: &[(Mark, Reason)],
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
            // What was looked for in vain is not there.
            patience: Patience::Scarce,
            budget: &Budget::default(),
            standing: self.standing(first),
            verified: self.verified.get(first..).unwrap_or_default(),
            refused,
        }
        .decide();
        let (shadow, wanted) = match verdict {
            Verdict::Allow(permit) => (Ok(permit.into_parts().0), Vec::new()),
            Verdict::Deny(denial) => (Err(denial.reason), Vec::new()),
            Verdict::Report { denial, wanted, .. } => (Err(denial.reason), wanted),
            Verdict::Wait(wanted) => (Err(Reason::KeysUnavailable), wanted),
        };
        let counter = match (live, shadow) {
            _ if !wanted.is_empty() => Counter::ShadowUndecided,
            (Ok(live), Ok(edits)) if *live == edits => Counter::ShadowSame,
            (Ok(_), Ok(_)) => Counter::ShadowOtherChanges,
            (Ok(_), Err(reason)) => Counter::ShadowDeniesFor(reason),
            (Err(reason), Ok(_)) => Counter::ShadowAllowsFor(reason),
            (Err(live), Err(reason)) if live == reason => Counter::ShadowSame,
            (Err(_), Err(reason)) => Counter::ShadowOtherReasonFor(reason),
        };
        let place = |one: Wanted| Wanted { provider: one.provider.saturating_add(first), ..one };
        self.want_unattended(wanted.into_iter().map(place).collect(), arrived);
        self.count(counter);
        if !matches!(counter, Counter::ShadowSame | Counter::ShadowUndecided) {
            self.log_in_limits(format!("differs: {}", counter.name()));
        }
    }

    /// Has keys looked for, for a request that does not wait for them.
    pub(super) fn want_unattended(&mut self, wanted: Vec<Wanted>, arrived: UnixTime) {
        if wanted.is_empty() {
            return;
        }
        self.want(&wanted);
        for one in wanted.into_iter().filter(|one| one.kid.is_some()) {
            if self.unattended.len() < MAX_UNATTENDED && !self.unattended.contains_key(&one) {
                self.unattended.insert(one, arrived);
            }
        }
        self.drive();
    }

    /// A fetch of this provider is over: whichever of the keys did not come is not there.
    pub(super) fn settle_unattended(&mut self, provider: ProviderIndex) {
        let store = self.keys.get_mut(provider).and_then(Keys::remote_mut);
        let Some(store) = store else { return };
        let now = self.now;
        self.unattended.retain(|wanted, arrived| {
            if wanted.provider == provider
                && let Some(kid) = &wanted.kid
            {
                store.remember_if_absent(kid, *arrived, now);
            }
            wanted.provider != provider
        });
    }

    pub(super) fn log_in_limits(&mut self, mut line: String) {
        let Some(dropped) = self.roll_out_log.admit(self.now) else { return };
        if dropped > 0 {
            line.push_str(&format!(" ({dropped} such lines were left out)"));
        }
        self.log(LogLevel::Info, line);
    }
}
