//! The bodies of all fuzz targets, as plain functions: `fuzz_targets/` runs them under libFuzzer, `tests/seeds.rs`
//! runs them over the seeds on stable. A body panics where a rule is broken.

mod dash;
mod input;
mod node;
mod value;
mod wire;

pub use dash::ithiltir_dash;
pub use node::ithiltir_node;
pub use value::ithiltir_value;
pub use wire::ithiltir_wire;

/// What a target does with its input.
pub type Body = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Body); 4] = [
    ("ithiltir_dash", ithiltir_dash),
    ("ithiltir_node", ithiltir_node),
    ("ithiltir_value", ithiltir_value),
    ("ithiltir_wire", ithiltir_wire),
];
