//! Traffic: from counters to batches, and what becomes of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod agent_support;

use agent_support::{
    Node, USER, acknowledged, at, code, config, config_reply, epoch, heartbeat_reply, lost, refused,
    registered, seconds, status, xray,
};
use core_node_proto::Method;
use core_node_proto::agent::{Config, Counters, Policy, Proxy, ProxyCounters, Restored, Traffic};
use core_node_proto::call::{Delivery, Failure, FailureKind, GrpcCode, Link};
use std::time::Duration;

const NONE: [&str; 0] = [];
const USAGE: Method = Method::ReportUsage;

/// An active node whose counters were sampled at the minute, with so many bytes up.
fn sampled(config: Config, bytes: u64) -> (Node, Vec<String>) {
    let mut node = Node::active_with(config);
    assert_eq!(node.wait(seconds(58)), ["sample Counters"]);
    let lines = node.counters(xray(&[(USER, bytes, 0)]));
    (node, lines)
}

fn sent(mut node: Node) -> Node {
    node.calls.clear();
    node
}

#[test]
fn a_minute_is_recorded_at_its_last_millisecond() {
    let (node, lines) = sampled(config(), 7);
    assert_eq!(lines, ["grpc ReportUsage u12 7+0 at 04:59.999"]);
    assert_eq!(node.entries()[0].subscription_id.map(|id| id.get()), Some(300));
    assert_eq!(node.entries()[0].node_protocol_id.get(), 6);
}

#[test]
fn a_batch_is_stored_before_it_is_sent_and_until_core_has_it() {
    let mut node = Node::active();
    node.stores = false;
    node.wait(seconds(58));
    assert_eq!(node.counters(xray(&[(USER, 7, 0)])), ["store"]);
    assert_eq!(node.stored(), ["grpc ReportUsage u12 7+0 at 04:59.999"]);
    assert_eq!(node.ok(USAGE), ["store"]);
    node.stored();
    assert_eq!(node.agent.0.waiting_batches(), 0);
}

#[test]
fn an_idle_minute_stores_and_sends_nothing() {
    let (mut node, _) = sampled(config(), 7);
    node.ok(USAGE);
    node.stores = false;
    assert_eq!(node.wait(seconds(60)), ["sample Counters"]);
    assert_eq!(node.counters(xray(&[(USER, 7, 0)])), NONE);
}

#[test]
fn traffic_of_a_minute_is_sent_after_a_wait_that_differs_by_seed() {
    let wait = |seed| {
        let mut config = config();
        (config.usage_spread, config.seed) = (seconds(60), seed);
        let (mut node, lines) = sampled(config, 7);
        assert_eq!(lines, NONE);
        let mut wait = Duration::ZERO;
        while !node.wait(Duration::from_millis(100)).iter().any(|line| line.starts_with("grpc ReportUsage")) {
            wait += Duration::from_millis(100);
        }
        wait
    };
    assert!(wait(1) < seconds(60) && wait(2) < seconds(60));
    assert_ne!(wait(1), wait(2));
    assert_eq!(wait(1), wait(1));
}

#[test]
fn a_sample_that_does_not_come_costs_the_minute_nothing_but_its_own_bytes() {
    let mut node = Node::active();
    node.counters(xray(&[(USER, 3, 0)]));
    assert_eq!(node.wait(seconds(58)), ["sample Counters"]);
    assert_eq!(node.wait(seconds(5)), ["grpc ReportUsage u12 3+0 at 04:59.999"]);
}

#[test]
fn the_instant_rises_by_a_millisecond_when_the_wall_clock_steps_back() {
    let (mut node, _) = sampled(config(), 7);
    node.ok(USAGE);
    node.agent.0.set_wall_clock(at("2030-01-02T02:00:30.000Z"), node.now);
    node.wait(seconds(30));
    let lines = node.counters(xray(&[(USER, 9, 0)]));
    assert_eq!(lines, ["grpc ReportUsage u12 2+0 at 05:00.000"]);
}

#[test]
fn counters_count_from_what_was_there_before_and_from_0_in_a_new_process() {
    let mut node = Node::start(config(), Restored::Snapshot(Box::new(registered(5))));
    let sample = |started_at: &str, by_agent, up| {
        let mut sample = ProxyCounters::new(Proxy::Xray, at(started_at), by_agent);
        sample.users = [(USER.into(), Traffic { up, down: 0 })].into();
        Counters { proxies: vec![sample] }
    };
    let mut up = |started_at: &str, by_agent, up| {
        node.agent.0.handle_counters(sample(started_at, by_agent, up), node.now);
        node.agent.0.accumulated().up
    };
    // Started by somebody else, and never sampled: nobody knows what was reported.
    assert_eq!(up("2030-01-02T01:00:00Z", false, 1_000), 0);
    assert_eq!(up("2030-01-02T01:00:00Z", false, 1_005), 5);
    assert_eq!(up("2030-01-02T01:00:00Z", false, 3), 8);
    assert_eq!(up("2030-01-02T02:00:00Z", false, 100), 108);
    assert_eq!(up("2030-01-02T02:00:00Z", true, 100), 108);
    let (_, mut fresh) = ((), Node::start(config(), Restored::Snapshot(Box::new(registered(5)))));
    fresh.agent.0.handle_counters(sample("2030-01-02T01:00:00Z", true, 1_000), fresh.now);
    assert_eq!(fresh.agent.0.accumulated().up, 1_000);
}

#[test]
fn a_user_who_appears_in_a_known_process_counts_from_0() {
    let mut node = Node::active();
    let sample = |users: &[(&str, u64, u64)]| {
        let mut counters = xray(users);
        counters.proxies[0].started_by_agent = false;
        counters
    };
    node.counters(sample(&[]));
    node.counters(sample(&[(USER, 10, 20)]));
    assert_eq!(node.agent.0.accumulated(), Traffic { up: 10, down: 20 });
}

#[test]
fn names_are_attributed_by_the_map_and_what_is_odd_is_told_so_many_times() {
    let mut config = config();
    config.max_anomalies = 1;
    let mut node = Node::active_with(config);
    node.wait(seconds(58));
    let lines = node.counters(xray(&[
        ("u99.l3.s45.i6", 1, 0),
        ("u77.l3.s400.i6", 2, 0),
        ("u13.l1.s46.i6", 3, 0),
        ("somebody", 4, 5),
    ]));
    assert!(
        lines[0].starts_with("event Anomaly(UnknownClient") && !lines[1].starts_with("event"),
        "{lines:?}"
    );
    let entries: Vec<_> = node
        .entries()
        .iter()
        .map(|entry| (entry.user_id.get(), entry.subscription_id.map(|id| id.get()), entry.bytes_up.get()))
        .collect();
    assert_eq!(entries, [(12, Some(300), 1), (13, None, 3), (77, None, 2)]);
    assert_eq!(node.agent.0.unattributed(), Traffic { up: 4, down: 5 });
    assert_eq!(node.agent.0.dropped().anomalies, 2);
    node.ok(USAGE);
    assert_eq!(node.wait(seconds(60)), ["event MoreAnomalies(1)", "sample Counters"]);
}

#[test]
fn the_map_before_counts_for_a_usage_period() {
    let mut node = Node::start(config(), Restored::Snapshot(Box::new(registered(5))));
    node.lines();
    node.reply(Method::Heartbeat, heartbeat_reply(true));
    node.reply(Method::GetLatestConfig, config_reply(6));
    node.counters(xray(&[]));
    node.applied();
    node.is_quiet = true;
    assert!(node.agent.0.snapshot().to_json().windows(14).any(|text| text == b"\"previous\":{\"r"));
    node.wait(seconds(58));
    node.counters(xray(&[(USER, 1, 0)]));
    node.wait(seconds(60));
    node.counters(xray(&[(USER, 2, 0)]));
    assert!(node.agent.0.snapshot().to_json().windows(15).any(|text| text == b"\"previous\":null"));
}

#[test]
fn batches_go_one_by_one_oldest_first_with_the_same_instant() {
    let mut config = config();
    config.batch_entries = 1;
    let mut node = Node::active_with(config);
    node.wait(seconds(58));
    let lines = node.counters(xray(&[(USER, 1, 0), ("u13.l1.s46.i6", 2, 0)]));
    assert_eq!(lines, ["grpc ReportUsage u12 1+0 at 04:59.999"]);
    assert_eq!(node.ok(USAGE), ["grpc ReportUsage u13 2+0 at 04:59.999"]);
}

#[test]
fn what_core_has_not_taken_is_sent_again_as_it_is_with_growing_waits() {
    let (mut node, first) = sampled(config(), 7);
    for (tries, failure) in
        [refused(), lost(), code(GrpcCode::Aborted), code(GrpcCode::Internal)].into_iter().enumerate()
    {
        assert_eq!(node.fail(USAGE, failure), NONE);
        let shortest = Duration::from_millis(800) * (1 << tries);
        assert_eq!(node.wait(shortest - Duration::from_millis(1)), NONE);
        assert_eq!(node.wait(shortest / 2 + Duration::from_millis(2)), first);
    }
    assert_eq!(node.reply(USAGE, acknowledged(false)), NONE);
    assert_eq!(node.wait(seconds(20)), first);
    node.ok(USAGE);
    assert_eq!(node.agent.0.waiting_batches(), 0);
}

#[test]
fn the_same_entries_go_over_http_when_grpc_is_away() {
    let mut config = config();
    config.heartbeat_interval = seconds(1_000);
    let (mut node, first) = sampled(config, 7);
    let mut lines = Vec::new();
    for _ in 0..3 {
        lines = node.fail(USAGE, code(GrpcCode::Unavailable));
        lines.extend(node.wait(seconds(5)));
    }
    assert_eq!(lines, ["event LinkChanged(Http)".to_owned(), first[0].replace("grpc", "http")]);
    // Over HTTP an answer without ok tells nothing.
    assert_eq!(node.reply(USAGE, acknowledged(false)), NONE);
    assert_eq!(node.wait(seconds(10)), [first[0].replace("grpc", "http")]);
}

#[test]
fn a_refused_batch_is_cut_until_the_entry_at_fault_is_alone() {
    let mut node = Node::active();
    node.wait(seconds(58));
    node.counters(xray(&[
        (USER, 1, 0),
        ("u13.l1.s46.i6", 2, 0),
        ("u14.l1.s9.i6", 3, 0),
        ("u15.l1.s9.i6", 4, 0),
    ]));
    assert_eq!(
        node.fail(USAGE, code(GrpcCode::InvalidArgument)),
        ["grpc ReportUsage u12 1+0 at 04:59.999, u13 2+0 at 04:59.999"]
    );
    assert_eq!(node.fail(USAGE, status(400)), ["grpc ReportUsage u12 1+0 at 04:59.999"]);
    assert_eq!(node.ok(USAGE), ["grpc ReportUsage u13 2+0 at 04:59.999"]);
    let lines = node.fail(USAGE, Failure::new(Delivery::No, FailureKind::TooLarge));
    assert!(lines[0].starts_with("event Returned(Returned { number: 0, reason: Refused"), "{lines:?}");
    assert_eq!(lines[1], "grpc ReportUsage u14 3+0 at 04:59.999, u15 4+0 at 04:59.999");
}

#[test]
fn what_is_given_back_is_told_after_it_is_stored_and_again_after_a_crash() {
    let mut config_ = config();
    config_.usage_policy = Policy::Quarantine;
    let (mut node, _) = sampled(config_.clone(), 7);
    node.stores = false;
    assert_eq!(node.fail(USAGE, lost()), ["store"]);
    let told = node.stored();
    assert!(told[0].starts_with("event Returned(Returned { number: 0, reason: Quarantined"), "{told:?}");
    let mut again = node.restart(config_, "2030-01-02T03:05:10.000Z");
    assert_eq!(again.lines()[1], told[0]);
    assert_eq!(again.agent.0.waiting_batches(), 0);
}

#[test]
fn a_batch_that_may_be_cores_is_too_old_to_be_sent_again_an_hour_before_core_forgets_it() {
    let (mut node, _) = sampled(config(), 7);
    node.fail(USAGE, lost());
    let mut again = node.restart(config(), "2030-01-03T02:05:00.000Z");
    assert!(again.lines().contains(&"grpc ReportUsage u12 7+0 at 04:59.999".to_owned()));
    let mut late = node.restart(config(), "2030-01-03T02:05:00.001Z");
    let lines = late.lines();
    assert!(lines[1].starts_with("event Returned(Returned { number: 0, reason: Quarantined"), "{lines:?}");
}

#[test]
fn a_batch_that_was_never_sent_is_not_too_old() {
    let mut node = Node::start(config(), Restored::Snapshot(Box::new(registered(5))));
    node.lines();
    node.fail(Method::Heartbeat, code(GrpcCode::Unauthenticated));
    assert_eq!(node.wait(seconds(58)), ["sample Counters"]);
    node.counters(xray(&[(USER, 7, 0)]));
    assert_eq!(node.agent.0.waiting_batches(), 1);
    let mut late = node.restart(config(), "2030-03-03T03:05:00.000Z");
    let lines = late.lines();
    assert!(lines.contains(&"grpc ReportUsage u12 7+0 at 04:59.999".to_owned()), "{lines:?}");
}

#[test]
fn a_batch_too_large_for_one_link_that_may_be_cores_already_is_not_cut() {
    let (mut node, _) = sampled(config(), 7);
    node.fail(USAGE, lost());
    node.wait(seconds(2));
    let lines = node.fail(USAGE, status(413));
    assert!(lines[0].contains("reason: Quarantined"), "{lines:?}");
}

#[test]
fn a_call_that_core_does_not_have_goes_over_http_and_waits_if_it_is_not_there_either() {
    let (mut node, first) = sampled(config(), 7);
    let over_http = first[0].replace("grpc", "http");
    let missing = |link: &str| format!("event Missing {{ method: ReportUsage, link: {link} }}");
    assert_eq!(node.fail(USAGE, code(GrpcCode::Unimplemented)), [missing("Grpc"), over_http]);
    assert_eq!(node.fail(USAGE, status(404)), [missing("Http")]);
    let lines = node.wait(seconds(299));
    assert!(!lines.iter().any(|line| line.contains("ReportUsage")), "{lines:?}");
    assert!(node.wait(seconds(1)).contains(&first[0]));
}

#[test]
fn a_node_that_core_does_not_know_keeps_its_batches() {
    let (mut node, first) = sampled(config(), 7);
    assert_eq!(node.fail(USAGE, code(GrpcCode::Unauthenticated)), ["event Unauthorized"]);
    node.is_quiet = false;
    let mut node = sent(node);
    node.wait(seconds(60));
    let lines = node.reply(Method::Heartbeat, heartbeat_reply(false));
    assert!(lines.contains(&first[0]), "{lines:?}");
    assert_eq!(node.agent.0.link(), Link::Grpc);
}

#[test]
fn a_counter_above_what_json_carries_is_split_over_the_minutes() {
    let most = (1 << 53) - 1;
    let (mut node, lines) = sampled(config(), most + 5);
    assert_eq!(lines, [format!("grpc ReportUsage u12 {most}+0 at 04:59.999")]);
    node.ok(USAGE);
    node.wait(seconds(60));
    assert_eq!(node.counters(xray(&[(USER, most + 5, 0)])), ["grpc ReportUsage u12 5+0 at 05:59.999"]);
}

#[test]
fn the_oldest_batches_that_were_never_sent_are_merged_when_there_are_too_many() {
    let mut config = config();
    config.max_batches = 3;
    let (mut node, _) = sampled(config, 1);
    for minute in 2..=5 {
        node.wait(seconds(60));
        node.counters(xray(&[(USER, minute * 10, 0)]));
    }
    assert_eq!((node.agent.0.waiting_batches(), node.agent.0.waiting().up), (3, 50));
}

#[test]
fn a_batch_on_its_way_is_not_merged() {
    let mut config = config();
    (config.max_batches, config.call_timeout) = (2, seconds(1_000));
    let (mut node, _) = sampled(config, 1);
    for minute in 2..=4 {
        node.wait(seconds(60));
        node.counters(xray(&[(USER, minute, 0)]));
    }
    assert_eq!(node.ok(USAGE), ["grpc ReportUsage u12 3+0 at 07:59.999"]);
}

fn outbound(up: u64) -> Counters {
    let mut counters = xray(&[]);
    counters.proxies[0].outbounds =
        [("direct".into(), Traffic { up, down: 1 }), ("".into(), Traffic { up: 9, down: 0 })].into();
    counters
}

#[test]
fn outbounds_go_with_the_minute_and_an_ambiguous_end_drops_them_with_a_word() {
    let mut node = Node::active();
    node.wait(seconds(58));
    assert_eq!(node.counters(outbound(5)), ["grpc ReportOutboundUsage direct 5+1"]);
    assert_eq!(node.agent.0.unattributed_outbound(), Traffic { up: 9, down: 0 });
    assert_eq!(node.fail(Method::ReportOutboundUsage, refused()), NONE);
    assert_eq!(node.wait(seconds(2)), ["grpc ReportOutboundUsage direct 5+1"]);
    let lines = node.fail(Method::ReportOutboundUsage, lost());
    assert!(lines[0].starts_with("event Returned(Returned { number: 0, reason: Discarded"), "{lines:?}");
    assert_eq!(lines.len(), 1);
}

#[test]
fn outbounds_accumulate_while_a_batch_of_them_waits() {
    let mut node = Node::active();
    node.wait(seconds(58));
    node.counters(outbound(5));
    node.fail(Method::ReportOutboundUsage, refused());
    node.agent.0.handle_counters(outbound(7), node.now);
    node.wait(seconds(2));
    assert_eq!(node.ok(Method::ReportOutboundUsage), NONE);
    node.wait(seconds(58));
    assert_eq!(node.counters(outbound(8)), ["grpc ReportOutboundUsage direct 3+0"]);
}

#[test]
fn outbounds_under_way_at_a_crash_are_not_sent_again() {
    let mut node = Node::active();
    node.wait(seconds(58));
    node.counters(outbound(5));
    let mut again = node.restart(config(), "2030-01-02T03:05:10.000Z");
    let lines = again.lines();
    assert!(lines[1].contains("reason: Discarded") && lines.len() == 2, "{lines:?}");
}

#[test]
fn telemt_and_xray_count_side_by_side() {
    let telemt = ProxyCounters::telemt(at("2030-01-02T03:00:00Z"), true, [(USER, 5)], [(USER, 6)]);
    assert_eq!((telemt.proxy, telemt.users[USER]), (Proxy::Mtproto, Traffic { up: 5, down: 6 }));
    let mut counters = xray(&[(USER, 1, 2)]);
    counters.proxies.push(telemt);
    let mut node = Node::active();
    node.counters(counters);
    assert_eq!(node.agent.0.accumulated(), Traffic { up: 6, down: 8 });
    assert!(node.now == epoch());
}

#[test]
fn outbounds_that_were_not_sent_yet_at_a_crash_are_sent_after_it() {
    let mut spread = config();
    (spread.usage_spread, spread.seed) = (seconds(60), 1);
    let mut node = Node::active_with(spread);
    node.wait(seconds(58));
    assert_eq!(node.counters(outbound(5)), NONE);
    let mut again = node.restart(config(), "2030-01-02T03:05:01.000Z");
    assert_eq!(again.lines(), ["event Active", "grpc ReportOutboundUsage direct 5+1"]);
}

#[test]
fn outbounds_that_core_has_certainly_not_taken_are_sent_after_a_restart() {
    const OUTBOUND: Method = Method::ReportOutboundUsage;
    for failures in [
        vec![refused()],
        vec![code(GrpcCode::Unauthenticated)],
        vec![code(GrpcCode::Unimplemented), status(404)],
        vec![code(GrpcCode::ResourceExhausted)],
    ] {
        let mut node = Node::active();
        node.wait(seconds(58));
        node.counters(outbound(5));
        for failure in failures {
            node.fail(OUTBOUND, failure);
        }
        let mut again = node.restart(config(), "2030-01-02T03:05:10.000Z");
        assert_eq!(again.lines(), ["event Active", "grpc ReportOutboundUsage direct 5+1"]);
    }
}

#[test]
fn a_batch_that_core_has_certainly_not_taken_is_not_too_old() {
    let (mut node, first) = sampled(config(), 7);
    node.fail(USAGE, refused());
    let mut late = node.restart(config(), "2030-01-05T03:05:00.000Z");
    assert_eq!(late.lines(), ["event Active", &first[0]]);
}

#[test]
fn a_refusal_does_not_make_sure_of_a_batch_that_was_lost_before() {
    let (mut node, _) = sampled(config(), 7);
    node.fail(USAGE, lost());
    node.wait(seconds(2));
    node.fail(USAGE, refused());
    let mut late = node.restart(config(), "2030-01-05T03:05:00.000Z");
    let lines = late.lines();
    assert!(lines[1].contains("reason: Quarantined"), "{lines:?}");
}

#[test]
fn a_batch_that_may_not_go_any_more_while_it_is_stored_was_not_sent() {
    let mut node = Node::active();
    node.stores = false;
    node.wait(seconds(58));
    assert_eq!(node.counters(outbound(5)), ["store"]);
    node.is_quiet = false;
    node.wait(seconds(10));
    assert_eq!(node.fail(Method::Heartbeat, code(GrpcCode::Unauthenticated)), ["event Unauthorized"]);
    assert_eq!(node.stored(), ["store"]);
    node.stored();
    let mut again = node.restart(config(), "2030-01-02T03:05:20.000Z");
    let lines = again.lines();
    assert!(lines.contains(&"grpc ReportOutboundUsage direct 5+1".to_owned()), "{lines:?}");
}

#[test]
fn a_counter_that_vanishes_and_comes_back_counts_from_0() {
    let mut node = Node::active();
    let mut accumulated = |users: &[(&str, u64, u64)]| {
        node.counters(xray(users));
        node.agent.0.accumulated().up
    };
    assert_eq!(accumulated(&[(USER, 100, 0), ("u13.l1.s46.i6", 1, 0)]), 101);
    assert_eq!(accumulated(&[("u13.l1.s46.i6", 1, 0)]), 101);
    assert_eq!(accumulated(&[(USER, 150, 0), ("u13.l1.s46.i6", 1, 0)]), 251);
}
