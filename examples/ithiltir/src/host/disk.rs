//! Counters of block devices and the rates they give.

use super::figures::{growth, mean, per_second, quotient, ratio, thousandths_up};
use ithiltir_proto::wire::{BaseIo, BaseIoKind, PhysicalDisk};
use std::collections::BTreeMap;
use std::time::Duration;

/// Counters by name of the device.
pub(super) type DiskTable = BTreeMap<String, DiskCounters>;

/// What a block device did since the host started. Times are in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DiskCounters {
    pub(super) reads: u64,
    pub(super) read_bytes: u64,
    pub(super) read_time: u64,
    pub(super) writes: u64,
    pub(super) write_bytes: u64,
    pub(super) write_time: u64,
    pub(super) busy_time: u64,
    /// Busy time, each moment counted as often as operations were pending.
    pub(super) pending_time: u64,
}

/// Two readings of all devices and the time between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct DiskReadings<'a> {
    pub(super) now: &'a DiskTable,
    pub(super) before: &'a DiskTable,
    pub(super) elapsed: Duration,
}

impl DiskReadings<'_> {
    /// Returns the figures of the device; one that was not there before has the rates 0.
    pub(super) fn disk(&self, name: &str) -> PhysicalDisk {
        let now = self.now.get(name).copied().unwrap_or_default();
        let before = self.before.get(name).copied().unwrap_or(now);
        let milliseconds = self.elapsed.as_secs_f64() * 1000.0;
        let operations = growth(now.reads, before.reads) + growth(now.writes, before.writes);
        let wait = growth(now.read_time, before.read_time) + growth(now.write_time, before.write_time);
        let busy = growth(now.busy_time, before.busy_time);
        PhysicalDisk {
            name: name.to_owned(),
            device_path: device_path(name),
            reference: format!("disk:{name}"),
            read_bytes: now.read_bytes,
            write_bytes: now.write_bytes,
            read_rate_bytes_per_sec: per_second(now.read_bytes, before.read_bytes, self.elapsed),
            write_rate_bytes_per_sec: per_second(now.write_bytes, before.write_bytes, self.elapsed),
            iops: quotient(operations, self.elapsed.as_secs_f64()).ceil(),
            read_iops: per_second(now.reads, before.reads, self.elapsed),
            write_iops: per_second(now.writes, before.writes, self.elapsed),
            util_ratio: ratio(busy, milliseconds),
            queue_length: mean(growth(now.pending_time, before.pending_time), milliseconds),
            wait_ms: thousandths_up(quotient(wait, operations)),
            service_ms: thousandths_up(quotient(busy, operations)),
        }
    }
}

/// Returns the path of a device; empty on Windows.
pub(super) fn device_path(name: &str) -> String {
    if cfg!(windows) { String::new() } else { format!("/dev/{name}") }
}

/// Returns the same figures as those of a base unit.
pub(super) fn base_io(kind: BaseIoKind, disk: PhysicalDisk) -> BaseIo {
    BaseIo {
        kind,
        name: disk.name,
        device_path: disk.device_path,
        reference: disk.reference,
        read_bytes: disk.read_bytes,
        write_bytes: disk.write_bytes,
        read_rate_bytes_per_sec: disk.read_rate_bytes_per_sec,
        write_rate_bytes_per_sec: disk.write_rate_bytes_per_sec,
        read_iops: disk.read_iops,
        write_iops: disk.write_iops,
        iops: disk.iops,
        util_ratio: disk.util_ratio,
        queue_length: disk.queue_length,
        wait_ms: disk.wait_ms,
        service_ms: disk.service_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(before: DiskCounters, now: DiskCounters) -> PhysicalDisk {
        let (before, now) = ([("sda".to_owned(), before)].into(), [("sda".to_owned(), now)].into());
        let elapsed = Duration::from_secs(2);
        DiskReadings { now: &now, before: &before, elapsed }.disk("sda")
    }

    fn busy() -> DiskCounters {
        DiskCounters {
            reads: 4,
            read_bytes: 4097,
            read_time: 10,
            writes: 3,
            write_bytes: 1,
            write_time: 10,
            busy_time: 1000,
            pending_time: 3000,
        }
    }

    #[test]
    fn rates_are_those_between_two_readings() {
        let disk = figures(DiskCounters::default(), busy());
        assert_eq!((disk.read_rate_bytes_per_sec, disk.write_rate_bytes_per_sec), (2049.0, 1.0));
        assert_eq!((disk.iops, disk.read_iops, disk.write_iops), (4.0, 2.0, 2.0));
        assert_eq!((disk.util_ratio, disk.queue_length), (0.5, 1.5));
        assert_eq!((disk.wait_ms, disk.service_ms), (2.858, 142.858));
    }

    #[test]
    fn counters_that_go_backwards_give_the_rate_zero() {
        let disk = figures(busy(), DiskCounters::default());
        assert_eq!(disk, figures(DiskCounters::default(), DiskCounters::default()));
        assert_eq!((disk.iops, disk.util_ratio, disk.wait_ms), (0.0, 0.0, 0.0));
    }

    #[test]
    fn a_device_without_earlier_reading_has_no_rates() {
        let now = [("sda".to_owned(), busy())].into();
        let readings = DiskReadings { now: &now, before: &DiskTable::new(), elapsed: Duration::from_secs(2) };
        let disk = readings.disk("sda");
        assert_eq!((disk.read_bytes, disk.read_rate_bytes_per_sec, disk.util_ratio), (4097, 0.0, 0.0));
        assert_eq!(base_io(BaseIoKind::Physical, disk).reference, "disk:sda");
    }
}
