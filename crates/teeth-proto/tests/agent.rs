//! The agent: handshake, pings, commands, tasks and their reports, reconnecting.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use support::{TestAgent, Transcript, command, drain, epoch, error, result, seconds};
use teeth_proto::agent::{
    Agent, BackoffReset, CommandError, Config, ConfigError, Event, Output, RunStep, State, TaskNumber,
};
use teeth_proto::command::{Command, ImageId, LogEntry, SendError, TaskState};
use teeth_proto::session::{self, Answer};
use teeth_proto::wire::{Json, Object};
use teeth_proto::{ConnectionId, Dialect, Instant};
use testkit::advance;
use testkit::secrets::MARK;

const IMAGE: &str = "6b83f0c2-5598-4a89-b581-85f9114221ff";

#[test]
fn the_handshake_is_the_first_line_and_its_result_starts_the_pings() {
    let mut test = Test::new();
    assert_eq!(test.seen(), ["connect 1 attempt 1"]);
    test.connected();
    assert_eq!(
        test.seen(),
        [
            "Connected { connection: ConnectionId(1) }",
            "> {\"version\": \"v1\", \"params\": {\"version\": \"0.1-dev\", \"id\": \"a:b:c:d\"}, \"id\": \"#1\", \
             \"method\": \"handshake\"}",
        ]
    );
    assert_eq!(test.agent.0.state(), State::Handshaking);
    test.bytes(&result(test.id(1), "{\"id\":\"conn-1\"}"));
    assert_eq!(
        test.seen(),
        [
            "Ready { connection: ConnectionId(1), name: Some(\"conn-1\") }",
            "> {\"version\": \"v1\", \"params\": {}, \"id\": \"#2\", \"method\": \"ping\"}",
        ]
    );
    assert_eq!(test.agent.0.state(), State::Ready);
}

#[test]
fn any_handshake_result_will_do() {
    for answer in ["null", "0", "[1]", "{\"id\":7}"] {
        let mut test = Test::connected_to_server();
        test.bytes(&result(test.id(1), answer));
        assert_eq!(test.agent.0.state(), State::Ready, "{answer}");
        assert!(test.seen()[0].ends_with("name: None }"));
    }
}

#[test]
fn a_refused_handshake_keeps_the_connection_without_pings_until_silence_ends_it() {
    let mut test = Test::connected_to_server();
    test.bytes(&error(test.id(1), "{\"msg\":\"no\"}"));
    assert_eq!(test.agent.0.state(), State::Refused);
    assert!(test.seen()[0].starts_with("HandshakeRefused"));
    test.bytes(&command("1", "status", "{}"));
    assert_eq!(test.seen().len(), 2, "commands are served");
    let log = advance(&mut test.agent, test.now + seconds(60));
    assert_eq!(
        test.transcript.of(&log.into_iter().map(|(_, output)| output).collect::<Vec<_>>())[0],
        "abort"
    );
}

#[test]
fn without_a_handshake_pings_start_at_connect() {
    let mut test = Test::with(|config| config.handshake = false);
    test.seen();
    test.connected();
    assert_eq!(
        test.seen(),
        [
            "Connected { connection: ConnectionId(1) }",
            "Ready { connection: ConnectionId(1), name: None }",
            "> {\"version\": \"v1\", \"params\": {}, \"id\": \"#1\", \"method\": \"ping\"}",
        ]
    );
}

#[test]
fn status_tells_uptime_version_and_mode_and_the_fields_that_were_set() {
    let mut test = Test::connected_to_server();
    test.now += seconds(10);
    test.bytes(&command("1", "status", "{\"ignored\":true}"));
    assert_eq!(
        test.seen(),
        [
            "> {\"version\": \"v1\", \"id\": \"1\", \"result\": {\"uptime\": 10.0, \"version\": \"0.1-dev\", \"mode\": \
             \"STANDBY\"}}",
            "StatusAsked",
        ]
    );
    let fields = [("disks", "2"), ("uptime", "0"), ("disks", "3")];
    let fields = fields.map(|(name, value)| (name.to_owned(), Json::parse(value).unwrap()));
    test.agent.0.set_status_fields(fields.to_vec(), test.now);
    test.bytes(&command("2", "status", "{}"));
    assert!(test.seen()[0].ends_with("\"mode\": \"STANDBY\", \"disks\": 2}}"));
}

#[test]
fn the_original_agent_is_not_to_be_pinged_and_knows_no_decommissioning() {
    for method in ["ping", "decom.disk_erase", "decom.qc", "handshake", "log", "task_status", "frobnicate"] {
        let mut test = Test::original();
        test.bytes(&command("1", method, "{\"task_id\":\"t\"}"));
        assert_eq!(
            test.seen()[..3],
            [
                "> {\"fatal_error\": \"unknown message method\"}",
                "disconnect",
                "ConnectionEnded { connection: ConnectionId(1), reason: Peer(UnknownMethod) }",
            ],
            "{method}"
        );
    }
}

#[test]
fn the_documents_agent_answers_pings() {
    let mut test = Test::ready();
    test.bytes(&command("1", "ping", "{\"x\":1}"));
    assert_eq!(test.seen(), ["> {\"version\": \"v1\", \"id\": \"1\", \"result\": {\"x\":1}}", "Pinged"]);
}

#[test]
fn versions_and_methods_of_odd_types_end_the_connection() {
    for (version, method, text) in [
        ("\"v2\"", "\"status\"", "unknown message version"),
        ("\"V1\"", "\"status\"", "unknown message version"),
        ("1", "\"status\"", "unknown message version"),
        ("[\"v1\"]", "\"status\"", "protocol error: malformed message."),
        ("\"v1\"", "{}", "protocol error: malformed message."),
        ("\"v1\"", "null", "unknown message method"),
        ("\"v1\"", "7", "unknown message method"),
        ("\"v1\"", "\"\"", "unknown message method"),
    ] {
        let mut test = Test::ready();
        test.bytes(&format!("{{\"id\":1,\"version\":{version},\"method\":{method},\"params\":{{}}}}\n"));
        assert_eq!(test.seen()[0], format!("> {{\"fatal_error\": \"{text}\"}}"), "{version} {method}");
    }
}

#[test]
fn a_task_is_accepted_then_reported_at_once_and_every_10_seconds_on_a_grid() {
    let mut test = Test::ready();
    let start = test.now;
    test.bytes(&command("1", "decom.disk_erase", "{\"task_id\":\"t-1\"}"));
    let report = |n, percent, eta| {
        format!(
            "> {{\"version\": \"v1\", \"params\": {{\"task_id\": \"t-1\", \"state\": \"running\", \"percent\": {percent}, \
             \"eta\": {eta}}}, \"id\": \"#{n}\", \"method\": \"task_status\"}}"
        )
    };
    assert_eq!(
        test.seen(),
        [
            "> {\"version\": \"v1\", \"id\": \"1\", \"result\": {}}".to_owned(),
            "TaskBegun { task: TaskNumber(1), command: TaskCommand { task_id: TaskId(\"t-1\"), work: DiskErase } }"
                .to_owned(),
            report(3, "0.0", "60.0"),
        ]
    );
    let task = test.task();
    test.agent.0.progress(task, 25.0, Some(seconds(30)), start + seconds(1)).unwrap();
    assert_eq!(test.seen(), [""; 0], "progress alone is not reported at once");
    test.lines_until(start + seconds(10));
    assert_eq!(test.reports, [(10, report(4, "25.0", "30.0"))]);
    // 10 % in 15 s leave 135 s.
    test.agent.0.progress(task, 10.0, None, start + seconds(15)).unwrap();
    test.reports.clear();
    test.lines_until(start + seconds(39));
    let times: Vec<u64> = test.reports.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [20, 30]);
    assert!(test.reports[0].1.contains("\"percent\": 10.0, \"eta\": 135.0"));
}

#[test]
fn the_end_of_a_task_is_reported_at_once_and_only_once() {
    let mut test = Test::ready();
    test.bytes(&command("1", "decom.firmware_secure", "{\"task_id\":\"t\"}"));
    test.seen();
    let task = test.task();
    test.agent.0.fail(task, "no \u{e9}nergy", test.now).unwrap();
    assert_eq!(
        test.seen(),
        [
            "> {\"version\": \"v1\", \"params\": {\"task_id\": \"t\", \"state\": \"error\", \"msg\": \"no \\u00e9nergy\"}, \
          \"id\": \"#4\", \"method\": \"task_status\"}"
        ]
    );
    let now = test.now;
    assert_eq!(test.agent.0.complete(task, now), Err(CommandError::UnknownTask));
    assert_eq!(test.agent.0.fail(task, "again", now), Err(CommandError::UnknownTask));
    assert_eq!(test.agent.0.progress(task, 1.0, None, now), Err(CommandError::UnknownTask));
    assert_eq!(test.agent.0.task(task).unwrap().state(), TaskState::Error);
    test.bytes(&result(test.id(4), "{}"));
    assert_eq!(test.seen(), ["TaskReported { task: TaskNumber(1), task_id: TaskId(\"t\"), answered: true }"]);
    assert!(test.agent.0.task(task).is_none());
    test.lines_until(now + seconds(40));
    assert_eq!(test.reports, []);
}

#[test]
fn a_task_id_is_not_used_twice() {
    let mut test = Test::ready();
    test.bytes(&command("1", "decom.disk_erase", "{\"task_id\":\"t\"}"));
    test.seen();
    let task = test.task();
    let refused = |id| {
        format!(
            "> {{\"version\": \"v1\", \"id\": \"{id}\", \"error\": {{\"msg\": \"the task id \\\"t\\\" is in use or was used \
             before\"}}}}"
        )
    };
    test.bytes(&command("2", "decom.firmware_secure", "{\"task_id\":\"\\u0074\"}"));
    assert_eq!(test.seen()[0], refused(2));
    test.agent.0.complete(task, test.now).unwrap();
    test.seen();
    test.bytes(&(result(test.id(4), "{}") + &command("3", "decom.disk_erase", "{\"task_id\":\"t\"}")));
    assert_eq!(test.seen()[1], refused(3));
}

#[test]
fn the_original_knows_a_used_id_only_among_prepared_images_and_reports_nothing() {
    let mut test = Test::original();
    let params = "{\"task_id\":\"t-1\",\"image_id\":\"i\"}";
    test.bytes(&command("p-1", "standby.prepare_image", params));
    test.bytes(&command("p-2", "standby.prepare_image", params));
    test.bytes(&command("r", "standby.run_image", params));
    test.bytes(&command("r", "standby.run_image", params));
    let lines: Vec<String> = test.seen().into_iter().filter(|text| text.starts_with('>')).collect();
    assert_eq!(
        lines,
        [
            "> {\"version\": \"v1\", \"id\": \"p-1\", \"result\": null}",
            "> {\"version\": \"v1\", \"id\": \"p-2\", \"error\": \"cannot have two services with same name \
             'prepare_image.t-1'\"}",
            "> {\"version\": \"v1\", \"id\": \"r\", \"result\": null}",
            "> {\"version\": \"v1\", \"id\": \"r\", \"result\": null}",
        ]
    );
    let task = test.task();
    test.agent.0.complete(task, test.now).unwrap();
    assert_eq!(
        test.seen(),
        ["TaskReported { task: TaskNumber(1), task_id: TaskId(\"t-1\"), answered: false }"]
    );
}

#[test]
fn more_tasks_than_the_limit_are_refused() {
    let mut test = Test::ready_with(|config| config.max_tasks = 1);
    test.bytes(&command("1", "decom.disk_erase", "{\"task_id\":\"a\"}"));
    test.bytes(&command("2", "decom.disk_erase", "{\"task_id\":\"b\"}"));
    assert!(test.seen().contains(
        &"> {\"version\": \"v1\", \"id\": \"2\", \"error\": {\"msg\": \"too many tasks\"}}".to_owned()
    ));
    assert_eq!(test.agent.0.tasks().count(), 1);
}

#[test]
fn the_images_held_go_into_the_last_report() {
    let mut test = Test::ready();
    test.bytes(&command(
        "1",
        "standbye.cache_images",
        &format!("{{\"task_id\":\"t\",\"image_ids\":[\"{IMAGE}\"]}}"),
    ));
    test.seen();
    let task = test.task();
    test.agent.0.held(task, vec![ImageId::from(IMAGE)], test.now).unwrap();
    test.agent.0.complete(task, test.now).unwrap();
    assert!(test.seen()[0].contains(&format!("\"state\": \"complete\", \"image_ids\": [\"{IMAGE}\"]")));
}

#[test]
fn a_task_goes_on_without_a_connection_and_is_reported_when_the_next_one_is_ready() {
    let mut test = Test::ready();
    test.bytes(&command("1", "decom.disk_erase", "{\"task_id\":\"t\"}"));
    test.seen();
    let task = test.task();
    test.reconnect();
    test.agent.0.progress(task, 50.0, Some(seconds(5)), test.now).unwrap();
    test.bytes(&result(test.id(4), "{}"));
    let seen = test.seen();
    assert!(seen[1].contains("\"method\": \"ping\""));
    assert!(seen[2].contains("\"state\": \"running\", \"percent\": 50.0, \"eta\": 5.0"));
}

#[test]
fn an_end_without_a_connection_is_reported_over_the_next_one() {
    let mut test = Test::ready();
    test.bytes(&command("1", "decom.disk_erase", "{\"task_id\":\"t\"}"));
    test.seen();
    let task = test.task();
    test.lose();
    test.agent.0.complete(task, test.now).unwrap();
    assert!(test.seen().iter().all(|text| !text.contains("complete")));
    test.connect_again();
    test.bytes(&result(test.id(4), "{}"));
    assert!(test.seen()[2].contains("\"state\": \"complete\""));
}

#[test]
fn an_end_that_was_not_answered_is_repeated_over_the_next_connection_unless_that_is_switched_off() {
    for repeats in [true, false] {
        let mut test = Test::ready_with(|config| config.repeat_unanswered_end = repeats);
        test.bytes(&command("1", "decom.disk_erase", "{\"task_id\":\"t\"}"));
        test.seen();
        let task = test.task();
        test.agent.0.complete(task, test.now).unwrap();
        assert!(test.seen()[0].contains("\"state\": \"complete\""));
        test.reconnect();
        test.bytes(&result(test.transcript.id(5), "{}"));
        let repeated = test.seen().iter().any(|text| text.contains("\"state\": \"complete\""));
        assert_eq!(repeated, repeats);
        assert_eq!(test.agent.0.task(task).is_some(), repeats);
    }
}

#[test]
fn nothing_is_reported_before_the_handshake_is_answered() {
    let mut test = Test::connected_to_server();
    test.bytes(&command("1", "decom.disk_erase", "{\"task_id\":\"t\"}"));
    assert_eq!(test.seen().len(), 2, "the answer and the event");
    test.bytes(&result(test.id(1), "{}"));
    assert!(test.seen()[2].contains("\"state\": \"running\""));
}

#[test]
fn reports_wait_while_too_many_calls_are_unanswered_and_are_made_up_for() {
    let mut test = Test::ready_with(|config| config.session.max_calls = 2);
    test.bytes(&command("1", "decom.disk_erase", "{\"task_id\":\"t\"}"));
    test.seen();
    let task = test.task();
    test.agent.0.complete(task, test.now).unwrap();
    assert_eq!(test.seen(), [""; 0], "a ping and a report are unanswered");
    test.bytes(&result(test.id(3), "{}"));
    assert!(test.seen()[0].contains("\"state\": \"complete\""));
}

#[test]
fn a_report_that_waits_goes_out_when_a_call_is_given_up() {
    let mut test = Test::ready_with(|config| config.session.max_calls = 3);
    let call = test.agent.0.log(&LogEntry::new("x", 1.0), test.now).unwrap();
    test.bytes(&command("1", "decom.disk_erase", "{\"task_id\":\"t\"}"));
    test.seen();
    let task = test.task();
    test.agent.0.complete(task, test.now).unwrap();
    assert_eq!(test.seen(), [""; 0]);
    test.agent.0.cancel(call, test.now);
    assert!(test.seen()[0].contains("\"state\": \"complete\""));
}

#[test]
fn a_failure_too_long_for_a_line_is_reported_cut() {
    let mut test = Test::ready();
    test.bytes(&command("1", "decom.disk_erase", "{\"task_id\":\"t\"}"));
    test.seen();
    let task = test.task();
    test.agent.0.fail(task, &"x".repeat(600_000), test.now).unwrap();
    let seen = test.seen();
    assert!(seen[0].len() < 1200 && seen[0].contains("\"state\": \"error\", \"msg\": \"xxx"));
}

#[test]
fn images_too_many_for_a_line_are_told_as_far_as_they_fit_the_first_ones_first() {
    let mut test = Test::ready_with(|config| config.session.max_sent_line = 40_000);
    test.bytes(&command(
        "1",
        "standbye.cache_images",
        &format!("{{\"task_id\":\"t\",\"image_ids\":[\"{IMAGE}\"]}}"),
    ));
    test.seen();
    let task = test.task();
    let images: Vec<ImageId> = (0..2000).map(|n| ImageId::from(&*format!("{n:08}{}", &IMAGE[8..]))).collect();
    test.agent.0.held(task, images, test.now).unwrap();
    test.agent.0.complete(task, test.now).unwrap();
    let seen = test.seen();
    assert!(seen[0].contains("\"image_ids\": [\"00000000-5598") && seen[0].contains("\"00000030-5598"));
    assert!(seen[0].len() < 40_000);
}

#[test]
fn a_server_that_answers_nothing_does_not_stop_the_reports() {
    let mut test = Test::ready_with(|config| config.call_timeout = Some(seconds(1)));
    test.bytes(&command("1", "decom.disk_erase", "{\"task_id\":\"t\"}"));
    test.seen();
    let (task, start) = (test.task(), test.now);
    test.lines_until(start + seconds(4000));
    test.agent.0.complete(task, test.now).unwrap();
    assert!(test.seen()[0].contains("\"state\": \"complete\""));
}

#[test]
fn closing_tells_a_ready_server_that_running_tasks_have_failed() {
    let mut test = Test::ready();
    test.run_image();
    test.agent.0.close(test.now);
    let seen = test.seen();
    assert!(seen[0].contains("\"state\": \"error\", \"msg\": \"service being shutdown\""));
    assert_eq!(seen[1], "disconnect");
    assert_eq!(seen.last().unwrap(), "Closed");
    assert!(seen.iter().all(|text| !text.contains("Kexec") && !text.contains("Reboot")));
}

#[test]
fn commands_of_the_application_beyond_the_limit_are_refused_and_others_are_served() {
    let mut test = Test::ready_with(|config| {
        config.methods = ["x.y".to_owned()].into();
        config.session.max_unanswered = 1;
    });
    test.bytes(&(command("1", "x.y", "{}") + &command("2", "x.y", "{}") + &command("3", "status", "{}")));
    let outputs = drain(&mut test.agent);
    let seen = test.transcript.of(&outputs);
    assert!(seen[0].starts_with("Command {"));
    assert!(seen[1].contains("\"id\": \"2\", \"error\": {\"msg\": \"too many commands are unanswered\"}"));
    assert!(seen[2].starts_with("CommandRefused") && seen[3].contains("uptime"));
}

#[test]
fn the_documents_spelling_is_served_under_the_original_and_the_other_way_round() {
    let mut test = Test::original();
    test.bytes(&command("1", "standbye.prepare_image", "{\"task_id\":\"t\",\"image_id\":1}"));
    assert_eq!(test.seen()[0], "> {\"version\": \"v1\", \"id\": \"1\", \"result\": null}");
    let mut test = Test::ready();
    let params = format!("{{\"task_id\":\"t\",\"image_id\":\"{IMAGE}\"}}");
    test.bytes(&command("1", "standby.prepare_image", &params));
    assert_eq!(test.seen()[0], "> {\"version\": \"v1\", \"id\": \"1\", \"result\": {}}");
}

#[test]
fn running_an_image_goes_step_by_step_and_leaves_once_the_server_knows() {
    for (viable, last) in [(true, "Kexec"), (false, "Reboot")] {
        let mut test = Test::ready();
        test.run_image();
        let task = test.task();
        let now = test.now;
        assert_eq!(test.agent.0.complete(task, now), Err(CommandError::WrongStep));
        assert_eq!(test.agent.0.kexec_target(task, viable, now), Err(CommandError::WrongStep));
        test.agent.0.step_done(task, now).unwrap();
        assert_eq!(test.seen(), [step("SetUpBootLoader")]);
        test.agent.0.step_done(task, now).unwrap();
        assert_eq!(test.seen(), [step("FindKexecTarget")]);
        assert_eq!(test.agent.0.step_done(task, now), Err(CommandError::WrongStep));
        assert_eq!(test.agent.0.task(task).unwrap().percent(), 50.0);
        test.agent.0.kexec_target(task, viable, now).unwrap();
        let seen = test.seen();
        assert_eq!(seen.len(), 1);
        assert!(seen[0].contains("\"state\": \"complete\""), "the server is told before the agent leaves");
        test.bytes(&result(test.id(4), "{}"));
        assert_eq!(
            test.seen(),
            [
                "TaskReported { task: TaskNumber(1), task_id: TaskId(\"t\"), answered: true }".to_owned(),
                step(last)
            ]
        );
    }
}

#[test]
fn running_an_image_does_not_wait_for_ever_for_a_server_that_does_not_answer() {
    let mut test = Test::ready();
    test.run_image();
    let (task, now) = (test.task(), test.now);
    test.agent.0.step_done(task, now).unwrap();
    test.agent.0.step_done(task, now).unwrap();
    test.agent.0.kexec_target(task, false, now).unwrap();
    test.seen();
    let log = advance(&mut test.agent, now + seconds(11));
    let last = log.last().unwrap();
    assert_eq!(last.0, now + seconds(10));
    assert!(matches!(&last.1, Output::Event(Event::Step { step: RunStep::Reboot { .. }, .. })));
}

#[test]
fn a_step_that_fails_ends_the_run() {
    let mut test = Test::ready();
    test.run_image();
    let (task, now) = (test.task(), test.now);
    test.agent.0.fail(task, "no space", now).unwrap();
    assert!(test.seen()[0].contains("\"state\": \"error\", \"msg\": \"no space\""));
    assert_eq!(test.agent.0.step_done(task, now), Err(CommandError::UnknownTask));
    test.bytes(&result(test.id(4), "{}"));
    assert_eq!(test.seen(), ["TaskReported { task: TaskNumber(1), task_id: TaskId(\"t\"), answered: true }"]);
}

#[test]
fn the_original_runs_an_image_without_settings_and_leaves_without_a_report() {
    let mut test = Test::original();
    test.bytes(&command("1", "standby.run_image", "{\"task_id\":null,\"image_id\":\"i\"}"));
    assert!(test.seen()[2].contains("SetUpBootLoader"));
    let (task, now) = (test.task(), test.now);
    test.agent.0.step_done(task, now).unwrap();
    test.agent.0.kexec_target(task, true, now).unwrap();
    let seen = test.seen();
    assert!(seen[1].contains("TaskReported") && seen[2].contains("Kexec"), "{seen:?}");
}

#[test]
fn log_entries_are_sent_over_an_open_connection_and_refused_without_one() {
    let mut test = Test::new();
    let entry = LogEntry::new("hello", 1.5);
    assert_eq!(test.agent.0.log(&entry, test.now), Err(session::CommandError::NotConnected.into()));
    test.seen();
    test.connected();
    let call = test.agent.0.log(&entry, test.now).unwrap();
    assert!(test.seen()[2].contains("\"params\": {\"message\": \"hello\", \"time\": 1.5}"));
    test.bytes(&error(test.id(2), "\"full\""));
    let outputs = drain(&mut test.agent);
    assert!(
        matches!(&outputs[..], [Output::Event(Event::Replied { call: answered, .. })] if *answered == call)
    );
}

#[test]
fn what_a_server_does_not_serve_is_not_sent() {
    let mut test = Test::ready();
    let refused = test.agent.0.send(&Command::Status, test.now);
    assert!(matches!(
        refused,
        Err(CommandError::Session(session::CommandError::Send(SendError::NotServed { .. })))
    ));
    test.agent.0.send(&Command::Ping(Object::new()), test.now).unwrap();
}

#[test]
fn methods_of_the_application_come_as_events_and_are_answered() {
    let mut test = Test::ready_with(|config| config.methods = ["x.y".to_owned()].into());
    test.bytes(&command("1", "x.y", "{\"a\":1}"));
    let Some(Output::Event(Event::Command { token, method, params })) = test.agent.0.poll_output() else {
        panic!("a command")
    };
    assert_eq!((method.to_string(), params.text()), ("x.y".to_owned(), "{\"a\":1}"));
    test.agent.0.respond(token, Answer::Done, test.now).unwrap();
    assert_eq!(test.seen(), ["> {\"version\": \"v1\", \"id\": \"1\", \"result\": {}}"]);
}

#[test]
fn a_token_of_a_lost_connection_answers_nothing() {
    let mut test = Test::ready_with(|config| config.methods = ["x.y".to_owned()].into());
    test.bytes(&command("1", "x.y", "{}"));
    let Some(Output::Event(Event::Command { token, .. })) = test.agent.0.poll_output() else {
        panic!("a command")
    };
    test.reconnect();
    assert_eq!(
        test.agent.0.respond(token, Answer::Done, test.now),
        Err(session::CommandError::NotAnswerable.into())
    );
    assert_eq!(test.seen(), [""; 0]);
}

#[test]
fn the_waits_grow_until_a_handshake_is_accepted() {
    let mut test = Test::with(|config| config.backoff.spread = 0.0);
    let mut waits = Vec::new();
    for _ in 0..3 {
        test.seen();
        let connection = test.agent.0.connection().unwrap();
        test.agent.0.handle_connect_failed(connection, test.now);
        waits.push(test.wait());
    }
    assert_eq!(waits, [2718, 7389, 20085]);
    // A server that accepts and closes is not called more often.
    test.seen();
    test.connected();
    test.lose();
    assert_eq!(test.wait(), 54598);
    test.seen();
    test.connected();
    test.seen();
    let handshake = test.transcript.id(2).to_owned();
    test.bytes(&result(&handshake, "{}"));
    test.lose();
    assert_eq!(test.wait(), 2718);
    assert_eq!(test.seen().last().unwrap(), "connect 6 attempt 1");
}

#[test]
fn the_originals_waits_start_anew_with_a_connection() {
    let mut test = Test::with(|config| {
        config.backoff.spread = 0.0;
        config.backoff.reset = BackoffReset::Connect;
    });
    for _ in 0..3 {
        test.seen();
        test.connected();
        test.lose();
        assert_eq!(test.wait(), 2718);
    }
}

#[test]
fn an_attempt_that_takes_too_long_is_given_up() {
    let mut test = Test::new();
    test.seen();
    let log = advance(&mut test.agent, test.now + seconds(30));
    assert!(log.iter().all(|(at, _)| *at == test.now + seconds(30)));
    let outputs: Vec<Output> = log.into_iter().map(|(_, output)| output).collect();
    let seen = test.transcript.of(&outputs);
    assert_eq!(seen[..2], ["disconnect", "ConnectFailed { connection: ConnectionId(1) }"]);
    // It comes about after all: too late.
    let first = test.first;
    test.agent.0.handle_connected(first, test.now + seconds(30));
    assert_eq!(test.seen(), [""; 0]);
}

#[test]
fn a_connection_that_the_application_ends_is_followed_by_another_one() {
    let mut test = Test::ready();
    test.agent.0.disconnect(test.now);
    let seen = test.seen();
    assert_eq!(seen[..2], ["disconnect", "ConnectionEnded { connection: ConnectionId(1), reason: Local }"]);
    assert!(seen[2].starts_with("Waiting"));
    test.agent.0.disconnect(test.now);
    assert_eq!(test.seen(), [""; 0]);
    test.connect_again();
}

#[test]
fn input_for_a_connection_that_is_over_is_ignored() {
    let mut test = Test::ready();
    let old = test.agent.0.connection().unwrap();
    test.reconnect();
    let now = test.now;
    test.agent.0.handle_bytes(old, b"nonsense\n", now);
    test.agent.0.handle_disconnect(old, now);
    test.agent.0.handle_connected(old, now);
    test.agent.0.handle_connect_failed(old, now);
    test.agent.0.handle_stalled(old, now);
    assert_eq!(test.seen(), [""; 0]);
    assert_eq!(test.agent.0.state(), State::Handshaking);
}

#[test]
fn after_its_end_an_agent_is_silent() {
    for open in [false, true] {
        let mut test = Test::new();
        if open {
            test.seen();
            test.connected();
        }
        test.seen();
        let connection = test.agent.0.connection().unwrap();
        test.agent.0.close(test.now);
        let seen = test.seen();
        assert_eq!(seen[0], "disconnect");
        assert_eq!(seen.last().unwrap(), "Closed");
        assert_eq!(seen.iter().filter(|text| text.starts_with("ConnectionEnded")).count(), usize::from(open));
        let now = test.now;
        testkit::rules::check_closed(&mut test.agent, now);
        testkit::rules::check_closed_ignores(&mut test.agent, |agent| {
            agent.0.handle_connected(connection, now);
            agent.0.handle_bytes(connection, b"x\n", now);
            agent.0.handle_disconnect(connection, now);
            agent.0.close(now);
            assert_eq!(
                agent.0.log(&LogEntry::new("x", 0.0), now),
                Err(session::CommandError::NotConnected.into())
            );
        });
    }
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let refused = |set: fn(&mut Config)| {
        let mut config = Config::new("a", "b", 1);
        set(&mut config);
        Agent::new(config, epoch()).err().unwrap()
    };
    assert_eq!(refused(|config| config.report_interval = seconds(0)), ConfigError::Wait("report_interval"));
    assert_eq!(
        refused(|config| config.session.ping_interval = seconds(0)),
        session::ConfigError::Wait("ping_interval").into()
    );
    assert_eq!(
        refused(|config| config.session.idle_timeout = seconds(0)),
        session::ConfigError::Wait("idle_timeout").into()
    );
    assert_eq!(refused(|config| config.session.max_line = 0), session::ConfigError::Limit("max_line").into());
    assert_eq!(
        refused(|config| config.session.max_sent_line = 32_767),
        session::ConfigError::MaxSentLine.into()
    );
    assert_eq!(refused(|config| config.id = "x".repeat(1025)), ConfigError::Handshake);
    assert_eq!(refused(|config| config.connect_timeout = seconds(0)), ConfigError::Wait("connect_timeout"));
    assert_eq!(refused(|config| config.call_timeout = Some(seconds(0))), ConfigError::Wait("call_timeout"));
    assert_eq!(
        refused(|config| config.session.ping_timeout = Some(seconds(0))),
        session::ConfigError::Wait("ping_timeout").into()
    );
    assert_eq!(
        refused(|config| config.session.max_calls = 0),
        session::ConfigError::Limit("max_calls").into()
    );
    assert_eq!(refused(|config| config.backoff.factor = 0.5), ConfigError::Backoff);
    assert_eq!(refused(|config| config.backoff.spread = f64::NAN), ConfigError::Backoff);
}

#[test]
fn no_setting_makes_the_waits_vanish() {
    let mut config = teeth_proto::agent::BackoffConfig::default();
    (config.factor, config.spread) = (1.0, 0.5);
    let mut backoff = teeth_proto::agent::Backoff::new(config, 3).unwrap();
    assert!((0..10_000).all(|_| backoff.next_wait() >= std::time::Duration::from_millis(100)));
}

#[test]
fn settings_of_a_config_drive_show_nowhere() {
    let mut test = Test::ready();
    let params = format!(
        "{{\"task_id\":\"t\",\"image_id\":\"{IMAGE}\",\"config_drive\":{{\"user_data\":\"{MARK}\"}}}}"
    );
    test.bytes(&command("1", "standbye.run_image", &params));
    let outputs = drain(&mut test.agent);
    assert!(outputs.iter().any(|output| matches!(
        output,
        Output::Event(Event::Step { step: RunStep::WriteConfigDrive { settings, .. }, .. })
            if settings.settings().text().contains(MARK)
    )));
    testkit::secrets::assert_debug_hides(&outputs);
    testkit::secrets::assert_debug_hides(&test.agent.0);
    testkit::secrets::assert_debug_hides(&test.agent.0.tasks().collect::<Vec<_>>());
}

fn step(name: &str) -> String {
    format!(
        "Step {{ task: TaskNumber(1), task_id: TaskId(\"t\"), step: {name} {{ image: ImageId(\"{IMAGE}\") }} }}"
    )
}

struct Test {
    agent: TestAgent,
    transcript: Transcript,
    reports: Vec<(u64, String)>,
    first: ConnectionId,
    start: Instant,
    now: Instant,
}

impl Test {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(set: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("a:b:c:d", "0.1-dev", 7);
        set(&mut config);
        let now = epoch();
        let agent = Agent::new(config, now).unwrap();
        let first = agent.connection().unwrap();
        let transcript = Transcript::default();
        Self { agent: TestAgent(agent), transcript, reports: Vec::new(), first, start: now, now }
    }

    /// The handshake, `#1`, is out.
    fn connected_to_server() -> Self {
        let mut test = Self::new();
        test.seen();
        test.connected();
        test.seen();
        test
    }

    /// The handshake is answered and the first ping, `#2`, is out.
    fn ready() -> Self {
        Self::ready_with(|_| {})
    }

    fn ready_with(set: impl FnOnce(&mut Config)) -> Self {
        let mut test = Self::with(set);
        test.seen();
        test.connected();
        test.seen();
        test.bytes(&result(test.transcript.id(1), "{}"));
        assert_eq!(test.seen().len(), 2);
        test
    }

    fn original() -> Self {
        Self::ready_with(|config| config.session.dialect = Dialect::Original)
    }

    fn connected(&mut self) {
        let connection = self.agent.0.connection().unwrap();
        self.agent.0.handle_connected(connection, self.now);
    }

    fn lose(&mut self) {
        let connection = self.agent.0.connection().unwrap();
        self.agent.0.handle_disconnect(connection, self.now);
    }

    /// Waits for the next attempt; returns for how long, in milliseconds.
    fn wait(&mut self) -> u128 {
        self.seen();
        let due = self.agent.0.poll_timeout().unwrap();
        let wait = due - self.now;
        self.now = due;
        self.agent.0.handle_timeout(due);
        wait.as_millis()
    }

    fn connect_again(&mut self) {
        self.wait();
        self.connected();
        assert!(self.seen().last().unwrap().contains("handshake"));
    }

    /// Loses the connection; the next one waits for the answer to its handshake.
    fn reconnect(&mut self) {
        self.lose();
        self.connect_again();
    }

    fn bytes(&mut self, text: &str) {
        let connection = self.agent.0.connection().unwrap();
        self.agent.0.handle_bytes(connection, text.as_bytes(), self.now);
    }

    fn seen(&mut self) -> Vec<String> {
        let outputs = drain(&mut self.agent);
        self.transcript.of(&outputs)
    }

    fn id(&self, number: usize) -> &str {
        self.transcript.id(number)
    }

    fn task(&self) -> TaskNumber {
        self.agent.0.tasks().next().unwrap().0
    }

    fn run_image(&mut self) {
        let params = format!("{{\"task_id\":\"t\",\"image_id\":\"{IMAGE}\",\"config_drive\":{{}}}}");
        self.bytes(&command("1", "standbye.run_image", &params));
        let seen = self.seen();
        assert!(
            seen[2].contains("WriteConfigDrive") && seen[3].contains("\"state\": \"running\""),
            "{seen:?}"
        );
    }

    /// Sleeps to each deadline and notes the reports, with their times in seconds; blank lines of the server keep the
    /// connection up.
    fn lines_until(&mut self, end: Instant) {
        let connection = self.agent.0.connection().unwrap();
        let (start, mut outputs) = (self.start, Vec::new());
        testkit::advance_with(&mut self.agent, end, |agent, at, output| {
            agent.0.handle_bytes(connection, b"\n", at);
            outputs.push((at, output));
        });
        for (at, output) in outputs {
            let text = self.transcript.of(&[output]).remove(0);
            if text.contains("task_status") {
                self.reports.push(((at - start).as_secs(), text));
            }
        }
        self.now = end;
    }
}
