//! How values are shown.

use super::{decode, error, inside, numbers, object, recorded};
use nodered_comms::debug::{DebugError, DebugValue};
use nodered_comms::wire::Json;

#[test]
fn values_are_shown_on_one_line() {
    let typed =
        DebugValue::TypedArray { class: Some("Uint8Array".into()), items: numbers(2), length: Some(2) };
    let view = DebugValue::TypedArray { class: None, items: Vec::new(), length: None };
    let map = DebugValue::map(vec![("a b".to_owned(), DebugValue::Null)]);
    let failure = DebugError {
        code: Some("E_CODE".into()),
        cause: Some("Error: inner".to_owned()),
        stack: Some("TypeError: typed\n    at x".to_owned()),
        ..error("TypeError", "typed")
    };
    for (value, shown) in [
        (DebugValue::Undefined, "undefined"),
        (DebugValue::Null, "null"),
        (true.into(), "true"),
        (1e21.into(), "1e+21"),
        (DebugValue::BigInt("10".into()), "10n"),
        ("héllo \"😀\"\n".into(), r#""héllo \"😀\"\n""#),
        (DebugValue::Symbol, "[symbol]"),
        (DebugValue::Function, "[function]"),
        (DebugValue::Internal, "[internal]"),
        (DebugValue::RegExp("/a\\.b/gi".into()), "/a\\.b/gi"),
        (
            DebugValue::array(vec![1.0.into(), "two".into(), DebugValue::array(Vec::new())]),
            r#"[1, "two", []]"#,
        ),
        (typed, "Uint8Array(2) [0, 1]"),
        (view, "TypedArray []"),
        (DebugValue::buffer(b"hello".to_vec()), "<Buffer 68 65 6c 6c 6f>"),
        (DebugValue::buffer(Vec::new()), "<Buffer>"),
        (DebugValue::set(numbers(2)), "Set(2) {0, 1}"),
        (map, r#"Map(1) {"a b" => null}"#),
        (object([("a", 1.0.into()), ("b c", object([]))]), r#"{a: 1, "b c": {}}"#),
        (failure.into(), r#"TypeError: typed (code "E_CODE") (cause: Error: inner)"#),
        (DebugError::default().into(), "Error"),
        (DebugValue::Circular(".a".into()), "[Circular ~.a]"),
        (DebugValue::Class { name: "Date".into(), text: "Thu Jan 01".to_owned() }, "Date Thu Jan 01"),
        (DebugValue::Raw(Json::null()), "null"),
    ] {
        assert_eq!(value.to_string(), shown);
        assert!(!value.is_truncated());
    }
}

#[test]
fn what_is_cut_says_so() {
    let cut = Some("Float64Array".into());
    for (value, shown) in [
        (decode("string[1001]", "abc..."), r#""abc"… (3 of 1001 characters)"#),
        (DebugValue::Array { items: numbers(2), length: 1001 }, "[0, 1, … 999 more]"),
        (DebugValue::Array { items: Vec::new(), length: 3 }, "[… 3 more]"),
        (DebugValue::Set { items: numbers(1), length: 3 }, "Set(3) {0, … 2 more}"),
        (DebugValue::Map { entries: Vec::new(), length: 3 }, "Map(3) {… 3 more}"),
        (DebugValue::Buffer { bytes: vec![171], length: 501 }, "<Buffer ab … 500 more>"),
        (
            DebugValue::TypedArray { class: cut, items: numbers(1), length: Some(20) },
            "Float64Array(20) [0, … 19 more]",
        ),
    ] {
        assert_eq!(value.to_string(), shown);
        assert!(value.is_truncated());
    }
}

#[test]
fn values_within_values_get_lines_of_their_own() {
    let value = inside(r#"{"a":1,"b":{"c":"d","e":[1,2,{"f":null}]},"g":[]}"#);
    let lines = [
        "{",
        "  a: 1,",
        "  b: {",
        "    c: \"d\",",
        "    e: [",
        "      1,",
        "      2,",
        "      {f: null}",
        "    ]",
        "  },",
        "  g: []",
        "}",
    ];
    assert_eq!(format!("{value:#}"), lines.join("\n"));
    assert_eq!(value.to_string(), "{a: 1, b: {c: \"d\", e: [1, 2, {f: null}]}, g: []}");
}

#[test]
fn long_lists_and_stacks_take_a_line_each() {
    let list = DebugValue::Array { items: numbers(40), length: 1000 };
    let shown = format!("{list:#}");
    assert!(shown.starts_with("[\n  0,\n  1,\n") && shown.ends_with("\n  39,\n  … 960 more\n]"), "{shown}");
    let failure =
        DebugError { stack: Some("Error: outer\n    at a\n    at b".to_owned()), ..error("Error", "outer") };
    let value = object([("e", failure.into())]);
    assert_eq!(format!("{value:#}"), "{\n  e: Error: outer\n    at a\n    at b\n}");
}

#[test]
fn nothing_recorded_reaches_the_terminal_as_a_control_character() {
    let nasty = "\u{1b}[31m\u{202e}\u{9b}";
    let values = [
        nasty.into(),
        DebugValue::Class { name: nasty.into(), text: nasty.to_owned() },
        DebugValue::RegExp(nasty.into()),
        DebugValue::Circular(nasty.into()),
        error(nasty, nasty).into(),
        object([(nasty, nasty.into())]),
        DebugValue::map(vec![(nasty.to_owned(), DebugValue::BigInt(nasty.into()))]),
        DebugValue::TypedArray { class: Some(nasty.into()), items: Vec::new(), length: None },
    ];
    let recorded = recorded("4.1.15").into_iter().map(|one| one.message().value());
    for value in recorded.chain(values) {
        let line = value.to_string();
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
        let lines = format!("{value:#}");
        assert!(!lines.chars().any(|c| c.is_control() && c != '\n'), "{lines:?}");
    }
}
