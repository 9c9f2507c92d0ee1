//! The endpoint server: accepts agents, answers what they send, commands them and follows their tasks. §5.

mod config;
mod machine;
mod output;
mod tasks;

pub use crate::session::CloseReason;
pub use config::{Config, ConfigError};
pub use machine::Server;
pub use output::{CommandError, Event, Output, Reply, TaskViolation};
pub use tasks::Task;
