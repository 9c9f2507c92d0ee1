//! The client: one behaviour a test, as transcripts.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod client_support;

use client_support::{INFO, KEY, OTHER_KEY, Played, config, frame, instance, record, seconds};
use nodepass_api::Secret;
use nodepass_api::client::{
    CommandError, Config, ConfigError, Delivery, Endpoint, FailureKind, Layout, Monitoring, State,
};
use nodepass_api::fleet::InstanceRecord;
use nodepass_api::wire::{InstanceId, PatchInstance};

const LIST: &str = "GET /api/v1/instances";
const INFO_LINE: &str = "GET /api/v1/info";

fn quiet() -> Config {
    let mut config = config();
    config.monitoring = Monitoring::Off;
    config
}

fn ready() -> Played {
    let mut played = Played::new(quiet());
    played.answer(INFO_LINE, 200, INFO);
    played.lines();
    played
}

fn id() -> InstanceId {
    InstanceId::new("a1b2c3d4")
}

fn one(status: &str, rest: &str) -> String {
    instance("a1b2c3d4", status, rest)
}

// The search for the routes

#[test]
fn the_version_is_tried_first() {
    let mut played = Played::new(quiet());
    assert_eq!((played.client().state(), played.lines()), (State::Probing, vec![INFO_LINE.to_owned()]));
    played.answer(INFO_LINE, 200, INFO);
    assert_eq!(played.lines(), ["found http://h:9090/api/v1", "info"]);
    assert_eq!(played.client().state(), State::Ready);
}

#[test]
fn whatever_is_not_the_api_leads_to_the_other_place() {
    for (status, body) in [
        (404, "404 page not found\n"),
        (404, ""),
        (200, "<html>"),
        (200, "[1]"),
        (200, "{]"),
        (307, "<a>"),
        (405, ""),
    ] {
        let mut played = Played::new(quiet());
        played.answer(INFO_LINE, status, body);
        played.answer("GET /api/info", 200, r#"{"success":true,"data":{"ver":"v1.6.0"}}"#);
        assert_eq!(
            played.lines()[1..],
            ["GET /api/info", "found http://h:9090/api", "info"],
            "{status} {body}"
        );
        assert_eq!(played.client().base().unwrap().as_str(), "http://h:9090/api");
    }
}

#[test]
fn an_answer_about_a_master_shows_the_place_even_if_a_figure_of_it_is_no_good() {
    let mut played = Played::new(quiet());
    played.answer(INFO_LINE, 200, r#" {"ver":"v1.14.0","uptime":"long"}"#);
    assert_eq!(
        played.lines()[1..],
        [
            "found http://h:9090/api/v1",
            "info failed: the answer is not what it should be: JSON of another form, at byte 32"
        ]
    );
    assert_eq!(played.client().release(), None);
    // It is asked again, as long as nothing is known.
    played.wait(seconds(60));
    played.answer(INFO_LINE, 500, "");
    played.wait(seconds(60));
    played.answer(INFO_LINE, 200, INFO);
    assert_eq!(
        played.lines(),
        [
            INFO_LINE,
            "info failed: the answer's status is 500 Internal Server Error: no reason is given",
            INFO_LINE,
            "info"
        ]
    );
}

#[test]
fn figures_that_a_master_cannot_get_are_no_trouble() {
    let mut played = Played::new(quiet());
    let names = ["cpu", "diskr", "diskw", "mem_free", "mem_total", "mem_used", "netrx", "nettx", "noc"];
    let names = names.iter().chain(&["swap_free", "swap_total", "swap_used", "sysup", "uptime"]);
    let members: Vec<_> = names.map(|name| format!(r#""{name}":-1"#)).collect();
    let body = format!("{{{}}}", members.join(","));
    played.answer(INFO_LINE, 200, &body);
    assert_eq!(played.lines()[1..], ["found http://h:9090/api/v1", "info"]);
    let again = nodepass_api::wire::encode(played.client().info().unwrap());
    assert_eq!(String::from_utf8(again).unwrap(), body, "nothing is lost");
}

#[test]
fn a_refused_key_shows_that_the_place_is_right() {
    let mut played = Played::new(config());
    played.answer(INFO_LINE, 401, r#"{"error":"Unauthorized: Invalid API key"}"#);
    assert_eq!(
        played.lines()[1..],
        ["key refused: the master refuses the key", "found http://h:9090/api/v1"]
    );
    assert_eq!((played.client().state(), played.client().poll_timeout()), (State::KeyRefused, None));
    let now = played.now;
    played.client().set_key(Secret::new(OTHER_KEY), now).unwrap();
    assert_eq!(played.lines(), [INFO_LINE, "open GET /api/v1/events"]);
    assert_eq!(played.take(INFO_LINE).1.headers()["x-api-key"], OTHER_KEY);
}

#[test]
fn calls_are_held_until_the_place_is_known() {
    let mut played = Played::new(quiet());
    let now = played.now;
    played.client().list(now).unwrap();
    played.client().get(&id(), now).unwrap();
    assert_eq!(played.lines(), [INFO_LINE]);
    played.answer(INFO_LINE, 200, INFO);
    assert_eq!(
        played.lines(),
        ["found http://h:9090/api/v1", "info", LIST, "GET /api/v1/instances/a1b2c3d4"]
    );
}

#[test]
fn held_calls_fail_with_the_search_and_a_later_one_begins_it_anew() {
    let mut played = Played::new(quiet());
    let now = played.now;
    played.client().list(now).unwrap();
    played.fail(INFO_LINE, Delivery::No, FailureKind::Refused);
    assert_eq!(
        played.lines()[1..],
        ["Unreachable", "not found: connection refused", "answered: connection refused"]
    );
    assert_eq!(played.client().state(), State::Waiting);
    played.client().list(now).unwrap();
    assert_eq!(played.lines(), [INFO_LINE]);
    played.answer(INFO_LINE, 404, "");
    played.answer("GET /api/info", 404, "");
    assert_eq!(
        played.lines(),
        [
            "Reachable",
            "GET /api/info",
            "not found: there is no such route",
            "answered: there is no such route"
        ]
    );
    // By itself, after a wait.
    played.wait_once();
    assert_eq!(played.lines(), [INFO_LINE]);
}

#[test]
fn a_plain_request_to_a_master_with_tls_is_told_for_what_it_is() {
    let mut played = Played::new(quiet());
    played.answer(INFO_LINE, 400, "Client sent an HTTP request to an HTTPS server.\n");
    assert_eq!(played.lines()[1..], ["not found: the master wants https"]);
}

#[test]
fn a_fixed_layout_needs_no_search() {
    let mut config = quiet();
    config.layout = Some(Layout::Plain);
    let mut played = Played::new(config);
    let now = played.now;
    played.client().list(now).unwrap();
    assert_eq!(played.lines(), ["found http://h:9090/api", "GET /api/info", "GET /api/instances"]);
}

// Calls

#[test]
fn each_command_makes_its_request_and_is_answered_once() {
    let mut played = ready();
    let (now, id) = (played.now, id());
    let client = played.client();
    let ids = [
        client.list(now),
        client.create("server://:1/t:2?log=info", Some("web"), now),
        client.get(&id, now),
        client.start(&id, now),
        client.stop(&id, now),
        client.restart(&id, now),
        client.reset(&id, now),
        client.put(&id, "client://h:1/t:3", now),
        client.delete(&id, now),
        client.ask(now),
        client.set_master_alias("edge", now),
        client.tcping("h:1", now),
        client.openapi(now),
        client.docs(now),
    ]
    .map(Result::unwrap);
    let distinct: std::collections::BTreeSet<_> = ids.into_iter().collect();
    assert_eq!((distinct.len(), played.client().open_calls()), (14, 14));
    played.lines();
    let bodies: Vec<String> = played
        .requests
        .iter()
        .map(|(_, request)| {
            let line = format!("{} {}", request.method(), request.uri().path_and_query().unwrap());
            format!("{line} {}", std::str::from_utf8(request.body()).unwrap())
        })
        .collect();
    assert_eq!(
        bodies,
        [
            "GET /api/v1/instances ",
            r#"POST /api/v1/instances {"url":"server://:1/t:2?log=info","alias":"web"}"#,
            "GET /api/v1/instances/a1b2c3d4 ",
            r#"PATCH /api/v1/instances/a1b2c3d4 {"action":"start"}"#,
            r#"PATCH /api/v1/instances/a1b2c3d4 {"action":"stop"}"#,
            r#"PATCH /api/v1/instances/a1b2c3d4 {"action":"restart"}"#,
            r#"PATCH /api/v1/instances/a1b2c3d4 {"action":"reset"}"#,
            r#"PUT /api/v1/instances/a1b2c3d4 {"url":"client://h:1/t:3"}"#,
            "DELETE /api/v1/instances/a1b2c3d4 ",
            "GET /api/v1/info ",
            r#"POST /api/v1/info {"alias":"edge"}"#,
            "GET /api/v1/tcping?target=h:1 ",
            "GET /api/v1/openapi.json ",
            "GET /api/v1/docs ",
        ]
    );
    for (id, _) in std::mem::take(&mut played.requests) {
        for _ in 0..2 {
            played.client().handle_response(id, client_support::response(500, ""), now);
        }
    }
    let lines = played.lines();
    assert_eq!((lines.len(), played.client().open_calls()), (14, 0));
    assert!(lines.iter().all(|line| line.contains("500 Internal Server Error")), "{lines:?}");
}

#[test]
fn what_a_master_ignores_without_a_word_is_told_with_the_answer() {
    let mut played = Played::new(quiet());
    played.answer(INFO_LINE, 200, r#"{"ver":"v1.6.0"}"#);
    let now = played.now;
    played.client().reset(&id(), now).unwrap();
    let patch = PatchInstance { alias: Some("a".into()), restart: Some(true), ..PatchInstance::default() };
    played.client().patch(&id(), patch, now).unwrap();
    played.lines();
    played.answer("PATCH /api/v1/instances/a1b2c3d4", 200, &one("running", ""));
    played.answer("PATCH /api/v1/instances/a1b2c3d4", 200, &one("running", r#""alias":"a""#));
    assert_eq!(
        played.lines(),
        ["answered a1b2c3d4 without [Action(ComesBack)]", "answered a1b2c3d4 without [Restart]"]
    );
}

#[test]
fn a_quick_start_is_not_taken_for_one_without_effect() {
    let mut played = Played::streaming(config(), &format!("[{}]", one("stopped", "")));
    let now = played.now;
    played.client().start(&id(), now).unwrap();
    played.answer("PATCH /api/v1/instances/a1b2c3d4", 200, &one("running", ""));
    let lines = played.lines();
    assert_eq!(lines[1..], ["updated a1b2c3d4", "answered a1b2c3d4"], "{lines:?}");
    played.client().start(&id(), now).unwrap();
    played.answer("PATCH /api/v1/instances/a1b2c3d4", 200, &one("running", ""));
    assert_eq!(played.lines()[1..], ["answered a1b2c3d4 without [Action(Running)]"]);
}

#[test]
fn instance_urls_are_checked_before_anything_is_sent() {
    let mut played = ready();
    let now = played.now;
    let refused = played.client().create("http://h:1/t:2", None, now);
    assert_eq!(refused.unwrap_err().to_string(), "invalid URL scheme");
    played.client().create("server://:1/t:99999", None, now).unwrap();
    played.client().put(&id(), "server://:1/t:2?min=3", now).unwrap();
    let lines = played.lines();
    assert!(
        lines.iter().all(|line| line.starts_with("answered: the instance URL is no good: ")),
        "{lines:?}"
    );

    let mut config = quiet();
    config.checks_urls = false;
    let mut played = Played::new(config);
    played.answer(INFO_LINE, 200, INFO);
    played.client().create("http://h:1/t:2", None, now).unwrap();
    assert_eq!(played.lines().last().unwrap(), "POST /api/v1/instances");
}

#[test]
fn files_that_the_master_gives_its_servers_are_not_missed() {
    const INFOS: [(&str, bool); 3] = [("2", true), ("1", false), ("0", false)];
    for (tls, gives_files) in INFOS {
        let mut played = Played::new(quiet());
        played.answer(INFO_LINE, 200, &format!(r#"{{"ver":"v1.14.0","uptime":1,"tls":"{tls}"}}"#));
        let now = played.now;
        played.client().create("server://:1/t:2?tls=2", None, now).unwrap();
        played.client().put(&id(), "server://:1/t:2?tls=2&crt=/a", now).unwrap();
        let sent = |line: &String| line.starts_with("POST") || line.starts_with("PUT");
        assert_eq!(played.lines().iter().filter(|line| sent(line)).count(), 2 * usize::from(gives_files));
    }
    // Clients are given none.
    let mut played = Played::new(quiet());
    played.answer(INFO_LINE, 200, r#"{"ver":"v2.0.0-b10","uptime":1,"tls":"2"}"#);
    let now = played.now;
    played.client().create("client://:1/t:2?mode=1&tls=2", None, now).unwrap();
    assert_eq!(
        played.lines().last().unwrap(),
        "answered: the instance URL is no good: tls=2 needs `crt`; tls=2 needs `key`"
    );
}

#[test]
fn an_unanswered_call_times_out_at_its_deadline_and_a_late_answer_is_ignored() {
    let mut played = ready();
    let now = played.now;
    played.client().get(&id(), now).unwrap();
    played.lines();
    let (request, _) = played.requests[0].clone();
    played.wait(seconds(15) - client_support::millis(1));
    assert_eq!(played.lines(), [""; 0]);
    played.wait(client_support::millis(1));
    assert_eq!(played.lines(), ["cancel GET /api/v1/instances/a1b2c3d4", "answered: timed out"]);
    let now = played.now;
    played.client().handle_response(request, client_support::response(200, &one("running", "")), now);
    assert_eq!(played.lines(), [""; 0]);
}

#[test]
fn an_answer_beyond_the_limit_is_not_looked_at() {
    let mut config = quiet();
    config.max_response = 50;
    let mut played = Played::new(config);
    played.answer(INFO_LINE, 200, INFO);
    let now = played.now;
    played.client().list(now).unwrap();
    played.answer(LIST, 200, &format!("[{}]", " ".repeat(49)));
    assert_eq!(played.lines().last().unwrap(), "answered: the answer is too large: 51 bytes");
}

#[test]
fn refused_commands_change_nothing() {
    let mut config = quiet();
    (config.max_calls, config.max_held) = (2, 1);
    let mut played = Played::new(config);
    let (now, record) = (played.now, InstanceId::key_record());
    played.client().list(now).unwrap();
    assert_eq!(played.client().list(now), Err(CommandError::TooManyCalls));
    played.answer(INFO_LINE, 200, INFO);
    played.client().list(now).unwrap();
    assert_eq!(played.client().list(now), Err(CommandError::TooManyCalls));
    played.lines();
    let client = played.client();
    assert_eq!(client.tcping("", now), Err(CommandError::Length));
    assert_eq!(client.get(&InstanceId::new(&"x".repeat(5_000)), now), Err(CommandError::Length));
    assert_eq!(client.restart(&record, now), Err(CommandError::KeyRecord));
    assert_eq!(client.delete(&record, now), Err(CommandError::KeyRecord));
    assert_eq!(client.set_key(Secret::new("a\nb"), now), Err(CommandError::Key));
    assert_eq!(played.lines(), [""; 0]);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let error = |change: fn(&mut Config)| {
        let mut config = config();
        change(&mut config);
        nodepass_api::client::Client::new(config, client_support::epoch()).unwrap_err()
    };
    assert_eq!(error(|config| config.request_timeout = seconds(0)), ConfigError::Wait("request_timeout"));
    assert_eq!(error(|config| config.idle_timeout = Some(seconds(0))), ConfigError::Wait("idle_timeout"));
    assert_eq!(error(|config| config.poll_interval = seconds(0)), ConfigError::Wait("poll_interval"));
    assert_eq!(ConfigError::Wait("poll_interval").to_string(), "poll_interval must be above 0");
    assert_eq!(error(|config| config.min_wait = seconds(61)), ConfigError::Waits);
    assert_eq!(error(|config| config.key = Secret::new("ä")), ConfigError::Key);
}

#[test]
fn closing_answers_what_is_open_and_nothing_follows() {
    let mut played = Played::streaming(config(), "[]");
    let now = played.now;
    played.client().list(now).unwrap();
    played.client().rotate_key(now).unwrap();
    played.lines();
    played.client().close(now);
    assert_eq!(
        played.lines(),
        [
            "cancel GET /api/v1/instances",
            "cancel PATCH /api/v1/instances/********",
            "close stream",
            "answered: the client was closed",
            "answered: the client was closed",
            "Closed"
        ]
    );
    assert_eq!(played.client().list(now), Err(CommandError::Closed));
    played.client().close(now);
    played.client().retry(now);
    played.client().resync(now);
    assert_eq!((played.lines(), played.client().poll_timeout()), (vec![], None));
}

#[test]
fn an_instance_is_made_again_with_what_the_release_does_not_take_at_once() {
    let record = InstanceRecord {
        id: InstanceId::new("00000000"),
        url: "server://:1/t:2".into(),
        alias: "web".into(),
        restart: Some(true),
    };
    let mut played = ready();
    let now = played.now;
    // Since 1.13 nothing is left to do.
    played.client().recreate(&record, now).unwrap();
    played.answer("POST /api/v1/instances", 201, &one("stopped", r#""alias":"web","restart":true"#));
    assert_eq!(played.lines(), ["POST /api/v1/instances", "answered a1b2c3d4"]);
    // Before, it is.
    played.client().recreate(&record, now).unwrap();
    played.answer("POST /api/v1/instances", 201, &one("stopped", r#""alias":"","restart":false"#));
    let (request, patch) = played.take("PATCH /api/v1/instances/a1b2c3d4");
    assert_eq!(patch.body(), r#"{"alias":"web","restart":true}"#);
    let done = client_support::response(200, &one("running", r#""alias":"web","restart":true"#));
    played.client().handle_response(request, done, now);
    assert_eq!(played.lines().last().unwrap(), "answered a1b2c3d4");
    // The instance is there, whatever becomes of the rest.
    played.client().recreate(&record, now).unwrap();
    played.answer("POST /api/v1/instances", 201, &one("stopped", r#""alias":"","restart":true"#));
    played.answer("PATCH /api/v1/instances/a1b2c3d4", 400, r#"{"error":"no"}"#);
    assert_eq!(played.lines().last().unwrap(), "answered: a1b2c3d4 was made, but not all of it: refused: no");
}

// Keys

#[test]
fn a_new_key_is_used_from_its_answer_on() {
    let mut played = ready();
    let now = played.now;
    played.client().rotate_key(now).unwrap();
    assert_eq!(played.client().rotate_key(now), Err(CommandError::Rotating));
    let (request, body) = played.take("PATCH /api/v1/instances/********");
    assert_eq!(
        (body.body().as_ref(), &body.headers()["x-api-key"]),
        (br#"{"action":"restart"}"#.as_slice(), &KEY.parse().unwrap())
    );
    played.lines();
    played.client().handle_response(request, client_support::response(200, &record(OTHER_KEY)), now);
    assert_eq!(played.lines(), ["key rotated by Answer", INFO_LINE, "answered Key(…)"]);
    assert_eq!(played.client().key(), &Secret::new(OTHER_KEY));
    played.client().list(now).unwrap();
    assert_eq!(played.take(LIST).1.headers()["x-api-key"], OTHER_KEY);
}

#[test]
fn a_key_that_is_the_old_one_or_none_is_not_taken() {
    for answer in [record(KEY), record(""), record("two words")] {
        let mut played = ready();
        let now = played.now;
        played.client().rotate_key(now).unwrap();
        played.answer("PATCH /api/v1/instances/********", 200, &answer);
        assert_eq!(played.lines()[1..], [INFO_LINE, "answered: the master has kept its key"]);
        assert_eq!(played.client().key(), &Secret::new(KEY));
    }
}

#[test]
fn nobody_knows_the_key_when_the_answer_is_lost() {
    for (delivered, lines) in [(Delivery::Perhaps, 1), (Delivery::No, 0)] {
        let mut played = ready();
        let now = played.now;
        played.client().rotate_key(now).unwrap();
        played.fail("PATCH /api/v1/instances/********", delivered, FailureKind::ConnectionLost);
        let unknown = played.lines().into_iter().filter(|line| line == "RotationUnknown").count();
        assert_eq!(unknown, lines);
        // Another attempt is allowed.
        played.client().rotate_key(now).unwrap();
    }
}

#[test]
fn calls_that_are_refused_while_the_key_changes_are_made_again_once() {
    let refusal = r#"{"error":"Unauthorized: Invalid API key"}"#;
    let mut played = ready();
    let now = played.now;
    played.client().rotate_key(now).unwrap();
    played.client().list(now).unwrap();
    played.client().get(&id(), now).unwrap();
    // One answer comes before the new key, one behind it.
    played.answer(LIST, 401, refusal);
    played.lines();
    played.answer("PATCH /api/v1/instances/********", 200, &record(OTHER_KEY));
    assert_eq!(played.lines(), ["key rotated by Answer", INFO_LINE, "answered Key(…)", LIST]);
    played.answer("GET /api/v1/instances/a1b2c3d4", 401, refusal);
    assert_eq!(played.lines(), ["GET /api/v1/instances/a1b2c3d4"]);
    let (request, again) = played.take("GET /api/v1/instances/a1b2c3d4");
    assert_eq!(again.headers()["x-api-key"], OTHER_KEY);
    played.client().handle_response(request, client_support::response(401, refusal), now);
    played.answer(LIST, 200, "[]");
    assert_eq!(played.lines(), ["answered: the master refuses the key", "answered List(0 instances)"]);
}

#[test]
fn a_refused_call_is_its_own_affair_and_a_good_one_shows_that_the_key_is_good() {
    let mut played = Played::new(quiet());
    played.answer(INFO_LINE, 401, "");
    let now = played.now;
    played.client().list(now).unwrap();
    played.answer(LIST, 401, r#"{"error":"Unauthorized: API key required"}"#);
    assert_eq!(played.lines().last().unwrap(), "answered: the master wants a key");
    played.client().list(now).unwrap();
    played.answer(LIST, 200, "[]");
    assert_eq!(played.lines()[1..], ["answered List(0 instances)", INFO_LINE]);
    assert_eq!(played.client().state(), State::Ready);
}

// What the master says about itself

#[test]
fn rates_restarts_and_versions_are_computed_from_two_answers() {
    let mut config = quiet();
    config.info_interval = Some(seconds(30));
    let mut played = Played::new(config);
    let answer = |played: &mut Played, body: &str| {
        played.answer(INFO_LINE, 200, body);
        let lines = played.lines();
        let is_news = |line: &String| !line.starts_with("GET") && !line.starts_with("found");
        lines.into_iter().filter(is_news).collect::<Vec<_>>()
    };
    assert_eq!(answer(&mut played, r#"{"ver":"v1.6.0","uptime":100,"netrx":1000}"#), ["info"]);
    played.wait(seconds(30));
    assert_eq!(
        answer(&mut played, r#"{"ver":"v1.6.0","uptime":99,"netrx":4000}"#),
        ["info"],
        "cut off, not fallen"
    );
    played.wait(seconds(30));
    let news = answer(&mut played, r#"{"ver":"v1.14.0","uptime":3,"netrx":10}"#);
    assert_eq!(news, ["info", "version v1.6.0 v1.14.0", "MasterRestarted"]);
    assert_eq!(played.client().release().unwrap().to_string(), "v1.14.0");
}

#[test]
fn an_endpoint_is_shown_without_what_was_pasted_beside_it() {
    let endpoint: Endpoint = "http://h/api/v1/instances?key=secret".parse().unwrap();
    assert_eq!(endpoint.to_string(), "http://h/api");
}

#[test]
fn a_new_instance_is_in_the_view_before_any_event() {
    let mut played = Played::streaming(config(), "[]");
    let now = played.now;
    played.client().create("server://:1/t:2", None, now).unwrap();
    played.answer("POST /api/v1/instances", 201, &one("stopped", ""));
    assert_eq!(played.lines()[1..], ["added a1b2c3d4", "answered a1b2c3d4"]);
    played.client().delete(&id(), now).unwrap();
    played.answer("DELETE /api/v1/instances/a1b2c3d4", 204, "");
    // A frame that was under way does not bring it back.
    played.send(&frame("update", &one("stopped", "")));
    assert_eq!(played.lines()[1..], ["removed a1b2c3d4", "answered Deleted"]);
}
