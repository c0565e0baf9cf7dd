//! A list of revoked tokens, as it is fetched: read strictly, bounded, and quick to ask.
//!
//! It is read as it streams by, entry by entry: a tree of a long list would take ten times its octets,
//! and the memory of a WebAssembly module never shrinks.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Largest list that is read, in octets.
pub const MAX_LIST_OCTETS: usize = 1024 * 1024;
/// Most entries of a list: of the usual ones, with an identifier of 36 letters, as many as fit.
pub const MAX_ENTRIES: usize = 25_000;

/// The member of the document that has the entries.
const LIST: &str = "revoked";

/// Revoked tokens, by what they say of themselves.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct DenyList {
    by_jti: Index,
    by_sid: Index,
    by_sub: Index,
    by_client: Index,
    /// Entries that only say when: for tokens of any issuer, and of one.
    before: u64,
    before_of: BTreeMap<Box<str>, u64>,
    entries: usize,
}

/// What a verified token says of itself, as far as lists ask.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Handles<'a> {
    /// `iss`.
    pub iss: Option<&'a str>,
    /// `sub`.
    pub sub: Option<&'a str>,
    /// `jti`.
    pub jti: Option<&'a str>,
    /// `sid`.
    pub sid: Option<&'a str>,
    /// `client_id` and `azp`: the client is whichever of the two says so.
    pub clients: [Option<&'a str>; 2],
    /// `iat`, in whole seconds.
    pub iat: Option<u64>,
}

/// Why a text is no list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListError {
    /// The entry of this number, from zero, is not what an entry may be.
    Entry(usize),
    /// Not a JSON object with a list `revoked`.
    NotAList,
    /// More than [`MAX_LIST_OCTETS`].
    TooLarge,
    /// More than [`MAX_ENTRIES`].
    TooMany,
}

impl ListError {
    /// The name in counters.
    pub fn code(self) -> &'static str {
        match self {
            Self::Entry(_) => "list_entry",
            Self::NotAList => "list_malformed",
            Self::TooLarge => "list_too_large",
            Self::TooMany => "list_too_many_entries",
        }
    }
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(index) => write!(
                f,
                "has an entry, {LIST}[{index}], that is not an object with some of `jti`, `sid`, \
                 `sub`, `client_id`, `issued_before` and perhaps `iss`, and nothing else"
            ),
            Self::NotAList => write!(f, "is not a JSON object with a list `{LIST}`"),
            Self::TooLarge => write!(f, "is longer than {MAX_LIST_OCTETS} octets"),
            Self::TooMany => write!(f, "has more than {MAX_ENTRIES} entries"),
        }
    }
}

/// An entry as written. A token must fulfil every member.
#[derive(Default)]
struct Entry {
    jti: Option<Box<str>>,
    sid: Option<Box<str>>,
    sub: Option<Box<str>>,
    client_id: Option<Box<str>>,
    iss: Option<Box<str>>,
    issued_before: Option<u64>,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(OneEntry)
    }
}

struct OneEntry;

impl<'de> Visitor<'de> for OneEntry {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Entry, A::Error> {
        let mut entry = Entry::default();
        while let Some(name) = access.next_key::<Box<str>>()? {
            match &*name {
                "jti" => set(&mut entry.jti, &mut access)?,
                "sid" => set(&mut entry.sid, &mut access)?,
                "sub" => set(&mut entry.sub, &mut access)?,
                "client_id" => set(&mut entry.client_id, &mut access)?,
                "iss" => set(&mut entry.iss, &mut access)?,
                "issued_before" => set(&mut entry.issued_before, &mut access)?,
                // Without a condition that is not understood, an entry would revoke too much, and
                // without the entry, too little would be revoked.
                _ => return Err(de::Error::custom(LIST)),
            }
        }
        Ok(entry)
    }
}

/// Takes a member, which must have a value (`null` would make the entry say more than is meant) and
/// must not be there twice.
fn set<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    place: &mut Option<T>,
    access: &mut A,
) -> Result<(), A::Error> {
    if place.replace(access.next_value()?).is_some() {
        return Err(de::Error::custom(LIST));
    }
    Ok(())
}

/// What an entry asks beside the name that it is found by.
#[derive(Debug, Default, Eq, PartialEq)]
struct Rest {
    sid: Option<Box<str>>,
    sub: Option<Box<str>>,
    client: Option<Box<str>>,
    iss: Option<Box<str>>,
    issued_before: Option<u64>,
}

impl Rest {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    fn holds_for(&self, token: &Handles<'_>) -> bool {
        let says = |own: &Option<Box<str>>, said: &[Option<&str>]| {
            own.as_deref().is_none_or(|own| said.contains(&Some(own)))
        };
        says(&self.sid, &[token.sid])
            && says(&self.sub, &[token.sub])
            && says(&self.client, &token.clients)
            && says(&self.iss, &[token.iss])
            // A token that does not say when it was issued may be as old as any.
            && self.issued_before.is_none_or(|before| token.iat.is_none_or(|iat| iat < before))
    }
}

/// Entries by one of their members.
#[derive(Debug, Default, Eq, PartialEq)]
struct Index(BTreeMap<Box<str>, Asked>);

/// What is asked of tokens of one name.
#[derive(Debug, Default, Eq, PartialEq)]
struct Asked {
    /// Some entry asks nothing else: the usual one, which takes no room of its own.
    nothing_else: bool,
    any: Vec<Rest>,
}

impl Index {
    fn insert(&mut self, name: Box<str>, rest: Rest) {
        let asked = self.0.entry(name).or_default();
        if rest.is_nothing() {
            asked.nothing_else = true;
        } else {
            asked.any.push(rest);
        }
    }

    fn has(&self, name: Option<&str>, token: &Handles<'_>) -> bool {
        let asked = name.and_then(|name| self.0.get(name));
        asked.is_some_and(|asked| {
            asked.nothing_else || asked.any.iter().any(|rest| rest.holds_for(token))
        })
    }
}

impl DenyList {
    /// Reads a list; any mistake refuses the whole, since a part of it would let revoked tokens pass.
    pub fn parse(text: &[u8]) -> Result<Self, ListError> {
        if text.len() > MAX_LIST_OCTETS {
            return Err(ListError::TooLarge);
        }
        let progress = Progress::default();
        let mut from = serde_json::Deserializer::from_slice(text);
        let read = Document(&progress).deserialize(&mut from);
        read.and_then(|list| from.end().map(|()| list)).map_err(|error| match progress.0.get() {
            _ if !error.is_data() => ListError::NotAList,
            Some(MAX_ENTRIES) => ListError::TooMany,
            Some(index) => ListError::Entry(index),
            None => ListError::NotAList,
        })
    }

    /// Whether an entry is about this token.
    pub fn revokes(&self, token: &Handles<'_>) -> bool {
        let [client, party] = token.clients;
        self.by_jti.has(token.jti, token)
            || self.by_sid.has(token.sid, token)
            || self.by_sub.has(token.sub, token)
            || self.by_client.has(client, token)
            || self.by_client.has(party, token)
            || self.is_too_old(token)
    }

    fn is_too_old(&self, token: &Handles<'_>) -> bool {
        let own = token.iss.and_then(|iss| self.before_of.get(iss)).copied().unwrap_or_default();
        let before = self.before.max(own);
        // A token that does not say when it was issued may be as old as any.
        before > 0 && token.iat.is_none_or(|iat| iat < before)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Takes an entry, to be found by what names the fewest tokens; false when it names none.
    fn insert(&mut self, entry: Entry) -> bool {
        let Entry { jti, sid, sub, client_id, iss, issued_before } = entry;
        let mut rest = Rest { sid, sub, client: client_id, iss, issued_before };
        if let Some(jti) = jti {
            self.by_jti.insert(jti, rest);
        } else if let Some(sid) = rest.sid.take() {
            self.by_sid.insert(sid, rest);
        } else if let Some(sub) = rest.sub.take() {
            self.by_sub.insert(sub, rest);
        } else if let Some(client) = rest.client.take() {
            self.by_client.insert(client, rest);
        } else if let Some(before) = issued_before {
            // Of several, the latest says all that the others say.
            let latest = match rest.iss {
                Some(iss) => self.before_of.entry(iss).or_default(),
                None => &mut self.before,
            };
            *latest = before.max(*latest);
        } else {
            return false;
        }
        self.entries = self.entries.saturating_add(1);
        true
    }
}

/// Which entry is being read, for the error.
#[derive(Default)]
struct Progress(Cell<Option<usize>>);

/// The document: other members than the list say nothing about tokens, and are left alone.
struct Document<'a>(&'a Progress);

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = DenyList;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<DenyList, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = DenyList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LIST)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<DenyList, A::Error> {
        let mut list = None;
        while let Some(name) = access.next_key::<String>()? {
            if name != LIST {
                access.next_value::<IgnoredAny>()?;
            } else if list.is_some() {
                return Err(de::Error::custom(LIST));
            } else {
                list = Some(access.next_value_seed(Entries(self.0))?);
            }
        }
        list.ok_or_else(|| de::Error::custom(LIST))
    }
}

struct Entries<'a>(&'a Progress);

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = DenyList;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<DenyList, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = DenyList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LIST)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<DenyList, A::Error> {
        let Self(Progress(at)) = self;
        let mut list = DenyList::default();
        loop {
            at.set(Some(list.entries));
            let Some(entry) = access.next_element::<Entry>()? else { break };
            if list.entries >= MAX_ENTRIES || !list.insert(entry) {
                return Err(de::Error::custom(LIST));
            }
        }
        at.set(None);
        Ok(list)
    }
}
