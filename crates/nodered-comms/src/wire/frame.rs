//! What a runtime sends.

use super::envelope::{Envelope, Value};
use super::packet::{Malformed, encode_message};
use super::{JsonKind, JsonRef};
use std::borrow::Cow;
use std::fmt;

/// A frame of a runtime, borrowed.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has no other frame")]
pub enum Frame<'a> {
    /// One item by itself; `None` for a JSON value that is neither message nor answer.
    Bare(Option<Item<'a>>),
    /// Any number of items, none included. What is neither message nor answer is left out.
    Batch(Vec<Item<'a>>),
}

/// What a frame is made of.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has nothing else")]
pub enum Item<'a> {
    /// The answer to a token.
    Auth(AuthReply),
    /// A message.
    Message(Message<'a>),
}

/// The answer to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthReply {
    /// The token is good.
    Ok,
    /// The token is not good, or no longer; a close follows.
    Fail,
    /// Anything else, which is to be ignored.
    Other,
}

/// A message. `Debug` shows the topic, and of the data kind and length.
#[derive(Clone, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a message has nothing else")]
pub struct Message<'a> {
    /// Not empty.
    pub topic: Cow<'a, str>,
    /// Any JSON value, or nothing.
    pub data: Option<JsonRef<'a>>,
}

/// Reads what a runtime sent. The work is linear in the length of the frame.
///
/// # Errors
/// [`Malformed`] for what is no JSON.
pub fn decode_frame(text: &str) -> Result<Frame<'_>, Malformed> {
    if text.trim_ascii_start().starts_with('[') {
        let values: Vec<Value<'_>> = serde_json::from_str(text).map_err(|_| Malformed)?;
        return Ok(Frame::Batch(values.into_iter().filter_map(item).collect()));
    }
    serde_json::from_str(text).map(|value| Frame::Bare(item(value))).map_err(|_| Malformed)
}

fn item(Value(envelope): Value<'_>) -> Option<Item<'_>> {
    let Envelope { auth, topic, data, .. } = envelope?;
    if let Some(auth) = auth.filter(|auth| auth.is_truthy()) {
        return Some(Item::Auth(match auth.as_str().as_deref() {
            Some("ok") => AuthReply::Ok,
            Some("fail") => AuthReply::Fail,
            _ => AuthReply::Other,
        }));
    }
    let topic = topic.filter(|topic| topic.is_truthy())?;
    // A topic that is no string is taken by its text, as JavaScript makes numbers strings.
    let topic = match topic.kind() {
        JsonKind::String => topic.as_str()?,
        _ => Cow::Borrowed(topic.text()),
    };
    Some(Item::Message(Message { topic, data }))
}

impl Frame<'_> {
    /// Writes a frame.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Bare(item) => item.as_ref().map_or_else(|| "{}".to_owned(), Item::encode),
            Self::Batch(items) => {
                let items: Vec<String> = items.iter().map(Item::encode).collect();
                format!("[{}]", items.join(","))
            }
        }
    }

    /// Returns the items.
    #[must_use]
    pub fn items(&self) -> &[Item<'_>] {
        match self {
            Self::Bare(item) => item.as_slice(),
            Self::Batch(items) => items,
        }
    }
}

impl Item<'_> {
    fn encode(&self) -> String {
        match self {
            Self::Auth(reply) => reply.encode().to_owned(),
            Self::Message(Message { topic, data: Some(data) }) => encode_message(topic, *data),
            Self::Message(Message { topic, data: None }) => {
                format!("{{\"topic\":{}}}", super::Json::from(&**topic).text())
            }
        }
    }
}

impl AuthReply {
    /// Writes the answer.
    #[must_use]
    pub fn encode(self) -> &'static str {
        match self {
            Self::Ok => "{\"auth\":\"ok\"}",
            Self::Fail => "{\"auth\":\"fail\"}",
            Self::Other => "{\"auth\":true}",
        }
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("topic", &self.topic).field("data", &self.data).finish()
    }
}
