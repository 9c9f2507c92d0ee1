//! Which way calls go. §2.9, §12.

use super::calls::{Flight, Purpose};
use super::machine::{Agent, Timer};
use super::output::Event;
use crate::Method;
use crate::call::{Failure, FailureKind, GrpcCode, Link, Reply};
use std::collections::BTreeMap;
use web_time::Instant;

pub(super) struct LinkState {
    /// HTTP is the fallback.
    pub(super) current: Link,
    /// Failures of gRPC's transport in a row.
    failures: u32,
    /// Answers `UNKNOWN` in a row.
    unknowns: u32,
    /// Calls that Core does not have, and until when that is believed.
    missing: BTreeMap<(Method, Link), Instant>,
}

impl LinkState {
    pub(super) fn new() -> Self {
        Self { current: Link::Grpc, failures: 0, unknowns: 0, missing: BTreeMap::new() }
    }

    /// Returns how a call goes now; `None` if there is no way.
    pub(super) fn choose(&self, method: Method, now: Instant) -> Option<Link> {
        let has = |link: Link| match link {
            Link::Grpc => method.grpc_path().is_some() && self.current == Link::Grpc,
            Link::Http => method.http_route().is_some(),
        };
        let is_missing = |link| self.missing.get(&(method, link)).is_some_and(|&until| now < until);
        [Link::Grpc, Link::Http].into_iter().find(|&link| has(link) && !is_missing(link))
    }
}

impl Agent {
    /// Learns about the links from how a call has ended.
    pub(super) fn note_link(&mut self, purpose: Purpose, flight: &Flight, result: &Result<Reply, Failure>) {
        if flight.link == Link::Http {
            return;
        }
        self.note_unknown(result);
        if result.as_ref().is_err_and(Failure::is_transport) {
            self.link.failures = self.link.failures.saturating_add(1);
            if self.link.current == Link::Grpc && self.link.failures >= self.config.fallback_after {
                self.change_link(Link::Http);
                self.arm(Timer::Probe, self.config.probe_interval);
            }
            return;
        }
        self.link.failures = 0;
        if purpose == Purpose::Probe
            && result.as_ref().is_ok_and(Reply::is_ok)
            && self.link.current == Link::Http
        {
            self.change_link(Link::Grpc);
            self.timers.set(Timer::Probe, None);
            self.retry_traffic();
        }
    }

    fn change_link(&mut self, link: Link) {
        self.link.current = link;
        self.event(Event::LinkChanged(link));
    }

    fn note_unknown(&mut self, result: &Result<Reply, Failure>) {
        match result {
            Err(failure) if failure.kind == FailureKind::Grpc(GrpcCode::Unknown) => {
                self.link.unknowns = self.link.unknowns.saturating_add(1);
                if self.link.unknowns == self.config.suspect_after {
                    self.event(Event::SuspectedAuth);
                }
            }
            Err(failure) if failure.is_transport() => {}
            Ok(_) | Err(_) => self.link.unknowns = 0,
        }
    }

    /// Notes that Core does not have a call on a link.
    pub(super) fn note_missing(&mut self, method: Method, link: Link) {
        if let Some(until) = self.now.checked_add(self.config.missing_wait) {
            self.link.missing.insert((method, link), until);
        }
        self.event(Event::Missing { method, link });
    }
}
