//! One fetch: which questions it asks, in which order, and how long it may take.

use std::time::Duration;

use crate::jwks::answer::FetchFailure;
use crate::jwks::board::Found;
use crate::jwks::schedule::{
    ANSWER_GRACE, DISCOVERY_FRESH, FAILURES_UNTIL_REDISCOVERY, FetchSettings,
};
use crate::jwks::source::{Address, Source};
use crate::time::UnixTime;

/// A question of a fetch.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Leg {
    /// For the issuer's metadata, in the document of this place.
    Metadata(usize),
    /// For the key set.
    Keys,
}

/// A question, and where to ask it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ask {
    /// The fetch that it belongs to; later ones have greater numbers.
    pub number: u64,
    /// Which question it is.
    pub leg: Leg,
    /// Where to ask it.
    pub address: Address,
    /// The entity tag of what is known: only changes are asked for.
    pub etag: Option<String>,
    /// Whether it is asked for the sake of a `kid` that is not in the set.
    pub for_kid: bool,
}

/// A fetch under way.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) number: u64,
    pub(super) leg: Leg,
    pub(super) began: UnixTime,
    /// When its answer counts as lost.
    pub(super) deadline: UnixTime,
    /// Whether it is for the sake of a `kid` that is not in the set.
    pub(super) for_kid: bool,
    /// The entity tag that was sent along.
    pub(super) etag: Option<String>,
    /// What went wrong so far.
    pub(super) trouble: Option<FetchFailure>,
}

impl Flight {
    /// The next fetch: straight for the keys, if it is known where they are.
    pub(super) fn plan(
        number: u64,
        source: &Source,
        found: Option<&Found>,
        failures: u32,
        settings: &FetchSettings,
        now: UnixTime,
    ) -> Self {
        let known = match (source, found) {
            (Source::At(_), _) => true,
            (Source::Discovered(_), Some(found)) => {
                now.since(found.at) < DISCOVERY_FRESH && failures < FAILURES_UNTIL_REDISCOVERY
            }
            (Source::Discovered(_), None) => false,
        };
        let (leg, before) = match source {
            Source::Discovered(discovery) if !known => {
                (Leg::Metadata(0), discovery.documents.len())
            }
            _ => (Leg::Keys, 0),
        };
        let questions = u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
        let time = settings.timeout.saturating_mul(questions);
        let deadline = now.after(time).after(ANSWER_GRACE);
        Self { number, leg, began: now, deadline, for_kid: false, etag: None, trouble: None }
    }

    /// The question to ask now.
    pub(super) fn ask(&self, source: &Source, found: Option<&Found>) -> Option<Ask> {
        let address = match (source, self.leg) {
            (Source::At(address), _) => address.clone(),
            (Source::Discovered(discovery), Leg::Metadata(index)) => {
                discovery.documents.get(index)?.clone()
            }
            (Source::Discovered(discovery), Leg::Keys) => discovery.address(&found?.uri).ok()?,
        };
        let (number, leg, for_kid) = (self.number, self.leg, self.for_kid);
        Some(Ask { number, leg, address, etag: self.etag.clone(), for_kid })
    }

    /// Moves all times back, after the clock did.
    pub(super) fn shift_back(&mut self, span: Duration) {
        for time in [&mut self.began, &mut self.deadline] {
            *time = time.before(span);
        }
    }
}
