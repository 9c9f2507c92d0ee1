//! The node: a client that reports to any number of Dashes. §2.

mod config;
mod machine;
mod output;
mod rounds;
mod statics;
mod updates;

pub use config::{Config, ConfigError, KeyScope, UpdateConfig};
pub use machine::Node;
pub use output::{
    DeliveryError, Event, Output, RequestId, StaticReason, TargetId, Update, UpdateDecision, UpdateError,
};
