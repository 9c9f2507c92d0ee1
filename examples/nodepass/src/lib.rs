//! Drivers and parts of the programs for `nodepass-api`: transport and file system, no policy.

pub mod address;
pub mod client_driver;
pub mod connector;
pub mod ctl;
pub mod dial;
pub mod forward;
pub mod master_driver;
pub mod plan;
pub mod process;
pub mod report;
pub mod state_file;
pub mod system;
pub mod tls;
