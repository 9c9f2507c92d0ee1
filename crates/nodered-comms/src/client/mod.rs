//! The editor's side: connects, authenticates, subscribes, dispatches. §3.

mod config;
mod endpoint;
mod login;
mod machine;
mod output;

pub use config::{Config, ConfigError, Credentials, Discovery, ReconnectSchedule};
pub use endpoint::{Endpoint, EndpointError};
pub use machine::{Client, State};
pub use output::{
    CloseReason, CommandError, Event, FailureKind, LoginProblem, Output, ReceivedMessage, RequestError,
    RequestId, SubscriptionId,
};
