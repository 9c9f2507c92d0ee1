//! The settings of the machines as arguments.

mod agent;
mod core;

pub use agent::{AgentSettings, OnAmbiguous};
pub use core::{Confirm, CoreSettings, NeedsSync, Source};
