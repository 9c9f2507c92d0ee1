//! The machine itself: its inputs and timers, and what each of them means.

use super::login::{discovery_request, token, token_request, wants_token};
use super::{
    CloseReason, CommandError, Config, ConfigError, Credentials, Discovery, Event, FailureKind, LoginProblem,
    Output, ReceivedMessage, RequestError, RequestId, SubscriptionId,
};
use crate::timer::Timers;
use crate::topic::{TopicFilter, TopicIndex};
use crate::wire::{
    AuthReply, Frame, Item, JsonRef, Message, decode_frame, encode_auth, encode_publish, encode_subscribe,
};
use crate::{ConnectionId, Secret};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;
use web_time::Instant;

/// The client's state machine.
///
/// # States
/// ```text
///  Discovering ──wants a token──> LoggingIn ──token──> Connecting ──open──> Authenticating ──ok──> Ready
///      │  └───────────open, or a token is known──────────^  │  └──open, no token wanted────────────^ │
///      └──no answer──> Waiting <──failed, lost, silent───────┴──────────────────────────────────────┘
///                         └──the wait is over──> Discovering or Connecting
///  Authenticating, Ready ──auth fail──> LoggingIn (with a password), else LoginNeeded ──login──> Connecting
/// ```
/// A new client starts by itself. Nothing is sent between a token and its answer: a runtime may take it for a first
/// packet without a token. Without a token the first packet is a subscription, which is what a default user needs.
///
/// Subscriptions belong to the client: they are sent over every connection when it becomes ready, each filter once, in
/// the order in which they were first made. The runtime answers with retained messages, and sends every live message
/// whether it was subscribed to or not; the client hands out those that match.
///
/// # Methods
/// - constructor: [`new`](Self::new)
/// - commands: [`subscribe`](Self::subscribe), [`unsubscribe`](Self::unsubscribe), [`publish`](Self::publish),
///   [`login`](Self::login), [`retry`](Self::retry), [`close`](Self::close)
/// - inputs: [`handle_connected`](Self::handle_connected), [`handle_connect_failed`](Self::handle_connect_failed),
///   [`handle_text`](Self::handle_text), [`handle_frame_too_long`](Self::handle_frame_too_long),
///   [`handle_stalled`](Self::handle_stalled), [`handle_disconnect`](Self::handle_disconnect),
///   [`handle_response`](Self::handle_response), [`handle_failure`](Self::handle_failure),
///   [`handle_timeout`](Self::handle_timeout)
/// - outputs: [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout)
/// - getters: the rest
///
/// After any input or command drain [`poll_output`](Self::poll_output), then wait for the next input, command or
/// the deadline. Input for a connection or a request that is no longer the current one is ignored. An `Instant` earlier
/// than one seen before counts as the latest seen.
///
/// # Example
/// An open runtime, played by hand.
/// ```
/// use nodered_comms::Instant;
/// use nodered_comms::client::{Client, Config, Event, Output};
/// use nodered_comms::topic::TopicFilter;
///
/// let now = Instant::now();
/// let mut client = Client::new(Config::new("ws://127.0.0.1:1880/comms".parse()?), now)?;
/// let statuses = client.subscribe(&TopicFilter::new("status/#")?, now)?;
/// let mut heard = Vec::new();
/// while let Some(output) = client.poll_output() {
///     match output {
///         Output::Request { id, .. } => client.handle_response(id, http::Response::new("{}".into()), now),
///         Output::Connect { connection, .. } => client.handle_connected(connection, now),
///         Output::Transmit { connection, text } => {
///             assert_eq!(text, "{\"subscribe\":\"status/#\"}");
///             client.handle_text(connection, "[{\"topic\":\"status/n1\",\"data\":{\"text\":\"on\"}}]", now);
///         }
///         Output::Event(Event::Message(message)) => heard.push(message),
///         _ => {}
///     }
/// }
/// assert_eq!((heard[0].topic.as_str(), &heard[0].subscriptions[..]), ("status/n1", &[statuses][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Client {
    config: Config,
    link: Link,
    /// Whether the runtime wants a token, as far as that is known.
    protected: Option<bool>,
    token: Option<Token>,
    failures: u32,
    /// Connections without a token that were closed without a word, one after the other.
    refusals: u32,
    /// How much longer than usual silence is borne, after connections that ended by it.
    patience: u32,
    attempt: u32,
    next_id: u64,
    filters: TopicIndex,
    /// Subscriptions in their order, with their filters.
    subscriptions: BTreeMap<SubscriptionId, TopicFilter>,
    heartbeat: Heartbeat,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    now: Instant,
}

struct Token {
    secret: Secret,
    /// Fetched with the password and not used yet: if it is refused, another one will be too.
    is_fresh: bool,
}

#[derive(Default)]
struct Heartbeat {
    value: Option<f64>,
    at: Option<Instant>,
    interval: Duration,
}

enum Link {
    Discovering(RequestId),
    LoggingIn(RequestId),
    Connecting(ConnectionId),
    Open(Open),
    Waiting,
    LoginNeeded,
    Closed,
}

#[derive(Clone, Copy)]
struct Open {
    connection: ConnectionId,
    is_ready: bool,
    /// Something came.
    has_frame: bool,
    /// Something came that only a runtime which takes us sends.
    was_heard: bool,
    /// A token was sent.
    has_presented: bool,
    /// The credentials are other ones than those that were sent.
    is_outdated: bool,
    /// Another token was sent after the connection was ready.
    is_upgrading: bool,
}

/// Reasons to wake up, in the order in which they go first when due at the same time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Request,
    Connect,
    Auth,
    Idle,
    Wait,
}

/// Where a client stands; see [`Client`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Asks whether a token is wanted.
    Discovering,
    /// Fetches a token.
    LoggingIn,
    /// Has asked for a connection.
    Connecting,
    /// Waits for the answer to its token.
    Authenticating,
    /// Gets messages.
    Ready,
    /// Waits before it tries again.
    Waiting,
    /// Waits for other credentials.
    LoginNeeded,
    /// Closed for good.
    Closed,
}

impl Token {
    fn of(credentials: &Credentials) -> Option<Self> {
        match credentials {
            Credentials::Token(secret) if !secret.expose().is_empty() => {
                Some(Self { secret: secret.clone(), is_fresh: false })
            }
            Credentials::None | Credentials::Token(_) | Credentials::Password { .. } => None,
        }
    }
}

/// So many connections without a token closed without a word mean that a login is wanted.
const MOST_REFUSALS: u32 = 3;
const MOST_PATIENCE: u32 = 16;

impl Client {
    /// Starts a client: emits a request or `Connect`.
    ///
    /// # Errors
    /// [`ConfigError`] if a setting cannot be.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let mut client = Self {
            token: Token::of(&config.credentials),
            protected: match config.discovery {
                Discovery::Ask => None,
                Discovery::AssumeOpen => Some(false),
                Discovery::AssumeProtected => Some(true),
            },
            config,
            link: Link::Waiting,
            failures: 0,
            refusals: 0,
            patience: 1,
            attempt: 0,
            next_id: 1,
            filters: TopicIndex::new(),
            subscriptions: BTreeMap::new(),
            heartbeat: Heartbeat::default(),
            timers: Timers::new(),
            outputs: VecDeque::new(),
            now,
        };
        client.proceed();
        Ok(client)
    }

    // Commands

    /// Subscribes to topics; messages that match come as [`Event::Message`]. When ready a packet is sent at once, also for
    /// a filter that is there already, and the runtime sends its retained messages.
    ///
    /// # Errors
    /// [`CommandError::Closed`], [`CommandError::EmptyFilter`], [`CommandError::Braces`],
    /// [`CommandError::TooManySubscriptions`].
    pub fn subscribe(&mut self, filter: &TopicFilter, now: Instant) -> Result<SubscriptionId, CommandError> {
        self.see(now);
        if self.is_closed() {
            return Err(CommandError::Closed);
        }
        if filter.as_str().is_empty() {
            return Err(CommandError::EmptyFilter);
        }
        if has_repetition(filter.as_str()) {
            return Err(CommandError::Braces);
        }
        if self.subscriptions.len() >= self.config.max_subscriptions {
            return Err(CommandError::TooManySubscriptions);
        }
        let id = SubscriptionId(self.filters.insert(filter));
        self.subscriptions.insert(id, filter.clone());
        if let Link::Open(Open { connection, is_ready: true, .. }) = self.link {
            self.transmit(connection, encode_subscribe(filter.as_str()));
        }
        Ok(id)
    }

    /// Ends a subscription. Nothing is sent: the protocol has no packet for it. One that is no longer known is ignored.
    pub fn unsubscribe(&mut self, subscription: SubscriptionId, now: Instant) {
        self.see(now);
        self.filters.remove(subscription.0);
        self.subscriptions.remove(&subscription);
    }

    /// Hands the runtime a message. Runtimes before 4.0 ignore it.
    ///
    /// # Errors
    /// [`CommandError::NotReady`], [`CommandError::EmptyTopic`].
    pub fn publish(&mut self, topic: &str, data: JsonRef<'_>, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        if topic.is_empty() {
            return Err(CommandError::EmptyTopic);
        }
        let Link::Open(Open { connection, is_ready: true, .. }) = self.link else {
            return Err(CommandError::NotReady);
        };
        self.transmit(connection, encode_publish(topic, data));
        Ok(())
    }

    /// Takes other credentials. A client that needs them, or is on its way, goes on with them at once; one that is ready
    /// presents a token over its connection, or fetches one when it next needs it. An empty token is none.
    ///
    /// # Errors
    /// [`CommandError::Closed`].
    pub fn login(&mut self, credentials: Credentials, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        if self.is_closed() {
            return Err(CommandError::Closed);
        }
        self.token = Token::of(&credentials);
        self.config.credentials = credentials;
        match &mut self.link {
            Link::LoginNeeded => self.proceed(),
            Link::LoggingIn(id) => {
                self.outputs.push_back(Output::Cancel(*id));
                self.proceed();
            }
            Link::Connecting(connection) if self.protected == Some(true) => {
                let connection = *connection;
                self.outputs.push_back(Output::Disconnect { connection });
                self.proceed();
            }
            Link::Open(open) if !open.is_ready => open.is_outdated = true,
            Link::Open(open) if self.protected == Some(true) => {
                open.has_presented |= self.token.is_some();
                let connection = open.connection;
                open.is_upgrading |= self.token.is_some();
                if let Some(packet) = self.token.as_ref().map(|token| encode_auth(token.secret.expose())) {
                    self.transmit(connection, packet);
                }
            }
            Link::Discovering(_) | Link::Connecting(_) | Link::Open(_) | Link::Waiting | Link::Closed => {}
        }
        Ok(())
    }

    /// Ends the wait between two attempts, as the user of an editor may.
    pub fn retry(&mut self, now: Instant) {
        self.see(now);
        if matches!(self.link, Link::Waiting) {
            self.proceed();
        }
    }

    /// Ends the connection and the client.
    pub fn close(&mut self, now: Instant) {
        self.see(now);
        match std::mem::replace(&mut self.link, Link::Closed) {
            Link::Closed => return,
            Link::Discovering(id) | Link::LoggingIn(id) => self.outputs.push_back(Output::Cancel(id)),
            Link::Connecting(connection) | Link::Open(Open { connection, .. }) => {
                self.outputs.push_back(Output::Disconnect { connection });
                self.event(Event::ConnectionEnded { connection, reason: CloseReason::Local });
            }
            Link::Waiting | Link::LoginNeeded => {}
        }
        self.timers.clear();
        self.event(Event::Closed);
    }

    // Inputs

    /// A connection is open: emits the token, or the subscriptions if none is wanted.
    pub fn handle_connected(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        if !matches!(self.link, Link::Connecting(current) if current == connection) {
            return;
        }
        self.timers.set(Timer::Connect, None);
        let has_presented = self.token.is_some() && self.protected == Some(true);
        self.link = Link::Open(Open {
            connection,
            is_ready: false,
            has_frame: false,
            was_heard: false,
            has_presented,
            is_outdated: false,
            is_upgrading: false,
        });
        self.event(Event::Connected { connection });
        match self.token.as_ref().filter(|_| has_presented) {
            Some(token) => {
                let packet = encode_auth(token.secret.expose());
                self.timers.set(Timer::Auth, self.now.checked_add(self.config.auth_timeout));
                self.transmit(connection, packet);
            }
            None => self.ready(connection),
        }
    }

    /// No connection came about: emits how long the client waits.
    pub fn handle_connect_failed(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        if matches!(self.link, Link::Connecting(current) if current == connection) {
            self.failed(connection, CloseReason::ConnectFailed);
        }
    }

    /// Takes a text frame; a binary one that is UTF-8 counts as one. What is not understood is ignored.
    pub fn handle_text(&mut self, connection: ConnectionId, text: &str, now: Instant) {
        self.see(now);
        let Link::Open(open) = &mut self.link else { return };
        if open.connection != connection {
            return;
        }
        if text.len() > self.config.max_frame {
            return self.give_up(connection, CloseReason::FrameTooLong);
        }
        open.has_frame = true;
        let Ok(frame) = decode_frame(text) else {
            return self.event(Event::FrameIgnored { length: text.len() });
        };
        let is_answer =
            !frame.items().is_empty() && frame.items().iter().all(|item| matches!(item, Item::Auth(_)));
        if open.is_ready && !is_answer {
            open.was_heard = true;
            // Only now: a runtime that accepts and drops shall not be called without end.
            (self.failures, self.attempt, self.refusals) = (0, 0, 0);
        }
        match frame {
            Frame::Bare(item) => item.into_iter().for_each(|item| self.item(connection, item)),
            Frame::Batch(items) => items.into_iter().for_each(|item| self.item(connection, item)),
        }
        self.heartbeat.at = Some(self.now);
        self.alive();
    }

    /// A frame is longer than [`Config::max_frame`], as the transport found before there was any text of it. Ends the
    /// connection.
    pub fn handle_frame_too_long(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        if matches!(self.link, Link::Open(Open { connection: current, .. }) if current == connection) {
            self.give_up(connection, CloseReason::FrameTooLong);
        }
    }

    /// The runtime does not read: more is unwritten than the driver is willing to hold. Ends the connection.
    pub fn handle_stalled(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        if matches!(self.link, Link::Open(Open { connection: current, .. }) if current == connection) {
            self.give_up(connection, CloseReason::Stalled);
        }
    }

    /// A connection ended, or writing to it failed.
    pub fn handle_disconnect(&mut self, connection: ConnectionId, now: Instant) {
        self.see(now);
        match self.link {
            Link::Connecting(current) if current == connection => {
                self.failed(connection, CloseReason::ConnectFailed);
            }
            Link::Open(open) if open.connection == connection => {
                let is_refusal = !open.has_frame && !open.has_presented && self.protected == Some(true);
                self.refusals += u32::from(is_refusal);
                if is_refusal && self.token.is_none() && self.refusals >= MOST_REFUSALS {
                    self.event(Event::ConnectionEnded { connection, reason: CloseReason::Disconnected });
                    return self.login_needed(LoginProblem::Missing);
                }
                if !open.has_frame && self.config.discovery == Discovery::Ask {
                    // Probably refused without a word: perhaps the runtime wants a token now.
                    self.protected = None;
                }
                self.failed(connection, CloseReason::Disconnected);
            }
            _ => {}
        }
    }

    /// Takes the answer to a request, whatever its status. A body above 65 536 bytes is of no use, so that a driver may
    /// stop reading there.
    pub fn handle_response(&mut self, id: RequestId, response: Response<Bytes>, now: Instant) {
        self.see(now);
        match self.link {
            Link::Discovering(current) if current == id => self.discovered(&response),
            Link::LoggingIn(current) if current == id => self.logged_in(&response),
            _ => {}
        }
    }

    /// There is no answer to a request.
    pub fn handle_failure(&mut self, id: RequestId, kind: FailureKind, now: Instant) {
        self.see(now);
        if matches!(self.link, Link::Discovering(current) | Link::LoggingIn(current) if current == id) {
            self.event(Event::RequestFailed(RequestError::Transport(kind)));
            self.wait();
        }
    }

    /// Lets time pass: whatever was due by `now` happens. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.see(now);
        while let Some((_, timer)) = self.timers.pop_due(self.now) {
            match (timer, &self.link) {
                (Timer::Request, Link::Discovering(id) | Link::LoggingIn(id)) => {
                    self.outputs.push_back(Output::Cancel(*id));
                    self.event(Event::RequestFailed(RequestError::Transport(FailureKind::TimedOut)));
                    self.wait();
                }
                (Timer::Connect, Link::Connecting(connection)) => {
                    self.give_up(*connection, CloseReason::ConnectTimeout);
                }
                (Timer::Auth, Link::Open(Open { connection, is_ready: false, .. })) => {
                    self.give_up(*connection, CloseReason::AuthTimeout);
                }
                (Timer::Idle, Link::Open(Open { connection, is_ready: true, .. })) => {
                    let connection = *connection;
                    // Perhaps its heartbeats come more seldom than usual.
                    self.patience = (self.patience * 2).min(MOST_PATIENCE);
                    self.give_up(connection, CloseReason::Idle);
                }
                (Timer::Wait, Link::Waiting) => self.proceed(),
                _ => {}
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

    /// Returns the settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns where the client stands.
    #[must_use]
    pub fn state(&self) -> State {
        match self.link {
            Link::Discovering(_) => State::Discovering,
            Link::LoggingIn(_) => State::LoggingIn,
            Link::Connecting(_) => State::Connecting,
            Link::Open(Open { is_ready: false, .. }) => State::Authenticating,
            Link::Open(Open { is_ready: true, .. }) => State::Ready,
            Link::Waiting => State::Waiting,
            Link::LoginNeeded => State::LoginNeeded,
            Link::Closed => State::Closed,
        }
    }

    /// Whether the client is closed for good.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.link, Link::Closed)
    }

    /// Returns the connection of the moment, open or wanted.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        match self.link {
            Link::Connecting(connection) | Link::Open(Open { connection, .. }) => Some(connection),
            _ => None,
        }
    }

    /// Returns the subscriptions, in the order in which they were made.
    pub fn subscriptions(&self) -> impl Iterator<Item = (SubscriptionId, &TopicFilter)> {
        self.subscriptions.iter().map(|(&id, filter)| (id, filter))
    }

    // The way to a connection

    fn see(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Takes the next step on the way: discovery, a token, a connection.
    fn proceed(&mut self) {
        self.timers.set(Timer::Wait, None);
        if self.protected.is_none() {
            let id = self.request(discovery_request(&self.config));
            self.link = Link::Discovering(id);
        } else if self.protected == Some(true) && self.token.is_none() {
            match token_request(&self.config) {
                Some(request) => self.link = Link::LoggingIn(self.request(request)),
                None => self.connect(), // perhaps there is a default user
            }
        } else {
            self.connect();
        }
    }

    fn request(&mut self, request: Request<Bytes>) -> RequestId {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.timers.set(Timer::Request, self.now.checked_add(self.config.request_timeout));
        self.outputs.push_back(Output::Request { id, request });
        id
    }

    fn connect(&mut self) {
        let connection = ConnectionId(self.next_id);
        self.next_id += 1;
        self.attempt = self.attempt.saturating_add(1);
        self.link = Link::Connecting(connection);
        self.timers.set(Timer::Connect, self.now.checked_add(self.config.connect_timeout));
        self.outputs.push_back(Output::Connect { connection, attempt: self.attempt });
    }

    fn discovered(&mut self, response: &Response<Bytes>) {
        self.timers.set(Timer::Request, None);
        let protected = match (wants_token(response), response.status()) {
            (Some(protected), _) => protected,
            (None, StatusCode::UNAUTHORIZED) => true,
            (None, status) if status.is_server_error() => {
                self.event(Event::RequestFailed(RequestError::Status(status)));
                return self.wait();
            }
            // Runtimes of other makes have comms and no admin API.
            (None, _) => false,
        };
        self.protected = Some(protected);
        self.event(Event::Discovered { protected });
        self.proceed();
    }

    fn logged_in(&mut self, response: &Response<Bytes>) {
        self.timers.set(Timer::Request, None);
        if let Some((secret, expires_in)) = token(response) {
            self.token = Some(Token { secret, is_fresh: true });
            self.event(Event::LoggedIn { expires_in });
            return self.connect();
        }
        let is_passing = matches!(response.status().as_u16(), 408 | 425 | 429);
        if response.status().is_client_error() && !is_passing {
            return self.login_needed(LoginProblem::Refused(response.status()));
        }
        self.event(Event::RequestFailed(RequestError::Status(response.status())));
        self.wait();
    }

    fn login_needed(&mut self, problem: LoginProblem) {
        self.timers.clear();
        self.link = Link::LoginNeeded;
        self.event(Event::LoginNeeded(problem));
    }

    fn ready(&mut self, connection: ConnectionId) {
        self.timers.set(Timer::Auth, None);
        let Link::Open(open) = &mut self.link else { return };
        open.is_ready = true;
        // Whoever is nobody yet has to send a first packet to be the default user. Of this topic nothing is retained.
        let is_nobody = self.protected == Some(true) && !open.has_presented;
        if is_nobody && self.subscriptions.is_empty() {
            self.transmit(connection, encode_subscribe("hb"));
        }
        let mut sent = std::collections::BTreeSet::new();
        let filters = self.subscriptions.values().filter(|filter| sent.insert(filter.as_str()));
        let packets: Vec<String> = filters.map(|filter| encode_subscribe(filter.as_str())).collect();
        for packet in packets {
            self.transmit(connection, packet);
        }
        self.heartbeat.at = Some(self.now);
        self.alive();
        self.event(Event::Ready { connection });
    }

    // What the runtime sends

    fn item(&mut self, connection: ConnectionId, item: Item<'_>) {
        let Link::Open(open) = self.link else { return };
        if open.connection != connection {
            return;
        }
        match item {
            Item::Auth(AuthReply::Ok) if open.is_outdated => self.go_on(connection, CloseReason::Local),
            Item::Auth(AuthReply::Ok) => {
                if let Some(token) = &mut self.token {
                    token.is_fresh = false;
                }
                if let Link::Open(open) = &mut self.link {
                    open.is_upgrading = false;
                }
                if !open.is_ready || open.is_upgrading {
                    self.event(Event::Authenticated { connection });
                }
                if !open.is_ready {
                    self.ready(connection);
                }
            }
            Item::Auth(AuthReply::Fail) => self.refused(open),
            Item::Auth(_) => {}
            Item::Message(message) => self.message(message),
        }
    }

    fn message(&mut self, Message { topic, data }: Message<'_>) {
        if topic == "hb" {
            if let Some(time) = data.and_then(JsonRef::as_f64) {
                self.heartbeat(time);
            }
            return;
        }
        let found = self.filters.matches(&topic);
        if !found.is_empty() {
            self.event(Event::Message(ReceivedMessage {
                topic: topic.into_owned(),
                data: data.map(JsonRef::to_json),
                subscriptions: found.into_iter().map(SubscriptionId).collect(),
            }));
        }
    }

    fn heartbeat(&mut self, time: f64) {
        let changed = self.heartbeat.value.replace(time).is_some_and(|before| before != time);
        // From the frame before, whatever it was: runtimes before 0.20 beat only when there is nothing else.
        let since =
            self.heartbeat.at.map_or(Duration::ZERO, |before| self.now.saturating_duration_since(before));
        self.heartbeat.interval = self.heartbeat.interval.max(since);
        self.event(Event::Heartbeat { time, changed });
    }

    /// A token was refused, or the session has expired. The close that follows is no news.
    fn refused(&mut self, open: Open) {
        let Open { connection, is_ready, was_heard, has_presented, is_outdated, is_upgrading, .. } = open;
        self.protected = Some(true);
        let is_fresh = self.token.as_ref().is_some_and(|token| token.is_fresh);
        let has_password = matches!(self.config.credentials, Credentials::Password { .. });
        let goes_on = match self.token {
            // Other credentials, or the token, were not tried yet.
            _ if is_outdated => true,
            Some(_) if !has_presented => true,
            // Another token may do, unless this one was fetched just now.
            _ if has_password => {
                self.token = None;
                !is_fresh
            }
            _ => false,
        };
        if goes_on && is_ready && !was_heard && has_presented {
            // Taken and refused at once: not without a wait.
            self.outputs.push_back(Output::Disconnect { connection });
            return self.failed(connection, CloseReason::AuthFailed);
        }
        if goes_on {
            return self.go_on(connection, CloseReason::AuthFailed);
        }
        self.outputs.push_back(Output::Disconnect { connection });
        self.event(Event::ConnectionEnded { connection, reason: CloseReason::AuthFailed });
        self.login_needed(match (&self.config.credentials, is_ready && was_heard && !is_upgrading) {
            (Credentials::None, _) => LoginProblem::Missing,
            (_, true) => LoginProblem::Expired,
            (_, false) => LoginProblem::TokenRefused,
        });
    }

    /// Ends a connection and takes the next step at once.
    fn go_on(&mut self, connection: ConnectionId, reason: CloseReason) {
        self.outputs.push_back(Output::Disconnect { connection });
        self.event(Event::ConnectionEnded { connection, reason });
        self.timers.clear();
        self.proceed();
    }

    /// Something was heard of the runtime.
    fn alive(&mut self) {
        if !matches!(self.link, Link::Open(Open { is_ready: true, .. })) {
            return;
        }
        let least = self.heartbeat.interval.saturating_mul(3);
        let wait = self.config.idle_timeout.map(|wait| wait.saturating_mul(self.patience).max(least));
        self.timers.set(Timer::Idle, wait.and_then(|wait| self.now.checked_add(wait)));
    }

    // The end of a connection

    fn give_up(&mut self, connection: ConnectionId, reason: CloseReason) {
        self.outputs.push_back(Output::Disconnect { connection });
        self.failed(connection, reason);
    }

    fn failed(&mut self, connection: ConnectionId, reason: CloseReason) {
        self.event(Event::ConnectionEnded { connection, reason });
        self.wait();
    }

    fn wait(&mut self) {
        if self.config.discovery == Discovery::Ask && self.protected == Some(true) {
            // It may be another runtime next time, and an open one must not be sent a token.
            self.protected = None;
        }
        if let Some(token) = &mut self.token {
            token.is_fresh = false;
        }
        self.failures = self.failures.saturating_add(1);
        let (wait, failures) = (self.config.reconnect.wait(self.failures), self.failures);
        self.timers.clear();
        self.link = Link::Waiting;
        self.timers.set(Timer::Wait, self.now.checked_add(wait));
        self.event(Event::Waiting { wait, failures });
    }

    fn transmit(&mut self, connection: ConnectionId, text: String) {
        self.outputs.push_back(Output::Transmit { connection, text });
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// Whether a filter has `{n}`, `{n,}` or `{n,m}`, which the original takes for a repetition.
fn has_repetition(filter: &str) -> bool {
    filter.match_indices('{').any(|(at, _)| {
        let Some((inner, _)) = filter[at + 1..].split_once('}') else { return false };
        let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        !least.is_empty() && is_number(least) && is_number(most)
    })
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.config.endpoint)
            .field("state", &self.state())
            .field("connection", &self.connection())
            .field("subscriptions", &self.subscriptions.len())
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}
