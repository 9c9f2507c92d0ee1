//! Whose bytes these are: user names and counter names of the proxies, and their lookup in a client map (§8).

mod counter;
mod identity;
mod lookup;

pub use counter::{Counter, CounterKind, Direction};
pub use identity::{Identity, IdentityError};
pub use lookup::{Anomaly, Attribution, Source, attribute};
