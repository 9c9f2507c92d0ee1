//! How much a view keeps.

mod fleet_support;

use fleet_support::{View, event, running, stopped};
use nodepass_api::fleet::{Change, Config, Fleet, Moment};
use nodepass_api::wire::{EventKind, Instance, InstanceEvent, Status};
use std::collections::VecDeque;
use std::time::Duration;

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
