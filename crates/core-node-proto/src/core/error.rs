//! Why a command was refused.

/// Why a command was refused. Nothing has changed.
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
    /// As many nodes as [`Config::max_fetches`](super::Config::max_fetches) has are being asked.
    #[error("too many nodes are being asked")]
    TooManyFetches,
    /// There is no [`Config::enrichment`](super::Config::enrichment).
    #[error("there is no enrichment")]
    NoEnrichment,
    /// The job runs already.
    #[error("the job runs already")]
    Running,
}
