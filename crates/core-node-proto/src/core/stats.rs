//! The statistics of a node. §10.9.

use crate::message::{NodeStats, SystemStats, XrayStats};
use crate::value::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;
use web_time::Instant;

/// The latest statistics of a node, and some before.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    pub(super) latest: Option<(LatestStats, Instant)>,
    pub(super) history: VecDeque<Sample>,
}

/// The latest statistics of a node.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LatestStats {
    /// When they were received.
    pub received_at: Timestamp,
    /// The statistics.
    pub stats: Arc<NodeStats>,
}

/// Statistics of a node at some time, without those about MTProto, which have no limit of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// When they were received.
    pub received_at: Timestamp,
    /// The host.
    pub system: Option<SystemStats>,
    /// Xray.
    pub xray: Option<XrayStats>,
}

impl Stats {
    /// Takes statistics, and keeps at most so many samples.
    pub(super) fn take(&mut self, stats: Arc<NodeStats>, received_at: Timestamp, now: Instant, most: usize) {
        while self.history.len() >= most.max(1) {
            self.history.pop_front();
        }
        if most > 0 {
            self.history.push_back(Sample { received_at, system: stats.system, xray: stats.xray });
        }
        self.latest = Some((LatestStats { received_at, stats }, now));
    }
}
