//! What lies between client and master: delay, loss, cuts, and readers that do not read.

use super::{World, millis, seconds};
use bytes::Bytes;
use http::{Request, Response};
use nodepass_api::Instant;
use nodepass_api::client::{self, Delivery, Failure, FailureKind, RequestId, StreamId};
use nodepass_api::master::ExchangeId;
use std::collections::{BTreeMap, VecDeque};
use testkit::network::{Conditions, InFlight};

/// How far packets come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    All,
    /// Connections are refused, those that there were are lost.
    Refusing,
    /// Nothing arrives, and nobody is told.
    Silent,
}

/// How the client's side takes a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Reading,
    /// What is written stays in the transport.
    Stuck,
}

pub(crate) struct Network {
    pub(crate) conditions: Conditions,
    pub(crate) reach: Reach,
    pub(crate) reader: Reader,
    air: InFlight<Packet>,
    requests: BTreeMap<RequestId, Option<ExchangeId>>,
    /// Requests whose answer gets lost.
    doomed: Vec<RequestId>,
    streams: BTreeMap<StreamId, Stream>,
    /// Told as soon as it can be.
    gone: Vec<ExchangeId>,
    /// Bytes of streams that were handed to the network.
    pub(crate) flown: usize,
    /// The most pieces that were held at a time for a reader that is stuck.
    pub(crate) most_held: usize,
}

#[derive(Default)]
struct Stream {
    exchange: Option<ExchangeId>,
    /// When the last packet arrives.
    last: Option<Instant>,
    held: VecDeque<Bytes>,
    ends: bool,
    /// Was broken, of which the client hears later.
    is_broken: bool,
}

enum Packet {
    Request(RequestId, Request<Bytes>),
    Open(StreamId, Request<Bytes>),
    Gone(ExchangeId),
    Response(RequestId, Response<Bytes>),
    Failure(RequestId, Failure),
    Head(StreamId, Response<()>),
    Bytes(StreamId, Bytes),
    /// The transport has taken all of a piece.
    Written(StreamId),
    End(StreamId, Option<Failure>),
}

const REFUSED: (Delivery, FailureKind) = (Delivery::No, FailureKind::Refused);
const LOST: (Delivery, FailureKind) = (Delivery::Perhaps, FailureKind::ConnectionLost);

fn failure((delivery, kind): (Delivery, FailureKind)) -> Failure {
    Failure::new(delivery, kind)
}

impl Network {
    pub(super) fn new(conditions: Conditions) -> Self {
        Self {
            conditions,
            reach: Reach::All,
            reader: Reader::Reading,
            air: InFlight::new(),
            requests: BTreeMap::new(),
            doomed: Vec::new(),
            streams: BTreeMap::new(),
            gone: Vec::new(),
            flown: 0,
            most_held: 0,
        }
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.air.next_at()
    }

    /// Whether nothing is under way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.air.is_empty() && self.streams.values().all(|stream| stream.held.is_empty())
    }

    pub(crate) fn streams(&self) -> usize {
        self.streams.len()
    }
}

impl World {
    /// Carries out what the client wants of the network.
    pub(super) fn send(&mut self, output: client::Output) {
        let at = self.arrival();
        let is_lost = self.random.chance(self.network.conditions.loss_per_mille);
        let network = &mut self.network;
        match output {
            client::Output::Request { id, request } => {
                network.requests.insert(id, None);
                let (is_lost_before, is_lost_after) = (is_lost && self.random.below(2) == 0, is_lost);
                match network.reach {
                    Reach::Silent => {}
                    Reach::Refusing => network.air.push(at, Packet::Failure(id, failure(REFUSED))),
                    Reach::All if is_lost_before => network.air.push(at, Packet::Failure(id, failure(LOST))),
                    Reach::All => {
                        if is_lost_after {
                            network.doomed.push(id);
                        }
                        network.air.push(at, Packet::Request(id, request));
                    }
                }
            }
            client::Output::OpenStream { stream, request } => {
                assert!(network.streams.is_empty(), "there is one stream at a time");
                network.streams.insert(stream, Stream::default());
                match network.reach {
                    Reach::Silent => {}
                    Reach::Refusing => network.air.push(at, Packet::End(stream, Some(failure(REFUSED)))),
                    Reach::All if is_lost => network.air.push(at, Packet::End(stream, Some(failure(LOST)))),
                    Reach::All => network.air.push(at, Packet::Open(stream, request)),
                }
            }
            client::Output::Cancel(id) => {
                if let Some(exchange) = network.requests.remove(&id).expect("it is under way") {
                    self.tell_gone(exchange);
                }
            }
            client::Output::CloseStream { stream } => {
                let exchange = network.streams.remove(&stream).expect("it is open").exchange;
                exchange.into_iter().for_each(|exchange| self.tell_gone(exchange));
            }
            client::Output::Event(_) => unreachable!("it is no work for a network"),
        }
    }

    fn arrival(&mut self) -> Instant {
        self.now + self.random.travel(&self.network.conditions)
    }

    fn tell_gone(&mut self, exchange: ExchangeId) {
        let at = self.arrival();
        match self.network.reach {
            Reach::Silent => self.network.gone.push(exchange),
            Reach::All | Reach::Refusing => self.network.air.push(at, Packet::Gone(exchange)),
        }
    }

    /// Carries out what the master wants of the network. Returns false if the exchange is not the client's.
    pub(super) fn respond(&mut self, exchange: ExchangeId, response: &Response<Bytes>) -> bool {
        let at = self.arrival();
        let network = &mut self.network;
        let is_it = |(_, known): &(&RequestId, &Option<ExchangeId>)| **known == Some(exchange);
        if let Some(id) = network.requests.iter().find(is_it).map(|(id, _)| *id) {
            if network.reach == Reach::All {
                let is_doomed = network.doomed.contains(&id);
                let packet = match is_doomed {
                    true => Packet::Failure(id, failure(LOST)),
                    false => Packet::Response(id, response.clone()),
                };
                network.air.push(at, packet);
            }
            return true;
        }
        // The answer to a stream's request, which opens none.
        let Some(stream) = self.stream_of(exchange) else { return false };
        let mut head = Response::new(());
        *head.status_mut() = response.status();
        *head.headers_mut() = response.headers().clone();
        self.push(stream, Packet::Head(stream, head));
        self.push(stream, Packet::Bytes(stream, response.body().clone()));
        self.push(stream, Packet::End(stream, None));
        true
    }

    fn stream_of(&self, exchange: ExchangeId) -> Option<StreamId> {
        let is_it = |(_, stream): &(&StreamId, &Stream)| stream.exchange == Some(exchange);
        self.network.streams.iter().find(is_it).map(|(id, _)| *id)
    }

    pub(super) fn open_body(&mut self, exchange: ExchangeId, head: Response<()>) {
        if let Some(stream) = self.stream_of(exchange) {
            self.push(stream, Packet::Head(stream, head));
        }
    }

    pub(super) fn push_body(&mut self, exchange: ExchangeId, chunk: Bytes) {
        let Some(stream) = self.stream_of(exchange) else { return };
        let held = &mut self.network.streams.get_mut(&stream).expect("it was found").held;
        held.push_back(chunk);
        self.network.most_held = self.network.most_held.max(held.len());
        self.flow(stream);
    }

    pub(super) fn close_body(&mut self, exchange: ExchangeId) {
        let Some(stream) = self.stream_of(exchange) else { return };
        self.network.streams.get_mut(&stream).expect("it was found").ends = true;
        self.flow(stream);
    }

    /// Lets go what a reader takes.
    fn flow(&mut self, id: StreamId) {
        while self.network.reader == Reader::Reading {
            let Some(stream) = self.network.streams.get_mut(&id) else { return };
            let Some(chunk) = stream.held.pop_front() else {
                if stream.ends {
                    self.push(id, Packet::End(id, None));
                }
                return;
            };
            self.network.flown += chunk.len();
            let conditions = self.network.conditions;
            let is_lost = self.random.chance(conditions.loss_per_mille);
            let mut pieces = self.random.cut(chunk, &conditions);
            if is_lost {
                // The connection breaks within the chunk.
                let pieces_left = usize::try_from(self.random.below(pieces.len() as u64)).unwrap();
                pieces.truncate(pieces_left);
            }
            for piece in pieces {
                self.push(id, Packet::Bytes(id, piece));
            }
            match is_lost {
                true => return self.break_stream(id),
                false => self.network.air.push(self.now + millis(1), Packet::Written(id)),
            }
        }
    }

    /// Sends a packet of a stream, which nothing overtakes.
    fn push(&mut self, id: StreamId, packet: Packet) {
        let at = self.arrival();
        if self.network.reach != Reach::All {
            return;
        }
        let Some(stream) = self.network.streams.get_mut(&id) else { return };
        let at = stream.last.map_or(at, |last| last.max(at));
        stream.last = Some(at);
        self.network.air.push(at, packet);
    }

    fn break_stream(&mut self, id: StreamId) {
        let Some(stream) = self.network.streams.get_mut(&id) else { return };
        stream.held.clear();
        stream.is_broken = true;
        if let Some(exchange) = stream.exchange.take() {
            self.tell_gone(exchange);
        }
        self.push(id, Packet::End(id, Some(failure(LOST))));
    }

    /// Cuts the stream, wherever it is.
    pub(crate) fn cut_stream(&mut self) {
        for id in self.network.streams.keys().copied().collect::<Vec<_>>() {
            self.break_stream(id);
        }
    }

    /// The master is no more, and nobody has to be told that clients went away.
    pub(super) fn forget_master(&mut self) {
        self.network.air.clear();
        self.network.gone.clear();
        self.break_all();
    }

    /// All connections are lost.
    fn break_all(&mut self) {
        self.network.air.retain(|packet| matches!(packet, Packet::Gone(_)));
        let at = self.arrival();
        for (id, exchange) in &mut self.network.requests {
            *exchange = None;
            if self.network.reach != Reach::Silent {
                self.network.air.push(at, Packet::Failure(*id, failure(LOST)));
            }
        }
        for (id, stream) in &mut self.network.streams {
            stream.exchange = None;
            stream.held.clear();
            stream.is_broken = true;
            if self.network.reach != Reach::Silent {
                self.network.air.push(at, Packet::End(*id, Some(failure(LOST))));
            }
        }
    }

    pub(crate) fn set_reach(&mut self, reach: Reach) {
        let before = std::mem::replace(&mut self.network.reach, reach);
        if before == reach {
            return;
        }
        match reach {
            Reach::Silent => {
                while let Some((_, packet)) = self.network.air.pop_due(self.now + seconds(3_600)) {
                    if let Packet::Gone(exchange) = packet {
                        self.network.gone.push(exchange);
                    }
                }
            }
            Reach::Refusing => {
                let exchanges = self.network.requests.values().flatten().copied();
                let streams = self.network.streams.values().filter_map(|stream| stream.exchange);
                let gone: Vec<_> = exchanges.chain(streams).chain(self.network.gone.clone()).collect();
                self.break_all();
                gone.into_iter().for_each(|exchange| self.tell_gone(exchange));
            }
            Reach::All => {
                let gone = std::mem::take(&mut self.network.gone);
                gone.into_iter().for_each(|exchange| self.tell_gone(exchange));
                if before == Reach::Silent {
                    // What was sent meanwhile is missing: the transport finds that out.
                    self.cut_stream();
                }
            }
        }
        self.settle();
    }

    pub(crate) fn set_reader(&mut self, reader: Reader) {
        self.network.reader = reader;
        for id in self.network.streams.keys().copied().collect::<Vec<_>>() {
            self.flow(id);
        }
        self.settle();
    }

    /// Hands over one packet that is due.
    pub(super) fn deliver(&mut self) -> bool {
        let Some((_, packet)) = self.network.air.pop_due(self.now) else { return false };
        let (client, now) = (&mut self.client.0, self.now);
        match packet {
            Packet::Request(id, request) => match (&mut self.master, self.network.requests.get_mut(&id)) {
                (_, None) => {}
                (None, Some(_)) => {
                    let at = self.now + millis(1);
                    self.network.air.push(at, Packet::Failure(id, failure(REFUSED)));
                }
                (Some(master), Some(exchange)) => *exchange = Some(master.0.handle_request(request, now)),
            },
            Packet::Open(id, request) => match (&mut self.master, self.network.streams.get_mut(&id)) {
                (_, None) => {}
                (_, Some(stream)) if stream.is_broken => {}
                (None, Some(_)) => {
                    let at = self.now + millis(1);
                    self.network.air.push(at, Packet::End(id, Some(failure(REFUSED))));
                }
                (Some(master), Some(stream)) => {
                    stream.exchange = Some(master.0.handle_request(request, now));
                }
            },
            Packet::Gone(exchange) => {
                if let Some(master) = &mut self.master {
                    master.0.handle_cancel(exchange, now);
                }
            }
            Packet::Response(id, response) => {
                self.network.requests.remove(&id);
                client.handle_response(id, response, now);
            }
            Packet::Failure(id, failure) => {
                let exchange = self.network.requests.remove(&id).flatten();
                self.network.doomed.retain(|doomed| *doomed != id);
                client.handle_failure(id, failure, now);
                exchange.into_iter().for_each(|exchange| self.tell_gone(exchange));
            }
            Packet::Head(id, head) => client.handle_stream_opened(id, &head, now),
            Packet::Bytes(id, bytes) => client.handle_stream_bytes(id, &bytes, now),
            Packet::Written(id) => {
                let exchange = self.network.streams.get(&id).and_then(|stream| stream.exchange);
                if let (Some(master), Some(exchange)) = (&mut self.master, exchange) {
                    master.0.handle_written(exchange, now);
                }
            }
            Packet::End(id, failure) => {
                if self.network.streams.remove(&id).is_some() {
                    client.handle_stream_end(id, failure, now);
                }
            }
        }
        true
    }
}
