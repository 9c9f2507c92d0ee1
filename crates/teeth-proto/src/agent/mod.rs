//! The agent: connects to a server, serves its commands, carries out tasks and reports them. §4.

mod backoff;
mod config;
mod machine;
mod output;
mod tasks;

pub use crate::session::CloseReason;
pub use backoff::{Backoff, BackoffConfig, BackoffReset};
pub use config::{Config, ConfigError};
pub use machine::{Agent, State};
pub use output::{CommandError, Event, Output, RunStep, TaskNumber};
pub use tasks::Task;
