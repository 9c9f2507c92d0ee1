//! Core's private node routes, sans-IO: values, messages, configuration, attribution, bindings to HTTP and gRPC, and state
//! machines of both roles.
//!
//! A **node agent** runs beside proxies. It registers with a control server, **Core**, keeps the proxies on the configuration
//! that Core has published, and reports traffic, who is online and what fails. No socket, clock, file or source of randomness
//! is in here: a driver carries calls and stores, and time comes in as an argument.
//!
//! ```text
//!                handle_reply, handle_counters                 handle_call, handle_stored
//!  transports, proxies ────────────────────────> agent::Agent   core::Core <──────────────── transports, database
//!                      <────────────────────────                          ────────────────>
//!             poll_output: Call, Store, Apply, Sample             poll_output: Reply, Store, SetOnline
//! ```
//!
//! Start with [`agent::Agent`] or [`core::Core`]; both have a running example, and the README runs one against the other. Both
//! speak in the types of [`call`]; [`http`] and [`grpc`] turn those into requests and responses and back. [`config`],
//! [`attribution`], [`message`] and [`value`] are useful by themselves; [`Method`] names the calls, [`GrpcTarget`] reads where Core
//! is. Section marks (§) refer to the protocol page in the repository's `docs`.
//!
//! # Features
//!
//! `agent` and `core` are on. `grpc` is off: it adds client and server stubs for `tonic`, and with them a runtime.
#![cfg_attr(not(all(feature = "agent", feature = "core")), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "agent")]
pub mod agent;
pub mod attribution;
pub mod call;
pub mod config;
#[cfg(feature = "core")]
pub mod core;
mod endpoint;
#[rustfmt::skip]
#[expect(clippy::exhaustive_structs, reason = "message types are written as struct literals")]
#[path = "generated/nodeservice.rs"]
mod generated;
pub mod grpc;
pub mod http;
mod json;
mod key_header;
pub mod message;
mod method;
pub mod pb;
mod secret;
#[cfg(any(feature = "agent", feature = "core"))]
mod store_failed;
#[cfg(any(feature = "agent", feature = "core"))]
mod timer;
pub mod value;
#[cfg(any(feature = "agent", feature = "core"))]
mod wall_clock;

pub use endpoint::{GrpcTarget, TargetError};
pub use method::Method;
pub use secret::Secret;
#[cfg(any(feature = "agent", feature = "core"))]
pub use store_failed::StoreFailed;
pub use web_time::Instant;

#[doc = include_str!("../README.md")]
#[cfg(all(doctest, feature = "agent", feature = "core"))]
struct Readme;
