//! Event streams: what their readers are owed. §5.

use super::ExchangeId;
use crate::wire::{EventKind, EventTime, Instance, InstanceId, encode_into};
use bytes::Bytes;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// So many pieces may be on their way to a reader; what is more waits here, where it is counted.
const WINDOW: u32 = 4;
/// A dump is written in pieces of about this size.
const PIECE: usize = 32 << 10;
const RETRY: &[u8] = b"retry: 3000\n\n";

#[derive(Default)]
pub(super) struct Streams {
    open: BTreeMap<ExchangeId, Stream>,
}

struct Stream {
    dump: Dump,
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    in_flight: u32,
    lost: u64,
}

/// How far the instances were written that a stream begins with.
enum Dump {
    Begin,
    After(InstanceId),
    Done,
}

/// How much may wait for a reader, and whether it is told of what did not fit.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) events: usize,
    pub(super) bytes: usize,
    pub(super) announces_loss: bool,
}

/// An event as it goes over the wire. `logs` is left out where releases leave it out.
#[derive(Serialize)]
pub(super) struct Frame<'a> {
    #[serde(rename = "type")]
    pub(super) kind: EventKind,
    pub(super) time: &'a EventTime,
    pub(super) instance: Option<&'a Instance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logs: Option<&'a str>,
}

impl Frame<'_> {
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(b"event: instance\ndata: ");
        encode_into(self, bytes);
        bytes.extend_from_slice(b"\n\n");
    }
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn ids(&self) -> Vec<ExchangeId> {
        self.open.keys().copied().collect()
    }

    pub(super) fn open(&mut self, id: ExchangeId) {
        let stream =
            Stream { dump: Dump::Begin, queue: VecDeque::new(), queued_bytes: 0, in_flight: 0, lost: 0 };
        self.open.insert(id, stream);
    }

    pub(super) fn close(&mut self, id: ExchangeId) -> bool {
        self.open.remove(&id).is_some()
    }

    /// Ends a stream; returns what waited for its reader, in order.
    pub(super) fn finish(&mut self, id: ExchangeId) -> Vec<Bytes> {
        self.open.remove(&id).map(|stream| stream.queue.into()).unwrap_or_default()
    }

    /// A piece has been written.
    pub(super) fn written(&mut self, id: ExchangeId) {
        if let Some(stream) = self.open.get_mut(&id) {
            stream.in_flight = stream.in_flight.saturating_sub(1);
        }
    }

    /// Queues a frame for every stream that has room, and counts it as lost for the others. What a dump will show anyway is
    /// not wanted twice. Returns the streams where a loss has ended with this frame, and how many were lost.
    pub(super) fn publish(
        &mut self,
        frame: &Bytes,
        instance: Option<&InstanceId>,
        is_log: bool,
        room: Room,
    ) -> Vec<(ExchangeId, u64)> {
        let mut told = Vec::new();
        for (&id, stream) in &mut self.open {
            let is_ahead = match (&stream.dump, instance) {
                (Dump::Done, _) | (_, None) => false,
                (Dump::Begin, Some(_)) => true,
                (Dump::After(last), Some(instance)) => instance > last,
            };
            if is_ahead && !is_log {
                continue;
            }
            if stream.queue.len() >= room.events || stream.queued_bytes + frame.len() > room.bytes {
                stream.lost += 1;
                continue;
            }
            told.extend(stream.end_loss(room.announces_loss).map(|lost| (id, lost)));
            stream.push(frame.clone());
        }
        told
    }

    /// Queues a frame whether there is room or not: the last one. Returns how many before it were lost.
    pub(super) fn force(&mut self, id: ExchangeId, frame: &Bytes, room: Room) -> Option<u64> {
        let stream = self.open.get_mut(&id)?;
        let lost = stream.end_loss(room.announces_loss);
        stream.push(frame.clone());
        lost
    }

    /// Returns how many events were lost, once all before them are on their way.
    pub(super) fn take_lost(&mut self, id: ExchangeId, room: Room) -> Option<u64> {
        let stream = self.open.get_mut(&id).filter(|stream| stream.queue.is_empty())?;
        stream.end_loss(room.announces_loss)
    }

    /// Returns the next piece for a reader that can take one. `dump` writes the instance that follows an id and returns its
    /// own, the key record first.
    pub(super) fn next(
        &mut self,
        id: ExchangeId,
        dump: impl Fn(Option<&InstanceId>, &mut Vec<u8>) -> Option<InstanceId>,
    ) -> Option<Bytes> {
        let stream = self.open.get_mut(&id).filter(|stream| stream.in_flight < WINDOW)?;
        let mut piece = Bytes::new();
        if !matches!(stream.dump, Dump::Done) {
            piece = stream.dump_piece(dump);
        }
        if piece.is_empty() {
            piece = stream.queue.pop_front()?;
            stream.queued_bytes -= piece.len();
        }
        stream.in_flight += 1;
        Some(piece)
    }
}

impl Stream {
    fn push(&mut self, piece: Bytes) {
        self.queued_bytes += piece.len();
        self.queue.push_back(piece);
    }

    fn end_loss(&mut self, announces: bool) -> Option<u64> {
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 && announces {
            self.push(format!(": lost {lost}\n\n").into());
        }
        (lost > 0).then_some(lost)
    }

    fn dump_piece(
        &mut self,
        dump: impl Fn(Option<&InstanceId>, &mut Vec<u8>) -> Option<InstanceId>,
    ) -> Bytes {
        let mut bytes = Vec::with_capacity(1024);
        if matches!(self.dump, Dump::Begin) {
            bytes.extend_from_slice(RETRY);
        }
        while bytes.len() < PIECE {
            let last = match &self.dump {
                Dump::Begin => None,
                Dump::After(last) => Some(last),
                Dump::Done => break,
            };
            self.dump = dump(last, &mut bytes).map_or(Dump::Done, Dump::After);
        }
        bytes.into()
    }
}
