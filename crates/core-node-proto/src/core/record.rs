//! What Core keeps of a node, and how calls change it. §11.

use super::{Confirmation, KeyDigest, form};
use crate::message::{Heartbeat, NodeError, Register};
use crate::value::{Address, NodeId, NodeStatus, Revision, SyncStatus, Timestamp};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU16;
use std::sync::Arc;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NodeRecord {
    /// Its id.
    pub id: NodeId,
    /// The digest of its auth key.
    pub key: KeyDigest,
    /// Its name.
    pub name: Arc<str>,
    /// Its address, from its registration or its last heartbeat that had one.
    pub ip: Address,
    /// The port of its own HTTP server.
    pub port: NonZeroU16,
    /// Where it is.
    pub region: Arc<str>,
    /// Its domain.
    pub domain: Option<Arc<str>>,
    /// The revision that it runs on, as it last said.
    pub revision: Option<Revision>,
    /// How it is.
    pub node_status: NodeStatus,
    /// How its configuration is.
    pub sync_status: SyncStatus,
    /// When its last heartbeat came.
    pub last_seen_at: Option<Timestamp>,
    /// The error that it reported last, until it confirms the current configuration.
    #[serde(with = "form::node_error")]
    pub last_error: Option<Arc<NodeError>>,
}

impl NodeRecord {
    /// Returns the record of a new node: pending, and without a revision.
    #[must_use]
    pub fn new(id: NodeId, key: KeyDigest, registration: &Register) -> Self {
        Self {
            id,
            key,
            name: (*registration.name).into(),
            ip: registration.ip,
            port: registration.port,
            region: (*registration.region).into(),
            domain: registration.domain.as_deref().map(Into::into),
            revision: None,
            node_status: NodeStatus::PENDING,
            sync_status: SyncStatus::PENDING,
            last_seen_at: None,
            last_error: None,
        }
    }

    /// Returns the record after a heartbeat, which does not clear an error.
    pub(super) fn seen(&self, heartbeat: &Heartbeat, wall_clock: Timestamp) -> Self {
        let mut next = self.clone();
        next.last_seen_at = Some(wall_clock);
        next.revision = heartbeat.revision.or(self.revision);
        next.ip = heartbeat.ip.unwrap_or(self.ip);
        if next.node_status != NodeStatus::ERROR {
            next.node_status = NodeStatus::ONLINE;
        }
        next
    }

    /// Returns the record after a confirmation that is not refused.
    pub(super) fn applied(&self, revision: Revision, current: Revision, rule: Confirmation) -> Self {
        let mut next = self.clone();
        next.revision = Some(revision);
        if rule == Confirmation::Document || revision == current {
            next.sync_status = SyncStatus::SYNCED;
            next.node_status = NodeStatus::ONLINE;
            next.last_error = None;
        }
        next
    }

    /// Returns the record after a report of an error.
    pub(super) fn failed(&self, error: Arc<NodeError>) -> Self {
        Self {
            node_status: NodeStatus::ERROR,
            sync_status: SyncStatus::FAILED,
            last_error: Some(error),
            ..self.clone()
        }
    }

    /// Returns the record of a node that has been silent for too long; `None` if that changes nothing.
    pub(super) fn silent(&self) -> Option<Self> {
        let is_online = self.node_status == NodeStatus::ONLINE;
        is_online.then(|| Self { node_status: NodeStatus::OFFLINE, ..self.clone() })
    }

    /// Returns the record of a node that is to fetch another configuration.
    pub(super) fn unsynced(&self) -> Self {
        Self { sync_status: SyncStatus::PENDING, ..self.clone() }
    }
}
