//! The conversions of the crate, unchanged, over the code made from another schema: other numbers, other types, other
//! spelling, more fields. What `src/grpc/convert.rs` calls `crate::` is this file.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[path = "permuted/grpc.rs"]
mod grpc;
#[rustfmt::skip]
#[expect(unreachable_pub, reason = "generated")]
#[path = "permuted/nodeservice.rs"]
mod pb;
mod support;

use core_node_proto::{Method, Secret, call, config, message, value};

use call::{Call, Reply};
use message::*;
use proptest::prelude::*;
use value::*;

#[test]
fn the_bytes_are_those_of_the_other_schema() {
    let entry = UsageEntry {
        user_id: UserId::new(12).unwrap(),
        subscription_id: None,
        node_protocol_id: NodeProtocolId::new(6).unwrap(),
        bytes_up: ByteCount::new(1).unwrap(),
        bytes_down: ByteCount::ZERO,
        recorded_at: "2030-01-02T03:04:05.678Z".parse().unwrap(),
    };
    let usage = Call::ReportUsage(Usage { entries: vec![entry] });
    let bytes = grpc::write_call(&usage, Some(&Secret::new("k"))).unwrap();
    let expected =
        b"\x0a\x2a\x0a\x182030-01-02T03:04:05.678Z\x19\0\0\0\0\0\0\xf0\x3f\x25\x06\0\0\0\x30\x0c\x12\x01k";
    assert_eq!(bytes, expected);
    assert_eq!(grpc::read_call(Method::ReportUsage, &bytes), Ok((usage, Some(Secret::new("k")))));
}

#[test]
fn an_instant_as_a_number_counts_milliseconds() {
    let last_seen = Some("2030-01-02T03:04:05.678Z".parse().unwrap());
    let ip = OnlineIp { ip: "192.0.2.1".parse().unwrap(), last_seen };
    let (user_id, node_protocol_id) = (UserId::new(1).unwrap(), NodeProtocolId::new(2).unwrap());
    let users = vec![OnlineUser { user_id, node_protocol_id, ips: vec![ip] }];
    let bytes =
        grpc::write_call(&Call::ReportOnlineUsers(OnlineUsers { users, unreadable: 0 }), None).unwrap();
    let milliseconds = 1_893_553_445_678_i64;
    let message: pb::ReportOnlineUsersRequest = prost::Message::decode(&bytes[..]).unwrap();
    assert_eq!(message.users[0].ips[0].last_seen, milliseconds);
}

#[test]
fn values_keep_their_rules_whatever_their_types() {
    let wrong = |message: pb::UsageEntry| {
        let request = pb::ReportUsageRequest { entries: vec![message], ..Default::default() };
        let error =
            grpc::read_call(Method::ReportUsage, &prost::Message::encode_to_vec(&request)).unwrap_err();
        (error.path().to_owned(), error.error())
    };
    let good = pb::UsageEntry {
        recorded_at: "2030-01-02T03:04:05.678Z".to_owned(),
        user_id: 1,
        node_protocol_id: 2,
        ..Default::default()
    };
    let bytes = ValueError::OutOfRange { least: 0, most: i64::MAX as u64 };
    let ids = ValueError::OutOfRange { least: 1, most: i32::MAX as u64 };
    for (entry, path, error) in [
        (pb::UsageEntry { bytes_up: -1.0, ..good.clone() }, "bytesUp", bytes),
        (pb::UsageEntry { bytes_down: 1e300, ..good.clone() }, "bytesDown", bytes),
        (pb::UsageEntry { bytes_down: 0.5, ..good.clone() }, "bytesDown", ValueError::NotWhole),
        (pb::UsageEntry { bytes_down: f64::NAN, ..good.clone() }, "bytesDown", ValueError::NotWhole),
        (pb::UsageEntry { user_id: u64::MAX, ..good.clone() }, "userId", ids),
        (pb::UsageEntry { node_protocol_id: u32::MAX, ..good.clone() }, "nodeProtocolId", ids),
        (pb::UsageEntry { subscription_id: -1, ..good.clone() }, "subscriptionId", ids),
    ] {
        assert_eq!(wrong(entry), (format!("entries[0].{path}"), error));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_comes_back(call in support::call(), key in proptest::option::of(support::secret())) {
        match grpc::write_call(&call, key.as_ref()) {
            Some(bytes) => prop_assert_eq!(grpc::read_call(call.method(), &bytes), Ok((call, key))),
            None => prop_assert_eq!(call.method().grpc_path(), None),
        }
    }

    #[test]
    fn every_reply_comes_back((method, reply) in support::reply()) {
        if method.grpc_path().is_some() {
            let bytes = grpc::write_reply(method, &reply);
            let same = matches!(grpc::read_reply(method, &bytes), Ok(read) if read == reply);
            prop_assert!(same, "{method:?} {reply:?}");
        }
    }
}

#[test]
fn a_reply_says_ok_in_its_own_field() {
    let reply = Reply::Acknowledged(Acknowledgement { ok: true });
    let bytes = |method| grpc::write_reply(method, &reply);
    assert_eq!(bytes(Method::ReportUsage), b"\x20\x01");
    assert_eq!(bytes(Method::ReportOutboundUsage), b"\x18\x01");
    assert_eq!(bytes(Method::ConfirmConfigApplied), b"\x10\x01");
}
