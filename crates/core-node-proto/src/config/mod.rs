//! What Core wants a node to run: client maps and services, read from either transport and written for both (§7).

mod client_map;
mod error;
mod node_config;
mod raw;
mod services;
mod written;
mod xray;

pub use client_map::{Client, ClientMap, MtprotoClientMap};
pub use error::{Field, NodeConfigError, Problem, Warning};
pub use node_config::{ConfigTexts, NodeConfig, ReadConfig};
pub use services::Services;
pub use xray::{Mtproto, Xray, XrayInbound};
