//! What the workers of one Envoy tell each other about one key source, in the proxy's shared data.
//!
//! Every plugin with the same `vm_id` can write there, so whatever is read is untrusted: it is
//! parsed strictly, and what cannot be true counts as absent. A time that lies ahead is one of those:
//! it is nonsense, or from before the clock was set back.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::jwks::content::MAX_BODY_OCTETS;
use crate::jwks::schedule::LONGEST_FLIGHT;
use crate::time::UnixTime;

/// The format of the entries; part of their names, so that two versions do not meet.
pub const FORMAT: &str = "1";

/// The greatest number of a fetch that is believed: one a millisecond for as long as there are
/// computers does not reach it.
const MAX_NUMBER: u64 = 1 << 53;

/// Longest entity tag that is sent back, in octets.
pub const MAX_ETAG: usize = 256;

/// Largest entry that is read: every octet of a body may take two in JSON.
const MAX_OCTETS: usize = 2 * MAX_BODY_OCTETS + 4096;

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
    /// Until when the issuer wants to be left alone.
    pub not_before: UnixTime,
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
        if notice.number > MAX_NUMBER || notice.keys > MAX_NUMBER {
            return None;
        }
        let began = past(notice.began, now);
        let longest = began.after(LONGEST_FLIGHT);
        let until = notice.until.filter(|until| now < *until && *until <= longest);
        Some(Self { began, until, ..notice })
    }

    /// The text of the entry.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl SharedKeys {
    /// Reads an entry; nonsense counts as absent.
    pub fn decode(octets: &[u8], now: UnixTime) -> Option<Self> {
        let keys: Self = decode(octets)?;
        if keys.number > MAX_NUMBER || keys.generation > MAX_NUMBER {
            return None;
        }
        let found = keys.found.map(|found| Found { at: past(found.at, now), ..found });
        let began = past(keys.began, now);
        let etag = keys.etag.filter(|etag| is_etag(etag));
        // As old as it says, or else of now: its age only decides when to ask again.
        Some(Self { began, fetched: keys.fetched.min(now), etag, found, ..keys })
    }

    /// The text of the entry.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// A time that is not ahead; one that is says nothing, and counts as long ago.
fn past(time: UnixTime, now: UnixTime) -> UnixTime {
    if time > now { UnixTime::default() } else { time }
}

/// Whether this can be sent as a header field.
pub(super) fn is_etag(text: &str) -> bool {
    text.len() <= MAX_ETAG && text.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' ')
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
            not_before: at(11),
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
        let now = UnixTime::from_secs(1000);
        let far = UnixTime::from_secs(u64::MAX);
        let read = |notice: &Notice, now| Notice::decode(&notice.encode(), now);
        let lease = |began, until| Notice { number: 1, began, until, ..Notice::default() };
        let good = lease(UnixTime::from_secs(990), Some(UnixTime::from_secs(1010)));
        assert_eq!(read(&good, now), Some(good.clone()));
        for bad in [
            lease(far, Some(far)),
            lease(now, Some(far)),
            lease(far, Some(now.after(LONGEST_FLIGHT))),
        ] {
            assert_eq!(read(&bad, now).unwrap().until, None);
        }
        // Before the clock was set back, this was an honest one.
        let back = read(&good, UnixTime::from_secs(500)).unwrap();
        assert_eq!((back.began, back.until), (UnixTime::default(), None));
        assert_eq!(read(&Notice { number: u64::MAX, ..good.clone() }, now), None);
        assert_eq!(read(&Notice { keys: u64::MAX, ..good }, now), None);
    }
}
