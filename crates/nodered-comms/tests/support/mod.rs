//! What the tests of the machines share: wrappers for the test kit, and transcripts of outputs as short strings.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use bytes::Bytes;
use nodered_comms::client::{self, Client};
use nodered_comms::runtime::{self, Runtime};
use nodered_comms::topic::TopicFilter;
use nodered_comms::wire::Json;
use nodered_comms::{ConnectionId, Instant};
use std::time::Duration;
use testkit::forward_machine;
use testkit::hub::{ClientMachine, ClientWork, HubMachine, HubWork};

pub(crate) use testkit::epoch;

pub(crate) struct TestClient(pub(crate) Client);
pub(crate) struct TestRuntime(pub(crate) Runtime);

forward_machine!(TestClient, client::Output);
forward_machine!(TestRuntime, runtime::Output);

/// Work that the virtual network does not carry: it goes to the test, as an event does.
#[derive(Debug)]
pub(crate) enum ClientNews {
    Event(client::Event),
    Request(client::RequestId, http::Request<Bytes>),
    Cancel,
}

#[derive(Debug)]
pub(crate) enum RuntimeNews {
    Event(runtime::Event),
    LookUp(runtime::LookUpId, nodered_comms::Secret),
}

// Whole frames travel: the conditions must not cut.

impl ClientMachine for TestClient {
    type Connection = ConnectionId;
    type Event = ClientNews;

    fn handle_connected(&mut self, connection: ConnectionId, now: Instant) {
        self.0.handle_connected(connection, now);
    }

    fn handle_connect_failed(&mut self, connection: ConnectionId, now: Instant) {
        self.0.handle_connect_failed(connection, now);
    }

    fn handle_bytes(&mut self, connection: ConnectionId, bytes: &[u8], now: Instant) {
        self.0.handle_text(connection, std::str::from_utf8(bytes).unwrap(), now);
    }

    fn handle_disconnect(&mut self, connection: ConnectionId, now: Instant) {
        self.0.handle_disconnect(connection, now);
    }

    fn work(output: client::Output) -> ClientWork<ConnectionId, ClientNews> {
        match output {
            client::Output::Connect { connection, .. } => ClientWork::Connect(connection),
            client::Output::Transmit { connection, text } => {
                ClientWork::Transmit { connection, bytes: text.into() }
            }
            client::Output::Disconnect { connection } => ClientWork::Disconnect(connection),
            client::Output::Request { id, request } => ClientWork::Event(ClientNews::Request(id, request)),
            client::Output::Cancel(_) => ClientWork::Event(ClientNews::Cancel),
            client::Output::Event(event) => ClientWork::Event(ClientNews::Event(event)),
        }
    }
}

impl HubMachine for TestRuntime {
    type Connection = ConnectionId;
    type Event = RuntimeNews;

    fn accept(&mut self, now: Instant) -> ConnectionId {
        self.0.accept(now)
    }

    fn handle_bytes(&mut self, connection: ConnectionId, bytes: &[u8], now: Instant) {
        self.0.handle_text(connection, std::str::from_utf8(bytes).unwrap(), now);
    }

    fn handle_disconnect(&mut self, connection: ConnectionId, now: Instant) {
        self.0.handle_disconnect(connection, now);
    }

    fn work(output: runtime::Output) -> HubWork<ConnectionId, RuntimeNews> {
        match output {
            runtime::Output::Transmit { connection, text } => HubWork::Transmit { connection, bytes: text },
            runtime::Output::Disconnect { connection, .. } => HubWork::Disconnect(connection),
            runtime::Output::LookUp { id, token } => HubWork::Event(RuntimeNews::LookUp(id, token)),
            runtime::Output::Event(event) => HubWork::Event(RuntimeNews::Event(event)),
        }
    }
}

/// An output as a short string: `> ` and the frame, `disconnect`, a request's line and body, an event as it shows itself.
pub(crate) trait Short {
    fn short(&self) -> String;
}

impl Short for client::Output {
    fn short(&self) -> String {
        match self {
            Self::Connect { attempt, .. } => format!("connect, attempt {attempt}"),
            Self::Transmit { text, .. } => format!("> {text}"),
            Self::Disconnect { .. } => "disconnect".into(),
            Self::Request { request, .. } => {
                let body = std::str::from_utf8(request.body()).unwrap();
                format!("{} {} {body}", request.method(), request.uri()).trim_end().to_owned()
            }
            Self::Cancel(_) => "cancel".into(),
            Self::Event(event) => format!("{event:?}"),
        }
    }
}

impl Short for runtime::Output {
    fn short(&self) -> String {
        match self {
            Self::Transmit { connection, text } => {
                format!("{}> {}", connection.number(), std::str::from_utf8(text).unwrap())
            }
            Self::Disconnect { connection, code: None } => format!("{} disconnect", connection.number()),
            Self::Disconnect { connection, code: Some(code) } => {
                format!("{} disconnect {code}", connection.number())
            }
            Self::LookUp { token, .. } => format!("look up {}", token.expose()),
            Self::Event(event) => format!("{event:?}"),
        }
    }
}

pub(crate) fn short<O: Short>(outputs: &[O]) -> Vec<String> {
    outputs.iter().map(Short::short).collect()
}

pub(crate) fn filter(pattern: &str) -> TopicFilter {
    TopicFilter::new(pattern).unwrap()
}

pub(crate) fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
