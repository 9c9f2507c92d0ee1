//! Messages as types.
//!
//! | topic | type | retained |
//! | --- | --- | --- |
//! | `status/<node>` | [`NodeStatus`] | while it is not blank |
//! | `notification/<id>` | [`Notification`] | some, see [`Notification::is_retained`] |
//! | `debug` | [`DebugMessage`] | no |
//! | `event-log/<id>` | [`LogEntry`] | no |
//! | `multiplayer/…` | [`Multiplayer`] | no |
//! | `hb` | a number | no |
//! | anything else | its data | as its publisher says |
//!
//! [`CommsEvent::decode`] never fails: what has not the form that its topic should have is
//! [`Other`](CommsEvent::Other). Members of no known name are kept, so that writing an event gives the value that was read.
//!
//! Source: document "Runtime events"; Node-RED 0.18.4, 4.1.15 and 5.0.7 as observed (§1).
#![expect(
    clippy::exhaustive_structs,
    reason = "message types are written as struct literals; a new member is a minor version"
)]

mod log;
mod multiplayer;
mod notification;
mod runtime_state;
mod status;

pub use log::{LogEntry, LogKind};
pub use multiplayer::{Location, Multiplayer, MultiplayerSession, MultiplayerUser};
pub use notification::{MissingModule, NodeSet, Notice, Notification, ProjectAction};
pub use runtime_state::{FlowState, NoticeKind, RuntimeError, RuntimeState};
pub use status::NodeStatus;

use crate::debug::DebugMessage;
use crate::wire::{Json, JsonRef};

/// A message by its meaning.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CommsEvent {
    /// What a node shows.
    Status {
        /// The node's id; inside a subflow `<instance>-<template>`.
        node: String,
        /// What it shows.
        status: NodeStatus,
    },
    /// News of the runtime.
    Notification(Notification),
    /// A debug message or a log record.
    Debug(DebugMessage),
    /// Output of a command that the runtime runs. Texts hold paths of its machine.
    EventLog {
        /// The run: 16 hexadecimal digits.
        id: String,
        /// A piece of it.
        entry: LogEntry,
    },
    /// News of other editors.
    Multiplayer(Multiplayer),
    /// A sign of life. In 0.20 and later the time at which the runtime's comms started, in ms since 1970: another value
    /// means another start.
    Heartbeat(f64),
    /// Anything else.
    Other {
        /// The topic.
        topic: String,
        /// The data; `null` if there was none.
        data: Json,
    },
}

impl CommsEvent {
    /// Reads a message.
    #[must_use]
    pub fn decode(topic: &str, data: Option<JsonRef<'_>>) -> Self {
        data.and_then(|data| Self::known(topic, data)).unwrap_or_else(|| Self::Other {
            topic: topic.to_owned(),
            data: data.map_or_else(Json::null, JsonRef::to_json),
        })
    }

    fn known(topic: &str, data: JsonRef<'_>) -> Option<Self> {
        let (first, rest) = topic.split_once('/').unwrap_or((topic, ""));
        match first {
            "status" if topic.contains('/') => {
                Some(Self::Status { node: rest.to_owned(), status: NodeStatus::decode(data) })
            }
            "notification" if topic.contains('/') => Notification::decode(rest, data).map(Self::Notification),
            "event-log" if topic.contains('/') => {
                Some(Self::EventLog { id: rest.to_owned(), entry: LogEntry::decode(data)? })
            }
            "multiplayer" => Multiplayer::decode(rest, data).map(Self::Multiplayer),
            _ if topic == "debug" => DebugMessage::decode(data).map(Self::Debug),
            _ if topic == "hb" => data.as_f64().map(Self::Heartbeat),
            _ => None,
        }
    }

    /// Returns topic and data.
    #[must_use]
    pub fn encode(&self) -> (String, Json) {
        match self {
            Self::Status { node, status } => (format!("status/{node}"), status.encode()),
            Self::Notification(notification) => {
                (format!("notification/{}", notification.id()), notification.encode())
            }
            Self::Debug(message) => ("debug".into(), message.encode()),
            Self::EventLog { id, entry } => (format!("event-log/{id}"), entry.encode()),
            Self::Multiplayer(news) => (format!("multiplayer/{}", news.id()), news.encode()),
            Self::Heartbeat(time) => ("hb".into(), number(*time)),
            Self::Other { topic, data } => (topic.clone(), data.clone()),
        }
    }
}

/// Writes a number as JavaScript does: a whole one without a point.
fn number(number: f64) -> Json {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        return Json::encode(&(number as i64)).unwrap_or_else(|_| Json::null());
    }
    Json::encode(&number).unwrap_or_else(|_| Json::null())
}

/// Pairs of a name and a value, as [`object_of`](crate::wire::object_of) takes them.
fn further(members: &[(String, Json)]) -> impl Iterator<Item = (&str, Option<Json>)> {
    members.iter().map(|(name, value)| (name.as_str(), Some(value.clone())))
}

/// The value of an optional string.
fn text(text: Option<&String>) -> Option<Json> {
    text.map(|text| Json::from(text.as_str()))
}

/// Makes an open enumeration of words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
            /// Any other word; made by `From<&str>`.
            #[non_exhaustive]
            Other(Box<str>),
        }

        impl $name {
            /// Returns the word.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }

            #[allow(dead_code, reason = "not every word is written by itself")]
            fn json(&self) -> $crate::wire::Json {
                $crate::wire::Json::from(self.as_str())
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)*
                    other => Self::Other(other.into()),
                }
            }
        }
    };
}
use words;
