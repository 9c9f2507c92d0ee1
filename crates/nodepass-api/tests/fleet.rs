//! The view of a master's instances: events, lists and answers in any order.

use nodepass_api::fleet::{
    Change, Changed, Config, Fleet, History, InstanceRecord, LogQuery, LogRing, Member, Merge, Moment, Rates,
    Sample,
};
use nodepass_api::stream::{EventReader, Item};
use nodepass_api::wire::{
    EventKind, EventTime, Instance, InstanceEvent, InstanceId, Level, Meta, Peer, Status,
};
use nodepass_api::{Instant, Release};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;

#[test]
fn recorded_streams_lead_to_the_recorded_state() {
    let streams = [
        include_str!("captures/sse_v1.6.0_lifecycle.body.txt"),
        include_str!("captures/sse_v1.6.0_traffic.body.txt"),
        include_str!("captures/sse_v1.14.0_lifecycle.body.txt"),
        include_str!("captures/sse_core_v2.0.0-b10_traffic.body.txt"),
    ];
    for stream in streams {
        let mut view = View::new();
        let mut events = Vec::new();
        EventReader::new(1 << 20).read(stream.as_bytes(), |item| match item {
            Item::Event(event) => events.push(event),
            item => assert!(matches!(item, Item::Retry(_))),
        });
        let deleted: Vec<_> =
            events.iter().filter(|event| event.kind == EventKind::Delete).map(id_of).collect();
        for event in &events {
            view.event(event.clone());
        }
        // The last frame of each instance is its state.
        let mut seen = 0;
        for event in events.iter().rev().filter(|event| event.instance.is_some()) {
            let instance = event.instance.as_ref().unwrap();
            if deleted.contains(&instance.id) {
                assert!(view.fleet.get(instance.id.as_str()).is_none());
            } else if instance.id.is_key_record() {
                assert_eq!(view.fleet.key_record(), Some(instance));
            } else if let Some(last) = events
                .iter()
                .rev()
                .find(|event| event.instance.as_ref().is_some_and(|other| other.id == instance.id))
            {
                seen += 1;
                assert_eq!(Some(view.instance(instance.id.as_str())), last.instance.as_ref());
            }
        }
        assert!(seen > 0);
        let lines = events.iter().filter(|event| event.kind == EventKind::Log);
        let logged = view.changes.iter().filter(|change| matches!(change, Change::Logged { .. })).count();
        assert_eq!(logged, lines.count());
        assert!(
            view.fleet.iter().all(|member| member.log().iter().all(|entry| !entry.text.contains('\u{1b}')))
        );
        assert_eq!(view.changes.iter().filter(|change| **change == Change::Shutdown).count(), 1);
    }
}

#[test]
fn initial_create_and_update_all_add_or_replace() {
    for kind in [EventKind::Initial, EventKind::Create, EventKind::Update, "new".into()] {
        let mut view = View::new();
        view.event(event(kind.clone(), running("a", 5)));
        assert_eq!(view.take(), [Change::Added("a".into())]);
        view.event(event(kind, Instance { alias: Some("n".into()), ..running("a", 5) }));
        let what = changed(|what| what.alias = true);
        assert_eq!(view.take(), [Change::Updated { id: "a".into(), what }]);
        assert_eq!(view.instance("a").alias(), Some("n"));
    }
}

#[test]
fn an_update_before_its_create_is_no_trouble() {
    let mut view = View::new();
    view.event(event(EventKind::Update, running("a", 0)));
    view.event(event(EventKind::Create, running("a", 0)));
    assert_eq!(view.take(), [Change::Added("a".into())]);
}

#[test]
fn an_event_that_changes_nothing_is_silent() {
    let mut view = View::new();
    view.event(event(EventKind::Update, running("a", 0)));
    view.take();
    view.event(event(EventKind::Update, running("a", 0)));
    assert_eq!(view.take(), []);
}

#[test]
fn changes_tell_what_has_changed() {
    let old = running("a", 5);
    type Case = (Instance, fn(&mut Changed));
    let cases: [Case; 8] = [
        (Instance { status: Status::Stopped, ..old.clone() }, |what| what.status = true),
        (Instance { url: "client://h:1/t:2".into(), ..old.clone() }, |what| what.url = true),
        (Instance { alias: Some("n".into()), ..old.clone() }, |what| what.alias = true),
        (Instance { restart: Some(true), ..old.clone() }, |what| what.restart = true),
        (Instance { meta: Some(Meta::default()), ..old.clone() }, |what| what.meta = true),
        (Instance { ping: Some(3), ..old.clone() }, |what| what.figures = true),
        (Instance { udptx: 6, ..old.clone() }, |what| what.traffic = true),
        (Instance { config: Some("c".into()), ..old.clone() }, |what| what.other = true),
    ];
    for (new, what) in cases {
        assert_eq!(Changed::between(&old, &new), changed(what));
    }
    assert!(!Changed::between(&old, &old).any());
}

#[test]
fn late_frames_do_not_bring_back_what_was_deleted() {
    let mut view = View::new();
    view.event(event(EventKind::Initial, running("a", 0)));
    view.event(event(EventKind::Delete, running("a", 0)));
    view.take();
    view.event(event(EventKind::Update, running("a", 0)));
    view.event(log("a", "late"));
    assert_eq!(view.take(), []);
    assert!(view.fleet.is_empty());
    view.event(event(EventKind::Create, running("a", 0)));
    assert_eq!(view.take(), [Change::Added("a".into())]);
    view.event(log("a", "in time"));
    assert_eq!(view.fleet.get("a").unwrap().log().len(), 1);
}

#[test]
fn a_new_stream_may_bring_back_what_the_old_one_deleted() {
    let mut view = View::new();
    view.event(event(EventKind::Delete, running("a", 0)));
    view.fleet.begin_stream();
    view.event(event(EventKind::Update, running("a", 0)));
    assert_eq!(view.take(), [Change::Added("a".into())]);
}

#[test]
fn what_a_list_has_removed_is_deleted_too() {
    let mut view = View::new();
    view.event(event(EventKind::Initial, running("a", 0)));
    view.list([]);
    view.event(event(EventKind::Update, running("a", 0)));
    assert!(view.fleet.is_empty());
    view.list([running("a", 0)]);
    view.event(event(EventKind::Update, running("a", 7)));
    assert_eq!(view.instance("a").tcprx, 7);
}

#[test]
fn after_a_reconnect_instances_are_unconfirmed_until_they_are_told_of() {
    let mut view = View::new();
    view.list([running("a", 0), running("b", 0), running("c", 0)]);
    assert!(view.fleet.is_confirmed() && view.fleet.iter().all(|member| member.is_confirmed()));
    view.fleet.begin_stream();
    assert!(!view.fleet.is_confirmed() && !view.fleet.iter().any(|member| member.is_confirmed()));
    view.take();
    view.event(event(EventKind::Initial, running("b", 0)));
    assert!(view.fleet.get("b").unwrap().is_confirmed() && !view.fleet.get("a").unwrap().is_confirmed());
    assert!(view.list([running("a", 0), running("b", 0)]).settled);
    assert!(view.fleet.is_confirmed() && view.fleet.iter().all(|member| member.is_confirmed()));
    assert_eq!(view.take(), [Change::Removed("c".into())]);
    view.fleet.doubt();
    assert!(!view.fleet.is_confirmed());
}

#[test]
fn a_list_repairs_what_was_lost() {
    let mut view = View::new();
    view.list([running("a", 0), running("b", 0), running("c", 0)]);
    view.take();
    let merge = view.list([stopped("b", 0), running("c", 0), running("d", 0)]);
    assert!(merge.settled);
    let what = changed(|what| what.status = true);
    let id = InstanceId::from("b");
    let rates = Change::Rates { id: id.clone(), rates: Rates::default() };
    let expected =
        [Change::Updated { id, what }, rates, Change::Added("d".into()), Change::Removed("a".into())];
    assert_eq!(view.take(), expected);
}

#[test]
fn a_list_does_not_undo_what_was_told_since_it_was_asked_for() {
    let mut view = View::new();
    let before = [running("changed", 0), running("deleted", 0), running("lost", 0)];
    view.list(before.clone());
    let ticket = view.fleet.begin_request();
    view.event(event(EventKind::Update, stopped("changed", 0)));
    view.event(event(EventKind::Delete, running("deleted", 0)));
    view.event(event(EventKind::Create, running("made", 0)));
    view.take();
    let merge = view.fleet.apply_list(ticket, before[..2].to_vec(), view.at, &mut view.changes);
    assert!(!merge.settled && !view.fleet.is_confirmed());
    assert_eq!(view.ids(), ["changed", "made"]);
    assert_eq!(view.instance("changed").status, Status::Stopped);
    assert_eq!(view.take(), [Change::Removed("lost".into())]);
    assert!(view.list([stopped("changed", 0), running("made", 0)]).settled);
}

#[test]
fn each_contradiction_alone_unsettles_a_list() {
    let events: [(InstanceEvent, bool); 5] = [
        (event(EventKind::Update, running("a", 9)), true),
        (event(EventKind::Update, stopped("a", 0)), false),
        (event(EventKind::Delete, running("a", 0)), false),
        (event(EventKind::Create, running("b", 0)), false),
        (event(EventKind::Update, key_record("k2")), false),
    ];
    for (event, settled) in events {
        let mut view = View::new();
        view.list([running("a", 0), key_record("k1")]);
        let ticket = view.fleet.begin_request();
        view.event(event.clone());
        let list = vec![running("a", 0), key_record("k1")];
        let merge = view.fleet.apply_list(ticket, list, view.at, &mut view.changes);
        assert_eq!(merge.settled, settled, "{event:?}");
    }
}

#[test]
fn figures_that_were_told_since_a_list_was_asked_for_stand() {
    let mut view = View::new();
    view.list([running("a", 0)]);
    let ticket = view.fleet.begin_request();
    view.event(event(EventKind::Update, running("a", 9)));
    view.fleet.apply_list(ticket, vec![running("a", 5)], view.at, &mut view.changes);
    assert_eq!(view.instance("a").tcprx, 9);
}

#[test]
fn a_list_from_before_the_stream_settles_nothing() {
    let mut view = View::new();
    let ticket = view.fleet.begin_request();
    view.fleet.begin_stream();
    let merge = view.fleet.apply_list(ticket, vec![running("a", 0)], view.at, &mut view.changes);
    assert!(!merge.settled && view.ids() == ["a"]);
}

#[test]
fn of_two_lists_the_one_that_was_asked_for_later_wins() {
    let mut view = View::new();
    let (earlier, later) = (view.fleet.begin_request(), view.fleet.begin_request());
    view.fleet.apply_list(later, vec![stopped("a", 0)], view.at, &mut view.changes);
    let old = vec![running("a", 0), running("b", 0)];
    assert!(!view.fleet.apply_list(earlier, old, view.at, &mut view.changes).settled);
    assert_eq!(view.instance("a").status, Status::Stopped);
}

#[test]
fn a_list_from_before_more_deletions_than_are_remembered_settles_nothing() {
    let mut view = View::new();
    let ticket = view.fleet.begin_request();
    for index in 0..5_000 {
        view.fleet.apply_deleted(&format!("{index:08}").as_str().into(), &mut view.changes);
    }
    let list = vec![running("00000000", 0), running("00004999", 0)];
    assert!(!view.fleet.apply_list(ticket, list, view.at, &mut view.changes).settled);
    assert_eq!(view.ids(), ["00000000"]);
    assert!(view.list([]).settled && view.fleet.is_empty());
}

#[test]
fn an_answer_about_one_instance_is_merged_like_a_list_of_one() {
    let mut view = View::new();
    let ticket = view.fleet.begin_request();
    assert!(view.fleet.apply_instance(ticket, stopped("a", 0), view.at, &mut view.changes).settled);
    assert_eq!(view.ids(), ["a"]);
    // The event overtakes the answer, which is as it was before the start.
    let ticket = view.fleet.begin_request();
    view.event(event(EventKind::Update, running("a", 0)));
    assert!(!view.fleet.apply_instance(ticket, stopped("a", 0), view.at, &mut view.changes).settled);
    assert_eq!(view.instance("a").status, Status::Running);
    // Others stay, and what was deleted meanwhile stays away.
    let ticket = view.fleet.begin_request();
    view.fleet.apply_deleted(&"a".into(), &mut view.changes);
    view.event(event(EventKind::Create, running("b", 0)));
    assert!(!view.fleet.apply_instance(ticket, running("a", 0), view.at, &mut view.changes).settled);
    assert_eq!(view.ids(), ["b"]);
}

#[test]
fn the_key_record_is_no_member() {
    let mut view = View::new();
    view.event(event(EventKind::Initial, key_record("k1")));
    assert_eq!(view.take(), [Change::KeyRecord]);
    view.list([key_record("k1"), running("a", 0)]);
    assert_eq!(view.take(), [Change::Added("a".into())]);
    view.event(event(EventKind::Update, key_record("k2")));
    assert_eq!(view.take(), [Change::KeyRecord]);
    assert_eq!(view.fleet.key_record().unwrap().api_key().unwrap().expose(), "k2");
    view.event(event(EventKind::Delete, key_record("k2")));
    assert!(
        view.fleet.get("********").is_none() && view.fleet.len() == 1 && view.fleet.key_record().is_some()
    );
    view.list([running("a", 0)]);
    assert_eq!(view.take(), [Change::KeyRecord]);
    assert_eq!(view.fleet.key_record(), None);
}

#[test]
fn reachability_is_told_when_it_changes() {
    let mut view = View::new();
    for (is_reachable, expected) in
        [(false, None), (true, Some(Change::Reachable)), (true, None), (false, Some(Change::Unreachable))]
    {
        view.fleet.set_reachable(is_reachable, &mut view.changes);
        assert_eq!(view.take(), Vec::from_iter(expected));
        assert_eq!(view.fleet.is_reachable(), is_reachable);
    }
}

#[test]
fn rates_are_differences_over_time() {
    let mut view = View::new();
    view.event(event(EventKind::Initial, running("a", 5_000)));
    view.wait(2_000);
    view.event(event(EventKind::Update, Instance { udptx: 300, ..running("a", 6_000) }));
    assert_eq!(view.rates("a"), Rates { tcprx: 500.0, udptx: 150.0, ..Rates::default() });
    assert_eq!(view.samples("a"), [(2_000, 500.0)]);
    assert!(matches!(view.take()[..], [.., Change::Updated { .. }, Change::Rates { .. }]));
}

#[test]
fn frames_within_the_interval_wait_for_the_next_sample() {
    let mut view = View::new();
    view.event(event(EventKind::Initial, running("a", 0)));
    for (wait, total) in [(0, 1_000), (999, 2_000), (1, 3_000), (0, 4_000), (500, 5_000), (1_500, 6_000)] {
        view.wait(wait);
        view.event(event(EventKind::Update, running("a", total)));
    }
    assert_eq!(view.samples("a"), [(1_000, 3_000.0), (3_000, 1_500.0)]);
}

#[test]
fn frames_that_repeat_old_counters_leave_the_rate_as_it_is() {
    let mut view = View::new();
    for second in 0..=30 {
        let told = running("a", second / 5 * 5_000);
        if second % 5 == 0 {
            view.event(event(EventKind::Update, told.clone()));
        }
        view.event(InstanceEvent { instance: Some(told.clone()), ..log("a", "a line") });
        match second % 10 {
            7 => drop(view.list([told])),
            9 => view.event(event(EventKind::Update, Instance { alias: Some("x".into()), ..told })),
            _ => {}
        }
        view.wait(1_000);
    }
    let expected = (1..=6).map(|report| (report * 5_000, 1_000.0));
    assert_eq!(view.samples("a"), Vec::from_iter(expected));
}

#[test]
fn a_report_that_first_shows_in_a_log_frame_is_counted_with_the_next_that_is_none() {
    let mut view = View::new();
    view.event(event(EventKind::Update, running("a", 0)));
    view.wait(5_000);
    view.event(InstanceEvent { instance: Some(running("a", 5_000)), ..log("a", "a line") });
    view.wait(5_000);
    view.event(event(EventKind::Update, running("a", 10_000)));
    assert_eq!(view.samples("a"), [(10_000, 1_000.0)]);
    // That the process has failed shows in a log frame alone (§7).
    view.event(InstanceEvent { instance: Some(stopped("a", 10_000)), ..log("a", "Server error: x") });
    assert_eq!(view.samples("a")[1..], [(10_000, 0.0)]);
}

#[test]
fn counters_that_stand_still_are_a_rate_of_zero_only_after_the_silence() {
    let mut view = View::new();
    view.totals("a", &[0, 1_000]);
    for _ in 0..6 {
        view.wait(5_000);
        view.list([running("a", 1_000)]);
    }
    assert_eq!(view.samples("a"), [(1_000, 1_000.0), (16_000, 0.0), (31_000, 0.0)]);
    view.wait(5_000);
    view.list([running("a", 11_000)]);
    assert_eq!(view.samples("a")[3..], [(36_000, 2_000.0)]);
}

#[test]
fn a_reset_between_two_reports_does_not_cut_the_time() {
    let mut view = View::new();
    view.fleet.set_release(Some(Release::V1_14_0));
    view.event(event(EventKind::Update, running("a", 5_000)));
    view.wait(3_000);
    view.event(event(EventKind::Update, running("a", 0)));
    view.wait(2_000);
    view.event(event(EventKind::Update, running("a", 5_000)));
    assert_eq!(view.samples("a"), [(5_000, 1_000.0)]);
}

#[test]
fn no_moment_gives_infinite_rates_whatever_the_interval() {
    let mut config = Config::default();
    (config.rate_interval, config.rate_silence) = (Duration::ZERO, Duration::ZERO);
    let mut view = View::with(config);
    for total in [0, u64::MAX, 0, u64::MAX] {
        view.event(event(EventKind::Update, running("a", total)));
    }
    assert_eq!(view.samples("a"), []);
    view.at.now += Duration::from_nanos(1);
    view.event(event(EventKind::Update, running("a", u64::MAX)));
    let rates = view.rates("a");
    assert!(rates.tcprx.is_finite() && rates.tcprx > 0.0);
    // A clock that goes back counts as one that stands.
    view.at.now -= Duration::from_nanos(1);
    view.event(event(EventKind::Update, running("a", 5)));
    assert_eq!(view.samples("a").len(), 1);
}

#[test]
fn a_counter_that_falls_starts_anew() {
    let mut view = View::new();
    view.fleet.set_release(Some(Release::V1_14_0));
    view.totals("a", &[5_000, 0, 700, 9_700]);
    assert_eq!(view.samples("a"), [(2_000, 350.0), (3_000, 9_000.0)]);
    // After a crash the master has an older total; what was counted since is not counted twice.
    let mut view = View::new();
    view.totals("a", &[5_000, 4_000, 4_100, 4_300, 6_300]);
    assert_eq!(view.samples("a"), [(2_000, 50.0), (3_000, 200.0), (4_000, 2_000.0)]);
}

#[test]
fn a_reset_that_does_not_hold_is_no_burst() {
    for (release, expected) in [
        (Some(Release::V1_6_0), [200.0 / 3.0, 100.0]),
        (None, [200.0 / 3.0, 100.0]),
        (Some(Release::V1_10_0), [400.0, 100.0]),
    ] {
        let mut view = View::new();
        view.fleet.set_release(release);
        view.totals("a", &[1_000, 0, 0, 1_200, 1_300]);
        let rates: Vec<_> = view.samples("a").into_iter().map(|(_, rate)| rate).collect();
        assert_eq!(rates, expected, "{release:?}");
    }
    // The first move after the fall decides: a process that began anew counts from zero.
    let mut view = View::new();
    view.totals("a", &[1_000, 0, 10, 1_500]);
    assert_eq!(view.samples("a"), [(2_000, 5.0), (3_000, 1_490.0)]);
}

#[test]
fn an_instance_that_stops_has_rates_of_zero_and_says_so_once() {
    let mut view = View::new();
    view.totals("a", &[0, 1_000]);
    view.wait(10);
    view.event(event(EventKind::Update, stopped("a", 1_500)));
    assert_eq!(view.rates("a"), Rates::default());
    view.wait(5_000);
    view.event(event(EventKind::Update, stopped("a", 1_500)));
    assert_eq!(view.samples("a"), [(1_000, 1_000.0), (1_010, 0.0)]);
    // The next run begins where this one ended.
    view.event(event(EventKind::Update, running("a", 1_500)));
    view.wait(1_000);
    view.event(event(EventKind::Update, running("a", 1_600)));
    assert_eq!(view.samples("a")[2..], [(7_010, 100.0)]);
}

#[test]
fn an_instance_that_never_ran_has_no_samples() {
    let mut view = View::new();
    for _ in 0..3 {
        view.event(event(EventKind::Update, stopped("a", 7)));
        view.wait(5_000);
    }
    assert_eq!(view.samples("a"), []);
}

#[test]
fn a_gap_gives_the_average_over_the_gap() {
    let mut view = View::new();
    view.totals("a", &[0, 1_000]);
    view.fleet.begin_stream();
    view.wait(9_000);
    view.event(event(EventKind::Initial, running("a", 5_500)));
    assert_eq!(view.samples("a")[1..], [(10_000, 500.0)]);
}

#[test]
fn polling_gives_the_same_rates() {
    let mut view = View::new();
    view.list([running("a", 0)]);
    view.wait(5_000);
    view.list([running("a", 10_000)]);
    assert_eq!(view.rates("a").tcprx, 2_000.0);
}

#[test]
fn history_is_a_ring_that_goes_out_and_in() {
    let mut config = Config::default();
    config.history_samples = 5;
    let mut view = View::with(config.clone());
    view.totals("a", &[0, 1, 3, 6, 10, 15, 21, 28]);
    assert_eq!(view.samples("a").len(), 5);
    let json = serde_json::to_string(view.fleet.get("a").unwrap().history()).unwrap();
    assert!(
        json.starts_with(r#"[{"unix_milliseconds":3000,"tcprx":3.0,"tcptx":0.0,"udprx":0.0,"udptx":0.0},"#)
    );

    let kept: History = serde_json::from_str(&json).unwrap();
    let mut next = View::with(config);
    assert!(!next.fleet.import_history("a", &kept));
    next.wait(6_000);
    next.totals("a", &[40, 80]);
    assert!(next.fleet.import_history("a", &kept));
    // Newer ones stay, and what is not older than these is not taken.
    assert_eq!(next.samples("a"), [(3_000, 3.0), (4_000, 4.0), (5_000, 5.0), (6_000, 6.0), (7_000, 40.0)]);
    assert!(next.fleet.import_history("a", &kept));
    assert_eq!(next.samples("a").len(), 5);
}

#[test]
fn imported_rates_are_cleaned() {
    let mut view = View::new();
    view.list([running("a", 0)]);
    let kept: History =
        serde_json::from_str(r#"[{"unix_milliseconds":1,"tcprx":-1,"tcptx":2.5,"udprx":0,"udptx":0}]"#)
            .unwrap();
    view.fleet.import_history("a", &kept);
    let sample = Sample { unix_milliseconds: 1, tcptx: 2.5, ..Sample::default() };
    assert_eq!(view.fleet.get("a").unwrap().history().iter().collect::<Vec<_>>(), [&sample]);
}

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

#[test]
fn instances_are_found_by_their_names_of_now() {
    let named = |id: &str, alias: &str| Instance { alias: Some(alias.into()), ..running(id, 0) };
    let mut view = View::new();
    let found = |view: &View, alias: &str| -> Vec<_> {
        view.fleet.find_by_alias(alias).map(|member| member.id().to_string()).collect()
    };
    view.list([named("b", "x"), named("a", "x"), named("c", "y"), named("d", "")]);
    assert_eq!((found(&view, "x"), found(&view, "y")), (vec!["a".into(), "b".into()], vec!["c".into()]));
    assert_eq!(found(&view, ""), [""; 0]);
    view.event(event(EventKind::Update, named("a", "y")));
    view.event(event(EventKind::Delete, named("b", "z")));
    assert_eq!((found(&view, "x"), found(&view, "y")), (vec![], vec!["a".into(), "c".into()]));
}

#[test]
fn services_group_what_belongs_together() {
    let of = |id: &str, sid: &str| {
        let peer = Peer { sid: Some(sid.into()), ..Peer::default() };
        Instance { meta: Some(Meta { peer: Some(peer), ..Meta::default() }), ..running(id, 0) }
    };
    let mut view = View::new();
    view.list([of("a", "s1"), of("b", "s2"), of("c", "s1"), of("d", ""), running("e", 0)]);
    let services = view.fleet.services();
    let ids = |sid: &str| services[sid].iter().map(|member| member.id().to_string()).collect::<Vec<_>>();
    assert_eq!((services.len(), ids("s1"), ids("s2")), (2, vec!["a".into(), "c".into()], vec!["b".into()]));
}

#[test]
fn instances_can_be_made_again_from_records() {
    let mut view = View::new();
    let instance = Instance { alias: Some("n".into()), restart: Some(true), ..running("a", 0) };
    view.list([instance, running("b", 0), key_record("k")]);
    let json = serde_json::to_string(&view.fleet.records().collect::<Vec<_>>()).unwrap();
    let records: Vec<InstanceRecord> = serde_json::from_str(&json).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!((&*records[0].create().url, records[0].create().alias.as_deref()), (URL, Some("n")));
    let patch = records[0].patch().unwrap();
    assert_eq!((patch.alias.as_deref(), patch.restart, patch.action), (Some("n"), Some(true), None));
    assert_eq!(records[1].patch(), None);
}

#[test]
fn beyond_the_limit_instances_are_left_out_and_that_is_told_once() {
    let mut config = Config::default();
    config.max_instances = 2;
    let mut view = View::with(config);
    for id in ["a", "b", "c", "d"] {
        view.event(event(EventKind::Create, running(id, 0)));
    }
    view.event(event(EventKind::Update, stopped("b", 0)));
    assert_eq!(view.ids(), ["a", "b"]);
    assert_eq!(view.take().iter().filter(|change| **change == Change::Full).count(), 1);
    view.event(event(EventKind::Delete, running("a", 0)));
    view.event(event(EventKind::Create, running("c", 0)));
    view.event(event(EventKind::Create, running("d", 0)));
    assert_eq!(view.take(), [Change::Removed("a".into()), Change::Added("c".into()), Change::Full]);
}

#[test]
fn a_hostile_stream_stays_within_the_bytes() {
    let mut config = Config::default();
    config.max_bytes = 100_000;
    let mut view = View::with(config);
    let mut most = 0;
    for round in 0..2_000u32 {
        let id = format!("{:08x}", round % 300);
        let long = "x".repeat(round as usize % 3_000);
        let instance =
            Instance { url: long.as_str().into(), alias: Some(long.as_str().into()), ..running(&id, 0) };
        view.event(InstanceEvent { logs: Some(long.into()), ..event(EventKind::Log, instance) });
        view.event(event(EventKind::Delete, running(&format!("{round}{}", "y".repeat(100)), 0)));
        view.wait(1_000);
        most = most.max(view.fleet.bytes());
    }
    assert!((90_000..110_000).contains(&most), "{most}");
    assert!(view.changes.contains(&Change::Full));
    view.list([]);
    assert_eq!(view.fleet.bytes(), 0);
    view.event(event(EventKind::Create, running(&"z".repeat(65), 0)));
    assert!(view.fleet.is_empty());
}

proptest! {
    #[test]
    fn whatever_was_told_a_list_makes_it_right(told in prop::collection::vec(inputs(), 0..40), list in lists()) {
        let mut view = View::new();
        for input in told {
            view.apply(input);
        }
        let merge = view.list(list.clone());
        prop_assert!(merge.settled && view.fleet.is_confirmed());
        let mut expected = list;
        expected.sort_by(|one, other| one.id.cmp(&other.id));
        prop_assert_eq!(view.fleet.iter().map(|member| member.instance().clone()).collect::<Vec<_>>(), expected);
        view.check();
    }

    #[test]
    fn what_was_told_after_the_ticket_stands(
        before in prop::collection::vec(inputs(), 0..20),
        after in prop::collection::vec(inputs(), 1..20),
        list in lists(),
    ) {
        let mut view = View::new();
        for input in before {
            view.apply(input);
        }
        let ticket = view.fleet.begin_request();
        let mut expected: Vec<(InstanceId, Option<Instance>)> = Vec::new();
        for input in after {
            let Input::Event(event) = input else { continue };
            let (id, kind) = (id_of(&event), event.kind.clone());
            view.event(event);
            if kind == EventKind::Shutdown {
                continue;
            }
            expected.retain(|(other, _)| *other != id);
            expected.push((id.clone(), view.fleet.get(id.as_str()).map(|member| member.instance().clone())));
        }
        view.fleet.apply_list(ticket, list.clone(), view.at, &mut view.changes);
        for (id, instance) in &expected {
            let known = view.fleet.get(id.as_str()).map(|member| member.instance());
            // A late frame about what was gone before the ticket tells nothing, and the list may know better.
            if known != instance.as_ref() {
                prop_assert!(instance.is_none() && list.iter().any(|listed| Some(listed) == known));
            }
        }
        // A second list settles it.
        prop_assert!(view.list(list.clone()).settled);
        prop_assert_eq!(view.fleet.len(), list.len());
        view.check();
    }

    #[test]
    fn rates_are_never_negative_and_never_infinite(steps in prop::collection::vec((0..3_000u64, any::<u64>(), any::<bool>()), 1..40)) {
        let mut view = View::new();
        for (wait, total, is_running) in steps {
            view.wait(wait);
            view.event(event(EventKind::Update, if is_running { running("a", total) } else { stopped("a", total) }));
            let rates = view.rates("a");
            prop_assert!(rates.tcprx.is_finite() && rates.tcprx >= 0.0);
        }
        prop_assert!(view.samples("a").iter().all(|(_, rate)| rate.is_finite() && *rate >= 0.0));
    }
}

#[derive(Clone, Debug)]
enum Input {
    Event(InstanceEvent),
    List(Vec<Instance>),
    Answer(Instance),
    Deleted(InstanceId),
    NewStream,
    Wait(u64),
}

fn inputs() -> impl Strategy<Value = Input> {
    let kinds = ["initial", "create", "update", "delete", "log", "shutdown"];
    let events = (prop::sample::select(kinds.to_vec()), instances()).prop_map(|(kind, instance)| {
        let logs = (kind == "log").then(|| "line".into());
        Input::Event(InstanceEvent { logs, ..event(kind.into(), instance) })
    });
    prop_oneof![
        8 => events,
        1 => lists().prop_map(Input::List),
        1 => instances().prop_map(Input::Answer),
        1 => instances().prop_map(|instance| Input::Deleted(instance.id)),
        1 => Just(Input::NewStream),
        1 => (0..3_000u64).prop_map(Input::Wait),
    ]
}

fn instances() -> impl Strategy<Value = Instance> {
    let ids = prop::sample::select(vec!["a", "b", "c", "d"]);
    let aliases = prop::option::of(prop::sample::select(vec!["", "x", "y"]));
    (ids, aliases, any::<bool>(), 0..3_000u64).prop_map(|(id, alias, is_running, total)| {
        let instance = if is_running { running(id, total) } else { stopped(id, total) };
        Instance { alias: alias.map(Into::into), ..instance }
    })
}

fn lists() -> impl Strategy<Value = Vec<Instance>> {
    prop::collection::vec(instances(), 0..5).prop_map(|mut list| {
        list.sort_by(|one, other| one.id.cmp(&other.id));
        list.dedup_by(|one, other| one.id == other.id);
        list.reverse();
        list
    })
}

const URL: &str = "server://127.0.0.1:1/127.0.0.1:2";

fn running(id: &str, tcprx: u64) -> Instance {
    Instance { id: id.into(), status: Status::Running, url: URL.into(), tcprx, ..Instance::default() }
}

fn stopped(id: &str, tcprx: u64) -> Instance {
    Instance { status: Status::Stopped, ..running(id, tcprx) }
}

fn key_record(key: &str) -> Instance {
    Instance { id: InstanceId::key_record(), url: key.into(), ..Instance::default() }
}

fn event(kind: EventKind, instance: Instance) -> InstanceEvent {
    InstanceEvent { kind, instance: Some(instance), ..InstanceEvent::default() }
}

fn log(id: &str, line: &str) -> InstanceEvent {
    InstanceEvent { logs: Some(line.into()), ..event(EventKind::Log, running(id, 0)) }
}

fn id_of(event: &InstanceEvent) -> InstanceId {
    event.instance.as_ref().expect("an event about an instance").id.clone()
}

fn changed(set: impl FnOnce(&mut Changed)) -> Changed {
    let mut what = Changed::default();
    set(&mut what);
    what
}

/// A view whose clock begins at zero.
struct View {
    fleet: Fleet,
    at: Moment,
    changes: VecDeque<Change>,
}

impl View {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let now: Instant = testkit::epoch() + Duration::from_secs(1);
        Self { fleet: Fleet::new(config), at: Moment { now, unix_milliseconds: 0 }, changes: VecDeque::new() }
    }

    fn wait(&mut self, milliseconds: u64) {
        self.at.now += Duration::from_millis(milliseconds);
        self.at.unix_milliseconds += milliseconds as i64;
    }

    fn event(&mut self, event: InstanceEvent) {
        self.fleet.apply_event(event, self.at, &mut self.changes);
    }

    fn list(&mut self, list: impl Into<Vec<Instance>>) -> Merge {
        let ticket = self.fleet.begin_request();
        self.fleet.apply_list(ticket, list.into(), self.at, &mut self.changes)
    }

    /// Tells totals of a running instance, a second apart.
    fn totals(&mut self, id: &str, totals: &[u64]) {
        for (index, &total) in totals.iter().enumerate() {
            self.wait(if index == 0 { 0 } else { 1_000 });
            self.event(event(EventKind::Update, running(id, total)));
        }
    }

    fn apply(&mut self, input: Input) {
        match input {
            Input::Event(event) => self.event(event),
            Input::List(list) => drop(self.list(list)),
            Input::Answer(instance) => {
                let ticket = self.fleet.begin_request();
                self.fleet.apply_instance(ticket, instance, self.at, &mut self.changes);
            }
            Input::Deleted(id) => self.fleet.apply_deleted(&id, &mut self.changes),
            Input::NewStream => self.fleet.begin_stream(),
            Input::Wait(milliseconds) => self.wait(milliseconds),
        }
    }

    fn take(&mut self) -> Vec<Change> {
        self.changes.drain(..).collect()
    }

    fn member(&self, id: &str) -> &Member {
        self.fleet.get(id).expect("a member")
    }

    fn instance(&self, id: &str) -> &Instance {
        self.member(id).instance()
    }

    fn ids(&self) -> Vec<&str> {
        self.fleet.iter().map(|member| member.id().as_str()).collect()
    }

    fn rates(&self, id: &str) -> Rates {
        self.member(id).rates()
    }

    /// Returns the samples of TCP read.
    fn samples(&self, id: &str) -> Vec<(i64, f64)> {
        let samples = self.member(id).history().iter();
        samples.map(|sample| (sample.unix_milliseconds, sample.tcprx)).collect()
    }

    /// Checks that the index of aliases fits, and that the changes tell the same story as the view.
    fn check(&self) {
        for alias in ["x", "y", ""] {
            let found: Vec<_> = self.fleet.find_by_alias(alias).map(|member| member.id()).collect();
            let named = self.fleet.iter().filter(|member| member.instance().alias() == Some(alias));
            assert_eq!(found, named.map(|member| member.id()).collect::<Vec<_>>());
        }
        let mut ids = Vec::new();
        for change in &self.changes {
            match change {
                Change::Added(id) => {
                    assert!(!ids.contains(id));
                    ids.push(id.clone());
                }
                Change::Removed(id) => {
                    assert!(ids.contains(id));
                    ids.retain(|other| other != id);
                }
                Change::Updated { id, what } => assert!(ids.contains(id) && what.any()),
                Change::Rates { id, .. } | Change::Logged { id, .. } => assert!(ids.contains(id)),
                _ => {}
            }
        }
        ids.sort();
        assert_eq!(ids, self.fleet.iter().map(|member| member.id().clone()).collect::<Vec<_>>());
    }
}

#[test]
fn lines_and_samples_keep_within_the_bytes_of_all() {
    let start = testkit::epoch();
    for max_bytes in (900..4_000).step_by(37) {
        let mut config = Config::default();
        config.max_bytes = max_bytes;
        let mut fleet = Fleet::new(config);
        let mut changes = VecDeque::new();
        for second in 0..60 {
            let at = Moment { now: start + Duration::from_secs(second), unix_milliseconds: 0 };
            let instance = Instance {
                id: "a1b2c3d4".into(),
                status: Status::Running,
                tcprx: second * 1_000,
                ..Instance::default()
            };
            let kind = if second % 2 == 0 { EventKind::Update } else { EventKind::Log };
            let event = InstanceEvent {
                kind,
                instance: Some(instance),
                logs: Some("x".repeat(second as usize * 7).into()),
                ..InstanceEvent::default()
            };
            fleet.apply_event(event, at, &mut changes);
            assert!(fleet.bytes() <= max_bytes, "{} of {max_bytes}", fleet.bytes());
        }
    }
}

#[test]
fn what_comes_too_soon_for_a_sample_is_in_the_next_one_that_there_is_time_for() {
    let start = testkit::epoch();
    let mut fleet = Fleet::new(Config::default());
    let mut changes = VecDeque::new();
    let mut update = |milliseconds: u64, tcprx: u64| {
        let at = Moment { now: start + Duration::from_millis(milliseconds), unix_milliseconds: 0 };
        let instance =
            Instance { id: "a1b2c3d4".into(), status: Status::Running, tcprx, ..Instance::default() };
        let event = InstanceEvent { instance: Some(instance), ..InstanceEvent::default() };
        fleet.apply_event(event, at, &mut changes);
        fleet.get("a1b2c3d4").expect("it is there").rates().tcprx
    };
    assert_eq!(update(0, 0), 0.0);
    assert_eq!(update(400, 3_000), 0.0, "within a second of the beginning");
    assert_eq!(update(1_500, 3_000), 2_000.0, "although nothing has moved since");
    assert_eq!(update(2_600, 3_000), 2_000.0, "nothing new is known");
}
