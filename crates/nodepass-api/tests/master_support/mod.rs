//! A master on a virtual clock, whose outputs are read as short lines. Instances are called `a`, `b` … in the order in
//! which they were made, streams `s1`, `s2` … in the order in which they were opened.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use nodepass_api::master::{
    Compat, Config, DialId, Entropy, Event, ExchangeId, Master, Output, RunId, Snapshot, StartFailed,
    StoreId, SystemFigures, SystemId,
};
use nodepass_api::stream::{EventReader, Item};
use nodepass_api::wire::{CheckPoint, Instance, Traffic};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use testkit::{advance, drain, epoch};
use web_time::Instant;

pub const LEVELS: [Compat; 3] = [Compat::Document, Compat::V1_6, Compat::V1_14];
/// All but 1.6.
pub const LATER: [Compat; 2] = [Compat::Document, Compat::V1_14];
pub const URL: &str = "client://127.0.0.1:21001/127.0.0.1:21002?mode=1";
pub const OTHER_URL: &str = "server://:21003/127.0.0.1:21004";
pub const KEY_RECORD: &str = "********";
/// Never.
pub const NEVER: Duration = Duration::MAX;

pub struct Under(pub Master);

testkit::forward_machine!(Under, Output);

/// Settings for tests: nothing is stored by itself.
pub fn config(compat: Compat) -> Config {
    let mut config = Config::new(compat, Entropy::new([7; 32]));
    config.store_delay = NEVER;
    config
}

pub struct Fixture {
    pub master: Under,
    pub now: Instant,
    pub ids: Vec<String>,
    pub runs: BTreeMap<String, RunId>,
    pub dials: Vec<DialId>,
    pub systems: Vec<SystemId>,
    pub stores: Vec<(StoreId, Bytes)>,
    pub streams: Vec<ExchangeId>,
    /// The last answer.
    pub answer: Option<(ExchangeId, Response<Bytes>)>,
}

impl Fixture {
    pub fn new(compat: Compat) -> Self {
        Self::with(config(compat))
    }

    /// A new master that has told its key.
    pub fn with(config: Config) -> Self {
        let mut fixture = Self::start(config, None);
        assert_eq!(fixture.drain(), ["key created"]);
        fixture
    }

    pub fn start(config: Config, snapshot: Option<Snapshot>) -> Self {
        let master = Master::new(config, snapshot, epoch()).unwrap();
        let ids = master.instances().map(|instance| instance.id.to_string()).collect();
        Self {
            master: Under(master),
            now: epoch(),
            ids,
            runs: BTreeMap::new(),
            dials: Vec::new(),
            systems: Vec::new(),
            stores: Vec::new(),
            streams: Vec::new(),
            answer: None,
        }
    }

    pub fn key(&self) -> String {
        self.master.0.key().expose().to_owned()
    }

    /// What is waiting, as lines.
    pub fn drain(&mut self) -> Vec<String> {
        let outputs = drain(&mut self.master);
        outputs.into_iter().flat_map(|output| self.lines(output)).collect()
    }

    /// Sleeps to each deadline until so many milliseconds after the start.
    #[track_caller]
    pub fn until(&mut self, milliseconds: u64) -> Vec<String> {
        let end = epoch() + Duration::from_millis(milliseconds);
        self.now = end;
        let timed = advance(&mut self.master, end);
        let line = |(at, output): (Instant, Output)| {
            let at = (at - epoch()).as_millis();
            self.lines(output).into_iter().map(move |line| format!("{at} {line}")).collect::<Vec<_>>()
        };
        timed.into_iter().flat_map(line).collect()
    }

    // Requests

    pub fn request(&self, method: &str, path: &str, body: &str) -> Request<Bytes> {
        let path = self.ids.iter().enumerate().fold(path.to_owned(), |path, (at, id)| {
            let end = format!("/instances/{}", name(at));
            if path == end { format!("/instances/{id}") } else { path }
        });
        Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("x-api-key", self.key())
            .body(body.to_owned().into())
            .unwrap()
    }

    /// Hands a request over and returns all that comes of it.
    pub fn told(&mut self, method: &str, path: &str, body: &str) -> Vec<String> {
        let request = self.request(method, path, body);
        self.hand_over(request)
    }

    pub fn hand_over(&mut self, request: Request<Bytes>) -> Vec<String> {
        self.master.0.handle_request(request, self.now);
        self.drain()
    }

    /// The answer alone, as a line; the rest is carried out as it comes, by a world where everything works at once.
    #[track_caller]
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> String {
        let request = self.request(method, path, body);
        self.ask_with(request)
    }

    #[track_caller]
    pub fn ask_with(&mut self, request: Request<Bytes>) -> String {
        self.answer = None;
        let id = self.master.0.handle_request(request, self.now);
        self.carry_out();
        let (answered, response) = self.answer.clone().expect("an answer");
        assert_eq!(answered, id);
        self.response_line(&response)
    }

    /// A world where everything works at once.
    pub fn carry_out(&mut self) {
        let now = self.now;
        while let Some(output) = self.master.0.poll_output() {
            match &output {
                Output::Start { run, .. } => self.master.0.handle_started(*run, Ok(()), now),
                Output::Stop { run, .. } => self.master.0.handle_exited(*run, true, now),
                Output::Dial { id, .. } => {
                    self.master.0.handle_dialed(*id, Ok(Duration::from_millis(3)), now);
                }
                Output::ReadSystem { id } => {
                    self.master.0.handle_system(*id, SystemFigures::default(), now);
                }
                Output::Store { id, .. } => self.master.0.handle_stored(*id, Ok(()), now),
                Output::PushBody { id, .. } => self.master.0.handle_written(*id, now),
                _ => {}
            }
            self.lines(output);
        }
    }

    pub fn headers(&self) -> &HeaderMap {
        self.answer.as_ref().unwrap().1.headers()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name).map(|value| value.to_str().unwrap())
    }

    pub fn body(&self) -> &str {
        std::str::from_utf8(self.answer.as_ref().unwrap().1.body()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(self.body()).unwrap()
    }

    pub fn object(&self, name: &str) -> &Instance {
        self.master.0.instance(&self.ids[index(name)]).unwrap()
    }

    // Instances

    /// Makes an instance that runs.
    #[track_caller]
    pub fn running(&mut self) -> String {
        let name = self.made();
        self.started(&name);
        name
    }

    /// Makes an instance that is being started.
    #[track_caller]
    pub fn made(&mut self) -> String {
        let name = name(self.ids.len());
        let port = self.ids.len();
        let body = format!(r#"{{"url":"client://127.0.0.1:{port}/127.0.0.1:21002?mode=1"}}"#);
        let lines = self.told("POST", "/instances", &body);
        assert_eq!(lines.last().unwrap(), &format!("start {name}"), "{lines:?}");
        name
    }

    /// Makes an instance whose process has failed.
    #[track_caller]
    pub fn failed(&mut self) -> String {
        let name = self.running();
        self.exited(&name, false);
        name
    }

    /// Makes an instance that was stopped.
    #[track_caller]
    pub fn stopped(&mut self) -> String {
        let name = self.running();
        self.exited(&name, true);
        name
    }

    pub fn act(&mut self, name: &str, action: &str) -> Vec<String> {
        self.told("PATCH", &format!("/instances/{name}"), &format!(r#"{{"action":"{action}"}}"#))
    }

    pub fn put(&mut self, name: &str, url: &str) -> Vec<String> {
        self.told("PUT", &format!("/instances/{name}"), &format!(r#"{{"url":"{url}"}}"#))
    }

    pub fn delete(&mut self, name: &str) -> Vec<String> {
        self.told("DELETE", &format!("/instances/{name}"), "")
    }

    pub fn started(&mut self, name: &str) -> Vec<String> {
        self.master.0.handle_started(self.runs[name], Ok(()), self.now);
        self.drain()
    }

    pub fn start_failed(&mut self, name: &str) -> Vec<String> {
        self.master.0.handle_started(self.runs[name], Err(StartFailed), self.now);
        self.drain()
    }

    pub fn exited(&mut self, name: &str, success: bool) -> Vec<String> {
        self.master.0.handle_exited(self.runs[name], success, self.now);
        self.drain()
    }

    pub fn says(&mut self, name: &str, line: &str) -> Vec<String> {
        self.master.0.handle_line(self.runs[name], line, self.now);
        self.drain()
    }

    /// A report of so many bytes of TCP received.
    pub fn reports(&mut self, name: &str, tcprx: u64) -> Vec<String> {
        let point = CheckPoint::new(1, 2, 3, 4, 5, Traffic { tcprx, ..Traffic::default() });
        self.says(name, &point.to_string())
    }

    pub fn status(&self, name: &str) -> &str {
        self.object(name).status.as_str()
    }

    // Streams

    /// Opens a stream whose reader has taken all that there is.
    pub fn stream(&mut self) -> Vec<String> {
        let mut lines = self.told("GET", "/events", "");
        let stream = *self.streams.last().unwrap();
        loop {
            for _ in 0..8 {
                self.master.0.handle_written(stream, self.now);
            }
            let more = self.drain();
            if more.is_empty() {
                return lines;
            }
            lines.extend(more);
        }
    }

    /// A reader has written so many pieces.
    pub fn written(&mut self, stream: &str, pieces: usize) -> Vec<String> {
        let number: usize = stream[1..].parse().unwrap();
        (0..pieces).for_each(|_| self.master.0.handle_written(self.streams[number - 1], self.now));
        self.drain()
    }

    // Lines

    fn response_line(&self, response: &Response<Bytes>) -> String {
        let body = String::from_utf8_lossy(response.body());
        let status = response.status().as_u16();
        let line = match serde_json::from_str::<Value>(&body) {
            Ok(object) if object["tcprx"].is_number() => {
                let id = object["id"].as_str().unwrap_or_default();
                format!("{status} {} {}", self.name_of(id), object["status"].as_str().unwrap_or_default())
            }
            Ok(object) if object["error"].is_string() && status != 200 => {
                format!("{status} {}", object["error"].as_str().unwrap_or_default())
            }
            Ok(object) if object.is_array() || body.len() > 200 => format!("{status} …"),
            _ => format!("{status} {}", body.trim_end()),
        };
        line.trim_end().to_owned()
    }

    pub fn name_of(&self, id: &str) -> String {
        let at = self.ids.iter().position(|other| other == id);
        at.map_or_else(|| id.to_owned(), name)
    }

    fn stream_name(&self, id: ExchangeId) -> String {
        let at = self.streams.iter().position(|stream| *stream == id).unwrap();
        format!("s{}", at + 1)
    }

    fn run_name(&self, run: RunId) -> &str {
        self.runs.iter().find(|(_, other)| **other == run).map_or("?", |(name, _)| name)
    }

    fn lines(&mut self, output: Output) -> Vec<String> {
        let line = match output {
            Output::Respond { id, response } => {
                if let Ok(made) = serde_json::from_slice::<Value>(response.body())
                    && response.status() == 201
                {
                    self.ids.push(made["id"].as_str().unwrap().to_owned());
                }
                let line = self.response_line(&response);
                self.answer = Some((id, response));
                line
            }
            Output::OpenBody { id, head } => {
                assert_eq!(head.status(), 200);
                self.answer = Some((id, head.map(|()| Bytes::new())));
                self.streams.push(id);
                format!("{}: begin", self.stream_name(id))
            }
            Output::PushBody { id, chunk } => return self.frames(id, &chunk),
            Output::CloseBody { id } => format!("{}: end", self.stream_name(id)),
            Output::Start { run, instance, .. } => {
                let name = self.name_of(instance.as_str());
                self.runs.insert(name.clone(), run);
                format!("start {name}")
            }
            Output::Stop { run, force: false } => format!("stop {}", self.run_name(run)),
            Output::Stop { run, force: true } => format!("kill {}", self.run_name(run)),
            Output::Dial { id, target, timeout } => {
                self.dials.push(id);
                format!("dial {target} within {}s", timeout.as_secs())
            }
            Output::ReadSystem { id } => {
                self.systems.push(id);
                "read system".to_owned()
            }
            Output::Store { id, target, snapshot } => {
                self.stores.push((id, snapshot));
                format!("store {target:?}")
            }
            Output::Event(event) => self.event_line(event),
        };
        vec![line]
    }

    fn event_line(&self, event: Event) -> String {
        match event {
            Event::KeyCreated { .. } => "key created".to_owned(),
            Event::KeyLoaded { .. } => "key loaded".to_owned(),
            Event::KeyRotated { .. } => "key rotated".to_owned(),
            Event::Created { instance } => format!("created {}", self.name_of(instance.as_str())),
            Event::Deleted { instance } => format!("deleted {}", self.name_of(instance.as_str())),
            Event::StatusChanged { instance, status } => {
                format!("{} is {status}", self.name_of(instance.as_str()))
            }
            Event::ProcessStuck { instance, .. } => format!("{} is stuck", self.name_of(instance.as_str())),
            Event::StreamOpened { id } => format!("{} opened", self.stream_name(id)),
            Event::StreamEnded { id } => format!("{} ended", self.stream_name(id)),
            Event::EventsLost { id, lost } => format!("{} lost {lost}", self.stream_name(id)),
            Event::StoreFailed { target } => format!("{target:?} not stored"),
            Event::Closed => "closed".to_owned(),
            other => panic!("{other:?}"),
        }
    }

    fn frames(&self, id: ExchangeId, chunk: &[u8]) -> Vec<String> {
        let stream = self.stream_name(id);
        let mut lines = Vec::new();
        EventReader::new(1 << 24).read(chunk, |item| {
            let line = match item {
                Item::Event(event) => {
                    let mut line = event.kind.to_string();
                    if let Some(instance) = &event.instance {
                        let name = self.name_of(instance.id.as_str());
                        line = format!("{line} {name} {}", instance.status).trim_end().to_owned();
                    }
                    match event.logs.as_deref() {
                        None | Some("") => line,
                        Some(logs) => format!("{line}: {logs}"),
                    }
                }
                Item::Retry(wait) => format!("retry {}", wait.as_millis()),
                Item::Lost(lost) => format!("lost {lost}"),
                other => panic!("{other:?}"),
            };
            lines.push(format!("{stream}: {line}"));
        });
        lines
    }
}

fn name(at: usize) -> String {
    match u8::try_from(at) {
        Ok(at @ 0..26) => char::from(b'a' + at).to_string(),
        _ => format!("i{at}"),
    }
}

fn index(name: &str) -> usize {
    match name.as_bytes() {
        [letter @ b'a'..=b'z'] => usize::from(letter - b'a'),
        _ => name[1..].parse().unwrap(),
    }
}
