//! Debug values and messages are encoded and come back with their cuts; any text is read, shown and written.

#[path = "../../../crates/nodered-comms/tests/debug_support/cuts.rs"]
mod cuts;

use super::maker::Maker;
use crate::input::Input;
use cuts::{cut_top, units};
use nodered_comms::debug::{DEBUG_MAX_LENGTH, DebugLevel, DebugMessage, DebugValue};
use nodered_comms::wire::Json;

/// Formats that a message may have.
const FORMATS: [&str; 28] = [
    "string[5]",
    "string[4]",
    "string[undefined]",
    "string",
    "number",
    "boolean",
    "null",
    "undefined",
    "bigint",
    "function",
    "array[3]",
    "array[1001]",
    "array",
    "Object",
    "buffer[5]",
    "buffer[501]",
    "buffer",
    "error",
    "MyError",
    "set[2]",
    "set",
    "map",
    "regexp",
    "RegExp",
    "Uint8Array[3]",
    "Uint8Array",
    "DataView[undefined]",
    "array[18446744073709551615]",
];

/// Texts that a message may have.
const MSGS: [&str; 14] = [
    "hello",
    "hell...",
    "(undefined)",
    "true",
    "-1.5e400",
    "NaN",
    "[1,2,3]",
    "{\"a\":{\"b\":[\"\\ud83d\",null]}}",
    "68656c6c6f",
    "{\"__enc__\":true,\"type\":\"array\",\"data\":[1,2,3],\"length\":1001}",
    "{\"__enc__\":true,\"type\":\"set\",\"data\":[1,2],\"length\":2}",
    "{\"__enc__\":true,\"type\":\"map\",\"data\":{\"a\":1},\"length\":1}",
    "{\"__enc__\":true,\"type\":\"error\",\"data\":{\"name\":\"E\",\"message\":\"m\",\"code\":{}}}",
    "{\"__enc__\":true,\"type\":\"Buffer\",\"data\":[1,256],\"length\":9}",
];

/// Arbitrary value → encode → decode, with the cuts of the limit; arbitrary formats and texts; messages.
pub fn nodered_value(data: &[u8]) {
    let mut input = Input::new(data);
    let format = input.text_among(&FORMATS);
    let text = input.text_among(&MSGS);
    texts(&format, &text);
    tame(&mut input.clone());
    wild(&mut input.clone());
    message(&mut input);
}

fn texts(format: &str, text: &str) {
    exercise(&DebugValue::decode(Some(format), Some(Json::from(text).as_ref())));
    exercise(&DebugValue::decode(Some(format), None));
    exercise(&DebugValue::decode(None, Some(Json::from(text).as_ref())));
    if let Ok(json) = Json::parse(text) {
        exercise(&DebugValue::decode(Some(format), Some(json.as_ref())));
        exercise(&DebugValue::from_json(json.as_ref()));
    }
}

/// Values that the wire tells apart from all others: what is read is what was written, less what was cut.
fn tame(input: &mut Input<'_>) {
    // Even, or a buffer's last byte is halved; above the names of classes and small wrappers.
    let limit = input.pick(&[12, 14, 1000]);
    let value = Maker::new(input.clone(), false).value(0);
    let written = value.encode(limit);
    let read = decoded(&written);
    assert_eq!(read, cut_top(&value, limit), "rule: what is written can be read");
    assert_eq!(read.encode(limit), written, "rule: writing again changes nothing");
    shown(&value);
}

/// Any value at all: it is written as something that can be read, within the limit.
fn wild(input: &mut Input<'_>) {
    let limit = input.pick(&[0, 1, 3, 7, 12, 1000, usize::MAX]);
    let value = Maker::new(input.clone(), true).value(0);
    shown(&value);
    let written = value.encode(limit);
    let read = decoded(&written);
    if !has_own_name(&value) {
        within(&read, limit);
    }
    exercise(&read);
    // What was read once is like what a runtime sends: it stays.
    let again = decoded(&read.encode(limit));
    let third = decoded(&again.encode(limit));
    assert_eq!(third, again, "rule: a value settles");
}

/// Whether a value may be of any form once it was read: what it is called may be the name of another kind.
fn has_own_name(value: &DebugValue) -> bool {
    match value {
        DebugValue::Raw(_) | DebugValue::Object(_) | DebugValue::Class { .. } | DebugValue::Error(_) => true,
        DebugValue::TypedArray { class, .. } => class.is_some(),
        _ => false,
    }
}

fn within(value: &DebugValue, limit: usize) {
    let present = match value {
        DebugValue::String { text, .. } => return assert!(units(text) <= (limit as u64).saturating_add(3)),
        DebugValue::Array { items, .. }
        | DebugValue::Set { items, .. }
        | DebugValue::TypedArray { items, .. } => items.len(),
        DebugValue::Map { entries, .. } => entries.len(),
        DebugValue::Buffer { bytes, .. } => bytes.len() * 2,
        _ => 0,
    };
    assert!(present <= limit, "rule: no more than the limit is sent; {present} of {limit}");
}

fn message(input: &mut Input<'_>) {
    let value = Maker::new(input.clone(), true).value(0);
    let level = DebugLevel::from(input.pick(&[20, 30, 40, 0, 7, u64::MAX]));
    let mut message = match input.flag() {
        true => DebugMessage::from_log(level, &value, input.float(), DEBUG_MAX_LENGTH),
        false => DebugMessage::of_value(&value, 10),
    };
    let mut maker = Maker::new(input.clone(), true);
    let mut text = || maker.input.flag().then(|| maker.text());
    (message.id, message.node_type, message.z) = (text(), text(), text());
    (message.alias, message.path, message.name) = (text(), text(), text());
    (message.topic, message.property) = (text().map(|text| Json::from(&*text)), text());
    if let Some(text) = text() {
        message.fields.push(("x".to_owned(), Json::from(&*text)));
    }
    let read = DebugMessage::decode(message.encode().as_ref()).expect("a message is an object");
    message.timestamp = message.timestamp.filter(|time| time.is_finite());
    assert_eq!(read, message, "rule: what is written can be read");
    assert_eq!(read.encode(), message.encode(), "rule: writing again changes nothing");
    exercise(&read.value());
}

fn decoded((format, msg): &(String, Option<Json>)) -> DebugValue {
    DebugValue::decode(Some(format), msg.as_ref().map(Json::as_ref))
}

fn exercise(value: &DebugValue) {
    shown(value);
    for limit in [0, 7, 1000] {
        shown(&decoded(&value.encode(limit)));
    }
}

fn shown(value: &DebugValue) {
    let (line, lines) = (value.to_string(), format!("{value:#}"));
    assert!(!line.chars().any(char::is_control), "rule: no control character is shown");
    assert!(!lines.chars().any(|c| c.is_control() && c != '\n'), "rule: no control character is shown");
    let length = value.length().unwrap_or(u64::MAX);
    assert!(!value.is_truncated() || length > 0, "rule: what is cut was longer");
}
