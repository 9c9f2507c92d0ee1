//! Drivers and parts of the programs for `teeth-proto`: transport and file system, no policy.

pub mod agent_driver;
pub mod arguments;
pub mod config_drive;
pub mod host;
pub mod images;
mod link;
pub mod server_driver;
pub mod work;

pub use link::{Traffic, Transport};

use std::hash::{BuildHasher as _, Hasher as _};

/// Returns a number nobody can guess, for the ids of commands and the spread of waits.
///
/// The standard library keys its hash maps from the system's randomness; a keyed hash of nothing is such a number, and
/// needs no further crate.
#[must_use]
pub fn seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

/// Makes JSON printable. What our printing cannot hold, such as huge numbers, becomes its text.
#[must_use]
pub fn value(json: &teeth_proto::wire::Json) -> serde_json::Value {
    serde_json::from_str(json.text()).unwrap_or_else(|_| json.text().into())
}
