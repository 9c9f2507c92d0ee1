//! The server: what it answers, how it follows tasks, what it sends, when an agent is gone.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use support::{TestServer, Transcript, command, drain, epoch, error, result, seconds};
use teeth_proto::command::{Command, Method, SendError, TaskCommand, TaskId, TaskState, Work};
use teeth_proto::server::{CommandError, Config, Event, Output, Reply, Server, TaskViolation};
use teeth_proto::session::{self, Answer};
use teeth_proto::wire::Object;
use teeth_proto::{ConnectionId, Dialect, Instant};
use testkit::advance;

#[test]
fn handshake_ping_log_and_task_status_are_answered() {
    let mut test = Test::new();
    test.bytes(&command("h", "handshake", "{\"id\":\"a:b:c:d\",\"version\":\"0.1-dev\"}"));
    assert_eq!(
        test.seen(),
        [
            "1> {\"version\": \"v1\", \"id\": \"h\", \"result\": {\"id\": \"#1\"}}",
            "Handshake { connection: ConnectionId(1), handshake: Handshake { id: \"a:b:c:d\", version: \"0.1-dev\" } }",
        ]
    );
    test.bytes(&command("p", "ping", "{\"a\":[1,2.5]}"));
    assert_eq!(
        test.seen(),
        [
            "1> {\"version\": \"v1\", \"id\": \"p\", \"result\": {\"a\":[1,2.5]}}",
            "Pinged { connection: ConnectionId(1) }",
        ]
    );
    test.bytes(&command("l", "log", "{\"message\":\"m\",\"time\":1.5,\"disk\":\"sda\"}"));
    let outputs = test.drain();
    assert!(matches!(&outputs[1], Output::Event(Event::Log { entry, .. })
        if entry.message == "m" && entry.fields[0].1.text() == "\"sda\""));
    test.bytes(&command("t", "task_status", "{\"task_id\":\"t\",\"state\":\"complete\"}"));
    assert_eq!(test.seen()[0], "1> {\"version\": \"v1\", \"id\": \"t\", \"result\": {}}");
}

#[test]
fn answers_without_content_are_null_under_the_original() {
    let mut test = Test::original();
    test.bytes(&command("l", "log", "{}"));
    assert_eq!(test.seen()[0], "1> {\"version\": \"v1\", \"id\": \"l\", \"result\": null}");
    test.bytes(&command("t", "task_status", "{}"));
    assert_eq!(
        test.seen()[0],
        "1> {\"version\": \"v1\", \"id\": \"t\", \"error\": \"missing parameter \\\"task_id\\\" in \\\"task_status\\\" command\"}"
    );
}

#[test]
fn what_is_for_agents_ends_the_connection() {
    for method in ["status", "standbye.run_image", "decom.qc", "x"] {
        let mut test = Test::new();
        test.bytes(&command("1", method, "{}"));
        assert_eq!(
            test.seen(),
            [
                "1> {\"fatal_error\": \"unknown message method\"}",
                "1 disconnect",
                "ConnectionEnded { connection: ConnectionId(1), reason: Peer(UnknownMethod) }",
            ],
            "{method}"
        );
        assert_eq!(test.server.0.connections().count(), 0);
    }
}

#[test]
fn commands_are_sent_in_the_spelling_of_the_dialect_and_their_answers_come_with_the_method() {
    let mut test = Test::new();
    let call = test.server.0.send(test.agent, &Command::Status, test.now).unwrap();
    assert_eq!(call.connection(), test.agent);
    test.seen();
    test.bytes(&result(test.id(1), "{\"uptime\":1.5,\"disks\":2}"));
    let outputs = test.drain();
    let [
        Output::Event(Event::Replied {
            call: answered,
            method: Method::Status,
            reply: Reply::Status(status),
        }),
    ] = &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!((*answered, status.uptime, status.fields.len()), (call, Some(1.5), 1));

    test.designate("t-1");
    assert!(test.seen()[0].contains("\"params\": {\"task_id\": \"t-1\"}"));
    let mut original = Test::original();
    let work = Work::PrepareImage { image: "img-1".into() };
    let prepare = Command::Task(TaskCommand { task_id: "t".into(), work });
    original.server.0.send(original.agent, &prepare, original.now).unwrap();
    assert_eq!(
        original.seen(),
        [
            "1> {\"version\": \"v1\", \"params\": {\"task_id\": \"t\", \"image_id\": \"img-1\"}, \"id\": \"#1\", \"method\": \
          \"standby.prepare_image\"}"
        ]
    );
}

#[test]
fn an_original_agent_is_not_sent_what_would_kill_its_connection() {
    let mut test = Test::original();
    let erase = Command::Task(TaskCommand { task_id: "t".into(), work: Work::DiskErase });
    for command in [Command::Ping(Object::new()), erase] {
        let refused = test.server.0.send(test.agent, &command, test.now);
        assert_eq!(refused, Err(SendError::NotServed { method: command.method() }.into()));
    }
    assert_eq!(test.seen(), [""; 0]);
    assert_eq!(test.server.0.tasks().count(), 0);
}

#[test]
fn a_task_is_followed_from_its_designation_to_its_end() {
    let mut test = Test::new();
    test.designate("t");
    assert_eq!(test.task("t").state, None);
    test.update("{\"task_id\":\"t\",\"state\":\"running\",\"percent\":10,\"eta\":90}");
    assert_eq!((test.task("t").percent, test.task("t").eta), (Some(10.0), Some(90.0)));
    test.update("{\"task_id\":\"t\",\"state\":\"error\",\"msg\":\"no\"}");
    let task = test.task("t");
    assert_eq!(
        (task.state.clone(), task.msg.as_deref(), task.violations),
        (Some(TaskState::Error), Some("no"), 0)
    );
    assert_eq!(task.percent, Some(10.0));
    assert_eq!(test.violations, []);
}

#[test]
fn broken_rules_of_tasks_are_told_and_the_connection_stays() {
    use TaskViolation as V;
    let mut test = Test::new();
    test.designate("t");
    test.update("{\"task_id\":\"u\",\"state\":\"complete\"}");
    test.update("{\"task_id\":\"t\",\"state\":\"running\",\"percent\":1}");
    test.update("{\"task_id\":\"t\",\"state\":\"running\",\"eta\":null,\"percent\":1}");
    test.update("{\"task_id\":\"t\",\"state\":\"running\",\"eta\":1,\"percent\":101}");
    test.update("{\"task_id\":\"t\",\"state\":\"running\",\"eta\":-1,\"percent\":1}");
    test.update("{\"task_id\":\"t\",\"state\":\"paused\"}");
    test.update("{\"task_id\":\"t\",\"state\":\"error\"}");
    test.update("{\"task_id\":\"t\",\"state\":\"running\",\"eta\":1,\"percent\":1}");
    test.update("{\"task_id\":\"t\",\"state\":\"error\"}");
    let violations: Vec<TaskViolation> = test.violations.iter().map(|(_, violation)| *violation).collect();
    assert_eq!(
        violations,
        [
            V::NeverDesignated,
            V::MissingProgress,
            V::MissingProgress,
            V::OutOfRange,
            V::OutOfRange,
            V::UnknownState,
            V::MissingMessage,
            V::AfterEnd,
            V::AfterEnd
        ]
    );
    assert_eq!(test.task("t").state, Some(TaskState::Error), "nothing after the end changes it");
    assert_eq!(test.task("t").violations, 8);
    assert_eq!(test.server.0.connections().count(), 1);
}

#[test]
fn a_task_is_followed_over_the_next_connection_of_its_agent() {
    let mut test = Test::new();
    test.handshake("a");
    test.designate("t");
    let first = test.agent;
    // The old connection may be dead without anybody knowing.
    test.agent = test.server.0.accept(test.now);
    test.handshake("a");
    test.update("{\"task_id\":\"t\",\"state\":\"complete\"}");
    assert_eq!(test.task("t").state, Some(TaskState::Complete));
    assert_eq!(test.task("t").connection, test.agent);
    assert_eq!(test.violations, []);
    // The same end over a third connection is a repetition, over the same one it is not.
    test.agent = test.server.0.accept(test.now);
    test.handshake("a");
    test.update("{\"task_id\":\"t\",\"state\":\"complete\"}");
    assert_eq!(test.violations, []);
    test.update("{\"task_id\":\"t\",\"state\":\"complete\"}");
    assert_eq!(test.violations.len(), 1);
    assert_ne!(first, test.agent);
}

#[test]
fn an_agent_has_no_say_in_the_tasks_of_another_one() {
    let mut test = Test::new();
    test.handshake("a");
    test.designate("t");
    let first = test.agent;
    test.agent = test.server.0.accept(test.now);
    test.handshake("b");
    test.update("{\"task_id\":\"t\",\"state\":\"complete\"}");
    assert_eq!(test.violations, [("t".into(), TaskViolation::NeverDesignated)]);
    // The same id may be used for both.
    test.designate("t");
    test.update("{\"task_id\":\"t\",\"state\":\"complete\"}");
    let states: Vec<Option<TaskState>> = test.server.0.tasks().map(|task| task.state.clone()).collect();
    assert_eq!(states, [None, Some(TaskState::Complete)]);
    assert_eq!(test.server.0.task(first, &"t".into()).unwrap().state, None);
}

#[test]
fn a_handshake_that_comes_late_holds_for_the_tasks_before_it() {
    let mut test = Test::new();
    test.designate("t");
    test.handshake("a");
    test.server.0.handle_disconnect(test.agent, test.now);
    test.agent = test.server.0.accept(test.now);
    test.handshake("a");
    test.update("{\"task_id\":\"t\",\"state\":\"complete\"}");
    assert_eq!(test.violations, []);
    assert_eq!(test.task("t").state, Some(TaskState::Complete));
}

#[test]
fn a_task_whose_command_was_refused_was_never_designated() {
    let mut test = Test::new();
    test.designate("t");
    test.seen();
    test.bytes(&error(test.id(1), "{\"msg\":\"no\"}"));
    assert!(test.seen()[0].contains("reply: Error"));
    assert_eq!(test.server.0.tasks().count(), 0);
    test.designate("t");
}

#[test]
fn ids_of_unfinished_tasks_and_too_many_tasks_are_refused() {
    let mut test = Test::with(|config| config.max_tasks = 2);
    test.designate("t");
    let command = |id: &str| Command::Task(TaskCommand { task_id: id.into(), work: Work::DiskErase });
    assert_eq!(test.server.0.send(test.agent, &command("t"), test.now), Err(CommandError::TaskIdInUse));
    test.designate("u");
    assert_eq!(test.server.0.send(test.agent, &command("v"), test.now), Err(CommandError::TooManyTasks));
    test.update("{\"task_id\":\"t\",\"state\":\"complete\"}");
    test.designate("t");
    test.server.0.forget_task(test.agent, &"u".into(), test.now);
    test.designate("v");
}

#[test]
fn the_oldest_ended_tasks_are_forgotten_at_the_limit() {
    let mut test = Test::with(|config| config.max_ended_tasks = 1);
    for id in ["t", "u"] {
        test.designate(id);
        test.update(&format!("{{\"task_id\":\"{id}\",\"state\":\"complete\"}}"));
    }
    let ids: Vec<String> = test.server.0.tasks().map(|task| task.id.to_string()).collect();
    assert_eq!(ids, ["u"]);
    test.update("{\"task_id\":\"t\",\"state\":\"complete\"}");
    assert_eq!(test.violations, [("t".into(), TaskViolation::NeverDesignated)]);
}

#[test]
fn an_agent_that_is_silent_for_60_seconds_is_gone() {
    let mut test = Test::new();
    test.server.0.send(test.agent, &Command::Status, test.now).unwrap();
    test.seen();
    let log = advance(&mut test.server, test.now + seconds(100));
    assert!(log.iter().all(|(at, _)| *at == test.now + seconds(60)));
    let outputs: Vec<Output> = log.into_iter().map(|(_, output)| output).collect();
    assert_eq!(
        test.transcript.of(&outputs),
        [
            "Lost { call: CallId { connection: ConnectionId(1), call: CallId(1) }, method: Status, reason: TimedOut }",
            "1 abort",
            "ConnectionEnded { connection: ConnectionId(1), reason: Idle }",
        ]
    );
    assert_eq!(
        test.server.0.send(test.agent, &Command::Status, test.now),
        Err(session::CommandError::NotConnected.into())
    );
}

#[test]
fn connections_have_deadlines_of_their_own() {
    let mut test = Test::new();
    let start = test.now;
    let other = test.server.0.accept(start + seconds(5));
    test.server.0.handle_bytes(test.agent, b"\n", start + seconds(10));
    assert_eq!(test.server.0.poll_timeout(), Some(start + seconds(65)));
    let log = advance(&mut test.server, start + seconds(70));
    let times: Vec<Instant> = log.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [start + seconds(65), start + seconds(65), start + seconds(70), start + seconds(70)]);
    assert!(matches!(log[0].1, Output::Abort { connection } if connection == other));
}

#[test]
fn a_server_pings_if_it_is_told_to_and_the_dialect_allows_it() {
    for (dialect, pings) in [(Dialect::Document, true), (Dialect::Original, false)] {
        let mut test = Test::with(|config| {
            config.pings = true;
            config.session.dialect = dialect;
        });
        assert_eq!(test.first.iter().any(|text| text.contains("\"method\": \"ping\"")), pings);
        assert_eq!(test.seen(), [""; 0]);
    }
}

#[test]
fn connections_beyond_the_limit_are_closed_at_once() {
    let mut test = Test::with(|config| config.max_connections = 1);
    let second = test.server.0.accept(test.now);
    assert_eq!(
        test.seen(),
        ["2 disconnect", "ConnectionEnded { connection: ConnectionId(2), reason: TooManyConnections }"]
    );
    test.server.0.handle_bytes(second, b"nonsense\n", test.now);
    assert_eq!(test.seen(), [""; 0]);
    test.server.0.disconnect(test.agent, test.now);
    test.seen();
    test.server.0.accept(test.now);
    assert_eq!(test.seen(), [""; 0]);
}

#[test]
fn methods_of_the_application_come_as_events_and_are_answered() {
    let mut test = Test::with(|config| config.methods = ["x.y".to_owned()].into());
    test.bytes(&command("1", "x.y", "{\"a\":1}"));
    let Some(Output::Event(Event::Command { connection, token, params, .. })) = test.server.0.poll_output()
    else {
        panic!("a command")
    };
    test.server.0.respond(connection, token, Answer::Result(params), test.now).unwrap();
    assert_eq!(test.seen(), ["1> {\"version\": \"v1\", \"id\": \"1\", \"result\": {\"a\":1}}"]);
}

#[test]
fn a_dropped_token_is_due_at_once() {
    let mut test = Test::with(|config| config.methods = ["x.y".to_owned()].into());
    let other = test.server.0.accept(test.now);
    test.bytes(&command("1", "x.y", "{}"));
    drop(test.drain());
    assert_eq!(test.server.0.poll_timeout(), Some(test.now));
    test.server.0.handle_timeout(test.now);
    assert!(test.seen()[0].contains("the command was left unanswered"));
    // One that is used for another connection is dropped by that.
    test.bytes(&command("2", "x.y", "{}"));
    let Some(Output::Event(Event::Command { token, .. })) = test.server.0.poll_output() else {
        panic!("a command")
    };
    assert_eq!(
        test.server.0.respond(other, token, Answer::Done, test.now),
        Err(session::CommandError::NotAnswerable.into())
    );
    test.server.0.handle_timeout(test.now);
    assert!(test.seen()[0].contains("the command was left unanswered"));
    assert_eq!(test.server.0.poll_timeout(), Some(test.now + seconds(60)));
}

#[test]
fn agents_that_do_not_say_who_they_are_have_their_tasks_for_themselves() {
    let mut test = Test::new();
    test.designate("t");
    let first = test.agent;
    test.agent = test.server.0.accept(test.now);
    test.update("{\"task_id\":\"t\",\"state\":\"complete\"}");
    assert_eq!(test.violations, [("t".into(), TaskViolation::NeverDesignated)]);
    test.designate("t");
    test.server.0.handle_disconnect(first, test.now);
    test.server.0.forget_task(first, &"t".into(), test.now);
    assert_eq!(test.server.0.tasks().count(), 1);
    assert_eq!(test.task("t").connection, test.agent);
}

#[test]
fn tasks_of_original_agents_are_not_followed_unless_that_is_asked_for() {
    let mut test = Test::original();
    let prepare = TaskCommand { task_id: "t".into(), work: Work::PrepareImage { image: "i".into() } };
    for _ in 0..2 {
        test.server.0.send(test.agent, &Command::Task(prepare.clone()), test.now).unwrap();
    }
    assert_eq!(test.server.0.tasks().count(), 0);
    test.update("{\"task_id\":\"t\",\"state\":\"complete\"}");
    assert_eq!(test.violations, []);
    let mut test = Test::with(|config| {
        config.session.dialect = Dialect::Original;
        config.follows_tasks = Some(true);
    });
    test.server.0.send(test.agent, &Command::Task(prepare), test.now).unwrap();
    assert_eq!(test.server.0.tasks().count(), 1);
}

#[test]
fn a_late_refusal_of_an_old_command_leaves_the_new_task_of_the_same_id() {
    let mut test = Test::new();
    test.designate("t");
    test.seen();
    test.update("{\"task_id\":\"t\",\"state\":\"complete\"}");
    test.designate("t");
    test.seen();
    test.bytes(&error(test.id(1), "{}"));
    assert_eq!(test.task("t").state, None);
}

#[test]
fn a_task_of_an_earlier_start_is_followed_once_it_is_adopted() {
    let mut test = Test::new();
    let task = TaskCommand { task_id: "t".into(), work: Work::DiskErase };
    test.server.0.adopt_task(test.agent, &task, test.now).unwrap();
    assert_eq!(test.seen(), [""; 0]);
    test.update("{\"task_id\":\"t\",\"state\":\"complete\"}");
    assert_eq!((test.violations.len(), test.task("t").state.clone()), (0, Some(TaskState::Complete)));
}

#[test]
fn what_an_agent_tells_is_kept_within_limits() {
    let mut test = Test::new();
    test.designate("t");
    let images = vec!["1"; 1000].join(",");
    let msg = "é".repeat(5000);
    test.update(&format!(
        "{{\"task_id\":\"t\",\"state\":\"error\",\"msg\":\"{msg}\",\"image_ids\":[{images}]}}"
    ));
    let task = test.task("t");
    assert_eq!((task.msg.as_ref().unwrap().len(), task.image_ids.as_ref().unwrap().len()), (4096, 0));
    let long = "x".repeat(1025);
    test.bytes(&command("h", "handshake", &format!("{{\"id\":\"{long}\"}}")));
    assert!(test.seen()[0].contains("\"error\": {\"msg\": \"\\\"id\\\" must be of at most 1024 bytes"));
    test.bytes(&command(
        "t",
        "task_status",
        &format!("{{\"task_id\":\"t\",\"state\":\"{}\"}}", "x".repeat(65)),
    ));
    assert!(test.seen()[0].contains("\\\"state\\\" must be of at most 64 bytes"));
}

#[test]
fn a_closed_server_is_silent() {
    let mut test = Test::new();
    test.server.0.accept(test.now);
    test.server.0.close(test.now);
    assert_eq!(
        test.seen(),
        [
            "1 disconnect",
            "ConnectionEnded { connection: ConnectionId(1), reason: Local }",
            "2 disconnect",
            "ConnectionEnded { connection: ConnectionId(2), reason: Local }",
            "Closed",
        ]
    );
    let (now, agent) = (test.now, test.agent);
    testkit::rules::check_closed(&mut test.server, now);
    testkit::rules::check_closed_ignores(&mut test.server, |server| {
        server.0.accept(now);
        server.0.handle_bytes(agent, b"x\n", now);
        server.0.close(now);
    });
}

struct Test {
    server: TestServer,
    transcript: Transcript,
    violations: Vec<(TaskId, TaskViolation)>,
    /// What accepting the first connection led to.
    first: Vec<String>,
    agent: ConnectionId,
    now: Instant,
}

impl Test {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn original() -> Self {
        Self::with(|config| config.session.dialect = Dialect::Original)
    }

    fn with(set: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(7);
        set(&mut config);
        let now = epoch();
        let mut server = TestServer(Server::new(config, now).unwrap());
        let agent = server.0.accept(now);
        let mut transcript = Transcript::default();
        let first = transcript.of(&drain(&mut server));
        Self { server, transcript, violations: Vec::new(), first, agent, now }
    }

    fn bytes(&mut self, text: &str) {
        self.server.0.handle_bytes(self.agent, text.as_bytes(), self.now);
    }

    fn drain(&mut self) -> Vec<Output> {
        drain(&mut self.server)
    }

    fn seen(&mut self) -> Vec<String> {
        let outputs = self.drain();
        self.transcript.of(&outputs)
    }

    fn id(&self, number: usize) -> &str {
        self.transcript.id(number)
    }

    fn handshake(&mut self, id: &str) {
        self.bytes(&command("h", "handshake", &format!("{{\"id\":\"{id}\",\"version\":\"1\"}}")));
        assert!(self.seen().last().unwrap().starts_with("Handshake"));
    }

    fn designate(&mut self, id: &str) {
        let task = TaskCommand { task_id: id.into(), work: Work::DiskErase };
        self.server.0.send(self.agent, &Command::Task(task), self.now).unwrap();
    }

    fn update(&mut self, params: &str) {
        self.bytes(&command("t", "task_status", params));
        for output in self.drain() {
            if let Output::Event(Event::TaskViolation { status, violation, .. }) = output {
                self.violations.push((status.task_id, violation));
            }
        }
    }

    fn task(&self, id: &str) -> &teeth_proto::server::Task {
        self.server.0.task(self.agent, &id.into()).unwrap()
    }
}
