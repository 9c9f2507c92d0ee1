//! Reports of errors.

use super::json::{HttpBody, JsonObject, ObjectWriter, Raw, body, members, optional, required};
use super::{FieldError, MAX_TEXT_CHARACTERS};
use crate::json::{MAX_JSON_DEPTH, Scalar, is_deeper};
use crate::value::ValueError;
use std::fmt;

/// A node's report that something is wrong with it. `Debug` shows its code and how long the rest is: proxies fill messages with
/// pieces of their configuration.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct NodeError {
    /// What is wrong; not empty.
    pub message: String,
    /// Which kind of error it is, up to 256 characters.
    pub code: Option<String>,
    /// More about it, at most 63 levels deep: it is one level of the message.
    pub details: Option<JsonObject>,
}

impl fmt::Debug for NodeError {
    /// Hides message and details, which nodes fill with pieces of their configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeError")
            .field("message_bytes", &self.message.len())
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

members! {
    struct Members<'a> {
        "message" message: Scalar<'a>,
        "code" code: Scalar<'a>,
        "details" details: Raw<'a>,
    }
}

impl NodeError {
    /// Checks the rules that the types do not hold.
    ///
    /// # Errors
    /// The first field that breaks one.
    pub fn check(&self) -> Result<(), FieldError> {
        if self.message.is_empty() {
            return Err(FieldError::new("message", ValueError::Missing));
        }
        let code = self.code.as_deref().unwrap_or_default();
        ValueError::check_length(code, 0, MAX_TEXT_CHARACTERS)
            .map_err(|error| FieldError::new("code", error))?;
        let details = self.details.as_ref().map(JsonObject::text).unwrap_or_default();
        if is_deeper(details.as_bytes(), MAX_JSON_DEPTH - 1) {
            return Err(FieldError::new("details", ValueError::TooDeep(MAX_JSON_DEPTH - 1)));
        }
        Ok(())
    }
}

impl HttpBody for NodeError {
    fn from_json(json: &[u8]) -> Result<Self, FieldError> {
        let members: Members<'_> = body(json)?;
        let error = Self {
            message: required("message", &members.message, |message| message.text().map(str::to_owned))?,
            code: optional("code", &members.code, |code| code.text().map(str::to_owned))?,
            details: members.details.object("details")?,
        };
        error.check()?;
        Ok(error)
    }

    fn to_json(&self) -> Result<Vec<u8>, FieldError> {
        self.check()?;
        Ok(ObjectWriter::body(|object| {
            object.text("message", &self.message);
            object.optional_text("code", self.code.as_deref());
            if let Some(details) = &self.details {
                object.json("details", details);
            }
        }))
    }
}
