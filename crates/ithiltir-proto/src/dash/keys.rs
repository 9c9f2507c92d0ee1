//! The nodes' keys, found by their digests.

use super::NodeId;
use crate::Secret;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Keys by SHA-256: looking one up takes as long however many there are and says nothing about them.
#[derive(Default)]
pub(super) struct Keys {
    by_digest: BTreeMap<KeyDigest, (NodeId, Secret)>,
    by_node: BTreeMap<NodeId, Vec<KeyDigest>>,
}

/// Names a key without being one.
pub(super) type KeyDigest = [u8; 32];

impl Keys {
    pub(super) fn digest(key: &str) -> KeyDigest {
        Sha256::digest(key.trim()).into()
    }

    pub(super) fn insert(&mut self, node: NodeId, key: &Secret) -> KeyDigest {
        let key = key.trimmed();
        let digest = Self::digest(key.expose());
        self.by_digest.insert(digest, (node, key));
        self.by_node.entry(node).or_default().push(digest);
        digest
    }

    pub(super) fn remove(&mut self, digest: KeyDigest) {
        if let Some((node, _)) = self.by_digest.remove(&digest)
            && let Some(digests) = self.by_node.get_mut(&node)
        {
            digests.retain(|of_node| *of_node != digest);
        }
    }

    /// Removes every key of a node; returns their digests.
    pub(super) fn remove_all(&mut self, node: NodeId) -> Vec<KeyDigest> {
        let digests = self.by_node.remove(&node).unwrap_or_default();
        for digest in &digests {
            self.by_digest.remove(digest);
        }
        digests
    }

    pub(super) fn node_of(&self, key: &str) -> Option<NodeId> {
        let (node, known) = self.by_digest.get(&Self::digest(key))?;
        known.matches(key.trim().as_bytes()).then_some(*node)
    }
}
