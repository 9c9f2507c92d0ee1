//! The machine itself: its inputs and timers, and what each of them means.

use super::batch::{Frames, Queue, Serialized};
use super::{
    Access, CloseReason, CommandError, Config, ConfigError, Era, Event, LookUpId, Output, Overflow, User,
};
use crate::debug::{DebugLevel, DebugMessage, DebugValue};
use crate::event::{CommsEvent, NodeStatus, Notification};
use crate::topic::{Retained, TopicFilter};
use crate::wire::{AuthReply, JsonKind, JsonRef, Packet, decode_packet, encode_message};
use crate::{ConnectionId, Secret};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use web_time::Instant;

/// The runtime's state machine: a hub of editors.
///
/// # States
/// *Open* until [`close`](Self::close). Each connection is
///
/// | state | gets messages | input | goes on as |
/// | --- | --- | --- | --- |
/// | pending | no | a token | looking up; other frames are held back meanwhile |
/// | | | any other JSON value but `null` | active as the default user who may listen; else refused and ended |
/// | looking up | as before | [`handle_user`](Self::handle_user) who may listen | active; `ok`, then the frames that were held |
/// | | | anybody else, or nobody | `fail`, ended |
/// | active | yes | a token | looking up, unless the runtime is open |
/// | | | a filter | gets the retained messages that match |
/// | | | a message | goes to the application |
/// | | | the end of its session, and the grace | `fail`, ended |
///
/// A connection starts pending if tokens are wanted and it came without a user, else active. A default user's first
/// packet is carried out if it is a subscription; a message is lost, as with Node-RED. What is no JSON, and `null`, is
/// ignored in every state.
///
/// Subscribing filters nothing: an active connection gets every message. Messages wait in a queue for each connection
/// and go out as [`Era`] says; answers to tokens go out at once. A message is serialised once, and connections that have
/// been listening for as long share their frames.
///
/// # Methods
/// - constructor: [`new`](Self::new)
/// - commands: [`accept`](Self::accept), [`accept_user`](Self::accept_user), [`publish`](Self::publish),
///   [`publish_to`](Self::publish_to), [`publish_except`](Self::publish_except), [`status`](Self::status),
///   [`withdraw_status`](Self::withdraw_status), [`notify`](Self::notify), [`debug`](Self::debug), [`log`](Self::log),
///   [`end_session`](Self::end_session), [`disconnect`](Self::disconnect), [`close`](Self::close)
/// - inputs: [`handle_text`](Self::handle_text), [`handle_frame_too_long`](Self::handle_frame_too_long),
///   [`handle_user`](Self::handle_user), [`handle_stalled`](Self::handle_stalled),
///   [`handle_disconnect`](Self::handle_disconnect), [`handle_timeout`](Self::handle_timeout)
/// - outputs: [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout)
/// - getters: the rest
///
/// After any input or command drain [`poll_output`](Self::poll_output), then wait for the next input, command or
/// the deadline. Input for a connection that has ended is ignored. An `Instant` earlier than one seen before counts as
/// the latest seen.
///
/// # Example
/// ```
/// use nodered_comms::Instant;
/// use nodered_comms::runtime::{Access, Config, Output, Runtime};
/// use nodered_comms::wire::Json;
///
/// let now = Instant::now();
/// let mut runtime = Runtime::new(Config::new(Access::Open, 1_700_000_000_000.0), now)?;
/// runtime.publish("status/n1", Json::parse("{\"text\":\"on\"}")?.as_ref(), true, now)?;
/// let editor = runtime.accept(now);
/// runtime.handle_text(editor, "{\"subscribe\":\"status/#\"}", now);
///
/// let due = runtime.poll_timeout().expect("a frame is to go out");
/// runtime.handle_timeout(due);
/// let frames = std::iter::from_fn(|| runtime.poll_output()).filter_map(|output| match output {
///     Output::Transmit { text, .. } => Some(text),
///     _ => None,
/// });
/// assert_eq!(frames.collect::<Vec<_>>(), ["[{\"topic\":\"status/n1\",\"data\":{\"text\":\"on\"}}]"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Runtime {
    config: Config,
    connections: BTreeMap<ConnectionId, Connection>,
    next_connection: u64,
    look_ups: BTreeMap<LookUpId, ConnectionId>,
    next_look_up: u64,
    retained: Retained<Serialized>,
    next_message: u64,
    frames: Frames,
    /// Windows of connections, in the order in which they end: all last equally long.
    windows: VecDeque<(Instant, ConnectionId)>,
    expiries: BTreeSet<(Instant, ConnectionId)>,
    heartbeat_at: Option<Instant>,
    outputs: VecDeque<Output>,
    now: Instant,
    closed: bool,
}

struct Connection {
    state: State,
    user: Option<Box<User>>,
    expires_at: Option<Instant>,
    queue: Queue,
    /// Something was queued, or would have been, and a frame is due.
    has_window: bool,
}

enum State {
    Pending,
    Active,
    LookingUp { id: LookUpId, was_active: bool, held: Vec<String>, held_bytes: usize },
}

impl State {
    fn is_active(&self) -> bool {
        matches!(self, Self::Active | Self::LookingUp { was_active: true, .. })
    }
}

impl Runtime {
    /// Starts a runtime without connections. Heartbeats begin.
    ///
    /// # Errors
    /// [`ConfigError`] if a setting cannot be.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            heartbeat_at: config.heartbeat_interval.and_then(|interval| now.checked_add(interval)),
            config,
            connections: BTreeMap::new(),
            next_connection: 1,
            look_ups: BTreeMap::new(),
            next_look_up: 1,
            retained: Retained::new(),
            next_message: 1,
            frames: Frames::default(),
            windows: VecDeque::new(),
            expiries: BTreeSet::new(),
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
        let state = if self.config.access == Access::Open { State::Active } else { State::Pending };
        self.take(state, None)
    }

    /// Takes a new connection whose user is known already, by a header of its upgrade request. It is active at once,
    /// whatever the user's scope: so does Node-RED.
    pub fn accept_user(&mut self, user: User, now: Instant) -> ConnectionId {
        self.see(now);
        self.take(State::Active, Some(user))
    }

    /// Publishes a message to all connections that are active. If `retain` is set, it is kept for who subscribes later; if
    /// not, what was kept of the topic is forgotten. A message without a truthy topic and truthy data reaches nobody, but
    /// since 0.20 leads to an empty frame.
    ///
    /// # Errors
    /// [`CommandError::Closed`].
    pub fn publish(
        &mut self,
        topic: &str,
        data: JsonRef<'_>,
        retain: bool,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.publish_where(topic, data, retain, now, |_| true)
    }

    /// As [`publish`](Self::publish), to one connection. Nothing is retained, and what is retained of the topic stays.
    ///
    /// # Errors
    /// [`CommandError::Closed`], [`CommandError::NotActive`].
    pub fn publish_to(
        &mut self,
        connection: ConnectionId,
        topic: &str,
        data: JsonRef<'_>,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.see(now);
        if self.closed {
            return Err(CommandError::Closed);
        }
        if !self.connections.get(&connection).is_some_and(|connection| connection.state.is_active()) {
            return Err(CommandError::NotActive);
        }
        let message = self.serialize(topic, data);
        self.send(connection, message);
        Ok(())
    }

    /// As [`publish`](Self::publish), to all connections but one.
    ///
    /// # Errors
    /// [`CommandError::Closed`].
    pub fn publish_except(
        &mut self,
        connection: ConnectionId,
        topic: &str,
        data: JsonRef<'_>,
        retain: bool,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.publish_where(topic, data, retain, now, |other| other != connection)
    }

    /// Publishes what a node shows, filtered as Node-RED does: see [`NodeStatus::filtered`]. A blank status is sent, as
    /// `{}`, only to take back one that is retained.
    ///
    /// # Errors
    /// [`CommandError::Closed`].
    pub fn status(&mut self, node: &str, given: JsonRef<'_>, now: Instant) -> Result<(), CommandError> {
        let status = NodeStatus::filtered(given);
        let is_blank = status.is_blank();
        let (topic, data) = CommsEvent::Status { node: node.to_owned(), status }.encode();
        if is_blank && self.retained.get(&topic).is_none() {
            return if self.closed { Err(CommandError::Closed) } else { Ok(()) };
        }
        self.publish(&topic, data.as_ref(), !is_blank, now)
    }

    /// Forgets what a node showed, since it is no more. Nobody is told, as with Node-RED.
    pub fn withdraw_status(&mut self, node: &str, now: Instant) {
        self.see(now);
        self.retained.remove(&format!("status/{node}"));
    }

    /// Publishes a notification, retained or not as Node-RED does. In the era of the document the deploy event has the
    /// document's name.
    ///
    /// # Errors
    /// [`CommandError::Closed`].
    pub fn notify(&mut self, notification: &Notification, now: Instant) -> Result<(), CommandError> {
        let id = match (notification, self.config.era) {
            (Notification::RuntimeDeploy { .. }, Era::Document) => "runtime-redeploy",
            (notification, _) => notification.id(),
        };
        let topic = format!("notification/{id}");
        self.publish(&topic, notification.encode().as_ref(), notification.is_retained(), now)
    }

    /// Publishes a debug message.
    ///
    /// # Errors
    /// [`CommandError::Closed`].
    pub fn debug(&mut self, message: &DebugMessage, now: Instant) -> Result<(), CommandError> {
        self.publish("debug", message.encode().as_ref(), false, now)
    }

    /// Publishes a log record as a debug message, if it is a warning or an error; others reach nobody. `timestamp` is in
    /// ms since 1970, `max_length` as in [`DebugValue::encode`].
    ///
    /// # Errors
    /// [`CommandError::Closed`].
    pub fn log(
        &mut self,
        level: DebugLevel,
        value: &DebugValue,
        timestamp: f64,
        max_length: usize,
        now: Instant,
    ) -> Result<(), CommandError> {
        if self.closed {
            return Err(CommandError::Closed);
        }
        if !matches!(level, DebugLevel::Error | DebugLevel::Warn) {
            self.see(now);
            return Ok(());
        }
        self.debug(&DebugMessage::from_log(level, value, timestamp, max_length), now)
    }

    /// Ends the session of a connection: `fail`, and the connection ends.
    pub fn end_session(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        if self.connections.contains_key(&connection) {
            self.refuse(connection, CloseReason::Expired);
        }
    }

    /// Ends a connection; what waits for it is void.
    pub fn disconnect(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        self.end(connection, Some(None), CloseReason::Local);
    }

    /// Ends every connection and the runtime.
    pub fn close(&mut self, now: Instant) {
        self.see(now);
        if self.closed {
            return;
        }
        let connections: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for connection in connections {
            self.end(connection, Some(None), CloseReason::Local);
        }
        self.closed = true;
        self.heartbeat_at = None;
        self.windows = VecDeque::new();
        self.event(Event::Closed);
    }

    // Inputs

    /// Takes a text frame; a binary one that is UTF-8 counts as one. Odd ones are ignored.
    pub fn handle_text(&mut self, connection: ConnectionId, text: &str, now: Instant) {
        self.see(now);
        let Some(known) = self.connections.get_mut(&connection) else { return };
        if text.len() > self.config.max_frame {
            return self.end(connection, Some(Some(1009)), CloseReason::TooMuch);
        }
        if let State::LookingUp { held, held_bytes, .. } = &mut known.state {
            *held_bytes += text.len() + HELD_FRAME;
            if *held_bytes > self.config.max_held {
                return self.end(connection, Some(None), CloseReason::TooMuch);
            }
            return held.push(text.to_owned());
        }
        self.frame(connection, text);
    }

    /// Takes who has presented a token; `None` if it is nobody's. Without a user who may listen: `fail`, and the connection
    /// ends. A token that is no longer looked up is ignored.
    pub fn handle_user(&mut self, id: LookUpId, user: Option<User>, now: Instant) {
        self.see(now);
        let Some((connection, held)) = self.looked_up(id) else { return };
        let Some(user) = user.filter(|user| user.scope.may_listen()) else {
            return self.refuse(connection, CloseReason::Refused);
        };
        self.transmit(connection, Bytes::from_static(AuthReply::Ok.encode().as_bytes()));
        self.activate(connection, Some(user));
        let mut held = VecDeque::from(held);
        while let Some(text) = held.pop_front() {
            self.frame(connection, &text);
            let Some(known) = self.connections.get_mut(&connection) else { return };
            if let State::LookingUp { held: waiting, held_bytes, .. } = &mut known.state {
                *held_bytes = held.iter().map(|text| text.len() + HELD_FRAME).sum();
                *waiting = held.into();
                return;
            }
        }
    }

    /// A frame is longer than [`Config::max_frame`], as the transport found before there was any text of it. Ends the
    /// connection with code 1009.
    pub fn handle_frame_too_long(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        self.end(connection, Some(Some(1009)), CloseReason::TooMuch);
    }

    /// An editor does not read: more is unwritten than the driver is willing to hold. Ends the connection.
    pub fn handle_stalled(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        self.end(connection, Some(None), CloseReason::Overflow);
    }

    /// A connection ended, or writing to it failed.
    pub fn handle_disconnect(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        self.end(connection, None, CloseReason::Disconnected);
    }

    /// Lets time pass: whatever was due by `now` happens. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.see(now);
        while let Some(&(at, connection)) = self.expiries.first().filter(|(at, _)| *at <= self.now) {
            self.expiries.remove(&(at, connection));
            self.refuse(connection, CloseReason::Expired);
        }
        if let Some(at) = self.heartbeat_at.filter(|&at| at <= self.now) {
            self.heartbeat_at = self.next_heartbeat(at);
            let (topic, data) = CommsEvent::Heartbeat(self.config.started).encode();
            let message = self.serialize(&topic, data.as_ref());
            self.send_where(&message, |_| true);
        }
        while let Some(&(_, connection)) = self.windows.front().filter(|(at, _)| *at <= self.now) {
            self.windows.pop_front();
            self.window_over(connection);
        }
    }

    // Outputs

    /// Returns the next piece of work; `None` means that the runtime waits for input or for its deadline.
    #[must_use = "an output that is not carried out is lost"]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is next due; `None` if nothing is. Ask again after every
    /// drain.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let window = self.windows.front().map(|&(at, _)| at);
        let expiry = self.expiries.first().map(|&(at, _)| at);
        [window, expiry, self.heartbeat_at].into_iter().flatten().min()
    }

    // Getters

    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the runtime is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns the connections that are open, the oldest first.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.connections.keys().copied()
    }

    /// Whether a connection gets messages.
    #[must_use]
    pub fn is_active(&self, connection: ConnectionId) -> bool {
        self.connections.get(&connection).is_some_and(|connection| connection.state.is_active())
    }

    /// Returns who is at the other end of a connection.
    #[must_use]
    pub fn user(&self, connection: ConnectionId) -> Option<&User> {
        self.connections.get(&connection)?.user.as_deref()
    }

    /// Returns how many messages wait for a connection, and their bytes.
    #[must_use]
    pub fn queued(&self, connection: ConnectionId) -> (usize, usize) {
        let queue = self.connections.get(&connection).map(|connection| &connection.queue);
        queue.map_or((0, 0), |queue| (queue.len(), queue.bytes()))
    }

    /// Returns the topics that are retained, in the order in which they are sent.
    pub fn retained(&self) -> impl Iterator<Item = &str> {
        self.retained.iter().map(|(topic, _)| topic)
    }

    // Connections

    fn see(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn take(&mut self, state: State, user: Option<User>) -> ConnectionId {
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        if self.closed {
            return connection;
        }
        if self.connections.len() >= self.config.max_connections {
            self.outputs.push_back(Output::Disconnect { connection, code: None });
            let reason = CloseReason::TooManyConnections;
            self.event(Event::ConnectionEnded { connection, reason });
            return connection;
        }
        let is_active = state.is_active();
        let known =
            Connection { state, user: None, expires_at: None, queue: Queue::default(), has_window: false };
        self.connections.insert(connection, known);
        if is_active {
            self.activate(connection, user);
        }
        connection
    }

    fn activate(&mut self, connection: ConnectionId, user: Option<User>) {
        let Some(known) = self.connections.get_mut(&connection) else { return };
        known.state = State::Active;
        if let Some(at) = known.expires_at.take() {
            self.expiries.remove(&(at, connection));
        }
        let expires_in = user.as_ref().and_then(|user| user.expires_in);
        let expires_at =
            expires_in.and_then(|life| self.now.checked_add(life)?.checked_add(self.config.expiry_grace));
        if let Some(at) = expires_at {
            known.expires_at = Some(at);
            self.expiries.insert((at, connection));
        }
        known.user = user.clone().map(Box::new);
        self.event(Event::Active { connection, user });
    }

    fn refuse(&mut self, connection: ConnectionId, reason: CloseReason) {
        // In the document's era who brings no token is sent away without a word.
        if !(self.config.era == Era::Document && reason == CloseReason::Unauthenticated) {
            self.transmit(connection, Bytes::from_static(AuthReply::Fail.encode().as_bytes()));
        }
        self.end(connection, Some(None), reason);
    }

    /// Ends a connection; `close` is how it is closed, `None` if it is closed already.
    fn end(&mut self, connection: ConnectionId, close: Option<Option<u16>>, reason: CloseReason) {
        let Some(known) = self.connections.remove(&connection) else { return };
        if let State::LookingUp { id, .. } = known.state {
            self.look_ups.remove(&id);
        }
        if let Some(at) = known.expires_at {
            self.expiries.remove(&(at, connection));
        }
        if let Some(code) = close {
            self.outputs.push_back(Output::Disconnect { connection, code });
        }
        self.event(Event::ConnectionEnded { connection, reason });
    }

    // What editors send

    fn frame(&mut self, connection: ConnectionId, text: &str) {
        let Ok(packet) = decode_packet(text) else { return };
        let Some(known) = self.connections.get(&connection) else { return };
        match (&known.state, packet) {
            (State::LookingUp { .. }, _) => {}
            (State::Pending, Packet::Auth(token)) => self.look_up(connection, token, false),
            (State::Pending, packet) => self.first_packet(connection, packet),
            (State::Active, Packet::Auth(_)) if self.config.access == Access::Open => {}
            (State::Active, Packet::Auth(token)) => self.look_up(connection, token, true),
            (State::Active, Packet::Subscribe(filter)) => self.subscribe(connection, filter),
            (State::Active, Packet::Publish { topic, data }) => self.message(connection, topic, data),
            (State::Active, Packet::Other) => {}
        }
    }

    /// A packet that is no token, of who has not presented one.
    fn first_packet(&mut self, connection: ConnectionId, packet: Packet<'_>) {
        match &self.config.access {
            Access::UsersOr(user) if user.scope.may_listen() => {
                let user = user.clone();
                self.activate(connection, Some(user));
                if let Packet::Subscribe(filter) = packet {
                    self.subscribe(connection, filter);
                }
            }
            _ => self.refuse(connection, CloseReason::Unauthenticated),
        }
    }

    fn look_up(&mut self, connection: ConnectionId, token: JsonRef<'_>, was_active: bool) {
        let Some(token) = token.as_str() else {
            // Only a string is anybody's token.
            return self.refuse(connection, CloseReason::Refused);
        };
        let id = LookUpId(self.next_look_up);
        self.next_look_up += 1;
        if let Some(known) = self.connections.get_mut(&connection) {
            known.state = State::LookingUp { id, was_active, held: Vec::new(), held_bytes: 0 };
        }
        self.look_ups.insert(id, connection);
        self.outputs.push_back(Output::LookUp { id, token: Secret::new(token) });
    }

    /// Ends a look-up; returns the frames that were held meanwhile.
    fn looked_up(&mut self, id: LookUpId) -> Option<(ConnectionId, Vec<String>)> {
        let connection = self.look_ups.remove(&id)?;
        let known = self.connections.get_mut(&connection)?;
        match std::mem::replace(&mut known.state, State::Pending) {
            State::LookingUp { held, .. } => Some((connection, held)),
            state => {
                known.state = state;
                None
            }
        }
    }

    fn subscribe(&mut self, connection: ConnectionId, filter: JsonRef<'_>) {
        let Some(filter) = filter.as_str().and_then(|filter| TopicFilter::new(&filter).ok()) else { return };
        let matching: Vec<Serialized> =
            self.retained.matching(&filter).map(|(_, message)| message.clone()).collect();
        let retained = matching.len();
        self.event(Event::Subscribed { connection, filter, retained });
        for message in matching {
            self.send(connection, Some(message));
        }
    }

    fn message(&mut self, connection: ConnectionId, topic: JsonRef<'_>, data: Option<JsonRef<'_>>) {
        if topic.kind() != JsonKind::String {
            return;
        }
        if let Some(topic) = topic.as_str() {
            self.event(Event::Message {
                connection,
                topic: topic.into_owned(),
                data: data.map(JsonRef::to_json),
            });
        }
    }

    // What is published

    fn publish_where(
        &mut self,
        topic: &str,
        data: JsonRef<'_>,
        retain: bool,
        now: Instant,
        is_meant: impl Fn(ConnectionId) -> bool,
    ) -> Result<(), CommandError> {
        self.see(now);
        if self.closed {
            return Err(CommandError::Closed);
        }
        let message = self.serialize(topic, data);
        let has_room = self.retained.len() < self.config.max_retained || self.retained.get(topic).is_some();
        match &message {
            Some(message) if retain && has_room => drop(self.retained.insert(topic, message.clone())),
            // A falsy value is retained too, and never sent.
            None if retain && has_room => {
                drop(self.retained.insert(topic, Serialized::new(0, String::new())))
            }
            _ => drop(self.retained.remove(topic)),
        }
        self.send_where(&message, is_meant);
        Ok(())
    }

    /// Writes a message once; `None` if it is one that is not sent.
    fn serialize(&mut self, topic: &str, data: JsonRef<'_>) -> Option<Serialized> {
        if topic.is_empty() || !data.is_truthy() {
            return None;
        }
        let number = self.next_message;
        self.next_message += 1;
        Some(Serialized::new(number, encode_message(topic, data)))
    }

    fn send_where(&mut self, message: &Option<Serialized>, is_meant: impl Fn(ConnectionId) -> bool) {
        let mut overflowing = Vec::new();
        let end = self.now.checked_add(self.config.batch_delay);
        for (&id, connection) in &mut self.connections {
            if !connection.state.is_active() || !is_meant(id) {
                continue;
            }
            let mut out =
                Out { id, config: &self.config, outputs: &mut self.outputs, windows: &mut self.windows, end };
            if !connection.queue(message.clone(), &mut out) {
                overflowing.push(id);
            }
        }
        for connection in overflowing {
            self.end(connection, Some(None), CloseReason::Overflow);
        }
    }

    fn send(&mut self, connection: ConnectionId, message: Option<Serialized>) {
        let end = self.now.checked_add(self.config.batch_delay);
        let Some(known) = self.connections.get_mut(&connection) else { return };
        let message = message.filter(|message| !message.text().is_empty());
        let (config, outputs, windows) = (&self.config, &mut self.outputs, &mut self.windows);
        if !known.queue(message, &mut Out { id: connection, config, outputs, windows, end }) {
            self.end(connection, Some(None), CloseReason::Overflow);
        }
    }

    fn window_over(&mut self, connection: ConnectionId) {
        let Some(known) = self.connections.get_mut(&connection) else { return };
        known.has_window = false;
        let first_at_once = self.config.era == Era::FirstAtOnce;
        if first_at_once && known.queue.is_empty() {
            return;
        }
        let most = if self.config.era == Era::Today { self.config.batch_size } else { usize::MAX };
        let text = known.queue.take(most, &mut self.frames);
        if first_at_once || !known.queue.is_empty() {
            known.has_window = true;
            let end = self.now.checked_add(self.config.batch_delay);
            self.windows.extend(end.map(|end| (end, connection)));
        }
        self.transmit(connection, text);
    }

    fn next_heartbeat(&self, at: Instant) -> Option<Instant> {
        let period = self.config.heartbeat_interval?;
        let late = self.now.saturating_duration_since(at).as_nanos();
        let steps = late / period.as_nanos().max(1) + 1;
        let on_grid = || at.checked_add(period.checked_mul(u32::try_from(steps).ok()?)?);
        on_grid().or_else(|| self.now.checked_add(period))
    }

    fn transmit(&mut self, connection: ConnectionId, text: Bytes) {
        self.outputs.push_back(Output::Transmit { connection, text });
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// What a frame takes in memory beside its text.
const HELD_FRAME: usize = 64;

/// Where a connection's messages go.
struct Out<'a> {
    id: ConnectionId,
    config: &'a Config,
    outputs: &'a mut VecDeque<Output>,
    windows: &'a mut VecDeque<(Instant, ConnectionId)>,
    /// When a window that begins now ends.
    end: Option<Instant>,
}

/// Whether there is room for a message.
enum Room {
    Some,
    /// There never will be.
    None,
    /// There is none, and the connection is to end.
    CutOff,
}

impl Connection {
    /// Queues a message, or nothing where one was that is not sent; returns whether there was room.
    fn queue(&mut self, message: Option<Serialized>, out: &mut Out<'_>) -> bool {
        let connection = out.id;
        match (out.config.era, message) {
            (Era::Document, Some(message)) => {
                out.outputs.push_back(Output::Transmit { connection, text: message.text().clone() });
                return true;
            }
            (Era::Document | Era::FirstAtOnce, None) => return true,
            (Era::FirstAtOnce, Some(message)) if !self.has_window => {
                let text = [b"[", &message.text()[..], b"]"].concat().into();
                out.outputs.push_back(Output::Transmit { connection, text });
            }
            (_, Some(message)) => match self.make_room(message.text().len(), out) {
                Room::Some => self.queue.push(message),
                Room::None => return true,
                Room::CutOff => return false,
            },
            (_, None) => {}
        }
        if !self.has_window {
            self.has_window = true;
            out.windows.extend(out.end.map(|end| (end, connection)));
        }
        true
    }

    /// Makes room for one more message: older ones are dropped if that is the policy.
    fn make_room(&mut self, bytes: usize, out: &mut Out<'_>) -> Room {
        let config = out.config;
        let is_full = |queue: &Queue| {
            queue.len() >= config.max_queued || queue.bytes().saturating_add(bytes) > config.max_queued_bytes
        };
        if !is_full(&self.queue) {
            return Room::Some;
        }
        if config.overflow == Overflow::CutOff {
            return Room::CutOff;
        }
        let never_fits = bytes > config.max_queued_bytes;
        let mut messages = usize::from(never_fits);
        while !never_fits && is_full(&self.queue) {
            self.queue.drop_oldest();
            messages += 1;
        }
        out.outputs.push_back(Output::Event(Event::Dropped { connection: out.id, messages }));
        if never_fits { Room::None } else { Room::Some }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("era", &self.config.era)
            .field("connections", &self.connections.len())
            .field("retained", &self.retained.len())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
