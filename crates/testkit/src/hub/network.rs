mod links;

use super::{ClientMachine, HubMachine, HubNews};
use crate::machine::{SpinGuard, assert_quiet, wake};
use crate::network::{Conditions, InFlight, Lane, Random};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use web_time::Instant;

/// One connection, from the client's wish for it until both ends have closed or lost it.
struct Link<C, H> {
    client: usize,
    client_id: C,
    /// The client was told that it is connected.
    connected: bool,
    client_open: bool,
    /// The hub's name for the connection, while it is open there.
    hub_id: Option<H>,
    stalled: bool,
    to_client: Lane,
    to_hub: Lane,
}

enum Parcel {
    Dial,
    Accepted,
    Refused,
    ToHub(Bytes),
    ToClient(Bytes),
    EndForHub,
    EndForClient,
}

impl Parcel {
    fn is_for_hub(&self) -> bool {
        matches!(self, Self::Dial | Self::ToHub(_) | Self::EndForHub)
    }
}

/// Several clients, one hub, and the connections between them. Time jumps exactly to the next deadline or
/// arrival.
///
/// Tests command the machines between the runs, or in a callback; their outputs are carried out by the next
/// call of [`settle`](Self::settle), [`step`](Self::step) or [`run_until`](Self::run_until).
pub struct HubNetwork<C: ClientMachine, H: HubMachine> {
    /// The clients, in the order in which they were added.
    pub clients: Vec<C>,
    /// The hub.
    pub hub: H,
    /// How the network treats what is sent from now on.
    pub conditions: Conditions,
    /// All events of the clients, with their times and the index of the client.
    pub client_events: Vec<(Instant, usize, C::Event)>,
    /// All events of the hub, with their times.
    pub hub_events: Vec<(Instant, H::Event)>,
    /// All connections that clients wanted, with their times and the index of the client.
    pub dials: Vec<(Instant, usize, C::Connection)>,
    now: Instant,
    random: Random,
    up: bool,
    links: BTreeMap<u64, Link<C::Connection, H::Connection>>,
    next_link: u64,
    used: BTreeSet<(usize, C::Connection)>,
    in_flight: InFlight<(u64, Parcel)>,
    guard: SpinGuard,
}

impl<C: ClientMachine, H: HubMachine> HubNetwork<C, H> {
    /// Starts with a hub that is up, and no client.
    pub fn new(hub: H, start: Instant, conditions: Conditions, seed: u64) -> Self {
        Self {
            clients: Vec::new(),
            hub,
            conditions,
            client_events: Vec::new(),
            hub_events: Vec::new(),
            dials: Vec::new(),
            now: start,
            random: Random::new(seed),
            up: true,
            links: BTreeMap::new(),
            next_link: 0,
            used: BTreeSet::new(),
            in_flight: InFlight::new(),
            guard: SpinGuard::default(),
        }
    }

    /// Adds a client and returns its index.
    pub fn add_client(&mut self, client: C) -> usize {
        self.clients.push(client);
        self.clients.len() - 1
    }

    /// Breaks the connections of one client: what is under way is lost, and each end that is still open is
    /// told.
    pub fn cut(&mut self, client: usize) {
        for link in self.links_of(client) {
            self.cut_link(link);
        }
    }

    /// Swallows everything on the present connections of one client from now on and tells nobody, until they
    /// are cut or closed by an end.
    pub fn stall(&mut self, client: usize) {
        for number in self.links_of(client) {
            self.in_flight.retain(|(other, _)| *other != number);
            if let Some(link) = self.links.get_mut(&number) {
                link.stalled = true;
            }
        }
    }

    /// Takes the hub off the network: every connection is cut, and new ones are refused.
    pub fn hub_down(&mut self) {
        self.up = false;
        let links: Vec<_> = self.links.keys().copied().collect();
        for link in links {
            self.cut_link(link);
        }
    }

    /// Lets the hub accept connections again.
    pub fn hub_up(&mut self) {
        self.up = true;
    }

    /// Restarts the hub: every connection is cut, and `hub` takes its place, up. Returns the old one, which
    /// is not told.
    pub fn replace_hub(&mut self, hub: H) -> H {
        for link in self.links.values_mut() {
            link.hub_id = None;
        }
        self.hub_down();
        self.hub_up();
        std::mem::replace(&mut self.hub, hub)
    }

    /// Carries out what the machines have queued.
    pub fn settle(&mut self) {
        self.settle_with(&mut |_, _| {});
    }

    /// Like [`settle`](Self::settle); `news` gets each event before it is logged, and may command the
    /// machines.
    pub fn settle_with(&mut self, news: &mut impl FnMut(&mut Self, HubNews<'_, C, H>)) {
        loop {
            self.guard.step(self.now);
            if let Some(output) = self.hub.poll_output() {
                if let Some(event) = self.carry_out_for_hub(H::work(output)) {
                    news(self, HubNews::Hub(&event));
                    self.hub_events.push((self.now, event));
                }
            } else if let Some((client, output)) = self.next_client_output() {
                if let Some(event) = self.carry_out_for_client(client, C::work(output)) {
                    news(self, HubNews::Client { client, event: &event });
                    self.client_events.push((self.now, client, event));
                }
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
    pub fn step_with(&mut self, news: &mut impl FnMut(&mut Self, HubNews<'_, C, H>)) -> bool {
        self.settle_with(news);
        let Some(next) = self.next_at() else { return false };
        self.now = self.now.max(next);
        if let Some((_, (link, parcel))) = self.in_flight.pop_due(self.now) {
            self.deliver(link, parcel);
        } else {
            if self.hub.poll_timeout().is_some_and(|due| due <= self.now) {
                wake(&mut self.hub, self.now);
            }
            for client in &mut self.clients {
                if client.poll_timeout().is_some_and(|due| due <= self.now) {
                    wake(client, self.now);
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
    pub fn run_until_with(&mut self, end: Instant, mut news: impl FnMut(&mut Self, HubNews<'_, C, H>)) {
        let end = end.max(self.now);
        self.settle_with(&mut news);
        while self.next_at().is_some_and(|at| at <= end) {
            self.step_with(&mut news);
        }
        self.now = end;
        assert_quiet(&mut self.hub, self.now);
        for client in &mut self.clients {
            assert_quiet(client, self.now);
        }
    }

    /// Returns the virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Returns when something is next due: a deadline of any machine, or an arrival.
    pub fn next_at(&self) -> Option<Instant> {
        let clients = self.clients.iter().map(|client| client.poll_timeout());
        clients.chain([self.hub.poll_timeout(), self.in_flight.next_at()]).flatten().min()
    }

    /// Returns how many connections are open at both ends.
    pub fn open_connections(&self) -> usize {
        self.links.values().filter(|link| link.connected && link.client_open && link.hub_id.is_some()).count()
    }
}
