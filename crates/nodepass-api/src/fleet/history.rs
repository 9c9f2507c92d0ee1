//! Rates over time.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Bytes a second of the four counters. Never negative, always finite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "TCP and UDP, both ways")]
pub struct Rates {
    /// TCP, read.
    pub tcprx: f64,
    /// TCP, written.
    pub tcptx: f64,
    /// UDP, read.
    pub udprx: f64,
    /// UDP, written.
    pub udptx: f64,
}

/// The rates of a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a moment and four rates")]
pub struct Sample {
    /// When the time that the rates are of ended: milliseconds since the beginning of 1970.
    pub unix_milliseconds: i64,
    /// Bytes a second of TCP, read.
    pub tcprx: f64,
    /// Bytes a second of TCP, written.
    pub tcptx: f64,
    /// Bytes a second of UDP, read.
    pub udprx: f64,
    /// Bytes a second of UDP, written.
    pub udptx: f64,
}

impl Sample {
    pub(super) fn new(unix_milliseconds: i64, rates: Rates) -> Self {
        let Rates { tcprx, tcptx, udprx, udptx } = rates;
        Self { unix_milliseconds, tcprx, tcptx, udprx, udptx }
    }

    /// Returns the rates.
    #[must_use]
    pub fn rates(&self) -> Rates {
        let Self { tcprx, tcptx, udprx, udptx, .. } = *self;
        Rates { tcprx, tcptx, udprx, udptx }
    }

    /// Returns it as a rate can be: what is negative or no number is zero.
    fn cleaned(self) -> Self {
        let clean = |rate: f64| if rate.is_finite() { rate.max(0.0) } else { 0.0 };
        Self {
            tcprx: clean(self.tcprx),
            tcptx: clean(self.tcptx),
            udprx: clean(self.udprx),
            udptx: clean(self.udptx),
            ..self
        }
    }
}

/// Samples of an instance's rates, the oldest first. Serialized it is a list of them, to be kept over a restart of the
/// application and given back with [`Fleet::import_history`](super::Fleet::import_history).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(VecDeque<Sample>);

impl History {
    /// Returns the samples, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Sample> + ExactSizeIterator {
        self.0.iter()
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, sample: Sample, limit: usize) {
        while self.0.len() >= limit.max(1) {
            self.0.pop_front();
        }
        if limit > 0 {
            self.0.push_back(sample);
        }
    }

    /// Returns how many samples there may be if it may grow by so many bytes.
    pub(super) fn most(&self, room: usize) -> usize {
        self.0.len() + room / size_of::<Sample>()
    }

    /// Puts samples that are older than all of these before them.
    pub(super) fn import(&mut self, older: &Self, limit: usize) {
        let first = self.0.front().map_or(i64::MAX, |sample| sample.unix_milliseconds);
        let older = older.iter().rev().filter(|sample| sample.unix_milliseconds < first);
        for sample in older.take(limit.saturating_sub(self.0.len())) {
            self.0.push_front(sample.cleaned());
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.len() * size_of::<Sample>()
    }
}
