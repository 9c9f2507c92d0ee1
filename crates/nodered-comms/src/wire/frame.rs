//! What a runtime sends.

use super::envelope::{Envelope, Value, is_strict};
use super::packet::{Malformed, encode_message};
use super::{JsonKind, JsonRef};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

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
    if !is_strict(text) {
        return Err(Malformed);
    }
    if text.trim_ascii_start().starts_with('[') {
        let items = serde_json::from_str(text).map(|Items(items)| items);
        let items = items.or_else(|_| serde_json::from_str(text).map(|PatientItems(items)| items));
        return items.map(Frame::Batch).map_err(|_| Malformed);
    }
    let bare = serde_json::from_str(text).map(item);
    let bare = bare.or_else(|_| serde_json::from_str(text).map(patient_item));
    bare.map(Frame::Bare).map_err(|_| Malformed)
}

/// The items of an array. Elements that are none take no memory.
struct Items<'a>(Vec<Item<'a>>);

/// The same, read element by element.
struct PatientItems<'a>(Vec<Item<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Elements(item, PhantomData)).map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for PatientItems<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Elements(patient_item, PhantomData)).map(Self)
    }
}

/// Makes items of the elements of an array, which are read as `T`.
struct Elements<T, F>(F, PhantomData<T>);

impl<'de, T: Deserialize<'de>, F: Fn(T) -> Option<Item<'de>>> Visitor<'de> for Elements<T, F> {
    type Value = Vec<Item<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(element) = seq.next_element()? {
            items.extend((self.0)(element));
        }
        Ok(items)
    }
}

/// Reads what strict readers refuse though it is JSON, a number beyond all floats say. Such a value is no message.
fn patient_item(value: JsonRef<'_>) -> Option<Item<'_>> {
    match value.kind() {
        JsonKind::Object => item(value.decode().ok()?),
        _ => None,
    }
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
