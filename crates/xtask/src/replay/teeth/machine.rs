//! Our machines in the place of the peer.

use super::recording::{End, Recording, Role, Timers, What};
use crate::json::{self, Value};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use teeth_proto::agent::{self, Agent, BackoffReset};
use teeth_proto::command::{Command, Method};
use teeth_proto::server::{self, Server};
use teeth_proto::session::{self, Answer, AnswerToken};
use teeth_proto::wire::{Json, JsonRef, Violation, trim};
use teeth_proto::{CallId, ConnectionId, Dialect};

#[expect(clippy::large_enum_variant, reason = "there is one")]
pub(super) enum Machine {
    Agent(Agent),
    Server(Server),
}

/// What a machine does, as far as a recording shows it.
pub(super) enum Seen {
    /// It wants a connection.
    Connect(ConnectionId),
    Line(ConnectionId, Value),
    End(ConnectionId, End),
    /// The application is to answer.
    Asked(ConnectionId, AnswerToken),
    /// The application has got an answer.
    Answered {
        call: CallId,
        is_error: bool,
        value: Value,
    },
    /// It waits before it connects.
    Waits(Duration),
    /// Something that leaves no trace.
    Nothing,
}

impl Machine {
    pub(super) fn new(recording: &Recording, start: Instant) -> Result<Self, String> {
        match recording.role {
            Role::Agent => {
                Agent::new(agent_config(recording), start).map(Self::Agent).map_err(|error| error.to_string())
            }
            Role::Server => Server::new(server_config(recording), start)
                .map(Self::Server)
                .map_err(|error| error.to_string()),
        }
    }

    /// Sends a command of the application.
    pub(super) fn send(
        &mut self,
        connection: ConnectionId,
        method: &str,
        params: JsonRef<'_>,
        now: Instant,
    ) -> Result<CallId, String> {
        let command =
            Command::decode(method, params, Dialect::Original).map_err(|error| error.to_string())?;
        match self {
            Self::Agent(agent) => agent.send(&command, now).map_err(|error| error.to_string()),
            Self::Server(server) => {
                if let Command::Task(task) = &command {
                    // The original does not follow tasks, so that their ids may be in use.
                    server.forget_task(connection, &task.task_id, now);
                }
                server.send(connection, &command, now).map_err(|error| error.to_string())
            }
        }
    }

    pub(super) fn respond(
        &mut self,
        connection: ConnectionId,
        token: AnswerToken,
        answer: Answer,
        now: Instant,
    ) -> Result<(), String> {
        match self {
            Self::Agent(agent) => agent.respond(token, answer, now).map_err(|error| error.to_string()),
            Self::Server(server) => {
                server.respond(connection, token, answer, now).map_err(|error| error.to_string())
            }
        }
    }

    /// Ends a connection because the application wants it. An agent then is at its end too.
    pub(super) fn stop(&mut self, connection: ConnectionId, now: Instant) {
        match self {
            Self::Agent(agent) => agent.close(now),
            Self::Server(server) => server.disconnect(connection, now),
        }
    }

    /// The connection that an agent asked for is there; a server has got one.
    pub(super) fn connected(&mut self, attempt: Option<ConnectionId>, now: Instant) -> Option<ConnectionId> {
        match self {
            Self::Agent(agent) => agent.handle_connected(attempt?, now),
            Self::Server(server) => return Some(server.accept(now)),
        }
        attempt
    }

    pub(super) fn connect_failed(&mut self, attempt: ConnectionId, now: Instant) {
        if let Self::Agent(agent) = self {
            agent.handle_connect_failed(attempt, now);
        }
    }

    pub(super) fn handle_bytes(&mut self, connection: ConnectionId, bytes: &[u8], now: Instant) {
        match self {
            Self::Agent(agent) => agent.handle_bytes(connection, bytes, now),
            Self::Server(server) => server.handle_bytes(connection, bytes, now),
        }
    }

    pub(super) fn handle_disconnect(&mut self, connection: ConnectionId, now: Instant) {
        match self {
            Self::Agent(agent) => agent.handle_disconnect(connection, now),
            Self::Server(server) => server.handle_disconnect(connection, now),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Agent(agent) => agent.handle_timeout(now),
            Self::Server(server) => server.handle_timeout(now),
        }
    }

    pub(super) fn poll(&mut self) -> Option<Seen> {
        Some(match self {
            Self::Agent(agent) => match agent.poll_output()? {
                agent::Output::Connect { connection, .. } => Seen::Connect(connection),
                agent::Output::Transmit { connection, bytes } => Seen::line(connection, &bytes),
                agent::Output::Disconnect { connection } => Seen::End(connection, End::Fin),
                agent::Output::Abort { connection } => Seen::End(connection, End::Rst),
                agent::Output::Event(agent::Event::Replied { call, reply, .. }) => match reply {
                    session::Reply::Result(result) => Seen::answered(call, false, &result),
                    session::Reply::Error(error) => Seen::answered(call, true, error.json()),
                },
                agent::Output::Event(agent::Event::Waiting { wait }) => Seen::Waits(wait),
                agent::Output::Event(_) => Seen::Nothing,
            },
            Self::Server(server) => match server.poll_output()? {
                server::Output::Transmit { connection, bytes } => Seen::line(connection, &bytes),
                server::Output::Disconnect { connection } => Seen::End(connection, End::Fin),
                server::Output::Abort { connection } => Seen::End(connection, End::Rst),
                server::Output::Event(server::Event::Command { connection, token, .. }) => {
                    Seen::Asked(connection, token)
                }
                server::Output::Event(server::Event::Replied { call, reply, .. }) => match reply {
                    server::Reply::Status(status) => Seen::answered(call, false, &status.result().into()),
                    server::Reply::Result(result) => Seen::answered(call, false, &result),
                    server::Reply::Error(error) => Seen::answered(call, true, error.json()),
                    _ => Seen::Nothing,
                },
                server::Output::Event(_) => Seen::Nothing,
            },
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Agent(agent) => agent.poll_timeout(),
            Self::Server(server) => server.poll_timeout(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Agent(agent) => agent.is_closed(),
            Self::Server(server) => server.is_closed(),
        }
    }
}

impl Seen {
    /// A line that is no JSON shows as `null`, which no line is.
    fn line(connection: ConnectionId, bytes: &[u8]) -> Self {
        let line = bytes.strip_suffix(b"\n").and_then(json::read);
        Self::Line(connection, line.map_or(Value::Null, |reading| reading.value))
    }

    fn answered(call: CallId, is_error: bool, value: &Json) -> Self {
        let value = json::read(value.text().as_bytes()).map_or(Value::Null, |reading| reading.value);
        Self::Answered { call, is_error, value }
    }
}

fn agent_config(recording: &Recording) -> agent::Config {
    let handshake = lines(recording, true).into_iter().find(|line| is_of(line, "handshake"));
    let said = |name| handshake.as_ref()?.get("params")?.get(name)?.as_text();
    let (id, version) = (said("id").unwrap_or_default(), said("version").unwrap_or_default());
    let mut config = agent::Config::new(id, version, 1);
    config.session = session_config(recording);
    config.call_timeout = None;
    config.backoff.spread = 0.0;
    config.backoff.reset = BackoffReset::Connect;
    config
}

fn server_config(recording: &Recording) -> server::Config {
    let mut config = server::Config::new(1);
    config.session = session_config(recording);
    config.call_timeout = None;
    config.methods = methods(recording);
    config
}

fn session_config(recording: &Recording) -> session::Config {
    let mut config = session::Config::new(1);
    config.dialect = Dialect::Original;
    config.ping_timeout = None;
    if let Timers::Idle(timeout) = recording.timers {
        config.idle_timeout = timeout;
        config.ping_interval = timeout / 3;
    }
    let unsupported = Some(Value::text(Violation::UnsupportedCommand.text()));
    let told = lines(recording, true).into_iter().any(|line| line.get("fatal_error") == unsupported.as_ref());
    config.serves_commands = !told;
    config
}

/// Returns the methods of the peer's application: those beside the protocol's that it answered.
fn methods(recording: &Recording) -> BTreeSet<String> {
    let answered: Vec<Value> =
        lines(recording, true).iter().filter_map(|line| line.get("id").cloned()).collect();
    let asked = lines(recording, false);
    let asked = asked.iter().filter(|line| line.get("id").is_some_and(|id| answered.contains(id)));
    let names = asked.filter_map(|line| line.get("method")?.as_text());
    names.filter(|name| matches!(Method::from(&**name), Method::Other { .. })).collect()
}

/// Returns the lines that stand in one entry each.
fn lines(recording: &Recording, from_peer: bool) -> Vec<Value> {
    let bytes = recording.entries.iter().filter_map(|entry| match &entry.what {
        What::FromPeer(bytes) if from_peer => Some(bytes),
        What::ToPeer(bytes) if !from_peer => Some(bytes),
        _ => None,
    });
    let lines = bytes.flat_map(|bytes| bytes.split(|byte| *byte == b'\n'));
    lines.filter_map(|line| Some(json::read(trim(line))?.value)).collect()
}

fn is_of(line: &Value, method: &str) -> bool {
    line.get("method") == Some(&Value::text(method))
}
