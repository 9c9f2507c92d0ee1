//! What a master keeps, and its end, one behaviour a test: §7.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod master_support;

use master_support::{Fixture, KEY_RECORD, LATER, LEVELS, NEVER, OTHER_URL, config};
use nodepass_api::master::{Compat, Config, Entropy, Output, Snapshot, SnapshotError, State, StoreFailed};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::rules::{check_closed, check_closed_ignores};

const NOTHING: [&str; 0] = [];

/// As by default: changes are stored 100 ms later.
fn storing(compat: Compat) -> Config {
    Config::new(compat, Entropy::new([7; 32]))
}

/// A master that has stored what there is.
fn stored(compat: Compat) -> Fixture {
    let mut fixture = Fixture::with(storing(compat));
    assert_eq!(fixture.until(100), ["100 store State"], "the first key is kept");
    fixture.stored(Ok(()));
    fixture
}

impl Fixture {
    /// Tells of the last store.
    fn stored(&mut self, outcome: Result<(), StoreFailed>) -> Vec<String> {
        self.master.0.handle_stored(self.stores.last().unwrap().0, outcome, self.now);
        self.drain()
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::decode(&self.stores.last().unwrap().1).unwrap()
    }

    /// A master that starts from what this one would store now.
    fn again(&self, settings: Config) -> Self {
        let snapshot = Snapshot::decode(&self.master.0.snapshot().encode()).unwrap();
        let mut again = Self::start(settings, Some(snapshot));
        again.ids = self.ids.clone();
        again
    }
}

// §7: storing

#[test]
fn changes_are_stored_together_a_moment_after_the_first() {
    let mut fixture = stored(Compat::V1_14);
    fixture.made();
    fixture.until(150);
    fixture.told("PATCH", "/instances/a", r#"{"alias":"x"}"#);
    assert_eq!(fixture.until(199), NOTHING);
    assert_eq!(fixture.until(200), ["200 store State"]);
    let text = String::from_utf8(fixture.stores[1].1.to_vec()).unwrap();
    assert!(text.contains("\"alias\": \"x\"") && text.ends_with("}\n"), "{text}");
    assert_eq!(fixture.stored(Ok(())), NOTHING);
    assert_eq!(fixture.until(10_000), NOTHING);
}

#[test]
fn a_change_during_a_store_is_stored_after_it() {
    let mut fixture = stored(Compat::V1_14);
    fixture.made();
    fixture.until(200);
    fixture.told("PATCH", "/instances/a", r#"{"alias":"x"}"#);
    assert_eq!(fixture.until(10_000), NOTHING, "one at a time");
    fixture.stored(Ok(()));
    assert_eq!(fixture.until(10_100), ["10100 store State"]);
    fixture.stored(Ok(()));
    assert_eq!(fixture.until(60_000), NOTHING, "all of it is stored");
}

#[test]
fn a_store_that_fails_is_told_of_and_tried_again() {
    let mut fixture = stored(Compat::V1_14);
    fixture.made();
    fixture.until(200);
    assert_eq!(fixture.stored(Err(StoreFailed)), ["State not stored"]);
    assert_eq!(fixture.until(5199), NOTHING);
    assert_eq!(fixture.until(5200), ["5200 store State"]);
    assert_eq!(fixture.stored(Err(StoreFailed)), ["State not stored"]);
    assert_eq!(fixture.until(10_200), ["10200 store State"]);
    fixture.stored(Ok(()));
    assert_eq!(fixture.stored(Err(StoreFailed)), NOTHING, "told of already");
}

#[test]
fn what_the_document_and_the_original_store_is_stored() {
    for compat in LEVELS {
        let mut fixture = stored(compat);
        let mut now = 1000;
        let mut is_stored = |fixture: &mut Fixture| {
            now += 1000;
            let lines = fixture.until(now);
            let is_stored = lines.iter().any(|line| line.ends_with("store State"));
            if is_stored {
                fixture.stored(Ok(()));
            }
            is_stored
        };
        fixture.made();
        assert!(is_stored(&mut fixture), "create");
        fixture.started("a");
        fixture.reports("a", 10);
        fixture.says("a", "x");
        assert!(!is_stored(&mut fixture), "a report is not");
        for body in
            [r#"{"alias":"x"}"#, r#"{"restart":true}"#, r#"{"restart":false}"#, r#"{"action":"reset"}"#]
        {
            fixture.told("PATCH", "/instances/a", body);
            let is_other = compat != Compat::V1_14 || !body.contains("true");
            assert_eq!(is_stored(&mut fixture), is_other, "{body}");
        }
        fixture.put("a", OTHER_URL);
        fixture.exited("a", true);
        assert!(is_stored(&mut fixture), "PUT");
        fixture.started("a");
        fixture.act("a", "stop");
        fixture.exited("a", true);
        assert!(is_stored(&mut fixture), "stop");
        fixture.told("PATCH", "/instances/********", r#"{"action":"restart"}"#);
        assert!(is_stored(&mut fixture), "key");
        fixture.told("PATCH", "/instances/********", r#"{"action":"restart"}"#);
        assert!(is_stored(&mut fixture), "key again");
        fixture.delete("a");
        assert!(is_stored(&mut fixture), "DELETE");
        if compat == Compat::V1_14 {
            fixture.ask("POST", "/info", r#"{"alias":"x"}"#);
            assert!(is_stored(&mut fixture), "the master's alias");
        }
    }
}

#[test]
fn a_backup_is_written_every_hour() {
    for compat in LEVELS {
        let mut fixture = stored(compat);
        assert_eq!(fixture.until(3_600_000), ["3600000 store Backup"]);
        assert_eq!(fixture.snapshot(), fixture.master.0.snapshot());
        assert_eq!(fixture.stored(Err(StoreFailed)), ["Backup not stored"]);
        assert_eq!(fixture.until(7_199_999), NOTHING, "it is not tried again before its time");
        assert_eq!(fixture.until(7_200_000), ["7200000 store Backup"]);
    }
}

#[test]
fn after_a_long_sleep_there_is_one_backup_and_the_next_an_interval_later() {
    let mut fixture = stored(Compat::V1_14);
    fixture.now += Duration::from_secs(10 * 3600);
    fixture.master.0.handle_timeout(fixture.now);
    assert_eq!(fixture.drain(), ["store Backup"]);
    let next = fixture.master.0.poll_timeout().unwrap();
    assert_eq!(next - fixture.now, Duration::from_secs(3600));
}

// §7: starting

#[test]
fn ids_key_aliases_policies_and_counters_survive() {
    for compat in LEVELS {
        let mut fixture = stored(compat);
        fixture.running();
        fixture.reports("a", 1000);
        fixture.told(
            "PATCH",
            "/instances/a",
            r#"{"alias":"x","restart":false,"meta":{"tags":{"k":"v"},"peer":{"sid":"1"}}}"#,
        );
        fixture.stopped();
        fixture.told("PATCH", "/instances/b", r#"{"restart":true}"#);
        fixture.ask("POST", "/info", r#"{"alias":"mine"}"#);
        let list = |fixture: &mut Fixture| {
            fixture.told("GET", "/instances", "");
            fixture.json()
        };
        let mut before = list(&mut fixture);
        let mut again = fixture.again(storing(compat));
        assert_eq!(again.drain(), ["key loaded", "start b"], "{compat:?}");
        assert_eq!(again.key(), fixture.key());
        for object in before.as_array_mut().unwrap() {
            let members = object.as_object_mut().unwrap();
            if members["id"] != KEY_RECORD {
                members.insert("status".to_owned(), "stopped".into());
                for gauge in ["ping", "pool", "tcps", "udps"] {
                    members.insert(gauge.to_owned(), 0.into());
                }
            }
        }
        assert_eq!(list(&mut again), before);
        again.started("b");
        again.reports("b", 7);
        assert_eq!(again.object("b").tcprx, 7);
    }
}

#[test]
fn totals_go_on_after_a_start_of_the_master() {
    let mut fixture = stored(Compat::V1_14);
    fixture.running();
    fixture.reports("a", 1000);
    let mut again = fixture.again(storing(Compat::V1_14));
    again.drain();
    again.reports("a", 7);
    assert_eq!(again.object("a").tcprx, 1007);
}

#[test]
fn instances_in_error_stay_so_before_1_14_and_what_ran_is_stopped() {
    for compat in LEVELS {
        let mut fixture = stored(compat);
        fixture.failed();
        fixture.running();
        fixture.stopped();
        for name in ["a", "b", "c"] {
            fixture.told("PATCH", &format!("/instances/{name}"), r#"{"restart":false}"#);
        }
        let mut again = fixture.again(storing(compat));
        assert_eq!(again.drain(), ["key loaded"]);
        let error = if compat == Compat::V1_14 { "stopped" } else { "error" };
        assert_eq!(["a", "b", "c"].map(|name| again.status(name)), [error, "stopped", "stopped"]);
    }
}

#[test]
fn the_masters_id_is_told_from_its_second_run_on() {
    let mut fixture = stored(Compat::V1_14);
    let mid = |fixture: &mut Fixture| {
        fixture.ask("GET", "/info", "");
        fixture.json()["mid"].as_str().unwrap().to_owned()
    };
    assert_eq!(mid(&mut fixture), "");
    fixture.ask("GET", "/instances/********", "");
    let config = fixture.json()["config"].as_str().unwrap().to_owned();
    assert_eq!(config.len(), 16);
    let mut again = fixture.again(storing(Compat::V1_14));
    assert_eq!(again.drain(), ["key loaded"]);
    assert_eq!(mid(&mut again), config);
    assert_eq!(again.until(1000), NOTHING, "nothing has changed, so nothing is stored");
}

#[test]
fn instances_start_one_after_the_other() {
    let mut fixture = stored(Compat::V1_14);
    for _ in 0..3 {
        fixture.running();
    }
    let mut again = fixture.again(config(Compat::V1_14));
    assert_eq!(again.drain().len(), 2);
    let lines = again.until(1000);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("100 start") && lines[1].starts_with("200 start"), "{lines:?}");
}

#[test]
fn an_instance_that_was_stopped_before_its_turn_is_not_started() {
    let mut fixture = stored(Compat::V1_14);
    for _ in 0..3 {
        fixture.running();
    }
    let mut again = fixture.again(config(Compat::V1_14));
    again.drain();
    let waiting: Vec<_> =
        ["a", "b", "c"].into_iter().filter(|name| !again.runs.contains_key(*name)).collect();
    assert_eq!(again.act(waiting[0], "stop"), [format!("200 {} stopped", waiting[0])]);
    assert_eq!(again.act(waiting[1], "start")[0], format!("start {}", waiting[1]));
    assert_eq!(again.until(1000), NOTHING);
}

#[test]
fn another_level_reads_what_one_has_stored() {
    let mut fixture = stored(Compat::V1_6);
    fixture.running();
    for compat in LEVELS {
        let again = fixture.again(storing(compat));
        assert_eq!((again.key(), again.master.0.instances().count()), (fixture.key(), 1));
        assert_eq!(again.object("a").meta.is_some(), compat == Compat::V1_14);
    }
}

// Snapshots

/// A snapshot with one member changed.
fn changed(change: impl FnOnce(&mut Value)) -> Result<Snapshot, SnapshotError> {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.made();
    fixture.made();
    let mut value: Value = serde_json::from_slice(&fixture.master.0.snapshot().encode()).unwrap();
    change(&mut value);
    Snapshot::decode(&serde_json::to_vec(&value).unwrap())
}

#[test]
fn what_is_no_snapshot_is_refused_without_a_word_of_its_content() {
    assert!(changed(|_| {}).is_ok());
    for (text, offset) in [("", 0), ("{", 1), ("{\"format\":1}", 11), ("[]", 1), ("{\"key\":\"s3cret\"", 15)]
    {
        let refused = Snapshot::decode(text.as_bytes()).unwrap_err();
        assert!(matches!(refused, SnapshotError::Form { offset: at } if at <= offset), "{text}: {refused:?}");
        assert!(!format!("{refused} {refused:?}").contains("s3cret"));
    }
    assert_eq!(changed(|value| value["format"] = 2.into()), Err(SnapshotError::Format(2)));
    let same = changed(|value| value["instances"][1]["id"] = value["instances"][0]["id"].clone());
    assert!(matches!(same, Err(SnapshotError::Id(_))));
    let key = changed(|value| value["instances"][0]["id"] = KEY_RECORD.into());
    assert!(matches!(key, Err(SnapshotError::Id(id)) if id.is_key_record()));
    let bad = changed(|value| value["instances"][0]["traffic"]["tcprx"] = (-1).into());
    assert!(matches!(bad, Err(SnapshotError::Form { .. })));
}

#[test]
fn a_snapshot_whose_every_cut_is_refused() {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.made();
    let bytes = fixture.master.0.snapshot().encode();
    for end in 0..bytes.len() - 2 {
        assert!(Snapshot::decode(&bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn a_master_without_a_key_is_open_to_all() {
    let snapshot = changed(|value| value["key"] = "".into()).unwrap();
    let mut fixture = Fixture::start(config(Compat::V1_14), Some(snapshot));
    fixture.drain();
    let request = http::Request::get("/api/v1/instances").header("x-api-key", "any");
    assert_eq!(fixture.ask_with(request.body(bytes::Bytes::new()).unwrap()), "200 …");
    let request = http::Request::get("/api/v1/instances").body(bytes::Bytes::new()).unwrap();
    assert_eq!(fixture.ask_with(request), "200 …");
}

#[test]
fn a_stored_url_that_is_none_is_kept_and_started_as_it_is() {
    let snapshot = changed(|value| value["instances"][0]["url"] = "::".into()).unwrap();
    let mut fixture = Fixture::start(config(Compat::V1_14), Some(snapshot));
    fixture.drain();
    let lines = fixture.until(1000);
    assert!(lines[0].starts_with("100 start "), "{lines:?}");
    fixture.told("GET", "/instances", "");
    let list = fixture.json();
    assert!(list.as_array().unwrap().iter().any(|object| object["url"] == json!("::")));
}

// §7: the end

#[test]
fn an_idle_master_stores_and_is_closed() {
    for compat in LEVELS {
        let mut fixture = stored(compat);
        fixture.failed();
        fixture.stores.clear();
        fixture.master.0.close(fixture.now);
        assert_eq!(fixture.drain(), ["store State"]);
        assert_eq!(fixture.master.0.state(), State::Closing);
        assert!(!fixture.master.0.is_closed());
        assert_eq!(fixture.stored(Ok(())), ["closed"]);
        assert_eq!(fixture.master.0.state(), State::Closed);
        assert!(fixture.master.0.is_closed());
    }
}

#[test]
fn the_end_tells_readers_stops_processes_stores_and_closes_in_this_order() {
    for compat in LATER {
        let mut fixture = stored(compat);
        fixture.stream();
        fixture.running();
        fixture.running();
        fixture.written("s1", 9);
        fixture.master.0.close(fixture.now);
        let mut lines = fixture.drain();
        lines[3..].sort();
        assert_eq!(lines, ["s1: shutdown", "s1: end", "s1 ended", "stop a", "stop b"]);
        assert_eq!(fixture.exited("a", true), ["a is stopped"]);
        assert_eq!(fixture.exited("b", false), ["b is stopped", "store State"]);
        assert_eq!(fixture.snapshot(), fixture.master.0.snapshot());
        assert_eq!(fixture.stored(Ok(())), ["closed"]);
    }
}

#[test]
fn a_closing_master_refuses_and_answers_whoever_waits() {
    let mut fixture = stored(Compat::V1_14);
    fixture.running();
    fixture.delete("a");
    fixture.told("GET", "/info", "");
    fixture.told("GET", "/tcping?target=h:1", "");
    fixture.master.0.close(fixture.now);
    assert_eq!(fixture.drain(), NOTHING, "the process stops already");
    for (method, path) in
        [("GET", "/instances"), ("OPTIONS", "/docs"), ("GET", "/events"), ("GET", "/nowhere")]
    {
        assert_eq!(fixture.told(method, path, ""), ["503 Service unavailable"]);
    }
    let removal = ["a is stopped", "503 Service unavailable", "store State"];
    assert_eq!(fixture.exited("a", true), removal);
    let rest = ["503 Service unavailable", "503 Service unavailable", "closed"];
    assert_eq!(fixture.stored(Ok(())), rest);
}

#[test]
fn processes_that_do_not_end_are_killed_and_left_behind_in_time() {
    let mut settings = storing(Compat::V1_14);
    settings.stop_timeout = Duration::from_secs(3);
    let mut fixture = Fixture::with(settings);
    fixture.running();
    fixture.running();
    fixture.act("b", "stop");
    fixture.until(1000);
    fixture.stored(Ok(()));
    fixture.master.0.close(fixture.now);
    assert_eq!(fixture.drain(), ["stop a"]);
    assert_eq!(fixture.until(5999), ["3000 kill b", "4000 kill a"]);
    let end = ["6000 b is stuck", "6000 b is stopped", "6000 store State"];
    assert_eq!(fixture.until(10_999), end, "nobody is killed twice");
    assert_eq!(fixture.until(11_000), ["11000 closed"], "nor is a store waited for without end");
}

#[test]
fn a_process_that_was_only_asked_is_killed_when_time_is_up() {
    let mut settings = config(Compat::V1_14);
    settings.stop_timeout = NEVER;
    let mut fixture = Fixture::with(settings);
    fixture.running();
    fixture.master.0.close(fixture.now);
    fixture.drain();
    assert_eq!(fixture.until(5000), ["5000 kill a", "5000 store State"]);
    assert_eq!(fixture.exited("a", false), NOTHING);
    assert_eq!(fixture.stored(Err(StoreFailed)), ["State not stored", "closed"]);
}

#[test]
fn a_store_under_way_is_waited_for_before_the_last_one() {
    let mut fixture = stored(Compat::V1_14);
    fixture.made();
    fixture.start_failed("a");
    fixture.until(200);
    fixture.master.0.close(fixture.now);
    assert_eq!(fixture.drain(), NOTHING);
    assert_eq!(fixture.stored(Ok(())), ["store State"]);
    assert_eq!(fixture.stored(Ok(())), ["closed"]);
}

#[test]
fn restarts_and_starts_to_come_are_dropped_at_the_end() {
    let mut fixture = stored(Compat::V1_14);
    for _ in 0..3 {
        fixture.running();
    }
    let mut again = fixture.again(config(Compat::V1_14));
    again.drain();
    let first = again.runs.keys().next().unwrap().clone();
    again.act(&first, "restart");
    again.exited(&first, true);
    again.master.0.close(again.now);
    assert_eq!(again.drain(), ["store State"]);
    assert_eq!(again.until(4000), NOTHING);
}

#[test]
fn nothing_follows_the_end() {
    for compat in LEVELS {
        let mut fixture = stored(compat);
        fixture.running();
        fixture.stream();
        fixture.told("GET", "/info", "");
        fixture.told("GET", "/tcping?target=h:1", "");
        fixture.now += Duration::from_millis(200);
        let now = fixture.now;
        fixture.master.0.handle_timeout(now);
        fixture.master.0.close(now);
        fixture.carry_out();
        let now = now + Duration::from_millis(100);
        fixture.master.0.handle_timeout(now);
        fixture.carry_out();
        assert!(fixture.master.0.is_closed(), "{compat:?}");
        let request = fixture.request("GET", "/instances", "");
        let (run, stream) = (fixture.runs["a"], fixture.streams[0]);
        let (dial, system, store) = (fixture.dials[0], fixture.systems[0], fixture.stores[0].0);
        let mut master = fixture.master;
        check_closed(&mut master, now);
        check_closed_ignores(&mut master, |master| _ = master.0.handle_request(request, now));
        check_closed_ignores(&mut master, |master| master.0.handle_cancel(stream, now));
        check_closed_ignores(&mut master, |master| master.0.handle_written(stream, now));
        check_closed_ignores(&mut master, |master| master.0.handle_started(run, Ok(()), now));
        check_closed_ignores(&mut master, |master| master.0.handle_line(run, "x", now));
        check_closed_ignores(&mut master, |master| master.0.handle_exited(run, true, now));
        check_closed_ignores(&mut master, |master| master.0.handle_dialed(dial, Err("x"), now));
        check_closed_ignores(&mut master, |master| master.0.handle_system(system, Default::default(), now));
        check_closed_ignores(&mut master, |master| master.0.handle_stored(store, Err(StoreFailed), now));
        check_closed_ignores(&mut master, |master| master.0.close(now));
    }
}

#[test]
fn a_dial_that_ends_after_the_end_begins_no_other() {
    let mut settings = config(Compat::V1_14);
    settings.max_dials = 1;
    let mut fixture = Fixture::with(settings);
    fixture.told("GET", "/tcping?target=h:1", "");
    fixture.told("GET", "/tcping?target=h:2", "");
    fixture.told("GET", "/info", "");
    fixture.master.0.close(fixture.now);
    fixture.drain();
    assert_eq!(fixture.stored(Ok(())).last().unwrap(), "closed");
    fixture.master.0.handle_dialed(fixture.dials[0], Err("x"), fixture.now);
    fixture.master.0.handle_system(fixture.systems[0], Default::default(), fixture.now);
    assert_eq!(fixture.drain(), NOTHING);
}

#[test]
fn the_end_comes_once_and_last() {
    let mut fixture = stored(Compat::V1_14);
    fixture.running();
    fixture.master.0.close(fixture.now);
    fixture.master.0.close(fixture.now);
    let mut lines = fixture.drain();
    lines.extend(fixture.exited("a", true));
    lines.extend(fixture.stored(Ok(())));
    lines.extend(fixture.stored(Ok(())));
    assert_eq!(lines, ["stop a", "a is stopped", "store State", "closed"]);
    assert!(fixture.master.0.poll_timeout().is_none());
    assert!(!matches!(fixture.master.0.poll_output(), Some(Output::Event(_))));
}

#[test]
fn a_store_under_way_at_the_end_is_waited_for_so_that_the_last_one_is_the_newest() {
    let mut settings = config(Compat::V1_14);
    settings.shutdown_timeout = Duration::from_secs(5);
    settings.store_delay = Duration::from_millis(100);
    let mut fixture = Fixture::with(settings);
    fixture.running();
    fixture.until(1_000);
    assert_eq!(fixture.stores.len(), 1, "it is being written");
    fixture.master.0.close(fixture.now);
    assert_eq!(fixture.drain(), ["stop a"]);
    let late = fixture.until(7_000);
    assert!(late.iter().any(|line| line.ends_with("kill a")) && fixture.stores.len() == 1, "{late:?}");
    assert_eq!(fixture.stored(Ok(())), ["store State"]);
    assert_eq!(fixture.stored(Ok(())), ["closed"]);
}
