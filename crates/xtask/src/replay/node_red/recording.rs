//! Reading a recording.

use anyhow::{Context as _, anyhow, bail};
use serde_json::Value as Json;
use std::path::Path;
use std::time::Duration;

/// One file.
pub(super) struct Recording {
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) settings: String,
    pub(super) entries: Vec<Entry>,
}

/// Of Node-RED: major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32);

/// One line of the file.
pub(super) struct Entry {
    /// Where it stands, counted from 1.
    pub(super) line: usize,
    pub(super) at: Duration,
    /// The name of the connection; none for notes.
    pub(super) connection: String,
    pub(super) what: What,
}

pub(super) enum What {
    /// A connection came about, perhaps with a token in this header.
    Open { token: Option<String> },
    /// The client sent this.
    Sent(Frame),
    /// The runtime sent this.
    Received(Frame),
    /// The connection is over.
    Closed { code: u64 },
    /// No connection came about.
    Failed,
    /// What was done besides.
    Note(String),
    /// A ping or a pong.
    Other,
}

/// A frame.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) text: String,
    /// It was a binary one; what was no UTF-8 shows as U+FFFD.
    pub(super) is_binary: bool,
}

/// The header of the `auth-tokens` configuration.
const TOKEN_HEADERS: [&str; 2] = ["x-nr-token", "authorization"];

impl Recording {
    pub(super) fn read(file: &Path, name: String) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let rows: Result<Vec<Json>, _> = lines.map(serde_json::from_str).collect();
        let rows = rows.with_context(|| format!("{} is not JSON lines", file.display()))?;
        Self::of(name, &rows).with_context(|| format!("{} is no recording", file.display()))
    }

    fn of(name: String, rows: &[Json]) -> anyhow::Result<Self> {
        let (header, entries) = rows.split_first().ok_or_else(|| anyhow!("no header"))?;
        let text = |member| header[member].as_str().ok_or_else(|| anyhow!("a header without {member:?}"));
        let version = Version::read(text("node_red")?).ok_or_else(|| anyhow!("no version"))?;
        if !header["side"].as_str().unwrap_or("client").contains("client") {
            bail!("the recorder was not the client");
        }
        let entries = entries.iter().zip(2..).map(|(row, line)| Entry::read(row, line));
        let entries = entries.collect::<anyhow::Result<_>>()?;
        Ok(Self { name, version, settings: text("settings")?.to_owned(), entries })
    }

    /// Names an entry by its place.
    pub(super) fn key(&self, entry: &Entry) -> String {
        format!("{}:{}", self.name, entry.line)
    }

    /// Returns the entries of each connection, in the order in which connections were opened.
    pub(super) fn connections(&self) -> Vec<Vec<&Entry>> {
        let mut connections: Vec<Vec<&Entry>> = Vec::new();
        for entry in &self.entries {
            match &entry.what {
                What::Note(_) | What::Other => {}
                What::Open { .. } => connections.push(vec![entry]),
                _ => {
                    let of_same = |known: &&mut Vec<&Entry>| known[0].connection == entry.connection;
                    if let Some(known) = connections.iter_mut().rev().find(of_same) {
                        known.push(entry);
                    }
                }
            }
        }
        connections
    }
}

impl Version {
    fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|number| number.parse().ok());
        Some(Self(numbers.next()??, numbers.next()??))
    }
}

impl Entry {
    fn read(row: &Json, line: usize) -> anyhow::Result<Self> {
        let text = || {
            let text = row["text"].as_str().ok_or_else(|| anyhow!("line {line} is without a text"))?;
            Ok::<_, anyhow::Error>(text.to_owned())
        };
        let frame = || Ok::<_, anyhow::Error>(Frame { text: text()?, is_binary: row["binary"] == true });
        let what = match row["dir"].as_str() {
            Some("open") => {
                let header = |name: &&str| row["headers"][*name].as_str().map(str::to_owned);
                What::Open { token: TOKEN_HEADERS.iter().find_map(header) }
            }
            Some("tx") => What::Sent(frame()?),
            Some("rx") => What::Received(frame()?),
            Some("close") => {
                What::Closed { code: row["code"].as_u64().ok_or_else(|| anyhow!("a close without a code"))? }
            }
            Some("error") => What::Failed,
            Some("note") => What::Note(text()?),
            Some("tx-ping" | "rx-pong") => What::Other,
            _ => bail!("line {line} is of no known direction"),
        };
        let at = row["t_ms"].as_f64().ok_or_else(|| anyhow!("line {line} is without a time"))?;
        let at = Duration::try_from_secs_f64(at / 1000.0)?;
        Ok(Self { line, at, connection: row["conn"].as_str().unwrap_or_default().to_owned(), what })
    }
}

impl Frame {
    /// Returns the text if all of the frame is in it.
    pub(super) fn clean(&self) -> Option<&str> {
        (!self.is_binary || !self.text.contains('\u{FFFD}')).then_some(&self.text)
    }
}
