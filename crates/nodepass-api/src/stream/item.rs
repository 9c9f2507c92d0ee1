//! What comes out of a stream.

use crate::wire::{DecodeError, InstanceEvent};
use std::time::Duration;

/// One piece of news in a stream.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "most items are events, and a box for each costs more")]
pub enum Item {
    /// A frame with an event.
    Event(InstanceEvent),
    /// How long to wait before a reconnect, as the master wishes. Any length; the reader of it sets bounds.
    Retry(Duration),
    /// A comment that says how many events the master could not send. This crate's master writes it, the original drops in
    /// silence (§5).
    Lost(u64),
    /// Another comment: a sign of life, no more.
    Comment,
    /// A frame that is of no use.
    Rejected(Rejected),
}

/// A frame that is of no use. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// What is wrong with it.
    pub reason: Rejection,
    /// The bytes of all its lines, line ends not counted.
    pub length: usize,
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// One of its lines, or its data as a whole, is longer than the reader's limit.
    #[error("longer than the limit")]
    TooLong,
    /// It has another name than `instance`.
    #[error("a frame of another name")]
    UnknownName,
    /// Its data is no event.
    #[error("no event: {0}")]
    Undecodable(DecodeError),
}
