//! The master's role: it owns instances and serves the API. §3, §5, §7.
//!
//! [`Master`] is the machine. It answers requests, keeps event streams supplied, decides when processes are started and
//! stopped, counts what they report, and says when its state is to be stored. Processes, dials, files and figures of the
//! machine are its application's: they are outputs, and what becomes of them is an input.
//!
//! Where the original's releases differ, [`Compat`] says whom to follow.

mod answer;
mod closing;
mod compat;
mod config;
mod docs;
mod entropy;
mod events;
mod lifecycle;
mod machine;
mod openapi;
mod output;
mod process;
mod record;
mod route;
mod serve;
mod snapshot;
mod streams;
mod tcping;

pub use compat::Compat;
pub use config::{Config, ConfigError, Paths, Silence};
pub use entropy::Entropy;
pub use machine::{Master, State};
pub use output::{
    DialId, Event, ExchangeId, Output, RunId, StartFailed, StoreFailed, StoreId, StoreTarget, SystemFigures,
    SystemId,
};
pub use snapshot::{Snapshot, SnapshotError};
