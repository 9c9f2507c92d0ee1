//! All that has to survive a restart. §12.7.

use super::batch::{Accumulated, Batch, UsageKey};
use super::counters::{Proxy, Traffic};
use super::format::Format;
use super::ledger::Last;
use super::output::Returned;
use crate::Secret;
use crate::config::NodeConfig;
use crate::message::{NodeError, OutboundItem, UsageEntry};
use crate::value::{NodeId, Revision, Timestamp};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

/// All that an agent has to know after a restart, at one instant. Cloning it is cheap: its large parts are shared.
///
/// It is written as one JSON object with a version; unknown members are ignored when it is read. The key and users' keys are in
/// there, so the file is not for everybody's eyes; `Debug` shows counts.
#[derive(Clone, Default, PartialEq)]
pub struct Snapshot {
    pub(super) key: Option<Secret>,
    pub(super) node_id: Option<NodeId>,
    /// What was applied last.
    pub(super) config: Option<Arc<NodeConfig>>,
    /// Whether Core may not know that yet.
    pub(super) is_confirm_pending: bool,
    /// What was applied before, its client map only, for as long as it attributes.
    pub(super) previous: Option<Arc<NodeConfig>>,
    pub(super) proxies: BTreeMap<Proxy, Last>,
    pub(super) users: Accumulated<UsageKey>,
    pub(super) outbounds: Accumulated<Box<str>>,
    pub(super) unattributed: Traffic,
    pub(super) unattributed_outbound: Traffic,
    pub(super) usage: VecDeque<Batch<UsageEntry>>,
    pub(super) outbound: VecDeque<Batch<OutboundItem>>,
    /// What the application was not told yet, or is just being told.
    pub(super) returned: Vec<Returned>,
    pub(super) next_returned: u64,
    pub(super) last_recorded_at: Option<Timestamp>,
    /// The latest report of an error that Core has not got.
    pub(super) error: Option<Arc<NodeError>>,
}

/// What was stored before.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is something, nothing, or nonsense")]
pub enum Restored {
    /// Nothing: this is the first start.
    Nothing,
    /// This.
    Snapshot(Box<Snapshot>),
    /// Something that cannot be read (§12.7).
    Broken,
}

/// What was stored is no snapshot. Shows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no snapshot of an agent, or one of another version")]
#[non_exhaustive]
pub struct SnapshotError;

impl Restored {
    /// Returns what a file holds; `None` is that there is no file.
    #[must_use]
    pub fn from_json(json: Option<&[u8]>) -> Self {
        match json.map(Snapshot::from_json) {
            None => Self::Nothing,
            Some(Ok(snapshot)) => Self::Snapshot(Box::new(snapshot)),
            Some(Err(SnapshotError { .. })) => Self::Broken,
        }
    }
}

impl Snapshot {
    /// Reads it.
    ///
    /// # Errors
    /// [`SnapshotError`]: see [`Restored::Broken`].
    pub fn from_json(json: &[u8]) -> Result<Self, SnapshotError> {
        serde_json::from_slice(json).map_err(|_| SnapshotError)
    }

    /// Writes it.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }

    /// Returns the node's id, if it is registered.
    #[must_use]
    pub fn node_id(&self) -> Option<&NodeId> {
        self.node_id.as_ref()
    }

    /// Returns the configuration that was applied last.
    #[must_use]
    pub fn config(&self) -> Option<&Arc<NodeConfig>> {
        self.config.as_ref()
    }

    /// Returns when the process of a proxy began that was sampled last.
    #[must_use]
    pub fn process_start(&self, proxy: Proxy) -> Option<Timestamp> {
        self.proxies.get(&proxy).map(|last| last.started_at)
    }

    /// Returns its revision.
    #[must_use]
    pub fn revision(&self) -> Option<Revision> {
        self.config.as_ref().map(|config| config.revision())
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("has_key", &self.key.is_some())
            .field("node_id", &self.node_id)
            .field("revision", &self.revision())
            .field("is_confirm_pending", &self.is_confirm_pending)
            .field("batches", &self.usage.len())
            .field("outbound_batches", &self.outbound.len())
            .field("returned", &self.returned.len())
            .finish_non_exhaustive()
    }
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Format::of(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Snapshot {
    /// Reads it, by `serde_json` only: the configuration is kept as its text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Format::deserialize(deserializer)?.read().ok_or_else(|| D::Error::custom(SnapshotError))
    }
}
