//! Names of connections and of calls over them.

use crate::session;

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

/// Names a command that we sent; never used twice by a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    pub(crate) connection: ConnectionId,
    pub(crate) call: session::CallId,
}

impl CallId {
    /// Returns the connection it went over.
    #[must_use]
    pub fn connection(self) -> ConnectionId {
        self.connection
    }
}
