//! What is measured. The last subject of each group is the limit that the others are held against.

use super::plain;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;
use teeth_proto::Dialect;
use teeth_proto::command::{Command, ErrorValue, Method, Status};
use teeth_proto::session::{Answer, Config, Event, Output, Session};
use teeth_proto::wire::{self, Json, JsonRef, LINE_LIMIT, LineBuffer, Message, Object};
use testkit::epoch;
use testkit::measure::{Figure, Subject};

/// What goes over a busy connection, both ways: words and sizes are those of teeth-agent b3ee1d8 where it has the message,
/// and those of the document for the others.
const LINES: &str = include_str!("lines.jsonl");

/// The lines as they come off the wire, in one read.
pub(crate) struct Mix {
    pub(crate) stream: &'static [u8],
    /// Whether a line answers `status`; who asked knows.
    pub(crate) answers_status: Vec<bool>,
}

pub(crate) fn mix() -> Mix {
    let answers_status = LINES.lines().map(|line| line.contains("\"uptime\"")).collect();
    Mix { stream: LINES.as_bytes(), answers_status }
}

impl Mix {
    pub(crate) fn len(&self) -> usize {
        self.answers_status.len()
    }

    /// Returns figures of one line each, out of figures of all lines.
    pub(crate) fn per_line(&self, figures: Vec<Figure>) -> Vec<Figure> {
        let per_line = |figure: Figure| {
            let nanoseconds = figure.nanoseconds / self.len() as f64;
            Figure { time: Duration::from_nanos(nanoseconds as u64), nanoseconds, ..figure }
        };
        figures.into_iter().map(per_line).collect()
    }
}

/// A line with what it holds.
pub(crate) struct Typed<'a> {
    version: JsonRef<'a>,
    id: JsonRef<'a>,
    body: Body,
}

enum Body {
    Command(Command),
    Status(Status),
    Result(Json),
    Error(ErrorValue),
}

fn decode_ours(mix: &Mix, mut each: impl FnMut(Typed<'_>)) {
    let mut buffer = LineBuffer::new(LINE_LIMIT);
    let mut stream = mix.stream;
    for &answers_status in &mix.answers_status {
        let line = buffer.next_line(&mut stream).expect("every line ends").expect("no line is too long");
        let message = wire::decode(line).expect("the lines are messages").expect("no line is blank");
        each(typed(message, answers_status));
    }
}

fn typed(message: Message<'_>, answers_status: bool) -> Typed<'_> {
    match message {
        Message::Command { version, params, id, method } => {
            let name = method.as_str().expect("methods are strings");
            let command = Command::decode(&name, params, Dialect::Document).expect("the lines are in order");
            Typed { version, id, body: Body::Command(command) }
        }
        Message::Result { version, id, result } => {
            let status = if answers_status { Status::decode(result) } else { None };
            let body = status.map_or_else(|| Body::Result(result.to_json()), Body::Status);
            Typed { version, id, body }
        }
        Message::Error { version, id, error } => {
            Typed { version, id, body: Body::Error(ErrorValue::from_json(error)) }
        }
        Message::FatalError(_) => unreachable!("the lines hold no other message"),
    }
}

fn encode_ours(line: &Typed<'_>) -> bytes::Bytes {
    let (version, id) = (line.version, line.id);
    match &line.body {
        Body::Command(command) => {
            let params = command.params(Dialect::Document).expect("the lines are in order");
            let method = Json::from(command.method().name(Dialect::Document));
            wire::encode(&Message::Command { version, params: params.as_ref(), id, method: method.as_ref() })
        }
        Body::Status(status) => {
            wire::encode(&Message::Result { version, id, result: status.result().as_ref() })
        }
        Body::Result(result) => wire::encode(&Message::Result { version, id, result: result.as_ref() }),
        Body::Error(error) => wire::encode(&Message::Error { version, id, error: error.json().as_ref() }),
    }
}

/// Cutting, decoding, typed parameters and results.
pub(crate) fn decode(mix: &Mix) -> Vec<Subject<'_>> {
    check(mix);
    vec![
        Subject::new("lines into typed messages", || {
            decode_ours(black_box(mix), |line| drop(black_box(line)))
        }),
        Subject::new("memchr + plain derive (limit)", || {
            plain::decode(black_box(mix), |line| drop(black_box(line)));
        }),
    ]
}

/// What a user without types would do.
#[allow(dead_code, reason = "the scoreboard has a peer in its place")]
pub(crate) fn value(mix: &Mix) -> Subject<'_> {
    Subject::new("memchr + serde_json Value", move || {
        let mut rest = black_box(mix).stream;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            black_box(serde_json::from_slice::<serde_json::Value>(&rest[..end]).is_ok());
            rest = &rest[end + 1..];
        }
    })
}

/// Typed messages into lines.
pub(crate) fn encode(mix: &Mix) -> Vec<Subject<'static>> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for (line, &answers_status) in LINES.lines().zip(&mix.answers_status) {
        let message = wire::decode(line.as_bytes()).expect("the lines are messages");
        ours.push(typed(message.expect("no line is blank"), answers_status));
        theirs.push(plain::line(line.as_bytes(), answers_status));
    }
    vec![
        Subject::new("typed messages into lines", move || {
            black_box(&ours).iter().for_each(|line| drop(black_box(encode_ours(line))));
        }),
        Subject::new("plain derive (limit)", move || {
            black_box(&theirs).iter().for_each(|line| drop(black_box(plain::encode(line))));
        }),
    ]
}

/// The same comes out on both sides: what they write means what was read.
fn check(mix: &Mix) {
    let value = |line: &[u8]| serde_json::from_slice::<serde_json::Value>(line).expect("a line is JSON");
    let expected: Vec<_> = LINES.lines().map(|line| value(line.as_bytes())).collect();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    decode_ours(mix, |line| ours.push(value(&encode_ours(&line))));
    plain::decode(mix, |line| theirs.push(value(&plain::encode(&line))));
    assert_eq!(ours, expected, "the lines come back");
    assert_eq!(theirs, expected, "the lines come back");
}

/// A command of a session, its answer by another one, and the reply.
///
/// The limit does the same by hand, with the same text on the wire: an id that is not used twice, a table of calls, a
/// check of version, method and form of the parameters. It leaves out what else a session does: time-outs, pings, limits,
/// tokens, violations and the order of events.
pub(crate) fn round_trip() -> Vec<Subject<'static>> {
    let mut pair = Pair::new();
    let mut minimal = Minimal::default();
    vec![
        Subject::new("round trip of two sessions", move || pair.round_trip()),
        Subject::new("by hand, and no more than that (limit)", move || minimal.round_trip()),
    ]
}

struct Pair {
    asker: Session,
    server: Session,
    nothing: Object,
}

impl Pair {
    fn new() -> Self {
        let session = |seed| Session::new(Config::new(seed), epoch()).expect("the settings are fine");
        Self { asker: session(1), server: session(2), nothing: Object::new() }
    }

    fn round_trip(&mut self) {
        let now = epoch();
        self.asker.call(Method::Status, &self.nothing, None, now).expect("an open session takes a command");
        while let Some(Output::Transmit(line)) = self.asker.poll_output() {
            self.server.handle_bytes(&line, now);
        }
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Event(Event::Command(command)) => {
                    self.server.respond(command.token, Answer::Done, now).expect("it is unanswered");
                }
                Output::Transmit(line) => self.asker.handle_bytes(&line, now),
                _ => unreachable!("nothing else happens"),
            }
        }
        let reply = self.asker.poll_output();
        assert!(matches!(black_box(reply), Some(Output::Event(Event::Replied { .. }))));
    }
}

/// Calls and answers by hand.
#[derive(Default)]
struct Minimal {
    next: u64,
    calls: HashMap<u64, Method>,
}

impl Minimal {
    fn round_trip(&mut self) {
        self.next += 1;
        let id = format!("6b83f0c2-5598-4a89-b581-{:012x}", self.next);
        self.calls.insert(self.next, Method::Status);
        let line =
            format!("{{\"version\": \"v1\", \"params\": {{}}, \"id\": \"{id}\", \"method\": \"status\"}}\n");
        let answer = black_box(plain::answer(black_box(line.as_bytes()))).expect("it is in order");
        let id = plain::answered(black_box(answer.as_bytes())).expect("it is in order");
        let number = u64::from_str_radix(&id[24..], 16).expect("it is ours");
        assert!(black_box(self.calls.remove(&number)).is_some());
    }
}
