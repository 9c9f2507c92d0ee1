//! Statistics as JSON: what a node answers when it is asked live, and what Core answers about a node.
//!
//! Nothing describes these bodies; they are this crate's, with the names of `ReportNodeStats`:
//!
//! ```json
//! {"at":"2030-01-02T03:04:05.678Z",
//!  "system":{"uptimeSeconds":5,"cpuPercent":12.5,"cpuCores":4,"ramUsed":1,"ramTotal":2,"diskUsed":3,"diskTotal":4,
//!            "netRxPerSec":0.5,"netTxPerSec":0.5,"netRxTotal":6,"netTxTotal":7},
//!  "xray":{"running":true,"uptimeSeconds":4},
//!  "mtproto":{"mt":{"running":true}}}
//! ```
//!
//! Every part may be absent; a part that is there is whole, but for Xray's uptime and the members of MTProto statuses.

use super::json::{HttpBody, ObjectWriter, Raw, body, members, optional, required};
use super::usage::read_bytes;
use super::{FieldError, MtProtoStatuses, NodeStats, SystemStats, XrayStats};
use crate::json::Scalar;
use crate::value::{ByteCount, Timestamp, ValueError};
use std::time::Duration;

/// A node's answer to the live fetch of its statistics (`?fromNode=true`).
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct RuntimeStatus {
    /// When the node took them, by its clock.
    pub at: Option<Timestamp>,
    /// The statistics. Written [`cleaned`](NodeStats::cleaned).
    pub stats: NodeStats,
}

/// Core's answer about the statistics that it has of a node.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct StoredRuntimeStatus {
    /// When Core received them.
    pub received_at: Timestamp,
    /// How long ago that was; in whole milliseconds on the wire, as `ageMs`.
    pub age: Duration,
    /// The statistics. Written [`cleaned`](NodeStats::cleaned).
    pub stats: NodeStats,
}

members! {
    struct StatusMembers<'a> {
        "at" at: Scalar<'a>,
        "receivedAt" received_at: Scalar<'a>,
        "ageMs" age: Scalar<'a>,
        "system" system: Raw<'a>,
        "xray" xray: Raw<'a>,
        "mtproto" mtproto: Raw<'a>,
    }
}

members! {
    struct SystemMembers<'a> {
        "uptimeSeconds" uptime_seconds: Scalar<'a>,
        "cpuPercent" cpu_percent: Scalar<'a>,
        "cpuCores" cpu_cores: Scalar<'a>,
        "ramUsed" ram_used: Scalar<'a>,
        "ramTotal" ram_total: Scalar<'a>,
        "diskUsed" disk_used: Scalar<'a>,
        "diskTotal" disk_total: Scalar<'a>,
        "netRxPerSec" net_rx_per_sec: Scalar<'a>,
        "netTxPerSec" net_tx_per_sec: Scalar<'a>,
        "netRxTotal" net_rx_total: Scalar<'a>,
        "netTxTotal" net_tx_total: Scalar<'a>,
    }
}

members! {
    struct XrayMembers<'a> {
        "running" running: Scalar<'a>,
        "uptimeSeconds" uptime_seconds: Scalar<'a>,
    }
}

impl HttpBody for RuntimeStatus {
    fn from_json(json: &[u8]) -> Result<Self, FieldError> {
        let members: StatusMembers<'_> = body(json)?;
        Ok(Self { at: optional("at", &members.at, read_instant)?, stats: read_stats(&members)? })
    }

    fn to_json(&self) -> Result<Vec<u8>, FieldError> {
        let stats = checked(&self.stats)?;
        Ok(ObjectWriter::body(|object| {
            object.optional_text("at", self.at.map(|at| at.to_string()).as_deref());
            write_stats(&stats, object);
        }))
    }
}

impl HttpBody for StoredRuntimeStatus {
    fn from_json(json: &[u8]) -> Result<Self, FieldError> {
        let members: StatusMembers<'_> = body(json)?;
        Ok(Self {
            received_at: required("receivedAt", &members.received_at, read_instant)?,
            age: Duration::from_millis(read_bytes("ageMs", &members.age)?.get()),
            stats: read_stats(&members)?,
        })
    }

    fn to_json(&self) -> Result<Vec<u8>, FieldError> {
        let stats = checked(&self.stats)?;
        let age = u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX).min(ByteCount::MAX_HTTP.get());
        Ok(ObjectWriter::body(|object| {
            object.text("receivedAt", &self.received_at.to_string());
            object.number("ageMs", age);
            write_stats(&stats, object);
        }))
    }
}

impl From<RuntimeStatus> for NodeStats {
    fn from(status: RuntimeStatus) -> Self {
        status.stats
    }
}

fn read_instant(at: &Scalar<'_>) -> Result<Timestamp, ValueError> {
    at.text()?.parse()
}

fn read_stats(members: &StatusMembers<'_>) -> Result<NodeStats, FieldError> {
    let system = members.system.object("system")?;
    let xray = members.xray.object("xray")?;
    // As in a report: what is not readable here costs this part only.
    let mtproto = members.mtproto.object("mtproto").ok().flatten();
    let system = system.map(|system| read_system(system.text()).map_err(|error| error.within("system")));
    let xray = xray.map(|xray| read_xray(xray.text()).map_err(|error| error.within("xray")));
    Ok(NodeStats {
        system: system.transpose()?,
        xray: xray.transpose()?,
        mtproto: mtproto.and_then(|statuses| MtProtoStatuses::from_json(statuses.text()).ok()),
    })
}

fn read_system(json: &str) -> Result<SystemStats, FieldError> {
    let members: SystemMembers<'_> = body(json.as_bytes())?;
    let most = i32::MAX as u64;
    let cores = |number: &Scalar<'_>| {
        let cores = u32::try_from(number.whole()?).ok().filter(|cores| u64::from(*cores) <= most);
        cores.ok_or(ValueError::OutOfRange { least: 0, most })
    };
    Ok(SystemStats {
        uptime_seconds: read_bytes("uptimeSeconds", &members.uptime_seconds)?.get(),
        cpu_percent: required("cpuPercent", &members.cpu_percent, |number| number.number())?,
        cpu_cores: required("cpuCores", &members.cpu_cores, cores)?,
        ram_used: read_bytes("ramUsed", &members.ram_used)?,
        ram_total: read_bytes("ramTotal", &members.ram_total)?,
        disk_used: read_bytes("diskUsed", &members.disk_used)?,
        disk_total: read_bytes("diskTotal", &members.disk_total)?,
        net_rx_per_sec: required("netRxPerSec", &members.net_rx_per_sec, |number| number.number())?,
        net_tx_per_sec: required("netTxPerSec", &members.net_tx_per_sec, |number| number.number())?,
        net_rx_total: read_bytes("netRxTotal", &members.net_rx_total)?,
        net_tx_total: read_bytes("netTxTotal", &members.net_tx_total)?,
    })
}

fn read_xray(json: &str) -> Result<XrayStats, FieldError> {
    let members: XrayMembers<'_> = body(json.as_bytes())?;
    Ok(XrayStats {
        running: required("running", &members.running, |value| value.boolean())?,
        uptime_seconds: optional("uptimeSeconds", &members.uptime_seconds, |number| {
            Ok(ByteCount::from_http(number.whole()?)?.get())
        })?,
    })
}

/// Returns what can be written, or which field cannot.
fn checked(stats: &NodeStats) -> Result<NodeStats, FieldError> {
    let stats = stats.clone().cleaned();
    stats.check()?;
    if let Some(system) = &stats.system {
        for (name, number) in whole_numbers(system) {
            check_number(name, number).map_err(|error| error.within("system"))?;
        }
    }
    let uptime = stats.xray.and_then(|xray| xray.uptime_seconds).unwrap_or(0);
    check_number("uptimeSeconds", uptime).map_err(|error| error.within("xray"))?;
    Ok(stats)
}

fn check_number(name: &str, number: u64) -> Result<(), FieldError> {
    let most = ByteCount::MAX_HTTP.get();
    if number <= most {
        Ok(())
    } else {
        Err(FieldError::new(name, ValueError::OutOfRange { least: 0, most }))
    }
}

fn whole_numbers(system: &SystemStats) -> [(&'static str, u64); 8] {
    [
        ("uptimeSeconds", system.uptime_seconds),
        ("cpuCores", system.cpu_cores.into()),
        ("ramUsed", system.ram_used.get()),
        ("ramTotal", system.ram_total.get()),
        ("diskUsed", system.disk_used.get()),
        ("diskTotal", system.disk_total.get()),
        ("netRxTotal", system.net_rx_total.get()),
        ("netTxTotal", system.net_tx_total.get()),
    ]
}

fn write_stats(stats: &NodeStats, object: &mut ObjectWriter<'_>) {
    if let Some(system) = &stats.system {
        object.member("system", |object| write_system(system, object));
    }
    if let Some(xray) = &stats.xray {
        object.member("xray", |object| {
            object.boolean("running", xray.running);
            if let Some(uptime) = xray.uptime_seconds {
                object.number("uptimeSeconds", uptime);
            }
        });
    }
    if let Some(mtproto) = &stats.mtproto {
        object.text_of_json("mtproto", &mtproto.to_json());
    }
}

fn write_system(system: &SystemStats, object: &mut ObjectWriter<'_>) {
    for (name, number) in whole_numbers(system) {
        object.number(name, number);
    }
    object.float("cpuPercent", system.cpu_percent);
    object.float("netRxPerSec", system.net_rx_per_sec);
    object.float("netTxPerSec", system.net_tx_per_sec);
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"at":"2030-01-02T03:04:05.678Z","system":{"uptimeSeconds":5,"cpuPercent":12.5,"cpuCores":4,
        "ramUsed":1,"ramTotal":2,"diskUsed":3,"diskTotal":4,"netRxPerSec":100,"netTxPerSec":0.5,"netRxTotal":6,
        "netTxTotal":7},"xray":{"running":true,"uptimeSeconds":4},"mtproto":{"mt":{"running":true}},"more":1}"#;

    fn read(text: &str) -> Result<RuntimeStatus, (String, ValueError)> {
        RuntimeStatus::from_json(text.as_bytes()).map_err(|error| (error.path().to_owned(), error.error()))
    }

    #[test]
    fn a_node_answers_with_its_statistics_and_when_it_took_them() {
        let status = read(BODY).unwrap();
        let system = status.stats.system.unwrap();
        assert_eq!((system.uptime_seconds, system.cpu_percent, system.cpu_cores), (5, 12.5, 4));
        assert_eq!((system.net_rx_per_sec, system.net_tx_per_sec), (100.0, 0.5));
        assert_eq!((system.ram_total.get(), system.disk_used.get(), system.net_tx_total.get()), (2, 3, 7));
        assert_eq!(status.stats.xray, Some(XrayStats { running: true, uptime_seconds: Some(4) }));
        assert_eq!(status.stats.mtproto.as_ref().unwrap().get("mt").unwrap().running, Some(true));
        assert_eq!(status.at.unwrap().to_string(), "2030-01-02T03:04:05.678Z");
        let written = status.to_json().unwrap();
        assert_eq!(RuntimeStatus::from_json(&written), Ok(status));
    }

    #[test]
    fn every_part_may_be_absent_and_an_unreadable_mtproto_costs_itself_only() {
        assert_eq!(read(""), Ok(RuntimeStatus::default()));
        assert_eq!(RuntimeStatus::default().to_json().unwrap(), b"{}");
        let status = read(r#"{"xray":{"running":false},"mtproto":{"mt":1},"system":null}"#).unwrap();
        assert_eq!((status.stats.system, status.stats.mtproto), (None, None));
        assert_eq!(status.stats.xray, Some(XrayStats::default()));
        assert_eq!(read(r#"{"mtproto":[]}"#), Ok(RuntimeStatus::default()));
    }

    #[test]
    fn a_field_that_breaks_a_rule_is_named() {
        let path = |from: &str, to: &str| read(&BODY.replace(from, to)).map_err(|(path, _)| path).err();
        let path = |from, to| path(from, to).unwrap_or_default();
        assert_eq!(path(r#""cpuPercent":12.5,"#, ""), "system.cpuPercent");
        assert_eq!(path("12.5", "\"12.5\""), "system.cpuPercent");
        assert_eq!(path(r#""ramUsed":1"#, r#""ramUsed":1.5"#), "system.ramUsed");
        assert_eq!(path(r#""ramUsed":1"#, r#""ramUsed":-1"#), "system.ramUsed");
        assert_eq!(path(r#""cpuCores":4"#, r#""cpuCores":2147483648"#), "system.cpuCores");
        assert_eq!(path(r#""running":true,"#, ""), "xray.running");
        assert_eq!(path("2030", "no"), "at");
        assert_eq!(read(r#"{"system":[]}"#), Err(("system".to_owned(), ValueError::NotAnObject)));
        assert_eq!(read("[]"), Err((String::new(), ValueError::NotAnObject)));
    }

    #[test]
    fn what_is_written_is_clean_and_can_be_read() {
        let stats = |system: SystemStats| NodeStats { system: Some(system), ..NodeStats::default() };
        let odd = stats(SystemStats { cpu_percent: f64::NAN, ..SystemStats::default() });
        let written = RuntimeStatus { at: None, stats: odd }.to_json().unwrap();
        assert_eq!(RuntimeStatus::from_json(&written).unwrap().stats, stats(SystemStats::default()));
        let huge = stats(SystemStats { ram_used: ByteCount::MAX, ..SystemStats::default() });
        let error = RuntimeStatus { at: None, stats: huge }.to_json().unwrap_err();
        assert_eq!(error.path(), "system.ramUsed");
    }

    #[test]
    fn core_says_when_it_received_them_and_how_long_ago() {
        let status = StoredRuntimeStatus {
            received_at: "2030-01-02T03:04:05.678Z".parse().unwrap(),
            age: Duration::from_millis(1500),
            stats: NodeStats::default(),
        };
        let text = r#"{"receivedAt":"2030-01-02T03:04:05.678Z","ageMs":1500}"#;
        assert_eq!(String::from_utf8(status.to_json().unwrap()).unwrap(), text);
        assert_eq!(StoredRuntimeStatus::from_json(text.as_bytes()), Ok(status));
        assert_eq!(StoredRuntimeStatus::from_json(b"{}").unwrap_err().path(), "receivedAt");
    }
}
