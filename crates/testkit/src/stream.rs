//! Two machines joined by a virtual byte stream.

use crate::machine::{Machine, SpinGuard, assert_quiet, wake};
use crate::network::{Conditions, InFlight, Lane, Random};
use bytes::Bytes;
use std::fmt::Debug;
use web_time::Instant;

/// A machine at one end of a byte stream. Whole text frames travel the same way if the conditions do not cut.
pub trait StreamMachine: Machine {
    /// What the machine tells the application.
    type Event: Debug;
    /// Takes bytes as they came off the wire.
    fn handle_bytes(&mut self, bytes: &[u8], now: Instant);
    /// The connection ended.
    fn handle_disconnect(&mut self, now: Instant);
    /// Says what an output asks of the driver.
    fn work(output: Self::Output) -> StreamWork<Self::Event>;
}

/// What an output of a [`StreamMachine`] asks of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamWork<E> {
    /// Write these bytes.
    Transmit(Bytes),
    /// Close the connection once everything before this has been written.
    Disconnect,
    /// Tell the application.
    Event(E),
}

/// One end of a [`StreamPair`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The machine `a`.
    A,
    /// The machine `b`.
    B,
}

impl Side {
    /// Returns the opposite end.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// An event of one of the two machines, as the callbacks of [`StreamPair`] get it.
pub enum StreamNews<'a, A: StreamMachine, B: StreamMachine> {
    /// An event of `a`.
    A(&'a A::Event),
    /// An event of `b`.
    B(&'a B::Event),
}

enum Parcel {
    Bytes(Bytes),
    End,
}

/// Two machines and the stream between them. Time jumps exactly to the next deadline or arrival.
///
/// Tests command `a` and `b` between the runs, or in a callback; their outputs are carried out by the next
/// call of [`settle`](Self::settle), [`step`](Self::step) or [`run_until`](Self::run_until).
pub struct StreamPair<A: StreamMachine, B: StreamMachine> {
    /// One machine.
    pub a: A,
    /// The other machine.
    pub b: B,
    /// How the link treats what is transmitted from now on.
    pub conditions: Conditions,
    /// All events of `a`, with their times.
    pub a_events: Vec<(Instant, A::Event)>,
    /// All events of `b`, with their times.
    pub b_events: Vec<(Instant, B::Event)>,
    /// Everything transmitted, with its sender, before it was cut into pieces.
    pub wire: Vec<(Instant, Side, Bytes)>,
    now: Instant,
    random: Random,
    in_flight: InFlight<(Side, Parcel)>,
    lanes: [Lane; 2],
    open: [bool; 2],
    stalled: bool,
    guard: SpinGuard,
}

impl<A: StreamMachine, B: StreamMachine> StreamPair<A, B> {
    /// Joins two machines by a connection that is open at `start`.
    pub fn new(a: A, b: B, start: Instant, conditions: Conditions, seed: u64) -> Self {
        Self {
            a,
            b,
            conditions,
            a_events: Vec::new(),
            b_events: Vec::new(),
            wire: Vec::new(),
            now: start,
            random: Random::new(seed),
            in_flight: InFlight::new(),
            lanes: Default::default(),
            open: [true; 2],
            stalled: false,
            guard: SpinGuard::default(),
        }
    }

    /// Breaks the connection: what is under way is lost, and each end that is still open is told.
    pub fn cut(&mut self) {
        self.in_flight.clear();
        if std::mem::take(&mut self.open[Side::A as usize]) {
            self.a.handle_disconnect(self.now);
        }
        if std::mem::take(&mut self.open[Side::B as usize]) {
            self.b.handle_disconnect(self.now);
        }
    }

    /// Swallows everything from now on, also what is under way, and tells nobody, until [`cut`](Self::cut).
    pub fn stall(&mut self) {
        self.in_flight.clear();
        self.stalled = true;
    }

    /// Carries out what the machines have queued.
    pub fn settle(&mut self) {
        self.settle_with(&mut |_, _| {});
    }

    /// Like [`settle`](Self::settle); `news` gets each event before it is logged, and may command the
    /// machines.
    pub fn settle_with(&mut self, news: &mut impl FnMut(&mut Self, StreamNews<'_, A, B>)) {
        loop {
            self.guard.step(self.now);
            if let Some(output) = self.a.poll_output() {
                if let Some(event) = self.carry_out(Side::A, A::work(output)) {
                    news(self, StreamNews::A(&event));
                    self.a_events.push((self.now, event));
                }
            } else if let Some(output) = self.b.poll_output() {
                if let Some(event) = self.carry_out(Side::B, B::work(output)) {
                    news(self, StreamNews::B(&event));
                    self.b_events.push((self.now, event));
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
    pub fn step_with(&mut self, news: &mut impl FnMut(&mut Self, StreamNews<'_, A, B>)) -> bool {
        self.settle_with(news);
        let Some(next) = self.next_at() else { return false };
        self.now = self.now.max(next);
        if let Some((_, (to, parcel))) = self.in_flight.pop_due(self.now) {
            self.deliver(to, parcel);
        } else {
            if self.a.poll_timeout().is_some_and(|due| due <= self.now) {
                wake(&mut self.a, self.now);
            }
            if self.b.poll_timeout().is_some_and(|due| due <= self.now) {
                wake(&mut self.b, self.now);
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
    pub fn run_until_with(&mut self, end: Instant, mut news: impl FnMut(&mut Self, StreamNews<'_, A, B>)) {
        let end = end.max(self.now);
        self.settle_with(&mut news);
        while self.next_at().is_some_and(|at| at <= end) {
            self.step_with(&mut news);
        }
        self.now = end;
        assert_quiet(&mut self.a, self.now);
        assert_quiet(&mut self.b, self.now);
    }

    /// Returns the virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Returns when something is next due: a deadline of either machine, or an arrival.
    pub fn next_at(&self) -> Option<Instant> {
        [self.a.poll_timeout(), self.b.poll_timeout(), self.in_flight.next_at()].into_iter().flatten().min()
    }

    /// Returns whether neither end has closed or lost the connection.
    pub fn is_connected(&self) -> bool {
        self.open == [true; 2]
    }

    fn carry_out<E>(&mut self, from: Side, work: StreamWork<E>) -> Option<E> {
        match work {
            StreamWork::Transmit(bytes) => self.transmit(from, bytes),
            // The end that closes is not told: it knows.
            StreamWork::Disconnect => {
                if std::mem::take(&mut self.open[from as usize]) {
                    self.send(from, Parcel::End);
                }
            }
            StreamWork::Event(event) => return Some(event),
        }
        None
    }

    fn transmit(&mut self, from: Side, bytes: Bytes) {
        if !self.open[from as usize] {
            return;
        }
        self.wire.push((self.now, from, bytes.clone()));
        if self.random.chance(self.conditions.loss_per_mille) {
            return self.cut();
        }
        for piece in self.random.cut(bytes, &self.conditions) {
            self.send(from, Parcel::Bytes(piece));
        }
    }

    fn send(&mut self, from: Side, parcel: Parcel) {
        if !self.stalled {
            let at = self.lanes[from as usize].arrival(self.now, &self.conditions, &mut self.random);
            self.in_flight.push(at, (from.other(), parcel));
        }
    }

    fn deliver(&mut self, to: Side, parcel: Parcel) {
        if !self.open[to as usize] {
            return;
        }
        match (parcel, to) {
            (Parcel::Bytes(bytes), Side::A) => self.a.handle_bytes(&bytes, self.now),
            (Parcel::Bytes(bytes), Side::B) => self.b.handle_bytes(&bytes, self.now),
            (Parcel::End, _) => {
                self.open[to as usize] = false;
                match to {
                    Side::A => self.a.handle_disconnect(self.now),
                    Side::B => self.b.handle_disconnect(self.now),
                }
            }
        }
    }
}
