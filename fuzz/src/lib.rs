//! The bodies of all fuzz targets, as plain functions: `fuzz_targets/` runs them under libFuzzer, `tests/seeds.rs`
//! runs them over the seeds on stable. A body panics where a rule is broken.

mod core;
mod input;
mod ithiltir;
mod node_red;
mod nodepass;
mod teeth;

pub use self::core::{core_agent, core_config, core_server, core_value, core_wire};
pub use ithiltir::{ithiltir_dash, ithiltir_node, ithiltir_value, ithiltir_wire};
pub use node_red::{nodered_client, nodered_runtime, nodered_topics, nodered_value, nodered_wire};
pub use nodepass::{nodepass_client, nodepass_master, nodepass_url, nodepass_value, nodepass_wire};
pub use teeth::{teeth_agent, teeth_server, teeth_value, teeth_wire};

/// What a target does with its input.
pub type Body = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Body); 23] = [
    ("core_agent", core_agent),
    ("core_config", core_config),
    ("core_server", core_server),
    ("core_value", core_value),
    ("core_wire", core_wire),
    ("ithiltir_dash", ithiltir_dash),
    ("ithiltir_node", ithiltir_node),
    ("ithiltir_value", ithiltir_value),
    ("ithiltir_wire", ithiltir_wire),
    ("nodepass_client", nodepass_client),
    ("nodepass_master", nodepass_master),
    ("nodepass_url", nodepass_url),
    ("nodepass_value", nodepass_value),
    ("nodepass_wire", nodepass_wire),
    ("nodered_client", nodered_client),
    ("nodered_runtime", nodered_runtime),
    ("nodered_topics", nodered_topics),
    ("nodered_value", nodered_value),
    ("nodered_wire", nodered_wire),
    ("teeth_agent", teeth_agent),
    ("teeth_server", teeth_server),
    ("teeth_value", teeth_value),
    ("teeth_wire", teeth_wire),
];
