//! What goes to event streams. §5.

use super::machine::{Master, Timer};
use super::streams::{Frame, Room};
use super::{Config, Event, ExchangeId, Output};
use crate::wire::{EventKind, EventTime, InstanceId};
use bytes::Bytes;
use std::cell::OnceCell;

impl Master {
    /// Tells streams that they end.
    pub(super) fn announce_shutdown(&mut self) {
        let frame = self.frame(EventKind::Shutdown, None, "");
        for id in self.streams.ids() {
            if let Some(lost) = self.streams.force(id, &frame, self.room()) {
                self.event(Event::EventsLost { id, lost });
            }
            self.pump(id);
        }
    }

    pub(super) fn end_streams(&mut self) {
        self.timers.set(Timer::EndStreams, None);
        for id in self.streams.ids() {
            for chunk in self.streams.finish(id) {
                self.outputs.push_back(Output::PushBody { id, chunk });
            }
            self.outputs.push_back(Output::CloseBody { id });
            self.event(Event::StreamEnded { id });
        }
        self.proceed_closing();
    }

    pub(super) fn publish(&mut self, kind: EventKind, id: &InstanceId) {
        self.publish_frame(kind, Some(id), "");
    }

    pub(super) fn publish_frame(&mut self, kind: EventKind, id: Option<&InstanceId>, logs: &str) {
        if self.streams.is_empty() {
            return;
        }
        let frame = self.frame(kind.clone(), id, logs);
        for (stream, lost) in self.streams.publish(&frame, &kind, id, self.room()) {
            self.event(Event::EventsLost { id: stream, lost });
        }
        for id in self.streams.ids() {
            self.pump(id);
        }
    }

    pub(super) fn frame(&self, kind: EventKind, id: Option<&InstanceId>, logs: &str) -> Bytes {
        let instance = id.and_then(|id| self.object(id.as_str()));
        let has_logs = self.config.compat.has_meta() || kind == EventKind::Log;
        let mut bytes = Vec::with_capacity(768);
        Frame { kind, time: &self.time(), instance, logs: has_logs.then_some(logs) }.write(&mut bytes);
        bytes.into()
    }

    /// Hands a reader what it can take.
    pub(super) fn pump(&mut self, id: ExchangeId) {
        let (key_record, records) = (&self.key_record, &self.records);
        // Most readers have had their dump, and writing a time takes longer than all else here.
        let (nanoseconds, time) = (self.unix_nanoseconds(), OnceCell::new());
        let logs = self.config.compat.has_meta().then_some("");
        let dump = |last: Option<&InstanceId>, bytes: &mut Vec<u8>| {
            use std::ops::Bound::{Excluded, Unbounded};
            let instance = match last {
                None => key_record,
                Some(last) if last.is_key_record() => &records.values().next()?.instance,
                Some(last) => &records.range::<InstanceId, _>((Excluded(last), Unbounded)).next()?.1.instance,
            };
            let time = time.get_or_init(|| EventTime::from_unix_nanoseconds(nanoseconds));
            Frame { kind: EventKind::Initial, time, instance: Some(instance), logs }.write(bytes);
            Some(instance.id.clone())
        };
        while let Some(chunk) = self.streams.next(id, dump) {
            self.outputs.push_back(Output::PushBody { id, chunk });
        }
        if let Some(lost) = self.streams.take_lost(id, self.room()) {
            self.event(Event::EventsLost { id, lost });
            self.pump(id);
        }
    }

    pub(super) fn room(&self) -> Room {
        let Config { stream_queue, stream_bytes, announces_loss, .. } = self.config;
        Room { events: stream_queue, bytes: stream_bytes, announces_loss }
    }
}
