//! Event streams: the grammar, and that cuts do not matter.

use nodepass_api::stream::{EventReader, Item, Rejected, Rejection};
use nodepass_api::wire::{DecodeError, EventKind};
use proptest::prelude::*;
use std::time::Duration;

const STREAMS: [&str; 6] = [
    include_str!("captures/sse_v1.6.0_lifecycle.body.txt"),
    include_str!("captures/sse_v1.6.0_traffic.body.txt"),
    include_str!("captures/sse_v1.6.0_key_rotation.body.txt"),
    include_str!("captures/sse_v1.14.0_lifecycle.body.txt"),
    include_str!("captures/sse_v1.14.0_key_rotation.body.txt"),
    include_str!("captures/sse_core_v2.0.0-b10_traffic.body.txt"),
];
const EVENT: &str = r#"{"type":"shutdown","time":"2026-11-21T02:17:18Z","instance":null}"#;
const LIMIT: usize = 1 << 20;

#[test]
fn recorded_streams_are_all_events() {
    for stream in STREAMS {
        let items = read(LIMIT, [stream.as_bytes()]);
        assert_eq!(items[0], Item::Retry(Duration::from_secs(3)));
        assert!(items[1..].iter().all(|item| matches!(item, Item::Event(_))));
        assert_eq!(items.len(), 1 + stream.matches("event: instance").count());
        assert!(
            items.iter().any(|item| matches!(item, Item::Event(event) if event.kind == EventKind::Shutdown))
        );
    }
}

#[test]
fn recorded_streams_may_be_cut_at_every_byte() {
    for stream in STREAMS {
        let whole = read(LIMIT, [stream.as_bytes()]);
        assert_eq!(read(LIMIT, stream.as_bytes().chunks(1)), whole);
        // Each cut is tried on the frame around it, so that the test stays quick.
        for (begin, end) in frames(stream) {
            let part = &stream.as_bytes()[begin..end];
            let whole = read(LIMIT, [part]);
            for cut in 0..=part.len() {
                let (one, other) = part.split_at(cut);
                assert_eq!(read(LIMIT, [one, other]), whole, "cut at {}", begin + cut);
            }
        }
    }
}

#[test]
fn all_line_ends_end_lines() {
    for end in ["\n", "\r", "\r\n"] {
        let stream =
            ["\u{feff}retry: 5", ": hello", "event: instance", &format!("data: {EVENT}"), "", "data:x", ""]
                .map(|line| format!("{line}{end}"))
                .concat();
        let expected = ["retry 5", "comment", "shutdown", "undecodable 6"];
        for cut in 0..=stream.len() {
            let (one, other) = stream.as_bytes().split_at(cut);
            assert_eq!(texts(&[one, other]), expected, "{end:?} {cut}");
        }
        assert_eq!(texts(&stream.as_bytes().chunks(1).collect::<Vec<_>>()), expected, "{end:?}");
    }
    let mixed = format!("data: {EVENT}\r\n\rdata: {EVENT}\n\r\ndata: {EVENT}\r\r\n");
    assert_eq!(texts(&[mixed.as_bytes()]), ["shutdown"; 3]);
}

#[test]
fn only_the_first_mark_of_byte_order_is_skipped() {
    assert_eq!(texts(&["\u{feff}retry:1\n\u{feff}retry:2\n\u{feff}\n".as_bytes()]), ["retry 1"]);
    assert_eq!(texts(&["\u{feff}\u{feff}retry:1\n".as_bytes()]), [""; 0]);
    assert_eq!(texts(&[b"\xef\xbbretry:1\nretry:2\n"]), ["retry 2"]);
}

#[test]
fn data_lines_are_joined_with_line_feeds() {
    let stream = "data: {\"type\":\ndata:\"shutdown\",\ndata:  \"time\":\"\",\"instance\":\ndata: null}\n\n";
    assert_eq!(texts(&[stream.as_bytes()]), ["shutdown"]);
    // Within a string the line feed is no JSON.
    let stream = "data: {\"type\":\"shut\ndata: down\",\"time\":\"\",\"instance\":null}\n\n";
    assert_eq!(texts(&[stream.as_bytes()]), [format!("undecodable {}", stream.len() - 3)]);
}

#[test]
fn frames_without_data_are_none() {
    assert_eq!(texts(&[b"\n\nevent: instance\n\nevent: other\nid: 7\n\nunknown: x\n\nunknown\n\n"]), [""; 0]);
    // A data line that is empty is data, though.
    assert_eq!(texts(&[b"data\n\ndata:\n\n"]), ["undecodable 4", "undecodable 5"]);
}

#[test]
fn a_frame_without_a_name_is_read_and_one_of_another_name_is_not() {
    let named = |name: &str| texts(&[format!("{name}\ndata:{EVENT}\n\n").as_bytes()]);
    for name in ["", "event", "event:", "event: other\nevent: instance", "id: 1"] {
        assert_eq!(named(name), ["shutdown"], "{name}");
    }
    for name in ["event: message", "event:  instance", "event: instance "] {
        assert_eq!(named(name), [format!("unknown name {}", name.len() + 5 + EVENT.len())], "{name}");
    }
    // The name may stand behind the data, and counts for one frame only.
    let stream = format!("data:{EVENT}\nevent: x\n\ndata:{EVENT}\n\n");
    assert_eq!(texts(&[stream.as_bytes()])[1..], ["shutdown"]);
}

#[test]
fn comments_are_signs_of_life_and_may_tell_of_losses() {
    let stream = b":\n\n: keep-alive\n\n: lost 3\n\n:lost 12\n: lost\n: lost x\n: lost -1\n: lost 99999999999999999999999\n";
    let max = format!("lost {}", u64::MAX);
    let expected = ["comment", "comment", "lost 3", "lost 12", "comment", "comment", "comment", &max];
    assert_eq!(texts(&[stream]), expected);
    // The Rust port's keep-alive does not end the frame before it; its blank line does.
    let stream = format!("data: {EVENT}\n:\n\n");
    assert_eq!(texts(&[stream.as_bytes()]), ["comment", "shutdown"]);
}

#[test]
fn retry_is_digits_only() {
    let stream = b"retry: 3000\nretry:0\nretry: 3s\nretry:\nretry\nretry: -1\nretry:  5\nretry: 99999999999999999999999\n";
    assert_eq!(texts(&[stream]), ["retry 3000", "retry 0", &format!("retry {}", u64::MAX)]);
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    let stream = b"data: {\"type\":\"log\",\"time\":\"\",\"instance\":null,\"logs\":\"a\xff\xe2\x82b\"}\n\n";
    for cut in 0..stream.len() {
        let (one, other) = stream.split_at(cut);
        let items = read(LIMIT, [one, other]);
        let [Item::Event(event)] = &items[..] else { panic!("{items:?}") };
        assert_eq!(event.logs.as_deref(), Some("a\u{fffd}\u{fffd}b"));
    }
}

#[test]
fn what_is_not_ended_is_no_frame() {
    assert_eq!(texts(&[format!("data: {EVENT}\n").as_bytes()]), [""; 0]);
    assert_eq!(texts(&[b"retry: 3"]), [""; 0]);
}

#[test]
fn a_frame_beyond_the_limit_is_dropped_and_reading_goes_on() {
    let long = "x".repeat(200);
    let frames = [
        (format!("data: {long}\nretry: 4\ndata: {EVENT}\n\n"), vec!["retry 4", "too long"]),
        (format!("data: {}\ndata: {}\n\n", &long[..90], &long[..90]), vec!["too long"]),
        (format!(": {long}\n\n"), vec!["too long"]),
        ("data\n".repeat(200) + "\n", vec!["too long"]),
        (format!("data: {EVENT}\n\n"), vec!["shutdown"]),
    ];
    for (frame, expected) in frames {
        let stream = format!("{frame}data: {EVENT}\n\n");
        for cut in 0..=stream.len() {
            let (one, other) = stream.as_bytes().split_at(cut);
            let items = read(128, [one, other]);
            let lengths = items.iter().filter_map(|item| match item {
                Item::Rejected(Rejected { reason: Rejection::TooLong, length, .. }) => Some(*length),
                _ => None,
            });
            let lines: usize = frame.lines().map(str::len).sum();
            assert!(lengths.into_iter().all(|length| length == lines));
            let texts = items.iter().map(|item| text(item).replace(&format!(" {lines}"), ""));
            assert!(texts.eq(expected.iter().copied().chain(["shutdown"])), "{items:?}");
        }
    }
}

#[test]
fn lines_and_data_may_be_exactly_as_long_as_the_limit() {
    let stream = format!("\u{feff}data:{EVENT}\n\ndata:{EVENT}\n\n");
    let exact = "data:".len() + EVENT.len();
    assert_eq!(
        read(exact, stream.as_bytes().chunks(1)).iter().map(text).collect::<Vec<_>>(),
        ["shutdown"; 2]
    );
    let texts: Vec<_> = read(exact - 1, stream.as_bytes().chunks(1)).iter().map(text).collect();
    assert_eq!(texts, [format!("too long {exact}"), format!("too long {exact}")]);
}

#[test]
fn rejections_do_not_show_what_they_reject() {
    let items = read(LIMIT, [b"data: {\"type\":\"secret\xc3\xa9\",\"secret\n\n".as_slice()]);
    assert!(!format!("{items:?}").contains("secret"), "{items:?}");
    let Item::Rejected(Rejected { reason: Rejection::Undecodable(error), .. }) = &items[0] else { panic!() };
    assert!(matches!(error, DecodeError::Syntax { .. }));
}

proptest! {
    #[test]
    fn random_cuts_do_not_matter(
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..40),
        cuts in prop::collection::vec(0..200usize, 0..20),
        limit in 0..80usize,
    ) {
        let stream = pieces.concat();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let whole = read(limit, [&stream[..]]);
        prop_assert_eq!(&read(limit, cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]])), &whole);
        prop_assert_eq!(&read(limit, stream.chunks(1)), &whole);
    }
}

const PIECES: [&[u8]; 16] = [
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"data:",
    b"data: {}",
    b"event: instance\n",
    b"event: x",
    b"retry: 12",
    b":",
    b": lost 2\n",
    b"\xef\xbb\xbf",
    b"\xef\xbb",
    b" ",
    b"id: 1\n",
    br#"data: {"type":"shutdown","time":"","instance":null}"#,
];

fn read<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Item> {
    let mut reader = EventReader::new(limit);
    let mut items = Vec::new();
    for piece in pieces {
        reader.read(piece, |item| items.push(item));
    }
    items
}

fn texts(pieces: &[&[u8]]) -> Vec<String> {
    read(LIMIT, pieces.iter().copied()).iter().map(text).collect()
}

fn text(item: &Item) -> String {
    match item {
        Item::Event(event) => event.kind.to_string(),
        Item::Retry(wait) => format!("retry {}", wait.as_millis()),
        Item::Lost(count) => format!("lost {count}"),
        Item::Comment => "comment".into(),
        Item::Rejected(Rejected { reason, length, .. }) => match reason {
            Rejection::TooLong => format!("too long {length}"),
            Rejection::UnknownName => format!("unknown name {length}"),
            Rejection::Undecodable(_) => format!("undecodable {length}"),
            _ => unreachable!(),
        },
        _ => unreachable!(),
    }
}

/// Where frames begin and end.
fn frames(stream: &str) -> Vec<(usize, usize)> {
    let mut ends: Vec<_> = stream.match_indices("\n\n").map(|(at, _)| at + 2).collect();
    ends.insert(0, 0);
    ends.windows(2).map(|ends| (ends[0], ends[1])).collect()
}
