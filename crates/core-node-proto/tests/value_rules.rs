//! Properties that hold for any value, message and input.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use core_node_proto::Secret;
use core_node_proto::message::*;
use core_node_proto::value::*;
use proptest::prelude::*;
use std::net::IpAddr;
use std::num::NonZeroU16;

fn timestamp() -> impl Strategy<Value = Timestamp> {
    let all = Timestamp::MIN.unix_milliseconds()..=Timestamp::MAX.unix_milliseconds();
    all.prop_map(|at| Timestamp::from_unix_milliseconds(at).unwrap())
}

fn address() -> impl Strategy<Value = Address> {
    any::<IpAddr>().prop_map(Address::from)
}

fn bytes() -> impl Strategy<Value = ByteCount> {
    (0..=ByteCount::MAX_HTTP.get()).prop_map(|bytes| ByteCount::new(bytes).unwrap())
}

fn id() -> std::ops::RangeInclusive<i64> {
    1..=2_147_483_647
}

prop_compose! {
    fn entry()(
        user in id(),
        subscription in prop::option::of(id()),
        inbound in id(),
        bytes_up in bytes(),
        bytes_down in bytes(),
        recorded_at in timestamp(),
    ) -> UsageEntry {
        UsageEntry {
            user_id: UserId::new(user).unwrap(),
            subscription_id: subscription.map(|id| SubscriptionId::new(id).unwrap()),
            node_protocol_id: NodeProtocolId::new(inbound).unwrap(),
            bytes_up,
            bytes_down,
            recorded_at,
        }
    }
}

prop_compose! {
    fn event()(
        user in id(),
        protocol in "\\PC{1,64}",
        event_type in "[a-zA-Z]{1,64}",
        occurred_at in timestamp(),
        ip_address in prop::option::of(address()),
    ) -> SessionEvent {
        SessionEvent {
            user_id: UserId::new(user).unwrap(),
            protocol: VpnProtocol::new(&protocol).unwrap(),
            event_type: SessionEventType::new(&event_type).unwrap(),
            occurred_at,
            ip_address,
        }
    }
}

prop_compose! {
    fn register()(
        code in ".{1,256}",
        name in ".{1,256}",
        ip in address(),
        port in 1_u16..,
        region in ".{1,256}",
        domain in prop::option::of(".{1,256}"),
    ) -> Register {
        Register { code: Secret::new(code), name, ip, port: NonZeroU16::new(port).unwrap(), region, domain }
    }
}

prop_compose! {
    fn item()(tag in ".{1,256}", bytes_up in bytes(), bytes_down in bytes()) -> OutboundItem {
        OutboundItem { tag, bytes_up, bytes_down }
    }
}

fn comes_back<T: HttpBody + PartialEq + std::fmt::Debug>(message: &T) {
    assert_eq!(T::from_json(&message.to_json().unwrap()).as_ref(), Ok(message));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_instant_is_read_as_it_is_written(at in timestamp()) {
        prop_assert_eq!(at.to_string().parse(), Ok(at));
        prop_assert_eq!(at.to_string().len(), 24);
    }

    #[test]
    fn later_instants_have_greater_texts(a in timestamp(), b in timestamp()) {
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn an_address_is_read_as_it_is_written_also_in_brackets(address in address()) {
        prop_assert_eq!(address.to_string().parse(), Ok(address));
        prop_assert_eq!(format!("[{address}]").parse(), Ok(address));
    }

    #[test]
    fn any_text_is_a_value_or_an_error(text in "\\PC{0,40}") {
        let _ = text.parse::<Timestamp>();
        let _ = Timestamp::from_last_seen(&text);
        let _ = text.parse::<Address>();
        let _ = NodeId::from_text(&text).map(|id| assert_eq!(id.to_string(), text));
        let _ = VpnProtocol::new(&text).map(|protocol| assert_eq!(protocol.as_str(), text));
    }

    #[test]
    fn an_instant_with_any_digits_is_a_value_or_an_error(
        text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,10})?(Z|[+-][0-2][0-9]:[0-6][0-9])",
    ) {
        if let Ok(at) = text.parse::<Timestamp>() {
            prop_assert_eq!(at.to_string().parse(), Ok(at));
        }
    }

    #[test]
    fn usage_comes_back(entries in prop::collection::vec(entry(), 0..20)) {
        comes_back(&Usage { entries });
    }

    #[test]
    fn session_events_come_back_with_their_spelling(events in prop::collection::vec(event(), 0..20)) {
        let events = SessionEvents { events };
        comes_back(&events);
        let again = SessionEvents::from_json(&events.to_json().unwrap()).unwrap();
        for (one, other) in events.events.iter().zip(&again.events) {
            prop_assert_eq!(one.protocol.as_str(), other.protocol.as_str());
            prop_assert_eq!(one.event_type.as_str(), other.event_type.as_str());
        }
    }

    #[test]
    fn outbound_usage_comes_back(items in prop::collection::vec(item(), 0..20)) {
        comes_back(&OutboundUsage { items });
    }

    #[test]
    fn a_registration_comes_back(register in register(), key in "[!-~]{1,1024}", id in "\\PC{1,64}") {
        comes_back(&register);
        comes_back(&Registered { auth_key: Secret::new(key), node_id: NodeId::from_text(&id).unwrap() });
    }

    #[test]
    fn small_messages_come_back(
        ip in prop::option::of(address()),
        revision in prop::option::of(0_i64..=2_147_483_647),
        message in ".{1,300}",
        code in prop::option::of(".{0,256}"),
        ok: bool,
        need_sync: bool,
    ) {
        let revision = revision.map(|number| Revision::new(number).unwrap());
        comes_back(&Heartbeat { ip, revision });
        comes_back(&HeartbeatReply { ok, need_sync });
        comes_back(&Acknowledgement { ok });
        comes_back(&ConfigApplied { revision: revision.unwrap_or(Revision::MAX) });
        let details = JsonObject::parse(&serde_json::json!({ "text": &message }).to_string()).ok();
        comes_back(&NodeError { message, code, details });
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Usage::from_json(&body);
        let _ = NodeError::from_json(&body);
    }

    #[test]
    fn a_damaged_body_is_a_message_or_an_error(entries in prop::collection::vec(entry(), 1..4), place: usize, byte: u8) {
        let mut body = Usage { entries }.to_json().unwrap();
        let place = place % body.len();
        body[place] = byte;
        if let Ok(usage) = Usage::from_json(&body) {
            comes_back(&usage);
        }
        body.truncate(place);
        prop_assert_eq!(Usage::from_json(&body).is_err(), true);
    }

    #[test]
    fn statuses_come_back(text in r#"\{"a":\{("(running|error|uptimeSeconds|x)":(true|1|1\.5|-1|"t"|\{\}|\[1\]),){0,3}"z":0\}\}"#) {
        let statuses = MtProtoStatuses::from_json(&text).unwrap();
        prop_assert_eq!(MtProtoStatuses::from_json(&statuses.to_json()), Ok(statuses));
    }
}
