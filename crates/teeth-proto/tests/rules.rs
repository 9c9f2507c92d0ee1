//! Rules that hold for the machines whatever happens to them.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use proptest::prelude::*;
use std::cell::RefCell;
use std::time::Duration;
use support::{Short, TestAgent, TestServer, TestSession, Transcript, drain, epoch, object};
use teeth_proto::agent::{self, Agent};
use teeth_proto::command::{Command, LogEntry, Method, TaskCommand, Work};
use teeth_proto::server::{self, Server};
use teeth_proto::session::{self, Answer, AnswerToken, CallId, Session};
use teeth_proto::{ConnectionId, Dialect, Instant};
use testkit::rules::{
    check_after_step, check_closed, check_command, check_cut_invariance_by, check_nothing_unannounced,
};
use testkit::secrets::{assert_debug_hides, marked};

const MAX_CALLS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    /// One of [`LINES`], with `%` as the id of a call of ours.
    Line(usize, usize),
    Bytes(Vec<u8>),
    Call(u64),
    Cancel,
    Answer,
    Drop,
    Connect(bool),
    Lose,
    Stall,
    Progress(f64),
    Complete,
    Fail,
    Advance(bool),
    Wait(u64),
    Back(u64),
    Close,
}

const LINES: &[&str] = &[
    "",
    "{\"id\":\"1\",\"version\":\"v1\",\"method\":\"ping\",\"params\":{\"a\":1}}",
    "{\"id\":[1],\"version\":\"v1\",\"method\":\"status\",\"params\":{}}",
    "{\"id\":\"1\",\"version\":\"v1\",\"method\":\"x.y\",\"params\":{}}",
    "{\"id\":\"1\",\"version\":\"v1\",\"method\":\"decom.disk_erase\",\"params\":{\"task_id\":\"a\"}}",
    "{\"id\":\"1\",\"version\":\"v1\",\"method\":\"decom.firmware_secure\",\"params\":{\"task_id\":\"b\"}}",
    "{\"id\":\"1\",\"version\":\"v1\",\"method\":\"standbye.run_image\",\"params\":{\"task_id\":\"r\",\
     \"image_id\":\"6b83f0c2-5598-4a89-b581-85f9114221ff\",\"config_drive\":{\"user_data\":\"SECRET\"}}}",
    "{\"id\":\"1\",\"version\":\"v1\",\"method\":\"standbye.prepare_image\",\"params\":{}}",
    "{\"id\":\"h\",\"version\":\"v1\",\"method\":\"handshake\",\"params\":{\"id\":\"a\",\"version\":\"1\"}}",
    "{\"id\":\"h\",\"version\":\"v1\",\"method\":\"task_status\",\"params\":{\"task_id\":\"a\",\"state\":\"complete\"}}",
    "{\"id\":\"h\",\"version\":\"v1\",\"method\":\"task_status\",\"params\":{\"task_id\":\"a\",\"state\":\"running\"}}",
    "{\"id\":\"h\",\"version\":\"v1\",\"method\":\"log\",\"params\":{\"message\":\"m\"}}",
    "{\"id\":\"%\",\"version\":\"v1\",\"result\":{}}",
    "{\"id\":\"%\",\"version\":\"v1\",\"result\":{}}",
    "{\"id\":\"%\",\"version\":\"v1\",\"error\":{\"msg\":\"no\"}}",
    "{\"id\":\"other\",\"version\":\"v1\",\"result\":{}}",
    "{\"fatal_error\":\"bye\"}",
    "{\"id\":\"1\"}",
    "[]",
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..LINES.len(), 0..6_usize).prop_map(|(line, id)| Step::Line(line, id)),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Bytes),
        3 => (0..90_u64).prop_map(Step::Call),
        1 => Just(Step::Cancel),
        2 => Just(Step::Answer),
        1 => Just(Step::Drop),
        3 => any::<bool>().prop_map(Step::Connect),
        1 => Just(Step::Lose),
        1 => Just(Step::Stall),
        1 => (-10.0..110.0).prop_map(Step::Progress),
        2 => Just(Step::Complete),
        1 => Just(Step::Fail),
        3 => any::<bool>().prop_map(Step::Advance),
        5 => (0..30_000_u64).prop_map(Step::Wait),
        1 => (0..30_000_u64).prop_map(Step::Back),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 0..60)
}

/// What a peer knows: ids of calls that it saw.
#[derive(Default)]
struct Peer {
    transcript: Transcript,
    ids: usize,
}

impl Peer {
    fn sees(&mut self, outputs: &[impl Short]) {
        self.transcript.of(outputs);
        self.ids = self.transcript.len();
    }

    fn line(&self, line: usize, id: usize) -> Vec<u8> {
        let id = if id < self.ids { self.transcript.id(self.ids - id) } else { "none" };
        let line = LINES[line].replace('%', id).replace("SECRET", &marked(1));
        (line + "\n").into_bytes()
    }
}

proptest! {
    #[test]
    fn every_rule_holds_for_a_session_after_every_step(steps in steps()) {
        let mut session = TestSession(session(1));
        let (mut now, mut peer) = (epoch(), Peer::default());
        let (mut tokens, mut calls): (Vec<AnswerToken>, Vec<CallId>) = (Vec::new(), Vec::new());
        session.0.start_pings(now);
        peer.sees(&drain(&mut session));
        for step in steps {
            match step {
                Step::Line(line, id) => session.0.handle_bytes(&peer.line(line, id), now),
                Step::Bytes(bytes) => session.0.handle_bytes(&bytes, now),
                Step::Call(wait) => {
                    let wait = Some(Duration::from_secs(wait)).filter(|_| wait > 0);
                    let call = check_command(&mut session, |session| {
                        session.0.call(Method::from("x"), &object("{}"), wait, now)
                    });
                    calls.extend(call);
                }
                Step::Cancel => calls.pop().into_iter().for_each(|call| session.0.cancel(call, now)),
                Step::Answer => if let Some(token) = tokens.pop() {
                    let open = !session.0.is_closed();
                    prop_assert_eq!(session.0.respond(token, Answer::Done, now).is_ok(), open);
                }
                Step::Drop => drop(tokens.pop()),
                Step::Lose => session.0.handle_disconnect(now),
                Step::Stall => session.0.handle_stalled(now),
                Step::Wait(wait) => now += Duration::from_millis(wait),
                Step::Back(back) => session.0.handle_timeout(now.checked_sub(Duration::from_millis(back)).unwrap_or(now)),
                Step::Close => session.0.close(now),
                _ => {}
            }
            let outputs = check_after_step(&mut session, now);
            assert_debug_hides(&outputs);
            peer.sees(&outputs);
            let closed = outputs.iter().position(|output| matches!(output, session::Output::Event(session::Event::Closed(_))));
            if let Some(at) = closed {
                prop_assert_eq!(at + 1, outputs.len(), "the end comes last");
            }
            for output in outputs {
                if let session::Output::Event(session::Event::Command(command)) = output {
                    tokens.push(command.token);
                }
            }
            prop_assert!(session.0.calls() <= MAX_CALLS && session.0.unanswered() <= MAX_CALLS);
            prop_assert_eq!(session.0.queued_bytes(), 0);
            if session.0.is_closed() {
                check_closed(&mut session, now);
            }
        }
        assert_debug_hides(&session.0);
        drop(tokens);
        if session.0.poll_timeout().is_some_and(|due| due > now) {
            check_nothing_unannounced(&mut session, now);
        }
    }

    #[test]
    fn every_rule_holds_for_an_agent_after_every_step(steps in steps(), handshake in any::<bool>()) {
        let mut agent = TestAgent(agent(handshake));
        let (mut now, mut peer, mut tokens) = (epoch(), Peer::default(), Vec::new());
        let mut ended = std::collections::BTreeSet::new();
        drain(&mut agent);
        for step in steps {
            let connection = agent.0.connection();
            let task = agent.0.tasks().map(|(task, _)| task).last();
            match (step, connection, task) {
                (Step::Line(line, id), Some(connection), _) => {
                    agent.0.handle_bytes(connection, &peer.line(line, id), now);
                }
                (Step::Bytes(bytes), Some(connection), _) => agent.0.handle_bytes(connection, &bytes, now),
                (Step::Call(_), ..) => {
                    let _ = check_command(&mut agent, |agent| agent.0.log(&LogEntry::new("x", 1.0), now));
                }
                (Step::Answer, ..) => if let Some(token) = tokens.pop() {
                    let _ = agent.0.respond(token, Answer::Done, now);
                }
                (Step::Drop, ..) => drop(tokens.pop()),
                (Step::Connect(true), Some(connection), _) => agent.0.handle_connected(connection, now),
                (Step::Connect(false), Some(connection), _) => agent.0.handle_connect_failed(connection, now),
                (Step::Lose, Some(connection), _) => agent.0.handle_disconnect(connection, now),
                (Step::Stall, Some(connection), _) => agent.0.handle_stalled(connection, now),
                (Step::Progress(percent), _, Some(task)) => {
                    let _ = check_command(&mut agent, |agent| agent.0.progress(task, percent, None, now));
                }
                (Step::Complete, _, Some(task)) => {
                    let _ = check_command(&mut agent, |agent| agent.0.complete(task, now));
                }
                (Step::Fail, _, Some(task)) => {
                    let _ = check_command(&mut agent, |agent| agent.0.fail(task, "no", now));
                }
                (Step::Advance(viable), _, Some(task)) => {
                    let _ = check_command(&mut agent, |agent| agent.0.step_done(task, now));
                    peer.sees(&drain(&mut agent));
                    let _ = check_command(&mut agent, |agent| agent.0.kexec_target(task, viable, now));
                }
                (Step::Wait(wait), ..) => now += Duration::from_millis(wait),
                (Step::Back(back), ..) => agent.0.handle_timeout(now.checked_sub(Duration::from_millis(back)).unwrap_or(now)),
                (Step::Close, ..) => agent.0.close(now),
                _ => {}
            }
            let outputs = check_after_step(&mut agent, now);
            assert_debug_hides(&outputs);
            peer.sees(&outputs);
            for output in outputs {
                match output {
                    agent::Output::Event(agent::Event::Command { token, .. }) => tokens.push(token),
                    agent::Output::Event(agent::Event::TaskReported { task, .. }) => {
                        prop_assert!(ended.insert(task), "a task is over once");
                    }
                    _ => {}
                }
            }
            prop_assert!(agent.0.tasks().count() <= MAX_CALLS);
            if agent.0.is_closed() {
                check_closed(&mut agent, now);
            }
        }
        assert_debug_hides(&agent.0);
    }

    #[test]
    fn every_rule_holds_for_a_server_after_every_step(steps in steps(), original in any::<bool>()) {
        let mut server = TestServer(server(if original { Dialect::Original } else { Dialect::Document }));
        let (mut now, mut peer, mut tokens) = (epoch(), Peer::default(), Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            let connections: Vec<ConnectionId> = server.0.connections().collect();
            let connection = connections.get(number % connections.len().max(1)).copied();
            match (step, connection) {
                (Step::Connect(_), _) => drop(server.0.accept(now)),
                (Step::Line(line, id), Some(connection)) => server.0.handle_bytes(connection, &peer.line(line, id), now),
                (Step::Bytes(bytes), Some(connection)) => server.0.handle_bytes(connection, &bytes, now),
                (Step::Call(wait), Some(connection)) => {
                    let command = match wait % 3 {
                        0 => Command::Status,
                        1 => Command::Ping(object("{}")),
                        _ => Command::Task(TaskCommand { task_id: "a".into(), work: Work::DiskErase }),
                    };
                    let _ = check_command(&mut server, |server| server.0.send(connection, &command, now));
                }
                (Step::Answer, _) => if let Some((connection, token)) = tokens.pop() {
                    let _ = server.0.respond(connection, token, Answer::Done, now);
                }
                (Step::Drop, _) => drop(tokens.pop()),
                (Step::Lose, Some(connection)) => server.0.handle_disconnect(connection, now),
                (Step::Stall, Some(connection)) => server.0.handle_stalled(connection, now),
                (Step::Complete, Some(connection)) => server.0.disconnect(connection, now),
                (Step::Fail, Some(connection)) => server.0.forget_task(connection, &"a".into(), now),
                (Step::Wait(wait), _) => now += Duration::from_millis(wait),
                (Step::Back(back), _) => server.0.handle_timeout(now.checked_sub(Duration::from_millis(back)).unwrap_or(now)),
                (Step::Close, _) => server.0.close(now),
                _ => {}
            }
            let outputs = check_after_step(&mut server, now);
            assert_debug_hides(&outputs);
            peer.sees(&outputs);
            for output in outputs {
                if let server::Output::Event(server::Event::Command { connection, token, .. }) = output {
                    tokens.push((connection, token));
                }
            }
            prop_assert!(server.0.connections().count() <= MAX_CALLS);
            prop_assert!(server.0.tasks().count() <= 2 * MAX_CALLS);
            if server.0.is_closed() {
                check_closed(&mut server, now);
            }
        }
        assert_debug_hides(&server.0);
    }

    #[test]
    fn the_cut_of_the_input_does_not_matter(
        lines in prop::collection::vec(0..LINES.len(), 0..8),
        tail in prop::collection::vec(any::<u8>(), 0..20),
        cuts in prop::collection::vec(0..2000_usize, 0..20),
    ) {
        let mut input: Vec<u8> = lines.into_iter().flat_map(|line| Peer::default().line(line, 9)).collect();
        input.extend(tail);
        let now = epoch();
        let tokens = RefCell::new(Vec::new());
        check_cut_invariance_by(
            || TestSession(session(1)),
            |session, bytes| session.0.handle_bytes(bytes, now),
            |output| {
                let short = output.short();
                tokens.borrow_mut().push(output); // a dropped token would be answered
                short
            },
            &input,
            &cuts,
        );
    }
}

/// A token that is dropped on another thread or late is answered once the driver next looks.
#[test]
fn a_token_dropped_on_another_thread_is_noticed() {
    let mut session = TestSession(session(1));
    session.0.handle_bytes(&Peer::default().line(3, 0), epoch());
    let outputs = drain(&mut session);
    assert_eq!(outputs.len(), 1);
    std::thread::spawn(move || drop(outputs)).join().unwrap();
    let outputs = check_after_step(&mut session, epoch());
    assert_eq!(outputs.len(), 2);
}

fn session(seed: u64) -> Session {
    let mut config = session::Config::new(seed);
    (config.max_calls, config.max_unanswered, config.max_line) = (MAX_CALLS, MAX_CALLS, 1000);
    config.max_abandoned = MAX_CALLS;
    Session::new(config, epoch()).unwrap()
}

fn agent(handshake: bool) -> Agent {
    let mut config = agent::Config::new("a", "1", 1);
    config.handshake = handshake;
    config.methods = ["x.y".to_owned()].into();
    config.max_tasks = MAX_CALLS;
    config.session.max_calls = MAX_CALLS;
    Agent::new(config, epoch()).unwrap()
}

fn server(dialect: Dialect) -> Server {
    let mut config = server::Config::new(1);
    config.session.dialect = dialect;
    config.methods = ["x.y".to_owned()].into();
    (config.max_connections, config.max_tasks, config.max_ended_tasks) = (MAX_CALLS, MAX_CALLS, MAX_CALLS);
    config.pings = true;
    Server::new(config, epoch()).unwrap()
}

/// Times far away and settings without bounds do not overflow.
#[test]
fn settings_without_bounds_are_never() {
    let mut config = agent::Config::new("a", "1", 1);
    config.session.idle_timeout = Duration::MAX;
    config.session.ping_interval = Duration::MAX;
    config.connect_timeout = Duration::MAX;
    config.report_interval = Duration::MAX;
    config.backoff.max_wait = Duration::MAX;
    config.backoff.factor = f64::MAX;
    let mut agent = TestAgent(Agent::new(config, epoch()).unwrap());
    let connection = agent.0.connection().unwrap();
    agent.0.handle_connect_failed(connection, epoch());
    assert_eq!(agent.0.poll_timeout(), None::<Instant>);
}
