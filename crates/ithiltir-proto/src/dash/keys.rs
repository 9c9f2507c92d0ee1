//! The nodes' keys, found by their digests.

use super::NodeId;
use crate::Secret;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Keys by SHA-256: looking one up takes as long however many there are and says nothing about them.
#[derive(Default)]
pub(super) struct Keys {
    by_digest: BTreeMap<[u8; 32], (NodeId, Secret)>,
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
        digest
    }

    pub(super) fn remove(&mut self, digest: KeyDigest) {
        self.by_digest.remove(&digest);
    }

    /// Removes every key of a node; returns their digests.
    pub(super) fn remove_all(&mut self, node: NodeId) -> Vec<KeyDigest> {
        let of_node = self.by_digest.iter().filter(|(_, (owner, _))| *owner == node);
        let digests: Vec<_> = of_node.map(|(digest, _)| *digest).collect();
        for digest in &digests {
            self.by_digest.remove(digest);
        }
        digests
    }

    pub(super) fn node_of(&self, key: &str) -> Option<NodeId> {
        let (node, known) = self.by_digest.get(&Self::digest(key))?;
        known.matches(key.trim()).then_some(*node)
    }
}
