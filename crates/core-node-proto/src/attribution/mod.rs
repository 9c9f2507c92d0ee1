//! Whose bytes these are: user names and counter names of the proxies, and their lookup in a client map (§8).

mod counter;
mod id;
mod identity;
mod lookup;

pub use counter::{Counter, CounterKind, Direction};
pub use id::{IdOutOfRange, MAX_ID};
pub use identity::{Identity, IdentityError};
pub use lookup::{Anomaly, Attribution, Source, attribute};

pub(crate) use id::{check as check_id, read as read_id};
