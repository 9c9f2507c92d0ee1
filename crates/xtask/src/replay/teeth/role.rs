//! One recording played to our machine.

use super::driver::Driver;
use super::machine::Machine;
use super::recording::{End, Entry, Recording, Role, Timers, What};
use crate::json::{self, Value};
use crate::teeth::{self, Instead, Otherwise};
use crate::{Deviation, Tally};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use teeth_proto::ConnectionId;
use teeth_proto::command::ErrorValue;
use teeth_proto::session::Answer;
use teeth_proto::wire::{self, Message, Object, trim};

/// How far a recorded time, of a real machine with real sockets, may be from ours.
const TOLERANCE: Duration = Duration::from_millis(250);

const STOPPED: Deviation = Deviation {
    name: "stopped-agent-stays",
    reason: "an agent that was closed stays so, the original connects again after its service was stopped",
};

pub(super) fn check(recording: &Recording, tally: &mut Tally) {
    let start = Instant::now();
    match Machine::new(recording, start) {
        Ok(machine) => Replay::new(recording, machine, start).run(tally),
        Err(error) => tally.fail(&recording.name, "a machine", error),
    }
}

struct Replay<'a> {
    recording: &'a Recording,
    driver: Driver,
    /// When the recording began; later than it did for every wait of ours that was longer than the recorded one.
    start: Instant,
    connections: BTreeMap<u64, Connection>,
    /// When connections open that have not yet, and which.
    opens: VecDeque<(Duration, u64)>,
    /// Our ids by the recorded ones.
    ids: BTreeMap<String, String>,
}

/// A connection of the recording.
struct Connection {
    /// `None`: the rest of it is left out.
    ours: Option<ConnectionId>,
    is_within_line: bool,
    /// The ids of handshakes that came.
    handshakes: Vec<Value>,
    /// The ids of lines that were kept from our machine.
    withheld: Vec<Value>,
}

impl<'a> Replay<'a> {
    fn new(recording: &'a Recording, machine: Machine, start: Instant) -> Self {
        let mut opens: Vec<(Duration, u64)> = Vec::new();
        for entry in &recording.entries {
            if opens.iter().all(|(_, connection)| *connection != entry.connection) {
                // The recorder's clock starts with the first connection, whether it says so or not.
                let is_told = matches!(entry.what, What::Open) || !opens.is_empty();
                opens.push((if is_told { entry.at } else { Duration::ZERO }, entry.connection));
            }
        }
        let opens = opens.into();
        let driver = Driver::new(machine, recording.refused.clone(), start);
        let ids = BTreeMap::new();
        Self { recording, driver, start, connections: BTreeMap::new(), opens, ids }
    }

    fn run(&mut self, tally: &mut Tally) {
        for (place, entry) in self.recording.entries.iter().enumerate() {
            if !self.connections.contains_key(&entry.connection) {
                self.open(entry, tally);
            }
            if let Some(ours) = self.connections.get(&entry.connection).and_then(|connection| connection.ours)
            {
                let due = self.start + entry.at;
                self.driver.advance(due, |_| false);
                self.step(&Step::new(self.recording, place, ours, due), tally);
            }
        }
        self.rest(tally);
    }

    /// A connection opens: that which our agent has asked for, or will after a while.
    fn open(&mut self, entry: &Entry, tally: &mut Tally) {
        let Some((at, number)) = self.opens.pop_front() else { return };
        let key = self.recording.key(entry);
        let due = self.start + at;
        // Waits are spread at random, ours are not: three quarters of one are six standard deviations.
        let spread = if self.recording.timers == Timers::NoJitter { 0.0 } else { 0.75 };
        let tolerance = self.driver.wait.mul_f64(spread).max(TOLERANCE);
        if self.recording.role == Role::Agent {
            self.driver.advance(due + tolerance, |driver| driver.attempt.is_some());
        }
        self.driver.advance(due, |_| false);
        let attempt = self.driver.attempt.take().filter(|(_, asked)| *asked + tolerance >= due);
        let ours = self.driver.act(|machine, now| machine.connected(attempt.map(|(ours, _)| ours), now));
        match ours {
            Some(_) if number == 1 => {}
            Some(_) => tally.pass(),
            None if self.driver.machine.is_closed() => tally.deviate(STOPPED),
            None => tally.fail(key, format_args!("a connection at {at:?}"), "none"),
        }
        self.start += self.driver.now.saturating_duration_since(due);
        let connection =
            Connection { ours, is_within_line: false, handshakes: Vec::new(), withheld: Vec::new() };
        self.connections.insert(number, connection);
    }

    fn step(&mut self, step: &Step<'_>, tally: &mut Tally) {
        let ours = step.ours;
        match step.what {
            What::ToPeer(bytes) => {
                for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                    self.receive(step, piece, tally);
                }
            }
            What::FromPeer(line) => self.expect_line(step, line, tally),
            What::Close { by_peer: true, how } => self.expect_end(step, *how, tally),
            What::Close { by_peer: false, .. } => {
                self.driver.act(|machine, now| machine.handle_disconnect(ours, now));
            }
            What::HalfClose => {
                self.driver.act(|machine, now| machine.handle_disconnect(ours, now));
                // Nothing is kept half open: the driver closes its side.
                self.driver.link(ours).end = Some((self.driver.now, End::Fin));
            }
            What::End => {
                let end = self.driver.link(ours).end.map(|(_, end)| end);
                tally.check(&step.key, &None, &end);
            }
            What::Open | What::Note => {}
        }
    }

    /// A line, or a part of one, comes to our machine.
    fn receive(&mut self, step: &Step<'_>, piece: &[u8], tally: &mut Tally) {
        let ids = &self.ids;
        let ours = teeth::with_id(piece, |id| ids.get(id).cloned());
        let Some(connection) = self.connections.get_mut(&step.number) else { return };
        let line = piece.strip_suffix(b"\n").filter(|_| !connection.is_within_line);
        connection.is_within_line = !piece.ends_with(b"\n");
        let message =
            line.and_then(|line| json::read(trim(line))).map_or(Value::Null, |reading| reading.value);
        if message.get("method") == Some(&Value::text("handshake")) {
            connection.handshakes.extend(message.get("id").cloned());
        }
        let Some(otherwise) = line.and_then(teeth::of_role).filter(|otherwise| step.differs(otherwise))
        else {
            return self.driver.act(|machine, now| machine.handle_bytes(step.ours, &ours, now));
        };
        tally.deviate(otherwise.deviation);
        match (otherwise.instead, step.next) {
            // Both end the connection, the original without a word.
            (Instead::Fatal(text), Some(What::Close { by_peer: true, .. })) => {
                self.driver.act(|machine, now| machine.handle_bytes(step.ours, &ours, now));
                let last = self.driver.link(step.ours).lines.pop_back().map(|(_, line)| line);
                let expected = Value::object([("fatal_error", Value::text(text))]);
                if last.as_ref() != Some(&expected) {
                    tally.fail(&step.key, expected, last.unwrap_or(Value::Null));
                }
            }
            // The original goes on: our machine is spared the line.
            (Instead::Fatal(_), _) if step.told().is_none() => {
                connection.withheld.extend(message.get("id").cloned());
            }
            _ => connection.ours = None,
        }
    }

    /// Our machine is to have written a line by now.
    fn expect_line(&mut self, step: &Step<'_>, line: &[u8], tally: &mut Tally) {
        let Some(recorded) = json::read(line.trim_ascii()).map(|reading| reading.value) else {
            return tally.fail(&step.key, "a line of JSON", "none");
        };
        let Some(connection) = self.connections.get_mut(&step.number) else { return };
        let is_command = recorded.get("method").is_some();
        let id = recorded.get("id").filter(|_| !is_command);
        if let Some(place) = connection.withheld.iter().position(|withheld| Some(withheld) == id) {
            connection.withheld.remove(place);
            return;
        }
        let is_handshake = id.is_some_and(|id| connection.handshakes.contains(id));
        if let Err(problem) = self.application(step, line, &recorded) {
            return tally.fail(&step.key, recorded, problem);
        }
        let has_written =
            |driver: &Driver| driver.links.get(&step.ours).is_some_and(|link| !link.lines.is_empty());
        self.driver.advance(step.due + TOLERANCE, has_written);
        let Some((at, line)) = self.driver.link(step.ours).lines.pop_front() else {
            return tally.fail(&step.key, recorded, "nothing");
        };
        if is_command {
            self.bind(recorded.get("id"), line.get("id"));
        } else if is_handshake {
            let name = |line: &Value| line.get("result").and_then(|result| result.get("id")).cloned();
            self.bind(name(&recorded).as_ref(), name(&line).as_ref());
        }
        let expected = without_uptime(recorded.map_texts(&|text| self.ids.get(text).cloned()));
        let got = without_uptime(line);
        if expected != got {
            tally.fail(&step.key, expected, got);
        } else if !step.is_on_time(at) {
            tally.fail(
                &step.key,
                format_args!("{expected} at its time"),
                format_args!("{:?} off", step.off(at)),
            );
        } else {
            tally.pass();
        }
    }

    /// What the recorded application did beside the machine, ours does: it sends commands and answers those that are
    /// its own.
    fn application(&mut self, step: &Step<'_>, line: &[u8], recorded: &Value) -> Result<(), String> {
        let message = wire::decode(line.trim_ascii()).ok().flatten();
        let ours = step.ours;
        match message {
            Some(Message::Command { method, params, .. }) => {
                let method = method.as_str().unwrap_or_default();
                if self.recording.role == Role::Agent && matches!(&*method, "handshake" | "ping") {
                    return Ok(());
                }
                let call = self.driver.act(|machine, now| machine.send(ours, &method, params, now))?;
                let id = recorded.get("id").and_then(Value::as_text).unwrap_or_default();
                self.driver.calls.insert(call, id);
                Ok(())
            }
            Some(Message::Result { result, .. }) => {
                let result = Object::try_from(result.to_json());
                self.answer(ours, result.map_or(Answer::Done, Answer::Result))
            }
            Some(Message::Error { error, .. }) => {
                self.answer(ours, Answer::Error(ErrorValue::from_json(error)))
            }
            Some(Message::FatalError(_)) | None => Ok(()),
        }
    }

    /// Answers the next command that waits for the application, unless the machine has written something by itself.
    fn answer(&mut self, ours: ConnectionId, answer: Answer) -> Result<(), String> {
        let link = self.driver.link(ours);
        let token = if link.lines.is_empty() { link.asked.pop_front() } else { None };
        match token {
            Some(token) => self.driver.act(|machine, now| machine.respond(ours, token, answer, now)),
            None => Ok(()),
        }
    }

    fn bind(&mut self, recorded: Option<&Value>, ours: Option<&Value>) {
        let text = |value: Option<&Value>| value.and_then(Value::as_text);
        if let (Some(recorded), Some(ours)) = (text(recorded), text(ours)) {
            self.ids.insert(recorded, ours);
        }
    }

    fn expect_end(&mut self, step: &Step<'_>, how: End, tally: &mut Tally) {
        let has_ended = |driver: &Driver| driver.links.get(&step.ours).is_some_and(|link| link.end.is_some());
        self.driver.advance(step.due + TOLERANCE, has_ended);
        if !has_ended(&self.driver) && how == End::Fin && step.was_served() {
            // Nothing that came explains the end: the application wanted it.
            self.driver.act(|machine, now| machine.stop(step.ours, now));
            return tally.check(&step.key, &true, &has_ended(&self.driver));
        }
        let link = self.driver.link(step.ours);
        if let Some((end, End::Rst)) = link.end {
            // A ping that is due just before: which of the two came first, the recorded clock cannot tell.
            link.lines.retain(|(at, _)| *at == end || *at + TOLERANCE < end);
        }
        match link.end {
            Some((at, end)) if end == how && step.is_on_time(at) => tally.pass(),
            Some((at, end)) => {
                tally.fail(
                    &step.key,
                    format_args!("{how:?}"),
                    format_args!("{end:?} {:?} off", step.off(at)),
                );
            }
            None => tally.fail(&step.key, format_args!("{how:?}"), "an open connection"),
        }
    }

    /// Nothing else was written, and the application got the recorded answers.
    fn rest(&mut self, tally: &mut Tally) {
        let name = &self.recording.name;
        for connection in self.connections.values() {
            let lines = connection.ours.and_then(|ours| self.driver.links.get(&ours));
            for (_, line) in lines.into_iter().flat_map(|link| &link.lines) {
                tally.fail(name, "no further line", line);
            }
        }
        if let Some(answers) = &self.recording.answers {
            tally.check(format_args!("{name} answers"), answers, &self.driver.answered);
        }
    }
}

/// An entry of the recording, its connection ours, its time come.
struct Step<'a> {
    key: String,
    number: u64,
    ours: ConnectionId,
    due: Instant,
    what: &'a What,
    /// What was before and after it on the same connection.
    previous: Option<&'a What>,
    next: Option<&'a What>,
}

impl<'a> Step<'a> {
    fn new(recording: &'a Recording, place: usize, ours: ConnectionId, due: Instant) -> Self {
        let entry = &recording.entries[place];
        let same = |other: &&Entry| other.connection == entry.connection;
        let (before, after) = (&recording.entries[..place], &recording.entries[place + 1..]);
        Self {
            key: recording.key(entry),
            number: entry.connection,
            ours,
            due,
            what: &entry.what,
            previous: before.iter().rev().find(same).map(|entry| &entry.what),
            next: after.iter().find(same).map(|entry| &entry.what),
        }
    }

    /// Returns the fatal error that the original answered this with.
    fn told(&self) -> Option<String> {
        fatal_error(self.next)
    }

    /// Whether the original did something else with the line than the crate does.
    fn differs(&self, otherwise: &Otherwise) -> bool {
        let told = self.told();
        match otherwise.instead {
            Instead::Fatal(text) => told.as_deref() != Some(text),
            Instead::Takes => told.is_some() || matches!(self.next, Some(What::Close { by_peer: true, .. })),
        }
    }

    /// Whether all was well before.
    fn was_served(&self) -> bool {
        matches!(self.previous, Some(What::FromPeer(_))) && fatal_error(self.previous).is_none()
    }

    fn off(&self, at: Instant) -> Duration {
        at.max(self.due) - at.min(self.due)
    }

    fn is_on_time(&self, at: Instant) -> bool {
        self.off(at) <= TOLERANCE
    }
}

fn fatal_error(what: Option<&What>) -> Option<String> {
    let Some(What::FromPeer(line)) = what else { return None };
    json::read(line.trim_ascii())?.value.get("fatal_error")?.as_text()
}

/// How long the peer has run is no part of the recording.
fn without_uptime(mut line: Value) -> Value {
    if let Value::Object(message) = &mut line
        && let Some(Value::Object(result)) = message.get_mut(&json::utf16("result"))
        && let Some(uptime) = result.get_mut(&json::utf16("uptime"))
        && matches!(uptime, Value::Float(seconds) if seconds.get() >= 0.0)
    {
        *uptime = Value::Null;
    }
    line
}
