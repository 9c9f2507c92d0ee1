//! What all readers of JSON share.

mod depth;
mod scalar;

pub use depth::MAX_JSON_DEPTH;
pub(crate) use depth::{is_deeper, is_too_deep};
pub(crate) use scalar::{Name, Scalar};
