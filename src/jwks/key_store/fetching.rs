//! How the store asks an issuer, and what it makes of the answers.

use super::{Changed, KeyStore, Phase, Step};
use crate::jwks::answer::{Cause, FetchFailure, Fetched};
use crate::jwks::board::{Found, SharedKeys};
use crate::jwks::flight::{Flight, Leg};
use crate::jwks::held::Held;
use crate::jwks::schedule::{
    MAX_BACK_OFF_WITHOUT_KEYS, MAX_RETRY_AFTER, WARM_UP, WARM_UP_RETRY, variety,
};
use crate::jwks::source::Source;
use crate::time::UnixTime;
use std::time::Duration;

impl KeyStore {
    /// Takes the answer to a part of a fetch.
    pub fn answer(
        &mut self,
        number: u64,
        leg: Leg,
        answer: Result<Fetched<'_>, FetchFailure>,
        now: UnixTime,
    ) -> Changed {
        let began = match &self.phase {
            Phase::InFlight(flight) if flight.number == number => {
                if flight.leg != leg {
                    return Changed::Nothing;
                }
                Some(flight.began)
            }
            _ => None,
        };
        let same_tag = match &self.phase {
            Phase::InFlight(flight) => {
                let held = self.held.as_ref().and_then(|held| held.etag.as_ref());
                began.is_some() && held.is_some() && flight.etag.as_ref() == held
            }
            _ => false,
        };
        if self.held.as_ref().is_some_and(|held| number <= held.number) {
            return Changed::Nothing;
        }
        match (leg, began) {
            (Leg::Metadata(_), None) => Changed::Nothing,
            (Leg::Metadata(index), Some(_)) => self.take_metadata(number, index, answer, now),
            (Leg::Keys, began) => match answer.and_then(|fetched| {
                // A late answer to a fetch that was given up is good news, but it says nothing of
                // the time after it was asked; counting it as old as the first fetch is safe.
                let began = began.or(self.first_began).unwrap_or(now);
                self.take_keys(number, began, fetched, same_tag, now)
            }) {
                Ok((changed, keys)) => {
                    if began.is_some() {
                        self.phase = Phase::Idle;
                    }
                    // Also late: unless somebody has gone on since, these are the newest.
                    self.tell(number, Some(keys));
                    changed
                }
                Err(failure) if began.is_some() => {
                    self.fail(number, &failure, now);
                    Changed::Failed(failure)
                }
                Err(_) => Changed::Nothing,
            },
        }
    }

    /// Gives up a fetch whose answer is overdue; true when there was one.
    pub fn expire(&mut self, now: UnixTime) -> bool {
        match &self.phase {
            Phase::InFlight(flight) if now >= flight.deadline => {
                let number = flight.number;
                self.fail(number, &Cause::NoAnswer.into(), now);
                true
            }
            _ => false,
        }
    }

    pub(super) fn flight(&self, now: UnixTime) -> Flight {
        let number = self.last_number.saturating_add(1);
        let known = self.found.as_ref();
        let plan = Flight::plan(number, &self.source, known, self.failures, &self.settings, now);
        Flight { for_kid: now < self.due_anyway(), ..plan }
    }

    /// The fetch is this store's: begin it.
    pub(super) fn take_off(&mut self, flight: Flight) {
        self.last_number = flight.number;
        self.last_began = Some(flight.began);
        if let Some(others) = &mut self.others {
            others.until = None;
        }
        self.ask(flight);
    }

    fn ask(&mut self, flight: Flight) {
        let found = self.found.as_ref().map(|found| &found.uri);
        // A tag belongs to the address that gave it.
        let held = self.held.as_ref().filter(|held| {
            flight.leg == Leg::Keys && held.found.as_ref().map(|found| &found.uri) == found
        });
        let flight = Flight { etag: held.and_then(|held| held.etag.clone()), ..flight };
        let number = flight.number;
        match flight.ask(&self.source, self.found.as_ref()) {
            Some(ask) => {
                self.steps.push_back(Step::Fetch(ask));
                self.phase = Phase::InFlight(flight);
            }
            // Not reached: what was found led to an address when it was found.
            None => self.fail(number, &Cause::Dispatch.into(), flight.began),
        }
    }

    fn take_metadata(
        &mut self,
        number: u64,
        index: usize,
        answer: Result<Fetched<'_>, FetchFailure>,
        now: UnixTime,
    ) -> Changed {
        let found = answer.and_then(|fetched| match (&self.source, fetched.body) {
            (Source::Discovered(discovery), Some(text)) => {
                discovery.read(text).map_err(|error| Cause::Metadata(error).into())
            }
            _ => Err(Cause::Status(304).into()),
        });
        let Phase::InFlight(flight) = std::mem::replace(&mut self.phase, Phase::Idle) else {
            return Changed::Nothing;
        };
        let failure = match found {
            Ok(uri) => {
                self.found = Some(Found { uri, at: now });
                self.ask(Flight { leg: Leg::Keys, ..flight });
                return Changed::Nothing;
            }
            Err(failure) => match flight.trouble.clone() {
                Some(before) => before.or_later(failure),
                None => failure,
            },
        };
        let flight = Flight { trouble: Some(failure.clone()), ..flight };
        let next = index.saturating_add(1);
        if self.source.has_document(next) && failure.retry_after.is_none() {
            self.ask(Flight { leg: Leg::Metadata(next), ..flight });
            Changed::Nothing
        } else if self.found.is_some() {
            // Where the keys were is the best guess.
            self.ask(Flight { leg: Leg::Keys, ..flight });
            Changed::Misled(failure)
        } else {
            self.fail(number, &failure, now);
            Changed::Failed(failure)
        }
    }

    fn take_keys(
        &mut self,
        number: u64,
        began: UnixTime,
        fetched: Fetched<'_>,
        same_tag: bool,
        now: UnixTime,
    ) -> Result<(Changed, SharedKeys), FetchFailure> {
        let held = self.held.as_ref();
        let (text, etag) = match (fetched.body, held.filter(|_| same_tag)) {
            (Some(body), _) => match str::from_utf8(body) {
                Ok(text) => (text.to_owned(), fetched.etag),
                Err(_) => return Err(self.kind.not_text().into()),
            },
            (None, Some(held)) => (held.text.clone(), fetched.etag.or_else(|| held.etag.clone())),
            // "Not modified" to somebody who did not ask that, or about another set.
            (None, None) => return Err(Cause::Status(304).into()),
        };
        let generation = match held {
            Some(held) if held.text == text => held.generation,
            _ => number,
        };
        let found = self.found.clone();
        let max_age = fetched.max_age;
        let keys =
            SharedKeys { number, generation, began, fetched: now, max_age, etag, found, text };
        let changed = self.hold(keys.clone(), now)?;
        Ok((changed, keys))
    }

    /// Holds a set from now on.
    pub(super) fn hold(
        &mut self,
        keys: SharedKeys,
        now: UnixTime,
    ) -> Result<Changed, FetchFailure> {
        let before = self.held.as_ref();
        let held = Held::new(self.kind, keys, before, &self.settings, &self.table_memory, now)?;
        let same = before.is_some_and(|before| before.generation == held.generation);
        let found = held.found.clone().filter(|found| self.source.leads_to(&found.uri));
        self.found = found.or(self.found.take());
        self.last_number = self.last_number.max(held.number);
        self.last_began = self.last_began.max(Some(held.began));
        self.held = Some(held);
        self.failures = 0;
        self.retry = None;
        self.not_before = UnixTime::default();
        self.wanted = false;
        Ok(if same { Changed::Renewed } else { Changed::Replaced })
    }

    fn fail(&mut self, number: u64, failure: &FetchFailure, now: UnixTime) {
        self.failures = self.failures.saturating_add(1);
        self.failed = now;
        self.retry = Some(now.after(self.back_off(now)));
        self.not_before = match failure.retry_after {
            Some(asked) => now.after(asked.min(MAX_RETRY_AFTER)),
            None => UnixTime::default(),
        };
        self.wanted = false;
        self.phase = Phase::Idle;
        self.tell(number, None);
    }

    fn back_off(&self, now: UnixTime) -> Duration {
        let warming_up =
            self.held.is_none() && self.first_began.is_some_and(|began| now.since(began) < WARM_UP);
        if warming_up {
            return WARM_UP_RETRY;
        }
        let longest = match &self.held {
            Some(held) if self.usable(held, now) => self.settings.longest_back_off,
            _ => self.settings.longest_back_off.min(MAX_BACK_OFF_WITHOUT_KEYS),
        };
        self.settings.back_off(self.failures, longest, variety(now, self.last_number))
    }
}
