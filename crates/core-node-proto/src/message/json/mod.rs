//! JSON bodies: how all of them are read and written. §4.

mod object;
mod read;
mod write;

pub use object::JsonObject;
pub(super) use read::{List, Raw, body, items, members, optional, required};
pub(super) use write::ObjectWriter;

use super::FieldError;

/// A message that is a JSON body over HTTP.
pub trait HttpBody: Sized {
    /// Reads a body. An empty one equals `{}`.
    ///
    /// # Errors
    /// The first field that breaks a rule; with an empty path for what is no JSON object or nests deeper than
    /// [`MAX_JSON_DEPTH`](super::MAX_JSON_DEPTH).
    fn from_json(body: &[u8]) -> Result<Self, FieldError>;

    /// Writes a body.
    ///
    /// # Errors
    /// The first field that a reader would refuse.
    fn to_json(&self) -> Result<Vec<u8>, FieldError>;
}
