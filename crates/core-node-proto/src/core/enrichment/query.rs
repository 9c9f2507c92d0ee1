//! Which addresses a job wants.

use crate::value::{Address, Timestamp};

/// A question to the application's table of addresses.
///
/// The answer lists addresses in ascending order, each once however many users have it, and at most `limit` of them.
/// A shorter list is the last page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in an application")]
pub enum AddressQuery {
    /// All addresses.
    All {
        /// Only those above this one: the last one of the page before.
        after: Option<Address>,
        /// The most addresses of a page.
        limit: usize,
    },
    /// Addresses that some user was first seen at later than an instant.
    FirstSeenAfter {
        /// The instant; exactly then is not later.
        instant: Timestamp,
        /// Only those above this one: the last one of the page before.
        after: Option<Address>,
        /// The most addresses of a page.
        limit: usize,
    },
}

impl AddressQuery {
    /// Returns the most addresses of a page.
    #[must_use]
    pub const fn limit(&self) -> usize {
        match self {
            Self::All { limit, .. } | Self::FirstSeenAfter { limit, .. } => *limit,
        }
    }

    /// Returns the address that all of the page are above.
    #[must_use]
    pub const fn after(&self) -> Option<Address> {
        match self {
            Self::All { after, .. } | Self::FirstSeenAfter { after, .. } => *after,
        }
    }
}
