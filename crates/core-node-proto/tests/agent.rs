//! The life of an agent: registration, keys, sync, links, errors, sessions, reports, the end.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod agent_support;

use agent_support::{
    Node, acknowledged, at, code, config, config_reply, epoch, heartbeat_reply, key_reply, lost, refused,
    registered, seconds, status,
};
use core_node_proto::agent::{
    Agent, ApplyFailed, CommandError, Config, ConfigError, Restored, Sampling, Seen, Snapshot, Spelling,
    State,
};
use core_node_proto::call::{Call, Failure, FailureKind, GrpcCode, Link};
use core_node_proto::config::NodeConfig;
use core_node_proto::message::{HttpBody, JsonObject, NodeError, NodeStats, SessionEvent, SystemStats};
use core_node_proto::value::{SessionEventType, UserId, VpnProtocol};
use core_node_proto::{Method, Secret};
use std::time::Duration;

const NONE: [&str; 0] = [];

fn with_code() -> Config {
    let mut config = config();
    config.code = Some(Secret::new("CODE-ONE"));
    config
}

fn restored(revision: u32) -> Restored {
    Restored::Snapshot(Box::new(registered(revision)))
}

fn pending(revision: u32) -> Restored {
    let json = String::from_utf8(registered(revision).to_json()).unwrap();
    Restored::from_json(Some(json.replace("\"confirmPending\":false", "\"confirmPending\":true").as_bytes()))
}

#[test]
fn without_a_key_and_without_a_code_it_asks_for_one_and_calls_nobody() {
    let mut node = Node::start(config(), Restored::Nothing);
    assert_eq!(node.lines(), ["event NeedsCode"]);
    assert_eq!(node.agent.0.state(), State::Unregistered);
    assert_eq!(node.wait(seconds(50)), NONE);
    node.agent.0.register(Secret::new("CODE-ONE"), node.now).unwrap();
    assert_eq!(node.lines(), ["http Register"]);
    let registered = node.agent.0.register(Secret::new("CODE-TWO"), node.now);
    assert_eq!(registered, Err(CommandError::Registered));
}

#[test]
fn who_a_node_is_and_what_it_runs_are_known_from_what_was_stored() {
    let node = Node::active();
    assert_eq!(node.agent.0.node_id().map(ToString::to_string), Some("1".to_owned()));
    assert_eq!(**node.agent.0.node_config().unwrap(), agent_support::node_config(5));
    assert!(!node.agent.0.is_closed());
    assert!(format!("{:?}", node.agent.0).starts_with("Agent { state: Active, link: Grpc, durable: "));
    let stranger = Node::start(config(), Restored::Nothing);
    assert_eq!((stranger.agent.0.node_id(), stranger.agent.0.node_config()), (None, None));
}

#[test]
fn a_key_is_stored_before_it_is_used() {
    let mut node = Node::start(with_code(), Restored::Nothing);
    node.stores = false;
    assert_eq!(node.lines(), ["http Register"]);
    assert!(node.calls[&Method::Register].3.is_none());
    let lines = node.reply(Method::Register, key_reply("key-3"));
    assert_eq!(lines, ["event Registered { node_id: NodeId(Number(3)) }", "store"]);
    assert_eq!(node.agent.0.state(), State::Registering);
    assert_eq!(node.wait(seconds(20)), NONE);
    assert_eq!(node.stored(), ["event Active", "grpc Heartbeat"]);
    assert_eq!(node.calls[&Method::Heartbeat].3, Some(Secret::new("key-3")));
}

#[test]
fn a_key_that_could_not_be_stored_is_stored_again_and_not_used_before() {
    let mut node = Node::start(with_code(), Restored::Nothing);
    node.stores = false;
    node.lines();
    node.reply(Method::Register, key_reply("key-3"));
    assert_eq!(node.store_fails(), ["event StoreFailed"]);
    assert_eq!(node.wait(seconds(2)), ["store"]);
    assert_eq!(node.stored(), ["event Active", "grpc Heartbeat"]);
}

#[test]
fn registration_is_tried_again_with_the_same_code_unless_core_says_no() {
    let mut node = Node::start(with_code(), Restored::Nothing);
    node.lines();
    for (tries, failure) in [refused(), status(503), status(429), status(408), lost()].into_iter().enumerate()
    {
        assert_eq!(node.fail(Method::Register, failure), NONE);
        let shortest = Duration::from_millis(800) * (1 << tries);
        assert_eq!(node.wait(shortest - Duration::from_millis(1)), NONE);
        assert_eq!(node.wait(shortest / 2 + Duration::from_millis(2)), ["http Register"]);
    }
    let lines = node.fail(Method::Register, status(401));
    assert_eq!(lines, ["event RegistrationRefused { reason: Status(401), may_be_used: true }"]);
    assert_eq!(node.agent.0.state(), State::Unregistered);
}

#[test]
fn a_key_that_can_be_none_is_not_stored() {
    let mut node = Node::start(with_code(), Restored::Nothing);
    node.lines();
    let lines = node.reply(Method::Register, key_reply("two words"));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("event RegistrationRefused { reason: Unusable"), "{lines:?}");
    assert_eq!(node.agent.0.state(), State::Unregistered);
}

#[test]
fn what_was_stored_and_cannot_be_read_is_told_and_never_a_silent_start() {
    let broken = Restored::from_json(Some(b"{\"version\":1,"));
    assert_eq!(broken, Restored::Broken);
    assert_eq!(Restored::from_json(Some(br#"{"version":2}"#)), Restored::Broken);
    assert_eq!(Restored::from_json(None), Restored::Nothing);
    let mut node = Node::start(config(), broken);
    assert_eq!(node.lines(), ["event StateLost", "event NeedsCode"]);
}

#[test]
fn unknown_members_of_a_snapshot_are_ignored() {
    let snapshot = Snapshot::from_json(br#"{"version":1,"authKey":"k","later":{"x":1}}"#).unwrap();
    assert_eq!(Snapshot::from_json(&snapshot.to_json()), Ok(snapshot));
}

#[test]
fn a_cleartext_target_is_told_once() {
    let mut config = config();
    config.cleartext = true;
    let mut node = Node::start(config, restored(5));
    assert_eq!(node.lines(), ["event CleartextTarget", "event Active", "grpc Heartbeat of 5"]);
}

#[test]
fn heartbeats_come_at_once_then_after_a_random_part_of_the_period_then_with_the_period() {
    let mut node = Node::start(config(), restored(5));
    let mut times = Vec::new();
    for _ in 0..60 {
        if node.lines().iter().chain(&node.wait(seconds(1))).any(|line| line == "grpc Heartbeat of 5") {
            times.push(node.now - epoch());
            node.reply(Method::Heartbeat, heartbeat_reply(false));
        }
    }
    assert_eq!(times[0], seconds(1));
    assert!(times[1] <= seconds(11));
    assert!(times[1..].windows(2).all(|pair| pair[1] - pair[0] == seconds(10)), "{times:?}");
}

#[test]
fn a_heartbeat_under_way_is_not_started_again_and_ends_at_its_deadline() {
    let mut config = config();
    config.call_timeout = seconds(25);
    let mut node = Node::start(config, restored(5));
    node.is_quiet = false;
    let lines = node.wait(seconds(24));
    assert_eq!(lines.iter().filter(|line| line.starts_with("grpc Heartbeat")).count(), 1, "{lines:?}");
    let lines = node.wait(seconds(1));
    assert!(lines.contains(&"cancel Heartbeat".to_owned()), "{lines:?}");
}

#[test]
fn a_node_that_core_does_not_know_keeps_counting_and_tries_a_heartbeat_each_minute() {
    let mut node = Node::active();
    node.is_quiet = false;
    node.wait(seconds(10));
    assert_eq!(node.fail(Method::Heartbeat, code(GrpcCode::Unauthenticated)), ["event Unauthorized"]);
    assert_eq!(node.agent.0.state(), State::Unauthorized);
    assert_eq!(node.wait(seconds(59)), ["sample Counters"]);
    assert_eq!(node.wait(seconds(1)), ["grpc Heartbeat of 5"]);
    assert_eq!(node.fail(Method::Heartbeat, code(GrpcCode::PermissionDenied)), NONE);
    node.wait(seconds(60));
    let lines = node.reply(Method::Heartbeat, heartbeat_reply(false));
    assert_eq!(lines, ["event Active", "grpc Heartbeat of 5"]);
}

#[test]
fn another_key_ends_the_wait_and_a_word_on_the_earlier_one_changes_nothing() {
    let mut node = Node::start(config(), restored(5));
    node.lines();
    let other = Secret::new("key-2");
    node.agent.0.set_key(other.clone(), None, node.now).unwrap();
    node.fail(Method::Heartbeat, code(GrpcCode::Unauthenticated));
    assert_eq!(node.agent.0.state(), State::Active);
    assert!(node.agent.0.set_key(Secret::new("no key"), None, node.now).is_err());
    assert_eq!(node.lines(), NONE);
}

#[test]
fn a_sync_samples_freezes_stores_applies_stores_and_confirms_in_this_order() {
    let mut node = Node::start(config(), restored(5));
    node.stores = false;
    assert_eq!(node.lines(), ["event Active", "grpc Heartbeat of 5"]);
    assert_eq!(node.reply(Method::Heartbeat, heartbeat_reply(true)), ["grpc GetLatestConfig"]);
    assert_eq!(node.reply(Method::GetLatestConfig, config_reply(6)), ["sample Counters"]);
    assert_eq!(node.counters(agent_support::xray(&[(agent_support::USER, 5, 6)])), ["store"]);
    assert_eq!(node.stored(), ["apply 6", "grpc ReportUsage u12 5+6 at 04:02.000"]);
    assert_eq!(node.applied(), ["event Applied { revision: Revision(6) }", "store"]);
    assert_eq!(node.stored(), ["grpc ConfirmConfigApplied 6"]);
    assert_eq!(node.ok(Method::ConfirmConfigApplied), ["event Confirmed { revision: Revision(6) }", "store"]);
}

#[test]
fn a_sample_that_does_not_come_does_not_keep_a_configuration_from_being_applied() {
    let mut node = Node::active();
    node.is_quiet = false;
    node.wait(seconds(10));
    node.reply(Method::Heartbeat, heartbeat_reply(true));
    assert_eq!(node.reply(Method::GetLatestConfig, config_reply(6)), ["sample Counters"]);
    node.is_quiet = true;
    assert_eq!(node.wait(seconds(5)), ["apply 6"]);
}

#[test]
fn a_confirmation_does_not_overtake_an_earlier_report_of_an_error() {
    let mut node = Node::active();
    node.is_quiet = false;
    node.wait(seconds(10));
    let error = NodeError { message: "no room".into(), code: None, details: None };
    node.agent.0.report_error(error, node.now).unwrap();
    assert!(node.lines().iter().any(|line| line.starts_with("http ReportError")));
    node.reply(Method::Heartbeat, heartbeat_reply(true));
    node.reply(Method::GetLatestConfig, config_reply(6));
    node.counters(agent_support::xray(&[]));
    let lines = node.applied();
    assert!(!lines.iter().any(|line| line.starts_with("grpc Confirm")), "{lines:?}");
    let lines = node.ok(Method::ReportError);
    assert!(lines.contains(&"grpc ConfirmConfigApplied 6".to_owned()), "{lines:?}");
}

#[test]
fn an_error_does_not_overtake_a_confirmation_under_way() {
    let mut node = Node::start(config(), pending(5));
    let lines = node.lines();
    assert_eq!(lines, ["event Active", "grpc Heartbeat of 5", "grpc ConfirmConfigApplied 5"]);
    let error = NodeError { message: "crashed".into(), code: None, details: None };
    node.agent.0.report_error(error, node.now).unwrap();
    assert_eq!(node.lines(), NONE);
    let lines = node.ok(Method::ConfirmConfigApplied);
    assert_eq!(lines, ["event Confirmed { revision: Revision(5) }", "http ReportError -"]);
}

#[test]
fn an_error_with_details_too_deep_to_be_sent_is_refused() {
    let deep = |levels: usize| {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        Some(JsonObject::parse(&text).unwrap())
    };
    let error = |levels| NodeError { message: "x".into(), code: None, details: deep(levels) };
    let mut node = Node::active();
    let refused = node.agent.0.report_error(error(64), node.now);
    assert!(matches!(refused, Err(CommandError::Invalid(_))), "{refused:?}");
    assert_eq!(node.agent.0.report_error(error(63), node.now), Ok(()));
    assert!(error(63).to_json().is_ok());

    let mut node = Node::start(config(), restored(5));
    node.lines();
    node.reply(Method::Heartbeat, heartbeat_reply(true));
    node.reply(Method::GetLatestConfig, config_reply(6));
    node.counters(agent_support::xray(&[]));
    let failed = ApplyFailed { message: "x".into(), code: Some("E".to_owned()), details: deep(64) };
    node.agent.0.handle_applied(node.apply.take().unwrap(), Err(failed), node.now);
    assert_eq!(node.lines(), ["event ApplyFailed { revision: Revision(6) }", "http ReportError E"]);
    let Call::ReportError(sent) = &node.calls[&Method::ReportError].2 else { panic!() };
    assert_eq!((sent.details.clone(), sent.check()), (None, Ok(())));
}

#[test]
fn heartbeats_carry_the_revision_that_is_stored() {
    let mut node = Node::start(with_code(), Restored::Nothing);
    node.lines();
    node.reply(Method::Register, key_reply("key-3"));
    node.reply(Method::Heartbeat, heartbeat_reply(true));
    node.reply(Method::GetLatestConfig, config_reply(6));
    node.counters(agent_support::xray(&[]));
    node.stores = false;
    assert_eq!(node.applied(), ["event Applied { revision: Revision(6) }", "store"]);
    let lines = node.wait(seconds(10));
    assert!(lines.contains(&"grpc Heartbeat".to_owned()), "{lines:?}");
    node.reply(Method::Heartbeat, heartbeat_reply(false));
    node.stored();
    let lines = node.wait(seconds(10));
    assert!(lines.contains(&"grpc Heartbeat of 6".to_owned()), "{lines:?}");
}

#[test]
fn the_same_revision_is_confirmed_and_a_lower_one_is_applied() {
    let mut node = Node::start(config(), restored(5));
    node.lines();
    node.reply(Method::Heartbeat, heartbeat_reply(true));
    assert_eq!(node.reply(Method::GetLatestConfig, config_reply(5)), ["grpc ConfirmConfigApplied 5"]);
    node.ok(Method::ConfirmConfigApplied);
    node.wait(seconds(10));
    node.reply(Method::Heartbeat, heartbeat_reply(true));
    assert_eq!(
        node.reply(Method::GetLatestConfig, config_reply(4)),
        ["event WentBack { from: Revision(5), to: Revision(4) }", "sample Counters"]
    );
}

#[test]
fn a_confirmation_under_way_at_a_restart_is_made_up() {
    let mut node = Node::start(config(), pending(5));
    assert_eq!(node.lines(), ["event Active", "grpc Heartbeat of 5", "grpc ConfirmConfigApplied 5"]);
}

#[test]
fn a_confirmation_is_tried_again_and_core_may_ask_to_sync_meanwhile() {
    let mut node = Node::start(config(), pending(5));
    node.lines();
    assert_eq!(node.fail(Method::ConfirmConfigApplied, refused()), NONE);
    assert_eq!(node.reply(Method::Heartbeat, heartbeat_reply(true)), ["grpc GetLatestConfig"]);
    assert_eq!(node.reply(Method::GetLatestConfig, config_reply(5)), ["grpc ConfirmConfigApplied 5"]);
    assert_eq!(node.fail(Method::ConfirmConfigApplied, lost()), NONE);
    let lines = node.wait(Duration::from_millis(2_400));
    assert!(lines.contains(&"grpc ConfirmConfigApplied 5".to_owned()), "{lines:?}");
}

#[test]
fn a_confirmation_is_made_up_when_the_configuration_cannot_be_fetched_meanwhile() {
    let mut node = Node::start(config(), pending(5));
    node.lines();
    node.fail(Method::ConfirmConfigApplied, refused());
    assert_eq!(node.reply(Method::Heartbeat, heartbeat_reply(true)), ["grpc GetLatestConfig"]);
    assert_eq!(node.fail(Method::GetLatestConfig, code(GrpcCode::Internal)), NONE);
    node.is_quiet = true;
    let lines = node.wait(seconds(10));
    assert_eq!(lines, ["grpc ConfirmConfigApplied 5"]);
    assert_eq!(node.ok(Method::ConfirmConfigApplied), ["event Confirmed { revision: Revision(5) }"]);
    assert_eq!(node.wait(seconds(20)), NONE);
}

#[test]
fn a_heartbeat_does_not_shorten_the_wait_of_a_confirmation() {
    let mut config = config();
    (config.min_backoff, config.max_backoff) = (seconds(100), seconds(100));
    let mut node = Node::start(config, pending(5));
    node.lines();
    node.fail(Method::ConfirmConfigApplied, refused());
    node.is_quiet = true;
    assert_eq!(node.reply(Method::Heartbeat, heartbeat_reply(false)), NONE);
    let lines = node.wait(seconds(40));
    assert!(!lines.iter().any(|line| line.contains("Confirm")), "{lines:?}");
}

#[test]
fn a_confirmation_that_core_does_not_want_is_dropped() {
    for failure in [code(GrpcCode::InvalidArgument), code(GrpcCode::Unimplemented)] {
        let mut node = Node::start(config(), pending(5));
        node.lines();
        let lines = node.fail(Method::ConfirmConfigApplied, failure);
        assert!(
            lines.contains(&"event ConfirmationDropped { revision: Revision(5) }".to_owned()),
            "{lines:?}"
        );
        let stored = String::from_utf8(node.stored.as_ref().unwrap().to_json()).unwrap();
        assert!(stored.contains("\"confirmPending\":false"));
    }
}

#[test]
fn being_asked_three_times_for_a_confirmed_revision_makes_the_schema_suspect() {
    let mut node = Node::start(config(), restored(5));
    node.lines();
    for round in 1..=4 {
        let mut lines = node.reply(Method::Heartbeat, heartbeat_reply(true));
        lines.extend(node.reply(Method::GetLatestConfig, config_reply(5)));
        lines.extend(node.ok(Method::ConfirmConfigApplied));
        let is_told = lines.contains(&"event SchemaMismatch { revision: Revision(5) }".to_owned());
        assert_eq!(is_told, round == 3, "{round} {lines:?}");
        node.wait(seconds(10));
    }
}

#[test]
fn an_unusable_configuration_is_reported_and_the_next_is_asked_for_after_a_longer_wait_each_time() {
    let error = NodeConfig::from_json(br#"{"revision":6,"clientMap":[]}"#).unwrap_err();
    let mut node = Node::start(config(), restored(5));
    node.lines();
    node.reply(Method::Heartbeat, heartbeat_reply(true));
    let lines = node.fail(Method::GetLatestConfig, Failure::answered(FailureKind::Config(error)));
    assert_eq!(
        lines,
        ["event ConfigRefused { code: \"CONFIG_INVALID\" }", "http ReportError CONFIG_INVALID"]
    );
    node.ok(Method::ReportError);
    node.wait(seconds(10));
    node.reply(Method::Heartbeat, heartbeat_reply(true));
    let lines = node.fail(Method::GetLatestConfig, code(GrpcCode::ResourceExhausted));
    assert_eq!(
        lines,
        ["event ConfigRefused { code: \"CONFIG_TOO_LARGE\" }", "http ReportError CONFIG_TOO_LARGE"]
    );
    let mut asked = 0;
    for _ in 0..9 {
        node.wait(seconds(1));
        if node.calls.contains_key(&Method::Heartbeat) {
            asked += node.reply(Method::Heartbeat, heartbeat_reply(true)).len();
        }
    }
    assert_eq!((asked, node.agent.0.revision().map(|revision| revision.get())), (0, Some(5)));
    node.wait(seconds(10));
    assert_eq!(node.reply(Method::Heartbeat, heartbeat_reply(true)), ["grpc GetLatestConfig"]);
}

#[test]
fn a_configuration_that_cannot_be_applied_is_reported_and_the_one_before_stays() {
    let mut node = Node::start(config(), restored(5));
    node.lines();
    node.reply(Method::Heartbeat, heartbeat_reply(true));
    node.reply(Method::GetLatestConfig, config_reply(6));
    assert_eq!(node.counters(agent_support::xray(&[])), ["apply 6"]);
    let failed = ApplyFailed { message: String::new(), code: Some("XRAY_FAILED".to_owned()), details: None };
    node.agent.0.handle_applied(node.apply.take().unwrap(), Err(failed), node.now);
    assert_eq!(node.lines(), ["event ApplyFailed { revision: Revision(6) }", "http ReportError XRAY_FAILED"]);
    assert_eq!(node.agent.0.revision().map(|revision| revision.get()), Some(5));
}

#[test]
fn three_failures_of_the_transport_in_a_row_lead_to_http_and_a_probe_leads_back() {
    let mut node = Node::active();
    node.is_quiet = false;
    let mut lines = Vec::new();
    for _ in 0..3 {
        lines.extend(node.wait(seconds(10)));
        lines.extend(node.fail(Method::Heartbeat, code(GrpcCode::Unavailable)));
    }
    assert_eq!(lines.last().unwrap(), "event LinkChanged(Http)");
    let dropped = node.agent.0.dropped();
    let lines = node.wait(seconds(10));
    assert!(lines.contains(&"http Heartbeat of 5".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line == "sample Stats" || line == "sample Online"), "{lines:?}");
    assert_eq!(node.agent.0.dropped().stats - dropped.stats, 5);
    assert_eq!(node.agent.0.dropped().online - dropped.online, 2);
    node.reply(Method::Heartbeat, heartbeat_reply(false));
    let mut probed = false;
    for _ in 0..30 {
        node.wait(seconds(1));
        if let Some((_, link, ..)) = node.calls.get(&Method::Heartbeat) {
            probed = *link == Link::Grpc;
            let lines = node.reply(Method::Heartbeat, heartbeat_reply(false));
            assert_eq!(lines == ["event LinkChanged(Grpc)"], probed);
        }
        if probed {
            break;
        }
    }
    assert!(probed);
    assert_eq!(node.agent.0.link(), Link::Grpc);
}

#[test]
fn an_answer_between_failures_keeps_the_link() {
    let mut node = Node::active();
    node.is_quiet = false;
    for _ in 0..4 {
        for failure in [code(GrpcCode::Unavailable), lost(), code(GrpcCode::Internal)] {
            node.wait(seconds(10));
            node.fail(Method::Heartbeat, failure);
        }
    }
    assert_eq!(node.agent.0.link(), Link::Grpc);
}

#[test]
fn five_unknown_answers_in_a_row_make_the_key_suspect_and_change_nothing() {
    let mut node = Node::active();
    node.is_quiet = false;
    let mut told = Vec::new();
    for _ in 0..7 {
        node.wait(seconds(10));
        told.push(
            node.fail(Method::Heartbeat, code(GrpcCode::Unknown)).contains(&"event SuspectedAuth".to_owned()),
        );
    }
    assert_eq!(told, [false, false, false, false, true, false, false]);
    assert_eq!(node.agent.0.state(), State::Active);
}

#[test]
fn the_latest_error_is_kept_until_core_has_it_or_a_configuration_is_applied() {
    let error =
        |code: &str| NodeError { message: "x".to_owned(), code: Some(code.to_owned()), details: None };
    let mut node = Node::active();
    node.agent.0.report_error(error("A"), node.now).unwrap();
    assert_eq!(node.lines(), ["http ReportError A"]);
    assert_eq!(node.fail(Method::ReportError, refused()), NONE);
    node.agent.0.report_error(error("B"), node.now).unwrap();
    assert_eq!(node.lines(), ["http ReportError B"]);
    node.fail(Method::ReportError, status(503));
    let mut again = node.restart(config(), "2030-01-02T03:04:10.000Z");
    assert_eq!(again.lines(), ["event Active", "http ReportError B"]);
    assert_eq!(again.ok(Method::ReportError), NONE);
    let mut last = again.restart(config(), "2030-01-02T03:04:20.000Z");
    assert_eq!(last.lines(), ["event Active"]);
    let empty = NodeError { message: String::new(), code: None, details: None };
    assert!(matches!(last.agent.0.report_error(empty, last.now), Err(CommandError::Invalid(_))));
}

fn session(user: i64) -> SessionEvent {
    SessionEvent {
        user_id: UserId::new(user).unwrap(),
        protocol: VpnProtocol::XRAY,
        event_type: SessionEventType::ONLINE,
        occurred_at: at("2030-01-02T03:04:05Z"),
        ip_address: None,
    }
}

#[test]
fn session_events_go_after_five_seconds_or_at_a_hundred() {
    let mut config = config();
    config.session_spelling = Spelling::Upper;
    let mut node = Node::active_with(config);
    node.agent.0.record_session(session(1), node.now).unwrap();
    assert_eq!(node.wait(Duration::from_millis(4_999)), NONE);
    assert_eq!(node.wait(Duration::from_millis(1)), ["http ReportSessionEvents 1"]);
    let Call::ReportSessionEvents(events) = &node.calls[&Method::ReportSessionEvents].2 else { panic!() };
    assert_eq!(events.events[0].event_type.as_str(), "ONLINE");
    node.ok(Method::ReportSessionEvents);
    for user in 1..=250 {
        node.agent.0.record_session(session(user), node.now).unwrap();
    }
    assert_eq!(node.lines(), ["http ReportSessionEvents 100"]);
    assert_eq!(node.fail(Method::ReportSessionEvents, lost()), ["http ReportSessionEvents 100"]);
    assert_eq!(node.agent.0.waiting_sessions(), 50);
    assert_eq!(node.ok(Method::ReportSessionEvents), NONE);
    assert_eq!(node.wait(seconds(5)), ["http ReportSessionEvents 50"]);
}

#[test]
fn session_events_that_core_has_not_taken_are_kept_and_the_oldest_go_first_when_there_are_too_many() {
    let mut config = config();
    config.max_sessions = 3;
    config.session_batch = 2;
    let mut node = Node::active_with(config);
    node.agent.0.record_session(session(1), node.now).unwrap();
    node.agent.0.record_session(session(2), node.now).unwrap();
    assert_eq!(node.lines(), ["http ReportSessionEvents 2"]);
    node.agent.0.record_session(session(3), node.now).unwrap();
    node.agent.0.record_session(session(4), node.now).unwrap();
    assert_eq!(node.fail(Method::ReportSessionEvents, refused()), NONE);
    assert_eq!((node.agent.0.waiting_sessions(), node.agent.0.dropped().sessions), (3, 1));
    assert_eq!(node.wait(seconds(2)), ["http ReportSessionEvents 2"]);
    let Call::ReportSessionEvents(events) = &node.calls[&Method::ReportSessionEvents].2 else { panic!() };
    assert_eq!(events.events.iter().map(|event| event.user_id.get()).collect::<Vec<_>>(), [2, 3]);
}

fn seen(name: &str, ip: &str, last_seen: Option<&str>) -> Seen {
    Seen { name: name.into(), ip: ip.parse().ok(), last_seen: last_seen.map(at) }
}

#[test]
fn who_is_online_is_attributed_and_merged_per_user_and_inbound() {
    let mut node = Node::active();
    let list = [
        seen("u12.l3.s45.i6", "192.0.2.1", Some("2030-01-02T03:04:00Z")),
        seen("u12.l4.s45.i6", "192.0.2.1", Some("2030-01-02T03:04:01Z")),
        seen("u12.l3.s45.i7", "2001:db8::1", None),
        seen("u13.l3.s46.i6", "", None),
        seen("somebody", "192.0.2.9", None),
    ];
    node.agent.0.handle_online(&list, node.now);
    assert_eq!(node.lines(), ["grpc ReportOnlineUsers 3"]);
    let Call::ReportOnlineUsers(online) = &node.calls[&Method::ReportOnlineUsers].2 else { panic!() };
    let users: Vec<_> = online
        .users
        .iter()
        .map(|user| {
            let ips =
                user.ips.iter().map(|ip| format!("{} {}", ip.ip, &ip.last_seen.unwrap().to_string()[14..19]));
            (user.user_id.get(), user.node_protocol_id.get(), ips.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(
        users,
        [
            (12, 6, vec!["192.0.2.1 04:01".to_owned()]),
            (12, 7, vec!["2001:db8::1 04:02".to_owned()]),
            (13, 6, vec![]),
        ]
    );
    assert_eq!(node.agent.0.dropped().names, 1);
    // One is under way: this one is replaced by the next.
    node.agent.0.handle_online(&[], node.now);
    assert_eq!((node.lines().len(), node.agent.0.dropped().online), (0, 1));
    node.ok(Method::ReportOnlineUsers);
    node.agent.0.handle_online(&[], node.now);
    assert_eq!(node.lines(), ["grpc ReportOnlineUsers 0"]);
}

#[test]
fn statistics_are_asked_for_every_two_seconds_and_who_is_online_every_five() {
    let mut node = Node::start(config(), restored(5));
    let lines = node.wait(seconds(10));
    let count = |what: Sampling| lines.iter().filter(|line| **line == format!("sample {what:?}")).count();
    assert_eq!((count(Sampling::Stats), count(Sampling::Online)), (5, 2));
    let system = SystemStats { cpu_percent: f64::NAN, ..SystemStats::default() };
    node.agent.0.handle_stats(NodeStats { system: Some(system), ..NodeStats::default() }, node.now);
    assert_eq!(node.lines(), ["grpc ReportNodeStats"]);
    let Call::ReportNodeStats(stats) = &node.calls[&Method::ReportNodeStats].2 else { panic!() };
    assert_eq!(stats.system.unwrap().cpu_percent.to_bits(), 0);
    // It may take its period.
    let lines = node.wait(seconds(2));
    assert!(lines.contains(&"cancel ReportNodeStats".to_owned()), "{lines:?}");
}

#[test]
fn periods_stay_on_their_grid_and_those_that_were_missed_are_not_made_up() {
    let mut node = Node::start(config(), restored(5));
    node.lines();
    let late = |node: &mut Node, milliseconds: u64| {
        node.now += Duration::from_millis(milliseconds);
        node.agent.0.handle_timeout(node.now);
        samples(&node.lines())
    };
    fn samples(lines: &[String]) -> usize {
        lines.iter().filter(|line| *line == "sample Stats").count()
    }
    assert_eq!(late(&mut node, 2_500), 1, "due at 2 s");
    assert_eq!(samples(&node.wait(Duration::from_millis(1_499))), 0);
    assert_eq!(samples(&node.wait(Duration::from_millis(1))), 1, "at 4 s, not at 4.5");
    assert_eq!(late(&mut node, 4_000), 1, "one for 6 and 8 s");
    assert_eq!(late(&mut node, 7_000), 1, "one for 10, 12 and 14 s");
    assert_eq!(samples(&node.wait(Duration::from_millis(1_999))), 0);
    assert_eq!(samples(&node.wait(Duration::from_millis(1))), 1);
}

#[test]
fn a_call_that_core_does_not_have_goes_the_other_way_for_a_while() {
    let mut node = Node::active();
    node.is_quiet = false;
    node.wait(seconds(10));
    let lines = node.fail(Method::Heartbeat, code(GrpcCode::Unimplemented));
    assert_eq!(lines, ["event Missing { method: Heartbeat, link: Grpc }"]);
    let lines = node.wait(seconds(10));
    assert!(lines.contains(&"http Heartbeat of 5".to_owned()), "{lines:?}");
}

#[test]
fn the_end_samples_freezes_stores_sends_once_and_is_told_last() {
    let mut node = Node::active();
    node.stores = false;
    node.agent.0.close(node.now);
    assert_eq!(node.lines(), ["sample Counters"]);
    assert_eq!(node.counters(agent_support::xray(&[(agent_support::USER, 1, 2)])), ["store"]);
    assert_eq!(node.stored(), ["grpc ReportUsage u12 1+2 at 04:02.000"]);
    assert_eq!(node.ok(Method::ReportUsage), ["store"]);
    assert_eq!(node.stored(), ["event Closed { is_stored: true }"]);
    assert_eq!(node.agent.0.state(), State::Closed);
    assert!(node.agent.0.is_closed());
    assert_eq!(node.agent.0.record_session(session(1), node.now), Err(CommandError::Closed));
}

#[test]
fn the_end_does_not_wait_for_a_core_that_does_not_answer() {
    let mut node = Node::active();
    node.agent.0.close(node.now);
    node.lines();
    node.counters(agent_support::xray(&[(agent_support::USER, 1, 2)]));
    assert_eq!(node.wait(seconds(5)), ["cancel ReportUsage", "event Closed { is_stored: true }"]);
    let mut again = node.restart(config(), "2030-01-02T03:05:00.000Z");
    assert_eq!(again.lines(), ["event Active", "grpc ReportUsage u12 1+2 at 04:02.000"]);
}

#[test]
fn a_failure_at_the_end_is_not_tried_again() {
    let mut node = Node::active();
    node.agent.0.close(node.now);
    node.lines();
    node.counters(agent_support::xray(&[(agent_support::USER, 1, 2)]));
    assert_eq!(node.fail(Method::ReportUsage, refused()), ["event Closed { is_stored: true }"]);
}

#[test]
fn the_end_sends_what_waits_also_when_the_counters_cannot_be_sampled() {
    let mut node = Node::active();
    node.agent.0.record_session(session(1), node.now).unwrap();
    node.agent.0.close(node.now);
    assert_eq!(node.lines(), ["sample Counters"]);
    assert_eq!(node.wait(Duration::from_millis(2_500)), ["http ReportSessionEvents 1"]);
    assert_eq!(node.ok(Method::ReportSessionEvents), ["event Closed { is_stored: true }"]);
    assert_eq!(node.agent.0.dropped().sessions, 0);
}

#[test]
fn the_end_within_the_sample_of_a_minute_sends_without_the_wait_of_a_minute() {
    let mut config = config();
    config.usage_spread = seconds(60);
    let mut node = Node::active_with(config);
    assert_eq!(node.wait(seconds(58)), ["sample Counters"]);
    node.agent.0.close(node.now);
    let lines = node.counters(agent_support::xray(&[(agent_support::USER, 1, 2)]));
    assert_eq!(lines, ["grpc ReportUsage u12 1+2 at 04:59.999"]);
    assert_eq!(node.ok(Method::ReportUsage), ["event Closed { is_stored: true }"]);
}

#[test]
fn session_events_that_are_left_at_the_end_are_counted_as_dropped() {
    let mut node = Node::active();
    node.agent.0.record_session(session(1), node.now).unwrap();
    node.agent.0.close(node.now);
    node.lines();
    node.counters(agent_support::xray(&[]));
    let lines = node.fail(Method::ReportSessionEvents, refused());
    assert_eq!(lines, ["event Closed { is_stored: true }"]);
    assert_eq!((node.agent.0.dropped().sessions, node.agent.0.waiting_sessions()), (1, 0));
}

#[test]
fn settings_that_cannot_be_are_named() {
    let refused = |change: &dyn Fn(&mut Config)| {
        let mut config = config();
        change(&mut config);
        Agent::new(config, Restored::Nothing, at("2030-01-02T03:04:05Z"), epoch()).err()
    };
    assert_eq!(
        refused(&|config| config.stats_interval = Duration::ZERO),
        Some(ConfigError::Wait("stats_interval"))
    );
    assert_eq!(
        refused(&|config| config.usage_interval = Duration::from_micros(999)),
        Some(ConfigError::Interval("usage_interval"))
    );
    let bounds = refused(&|config| config.max_backoff = Duration::ZERO);
    assert_eq!(bounds, Some(ConfigError::Bounds { least: "min_backoff", most: "max_backoff" }));
    assert_eq!(
        refused(&|config| config.min_cooling = Duration::ZERO),
        Some(ConfigError::Wait("min_cooling"))
    );
    let limit = refused(&|config| config.max_batches = 1);
    assert_eq!(limit, Some(ConfigError::Limit { name: "max_batches", least: 2 }));
    assert_eq!(limit.unwrap().to_string(), "max_batches must be at least 2");
    assert!(matches!(refused(&|config| config.name = String::new()), Some(ConfigError::Registration(_))));
    assert_eq!(refused(&|_| {}), None);
    assert!(!acknowledged(false).is_ok());
}
