//! Drivers and parts of the programs for `core-node-proto`: transport and file system, no policy.

pub mod agent_driver;
pub mod clock;
pub mod core_driver;
pub mod counters;
pub mod fixture;
pub mod host;
pub mod links;
pub mod node;
pub mod report;
pub mod serve;
pub mod settings;
pub mod state_file;
pub mod status_page;
pub mod this_machine;
