//! A Dash with two nodes on a virtual clock, whose outputs are read as short lines. The report and the Static are
//! recordings of node 0.2.3.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use bytes::Bytes;
use http::{Request, Response};
use ithiltir_proto::Secret;
use ithiltir_proto::dash::{
    Asset, Config, Dash, Event, ExchangeId, Identity, NodeId, Output, Platform, Release, Storage,
};
use ithiltir_proto::wire::{Manifest, Timestamp};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;
use testkit::{Machine, drain, epoch};
use web_time::Instant;

pub const OK: &str = r#"200 {"ok":true,"update":null}"#;
pub const INSTALL_ID: &str = "server_b62a1095e2f3b1dc8e2418fe406dd986";
/// 2026-11-21T02:32:06Z, six seconds into a window.
pub const WALL_CLOCK: i64 = 1_795_228_326;

pub struct Under(pub Dash);

testkit::forward_machine!(Under, Output);

/// A Dash with the nodes `one` and `two`, whose keys are `key-1` and `key-2`.
pub struct Fixture {
    pub dash: Under,
    pub now: Instant,
    pub nodes: [NodeId; 2],
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let now = epoch();
        let mut config = Config::new(Identity::Known(INSTALL_ID.parse().unwrap()));
        adjust(&mut config);
        let mut dash = Dash::new(config, Timestamp::from_unix(WALL_CLOCK, 0).unwrap(), now).unwrap();
        let nodes = [("one", "key-1"), ("two", "key-2")]
            .map(|(name, key)| dash.add_node(name, Secret::new(key), now).unwrap());
        Self { dash: Under(dash), now, nodes }
    }

    /// One whose application is asked about storage, twice at a time at most.
    pub fn confirming() -> Self {
        let storage = Storage::Confirmed { timeout: Duration::from_secs(5), max_pending: 2 };
        Self::with(|config| config.storage = storage)
    }

    /// One to which the first node has reported 0.2.3.
    pub fn reporting() -> Self {
        let mut fixture = Self::new();
        fixture.metrics(&report());
        fixture
    }

    pub fn metrics(&mut self, body: &str) -> Vec<String> {
        self.send(post("metrics").body(body.to_owned().into()).unwrap())
    }

    pub fn metrics_of(&mut self, key: &str, version: &str) -> Vec<String> {
        let body = changed("/version", &json!(version));
        self.send(post_as("metrics", key).body(body.into()).unwrap())
    }

    pub fn statics(&mut self, body: &str) -> Vec<String> {
        self.send(post("static").body(body.to_owned().into()).unwrap())
    }

    pub fn post_report(&mut self) -> ExchangeId {
        self.post(&report())
    }

    pub fn post(&mut self, body: &str) -> ExchangeId {
        let request = post("metrics").body(body.to_owned().into()).unwrap();
        self.dash.0.handle_request(request, ip("192.0.2.1"), self.now)
    }

    pub fn send(&mut self, request: Request<Bytes>) -> Vec<String> {
        self.dash.0.handle_request(request, ip("192.0.2.1"), self.now);
        self.drain()
    }

    pub fn answer(&mut self, request: Request<Bytes>) -> Response<Bytes> {
        self.dash.0.handle_request(request, ip("192.0.2.1"), self.now);
        response_of(drain(&mut self.dash))
    }

    pub fn statuses<const N: usize>(&mut self, keys: [&str; N]) -> [u16; N] {
        keys.map(|key| self.answer(post_as("metrics", key).body(report().into()).unwrap()).status().as_u16())
    }

    pub fn rotate(&mut self, key: &str, grace: Duration) {
        self.dash.0.rotate_secret(self.nodes[0], Secret::new(key), grace, self.now).unwrap();
    }

    pub fn wake(&mut self) -> Vec<String> {
        self.dash.handle_timeout(self.now);
        self.drain()
    }

    pub fn known(&self) -> &ithiltir_proto::dash::KnownNode {
        self.dash.0.node(self.nodes[0]).unwrap()
    }

    pub fn drain(&mut self) -> Vec<String> {
        let outputs = drain(&mut self.dash);
        outputs.iter().map(|output| self.line(output)).collect()
    }

    pub fn line(&self, output: &Output) -> String {
        let name = |node: &NodeId| self.dash.0.node_name(*node).unwrap_or("nobody");
        match output {
            Output::Respond { response, .. } => line_of(response),
            Output::Event(event) => match event {
                Event::Report { node, report, .. } => format!("report {} {}", name(node), report.hostname),
                Event::Static { node, statics, .. } => {
                    format!("static {} {}", name(node), statics.system.hostname)
                }
                Event::Rejected { reason, .. } => format!("rejected: {reason}"),
                Event::IdentityCreated { install_id } => format!("identity {install_id}"),
                Event::UpdateOffered { node, version } => format!("offered {} {version}", name(node)),
                Event::UpdateCleared { node } => format!("cleared {}", name(node)),
                Event::Online { node } => format!("online {}", name(node)),
                Event::Offline { node } => format!("offline {}", name(node)),
                other => format!("{other:?}"),
            },
        }
    }
}

/// The status with the code of a refusal, or with the body of a success.
pub fn line_of(response: &Response<Bytes>) -> String {
    let body = std::str::from_utf8(response.body()).unwrap().trim_end();
    let code =
        serde_json::from_str::<Value>(body).ok().and_then(|body| Some(body["code"].as_str()?.to_owned()));
    format!("{} {}", response.status().as_u16(), code.as_deref().unwrap_or(body))
}

pub fn response_of(outputs: Vec<Output>) -> Response<Bytes> {
    match outputs.into_iter().next_back() {
        Some(Output::Respond { response, .. }) => response,
        other => panic!("the answer is the last output: {other:?}"),
    }
}

pub fn post(route: &str) -> http::request::Builder {
    post_as(route, "key-1")
}

pub fn post_as(route: &str, key: &str) -> http::request::Builder {
    Request::post(format!("/api/node/{route}"))
        .header("content-type", "application/json")
        .header("x-node-secret", key)
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

pub fn recorded(scenario: &str) -> String {
    let recording = include_str!("../captures/dash_pg.jsonl");
    let exchanges = recording.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let exchange = exchanges.into_iter().find(|exchange| exchange["scenario"] == scenario).unwrap();
    exchange["req_body"].as_str().unwrap().to_owned()
}

pub fn report() -> String {
    recorded("metrics/valid")
}

pub fn json_report() -> Value {
    serde_json::from_str(&report()).unwrap()
}

pub fn static_body() -> String {
    recorded("static/restore")
}

pub fn static_of(os: &str, arch: &str) -> String {
    let mut body: Value = serde_json::from_str(&changed_static("/system/os", &json!(os))).unwrap();
    body["system"]["arch"] = json!(arch);
    body.to_string()
}

pub fn changed(pointer: &str, value: &Value) -> String {
    with(json_report(), pointer, value)
}

pub fn changed_static(pointer: &str, value: &Value) -> String {
    with(serde_json::from_str(&static_body()).unwrap(), pointer, value)
}

pub fn with(mut body: Value, pointer: &str, value: &Value) -> String {
    *body.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is recorded")) = value.clone();
    body.to_string()
}

/// The report with white space behind it.
pub fn padded(length: usize) -> String {
    let report = report();
    report.clone() + &" ".repeat(length - report.len())
}

pub fn manifest(version: &str) -> Manifest {
    Manifest {
        id: version.into(),
        version: version.into(),
        url: "https://dash.example/node".into(),
        sha256: "ab".repeat(32),
        size: 9,
    }
}

pub fn release(version: &str, platforms: &[Platform]) -> Release {
    let asset = |platform: &Platform| Asset {
        url: format!("https://dash.example{}", platform.deploy_path()),
        sha256: "AB".repeat(32),
        size: 9,
    };
    let assets = platforms.iter().map(|platform| (*platform, asset(platform))).collect();
    Release { version: version.into(), assets }
}
