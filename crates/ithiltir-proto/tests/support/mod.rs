//! A node on a virtual clock, whose outputs are read as short lines.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use ithiltir_proto::node::{Config, Event, Node, Output, RequestId, Update, UpdateDecision};
use ithiltir_proto::wire::{NodeReport, Static, StaticCpu, StaticCpuInfo, StaticMemory, StaticSystem};
use ithiltir_proto::{Delivery, Failure, FailureKind, ProbeOutcome, Secret, Target};
use std::time::Duration;
use testkit::{advance_with, drain, epoch};
use web_time::Instant;

pub struct Under(pub Node);

testkit::forward_machine!(Under, Output);

pub struct Fixture {
    pub node: Under,
    pub now: Instant,
    start: Instant,
    /// In the order of their appearance; `#1` is the first.
    ids: Vec<RequestId>,
    pub bodies: Vec<String>,
    pub updates: Vec<Update>,
}

pub fn targets(urls: &[&str]) -> Vec<Target> {
    urls.iter()
        .enumerate()
        .map(|(place, url)| Target::new(url, &Secret::new(format!("key-{place}"))).unwrap())
        .collect()
}

pub fn report() -> NodeReport {
    NodeReport { version: "0.2.3".into(), hostname: "host".into(), ..NodeReport::default() }
}

/// Complete, as a node would send it.
pub fn statics() -> Static {
    let text = |text: &str| text.to_owned();
    Static {
        version: text("0.2.3"),
        timestamp: "2026-11-21T02:10:39Z".parse().unwrap(),
        report_interval_seconds: 1,
        cpu: StaticCpu {
            info: StaticCpuInfo {
                sockets: 1,
                cores_physical: 2,
                cores_logical: 2,
                ..StaticCpuInfo::default()
            },
        },
        memory: StaticMemory { total: 1 << 30, swap_total: 0 },
        system: StaticSystem {
            hostname: text("host"),
            os: text("linux"),
            platform: text("debian"),
            platform_version: text("12.11"),
            kernel_version: text("6.1"),
            arch: text("amd64"),
        },
        ..Static::default()
    }
}

impl Fixture {
    /// A node with an interval of one second that has a sample and a Static.
    pub fn new(urls: &[&str]) -> Self {
        Self::with(urls, |_| {})
    }

    pub fn with(urls: &[&str], adjust: impl FnOnce(&mut Config)) -> Self {
        let mut fixture = Self::empty(urls, adjust);
        fixture.node.0.record(&report(), fixture.now);
        fixture.node.0.record_static(&statics(), fixture.now);
        fixture
    }

    pub fn empty(urls: &[&str], adjust: impl FnOnce(&mut Config)) -> Self {
        let start = epoch();
        let mut config = Config::new("0.2.3", targets(urls));
        config.interval = Duration::from_secs(1);
        adjust(&mut config);
        let node = Under(Node::new(config, start).unwrap());
        Self { node, now: start, start, ids: Vec::new(), bodies: Vec::new(), updates: Vec::new() }
    }

    /// Sleeps from deadline to deadline until so many seconds after the start; returns what came out.
    pub fn until(&mut self, seconds: f64) -> Vec<String> {
        let end = self.start + Duration::from_secs_f64(seconds);
        let mut outputs = Vec::new();
        advance_with(&mut self.node, end, |_, at, output| outputs.push((at, output)));
        self.now = end;
        let start = self.start;
        let timed = |(at, output): (Instant, Output)| {
            let line = self.line(output);
            format!("{:.1} {line}", (at - start).as_secs_f64())
        };
        outputs.into_iter().map(timed).collect()
    }

    pub fn drain(&mut self) -> Vec<String> {
        let outputs = drain(&mut self.node);
        outputs.into_iter().map(|output| self.line(output)).collect()
    }

    pub fn id(&self, number: usize) -> RequestId {
        self.ids[number - 1]
    }

    pub fn answer(&mut self, number: usize, status: u16) -> Vec<String> {
        self.answer_with(number, status, "")
    }

    pub fn answer_with(&mut self, number: usize, status: u16, body: &str) -> Vec<String> {
        let response = http::Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .header("location", "/elsewhere")
            .body(body.to_owned().into())
            .unwrap();
        self.node.0.handle_response(self.id(number), response, self.now);
        self.drain()
    }

    pub fn fail(&mut self, number: usize, kind: FailureKind) -> Vec<String> {
        self.node.0.handle_failure(self.id(number), Failure::new(Delivery::Perhaps, kind), self.now);
        self.drain()
    }

    pub fn probed(&mut self, number: usize, outcome: ProbeOutcome) -> Vec<String> {
        self.node.0.handle_probe(self.id(number), outcome, self.now);
        self.drain()
    }

    fn line(&mut self, output: Output) -> String {
        match output {
            Output::Request { id, request } => {
                self.bodies.push(String::from_utf8(request.body().to_vec()).unwrap());
                format!("#{} {} {}", self.number(id), request.method(), request.uri())
            }
            Output::Probe { id, probe } => {
                format!("#{} probe {}:{}", self.number(id), probe.host, probe.port)
            }
            Output::Update { id, update } => {
                let line = format!("#{} update {}", self.number(id), update.manifest.version);
                self.updates.push(*update);
                line
            }
            Output::Cancel(id) => format!("cancel #{}", self.number(id)),
            Output::Event(event) => line(&event),
        }
    }

    fn number(&mut self, id: RequestId) -> usize {
        if let Some(place) = self.ids.iter().position(|known| *known == id) {
            return place + 1;
        }
        self.ids.push(id);
        self.ids.len()
    }
}

fn line(event: &Event) -> String {
    let outcome = |outcome: &Result<(), ithiltir_proto::node::DeliveryError>| match outcome {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    };
    match event {
        Event::Report { target, round, outcome: how } => {
            format!("report {} round {round}: {}", target.index(), outcome(how))
        }
        Event::Static { target, reason, outcome: how, .. } => {
            format!("static {} {}: {}", target.index(), reason.as_str(), outcome(how))
        }
        Event::StaticWithheld { target, reason, missing } => {
            format!("static {} {} withheld: {missing:?}", target.index(), reason.as_str())
        }
        Event::NoStaticUrl { target } => format!("no static url {}", target.index()),
        Event::FellBack { target, cause } => format!("fell back {}: {cause}", target.index()),
        Event::FallbackRefused { target, outcome } => {
            format!("fallback refused {}: {outcome}", target.index())
        }
        Event::Suppressed { target } => format!("suppressed {}", target.index()),
        Event::Recovered { target } => format!("recovered {}", target.index()),
        Event::ResponseIgnored { target, error } => format!("ignored {}: {error}", target.index()),
        Event::Update { round, decision } => match decision {
            UpdateDecision::Invalid(_, error) => format!("update round {round} invalid: {error}"),
            decision => format!("update round {round} {}", decision.as_str()),
        },
        Event::UpdateFailed { version, error } => format!("update to {version} failed: {error}"),
        Event::Updated { version } => format!("updated to {version}"),
        Event::Round { number, succeeded, failed, skipped } => {
            format!("round {number}: {succeeded} ok, {failed} failed, {skipped} skipped")
        }
        Event::Closed => "closed".to_owned(),
        other => format!("{other:?}"),
    }
}
