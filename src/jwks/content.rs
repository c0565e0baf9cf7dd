//! What a store keeps fresh: a key set, or a list of revoked tokens. They travel alike.

use std::rc::Rc;
use std::time::Duration;

use crate::jose::table_memory::TableMemory;
use crate::jwks::answer::Cause;
use crate::jwks::key_set::{KeySet, KeySetError, MAX_SET_OCTETS};
use crate::jwks::schedule::FetchSettings;
use crate::revocation::deny_list::{DenyList, ListError, MAX_LIST_OCTETS};
use crate::revocation::status_list::StatusError;
use crate::revocation::status_token::{Earlier, StatusToken};
use crate::time::UnixTime;

/// Most octets of an answer that are read: the largest list, or set.
pub const MAX_BODY_OCTETS: usize =
    if MAX_LIST_OCTETS > MAX_SET_OCTETS { MAX_LIST_OCTETS } else { MAX_SET_OCTETS };

/// What is fetched.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Kind {
    /// Keys.
    #[default]
    Keys,
    /// Revoked tokens.
    DenyList,
    /// The states of an issuer's tokens.
    StatusList,
}

/// What was fetched.
#[derive(Clone)]
pub enum Content {
    /// Keys.
    Keys(Rc<KeySet>),
    /// Revoked tokens.
    DenyList(Rc<DenyList>),
    /// The states of an issuer's tokens, as a token whose signature nobody has checked yet.
    StatusList(Rc<StatusToken>),
}

impl Kind {
    /// The cause of a failure where the answer is no text at all.
    pub(super) fn not_text(self) -> Cause {
        match self {
            Self::Keys => Cause::Body(KeySetError::NotJson),
            Self::DenyList => Cause::List(ListError::NotAList),
            Self::StatusList => Cause::StatusList(StatusError::NotAToken),
        }
    }
}

impl Content {
    /// Reads what is of this kind; tables of keys have this memory.
    pub(super) fn parse(
        kind: Kind,
        text: &str,
        settings: &FetchSettings,
        memory: &Rc<TableMemory>,
    ) -> Result<Self, Cause> {
        let text = text.as_bytes();
        match kind {
            Kind::Keys => {
                let set = KeySet::parse_for(text, settings.strength, settings.issuers);
                let set = set.map_err(Cause::Body)?;
                Ok(Self::Keys(Rc::new(set.with_table_memory(memory))))
            }
            Kind::DenyList => {
                let list = DenyList::parse(text).map_err(Cause::List)?;
                Ok(Self::DenyList(Rc::new(list)))
            }
            Kind::StatusList => {
                let token = StatusToken::parse(text).map_err(Cause::StatusList)?;
                Ok(Self::StatusList(Rc::new(token)))
            }
        }
    }

    /// The keys, if that is what it is.
    pub fn keys(&self) -> Option<&Rc<KeySet>> {
        match self {
            Self::Keys(set) => Some(set),
            Self::DenyList(_) | Self::StatusList(_) => None,
        }
    }

    /// The list, if that is what it is.
    pub fn deny_list(&self) -> Option<&Rc<DenyList>> {
        match self {
            Self::Keys(_) | Self::StatusList(_) => None,
            Self::DenyList(list) => Some(list),
        }
    }

    /// The list of states, if that is what it is.
    pub fn status_token(&self) -> Option<&Rc<StatusToken>> {
        match self {
            Self::Keys(_) | Self::DenyList(_) => None,
            Self::StatusList(token) => Some(token),
        }
    }

    /// How long what was fetched at this time wants to be kept: what a list says comes before what HTTP
    /// says.
    pub(super) fn max_age(&self, told: Option<Duration>, fetched: UnixTime) -> Option<Duration> {
        self.status_token().and_then(|token| token.ttl(fetched)).or(told)
    }

    /// What it follows: whether a list of states counts is not known yet, so the one before stays at
    /// hand.
    pub(super) fn follow(&self, before: &Self, text: &str, until: UnixTime) {
        if let (Self::StatusList(token), Self::StatusList(before)) = (self, before) {
            token.follow(Earlier { token: Rc::clone(before), text: text.into(), until });
        }
    }

    /// Moves all times back, after the clock did.
    pub(super) fn shift_back(&self, span: Duration) {
        if let Self::StatusList(token) = self {
            token.shift_back(span);
        }
    }
}
