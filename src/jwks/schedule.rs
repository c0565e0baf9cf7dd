//! When keys are fetched: how long a set counts as fresh, and how failures space the attempts.

use std::time::Duration;

use crate::jose::jwk::{KeyIssuers, KeyStrength};
use crate::time::UnixTime;

/// No set is fetched more often than this, however short its `cache_duration` is.
pub const MIN_REFRESH: Duration = Duration::from_secs(1);
/// How long the first fetches may fail without being taken for an outage: at start, Envoy's
/// cluster is often not resolved yet.
pub const WARM_UP: Duration = Duration::from_secs(5);
/// Between attempts while the cluster warms up.
pub const WARM_UP_RETRY: Duration = Duration::from_millis(100);
/// The wait after a first failure, unless configured; each further failure doubles it.
pub const FIRST_BACK_OFF: Duration = Duration::from_millis(500);
/// The longest wait between attempts while there are keys to work with, unless configured.
pub const MAX_BACK_OFF: Duration = Duration::from_secs(30);
/// The longest wait between attempts while requests are refused for want of keys.
pub const MAX_BACK_OFF_WITHOUT_KEYS: Duration = Duration::from_secs(5);
/// The longest that a `Retry-After` is waited for: an issuer that says "tomorrow" is asked again
/// in five minutes, since nobody gets in without keys.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
/// The longest that a fetch can take: two documents of metadata and the set, a minute each.
pub const LONGEST_FLIGHT: Duration = Duration::from_secs(3 * 60 + 5);
/// A fetch this close is worth waiting for.
pub const SOON: Duration = Duration::from_secs(1);
/// What is added to the fetch time-out before an answer counts as lost: the host reports a
/// time-out itself, unless the context that asked is gone.
pub const ANSWER_GRACE: Duration = Duration::from_secs(1);
/// What is added to that before other workers take a fetch over.
pub const LEASE_GRACE: Duration = Duration::from_secs(1);
/// After so many claims that the host did not write, and that nobody else made, it is taken for one
/// without shared data.
pub const CLAIMS_UNTIL_ALONE: u8 = 3;
/// How often a worker looks for keys of others while requests wait for them.
pub const LOOK_WHILE_WAITING: Duration = Duration::from_millis(15);
/// How often it looks otherwise: a withdrawn key is noticed by all workers within this.
pub const LOOK: Duration = Duration::from_secs(1);
/// How long what discovery found is believed, while keys can be fetched from there.
pub const DISCOVERY_FRESH: Duration = Duration::from_secs(3600);
/// After so many failures the issuer's metadata is read again: the keys may have moved.
pub const FAILURES_UNTIL_REDISCOVERY: u32 = 2;

/// How one issuer's keys are fetched and kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FetchSettings {
    /// The longest that a fetched set counts as fresh (`cache_duration`).
    pub fresh_for: Duration,
    /// The shortest, whatever the issuer says (`min_cache_duration`).
    pub fresh_at_least: Duration,
    /// How long past its freshness a set is used while the issuer fails (`stale_if_error`).
    pub stale_for: Duration,
    /// How long one request may take (`timeout`).
    pub timeout: Duration,
    /// The least time between two fetches for unknown `kid`s (`unknown_kid_cooldown`).
    pub cooldown: Duration,
    /// The wait after a first failure; each further one doubles it.
    pub first_back_off: Duration,
    /// The longest wait between attempts while there are keys to work with.
    pub longest_back_off: Duration,
    /// What a key must be.
    pub strength: KeyStrength,
    /// What a key's own `issuer` is.
    pub issuers: KeyIssuers,
}

impl FetchSettings {
    /// How long a set is fresh that the issuer wants to be kept for `max_age`.
    pub fn fresh_for(&self, max_age: Option<Duration>) -> Duration {
        let longest = self.fresh_for.max(MIN_REFRESH);
        let shortest = self.fresh_at_least.clamp(MIN_REFRESH, longest);
        max_age.unwrap_or(longest).clamp(shortest, longest)
    }

    /// When to fetch again a set that is fresh for `fresh_for`: ahead of the end by a tenth of it,
    /// and by up to another tenth so that many gateways do not ask at once.
    pub fn refresh_after(&self, fresh_for: Duration, variety: u64) -> Duration {
        let tenth = fresh_for.checked_div(10).unwrap_or_default();
        let ahead = tenth.saturating_add(part_of(tenth, variety));
        fresh_for.saturating_sub(ahead).max(MIN_REFRESH)
    }

    /// How long to wait after this many failures in a row.
    pub fn back_off(&self, failures: u32, longest: Duration, variety: u64) -> Duration {
        // Ten doublings reach the longest wait from anywhere, and cannot overflow.
        let factor = 1_u32.checked_shl(failures.saturating_sub(1).min(10)).unwrap_or(u32::MAX);
        let wait = self.first_back_off.saturating_mul(factor).min(longest).max(WARM_UP_RETRY);
        let fifth = wait.checked_div(5).unwrap_or_default();
        wait.saturating_sub(part_of(fifth, variety))
    }
}

/// A number that differs between workers and gateways. The plugin has no source of randomness; the
/// nanoseconds of the clock differ enough, and nothing secret depends on it.
pub fn variety(now: UnixTime, number: u64) -> u64 {
    let seed = u64::from(now.subsec_nanos()) ^ number.rotate_left(32);
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
}

fn part_of(span: Duration, variety: u64) -> Duration {
    let thousandths = u32::try_from(variety % 1000).unwrap_or_default();
    span.saturating_mul(thousandths).checked_div(1000).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: FetchSettings = FetchSettings {
        fresh_for: Duration::from_secs(600),
        fresh_at_least: Duration::from_secs(30),
        stale_for: Duration::from_secs(3600),
        timeout: Duration::from_secs(5),
        cooldown: Duration::from_secs(2),
        first_back_off: Duration::from_millis(500),
        longest_back_off: Duration::from_secs(30),
        strength: KeyStrength::Required,
        issuers: KeyIssuers::Ignored,
    };

    #[test]
    fn the_issuer_can_shorten_freshness_within_bounds() {
        let fresh =
            |max_age: Option<u64>| SETTINGS.fresh_for(max_age.map(Duration::from_secs)).as_secs();
        assert_eq!(fresh(None), 600);
        assert_eq!(fresh(Some(100_000)), 600);
        assert_eq!(fresh(Some(120)), 120);
        assert_eq!(fresh(Some(0)), 30);
        let short = FetchSettings { fresh_for: Duration::from_millis(10), ..SETTINGS };
        assert_eq!(short.fresh_for(None), MIN_REFRESH);
    }

    #[test]
    fn failures_space_the_attempts() {
        let wait = |failures, variety| {
            SETTINGS.back_off(failures, SETTINGS.longest_back_off, variety).as_millis()
        };
        assert_eq!(
            [1, 2, 3, 7, 50].map(|failures| wait(failures, 0)),
            [500, 1000, 2000, 30_000, 30_000]
        );
        assert!(wait(1, 999) >= 400);
        let eager = FetchSettings { first_back_off: Duration::ZERO, ..SETTINGS };
        assert_eq!(eager.back_off(1, Duration::from_secs(1), 0), WARM_UP_RETRY);
    }

    #[test]
    fn refreshes_come_early_and_not_all_at_once() {
        let after = |variety| SETTINGS.refresh_after(Duration::from_secs(600), variety).as_secs();
        assert_eq!(after(0), 540);
        assert_eq!(after(999), 480);
        assert_eq!(SETTINGS.refresh_after(Duration::from_secs(1), 999), MIN_REFRESH);
    }
}
