//! The machine itself: its inputs and timers, and what each of them means. The parts in `tasks` and `backoff` hold
//! state and no policy of their own.

use super::tasks::{End, Tasks};
use super::{Backoff, BackoffReset, CommandError, Config, ConfigError, Event, Output, Task, TaskNumber};
use crate::command::{
    Command, ErrorValue, ImageId, LogEntry, Method, SendError, Status, TaskCommand, TaskStatus,
};
use crate::dispatch::method_name;
use crate::session::{
    self, Answer, AnswerToken, CallFailure, CloseReason, Incoming, Reply, Session, TOO_MANY, next_tick,
};
use crate::timer::Timers;
use crate::wire::{Json, Object, Violation};
use crate::{CallId, ConnectionId, Dialect};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;
use web_time::Instant;

/// The agent's state machine.
///
/// # States
/// ```text
///   Waiting ──the wait is over──> Connecting ──connected──> Handshaking ──result──> Ready
///      ^                              │                         │  └─────error────> Refused
///      └────────failed, timed out─────┴──────────lost───────────┴──────────────────────┘
/// ```
/// A new agent is *Connecting*. Without [`Config::handshake`] a connection is *Ready* at once. Commands are served over
/// every open connection, pings and reports belong to *Ready*. Tasks belong to the agent, not to a connection: they go
/// on while there is none, and are reported anew when the next one is ready.
///
/// | of each task | reports |
/// | --- | --- |
/// | running | at once, every [`Config::report_interval`] on a fixed grid, and whenever a connection becomes ready |
/// | failed, complete | once, at once or when a connection becomes ready; see [`Config::repeat_unanswered_end`] |
///
/// # Methods
/// - constructor: [`new`](Self::new)
/// - commands: [`log`](Self::log), [`send`](Self::send), [`cancel`](Self::cancel), [`respond`](Self::respond),
///   [`progress`](Self::progress), [`held`](Self::held), [`complete`](Self::complete), [`fail`](Self::fail),
///   [`step_done`](Self::step_done), [`kexec_target`](Self::kexec_target),
///   [`set_status_fields`](Self::set_status_fields), [`disconnect`](Self::disconnect), [`close`](Self::close)
/// - inputs: [`handle_connected`](Self::handle_connected), [`handle_connect_failed`](Self::handle_connect_failed),
///   [`handle_bytes`](Self::handle_bytes), [`handle_stalled`](Self::handle_stalled),
///   [`handle_disconnect`](Self::handle_disconnect), [`handle_timeout`](Self::handle_timeout)
/// - outputs: [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout)
/// - getters: the rest
///
/// After any input or command drain [`poll_output`](Self::poll_output), then wait for the next input, command or
/// the deadline. Input for a connection that is no longer the current one is ignored. An `Instant` earlier than one
/// seen before counts as the latest seen.
///
/// # Example
/// The server is played by hand.
/// ```
/// use teeth_proto::agent::{Agent, Config, Event, Output};
/// use teeth_proto::Instant;
///
/// let now = Instant::now();
/// let mut agent = Agent::new(Config::new("00:16:3e:00:00:01", "1.0", 7), now)?;
/// let Some(Output::Connect { connection, .. }) = agent.poll_output() else { panic!("it wants to connect") };
/// agent.handle_connected(connection, now);
/// assert!(matches!(agent.poll_output(), Some(Output::Event(Event::Connected { .. }))));
/// let Some(Output::Transmit { bytes, .. }) = agent.poll_output() else { panic!("the handshake comes first") };
/// assert!(bytes.ends_with(b"\"method\": \"handshake\"}\n"));
///
/// agent.handle_bytes(connection, b"{\"id\":\"1\",\"version\":\"v1\",\"method\":\"status\",\"params\":{}}\n", now);
/// let Some(Output::Transmit { bytes, .. }) = agent.poll_output() else { panic!("an answer") };
/// assert_eq!(
///     bytes,
///     "{\"version\": \"v1\", \"id\": \"1\", \"result\": {\"uptime\": 0.0, \"version\": \"1.0\", \"mode\": \"STANDBY\"}}\n",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Agent {
    config: Config,
    random: fastrand::Rng,
    backoff: Backoff,
    attempt: u32,
    link: Link,
    next_connection: u64,
    tasks: Tasks,
    /// Tasks whose state the server is owed.
    owed: BTreeSet<TaskNumber>,
    /// Reports that are unanswered, and whether they tell of an end.
    reports: BTreeMap<session::CallId, (TaskNumber, bool)>,
    status_fields: Vec<(String, Json)>,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    queued_bytes: usize,
    started: Instant,
    now: Instant,
    closing: bool,
}

enum Link {
    Waiting,
    Connecting(ConnectionId),
    Open { connection: ConnectionId, session: Box<Session>, phase: Phase },
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshaking(session::CallId),
    Ready,
    Refused,
}

/// Reasons to wake up, in the order in which they go first when due at the same time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Connect,
    Wait,
    Leave(TaskNumber),
    Report(TaskNumber),
}

/// Where an agent stands; see [`Agent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Waits before it connects again.
    Waiting,
    /// Has asked for a connection.
    Connecting,
    /// Connected; the handshake is unanswered.
    Handshaking,
    /// Connected; the handshake was accepted or none is wanted.
    Ready,
    /// Connected; the handshake was answered with an error.
    Refused,
    /// Closed for good.
    Closed,
}

impl Agent {
    /// Starts an agent: emits `Connect`.
    ///
    /// # Errors
    /// [`ConfigError`] if a setting cannot be.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let mut random = fastrand::Rng::with_seed(config.session.seed);
        let mut agent = Self {
            backoff: Backoff::new(config.backoff.clone(), random.u64(..))?,
            random,
            config,
            attempt: 0,
            link: Link::Waiting,
            next_connection: 1,
            tasks: Tasks::new(),
            owed: BTreeSet::new(),
            reports: BTreeMap::new(),
            status_fields: Vec::new(),
            timers: Timers::new(),
            outputs: VecDeque::new(),
            queued_bytes: 0,
            started: now,
            now,
            closing: false,
        };
        agent.connect();
        Ok(agent)
    }

    // Commands

    /// Sends a log entry; its answer comes as [`Event::Replied`] or [`Event::Lost`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn log(&mut self, entry: &LogEntry, now: Instant) -> Result<CallId, CommandError> {
        self.send(&Command::Log(entry.clone()), now)
    }

    /// Sends a command: a log entry, a ping, or one of the application's own. Its answer comes as [`Event::Replied`] or
    /// [`Event::Lost`].
    ///
    /// # Errors
    /// [`NotConnected`](session::CommandError::NotConnected); [`Send`](session::CommandError::Send) for what a server does not serve, for handshakes and for
    /// `task_status`, which the agent sends by itself; [`TooManyCalls`](session::CommandError::TooManyCalls); [`TooLong`](session::CommandError::TooLong).
    pub fn send(&mut self, command: &Command, now: Instant) -> Result<CallId, CommandError> {
        self.see(now);
        let method = command.method();
        if !matches!(method, Method::Log | Method::Ping | Method::Other(_)) {
            return Err(SendError::NotServed { method }.into());
        }
        let params = command.params(self.config.dialect())?;
        let (timeout, now) = (self.config.call_timeout, self.now);
        let Link::Open { connection, session, .. } = &mut self.link else {
            return Err(session::CommandError::NotConnected.into());
        };
        let call = CallId { connection: *connection, call: session.call(method, &params, timeout, now)? };
        self.drain();
        Ok(call)
    }

    /// Gives up a command: its answer, if one comes, is swallowed, and there is no event. One that is no longer known
    /// is ignored.
    pub fn cancel(&mut self, call: CallId, now: Instant) {
        self.see(now);
        if let Some(session) = self.session(call.connection) {
            session.cancel(call.call, now);
        }
        self.drain();
        self.send_owed();
    }

    /// Answers a command of the application's own.
    ///
    /// # Errors
    /// [`NotAnswerable`](session::CommandError::NotAnswerable) if its connection is over; [`TooLong`](session::CommandError::TooLong), and the server then gets
    /// an error, as for a dropped token.
    pub fn respond(&mut self, token: AnswerToken, answer: Answer, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        let now = self.now;
        let Link::Open { session, .. } = &mut self.link else {
            return Err(session::CommandError::NotAnswerable.into());
        };
        let outcome = session.respond(token, answer, now);
        self.drain();
        Ok(outcome?)
    }

    /// Tells how far a running task is: from 0 to 100 percent, and how long it will still take. Without an estimate one
    /// is made from the time that it took so far; at 0 percent it is [`Config::initial_eta`]. The next report says it;
    /// none is sent at once.
    ///
    /// # Errors
    /// [`CommandError::UnknownTask`]; [`CommandError::OutOfRange`] unless `percent` is from 0 to 100.
    pub fn progress(
        &mut self,
        task: TaskNumber,
        percent: f64,
        eta: Option<Duration>,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.see(now);
        let (now, initial) = (self.now, self.config.initial_eta);
        let task = self.tasks.running(task).ok_or(CommandError::UnknownTask)?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(CommandError::OutOfRange);
        }
        let estimate = || {
            let taken = now.saturating_duration_since(task.begun).as_secs_f64();
            Duration::try_from_secs_f64(taken * (100.0 - percent) / percent).unwrap_or(initial)
        };
        task.eta = eta.unwrap_or_else(estimate);
        task.percent = percent;
        Ok(())
    }

    /// Tells which images of a `cache_images` task are on local storage; the task's last report says it, as many of
    /// them as fit into a line. The kind of the task is not checked.
    ///
    /// # Errors
    /// [`CommandError::UnknownTask`].
    pub fn held(&mut self, task: TaskNumber, images: Vec<ImageId>, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        self.tasks.running(task).ok_or(CommandError::UnknownTask)?.held = Some(images);
        Ok(())
    }

    /// Ends a running task as complete: the server is told at once, or when a connection is ready.
    ///
    /// # Errors
    /// [`CommandError::UnknownTask`]; [`CommandError::WrongStep`] for one that runs an image, which completes by its
    /// steps.
    pub fn complete(&mut self, task: TaskNumber, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        if self.tasks.running(task).ok_or(CommandError::UnknownTask)?.run.is_some() {
            return Err(CommandError::WrongStep);
        }
        self.end(task, End::Complete);
        Ok(())
    }

    /// Ends a running task as failed, with a text for humans. As [`complete`](Self::complete) otherwise. A text that
    /// does not fit into a line is cut to 1000 characters.
    ///
    /// # Errors
    /// [`CommandError::UnknownTask`].
    pub fn fail(&mut self, task: TaskNumber, msg: &str, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        self.tasks.running(task).ok_or(CommandError::UnknownTask)?;
        self.end(task, End::Failed(msg.to_owned()));
        Ok(())
    }

    /// Ends a step of running an image with success; emits the next [`Event::Step`].
    ///
    /// # Errors
    /// [`CommandError::UnknownTask`]; [`CommandError::WrongStep`] if there is no step to be done.
    pub fn step_done(&mut self, task: TaskNumber, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        let running = self.tasks.running(task).ok_or(CommandError::UnknownTask)?;
        let run = running.run.as_mut().ok_or(CommandError::WrongStep)?;
        running.percent = run.advance().ok_or(CommandError::WrongStep)?.max(running.percent);
        let (step, task_id) = (run.step(), running.id().clone());
        self.event(Event::Step { task, task_id, step });
        Ok(())
    }

    /// Says whether there is a viable kexec target. The task is then complete; once the server knows, or after
    /// [`Config::leave_timeout`], the last [`Event::Step`] is emitted: `Kexec` or `Reboot`.
    ///
    /// # Errors
    /// [`CommandError::UnknownTask`]; [`CommandError::WrongStep`] if that was not asked.
    pub fn kexec_target(&mut self, task: TaskNumber, viable: bool, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        let running = self.tasks.running(task).ok_or(CommandError::UnknownTask)?;
        if !running.run.as_mut().is_some_and(|run| run.leave(viable)) {
            return Err(CommandError::WrongStep);
        }
        self.timers.set(Timer::Leave(task), self.now.checked_add(self.config.leave_timeout));
        self.end(task, End::Complete);
        Ok(())
    }

    /// Sets the further fields that `status` reports beside uptime, version and mode. Of equal names the first counts.
    pub fn set_status_fields(&mut self, fields: Vec<(String, Json)>, now: Instant) {
        self.see(now);
        self.status_fields = fields;
        self.status_fields.retain(|(name, _)| !matches!(name.as_str(), "uptime" | "version" | "mode"));
        let mut names = BTreeSet::new();
        self.status_fields.retain(|(name, _)| names.insert(name.clone()));
    }

    /// Ends the connection of the moment and waits before the next one, as if it had been lost. What was queued before is
    /// still written.
    pub fn disconnect(&mut self, now: Instant) {
        self.see(now);
        if let Link::Open { session, .. } = &mut self.link {
            session.close(self.now);
        }
        self.drain();
    }

    /// Ends the connection and the agent. If the agent is ready, the server is told before that every running task has
    /// failed; then tasks are forgotten.
    pub fn close(&mut self, now: Instant) {
        self.see(now);
        if self.is_closed() {
            return;
        }
        self.fail_all("service being shutdown");
        self.closing = true;
        self.tasks = Tasks::new();
        self.owed.clear();
        if let Link::Connecting(connection) = self.link {
            self.outputs.push_back(Output::Disconnect { connection });
        }
        self.disconnect(now);
        self.link = Link::Closed;
        self.timers.clear();
        self.event(Event::Closed);
    }

    // Inputs

    /// A connection is open: emits the handshake, or the first ping if none is wanted.
    pub fn handle_connected(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        if !matches!(&self.link, Link::Connecting(current) if *current == connection) {
            return;
        }
        self.timers.set(Timer::Connect, None);
        if self.config.backoff.reset == BackoffReset::Connect {
            self.start_waits_anew();
        }
        let mut config = self.config.session.clone();
        config.seed = self.random.u64(..);
        config.serves_ping &= config.dialect == Dialect::Document;
        // Only what waits for the application counts, which is known after the dispatch.
        (config.max_unanswered, config.max_unanswered_bytes) = (usize::MAX, usize::MAX);
        let mut session = Session::new(config, self.now).expect("the settings were checked");
        self.event(Event::Connected { connection });
        let phase = match self.config.handshake {
            true => {
                let params = self.config.handshake_params().expect("the settings were checked");
                let call = session.call(Method::Handshake, &params, None, self.now);
                Phase::Handshaking(call.expect("the settings leave room for the first command"))
            }
            false => Phase::Ready,
        };
        self.link = Link::Open { connection, session: Box::new(session), phase };
        self.drain();
        if phase == Phase::Ready {
            self.ready(None);
        }
    }

    /// No connection came about: emits how long the agent waits.
    pub fn handle_connect_failed(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        if matches!(&self.link, Link::Connecting(current) if *current == connection) {
            self.connect_failed(connection);
        }
    }

    /// Takes bytes as they came off the wire, cut anywhere. A violation ends the connection.
    pub fn handle_bytes(&mut self, connection: ConnectionId, mut bytes: &[u8], now: Instant) {
        self.see(now);
        let now = self.now;
        while self.session(connection).is_some_and(|session| session.handle_line(&mut bytes, now)) {
            self.drain();
            self.send_owed();
        }
        self.drain();
        self.send_owed();
    }

    /// The server does not read: more is unwritten than the driver is willing to hold. Ends the connection.
    pub fn handle_stalled(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        let now = self.now;
        if let Some(session) = self.session(connection) {
            session.handle_stalled(now);
        }
        self.drain();
    }

    /// A connection ended, or writing to it failed.
    pub fn handle_disconnect(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        let now = self.now;
        if let Some(session) = self.session(connection) {
            session.handle_disconnect(now);
        }
        self.drain();
    }

    /// Lets time pass: whatever was due by `now` happens. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.see(now);
        let now = self.now;
        if let Link::Open { session, .. } = &mut self.link {
            session.handle_timeout(now);
        }
        self.drain();
        while let Some((at, timer)) = self.timers.pop_due(now) {
            match timer {
                Timer::Connect => {
                    if let Link::Connecting(connection) = self.link {
                        self.outputs.push_back(Output::Disconnect { connection });
                        self.connect_failed(connection);
                    }
                }
                Timer::Wait => self.connect(),
                Timer::Leave(task) => self.over(task, false),
                Timer::Report(task) => {
                    self.timers.set(timer, next_tick(at, self.config.report_interval, now));
                    if self.state() == State::Ready {
                        self.owed.insert(task);
                    }
                }
            }
        }
        self.send_owed();
    }

    // Outputs

    /// Returns the next piece of work; `None` means that the agent waits for input or for its deadline.
    #[must_use = "an output that is not carried out is lost"]
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if let Some(Output::Transmit { bytes, .. }) = &output {
            self.queued_bytes -= bytes.len();
        }
        output
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is next due; `None` if nothing is. Ask again after every
    /// drain.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let session = match &self.link {
            Link::Open { session, .. } => session.poll_timeout(),
            Link::Waiting | Link::Connecting(_) | Link::Closed => None,
        };
        self.timers.next().into_iter().chain(session).min()
    }

    // Getters

    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns where the agent stands.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.link {
            Link::Waiting => State::Waiting,
            Link::Connecting(_) => State::Connecting,
            Link::Open { phase: Phase::Handshaking(_), .. } => State::Handshaking,
            Link::Open { phase: Phase::Ready, .. } => State::Ready,
            Link::Open { phase: Phase::Refused, .. } => State::Refused,
            Link::Closed => State::Closed,
        }
    }

    /// Whether the agent is closed for good.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.link, Link::Closed)
    }

    /// Returns the connection of the moment, open or wanted.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        match self.link {
            Link::Connecting(connection) | Link::Open { connection, .. } => Some(connection),
            Link::Waiting | Link::Closed => None,
        }
    }

    /// Returns how many bytes wait to be taken by [`poll_output`](Self::poll_output).
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Returns a task that is not over.
    #[must_use]
    pub fn task(&self, task: TaskNumber) -> Option<&Task> {
        self.tasks.get(task)
    }

    /// Returns the tasks that are not over, the oldest first.
    pub fn tasks(&self) -> impl Iterator<Item = (TaskNumber, &Task)> {
        self.tasks.iter()
    }

    // Connections

    fn see(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn connect(&mut self) {
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        self.attempt = self.attempt.saturating_add(1);
        self.link = Link::Connecting(connection);
        self.timers.set(Timer::Connect, self.now.checked_add(self.config.connect_timeout));
        self.outputs.push_back(Output::Connect { connection, attempt: self.attempt });
    }

    fn connect_failed(&mut self, connection: ConnectionId) {
        self.event(Event::ConnectFailed { connection });
        self.wait();
    }

    fn wait(&mut self) {
        let wait = self.backoff.next_wait();
        self.link = Link::Waiting;
        self.timers.set(Timer::Connect, None);
        self.timers.set(Timer::Wait, self.now.checked_add(wait));
        self.event(Event::Waiting { wait });
    }

    fn start_waits_anew(&mut self) {
        self.backoff.reset();
        self.attempt = 0;
    }

    fn session(&mut self, wanted: ConnectionId) -> Option<&mut Session> {
        match &mut self.link {
            Link::Open { connection, session, .. } if *connection == wanted => Some(session),
            _ => None,
        }
    }

    /// Carries out what the session of the moment wants.
    fn drain(&mut self) {
        while let Link::Open { connection, session, .. } = &mut self.link {
            let connection = *connection;
            match session.poll_output() {
                Some(session::Output::Transmit(bytes)) => {
                    self.queued_bytes += bytes.len();
                    self.outputs.push_back(Output::Transmit { connection, bytes });
                }
                Some(session::Output::Disconnect) => {
                    self.outputs.push_back(Output::Disconnect { connection })
                }
                Some(session::Output::Abort) => self.outputs.push_back(Output::Abort { connection }),
                Some(session::Output::Event(event)) => self.session_event(connection, event),
                None => break,
            }
        }
    }

    fn session_event(&mut self, connection: ConnectionId, event: session::Event) {
        match event {
            session::Event::Command(command) => self.command(command),
            session::Event::Pinged => self.event(Event::Pinged),
            session::Event::PingAnswered { round_trip } => {
                if !self.config.handshake && self.config.backoff.reset == BackoffReset::Handshake {
                    self.start_waits_anew();
                }
                self.event(Event::PingAnswered { round_trip });
            }
            session::Event::Replied { call, method, reply } => match method {
                Method::Handshake => self.handshake_answered(connection, reply),
                Method::TaskStatus => self.report_answered(call, reply),
                _ => self.event(Event::Replied { call: CallId { connection, call }, method, reply }),
            },
            session::Event::Lost { call, method, reason } => match method {
                Method::Handshake => {}
                Method::TaskStatus => self.report_lost(call, reason),
                _ => self.event(Event::Lost { call: CallId { connection, call }, method, reason }),
            },
            session::Event::AnswerDropped { method } => self.event(Event::AnswerDropped { method }),
            session::Event::CommandRefused { .. } => {} // the limits are our own
            session::Event::Closed(reason) => self.connection_ended(connection, reason),
        }
    }

    fn connection_ended(&mut self, connection: ConnectionId, reason: CloseReason) {
        self.reports.clear();
        self.event(Event::ConnectionEnded { connection, reason });
        if self.closing {
            self.link = Link::Closed;
        } else {
            self.wait();
        }
    }

    fn handshake_answered(&mut self, connection: ConnectionId, reply: Reply) {
        match reply {
            Reply::Result(result) => {
                if self.config.backoff.reset == BackoffReset::Handshake {
                    self.start_waits_anew();
                }
                let object = Object::try_from(result).unwrap_or_default();
                let name = object.get("id").and_then(|name| name.as_str()).map(Into::into);
                self.ready(name);
            }
            Reply::Error(error) => {
                if let Link::Open { phase, .. } = &mut self.link {
                    *phase = Phase::Refused;
                }
                self.event(Event::HandshakeRefused { connection, error });
            }
        }
    }

    fn ready(&mut self, name: Option<String>) {
        let now = self.now;
        let Link::Open { connection, session, phase } = &mut self.link else { return };
        let connection = *connection;
        *phase = Phase::Ready;
        session.start_pings(now);
        self.event(Event::Ready { connection, name });
        self.drain();
        if self.config.reports() {
            self.owed = self.tasks.iter().map(|(number, _)| number).collect();
        }
        self.send_owed();
    }

    // Commands of the server

    fn command(&mut self, command: Incoming) {
        let Incoming { token, version, method, params, .. } = command;
        let name = match method_name(version.as_ref(), method.as_ref()) {
            Ok(name) => name,
            Err(violation) => return self.reject(violation),
        };
        let known = Method::from(&*name);
        let is_served = match &known {
            Method::Ping => false, // the session answers it, if it is served at all
            Method::Other(name) => self.config.methods.contains(&**name),
            known => known.is_served_by_agent(self.config.dialect()),
        };
        if !is_served {
            return self.reject(Violation::UnknownMethod);
        }
        match Command::decode(&name, params.as_ref(), self.config.dialect()) {
            Ok(Command::Status) => {
                self.answer(token, Answer::Result(self.status()));
                self.event(Event::StatusAsked);
            }
            Ok(Command::Task(command)) => self.begin(&name, token, command),
            Ok(Command::Other { .. }) if self.is_crowded() => {
                self.refuse(&name, token, ErrorValue::new(TOO_MANY));
            }
            Ok(Command::Other { method, params }) => self.event(Event::Command { token, method, params }),
            Ok(_) => self.reject(Violation::UnknownMethod),
            Err(error) => self.refuse(&name, token, ErrorValue::new(&error.to_string())),
        }
    }

    fn begin(&mut self, name: &str, token: AnswerToken, command: TaskCommand) {
        let (most, eta, now) = (self.config.max_tasks, self.config.initial_eta, self.now);
        let task = match self.tasks.begin(&command, self.config.dialect(), most, eta, now) {
            Ok(task) => task,
            Err(error) => return self.refuse(name, token, error),
        };
        self.answer(token, Answer::Done);
        let task_id = command.task_id.clone();
        self.event(Event::TaskBegun { task, command });
        if let Some(step) = self.tasks.get(task).and_then(|task| task.run.as_ref()).map(|run| run.step()) {
            self.event(Event::Step { task, task_id, step });
        }
        if self.config.reports() {
            self.timers.set(Timer::Report(task), now.checked_add(self.config.report_interval));
            self.owed.insert(task);
            self.send_owed();
        }
    }

    /// Whether more commands wait for the application than may, the present one among them.
    fn is_crowded(&self) -> bool {
        let limits = &self.config.session;
        matches!(&self.link, Link::Open { session, .. } if session.unanswered() > limits.max_unanswered
            || session.unanswered_bytes() > limits.max_unanswered_bytes)
    }

    fn refuse(&mut self, name: &str, token: AnswerToken, error: ErrorValue) {
        self.answer(token, Answer::Error(error.clone()));
        self.event(Event::CommandRefused { method: name.into(), error });
    }

    fn status(&self) -> Object {
        let status = Status {
            uptime: Some(self.now.saturating_duration_since(self.started).as_secs_f64()),
            version: Some(self.config.version.clone()),
            mode: Some(self.config.mode.clone()),
            fields: self.status_fields.clone(),
        };
        status.result()
    }

    fn answer(&mut self, token: AnswerToken, answer: Answer) {
        let now = self.now;
        if let Link::Open { session, .. } = &mut self.link {
            // One that is too long becomes an error, or with a long id the end.
            let _ = session.respond(token, answer, now);
        }
        self.drain();
    }

    fn reject(&mut self, violation: Violation) {
        let now = self.now;
        if let Link::Open { session, .. } = &mut self.link {
            session.reject(violation, now);
        }
    }

    // Tasks

    fn end(&mut self, task: TaskNumber, end: End) {
        if let Some(task) = self.tasks.get_mut(task) {
            task.end = Some(end);
        }
        self.timers.set(Timer::Report(task), None);
        if self.config.reports() {
            self.owed.insert(task);
            self.send_owed();
        } else {
            self.over(task, false);
        }
    }

    fn fail_all(&mut self, msg: &str) {
        let is_told = self.config.reports() && self.state() == State::Ready;
        let running = self.tasks.iter().filter(|(_, task)| is_told && task.end.is_none());
        let running: Vec<TaskNumber> = running.map(|(task, _)| task).collect();
        for task in running {
            self.end(task, End::Failed(msg.to_owned()));
        }
    }

    /// Sends what is owed, as far as the session takes it.
    fn send_owed(&mut self) {
        while let Link::Open { session, phase: Phase::Ready, .. } = &self.link {
            // Asked first: what is owed may be long, and this comes after every read.
            let Some(&task) = self.owed.first().filter(|_| session.can_call()) else { break };
            self.owed.remove(&task);
            self.report(task);
        }
    }

    fn report(&mut self, number: TaskNumber) {
        let (timeout, dialect, now) = (self.config.call_timeout, self.config.dialect(), self.now);
        let Some(task) = self.tasks.get(number) else { return };
        let (status, is_end) = (task.status(), task.end.is_some());
        let Link::Open { session, .. } = &mut self.link else { return };
        let most = session.config().max_sent_line;
        let mut send = |status| {
            let params = Command::TaskStatus(status).params(dialect)?;
            session.call(Method::TaskStatus, &params, timeout, now)
        };
        let call = match send(status.clone()) {
            Err(session::CommandError::TooLong) => send(shortened(status, most)),
            outcome => outcome,
        };
        self.reports.insert(call.expect("what is short fits into a line"), (number, is_end));
        self.drain();
    }

    fn report_answered(&mut self, call: session::CallId, reply: Reply) {
        let Some((task, is_end)) = self.reports.remove(&call) else { return };
        if let (Reply::Error(error), Some(refused)) = (reply, self.tasks.get(task)) {
            let task_id = refused.id().clone();
            self.event(Event::ReportRefused { task, task_id, error });
        }
        if is_end {
            self.over(task, true);
        }
    }

    fn report_lost(&mut self, call: session::CallId, reason: CallFailure) {
        let Some((task, is_end)) = self.reports.remove(&call) else { return };
        // The connection of one that timed out is alive: the server has had it.
        let is_repeated = reason == CallFailure::ConnectionEnded && self.config.repeat_unanswered_end;
        if is_end && !is_repeated {
            self.over(task, false);
        }
    }

    /// Forgets a task whose end the server knows or is not told.
    fn over(&mut self, number: TaskNumber, answered: bool) {
        self.owed.remove(&number);
        self.timers.set(Timer::Leave(number), None);
        let ended = self.config.max_ended_tasks;
        let Some(task) = self.tasks.take(number, self.config.dialect(), ended) else { return };
        let task_id = task.id().clone();
        self.event(Event::TaskReported { task: number, task_id: task_id.clone(), answered });
        let leaves = matches!(task.end, Some(End::Complete));
        if let Some(run) = task.run.filter(|_| leaves) {
            self.event(Event::Step { task: number, task_id, step: run.step() });
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// What is left of a status that does not fit into a line: of its text the beginning, of its images the first ones.
fn shortened(mut status: TaskStatus, most: usize) -> TaskStatus {
    status.msg = status.msg.map(|msg| msg.chars().take(SHORT_MESSAGE).collect());
    let mut room = most.saturating_sub(ROOM_FOR_THE_REST);
    if let Some(images) = &mut status.image_ids {
        let fits = |image: &ImageId| {
            let length = 6 * image.json().text().len() + 2; // an escape for each byte, a comma and a space
            let fits = length <= room;
            room = room.saturating_sub(length);
            fits
        };
        let count = images.iter().map(fits).take_while(|fits| *fits).count();
        images.truncate(count);
    }
    status
}

const SHORT_MESSAGE: usize = 1000;
/// A task id of 4096 bytes and a text of 1000 characters, all escaped, and the names around them.
const ROOM_FOR_THE_REST: usize = 32_000;

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("dialect", &self.config.dialect())
            .field("state", &self.state())
            .field("connection", &self.connection())
            .field("tasks", &self.tasks.iter().count())
            .field("owed", &self.owed.len())
            .field("queued_bytes", &self.queued_bytes)
            .finish_non_exhaustive()
    }
}
