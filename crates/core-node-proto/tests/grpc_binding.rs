//! The gRPC binding: bytes, keys, rules, refusals.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use bytes::Bytes;
use core_node_proto::call::*;
use core_node_proto::grpc::{self, KEY_HEADER};
use core_node_proto::message::*;
use core_node_proto::value::*;
use core_node_proto::{Method, Secret, pb};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use prost::Message;

fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

fn inbound(id: i64) -> NodeProtocolId {
    NodeProtocolId::new(id).unwrap()
}

fn bytes_of(call: &Call) -> Bytes {
    grpc::request(call, None, KeyPlacement::Metadata).expect("a gRPC method").message
}

/// Returns the path and the kind of the error that a message has.
fn refused(method: Method, message: &impl Message) -> (String, ValueError) {
    let error = grpc::decode(method, &message.encode_to_vec()).expect_err("a broken rule");
    (error.path().to_owned(), error.error())
}

fn call_of(method: Method, message: &impl Message) -> Call {
    grpc::decode(method, &message.encode_to_vec()).expect("a call").0
}

fn entry() -> pb::UsageEntry {
    pb::UsageEntry {
        user_id: Some(12),
        subscription_id: Some(300),
        node_protocol_id: Some(6),
        bytes_up: Some(100),
        bytes_down: Some(200),
        recorded_at: Some("2030-01-02T03:04:00.000Z".into()),
    }
}

const ID: ValueError = ValueError::OutOfRange { least: 1, most: 2_147_483_647 };
const COUNTER: ValueError = ValueError::OutOfRange { least: 0, most: i64::MAX as u64 };

#[test]
fn calls_have_the_paths_of_the_service_and_three_have_none() {
    let heartbeat =
        grpc::request(&Call::Heartbeat(Heartbeat::default()), None, KeyPlacement::Metadata).unwrap();
    assert_eq!(heartbeat.path, "/nodeservice.NodeService/Heartbeat");
    let events = Call::ReportSessionEvents(SessionEvents::default());
    assert_eq!(grpc::request(&events, None, KeyPlacement::Metadata), None);
    for method in [Method::Register, Method::ReportSessionEvents, Method::ReportError] {
        assert_eq!(
            refused(method, &pb::HeartbeatRequest::default()),
            (String::new(), ValueError::OtherTransport)
        );
    }
}

#[test]
fn the_key_goes_where_the_setting_says() {
    let key = Secret::new("k3y");
    let request = |placement| grpc::request(&Call::GetLatestConfig, Some(&key), placement).unwrap();
    let metadata = HeaderValue::from_static("k3y");
    let only = request(KeyPlacement::Metadata);
    assert_eq!((only.metadata.as_ref(), &only.message[..]), (Some(&metadata), b"".as_slice()));
    assert!(only.metadata.is_some_and(|value| value.is_sensitive()));
    let field = request(KeyPlacement::Field);
    assert_eq!((field.metadata.as_ref(), &field.message[..]), (None, b"\x0a\x03k3y".as_slice()));
    let both = request(KeyPlacement::Both);
    assert_eq!((both.metadata.as_ref(), &both.message), (Some(&metadata), &field.message));
    assert!(!format!("{both:?}").contains("k3y"));
    assert_eq!(grpc::request(&Call::GetLatestConfig, None, KeyPlacement::Both).unwrap().message, "");
}

#[test]
fn a_key_that_metadata_cannot_carry_is_left_out_of_it() {
    let request = grpc::request(&Call::GetLatestConfig, Some(&Secret::new("k\n")), KeyPlacement::Metadata);
    assert_eq!(request.unwrap().metadata, None);
}

#[test]
fn the_key_in_a_field_is_read_unless_it_is_empty() {
    let of = |key: &str| {
        let message = pb::ConfirmConfigAppliedRequest { auth_key: key.into(), revision: Some(5) };
        grpc::decode(Method::ConfirmConfigApplied, &message.encode_to_vec()).unwrap().1
    };
    assert_eq!((of("k3y"), of("")), (Some(Secret::new("k3y")), None));
}

#[test]
fn a_request_comes_in_with_its_route_and_key_and_an_unread_message() {
    let mut metadata = HeaderMap::new();
    metadata.insert(KEY_HEADER, HeaderValue::from_static("k3y"));
    let read = |path| grpc::read_request(path, &metadata, Bytes::from_static(b"\xff"));
    let incoming = read("/nodeservice.NodeService/ReportUsage").unwrap();
    assert_eq!(incoming.method, Method::ReportUsage);
    assert_eq!(incoming.credential, Credential::Key(Secret::new("k3y")));
    assert_eq!(incoming.body, Body::Protobuf(Bytes::from_static(b"\xff")));
    for path in
        ["/nodeservice.NodeService/Nope", "/nodeservice.NodeService/Heartbeat/", "/node/heartbeat", ""]
    {
        assert_eq!(read(path), Err(Refusal::Unknown), "{path}");
    }
}

#[test]
fn zeros_and_empty_texts_are_written() {
    let entry = UsageEntry {
        user_id: user(1),
        subscription_id: None,
        node_protocol_id: inbound(2),
        bytes_up: ByteCount::ZERO,
        bytes_down: ByteCount::ZERO,
        recorded_at: "2030-01-02T03:04:05.678Z".parse().unwrap(),
    };
    assert_eq!(
        bytes_of(&Call::ReportUsage(Usage { entries: vec![entry] })),
        b"\x12\x22\x08\x01\x18\x02\x20\x00\x28\x00\x32\x182030-01-02T03:04:05.678Z".as_slice()
    );
    let item = OutboundItem { tag: "direct".into(), bytes_up: ByteCount::ZERO, bytes_down: ByteCount::ZERO };
    assert_eq!(
        bytes_of(&Call::ReportOutboundUsage(OutboundUsage { items: vec![item] })),
        b"\x12\x0c\x0a\x06direct\x10\x00\x18\x00".as_slice()
    );
    let revision = Revision::MIN;
    assert_eq!(bytes_of(&Call::ConfirmConfigApplied(ConfigApplied { revision })), b"\x10\x00".as_slice());
    let stats = NodeStats {
        system: Some(SystemStats::default()),
        xray: Some(XrayStats { running: false, uptime_seconds: Some(0) }),
        mtproto: Some(MtProtoStatuses::new()),
    };
    let zeros = b"\x12\x2b\x08\0\x11\0\0\0\0\0\0\0\0\x18\0\x20\0\x28\0\x30\0\x38\0\x41\0\0\0\0\0\0\0\0\x49\0\0\0\0\0\0\0\0\x50\0\x58\0";
    let expected = [zeros.as_slice(), b"\x1a\x04\x08\0\x10\0\x22\x02{}"].concat();
    assert_eq!(bytes_of(&Call::ReportNodeStats(stats)), expected);
}

#[test]
fn optional_fields_are_absent_or_present_even_as_zero() {
    assert_eq!(bytes_of(&Call::Heartbeat(Heartbeat::default())), "");
    let revision = Some(Revision::MIN);
    assert_eq!(bytes_of(&Call::Heartbeat(Heartbeat { ip: None, revision })), b"\x10\x00".as_slice());
    let read = |bytes: &[u8]| grpc::decode(Method::Heartbeat, bytes).unwrap().0;
    assert_eq!(read(b""), Call::Heartbeat(Heartbeat::default()));
    assert_eq!(read(b"\x10\x00"), Call::Heartbeat(Heartbeat { ip: None, revision }));
    let xray = pb::XrayStats { running: Some(true), uptime_seconds: Some(0) };
    let message = pb::ReportNodeStatsRequest { xray: Some(xray), ..Default::default() };
    let Call::ReportNodeStats(stats) = call_of(Method::ReportNodeStats, &message) else {
        panic!("statistics")
    };
    assert_eq!(stats.xray, Some(XrayStats { running: true, uptime_seconds: Some(0) }));
}

#[test]
fn one_entry_that_breaks_a_rule_refuses_all() {
    for (entry, path, error) in [
        (pb::UsageEntry { user_id: Some(0), ..entry() }, "userId", ID),
        (pb::UsageEntry { user_id: None, ..entry() }, "userId", ID),
        (pb::UsageEntry { user_id: Some(-5), ..entry() }, "userId", ID),
        (pb::UsageEntry { subscription_id: Some(0), ..entry() }, "subscriptionId", ID),
        (pb::UsageEntry { node_protocol_id: None, ..entry() }, "nodeProtocolId", ID),
        (pb::UsageEntry { bytes_up: Some(-1), ..entry() }, "bytesUp", COUNTER),
        (pb::UsageEntry { bytes_down: Some(i64::MIN), ..entry() }, "bytesDown", COUNTER),
        (pb::UsageEntry { recorded_at: None, ..entry() }, "recordedAt", ValueError::NotATimestamp),
        (
            pb::UsageEntry { recorded_at: Some("1893553445".into()), ..entry() },
            "recordedAt",
            ValueError::NotATimestamp,
        ),
    ] {
        let message = pb::ReportUsageRequest { auth_key: String::new(), entries: vec![self::entry(), entry] };
        assert_eq!(refused(Method::ReportUsage, &message), (format!("entries[1].{path}"), error));
    }
}

#[test]
fn counters_reach_to_63_bits_and_absent_ones_are_zero() {
    let most = pb::UsageEntry { bytes_up: Some(i64::MAX), bytes_down: None, ..entry() };
    let message = pb::ReportUsageRequest { auth_key: String::new(), entries: vec![most] };
    let Call::ReportUsage(usage) = call_of(Method::ReportUsage, &message) else { panic!("usage") };
    assert_eq!((usage.entries[0].bytes_up, usage.entries[0].bytes_down), (ByteCount::MAX, ByteCount::ZERO));
    let none = pb::ReportUsageRequest::default();
    assert_eq!(call_of(Method::ReportUsage, &none), Call::ReportUsage(Usage::default()));
}

#[test]
fn instants_of_one_batch_may_differ() {
    let at = |text: &str| pb::UsageEntry { recorded_at: Some(text.into()), ..entry() };
    let texts = ["2030-01-02T03:04:05.678Z", "2030-01-02T03:04:05.678Z", "2030-01-02T05:04:05.679+02:00"];
    let message = pb::ReportUsageRequest { auth_key: String::new(), entries: texts.map(at).to_vec() };
    let Call::ReportUsage(usage) = call_of(Method::ReportUsage, &message) else { panic!("usage") };
    let instants: Vec<_> = usage.entries.iter().map(|entry| entry.recorded_at.unix_milliseconds()).collect();
    assert_eq!(instants, [1_893_553_445_678, 1_893_553_445_678, 1_893_553_445_679]);
}

#[test]
fn tags_of_outbounds_are_1_to_256_characters() {
    let item =
        |tag: &str| pb::OutboundUsageItem { tag: Some(tag.into()), bytes_up: Some(1), bytes_down: Some(2) };
    let length = ValueError::WrongLength { least: 1, most: 256 };
    for tag in [String::new(), "é".repeat(257)] {
        let message =
            pb::ReportOutboundUsageRequest { auth_key: String::new(), items: vec![item("a"), item(&tag)] };
        assert_eq!(refused(Method::ReportOutboundUsage, &message), ("items[1].tag".to_owned(), length));
    }
    let wrong = pb::OutboundUsageItem { bytes_up: Some(-1), ..item("a") };
    let message = pb::ReportOutboundUsageRequest { auth_key: String::new(), items: vec![wrong] };
    assert_eq!(refused(Method::ReportOutboundUsage, &message), ("items[0].bytesUp".to_owned(), COUNTER));
}

#[test]
fn revisions_and_addresses_of_heartbeats_are_checked() {
    let revision = ValueError::OutOfRange { least: 0, most: 2_147_483_647 };
    let message = pb::HeartbeatRequest { revision: Some(-1), ..Default::default() };
    assert_eq!(refused(Method::Heartbeat, &message), ("revision".to_owned(), revision));
    let message = pb::ConfirmConfigAppliedRequest { auth_key: String::new(), revision: Some(-1) };
    assert_eq!(refused(Method::ConfirmConfigApplied, &message), ("revision".to_owned(), revision));
    let message = pb::HeartbeatRequest { ip: Some("nowhere".into()), ..Default::default() };
    assert_eq!(refused(Method::Heartbeat, &message), ("ip".to_owned(), ValueError::NotAnAddress));
    let message = pb::HeartbeatRequest { ip: Some("[2001:DB8::1]".into()), ..Default::default() };
    let Call::Heartbeat(heartbeat) = call_of(Method::Heartbeat, &message) else { panic!("a heartbeat") };
    assert_eq!(heartbeat.ip.unwrap().to_string(), "2001:db8::1");
}

#[test]
fn statistics_are_finite_and_not_negative() {
    type Change = fn(&mut pb::SystemStats);
    let cases: [(Change, &str, ValueError); 6] = [
        (|system| system.cpu_percent = Some(f64::NAN), "cpuPercent", ValueError::NotFinite),
        (|system| system.net_rx_per_sec = Some(f64::INFINITY), "netRxPerSec", ValueError::NotFinite),
        (|system| system.net_tx_per_sec = Some(f64::NEG_INFINITY), "netTxPerSec", ValueError::NotFinite),
        (|system| system.ram_used = Some(-1), "ramUsed", COUNTER),
        (|system| system.uptime_seconds = Some(-1), "uptimeSeconds", COUNTER),
        (
            |system| system.cpu_cores = Some(-1),
            "cpuCores",
            ValueError::OutOfRange { least: 0, most: 2_147_483_647 },
        ),
    ];
    for (change, path, error) in cases {
        let mut system = pb::SystemStats::default();
        change(&mut system);
        let message = pb::ReportNodeStatsRequest { system: Some(system), ..Default::default() };
        assert_eq!(refused(Method::ReportNodeStats, &message), (format!("system.{path}"), error));
    }
    let xray = pb::XrayStats { running: Some(true), uptime_seconds: Some(-1) };
    let message = pb::ReportNodeStatsRequest { xray: Some(xray), ..Default::default() };
    assert_eq!(refused(Method::ReportNodeStats, &message), ("xray.uptimeSeconds".to_owned(), COUNTER));
}

#[test]
fn an_unreadable_part_of_statistics_costs_only_itself() {
    let system = pb::SystemStats { cpu_cores: Some(2), ..Default::default() };
    let message = |json: &str| pb::ReportNodeStatsRequest {
        system: Some(system),
        mtproto_json: Some(json.into()),
        ..Default::default()
    };
    let stats = |json: &str| match call_of(Method::ReportNodeStats, &message(json)) {
        Call::ReportNodeStats(stats) => stats,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (stats("{oops").mtproto, stats("[]").mtproto, stats("").mtproto),
        (None, None, Some(MtProtoStatuses::new()))
    );
    assert_eq!(stats("{oops").system.unwrap().cpu_cores, 2);
    assert_eq!(stats(r#"{"mt":{"running":true}}"#).mtproto.unwrap().get("mt").unwrap().running, Some(true));
}

#[test]
fn an_unreadable_address_of_a_user_is_left_out_and_counted() {
    let ip =
        |ip: &str, last_seen: &str| pb::OnlineIp { ip: Some(ip.into()), last_seen: Some(last_seen.into()) };
    let ips = vec![
        ip("@", "2030-01-02T03:04:03.000Z"),
        ip("::ffff:192.0.2.1", "1893553445"),
        ip("[2001:db8::1%eth0]", "just now"),
        pb::OnlineIp::default(),
    ];
    let user_with = pb::OnlineUser { user_id: Some(12), node_protocol_id: Some(6), ips };
    let without = pb::OnlineUser { user_id: Some(13), node_protocol_id: Some(6), ips: vec![] };
    let message = pb::ReportOnlineUsersRequest { auth_key: String::new(), users: vec![user_with, without] };
    let Call::ReportOnlineUsers(online) = call_of(Method::ReportOnlineUsers, &message) else {
        panic!("users")
    };
    assert_eq!((online.users.len(), online.unreadable), (2, 2));
    let seen: Vec<_> = online.users[0]
        .ips
        .iter()
        .map(|ip| (ip.ip.to_string(), ip.last_seen.map(|at| at.to_string())))
        .collect();
    let first = ("192.0.2.1".to_owned(), Some("2030-01-02T03:04:05.000Z".to_owned()));
    assert_eq!(seen, [first, ("2001:db8::1".to_owned(), None)]);
    assert!(online.users[1].ips.is_empty());
    let nobody = pb::OnlineUser { user_id: Some(0), ..Default::default() };
    let message = pb::ReportOnlineUsersRequest { auth_key: String::new(), users: vec![nobody] };
    assert_eq!(refused(Method::ReportOnlineUsers, &message), ("users[0].userId".to_owned(), ID));
}

#[test]
fn bytes_that_are_no_such_message_are_refused_as_a_whole() {
    for bytes in [b"\x12\x01\x35".as_slice(), b"\x0a\x05k", b"\x0a\x02\xc3\x28", b"\xff"] {
        let error = grpc::decode(Method::Heartbeat, bytes).unwrap_err();
        assert_eq!((error.path(), error.error()), ("", ValueError::NotProtobuf), "{bytes:?}");
        let failure = grpc::read_reply(Method::Heartbeat, b"\x08").unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unreadable(error));
        assert_eq!(failure.outcome(), Outcome::Ambiguous);
    }
    let unknown_field = b"\x10\x05\x92\x03\x02\xaa\xbb";
    let (call, _) = grpc::decode(Method::Heartbeat, unknown_field).unwrap();
    assert_eq!(call, Call::Heartbeat(Heartbeat { ip: None, revision: Revision::new(5).ok() }));
}

#[test]
fn what_was_taken_is_acknowledged_by_one_flag() {
    for method in [
        Method::ReportUsage,
        Method::ReportOutboundUsage,
        Method::ConfirmConfigApplied,
        Method::ReportNodeStats,
        Method::ReportOnlineUsers,
    ] {
        for (ok, bytes) in [(true, b"\x08\x01".as_slice()), (false, b"")] {
            assert_eq!(
                grpc::reply(method, &Reply::Acknowledged(Acknowledgement { ok })),
                bytes,
                "{method:?}"
            );
            let read = grpc::read_reply(method, bytes).unwrap();
            assert_eq!(read.is_ok(), ok, "{method:?}");
        }
    }
}

#[test]
fn replies_are_read_by_their_method() {
    let ok = |ok| Reply::Acknowledged(Acknowledgement { ok });
    assert_eq!(grpc::read_reply(Method::ReportUsage, b"\x08\x01"), Ok(ok(true)));
    assert_eq!(grpc::read_reply(Method::ReportUsage, b""), Ok(ok(false)));
    let heartbeat = Reply::Heartbeat(HeartbeatReply { ok: true, need_sync: true });
    assert_eq!(grpc::read_reply(Method::Heartbeat, b"\x08\x01\x10\x01"), Ok(heartbeat));
}

#[test]
fn a_configuration_that_cannot_be_taken_is_told_from_a_reply_that_cannot_be_read() {
    let config = |client_map: &str| pb::GetLatestConfigResponse {
        revision: 6,
        client_map_json: client_map.into(),
        mtproto_client_map_json: "[".into(),
        services_json: String::new(),
    };
    let read = |client_map| grpc::read_reply(Method::GetLatestConfig, &config(client_map).encode_to_vec());
    let Ok(Reply::Config(reply)) = read(r#"{"45":{"userId":12}}"#) else { panic!("a configuration") };
    assert_eq!((reply.config.revision().get(), reply.config.client_map().len()), (6, 1));
    assert_eq!(reply.warnings.len(), 1);
    assert!(matches!(read("{").unwrap_err().kind, FailureKind::Config(_)));
    let negative = pb::GetLatestConfigResponse { revision: -1, ..Default::default() };
    let failure = grpc::read_reply(Method::GetLatestConfig, &negative.encode_to_vec()).unwrap_err();
    assert!(matches!(failure.kind, FailureKind::Config(_)));
}

#[test]
fn refusals_have_the_codes_of_the_table() {
    let invalid = Refusal::Invalid(FieldError::new("ip", ValueError::NotAnAddress));
    assert_eq!(grpc::status(&invalid), (GrpcCode::InvalidArgument, "ip is not an IP address".to_owned()));
    let code = |refusal| grpc::status(&refusal).0;
    assert_eq!(code(Refusal::Unauthorized), GrpcCode::Unauthenticated);
    assert_eq!(code(Refusal::TooLarge), GrpcCode::ResourceExhausted);
    assert_eq!(code(Refusal::Unavailable), GrpcCode::Unavailable);
    assert_eq!(code(Refusal::Unknown), GrpcCode::Unimplemented);
}

#[test]
fn codes_have_the_outcomes_of_the_table() {
    let outcome = |code| Failure::answered(FailureKind::Grpc(code)).outcome();
    for number in 0..=16 {
        let expected = match number {
            8..=10 => Outcome::NotApplied,
            7 | 16 => Outcome::Auth,
            3 | 5 | 6 | 11 => Outcome::Rejected,
            12 => Outcome::Missing,
            _ => Outcome::Ambiguous,
        };
        assert_eq!(outcome(GrpcCode::from_number(number)), expected, "{number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_comes_back(call in support::call(), key in support::secret(), in_field: bool) {
        let placement = if in_field { KeyPlacement::Field } else { KeyPlacement::Metadata };
        let Some(request) = grpc::request(&call, Some(&key), placement) else { return Ok(()) };
        let mut metadata = HeaderMap::new();
        if let Some(value) = request.metadata {
            metadata.insert(KEY_HEADER, value);
        }
        let body = grpc::frame(&request.message);
        let message = grpc::unframe(body, request.message.len()).unwrap();
        let incoming = grpc::read_request(request.path, &metadata, message).unwrap();
        prop_assert_eq!(incoming.method, call.method());
        let Body::Protobuf(message) = incoming.body else { panic!("a message") };
        let (read, field) = grpc::decode(incoming.method, &message).unwrap();
        prop_assert_eq!(read, call);
        let (expected, credential) =
            if in_field { (Some(key), Credential::Absent) } else { (None, Credential::Key(key)) };
        prop_assert_eq!((field, incoming.credential), (expected, credential));
    }

    #[test]
    fn every_reply_comes_back((method, reply) in support::reply()) {
        if method.grpc_path().is_some() {
            prop_assert_eq!(grpc::read_reply(method, &grpc::reply(method, &reply)), Ok(reply));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        for method in Method::ALL {
            if let Ok((call, key)) = grpc::decode(method, &bytes) {
                let again = grpc::request(&call, key.as_ref(), KeyPlacement::Field).unwrap().message;
                prop_assert!(grpc::decode(method, &again).is_ok());
            }
            let _ = grpc::read_reply(method, &bytes);
        }
        let _ = grpc::unframe(bytes.into(), 10);
    }
}
