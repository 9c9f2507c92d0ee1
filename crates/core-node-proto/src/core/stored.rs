//! What is stored: the changes that Core asks for, and what it starts from.

use super::{BatchDigest, CodeDigest, Directory, NodeRecord, Published, form};
use crate::config::NodeConfig;
use crate::message::{JsonObject, SessionEvent};
use crate::value::{Address, ByteCount, NodeId, NodeProtocolId, SubscriptionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A change of what is stored. [`Tables`](super::Tables) shows what each of them does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// Set this node's record in the place of the one before, or add it.
    Node(Arc<NodeRecord>),
    /// Remove a node, its batches, and the configuration of its own. What it reported stays.
    NodeRemoved(NodeId),
    /// Add a registration code, or set when it ends.
    CodeAdded {
        /// The code.
        code: CodeDigest,
        /// From when on it admits nobody; `None` is never.
        expires: Option<Timestamp>,
    },
    /// A code admits nobody any more.
    CodeRemoved(CodeDigest),
    /// A code has admitted a node, and admits nobody any more.
    CodeUsed(CodeDigest),
    /// Add to the row of a node, user, subscription, inbound and minute, and to the counters of the subscription. Sums stop
    /// at 2⁶³-1.
    Usage(UsageKey, Traffic),
    /// A batch of usage was counted.
    Batch {
        /// The node.
        node: NodeId,
        /// The batch.
        batch: BatchDigest,
        /// When it was received.
        at: Timestamp,
    },
    /// A batch need not be recognised any more.
    BatchForgotten {
        /// The node.
        node: NodeId,
        /// The batch.
        batch: BatchDigest,
    },
    /// Add to the counters of a node's outbound. Sums stop at 2⁶³-1.
    Outbound {
        /// The node.
        node: NodeId,
        /// The outbound.
        tag: Box<str>,
        /// What to add.
        traffic: Traffic,
    },
    /// Append a session event.
    Session {
        /// The node that reported it.
        node: NodeId,
        /// What happened.
        event: SessionEvent,
    },
    /// A user was seen at an address. A new pair was first and last seen then; of a pair that is there, the last time is
    /// raised to this one, never lowered.
    Address {
        /// The user.
        user: UserId,
        /// The address.
        ip: Address,
        /// When.
        seen: Timestamp,
    },
    /// Set what a provider has about an address, for all users that were seen there.
    AddressInfo {
        /// The address.
        ip: Address,
        /// What the provider has.
        info: JsonObject,
        /// When it was received.
        at: Timestamp,
    },
    /// A configuration is published: set it, and the sync status of all nodes that it is for to pending.
    Published {
        /// Whom it is for.
        audience: Audience,
        /// What they are to run.
        config: Arc<NodeConfig>,
    },
}

/// What the rows of usage are told apart by. §9.4.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::exhaustive_structs, reason = "a key has these parts")]
pub struct UsageKey {
    /// The node that reported it.
    pub node_id: NodeId,
    /// The user.
    pub user_id: UserId,
    /// The user's subscription.
    pub subscription_id: Option<SubscriptionId>,
    /// The inbound.
    pub node_protocol_id: NodeProtocolId,
    /// The start of the minute.
    pub minute: Timestamp,
}

/// Bytes both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::exhaustive_structs, reason = "there are two ways")]
pub struct Traffic {
    /// From the user.
    pub bytes_up: ByteCount,
    /// To the user.
    pub bytes_down: ByteCount,
}

impl Traffic {
    /// Adds, up to the greatest counters.
    pub fn add(&mut self, other: Self) {
        self.bytes_up = self.bytes_up.saturating_add(other.bytes_up);
        self.bytes_down = self.bytes_down.saturating_add(other.bytes_down);
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// Whom a configuration is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "new audiences must not compile away in a store")]
pub enum Audience {
    /// All nodes, those with a configuration of their own included, and nodes to come.
    All,
    /// One node, until something is published for all.
    Node(NodeId),
}

/// What Core starts from: what was stored before, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Stored {
    /// The nodes, in any order.
    pub nodes: Vec<Arc<NodeRecord>>,
    /// The greatest number that a node ever had as its id, so that none is given twice; 0 before the first node.
    pub last_node: u32,
    /// Registration codes that nobody has used, with when they end; `None` is never.
    #[serde(with = "form::entries")]
    pub codes: BTreeMap<CodeDigest, Option<Timestamp>>,
    /// Users, subscriptions, inbounds and outbounds.
    pub directory: Directory,
    /// What is published.
    pub published: Published,
    /// The batches of usage that are recognised, in any order.
    pub batches: Vec<StoredBatch>,
}

/// A batch that was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a batch has these parts")]
pub struct StoredBatch {
    /// The node that reported it.
    pub node: NodeId,
    /// The batch.
    pub batch: BatchDigest,
    /// When it was received.
    pub at: Timestamp,
}
