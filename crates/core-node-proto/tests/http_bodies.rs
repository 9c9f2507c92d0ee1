//! The JSON bodies of HTTP: one rule per test.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use core_node_proto::Secret;
use core_node_proto::message::*;
use core_node_proto::value::*;

fn read<T: HttpBody>(json: &str) -> Result<T, FieldError> {
    T::from_json(json.as_bytes())
}

/// Returns the path and the kind of the error that a body has.
fn refused<T: HttpBody + std::fmt::Debug>(json: &str) -> (String, ValueError) {
    let error = read::<T>(json).expect_err(json);
    (error.path().to_owned(), error.error())
}

fn text(json: Result<Vec<u8>, FieldError>) -> String {
    String::from_utf8(json.unwrap()).unwrap()
}

const REGISTER: &str = r#"{"code":"c0de","name":"Node 1","ip":"192.0.2.1","port":8080,"region":"eu"}"#;
const ENTRY: &str = r#"{"userId":1,"subscriptionId":2,"nodeProtocolId":3,"bytesUp":4,"bytesDown":5,"recordedAt":"2030-01-02T03:04:05.678Z"}"#;
const EVENT: &str = r#"{"userId":1,"protocol":"VLESS","eventType":"online","occurredAt":"2030-01-02T03:04:05.678Z","ipAddress":"2001:db8::1"}"#;
const ITEM: &str = r#"{"tag":"direct","bytesUp":4,"bytesDown":5}"#;

fn usage(entry: &str) -> String {
    format!(r#"{{"entries":[{ENTRY},{entry}]}}"#)
}

#[test]
fn every_body_is_written_as_it_was_read() {
    fn again<T: HttpBody>(json: &str) {
        assert_eq!(text(read::<T>(json).unwrap().to_json()), json);
    }
    again::<Register>(REGISTER);
    again::<Register>(&REGISTER.replace("\"eu\"", r#""eu","domain":"node.example""#));
    again::<Registered>(r#"{"authKey":"k3y","nodeId":7}"#);
    again::<Registered>(r#"{"authKey":"k3y","nodeId":"node-7"}"#);
    again::<Heartbeat>("{}");
    again::<Heartbeat>(r#"{"ip":"192.0.2.1","revision":0}"#);
    again::<HeartbeatReply>(r#"{"ok":true,"needSync":true}"#);
    again::<Usage>(&usage(&ENTRY.replace("\"subscriptionId\":2", "\"subscriptionId\":null")));
    again::<OutboundUsage>(&format!(r#"{{"items":[{ITEM}]}}"#));
    again::<SessionEvents>(&format!(r#"{{"events":[{EVENT},{EVENT}]}}"#));
    again::<ConfigApplied>(r#"{"revision":2147483647}"#);
    again::<NodeError>(r#"{"message":"no \"xray\"","code":"E","details":{"a": [1e3]}}"#);
    again::<NodeError>(r#"{"message":"x"}"#);
    again::<Acknowledgement>(r#"{"ok":true}"#);
}

#[test]
fn a_body_that_is_no_json_object_is_refused_as_a_whole() {
    for json in ["[]", "\"{}\"", "1", "null", "true"] {
        assert_eq!(refused::<Heartbeat>(json), (String::new(), ValueError::NotAnObject), "{json}");
    }
    for json in ["{", "{}{}", "{a:1}", " ", "{\"ip\":\"\\ud800\"}", "{\"ip\":1,}"] {
        assert_eq!(refused::<Heartbeat>(json), (String::new(), ValueError::NotJson), "{json}");
    }
    let not_utf8 = Heartbeat::from_json(b"{\"other\":\"\xff\"}").unwrap_err();
    assert_eq!(not_utf8.error(), ValueError::NotJson);
}

#[test]
fn an_empty_body_equals_an_empty_object() {
    assert_eq!(read::<Heartbeat>(""), Ok(Heartbeat::default()));
    assert_eq!(refused::<Usage>(""), ("entries".to_owned(), ValueError::Missing));
}

#[test]
fn unknown_members_are_ignored_and_of_equal_ones_the_last_counts() {
    let json = r#"{"other":{"revision":[1,{}]},"revision":1,"REVISION":9,"revision":2}"#;
    assert_eq!(read::<Heartbeat>(json).unwrap().revision, Revision::new(2).ok());
}

#[test]
fn null_equals_absent() {
    assert_eq!(read::<Heartbeat>(r#"{"ip":null,"revision":null}"#), Ok(Heartbeat::default()));
    assert_eq!(
        refused::<ConfigApplied>(r#"{"revision":null}"#),
        ("revision".to_owned(), ValueError::Missing)
    );
    let register = read::<Register>(&REGISTER.replace("\"eu\"", r#""eu","domain":null"#)).unwrap();
    assert_eq!((register.domain.as_deref(), text(register.to_json()).as_str()), (None, REGISTER));
    assert_eq!(refused::<Usage>(r#"{"entries":null}"#), ("entries".to_owned(), ValueError::Missing));
    let error = read::<NodeError>(r#"{"message":"x","code":null,"details":null}"#).unwrap();
    assert_eq!(text(error.to_json()), r#"{"message":"x"}"#);
    let without = read::<Usage>(&usage(&ENTRY.replace("\"subscriptionId\":2,", ""))).unwrap();
    assert_eq!(without.entries[1].subscription_id, None);
    assert!(text(without.to_json()).contains("\"subscriptionId\":null"));
}

#[test]
fn a_number_has_a_whole_value_in_any_notation() {
    for number in ["5", "5.0", "5e0", "0.5e1", "50E-1"] {
        let json = format!(r#"{{"revision":{number}}}"#);
        assert_eq!(read::<ConfigApplied>(&json).unwrap().revision.get(), 5, "{number}");
    }
    let range = ValueError::OutOfRange { least: 0, most: 2_147_483_647 };
    for (number, error) in [
        ("5.5", ValueError::NotWhole),
        ("1e-1", ValueError::NotWhole),
        ("\"5\"", ValueError::NotANumber),
        ("true", ValueError::NotANumber),
        ("[5]", ValueError::NotANumber),
        ("{}", ValueError::NotANumber),
        ("-1", range),
        ("2147483648", range),
        ("18446744073709551616", range),
        ("18446744073709551615", range),
        ("1e300", range),
    ] {
        assert_eq!(
            refused::<ConfigApplied>(&format!(r#"{{"revision":{number}}}"#)),
            ("revision".to_owned(), error)
        );
    }
}

#[test]
fn an_error_names_the_field_and_the_entry() {
    for (from, to, path) in [
        ("\"userId\":1", "\"userId\":0", "entries[1].userId"),
        ("\"subscriptionId\":2", "\"subscriptionId\":0", "entries[1].subscriptionId"),
        ("\"nodeProtocolId\":3", "\"nodeProtocolId\":2147483648", "entries[1].nodeProtocolId"),
        ("\"bytesUp\":4", "\"bytesUp\":-4", "entries[1].bytesUp"),
        ("\"bytesDown\":5", "\"bytesDown\":0.5", "entries[1].bytesDown"),
        ("2030-01-02T03:04:05.678Z", "2030-01-02", "entries[1].recordedAt"),
        ("\"bytesUp\":4,", "", "entries[1].bytesUp"),
    ] {
        assert_eq!(refused::<Usage>(&usage(&ENTRY.replace(from, to))).0, path);
    }
    assert_eq!(refused::<Usage>(&usage("7")), ("entries[1]".to_owned(), ValueError::NotAnObject));
    assert_eq!(refused::<Usage>(&usage("null")).0, "entries[1]");
    let error = read::<Usage>(&usage(&ENTRY.replace("\"bytesUp\":4", "\"bytesUp\":\"s3cret\""))).unwrap_err();
    assert_eq!(error.to_string(), "entries[1].bytesUp is not a number");
}

#[test]
fn entries_must_be_a_list_that_may_be_empty() {
    assert_eq!(read::<Usage>(r#"{"entries":[]}"#), Ok(Usage::default()));
    for value in ["{}", "5", "-5", "0.5", "\"\"", "true"] {
        let refusal = refused::<Usage>(&format!(r#"{{"entries":{value}}}"#));
        assert_eq!(refusal, ("entries".to_owned(), ValueError::NotAList), "{value}");
    }
    assert_eq!(refused::<OutboundUsage>("{}"), ("items".to_owned(), ValueError::Missing));
    assert_eq!(refused::<SessionEvents>("{}"), ("events".to_owned(), ValueError::Missing));
}

#[test]
fn counters_over_http_end_at_2_to_the_53() {
    let with = |number: &str| usage(&ENTRY.replace("\"bytesUp\":4", &format!("\"bytesUp\":{number}")));
    let most = read::<Usage>(&with("9007199254740991")).unwrap();
    assert_eq!(most.entries[1].bytes_up, ByteCount::MAX_HTTP);
    assert_eq!(refused::<Usage>(&with("9007199254740992")).0, "entries[1].bytesUp");

    let mut entries = most.entries;
    entries[0].bytes_down = ByteCount::new(1 << 53).unwrap();
    assert_eq!(Usage { entries }.to_json().unwrap_err().path(), "entries[0].bytesDown");
    let item = OutboundItem { tag: "t".to_owned(), bytes_up: ByteCount::MAX, bytes_down: ByteCount::ZERO };
    assert_eq!(OutboundUsage { items: vec![item] }.to_json().unwrap_err().path(), "items[0].bytesUp");
}

#[test]
fn a_registration_needs_all_but_the_domain_and_each_in_its_form() {
    for name in ["code", "name", "ip", "port", "region"] {
        assert_eq!(refused::<Register>(&REGISTER.replace(&format!("\"{name}\""), "\"x\"")).0, name);
    }
    let long = "é".repeat(257);
    for (from, to, path) in [
        ("\"c0de\"", "\"\"".to_owned(), "code"),
        ("Node 1", long.clone(), "name"),
        ("\"eu\"", "7".to_owned(), "region"),
        ("\"eu\"", format!("\"eu\",\"domain\":\"{long}\""), "domain"),
        ("192.0.2.1", "node.example".to_owned(), "ip"),
        ("8080", "0".to_owned(), "port"),
        ("8080", "65536".to_owned(), "port"),
        ("8080", "\"8080\"".to_owned(), "port"),
    ] {
        assert_eq!(refused::<Register>(&REGISTER.replace(from, &to)).0, path);
    }
    assert!(read::<Register>(&REGISTER.replace("Node 1", &"é".repeat(256))).is_ok());
    assert!(read::<Register>(&REGISTER.replace("8080", "65535")).is_ok());
}

#[test]
fn a_registration_is_not_written_against_the_rules() {
    let mut register = read::<Register>(REGISTER).unwrap();
    register.region.clear();
    assert_eq!(register.to_json().unwrap_err().path(), "region");
}

#[test]
fn a_reply_to_a_registration_with_a_key_against_the_rule_is_refused() {
    for key in ["", "a b", "clé", &"k".repeat(1025)] {
        assert_eq!(refused::<Registered>(&format!(r#"{{"authKey":"{key}","nodeId":1}}"#)).0, "authKey");
    }
    assert_eq!(refused::<Registered>(r#"{"authKey":"k"}"#), ("nodeId".to_owned(), ValueError::Missing));
    assert_eq!(refused::<Registered>(r#"{"authKey":"k","nodeId":0}"#).0, "nodeId");
    assert_eq!(
        read::<Registered>(r#"{"authKey":"k","nodeId":"12"}"#).unwrap().node_id,
        NodeId::new(12).unwrap()
    );
}

#[test]
fn keys_and_codes_do_not_show() {
    let register = read::<Register>(REGISTER).unwrap();
    assert!(!format!("{register:?}").contains("c0de"));
    let registered = Registered { auth_key: Secret::new("k3y"), node_id: NodeId::new(1).unwrap() };
    assert!(!format!("{registered:?}").contains("k3y"));
    let error = read::<NodeError>(r#"{"message":"x","details":{"password":"pa55"}}"#).unwrap();
    assert!(!format!("{error:?}").contains("pa55"));
    let bad = read::<Registered>(r#"{"authKey":"k3y s3cret","nodeId":1}"#).unwrap_err();
    assert!(!format!("{bad} {bad:?}").contains("s3cret"));
}

#[test]
fn addresses_are_canonical_and_others_refused() {
    let heartbeat = read::<Heartbeat>(r#"{"ip":"[::ffff:192.0.2.1]"}"#).unwrap();
    assert_eq!(text(heartbeat.to_json()), r#"{"ip":"192.0.2.1"}"#);
    assert_eq!(refused::<Heartbeat>(r#"{"ip":"here"}"#), ("ip".to_owned(), ValueError::NotAnAddress));
    let event = format!(r#"{{"events":[{}]}}"#, EVENT.replace("2001:db8::1", "here"));
    assert_eq!(refused::<SessionEvents>(&event).0, "events[0].ipAddress");
}

#[test]
fn an_unknown_enumeration_text_is_kept_and_an_empty_one_refused() {
    let with =
        |text: &str| format!(r#"{{"events":[{}]}}"#, EVENT.replace("\"online\"", &format!("\"{text}\"")));
    let events = read::<SessionEvents>(&with("Kicked")).unwrap();
    assert_eq!(events.events[0].event_type.kind(), SessionEventTypeKind::Other);
    assert_eq!(text(events.to_json()), with("Kicked"));
    assert_eq!(refused::<SessionEvents>(&with("")).0, "events[0].eventType");
    assert_eq!(refused::<SessionEvents>(&with(&"x".repeat(65))).0, "events[0].eventType");
}

#[test]
fn an_outbound_has_a_tag() {
    for tag in [String::new(), "t".repeat(257)] {
        let json = format!(r#"{{"items":[{}]}}"#, ITEM.replace("direct", &tag));
        assert_eq!(refused::<OutboundUsage>(&json).0, "items[0].tag");
    }
}

#[test]
fn an_error_has_a_message_and_its_details_are_an_object() {
    assert_eq!(refused::<NodeError>(r#"{"message":""}"#).0, "message");
    assert_eq!(refused::<NodeError>(r#"{"code":"E"}"#).0, "message");
    for details in ["[]", "\"x\"", "1"] {
        let json = format!(r#"{{"message":"x","details":{details}}}"#);
        assert_eq!(refused::<NodeError>(&json), ("details".to_owned(), ValueError::NotAnObject));
    }
    assert_eq!(refused::<NodeError>(&format!(r#"{{"message":"x","code":"{}"}}"#, "c".repeat(257))).0, "code");
}

#[test]
fn a_body_nests_up_to_64_levels() {
    let nested = |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert!(read::<Heartbeat>(&nested(64)).is_ok());
    assert_eq!(refused::<Heartbeat>(&nested(65)), (String::new(), ValueError::TooDeep(MAX_JSON_DEPTH)));
    assert_eq!(refused::<Heartbeat>(&nested(1_000_000)).1, ValueError::TooDeep(MAX_JSON_DEPTH));
    let details = JsonObject::parse(&nested(64)).ok();
    let error = NodeError { message: "x".to_owned(), code: None, details };
    assert_eq!(error.to_json().unwrap_err().path(), "details");
}

#[test]
fn a_reply_says_whether_it_acknowledges() {
    assert!(!read::<Acknowledgement>(r#"{"ok":false}"#).unwrap().ok);
    for json in ["{}", r#"{"ok":1}"#, r#"{"ok":"true"}"#, "[]", ""] {
        assert!(read::<Acknowledgement>(json).is_err());
        assert!(read::<HeartbeatReply>(json).is_err());
    }
    assert_eq!(read::<HeartbeatReply>(r#"{"ok":true}"#), Ok(HeartbeatReply { ok: true, need_sync: false }));
    assert_eq!(refused::<HeartbeatReply>(r#"{"ok":true,"needSync":"no"}"#).0, "needSync");
}

#[test]
fn a_refusal_has_one_message_or_a_list() {
    let body = |messages: &[&str], error: Option<&str>| {
        let messages = messages.iter().map(|&message| message.to_owned()).collect();
        text(Ok(ErrorBody { status_code: 400, error: error.map(str::to_owned), messages }.to_json()))
    };
    let one = r#"{"message":"no","error":"Bad Request","statusCode":400}"#;
    assert_eq!(body(&["no"], Some("Bad Request")), one);
    assert_eq!(body(&["a", "b"], None), r#"{"message":["a","b"],"statusCode":400}"#);
}
