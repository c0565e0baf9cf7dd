//! The time as the host tells it: the core never reads a clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time, counted from the Unix epoch (RFC 7519 section 2, NumericDate, but finer).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct UnixTime(Duration);

impl UnixTime {
    /// The far end of the scale.
    pub const MAX: Self = Self(Duration::MAX);

    /// The time `nanos` nanoseconds after the epoch, the unit of the Proxy-Wasm clock.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }

    /// The time `secs` seconds after the epoch, the unit of token claims.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// This time and `span` more; the far end of the scale instead of an overflow.
    pub const fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// This time less `span`; the epoch instead of an underflow.
    pub const fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The nanoseconds within the second: the only source of variety that a plugin has.
    pub(crate) const fn subsec_nanos(self) -> u32 {
        self.0.subsec_nanos()
    }
}
