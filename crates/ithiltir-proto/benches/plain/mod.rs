//! The struct tree of a report with a plain derive: what a user would write by hand, and the limit of the
//! measurements. Times and open enumerations are strings, nothing is tolerated, nothing is validated.
#![allow(dead_code, missing_docs, reason = "it is read into, and no more")]

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct NodeReport {
    pub(crate) version: String,
    pub(crate) hostname: String,
    pub(crate) timestamp: String,
    pub(crate) metrics: Snapshot,
}

#[derive(Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) cpu: Cpu,
    pub(crate) memory: Memory,
    pub(crate) disk: Disk,
    pub(crate) network: Vec<NetworkInterface>,
    pub(crate) system: System,
    pub(crate) processes: Processes,
    pub(crate) connections: Connections,
    pub(crate) pressure: Pressure,
    pub(crate) raid: Raid,
    #[serde(default)]
    pub(crate) thermal: Option<Thermal>,
}

#[derive(Deserialize)]
pub(crate) struct Cpu {
    pub(crate) usage_ratio: f64,
    pub(crate) load1: f64,
    pub(crate) load5: f64,
    pub(crate) load15: f64,
    pub(crate) times: CpuTimes,
}

#[derive(Deserialize)]
pub(crate) struct CpuTimes {
    pub(crate) user: f64,
    pub(crate) system: f64,
    pub(crate) idle: f64,
    pub(crate) iowait: f64,
    pub(crate) steal: f64,
}

#[derive(Deserialize)]
pub(crate) struct Memory {
    pub(crate) used: u64,
    pub(crate) available: u64,
    pub(crate) buffers: u64,
    pub(crate) cached: u64,
    pub(crate) used_ratio: f64,
    pub(crate) swap_used: u64,
    pub(crate) swap_free: u64,
    pub(crate) swap_used_ratio: f64,
}

#[derive(Deserialize)]
pub(crate) struct Disk {
    pub(crate) physical: Vec<PhysicalDisk>,
    pub(crate) logical: Vec<LogicalDisk>,
    pub(crate) filesystems: Vec<Filesystem>,
    pub(crate) base_io: Vec<BaseIo>,
    #[serde(default)]
    pub(crate) smart: Option<Smart>,
}

#[derive(Deserialize)]
pub(crate) struct PhysicalDisk {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) device_path: String,
    #[serde(rename = "ref", default)]
    pub(crate) reference: String,
    pub(crate) read_bytes: u64,
    pub(crate) write_bytes: u64,
    pub(crate) read_rate_bytes_per_sec: f64,
    pub(crate) write_rate_bytes_per_sec: f64,
    pub(crate) iops: f64,
    pub(crate) read_iops: f64,
    pub(crate) write_iops: f64,
    pub(crate) util_ratio: f64,
    pub(crate) queue_length: f64,
    pub(crate) wait_ms: f64,
    pub(crate) service_ms: f64,
}

#[derive(Deserialize)]
pub(crate) struct LogicalDisk {
    pub(crate) kind: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) device_path: String,
    #[serde(rename = "ref", default)]
    pub(crate) reference: String,
    pub(crate) used: u64,
    pub(crate) free: u64,
    pub(crate) used_ratio: f64,
    #[serde(default)]
    pub(crate) health: String,
}

#[derive(Deserialize)]
pub(crate) struct Filesystem {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) device: String,
    #[serde(default)]
    pub(crate) mountpoint: String,
    pub(crate) used: u64,
    pub(crate) free: u64,
    pub(crate) used_ratio: f64,
    pub(crate) inodes_used: u64,
    pub(crate) inodes_free: u64,
    pub(crate) inodes_used_ratio: f64,
}

#[derive(Deserialize)]
pub(crate) struct BaseIo {
    pub(crate) kind: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) device_path: String,
    #[serde(rename = "ref", default)]
    pub(crate) reference: String,
    #[serde(default)]
    pub(crate) read_bytes: u64,
    #[serde(default)]
    pub(crate) write_bytes: u64,
    pub(crate) read_rate_bytes_per_sec: f64,
    pub(crate) write_rate_bytes_per_sec: f64,
    pub(crate) read_iops: f64,
    pub(crate) write_iops: f64,
    pub(crate) iops: f64,
    #[serde(default)]
    pub(crate) util_ratio: f64,
    #[serde(default)]
    pub(crate) queue_length: f64,
    #[serde(default)]
    pub(crate) wait_ms: f64,
    #[serde(default)]
    pub(crate) service_ms: f64,
}

#[derive(Deserialize)]
pub(crate) struct Smart {
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) updated_at: Option<String>,
    #[serde(default)]
    pub(crate) ttl_seconds: i64,
    pub(crate) devices: Vec<SmartDevice>,
}

#[derive(Deserialize)]
pub(crate) struct SmartDevice {
    #[serde(rename = "ref", default)]
    pub(crate) reference: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) device_path: String,
    #[serde(default)]
    pub(crate) device_type: String,
    #[serde(default)]
    pub(crate) protocol: String,
    #[serde(default)]
    pub(crate) model: String,
    #[serde(default)]
    pub(crate) serial: String,
    #[serde(default)]
    pub(crate) wwn: String,
    pub(crate) source: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) exit_status: Option<i64>,
    #[serde(default)]
    pub(crate) health: Option<String>,
    #[serde(default)]
    pub(crate) temp_c: Option<f64>,
    #[serde(default)]
    pub(crate) power_on_hours: Option<u64>,
    #[serde(default)]
    pub(crate) lifetime_used_percent: Option<f64>,
    #[serde(default)]
    pub(crate) critical_warning: Option<u64>,
    #[serde(default)]
    pub(crate) failing_attrs: Vec<FailingAttribute>,
}

#[derive(Deserialize)]
pub(crate) struct FailingAttribute {
    #[serde(default)]
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) when_failed: String,
}

#[derive(Deserialize)]
pub(crate) struct NetworkInterface {
    pub(crate) name: String,
    pub(crate) bytes_recv: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) recv_rate_bytes_per_sec: f64,
    pub(crate) sent_rate_bytes_per_sec: f64,
    pub(crate) packets_recv: u64,
    pub(crate) packets_sent: u64,
    pub(crate) recv_rate_packets_per_sec: f64,
    pub(crate) sent_rate_packets_per_sec: f64,
    pub(crate) err_in: u64,
    pub(crate) err_out: u64,
    pub(crate) drop_in: u64,
    pub(crate) drop_out: u64,
}

#[derive(Deserialize)]
pub(crate) struct System {
    pub(crate) alive: bool,
    pub(crate) uptime_seconds: u64,
    pub(crate) uptime: String,
}

#[derive(Deserialize)]
pub(crate) struct Processes {
    pub(crate) process_count: i64,
}

#[derive(Deserialize)]
pub(crate) struct Connections {
    pub(crate) tcp_count: i64,
    pub(crate) udp_count: i64,
}

#[derive(Deserialize)]
pub(crate) struct Pressure {
    pub(crate) cpu: PressureResource,
    pub(crate) memory: PressureResource,
    pub(crate) io: PressureResource,
}

#[derive(Deserialize)]
pub(crate) struct PressureResource {
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) some: Option<PressureGroup>,
    #[serde(default)]
    pub(crate) full: Option<PressureGroup>,
}

#[derive(Deserialize)]
pub(crate) struct PressureGroup {
    pub(crate) avg10: f64,
    pub(crate) avg60: f64,
    pub(crate) avg300: f64,
    pub(crate) total: u64,
}

#[derive(Deserialize)]
pub(crate) struct Raid {
    pub(crate) supported: bool,
    pub(crate) available: bool,
    pub(crate) arrays: Vec<RaidArray>,
}

#[derive(Deserialize)]
pub(crate) struct RaidArray {
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) active: i64,
    pub(crate) working: i64,
    pub(crate) failed: i64,
    pub(crate) health: String,
    pub(crate) members: Vec<RaidMember>,
    #[serde(default)]
    pub(crate) sync_status: String,
    #[serde(default)]
    pub(crate) sync_progress: String,
}

#[derive(Deserialize)]
pub(crate) struct RaidMember {
    pub(crate) name: String,
    pub(crate) state: String,
}

#[derive(Deserialize)]
pub(crate) struct Thermal {
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) updated_at: Option<String>,
    pub(crate) sensors: Vec<Sensor>,
}

#[derive(Deserialize)]
pub(crate) struct Sensor {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) sensor_key: String,
    pub(crate) source: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) temp_c: Option<f64>,
    #[serde(default)]
    pub(crate) high_c: Option<f64>,
    #[serde(default)]
    pub(crate) critical_c: Option<f64>,
}
