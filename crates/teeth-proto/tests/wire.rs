//! Lines and messages: what is accepted, in which order things are decided, how messages are written.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use teeth_proto::wire::{
    Json, JsonKind, JsonRef, LINE_LIMIT, LineBuffer, Message, NESTING_LIMIT, Object, Violation, decode,
    encode, trim,
};

#[test]
fn the_ten_fatal_texts_are_the_originals() {
    let texts = [
        (Violation::Undecodable, "protocol error: unable to decode message."),
        (Violation::Malformed, "protocol error: malformed message."),
        (Violation::MissingVersion, "protocol violation: missing message version."),
        (Violation::MissingId, "protocol violation: missing message id."),
        (Violation::MissingParams, "protocol violation: missing message params."),
        (Violation::ParamsNotAnObject, "protocol violation: message params must be an object."),
        (Violation::UnknownId, "protocol violation: unknown message id referenced."),
        (Violation::UnsupportedCommand, "protocol violation: unsupported command."),
        (Violation::UnknownVersion, "unknown message version"),
        (Violation::UnknownMethod, "unknown message method"),
    ];
    for (violation, text) in texts {
        assert_eq!(violation.text(), text);
        assert_eq!(violation.to_string(), text);
    }
}

#[test]
fn what_the_original_answers_with_silence_is_a_malformed_message() {
    for violation in [
        Violation::NotAnObject,
        Violation::LineTooLong,
        Violation::StructuredVersion,
        Violation::StructuredMethod,
        Violation::IdTooLong,
    ] {
        assert_eq!(violation.text(), "protocol error: malformed message.");
    }
}

#[test]
fn the_decisions_come_in_the_originals_order() {
    let outcome = |line: &str| decode(line.as_bytes()).map(|message| message.map(|message| kind(&message)));
    for (line, expected) in [
        ("", Ok(None)),
        (" \t\r\u{b}\u{c}", Ok(None)),
        ("{", Err(Violation::Undecodable)),
        ("[", Err(Violation::Undecodable)),
        ("{} {}", Err(Violation::Undecodable)),
        ("[]", Err(Violation::NotAnObject)),
        ("\"fatal_error\"", Err(Violation::NotAnObject)),
        ("null", Err(Violation::NotAnObject)),
        ("{\"fatal_error\":null,\"method\":1}", Ok(Some("fatal"))),
        ("{\"fatal_error\":\"\"}", Ok(Some("fatal"))),
        ("{}", Err(Violation::MissingVersion)),
        ("{\"id\":\"1\"}", Err(Violation::MissingVersion)),
        ("{\"version\":\"v1\"}", Err(Violation::MissingId)),
        ("{\"version\":\"v1\",\"id\":1}", Err(Violation::Malformed)),
        ("{\"version\":\"v1\",\"id\":1,\"params\":{}}", Err(Violation::Malformed)),
        ("{\"version\":\"v1\",\"id\":1,\"method\":null}", Err(Violation::MissingParams)),
        ("{\"version\":\"v1\",\"id\":1,\"method\":1,\"result\":2}", Err(Violation::MissingParams)),
        ("{\"version\":\"v1\",\"id\":1,\"method\":1,\"params\":null}", Err(Violation::ParamsNotAnObject)),
        ("{\"version\":\"v1\",\"id\":1,\"method\":1,\"params\":[]}", Err(Violation::ParamsNotAnObject)),
        ("{\"version\":\"v1\",\"id\":1,\"method\":1,\"params\":{},\"error\":1}", Ok(Some("command"))),
        ("{\"version\":\"v1\",\"id\":1,\"error\":null,\"result\":1}", Ok(Some("error"))),
        ("{\"version\":\"v1\",\"id\":1,\"result\":null}", Ok(Some("result"))),
        ("{\"version\":\"v9\",\"id\":[0],\"result\":null}", Ok(Some("result"))),
    ] {
        assert_eq!(outcome(line), expected, "{line}");
    }
}

#[test]
fn empty_values_count_as_absent_and_others_do_not() {
    for empty in [
        "null", "false", "0", "-0", "0.0", "-0.0", "0e9", "1e-400", "-1e-999", "\"\"", "[]", "[ ]", "{}",
        "{\t}",
    ] {
        let line = format!("{{\"version\":\"v1\",\"id\":{empty},\"result\":1}}");
        assert_eq!(decode(line.as_bytes()), Err(Violation::MissingId), "{empty}");
        let line = format!("{{\"version\":{empty},\"id\":0,\"result\":1}}");
        assert_eq!(decode(line.as_bytes()), Err(Violation::MissingVersion), "{empty}");
    }
    for there in
        ["true", "-1", "1e999", "0.1", "5e-324", "\" \"", "\"0\"", "\"false\"", "[0]", "{\"a\":null}"]
    {
        let line = format!("{{\"version\":\"v1\",\"id\":{there},\"result\":1}}");
        let Ok(Some(Message::Result { id, .. })) = decode(line.as_bytes()) else { panic!("{there}") };
        assert_eq!(id.text(), there);
    }
}

#[test]
fn the_last_of_equal_names_counts_and_names_may_be_escaped() {
    let line = "{\"id\":\"a\",\"\\u0069d\":\"b\",\"version\":\"v1\",\"\\ud800\":1,\"result\":1,\"result\":2}";
    let Ok(Some(Message::Result { id, result, .. })) = decode(line.as_bytes()) else { panic!("a result") };
    assert_eq!((id.text(), result.text()), ("\"b\"", "2"));
}

#[test]
fn what_is_not_strict_json_in_utf_8_is_undecodable() {
    for line in [
        "hello",
        "{'id':1}",
        "{\"id\":1,}",
        "{\"id\":+1}",
        "{\"id\":01}",
        "{\"id\":.5}",
        "{\"id\":1.}",
        "{\"id\":0x10}",
        "{\"id\":True}",
        "{\"id\":NaN}",
        "{\"id\":-Infinity}",
        "{\"id\":\"\u{1}\"}",
        "{\"id\":\"\\u12\"}",
        "{\"id\":1}//",
        "{\"a\tb\":1}",
        "{\"a\0\":1}",
        "{\"fatal_error\":1,\"\r\":1}",
        "\u{feff}{}",
        "\0",
        "{\"id\":\u{b}1}",
    ] {
        assert_eq!(decode(line.as_bytes()), Err(Violation::Undecodable), "{line}");
    }
    for bytes in [&b"\xff\xfe"[..], b"{\"id\":\"\xed\xa0\x80\"}", b"{\"id\":\"\xc0\xaf\"}", b"{\0\"\0i\0d\0"]
    {
        assert_eq!(decode(bytes), Err(Violation::Undecodable));
    }
}

#[test]
fn a_raw_delete_character_and_escaped_nul_are_fine_in_strings() {
    let line = "{\"version\":\"v1\",\"id\":\"a\u{7f}\\u0000\",\"result\":1}";
    let Ok(Some(Message::Result { id, .. })) = decode(line.as_bytes()) else { panic!("a result") };
    assert_eq!(id.as_str().unwrap(), "a\u{7f}\0");
}

#[test]
fn values_may_nest_to_the_limit_and_no_deeper() {
    let line = |inner: usize| {
        let (open, close) = ("[".repeat(inner), "]".repeat(inner));
        format!("{{\"version\":\"v1\",\"id\":1,\"method\":1,\"params\":{{\"a]\\\"{{\":{open}{close}}}}}")
    };
    assert!(matches!(decode(line(NESTING_LIMIT - 2).as_bytes()), Ok(Some(Message::Command { .. }))));
    assert_eq!(decode(line(NESTING_LIMIT - 1).as_bytes()), Err(Violation::Undecodable));
    assert_eq!(decode("[".repeat(100_000).as_bytes()), Err(Violation::Undecodable));
    // Many arrays beside each other are not deep.
    let wide = format!("{{\"version\":\"v1\",\"id\":[{}1],\"result\":1}}", "[],".repeat(5000));
    assert!(matches!(decode(wide.as_bytes()), Ok(Some(Message::Result { .. }))));
}

#[test]
fn trimming_takes_what_the_original_takes() {
    assert_eq!(trim(b" \t\r\x0b\x0ca b\x0c\x0b\r\t "), b"a b");
    assert_eq!(trim(b"\0a\x1c"), b"\0a\x1c");
    assert_eq!(trim("\u{a0}a".as_bytes()), "\u{a0}a".as_bytes());
    assert_eq!(trim(b" "), b"");
}

#[test]
fn a_line_may_have_the_limit_without_its_line_feed_and_no_byte_more() {
    let mut input = vec![b' '; LINE_LIMIT];
    input.push(b'\n');
    let mut buffer = LineBuffer::new(LINE_LIMIT);
    assert_eq!(buffer.next_line(&mut input.as_slice()).unwrap().unwrap().len(), LINE_LIMIT);
    input.insert(0, b'\r');
    assert!(buffer.next_line(&mut input.as_slice()).unwrap().is_err());
    // Unfinished: the limit waits for its line feed, one more does not.
    let mut buffer = LineBuffer::new(LINE_LIMIT);
    assert_eq!(buffer.next_line(&mut &input[..LINE_LIMIT]), None);
    assert_eq!(buffer.buffered(), LINE_LIMIT);
    assert!(buffer.clone().next_line(&mut b"x".as_slice()).unwrap().is_err());
    assert_eq!(buffer.next_line(&mut b"\n".as_slice()).unwrap().unwrap().len(), LINE_LIMIT);
}

#[test]
fn lines_are_the_same_however_the_input_is_cut() {
    let input = b"one\n\ntwo\r\n three\nfour";
    for size in 1..=input.len() {
        let mut buffer = LineBuffer::new(10);
        let mut lines = Vec::new();
        for mut piece in input.chunks(size) {
            while let Some(line) = buffer.next_line(&mut piece) {
                lines.push(line.unwrap().to_vec());
            }
        }
        assert_eq!(lines, [&b"one"[..], b"", b"two\r", b" three"]);
        assert_eq!(buffer.buffered(), 4);
    }
}

#[test]
fn messages_are_written_as_the_original_writes_them() {
    let json = |text: &str| Json::parse(text).unwrap();
    let (version, id, object) = (json("\"v1\""), json("7"), json("{\"a\": [1, 2.5, null]}"));
    let (version, id, object) = (version.as_ref(), id.as_ref(), object.as_ref());
    for (message, line) in [
        (
            Message::Command { version, params: object, id, method: json("\"ping\"").as_ref() },
            "{\"version\": \"v1\", \"params\": {\"a\": [1, 2.5, null]}, \"id\": 7, \"method\": \"ping\"}\n",
        ),
        (
            Message::Result { version, id, result: object },
            "{\"version\": \"v1\", \"id\": 7, \"result\": {\"a\": [1, 2.5, null]}}\n",
        ),
        (
            Message::Error { version, id, error: json("\"no\"").as_ref() },
            "{\"version\": \"v1\", \"id\": 7, \"error\": \"no\"}\n",
        ),
        (Message::FatalError(json("\"bye\"").as_ref()), "{\"fatal_error\": \"bye\"}\n"),
    ] {
        assert_eq!(encode(&message), line);
        assert_eq!(decode(line.trim_end().as_bytes()), Ok(Some(message)));
    }
}

#[test]
fn strings_are_written_in_ascii_with_short_escapes() {
    let text = "/\"\\\u{8}\u{c}\n\r\t\u{1}\u{7f}é\u{2028}\u{1F980}";
    assert_eq!(
        Json::from(text).text(),
        "\"/\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u007f\\u00e9\\u2028\\ud83e\\udd80\""
    );
    assert_eq!(Json::from(text).as_ref().as_str().unwrap(), text);
}

#[test]
fn floats_are_written_in_the_shortest_form_of_the_originals_interpreter() {
    for (number, text) in [
        (1.0, "1.0"),
        (100.0, "100.0"),
        (-0.0, "-0.0"),
        (0.1, "0.1"),
        (1e-7, "1e-07"),
        (1.5e-5, "1.5e-05"),
        (0.0001, "0.0001"),
        (1.234_567_890_123_456_8e16, "1.2345678901234568e+16"),
        (1e16, "1e+16"),
        (9_999_999_999_999_998.0, "9999999999999998.0"),
        (1e100, "1e+100"),
        (5e-324, "5e-324"),
        (1_795_228_200.232_542, "1795228200.232542"),
    ] {
        assert_eq!(Json::encode(&number).unwrap().text(), text);
    }
}

#[test]
fn a_json_value_keeps_its_text_on_one_line() {
    let value = Json::parse(" {\n\"a\":\r\n 1E2 }\n").unwrap();
    assert_eq!(value.text(), "{ \"a\":\r  1E2 }");
    let pretty: Object = serde_json::from_str("{\n \"a\": 1\n}").unwrap();
    assert_eq!(pretty.text(), "{  \"a\": 1 }");
    assert!(Json::parse("\"a\nb\"").is_err());
    assert!(Json::parse(&"[".repeat(NESTING_LIMIT + 1).to_owned()).is_err());
    assert!(Json::parse("1 2").is_err() && Json::parse("").is_err() && Json::parse("NaN").is_err());
    assert!(Object::parse("[]").is_err());
}

#[test]
fn members_are_those_of_the_last_values_in_the_first_places() {
    let object = Object::parse("{\"a\":1,\"b\":2,\"a\":3,\"\\ud800\":4}").unwrap();
    let members: Vec<(String, &str)> =
        object.members().into_iter().map(|(name, value)| (name, value.text())).collect();
    assert_eq!(members, [("a".to_owned(), "3"), ("b".to_owned(), "2")]);
    assert_eq!(object.get("a").map(JsonRef::text), Some("3"));
    assert_eq!(object.get("c"), None);
}

#[test]
fn members_of_large_objects_are_told_apart_too() {
    let members = (0..60).map(|n| format!("\"m{}\":{n}", n % 40)).collect::<Vec<_>>().join(",");
    let object = Object::parse(&format!("{{{members}}}")).unwrap();
    let found: Vec<(String, String)> =
        object.members().into_iter().map(|(name, value)| (name, value.text().to_owned())).collect();
    let expected = (0..40).map(|n| (format!("m{n}"), if n < 20 { n + 40 } else { n }.to_string()));
    assert_eq!(found, expected.collect::<Vec<_>>());
}

#[test]
fn debug_shows_kind_and_length_and_nothing_of_the_contents() {
    let secret = Json::parse("{\"password\":\"hunter2\"}").unwrap();
    assert_eq!(format!("{secret:?}"), "Object(22 bytes)");
    assert_eq!(secret.as_ref().kind(), JsonKind::Object);
}

fn kind(message: &Message<'_>) -> &'static str {
    match message {
        Message::Command { .. } => "command",
        Message::Result { .. } => "result",
        Message::Error { .. } => "error",
        Message::FatalError(_) => "fatal",
    }
}
