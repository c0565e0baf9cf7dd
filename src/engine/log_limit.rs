//! Keeps a flood of refusals from becoming a flood of log lines.

use crate::time::UnixTime;

/// Lines per second: enough to see what is going on, too few to fill a disk.
const LINES_PER_SECOND: u32 = 10;

/// Admits a bounded number of lines per second.
#[derive(Default)]
pub(super) struct LogLimit {
    second: u64,
    written: u32,
    dropped: u64,
}

impl LogLimit {
    /// Whether a line may be written now; if so, how many were left out before it.
    pub(super) fn admit(&mut self, now: UnixTime) -> Option<u64> {
        if now.as_secs() != self.second {
            self.second = now.as_secs();
            self.written = 0;
        }
        if self.written >= LINES_PER_SECOND {
            self.dropped = self.dropped.saturating_add(1);
            return None;
        }
        self.written = self.written.saturating_add(1);
        Some(std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_ten_a_second_and_counts_the_rest() {
        let mut limit = LogLimit::default();
        let admitted = (0..25).filter(|_| limit.admit(UnixTime::from_secs(7)).is_some()).count();
        assert_eq!(admitted, 10);
        assert_eq!(limit.admit(UnixTime::from_secs(8)), Some(15));
        assert_eq!(limit.admit(UnixTime::from_secs(8)), Some(0));
    }
}
