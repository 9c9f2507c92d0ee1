//! A node, with what of it is being stored.

use super::batches::Batches;
use super::stats::Stats;
use super::{NodeRecord, StoreId};
use std::collections::VecDeque;
use std::sync::Arc;
use web_time::Instant;

/// A node. Transactions end in order, so records that are being stored wait in a queue.
pub(super) struct Node {
    /// As it is stored.
    pub(super) record: Arc<NodeRecord>,
    in_flight: VecDeque<(StoreId, Arc<NodeRecord>)>,
    pub(super) batches: Batches,
    pub(super) stats: Stats,
    /// When it has been silent for too long.
    pub(super) silent_at: Option<Instant>,
    /// Whether it is being removed; then it may do nothing.
    pub(super) is_leaving: bool,
}

impl Node {
    pub(super) fn new(record: Arc<NodeRecord>) -> Self {
        Self {
            record,
            in_flight: VecDeque::new(),
            batches: Batches::default(),
            stats: Stats::default(),
            silent_at: None,
            is_leaving: false,
        }
    }

    /// Returns the record that the next change starts from: the last one that is being stored, or else the stored one.
    pub(super) fn latest(&self) -> &Arc<NodeRecord> {
        self.in_flight.back().map_or(&self.record, |(_, record)| record)
    }

    pub(super) fn begin(&mut self, store: StoreId, record: Arc<NodeRecord>) {
        self.in_flight.push_back((store, record));
    }

    /// Takes the record of a transaction that has ended out of the queue.
    pub(super) fn end(&mut self, store: StoreId) -> Option<Arc<NodeRecord>> {
        let is_next = self.in_flight.front().is_some_and(|(id, _)| *id == store);
        is_next.then(|| self.in_flight.pop_front()).flatten().map(|(_, record)| record)
    }

    /// Whether a change of it is being stored.
    pub(super) fn is_changing(&self) -> bool {
        !self.in_flight.is_empty()
    }
}
