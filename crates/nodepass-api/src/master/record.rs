//! An instance as its master keeps it: the object, its counters and its process. §7.

use super::process::{Process, Then};
use crate::wire::{CheckPoint, Instance, Meta, Peer, Status, Tags, Traffic};

pub(super) struct Record {
    pub(super) instance: Instance,
    pub(super) process: Process,
    /// What the process of the moment has reported once.
    pub(super) has_reported: bool,
    counters: Counters,
}

/// What the figures of a process are added to, and what is taken off them.
#[derive(Default)]
struct Counters {
    base: Traffic,
    reset: Traffic,
}

impl Record {
    pub(super) fn new(instance: Instance) -> Self {
        Self { instance, process: Process::None, has_reported: false, counters: Counters::default() }
    }

    /// A process begins, and counts from 0.
    pub(super) fn begin_run(&mut self) {
        self.has_reported = false;
        self.counters = Counters { base: self.instance.traffic(), reset: Traffic::default() };
    }

    pub(super) fn report(&mut self, point: &CheckPoint) {
        let instance = &mut self.instance;
        let keep = |member: &mut Option<i64>, value: Option<i32>| {
            if let Some(value) = value {
                *member = Some(value.into());
            }
        };
        keep(&mut instance.mode, point.mode);
        keep(&mut instance.ping, point.ping);
        keep(&mut instance.pool, point.pool);
        keep(&mut instance.tcps, point.tcps);
        keep(&mut instance.udps, point.udps);
        let Counters { base, reset } = &mut self.counters;
        count(&mut instance.tcprx, base.tcprx, &mut reset.tcprx, point.tcprx);
        count(&mut instance.tcptx, base.tcptx, &mut reset.tcptx, point.tcptx);
        count(&mut instance.udprx, base.udprx, &mut reset.udprx, point.udprx);
        count(&mut instance.udptx, base.udptx, &mut reset.udptx, point.udptx);
        self.has_reported = true;
    }

    /// Sets the counters to 0, also for a process that goes on counting.
    pub(super) fn reset(&mut self) {
        let total = self.instance.traffic();
        let Counters { base, reset } = &mut self.counters;
        let more = |reset: &mut u64, total: u64, base: u64| *reset += total.saturating_sub(base);
        more(&mut reset.tcprx, total.tcprx, base.tcprx);
        more(&mut reset.tcptx, total.tcptx, base.tcptx);
        more(&mut reset.udprx, total.udprx, base.udprx);
        more(&mut reset.udptx, total.udptx, base.udptx);
        *base = Traffic::default();
        self.set_traffic(Traffic::default());
    }

    pub(super) fn set_traffic(&mut self, traffic: Traffic) {
        let instance = &mut self.instance;
        (instance.tcprx, instance.tcptx) = (traffic.tcprx, traffic.tcptx);
        (instance.udprx, instance.udptx) = (traffic.udprx, traffic.udptx);
    }

    /// Nothing is in use any more.
    pub(super) fn clear_gauges(&mut self) {
        let instance = &mut self.instance;
        for gauge in [&mut instance.ping, &mut instance.pool, &mut instance.tcps, &mut instance.udps] {
            *gauge = Some(0);
        }
    }

    /// Returns the URL that it has, or that it will have when its process has stopped.
    pub(super) fn next_url(&self) -> &str {
        match &self.process {
            Process::Stopping { then: Then::Replace(replacement, _), .. } => &replacement.url,
            _ => &self.instance.url,
        }
    }

    pub(super) fn is(&self, status: &Status) -> bool {
        self.instance.status == *status
    }
}

/// A process that counts less than was taken off is another one.
fn count(total: &mut u64, base: u64, reset: &mut u64, value: Option<u64>) {
    let Some(value) = value else { return };
    if value < *reset {
        *reset = 0;
    }
    *total = base.saturating_add(value - *reset);
}

/// The `meta` of a new instance: everything is there, and empty.
pub(super) fn empty_meta() -> Meta {
    Meta { peer: Some(full_peer(Peer::default())), tags: Some(Tags::new()), ..Meta::default() }
}

/// Members that are missing are empty.
pub(super) fn full_peer(peer: Peer) -> Peer {
    let full = |text: Option<Box<str>>| Some(text.unwrap_or_default());
    Peer { sid: full(peer.sid), kind: full(peer.kind), alias: full(peer.alias), ..Peer::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(record: &mut Record, value: u64) -> u64 {
        record.report(&CheckPoint { tcprx: Some(value), ..CheckPoint::default() });
        record.instance.tcprx
    }

    #[test]
    fn totals_go_on_over_runs() {
        let mut record = Record::new(Instance::default());
        record.begin_run();
        assert_eq!([report(&mut record, 10), report(&mut record, 30)], [10, 30]);
        record.begin_run();
        assert_eq!([report(&mut record, 5), report(&mut record, 5)], [35, 35]);
    }

    #[test]
    fn a_reset_holds_while_the_process_goes_on_also_the_second_time() {
        let mut record = Record::new(Instance::default());
        record.begin_run();
        report(&mut record, 1000);
        record.reset();
        assert_eq!(record.instance.tcprx, 0);
        assert_eq!([report(&mut record, 1000), report(&mut record, 1500)], [0, 500]);
        record.reset();
        assert_eq!([report(&mut record, 1500), report(&mut record, 1501)], [0, 1]);
        assert_eq!(report(&mut record, 7), 7, "another process counts from 0");
    }

    #[test]
    fn figures_without_end_do_not_overflow() {
        let mut record = Record::new(Instance { tcprx: u64::MAX, ..Instance::default() });
        record.begin_run();
        assert_eq!(report(&mut record, u64::MAX), u64::MAX);
        record.reset();
        record.reset();
        assert_eq!(report(&mut record, 3), 3);
    }
}
