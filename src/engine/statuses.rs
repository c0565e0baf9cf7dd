//! Lists of token states: kept fresh like keys, as long as tokens name them.

use std::rc::Rc;

use crate::engine::Engine;
use crate::engine::effect::{Counter, KeyEvent, LogLevel};
use crate::jwks::Keys;
use crate::jwks::answer::Cause;
use crate::jwks::key_store::{Changed, KeyStore};
use crate::policy::ProviderIndex;
use crate::policy::evaluate::Wanted;
use crate::policy::status::Standing;
use crate::revocation::status_list::StatusError;

impl Engine {
    /// What is known of tokens that are good no longer, for a policy whose first provider has this
    /// place.
    pub(super) fn standing(&self, first: ProviderIndex) -> Standing<'_> {
        Standing { logouts: &self.received.logouts, statuses: &self.statuses, first }
    }

    /// What is kept fresh at this place: keys, a list of revoked tokens, or one of states.
    pub(super) fn store(&self, place: usize) -> Option<&KeyStore> {
        match self.keys.get(place) {
            Some(keys) => keys.remote(),
            None => self.statuses.get(place).map(|kept| &kept.store),
        }
    }

    pub(super) fn store_mut(&mut self, place: usize) -> Option<&mut KeyStore> {
        match self.keys.get_mut(place) {
            Some(keys) => keys.remote_mut(),
            None => self.statuses.get_mut(place).map(|kept| &mut kept.store),
        }
    }

    /// Every place where something may be kept fresh.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.keys.len()).chain(self.statuses.places())
    }

    /// All that is kept fresh.
    pub(super) fn stores(&self) -> impl Iterator<Item = &KeyStore> {
        self.keys.iter().filter_map(Keys::remote).chain(self.statuses.stores())
    }

    /// Somebody waits for this.
    pub(super) fn want_one(&mut self, wanted: &Wanted) {
        let Some(uri) = &wanted.list else {
            if let Some(store) = self.store_mut(wanted.provider) {
                store.want();
            }
            return;
        };
        let Self { policy, statuses, now, .. } = self;
        let provider =
            policy.as_ref().and_then(|policy| policy.all_providers().nth(wanted.provider));
        statuses.want(wanted.provider, uri, provider, *now);
    }

    /// A list is at hand that does not count: a better one is asked for, as soon as the cooldown allows,
    /// and its key where that is what is lacking.
    pub(super) fn note_bad_list(&mut self, place: usize, cause: &'static str) {
        self.count(Counter::UnusableList(cause));
        let keys = self.statuses.get(place).map(|kept| kept.provider);
        let keys = keys.filter(|_| cause == StatusError::KeyUnknown.code());
        for place in keys.into_iter().chain([place]) {
            if let Some(store) = self.store_mut(place) {
                store.want();
            }
        }
        self.settle();
    }

    /// What a fetch of a list of states came to; true when it was one.
    pub(super) fn note_status(&mut self, place: usize, changed: &Changed) -> bool {
        let Some(kept) = self.statuses.get(place) else { return false };
        let provider = kept.provider;
        match changed {
            Changed::Failed(failure) => self.note_status_failure(place, &failure.cause),
            Changed::Renewed | Changed::Replaced => {
                self.count(Counter::Of(provider, KeyEvent::StatusFetched));
            }
            Changed::Misled(_) | Changed::Nothing | Changed::Outlook => {}
        }
        true
    }

    /// One line at the beginning of a failure, as for keys; the address is the issuer's, and no secret.
    pub(super) fn note_status_failure(&mut self, place: usize, cause: &Cause) {
        let Some(kept) = self.statuses.get(place) else { return };
        let (provider, failures) = (kept.provider, kept.store.failures());
        self.count(Counter::Of(provider, KeyEvent::StatusFailed));
        self.count(Counter::Of(provider, KeyEvent::StatusFailedFor(cause.code())));
        if failures.is_power_of_two() {
            let name = self.provider_name(provider);
            let line = format!(
                "provider `{name}`: a status list could not be fetched ({failures} in a row): {cause}"
            );
            self.log(LogLevel::Warn, line);
        }
    }

    /// Decides again about those who wait for what is kept here.
    pub(super) fn reconsider_for(&mut self, place: usize) {
        match self.statuses.get(place).map(|kept| (kept.provider, Rc::clone(&kept.uri))) {
            Some((provider, uri)) => self.reconsider(&|waiting| {
                waiting
                    .wanted
                    .iter()
                    .any(|wanted| wanted.provider == provider && wanted.list.as_ref() == Some(&uri))
            }),
            None => self.reconsider(&|waiting| waiting.is_for(place)),
        }
    }
}
