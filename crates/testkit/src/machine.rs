//! The face of a state machine that tests need, and what a faithful driver does with it.

use std::fmt::Debug;
use std::time::Duration;
use web_time::Instant;

/// More outputs from one drain than any machine owes; beyond it, polling never ends.
const MOST_OUTPUTS: usize = 1 << 20;
/// More steps than any machine needs within [`SPIN_WINDOW`] of virtual time.
const MOST_STEPS: u32 = 1 << 18;
const SPIN_WINDOW: Duration = Duration::from_millis(1);

/// A machine as its driver sees it between two inputs; each crate implements it in its own tests.
pub trait Machine {
    /// Work for the driver.
    type Output: Debug;
    /// Lets time pass: whatever was due by `now` happens.
    fn handle_timeout(&mut self, now: Instant);
    /// Returns the next piece of work.
    fn poll_output(&mut self) -> Option<Self::Output>;
    /// Returns when [`handle_timeout`](Self::handle_timeout) is next due.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// Implements [`Machine`] for a newtype by the methods of the machine in it, which have the same names.
#[macro_export]
macro_rules! forward_machine {
    ($wrapper:ty, $output:ty) => {
        impl $crate::Machine for $wrapper {
            type Output = $output;
            fn handle_timeout(&mut self, now: $crate::Instant) {
                self.0.handle_timeout(now);
            }
            fn poll_output(&mut self) -> Option<$output> {
                self.0.poll_output()
            }
            fn poll_timeout(&self) -> Option<$crate::Instant> {
                self.0.poll_timeout()
            }
        }
    };
}

/// Takes every waiting output.
///
/// # Panics
/// If polling does not come to an end.
#[track_caller]
pub fn drain<M: Machine>(machine: &mut M) -> Vec<M::Output> {
    let mut outputs = Vec::new();
    while let Some(output) = machine.poll_output() {
        outputs.push(output);
        assert!(outputs.len() < MOST_OUTPUTS, "rule: polling ends; it did not after {MOST_OUTPUTS} outputs");
    }
    outputs
}

/// Gives every waiting output to `answer`, which may feed the machine; what that queues is given too.
///
/// # Panics
/// If the machine and its answers keep each other busy without end.
#[track_caller]
pub fn drain_with<M: Machine>(
    machine: &mut M,
    now: Instant,
    mut answer: impl FnMut(&mut M, Instant, M::Output),
) {
    let mut count = 0;
    while let Some(output) = machine.poll_output() {
        count += 1;
        assert!(count < MOST_OUTPUTS, "rule: polling ends; it did not after {MOST_OUTPUTS} answered outputs");
        answer(machine, now, output);
    }
}

/// Sleeps exactly to each deadline, as a faithful driver does, until `end`; returns the outputs with their
/// times.
///
/// # Panics
/// If the machine was not drained before; if a deadline stays due after it was handled, so that a real driver
/// would spin; if something happens at `end` that no deadline had announced.
#[track_caller]
pub fn advance<M: Machine>(machine: &mut M, end: Instant) -> Vec<(Instant, M::Output)> {
    let mut log = Vec::new();
    advance_with(machine, end, |_, at, output| log.push((at, output)));
    log
}

/// Like [`advance`], but gives each output to `answer`, which may feed inputs and commands to the machine.
///
/// # Panics
/// As [`advance`].
#[track_caller]
pub fn advance_with<M: Machine>(
    machine: &mut M,
    end: Instant,
    mut answer: impl FnMut(&mut M, Instant, M::Output),
) {
    if let Some(output) = machine.poll_output() {
        panic!("advance: the machine holds undrained output, drain it first: {output:?}");
    }
    let mut guard = SpinGuard::default();
    let mut latest = None;
    while let Some(due) = machine.poll_timeout().filter(|&due| due <= end) {
        let at = latest.map_or(due, |latest| due.max(latest));
        latest = Some(at);
        guard.step(at);
        wake(machine, at);
        drain_with(machine, at, &mut answer);
    }
    assert_quiet(machine, end);
}

/// Handles the deadline at `now`.
///
/// # Panics
/// If a deadline at or before `now` remains.
#[track_caller]
pub(crate) fn wake<M: Machine>(machine: &mut M, now: Instant) {
    machine.handle_timeout(now);
    if let Some(next) = machine.poll_timeout() {
        assert!(
            next > now,
            "rule: after handle_timeout(t) no deadline at or before t remains; one stayed due, {:?} late",
            now - next
        );
    }
}

/// Lets time pass to `now` although nothing is due.
///
/// # Panics
/// If that does anything.
#[track_caller]
pub(crate) fn assert_quiet<M: Machine>(machine: &mut M, now: Instant) {
    let deadline = machine.poll_timeout();
    machine.handle_timeout(now);
    if let Some(output) = machine.poll_output() {
        panic!("rule: nothing happens that no deadline announced; there was {output:?}");
    }
    assert!(
        machine.poll_timeout() == deadline,
        "rule: an early handle_timeout does nothing; it moved the deadline from {deadline:?} to {:?}",
        machine.poll_timeout()
    );
}

/// Finds simulations in which virtual time stands still because somebody never comes to rest.
#[derive(Debug, Default)]
pub(crate) struct SpinGuard {
    since: Option<Instant>,
    steps: u32,
}

impl SpinGuard {
    /// Counts one step at `at`.
    ///
    /// # Panics
    /// If far too many steps came within a moment.
    #[track_caller]
    pub(crate) fn step(&mut self, at: Instant) {
        if self.since.is_none_or(|since| at.saturating_duration_since(since) >= SPIN_WINDOW) {
            self.since = Some(at);
            self.steps = 0;
        }
        self.steps += 1;
        assert!(
            self.steps < MOST_STEPS,
            "rule: no busy loop; {MOST_STEPS} steps were taken within {SPIN_WINDOW:?} of virtual time"
        );
    }
}
