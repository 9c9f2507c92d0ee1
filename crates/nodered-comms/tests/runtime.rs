//! The runtime: who may listen, what is retained, how frames are made, what happens at the limits.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use nodered_comms::debug::{DebugLevel, DebugValue};
use nodered_comms::event::Notification;
use nodered_comms::runtime::{
    Access, CommandError, Config, ConfigError, Era, LookUpId, Output, Overflow, Runtime, Scope, User,
};
use nodered_comms::{ConnectionId, Instant};
use support::{Short, TestRuntime, epoch, json, millis, seconds, short};
use testkit::secrets::{assert_debug_hides, marked};
use testkit::{advance, drain, rules};

#[test]
fn an_open_runtime_is_listened_to_by_everybody_and_ignores_tokens() {
    let mut test = Test::open();
    let editor = test.accept();
    assert_eq!(test.seen(), ["Active { connection: ConnectionId(1), user: None }"]);
    test.text(editor, "{\"auth\":\"x\"}");
    assert_eq!(test.seen(), [""; 0]);
    test.publish("a", "1", false);
    assert_eq!(test.frames(), ["1> [{\"topic\":\"a\",\"data\":1}]"]);
}

#[test]
fn a_good_token_is_answered_at_once_and_messages_come_from_then_on() {
    let mut test = Test::users();
    let editor = test.accept();
    test.publish("lost", "1", false);
    test.text(editor, "{\"auth\":\"good\"}");
    assert_eq!(test.seen(), ["look up good"]);
    test.text(editor, "{\"subscribe\":\"a/#\"}");
    test.publish("a/b", "{\"x\":1}", true);
    assert_eq!(test.seen(), [""; 0], "frames are held while the token is looked up");
    test.user(1, "admin", "*");
    let seen = test.seen();
    assert_eq!(seen[0], "1> {\"auth\":\"ok\"}");
    assert!(seen[1].starts_with("Active") && seen[2].starts_with("Subscribed"));
    assert_eq!(test.frames(), ["1> [{\"topic\":\"a/b\",\"data\":{\"x\":1}}]"]);
}

#[test]
fn a_token_that_is_nobodys_or_of_one_who_may_not_listen_is_refused() {
    for scope in [None, Some(Scope::from("flows.read")), Some(Scope::default())] {
        let mut test = Test::users();
        let editor = test.accept();
        test.text(editor, "{\"auth\":\"t\"}");
        test.seen();
        let id = test.look_up(1);
        test.runtime.0.handle_user(id, scope.map(|scope| User::new("x", scope)), test.now);
        assert_eq!(
            test.seen(),
            [
                "1> {\"auth\":\"fail\"}",
                "1 disconnect",
                "ConnectionEnded { connection: ConnectionId(1), reason: Refused }"
            ]
        );
    }
}

#[test]
fn the_permissions_that_let_listen() {
    for (permissions, may) in [
        (&["*"][..], true),
        (&["status.read"], true),
        (&["read"], true),
        (&["*.read"], true),
        (&["flows.read", "status.read"], true),
        (&["flows.read"], false),
        (&["status.write"], false),
        (&["status"], false),
        (&[], false),
    ] {
        assert_eq!(Scope::new(permissions.iter().copied()).may_listen(), may, "{permissions:?}");
    }
    assert!(Scope::from("read").grants("read") && Scope::from("read").grants("flows.read"));
    assert!(!Scope::from("read").grants("flows.write"));
}

#[test]
fn a_first_packet_without_a_token_is_refused_in_words_and_in_the_documents_era_without() {
    for (era, expected) in
        [(Era::Today, vec!["1> {\"auth\":\"fail\"}", "1 disconnect"]), (Era::Document, vec!["1 disconnect"])]
    {
        for packet in [
            "{\"subscribe\":\"a\"}",
            "{\"topic\":\"a\",\"data\":1}",
            "{}",
            "7",
            "[]",
            "{\"auth\":\"\"}",
            "\"x\"",
        ] {
            let mut test = Test::with(Access::Users, |config| config.era = era);
            let editor = test.accept();
            test.text(editor, packet);
            let seen = test.seen();
            assert_eq!(seen[..seen.len() - 1], expected, "{packet}");
            assert!(seen.last().unwrap().ends_with("reason: Unauthenticated }"));
        }
    }
}

#[test]
fn what_is_no_packet_is_ignored_in_every_state() {
    let odd = ["", " ", "null", " null", "{", "\u{feff}{}", "nope", "{\"auth\":\"x\"} x"];
    let mut test = Test::users();
    let editor = test.accept();
    for text in odd {
        test.text(editor, text);
    }
    assert_eq!(test.seen(), [""; 0]);
    test.text(editor, "{\"auth\":\"good\"}");
    test.user(1, "admin", "*");
    test.seen();
    for text in odd.into_iter().chain([
        "5",
        "true",
        "[{\"subscribe\":\"a\"}]",
        "{\"subscribe\":5}",
        "{\"subscribe\":[\"a\"]}",
        "{\"topic\":5,\"data\":1}",
        "{\"topic\":{}}",
        "{\"unsubscribe\":\"a\"}",
    ]) {
        test.text(editor, text);
    }
    test.text(editor, &format!("{{\"subscribe\":\"{}\"}}", "x".repeat(5000)));
    assert_eq!(test.seen(), [""; 0]);
    assert!(test.runtime.0.is_active(editor));
}

#[test]
fn the_first_truthy_of_auth_subscribe_and_topic_decides() {
    let mut test = Test::open();
    let editor = test.accept();
    test.seen();
    test.text(editor, "{\"subscribe\":\"p\",\"topic\":\"t\",\"data\":1}");
    assert!(test.seen()[0].starts_with("Subscribed"));
    test.text(editor, "{\"auth\":0,\"subscribe\":null,\"topic\":\"t\",\"data\":1,\"subscribe\":\"\"}");
    assert_eq!(
        test.seen(),
        ["Message { connection: ConnectionId(1), topic: \"t\", data: Some(Number(1 bytes)) }"]
    );
    test.text(editor, "{\"auth\":{},\"topic\":\"t\",\"data\":1}");
    assert_eq!(test.seen(), [""; 0]);
}

#[test]
fn a_default_user_needs_no_token_and_a_bad_one_is_refused_all_the_same() {
    let access = || Access::UsersOr(User::anonymous(Scope::from("read")));
    let mut test = Test::with(access(), |_| {});
    test.publish("a", "1", true);
    let editor = test.accept();
    test.text(editor, "{\"subscribe\":\"a\"}");
    let seen = test.seen();
    assert!(seen[0].starts_with("Active") && seen[1].starts_with("Subscribed"), "{seen:?}");
    assert_eq!(test.frames(), ["1> [{\"topic\":\"a\",\"data\":1}]"]);

    let other = test.accept();
    test.text(other, "{\"topic\":\"t\",\"data\":1}");
    let seen = test.seen();
    assert_eq!(seen.len(), 1, "the message is lost: {seen:?}");

    let third = test.accept();
    test.text(third, "{\"auth\":\"bad\"}");
    test.seen();
    let id = test.look_up(1);
    test.runtime.0.handle_user(id, None, test.now);
    assert_eq!(test.seen()[0], "3> {\"auth\":\"fail\"}");

    let mut test = Test::with(Access::UsersOr(User::anonymous(Scope::from("flows.read"))), |_| {});
    let editor = test.accept();
    test.text(editor, "{\"subscribe\":\"a\"}");
    assert_eq!(test.seen()[0], "1> {\"auth\":\"fail\"}");
}

#[test]
fn a_second_token_changes_the_user_and_doubles_nothing() {
    let mut test = Test::users();
    let editor = test.active();
    test.text(editor, "{\"auth\":\"other\"}");
    test.publish("a", "1", false);
    test.user(2, "reader", "read");
    assert!(test.seen().contains(&"1> {\"auth\":\"ok\"}".to_owned()));
    assert_eq!(test.runtime.0.user(editor).unwrap().name.as_deref(), Some("reader"));
    assert_eq!(test.frames(), ["1> [{\"topic\":\"a\",\"data\":1}]"], "it went on listening meanwhile");
    test.text(editor, "{\"auth\":5}");
    assert_eq!(test.seen()[0], "1> {\"auth\":\"fail\"}", "only a string is anybody's token");
}

#[test]
fn tokens_one_after_the_other_are_looked_up_one_after_the_other() {
    let mut test = Test::users();
    let editor = test.accept();
    for text in ["{\"auth\":\"a\"}", "{\"subscribe\":\"x\"}", "{\"auth\":\"b\"}", "{\"subscribe\":\"y\"}"] {
        test.text(editor, text);
    }
    assert_eq!(test.seen(), ["look up a"]);
    test.user(1, "a", "*");
    let seen = test.seen();
    assert!(seen[2].contains("TopicFilter(\"x\")"));
    assert_eq!(seen[3], "look up b");
    assert_eq!(seen.len(), 4);
    test.user(2, "b", "*");
    assert!(test.seen()[2].contains("TopicFilter(\"y\")"));
}

#[test]
fn a_user_known_by_a_header_is_active_at_once_whatever_the_scope() {
    let mut test = Test::users();
    let editor = test.runtime.0.accept_user(User::new("x", Scope::default()), test.now);
    test.seen();
    assert!(test.runtime.0.is_active(editor));
}

#[test]
fn a_session_ends_after_its_time_and_the_grace() {
    let mut test = Test::users();
    let editor = test.accept();
    test.text(editor, "{\"auth\":\"t\"}");
    test.seen();
    let mut user = User::new("x", Scope::from("*"));
    user.expires_in = Some(seconds(2));
    let id = test.look_up(1);
    test.runtime.0.handle_user(id, Some(user), test.now);
    test.seen();
    let log = advance(&mut test.runtime, test.now + seconds(10));
    let log: Vec<(u64, String)> =
        log.iter().map(|(at, output)| ((*at - test.now).as_secs(), output.short())).collect();
    assert_eq!(log[0], (7, "1> {\"auth\":\"fail\"}".to_owned()));
    assert!(log[2].1.ends_with("reason: Expired }"));

    let editor = test.active();
    test.runtime.0.end_session(editor, test.now);
    assert_eq!(test.seen()[0], "2> {\"auth\":\"fail\"}");
}

#[test]
fn retained_messages_come_in_the_order_of_their_topics_once_for_each_subscription() {
    let mut test = Test::open();
    for (topic, data) in [("b", "1"), ("a", "2"), ("b", "3"), ("c", "4")] {
        test.publish(topic, data, true);
    }
    test.publish("c", "5", false);
    let editor = test.accept();
    test.text(editor, "{\"subscribe\":\"+\"}");
    test.text(editor, "{\"subscribe\":\"a\"}");
    test.text(editor, "{\"subscribe\":\"none\"}");
    test.seen();
    assert_eq!(
        test.frames(),
        ["1> [{\"topic\":\"b\",\"data\":3},{\"topic\":\"a\",\"data\":2},{\"topic\":\"a\",\"data\":2}]"]
    );
    assert_eq!(test.runtime.0.retained().collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn falsy_data_is_retained_and_not_sent_but_leads_to_an_empty_frame() {
    let mut test = Test::open();
    let editor = test.accept();
    test.seen();
    for data in ["0", "\"\"", "false", "null", "-0.0"] {
        test.publish("a", data, true);
        assert_eq!(test.frames(), ["1> []"], "{data}");
    }
    test.text(editor, "{\"subscribe\":\"a\"}");
    test.seen();
    assert_eq!(test.frames(), ["1> []"]);
    test.publish("", "1", false);
    test.publish("b", "[]", false);
    assert_eq!(test.frames(), ["1> [{\"topic\":\"b\",\"data\":[]}]"]);
}

#[test]
fn today_175_messages_go_out_as_50_50_50_and_25_every_50_ms() {
    let mut test = Test::open();
    test.accept();
    test.seen();
    for n in 1..=175 {
        test.publish("n", &n.to_string(), false);
    }
    assert_eq!(test.sizes(), [(50, 50), (100, 50), (150, 50), (200, 25)]);
}

#[test]
fn older_eras_make_their_own_frames() {
    let burst = |era| {
        let mut test = Test::with(Access::Open, |config| config.era = era);
        test.accept();
        test.seen();
        for n in 1..=175 {
            test.publish("n", &n.to_string(), false);
        }
        test
    };
    assert_eq!(burst(Era::AnySize).sizes(), [(50, 175)]);
    let mut test = burst(Era::FirstAtOnce);
    assert_eq!(test.sizes(), [(0, 1), (50, 174)]);
    test.publish("n", "0", false);
    assert_eq!(test.sizes(), [], "falsy data sends nothing");
    let mut test = burst(Era::Document);
    let frames = test.seen();
    assert_eq!((frames.len(), frames[0].as_str()), (175, "1> {\"topic\":\"n\",\"data\":1}"));
}

#[test]
fn the_deploy_event_has_the_name_of_its_era_and_is_retained() {
    for (era, name) in [(Era::Today, "runtime-deploy"), (Era::Document, "runtime-redeploy")] {
        let mut test = Test::with(Access::Open, |config| config.era = era);
        let deploy = Notification::RuntimeDeploy { revision: Some("ab".into()), further: vec![] };
        test.runtime.0.notify(&deploy, test.now).unwrap();
        assert_eq!(test.runtime.0.retained().collect::<Vec<_>>(), [format!("notification/{name}")]);
    }
}

#[test]
fn statuses_are_filtered_and_blank_ones_only_take_back() {
    let mut test = Test::open();
    test.accept();
    test.seen();
    let mut sent = |given: &str| {
        test.runtime.0.status("n", json(given).as_ref(), test.now).unwrap();
        let frames = test.frames();
        let retained = test.runtime.0.retained().count();
        (frames.first().cloned().unwrap_or_default(), retained)
    };
    let frame = |data: &str| format!("1> [{{\"topic\":\"status/n\",\"data\":{data}}}]");
    assert_eq!(sent("{}"), (String::new(), 0));
    assert_eq!(
        sent("{\"text\":42,\"fill\":\"red\",\"extra\":1}"),
        (frame("{\"text\":\"42\",\"fill\":\"red\"}"), 1)
    );
    assert_eq!(sent("{\"text\":\"\",\"fill\":0,\"shape\":null}"), (frame("{}"), 0));
    assert_eq!(sent("{\"text\":\"\"}"), (String::new(), 0));
    assert_eq!(sent("\"on\""), (frame("{\"text\":\"on\"}"), 1));
    assert_eq!(
        sent("{\"text\":1.50,\"fill\":null,\"shape\":5}"),
        (frame("{\"text\":\"1.5\",\"shape\":5}"), 1)
    );
    assert_eq!(sent("[1]"), (frame("{}"), 0));
    assert_eq!(sent("{\"text\":{}}"), (frame("{\"text\":\"[object Object]\"}"), 1));
    test.runtime.0.withdraw_status("n", test.now);
    assert_eq!((test.frames().len(), test.runtime.0.retained().count()), (0, 0));
}

#[test]
fn warnings_and_errors_of_the_log_are_debug_messages() {
    let mut test = Test::open();
    test.accept();
    test.seen();
    for level in [DebugLevel::Info, DebugLevel::Warn] {
        test.runtime.0.log(level, &DebugValue::from("careful"), 5.0, 1000, test.now).unwrap();
    }
    assert_eq!(
        test.frames(),
        [
            "1> [{\"topic\":\"debug\",\"data\":{\"level\":30,\"msg\":\"careful\",\"timestamp\":5,\"format\":\"string[7]\"}}]"
        ]
    );
}

#[test]
fn messages_go_to_all_to_one_or_to_all_but_one() {
    let mut test = Test::open();
    let (first, second) = (test.accept(), test.accept());
    test.seen();
    test.publish("all", "1", false);
    test.runtime.0.publish_to(first, "one", json("1").as_ref(), test.now).unwrap();
    test.runtime.0.publish_except(first, "others", json("1").as_ref(), true, test.now).unwrap();
    assert_eq!(
        test.frames(),
        [
            "1> [{\"topic\":\"all\",\"data\":1},{\"topic\":\"one\",\"data\":1}]",
            "2> [{\"topic\":\"all\",\"data\":1},{\"topic\":\"others\",\"data\":1}]",
        ]
    );
    test.runtime.0.disconnect(second, test.now);
    assert_eq!(
        test.runtime.0.publish_to(second, "one", json("1").as_ref(), test.now),
        Err(CommandError::NotActive)
    );
}

#[test]
fn a_message_is_serialised_once_for_all_who_listen_as_long() {
    let mut test = Test::open();
    for _ in 0..3 {
        test.accept();
    }
    test.seen();
    test.publish("a", "1", false);
    let log = advance(&mut test.runtime, test.now + millis(50));
    let frames: Vec<*const u8> = log
        .iter()
        .filter_map(|(_, output)| match output {
            Output::Transmit { text, .. } => Some(text.as_ptr()),
            _ => None,
        })
        .collect();
    assert_eq!(frames.len(), 3);
    assert!(frames.iter().all(|frame| *frame == frames[0]));
}

#[test]
fn no_frame_is_another_connections() {
    let mut test = Test::open();
    let first = test.accept();
    test.publish("a", "1", true);
    test.runtime.0.publish_to(first, "private", json("2").as_ref(), test.now).unwrap();
    test.publish("c", "3", true);
    let second = test.accept();
    for filter in ["a", "a", "c"] {
        test.text(second, &format!("{{\"subscribe\":\"{filter}\"}}"));
    }
    test.seen();
    let message = |topic: &str, data: u8| format!("{{\"topic\":\"{topic}\",\"data\":{data}}}");
    assert_eq!(
        test.frames(),
        [
            format!("1> [{},{},{}]", message("a", 1), message("private", 2), message("c", 3)),
            format!("2> [{},{},{}]", message("a", 1), message("a", 1), message("c", 3)),
        ]
    );
}

#[test]
fn a_retained_message_that_was_replaced_is_the_new_one() {
    let mut test = Test::with(Access::Open, |config| config.batch_size = 3);
    test.accept();
    for (topic, data) in [("t1", "1"), ("t2", "2"), ("t3", "3"), ("t2", "4")] {
        test.publish(topic, data, true);
    }
    let second = test.accept();
    test.text(second, "{\"subscribe\":\"t+\"}");
    test.seen();
    let frames: Vec<String> = test.frames().into_iter().filter(|frame| frame.starts_with('2')).collect();
    assert_eq!(
        frames,
        ["2> [{\"topic\":\"t1\",\"data\":1},{\"topic\":\"t2\",\"data\":4},{\"topic\":\"t3\",\"data\":3}]"]
    );
}

#[test]
fn heartbeats_come_every_15_seconds_with_the_time_of_the_start() {
    let mut test = Test::open();
    test.accept();
    test.seen();
    let log = advance(&mut test.runtime, test.now + seconds(31));
    let log: Vec<(u128, String)> =
        log.iter().map(|(at, output)| ((*at - test.now).as_millis(), output.short())).collect();
    let beat = "1> [{\"topic\":\"hb\",\"data\":1700000000000}]".to_owned();
    assert_eq!(log, [(15_050, beat.clone()), (30_050, beat)]);
    let mut quiet = Test::with(Access::Open, |config| config.heartbeat_interval = None);
    quiet.accept();
    quiet.seen();
    assert_eq!(quiet.runtime.0.retained().count(), 0);
}

#[test]
fn an_editor_that_takes_no_more_is_cut_off_or_loses_the_oldest() {
    let full = |overflow| {
        let mut test = Test::with(Access::Open, |config| {
            config.max_queued = 2;
            config.overflow = overflow;
        });
        test.accept();
        test.seen();
        for n in 1..=4 {
            test.publish("n", &n.to_string(), false);
        }
        test
    };
    assert_eq!(
        full(Overflow::CutOff).seen(),
        ["1 disconnect", "ConnectionEnded { connection: ConnectionId(1), reason: Overflow }"]
    );
    let mut test = full(Overflow::DropOldest);
    assert_eq!(
        test.seen(),
        [
            "Dropped { connection: ConnectionId(1), messages: 1 }",
            "Dropped { connection: ConnectionId(1), messages: 1 }"
        ]
    );
    assert_eq!(test.frames(), ["1> [{\"topic\":\"n\",\"data\":3},{\"topic\":\"n\",\"data\":4}]"]);
    let mut test = Test::with(Access::Open, |config| {
        (config.max_queued_bytes, config.overflow) = (30, Overflow::DropOldest);
    });
    test.accept();
    test.seen();
    test.publish("n", "\"0123456789\"", false);
    assert_eq!(test.seen(), ["Dropped { connection: ConnectionId(1), messages: 1 }"]);
    assert_eq!(test.frames(), [""; 0], "it never fits");
    let mut test = Test::with(Access::Open, |config| config.max_queued_bytes = 30);
    test.accept();
    test.seen();
    test.publish("n", "\"0123456789\"", false);
    assert_eq!(test.seen()[0], "1 disconnect");
}

#[test]
fn frames_that_are_too_long_and_too_many_while_a_token_is_looked_up_end_the_connection() {
    let mut test = Test::with(Access::Open, |config| config.max_frame = 10);
    let editor = test.accept();
    test.seen();
    test.text(editor, "{\"a\":\"bcdef\"}");
    assert_eq!(test.seen()[0], "1 disconnect 1009");
    let editor = test.accept();
    test.seen();
    test.runtime.0.handle_frame_too_long(editor, test.now);
    assert_eq!(
        test.seen(),
        ["2 disconnect 1009", "ConnectionEnded { connection: ConnectionId(2), reason: TooMuch }"]
    );
    let mut test = Test::with(Access::Users, |config| config.max_held = 640);
    let editor = test.accept();
    test.text(editor, "{\"auth\":\"t\"}");
    test.seen();
    for _ in 0..10 {
        test.text(editor, "");
    }
    assert_eq!(test.seen(), [""; 0]);
    test.text(editor, "");
    assert!(test.seen()[1].ends_with("reason: TooMuch }"));
    let id = test.look_up(1);
    test.runtime.0.handle_user(id, None, test.now);
    assert_eq!(test.seen(), [""; 0], "its look-up is of no interest any more");
}

#[test]
fn connections_and_topics_beyond_the_limits() {
    let mut test = Test::with(Access::Open, |config| {
        config.max_connections = 1;
        config.max_retained = 1;
    });
    test.accept();
    test.seen();
    test.accept();
    assert_eq!(
        test.seen(),
        ["2 disconnect", "ConnectionEnded { connection: ConnectionId(2), reason: TooManyConnections }"]
    );
    test.publish("a", "1", true);
    test.publish("b", "1", true);
    test.publish("a", "2", true);
    assert_eq!(test.runtime.0.retained().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_closed_runtime_is_silent() {
    let mut test = Test::open();
    let editor = test.accept();
    test.publish("a", "1", false);
    test.runtime.0.close(test.now);
    let seen = test.seen();
    assert_eq!(
        seen[seen.len() - 3..],
        ["1 disconnect", "ConnectionEnded { connection: ConnectionId(1), reason: Local }", "Closed"]
    );
    let now = test.now;
    rules::check_closed(&mut test.runtime, now);
    rules::check_closed_ignores(&mut test.runtime, |runtime| {
        runtime.0.handle_text(editor, "{\"subscribe\":\"a\"}", now);
        runtime.0.accept(now);
        runtime.0.close(now);
        assert_eq!(runtime.0.publish("a", json("1").as_ref(), true, now), Err(CommandError::Closed));
        assert_eq!(runtime.0.status("a", json("{}").as_ref(), now), Err(CommandError::Closed));
    });
}

#[test]
fn tokens_show_nowhere() {
    let mut test = Test::users();
    let editor = test.accept();
    test.text(editor, &format!("{{\"auth\":\"{}\"}}", marked(1)));
    assert_debug_hides(&drain(&mut test.runtime));
    assert_debug_hides(&test.runtime.0);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let refused = |set: fn(&mut Config)| {
        let mut config = Config::new(Access::Open, 1.0);
        set(&mut config);
        Runtime::new(config, epoch()).err().unwrap()
    };
    assert_eq!(refused(|config| config.batch_size = 0), ConfigError::Limit("batch_size"));
    assert_eq!(refused(|config| config.max_queued = 0), ConfigError::Limit("max_queued"));
    assert_eq!(
        refused(|config| config.heartbeat_interval = Some(seconds(0))),
        ConfigError::Wait("heartbeat_interval")
    );
    assert_eq!(refused(|config| config.started = f64::NAN), ConfigError::Started);
    assert_eq!(refused(|config| config.started = 0.0), ConfigError::Started);
}

struct Test {
    runtime: TestRuntime,
    look_ups: Vec<LookUpId>,
    now: Instant,
}

impl Test {
    fn open() -> Self {
        Self::with(Access::Open, |_| {})
    }

    fn users() -> Self {
        Self::with(Access::Users, |_| {})
    }

    fn with(access: Access, set: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(access, 1_700_000_000_000.0);
        set(&mut config);
        let now = epoch();
        Self { runtime: TestRuntime(Runtime::new(config, now).unwrap()), look_ups: Vec::new(), now }
    }

    fn accept(&mut self) -> ConnectionId {
        self.runtime.0.accept(self.now)
    }

    /// An editor whose token was good.
    fn active(&mut self) -> ConnectionId {
        let editor = self.accept();
        self.text(editor, "{\"auth\":\"good\"}");
        self.seen();
        self.user(self.look_ups.len(), "admin", "*");
        self.seen();
        editor
    }

    fn text(&mut self, connection: ConnectionId, text: &str) {
        self.runtime.0.handle_text(connection, text, self.now);
    }

    fn publish(&mut self, topic: &str, data: &str, retain: bool) {
        self.runtime.0.publish(topic, json(data).as_ref(), retain, self.now).unwrap();
    }

    fn look_up(&self, number: usize) -> LookUpId {
        self.look_ups[number - 1]
    }

    /// The token of the look-up, counted from 1, is this user's. What waits is not looked at.
    fn user(&mut self, number: usize, name: &str, scope: &str) {
        for output in drain(&mut self.runtime) {
            self.note(&output);
        }
        let id = self.look_ups[number - 1];
        self.runtime.0.handle_user(id, Some(User::new(name, Scope::from(scope))), self.now);
    }

    fn note(&mut self, output: &Output) {
        if let Output::LookUp { id, .. } = output {
            self.look_ups.push(*id);
        }
    }

    fn seen(&mut self) -> Vec<String> {
        let outputs = drain(&mut self.runtime);
        outputs.iter().for_each(|output| self.note(output));
        short(&outputs)
    }

    /// The frames of the next 60 ms.
    fn frames(&mut self) -> Vec<String> {
        self.seen();
        self.now += millis(60);
        short(&advance(&mut self.runtime, self.now).into_iter().map(|(_, output)| output).collect::<Vec<_>>())
    }

    /// When frames go out in the next second, in ms, and how many messages they have. What waits counts as 0.
    fn sizes(&mut self) -> Vec<(u128, usize)> {
        let count = |text: &str| text.matches("\"topic\"").count();
        let at_once: Vec<(u128, usize)> = self.seen().iter().map(|text| (0, count(text))).collect();
        let start = self.now;
        self.now += seconds(1);
        let log = advance(&mut self.runtime, self.now);
        let later = log.iter().map(|(at, output)| ((*at - start).as_millis(), count(&output.short())));
        at_once.into_iter().chain(later).collect()
    }
}
