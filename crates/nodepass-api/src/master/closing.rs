//! Storing and the end. §7.

use super::machine::{Life, Master, Timer};
use super::process::{Process, Then};
use super::record::Record;
use super::tcping::Dials;
use super::{Event, Output, StoreId, StoreTarget, answer};
use crate::wire::{InstanceId, Status};
use web_time::Instant;

impl Master {
    pub(super) fn reload(&mut self, at: Instant) {
        let id = StoreId(self.draw_id());
        self.backing_up = Some(id);
        let snapshot = self.snapshot().encode().into();
        self.outputs.push_back(Output::Store { id, target: StoreTarget::Backup, snapshot });
        if self.config.compat.has_meta() {
            // What stops already does so because somebody has asked for it.
            let is_errored = |(_, record): &(&InstanceId, &Record)| {
                record.is(&Status::Error) && !matches!(record.process, Process::Stopping { .. })
            };
            let errored: Vec<_> = self.records.iter().filter(is_errored).map(|(id, _)| id.clone()).collect();
            for id in errored {
                self.stop(&id, Then::Start);
            }
        }
        // After a long sleep one backup is enough.
        let next = at.checked_add(self.config.reload_interval).filter(|next| *next > self.now);
        let next = next.or_else(|| self.now.checked_add(self.config.reload_interval));
        self.timers.set(Timer::Reload, next);
    }

    /// The state has changed: it is stored after a moment.
    pub(super) fn changed(&mut self) {
        self.is_changed = true;
        if self.storing.is_none() && self.life == Life::Open && !self.timers.is_set(&Timer::Store) {
            self.arm(Timer::Store, self.config.store_delay);
        }
    }

    pub(super) fn store(&mut self) {
        if self.storing.is_some() || !self.is_changed {
            return;
        }
        self.is_changed = false;
        let id = StoreId(self.draw_id());
        self.storing = Some(id);
        let snapshot = self.snapshot().encode().into();
        self.outputs.push_back(Output::Store { id, target: StoreTarget::State, snapshot });
    }

    /// When no process lives any more, and the streams have ended, the state is stored for the last time.
    pub(super) fn proceed_closing(&mut self) {
        let Life::Closing { is_stored: false } = self.life else { return };
        let is_quiet = self.runs.is_empty() && self.streams.is_empty();
        if is_quiet && self.storing.is_none() {
            self.store_last();
        }
    }

    pub(super) fn store_last(&mut self) {
        self.life = Life::Closing { is_stored: true };
        self.timers.set(Timer::Store, None);
        self.timers.set(Timer::LastStore, None);
        self.is_changed = true;
        self.storing = None;
        self.store();
        self.arm(Timer::Shutdown, self.config.shutdown_timeout);
    }

    /// Time is up: what still lives is left behind, and the wait for a store ends.
    pub(super) fn close_late(&mut self) {
        match self.life {
            Life::Closing { is_stored: false } => {
                self.end_streams();
                if let Life::Closing { is_stored: false } = self.life {
                    for (run, id) in std::mem::take(&mut self.runs) {
                        self.timers.set(Timer::Stop(id.clone()), None);
                        let process = self.records.get(&id).map(|record| &record.process);
                        if !matches!(process, Some(Process::Stopping { is_forced: true, .. })) {
                            self.outputs.push_back(Output::Stop { run, force: true });
                        }
                    }
                    // One that is under way must not be written over by the older of two.
                    match self.storing {
                        None => self.store_last(),
                        Some(_) if self.timers.is_set(&Timer::LastStore) => {}
                        Some(_) => self.arm(Timer::LastStore, self.config.shutdown_timeout),
                    }
                }
            }
            Life::Closing { is_stored: true } => self.finish(),
            Life::Open | Life::Closed => {}
        }
    }

    pub(super) fn finish(&mut self) {
        for (exchange, waits) in std::mem::take(&mut self.waiting) {
            if waits {
                self.respond(exchange, answer::refusal(answer::Refusal::TooMany));
            }
        }
        self.life = Life::Closed;
        self.dials = Dials::default();
        self.systems.clear();
        self.timers.clear();
        self.event(Event::Closed);
    }
}
