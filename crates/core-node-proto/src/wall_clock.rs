//! The time of day, which a machine is told and then counts on.

use crate::value::Timestamp;
use web_time::Instant;

/// What the time of day was at an instant.
#[derive(Clone, Copy)]
pub(crate) struct WallClock {
    at: Timestamp,
    since: Instant,
}

#[allow(dead_code, reason = "each role uses its own part")]
impl WallClock {
    pub(crate) fn new(at: Timestamp, now: Instant) -> Self {
        Self { at, since: now }
    }

    pub(crate) fn set(&mut self, at: Timestamp, now: Instant) {
        *self = Self::new(at, now);
    }

    /// Returns the time of day at `now`, at most the last that there is.
    pub(crate) fn at(&self, now: Instant) -> Timestamp {
        let passed = now.saturating_duration_since(self.since).as_millis();
        self.at.saturating_add_milliseconds(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}
