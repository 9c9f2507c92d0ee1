//! What a forwarding counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The figures of a forwarding since its start; they may be read at any time.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    connections: AtomicUsize,
    refused: AtomicU64,
}

impl Counters {
    /// Returns how many bytes were read from the counted side.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Returns how many bytes were written to the counted side.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns how many connections there are now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Returns how many connections were closed because no slot was free or no target answered.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// The place of one connection among all; it is given back when dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Counters>);

impl Place {
    /// Takes a place, unless `limit` are taken; 0 is no limit.
    pub(super) fn take(counters: &Arc<Counters>, limit: usize) -> Option<Self> {
        let free = |taken: usize| (limit == 0 || taken < limit).then_some(taken + 1);
        let taken = counters.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free);
        taken.is_ok().then(|| Self(counters.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
