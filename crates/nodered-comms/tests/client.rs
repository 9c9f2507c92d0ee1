//! The client: discovery, tokens, subscriptions, what it hands out, how it comes back.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use http::{Response, StatusCode};
use nodered_comms::client::{
    Client, CommandError, Config, ConfigError, Credentials, Discovery, Endpoint, EndpointError, Event,
    FailureKind, Output, RequestId, State,
};
use nodered_comms::event::CommsEvent;
use nodered_comms::{ConnectionId, Instant, Secret};
use support::{Short, TestClient, epoch, filter, json, seconds, short};
use testkit::secrets::{assert_debug_hides, marked};
use testkit::{advance, drain, rules};

const LOGIN: &str = "{\"type\":\"credentials\",\"prompts\":[{\"id\":\"username\"}]}";

#[test]
fn an_open_runtime_is_asked_and_then_subscribed_to_without_a_token() {
    let mut test = Test::with(Credentials::Token(Secret::new("t")), |_| {});
    test.client.0.subscribe(&filter("status/#"), test.now).unwrap();
    test.client.0.subscribe(&filter("debug"), test.now).unwrap();
    test.client.0.subscribe(&filter("status/#"), test.now).unwrap();
    assert_eq!(test.seen(), ["GET http://h:1880/auth/login"]);
    test.answer(200, "{}");
    assert_eq!(test.seen(), ["Discovered { protected: false }", "connect, attempt 1"]);
    test.connected();
    assert_eq!(
        test.seen(),
        [
            "Connected { connection: ConnectionId(2) }",
            "> {\"subscribe\":\"status/#\"}",
            "> {\"subscribe\":\"debug\"}",
            "Ready { connection: ConnectionId(2) }",
        ]
    );
}

#[test]
fn a_token_is_presented_and_nothing_else_is_sent_before_its_answer() {
    let mut test = Test::with(Credentials::Token(Secret::new("t\"")), |_| {});
    test.protected();
    test.connected();
    test.client.0.subscribe(&filter("a"), test.now).unwrap();
    assert_eq!(test.client.0.publish("t", json("1").as_ref(), test.now), Err(CommandError::NotReady));
    assert_eq!(test.seen(), ["Connected { connection: ConnectionId(2) }", "> {\"auth\":\"t\\\"\"}"]);
    assert_eq!(test.client.0.state(), State::Authenticating);
    test.text("{\"auth\":\"maybe\"}");
    assert_eq!(test.seen(), [""; 0]);
    test.text("{\"auth\":\"ok\"}");
    assert_eq!(
        test.seen(),
        [
            "Authenticated { connection: ConnectionId(2) }",
            "> {\"subscribe\":\"a\"}",
            "Ready { connection: ConnectionId(2) }"
        ]
    );
    test.text("{\"auth\":\"ok\"}");
    assert_eq!(test.seen(), [""; 0], "the answer to an upgrade");
}

#[test]
fn a_password_fetches_a_token_as_the_editor_does() {
    let mut test = Test::with(password("us er", "p&ä=+"), |_| {});
    test.seen();
    test.answer(200, LOGIN);
    assert_eq!(
        test.seen(),
        [
            "Discovered { protected: true }",
            "POST http://h:1880/auth/token client_id=node-red-admin&grant_type=password&scope=*&username=us+er&\
             password=p%26%C3%A4%3D%2B",
        ]
    );
    test.answer(200, "{\"access_token\":\"abc\",\"expires_in\":604800,\"token_type\":\"Bearer\"}");
    assert_eq!(test.seen(), ["LoggedIn { expires_in: Some(604800s) }", "connect, attempt 1"]);
    test.connected();
    assert_eq!(test.seen()[1], "> {\"auth\":\"abc\"}");
}

#[test]
fn a_wrong_password_needs_another_login() {
    let mut test = Test::with(password("u", "p"), |_| {});
    test.seen();
    test.answer(200, LOGIN);
    test.seen();
    test.answer(401, "Unauthorized");
    assert_eq!(test.seen(), ["LoginNeeded(Refused(401))"]);
    assert_eq!(test.client.0.poll_timeout(), None);
    test.client.0.login(password("u", "q"), test.now).unwrap();
    assert!(test.seen()[0].ends_with("password=q"));
}

#[test]
fn a_refused_token_needs_another_one() {
    let mut test = Test::with(Credentials::Token(Secret::new("t")), |_| {});
    test.protected();
    test.connected();
    test.seen();
    test.text("{\"auth\":\"fail\"}");
    assert_eq!(
        test.seen(),
        [
            "disconnect",
            "ConnectionEnded { connection: ConnectionId(2), reason: AuthFailed }",
            "LoginNeeded(TokenRefused)"
        ]
    );
    test.client.0.login(Credentials::Token(Secret::new("u")), test.now).unwrap();
    assert_eq!(test.seen(), ["connect, attempt 2"]);
    test.connected();
    assert_eq!(test.seen()[1], "> {\"auth\":\"u\"}");
}

#[test]
fn an_expired_session_is_begun_anew_with_the_password_and_only_once_for_a_fresh_token() {
    let mut test = Test::with(password("u", "p"), |_| {});
    test.seen();
    test.answer(200, LOGIN);
    test.seen();
    test.answer(200, "{\"access_token\":\"a\"}");
    test.seen();
    test.connected();
    test.text("{\"auth\":\"ok\"}");
    test.text("[]");
    test.seen();
    test.text("{\"auth\":\"fail\"}");
    let seen = test.seen();
    assert_eq!(seen[1], "ConnectionEnded { connection: ConnectionId(3), reason: AuthFailed }");
    assert!(seen[2].starts_with("POST"));
    test.answer(200, "{\"access_token\":\"b\"}");
    test.seen();
    test.connected();
    assert_eq!(test.seen()[1], "> {\"auth\":\"b\"}");
    test.text("{\"auth\":\"fail\"}");
    assert_eq!(test.seen()[2], "LoginNeeded(TokenRefused)");
}

#[test]
fn a_token_that_is_taken_and_refused_at_once_is_not_tried_without_a_wait() {
    let mut test = Test::with(password("u", "p"), |_| {});
    test.seen();
    test.answer(200, LOGIN);
    test.seen();
    test.answer(200, "{\"access_token\":\"a\"}");
    test.seen();
    test.connected();
    test.text("{\"auth\":\"ok\"}");
    test.seen();
    test.text("{\"auth\":\"fail\"}");
    assert_eq!(test.seen()[2], "Waiting { wait: 1s, failures: 1 }");
}

#[test]
fn a_token_is_presented_to_a_runtime_that_was_believed_to_be_open() {
    let mut test = Test::with(Credentials::Token(Secret::new("t")), |_| {});
    test.seen();
    test.answer(404, "");
    test.seen();
    test.connected();
    test.seen();
    test.text("{\"auth\":\"fail\"}");
    assert_eq!(test.seen()[2], "connect, attempt 2");
    test.connected();
    assert_eq!(test.seen()[1], "> {\"auth\":\"t\"}");
}

#[test]
fn other_credentials_take_the_place_of_those_under_way() {
    // While a token is fetched.
    let mut test = Test::with(password("u", "p"), |_| {});
    test.seen();
    test.answer(200, LOGIN);
    test.seen();
    let old = test.request();
    test.client.0.login(Credentials::Token(Secret::new("t")), test.now).unwrap();
    assert_eq!(test.seen(), ["cancel", "connect, attempt 1"]);
    test.client.0.handle_response(old, Response::new("{\"access_token\":\"a\"}".into()), test.now);
    test.connected();
    assert_eq!(test.seen()[1], "> {\"auth\":\"t\"}");
    // While one is looked at.
    test.client.0.login(Credentials::Token(Secret::new("u")), test.now).unwrap();
    test.text("{\"auth\":\"fail\"}");
    assert_eq!(test.seen()[2], "connect, attempt 2");
    test.connected();
    assert_eq!(test.seen()[1], "> {\"auth\":\"u\"}");
    test.text("{\"auth\":\"ok\"}");
    test.text("[]");
    test.seen();
    // And when ready.
    test.client.0.login(Credentials::Token(Secret::new("v")), test.now).unwrap();
    test.text("{\"auth\":\"ok\"}");
    assert_eq!(test.seen()[1..], ["Authenticated { connection: ConnectionId(4) }"]);
    test.client.0.login(Credentials::Token(Secret::new("w")), test.now).unwrap();
    test.text("{\"auth\":\"fail\"}");
    assert_eq!(test.seen().last().unwrap(), "LoginNeeded(TokenRefused)");
}

#[test]
fn a_default_user_without_subscriptions_sends_a_first_packet_all_the_same() {
    let mut test = Test::with(Credentials::None, |_| {});
    test.protected();
    test.connected();
    assert_eq!(test.seen()[1], "> {\"subscribe\":\"hb\"}");
}

#[test]
fn a_runtime_that_refuses_without_a_word_needs_a_login_in_the_end() {
    let mut test = Test::with(Credentials::None, |_| {});
    for refusal in 1..=3 {
        test.protected();
        test.connected();
        test.lose();
        if refusal < 3 {
            test.wait();
        }
    }
    assert_eq!(test.seen().last().unwrap(), "LoginNeeded(Missing)");
}

#[test]
fn too_many_logins_are_waited_out() {
    let mut test = Test::with(password("u", "p"), |_| {});
    test.seen();
    test.answer(200, LOGIN);
    test.seen();
    test.answer(429, "");
    assert_eq!(test.seen(), ["RequestFailed(Status(429))", "Waiting { wait: 1s, failures: 1 }"]);
}

#[test]
fn an_empty_token_is_none() {
    let mut test = Test::with(Credentials::Token(Secret::new("")), |_| {});
    test.protected();
    test.connected();
    assert_eq!(test.seen()[1], "> {\"subscribe\":\"hb\"}");
}

#[test]
fn silence_is_borne_longer_after_it_ended_a_connection() {
    let mut test = Test::ready();
    for (failure, patience) in [(1, 45), (2, 90), (3, 180)] {
        let due = test.client.0.poll_timeout().unwrap();
        assert_eq!((due - test.now).as_secs(), patience, "failure {failure}");
        test.now = due;
        test.client.0.handle_timeout(due);
        test.wait();
        test.seen();
        test.answer(200, "{}");
        test.seen();
        if test.client.0.connection().is_none() {
            test.wait();
        }
        test.connected();
        test.seen();
    }
}

#[test]
fn without_credentials_a_protected_runtime_is_tried_as_its_default_user() {
    let mut test = Test::with(Credentials::None, |_| {});
    test.client.0.subscribe(&filter("a"), test.now).unwrap();
    test.protected();
    test.connected();
    assert_eq!(test.seen()[1], "> {\"subscribe\":\"a\"}");
    test.text("{\"auth\":\"fail\"}");
    assert_eq!(test.seen()[2], "LoginNeeded(Missing)");
}

#[test]
fn what_cannot_be_discovered() {
    for (status, body, expected) in [
        (404, "Cannot GET /auth/login", "Discovered { protected: false }"),
        (200, "<html>", "Discovered { protected: false }"),
        (401, "Unauthorized", "Discovered { protected: true }"),
        (200, "{\"type\":\"strategy\"}", "Discovered { protected: true }"),
        (502, "Bad Gateway", "RequestFailed(Status(502))"),
    ] {
        let mut test = Test::with(Credentials::None, |_| {});
        test.seen();
        test.answer(status, body);
        assert_eq!(test.seen()[0], expected, "{status}");
    }
    let mut test = Test::with(Credentials::None, |_| {});
    test.seen();
    let id = test.request();
    test.client.0.handle_failure(id, FailureKind::Refused, test.now);
    assert_eq!(test.seen(), ["RequestFailed(Transport(Refused))", "Waiting { wait: 1s, failures: 1 }"]);
}

#[test]
fn a_setting_takes_the_place_of_discovery() {
    let mut test = Test::with(Credentials::Token(Secret::new("t")), |config| {
        config.discovery = Discovery::AssumeProtected;
    });
    assert_eq!(test.seen(), ["connect, attempt 1"]);
    test.connected();
    assert_eq!(test.seen()[1], "> {\"auth\":\"t\"}");
    let mut test = Test::with(Credentials::Token(Secret::new("t")), |config| {
        config.discovery = Discovery::AssumeOpen;
    });
    test.seen();
    test.connected();
    assert_eq!(test.seen()[1], "Ready { connection: ConnectionId(1) }");
}

#[test]
fn messages_of_all_eras_are_handed_out_with_the_subscriptions_that_match() {
    let mut test = Test::ready();
    let all = test.client.0.subscribe(&filter("status/#"), test.now).unwrap();
    let one = test.client.0.subscribe(&filter("status/+"), test.now).unwrap();
    test.seen();
    test.text(
        "[{\"topic\":\"status/n\",\"data\":{\"text\":\"on\"}},{\"topic\":\"other\",\"data\":1},{\"topic\":\"\",\"data\":1},\
         5,null,{\"topic\":\"status/a/b\"},{\"topic\":\"status/n\",\"data\":{\"text\":\"on\"}}]",
    );
    test.text("{\"topic\":\"status/m\",\"data\":\"free\"}");
    test.text("[]");
    let messages: Vec<(String, usize)> = test.messages();
    let expected = [("status/n", 2), ("status/a/b", 1), ("status/n", 2), ("status/m", 2)];
    assert_eq!(messages, expected.map(|(topic, count)| (topic.to_owned(), count)));
    test.client.0.unsubscribe(one, test.now);
    assert_eq!(test.seen(), [""; 0], "there is no packet for it");
    test.text("[{\"topic\":\"status/n\",\"data\":1}]");
    let outputs = drain(&mut test.client);
    let Output::Event(Event::Message(message)) = &outputs[0] else { panic!("a message") };
    assert_eq!(message.subscriptions, [all]);
    assert!(matches!(message.event(), CommsEvent::Status { node, .. } if node == "n"));
}

#[test]
fn an_answer_to_a_token_inside_an_array_counts() {
    let mut test = Test::with(Credentials::Token(Secret::new("t")), |_| {});
    test.protected();
    test.connected();
    test.text("[{\"auth\":\"ok\"}]");
    assert_eq!(test.client.0.state(), State::Ready);
}

#[test]
fn what_is_no_json_is_ignored() {
    let mut test = Test::ready();
    test.text("nope");
    assert_eq!(test.seen(), ["FrameIgnored { length: 4 }"]);
    assert_eq!(test.client.0.state(), State::Ready);
}

#[test]
fn a_later_subscription_is_sent_each_time() {
    let mut test = Test::ready();
    test.client.0.subscribe(&filter("a"), test.now).unwrap();
    test.client.0.subscribe(&filter("a"), test.now).unwrap();
    assert_eq!(test.seen(), ["> {\"subscribe\":\"a\"}", "> {\"subscribe\":\"a\"}"]);
}

#[test]
fn what_a_runtime_may_not_survive_is_not_sent() {
    let mut test = Test::ready();
    let now = test.now;
    let mut subscribe = |pattern: &str| test.client.0.subscribe(&filter(pattern), now).map(drop);
    assert_eq!(subscribe(""), Err(CommandError::EmptyFilter));
    for pattern in ["{2}", "a{2}", "a{1,}", "a{1,2}/b"] {
        assert_eq!(subscribe(pattern), Err(CommandError::Braces), "{pattern}");
    }
    for pattern in ["a{", "{a}", "a{,2}", "}{"] {
        assert_eq!(subscribe(pattern), Ok(()), "{pattern}");
    }
    assert_eq!(test.client.0.publish("", json("1").as_ref(), now), Err(CommandError::EmptyTopic));
    test.seen();
    test.client.0.publish("t", json("{\"a\":1}").as_ref(), now).unwrap();
    assert_eq!(test.seen(), ["> {\"topic\":\"t\",\"data\":{\"a\":1}}"]);
}

#[test]
fn subscriptions_have_a_limit() {
    let mut test = Test::with(Credentials::None, |config| config.max_subscriptions = 1);
    let first = test.client.0.subscribe(&filter("a"), test.now).unwrap();
    assert_eq!(test.client.0.subscribe(&filter("b"), test.now), Err(CommandError::TooManySubscriptions));
    test.client.0.unsubscribe(first, test.now);
    test.client.0.subscribe(&filter("b"), test.now).unwrap();
    assert_eq!(test.client.0.subscriptions().count(), 1);
}

#[test]
fn the_waits_are_the_editors_and_start_anew_only_after_a_frame_of_a_ready_connection() {
    let mut test = Test::with(Credentials::None, |config| config.discovery = Discovery::AssumeOpen);
    let mut waits = Vec::new();
    for failure in 1..=21 {
        test.seen();
        if failure % 2 == 0 {
            test.connected();
            test.lose();
        } else {
            let connection = test.client.0.connection().unwrap();
            test.client.0.handle_connect_failed(connection, test.now);
        }
        waits.push(test.wait().as_secs());
    }
    assert_eq!(waits, [[1; 9].as_slice(), &[2; 10], &[60, 60]].concat());
    test.seen();
    test.connected();
    test.text("[]");
    test.lose();
    assert_eq!(test.wait().as_secs(), 1);
}

#[test]
fn the_wait_may_be_cut_short() {
    let mut test = Test::ready();
    test.text("[]");
    test.lose();
    test.seen();
    test.client.0.retry(test.now);
    assert_eq!(test.seen(), ["connect, attempt 1"]);
    test.client.0.retry(test.now);
    assert_eq!(test.seen(), [""; 0]);
}

#[test]
fn a_connection_closed_before_any_frame_was_probably_refused_and_the_runtime_is_asked_again() {
    let mut test = Test::ready();
    test.lose();
    test.wait();
    assert_eq!(test.seen(), ["GET http://h:1880/auth/login"]);
    test.answer(200, LOGIN);
    assert_eq!(test.seen()[0], "Discovered { protected: true }");
}

#[test]
fn subscriptions_survive_the_connection() {
    let mut test = Test::ready();
    test.client.0.subscribe(&filter("a"), test.now).unwrap();
    test.text("[]");
    test.seen();
    test.lose();
    test.wait();
    test.seen();
    test.connected();
    assert_eq!(test.seen()[1], "> {\"subscribe\":\"a\"}");
}

#[test]
fn a_runtime_that_does_not_answer_is_given_up() {
    // The admin API.
    let mut test = Test::with(Credentials::None, |_| {});
    test.seen();
    let log = test.log(seconds(10));
    let expected = ["cancel", "RequestFailed(Transport(TimedOut))", "Waiting { wait: 1s, failures: 1 }"];
    assert_eq!(log, expected.map(|text| (10, text.to_owned())));
    // The upgrade: a wrong path.
    let mut test = Test::with(Credentials::None, |config| config.discovery = Discovery::AssumeOpen);
    test.seen();
    let log = test.log(seconds(30));
    assert_eq!(log[0], (30, "disconnect".to_owned()));
    assert!(log[1].1.ends_with("reason: ConnectTimeout }"));
    // The token.
    let mut test = Test::with(Credentials::Token(Secret::new("t")), |_| {});
    test.protected();
    test.connected();
    test.seen();
    let log = test.log(seconds(30));
    assert!(log[1].1.ends_with("reason: AuthTimeout }"));
}

#[test]
fn silence_ends_a_ready_connection_after_three_periods_as_seen() {
    let mut test = Test::ready();
    let log = test.log(seconds(45));
    assert_eq!(log[0], (45, "disconnect".to_owned()));
    assert!(log[1].1.ends_with("reason: Idle }"));

    let mut test = Test::ready();
    for _ in 0..2 {
        test.now += seconds(40);
        test.text("[{\"topic\":\"hb\",\"data\":1}]");
    }
    test.seen();
    assert_eq!(test.client.0.poll_timeout(), Some(test.now + seconds(120)));
    let mut test = Test::with(Credentials::None, |config| {
        config.idle_timeout = None;
        config.discovery = Discovery::AssumeOpen;
    });
    test.seen();
    test.connected();
    assert_eq!(test.client.0.poll_timeout(), None);
}

#[test]
fn another_heartbeat_than_before_tells_of_a_restart() {
    let mut test = Test::ready();
    test.text("[{\"topic\":\"hb\",\"data\":1}]");
    test.text("[{\"topic\":\"hb\",\"data\":1}]");
    test.text("[{\"topic\":\"hb\",\"data\":2}]");
    assert_eq!(
        test.seen(),
        [
            "Heartbeat { time: 1.0, changed: false }",
            "Heartbeat { time: 1.0, changed: false }",
            "Heartbeat { time: 2.0, changed: true }"
        ]
    );
}

#[test]
fn a_frame_over_the_limit_ends_the_connection() {
    let mut test = Test::with(Credentials::None, |config| {
        config.max_frame = 10;
        config.discovery = Discovery::AssumeOpen;
    });
    test.seen();
    test.connected();
    test.seen();
    test.text("[1,2,3,45]");
    assert!(!test.seen().concat().contains("FrameTooLong"), "ten bytes are not more than ten");
    test.text("[1,2,3,4,5]");
    assert!(test.seen()[1].ends_with("reason: FrameTooLong }"));
    for (end, reason) in [
        (Client::handle_frame_too_long as fn(&mut Client, ConnectionId, Instant), "FrameTooLong"),
        (Client::handle_stalled, "Stalled"),
    ] {
        let mut test = Test::ready();
        let connection = test.connection();
        end(&mut test.client.0, connection, test.now);
        let seen = test.seen();
        assert_eq!(seen[0], "disconnect");
        assert!(seen[1].ends_with(&format!("reason: {reason} }}")));
    }
}

#[test]
fn a_login_over_a_ready_connection_presents_the_token() {
    let mut test = Test::with(Credentials::None, |_| {});
    test.protected();
    test.connected();
    test.text("[]");
    test.seen();
    test.client.0.login(Credentials::Token(Secret::new("t")), test.now).unwrap();
    assert_eq!(test.seen(), ["> {\"auth\":\"t\"}"]);
    let mut open = Test::ready();
    open.client.0.login(Credentials::Token(Secret::new("t")), open.now).unwrap();
    assert_eq!(open.seen(), [""; 0], "an open runtime is sent no token");
}

#[test]
fn input_of_an_earlier_connection_is_ignored() {
    let mut test = Test::ready();
    let old = test.client.0.connection().unwrap();
    test.text("[]");
    test.lose();
    test.wait();
    test.seen();
    let now = test.now;
    test.client.0.handle_text(old, "{\"auth\":\"fail\"}", now);
    test.client.0.handle_disconnect(old, now);
    test.client.0.handle_connected(old, now);
    test.client.0.handle_connect_failed(old, now);
    assert_eq!(test.seen(), [""; 0]);
    assert_eq!(test.client.0.state(), State::Connecting);
    test.connected();
    test.seen();
    test.client.0.handle_disconnect(old, now);
    assert_eq!(test.seen(), [""; 0], "the one that is open stays");
}

#[test]
fn a_token_that_was_replaced_while_it_was_looked_at_gives_way_even_if_it_is_good() {
    let mut test = Test::with(Credentials::Token(Secret::new("old")), |_| {});
    test.protected();
    test.connected();
    test.seen();
    test.client.0.login(Credentials::Token(Secret::new("new")), test.now).unwrap();
    test.text("{\"auth\":\"ok\"}");
    assert_eq!(test.seen().last().unwrap(), "connect, attempt 2");
    test.connected();
    assert_eq!(test.seen().last().unwrap(), "> {\"auth\":\"new\"}");
}

#[test]
fn a_client_shows_where_it_stands() {
    let test = Test::ready();
    let shown = format!("{:?}", test.client.0);
    assert!(shown.starts_with("Client { endpoint: "), "{shown}");
    let stands = "state: Ready, connection: Some(ConnectionId(2)), subscriptions: 0, failures: 0, .. }";
    assert!(shown.ends_with(stands), "{shown}");
}

#[test]
fn an_answer_to_an_earlier_request_is_ignored() {
    let late = |test: &mut Test, id: RequestId| {
        test.client.0.handle_response(id, Response::new("{\"access_token\":\"a\"}".into()), test.now);
        assert_eq!(test.seen(), [""; 0]);
    };
    // While a token is fetched.
    let mut test = Test::with(password("u", "p"), |_| {});
    test.seen();
    let asked = test.request();
    test.answer(200, LOGIN);
    test.seen();
    late(&mut test, asked);
    // While the runtime is asked once more.
    let mut test = Test::ready();
    let asked = test.request();
    test.lose();
    test.wait();
    assert_eq!(test.seen(), ["GET http://h:1880/auth/login"]);
    late(&mut test, asked);
}

#[test]
fn a_connection_that_ends_before_it_is_open_is_a_failed_attempt() {
    let mut test = Test::with(Credentials::None, |config| config.discovery = Discovery::AssumeOpen);
    test.seen();
    test.lose();
    assert!(test.seen()[0].ends_with("reason: ConnectFailed }"));
    test.wait();
    assert_eq!(test.seen(), ["connect, attempt 2"]);
}

#[test]
fn other_credentials_leave_a_connection_to_an_open_runtime_alone() {
    let mut test = Test::with(Credentials::None, |config| config.discovery = Discovery::AssumeOpen);
    test.seen();
    test.client.0.login(Credentials::Token(Secret::new("t")), test.now).unwrap();
    assert_eq!(test.seen(), [""; 0]);
    assert_eq!(test.client.0.state(), State::Connecting);
    let mut asked = Test::with(Credentials::None, |_| {});
    asked.protected();
    asked.client.0.login(Credentials::Token(Secret::new("t")), asked.now).unwrap();
    assert_eq!(asked.seen(), ["disconnect", "connect, attempt 2"]);
}

#[test]
fn a_closed_client_is_silent() {
    let mut test = Test::ready();
    let connection = test.client.0.connection().unwrap();
    test.client.0.close(test.now);
    assert_eq!(
        test.seen(),
        ["disconnect", "ConnectionEnded { connection: ConnectionId(2), reason: Local }", "Closed"]
    );
    let now = test.now;
    rules::check_closed(&mut test.client, now);
    rules::check_closed_ignores(&mut test.client, |client| {
        client.0.handle_text(connection, "{\"auth\":\"fail\"}", now);
        client.0.handle_disconnect(connection, now);
        client.0.retry(now);
        client.0.close(now);
        assert_eq!(client.0.subscribe(&filter("a"), now), Err(CommandError::Closed));
        assert_eq!(client.0.login(Credentials::None, now), Err(CommandError::Closed));
    });
}

#[test]
fn addresses_are_made_of_what_people_paste() {
    let endpoint = |url: &str| url.parse::<Endpoint>();
    for (url, comms, admin) in [
        ("ws://h:1880/comms", "ws://h:1880/comms", "http://h:1880/x"),
        ("http://h:1880", "ws://h:1880/comms", "http://h:1880/x"),
        ("http://h:1880/", "ws://h:1880/comms", "http://h:1880/x"),
        ("https://h/red/comms/", "wss://h/red/comms", "https://h/red/x"),
        ("wss://h/a/b//", "wss://h/a/b/comms", "https://h/a/b/x"),
        ("ws://[::1]:1880/comms?x=1", "ws://[::1]:1880/comms", "http://[::1]:1880/x"),
    ] {
        let endpoint = endpoint(url).unwrap();
        assert_eq!((endpoint.comms().as_str(), endpoint.admin("x").as_str()), (comms, admin));
    }
    assert!(endpoint(&format!("ws://h/{}", "a".repeat(65_520))).is_err());
    assert_eq!(endpoint("ftp://h/"), Err(EndpointError::Scheme));
    assert_eq!(endpoint("h:1880 x"), Err(EndpointError::Syntax));
    assert_eq!(endpoint("ws://u:p@h/comms"), Err(EndpointError::Credentials));
}

#[test]
fn tokens_and_passwords_show_nowhere() {
    let mut test = Test::with(password("u", &marked(1)), |_| {});
    assert_debug_hides(test.client.0.config());
    test.seen();
    test.answer(200, LOGIN);
    assert_debug_hides(&drain(&mut test.client));
    let mut test = Test::with(Credentials::Token(Secret::new(marked(2))), |_| {});
    test.protected();
    test.connected();
    assert_debug_hides(&drain(&mut test.client));
    assert_debug_hides(&test.client.0);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let refused = |set: fn(&mut Config)| {
        let mut config = Config::new("ws://h/comms".parse().unwrap());
        set(&mut config);
        Client::new(config, epoch()).err().unwrap()
    };
    assert_eq!(refused(|config| config.auth_timeout = seconds(0)), ConfigError::Wait("auth_timeout"));
    assert_eq!(refused(|config| config.idle_timeout = Some(seconds(0))), ConfigError::Wait("idle_timeout"));
    assert_eq!(refused(|config| config.reconnect.later = seconds(0)), ConfigError::Wait("reconnect.later"));
}

fn password(username: &str, password: &str) -> Credentials {
    Credentials::Password { username: username.into(), password: Secret::new(password) }
}

struct Test {
    client: TestClient,
    request: Option<RequestId>,
    now: Instant,
}

impl Test {
    fn with(credentials: Credentials, set: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("ws://h:1880/comms".parse().unwrap());
        config.credentials = credentials;
        set(&mut config);
        let now = epoch();
        Self { client: TestClient(Client::new(config, now).unwrap()), request: None, now }
    }

    /// An open runtime, connected to, without subscriptions.
    fn ready() -> Self {
        let mut test = Self::with(Credentials::None, |_| {});
        test.seen();
        test.answer(200, "{}");
        test.seen();
        test.connected();
        assert!(test.seen()[1].starts_with("Ready"));
        test
    }

    /// The runtime says that it wants a login.
    fn protected(&mut self) {
        self.seen();
        self.answer(200, LOGIN);
        assert_eq!(self.seen()[0], "Discovered { protected: true }");
    }

    fn request(&self) -> RequestId {
        self.request.unwrap()
    }

    fn answer(&mut self, status: u16, body: &'static str) {
        let mut response = Response::new(body.into());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        self.client.0.handle_response(self.request(), response, self.now);
    }

    fn connection(&self) -> ConnectionId {
        self.client.0.connection().unwrap()
    }

    fn connected(&mut self) {
        self.client.0.handle_connected(self.connection(), self.now);
    }

    fn lose(&mut self) {
        self.client.0.handle_disconnect(self.connection(), self.now);
    }

    fn text(&mut self, text: &str) {
        self.client.0.handle_text(self.connection(), text, self.now);
    }

    /// Waits for the next attempt; returns for how long.
    fn wait(&mut self) -> std::time::Duration {
        self.seen();
        let due = self.client.0.poll_timeout().unwrap();
        let wait = due - self.now;
        self.now = due;
        self.client.0.handle_timeout(due);
        wait
    }

    fn seen(&mut self) -> Vec<String> {
        let outputs = drain(&mut self.client);
        for output in &outputs {
            if let Output::Request { id, .. } = output {
                self.request = Some(*id);
            }
        }
        short(&outputs)
    }

    fn messages(&mut self) -> Vec<(String, usize)> {
        let outputs = drain(&mut self.client).into_iter();
        let messages = outputs.filter_map(|output| match output {
            Output::Event(Event::Message(message)) => Some((message.topic, message.subscriptions.len())),
            _ => None,
        });
        messages.collect()
    }

    fn log(&mut self, time: std::time::Duration) -> Vec<(u64, String)> {
        self.seen();
        let log = advance(&mut self.client, self.now + time);
        log.iter().map(|(at, output)| ((*at - self.now).as_secs(), output.short())).collect()
    }
}
