//! What is stored, in memory: the meaning of every change.

use super::enrichment::AddressQuery;
use super::{
    Audience, BatchDigest, Change, CodeDigest, Directory, NodeRecord, Published, Stored, StoredBatch,
    Traffic, UsageKey, form,
};
use crate::message::SessionEvent;
use crate::value::{
    Address, NodeId, SessionEventType, SubscriptionId, SyncStatus, Timestamp, UserId, VpnProtocol,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All that Core stores, for tests, simulations and small set-ups. A database does the same with its tables.
///
/// ```
/// use core_node_proto::core::{Change, CodeDigest, Tables};
/// use core_node_proto::Secret;
///
/// let code = CodeDigest::of(&Secret::new("CODE-ONE"));
/// let mut tables = Tables::default();
/// tables.apply(&[Change::CodeAdded { code, expires: None }]);
/// assert!(tables.stored().codes.contains_key(&code));
/// tables.apply(&[Change::CodeUsed(code)]);
/// assert!(tables.stored().codes.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Tables {
    /// The nodes.
    #[serde(with = "form::entries")]
    pub nodes: BTreeMap<NodeId, Arc<NodeRecord>>,
    /// The greatest number that a node ever had as its id; 0 before the first node.
    pub last_node: u32,
    /// Registration codes that nobody has used, with when they end; `None` is never.
    #[serde(with = "form::entries")]
    pub codes: BTreeMap<CodeDigest, Option<Timestamp>>,
    /// Users, subscriptions, inbounds and outbounds. No change is about them: they are the application's.
    pub directory: Directory,
    /// What is published.
    pub published: Published,
    /// The batches of usage that are recognised.
    #[serde(with = "form::entries")]
    pub batches: BTreeMap<(NodeId, BatchDigest), Timestamp>,
    /// Traffic of users per minute.
    #[serde(with = "form::entries")]
    pub usage: BTreeMap<UsageKey, Traffic>,
    /// Traffic of subscriptions.
    #[serde(with = "form::entries")]
    pub subscriptions: BTreeMap<SubscriptionId, Traffic>,
    /// Traffic of outbounds.
    #[serde(with = "form::entries")]
    pub outbounds: BTreeMap<(NodeId, Box<str>), Traffic>,
    /// Who came and went.
    pub sessions: Vec<SessionRow>,
    /// Where users were seen.
    #[serde(with = "form::entries")]
    pub addresses: BTreeMap<(UserId, Address), AddressRow>,
    /// What a provider has about addresses. A database may keep it in the rows of the users.
    #[serde(with = "form::entries")]
    pub address_infos: BTreeMap<Address, AddressInfo>,
}

/// What a provider has about an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AddressInfo {
    /// A JSON object, as the provider writes it.
    pub info: Box<str>,
    /// When it was received.
    pub received_at: Timestamp,
}

/// A session event that is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SessionRow {
    /// The node that reported it.
    pub node_id: NodeId,
    /// The user.
    pub user_id: UserId,
    /// What the session ran over.
    pub protocol: VpnProtocol,
    /// What happened.
    pub event_type: SessionEventType,
    /// When.
    pub occurred_at: Timestamp,
    /// The user's address.
    pub ip_address: Option<Address>,
}

/// When a user was seen at an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AddressRow {
    /// For the first time.
    pub first_seen_at: Timestamp,
    /// For the last time.
    pub last_seen_at: Timestamp,
}

impl Tables {
    /// Takes over what was stored before, without any traffic.
    #[must_use]
    pub fn new(stored: Stored) -> Self {
        let batches = stored.batches.into_iter().map(|batch| ((batch.node, batch.batch), batch.at));
        Self {
            nodes: stored.nodes.into_iter().map(|node| (node.id.clone(), node)).collect(),
            last_node: stored.last_node,
            codes: stored.codes,
            directory: stored.directory,
            published: stored.published,
            batches: batches.collect(),
            ..Self::default()
        }
    }

    /// Makes the changes of one transaction, which cannot fail.
    pub fn apply(&mut self, changes: &[Change]) {
        changes.iter().for_each(|change| self.change(change));
    }

    /// Returns what Core needs to start.
    #[must_use]
    pub fn stored(&self) -> Stored {
        let batches = self.batches.iter().map(|((node, batch), &at)| StoredBatch {
            node: node.clone(),
            batch: *batch,
            at,
        });
        Stored {
            nodes: self.nodes.values().cloned().collect(),
            last_node: self.last_node,
            codes: self.codes.clone(),
            directory: self.directory.clone(),
            published: self.published.clone(),
            batches: batches.collect(),
        }
    }

    /// Answers a query.
    #[must_use]
    pub fn addresses(&self, query: &AddressQuery) -> Vec<Address> {
        let is_wanted = |row: &AddressRow| match query {
            AddressQuery::All { .. } => true,
            AddressQuery::FirstSeenAfter { instant, .. } => row.first_seen_at > *instant,
        };
        let rows = self.addresses.iter().filter(|(_, row)| is_wanted(row));
        let addresses =
            rows.map(|((_, ip), _)| *ip).filter(|ip| query.after().is_none_or(|after| *ip > after));
        addresses.collect::<BTreeSet<_>>().into_iter().take(query.limit()).collect()
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Node(record) => {
                self.last_node = self.last_node.max(record.id.number().unwrap_or(0));
                self.nodes.insert(record.id.clone(), record.clone());
            }
            Change::NodeRemoved(node) => {
                self.nodes.remove(node);
                self.batches.retain(|(owner, _), _| owner != node);
                self.published.remove(node);
            }
            Change::CodeAdded { code, expires } => drop(self.codes.insert(*code, *expires)),
            Change::CodeRemoved(code) | Change::CodeUsed(code) => drop(self.codes.remove(code)),
            Change::Usage(key, traffic) => self.add_usage(key, *traffic),
            Change::Batch { node, batch, at } => drop(self.batches.insert((node.clone(), *batch), *at)),
            Change::BatchForgotten { node, batch } => drop(self.batches.remove(&(node.clone(), *batch))),
            Change::Outbound { node, tag, traffic } => {
                self.outbounds.entry((node.clone(), tag.clone())).or_default().add(*traffic);
            }
            Change::Session { node, event } => self.sessions.push(SessionRow::new(node.clone(), event)),
            Change::Address { user, ip, seen } => self.see(*user, *ip, *seen),
            Change::AddressInfo { ip, info, at } => {
                let info = AddressInfo { info: info.text().into(), received_at: *at };
                self.address_infos.insert(*ip, info);
            }
            Change::Published { audience, config } => {
                self.published.set(audience, config.clone());
                self.unsync(audience);
            }
        }
    }

    fn add_usage(&mut self, key: &UsageKey, traffic: Traffic) {
        self.usage.entry(key.clone()).or_default().add(traffic);
        if let Some(subscription) = key.subscription_id {
            self.subscriptions.entry(subscription).or_default().add(traffic);
        }
    }

    fn see(&mut self, user: UserId, ip: Address, seen: Timestamp) {
        let new = AddressRow { first_seen_at: seen, last_seen_at: seen };
        let row = self.addresses.entry((user, ip)).or_insert(new);
        row.last_seen_at = row.last_seen_at.max(seen);
    }

    fn unsync(&mut self, audience: &Audience) {
        let unsync = |record: &mut Arc<NodeRecord>| {
            if record.sync_status != SyncStatus::PENDING {
                *record = Arc::new(record.unsynced());
            }
        };
        match audience {
            Audience::All => self.nodes.values_mut().for_each(unsync),
            Audience::Node(node) => self.nodes.get_mut(node).into_iter().for_each(unsync),
        }
    }
}

impl SessionRow {
    fn new(node_id: NodeId, event: &SessionEvent) -> Self {
        Self {
            node_id,
            user_id: event.user_id,
            protocol: event.protocol.clone(),
            event_type: event.event_type.clone(),
            occurred_at: event.occurred_at,
            ip_address: event.ip_address,
        }
    }
}
