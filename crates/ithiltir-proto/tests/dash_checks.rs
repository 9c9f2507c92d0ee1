//! The order of the Dash's checks (§3), one behaviour a test.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod dash_fixture;

use bytes::Bytes;
use dash_fixture::{
    Fixture, OK, changed, ip, padded, post, post_as, report, response_of, sorted, static_body,
};
use http::{Method, Request};
use ithiltir_proto::dash::StorageLimits;
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;
use testkit::{drain, epoch, seen_response};

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
