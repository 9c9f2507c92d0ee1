//! What a line means.

use super::json::{has_raw_control, is_json, nests_deeper};
use super::{Json, JsonKind, JsonRef, NESTING_LIMIT, Violation, slots, trim};
use std::fmt;

/// The message version that every command must have, as JSON text.
pub const VERSION: &str = "\"v1\"";

/// One message, borrowed from its line. `Debug` shows kinds and lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the protocol has no other message, and `encode` takes struct literals"
)]
pub enum Message<'a> {
    /// Asks for something; exactly one response follows.
    Command {
        /// Not empty; anything but `"v1"` is unknown.
        version: JsonRef<'a>,
        /// An object.
        params: JsonRef<'a>,
        /// Not empty; chosen by the sender.
        id: JsonRef<'a>,
        /// Anything.
        method: JsonRef<'a>,
    },
    /// Answers a command.
    Result {
        /// Not empty; otherwise without meaning.
        version: JsonRef<'a>,
        /// The command's.
        id: JsonRef<'a>,
        /// Anything; the document promises an object.
        result: JsonRef<'a>,
    },
    /// Answers a command that failed.
    Error {
        /// Not empty; otherwise without meaning.
        version: JsonRef<'a>,
        /// The command's.
        id: JsonRef<'a>,
        /// Anything; the document promises an object with `msg`, the original sends a string.
        error: JsonRef<'a>,
    },
    /// Ends the connection. Anything; the document promises a string.
    FatalError(JsonRef<'a>),
}

/// A message's id: any JSON value that is not empty, with its text exactly as it came, so that an echo is an echo.
///
/// Ids that this crate makes are strings that hold a random UUID (version 4), as the original's are.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageId(pub(crate) Json);

impl MessageId {
    /// Returns the JSON text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({:?})", self.0)
    }
}

slots! {
    /// The members of a message that have a meaning.
    struct Envelope {
        version: "version",
        params: "params",
        id: "id",
        method: "method",
        result: "result",
        error: "error",
        fatal_error: "fatal_error",
    }
}

/// Decides what a line is, in the order of the original; `None` for a blank one.
///
/// # Errors
/// The [`Violation`] that the peer is to be told.
pub fn decode(line: &[u8]) -> Result<Option<Message<'_>>, Violation> {
    let line = trim(line);
    if line.is_empty() {
        return Ok(None);
    }
    let envelope = read_envelope(line)?;
    if let Some(text) = envelope.fatal_error {
        return Ok(Some(Message::FatalError(text)));
    }
    let not_empty = |value: &JsonRef<'_>| !value.is_empty();
    let version = envelope.version.filter(not_empty).ok_or(Violation::MissingVersion)?;
    let id = envelope.id.filter(not_empty).ok_or(Violation::MissingId)?;
    if let Some(method) = envelope.method {
        let params = envelope.params.ok_or(Violation::MissingParams)?;
        if params.kind() != JsonKind::Object {
            return Err(Violation::ParamsNotAnObject);
        }
        return Ok(Some(Message::Command { version, params, id, method }));
    }
    if let Some(error) = envelope.error {
        return Ok(Some(Message::Error { version, id, error }));
    }
    if let Some(result) = envelope.result {
        return Ok(Some(Message::Result { version, id, result }));
    }
    Err(Violation::Malformed)
}

fn read_envelope(line: &[u8]) -> Result<Envelope<'_>, Violation> {
    let text = std::str::from_utf8(line).map_err(|_| Violation::Undecodable)?;
    if nests_deeper(line, NESTING_LIMIT) || has_raw_control(line) {
        return Err(Violation::Undecodable);
    }
    if line[0] != b'{' {
        return Err(if is_json(text) { Violation::NotAnObject } else { Violation::Undecodable });
    }
    serde_json::from_str(text).map_err(|_| Violation::Undecodable)
}
