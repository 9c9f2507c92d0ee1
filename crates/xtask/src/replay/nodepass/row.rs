//! Reading a recording.

use anyhow::{Context as _, anyhow};
use serde_json::Value;
use std::path::Path;

/// A request and its answer.
pub(super) struct Row {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) peer: String,
    pub(super) scenario: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) key: Option<String>,
    pub(super) request: Option<String>,
    pub(super) status: u16,
    pub(super) media_type: Option<String>,
    pub(super) response: String,
    pub(super) is_cut: bool,
}

pub(super) fn read(file: &Path) -> anyhow::Result<Vec<Row>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(place, line)| Row::read(place + 1, &serde_json::from_str(line)?));
    rows.collect::<anyhow::Result<_>>().with_context(|| format!("{} is no recording", file.display()))
}

impl Row {
    fn read(line: usize, row: &Value) -> anyhow::Result<Self> {
        let text = |member: &str| {
            let text = row[member].as_str().ok_or_else(|| anyhow!("a row without the text {member:?}"));
            text.map(str::to_owned)
        };
        let status = row["status"].as_u64().ok_or_else(|| anyhow!("a row without a status"))?;
        Ok(Self {
            line,
            peer: text("peer")?,
            scenario: text("scenario")?,
            method: text("method")?,
            path: text("path")?,
            key: header(&row["req_headers"], "x-api-key"),
            request: row["req_body"].as_str().map(str::to_owned),
            status: u16::try_from(status)?,
            media_type: header(&row["resp_headers"], "content-type"),
            response: row["resp_body"].as_str().unwrap_or_default().to_owned(),
            is_cut: row["resp_body_truncated"] == true,
        })
    }

    /// The last part of the path, without its query.
    pub(super) fn route(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn has_json(&self) -> bool {
        self.media_type.as_deref() == Some("application/json") && !self.response.is_empty()
    }
}

fn header(headers: &Value, name: &str) -> Option<String> {
    let mut found = headers.as_object()?.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    found.next()?.1.as_str().map(str::to_owned)
}
