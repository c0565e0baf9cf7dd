//! Requests that may pass once what they use up is written down: the very last step, after which
//! nothing can refuse them.
//!
//! The engine never calls the host: it hands out a [`Spending`], whose uses the host writes down, and
//! is told when that is done. What could not be written down counts as a bad token then, and the
//! request is decided about once more, so that alternatives and lenient requirements mean what they
//! always mean.

use std::rc::Rc;

use crate::denial::{Denial, Misuse, Reason};
use crate::engine::effect::Decision;
use crate::engine::{Engine, RETRY_WHEN_CROWDED};
use crate::policy::check::Budget;
use crate::policy::evaluate::{Patience, Permit, Verdict};
use crate::request::RequestHead;
use crate::single_use::{Kind, Mark, Memory, NotUsed, SharedData, Use};
use crate::time::UnixTime;

/// A request that may pass when its uses are written down.
#[derive(Debug, Eq, PartialEq)]
pub struct Spending {
    head: RequestHead,
    arrived: UnixTime,
    permit: Permit,
    memory: Rc<Memory>,
    /// Written down for this very request.
    spent: Vec<Mark>,
    /// What cannot be used, and why.
    refused: Vec<(Mark, Reason)>,
    /// What may still be spent on the request, however often it is decided about.
    budget: Budget,
}

impl Spending {
    /// Writes down what the request uses up, up to the first that cannot be.
    pub fn carry_out<S: SharedData>(&mut self, now: UnixTime, shared: &mut S) {
        while let Some(one) = self.left().copied() {
            match self.memory.spend(&one, now, shared) {
                Ok(()) => self.spent.push(one.mark),
                Err(why) => {
                    self.refused.push((one.mark, reason(one.kind, why)));
                    return;
                }
            }
        }
    }

    fn left(&self) -> Option<&Use> {
        self.permit.uses().iter().find(|one| !self.spent.contains(&one.mark))
    }
}

fn reason(kind: Kind, why: NotUsed) -> Reason {
    match (why, kind) {
        (NotUsed::Again, Kind::Proof) => Reason::Misused(Misuse::ProofReplayed),
        (NotUsed::Again, Kind::Token) => Reason::Misused(Misuse::Replayed),
        (NotUsed::Full, _) => Reason::Misused(Misuse::MemoryFull),
        (NotUsed::Failed, _) => Reason::HostFailed,
    }
}

impl Engine {
    /// A request whose uses are to be written down.
    pub(super) fn spending(
        &self,
        head: RequestHead,
        arrived: UnixTime,
        permit: Permit,
        budget: Budget,
    ) -> Box<Spending> {
        let memory = self.policy.as_ref().map(|policy| Rc::clone(&policy.replay_memory));
        // Without a policy nobody has a permit.
        let memory = memory.unwrap_or_else(|| Rc::new(Memory::new(0, "")));
        let (spent, refused) = (Vec::new(), Vec::new());
        Box::new(Spending { head, arrived, permit, memory, spent, refused, budget })
    }

    /// The host did with these uses what it could: what becomes of the request.
    pub fn handle_spent(&mut self, mut spending: Box<Spending>) -> Decision {
        let mut reported = None;
        if let Some(left) = spending.left().map(|one| one.mark) {
            if spending.refused.iter().all(|(mark, _)| *mark != left) {
                // The host did nothing at all.
                spending.refused.push((left, Reason::HostFailed));
            }
            let Spending { head, arrived, refused, budget, .. } = &*spending;
            // Nobody waits once more, but keys that an alternative needs are looked for.
            match self.evaluate(head, *arrived, Patience::Scarce, refused, budget) {
                Verdict::Allow(permit) => {
                    spending.permit = permit;
                    // Never what was refused: each round leaves less to be spent.
                    if spending.left().is_some() {
                        return Decision::Spend(spending);
                    }
                }
                Verdict::Report { permit, denial, .. } => {
                    self.report(&denial);
                    reported = Some(denial);
                    spending.permit = permit;
                }
                Verdict::Deny(denial) => return self.refuse(&spending, denial),
                Verdict::Wait(wanted) => {
                    self.want_unattended(wanted, *arrived);
                    let retry_after = Some(RETRY_WHEN_CROWDED);
                    let denial = Denial { retry_after, ..Reason::KeysUnavailable.into() };
                    return self.refuse(&spending, denial);
                }
            }
        }
        let Spending { head, arrived, permit, refused, .. } = *spending;
        let (mut edits, vouched) = permit.into_parts();
        let live = reported.as_ref().map_or(Ok(&edits), |denial| Err(denial.reason));
        self.consult_shadow(&head, arrived, live, &refused);
        edits.extend(match &reported {
            Some(denial) => self.record_reported(denial, arrived),
            None => self.record_passed(vouched, arrived),
        });
        Decision::Forward(edits)
    }

    fn refuse(&mut self, spending: &Spending, denial: Denial) -> Decision {
        let Spending { head, arrived, refused, .. } = spending;
        let rejection = self.reject_recorded(denial, head, *arrived);
        self.consult_shadow(head, *arrived, Err(rejection.reason), refused);
        Decision::Reject(rejection)
    }
}
