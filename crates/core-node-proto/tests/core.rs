//! Core, one behaviour a test: registration and keys (§2, §3), nodes and their configuration (§11), reports (§9.4, §10).
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[path = "core_support/fixture.rs"]
#[allow(dead_code, reason = "each file uses its own part")]
mod fixture;

use core_node_proto::call::{Body, Call, Credential, Incoming, KeyPlacement, Reply};
use core_node_proto::core::{
    Audience, CommandError, Config, ConfigError, ConfigParts, Confirmation, Core, Entropy, NeedSync, Stored,
};
use core_node_proto::http::Base;
use core_node_proto::message::{JsonObject, NodeError};
use core_node_proto::value::{NodeStatus, SyncStatus};
use core_node_proto::{Method, Secret, grpc, http};
use fixture::{BEGIN, CODE, Fixture, applied, at, error, heartbeat, node, register, revision};
use std::time::Duration;
use testkit::epoch;
use testkit::secrets::{assert_no_secret, marked};

// §3: registration

#[test]
fn a_registration_is_answered_once_the_node_is_stored_and_its_code_used() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    assert_eq!(fixture.call(0, register(CODE)), ["store: code used; node 3 pending pending"]);
    assert!(fixture.core.node(&node(3)).is_none());
    assert_eq!(fixture.succeed(), ["event: node 3 registered", "reply: node 3"]);
    let record = fixture.node(3);
    assert_eq!((&*record.name, record.revision, &record.domain), ("fra-1", None, &None));
    assert_eq!(fixture.core.nodes().count(), 3);
}

#[test]
fn a_registered_node_is_known_by_the_key_that_it_got() {
    let mut fixture = Fixture::new();
    fixture.call(0, register(CODE));
    let Some((_, Reply::Registered(registered))) = fixture.replies.pop() else { panic!() };
    assert_eq!(registered.check(), Ok(()));
    let incoming = Incoming {
        method: Method::Heartbeat,
        credential: Credential::Key(registered.auth_key),
        body: Body::Call(heartbeat(None)),
    };
    assert_eq!(
        fixture.incoming(incoming),
        ["store: node 3 online pending", "event: node 3 is online", "reply: ok, sync"]
    );
}

#[test]
fn a_code_admits_one_node() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.call(0, register(CODE)).len(), 3);
    let refused = ["event: registration refused", "refused: unauthorized"];
    assert_eq!(fixture.call(0, register(CODE)), refused);
    assert_eq!(fixture.call(0, register(CODE + 1)), refused, "an unknown code gets the same answer");
    fixture.restart();
    assert_eq!(fixture.call(0, register(CODE)), refused);
}

#[test]
fn a_code_is_reserved_while_its_registration_is_stored_and_free_again_if_that_fails() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    fixture.call(0, register(CODE));
    assert_eq!(fixture.call(0, register(CODE)), ["event: registration refused", "refused: unauthorized"]);
    assert_eq!(fixture.fail(), ["event: not stored", "refused: unavailable"]);
    assert_eq!(fixture.core.nodes().count(), 2);
    assert_eq!(fixture.call(0, register(CODE)), ["store: code used; node 4 pending pending"]);
    assert_eq!(fixture.succeed(), ["event: node 4 registered", "reply: node 4"]);
}

#[test]
fn a_body_that_is_refused_does_not_use_the_code_up() {
    let mut fixture = Fixture::new();
    let Call::Register(mut nameless) = register(CODE) else { panic!() };
    nameless.name = String::new();
    let lines = fixture.call(0, Call::Register(nameless));
    assert_eq!(lines, ["refused: name does not have 1 to 256 characters"]);
    assert_eq!(fixture.call(0, register(CODE)).len(), 3);
}

#[test]
fn a_code_counts_until_it_ends_and_no_longer_when_it_is_removed() {
    let mut fixture = Fixture::new();
    let code = Secret::new(marked(CODE + 1));
    let expires = Some(at("2030-01-02T03:04:06.000Z"));
    fixture.core.add_code(&code, expires, fixture.now).unwrap();
    assert_eq!(fixture.drain(), ["store: code", "event: stored"]);
    fixture.core.add_code(&Secret::new(marked(CODE + 2)), None, fixture.now).unwrap();
    fixture.core.remove_code(&Secret::new(marked(CODE)), fixture.now).unwrap();
    fixture.drain();
    assert_eq!(fixture.call(0, register(CODE))[1], "refused: unauthorized");
    fixture.wait(1000);
    assert_eq!(fixture.call(0, register(CODE + 1))[1], "refused: unauthorized");
    assert_eq!(fixture.call(0, register(CODE + 2))[2], "reply: node 3");
    assert_eq!(
        fixture.core.add_code(&Secret::new(""), None, fixture.now),
        Err(CommandError::Text),
        "no registration can have an empty code"
    );
}

#[test]
fn ids_and_keys_are_never_given_twice() {
    let mut fixture = Fixture::new();
    fixture.core.add_code(&Secret::new(marked(CODE + 1)), None, fixture.now).unwrap();
    fixture.drain();
    fixture.call(0, register(CODE));
    fixture.core.remove_node(&node(3), fixture.now).unwrap();
    fixture.drain();
    fixture.restart();
    assert_eq!(fixture.call(0, register(CODE + 1))[2], "reply: node 4");
    let keys = fixture.replies.iter().map(|(_, reply)| match reply {
        Reply::Registered(registered) => registered.auth_key.expose().to_owned(),
        _ => panic!(),
    });
    let keys: Vec<_> = keys.collect();
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn there_are_only_so_many_nodes() {
    let mut fixture = Fixture::with(|config| config.max_nodes = 3);
    fixture.core.add_code(&Secret::new(marked(CODE + 1)), None, fixture.now).unwrap();
    fixture.drain();
    fixture.stores = false;
    fixture.call(0, register(CODE));
    assert_eq!(fixture.call(0, register(CODE + 1)), ["refused: unavailable"]);
    fixture.fail();
    assert_eq!(fixture.call(0, register(CODE + 1)).len(), 1);
}

// §2: keys

#[test]
fn a_call_without_a_known_key_is_unauthorized() {
    let mut fixture = Fixture::new();
    let refused = ["event: Heartbeat unauthorized", "refused: unauthorized"];
    assert_eq!(fixture.call(0, heartbeat(0)), refused);
    assert_eq!(fixture.call(3, heartbeat(0)), refused);
    for credential in [Credential::Unusable, Credential::Key(Secret::default())] {
        let body = Body::Call(heartbeat(0));
        assert_eq!(fixture.incoming(Incoming { method: Method::Heartbeat, credential, body }), refused);
    }
}

#[test]
fn the_key_is_checked_before_the_body() {
    let mut fixture = Fixture::new();
    let post = |key: &str, body: &'static str| {
        let request = ::http::Request::post("/node/heartbeat").header("x-node-auth-key", key);
        http::read_request(request.body(body.into()).unwrap()).unwrap()
    };
    assert_eq!(fixture.incoming(post(&marked(9), "{"))[1], "refused: unauthorized");
    assert_eq!(fixture.incoming(post(&marked(1), "{")), ["refused: the message is not JSON"]);
    assert_eq!(fixture.incoming(post(&marked(1), "")).last().unwrap(), "reply: ok, sync");
}

#[test]
fn over_grpc_metadata_decides_and_the_field_counts_without_it() {
    let mut fixture = Fixture::new();
    let (mine, other) = (Secret::new(marked(1)), Secret::new(marked(9)));
    for (metadata, field, is_known) in [
        (Some(&mine), None, true),
        (Some(&mine), Some(&other), true),
        (Some(&other), Some(&mine), false),
        (None, Some(&mine), true),
        (None, Some(&other), false),
        (None, None, false),
    ] {
        let message = grpc::request(&heartbeat(0), field, KeyPlacement::Field).unwrap().message;
        let credential = metadata.map_or(Credential::Absent, |key| Credential::Key(key.clone()));
        let body = Body::Protobuf(message);
        let lines = fixture.incoming(Incoming { method: Method::Heartbeat, credential, body });
        let last = if is_known { "reply: ok" } else { "refused: unauthorized" };
        assert_eq!(lines.last().unwrap(), last, "{metadata:?} {field:?}");
    }
}

#[test]
fn a_call_that_does_not_travel_this_way_is_unknown() {
    let mut fixture = Fixture::new();
    let key = || Credential::Key(Secret::new(marked(1)));
    for (method, body) in [
        (Method::ReportNodeStats, Body::Json("{}".into())),
        (Method::ReportError, Body::Protobuf("".into())),
        (Method::Register, Body::Protobuf("".into())),
        (Method::Heartbeat, Body::Call(Call::GetLatestConfig)),
        (Method::Heartbeat, Body::Call(register(CODE))),
        (Method::Register, Body::Call(heartbeat(0))),
    ] {
        let lines = fixture.incoming(Incoming { method, credential: key(), body });
        assert_eq!(lines, ["refused: not found"], "{method:?}");
    }
}

#[test]
fn bodies_and_reports_have_limits() {
    let mut fixture = Fixture::with(|config| {
        config.max_http_body = 40;
        config.max_grpc_message = 30;
        config.max_stats_message = 20;
        config.max_items = 2;
    });
    let key = || Credential::Key(Secret::new(marked(1)));
    let mut send =
        |method, body| fixture.incoming(Incoming { method, credential: key(), body }).pop().unwrap();
    let json = |length: usize| Body::Json(format!("{:length$}", "{}").into());
    let protobuf = |length: usize| Body::Protobuf(vec![0; length].into());
    assert_eq!(send(Method::Heartbeat, json(40)), "reply: ok, sync");
    assert_eq!(send(Method::Heartbeat, json(41)), "refused: too large");
    assert_eq!(send(Method::Heartbeat, protobuf(31)), "refused: too large");
    assert_eq!(send(Method::ReportNodeStats, protobuf(21)), "refused: too large");
    assert_ne!(send(Method::Heartbeat, protobuf(30)), "refused: too large");
    let entry = fixture::entry(1, 2, BEGIN);
    assert_eq!(fixture.call(1, fixture::usage(&[entry; 2])).last().unwrap(), "reply: ok");
    assert_eq!(fixture.call(1, fixture::usage(&[entry; 3])), ["refused: too large"]);
}

// §11: heartbeats, confirmations, errors

#[test]
fn a_heartbeat_is_stored_with_its_time_revision_and_address() {
    let mut fixture = Fixture::new();
    let Call::Heartbeat(mut alive) = heartbeat(0) else { panic!() };
    alive.ip = Some("198.51.100.9".parse().unwrap());
    fixture.wait(1500);
    assert_eq!(
        fixture.call(2, Call::Heartbeat(alive)),
        ["store: node 2 online pending", "event: node 2 is online", "reply: ok"]
    );
    let record = fixture.node(2);
    assert_eq!(record.last_seen_at, Some(at("2030-01-02T03:04:06.500Z")));
    assert_eq!((record.revision, record.ip.to_string().as_str()), (Some(revision(0)), "198.51.100.9"));
    fixture.call(2, heartbeat(None));
    assert_eq!(fixture.node(2).revision, Some(revision(0)), "what is absent stays");
}

#[test]
fn a_node_that_is_behind_is_to_fetch_and_one_that_is_ahead_is_told_of_once() {
    let mut fixture = Fixture::new();
    publish(&mut fixture);
    assert_eq!(fixture.call(1, heartbeat(None)).last().unwrap(), "reply: ok, sync");
    assert_eq!(fixture.call(1, heartbeat(0)).last().unwrap(), "reply: ok, sync");
    assert_eq!(fixture.call(1, heartbeat(1)).last().unwrap(), "reply: ok");
    let ahead = ["store: node 1 online pending", "event: node 1 has 9, not 1", "reply: ok"];
    assert_eq!(fixture.call(1, heartbeat(9)), ahead);
    assert_eq!(fixture.call(1, heartbeat(9)), [ahead[0], ahead[2]]);
}

#[test]
fn under_differs_a_node_that_is_ahead_is_to_fetch() {
    let mut fixture = Fixture::with(|config| config.need_sync = NeedSync::Differs);
    assert_eq!(fixture.call(1, heartbeat(9)).last().unwrap(), "reply: ok, sync");
    assert_eq!(fixture.call(1, heartbeat(0)).last().unwrap(), "reply: ok");
}

#[test]
fn only_a_confirmation_of_the_current_revision_clears_an_error() {
    let mut fixture = Fixture::new();
    assert_eq!(
        fixture.call(1, error("xray did not start")),
        [
            "store: node 1 error failed",
            "event: node 1 says xray did not start",
            "event: node 1 is error",
            "event: configuration of node 1 is failed",
            "reply: ok"
        ]
    );
    fixture.call(1, heartbeat(0));
    assert_eq!(fixture.node(1).node_status, NodeStatus::ERROR);
    fixture.restart();
    assert_eq!(fixture.node(1).last_error.as_ref().unwrap().message, "xray did not start");
    fixture.call(1, applied(0));
    let record = fixture.node(1);
    assert_eq!((&record.node_status, &record.sync_status), (&NodeStatus::ONLINE, &SyncStatus::SYNCED));
    assert_eq!(record.last_error, None);
}

#[test]
fn an_old_revision_is_noted_and_one_that_was_never_published_is_refused() {
    let mut fixture = Fixture::new();
    publish(&mut fixture);
    assert_eq!(fixture.call(1, applied(2)), ["refused: revision is not from 0 to 1"]);
    assert_eq!(fixture.call(1, applied(0)), ["store: node 1 online pending", "reply: ok"]);
    assert_eq!(
        fixture.call(1, applied(1)),
        ["store: node 1 online synced", "event: configuration of node 1 is synced", "reply: ok"]
    );
}

#[test]
fn under_document_every_confirmation_makes_the_node_synced() {
    let mut fixture = Fixture::with(|config| config.confirmation = Confirmation::Document);
    assert_eq!(fixture.call(2, applied(9)).last().unwrap(), "reply: ok");
    let record = fixture.node(2);
    assert_eq!((&record.sync_status, record.revision), (&SyncStatus::SYNCED, Some(revision(9))));
}

#[test]
fn a_failed_transaction_leaves_the_node_as_it_is_stored() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    fixture.call(1, error("broken"));
    assert_eq!(fixture.fail(), ["event: not stored", "refused: unavailable"]);
    assert_eq!(fixture.node(1).node_status, NodeStatus::ONLINE);
    assert_eq!(fixture.call(1, heartbeat(0)), ["store: node 1 online synced"], "nothing of it remains");
}

#[test]
fn changes_of_a_node_build_on_those_that_are_being_stored() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    fixture.call(1, error("broken"));
    assert_eq!(fixture.call(1, heartbeat(0)), ["store: node 1 error failed"]);
    fixture.succeed();
    assert_eq!(fixture.succeed(), ["reply: ok"]);
    assert_eq!(fixture.node(1).node_status, NodeStatus::ERROR);
}

#[test]
fn a_change_that_failed_is_not_in_those_that_were_made_after_it() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    fixture.call(1, error("broken"));
    fixture.core.set_domain(&node(1), Some("n1.example".into()), fixture.now).unwrap();
    fixture.drain();
    fixture.call(1, heartbeat(0));
    assert_eq!(fixture.fail(), ["event: not stored", "refused: unavailable"]);
    assert_eq!(fixture.fail(), ["event: not stored"]);
    assert_eq!(fixture.succeed(), ["store: node 1 online synced", "reply: ok"]);
    assert_eq!(fixture.node(1).node_status, NodeStatus::ONLINE);
    assert_eq!(fixture.succeed(), [""; 0]);
    let stored = &fixture.tables.nodes[&node(1)];
    assert_eq!((&**stored, &stored.domain, &stored.last_error), (fixture.node(1), &None, &None));
    assert_eq!(stored.last_seen_at, Some(at(BEGIN)), "the heartbeat counts");
}

#[test]
fn a_record_that_is_stored_wrong_is_set_right_however_often_that_fails() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    fixture.call(2, applied(0));
    fixture.call(2, heartbeat(0));
    fixture.fail();
    assert_eq!(fixture.succeed(), ["event: node 2 is online", "store: node 2 online pending", "reply: ok"]);
    assert_eq!(fixture.tables.nodes[&node(2)].sync_status, SyncStatus::SYNCED);
    assert_eq!(fixture.fail(), ["event: not stored"]);
    assert_eq!(fixture.wait(5_000), ["store: node 2 online pending"]);
    fixture.succeed();
    assert_eq!(&*fixture.tables.nodes[&node(2)], fixture.node(2));
    assert_eq!(fixture.core.poll_timeout(), None);
}

#[test]
fn what_a_node_says_of_an_error_is_stored_and_not_shown() {
    let mut fixture = Fixture::new();
    let text = marked(50);
    let details = JsonObject::parse(&format!(r#"{{"at":"{text}"}}"#)).unwrap();
    let report = NodeError { message: text, code: Some("XRAY".into()), details: Some(details) };
    let call = Call::ReportError(report);
    assert_no_secret(&format!("{call:?}"), "a call");
    fixture.call(1, call); // looks at the outputs
    assert_no_secret(&format!("{:?}", fixture.node(1)), "a record");
    let shown = format!("{:?}", fixture.node(1).last_error.as_ref().unwrap());
    assert!(shown.contains("XRAY"), "{shown}");
}

#[test]
fn outcomes_count_in_the_order_of_their_transactions() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    fixture.call(1, heartbeat(0));
    fixture.call(2, heartbeat(0));
    let (later, _) = fixture.open.pop_back().unwrap();
    fixture.core.handle_stored(later, Ok(()), fixture.now);
    assert_eq!(fixture.drain(), [""; 0]);
    assert_eq!(fixture.succeed(), ["reply: ok", "event: node 2 is online", "reply: ok"]);
    fixture.core.handle_stored(later, Ok(()), fixture.now);
    assert_eq!(fixture.drain(), [""; 0], "an outcome counts once");
}

#[test]
fn a_cancelled_call_is_not_answered_and_stored_all_the_same() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    let incoming = Incoming {
        method: Method::Heartbeat,
        credential: Credential::Key(Secret::new(marked(2))),
        body: Body::Call(heartbeat(0)),
    };
    let id = fixture.core.handle_call(incoming, fixture.now);
    fixture.drain();
    fixture.core.handle_cancel(id, fixture.now);
    assert_eq!(fixture.core.waiting(), 0);
    assert_eq!(fixture.succeed(), ["event: node 2 is online"]);
}

#[test]
fn only_so_many_calls_and_commands_may_wait_to_be_stored() {
    let mut fixture = Fixture::with(|config| config.max_pending = 2);
    fixture.stores = false;
    fixture.call(1, heartbeat(0));
    fixture.call(2, heartbeat(0));
    assert_eq!(fixture.call(1, heartbeat(0)), ["refused: unavailable"]);
    assert_eq!(fixture.call(1, Call::GetLatestConfig), ["reply: revision 0"]);
    let refused = fixture.core.publish(ConfigParts::default(), Audience::All, fixture.now);
    assert_eq!(refused, Err(CommandError::TooManyPending));
    fixture.succeed();
    assert_eq!(fixture.call(1, heartbeat(0)).len(), 1);
}

// §11: the timer

#[test]
fn a_node_that_is_silent_for_longer_than_a_minute_is_offline() {
    let mut fixture = timed();
    fixture.call(1, heartbeat(0));
    assert_eq!(fixture.wait(60_000), [""; 0]);
    assert_eq!(fixture.core.poll_timeout(), Some(fixture.now + Duration::from_millis(1)));
    assert_eq!(fixture.wait(1), ["store: node 1 offline synced", "event: node 1 is offline"]);
    assert_eq!(fixture.core.poll_timeout(), None);
    assert_eq!(fixture.call(1, heartbeat(0))[1], "event: node 1 is online");
    assert!(fixture.core.poll_timeout().is_some());
}

#[test]
fn what_is_stored_of_a_node_without_a_heartbeat_is_no_sign_of_life() {
    let mut fixture = timed();
    fixture.call(1, heartbeat(0));
    fixture.wait(59_000);
    fixture.call(1, applied(0));
    fixture.core.set_domain(&node(1), Some("n1.example".into()), fixture.now).unwrap();
    fixture.drain();
    assert_eq!(fixture.wait(1_001)[1..], ["event: node 1 is offline"]);
}

#[test]
fn a_heartbeat_puts_the_end_off() {
    let mut fixture = timed();
    fixture.call(1, heartbeat(0));
    fixture.wait(30_000);
    fixture.call(1, heartbeat(0));
    assert_eq!(fixture.wait(30_001), [""; 0]);
    assert_eq!(fixture.wait(30_000).len(), 2);
}

#[test]
fn nodes_that_are_pending_or_in_error_do_not_go_offline() {
    let mut fixture = timed();
    fixture.call(1, error("broken"));
    assert_eq!(fixture.wait(600_000), [""; 0]);
    assert_eq!(fixture.node(2).node_status, NodeStatus::PENDING);
}

#[test]
fn that_a_node_is_offline_is_stored_again_after_a_failure() {
    let mut fixture = timed();
    fixture.stores = false;
    assert_eq!(fixture.wait(60_001), ["store: node 1 offline synced"]);
    assert_eq!(fixture.fail(), ["event: not stored"]);
    assert_eq!(fixture.wait(4_999), [""; 0]);
    assert_eq!(fixture.wait(1), ["store: node 1 offline synced"]);
    assert_eq!(fixture.succeed(), ["event: node 1 is offline"]);
}

#[test]
fn a_heartbeat_that_is_being_stored_is_a_sign_of_life() {
    let mut fixture = timed();
    fixture.wait(59_000);
    fixture.stores = false;
    fixture.call(1, heartbeat(0));
    assert_eq!(fixture.wait(2_000), [""; 0]);
    fixture.succeed();
    assert_eq!(fixture.wait(58_000), [""; 0]);
    assert_eq!(fixture.wait(1), ["store: node 1 offline synced"]);
}

#[test]
fn after_a_restart_nodes_have_time_to_be_heard_of() {
    let mut fixture = timed();
    fixture.call(1, heartbeat(0));
    fixture.now += Duration::from_secs(3600);
    fixture.restart();
    assert_eq!(fixture.wait(60_000), [""; 0]);
    assert_eq!(fixture.wait(1).len(), 2);
}

// §11: publishing

#[test]
fn a_configuration_is_handed_out_once_it_is_stored() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    let published = fixture.core.publish(ConfigParts::default(), Audience::All, fixture.now);
    assert_eq!((published, fixture.drain()), (Ok(revision(1)), vec!["store: revision 1".to_owned()]));
    assert_eq!(fixture.call(1, Call::GetLatestConfig), ["reply: revision 0"]);
    assert_eq!(
        fixture.succeed(),
        ["event: revision 1 published", "event: configuration of node 1 is pending"]
    );
    assert_eq!(fixture.call(1, Call::GetLatestConfig), ["reply: revision 1"]);
    assert_eq!(fixture.tables.nodes[&node(1)].sync_status, SyncStatus::PENDING, "it is stored with it");
}

#[test]
fn one_that_cannot_be_stored_is_not_and_its_revision_is_not_used_again() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    fixture.core.publish(ConfigParts::default(), Audience::All, fixture.now).unwrap();
    fixture.drain();
    assert_eq!(fixture.fail(), ["event: revision 1 not published", "event: not stored"]);
    assert_eq!(fixture.node(1).sync_status, SyncStatus::SYNCED);
    let next = fixture.core.publish(ConfigParts::default(), Audience::All, fixture.now);
    assert_eq!(next, Ok(revision(2)));
}

#[test]
fn a_node_may_have_a_configuration_of_its_own_until_one_is_for_all() {
    let mut fixture = Fixture::new();
    let own = fixture.core.publish(ConfigParts::default(), Audience::Node(node(2)), fixture.now);
    assert_eq!(own, Ok(revision(1)));
    fixture.drain();
    assert_eq!(fixture.call(1, heartbeat(0)).last().unwrap(), "reply: ok");
    assert_eq!(fixture.call(1, applied(1)), ["refused: revision is not from 0 to 0"]);
    assert_eq!(fixture.call(2, heartbeat(0)).last().unwrap(), "reply: ok, sync");
    fixture.restart();
    assert_eq!(fixture.call(2, Call::GetLatestConfig), ["reply: revision 1"]);
    assert_eq!(publish(&mut fixture), revision(2));
    assert_eq!(fixture.call(2, Call::GetLatestConfig), ["reply: revision 2"]);
    let unknown = fixture.core.publish(ConfigParts::default(), Audience::Node(node(9)), fixture.now);
    assert_eq!(unknown, Err(CommandError::UnknownNode));
}

#[test]
fn what_a_node_confirms_while_another_configuration_is_stored_is_not_the_last_word() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    fixture.core.publish(ConfigParts::default(), Audience::All, fixture.now).unwrap();
    fixture.drain();
    assert_eq!(fixture.call(1, applied(0)), ["store: node 1 online synced"]);
    assert_eq!(
        fixture.succeed(),
        [
            "event: revision 1 published",
            "event: configuration of node 1 is pending",
            "store: node 1 online pending"
        ]
    );
    assert_eq!(fixture.succeed(), ["event: configuration of node 1 is synced", "reply: ok"]);
    assert_eq!(fixture.succeed(), ["event: configuration of node 1 is pending"]);
    assert_eq!(*fixture.tables.nodes[&node(1)], *fixture.node(1));
}

#[test]
fn all_nodes_get_the_same_configuration_and_not_copies() {
    let mut fixture = Fixture::new();
    publish(&mut fixture);
    for key in [1, 2] {
        fixture.call(key, Call::GetLatestConfig);
        let Some((_, Reply::Config(reply))) = fixture.replies.pop() else { panic!() };
        assert!(std::sync::Arc::ptr_eq(&reply.config, fixture.core.published().common()));
    }
}

#[test]
fn a_configuration_is_written_once_for_each_transport() {
    let mut fixture = Fixture::new();
    publish(&mut fixture);
    let mut body = |key, is_http: bool| {
        fixture.call(key, Call::GetLatestConfig);
        let (_, reply) = fixture.replies.pop().unwrap();
        if is_http {
            http::response(Method::GetLatestConfig, &Ok(reply)).into_body()
        } else {
            grpc::reply(Method::GetLatestConfig, &reply)
        }
    };
    for is_http in [true, false] {
        let (one, other) = (body(1, is_http), body(2, is_http));
        assert!(!one.is_empty() && one.as_ptr() == other.as_ptr());
    }
}

// Commands about nodes

#[test]
fn a_domain_is_set_and_taken_away() {
    let mut fixture = Fixture::new();
    fixture.core.set_domain(&node(1), Some("n1.example.net".into()), fixture.now).unwrap();
    assert_eq!(fixture.drain(), ["store: node 1 online synced", "event: stored"]);
    assert_eq!(fixture.node(1).domain.as_deref(), Some("n1.example.net"));
    fixture.core.set_domain(&node(1), None, fixture.now).unwrap();
    fixture.drain();
    assert_eq!(fixture.node(1).domain, None);
    for (id, domain, refusal) in
        [(9, None, CommandError::UnknownNode), (1, Some("x".repeat(257)), CommandError::Text)]
    {
        assert_eq!(fixture.core.set_domain(&node(id), domain, fixture.now), Err(refusal));
    }
}

#[test]
fn a_node_that_is_removed_is_first_put_off_and_then_unknown() {
    let mut fixture = Fixture::new();
    fixture.stores = false;
    fixture.core.remove_node(&node(1), fixture.now).unwrap();
    assert_eq!(fixture.drain(), ["store: no node 1"]);
    assert_eq!(fixture.call(1, heartbeat(0)), ["refused: unavailable"]);
    assert_eq!(fixture.core.remove_node(&node(1), fixture.now), Err(CommandError::UnknownNode));
    assert_eq!(fixture.succeed(), ["event: stored", "event: node 1 removed"]);
    assert_eq!(fixture.call(1, heartbeat(0))[1], "refused: unauthorized");
}

#[test]
fn a_node_whose_removal_fails_stays() {
    let mut fixture = timed();
    fixture.stores = false;
    fixture.core.remove_node(&node(1), fixture.now).unwrap();
    fixture.drain();
    fixture.wait(61_000);
    assert_eq!(fixture.fail(), ["event: not stored"]);
    assert_eq!(fixture.wait(60_001), ["store: node 1 offline synced"]);
    fixture.succeed();
    assert_eq!(fixture.call(1, heartbeat(0)), ["store: node 1 online synced"]);
}

// Settings

#[test]
fn settings_that_cannot_be_are_named() {
    let start = |change: fn(&mut Config), stored| {
        let mut config = Config::new(Entropy::new([7; 32]));
        change(&mut config);
        Core::new(config, stored, at(BEGIN), epoch()).map(drop)
    };
    assert_eq!(start(|_| {}, Stored::default()), Ok(()));
    let limit = start(|config| config.max_pending = 0, Stored::default());
    assert_eq!(limit, Err(ConfigError::Limit("max_pending")));
    let wait = start(|config| config.offline_after = Some(Duration::ZERO), Stored::default());
    assert_eq!(wait, Err(ConfigError::Wait("offline_after")));
    let path = start(|config| config.fetch_path = "*".parse().unwrap(), Stored::default());
    assert_eq!(path, Err(ConfigError::FetchPath));
    let mut stored = Fixture::new().tables.stored();
    stored.nodes.push(stored.nodes[0].clone());
    assert_eq!(start(|_| {}, stored.clone()), Err(ConfigError::SameKey));
    let mut twin = (*stored.nodes[1]).clone();
    twin.id = node(1);
    stored.nodes = vec![stored.nodes[0].clone(), twin.into()];
    assert_eq!(start(|_| {}, stored), Err(ConfigError::SameId));
}

#[test]
fn what_is_stored_survives_as_json() {
    let mut fixture = Fixture::new();
    fixture.call(1, error("broken"));
    fixture.call(1, fixture::usage(&[fixture::entry(1, 2, BEGIN)]));
    fixture.call(1, fixture::online(12, 6, &[("192.0.2.44", None)]));
    publish(&mut fixture);
    fixture.core.publish(ConfigParts::default(), Audience::Node(node(2)), fixture.now).unwrap();
    fixture.drain();
    let json = serde_json::to_string(&fixture.tables).unwrap();
    assert_eq!(serde_json::from_str::<core_node_proto::core::Tables>(&json).unwrap(), fixture.tables);
    let json = serde_json::to_string(&fixture.tables.stored()).unwrap();
    assert_eq!(serde_json::from_str::<Stored>(&json).unwrap(), fixture.tables.stored());
    assert_no_secret(&json, "what is stored");
}

#[test]
fn an_answer_over_http_is_that_of_the_binding() {
    let mut fixture = Fixture::new();
    let base = Base::parse("http://127.0.0.1:3001").unwrap();
    let request = http::request(&base, &heartbeat(None), Some(&Secret::new(marked(1)))).unwrap();
    fixture.incoming(http::read_request(request).unwrap());
    let (_, reply) = fixture.replies.pop().unwrap();
    let response = http::response(Method::Heartbeat, &Ok(reply));
    assert_eq!(
        (response.status().as_u16(), &**response.body()),
        (201, &br#"{"ok":true,"needSync":true}"#[..])
    );
}

fn timed() -> Fixture {
    Fixture::with(|config| config.offline_after = Some(Duration::from_secs(60)))
}

fn publish(fixture: &mut Fixture) -> core_node_proto::value::Revision {
    let revision = fixture.core.publish(ConfigParts::default(), Audience::All, fixture.now).unwrap();
    fixture.drain();
    revision
}
