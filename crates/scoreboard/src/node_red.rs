//! The rows of `nodered-comms`.

#[path = "../../nodered-comms/benches/subjects/mod.rs"]
mod subjects;

use crate::memory::kept;
use crate::row::Row;
use regex::Regex;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::hint::black_box;
use std::io::Write;
use std::process::{Command, Stdio};
use subjects::{Dispatch, EDITORS, FILTERS, Hub};
use testkit::measure::{Figure, Subject, compare};

/// What a connection that waits may keep.
const MOST_BYTES: u32 = 512;
/// What finding the filters of a message may take, however many there are.
const MOST_DISPATCH: f64 = 100.0;
/// What queueing a message for a connection may take.
const MOST_QUEUEING: f64 = 80.0;

pub(crate) fn rows() -> Vec<Row> {
    let frame = subjects::frame();
    let mut subjects = subjects::decode(&frame);
    subjects.push(Subject::new("IgnoredAny", || {
        black_box(serde_json::from_str::<IgnoredAny>(black_box(&frame)).is_ok());
    }));
    let mut decoded = compare(subjects);
    let skipped = decoded.pop().map(|figure| time(&figure));
    let mut rows = vec![Row::of(format!("a frame of 50 messages, {} bytes", frame.len()), &decoded, 1.2)];
    rows.push(Row {
        peer: skipped,
        ..Row::bare("the same; IgnoredAny, which keeps nothing", time(&decoded[0]))
    });
    rows.extend(dispatch(&frame));
    rows.push(queueing());
    rows.push(Row::of_bytes("heap bytes of an idle connection", heap_of_a_connection(), MOST_BYTES));
    rows
}

/// A message of the frame against many filters, and how that grows from 100 to 10 000 of them.
fn dispatch(frame: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut figures = Vec::new();
    for count in FILTERS {
        let dispatch = Dispatch::new(frame, count);
        let expressions = expressions(&dispatch);
        let subjects = vec![dispatch.index(), by_expressions(&dispatch, &expressions), by_rumqttc(&dispatch)];
        let [ours, regex, rumqttc] =
            dispatch.per_message(compare(subjects)).try_into().expect("there are three subjects");
        for (peer, name) in [(regex, "regex"), (rumqttc, "rumqttc")] {
            rows.push(Row {
                peer: Some(time(&peer)),
                ..below(format!("a message, {count} filters; {name}"), ours.nanoseconds, MOST_DISPATCH)
            });
        }
        if let Some(nanoseconds) = by_node(&dispatch) {
            let input = format!("a message, {count} filters; the editor's way");
            let peer = Some(text(nanoseconds));
            rows.push(Row { peer, ..below(input, ours.nanoseconds, MOST_DISPATCH) });
        }
        figures.push(ours);
    }
    let growth = figures[3].ratio_to(&figures[1]);
    let row = Row::bare("the same, 10000 filters to 100", time(&figures[3]));
    rows.push(Row { limit: Some(time(&figures[1])), ratio: Some(growth), goal: Some(2.0), ..row });
    rows
}

/// The expressions that an editor makes of its filters, each made once.
fn expressions(dispatch: &Dispatch) -> Vec<Regex> {
    let expression = |pattern: &String| {
        let (levels, end) = match pattern.strip_suffix("/#") {
            Some(levels) => (levels, "(/.*)?"),
            None => (&**pattern, ""),
        };
        let levels = regex::escape(levels).replace("\\+", "[^/]+");
        Regex::new(&format!("^{levels}{end}$")).expect("it is an expression")
    };
    let expressions: Vec<Regex> = dispatch.patterns.iter().map(expression).collect();
    for topic in &dispatch.topics {
        let by_rumqttc = dispatch.patterns.iter().map(|pattern| rumqttc::matches(topic, pattern));
        let by_expressions = expressions.iter().map(|expression| expression.is_match(topic));
        assert!(by_rumqttc.eq(by_expressions), "all find the same");
    }
    expressions
}

fn by_expressions<'a>(dispatch: &'a Dispatch, expressions: &'a [Regex]) -> Subject<'a> {
    dispatch
        .subject("regex", |topic| expressions.iter().filter(|expression| expression.is_match(topic)).count())
}

fn by_rumqttc(dispatch: &Dispatch) -> Subject<'_> {
    dispatch.subject("rumqttc", |topic| {
        dispatch.patterns.iter().filter(|pattern| rumqttc::matches(topic, pattern)).count()
    })
}

/// What a message takes in Node.js, where there is one, when each filter is made an expression for each message.
fn by_node(dispatch: &Dispatch) -> Option<f64> {
    let mut node = Command::new("node");
    node.args(["--input-type=module", "--eval", include_str!("dispatch.mjs")]);
    let mut node = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let rounds = (100_000 / (dispatch.patterns.len() * dispatch.topics.len())).clamp(3, 200);
    let task = json!({ "topics": dispatch.topics, "patterns": dispatch.patterns, "rounds": rounds });
    node.stdin.take()?.write_all(task.to_string().as_bytes()).ok()?;
    let answer: Value = serde_json::from_slice(&node.wait_with_output().ok()?.stdout).ok()?;
    let matching = dispatch.matching() * dispatch.topics.len() as f64;
    assert_eq!(answer["found"].as_f64().map(f64::round), Some(matching.round()), "both find the same");
    answer["nanoseconds"].as_f64()
}

fn queueing() -> Row {
    let mut hub = Hub::new(EDITORS);
    hub.check();
    below("1 KB queued, of 10000 connections each", hub.nanoseconds_a_connection(), MOST_QUEUEING)
}

/// A connection that has subscribed, was sent messages, and waits.
fn heap_of_a_connection() -> isize {
    const CONNECTIONS: usize = 1_000;
    let (_hub, bytes) = kept(|| {
        let mut hub = Hub::new(CONNECTIONS);
        hub.warm_up();
        hub
    });
    bytes / CONNECTIONS as isize
}

/// A time that is not to be more than so much.
fn below(input: impl Into<String>, nanoseconds: f64, most: f64) -> Row {
    Row {
        limit: Some(format!("{most:.0} ns")),
        ratio: Some(nanoseconds / most),
        goal: Some(1.0),
        ..Row::bare(input, format!("{nanoseconds:.0} ns"))
    }
}

fn time(figure: &Figure) -> String {
    text(figure.nanoseconds)
}

fn text(nanoseconds: f64) -> String {
    match nanoseconds {
        short @ ..10_000.0 => format!("{short:.0} ns"),
        long => format!("{:.1} us", long / 1_000.0),
    }
}
