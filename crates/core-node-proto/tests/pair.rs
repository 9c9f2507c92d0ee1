//! Both roles on a virtual clock, over a link on which everything goes well unless a test says otherwise.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod world;

use core_node_proto::Method;
use core_node_proto::agent::{Agent, Event, State};
use core_node_proto::call::Link;
use core_node_proto::core;
use core_node_proto::value::{NodeStatus, SyncStatus};
use std::time::Duration;
use world::{Faults, World};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A node that runs what is published.
fn synced() -> World {
    let mut world = World::new(1, Faults::NONE, |_, _| {});
    assert!(world.run_until(seconds(30), World::is_synced));
    world
}

/// How often a call was made since then.
fn count(world: &World, since: usize, method: Method) -> usize {
    world.calls[since..].iter().filter(|(_, called)| *called == method).count()
}

#[test]
fn a_node_registers_syncs_and_its_traffic_is_stored_to_the_byte() {
    let mut world = synced();
    let order: Vec<_> = world.calls.iter().map(|(_, method)| *method).collect();
    assert_eq!(order[..3], [Method::Register, Method::Heartbeat, Method::GetLatestConfig]);
    assert!(order.contains(&Method::ConfirmConfigApplied));
    world.run(seconds(600));
    world.proxies.is_idle = true;
    assert!(world.run_until(seconds(180), World::is_settled));
    assert!(world.proxies.shown().down > 0 && world.is_outbound_right());
}

#[test]
fn an_hour_has_the_calls_of_the_periods_and_no_more() {
    let mut world = synced();
    let since = world.calls.len();
    world.run(seconds(3_600));
    let counts = |method| count(&world, since, method);
    assert!((359..=361).contains(&counts(Method::Heartbeat)), "{}", counts(Method::Heartbeat));
    assert!((1_799..=1_801).contains(&counts(Method::ReportNodeStats)));
    assert!((719..=721).contains(&counts(Method::ReportOnlineUsers)));
    assert!((59..=61).contains(&counts(Method::ReportUsage)));
    assert!((59..=61).contains(&counts(Method::ReportOutboundUsage)));
    for method in
        [Method::GetLatestConfig, Method::ConfirmConfigApplied, Method::Register, Method::ReportError]
    {
        assert_eq!(counts(method), 0, "{method:?}");
    }
    assert!(world.calls[since..].iter().all(|(link, _)| *link == Link::Grpc));
}

#[test]
fn a_core_that_restarts_is_found_again_and_counts_every_byte_once() {
    let mut world = synced();
    for _ in 0..5 {
        world.run(seconds(61));
        world.crash_core();
        world.run(seconds(7));
        world.start_core();
    }
    world.proxies.is_idle = true;
    assert!(world.run_until(seconds(300), World::is_settled), "{world:?}");
    assert!(world.is_synced(), "{world:?}");
}

#[test]
fn a_node_that_restarts_needs_no_code_and_loses_no_byte() {
    let mut world = synced();
    for _ in 0..5 {
        world.run(seconds(61));
        world.crash_agent();
        world.run(seconds(7));
        world.start_agent();
    }
    assert_eq!(count(&world, 0, Method::Register), 1);
    world.proxies.is_idle = true;
    assert!(world.run_until(seconds(300), World::is_settled), "{world:?}");
}

#[test]
fn blocked_grpc_is_stood_in_for_by_http_until_it_is_back() {
    let mut world = synced();
    world.faults.is_grpc_blocked = true;
    let is_on = |link| move |world: &World| world.agent.as_ref().map(Agent::link) == Some(link);
    assert!(world.run_until(seconds(30), is_on(Link::Http)));
    let since = world.calls.len();
    world.run(seconds(300));
    let by_http = |method| world.calls[since..].contains(&(Link::Http, method));
    assert!(
        by_http(Method::Heartbeat) && by_http(Method::ReportUsage) && by_http(Method::ReportOutboundUsage)
    );
    assert_eq!(count(&world, since, Method::ReportNodeStats), 0);
    let probes = world.calls[since..].iter().filter(|(link, _)| *link == Link::Grpc).count();
    assert!((9..=11).contains(&probes), "one every 30 s: {probes}");
    world.publish();
    assert!(world.run_until(seconds(30), World::is_synced), "over HTTP, too: {world:?}");
    world.faults.is_grpc_blocked = false;
    assert!(world.run_until(seconds(31), is_on(Link::Grpc)));
    world.proxies.is_idle = true;
    assert!(world.run_until(seconds(300), World::is_settled), "{world:?}");
}

#[test]
fn a_configuration_that_the_proxies_do_not_take_is_an_error_until_one_that_they_take() {
    let mut world = synced();
    let before = world.agent.as_ref().unwrap().revision();
    world.faults.apply = 1_000;
    world.publish();
    let has_failed = |world: &World| world.node().is_some_and(|node| node.sync_status == SyncStatus::FAILED);
    assert!(world.run_until(seconds(30), has_failed));
    let node = world.node().unwrap();
    assert_eq!(node.node_status, NodeStatus::ERROR);
    assert_eq!(node.last_error.as_ref().map(|error| &*error.message), Some("port in use"));
    assert_eq!(world.agent.as_ref().unwrap().revision(), before, "the one before stays");
    world.run(seconds(60));
    assert_eq!(world.node().unwrap().node_status, NodeStatus::ERROR, "heartbeats do not hide it");
    world.faults.apply = 0;
    assert!(world.run_until(seconds(300), World::is_synced), "{world:?}");
    let node = world.node().unwrap();
    assert_eq!((&node.node_status, &node.last_error), (&NodeStatus::ONLINE, &None));
}

#[test]
fn a_crash_between_applying_and_confirming_is_made_up_for_at_the_start() {
    let mut world = synced();
    world.publish();
    let has_applied =
        |world: &World| world.events.back().is_some_and(|event| matches!(event, Event::Applied { .. }));
    assert!(world.run_until(seconds(30), has_applied));
    world.crash_agent();
    world.run(seconds(3));
    world.start_agent();
    assert!(world.run_until(seconds(30), World::is_synced), "{world:?}");
}

#[test]
fn a_node_that_core_has_removed_counts_on_and_reports_under_another_key() {
    let mut world = synced();
    let id = world.agent.as_ref().unwrap().node_id().unwrap().clone();
    let now = world.now;
    world.core.as_mut().unwrap().remove_node(&id, now).unwrap();
    let is_unauthorized = |world: &World| world.agent.as_ref().map(Agent::state) == Some(State::Unauthorized);
    assert!(world.run_until(seconds(60), is_unauthorized));
    let shown = world.proxies.shown();
    world.run(seconds(300));
    assert!(world.proxies.shown().down > shown.down, "it is still sampled");
    world.register_anew();
    world.proxies.is_idle = true;
    assert!(world.run_until(seconds(300), World::is_settled), "{world:?}");
}

#[test]
fn a_silent_node_is_offline_after_a_minute_and_online_with_its_next_heartbeat() {
    let mut world = synced();
    world.crash_agent();
    world.run(seconds(61));
    let status = |world: &World| world.tables.nodes.values().next().map(|node| node.node_status.clone());
    assert_eq!(status(&world), Some(NodeStatus::OFFLINE));
    let is_told = |event: &core::Event| matches!(event, core::Event::NodeStatusChanged { .. });
    assert!(world.core_events.iter().any(is_told));
    world.start_agent();
    world.run(seconds(11));
    assert_eq!(status(&world), Some(NodeStatus::ONLINE));
}
