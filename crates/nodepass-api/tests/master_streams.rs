//! Event streams (§5), one behaviour a test.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod master_support;

use bytes::Bytes;
use master_support::{Fixture, KEY_RECORD, LATER, LEVELS, OTHER_URL, config};
use nodepass_api::master::{Compat, Config, Output};
use nodepass_api::stream::{EventReader, Item};
use nodepass_api::wire::InstanceEvent;
use testkit::drain;

const NOTHING: [&str; 0] = [];

/// Pieces of a stream, as bytes.
fn pieces(fixture: &mut Fixture) -> Vec<Bytes> {
    let outputs = drain(&mut fixture.master).into_iter();
    let piece = |output| if let Output::PushBody { chunk, .. } = output { Some(chunk) } else { None };
    outputs.filter_map(piece).collect()
}

fn text(pieces: &[Bytes]) -> String {
    String::from_utf8(pieces.concat()).unwrap()
}

fn events(pieces: &[Bytes]) -> Vec<InstanceEvent> {
    let mut events = Vec::new();
    EventReader::new(1 << 24).read(&pieces.concat(), |item| match item {
        Item::Event(event) => events.push(event),
        Item::Retry(_) => {}
        other => panic!("{other:?}"),
    });
    events
}

#[test]
fn a_stream_begins_with_the_wait_before_a_reconnect_and_all_objects() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        fixture.failed();
        let mut lines = fixture.stream();
        assert_eq!(lines[..4], ["s1: begin", "s1 opened", "s1: retry 3000", "s1: initial ********"]);
        lines[4..].sort();
        assert_eq!(lines[4..], ["s1: initial a running", "s1: initial b error"]);
        let headers = [("content-type", "text/event-stream"), ("cache-control", "no-cache")];
        for (name, value) in headers.into_iter().chain([("access-control-allow-origin", "*")]) {
            assert_eq!(fixture.header(name), Some(value));
        }
        for method in ["POST", "HEAD", "PUT"] {
            assert_eq!(fixture.told(method, "/events", ""), ["405 Method not allowed"]);
        }
        assert_eq!(fixture.until(60_000), NOTHING, "an idle master is silent");
    }
}

#[test]
fn frames_are_written_as_the_original_writes_them() {
    for compat in LEVELS {
        let mut settings = config(compat);
        settings.unix_milliseconds = 1_795_227_438_050;
        let mut fixture = Fixture::with(settings);
        let request = fixture.request("GET", "/events", "");
        fixture.master.0.handle_request(request, fixture.now);
        let key = fixture.key();
        let written = text(&pieces(&mut fixture));
        let (config, meta, logs) = match compat {
            Compat::V1_14 => {
                let id = written.split("\"config\":\"").nth(1).unwrap()[..16].to_owned();
                let meta = r#""meta":{"peer":{"sid":"","type":"","alias":""},"tags":{}},"#;
                (format!("\"config\":\"{id}\","), meta, r#","logs":"""#)
            }
            _ => (String::new(), "", ""),
        };
        let expected = format!(
            "retry: 3000\n\nevent: instance\ndata: {{\"type\":\"initial\",\"time\":\"2026-11-21T02:17:18.05Z\",\
             \"instance\":{{\"id\":\"{KEY_RECORD}\",\"alias\":\"\",\"type\":\"\",\"status\":\"\",\"url\":\"{key}\",{config}\
             \"restart\":false,{meta}\"mode\":0,\"ping\":0,\"pool\":0,\"tcps\":0,\"udps\":0,\"tcprx\":0,\"tcptx\":0,\
             \"udprx\":0,\"udptx\":0}}{logs}}}\n\n"
        );
        assert_eq!(written, expected);
    }
}

#[test]
fn every_change_is_told_once() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.stream();
        let told = |fixture: &mut Fixture, lines: Vec<String>| {
            fixture.written("s1", 4);
            lines
                .into_iter()
                .filter_map(|line| line.strip_prefix("s1: ").map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let lines = fixture.told("POST", "/instances", r#"{"url":"client://:1/:2"}"#);
        assert_eq!(told(&mut fixture, lines), ["create a stopped"]);
        let lines = fixture.started("a");
        assert_eq!(told(&mut fixture, lines), ["update a running"]);
        let lines = fixture.says("a", "\u{1b}[32mINFO\u{1b}[0m  hello");
        assert_eq!(told(&mut fixture, lines), ["log a running: \u{1b}[32mINFO\u{1b}[0m  hello"]);
        let lines = fixture.reports("a", 1);
        assert_eq!(told(&mut fixture, lines), ["update a running"], "no log");
        let lines = fixture.told("PATCH", "/instances/a", r#"{"alias":"x","restart":true}"#);
        let policy_changed = compat != Compat::V1_14;
        assert_eq!(told(&mut fixture, lines).len(), 1 + usize::from(policy_changed), "{compat:?}");
        let lines = fixture.told("PATCH", "/instances/a", r#"{"alias":"x","restart":true}"#);
        assert_eq!(told(&mut fixture, lines), NOTHING, "nothing is other than before");
        let lines = fixture.act("a", "reset");
        assert_eq!(told(&mut fixture, lines), ["update a running"]);
        let lines = fixture.act("a", "reset");
        assert_eq!(told(&mut fixture, lines), ["update a running"], "a reset always is");
        let lines = fixture.put("a", OTHER_URL);
        assert_eq!(told(&mut fixture, lines), NOTHING);
        let lines = fixture.exited("a", true);
        assert_eq!(told(&mut fixture, lines), ["update a stopped"]);
        let lines = fixture.started("a");
        assert_eq!(told(&mut fixture, lines), ["update a running"]);
        let lines = fixture.delete("a");
        assert_eq!(told(&mut fixture, lines), NOTHING);
        let lines = fixture.exited("a", false);
        assert_eq!(told(&mut fixture, lines), ["update a stopped", "delete a stopped"]);
    }
}

#[test]
fn an_error_that_a_log_tells_of_has_no_update_of_its_own() {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.running();
    fixture.stream();
    let line = "Server error: no";
    assert_eq!(fixture.says("a", line), ["a is error", "s1: log a error: Server error: no"]);
}

#[test]
fn logs_is_a_member_of_log_events_and_at_1_14_of_all() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        let request = fixture.request("GET", "/events", "");
        let stream = fixture.master.0.handle_request(request, fixture.now);
        for line in ["x", ""] {
            fixture.master.0.handle_line(fixture.runs["a"], line, fixture.now);
            fixture.master.0.handle_written(stream, fixture.now);
        }
        let logs: Vec<_> = events(&pieces(&mut fixture)).into_iter().map(|event| event.logs).collect();
        let none = (compat == Compat::V1_14).then(Box::default);
        assert_eq!(logs, [none.clone(), none, Some("x".into()), Some("".into())]);
    }
}

#[test]
fn a_line_is_cut_at_its_limit_between_two_characters() {
    let mut settings = config(Compat::V1_14);
    settings.max_line = 4;
    let mut fixture = Fixture::with(settings);
    fixture.running();
    fixture.stream();
    assert_eq!(fixture.says("a", "abcé"), ["s1: log a running: abc"]);
    assert_eq!(fixture.says("a", "abcd"), ["s1: log a running: abcd"]);
}

#[test]
fn readers_do_not_wait_for_each_other() {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.running();
    fixture.told("GET", "/events", "");
    fixture.stream();
    for number in 0..4 {
        let lines = fixture.says("a", &number.to_string());
        let expected = format!("s2: log a running: {number}");
        assert!(lines.contains(&expected), "{lines:?}");
        fixture.written("s2", 1);
    }
    assert_eq!(fixture.says("a", "4"), ["s2: log a running: 4"], "the first reader has taken nothing");
    assert_eq!(fixture.written("s1", 1), ["s1: log a running: 3"]);
}

// Long dumps

/// A master with so many instances that a dump takes several pieces.
fn many(settings: Config) -> Fixture {
    let mut fixture = Fixture::with(settings);
    for _ in 0..600 {
        fixture.running();
    }
    fixture
}

#[test]
fn a_dump_goes_on_as_the_reader_takes_it() {
    let mut fixture = many(config(Compat::V1_14));
    let first = fixture.told("GET", "/events", "");
    let written = first.iter().filter(|line| line.contains("initial")).count();
    assert!((100..400).contains(&written), "{written}");
    assert_eq!(fixture.drain(), NOTHING);
    let mut all = first;
    loop {
        let more = fixture.written("s1", 1);
        if more.is_empty() {
            break;
        }
        all.extend(more);
    }
    let mut names: Vec<_> = all.iter().filter_map(|line| line.strip_prefix("s1: initial ")).collect();
    assert_eq!(names.len(), 601);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 601);
}

#[test]
fn what_happens_during_a_dump_is_in_it_or_follows_it() {
    let mut fixture = many(config(Compat::V1_14));
    let first = fixture.told("GET", "/events", "");
    let is_out = |fixture: &Fixture, at: usize| {
        let name = fixture.name_of(&fixture.ids[at]);
        first.contains(&format!("s1: initial {name} running"))
    };
    let out = (0..600).find(|&at| is_out(&fixture, at)).unwrap();
    let ahead: Vec<_> = (0..600).filter(|&at| !is_out(&fixture, at)).take(3).collect();
    let name = |fixture: &Fixture, at: usize| fixture.name_of(&fixture.ids[at]);
    let (out, [failing, removed, logging]) =
        (name(&fixture, out), [0, 1, 2].map(|at| name(&fixture, ahead[at])));
    let mut all = fixture.exited(&out, true);
    all.extend(fixture.exited(&failing, false));
    all.extend(fixture.says(&logging, "hello"));
    fixture.delete(&removed);
    all.extend(fixture.exited(&removed, true));
    assert!(!all.iter().any(|line| line.starts_with("s1")), "the reader has yet to take the dump: {all:?}");
    let mut rest = Vec::new();
    for _ in 0..20 {
        rest.extend(fixture.written("s1", 1));
    }
    let of = |name: &str| {
        let is_of = |line: &&String| line.split(' ').nth(2) == Some(name);
        rest.iter().filter(is_of).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of(&out), [format!("s1: update {out} stopped")]);
    assert_eq!(of(&failing), [format!("s1: initial {failing} error")], "as it is by now");
    assert_eq!(
        of(&removed),
        [format!("s1: delete {removed} stopped")],
        "the reader may know it from elsewhere"
    );
    let logs = [format!("s1: initial {logging} running"), format!("s1: log {logging} running: hello")];
    assert_eq!(of(&logging), logs);
}

#[test]
fn a_stream_that_ends_within_its_dump_ends_with_the_shutdown() {
    let mut fixture = many(config(Compat::V1_14));
    fixture.told("GET", "/events", "");
    let lines = fixture.told("PATCH", "/instances/********", r#"{"action":"restart"}"#);
    assert_eq!(lines, ["key rotated", "s1: shutdown", "s1: end", "s1 ended", "200 ********"]);
}

// Slow readers

#[test]
fn what_does_not_fit_is_lost_and_told_of_where_it_is_missing() {
    for announces in [false, true] {
        let mut settings = config(Compat::V1_14);
        (settings.stream_queue, settings.announces_loss) = (2, announces);
        let mut fixture = Fixture::with(settings);
        fixture.running();
        fixture.stream();
        for number in 0..9 {
            fixture.says("a", &number.to_string());
        }
        // Four are on their way, two wait, three are lost.
        assert_eq!(fixture.written("s1", 1), ["s1: log a running: 4"]);
        assert_eq!(fixture.says("a", "9"), ["s1 lost 3"]);
        let told: &[&str] = if announces { &["s1: lost 3"] } else { &[] };
        let expected = [&["s1: log a running: 5"], told, &["s1: log a running: 9"]].concat();
        assert_eq!(fixture.written("s1", 6), expected);
        assert_eq!(fixture.says("a", "10"), ["s1: log a running: 10"]);
    }
}

#[test]
fn a_loss_is_told_of_when_the_reader_has_caught_up_though_nothing_follows() {
    let mut settings = config(Compat::V1_14);
    (settings.stream_queue, settings.announces_loss) = (1, true);
    let mut fixture = Fixture::with(settings);
    fixture.running();
    fixture.stream();
    for number in 0..7 {
        fixture.says("a", &number.to_string());
    }
    assert_eq!(fixture.written("s1", 1), ["s1: log a running: 4", "s1 lost 2"]);
    assert_eq!(fixture.written("s1", 1), ["s1: lost 2"]);
}

#[test]
fn bytes_that_wait_for_a_reader_are_limited_too() {
    let mut settings = config(Compat::V1_14);
    settings.stream_bytes = 3000;
    let mut fixture = Fixture::with(settings);
    fixture.running();
    fixture.stream();
    for _ in 0..6 {
        fixture.says("a", &"x".repeat(1500));
    }
    assert_eq!(fixture.written("s1", 9).len(), 2, "one of two that waited, and the word of a loss");
}

#[test]
fn the_shutdown_comes_also_when_the_queue_is_full_and_the_loss_before_it() {
    let mut settings = config(Compat::V1_14);
    (settings.stream_queue, settings.announces_loss) = (1, true);
    let mut fixture = Fixture::with(settings);
    fixture.running();
    fixture.stream();
    for number in 0..7 {
        fixture.says("a", &number.to_string());
    }
    let lines = fixture.told("PATCH", "/instances/********", r#"{"action":"restart"}"#);
    let expected = [
        "key rotated",
        "s1 lost 2",
        "s1: log a running: 4",
        "s1: lost 2",
        "s1: shutdown",
        "s1: end",
        "s1 ended",
        "200 ********",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn so_many_streams_are_open_and_a_place_is_free_when_one_ends() {
    let mut settings = config(Compat::V1_14);
    settings.max_streams = 2;
    let mut fixture = Fixture::with(settings);
    fixture.stream();
    fixture.stream();
    assert_eq!(fixture.told("GET", "/events", ""), ["503 Service unavailable"]);
    assert_eq!(fixture.master.0.streams(), 2);
    assert_eq!(format!("{:?}", fixture.master.0), "Master { state: Open, instances: 0, streams: 2, .. }");
    fixture.master.0.handle_cancel(fixture.streams[0], fixture.now);
    assert_eq!(fixture.drain(), ["s1 ended"]);
    assert_eq!(fixture.master.0.streams(), 1);
    fixture.master.0.handle_cancel(fixture.streams[0], fixture.now);
    assert_eq!(fixture.drain(), NOTHING);
    assert_eq!(fixture.stream()[..2], ["s3: begin", "s3 opened"]);
}

// §3, §5: ends

#[test]
fn a_new_key_ends_streams_but_in_1_6() {
    for compat in LATER {
        let mut fixture = Fixture::new(compat);
        fixture.stream();
        fixture.stream();
        let lines = fixture.told("PATCH", "/instances/********", r#"{"action":"restart"}"#);
        let expected = [
            "key rotated",
            "s1: shutdown",
            "s2: shutdown",
            "s1: end",
            "s1 ended",
            "s2: end",
            "s2 ended",
            "200 ********",
        ];
        assert_eq!(lines, expected);
    }
    let mut fixture = Fixture::new(Compat::V1_6);
    fixture.told("GET", "/events", "");
    let request = fixture.request("PATCH", "/instances/********", r#"{"action":"restart"}"#);
    fixture.master.0.handle_request(request, fixture.now);
    let told = events(&pieces(&mut fixture));
    assert_eq!((told.len(), told[0].kind.as_str()), (1, "update"));
    assert_eq!(*told[0].instance.as_ref().unwrap().url, fixture.key());
    assert_eq!(fixture.master.0.streams(), 1);
}

#[test]
fn a_shutdown_event_has_no_instance() {
    let mut fixture = Fixture::new(Compat::Document);
    fixture.stream();
    fixture.master.0.close(fixture.now);
    let written = text(&pieces(&mut fixture));
    assert_eq!(
        written,
        "event: instance\ndata: {\"type\":\"shutdown\",\"time\":\"1970-01-01T00:00:00Z\",\"instance\":null}\n\n"
    );
}

#[test]
fn from_1_7_on_nothing_follows_the_shutdown() {
    for compat in LATER {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        fixture.stream();
        fixture.master.0.close(fixture.now);
        assert_eq!(fixture.drain(), ["s1: shutdown", "s1: end", "s1 ended", "stop a"]);
        assert_eq!(fixture.says("a", "bye"), NOTHING);
        assert_eq!(fixture.exited("a", true), ["a is stopped", "store State"]);
    }
}

#[test]
fn in_1_6_events_follow_the_shutdown_for_100_ms() {
    let mut fixture = Fixture::new(Compat::V1_6);
    fixture.running();
    fixture.stream();
    fixture.until(1000);
    fixture.master.0.close(fixture.now);
    assert_eq!(fixture.drain(), ["s1: shutdown", "stop a"]);
    assert_eq!(fixture.says("a", "bye"), ["s1: log a running: bye"]);
    assert_eq!(fixture.exited("a", true), ["a is stopped", "s1: update a stopped"]);
    assert_eq!(fixture.until(1100), ["1100 s1: end", "1100 s1 ended", "1100 store State"]);
}
