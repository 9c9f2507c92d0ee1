//! The targets of `ithiltir-proto`.

mod dash;
mod node;
mod value;
mod wire;

pub use dash::ithiltir_dash;
pub use node::ithiltir_node;
pub use value::ithiltir_value;
pub use wire::ithiltir_wire;
