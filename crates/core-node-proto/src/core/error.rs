//! Why a command is refused.

/// Why a command did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no node of this id, or it is being removed.
    #[error("no such node")]
    UnknownNode,
    /// A code or domain does not have 1 to 256 characters.
    #[error("a text must have 1 to 256 characters")]
    Text,
    /// The greatest revision has been published.
    #[error("there is no further revision")]
    NoRevision,
    /// As many changes as [`Config::max_pending`](super::Config::max_pending) has wait to be stored.
    #[error("too much waits to be stored")]
    TooManyPending,
}
