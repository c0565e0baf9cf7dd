//! What the workers of one Envoy tell each other about one key source, in the proxy's shared data.
//!
//! Every plugin with the same `vm_id` can write there, so whatever is read is untrusted: it is
//! parsed strictly, and no time in it can keep a worker from fetching for longer than an honest one
//! could.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::jwks::key_set::MAX_SET_OCTETS;
use crate::jwks::schedule::{LONGEST_FLIGHT, LONGEST_WAIT};
use crate::time::UnixTime;

/// The format of the entries; part of their names, so that two versions do not meet.
pub const FORMAT: &str = "1";

/// Largest entry that is read: every octet of a set may take two in JSON.
const MAX_OCTETS: usize = 2 * MAX_SET_OCTETS + 4096;

/// The state of things, small: workers look at it all the time.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The number of the latest fetch; whoever put it there carries the fetch out.
    pub number: u64,
    /// When it began.
    pub began: UnixTime,
    /// Until when others leave it alone; none when it is over.
    pub until: Option<UnixTime>,
    /// The fetch that brought the newest key set.
    pub keys: u64,
    /// Fetches that failed since.
    pub failures: u32,
    /// When to try again after a failure.
    pub due: UnixTime,
}

/// A key set as one worker fetched it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SharedKeys {
    /// The fetch that brought it.
    pub number: u64,
    /// The fetch that first brought this very text.
    pub generation: u64,
    /// When the fetch began.
    pub began: UnixTime,
    /// When the answer came.
    pub fetched: UnixTime,
    /// How long the issuer wants it to be kept.
    pub max_age: Option<Duration>,
    /// The entity tag.
    pub etag: Option<String>,
    /// Where discovery found it.
    pub found: Option<Found>,
    /// The set.
    pub text: String,
}

/// What discovery found.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// `jwks_uri`.
    pub uri: String,
    /// When.
    pub at: UnixTime,
}

impl Notice {
    /// Reads an entry; nonsense counts as absent.
    pub fn decode(octets: &[u8], now: UnixTime) -> Option<Self> {
        let notice: Self = decode(octets)?;
        Some(Self {
            began: notice.began.min(now),
            until: notice.until.map(|until| until.min(now.after(LONGEST_FLIGHT))),
            due: notice.due.min(now.after(LONGEST_WAIT)),
            ..notice
        })
    }

    /// The text of the entry.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl SharedKeys {
    /// Reads an entry; nonsense counts as absent.
    pub fn decode(octets: &[u8], now: UnixTime) -> Option<Self> {
        let mut keys: Self = decode(octets)?;
        let found = keys.found.iter_mut().map(|found| &mut found.at);
        for time in found.chain([&mut keys.began, &mut keys.fetched]) {
            *time = (*time).min(now);
        }
        Some(keys)
    }

    /// The text of the entry.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn decode<T: DeserializeOwned>(octets: &[u8]) -> Option<T> {
    serde_json::from_slice(octets.get(..octets.len().min(MAX_OCTETS))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written() {
        let at = UnixTime::from_secs;
        let notice = Notice {
            number: 7,
            began: at(5),
            until: Some(at(12)),
            keys: 6,
            failures: 2,
            due: at(11),
        };
        assert_eq!(Notice::decode(&notice.encode(), at(10)), Some(notice));
        let keys = SharedKeys {
            number: 7,
            generation: 3,
            began: at(4),
            fetched: at(5),
            max_age: Some(Duration::from_secs(60)),
            etag: Some("\"a\"".to_owned()),
            found: Some(Found { uri: "https://i/k".to_owned(), at: at(1) }),
            text: "{\"keys\":[]}".to_owned(),
        };
        assert_eq!(SharedKeys::decode(&keys.encode(), at(10)), Some(keys.clone()));
        for spoiled in [&b""[..], b"{}", b"null", b"\xff", b"{\"number\":1}", b"[1,2]"] {
            assert_eq!(Notice::decode(spoiled, at(10)), None);
            assert_eq!(SharedKeys::decode(spoiled, at(10)), None);
        }
        let mut longer = keys.encode();
        longer.push(b'x');
        assert_eq!(SharedKeys::decode(&longer, at(10)), None);
    }

    #[test]
    fn times_from_nowhere_keep_nobody_waiting() {
        let now = UnixTime::from_secs(100);
        let far = UnixTime::from_secs(u64::MAX);
        let notice = Notice {
            number: u64::MAX,
            began: far,
            until: Some(far),
            keys: 1,
            failures: 9,
            due: far,
        };
        let read = Notice::decode(&notice.encode(), now).unwrap();
        assert_eq!(read.began, now);
        assert_eq!(read.until, Some(now.after(LONGEST_FLIGHT)));
        assert_eq!(read.due, now.after(LONGEST_WAIT));
    }
}
