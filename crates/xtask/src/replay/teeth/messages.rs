//! Every recorded line is decoded and encoded again.

use super::recording::{Recording, What};
use crate::Tally;
use crate::json::{self, Value};
use crate::teeth::{self, Instead, Otherwise};
use std::collections::{BTreeMap, BTreeSet};
use teeth_proto::wire::{self, LINE_LIMIT, Message, Violation, trim};

pub(super) fn check(recording: &Recording, tally: &mut Tally) {
    let mut streams: BTreeMap<(u64, bool), Vec<u8>> = BTreeMap::new();
    let mut over = BTreeSet::new();
    for entry in &recording.entries {
        let (bytes, is_from_peer) = match &entry.what {
            What::ToPeer(bytes) => (bytes, false),
            What::FromPeer(bytes) => (bytes, true),
            _ => continue,
        };
        let key = recording.key(entry);
        let stream = streams.entry((entry.connection, is_from_peer)).or_default();
        stream.extend_from_slice(bytes);
        while let Some(end) = stream.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = stream.drain(..=end).collect();
            let line = &line[..end];
            match decode(line) {
                Ok(message) => same_value(&key, line, message, tally),
                Err(_) if over.contains(&entry.connection) => {
                    tally.skip("after-a-violation", "what follows a violation is not read");
                }
                Err(violation) => {
                    let told = fatal_error(recording, entry.connection).filter(|_| !is_from_peer);
                    if told.as_deref() == Some(violation.text()) {
                        over.insert(entry.connection);
                        tally.pass();
                    } else if let Some(otherwise) = otherwise(line, violation) {
                        tally.deviate(otherwise.deviation);
                    } else {
                        tally.fail(&key, format_args!("{told:?}"), violation.text());
                    }
                }
            }
        }
    }
}

fn decode(line: &[u8]) -> Result<Option<Message<'_>>, Violation> {
    if line.len() > LINE_LIMIT { Err(Violation::LineTooLong) } else { wire::decode(line) }
}

fn otherwise(line: &[u8], violation: Violation) -> Option<Otherwise> {
    teeth::of_message(line).filter(|otherwise| otherwise.instead == Instead::Fatal(violation.text()))
}

/// What a message means comes back with the same values.
fn same_value(key: &str, line: &[u8], message: Option<Message<'_>>, tally: &mut Tally) {
    let Some(message) = message else {
        return tally.check(key, &b"".as_slice(), &trim(line));
    };
    let members: &[&str] = match message {
        Message::Command { .. } => &["version", "params", "id", "method"],
        Message::Result { .. } => &["version", "id", "result"],
        Message::Error { .. } => &["version", "id", "error"],
        Message::FatalError(_) => &["fatal_error"],
    };
    let value = |line| json::read(trim(line)).map(|reading| reading.value);
    let recorded = value(line);
    let member = |name: &&'static str| Some((*name, recorded.as_ref()?.get(name)?.clone()));
    let expected = members.iter().map(member).collect::<Option<Vec<_>>>().map(Value::object);
    // `encode` ends the line.
    let encoded = wire::encode(&message);
    match (expected, encoded.strip_suffix(b"\n").and_then(value)) {
        (Some(expected), Some(got)) if expected == got => tally.pass(),
        (Some(expected), Some(got)) => tally.fail(key, expected, got),
        (None, _) => tally.fail(key, "no message", "one"),
        (_, None) => tally.fail(key, "a line of JSON", "none"),
    }
}

/// Returns what the peer said when it ended the connection.
fn fatal_error(recording: &Recording, connection: u64) -> Option<String> {
    recording.entries.iter().filter(|entry| entry.connection == connection).find_map(|entry| {
        let What::FromPeer(line) = &entry.what else { return None };
        json::read(trim(line.trim_ascii_end()))?.value.get("fatal_error")?.as_text()
    })
}
