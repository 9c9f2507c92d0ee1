//! The view of many instances.

use nodepass_api::Release;
use nodepass_api::fleet::{Change, Config, Fleet, Moment};
use nodepass_api::wire::{
    EventKind, Instance, InstanceEvent, InstanceId, InstanceKind, Meta, Peer, Status, Tags,
};
use std::collections::VecDeque;
use std::time::Duration;
use testkit::epoch;

pub(crate) const INSTANCES: usize = 10_000;

/// A view, and events for it in an order that jumps about.
pub(crate) struct View {
    fleet: Fleet,
    changes: VecDeque<Change>,
    instances: Vec<Instance>,
    next: usize,
    milliseconds: u64,
}

impl View {
    pub(crate) fn new(instances: usize) -> Self {
        Self::of((0..instances).map(instance).collect())
    }

    /// The instances are not a part of the view.
    pub(crate) fn of(instances: Vec<Instance>) -> Self {
        let mut fleet = Fleet::new(Config::default());
        fleet.set_release(Some(Release::V1_14_0));
        let mut changes = VecDeque::new();
        fleet.begin_stream();
        let at = Moment { now: epoch(), unix_milliseconds: 0 };
        for instance in &instances {
            fleet.apply_event(event(EventKind::Initial, instance.clone()), at, &mut changes);
        }
        assert_eq!((fleet.len(), changes.len()), (instances.len(), instances.len()));
        changes = VecDeque::new();
        Self { fleet, changes, instances, next: 0, milliseconds: 0 }
    }

    /// Makes the event of a report. Making it is not the view's work.
    pub(crate) fn report(&mut self) -> InstanceEvent {
        self.next = (self.next + 7_919) % self.instances.len();
        let instance = &mut self.instances[self.next];
        instance.tcprx += 1_000;
        instance.tcptx += 2_000;
        event(EventKind::Update, instance.clone())
    }

    /// Takes an event, as half a millisecond after the one before.
    pub(crate) fn take(&mut self, event: InstanceEvent) {
        self.milliseconds += 1;
        let now = epoch() + Duration::from_micros(self.milliseconds * 500);
        let at = Moment { now, unix_milliseconds: i64::try_from(self.milliseconds / 2).unwrap_or(i64::MAX) };
        self.fleet.apply_event(event, at, &mut self.changes);
        self.changes.clear();
    }

    pub(crate) fn into_fleet(self) -> Fleet {
        self.fleet
    }
}

pub(crate) fn instances() -> Vec<Instance> {
    (0..INSTANCES).map(instance).collect()
}

fn event(kind: EventKind, instance: Instance) -> InstanceEvent {
    let time = "2026-11-21T10:17:18.123456789Z".into();
    InstanceEvent { kind, time, instance: Some(instance), logs: Some("".into()), ..InstanceEvent::default() }
}

/// An instance of 1.14 with a URL of the usual length.
pub(crate) fn instance(number: usize) -> Instance {
    let id = InstanceId::new(&format!("{:08x}", number.wrapping_mul(0x9e37_79b1) & 0xffff_ffff));
    let url = format!("server://secret@127.0.0.1:{}/127.0.0.1:8080?log=info&tls=1", 10_000 + number % 50_000);
    let config = format!(
        "{url}&block=0&dial=auto&dns=5m0s&max=1024&mode=0&notcp=0&noudp=0&proxy=0&rate=0&read=0s&slot=65536&type=0"
    );
    let peer =
        Peer { sid: Some("".into()), kind: Some("".into()), alias: Some("".into()), ..Peer::default() };
    Instance {
        id,
        alias: Some(format!("tunnel {number}").into()),
        kind: InstanceKind::Server,
        status: Status::Running,
        url: url.into(),
        config: Some(config.into()),
        restart: Some(true),
        meta: Some(Meta { peer: Some(peer), tags: Some(Tags::new()), ..Meta::default() }),
        mode: Some(2),
        ping: Some(12),
        pool: Some(64),
        tcps: Some(3),
        udps: Some(0),
        tcprx: 1_000,
        tcptx: 2_000,
        ..Instance::default()
    }
}
