mod transport;

use super::{Attempt, Condition, ExchangeNews, FaultKind, HttpAgent, HttpServer};
use crate::machine::{SpinGuard, assert_quiet, wake};
use crate::network::{Conditions, InFlight, Random};
use bytes::Bytes;
use http::{Request, Response};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use web_time::Instant;

struct Host<S: HttpServer, I> {
    machine: S,
    condition: Condition,
    open: BTreeMap<S::Id, I>,
}

struct Open<I> {
    authority: String,
    attempt: usize,
    /// The server's name for the exchange, from its arrival to its answer.
    server_id: Option<I>,
    /// The connection is lost; the agent will learn it.
    lost: bool,
}

enum Parcel {
    Request(Request<Bytes>),
    Response(Response<Bytes>),
    Fault(FaultKind),
}

/// One agent, several servers, and the exchanges between them. Time jumps exactly to the next deadline or
/// arrival.
///
/// Tests command the agent and the servers between the runs, or in a callback; their outputs are carried out
/// by the next call of [`settle`](Self::settle), [`step`](Self::step) or [`run_until`](Self::run_until).
pub struct Exchanges<A: HttpAgent, S: HttpServer> {
    /// The agent.
    pub agent: A,
    /// The address that servers see; 192.0.2.1 at first.
    pub client: IpAddr,
    /// How the network treats every exchange; `largest_piece` has no meaning here.
    pub conditions: Conditions,
    /// All requests of the agent, in the order of sending.
    pub attempts: Vec<Attempt>,
    /// All events of the agent, with their times.
    pub agent_events: Vec<(Instant, A::Event)>,
    /// All other work of the agent, with its times.
    pub agent_others: Vec<(Instant, A::Other)>,
    /// All events of the servers, with their times and servers.
    pub server_events: Vec<(Instant, String, S::Event)>,
    /// All other work of the servers, with its times and servers.
    pub server_others: Vec<(Instant, String, S::Other)>,
    now: Instant,
    random: Random,
    failure: fn(FaultKind) -> A::Failure,
    hosts: BTreeMap<String, Host<S, A::Id>>,
    open: BTreeMap<A::Id, Open<S::Id>>,
    used: BTreeSet<A::Id>,
    in_flight: InFlight<(A::Id, Parcel)>,
    guard: SpinGuard,
}

impl<A: HttpAgent, S: HttpServer> Exchanges<A, S> {
    /// Starts with no server; `failure` makes the agent's own failure of a fault.
    pub fn new(
        agent: A,
        start: Instant,
        failure: fn(FaultKind) -> A::Failure,
        conditions: Conditions,
        seed: u64,
    ) -> Self {
        Self {
            agent,
            client: Ipv4Addr::new(192, 0, 2, 1).into(),
            conditions,
            attempts: Vec::new(),
            agent_events: Vec::new(),
            agent_others: Vec::new(),
            server_events: Vec::new(),
            server_others: Vec::new(),
            now: start,
            random: Random::new(seed),
            failure,
            hosts: BTreeMap::new(),
            open: BTreeMap::new(),
            used: BTreeSet::new(),
            in_flight: InFlight::new(),
            guard: SpinGuard::default(),
        }
    }

    /// Adds a server that is up, named `host:port` in lower case.
    ///
    /// # Panics
    /// If there is one of that name, or if no URI can have that name.
    #[track_caller]
    pub fn add_server(&mut self, authority: &str, machine: S) {
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let is_lower = !authority.bytes().any(|byte| byte.is_ascii_uppercase());
        assert!(has_port && is_lower, "a server is named host:port in lower case, not {authority}");
        let host = Host { machine, condition: Condition::Up, open: BTreeMap::new() };
        let before = self.hosts.insert(authority.to_owned(), host);
        assert!(before.is_none(), "the server {authority} was added twice");
    }

    /// Restarts a server: its open exchanges are interrupted, and `machine` takes its place. Returns the old
    /// one.
    ///
    /// # Panics
    /// If there is no such server.
    #[track_caller]
    pub fn replace_server(&mut self, authority: &str, machine: S) -> S {
        // The old machine is gone before it could learn that its clients went away.
        let host = self.host_mut(authority);
        host.open.clear();
        let old = std::mem::replace(&mut host.machine, machine);
        for open in self.open.values_mut().filter(|open| open.authority == authority) {
            open.server_id = None;
        }
        self.interrupt(authority);
        old
    }

    /// Restarts the agent: its open exchanges are dropped, the servers are told, and `agent` takes its place.
    /// Returns the old one.
    pub fn replace_agent(&mut self, agent: A) -> A {
        let ids: Vec<_> = self.open.keys().copied().collect();
        for id in ids {
            self.cancel(id);
        }
        self.used.clear();
        std::mem::replace(&mut self.agent, agent)
    }

    /// Breaks all connections to a server: the agent learns it at once, and the server that its clients went
    /// away.
    ///
    /// # Panics
    /// If there is no such server.
    #[track_caller]
    pub fn interrupt(&mut self, authority: &str) {
        self.host_mut(authority);
        let breaks = |open: &Open<_>| open.authority == authority && !open.lost;
        let ids: Vec<_> = self.open.iter().filter(|(_, open)| breaks(open)).map(|(&id, _)| id).collect();
        for id in ids {
            self.in_flight.retain(|(other, _)| *other != id);
            self.fail(id, FaultKind::Interrupted, self.now);
        }
    }

    /// Changes how a server behaves.
    ///
    /// # Panics
    /// If there is no such server.
    #[track_caller]
    pub fn set_condition(&mut self, authority: &str, condition: Condition) {
        self.host_mut(authority).condition = condition;
    }

    /// Carries out what the machines have queued.
    pub fn settle(&mut self) {
        self.settle_with(&mut |_, _| {});
    }

    /// Like [`settle`](Self::settle); `news` gets each event and other work before it is logged, and may feed
    /// and command the machines.
    pub fn settle_with(&mut self, news: &mut impl FnMut(&mut Self, ExchangeNews<'_, A, S>)) {
        loop {
            self.guard.step(self.now);
            if let Some(output) = self.agent.poll_output() {
                self.carry_out_for_agent(A::work(output), news);
            } else if let Some((authority, output)) = self.next_server_output() {
                self.carry_out_for_server(authority, S::work(output), news);
            } else {
                return;
            }
        }
    }

    /// Jumps to the next deadline or arrival and handles it; returns false if there is none.
    ///
    /// # Panics
    /// If a deadline stays due after it was handled, or if the machines never come to rest.
    pub fn step(&mut self) -> bool {
        self.step_with(&mut |_, _| {})
    }

    /// Like [`step`](Self::step), with the callback of [`settle_with`](Self::settle_with).
    ///
    /// # Panics
    /// As [`step`](Self::step).
    pub fn step_with(&mut self, news: &mut impl FnMut(&mut Self, ExchangeNews<'_, A, S>)) -> bool {
        self.settle_with(news);
        let Some(next) = self.next_at() else { return false };
        self.now = self.now.max(next);
        if let Some((_, (id, parcel))) = self.in_flight.pop_due(self.now) {
            self.deliver(id, parcel);
        } else {
            if self.agent.poll_timeout().is_some_and(|due| due <= self.now) {
                wake(&mut self.agent, self.now);
            }
            for host in self.hosts.values_mut() {
                if host.machine.poll_timeout().is_some_and(|due| due <= self.now) {
                    wake(&mut host.machine, self.now);
                }
            }
        }
        self.settle_with(news);
        true
    }

    /// Runs until `end`; virtual time stands there afterwards.
    ///
    /// # Panics
    /// As [`step`](Self::step), and if something happens at `end` that no deadline had announced.
    pub fn run_until(&mut self, end: Instant) {
        self.run_until_with(end, |_, _| {});
    }

    /// Like [`run_until`](Self::run_until), with the callback of [`settle_with`](Self::settle_with).
    ///
    /// # Panics
    /// As [`run_until`](Self::run_until).
    pub fn run_until_with(&mut self, end: Instant, mut news: impl FnMut(&mut Self, ExchangeNews<'_, A, S>)) {
        let end = end.max(self.now);
        self.settle_with(&mut news);
        while self.next_at().is_some_and(|at| at <= end) {
            self.step_with(&mut news);
        }
        self.now = end;
        assert_quiet(&mut self.agent, self.now);
        for host in self.hosts.values_mut() {
            assert_quiet(&mut host.machine, self.now);
        }
    }

    /// Returns a server.
    ///
    /// # Panics
    /// If there is no such server.
    #[track_caller]
    pub fn server(&self, authority: &str) -> &S {
        match self.hosts.get(authority) {
            Some(host) => &host.machine,
            None => panic!("there is no server {authority}"),
        }
    }

    /// Returns a server, to command it.
    ///
    /// # Panics
    /// If there is no such server.
    #[track_caller]
    pub fn server_mut(&mut self, authority: &str) -> &mut S {
        &mut self.host_mut(authority).machine
    }

    /// Returns the virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Returns when something is next due: a deadline of any machine, or an arrival.
    pub fn next_at(&self) -> Option<Instant> {
        let servers = self.hosts.values().map(|host| host.machine.poll_timeout());
        servers.chain([self.agent.poll_timeout(), self.in_flight.next_at()]).flatten().min()
    }

    /// Returns how many exchanges the agent still waits for.
    pub fn open_exchanges(&self) -> usize {
        self.open.len()
    }
}
