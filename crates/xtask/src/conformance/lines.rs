//! `teeth-lines`: what the message layer and the whole agent make of a line.

use super::text;
use crate::json::{self, Value};
use crate::teeth::{self, Instead, Otherwise};
use crate::{Deviation, Tally};
use anyhow::{Context as _, anyhow};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use teeth_proto::Dialect;
use teeth_proto::agent::{self, Agent};
use teeth_proto::command::Method;
use teeth_proto::session::{self, Answer, CallId, CloseReason, Incoming, Reply, Session};
use teeth_proto::wire::{self, JsonRef, LINE_LIMIT, Message, Object, trim};

/// How long our ids are.
const OUR_ID: usize = 36;

/// Our ids, and what the vectors call them.
type Ids = BTreeMap<String, String>;

/// A row passes when both columns are as they should be. A deviation in one column leaves the other one to be checked.
pub(super) fn row(row: &Json, tally: &mut Tally) -> anyhow::Result<()> {
    let key = text(row, "name")?;
    let line = teeth::bytes(row, ["line", "line_hex", "line_parts"])?;
    let pending = row["pending"].as_array().ok_or_else(|| anyhow!("a row without pending ids"))?;
    let pending: Option<Vec<&str>> = pending.iter().map(Json::as_str).collect();
    let pending = pending.ok_or_else(|| anyhow!("a pending id that is no text"))?;
    let columns = [
        ("rpc", message_layer(&line, &pending)?, teeth::of_message(&line)),
        ("agent", whole_agent(&line)?, teeth::of_role(&line)),
    ];
    let mut deviation: Option<Deviation> = None;
    for (column, got, otherwise) in columns {
        if matches(&row[column], &got) {
            continue;
        }
        match otherwise.filter(|otherwise| is_instead(otherwise, &got)) {
            Some(otherwise) => _ = deviation.get_or_insert(otherwise.deviation),
            None => {
                tally.fail(key, format_args!("{column} {}", row[column]), got);
                return Ok(());
            }
        }
    }
    match deviation {
        Some(deviation) => tally.deviate(deviation),
        None => tally.pass(),
    }
    Ok(())
}

/// Whether the crate does what a deviation says it does.
fn is_instead(otherwise: &Otherwise, got: &Value) -> bool {
    let written = match got.get("written") {
        Some(Value::List(lines)) => lines.first(),
        _ => None,
    };
    let said = got.get("message").or(written.and_then(|line| line.get("fatal_error")));
    match otherwise.instead {
        Instead::Fatal(text) => said.and_then(Value::as_text).as_deref() == Some(text),
        Instead::Takes => said.is_none(),
    }
}

/// Whether a value is the one the vectors mean, which write some values by their properties.
fn matches(expected: &Json, got: &Value) -> bool {
    match (expected, got) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(expected), Value::Bool(got)) => expected == got,
        (Json::String(expected), Value::Text(got)) => expected.encode_utf16().eq(got.iter().copied()),
        (Json::Number(number), got) => {
            json::read(number.to_string().as_bytes()).is_some_and(|reading| reading.value == *got)
        }
        (Json::Array(expected), Value::List(got)) => {
            expected.len() == got.len()
                && expected.iter().zip(got).all(|(expected, got)| matches(expected, got))
        }
        (Json::Object(members), got) => match members.iter().next().filter(|(name, _)| name.starts_with('$'))
        {
            Some((name, property)) => has_property(name, property, got),
            None => {
                matches!(got, Value::Object(theirs) if theirs.len() == members.len())
                    && members
                        .iter()
                        .all(|(name, value)| got.get(name).is_some_and(|got| matches(value, got)))
            }
        },
        _ => false,
    }
}

fn has_property(name: &str, property: &Json, got: &Value) -> bool {
    let length = |text: &[u16]| char::decode_utf16(text.iter().copied()).count() as u64;
    let unit = |unit: &Json| unit.as_str().and_then(|digits| u16::from_str_radix(digits, 16).ok());
    match (name, got) {
        ("$float" | "$int", Value::Float(_) | Value::Integer(_)) => {
            let read = property.as_str().and_then(|text| json::read(text.as_bytes()));
            read.is_some_and(|reading| reading.value == *got)
        }
        ("$utf16", Value::Text(got)) => {
            let units: Option<Vec<u16>> =
                property.as_array().and_then(|units| units.iter().map(unit).collect());
            units.as_ref() == Some(got)
        }
        ("$text_length", Value::Text(got)) => property.as_u64() == Some(length(got)),
        ("$nesting_depth", got) => property.as_u64() == Some(got.depth() as u64),
        _ => false,
    }
}

/// The message layer, with a listener that takes every command.
fn message_layer(line: &[u8], pending: &[&str]) -> anyhow::Result<Value> {
    let mut config = session::Config::new(1);
    config.dialect = Dialect::Original;
    config.serves_ping = false;
    config.max_calls = config.max_calls.max(pending.len());
    config.max_line = limit(line, pending);
    let now = Instant::now();
    let mut layer = Layer { session: Session::new(config, now)?, calls: BTreeMap::new(), now };
    let mut ids = Ids::new();
    for id in pending {
        let call = layer.session.call(Method::Status, &Object::new(), None, now)?;
        let ours = layer.transmitted().as_ref().and_then(called);
        ids.insert(ours.context("a call without an id")?, (*id).to_owned());
        layer.calls.insert(call, id);
    }
    let line = with_our_ids(line, &ids);
    layer.session.handle_bytes(&line, now);
    let what = match layer.session.poll_output() {
        None => with_kind("ignored", []),
        Some(output) => layer.outcome(output, &line).unwrap_or_else(|| with_kind("none of these", [])),
    };
    Ok(what.map_texts(&|id| ids.get(id).cloned()))
}

struct Layer<'a> {
    session: Session,
    calls: BTreeMap<CallId, &'a str>,
    now: Instant,
}

impl Layer<'_> {
    fn outcome(&mut self, output: session::Output, line: &[u8]) -> Option<Value> {
        match output {
            session::Output::Event(session::Event::Command(command)) => self.command(command),
            session::Output::Event(session::Event::Replied { call, reply, .. }) => {
                let (Message::Result { version, .. } | Message::Error { version, .. }) =
                    wire::decode(&line[..line.len() - 1]).ok()??
                else {
                    return None;
                };
                let (kind, reply) = match &reply {
                    Reply::Result(result) => ("result", result),
                    Reply::Error(error) => ("error", error.json()),
                };
                let id = Value::text(self.calls.get(&call)?);
                let (version, reply) = (value(version)?, value(reply.as_ref())?);
                Some(with_kind(kind, [("version", version), ("id", id), (kind, reply)]))
            }
            session::Output::Transmit(line) => {
                let message = json::read(trim(&line))?.value.get("fatal_error")?.clone();
                let closes = self.session.poll_output() == Some(session::Output::Disconnect);
                closes.then(|| with_kind("fatal_sent", [("message", message)]))
            }
            session::Output::Abort => {
                let last = std::iter::from_fn(|| self.session.poll_output()).last()?;
                let session::Output::Event(session::Event::Closed(CloseReason::FatalError(said))) = last
                else {
                    return None;
                };
                Some(with_kind("fatal_received", [("fatal_error", value(said.as_ref())?)]))
            }
            _ => None,
        }
    }

    /// The id of a command shows in its answer.
    fn command(&mut self, command: Incoming) -> Option<Value> {
        self.session.respond(command.token, Answer::Done, self.now).ok()?;
        let id = self.transmitted()?.get("id")?.clone();
        let [version, method] = [&command.version, &command.method].map(|json| value(json.as_ref()));
        let params = value(command.params.as_ref())?;
        let members = [("version", version?), ("params", params), ("id", id), ("method", method?)];
        Some(with_kind("command", members))
    }

    fn transmitted(&mut self) -> Option<Value> {
        match self.session.poll_output() {
            Some(session::Output::Transmit(line)) => Some(json::read(trim(&line))?.value),
            _ => None,
        }
    }
}

fn with_kind<const N: usize>(kind: &str, members: [(&str, Value); N]) -> Value {
    let kind = ("kind", Value::text(kind));
    Value::object(std::iter::once(kind).chain(members))
}

/// The whole agent, ten seconds old, its handshake unanswered.
fn whole_agent(line: &[u8]) -> anyhow::Result<Value> {
    let mut config = agent::Config::new("a:b:c:d", "0.1-dev", 1);
    config.session.dialect = Dialect::Original;
    config.session.max_line = limit(line, &["req-1"]);
    let start = Instant::now();
    let now = start + Duration::from_secs(10);
    let mut agent = Agent::new(config, start)?;
    let Some(agent::Output::Connect { connection, .. }) = agent.poll_output() else {
        return Err(anyhow!("an agent that does not connect"));
    };
    agent.handle_connected(connection, now);
    let handshake = carried_out(&mut agent)?.0;
    let [handshake] = &handshake[..] else {
        return Err(anyhow!("{} lines for a handshake", handshake.len()));
    };
    let mut ids = Ids::from([(called(handshake).context("a handshake without an id")?, "req-1".to_owned())]);
    agent.handle_bytes(connection, &with_our_ids(line, &ids), now);
    let (written, end) = carried_out(&mut agent)?;
    for id in written.iter().filter_map(called) {
        ids.insert(id, format!("req-{}", ids.len() + 1));
    }
    let written = Value::List(written).map_texts(&|id| ids.get(id).cloned());
    Ok(Value::object([("written", written), ("connection", Value::text(end))]))
}

/// Returns what the agent writes, and what becomes of the connection.
fn carried_out(agent: &mut Agent) -> anyhow::Result<(Vec<Value>, &'static str)> {
    let (mut written, mut end) = (Vec::new(), "open");
    while let Some(output) = agent.poll_output() {
        match output {
            agent::Output::Transmit { bytes, .. } => {
                let line = json::read(trim(&bytes)).context("a line that is no JSON")?;
                written.push(line.value);
            }
            agent::Output::Disconnect { .. } => end = "flush_then_close",
            agent::Output::Abort { .. } => end = "abort",
            agent::Output::Connect { .. } | agent::Output::Event(_) => {}
        }
    }
    Ok((written, end))
}

/// Returns the limit that a line meets with our ids in it just as it would without.
fn limit(line: &[u8], pending: &[&str]) -> usize {
    let ours = teeth::with_id(line, |id| pending.contains(&id).then(|| "-".repeat(OUR_ID)));
    (LINE_LIMIT + ours.len()).saturating_sub(line.len())
}

fn with_our_ids(line: &[u8], ids: &Ids) -> Vec<u8> {
    let ours = |id: &str| ids.iter().find(|(_, theirs)| *theirs == id).map(|(ours, _)| ours.clone());
    let mut line = teeth::with_id(line, ours);
    line.push(b'\n');
    line
}

/// Returns the id of a command.
fn called(message: &Value) -> Option<String> {
    message.get("method")?;
    message.get("id")?.as_text()
}

fn value(json: JsonRef<'_>) -> Option<Value> {
    Some(json::read(json.text().as_bytes())?.value)
}
