//! Processes that report figures and write lines, and the disk.

use super::{World, millis, seconds};
use bytes::Bytes;
use nodepass_api::Instant;
use nodepass_api::master::{
    DialId, Output, RunId, StartFailed, StoreFailed, StoreId, StoreTarget, SystemFigures, SystemId,
};
use nodepass_api::wire::{CheckPoint, Traffic};
use std::collections::BTreeMap;
use testkit::network::InFlight;

#[derive(Default)]
pub(crate) struct Processes {
    work: InFlight<Work>,
    alive: BTreeMap<RunId, Traffic>,
    /// How many of a thousand starts fail, and how many of a thousand reports are a process's last.
    pub(crate) failures: u16,
    /// How many of a thousand stores fail.
    pub(crate) bad_stores: u16,
    /// Processes that say nothing.
    pub(crate) are_mute: bool,
}

enum Work {
    Started(RunId),
    StartFailed(RunId),
    Report(RunId),
    Stopped(RunId),
    Stored(StoreId, StoreTarget, Bytes),
    System(SystemId),
    Dialed(DialId),
}

impl Processes {
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.work.next_at()
    }

    pub(super) fn clear(&mut self) {
        self.work.clear();
        self.alive.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.alive.len()
    }
}

/// A line as the original's processes write them.
pub(crate) fn line(level: &str, colour: u8, text: &str) -> String {
    format!("2026-11-21 10:17:18.123  \u{1b}[{colour}m{level}\u{1b}[0m  {text}")
}

fn report(traffic: Traffic) -> String {
    line("EVENT", 36, &CheckPoint::new(1, 3, 0, 2, 1, traffic).to_string())
}

impl World {
    pub(super) fn carry_out_for_master(&mut self, output: Output) {
        let soon = self.now + millis(5);
        match output {
            Output::Respond { id, response } => {
                if !self.respond(id, &response) {
                    self.others.push((id, response));
                }
            }
            Output::OpenBody { id, head } => self.open_body(id, head),
            Output::PushBody { id, chunk } => self.push_body(id, chunk),
            Output::CloseBody { id } => self.close_body(id),
            Output::Start { run, .. } => {
                let fails = self.random.chance(self.processes.failures);
                let work = if fails { Work::StartFailed(run) } else { Work::Started(run) };
                self.processes.work.push(soon, work);
            }
            Output::Stop { run, .. } => self.processes.work.push(soon + millis(20), Work::Stopped(run)),
            Output::Dial { id, .. } => self.processes.work.push(soon, Work::Dialed(id)),
            Output::ReadSystem { id } => self.processes.work.push(soon, Work::System(id)),
            Output::Store { id, target, snapshot } => {
                self.processes.work.push(soon, Work::Stored(id, target, snapshot));
            }
            Output::Event(event) => self.master_events.push_back(event),
        }
    }

    /// Does one piece of work that is due.
    pub(super) fn work(&mut self) -> bool {
        let Some((_, work)) = self.processes.work.pop_due(self.now) else { return false };
        let now = self.now;
        let Some(master) = &mut self.master else { return true };
        let master = &mut master.0;
        match work {
            Work::Started(run) => {
                self.processes.alive.insert(run, Traffic::default());
                master.handle_started(run, Ok(()), now);
                master.handle_line(run, "Init log level: INFO", now);
                master.handle_line(run, &line("INFO", 32, "Server started: 127.0.0.1:1"), now);
                self.processes.work.push(now + seconds(5), Work::Report(run));
            }
            Work::StartFailed(run) => master.handle_started(run, Err(StartFailed), now),
            Work::Report(run) => {
                let Some(traffic) = self.processes.alive.get_mut(&run) else { return true };
                self.processes.work.push(now + seconds(5), Work::Report(run));
                if self.processes.are_mute {
                    return true;
                }
                traffic.tcprx += self.random.below(1 << 20);
                traffic.tcptx += 50_000;
                traffic.udprx += 1;
                master.handle_line(run, &report(*traffic), now);
                if self.random.chance(200) {
                    let text = line("WARN", 33, "Something is <odd> & \"so on\"\u{2028}");
                    master.handle_line(run, &text, now);
                }
                if self.random.chance(self.processes.failures) {
                    self.processes.alive.remove(&run);
                    master.handle_exited(run, false, now);
                }
            }
            Work::Stopped(run) => {
                if let Some(traffic) = self.processes.alive.remove(&run) {
                    master.handle_line(run, &report(traffic), now);
                    master.handle_line(run, &line("INFO", 32, "Server shutdown complete"), now);
                }
                master.handle_exited(run, true, now);
            }
            Work::Stored(id, target, snapshot) => {
                let fails = self.random.chance(self.processes.bad_stores);
                if !fails {
                    self.disk[usize::from(target == StoreTarget::Backup)] = Some(snapshot);
                }
                let outcome = if fails { Err(StoreFailed) } else { Ok(()) };
                master.handle_stored(id, outcome, now);
            }
            Work::System(id) => {
                let figures =
                    SystemFigures { cpu: 7, mem_total: 1000, netrx: 10, ..SystemFigures::default() };
                master.handle_system(id, figures, now);
            }
            Work::Dialed(id) => master.handle_dialed(id, Ok(millis(3)), now),
        }
        true
    }
}
