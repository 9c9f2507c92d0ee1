//! Bodies of answers. §3, and the document's envelope.

use super::object::object;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

object! {
    /// The body of a refusal.
    #[derive(Debug)]
    pub struct ErrorBody {
        /// What is wrong, for people.
        required "error" error: Box<str>,
    }
}

/// Why a body is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No JSON, at this byte.
    #[error("not JSON, at byte {offset}")]
    Syntax {
        /// Counted from 0.
        offset: usize,
    },
    /// JSON of another form, at this byte.
    #[error("JSON of another form, at byte {offset}")]
    Form {
        /// Counted from 0.
        offset: usize,
    },
    /// The answer says itself that it is none: `success` is false.
    #[error("the answer is marked as a failure")]
    Failure,
}

/// The form that the document's examples have.
#[derive(Deserialize)]
struct Envelope<'a> {
    success: Option<bool>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Reads a body: the object itself, as masters send it, or `{"success":true,"data":…}` as the document shows it.
///
/// # Errors
/// [`DecodeError`] if it is neither.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    let is_object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if is_object && let Ok(Envelope { success: Some(success), data }) = serde_json::from_slice(body) {
        if !success {
            return Err(DecodeError::Failure);
        }
        if let Some(data) = data {
            return plain(data.get().as_bytes());
        }
    }
    plain(body)
}

fn plain<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(body).map_err(|error| DecodeError::at(&error, body))
}

impl DecodeError {
    pub(crate) fn at(error: &serde_json::Error, body: &[u8]) -> Self {
        let line = error.line().saturating_sub(1);
        let start = match line {
            0 => 0,
            line => memchr::memchr_iter(b'\n', body).nth(line - 1).map_or(0, |at| at + 1),
        };
        let offset = (start + error.column().saturating_sub(1)).min(body.len());
        if error.is_data() { Self::Form { offset } } else { Self::Syntax { offset } }
    }
}
