//! Logouts that a provider told this gate (OpenID Connect Back-Channel Logout 1.0): which sessions and
//! users are out, for as long as tokens of before may live.
//!
//! What workers tell each other is text that other plugins may have written: it is read strictly, it
//! only ever adds, and what cannot be true counts for nothing.

use std::cmp::Ordering;
use std::time::Duration;

use serde_json::json;

use crate::json::Node;
use crate::revocation::deny_list::Handles;
use crate::time::UnixTime;

/// Most logouts that are remembered; more are refused, since forgetting one would let its tokens in.
pub const MAX_LOGOUTS: usize = 4096;
/// Longest name of a session or user, in octets (OpenID Connect Core section 2 has 255 for `sub`).
pub const MAX_NAME: usize = 255;
/// Longest text of all of them together.
const MAX_OCTETS: usize = MAX_LOGOUTS * 1024;

/// Who is out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Who {
    /// Whose session or user.
    pub iss: String,
    /// The session, whoever's it is; none: all sessions of the user.
    pub sid: Option<String>,
    /// The user, where no session is named.
    pub sub: Option<String>,
}

impl Who {
    fn compare(&self, other: (&str, Option<&str>, Option<&str>)) -> Ordering {
        (self.iss.as_str(), self.sid.as_deref(), self.sub.as_deref()).cmp(&other)
    }
}

/// Since when, and until when that is remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct When {
    /// Tokens of this second and of earlier ones are meant, in seconds of `iat`.
    pub at: u64,
    /// In seconds, too.
    pub until: u64,
}

/// There is no room for one more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full;

/// All of them, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Logouts(Vec<(Who, When)>);

impl Logouts {
    /// Remembers one; the latest of two of the same counts.
    pub fn insert(&mut self, who: Who, when: When) -> Result<(), Full> {
        match self.find(&who.iss, who.sid.as_deref(), who.sub.as_deref()) {
            Ok(place) => {
                if let Some((_, known)) = self.0.get_mut(place) {
                    known.at = known.at.max(when.at);
                    known.until = known.until.max(when.until);
                }
                Ok(())
            }
            Err(_) if self.0.len() >= MAX_LOGOUTS => Err(Full),
            Err(place) => {
                self.0.insert(place, (who, when));
                Ok(())
            }
        }
    }

    fn find(&self, iss: &str, sid: Option<&str>, sub: Option<&str>) -> Result<usize, usize> {
        self.0.binary_search_by(|(who, _)| who.compare((iss, sid, sub)))
    }

    fn get(&self, iss: &str, sid: Option<&str>, sub: Option<&str>) -> Option<When> {
        let place = self.find(iss, sid, sub).ok()?;
        self.0.get(place).map(|(_, when)| *when)
    }

    /// Takes those of others as well; returns whether there are any that they lack.
    pub fn join(&mut self, others: &Self) -> bool {
        for (who, when) in &others.0 {
            // Where there is no room, this worker's own count.
            let _ = self.insert(who.clone(), *when);
        }
        self.0.iter().any(|(who, when)| {
            let told = others.get(&who.iss, who.sid.as_deref(), who.sub.as_deref());
            told.is_none_or(|told| told.at < when.at || told.until < when.until)
        })
    }

    /// Moves all times back, after the clock did.
    pub fn shift_back(&mut self, span: Duration) {
        for (_, when) in &mut self.0 {
            when.until = when.until.saturating_sub(span.as_secs());
        }
    }

    /// Forgets those whose time is over.
    pub fn expire(&mut self, now: UnixTime) {
        self.0.retain(|(_, when)| when.until > now.as_secs());
    }

    /// Whether one is about this token.
    pub fn revoke(&self, token: &Handles<'_>) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let Some(iss) = token.iss else { return false };
        // A session that has ended stays so, whenever the token was issued.
        if token.sid.is_some() && self.find(iss, token.sid, None).is_ok() {
            return true;
        }
        let user = token.sub.and_then(|sub| self.get(iss, None, Some(sub)));
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
        let list = self
            .0
            .iter()
            .map(|(who, when)| json!([who.iss, who.sid, who.sub, when.at, when.until]).to_string());
        format!("[{}]", list.collect::<Vec<_>>().join(",")).into_bytes()
    }

    /// Reads such a text; what is none, or longer than ours ever is, counts as empty. None is
    /// remembered for longer than `longest` seconds.
    pub fn decode(text: &[u8], now: UnixTime, longest: u64) -> Self {
        let mut all = Self::default();
        if text.len() > MAX_OCTETS {
            return all;
        }
        let Ok(Node::List(list)) = Node::parse(text) else { return all };
        let latest = now.as_secs().saturating_add(longest);
        for (who, when) in list.iter().filter_map(read) {
            if when.until > now.as_secs() {
                let _ = all.insert(who, When { until: when.until.min(latest), ..when });
            }
        }
        all
    }
}

fn read(node: &Node<'_>) -> Option<(Who, When)> {
    let Node::List(parts) = node else { return None };
    let [iss, sid, sub, at, until] = parts.as_slice() else { return None };
    let name = |node: &Node<'_>| match node {
        Node::Null => Some(None),
        Node::Text(text) if text.len() <= MAX_NAME => Some(Some(text.clone().into_owned())),
        _ => None,
    };
    let seconds = |node: &Node<'_>| match node {
        Node::Number(number) => number.as_u64(),
        _ => None,
    };
    let who = Who { iss: iss.as_text()?.to_owned(), sid: name(sid)?, sub: name(sub)? };
    Some((who, When { at: seconds(at)?, until: seconds(until)? }))
}
