//! What the tests of the client share: a wrapper for the test kit, and transcripts of outputs as short lines.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use nodepass_api::client::{
    Client, Config, Delivery, Event, Failure, FailureKind, Output, Reply, RequestId, StreamId,
};
use nodepass_api::fleet::Change;
use nodepass_api::{Instant, Secret};
use std::time::Duration;
use testkit::forward_machine;

pub(crate) use testkit::epoch;

pub(crate) struct TestClient(pub(crate) Client);
forward_machine!(TestClient, Output);

pub(crate) const INFO: &str = r#"{"ver":"v1.14.0","uptime":100}"#;
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";

pub(crate) fn config() -> Config {
    let mut config = Config::new("http://h:9090/api".parse().unwrap(), Secret::new(KEY));
    config.resync_interval = None;
    config.info_interval = None;
    config
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn response(status: u16, body: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::copy_from_slice(body.as_bytes()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

pub(crate) fn instance(id: &str, status: &str, rest: &str) -> String {
    let kind = if id == "********" { "" } else { "server" };
    let mut members =
        format!(r#""id":"{id}","type":"{kind}","status":"{status}","tcprx":0,"tcptx":0,"udprx":0,"udptx":0"#);
    if !rest.contains("\"url\"") {
        members += r#","url":"server://:1/t:2""#;
    }
    if !rest.is_empty() {
        members += ",";
    }
    format!("{{{members}{rest}}}")
}

pub(crate) fn record(key: &str) -> String {
    instance("********", "", &format!(r#""url":"{key}""#))
}

pub(crate) fn frame(kind: &str, instance: &str) -> String {
    format!(
        "event: instance\ndata: {{\"type\":\"{kind}\",\"time\":\"2026-11-21T10:17:18Z\",\"instance\":{instance},\"logs\":\"\"}}\n\n"
    )
}

/// A client with a master that the test plays: requests wait for answers by their line, as in `GET /instances`.
pub(crate) struct Played {
    pub(crate) client: TestClient,
    pub(crate) now: Instant,
    pub(crate) requests: Vec<(RequestId, Request<Bytes>)>,
    pub(crate) streams: Vec<(StreamId, Request<Bytes>)>,
    lines: Vec<String>,
}

impl Played {
    pub(crate) fn new(config: Config) -> Self {
        let client = TestClient(Client::new(config, epoch()).unwrap());
        let mut played =
            Self { client, now: epoch(), requests: Vec::new(), streams: Vec::new(), lines: Vec::new() };
        played.drain();
        played
    }

    /// One that knows the path and has a stream and a list.
    pub(crate) fn streaming(config: Config, list: &str) -> Self {
        let mut played = Self::new(config);
        played.answer("GET /api/v1/info", 200, INFO);
        played.open(200);
        played.answer("GET /api/v1/instances", 200, list);
        played.lines();
        played
    }

    pub(crate) fn client(&mut self) -> &mut Client {
        &mut self.client.0
    }

    /// Takes what was said since the last time.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        self.drain();
        std::mem::take(&mut self.lines)
    }

    fn drain(&mut self) {
        for output in testkit::drain(&mut self.client) {
            let line = |request: &Request<Bytes>| {
                format!("{} {}", request.method(), request.uri().path_and_query().unwrap())
            };
            match output {
                Output::Request { id, request } => {
                    self.lines.push(line(&request));
                    self.requests.push((id, request));
                }
                Output::Cancel(id) => {
                    let at = self
                        .requests
                        .iter()
                        .position(|(other, _)| *other == id)
                        .expect("a request under way");
                    self.lines.push(format!("cancel {}", line(&self.requests.remove(at).1)));
                }
                Output::OpenStream { stream, request } => {
                    self.lines.push(format!("open {}", line(&request)));
                    self.streams.push((stream, request));
                }
                Output::CloseStream { stream } => {
                    self.streams.retain(|(other, _)| *other != stream);
                    self.lines.push("close stream".to_owned());
                }
                Output::Event(event) => self.lines.push(event_line(&event)),
            }
        }
    }

    /// Takes the first waiting request of this line.
    pub(crate) fn take(&mut self, line: &str) -> (RequestId, Request<Bytes>) {
        self.drain();
        let is_it = |(_, request): &(RequestId, Request<Bytes>)| {
            format!("{} {}", request.method(), request.uri().path_and_query().unwrap()) == line
        };
        let at = self.requests.iter().position(is_it);
        let at = at.unwrap_or_else(|| panic!("no {line} among {:?}", self.requests));
        self.requests.remove(at)
    }

    pub(crate) fn answer(&mut self, line: &str, status: u16, body: &str) {
        let (id, _) = self.take(line);
        self.client.0.handle_response(id, response(status, body), self.now);
        self.drain();
    }

    pub(crate) fn fail(&mut self, line: &str, delivered: Delivery, kind: FailureKind) {
        let (id, _) = self.take(line);
        self.client.0.handle_failure(id, Failure::new(delivered, kind), self.now);
        self.drain();
    }

    pub(crate) fn stream(&mut self) -> StreamId {
        self.drain();
        self.streams.last().expect("a stream is wanted").0
    }

    pub(crate) fn open(&mut self, status: u16) {
        let stream = self.stream();
        let mut head = Response::new(());
        *head.status_mut() = StatusCode::from_u16(status).unwrap();
        self.client.0.handle_stream_opened(stream, &head, self.now);
        self.drain();
    }

    pub(crate) fn send(&mut self, text: &str) {
        let stream = self.stream();
        self.client.0.handle_stream_bytes(stream, text.as_bytes(), self.now);
        self.drain();
    }

    pub(crate) fn end(&mut self, failure: Option<FailureKind>) {
        let stream = self.stream();
        let failure = failure.map(|kind| Failure::new(Delivery::Perhaps, kind));
        self.client.0.handle_stream_end(stream, failure, self.now);
        self.drain();
    }

    /// Lets time pass as a faithful driver does.
    pub(crate) fn wait(&mut self, wait: Duration) {
        self.drain();
        let end = self.now + wait;
        while let Some(due) = self.client.0.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.client.0.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Waits for the next deadline only.
    pub(crate) fn wait_once(&mut self) {
        let due = self.client.0.poll_timeout().expect("a deadline");
        self.wait(due.saturating_duration_since(self.now));
    }
}

pub(crate) fn event_line(event: &Event) -> String {
    match event {
        Event::Answered { outcome: Ok(Reply::Instance { instance, ignored }), .. } if ignored.is_empty() => {
            format!("answered {}", instance.id)
        }
        Event::Answered { outcome: Ok(Reply::Instance { instance, ignored }), .. } => {
            format!("answered {} without {ignored:?}", instance.id)
        }
        Event::Answered { outcome: Ok(reply), .. } => format!("answered {reply:?}"),
        Event::Answered { outcome: Err(error), .. } => format!("answered: {error}"),
        Event::Found { base } => format!("found {base}"),
        Event::NotFound { reason, .. } => format!("not found: {reason}"),
        Event::Info { .. } => "info".to_owned(),
        Event::ListFailed { reason, wait } => format!("list failed, again in {wait:?}: {reason}"),
        Event::InfoFailed { reason } => format!("info failed: {reason}"),
        Event::Change(Change::Added(id)) => format!("added {id}"),
        Event::Change(Change::Removed(id)) => format!("removed {id}"),
        Event::Change(Change::Updated { id, .. }) => format!("updated {id}"),
        Event::Change(Change::Logged { id, .. }) => format!("logged {id}"),
        Event::Change(Change::Rates { id, .. }) => format!("rates {id}"),
        Event::Change(change) => format!("{change:?}"),
        Event::Reconnecting { failures, reason, .. } => format!("reconnecting after {failures}: {reason}"),
        Event::KeyRotated { source, .. } => format!("key rotated by {source:?}"),
        Event::KeyRefused(problem) => format!("key refused: {problem}"),
        Event::Synced { added, removed, repaired } => format!("synced +{added} -{removed} ~{repaired}"),
        Event::Told(event) => format!("told {}", event.kind),
        Event::VersionChanged { from, to } => format!("version {from} {to}"),
        event => format!("{event:?}"),
    }
}
