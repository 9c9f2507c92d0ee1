//! Instances and their processes. §7.

use super::machine::{Life, Master, Timer, blank};
use super::process::{Process, Then};
use super::record::Record;
use super::snapshot::{Stored, StoredPeer};
use super::{Compat, Event, Output, RunId, answer};
use crate::url::InstanceUrl;
use crate::wire::{CheckPoint, EventKind, InstanceId, InstanceKind, Status};
use bytes::Bytes;
use http::StatusCode;

/// How a run came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Clean,
    Failed,
    Stuck,
}

impl Master {
    pub(super) fn restore(&mut self, stored: Stored) {
        let mut instance = blank(self.config.compat);
        let url = InstanceUrl::parse(&stored.url).ok();
        instance.kind = url.as_ref().map_or(InstanceKind::Client, |url| url.role().into());
        instance.config = url.and_then(|url| self.config_text(&url));
        instance.id = stored.id.clone();
        instance.url = stored.url;
        instance.alias = Some(stored.alias);
        instance.status = match stored.status {
            Status::Error if !self.config.compat.has_meta() => Status::Error,
            _ => Status::Stopped,
        };
        instance.restart = Some(stored.restart);
        instance.mode = Some(stored.mode);
        if let Some(meta) = &mut instance.meta {
            let StoredPeer { sid, kind, alias } = stored.peer;
            let peer = crate::wire::Peer {
                sid: Some(sid),
                kind: Some(kind),
                alias: Some(alias),
                ..Default::default()
            };
            (meta.peer, meta.tags) = (Some(peer), Some(stored.tags));
        }
        let mut record = Record::new(instance);
        record.set_traffic(stored.traffic);
        self.records.insert(stored.id.clone(), record);
        if stored.restart {
            self.to_start.insert(stored.id);
        }
    }

    pub(super) fn start_next(&mut self) {
        while let Some(id) = self.to_start.pop_first() {
            let is_idle = self.records.get(&id).is_some_and(|record| matches!(record.process, Process::None));
            if is_idle {
                self.start(&id);
                self.arm(Timer::NextStart, self.config.start_spacing);
                return;
            }
        }
    }

    pub(super) fn start(&mut self, id: &InstanceId) {
        let run = RunId(self.draw_id());
        let Some(record) = self.records.get_mut(id) else { return };
        record.begin_run();
        record.process = Process::Alive(run);
        let (instance, kind, url) = (id.clone(), record.instance.kind.clone(), record.instance.url.clone());
        self.runs.insert(run, id.clone());
        self.outputs.push_back(Output::Start { run, instance, kind, url });
    }

    /// Stops the process if there is one, and does `then` when it has ended.
    pub(super) fn stop(&mut self, id: &InstanceId, then: Then) {
        let Some(record) = self.records.get_mut(id) else { return };
        match &mut record.process {
            Process::Alive(run) => {
                let run = *run;
                record.process = Process::Stopping { run, then, is_forced: false };
                self.timers.set(Timer::Overdue(id.clone()), None);
                self.outputs.push_back(Output::Stop { run, force: false });
                self.arm(Timer::Stop(id.clone()), self.config.stop_timeout);
            }
            Process::Stopping { then: before, .. } => {
                let earlier = std::mem::replace(before, Then::Stay);
                *before = merged(earlier, then);
            }
            Process::None | Process::Pausing => {
                record.process = Process::None;
                self.timers.set(Timer::Pause(id.clone()), None);
                let is_errored = !record.is(&Status::Stopped);
                if is_errored {
                    self.stopped(id);
                }
                self.follow(id, then, true);
            }
        }
    }

    pub(super) fn stopped(&mut self, id: &InstanceId) {
        self.set_status(id, Status::Stopped);
        self.publish(EventKind::Update, id);
        self.changed();
    }

    pub(super) fn run_ended(&mut self, run: RunId, end: End) {
        let Some(id) = self.runs.remove(&run) else { return };
        let Some(record) = self.records.get_mut(&id) else { return };
        self.timers.set(Timer::Stop(id.clone()), None);
        self.timers.set(Timer::Overdue(id.clone()), None);
        match std::mem::replace(&mut record.process, Process::None) {
            Process::Stopping { then, .. } => {
                self.stopped(&id);
                self.follow(&id, then, false);
            }
            // One that had said that it fails stays in error, whatever its last word is.
            Process::Alive(_) | Process::None | Process::Pausing
                if end == End::Clean && !record.is(&Status::Error) =>
            {
                self.stopped(&id);
            }
            Process::Alive(_) | Process::None | Process::Pausing => {
                self.set_status(&id, Status::Error);
                self.publish(EventKind::Update, &id);
                self.changed();
            }
        }
        self.proceed_closing();
    }

    /// Does what was to follow the end of a process.
    pub(super) fn follow(&mut self, id: &InstanceId, then: Then, was_idle: bool) {
        if self.life != Life::Open {
            let exchanges = match then {
                Then::Stay | Then::Start => return,
                Then::Replace(_, exchanges) => exchanges,
                Then::Remove { exchanges, in_vain } => [exchanges, in_vain].concat(),
            };
            for exchange in exchanges {
                self.respond_later(exchange, answer::refusal(answer::Refusal::TooMany));
            }
            return;
        }
        match then {
            Then::Stay => {}
            Then::Start if was_idle || self.config.restart_pause.is_zero() => self.start(id),
            Then::Start => {
                if let Some(record) = self.records.get_mut(id) {
                    record.process = Process::Pausing;
                }
                self.arm(Timer::Pause(id.clone()), self.config.restart_pause);
            }
            Then::Replace(replacement, exchanges) => {
                let Some(record) = self.records.get_mut(id) else { return };
                let instance = &mut record.instance;
                (instance.kind, instance.url, instance.config) =
                    (replacement.kind, replacement.url, replacement.config);
                let response = answer::json(StatusCode::OK, &*instance);
                for exchange in exchanges {
                    self.respond_later(exchange, response.clone());
                }
                self.changed();
                if replacement.starts {
                    self.start(id);
                }
            }
            Then::Remove { exchanges, in_vain } => {
                for exchange in exchanges {
                    self.respond_later(exchange, answer::handled(StatusCode::NO_CONTENT, Bytes::new()));
                }
                for exchange in in_vain {
                    self.respond_later(exchange, answer::refusal(answer::Refusal::NotFound));
                }
                self.publish(EventKind::Delete, id);
                self.records.remove(id);
                self.event(Event::Deleted { instance: id.clone() });
                self.changed();
            }
        }
    }

    pub(super) fn report(&mut self, id: &InstanceId, point: &CheckPoint) {
        let overdue = self.config.compat.overdue(self.config.report_interval);
        let Some(record) = self.records.get_mut(id) else { return };
        record.report(point);
        if matches!(record.process, Process::Alive(_)) {
            let recovers = record.is(&Status::Error) && self.config.compat != Compat::V1_6;
            if recovers {
                self.set_status(id, Status::Running);
            }
            let at = overdue.and_then(|overdue| self.now.checked_add(overdue));
            self.timers.set(Timer::Overdue(id.clone()), at);
        }
        self.publish(EventKind::Update, id);
    }

    pub(super) fn log(&mut self, id: &InstanceId, line: &str) {
        let mut end = line.len().min(self.config.max_line);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let line = &line[..end];
        let says_error = line.contains("Server error:") || line.contains("Client error:");
        let is_alive = matches!(self.records.get(id).map(|record| &record.process), Some(Process::Alive(_)));
        if says_error && is_alive && self.config.compat.has_meta() {
            self.set_status(id, Status::Error);
        }
        self.publish_frame(EventKind::Log, Some(id), line);
    }

    pub(super) fn set_status(&mut self, id: &InstanceId, status: Status) {
        let Some(record) = self.records.get_mut(id) else { return };
        if !record.is(&status) {
            if status != Status::Running && self.config.compat.has_meta() {
                record.clear_gauges();
            }
            record.instance.status = status.clone();
            self.event(Event::StatusChanged { instance: id.clone(), status });
        }
    }

    pub(super) fn stop_takes_long(&mut self, id: &InstanceId) {
        let Some(Process::Stopping { run, is_forced, .. }) =
            self.records.get_mut(id).map(|record| &mut record.process)
        else {
            return;
        };
        let run = *run;
        if std::mem::replace(is_forced, true) {
            self.event(Event::ProcessStuck { instance: id.clone(), run });
            self.run_ended(run, End::Stuck);
        } else {
            self.outputs.push_back(Output::Stop { run, force: true });
            self.arm(Timer::Stop(id.clone()), self.config.stop_timeout);
        }
    }
}

/// What was asked for later counts, but a removal stays one, another URL stays, and whoever waits is answered.
fn merged(earlier: Then, later: Then) -> Then {
    match (earlier, later) {
        (Then::Remove { exchanges, in_vain }, Then::Remove { exchanges: more, .. }) => {
            Then::Remove { exchanges: [exchanges, more].concat(), in_vain }
        }
        (Then::Remove { exchanges, in_vain }, Then::Replace(_, more)) => {
            Then::Remove { exchanges, in_vain: [in_vain, more].concat() }
        }
        (Then::Replace(_, in_vain), Then::Remove { exchanges, .. }) => Then::Remove { exchanges, in_vain },
        (Then::Replace(_, exchanges), Then::Replace(replacement, more)) => {
            Then::Replace(replacement, [exchanges, more].concat())
        }
        (Then::Replace(mut replacement, exchanges), later @ (Then::Stay | Then::Start)) => {
            replacement.starts = matches!(later, Then::Start);
            Then::Replace(replacement, exchanges)
        }
        (earlier @ Then::Remove { .. }, Then::Stay | Then::Start) => earlier,
        (Then::Stay | Then::Start, later) => later,
    }
}
