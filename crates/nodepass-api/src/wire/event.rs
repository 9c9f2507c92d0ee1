//! Events. §5.

use super::object::{object, open_enumeration};
use super::{EventTime, Instance};
use std::fmt;

open_enumeration! {
    /// What an event is about.
    pub enum EventKind {
        /// An instance as it was when the stream began.
        Initial = "initial",
        /// An instance was made.
        Create = "create",
        /// Something of it has changed, if only its figures.
        #[default]
        Update = "update",
        /// It is gone; this is its last state.
        Delete = "delete",
        /// The stream ends: the master stops, or has another key.
        Shutdown = "shutdown",
        /// Its process has said something.
        Log = "log",
    }
}

object! {
    quick
    /// The data of one event. `Debug` shows its kind and the instance's id.
    ///
    /// The instance is as it was when the event was written, not as it was when something happened (§5).
    pub struct InstanceEvent {
        /// What it is about.
        required "type" kind: EventKind,
        /// When it was made.
        required "time" time: EventTime,
        /// The instance; `None` at shutdown.
        nullable "instance" instance: Instance,
        /// The line of a log event, with colours, without its line break. Since 1.7 all events have it, most an empty one.
        optional "logs" logs: Box<str>,
    }
}

impl fmt::Debug for InstanceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceEvent({}", self.kind)?;
        if let Some(instance) = &self.instance {
            write!(f, " {}", instance.id)?;
        }
        f.write_str(")")
    }
}
