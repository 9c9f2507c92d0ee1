//! The runtime under arbitrary steps: editors that come, speak and go, messages, look-ups, waits, the end.

use super::holds_mark;
use crate::input::Input;
use nodered_comms::debug::{DebugLevel, DebugValue};
use nodered_comms::event::Notification;
use nodered_comms::runtime::{
    Access, CommandError, Config, Era, Event, LookUpId, Output, Overflow, Runtime, Scope, User,
};
use nodered_comms::wire::{Frame, Item, Json, Message, decode_frame};
use nodered_comms::{ConnectionId, Secret};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use testkit::rules::{check_after_step, check_closed, check_command};
use testkit::secrets::{assert_debug_hides, marked};
use testkit::{Machine as _, drain, epoch};
use web_time::Instant;

const MOST_STEPS: usize = 300;

/// What an editor may send. `SECRET` stands for a secret.
const FRAMES: [&str; 18] = [
    "{\"auth\":\"SECRET\"}",
    "{\"auth\":\"SECRET\"}",
    "{\"auth\":\"SECRET\"}",
    "{\"auth\":7}",
    "{\"auth\":\"\"}",
    "{\"auth\":\"\\ud800\"}",
    "{\"subscribe\":\"#\"}",
    "{\"subscribe\":\"+/#\"}",
    "{\"subscribe\":\"a/b\"}",
    "{\"subscribe\":\"status/#\"}",
    "{\"subscribe\":7}",
    "{\"subscribe\":\"\"}",
    "{\"topic\":\"multiplayer/connect\",\"data\":{\"session\":\"SECRET\"}}",
    "{\"topic\":7}",
    "{\"topic\":\"t\"}",
    "null",
    "nope SECRET",
    "[]",
];

/// Messages on this topic are numbered.
const NUMBERED: &str = "live";

/// An arbitrary list of steps, after each of which the rules hold.
pub fn nodered_runtime(data: &[u8]) {
    if holds_mark(data) {
        return;
    }
    let mut input = Input::new(data);
    let Ok(runtime) = Runtime::new(config(&mut input), epoch()) else { return };
    let mut run = Run::new(Fuzzed(runtime));
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
    let access = match input.below(4) {
        0 => Access::Open,
        1 => Access::Users,
        2 => Access::UsersOr(User::anonymous(Scope::from("read"))),
        _ => Access::UsersOr(User::anonymous(Scope::from("flows.read"))),
    };
    let mut config = Config::new(access, input.pick(&[1_700_000_000_000.0, 0.5, f64::NAN]));
    config.era = input.pick(&[Era::Today, Era::AnySize, Era::FirstAtOnce, Era::Document]);
    config.batch_delay = Duration::from_millis(input.pick(&[50, 50, 1, 0]));
    config.batch_size = input.pick(&[50, 2, 1, 0]);
    config.heartbeat_interval =
        input.pick(&[Some(Duration::from_secs(15)), None, Some(Duration::from_millis(7))]);
    config.expiry_grace = Duration::from_secs(input.pick(&[5, 0]));
    config.max_connections = input.pick(&[65_536, 4, 1, 0]);
    config.max_frame = input.pick(&[100 << 20, 40, 0]);
    config.max_held = input.pick(&[64 << 10, 60, 0]);
    config.max_queued = input.pick(&[100_000, 4, 1]);
    config.max_queued_bytes = input.pick(&[16 << 20, 100, 10]);
    config.overflow = input.pick(&[Overflow::CutOff, Overflow::DropOldest]);
    config.max_retained = input.pick(&[65_536, 2, 0]);
    config
}

struct Fuzzed(Runtime);

testkit::forward_machine!(Fuzzed, Output);

#[derive(Default)]
struct Editor {
    is_active: bool,
    /// The last numbered message that came.
    last: u64,
    /// Numbered messages that have not come.
    owed: BTreeSet<u64>,
    /// Messages were lost.
    has_lost: bool,
}

struct Run {
    runtime: Fuzzed,
    now: Instant,
    editors: BTreeMap<ConnectionId, Editor>,
    last_connection: Option<ConnectionId>,
    over: Vec<ConnectionId>,
    look_ups: Vec<LookUpId>,
    last_look_up: Option<LookUpId>,
    published: u64,
    is_closed: bool,
}

impl Run {
    fn new(runtime: Fuzzed) -> Self {
        Self {
            runtime,
            now: epoch(),
            editors: BTreeMap::new(),
            last_connection: None,
            over: Vec::new(),
            look_ups: Vec::new(),
            last_look_up: None,
            published: 0,
            is_closed: false,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.below(32) {
            0..=3 => self.accept(input),
            4..=9 => self.frame(input),
            10..=12 => self.looked_up(input),
            13..=16 => self.number(input),
            17..=19 => self.publish(input),
            20..=21 => self.special(input),
            22..=25 => self.wait(),
            26 => self.now += Duration::from_millis(input.number() % 20_000),
            27 => {
                let before = self.now.checked_sub(Duration::from_millis(input.number() % 100_000));
                self.runtime.handle_timeout(before.unwrap_or(now));
            }
            28..=29 => self.lose(input),
            30 => self.stale(input),
            _ => {
                if input.below(8) == 0 {
                    self.runtime.0.close(now);
                }
            }
        }
    }

    fn wait(&mut self) {
        if let Some(due) = self.runtime.poll_timeout() {
            self.now = self.now.max(due);
            self.runtime.handle_timeout(self.now);
        }
    }

    fn some(&self, input: &mut Input<'_>) -> Option<ConnectionId> {
        let all: Vec<_> = self.editors.keys().copied().collect();
        (!all.is_empty()).then(|| input.pick(&all))
    }

    fn user(input: &mut Input<'_>) -> User {
        let mut user = User::new("u", Scope::from(input.pick(&["*", "*", "status.read", "flows.read", ""])));
        user.expires_in =
            input.pick(&[None, Some(Duration::from_secs(3)), Some(Duration::ZERO), Some(Duration::MAX)]);
        user
    }

    fn accept(&mut self, input: &mut Input<'_>) {
        let connection = match input.below(4) {
            3 => self.runtime.0.accept_user(Self::user(input), self.now),
            _ => self.runtime.0.accept(self.now),
        };
        assert!(self.last_connection < Some(connection), "rule: an id is never used twice");
        self.last_connection = Some(connection);
        self.editors.insert(connection, Editor::default());
    }

    fn frame(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.some(input) else { return };
        let text = match input.below(20) {
            known if known < FRAMES.len() => FRAMES[known].replace("SECRET", &marked(1)),
            _ => String::from_utf8_lossy(input.bytes()).into_owned(),
        };
        self.runtime.0.handle_text(connection, &text, self.now);
    }

    fn looked_up(&mut self, input: &mut Input<'_>) {
        let place = input.below(self.look_ups.len());
        if self.look_ups.is_empty() {
            return self.accept(input);
        }
        let id = self.look_ups.swap_remove(place);
        let user = Self::user(input);
        for _ in 0..2 {
            let user = Some(user.clone()).filter(|_| input.below(3) != 0);
            self.runtime.0.handle_user(id, user, self.now);
        }
    }

    /// Publishes a numbered message: who is active now gets it, in order and once.
    fn number(&mut self, input: &mut Input<'_>) {
        self.published += 1;
        let data = Json::encode(&self.published).expect("a number is JSON");
        let target = self.some(input);
        let (now, number) = (self.now, self.published);
        let done = match (input.below(4), target) {
            (0, Some(target)) => {
                let done = check_command(&mut self.runtime, |Fuzzed(runtime)| {
                    runtime.publish_to(target, NUMBERED, data.as_ref(), now)
                });
                let is_active = self.editors[&target].is_active;
                assert_eq!(done.is_ok(), is_active, "rule: an active connection gets messages");
                self.owe(number, |id| id == target && is_active);
                return;
            }
            (1, Some(other)) => {
                self.owe(number, |id| id != other);
                self.runtime.0.publish_except(other, NUMBERED, data.as_ref(), false, now)
            }
            _ => {
                self.owe(number, |_| true);
                self.runtime.0.publish(NUMBERED, data.as_ref(), false, now)
            }
        };
        done.expect("an open runtime publishes");
    }

    fn owe(&mut self, number: u64, is_meant: impl Fn(ConnectionId) -> bool) {
        for (id, editor) in &mut self.editors {
            if editor.is_active && is_meant(*id) {
                editor.owed.insert(number);
            }
        }
    }

    fn publish(&mut self, input: &mut Input<'_>) {
        let topic = input.pick(&["a/b", "c", "", "status/n1", "7", "hb", "a\"\u{e9}"]);
        let data = match input.below(6) {
            0 => Json::null(),
            1 => Json::from(""),
            2 => Json::from(&*marked(2)),
            3 => Json::from(&*"x".repeat(200)),
            4 => Json::encode(&0).expect("a number is JSON"),
            _ => Json::empty_object(),
        };
        let (now, retain) = (self.now, input.flag());
        let done = check_command(&mut self.runtime, |Fuzzed(runtime)| {
            runtime.publish(topic, data.as_ref(), retain, now)
        });
        done.expect("an open runtime publishes");
        let is_retained = self.runtime.0.retained().any(|known| known == topic);
        assert!(retain || !is_retained, "rule: what is not to be retained is not");
    }

    fn special(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        let given =
            Json::parse(input.pick(&["{\"text\":\"on\"}", "{}", "5", "null", "{\"fill\":0,\"x\":1}"]));
        let given = given.expect("it is JSON");
        let node = input.pick(&["n1", "n2", ""]);
        let runtime = &mut self.runtime.0;
        let done = match input.below(5) {
            0 | 1 => runtime.status(node, given.as_ref(), now),
            2 => {
                runtime.withdraw_status(node, now);
                Ok(())
            }
            3 => {
                let id = input.pick(&["runtime-deploy", "runtime-state", "update-available", "x", ""]);
                runtime.notify(&Notification::from_parts(id, given.as_ref()), now)
            }
            _ => {
                let level = DebugLevel::from(input.pick(&[20, 30, 40, 50]));
                runtime.log(level, &DebugValue::from(marked(3)), input.float(), input.below(100), now)
            }
        };
        done.expect("an open runtime publishes");
    }

    fn lose(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.some(input) else { return };
        match input.below(4) {
            0 => self.runtime.0.end_session(connection, self.now),
            1 => self.runtime.0.handle_stalled(connection, self.now),
            2 => self.runtime.0.disconnect(connection, self.now),
            _ => self.runtime.0.handle_disconnect(connection, self.now),
        }
    }

    /// Inputs for what is over do nothing.
    fn stale(&mut self, input: &mut Input<'_>) {
        if self.over.is_empty() {
            return;
        }
        let (connection, now) = (input.pick(&self.over), self.now);
        let deadline = self.runtime.poll_timeout();
        match input.below(5) {
            0 => self.runtime.0.handle_text(connection, "{\"auth\":\"x\"}", now),
            1 => self.runtime.0.handle_disconnect(connection, now),
            2 => self.runtime.0.disconnect(connection, now),
            3 => self.runtime.0.handle_stalled(connection, now),
            _ => {
                let data = Json::from("x");
                let refused = self.runtime.0.publish_to(connection, "x", data.as_ref(), now);
                assert_eq!(refused, Err(CommandError::NotActive), "rule: what is over gets no messages");
            }
        }
        let outputs = drain(&mut self.runtime);
        assert!(outputs.is_empty(), "rule: input for what is over is ignored; {outputs:?}");
        assert!(self.runtime.poll_timeout() == deadline, "rule: input for what is over is ignored");
    }

    /// Checks what holds at any time.
    fn settle(&mut self) {
        drain(&mut self.runtime).into_iter().for_each(|output| self.carry_out(output));
        for output in check_after_step(&mut self.runtime, self.now) {
            self.carry_out(output);
        }
        assert_debug_hides(&self.runtime.0);
        let runtime = &self.runtime.0;
        let config = runtime.config();
        let connections: Vec<_> = runtime.connections().collect();
        assert!(connections.iter().eq(self.editors.keys()), "rule: what ends is told");
        assert!(connections.len() <= config.max_connections, "rule: connections have a limit");
        assert!(runtime.retained().count() <= config.max_retained, "rule: retained messages have a limit");
        assert_eq!(runtime.is_closed(), self.is_closed, "rule: the end is told");
        for connection in connections {
            let (messages, bytes) = runtime.queued(connection);
            assert!(messages <= config.max_queued, "rule: what waits has a limit");
            // One message that is longer than the limit may wait by itself.
            assert!(bytes <= config.max_queued_bytes || messages == 1, "rule: what waits has a limit");
            let editor = &self.editors[&connection];
            assert_eq!(runtime.is_active(connection), editor.is_active, "rule: who is active is told");
            assert!(messages == 0 || runtime.poll_timeout().is_some(), "rule: what waits goes out");
            if messages == 0 && !editor.has_lost {
                assert!(editor.owed.is_empty(), "rule: who is active gets every message; {:?}", editor.owed);
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        assert!(!self.is_closed, "rule: nothing follows the end; there was {output:?}");
        assert_debug_hides(&output);
        match output {
            Output::Transmit { connection, text } => self.transmitted(connection, &text),
            Output::Disconnect { connection, .. } => {
                assert!(self.editors.contains_key(&connection), "rule: only what is open ends");
            }
            Output::LookUp { id, token } => {
                assert!(self.last_look_up < Some(id), "rule: an id is never used twice");
                assert!(
                    !token.expose().is_empty() && token != Secret::default(),
                    "rule: a token is a string"
                );
                self.last_look_up = Some(id);
                self.look_ups.push(id);
            }
            Output::Event(event) => self.event(event),
        }
    }

    fn transmitted(&mut self, connection: ConnectionId, text: &[u8]) {
        let config = self.runtime.0.config();
        let text = std::str::from_utf8(text).expect("rule: a frame is UTF-8");
        let frame = decode_frame(text).expect("rule: a frame is JSON");
        let editor = self.editors.get_mut(&connection).expect("rule: only what is open is written to");
        match &frame {
            Frame::Bare(Some(Item::Auth(_))) => {}
            Frame::Bare(item) => {
                assert!(item.is_some() && config.era == Era::Document, "rule: messages go out in arrays");
            }
            Frame::Batch(items) => {
                assert!(config.era != Era::Document, "rule: messages go out by themselves");
                let most = if config.era == Era::Today { config.batch_size } else { usize::MAX };
                assert!(items.len() <= most, "rule: a frame has a limit; {}", items.len());
            }
        }
        for item in frame.items() {
            let Item::Message(Message { topic, data }) = item else { continue };
            assert!(data.is_some_and(|data| data.is_truthy()), "rule: a message has truthy data");
            if topic == NUMBERED {
                let number = data.and_then(|data| data.decode().ok()).expect("it is a number");
                assert!(editor.last < number, "rule: messages come in order and once");
                assert!(editor.owed.remove(&number), "rule: only who was active gets a message");
                editor.last = number;
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Active { connection, user } => {
                let editor =
                    self.editors.get_mut(&connection).expect("rule: only what is open becomes active");
                editor.is_active = true;
                let is_open = self.runtime.0.config().access == Access::Open;
                assert!(is_open || user.is_some(), "rule: without a user nobody listens");
            }
            Event::Dropped { connection, messages } => {
                let is_wanted = self.runtime.0.config().overflow == Overflow::DropOldest;
                assert!(is_wanted, "rule: messages are lost only where that is wanted");
                let editor = self.editors.get_mut(&connection);
                let editor = editor.expect("rule: only what is open loses messages");
                assert!(messages > 0, "rule: who lost nothing is told nothing");
                editor.has_lost = true;
            }
            Event::ConnectionEnded { connection, .. } => {
                assert!(self.editors.remove(&connection).is_some(), "rule: what is open ends once");
                self.over.push(connection);
            }
            Event::Closed => {
                assert!(self.editors.is_empty(), "rule: every end is told before the last");
                self.is_closed = true;
            }
            _ => {}
        }
    }

    fn end(mut self) {
        self.runtime.0.close(self.now);
        self.settle();
        assert!(self.is_closed, "rule: the end is told");
        check_closed(&mut self.runtime, self.now);
        let refused = self.runtime.0.publish("x", Json::from("x").as_ref(), true, self.now);
        assert_eq!(refused, Err(CommandError::Closed), "rule: a closed runtime takes no command");
        for id in std::mem::take(&mut self.look_ups) {
            self.runtime.0.handle_user(id, Some(User::new("u", Scope::from("*"))), self.now);
        }
        check_closed(&mut self.runtime, self.now);
    }
}
