//! Core's private node routes, sans-IO.
//!
//! A **node agent** runs beside a proxy and reports to a control server, **Core**. Under way: values, messages with their checks,
//! configuration and attribution are here; the state machines of both roles are not. Section marks (§) refer to the protocol
//! page in the repository's `docs`.

#[cfg(feature = "agent")]
pub mod agent;
pub mod attribution;
pub mod call;
pub mod config;
#[cfg(feature = "core")]
pub mod core;
pub mod endpoint;
#[rustfmt::skip]
#[expect(clippy::exhaustive_structs, reason = "message types are written as struct literals")]
#[path = "generated/nodeservice.rs"]
mod generated;
pub mod grpc;
pub mod http;
mod json;
mod key_header;
pub mod message;
pub mod method;
pub mod pb;
mod secret;
#[cfg(any(feature = "agent", feature = "core"))]
mod timer;
pub mod value;
#[cfg(any(feature = "agent", feature = "core"))]
mod wall_clock;

pub use endpoint::GrpcTarget;
pub use method::Method;
pub use secret::Secret;
pub use web_time::Instant;

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
