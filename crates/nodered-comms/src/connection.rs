//! Names of connections.

/// Names a connection; never used twice by a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

impl ConnectionId {
    /// Returns its number, counted from 1.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}
