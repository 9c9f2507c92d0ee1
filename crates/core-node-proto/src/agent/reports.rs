//! Session events, errors, statistics and who is online: what is lost without harm, or replaced by the next. §10, §12.

use super::calls::Purpose;
use super::machine::{Agent, Life, Timer};
use super::output::{CommandError, Event, Output, Sampling, Seen};
use super::sync::map_of;
use crate::Method;
use crate::attribution;
use crate::call::{Call, Outcome};
use crate::config::ClientMap;
use crate::message::{NodeError, NodeStats, OnlineIp, OnlineUser, OnlineUsers, SessionEvent, SessionEvents};
use crate::value::{Address, NodeProtocolId, Timestamp, UserId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use web_time::Instant;

/// Session events that Core has not got.
#[derive(Default)]
pub(super) struct Sessions {
    pub(super) waiting: VecDeque<SessionEvent>,
    flying: Vec<SessionEvent>,
    /// They have waited long enough for more of them.
    is_due: bool,
    /// The timer is that of a wait after a failure.
    is_held: bool,
    failures: u32,
}

/// Session events.
impl Agent {
    pub(super) fn add_session(&mut self, mut event: SessionEvent) -> Result<(), CommandError> {
        self.check_open()?;
        event.event_type = self.config.session_spelling.of(&event.event_type);
        self.sessions.waiting.push_back(event);
        self.trim_sessions();
        self.wait_for_more_sessions();
        Ok(())
    }

    fn trim_sessions(&mut self) {
        while self.sessions.waiting.len() > self.config.max_sessions {
            self.sessions.waiting.pop_front();
            self.dropped.sessions += 1;
        }
    }

    fn wait_for_more_sessions(&mut self) {
        let is_waiting = self.sessions.is_due || self.timers.is_set(&Timer::Sessions);
        if !is_waiting && !self.sessions.waiting.is_empty() && !self.is_flying(Purpose::Sessions) {
            self.arm(Timer::Sessions, self.config.session_interval);
        }
    }

    pub(super) fn sessions_due(&mut self) {
        self.sessions.is_due = true;
        self.sessions.is_held = false;
    }

    pub(super) fn send_sessions(&mut self) {
        let count = self.sessions.waiting.len().min(self.config.session_batch);
        let is_full = count == self.config.session_batch || matches!(self.life, Life::Closing { .. });
        let is_due = self.sessions.is_due || is_full;
        let may_send = self.may_flush() && !self.sessions.is_held && !self.is_flying(Purpose::Sessions);
        if count == 0 || !is_due || !may_send {
            return;
        }
        self.sessions.flying = self.sessions.waiting.drain(..count).collect();
        self.sessions.is_due = false;
        self.timers.set(Timer::Sessions, None);
        let call = Call::ReportSessionEvents(SessionEvents { events: self.sessions.flying.clone() });
        if !self.send(Purpose::Sessions, call) {
            self.keep_sessions();
            self.hold_sessions(self.config.missing_wait);
        }
    }

    pub(super) fn sessions_ended(&mut self, outcome: Outcome) {
        match outcome {
            // Core cannot recognise what it took already, so that nothing is sent twice.
            Outcome::Acked | Outcome::Ambiguous => {
                self.sessions.flying.clear();
                self.sessions.failures = 0;
            }
            Outcome::NotApplied | Outcome::Missing | Outcome::Auth => {
                self.keep_sessions();
                let wait = self.backoff(self.sessions.failures);
                self.sessions.failures = self.sessions.failures.saturating_add(1);
                self.hold_sessions(wait);
            }
            Outcome::Rejected | Outcome::TooLarge => {
                let flying = std::mem::take(&mut self.sessions.flying);
                self.dropped.sessions += flying.len() as u64;
                self.event(Event::Refused(Method::ReportSessionEvents));
            }
        }
        self.wait_for_more_sessions();
    }

    fn keep_sessions(&mut self) {
        for event in std::mem::take(&mut self.sessions.flying).into_iter().rev() {
            self.sessions.waiting.push_front(event);
        }
        self.trim_sessions();
    }

    fn hold_sessions(&mut self, wait: std::time::Duration) {
        self.sessions.is_held = true;
        self.arm(Timer::Sessions, wait);
    }
}

/// Errors.
impl Agent {
    pub(super) fn add_error(&mut self, error: NodeError) -> Result<(), CommandError> {
        self.check_open()?;
        error.check().map_err(CommandError::Invalid)?;
        self.keep_error(error);
        Ok(())
    }

    /// Keeps an error in the place of an earlier one that Core has not got.
    pub(super) fn keep_error(&mut self, error: NodeError) {
        self.state.error = Some(Arc::new(error));
        self.error_failures = 0;
        self.timers.set(Timer::Error, None);
        self.touch();
    }

    pub(super) fn send_error(&mut self) {
        // Core would take a confirmation that it gets after the error for the later news, and the node for well.
        let is_flying = self.is_flying(Purpose::Error) || self.is_flying(Purpose::Confirm);
        let is_held = self.timers.is_set(&Timer::Error) || is_flying || !self.may_flush();
        let Some(error) = self.state.error.clone().filter(|_| !is_held) else { return };
        self.flying_error = Some(Arc::clone(&error));
        if !self.send(Purpose::Error, Call::ReportError(NodeError::clone(&error))) {
            self.arm(Timer::Error, self.config.missing_wait);
        }
    }

    pub(super) fn error_ended(&mut self, outcome: Outcome) {
        let Some(sent) = self.flying_error.take() else { return };
        let is_latest = self.state.error.as_ref().is_some_and(|latest| Arc::ptr_eq(latest, &sent));
        if !is_latest {
            return;
        }
        match outcome {
            Outcome::Acked => self.drop_error(),
            Outcome::Rejected | Outcome::TooLarge => {
                self.event(Event::Refused(Method::ReportError));
                self.drop_error();
            }
            Outcome::NotApplied | Outcome::Auth | Outcome::Missing | Outcome::Ambiguous => {
                let wait = self.backoff(self.error_failures);
                self.error_failures = self.error_failures.saturating_add(1);
                self.arm(Timer::Error, wait);
            }
        }
    }

    fn drop_error(&mut self) {
        self.state.error = None;
        self.touch();
    }
}

/// Statistics, and who is online.
impl Agent {
    pub(super) fn stats_due(&mut self, at: Instant) {
        self.arm_next(Timer::Stats, at, self.config.stats_interval);
        match self.report_room(Purpose::Stats, Method::ReportNodeStats) {
            Room::Free => self.outputs.push_back(Output::Sample(Sampling::Stats)),
            Room::Busy => {}
            Room::NoWay => self.dropped.stats += 1,
        }
    }

    pub(super) fn take_stats(&mut self, stats: NodeStats) {
        let stats = stats.cleaned();
        if let Err(error) = stats.check() {
            self.dropped.stats += 1;
            return self.event(Event::StatsUnusable(error));
        }
        match self.report_room(Purpose::Stats, Method::ReportNodeStats) {
            Room::Free => {
                self.send(Purpose::Stats, Call::ReportNodeStats(stats));
            }
            Room::Busy | Room::NoWay => self.dropped.stats += 1,
        }
    }

    pub(super) fn online_due(&mut self, at: Instant) {
        self.arm_next(Timer::Online, at, self.config.online_interval);
        match self.report_room(Purpose::Online, Method::ReportOnlineUsers) {
            Room::Free => self.outputs.push_back(Output::Sample(Sampling::Online)),
            Room::Busy => {}
            Room::NoWay => self.dropped.online += 1,
        }
    }

    pub(super) fn take_online(&mut self, seen: &[Seen]) {
        match self.report_room(Purpose::Online, Method::ReportOnlineUsers) {
            Room::Free => {
                let users = self.attribute_online(seen);
                self.send(Purpose::Online, Call::ReportOnlineUsers(users));
            }
            Room::Busy | Room::NoWay => self.dropped.online += 1,
        }
    }

    /// Finds out who is behind the names, merged per user and inbound, addresses with their newest instants.
    fn attribute_online(&mut self, seen: &[Seen]) -> OnlineUsers {
        let (current, previous) = self.client_maps();
        let empty = ClientMap::default();
        let current = map_of(current.as_ref(), &empty);
        let previous = previous.as_ref().map(|config| config.client_map());
        let now = self.clock.at(self.now);
        let mut users: BTreeMap<(UserId, NodeProtocolId), BTreeMap<Address, Timestamp>> = BTreeMap::new();
        for Seen { name, ip, last_seen } in seen {
            let Ok(whose) = attribution::attribute(name, current, previous) else {
                self.dropped.names += 1;
                continue;
            };
            if let Some(anomaly) = whose.anomaly {
                self.note_anomaly(anomaly);
            }
            let addresses = users.entry((whose.user_id, whose.proto_id)).or_default();
            if let Some(ip) = ip {
                let newest = addresses.entry(*ip).or_insert(Timestamp::MIN);
                *newest = last_seen.unwrap_or(now).max(*newest);
            }
        }
        let users = users.into_iter().map(|((user_id, node_protocol_id), addresses)| OnlineUser {
            user_id,
            node_protocol_id,
            ips: addresses.into_iter().map(|(ip, at)| OnlineIp { ip, last_seen: Some(at) }).collect(),
        });
        OnlineUsers { users: users.collect(), unreadable: 0 }
    }

    fn report_room(&self, purpose: Purpose, method: Method) -> Room {
        if !self.may_call() || self.link.choose(method, self.now).is_none() {
            Room::NoWay
        } else if self.is_flying(purpose) {
            Room::Busy
        } else {
            Room::Free
        }
    }

    /// Lets errors and session events go at once: there is a way again.
    pub(super) fn retry_reports(&mut self) {
        self.timers.set(Timer::Error, None);
        if self.sessions.is_held {
            self.timers.set(Timer::Sessions, None);
            self.sessions_due();
        }
    }
}

/// Whether a report that is never repeated can go out.
enum Room {
    Free,
    /// The one before is under way.
    Busy,
    NoWay,
}
