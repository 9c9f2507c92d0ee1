//! The Dash, one behaviour a test: the order of its checks (§3), validation, identity,
//! updates, keys, storage, presence and addresses. The report and the Static are recordings of node 0.2.3.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use bytes::Bytes;
use http::{Method, Request, Response};
use ithiltir_proto::Secret;
use ithiltir_proto::dash::{
    Asset, BuildMetadata, CommandError, Config, ConfigError, Dash, Event, ExchangeId, Identity, InstallId,
    NodeAddress, NodeId, Output, Platform, Problem, Release, Storage, StorageLimits, UpdateRefused,
    validate_report,
};
use ithiltir_proto::wire::{Manifest, Timestamp, decode};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;
use testkit::secrets::{assert_debug_hides, marked};
use testkit::{Machine, drain, epoch, seen_response};
use web_time::Instant;

const OK: &str = r#"200 {"ok":true,"update":null}"#;
const INSTALL_ID: &str = "server_b62a1095e2f3b1dc8e2418fe406dd986";
/// 2026-11-21T02:32:06Z, six seconds into a window.
const WALL_CLOCK: i64 = 1_795_228_326;

// The order of the checks

#[test]
fn step_1_an_unknown_path_is_not_found_whatever_else_is_wrong() {
    let mut fixture = Fixture::new();
    for path in ["/api/node/foo", "/api/node//metrics", "/api/node/metrics/", "/API/node/metrics", "/metrics"]
    {
        let request = Request::get(path).header("content-type", "text/plain").body("{".into()).unwrap();
        assert_eq!(fixture.send(request), ["rejected: no such route", "404 not_found"], "{path}");
    }
}

#[test]
fn step_1_the_query_does_not_count() {
    let mut fixture = Fixture::new();
    let request = post("identity").uri("/api/node/identity?x=1").body(Bytes::new()).unwrap();
    assert!(fixture.send(request)[0].starts_with("200 "));
}

#[test]
fn step_1_the_method_is_checked_before_the_content_type() {
    let mut fixture = Fixture::new();
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
        let request = post("metrics").method(method).header("content-type", "text/plain");
        let answer = fixture.answer(request.body("{".into()).unwrap());
        assert_eq!(
            seen_response(&answer, &["allow", "content-type", "x-ratelimit-limit"]).headers,
            [("allow", "POST"), ("content-type", "application/json; charset=utf-8")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(answer.status(), 405);
    }
}

#[test]
fn step_2_content_type_is_checked_before_the_rate_limit() {
    let mut fixture = Fixture::with(|config| config.rate_limit.as_mut().unwrap().requests = 0);
    let request = Request::post("/api/node/metrics").header("content-type", "text/plain");
    let answer = fixture.answer(request.body("{".into()).unwrap());
    assert_eq!(answer.status(), 415);
    assert!(!answer.headers().contains_key("x-ratelimit-limit"), "step 3 is not reached");
    assert_eq!(fixture.metrics("{"), ["rejected: over the rate limit", "429 rate_limited"]);
}

#[test]
fn step_2_the_media_type_is_trimmed_before_and_not_behind_the_cut() {
    let mut fixture = Fixture::new();
    for (media_type, status) in [
        ("application/json", 200),
        ("  Application/JSON", 200),
        ("application/json; charset=utf-8", 200),
        ("application/json;", 200),
        ("application/json; x=\u{e9}", 200),
        ("application/json ; charset=utf-8", 415),
        ("text/json", 415),
        ("application/jsonx", 415),
        ("", 415),
    ] {
        let request = Request::post("/api/node/metrics").header("x-node-secret", "key-1");
        let media_type = http::HeaderValue::from_bytes(media_type.as_bytes()).unwrap();
        let request = request.header("content-type", media_type.clone()).body(report().into()).unwrap();
        assert_eq!(fixture.answer(request).status(), status, "{media_type:?}");
    }
}

#[test]
fn step_2_a_request_without_a_body_needs_no_content_type() {
    let mut fixture = Fixture::new();
    let bare = || Request::post("/api/node/identity").header("x-node-secret", "key-1");
    assert_eq!(fixture.answer(bare().body(Bytes::new()).unwrap()).status(), 200);
    let zero = bare().header("content-length", "0").body(Bytes::new()).unwrap();
    assert_eq!(fixture.answer(zero).status(), 200);
    for (name, value) in [("content-length", "2"), ("transfer-encoding", "chunked")] {
        let announced = bare().header(name, value).body(Bytes::new()).unwrap();
        assert_eq!(fixture.answer(announced).status(), 415, "{name}");
    }
    let metrics = Request::post("/api/node/metrics").header("x-node-secret", "key-1");
    assert_eq!(fixture.answer(metrics.body(Bytes::new()).unwrap()).status(), 400, "there is no JSON either");
}

#[test]
fn step_3_the_rate_limit_is_checked_before_the_body_and_the_key() {
    let mut fixture = Fixture::with(|config| config.rate_limit.as_mut().unwrap().requests = 1);
    let without_key = || Request::post("/api/node/static").header("content-type", "application/json");
    assert_eq!(
        fixture.send(without_key().body("{".into()).unwrap()),
        ["rejected: no key", "401 unauthorized"],
        "a request that fails uses it up too"
    );
    let large = without_key().body(vec![b' '; 1_048_577].into()).unwrap();
    let answer = fixture.answer(large);
    let headers = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"];
    let expected = ["1", "0", "1795228380", "60"];
    let expected = headers.iter().zip(expected).map(|(name, value)| (name.to_string(), value.to_owned()));
    let seen = seen_response(&answer, &headers);
    assert_eq!((seen.status, sorted(seen.headers)), (429, sorted(expected.collect())));
}

#[test]
fn step_3_every_later_answer_says_what_is_left() {
    let mut fixture = Fixture::new();
    let report_of = |key| post_as("metrics", key).body(report().into()).unwrap();
    for (left, request, status) in [
        (599, report_of("key-1"), 200),
        (598, report_of("nobody"), 401),
        (597, post("metrics").body("{}".into()).unwrap(), 422),
        (596, post("metrics").body("{".into()).unwrap(), 400),
        (595, post("static").body(static_body().into()).unwrap(), 200),
        (594, post("identity").body(Bytes::new()).unwrap(), 200),
    ] {
        let answer = fixture.answer(request);
        assert_eq!(answer.status(), status);
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-ratelimit-limit"), "600");
        assert_eq!(header("x-ratelimit-remaining"), left.to_string());
        assert_eq!(header("x-ratelimit-reset"), "1795228380");
    }
}

#[test]
fn step_3_networks_have_budgets_of_their_own_and_the_window_slides() {
    let mut fixture = Fixture::with(|config| config.rate_limit.as_mut().unwrap().requests = 2);
    let mut status = |client: &str, after: u64| {
        let now = epoch() + Duration::from_secs(after);
        fixture.dash.0.handle_request(post("identity").body(Bytes::new()).unwrap(), ip(client), now);
        response_of(drain(&mut fixture.dash)).status().as_u16()
    };
    assert_eq!(
        [status("192.0.2.1", 0), status("::ffff:192.0.2.200", 0), status("192.0.2.3", 0)],
        [200, 200, 429]
    );
    assert_eq!([status("192.0.3.1", 0), status("2001:db8:12ff::1", 0)], [200, 200]);
    assert_eq!([status("2001:db8:1200::1", 0), status("2001:db8:1200::1", 0)], [200, 429], "the same /40");
    assert_eq!(status("192.0.2.3", 55), 429, "the next window starts with what the last one counted");
    assert_eq!(status("192.0.2.3", 100), 200, "of which less than a half is left here");
}

#[test]
fn step_3_no_limit_no_headers() {
    let mut fixture = Fixture::with(|config| config.rate_limit = None);
    let answer = fixture.answer(post("identity").body(Bytes::new()).unwrap());
    assert!(!answer.headers().contains_key("x-ratelimit-limit"));
}

#[test]
fn step_3_memory_is_bounded_whoever_asks() {
    let mut fixture = Fixture::with(|config| {
        let limit = config.rate_limit.as_mut().unwrap();
        (limit.requests, limit.max_networks) = (1_000, 16);
    });
    for number in 0..2_000_u32 {
        let client = IpAddr::V4(std::net::Ipv4Addr::from_bits(number << 8));
        let request = Request::post("/api/node/metrics").body(Bytes::new()).unwrap();
        fixture.dash.0.handle_request(request, client, fixture.now);
        drain(&mut fixture.dash);
    }
    let shown = format!("{:?}", fixture.dash.0);
    assert!(shown.contains("networks: 16,"), "{shown}");
}

#[test]
fn step_4_a_body_of_exactly_the_limit_is_accepted() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.dash.0.max_body(), 1_048_576);
    assert_eq!(fixture.metrics(&padded(1_048_576)).last().unwrap(), OK);
}

#[test]
fn step_4_a_body_over_the_limit_is_checked_before_the_key() {
    let mut fixture = Fixture::new();
    let open = format!("{{\"x\":\"{}", "x".repeat(1_048_571));
    let request = Request::post("/api/node/metrics").header("content-type", "application/json");
    let answer = fixture.answer(request.body(open.into()).unwrap());
    assert_eq!((answer.status().as_u16(), &answer.headers()["connection"]), (413, &"close".parse().unwrap()));
    assert_eq!(&answer.body()[..], b"{\"code\":\"body_too_large\",\"message\":\"request body too large\"}\n");
}

#[test]
fn step_4_a_value_that_is_over_or_broken_before_the_limit_is_a_bad_request() {
    let mut fixture = Fixture::new();
    let garbage = format!("}}{}", "x".repeat(1_048_577));
    for body in [padded(1_048_577), garbage] {
        let answer = fixture.answer(post("metrics").body(body.clone().into()).unwrap());
        assert_eq!(answer.status(), 400);
        assert!(!answer.headers().contains_key("connection"));
        let without_key = Request::post("/api/node/metrics").header("content-type", "application/json");
        assert_eq!(
            fixture.answer(without_key.body(body.into()).unwrap()).status(),
            401,
            "step 5 comes first"
        );
    }
}

#[test]
fn step_4_the_largest_limit_of_all_is_no_limit() {
    let mut fixture = Fixture::with(|config| config.max_body = usize::MAX);
    assert_eq!(fixture.metrics(&report()).last().unwrap(), OK);
}

#[test]
fn step_5_a_missing_key_is_noticed_before_the_json() {
    let mut fixture = Fixture::new();
    for key in [None, Some("")] {
        let mut request = Request::post("/api/node/metrics").header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("x-node-secret", key);
        }
        assert_eq!(
            fixture.send(request.body("{".into()).unwrap()),
            ["rejected: no key", "401 unauthorized"],
            "{key:?}"
        );
    }
}

#[test]
fn step_5_of_several_keys_the_first_counts() {
    let mut fixture = Fixture::new();
    let request =
        post_as("metrics", "key-2").header("x-node-secret", "nobody").body(report().into()).unwrap();
    assert_eq!(fixture.send(request), ["report two vm", "online two", OK]);
}

#[test]
fn step_6_bad_json_is_noticed_before_an_unknown_key() {
    let mut fixture = Fixture::new();
    let bodies: [&[u8]; 7] =
        [b"", b"{", b"[]", b"{}{}", b"\xef\xbb\xbf{}", b"{\"version\":1}", b"\x1f\x8b\x08"];
    for body in bodies {
        let request = post_as("metrics", "nobody").body(Bytes::copy_from_slice(body)).unwrap();
        assert_eq!(fixture.answer(request).status(), 400, "{body:?}");
    }
    let mut odd = post("metrics").body(Bytes::from_static(b"{")).unwrap();
    odd.headers_mut().insert("x-node-secret", http::HeaderValue::from_bytes(b"\xff").unwrap());
    assert_eq!(fixture.answer(odd).status(), 400, "a key that is no text is an unknown one");
}

#[test]
fn step_6_the_content_encoding_is_ignored_and_white_space_may_follow() {
    let mut fixture = Fixture::new();
    let body = report() + " \r\n\t";
    let request = post("metrics").header("content-encoding", "gzip").body(body.into()).unwrap();
    assert_eq!(fixture.answer(request).status(), 200);
}

#[test]
fn step_7_nonsense_is_noticed_before_an_unknown_key() {
    let mut fixture = Fixture::new();
    let request = |route| post_as(route, "nobody").body("{}".into()).unwrap();
    assert_eq!(fixture.send(request("metrics")), ["rejected: version is not SemVer", "422 invalid_metrics"]);
    assert_eq!(
        fixture.send(request("static")),
        ["rejected: version is not SemVer", "422 invalid_static_payload"]
    );
}

#[test]
fn step_8_the_key_is_trimmed_and_otherwise_exact() {
    let mut fixture = Fixture::new();
    for (key, status) in [("key-1", 200), ("  key-1\t ", 200), ("KEY-1", 401), ("key-", 401), ("key-11", 401)]
    {
        let answer = fixture.answer(post_as("metrics", key).body(report().into()).unwrap());
        assert_eq!(answer.status(), status, "{key:?}");
    }
}

#[test]
fn step_8_an_unknown_key_is_noticed_before_storage() {
    let mut fixture = Fixture::with(|config| config.storage_limits = Some(StorageLimits::postgresql()));
    let body = changed("/metrics/network/0/name", &json!("x".repeat(65)));
    let request = post_as("metrics", "nobody").body(body.clone().into()).unwrap();
    assert_eq!(fixture.send(request), ["rejected: unknown key", "401 unauthorized"]);
    assert_eq!(
        fixture.metrics(&body),
        ["rejected: metrics.network.name cannot be stored", "503 service_unavailable"]
    );
}

#[test]
fn with_authenticate_first_strangers_reach_neither_the_parser_nor_the_validator() {
    let mut fixture = Fixture::with(|config| config.authenticate_first = true);
    for body in ["{", "{}", &"{".repeat(1_048_577)] {
        let request = post_as("metrics", "nobody").body(body.to_owned().into()).unwrap();
        assert_eq!(fixture.send(request), ["rejected: unknown key", "401 unauthorized"]);
    }
    assert_eq!(fixture.answer(post("metrics").body("{".into()).unwrap()).status(), 400);
    assert_eq!(fixture.metrics(&report()).last().unwrap(), OK);
}

#[test]
fn bodies_and_media_types_are_those_of_the_recording() {
    let mut fixture = Fixture::new();
    let json = "application/json; charset=utf-8";
    for (route, body, media_type, expected) in [
        ("metrics", report(), json, "{\"ok\":true,\"update\":null}\n"),
        ("metrics", "{}".into(), json, "{\"code\":\"invalid_metrics\",\"message\":\"invalid metrics\"}\n"),
        ("static", static_body(), "text/plain; charset=utf-8", "ok"),
        (
            "static",
            "{}".into(),
            json,
            "{\"code\":\"invalid_static_payload\",\"message\":\"invalid static payload\"}\n",
        ),
        ("foo", String::new(), json, "{\"code\":\"not_found\",\"message\":\"resource not found\"}\n"),
    ] {
        let answer = fixture.answer(post(route).body(body.into()).unwrap());
        assert_eq!(answer.body(), expected);
        assert_eq!(answer.headers()["content-type"], media_type);
    }
}

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

// Storage

#[test]
fn storage_limits_count_characters_and_answer_503() {
    let text = |count: usize| json!("\u{e9}".repeat(count));
    for (pointer, longest) in [
        ("/metrics/network/0/name", 64),
        ("/metrics/disk/base_io/0/name", 128),
        ("/metrics/disk/base_io/0/kind", 16),
        ("/metrics/disk/logical/0/name", 128),
        ("/metrics/disk/logical/0/kind", 16),
        ("/metrics/disk/filesystems/0/path", 256),
    ] {
        let mut fixture = Fixture::with(|config| config.storage_limits = Some(StorageLimits::postgresql()));
        let mut last = |value: &Value| fixture.metrics(&changed(pointer, value)).pop().unwrap();
        assert_eq!(last(&text(longest)), OK, "{pointer}");
        assert_eq!(last(&text(longest + 1)), "503 service_unavailable", "{pointer}");
        assert_eq!(last(&json!("a\0")), "503 service_unavailable", "{pointer}");
    }
    for (pointer, longest) in
        [("/system/hostname", 128), ("/system/kernel_version", 64), ("/cpu/info/model_name", 128)]
    {
        let mut fixture = Fixture::with(|config| config.storage_limits = Some(StorageLimits::postgresql()));
        let mut last = |value: &Value| fixture.statics(&changed_static(pointer, value)).pop().unwrap();
        assert_eq!(last(&text(longest)), "200 ok", "{pointer}");
        assert_eq!(last(&text(longest + 1)), "503 service_unavailable", "{pointer}");
    }
    assert_eq!(Fixture::new().metrics(&changed("/metrics/network/0/name", &text(9_999))).last().unwrap(), OK);
}

#[test]
fn a_confirmed_report_is_answered_once_it_is_stored() {
    let mut fixture = Fixture::confirming();
    let id = fixture.post_report();
    assert_eq!(fixture.drain(), ["report one vm"]);
    assert_eq!((fixture.known().version.clone(), fixture.dash.0.pending()), (None, 1));
    fixture.dash.0.confirm(id, fixture.now).unwrap();
    assert_eq!(fixture.drain(), ["online one", OK]);
    assert_eq!(fixture.dash.0.confirm(id, fixture.now), Err(CommandError::UnknownExchange));
}

#[test]
fn a_report_that_cannot_be_stored_is_answered_with_503_and_changes_nothing() {
    let mut fixture = Fixture::confirming();
    let id = fixture.post_report();
    fixture.drain();
    fixture.dash.0.refuse_storage(id, fixture.now).unwrap();
    assert_eq!(fixture.drain(), ["rejected: not stored", "503 service_unavailable"]);
    assert_eq!((fixture.known().version.clone(), fixture.known().online), (None, false));
    assert_eq!(fixture.dash.0.refuse_storage(id, fixture.now), Err(CommandError::UnknownExchange));
}

#[test]
fn a_storage_that_says_nothing_is_answered_for_at_its_deadline() {
    let mut fixture = Fixture::confirming();
    fixture.post_report();
    fixture.drain();
    assert_eq!(fixture.dash.poll_timeout(), Some(fixture.now + Duration::from_secs(5)));
    fixture.now += Duration::from_secs(5);
    assert_eq!(fixture.wake(), ["rejected: not stored", "503 service_unavailable"]);
    assert_eq!(fixture.dash.0.pending(), 0);
}

#[test]
fn no_more_than_the_limit_waits_for_storage() {
    let mut fixture = Fixture::confirming();
    for _ in 0..2 {
        fixture.post_report();
    }
    fixture.drain();
    assert_eq!(fixture.metrics(&report()), ["rejected: not stored", "503 service_unavailable"]);
    assert_eq!(fixture.dash.0.pending(), 2);
}

#[test]
fn a_client_that_went_away_no_longer_waits() {
    let mut fixture = Fixture::confirming();
    let id = fixture.post_report();
    fixture.drain();
    fixture.dash.0.handle_cancel(id, fixture.now);
    assert_eq!(fixture.dash.0.confirm(id, fixture.now), Err(CommandError::UnknownExchange));
    assert_eq!((fixture.drain().len(), fixture.dash.poll_timeout()), (0, None));
}

#[test]
fn a_node_that_is_removed_while_its_report_waits_gets_its_answer() {
    let mut fixture = Fixture::confirming();
    let id = fixture.post_report();
    fixture.drain();
    fixture.dash.0.remove_node(fixture.nodes[0], fixture.now).unwrap();
    fixture.dash.0.confirm(id, fixture.now).unwrap();
    assert_eq!(fixture.drain(), [OK]);
    assert_eq!(fixture.dash.poll_timeout(), None);
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

// Identity

#[test]
fn a_known_identity_is_told_whatever_the_body() {
    let mut fixture = Fixture::new();
    let expected = format!("200 {{\"install_id\":\"{INSTALL_ID}\",\"created\":false}}");
    for body in [Bytes::new(), "nonsense".into(), vec![b'{'; 2_000_000].into()] {
        assert_eq!(fixture.send(post("identity").body(body).unwrap()), [&*expected]);
    }
    let stranger = post_as("identity", "nobody").body(Bytes::new()).unwrap();
    assert_eq!(fixture.send(stranger), ["rejected: unknown key", "401 unauthorized"]);
    let nobody = Request::post("/api/node/identity").body(Bytes::new()).unwrap();
    assert_eq!(fixture.send(nobody), ["rejected: no key", "401 unauthorized"]);
}

#[test]
fn an_absent_identity_is_made_by_the_first_request_and_kept() {
    let mut fixture = Fixture::with(|config| config.identity = Identity::Absent { entropy: [0xab; 16] });
    let stranger = post_as("identity", "nobody").body(Bytes::new()).unwrap();
    assert_eq!(fixture.answer(stranger).status(), 401, "strangers make nothing");
    let mut ask = || fixture.send(post("identity").body(Bytes::new()).unwrap());
    let id = "server_".to_owned() + &"ab".repeat(16);
    let answer = |created| format!("200 {{\"install_id\":\"{id}\",\"created\":{created}}}");
    assert_eq!(ask(), [format!("identity {id}"), answer(true)]);
    assert_eq!(ask(), [answer(false)]);
}

#[test]
fn an_unusable_identity_is_never_made_anew() {
    let mut fixture = Fixture::with(|config| config.identity = Identity::Unusable);
    for _ in 0..2 {
        assert_eq!(
            fixture.send(post("identity").body(Bytes::new()).unwrap()),
            ["rejected: the installation's id is broken", "503 service_unavailable"]
        );
    }
}

#[test]
fn an_install_id_has_one_shape() {
    assert_eq!(INSTALL_ID.parse::<InstallId>().unwrap().as_str(), INSTALL_ID);
    for text in
        ["", "server_", &INSTALL_ID.to_uppercase(), &format!("{INSTALL_ID}0"), &INSTALL_ID[..38], " x"]
    {
        assert!(text.parse::<InstallId>().is_err(), "{text}");
    }
}

// Updates

#[test]
fn an_update_is_offered_with_every_report_until_the_node_has_it() {
    let mut fixture = Fixture::reporting();
    fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.4"), fixture.now).unwrap();
    let body = serde_json::to_string(&json!({"ok": true, "update": null})).unwrap();
    assert_eq!(
        fixture.metrics_of("key-2", "0.2.3"),
        ["report two vm".into(), "online two".into(), format!("200 {body}")]
    );
    for version in ["0.2.3", "0.2.3", " 0.2.3 ", "0.2.4-rc.1"] {
        let outputs = fixture.metrics_of("key-1", version);
        assert_eq!(outputs[..2], ["report one vm", "offered one 0.2.4"], "{version}");
        let answer: Value = serde_json::from_str(outputs[2].strip_prefix("200 ").unwrap()).unwrap();
        let sha256 = "ab".repeat(32);
        let update = json!({"id": "0.2.4", "version": "0.2.4", "url": "https://dash.example/node", "sha256": sha256, "size": 9});
        assert_eq!(answer, json!({"ok": true, "update": update}));
    }
    assert_eq!(fixture.metrics_of("key-1", "0.2.4"), ["report one vm", "cleared one", OK]);
    assert_eq!(fixture.metrics_of("key-1", "0.2.3"), ["report one vm", OK], "a task that is done stays done");
}

#[test]
fn a_node_that_is_past_the_update_ends_the_task() {
    let mut fixture = Fixture::reporting();
    fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.4"), fixture.now).unwrap();
    assert_eq!(fixture.metrics_of("key-1", "0.3.0-alpha"), ["report one vm", "cleared one", OK]);
    assert_eq!(fixture.dash.0.update(fixture.nodes[0]), None);
}

#[test]
fn other_build_metadata_is_still_delivered_unless_the_older_rule_is_set() {
    for (rule, second) in
        [(BuildMetadata::Deliver, "offered one 0.2.4"), (BuildMetadata::Clear, "cleared one")]
    {
        let mut fixture = Fixture::with(|config| config.build_metadata = rule);
        fixture.metrics(&report());
        fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.4"), fixture.now).unwrap();
        assert_eq!(fixture.metrics_of("key-1", "0.2.4+abc")[1], second);
    }
    let mut fixture = Fixture::reporting();
    fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.4+abc"), fixture.now).unwrap();
    assert_eq!(fixture.metrics_of("key-1", "0.2.4+abc")[1], "cleared one");
}

#[test]
fn a_rejected_report_neither_delivers_nor_ends_the_task() {
    let mut fixture = Fixture::confirming();
    let id = fixture.post_report();
    fixture.dash.0.confirm(id, fixture.now).unwrap();
    fixture.drain();
    fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.4"), fixture.now).unwrap();
    let mut newer = json_report();
    newer["version"] = json!("0.2.4");
    let mut invalid = newer.clone();
    invalid["hostname"] = json!("");
    assert_eq!(fixture.metrics(&invalid.to_string())[1], "422 invalid_metrics");
    let id = fixture.post(&newer.to_string());
    fixture.dash.0.refuse_storage(id, fixture.now).unwrap();
    assert_eq!(fixture.drain(), ["report one vm", "rejected: not stored", "503 service_unavailable"]);
    assert!(fixture.dash.0.update(fixture.nodes[0]).is_some());
}

#[test]
fn a_node_below_the_least_version_gets_nothing_and_keeps_its_task() {
    let mut fixture = Fixture::reporting();
    fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.4"), fixture.now).unwrap();
    assert_eq!(fixture.metrics_of("key-1", "0.2.1-rc.1"), ["report one vm", OK]);
    assert!(fixture.dash.0.update(fixture.nodes[0]).is_some());
    assert_eq!(
        fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.5"), fixture.now),
        Err(UpdateRefused::Unsupported)
    );
    assert_eq!(fixture.metrics_of("key-1", "0.2.1")[1], "offered one 0.2.4");
    let mut any = Fixture::with(|config| config.min_update_version = None);
    any.metrics_of("key-1", "0.1.0");
    any.dash.0.assign_update(any.nodes[0], manifest("0.2.4"), any.now).unwrap();
    assert_eq!(any.metrics_of("key-1", "0.1.0")[1], "offered one 0.2.4", "as Dash 0.2.0 does");
}

#[test]
fn a_manifest_that_no_node_could_use_is_refused() {
    let mut fixture = Fixture::reporting();
    let node = fixture.nodes[0];
    let of = |change: fn(&mut Manifest)| {
        let mut manifest = manifest("0.2.4");
        change(&mut manifest);
        manifest
    };
    for (manifest, code) in [
        (of(|manifest| manifest.version = "v1".into()), "invalid_node_version"),
        (of(|manifest| manifest.url = "ftp://h/x".into()), "node_asset_error"),
        (of(|manifest| manifest.url = "/x".into()), "node_asset_error"),
        (of(|manifest| manifest.url = "http://:80/x".into()), "node_asset_error"),
        (of(|manifest| manifest.sha256 = "xy".repeat(32)), "node_asset_error"),
        (of(|manifest| manifest.sha256 = "ab".repeat(31)), "node_asset_error"),
        (of(|manifest| manifest.size = 0), "node_asset_error"),
    ] {
        let refused = fixture.dash.0.assign_update(node, manifest.clone(), fixture.now).unwrap_err();
        assert_eq!(refused.code(), code, "{manifest:?}");
    }
    assert_eq!(fixture.dash.0.update(node), None);
}

#[test]
fn a_release_is_assigned_by_the_platform_of_the_last_static() {
    let mut fixture = Fixture::new();
    let node = fixture.nodes[0];
    let release = release("0.2.4", &[Platform::LinuxAmd64, Platform::MacosArm64]);
    let refused = |fixture: &mut Fixture| {
        let refused = fixture.dash.0.assign_release(node, &release, fixture.now).unwrap_err();
        (refused.status().as_u16(), refused.code())
    };
    // As recorded: `admin/upgrade_before_static`.
    assert_eq!(refused(&mut fixture), (409, "node_platform_unknown"));
    for (os, arch, code) in [
        ("freebsd", "amd64", "node_platform_unsupported"),
        ("linux", "riscv64", "node_platform_unsupported"),
        ("windows", "amd64", "node_asset_missing"),
        ("linux", "amd64", "node_version_unavailable"),
    ] {
        fixture.statics(&static_of(os, arch));
        assert_eq!(refused(&mut fixture), (409, code), "{os} {arch}");
    }
    fixture.metrics(&report());
    for (os, arch) in [("Linux", "X86_64"), ("darwin", "aarch64"), ("macOS", "ARM64")] {
        fixture.statics(&static_of(os, arch));
        assert_eq!(fixture.dash.0.assign_release(node, &release, fixture.now), Ok(()), "{os} {arch}");
    }
    assert_eq!(
        fixture.dash.0.update(node).unwrap().url,
        "https://dash.example/deploy/macos/node_macos_arm64"
    );
    fixture.dash.0.remove_node(node, fixture.now).unwrap();
    assert_eq!(refused(&mut fixture), (404, "not_found"));
}

#[test]
fn an_update_can_be_taken_back() {
    let mut fixture = Fixture::reporting();
    let node = fixture.nodes[0];
    fixture.dash.0.assign_update(node, manifest("0.2.4"), fixture.now).unwrap();
    fixture.dash.0.clear_update(node, fixture.now).unwrap();
    assert_eq!(fixture.metrics(&report()), ["report one vm", OK]);
}

// Keys and nodes

#[test]
fn a_key_belongs_to_one_node_and_is_not_blank() {
    let mut fixture = Fixture::with(|config| config.max_nodes = 3);
    let mut add = |key: &str| fixture.dash.0.add_node("x", Secret::new(key), fixture.now).map(|_| ());
    assert_eq!(add(" \t"), Err(CommandError::BlankKey));
    assert_eq!(add(" key-1 "), Err(CommandError::RepeatedKey));
    assert_eq!(add("key-3"), Ok(()));
    assert_eq!(add("key-4"), Err(CommandError::TooManyNodes));
}

#[test]
fn a_rotation_without_grace_is_at_once() {
    let mut fixture = Fixture::new();
    fixture.rotate("new", Duration::ZERO);
    assert_eq!(fixture.statuses(["key-1", "new"]), [401, 200]);
}

#[test]
fn a_rotated_key_is_good_until_its_grace_ends_and_no_longer() {
    let mut fixture = Fixture::new();
    fixture.rotate("new", Duration::from_secs(60));
    assert_eq!(fixture.dash.poll_timeout(), Some(fixture.now + Duration::from_secs(60)));
    fixture.now += Duration::from_millis(59_999);
    assert_eq!(fixture.statuses(["key-1", "new"]), [200, 200]);
    fixture.now += Duration::from_millis(1);
    assert_eq!(
        fixture.statuses(["key-1", "new"]),
        [401, 200],
        "even when no deadline was handled in between"
    );
}

#[test]
fn a_rotation_without_grace_ends_the_grace_of_earlier_keys() {
    let mut fixture = Fixture::new();
    fixture.rotate("new", Duration::from_secs(60));
    fixture.rotate("newer", Duration::ZERO);
    assert_eq!(fixture.statuses(["key-1", "new", "newer"]), [401, 401, 200]);
}

#[test]
fn a_refused_rotation_changes_nothing() {
    let mut fixture = Fixture::new();
    let mut rotate = |node, key: &str| {
        fixture.dash.0.rotate_secret(node, Secret::new(key), Duration::ZERO, fixture.now).unwrap_err()
    };
    let (one, two) = (fixture.nodes[0], fixture.nodes[1]);
    assert_eq!(rotate(one, " "), CommandError::BlankKey);
    assert_eq!(rotate(one, "key-2"), CommandError::RepeatedKey);
    assert_eq!(rotate(one, "key-1"), CommandError::RepeatedKey);
    fixture.dash.0.remove_node(two, fixture.now).unwrap();
    assert_eq!(
        fixture.dash.0.rotate_secret(two, Secret::new("new"), Duration::ZERO, fixture.now),
        Err(CommandError::UnknownNode)
    );
    assert_eq!(fixture.statuses(["key-1", "key-2", "new"]), [200, 401, 401]);
}

#[test]
fn a_removed_node_is_unknown_with_all_its_keys() {
    let mut fixture = Fixture::reporting();
    fixture.rotate("new", Duration::from_secs(60));
    fixture.dash.0.remove_node(fixture.nodes[0], fixture.now).unwrap();
    assert_eq!(fixture.statuses(["key-1", "new"]), [401, 401]);
    assert_eq!(fixture.dash.poll_timeout(), None);
    assert_eq!(fixture.dash.0.nodes().count(), 1);
    assert_eq!(fixture.dash.0.remove_node(fixture.nodes[0], fixture.now), Err(CommandError::UnknownNode));
}

#[test]
fn a_report_that_is_stored_late_does_not_take_the_place_of_a_later_one() {
    let mut fixture = Fixture::confirming();
    let early = fixture.post(&changed("/version", &json!("0.2.3")));
    fixture.now += Duration::from_secs(3);
    let later = fixture.post(&changed("/version", &json!("0.3.0")));
    fixture.drain();
    for exchange in [later, early] {
        fixture.dash.0.confirm(exchange, fixture.now).unwrap();
        fixture.drain();
    }
    assert_eq!(fixture.known().version.as_deref(), Some("0.3.0"));
    assert_eq!(fixture.known().collected_at.unwrap().unix_seconds(), WALL_CLOCK + 3);
    assert_eq!(
        fixture.dash.0.poll_timeout(),
        Some(fixture.now + Duration::from_secs(14)),
        "from its receipt"
    );
}

#[test]
fn a_body_that_is_null_lacks_everything() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.metrics(" null\n").last().unwrap(), "422 invalid_metrics");
    assert_eq!(fixture.statics("null").last().unwrap(), "422 invalid_static_payload");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let with = |adjust: fn(&mut Config)| {
        let mut config = Config::new(Identity::Unusable);
        adjust(&mut config);
        Dash::new(config, Timestamp::default(), epoch()).err()
    };
    assert_eq!(with(|_| {}), None);
    assert_eq!(with(|config| config.base_path = "api".into()), Some(ConfigError::BasePath));
    assert_eq!(with(|config| config.max_body = 0), Some(ConfigError::MaxBody));
    assert_eq!(
        with(|config| config.rate_limit.as_mut().unwrap().window_seconds = 0),
        Some(ConfigError::RateLimit)
    );
    assert_eq!(
        with(|config| config.min_update_version = Some("1".into())),
        Some(ConfigError::MinUpdateVersion)
    );
    assert_eq!(with(|config| config.offline_after = Duration::ZERO), Some(ConfigError::OfflineAfter));
}

#[test]
fn debug_texts_show_kinds_and_lengths_only() {
    let mut fixture = Fixture::new();
    let key = marked(1);
    fixture.rotate(&key, Duration::from_secs(60));
    let body = changed("/hostname", &json!(marked(2)));
    let mut valid = post_as("metrics", &key).body(body.clone().into()).unwrap();
    valid.headers_mut().insert("x-forwarded-for", marked(3).parse().unwrap());
    let invalid = post_as("metrics", &key).body(body.replace("0.2.3", "v").into()).unwrap();
    for request in [valid, invalid] {
        fixture.dash.0.handle_request(request, ip("192.0.2.1"), fixture.now);
        assert_debug_hides(&fixture.dash.0);
        for output in drain(&mut fixture.dash) {
            assert_debug_hides(&output);
        }
    }
}

#[test]
fn the_path_of_a_rejection_is_cut() {
    let mut fixture = Fixture::new();
    let path = format!("/{}?{}", "x".repeat(9_999), "secret");
    fixture.dash.0.handle_request(
        Request::get(path).body(Bytes::new()).unwrap(),
        ip("192.0.2.1"),
        fixture.now,
    );
    let Some(Output::Event(Event::Rejected { path, .. })) = fixture.dash.poll_output() else {
        panic!("the reason comes before the answer");
    };
    assert_eq!(path.len(), 256);
}

struct Under(Dash);

testkit::forward_machine!(Under, Output);

/// A Dash with the nodes `one` and `two`, whose keys are `key-1` and `key-2`.
struct Fixture {
    dash: Under,
    now: Instant,
    nodes: [NodeId; 2],
}

impl Fixture {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let now = epoch();
        let mut config = Config::new(Identity::Known(INSTALL_ID.parse().unwrap()));
        adjust(&mut config);
        let mut dash = Dash::new(config, Timestamp::from_unix(WALL_CLOCK, 0).unwrap(), now).unwrap();
        let nodes = [("one", "key-1"), ("two", "key-2")]
            .map(|(name, key)| dash.add_node(name, Secret::new(key), now).unwrap());
        Self { dash: Under(dash), now, nodes }
    }

    /// One whose application is asked about storage, twice at a time at most.
    fn confirming() -> Self {
        let storage = Storage::Confirmed { timeout: Duration::from_secs(5), max_pending: 2 };
        Self::with(|config| config.storage = storage)
    }

    /// One to which the first node has reported 0.2.3.
    fn reporting() -> Self {
        let mut fixture = Self::new();
        fixture.metrics(&report());
        fixture
    }

    fn metrics(&mut self, body: &str) -> Vec<String> {
        self.send(post("metrics").body(body.to_owned().into()).unwrap())
    }

    fn metrics_of(&mut self, key: &str, version: &str) -> Vec<String> {
        let body = changed("/version", &json!(version));
        self.send(post_as("metrics", key).body(body.into()).unwrap())
    }

    fn statics(&mut self, body: &str) -> Vec<String> {
        self.send(post("static").body(body.to_owned().into()).unwrap())
    }

    fn post_report(&mut self) -> ExchangeId {
        self.post(&report())
    }

    fn post(&mut self, body: &str) -> ExchangeId {
        let request = post("metrics").body(body.to_owned().into()).unwrap();
        self.dash.0.handle_request(request, ip("192.0.2.1"), self.now)
    }

    fn send(&mut self, request: Request<Bytes>) -> Vec<String> {
        self.dash.0.handle_request(request, ip("192.0.2.1"), self.now);
        self.drain()
    }

    fn answer(&mut self, request: Request<Bytes>) -> Response<Bytes> {
        self.dash.0.handle_request(request, ip("192.0.2.1"), self.now);
        response_of(drain(&mut self.dash))
    }

    fn statuses<const N: usize>(&mut self, keys: [&str; N]) -> [u16; N] {
        keys.map(|key| self.answer(post_as("metrics", key).body(report().into()).unwrap()).status().as_u16())
    }

    fn rotate(&mut self, key: &str, grace: Duration) {
        self.dash.0.rotate_secret(self.nodes[0], Secret::new(key), grace, self.now).unwrap();
    }

    fn wake(&mut self) -> Vec<String> {
        self.dash.handle_timeout(self.now);
        self.drain()
    }

    fn known(&self) -> &ithiltir_proto::dash::KnownNode {
        self.dash.0.node(self.nodes[0]).unwrap()
    }

    fn drain(&mut self) -> Vec<String> {
        let outputs = drain(&mut self.dash);
        outputs.iter().map(|output| self.line(output)).collect()
    }

    fn line(&self, output: &Output) -> String {
        let name = |node: &NodeId| self.dash.0.node_name(*node).unwrap_or("nobody");
        match output {
            Output::Respond { response, .. } => line_of(response),
            Output::Event(event) => match event {
                Event::Report { node, report, .. } => format!("report {} {}", name(node), report.hostname),
                Event::Static { node, statics, .. } => {
                    format!("static {} {}", name(node), statics.system.hostname)
                }
                Event::Rejected { reason, .. } => format!("rejected: {reason}"),
                Event::IdentityCreated { install_id } => format!("identity {install_id}"),
                Event::UpdateOffered { node, version } => format!("offered {} {version}", name(node)),
                Event::UpdateCleared { node } => format!("cleared {}", name(node)),
                Event::Online { node } => format!("online {}", name(node)),
                Event::Offline { node } => format!("offline {}", name(node)),
                other => format!("{other:?}"),
            },
        }
    }
}

/// The status with the code of a refusal, or with the body of a success.
fn line_of(response: &Response<Bytes>) -> String {
    let body = std::str::from_utf8(response.body()).unwrap().trim_end();
    let code =
        serde_json::from_str::<Value>(body).ok().and_then(|body| Some(body["code"].as_str()?.to_owned()));
    format!("{} {}", response.status().as_u16(), code.as_deref().unwrap_or(body))
}

fn response_of(outputs: Vec<Output>) -> Response<Bytes> {
    match outputs.into_iter().next_back() {
        Some(Output::Respond { response, .. }) => response,
        other => panic!("the answer is the last output: {other:?}"),
    }
}

fn post(route: &str) -> http::request::Builder {
    post_as(route, "key-1")
}

fn post_as(route: &str, key: &str) -> http::request::Builder {
    Request::post(format!("/api/node/{route}"))
        .header("content-type", "application/json")
        .header("x-node-secret", key)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

fn recorded(scenario: &str) -> String {
    let recording = include_str!("captures/dash_pg.jsonl");
    let exchanges = recording.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let exchange = exchanges.into_iter().find(|exchange| exchange["scenario"] == scenario).unwrap();
    exchange["req_body"].as_str().unwrap().to_owned()
}

fn report() -> String {
    recorded("metrics/valid")
}

fn json_report() -> Value {
    serde_json::from_str(&report()).unwrap()
}

fn static_body() -> String {
    recorded("static/restore")
}

fn static_of(os: &str, arch: &str) -> String {
    let mut body: Value = serde_json::from_str(&changed_static("/system/os", &json!(os))).unwrap();
    body["system"]["arch"] = json!(arch);
    body.to_string()
}

fn changed(pointer: &str, value: &Value) -> String {
    with(json_report(), pointer, value)
}

fn changed_static(pointer: &str, value: &Value) -> String {
    with(serde_json::from_str(&static_body()).unwrap(), pointer, value)
}

fn with(mut body: Value, pointer: &str, value: &Value) -> String {
    *body.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is recorded")) = value.clone();
    body.to_string()
}

/// The report with white space behind it.
fn padded(length: usize) -> String {
    let report = report();
    report.clone() + &" ".repeat(length - report.len())
}

fn manifest(version: &str) -> Manifest {
    Manifest {
        id: version.into(),
        version: version.into(),
        url: "https://dash.example/node".into(),
        sha256: "ab".repeat(32),
        size: 9,
    }
}

fn release(version: &str, platforms: &[Platform]) -> Release {
    let asset = |platform: &Platform| Asset {
        url: format!("https://dash.example{}", platform.deploy_path()),
        sha256: "AB".repeat(32),
        size: 9,
    };
    let assets = platforms.iter().map(|platform| (*platform, asset(platform))).collect();
    Release { version: version.into(), assets }
}
