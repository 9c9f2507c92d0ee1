//! The clock of a program: the system's, or one that stands still until it is set.

use core_node_proto::Instant;
use core_node_proto::value::Timestamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The system's clock.
    System,
    /// For tests: it stands still.
    Standing {
        /// The time of day.
        at: Timestamp,
        /// What the machine takes for now.
        now: Instant,
    },
}

impl Clock {
    /// Returns the time of day.
    #[must_use]
    pub fn read(self) -> Timestamp {
        match self {
            Self::System => now(),
            Self::Standing { at, .. } => at,
        }
    }

    /// Returns what the machine takes for now.
    #[must_use]
    pub fn now(self) -> Instant {
        match self {
            Self::System => Instant::now(),
            Self::Standing { now, .. } => now,
        }
    }

    /// Returns a clock that stands at this time of day. As much time has passed as it is later than this one.
    #[must_use]
    pub fn standing_at(self, at: Timestamp) -> Self {
        let passed = at.unix_milliseconds().saturating_sub(self.read().unix_milliseconds());
        let passed = Duration::from_millis(u64::try_from(passed).unwrap_or(0));
        Self::Standing { at, now: self.now().checked_add(passed).unwrap_or_else(|| self.now()) }
    }
}

/// Returns the time of day of the system's clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let milliseconds = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_milliseconds(milliseconds).unwrap_or(Timestamp::MAX)
}
