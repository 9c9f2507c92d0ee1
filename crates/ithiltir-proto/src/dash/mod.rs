//! The Dash: takes the reports of nodes, knows them by their keys, and hands out updates. §3.

mod answer;
mod config;
mod keys;
mod limits;
mod machine;
mod network;
mod output;
mod rate;
mod release;
mod serve;
mod validate;

pub use answer::ErrorCode;
pub use config::{
    BuildMetadata, Config, ConfigError, Identity, InstallId, InstallIdError, NodeAddress, RateLimit, Storage,
};
pub use limits::{StorageLimits, Unstorable};
pub use machine::{CommandError, Dash};
pub use network::{Network, NetworkError};
pub use output::{Event, ExchangeId, KnownNode, NodeId, Output, Rejection};
pub use release::{Asset, Platform, Release, UpdateRefused};
pub use validate::{Invalid, Problem, validate_report, validate_static};
