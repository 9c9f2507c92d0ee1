//! Drivers and parts of the programs for `ithiltir-proto`.
pub mod host;
