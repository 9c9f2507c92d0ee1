//! The node under arbitrary steps: samples, answers, failures, waits, a clock that goes backwards, the end.

use crate::input::Input;
use bytes::Bytes;
use http::Response;
use ithiltir_proto::node::{Config, Event, KeyScope, Node, Output, RequestId, UpdateError};
use ithiltir_proto::update::{Downgrade, Layout};
use ithiltir_proto::wire::{NodeReport, Static, Timestamp};
use ithiltir_proto::{CertificateProblem, Delivery, Failure, FailureKind, ProbeOutcome, Secret, Target};
use std::collections::BTreeMap;
use std::time::Duration;
use testkit::rules::{check_after_step, check_closed, check_closed_ignores};
use testkit::secrets::{MARK, assert_debug_hides, marked};
use testkit::{Machine, epoch};
use web_time::Instant;

const MOST_STEPS: usize = 400;
const URLS: [&str; 7] = [
    "http://127.0.0.1:1/api/node/metrics",
    "https://127.0.0.1/metrics",
    "https://dash.example/api/node/metrics",
    "https://dash.example:8443/%6Detrics?tenant=a",
    "http://dash.example/elsewhere",
    "https://u:p@[::1]:0443/a%2Fb/metrics#f",
    "http://dash.example:65535/metrics",
];
const BODIES: [&str; 8] = [
    "{\"ok\":true,\"update\":null}",
    "ok",
    "[]",
    "{\"update\":{\"version\":\"0.2.3\"}}",
    "{\"update\":{\"version\":\"0.2.4\",\"url\":\"http://127.0.0.1:1/x\",\"size\":5,\
     \"sha256\":\"a1bdbe1603e82a05b58c6bcfe82a8fd4e8fb973cf17ee277b21fa04aabaec18c\"}}",
    "{\"update\":{\"version\":\"0.2.5\",\"url\":\"https://dash.example/x?upgrade_token=t\",\"size\":5,\
     \"sha256\":\"A1BDBE1603E82A05B58C6BCFE82A8FD4E8FB973CF17EE277B21FA04AABAEC18C\"}}",
    "{\"update\":{\"version\":\"../x\",\"url\":\"\",\"size\":-1,\"sha256\":\"\"}}",
    "{\"update\":{\"version\":\"0.1.0\",\"url\":\"ftp://x\",\"size\":9223372036854775807,\"sha256\":\"é\"}}",
];

/// An arbitrary list of steps; after each of them the rules hold.
pub fn ithiltir_node(data: &[u8]) {
    let mut input = Input::new(data);
    let start = epoch();
    let Ok(node) = Node::new(config(&mut input), start) else {
        return;
    };
    let mut run = Run { node: Fuzzed(node), now: start, open: BTreeMap::new(), last: None, closed: false };
    run.settle();
    for _ in 0..MOST_STEPS {
        if input.is_empty() || run.closed {
            break;
        }
        run.step(&mut input);
        run.settle();
    }
    run.end();
}

fn config(input: &mut Input<'_>) -> Config {
    let key = Secret::new(marked(7));
    let mut targets: Vec<_> =
        (0..input.below(4)).filter_map(|_| Target::new(input.pick(&URLS), &key).ok()).collect();
    if input.below(8) == 1 {
        targets.extend(Target::new(&input.text(), &key));
    }
    let mut config = Config::new("0.2.3", targets);
    config.interval = Duration::from_millis(input.pick(&[1000, 3000, 1, 100_000]));
    config.require_https = input.below(8) == 1;
    config.static_check_intervals = input.pick(&[20, 0, u32::MAX]);
    config.refusals_before_suppression = input.pick(&[3, 1, u32::MAX]);
    config.max_response = input.pick(&[1_048_576, 0, 7]);
    let data_directory = "/var/lib/ithiltir-node".to_owned();
    config.update.layout = match input.below(3) {
        0 => None,
        1 => Some(Layout::Releases { data_directory, active: "0.2.3".into() }),
        _ => Some(Layout::Runner { data_directory }),
    };
    config.update.downgrade = input.pick(&[Downgrade::Allow, Downgrade::Refuse]);
    config.update.key_scope = input.pick(&[KeyScope::Origin, KeyScope::Anywhere]);
    config
}

struct Fuzzed(Node);

testkit::forward_machine!(Fuzzed, Output);

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Request,
    Probe,
    Update,
}

struct Run {
    node: Fuzzed,
    now: Instant,
    /// What waits for its outcome.
    open: BTreeMap<RequestId, Kind>,
    /// The id handed out last.
    last: Option<RequestId>,
    closed: bool,
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.below(16) {
            0 => self.node.0.record(&report(input), now),
            1 => self.node.0.record_static(&statics(input), now),
            2..=5 => self.answer(input),
            6..=9 => self.wait(),
            10 => self.now += Duration::from_millis(input.number() % 20_000),
            11 => self.now += Duration::from_secs(input.pick(&[60, 86_400, 40_000_000])),
            12 => self.backwards(input),
            13 => self.answer_again(input),
            14 => self.fail(input),
            _ if input.below(16) == 15 => self.node.0.close(now),
            _ => self.wait(),
        }
    }

    fn wait(&mut self) {
        if let Some(due) = self.node.poll_timeout() {
            self.now = self.now.max(due);
            self.node.handle_timeout(self.now);
        }
    }

    /// An earlier time than before does no harm; the machine goes on from the latest one.
    fn backwards(&mut self, input: &mut Input<'_>) {
        let before = self.now.checked_sub(Duration::from_millis(input.number() % 100_000));
        self.node.handle_timeout(before.unwrap_or(self.now));
    }

    fn choose(&self, input: &mut Input<'_>) -> Option<(RequestId, Kind)> {
        let place = input.below(self.open.len());
        self.open.iter().nth(place).map(|(&id, &kind)| (id, kind))
    }

    fn answer(&mut self, input: &mut Input<'_>) {
        let Some((id, kind)) = self.choose(input) else {
            return;
        };
        self.open.remove(&id);
        self.give(id, kind, input);
    }

    fn give(&mut self, id: RequestId, kind: Kind, input: &mut Input<'_>) {
        let (node, now) = (&mut self.node.0, self.now);
        match kind {
            Kind::Request => node.handle_response(id, response(input), now),
            Kind::Probe => {
                use ProbeOutcome::{FormerlyGood, NeverGood, NoAnswer, NotExpired};
                let outcome = input.pick(&[FormerlyGood, NotExpired, NeverGood, NoAnswer]);
                node.handle_probe(id, outcome, now);
            }
            Kind::Update if input.flag() => node.handle_update(id, Ok(()), now),
            Kind::Update => node.handle_update(id, Err(UpdateError::TimedOut), now),
        }
    }

    fn fail(&mut self, input: &mut Input<'_>) {
        let Some((id, Kind::Request)) = self.choose(input) else {
            return;
        };
        self.open.remove(&id);
        self.node.0.handle_failure(id, failure(input), self.now);
    }

    /// An outcome for an id that is not known any more, or of the wrong kind, is ignored.
    fn answer_again(&mut self, input: &mut Input<'_>) {
        let Some(id) = self.last else {
            return;
        };
        let wrong = match self.open.get(&id) {
            None => input.pick(&[Kind::Request, Kind::Probe, Kind::Update]),
            Some(Kind::Request) => input.pick(&[Kind::Probe, Kind::Update]),
            Some(_) => Kind::Request,
        };
        let deadline = self.node.poll_timeout();
        self.give(id, wrong, input);
        assert!(self.node.poll_output().is_none(), "rule: a late outcome is ignored");
        assert_eq!(self.node.poll_timeout(), deadline, "rule: a late outcome is ignored");
    }

    fn settle(&mut self) {
        for output in check_after_step(&mut self.node, self.now) {
            assert!(!format!("{output:?}").contains(MARK), "rule: no secret shows");
            assert!(!self.closed, "rule: nothing follows the end; there was {output:?}");
            match output {
                Output::Request { id, request } => {
                    assert!(request.uri().authority().is_some_and(|authority| !authority.host().is_empty()));
                    self.opened(id, Kind::Request);
                }
                Output::Probe { id, .. } => self.opened(id, Kind::Probe),
                Output::Update { id, .. } => self.opened(id, Kind::Update),
                Output::Cancel(id) => {
                    assert!(self.open.remove(&id).is_some(), "rule: what is cancelled was open")
                }
                Output::Event(event) => self.closed = event == Event::Closed,
            }
        }
        let most = 3 * self.node.0.config().targets.len() + 1;
        assert!(self.open.len() <= most, "rule: a report, a Static and a probe a target, and one update");
    }

    fn opened(&mut self, id: RequestId, kind: Kind) {
        assert!(self.last.is_none_or(|last| last < id), "rule: an id is never used twice");
        self.last = Some(id);
        self.open.insert(id, kind);
    }

    fn end(mut self) {
        assert_debug_hides(&self.node.0);
        self.node.0.close(self.now);
        self.settle();
        assert!(self.closed && self.open.is_empty(), "rule: the end cancels what is open and is announced");
        check_closed(&mut self.node, self.now);
        let now = self.now;
        check_closed_ignores(&mut self.node, |node| node.0.record(&NodeReport::default(), now));
        check_closed_ignores(&mut self.node, |node| node.0.record_static(&complete(), now));
        check_closed_ignores(&mut self.node, |node| node.0.close(now));
        if let Some(id) = self.last {
            let kind = FailureKind::Refused;
            let failure = Failure::new(Delivery::No, kind);
            check_closed_ignores(&mut self.node, |node| node.0.handle_failure(id, failure, now));
        }
    }
}

fn report(input: &mut Input<'_>) -> NodeReport {
    NodeReport { version: "0.2.3".into(), hostname: input.text(), ..NodeReport::default() }
}

fn statics(input: &mut Input<'_>) -> Static {
    let mut statics = complete();
    match input.below(4) {
        0 => {}
        1 => statics.version.clear(),
        2 => statics.system.os.clear(),
        _ => statics.system.platform_version = input.byte().to_string(),
    }
    statics
}

fn complete() -> Static {
    let mut statics = Static { version: "0.2.3".into(), report_interval_seconds: 3, ..Static::default() };
    statics.timestamp = Timestamp::from_unix(1_795_227_106, 0).unwrap_or_default();
    let (system, info) = (&mut statics.system, &mut statics.cpu.info);
    for text in [&mut system.hostname, &mut system.os, &mut system.platform, &mut system.platform_version] {
        *text = "x".into();
    }
    (system.kernel_version, system.arch) = ("x".into(), "x".into());
    (info.sockets, info.cores_physical, info.cores_logical) = (1, 1, 1);
    statics.memory.total = 1;
    statics
}

fn response(input: &mut Input<'_>) -> Response<Bytes> {
    let status = match input.below(4) {
        0..=2 => 200,
        _ => input.pick(&[100, 201, 204, 301, 302, 307, 400, 401, 413, 429, 500, 503, 999]),
    };
    let body: Bytes = match input.below(10) {
        8.. => Bytes::copy_from_slice(input.bytes()),
        known => Bytes::from_static(BODIES[known].as_bytes()),
    };
    let content_type = input.pick(&["application/json", "application/json", "text/plain", ";", ""]);
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .body(body)
        .expect("status and header are valid")
}

fn failure(input: &mut Input<'_>) -> Failure {
    use CertificateProblem as Problem;
    let kind = input.pick(&[
        FailureKind::Refused,
        FailureKind::TimedOut,
        FailureKind::NameResolution,
        FailureKind::ConnectionLost,
        FailureKind::PlainHttp,
        FailureKind::Certificate(Problem::Expired),
        FailureKind::Certificate(Problem::NotYetValid),
        FailureKind::Certificate(Problem::NameMismatch),
        FailureKind::Certificate(Problem::UnknownAuthority),
        FailureKind::Certificate(Problem::Other),
        FailureKind::Tls,
        FailureKind::Other,
    ]);
    Failure::new(input.pick(&[Delivery::No, Delivery::Perhaps]), kind)
}
