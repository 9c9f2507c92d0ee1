//! Both roles on a virtual clock, over a network that loses, delays and refuses. Time jumps from deadline to deadline,
//! so that hours pass in milliseconds and a wake-up that was not announced shows as a hang.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use bytes::Bytes;
use http::{Request, Response};
use ithiltir_proto::dash::{self, Dash, ExchangeId, Identity};
use ithiltir_proto::node::{self, Config, Node, RequestId, StaticReason, UpdateDecision};
use ithiltir_proto::update::Layout;
use ithiltir_proto::wire::{Manifest, Timestamp};
use ithiltir_proto::{Delivery, Failure, FailureKind, Secret};
use std::net::IpAddr;
use std::time::Duration;
use support::{statics, targets};
use testkit::exchange::{AgentWork, Condition, Exchanges, FaultKind, HttpAgent, HttpServer, ServerWork};
use testkit::network::Conditions;
use testkit::{Machine, epoch};
use web_time::Instant;

struct TestNode(Node);
struct TestDash(Dash);

testkit::forward_machine!(TestNode, node::Output);

impl HttpAgent for TestNode {
    type Id = RequestId;
    type Event = node::Event;
    type Other = node::Output;
    type Failure = Failure;
    fn handle_response(&mut self, id: RequestId, response: Response<Bytes>, now: Instant) {
        self.0.handle_response(id, response, now);
    }
    fn handle_failure(&mut self, id: RequestId, failure: Failure, now: Instant) {
        self.0.handle_failure(id, failure, now);
    }
    fn work(output: node::Output) -> AgentWork<RequestId, node::Event, node::Output> {
        match output {
            node::Output::Request { id, request } => AgentWork::Request { id, request },
            node::Output::Cancel(id) => AgentWork::Cancel(id),
            node::Output::Event(event) => AgentWork::Event(event),
            other @ (node::Output::Probe { .. } | node::Output::Update { .. }) => AgentWork::Other(other),
        }
    }
}

testkit::forward_machine!(TestDash, dash::Output);

impl HttpServer for TestDash {
    type Id = ExchangeId;
    type Event = dash::Event;
    type Other = std::convert::Infallible;
    fn handle_request(&mut self, request: Request<Bytes>, client: IpAddr, now: Instant) -> ExchangeId {
        self.0.handle_request(request, client, now)
    }
    fn handle_cancel(&mut self, id: ExchangeId, now: Instant) {
        self.0.handle_cancel(id, now);
    }
    fn work(output: dash::Output) -> ServerWork<ExchangeId, dash::Event, Self::Other> {
        match output {
            dash::Output::Respond { id, response } => ServerWork::Respond { id, response },
            dash::Output::Event(event) => ServerWork::Event(event),
        }
    }
}

type World = Exchanges<TestNode, TestDash>;

fn failure(fault: FaultKind) -> Failure {
    match fault {
        FaultKind::UnknownHost => Failure::new(Delivery::No, FailureKind::NameResolution),
        FaultKind::Refused => Failure::new(Delivery::No, FailureKind::Refused),
        FaultKind::Interrupted => Failure::new(Delivery::Perhaps, FailureKind::ConnectionLost),
    }
}

/// A Dash that knows the keys of `support::targets`.
fn dash_at(now: Instant) -> TestDash {
    let wall_clock: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let mut config = dash::Config::new(Identity::Absent { entropy: [7; 16] });
    config.rate_limit = None;
    let mut dash = Dash::new(config, wall_clock, now).unwrap();
    for place in 0..3 {
        dash.add_node(&format!("node-{place}"), Secret::new(format!("key-{place}")), now).unwrap();
    }
    TestDash(dash)
}

fn sample() -> ithiltir_proto::wire::NodeReport {
    let recording = include_str!("captures/baseline_interval3.jsonl");
    let body = recording
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|exchange| exchange["path"] == "/api/node/metrics")
        .unwrap();
    ithiltir_proto::wire::decode(body["req_body"].as_str().unwrap().as_bytes()).unwrap()
}

fn world_with(names: &[&str], seed: u64, adjust: impl FnOnce(&mut Config)) -> World {
    let start = epoch();
    let urls: Vec<_> = names.iter().map(|name| format!("http://{name}/api/node/metrics")).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let mut config = Config::new("0.2.3", targets(&urls));
    config.interval = Duration::from_secs(1);
    adjust(&mut config);
    let mut node = Node::new(config, start).unwrap();
    node.record(&sample(), start);
    node.record_static(&statics(), start);
    let conditions = Conditions { delay: Duration::from_millis(30), ..Conditions::default() };
    let mut world = Exchanges::new(TestNode(node), start, failure, conditions, seed);
    for name in names {
        world.add_server(&format!("{name}:80"), dash_at(start));
    }
    world
}

fn world(names: &[&str]) -> World {
    world_with(names, 1, |_| {})
}

fn run(world: &mut World, seconds: f64) {
    world.run_until(epoch() + Duration::from_secs_f64(seconds));
}

fn reports(world: &World, server: &str) -> usize {
    let of_server = |event: &&(Instant, String, dash::Event)| event.1 == server;
    let reports = world.server_events.iter().filter(of_server);
    reports.filter(|event| matches!(event.2, dash::Event::Report { .. })).count()
}

fn statics_accepted(world: &World) -> Vec<StaticReason> {
    let accepted = |event: &(Instant, node::Event)| match event.1 {
        node::Event::Static { reason, outcome: Ok(()), .. } => Some(reason),
        _ => None,
    };
    world.agent_events.iter().filter_map(accepted).collect()
}

fn count(world: &World, wanted: impl Fn(&node::Event) -> bool) -> usize {
    world.agent_events.iter().filter(|(_, event)| wanted(event)).count()
}

#[test]
fn a_node_and_a_dash_get_along() {
    let mut world = world(&["a"]);
    run(&mut world, 65.5);
    assert_eq!(statics_accepted(&world), [StaticReason::Startup]);
    assert_eq!(reports(&world, "a:80"), 60);
    assert_eq!(
        count(&world, |event| matches!(event, node::Event::Round { succeeded: 1, failed: 0, .. })),
        60
    );
    let rejected = |event: &&(Instant, String, dash::Event)| matches!(event.2, dash::Event::Rejected { .. });
    assert_eq!(world.server_events.iter().filter(rejected).count(), 0);
}

#[test]
fn a_silent_dash_delays_no_other() {
    let mut world = world(&["a", "b"]);
    run(&mut world, 5.5);
    world.set_condition("a:80", Condition::Silent);
    run(&mut world, 65.5);
    assert_eq!(reports(&world, "b:80"), 60, "one report each second, whatever becomes of the other");
    assert_eq!(reports(&world, "a:80"), 0);
    // Each report to the silent one takes its ten seconds, and the ticks meanwhile leave it out.
    let attempts = world
        .attempts
        .iter()
        .filter(|attempt| attempt.authority == "a:80" && attempt.path.ends_with("metrics"));
    assert_eq!(attempts.count(), 6);
}

#[test]
fn a_slow_dash_gets_every_report_that_it_has_time_for() {
    let mut world = world(&["a", "b"]);
    world.set_condition("a:80", Condition::Slow(Duration::from_millis(2_500)));
    run(&mut world, 36.5);
    assert_eq!(reports(&world, "b:80"), 31);
    let slow = reports(&world, "a:80");
    assert!((10..=12).contains(&slow), "{slow}");
    assert_eq!(count(&world, |event| matches!(event, node::Event::Report { outcome: Err(_), .. })), 0);
}

#[test]
fn an_outage_suppresses_and_the_return_brings_the_static_again() {
    let mut world = world(&["a"]);
    run(&mut world, 10.5);
    world.set_condition("a:80", Condition::Refusing);
    run(&mut world, 3_610.5); // an hour
    assert_eq!(count(&world, |event| matches!(event, node::Event::Suppressed { .. })), 1);
    world.set_condition("a:80", Condition::Up);
    world.replace_server("a:80", dash_at(world.now())); // with an empty memory
    run(&mut world, 3_620.5);
    assert_eq!(count(&world, |event| matches!(event, node::Event::Recovered { .. })), 1);
    assert_eq!(statics_accepted(&world), [StaticReason::Startup, StaticReason::Recovery]);
    let online = |event: &&(Instant, String, dash::Event)| matches!(event.2, dash::Event::Online { .. });
    let offline = |event: &&(Instant, String, dash::Event)| matches!(event.2, dash::Event::Offline { .. });
    assert_eq!(world.server_events.iter().filter(online).count(), 2, "before and after");
    assert_eq!(world.server_events.iter().filter(offline).count(), 1, "fourteen seconds into the outage");
}

#[test]
fn errors_of_a_gateway_neither_suppress_nor_slow_down() {
    let mut world = world(&["a"]);
    run(&mut world, 10.5);
    world.set_condition("a:80", Condition::Status(503));
    run(&mut world, 70.5);
    world.set_condition("a:80", Condition::Up);
    run(&mut world, 80.5);
    assert_eq!(count(&world, |event| matches!(event, node::Event::Suppressed { .. })), 0);
    assert_eq!(statics_accepted(&world), [StaticReason::Startup], "a recovery after that is none");
    assert_eq!(count(&world, |event| matches!(event, node::Event::Report { .. })), 75);
}

#[test]
fn a_dash_that_knows_the_key_later_gets_the_static_by_its_retry() {
    let mut world = world(&["a"]);
    world.set_condition("a:80", Condition::Status(401));
    run(&mut world, 10.0);
    world.set_condition("a:80", Condition::Up);
    run(&mut world, 30.0);
    assert_eq!(statics_accepted(&world), [StaticReason::Retry]);
}

#[test]
fn loss_costs_reports_and_nothing_else() {
    for seed in 0..20 {
        let mut world = world_with(&["a", "b"], seed, |_| {});
        world.set_condition("a:80", Condition::Lossy(400));
        run(&mut world, 105.5);
        assert_eq!(reports(&world, "b:80"), 100, "seed {seed}");
        let ended = count(&world, |event| matches!(event, node::Event::Report { .. }));
        assert_eq!(ended, 200, "every report ends once, seed {seed}");
        assert_eq!(count(&world, |event| matches!(event, node::Event::Round { .. })), 100, "seed {seed}");
        assert!(!statics_accepted(&world).is_empty());
        assert_eq!(world.open_exchanges(), 0);
    }
}

#[test]
fn a_restart_of_the_dash_in_the_middle_of_a_report_costs_that_report_only() {
    let mut world = world(&["a"]);
    run(&mut world, 10.0); // a report is under way
    world.interrupt("a:80");
    world.replace_server("a:80", dash_at(world.now()));
    run(&mut world, 20.5);
    assert_eq!(count(&world, |event| matches!(event, node::Event::Report { outcome: Err(_), .. })), 1);
    assert_eq!(count(&world, |event| matches!(event, node::Event::Report { outcome: Ok(()), .. })), 14);
}

#[test]
fn a_clock_that_jumps_ahead_costs_one_tick() {
    let mut world = world(&["a"]);
    run(&mut world, 10.5);
    let later = world.now() + Duration::from_secs(7_200);
    world.agent.handle_timeout(later); // a suspended host wakes up
    let mut requests = 0;
    while let Some(output) = world.agent.poll_output() {
        requests += usize::from(matches!(output, node::Output::Request { .. }));
    }
    assert_eq!(requests, 1);
    assert!(world.agent.poll_timeout().is_some_and(|next| next > later));
}

#[test]
fn an_update_is_offered_until_the_node_reports_it() {
    let layout = Layout::Releases { data_directory: "/data".into(), active: "0.2.3".into() };
    let managed = |config: &mut Config| config.update.layout = Some(layout);
    let mut world = world_with(&["a"], 1, managed);
    run(&mut world, 7.5);
    let now = world.now();
    let manifest = Manifest {
        id: "0.2.4".into(),
        version: "0.2.4".into(),
        url: "http://a/deploy/linux/node_linux_amd64".into(),
        sha256: "ab".repeat(32),
        size: 10,
    };
    let dash = &mut world.server_mut("a:80").0;
    let (node, _) = dash.nodes().next().unwrap();
    dash.assign_update(node, manifest.clone(), now).unwrap();
    run(&mut world, 8.5);
    let decided = world.agent_events.iter().find_map(|(_, event)| match event {
        node::Event::Update { decision, .. } => Some(decision.clone()),
        _ => None,
    });
    assert_eq!(decided, Some(UpdateDecision::Apply(manifest)));
    let update = world.agent_others.iter().find_map(|(_, other)| match other {
        node::Output::Update { update, .. } => Some(update),
        _ => None,
    });
    assert_eq!(update.unwrap().request.headers()["x-node-secret"], "key-0");

    // The supervisor starts the new release.
    let mut config = Config::new("0.2.4", targets(&["http://a/api/node/metrics"]));
    config.interval = Duration::from_secs(1);
    let mut released = Node::new(config, world.now()).unwrap();
    let mut report = sample();
    report.version = "0.2.4".into();
    released.record(&report, world.now());
    released.record_static(&statics(), world.now());
    world.replace_agent(TestNode(released));
    run(&mut world, 20.0);
    let cleared =
        |event: &&(Instant, String, dash::Event)| matches!(event.2, dash::Event::UpdateCleared { .. });
    assert_eq!(world.server_events.iter().filter(cleared).count(), 1);
    assert_eq!(world.server("a:80").0.update(node), None);
}

#[test]
fn a_key_that_is_rotated_has_its_grace() {
    let mut world = world(&["a"]);
    run(&mut world, 10.5);
    let now = world.now();
    let dash = &mut world.server_mut("a:80").0;
    let (node, _) = dash.nodes().next().unwrap();
    dash.rotate_secret(node, Secret::new("another"), Duration::from_secs(10), now).unwrap();
    run(&mut world, 20.0);
    assert_eq!(count(&world, |event| matches!(event, node::Event::Report { outcome: Err(_), .. })), 0);
    run(&mut world, 25.5);
    let refused = count(&world, |event| matches!(event, node::Event::Report { outcome: Err(_), .. }));
    assert_eq!(refused, 5);
}
