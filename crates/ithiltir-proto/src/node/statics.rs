//! The Static: the latest one, and how far a target is with it. §2.

use super::StaticReason;
use crate::FailureKind;
use crate::wire::{Fingerprint, Missing, Static, encode};
use bytes::Bytes;

/// The latest Static, encoded once.
pub(super) struct StoredStatic {
    pub(super) body: Bytes,
    pub(super) fingerprint: Fingerprint,
    pub(super) unpublishable: Vec<Missing>,
    pub(super) incomplete: Vec<Missing>,
}

impl StoredStatic {
    pub(super) fn new(statics: &Static) -> Self {
        Self {
            body: encode(statics).into(),
            fingerprint: statics.fingerprint(),
            unpublishable: statics.missing_to_publish(),
            incomplete: statics.missing_to_complete(),
        }
    }
}

/// A Static on its way.
pub(super) struct Sync {
    pub(super) reason: StaticReason,
    pub(super) fingerprint: Fingerprint,
    pub(super) missing: Vec<Missing>,
}

/// How far one target is.
pub(super) struct StaticSync {
    state: State,
    /// The one wish that may wait while a Static is under way.
    wish: Option<StaticReason>,
    /// What the target accepted last. Kept for each target: with one for all, a target that is served between a
    /// change and the next look would hide the change from the others.
    accepted: Option<Fingerprint>,
}

enum State {
    /// Nothing under way; perhaps a retry is due later.
    Idle,
    /// There was nothing to send; the first usable Static goes out at once.
    Starved(StaticReason),
    InFlight(Sync),
    /// The request failed in a way that a fallback may mend; a probe decides.
    AwaitsProbe(Sync, FailureKind),
}

impl StaticSync {
    pub(super) fn new() -> Self {
        Self { state: State::Idle, wish: None, accepted: None }
    }

    pub(super) fn send(&mut self, sync: Sync) {
        self.state = State::InFlight(sync);
    }

    pub(super) fn starve(&mut self, reason: StaticReason) {
        self.state = State::Starved(reason);
    }

    pub(super) fn take_starved(&mut self) -> Option<StaticReason> {
        match self.state {
            State::Starved(reason) => {
                self.state = State::Idle;
                Some(reason)
            }
            State::Idle | State::InFlight(_) | State::AwaitsProbe(..) => None,
        }
    }

    /// Takes the wish for a Static; returns whether to send it at once.
    pub(super) fn wish(&mut self, reason: StaticReason) -> bool {
        match self.state {
            State::Idle | State::Starved(_) => true,
            State::InFlight(_) | State::AwaitsProbe(..) => {
                self.wish.get_or_insert(reason);
                false
            }
        }
    }

    pub(super) fn await_probe(&mut self, kind: FailureKind) {
        if let State::InFlight(sync) = std::mem::replace(&mut self.state, State::Idle) {
            self.state = State::AwaitsProbe(sync, kind);
        }
    }

    /// Ends the wait for a probe; returns the failure that led to it, if there was a wait.
    pub(super) fn probe_ended(&mut self) -> Option<FailureKind> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::AwaitsProbe(sync, kind) => {
                self.state = State::InFlight(sync);
                Some(kind)
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Takes what has not been accepted, to send it once more.
    pub(super) fn take_unfinished(&mut self) -> Option<Sync> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::InFlight(sync) | State::AwaitsProbe(sync, _) => Some(sync),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Ends an exchange; returns what it was and the wish that waited.
    pub(super) fn ended(&mut self, accepted: bool) -> Option<(Sync, Option<StaticReason>)> {
        let sync = self.take_unfinished()?;
        if accepted {
            self.accepted = Some(sync.fingerprint);
        }
        Some((sync, self.wish.take()))
    }

    /// Whether the target has accepted another Static than this one. A target that has accepted none is being
    /// served anyway.
    pub(super) fn differs_from(&self, current: Fingerprint) -> bool {
        self.accepted.is_some_and(|accepted| accepted != current)
    }
}
