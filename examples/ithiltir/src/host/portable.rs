//! Figures from `sysinfo`, for systems other than Linux. What it does not tell is 0 or has the status
//! `unsupported`.

use super::disk::{DiskCounters, DiskReadings, DiskTable, base_io};
use super::figures::ratio;
use super::network::{Direction, InterfaceCounters, InterfaceTable, interface};
use ithiltir_proto::wire::{
    BaseIoKind, Connections, Cpu, Disk, Filesystem, List, LogicalDisk, LogicalKind, Memory, NetworkInterface,
    Pressure, PressureResource, Processes, Raid, Smart, Snapshot, Static, StaticDisk, StaticFilesystem,
    StaticLogicalDisk, StaticPhysicalDisk, Status, System as Uptime, Thermal,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use sysinfo::{Disks, NetworkData, Networks, ProcessRefreshKind, ProcessesToUpdate, System};

/// Reads this host.
#[derive(Debug)]
pub(super) struct Collector {
    system: System,
    at: Instant,
    disks: DiskTable,
    interfaces: InterfaceTable,
}

impl Collector {
    pub(super) fn new() -> Self {
        let mut system = System::new();
        system.refresh_cpu_all();
        Self { system, at: Instant::now(), disks: DiskTable::new(), interfaces: InterfaceTable::new() }
    }

    pub(super) fn hostname() -> String {
        System::host_name().unwrap_or_default()
    }

    pub(super) fn snapshot(&mut self) -> Snapshot {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let elapsed = std::mem::replace(&mut self.at, Instant::now()).elapsed();
        Snapshot {
            cpu: self.cpu(),
            memory: self.memory(),
            disk: self.disk(elapsed),
            network: self.network(elapsed),
            system: Uptime::with_uptime(System::uptime()),
            processes: self.processes(),
            pressure: pressure(),
            raid: Raid { arrays: Vec::new().into(), ..Raid::default() },
            connections: Connections::default(),
            thermal: Some(Thermal {
                status: Status::Unsupported,
                updated_at: None,
                sensors: Vec::new().into(),
            }),
        }
    }

    pub(super) fn statics(&mut self) -> Static {
        self.system.refresh_cpu_all();
        self.system.refresh_memory();
        let mut statics = Static { disk: static_disk(), ..Static::default() };
        let (info, cpus) = (&mut statics.cpu.info, self.system.cpus());
        if let Some(first) = cpus.first() {
            info.model_name = first.brand().trim().to_owned();
            info.vendor_id = first.vendor_id().to_owned();
            info.frequency_mhz = first.frequency() as f64;
        }
        info.sockets = 1;
        info.cores_logical = count(cpus.len());
        info.cores_physical = System::physical_core_count().map_or(info.cores_logical, count);
        statics.memory.total = self.system.total_memory();
        statics.memory.swap_total = self.system.total_swap();
        statics.system.platform = System::distribution_id();
        statics.system.platform_version = System::os_version().unwrap_or_default();
        statics.system.kernel_version = System::kernel_version().unwrap_or_default();
        statics.raid.arrays = Vec::new().into();
        statics
    }

    fn cpu(&self) -> Cpu {
        let load = System::load_average();
        let [load1, load5, load15] =
            if cfg!(windows) { [-1.0; 3] } else { [load.one, load.five, load.fifteen] };
        Cpu {
            usage_ratio: ratio(f64::from(self.system.global_cpu_usage()), 100.0),
            load1,
            load5,
            load15,
            ..Cpu::default()
        }
    }

    fn memory(&self) -> Memory {
        let system = &self.system;
        Memory {
            used: system.used_memory(),
            available: system.available_memory(),
            used_ratio: ratio(system.used_memory() as f64, system.total_memory() as f64),
            swap_used: system.used_swap(),
            swap_free: system.free_swap(),
            swap_used_ratio: ratio(system.used_swap() as f64, system.total_swap() as f64),
            ..Memory::default()
        }
    }

    fn processes(&mut self) -> Processes {
        let nothing = ProcessRefreshKind::nothing();
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, nothing);
        Processes { process_count: count(self.system.processes().len()) }
    }

    fn disk(&mut self, elapsed: Duration) -> Disk {
        let volumes = volumes();
        let now: DiskTable = volumes.iter().map(|(name, volume)| (name.clone(), volume.counters)).collect();
        let readings = DiskReadings { now: &now, before: &self.disks, elapsed };
        let physical: List<_> = now.keys().map(|name| readings.disk(name)).collect();
        self.disks = now;
        Disk {
            base_io: physical.iter().map(|disk| base_io(BaseIoKind::Physical, disk.clone())).collect(),
            physical,
            logical: volumes.iter().map(|(name, volume)| volume.logical(name)).collect(),
            filesystems: volumes.iter().map(|(name, volume)| volume.filesystem(name)).collect(),
            smart: Some(Smart { status: Status::NoCache, devices: Vec::new().into(), ..Smart::default() }),
        }
    }

    fn network(&mut self, elapsed: Duration) -> List<NetworkInterface> {
        let networks = Networks::new_with_refreshed_list();
        let now: InterfaceTable = networks
            .iter()
            .filter(|(_, data)| !data.mac_address().is_unspecified())
            .map(|(name, data)| (name.clone(), counters(data)))
            .collect();
        let before = std::mem::replace(&mut self.interfaces, now);
        let now = self.interfaces.iter();
        now.map(|(name, counters)| interface(name, *counters, before.get(name), elapsed)).collect()
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn pressure() -> Pressure {
    let unsupported = PressureResource { status: Status::Unsupported, some: None, full: None };
    Pressure { cpu: unsupported.clone(), memory: unsupported.clone(), io: unsupported }
}

fn counters(data: &NetworkData) -> InterfaceCounters {
    InterfaceCounters {
        received: Direction {
            bytes: data.total_received(),
            packets: data.total_packets_received(),
            errors: data.total_errors_on_received(),
            drops: 0,
        },
        sent: Direction {
            bytes: data.total_transmitted(),
            packets: data.total_packets_transmitted(),
            errors: data.total_errors_on_transmitted(),
            drops: 0,
        },
    }
}

/// A volume as `sysinfo` lists it; it serves as disk, logical disk and file system alike.
struct Volume {
    mountpoint: String,
    fs_type: String,
    total: u64,
    free: u64,
    counters: DiskCounters,
}

/// Returns the volumes by name; of several mounts of one volume the first counts.
fn volumes() -> BTreeMap<String, Volume> {
    let mut volumes = BTreeMap::new();
    for disk in &Disks::new_with_refreshed_list() {
        let mountpoint = disk.mount_point().to_string_lossy().into_owned();
        // The name is a label on Windows, and often blank.
        let name = match disk.name().to_string_lossy().trim().trim_start_matches("/dev/") {
            name if cfg!(windows) || name.is_empty() => mountpoint.trim_end_matches('\\').to_owned(),
            name => name.to_owned(),
        };
        let usage = disk.usage();
        volumes.entry(name).or_insert(Volume {
            mountpoint,
            fs_type: disk.file_system().to_string_lossy().into_owned(),
            total: disk.total_space(),
            free: disk.available_space(),
            counters: DiskCounters {
                read_bytes: usage.total_read_bytes,
                write_bytes: usage.total_written_bytes,
                ..DiskCounters::default()
            },
        });
    }
    volumes
}

impl Volume {
    fn used(&self) -> u64 {
        self.total.saturating_sub(self.free)
    }

    fn logical(&self, name: &str) -> LogicalDisk {
        LogicalDisk {
            kind: LogicalKind::Disk,
            name: name.to_owned(),
            reference: format!("disk:{name}"),
            used: self.used(),
            free: self.free,
            used_ratio: ratio(self.used() as f64, self.total as f64),
            ..LogicalDisk::default()
        }
    }

    fn filesystem(&self, name: &str) -> Filesystem {
        Filesystem {
            path: self.mountpoint.clone(),
            device: name.to_owned(),
            mountpoint: self.mountpoint.clone(),
            used: self.used(),
            free: self.free,
            used_ratio: ratio(self.used() as f64, self.total as f64),
            ..Filesystem::default()
        }
    }
}

fn static_disk() -> StaticDisk {
    let volumes = volumes();
    let reference = |name: &String| (name.clone(), format!("disk:{name}"));
    let physical = |name| {
        let (name, reference) = reference(name);
        StaticPhysicalDisk { name, reference, device_path: String::new() }
    };
    let logical = |(name, volume): (&String, &Volume)| {
        let (name, reference) = reference(name);
        StaticLogicalDisk {
            kind: LogicalKind::Disk,
            name,
            reference,
            total: volume.total,
            mountpoint: volume.mountpoint.clone(),
            fs_type: volume.fs_type.clone(),
            ..StaticLogicalDisk::default()
        }
    };
    let filesystem = |(name, volume): (&String, &Volume)| StaticFilesystem {
        path: volume.mountpoint.clone(),
        device: name.clone(),
        mountpoint: volume.mountpoint.clone(),
        total: volume.total,
        fs_type: volume.fs_type.clone(),
        inodes_total: 0,
    };
    StaticDisk {
        physical: volumes.keys().map(physical).collect(),
        logical: volumes.iter().map(logical).collect(),
        filesystems: volumes.iter().map(filesystem).collect(),
        base_io: Vec::new().into(),
    }
}
