//! What the tests of the machines share: wrappers for the test kit, and transcripts of outputs as short strings.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::time::Duration;
use teeth_proto::agent::{self, Agent};
use teeth_proto::server::{self, Server};
use teeth_proto::session::{self, Session};
use teeth_proto::wire::Object;
use teeth_proto::{ConnectionId, Instant};
use testkit::forward_machine;
use testkit::hub::{ClientMachine, ClientWork, HubMachine, HubWork};
use testkit::stream::{StreamMachine, StreamWork};

pub(crate) use testkit::{drain, epoch};

pub(crate) struct TestSession(pub(crate) Session);
pub(crate) struct TestAgent(pub(crate) Agent);
pub(crate) struct TestServer(pub(crate) Server);

forward_machine!(TestSession, session::Output);
forward_machine!(TestAgent, agent::Output);
forward_machine!(TestServer, server::Output);

impl StreamMachine for TestSession {
    type Event = session::Event;

    fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        self.0.handle_bytes(bytes, now);
    }

    fn handle_disconnect(&mut self, now: Instant) {
        self.0.handle_disconnect(now);
    }

    fn work(output: session::Output) -> StreamWork<session::Event> {
        match output {
            session::Output::Transmit(bytes) => StreamWork::Transmit(bytes),
            session::Output::Disconnect | session::Output::Abort => StreamWork::Disconnect,
            session::Output::Event(event) => StreamWork::Event(event),
        }
    }
}

impl ClientMachine for TestAgent {
    type Connection = ConnectionId;
    type Event = agent::Event;

    fn handle_connected(&mut self, connection: ConnectionId, now: Instant) {
        self.0.handle_connected(connection, now);
    }

    fn handle_connect_failed(&mut self, connection: ConnectionId, now: Instant) {
        self.0.handle_connect_failed(connection, now);
    }

    fn handle_bytes(&mut self, connection: ConnectionId, bytes: &[u8], now: Instant) {
        self.0.handle_bytes(connection, bytes, now);
    }

    fn handle_disconnect(&mut self, connection: ConnectionId, now: Instant) {
        self.0.handle_disconnect(connection, now);
    }

    fn work(output: agent::Output) -> ClientWork<ConnectionId, agent::Event> {
        match output {
            agent::Output::Connect { connection, .. } => ClientWork::Connect(connection),
            agent::Output::Transmit { connection, bytes } => ClientWork::Transmit { connection, bytes },
            agent::Output::Disconnect { connection } | agent::Output::Abort { connection } => {
                ClientWork::Disconnect(connection)
            }
            agent::Output::Event(event) => ClientWork::Event(event),
        }
    }
}

impl HubMachine for TestServer {
    type Connection = ConnectionId;
    type Event = server::Event;

    fn accept(&mut self, now: Instant) -> ConnectionId {
        self.0.accept(now)
    }

    fn handle_bytes(&mut self, connection: ConnectionId, bytes: &[u8], now: Instant) {
        self.0.handle_bytes(connection, bytes, now);
    }

    fn handle_disconnect(&mut self, connection: ConnectionId, now: Instant) {
        self.0.handle_disconnect(connection, now);
    }

    fn work(output: server::Output) -> HubWork<ConnectionId, server::Event> {
        match output {
            server::Output::Transmit { connection, bytes } => HubWork::Transmit { connection, bytes },
            server::Output::Disconnect { connection } | server::Output::Abort { connection } => {
                HubWork::Disconnect(connection)
            }
            server::Output::Event(event) => HubWork::Event(event),
        }
    }
}

/// An output as a short string: `> ` and the line; `disconnect`; `abort`; an event as it shows itself.
pub(crate) trait Short {
    fn short(&self) -> String;
}

impl Short for session::Output {
    fn short(&self) -> String {
        match self {
            Self::Transmit(bytes) => line(bytes),
            Self::Disconnect => "disconnect".into(),
            Self::Abort => "abort".into(),
            Self::Event(event) => format!("{event:?}"),
        }
    }
}

impl Short for agent::Output {
    fn short(&self) -> String {
        match self {
            Self::Connect { connection, attempt } => {
                format!("connect {} attempt {attempt}", connection.number())
            }
            Self::Transmit { bytes, .. } => line(bytes),
            Self::Disconnect { .. } => "disconnect".into(),
            Self::Abort { .. } => "abort".into(),
            Self::Event(event) => format!("{event:?}"),
        }
    }
}

impl Short for server::Output {
    fn short(&self) -> String {
        match self {
            Self::Transmit { connection, bytes } => format!("{}{}", connection.number(), line(bytes)),
            Self::Disconnect { connection } => format!("{} disconnect", connection.number()),
            Self::Abort { connection } => format!("{} abort", connection.number()),
            Self::Event(event) => format!("{event:?}"),
        }
    }
}

fn line(bytes: &[u8]) -> String {
    let line = std::str::from_utf8(bytes).unwrap();
    assert!(line.is_ascii(), "lines are ASCII");
    format!("> {}", line.strip_suffix('\n').expect("a line ends with its line feed"))
}

/// The transcript of outputs; ids of commands, which are random, become `#1`, `#2` and so on in the order in which
/// they first appear.
#[derive(Default)]
pub(crate) struct Transcript(Vec<String>);

impl Transcript {
    pub(crate) fn of<O: Short>(&mut self, outputs: &[O]) -> Vec<String> {
        outputs.iter().map(|output| self.name_ids(output.short())).collect()
    }

    /// How many ids were seen.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The real id behind `#n`.
    pub(crate) fn id(&self, number: usize) -> &str {
        &self.0[number - 1]
    }

    fn name_ids(&mut self, text: String) -> String {
        let is_uuid = |id: &&str| id.len() == 36 && id.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
        let ids =
            text.match_indices("\"id\": \"").filter_map(|(at, name)| text.get(at + name.len()..)?.get(..36));
        let mut named = text.clone();
        for id in ids.filter(is_uuid) {
            let known = self.0.iter().position(|known| known == id);
            let number = known.unwrap_or_else(|| {
                self.0.push(id.to_owned());
                self.0.len() - 1
            });
            named = named.replace(id, &format!("#{}", number + 1));
        }
        named
    }
}

/// A command line of the peer, as `v1`.
pub(crate) fn command(id: &str, method: &str, params: &str) -> String {
    format!("{{\"id\":\"{id}\",\"version\":\"v1\",\"method\":\"{method}\",\"params\":{params}}}\n")
}

/// A result line of the peer.
pub(crate) fn result(id: &str, result: &str) -> String {
    format!("{{\"id\":\"{id}\",\"version\":\"v1\",\"result\":{result}}}\n")
}

/// An error line of the peer.
pub(crate) fn error(id: &str, error: &str) -> String {
    format!("{{\"id\":\"{id}\",\"version\":\"v1\",\"error\":{error}}}\n")
}

pub(crate) fn object(text: &str) -> Object {
    Object::parse(text).unwrap()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
