//! Draining and sleeping as a faithful driver does.

use std::time::Duration;
use testkit::{Machine, advance, advance_with, drain, drain_with, epoch};
use web_time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Emits its count at every second, and breaks the rules that its fields name.
struct Ticker {
    next: Option<Instant>,
    count: u32,
    outputs: Vec<u32>,
    stays_due: bool,
    unannounced: bool,
    endless: bool,
}

impl Ticker {
    fn new() -> Self {
        let next = Some(epoch() + SECOND);
        Self { next, count: 0, outputs: Vec::new(), stays_due: false, unannounced: false, endless: false }
    }
}

impl Machine for Ticker {
    type Output = u32;
    fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_some_and(|at| at <= now) {
            self.count += 1;
            self.outputs.push(self.count);
            if !self.stays_due {
                self.next = Some(now + SECOND);
            }
        } else if self.unannounced {
            self.outputs.push(0);
        }
    }
    fn poll_output(&mut self) -> Option<u32> {
        if self.endless { Some(7) } else { self.outputs.pop() }
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

#[test]
fn advance_sleeps_exactly_to_each_deadline() {
    let log = advance(&mut Ticker::new(), epoch() + SECOND * 5 / 2);
    assert_eq!(log, [(epoch() + SECOND, 1), (epoch() + SECOND * 2, 2)]);
}

#[test]
fn an_answer_may_feed_the_machine_and_is_carried_out_at_the_same_time() {
    let mut log = Vec::new();
    advance_with(&mut Ticker::new(), epoch() + SECOND, |ticker, at, output| {
        log.push((at - epoch(), output));
        if output < 100 {
            ticker.outputs.push(output + 100);
            ticker.next = None;
        }
    });
    assert_eq!(log, [(SECOND, 1), (SECOND, 101)]);
}

#[test]
fn drains_take_all_that_waits() {
    let mut ticker = Ticker::new();
    ticker.outputs = vec![2, 1];
    assert_eq!(drain(&mut ticker), [1, 2]);
    ticker.outputs = vec![1];
    let mut answered = Vec::new();
    drain_with(&mut ticker, epoch(), |ticker, _, output| {
        answered.push(output);
        if output == 1 {
            ticker.outputs.push(9);
        }
    });
    assert_eq!(answered, [1, 9]);
}

#[test]
#[should_panic(expected = "no deadline at or before t remains")]
fn a_deadline_that_stays_due_is_refused() {
    advance(&mut Ticker { stays_due: true, ..Ticker::new() }, epoch() + SECOND);
}

#[test]
#[should_panic(expected = "nothing happens that no deadline announced; there was 0")]
fn work_that_no_deadline_announced_is_refused() {
    advance(&mut Ticker { unannounced: true, ..Ticker::new() }, epoch() + SECOND / 2);
}

#[test]
#[should_panic(expected = "undrained output, drain it first: 5")]
fn a_machine_that_was_not_drained_is_refused() {
    advance(&mut Ticker { outputs: vec![5], ..Ticker::new() }, epoch());
}

#[test]
#[should_panic(expected = "rule: polling ends")]
fn polling_without_end_is_refused() {
    drain(&mut Ticker { endless: true, ..Ticker::new() });
}

#[test]
#[should_panic(expected = "rule: no busy loop")]
fn an_answer_that_always_rearms_is_refused() {
    advance_with(&mut Ticker::new(), epoch() + SECOND, |ticker, at, _| ticker.next = Some(at));
}
