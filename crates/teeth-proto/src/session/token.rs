//! The right to answer a command, once.

use crate::command::ErrorValue;
use crate::wire::Object;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a command is answered with.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has no other answer")]
pub enum Answer {
    /// Done, and there is nothing to say: `{}`, or `null` under the original's dialect.
    Done,
    /// Done, with a result.
    Result(Object),
    /// Failed.
    Error(ErrorValue),
}

/// The right to answer one command.
///
/// Answering takes it away, so that nothing is answered twice. Dropping it is noticed by the session it came from: that
/// session is then due at once ([`poll_timeout`](super::Session::poll_timeout)) and answers the peer with an error. A
/// token that is dropped while the driver already waits is noticed when the driver next wakes up.
#[must_use = "a command that is not answered holds the peer up"]
pub struct AnswerToken {
    pub(super) number: u64,
    dropped: Arc<AtomicUsize>,
    alive: Option<Arc<()>>,
}

impl AnswerToken {
    pub(super) fn new(number: u64, dropped: &Arc<AtomicUsize>) -> Self {
        Self { number, dropped: Arc::clone(dropped), alive: Some(Arc::new(())) }
    }

    pub(super) fn liveness(&self) -> std::sync::Weak<()> {
        self.alive.as_ref().map(Arc::downgrade).unwrap_or_default()
    }

    pub(super) fn is_of(&self, dropped: &Arc<AtomicUsize>) -> bool {
        Arc::ptr_eq(&self.dropped, dropped)
    }

    pub(super) fn use_up(mut self) {
        self.alive = None;
    }
}

impl Drop for AnswerToken {
    fn drop(&mut self) {
        // In this order: who sees the count finds the token gone.
        if self.alive.take().is_some() {
            self.dropped.fetch_add(1, Ordering::Release);
        }
    }
}

impl PartialEq for AnswerToken {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number && self.is_of(&other.dropped)
    }
}

impl fmt::Debug for AnswerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnswerToken({})", self.number)
    }
}
