//! Whole messages, and what was recorded.

use super::{recorded, recorded_kind, value_of};
use nodered_comms::debug::{DEBUG_MAX_LENGTH, DebugLevel, DebugMessage, DebugValue};
use nodered_comms::wire::Json;

#[test]
fn every_recorded_message_is_the_same_after_reading_and_writing() {
    for version in ["0.18.4", "4.1.15"] {
        let all = recorded(version);
        assert!(all.len() > 120, "{}", all.len());
        for one in all {
            let message = one.message();
            assert_eq!(message.encode(), one.data, "{} {}", one.file, one.kind());
            assert!(message.fields.is_empty());
        }
    }
}

#[test]
fn every_recorded_value_is_understood() {
    for version in ["0.18.4", "4.1.15"] {
        for one in recorded(version) {
            let value = one.message().value();
            assert!(!matches!(value, DebugValue::Raw(_)));
            let format = one.message().format.unwrap();
            let expected = match format.split(['[']).next().unwrap() {
                "string" if version == "0.18.4" && one.kind() == "function" => "Function",
                "string" if one.message().msg.is_none() => "Symbol",
                "string" => "String",
                "number" => "Number",
                "boolean" => "Bool",
                "null" => "Null",
                "undefined" => "Undefined",
                "array" => "Array",
                // Objects of the user that look like wrappers.
                "Object" if one.kind() == "object-enc-lookalike" => "Number",
                "Object" if one.kind() == "object-buffer-lookalike" => "Buffer",
                "Object" => "Object",
                "buffer" => "Buffer",
                "error" | "Error" | "TypeError" | "MyError" | "NotAnError" => "Error",
                "set" => "Set",
                "map" => "Map",
                "regexp" | "RegExp" => "RegExp",
                "bigint" => "BigInt",
                "function" => "Function",
                "Uint8Array" | "Float64Array" | "DataView" if version == "4.1.15" => "TypedArray",
                _ => "Class",
            };
            let shown = format!("{value:?}");
            assert_eq!(shown.split([' ', '(', '{']).next().unwrap(), expected, "{} {format}", one.kind());
        }
    }
}

#[test]
fn values_recorded_with_4_1_are_written_as_they_were_recorded() {
    for one in recorded("4.1.15") {
        let message = one.message();
        let value = message.value();
        // Objects that look like wrappers are taken for what they look like.
        let expected = match one.kind().as_str() {
            "object-enc-lookalike" => (Some("number".to_owned()), Some("NaN".into())),
            "object-buffer-lookalike" => (Some("buffer[3]".to_owned()), Some("010203".into())),
            _ => (message.format, message.msg),
        };
        let (format, msg) = value.encode(one.max_length);
        assert_eq!((Some(format), msg), expected, "{}", one.kind());
    }
}

#[test]
fn recorded_lengths_are_the_original_ones() {
    for (max_length, kind, length, present) in [
        (1000, "string-1001", 1001, 1000),
        (10, "string-1000", 1000, 10),
        (10, "array-1001", 1001, 10),
        (1000, "float64array-1001", 1001, 1000),
        (10, "float64array-1001", 1001, 10),
        (10, "set-1001", 1001, 10),
        (1000, "map-1001", 1001, 1000),
        (1000, "buffer-501", 501, 500),
        (10, "buffer-500", 500, 5),
    ] {
        let value = recorded_kind("4.1.15", max_length, kind);
        assert_eq!(value.length(), Some(length), "{kind}");
        assert!(value.is_truncated(), "{kind}");
        let there = match value {
            DebugValue::String { text, .. } => text.len(),
            DebugValue::Array { items, .. }
            | DebugValue::Set { items, .. }
            | DebugValue::TypedArray { items, .. } => items.len(),
            DebugValue::Map { entries, .. } => entries.len(),
            DebugValue::Buffer { bytes, .. } => bytes.len(),
            other => panic!("{other}"),
        };
        assert_eq!(there, present, "{kind}");
    }
}

#[test]
fn the_fields_of_a_debug_node_and_of_the_log_are_told_apart() {
    let text = concat!(
        r#"{"id":"a-b","z":"a","_alias":"b","path":"f/a","name":"n","topic":{"t":1},"property":"payload","#,
        r#""msg":"x","format":"string[1]","_path":[1],"later":2}"#
    );
    let json = Json::parse(text).unwrap();
    let message = DebugMessage::decode(json.as_ref()).unwrap();
    assert_eq!(message.alias.as_deref(), Some("b"));
    assert_eq!(message.topic.as_ref().map(Json::text), Some(r#"{"t":1}"#));
    assert_eq!(message.level, None);
    assert_eq!(message.fields.len(), 2);
    assert_eq!(message.encode().text(), text);

    let text = concat!(
        r#"{"level":20,"id":"i","type":"function","msg":"m","z":"z","name":"n","_alias":"a","path":"p","#,
        r#""timestamp":1795227938621,"format":"string[1]"}"#
    );
    let json = Json::parse(text).unwrap();
    let message = DebugMessage::decode(json.as_ref()).unwrap();
    assert_eq!(message.level, Some(DebugLevel::Error));
    assert_eq!(message.node_type.as_deref(), Some("function"));
    assert_eq!(message.timestamp, Some(1_795_227_938_621.0));
    assert_eq!(message.encode().text(), text);
}

#[test]
fn a_field_of_another_form_is_among_the_further_fields() {
    for text in [
        r#"{"id":5,"name":null,"level":"x","timestamp":"now","format":[]}"#,
        r#"{"level":-1}"#,
        r#"{"name":"\ud83d"}"#,
        "{}",
    ] {
        let json = Json::parse(text).unwrap();
        let message = DebugMessage::decode(json.as_ref()).unwrap();
        assert_eq!(DebugMessage { fields: Vec::new(), ..message.clone() }, DebugMessage::default());
        assert_eq!(message.encode(), json);
    }
    assert!(DebugMessage::decode(Json::parse("[]").unwrap().as_ref()).is_none());
    assert!(DebugMessage::decode(Json::null().as_ref()).is_none());
}

#[test]
fn of_a_field_that_comes_twice_the_last_counts() {
    let json = Json::parse(r#"{"id":1,"x":1,"id":"a","x":2}"#).unwrap();
    let message = DebugMessage::decode(json.as_ref()).unwrap();
    assert_eq!(message.encode().text(), r#"{"id":"a","x":2}"#);
}

#[test]
fn levels_are_open_and_a_known_one_is_never_other() {
    assert_eq!([20, 30, 40].map(DebugLevel::from), [DebugLevel::Error, DebugLevel::Warn, DebugLevel::Info]);
    assert_eq!(DebugLevel::from(10).number(), 10);
    assert_eq!([20, 10].map(|level| DebugLevel::from(level).to_string()), ["error", "10"]);
}

#[test]
fn a_record_of_the_log_is_as_the_runtime_sends_it() {
    let record = DebugMessage::from_log(DebugLevel::Warn, &"text".into(), 1000.0, DEBUG_MAX_LENGTH);
    assert_eq!(record.encode().text(), r#"{"level":30,"msg":"text","timestamp":1000,"format":"string[4]"}"#);
}

#[test]
fn records_of_the_log_are_written_as_they_were_recorded() {
    for one in recorded("4.1.15").into_iter().filter(|one| one.file.contains("debug-log")) {
        let message = one.message();
        let made = DebugMessage {
            id: message.id.clone(),
            node_type: message.node_type.clone(),
            z: message.z.clone(),
            name: message.name.clone(),
            path: message.path.clone(),
            ..DebugMessage::from_log(
                message.level.unwrap(),
                &message.value(),
                message.timestamp.unwrap(),
                DEBUG_MAX_LENGTH,
            )
        };
        assert_eq!(value_of(&made.encode()), value_of(&one.data));
    }
}

#[test]
fn debug_output_of_a_message_shows_no_contents() {
    let json = Json::parse(
        r#"{"id":"the-id","name":"SECRET","topic":"SECRET","property":"SECRET","msg":"SECRET","format":"SECRET","SECRET":"SECRET"}"#,
    );
    let message = DebugMessage::decode(json.unwrap().as_ref()).unwrap();
    let shown = format!("{message:?}");
    assert!(shown.contains("the-id") && !shown.contains("SECRET"), "{shown}");
}
