//! Reading a recording.

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use serde_json::Value;
use std::path::Path;

/// One file, and the failed handshakes recorded beside it.
pub(super) struct Capture {
    pub(super) exchanges: Vec<Exchange>,
    pub(super) handshakes: Vec<Handshake>,
}

/// A request and its answer.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) scenario: String,
    pub(super) peer: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) request_headers: Vec<(String, String)>,
    pub(super) request_body: Body,
    pub(super) status: u16,
    pub(super) response_headers: Vec<(String, String)>,
    pub(super) response_body: Body,
    pub(super) milliseconds: i64,
    pub(super) tls: bool,
}

/// A body as far as it was recorded.
#[derive(Clone)]
pub(super) enum Body {
    Whole(Bytes),
    /// Only its length stands there.
    Shortened,
    /// The recording is not what was sent: it holds bytes that are no text.
    Unclean,
}

/// A TLS handshake that failed.
pub(super) struct Handshake {
    pub(super) what: String,
}

impl Capture {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let exchanges = rows(file)?.iter().map(Exchange::read).collect::<anyhow::Result<_>>();
        let exchanges = exchanges.with_context(|| format!("{} is no recording", file.display()))?;
        let beside = file.with_extension("events.jsonl");
        let handshakes = if beside.exists() { rows(&beside)? } else { Vec::new() };
        Ok(Self { exchanges, handshakes: handshakes.iter().map(Handshake::read).collect() })
    }
}

impl Exchange {
    fn read(row: &Value) -> anyhow::Result<Self> {
        let text = |member: &str| {
            let text = row[member].as_str().ok_or_else(|| anyhow!("a row without the text {member:?}"));
            text.map(str::to_owned)
        };
        let number = |member: &str| row[member].as_i64().ok_or_else(|| anyhow!("a row without {member:?}"));
        let request_headers = headers(&row["req_headers"])?;
        let mut request_body = Body::read(&text("req_body")?);
        if let Body::Whole(body) = &request_body {
            let announced = header(&request_headers, "content-length").and_then(|length| length.parse().ok());
            if announced.is_some_and(|length: usize| length != body.len()) {
                request_body = Body::Unclean;
            }
        }
        Ok(Self {
            scenario: text("scenario")?,
            peer: text("peer")?,
            method: text("method")?,
            path: text("path")?,
            request_headers,
            request_body,
            status: u16::try_from(number("status")?)?,
            response_headers: headers(&row["resp_headers"])?,
            response_body: Body::read(&text("resp_body")?),
            milliseconds: number("t_ms")?,
            tls: row["tls"].as_bool().unwrap_or(false),
        })
    }

    /// Returns the value of the first request header of this name.
    pub(super) fn request_header(&self, name: &str) -> Option<&str> {
        header(&self.request_headers, name)
    }

    /// Returns the value of the first response header of this name.
    pub(super) fn response_header(&self, name: &str) -> Option<&str> {
        header(&self.response_headers, name)
    }

    /// Returns host and port as the request names them.
    pub(super) fn host(&self) -> &str {
        self.request_header("host").unwrap_or_default()
    }

    /// Returns the last segment of the path: `metrics`, `static`, `identity` or something else.
    pub(super) fn route(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }
}

impl Body {
    fn read(text: &str) -> Self {
        let length = text.strip_prefix('<').and_then(|text| text.split_once(" bytes"));
        if length.is_some_and(|(length, _)| length.bytes().all(|byte| byte.is_ascii_digit())) {
            return Self::Shortened;
        }
        Self::Whole(text.as_bytes().to_vec().into())
    }

    /// Returns the bytes, if they are all there.
    pub(super) fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(body) => Some(body),
            Self::Shortened | Self::Unclean => None,
        }
    }
}

impl Handshake {
    fn read(row: &Value) -> Self {
        Self { what: row["tls_error"].as_str().or(row["note"].as_str()).unwrap_or_default().to_owned() }
    }
}

fn rows(file: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let rows = lines.map(serde_json::from_str).collect::<Result<_, _>>();
    rows.with_context(|| format!("{} is not JSON lines", file.display()))
}

fn headers(value: &Value) -> anyhow::Result<Vec<(String, String)>> {
    let pair = |pair: &Value| Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()));
    let headers = value.as_array().and_then(|headers| headers.iter().map(pair).collect());
    headers.ok_or_else(|| anyhow!("a row without headers"))
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
