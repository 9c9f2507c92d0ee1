//! What changes the record of a node. §11.

use super::{Confirmation, NodeRecord};
use crate::message::{Heartbeat, NodeError};
use crate::value::{Revision, Timestamp};
use std::sync::Arc;

/// One change of a record, kept until it is stored: when one before it fails it is made anew, without that one.
pub(super) enum Step {
    /// A heartbeat came.
    Seen(Heartbeat, Timestamp),
    /// A confirmation came that is not refused.
    Applied { revision: Revision, current: Revision, rule: Confirmation },
    /// A report of an error came.
    Failed(Arc<NodeError>),
    /// It has another domain, or none.
    Domain(Option<Arc<str>>),
    /// It has been silent for too long.
    Silent,
    /// It is to fetch another configuration.
    Unsynced,
    /// Nothing: what is stored is only set right.
    Restored,
}

impl Step {
    /// Returns a record after this change.
    pub(super) fn after(&self, before: &NodeRecord) -> NodeRecord {
        match self {
            Self::Seen(heartbeat, at) => before.seen(heartbeat, *at),
            Self::Applied { revision, current, rule } => before.applied(*revision, *current, *rule),
            Self::Failed(error) => before.failed(error.clone()),
            Self::Domain(domain) => NodeRecord { domain: domain.clone(), ..before.clone() },
            Self::Silent => before.silent().unwrap_or_else(|| before.clone()),
            Self::Unsynced => before.unsynced(),
            Self::Restored => before.clone(),
        }
    }
}
