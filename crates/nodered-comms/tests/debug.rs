//! Debug messages and their values: every row of the table in `debug`, the recordings, the limits.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod debug_support;

use debug_support::{decode, encode, error, inside, numbers, object};
use nodered_comms::debug::{DEBUG_MAX_LENGTH, DebugError, DebugNumber, DebugValue};
use nodered_comms::wire::Json;

const INF: f64 = f64::INFINITY;

// Section 11.2: values by themselves.

#[test]
fn values_have_the_formats_and_texts_of_the_table() {
    let class = |name: &str, text: &str| DebugValue::Class { name: name.into(), text: text.to_owned() };
    let named = DebugError { class: Some("NotAnError".into()), ..error("n", "m") };
    let typed =
        DebugValue::TypedArray { class: Some("Uint8Array".into()), items: numbers(3), length: Some(3) };
    let view = DebugValue::TypedArray { class: Some("DataView".into()), items: Vec::new(), length: None };
    for (value, format, msg) in [
        ("".into(), "string[0]", ""),
        ("hello".into(), "string[5]", "hello"),
        ("héllo 😀".into(), "string[8]", "héllo 😀"),
        (42.0.into(), "number", "42"),
        (f64::NAN.into(), "number", "NaN"),
        (INF.into(), "number", "Infinity"),
        ((-INF).into(), "number", "-Infinity"),
        (true.into(), "boolean", "true"),
        (false.into(), "boolean", "false"),
        (DebugValue::Null, "null", "(undefined)"),
        (DebugValue::Undefined, "undefined", "(undefined)"),
        (DebugValue::Function, "function", "[function]"),
        (DebugValue::array(numbers(3)), "array[3]", "[0,1,2]"),
        (DebugValue::array(Vec::new()), "array[0]", "[]"),
        (object([]), "Object", "{}"),
        (object([("a", 1.0.into()), ("b", "x".into())]), "Object", r#"{"a":1,"b":"x"}"#),
        (DebugValue::buffer(b"hello".to_vec()), "buffer[5]", "68656c6c6f"),
        (typed, "Uint8Array[3]", r#"{"__enc__":true,"type":"array","data":[0,1,2],"length":3}"#),
        (
            view,
            "DataView[undefined]",
            r#"{"__enc__":true,"type":"array","data":[],"length":{"__enc__":true,"type":"undefined"}}"#,
        ),
        (DebugValue::set(numbers(2)), "set[2]", r#"{"__enc__":true,"type":"set","data":[0,1],"length":2}"#),
        (
            DebugValue::map(vec![("1".to_owned(), "one".into())]),
            "map",
            r#"{"__enc__":true,"type":"map","data":{"1":"one"},"length":1}"#,
        ),
        (DebugValue::RegExp("/ab+c/gi".into()), "regexp", "/ab+c/gi"),
        (class("Date", "Thu Jan 01 1970"), "Date", "Thu Jan 01 1970"),
        (class("Foo", "[object Object]"), "Foo", "[object Object]"),
        (named.into(), "NotAnError", r#"{"name":"n","message":"m"}"#),
        (
            error("TypeError", "typed").into(),
            "error",
            r#"{"__enc__":true,"type":"error","data":{"name":"TypeError","message":"typed"}}"#,
        ),
    ] {
        assert_eq!(encode(&value, DEBUG_MAX_LENGTH), (format.to_owned(), msg.to_owned()), "{value:?}");
        assert_eq!(decode(format, msg), value);
    }
}

#[test]
fn a_big_integer_is_an_object_and_not_a_string() {
    let value = DebugValue::BigInt("12345678901234567890".into());
    let (format, msg) = value.encode(5);
    let msg = msg.unwrap();
    assert_eq!(format, "bigint");
    assert_eq!(msg.text(), r#"{"__enc__":true,"type":"bigint","data":"12345678901234567890"}"#);
    assert_eq!(DebugValue::decode(Some("bigint"), Some(msg.as_ref())), value);
}

#[test]
fn a_symbol_has_no_msg() {
    assert_eq!(DebugValue::Symbol.encode(5), ("string[undefined]".to_owned(), None));
    assert_eq!(DebugValue::decode(Some("string[undefined]"), None), DebugValue::Symbol);
}

#[test]
fn a_long_string_is_cut_in_utf_16_units() {
    assert_eq!(encode(&"abcdef".into(), 4), ("string[6]".to_owned(), "abcd...".to_owned()));
    assert_eq!(encode(&"abcd".into(), 4), ("string[4]".to_owned(), "abcd".to_owned()));
    assert_eq!(encode(&"a😀bc".into(), 3), ("string[5]".to_owned(), "a😀...".to_owned()));
    let cut = decode("string[1001]", "xxx...");
    assert_eq!(cut, DebugValue::String { text: "xxx".to_owned(), length: 1001 });
    assert!(cut.is_truncated());
    assert_eq!(decode("string[5]", "hell..."), DebugValue::String { text: "hell".to_owned(), length: 5 });
    assert_eq!(encode(&"anything".into(), 0), ("string[8]".to_owned(), "...".to_owned()));
    assert_eq!(encode(&cut, 1000), ("string[1001]".to_owned(), "xxx...".to_owned()));
}

#[test]
fn of_a_pair_of_surrogates_no_half_is_sent() {
    assert_eq!(encode(&"aaa😀bbb".into(), 4), ("string[8]".to_owned(), "aaa\u{FFFD}...".to_owned()));
    assert_eq!(encode(&object([("a", "aaa😀bbb".into())]), 4).1, "{\"a\":\"aaa\u{FFFD}...\"}");
}

#[test]
fn a_string_that_ends_in_dots_is_whole_if_its_length_says_so() {
    assert_eq!(decode("string[6]", "abc..."), "abc...".into());
    assert_eq!(decode("string[2]", "abc..."), "abc...".into());
    assert_eq!(decode("string", "abc..."), "abc...".into());
}

#[test]
fn a_long_list_is_wrapped_with_its_length() {
    let list = DebugValue::array(numbers(4));
    let text = r#"{"__enc__":true,"type":"array","data":[0,1,2],"length":4}"#;
    assert_eq!(encode(&list, 3), ("array[4]".to_owned(), text.to_owned()));
    assert_eq!(decode("array[4]", text), DebugValue::Array { items: numbers(3), length: 4 });
    assert_eq!(encode(&decode("array[4]", text), 1000).1, text);
}

#[test]
fn a_long_set_and_a_long_map_are_cut() {
    let set = DebugValue::set(numbers(4));
    let text = r#"{"__enc__":true,"type":"set","data":[0,1,2],"length":4}"#;
    assert_eq!(encode(&set, 3), ("set[4]".to_owned(), text.to_owned()));
    assert_eq!(decode("set[4]", text), DebugValue::Set { items: numbers(3), length: 4 });
    let map = DebugValue::map(vec![("a".to_owned(), true.into()), ("b".to_owned(), false.into())]);
    let text = r#"{"__enc__":true,"type":"map","data":{"a":true},"length":2}"#;
    assert_eq!(encode(&map, 1), ("map".to_owned(), text.to_owned()));
    assert_eq!(
        decode("map", text),
        DebugValue::Map { entries: vec![("a".to_owned(), true.into())], length: 2 }
    );
}

#[test]
fn a_long_typed_array_holds_a_shorter_one_and_its_class_is_cut_like_any_string() {
    let class = Some("Float64Array".into());
    let typed = DebugValue::TypedArray { class: class.clone(), items: numbers(11), length: Some(11) };
    let text = concat!(
        r#"{"__enc__":true,"type":"Float64Arr...","data":"#,
        r#"{"__enc__":true,"type":"array","data":[0,1,2,3,4,5,6,7,8,9],"length":10},"length":11}"#
    );
    assert_eq!(encode(&typed, 10), ("Float64Array[11]".to_owned(), text.to_owned()));
    let read = decode("Float64Array[11]", text);
    assert_eq!(read, DebugValue::TypedArray { class, items: numbers(10), length: Some(11) });
    assert!(read.is_truncated());
}

#[test]
fn a_buffer_is_cut_to_as_many_digits_as_the_limit() {
    let buffer = DebugValue::buffer(vec![0xAB; 20]);
    assert_eq!(encode(&buffer, 6), ("buffer[20]".to_owned(), "ababab".to_owned()));
    assert_eq!(encode(&buffer, 7).1, "abababa");
    let read = decode("buffer[20]", "abababa");
    assert_eq!(read, DebugValue::Buffer { bytes: vec![0xAB; 3], length: 20 });
    assert_eq!(decode("buffer[1]", "xy"), "xy".into());
}

#[test]
fn the_texts_of_an_error_that_is_the_value_are_not_cut() {
    let error = DebugError {
        code: Some("E_CODE".into()),
        cause: Some("Error: inner".to_owned()),
        stack: Some("Error: outer\n    at x".to_owned()),
        ..error("Error", "outer")
    };
    let text = concat!(
        r#"{"__enc__":true,"type":"error","data":{"name":"Error","message":"outer","code":"E_CODE","#,
        r#""cause":"Error: inner","stack":"Error: outer\n    at x"}}"#
    );
    let value = DebugValue::from(error);
    assert_eq!(encode(&value, 3), ("error".to_owned(), text.to_owned()));
    assert_eq!(decode("error", text), value);
}

#[test]
fn what_is_called_an_error_and_has_other_members_is_kept_as_its_text() {
    let text = r#"{"name":"n","message":{"a":1}}"#;
    let class = DebugValue::Class { name: "MyError".into(), text: text.to_owned() };
    assert_eq!(decode("MyError", text), class);
    assert_eq!(encode(&class, 1000), ("MyError".to_owned(), text.to_owned()));
}

#[test]
fn what_nests_too_deep_to_be_written_becomes_an_error() {
    let deep = |levels: u32| (0..levels).fold(DebugValue::Null, |inner, _| DebugValue::array(vec![inner]));
    let (format, text) = encode(&deep(600), 1000);
    assert_eq!(format, "error");
    let DebugValue::Error(error) = decode(&format, &text) else { panic!("{text}") };
    assert!(error.message.unwrap().starts_with("encodeObject Error: "));
    assert_eq!(encode(&deep(400), 1000).1.len(), 804);
    assert!(deep(600).to_string().contains('…'));
}

// Section 11.3: values inside others.

#[test]
fn values_inside_others_are_written_as_in_the_table() {
    let typed = DebugValue::TypedArray { class: None, items: numbers(3), length: Some(3) };
    let long_typed =
        DebugValue::TypedArray { class: Some("Uint8Array".into()), items: numbers(2), length: Some(2000) };
    let number = |number: f64| DebugValue::from(number);
    for (value, text) in [
        (DebugValue::Undefined, r#"{"__enc__":true,"type":"undefined"}"#),
        (number(f64::NAN), r#"{"__enc__":true,"type":"number","data":"NaN"}"#),
        (number(INF), r#"{"__enc__":true,"type":"number","data":"Infinity"}"#),
        (number(-INF), r#"{"__enc__":true,"type":"number","data":"-Infinity"}"#),
        (number(1e21), "1e+21"),
        (DebugValue::BigInt("10".into()), r#"{"__enc__":true,"type":"bigint","data":"10"}"#),
        (DebugValue::Function, r#"{"__enc__":true,"type":"function"}"#),
        (DebugValue::RegExp("/a.b/gi".into()), r#"{"__enc__":true,"type":"regexp","data":"/a.b/gi"}"#),
        (
            DebugValue::Array { items: numbers(2), length: 2000 },
            r#"{"__enc__":true,"type":"array","data":[0,1],"length":2000}"#,
        ),
        (typed, r#"{"__enc__":true,"type":"array","data":[0,1,2],"length":3}"#),
        (long_typed, r#"{"__enc__":true,"type":"Uint8Array","data":[0,1],"length":2000}"#),
        (
            DebugValue::Buffer { bytes: vec![97, 255], length: 2000 },
            r#"{"type":"Buffer","data":[97,255],"__enc__":true,"length":2000}"#,
        ),
        (DebugValue::set(numbers(1)), r#"{"__enc__":true,"type":"set","data":[0],"length":1}"#),
        (DebugValue::map(Vec::new()), r#"{"__enc__":true,"type":"map","data":{},"length":0}"#),
        (
            error("TypeError", "inner").into(),
            r#"{"__enc__":true,"type":"error","data":{"name":"TypeError","message":"inner"}}"#,
        ),
        (DebugValue::Internal, r#"{"__enc__":true,"type":"internal"}"#),
        (DebugValue::Circular("".into()), r#""[Circular ~]""#),
        (DebugValue::Circular(".a.b".into()), r#""[Circular ~.a.b]""#),
        ("[internal]".into(), r#""[internal]""#),
        (DebugValue::Null, "null"),
        (true.into(), "true"),
    ] {
        assert_eq!(encode(&object([("v", value.clone())]), 1000).1, format!(r#"{{"v":{text}}}"#));
        assert_eq!(inside(text), value);
    }
}

#[test]
fn values_inside_others_are_cut_to_the_limit() {
    let text = "0123456789a";
    for (value, expected) in [
        (text.into(), r#""0123456789...""#),
        (DebugValue::BigInt(text.into()), r#"{"__enc__":true,"type":"bigint","data":"0123456789..."}"#),
        (DebugValue::RegExp(text.into()), r#"{"__enc__":true,"type":"regexp","data":"0123456789..."}"#),
        (DebugValue::Circular(".abc".into()), r#""[Circular ...""#),
        (
            DebugValue::buffer(vec![7; 11]),
            r#"{"type":"Buffer","data":[7,7,7,7,7,7,7,7,7,7],"__enc__":true,"length":11}"#,
        ),
        (
            error("Error", text).into(),
            r#"{"__enc__":true,"type":"error","data":{"name":"Error","message":"0123456789..."}}"#,
        ),
        (
            DebugValue::TypedArray {
                class: Some("Float64Array".into()),
                items: numbers(11),
                length: Some(11),
            },
            r#"{"__enc__":true,"type":"Float64Arr...","data":[0,1,2,3,4,5,6,7,8,9],"length":11}"#,
        ),
        (
            DebugValue::array(numbers(11)),
            r#"{"__enc__":true,"type":"array","data":[0,1,2,3,4,5,6,7,8,9],"length":11}"#,
        ),
    ] {
        assert_eq!(encode(&object([("v", value)]), 10).1, format!(r#"{{"v":{expected}}}"#));
    }
}

#[test]
fn symbols_are_left_out_of_objects_and_null_in_lists() {
    assert_eq!(encode(&object([("a", DebugValue::Symbol), ("b", true.into())]), 9).1, r#"{"b":true}"#);
    assert_eq!(encode(&DebugValue::array(vec![DebugValue::Symbol]), 9).1, "[null]");
}

#[test]
fn parts_of_the_runtime_are_hidden_by_their_names() {
    let text =
        r#"{"_req":{"__enc__":true,"type":"internal"},"req":1,"_res":{"__enc__":true,"type":"internal"}}"#;
    let value = object([("_req", true.into()), ("req", 1.0.into()), ("_res", DebugValue::Null)]);
    assert_eq!(encode(&value, 1000).1, text);
}

#[test]
fn wrappers_without_data_or_length_are_accepted() {
    assert_eq!(inside(r#"{"__enc__":true,"type":"set"}"#), DebugValue::set(Vec::new()));
    assert_eq!(inside(r#"{"__enc__":true,"type":"array","data":[0]}"#), DebugValue::array(numbers(1)));
    let cut = DebugValue::Array { items: Vec::new(), length: 7 };
    assert_eq!(inside(r#"{"__enc__":true,"type":"array","length":7}"#), cut);
    assert_eq!(inside(r#"{"__enc__":true,"type":"error"}"#), DebugError::default().into());
}

#[test]
fn the_length_may_be_a_wrapper_itself() {
    let view = DebugValue::TypedArray { class: None, items: Vec::new(), length: None };
    let text = r#"{"__enc__":true,"type":"array","data":[],"length":{"__enc__":true,"type":"undefined"}}"#;
    assert_eq!(inside(text), view);
    assert_eq!(encode(&object([("v", view)]), 1000).1, format!(r#"{{"v":{text}}}"#));
}

#[test]
fn wrappers_that_are_not_understood_stay_the_objects_that_they_are() {
    for text in [
        r#"{"__enc__":true,"type":"zzz","data":[1,2],"length":"x"}"#,
        r#"{"__enc__":true,"type":"later","data":{"a":1}}"#,
        r#"{"__enc__":true,"type":"undefined","data":1}"#,
        r#"{"__enc__":true,"type":"bigint","data":5}"#,
        r#"{"__enc__":true,"type":"number","data":"five"}"#,
        r#"{"__enc__":true,"type":"set","data":{"a":1},"length":1}"#,
        r#"{"__enc__":true,"type":"array","data":[1],"length":1.5}"#,
        r#"{"__enc__":true,"type":"array","data":[1],"length":1,"more":0}"#,
        r#"{"__enc__":true,"type":"error","data":{"message":5}}"#,
        r#"{"__enc__":true,"data":[1],"length":1}"#,
        r#"{"__enc__":"true","type":"function"}"#,
        r#"{"type":"Buffer","data":["x",{}],"__enc__":true,"length":2}"#,
        r#"{"type":"Buffer","data":[1,2,3]}"#,
    ] {
        let value = inside(text);
        assert!(matches!(value, DebugValue::Object(_)), "{text}");
        assert_eq!(encode(&value, 1000).1, text);
    }
}

// Older encodings, other runtimes.

#[test]
fn the_wrappers_and_the_indented_text_of_0_18_are_read() {
    let text =
        "{\n \"__encoded__\": true,\n \"type\": \"array\",\n \"data\": [\n  0,\n  1\n ],\n \"length\": 9\n}";
    assert_eq!(decode("array[9]", text), DebugValue::Array { items: numbers(2), length: 9 });
    assert_eq!(DebugValue::decode(Some("string[1]"), None), DebugValue::Function);
    assert_eq!(decode("RegExp", "/ab+c/gi"), DebugValue::RegExp("/ab+c/gi".into()));
    let named = DebugError { class: Some("TypeError".into()), ..error("TypeError", "typed") };
    assert_eq!(decode("TypeError", r#"{"name":"TypeError","message":"typed"}"#), named.into());
    assert_eq!(decode("error", r#"{"name":"Error","message":"m"}"#), error("Error", "m").into());
    let class = DebugValue::Class { name: "Uint8Array".into(), text: "1,2,3".to_owned() };
    assert_eq!(decode("Uint8Array", "1,2,3"), class);
}

#[test]
fn what_is_not_as_its_format_says_is_its_text() {
    for format in ["number", "boolean", "Object", "array[2]", "set[1]", "map", "buffer[2]"] {
        assert_eq!(decode(format, "{nonsense"), "{nonsense".into(), "{format}");
    }
    assert_eq!(
        decode("error", "{no"),
        DebugError { message: Some("{no".into()), ..Default::default() }.into()
    );
    assert_eq!(DebugValue::decode(None, Some(Json::from("x").as_ref())), "x".into());
    assert_eq!(DebugValue::decode(None, None), DebugValue::Undefined);
}

#[test]
fn a_msg_that_is_no_string_is_read_as_json() {
    let json = Json::parse(r#"[1,{"__enc__":true,"type":"undefined"}]"#).unwrap();
    let value = DebugValue::decode(Some("array[2]"), Some(json.as_ref()));
    assert_eq!(value, DebugValue::array(vec![1.0.into(), DebugValue::Undefined]));
}

#[test]
fn half_a_surrogate_pair_is_read_as_the_replacement_character() {
    let json = Json::parse(r#""aaa\ud83d...""#).unwrap();
    let value = DebugValue::decode(Some("string[8]"), Some(json.as_ref()));
    assert_eq!(value, DebugValue::String { text: "aaa\u{FFFD}".to_owned(), length: 8 });
    let text = r#"{"a":"\ud83d","\udc00b":["é\ud83d\ud83d\ude00"]}"#;
    let inner = DebugValue::array(vec!["é\u{FFFD}😀".into()]);
    assert_eq!(decode("Object", text), object([("a", "\u{FFFD}".into()), ("\u{FFFD}b", inner)]));
}

// Numbers.

#[test]
fn numbers_are_printed_as_javascript_prints_them() {
    for (number, text) in [
        (0.0, "0"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (-42.0, "-42"),
        (100.0, "100"),
        (0.1 + 0.2, "0.30000000000000004"),
        // Exactly between two texts: …3125.
        (f64::from_bits(0x408D_4C1D_A000_0000), "937.5144653320312"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (-1.25e25, "-1.25e+25"),
        (123_456_789_012_345_680_000.0, "123456789012345680000"),
        (1e-6, "0.000001"),
        (1.5e-6, "0.0000015"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (f64::MAX, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
    ] {
        assert_eq!(DebugNumber::from(number).text(), text);
    }
}

#[test]
fn the_text_of_a_number_is_kept_where_javascript_would_print_another() {
    for text in ["1.0", "12345678901234567890", "-0", "1E5", "1e400", "0.10"] {
        let number = DebugNumber::parse(text).unwrap();
        assert_eq!(number.text(), text);
        assert_eq!(encode(&object([("n", number.into())]), 1000).1, format!(r#"{{"n":{text}}}"#));
    }
    assert_eq!(DebugNumber::parse("1e400").unwrap().value(), INF);
    for text in ["", "-", "01", "1.", ".5", "1e", "+1", "inf", "nan", " 1", "0x1", "1_0"] {
        assert_eq!(DebugNumber::parse(text), None, "{text}");
    }
}

// Depth.

#[test]
fn deep_json_is_kept_as_it_is_below_a_hundred_levels() {
    let text = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let value = decode("array[1]", &text);
    let mut levels = 0;
    let mut inner = &value;
    while let DebugValue::Array { items, .. } = inner {
        (inner, levels) = (&items[0], levels + 1);
    }
    assert_eq!(levels, 100);
    assert!(matches!(inner, DebugValue::Raw(_)));
    assert_eq!(encode(&value, 1000), ("array[1]".to_owned(), text));
}

#[test]
fn raw_json_is_written_as_what_it_is() {
    let raw = |text: &str| DebugValue::Raw(Json::parse(text).unwrap());
    assert_eq!(encode(&raw("[1,2]"), 1000), ("array[2]".to_owned(), "[1,2]".to_owned()));
    assert_eq!(encode(&raw("\"x\""), 1000), ("string[1]".to_owned(), "x".to_owned()));
    assert_eq!(encode(&object([("a", raw("[1]"))]), 1000).1, r#"{"a":[1]}"#);
}
