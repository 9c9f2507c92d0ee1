//! The Dash, one behaviour a test: storage, identity, keys and nodes, settings.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod dash_fixture;

use bytes::Bytes;
use dash_fixture::{Fixture, INSTALL_ID, OK, WALL_CLOCK, changed, changed_static, ip, post, post_as, report};
use http::Request;
use ithiltir_proto::Secret;
use ithiltir_proto::dash::{
    CommandError, Config, ConfigError, Dash, Event, Identity, InstallId, Output, StorageLimits,
};
use ithiltir_proto::wire::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::secrets::{assert_debug_hides, marked};
use testkit::{Machine, drain, epoch};

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
