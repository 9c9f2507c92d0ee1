//! Drivers and parts of the programs for `core-node-proto`: transport and file system, no policy.

pub mod counters;
pub mod host;
pub mod links;
