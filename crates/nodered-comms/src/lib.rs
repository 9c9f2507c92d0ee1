//! Node-RED's runtime/editor comms, sans-IO: packets, topics, typed events, debug values and state machines of both
//! roles.
//!
//! An **editor**, or whatever else watches, connects to a **runtime** over a WebSocket and gets messages: what nodes show,
//! notifications, debug output. It may have to present a token first, and it subscribes to topics to get what is retained.
//! No socket, clock, thread or source of randomness is in here: a driver carries frames and requests, and time comes in as
//! an argument.
//!
//! ```text
//!                  handle_text, handle_response               handle_text, handle_user
//!  WebSocket, HTTP ────────────────────────────> client::Client   runtime::Runtime <──────────── WebSockets, tokens
//!                  <────────────────────────────                                  ────────────>
//!             poll_output: Connect, Transmit, Request            poll_output: Transmit, LookUp
//! ```
//!
//! Start with [`client::Client`] or [`runtime::Runtime`]; both have a running example, and the README runs one against the
//! other. [`wire`], [`topic`], [`event`] and [`debug`] are useful by themselves: frames, filters with wildcards, messages
//! as types, and the values of the debug sidebar. Section marks (§) refer to the protocol page in the repository's `docs`.
//!
//! # Features
//!
//! `client` and `runtime`, both on.
#![cfg_attr(not(all(feature = "client", feature = "runtime")), allow(rustdoc::broken_intra_doc_links))]

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

#[doc = include_str!("../README.md")]
#[cfg(all(doctest, feature = "client", feature = "runtime"))]
struct Readme;
