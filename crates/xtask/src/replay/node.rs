//! Our node in the place of the original, fed the recorded answers on a virtual clock.

use super::REDIRECT_FOLLOWED;
use super::capture::{Body, Capture, Exchange, Handshake};
use super::scenario::{self, Life};
use crate::{Deviation, Tally};
use bytes::Bytes;
use http::{Request, Response};
use ithiltir_proto::node::{Config, Event, Node, Output, RequestId, Update, UpdateDecision, UpdateError};
use ithiltir_proto::update::Layout;
use ithiltir_proto::wire::Fingerprint;
use ithiltir_proto::{CertificateProblem, Delivery, Failure, FailureKind, HostKind, ProbeOutcome, Url};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How long an answer takes.
const LATENCY: Duration = Duration::from_millis(20);

const STATIC_PER_TARGET: Deviation = Deviation {
    name: "static-per-target",
    reason: "every target gets a changed Static; the original forgets one if another was served in between",
};

pub(super) fn check(name: &str, capture: &Capture, tally: &mut Tally) {
    let (lives, followed) = scenario::lives(capture);
    (0..followed).for_each(|_| tally.deviate(REDIRECT_FOLLOWED));
    if lives.is_empty() {
        return tally.skip("install-only", "the recording does not say what became of an identity request");
    }
    let mut active = "0.2.3".to_owned();
    for life in &lives {
        let Some(mut replay) = Replay::new(name, life, &capture.handshakes, layout(name, &active)) else {
            return tally.fail(name, "a node with the recorded targets", "none");
        };
        replay.run(tally);
        active = replay.installed.unwrap_or(active);
    }
}

/// The update scenarios ran in a managed layout, all but the one whose `current` was a real directory.
fn layout(name: &str, active: &str) -> Option<Layout> {
    let managed = name.starts_with("upd_") && !name.starts_with("upd_mode_badcur");
    let data_directory = "/var/lib/ithiltir-node".to_owned();
    managed.then(|| Layout::Releases { data_directory, active: active.to_owned() })
}

struct Replay<'a> {
    name: &'a str,
    life: &'a Life,
    node: Node,
    start: Instant,
    now: Instant,
    handshakes: VecDeque<&'a Handshake>,
    /// What was recorded and has not been asked for yet, by host and request target.
    expected: BTreeMap<(String, String), VecDeque<&'a Exchange>>,
    answers: VecDeque<(Instant, Answer)>,
    accepted: BTreeMap<String, Fingerprint>,
    installed: Option<String>,
    refused: usize,
    last_tick: i64,
}

enum Answer {
    Response(RequestId, Response<Bytes>),
    Failure(RequestId, FailureKind),
    Probe(RequestId),
    Update(RequestId, bool),
}

impl<'a> Replay<'a> {
    fn new(
        name: &'a str,
        life: &'a Life,
        handshakes: &'a [Handshake],
        layout: Option<Layout>,
    ) -> Option<Self> {
        let targets = life.targets(handshakes).into_iter().map(|(_, target)| target).collect();
        let mut config = Config::new(life.report(i64::MAX)?.version, targets);
        config.interval = Duration::from_millis(u64::try_from(life.interval).ok()?);
        config.update.layout = layout;
        config.update.retry_delay = Duration::ZERO; // as the original: again in every round
        let start = Instant::now();
        let mut expected: BTreeMap<_, VecDeque<_>> = BTreeMap::new();
        for exchange in &life.exchanges {
            let key = (exchange.host().to_owned(), exchange.path.clone());
            expected.entry(key).or_default().push_back(exchange);
        }
        Some(Self {
            name,
            life,
            node: Node::new(config, start).ok()?,
            start,
            now: start,
            handshakes: handshakes.iter().collect(),
            expected,
            answers: VecDeque::new(),
            accepted: BTreeMap::new(),
            installed: None,
            refused: 0,
            last_tick: life.last_tick(),
        })
    }

    fn run(&mut self, tally: &mut Tally) {
        while let Some(next) = self.next() {
            self.now = next;
            if self.tick() > self.last_tick {
                break;
            }
            self.record();
            while self.answers.front().is_some_and(|(at, _)| *at <= next) {
                if let Some((_, answer)) = self.answers.pop_front() {
                    self.answer(answer);
                }
                self.drain(tally);
            }
            self.node.handle_timeout(next);
            self.drain(tally);
        }
        if self.refused > 0 {
            tally.note(format!("{}: gaps fed as {} refused connections", self.name, self.refused));
        }
        for exchange in self.expected.values().flatten() {
            let (what, at) = (describe(exchange), exchange.milliseconds);
            tally.fail(self.name, format_args!("{what} at {at} ms"), "nothing");
        }
    }

    fn next(&self) -> Option<Instant> {
        let answer = self.answers.front().map(|(at, _)| *at);
        answer.into_iter().chain(self.node.poll_timeout()).min()
    }

    /// Returns the interval that runs now, counted from the first report as in the recording.
    fn tick(&self) -> i64 {
        let config = self.node.config();
        let since_start = i64::try_from((self.now - self.start).as_millis()).unwrap_or(i64::MAX);
        let first = i64::try_from((config.start_delay + config.interval).as_millis()).unwrap_or(i64::MAX);
        (since_start - first + self.life.interval / 2).div_euclid(self.life.interval)
    }

    fn record(&mut self) {
        if let Some(report) = self.life.report(self.tick()) {
            self.node.record(&report, self.now);
        }
        if let Some(statics) = self.life.statics(self.tick()) {
            self.node.record_static(&statics, self.now);
        }
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Response(id, response) => self.node.handle_response(id, response, self.now),
            Answer::Failure(id, kind) => {
                self.node.handle_failure(id, Failure::new(Delivery::No, kind), self.now);
            }
            Answer::Probe(id) => self.node.handle_probe(id, ProbeOutcome::FormerlyGood, self.now),
            Answer::Update(id, installed) => {
                let failed = UpdateError::Step { step: 0, problem: "as recorded".into() };
                self.node.handle_update(id, if installed { Ok(()) } else { Err(failed) }, self.now);
            }
        }
    }

    fn drain(&mut self, tally: &mut Tally) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Request { id, request } => self.requested(id, &request, tally),
                Output::Probe { id, .. } => self.later(Answer::Probe(id)),
                Output::Update { id, update } => self.update(id, &update, tally),
                Output::Event(Event::Update { decision, .. }) => self.decided(&decision, tally),
                Output::Cancel(_) | Output::Event(_) => {}
            }
        }
    }

    fn later(&mut self, answer: Answer) {
        self.answers.push_back((self.now + LATENCY, answer));
    }

    fn requested(&mut self, id: RequestId, request: &Request<Bytes>, tally: &mut Tally) {
        let tls = request.uri().scheme_str() == Some("https");
        if let Some(handshake) = self.handshakes.pop_front().filter(|_| tls) {
            let kind = failure(handshake, request);
            return self.later(Answer::Failure(id, kind));
        }
        let key = key(request);
        let tick = self.tick();
        let next = self.expected.get(&key).and_then(|rows| rows.front().copied());
        match next.map(|exchange| (exchange, self.life.tick(exchange.milliseconds))) {
            Some((exchange, at)) if at <= tick => self.matched(id, request, exchange, tally),
            _ if request.uri().path().ends_with("/static") => self.unexpected_static(id, &key, tally),
            // A gap in the recording: nobody listened.
            Some(_) => {
                self.refused += 1;
                self.later(Answer::Failure(id, FailureKind::Refused));
            }
            None if tick == self.last_tick => {} // the recording ended within this interval
            None => tally.fail(self.name, "no further request", format_args!("{} in tick {tick}", key.1)),
        }
    }

    fn matched(
        &mut self,
        id: RequestId,
        request: &Request<Bytes>,
        exchange: &'a Exchange,
        tally: &mut Tally,
    ) {
        let rows = self.expected.get_mut(&key(request));
        let next = rows.and_then(|rows| rows.pop_front().and(rows.front()));
        // Only an exchange that timed out delays the next one that long.
        let in_time = next.is_none_or(|next| next.milliseconds - exchange.milliseconds < 9_500);
        let name = format!("{} {} at {} ms", self.name, describe(exchange), exchange.milliseconds);
        let is_report = exchange.route() != "static";
        let expected = (self.life.tick(exchange.milliseconds), exchange.tls, key_header(exchange));
        let secret = request.headers().get("x-node-secret").and_then(|key| key.to_str().ok());
        let got = (self.tick(), request.uri().scheme_str() == Some("https"), secret);
        if is_report && exchange.request_body.whole() != Some(request.body()) {
            tally.fail(name, "the recorded body", format_args!("{} other bytes", request.body().len()));
        } else {
            tally.check(name, &expected, &got);
        }
        if let Some(statics) = scenario::statics(exchange).filter(|_| !is_report && exchange.status == 200) {
            self.accepted.insert(exchange.host().to_owned(), statics.fingerprint());
        }
        if in_time || !is_report {
            self.later(Answer::Response(id, response(exchange)));
        }
    }

    fn unexpected_static(&mut self, id: RequestId, key: &(String, String), tally: &mut Tally) {
        let current = self.life.statics(self.tick()).map(|statics| statics.fingerprint());
        if self.accepted.get(&key.0).is_some_and(|accepted| Some(*accepted) != current) {
            tally.deviate(STATIC_PER_TARGET);
            self.accepted.extend(current.map(|current| (key.0.clone(), current)));
        } else {
            tally.fail(self.name, "no further Static", format_args!("one in tick {}", self.tick()));
        }
        self.later(Answer::Response(id, Response::new(Bytes::from_static(b"ok"))));
    }

    /// A recorded download means that the original decided to apply.
    fn decided(&mut self, decision: &UpdateDecision, tally: &mut Tally) {
        let applies = matches!(decision, UpdateDecision::Apply(_));
        let url = decision.manifest().and_then(|manifest| Url::parse(&manifest.url).ok());
        let key = url.map(|url| (format!("{}:{}", url.host(), url.port()), url.request_target()));
        let key = key.unwrap_or_default();
        if applies && self.expected.keys().all(|(host, _)| *host != key.0) {
            return tally
                .skip("download-elsewhere", "a download from a host that was not recorded leaves no trace");
        }
        let next = self.expected.get(&key).and_then(|rows| rows.front());
        let downloaded = next.is_some_and(|row| self.life.tick(row.milliseconds) <= self.tick());
        let name = format!("{} decision {} in tick {}", self.name, decision.as_str(), self.tick());
        tally.check(name, &downloaded, &applies);
    }

    fn update(&mut self, id: RequestId, update: &Update, tally: &mut Tally) {
        let rows = self.expected.get_mut(&key(&update.request));
        let Some((exchange, rows)) = rows.and_then(|rows| Some((rows.pop_front()?, rows))) else {
            return self.later(Answer::Update(id, false));
        };
        let secret = update.request.headers().get("x-node-secret").and_then(|key| key.to_str().ok());
        let name = format!("{} {} at {} ms", self.name, describe(exchange), exchange.milliseconds);
        tally.check(name, &key_header(exchange), &secret);
        let restarts = self.life.ends_updated && rows.is_empty();
        if restarts {
            self.installed = Some(update.manifest.version.clone());
        }
        self.later(Answer::Update(id, restarts));
    }
}

fn key(request: &Request<Bytes>) -> (String, String) {
    let uri = request.uri();
    let host = uri.authority().map_or_else(String::new, ToString::to_string);
    (host, uri.path_and_query().map_or_else(String::new, ToString::to_string))
}

fn key_header(exchange: &Exchange) -> Option<&str> {
    exchange.request_header("x-node-secret")
}

fn describe(exchange: &Exchange) -> String {
    format!("{} {}{}", exchange.method, exchange.host(), exchange.path)
}

fn response(exchange: &Exchange) -> Response<Bytes> {
    let body = match &exchange.response_body {
        Body::Whole(body) => body.clone(),
        Body::Shortened | Body::Unclean => Bytes::new(),
    };
    let mut response = Response::builder().status(exchange.status);
    for (name, value) in &exchange.response_headers {
        response = response.header(name, value);
    }
    response.body(body).expect("recorded headers are headers")
}

/// What the recorder's view of a failed handshake was on the node's side. Since the recording goes on without TLS,
/// a name's certificate must have been an expired one.
fn failure(handshake: &Handshake, request: &Request<Bytes>) -> FailureKind {
    let host = Url::parse(&request.uri().to_string()).map(|url| url.host_kind());
    match (handshake.what.as_str(), host) {
        (what, _) if what.contains("plain-HTTP") => FailureKind::PlainHttp,
        (what, _) if what.contains("closed") => FailureKind::ConnectionLost,
        (_, Ok(HostKind::Ip(_))) => FailureKind::Certificate(CertificateProblem::UnknownAuthority),
        _ => FailureKind::Certificate(CertificateProblem::Expired),
    }
}
