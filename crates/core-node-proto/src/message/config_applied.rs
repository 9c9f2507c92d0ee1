//! Confirmations of a configuration.

use super::FieldError;
use super::json::{HttpBody, ObjectWriter, body, members, required};
use crate::json::Scalar;
use crate::value::Revision;

/// A node's word that it runs on a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "messages are written as struct literals")]
pub struct ConfigApplied {
    /// The revision.
    pub revision: Revision,
}

members! {
    struct Members<'a> {
        "revision" revision: Scalar<'a>,
    }
}

impl HttpBody for ConfigApplied {
    fn from_json(json: &[u8]) -> Result<Self, FieldError> {
        let members: Members<'_> = body(json)?;
        Ok(Self {
            revision: required("revision", &members.revision, |number| Revision::new(number.whole()?))?,
        })
    }

    fn to_json(&self) -> Result<Vec<u8>, FieldError> {
        Ok(ObjectWriter::body(|object| object.number("revision", self.revision.get())))
    }
}
