//! The requests that wait for keys, and how many may.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::effect::StreamId;
use crate::policy::ProviderIndex;
use crate::policy::evaluate::Wanted;
use crate::request::RequestHead;
use crate::time::UnixTime;

/// Most requests that wait for keys at once, in one worker. Each holds its request head, at most
/// 60 KiB by Envoy's default limit, commonly 2 KiB.
pub const MAX_WAITING: usize = 1024;
/// Most of them that wait for the keys of one provider: one issuer that is down must not take the
/// room of the others.
pub const MAX_WAITING_FOR_PROVIDER: usize = MAX_WAITING / 2;
/// While fewer wait, one more may wait for a `kid` that was just looked for in vain: its token may
/// be good, and its key published this very second.
const AMPLE_ROOM: usize = MAX_WAITING / 4;
/// Most different `kid`s of one provider that requests wait for. A rotation brings one or two; a
/// flood of invented ones must not take the room of others.
pub const MAX_KIDS_WAITED_FOR: usize = 64;

/// A request that waits.
pub(super) struct Waiting {
    pub(super) head: RequestHead,
    pub(super) arrived: UnixTime,
    pub(super) deadline: UnixTime,
    pub(super) wanted: Vec<Wanted>,
}

impl Waiting {
    /// Whether it waits for keys of this provider.
    pub(super) fn is_for(&self, provider: ProviderIndex) -> bool {
        self.wanted.iter().any(|wanted| wanted.provider == provider)
    }
}

/// All requests that wait.
#[derive(Default)]
pub(super) struct WaitingRoom(BTreeMap<StreamId, Waiting>);

impl WaitingRoom {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether few wait.
    pub(super) fn is_ample(&self) -> bool {
        self.0.len() < AMPLE_ROOM
    }

    /// Whether one more may wait for these keys.
    pub(super) fn has_room_for(&self, wanted: &[Wanted]) -> bool {
        let few_kids = |wanted: &Wanted| {
            let Some(kid) = &wanted.kid else { return true };
            let others = self.0.values().flat_map(|waiting| &waiting.wanted);
            let mut kids = BTreeSet::new();
            kids.extend(
                others
                    .filter(|other| other.provider == wanted.provider)
                    .filter_map(|other| other.kid.as_ref()),
            );
            kids.len() < MAX_KIDS_WAITED_FOR || kids.contains(kid)
        };
        let few_requests = |wanted: &Wanted| {
            let others = self.0.values().filter(|waiting| waiting.is_for(wanted.provider));
            others.count() < MAX_WAITING_FOR_PROVIDER
        };
        self.0.len() < MAX_WAITING && wanted.iter().all(|one| few_requests(one) && few_kids(one))
    }

    /// Lets a request wait.
    pub(super) fn insert(&mut self, stream: StreamId, waiting: Waiting) {
        self.0.insert(stream, waiting);
    }

    /// Takes a request out.
    pub(super) fn remove(&mut self, stream: StreamId) -> Option<Waiting> {
        self.0.remove(&stream)
    }

    /// The requests that `concerned` picks.
    pub(super) fn select(&self, concerned: impl Fn(&Waiting) -> bool) -> Vec<StreamId> {
        let picked = self.0.iter().filter(|(_, waiting)| concerned(waiting));
        picked.map(|(stream, _)| *stream).collect()
    }

    /// When the first of them has waited long enough.
    pub(super) fn next_deadline(&self) -> Option<UnixTime> {
        self.0.values().map(|waiting| waiting.deadline).min()
    }

    /// Moves all times back, after the clock did.
    pub(super) fn shift_back(&mut self, span: Duration) {
        for waiting in self.0.values_mut() {
            waiting.arrived = waiting.arrived.before(span);
            waiting.deadline = waiting.deadline.before(span);
        }
    }
}
