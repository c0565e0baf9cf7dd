//! What a store keeps fresh: a key set, or a list of revoked tokens. They travel alike.

use std::rc::Rc;

use crate::jose::table_memory::TableMemory;
use crate::jwks::answer::Cause;
use crate::jwks::key_set::{KeySet, KeySetError, MAX_SET_OCTETS};
use crate::jwks::schedule::FetchSettings;
use crate::revocation::deny_list::{DenyList, ListError, MAX_LIST_OCTETS};

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
}

/// What was fetched.
#[derive(Clone)]
pub enum Content {
    /// Keys.
    Keys(Rc<KeySet>),
    /// Revoked tokens.
    DenyList(Rc<DenyList>),
}

impl Kind {
    /// The cause of a failure where the answer is no text at all.
    pub(super) fn not_text(self) -> Cause {
        match self {
            Self::Keys => Cause::Body(KeySetError::NotJson),
            Self::DenyList => Cause::List(ListError::NotAList),
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
        }
    }

    /// The keys, if that is what it is.
    pub fn keys(&self) -> Option<&Rc<KeySet>> {
        match self {
            Self::Keys(set) => Some(set),
            Self::DenyList(_) => None,
        }
    }

    /// The list, if that is what it is.
    pub fn deny_list(&self) -> Option<&Rc<DenyList>> {
        match self {
            Self::Keys(_) => None,
            Self::DenyList(list) => Some(list),
        }
    }
}
