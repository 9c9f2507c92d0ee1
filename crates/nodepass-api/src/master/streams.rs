//! Event streams: what their readers are owed. §5.

use super::ExchangeId;
use crate::wire::{EventKind, EventTime, Instance, InstanceId, encode_into};
use bytes::Bytes;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

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
    /// Instances whose lines wait although the dump has not come to them: what becomes of them has to follow, or the line would
    /// be the last that is heard of them.
    spoken: BTreeSet<InstanceId>,
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
        let stream = Stream {
            dump: Dump::Begin,
            spoken: BTreeSet::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            in_flight: 0,
            lost: 0,
        };
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

    /// Queues a frame for every stream that has room, and counts it as lost for the others. States that a dump will show anyway
    /// are not wanted twice; that an instance is gone is: its reader may know it from elsewhere. Returns the streams where a loss
    /// has ended with this frame, and how many were lost.
    pub(super) fn publish(
        &mut self,
        frame: &Bytes,
        kind: &EventKind,
        instance: Option<&InstanceId>,
        room: Room,
    ) -> Vec<(ExchangeId, u64)> {
        let is_state = !matches!(kind, EventKind::Log | EventKind::Delete);
        let mut told = Vec::new();
        for (&id, stream) in &mut self.open {
            let ahead = instance.filter(|instance| stream.dump.is_to_show(instance));
            if ahead.is_some_and(|instance| is_state && !stream.spoken.contains(instance)) {
                continue;
            }
            if stream.queue.len() >= room.events || stream.queued_bytes + frame.len() > room.bytes {
                stream.lost += 1;
                continue;
            }
            told.extend(stream.end_loss(room.announces_loss).map(|lost| (id, lost)));
            stream.push(frame.clone());
            if let Some(instance) = ahead.filter(|instance| !stream.spoken.contains(*instance)) {
                stream.spoken.insert(instance.clone());
            }
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

impl Dump {
    fn is_to_show(&self, instance: &InstanceId) -> bool {
        match self {
            Self::Begin => true,
            Self::After(last) => instance > last,
            Self::Done => false,
        }
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
        if matches!(self.dump, Dump::Done) {
            self.spoken.clear();
        }
        bytes.into()
    }
}
