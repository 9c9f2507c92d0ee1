//! Log entries.

use super::{ParamsError, SendError};
use crate::wire::{Json, JsonRef, Object, ObjectWriter, members};
use std::fmt;

/// A structured log message, from agent to server. `Debug` shows lengths, names and no contents.
#[derive(Clone, Default, PartialEq)]
pub struct LogEntry {
    /// The text.
    pub message: String,
    /// When it was written, in seconds since 1970, UTC. Finite.
    pub time: f64,
    /// Further fields, by name. Those named `message` or `time` give way to the two above.
    pub fields: Vec<(String, Json)>,
}

impl LogEntry {
    /// Makes an entry without further fields.
    #[must_use]
    pub fn new(message: impl Into<String>, time: f64) -> Self {
        Self { message: message.into(), time, fields: Vec::new() }
    }

    /// Reads an entry as any agent sends it: what is missing is empty or 0, and a message that is no string is taken
    /// as its JSON text.
    pub(super) fn decode(params: JsonRef<'_>) -> Result<Self, ParamsError> {
        let mut entry = Self::default();
        for (name, value) in members(params) {
            match name.as_str() {
                "message" => entry.message = value.as_str().unwrap_or(value.text().into()).into_owned(),
                "time" => entry.time = value.as_f64().unwrap_or_default(),
                _ => entry.fields.push((name, value.to_json())),
            }
        }
        Ok(entry)
    }

    pub(super) fn params(&self) -> Result<Object, SendError> {
        if !self.time.is_finite() {
            return Err(SendError::wrong("time", "a finite number"));
        }
        let fields = self.fields.iter().filter(|(name, _)| name != "message" && name != "time");
        let mut params = ObjectWriter::new();
        params.text("message", &self.message).number("time", self.time);
        params.fields(fields.map(|(name, value)| (name.as_str(), value.as_ref())));
        params.finish().map_err(|_| SendError::wrong("fields", "less deep"))
    }
}

impl fmt::Debug for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogEntry")
            .field("message_bytes", &self.message.len())
            .field("time", &self.time)
            .field("fields", &self.fields)
            .finish()
    }
}
