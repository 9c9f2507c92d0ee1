//! Values are encoded and come back; floats that JSON cannot say come back as 0, or as unknown.

use crate::input::Input;
use ithiltir_proto::wire::{
    BaseIo, Connections, Cpu, CpuTimes, Disk, FailingAttribute, Filesystem, IdentityResponse, List,
    LogicalDisk, Manifest, Memory, MetricsResponse, NetworkInterface, NodeReport, PhysicalDisk, Pressure,
    PressureGroup, PressureResource, Processes, RESPONSE_LIMIT, Raid, RaidArray, RaidMember, Sensor, Smart,
    SmartDevice, Snapshot, Static, StaticBaseIo, StaticCpu, StaticCpuInfo, StaticDisk, StaticFilesystem,
    StaticLogicalDisk, StaticMemory, StaticPhysicalDisk, StaticRaid, StaticRaidArray, StaticRaidMember,
    StaticSystem, System, Thermal, Timestamp, decode, encode,
};

/// Arbitrary value → encode → decode, equal.
pub fn ithiltir_value(data: &[u8]) {
    let report = |readable| Maker { input: Input::new(data), readable }.report();
    let written = encode(&report(false));
    assert!(serde_json::from_slice::<serde_json::Value>(&written).is_ok(), "rule: what is written is JSON");
    assert_eq!(decode(&written), Ok(report(true)), "rule: what is written can be read");

    let statics = |readable| Maker { input: Input::new(data), readable }.statics();
    assert_eq!(decode(&encode(&statics(false))), Ok(statics(true)), "rule: what is written can be read");
    assert_eq!(statics(false).missing_to_complete(), statics(true).missing_to_complete());

    let answer = Maker { input: Input::new(data), readable: true }.answer();
    let read = MetricsResponse::decode(Some("application/json"), &encode(&answer), RESPONSE_LIMIT);
    assert_eq!(read, Ok(answer), "rule: what is written can be read");
    identity(data);
}

fn identity(data: &[u8]) {
    let mut input = Input::new(data);
    let answer = IdentityResponse { created: input.flag(), install_id: input.text().trim().to_owned() };
    let read = IdentityResponse::decode(&encode(&answer));
    assert_eq!(read.ok(), Some(answer).filter(|answer| !answer.install_id.is_empty()));
}

/// Makes messages; with `readable` it puts in the place of a float that JSON cannot say what a reader gets.
struct Maker<'a> {
    input: Input<'a>,
    readable: bool,
}

impl Maker<'_> {
    fn float(&mut self) -> f64 {
        let float = self.input.float();
        if self.readable && !float.is_finite() { 0.0 } else { float }
    }

    fn known(&mut self) -> Option<f64> {
        let known = self.input.flag().then(|| self.input.float());
        known.filter(|float| !self.readable || float.is_finite())
    }

    fn optional<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.input.flag().then(|| make(self))
    }

    fn list<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> List<T> {
        (0..self.input.below(3)).map(|_| make(self)).collect()
    }

    fn text(&mut self) -> String {
        self.input.text()
    }

    fn open<T: for<'b> From<&'b str>>(&mut self) -> T {
        T::from(&self.input.text())
    }

    fn number(&mut self) -> u64 {
        self.input.number()
    }

    fn signed(&mut self) -> i64 {
        self.input.signed()
    }

    fn time(&mut self) -> Timestamp {
        let (seconds, nanoseconds) = (self.signed(), self.number() % 1_000_000_000);
        let seconds = seconds % 253_402_300_800;
        Timestamp::from_unix(seconds, u32::try_from(nanoseconds).unwrap_or(0)).unwrap_or_default()
    }

    fn report(&mut self) -> NodeReport {
        NodeReport {
            version: self.text(),
            hostname: self.text(),
            timestamp: self.time(),
            metrics: Snapshot {
                cpu: self.cpu(),
                memory: self.memory(),
                disk: self.disk(),
                network: self.list(Self::interface),
                system: System {
                    alive: self.input.flag(),
                    uptime_seconds: self.number(),
                    uptime: self.text(),
                },
                processes: Processes { process_count: self.signed() },
                connections: Connections { tcp_count: self.signed(), udp_count: self.signed() },
                pressure: Pressure { cpu: self.resource(), memory: self.resource(), io: self.resource() },
                raid: self.raid(),
                thermal: self.optional(Self::thermal),
            },
        }
    }

    fn cpu(&mut self) -> Cpu {
        let times = CpuTimes {
            user: self.float(),
            system: self.float(),
            idle: self.float(),
            iowait: self.float(),
            steal: self.float(),
        };
        let (load1, load5, load15) = (self.float(), self.float(), self.float());
        Cpu { usage_ratio: self.float(), load1, load5, load15, times }
    }

    fn memory(&mut self) -> Memory {
        Memory {
            used: self.number(),
            available: self.number(),
            buffers: self.number(),
            cached: self.number(),
            used_ratio: self.float(),
            swap_used: self.number(),
            swap_free: self.number(),
            swap_used_ratio: self.float(),
        }
    }

    fn disk(&mut self) -> Disk {
        Disk {
            physical: self.list(Self::physical),
            logical: self.list(Self::logical),
            filesystems: self.list(Self::filesystem),
            base_io: self.list(Self::base_io),
            smart: self.optional(Self::smart),
        }
    }

    fn physical(&mut self) -> PhysicalDisk {
        PhysicalDisk {
            name: self.text(),
            device_path: self.text(),
            reference: self.text(),
            read_bytes: self.number(),
            iops: self.float(),
            wait_ms: self.float(),
            ..PhysicalDisk::default()
        }
    }

    fn logical(&mut self) -> LogicalDisk {
        LogicalDisk {
            kind: self.open(),
            name: self.text(),
            used: self.number(),
            used_ratio: self.float(),
            health: self.open(),
            ..LogicalDisk::default()
        }
    }

    fn filesystem(&mut self) -> Filesystem {
        Filesystem {
            path: self.text(),
            device: self.text(),
            mountpoint: self.text(),
            inodes_free: self.number(),
            inodes_used_ratio: self.float(),
            ..Filesystem::default()
        }
    }

    /// Figures that are left out when 0 come back as 0 too when JSON cannot say them.
    fn base_io(&mut self) -> BaseIo {
        BaseIo {
            kind: self.open(),
            name: self.text(),
            write_bytes: self.number(),
            iops: self.float(),
            util_ratio: self.float(),
            queue_length: self.float(),
            wait_ms: self.float(),
            service_ms: self.float(),
            ..BaseIo::default()
        }
    }

    fn smart(&mut self) -> Smart {
        Smart {
            status: self.open(),
            updated_at: self.optional(Self::time),
            ttl_seconds: self.signed(),
            devices: self.list(Self::smart_device),
        }
    }

    fn smart_device(&mut self) -> SmartDevice {
        SmartDevice {
            name: self.text(),
            status: self.open(),
            exit_status: self.optional(Self::signed),
            health: self.optional(Self::open),
            temp_c: self.known(),
            power_on_hours: self.optional(Self::number),
            lifetime_used_percent: self.known(),
            critical_warning: self.optional(Self::number),
            failing_attrs: self.list(Self::attribute).into_vec(),
            ..SmartDevice::default()
        }
    }

    fn attribute(&mut self) -> FailingAttribute {
        FailingAttribute { id: self.signed(), name: self.text(), when_failed: self.text() }
    }

    fn interface(&mut self) -> NetworkInterface {
        NetworkInterface {
            name: self.text(),
            bytes_recv: self.number(),
            sent_rate_packets_per_sec: self.float(),
            drop_out: self.number(),
            ..NetworkInterface::default()
        }
    }

    fn resource(&mut self) -> PressureResource {
        let status = self.open();
        PressureResource { status, some: self.optional(Self::group), full: self.optional(Self::group) }
    }

    fn group(&mut self) -> PressureGroup {
        let (avg10, avg60, avg300) = (self.float(), self.float(), self.float());
        PressureGroup { avg10, avg60, avg300, total: self.number() }
    }

    fn raid(&mut self) -> Raid {
        Raid { supported: self.input.flag(), available: self.input.flag(), arrays: self.list(Self::array) }
    }

    fn array(&mut self) -> RaidArray {
        RaidArray {
            name: self.text(),
            status: self.text(),
            active: self.signed(),
            health: self.open(),
            members: self.list(|maker| RaidMember { name: maker.text(), state: maker.open() }),
            sync_status: self.text(),
            ..RaidArray::default()
        }
    }

    fn thermal(&mut self) -> Thermal {
        let (status, updated_at) = (self.open(), self.optional(Self::time));
        Thermal { status, updated_at, sensors: self.list(Self::sensor) }
    }

    fn sensor(&mut self) -> Sensor {
        Sensor {
            kind: self.open(),
            name: self.text(),
            status: self.open(),
            temp_c: self.known(),
            high_c: self.known(),
            critical_c: self.known(),
            ..Sensor::default()
        }
    }

    fn statics(&mut self) -> Static {
        Static {
            version: self.text(),
            timestamp: self.time(),
            report_interval_seconds: self.signed(),
            cpu: StaticCpu { info: self.processors() },
            memory: StaticMemory { total: self.number(), swap_total: self.number() },
            disk: self.static_disk(),
            system: StaticSystem { hostname: self.text(), os: self.text(), ..StaticSystem::default() },
            raid: StaticRaid { arrays: self.list(Self::static_array), ..StaticRaid::default() },
        }
    }

    fn processors(&mut self) -> StaticCpuInfo {
        StaticCpuInfo {
            model_name: self.text(),
            sockets: self.signed(),
            frequency_mhz: self.float(),
            ..StaticCpuInfo::default()
        }
    }

    fn static_disk(&mut self) -> StaticDisk {
        StaticDisk {
            physical: self.list(|maker| StaticPhysicalDisk { name: maker.text(), ..Default::default() }),
            logical: self.list(|maker| StaticLogicalDisk {
                kind: maker.open(),
                total: maker.number(),
                devices: maker.list(Self::text).into_vec(),
                ..Default::default()
            }),
            filesystems: self.list(|maker| StaticFilesystem { path: maker.text(), ..Default::default() }),
            base_io: self.list(|maker| StaticBaseIo { role: maker.open(), ..Default::default() }),
        }
    }

    fn static_array(&mut self) -> StaticRaidArray {
        let members = self.list(|maker| StaticRaidMember { name: maker.text() }).into_vec();
        StaticRaidArray { name: self.text(), devices: self.signed(), members, ..Default::default() }
    }

    fn answer(&mut self) -> MetricsResponse {
        let update = self.optional(|maker| Manifest {
            id: maker.text(),
            version: maker.text(),
            url: maker.text(),
            sha256: maker.text(),
            size: maker.signed(),
        });
        MetricsResponse { ok: self.input.flag(), update }
    }
}
