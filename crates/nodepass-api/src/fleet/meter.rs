//! From counters to rates. §7.

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
    /// Whether this comes with a line of a log. Such a frame repeats counters, and says nothing of when they were read.
    pub(super) is_log: bool,
    /// The least time between samples.
    pub(super) interval: Duration,
    /// How long counters that stand still may yet be those of a process that has not reported again.
    pub(super) silence: Duration,
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
        if reading.is_log {
            return None;
        }
        for (counter, total) in self.counters.iter_mut().zip(totals) {
            counter.read(total, reading.reset_holds);
        }
        let has_risen = self.counters.iter().any(|counter| counter.has_risen);
        let elapsed = reading.now.saturating_duration_since(since);
        // A process reports now and then. Between two reports other frames repeat what it said, and the time goes on.
        let least = if has_risen { reading.interval } else { reading.interval.max(reading.silence) };
        if elapsed.is_zero() || elapsed < least {
            return None;
        }
        self.since = Some(reading.now);
        let rate = |counter: &mut Counter| {
            counter.has_risen = false;
            std::mem::take(&mut counter.gained) as f64 / elapsed.as_secs_f64()
        };
        let [tcprx, tcptx, udprx, udptx] = self.counters.each_mut().map(rate);
        Some(Rates { tcprx, tcptx, udprx, udptx })
    }
}

#[derive(Clone, Copy, Default)]
struct Counter {
    seen: u64,
    /// What was counted since the last sample.
    gained: u64,
    /// Whether it has risen since then.
    has_risen: bool,
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
            self.has_risen = true;
            let from = self.before_fall.take().filter(|&before| total >= before).unwrap_or(self.seen);
            self.gained = self.gained.saturating_add(total - from);
        }
        self.seen = total;
    }
}
