//! Who the agent is and how it is.

use super::{ParamsError, SendError};
use crate::wire::{Json, JsonKind, JsonRef, Object, ObjectWriter, members, slots};

/// Parameters of `handshake`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    /// Names the machine: a hardware address, at most 1024 bytes. The original always sends `a:b:c:d`.
    pub id: String,
    /// The agent's version, at most 1024 bytes. The original's is `0.1-dev`.
    pub version: String,
}

slots! {
    struct HandshakeSlots {
        version: "version",
        id: "id",
    }
}

impl Handshake {
    /// Reads a handshake; what is missing is empty, what is no string is taken as its JSON text. A server keeps both,
    /// so that they are short.
    pub(super) fn decode(params: JsonRef<'_>) -> Result<Self, ParamsError> {
        let slots: HandshakeSlots<'_> =
            params.decode().map_err(|_| ParamsError::wrong("params", "an object"))?;
        let handshake = Self { id: text(slots.id), version: text(slots.version) };
        if handshake.is_too_long() {
            return Err(ParamsError::wrong("id", SHORT));
        }
        Ok(handshake)
    }

    pub(super) fn params(&self) -> Result<Object, SendError> {
        if self.is_too_long() {
            return Err(SendError::wrong("id", SHORT));
        }
        let mut params = ObjectWriter::new();
        params.text("version", &self.version).text("id", &self.id);
        params.finish().map_err(|_| SendError::wrong("id", SHORT))
    }

    fn is_too_long(&self) -> bool {
        self.id.len().max(self.version.len()) > TEXT_LIMIT
    }
}

/// Result of `status`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// How long the agent has run, in seconds.
    pub uptime: Option<f64>,
    /// The agent's version.
    pub version: Option<String>,
    /// What the agent is there for; the original says `STANDBY`.
    pub mode: Option<String>,
    /// Further fields, by name.
    pub fields: Vec<(String, Json)>,
}

impl Status {
    /// Reads a result; `None` if it is no object. A field of another form than it should have is among the further
    /// fields.
    #[must_use]
    pub fn decode(result: JsonRef<'_>) -> Option<Self> {
        if result.kind() != JsonKind::Object {
            return None;
        }
        let mut status = Self::default();
        for (name, value) in members(result) {
            match name.as_str() {
                "uptime" if value.as_f64().is_some() => status.uptime = value.as_f64(),
                "version" if value.as_str().is_some() => status.version = value.as_str().map(Into::into),
                "mode" if value.as_str().is_some() => status.mode = value.as_str().map(Into::into),
                _ => status.fields.push((name, value.to_json())),
            }
        }
        Some(status)
    }

    /// Writes a result. An uptime that is not finite is left out, and so are the further fields if one of them nests too
    /// deep.
    #[must_use]
    pub fn result(&self) -> Object {
        let own = || {
            let mut result = ObjectWriter::new();
            if let Some(uptime) = self.uptime.filter(|uptime| uptime.is_finite()) {
                result.number("uptime", uptime);
            }
            if let Some(version) = &self.version {
                result.text("version", version);
            }
            if let Some(mode) = &self.mode {
                result.text("mode", mode);
            }
            result
        };
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_ref()));
        own().fields(fields).finish().or_else(|_| own().finish()).unwrap_or_default()
    }
}

const TEXT_LIMIT: usize = 1024;
const SHORT: &str = "of at most 1024 bytes, and \"version\" too";

fn text(value: Option<JsonRef<'_>>) -> String {
    value.map(|value| value.as_str().unwrap_or(value.text().into()).into_owned()).unwrap_or_default()
}
