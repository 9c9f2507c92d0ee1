//! Counters of network interfaces and the rates they give.

use super::figures::per_second;
use ithiltir_proto::wire::NetworkInterface;
use std::collections::BTreeMap;
use std::time::Duration;

/// Counters by name of the interface.
pub(super) type InterfaceTable = BTreeMap<String, InterfaceCounters>;

/// What passed an interface since the host started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InterfaceCounters {
    pub(super) received: Direction,
    pub(super) sent: Direction,
}

/// One direction of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) bytes: u64,
    pub(super) packets: u64,
    pub(super) errors: u64,
    pub(super) drops: u64,
}

/// Returns the figures of an interface; one that was not there before has the rates 0.
pub(super) fn interface(
    name: &str,
    now: InterfaceCounters,
    before: Option<&InterfaceCounters>,
    elapsed: Duration,
) -> NetworkInterface {
    let InterfaceCounters { received, sent } = now;
    let before = before.copied().unwrap_or(now);
    NetworkInterface {
        name: name.to_owned(),
        bytes_recv: received.bytes,
        bytes_sent: sent.bytes,
        recv_rate_bytes_per_sec: per_second(received.bytes, before.received.bytes, elapsed),
        sent_rate_bytes_per_sec: per_second(sent.bytes, before.sent.bytes, elapsed),
        packets_recv: received.packets,
        packets_sent: sent.packets,
        recv_rate_packets_per_sec: per_second(received.packets, before.received.packets, elapsed),
        sent_rate_packets_per_sec: per_second(sent.packets, before.sent.packets, elapsed),
        err_in: received.errors,
        err_out: sent.errors,
        drop_in: received.drops,
        drop_out: sent.drops,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_rounded_up_and_a_restarted_counter_gives_zero() {
        let counters = |bytes, packets| InterfaceCounters {
            received: Direction { bytes, packets, ..Direction::default() },
            sent: Direction::default(),
        };
        let elapsed = Duration::from_secs(3);
        let grown = interface("eth0", counters(1_001, 7), Some(&counters(1, 0)), elapsed);
        assert_eq!((grown.recv_rate_bytes_per_sec, grown.recv_rate_packets_per_sec), (334.0, 3.0));
        let restarted = interface("eth0", counters(5, 7), Some(&counters(1_001, 0)), elapsed);
        assert_eq!((restarted.recv_rate_bytes_per_sec, restarted.recv_rate_packets_per_sec), (0.0, 3.0));
        assert_eq!(interface("eth0", counters(5, 7), None, elapsed).recv_rate_packets_per_sec, 0.0);
    }
}
