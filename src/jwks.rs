//! Key sets: what they are ([`key_set`]), where they come from ([`source`], [`answer`], [`board`]) and
//! how they stay fresh ([`key_store`]).

pub mod absent_kids;
pub mod answer;
pub mod board;
pub mod content;
pub mod flight;
mod held;
pub mod key_set;
pub mod key_store;
pub mod schedule;
pub mod source;

use std::rc::Rc;
use std::time::Duration;

use crate::jwks::key_set::KeySet;
use crate::jwks::key_store::KeyStore;
use crate::time::UnixTime;

/// Where the keys of a provider come from, and what is known of them now.
pub enum Keys {
    /// `local_jwks`: always there, never fetched.
    Local(Rc<KeySet>),
    /// `remote_jwks`: fetched and kept fresh.
    Remote {
        /// The keys, as they are fetched.
        store: Box<KeyStore>,
        /// `local_jwks` beside it: keys of last resort while nothing was ever fetched.
        fallback: Option<Rc<KeySet>>,
    },
}

/// What a request can expect of a provider's keys, or of what else is fetched.
pub enum KeyState<T = Rc<KeySet>> {
    /// A fetch is under way or about to begin: wait for it.
    Pending,
    /// Here they are.
    Ready(T),
    /// The issuer does not answer, and there is nothing to fall back on.
    Unavailable {
        /// When the next attempt is due.
        retry_after: Duration,
    },
}

/// What to do about a `kid` that is not in the set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UnknownKid {
    /// It was looked for in vain less than a cooldown ago, for somebody else.
    AbsentLately,
    /// A fetch that began after the request arrived did not bring it.
    Refuse,
    /// The issuer does not answer, so nobody knows.
    Unavailable {
        /// When the next attempt is due.
        retry_after: Duration,
    },
    /// Ask the issuer, at the next opportunity.
    Wait,
}

impl Keys {
    /// The keys, or what keeps them away.
    pub fn state(&self, now: UnixTime) -> KeyState {
        match self {
            Self::Local(set) => KeyState::Ready(Rc::clone(set)),
            Self::Remote { store, fallback } => match fallback {
                // Not before a fetch has failed: what the issuer says now comes first.
                Some(set) if store.held().is_none() && store.failures() > 0 => {
                    KeyState::Ready(Rc::clone(set))
                }
                _ => store.state(now),
            },
        }
    }

    /// Which keys these are: changes whenever they do.
    pub fn generation(&self) -> u64 {
        self.remote().map_or(0, KeyStore::generation)
    }

    /// What becomes of a request that arrived at `arrived` with a `kid` that is not in the set.
    pub fn unknown_kid(&self, kid: &str, arrived: UnixTime, now: UnixTime) -> UnknownKid {
        match self {
            Self::Local(_) => UnknownKid::Refuse,
            Self::Remote { store, .. } => store.unknown_kid(kid, arrived, now),
        }
    }

    /// The store, for keys that are fetched.
    pub fn remote_mut(&mut self) -> Option<&mut KeyStore> {
        match self {
            Self::Local(_) => None,
            Self::Remote { store, .. } => Some(store),
        }
    }

    /// The store, for keys that are fetched.
    pub fn remote(&self) -> Option<&KeyStore> {
        match self {
            Self::Local(_) => None,
            Self::Remote { store, .. } => Some(store),
        }
    }
}
