//! What may be used once (a token's `jti`, a DPoP proof), remembered for all workers of one Envoy in a
//! fixed number of entries of the proxy's shared data.
//!
//! Shared entries are never deleted, so one for each use would grow for ever. Here each of a fixed
//! number of buckets is one entry: a list of records, each a digest and the time until which it counts.
//! Whoever uses something reads the bucket of its digest, and writes it back with one more record, if
//! nobody else has in between. A bucket that is full, or cannot be read, refuses: to forget a record
//! early would be to let somebody in twice.
//!
//! Other plugins with the same `vm_id` can write these entries, too, unless a secret is in their names.
//! Whoever can do that needs no nonsense: an empty bucket forgets everything, and is well-formed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::time::UnixTime;

/// The format of the entries; part of their names, so that two versions do not meet.
const FORMAT: &str = "1";
/// Most records of a bucket, which is read and written as a whole: 3 KiB.
pub const RECORDS_PER_BUCKET: usize = 128;
/// Default number of records of all buckets: 1.5 MiB.
pub const DEFAULT_RECORDS: u32 = 65_536;
/// Octets of a digest that are kept: as many as no two uses ever share by chance.
const KEPT: usize = 16;
const RECORD: usize = KEPT + 8;
/// Seconds that a record counts for longer than what it is about: a request is decided a moment before
/// its use is written down, and clocks are set back a little all the time.
const GRACE: u64 = 10;
/// Attempts to write a bucket that others write as well. Each that fails means that another one
/// succeeded, so with as many workers as processors, a few suffice.
const ATTEMPTS: usize = 256;

/// What is used, in the order in which one request uses them up: whoever repeats all of a request must
/// not use up the token.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// A proof of possession (RFC 9449).
    Proof,
    /// A token, by its `jti`.
    Token,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::Token => "token",
        }
    }
}

/// Which one it is: a digest.
pub type Mark = [u8; 32];

/// The mark of what these parts tell from all others of its kind.
pub fn mark(kind: Kind, parts: &[&[u8]]) -> Mark {
    let mut hash = Sha256::new();
    hash.update(kind.name());
    // Each with its length, so that no two lists of parts are one text.
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// A use that must be the only one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Use {
    /// Of what.
    pub kind: Kind,
    /// Of which one.
    pub mark: Mark,
    /// From when on it is of no use to anybody, in seconds since the epoch.
    pub until: u64,
}

/// Why something could not be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotUsed {
    /// The shared data cannot be read or written, or holds what nobody wrote.
    Failed,
    /// There is no room to remember it.
    Full,
    /// It was used before.
    Again,
}

/// The data that workers share, as the host has it.
pub trait SharedData {
    /// The state that an entry is in.
    type Seen;

    /// An entry, none where there is no such, and its state; none: it cannot be read.
    fn read(&mut self, entry: &str) -> Option<(Option<Vec<u8>>, Self::Seen)>;

    /// Writes an entry if it is in the state `seen`; whether it was.
    fn swap(&mut self, entry: &str, text: &[u8], seen: Self::Seen) -> bool;
}

/// Where uses are remembered.
#[derive(Debug, Eq, PartialEq)]
pub struct Memory {
    /// What the names of the buckets begin with.
    name: String,
    buckets: u64,
}

impl Memory {
    /// A memory for about this many records. All gates with the same number and secret share it.
    pub fn new(records: u32, secret: &str) -> Self {
        let buckets = (records as usize).div_ceil(RECORDS_PER_BUCKET).max(1) as u64;
        let mut hash = Sha256::new();
        hash.update(buckets.to_be_bytes());
        hash.update(secret);
        let digest = URL_SAFE_NO_PAD.encode(hash.finalize());
        Self { name: format!("jwt_gate/single_use/{FORMAT}/{digest}"), buckets }
    }

    /// Writes a use down, if it is the first.
    pub fn spend<S: SharedData>(
        &self,
        one: &Use,
        now: UnixTime,
        shared: &mut S,
    ) -> Result<(), NotUsed> {
        let (_, rest) = one.mark.split_first_chunk::<8>().ok_or(NotUsed::Failed)?;
        let own = rest.first_chunk::<KEPT>().ok_or(NotUsed::Failed)?;
        // With the secret in it: whoever does not know it cannot choose whose bucket to fill.
        let hash = Sha256::new().chain_update(&self.name).chain_update(one.mark).finalize();
        let place = hash.first_chunk::<8>().ok_or(NotUsed::Failed)?;
        let place = u64::from_be_bytes(*place).checked_rem(self.buckets).ok_or(NotUsed::Failed)?;
        // Each kind has its own: whoever makes many proofs keeps nobody's tokens out.
        let entry = format!("{}/{}/{place}", self.name, one.kind.name());
        for _ in 0..ATTEMPTS {
            let (text, seen) = shared.read(&entry).ok_or(NotUsed::Failed)?;
            let text = text.unwrap_or_default();
            let text = with_record(&text, own, one.until, now.as_secs())?;
            if shared.swap(&entry, &text, seen) {
                return Ok(());
            }
        }
        Err(NotUsed::Failed)
    }
}

/// A bucket with one more record, and without those that count no longer.
fn with_record(text: &[u8], own: &[u8; KEPT], until: u64, now: u64) -> Result<Vec<u8>, NotUsed> {
    let (records, rest) = text.as_chunks::<RECORD>();
    if !rest.is_empty() || records.len() > RECORDS_PER_BUCKET {
        return Err(NotUsed::Failed);
    }
    let mut kept = Vec::with_capacity(text.len().saturating_add(RECORD));
    for record in records {
        let (digest, until) = record.split_first_chunk::<KEPT>().ok_or(NotUsed::Failed)?;
        let until = until.first_chunk().map(|until| u64::from_be_bytes(*until));
        if digest == own {
            return Err(NotUsed::Again);
        }
        if until.is_some_and(|until| now < until.saturating_add(GRACE)) {
            kept.extend_from_slice(record);
        }
    }
    if kept.len() >= RECORD.saturating_mul(RECORDS_PER_BUCKET) {
        return Err(NotUsed::Full);
    }
    kept.extend_from_slice(own);
    kept.extend_from_slice(&until.to_be_bytes());
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use super::*;

    /// What the host does, and what other workers do in between.
    #[derive(Default)]
    struct Shared {
        entries: BTreeMap<String, (Vec<u8>, u32)>,
        /// Run between a look and the writing that follows it.
        between: Vec<Use>,
        is_broken: bool,
    }

    impl SharedData for Shared {
        type Seen = u32;

        fn read(&mut self, entry: &str) -> Option<(Option<Vec<u8>>, u32)> {
            let found = self.entries.get(entry).cloned();
            let answer = match found {
                Some((text, seen)) => (Some(text), seen),
                None => (None, u32::MAX),
            };
            (!self.is_broken).then_some(answer)
        }

        fn swap(&mut self, entry: &str, text: &[u8], seen: u32) -> bool {
            if let Some(other) = self.between.pop() {
                Memory::new(1, "").spend(&other, at(0), self).unwrap();
            }
            let now = self.entries.get(entry).map_or(u32::MAX, |(_, seen)| *seen);
            let same = now == seen;
            if same {
                let next = if now == u32::MAX { 1 } else { now.saturating_add(1) };
                self.entries.insert(entry.to_owned(), (text.to_vec(), next));
            }
            same
        }
    }

    const START: UnixTime = UnixTime::from_secs(1_000);

    fn at(secs: u64) -> UnixTime {
        START.after(Duration::from_secs(secs))
    }

    fn token(jti: u64, until: u64) -> Use {
        let mark = mark(Kind::Token, &[b"i", &jti.to_be_bytes()]);
        Use { kind: Kind::Token, mark, until: at(until).as_secs() }
    }

    #[test]
    fn each_is_used_once_until_it_is_of_no_use() {
        let (memory, mut shared) = (Memory::new(2_000, ""), Shared::default());
        for jti in 0..100 {
            assert_eq!(memory.spend(&token(jti, 50), at(0), &mut shared), Ok(()));
        }
        for jti in 0..100 {
            assert_eq!(memory.spend(&token(jti, 50), at(59), &mut shared), Err(NotUsed::Again));
        }
        assert_eq!(shared.entries.len(), 16, "as many as there are buckets");
        // Old records make room, and nothing else.
        for jti in 100..1_000 {
            assert_eq!(memory.spend(&token(jti, 500), at(60), &mut shared), Ok(()));
        }
        let octets: usize = shared.entries.values().map(|(text, _)| text.len()).sum();
        assert_eq!(octets, 900 * RECORD);
    }

    #[test]
    fn a_full_memory_refuses_and_forgets_nothing() {
        let (memory, mut shared) = (Memory::new(1, ""), Shared::default());
        let most = RECORDS_PER_BUCKET as u64;
        for jti in 0..most {
            assert_eq!(memory.spend(&token(jti, 50), at(0), &mut shared), Ok(()));
        }
        assert_eq!(memory.spend(&token(most, 50), at(1), &mut shared), Err(NotUsed::Full));
        let proof = Use { kind: Kind::Proof, ..token(most, 50) };
        assert_eq!(memory.spend(&proof, at(1), &mut shared), Ok(()), "proofs are elsewhere");
        assert_eq!(memory.spend(&token(0, 50), at(1), &mut shared), Err(NotUsed::Again));
        assert_eq!(memory.spend(&token(most, 99), at(61), &mut shared), Ok(()));
        assert!(shared.entries.values().all(|(text, _)| text.len() == RECORD));
    }

    #[test]
    fn of_two_at_once_one_is_first() {
        let memory = Memory::new(1, "");
        let mut shared = Shared { between: vec![token(1, 50)], ..Shared::default() };
        assert_eq!(memory.spend(&token(1, 50), at(0), &mut shared), Err(NotUsed::Again));
        // Others in the same bucket only cost another attempt.
        shared.between = (10..20).map(|jti| token(jti, 50)).collect();
        assert_eq!(memory.spend(&token(2, 50), at(0), &mut shared), Ok(()));
        assert_eq!(memory.spend(&token(2, 50), at(0), &mut shared), Err(NotUsed::Again));
        for jti in 10..20 {
            assert_eq!(memory.spend(&token(jti, 50), at(0), &mut shared), Err(NotUsed::Again));
        }
    }

    #[test]
    fn nonsense_and_a_broken_host_refuse() {
        let (memory, mut shared) = (Memory::new(1, ""), Shared::default());
        assert_eq!(memory.spend(&token(1, 50), at(0), &mut shared), Ok(()));
        let entry = shared.entries.keys().next().unwrap().clone();
        for spoiled in [vec![0], vec![0; RECORD + 1], vec![0; RECORD * (RECORDS_PER_BUCKET + 1)]] {
            shared.entries.insert(entry.clone(), (spoiled.clone(), 7));
            assert_eq!(memory.spend(&token(2, 50), at(0), &mut shared), Err(NotUsed::Failed));
            assert_eq!(shared.entries[&entry].0, spoiled, "and nothing is written");
        }
        let mut broken = Shared { is_broken: true, ..Shared::default() };
        assert_eq!(memory.spend(&token(2, 50), at(0), &mut broken), Err(NotUsed::Failed));
    }

    #[test]
    fn who_does_not_know_the_secret_or_the_size_is_elsewhere() {
        let names = [Memory::new(1_000, ""), Memory::new(1_000, "s"), Memory::new(100, "")];
        let names: BTreeSet<_> = names.iter().map(|own| &own.name).collect();
        assert_eq!(names.len(), 3);
        assert_ne!(mark(Kind::Token, &[b"ab", b"c"]), mark(Kind::Token, &[b"a", b"bc"]));
        assert_ne!(mark(Kind::Token, &[b"a"]), mark(Kind::Proof, &[b"a"]));
    }
}
