//! The machine itself.

use super::{
    Answer, AnswerToken, CallFailure, CallId, CloseReason, CommandError, Config, ConfigError, Event,
    Incoming, Output, Reply,
};
use crate::Dialect;
use crate::command::{ErrorValue, Method};
use crate::wire::{
    Json, JsonRef, LineBuffer, Message, MessageId, Object, VERSION, Violation, decode, encode,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use uuid::Uuid;
use web_time::Instant;

/// One connection's state machine.
///
/// # States
/// *Open* until it ends, once: by [`close`](Self::close), by the transport, by silence, by a fatal error of either
/// side. Then every input is a no-op, and after the last output there is nothing more.
///
/// | what ends it | outputs, in order |
/// | --- | --- |
/// | a violation of the peer | the fatal error, `Disconnect`, `Lost` for each unanswered call, `Closed` |
/// | a fatal error of the peer | `Abort`, `Lost`…, `Closed` |
/// | silence for [`Config::idle_timeout`] | `Abort`, `Lost`…, `Closed` |
/// | more than [`Config::max_abandoned`] commands given up | `Disconnect`, `Lost`…, `Closed` |
/// | [`handle_stalled`](Self::handle_stalled) | `Abort`, `Lost`…, `Closed` |
/// | [`close`](Self::close) | `Disconnect`, `Lost`…, `Closed` |
/// | [`handle_disconnect`](Self::handle_disconnect) | `Lost`…, `Closed` |
///
/// # Methods
/// - constructor: [`new`](Self::new)
/// - commands: [`call`](Self::call), [`cancel`](Self::cancel), [`respond`](Self::respond),
///   [`start_pings`](Self::start_pings), [`reject`](Self::reject), [`close`](Self::close)
/// - inputs: [`handle_bytes`](Self::handle_bytes), [`handle_stalled`](Self::handle_stalled),
///   [`handle_disconnect`](Self::handle_disconnect), [`handle_timeout`](Self::handle_timeout)
/// - outputs: [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout)
/// - getters: the rest
///
/// After any input or command drain [`poll_output`](Self::poll_output), then wait for the next input, command or
/// the deadline. An `Instant` earlier than one seen before counts as the latest seen.
///
/// # Example
/// ```
/// use teeth_proto::command::Method;
/// use teeth_proto::session::{Answer, Config, Event, Output, Reply, Session};
/// use teeth_proto::wire::Object;
/// use teeth_proto::Instant;
///
/// let now = Instant::now();
/// let mut ours = Session::new(Config::new(1), now)?;
/// let mut theirs = Session::new(Config::new(2), now)?;
/// let call = ours.call(Method::from("add"), &Object::parse("{\"a\": [1, 2]}")?, None, now)?;
///
/// let Some(Output::Transmit(line)) = ours.poll_output() else { panic!("a line") };
/// theirs.handle_bytes(&line, now);
/// let Some(Output::Event(Event::Command(command))) = theirs.poll_output() else { panic!("a command") };
/// assert_eq!(command.params.text(), "{\"a\": [1, 2]}");
/// theirs.respond(command.token, Answer::Result(Object::parse("{\"sum\": 3}")?), now)?;
///
/// let Some(Output::Transmit(line)) = theirs.poll_output() else { panic!("a line") };
/// ours.handle_bytes(&line, now);
/// let Some(Output::Event(Event::Replied { call: answered, reply, .. })) = ours.poll_output() else {
///     panic!("an answer")
/// };
/// assert_eq!(answered, call);
/// assert!(matches!(reply, Reply::Result(sum) if sum.text() == "{\"sum\": 3}"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Session {
    lines: LineBuffer,
    core: Core,
}

struct Core {
    /// Shared by the sessions of a server.
    config: Arc<Config>,
    random: fastrand::Rng,
    /// Commands of ours that are unanswered, by the UUID of their id.
    calls: BTreeMap<u128, Call>,
    /// UUIDs of those that were given up.
    abandoned: BTreeSet<u128>,
    next_call: u64,
    /// Commands of the peer that wait for the application.
    unanswered: BTreeMap<u64, Unanswered>,
    unanswered_bytes: usize,
    next_unanswered: u64,
    /// How many tokens were dropped since we last looked.
    dropped: Arc<AtomicUsize>,
    idle_at: Option<Instant>,
    ping_at: Option<Instant>,
    outputs: VecDeque<Output>,
    queued_bytes: usize,
    now: Instant,
    closed: bool,
}

struct Call {
    number: u64,
    /// `None`: a ping of the session's own.
    method: Option<Method>,
    sent: Instant,
    deadline: Option<Instant>,
}

struct Unanswered {
    id: MessageId,
    version: Json,
    method: Json,
    bytes: usize,
    token: Weak<()>,
}

impl Session {
    /// Starts with a connection that is open. The idle time-out runs from now on.
    ///
    /// # Errors
    /// [`ConfigError`] if a setting cannot be.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let seed = config.seed;
        Ok(Self::of_checked(Arc::new(config), seed, now))
    }

    /// Starts with settings that were checked, and a seed of its own.
    pub(crate) fn of_checked(config: Arc<Config>, seed: u64, now: Instant) -> Self {
        Self { lines: LineBuffer::new(config.max_line), core: Core::new(config, seed, now) }
    }

    // Commands

    /// Sends a command: emits `Transmit`, and later [`Event::Replied`] or [`Event::Lost`] with the same id. `None` waits
    /// as long as the connection lasts.
    ///
    /// # Errors
    /// [`CommandError::NotConnected`], [`CommandError::TooManyCalls`] at [`Config::max_calls`],
    /// [`CommandError::TooLong`].
    pub fn call(
        &mut self,
        method: Method,
        params: &Object,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<CallId, CommandError> {
        self.core.see(now);
        self.core.call(Some(method), params, timeout)
    }

    /// Gives up a command of ours: its answer, if one comes, is swallowed, and there is no event. One that is no longer
    /// known is ignored. Too many of them end the connection, see [`Config::max_abandoned`].
    pub fn cancel(&mut self, call: CallId, now: Instant) {
        self.core.see(now);
        self.core.cancel(call);
    }

    /// Answers a command of the peer.
    ///
    /// # Errors
    /// [`CommandError::NotAnswerable`] if the connection is over or another one: the token is then dropped, which its own
    /// session notices. [`CommandError::TooLong`]: the peer then gets an error instead.
    pub fn respond(&mut self, token: AnswerToken, answer: Answer, now: Instant) -> Result<(), CommandError> {
        self.core.see(now);
        self.core.respond(token, &answer)
    }

    /// Begins to ping: now, and every [`Config::ping_interval`]. A tick that was missed is left out.
    pub fn start_pings(&mut self, now: Instant) {
        self.core.see(now);
        if !self.core.closed {
            self.core.ping_at = self.core.now.checked_add(self.core.config.ping_interval);
            self.core.ping();
        }
    }

    /// Ends the connection with a fatal error, for what only the application can find wrong with a command.
    pub fn reject(&mut self, violation: Violation, now: Instant) {
        self.core.see(now);
        self.core.violation(violation);
        self.drop_rest();
    }

    /// Ends the connection; what was queued before is still written.
    pub fn close(&mut self, now: Instant) {
        self.core.see(now);
        self.core.finish(Some(Output::Disconnect), CloseReason::Local);
        self.drop_rest();
    }

    // Inputs

    /// Takes bytes as they came off the wire, cut anywhere. A violation ends the connection; bytes after it are
    /// dropped.
    pub fn handle_bytes(&mut self, mut bytes: &[u8], now: Instant) {
        while self.handle_line(&mut bytes, now) {}
    }

    /// Takes at most one line off the front of `bytes`; returns false once there is no further one.
    pub(crate) fn handle_line(&mut self, bytes: &mut &[u8], now: Instant) -> bool {
        let Self { lines, core } = self;
        core.see(now);
        core.settle_dropped();
        if core.closed {
            return false;
        }
        let Some(line) = lines.next_line(bytes) else { return false };
        core.idle_at = core.now.checked_add(core.config.idle_timeout);
        match line.map_err(Violation::from).and_then(decode) {
            Ok(Some(message)) => core.message(message),
            Ok(None) => {}
            Err(violation) => core.violation(violation),
        }
        let goes_on = !core.closed;
        self.drop_rest();
        goes_on
    }

    /// The peer does not read: more is unwritten than the driver is willing to hold. Ends the connection.
    pub fn handle_stalled(&mut self, now: Instant) {
        self.core.see(now);
        self.core.finish(Some(Output::Abort), CloseReason::Stalled);
        self.drop_rest();
    }

    /// The connection ended, or writing to it failed. An unfinished line is dropped.
    pub fn handle_disconnect(&mut self, now: Instant) {
        self.core.see(now);
        self.core.finish(None, CloseReason::Disconnected);
        self.drop_rest();
    }

    /// Lets time pass: whatever was due by `now` happens. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.core.see(now);
        self.core.settle_dropped();
        self.core.time_out();
        self.drop_rest();
    }

    // Outputs

    /// Returns the next piece of work; `None` means that the session waits for input or for its deadline.
    #[must_use = "an output that is not carried out is lost"]
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.core.outputs.pop_front();
        match &output {
            Some(Output::Transmit(bytes)) => self.core.queued_bytes -= bytes.len(),
            // An idle session keeps no memory for its queue.
            None => self.core.outputs = VecDeque::new(),
            Some(_) => {}
        }
        output
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is next due; `None` if nothing is. Ask again after every
    /// drain.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let core = &self.core;
        if core.closed {
            return None;
        }
        if self.has_dropped_tokens() {
            return Some(core.now);
        }
        let calls = core.calls.values().map(|call| call.deadline);
        calls.chain([core.idle_at, core.ping_at]).flatten().min()
    }

    // Getters

    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.core.config
    }

    /// Whether the connection is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.closed
    }

    /// Returns how many bytes wait to be taken by [`poll_output`](Self::poll_output).
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.core.queued_bytes
    }

    /// Returns how many bytes of an unfinished line are held.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.lines.buffered()
    }

    /// Whether a command would not be refused for the number of those that are unanswered.
    #[must_use]
    pub fn can_call(&self) -> bool {
        self.core.can_call()
    }

    /// Returns how many of our commands are unanswered, pings included, given-up ones not.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.core.calls.len()
    }

    /// Returns how many of the peer's commands wait for an answer of the application.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.core.unanswered.len()
    }

    /// Returns how many bytes the commands have that wait for an answer of the application.
    #[must_use]
    pub fn unanswered_bytes(&self) -> usize {
        self.core.unanswered_bytes
    }

    /// Whether a token was dropped that is not yet dealt with.
    pub(crate) fn has_dropped_tokens(&self) -> bool {
        !self.core.closed && self.core.dropped.load(Ordering::Acquire) > 0
    }

    /// What was read of an unfinished line is of no use after the end.
    fn drop_rest(&mut self) {
        if self.core.closed {
            self.lines = LineBuffer::new(self.core.config.max_line);
        }
    }
}

impl Core {
    fn new(config: Arc<Config>, seed: u64, now: Instant) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            idle_at: now.checked_add(config.idle_timeout),
            config,
            calls: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            next_call: 1,
            unanswered: BTreeMap::new(),
            unanswered_bytes: 0,
            next_unanswered: 1,
            dropped: Arc::default(),
            ping_at: None,
            outputs: VecDeque::new(),
            queued_bytes: 0,
            now,
            closed: false,
        }
    }

    fn see(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    // What a line means

    fn message(&mut self, message: Message<'_>) {
        match message {
            Message::Command { version, params, id, method } => self.command(version, params, id, method),
            Message::Result { id, result, .. } => self.response(id, || Reply::Result(result.to_json())),
            Message::Error { id, error, .. } => {
                self.response(id, || Reply::Error(ErrorValue::from_json(error)));
            }
            Message::FatalError(text) => {
                self.finish(Some(Output::Abort), CloseReason::FatalError(text.to_json()));
            }
        }
    }

    fn command(&mut self, version: JsonRef<'_>, params: JsonRef<'_>, id: JsonRef<'_>, method: JsonRef<'_>) {
        if !self.config.serves_commands {
            return self.violation(Violation::UnsupportedCommand);
        }
        let is_ping = version.as_str().as_deref() == Some("v1") && method.as_str().as_deref() == Some("ping");
        if self.config.serves_ping && is_ping {
            return match self.transmit(encode(&Message::Result { version, id, result: params })) {
                Ok(()) => self.event(Event::Pinged),
                Err(_) => self.error_response(version, id, TOO_LONG),
            };
        }
        let bytes = [version, params, id, method].iter().map(|part| part.text().len()).sum();
        if self.unanswered.len() >= self.config.max_unanswered
            || self.unanswered_bytes.saturating_add(bytes) > self.config.max_unanswered_bytes
        {
            self.error_response(version, id, TOO_MANY);
            return self.news(Event::CommandRefused { method: method.to_json() });
        }
        let token = AnswerToken::new(self.next_unanswered, &self.dropped);
        self.next_unanswered += 1;
        let (id, version, method) = (MessageId(id.to_json()), version.to_json(), method.to_json());
        self.unanswered_bytes += bytes;
        self.unanswered.insert(
            token.number,
            Unanswered {
                id: id.clone(),
                version: version.clone(),
                method: method.clone(),
                bytes,
                token: token.liveness(),
            },
        );
        let params = Object::try_from(params.to_json()).unwrap_or_default();
        self.event(Event::Command(Incoming { token, id, version, method, params }));
    }

    fn response(&mut self, id: JsonRef<'_>, reply: impl FnOnce() -> Reply) {
        let Some(uuid) = own_uuid(id) else { return self.violation(Violation::UnknownId) };
        if let Some(call) = self.calls.remove(&uuid) {
            if self.calls.is_empty() {
                // An idle session keeps no memory for calls.
                self.calls = BTreeMap::new();
            }
            return match call.method {
                Some(method) => {
                    self.event(Event::Replied { call: CallId(call.number), method, reply: reply() });
                }
                None => {
                    let round_trip = self.now.saturating_duration_since(call.sent);
                    self.event(Event::PingAnswered { round_trip });
                }
            };
        }
        if !self.abandoned.remove(&uuid) {
            self.violation(Violation::UnknownId);
        }
    }

    // What is sent

    fn call(
        &mut self,
        method: Option<Method>,
        params: &Object,
        timeout: Option<Duration>,
    ) -> Result<CallId, CommandError> {
        if self.closed {
            return Err(CommandError::NotConnected);
        }
        if !self.can_call() {
            return Err(CommandError::TooManyCalls);
        }
        let uuid = uuid::Builder::from_random_bytes(self.random.u128(..).to_be_bytes()).into_uuid();
        let name = method.as_ref().unwrap_or(&Method::Ping).name(self.config.dialect);
        let line = encode(&Message::Command {
            version: JsonRef::of(VERSION),
            params: params.as_ref(),
            id: Json::from(&*uuid.hyphenated().to_string()).as_ref(),
            method: Json::from(name).as_ref(),
        });
        self.transmit(line)?;
        let number = self.next_call;
        self.next_call += 1;
        let deadline = timeout.and_then(|timeout| self.now.checked_add(timeout));
        self.calls.insert(uuid.as_u128(), Call { number, method, sent: self.now, deadline });
        Ok(CallId(number))
    }

    fn can_call(&self) -> bool {
        !self.closed && self.calls.len() < self.config.max_calls
    }

    fn ping(&mut self) {
        // Refused only when the peer leaves too much unanswered; the idle time-out goes on all the same.
        let _ = self.call(None, &Object::new(), self.config.ping_timeout);
    }

    fn cancel(&mut self, call: CallId) {
        let found = self.calls.iter().find(|(_, other)| other.number == call.0).map(|(&uuid, _)| uuid);
        if let Some(uuid) = found {
            self.calls.remove(&uuid);
            self.abandoned.insert(uuid);
            self.end_if_unresponsive();
        }
    }

    fn end_if_unresponsive(&mut self) {
        if self.abandoned.len() > self.config.max_abandoned {
            self.finish(Some(Output::Disconnect), CloseReason::Unresponsive);
        }
    }

    fn respond(&mut self, token: AnswerToken, answer: &Answer) -> Result<(), CommandError> {
        if self.closed || !token.is_of(&self.dropped) {
            return Err(CommandError::NotAnswerable);
        }
        let Some(command) = self.unanswered.get(&token.number) else {
            return Err(CommandError::NotAnswerable);
        };
        let (version, id) = (command.version.as_ref(), command.id.0.as_ref());
        let dialect = self.config.dialect;
        let line = match answer {
            Answer::Done if dialect == Dialect::Original => {
                encode(&Message::Result { version, id, result: Json::null().as_ref() })
            }
            Answer::Done => encode(&Message::Result { version, id, result: Object::new().as_ref() }),
            Answer::Result(result) => encode(&Message::Result { version, id, result: result.as_ref() }),
            Answer::Error(error) => {
                encode(&Message::Error { version, id, error: error.under(dialect).as_ref() })
            }
        };
        let outcome = self.transmit(line);
        if let Some(command) = self.forget_unanswered(token.number).filter(|_| outcome.is_err()) {
            self.error_response(command.version.as_ref(), command.id.0.as_ref(), TOO_LONG);
        }
        token.use_up();
        outcome
    }

    fn error_response(&mut self, version: JsonRef<'_>, id: JsonRef<'_>, msg: &str) {
        let error = ErrorValue::new(msg).under(self.config.dialect);
        if self.transmit(encode(&Message::Error { version, id, error: error.as_ref() })).is_err() {
            self.violation(Violation::IdTooLong);
        }
    }

    fn transmit(&mut self, line: Bytes) -> Result<(), CommandError> {
        if line.len() - 1 > self.config.max_sent_line {
            return Err(CommandError::TooLong);
        }
        self.queued_bytes += line.len();
        self.outputs.push_back(Output::Transmit(line));
        Ok(())
    }

    // Tokens that were dropped

    fn settle_dropped(&mut self) {
        if self.dropped.swap(0, Ordering::AcqRel) == 0 {
            return;
        }
        let gone = self.unanswered.iter().filter(|(_, command)| command.token.strong_count() == 0);
        let gone: Vec<u64> = gone.map(|(&number, _)| number).collect();
        for number in gone {
            if let Some(command) = self.forget_unanswered(number) {
                let (version, id) = (command.version.as_ref(), command.id.0.as_ref());
                self.error_response(version, id, "the command was left unanswered");
                self.news(Event::AnswerDropped { method: command.method });
            }
        }
    }

    fn forget_unanswered(&mut self, number: u64) -> Option<Unanswered> {
        let command = self.unanswered.remove(&number)?;
        self.unanswered_bytes -= command.bytes;
        if self.unanswered.is_empty() {
            // An idle session keeps no memory for commands.
            self.unanswered = BTreeMap::new();
        }
        Some(command)
    }

    // Time

    fn time_out(&mut self) {
        if self.closed {
            return;
        }
        let idle_at = self.idle_at.filter(|&at| at <= self.now);
        self.time_out_calls(idle_at.unwrap_or(self.now));
        if idle_at.is_some() {
            return self.finish(Some(Output::Abort), CloseReason::Idle);
        }
        if let Some(at) = self.ping_at.filter(|&at| at <= self.now) {
            self.ping_at = next_tick(at, self.config.ping_interval, self.now);
            self.ping();
        }
    }

    fn time_out_calls(&mut self, end: Instant) {
        let is_late = |call: &Call| call.deadline.is_some_and(|at| at <= end);
        let late = self.calls.iter().filter(|(_, call)| is_late(call));
        let mut late: Vec<(u64, u128)> = late.map(|(&uuid, call)| (call.number, uuid)).collect();
        late.sort_unstable();
        for (_, uuid) in late {
            let Some(call) = self.calls.remove(&uuid) else { continue };
            self.abandoned.insert(uuid);
            self.lost(call, CallFailure::TimedOut);
        }
        self.end_if_unresponsive();
    }

    // The end

    fn violation(&mut self, violation: Violation) {
        if self.closed {
            return;
        }
        let text = Json::from(violation.text());
        let line = encode(&Message::FatalError(text.as_ref()));
        self.queued_bytes += line.len();
        self.outputs.push_back(Output::Transmit(line));
        self.finish(Some(Output::Disconnect), CloseReason::Peer(violation));
    }

    fn finish(&mut self, work: Option<Output>, reason: CloseReason) {
        if self.closed {
            return;
        }
        self.closed = true;
        self.outputs.extend(work);
        let mut calls: Vec<Call> = std::mem::take(&mut self.calls).into_values().collect();
        calls.sort_unstable_by_key(|call| call.number);
        for call in calls {
            self.lost(call, CallFailure::ConnectionEnded);
        }
        self.abandoned = BTreeSet::new();
        self.unanswered = BTreeMap::new();
        self.unanswered_bytes = 0;
        (self.idle_at, self.ping_at) = (None, None);
        self.event(Event::Closed(reason));
    }

    fn lost(&mut self, call: Call, reason: CallFailure) {
        if let Some(method) = call.method {
            self.event(Event::Lost { call: CallId(call.number), method, reason });
        }
    }

    /// An event that is none any more if its cause has ended the connection.
    fn news(&mut self, event: Event) {
        if !self.closed {
            self.event(event);
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// Returns the first tick after `now` of the grid that `tick` is on.
pub(crate) fn next_tick(tick: Instant, period: Duration, now: Instant) -> Option<Instant> {
    let late = now.saturating_duration_since(tick).as_nanos();
    let steps = late / period.as_nanos().max(1) + 1;
    let on_grid = || tick.checked_add(period.checked_mul(u32::try_from(steps).ok()?)?);
    on_grid().or_else(|| now.checked_add(period))
}

const TOO_LONG: &str = "the answer would be longer than a line may be";
pub(crate) const TOO_MANY: &str = "too many commands are unanswered";

/// Returns the UUID of an id as this crate writes ids. Ids match exactly: capitals are another id.
fn own_uuid(id: JsonRef<'_>) -> Option<u128> {
    let text = id.as_str()?;
    if text.len() != 36 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    Uuid::try_parse(&text).ok().map(|uuid| uuid.as_u128())
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("dialect", &self.core.config.dialect)
            .field("closed", &self.core.closed)
            .field("calls", &self.core.calls.len())
            .field("abandoned", &self.core.abandoned.len())
            .field("unanswered", &self.core.unanswered.len())
            .field("buffered_bytes", &self.lines.buffered())
            .field("queued_bytes", &self.core.queued_bytes)
            .finish_non_exhaustive()
    }
}
