//! Which `kid` values the issuer was just asked for in vain.
//!
//! Clients choose these names, so the memory is bounded in number and in length; forgetting one
//! only means that its next request waits for the next look-up.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::UnixTime;

/// Most names that are remembered: a flood of invented ones costs at most 64 KiB.
pub const MAX_NAMES: usize = 512;
/// Longest name that is remembered, in octets: thumbprints and UUIDs are far shorter.
pub const MAX_NAME_OCTETS: usize = 128;

/// Names with the time until which they count as absent.
#[derive(Default)]
pub struct AbsentKids {
    until: BTreeMap<String, UnixTime>,
}

impl AbsentKids {
    /// Whether `kid` was looked for in vain and that still counts.
    pub fn contains(&self, kid: &str, now: UnixTime) -> bool {
        self.until.get(kid).is_some_and(|until| now < *until)
    }

    /// Remembers `kid` until `until`, if there is room.
    pub fn insert(&mut self, kid: &str, until: UnixTime, now: UnixTime) {
        if kid.len() > MAX_NAME_OCTETS {
            return;
        }
        if self.until.len() >= MAX_NAMES {
            self.until.retain(|_, until| now < *until);
        }
        if self.until.len() < MAX_NAMES {
            self.until.insert(kid.to_owned(), until);
        }
    }

    /// Moves all times back, after the clock did.
    pub fn shift_back(&mut self, span: Duration) {
        for until in self.until.values_mut() {
            *until = until.before(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_a_while_and_a_bounded_number() {
        let at = UnixTime::from_secs;
        let mut absent = AbsentKids::default();
        absent.insert("a", at(12), at(10));
        assert!(absent.contains("a", at(11)));
        assert!(!absent.contains("a", at(12)));
        assert!(!absent.contains("b", at(11)));
        for index in 0..MAX_NAMES * 2 {
            absent.insert(&format!("kid {index}"), at(20), at(13));
        }
        assert_eq!(absent.until.len(), MAX_NAMES);
        absent.insert("late", at(30), at(20));
        assert!(absent.contains("late", at(21)), "expired names make room");
        absent.insert(&"x".repeat(MAX_NAME_OCTETS + 1), at(40), at(20));
        assert_eq!(absent.until.len(), 1);
    }
}
