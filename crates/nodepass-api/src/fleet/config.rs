//! Limits, and moments.

use std::time::Duration;
use web_time::Instant;

/// Limits of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The most instances; further ones, and those whose id has more than 64 bytes, are ignored, which
    /// [`Change::Full`](super::Change::Full) tells. 65 536.
    pub max_instances: usize,
    /// The most bytes that all members may take together, roughly. 1 GiB. Beyond it instances are not added and none
    /// grows; histories and logs forget something old for each new entry.
    pub max_bytes: usize,
    /// Samples in the rate history of an instance; 0 keeps none. 1 000.
    pub history_samples: usize,
    /// Lines in the log of an instance; 0 keeps none. 500.
    pub log_lines: usize,
    /// Bytes of text in the log of an instance. A longer line is cut. 64 KiB.
    pub log_bytes: usize,
    /// The least time between two samples of rates. 1 s.
    pub rate_interval: Duration,
    /// How long the counters of a running instance must have stood still before its rates are said to be zero. It should be
    /// more than two of the intervals in which processes report (§5). 12 s.
    pub rate_silence: Duration,
}

impl Default for Config {
    /// 65 536 instances, 1 GiB, and for each 1 000 samples, 500 lines and 64 KiB; at most a sample a second, and zero after 12 s.
    fn default() -> Self {
        Self {
            max_instances: 65_536,
            max_bytes: 1 << 30,
            history_samples: 1_000,
            log_lines: 500,
            log_bytes: 64 << 10,
            rate_interval: Duration::from_secs(1),
            rate_silence: Duration::from_secs(12),
        }
    }
}

/// When something came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two clocks that there are")]
pub struct Moment {
    /// For what has passed between two moments. One that is earlier than the last counts as that one.
    pub now: Instant,
    /// The wall clock, for people: milliseconds since the beginning of 1970.
    pub unix_milliseconds: i64,
}
