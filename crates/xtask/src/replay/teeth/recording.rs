//! Reading a recording.

use crate::json::{self, Value};
use crate::teeth;
use anyhow::{Context as _, anyhow, bail};
use serde_json::Value as Json;
use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

/// One file.
pub(super) struct Recording {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) commit: String,
    pub(super) timers: Timers,
    /// The answers that the peer's application got, in order, if that was recorded.
    pub(super) answers: Option<VecDeque<Answered>>,
    /// Which attempts to connect were refused, as far as the peer logged them.
    pub(super) refused: VecDeque<bool>,
    pub(super) entries: Vec<Entry>,
}

/// What the peer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Agent,
    Server,
}

/// Which timers the peer ran with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timers {
    Default,
    /// The waits between connections were not spread.
    NoJitter,
    /// The idle time-out was another one.
    Idle(Duration),
    Unknown,
}

/// An answer to a command of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) id: String,
    pub(super) is_error: bool,
    pub(super) value: Value,
}

/// One line of the file.
pub(super) struct Entry {
    /// Where it stands, counted from 1.
    pub(super) line: usize,
    pub(super) at: Duration,
    pub(super) connection: u64,
    pub(super) what: What,
}

pub(super) enum What {
    /// One write of the other side.
    ToPeer(Vec<u8>),
    /// A line of the peer, with its line feed, or an unfinished one.
    FromPeer(Vec<u8>),
    Close {
        by_peer: bool,
        how: End,
    },
    Open,
    /// The other side ended its writing.
    HalfClose,
    /// The recording stopped with the connection open.
    End,
    Note,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// In order, after all was written.
    Fin,
    /// At once.
    Rst,
}

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
        let role = match header["peer_role"].as_str() {
            Some("agent") => Role::Agent,
            Some("server") => Role::Server,
            _ => bail!("no role"),
        };
        let commit = header["peer_commit"].as_str().ok_or_else(|| anyhow!("no commit"))?;
        let timers = Timers::read(header["timers"].as_str().unwrap_or_default());
        let events = header["peer_events"].as_array();
        let answers = events.map(|events| events.iter().filter_map(Answered::read).collect());
        let retries = header["peer_retry_log"].as_array().into_iter().flatten();
        let retries = retries.filter_map(|retry| retry[1].as_str());
        let refused = retries.map(|event| event.contains("Failed to connect")).collect();
        let entries = entries.iter().zip(2..).map(|(row, line)| Entry::read(row, line));
        let entries = entries.collect::<anyhow::Result<_>>()?;
        Ok(Self { name, role, commit: commit.to_owned(), timers, answers, refused, entries })
    }

    /// Names an entry by its place.
    pub(super) fn key(&self, entry: &Entry) -> String {
        format!("{}:{}", self.name, entry.line)
    }
}

impl Timers {
    fn read(text: &str) -> Self {
        let seconds = text.strip_prefix("timeOut=").and_then(|rest| rest.split(' ').next());
        match (text, seconds.and_then(|seconds| seconds.parse().ok())) {
            ("default" | "", _) => Self::Default,
            ("jitter=0", _) => Self::NoJitter,
            (_, Some(seconds)) => Self::Idle(Duration::from_secs(seconds)),
            _ => Self::Unknown,
        }
    }
}

impl Answered {
    fn read(event: &Json) -> Option<Self> {
        let kind = event["ev"].as_str().filter(|kind| matches!(*kind, "result" | "error"))?;
        let value = json::read(event[kind].to_string().as_bytes())?.value;
        Some(Self { id: event["id"].as_str()?.to_owned(), is_error: kind == "error", value })
    }
}

impl Entry {
    fn read(row: &Json, line: usize) -> anyhow::Result<Self> {
        let bytes = || teeth::bytes(row, ["text", "hex", "gen"]);
        let what = match row["dir"].as_str() {
            Some("to_peer") => What::ToPeer(bytes()?),
            Some("from_peer") => What::FromPeer(bytes()?),
            Some("close") => {
                let how = match row["how"].as_str() {
                    Some("fin") => End::Fin,
                    Some("rst") => End::Rst,
                    _ => bail!("an end without its way"),
                };
                What::Close { by_peer: row["by"] == "peer", how }
            }
            Some("open") => What::Open,
            Some("half_close") => What::HalfClose,
            Some("end") => What::End,
            Some("note") => What::Note,
            _ => bail!("an entry of no known direction"),
        };
        let at = row["t_ms"].as_u64().ok_or_else(|| anyhow!("an entry without a time"))?;
        let connection = row["conn"].as_u64().unwrap_or(1);
        Ok(Self { line, at: Duration::from_millis(at), connection, what })
    }
}
