//! What a report and a Static need, and what they mean to the Dash, one behaviour a test.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod dash_fixture;

use dash_fixture::{
    Fixture, OK, WALL_CLOCK, changed, changed_static, ip, json_report, post, report, static_body,
};
use ithiltir_proto::dash::{Config, Event, NodeAddress, Output, Problem, validate_report};
use ithiltir_proto::wire::{Timestamp, decode};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::{Machine, drain, epoch};

// Reports

#[test]
fn what_a_report_needs_is_checked_member_by_member() {
    let member = json!({"name": "a", "state": "up"});
    let array = |key: &str, value: Value| {
        let mut array = json!({"name": "md0", "status": "active", "health": "healthy", "members": [member]});
        array[key] = value;
        json!([array])
    };
    let device = |key: &str| {
        let mut device = json!({"name": "a", "source": "b", "status": "ok"});
        device[key] = json!("\u{a0} ");
        json!({"status": "ok", "devices": [device]})
    };
    let sensor = |key: &str| {
        let mut sensor =
            json!({"kind": "cpu", "name": "a", "sensor_key": "a", "source": "g", "status": "ok"});
        sensor[key] = json!("");
        json!({"status": "ok", "sensors": [sensor]})
    };
    let twice = |kind: &str| json!([{"kind": "disk", "name": "a"}, {"kind": kind, "name": " a"}]);
    let rows: Vec<(&str, Value, &str, Problem)> = vec![
        ("/version", json!(""), "version", Problem::NotSemVer),
        ("/version", json!("v0.2.3"), "version", Problem::NotSemVer),
        ("/version", json!("0.2"), "version", Problem::NotSemVer),
        ("/version", json!("0.02.3"), "version", Problem::NotSemVer),
        ("/hostname", json!(" \u{3000}"), "hostname", Problem::Blank),
        ("/timestamp", json!("0001-01-01T00:00:00Z"), "timestamp", Problem::NoTime),
        ("/timestamp", json!("0001-01-01T08:00:00+08:00"), "timestamp", Problem::NoTime),
        ("/timestamp", Value::Null, "timestamp", Problem::NoTime),
        ("/metrics", Value::Null, "metrics.disk.physical", Problem::Missing),
        ("/metrics/disk", json!({}), "metrics.disk.physical", Problem::Missing),
        ("/metrics/disk/physical", Value::Null, "metrics.disk.physical", Problem::Missing),
        ("/metrics/disk/logical", Value::Null, "metrics.disk.logical", Problem::Missing),
        ("/metrics/disk/filesystems", Value::Null, "metrics.disk.filesystems", Problem::Missing),
        ("/metrics/disk/base_io", Value::Null, "metrics.disk.base_io", Problem::Missing),
        ("/metrics/network", Value::Null, "metrics.network", Problem::Missing),
        ("/metrics/raid", Value::Null, "metrics.raid.arrays", Problem::Missing),
        ("/metrics/raid/arrays", Value::Null, "metrics.raid.arrays", Problem::Missing),
        ("/metrics/system", Value::Null, "metrics.system.uptime", Problem::Blank),
        ("/metrics/system/uptime", json!(" "), "metrics.system.uptime", Problem::Blank),
        ("/metrics/disk/physical/0/name", json!(""), "metrics.disk.physical[0].name", Problem::Blank),
        ("/metrics/disk/logical/0/name", json!(" "), "metrics.disk.logical[0].name", Problem::Blank),
        ("/metrics/disk/logical/0/kind", Value::Null, "metrics.disk.logical[0].kind", Problem::Blank),
        ("/metrics/disk/filesystems/0/path", json!(""), "metrics.disk.filesystems[0].path", Problem::Blank),
        ("/metrics/disk/base_io/0/name", json!(""), "metrics.disk.base_io[0].name", Problem::Blank),
        ("/metrics/disk/base_io/0/kind", json!(""), "metrics.disk.base_io[0].kind", Problem::Blank),
        ("/metrics/network/0/name", json!("\t"), "metrics.network[0].name", Problem::Blank),
        ("/metrics/disk/physical", twice("disk"), "metrics.disk.physical[1].name", Problem::Repeated),
        ("/metrics/disk/logical", twice("lvm_vg"), "metrics.disk.logical[1].name", Problem::Repeated),
        ("/metrics/disk/base_io", twice("raid"), "metrics.disk.base_io[1].name", Problem::Repeated),
        ("/metrics/network", twice("disk"), "metrics.network[1].name", Problem::Repeated),
        ("/metrics/raid/arrays", array("name", json!("")), "metrics.raid.arrays[0].name", Problem::Blank),
        (
            "/metrics/raid/arrays",
            array("status", Value::Null),
            "metrics.raid.arrays[0].status",
            Problem::Blank,
        ),
        (
            "/metrics/raid/arrays",
            array("health", json!(" ")),
            "metrics.raid.arrays[0].health",
            Problem::Blank,
        ),
        (
            "/metrics/raid/arrays",
            array("members", Value::Null),
            "metrics.raid.arrays[0].members",
            Problem::Missing,
        ),
        (
            "/metrics/raid/arrays",
            array("members", json!([member, {"name": "", "state": "up"}])),
            "metrics.raid.arrays[0].members[1].name",
            Problem::Blank,
        ),
        (
            "/metrics/raid/arrays",
            array("members", json!([{"name": "a"}])),
            "metrics.raid.arrays[0].members[0].state",
            Problem::Blank,
        ),
        ("/metrics/disk/smart", json!({}), "metrics.disk.smart.status", Problem::Blank),
        ("/metrics/disk/smart/devices", Value::Null, "metrics.disk.smart.devices", Problem::Missing),
        ("/metrics/disk/smart", device("name"), "metrics.disk.smart.devices[0].name", Problem::Blank),
        ("/metrics/disk/smart", device("source"), "metrics.disk.smart.devices[0].source", Problem::Blank),
        ("/metrics/disk/smart", device("status"), "metrics.disk.smart.devices[0].status", Problem::Blank),
        ("/metrics/thermal/status", json!(""), "metrics.thermal.status", Problem::Blank),
        ("/metrics/thermal/sensors", Value::Null, "metrics.thermal.sensors", Problem::Missing),
        ("/metrics/thermal", sensor("kind"), "metrics.thermal.sensors[0].kind", Problem::Blank),
        ("/metrics/thermal", sensor("name"), "metrics.thermal.sensors[0].name", Problem::Blank),
        ("/metrics/thermal", sensor("sensor_key"), "metrics.thermal.sensors[0].sensor_key", Problem::Blank),
        ("/metrics/thermal", sensor("source"), "metrics.thermal.sensors[0].source", Problem::Blank),
        ("/metrics/thermal", sensor("status"), "metrics.thermal.sensors[0].status", Problem::Blank),
    ];
    for (pointer, value, path, problem) in rows {
        let body = changed(pointer, &value);
        let invalid = validate_report(&decode(body.as_bytes()).unwrap()).unwrap_err();
        assert_eq!((&*invalid.path, invalid.problem), (path, problem), "{pointer} {value}");
        assert_eq!(Fixture::new().metrics(&body)[1], "422 invalid_metrics");
    }
}

#[test]
fn everything_else_in_a_report_may_be_missing_or_odd() {
    let twice = |list: &str| {
        let mut items = json_report().pointer(list).unwrap().as_array().unwrap().clone();
        items.push(items[0].clone());
        json!(items)
    };
    let device = json!({"name": "a", "source": "b", "status": "new", "temp_c": -5});
    let array = json!({"name": "md0", "status": "active", "health": "well", "members": []});
    for (pointer, value) in [
        ("/version", json!(" 1.2.3-rc.1+b \n")),
        ("/version", json!("0.0.0-0")),
        ("/version", json!("99999999999999999999.0.0")),
        ("/hostname", json!("x".repeat(5_000))),
        ("/hostname", json!("a\0b")),
        ("/timestamp", json!("1999-01-01T00:00:00Z")),
        ("/timestamp", json!("9999-12-31T23:59:59,5+01:00")),
        ("/metrics/cpu", Value::Null),
        ("/metrics/cpu/times", Value::Null),
        ("/metrics/cpu/usage_ratio", json!(-0.1)),
        ("/metrics/cpu/usage_ratio", json!(17)),
        ("/metrics/memory", Value::Null),
        ("/metrics/memory/used", json!(u64::MAX)),
        ("/metrics/processes", Value::Null),
        ("/metrics/connections", Value::Null),
        ("/metrics/connections/tcp_count", json!(-3_000_000_000_i64)),
        ("/metrics/pressure", Value::Null),
        ("/metrics/thermal", Value::Null),
        ("/metrics/disk/smart", Value::Null),
        ("/metrics/system/alive", Value::Null),
        ("/metrics/system/alive", json!(false)),
        ("/metrics/disk/physical", json!([])),
        ("/metrics/network", json!([])),
        ("/metrics/disk/filesystems", twice("/metrics/disk/filesystems")),
        ("/metrics/disk/smart", json!({"status": "ok", "devices": [device, device]})),
        ("/metrics/raid/arrays", json!([array, array])),
        ("/metrics/disk/logical/0/kind", json!("new")),
    ] {
        assert_eq!(
            Fixture::new().metrics(&changed(pointer, &value)).last().unwrap(),
            OK,
            "{pointer} {value}"
        );
    }
}

#[test]
fn wrong_types_are_bad_requests() {
    let spelled =
        |pointer: &str, text: &str| changed(pointer, &json!("\u{1}")).replacen("\"\\u0001\"", text, 1);
    for (pointer, text) in [
        ("/version", "3"),
        ("/hostname", "{}"),
        ("/timestamp", "1"),
        ("/timestamp", "\"2026-11-21 02:11:46Z\""),
        ("/timestamp", "\"2026-11-21T24:00:00Z\""),
        ("/timestamp", "\"2026-11-21T02:11:60Z\""),
        ("/timestamp", "\"2026-11-21t02:11:46z\""),
        ("/metrics/cpu/usage_ratio", "\"0.5\""),
        ("/metrics/cpu/usage_ratio", "true"),
        ("/metrics/cpu/usage_ratio", "1e400"),
        ("/metrics/cpu/usage_ratio", "NaN"),
        ("/metrics/memory/used", "1.0"),
        ("/metrics/memory/used", "1e3"),
        ("/metrics/memory/used", "-1"),
        ("/metrics/memory/used", "18446744073709551616"),
        ("/metrics/connections/tcp_count", "9223372036854775808"),
        ("/metrics/network", "{}"),
        ("/metrics/disk/smart", "{\"status\":\"ok\",\"devices\":[],\"updated_at\":\"x\"}"),
    ] {
        assert_eq!(
            Fixture::new().metrics(&spelled(pointer, text))[1],
            "400 invalid_request",
            "{pointer} {text}"
        );
    }
}

#[test]
fn names_are_unique_in_long_lists_too() {
    let disks =
        |count: usize| json!((0..count).map(|n| json!({"name": format!("d{}", n % 40)})).collect::<Vec<_>>());
    let mut fixture = Fixture::new();
    assert_eq!(fixture.metrics(&changed("/metrics/disk/physical", &disks(40))).last().unwrap(), OK);
    assert_eq!(
        fixture.metrics(&changed("/metrics/disk/physical", &disks(41)))[0],
        "rejected: metrics.disk.physical[40].name stands twice"
    );
}

// What a report means

#[test]
fn a_report_counts_at_its_arrival_and_is_reported_to_the_second() {
    let mut fixture = Fixture::new();
    fixture.now += Duration::from_millis(1_500);
    fixture.dash.0.handle_request(
        post("metrics").body(report().into()).unwrap(),
        ip("192.0.2.9"),
        fixture.now,
    );
    let Some(Output::Event(Event::Report {
        node,
        report: body,
        collected_at,
        reported_at,
        address,
        bytes,
        ..
    })) = fixture.dash.poll_output()
    else {
        panic!("the report is the first output");
    };
    assert_eq!((node, bytes, address), (fixture.nodes[0], report().len(), Some(ip("192.0.2.9"))));
    assert_eq!(collected_at, Timestamp::from_unix(WALL_CLOCK + 1, 500_000_000).unwrap());
    assert_eq!(reported_at, "2026-11-21T02:11:46Z".parse().unwrap());
    assert_eq!(*body, decode(report().as_bytes()).unwrap());
    let known = fixture.known();
    assert_eq!((known.collected_at, known.reported_at), (Some(collected_at), Some(reported_at)));
    assert_eq!((known.version.as_deref(), known.online), (Some("0.2.3"), true));
}

#[test]
fn the_same_report_twice_is_two_reports() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.metrics(&report()), ["report one vm", "online one", OK]);
    assert_eq!(fixture.metrics(&report()), ["report one vm", OK]);
}

#[test]
fn the_wall_clock_can_be_set() {
    let mut fixture = Fixture::new();
    fixture.now += Duration::from_secs(3_600);
    fixture.dash.0.set_wall_clock(Timestamp::from_unix(7, 0).unwrap(), fixture.now);
    fixture.metrics(&report());
    assert_eq!(fixture.known().collected_at, Some(Timestamp::from_unix(7, 0).unwrap()));
}

#[test]
fn an_earlier_instant_counts_as_the_latest_seen() {
    let mut fixture = Fixture::new();
    fixture.dash.0.handle_timeout(epoch() + Duration::from_secs(10));
    fixture.metrics(&report());
    assert_eq!(fixture.known().collected_at, Some(Timestamp::from_unix(WALL_CLOCK + 10, 0).unwrap()));
}

#[test]
fn a_nodes_address_is_its_peers_unless_a_trusted_proxy_says_otherwise() {
    let from = |adjust: fn(&mut Config), peer: &str, forwarded: &str| {
        let mut fixture = Fixture::with(adjust);
        let request = post("metrics").header("x-forwarded-for", forwarded).body(report().into()).unwrap();
        fixture.dash.0.handle_request(request, ip(peer), fixture.now);
        drain(&mut fixture.dash);
        fixture.known().address
    };
    let trusting: fn(&mut Config) = |config| config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    assert_eq!(from(|_| {}, "10.0.0.1", "1.1.1.1"), Some(ip("10.0.0.1")));
    assert_eq!(from(trusting, "10.0.0.1", "9.9.9.9, 1.1.1.1, 10.0.0.7"), Some(ip("1.1.1.1")));
    assert_eq!(
        from(trusting, "192.0.2.1", "1.1.1.1"),
        Some(ip("192.0.2.1")),
        "who is no proxy is not believed"
    );
    let original: fn(&mut Config) = |config| config.node_address = NodeAddress::ForwardedFor;
    assert_eq!(from(original, "192.0.2.1", "9.9.9.9, 1.1.1.1"), Some(ip("9.9.9.9")));
    assert_eq!(from(original, "192.0.2.1", "zzz"), None);
}

#[test]
fn a_trusted_network_may_be_written_in_its_ipv6_form() {
    let mapped: fn(&mut Config) =
        |config| config.trusted_proxies = vec!["::ffff:10.0.0.0/104".parse().unwrap()];
    let mut fixture = Fixture::with(mapped);
    let request = post("metrics").header("x-forwarded-for", "1.1.1.1").body(report().into()).unwrap();
    fixture.dash.0.handle_request(request, ip("10.9.9.9"), fixture.now);
    drain(&mut fixture.dash);
    assert_eq!(fixture.known().address, Some(ip("1.1.1.1")));
}

#[test]
fn a_node_without_reports_is_offline_after_fourteen_seconds_and_not_before() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.dash.poll_timeout(), None, "a node that was never seen is not awaited");
    fixture.metrics(&report());
    let due = fixture.now + Duration::from_secs(14);
    assert_eq!(fixture.dash.poll_timeout(), Some(due));
    fixture.now = due - Duration::from_nanos(1);
    assert!(fixture.wake().is_empty());
    fixture.now = due;
    assert_eq!(fixture.wake(), ["offline one"]);
    assert!(!fixture.known().online);
    assert_eq!(fixture.dash.poll_timeout(), None);
    assert_eq!(fixture.metrics(&report()), ["report one vm", "online one", OK]);
}

#[test]
fn a_report_that_comes_late_does_not_hide_that_the_node_was_offline() {
    let mut fixture = Fixture::new();
    fixture.metrics(&report());
    fixture.now += Duration::from_secs(15); // the driver took the request before the deadline
    assert_eq!(fixture.metrics(&report()), ["offline one", "report one vm", "online one", OK]);
}

#[test]
fn a_static_does_not_make_a_node_online() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.statics(&static_body()), ["static one vm", "200 ok"]);
    assert!(!fixture.known().online);
}

// Static

#[test]
fn what_a_static_needs_is_checked_member_by_member() {
    for (pointer, value, reason) in [
        ("/version", json!("v0.2.3"), "version is not SemVer"),
        ("/version", Value::Null, "version is not SemVer"),
        ("/timestamp", Value::Null, "timestamp is no time"),
        ("/report_interval_seconds", json!(0), "report_interval_seconds is not above 0"),
        ("/report_interval_seconds", json!(-1), "report_interval_seconds is not above 0"),
        ("/report_interval_seconds", Value::Null, "report_interval_seconds is not above 0"),
        ("/system", Value::Null, "system.hostname is blank"),
        ("/system/hostname", json!(" "), "system.hostname is blank"),
        ("/system/os", json!(""), "system.os is blank"),
        ("/system/platform", Value::Null, "system.platform is blank"),
        ("/system/platform_version", json!(" "), "system.platform_version is blank"),
        ("/system/kernel_version", json!(""), "system.kernel_version is blank"),
        ("/system/arch", json!("\t"), "system.arch is blank"),
    ] {
        assert_eq!(
            Fixture::new().statics(&changed_static(pointer, &value)),
            [format!("rejected: {reason}"), "422 invalid_static_payload".to_owned()]
        );
    }
}

#[test]
fn everything_else_in_a_static_may_be_missing() {
    for (pointer, value) in [
        ("/memory", Value::Null),
        ("/cpu", Value::Null),
        ("/cpu/info", Value::Null),
        ("/cpu/info/cores_logical", json!(70_000)),
        ("/disk", Value::Null),
        ("/disk/physical", Value::Null),
        ("/raid", Value::Null),
        ("/report_interval_seconds", json!(1)),
    ] {
        let outputs = Fixture::new().statics(&changed_static(pointer, &value));
        assert_eq!(outputs.last().unwrap(), "200 ok", "{pointer} {value}");
    }
    for value in [json!(3.5), json!("3")] {
        let outputs = Fixture::new().statics(&changed_static("/report_interval_seconds", &value));
        assert_eq!(outputs[1], "400 invalid_request", "{value}");
    }
}

#[test]
fn a_static_tells_the_platform() {
    let mut fixture = Fixture::new();
    fixture.statics(&static_body());
    assert_eq!((&*fixture.known().os, &*fixture.known().arch), ("linux", "amd64"));
}
