//! Logs of instances.

mod fleet_support;

use fleet_support::{View, log};
use nodepass_api::fleet::{Config, LogQuery, LogRing};
use nodepass_api::wire::{EventTime, InstanceEvent, Level};

#[test]
fn logs_are_taken_apart_and_can_be_searched() {
    let mut view = View::new();
    let lines = [
        (1_000, "2026-01-02 03:04:05.678  \u{1b}[34mDEBUG\u{1b}[0m  Dial target"),
        (2_000, "2026-01-02 03:04:06.678  \u{1b}[31mERROR\u{1b}[0m  Dial failed"),
        (3_000, "╭─ usage ─╮"),
        (4_000, "2026-01-02 03:04:07.678  \u{1b}[33mWARN\u{1b}[0m  Slow"),
    ];
    for (time, line) in lines {
        let time = EventTime::from_unix_nanoseconds(time * 1_000_000);
        view.event(InstanceEvent { time, ..log("a", line) });
    }
    view.event(InstanceEvent { time: "".into(), ..log("a", "no time") });
    let found = |query: LogQuery| -> Vec<_> {
        let log = view.fleet.get("a").unwrap().log();
        log.query(&query)
            .map(|entry| (entry.unix_milliseconds, entry.level, entry.text.to_string()))
            .collect()
    };
    assert_eq!(found(LogQuery::default()).len(), 5);
    let query = LogQuery { at_least: Some(Level::Warn), ..LogQuery::default() };
    let grave =
        [(2_000, Some(Level::Error), "Dial failed".into()), (4_000, Some(Level::Warn), "Slow".into())];
    assert_eq!(found(query), grave);
    let query = LogQuery { contains: Some("Dial".into()), ..LogQuery::default() };
    assert_eq!(found(query.clone()).len(), 2);
    assert_eq!(found(LogQuery { since: Some(1_001), until: Some(4_000), ..query }), grave[..1]);
    // Without a time of its own a line has that of the application.
    assert_eq!(found(LogQuery { until: Some(1), ..LogQuery::default() }), [(0, None, "no time".into())]);
}

#[test]
fn logs_are_limited_in_lines_and_bytes() {
    let mut config = Config::default();
    (config.log_lines, config.log_bytes) = (3, 10);
    let mut view = View::with(config);
    let texts = |view: &View| -> Vec<_> {
        view.fleet.get("a").unwrap().log().iter().map(|entry| entry.text.to_string()).collect()
    };
    for line in ["1", "2", "3", "4"] {
        view.event(log("a", line));
    }
    assert_eq!(texts(&view), ["2", "3", "4"]);
    view.event(log("a", "123456789"));
    assert_eq!(texts(&view), ["4", "123456789"]);
    view.event(log("a", "1234567ééé"));
    assert_eq!(texts(&view), ["1234567é"]);
}

#[test]
fn a_log_goes_out_and_in() {
    let mut view = View::new();
    for (at, line) in [(1_000, "old"), (2_000, "2026-01-02 03:04:05.678  INFO  news")] {
        let time = EventTime::from_unix_nanoseconds(at * 1_000_000);
        view.event(InstanceEvent { time, ..log("a", line) });
    }
    let json = serde_json::to_string(view.fleet.get("a").unwrap().log()).unwrap();
    let expected = r#"[{"unix_milliseconds":1000,"text":"old"},{"unix_milliseconds":2000,"time":"2026-01-02 03:04:05.678","level":"info","text":"news"}]"#;
    assert_eq!(json, expected);
    let kept: LogRing = serde_json::from_str(&json).unwrap();
    assert_eq!(&kept, view.fleet.get("a").unwrap().log());

    let mut next = View::new();
    assert!(!next.fleet.import_log("a", &kept));
    let time = EventTime::from_unix_nanoseconds(2_000_000_000);
    next.event(InstanceEvent { time, ..log("a", "now") });
    assert!(next.fleet.import_log("a", &kept));
    let texts: Vec<_> = next.fleet.get("a").unwrap().log().iter().map(|entry| &*entry.text).collect();
    assert_eq!(texts, ["old", "now"]);
}
