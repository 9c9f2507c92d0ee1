//! Samples of the proxies' counters. §8.5, §9.1.

use crate::attribution::{Counter, CounterKind, Direction};
use crate::value::Timestamp;
use std::collections::BTreeMap;

/// A proxy that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these two services")]
pub enum Proxy {
    /// Xray.
    Xray,
    /// telemt.
    Mtproto,
}

/// Bytes both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "there are two ways")]
pub struct Traffic {
    /// Bytes from the user.
    pub up: u64,
    /// Bytes to the user.
    pub down: u64,
}

impl Traffic {
    /// The greatest count, 2⁶³-1: sums stop there.
    pub const MOST: u64 = i64::MAX as u64;

    /// Whether there is no byte.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.up == 0 && self.down == 0
    }

    /// Returns the sums, each at most [`MOST`](Self::MOST).
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let add = |left: u64, right: u64| left.saturating_add(right).min(Self::MOST);
        Self { up: add(self.up, other.up), down: add(self.down, other.down) }
    }

    /// Returns what a counter rose by: all of it if it fell, for then it began anew.
    pub(super) fn since(self, last: Self) -> Self {
        let rise = |new: u64, last: u64| new.checked_sub(last).unwrap_or(new);
        Self { up: rise(self.up, last.up), down: rise(self.down, last.down) }
    }

    fn of(&mut self, direction: Direction) -> &mut u64 {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }
}

/// What all proxies have counted, at one instant. A proxy that does not run, or did not answer, is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "samples are written as struct literals")]
pub struct Counters {
    /// The proxies.
    pub proxies: Vec<ProxyCounters>,
}

/// What one proxy has counted since it was started. The counters are read and never reset.
///
/// A sample holds every counter of the process: one that is not in a sample of the same process is taken to have been 0 then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "samples are written as struct literals")]
pub struct ProxyCounters {
    /// Which proxy.
    pub proxy: Proxy,
    /// When its process was started. Another instant is another process, whose counters began at 0.
    pub started_at: Timestamp,
    /// Whether this agent has started it. Of a process that somebody else started and that was never sampled before, what
    /// it has counted so far is left alone, since nobody knows what of it was reported (§9.1).
    pub started_by_agent: bool,
    /// By the name of the user.
    pub users: BTreeMap<Box<str>, Traffic>,
    /// By the tag of the outbound.
    pub outbounds: BTreeMap<Box<str>, Traffic>,
}

impl ProxyCounters {
    /// Returns a sample without counters.
    #[must_use]
    pub fn new(proxy: Proxy, started_at: Timestamp, started_by_agent: bool) -> Self {
        Self { proxy, started_at, started_by_agent, users: BTreeMap::new(), outbounds: BTreeMap::new() }
    }

    /// Returns a sample of Xray from the names and values that its API lists. Counters of inbounds and what is no traffic
    /// counter are passed over; a negative value is 0.
    ///
    /// ```
    /// use core_node_proto::agent::{ProxyCounters, Traffic};
    ///
    /// let listed = [
    ///     ("user>>>u12.l3.s45.i6>>>traffic>>>uplink", 10),
    ///     ("user>>>u12.l3.s45.i6>>>traffic>>>downlink", 20),
    ///     ("user>>>u12.l3.s45.i6>>>online", 1),
    ///     ("outbound>>>direct>>>traffic>>>uplink", 30),
    /// ];
    /// let sample = ProxyCounters::xray("2030-01-02T03:04:05Z".parse()?, true, listed);
    /// assert_eq!(sample.users["u12.l3.s45.i6"], Traffic { up: 10, down: 20 });
    /// assert_eq!(sample.outbounds["direct"], Traffic { up: 30, down: 0 });
    /// # Ok::<(), core_node_proto::value::ValueError>(())
    /// ```
    pub fn xray<'a>(
        started_at: Timestamp,
        started_by_agent: bool,
        listed: impl IntoIterator<Item = (&'a str, i64)>,
    ) -> Self {
        let mut sample = Self::new(Proxy::Xray, started_at, started_by_agent);
        for (name, value) in listed {
            let Some(counter) = Counter::parse(name) else { continue };
            let table = match counter.kind() {
                CounterKind::User => &mut sample.users,
                CounterKind::Outbound => &mut sample.outbounds,
                CounterKind::Inbound => continue,
            };
            *table.entry(counter.key().into()).or_default().of(counter.direction()) =
                value.max(0).unsigned_abs();
        }
        sample
    }

    /// Returns a sample of telemt from its counters `telemt_user_octets_from_client` and `telemt_user_octets_to_client`, each
    /// with the user that its label names.
    pub fn telemt<'a>(
        started_at: Timestamp,
        started_by_agent: bool,
        from_client: impl IntoIterator<Item = (&'a str, u64)>,
        to_client: impl IntoIterator<Item = (&'a str, u64)>,
    ) -> Self {
        let mut sample = Self::new(Proxy::Mtproto, started_at, started_by_agent);
        for (name, value) in from_client {
            sample.users.entry(name.into()).or_default().up = value;
        }
        for (name, value) in to_client {
            sample.users.entry(name.into()).or_default().down = value;
        }
        sample
    }
}
