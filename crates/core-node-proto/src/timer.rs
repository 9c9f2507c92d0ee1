//! Named deadlines.

use std::collections::{BTreeMap, BTreeSet};
use web_time::Instant;

/// One deadline for each reason to wake up, cheap to set and to ask for however many there are.
#[derive(Clone)]
pub(crate) struct Timers<T> {
    deadlines: BTreeMap<T, Instant>,
    order: BTreeSet<(Instant, T)>,
}

#[allow(dead_code, reason = "each role uses its own part")]
impl<T: Clone + Ord> Timers<T> {
    pub(crate) fn new() -> Self {
        Self { deadlines: BTreeMap::new(), order: BTreeSet::new() }
    }

    /// Sets a deadline in the place of an earlier one of the same name; `None` is never.
    pub(crate) fn set(&mut self, timer: T, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.deadlines.insert(timer.clone(), at),
            None => self.deadlines.remove(&timer),
        };
        if let Some(before) = before {
            self.order.remove(&(before, timer.clone()));
        }
        if let Some(at) = at {
            self.order.insert((at, timer));
        }
    }

    /// Whether there is a deadline of this name.
    pub(crate) fn is_set(&self, timer: &T) -> bool {
        self.deadlines.contains_key(timer)
    }

    /// Whether there is such a deadline and it lies ahead.
    pub(crate) fn is_ahead(&self, timer: &T, now: Instant) -> bool {
        self.deadlines.get(timer).is_some_and(|&at| at > now)
    }

    pub(crate) fn clear(&mut self) {
        self.deadlines.clear();
        self.order.clear();
    }

    /// Returns the earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|&(at, _)| at)
    }

    /// Takes the earliest timer that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, T)> {
        let (at, timer) = self.order.first().filter(|&&(at, _)| at <= now)?.clone();
        self.set(timer.clone(), None);
        Some((at, timer))
    }
}
