//! What is measured: the event stream, instance URLs, the view, the master.
#![allow(dead_code, reason = "the bench and the scoreboard use their own parts")]

pub(crate) mod fleet;
pub(crate) mod master;

use bytes::Bytes;
use nodepass_api::Release;
use nodepass_api::stream::{EventReader, Item};
use nodepass_api::url::{InstanceUrl, Rules};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::hint::black_box;
use testkit::measure::Subject;

/// Streams as masters of three versions sent them.
const RECORDED: [&str; 5] = [
    include_str!("../../tests/captures/sse_v1.6.0_lifecycle.body.txt"),
    include_str!("../../tests/captures/sse_v1.6.0_traffic.body.txt"),
    include_str!("../../tests/captures/sse_v1.14.0_lifecycle.body.txt"),
    include_str!("../../tests/captures/sse_v1.14.0_key_rotation.body.txt"),
    include_str!("../../tests/captures/sse_core_v2.0.0-b10_traffic.body.txt"),
];
const REPEATS: usize = 8;
const PIECE: usize = 16 << 10;
const MAX_FRAME: usize = 1 << 20;

/// The recorded streams, some times over, in pieces as a socket gives them.
pub(crate) fn stream() -> Vec<Bytes> {
    let all = Bytes::from(RECORDED.concat().repeat(REPEATS));
    (0..all.len()).step_by(PIECE).map(|at| all.slice(at..all.len().min(at + PIECE))).collect()
}

/// Returns how many events there are, and the sum of one member of them: two ways that find the same have read the same.
pub(crate) fn typed(pieces: &[Bytes]) -> (usize, u64) {
    let mut reader = EventReader::new(MAX_FRAME);
    let mut found = (0, 0_u64);
    for piece in pieces {
        reader.read(piece, |item| {
            if let Item::Event(event) = item {
                found.0 += 1;
                found.1 = found.1.wrapping_add(event.instance.as_ref().map_or(0, |instance| instance.tcprx));
                black_box(event);
            }
        });
    }
    found
}

/// The same tree as a plain derive has it.
#[derive(Deserialize)]
struct PlainEvent {
    #[serde(rename = "type")]
    kind: String,
    time: String,
    instance: Option<PlainInstance>,
    #[serde(default)]
    logs: Option<String>,
}

#[derive(Deserialize)]
struct PlainInstance {
    id: String,
    alias: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    status: String,
    url: String,
    config: Option<String>,
    restart: Option<bool>,
    meta: Option<PlainMeta>,
    mode: Option<i64>,
    ping: Option<i64>,
    pool: Option<i64>,
    tcps: Option<i64>,
    udps: Option<i64>,
    tcprx: u64,
    tcptx: u64,
    udprx: u64,
    udptx: u64,
}

#[derive(Deserialize)]
struct PlainMeta {
    peer: Option<PlainPeer>,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct PlainPeer {
    sid: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    alias: Option<String>,
}

/// The limit: the end of frames by a search for line ends, a check of UTF-8, a plain derive. It takes what masters of the Go
/// line write, one `data` line a frame, and nothing else.
pub(crate) fn plain(pieces: &[Bytes]) -> (usize, u64) {
    let mut found = (0, 0_u64);
    for_each_line(pieces, |line| {
        let Some(data) = line.strip_prefix(b"data: ") else { return };
        let text = std::str::from_utf8(data).expect("it is text");
        let event: PlainEvent = serde_json::from_str(text).expect("it is an event");
        found.0 += 1;
        found.1 = found.1.wrapping_add(event.instance.as_ref().map_or(0, |instance| instance.tcprx));
        black_box(event);
    });
    found
}

fn for_each_line(pieces: &[Bytes], mut take: impl FnMut(&[u8])) {
    let mut rest = Vec::new();
    for piece in pieces {
        let mut bytes = &piece[..];
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            if rest.is_empty() {
                take(&bytes[..end]);
            } else {
                rest.extend_from_slice(&bytes[..end]);
                take(&rest);
                rest.clear();
            }
            bytes = &bytes[end + 1..];
        }
        rest.extend_from_slice(bytes);
    }
}

/// A stream into typed events, and the limit.
pub(crate) fn events(pieces: &[Bytes]) -> Vec<Subject<'_>> {
    assert_eq!(typed(pieces), plain(pieces), "the same comes out on both sides");
    vec![
        Subject::new("EventReader", || _ = black_box(typed(black_box(pieces)))),
        Subject::new("plain derive (limit)", || _ = black_box(plain(black_box(pieces)))),
    ]
}

/// Instance URLs as people write them; all of them are URLs to everybody.
pub(crate) const URLS: [&str; 4] = [
    "server://secret@127.0.0.1:10101/127.0.0.1:8080?log=info&max=2048&mode=2&rate=100&read=30m&slot=512&tls=1",
    "client://secret@tunnel.example.org:10101/127.0.0.1:8080?log=warn&min=16&mode=2&proxy=1",
    "client://:8080/10.0.0.7:3000",
    "server://a%2Fkey@[2001:db8::1]:10101/[2001:db8::2]:443,10.0.0.8:443?crt=%2Fetc%2Fcert.pem&key=%2Fetc%2Fkey.pem&log=error&noudp=1&tls=2",
];

/// A URL with every parameter as a value, by the rules of 1.14.
pub(crate) fn effective(text: &str) {
    let url = InstanceUrl::parse(black_box(text)).expect("it is one");
    black_box(url.effective(Rules::Release(Release::V1_14_0)).expect("it can be used"));
}

/// The same URL again and again.
pub(crate) fn url(text: &str) -> Vec<Subject<'_>> {
    vec![
        Subject::new("InstanceUrl, all parameters", move || effective(text)),
        Subject::new("InstanceUrl, parsed only", move || {
            drop(black_box(InstanceUrl::parse(black_box(text))));
        }),
    ]
}
