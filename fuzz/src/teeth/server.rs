//! The server under arbitrary steps: agents that come and go, bytes, answers, commands, tasks, waits, the end.

use super::maker::Maker;
use super::peer::{METHOD, Peer, TASKS, agent_command};
use super::{cut_anywhere, session_settings, shown, token_of_another};
use crate::input::Input;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use teeth_proto::command::{Command, ConfigDrive, ErrorValue, Method, TaskCommand, TaskId, Work};
use teeth_proto::server::{CommandError, Config, Event, Output, Server, Task};
use teeth_proto::session::{self, Answer, AnswerToken};
use teeth_proto::wire::Object;
use teeth_proto::{CallId, ConnectionId, Dialect};
use testkit::rules::{check_after_step, check_closed, check_closed_ignores, check_command};
use testkit::secrets::{MARK, assert_debug_hides, marked};
use testkit::{Machine, drain, epoch};
use web_time::Instant;

const MOST_STEPS: usize = 300;

/// An arbitrary list of steps, after each of which the rules hold; and the same with all bytes in one piece.
pub fn teeth_server(data: &[u8]) {
    cut_anywhere(data, run);
}

/// Returns what came out; nothing if there can be no server of these settings.
fn run(data: &[u8], cuts: bool) -> Option<Vec<String>> {
    let mut input = Input::new(data);
    let server = Server::new(config(&mut input), epoch()).ok()?;
    let mut run = Run::new(Fuzzed(server), cuts);
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
    let mut config = Config::new(7);
    session_settings(&mut config.session, input);
    config.methods.insert(METHOD.into());
    config.pings = input.flag();
    config.call_timeout = seconds(input.pick(&[Some(60), None, Some(1), Some(5)]));
    config.follows_tasks = input.pick(&[None, None, Some(true), Some(false)]);
    config.max_connections = input.pick(&[65_536, 65_536, 2, 0]);
    config.max_tasks = input.pick(&[65_536, 65_536, 1, 0]);
    config.max_ended_tasks = input.pick(&[65_536, 65_536, 1, 0]);
    config
}

struct Fuzzed(Server);

testkit::forward_machine!(Fuzzed, Output);

/// One agent, played by hand.
struct Link {
    peer: Peer,
    tokens: Vec<AnswerToken>,
    /// Commands that were left unanswered.
    dropped: usize,
    /// Nothing may be transmitted any more.
    is_ending: bool,
}

struct Run {
    server: Fuzzed,
    now: Instant,
    /// Whether bytes come in pieces.
    cuts: bool,
    links: BTreeMap<ConnectionId, Link>,
    all: Vec<ConnectionId>,
    /// Commands of ours that have had no outcome.
    calls: BTreeSet<CallId>,
    /// All calls, also those that were given up or are over.
    known_calls: Vec<CallId>,
    /// Tokens of connections that are over.
    stale: Vec<AnswerToken>,
    log: Vec<String>,
    is_closed: bool,
}

impl Run {
    fn new(server: Fuzzed, cuts: bool) -> Self {
        Self {
            server,
            now: epoch(),
            cuts,
            links: BTreeMap::new(),
            all: Vec::new(),
            calls: BTreeSet::new(),
            known_calls: Vec::new(),
            stale: Vec::new(),
            log: Vec::new(),
            is_closed: false,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.below(32) {
            0..=1 => self.accept(),
            2..=5 => self.feed(input, |peer, input| peer.answer(input)),
            6..=13 => self.feed(input, |peer, input| {
                let (method, params) = agent_command(input);
                peer.command(input, method, &params)
            }),
            14 => self.feed(input, |peer, input| peer.disorder(input)),
            15 => self.feed(input, many),
            16..=20 => self.send(input),
            21..=22 => self.answer(input),
            23 => self.cancel(input),
            24..=26 => self.wait(),
            27 => self.now += Duration::from_millis(input.number() % 30_000),
            28 => self.lose(input),
            29 => {
                let before = self.now.checked_sub(Duration::from_millis(input.number() % 100_000));
                self.server.handle_timeout(before.unwrap_or(now));
            }
            30 => self.forget(input),
            _ => {
                if input.below(8) == 0 {
                    self.server.0.close(now);
                }
            }
        }
    }

    fn wait(&mut self) {
        if let Some(due) = self.server.poll_timeout() {
            self.now = self.now.max(due);
            self.server.handle_timeout(self.now);
        }
    }

    /// Some connection that there is, or was.
    fn some_connection(&self, input: &mut Input<'_>) -> Option<ConnectionId> {
        if self.all.is_empty() {
            return None;
        }
        let place = input.below(self.links.len());
        let current = self.links.keys().nth(place).copied();
        if input.below(8) == 7 { Some(input.pick(&self.all)) } else { current }
    }

    fn accept(&mut self) {
        let connection = self.server.0.accept(self.now);
        assert!(self.all.last().is_none_or(|last| *last < connection), "rule: an id is never used twice");
        self.all.push(connection);
        let peer = Peer::new(&self.server.0.config().session);
        self.links.insert(connection, Link { peer, tokens: Vec::new(), dropped: 0, is_ending: false });
    }

    /// Feeds bytes, whole or in pieces. Time stands still between them.
    fn feed(&mut self, input: &mut Input<'_>, make: impl FnOnce(&Peer, &mut Input<'_>) -> Vec<u8>) {
        let Some(connection) = self.some_connection(input) else { return };
        let Some(link) = self.links.get_mut(&connection) else {
            self.server.0.handle_bytes(connection, b"{}\n", self.now);
            return assert!(
                self.server.poll_output().is_none(),
                "rule: a connection that is over is ignored"
            );
        };
        let bytes = make(&link.peer, input);
        link.peer.says(&bytes);
        let piece = input.pick(&[usize::MAX, usize::MAX, 1, 7, 40]);
        for piece in bytes.chunks(if self.cuts { piece } else { usize::MAX }) {
            self.server.0.handle_bytes(connection, piece, self.now);
            let outputs = drain(&mut self.server);
            outputs.into_iter().for_each(|output| self.carry_out(output));
        }
    }

    fn lose(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.some_connection(input) else { return };
        match input.below(3) {
            0 => self.server.0.handle_disconnect(connection, self.now),
            1 => self.server.0.handle_stalled(connection, self.now),
            _ => self.server.0.disconnect(connection, self.now),
        }
    }

    fn send(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.some_connection(input) else { return };
        let command = command(input);
        let now = self.now;
        let sent = check_command(&mut self.server, |server| server.0.send(connection, &command, now));
        match sent {
            Ok(call) => {
                assert_eq!(call.connection(), connection);
                assert!(!self.known_calls.contains(&call), "rule: an id is never used twice");
                self.calls.insert(call);
                self.known_calls.push(call);
                if let Command::Task(task) = &command
                    && self.follows()
                {
                    let known = self.server.0.task(connection, &task.task_id);
                    assert!(known.is_some_and(|known| known.state.is_none()), "rule: a task is followed");
                }
            }
            Err(error) => assert!(!error.to_string().contains(MARK)),
        }
    }

    fn follows(&self) -> bool {
        let config = self.server.0.config();
        config.follows_tasks.unwrap_or(config.session.dialect == Dialect::Document)
    }

    fn cancel(&mut self, input: &mut Input<'_>) {
        if self.known_calls.is_empty() {
            return;
        }
        let call = input.pick(&self.known_calls);
        let deadline = self.server.poll_timeout();
        self.server.0.cancel(call, self.now);
        if !self.calls.remove(&call) {
            assert!(self.server.poll_timeout() == deadline, "rule: an id that is not known is ignored");
        }
        let outputs = drain(&mut self.server);
        let is_silent = outputs.is_empty();
        outputs.into_iter().for_each(|output| self.carry_out(output));
        let is_open = self.links.contains_key(&call.connection());
        assert!(is_silent || !is_open, "rule: giving up is silent, or once too often");
    }

    fn answer(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.some_connection(input) else { return };
        let limit = self.server.0.config().session.max_sent_line;
        let answer = match input.below(4) {
            0 => Answer::Done,
            1 => Answer::Error(ErrorValue::new("no")),
            2 if limit < 100_000 => Answer::Error(ErrorValue::new(&"x".repeat(limit))),
            _ => Answer::Result(Object::parse("{\"a\":[1]}").expect("it is an object")),
        };
        let choice = input.below(8);
        let now = self.now;
        match (choice, self.links.get_mut(&connection)) {
            (0, Some(link)) => {
                drop(link.tokens.pop().inspect(|_| link.dropped += 1));
            }
            (1, _) => self.refused_answer(connection, token_of_another(), answer),
            (2, _) => {
                if let Some(token) = self.stale.pop() {
                    self.refused_answer(connection, token, answer);
                }
            }
            (3, Some(_)) => self.answer_over_another(connection, answer),
            (4.., Some(link)) => {
                let Some(token) = link.tokens.pop() else { return };
                match self.server.0.respond(connection, token, answer, now) {
                    // The peer gets an error instead of an answer that is too long.
                    Ok(()) | Err(CommandError::Session(session::CommandError::TooLong)) => {
                        assert!(self.server.0.queued_bytes(connection) > 0)
                    }
                    Err(error) => panic!("rule: a command of an open connection can be answered; {error}"),
                }
            }
            _ => {}
        }
    }

    fn refused_answer(&mut self, connection: ConnectionId, token: AnswerToken, answer: Answer) {
        let now = self.now;
        let refused =
            check_command(&mut self.server, |server| server.0.respond(connection, token, answer, now));
        assert_eq!(
            refused,
            Err(session::CommandError::NotAnswerable.into()),
            "rule: a token fits its connection only"
        );
    }

    /// Uses up a token of one connection for another; the first one is then left unanswered.
    fn answer_over_another(&mut self, connection: ConnectionId, answer: Answer) {
        let others = self.links.iter_mut().filter(|(other, _)| **other != connection);
        let Some(token) = others.into_iter().find_map(|(_, link)| {
            let token = link.tokens.pop()?;
            link.dropped += 1;
            Some(token)
        }) else {
            return;
        };
        let refused = self.server.0.respond(connection, token, answer, self.now);
        assert_eq!(
            refused,
            Err(session::CommandError::NotAnswerable.into()),
            "rule: a token fits its connection only"
        );
    }

    fn forget(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.some_connection(input) else { return };
        let task = TaskId::from(input.pick(&TASKS));
        let was_known = self.server.0.task(connection, &task).is_some();
        let before = self.server.0.tasks().count();
        self.server.0.forget_task(connection, &task, self.now);
        assert_eq!(
            self.server.0.tasks().count(),
            before - usize::from(was_known),
            "rule: one task is forgotten"
        );
    }

    /// Checks what holds at any time.
    fn settle(&mut self) {
        let queued: BTreeMap<_, _> = self
            .links
            .keys()
            .map(|&connection| (connection, self.server.0.queued_bytes(connection)))
            .collect();
        let open: BTreeSet<_> = self.server.0.connections().collect();
        let mut taken = BTreeMap::new();
        for output in drain(&mut self.server) {
            if let Output::Transmit { connection, bytes } = &output {
                *taken.entry(*connection).or_insert(0) += bytes.len();
            }
            self.carry_out(output);
        }
        for connection in open {
            let taken = taken.get(&connection).copied().unwrap_or_default();
            assert_eq!(queued.get(&connection), Some(&taken), "rule: queued bytes are counted");
            assert_eq!(self.server.0.queued_bytes(connection), 0, "rule: queued bytes are counted");
        }
        for output in check_after_step(&mut self.server, self.now) {
            self.carry_out(output);
        }
        assert!(
            self.links.values().all(|link| link.dropped == 0),
            "rule: a dropped token is noticed at once"
        );
        assert!(self.links.keys().copied().eq(self.server.0.connections()), "rule: every end is told");
        self.limits();
    }

    fn limits(&self) {
        let config = self.server.0.config();
        assert!(self.links.len() <= config.max_connections, "rule: connections have a limit");
        for link in self.links.values() {
            let calls = link.peer.unanswered.len();
            let most = config.session.max_calls + config.session.max_abandoned;
            assert!(calls <= most, "rule: open calls have a limit");
            let unanswered = link.tokens.len();
            assert!(unanswered <= config.session.max_unanswered, "rule: unanswered commands have a limit");
        }
        let (unfinished, ended): (Vec<_>, Vec<_>) =
            self.server.0.tasks().partition(|task| task.is_unfinished());
        assert!(unfinished.len() <= config.max_tasks, "rule: tasks have a limit");
        assert!(ended.len() <= config.max_ended_tasks, "rule: ended tasks have a limit");
    }

    fn carry_out(&mut self, output: Output) {
        assert!(!self.is_closed, "rule: nothing follows the end; there was {output:?}");
        assert!(!format!("{output:?}").contains(MARK), "rule: no secret shows");
        let bytes: &[u8] = if let Output::Transmit { bytes, .. } = &output { bytes } else { &[] };
        self.log.push(shown(&output, bytes));
        match output {
            Output::Transmit { connection, bytes } => {
                let link =
                    self.links.get_mut(&connection).expect("rule: only an open connection is written to");
                assert!(!link.is_ending, "rule: only an open connection is written to");
                if let Some(heard) = link.peer.hears(&bytes) {
                    let dialect = self.server.0.config().session.dialect;
                    let is_ping = heard.method == "ping";
                    assert!(
                        !is_ping || dialect == Dialect::Document,
                        "rule: an original agent is never pinged"
                    );
                }
            }
            Output::Disconnect { connection } | Output::Abort { connection } => {
                let link = self.links.get_mut(&connection).expect("rule: only what is open ends");
                assert!(!std::mem::replace(&mut link.is_ending, true), "rule: a connection ends once");
            }
            Output::Event(event) => self.event(event),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::ConnectionEnded { connection, .. } => {
                let link = self.links.remove(&connection).expect("rule: a connection ends once");
                let open = self.calls.iter().any(|call| call.connection() == connection);
                assert!(!open, "rule: the end of a connection ends its calls");
                self.stale.extend(link.tokens);
            }
            Event::Command { connection, token, .. } => self.link(connection).tokens.push(token),
            Event::AnswerDropped { connection, .. } => {
                let link = self.link(connection);
                link.dropped = link.dropped.saturating_sub(1);
            }
            Event::Replied { call, .. } | Event::Lost { call, .. } => {
                assert!(self.calls.remove(&call), "rule: a call has one outcome");
            }
            Event::Closed => {
                assert!(self.links.is_empty(), "rule: the end comes last");
                self.is_closed = true;
            }
            _ => {}
        }
    }

    fn link(&mut self, connection: ConnectionId) -> &mut Link {
        self.links.get_mut(&connection).expect("rule: nothing follows the end of a connection")
    }

    fn end(mut self) -> Vec<String> {
        assert_debug_hides(&self.server.0);
        self.server.0.tasks().for_each(|task: &Task| assert_debug_hides(task));
        self.server.0.close(self.now);
        let outputs = drain(&mut self.server);
        outputs.into_iter().for_each(|output| self.carry_out(output));
        assert!(
            self.is_closed && self.calls.is_empty(),
            "rule: the end is announced, after that of all calls"
        );
        check_closed(&mut self.server, self.now);
        let now = self.now;
        check_closed_ignores(&mut self.server, |server| server.0.close(now));
        check_closed_ignores(&mut self.server, |server| _ = server.0.accept(now));
        if let Some(&connection) = self.all.last() {
            check_closed_ignores(&mut self.server, |server| server.0.handle_bytes(connection, b"{}\n", now));
            check_closed_ignores(&mut self.server, |server| server.0.handle_stalled(connection, now));
            check_closed_ignores(&mut self.server, |server| server.0.handle_disconnect(connection, now));
            check_closed_ignores(&mut self.server, |server| server.0.disconnect(connection, now));
            let sent =
                check_command(&mut self.server, |server| server.0.send(connection, &Command::Status, now));
            assert!(sent.is_err(), "rule: a closed server refuses commands");
            if let Some(token) = self.stale.pop() {
                self.refused_answer(connection, token, Answer::Done);
            }
        }
        self.stale.clear();
        check_closed(&mut self.server, self.now);
        self.log
    }
}

/// Many lines at once.
fn many(peer: &Peer, input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..input.below(6) {
        let (method, params) = agent_command(input);
        bytes.extend(peer.command(input, method, &params));
        bytes.extend(if input.flag() { peer.answer(input) } else { Vec::new() });
    }
    bytes
}

/// Makes a command of the server; settings and specifications hold marked secrets.
fn command(input: &mut Input<'_>) -> Command {
    let secret = |input: &mut Input<'_>| {
        Object::encode(&[("key", marked(input.byte().into()))].into_iter().collect::<BTreeMap<_, _>>())
            .expect("texts make an object")
    };
    let choice = input.below(8);
    let mut maker = Maker::new(input.clone());
    let work = match choice {
        0 | 1 => return Command::Status,
        2 => return Command::Other { method: Method::from(METHOD), params: secret(input) },
        3 => return maker.command(),
        4 => Work::RunImage { image: maker.image(), config_drive: Some(ConfigDrive::new(secret(input))) },
        5 => Work::QualityControl { chassis: secret(input).into() },
        _ => maker.work(),
    };
    Command::Task(TaskCommand { task_id: TaskId::from(input.pick(&TASKS)), work })
}
