//! What the tests of the view share: a view whose clock begins at zero, and what it is told.
#![allow(dead_code, reason = "each test file uses its own part")]

use nodepass_api::Instant;
use nodepass_api::fleet::{Change, Changed, Config, Fleet, Member, Merge, Moment, Rates};
use nodepass_api::wire::{EventKind, Instance, InstanceEvent, InstanceId, Status};
use std::collections::VecDeque;
use std::time::Duration;

pub(crate) const URL: &str = "server://127.0.0.1:1/127.0.0.1:2";

pub(crate) fn running(id: &str, tcprx: u64) -> Instance {
    Instance { id: id.into(), status: Status::Running, url: URL.into(), tcprx, ..Instance::default() }
}

pub(crate) fn stopped(id: &str, tcprx: u64) -> Instance {
    Instance { status: Status::Stopped, ..running(id, tcprx) }
}

pub(crate) fn key_record(key: &str) -> Instance {
    Instance { id: InstanceId::key_record(), url: key.into(), ..Instance::default() }
}

pub(crate) fn event(kind: EventKind, instance: Instance) -> InstanceEvent {
    InstanceEvent { kind, instance: Some(instance), ..InstanceEvent::default() }
}

pub(crate) fn log(id: &str, line: &str) -> InstanceEvent {
    InstanceEvent { logs: Some(line.into()), ..event(EventKind::Log, running(id, 0)) }
}

pub(crate) fn id_of(event: &InstanceEvent) -> InstanceId {
    event.instance.as_ref().expect("an event about an instance").id.clone()
}

pub(crate) fn changed(set: impl FnOnce(&mut Changed)) -> Changed {
    let mut what = Changed::default();
    set(&mut what);
    what
}

/// A view whose clock begins at zero.
pub(crate) struct View {
    pub(crate) fleet: Fleet,
    pub(crate) at: Moment,
    pub(crate) changes: VecDeque<Change>,
}

impl View {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let now: Instant = testkit::epoch() + Duration::from_secs(1);
        Self { fleet: Fleet::new(config), at: Moment { now, unix_milliseconds: 0 }, changes: VecDeque::new() }
    }

    pub(crate) fn wait(&mut self, milliseconds: u64) {
        self.at.now += Duration::from_millis(milliseconds);
        self.at.unix_milliseconds += milliseconds as i64;
    }

    pub(crate) fn event(&mut self, event: InstanceEvent) {
        self.fleet.apply_event(event, self.at, &mut self.changes);
    }

    pub(crate) fn list(&mut self, list: impl Into<Vec<Instance>>) -> Merge {
        let ticket = self.fleet.begin_request();
        self.fleet.apply_list(ticket, list.into(), self.at, &mut self.changes)
    }

    /// Tells totals of a running instance, a second apart.
    pub(crate) fn totals(&mut self, id: &str, totals: &[u64]) {
        for (index, &total) in totals.iter().enumerate() {
            self.wait(if index == 0 { 0 } else { 1_000 });
            self.event(event(EventKind::Update, running(id, total)));
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Change> {
        self.changes.drain(..).collect()
    }

    pub(crate) fn member(&self, id: &str) -> &Member {
        self.fleet.get(id).expect("a member")
    }

    pub(crate) fn instance(&self, id: &str) -> &Instance {
        self.member(id).instance()
    }

    pub(crate) fn ids(&self) -> Vec<&str> {
        self.fleet.iter().map(|member| member.id().as_str()).collect()
    }

    pub(crate) fn rates(&self, id: &str) -> Rates {
        self.member(id).rates()
    }

    /// Returns the samples of TCP read.
    pub(crate) fn samples(&self, id: &str) -> Vec<(i64, f64)> {
        let samples = self.member(id).history().iter();
        samples.map(|sample| (sample.unix_milliseconds, sample.tcprx)).collect()
    }

    /// Checks that the index of aliases fits, and that the changes tell the same story as the view.
    pub(crate) fn check(&self) {
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
