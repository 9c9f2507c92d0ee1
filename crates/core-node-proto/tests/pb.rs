//! The messages against bytes written by hand from the protobuf encoding.

use core_node_proto::pb::*;
use prost::Message;
use std::fmt::Debug;

/// Checks both directions and the length.
#[track_caller]
fn same<M: Message + Default + PartialEq + Debug>(message: M, bytes: &[u8]) {
    assert_eq!(message.encode_to_vec(), bytes);
    assert_eq!(message.encoded_len(), bytes.len());
    assert_eq!(M::decode(bytes), Ok(message));
}

fn refused<M: Message + Default + Debug>(bytes: &[u8]) -> String {
    M::decode(bytes).expect_err("it decodes").to_string()
}

#[test]
fn a_heartbeat_carries_key_revision_and_address() {
    let message = HeartbeatRequest { auth_key: "k".into(), revision: Some(300), ip: Some("::1".into()) };
    same(message, b"\x0a\x01k\x10\xac\x02\x1a\x03::1");
    same(HeartbeatResponse { ok: true, need_sync: true }, b"\x08\x01\x10\x01");
}

#[test]
fn an_absent_revision_differs_from_revision_zero() {
    same(HeartbeatRequest::default(), b"");
    same(HeartbeatRequest { revision: Some(0), ..Default::default() }, b"\x10\x00");
}

#[test]
fn a_usage_report_nests_its_entries_in_order() {
    let known = UsageEntry {
        user_id: Some(1),
        subscription_id: Some(2),
        node_protocol_id: Some(3),
        bytes_up: Some(128),
        bytes_down: Some(i64::MAX),
        recorded_at: Some("t".into()),
    };
    let bare = UsageEntry { user_id: Some(7), ..Default::default() };
    let message = ReportUsageRequest { auth_key: String::new(), entries: vec![known, bare] };
    same(
        message,
        b"\x12\x16\x08\x01\x10\x02\x18\x03\x20\x80\x01\x28\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x32\x01t\x12\x02\x08\x07",
    );
    same(ReportUsageResponse { ok: true }, b"\x08\x01");
}

#[test]
fn an_outbound_report_nests_its_items() {
    let item = OutboundUsageItem { tag: Some("out".into()), bytes_up: Some(1), bytes_down: Some(2) };
    let message = ReportOutboundUsageRequest { auth_key: "k".into(), items: vec![item] };
    same(message, b"\x0a\x01k\x12\x09\x0a\x03out\x10\x01\x18\x02");
    same(ReportOutboundUsageResponse { ok: true }, b"\x08\x01");
}

#[test]
fn a_configuration_carries_its_parts_as_text() {
    same(GetLatestConfigRequest { auth_key: "k".into() }, b"\x0a\x01k");
    let message = GetLatestConfigResponse {
        revision: 5,
        client_map_json: "{}".into(),
        mtproto_client_map_json: "[]".into(),
        services_json: "null".into(),
    };
    same(message, b"\x08\x05\x12\x02{}\x1a\x02[]\x22\x04null");
}

#[test]
fn a_confirmation_names_its_revision() {
    let message = ConfirmConfigAppliedRequest { auth_key: "k".into(), revision: Some(i32::MAX) };
    same(message, b"\x0a\x01k\x10\xff\xff\xff\xff\x07");
    same(ConfirmConfigAppliedResponse { ok: true }, b"\x08\x01");
}

#[test]
fn statistics_carry_rates_as_doubles_and_counters_as_varints() {
    let system = SystemStats {
        uptime_seconds: Some(1),
        cpu_percent: Some(1.5),
        cpu_cores: Some(3),
        ram_used: Some(4),
        ram_total: Some(5),
        disk_used: Some(6),
        disk_total: Some(7),
        net_rx_per_sec: Some(2.0),
        net_tx_per_sec: Some(-0.5),
        net_rx_total: Some(10),
        net_tx_total: Some(11),
    };
    let message = ReportNodeStatsRequest {
        auth_key: "k".into(),
        system: Some(system),
        xray: Some(XrayStats { running: Some(true), uptime_seconds: Some(0) }),
        mtproto_json: Some("{}".into()),
    };
    same(
        message,
        b"\x0a\x01k\x12\x2b\x08\x01\x11\0\0\0\0\0\0\xf8\x3f\x18\x03\x20\x04\x28\x05\x30\x06\x38\x07\
          \x41\0\0\0\0\0\0\0\x40\x49\0\0\0\0\0\0\xe0\xbf\x50\x0a\x58\x0b\x1a\x04\x08\x01\x10\x00\x22\x02{}",
    );
    same(XrayStats::default(), b"");
    same(ReportNodeStatsResponse { ok: true }, b"\x08\x01");
}

#[test]
fn online_users_nest_their_addresses() {
    let ips = vec![OnlineIp { ip: Some("::1".into()), last_seen: Some("t".into()) }];
    let users = vec![OnlineUser { user_id: Some(1), node_protocol_id: Some(2), ips }];
    let message = ReportOnlineUsersRequest { auth_key: "k".into(), users };
    same(message, b"\x0a\x01k\x12\x0e\x08\x01\x10\x02\x1a\x08\x0a\x03::1\x12\x01t");
    same(ReportOnlineUsersRequest { auth_key: "k".into(), users: vec![] }, b"\x0a\x01k");
    same(ReportOnlineUsersResponse { ok: true }, b"\x08\x01");
}

#[test]
fn a_zero_that_a_node_writes_is_on_the_wire() {
    same(XrayStats { running: Some(false), uptime_seconds: None }, b"\x08\0");
    same(
        OutboundUsageItem { tag: Some(String::new()), bytes_up: Some(0), bytes_down: None },
        b"\x0a\0\x10\0",
    );
    same(SystemStats { cpu_percent: Some(0.0), ..Default::default() }, b"\x11\0\0\0\0\0\0\0\0");
    same(ConfirmConfigAppliedRequest { auth_key: String::new(), revision: Some(0) }, b"\x10\0");
}

#[test]
fn unknown_fields_of_every_wire_type_are_skipped() {
    let bytes = b"\x78\x2a\x79\0\0\0\0\0\0\0\0\x7a\x02hi\x7b\x08\x01\x7c\x7d\0\0\0\0\x08\x01";
    assert_eq!(HeartbeatResponse::decode(&bytes[..]), Ok(HeartbeatResponse { ok: true, need_sync: false }));
}

#[test]
fn the_last_of_a_repeated_scalar_counts() {
    let message = HeartbeatRequest::decode(&b"\x10\x01\x0a\x01a\x10\x02\x0a\x01b"[..]);
    assert_eq!(message, Ok(HeartbeatRequest { auth_key: "b".into(), revision: Some(2), ip: None }));
}

#[test]
fn an_embedded_message_that_comes_twice_is_merged() {
    let message =
        ReportNodeStatsRequest::decode(&b"\x1a\x02\x08\x01\x1a\x02\x10\x09"[..]).expect("it decodes");
    assert_eq!(message.xray, Some(XrayStats { running: Some(true), uptime_seconds: Some(9) }));
}

#[test]
fn a_message_cut_anywhere_inside_a_field_is_refused() {
    let whole = b"\x0a\x01k\x10\xac\x02\x1a\x03::1";
    let ends_of_fields = [0, 3, 6, 11];
    for end in 0..=whole.len() {
        let decoded = HeartbeatRequest::decode(&whole[..end]);
        assert_eq!(decoded.is_ok(), ends_of_fields.contains(&end), "cut at {end}");
    }
}

#[test]
fn a_length_beyond_the_end_is_refused_without_taking_memory() {
    refused::<HeartbeatRequest>(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7fk");
    refused::<ReportUsageRequest>(b"\x12\xff\xff\xff\xff\x0f\x08\x01");
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let error = refused::<HeartbeatRequest>(b"\x0a\x02\xc3\x28");
    assert!(error.contains("auth_key"), "{error}");
    refused::<OnlineIp>(b"\x12\x01\xff");
}

#[test]
fn a_known_field_of_another_wire_type_is_refused() {
    refused::<HeartbeatRequest>(b"\x08\x01"); // text expected, varint came
    refused::<HeartbeatRequest>(b"\x12\x01\x31"); // varint expected, text came
    refused::<SystemStats>(b"\x10\x01"); // double expected, varint came
    refused::<SystemStats>(b"\x15\0\0\0\0"); // double expected, float came
    refused::<OnlineIp>(b"\x10\x01"); // an instant as a number
}

#[test]
fn field_number_zero_and_endless_varints_are_refused() {
    refused::<HeartbeatResponse>(b"\x00\x01");
    refused::<HeartbeatResponse>(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
}

#[test]
fn a_large_varint_loses_its_upper_bits_in_a_32_bit_field() {
    let of = |bytes: &[u8]| HeartbeatRequest::decode(bytes).map(|message| message.revision);
    assert_eq!(of(b"\x10\x80\x80\x80\x80\x08"), Ok(Some(i32::MIN))); // 2^31
    assert_eq!(of(b"\x10\x85\x80\x80\x80\x10"), Ok(Some(5))); // 2^32 + 5
}

#[test]
fn a_negative_number_takes_ten_bytes() {
    let message = ConfirmConfigAppliedRequest { auth_key: String::new(), revision: Some(-1) };
    same(message, b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
}

#[test]
fn debug_output_shows_no_key_and_no_json() {
    let key = || String::from("secret");
    let shown = [
        format!("{:?}", HeartbeatRequest { auth_key: key(), revision: Some(4), ip: None }),
        format!("{:?}", ReportUsageRequest { auth_key: key(), entries: vec![] }),
        format!("{:?}", ReportOutboundUsageRequest { auth_key: key(), items: vec![] }),
        format!("{:?}", GetLatestConfigRequest { auth_key: key() }),
        format!("{:?}", ConfirmConfigAppliedRequest { auth_key: key(), revision: Some(4) }),
        format!(
            "{:?}",
            ReportNodeStatsRequest { auth_key: key(), mtproto_json: Some(key()), ..Default::default() }
        ),
        format!("{:?}", ReportOnlineUsersRequest { auth_key: key(), users: vec![] }),
        format!(
            "{:?}",
            GetLatestConfigResponse {
                revision: 4,
                client_map_json: key(),
                mtproto_client_map_json: key(),
                services_json: key()
            }
        ),
    ];
    for text in &shown {
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(shown[0], "HeartbeatRequest { revision: Some(4), ip: None, .. }");
    assert!(shown[7].contains("services_json: 6"), "{}", shown[7]);
}
