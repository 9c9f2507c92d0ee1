//! This machine, as an agent reports it.

use core_node_proto::message::SystemStats;
use core_node_proto::value::ByteCount;
use std::path::Path;
use std::time::{Duration, Instant};
use sysinfo::{Disks, Networks, System};

/// Measures this machine. Keeps what it measured last, as rates are those since then.
#[derive(Debug)]
pub struct Host {
    system: System,
    last: Option<(Instant, Traffic)>,
}

/// Bytes over all interfaces that have a hardware address, which the loopback has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traffic {
    received: u64,
    sent: u64,
}

impl Host {
    /// Begins to measure.
    #[must_use]
    pub fn new() -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage(); // What the first sample's share of busy time is taken from.
        Self { system, last: None }
    }

    /// Takes a sample. The load is that since the sample before, or since [`new`](Self::new); rates are 0 in the first.
    pub fn sample(&mut self) -> SystemStats {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let (now, traffic) = (Instant::now(), traffic());
        let last = self.last.replace((now, traffic));
        let rate = |bytes: fn(Traffic) -> u64| {
            last.map_or(0.0, |(at, last)| rate(bytes(last), bytes(traffic), now.duration_since(at)))
        };
        let (disk_used, disk_total) = disk();
        SystemStats {
            uptime_seconds: System::uptime(),
            cpu_percent: f64::from(self.system.global_cpu_usage()).clamp(0.0, 100.0),
            cpu_cores: u32::try_from(self.system.cpus().len()).unwrap_or_default(),
            ram_used: count(self.system.used_memory()),
            ram_total: count(self.system.total_memory()),
            disk_used,
            disk_total,
            net_rx_per_sec: rate(|traffic| traffic.received),
            net_tx_per_sec: rate(|traffic| traffic.sent),
            net_rx_total: count(traffic.received),
            net_tx_total: count(traffic.sent),
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

fn traffic() -> Traffic {
    let mut sum = Traffic::default();
    for (_, interface) in &Networks::new_with_refreshed_list() {
        if !interface.mac_address().is_unspecified() {
            sum.received = sum.received.saturating_add(interface.total_received());
            sum.sent = sum.sent.saturating_add(interface.total_transmitted());
        }
    }
    sum
}

/// Returns how much of the system's disk is in use, and how large it is.
fn disk() -> (ByteCount, ByteCount) {
    let disks = Disks::new_with_refreshed_list();
    let root = Path::new(if cfg!(windows) { r"C:\" } else { "/" });
    let disk = disks.iter().find(|disk| disk.mount_point() == root).or_else(|| disks.first());
    let (total, free) = disk.map_or((0, 0), |disk| (disk.total_space(), disk.available_space()));
    (count(total.saturating_sub(free)), count(total))
}

/// Returns bytes per second; 0 for a counter that fell, as one does with an interface that went away.
fn rate(before: u64, now: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 }
}

fn count(bytes: u64) -> ByteCount {
    ByteCount::new(bytes).unwrap_or(ByteCount::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_node_proto::message::{HttpBody, NodeStats, RuntimeStatus};

    #[test]
    fn a_sample_of_this_machine_can_be_sent() {
        let mut host = Host::new();
        let first = host.sample();
        assert_eq!((first.net_rx_per_sec, first.net_tx_per_sec), (0.0, 0.0));
        std::thread::sleep(Duration::from_millis(250));
        let system = host.sample();
        assert!((0.0..=100.0).contains(&system.cpu_percent), "{system:?}");
        assert!(system.cpu_cores > 0 && system.uptime_seconds > 0, "{system:?}");
        assert!(system.ram_used.get() > 0 && system.ram_used <= system.ram_total, "{system:?}");
        assert!(system.disk_used <= system.disk_total && system.disk_total.get() > 0, "{system:?}");
        let stats = NodeStats { system: Some(system), ..NodeStats::default() };
        let body = RuntimeStatus { at: None, stats: stats.clone() }.to_json().unwrap();
        assert_eq!(RuntimeStatus::from_json(&body).unwrap().stats, stats);
    }

    #[test]
    fn rates_are_those_since_the_sample_before() {
        assert_eq!(rate(1000, 4000, Duration::from_millis(1500)), 2000.0);
        assert_eq!(rate(4000, 1000, Duration::from_secs(1)), 0.0);
        assert_eq!(rate(0, 1000, Duration::ZERO), 0.0);
    }
}
