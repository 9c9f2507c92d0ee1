//! The client's view: the stream, the list, and what happens when one of them fails.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod client_support;

use client_support::{
    INFO, KEY, OTHER_KEY, Played, config, frame, instance, millis, record, response, seconds,
};
use http::Response;
use nodepass_api::Secret;
use nodepass_api::client::{Config, Delivery, FailureKind, Monitoring, State};
use std::time::Duration;

const LIST: &str = "GET /api/v1/instances";
const INFO_LINE: &str = "GET /api/v1/info";
const OPEN: &str = "open GET /api/v1/events";

fn list(instances: &[String]) -> String {
    format!("[{}]", instances.join(","))
}

fn running(rest: &str) -> String {
    instance("a1b2c3d4", "running", rest)
}

/// How long until the next attempt at a stream.
fn reconnect(played: &mut Played) -> Duration {
    let before = played.now;
    let count = played.streams.len();
    while played.streams.len() == count {
        played.wait_once();
    }
    played.now - before
}

fn ended(played: &mut Played, failure: Option<FailureKind>) {
    played.end(failure);
    played.streams.clear();
}

#[test]
fn a_stream_is_opened_and_the_list_makes_the_view_right() {
    let mut played = Played::new(config());
    played.answer(INFO_LINE, 200, INFO);
    assert_eq!(played.lines(), [INFO_LINE, "found http://h:9090/api/v1", "info", OPEN]);
    assert_eq!(played.streams[0].1.headers()["x-api-key"], KEY);
    assert_eq!(played.client().state(), State::Connecting);
    played.open(200);
    assert_eq!(played.lines(), ["Streaming", LIST]);
    played.send(&format!("retry: 3000\n\n{}", frame("initial", &record(KEY))));
    played.answer(LIST, 200, &list(&[record(KEY), running("")]));
    assert_eq!(played.lines(), ["KeyRecord", "added a1b2c3d4", "synced +1 -0 ~0"]);
    assert!(played.client().is_synced());
    assert_eq!((played.client().state(), played.client().fleet().len()), (State::Streaming, 1));
}

#[test]
fn what_was_deleted_while_there_was_no_stream_is_removed_by_the_list() {
    let mut played = Played::streaming(config(), &list(&[running(""), instance("b", "stopped", "")]));
    ended(&mut played, None);
    reconnect(&mut played);
    played.open(200);
    played.send(&frame("initial", &running("")));
    assert!(!played.client().is_synced());
    played.lines();
    played.answer(LIST, 200, &list(&[running("")]));
    assert_eq!(played.lines(), ["removed b", "synced +0 -1 ~0"]);
}

#[test]
fn a_list_that_an_event_contradicts_is_asked_for_again_after_a_short_wait() {
    let mut played = Played::new(config());
    played.answer(INFO_LINE, 200, INFO);
    played.open(200);
    played.send(&frame("create", &running("")));
    played.lines();
    played.answer(LIST, 200, "[]");
    assert_eq!((played.lines(), played.client().is_synced()), (vec![], false));
    played.wait(millis(499));
    assert_eq!(played.lines(), [""; 0]);
    played.wait(millis(1));
    assert_eq!(played.lines(), [LIST]);
    played.answer(LIST, 200, &list(&[running("")]));
    assert_eq!(played.lines(), ["synced +0 -0 ~0"]);
}

#[test]
fn the_list_is_asked_for_now_and_then_and_repairs_what_was_lost_in_silence() {
    let mut config = config();
    config.resync_interval = Some(seconds(60));
    let mut played = Played::streaming(config, &list(&[running("")]));
    played.send(&frame("initial", &running("")));
    played.lines();
    played.wait(seconds(60));
    assert_eq!(played.lines(), [LIST]);
    played.answer(LIST, 200, &list(&[instance("a1b2c3d4", "stopped", "")]));
    let lines = played.lines();
    assert_eq!(
        (lines.first().unwrap().as_str(), lines.last().unwrap().as_str()),
        ("updated a1b2c3d4", "synced +0 -0 ~1")
    );
    played.wait(seconds(60));
    played.answer(LIST, 200, &list(&[instance("a1b2c3d4", "stopped", "")]));
    assert_eq!(played.lines(), [LIST], "no news is not told");
}

#[test]
fn a_list_that_fails_is_told_and_the_view_is_in_doubt_until_there_is_one() {
    for (status, body, reason) in [
        (500, r#"{"error":"disk full"}"#, "the answer's status is 500 Internal Server Error: disk full"),
        (200, "<html>", "the answer is not what it should be: not JSON, at byte 0"),
        (200, &format!(r#"{{"success":false,"error":"not with {KEY}"}}"#), "refused: not with …"),
    ] {
        let mut config = config();
        config.resync_interval = Some(seconds(60));
        let mut played = Played::streaming(config, &list(&[running("")]));
        played.send(&frame("initial", &running("")));
        played.wait(seconds(60));
        played.lines();
        played.answer(LIST, status, body);
        assert_eq!(played.lines(), [format!("list failed, again in 5s: {reason}")]);
        assert!(!played.client().is_synced());
        assert_eq!(played.client().state(), State::Streaming, "the stream goes on");
        played.wait(seconds(5));
        played.answer(LIST, 200, &list(&[running("")]));
        assert_eq!(played.lines(), [LIST, "rates a1b2c3d4", "synced +0 -0 ~0"]);
        assert!(played.client().is_synced());
    }
}

#[test]
fn a_gap_that_the_stream_tells_of_is_repaired_at_once_but_not_all_the_time() {
    let mut played = Played::streaming(config(), "[]");
    played.wait(seconds(1));
    played.send(": lost 3\n\nevent: instance\ndata: nonsense\n\n");
    let lines = played.lines();
    assert_eq!(lines[..2], ["Lost(3)", LIST]);
    assert!(lines[2].starts_with("Rejected("), "{lines:?}");
    played.answer(LIST, 200, "[]");
    assert_eq!(played.lines(), ["synced +0 -0 ~0"]);
    // Once more for what came behind the first request, half a second later.
    played.wait(millis(500));
    assert_eq!(played.lines(), [LIST]);
}

#[test]
fn the_wait_is_the_one_that_the_stream_asks_for_doubled_with_each_failure_and_bounded() {
    let mut config = config();
    config.poll_after = 100;
    let mut played = Played::streaming(config, "[]");
    played.send("retry: 1000\n\n");
    ended(&mut played, None);
    let mut first = 1_000;
    for _ in 0..8 {
        let wait = reconnect(&mut played);
        let bounds = millis(first * 3 / 4)..=millis(first * 5 / 4).min(seconds(60));
        assert!(bounds.contains(&wait), "{wait:?} {first}");
        first = (first * 2).min(60_000);
        ended(&mut played, Some(FailureKind::Refused));
    }
    // A stream that lives is no failure.
    reconnect(&mut played);
    played.open(200);
    played.wait(seconds(10));
    ended(&mut played, Some(FailureKind::ConnectionLost));
    assert!(reconnect(&mut played) <= millis(1_250));
}

#[test]
fn clients_with_other_seeds_do_not_come_back_together() {
    let waits: std::collections::BTreeSet<Duration> = (0..4)
        .map(|seed| {
            let mut config = config();
            config.seed = seed;
            let mut played = Played::streaming(config, "[]");
            ended(&mut played, None);
            reconnect(&mut played)
        })
        .collect();
    assert_eq!(waits.len(), 4);
}

#[test]
fn shutdown_is_told_and_what_follows_it_on_old_releases_is_still_read() {
    let mut played = Played::streaming(config(), &list(&[running("")]));
    played.send(&frame("shutdown", "null"));
    played.send(&frame("update", &instance("a1b2c3d4", "stopped", "")));
    ended(&mut played, None);
    let lines = played.lines();
    assert_eq!(lines[..2], ["Shutdown", "updated a1b2c3d4"]);
    assert_eq!(lines.last().unwrap(), "reconnecting after 1: the master has ended the stream");
    assert_eq!(played.client().state(), State::Reconnecting);
}

#[test]
fn after_three_failures_the_client_polls_until_there_is_a_stream_again() {
    let mut played = Played::streaming(config(), "[]");
    for _ in 0..2 {
        ended(&mut played, None);
        reconnect(&mut played);
    }
    played.lines();
    played.open(404);
    played.streams.clear();
    assert_eq!(
        played.lines(),
        [
            "close stream",
            "reconnecting after 3: the stream is refused (404 Not Found)",
            "PollingStarted",
            LIST
        ]
    );
    assert_eq!(played.client().state(), State::Polling);
    played.answer(LIST, 200, &list(&[running("")]));
    assert_eq!(played.lines(), ["added a1b2c3d4", "synced +1 -0 ~0"]);
    played.wait(seconds(5));
    assert_eq!(played.lines(), [LIST]);
    played.answer(LIST, 200, &list(&[running(r#""tcps":2"#)]));
    assert!(played.lines().contains(&"updated a1b2c3d4".to_owned()));
    while played.streams.is_empty() {
        played.wait_once();
        if !played.requests.is_empty() {
            played.answer(LIST, 200, "[]");
        }
    }
    played.lines();
    played.open(200);
    assert_eq!(played.lines(), ["Streaming", INFO_LINE, "PollingStopped", LIST].map(str::to_owned));
}

#[test]
fn a_client_that_polls_opens_no_stream_and_says_once_that_nothing_answers() {
    let mut config = config();
    config.monitoring = Monitoring::Poll;
    let mut played = Played::new(config);
    played.answer(INFO_LINE, 200, INFO);
    played.answer(LIST, 200, &list(&[running("")]));
    assert_eq!(played.lines()[3..], [LIST, "added a1b2c3d4", "synced +1 -0 ~0"]);
    let again = "list failed, again in 5s: connection refused";
    for lines in [&["Unreachable", again][..], &[again]] {
        played.wait(seconds(5));
        played.lines();
        played.fail(LIST, Delivery::No, FailureKind::Refused);
        assert_eq!(played.lines(), lines);
        assert!(!played.client().fleet().is_reachable());
    }
    played.wait(seconds(5));
    played.answer(LIST, 503, "");
    let failed =
        "list failed, again in 5s: the answer's status is 503 Service Unavailable: no reason is given";
    assert_eq!(played.lines(), [LIST, failed], "a gateway is no master");
    played.wait(seconds(5));
    played.answer(LIST, 200, &list(&[running("")]));
    assert_eq!(played.lines(), [LIST, "Reachable", "rates a1b2c3d4", "synced +0 -0 ~0"]);
    assert!(played.client().fleet().is_reachable() && played.streams.is_empty());
}

#[test]
fn silence_is_normal_as_long_as_no_instance_reports() {
    for (url, mode, loses) in [
        ("server://:1/t:2?log=info", 1, true),
        ("server://:1/t:2?log=none", 1, false),
        ("server://:1/t:2", 0, false),
    ] {
        let rest = format!(r#""url":"{url}","mode":{mode}"#);
        let mut played = Played::streaming(config(), &list(&[running(&rest)]));
        // From the list alone it is not known whether it reports.
        played.send(&frame("initial", &running(&rest)));
        played.wait(seconds(700));
        assert_eq!(played.client().state(), State::Streaming);
        played.send(&frame("update", &running(&rest)));
        played.lines();
        played.wait(seconds(299));
        assert_eq!(played.lines(), [""; 0]);
        played.wait(seconds(1));
        let expected: &[&str] =
            if loses { &["close stream", "reconnecting after 1: the stream has fallen silent"] } else { &[] };
        assert_eq!(played.lines(), expected, "{rest}");
    }
}

#[test]
fn comments_are_signs_of_life_and_stopped_instances_owe_none() {
    let rest = r#""mode":1"#;
    let mut played = Played::streaming(config(), &list(&[running(rest)]));
    played.send(&frame("update", &running(rest)));
    for _ in 0..3 {
        played.wait(seconds(299));
        played.send(":\n\n");
    }
    assert_eq!(played.client().state(), State::Streaming);
    played.send(&frame("update", &instance("a1b2c3d4", "stopped", rest)));
    played.wait(seconds(1_000));
    assert_eq!(played.client().state(), State::Streaming);
}

#[test]
fn a_stream_that_says_nothing_is_given_up_if_there_is_something_to_say() {
    for (listed, loses) in [(list(&[record(KEY)]), true), ("[]".to_owned(), false)] {
        let mut played = Played::streaming(config(), &listed);
        played.wait(seconds(10));
        let expected: &[&str] =
            if loses { &["close stream", "reconnecting after 1: the stream says nothing"] } else { &[] };
        assert_eq!(played.lines(), expected);
    }
}

/// A client whose stream has said what there is, and nothing since; the second list shows `moved`.
fn silent_since_the_first_list(config: Config, moved: &str) -> Played {
    let mut played = Played::streaming(config, &list(&[running(r#""mode":1"#)]));
    played.send(&frame("initial", &running(r#""mode":1"#)));
    for rest in [r#""mode":1"#, moved] {
        played.wait(seconds(60));
        played.answer(LIST, 200, &list(&[running(rest)]));
    }
    played.lines();
    played
}

#[test]
fn a_stream_that_keeps_back_what_two_lists_show_is_given_up() {
    let mut config = config();
    config.resync_interval = Some(seconds(60));
    let moved = r#""mode":1,"tcps":3"#;
    let mut played = silent_since_the_first_list(config.clone(), moved);
    played.wait(seconds(9));
    assert_eq!((played.lines(), played.client().state()), (vec![], State::Streaming));
    played.wait(seconds(1));
    assert_eq!(
        played.lines(),
        ["close stream", "reconnecting after 1: the stream has fallen silent"],
        "before its first report"
    );

    // The report was under way, or there was none: a comment is a word, too.
    for word in [frame("update", &running(moved)), ":\n\n".to_owned()] {
        let mut played = silent_since_the_first_list(config.clone(), moved);
        played.send(&word);
        played.wait(seconds(50));
        assert_eq!(played.client().state(), State::Streaming);
    }
    // What does not move is not reported.
    let mut played = silent_since_the_first_list(config.clone(), r#""mode":1,"alias":"x""#);
    played.wait(seconds(50));
    assert_eq!(played.client().state(), State::Streaming);
    // Whoever does not want silence judged gets his way.
    config.idle_timeout = None;
    let mut played = silent_since_the_first_list(config, moved);
    played.wait(seconds(50));
    assert_eq!(played.client().state(), State::Streaming);
}

#[test]
fn a_report_that_was_lost_beside_others_is_no_silence() {
    let mut config = config();
    config.resync_interval = Some(seconds(60));
    let other = |moved: u32| instance("b", "running", &format!(r#""tcps":{moved}"#));
    let mut played = Played::streaming(config, &list(&[running(""), other(0)]));
    played.send(&frame("initial", &running("")));
    for moved in 1..5 {
        played.wait(seconds(30));
        played.send(&frame("update", &other(moved)));
        played.wait(seconds(30));
        played.answer(LIST, 200, &list(&[running(&format!(r#""tcps":{moved}"#)), other(moved)]));
    }
    assert_eq!(played.client().state(), State::Streaming);
}

#[test]
fn a_stream_without_a_head_is_given_up_in_time() {
    let mut played = Played::new(config());
    played.answer(INFO_LINE, 200, INFO);
    played.lines();
    played.wait(seconds(10));
    assert_eq!(
        played.lines(),
        ["close stream", "Unreachable", "reconnecting after 1: the stream was not opened in time"]
    );
}

#[test]
fn a_master_that_answers_but_opens_no_stream_is_reachable() {
    for failure in [None, Some(FailureKind::ConnectionLost)] {
        let mut config = config();
        config.poll_after = 1;
        let mut played = Played::new(config);
        played.answer(INFO_LINE, 200, INFO);
        ended(&mut played, None);
        reconnect(&mut played);
        played.answer(LIST, 200, "[]");
        played.lines();
        match failure {
            None => played.wait(seconds(10)),
            Some(kind) => played.end(Some(kind)),
        }
        let lines = played.lines();
        assert!(lines.iter().any(|line| line.starts_with("reconnecting")), "{lines:?}");
        assert!(!lines.contains(&"Unreachable".to_owned()), "{lines:?}");
        assert_eq!(played.client().is_reachable(), Some(true));
    }
}

#[test]
fn an_answer_that_the_driver_does_not_hold_is_an_answer() {
    let mut played = Played::streaming(config(), "[]");
    played.wait(seconds(1));
    let now = played.now;
    played.client().list(now).unwrap();
    played.fail(LIST, Delivery::Perhaps, FailureKind::TooLarge);
    assert_eq!(played.lines(), [LIST, "answered: larger than the limit of this side"]);
    assert_eq!((played.client().state(), played.client().is_reachable()), (State::Streaming, Some(true)));
}

#[test]
fn a_page_is_no_stream() {
    let mut played = Played::new(config());
    played.answer(INFO_LINE, 200, INFO);
    let stream = played.stream();
    let head = Response::builder().header("content-type", "text/html").body(()).unwrap();
    let now = played.now;
    played.client().handle_stream_opened(stream, &head, now);
    assert_eq!(played.lines().last().unwrap(), "reconnecting after 1: the answer is no event stream");
}

#[test]
fn whoever_does_not_answer_has_no_stream_either() {
    let mut config = config();
    config.resync_interval = Some(seconds(60));
    let mut played = Played::streaming(config, "[]");
    played.wait(seconds(60 + 15));
    let lines = played.lines();
    let expected = [
        LIST,
        "cancel GET /api/v1/instances",
        "Unreachable",
        "close stream",
        "reconnecting after 1: the master does not answer",
        "list failed, again in 5s: timed out",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_key_that_the_stream_refuses_is_waited_for() {
    let mut played = Played::streaming(config(), "[]");
    ended(&mut played, None);
    reconnect(&mut played);
    played.lines();
    played.open(401);
    assert_eq!(played.lines(), ["close stream", "key refused: the master refuses the key"]);
    assert_eq!((played.client().state(), played.client().poll_timeout()), (State::KeyRefused, None));
    let now = played.now;
    played.client().set_key(Secret::new(OTHER_KEY), now).unwrap();
    assert_eq!(played.lines(), [INFO_LINE, OPEN]);
    assert_eq!(played.streams.last().unwrap().1.headers()["x-api-key"], OTHER_KEY);
}

#[test]
fn a_rotation_that_ends_the_stream_leads_to_another_one_with_the_new_key() {
    // The answer may come before the end of the stream, or behind it.
    for end_first in [false, true] {
        let mut played = Played::streaming(config(), "[]");
        let now = played.now;
        played.client().rotate_key(now).unwrap();
        if end_first {
            played.send(&frame("shutdown", "null"));
            ended(&mut played, None);
        }
        played.answer("PATCH /api/v1/instances/********", 200, &record(OTHER_KEY));
        if !end_first {
            played.send(&frame("shutdown", "null"));
            played.end(None);
        }
        let lines = played.lines();
        assert!(lines.contains(&OPEN.to_owned()), "at once: {lines:?}");
        assert_eq!(played.streams.last().unwrap().1.headers()["x-api-key"], OTHER_KEY);
        played.open(200);
        assert_eq!(played.client().state(), State::Streaming);
    }
}

#[test]
fn a_stream_that_is_refused_while_the_key_changes_waits_for_the_new_one() {
    let mut played = Played::streaming(config(), "[]");
    let now = played.now;
    played.client().rotate_key(now).unwrap();
    ended(&mut played, None);
    reconnect(&mut played);
    played.lines();
    played.open(401);
    assert_eq!(played.lines(), ["close stream"]);
    played.answer("PATCH /api/v1/instances/********", 200, &record(OTHER_KEY));
    let lines = played.lines();
    assert!(
        lines.contains(&OPEN.to_owned()) && !lines.iter().any(|line| line.starts_with("key refused")),
        "{lines:?}"
    );
}

#[test]
fn a_key_that_somebody_else_has_changed_is_learned_from_a_running_stream() {
    let changed = |adopts: bool| {
        let mut config = config();
        config.adopts_keys = adopts;
        let mut played = Played::streaming(config, "[]");
        played.send(&frame("initial", &record(KEY)));
        played.send(&frame("update", &record(OTHER_KEY)));
        (played.client().key().clone(), played.lines())
    };
    let (key, lines) = changed(true);
    assert_eq!(key, Secret::new(OTHER_KEY));
    assert!(lines.contains(&"key rotated by Stream".to_owned()), "{lines:?}");
    assert_eq!(changed(false).0, Secret::new(KEY));
}

#[test]
fn a_master_that_hides_its_key_does_not_take_ours_away() {
    let mut played = Played::streaming(config(), "[]");
    for hidden in ["********", ""] {
        for kind in ["initial", "update", "update"] {
            played.send(&frame(kind, &record(hidden)));
        }
    }
    assert_eq!(played.client().key(), &Secret::new(KEY));
}

#[test]
fn our_own_rotation_is_told_once_whoever_is_first() {
    let mut played = Played::streaming(config(), "[]");
    played.send(&frame("initial", &record(KEY)));
    let now = played.now;
    played.client().rotate_key(now).unwrap();
    played.send(&frame("update", &record(OTHER_KEY)));
    played.answer("PATCH /api/v1/instances/********", 200, &record(OTHER_KEY));
    let lines = played.lines();
    let told: Vec<_> =
        lines.iter().filter(|line| line.starts_with("key rotated") || line.starts_with("answered")).collect();
    assert_eq!(told, ["key rotated by Stream", "answered Key(…)"]);
}

#[test]
fn events_are_told_as_they_came_if_that_is_wanted_but_never_the_key_record() {
    let mut config = config();
    config.tells_events = true;
    let mut played = Played::streaming(config, "[]");
    let events = [frame("initial", &record(KEY)), frame("log", &running("")), frame("shutdown", "null")];
    played.send(&events.concat());
    let told: Vec<_> = played.lines().into_iter().filter(|line| line.starts_with("told")).collect();
    assert_eq!(told, ["told log", "told shutdown"]);
}

#[test]
fn input_for_a_stream_that_is_no_longer_the_current_one_is_ignored() {
    let mut played = Played::streaming(config(), "[]");
    let (old, now) = (played.stream(), played.now);
    ended(&mut played, None);
    reconnect(&mut played);
    played.lines();
    played.client().handle_stream_opened(old, &Response::new(()), now);
    played.client().handle_stream_bytes(old, frame("create", &running("")).as_bytes(), now);
    played.client().handle_stream_end(old, None, now);
    assert_eq!((played.lines(), played.client().state()), (vec![], State::Connecting));
}

#[test]
fn a_wait_can_be_ended_and_a_list_asked_for_by_the_application() {
    let mut played = Played::streaming(config(), "[]");
    played.wait(seconds(1));
    let now = played.now;
    played.client().resync(now);
    assert_eq!(played.lines(), [LIST]);
    played.end(None);
    played.lines();
    played.client().retry(now);
    assert_eq!(played.lines(), [OPEN]);
}

#[test]
fn a_master_that_was_started_again_is_listed_again() {
    let mut config: Config = config();
    config.info_interval = Some(seconds(30));
    let mut played = Played::streaming(config, "[]");
    played.wait(seconds(30));
    played.answer(INFO_LINE, 200, r#"{"ver":"v1.14.0","uptime":1}"#);
    assert_eq!(played.lines(), [INFO_LINE, "info", "MasterRestarted", LIST]);
    let now = played.now;
    let (id, _) = played.take(LIST);
    played.client().handle_response(id, response(200, "[]"), now);
    assert!(played.client().is_synced());
}
