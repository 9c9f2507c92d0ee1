//! The reply to most calls.

use super::FieldError;
use super::json::{HttpBody, ObjectWriter, body, members, required};
use crate::json::Scalar;

/// Core's reply to calls that ask for nothing. Only `ok: true` acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct Acknowledgement {
    /// Whether Core took it.
    pub ok: bool,
}

members! {
    struct Members<'a> {
        "ok" ok: Scalar<'a>,
    }
}

impl HttpBody for Acknowledgement {
    fn from_json(json: &[u8]) -> Result<Self, FieldError> {
        let members: Members<'_> = body(json)?;
        Ok(Self { ok: required("ok", &members.ok, |value| value.boolean())? })
    }

    fn to_json(&self) -> Result<Vec<u8>, FieldError> {
        Ok(ObjectWriter::body(|object| object.boolean("ok", self.ok)))
    }
}
