//! The recorded debug messages, and short ways to build values.

mod cuts;
mod messages;
mod rules;
mod show;

use nodered_comms::debug::{DebugError, DebugMessage, DebugValue};
use nodered_comms::wire::Json;
use serde::Deserialize;
use serde_json::Value;

/// One recorded message.
pub(crate) struct Recorded {
    pub(crate) file: String,
    pub(crate) max_length: usize,
    pub(crate) data: Json,
}

impl Recorded {
    pub(crate) fn message(&self) -> DebugMessage {
        DebugMessage::decode(self.data.as_ref()).unwrap()
    }

    /// What the recording calls the value: the topic of its message.
    pub(crate) fn kind(&self) -> String {
        self.message().topic.and_then(|topic| topic.decode().ok()).unwrap_or_default()
    }
}

/// Returns all debug messages that were recorded with a version.
pub(crate) fn recorded(version: &str) -> Vec<Recorded> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if file.starts_with(&format!("nr{version}-debug-")) {
            let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
            found.extend(text.lines().flat_map(messages).map(|data| Recorded {
                max_length: if file.contains("max10") { 10 } else { 1000 },
                file: file.clone(),
                data,
            }));
        }
    }
    found
}

/// Returns the value of one kind as it was recorded.
pub(crate) fn recorded_kind(version: &str, max_length: usize, kind: &str) -> DebugValue {
    let all = recorded(version);
    let one = all.iter().find(|one| one.max_length == max_length && one.kind() == kind).unwrap();
    one.message().value()
}

/// One line of a recording.
#[derive(Deserialize)]
struct Line {
    dir: Option<String>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    topic: Json,
    data: Json,
}

fn messages(line: &str) -> Vec<Json> {
    let line: Line = serde_json::from_str(line).unwrap();
    if line.dir.as_deref() != Some("rx") {
        return Vec::new();
    }
    let frame: Vec<Message> = serde_json::from_str(&line.text.unwrap()).unwrap();
    frame.into_iter().filter(|message| message.topic == "debug".into()).map(|message| message.data).collect()
}

pub(crate) fn decode(format: &str, msg: &str) -> DebugValue {
    DebugValue::decode(Some(format), Some(Json::from(msg).as_ref()))
}

/// Reads JSON as it stands inside other values.
pub(crate) fn inside(json: &str) -> DebugValue {
    DebugValue::from_json(Json::parse(json).unwrap().as_ref())
}

/// Writes a value; the message as the text in its string.
pub(crate) fn encode(value: &DebugValue, max_length: usize) -> (String, String) {
    let (format, msg) = value.encode(max_length);
    (format, msg.unwrap().decode().unwrap())
}

pub(crate) fn object<const N: usize>(members: [(&str, DebugValue); N]) -> DebugValue {
    DebugValue::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

pub(crate) fn numbers(count: u32) -> Vec<DebugValue> {
    (0..count).map(|number| f64::from(number).into()).collect()
}

pub(crate) fn error(name: &str, message: &str) -> DebugError {
    DebugError { name: Some(name.to_owned()), message: Some(message.to_owned()), ..DebugError::default() }
}

/// JSON texts are compared as values.
pub(crate) fn value_of(json: &Json) -> Value {
    json.decode().unwrap()
}
