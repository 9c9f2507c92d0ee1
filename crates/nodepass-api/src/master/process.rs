//! What an instance's process does, and what is done when it has ended. §7.
//!
//! ```text
//!          start                stop
//!   None ────────> Alive(run) ────────> Stopping(run, then) ──ended──> then
//!    ^ ^              │                                                 │
//!    │ └────ended─────┘          the pause is over                      │ Start
//!    │                 Alive <───────────────── Pausing <───────────────┤
//!    └──────────────────────────────────────────────────────────────────┘ Stay; Replace starts at once, Remove removes
//! ```

use super::{ExchangeId, RunId};

pub(super) enum Process {
    None,
    /// Is being started, or runs.
    Alive(RunId),
    Stopping {
        run: RunId,
        then: Then,
        /// Was made to stop, after it was asked to.
        is_forced: bool,
    },
    /// Between the stop and the start of a restart.
    Pausing,
}

/// What follows when a process has ended.
pub(super) enum Then {
    Stay,
    Start,
    /// Another URL; these wait for an answer.
    Replace(Box<Replacement>, Vec<ExchangeId>),
    Remove {
        /// These wait for an answer.
        exchanges: Vec<ExchangeId>,
        /// So do these, which wanted another URL for what is gone now.
        in_vain: Vec<ExchangeId>,
    },
}

/// What `PUT` brings.
pub(super) struct Replacement {
    pub(super) kind: crate::wire::InstanceKind,
    pub(super) url: Box<str>,
    pub(super) config: Option<Box<str>>,
    /// Whether a process follows, unless somebody asks for a stop meanwhile.
    pub(super) starts: bool,
}
