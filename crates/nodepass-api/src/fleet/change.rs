//! What an application may want to draw anew.

use super::{LogEntry, Rates};
use crate::wire::{Instance, InstanceId};

/// A change of the view, in the order in which it came about.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// An instance was not known before.
    Added(InstanceId),
    /// An instance is not what it was.
    Updated {
        /// Which one.
        id: InstanceId,
        /// What of it; at least one thing.
        what: Changed,
    },
    /// An instance is gone.
    Removed(InstanceId),
    /// There is a new sample of an instance's rates.
    Rates {
        /// Which one.
        id: InstanceId,
        /// Its rates.
        rates: Rates,
    },
    /// An instance's process has said something.
    Logged {
        /// Which one.
        id: InstanceId,
        /// What it said.
        entry: LogEntry,
    },
    /// The record that holds the API key is known now, or another one: another key, alias or master's id.
    KeyRecord,
    /// The master has said that the stream ends: it stops, or has another key.
    Shutdown,
    /// An instance was left out, or could not grow, since a limit of [`Config`](super::Config) is reached. Said once, and again
    /// after there was room.
    Full,
    /// The master answers.
    Reachable,
    /// The master does not answer: all that is known is old.
    Unreachable,
}

/// What of an instance has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changed {
    /// Whether it runs.
    pub status: bool,
    /// Its URL, and with it perhaps its type.
    pub url: bool,
    /// Its name.
    pub alias: bool,
    /// Whether it is started with the master.
    pub restart: bool,
    /// Its labels or its peer.
    pub meta: bool,
    /// Mode, ping, pool or connections.
    pub figures: bool,
    /// Its counters.
    pub traffic: bool,
    /// Its effective configuration, or a member that is not known here.
    pub other: bool,
}

impl Changed {
    /// Returns what differs between two states of an instance.
    #[must_use]
    pub fn between(old: &Instance, new: &Instance) -> Self {
        let figures = |one: &Instance| (one.mode, one.ping, one.pool, one.tcps, one.udps);
        Self {
            status: old.status != new.status,
            url: old.url != new.url || old.kind != new.kind,
            alias: old.alias != new.alias,
            restart: old.restart != new.restart,
            meta: old.meta != new.meta || old.tags != new.tags,
            figures: figures(old) != figures(new),
            traffic: old.traffic() != new.traffic(),
            other: old.config != new.config || old.extra != new.extra,
        }
    }

    /// Whether anything has changed.
    #[must_use]
    pub fn any(self) -> bool {
        self != Self::default()
    }
}
