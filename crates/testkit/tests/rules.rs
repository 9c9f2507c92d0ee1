//! Each rule holds for a sound machine, and its check catches one that breaks it.

use std::collections::VecDeque;
use std::time::Duration;
use testkit::rules::*;
use testkit::{Machine, epoch};
use web_time::Instant;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    EarlyOutput,
    EarlyRearm,
    StaysDue,
    RefillsOnPoll,
    RefusalTransmits,
    RefusalRearms,
    IgnoresTheEnd,
    LateWords,
    KeepsNothingBetweenPieces,
    ArmsPerPiece,
    WakesOften,
}

/// Echoes lines, says "late" when none came for a second, and refuses empty words.
struct Echo {
    fault: Fault,
    line: Vec<u8>,
    deadline: Option<Instant>,
    outputs: VecDeque<String>,
    closed: bool,
    dry_polls: u32,
}

impl Echo {
    fn new(fault: Fault) -> Self {
        let deadline = Some(epoch() + SECOND);
        Self { fault, line: Vec::new(), deadline, outputs: VecDeque::new(), closed: false, dry_polls: 0 }
    }

    fn handle_bytes(&mut self, bytes: &[u8]) {
        if self.closed && self.fault != Fault::IgnoresTheEnd {
            return;
        }
        if self.fault == Fault::KeepsNothingBetweenPieces {
            self.line.clear();
        }
        if self.fault == Fault::ArmsPerPiece {
            self.deadline = self.deadline.map(|at| at + SECOND);
        }
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.outputs.push_back(String::from_utf8_lossy(&line).into_owned());
            } else {
                self.line.push(byte);
            }
        }
    }

    fn say(&mut self, word: &str) -> Result<(), ()> {
        if word.is_empty() {
            match self.fault {
                Fault::RefusalTransmits => self.outputs.push_back("oops".to_owned()),
                Fault::RefusalRearms => self.deadline = None,
                _ => {}
            }
            return Err(());
        }
        self.outputs.push_back(word.to_owned());
        Ok(())
    }

    fn close(&mut self) {
        self.closed = true;
        if self.fault != Fault::IgnoresTheEnd {
            self.deadline = None;
        }
    }
}

impl Machine for Echo {
    type Output = String;
    fn handle_timeout(&mut self, now: Instant) {
        if self.closed && self.fault == Fault::LateWords && now > epoch() + SECOND {
            self.outputs.push_back("late words".to_owned());
        }
        if self.deadline.is_some_and(|at| at <= now) {
            self.outputs.push_back("late".to_owned());
            self.deadline = match self.fault {
                Fault::StaysDue => Some(now),
                Fault::WakesOften => Some(now + SECOND / 1000),
                _ => Some(now + SECOND),
            };
        } else if !self.closed && self.fault == Fault::EarlyOutput {
            self.outputs.push_back("early".to_owned());
        } else if self.fault == Fault::EarlyRearm {
            self.deadline = self.deadline.map(|at| at + SECOND);
        }
    }
    fn poll_output(&mut self) -> Option<String> {
        let output = self.outputs.pop_front();
        if output.is_none() && self.fault == Fault::RefillsOnPoll {
            self.dry_polls += 1;
            return (self.dry_polls == 2).then(|| "again".to_owned());
        }
        output
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
}

fn spoken(fault: Fault) -> Echo {
    let mut echo = Echo::new(fault);
    echo.say("word").unwrap();
    echo
}

fn closed(fault: Fault) -> Echo {
    let mut echo = Echo::new(fault);
    echo.close();
    echo
}

#[test]
fn a_sound_machine_passes_every_check() {
    let mut echo = spoken(Fault::None);
    assert_eq!(check_after_step(&mut echo, epoch()), ["word"]);
    assert_eq!(check_after_step(&mut echo, epoch() + SECOND), ["late"]);
    check_nothing_unannounced(&mut echo, epoch() + SECOND);
    assert_eq!(check_command(&mut echo, |echo| echo.say("")), Err(()));
    check_refused_command(false, &["output"]);
    check_refused_command::<String>(true, &[]);
    let log = check_no_busy_loop(&mut echo, epoch() + SECOND, SECOND * 2, 2);
    assert_eq!(log.len(), 2);
    let feed = Echo::handle_bytes;
    check_cut_invariance(|| Echo::new(Fault::None), feed, b"one\ntwo\nthree", &[9, 2, 2, 4, 0, 99]);
    check_cut_invariance_by(|| Echo::new(Fault::None), feed, |output| output.len(), b"one\ntwo\n", &[]);
    let mut over = closed(Fault::None);
    check_closed(&mut over, epoch());
    check_closed_ignores(&mut over, |over| over.handle_bytes(b"one\n"));
    check_nothing_unannounced(&mut over, epoch());
}

#[test]
#[should_panic(expected = "rule: a drained machine stays drained; polling again gave \"again\"")]
fn output_made_by_polling_is_caught() {
    check_after_step(&mut spoken(Fault::RefillsOnPoll), epoch());
}

#[test]
#[should_panic(expected = "rule: an early handle_timeout does nothing; it emitted \"early\"")]
fn output_of_an_early_timeout_is_caught() {
    check_after_step(&mut spoken(Fault::EarlyOutput), epoch());
}

#[test]
#[should_panic(expected = "rule: an early handle_timeout does nothing; it moved the deadline")]
fn a_deadline_moved_by_an_early_timeout_is_caught() {
    check_after_step(&mut spoken(Fault::EarlyRearm), epoch());
}

#[test]
#[should_panic(expected = "rule: after handle_timeout(t) no deadline at or before t remains")]
fn a_deadline_that_stays_due_is_caught() {
    check_after_step(&mut spoken(Fault::StaysDue), epoch() + SECOND);
}

#[test]
#[should_panic(expected = "rule: nothing happens that no deadline announced")]
fn unannounced_work_is_caught() {
    check_nothing_unannounced(&mut Echo::new(Fault::EarlyOutput), epoch());
}

#[test]
#[should_panic(expected = "rule: a refused command leaves no output; it left [\"oops\"]")]
fn output_of_a_refused_command_is_caught() {
    let _ = check_command(&mut Echo::new(Fault::RefusalTransmits), |echo| echo.say(""));
}

#[test]
#[should_panic(expected = "rule: a refused command leaves no output; it left [1]")]
fn output_after_a_refusal_is_caught() {
    check_refused_command(true, &[1]);
}

#[test]
#[should_panic(expected = "rule: a refused command changes nothing; it moved the deadline")]
fn a_deadline_moved_by_a_refused_command_is_caught() {
    let _ = check_command(&mut Echo::new(Fault::RefusalRearms), |echo| echo.say(""));
}

#[test]
#[should_panic(expected = "rule: after the end nothing but None; there was a deadline")]
fn a_deadline_after_the_end_is_caught() {
    check_closed(&mut closed(Fault::IgnoresTheEnd), epoch());
}

#[test]
#[should_panic(expected = "rule: after the end nothing but None; there was \"late words\"")]
fn output_long_after_the_end_is_caught() {
    check_closed(&mut closed(Fault::LateWords), epoch());
}

#[test]
#[should_panic(expected = "rule: after the end nothing but None; there was \"one\"")]
fn an_input_taken_after_the_end_is_caught() {
    let mut echo = closed(Fault::IgnoresTheEnd);
    echo.deadline = None;
    check_closed_ignores(&mut echo, |echo| echo.handle_bytes(b"one\n"));
}

#[test]
#[should_panic(expected = "rule: the cut of the input does not matter; whole [\"one\"]")]
fn a_cut_that_changes_outputs_is_caught() {
    check_cut_invariance(|| Echo::new(Fault::KeepsNothingBetweenPieces), Echo::handle_bytes, b"one\n", &[1]);
}

#[test]
#[should_panic(expected = "rule: the cut of the input does not matter; deadlines")]
fn a_cut_that_changes_the_deadline_is_caught() {
    check_cut_invariance(|| Echo::new(Fault::ArmsPerPiece), Echo::handle_bytes, b"one\n", &[1]);
}

#[test]
#[should_panic(expected = "rule: no busy loop; more than 100 wake-ups within 2s")]
fn a_machine_that_wakes_too_often_is_caught() {
    check_no_busy_loop(&mut Echo::new(Fault::WakesOften), epoch(), SECOND * 2, 100);
}
