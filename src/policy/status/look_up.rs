//! What becomes of a token by the list that it names.

use std::rc::Rc;
use std::time::Duration;

use super::{DEFAULT_LISTS, IN_USE, Reference, StatusLists};
use crate::config::revocation::WhenUnavailable;
use crate::denial::{Denial, Reason};
use crate::jose::jwk::KeyIssuers;
use crate::jose::jws::{Parts, UnverifiedJws};
use crate::jwks::content::Content;
use crate::jwks::key_set::KeySet;
use crate::jwks::{KeyState, UnknownKid};
use crate::policy::check::is_media_type;
use crate::policy::evaluate::{Evaluation, Patience, Wanted};
use crate::policy::known_token::KnownToken;
use crate::policy::{Provider, ProviderIndex};
use crate::revocation::deny_list::MAX_LIST_OCTETS;
use crate::revocation::status_list::{Status, StatusError, StatusList};
use crate::revocation::status_token::{SignedList, StatusToken};
use crate::time::UnixTime;

/// What looking up a state comes to.
enum LookUp {
    Status(Option<Status>),
    Unavailable(Duration),
    Wait(Wanted),
}

impl Evaluation<'_> {
    /// Refuses a verified token whose state is not good, or of which nobody knows; returns what has to
    /// be waited for.
    pub(in crate::policy) fn check_status(
        self,
        index: ProviderIndex,
        provider: &Provider,
        known: &KnownToken,
    ) -> Result<Option<Wanted>, Denial> {
        let Some(lists) = &provider.status_lists else { return Ok(None) };
        let reference = match Reference::of(known.facts.get("status")) {
            Some(reference) => reference?,
            None if lists.wire.required => return Err(Reason::ClaimMissing.into()),
            None => return Ok(None),
        };
        if lists.address(reference.uri).is_none() {
            return Err(Reason::StatusUnacceptable.into());
        }
        // Whose the list must be only matters where keys are bound to issuers.
        let is_bound = provider.issuers.of_keys() == KeyIssuers::Bind;
        let iss = known.claims.iss.as_deref().filter(|_| is_bound);
        let retry_after = match self.look_up(index, provider, lists, &reference, iss) {
            LookUp::Status(Some(Status::Valid)) => return Ok(None),
            LookUp::Status(Some(Status::Invalid)) => return Err(Reason::TokenRevoked.into()),
            LookUp::Status(Some(Status::Suspended)) => return Err(Reason::TokenSuspended.into()),
            LookUp::Status(Some(Status::Other(_)) | None) => {
                return Err(Reason::StatusUnacceptable.into());
            }
            LookUp::Wait(wanted) if self.patience != Patience::Exhausted => {
                return Ok(Some(wanted));
            }
            LookUp::Wait(_) => Duration::ZERO,
            LookUp::Unavailable(retry_after) => retry_after,
        };
        match lists.wire.when_unavailable {
            WhenUnavailable::Allow => {
                self.budget.note_uncompared();
                Ok(None)
            }
            WhenUnavailable::Deny => {
                let retry_after = Some(retry_after);
                Err(Denial { retry_after, ..Reason::RevocationUnavailable.into() })
            }
        }
    }

    fn look_up(
        self,
        index: ProviderIndex,
        provider: &Provider,
        lists: &StatusLists,
        reference: &Reference<'_>,
        iss: Option<&str>,
    ) -> LookUp {
        let place = self.standing.first.saturating_add(index);
        let most = lists.wire.max_lists.unwrap_or(DEFAULT_LISTS);
        let wait = || {
            let list = Some(Rc::from(reference.uri));
            LookUp::Wait(Wanted { provider: index, kid: None, list })
        };
        let Some(kept) = self.standing.statuses.find(place, reference.uri) else {
            let room = self.standing.statuses.has_room(place, most, self.now);
            return if room { wait() } else { LookUp::Unavailable(IN_USE) };
        };
        kept.used.set(self.now);
        let too_old = match kept.store.status_token(self.now) {
            KeyState::Ready(_) => None,
            KeyState::Pending => Some(wait()),
            KeyState::Unavailable { retry_after } => Some(LookUp::Unavailable(retry_after)),
        };
        let Some(token) = kept.store.content().and_then(Content::status_token) else {
            return too_old.unwrap_or_else(wait);
        };
        let keys = self.keys.get(index);
        let set = keys.map(|keys| (keys.state(self.now), keys.generation()));
        let Some((KeyState::Ready(set), generation)) = set else {
            return LookUp::Unavailable(Duration::ZERO);
        };
        let (uri, most) = (reference.uri, lists.most_octets());
        let reading = Reading { provider, set: &set, generation, iss, uri, most, now: self.now };
        let text = kept.store.text().unwrap_or_default();
        let error = match reading.state(token, text, reference.index) {
            // One that counted needs no other beside it.
            Ok(_) if too_old.is_some() => return too_old.unwrap_or_else(wait),
            Ok(status) => {
                // Where keys are bound to issuers, it may count for some of them only.
                if iss.is_none() {
                    token.forget_earlier();
                }
                return LookUp::Status(status);
            }
            Err(error) => error,
        };
        for earlier in token.earlier(self.now).iter() {
            if let Ok(status) = reading.state(&earlier.token, &earlier.text, reference.index) {
                self.budget.note_bad_list(kept.place, error);
                return LookUp::Status(status);
            }
        }
        if let Some(too_old) = too_old {
            return too_old;
        }
        // Its key may be as new as the list. What comes of it is not remembered: the next request asks
        // again.
        let kid = token.header().kid.as_deref().filter(|_| error == StatusError::KeyUnknown);
        let unknown = kid.zip(keys).map(|(kid, keys)| {
            let kids = Some(kid.to_owned());
            let wait = LookUp::Wait(Wanted { provider: index, kid: kids, list: None });
            match keys.unknown_kid(kid, self.arrived, self.now) {
                UnknownKid::Refuse => None,
                UnknownKid::AbsentLately if self.patience == Patience::Scarce => None,
                UnknownKid::AbsentLately | UnknownKid::Wait => Some(wait),
                UnknownKid::Unavailable { retry_after } => Some(LookUp::Unavailable(retry_after)),
            }
        });
        unknown.flatten().unwrap_or_else(|| {
            self.budget.note_bad_list(kept.place, error);
            LookUp::Unavailable(Duration::ZERO)
        })
    }
}

/// What a list is read with.
struct Reading<'a> {
    provider: &'a Provider,
    set: &'a KeySet,
    generation: u64,
    /// Whose tokens it is asked about, where keys are bound to issuers.
    iss: Option<&'a str>,
    uri: &'a str,
    most: usize,
    now: UnixTime,
}

impl Reading<'_> {
    /// The state with this number.
    fn state(
        &self,
        token: &StatusToken,
        text: &str,
        number: u64,
    ) -> Result<Option<Status>, StatusError> {
        let header = token.header();
        if !header.typ.as_deref().is_some_and(|typ| is_media_type(typ, "statuslist+jwt")) {
            return Err(StatusError::Type);
        }
        if !self.provider.takes_algorithm(header.algorithm) {
            return Err(StatusError::Algorithm);
        }
        let is_unknown = |kid: &String| !self.set.names(kid);
        if self.set.fitting(header).next().is_none() && header.kid.as_ref().is_some_and(is_unknown)
        {
            return Err(StatusError::KeyUnknown);
        }
        let signed = token.under(self.generation, || self.read(text))?;
        if signed.list.has_expired(self.now) {
            return Err(StatusError::Expired);
        }
        if !self.set.vouch_for(&signed.signers, self.iss) {
            return Err(StatusError::Unsigned);
        }
        Ok(signed.list.get(number))
    }

    /// Checks a list's signature, and unpacks it.
    fn read(&self, text: &str) -> Result<SignedList, StatusError> {
        let not_a_token = |_| StatusError::NotAToken;
        let parts = Parts::of_up_to(text.trim_ascii_end().as_bytes(), MAX_LIST_OCTETS);
        let parts = parts.map_err(not_a_token)?;
        let jws = UnverifiedJws::parse(&parts).and_then(UnverifiedJws::decode_signature);
        let jws = jws.map_err(not_a_token)?;
        let header = jws.header().clone();
        let keys = self.set.fitting(&header);
        let (payload, signers) = jws.verify_all(keys).ok_or(StatusError::Unsigned)?;
        let list = StatusList::read(payload.claims(), self.uri, self.most, self.now)?;
        Ok(SignedList { list, signers })
    }
}
