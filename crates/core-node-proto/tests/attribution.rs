//! Names of users and counters, and the lookup of the former.

use core_node_proto::attribution::{Anomaly, Counter, CounterKind, Direction, Identity, Source, attribute};
use core_node_proto::config::{Client, ClientMap};
use core_node_proto::value::{LinkId, LsId, NodeProtocolId, SubscriptionId, UserId};
use proptest::prelude::*;

const MOST: i64 = i32::MAX as i64;

fn user(id: i64) -> UserId {
    UserId::new(id).expect("an id in range")
}

fn subscription(id: i64) -> SubscriptionId {
    SubscriptionId::new(id).expect("an id in range")
}

fn ls(id: i64) -> LsId {
    LsId::new(id).expect("an id in range")
}

fn map(entries: &[(i64, i64, Option<i64>)]) -> ClientMap {
    let client = |&(ls_id, user_id, subscription_id): &(i64, i64, Option<i64>)| {
        let subscription_id = subscription_id.map(subscription);
        (ls(ls_id), Client { user_id: user(user_id), subscription_id })
    };
    entries.iter().map(client).collect()
}

fn identity(ids: [i64; 4]) -> Identity {
    let link_id = LinkId::new(ids[1]).expect("an id in range");
    let proto_id = NodeProtocolId::new(ids[3]).expect("an id in range");
    Identity::new(user(ids[0]), link_id, ls(ids[2]), proto_id)
}

#[test]
fn an_identity_is_read_and_written() {
    let read: Identity = "u12.l3.s45.i6".parse().unwrap();
    assert_eq!(read, identity([12, 3, 45, 6]));
    let ids = [read.user_id().get(), read.link_id().get(), read.ls_id().get(), read.proto_id().get()];
    assert_eq!(ids, [12, 3, 45, 6]);
    assert_eq!(read.to_string(), "u12.l3.s45.i6");
    assert_eq!(identity([i64::from(i32::MAX); 4]).to_string().len(), 47);
}

#[test]
fn nothing_may_stand_around_or_within_an_identity() {
    for name in [
        "",
        "u1.l2.s3",
        "u1.l2.s3.i4.",
        "u1.l2.s3.i4.i5",
        ".u1.l2.s3.i4",
        "u1.l2.s3.i4 ",
        "U1.l2.s3.i4",
        "u1.s3.l2.i4",
        "u01.l2.s3.i4",
        "u0.l2.s3.i4",
        "u2147483648.l2.s3.i4",
        "u1.l2.s3.i18446744073709551617",
        "u1.l2.s3.i٤",
    ] {
        assert!(name.parse::<Identity>().is_err(), "{name:?}");
    }
}

#[test]
fn a_counter_is_read_from_both_ends() {
    let counter = |kind, key, direction| Counter::new(kind, key, direction);
    for (name, expected) in [
        ("user>>>a>>>traffic>>>uplink", counter(CounterKind::User, "a", Direction::Up)),
        ("inbound>>>a>>>b>>>traffic>>>downlink", counter(CounterKind::Inbound, "a>>>b", Direction::Down)),
        (
            "outbound>>>x>>>traffic>>>uplink>>>traffic>>>uplink",
            counter(CounterKind::Outbound, "x>>>traffic>>>uplink", Direction::Up),
        ),
        ("outbound>>>>>>>traffic>>>uplink", counter(CounterKind::Outbound, ">", Direction::Up)),
    ] {
        assert!(expected.is_some());
        assert_eq!(Counter::parse(name), expected, "{name}");
        assert_eq!(expected.unwrap().to_string(), name);
    }
}

#[test]
fn other_counters_are_no_traffic_counters() {
    for name in [
        "",
        "user>>>a>>>online",
        "user>>>>>>traffic>>>uplink",
        "user>>>traffic>>>uplink",
        "user>>>a>>>traffic>>>uplink ",
        "User>>>a>>>traffic>>>uplink",
        "dns>>>a>>>traffic>>>uplink",
        "user>>>a>>>traffic>>>up",
    ] {
        assert_eq!(Counter::parse(name), None, "{name:?}");
    }
    assert_eq!(Counter::new(CounterKind::User, "", Direction::Up), None);
}

#[test]
fn a_client_is_looked_up_in_the_map_in_force_first() {
    let (current, previous) = (map(&[(45, 12, Some(300))]), map(&[(45, 12, Some(299))]));
    let found = attribute("u12.l3.s45.i6", &current, Some(&previous)).unwrap();
    assert_eq!((found.user_id, found.subscription_id), (user(12), Some(subscription(300))));
    assert_eq!(found.proto_id.get(), 6);
    assert_eq!((found.source, found.anomaly), (Source::Current, None));
}

#[test]
fn a_client_that_was_removed_is_found_in_the_previous_map() {
    let previous = map(&[(45, 12, Some(299))]);
    let found = attribute("u12.l3.s45.i6", &map(&[]), Some(&previous)).unwrap();
    assert_eq!((found.user_id, found.subscription_id), (user(12), Some(subscription(299))));
    assert_eq!((found.source, found.anomaly), (Source::Previous, None));
}

#[test]
fn the_map_wins_over_the_user_in_the_name() {
    let anomaly = Anomaly::OtherUser { ls_id: ls(45), in_name: user(12), in_map: user(13) };
    let other = map(&[(45, 13, None)]);
    let found = attribute("u12.l3.s45.i6", &other, None).unwrap();
    assert_eq!((found.user_id, found.subscription_id, found.source), (user(13), None, Source::Current));
    assert_eq!(found.anomaly, Some(anomaly));
    let found = attribute("u12.l3.s45.i6", &map(&[]), Some(&other)).unwrap();
    assert_eq!((found.user_id, found.source, found.anomaly), (user(13), Source::Previous, Some(anomaly)));
    assert_eq!(anomaly.to_string(), "user 12 in the name of link 45, user 13 in the map");
}

#[test]
fn without_an_entry_the_name_tells_the_user() {
    for previous in [None, Some(&map(&[(46, 12, Some(300))]))] {
        let found = attribute("u12.l3.s45.i6", &map(&[]), previous).unwrap();
        assert_eq!((found.user_id, found.subscription_id, found.source), (user(12), None, Source::Name));
        assert_eq!(found.anomaly, Some(Anomaly::UnknownClient { ls_id: ls(45), in_name: user(12) }));
    }
}

#[test]
fn a_name_of_another_form_attributes_nothing() {
    let error = attribute("alice", &map(&[(45, 12, None)]), None).unwrap_err();
    assert_eq!(error.to_string(), "not of the form u{userId}.l{linkId}.s{lsId}.i{protoId}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back_the_same(ids in [1..=MOST, 1..=MOST, 1..=MOST, 1..=MOST]) {
        let identity = identity(ids);
        prop_assert_eq!(identity.to_string().parse(), Ok(identity));
    }

    #[test]
    fn an_identity_has_one_text(name in r"u[0-9+]{0,11}\.l[0-9]{1,2}\.s[0-9]{1,2}\.i[0-9 ]{1,2}") {
        if let Ok(identity) = name.parse::<Identity>() {
            prop_assert_eq!(identity.to_string(), name);
        }
    }

    #[test]
    fn every_key_makes_a_counter(key in "([a>]|\\PC){1,12}", up: bool, kind in 0..3_usize) {
        let kind = [CounterKind::User, CounterKind::Inbound, CounterKind::Outbound][kind];
        let counter = Counter::new(kind, &key, if up { Direction::Up } else { Direction::Down }).unwrap();
        let name = counter.to_string();
        prop_assert_eq!(Counter::parse(&name), Some(counter));
    }

    #[test]
    fn any_name_is_read_or_refused(name in "((user|inbound)>>>)?([ul.>0-9]|\\PC){0,9}(>>>traffic>>>(up|down)link)?") {
        let _ = name.parse::<Identity>();
        if let Some(counter) = Counter::parse(&name) {
            prop_assert_eq!(counter.to_string(), name);
        }
    }
}
