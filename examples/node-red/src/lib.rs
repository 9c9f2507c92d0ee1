//! Drivers and parts of the programs for `nodered-comms`: transport and admin API, no policy.

mod admin;
pub mod arguments;
pub mod client_driver;
mod connector;
mod link;
pub mod runtime_driver;

pub use admin::{Account, Admin, RootError};
pub use connector::{Connector, Problem};
pub use link::{Traffic, Transport};

/// Topics that the editor of Node-RED 5 subscribes to, in its order.
pub const EDITOR_TOPICS: [&str; 7] = [
    "notification/runtime-deploy",
    "notification/#",
    "status/#",
    "notification/plugin/#",
    "notification/node/#",
    "event-log/#",
    "debug",
];

/// Makes JSON printable. What our printing cannot hold, such as huge numbers, becomes its text.
#[must_use]
pub fn value(json: nodered_comms::wire::JsonRef<'_>) -> serde_json::Value {
    serde_json::from_str(json.text()).unwrap_or_else(|_| json.text().into())
}
