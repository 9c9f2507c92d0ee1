//! Texts are read as packets, frames and events; what can be read comes back from being written.

use nodered_comms::debug::DebugMessage;
use nodered_comms::event::CommsEvent;
use nodered_comms::wire::{
    Frame, Item, Json, JsonRef, Message, Packet, decode_frame, decode_packet, encode_auth, encode_publish,
    encode_subscribe,
};
use serde_json::Value;

/// Topics whose data has a meaning.
const TOPICS: [&str; 24] = [
    "status/n1",
    "status/",
    "debug",
    "hb",
    "event-log/0123456789abcdef",
    "multiplayer/init",
    "multiplayer/connection-added",
    "multiplayer/connection-removed",
    "multiplayer/location",
    "notification/runtime-state",
    "notification/runtime-deploy",
    "notification/runtime-redeploy",
    "notification/node/added",
    "notification/node/removed",
    "notification/node/enabled",
    "notification/node/disabled",
    "notification/node/upgraded",
    "notification/plugin/added",
    "notification/project-update",
    "notification/restart-required",
    "notification/runtime-unsupported-version",
    "notification/update-available",
    "notification/x",
    "x",
];

/// Text → packet, frame, event → text → the same, and what a plain reading of the JSON says.
pub fn nodered_wire(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    packet(text);
    frame(text);
    if let Ok(json) = Json::parse(text) {
        value(&json);
        for topic in TOPICS {
            event(topic, json.as_ref());
        }
    }
}

fn packet(text: &str) {
    let is_json = Json::parse(text).is_ok_and(|json| json.text() != "null");
    let Ok(packet) = decode_packet(text) else {
        return assert!(!is_json, "rule: any JSON but null is a packet");
    };
    assert!(is_json, "rule: only JSON is a packet");
    if let Ok(value) = serde_json::from_str(text) {
        assert_eq!(kind(&packet), plain_kind(&value), "rule: the first truthy member says what a packet is");
    }
    let text_of = |json: JsonRef<'_>| json.as_str().map(|text| text.into_owned());
    match packet {
        Packet::Auth(token) => {
            let Some(token) = text_of(token) else { return };
            let written = encode_auth(&token);
            let again = decode_packet(&written);
            let same = matches!(again, Ok(Packet::Auth(again)) if text_of(again).as_ref() == Some(&token));
            assert!(same, "rule: what is written can be read");
        }
        Packet::Subscribe(filter) => {
            let Some(filter) = text_of(filter) else { return };
            let written = encode_subscribe(&filter);
            let again = decode_packet(&written);
            let same =
                matches!(again, Ok(Packet::Subscribe(again)) if text_of(again).as_ref() == Some(&filter));
            assert!(same, "rule: what is written can be read");
        }
        Packet::Publish { topic, data: Some(data) } => {
            let Some(topic) = text_of(topic) else { return };
            let written = encode_publish(&topic, data);
            let Ok(Packet::Publish { topic: topic_again, data: data_again }) = decode_packet(&written) else {
                panic!("rule: what is written can be read")
            };
            assert_eq!(
                (text_of(topic_again), data_again),
                (Some(topic), Some(data)),
                "rule: what is written can be read"
            );
        }
        Packet::Publish { data: None, .. } | Packet::Other => {}
    }
}

fn kind(packet: &Packet<'_>) -> &'static str {
    match packet {
        Packet::Auth(_) => "auth",
        Packet::Subscribe(_) => "subscribe",
        Packet::Publish { .. } => "topic",
        Packet::Other => "",
    }
}

fn plain_kind(value: &Value) -> &'static str {
    let names = ["auth", "subscribe", "topic"].into_iter();
    names.into_iter().find(|name| value.get(name).is_some_and(is_truthy)).unwrap_or("")
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

fn frame(text: &str) {
    let Ok(frame) = decode_frame(text) else {
        return assert!(Json::parse(text).is_err(), "rule: any JSON is a frame");
    };
    if let Ok(value) = serde_json::from_str(text) {
        items(&frame, &value);
    }
    let written = frame.encode();
    let again = decode_frame(&written).expect("what is written can be read");
    assert_eq!(again, frame, "rule: what is written can be read");
    assert_eq!(again.encode(), written, "rule: writing again changes nothing");
    for item in frame.items() {
        if let Item::Message(Message { topic, data }) = item {
            assert!(!topic.is_empty(), "rule: a message has a topic");
            data.iter().for_each(|data| event(topic, *data));
            let _ = CommsEvent::decode(topic, *data);
        }
    }
}

/// What a plain reading finds: the items, in order.
fn items(frame: &Frame<'_>, value: &Value) {
    let expected: Vec<&Value> = match value {
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    };
    assert_eq!(matches!(frame, Frame::Batch(_)), value.is_array(), "rule: an array is a batch");
    let has = |value: &Value, name| value.get(name).is_some_and(is_truthy);
    let expected: Vec<&Value> =
        expected.into_iter().filter(|value| has(value, "auth") || has(value, "topic")).collect();
    assert_eq!(frame.items().len(), expected.len(), "rule: every item is found");
    for (item, expected) in frame.items().iter().zip(expected) {
        match item {
            Item::Auth(_) => assert!(has(expected, "auth"), "rule: a truthy auth is an answer"),
            Item::Message(Message { topic, data }) => {
                assert!(!has(expected, "auth"), "rule: a truthy auth is an answer");
                if let Value::String(expected) = &expected["topic"] {
                    assert_eq!(topic, expected, "rule: the last of equal names counts");
                }
                let data: Option<Value> = data.map(|data| data.decode().expect("it was read before"));
                assert_eq!(data.as_ref(), expected.get("data"), "rule: the last of equal names counts");
            }
        }
    }
}

fn event(topic: &str, data: JsonRef<'_>) {
    let event = CommsEvent::decode(topic, Some(data));
    let (topic_again, data_again) = event.encode();
    assert_eq!(topic_again, topic, "rule: an event keeps its topic");
    let again = CommsEvent::decode(&topic_again, Some(data_again.as_ref()));
    assert_eq!(again, event, "rule: what is written can be read; {}", data_again.text());
    assert_eq!(again.encode(), (topic_again, data_again), "rule: writing again changes nothing");
    if let CommsEvent::Debug(message) = &event {
        debug(message);
    }
}

fn debug(message: &DebugMessage) {
    let value = message.value();
    let _ = (format!("{value} {value:#} {message:?}"), value.length(), value.is_truncated());
}

/// Any text as a value of its own.
fn value(json: &Json) {
    assert_eq!(Json::parse(json.text()).as_ref(), Ok(json), "rule: what is written can be read");
    assert_eq!(Json::encode(json).as_ref(), Ok(json), "rule: a value keeps its text");
    let Ok(plain) = json.decode::<Value>() else { return };
    assert_eq!(json.as_ref().is_truthy(), is_truthy(&plain), "rule: it is true where JavaScript says so");
    assert_eq!(json.as_ref().as_str().as_deref(), plain.as_str(), "rule: a string is a string");
    assert_eq!(json.as_ref().as_f64(), plain.as_f64(), "rule: a number is a number");
}
