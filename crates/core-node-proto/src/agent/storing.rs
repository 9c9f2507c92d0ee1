//! One store at a time, and what waits for it.

use super::machine::{Agent, Timer};
use super::output::{Event, Output, StoreId};
use crate::StoreFailed;
use crate::value::Revision;

/// Counts the changes of the durable state. What depends on a change being stored remembers its number.
#[derive(Default)]
pub(super) struct Storing {
    /// The newest change.
    pub(super) change: u64,
    /// The newest change that is stored.
    stored: u64,
    /// The revision that is stored.
    revision: Option<Revision>,
    in_flight: Option<InFlight>,
    failures: u32,
}

struct InFlight {
    id: StoreId,
    change: u64,
    revision: Option<Revision>,
}

impl Storing {
    /// Begins with what was restored, which is stored.
    pub(super) fn new(revision: Option<Revision>) -> Self {
        Self { revision, ..Self::default() }
    }

    /// Whether a change is stored.
    pub(super) fn has(&self, change: u64) -> bool {
        self.stored >= change
    }

    /// Whether everything is stored.
    pub(super) fn is_clean(&self) -> bool {
        self.has(self.change)
    }

    pub(super) fn revision(&self) -> Option<Revision> {
        self.revision
    }
}

impl Agent {
    /// Notes that the durable state has changed. It is stored when the input is done with.
    pub(super) fn touch(&mut self) {
        self.storing.change += 1;
    }

    /// Stores what is not, unless a store is under way or has just failed.
    pub(super) fn store(&mut self) {
        let is_busy = self.storing.in_flight.is_some() || self.timers.is_set(&Timer::Store);
        if is_busy || self.storing.is_clean() {
            return;
        }
        let id = StoreId(self.next_id());
        let revision = self.state.revision();
        self.storing.in_flight = Some(InFlight { id, change: self.storing.change, revision });
        self.outputs.push_back(Output::Store { id, snapshot: self.state.clone() });
    }

    pub(super) fn stored(&mut self, id: StoreId, outcome: Result<(), StoreFailed>) {
        let Some(done) = self.storing.in_flight.take_if(|store| store.id == id) else { return };
        match outcome {
            Ok(()) => {
                self.storing.stored = done.change;
                self.storing.revision = done.revision;
                self.storing.failures = 0;
            }
            Err(StoreFailed) => {
                self.event(Event::StoreFailed);
                let wait = self.backoff(self.storing.failures);
                self.storing.failures = self.storing.failures.saturating_add(1);
                self.arm(Timer::Store, wait);
            }
        }
    }
}
