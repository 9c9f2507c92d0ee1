//! Drivers and parts of the programs for `ithiltir-proto`: transport and file system, no policy.

pub mod client;
pub mod dash_driver;
pub mod host;
pub mod install_driver;
pub mod installer;
pub mod node_driver;
pub mod probe;
pub mod report_file;
