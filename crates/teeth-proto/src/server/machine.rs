//! The machine itself: its inputs and timers, and what each of them means. `tasks` holds state and no policy of its own.

use super::tasks::{Designation, Tasks};
use super::{CommandError, Config, ConfigError, Event, Output, Reply, Task};
use crate::command::{
    Command, ErrorValue, Handshake, Method, SendError, Status, TaskCommand, TaskId, TaskStatus,
};
use crate::dispatch::method_name;
use crate::session::{self, Answer, AnswerToken, CloseReason, Incoming, Session, TOO_MANY};
use crate::timer::Timers;
use crate::wire::{Object, Violation};
use crate::{CallId, ConnectionId, Dialect};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use web_time::Instant;

/// The server's state machine: a hub of agents.
///
/// # States
/// *Open* until [`close`](Self::close). Each connection is a [`Session`] of its own, from [`accept`](Self::accept) to its
/// [`Event::ConnectionEnded`]. A handshake is answered whenever it comes, and not insisted on, as the original does.
///
/// Tasks belong to agents: an update may come over a later connection of the agent that the task was designated to. An
/// agent is told apart by the id of its handshake; one that gave none has its tasks over its connection only. Tasks of
/// agents that are gone stay until they end, or until [`forget_task`](Self::forget_task).
///
/// | of each task | meaning |
/// | --- | --- |
/// | no state | designated, nothing told |
/// | running, or a state that the document does not know | as last told |
/// | error, complete | ended; remembered until [`Config::max_ended_tasks`] later ones have ended |
///
/// A task whose command is answered with an error was never designated.
///
/// # Methods
/// - constructor: [`new`](Self::new)
/// - commands: [`accept`](Self::accept), [`send`](Self::send), [`cancel`](Self::cancel), [`respond`](Self::respond),
///   [`adopt_task`](Self::adopt_task), [`forget_task`](Self::forget_task), [`disconnect`](Self::disconnect),
///   [`close`](Self::close)
/// - inputs: [`handle_bytes`](Self::handle_bytes), [`handle_stalled`](Self::handle_stalled),
///   [`handle_disconnect`](Self::handle_disconnect), [`handle_timeout`](Self::handle_timeout)
/// - outputs: [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout)
/// - getters: the rest
///
/// After any input or command drain [`poll_output`](Self::poll_output), then wait for the next input, command or
/// the deadline. Input for a connection that has ended is ignored. An `Instant` earlier than one seen before counts as
/// the latest seen.
///
/// # Example
/// The agent is played by hand.
/// ```
/// use teeth_proto::command::Command;
/// use teeth_proto::server::{Config, Event, Output, Server};
/// use teeth_proto::Instant;
///
/// let now = Instant::now();
/// let mut server = Server::new(Config::new(7), now)?;
/// let agent = server.accept(now);
/// server.handle_bytes(agent, b"{\"id\":\"1\",\"version\":\"v1\",\"method\":\"ping\",\"params\":{\"n\":1}}\n", now);
/// let Some(Output::Transmit { bytes, .. }) = server.poll_output() else { panic!("an answer") };
/// assert_eq!(bytes, "{\"version\": \"v1\", \"id\": \"1\", \"result\": {\"n\":1}}\n");
/// assert_eq!(server.poll_output(), Some(Output::Event(Event::Pinged { connection: agent })));
///
/// server.send(agent, &Command::Status, now)?;
/// let Some(Output::Transmit { bytes, .. }) = server.poll_output() else { panic!("a command") };
/// assert!(bytes.ends_with(b"\"method\": \"status\"}\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    config: Config,
    /// Settings of each session.
    session: Arc<session::Config>,
    random: fastrand::Rng,
    peers: BTreeMap<ConnectionId, Peer>,
    next_connection: u64,
    tasks: Tasks,
    timers: Timers<ConnectionId>,
    /// Connections with commands that wait for the application, whose tokens may be dropped.
    waiting: BTreeSet<ConnectionId>,
    nobody: Arc<str>,
    outputs: VecDeque<Output>,
    now: Instant,
    closed: bool,
}

struct Peer {
    session: Session,
    handshake: Option<Handshake>,
    /// Who the agent says it is; empty without a handshake.
    agent: Arc<str>,
    /// Bytes among the outputs.
    queued_bytes: usize,
    /// Task commands that are unanswered.
    designations: BTreeMap<session::CallId, Designation>,
}

impl Server {
    /// Starts a server without connections.
    ///
    /// # Errors
    /// [`ConfigError`] if a setting cannot be.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let mut session = config.session.clone();
        // Only what waits for the application counts, which is known after the dispatch.
        (session.max_unanswered, session.max_unanswered_bytes) = (usize::MAX, usize::MAX);
        Ok(Self {
            session: Arc::new(session),
            random: fastrand::Rng::with_seed(config.session.seed),
            config,
            peers: BTreeMap::new(),
            next_connection: 1,
            tasks: Tasks::default(),
            timers: Timers::new(),
            waiting: BTreeSet::new(),
            nobody: "".into(),
            outputs: VecDeque::new(),
            now,
            closed: false,
        })
    }

    // Commands

    /// Takes a new connection and names it. Beyond [`Config::max_connections`], or after [`close`](Self::close), it is to
    /// be closed at once.
    pub fn accept(&mut self, now: Instant) -> ConnectionId {
        self.see(now);
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        if self.closed {
            return connection;
        }
        if self.peers.len() >= self.config.max_connections {
            self.outputs.push_back(Output::Disconnect { connection });
            self.event(Event::ConnectionEnded { connection, reason: CloseReason::TooManyConnections });
            return connection;
        }
        let seed = self.random.u64(..);
        let mut session = Session::of_checked(Arc::clone(&self.session), seed, self.now);
        if self.config.pings && self.config.session.dialect == Dialect::Document {
            session.start_pings(self.now);
        }
        let agent = Arc::clone(&self.nobody);
        let peer = Peer { session, handshake: None, agent, queued_bytes: 0, designations: BTreeMap::new() };
        self.peers.insert(connection, peer);
        self.drain(connection);
        connection
    }

    /// Sends a command to an agent: `status`, a ping, a task, or one of the application's own. Its answer comes as
    /// [`Event::Replied`] or [`Event::Lost`]. A task is followed from now on.
    ///
    /// # Errors
    /// [`NotConnected`](session::CommandError::NotConnected); [`Send`](session::CommandError::Send) for what an agent of this dialect does not serve and for
    /// parameters that the dialect does not allow; [`CommandError::TaskIdInUse`] if the agent has an unfinished task of
    /// that id, [`CommandError::TooManyTasks`], [`TooManyCalls`](session::CommandError::TooManyCalls), [`TooLong`](session::CommandError::TooLong).
    pub fn send(
        &mut self,
        connection: ConnectionId,
        command: &Command,
        now: Instant,
    ) -> Result<CallId, CommandError> {
        self.see(now);
        let (dialect, timeout, now) = (self.config.session.dialect, self.config.call_timeout, self.now);
        if !self.peers.contains_key(&connection) {
            return Err(session::CommandError::NotConnected.into());
        }
        let method = command.method();
        if !matches!(method, Method::Other(_)) && !method.is_served_by_agent(dialect) {
            return Err(SendError::NotServed { method }.into());
        }
        let params = command.params(dialect)?;
        let task = match command {
            Command::Task(task) if self.config.follows_tasks() => Some(task),
            _ => None,
        };
        task.map_or(Ok(()), |task| self.check_designation(connection, &task.task_id))?;
        let peer = self.peers.get_mut(&connection).ok_or(session::CommandError::NotConnected)?;
        let call = peer.session.call(method, &params, timeout, now)?;
        if let Some(task) = task {
            let designation = self.tasks.designate(connection, &peer.agent, task);
            peer.designations.insert(call, designation);
        }
        self.drain(connection);
        Ok(CallId { connection, call })
    }

    /// Gives up a command: its answer, if one comes, is swallowed, and there is no event. One that is no longer known
    /// is ignored. A task is followed all the same.
    pub fn cancel(&mut self, call: CallId, now: Instant) {
        self.see(now);
        if let Some(peer) = self.peers.get_mut(&call.connection) {
            peer.session.cancel(call.call, now);
            peer.designations.remove(&call.call);
            self.drain(call.connection);
        }
    }

    /// Answers a command of the application's own.
    ///
    /// # Errors
    /// [`NotAnswerable`](session::CommandError::NotAnswerable) if its connection is over or another one; [`TooLong`](session::CommandError::TooLong), and the
    /// agent then gets an error, as for a dropped token.
    pub fn respond(
        &mut self,
        connection: ConnectionId,
        token: AnswerToken,
        answer: Answer,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.see(now);
        let now = self.now;
        let peer = self.peers.get_mut(&connection).ok_or(session::CommandError::NotAnswerable)?;
        let outcome = peer.session.respond(token, answer, now);
        self.drain(connection);
        Ok(outcome?)
    }

    /// Follows a task that was designated earlier, by another start of the server. It counts as any other one.
    ///
    /// # Errors
    /// [`NotConnected`](session::CommandError::NotConnected), [`CommandError::TaskIdInUse`], [`CommandError::TooManyTasks`].
    pub fn adopt_task(
        &mut self,
        connection: ConnectionId,
        task: &TaskCommand,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.see(now);
        let agent = &self.peers.get(&connection).ok_or(session::CommandError::NotConnected)?.agent;
        self.check_designation(connection, &task.task_id)?;
        self.tasks.designate(connection, agent, task);
        Ok(())
    }

    /// Forgets a task of an agent: a later update is one for a task that was never designated. For a task of an agent
    /// that is gone it takes the connection that the task names.
    pub fn forget_task(&mut self, connection: ConnectionId, task: &TaskId, now: Instant) {
        self.see(now);
        let agent = self.peers.get(&connection).map_or("", |peer| &peer.agent);
        self.tasks.forget(connection, agent, task);
    }

    /// Ends a connection; what was queued before is still written.
    pub fn disconnect(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        self.with(connection, Session::close);
    }

    /// Ends every connection and the server.
    pub fn close(&mut self, now: Instant) {
        self.see(now);
        if self.closed {
            return;
        }
        let connections: Vec<ConnectionId> = self.peers.keys().copied().collect();
        for connection in connections {
            self.with(connection, Session::close);
        }
        self.closed = true;
        self.event(Event::Closed);
    }

    // Inputs

    /// Takes bytes as they came off the wire, cut anywhere. A violation ends the connection.
    pub fn handle_bytes(&mut self, connection: ConnectionId, mut bytes: &[u8], now: Instant) {
        self.see(now);
        let now = self.now;
        while let Some(peer) = self.peers.get_mut(&connection) {
            let goes_on = peer.session.handle_line(&mut bytes, now);
            self.carry_out(connection);
            if !goes_on {
                break;
            }
        }
        self.set_timer(connection);
    }

    /// An agent does not read: more is unwritten than the driver is willing to hold. Ends the connection.
    pub fn handle_stalled(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        self.with(connection, Session::handle_stalled);
    }

    /// A connection ended, or writing to it failed.
    pub fn handle_disconnect(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        self.with(connection, Session::handle_disconnect);
    }

    /// Lets time pass: whatever was due by `now` happens. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.see(now);
        if self.has_dropped_tokens() {
            for connection in self.waiting.clone() {
                self.with(connection, Session::handle_timeout);
            }
        }
        while let Some((_, connection)) = self.timers.pop_due(self.now) {
            self.with(connection, Session::handle_timeout);
        }
    }

    // Outputs

    /// Returns the next piece of work; `None` means that the server waits for input or for its deadline.
    #[must_use = "an output that is not carried out is lost"]
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if let Some(Output::Transmit { connection, bytes }) = &output
            && let Some(peer) = self.peers.get_mut(connection)
        {
            peer.queued_bytes -= bytes.len();
        }
        output
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is next due; `None` if nothing is. Ask again after every
    /// drain.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.has_dropped_tokens() { Some(self.now) } else { self.timers.next() }
    }

    // Getters

    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the server is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns the connections that are open, the oldest first.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.peers.keys().copied()
    }

    /// Returns who the agent of a connection says it is, by its last handshake; `None` before the first and for a
    /// connection that has ended. Tasks go by the id of the first.
    #[must_use]
    pub fn handshake(&self, connection: ConnectionId) -> Option<&Handshake> {
        self.peers.get(&connection)?.handshake.as_ref()
    }

    /// Returns how many bytes for a connection wait to be taken by [`poll_output`](Self::poll_output).
    #[must_use]
    pub fn queued_bytes(&self, connection: ConnectionId) -> usize {
        self.peers.get(&connection).map_or(0, |peer| peer.queued_bytes)
    }

    /// Returns a task that a connection was given, or that its agent has over an earlier one.
    #[must_use]
    pub fn task(&self, connection: ConnectionId, id: &TaskId) -> Option<&Task> {
        let own = self.tasks.of_connection(connection, id);
        own.or_else(|| self.tasks.of_agent(self.agent(connection), id))
    }

    /// Returns all tasks that are known, in the order of their designation.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter()
    }

    // Connections

    fn see(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn with(&mut self, connection: ConnectionId, action: impl FnOnce(&mut Session, Instant)) {
        if let Some(peer) = self.peers.get_mut(&connection) {
            action(&mut peer.session, self.now);
            self.drain(connection);
        }
    }

    /// Carries out what a session wants and sets its timer.
    fn drain(&mut self, connection: ConnectionId) {
        self.carry_out(connection);
        self.set_timer(connection);
    }

    fn set_timer(&mut self, connection: ConnectionId) {
        let session = self.peers.get(&connection).map(|peer| &peer.session);
        self.timers.set(connection, session.and_then(Session::poll_timeout));
        if session.is_some_and(|session| session.unanswered() > 0) {
            self.waiting.insert(connection);
        } else {
            self.waiting.remove(&connection);
        }
    }

    fn has_dropped_tokens(&self) -> bool {
        let sessions = self.waiting.iter().filter_map(|connection| self.peers.get(connection));
        sessions.map(|peer| &peer.session).any(Session::has_dropped_tokens)
    }

    fn agent(&self, connection: ConnectionId) -> &str {
        self.peers.get(&connection).map_or("", |peer| &peer.agent)
    }

    /// An agent's own unfinished tasks must differ; those of another connection that is open may be another agent's
    /// that says it is the same.
    fn check_designation(&self, connection: ConnectionId, id: &TaskId) -> Result<(), CommandError> {
        let own = self.tasks.of_connection(connection, id);
        let earlier = self.tasks.of_agent(self.agent(connection), id);
        let earlier = earlier.filter(|task| !self.peers.contains_key(&task.connection));
        if own.or(earlier).is_some_and(Task::is_unfinished) {
            return Err(CommandError::TaskIdInUse);
        }
        if self.tasks.unfinished() >= self.config.max_tasks {
            return Err(CommandError::TooManyTasks);
        }
        Ok(())
    }

    fn carry_out(&mut self, connection: ConnectionId) {
        while let Some(peer) = self.peers.get_mut(&connection) {
            match peer.session.poll_output() {
                Some(session::Output::Transmit(bytes)) => {
                    peer.queued_bytes += bytes.len();
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
            session::Event::Command(command) => self.command(connection, command),
            session::Event::Pinged => self.event(Event::Pinged { connection }),
            session::Event::PingAnswered { round_trip } => {
                self.event(Event::PingAnswered { connection, round_trip });
            }
            session::Event::Replied { call, method, reply } => self.replied(connection, call, method, reply),
            session::Event::Lost { call, method, reason } => {
                if let Some(peer) = self.peers.get_mut(&connection) {
                    peer.designations.remove(&call);
                }
                self.event(Event::Lost { call: CallId { connection, call }, method, reason });
            }
            session::Event::AnswerDropped { method } => {
                self.event(Event::AnswerDropped { connection, method });
            }
            session::Event::CommandRefused { .. } => {} // the limits are our own
            session::Event::Closed(reason) => {
                self.peers.remove(&connection);
                self.event(Event::ConnectionEnded { connection, reason });
            }
        }
    }

    fn replied(
        &mut self,
        connection: ConnectionId,
        call: session::CallId,
        method: Method,
        reply: session::Reply,
    ) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        let designation = peer.designations.remove(&call);
        let reply = match reply {
            session::Reply::Result(result) => match Status::decode(result.as_ref()) {
                Some(status) if method == Method::Status => Reply::Status(status),
                _ => Reply::Result(result),
            },
            session::Reply::Error(error) => {
                if let Some(designation) = designation {
                    self.tasks.revoke(designation);
                }
                Reply::Error(error)
            }
        };
        self.event(Event::Replied { call: CallId { connection, call }, method, reply });
    }

    // Commands of agents

    fn command(&mut self, connection: ConnectionId, command: Incoming) {
        let Incoming { token, version, method, params, .. } = command;
        let name = match method_name(version.as_ref(), method.as_ref()) {
            Ok(name) => name,
            Err(violation) => return self.reject(connection, violation),
        };
        let is_served = match Method::from(&*name) {
            Method::Ping => false, // the session answers it, if it is served at all
            Method::Other(name) => self.config.methods.contains(&*name),
            known => known.is_served_by_server(),
        };
        if !is_served {
            return self.reject(connection, Violation::UnknownMethod);
        }
        match Command::decode(&name, params.as_ref(), self.config.session.dialect) {
            Ok(Command::Handshake(handshake)) => self.handshaken(connection, token, handshake),
            Ok(Command::Log(entry)) => {
                self.answer(connection, token, Answer::Done);
                self.event(Event::Log { connection, entry });
            }
            Ok(Command::TaskStatus(status)) => self.task_status(connection, token, status),
            Ok(Command::Other { .. }) if self.is_crowded(connection) => {
                self.refuse(connection, &name, token, ErrorValue::new(TOO_MANY));
            }
            Ok(Command::Other { method, params }) => {
                self.event(Event::Command { connection, token, method, params });
            }
            Ok(_) => self.reject(connection, Violation::UnknownMethod),
            Err(error) => self.refuse(connection, &name, token, ErrorValue::new(&error.to_string())),
        }
    }

    /// Whether more commands of a connection wait for the application than may, the present one among them.
    fn is_crowded(&self, connection: ConnectionId) -> bool {
        let limits = &self.config.session;
        self.peers.get(&connection).is_some_and(|peer| {
            peer.session.unanswered() > limits.max_unanswered
                || peer.session.unanswered_bytes() > limits.max_unanswered_bytes
        })
    }

    fn refuse(&mut self, connection: ConnectionId, name: &str, token: AnswerToken, error: ErrorValue) {
        self.answer(connection, token, Answer::Error(error.clone()));
        self.event(Event::CommandRefused { connection, method: name.into(), error });
    }

    fn handshaken(&mut self, connection: ConnectionId, token: AnswerToken, handshake: Handshake) {
        let name = uuid::Builder::from_random_bytes(self.random.u128(..).to_be_bytes()).into_uuid();
        let result = Object::encode(&BTreeMap::from([("id", name.hyphenated().to_string())]));
        self.answer(connection, token, Answer::Result(result.expect("strings make an object")));
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        if peer.handshake.replace(handshake.clone()).is_none() {
            peer.agent = handshake.id.as_str().into();
            self.tasks.identify(connection, &peer.agent);
        }
        self.event(Event::Handshake { connection, handshake });
    }

    fn task_status(&mut self, connection: ConnectionId, token: AnswerToken, status: TaskStatus) {
        self.answer(connection, token, Answer::Done);
        if !self.config.follows_tasks() {
            return self.event(Event::TaskStatus { connection, status });
        }
        let agent = self.peers.get(&connection).map_or("", |peer| &peer.agent);
        let (has_followed, violation) = self.tasks.update(connection, agent, &status);
        self.tasks.trim(self.config.max_ended_tasks);
        if let Some(violation) = violation {
            self.event(Event::TaskViolation { connection, status: status.clone(), violation });
        }
        if has_followed {
            self.event(Event::TaskStatus { connection, status });
        }
    }

    fn answer(&mut self, connection: ConnectionId, token: AnswerToken, answer: Answer) {
        let now = self.now;
        if let Some(peer) = self.peers.get_mut(&connection) {
            // One that is too long becomes an error, or with a long id the end.
            let _ = peer.session.respond(token, answer, now);
        }
        self.carry_out(connection);
    }

    fn reject(&mut self, connection: ConnectionId, violation: Violation) {
        let now = self.now;
        if let Some(peer) = self.peers.get_mut(&connection) {
            peer.session.reject(violation, now);
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("dialect", &self.config.session.dialect)
            .field("connections", &self.peers.len())
            .field("tasks", &self.tasks.iter().count())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
