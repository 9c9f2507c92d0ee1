//! Both roles on a virtual clock and a virtual network.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::time::Duration;
use support::{TestAgent, TestServer, TestSession, command, drain, epoch, object, result, seconds};
use teeth_proto::agent::{self, Agent, State};
use teeth_proto::command::{Command, Method, TaskCommand, TaskState, Work};
use teeth_proto::server::{self, Server};
use teeth_proto::session::{self, Answer, CallFailure, Event, Reply, Session};
use teeth_proto::wire::Object;
use teeth_proto::{ConnectionId, Dialect, Instant};
use testkit::hub::{HubNetwork, HubNews};
use testkit::network::Conditions;
use testkit::stream::{StreamNews, StreamPair};

type Network = HubNetwork<TestAgent, TestServer>;

#[test]
fn a_task_goes_from_its_command_to_its_end_in_any_pieces_and_dialect_document() {
    let mut transcripts = Vec::new();
    for largest_piece in [None, Some(1), Some(7)] {
        let conditions = Conditions { largest_piece, ..Conditions::default() };
        let mut network = network(conditions, |_| {});
        network.run_until(epoch());
        let connection = network.hub.0.connections().next().unwrap();
        network.hub.0.send(connection, &erase("t"), network.now()).unwrap();
        let start = epoch();
        network.run_until_with(start + seconds(25), |network, news| {
            if let HubNews::Client { client, event: agent::Event::TaskBegun { task, .. } } = news {
                let now = network.now();
                network.clients[client].0.progress(*task, 40.0, Some(seconds(9)), now).unwrap();
            }
        });
        let task = network.clients[0].0.tasks().next().unwrap().0;
        let now = network.now();
        network.clients[0].0.complete(task, now).unwrap();
        network.run_until(start + seconds(30));
        let states: Vec<(u64, String, Option<f64>)> = network
            .hub_events
            .iter()
            .filter_map(|(at, event)| match event {
                server::Event::TaskStatus { status, .. } => {
                    Some(((*at - start).as_secs(), status.state.name().to_owned(), status.percent))
                }
                server::Event::TaskViolation { .. } => panic!("{event:?}"),
                _ => None,
            })
            .collect();
        transcripts.push(states);
    }
    let running = |at, percent| (at, "running".to_owned(), Some(percent));
    let expected = [running(0, 0.0), running(10, 40.0), running(20, 40.0), (25, "complete".to_owned(), None)];
    for states in transcripts {
        assert_eq!(states, expected);
    }
}

#[test]
fn pings_keep_the_connection_up_for_hours_in_both_dialects() {
    for dialect in [Dialect::Document, Dialect::Original] {
        let mut network = network(Conditions::default(), |dialects| *dialects = dialect);
        network.run_until(epoch() + seconds(3 * 3600));
        assert_eq!(network.dials.len(), 1);
        let pings =
            network.hub_events.iter().filter(|(_, event)| matches!(event, server::Event::Pinged { .. }));
        assert_eq!(pings.count(), 3 * 3600 / 20 + 1);
    }
}

#[test]
fn a_dead_network_is_noticed_by_both_ends_after_60_seconds() {
    let mut network = network(Conditions::default(), |_| {});
    let start = epoch();
    network.run_until(start + seconds(30));
    network.stall(0);
    network.run_until(start + seconds(100));
    // The last line reached the server with the ping at 20 s, and the agent with its answer.
    let ended = |at: Instant| (at - start).as_secs();
    let server: Vec<u64> = network
        .hub_events
        .iter()
        .filter(|(_, event)| matches!(event, server::Event::ConnectionEnded { .. }))
        .map(|(at, _)| ended(*at))
        .collect();
    let agent: Vec<u64> = network
        .client_events
        .iter()
        .filter(|(_, _, event)| matches!(event, agent::Event::ConnectionEnded { .. }))
        .map(|(at, _, _)| ended(*at))
        .collect();
    assert_eq!((server, agent), (vec![80], vec![80]));
    assert_eq!(network.clients[0].0.state(), State::Ready, "connected again");
}

#[test]
fn an_agent_comes_back_on_the_schedule_after_the_server_was_down() {
    let mut network = network(Conditions::default(), |_| {});
    let start = epoch();
    network.run_until(start + seconds(1));
    network.hub_down();
    network.run_until(start + seconds(40));
    network.hub_up();
    network.run_until(start + seconds(200));
    let dials: Vec<u128> = network.dials.iter().map(|(at, _, _)| (*at - start).as_millis()).collect();
    assert_eq!(dials, [0, 3718, 11107, 31192, 85791]);
    assert_eq!(network.clients[0].0.state(), State::Ready);
}

#[test]
fn a_restarted_server_learns_of_a_task_that_it_never_designated() {
    let mut network = network(Conditions::default(), |_| {});
    network.run_until(epoch());
    let connection = network.hub.0.connections().next().unwrap();
    network.hub.0.send(connection, &erase("t"), network.now()).unwrap();
    network.run_until(epoch() + seconds(1));
    network.replace_hub(TestServer(Server::new(server::Config::new(9), network.now()).unwrap()));
    network.run_until(epoch() + seconds(10));
    let violations = network.hub_events.iter().filter(|(_, event)| {
        matches!(
            event,
            server::Event::TaskViolation { violation: server::TaskViolation::NeverDesignated, .. }
        )
    });
    assert!(violations.count() > 0);
    assert_eq!(network.hub.0.connections().count(), 1);
}

#[test]
fn two_busy_sides_get_all_their_answers() {
    let session = |seed| TestSession(Session::new(session::Config::new(seed), epoch()).unwrap());
    let conditions =
        Conditions { largest_piece: Some(20_000), delay: Duration::from_millis(3), ..Conditions::default() };
    let mut pair = StreamPair::new(session(1), session(2), epoch(), conditions, 3);
    let params = object(&format!("{{\"a\":\"{}\"}}", "x".repeat(300_000)));
    for _ in 0..20 {
        pair.a.0.call(Method::Ping, &params, None, epoch()).unwrap();
        pair.b.0.call(Method::Ping, &params, None, epoch()).unwrap();
    }
    pair.run_until(epoch() + seconds(1));
    for events in [&pair.a_events, &pair.b_events] {
        let answers = events.iter().filter(|(_, event)| {
            matches!(event, Event::Replied { reply: Reply::Result(result), .. } if result.text() == params.text())
        });
        assert_eq!(answers.count(), 20);
    }
}

#[test]
fn a_late_answer_is_swallowed_and_a_second_one_ends_the_connection() {
    let session = |seed| TestSession(Session::new(session::Config::new(seed), epoch()).unwrap());
    let mut pair = StreamPair::new(session(1), session(2), epoch(), Conditions::default(), 3);
    let call = pair.a.0.call(Method::from("x"), &Object::new(), Some(seconds(2)), epoch()).unwrap();
    let mut token = None;
    pair.run_until(epoch());
    if let Some((_, Event::Command(command))) = pair.b_events.pop() {
        token = Some(command.token);
    }
    pair.run_until(epoch() + seconds(5));
    let lost = Event::Lost { call, method: Method::from("x"), reason: CallFailure::TimedOut };
    assert_eq!(pair.a_events, [(epoch() + seconds(2), lost)]);
    pair.b.0.respond(token.unwrap(), Answer::Done, epoch() + seconds(5)).unwrap();
    pair.run_until(epoch() + seconds(5));
    assert_eq!(pair.a_events.len(), 1);
    assert!(!pair.a.0.is_closed());
    let (_, _, answer) = pair.wire.last().unwrap().clone();
    pair.a.0.handle_bytes(&answer, epoch() + seconds(5));
    assert!(pair.a.0.is_closed());
}

#[test]
fn news_of_the_pair_may_command_the_machines() {
    let session = |seed| TestSession(Session::new(session::Config::new(seed), epoch()).unwrap());
    let mut pair = StreamPair::new(session(1), session(2), epoch(), Conditions::default(), 3);
    pair.a.0.call(Method::Ping, &Object::new(), None, epoch()).unwrap();
    let mut rounds = 0;
    pair.run_until_with(epoch(), |pair, news| {
        if matches!(news, StreamNews::A(Event::Replied { .. })) && rounds < 100 {
            rounds += 1;
            pair.a.0.call(Method::Ping, &Object::new(), None, epoch()).unwrap();
        }
    });
    assert_eq!(rounds, 100);
    assert_eq!(pair.b_events.len(), 101);
}

/// A session of handshake, ping, status, a task with a report, its end, cut after every byte of either direction: the
/// server learns of the end exactly once in its view, no rule is broken, nobody hangs.
#[test]
fn the_loss_of_any_byte_of_a_session_is_overcome() {
    let whole = Script::new().run(None);
    assert!(whole > 1000, "a session of some length, not {whole} bytes");
    for cut in 0..whole {
        let mut script = Script::new();
        script.run(Some(cut));
        let task = script.server.0.tasks().next();
        if let Some(task) = task {
            assert_eq!(task.violations, 0, "cut after {cut} bytes");
        }
        assert!(script.violations.is_empty(), "cut after {cut} bytes: {:?}", script.violations);
        if script.begun {
            let state = task.and_then(|task| task.state.clone());
            assert_eq!(state, Some(TaskState::Complete), "cut after {cut} bytes");
            assert_eq!(script.ends, 1, "cut after {cut} bytes");
            assert_eq!(script.agent.0.tasks().count(), 0, "cut after {cut} bytes");
        }
        assert_eq!(script.agent.0.state(), State::Ready, "cut after {cut} bytes");
    }
}

/// Agent and server joined by hand, so that the connection can be cut after any byte.
struct Script {
    agent: TestAgent,
    server: TestServer,
    now: Instant,
    link: Option<(ConnectionId, ConnectionId)>,
    budget: Option<usize>,
    carried: usize,
    begun: bool,
    ends: usize,
    violations: Vec<server::TaskViolation>,
}

impl Script {
    fn new() -> Self {
        let now = epoch();
        Self {
            agent: agent(Dialect::Document),
            server: TestServer(Server::new(server::Config::new(2), now).unwrap()),
            now,
            link: None,
            budget: None,
            carried: 0,
            begun: false,
            ends: 0,
            violations: Vec::new(),
        }
    }

    /// Returns how many bytes were carried before everything was done.
    fn run(&mut self, cut: Option<usize>) -> usize {
        self.budget = cut;
        self.settle();
        if let Some((_, server)) = self.link {
            self.server.0.send(server, &Command::Status, self.now).unwrap();
            self.server.0.send(server, &erase("t"), self.now).unwrap();
        }
        self.settle();
        self.pass(Duration::from_secs(15));
        let running = self.agent.0.tasks().next().map(|(task, _)| task);
        if let Some(task) = running {
            self.agent.0.complete(task, self.now).unwrap();
        }
        self.settle();
        let carried = self.carried;
        self.pass(Duration::from_secs(60));
        carried
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = [self.agent.0.poll_timeout(), self.server.0.poll_timeout()].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            self.agent.0.handle_timeout(self.now);
            self.server.0.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn settle(&mut self) {
        loop {
            let (agent, server) = (drain(&mut self.agent), drain(&mut self.server));
            if agent.is_empty() && server.is_empty() {
                return;
            }
            for output in agent {
                self.of_agent(output);
            }
            for output in server {
                self.of_server(output);
            }
        }
    }

    fn of_agent(&mut self, output: agent::Output) {
        match output {
            agent::Output::Connect { connection, .. } => {
                self.link = Some((connection, self.server.0.accept(self.now)));
                self.agent.0.handle_connected(connection, self.now);
            }
            agent::Output::Transmit { connection, bytes } => {
                if let Some((_, server)) = self.link.filter(|(agent, _)| *agent == connection) {
                    let carried = self.carry(bytes.len());
                    self.server.0.handle_bytes(server, &bytes[..carried], self.now);
                    self.cut_if_lost(carried < bytes.len());
                }
            }
            agent::Output::Disconnect { .. } | agent::Output::Abort { .. } => self.cut_if_lost(true),
            agent::Output::Event(agent::Event::TaskBegun { .. }) => self.begun = true,
            agent::Output::Event(_) => {}
        }
    }

    fn of_server(&mut self, output: server::Output) {
        match output {
            server::Output::Transmit { connection, bytes } => {
                if let Some((agent, _)) = self.link.filter(|(_, server)| *server == connection) {
                    let carried = self.carry(bytes.len());
                    self.agent.0.handle_bytes(agent, &bytes[..carried], self.now);
                    self.cut_if_lost(carried < bytes.len());
                }
            }
            server::Output::Disconnect { .. } | server::Output::Abort { .. } => self.cut_if_lost(true),
            server::Output::Event(server::Event::TaskViolation { violation, .. }) => {
                self.violations.push(violation)
            }
            server::Output::Event(server::Event::TaskStatus { status, .. }) => {
                self.ends += usize::from(status.state.is_end());
            }
            server::Output::Event(_) => {}
        }
    }

    /// How many of so many bytes get through.
    fn carry(&mut self, bytes: usize) -> usize {
        let carried = self.budget.map_or(bytes, |budget| budget.min(bytes));
        self.budget = self.budget.map(|budget| budget - carried);
        self.carried += carried;
        carried
    }

    fn cut_if_lost(&mut self, is_lost: bool) {
        if !is_lost {
            return;
        }
        // The next connection is whole.
        self.budget = None;
        if let Some((agent, server)) = self.link.take() {
            self.agent.0.handle_disconnect(agent, self.now);
            self.server.0.handle_disconnect(server, self.now);
        }
    }
}

#[test]
fn commands_before_the_handshake_is_answered_are_served() {
    let mut agent = agent(Dialect::Original);
    let connection = agent.0.connection().unwrap();
    agent.0.handle_connected(connection, epoch());
    drain(&mut agent);
    agent.0.handle_bytes(connection, command("early", "status", "{}").as_bytes(), epoch());
    assert_eq!(drain(&mut agent).len(), 2);
    agent.0.handle_bytes(connection, result("wrong", "{}").as_bytes(), epoch());
    assert_eq!(agent.0.state(), State::Waiting);
}

fn network(conditions: Conditions, set: impl FnOnce(&mut Dialect)) -> Network {
    let mut dialect = Dialect::Document;
    set(&mut dialect);
    let mut config = server::Config::new(2);
    config.session.dialect = dialect;
    let mut network =
        HubNetwork::new(TestServer(Server::new(config, epoch()).unwrap()), epoch(), conditions, 1);
    network.add_client(agent(dialect));
    network
}

fn agent(dialect: Dialect) -> TestAgent {
    let mut config = agent::Config::new("a:b:c:d", "0.1-dev", 1);
    config.session.dialect = dialect;
    config.backoff.spread = 0.0;
    TestAgent(Agent::new(config, epoch()).unwrap())
}

fn erase(id: &str) -> Command {
    Command::Task(TaskCommand { task_id: id.into(), work: Work::DiskErase })
}
