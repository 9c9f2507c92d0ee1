//! Every recorded frame is decoded and encoded again.

use super::recording::{Frame, Recording, What};
use super::value::{Deed, read, same, same_text};
use crate::Tally;
use crate::json::Value;
use nodered_comms::event::{CommsEvent, Notification};
use nodered_comms::wire::{
    AuthReply, Item, JsonRef, Message, Packet, decode_frame, decode_packet, encode_auth, encode_publish,
    encode_subscribe,
};

pub(super) fn check(recording: &Recording, tally: &mut Tally) {
    for entry in &recording.entries {
        let (frame, is_received) = match &entry.what {
            What::Received(frame) => (frame, true),
            What::Sent(frame) => (frame, false),
            _ => continue,
        };
        if frame.is_binary {
            tally.skip("binary", "a binary frame is no message");
            continue;
        }
        let key = recording.key(entry);
        if is_received { received(&key, frame, tally) } else { sent(&key, &frame.text, tally) }
    }
}

/// A frame of the runtime: every message by its meaning, then the frame as a whole.
fn received(key: &str, Frame { text, .. }: &Frame, tally: &mut Tally) {
    let Ok(frame) = decode_frame(text) else {
        return tally.fail(key, "a frame", "none");
    };
    let recorded = match read(text) {
        Some(Value::List(items)) => items,
        Some(value) => vec![value],
        None => return tally.fail(key, "a frame", "no JSON"),
    };
    let items = frame.items();
    if items.len() != recorded.len() {
        return tally.fail(key, format_args!("{} items", recorded.len()), items.len());
    }
    for (place, (item, recorded)) in items.iter().zip(&recorded).enumerate() {
        if let Err(got) = item_is(item, recorded) {
            return tally.fail(format_args!("{key}[{place}]"), recorded, got);
        }
        tally.pass();
    }
    if same_text(&frame.encode(), text) {
        tally.pass();
    } else {
        tally.fail(key, text, frame.encode());
    }
}

/// Whether an item is what was recorded, also after it was read by its meaning and written again.
fn item_is(item: &Item<'_>, recorded: &Value) -> Result<(), String> {
    let Message { topic, data } = match item {
        Item::Message(message) => message,
        Item::Auth(reply) => {
            let is_known = matches!(reply, AuthReply::Ok | AuthReply::Fail);
            let is_same = is_known && read(reply.encode()).is_some_and(|value| same(&value, recorded));
            return if is_same { Ok(()) } else { Err(format!("{reply:?}")) };
        }
    };
    let event = CommsEvent::decode(topic, *data);
    if !is_typed(topic, &event) {
        return Err(format!("no type of its own for {topic}"));
    }
    let (topic, data) = event.encode();
    let got = Value::object([("topic", Value::text(&topic)), ("data", read(data.text()).ok_or("no JSON")?)]);
    if same(&got, recorded) { Ok(()) } else { Err(got.to_string()) }
}

/// Whether a topic that the protocol names was read as what it is.
fn is_typed(topic: &str, event: &CommsEvent) -> bool {
    let id = topic.split_once('/').map(|(first, _)| first).unwrap_or(topic);
    match id {
        "status" => matches!(event, CommsEvent::Status { .. }) || !topic.contains('/'),
        "debug" => matches!(event, CommsEvent::Debug(_)),
        "hb" => matches!(event, CommsEvent::Heartbeat(_)),
        "event-log" => matches!(event, CommsEvent::EventLog { .. }),
        "multiplayer" => matches!(event, CommsEvent::Multiplayer(_)),
        "notification" => {
            let is_known = KNOWN.contains(&&topic["notification/".len()..]);
            match event {
                CommsEvent::Notification(Notification::Other { .. }) => !is_known,
                CommsEvent::Notification(_) => true,
                _ => false,
            }
        }
        _ => true,
    }
}

/// The notifications that a runtime is known to send.
const KNOWN: [&str; 13] = [
    "runtime-state",
    "runtime-deploy",
    "runtime-redeploy",
    "node/added",
    "node/removed",
    "node/enabled",
    "node/disabled",
    "node/upgraded",
    "plugin/added",
    "project-update",
    "restart-required",
    "runtime-unsupported-version",
    "update-available",
];

/// A packet of the client.
fn sent(key: &str, text: &str, tally: &mut Tally) {
    let value = |json: JsonRef<'_>| read(json.text());
    let is = |json: JsonRef<'_>, expected: &Value| value(json).is_some_and(|got| same(&got, expected));
    let packet = decode_packet(text);
    let is_same = match (Deed::of(text), &packet) {
        (Deed::Auth(expected), Ok(Packet::Auth(token))) => {
            is(*token, &expected) && written(text, "auth", token.as_str().map(|token| encode_auth(&token)))
        }
        (Deed::Subscribe(expected), Ok(Packet::Subscribe(filter))) => {
            let again = filter.as_str().map(|filter| encode_subscribe(&filter));
            is(*filter, &expected) && written(text, "subscribe", again)
        }
        (Deed::Publish(expected, with), Ok(Packet::Publish { topic, data })) => {
            let again = topic.as_str().zip(*data).map(|(topic, data)| encode_publish(&topic, data));
            is(*topic, &expected)
                && data.and_then(value) == with
                && written(text, "topic", again.clone())
                && written(text, "data", again)
        }
        (Deed::Nothing, Ok(Packet::Other)) | (Deed::Malformed, Err(_)) => true,
        _ => false,
    };
    match is_same {
        true => tally.pass(),
        false => tally.fail(key, format_args!("{:?}", Deed::of(text)), format_args!("{packet:?}")),
    }
}

/// Whether a packet that was written again has the same member; a packet that no client would write is not.
fn written(recorded: &str, member: &str, again: Option<String>) -> bool {
    let member = |text: &str| read(text)?.get(member).cloned();
    again.is_none_or(|again| match (member(recorded), member(&again)) {
        (Some(recorded), Some(again)) => same(&recorded, &again),
        _ => false,
    })
}
