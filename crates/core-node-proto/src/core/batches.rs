//! Recognising batches of usage that were counted before. §9.4.

use super::{BatchDigest, StoreId};
use crate::message::UsageEntry;
use crate::value::{NodeId, Timestamp};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// The batches of one node: those that are being stored, and the latest of those that are.
#[derive(Default)]
pub(super) struct Batches {
    in_flight: HashMap<BatchDigest, StoreId>,
    /// The same in the order of their transactions, which is that of their ends.
    begun: VecDeque<(BatchDigest, Timestamp)>,
    known: HashMap<BatchDigest, Timestamp>,
    /// The known ones as they came. One that was forgotten may still be here.
    order: VecDeque<(BatchDigest, Timestamp)>,
}

impl Batches {
    /// Whether a batch was counted within the window.
    pub(super) fn is_known(&self, batch: &BatchDigest, wall_clock: Timestamp, window: Duration) -> bool {
        self.known.get(batch).is_some_and(|&at| !is_over(at, wall_clock, window))
    }

    /// Returns the transaction that stores a batch right now.
    pub(super) fn storing(&self, batch: &BatchDigest) -> Option<StoreId> {
        self.in_flight.get(batch).copied()
    }

    pub(super) fn begin(&mut self, batch: BatchDigest, at: Timestamp, store: StoreId) {
        self.in_flight.insert(batch, store);
        self.begun.push_back((batch, at));
    }

    /// A batch is not being stored any more.
    pub(super) fn end(&mut self, batch: &BatchDigest) {
        self.in_flight.remove(batch);
        if self.begun.front().is_some_and(|(front, _)| front == batch) {
            self.begun.pop_front();
        }
    }

    /// Returns what is to be forgotten with a batch that is begun, so that all of them will be at most `most`. Those that are
    /// being stored now will be known by then; one of them that was known before is forgotten with its own transaction.
    pub(super) fn superfluous(
        &self,
        wall_clock: Timestamp,
        window: Duration,
        most: usize,
    ) -> Vec<(BatchDigest, Timestamp)> {
        let total = self.known.len() + self.in_flight.len() + 1;
        let surplus = total.saturating_sub(most);
        let is_live = |batch, at| self.known.get(batch) == Some(at) && !self.in_flight.contains_key(batch);
        let live = self.order.iter().filter(|(batch, at)| is_live(batch, at));
        let superfluous = live
            .chain(&self.begun)
            .enumerate()
            .take_while(|&(index, (_, at))| index < surplus || is_over(*at, wall_clock, window));
        superfluous.map(|(_, known)| *known).collect()
    }

    pub(super) fn remember(&mut self, batch: BatchDigest, at: Timestamp) {
        self.known.insert(batch, at);
        self.order.push_back((batch, at));
    }

    /// Forgets a batch, unless it was counted again since.
    pub(super) fn forget(&mut self, (batch, at): &(BatchDigest, Timestamp)) {
        if self.known.get(batch) == Some(at) {
            self.known.remove(batch);
        }
        while self.order.front().is_some_and(|(batch, at)| self.known.get(batch) != Some(at)) {
            self.order.pop_front();
        }
    }
}

/// Whether a window that began at an instant is over.
fn is_over(since: Timestamp, wall_clock: Timestamp, window: Duration) -> bool {
    let passed = wall_clock.unix_milliseconds().saturating_sub(since.unix_milliseconds());
    u128::try_from(passed).is_ok_and(|passed| passed >= window.as_millis())
}

/// Returns what tells a batch of a node from others: its entries in any order, with instants as milliseconds.
pub(super) fn digest(node: &NodeId, entries: &[UsageEntry]) -> BatchDigest {
    let mut sorted = Cow::Borrowed(entries);
    if !entries.is_sorted() {
        sorted.to_mut().sort_unstable();
    }
    let mut hasher = Sha256::new().chain_update(node.to_string()).chain_update(b"\n");
    for entry in sorted.iter() {
        hasher.update(bytes(entry));
    }
    BatchDigest::of(hasher)
}

/// Returns an entry in 36 bytes; no subscription has the id 0.
fn bytes(entry: &UsageEntry) -> [u8; 36] {
    let mut bytes = [0; 36];
    let subscription = entry.subscription_id.map_or(0, |id| id.get());
    bytes[..4].copy_from_slice(&entry.user_id.get().to_be_bytes());
    bytes[4..8].copy_from_slice(&subscription.to_be_bytes());
    bytes[8..12].copy_from_slice(&entry.node_protocol_id.get().to_be_bytes());
    bytes[12..20].copy_from_slice(&entry.bytes_up.get().to_be_bytes());
    bytes[20..28].copy_from_slice(&entry.bytes_down.get().to_be_bytes());
    bytes[28..].copy_from_slice(&entry.recorded_at.unix_milliseconds().to_be_bytes());
    bytes
}
