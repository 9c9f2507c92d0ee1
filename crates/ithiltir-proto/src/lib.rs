//! The Ithiltir node report protocol, sans-IO: messages, validation and state machines of both roles.
//!
//! The **node** pushes runtime metrics and static information to any number of **Dashes** as JSON over HTTP. No
//! socket, clock, thread or source of randomness is in here: a driver carries requests and answers, and time comes
//! in as an argument.
//!
//! ```text
//!             handle_response                        handle_request
//!  HTTP client ───────────────> node::Node   dash::Dash <─────────────── HTTP server
//!              <───────────────                         ───────────────>
//!                poll_output                              poll_output
//! ```
//!
//! Start with [`node::Node`] or [`dash::Dash`]; both have a running example, and the README runs one against the
//! other. [`wire`] is useful by itself. Section marks (§) refer to the protocol page in the repository's `docs`.
//!
//! # Features
//!
//! `node` and `dash` are on, `idna` is off: it adds [`Url::into_ascii`] for international host names.
#![cfg_attr(
    not(all(feature = "node", feature = "dash", feature = "idna")),
    allow(rustdoc::broken_intra_doc_links)
)]

#[cfg(feature = "dash")]
pub mod dash;
#[cfg(feature = "node")]
mod endpoint;
mod failure;
#[cfg(feature = "node")]
pub mod install;
#[cfg(feature = "node")]
pub mod node;
mod report_config;
mod secret;
mod target;
#[cfg(any(feature = "node", feature = "dash"))]
mod timer;
#[cfg(feature = "node")]
pub mod update;
mod url;
mod version;
pub mod wire;

pub use failure::{
    CertificateProblem, Delivery, ExpiryProbe, Failure, FailureKind, Fallback, ProbeOutcome,
    verification_time,
};
pub use report_config::{FormatVersion, ReportConfig, ReportConfigError, ReportTarget};
pub use secret::Secret;
pub use target::{SECRET_HEADER, Target, TargetError};
pub use url::{HostKind, Scheme, Url, UrlError};
pub use version::{Version, VersionError};

pub use web_time::Instant;

#[doc = include_str!("../README.md")]
#[cfg(all(doctest, feature = "node", feature = "dash"))]
struct Readme;
