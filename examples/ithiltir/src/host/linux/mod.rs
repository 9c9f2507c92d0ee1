//! Figures from `/proc` and `/sys`.

mod block;
mod connections;
mod cpu;
mod filesystem;
mod memory;
mod names;
mod network;
mod pressure;
mod raid;
mod storage;
mod thermal;

use super::disk::{DiskReadings, DiskTable, base_io};
use super::network::InterfaceTable;
use ithiltir_proto::wire::{BaseIo, BaseIoKind, Disk, List, Smart, Snapshot, Static, Status, System};
use std::path::Path;
use std::time::{Duration, Instant};
use storage::Storage;

/// Reads this host.
#[derive(Debug)]
pub(super) struct Collector {
    at: Instant,
    processor: Option<cpu::Ticks>,
    disks: DiskTable,
    interfaces: InterfaceTable,
}

impl Collector {
    pub(super) fn new() -> Self {
        Self {
            at: Instant::now(),
            processor: None,
            disks: DiskTable::new(),
            interfaces: InterfaceTable::new(),
        }
    }

    pub(super) fn hostname() -> String {
        text("/proc/sys/kernel/hostname")
    }

    pub(super) fn snapshot(&mut self) -> Snapshot {
        let elapsed = std::mem::replace(&mut self.at, Instant::now()).elapsed();
        let storage = Storage::read();
        let ticks = cpu::Ticks::parse(&text("/proc/stat"));
        let before = self.processor.replace(ticks).unwrap_or(ticks);
        let interfaces = network::parse(&text("/proc/net/dev"));
        let network = network::report(&interfaces, &self.interfaces, elapsed);
        self.interfaces = interfaces;
        Snapshot {
            cpu: cpu::report(ticks, before, &text("/proc/loadavg")),
            memory: memory::Meminfo::parse(&text("/proc/meminfo")).report(),
            disk: self.disk(&storage, elapsed),
            network,
            system: System::with_uptime(uptime(&text("/proc/uptime"))),
            processes: connections::processes(),
            connections: connections::read(),
            pressure: pressure::read(),
            raid: storage.raid(),
            thermal: Some(thermal::read(super::now())),
        }
    }

    pub(super) fn statics(&mut self) -> Static {
        let storage = Storage::read();
        let mut statics =
            Static { disk: storage.static_disk(), raid: storage.static_raid(), ..Static::default() };
        statics.cpu.info = cpu::info(&text("/proc/cpuinfo"), &text(cpu::MAXIMUM_FREQUENCY));
        statics.memory = memory::Meminfo::parse(&text("/proc/meminfo")).statics();
        (statics.system.platform, statics.system.platform_version) = names::platform();
        statics.system.kernel_version = text("/proc/sys/kernel/osrelease");
        statics
    }

    fn disk(&mut self, storage: &Storage, elapsed: Duration) -> Disk {
        let now = block::parse(&text("/proc/diskstats"));
        let readings = DiskReadings { now: &now, before: &self.disks, elapsed };
        let disk = Disk {
            physical: storage.physical.iter().map(|name| readings.disk(name)).collect(),
            logical: storage.logical(),
            filesystems: storage.filesystems(),
            base_io: base_units(storage, readings),
            smart: Some(Smart { status: Status::NoCache, devices: Vec::new().into(), ..Smart::default() }),
        };
        self.disks = now;
        disk
    }
}

/// Returns the figures of the arrays, or of the physical disks where there is no array.
fn base_units(storage: &Storage, readings: DiskReadings<'_>) -> List<BaseIo> {
    if storage.arrays.is_empty() {
        let physical = storage.physical.iter().map(|name| readings.disk(name));
        return physical.map(|disk| base_io(BaseIoKind::Physical, disk)).collect();
    }
    let array = |array: &raid::Array| BaseIo {
        reference: format!("raid:{}", array.name),
        ..base_io(BaseIoKind::Raid, readings.disk(&array.name))
    };
    storage.arrays.iter().map(array).collect()
}

fn uptime(text: &str) -> u64 {
    // A cast of NaN, a negative or a huge number gives the nearest number there is.
    text.split_whitespace().next().and_then(|seconds| seconds.parse::<f64>().ok()).unwrap_or_default() as u64
}

/// Returns what the file holds; nothing where it cannot be read.
fn text(path: impl AsRef<Path>) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the names in a directory, sorted; none where it cannot be read.
fn entries(path: impl AsRef<Path>) -> Vec<String> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_is_the_first_number() {
        assert_eq!(uptime("1997.10 3894.72\n"), 1997);
        assert_eq!([uptime(""), uptime("NaN"), uptime("-1"), uptime("x 1")], [0; 4]);
    }
}
