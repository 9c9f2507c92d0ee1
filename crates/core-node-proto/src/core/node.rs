//! A node, with what of it is being stored.

use super::batches::Batches;
use super::stats::Stats;
use super::step::Step;
use super::{NodeRecord, StoreId};
use std::collections::VecDeque;
use std::sync::Arc;
use web_time::Instant;

/// A node. Transactions end in order, so records that are being stored wait in a queue.
pub(super) struct Node {
    /// As it is.
    pub(super) record: Arc<NodeRecord>,
    /// As the database has it. It is another one while a change that failed is still in what was stored after it.
    stored: Arc<NodeRecord>,
    in_flight: VecDeque<InFlight>,
    pub(super) batches: Batches,
    pub(super) stats: Stats,
    /// When it has been silent for too long.
    pub(super) silent_at: Option<Instant>,
    /// Whether it is being removed; then it may do nothing.
    pub(super) is_leaving: bool,
}

/// A change that is being stored.
struct InFlight {
    store: StoreId,
    step: Step,
    /// The record that the transaction has.
    sent: Arc<NodeRecord>,
    /// The same without changes that have failed since.
    record: Arc<NodeRecord>,
}

impl Node {
    pub(super) fn new(record: Arc<NodeRecord>) -> Self {
        Self {
            stored: record.clone(),
            record,
            in_flight: VecDeque::new(),
            batches: Batches::default(),
            stats: Stats::default(),
            silent_at: None,
            is_leaving: false,
        }
    }

    /// Returns the record that the next change starts from: the last one that is being stored, or else the present one.
    pub(super) fn latest(&self) -> &Arc<NodeRecord> {
        self.in_flight.back().map_or(&self.record, |last| &last.record)
    }

    /// Begins a change; returns the record to store.
    pub(super) fn begin(&mut self, store: StoreId, step: Step) -> Arc<NodeRecord> {
        let record = Arc::new(step.after(self.latest()));
        self.in_flight.push_back(InFlight { store, step, sent: record.clone(), record: record.clone() });
        record
    }

    /// A change is stored: takes it over, and returns it with the record before.
    pub(super) fn succeed(&mut self, store: StoreId) -> Option<(Step, Arc<NodeRecord>)> {
        let InFlight { step, sent, record, .. } = self.end(store)?;
        self.stored = sent;
        Some((step, std::mem::replace(&mut self.record, record)))
    }

    /// A change could not be stored: takes it out of those that were made after it, and returns it.
    pub(super) fn fail(&mut self, store: StoreId) -> Option<Step> {
        let failed = self.end(store)?;
        let mut before = &self.record;
        for later in &mut self.in_flight {
            later.record = Arc::new(later.step.after(before));
            before = &later.record;
        }
        Some(failed.step)
    }

    fn end(&mut self, store: StoreId) -> Option<InFlight> {
        let is_next = self.in_flight.front().is_some_and(|next| next.store == store);
        is_next.then(|| self.in_flight.pop_front()).flatten()
    }

    /// Another configuration was stored, and with it that the node is to fetch it. Returns the record before.
    pub(super) fn unsync(&mut self) -> Arc<NodeRecord> {
        let is_stored = self.is_stored();
        let record = Arc::new(self.record.unsynced());
        self.stored = if is_stored { record.clone() } else { Arc::new(self.stored.unsynced()) };
        std::mem::replace(&mut self.record, record)
    }

    /// Whether a change of it is being stored.
    pub(super) fn is_changing(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Whether the database has it as it is.
    pub(super) fn is_stored(&self) -> bool {
        self.stored == self.record
    }
}
