//! The rules that hold for any input, as checks that property tests and fuzz targets call.
//!
//! Each check returns if the rule holds and panics with a text that names the rule if not.

use crate::machine::{Machine, advance, assert_quiet, drain, wake};
use std::fmt::Debug;
use std::time::Duration;
use web_time::Instant;

/// Long enough for every timer of a protocol.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Checks what holds after every input and command: polling ends and a drained machine stays drained; a
/// deadline that is due is handled and then gone; a `handle_timeout` with nothing due does nothing. Returns
/// all outputs in order: those that waited, and those of a deadline that was due.
///
/// # Panics
/// If one of the rules is broken.
#[track_caller]
pub fn check_after_step<M: Machine>(machine: &mut M, now: Instant) -> Vec<M::Output> {
    let mut outputs = drain(machine);
    assert_stays_drained(machine);
    if machine.poll_timeout().is_some_and(|due| due <= now) {
        wake(machine, now);
        outputs.extend(drain(machine));
        assert_stays_drained(machine);
    }
    if machine.poll_timeout().is_none_or(|due| due > now) {
        assert_early_timeout_does_nothing(machine, now);
    }
    outputs
}

/// Checks that nothing happens until the next deadline, or for a year if there is none. Moves the machine's
/// time to just before that deadline.
///
/// # Panics
/// If something happens that no deadline announced, or if the machine is not drained.
#[track_caller]
pub fn check_nothing_unannounced<M: Machine>(machine: &mut M, now: Instant) {
    assert_stays_drained(machine);
    let end = match machine.poll_timeout() {
        Some(due) => due.checked_sub(Duration::from_nanos(1)).filter(|&end| end >= now),
        None => now.checked_add(A_YEAR),
    };
    if let Some(end) = end {
        assert_quiet(machine, end);
    }
}

/// Checks that a refused command left no output; `outputs` is what the drain right after it returned.
///
/// # Panics
/// If there is any output although the command was refused.
#[track_caller]
pub fn check_refused_command<O: Debug>(refused: bool, outputs: &[O]) {
    assert!(!refused || outputs.is_empty(), "rule: a refused command leaves no output; it left {outputs:?}");
}

/// Runs a command on a drained machine and returns its result. If it was refused, checks that it left no
/// output and the deadline as it was.
///
/// # Panics
/// If the machine is not drained, or if a refused command changed something.
#[track_caller]
pub fn check_command<M: Machine, T, E>(
    machine: &mut M,
    command: impl FnOnce(&mut M) -> Result<T, E>,
) -> Result<T, E> {
    assert_stays_drained(machine);
    let deadline = machine.poll_timeout();
    let result = command(machine);
    if result.is_err() {
        check_refused_command(true, &drain(machine));
        assert!(
            machine.poll_timeout() == deadline,
            "rule: a refused command changes nothing; it moved the deadline from {deadline:?} to {:?}",
            machine.poll_timeout()
        );
    }
    result
}

/// Checks a machine whose end was announced and whose outputs were drained: nothing but `None`, now and a
/// year later.
///
/// # Panics
/// If there is an output or a deadline.
#[track_caller]
pub fn check_closed<M: Machine>(machine: &mut M, now: Instant) {
    assert_over(machine);
    for at in [Some(now), now.checked_add(A_YEAR)].into_iter().flatten() {
        machine.handle_timeout(at);
        assert_over(machine);
    }
}

/// Checks that an input given to a closed and drained machine does nothing.
///
/// # Panics
/// If there is an output or a deadline, before or after it.
#[track_caller]
pub fn check_closed_ignores<M: Machine>(machine: &mut M, input: impl FnOnce(&mut M)) {
    assert_over(machine);
    input(machine);
    assert_over(machine);
}

/// Checks that the cut of the input does not matter: a machine that gets `input` in one piece and one that
/// gets it cut at the positions `cuts` emit equal outputs and then wait for the same deadline.
///
/// Positions past the end are ignored; equal ones feed an empty piece, which must be harmless.
///
/// # Panics
/// If outputs or deadlines differ.
#[track_caller]
pub fn check_cut_invariance<M: Machine>(
    make: impl Fn() -> M,
    feed: impl Fn(&mut M, &[u8]),
    input: &[u8],
    cuts: &[usize],
) where
    M::Output: PartialEq,
{
    check_cut_invariance_by(make, feed, |output| output, input, cuts);
}

/// Like [`check_cut_invariance`] for outputs that cannot be compared: `key` makes something of them that can.
///
/// # Panics
/// As [`check_cut_invariance`].
#[track_caller]
pub fn check_cut_invariance_by<M: Machine, K: PartialEq + Debug>(
    make: impl Fn() -> M,
    feed: impl Fn(&mut M, &[u8]),
    key: impl Fn(M::Output) -> K,
    input: &[u8],
    cuts: &[usize],
) {
    let mut whole = make();
    let mut expected: Vec<_> = drain(&mut whole).into_iter().map(&key).collect();
    feed(&mut whole, input);
    expected.extend(drain(&mut whole).into_iter().map(&key));

    let mut pieced = make();
    let mut outputs: Vec<_> = drain(&mut pieced).into_iter().map(&key).collect();
    for piece in pieces(input, cuts) {
        feed(&mut pieced, piece);
        outputs.extend(drain(&mut pieced).into_iter().map(&key));
    }

    assert!(
        expected == outputs,
        "rule: the cut of the input does not matter; whole {expected:?}, cut at {cuts:?} {outputs:?}"
    );
    assert!(
        whole.poll_timeout() == pieced.poll_timeout(),
        "rule: the cut of the input does not matter; deadlines whole {:?}, cut at {cuts:?} {:?}",
        whole.poll_timeout(),
        pieced.poll_timeout()
    );
}

/// Leaves a drained machine alone for `window` and checks that it wakes its driver at most `most_wakeups`
/// times. Returns the outputs with their times.
///
/// # Panics
/// If it wakes up more often, or as [`advance`].
#[track_caller]
pub fn check_no_busy_loop<M: Machine>(
    machine: &mut M,
    now: Instant,
    window: Duration,
    most_wakeups: usize,
) -> Vec<(Instant, M::Output)> {
    let end = now.checked_add(window).expect("the window stays within what an Instant can hold");
    let mut counted = Counted { machine, wakeups: 0, most_wakeups, window };
    advance(&mut counted, end)
}

/// Counts the deadlines that were due when the driver woke up.
struct Counted<'a, M> {
    machine: &'a mut M,
    wakeups: usize,
    most_wakeups: usize,
    window: Duration,
}

impl<M: Machine> Machine for Counted<'_, M> {
    type Output = M::Output;

    #[track_caller]
    fn handle_timeout(&mut self, now: Instant) {
        if self.machine.poll_timeout().is_some_and(|due| due <= now) {
            self.wakeups += 1;
        }
        assert!(
            self.wakeups <= self.most_wakeups,
            "rule: no busy loop; more than {} wake-ups within {:?}",
            self.most_wakeups,
            self.window
        );
        self.machine.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Self::Output> {
        self.machine.poll_output()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }
}

#[track_caller]
fn assert_stays_drained<M: Machine>(machine: &mut M) {
    for _ in 0..2 {
        if let Some(output) = machine.poll_output() {
            panic!("rule: a drained machine stays drained; polling again gave {output:?}");
        }
    }
}

#[track_caller]
fn assert_early_timeout_does_nothing<M: Machine>(machine: &mut M, now: Instant) {
    let deadline = machine.poll_timeout();
    machine.handle_timeout(now);
    if let Some(output) = machine.poll_output() {
        panic!("rule: an early handle_timeout does nothing; it emitted {output:?}");
    }
    assert!(
        machine.poll_timeout() == deadline,
        "rule: an early handle_timeout does nothing; it moved the deadline from {deadline:?} to {:?}",
        machine.poll_timeout()
    );
}

#[track_caller]
fn assert_over<M: Machine>(machine: &mut M) {
    if let Some(output) = machine.poll_output() {
        panic!("rule: after the end nothing but None; there was {output:?}");
    }
    if let Some(deadline) = machine.poll_timeout() {
        panic!("rule: after the end nothing but None; there was a deadline at {deadline:?}");
    }
}

fn pieces<'a>(input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().copied().filter(|&cut| cut <= input.len()).collect();
    cuts.sort_unstable();
    cuts.push(input.len());
    let mut from = 0;
    cuts.into_iter().map(|to| &input[std::mem::replace(&mut from, to)..to]).collect()
}
