//! A key set that is held, or a list: what it says, its text, and its times.

use std::rc::Rc;
use std::time::Duration;

use crate::jose::table_memory::TableMemory;
use crate::jwks::answer::Cause;
use crate::jwks::board::{Found, SharedKeys};
use crate::jwks::content::{Content, Kind};
use crate::jwks::schedule::{FetchSettings, variety};
use crate::time::UnixTime;

/// A set, and what is known of it.
pub(super) struct Held {
    pub(super) content: Content,
    /// What it was read from: for comparison, and to go on with after "not modified".
    pub(super) text: String,
    pub(super) etag: Option<String>,
    pub(super) found: Option<Found>,
    /// The fetch that brought it.
    pub(super) number: u64,
    /// Changes with the text.
    pub(super) generation: u64,
    pub(super) began: UnixTime,
    pub(super) fetched: UnixTime,
    pub(super) max_age: Option<Duration>,
    /// When to fetch it again.
    pub(super) refresh: UnixTime,
}

impl Held {
    /// Reads `keys`, unless they are those of `before`. Their tables have this memory.
    pub(super) fn new(
        kind: Kind,
        keys: SharedKeys,
        before: Option<&Self>,
        settings: &FetchSettings,
        memory: &Rc<TableMemory>,
        now: UnixTime,
    ) -> Result<Self, Cause> {
        let SharedKeys { number, began, fetched, max_age, etag, found, text, .. } = keys;
        let (content, generation) = match before {
            Some(before) if before.text == text => (before.content.clone(), before.generation),
            // Others may have written any number: here it must change with the text.
            _ => {
                let least = before.map_or(1, |before| before.generation.saturating_add(1));
                let content = Content::parse(kind, &text, settings, memory)?;
                if let Some(before) = before {
                    content.follow(&before.content, &before.text, before.end(settings));
                }
                (content, keys.generation.max(least))
            }
        };
        let max_age = content.max_age(max_age, fetched);
        let fresh_for = settings.fresh_for(max_age);
        let refresh = fetched.after(settings.refresh_after(fresh_for, variety(now, number)));
        Ok(Self {
            content,
            text,
            etag,
            found,
            number,
            generation,
            began,
            fetched,
            max_age,
            refresh,
        })
    }

    /// Until when it can be used.
    pub(super) fn end(&self, settings: &FetchSettings) -> UnixTime {
        self.fetched.after(settings.fresh_for(self.max_age)).after(settings.stale_for)
    }

    /// Moves all times back, after the clock did.
    pub(super) fn shift_back(&mut self, span: Duration) {
        for time in [&mut self.began, &mut self.fetched, &mut self.refresh] {
            *time = time.before(span);
        }
        self.content.shift_back(span);
    }
}
