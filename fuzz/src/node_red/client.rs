//! The client under arbitrary steps: frames, answers, commands, waits, losses, a clock that goes backwards, the end.

use super::holds_mark;
use crate::input::Input;
use bytes::Bytes;
use http::{Response, StatusCode};
use nodered_comms::client::{
    Client, CommandError, Config, Credentials, Discovery, Event, FailureKind, Output, RequestId, State,
    SubscriptionId,
};
use nodered_comms::topic::TopicFilter;
use nodered_comms::wire::{Json, Packet, decode_packet};
use nodered_comms::{ConnectionId, Secret};
use std::collections::BTreeMap;
use std::time::Duration;
use testkit::rules::{check_after_step, check_closed, check_closed_ignores, check_command};
use testkit::secrets::{assert_debug_hides, marked};
use testkit::{Machine as _, drain, epoch};
use web_time::Instant;

const MOST_STEPS: usize = 300;

/// What a runtime may send. `SECRET` stands for a secret.
const FRAMES: [&str; 20] = [
    "{\"auth\":\"ok\"}",
    "{\"auth\":\"ok\"}",
    "{\"auth\":\"fail\"}",
    "[{\"auth\":\"fail\"},{\"topic\":\"a\"}]",
    "{\"auth\":7}",
    "{\"auth\":\"SECRET\"}",
    "[]",
    "[{\"topic\":\"a\",\"data\":1},{\"topic\":\"a/b\",\"data\":{\"token\":\"SECRET\"}}]",
    "[{\"topic\":\"hb\",\"data\":5}]",
    "[{\"topic\":\"hb\",\"data\":6},{\"topic\":\"hb\",\"data\":\"x\"}]",
    "{\"topic\":\"a/b\",\"data\":{}}",
    "[{\"topic\":\"status/n1\",\"data\":{\"text\":\"on\"}},{\"topic\":\"notification/x\",\"data\":null}]",
    "{\"topic\":\"t\",\"data\":null}",
    "{\"topic\":5}",
    "null",
    "nope",
    "nope SECRET",
    "",
    "[[[[",
    "[{\"topic\":\"debug\",\"data\":{\"msg\":\"SECRET\",\"format\":\"string[26]\"}}]",
];

const BODIES: [&str; 8] = [
    "{}",
    "{\"type\":\"credentials\",\"prompts\":[{\"id\":\"username\"}]}",
    "{\"access_token\":\"SECRET\",\"expires_in\":604800,\"token_type\":\"Bearer\"}",
    "{\"access_token\":\"SECRET\",\"expires_in\":-1}",
    "{\"access_token\":7}",
    "{\"access_token\":\"\"}",
    "<html>SECRET",
    "",
];

const FILTERS: [&str; 10] = ["#", "a/#", "a/b", "+", "+/#", "", "a{2}", "status/#", "a+b", "notification/+"];

/// An arbitrary list of steps, after each of which the rules hold.
pub fn nodered_client(data: &[u8]) {
    if holds_mark(data) {
        return;
    }
    let mut input = Input::new(data);
    let Ok(client) = Client::new(config(&mut input), epoch()) else { return };
    let mut run = Run::new(Fuzzed(client));
    run.settle();
    for _ in 0..MOST_STEPS {
        if input.is_empty() || run.is_closed {
            break;
        }
        run.step(&mut input);
        run.settle();
    }
    run.end();
}

fn config(input: &mut Input<'_>) -> Config {
    let address = input.pick(&["ws://h/comms", "wss://h:1880/red/comms", "http://[::1]:1880"]);
    let mut config = Config::new(address.parse().expect("it is an address"));
    config.credentials = credentials(input);
    config.discovery = input.pick(&[Discovery::Ask, Discovery::AssumeOpen, Discovery::AssumeProtected]);
    config.max_frame = input.pick(&[100 << 20, 100 << 20, 40, 0]);
    config.max_subscriptions = input.pick(&[65_536, 4, 1, 0]);
    let seconds = Duration::from_secs;
    config.connect_timeout = input.pick(&[seconds(30), Duration::from_nanos(1), Duration::MAX]);
    config.auth_timeout = input.pick(&[seconds(30), Duration::from_nanos(1), Duration::MAX]);
    config.request_timeout = input.pick(&[seconds(10), Duration::from_nanos(1), Duration::MAX]);
    config.idle_timeout = input.pick(&[Some(seconds(45)), None, Some(seconds(1)), Some(Duration::MAX)]);
    config.reconnect.later = input.pick(&[seconds(60), Duration::from_nanos(1), Duration::ZERO]);
    config
}

fn credentials(input: &mut Input<'_>) -> Credentials {
    match input.below(3) {
        0 => Credentials::None,
        1 => Credentials::Token(Secret::new(marked(1))),
        _ => Credentials::Password { username: "u".into(), password: Secret::new(marked(2)) },
    }
}

struct Fuzzed(Client);

testkit::forward_machine!(Fuzzed, Output);

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Wanted,
    Open,
}

struct Run {
    client: Fuzzed,
    now: Instant,
    connection: Option<(ConnectionId, Stage)>,
    last_connection: Option<ConnectionId>,
    /// A token was sent over the connection and not answered.
    waits_for_auth: bool,
    request: Option<RequestId>,
    last_request: Option<RequestId>,
    subscriptions: BTreeMap<SubscriptionId, String>,
    is_closed: bool,
}

impl Run {
    fn new(client: Fuzzed) -> Self {
        Self {
            client,
            now: epoch(),
            connection: None,
            last_connection: None,
            waits_for_auth: false,
            request: None,
            last_request: None,
            subscriptions: BTreeMap::new(),
            is_closed: false,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.below(32) {
            0..=3 => self.connect(input),
            4..=11 => self.frame(input),
            12..=15 => self.answer(input),
            16..=18 => self.subscribe(input),
            19 => self.unsubscribe(input),
            20 => self.publish(input),
            21 => {
                let credentials = credentials(input);
                check_command(&mut self.client, |client| client.0.login(credentials, now))
                    .expect("it is not closed");
            }
            22 => self.client.0.retry(now),
            23..=26 => self.wait(),
            27 => self.now += Duration::from_millis(input.number() % 60_000),
            28 => self.lose(input),
            29 => {
                let before = self.now.checked_sub(Duration::from_millis(input.number() % 100_000));
                self.client.handle_timeout(before.unwrap_or(now));
            }
            30 => self.stale(input),
            _ => {
                if input.below(8) == 0 {
                    self.client.0.close(now);
                }
            }
        }
    }

    fn wait(&mut self) {
        if let Some(due) = self.client.poll_timeout() {
            self.now = self.now.max(due);
            self.client.handle_timeout(self.now);
        }
    }

    fn connect(&mut self, input: &mut Input<'_>) {
        let Some((connection, Stage::Wanted)) = self.connection else { return self.wait() };
        if input.below(4) == 3 {
            self.connection = None;
            self.client.0.handle_connect_failed(connection, self.now);
        } else {
            self.connection = Some((connection, Stage::Open));
            self.client.0.handle_connected(connection, self.now);
        }
    }

    fn frame(&mut self, input: &mut Input<'_>) {
        let Some((connection, Stage::Open)) = self.connection else { return };
        let text = match input.below(24) {
            known if known < FRAMES.len() => FRAMES[known].replace("SECRET", &marked(3)),
            _ => String::from_utf8_lossy(input.bytes()).into_owned(),
        };
        self.client.0.handle_text(connection, &text, self.now);
    }

    fn answer(&mut self, input: &mut Input<'_>) {
        let Some(id) = self.request.take() else { return self.connect(input) };
        let kinds =
            [FailureKind::Refused, FailureKind::ConnectionLost, FailureKind::TimedOut, FailureKind::Tls];
        if input.below(8) == 7 {
            return self.client.0.handle_failure(id, input.pick(&kinds), self.now);
        }
        let body = input.pick(&BODIES).replace("SECRET", &marked(4));
        let mut response = Response::new(Bytes::from(body));
        let status = input.pick(&[200, 200, 200, 401, 403, 404, 500, 302]);
        *response.status_mut() = StatusCode::from_u16(status).expect("it is a status");
        self.client.0.handle_response(id, response, self.now);
    }

    fn subscribe(&mut self, input: &mut Input<'_>) {
        let pattern = input.pick(&FILTERS);
        let filter = TopicFilter::new(pattern).expect("it is short");
        let now = self.now;
        match check_command(&mut self.client, |client| client.0.subscribe(&filter, now)) {
            Ok(id) => {
                let last = self.subscriptions.last_key_value().map(|(id, _)| *id);
                assert!(last < Some(id), "rule: an id is never used twice");
                self.subscriptions.insert(id, pattern.to_owned());
            }
            Err(CommandError::EmptyFilter) => assert!(pattern.is_empty()),
            Err(CommandError::Braces) => assert!(pattern.contains('{')),
            Err(error) => {
                assert_eq!(error, CommandError::TooManySubscriptions);
                assert_eq!(self.subscriptions.len(), self.client.0.config().max_subscriptions);
            }
        }
    }

    fn unsubscribe(&mut self, input: &mut Input<'_>) {
        let ids: Vec<_> = self.subscriptions.keys().copied().collect();
        if !ids.is_empty() {
            let id = input.pick(&ids);
            self.client.0.unsubscribe(id, self.now);
            self.subscriptions.remove(&id);
            self.client.0.unsubscribe(id, self.now);
        }
    }

    fn publish(&mut self, input: &mut Input<'_>) {
        let topic = input.pick(&["t", "multiplayer/location", ""]);
        let (now, data) = (self.now, Json::from(&*marked(5)));
        let is_ready = self.client.0.state() == State::Ready;
        let done = check_command(&mut self.client, |client| client.0.publish(topic, data.as_ref(), now));
        assert_eq!(done.is_ok(), is_ready && !topic.is_empty(), "rule: a ready client publishes; {done:?}");
    }

    fn lose(&mut self, input: &mut Input<'_>) {
        let Some((connection, Stage::Open)) = self.connection else { return };
        if input.below(4) == 3 {
            self.client.0.handle_stalled(connection, self.now);
        } else {
            self.connection = None;
            self.client.0.handle_disconnect(connection, self.now);
        }
    }

    /// Inputs for what is over do nothing.
    fn stale(&mut self, input: &mut Input<'_>) {
        let (now, deadline) = (self.now, self.client.poll_timeout());
        let over = self.last_connection.filter(|_| self.connection.is_none());
        if let Some(connection) = over {
            match input.below(5) {
                0 => self.client.0.handle_text(connection, "{\"auth\":\"fail\"}", now),
                1 => self.client.0.handle_connected(connection, now),
                2 => self.client.0.handle_connect_failed(connection, now),
                3 => self.client.0.handle_stalled(connection, now),
                _ => self.client.0.handle_disconnect(connection, now),
            }
        }
        if let Some(id) = self.last_request.filter(|_| self.request.is_none()) {
            self.client.0.handle_failure(id, FailureKind::TimedOut, now);
        }
        let outputs = drain(&mut self.client);
        assert!(outputs.is_empty(), "rule: input for what is over is ignored; {outputs:?}");
        assert!(self.client.poll_timeout() == deadline, "rule: input for what is over is ignored");
    }

    /// Checks what holds at any time.
    fn settle(&mut self) {
        drain(&mut self.client).into_iter().for_each(|output| self.carry_out(output));
        for output in check_after_step(&mut self.client, self.now) {
            self.carry_out(output);
        }
        assert_debug_hides(&self.client.0);
        let known: BTreeMap<_, _> =
            self.client.0.subscriptions().map(|(id, filter)| (id, filter.to_string())).collect();
        assert_eq!(known, self.subscriptions, "rule: subscriptions belong to the client");
        assert!(known.len() <= self.client.0.config().max_subscriptions, "rule: subscriptions have a limit");
        self.whereabouts();
    }

    fn whereabouts(&self) {
        let state = self.client.0.state();
        let expected = match state {
            State::Connecting => Some(Stage::Wanted),
            State::Authenticating | State::Ready => Some(Stage::Open),
            _ => None,
        };
        assert_eq!(self.connection.map(|(_, stage)| stage), expected, "rule: the state is what was told");
        assert_eq!(self.connection.map(|(connection, _)| connection), self.client.0.connection());
        let asks = matches!(state, State::Discovering | State::LoggingIn);
        assert_eq!(self.request.is_some(), asks, "rule: the state is what was told");
        assert_eq!(self.is_closed, self.client.0.is_closed(), "rule: the end is told");
        let waits = state == State::Waiting;
        assert!(!waits || self.client.poll_timeout().is_some(), "rule: a client that waits wakes up");
    }

    fn carry_out(&mut self, output: Output) {
        assert!(!self.is_closed, "rule: nothing follows the end; there was {output:?}");
        assert_debug_hides(&output);
        match output {
            Output::Connect { connection, attempt } => {
                assert!(self.connection.is_none() && attempt > 0, "rule: one connection at a time");
                assert!(self.last_connection < Some(connection), "rule: an id is never used twice");
                self.connection = Some((connection, Stage::Wanted));
                self.last_connection = Some(connection);
                self.waits_for_auth = false;
            }
            Output::Transmit { connection, text } => self.transmitted(connection, &text),
            Output::Disconnect { connection } => {
                let current = self.connection.take().map(|(connection, _)| connection);
                assert_eq!(current, Some(connection), "rule: only what was wanted ends");
            }
            Output::Request { id, request } => {
                assert!(self.request.is_none(), "rule: one request at a time");
                assert!(self.last_request < Some(id), "rule: an id is never used twice");
                assert!(request.uri().path().contains("auth/"), "rule: only the login is asked");
                (self.request, self.last_request) = (Some(id), Some(id));
            }
            Output::Cancel(id) => {
                assert_eq!(self.request.take(), Some(id), "rule: only what is open is given up")
            }
            Output::Event(event) => self.event(event),
        }
    }

    fn transmitted(&mut self, connection: ConnectionId, text: &str) {
        assert_eq!(
            self.connection,
            Some((connection, Stage::Open)),
            "rule: only an open connection is written to"
        );
        match decode_packet(text).expect("rule: a frame is a packet") {
            Packet::Auth(_) => self.waits_for_auth |= self.client.0.state() == State::Authenticating,
            Packet::Subscribe(filter) => {
                let filter = filter.as_str().expect("rule: a filter is a string");
                assert!(!self.waits_for_auth, "rule: nothing is sent between a token and its answer");
                assert!(
                    !filter.is_empty() && !filter.contains('{'),
                    "rule: no runtime is sent what it cannot take"
                );
            }
            Packet::Publish { .. } => {
                assert!(!self.waits_for_auth, "rule: nothing is sent between a token and its answer");
            }
            Packet::Other => panic!("rule: a frame is a packet; it was {text}"),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Message(message) => {
                let _ = message.event();
                let expected = self.subscriptions.iter().filter(|(_, pattern)| {
                    TopicFilter::new(pattern).is_ok_and(|filter| filter.matches(&message.topic))
                });
                let expected: Vec<_> = expected.map(|(id, _)| *id).collect();
                assert_eq!(message.subscriptions, expected, "rule: who has subscribed gets a message");
                assert!(!expected.is_empty(), "rule: who has subscribed gets a message");
            }
            Event::Authenticated { connection } | Event::Ready { connection } => {
                self.waits_for_auth = false;
                assert_eq!(self.connection, Some((connection, Stage::Open)));
            }
            Event::Connected { connection } => assert_eq!(self.connection, Some((connection, Stage::Open))),
            Event::Closed => self.is_closed = true,
            // A request that took too long is not cancelled twice.
            Event::Waiting { wait, .. } => assert!(!wait.is_zero(), "rule: a client rests between attempts"),
            _ => {}
        }
    }

    fn end(mut self) {
        self.client.0.close(self.now);
        self.settle();
        assert!(self.is_closed, "rule: the end is told");
        check_closed(&mut self.client, self.now);
        if let Some(connection) = self.last_connection {
            let now = self.now;
            check_closed_ignores(&mut self.client, |client| client.0.handle_text(connection, "[]", now));
            check_closed_ignores(&mut self.client, |client| client.0.handle_connected(connection, now));
        }
        let refused = self.client.0.login(Credentials::None, self.now);
        assert_eq!(refused, Err(CommandError::Closed), "rule: a closed client takes no command");
        check_closed(&mut self.client, self.now);
    }
}
