//! What becomes of a transaction when it has ended.

use super::machine::Timer;
use super::node::Node;
use super::online::Receipt;
use super::serve::For;
use super::step::Step;
use super::{
    Audience, BatchDigest, CodeDigest, Core, Event, ExchangeId, KeyDigest, NodeRecord, OnlineKey, Output,
    StoreId,
};
use crate::call::{Refusal, Reply};
use crate::config::NodeConfig;
use crate::value::{NodeId, NodeProtocolId, NodeStatus, SyncStatus, Timestamp, UserId};
use crate::{Method, StoreFailed};
use std::sync::Arc;
use web_time::Instant;

/// A transaction, who waits for it, and what it will have done.
pub(super) struct Pending {
    answer: Option<(ExchangeId, Reply)>,
    /// Exchanges with the same batch.
    pub(super) followers: Vec<ExchangeId>,
    pub(super) effect: Effect,
    pub(super) began: Instant,
    outcome: Option<Result<(), StoreFailed>>,
}

/// What a transaction does to Core once it is stored.
pub(super) enum Effect {
    /// A node has registered.
    Registered { record: Arc<NodeRecord>, code: CodeDigest },
    /// A node has another record.
    Changed { node: NodeId, news: Option<Event>, is_command: bool },
    /// Usage was counted.
    Usage {
        node: NodeId,
        batch: Option<(BatchDigest, Timestamp)>,
        forgotten: Vec<(BatchDigest, Timestamp)>,
        skipped: u64,
    },
    /// Other things were reported.
    Reported { node: NodeId, method: Method, skipped: u64 },
    /// Users are online.
    Online { node: NodeId, users: Vec<(UserId, NodeProtocolId)>, skipped: u64, at: Timestamp },
    /// A configuration is published.
    Published { audience: Audience, config: Arc<NodeConfig> },
    /// There is another code.
    CodeAdded { code: CodeDigest, expires: Option<Timestamp> },
    /// There is a code less.
    CodeRemoved(CodeDigest),
    /// There is a node less.
    NodeRemoved(NodeId),
    /// Core itself does not change.
    Nothing,
}

impl Pending {
    pub(super) fn new(effect: Effect, began: Instant) -> Self {
        Self { answer: None, followers: Vec::new(), effect, began, outcome: None }
    }

    /// Has an exchange answered with this once it is stored.
    pub(super) fn answering(self, exchange: ExchangeId, reply: Reply) -> Self {
        Self { answer: Some((exchange, reply)), ..self }
    }
}

impl Core {
    pub(super) fn pending_mut(&mut self, id: StoreId) -> Option<&mut Pending> {
        let first = self.next_store - self.pending.len() as u64;
        let place = id.0.checked_sub(first)?;
        self.pending.get_mut(usize::try_from(place).ok()?)
    }

    /// Takes the outcome of a transaction, then acts on all outcomes that have no earlier one to wait for.
    pub(super) fn settle(&mut self, id: StoreId, outcome: Result<(), StoreFailed>) {
        let Some(pending) = self.pending_mut(id) else { return };
        pending.outcome.get_or_insert(outcome);
        while let Some(outcome) = self.pending.front().and_then(|pending| pending.outcome) {
            let id = StoreId(self.next_store - self.pending.len() as u64);
            let Some(pending) = self.pending.pop_front() else { return };
            match outcome {
                Ok(()) => self.succeed(id, pending),
                Err(StoreFailed) => self.fail(id, pending),
            }
        }
    }

    fn succeed(&mut self, id: StoreId, pending: Pending) {
        let Pending { answer, followers, effect, began, .. } = pending;
        let replayed = match &effect {
            Effect::Usage { node, .. } => Some(node.clone()),
            _ => None,
        };
        self.take_effect(effect, began, Some(id));
        let reply = answer.as_ref().map(|(_, reply)| reply.clone());
        if let Some((exchange, reply)) = answer {
            self.answer(exchange, Ok(reply));
        }
        for (exchange, reply) in followers.into_iter().zip(std::iter::repeat(reply)) {
            self.replays += 1;
            self.outputs.extend(replayed.clone().map(|node| Output::Event(Event::Replayed { node })));
            if let Some(reply) = reply {
                self.answer(exchange, Ok(reply));
            }
        }
    }

    fn fail(&mut self, id: StoreId, pending: Pending) {
        match pending.effect {
            Effect::Registered { code, .. } => {
                self.registering -= 1;
                self.reserved.remove(&code);
            }
            Effect::Changed { node: id_of_node, .. } => {
                let node = self.nodes.get_mut(&id_of_node);
                if matches!(node.and_then(|node| node.fail(id)), Some(Step::Silent)) {
                    self.retry_silence(&id_of_node);
                }
                self.retry_restoring(&id_of_node);
            }
            Effect::Usage { node, batch: Some((batch, _)), .. } => {
                self.nodes.get_mut(&node).into_iter().for_each(|node| node.batches.end(&batch));
            }
            Effect::NodeRemoved(id_of_node) => {
                if let Some(node) = self.nodes.get_mut(&id_of_node) {
                    node.is_leaving = false;
                    self.restore_record(&id_of_node);
                    self.await_sign_of_life(&id_of_node, self.now);
                }
            }
            Effect::Published { config, .. } => {
                self.push(Event::NotPublished { revision: config.revision() });
            }
            Effect::Usage { .. }
            | Effect::Reported { .. }
            | Effect::Online { .. }
            | Effect::CodeAdded { .. }
            | Effect::CodeRemoved(_)
            | Effect::Nothing => {}
        }
        self.push(Event::NotStored { id });
        let exchanges = pending.answer.map(|(exchange, _)| exchange).into_iter().chain(pending.followers);
        exchanges.for_each(|exchange| self.answer(exchange, Err(Refusal::Unavailable)));
    }

    /// Replies, if the exchange is still there.
    fn answer(&mut self, exchange: ExchangeId, outcome: Result<Reply, Refusal>) {
        if self.waiting.remove(&exchange) {
            self.reply(exchange, outcome);
        }
    }

    /// Does what a transaction was for; without a transaction if there was nothing to store.
    pub(super) fn take_effect(&mut self, effect: Effect, began: Instant, id: Option<StoreId>) {
        match effect {
            Effect::Registered { record, code } => self.admit(record, code),
            Effect::Changed { node, news, is_command } => {
                self.outputs.extend(news.map(Output::Event));
                if let Some(id) = id {
                    self.change(&node, id, began);
                    self.outputs.extend(is_command.then_some(Output::Event(Event::Stored { id })));
                }
            }
            Effect::Usage { node, batch, forgotten, skipped } => {
                if let (Some((batch, at)), Some(node)) = (batch, self.nodes.get_mut(&node)) {
                    forgotten.iter().for_each(|known| node.batches.forget(known));
                    node.batches.end(&batch);
                    node.batches.remember(batch, at);
                }
                self.skip(node, Method::ReportUsage, skipped);
            }
            Effect::Reported { node, method, skipped } => self.skip(node, method, skipped),
            Effect::Online { node, users, skipped, at } => {
                let full = self.go_online(&users, began, at);
                self.skip(node, Method::ReportOnlineUsers, skipped + full);
            }
            Effect::Published { audience, config } => self.hand_out(&audience, config),
            Effect::CodeAdded { code, expires } => {
                self.codes.insert(code, expires);
                self.outputs.extend(id.map(|id| Output::Event(Event::Stored { id })));
            }
            Effect::CodeRemoved(code) => {
                self.codes.remove(&code);
                self.outputs.extend(id.map(|id| Output::Event(Event::Stored { id })));
            }
            Effect::NodeRemoved(node) => {
                self.remove(&node);
                self.outputs.extend(id.map(|id| Output::Event(Event::Stored { id })));
                self.push(Event::NodeRemoved { node });
            }
            Effect::Nothing => {}
        }
    }

    fn admit(&mut self, record: Arc<NodeRecord>, code: CodeDigest) {
        self.registering -= 1;
        self.reserved.remove(&code);
        self.codes.remove(&code);
        let node = record.id.clone();
        self.keys.insert(record.key, node.clone());
        self.nodes.insert(node.clone(), Node::new(record));
        self.push(Event::NodeRegistered { node });
    }

    fn change(&mut self, id: &NodeId, store: StoreId, began: Instant) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let Some((step, before)) = node.succeed(store) else { return };
        let record = node.record.clone();
        if record.node_status != before.node_status {
            let (node, status) = (id.clone(), record.node_status.clone());
            self.push(Event::NodeStatusChanged { node, status });
        }
        self.tell_sync_status(&before, &record);
        let is_new = record.node_status != before.node_status;
        if record.node_status == NodeStatus::ONLINE && (is_new || matches!(step, Step::Seen(..))) {
            self.await_sign_of_life(id, began);
        }
        self.restore_record(id);
    }

    /// Stores a node as it is, if the database has a change that is refused by now and no later one sets that right.
    pub(super) fn restore_record(&mut self, id: &NodeId) {
        let Some(node) = self.nodes.get(id) else { return };
        if node.is_stored() || node.is_changing() || node.is_leaving {
            return;
        }
        if self.has_room() {
            self.store_step(id, Step::Restored, For::Core);
        } else {
            self.retry_restoring(id);
        }
    }

    fn retry_restoring(&mut self, id: &NodeId) {
        if self.nodes.get(id).is_some_and(|node| !node.is_stored()) {
            let at = self.now.checked_add(self.config.store_retry);
            self.timers.set(Timer::Restore(id.clone()), at);
        }
    }

    fn tell_sync_status(&mut self, before: &NodeRecord, after: &NodeRecord) {
        if before.sync_status != after.sync_status {
            let (node, status) = (after.id.clone(), after.sync_status.clone());
            self.push(Event::SyncStatusChanged { node, status });
        }
    }

    fn skip(&mut self, node: NodeId, method: Method, count: u64) {
        if count > 0 {
            self.skipped = self.skipped.saturating_add(count);
            self.push(Event::Skipped { node, method, count });
        }
    }

    /// Sets the keys of users that were reported at an instant; returns how many there was no room for.
    fn go_online(&mut self, users: &[(UserId, NodeProtocolId)], received: Instant, at: Timestamp) -> u64 {
        let mut skipped = 0;
        for &(user, inbound) in users {
            let receipt = self.set_online(OnlineKey::User(user), received);
            match receipt {
                Receipt::Appeared => self.push(Event::UserOnline { user, at }),
                Receipt::Skipped => {
                    skipped += 1;
                    continue;
                }
                Receipt::Known | Receipt::Renewed => {}
            }
            let receipt = self.set_online(OnlineKey::Inbound { inbound, user }, received);
            skipped += u64::from(receipt == Receipt::Skipped);
        }
        if !users.is_empty() {
            self.await_sweep();
        }
        skipped
    }

    fn set_online(&mut self, key: OnlineKey, received: Instant) -> Receipt {
        let (gap, most) = (self.config.online_gap, self.config.max_online);
        let receipt = self.online.receive(key, received, gap, most);
        let passed = self.now.saturating_duration_since(received);
        let lifetime = self.config.online_lifetime.saturating_sub(passed);
        if !lifetime.is_zero() && matches!(receipt, Receipt::Renewed | Receipt::Appeared) {
            self.outputs.push_back(Output::SetOnline { key, lifetime });
        }
        receipt
    }

    /// Has nodes fetch a configuration. That their sync status is pending was stored with it; only what was stored
    /// since then needs to be set right.
    fn hand_out(&mut self, audience: &Audience, config: Arc<NodeConfig>) {
        let revision = config.revision();
        self.published.set(audience, config);
        self.push(Event::Published { revision });
        let concerned: Vec<NodeId> = match audience {
            Audience::All => self.nodes.keys().cloned().collect(),
            Audience::Node(node) => vec![node.clone()],
        };
        for id in concerned {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            if node.record.sync_status != SyncStatus::PENDING {
                let before = node.unsync();
                let after = node.record.clone();
                self.tell_sync_status(&before, &after);
            }
            let Some(node) = self.nodes.get(&id) else { continue };
            if node.is_changing() && !node.is_leaving && node.latest().sync_status != SyncStatus::PENDING {
                self.store_step(&id, Step::Unsynced, For::Core);
            }
        }
    }

    fn remove(&mut self, id: &NodeId) {
        self.published.remove(id);
        if let Some(node) = self.nodes.remove(id) {
            let key: &KeyDigest = &node.record.key;
            self.keys.remove(key);
        }
        self.timers.set(Timer::Silent(id.clone()), None);
        self.timers.set(Timer::Restore(id.clone()), None);
    }
}
