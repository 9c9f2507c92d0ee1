//! The agent under arbitrary steps: bytes, answers, commands, tasks, waits, losses, a clock that goes backwards, the end.

use super::maker::Maker;
use super::peer::{Heard, METHOD, Peer, server_command};
use super::{cut_anywhere, session_settings, shown, token_of_another};
use crate::input::Input;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use teeth_proto::agent::{Agent, BackoffReset, CommandError, Config, Event, Output, State, TaskNumber};
use teeth_proto::command::{Command, ErrorValue, ImageId, Method, TaskState};
use teeth_proto::session::{self, Answer, AnswerToken};
use teeth_proto::wire::{Json, Object};
use teeth_proto::{CallId, ConnectionId, Dialect};
use testkit::rules::{check_after_step, check_closed, check_closed_ignores, check_command};
use testkit::secrets::{MARK, assert_debug_hides};
use testkit::{Machine, drain, epoch};
use web_time::Instant;

const MOST_STEPS: usize = 300;

/// An arbitrary list of steps, after each of which the rules hold; and the same with all bytes in one piece.
pub fn teeth_agent(data: &[u8]) {
    cut_anywhere(data, run);
}

/// Returns what came out; nothing if there can be no agent of these settings.
fn run(data: &[u8], cuts: bool) -> Option<Vec<String>> {
    let mut input = Input::new(data);
    let agent = Agent::new(config(&mut input), epoch()).ok()?;
    let mut run = Run::new(Fuzzed(agent), cuts);
    run.settle();
    for _ in 0..MOST_STEPS {
        if input.is_empty() || run.is_closed {
            break;
        }
        run.step(&mut input);
        run.settle();
    }
    Some(run.end())
}

fn config(input: &mut Input<'_>) -> Config {
    let seconds = |choice: Option<u64>| choice.map(Duration::from_secs);
    let mut config = Config::new("a:b:c:d", "0.1-dev", 7);
    session_settings(&mut config.session, input);
    config.handshake = input.below(4) != 3;
    config.methods.insert(METHOD.into());
    config.call_timeout = seconds(input.pick(&[Some(60), None, Some(1), Some(5)]));
    config.report_interval = Duration::from_secs(input.pick(&[10, 10, 1, 0]));
    config.reports = input.pick(&[None, None, Some(true), Some(false)]);
    config.repeat_unanswered_end = input.below(4) != 3;
    config.leave_timeout = Duration::from_secs(input.pick(&[10, 0, 100]));
    config.max_tasks = input.pick(&[64, 64, 1, 0]);
    config.max_ended_tasks = input.pick(&[1024, 1024, 1, 0]);
    config.backoff.factor = input.pick(&[std::f64::consts::E, 1.0, 1e300, 0.5]);
    config.backoff.spread = input.pick(&[0.119_626_564_72, 0.0, 0.5]);
    config.backoff.reset = input.pick(&[BackoffReset::Handshake, BackoffReset::Connect]);
    config
}

struct Fuzzed(Agent);

testkit::forward_machine!(Fuzzed, Output);

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Wanted,
    Open,
    /// Nothing may be transmitted any more.
    Ending,
    /// It is wanted no more.
    GivenUp,
}

/// The end that was told of a task.
struct Told {
    connection: ConnectionId,
    state: String,
}

struct Run {
    agent: Fuzzed,
    now: Instant,
    /// Whether bytes come in pieces.
    cuts: bool,
    connection: Option<(ConnectionId, Stage)>,
    last_connection: Option<ConnectionId>,
    peer: Peer,
    /// Commands of ours that have had no outcome.
    calls: BTreeSet<CallId>,
    /// All calls, also those that were given up or are over.
    known_calls: Vec<CallId>,
    /// Tokens of the connection of the moment, and of earlier ones.
    tokens: Vec<AnswerToken>,
    stale: Vec<AnswerToken>,
    /// Commands that were left unanswered.
    dropped: usize,
    tasks: Vec<TaskNumber>,
    reported: BTreeSet<TaskNumber>,
    told: BTreeMap<String, Told>,
    log: Vec<String>,
    is_closed: bool,
}

impl Run {
    fn new(agent: Fuzzed, cuts: bool) -> Self {
        let peer = Peer::new(&agent.0.config().session);
        Self {
            agent,
            now: epoch(),
            cuts,
            connection: None,
            last_connection: None,
            peer,
            calls: BTreeSet::new(),
            known_calls: Vec::new(),
            tokens: Vec::new(),
            stale: Vec::new(),
            dropped: 0,
            tasks: Vec::new(),
            reported: BTreeSet::new(),
            told: BTreeMap::new(),
            log: Vec::new(),
            is_closed: false,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.below(32) {
            0..=3 => self.connect(input),
            4..=8 => self.feed(&self.peer.answer(input), input),
            9..=14 => {
                let (method, params) = server_command(input);
                self.feed(&self.peer.command(input, method, &params), input);
            }
            15 => self.feed(&self.peer.disorder(input), input),
            16 => self.feed_many(input),
            17..=18 => self.send(input),
            19..=20 => self.answer(input),
            21..=24 => self.work(input),
            25..=27 => self.wait(),
            28 => self.now += Duration::from_millis(input.number() % 30_000),
            29 => self.lose(input),
            30 => {
                let before = self.now.checked_sub(Duration::from_millis(input.number() % 100_000));
                self.agent.handle_timeout(before.unwrap_or(now));
            }
            _ => match input.below(8) {
                0 => self.agent.0.close(now),
                1..=3 => self.agent.0.set_status_fields(Maker::new(input.clone()).status().fields, now),
                _ => self.cancel(input),
            },
        }
    }

    fn wait(&mut self) {
        if let Some(due) = self.agent.poll_timeout() {
            self.now = self.now.max(due);
            self.agent.handle_timeout(self.now);
        }
    }

    /// Some connection that there is, was or could be.
    fn some_connection(&self, input: &mut Input<'_>) -> Option<ConnectionId> {
        let current = self.connection.map(|(connection, _)| connection);
        if input.below(8) == 7 { self.last_connection } else { current }
    }

    fn connect(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.some_connection(input) else { return self.wait() };
        if input.below(4) == 3 {
            self.agent.0.handle_connect_failed(connection, self.now);
        } else {
            self.agent.0.handle_connected(connection, self.now);
        }
    }

    fn lose(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.some_connection(input) else { return };
        if input.flag() {
            self.agent.0.handle_disconnect(connection, self.now);
        } else {
            self.agent.0.handle_stalled(connection, self.now);
        }
    }

    fn feed_many(&mut self, input: &mut Input<'_>) {
        let mut bytes = Vec::new();
        for _ in 0..input.below(6) {
            let (method, params) = server_command(input);
            bytes.extend(self.peer.command(input, method, &params));
            bytes.extend(if input.flag() { self.peer.answer(input) } else { Vec::new() });
        }
        self.feed(&bytes, input);
    }

    /// Feeds bytes, whole or in pieces. Time stands still between them.
    fn feed(&mut self, bytes: &[u8], input: &mut Input<'_>) {
        let piece = input.pick(&[usize::MAX, usize::MAX, 1, 7, 40]);
        let Some((connection, stage)) = self.connection else { return };
        if stage == Stage::Open {
            self.peer.says(bytes);
        }
        for piece in bytes.chunks(if self.cuts { piece } else { usize::MAX }) {
            self.agent.0.handle_bytes(connection, piece, self.now);
            let outputs = drain(&mut self.agent);
            outputs.into_iter().for_each(|output| self.carry_out(output));
        }
    }

    fn send(&mut self, input: &mut Input<'_>) {
        let mut maker = Maker::new(input.clone());
        let command = match input.below(4) {
            0 => Command::Log(maker.log_entry()),
            1 => Command::Ping(maker.object()),
            2 => Command::Other { method: Method::from(METHOD), params: maker.object() },
            _ => maker.command(),
        };
        let now = self.now;
        let sent = check_command(&mut self.agent, |agent| agent.0.send(&command, now));
        match sent {
            Ok(call) => {
                assert!(
                    self.known_calls.iter().all(|known| *known < call),
                    "rule: an id is never used twice"
                );
                self.calls.insert(call);
                self.known_calls.push(call);
            }
            Err(error) => assert!(!error.to_string().contains(MARK)),
        }
    }

    fn cancel(&mut self, input: &mut Input<'_>) {
        if self.known_calls.is_empty() {
            return;
        }
        let call = input.pick(&self.known_calls);
        let deadline = self.agent.poll_timeout();
        self.agent.0.cancel(call, self.now);
        if !self.calls.remove(&call) {
            assert!(self.agent.poll_output().is_none(), "rule: an id that is not known is ignored");
            assert!(self.agent.poll_timeout() == deadline, "rule: an id that is not known is ignored");
        }
    }

    fn answer(&mut self, input: &mut Input<'_>) {
        let limit = self.agent.0.config().session.max_sent_line;
        let answer = match input.below(4) {
            0 => Answer::Done,
            1 => Answer::Error(ErrorValue::new("no")),
            2 if limit < 100_000 => Answer::Error(ErrorValue::new(&"x".repeat(limit))),
            _ => Answer::Result(Object::parse("{\"a\":[1]}").expect("it is an object")),
        };
        let place = input.below(self.tokens.len());
        match input.below(8) {
            0 if !self.tokens.is_empty() => {
                drop(self.tokens.swap_remove(place));
                self.dropped += 1;
            }
            1 => self.refused_answer(token_of_another(), answer),
            2 => {
                if let Some(token) = self.stale.pop() {
                    self.refused_answer(token, answer);
                }
            }
            _ if !self.tokens.is_empty() => {
                let token = self.tokens.swap_remove(place);
                match self.agent.0.respond(token, answer, self.now) {
                    // The peer gets an error instead of an answer that is too long.
                    Ok(()) | Err(CommandError::Session(session::CommandError::TooLong)) => {
                        assert!(self.agent.0.queued_bytes() > 0)
                    }
                    Err(error) => panic!("rule: a command of an open connection can be answered; {error}"),
                }
            }
            _ => {}
        }
    }

    fn refused_answer(&mut self, token: AnswerToken, answer: Answer) {
        let now = self.now;
        let refused = check_command(&mut self.agent, |agent| agent.0.respond(token, answer, now));
        assert_eq!(
            refused,
            Err(session::CommandError::NotAnswerable.into()),
            "rule: a token fits its connection only"
        );
    }

    /// Does something to a task, also to one that is over.
    fn work(&mut self, input: &mut Input<'_>) {
        if self.tasks.is_empty() {
            return;
        }
        let (task, now) = (input.pick(&self.tasks), self.now);
        let percent = input.float();
        let eta = input.flag().then(|| Duration::from_secs(input.number()));
        let choice = input.below(8);
        let text = "no space ".repeat(input.pick(&[1, 1, 8_000]));
        let done = check_command(&mut self.agent, |Fuzzed(agent)| match choice {
            0 | 1 => agent.progress(task, percent, eta, now),
            2 => agent.held(task, vec![ImageId::from("x"); 3], now),
            3 => agent.complete(task, now),
            4 => agent.fail(task, &text, now),
            5 | 6 => agent.step_done(task, now),
            _ => agent.kexec_target(task, percent > 0.0, now),
        });
        let is_over = self.reported.contains(&task);
        assert!(done.is_err() || !is_over, "rule: nothing can be done to a task that is over");
    }

    /// Checks what holds at any time.
    fn settle(&mut self) {
        let queued = self.agent.0.queued_bytes();
        let outputs = drain(&mut self.agent);
        let length =
            |output: &Output| if let Output::Transmit { bytes, .. } = output { bytes.len() } else { 0 };
        assert_eq!(queued, outputs.iter().map(length).sum::<usize>(), "rule: queued bytes are counted");
        assert_eq!(self.agent.0.queued_bytes(), 0, "rule: queued bytes are counted");
        outputs.into_iter().for_each(|output| self.carry_out(output));
        for output in check_after_step(&mut self.agent, self.now) {
            self.carry_out(output);
        }
        assert_eq!(self.dropped, 0, "rule: a dropped token is noticed at once");
        self.limits();
        self.whereabouts();
    }

    fn limits(&self) {
        let config = self.agent.0.config();
        let calls = self.peer.unanswered.len();
        assert!(
            self.connection.is_none() || calls <= config.session.max_calls + config.session.max_abandoned,
            "rule: open calls have a limit"
        );
        assert!(self.tokens.len() <= config.session.max_unanswered, "rule: unanswered commands have a limit");
        let unfinished = self.agent.0.tasks().filter(|(_, task)| task.state() == TaskState::Running);
        assert!(unfinished.count() <= config.max_tasks, "rule: tasks have a limit");
        if self.agent.0.state() == State::Ready && self.peer.unanswered.is_empty() {
            let told = self.agent.0.tasks().all(|(_, task)| task.state() == TaskState::Running);
            assert!(told, "rule: a task whose end the server knows is over");
        }
    }

    fn whereabouts(&self) {
        let stage = self.connection.map(|(_, stage)| stage);
        let expected = match self.agent.0.state() {
            State::Connecting => Some(Stage::Wanted),
            State::Handshaking | State::Ready | State::Refused => Some(Stage::Open),
            _ => None,
        };
        assert_eq!(stage, expected, "rule: the state is what was told");
        assert!(self.connection.map(|(connection, _)| connection) == self.agent.0.connection());
        let waits = matches!(self.agent.0.state(), State::Waiting | State::Connecting);
        assert!(!waits || self.agent.poll_timeout().is_some(), "rule: an agent that waits wakes up");
    }

    fn carry_out(&mut self, output: Output) {
        assert!(!self.is_closed, "rule: nothing follows the end; there was {output:?}");
        let bytes: &[u8] = if let Output::Transmit { bytes, .. } = &output { bytes } else { &[] };
        let shown = shown(&output, bytes);
        assert!(!shown.contains(MARK), "rule: no secret shows");
        self.log.push(shown);
        match output {
            Output::Connect { connection, .. } => {
                assert!(self.connection.is_none(), "rule: one connection at a time");
                assert!(
                    self.last_connection.is_none_or(|last| last < connection),
                    "rule: an id is never used twice"
                );
                self.connection = Some((connection, Stage::Wanted));
                self.last_connection = Some(connection);
            }
            Output::Transmit { connection, bytes } => self.transmitted(connection, &bytes),
            Output::Disconnect { connection } | Output::Abort { connection } => {
                let (current, stage) = self.connection.expect("rule: only what was wanted ends");
                assert_eq!(current, connection);
                let ending = if stage == Stage::Wanted { Stage::GivenUp } else { Stage::Ending };
                self.connection = Some((connection, ending));
            }
            Output::Event(event) => self.event(event),
        }
    }

    fn transmitted(&mut self, connection: ConnectionId, bytes: &[u8]) {
        assert!(
            self.connection == Some((connection, Stage::Open)),
            "rule: only an open connection is written to"
        );
        let first = self.peer.heard == 0;
        let Some(heard) = self.peer.hears(bytes) else { return };
        if first && self.agent.0.config().handshake {
            assert_eq!(heard.method, "handshake", "rule: the handshake comes first");
        } else {
            assert_ne!(heard.method, "handshake", "rule: the handshake comes once");
        }
        if heard.method == "task_status" && self.agent.0.config().session.dialect == Dialect::Document {
            self.update(connection, &heard);
        }
    }

    /// After `error` or `complete` nothing follows for a task, except for the same over another connection.
    fn update(&mut self, connection: ConnectionId, heard: &Heard) {
        let text = |name| heard.params.get(name).map(|value| value.text().to_owned()).unwrap_or_default();
        let (task, state) = (text("task_id"), text("state"));
        if let Some(told) = self.told.get(&task) {
            let is_repeated = told.state == state && told.connection != connection;
            let may_be = is_repeated && self.agent.0.config().repeat_unanswered_end;
            assert!(may_be, "rule: nothing follows the end of a task; {state} followed {}", told.state);
        }
        if state == "\"running\"" {
            let number = |name| heard.params.get(name).and_then(|value| value.as_f64());
            assert!(number("percent").is_some_and(|percent| (0.0..=100.0).contains(&percent)));
            assert!(number("eta").is_some_and(|eta| eta >= 0.0), "rule: a running task has eta and percent");
        } else {
            self.told.insert(task, Told { connection, state });
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Connected { connection } => {
                assert!(
                    self.connection == Some((connection, Stage::Wanted)),
                    "rule: only what was wanted opens"
                );
                self.connection = Some((connection, Stage::Open));
                self.peer = Peer::new(&self.agent.0.config().session);
            }
            Event::ConnectFailed { connection } | Event::ConnectionEnded { connection, .. } => {
                assert_eq!(self.connection.take().map(|(current, _)| current), Some(connection));
                let open = self.calls.iter().any(|call| call.connection() == connection);
                assert!(!open, "rule: the end of a connection ends its calls");
                self.stale.append(&mut self.tokens);
                self.dropped = 0;
            }
            Event::Waiting { wait } => assert!(!wait.is_zero(), "rule: nothing spins"),
            Event::Command { token, .. } => self.tokens.push(token),
            // One that the agent could not answer itself is told as well.
            Event::AnswerDropped { method } if method == Json::from(METHOD) => {
                self.dropped = self.dropped.saturating_sub(1);
            }
            Event::Replied { call, .. } | Event::Lost { call, .. } => {
                assert!(self.calls.remove(&call), "rule: a call has one outcome");
            }
            Event::TaskBegun { task, command } => {
                assert!(self.tasks.iter().all(|known| *known < task), "rule: a number is never used twice");
                self.tasks.push(task);
                self.told.remove(command.task_id.json().text());
            }
            Event::TaskReported { task, .. } => {
                assert!(self.reported.insert(task), "rule: a task is over once")
            }
            Event::Closed => {
                self.is_closed = true;
                self.connection = self.connection.filter(|(_, stage)| *stage != Stage::GivenUp);
            }
            _ => {}
        }
    }

    fn end(mut self) -> Vec<String> {
        assert_debug_hides(&self.agent.0);
        self.agent.0.tasks().for_each(|(_, task)| assert_debug_hides(task));
        self.agent.0.close(self.now);
        self.settle_closed();
        check_closed(&mut self.agent, self.now);
        let now = self.now;
        check_closed_ignores(&mut self.agent, |agent| agent.0.close(now));
        if let Some(connection) = self.last_connection {
            check_closed_ignores(&mut self.agent, |agent| agent.0.handle_connected(connection, now));
            check_closed_ignores(&mut self.agent, |agent| agent.0.handle_connect_failed(connection, now));
            check_closed_ignores(&mut self.agent, |agent| agent.0.handle_bytes(connection, b"{}\n", now));
            check_closed_ignores(&mut self.agent, |agent| agent.0.handle_stalled(connection, now));
            check_closed_ignores(&mut self.agent, |agent| agent.0.handle_disconnect(connection, now));
        }
        if let Some(&task) = self.tasks.last() {
            let done = check_command(&mut self.agent, |agent| agent.0.complete(task, now));
            assert_eq!(done, Err(CommandError::UnknownTask));
        }
        let sent = check_command(&mut self.agent, |agent| agent.0.send(&Command::Ping(Object::new()), now));
        assert_eq!(sent, Err(session::CommandError::NotConnected.into()));
        self.stale.append(&mut self.tokens);
        if let Some(token) = self.stale.pop() {
            self.refused_answer(token, Answer::Done);
        }
        self.stale.clear();
        check_closed(&mut self.agent, self.now);
        self.log
    }

    fn settle_closed(&mut self) {
        let outputs = drain(&mut self.agent);
        outputs.into_iter().for_each(|output| self.carry_out(output));
        assert!(
            self.is_closed && self.calls.is_empty(),
            "rule: the end is announced, after that of all calls"
        );
        assert!(self.agent.0.is_closed() && self.agent.0.tasks().next().is_none());
    }
}
