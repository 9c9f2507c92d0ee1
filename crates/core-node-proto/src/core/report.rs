//! What becomes of reports: usage, sessions, online users, statistics. §9.4, §10.

use super::batches::digest;
use super::serve::{ACKNOWLEDGED, Answer};
use super::settle::{Effect, Pending};
use super::{Change, Config, Core, Event, ExchangeId, SessionTexts, StoreId, Traffic, UsageKey};
use crate::Method;
use crate::call::{Refusal, Reply};
use crate::message::{
    FieldError, NodeStats, OnlineUser, OnlineUsers, OutboundUsage, SessionEvents, UsageEntry,
};
use crate::value::{NodeId, SessionEventTypeKind, Timestamp, ValueError, VpnProtocolKind};
use std::sync::Arc;
use std::time::Duration;

impl Core {
    pub(super) fn usage(
        &mut self,
        exchange: ExchangeId,
        id: &NodeId,
        entries: &[UsageEntry],
    ) -> Result<Answer, Refusal> {
        let wall_clock = self.time_of_day();
        let recognises = self.config.replay_recognition && !entries.is_empty();
        let batch = recognises.then(|| digest(id, entries));
        let batches = &self.nodes.get(id).ok_or(Refusal::Unauthorized)?.batches;
        if let Some(batch) = &batch {
            if batches.is_known(batch, wall_clock, self.config.replay_window) {
                self.replays += 1;
                self.push(Event::Replayed { node: id.clone() });
                return Ok(Answer::Now(ACKNOWLEDGED));
            }
            if let Some(store) = batches.storing(batch) {
                return self.share(exchange, store);
            }
        }
        let mut changes = Vec::with_capacity(entries.len() + 1);
        let mut forgotten = Vec::new();
        if let Some(batch) = batch {
            forgotten = batches.superfluous(wall_clock, self.config.replay_window, self.config.max_batches);
            let forget = |(batch, _): &(_, _)| Change::BatchForgotten { node: id.clone(), batch: *batch };
            changes.extend(forgotten.iter().map(forget));
            changes.push(Change::Batch { node: id.clone(), batch, at: wall_clock });
        }
        let skipped = self.add_rows(id, entries, wall_clock, &mut changes);
        let batch = batch.map(|batch| (batch, wall_clock));
        let effect = Effect::Usage { node: id.clone(), batch, forgotten, skipped };
        self.answer_when_stored(exchange, changes, effect)
    }

    /// Adds the rows of a batch to the changes; returns how many entries were skipped.
    fn add_rows(
        &self,
        id: &NodeId,
        entries: &[UsageEntry],
        wall_clock: Timestamp,
        changes: &mut Vec<Change>,
    ) -> u64 {
        let mut skipped = 0;
        for entry in entries {
            if !self.directory.may_report(id, entry.user_id, entry.node_protocol_id) {
                skipped += 1;
                continue;
            }
            let traffic = Traffic { bytes_up: entry.bytes_up, bytes_down: entry.bytes_down };
            if traffic.is_zero() {
                continue;
            }
            let is_own = |id: &_| self.directory.user_of(*id) == Some(entry.user_id);
            let key = UsageKey {
                node_id: id.clone(),
                user_id: entry.user_id,
                subscription_id: entry.subscription_id.filter(is_own),
                node_protocol_id: entry.node_protocol_id,
                minute: minute(believable(&self.config, entry.recorded_at, wall_clock)),
            };
            changes.push(Change::Usage(key, traffic));
        }
        skipped
    }

    /// Gives a batch that comes again while it is being stored the same outcome: it is neither counted twice nor
    /// acknowledged before it is stored.
    fn share(&mut self, exchange: ExchangeId, store: StoreId) -> Result<Answer, Refusal> {
        if !self.has_room() {
            return Err(Refusal::Unavailable);
        }
        let most = self.config.max_pending;
        let followers = self.pending_mut(store).map(|pending| &mut pending.followers);
        // Those that were cancelled are still there.
        let followers = followers.filter(|followers| followers.len() < most).ok_or(Refusal::Unavailable)?;
        followers.push(exchange);
        Ok(Answer::Stored)
    }

    pub(super) fn outbound_usage(
        &mut self,
        exchange: ExchangeId,
        id: &NodeId,
        usage: OutboundUsage,
    ) -> Result<Answer, Refusal> {
        let total = usage.items.len();
        let known = usage.items.into_iter().filter(|item| self.directory.has_outbound(id, &item.tag));
        let known: Vec<_> = known.collect();
        let skipped = total - known.len();
        let changes = known.into_iter().map(|item| Change::Outbound {
            node: id.clone(),
            tag: item.tag.into(),
            traffic: Traffic { bytes_up: item.bytes_up, bytes_down: item.bytes_down },
        });
        let changes =
            changes.filter(|change| !matches!(change, Change::Outbound { traffic, .. } if traffic.is_zero()));
        let changes = changes.collect();
        let method = Method::ReportOutboundUsage;
        let effect = Effect::Reported { node: id.clone(), method, skipped: skipped as u64 };
        self.answer_when_stored(exchange, changes, effect)
    }

    pub(super) fn sessions(
        &mut self,
        exchange: ExchangeId,
        id: &NodeId,
        sessions: SessionEvents,
    ) -> Result<Answer, Refusal> {
        if self.config.session_texts == SessionTexts::Known {
            check_texts(&sessions).map_err(Refusal::Invalid)?;
        }
        let total = sessions.events.len();
        let known = sessions.events.into_iter().filter(|event| self.directory.has_user(event.user_id));
        let changes: Vec<_> = known.map(|event| Change::Session { node: id.clone(), event }).collect();
        let skipped = (total - changes.len()) as u64;
        let effect = Effect::Reported { node: id.clone(), method: Method::ReportSessionEvents, skipped };
        self.answer_when_stored(exchange, changes, effect)
    }

    pub(super) fn online_users(
        &mut self,
        exchange: ExchangeId,
        id: &NodeId,
        online: &OnlineUsers,
    ) -> Result<Answer, Refusal> {
        let wall_clock = self.time_of_day();
        let may_report =
            |user: &&OnlineUser| self.directory.may_report(id, user.user_id, user.node_protocol_id);
        let known: Vec<&OnlineUser> = online.users.iter().filter(may_report).collect();
        let skipped = (online.users.len() - known.len()).saturating_add(online.unreadable) as u64;
        let seen = |user: &OnlineUser| {
            let id = user.user_id;
            let ips = user.ips.clone().into_iter();
            ips.map(move |at| {
                let seen = at.last_seen.map_or(wall_clock, |seen| seen.min(wall_clock));
                Change::Address { user: id, ip: at.ip, seen }
            })
        };
        let changes = known.iter().copied().flat_map(seen).collect();
        let users = known.iter().map(|user| (user.user_id, user.node_protocol_id)).collect();
        let effect = Effect::Online { node: id.clone(), users, skipped, at: wall_clock };
        self.answer_when_stored(exchange, changes, effect)
    }

    pub(super) fn node_stats(&mut self, id: &NodeId, stats: NodeStats) -> Reply {
        let (at, stats) = (self.time_of_day(), Arc::new(stats));
        if let Some(node) = self.nodes.get_mut(id) {
            node.stats.take(stats.clone(), at, self.now, self.config.stats_history);
        }
        self.push(Event::Stats { node: id.clone(), at, stats });
        ACKNOWLEDGED
    }

    /// Acknowledges when the changes are stored, at once if there are none.
    fn answer_when_stored(
        &mut self,
        exchange: ExchangeId,
        changes: Vec<Change>,
        effect: Effect,
    ) -> Result<Answer, Refusal> {
        let pending = Pending::new(effect, self.now);
        if changes.is_empty() {
            self.take_effect(pending.effect, pending.began, None);
            return Ok(Answer::Now(ACKNOWLEDGED));
        }
        if !self.has_room() {
            return Err(Refusal::Unavailable);
        }
        let batch = match &pending.effect {
            Effect::Usage { node, batch: Some(batch), .. } => Some((node.clone(), *batch)),
            _ => None,
        };
        let id = self.store(changes, pending.answering(exchange, ACKNOWLEDGED));
        if let Some((node, (batch, at))) = batch {
            self.nodes.get_mut(&node).into_iter().for_each(|node| node.batches.begin(batch, at, id));
        }
        Ok(Answer::Stored)
    }
}

/// Returns when an entry counts as recorded: on receipt if the node's clock is wrong.
fn believable(config: &Config, recorded: Timestamp, received: Timestamp) -> Timestamp {
    let milliseconds = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let ahead = recorded.unix_milliseconds().saturating_sub(received.unix_milliseconds());
    let is_late = ahead < -milliseconds(config.recorded_before);
    if is_late || ahead > milliseconds(config.recorded_ahead) { received } else { recorded }
}

/// Returns the start of the minute.
fn minute(at: Timestamp) -> Timestamp {
    let milliseconds = at.unix_milliseconds();
    let start = milliseconds - milliseconds.rem_euclid(60_000);
    Timestamp::from_unix_milliseconds(start).expect("the first minute starts at the first instant")
}

fn check_texts(sessions: &SessionEvents) -> Result<(), FieldError> {
    for (index, event) in sessions.events.iter().enumerate() {
        let is_protocol_known = event.protocol.kind() != VpnProtocolKind::Other;
        let is_type_known = event.event_type.kind() != SessionEventTypeKind::Other;
        for (field, is_known) in [("protocol", is_protocol_known), ("eventType", is_type_known)] {
            if !is_known {
                return Err(FieldError::new(field, ValueError::UnknownText).in_item("events", index));
            }
        }
    }
    Ok(())
}
