//! The node's side: a state machine without clock, sockets or files. §8 to §10, §12.
//!
//! ```text
//!            Call, Cancel                               Store
//!  Core  <─────────────────┐                      ┌───────────────> durable state
//!        ─────────────────>│                      │<───────────────
//!     handle_reply/_failure│        Agent         │ handle_stored
//!                          │                      │
//!  proxies <───────────────┤                      ├───────────────> application
//!        ─────────────────>┘  Sample, Apply       └───────────────    Event
//!   handle_counters/_stats/_online/_applied         register, set_key, record_session, report_error, close
//! ```
//!
//! [`Agent`] says what to do, in order; a driver does it and reports. All deadlines, retries and policies are the agent's,
//! so that a driver has none.

mod batch;
mod calls;
mod closing;
mod config;
mod counters;
mod format;
mod ledger;
mod life;
mod link;
mod machine;
mod output;
mod reports;
mod sending;
mod snapshot;
mod storing;
mod sync;
mod traffic;

pub use config::{Config, ConfigError, Policy, Spelling};
pub use counters::{Counters, Proxy, ProxyCounters, Traffic};
pub use machine::{Agent, Dropped, State};
pub use output::{
    ApplyFailed, ApplyId, CallId, CommandError, Event, Output, RegistrationRefusal, ReturnReason, Returned,
    ReturnedContent, Sampling, Seen, StoreId,
};
pub use snapshot::{Restored, Snapshot, SnapshotError};
