//! A Dash on a virtual clock that gets real bodies, whose events are read as short lines.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use bytes::Bytes;
use http::Request;
use ithiltir_proto::Secret;
use ithiltir_proto::dash::{Config, Dash, Event, ExchangeId, Identity, NodeId, Output, Rejection};
use ithiltir_proto::wire::{Manifest, Timestamp};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;
use testkit::{advance, drain, epoch, secrets};
use web_time::Instant;

/// 2026-11-21T12:00:00Z, at the start of a minute.
pub const NOON: i64 = 1_795_262_400;
pub const PEER: &str = "192.0.2.7";
pub const METRICS: &str = "/api/node/metrics";
pub const STATIC: &str = "/api/node/static";
pub const IDENTITY: &str = "/api/node/identity";

pub struct Under(pub Dash);

testkit::forward_machine!(Under, Output);

pub fn config() -> Config {
    Config::new(Identity::Absent { entropy: [7; 16] })
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn noon() -> Timestamp {
    Timestamp::from_unix(NOON, 0).unwrap()
}

pub fn key(number: u64) -> Secret {
    Secret::new(secrets::marked(number))
}

/// The first body that a node of the original sent to a path.
fn recorded(path: &str) -> Value {
    include_str!("../captures/baseline_interval3.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|exchange| exchange["path"] == path)
        .map(|exchange| serde_json::from_str(exchange["req_body"].as_str().unwrap()).unwrap())
        .unwrap()
}

/// A real report.
pub fn report() -> Value {
    recorded(METRICS)
}

/// A real Static.
pub fn statics() -> Value {
    recorded(STATIC)
}

/// A real report with one item more in each list that it left empty.
pub fn rich() -> Value {
    let mut report = report();
    report["metrics"]["disk"]["smart"]["devices"] =
        json!([{"name": "vda", "source": "smartctl", "status": "ok"}]);
    report["metrics"]["thermal"]["sensors"] =
        json!([{"kind": "cpu", "name": "core", "sensor_key": "core0", "source": "hwmon", "status": "ok"}]);
    let array = json!({"name": "md0", "status": "active", "health": "healthy",
        "members": [{"name": "sda", "state": "up"}]});
    report["metrics"]["raid"]["arrays"] = json!([array]);
    report
}

/// Sets what a JSON pointer names; in an object it need not be there yet. `None` removes a member.
pub fn changed(mut body: Value, pointer: &str, to: Option<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match (body.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}")), to) {
        (Value::Object(members), Some(to)) => drop(members.insert(name.to_owned(), to)),
        (Value::Object(members), None) => assert!(members.remove(name).is_some(), "{pointer}"),
        (Value::Array(items), Some(to)) => items[name.parse::<usize>().unwrap()] = to,
        _ => panic!("{pointer}"),
    }
    body
}

/// A list of a real or rich report, its first item twice.
pub fn doubled(body: Value, pointer: &str) -> Value {
    let mut list = body.pointer(pointer).unwrap().as_array().unwrap().clone();
    list.push(list[0].clone());
    changed(body, pointer, Some(list.into()))
}

/// A request of the first node.
pub fn post(path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    with_key(path, body, &secrets::marked(1))
}

pub fn with_key(path: &str, body: impl Into<Bytes>, key: &str) -> Request<Bytes> {
    Request::post(path)
        .header("content-type", "application/json")
        .header("x-node-secret", key)
        .body(body.into())
        .unwrap()
}

pub fn without_key(mut request: Request<Bytes>) -> Request<Bytes> {
    request.headers_mut().remove("x-node-secret");
    request
}

/// Sets a header, in the place of all of that name.
pub fn with(mut request: Request<Bytes>, name: &'static str, value: &str) -> Request<Bytes> {
    request.headers_mut().insert(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    request
}

pub fn metrics() -> Request<Bytes> {
    post(METRICS, report().to_string())
}

/// A report of this version.
pub fn of_version(version: &str) -> Request<Bytes> {
    post(METRICS, changed(report(), "/version", Some(version.into())).to_string())
}

/// Its URL carries a token.
pub fn manifest(version: &str) -> Manifest {
    Manifest {
        id: version.to_owned(),
        version: version.to_owned(),
        url: format!(
            "https://dash.example/deploy/linux/node_linux_amd64?upgrade_token={}",
            secrets::marked(99)
        ),
        sha256: "ab".repeat(32),
        size: 3,
    }
}

/// The answer to one request, and the events that came with it.
#[derive(Debug)]
pub struct Answer {
    pub id: ExchangeId,
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: String,
    pub events: Vec<Event>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// As in `422 metrics.network is missing`; empty if nothing was rejected.
    #[track_caller]
    pub fn reason(&self) -> String {
        match self.events.as_slice() {
            [Event::Rejected { id: exchange, status, reason, code, .. }] => {
                assert_eq!((*exchange, status.as_u16()), (self.id, self.status));
                assert_eq!(code.status(), *status);
                secrets::assert_error_hides(reason);
                match reason {
                    Rejection::Undecodable(_) => format!("{} undecodable", self.status),
                    reason => format!("{} {reason}", self.status),
                }
            }
            events => {
                assert!(!events.iter().any(|event| matches!(event, Event::Rejected { .. })), "{events:?}");
                String::new()
            }
        }
    }
}

pub struct Fixture {
    pub dash: Under,
    pub now: Instant,
    /// The node with the first key.
    pub node: NodeId,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// A Dash at noon with one node, `a`.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        let mut dash = Dash::new(config, noon(), epoch()).unwrap();
        let node = dash.add_node("a", key(1), epoch()).unwrap();
        Self { dash: Under(dash), now: epoch(), node }
    }

    pub fn drain(&mut self) -> Vec<Output> {
        let outputs = drain(&mut self.dash);
        outputs.iter().for_each(|output| secrets::assert_debug_hides(output));
        secrets::assert_debug_hides(&self.dash.0);
        outputs
    }

    /// Hands a request over and returns all that comes of it.
    pub fn hand_over(&mut self, request: Request<Bytes>, peer: &str) -> (ExchangeId, Vec<Output>) {
        let id = self.dash.0.handle_request(request, ip(peer), self.now);
        (id, self.drain())
    }

    /// The one answer to a request that does not wait.
    #[track_caller]
    pub fn send(&mut self, request: Request<Bytes>) -> Answer {
        self.send_from(request, PEER)
    }

    #[track_caller]
    pub fn send_from(&mut self, request: Request<Bytes>, peer: &str) -> Answer {
        let (asked, mut outputs) = self.hand_over(request, peer);
        let Some(Output::Respond { id, response }) = outputs.pop() else { panic!("no answer") };
        assert_eq!(id, asked);
        let event = |output| match output {
            Output::Event(event) => event,
            Output::Respond { .. } => panic!("two answers"),
        };
        let (head, body) = response.into_parts();
        Answer {
            id,
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
            events: outputs.into_iter().map(event).collect(),
        }
    }

    /// A report or Static that waits for storage.
    #[track_caller]
    pub fn send_waiting(&mut self, request: Request<Bytes>) -> ExchangeId {
        let (id, outputs) = self.hand_over(request, PEER);
        assert!(
            matches!(outputs.as_slice(), [Output::Event(Event::Report { id: exchange, .. } | Event::Static { id: exchange, .. })] if *exchange == id),
            "{outputs:?}"
        );
        id
    }

    /// What is waiting, as lines.
    pub fn lines(&mut self) -> Vec<String> {
        self.drain().iter().map(|output| self.line(output)).collect()
    }

    /// Sends a request and returns all that comes of it, as lines.
    pub fn told(&mut self, request: Request<Bytes>) -> Vec<String> {
        let (_, outputs) = self.hand_over(request, PEER);
        outputs.iter().map(|output| self.line(output)).collect()
    }

    /// Sleeps to each deadline until so long after the start.
    pub fn until(&mut self, second: f64) -> Vec<String> {
        let end = epoch() + Duration::from_secs_f64(second);
        self.now = end;
        let timed = advance(&mut self.dash, end);
        timed
            .iter()
            .map(|(at, output)| format!("{:.3} {}", (*at - epoch()).as_secs_f64(), self.line(output)))
            .collect()
    }

    fn line(&self, output: &Output) -> String {
        let name = |node| self.dash.0.node_name(node).unwrap_or("?").to_owned();
        match output {
            Output::Respond { response, .. } => {
                let body = String::from_utf8_lossy(response.body());
                match serde_json::from_str::<Value>(&body) {
                    Ok(body) if body["update"]["version"].is_string() => {
                        format!("{} update {}", response.status().as_u16(), body["update"]["version"])
                    }
                    _ => format!("{} {}", response.status().as_u16(), body.trim_end()),
                }
            }
            Output::Event(event) => match event {
                Event::Report { node, .. } => format!("report of {}", name(*node)),
                Event::Static { node, .. } => format!("static of {}", name(*node)),
                Event::Rejected { reason, .. } => format!("rejected: {reason}"),
                Event::IdentityCreated { install_id } => format!("made {install_id}"),
                Event::UpdateOffered { node, version } => format!("offered {version} to {}", name(*node)),
                Event::UpdateCleared { node } => format!("cleared {}", name(*node)),
                Event::Online { node } => format!("online {}", name(*node)),
                Event::Offline { node } => format!("offline {}", name(*node)),
                other => format!("{other:?}"),
            },
        }
    }
}
