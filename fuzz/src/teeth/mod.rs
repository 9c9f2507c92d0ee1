//! The targets of `teeth-proto`.

mod agent;
mod maker;
mod peer;
mod server;
mod value;
mod wire;

pub use agent::teeth_agent;
pub use server::teeth_server;
pub use value::teeth_value;
pub use wire::teeth_wire;

use crate::input::Input;
use peer::holds_mark;
use serde_json::Value;
use std::fmt::Debug;
use std::time::Duration;
use teeth_proto::Dialect;
use teeth_proto::session::{AnswerToken, Config, Event, Output, Session};
use teeth_proto::wire::LINE_LIMIT;
use testkit::epoch;

/// Whether two JSON texts mean the same. Values that `serde_json` cannot hold (lone surrogates, deep nesting, huge
/// numbers) are compared as the texts they become when they are written.
fn same_meaning(a: &str, b: &str) -> bool {
    match (serde_json::from_str::<Value>(a), serde_json::from_str::<Value>(b)) {
        (Ok(a), Ok(b)) => a == b,
        (Err(_), Err(_)) => respelled(a) == respelled(b),
        _ => false,
    }
}

/// How many arrays and objects stand in each other.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn respelled(text: &str) -> Option<String> {
    let json = teeth_proto::wire::Json::parse(text).ok()?;
    teeth_proto::wire::Json::encode(&json).ok().map(|json| json.text().to_owned())
}

/// Returns an output as comparable text; tokens of equal runs are no equal values.
fn shown(output: &impl Debug, bytes: &[u8]) -> String {
    format!("{output:?} {}", String::from_utf8_lossy(bytes))
}

/// Returns the right to answer a command of a session that nobody knows.
fn token_of_another() -> AnswerToken {
    let mut session = Session::new(Config::new(1), epoch()).expect("the settings are fine");
    let command = b"{\"id\":1,\"version\":\"v1\",\"method\":\"x.do\",\"params\":{}}\n";
    session.handle_bytes(command, epoch());
    match session.poll_output() {
        Some(Output::Event(Event::Command(command))) => command.token,
        other => panic!("rule: a command arrives; there was {other:?}"),
    }
}

/// Runs a machine with the input cut anywhere, and again with all bytes in one piece. `run` returns what came out, or nothing if
/// there can be no machine of the settings in the input.
fn cut_anywhere(data: &[u8], run: impl Fn(&[u8], bool) -> Option<Vec<String>>) {
    if holds_mark(data) {
        return;
    }
    let Some(cut) = run(data, true) else { return };
    let whole = run(data, false).expect("the same settings");
    for (cut, whole) in cut.iter().zip(&whole) {
        assert_eq!(cut, whole, "rule: the cut of the input does not matter");
    }
    assert_eq!(cut.len(), whole.len(), "rule: the cut of the input does not matter");
}

/// Makes the settings that both roles have.
fn session_settings(session: &mut Config, input: &mut Input<'_>) {
    session.dialect = input.pick(&[Dialect::Document, Dialect::Document, Dialect::Original]);
    session.max_line = input.pick(&[LINE_LIMIT, LINE_LIMIT, 300, 1]);
    session.max_sent_line = input.pick(&[LINE_LIMIT, LINE_LIMIT, 32_768, 1]);
    session.max_abandoned = input.pick(&[4096, 4096, 2, 0]);
    session.max_unanswered_bytes = input.pick(&[1 << 23, 1 << 23, 100, 0]);
    session.max_calls = input.pick(&[256, 256, 3, 1, 0]);
    session.max_unanswered = input.pick(&[256, 256, 2, 0]);
    session.idle_timeout =
        input.pick(&[Duration::from_secs(60), Duration::from_secs(60), Duration::from_nanos(1)]);
    session.ping_timeout = input.pick(&[Some(60), None, Some(1)]).map(Duration::from_secs);
    session.serves_ping = input.below(8) != 7;
    session.serves_commands = input.below(16) != 15;
}
