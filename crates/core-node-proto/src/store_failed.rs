//! What a driver says of a store that failed, to either machine.

/// What was to be stored is not, and nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("not stored")]
#[expect(clippy::exhaustive_structs, reason = "there is nothing more to say")]
pub struct StoreFailed;
