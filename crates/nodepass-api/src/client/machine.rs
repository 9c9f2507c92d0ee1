//! The machine itself: its inputs and timers, and what each of them leads to.

use super::exchanges::Exchange;
use super::info::Known;
use super::monitor::{Link, Monitor};
use super::pending::Pending;
use super::{
    Base, CallId, Config, ConfigError, Delivery, Event, Failure, FailureKind, Monitoring, Output, RequestId,
    StreamEnd, StreamId,
};
use crate::fleet::{Fleet, Moment};
use crate::timer::Timers;
use crate::wire::Info;
use crate::{Release, Secret};
use bytes::Bytes;
use http::Response;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;
use web_time::Instant;

/// The client's state machine.
///
/// # States
/// ```text
///  Probing ──an answer of the API──> Connecting ──head──> Streaming ──end, silence──> Reconnecting
///   ^   │                             ^  └──no head, refused───────────────────────────^     │
///   │   └──no answer──> Waiting       └───────────────the wait is over───────────────────────┘
///   └──the wait is over, a call─┘
///  Connecting, Reconnecting ──3 failures in a row──> Polling ──a stream again──> Streaming
///  all but Probing and Waiting ──401──> KeyRefused ──another key──> Connecting or Polling
/// ```
/// A new client starts by itself: it finds out where the routes are by asking for `/info`, once with the version and once
/// without ([`Config::layout`] says where they are). Then calls go out, and the view is kept as [`Config::monitoring`]
/// says: by a stream, whose loss is repaired by the list, or by the list alone.
///
/// # Calls
/// Each command returns a [`CallId`], and each call is answered once by [`Event::Answered`], at the latest when the client
/// is closed. A call is never made twice, with one exception: a 401 for a key that has been replaced meanwhile, which says
/// that nothing was done.
///
/// # Methods
/// - constructor: [`new`](Self::new)
/// - commands: [`call`](Self::call) and one for each route, [`rotate_key`](Self::rotate_key),
///   [`recreate`](Self::recreate), [`set_key`](Self::set_key), [`resync`](Self::resync), [`retry`](Self::retry),
///   [`close`](Self::close)
/// - inputs: [`handle_response`](Self::handle_response), [`handle_failure`](Self::handle_failure),
///   [`handle_stream_opened`](Self::handle_stream_opened), [`handle_stream_bytes`](Self::handle_stream_bytes),
///   [`handle_stream_end`](Self::handle_stream_end), [`handle_timeout`](Self::handle_timeout)
/// - outputs: [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout)
/// - getters: the rest
///
/// After any input or command drain [`poll_output`](Self::poll_output), then wait for the next input, command or the
/// deadline. Input for an exchange or a stream that is no longer known is ignored. An `Instant` earlier than one seen before
/// counts as the latest seen.
///
/// # Example
/// A master, played by hand.
/// ```
/// use http::Response;
/// use nodepass_api::client::{Client, Config, Event, Output, Reply};
/// use nodepass_api::{Secret, Instant};
///
/// let now = Instant::now();
/// let mut client = Client::new(Config::new("http://10.0.0.1:9090".parse()?, Secret::new("0123")), now)?;
/// let call = client.tcping("example.org:443", now)?;
/// let mut latency = None;
/// while let Some(output) = client.poll_output() {
///     match output {
///         Output::Request { id, request } => {
///             let body = match request.uri().path() {
///                 "/api/v1/info" => r#"{"ver":"v1.14.0","uptime":7}"#,
///                 "/api/v1/tcping" => r#"{"target":"example.org:443","connected":true,"latency":12,"error":null}"#,
///                 _ => "[]",
///             };
///             client.handle_response(id, Response::new(body.into()), now);
///         }
///         Output::OpenStream { stream, .. } => client.handle_stream_opened(stream, &Response::new(()), now),
///         Output::Event(Event::Answered { id, outcome: Ok(Reply::Tcping(result)) }) if id == call => {
///             latency = Some(result.latency);
///         }
///         _ => {}
///     }
/// }
/// assert_eq!(latency, Some(12));
/// assert_eq!(client.release().unwrap().to_string(), "v1.14.0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Client {
    pub(super) config: Config,
    pub(super) key: Secret,
    /// Counts keys: an answer to a request with an earlier one says nothing about the one of now.
    pub(super) key_generation: u64,
    pub(super) is_key_refused: bool,
    pub(super) path: Path,
    pub(super) calls: BTreeMap<CallId, Pending>,
    pub(super) exchanges: BTreeMap<RequestId, Exchange>,
    /// One of them is for the list of the view.
    pub(super) is_listing: bool,
    /// One of them asks the master about itself.
    pub(super) is_asking: bool,
    /// Calls that wait for the path, in their order.
    pub(super) held: VecDeque<CallId>,
    /// Calls that were refused while another key was being made.
    pub(super) parked: Vec<CallId>,
    pub(super) rotating: Option<CallId>,
    pub(super) monitor: Monitor,
    pub(super) fleet: Fleet,
    pub(super) about: Option<Known>,
    pub(super) release: Option<Release>,
    pub(super) is_reachable: Option<bool>,
    /// Counts signs of life.
    pub(super) heard: u64,
    /// Failures to find the path, in a row.
    pub(super) misses: u32,
    pub(super) random: fastrand::Rng,
    next_id: u64,
    pub(super) timers: Timers<Timer>,
    pub(super) outputs: VecDeque<Output>,
    start: Instant,
    pub(super) now: Instant,
}

/// How far it is known where the routes are.
pub(super) enum Path {
    Probing,
    Waiting,
    Known(Base),
    Closed,
}

/// Reasons to wake up, in the order in which they go first when due at the same time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Request(RequestId),
    Head,
    FirstEvent,
    Idle,
    Probe,
    Reconnect,
    List,
    Info,
}

/// Where a client stands; see [`Client`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Finds out where the routes are.
    Probing,
    /// Has not found out, and waits before it asks again.
    Waiting,
    /// Makes calls, and keeps no view: [`Monitoring::Off`].
    Ready,
    /// Opens a stream.
    Connecting,
    /// Has a stream.
    Streaming,
    /// Has no stream, and waits before it opens one.
    Reconnecting,
    /// Asks for the list at intervals; perhaps it tries to open a stream now and then.
    Polling,
    /// Waits for another key.
    KeyRefused,
    /// Closed for good.
    Closed,
}

impl Client {
    /// Starts a client: emits its first request.
    ///
    /// # Errors
    /// [`ConfigError`] if a setting cannot be.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let mut client = Self {
            key: config.key.clone(),
            key_generation: 0,
            is_key_refused: false,
            path: Path::Waiting,
            calls: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            is_listing: false,
            is_asking: false,
            held: VecDeque::new(),
            parked: Vec::new(),
            rotating: None,
            monitor: Monitor::new(&config),
            fleet: Fleet::new(config.fleet.clone()),
            about: None,
            release: None,
            is_reachable: None,
            heard: 0,
            misses: 0,
            random: fastrand::Rng::with_seed(config.seed),
            next_id: 1,
            timers: Timers::new(),
            outputs: VecDeque::new(),
            start: now,
            now,
            config,
        };
        client.find();
        Ok(client)
    }

    /// Ends the client: what is under way is given up, and every open call is answered with
    /// [`RequestError::Closed`](super::RequestError::Closed).
    pub fn close(&mut self, now: Instant) {
        self.see(now);
        if self.is_closed() {
            return;
        }
        self.path = Path::Closed;
        for id in std::mem::take(&mut self.exchanges).into_keys() {
            self.outputs.push_back(Output::Cancel(id));
        }
        if let Some(stream) = self.monitor.stream() {
            self.outputs.push_back(Output::CloseStream { stream });
        }
        self.monitor.link = Link::Off;
        (self.held, self.parked, self.rotating) = (VecDeque::new(), Vec::new(), None);
        for id in std::mem::take(&mut self.calls).into_keys() {
            self.event(Event::Answered { id, outcome: Err(super::RequestError::Closed) });
        }
        self.timers.clear();
        self.event(Event::Closed);
    }

    // Inputs

    /// Takes the answer to a request, whatever its status.
    pub fn handle_response(&mut self, id: RequestId, response: Response<Bytes>, now: Instant) {
        self.see(now);
        let Some(exchange) = self.take(id) else { return };
        // A gateway answers in the place of a master that is not there.
        if !matches!(response.status().as_u16(), 502..=504) {
            self.hear();
        }
        self.answered(exchange, &response);
    }

    /// There is no answer to a request.
    pub fn handle_failure(&mut self, id: RequestId, failure: Failure, now: Instant) {
        self.see(now);
        let Some(exchange) = self.take(id) else { return };
        self.unanswered(exchange, failure);
    }

    /// The head of the answer to a stream's request is there, whatever its status.
    pub fn handle_stream_opened(&mut self, stream: StreamId, head: &Response<()>, now: Instant) {
        self.see(now);
        self.stream_opened(stream, head);
    }

    /// Takes a piece of a stream's body, cut anywhere.
    pub fn handle_stream_bytes(&mut self, stream: StreamId, bytes: &[u8], now: Instant) {
        self.see(now);
        self.stream_bytes(stream, bytes);
    }

    /// A stream is over: its body has ended, `failure` then being `None`, or the transport has failed, with or without
    /// a head. The connection below may live on (§5).
    pub fn handle_stream_end(&mut self, stream: StreamId, failure: Option<Failure>, now: Instant) {
        self.see(now);
        self.stream_end(stream, failure);
    }

    /// Lets time pass: whatever was due by `now` happens. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.see(now);
        while let Some((_, timer)) = self.timers.pop_due(self.now) {
            match timer {
                Timer::Request(id) => {
                    if let Some(exchange) = self.take(id) {
                        self.outputs.push_back(Output::Cancel(id));
                        self.unanswered(exchange, Failure::new(Delivery::Perhaps, FailureKind::TimedOut));
                    }
                }
                Timer::Head => self.give_up(StreamEnd::NoHead),
                Timer::FirstEvent => self.first_event_is_due(),
                Timer::Idle => self.silence(),
                Timer::Probe => self.find(),
                Timer::Reconnect => self.open_stream(),
                Timer::List => self.list_is_due(),
                Timer::Info => self.ask_info(),
            }
        }
    }

    // Outputs

    /// Returns the next piece of work; `None` means that the client waits for input or for its deadline.
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

    /// Returns the settings. The key in them is the first one.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns where the client stands.
    #[must_use]
    pub fn state(&self) -> State {
        match (&self.path, &self.monitor.link) {
            (Path::Closed, _) => State::Closed,
            (Path::Probing, _) => State::Probing,
            (Path::Waiting, _) => State::Waiting,
            (Path::Known(_), _) if self.is_key_refused => State::KeyRefused,
            (Path::Known(_), Link::Open(_)) => State::Streaming,
            (Path::Known(_), _) if self.is_polling() => State::Polling,
            (Path::Known(_), Link::Opening { .. }) => State::Connecting,
            (Path::Known(_), Link::Waiting) => State::Reconnecting,
            (Path::Known(_), Link::Off) => State::Ready,
        }
    }

    /// Whether the client is closed for good.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.path, Path::Closed)
    }

    /// Returns what the master has, as far as it is known.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Whether the view is that of a list which was asked for since the stream began, or since events were lost, and the last
    /// attempt at a list was no failure.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.monitor.is_settled
    }

    /// Returns the key of the moment.
    #[must_use]
    pub fn key(&self) -> &Secret {
        &self.key
    }

    /// Returns the master's version, if it is known.
    #[must_use]
    pub fn release(&self) -> Option<Release> {
        self.release
    }

    /// Returns what the master has said about itself last.
    #[must_use]
    pub fn info(&self) -> Option<&Info> {
        self.about.as_ref().map(|known| &*known.info)
    }

    /// Returns where the routes are, if that is known.
    #[must_use]
    pub fn base(&self) -> Option<&Base> {
        match &self.path {
            Path::Known(base) => Some(base),
            Path::Probing | Path::Waiting | Path::Closed => None,
        }
    }

    /// Whether the master answers; `None` if nothing was heard of it yet.
    #[must_use]
    pub fn is_reachable(&self) -> Option<bool> {
        self.is_reachable
    }

    /// Returns how many calls have no answer yet.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.calls.len()
    }

    // What all parts need

    pub(super) fn see(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    pub(super) fn moment(&self) -> Moment {
        let passed = self.now.saturating_duration_since(self.start).as_millis();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        Moment { now: self.now, unix_milliseconds: self.config.unix_milliseconds.saturating_add(passed) }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn arm(&mut self, timer: Timer, wait: Option<Duration>) {
        self.timers.set(timer, wait.and_then(|wait| self.now.checked_add(wait)));
    }

    /// Returns how long to wait after so many failures, counted from 1: doubled each time, with some chance in it.
    pub(super) fn back_off(&mut self, failures: u32, first: Duration) -> Duration {
        let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let wait = doubled.clamp(self.config.min_wait, self.config.max_wait);
        let chance = 0.75 + 0.5 * self.random.f64();
        // Settings may be larger than a product can be.
        let wait = Duration::try_from_secs_f64(wait.as_secs_f64() * chance).unwrap_or(self.config.max_wait);
        wait.clamp(self.config.min_wait, self.config.max_wait)
    }

    /// There is a sign of life.
    pub(super) fn hear(&mut self) {
        self.heard += 1;
        self.set_reachable(true);
    }

    pub(super) fn set_reachable(&mut self, is_reachable: bool) {
        let before = self.is_reachable.replace(is_reachable);
        if before == Some(is_reachable) {
            return;
        }
        if self.config.monitoring != Monitoring::Off {
            self.fleet.set_reachable(is_reachable, &mut self.monitor.changes);
            self.tell_changes();
        }
        match is_reachable {
            true if before.is_some() => self.event(Event::Reachable),
            true => {}
            false => {
                self.monitor.is_settled = false;
                self.event(Event::Unreachable);
            }
        }
    }

    /// Does what was given up when the key was refused, or waits for it.
    pub(super) fn resume(&mut self) {
        if self.is_key_refused || self.rotating.is_some() || !matches!(self.path, Path::Known(_)) {
            return;
        }
        self.ask_info();
        self.resume_monitor();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.config.endpoint)
            .field("state", &self.state())
            .field("calls", &self.calls.len())
            .field("exchanges", &self.exchanges.len())
            .field("instances", &self.fleet.len())
            .finish_non_exhaustive()
    }
}
