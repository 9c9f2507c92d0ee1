//! The machine itself: its inputs and timers, and what each of them means. The parts in `rounds`, `statics` and
//! `updates` hold state and no policy of their own.

use super::rounds::Rounds;
use super::statics::{StaticSync, StoredStatic, Sync};
use super::updates::Updates;
use super::{
    Config, ConfigError, DeliveryError, Event, Output, RequestId, StaticReason, TargetId, UpdateError,
};
use crate::endpoint::Endpoint;
use crate::timer::Timers;
use crate::wire::{IgnoredResponse, Manifest, MetricsResponse, NodeReport, Static, encode_into};
use crate::{Delivery, Failure, FailureKind, Fallback, ProbeOutcome, Scheme, Target};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Response, StatusCode};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;
use web_time::Instant;

/// The node's state machine.
///
/// # States
/// *Starting* until [`Config::start_delay`] has passed, then *running* until [`close`](Self::close). While running,
/// a round starts every [`Config::interval`]: the latest sample goes to every target that is not busy with an
/// earlier one. Apart from the common ticks, targets have nothing to do with each other: a slow or dead one delays
/// nobody.
///
/// | of each target | states |
/// | --- | --- |
/// | report | idle, in flight; a target that is busy at a tick is left out of that round |
/// | delivery | normal, suppressed (after [`Config::refusals_before_suppression`] refused connections, not
///   necessarily in a row; a 200 clears them) |
/// | Static | waiting for its start, in flight, waiting for a probe, waiting to be sent again, in sync |
/// | scheme | as configured; `http` for good after a fallback |
///
/// # Methods
/// - constructor: [`new`](Self::new)
/// - commands: [`record`](Self::record), [`record_static`](Self::record_static), [`close`](Self::close)
/// - inputs: [`handle_response`](Self::handle_response), [`handle_failure`](Self::handle_failure),
///   [`handle_probe`](Self::handle_probe), [`handle_update`](Self::handle_update),
///   [`handle_timeout`](Self::handle_timeout)
/// - outputs: [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout)
/// - getters: the rest
///
/// After any input or command drain [`poll_output`](Self::poll_output), then wait for the next input, command or
/// the deadline. An outcome for an id that is no longer known is ignored. An `Instant` earlier than one seen before
/// counts as the latest seen.
///
/// # Example
/// One target; the transport is played by hand.
/// ```
/// use ithiltir_proto::node::{Config, Event, Node, Output};
/// use ithiltir_proto::wire::{MetricsResponse, NodeReport, encode};
/// use ithiltir_proto::{Instant, Secret, Target};
///
/// let target = Target::new("http://127.0.0.1:8080/api/node/metrics", &Secret::new("key"))?;
/// let mut now = Instant::now();
/// let mut node = Node::new(Config::new("0.2.3", vec![target]), now)?;
/// node.record(&NodeReport { version: "0.2.3".into(), ..NodeReport::default() }, now);
///
/// let mut delivered = false;
/// while !delivered {
///     while let Some(output) = node.poll_output() {
///         match output {
///             Output::Request { id, request } => {
///                 assert_eq!(request.uri().path(), "/api/node/metrics");
///                 let answer = encode(&MetricsResponse { ok: true, update: None });
///                 node.handle_response(id, http::Response::new(answer.into()), now);
///             }
///             Output::Event(Event::Report { outcome, .. }) => delivered = outcome.is_ok(),
///             _ => {}
///         }
///     }
///     now = node.poll_timeout().expect("a running node always has something to do next");
///     node.handle_timeout(now);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Node {
    config: Config,
    targets: Vec<TargetState>,
    sample: Option<Bytes>,
    stored_static: Option<StoredStatic>,
    rounds: Rounds,
    updates: Updates,
    exchanges: BTreeMap<RequestId, Exchange>,
    next_id: u64,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    now: Instant,
    closed: bool,
}

/// Reasons to wake up, in the order in which they go first when due at the same time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Limit(RequestId),
    Start,
    StaticCheck,
    StaticRetry(usize),
    Tick,
}

#[derive(Clone, Copy)]
enum Exchange {
    Report { target: usize, round: u64, scheme: Scheme },
    Static { target: usize, scheme: Scheme },
    Probe { target: usize, cause: FailureKind },
    Update,
}

struct TargetState {
    target: Target,
    metrics: Endpoint,
    statics: Option<Endpoint>,
    reporting: bool,
    refusals: u32,
    suppressed: bool,
    probing: bool,
    sync: StaticSync,
}

impl Node {
    /// Starts a node.
    ///
    /// # Errors
    /// [`ConfigError`] if a setting cannot be.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let targets: Vec<_> =
            config.targets.iter().map(|target| TargetState::new(target.clone(), &config)).collect();
        let mut timers = Timers::new();
        if !targets.is_empty() {
            timers.set(Timer::Start, now.checked_add(config.start_delay));
        }
        Ok(Self {
            updates: Updates::new(),
            config,
            targets,
            sample: None,
            stored_static: None,
            rounds: Rounds::new(),
            exchanges: BTreeMap::new(),
            next_id: 1,
            timers,
            outputs: VecDeque::new(),
            now,
            closed: false,
        })
    }

    // Commands

    /// Hands over the latest sample. It is encoded here, once, and goes out with the next rounds until there is a
    /// later one; without any, ticks pass in silence.
    pub fn record(&mut self, report: &NodeReport, now: Instant) {
        self.see(now);
        let mut body = Vec::with_capacity(self.sample.as_ref().map_or(4096, |last| last.len() + 256));
        encode_into(report, &mut body);
        self.sample = Some(body.into());
    }

    /// Hands over the latest Static. It is sent when a target needs one: at the start, after failures, after a
    /// recovery, and when it has changed, which is looked for at the times of [`Config::static_check_intervals`].
    pub fn record_static(&mut self, statics: &Static, now: Instant) {
        self.see(now);
        self.stored_static = Some(StoredStatic::new(statics));
        if self.closed {
            return;
        }
        for target in 0..self.targets.len() {
            if let Some(reason) = self.targets[target].sync.take_starved() {
                self.sync(target, reason);
            }
        }
    }

    /// Ends the node: everything in flight is cancelled, [`Event::Closed`] is the last output.
    pub fn close(&mut self, now: Instant) {
        self.see(now);
        if self.closed {
            return;
        }
        self.closed = true;
        self.timers.clear();
        self.outputs.extend(self.exchanges.keys().map(|&id| Output::Cancel(id)));
        self.exchanges.clear();
        self.event(Event::Closed);
    }

    // Inputs

    /// Takes the answer to a request. The driver passes at most [`Config::max_response`] bytes of its body and
    /// leaves the rest unread. Any status is an answer.
    pub fn handle_response(&mut self, id: RequestId, response: Response<Bytes>, now: Instant) {
        self.see(now);
        let outcome = match response.status() {
            StatusCode::OK => Ok(()),
            status if is_redirect(&response) => Err(DeliveryError::Redirect(status)),
            status => Err(DeliveryError::Status(status)),
        };
        match self.exchanges.get(&id) {
            Some(&Exchange::Report { target, round, .. }) => {
                self.end(id);
                self.report_ended(target, round, outcome);
                let offer = match outcome {
                    Ok(()) => self.delivered(target, &response),
                    Err(_) => None,
                };
                self.rounds.ended(round, target, outcome.is_ok(), offer);
                self.finish_round(round);
            }
            Some(&Exchange::Static { target, .. }) => {
                self.end(id);
                self.static_ended(target, outcome);
            }
            Some(Exchange::Probe { .. } | Exchange::Update) | None => {}
        }
    }

    /// Takes the news that a request has no answer. A failure of an `https` target may lead to a fallback.
    pub fn handle_failure(&mut self, id: RequestId, failure: Failure, now: Instant) {
        self.see(now);
        let kind = failure.kind;
        match self.exchanges.get(&id) {
            Some(&Exchange::Report { target, round, scheme }) => {
                self.end(id);
                self.report_ended(target, round, Err(DeliveryError::Transport(kind)));
                if kind == FailureKind::Refused {
                    self.count_refusal(target);
                }
                self.consider_fallback(target, scheme, kind);
                self.rounds.ended(round, target, false, None);
                self.finish_round(round);
            }
            Some(&Exchange::Static { target, scheme }) => {
                self.end(id);
                self.static_failed(target, scheme, kind);
            }
            Some(Exchange::Probe { .. } | Exchange::Update) | None => {}
        }
    }

    /// Takes the answer to a probe.
    pub fn handle_probe(&mut self, id: RequestId, outcome: ProbeOutcome, now: Instant) {
        self.see(now);
        let Some(&Exchange::Probe { target, cause }) = self.exchanges.get(&id) else {
            return;
        };
        self.end(id);
        self.probe_ended(target, cause, outcome);
    }

    /// Takes the outcome of an update, before its last step is carried out.
    pub fn handle_update(&mut self, id: RequestId, outcome: Result<(), UpdateError>, now: Instant) {
        self.see(now);
        if let Some(Exchange::Update) = self.exchanges.get(&id) {
            self.end(id);
            self.update_ended(outcome);
        }
    }

    /// Lets time pass: whatever was due by `now` happens. Calling it early or twice is harmless. Ticks that were
    /// missed are one tick.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.see(now);
        while let Some((at, timer)) = self.timers.pop_due(self.now) {
            match timer {
                Timer::Start => self.start(at),
                Timer::Tick => {
                    self.timers.set(Timer::Tick, after(at, self.config.interval, self.now));
                    self.tick();
                }
                Timer::StaticCheck => {
                    self.timers.set(Timer::StaticCheck, after(at, self.config.static_check(), self.now));
                    self.check_static();
                }
                Timer::StaticRetry(target) => self.sync(target, StaticReason::Retry),
                Timer::Limit(id) => self.limit_passed(id),
            }
        }
    }

    // Outputs

    /// Returns the next piece of work; `None` means that the node waits for an input or its deadline.
    #[must_use = "an output that is not carried out is lost"]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is next due; `None` if nothing is. Ask again after every
    /// drain.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    // Getters

    /// Whether the node is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns a target with the scheme that is in use now.
    #[must_use]
    pub fn target(&self, id: TargetId) -> Option<&Target> {
        self.targets.get(id.0).map(|state| &state.target)
    }

    /// Whether a target counts as down.
    #[must_use]
    pub fn is_suppressed(&self, id: TargetId) -> bool {
        self.targets.get(id.0).is_some_and(|state| state.suppressed)
    }

    // Time

    fn see(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn start(&mut self, at: Instant) {
        self.timers.set(Timer::Tick, after(at, self.config.interval, self.now));
        self.timers.set(Timer::StaticCheck, after(at, self.config.static_check(), self.now));
        for target in 0..self.targets.len() {
            self.sync(target, StaticReason::Startup);
        }
    }

    fn limit_passed(&mut self, id: RequestId) {
        let Some(&exchange) = self.exchanges.get(&id) else {
            return;
        };
        self.outputs.push_back(Output::Cancel(id));
        let timed_out = Failure::new(Delivery::Perhaps, FailureKind::TimedOut);
        match exchange {
            Exchange::Report { .. } | Exchange::Static { .. } => self.handle_failure(id, timed_out, self.now),
            Exchange::Probe { .. } => self.handle_probe(id, ProbeOutcome::NoAnswer, self.now),
            Exchange::Update => self.handle_update(id, Err(UpdateError::TimedOut), self.now),
        }
    }

    // Rounds

    fn tick(&mut self) {
        let Some(body) = self.sample.clone() else {
            return;
        };
        let free: Vec<_> =
            (0..self.targets.len()).filter(|&target| !self.targets[target].reporting).collect();
        let round = self.rounds.open(free.len(), self.targets.len() - free.len());
        for target in free {
            let state = &mut self.targets[target];
            state.reporting = true;
            let (request, scheme) = (state.metrics.post(body.clone()), state.target.scheme());
            let id = self.begin(Exchange::Report { target, round, scheme }, self.config.request_timeout);
            self.outputs.push_back(Output::Request { id, request });
        }
        self.finish_round(round);
    }

    fn report_ended(&mut self, target: usize, round: u64, outcome: Result<(), DeliveryError>) {
        self.targets[target].reporting = false;
        self.event(Event::Report { target: TargetId(target), round, outcome });
    }

    fn read_answer(&mut self, target: usize, response: &Response<Bytes>) -> Option<Manifest> {
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match MetricsResponse::decode(content_type, response.body(), self.config.max_response) {
            Ok(answer) => answer.update,
            Err(IgnoredResponse::Empty | IgnoredResponse::MediaType) => None,
            Err(error) => {
                self.event(Event::ResponseIgnored { target: TargetId(target), error });
                None
            }
        }
    }

    fn finish_round(&mut self, number: u64) {
        let Some(round) = self.rounds.take_finished(number) else {
            return;
        };
        self.consider_update(number, &round.offers);
        let (succeeded, failed, skipped) = (round.succeeded, round.failed, round.skipped);
        self.event(Event::Round { number, succeeded, failed, skipped });
    }

    // Delivery state

    /// Returns the update that the answer offers.
    fn delivered(&mut self, target: usize, response: &Response<Bytes>) -> Option<Manifest> {
        let state = &mut self.targets[target];
        state.refusals = 0;
        if std::mem::take(&mut state.suppressed) {
            self.event(Event::Recovered { target: TargetId(target) });
            self.wake_static(target, StaticReason::Recovery);
        }
        self.read_answer(target, response)
    }

    fn count_refusal(&mut self, target: usize) {
        let state = &mut self.targets[target];
        state.refusals = state.refusals.saturating_add(1);
        if state.refusals >= self.config.refusals_before_suppression && !state.suppressed {
            state.suppressed = true;
            self.event(Event::Suppressed { target: TargetId(target) });
        }
    }

    // Static

    /// Sends the Static now, or says why not.
    fn sync(&mut self, target: usize, reason: StaticReason) {
        self.timers.set(Timer::StaticRetry(target), None);
        let state = &mut self.targets[target];
        let Some(endpoint) = &state.statics else {
            if reason == StaticReason::Startup {
                self.event(Event::NoStaticUrl { target: TargetId(target) });
            }
            return;
        };
        let stored = match &self.stored_static {
            Some(stored) if stored.unpublishable.is_empty() => stored,
            stored => {
                let missing = stored.as_ref().map(|stored| stored.unpublishable.clone()).unwrap_or_default();
                state.sync.starve(reason);
                self.retry_static(target);
                return self.event(Event::StaticWithheld { target: TargetId(target), reason, missing });
            }
        };
        let (request, scheme) = (endpoint.post(stored.body.clone()), state.target.scheme());
        state.sync.send(Sync { reason, fingerprint: stored.fingerprint, missing: stored.incomplete.clone() });
        let id = self.begin(Exchange::Static { target, scheme }, self.config.request_timeout);
        self.outputs.push_back(Output::Request { id, request });
    }

    /// Asks for a Static; while one is under way the wish waits, and later wishes are dropped.
    fn wake_static(&mut self, target: usize, reason: StaticReason) {
        if self.targets[target].sync.wish(reason) {
            self.sync(target, reason);
        }
    }

    fn static_ended(&mut self, target: usize, outcome: Result<(), DeliveryError>) {
        let Some((sync, again)) = self.targets[target].sync.ended(outcome.is_ok()) else {
            return;
        };
        let unfinished = outcome.is_err() || !sync.missing.is_empty();
        let Sync { reason, missing, .. } = sync;
        self.event(Event::Static { target: TargetId(target), reason, missing, outcome });
        match again {
            Some(reason) => self.sync(target, reason),
            None if unfinished => self.retry_static(target),
            None => {}
        }
    }

    /// A failure that leads to a fallback is not the end: the Static is sent again at once.
    fn static_failed(&mut self, target: usize, scheme: Scheme, kind: FailureKind) {
        self.consider_fallback(target, scheme, kind);
        let state = &self.targets[target];
        if scheme == Scheme::Https && state.target.scheme() == Scheme::Http {
            self.resend_static(target);
        } else if scheme == Scheme::Https && state.probing {
            self.targets[target].sync.await_probe(kind);
        } else {
            self.static_ended(target, Err(DeliveryError::Transport(kind)));
        }
    }

    fn resend_static(&mut self, target: usize) {
        if let Some(sync) = self.targets[target].sync.take_unfinished() {
            self.sync(target, sync.reason);
        }
    }

    fn retry_static(&mut self, target: usize) {
        self.timers.set(Timer::StaticRetry(target), self.now.checked_add(self.config.static_retry));
    }

    fn check_static(&mut self) {
        let Some(current) = self.stored_static.as_ref().map(|stored| stored.fingerprint) else {
            return;
        };
        for target in 0..self.targets.len() {
            if self.targets[target].sync.differs_from(current) {
                self.wake_static(target, StaticReason::Changed);
            }
        }
    }

    // Fallback (§2.1)

    fn consider_fallback(&mut self, target: usize, scheme: Scheme, cause: FailureKind) {
        let state = &mut self.targets[target];
        if self.config.require_https || scheme == Scheme::Http || state.target.scheme() == Scheme::Http {
            return;
        }
        match Fallback::decide(cause, state.target.host_kind()) {
            Fallback::Stay => {}
            Fallback::Switch => self.fall_back(target, cause),
            Fallback::Probe if state.probing => {}
            Fallback::Probe => {
                state.probing = true;
                let probe = state.target.expiry_probe();
                let id = self.begin(Exchange::Probe { target, cause }, self.config.probe_timeout);
                self.outputs.push_back(Output::Probe { id, probe });
            }
        }
    }

    fn probe_ended(&mut self, target: usize, cause: FailureKind, outcome: ProbeOutcome) {
        self.targets[target].probing = false;
        if outcome == ProbeOutcome::FormerlyGood {
            return self.fall_back(target, cause);
        }
        self.event(Event::FallbackRefused { target: TargetId(target), outcome });
        if let Some(kind) = self.targets[target].sync.probe_ended() {
            self.static_ended(target, Err(DeliveryError::Transport(kind)));
        }
    }

    /// Switches for good. A probe that is still under way has nothing to decide any more, and a Static that waited for
    /// it goes out at once.
    fn fall_back(&mut self, target: usize, cause: FailureKind) {
        let state = &mut self.targets[target];
        state.target = state.target.with_scheme(Scheme::Http);
        state.make_endpoints(&self.config);
        self.event(Event::FellBack { target: TargetId(target), cause });
        self.cancel_probe(target);
        if self.targets[target].sync.probe_ended().is_some() {
            self.resend_static(target);
        }
    }

    fn cancel_probe(&mut self, target: usize) {
        if !std::mem::take(&mut self.targets[target].probing) {
            return;
        }
        let is_probe =
            |exchange: &Exchange| matches!(exchange, Exchange::Probe { target: of, .. } if *of == target);
        let probe = self.exchanges.iter().find(|(_, exchange)| is_probe(exchange)).map(|(&id, _)| id);
        if let Some(id) = probe {
            self.end(id);
            self.outputs.push_back(Output::Cancel(id));
        }
    }

    // Updates

    fn consider_update(&mut self, round: u64, offers: &[(usize, Manifest)]) {
        let Some((decision, start)) = self.updates.decide(&self.config, offers, self.now) else {
            return;
        };
        self.event(Event::Update { round, decision });
        if let Some((target, ready)) = start {
            let update = ready.into_update(&self.targets[target].target, &self.config);
            let id = self.begin(Exchange::Update, self.config.update.timeout);
            self.outputs.push_back(Output::Update { id, update: Box::new(update) });
        }
    }

    fn update_ended(&mut self, outcome: Result<(), UpdateError>) {
        let retry_at = self.now.checked_add(self.config.update.retry_delay);
        let Some(version) = self.updates.ended(outcome.is_ok(), retry_at) else {
            return;
        };
        self.event(match outcome {
            Ok(()) => Event::Updated { version },
            Err(error) => Event::UpdateFailed { version, error },
        });
    }

    // Exchanges

    fn begin(&mut self, exchange: Exchange, limit: Duration) -> RequestId {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.exchanges.insert(id, exchange);
        self.timers.set(Timer::Limit(id), self.now.checked_add(limit));
        id
    }

    fn end(&mut self, id: RequestId) {
        self.exchanges.remove(&id);
        self.timers.set(Timer::Limit(id), None);
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl TargetState {
    fn new(target: Target, config: &Config) -> Self {
        Self {
            metrics: target.metrics(&config.user_agent),
            statics: target.sibling("static", &config.user_agent),
            target,
            reporting: false,
            refusals: 0,
            suppressed: false,
            probing: false,
            sync: StaticSync::new(),
        }
    }

    fn make_endpoints(&mut self, config: &Config) {
        self.metrics = self.target.metrics(&config.user_agent);
        self.statics = self.target.sibling("static", &config.user_agent);
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("targets", &self.targets.len())
            .field("rounds", &self.rounds.number())
            .field("exchanges", &self.exchanges.len())
            .field("outputs", &self.outputs.len())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

/// A redirect says where to; without that it is an answer like any other.
fn is_redirect(response: &Response<Bytes>) -> bool {
    matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308)
        && response.headers().contains_key(LOCATION)
}

/// Returns the next point of a schedule behind `now`: what was missed is not made up for.
fn after(last: Instant, period: Duration, now: Instant) -> Option<Instant> {
    let late = now.saturating_duration_since(last).as_nanos();
    let periods = late / period.as_nanos() + 1;
    let ahead = periods.checked_mul(period.as_nanos())?;
    let seconds = u64::try_from(ahead / 1_000_000_000).ok()?;
    last.checked_add(Duration::new(seconds, (ahead % 1_000_000_000) as u32))
}
