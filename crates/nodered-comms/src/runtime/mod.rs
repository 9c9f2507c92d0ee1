//! The runtime's side: a hub of editors. Authenticates them, retains messages, batches what it publishes. §4.

mod access;
mod batch;
mod config;
mod machine;
mod output;

pub use access::{Access, Scope, User};
pub use config::{Config, ConfigError, Era, Overflow};
pub use machine::Runtime;
pub use output::{CloseReason, CommandError, Event, LookUpId, Output};
