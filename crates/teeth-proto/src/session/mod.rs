//! One connection, whatever role it serves: correlation of commands and responses, idle time-out, pings. §3.
//!
//! [`Agent`](crate::agent::Agent) and [`Server`](crate::server::Server) are built of sessions; use one directly to
//! speak the message layer by itself.

mod config;
mod machine;
mod output;
mod token;

pub use config::{Config, ConfigError};
pub use machine::Session;
#[cfg(any(feature = "agent", feature = "server"))]
pub(crate) use machine::TOO_MANY;
#[cfg(feature = "agent")]
pub(crate) use machine::next_tick;
pub use output::{CallFailure, CallId, CloseReason, CommandError, Event, Incoming, Output, Reply};
pub use token::{Answer, AnswerToken};
