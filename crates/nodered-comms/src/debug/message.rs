//! The data of one message of topic `debug`.

use super::number::js_text;
use super::reader;
use super::value::DebugValue;
use crate::wire::{Json, JsonKind, JsonRef};
use std::borrow::Cow;
use std::fmt;

/// The data of one message of topic `debug` (section 11.1 of the protocol; observed with 0.18.4 and 4.1.15).
///
/// Debug nodes send neither level nor timestamp, the log sends both. Records of the runtime itself have no id. A part
/// that is not of the form that it should have is among the further [`fields`](Self::fields). `Debug` shows ids and
/// lengths only.
#[derive(Clone, Default, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "users write it as a literal; a new member is a breaking change"
)]
pub struct DebugMessage {
    /// How severe it is; only from the log.
    pub level: Option<DebugLevel>,
    /// The id of the node, `<instance>-<template node>` inside a subflow; absent if the runtime itself speaks.
    pub id: Option<String>,
    /// The type of the node; only from the log.
    pub node_type: Option<String>,
    /// The id of the flow or subflow instance that the node is in.
    pub z: Option<String>,
    /// On the wire `_alias`: inside a subflow instance the id of the template's node (1.0 and later).
    pub alias: Option<String>,
    /// The ids from the flow down to the instance that the node is in, joined by `/` (1.0 and later).
    pub path: Option<String>,
    /// The name of the node, empty if it has none.
    pub name: Option<String>,
    /// The topic of the message that is shown: any JSON.
    pub topic: Option<Json>,
    /// The property that is shown, as `payload`; absent for the whole message and for an expression.
    pub property: Option<String>,
    /// The value: nearly always a string, whose meaning depends on the format. See [`value`](Self::value).
    pub msg: Option<Json>,
    /// When, in milliseconds since 1970; only from the log. Not sent if it is not finite.
    pub timestamp: Option<f64>,
    /// The kind of the value, as `string[5]`.
    pub format: Option<String>,
    /// Further fields in their order, by name.
    pub fields: Vec<(String, Json)>,
}

/// How severe a record of the log is.
///
/// Open: other levels are kept as `Other`, which is made only by `From<u64>`, so that a known level never ends up
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DebugLevel {
    /// 20
    Error,
    /// 30
    Warn,
    /// 40; not from Node-RED itself.
    Info,
    /// Any other level.
    #[non_exhaustive]
    Other(u64),
}

impl DebugMessage {
    /// Makes a message that shows a value, cut to `max_length` (usually [`DEBUG_MAX_LENGTH`](super::DEBUG_MAX_LENGTH)),
    /// and has nothing else yet.
    #[must_use]
    pub fn of_value(value: &DebugValue, max_length: usize) -> Self {
        let (format, msg) = value.encode(max_length);
        Self { format: Some(format), msg, ..Self::default() }
    }

    /// Makes a record of the log, as the runtime itself sends it; for a node add `id`, `node_type`, `z`, `name` and
    /// `path`. The time is in milliseconds since 1970.
    #[must_use]
    pub fn from_log(level: DebugLevel, msg: &DebugValue, timestamp: f64, max_length: usize) -> Self {
        Self { level: Some(level), timestamp: Some(timestamp), ..Self::of_value(msg, max_length) }
    }

    /// Reads a message; `None` if the data is no object.
    #[must_use]
    pub fn decode(data: JsonRef<'_>) -> Option<Self> {
        if data.kind() != JsonKind::Object {
            return None;
        }
        let mut message = Self::default();
        for (name, value) in reader::members_of(data)? {
            if !message.take(&name, value) {
                message.fields.push((name, value.to_json()));
            }
        }
        Some(message)
    }

    /// Writes the message, its fields in the order of Node-RED: that of the log if there is a level, else that of
    /// debug nodes.
    #[must_use]
    pub fn encode(&self) -> Json {
        let node =
            ["id", "z", "_alias", "path", "name", "topic", "property", "msg", "format", "type", "timestamp"];
        let log = [
            "level",
            "id",
            "type",
            "msg",
            "z",
            "name",
            "_alias",
            "path",
            "topic",
            "property",
            "timestamp",
            "format",
        ];
        let names: &[&str] = if self.level.is_some() { &log } else { &node };
        let mut text = String::from("{");
        for name in names {
            if let Some(value) = self.field(name) {
                push_member(&mut text, name, &value);
            }
        }
        for (name, value) in &self.fields {
            push_member(&mut text, name, value);
        }
        text.push('}');
        Json::parse(&text).unwrap_or_else(|_| Json::empty_object())
    }

    /// Returns the value that the message shows. See [`DebugValue::decode`].
    #[must_use]
    pub fn value(&self) -> DebugValue {
        DebugValue::decode(self.format.as_deref(), self.msg.as_ref().map(Json::as_ref))
    }

    /// Takes a field in, if it is known and of its form.
    fn take(&mut self, name: &str, value: JsonRef<'_>) -> bool {
        match name {
            "topic" => self.topic = Some(value.to_json()),
            "msg" => self.msg = Some(value.to_json()),
            "level" => self.level = whole(value).map(DebugLevel::from),
            "timestamp" => self.timestamp = value.as_f64(),
            _ => {
                let Some(slot) = self.slot(name) else { return false };
                *slot = value.as_str().map(Cow::into_owned);
                return slot.is_some();
            }
        }
        match name {
            "level" => self.level.is_some(),
            "timestamp" => self.timestamp.is_some(),
            _ => true,
        }
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "id" => &mut self.id,
            "type" => &mut self.node_type,
            "z" => &mut self.z,
            "_alias" => &mut self.alias,
            "path" => &mut self.path,
            "name" => &mut self.name,
            "property" => &mut self.property,
            "format" => &mut self.format,
            _ => return None,
        })
    }

    fn field(&self, name: &str) -> Option<Cow<'_, Json>> {
        let text = match name {
            "topic" => return self.topic.as_ref().map(Cow::Borrowed),
            "msg" => return self.msg.as_ref().map(Cow::Borrowed),
            "level" => return self.level.and_then(|level| number(&level.number().to_string())),
            "timestamp" => return self.timestamp.and_then(|time| number(&js_text(time))),
            "id" => &self.id,
            "type" => &self.node_type,
            "z" => &self.z,
            "_alias" => &self.alias,
            "path" => &self.path,
            "name" => &self.name,
            "property" => &self.property,
            _ => &self.format,
        };
        text.as_deref().map(|text| Cow::Owned(text.into()))
    }
}

impl fmt::Debug for DebugMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |text: &Option<String>| text.as_ref().map(String::len);
        f.debug_struct("DebugMessage")
            .field("level", &self.level)
            .field("id", &self.id)
            .field("node_type", &self.node_type)
            .field("z", &self.z)
            .field("alias", &self.alias)
            .field("path", &self.path)
            .field("name_length", &length(&self.name))
            .field("topic", &self.topic)
            .field("property_length", &length(&self.property))
            .field("msg", &self.msg)
            .field("timestamp", &self.timestamp)
            .field("format_length", &length(&self.format))
            .field("fields", &self.fields.len())
            .finish()
    }
}

impl DebugLevel {
    /// Returns the number of the level: the smaller, the more severe.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::Error => 20,
            Self::Warn => 30,
            Self::Info => 40,
            Self::Other(number) => number,
        }
    }
}

impl From<u64> for DebugLevel {
    fn from(number: u64) -> Self {
        match number {
            20 => Self::Error,
            30 => Self::Warn,
            40 => Self::Info,
            _ => Self::Other(number),
        }
    }
}

impl fmt::Display for DebugLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error => f.write_str("error"),
            Self::Warn => f.write_str("warn"),
            Self::Info => f.write_str("info"),
            Self::Other(number) => number.fmt(f),
        }
    }
}

fn push_member(text: &mut String, name: &str, value: &Json) {
    if text.len() > 1 {
        text.push(',');
    }
    text.push_str(Json::from(name).text());
    text.push(':');
    text.push_str(value.text());
}

/// A whole number that is written as one.
fn whole(value: JsonRef<'_>) -> Option<u64> {
    value.text().parse().ok()
}

fn number(text: &str) -> Option<Cow<'static, Json>> {
    Json::parse(text).ok().map(Cow::Owned)
}
