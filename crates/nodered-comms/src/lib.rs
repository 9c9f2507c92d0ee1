//! Node-RED comms.
#[cfg(feature = "client")]
pub mod client;
#[cfg(any(feature = "client", feature = "runtime"))]
mod connection;
pub mod debug;
pub mod event;
#[cfg(feature = "runtime")]
pub mod runtime;
mod secret;
#[cfg(feature = "client")]
mod timer;
pub mod topic;
pub mod wire;
#[cfg(any(feature = "client", feature = "runtime"))]
pub use connection::ConnectionId;
pub use secret::Secret;
pub use web_time::Instant;
