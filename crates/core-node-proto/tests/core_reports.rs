//! What Core makes of reports, one behaviour a test: usage (§9.4), sessions, users online, statistics (§10), and what it asks
//! others itself (§10.6).
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[path = "core_support/fixture.rs"]
#[allow(dead_code, reason = "each file uses its own part")]
mod fixture;

use bytes::Bytes;
use core_node_proto::Secret;
use core_node_proto::call::{Call, Delivery, Failure, FailureKind};
use core_node_proto::core::enrichment::{self, Job, Provider};
use core_node_proto::core::{
    Change, CommandError, OnlineKey, Output, QueryFailed, SessionTexts, Tables, Traffic, UsageKey,
};
use core_node_proto::message::{
    NodeStats, OnlineIp, OnlineUser, OnlineUsers, OutboundItem, OutboundUsage, SessionEvent, SessionEvents,
    SystemStats, XrayStats,
};
use core_node_proto::value::{ByteCount, SessionEventType, Timestamp, VpnProtocol};
use fixture::{BEGIN, Fixture, at, entry, inbound, node, online, subscription, usage, user};
use std::time::Duration;
use testkit::secrets::marked;

// §9.4: usage

#[test]
fn entries_become_rows_of_their_minute() {
    let mut fixture = Fixture::new();
    let entries = [entry(100, 200, "2030-01-02T03:04:59.999Z"), entry(1, 2, "2030-01-02T03:05:00.000Z")];
    assert_eq!(
        fixture.call(1, usage(&entries)),
        [
            "store: batch; usage 1/12/300/6 2030-01-02T03:04:00.000Z 100+200; \
             usage 1/12/300/6 2030-01-02T03:05:00.000Z 1+2",
            "reply: ok"
        ]
    );
    let total = fixture.tables.subscriptions[&subscription(300)];
    assert_eq!((total.bytes_up.get(), total.bytes_down.get()), (101, 202));
}

#[test]
fn what_is_unknown_or_of_another_node_is_skipped_and_counted() {
    let mut fixture = Fixture::new();
    let mut entries = [entry(1, 1, BEGIN); 4];
    entries[0].user_id = user(99);
    entries[1].node_protocol_id = inbound(8);
    entries[2].node_protocol_id = inbound(99);
    assert_eq!(
        fixture.call(1, usage(&entries)),
        [
            "store: batch; usage 1/12/300/6 2030-01-02T03:04:00.000Z 1+1",
            "event: 3 of ReportUsage of node 1 skipped",
            "reply: ok"
        ]
    );
    assert_eq!(fixture.core.skipped(), 3);
}

#[test]
fn a_subscription_of_somebody_else_counts_for_nobody() {
    let mut fixture = Fixture::new();
    for number in [301, 999] {
        let mut foreign = entry(1, number, BEGIN);
        foreign.subscription_id = Some(subscription(number as i64));
        let lines = fixture.call(1, usage(&[foreign]));
        assert_eq!(lines[0], format!("store: batch; usage 1/12/-/6 2030-01-02T03:04:00.000Z 1+{number}"));
    }
    assert!(fixture.tables.subscriptions.is_empty());
}

#[test]
fn nothing_sent_makes_no_row_and_no_entry_no_transaction() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.call(1, usage(&[entry(0, 0, BEGIN)])), ["store: batch", "reply: ok"]);
    assert_eq!(fixture.call(1, usage(&[])), ["reply: ok"]);
}

#[test]
fn a_wrong_clock_costs_the_minute_and_not_the_bytes() {
    let mut fixture = Fixture::new();
    for (recorded, minute) in [
        ("2029-12-26T03:04:05.000Z", "2029-12-26T03:04:00.000Z"),
        ("2029-12-26T03:04:04.999Z", "2030-01-02T03:04:00.000Z"),
        ("2030-01-02T03:09:05.000Z", "2030-01-02T03:09:00.000Z"),
        ("2030-01-02T03:09:05.001Z", "2030-01-02T03:04:00.000Z"),
        ("0000-01-01T00:00:00.000Z", "2030-01-02T03:04:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "2030-01-02T03:04:00.000Z"),
    ] {
        let lines = fixture.call(1, usage(&[entry(1, 2, recorded)]));
        assert_eq!(lines[0], format!("store: batch; usage 1/12/300/6 {minute} 1+2"), "{recorded}");
    }
}

#[test]
fn counters_stop_at_the_greatest() {
    let key = UsageKey {
        node_id: node(1),
        user_id: user(12),
        subscription_id: Some(subscription(300)),
        node_protocol_id: inbound(6),
        minute: Timestamp::MIN,
    };
    let traffic = Traffic { bytes_up: ByteCount::MAX, bytes_down: ByteCount::new(1).unwrap() };
    let mut tables = Tables::default();
    tables.apply(&[Change::Usage(key.clone(), traffic), Change::Usage(key.clone(), traffic)]);
    for total in [tables.usage[&key], tables.subscriptions[&subscription(300)]] {
        assert_eq!((total.bytes_up, total.bytes_down.get()), (ByteCount::MAX, 2));
    }
}

#[test]
fn a_batch_that_was_counted_is_acknowledged_and_not_counted_again() {
    let mut fixture = Fixture::new();
    let (one, other) = (entry(1, 2, BEGIN), entry(3, 4, BEGIN));
    fixture.call(1, usage(&[one, other]));
    let again = ["event: replay of node 1", "reply: ok"];
    assert_eq!(fixture.call(1, usage(&[other, one])), again, "in any order");
    fixture.restart();
    assert_eq!(fixture.call(1, usage(&[one, other])), again, "and after a restart");
    assert_eq!(fixture.core.replays(), 1);
    for new in [vec![one], vec![one, other, other]] {
        assert!(fixture.call(1, usage(&new))[0].starts_with("store: batch"), "{new:?}");
    }
}

#[test]
fn a_batch_that_comes_again_after_the_window_is_recognised_again_whatever_is_stored_beside_it() {
    let mut fixture = Fixture::new();
    let (one, other) = (usage(&[entry(1, 2, BEGIN)]), usage(&[entry(3, 4, BEGIN)]));
    fixture.call(1, one.clone());
    fixture.wait(24 * 3_600_000);
    fixture.stores = false;
    assert!(fixture.call(1, one.clone())[0].starts_with("store: no batch; batch; usage"));
    assert!(fixture.call(1, other)[0].starts_with("store: batch; usage"));
    fixture.succeed();
    fixture.succeed();
    fixture.restart();
    assert_eq!(fixture.call(1, one), ["event: replay of node 1", "reply: ok"]);
}

#[test]
fn a_hundred_thousand_users_may_be_online_at_a_node() {
    let mut fixture = Fixture::new();
    let ips = vec![OnlineIp { ip: "198.51.100.9".parse().unwrap(), last_seen: None }];
    let one = |number| OnlineUser { user_id: user(number), node_protocol_id: inbound(6), ips: ips.clone() };
    let report = OnlineUsers { users: (100_001..=200_000).map(one).collect(), unreadable: 0 };
    let lines = fixture.call(1, Call::ReportOnlineUsers(report));
    assert_eq!(lines, ["event: 100000 of ReportOnlineUsers of node 1 skipped", "reply: ok"]);
}

#[test]
fn equal_batches_of_two_nodes_are_two() {
    let mut fixture = Fixture::new();
    fixture.call(1, usage(&[entry(1, 2, BEGIN)]));
    assert_eq!(fixture.call(2, usage(&[entry(1, 2, BEGIN)]))[0], "store: batch");
}

#[test]
fn a_batch_that_comes_again_while_it_is_stored_shares_its_outcome() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    let batch = usage(&[entry(1, 2, BEGIN)]);
    assert_eq!(fixture.call(1, batch.clone()).len(), 1);
    assert_eq!(fixture.call(1, batch.clone()), [""; 0]);
    assert_eq!(fixture.core.waiting(), 2);
    assert_eq!(fixture.fail(), ["event: not stored", "refused: unavailable", "refused: unavailable"]);
    assert_eq!(fixture.call(1, batch.clone()).len(), 1, "nothing of it remains");
    fixture.call(1, batch);
    assert_eq!(fixture.succeed(), ["reply: ok", "event: replay of node 1", "reply: ok"]);
    assert_eq!(fixture.core.replays(), 1);
}

#[test]
fn a_batch_is_recognised_for_a_day() {
    let mut fixture = Fixture::new();
    let batch = usage(&[entry(1, 2, BEGIN)]);
    fixture.call(1, batch.clone());
    fixture.wait(86_399_999);
    assert_eq!(fixture.call(1, batch.clone())[0], "event: replay of node 1");
    fixture.wait(1);
    let lines = fixture.call(1, batch);
    assert_eq!(lines[0], "store: no batch; batch; usage 1/12/300/6 2030-01-02T03:04:00.000Z 1+2");
    assert_eq!(fixture.tables.batches.len(), 1);
}

#[test]
fn only_the_latest_batches_are_recognised() {
    let mut fixture = Fixture::with(|config| config.max_batches = 2);
    for up in [1, 2] {
        fixture.call(1, usage(&[entry(up, 0, BEGIN)]));
    }
    assert!(fixture.call(1, usage(&[entry(3, 0, BEGIN)]))[0].starts_with("store: no batch; batch;"));
    assert_eq!(fixture.tables.batches.len(), 2);
    assert_eq!(fixture.call(1, usage(&[entry(2, 0, BEGIN)]))[0], "event: replay of node 1");
    assert!(fixture.call(1, usage(&[entry(1, 0, BEGIN)]))[0].starts_with("store: no batch; batch;"));
}

#[test]
fn batches_that_are_being_stored_count_towards_those_that_are_recognised() {
    let mut fixture = Fixture::with(|config| config.max_batches = 2);
    fixture.stores = false;
    for up in [1, 2] {
        assert!(fixture.call(1, usage(&[entry(up, 0, BEGIN)]))[0].starts_with("store: batch;"));
    }
    assert!(fixture.call(1, usage(&[entry(3, 0, BEGIN)]))[0].starts_with("store: no batch; batch;"));
    while !fixture.open.is_empty() {
        fixture.succeed();
    }
    assert_eq!(fixture.tables.batches.len(), 2);
    assert_eq!(fixture.call(1, usage(&[entry(3, 0, BEGIN)]))[0], "event: replay of node 1");
}

#[test]
fn recognition_may_be_switched_off() {
    let mut fixture = Fixture::with(|config| config.replay_recognition = false);
    for _ in 0..2 {
        let lines = fixture.call(1, usage(&[entry(1, 2, BEGIN)]));
        assert_eq!(lines, ["store: usage 1/12/300/6 2030-01-02T03:04:00.000Z 1+2", "reply: ok"]);
    }
    assert_eq!(fixture.call(1, usage(&[entry(0, 0, BEGIN)])), ["reply: ok"]);
}

#[test]
fn outbounds_add_up_under_their_node_and_tag() {
    let mut fixture = Fixture::new();
    let item = |tag: &str, up| OutboundItem {
        tag: tag.into(),
        bytes_up: ByteCount::new(up).unwrap(),
        bytes_down: ByteCount::ZERO,
    };
    let items = vec![item("warp", 1), item("warp", 2), item("nope", 4), item("direct", 0)];
    assert_eq!(
        fixture.call(1, Call::ReportOutboundUsage(OutboundUsage { items })),
        [
            "store: outbound 1/warp 1+0; outbound 1/warp 2+0",
            "event: 1 of ReportOutboundUsage of node 1 skipped",
            "reply: ok"
        ]
    );
    assert_eq!(fixture.tables.outbounds[&(node(1), "warp".into())].bytes_up.get(), 3);
    let items = vec![item("warp", 1)];
    assert_eq!(
        fixture.call(2, Call::ReportOutboundUsage(OutboundUsage { items })),
        ["event: 1 of ReportOutboundUsage of node 2 skipped", "reply: ok"],
        "that of another node is unknown"
    );
}

// §10.8: sessions

#[test]
fn session_events_of_known_users_are_stored_whatever_they_are_called() {
    let mut fixture = Fixture::new();
    let lines = fixture
        .call(1, sessions(&[(12, "vless", "online"), (99, "vless", "online"), (13, "tuic", "kicked")]));
    assert_eq!(
        lines,
        [
            "store: user 12 online; user 13 kicked",
            "event: 1 of ReportSessionEvents of node 1 skipped",
            "reply: ok"
        ]
    );
    assert_eq!(fixture.tables.sessions[1].protocol.as_str(), "tuic");
}

#[test]
fn a_strict_core_refuses_unknown_texts() {
    let mut fixture = Fixture::with(|config| config.session_texts = SessionTexts::Known);
    let refused = |field| [format!("refused: events[1].{field} is not one of the known texts")];
    let fine = (12, "VLESS", "Online");
    assert_eq!(fixture.call(1, sessions(&[fine, (12, "tuic", "online")])), refused("protocol"));
    assert_eq!(fixture.call(1, sessions(&[fine, (12, "vless", "kicked")])), refused("eventType"));
    assert_eq!(fixture.call(1, sessions(&[fine])), ["store: user 12 Online", "reply: ok"]);
}

// §10.1 to §10.7: users online

#[test]
fn a_user_online_has_two_keys_for_20_seconds() {
    let mut fixture = Fixture::new();
    assert_eq!(
        fixture.call(1, online(12, 6, &[])),
        [
            "online:user:12 for 20s",
            "event: user 12 online 2030-01-02T03:04:05.000Z",
            "online:inbound:6:user:12 for 20s",
            "reply: ok"
        ]
    );
    fixture.wait(19_999);
    let left = Duration::from_millis(1);
    let through = OnlineKey::Inbound { inbound: inbound(6), user: user(12) };
    assert_eq!(fixture.core.online(fixture.now), [(OnlineKey::User(user(12)), left), (through, left)]);
    fixture.wait(1);
    assert_eq!(fixture.core.online(fixture.now), []);
}

#[test]
fn a_user_that_no_node_reported_for_more_than_10_seconds_comes_online_anew() {
    let mut fixture = Fixture::new();
    let came = |lines: Vec<String>| lines.iter().any(|line| line.starts_with("event: user 12 online"));
    assert!(came(fixture.call(1, online(12, 6, &[]))));
    fixture.wait(10_000);
    assert!(!came(fixture.call(2, online(12, 8, &[]))), "another node saw it, exactly 10 s later");
    fixture.wait(10_001);
    assert!(came(fixture.call(1, online(12, 6, &[]))));
}

#[test]
fn a_wall_clock_that_is_set_makes_nobody_come_online_anew_and_nobody_leave() {
    let mut fixture = Fixture::new();
    fixture.call(1, online(12, 6, &[]));
    for wall_clock in ["2031-01-01T00:00:00.000Z", "2029-01-01T00:00:00.000Z"] {
        fixture.core.set_wall_clock(wall_clock.parse().unwrap(), fixture.now);
        assert_eq!(fixture.core.online(fixture.now).len(), 2);
        let lines = fixture.call(1, online(12, 6, &[]));
        assert!(!lines.iter().any(|line| line.starts_with("event: user 12 online")), "{lines:?}");
    }
}

#[test]
fn addresses_are_stored_before_the_keys_are_set() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    let seen = Some("2030-01-02T03:04:03.000Z");
    let lines = fixture.call(1, online(12, 6, &[("192.0.2.44", seen), ("192.0.2.45", None)]));
    assert_eq!(
        lines,
        [
            "store: user 12 at 192.0.2.44 2030-01-02T03:04:03.000Z; user 12 at 192.0.2.45 2030-01-02T03:04:05.000Z"
        ]
    );
    fixture.wait(1_500);
    assert_eq!(
        fixture.succeed(),
        [
            "online:user:12 for 18.5s",
            "event: user 12 online 2030-01-02T03:04:05.000Z",
            "online:inbound:6:user:12 for 18.5s",
            "reply: ok"
        ]
    );
}

#[test]
fn a_failed_transaction_leaves_nobody_online() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    fixture.call(1, online(12, 6, &[("192.0.2.44", None)]));
    assert_eq!(fixture.fail(), ["event: not stored", "refused: unavailable"]);
    assert_eq!(fixture.core.online(fixture.now), []);
    assert_eq!(fixture.core.poll_timeout(), None);
    fixture.call(1, online(12, 6, &[("192.0.2.44", None)]));
    assert!(fixture.succeed()[1].starts_with("event: user 12 online"), "it never was");
}

#[test]
fn a_pair_is_first_seen_once_and_last_seen_never_earlier_and_never_ahead() {
    let mut fixture = Fixture::new();
    for (seen, last) in [
        ("2030-01-02T03:04:03.000Z", "2030-01-02T03:04:03.000Z"),
        ("2030-01-02T03:04:01.000Z", "2030-01-02T03:04:03.000Z"),
        ("2030-01-02T03:04:04.000Z", "2030-01-02T03:04:04.000Z"),
        ("2031-01-01T00:00:00.000Z", BEGIN),
    ] {
        fixture.call(1, online(12, 6, &[("192.0.2.44", Some(seen))]));
        let row = &fixture.tables.addresses[&(user(12), "192.0.2.44".parse().unwrap())];
        assert_eq!((row.first_seen_at, row.last_seen_at), (at("2030-01-02T03:04:03.000Z"), at(last)));
    }
}

#[test]
fn unknown_users_foreign_inbounds_and_unreadable_addresses_are_skipped() {
    let mut fixture = Fixture::new();
    for (number, through) in [(99, 6), (12, 8), (12, 99)] {
        let skipped = ["event: 1 of ReportOnlineUsers of node 1 skipped", "reply: ok"];
        assert_eq!(fixture.call(1, online(number, through, &[("192.0.2.44", None)])), skipped);
    }
    let lines = fixture.call(1, Call::ReportOnlineUsers(OnlineUsers { users: Vec::new(), unreadable: 2 }));
    assert_eq!(lines, ["event: 2 of ReportOnlineUsers of node 1 skipped", "reply: ok"]);
}

#[test]
fn only_so_many_are_remembered_as_online_and_those_who_are_gone_are_forgotten() {
    let mut fixture = Fixture::with(|config| config.max_online = 2);
    fixture.call(1, online(12, 6, &[]));
    let full = ["event: 1 of ReportOnlineUsers of node 1 skipped", "reply: ok"];
    assert_eq!(fixture.call(1, online(13, 6, &[])), full);
    assert!(fixture.core.poll_timeout().is_some());
    fixture.wait(20_001);
    assert_eq!(fixture.core.poll_timeout(), None);
    assert_eq!(fixture.call(1, online(13, 6, &[])).len(), 4);
}

// §10.9: statistics

#[test]
fn the_latest_statistics_are_kept_with_their_age_and_some_before() {
    let mut fixture = Fixture::with(|config| config.stats_history = 2);
    assert_eq!(fixture.core.runtime_status(&node(1), fixture.now), None);
    for cores in 1..=3 {
        assert_eq!(fixture.call(1, statistics(cores)), ["event: statistics of node 1", "reply: ok"]);
        fixture.wait(2_000);
    }
    let status = fixture.core.runtime_status(&node(1), fixture.now).unwrap();
    assert_eq!((status.age, status.received_at), (Duration::from_secs(2), at("2030-01-02T03:04:09.000Z")));
    assert_eq!(status.stats.system.unwrap().cpu_cores, 3);
    let history = fixture.core.history(&node(1));
    let history: Vec<_> = history.map(|sample| sample.system.unwrap().cpu_cores).collect();
    assert_eq!(history, [2, 3]);
    assert_eq!(fixture.core.stats(&node(2)), None);
}

// What a node says itself

#[test]
fn a_node_is_asked_at_the_address_that_it_registered() {
    let mut fixture = Fixture::new();
    let id = fixture.core.fetch_runtime_status(&node(1), fixture.now).unwrap();
    let Some(Output::Request { id: request_id, request }) = fixture.core.poll_output() else { panic!() };
    assert_eq!(request.uri(), "http://203.0.113.7:3100/runtime-status");
    assert!(request.headers().get("x-node-auth-key").is_none());
    let response = ::http::Response::new(Bytes::from(r#"{"xray":{"running":true,"uptimeSeconds":4}}"#));
    fixture.core.handle_response(request_id, response, fixture.now);
    let Some(Output::Event(core_node_proto::core::Event::RuntimeStatus { id: fetched, outcome, .. })) =
        fixture.core.poll_output()
    else {
        panic!()
    };
    let xray = XrayStats { running: true, uptime_seconds: Some(4) };
    assert_eq!((fetched, outcome.unwrap().stats.xray), (id, Some(xray)));
    assert_eq!(fixture.core.poll_timeout(), None);
}

#[test]
fn a_node_that_does_not_answer_in_time_or_not_well_is_told_of() {
    let mut fixture = Fixture::with(|config| config.max_fetches = 1);
    fixture.core.fetch_runtime_status(&node(1), fixture.now).unwrap();
    let refused = fixture.core.fetch_runtime_status(&node(1), fixture.now);
    assert_eq!(refused, Err(CommandError::TooManyFetches));
    assert_eq!(fixture.drain(), ["request: GET http://203.0.113.7:3100/runtime-status"]);
    assert_eq!(fixture.wait(4_999), [""; 0]);
    assert_eq!(fixture.wait(1), ["cancel", "event: node 1: timed out"]);
    for (status, body, problem) in
        [(404, "{}", "HTTP status 404"), (200, "[", "unreadable reply: the message is not JSON")]
    {
        let response = ::http::Response::builder().status(status).body(Bytes::from(body)).unwrap();
        assert_eq!(ask(&mut fixture, Ok(response)), [format!("event: node 1: {problem}")]);
    }
    let failure = Failure::new(Delivery::No, FailureKind::Refused);
    assert_eq!(ask(&mut fixture, Err(failure)), ["event: node 1: connection refused"]);
    let unknown = fixture.core.fetch_runtime_status(&node(9), fixture.now);
    assert_eq!(unknown, Err(CommandError::UnknownNode));
}

#[test]
fn an_answer_above_the_limit_is_none() {
    let mut fixture = Fixture::with(|config| config.max_response = 3);
    let response = ::http::Response::new(Bytes::from_static(b"{  }"));
    assert_eq!(ask(&mut fixture, Ok(response)), ["event: node 1: larger than the limit of this side"]);
}

// §10.6: enrichment

#[test]
fn new_addresses_are_asked_about_every_10_minutes_and_what_is_found_is_stored() {
    let mut fixture = enriching();
    fixture.call(1, online(12, 6, &[("8.8.8.8", None), ("192.168.0.1", None)]));
    let due = fixture.core.poll_timeout().unwrap().max(fixture.now + Duration::from_secs(355));
    fixture.now = due;
    fixture.core.handle_timeout(fixture.now);
    let Some(Output::Query { id, query }) = fixture.core.poll_output() else { panic!() };
    let addresses = fixture.tables.addresses(&query);
    assert_eq!(addresses.len(), 2);
    fixture.core.handle_addresses(id, Ok(addresses), fixture.now);
    let Some(Output::Request { id, request }) = fixture.core.poll_output() else { panic!() };
    assert_eq!(&**request.body(), br#"["8.8.8.8"]"#);
    let body = r#"[{"query":"8.8.8.8","status":"success"}]"#;
    fixture.core.handle_response(id, ::http::Response::new(body.into()), fixture.now);
    assert_eq!(
        fixture.drain(),
        [r#"store: about 8.8.8.8 {"query":"8.8.8.8","status":"success"}"#, "event: Recent run, 1 stored"]
    );
    assert!(fixture.tables.address_infos.contains_key(&"8.8.8.8".parse().unwrap()));
}

#[test]
fn a_run_may_be_started_by_hand_and_ends_without_addresses() {
    let mut fixture = enriching();
    fixture.core.start_enrichment(Job::Daily, fixture.now).unwrap();
    assert_eq!(fixture.core.start_enrichment(Job::Daily, fixture.now), Err(CommandError::Running));
    let Some(Output::Query { id, .. }) = fixture.core.poll_output() else { panic!() };
    fixture.core.handle_addresses(id, Err(QueryFailed), fixture.now);
    assert_eq!(fixture.drain(), ["event: Daily run, 0 stored"]);
    let mut plain = Fixture::new();
    assert_eq!(plain.core.start_enrichment(Job::Daily, plain.now), Err(CommandError::NoEnrichment));
}

#[test]
fn a_provider_without_an_answer_is_cancelled_and_its_token_never_shows() {
    let mut fixture = enriching();
    fixture.call(1, online(12, 6, &[("8.8.8.8", None)]));
    fixture.core.start_enrichment(Job::Daily, fixture.now).unwrap();
    let Some(Output::Query { id, .. }) = fixture.core.poll_output() else { panic!() };
    fixture.core.handle_addresses(id, Ok(vec!["8.8.8.8".parse().unwrap()]), fixture.now);
    let Some(output) = fixture.core.poll_output() else { panic!() };
    testkit::secrets::assert_debug_hides(&output);
    let Output::Request { id, request } = output else { panic!() };
    assert!(request.uri().to_string().contains(&marked(98)), "ip-api.com takes it in the URI");
    assert_eq!(fixture.wait(10_000), ["cancel"]);
    fixture.core.handle_failure(id, Failure::new(Delivery::Perhaps, FailureKind::Other), fixture.now);
    assert_eq!(fixture.drain(), [""; 0], "an answer that comes late is none");
}

fn enriching() -> Fixture {
    let about = enrichment::Config::new(Provider::IpApi, Some(Secret::new(marked(98))));
    Fixture::with(|config| config.enrichment = Some(about))
}

/// Asks node 1, answers for it, and returns what is told of that.
fn ask(fixture: &mut Fixture, answer: Result<::http::Response<Bytes>, Failure>) -> Vec<String> {
    fixture.core.fetch_runtime_status(&node(1), fixture.now).unwrap();
    let Some(Output::Request { id, .. }) = fixture.core.poll_output() else { panic!() };
    match answer {
        Ok(response) => fixture.core.handle_response(id, response, fixture.now),
        Err(failure) => fixture.core.handle_failure(id, failure, fixture.now),
    }
    fixture.drain()
}

fn statistics(cpu_cores: u32) -> Call {
    let system = Some(SystemStats { cpu_cores, ..SystemStats::default() });
    Call::ReportNodeStats(NodeStats { system, ..NodeStats::default() })
}

fn sessions(events: &[(i64, &str, &str)]) -> Call {
    let event = |&(number, protocol, event_type): &(i64, &str, &str)| SessionEvent {
        user_id: user(number),
        protocol: VpnProtocol::new(protocol).unwrap(),
        event_type: SessionEventType::new(event_type).unwrap(),
        occurred_at: at(BEGIN),
        ip_address: None,
    };
    Call::ReportSessionEvents(SessionEvents { events: events.iter().map(event).collect() })
}
