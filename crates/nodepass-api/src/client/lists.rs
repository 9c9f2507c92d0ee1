//! The list: what repairs the view, and what keeps it where there is no stream.

use super::exchanges::Purpose;
use super::machine::{Path, Timer};
use super::monitor::Link;
use super::{Call, Client, Event, Monitoring, RequestError};
use crate::fleet::{Change, Changed, Ticket};
use crate::wire::{Instance, decode};
use bytes::Bytes;
use http::Response;
use std::time::Duration;

impl Client {
    pub(super) fn is_polling(&self) -> bool {
        self.config.monitoring == Monitoring::Poll || self.monitor.is_polling
    }

    /// Asks for the list now, or as soon as it may be asked for again.
    pub(super) fn want_list(&mut self) {
        let is_able = matches!(self.path, Path::Known(_)) && !self.is_key_refused;
        if self.config.monitoring == Monitoring::Off || !is_able {
            return;
        }
        if self.is_listing {
            self.monitor.is_list_wanted = true;
            return;
        }
        let passed = self.monitor.listed_at.map(|at| self.now.saturating_duration_since(at));
        match passed.and_then(|passed| self.config.settle_delay.checked_sub(passed)) {
            Some(wait) if !wait.is_zero() => self.arm(Timer::List, Some(wait)),
            _ => self.list_is_due(),
        }
    }

    pub(super) fn list_is_due(&mut self) {
        self.timers.set(Timer::List, None);
        if !self.is_key_refused && !self.is_listing {
            self.monitor.is_list_wanted = false;
            self.monitor.listed_at = Some(self.now);
            self.send(Purpose::List, Call::List);
        }
    }

    /// The list has been answered, and with success.
    pub(super) fn listed(&mut self, ticket: Option<Ticket>, response: &Response<Bytes>, secrets: &[&str]) {
        let list: Vec<Instance> = match decode(response.body()) {
            Ok(list) => list,
            Err(error) => return self.not_listed(RequestError::undecodable(error, response.body(), secrets)),
        };
        let Some(ticket) = ticket else { return };
        let at = self.moment();
        let records = list.len();
        let merge = self.fleet.apply_list(ticket, list, at, &mut self.monitor.changes);
        let [mut added, mut removed, mut repaired] = [0; 3];
        let mut have_reported = false;
        for change in &self.monitor.changes {
            match change {
                Change::Added(_) => added += 1,
                Change::Removed(_) => removed += 1,
                Change::Updated { what, .. } => {
                    repaired += usize::from(is_repair(what));
                    have_reported |= what.traffic || what.figures;
                }
                _ => {}
            }
        }
        self.tell_changes();
        let is_streaming = matches!(self.monitor.link, Link::Open(_));
        let is_news = is_streaming && added + removed + repaired > 0;
        if merge.settled && (is_news || !self.monitor.is_settled) {
            self.event(Event::Synced { added, removed, repaired });
        }
        self.monitor.is_settled = merge.settled;
        self.next_list(if merge.settled { None } else { Some(self.config.settle_delay) });
        if let Some(open) = self.monitor.open() {
            open.listed = records;
            self.check_first_event();
            self.check_silence(have_reported);
        }
    }

    /// There is no list. What else is to be listed waits for the next attempt.
    pub(super) fn not_listed(&mut self, reason: RequestError) {
        let wait = self.config.poll_interval;
        self.monitor.is_settled = false;
        self.monitor.is_list_wanted = false;
        self.event(Event::ListFailed { reason, wait });
        self.next_list(Some(wait));
    }

    fn next_list(&mut self, wait: Option<Duration>) {
        if std::mem::take(&mut self.monitor.is_list_wanted) {
            return self.want_list();
        }
        let usual = match self.is_polling() {
            true => Some(self.config.poll_interval),
            false => self.config.resync_interval,
        };
        if !self.is_key_refused {
            self.arm(Timer::List, wait.or(usual));
        }
    }
}

/// Figures change all the time; the rest is told by events, unless they were lost.
fn is_repair(what: &Changed) -> bool {
    what.status || what.url || what.alias || what.restart || what.meta || what.other
}
