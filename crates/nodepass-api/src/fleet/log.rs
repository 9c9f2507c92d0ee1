//! What processes have said.

use crate::wire::{Level, LogLine};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// A line of a log. `Debug` hides the text: some lines echo a tunnel's key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogEntry {
    /// When the master sent it: milliseconds since the beginning of 1970, by the master's clock; by the application's own if
    /// the event had no time.
    pub unix_milliseconds: i64,
    /// The time that stands in the line, in the master's local time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Box<str>>,
    /// How grave it is, if the line says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// What it says, without colours and other control characters.
    pub text: Box<str>,
}

impl LogEntry {
    pub(super) fn new(unix_milliseconds: i64, line: &str, longest: usize) -> Self {
        let LogLine { time, level, mut text } = LogLine::parse(line);
        let longest = longest.saturating_sub(time.as_ref().map_or(0, |time| time.len()));
        if text.len() > longest {
            let end = (0..=longest).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
            text = text[..end].into();
        }
        Self { unix_milliseconds, time, level, text }
    }

    fn text_bytes(&self) -> usize {
        self.text.len() + self.time.as_ref().map_or(0, |time| time.len())
    }
}

impl fmt::Debug for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogEntry({} {:?}, {} bytes)", self.unix_milliseconds, self.level, self.text.len())
    }
}

/// The last lines of an instance's log, the oldest first. Serialized it is a list of them, to be given back with
/// [`Fleet::import_log`](super::Fleet::import_log).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LogRing {
    entries: VecDeque<LogEntry>,
    text_bytes: usize,
}

/// Which lines are wanted. The default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "queries are written as struct literals")]
pub struct LogQuery {
    /// Those at least this grave. Lines without a level are none of them.
    pub at_least: Option<Level>,
    /// Those that hold this text; case matters.
    pub contains: Option<Box<str>>,
    /// Those from this moment on: milliseconds since the beginning of 1970.
    pub since: Option<i64>,
    /// Those before this moment: milliseconds since the beginning of 1970.
    pub until: Option<i64>,
}

impl LogQuery {
    /// Whether a line is wanted.
    #[must_use]
    pub fn matches(&self, entry: &LogEntry) -> bool {
        self.at_least.is_none_or(|level| entry.level >= Some(level))
            && self.since.is_none_or(|since| entry.unix_milliseconds >= since)
            && self.until.is_none_or(|until| entry.unix_milliseconds < until)
            && self.contains.as_ref().is_none_or(|text| entry.text.contains(&**text))
    }
}

impl LogRing {
    /// Returns the lines, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &LogEntry> + ExactSizeIterator {
        self.entries.iter()
    }

    /// Returns those lines that are wanted, the oldest first.
    pub fn query(&self, query: &LogQuery) -> impl DoubleEndedIterator<Item = &LogEntry> {
        self.entries.iter().filter(move |entry| query.matches(entry))
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn push(&mut self, entry: LogEntry, limit: Limit) {
        self.text_bytes += entry.text_bytes();
        self.entries.push_back(entry);
        let is_over = |log: &Self| {
            log.entries.len() > limit.lines || log.text_bytes > limit.text_bytes || log.bytes() > limit.bytes
        };
        while is_over(self) {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.text_bytes -= oldest.text_bytes();
        }
    }

    /// Puts lines that are older than all of these before them.
    pub(super) fn import(&mut self, older: &Self, limit: Limit) {
        let first = self.entries.front().map_or(i64::MAX, |entry| entry.unix_milliseconds);
        for entry in older.iter().rev().filter(|entry| entry.unix_milliseconds < first) {
            let text_bytes = self.text_bytes + entry.text_bytes();
            let bytes = self.bytes() + entry.text_bytes() + size_of::<LogEntry>();
            if self.entries.len() >= limit.lines || text_bytes > limit.text_bytes || bytes > limit.bytes {
                break;
            }
            self.text_bytes = text_bytes;
            self.entries.push_front(entry.clone());
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.text_bytes + self.entries.len() * size_of::<LogEntry>()
    }
}

/// How much a log may hold.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) lines: usize,
    pub(super) text_bytes: usize,
    /// What all of it may take, entries included.
    pub(super) bytes: usize,
}

impl Serialize for LogRing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LogRing {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = VecDeque::<LogEntry>::deserialize(deserializer)?;
        let text_bytes = entries.iter().map(LogEntry::text_bytes).sum();
        Ok(Self { entries, text_bytes })
    }
}

impl fmt::Debug for LogRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogRing({} lines, {} bytes)", self.entries.len(), self.text_bytes)
    }
}
