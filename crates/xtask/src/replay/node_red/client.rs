//! Our client in the place of the recorded one: fed what the runtime sent, it does what the editor's machine does.
//!
//! The expectation is the editor's table of states by itself ([`Editor`]): connecting, authenticating, ready, waiting,
//! login needed. A connection is tried twice: with its subscriptions made when the recorder made them, and with all of
//! them made before.

use super::recording::{Entry, Recording, What};
use super::scenario::{Grant, tokens};
use super::value::{Deed, read};
use crate::Tally;
use crate::conformance::topics::has_quantifier;
use crate::json::Value;
use nodered_comms::client::{
    Client, CloseReason, Config, Credentials, Event, LoginProblem, Output, SubscriptionId,
};
use nodered_comms::topic::TopicFilter;
use nodered_comms::wire::{Packet, decode_packet};
use nodered_comms::{ConnectionId, Secret};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const PROTECTED: &str = "{\"type\":\"credentials\",\"prompts\":[{\"id\":\"username\",\"type\":\"text\"}]}";
/// The editor's wait after a first failure.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longer than any wait of the editor's.
const LONG: Duration = Duration::from_secs(120);

pub(super) fn check(recording: &Recording, tally: &mut Tally) {
    let tokens = tokens(recording);
    for entries in recording.connections() {
        let What::Open { token } = &entries[0].what else { continue };
        if token.is_some() {
            tally.skip(
                "header-token",
                "the client presents tokens in packets, not in the header of the upgrade",
            );
            continue;
        }
        for is_early in [false, true] {
            connection(recording, &entries, &tokens, is_early, tally);
        }
    }
}

fn connection(
    recording: &Recording,
    entries: &[&Entry],
    tokens: &BTreeMap<String, Grant>,
    is_early: bool,
    tally: &mut Tally,
) {
    let key = |entry: &Entry| format!("{}{}", recording.key(entry), if is_early { " (early)" } else { "" });
    let mut editor = Editor::new(recording.settings.starts_with("auth"), first_token(entries), tokens);
    let mut ours = Ours::new(&editor, entries[0].at);
    if is_early {
        for filter in entries.iter().filter_map(|entry| filter_of(entry)) {
            if !editor.subscriptions.contains(&filter) {
                editor.subscriptions.push(filter.clone());
                ours.subscribe(&filter);
            }
        }
    }
    for (place, entry) in entries.iter().enumerate() {
        ours.advance(entry.at);
        let expected = match &entry.what {
            What::Open { .. } => {
                ours.open();
                editor.opened()
            }
            What::Sent(frame) => match frame.clean().map(Deed::of) {
                // That one is sent by itself once the connection is open.
                Some(Deed::Auth(Value::Text(token))) if editor.is_first(&token) => continue,
                Some(Deed::Subscribe(_)) if is_early && filter_of(entry).is_some() => continue,
                Some(deed) if is_sendable(&deed) => {
                    ours.command(&deed, &frame.text);
                    editor.command(&deed)
                }
                _ => {
                    tally.skip("odd-packet", "a packet that the client never sends");
                    continue;
                }
            },
            What::Received(frame) => {
                ours.hear(&frame.text);
                match read(&frame.text) {
                    Some(value) => editor.heard(&value),
                    None => vec![],
                }
            }
            What::Closed { .. } => {
                ours.lose();
                editor.lost()
            }
            What::Failed | What::Note(_) | What::Other => continue,
        };
        let got = std::mem::take(&mut ours.done);
        if expected != got {
            return tally.fail(key(entry), format_args!("{expected:?}"), format_args!("{got:?}"));
        }
        tally.pass();
        if place + 1 == entries.len() && matches!(entry.what, What::Closed { .. }) {
            afterwards(&key(entry), &editor, ours, tally);
            return;
        }
    }
}

/// What follows an end: the next attempt after the editor's wait, for a token first if there is none, or nothing at all.
fn afterwards(key: &str, editor: &Editor<'_>, mut ours: Ours, tally: &mut Tally) {
    if editor.state == State::LoggingIn {
        return;
    }
    let end = ours.now;
    if editor.state == State::Waiting {
        ours.advance(end + FIRST_WAIT - Duration::from_millis(1));
        tally.check(key, &Vec::<Did>::new(), &std::mem::take(&mut ours.done));
        ours.advance(end + FIRST_WAIT);
        ours.advance(end + FIRST_WAIT + Duration::from_millis(1));
        let has_no_token = editor.grant.is_some() && editor.token.is_none();
        let next = if has_no_token { Did::FetchesToken } else { Did::Connect };
        tally.check(key, &vec![next], &ours.done);
    } else {
        ours.advance(end + LONG);
        tally.check(key, &Vec::<Did>::new(), &ours.done);
    }
}

fn first_token(entries: &[&Entry]) -> Option<String> {
    let mut packets = entries.iter().filter_map(|entry| match &entry.what {
        What::Sent(frame) => frame.clean().map(Deed::of),
        _ => None,
    });
    match packets.find(is_sendable)? {
        Deed::Auth(token) => token.as_text(),
        _ => None,
    }
}

fn filter_of(entry: &Entry) -> Option<String> {
    let What::Sent(frame) = &entry.what else { return None };
    match frame.clean().map(Deed::of)? {
        deed @ Deed::Subscribe(_) if !is_sendable(&deed) => None,
        Deed::Subscribe(filter) => filter.as_text(),
        _ => None,
    }
}

/// Whether a client sends packets like this one at all.
fn is_sendable(deed: &Deed) -> bool {
    match deed {
        Deed::Auth(token) => token.as_text().is_some(),
        Deed::Subscribe(filter) => filter.as_text().is_some_and(|filter| !has_quantifier(&filter)),
        Deed::Publish(topic, data) => topic.as_text().is_some() && data.is_some(),
        Deed::Nothing | Deed::Malformed => false,
    }
}

/// What a client does, as far as the other side or the user sees it.
#[derive(Clone, Debug, PartialEq)]
enum Did {
    /// Asks for a connection.
    Connect,
    /// Sends a packet.
    Send(Value),
    /// Is ready.
    Ready,
    /// Hands out a message to these subscriptions.
    Dispatch { topic: String, data: Option<Value>, subscriptions: Vec<String> },
    /// Has heard a heartbeat.
    Heartbeat,
    /// Needs a login.
    LoginNeeded(LoginProblem),
    /// Fetches another token.
    FetchesToken,
    /// Waits before the next attempt.
    Wait(Duration),
}

// What is expected

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Authenticating,
    Ready,
    Waiting,
    LoginNeeded,
    /// A user whose password is known is logged in anew; the recording has no second token.
    LoggingIn,
}

/// The editor's machine, as far as one connection goes.
struct Editor<'a> {
    state: State,
    is_protected: bool,
    token: Option<String>,
    /// What the token was fetched with.
    grant: Option<&'a Grant>,
    /// Filters in the order in which they were subscribed to; those that were subscribed to again stand again.
    subscriptions: Vec<String>,
    /// Whether a message came over this connection.
    was_heard: bool,
}

impl<'a> Editor<'a> {
    fn new(is_protected: bool, token: Option<String>, tokens: &'a BTreeMap<String, Grant>) -> Self {
        let token = token.filter(|_| is_protected);
        let grant = token.as_ref().and_then(|token| tokens.get(token));
        let grant = grant.filter(|grant| !grant.answer.is_empty());
        Self {
            state: State::Connecting,
            is_protected,
            token,
            grant,
            subscriptions: Vec::new(),
            was_heard: false,
        }
    }

    fn is_first(&self, token: &[u16]) -> bool {
        let is_same = |known: &String| known.encode_utf16().eq(token.iter().copied());
        self.state == State::Authenticating && self.token.as_ref().is_some_and(is_same)
    }

    fn opened(&mut self) -> Vec<Did> {
        match self.token.clone() {
            Some(token) => {
                self.state = State::Authenticating;
                vec![Did::Send(Value::object([("auth", Value::text(&token))]))]
            }
            None => self.ready(),
        }
    }

    fn ready(&mut self) -> Vec<Did> {
        self.state = State::Ready;
        let mut sent: Vec<&String> = Vec::new();
        for filter in &self.subscriptions {
            if !sent.contains(&filter) {
                sent.push(filter);
            }
        }
        // Without any packet nobody becomes the default user.
        let is_nobody = self.is_protected && self.token.is_none();
        let first = (is_nobody && sent.is_empty()).then(|| Did::Send(subscribe("hb")));
        let packets = sent.into_iter().map(|filter| Did::Send(subscribe(filter)));
        first.into_iter().chain(packets).chain([Did::Ready]).collect()
    }

    /// Subscribes, publishes, or logs in as another user.
    fn command(&mut self, deed: &Deed) -> Vec<Did> {
        let is_ready = self.state == State::Ready;
        match deed {
            Deed::Subscribe(filter) => {
                let filter = filter.as_text().unwrap_or_default();
                self.subscriptions.push(filter.clone());
                if is_ready { vec![Did::Send(subscribe(&filter))] } else { vec![] }
            }
            Deed::Publish(topic, Some(data)) if is_ready => {
                vec![Did::Send(Value::object([("topic", topic.clone()), ("data", data.clone())]))]
            }
            // A runtime without tokens is sent none.
            Deed::Auth(token) if is_ready && self.is_protected => {
                self.grant = None;
                self.token = token.as_text();
                vec![Did::Send(Value::object([("auth", token.clone())]))]
            }
            _ => vec![],
        }
    }

    fn heard(&mut self, frame: &Value) -> Vec<Did> {
        if !matches!(self.state, State::Authenticating | State::Ready) {
            return vec![];
        }
        let bare = std::slice::from_ref(frame);
        let items = if let Value::List(items) = frame { items } else { bare };
        items.iter().flat_map(|item| self.item(item)).collect()
    }

    fn item(&mut self, item: &Value) -> Vec<Did> {
        let text = |name| item.get(name).and_then(Value::as_text);
        match (text("auth").as_deref(), self.state) {
            (Some("ok"), State::Authenticating) => return self.ready(),
            (Some("fail"), state) => return self.refused(state),
            (Some(_), _) => return vec![],
            (None, _) => {}
        }
        let Some(topic) = text("topic").filter(|topic| !topic.is_empty()) else { return vec![] };
        self.was_heard = true;
        if topic == "hb" {
            return vec![Did::Heartbeat];
        }
        let matches = |filter: &&String| TopicFilter::new(filter).is_ok_and(|filter| filter.matches(&topic));
        let subscriptions: Vec<String> = self.subscriptions.iter().filter(matches).cloned().collect();
        let data = item.get("data").cloned();
        if subscriptions.is_empty() { vec![] } else { vec![Did::Dispatch { topic, data, subscriptions }] }
    }

    /// A user is asked to log in; a password that is known does it by itself, once, and after a wait if the token was
    /// good for nothing.
    fn refused(&mut self, state: State) -> Vec<Did> {
        if self.grant.is_some() && state == State::Ready && !self.was_heard {
            (self.state, self.token) = (State::Waiting, None);
            return vec![Did::Wait(FIRST_WAIT)];
        }
        self.state = State::LoginNeeded;
        vec![match (&self.token, self.grant, state) {
            (None, ..) => Did::LoginNeeded(LoginProblem::Missing),
            (Some(_), Some(_), State::Ready) => {
                self.state = State::LoggingIn;
                Did::FetchesToken
            }
            (Some(_), None, State::Ready) => Did::LoginNeeded(LoginProblem::Expired),
            (Some(_), ..) => Did::LoginNeeded(LoginProblem::TokenRefused),
        }]
    }

    fn lost(&mut self) -> Vec<Did> {
        if !matches!(self.state, State::Authenticating | State::Ready) {
            return vec![];
        }
        self.state = State::Waiting;
        vec![Did::Wait(FIRST_WAIT)]
    }
}

fn subscribe(filter: &str) -> Value {
    Value::object([("subscribe", Value::text(filter))])
}

// What is done

/// Our client on a virtual clock.
struct Ours {
    client: Client,
    start: Instant,
    now: Duration,
    discovery: &'static str,
    /// The answer to a login, and the form that it takes.
    login: Option<(String, String)>,
    attempt: Option<ConnectionId>,
    connection: Option<ConnectionId>,
    filters: BTreeMap<SubscriptionId, String>,
    done: Vec<Did>,
}

impl Ours {
    fn new(editor: &Editor<'_>, at: Duration) -> Self {
        let endpoint = "ws://127.0.0.1:1880/comms".parse().expect("it is an endpoint");
        let mut config = Config::new(endpoint);
        let mut login = None;
        config.credentials = match (editor.grant, &editor.token) {
            (Some(grant), _) => {
                config.scope = grant.scope.clone();
                let form = format!(
                    "client_id=node-red-admin&grant_type=password&scope={}&username={}&password={}",
                    grant.scope, grant.user, grant.password
                );
                login = Some((form, grant.answer.clone()));
                Credentials::Password {
                    username: grant.user.clone(),
                    password: Secret::new(grant.password.as_str()),
                }
            }
            (None, Some(token)) => Credentials::Token(Secret::new(token.as_str())),
            (None, None) => Credentials::None,
        };
        let start = Instant::now();
        let client = Client::new(config, start + at).expect("the editor's settings are good");
        let discovery = if editor.is_protected { PROTECTED } else { "{}" };
        let (filters, done) = (BTreeMap::new(), Vec::new());
        let mut ours =
            Self { client, start, now: at, discovery, login, attempt: None, connection: None, filters, done };
        ours.drain();
        ours.done.clear(); // The way to a first connection is not in the recording.
        ours
    }

    fn now(&self) -> Instant {
        self.start + self.now
    }

    fn advance(&mut self, to: Duration) {
        while let Some(at) = self.client.poll_timeout().filter(|at| *at < self.start + to) {
            self.now = self.now.max(at.saturating_duration_since(self.start));
            self.client.handle_timeout(self.now());
            self.drain();
        }
        self.now = self.now.max(to);
    }

    fn open(&mut self) {
        if let Some(connection) = self.attempt.take() {
            self.connection = Some(connection);
            self.client.handle_connected(connection, self.now());
        }
        self.drain();
    }

    fn hear(&mut self, text: &str) {
        if let Some(connection) = self.connection {
            self.client.handle_text(connection, text, self.now());
        }
        self.drain();
    }

    fn lose(&mut self) {
        if let Some(connection) = self.connection {
            self.client.handle_disconnect(connection, self.now());
        }
        self.drain();
    }

    fn subscribe(&mut self, filter: &str) {
        let subscribed = TopicFilter::new(filter).ok().map(|known| self.client.subscribe(&known, self.now()));
        if let Some(Ok(id)) = subscribed {
            self.filters.insert(id, filter.to_owned());
        }
        self.drain();
    }

    fn command(&mut self, deed: &Deed, text: &str) {
        let now = self.now();
        match deed {
            Deed::Subscribe(filter) => self.subscribe(&filter.as_text().unwrap_or_default()),
            Deed::Publish(topic, _) => {
                let topic = topic.as_text().unwrap_or_default();
                // Refused unless ready: nothing is sent then.
                if let Ok(Packet::Publish { data: Some(data), .. }) = decode_packet(text) {
                    _ = self.client.publish(&topic, data, now);
                }
            }
            Deed::Auth(token) => {
                let token = Secret::new(token.as_text().unwrap_or_default());
                _ = self.client.login(Credentials::Token(token), now);
            }
            _ => {}
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Request { id, request } => {
                    let body = match request.uri().path() {
                        "/auth/login" => Some(self.discovery.to_owned()),
                        "/auth/token" => self.token_for(request.body()),
                        _ => None,
                    };
                    if let Some(body) = body {
                        self.client.handle_response(id, http::Response::new(body.into()), self.now());
                    }
                }
                Output::Connect { connection, .. } => {
                    self.attempt = Some(connection);
                    self.done.push(Did::Connect);
                }
                Output::Transmit { text, .. } => {
                    self.done.push(Did::Send(read(&text).unwrap_or(Value::Null)))
                }
                Output::Disconnect { .. } | Output::Cancel(_) => {}
                Output::Event(event) => self.news(event),
            }
        }
    }

    /// The form is the recorded one; a second one is not answered, since the recording has no other token.
    fn token_for(&mut self, form: &[u8]) -> Option<String> {
        match self.login.take() {
            Some((expected, answer)) if expected.as_bytes() == form => Some(answer),
            _ => {
                self.done.push(Did::FetchesToken);
                None
            }
        }
    }

    fn news(&mut self, event: Event) {
        let did = match event {
            Event::Ready { .. } => Did::Ready,
            Event::Heartbeat { .. } => Did::Heartbeat,
            Event::LoginNeeded(problem) => Did::LoginNeeded(problem),
            Event::Waiting { wait, .. } => Did::Wait(wait),
            Event::Message(message) => Did::Dispatch {
                data: message.data().and_then(|data| read(data.text())),
                subscriptions: message
                    .subscriptions
                    .iter()
                    .filter_map(|id| self.filters.get(id).cloned())
                    .collect(),
                topic: message.topic,
            },
            Event::ConnectionEnded { reason, .. } => {
                debug_assert!(matches!(reason, CloseReason::AuthFailed | CloseReason::Disconnected));
                return;
            }
            _ => return,
        };
        self.done.push(did);
    }
}
