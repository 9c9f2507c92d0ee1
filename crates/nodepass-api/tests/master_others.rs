//! The master about itself and the world (§3), and its limits, one behaviour a test.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod master_support;

use master_support::{Fixture, LEVELS, config};
use nodepass_api::master::{Compat, Config, ConfigError, Master, SystemFigures};
use nodepass_api::url::MasterUrl;
use serde_json::json;
use std::time::Duration;
use testkit::epoch;

// §3: /info

fn figures() -> SystemFigures {
    SystemFigures {
        cpu: 7,
        mem_total: 100,
        mem_free: 30,
        mem_used: 60,
        swap_total: 50,
        swap_free: 20,
        netrx: 1,
        nettx: 2,
        diskr: 3,
        diskw: 4,
        sysup: 5,
    }
}

#[test]
fn info_has_the_figures_of_the_machine_when_they_come() {
    for compat in LEVELS {
        let mut settings = config(compat);
        settings.take_url(&MasterUrl::parse("master://host.example:1?log=warn&tls=1").unwrap());
        (settings.os, settings.arch) = ("linux".to_owned(), "amd64".to_owned());
        let mut fixture = Fixture::with(settings);
        fixture.until(2500);
        assert_eq!(fixture.told("GET", "/info", ""), ["read system"]);
        fixture.master.0.handle_system(fixture.systems[0], figures(), fixture.now);
        fixture.drain();
        let mut expected = json!({
            "os": "linux", "arch": "amd64", "ver": compat.release().to_string(), "name": "host.example",
            "uptime": 2, "log": "warn", "tls": "1", "crt": "", "key": "", "cpu": 7, "mem_total": 100,
            "swap_total": 50, "netrx": 1, "nettx": 2, "diskr": 3, "diskw": 4, "sysup": 5,
        });
        let more = match compat {
            Compat::V1_14 => json!({"mem_used": 60, "swap_used": 30, "alias": "", "mid": ""}),
            _ => json!({"mem_free": 30, "swap_free": 20}),
        };
        expected.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(fixture.json(), expected, "{compat:?}");
    }
}

#[test]
fn info_is_answered_without_figures_when_they_do_not_come_and_late_ones_are_ignored() {
    let mut fixture = Fixture::new(Compat::V1_6);
    fixture.told("GET", "/info", "");
    assert_eq!(fixture.until(1999), [""; 0]);
    assert_eq!(fixture.until(2000).len(), 1);
    assert_eq!((&fixture.json()["cpu"], &fixture.json()["mem_total"]), (&json!(-1), &json!(0)));
    fixture.master.0.handle_system(fixture.systems[0], figures(), fixture.now);
    assert_eq!(fixture.drain(), [""; 0]);
}

#[test]
fn the_masters_alias_is_set_where_there_is_one() {
    for compat in [Compat::Document, Compat::V1_6] {
        let mut fixture = Fixture::new(compat);
        assert_eq!(fixture.told("POST", "/info", r#"{"alias":"x"}"#), ["405 Method not allowed"]);
    }
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.ask("POST", "/info", r#"{"alias":"x"}"#);
    assert_eq!(fixture.json()["alias"], "x");
    fixture.ask("GET", "/instances/********", "");
    assert_eq!(fixture.json()["alias"], "x");
    for body in ["", "{", r#"{"alias":1}"#] {
        assert_eq!(fixture.told("POST", "/info", body), ["400 Invalid request body"]);
    }
    let long = format!(r#"{{"alias":"{}"}}"#, "x".repeat(257));
    assert_eq!(fixture.told("POST", "/info", &long), ["400 Master alias exceeds maximum length 256"]);
    fixture.ask("POST", "/info", "{}");
    assert_eq!(fixture.json()["alias"], "");
    for method in ["PUT", "DELETE", "HEAD"] {
        assert_eq!(fixture.told(method, "/info", ""), ["405 Method not allowed"]);
    }
}

#[test]
fn a_refused_alias_of_the_master_is_not_taken() {
    let mut settings = config(Compat::V1_14);
    settings.max_waiting = 1;
    let mut fixture = Fixture::with(settings);
    fixture.told("GET", "/info", "");
    assert_eq!(fixture.told("POST", "/info", r#"{"alias":"x"}"#), ["503 Service unavailable"]);
    fixture.told("GET", "/instances/********", "");
    assert_eq!(fixture.json()["alias"], "");
}

// §3: /tcping

#[test]
fn a_dial_that_comes_about_and_one_that_does_not_are_both_200() {
    let mut fixture = Fixture::new(Compat::V1_14);
    assert_eq!(
        fixture.told("GET", "/tcping?target=127.0.0.1%3A80&target=x:1", ""),
        ["dial 127.0.0.1:80 within 5s"]
    );
    fixture.master.0.handle_dialed(fixture.dials[0], Ok(Duration::from_micros(12_900)), fixture.now);
    fixture.drain();
    assert_eq!(
        fixture.body(),
        "{\"target\":\"127.0.0.1:80\",\"connected\":true,\"latency\":12,\"error\":null}\n"
    );
    fixture.told("GET", "/tcping?target=:1", "");
    fixture.master.0.handle_dialed(fixture.dials[1], Err("refused"), fixture.now);
    fixture.drain();
    assert_eq!(
        fixture.body(),
        "{\"target\":\":1\",\"connected\":false,\"latency\":0,\"error\":\"refused\"}\n"
    );
}

#[test]
fn a_dial_needs_a_target() {
    let mut fixture = Fixture::new(Compat::V1_14);
    for query in ["", "?target", "?target=", "?Target=h:1", "?x=target"] {
        assert_eq!(fixture.told("GET", &format!("/tcping{query}"), ""), ["400 Target address required"]);
    }
    assert_eq!(fixture.told("POST", "/tcping?target=h:1", ""), ["405 Method not allowed"]);
}

#[test]
fn ten_dials_go_on_at_a_time_and_another_waits_a_second_for_its_turn() {
    let mut fixture = Fixture::new(Compat::V1_14);
    for _ in 0..10 {
        assert_eq!(fixture.told("GET", "/tcping?target=h:1", "").len(), 1);
    }
    for target in ["eleventh:1", "twelfth:1"] {
        assert_eq!(fixture.told("GET", &format!("/tcping?target={target}"), ""), [""; 0]);
    }
    fixture.until(500);
    fixture.master.0.handle_dialed(fixture.dials[3], Err("x"), fixture.now);
    let lines = fixture.drain();
    assert_eq!(lines[1..], ["dial eleventh:1 within 5s"]);
    assert_eq!(fixture.until(999), [""; 0]);
    let late = r#"{"target":"twelfth:1","connected":false,"latency":0,"error":"too many requests"}"#;
    assert_eq!(fixture.until(1000), [format!("1000 200 {late}")]);
    assert_eq!(fixture.until(2000), [""; 0]);
}

#[test]
fn a_dial_of_which_nothing_is_heard_is_given_up_and_late_news_of_it_is_ignored() {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.told("GET", "/tcping?target=h:1", "");
    let given_up = r#"{"target":"h:1","connected":false,"latency":0,"error":"i/o timeout"}"#;
    assert_eq!(fixture.until(6000), [format!("6000 200 {given_up}")]);
    fixture.master.0.handle_dialed(fixture.dials[0], Ok(Duration::ZERO), fixture.now);
    assert_eq!(fixture.drain(), [""; 0]);
}

#[test]
fn a_client_that_goes_away_gives_up_its_turn_and_its_answer() {
    let mut settings = config(Compat::V1_14);
    settings.max_dials = 1;
    let mut fixture = Fixture::with(settings);
    fixture.told("GET", "/tcping?target=first:1", "");
    let gone = fixture.request("GET", "/tcping?target=gone:1", "");
    let gone = fixture.master.0.handle_request(gone, fixture.now);
    fixture.told("GET", "/tcping?target=third:1", "");
    fixture.master.0.handle_cancel(gone, fixture.now);
    fixture.master.0.handle_dialed(fixture.dials[0], Err("x"), fixture.now);
    assert_eq!(fixture.drain()[1..], ["dial third:1 within 5s"]);
}

// Limits and settings

#[test]
fn so_many_requests_wait_and_no_more_also_when_their_clients_go_away() {
    let mut settings = config(Compat::V1_14);
    settings.max_waiting = 3;
    let mut fixture = Fixture::with(settings);
    fixture.running();
    for (method, path) in [("GET", "/info"), ("DELETE", "/instances/a"), ("GET", "/tcping?target=h:1")] {
        let request = fixture.request(method, path, "");
        let id = fixture.master.0.handle_request(request, fixture.now);
        fixture.master.0.handle_cancel(id, fixture.now);
        fixture.drain();
    }
    for (method, path) in [("GET", "/info"), ("DELETE", "/instances/a"), ("GET", "/tcping?target=h:1")] {
        assert_eq!(fixture.told(method, path, ""), ["503 Service unavailable"], "{path}");
    }
    fixture.until(10_000);
    assert_eq!(fixture.told("GET", "/info", ""), ["read system"]);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let refused = |change: fn(&mut Config)| {
        let mut settings = config(Compat::V1_14);
        change(&mut settings);
        Master::new(settings, None, epoch()).err()
    };
    assert_eq!(refused(|_| {}), None);
    assert_eq!(
        refused(|config| config.report_interval = Duration::ZERO),
        Some(ConfigError::Wait("report_interval"))
    );
    assert_eq!(
        refused(|config| config.reload_interval = Duration::ZERO),
        Some(ConfigError::Wait("reload_interval"))
    );
    assert_eq!(refused(|config| config.store_retry = Duration::ZERO), Some(ConfigError::Wait("store_retry")));
    assert_eq!(refused(|config| config.max_dials = 0), Some(ConfigError::Limit("max_dials")));
    assert_eq!(refused(|config| config.stream_queue = 0), Some(ConfigError::Limit("stream_queue")));
    assert_eq!(refused(|config| config.prefix = "/".to_owned()), Some(ConfigError::Prefix));
    assert_eq!(refused(|config| config.prefix = "api".to_owned()), Some(ConfigError::Prefix));
}

#[test]
fn labels_and_aliases_without_a_limit_of_their_own_have_one_together() {
    for compat in LEVELS {
        let mut settings = config(compat);
        settings.max_labels = 300;
        let mut fixture = Fixture::with(settings);
        fixture.running();
        let alias = "x".repeat(301);
        let expected = ["413 Request body too large"];
        assert_eq!(fixture.told("PATCH", "/instances/a", &format!(r#"{{"alias":"{alias}"}}"#)), expected);
        if compat == Compat::V1_14 {
            let tags: Vec<_> = (10..40).map(|at| format!(r#""tag-{at}":"value""#)).collect();
            let body = format!(r#"{{"meta":{{"tags":{{{}}}}}}}"#, tags.join(","));
            assert_eq!(fixture.told("PATCH", "/instances/a", &body), expected);
        }
    }
}

#[test]
fn a_head_gives_the_answers_that_no_body_changes() {
    let fixture = Fixture::new(Compat::V1_14);
    let status = |method: &str, path: &str, has_key: bool| {
        let mut request = http::Request::builder().method(method).uri(path);
        if has_key {
            request = request.header("x-api-key", fixture.key());
        }
        let head = request.body(()).unwrap();
        fixture.master.0.judge(&head).map(|response| response.status().as_u16())
    };
    assert_eq!(status("POST", "/api/v1/instances", false), Some(401));
    assert_eq!(status("POST", "/api/v1/nothing", false), Some(404));
    assert_eq!(status("POST", "/api//v1/instances", false), Some(307));
    assert_eq!(status("OPTIONS", "/api/v1/instances", false), Some(200));
    assert_eq!(status("POST", "/api/v1/instances", true), None);
    assert_eq!(status("GET", "/api/v1/docs", false), None);
}
