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

use serde_json::Value;
use std::fmt::Debug;
use teeth_proto::session::{AnswerToken, Config, Event, Output, Session};
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
