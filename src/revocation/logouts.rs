//! Logouts that a provider told this gate (OpenID Connect Back-Channel Logout 1.0): which sessions and
//! users are out, for as long as tokens of before may live.
//!
//! What workers tell each other is text that other plugins may have written: it is read strictly, it
//! only ever adds, and what cannot be true counts for nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::revocation::deny_list::Handles;
use crate::time::UnixTime;

/// Most logouts that are remembered; more are refused, since forgetting one would let its tokens in.
pub const MAX_LOGOUTS: usize = 4096;
/// Longest name of a session or user, in octets (OpenID Connect Core section 2 has 255 for `sub`).
pub const MAX_NAME: usize = 255;
/// Longest text of all of them together.
const MAX_OCTETS: usize = MAX_LOGOUTS * 1024;

/// Who is out.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// Whose session or user.
    pub iss: String,
    /// The session, whoever's it is; none: all sessions of the user.
    pub sid: Option<String>,
    /// The user, where no session is named.
    pub sub: Option<String>,
}

/// Since when, and until when that is remembered.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Tokens of this second and of earlier ones are meant, in seconds of `iat`.
    pub at: u64,
    /// In seconds, too.
    pub until: u64,
}

/// There is no room for one more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full;

/// All of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Logouts(BTreeMap<Who, When>);

impl Logouts {
    /// Remembers one; the latest of two of the same counts.
    pub fn insert(&mut self, who: Who, when: When) -> Result<(), Full> {
        if let Some(known) = self.0.get_mut(&who) {
            known.at = known.at.max(when.at);
            known.until = known.until.max(when.until);
            return Ok(());
        }
        if self.0.len() >= MAX_LOGOUTS {
            return Err(Full);
        }
        self.0.insert(who, when);
        Ok(())
    }

    /// Takes those of others as well; returns whether there are any that they lack.
    pub fn join(&mut self, others: &Self) -> bool {
        for (who, when) in &others.0 {
            // Where there is no room, this worker's own count.
            let _ = self.insert(who.clone(), *when);
        }
        self.0.iter().any(|(who, when)| {
            others.0.get(who).is_none_or(|told| told.at < when.at || told.until < when.until)
        })
    }

    /// Moves all times back, after the clock did.
    pub fn shift_back(&mut self, span: Duration) {
        for when in self.0.values_mut() {
            when.until = when.until.saturating_sub(span.as_secs());
        }
    }

    /// Forgets those whose time is over.
    pub fn expire(&mut self, now: UnixTime) {
        self.0.retain(|_, when| when.until > now.as_secs());
    }

    /// Whether one is about this token.
    pub fn revoke(&self, token: &Handles<'_>) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let Some(iss) = token.iss else { return false };
        let find = |sid: Option<&str>, sub: Option<&str>| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            self.0.get(&Who { iss: iss.to_owned(), sid: text(sid), sub: text(sub) })
        };
        // A session that has ended stays so, whenever the token was issued.
        if token.sid.is_some() && find(token.sid, None).is_some() {
            return true;
        }
        let user = token.sub.and_then(|sub| find(None, Some(sub)));
        // A token that does not say when it was issued may be as old as any.
        user.is_some_and(|when| token.iat.is_none_or(|iat| iat <= when.at))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As text for other workers.
    pub fn encode(&self) -> Vec<u8> {
        let list: Vec<_> = self.0.iter().collect();
        serde_json::to_vec(&list).unwrap_or_default()
    }

    /// Reads such a text; what is none, or longer than ours ever is, counts as empty. None is
    /// remembered for longer than `longest` seconds.
    pub fn decode(text: &[u8], now: UnixTime, longest: u64) -> Self {
        let text = Some(text).filter(|text| text.len() <= MAX_OCTETS);
        let list: Option<Vec<(Who, When)>> =
            text.and_then(|text| serde_json::from_slice(text).ok());
        let list = list.unwrap_or_default().into_iter();
        let latest = now.as_secs().saturating_add(longest);
        let is_sound = |(who, when): &(Who, When)| {
            let names = [Some(&who.iss), who.sid.as_ref(), who.sub.as_ref()];
            when.until > now.as_secs()
                && names.into_iter().flatten().all(|name| name.len() <= MAX_NAME * 4)
        };
        let mut all = Self::default();
        for (who, when) in list.filter(is_sound) {
            let _ = all.insert(who, When { until: when.until.min(latest), ..when });
        }
        all
    }
}
