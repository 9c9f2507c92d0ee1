//! Statistics of a node. §10.9 to §10.11.

use super::{FieldError, MtProtoStatuses};
use crate::value::{ByteCount, ValueError};

/// A node's statistics at one instant. They travel over gRPC only, and none of the parts is needed.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct NodeStats {
    /// The host.
    pub system: Option<SystemStats>,
    /// Xray.
    pub xray: Option<XrayStats>,
    /// The MTProto inbounds; `None` if what came was not readable.
    pub mtproto: Option<MtProtoStatuses>,
}

/// How a host is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct SystemStats {
    /// How long it has been running, in whole seconds.
    pub uptime_seconds: u64,
    /// The load of all cores together, 0 to 100; not checked.
    pub cpu_percent: f64,
    /// The number of cores, up to 2³¹-1.
    pub cpu_cores: u32,
    /// Memory in use, in bytes.
    pub ram_used: ByteCount,
    /// Memory, in bytes.
    pub ram_total: ByteCount,
    /// Disk space in use, in bytes.
    pub disk_used: ByteCount,
    /// Disk space, in bytes.
    pub disk_total: ByteCount,
    /// Bytes received per second since the sample before; 0 in the first.
    pub net_rx_per_sec: f64,
    /// Bytes sent per second since the sample before; 0 in the first.
    pub net_tx_per_sec: f64,
    /// Bytes received.
    pub net_rx_total: ByteCount,
    /// Bytes sent.
    pub net_tx_total: ByteCount,
}

/// How Xray is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct XrayStats {
    /// Whether it runs.
    pub running: bool,
    /// How long it has been running, in whole seconds; only while it runs.
    pub uptime_seconds: Option<u64>,
}

impl NodeStats {
    /// Returns them as an agent sends them: 0 for rates that are no finite numbers, and no uptime of an Xray that
    /// does not run.
    #[must_use]
    pub fn cleaned(self) -> Self {
        Self {
            system: self.system.map(SystemStats::cleaned),
            xray: self.xray.map(XrayStats::cleaned),
            ..self
        }
    }

    /// Checks the rules that the types do not hold.
    ///
    /// # Errors
    /// The first field that breaks one: an uptime above 2⁶³-1 seconds, more than 2³¹-1 cores. `cpu_percent` and rates
    /// are not checked.
    pub fn check(&self) -> Result<(), FieldError> {
        if let Some(system) = &self.system {
            system.check().map_err(|error| error.within("system"))?;
        }
        let uptime = self.xray.and_then(|xray| xray.uptime_seconds).unwrap_or(0);
        check_range("uptimeSeconds", uptime, ByteCount::MAX.get()).map_err(|error| error.within("xray"))
    }
}

impl SystemStats {
    /// Returns them with 0 for numbers that are not finite.
    #[must_use]
    pub fn cleaned(self) -> Self {
        let finite = |number: f64| if number.is_finite() { number } else { 0.0 };
        Self {
            cpu_percent: finite(self.cpu_percent),
            net_rx_per_sec: finite(self.net_rx_per_sec),
            net_tx_per_sec: finite(self.net_tx_per_sec),
            ..self
        }
    }

    fn check(&self) -> Result<(), FieldError> {
        check_range("uptimeSeconds", self.uptime_seconds, ByteCount::MAX.get())?;
        check_range("cpuCores", self.cpu_cores.into(), i32::MAX as u64)
    }
}

impl XrayStats {
    /// Returns them without an uptime if it does not run.
    #[must_use]
    pub fn cleaned(self) -> Self {
        Self { uptime_seconds: self.uptime_seconds.filter(|_| self.running), ..self }
    }
}

fn check_range(name: &str, number: u64, most: u64) -> Result<(), FieldError> {
    if number <= most {
        Ok(())
    } else {
        Err(FieldError::new(name, ValueError::OutOfRange { least: 0, most }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_not_finite_are_sent_as_0() {
        let system = SystemStats {
            cpu_percent: f64::NAN,
            net_rx_per_sec: f64::INFINITY,
            net_tx_per_sec: f64::NEG_INFINITY,
            ..SystemStats::default()
        };
        assert_eq!(system.cleaned(), SystemStats::default());
        let half = SystemStats { cpu_percent: 0.5, ..SystemStats::default() };
        assert_eq!(half.cleaned(), half);
    }

    #[test]
    fn only_an_xray_that_runs_has_an_uptime() {
        let running = XrayStats { running: true, uptime_seconds: Some(3) };
        assert_eq!(running.cleaned(), running);
        assert_eq!(XrayStats { running: false, ..running }.cleaned().uptime_seconds, None);
    }

    #[test]
    fn what_does_not_fit_its_field_is_refused() {
        let path = |stats: NodeStats| stats.check().map_err(|error| error.path().to_owned());
        assert_eq!(path(NodeStats::default()), Ok(()));
        let xray = Some(XrayStats { running: true, uptime_seconds: Some(1 << 63) });
        assert_eq!(path(NodeStats { xray, ..NodeStats::default() }), Err("xray.uptimeSeconds".to_owned()));
        let system = Some(SystemStats { cpu_cores: 1 << 31, ..SystemStats::default() });
        assert_eq!(path(NodeStats { system, ..NodeStats::default() }), Err("system.cpuCores".to_owned()));
    }
}
