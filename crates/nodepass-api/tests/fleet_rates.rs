//! Rates of instances and their history.

mod fleet_support;

use fleet_support::{View, event, log, running, stopped};
use nodepass_api::Release;
use nodepass_api::fleet::{Change, Config, Fleet, History, Moment, Rates, Sample};
use nodepass_api::wire::{EventKind, Instance, InstanceEvent, Status};
use std::collections::VecDeque;
use std::time::Duration;

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
