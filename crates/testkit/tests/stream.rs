//! Two toy machines over a virtual stream.

use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;
use testkit::network::Conditions;
use testkit::stream::{Side, StreamMachine, StreamNews, StreamPair, StreamWork};
use testkit::{Machine, epoch};
use web_time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Reports each line, answers "ping" by "pong", hangs up at "quit", and gives up after ten silent seconds.
struct Liner {
    line: Vec<u8>,
    deadline: Option<Instant>,
    outputs: VecDeque<StreamWork<String>>,
    pieces: usize,
}

impl Liner {
    fn new() -> Self {
        Self { line: Vec::new(), deadline: Some(epoch() + 10 * SECOND), outputs: VecDeque::new(), pieces: 0 }
    }

    fn say(&mut self, line: &str) {
        self.outputs.push_back(StreamWork::Transmit(Bytes::from(format!("{line}\n"))));
    }

    fn close(&mut self, why: &str) {
        if self.deadline.take().is_some() {
            self.outputs.push_back(StreamWork::Disconnect);
            self.outputs.push_back(StreamWork::Event(why.to_owned()));
        }
    }
}

impl Machine for Liner {
    type Output = StreamWork<String>;
    fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|at| at <= now) {
            self.close("silence");
        }
    }
    fn poll_output(&mut self) -> Option<Self::Output> {
        self.outputs.pop_front()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
}

impl StreamMachine for Liner {
    type Event = String;
    fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        self.pieces += 1;
        self.deadline = Some(now + 10 * SECOND);
        self.line.extend_from_slice(bytes);
        while let Some(at) = self.line.iter().position(|&byte| byte == b'\n') {
            let line: Vec<_> = self.line.drain(..=at).collect();
            let line = String::from_utf8_lossy(&line[..at]).into_owned();
            match line.as_str() {
                "ping" => self.say("pong"),
                "quit" => return self.close("asked to quit"),
                _ => {}
            }
            self.outputs.push_back(StreamWork::Event(line));
        }
    }
    fn handle_disconnect(&mut self, _now: Instant) {
        self.deadline = None;
        self.outputs.push_back(StreamWork::Event("lost".to_owned()));
    }
    fn work(output: Self::Output) -> StreamWork<String> {
        output
    }
}

fn pair(conditions: Conditions) -> StreamPair<Liner, Liner> {
    StreamPair::new(Liner::new(), Liner::new(), epoch(), conditions, 1)
}

fn slow() -> Conditions {
    Conditions { delay: SECOND, ..Conditions::default() }
}

fn log(events: &[(Instant, String)]) -> Vec<(u64, &str)> {
    events.iter().map(|(at, event)| ((*at - epoch()).as_secs(), event.as_str())).collect()
}

#[test]
fn an_answer_comes_after_both_delays() {
    let mut pair = pair(slow());
    pair.a.say("ping");
    pair.run_until(epoch() + 5 * SECOND);
    assert_eq!(log(&pair.b_events), [(1, "ping")]);
    assert_eq!(log(&pair.a_events), [(2, "pong")]);
    let senders: Vec<_> = pair.wire.iter().map(|(_, side, bytes)| (*side, &bytes[..])).collect();
    assert_eq!(senders, [(Side::A, &b"ping\n"[..]), (Side::B, b"pong\n")]);
    assert_eq!(pair.now(), epoch() + 5 * SECOND);
}

#[test]
fn a_stream_that_is_cut_into_pieces_keeps_its_order() {
    let mut pair = pair(Conditions { jitter: SECOND, largest_piece: Some(2), ..slow() });
    pair.a.say("one two three four");
    pair.a.say("five");
    pair.run_until(epoch() + 5 * SECOND);
    assert!(pair.b.pieces >= 12);
    let lines: Vec<_> = pair.b_events.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(lines, ["one two three four", "five"]);
}

#[test]
fn the_end_arrives_behind_the_bytes_and_only_at_the_other_side() {
    let mut pair = pair(slow());
    pair.a.say("bye");
    pair.a.close("done");
    pair.run_until(epoch() + 5 * SECOND);
    assert_eq!(log(&pair.a_events), [(0, "done")]);
    assert_eq!(log(&pair.b_events), [(1, "bye"), (1, "lost")]);
    assert!(!pair.is_connected());
    assert!(!pair.step());
}

#[test]
fn a_cut_loses_what_is_under_way_and_tells_both() {
    let mut pair = pair(slow());
    pair.a.say("never");
    pair.settle();
    pair.cut();
    pair.cut();
    pair.run_until(epoch() + 5 * SECOND);
    assert_eq!(log(&pair.a_events), [(0, "lost")]);
    assert_eq!(log(&pair.b_events), [(0, "lost")]);
}

#[test]
fn a_lossy_link_breaks_by_a_transmission() {
    let mut pair = pair(Conditions { loss_per_mille: 1000, ..slow() });
    pair.a.say("never");
    pair.run_until(epoch());
    assert_eq!(log(&pair.b_events), [(0, "lost")]);
}

#[test]
fn on_a_stalled_link_only_deadlines_help() {
    let mut pair = pair(slow());
    pair.a.say("never");
    pair.settle();
    pair.stall();
    pair.run_until(epoch() + 60 * SECOND);
    assert_eq!(log(&pair.a_events), [(10, "silence")]);
    assert_eq!(log(&pair.b_events), [(10, "silence")]);
}

#[test]
fn the_application_may_answer_an_event_at_once() {
    let mut pair = pair(slow());
    pair.a.say("question");
    pair.run_until_with(epoch() + 3 * SECOND, |pair, news| match news {
        StreamNews::B(line) if line == "question" => pair.b.say("answer"),
        StreamNews::A(line) if line == "answer" => pair.a.say("quit"),
        _ => {}
    });
    assert_eq!(log(&pair.b_events), [(1, "question"), (3, "asked to quit")]);
    assert_eq!(log(&pair.a_events), [(2, "answer")]);
}

#[test]
#[should_panic(expected = "rule: no busy loop")]
fn a_storm_without_delay_is_refused() {
    let mut pair = pair(Conditions::default());
    pair.a.say("question");
    pair.run_until_with(epoch(), |pair, news| match news {
        StreamNews::A(_) => pair.a.say("more"),
        StreamNews::B(_) => pair.b.say("more"),
    });
}
