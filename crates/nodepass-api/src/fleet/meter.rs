//! From counters to rates. §7.2.

use super::Rates;
use crate::wire::Traffic;
use std::time::Duration;
use web_time::Instant;

/// Follows the counters of an instance.
#[derive(Default)]
pub(super) struct Meter {
    /// When the time began of which the next sample is; `None` while the instance does not run.
    since: Option<Instant>,
    counters: [Counter; 4],
}

/// What a meter needs to know beside the counters.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) is_running: bool,
    /// Whether a counter that was reset on a running instance stays so.
    pub(super) reset_holds: bool,
    pub(super) now: Instant,
    /// The least time between samples.
    pub(super) interval: Duration,
}

impl Meter {
    /// Takes the counters as they are now and returns rates if it is time for a sample.
    pub(super) fn read(&mut self, traffic: Traffic, reading: Reading) -> Option<Rates> {
        let Traffic { tcprx, tcptx, udprx, udptx } = traffic;
        let totals = [tcprx, tcptx, udprx, udptx];
        let Some(since) = self.since.filter(|_| reading.is_running) else {
            self.counters = totals.map(|seen| Counter { seen, ..Counter::default() });
            let was_running = self.since.take().is_some();
            self.since = reading.is_running.then_some(reading.now);
            return was_running.then(Rates::default);
        };
        for (counter, total) in self.counters.iter_mut().zip(totals) {
            counter.read(total, reading.reset_holds);
        }
        let elapsed = reading.now.saturating_duration_since(since);
        if elapsed.is_zero() || elapsed < reading.interval {
            return None;
        }
        self.since = Some(reading.now);
        let rate = |counter: &mut Counter| std::mem::take(&mut counter.gained) as f64 / elapsed.as_secs_f64();
        let [tcprx, tcptx, udprx, udptx] = self.counters.each_mut().map(rate);
        Some(Rates { tcprx, tcptx, udprx, udptx })
    }
}

#[derive(Clone, Copy, Default)]
struct Counter {
    seen: u64,
    /// What was counted since the last sample.
    gained: u64,
    /// The total before a fall, until the counter moves again.
    before_fall: Option<u64>,
}

impl Counter {
    fn read(&mut self, total: u64, reset_holds: bool) {
        if total < self.seen {
            // A total other than 0 is one that is out of date, and the right one comes back. After a reset it only does on
            // masters whose reset does not hold.
            let returns = total > 0 || !reset_holds;
            self.before_fall =
                returns.then(|| self.before_fall.map_or(self.seen, |before| before.max(self.seen)));
        } else if total > self.seen {
            let from = self.before_fall.take().filter(|&before| total >= before).unwrap_or(self.seen);
            self.gained = self.gained.saturating_add(total - from);
        }
        self.seen = total;
    }
}
