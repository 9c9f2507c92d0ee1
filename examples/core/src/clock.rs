//! The wall clock of a program: the system's, or one that stands still until it is set.

use core_node_proto::value::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the time of day comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The system's clock.
    System,
    /// For tests: it stands still.
    Standing(Timestamp),
}

impl Clock {
    /// Returns the time of day.
    #[must_use]
    pub fn read(self) -> Timestamp {
        match self {
            Self::System => now(),
            Self::Standing(at) => at,
        }
    }
}

/// Returns the time of day of the system's clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let milliseconds = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_milliseconds(milliseconds).unwrap_or(Timestamp::MAX)
}
