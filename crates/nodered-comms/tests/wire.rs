//! Packets and frames.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use nodered_comms::wire::{
    AuthReply, Frame, Item, Json, JsonRef, Message, Packet, decode_frame, decode_packet, encode_auth,
    encode_message, encode_publish, encode_subscribe,
};

#[test]
fn packets_by_their_first_truthy_key() {
    let kind = |text: &str| {
        decode_packet(text).map(|packet| match packet {
            Packet::Auth(_) => "auth",
            Packet::Subscribe(_) => "subscribe",
            Packet::Publish { .. } => "publish",
            Packet::Other => "other",
        })
    };
    for (text, expected) in [
        ("{\"auth\":\"t\",\"subscribe\":\"p\",\"topic\":\"x\"}", Some("auth")),
        ("{\"topic\":\"x\",\"subscribe\":\"p\",\"auth\":\"\"}", Some("subscribe")),
        ("{\"auth\":null,\"subscribe\":0,\"topic\":\"x\"}", Some("publish")),
        ("{\"auth\":\"t\",\"auth\":false}", Some("other")),
        ("{\"\\u0061uth\":{}}", Some("auth")),
        ("{\"subscribe\":[]}", Some("subscribe")),
        (" \n{\"topic\":7}\t", Some("publish")),
        ("{}", Some("other")),
        ("[{\"auth\":\"t\"}]", Some("other")),
        ("true", Some("other")),
        ("\"null\"", Some("other")),
        ("null", None),
        (" null ", None),
        ("", None),
        ("{} {}", None),
        ("\u{feff}{}", None),
        ("{\"auth\":NaN}", None),
        ("{\"a\u{3}uth\":\"t\"}", None),
    ] {
        assert_eq!(kind(text).ok(), expected, "{text}");
    }
}

#[test]
fn truthy_is_javascripts() {
    for (text, truthy) in [
        ("null", false),
        ("false", false),
        ("0", false),
        ("-0.0", false),
        ("1e-999", false),
        ("\"\"", false),
        ("true", true),
        ("-1", true),
        ("\"0\"", true),
        ("[]", true),
        ("{}", true),
        ("1e999", true),
    ] {
        assert_eq!(Json::parse(text).unwrap().as_ref().is_truthy(), truthy, "{text}");
    }
}

#[test]
fn packets_are_written_as_an_editor_writes_them() {
    assert_eq!(encode_auth("a\"b"), "{\"auth\":\"a\\\"b\"}");
    assert_eq!(encode_subscribe("status/#"), "{\"subscribe\":\"status/#\"}");
    let data = Json::parse("{ \"a\": 1E2 }").unwrap();
    assert_eq!(encode_publish("é", data.as_ref()), "{\"topic\":\"é\",\"data\":{ \"a\": 1E2 }}");
}

#[test]
fn frames_of_all_eras_are_read() {
    let frame = |text| decode_frame(text).unwrap();
    assert_eq!(frame("{\"auth\":\"ok\"}"), Frame::Bare(Some(Item::Auth(AuthReply::Ok))));
    assert_eq!(frame("{\"auth\":\"fail\"}"), Frame::Bare(Some(Item::Auth(AuthReply::Fail))));
    assert_eq!(frame("{\"auth\":1}"), Frame::Bare(Some(Item::Auth(AuthReply::Other))));
    assert_eq!(frame("[]"), Frame::Batch(vec![]));
    for odd in ["{}", "7", "null", "\"x\"", "{\"topic\":\"\",\"data\":1}"] {
        assert_eq!(frame(odd), Frame::Bare(None), "{odd}");
    }
    let message = |topic: &'static str, data: Option<JsonRef<'static>>| {
        Item::Message(Message { topic: topic.into(), data })
    };
    assert_eq!(frame("{\"topic\":\"a\"}"), Frame::Bare(Some(message("a", None))));
    assert_eq!(frame("[1,[2],{\"topic\":7},{\"x\":1}]"), Frame::Batch(vec![message("7", None)]));
    assert_eq!(frame("1e999"), Frame::Bare(None), "a number beyond all floats is JSON, and no message");
    assert_eq!(
        frame("[1e999,\"\\ud800\",{\"topic\":\"a\"}]"),
        Frame::Batch(vec![message("a", None)]),
        "what JavaScript reads costs no message"
    );
    assert!(decode_frame("[{]").is_err() && decode_frame("").is_err());
    for controls in ["\u{3}", "\u{3}\u{4}", "\n\n\n"] {
        assert!(decode_frame(&format!("[{{\"a{controls}\":1}}]")).is_err(), "{controls:?}");
    }
}

#[test]
fn frames_are_written_as_a_runtime_writes_them() {
    for text in [
        "{\"auth\":\"ok\"}",
        "{\"auth\":\"fail\"}",
        "[]",
        "[{\"topic\":\"a\",\"data\":1.0},{\"topic\":\"b\",\"data\":{\"x\":[null]}}]",
        "{\"topic\":\"a\",\"data\":\"\u{1F980}\\ud800\"}",
        "{\"topic\":\"a\"}",
    ] {
        assert_eq!(decode_frame(text).unwrap().encode(), text);
    }
    assert_eq!(encode_message("a", Json::null().as_ref()), "{\"topic\":\"a\",\"data\":null}");
}

#[test]
fn deep_and_long_frames_cost_no_stack() {
    let deep = format!("[{{\"topic\":\"a\",\"data\":{}{}}}]", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(decode_frame(&deep).unwrap().items().len(), 1);
    let packet = format!("{{\"topic\":\"a\",\"data\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(matches!(decode_packet(&packet), Ok(Packet::Publish { .. })));
    assert!(decode_packet(&"[".repeat(1_000_000)).is_err());
    let flat = format!("[{}]", "[],".repeat(100_000) + "1");
    assert_eq!(decode_frame(&flat).unwrap().items().len(), 0);
}

#[test]
fn tokens_do_not_show() {
    let text = format!("{{\"auth\":\"{}\"}}", testkit::secrets::MARK);
    testkit::secrets::assert_debug_hides(&decode_packet(&text).unwrap());
}
