//! Logouts that arrive here: what becomes of them, and how the workers of one Envoy tell each other.
//!
//! The entry in the shared data only ever grows until its parts expire: a worker that finds there less
//! than it knows writes both together, by compare-and-swap. Nothing that is read takes anything away.

use std::time::Duration;

use crate::denial::Reason;
use crate::engine::effect::{Counter, Effect, LogLevel, StreamId};
use crate::engine::{Decision, Engine};
use crate::jwks::key_store::{NotShared, Seen};
use crate::jwks::schedule::{LOOK, LOOK_WHILE_WAITING};
use crate::policy::Served;
use crate::policy::logout::{NoLogout, logout_answer};
use crate::request::RequestHead;
use crate::revocation::logouts::Logouts;
use crate::time::UnixTime;

/// The place of logouts among what is shared; nothing else has it.
pub(super) const LOGOUTS: usize = usize::MAX;
/// Most bodies that are read at once.
const MAX_RECEIVING: usize = 64;
/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What this worker knows of logouts.
#[derive(Default)]
pub(super) struct Received {
    pub(super) logouts: Logouts,
    /// Requests whose bodies are being read, and until when.
    receiving: Vec<(StreamId, UnixTime)>,
    /// When to look at the shared entry next.
    look: UnixTime,
    is_busy: bool,
    is_alone: bool,
    /// What was found there last, if nothing is to be told since.
    seen: Option<Seen>,
}

impl Received {
    pub(super) fn shift_back(&mut self, span: Duration) {
        self.look = self.look.before(span);
        self.logouts.shift_back(span);
        self.receiving.iter_mut().for_each(|(_, until)| *until = until.before(span));
    }
}

impl Engine {
    /// What the gate answers itself, whoever asks, and what it reads.
    pub(super) fn decide_itself(
        &mut self,
        stream: StreamId,
        head: &RequestHead,
    ) -> Option<Decision> {
        let policy = self.policy.as_ref()?;
        let served = match policy.serve(head) {
            Some(served) => Some(served),
            None => policy.receives(head)?.err(),
        };
        if let Some(served) = served {
            self.count(Counter::Served);
            return Some(Decision::Serve(served));
        }
        if self.received.receiving.len() >= MAX_RECEIVING {
            return Some(Decision::Reject(self.reject(Reason::TooManyWaiting.into(), head)));
        }
        self.received.receiving.push((stream, self.now.after(PATIENCE)));
        Some(Decision::Receive)
    }

    /// The body of such a request; none: it is longer than any honest one.
    pub fn handle_body(&mut self, stream: StreamId, body: Option<&[u8]>, now: UnixTime) -> Served {
        self.advance(now);
        self.received.receiving.retain(|(own, _)| *own != stream);
        let outcome = self.take_logout(body.unwrap_or_default());
        match &outcome {
            Ok(()) => self.count(Counter::Logout),
            Err(error) => {
                self.count(Counter::LogoutRefusedFor(error.code()));
                self.log_in_limits(format!("a logout was refused: {}", error.code()));
                if let NoLogout::Unknown(Some(wanted)) = error {
                    self.want(std::slice::from_ref(wanted));
                }
            }
        }
        self.drive();
        logout_answer(outcome.as_ref().copied())
    }

    fn take_logout(&mut self, body: &[u8]) -> Result<(), NoLogout> {
        let Some((policy, receiver)) =
            self.policy.as_ref().and_then(|policy| Some((policy, policy.logout()?)))
        else {
            return Err(NoLogout::Form);
        };
        let (who, when) = receiver.read(policy, body, &self.keys, self.now)?;
        // Others are to know at once.
        self.received.look = UnixTime::default();
        self.received.seen = None;
        for who in who {
            self.received.logouts.insert(who, when).map_err(|_| NoLogout::Unknown(None))?;
        }
        Ok(())
    }

    pub(super) fn give_up_receiving(&mut self, stream: StreamId) {
        self.received.receiving.retain(|(own, _)| *own != stream);
    }

    /// Ends requests whose bodies do not come, and forgets what is over.
    pub(super) fn tend_logouts(&mut self) {
        let now = self.now;
        self.received.logouts.expire(now);
        let is_late = |(_, until): &(StreamId, UnixTime)| now >= *until;
        let late: Vec<_> = self.received.receiving.iter().copied().filter(is_late).collect();
        self.received.receiving.retain(|one| !is_late(one));
        for (stream, _) in late {
            let line = "the body of a logout did not come: does the filter's configuration set \
                        `allow_on_headers_stop_iteration`?";
            self.log(LogLevel::Error, line.to_owned());
            let rejection = self.reject(Reason::HostFailed.into(), &RequestHead::default());
            self.effects.push_back(Effect::Reject(stream, rejection));
        }
    }

    /// When logouts want something next.
    pub(super) fn logouts_due(&self) -> Option<UnixTime> {
        let look = self.logout_entry().map(|_| self.received.look);
        self.received.receiving.iter().map(|(_, until)| *until).chain(look).min()
    }

    /// The name of the shared entry, where there is one.
    fn logout_entry(&self) -> Option<&String> {
        let receiver = self.policy.as_ref()?.logout()?;
        receiver.shared_as.as_ref().filter(|_| !self.received.is_alone)
    }

    pub(super) fn drive_logouts(&mut self) {
        if self.received.is_busy || self.now < self.received.look {
            return;
        }
        let Some(entry) = self.logout_entry().cloned() else { return };
        self.received.is_busy = true;
        self.effects.push_back(Effect::Look { provider: LOGOUTS, entry });
    }

    pub(super) fn logouts_noticed(&mut self, found: Result<(Option<&[u8]>, Seen), NotShared>) {
        let now = self.now;
        self.received.is_busy = false;
        self.received.look = now.after(LOOK);
        let Some(entry) = self.logout_entry().cloned() else { return };
        let Ok((text, seen)) = found else {
            self.received.is_alone = true;
            return;
        };
        if self.received.seen.replace(seen) == Some(seen) {
            return;
        }
        let receiver = self.policy.as_ref().and_then(|policy| policy.logout());
        let longest = receiver.map_or(0, |receiver| receiver.remember_for.as_secs());
        let others = Logouts::decode(text.unwrap_or_default(), now, longest);
        if self.received.logouts.join(&others) {
            self.received.is_busy = true;
            let text = self.received.logouts.encode();
            self.effects.push_back(Effect::Post { provider: LOGOUTS, entry, text, seen });
        }
    }

    pub(super) fn logouts_posted(&mut self, written: bool) {
        self.received.is_busy = false;
        if !written {
            // Somebody was faster: what they wrote is to be joined, soon, but not in this turn.
            self.received.seen = None;
            self.received.look = self.now.after(LOOK_WHILE_WAITING);
        }
    }
}
