//! Drivers and parts of the programs for `core-node-proto`: transport and file system, no policy.

pub mod clock;
pub mod core_driver;
pub mod fixture;
pub mod host;
pub mod links;
pub mod serve;
