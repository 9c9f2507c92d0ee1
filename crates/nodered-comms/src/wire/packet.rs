//! What a client sends.

use super::envelope::{Envelope, Value, is_strict};
use super::{Json, JsonRef};
use serde::de::IgnoredAny;

/// A packet of a client, borrowed from its frame. `Debug` shows kinds and lengths: tokens are secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has no other packet")]
pub enum Packet<'a> {
    /// A token: any truthy value; only a string can be good.
    Auth(JsonRef<'a>),
    /// A filter: any truthy value; only a string of some length is one.
    Subscribe(JsonRef<'a>),
    /// A message for the runtime.
    Publish {
        /// Any truthy value; only a string reaches somebody.
        topic: JsonRef<'a>,
        /// Anything, or nothing.
        data: Option<JsonRef<'a>>,
    },
    /// Any other JSON value but `null`; without effect of its own.
    Other,
}

/// A frame that is no packet: no JSON, or `null`. Without effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the frame is no JSON value, or null")]
#[non_exhaustive]
pub struct Malformed;

/// Reads what a client sent. The work is linear in the length of the frame.
///
/// # Errors
/// [`Malformed`].
pub fn decode_packet(text: &str) -> Result<Packet<'_>, Malformed> {
    let trimmed = text.trim_ascii_start();
    if !trimmed.starts_with('{') {
        let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
        return if is_json && !trimmed.starts_with('n') { Ok(Packet::Other) } else { Err(Malformed) };
    }
    let Value(envelope) = serde_json::from_str(text).map_err(|_| Malformed)?;
    if !is_strict(text) {
        return Err(Malformed);
    }
    let Envelope { auth, subscribe, topic, data } = envelope.unwrap_or_default();
    let is_truthy = |value: &JsonRef<'_>| value.is_truthy();
    Ok(match (auth.filter(is_truthy), subscribe.filter(is_truthy), topic.filter(is_truthy)) {
        (Some(token), ..) => Packet::Auth(token),
        (None, Some(filter), _) => Packet::Subscribe(filter),
        (None, None, Some(topic)) => Packet::Publish { topic, data },
        (None, None, None) => Packet::Other,
    })
}

/// Writes the packet that presents a token. It holds the token.
#[must_use]
pub fn encode_auth(token: &str) -> String {
    format!("{{\"auth\":{}}}", Json::from(token).text())
}

/// Writes the packet that asks for retained messages.
#[must_use]
pub fn encode_subscribe(filter: &str) -> String {
    format!("{{\"subscribe\":{}}}", Json::from(filter).text())
}

/// Writes the packet that hands the runtime a message.
#[must_use]
pub fn encode_publish(topic: &str, data: JsonRef<'_>) -> String {
    encode_message(topic, data)
}

/// Writes one message: `topic`, then `data`.
#[must_use]
pub fn encode_message(topic: &str, data: JsonRef<'_>) -> String {
    format!("{{\"topic\":{},\"data\":{}}}", Json::from(topic).text(), data.text())
}
