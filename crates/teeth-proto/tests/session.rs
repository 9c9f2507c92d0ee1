//! One connection: correlation, tokens, timers, limits, the end.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use support::{Short, TestSession, Transcript, command, drain, epoch, error, object, result, seconds};
use teeth_proto::command::{ErrorValue, Method};
use teeth_proto::session::{
    Answer, AnswerToken, CallFailure, CallId, CloseReason, CommandError, Config, Event, Output, Reply,
    Session,
};
use teeth_proto::wire::{Object, Violation};
use teeth_proto::{Dialect, Instant};
use testkit::advance;

#[test]
fn a_reply_names_its_call_and_its_method() {
    let mut test = Test::new();
    let call = test.call("status");
    assert_eq!(
        test.seen(),
        ["> {\"version\": \"v1\", \"params\": {}, \"id\": \"#1\", \"method\": \"status\"}"]
    );
    test.bytes(&result(test.id(1), "{\"a\":1}"));
    let [Output::Event(Event::Replied { call: answered, method, reply: Reply::Result(result) })] =
        &test.drain()[..]
    else {
        panic!("one reply")
    };
    assert_eq!((*answered, method, result.text()), (call, &Method::Status, "{\"a\":1}"));
}

#[test]
fn replies_come_in_any_order_and_ids_are_uuids_of_version_4() {
    let mut test = Test::new();
    let calls = [test.call("a"), test.call("b")];
    test.seen();
    let ids = [test.id(1).to_owned(), test.id(2).to_owned()];
    assert!(ids.iter().all(|id| id.as_bytes()[14] == b'4' && "89ab".contains(&id[19..20])));
    test.bytes(&(error(&ids[1], "\"no\"") + &result(&ids[0], "null")));
    let outputs = test.drain();
    let answered: Vec<CallId> = outputs.iter().map(call_of).collect();
    assert_eq!(answered, [calls[1], calls[0]]);
    assert!(
        matches!(&outputs[0], Output::Event(Event::Replied { reply: Reply::Error(error), .. }) if error.msg() == "no")
    );
}

#[test]
fn a_reply_to_a_known_id_that_is_escaped_counts_and_one_in_capitals_does_not() {
    let mut test = Test::new();
    test.call("a");
    test.seen();
    let id = test.id(1).to_owned();
    let escaped = format!("\\u{:04x}{}", u32::from(id.as_bytes()[0]), &id[1..]);
    test.bytes(&result(&escaped, "{}"));
    assert!(matches!(test.drain()[..], [Output::Event(Event::Replied { .. })]));

    test.call("a");
    test.seen();
    let capitals = test.id(2).to_uppercase();
    assert_ne!(capitals, test.id(2), "a UUID without letters proves nothing");
    test.bytes(&result(&capitals, "{}"));
    assert_eq!(test.seen()[0], "> {\"fatal_error\": \"protocol violation: unknown message id referenced.\"}");
}

#[test]
fn a_second_reply_ends_the_connection() {
    let mut test = Test::new();
    test.call("a");
    test.seen();
    let line = result(test.id(1), "{}");
    test.bytes(&(line.clone() + &line));
    assert_eq!(
        test.seen(),
        [
            "Replied { call: CallId(1), method: Other(\"a\"), reply: Result(Object(2 bytes)) }",
            "> {\"fatal_error\": \"protocol violation: unknown message id referenced.\"}",
            "disconnect",
            "Closed(Peer(UnknownId))",
        ]
    );
}

#[test]
fn an_unanswered_call_times_out_at_its_deadline_and_its_late_answer_is_swallowed_once() {
    let mut test = Test::new();
    let now = test.now;
    let call = test.session.0.call(Method::from("a"), &Object::new(), Some(seconds(5)), now).unwrap();
    test.seen();
    let log = advance(&mut test.session, now + seconds(30));
    assert_eq!(log.len(), 1);
    let expected = Event::Lost { call, method: Method::from("a"), reason: CallFailure::TimedOut };
    assert_eq!(log[0], (now + seconds(5), Output::Event(expected)));
    let line = result(test.id(1), "{}");
    test.bytes(&line);
    assert_eq!(test.seen(), [""; 0]);
    test.bytes(&line);
    assert_eq!(test.seen()[2], "Closed(Peer(UnknownId))");
}

#[test]
fn a_cancelled_call_has_no_event_and_its_late_answer_is_swallowed() {
    let mut test = Test::new();
    let call = test.call("a");
    test.seen();
    test.session.0.cancel(call, test.now);
    test.session.0.cancel(call, test.now);
    assert_eq!(test.session.0.calls(), 0);
    test.bytes(&result(test.id(1), "{}"));
    assert_eq!(test.seen(), [""; 0]);
    assert!(!test.session.0.is_closed());
}

#[test]
fn calls_beyond_the_limit_are_refused_until_there_is_an_answer() {
    let mut test = Test::with(|config| config.max_calls = 2);
    test.call("a");
    test.call("b");
    test.seen();
    let refused = test.session.0.call(Method::from("c"), &Object::new(), None, test.now);
    assert_eq!(refused, Err(CommandError::TooManyCalls));
    assert_eq!(test.seen(), [""; 0]);
    test.bytes(&result(test.id(1), "{}"));
    assert_eq!(test.drain().len(), 1);
    test.call("c");
}

#[test]
fn a_peer_that_leaves_too_much_unanswered_is_given_up() {
    let mut test = Test::with(|config| config.max_abandoned = 2);
    for _ in 0..2 {
        let call = test.call("a");
        test.session.0.cancel(call, test.now);
    }
    test.seen();
    assert!(!test.session.0.is_closed());
    let call = test.call("a");
    test.seen();
    test.session.0.cancel(call, test.now);
    assert_eq!(test.seen(), ["disconnect", "Closed(Unresponsive)"]);
    assert!(test.session.0.is_closed());
}

#[test]
fn a_call_too_long_for_a_line_is_refused() {
    let mut test = Test::new();
    let params = object(&format!("{{\"a\":\"{}\"}}", "x".repeat(524_288)));
    let refused = test.session.0.call(Method::from("a"), &params, None, test.now);
    assert_eq!(refused, Err(CommandError::TooLong));
    assert_eq!(test.seen(), [""; 0]);
    assert_eq!(test.session.0.calls(), 0);
}

#[test]
fn every_unanswered_call_ends_with_the_connection_before_the_end_is_told() {
    for (end, reason) in [
        (Session::handle_disconnect as fn(&mut Session, Instant), "Disconnected"),
        (Session::close, "Local"),
        (Session::handle_stalled, "Stalled"),
    ] {
        let mut test = Test::new();
        test.call("a");
        test.call("b");
        test.seen();
        end(&mut test.session.0, test.now);
        let seen = test.seen();
        let lost: Vec<&String> = seen.iter().filter(|text| text.starts_with("Lost")).collect();
        assert_eq!(
            lost,
            [
                "Lost { call: CallId(1), method: Other(\"a\"), reason: ConnectionEnded }",
                "Lost { call: CallId(2), method: Other(\"b\"), reason: ConnectionEnded }",
            ]
        );
        assert_eq!(*seen.last().unwrap(), format!("Closed({reason})"));
        let work = seen.first().map(String::as_str);
        assert_eq!(work == Some("disconnect"), reason == "Local");
        assert_eq!(work == Some("abort"), reason == "Stalled");
        testkit::rules::check_closed(&mut test.session, test.now);
        let now = test.now;
        testkit::rules::check_closed_ignores(&mut test.session, |session| {
            session.0.handle_bytes(b"{}\n", now);
            session.0.handle_disconnect(now);
            session.0.close(now);
            session.0.start_pings(now);
            assert_eq!(
                session.0.call(Method::Ping, &Object::new(), None, now),
                Err(CommandError::NotConnected)
            );
        });
    }
}

#[test]
fn commands_are_answered_with_the_id_and_version_as_they_came() {
    let mut test = Test::new();
    for id in [
        "7",
        "1.50",
        "true",
        "[1, \"a\"]",
        "{\"k\":null}",
        "123456789012345678901234567890",
        "\"\\ud800\"",
        "1e999",
    ] {
        test.bytes(&format!("{{\"id\":{id},\"version\":\"v\\u0031\",\"method\":\"a\",\"params\":{{}}}}\n"));
        let token = test.token();
        test.session.0.respond(token, Answer::Done, test.now).unwrap();
        let expected = format!("> {{\"version\": \"v\\u0031\", \"id\": {id}, \"result\": {{}}}}");
        assert_eq!(test.seen(), [expected]);
    }
}

#[test]
fn answers_follow_the_dialect() {
    let further = object("{\"code\":7,\"msg\":\"busy\"}");
    let answers = || {
        [
            Answer::Done,
            Answer::Result(object("{\"a\":1}")),
            Answer::Error(ErrorValue::new("no")),
            Answer::Error(ErrorValue::from_object(further.clone())),
            Answer::Error(ErrorValue::from_object(object("{\"code\":7}"))),
        ]
    };
    let sent = |dialect| {
        let mut test = Test::with(|config| config.dialect = dialect);
        answers().map(|answer| {
            test.bytes(&command("1", "a", "{}"));
            let token = test.token();
            test.session.0.respond(token, answer, test.now).unwrap();
            test.seen()[0]["> {\"version\": \"v1\", \"id\": \"1\", ".len()..].to_owned()
        })
    };
    assert_eq!(
        sent(Dialect::Document),
        [
            "\"result\": {}}",
            "\"result\": {\"a\":1}}",
            "\"error\": {\"msg\": \"no\"}}",
            "\"error\": {\"code\":7,\"msg\":\"busy\"}}",
            "\"error\": {\"msg\": \"\", \"code\": 7}}",
        ]
    );
    assert_eq!(
        sent(Dialect::Original),
        [
            "\"result\": null}",
            "\"result\": {\"a\":1}}",
            "\"error\": \"no\"}",
            "\"error\": \"busy\"}",
            "\"error\": \"\"}"
        ]
    );
}

#[test]
fn a_ping_is_echoed_as_it_came_by_the_session_itself() {
    let mut test = Test::new();
    test.bytes(&command("1", "ping", "{ \"a\" :1E2,\"u\":\"é\u{1F980}\"}"));
    assert_eq!(
        test.seen(),
        [
            "> {\"version\": \"v1\", \"id\": \"1\", \"result\": { \"a\" :1E2,\"u\":\"\\u00e9\\ud83e\\udd80\"}}",
            "Pinged"
        ]
    );
}

#[test]
fn an_echo_that_would_be_too_long_is_an_error() {
    let mut test = Test::new();
    test.bytes(&command("1", "ping", &format!("{{\"a\":\"{}\"}}", "é".repeat(100_000))));
    let too_long = "> {\"version\": \"v1\", \"id\": \"1\", \"error\": {\"msg\": \"the answer would be longer than a line may be\"}}";
    assert_eq!(test.seen(), [too_long]);
    // So with an answer of the application, which is told.
    test.bytes(&command("1", "a", "{}"));
    let token = test.token();
    let answer = Answer::Result(object(&format!("{{\"a\":\"{}\"}}", "x".repeat(524_288))));
    assert_eq!(test.session.0.respond(token, answer, test.now), Err(CommandError::TooLong));
    assert_eq!(test.seen(), [too_long]);
    assert_eq!(test.session.0.unanswered(), 0);
}

#[test]
fn an_id_too_long_to_be_answered_ends_the_connection() {
    for method in ["ping", "a"] {
        let mut test = Test::with(|config| config.max_unanswered = 0);
        test.bytes(&command(&"é".repeat(100_000), method, "{}"));
        assert_eq!(
            test.seen(),
            [
                "> {\"fatal_error\": \"protocol error: malformed message.\"}",
                "disconnect",
                "Closed(Peer(IdTooLong))"
            ]
        );
    }
}

#[test]
fn commands_with_more_bytes_than_the_limit_are_refused() {
    let mut test = Test::with(|config| config.max_unanswered_bytes = 100);
    test.bytes(&command("1", "a", &format!("{{\"a\":\"{}\"}}", "x".repeat(100))));
    assert!(test.seen()[0].contains("too many commands are unanswered"));
    test.bytes(&command("1", "a", "{}"));
    assert_eq!(test.drain().len(), 1);
}

#[test]
fn a_command_counts_by_the_json_of_its_parts_until_it_is_answered() {
    let each = r#""v1"{}"1""a""#.len();
    let mut test = Test::with(|config| config.max_unanswered_bytes = 2 * each);
    let tokens = ["1", "2"].map(|id| {
        test.bytes(&command(id, "a", "{}"));
        test.token()
    });
    assert_eq!(test.session.0.unanswered_bytes(), 2 * each);
    test.bytes(&command("3", "a", "{}"));
    assert!(test.seen()[0].contains("too many commands are unanswered"));
    for (token, left) in tokens.into_iter().zip([each, 0]) {
        test.session.0.respond(token, Answer::Result(Object::new()), test.now).unwrap();
        assert_eq!(test.session.0.unanswered_bytes(), left);
    }
}

#[test]
fn a_session_shows_how_much_there_is_of_everything() {
    let mut test = Test::new();
    test.call("a");
    test.bytes("{\"id\"");
    test.seen();
    assert_eq!(
        format!("{:?}", test.session.0),
        "Session { dialect: Document, closed: false, calls: 1, abandoned: 0, unanswered: 0, buffered_bytes: 5, queued_bytes: 0, .. }"
    );
}

#[test]
fn a_line_may_be_as_long_as_the_limit_its_line_feed_apart() {
    let limit = 40_000;
    let mut test = Test::with(|config| config.max_sent_line = limit);
    let call = |test: &mut Test, filling: usize| {
        let params = object(&format!("{{\"a\": \"{}\"}}", "x".repeat(filling)));
        test.session.0.call(Method::from("a"), &params, None, test.now)
    };
    call(&mut test, 0).unwrap();
    let [Output::Transmit(line)] = &test.drain()[..] else { panic!("one line") };
    let room = limit - (line.len() - 1);
    assert_eq!(call(&mut test, room + 1), Err(CommandError::TooLong));
    call(&mut test, room).unwrap();
    let [Output::Transmit(line)] = &test.drain()[..] else { panic!("one line") };
    assert_eq!(line.len(), limit + 1);
}

#[test]
fn pings_that_were_late_stay_on_their_grid() {
    let mut test = Test::with(|config| {
        (config.ping_interval, config.ping_timeout) = (seconds(10), None);
        config.idle_timeout = seconds(1000);
    });
    let start = test.now;
    test.session.0.start_pings(start);
    assert_eq!(test.drain().len(), 1);
    for (called, next) in [(10, 20), (45, 50), (50, 60), (89, 90)] {
        test.session.0.handle_timeout(start + seconds(called));
        let pings = test.drain();
        assert!(matches!(pings[..], [Output::Transmit(_)]), "{pings:?}");
        assert_eq!(test.session.0.poll_timeout(), Some(start + seconds(next)), "after {called} s");
    }
}

#[test]
fn what_was_read_of_a_line_is_dropped_at_the_end() {
    let mut test = Test::new();
    test.bytes("{\"id\":");
    test.session.0.handle_disconnect(test.now);
    assert_eq!(test.session.0.buffered_bytes(), 0);
}

#[test]
fn a_dropped_token_is_due_at_once_and_answered_with_an_error() {
    let mut test = Test::new();
    test.bytes(&(command("1", "a", "{}") + &command("2", "b", "{}")));
    let outputs = test.drain();
    assert_eq!(outputs.len(), 2);
    drop(outputs);
    assert_eq!(test.session.0.poll_timeout(), Some(test.now));
    test.session.0.handle_timeout(test.now);
    assert_eq!(
        test.seen(),
        [
            "> {\"version\": \"v1\", \"id\": \"1\", \"error\": {\"msg\": \"the command was left unanswered\"}}",
            "AnswerDropped { method: String(3 bytes) }",
            "> {\"version\": \"v1\", \"id\": \"2\", \"error\": {\"msg\": \"the command was left unanswered\"}}",
            "AnswerDropped { method: String(3 bytes) }",
        ]
    );
    assert_eq!(test.session.0.unanswered(), 0);
    assert_eq!(test.session.0.poll_timeout(), Some(test.now + seconds(60)));
}

#[test]
fn a_token_of_another_session_answers_nothing() {
    let mut test = Test::new();
    let mut other = Test::new();
    test.bytes(&command("1", "a", "{}"));
    other.bytes(&command("1", "a", "{}"));
    let token = test.token();
    let kept = other.token();
    assert_eq!(other.session.0.respond(token, Answer::Done, other.now), Err(CommandError::NotAnswerable));
    assert_eq!(other.seen(), [""; 0]);
    assert_eq!(
        test.session.0.poll_timeout(),
        Some(test.now),
        "it was dropped, which its own session notices"
    );
    other.session.0.respond(kept, Answer::Done, other.now).unwrap();
    assert_eq!(other.seen().len(), 1);
}

#[test]
fn commands_beyond_the_limit_are_answered_with_an_error_and_responses_are_still_read() {
    let mut test = Test::with(|config| config.max_unanswered = 1);
    test.call("x");
    test.seen();
    let lines = command("1", "a", "{}") + &command("2", "b", "{}") + &result(test.id(1), "{}");
    test.bytes(&lines);
    let outputs = test.drain();
    assert!(matches!(outputs[0], Output::Event(Event::Command(_))));
    assert_eq!(
        outputs[1].short(),
        "> {\"version\": \"v1\", \"id\": \"2\", \"error\": {\"msg\": \"too many commands are unanswered\"}}"
    );
    assert!(matches!(outputs[2], Output::Event(Event::CommandRefused { .. })));
    assert!(matches!(outputs[3], Output::Event(Event::Replied { .. })));
    assert_eq!(outputs.len(), 4);
}

#[test]
fn pings_go_out_at_0_20_and_40_seconds_and_silence_ends_the_connection_at_60() {
    let mut test = Test::new();
    test.session.0.start_pings(test.now);
    let start = test.now;
    let mut log: Vec<(u64, String)> = test.seen().into_iter().map(|text| (0, text)).collect();
    for (at, output) in advance(&mut test.session, start + seconds(100)) {
        log.push(((at - start).as_secs(), test.transcript.of(&[output]).remove(0)));
    }
    let ping =
        |n| format!("> {{\"version\": \"v1\", \"params\": {{}}, \"id\": \"#{n}\", \"method\": \"ping\"}}");
    assert_eq!(
        log,
        [
            (0, ping(1)),
            (20, ping(2)),
            (40, ping(3)),
            (60, "abort".to_owned()),
            (60, "Closed(Idle)".to_owned())
        ]
    );
}

#[test]
fn any_complete_line_restarts_the_idle_time_and_bytes_without_an_end_do_not() {
    let mut test = Test::new();
    let start = test.now;
    test.session.0.handle_bytes(b"\n", start + seconds(10));
    assert_eq!(test.session.0.poll_timeout(), Some(start + seconds(70)));
    test.session.0.handle_bytes(b" \t\r\n{\"id\":", start + seconds(20));
    test.session.0.handle_bytes(b"\"1\"", start + seconds(60));
    assert_eq!(test.session.0.poll_timeout(), Some(start + seconds(80)));
    assert_eq!(test.session.0.buffered_bytes(), 9);
}

#[test]
fn a_ping_tick_that_was_missed_is_left_out_and_the_grid_stays() {
    let mut test = Test::new();
    let start = test.now;
    test.session.0.start_pings(start);
    test.seen();
    test.session.0.handle_bytes(b"\n", start + seconds(50));
    test.session.0.handle_timeout(start + seconds(50));
    assert_eq!(test.seen().len(), 1);
    assert_eq!(test.session.0.poll_timeout(), Some(start + seconds(60)));
}

#[test]
fn an_answered_ping_tells_its_round_trip() {
    let mut test = Test::new();
    let start = test.now;
    test.session.0.start_pings(start);
    test.seen();
    test.session.0.handle_bytes(error(test.id(1), "{}").as_bytes(), start + seconds(3));
    assert_eq!(test.drain(), [Output::Event(Event::PingAnswered { round_trip: seconds(3) })]);
}

#[test]
fn a_fatal_error_of_the_peer_aborts_without_an_answer() {
    let mut test = Test::new();
    test.bytes("{\"fatal_error\":{\"msg\":\"m\"},\"id\":\"1\",\"version\":\"v1\",\"method\":\"a\",\"params\":{}}\n{}\n");
    let outputs = test.drain();
    let [Output::Abort, Output::Event(Event::Closed(CloseReason::FatalError(text)))] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(text.text(), "{\"msg\":\"m\"}");
}

#[test]
fn only_the_first_of_two_violations_is_told_and_the_lines_after_it_are_dropped() {
    let mut test = Test::new();
    test.bytes("{\"id\":\"1\"}\n{\"version\":\"v1\"}\nnope\n{\"id\":\"1\",\"version\":\"v1\",\"method\":\"a\",\"params\":{}}\n");
    assert_eq!(
        test.seen(),
        [
            "> {\"fatal_error\": \"protocol violation: missing message version.\"}",
            "disconnect",
            "Closed(Peer(MissingVersion))"
        ]
    );
}

#[test]
fn a_session_that_serves_no_commands_says_so() {
    let mut test = Test::with(|config| config.serves_commands = false);
    test.bytes(&command("h", "handshake", "{}"));
    assert_eq!(test.seen()[0], "> {\"fatal_error\": \"protocol violation: unsupported command.\"}");
}

#[test]
fn an_application_ends_the_connection_with_a_violation_of_its_own() {
    let mut test = Test::new();
    test.bytes(&command("1", "a", "{}"));
    let token = test.token();
    test.session.0.reject(Violation::UnknownMethod, test.now);
    assert_eq!(
        test.seen(),
        ["> {\"fatal_error\": \"unknown message method\"}", "disconnect", "Closed(Peer(UnknownMethod))"]
    );
    assert_eq!(test.session.0.respond(token, Answer::Done, test.now), Err(CommandError::NotAnswerable));
}

#[test]
fn an_unfinished_line_over_the_limit_ends_the_connection_and_earlier_lines_count() {
    let mut test = Test::with(|config| config.max_line = 70);
    test.bytes(&(command("1", "ping", "{}") + &"x".repeat(70)));
    assert_eq!(test.seen().len(), 2);
    assert!(!test.session.0.is_closed());
    test.bytes("x");
    assert_eq!(
        test.seen(),
        [
            "> {\"fatal_error\": \"protocol error: malformed message.\"}",
            "disconnect",
            "Closed(Peer(LineTooLong))"
        ]
    );
    assert_eq!(test.session.0.buffered_bytes(), 0);
}

#[test]
fn queued_bytes_count_what_was_not_polled() {
    let mut test = Test::new();
    test.call("a");
    let queued = test.session.0.queued_bytes();
    let outputs = test.drain();
    let [Output::Transmit(line)] = &outputs[..] else { panic!("one line") };
    assert_eq!((queued, test.session.0.queued_bytes()), (line.len(), 0));
}

#[test]
fn a_clock_that_goes_back_counts_as_the_latest_time_seen() {
    let mut test = Test::new();
    let start = test.now + seconds(30);
    test.session.0.handle_bytes(b"\n", start);
    test.session.0.handle_bytes(b"\n", test.now);
    assert_eq!(test.session.0.poll_timeout(), Some(start + seconds(60)));
}

struct Test {
    session: TestSession,
    transcript: Transcript,
    now: Instant,
}

impl Test {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(set: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(7);
        set(&mut config);
        let now = epoch();
        Self {
            session: TestSession(Session::new(config, now).unwrap()),
            transcript: Transcript::default(),
            now,
        }
    }

    fn call(&mut self, method: &str) -> CallId {
        self.session.0.call(Method::from(method), &Object::new(), None, self.now).unwrap()
    }

    fn bytes(&mut self, text: &str) {
        self.session.0.handle_bytes(text.as_bytes(), self.now);
    }

    fn drain(&mut self) -> Vec<Output> {
        drain(&mut self.session)
    }

    fn seen(&mut self) -> Vec<String> {
        let outputs = drain(&mut self.session);
        self.transcript.of(&outputs)
    }

    fn id(&self, number: usize) -> &str {
        self.transcript.id(number)
    }

    /// The token of the one command that has come.
    fn token(&mut self) -> AnswerToken {
        let outputs = self.drain();
        assert_eq!(outputs.len(), 1);
        match outputs.into_iter().next() {
            Some(Output::Event(Event::Command(command))) => command.token,
            other => panic!("a command, not {other:?}"),
        }
    }
}

fn call_of(output: &Output) -> CallId {
    match output {
        Output::Event(Event::Replied { call, .. }) => *call,
        other => panic!("a reply, not {other:?}"),
    }
}
