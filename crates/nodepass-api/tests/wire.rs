//! Recorded bodies: what they mean, and that nothing of them is lost.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use nodepass_api::Release;
use nodepass_api::wire::{
    self, CheckPoint, CreateInstance, DecodeError, ErrorBody, EventKind, Info, Instance, InstanceEvent,
    InstanceKind, PatchInstance, PutInstance, Status, TcpingResult, encode,
};
use serde_json::Value;

const HTTP: &str = include_str!("captures/http.jsonl");
const STREAMS: [&str; 5] = [
    include_str!("captures/sse_v1.6.0_lifecycle.body.txt"),
    include_str!("captures/sse_v1.6.0_traffic.body.txt"),
    include_str!("captures/sse_v1.6.0_key_rotation.body.txt"),
    include_str!("captures/sse_v1.14.0_lifecycle.body.txt"),
    include_str!("captures/sse_core_v2.0.0-b10_traffic.body.txt"),
];

fn rows() -> impl Iterator<Item = Value> {
    HTTP.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// Reads a body as the object that its path is about, and writes it again.
fn again(path: &str, body: &str) -> Option<Vec<u8>> {
    fn through<T: serde::de::DeserializeOwned + serde::Serialize>(body: &str) -> Option<Vec<u8>> {
        wire::decode::<T>(body.as_bytes()).ok().map(|value| encode(&value))
    }
    if body.starts_with("{\"error\":") {
        return through::<ErrorBody>(body);
    }
    let path = path.split('?').next().unwrap();
    match path.rsplit('/').next().unwrap() {
        "info" => through::<Info>(body),
        "tcping" => through::<TcpingResult>(body),
        "instances" if body.starts_with('[') => through::<Vec<Instance>>(body),
        _ => through::<Instance>(body),
    }
}

#[test]
fn every_recorded_body_is_read_and_written_without_loss() {
    let mut count = 0;
    for row in rows() {
        let (path, body) = (row["path"].as_str().unwrap(), row["resp_body"].as_str().unwrap_or_default());
        let is_json =
            row["resp_headers"].as_object().unwrap().iter().any(|(name, value)| {
                name.eq_ignore_ascii_case("content-type") && value == "application/json"
            });
        if !is_json || body.is_empty() || path.ends_with("/openapi.json") {
            continue;
        }
        let written = again(path, body).unwrap_or_else(|| panic!("{path}: {body}"));
        let (written, body): (Value, Value) =
            (serde_json::from_slice(&written).unwrap(), serde_json::from_str(body).unwrap());
        assert_eq!(written, body, "{path}");
        count += 1;
    }
    assert!(count > 350, "{count}");
}

#[test]
fn instances_are_written_byte_for_byte_as_masters_of_the_go_line_do() {
    let mut count = 0;
    for row in rows().filter(|row| !row["peer"].as_str().unwrap().contains("rs")) {
        let body = row["resp_body"].as_str().unwrap_or_default();
        if body.starts_with("{\"id\"") || body.starts_with("[{\"id\"") || body.starts_with("{\"target\"") {
            let written = again(row["path"].as_str().unwrap(), body).unwrap();
            assert_eq!(String::from_utf8(written).unwrap() + "\n", body);
            count += 1;
        }
    }
    assert!(count > 130, "{count}");
}

#[test]
fn events_are_written_byte_for_byte_as_masters_of_the_go_line_do() {
    let mut count = 0;
    for line in STREAMS.iter().flat_map(|stream| stream.lines()) {
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let event: InstanceEvent = wire::decode(data.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(encode(&event)).unwrap(), data);
        assert_eq!(event.instance.is_none(), event.kind == EventKind::Shutdown);
        assert!(event.time.unix_milliseconds().is_some());
        count += 1;
    }
    assert!(count > 100, "{count}");
}

#[test]
fn what_is_not_known_is_kept() {
    let body = br#"{"id":"a1b2c3d4","type":"relay","status":"paused","url":"server://h:1/t:2","restart":null,
        "meta":{"peer":null,"zone":[1]},"tcprx":1,"tcptx":18446744073709551615,"udprx":0,"udptx":0,"big":1e400,"x":{"y":null}}"#;
    let instance: Instance = wire::decode(body).unwrap();
    assert_eq!((instance.kind.clone(), instance.status.clone()), ("relay".into(), "paused".into()));
    assert!(matches!(instance.kind, InstanceKind::Other(_)) && matches!(instance.status, Status::Other(_)));
    assert_eq!((instance.tcptx, instance.restart, instance.mode), (u64::MAX, None, None));
    let written = String::from_utf8(encode(&instance)).unwrap();
    assert!(written.ends_with(r#""udptx":0,"restart":null,"big":1e400,"x":{"y":null}}"#), "{written}");
    assert!(written.contains(r#""meta":{"peer":null,"zone":[1]}"#), "{written}");
}

#[test]
fn the_envelope_of_the_document_is_opened() {
    let bare = br#"{"target":"h:1","connected":true,"latency":3,"error":null}"#;
    let wrapped = [br#"{"success":true,"data":"#.as_slice(), bare, b"}"].concat();
    assert_eq!(wire::decode::<TcpingResult>(bare), wire::decode(&wrapped));
    let refused = wire::decode::<TcpingResult>(br#"{"success":false,"data":null}"#);
    assert_eq!(refused, Err(DecodeError::Failure));
}

#[test]
fn faults_are_told_with_their_place() {
    let error = |body: &[u8]| wire::decode::<Vec<Instance>>(body).unwrap_err();
    assert_eq!(error(b"[\n x"), DecodeError::Syntax { offset: 3 });
    assert!(matches!(error(b"[{\"id\":\"a\"}]"), DecodeError::Form { .. }));
    assert!(matches!(error(b"{}"), DecodeError::Form { .. }));
}

#[test]
fn neither_keys_nor_urls_show() {
    let record: Instance = wire::decode(
        br#"{"id":"********","type":"","status":"","url":"0123456789abcdef","tcprx":0,"tcptx":0,"udprx":0,"udptx":0}"#,
    )
    .unwrap();
    assert_eq!(format!("{record:?}"), "Instance(********  )");
    assert_eq!(record.api_key().unwrap().expose(), "0123456789abcdef");
    assert_eq!(format!("{:?}", record.api_key().unwrap()), "Secret(…)");
    let create = CreateInstance { url: "server://secret@h:1/t:2".into(), ..CreateInstance::default() };
    assert!(!format!("{create:?}").contains("secret"));
}

#[test]
fn bodies_are_read_as_leniently_as_masters_of_the_go_line_do() {
    let url = |body: &str| {
        CreateInstance::read(body.as_bytes(), Release::V1_14_0).map(|create| create.url.to_string()).ok()
    };
    assert_eq!(url(r#"{"URL":"a","url":"b","more":1} trailing"#).as_deref(), Some("b"));
    assert_eq!(url(r#"{"url":"a","Url":null}"#).as_deref(), Some("a"));
    for body in
        ["", "null", "{}", "[]", "not json", r#"{"url":""}"#, r#"{"url":1}"#, r#"{"url":"a","alias":1}"#]
    {
        assert_eq!(url(body), None, "{body}");
    }
    assert!(PutInstance::read(br#"{"url":"a"}"#).is_ok());

    let patch = PatchInstance::read(
        br#"{"ALIAS":"x","meta":{"Peer":{"SID":"s"},"tags":{"a":null}}}"#,
        Release::V1_14_0,
    )
    .unwrap();
    assert_eq!(patch.alias.as_deref(), Some("x"));
    let meta = patch.meta.unwrap();
    assert_eq!(meta.peer.unwrap().sid.as_deref(), Some("s"));
    assert_eq!(&*meta.tags.unwrap()["a"], "");
    assert_eq!(PatchInstance::read(b"null", Release::V1_14_0), Ok(PatchInstance::default()));
    assert!(PatchInstance::read(br#"{"restart":"yes","alias":"x"}"#, Release::V1_14_0).is_err());
    assert!(PatchInstance::read(br#"{"meta":{"tags":{"a":1}}}"#, Release::V1_14_0).is_err());
    // What a release does not know cannot be wrong.
    let old = Release::V1_6_0;
    assert!(
        CreateInstance::read(br#"{"url":"a","alias":7}"#, old).is_ok_and(|create| create.alias.is_none())
    );
    let patch = PatchInstance::read(br#"{"alias":"x","meta":[]}"#, old);
    assert_eq!(patch.unwrap().alias.as_deref(), Some("x"));
    let replaced = CreateInstance::read(b"{\"url\":\"server://\xff\"}", Release::V1_14_0).unwrap();
    assert_eq!(&*replaced.url, "server://\u{fffd}");
}

#[test]
fn bodies_of_put_and_of_the_masters_alias_are_read_as_those_of_create() {
    let put = |body: &str| PutInstance::read(body.as_bytes()).map(|put| put.url.into_string());
    assert_eq!(put(r#"{"URL":"client://a","url":"server://b","x":1}"#), Ok("server://b".to_owned()));
    for body in ["{}", r#"{"url":""}"#, r#"{"url":null}"#, r#"{"url":1}"#, ""] {
        assert!(put(body).is_err(), "{body}");
    }
    let alias =
        |body: &str| wire::MasterAlias::read(body.as_bytes()).map(|body| body.alias.map(String::from));
    assert_eq!(alias(r#"{"Alias":"a"}"#), Ok(Some("a".to_owned())));
    assert_eq!(alias("{}"), Ok(None));
    assert!(alias(r#"{"alias":1}"#).is_err());
    assert_eq!(wire::Action::Restart.to_string(), "restart");
}

#[test]
fn a_number_that_does_not_fit_leaves_what_was() {
    let line = "CHECK_POINT|MODE=1|PING=99999999999ms|POOL=0|TCPS=0|UDPS=0|TCPRX=1|TCPTX=2|UDPRX=3|UDPTX=4x";
    let point = CheckPoint::find(line).unwrap();
    assert_eq!((point.ping, point.mode, point.udptx), (None, Some(1), Some(4)));
    let twice = format!("CHECK_POINT|MODE=x CHECK_POINT|{}", &line["CHECK_POINT|".len()..]);
    assert_eq!(CheckPoint::find(&twice), Some(point));
    assert_eq!(CheckPoint::find(&line.replace("POOL=0", "POOL=")), None, "a number has digits");
}

#[test]
fn of_a_member_that_is_given_twice_the_last_counts() {
    let body = |members: &str| format!(r#"{{"x":1,{members},"action":"stop"}}"#);
    for (members, alias, is_null) in [
        (r#""alias":null,"alias":"x""#, Some("x"), false),
        (r#""alias":"x","alias":null"#, None, true),
        (r#""alias":null,"alias":null"#, None, true),
        (r#""alias":"x","alias":"y""#, Some("y"), false),
    ] {
        let body = body(members);
        let patch: PatchInstance = wire::decode(body.as_bytes()).unwrap();
        assert_eq!((patch.alias.as_deref(), patch.extra.get("alias").is_some()), (alias, is_null), "{body}");
        let written: Value = serde_json::from_slice(&encode(&patch)).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(&body).unwrap());
    }
}
