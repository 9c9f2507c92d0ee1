//! Output of commands.

use super::{further, number, words};
use crate::wire::{Json, JsonRef, Members, object_of};
use std::fmt;

/// A piece of the output of a command that the runtime runs (npm, git). `Debug` shows its length: it holds paths.
#[derive(Clone, PartialEq)]
pub struct LogEntry {
    /// When, in ms since 1970.
    pub ts: f64,
    /// The command line at the start, a piece of output, `rc=<n>` at the end. May hold several lines.
    pub data: String,
    /// Which output it is; none at start and end.
    pub kind: Option<LogKind>,
    /// Whether it is the end.
    pub end: bool,
    /// Members of no known name.
    pub further: Vec<(String, Json)>,
}

words! {
    /// Which output of a command.
    LogKind {
        /// What it writes.
        Output = "out",
        /// What it complains of.
        Error = "err",
    }
}

impl LogEntry {
    pub(super) fn decode(data: JsonRef<'_>) -> Option<Self> {
        let mut members = Members::of(data)?;
        Some(Self {
            ts: members.take("ts", JsonRef::as_f64)?,
            data: members.text("data")?,
            kind: members.text("type").map(|kind| LogKind::from(kind.as_str())),
            end: members.take("end", |end| (end.text() == "true").then_some(true)).unwrap_or_default(),
            further: members.rest(),
        })
    }

    pub(super) fn encode(&self) -> Json {
        let own = [
            ("ts", Some(number(self.ts))),
            ("data", Some(Json::from(self.data.as_str()))),
            ("type", self.kind.as_ref().map(LogKind::json)),
            ("end", self.end.then(|| Json::encode(&true).unwrap_or_else(|_| Json::null()))),
        ];
        object_of(own.into_iter().chain(further(&self.further)))
    }

    /// Returns the exit code, at the end.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        self.data.strip_prefix("rc=").filter(|_| self.end)?.parse().ok()
    }
}

impl fmt::Debug for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogEntry")
            .field("ts", &self.ts)
            .field("data_bytes", &self.data.len())
            .field("kind", &self.kind)
            .field("end", &self.end)
            .field("further", &self.further)
            .finish()
    }
}
