//! Rules that hold for any value and any text.

use super::cuts::cut_top;
use super::inside;
use nodered_comms::debug::{DebugError, DebugMessage, DebugNumber, DebugValue};
use nodered_comms::wire::Json;
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_is_written_reads_as_the_value_with_its_cuts(value in value(), limit in limit()) {
        let (format, msg) = value.encode(limit);
        let read = DebugValue::decode(Some(&format), msg.as_ref().map(Json::as_ref));
        prop_assert_eq!(read, cut_top(&value, limit));
    }

    #[test]
    fn what_is_read_is_written_as_it_was(value in value(), limit in limit()) {
        let once = value.encode(limit);
        let read = DebugValue::decode(Some(&once.0), once.1.as_ref().map(Json::as_ref));
        prop_assert_eq!(read.encode(limit), once);
    }

    #[test]
    fn any_text_is_read_shown_and_written(format in format(), text in text()) {
        let msg = Json::from(text.as_str());
        exercise(&DebugValue::decode(Some(&format), Some(msg.as_ref())));
        if let Ok(json) = Json::parse(&text) {
            exercise(&DebugValue::decode(Some(&format), Some(json.as_ref())));
            if let Some(message) = DebugMessage::decode(json.as_ref()) {
                exercise(&message.value());
                prop_assert_eq!(DebugMessage::decode(message.encode().as_ref()), Some(message));
            }
        }
    }

    #[test]
    fn json_without_wrappers_stays_the_same_value(json in json()) {
        let text = json.to_string();
        let written = DebugValue::array(vec![inside(&text)]).encode(100_000).1.unwrap();
        let again: serde_json::Value = serde_json::from_str(&written.decode::<String>().unwrap()).unwrap();
        prop_assert_eq!(&again[0], &json);
    }

    #[test]
    fn a_number_is_the_one_that_its_text_says(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        let text = DebugNumber::from(value).text().into_owned();
        let read = DebugNumber::parse(&text).unwrap();
        prop_assert_eq!(&read, &value.into());
        prop_assert!(read.value() == value || value.is_nan());
    }
}

fn exercise(value: &DebugValue) {
    let _ = (format!("{value} {value:#}"), value.length(), value.is_truncated());
    for limit in [0, 7, 1000] {
        let (format, msg) = value.encode(limit);
        let _ = DebugValue::decode(Some(&format), msg.as_ref().map(Json::as_ref));
    }
}

/// Even, or a buffer's last byte is halved; above the names of classes and small wrappers.
fn limit() -> impl Strategy<Value = usize> {
    prop_oneof![Just(12), Just(14), Just(1000)]
}

/// Short, long, of characters with one and two units; none that reads as something else.
fn string() -> impl Strategy<Value = String> {
    "[a-z\"\\\\\u{1}é日😀]{0,24}"
}

fn format() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "string",
        "number",
        "boolean",
        "null",
        "undefined",
        "bigint",
        "function",
        "array",
        "Object",
        "buffer",
        "error",
        "MyError",
        "set",
        "map",
        "regexp",
        "RegExp",
        "Uint8Array",
        "Foo",
    ]);
    let known =
        (names, "(\\[([0-9]{1,3}|undefined)?\\]?)?").prop_map(|(name, length)| format!("{name}{length}"));
    prop_oneof![known, ".{0,12}"]
}

/// Texts like those of messages, and any others.
fn text() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\ud83d",
        "\\u",
        "null",
        "true",
        "1",
        "-1.5e400",
        "...",
        "\"__enc__\":true",
        "\"__encoded__\":true",
        "\"type\":",
        "\"array\"",
        "\"set\"",
        "\"map\"",
        "\"Buffer\"",
        "\"error\"",
        "\"data\":",
        "\"length\":",
        "\"number\"",
        "\"NaN\"",
        "\"name\":",
        "\"msg\":",
        "\"format\":",
        "\"string[9]\"",
        " ",
        "é",
    ]);
    let wrapper = (any::<bool>(), "(array|set|map|Buffer|error|number|bigint|Uint8Array|x)", json(), json())
        .prop_map(|(is_old, kind, data, length)| {
            let mark = if is_old { "__encoded__" } else { "__enc__" };
            format!("{{\"{mark}\":true,\"type\":\"{kind}\",\"data\":{data},\"length\":{length}}}")
        });
    prop_oneof![
        prop::collection::vec(parts, 0..24).prop_map(|parts| parts.concat()),
        wrapper,
        json().prop_map(|json| json.to_string()),
        ".{0,24}",
    ]
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{0,6}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn value() -> impl Strategy<Value = DebugValue> {
    let leaf = prop_oneof![
        Just(DebugValue::Undefined),
        Just(DebugValue::Null),
        Just(DebugValue::Function),
        Just(DebugValue::Symbol),
        any::<bool>().prop_map(DebugValue::Bool),
        any::<u64>().prop_map(|bits| f64::from_bits(bits).into()),
        (-1000..1000_i32).prop_map(|number| f64::from(number).into()),
        "-?[1-9][0-9]{0,20}".prop_map(|digits| DebugValue::BigInt(digits.into())),
        string().prop_map(DebugValue::from),
        string().prop_map(|source| DebugValue::RegExp(format!("/{source}/g").into())),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(DebugValue::buffer),
        error(),
        ("(Date|Foo)", string()).prop_map(|(name, text)| DebugValue::Class { name: name.into(), text }),
    ];
    leaf.prop_recursive(4, 64, 20, |inner| {
        let items = prop::collection::vec(inner.clone(), 0..20);
        let members = prop::collection::vec(("[a-z]{1,4}", inner), 0..20);
        let numbers = prop::collection::vec(any::<u16>().prop_map(|number| f64::from(number).into()), 0..20);
        prop_oneof![
            (items.clone(), 0..3_u64)
                .prop_map(|(items, more)| DebugValue::Array { length: items.len() as u64 + more, items }),
            items.prop_map(DebugValue::set),
            (members.clone(), 0..3_u64)
                .prop_map(|(entries, more)| DebugValue::Map { length: entries.len() as u64 + more, entries }),
            members.prop_map(DebugValue::Object),
            ("(Uint8Array|Float64Array)", numbers).prop_map(|(class, items)| DebugValue::TypedArray {
                class: Some(class.into()),
                length: Some(items.len() as u64),
                items,
            }),
        ]
    })
}

fn error() -> impl Strategy<Value = DebugValue> {
    let parts = (string(), string(), prop::option::of(string()), prop::option::of(string()));
    parts.prop_map(|(name, message, code, stack)| {
        let code = code.map(DebugValue::from);
        DebugError { name: Some(name), message: Some(message), code, stack, ..DebugError::default() }.into()
    })
}
