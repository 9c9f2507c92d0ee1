//! Messages as types: what is read, and that what is written is what was read.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use nodered_comms::event::{
    CommsEvent, FlowState, LogKind, Multiplayer, NodeStatus, NoticeKind, Notification, ProjectAction,
    RuntimeError,
};
use nodered_comms::wire::Json;

#[test]
fn every_known_message_reads_back_as_it_was() {
    for (topic, data, is_known) in [
        ("hb", "1700000000000", true),
        ("hb", "1.5", true),
        ("hb", "\"x\"", false),
        ("status/n1", "{}", true),
        ("status/n1", "{\"text\":\"on\",\"fill\":\"green\",\"shape\":\"dot\"}", true),
        ("status/n1", "{\"text\":42,\"extra\":[1]}", true),
        ("status/n1", "\"free\"", true),
        ("status/a/b", "0", true),
        ("status", "{}", false),
        ("notification", "{}", false),
        ("event-log", "{\"ts\":1,\"data\":\"\"}", false),
        ("notification/runtime-state", "{}", true),
        ("notification/runtime-state", "{\"state\":\"stop\",\"deploy\":true}", true),
        (
            "notification/runtime-state",
            "{\"state\":\"stop\",\"error\":\"missing-types\",\"type\":\"warning\",\"text\":\"t\",\"types\":[\"a\"]}",
            true,
        ),
        (
            "notification/runtime-state",
            "{\"error\":\"missing-modules\",\"modules\":[{\"module\":\"m\",\"error\":\"e\",\"x\":1}],\"timeout\":5}",
            true,
        ),
        ("notification/runtime-state", "{\"types\":7,\"state\":null}", true),
        ("notification/runtime-deploy", "{\"revision\":\"ab\"}", true),
        ("notification/runtime-redeploy", "{\"revision\":\"ab\",\"x\":1}", true),
        (
            "notification/node/added",
            "[{\"id\":\"m/s\",\"types\":[\"t\"],\"enabled\":true,\"err\":\"e\"}]",
            true,
        ),
        ("notification/node/removed", "[]", true),
        (
            "notification/node/enabled",
            "{\"id\":\"m/s\",\"local\":false,\"user\":true,\"module\":\"m\"}",
            true,
        ),
        ("notification/node/disabled", "{\"id\":\"m/s\"}", true),
        ("notification/node/upgraded", "{\"module\":\"m\",\"version\":\"1\"}", true),
        ("notification/plugin/added", "[{\"id\":\"m/p\",\"plugins\":[{\"id\":\"p\"}]}]", true),
        ("notification/project-update", "{\"project\":\"p\",\"action\":\"change-branch\"}", true),
        ("notification/restart-required", "{\"type\":\"warning\",\"text\":\"t\"}", true),
        ("notification/restart-required", "{}", true),
        ("notification/runtime-unsupported-version", "{\"type\":\"error\",\"text\":\"t\"}", true),
        ("notification/update-available", "{\"version\":\"5.0\"}", true),
        ("notification/flows-run-state", "[1]", true),
        ("notification/node/added", "7", true),
        ("event-log/0123456789abcdef", "{\"ts\":5,\"data\":\"npm i\"}", true),
        ("event-log/0123456789abcdef", "{\"ts\":5.5,\"data\":\"x\",\"type\":\"err\"}", true),
        ("event-log/0123456789abcdef", "{\"ts\":5,\"data\":\"rc=1\",\"end\":true}", true),
        ("event-log/x", "{\"data\":1}", false),
        (
            "multiplayer/init",
            "{\"session\":\"PUBaPUB\",\"sessions\":[{\"session\":\"PUBaPUB\",\"user\":{\"username\":\"u\",\"image\":1},\
             \"active\":true,\"location\":{\"workspace\":\"w\",\"cursor\":{\"x\":1}},\"idleTimeout\":{}}]}",
            true,
        ),
        (
            "multiplayer/connection-added",
            "{\"session\":\"s\",\"user\":{\"username\":\"Anon 7\",\"anonymous\":true}}",
            true,
        ),
        ("multiplayer/connection-removed", "{\"session\":\"s\",\"disconnected\":true}", true),
        ("multiplayer/location", "{\"session\":\"s\",\"workspace\":\"w\",\"node\":\"n\"}", true),
        ("multiplayer/other", "{}", false),
        ("debug", "{\"id\":\"a\",\"msg\":\"x\",\"format\":\"string[1]\"}", true),
        ("anything/else", "{\"a\":1}", false),
    ] {
        let json = Json::parse(data).unwrap();
        let event = CommsEvent::decode(topic, Some(json.as_ref()));
        assert_eq!(!matches!(event, CommsEvent::Other { .. }), is_known, "{topic} {data}");
        let (written_topic, written) = event.encode();
        assert_eq!(written_topic, topic);
        assert_eq!(value(&written), value(&json), "{topic}");
    }
}

#[test]
fn the_parts_have_their_types() {
    let event =
        |topic: &str, data: &str| CommsEvent::decode(topic, Some(Json::parse(data).unwrap().as_ref()));
    let CommsEvent::Notification(Notification::RuntimeState(state)) = event(
        "notification/runtime-state",
        "{\"state\":\"safe\",\"error\":\"safe-mode\",\"type\":\"warning\",\"text\":\"t\",\"deploy\":true}",
    ) else {
        panic!("a state")
    };
    assert_eq!(
        (state.state, state.error, state.kind, state.deploy),
        (Some(FlowState::Safe), Some(RuntimeError::SafeMode), Some(NoticeKind::Warning), Some(true))
    );
    let CommsEvent::Notification(Notification::ProjectUpdate { action, .. }) =
        event("notification/project-update", "{\"action\":\"pull\"}")
    else {
        panic!("an update")
    };
    assert_eq!(action, Some(ProjectAction::Pull));
    let CommsEvent::EventLog { entry, .. } =
        event("event-log/x", "{\"ts\":1,\"data\":\"rc=7\",\"end\":true}")
    else {
        panic!("an entry")
    };
    assert_eq!((entry.exit_code(), entry.kind), (Some(7), None::<LogKind>));
    assert!(matches!(
        event("multiplayer/location", "{\"workspace\":\"w\"}"),
        CommsEvent::Multiplayer(Multiplayer::Location { session: None, .. })
    ));
}

#[test]
fn every_error_of_the_document_and_of_later_runtimes_is_known() {
    for word in [
        "credentials_load_failed",
        "missing-types",
        "git_merge_conflict",
        "missing_flow_file",
        "project_empty",
        "missing-modules",
        "missing_package_file",
        "project_not_found",
        "safe-mode",
    ] {
        let error = RuntimeError::from(word);
        assert!(!matches!(error, RuntimeError::Other { .. }), "{word}");
        assert_eq!(error.as_str(), word);
    }
    assert!(matches!(RuntimeError::from("new"), RuntimeError::Other { .. }));
}

#[test]
fn statuses_by_their_form() {
    let status = |data: &str| match CommsEvent::decode("status/n", Some(Json::parse(data).unwrap().as_ref()))
    {
        CommsEvent::Status { status, .. } => status,
        other => panic!("{other:?}"),
    };
    assert_eq!(status("{}"), NodeStatus::Cleared);
    assert_eq!(status("{\"text\":\"on\",\"fill\":\"red\"}"), NodeStatus::new("on", "red", ""));
    assert!(matches!(status("\"on\""), NodeStatus::Free(_)));
    assert!(
        matches!(status("{\"text\":1}"), NodeStatus::Shown { text: None, further, .. } if further.len() == 1)
    );
    assert_eq!(NodeStatus::new("", "", ""), NodeStatus::Cleared);
}

#[test]
fn retained_are_the_notifications_that_tell_a_state() {
    let is_retained = |id: &str| {
        Notification::from_parts(id, Json::parse("{\"version\":\"1\"}").unwrap().as_ref()).is_retained()
    };
    for id in [
        "runtime-state",
        "runtime-deploy",
        "restart-required",
        "runtime-unsupported-version",
        "update-available",
    ] {
        assert!(is_retained(id), "{id}");
    }
    for id in ["node/upgraded", "project-update", "anything"] {
        assert!(!is_retained(id), "{id}");
    }
}

#[test]
fn a_message_without_data_has_no_type() {
    assert!(matches!(CommsEvent::decode("debug", None), CommsEvent::Other { .. }));
}

fn value(json: &Json) -> serde_json::Value {
    json.decode().unwrap()
}
