//! NodePass's master API, sans-IO: instance URLs, objects, the event stream and state machines of both roles.
//!
//! A **master** owns instances, servers and clients of tunnels, and serves a REST API and an event stream. A **client**, a
//! panel or any other program, lists, makes and controls instances and follows what becomes of them. No socket, clock,
//! thread or source of randomness is in here: a driver carries requests and bytes, and time comes in as an argument.
//!
//! ```text
//!                handle_response, handle_stream_bytes            handle_request, handle_line
//!  HTTP client ─────────────────────────────────────> client::Client   master::Master <───────── HTTP server, processes
//!              <─────────────────────────────────────                                 ─────────>
//!             poll_output: Request, OpenStream, Event         poll_output: Respond, PushBody, Start, Store
//! ```
//!
//! Start with [`client::Client`] or [`master::Master`]; both have a running example, and the README runs one against the other.
//! [`url`], [`wire`], [`stream`] and [`fleet`] are useful by themselves: instance URLs, the objects, an event stream's bytes
//! to typed events, and a view of all instances with rates and logs. Section marks (§) refer to the protocol page in the
//! repository's `docs`.
//!
//! # Features
//!
//! `client` (with [`stream`] and [`fleet`]) and `master`, both on.
#![cfg_attr(not(all(feature = "client", feature = "master")), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
pub mod fleet;
#[cfg(feature = "master")]
pub mod master;
mod release;
mod secret;
#[cfg(feature = "client")]
pub mod stream;
#[cfg(any(feature = "client", feature = "master"))]
mod timer;
pub mod url;
pub mod wire;

pub use release::{Capability, Release, ReleaseError};
pub use secret::Secret;
pub use web_time::Instant;

#[doc = include_str!("../README.md")]
#[cfg(all(doctest, feature = "client", feature = "master"))]
struct Readme;
