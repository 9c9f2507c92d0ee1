//! The HTTP binding: requests, responses, refusals, base addresses.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use bytes::Bytes;
use core_node_proto::call::*;
use core_node_proto::http::{self as binding, Base, BaseError, KEY_HEADER};
use core_node_proto::message::*;
use core_node_proto::value::*;
use core_node_proto::{Method, Secret};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use proptest::prelude::*;

fn base() -> Base {
    Base::parse("https://core.example/api").unwrap()
}

fn answered(status: u16, body: &'static str) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap()
}

fn text(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

#[test]
fn a_call_is_a_request_below_the_base_address() {
    let call = Call::ConfirmConfigApplied(ConfigApplied { revision: Revision::new(5).unwrap() });
    let request = binding::request(&base(), &call, Some(&Secret::new("k3y"))).unwrap();
    assert_eq!(
        (request.method().as_str(), request.uri().to_string().as_str()),
        ("POST", "https://core.example/api/node/config/applied")
    );
    assert_eq!(request.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(request.headers()[KEY_HEADER], "k3y");
    assert!(request.headers()[KEY_HEADER].is_sensitive());
    assert_eq!(request.body(), r#"{"revision":5}"#);
    let request = binding::request(&base(), &Call::GetLatestConfig, Some(&Secret::new("k3y"))).unwrap();
    assert_eq!((request.method().as_str(), request.uri().path()), ("GET", "/api/node/config/latest"));
    assert!(request.body().is_empty() && !request.headers().contains_key(CONTENT_TYPE));
    let request = binding::request(&base(), &Call::Heartbeat(Heartbeat::default()), None).unwrap();
    assert!(!request.headers().contains_key(KEY_HEADER));
}

#[test]
fn what_cannot_go_over_http_makes_no_request() {
    let path = |call: &Call, key: &str| {
        let error = binding::request(&base(), call, Some(&Secret::new(key))).unwrap_err();
        (error.path().to_owned(), error.error())
    };
    let other = (String::new(), ValueError::OtherTransport);
    assert_eq!(path(&Call::ReportNodeStats(NodeStats::default()), "k"), other);
    assert_eq!(path(&Call::ReportOnlineUsers(OnlineUsers::default()), "k"), other);
    assert_eq!(path(&Call::GetLatestConfig, "a b"), ("authKey".to_owned(), ValueError::NotAKey));
    let item = OutboundItem { tag: String::new(), bytes_up: ByteCount::ZERO, bytes_down: ByteCount::ZERO };
    let call = Call::ReportOutboundUsage(OutboundUsage { items: vec![item] });
    assert_eq!(path(&call, "k").0, "items[0].tag");
}

#[test]
fn every_2xx_is_a_success_and_nothing_else_is() {
    let read = |status| binding::read_response(Method::ReportUsage, &answered(status, r#"{"ok":true}"#));
    for status in [200, 201, 204, 299] {
        assert_eq!(read(status), Ok(Reply::Acknowledged(Acknowledgement { ok: true })), "{status}");
    }
    for (status, outcome) in [
        (401, Outcome::Auth),
        (403, Outcome::Auth),
        (400, Outcome::Rejected),
        (409, Outcome::Rejected),
        (422, Outcome::Rejected),
        (413, Outcome::TooLarge),
        (404, Outcome::Missing),
        (405, Outcome::Missing),
        (429, Outcome::NotApplied),
        (301, Outcome::Ambiguous),
        (408, Outcome::Ambiguous),
        (500, Outcome::Ambiguous),
        (503, Outcome::Ambiguous),
    ] {
        let failure = read(status).unwrap_err();
        assert_eq!((failure.outcome(), failure.kind), (outcome, FailureKind::Http(status)));
    }
}

#[test]
fn a_success_without_ok_does_not_acknowledge() {
    let read = |body| binding::read_response(Method::ReportUsage, &answered(201, body));
    assert!(!read(r#"{"ok":false}"#).unwrap().is_ok());
    for body in ["", "{}", "[]", "ok", r#"{"ok":"true"}"#, r#"{"ok":null}"#] {
        let failure = read(body).unwrap_err();
        assert!(matches!(failure.kind, FailureKind::Unreadable(_)), "{body}");
        assert_eq!(failure.outcome(), Outcome::Ambiguous);
    }
}

#[test]
fn replies_are_read_by_their_method() {
    let read = |method, body| binding::read_response(method, &answered(200, body));
    let heartbeat = Reply::Heartbeat(HeartbeatReply { ok: true, need_sync: true });
    assert_eq!(read(Method::Heartbeat, r#"{"ok":true,"needSync":true}"#), Ok(heartbeat));
    let registered = Registered { auth_key: Secret::new("k3y"), node_id: NodeId::new(3).unwrap() };
    assert_eq!(read(Method::Register, r#"{"authKey":"k3y","nodeId":3}"#), Ok(Reply::Registered(registered)));
    let Ok(Reply::Config(reply)) = read(Method::GetLatestConfig, r#"{"revision":6,"mtprotoClientMap":[]}"#)
    else {
        panic!("a configuration");
    };
    assert_eq!((reply.config.revision().get(), reply.warnings.len()), (6, 1));
    let failure = read(Method::GetLatestConfig, r#"{"revision":6,"clientMap":[]}"#).unwrap_err();
    assert!(matches!(failure.kind, FailureKind::Config(_)));
    let failure = read(Method::Register, r#"{"authKey":"a b","nodeId":3}"#).unwrap_err();
    assert!(matches!(failure.kind, FailureKind::Unreadable(error) if error.path() == "authKey"));
}

#[test]
fn a_request_comes_in_with_its_route_and_key_and_an_unread_body() {
    let request = |method: &str, uri: &str| {
        let request = Request::builder().method(method).uri(uri).header(KEY_HEADER, "k3y");
        binding::read_request(request.body(Bytes::from_static(b"{")).unwrap())
    };
    let incoming = request("POST", "/node/usage?x=1").unwrap();
    assert_eq!(incoming.method, Method::ReportUsage);
    assert_eq!(incoming.credential, Credential::Key(Secret::new("k3y")));
    assert_eq!(incoming.body, Body::Json(Bytes::from_static(b"{")));
    for (method, uri) in [
        ("GET", "/node/heartbeat"),
        ("HEAD", "/node/config/latest"),
        ("POST", "/node/usage/"),
        ("POST", "/node/Usage"),
        ("POST", "/node/%75sage"),
        ("POST", "/"),
    ] {
        assert_eq!(request(method, uri), Err(Refusal::Unknown), "{method} {uri}");
    }
}

#[test]
fn two_keys_or_strange_bytes_are_unusable() {
    let with = |values: &[&'static [u8]]| {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = "/node/config/latest".parse().unwrap();
        for value in values {
            request.headers_mut().append(KEY_HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        binding::read_request(request).unwrap().credential
    };
    assert_eq!((with(&[]), with(&[b""])), (Credential::Absent, Credential::Absent));
    assert_eq!((with(&[b"k", b"k"]), with(&[b"k\xff"])), (Credential::Unusable, Credential::Unusable));
}

#[test]
fn bodies_are_decoded_by_their_method() {
    assert_eq!(binding::decode(Method::GetLatestConfig, b"anything"), Ok(Call::GetLatestConfig));
    assert_eq!(binding::decode(Method::Heartbeat, b""), Ok(Call::Heartbeat(Heartbeat::default())));
    let error = binding::decode(Method::ReportUsage, b"{}").unwrap_err();
    assert_eq!((error.path(), error.error()), ("entries", ValueError::Missing));
    for method in [Method::ReportNodeStats, Method::ReportOnlineUsers] {
        assert_eq!(binding::decode(method, b"{}").unwrap_err().error(), ValueError::OtherTransport);
    }
}

#[test]
fn a_post_is_answered_with_201_and_a_get_with_200() {
    let ok = Ok(Reply::Acknowledged(Acknowledgement { ok: true }));
    let response = binding::response(Method::ReportUsage, &ok);
    assert_eq!((response.status().as_u16(), text(&response)), (201, r#"{"ok":true}"#));
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json; charset=utf-8");
    let config = Ok(Reply::Config(ConfigReply { config: Default::default(), warnings: vec![] }));
    let response = binding::response(Method::GetLatestConfig, &config);
    assert_eq!(response.status(), 200);
    assert_eq!(text(&response), r#"{"revision":0,"clientMap":{},"mtprotoClientMap":{},"services":{}}"#);
}

#[test]
fn a_reply_that_breaks_its_own_rule_is_a_500_without_the_key() {
    let reply = Registered { auth_key: Secret::new("two words"), node_id: NodeId::new(1).unwrap() };
    let response = binding::response(Method::Register, &Ok(Reply::Registered(reply)));
    let body = r#"{"message":"Internal server error","statusCode":500}"#;
    assert_eq!((response.status().as_u16(), text(&response)), (500, body));
}

#[test]
fn refusals_have_the_statuses_and_bodies_of_the_table() {
    let invalid = Refusal::Invalid(FieldError::new("entries", ValueError::Missing));
    for (refusal, status, body) in [
        (Refusal::Unauthorized, 401, r#"{"message":"Unauthorized","statusCode":401}"#),
        (invalid, 400, r#"{"message":"entries is missing","error":"Bad Request","statusCode":400}"#),
        (
            Refusal::TooLarge,
            413,
            r#"{"message":"request entity too large","error":"Payload Too Large","statusCode":413}"#,
        ),
        (Refusal::Unavailable, 503, r#"{"message":"Service Unavailable","statusCode":503}"#),
        (Refusal::Unknown, 404, r#"{"message":"Not Found","statusCode":404}"#),
    ] {
        let response = binding::refusal(&refusal);
        assert_eq!((response.status().as_u16(), text(&response)), (status, body));
        let through = binding::response(Method::ReportUsage, &Err(refusal));
        assert_eq!((through.status(), through.body()), (response.status(), response.body()));
    }
}

#[test]
fn a_base_address_keeps_its_path_and_loses_the_slashes_behind_it() {
    for (written, shown, host, port, is_tls) in [
        ("https://core.example", "https://core.example", "core.example", 443, true),
        (" HTTP://127.0.0.1:3000/ ", "http://127.0.0.1:3000", "127.0.0.1", 3000, false),
        ("http://[::1]:3000/a/b//", "http://[::1]:3000/a/b", "::1", 3000, false),
        ("http://localhost", "http://localhost", "localhost", 80, false),
    ] {
        let base = Base::parse(written).unwrap();
        assert_eq!(
            (base.to_string().as_str(), base.host(), base.port(), base.is_tls()),
            (shown, host, port, is_tls)
        );
        assert_eq!(base.is_loopback(), host != "core.example", "{written}");
    }
}

#[test]
fn what_is_no_base_address_is_told_why() {
    for (text, error) in [
        ("core.example", BaseError::Scheme),
        ("", BaseError::Scheme),
        ("grpc://core.example", BaseError::Scheme),
        ("https://user:pass@core.example", BaseError::UserInformation),
        ("https://", BaseError::Host),
        ("https:///path", BaseError::Host),
        ("https://a b", BaseError::Host),
        ("https://::1", BaseError::Host),
        ("https://core.example:0", BaseError::Port),
        ("https://core.example:+1", BaseError::Port),
        ("https://core.example:", BaseError::Port),
        ("https://core.example?x", BaseError::Path),
        ("https://core.example/#x", BaseError::Path),
        ("https://core.example/a b", BaseError::Path),
        ("https://core.example/é", BaseError::Path),
    ] {
        assert_eq!(Base::parse(text), Err(error), "{text}");
    }
    assert_eq!(Base::parse(&format!("https://h/{}", "a".repeat(2048))), Err(BaseError::TooLong));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_comes_back(call in support::call(), key in support::secret()) {
        let Some((_, _)) = call.method().http_route() else { return Ok(()) };
        let mut request = binding::request(&Base::parse("http://h").unwrap(), &call, Some(&key)).unwrap();
        *request.uri_mut() = request.uri().path().parse().unwrap();
        let incoming = binding::read_request(request).unwrap();
        prop_assert_eq!((incoming.method, incoming.credential), (call.method(), Credential::Key(key)));
        let Body::Json(body) = incoming.body else { panic!("a body") };
        prop_assert_eq!(binding::decode(incoming.method, &body), Ok(call));
    }

    #[test]
    fn every_reply_comes_back((method, reply) in support::reply()) {
        if method.http_route().is_some() {
            let response = binding::response(method, &Ok(reply.clone()));
            prop_assert_eq!(binding::read_response(method, &response), Ok(reply));
        }
    }

    #[test]
    fn a_base_address_that_is_taken_makes_requests(text in "(https?://)?[a-z0-9.:\\[\\]@/?#% é]{0,20}") {
        if let Ok(base) = Base::parse(&text) {
            let request = binding::request(&base, &Call::GetLatestConfig, None).unwrap();
            prop_assert!(request.uri().path().ends_with("/node/config/latest"));
            prop_assert_eq!(Base::parse(&base.to_string()), Ok(base));
        }
    }
}
