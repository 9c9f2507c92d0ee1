//! The messages with a plain derive: what a user would write by hand, and the limit of the measurements. One spelling of
//! every name, nothing is tolerated, nothing is validated, text may not be escaped where it is borrowed, and what is
//! written is neither spaced nor ASCII.

use super::subjects::Mix;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A line with what it holds.
pub(crate) struct Line<'a> {
    pub(crate) version: &'a str,
    pub(crate) id: &'a str,
    pub(crate) method: Option<&'a str>,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Handshake(Handshake),
    Ping(Box<RawValue>),
    Log(LogEntry),
    StatusAsked,
    TaskStatus(TaskStatus),
    Task(Task),
    QualityControl(QualityControl),
    CacheImages(CacheImages),
    PrepareImage(PrepareImage),
    RunImage(RunImage),
    Status(Status),
    Result(Box<RawValue>),
    Error(Box<RawValue>),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    version: &'a str,
    id: &'a str,
    method: Option<&'a str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Handshake {
    pub(crate) id: String,
    pub(crate) version: String,
}

#[derive(Serialize)]
pub(crate) struct LogEntry {
    pub(crate) message: String,
    pub(crate) time: f64,
    #[serde(flatten)]
    pub(crate) fields: BTreeMap<String, Box<RawValue>>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Running,
    Error,
    Complete,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TaskStatus {
    pub(crate) task_id: String,
    pub(crate) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) eta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) msg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_ids: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) task_id: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct QualityControl {
    pub(crate) task_id: String,
    pub(crate) chassis: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct CacheImages {
    pub(crate) task_id: String,
    pub(crate) image_ids: Vec<String>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PrepareImage {
    pub(crate) task_id: String,
    pub(crate) image_id: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RunImage {
    pub(crate) task_id: String,
    pub(crate) image_id: String,
    pub(crate) config_drive: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) uptime: Option<f64>,
    pub(crate) version: Option<String>,
    pub(crate) mode: Option<String>,
}

/// Reads all lines.
pub(crate) fn decode(mix: &Mix, mut each: impl FnMut(Line<'_>)) {
    let mut stream = mix.stream;
    for &answers_status in &mix.answers_status {
        let end = memchr::memchr(b'\n', stream).expect("every line ends");
        each(line(&stream[..end], answers_status));
        stream = &stream[end + 1..];
    }
}

/// Reads a line.
pub(crate) fn line(line: &[u8], answers_status: bool) -> Line<'_> {
    let text = std::str::from_utf8(line).expect("the lines are UTF-8");
    read(text, answers_status).expect("the lines are messages")
}

fn read(text: &str, answers_status: bool) -> serde_json::Result<Line<'_>> {
    let Envelope { version, id, method, params, result, error } = serde_json::from_str(text)?;
    let params = params.map_or("", RawValue::get);
    let body = match (method, result, error) {
        (Some(method), ..) => command(method, params)?,
        (None, None, Some(error)) => Body::Error(error.to_owned()),
        (None, Some(result), None) if answers_status => Body::Status(serde_json::from_str(result.get())?),
        (None, Some(result), None) => Body::Result(result.to_owned()),
        _ => unreachable!("the lines hold no other message"),
    };
    Ok(Line { version, id, method, body })
}

fn command(method: &str, params: &str) -> serde_json::Result<Body> {
    Ok(match method {
        "handshake" => Body::Handshake(serde_json::from_str(params)?),
        "ping" => Body::Ping(serde_json::from_str::<&RawValue>(params)?.to_owned()),
        "log" => Body::Log(log_entry(params)?),
        "status" => Body::StatusAsked,
        "task_status" => Body::TaskStatus(serde_json::from_str(params)?),
        "decom.disk_erase" => Body::Task(serde_json::from_str(params)?),
        "decom.qc" => Body::QualityControl(serde_json::from_str(params)?),
        "standbye.cache_images" => Body::CacheImages(serde_json::from_str(params)?),
        "standbye.prepare_image" => Body::PrepareImage(serde_json::from_str(params)?),
        "standbye.run_image" => Body::RunImage(serde_json::from_str(params)?),
        _ => unreachable!("the lines hold no other command"),
    })
}

/// As a map of borrowed texts, which is three times as fast as `flatten`.
fn log_entry(params: &str) -> serde_json::Result<LogEntry> {
    let mut members: BTreeMap<&str, &RawValue> = serde_json::from_str(params)?;
    let mut take = |name| members.remove(name).map_or("null", RawValue::get);
    let (message, time) = (serde_json::from_str(take("message"))?, serde_json::from_str(take("time"))?);
    let fields = members.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(LogEntry { message, time, fields })
}

/// Writes a line with its line feed.
pub(crate) fn encode(line: &Line<'_>) -> Vec<u8> {
    match &line.body {
        Body::Handshake(params) => command_line(line, params),
        Body::Ping(params) => command_line(line, params),
        Body::Log(params) => command_line(line, params),
        Body::StatusAsked => command_line(line, &Nothing {}),
        Body::TaskStatus(params) => command_line(line, params),
        Body::Task(params) => command_line(line, params),
        Body::QualityControl(params) => command_line(line, params),
        Body::CacheImages(params) => command_line(line, params),
        Body::PrepareImage(params) => command_line(line, params),
        Body::RunImage(params) => command_line(line, params),
        Body::Status(result) => written(&ResultLine { version: line.version, id: line.id, result }),
        Body::Result(result) => written(&ResultLine { version: line.version, id: line.id, result }),
        Body::Error(error) => written(&ErrorLine { version: line.version, id: line.id, error }),
    }
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct CommandLine<'a, P> {
    version: &'a str,
    params: &'a P,
    id: &'a str,
    method: &'a str,
}

#[derive(Serialize)]
struct ResultLine<'a, R> {
    version: &'a str,
    id: &'a str,
    result: &'a R,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    version: &'a str,
    id: &'a str,
    error: &'a RawValue,
}

fn command_line<P: Serialize>(line: &Line<'_>, params: &P) -> Vec<u8> {
    let method = line.method.expect("it is a command");
    written(&CommandLine { version: line.version, params, id: line.id, method })
}

fn written(line: &impl Serialize) -> Vec<u8> {
    let mut text = Vec::with_capacity(128);
    serde_json::to_writer(&mut text, line).expect("a Vec takes every write");
    text.push(b'\n');
    text
}

/// Answers a command as [`super::subjects::round_trip`] needs it.
pub(crate) fn answer(line: &[u8]) -> Option<String> {
    let line = line.strip_suffix(b"\n")?;
    let envelope: Envelope<'_> = serde_json::from_str(std::str::from_utf8(line).ok()?).ok()?;
    let is_good = envelope.version == "v1" && envelope.params?.get().starts_with('{');
    let id = envelope.id;
    let answer = || format!("{{\"version\": \"v1\", \"id\": \"{id}\", \"result\": {{}}}}\n");
    (is_good && envelope.method? == "status").then(answer)
}

/// Returns the id of an answer.
pub(crate) fn answered(line: &[u8]) -> Option<String> {
    let line = line.strip_suffix(b"\n")?;
    let envelope: Envelope<'_> = serde_json::from_str(std::str::from_utf8(line).ok()?).ok()?;
    envelope.result.map(|_| envelope.id.to_owned())
}
