//! What a master keeps over its end. §7.

use crate::Secret;
use crate::wire::{InstanceId, Status, Tags, Traffic};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A master's state: ids, states, policies, aliases, counters and the key. It is JSON; the original's own format is not
/// read. `Debug` shows how many instances there are: the rest holds keys.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    format: u32,
    pub(super) key: Box<str>,
    pub(super) master_id: Box<str>,
    pub(super) alias: Box<str>,
    pub(super) instances: Vec<Stored>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) id: InstanceId,
    pub(super) url: Box<str>,
    pub(super) alias: Box<str>,
    pub(super) status: Status,
    pub(super) restart: bool,
    pub(super) mode: i64,
    pub(super) peer: StoredPeer,
    pub(super) tags: Tags,
    pub(super) traffic: Traffic,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredPeer {
    pub(super) sid: Box<str>,
    pub(super) kind: Box<str>,
    pub(super) alias: Box<str>,
}

/// Why a text is no snapshot. Holds none of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Not JSON, or not of a snapshot's form.
    #[error("not a snapshot, at byte {offset}")]
    Form {
        /// The byte at fault, counted from 0.
        offset: usize,
    },
    /// Of a format that this version does not know.
    #[error("a snapshot of the unknown format {0}")]
    Format(u32),
    /// Two instances have the same id, or one has that of the key record.
    #[error("a snapshot with the wrong id {0}")]
    Id(InstanceId),
}

const FORMAT: u32 = 1;

impl Snapshot {
    pub(super) fn new(key: &Secret, master_id: &str, alias: &str, instances: Vec<Stored>) -> Self {
        Self {
            format: FORMAT,
            key: key.expose().into(),
            master_id: master_id.into(),
            alias: alias.into(),
            instances,
        }
    }

    /// Reads what a [`Store`](super::Output::Store) has written.
    ///
    /// # Errors
    /// [`SnapshotError`]: the file is damaged, and the backup may be good.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let form = |error: serde_json::Error| match crate::wire::DecodeError::at(&error, bytes) {
            crate::wire::DecodeError::Form { offset } | crate::wire::DecodeError::Syntax { offset } => {
                SnapshotError::Form { offset }
            }
            crate::wire::DecodeError::Failure => SnapshotError::Form { offset: 0 },
        };
        let snapshot: Self = serde_json::from_slice(bytes).map_err(form)?;
        if snapshot.format != FORMAT {
            return Err(SnapshotError::Format(snapshot.format));
        }
        let mut ids = std::collections::BTreeSet::new();
        match snapshot.instances.iter().find(|stored| stored.id.is_key_record() || !ids.insert(&stored.id)) {
            Some(stored) => Err(SnapshotError::Id(stored.id.clone())),
            None => Ok(snapshot),
        }
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("all of it is JSON");
        bytes.push(b'\n');
        bytes
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} instances)", self.instances.len())
    }
}
