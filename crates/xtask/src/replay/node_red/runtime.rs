//! Our runtime in the place of the recorded one.

use super::TOLERANCE;
use super::recording::{Entry, Frame, Recording, Version, What};
use super::scenario::{Grant, Published, Scenario, is_left_out};
use super::value::{Deed, read, same};
use crate::conformance::topics::{BRACE_QUANTIFIER, has_quantifier};
use crate::json::Value;
use crate::{Deviation, Tally};
use nodered_comms::ConnectionId;
use nodered_comms::runtime::{Access, Config, LookUpId, Output, Runtime, Scope, User};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long the look-up of a token takes: shorter than the shortest recorded one, longer than none.
const LOOK_UP: Duration = Duration::from_micros(300);
/// How long the runtime goes on after the last entry.
const REST: Duration = Duration::from_secs(1);

const OK: &str = "{\"auth\":\"ok\"}";
const FAIL: &str = "{\"auth\":\"fail\"}";

const SECOND_TOKEN: Deviation = Deviation {
    name: "second-token",
    reason: "a token of an active connection is looked up and answered, as by 4.0 and later; runtimes before ignore it",
};
const TOKEN_RACE: Deviation = Deviation {
    name: "token-race",
    reason: "frames that come while a token is looked up are held; the original may take them for a first packet",
};
const DOUBLE_DELIVERY: Deviation = Deviation {
    name: "double-delivery",
    reason: "a connection that presents a second token gets every message once; twice from the original",
};
const CLOSE_CODE: Deviation = Deviation {
    name: "close-code",
    reason: "connections are closed without a code, as by 0.20 and later; with 1000 before",
};
const SILENT_REFUSAL: Deviation = Deviation {
    name: "silent-refusal",
    reason: "in the era of the document a first packet without a token is refused without a word",
};

pub(super) fn check(recording: &Recording, tally: &mut Tally) {
    let connections = recording.connections();
    if !connections.iter().flatten().any(|entry| matches!(entry.what, What::Sent(_) | What::Received(_))) {
        return tally.skip("runtime-not-asked", "no connection on which anything was sent");
    }
    let scenario = match Scenario::of(recording) {
        Ok(scenario) => scenario,
        Err((name, reason)) => return tally.skip(name, reason),
    };
    let start = Instant::now();
    let stage = match Stage::new(recording, &scenario, start) {
        Ok(stage) => stage,
        Err(problem) => return tally.fail(&recording.name, "a runtime", problem),
    };
    let seen = stage.run(recording, &scenario, tally);
    for (entries, seen) in connections.iter().zip(&seen) {
        compare(recording, &scenario, entries, seen, tally);
    }
}

/// The runtime on a virtual clock, and what it has done.
struct Stage<'a> {
    runtime: Runtime,
    start: Instant,
    now: Duration,
    tokens: &'a BTreeMap<String, Grant>,
    keeps_sessions: bool,
    /// Lines at which a connection was opened with a good token in its header, which is not recorded.
    headers: BTreeSet<usize>,
    /// Lines at which the runtime closed a connection.
    closed_by_runtime: BTreeSet<usize>,
    /// Connections in the order in which they were opened.
    seen: Vec<Seen>,
    by_id: BTreeMap<ConnectionId, usize>,
    by_name: BTreeMap<String, ConnectionId>,
    /// The token that a connection has presented last.
    presented: BTreeMap<ConnectionId, String>,
    look_ups: Vec<(Duration, LookUpId, String)>,
}

/// What came over a connection.
#[derive(Default)]
struct Seen {
    frames: Vec<(Duration, String)>,
    end: Option<(Duration, Option<u16>)>,
}

impl<'a> Stage<'a> {
    fn new(recording: &Recording, scenario: &'a Scenario, start: Instant) -> Result<Self, String> {
        // Heartbeats are off here: what they would say does not matter.
        let mut config = Config::new(scenario.access.clone(), 1.0);
        config.era = scenario.era;
        config.heartbeat_interval = None;
        let mut runtime = Runtime::new(config, start).map_err(|error| error.to_string())?;
        for (topic, data) in &scenario.retained {
            runtime.publish(topic, data.as_ref(), true, start).map_err(|error| error.to_string())?;
        }
        Ok(Self {
            runtime,
            start,
            now: Duration::ZERO,
            tokens: &scenario.tokens,
            keeps_sessions: recording.version < Version(0, 20),
            headers: headers(recording),
            closed_by_runtime: closed_by_runtime(recording),
            seen: Vec::new(),
            by_id: BTreeMap::new(),
            by_name: BTreeMap::new(),
            presented: BTreeMap::new(),
            look_ups: Vec::new(),
        })
    }

    fn run(mut self, recording: &Recording, scenario: &Scenario, tally: &mut Tally) -> Vec<Seen> {
        let mut publications = scenario.publications.iter().peekable();
        for entry in &recording.entries {
            let is_before = |place: (Duration, usize)| (place.0, place.1) <= (entry.at, entry.line);
            while let Some(next) = publications.next_if(|next| is_before((next.at, next.line))) {
                self.advance(next.at);
                self.publish(&next.what, recording, tally);
            }
            self.advance(entry.at);
            self.step(entry, recording.version, tally);
        }
        for next in publications {
            self.advance(next.at);
            self.publish(&next.what, recording, tally);
        }
        self.advance(self.now + REST);
        self.seen
    }

    fn now(&self) -> Instant {
        self.start + self.now
    }

    /// Lets time pass up to a point; what is due at that point comes later.
    fn advance(&mut self, to: Duration) {
        loop {
            let timer = self.runtime.poll_timeout().map(|at| at.saturating_duration_since(self.start));
            let look_up = self.look_ups.first().map(|(at, ..)| *at);
            let next = timer.into_iter().chain(look_up).min().filter(|at| *at < to);
            let Some(at) = next else { break };
            self.now = self.now.max(at);
            if look_up == Some(at) {
                let (_, id, token) = self.look_ups.remove(0);
                self.looked_up(id, &token);
            } else {
                self.runtime.handle_timeout(self.now());
            }
            self.drain();
        }
        self.now = self.now.max(to);
    }

    fn publish(&mut self, what: &Published, recording: &Recording, tally: &mut Tally) {
        let now = self.now();
        let done = match what {
            Published::Message { topic, data, retain } => {
                self.runtime.publish(topic, data.as_ref(), *retain, now)
            }
            Published::Status { node, status } => self.runtime.status(node, status.as_ref(), now),
            Published::StatusWithdrawn { node } => {
                self.runtime.withdraw_status(node, now);
                Ok(())
            }
        };
        if let Err(refused) = done {
            tally.fail(&recording.name, "a publication", refused);
        }
        self.drain();
    }

    fn step(&mut self, entry: &Entry, version: Version, tally: &mut Tally) {
        let now = self.now();
        match &entry.what {
            What::Open { token } => {
                let grant = token.as_ref().and_then(|token| self.tokens.get(token));
                let connection = match grant {
                    Some(grant) => self.runtime.accept_user(self.user(grant), now),
                    None if self.headers.contains(&entry.line) => {
                        self.runtime.accept_user(User::new("unknown", Scope::default()), now)
                    }
                    None => self.runtime.accept(now),
                };
                self.by_id.insert(connection, self.seen.len());
                self.by_name.insert(entry.connection.clone(), connection);
                self.seen.push(Seen::default());
            }
            What::Sent(frame) => {
                let Some(&connection) = self.by_name.get(&entry.connection) else { return };
                let (Some(text), access) = (frame.clean(), &self.runtime.config().access) else {
                    return tally.skip("not-text", "a frame that is no text never reaches the runtime");
                };
                let is_second = self.runtime.is_active(connection) && *access != Access::Open;
                if is_second && version < Version(4, 0) && matches!(Deed::of(text), Deed::Auth(_)) {
                    return tally.deviate(SECOND_TOKEN);
                }
                self.runtime.handle_text(connection, text, now);
                if let Deed::Auth(Value::Text(token)) = Deed::of(text) {
                    self.presented.insert(connection, String::from_utf16_lossy(&token));
                }
            }
            What::Closed { .. } if self.closed_by_runtime.contains(&entry.line) => {}
            What::Closed { .. } => {
                if let Some(&connection) = self.by_name.get(&entry.connection) {
                    self.runtime.handle_disconnect(connection, now);
                }
            }
            What::Received(_) | What::Failed | What::Note(_) | What::Other => {}
        }
        self.drain();
    }

    fn user(&self, grant: &Grant) -> User {
        let mut user = User::new(grant.user.clone(), Scope::from(grant.scope.as_str()));
        let life = grant.expires.map(|end| end.saturating_sub(self.now));
        user.expires_in = life.filter(|_| !self.keeps_sessions);
        user
    }

    /// A token that is found to be over ends the sessions that it began.
    fn looked_up(&mut self, id: LookUpId, token: &str) {
        let now = self.now();
        match self.tokens.get(token) {
            Some(grant) if grant.holds(self.now) => {
                let user = self.user(grant);
                self.runtime.handle_user(id, Some(user), now);
            }
            Some(grant) if grant.expires.is_some_and(|end| end <= self.now) && !self.keeps_sessions => {
                let of_same = self.presented.iter().filter(|(_, known)| *known == token);
                let active: Vec<ConnectionId> = of_same
                    .map(|(connection, _)| *connection)
                    .filter(|connection| self.runtime.is_active(*connection))
                    .collect();
                for connection in active {
                    self.runtime.end_session(connection, now);
                }
                self.runtime.handle_user(id, None, now);
            }
            _ => self.runtime.handle_user(id, None, now),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.runtime.poll_output() {
            match output {
                Output::Transmit { connection, text } => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    if let Some(seen) =
                        self.by_id.get(&connection).and_then(|place| self.seen.get_mut(*place))
                    {
                        seen.frames.push((self.now, text));
                    }
                }
                Output::Disconnect { connection, code } => {
                    if let Some(seen) =
                        self.by_id.get(&connection).and_then(|place| self.seen.get_mut(*place))
                    {
                        seen.end = Some((self.now, code));
                    }
                }
                Output::LookUp { id, token } => {
                    self.look_ups.push((self.now + LOOK_UP, id, token.expose().to_owned()));
                }
                Output::Event(_) => {}
            }
        }
    }
}

/// Where tokens may come in a header, a connection that gets messages and no answer to a token came with one.
fn headers(recording: &Recording) -> BTreeSet<usize> {
    let is_one = |entries: &Vec<&Entry>| {
        let mut frames =
            entries.iter().filter_map(|entry| received(entry)).filter_map(|frame| read(&frame.text));
        let is_message = |frame: &Value| matches!(frame, Value::List(_)) || frame.get("topic").is_some();
        frames.next().is_some_and(|frame| is_message(&frame))
    };
    let connections = recording.connections();
    let wanted = connections.iter().filter(|entries| recording.settings == "auth-tokens" && is_one(entries));
    wanted.map(|entries| entries[0].line).collect()
}

/// The runtime closes what it has refused.
fn closed_by_runtime(recording: &Recording) -> BTreeSet<usize> {
    let connections = recording.connections();
    let refused = connections.iter().filter(|entries| {
        let last = entries.iter().filter_map(|entry| received(entry)).next_back();
        last.is_some_and(|frame| frame.text == FAIL)
    });
    let closes = refused.flatten().filter(|entry| matches!(entry.what, What::Closed { .. }));
    closes.map(|entry| entry.line).collect()
}

// Comparing

fn compare(recording: &Recording, scenario: &Scenario, entries: &[&Entry], seen: &Seen, tally: &mut Tally) {
    let key = recording.key(entries[0]);
    let sent = || entries.iter().filter_map(|entry| clean_packet(entry));
    if sent().any(|deed| matches!(deed, Deed::Subscribe(filter) if filter.as_text().is_some_and(|text| has_quantifier(&text)))) {
        return tally.deviate(BRACE_QUANTIFIER);
    }
    if lost_the_race(entries, scenario) {
        return match seen.frames.first().map(|(_, text)| text.as_str()) {
            Some(OK) => tally.deviate(TOKEN_RACE),
            other => tally.fail(key, OK, other.unwrap_or("nothing")),
        };
    }
    let mut recorded: Vec<(&Entry, Value)> =
        entries.iter().filter_map(|entry| Some((*entry, compared(&received(entry)?.text)?))).collect();
    let mut got: Vec<(Duration, Value)> =
        seen.frames.iter().filter_map(|(at, text)| Some((*at, compared(text)?))).collect();
    if recording.version >= Version(4, 0) && presents_two(entries, scenario) {
        recorded.iter_mut().for_each(|(_, frame)| once(frame));
        got.iter_mut().for_each(|(_, frame)| once(frame));
        tally.deviate(DOUBLE_DELIVERY);
    }
    let fails = |frame: &Value| frame.get("auth").and_then(Value::as_text).as_deref() == Some("fail");
    let is_silent = scenario.era == nodered_comms::runtime::Era::Document
        && sent().next().is_some_and(|deed| !matches!(deed, Deed::Auth(_)))
        && recorded.last().is_some_and(|(_, frame)| fails(frame));
    let is_refused = recorded.last().is_some_and(|(_, frame)| fails(frame));
    if is_silent {
        recorded.pop();
        tally.deviate(SILENT_REFUSAL);
    }
    for (place, (entry, frame)) in recorded.iter().enumerate() {
        match got.get(place) {
            Some((at, ours)) if same(frame, ours) && at.abs_diff(entry.at) <= TOLERANCE => tally.pass(),
            Some((at, ours)) => {
                let expected = format_args!("{frame} at {:?}", entry.at);
                return tally.fail(recording.key(entry), expected, format_args!("{ours} at {at:?}"));
            }
            None => return tally.fail(recording.key(entry), frame, "nothing"),
        }
    }
    if let Some((at, frame)) = got.get(recorded.len()) {
        return tally.fail(key, "nothing more", format_args!("{frame} at {at:?}"));
    }
    let closed = entries.iter().find_map(|entry| match entry.what {
        What::Closed { code } => Some((entry.at, code)),
        _ => None,
    });
    match (closed.filter(|_| is_refused), seen.end) {
        (None, None) => tally.pass(),
        (Some((at, code)), Some((ours, None))) if at.abs_diff(ours) <= TOLERANCE => match code {
            1005 => tally.pass(),
            1000 if recording.version < Version(0, 20) => tally.deviate(CLOSE_CODE),
            _ => tally.fail(key, format_args!("a close with {code}"), "one without a code"),
        },
        (recorded, ours) => {
            tally.fail(key, format_args!("the end {recorded:?}"), format_args!("{ours:?}"));
        }
    }
}

fn received(entry: &Entry) -> Option<&Frame> {
    match &entry.what {
        What::Received(frame) => Some(frame),
        _ => None,
    }
}

fn clean_packet(entry: &Entry) -> Option<Deed> {
    match &entry.what {
        What::Sent(frame) => frame.clean().map(Deed::of),
        _ => None,
    }
}

/// Returns a frame without what is not compared; `None` if nothing is left of it.
fn compared(text: &str) -> Option<Value> {
    let is_compared = |item: &Value| {
        let topic = item.get("topic").and_then(Value::as_text);
        !topic.is_some_and(|topic| is_left_out(&topic))
    };
    match read(text)? {
        Value::List(mut items) if !items.is_empty() => {
            items.retain(is_compared);
            (!items.is_empty()).then_some(Value::List(items))
        }
        value => Some(value).filter(is_compared),
    }
}

/// Whether a good token was refused because another packet came while it was looked up.
fn lost_the_race(entries: &[&Entry], scenario: &Scenario) -> bool {
    let mut waits: Option<&Grant> = None;
    let mut raced = false;
    for entry in entries {
        match (&entry.what, clean_packet(entry)) {
            (What::Sent(_), Some(Deed::Auth(Value::Text(token)))) if waits.is_none() => {
                let grant = scenario.tokens.get(&String::from_utf16_lossy(&token));
                waits = grant.filter(|grant| grant.holds(entry.at));
            }
            (What::Sent(_), _) => raced |= waits.is_some(),
            (What::Received(frame), _) => return raced && frame.text == FAIL,
            _ => {}
        }
    }
    false
}

/// Whether a connection became active twice: by two good tokens, or by one after it was a default user's.
fn presents_two(entries: &[&Entry], scenario: &Scenario) -> bool {
    let is_default = matches!(&scenario.access, Access::UsersOr(user) if user.scope.may_listen());
    let packets: Vec<Deed> = entries.iter().filter_map(|entry| clean_packet(entry)).collect();
    let begins_without =
        packets.first().is_some_and(|deed| !matches!(deed, Deed::Auth(_) | Deed::Malformed)) && is_default;
    let oks = entries.iter().filter_map(|entry| received(entry)).filter(|frame| frame.text == OK);
    oks.count() + usize::from(begins_without) > 1
}

/// Leaves one of equal messages that follow each other; what several filters bring may be equal too.
fn once(frame: &mut Value) {
    if let Value::List(items) = frame {
        items.dedup_by(|a, b| same(a, b));
    }
}
