//! The rows of `nodepass-api`.

#[path = "../../nodepass-api/benches/subjects/mod.rs"]
mod subjects;

use crate::memory::kept;
use crate::row::Row;
use bytes::Bytes;
use eventsource_stream::Eventsource as _;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde_json::Value;
use sse_core::{SseDecoder, SseEvent};
use std::cell::RefCell;
use std::convert::Infallible;
use std::hint::black_box;
use subjects::fleet::{INSTANCES, View, instances};
use subjects::master::{Desk, STREAMS, report};
use testkit::measure::{Figure, Subject, compare};
use url::Url;

/// What an instance may take in the view, texts and all.
const MOST_BYTES: u32 = 1_280;
/// What a reader of events may cost an update.
const MOST_PUBLISHING: f64 = 150.0;

pub(crate) fn rows() -> Vec<Row> {
    [events(), urls(), view(), master()].concat()
}

/// A stream in pieces of 16 KiB into events.
fn events() -> Vec<Row> {
    let pieces = subjects::stream();
    let bytes: usize = pieces.iter().map(Bytes::len).sum();
    let expected = subjects::typed(&pieces);
    assert_eq!(by_eventsource_stream(&pieces), expected, "all read the same");
    assert_eq!(by_sse_core(&pieces), expected, "all read the same");
    let mut all = subjects::events(&pieces);
    all.push(Subject::new("eventsource-stream", || _ = black_box(by_eventsource_stream(black_box(&pieces)))));
    all.push(Subject::new("sse-core", || _ = black_box(by_sse_core(black_box(&pieces)))));
    all.push(Subject::new("memchr", || _ = black_box(scan(black_box(&pieces)))));
    let figures = compare(all);
    let speed = |figure: &Figure| format!("{:.0} MB/s", bytes as f64 * 1e3 / figure.nanoseconds);
    let [ours, plain, eventsource, sse_core, memchr] = &figures[..] else { unreachable!("there are five") };
    let row = |input: String, peer: &Figure, goal: Option<f64>| Row {
        peer: Some(speed(peer)),
        limit: Some(speed(plain)),
        ratio: Some(ours.ratio_to(peer)),
        goal,
        ..Row::bare(input, speed(ours))
    };
    vec![
        row(format!("{} KB of events; eventsource-stream", bytes / 1_000), eventsource, Some(1.0 / 3.0)),
        row("the same; sse-core".to_owned(), sse_core, Some(0.5)),
        Row {
            limit: Some(speed(plain)),
            ratio: Some(ours.ratio_to(plain)),
            goal: Some(1.2),
            ..Row::bare("the same; held against the limit", speed(ours))
        },
        Row { limit: Some(speed(memchr)), ..Row::bare("the same; a search for line ends", speed(ours)) },
    ]
}

fn count(found: &mut (usize, u64), data: &str) {
    let event: Value = serde_json::from_str(data).expect("it is JSON");
    found.0 += 1;
    found.1 = found.1.wrapping_add(event["instance"]["tcprx"].as_u64().unwrap_or(0));
    black_box(event);
}

fn by_eventsource_stream(pieces: &[Bytes]) -> (usize, u64) {
    let mut found = (0, 0);
    let mut events = stream::iter(pieces.iter().map(Ok::<_, Infallible>)).eventsource();
    while let Some(event) = events.next().now_or_never().expect("all of it is there") {
        let event = event.expect("it is an event stream");
        if event.event == "instance" {
            count(&mut found, &event.data);
        }
    }
    found
}

fn by_sse_core(pieces: &[Bytes]) -> (usize, u64) {
    let mut found = (0, 0);
    let mut decoder = SseDecoder::new();
    for piece in pieces {
        let mut piece = &piece[..];
        while let Some(event) = decoder.next(&mut piece) {
            if let SseEvent::Message(message) = event.expect("no frame is long") {
                count(&mut found, &message.data);
            }
        }
    }
    found
}

fn scan(pieces: &[Bytes]) -> usize {
    pieces.iter().map(|piece| memchr::memchr_iter(b'\n', piece).count()).sum()
}

fn urls() -> Vec<Row> {
    let row = |text: &&str| {
        let (scheme, rest) = text.split_once("://").expect("it is a URL");
        let mut subjects = subjects::url(text);
        subjects.push(Subject::new("url::Url", || drop(black_box(Url::parse(black_box(text))))));
        let [ours, _, theirs] = &compare(subjects)[..] else { unreachable!("there are three") };
        Row {
            peer: Some(time(theirs.nanoseconds)),
            ratio: Some(ours.ratio_to(theirs)),
            goal: Some(1.5),
            ..Row::bare(format!("{scheme} URL of {} bytes; url::Url", rest.len()), time(ours.nanoseconds))
        }
    };
    // Lists of targets and hosts in brackets behind a key are URLs to both.
    subjects::URLS.iter().map(row).collect()
}

fn view() -> Vec<Row> {
    let [few, many] = nanoseconds_an_update();
    let made = instances();
    let (view, bytes) = kept(|| View::of(made.clone()).into_fleet());
    drop(view);
    let rate = |nanoseconds: f64| format!("{:.0} k/s", 1e6 / nanoseconds);
    vec![
        Row {
            limit: Some(rate(few)),
            ratio: Some(many / few),
            goal: Some(4.0),
            ..Row::bare(format!("updates, {INSTANCES} instances to 100"), rate(many))
        },
        Row::of_bytes("heap bytes of an instance in the view", bytes / INSTANCES as isize, MOST_BYTES),
    ]
}

/// Returns the time of an update among 100 instances and among many. Making the event is measured too, and taken off.
fn nanoseconds_an_update() -> [f64; 2] {
    let views = [100, INSTANCES].map(|instances| RefCell::new(View::new(instances)));
    let subjects = views.iter().flat_map(|view| {
        let taken = || {
            let event = view.borrow_mut().report();
            view.borrow_mut().take(event);
        };
        let made = || drop(black_box(view.borrow_mut().report()));
        [Subject::new("made and taken", taken), Subject::new("made", made)]
    });
    let figures = compare(subjects.collect());
    [0, 2].map(|at| figures[at].nanoseconds - figures[at + 1].nanoseconds)
}

fn master() -> Vec<Row> {
    let (quiet, busy) = (RefCell::new(Desk::new(0)), RefCell::new(Desk::new(STREAMS)));
    let mut count = 0;
    let figures = compare(vec![
        Subject::new("GET one", || {
            let request = quiet.borrow_mut().get_one();
            quiet.borrow_mut().serve(request);
        }),
        Subject::new("GET a list", || {
            let request = quiet.borrow_mut().get_all();
            quiet.borrow_mut().serve(request);
        }),
        Subject::new("PATCH", || {
            count += 1;
            let request = quiet.borrow_mut().patch(count);
            quiet.borrow_mut().serve(request);
        }),
        Subject::new("publish", || _ = black_box(busy.borrow_mut().publish())),
        Subject::new("report", || drop(black_box(report(black_box(7))))),
    ]);
    let requests = |figure: &Figure| format!("{:.0} k/s", 1e6 / figure.nanoseconds);
    let publishing = (figures[3].nanoseconds - figures[4].nanoseconds) / STREAMS as f64;
    vec![
        Row::bare("requests: GET an instance", requests(&figures[0])),
        Row::bare("requests: GET a list of 100", requests(&figures[1])),
        Row::bare("requests: PATCH an alias", requests(&figures[2])),
        Row {
            limit: Some(time(MOST_PUBLISHING)),
            ratio: Some(publishing / MOST_PUBLISHING),
            goal: Some(1.0),
            ..Row::bare("an update, of 100 streams each", time(publishing))
        },
    ]
}

fn time(nanoseconds: f64) -> String {
    format!("{nanoseconds:.0} ns")
}
