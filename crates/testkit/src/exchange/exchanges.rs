use super::{AgentWork, Attempt, Condition, ExchangeNews, FaultKind, HttpAgent, HttpServer, ServerWork, authority_of};
use crate::machine::{SpinGuard, assert_quiet, wake};
use crate::network::{Conditions, InFlight, Random};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
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

/// One agent, several servers, and the exchanges between them. Time jumps exactly to the next deadline or arrival.
///
/// Tests command the agent and the servers between the runs, or in a callback; their outputs are carried out by the
/// next call of [`settle`](Self::settle), [`step`](Self::step) or [`run_until`](Self::run_until).
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

    /// Restarts a server: its open exchanges are interrupted, and `machine` takes its place. Returns the old one.
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

    /// Restarts the agent: its open exchanges are dropped, the servers are told, and `agent` takes its place. Returns the
    /// old one.
    pub fn replace_agent(&mut self, agent: A) -> A {
        let ids: Vec<_> = self.open.keys().copied().collect();
        for id in ids {
            self.cancel(id);
        }
        self.used.clear();
        std::mem::replace(&mut self.agent, agent)
    }

    /// Breaks all connections to a server: the agent learns it at once, and the server that its clients went away.
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

    /// Like [`settle`](Self::settle); `news` gets each event and other work before it is logged, and may feed and
    /// command the machines.
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
        self.settle_with(&mut news);
        while self.next_at().is_some_and(|at| at <= end) {
            self.step_with(&mut news);
        }
        self.now = self.now.max(end);
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

    #[track_caller]
    fn host_mut(&mut self, authority: &str) -> &mut Host<S, A::Id> {
        match self.hosts.get_mut(authority) {
            Some(host) => host,
            None => panic!("there is no server {authority}"),
        }
    }

    fn next_server_output(&mut self) -> Option<(String, S::Output)> {
        let mut hosts = self.hosts.iter_mut();
        hosts.find_map(|(authority, host)| host.machine.poll_output().map(|output| (authority.clone(), output)))
    }

    fn carry_out_for_agent(
        &mut self,
        work: AgentWork<A::Id, A::Event, A::Other>,
        news: &mut impl FnMut(&mut Self, ExchangeNews<'_, A, S>),
    ) {
        match work {
            AgentWork::Request { id, request } => self.send(id, request),
            AgentWork::Cancel(id) => self.cancel(id),
            AgentWork::Event(event) => {
                news(self, ExchangeNews::AgentEvent(&event));
                self.agent_events.push((self.now, event));
            }
            AgentWork::Other(other) => {
                news(self, ExchangeNews::AgentOther(&other));
                self.agent_others.push((self.now, other));
            }
        }
    }

    fn carry_out_for_server(
        &mut self,
        authority: String,
        work: ServerWork<S::Id, S::Event, S::Other>,
        news: &mut impl FnMut(&mut Self, ExchangeNews<'_, A, S>),
    ) {
        match work {
            ServerWork::Respond { id, response } => self.respond(&authority, id, response),
            ServerWork::Event(event) => {
                news(self, ExchangeNews::ServerEvent { authority: &authority, event: &event });
                self.server_events.push((self.now, authority, event));
            }
            ServerWork::Other(other) => {
                news(self, ExchangeNews::ServerOther { authority: &authority, other: &other });
                self.server_others.push((self.now, authority, other));
            }
        }
    }

    fn send(&mut self, id: A::Id, request: Request<Bytes>) {
        assert!(self.used.insert(id), "rule: ids are never reused; the agent sent two requests as {id:?}");
        let authority = authority_of(request.uri());
        let attempt = self.attempts.len();
        self.attempts.push(Attempt {
            at: self.now,
            authority: authority.clone(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().map(str::to_owned),
            delivered: None,
        });
        let condition = self.hosts.get(&authority).map(|host| host.condition);
        self.open.insert(id, Open { authority, attempt, server_id: None, lost: false });
        match condition {
            None => self.fail(id, FaultKind::UnknownHost, self.now),
            Some(Condition::Refusing) => self.fail(id, FaultKind::Refused, self.now),
            Some(_) => {
                let at = self.now + self.random.travel(&self.conditions);
                self.in_flight.push(at, (id, Parcel::Request(request)));
            }
        }
    }

    fn cancel(&mut self, id: A::Id) {
        self.in_flight.retain(|(other, _)| *other != id);
        if let Some(open) = self.open.remove(&id) {
            self.tell_server(open);
        }
    }

    /// Tells the server of an exchange without an answer that its client went away.
    fn tell_server(&mut self, open: Open<S::Id>) {
        if let (Some(server_id), Some(host)) = (open.server_id, self.hosts.get_mut(&open.authority)) {
            host.open.remove(&server_id);
            host.machine.handle_cancel(server_id, self.now);
        }
    }

    /// The outcome of the exchange will be a fault, whatever the server says.
    fn fail(&mut self, id: A::Id, kind: FaultKind, at: Instant) {
        if let Some(open) = self.open.get_mut(&id) {
            open.lost = true;
            self.in_flight.push(at, (id, Parcel::Fault(kind)));
        }
    }

    fn respond(&mut self, authority: &str, server_id: S::Id, response: Response<Bytes>) {
        // An answer that crosses with a cancellation has no exchange any more.
        let host = self.host_mut(authority);
        let Some(id) = host.open.remove(&server_id) else { return };
        let slow = match host.condition {
            Condition::Slow(by) => by,
            _ => Duration::ZERO,
        };
        if let Some(open) = self.open.get_mut(&id) {
            open.server_id = None;
            if !open.lost {
                let at = self.now + slow + self.random.travel(&self.conditions);
                self.in_flight.push(at, (id, Parcel::Response(response)));
            }
        }
    }

    fn deliver(&mut self, id: A::Id, parcel: Parcel) {
        match parcel {
            Parcel::Request(request) => self.deliver_request(id, request),
            Parcel::Response(response) => {
                if self.open.remove(&id).is_some() {
                    self.agent.handle_response(id, response, self.now);
                }
            }
            Parcel::Fault(kind) => {
                if let Some(open) = self.open.remove(&id) {
                    self.tell_server(open);
                    self.agent.handle_failure(id, (self.failure)(kind), self.now);
                }
            }
        }
    }

    fn deliver_request(&mut self, id: A::Id, request: Request<Bytes>) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let Some(host) = self.hosts.get_mut(&open.authority) else { return };
        let back = self.now + self.random.travel(&self.conditions);
        let mut loss = self.conditions.loss_per_mille;
        match host.condition {
            Condition::Up | Condition::Slow(_) => {}
            Condition::Lossy(per_mille) => loss = loss.max(per_mille),
            Condition::Silent => return,
            Condition::Refusing => return self.fail(id, FaultKind::Refused, back),
            Condition::Status(code) => {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = StatusCode::from_u16(code).expect("the test chose a valid status");
                return self.in_flight.push(back, (id, Parcel::Response(response)));
            }
        }
        let lost = self.random.chance(loss);
        if !(lost && self.random.chance(500)) {
            let server_id = host.machine.handle_request(request, self.client, self.now);
            let before = host.open.insert(server_id, id);
            assert!(before.is_none(), "rule: ids are never reused; the server has two exchanges {server_id:?}");
            open.server_id = Some(server_id);
            self.attempts[open.attempt].delivered = Some(self.now);
        }
        if lost {
            self.fail(id, FaultKind::Interrupted, back);
        }
    }
}
