//! The side of panels and programs.

mod call;
mod commands;
mod config;
mod endpoint;
mod error;
mod exchanges;
mod failure;
mod find;
mod ignored;
mod info;
mod lists;
mod machine;
mod monitor;
mod output;
mod pending;
mod reply;

pub use call::{Call, is_fit, request, stream_request};
pub use config::{Config, ConfigError, Monitoring};
pub use endpoint::{Base, Endpoint, EndpointError, Layout};
pub use error::{CommandError, KeyProblem, RequestError, ServerText};
pub use failure::{Delivery, Failure, FailureKind};
pub use ignored::{ActionProblem, Ignored};
pub use info::InfoRates;
pub use machine::{Client, State};
pub use output::{CallId, Event, KeySource, Output, RequestId, StreamEnd, StreamId};
pub use reply::{List, Reply, reply};
