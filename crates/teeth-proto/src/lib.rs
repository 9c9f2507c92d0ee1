//! The teeth-agent line protocol, sans-IO: codec, typed commands and state machines of both roles.
//!
//! An **agent** runs on a machine that is to be managed, connects to a **server** and keeps the connection up. Both send
//! commands, and every command has one answer; messages are JSON objects, one a line. No socket, clock, thread or source
//! of randomness is in here: a driver carries bytes, and time comes in as an argument.
//!
//! ```text
//!         handle_bytes, handle_connected              handle_bytes
//!  socket ─────────────────────────────> agent::Agent   server::Server <───────────── sockets
//!         <─────────────────────────────                               ─────────────>
//!          poll_output: Connect, Transmit             poll_output: Transmit
//! ```
//!
//! Start with [`agent::Agent`] or [`server::Server`]; both have a running example, and the README runs one against the
//! other. [`session::Session`] is one connection of either, useful by itself for other methods than these; [`wire`] and
//! [`command`] are pure functions. Section marks (§) refer to the protocol page in the repository's `docs`.
//!
//! # Document and original
//!
//! The document promises more than the original program did, and spells some of it otherwise. [`Dialect`] chooses what is
//! sent; both are understood.
//!
//! # Features
//!
//! `agent` and `server`, both on.
#![cfg_attr(not(all(feature = "agent", feature = "server")), allow(rustdoc::broken_intra_doc_links))]

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

#[doc = include_str!("../README.md")]
#[cfg(all(doctest, feature = "agent", feature = "server"))]
struct Readme;
