//! Runtime metrics: what a node sends every interval. §1.

use super::json::{is_unknown, is_zero};
use super::{
    BaseIoKind, Health, List, LogicalKind, MemberState, SensorKind, SmartHealth, Status, Timestamp, message,
};

message! {
    /// Runtime metrics of one sample, the body of `POST …/metrics`.
    ///
    /// Counters are cumulative since the host started; a counter that goes backwards yields the rate 0. Ratios lie
    /// between 0 and 1. Lists are sorted by name (logical disks by kind, then name).
    pub struct NodeReport {
        /// The node's version: strict SemVer without `v`.
        pub version: String,
        /// The host's name, read once at the start; `unknown` where it is blank.
        pub hostname: String,
        /// When the sample was taken, in UTC; not when it is sent.
        pub timestamp: Timestamp,
        /// The sample.
        pub metrics: Snapshot,
    }

    /// One sample of everything.
    pub struct Snapshot {
        /// The processors.
        pub cpu: Cpu,
        /// Memory and swap.
        pub memory: Memory,
        /// Disks, file systems and their health.
        pub disk: Disk,
        /// Network interfaces; names are unique.
        pub network: List<NetworkInterface>,
        /// Uptime.
        pub system: System,
        /// Processes.
        pub processes: Processes,
        /// Sockets.
        pub connections: Connections,
        /// Pressure stall information (Linux).
        pub pressure: Pressure,
        /// RAID arrays.
        pub raid: Raid,
        /// Temperatures. Always sent by the original; `None` is left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub thermal: Option<Thermal>,
    }

    /// The processors together.
    pub struct Cpu {
        /// Busy share since the previous sample, 0 to 1.
        pub usage_ratio: f64,
        /// Load average of one minute; -1 on Windows or where it is not available.
        pub load1: f64,
        /// Load average of five minutes; -1 on Windows or where it is not available.
        pub load5: f64,
        /// Load average of fifteen minutes; -1 on Windows or where it is not available.
        pub load15: f64,
        /// Cumulative times.
        pub times: CpuTimes,
    }

    /// Cumulative processor time in seconds, all processors added up.
    pub struct CpuTimes {
        /// In programs.
        pub user: f64,
        /// In the kernel.
        pub system: f64,
        /// Idle.
        pub idle: f64,
        /// Idle while input or output was pending.
        pub iowait: f64,
        /// Taken by the hypervisor for others.
        pub steal: f64,
    }

    /// Memory and swap, in bytes. The totals are in [`Static`](super::Static).
    pub struct Memory {
        /// In use.
        pub used: u64,
        /// Available to programs without swapping.
        pub available: u64,
        /// Kernel buffers.
        pub buffers: u64,
        /// Page cache.
        pub cached: u64,
        /// Used share, 0 to 1.
        pub used_ratio: f64,
        /// Swap in use.
        pub swap_used: u64,
        /// Swap not in use.
        pub swap_free: u64,
        /// Used share of swap, 0 to 1.
        pub swap_used_ratio: f64,
    }

    /// Everything about disks.
    pub struct Disk {
        /// Physical disks; names are unique.
        pub physical: List<PhysicalDisk>,
        /// Logical disks; unique by kind and name. The Dash asks for names that are unique across kinds.
        pub logical: List<LogicalDisk>,
        /// Mounted file systems.
        pub filesystems: List<Filesystem>,
        /// Input and output at the layer that counts; names are unique. Feeds the Dash's history.
        pub base_io: List<BaseIo>,
        /// Health by SMART. Always sent by the original; `None` is left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub smart: Option<Smart>,
    }

    /// A physical disk. Rates are per second, rounded up to whole numbers.
    pub struct PhysicalDisk {
        /// Device name, as in `vda`.
        pub name: String,
        /// Path, as in `/dev/vda`; empty (left out) on Windows.
        #[serde(skip_serializing_if = "is_zero")]
        pub device_path: String,
        /// `disk:` and the name; left out when empty.
        #[serde(rename = "ref", skip_serializing_if = "is_zero")]
        pub reference: String,
        /// Bytes read since the host started.
        pub read_bytes: u64,
        /// Bytes written since the host started.
        pub write_bytes: u64,
        /// Bytes read per second.
        pub read_rate_bytes_per_sec: f64,
        /// Bytes written per second.
        pub write_rate_bytes_per_sec: f64,
        /// Operations per second.
        pub iops: f64,
        /// Read operations per second.
        pub read_iops: f64,
        /// Write operations per second.
        pub write_iops: f64,
        /// Busy share, 0 to 1.
        pub util_ratio: f64,
        /// Mean number of waiting operations.
        pub queue_length: f64,
        /// Mean wait of an operation in milliseconds, rounded up to three decimals.
        pub wait_ms: f64,
        /// Mean service time of an operation in milliseconds, rounded up to three decimals.
        pub service_ms: f64,
    }

    /// A logical disk: a plain disk, an array, a volume group or a pool.
    pub struct LogicalDisk {
        /// What it is.
        pub kind: LogicalKind,
        /// Its name.
        pub name: String,
        /// Path; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub device_path: String,
        /// Reference, as in `disk:vda` or `raid:md0`; left out when empty.
        #[serde(rename = "ref", skip_serializing_if = "is_zero")]
        pub reference: String,
        /// Used bytes.
        pub used: u64,
        /// Free bytes.
        pub free: u64,
        /// Used share, 0 to 1.
        pub used_ratio: f64,
        /// Health; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub health: Health,
    }

    /// A mounted file system.
    pub struct Filesystem {
        /// Where it is mounted.
        pub path: String,
        /// What is mounted; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub device: String,
        /// Where it is mounted; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub mountpoint: String,
        /// Used bytes.
        pub used: u64,
        /// Free bytes.
        pub free: u64,
        /// Used share, 0 to 1.
        pub used_ratio: f64,
        /// Used inodes.
        pub inodes_used: u64,
        /// Free inodes.
        pub inodes_free: u64,
        /// Used share of inodes, 0 to 1.
        pub inodes_used_ratio: f64,
    }

    /// Input and output of a base unit. The optional figures are left out when 0.
    pub struct BaseIo {
        /// The layer.
        pub kind: BaseIoKind,
        /// Name of the unit.
        pub name: String,
        /// Path; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub device_path: String,
        /// Reference; left out when empty.
        #[serde(rename = "ref", skip_serializing_if = "is_zero")]
        pub reference: String,
        /// Bytes read since the host started; left out when 0.
        #[serde(skip_serializing_if = "is_zero")]
        pub read_bytes: u64,
        /// Bytes written since the host started; left out when 0.
        #[serde(skip_serializing_if = "is_zero")]
        pub write_bytes: u64,
        /// Bytes read per second.
        pub read_rate_bytes_per_sec: f64,
        /// Bytes written per second.
        pub write_rate_bytes_per_sec: f64,
        /// Read operations per second.
        pub read_iops: f64,
        /// Write operations per second.
        pub write_iops: f64,
        /// Operations per second.
        pub iops: f64,
        /// Busy share, 0 to 1; left out when 0.
        #[serde(skip_serializing_if = "is_zero")]
        pub util_ratio: f64,
        /// Mean number of waiting operations; left out when 0.
        #[serde(skip_serializing_if = "is_zero")]
        pub queue_length: f64,
        /// Mean wait of an operation in milliseconds; left out when 0.
        #[serde(skip_serializing_if = "is_zero")]
        pub wait_ms: f64,
        /// Mean service time of an operation in milliseconds; left out when 0.
        #[serde(skip_serializing_if = "is_zero")]
        pub service_ms: f64,
    }

    /// Disk health, read from a cache that a collector with more rights writes.
    pub struct Smart {
        /// How reading went; `stale` keeps the devices, `no_cache` has none.
        pub status: Status,
        /// When the cache was written; left out when unknown.
        #[serde(skip_serializing_if = "is_zero")]
        pub updated_at: Option<Timestamp>,
        /// How many seconds the cache counts as fresh; left out when 0.
        #[serde(skip_serializing_if = "is_zero")]
        pub ttl_seconds: i64,
        /// The devices.
        pub devices: List<SmartDevice>,
    }

    /// Health of one device. `None` means unknown and is left out, a known 0 is sent.
    pub struct SmartDevice {
        /// Reference of the physical disk; left out when empty.
        #[serde(rename = "ref", skip_serializing_if = "is_zero")]
        pub reference: String,
        /// Device name.
        pub name: String,
        /// Path; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub device_path: String,
        /// Type, as in `sat` or `nvme`; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub device_type: String,
        /// Protocol, as in `ATA` or `NVMe`; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub protocol: String,
        /// Model; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub model: String,
        /// Serial number; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub serial: String,
        /// World wide name; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub wwn: String,
        /// The tool, as in `smartctl`.
        pub source: String,
        /// How reading this device went.
        pub status: Status,
        /// The tool's exit status.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub exit_status: Option<i64>,
        /// The device's own verdict.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub health: Option<SmartHealth>,
        /// Temperature in °C.
        #[serde(skip_serializing_if = "is_unknown")]
        pub temp_c: Option<f64>,
        /// Hours of operation.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub power_on_hours: Option<u64>,
        /// Worn share in percent.
        #[serde(skip_serializing_if = "is_unknown")]
        pub lifetime_used_percent: Option<f64>,
        /// NVMe critical warnings, a set of bits.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub critical_warning: Option<u64>,
        /// Attributes at or past their threshold; left out when empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub failing_attrs: Vec<FailingAttribute>,
    }

    /// A SMART attribute at or past its threshold.
    pub struct FailingAttribute {
        /// Number of the attribute; left out when 0.
        #[serde(skip_serializing_if = "is_zero")]
        pub id: i64,
        /// Name of the attribute.
        pub name: String,
        /// When it failed, as in `past` or `now`.
        pub when_failed: String,
    }

    /// A network interface. Rates are per second, rounded up to whole numbers.
    pub struct NetworkInterface {
        /// Name, as in `eth0`.
        pub name: String,
        /// Bytes received since the host started.
        pub bytes_recv: u64,
        /// Bytes sent since the host started.
        pub bytes_sent: u64,
        /// Bytes received per second.
        pub recv_rate_bytes_per_sec: f64,
        /// Bytes sent per second.
        pub sent_rate_bytes_per_sec: f64,
        /// Packets received since the host started.
        pub packets_recv: u64,
        /// Packets sent since the host started.
        pub packets_sent: u64,
        /// Packets received per second.
        pub recv_rate_packets_per_sec: f64,
        /// Packets sent per second.
        pub sent_rate_packets_per_sec: f64,
        /// Errors while receiving since the host started.
        pub err_in: u64,
        /// Errors while sending since the host started.
        pub err_out: u64,
        /// Packets dropped while receiving since the host started.
        pub drop_in: u64,
        /// Packets dropped while sending since the host started.
        pub drop_out: u64,
    }

    /// Uptime.
    pub struct System {
        /// Always true from a node.
        pub alive: bool,
        /// Seconds since the host started.
        pub uptime_seconds: u64,
        /// The same for people, as [`System::with_uptime`] writes it.
        pub uptime: String,
    }

    /// Processes.
    pub struct Processes {
        /// How many there are.
        pub process_count: i64,
    }

    /// Sockets.
    pub struct Connections {
        /// TCP sockets.
        pub tcp_count: i64,
        /// UDP sockets.
        pub udp_count: i64,
    }

    /// Pressure stall information of the three resources.
    pub struct Pressure {
        /// Waiting for a processor.
        pub cpu: PressureResource,
        /// Waiting for memory.
        pub memory: PressureResource,
        /// Waiting for input or output.
        pub io: PressureResource,
    }

    /// Pressure on one resource. With a status other than `ok` both groups are absent.
    pub struct PressureResource {
        /// `ok`, `not_found` (the file holds neither line), `unsupported` (no such file), `no_permission`, `error`.
        pub status: Status,
        /// At least one task waits; left out when unknown.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub some: Option<PressureGroup>,
        /// All tasks wait; left out when unknown.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub full: Option<PressureGroup>,
    }

    /// Shares of time in percent, and the sum of the waits.
    pub struct PressureGroup {
        /// Over 10 seconds.
        pub avg10: f64,
        /// Over 60 seconds.
        pub avg60: f64,
        /// Over 300 seconds.
        pub avg300: f64,
        /// Microseconds since the host started.
        pub total: u64,
    }

    /// RAID arrays.
    pub struct Raid {
        /// Whether this system has a source for them.
        pub supported: bool,
        /// Whether there is an array.
        pub available: bool,
        /// The arrays.
        pub arrays: List<RaidArray>,
    }

    /// A RAID array.
    pub struct RaidArray {
        /// Name, as in `md0`.
        pub name: String,
        /// Status, as in `active`.
        pub status: String,
        /// Members in use.
        pub active: i64,
        /// Members that work.
        pub working: i64,
        /// Members that failed.
        pub failed: i64,
        /// Health of the array.
        pub health: Health,
        /// The members.
        pub members: List<RaidMember>,
        /// What a synchronisation does; left out when there is none.
        #[serde(skip_serializing_if = "is_zero")]
        pub sync_status: String,
        /// How far a synchronisation is; left out when there is none.
        #[serde(skip_serializing_if = "is_zero")]
        pub sync_progress: String,
    }

    /// A member of an array.
    pub struct RaidMember {
        /// Device name.
        pub name: String,
        /// Its state.
        pub state: MemberState,
    }

    /// Temperatures.
    pub struct Thermal {
        /// How reading went.
        pub status: Status,
        /// When they were read; left out when unknown.
        #[serde(skip_serializing_if = "is_zero")]
        pub updated_at: Option<Timestamp>,
        /// The sensors.
        pub sensors: List<Sensor>,
    }

    /// A temperature sensor.
    pub struct Sensor {
        /// What it sits on.
        pub kind: SensorKind,
        /// Name for people.
        pub name: String,
        /// The source's own key.
        pub sensor_key: String,
        /// The library or tool that read it; `gopsutil` from the original.
        pub source: String,
        /// How reading went.
        pub status: Status,
        /// Temperature in °C.
        #[serde(skip_serializing_if = "is_unknown")]
        pub temp_c: Option<f64>,
        /// The temperature that counts as high, in °C.
        #[serde(skip_serializing_if = "is_unknown")]
        pub high_c: Option<f64>,
        /// The temperature that counts as critical, in °C.
        #[serde(skip_serializing_if = "is_unknown")]
        pub critical_c: Option<f64>,
    }
}

impl System {
    /// Returns the values of a living host that started `uptime_seconds` ago.
    ///
    /// ```
    /// let system = ithiltir_proto::wire::System::with_uptime(123_456);
    /// assert_eq!(system.uptime, "1d 10h 17m");
    /// ```
    #[must_use]
    pub fn with_uptime(uptime_seconds: u64) -> Self {
        let (days, hours, minutes) =
            (uptime_seconds / 86_400, uptime_seconds / 3_600 % 24, uptime_seconds / 60 % 60);
        Self { alive: true, uptime_seconds, uptime: format!("{days}d {hours}h {minutes}m") }
    }
}
