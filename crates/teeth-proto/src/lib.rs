//! teeth
#[cfg(feature = "agent")]
pub mod agent;
pub mod command;
#[cfg(any(feature = "agent", feature = "server"))]
mod connection;
mod dialect;
#[cfg(any(feature = "agent", feature = "server"))]
mod dispatch;
#[cfg(feature = "server")]
pub mod server;
pub mod session;
#[cfg(any(feature = "agent", feature = "server"))]
mod timer;
pub mod wire;
#[cfg(any(feature = "agent", feature = "server"))]
pub use connection::{CallId, ConnectionId};
pub use dialect::Dialect;
pub use web_time::Instant;
