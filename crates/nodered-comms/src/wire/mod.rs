//! Packets: what goes over the WebSocket, one JSON value a text frame. Pure functions, no state. §1.
//!
//! | from the client | since | means |
//! | --- | --- | --- |
//! | `{"auth": "<token>"}` | 0.10 | who I am |
//! | `{"subscribe": "<filter>"}` | 0.9 | send me the retained messages that match |
//! | `{"topic": "<topic>", "data": <any>}` | 4.0 | a message for the runtime |
//!
//! | from the runtime | means |
//! | --- | --- |
//! | `{"auth": "ok"}`, `{"auth": "fail"}` | the answer to a token; the second is also sent before the end of a session |
//! | `[{"topic": …, "data": …}, …]` | messages, 0.18 and later; `[]` is a frame too |
//! | `{"topic": …, "data": …}` | one message, 0.17 and earlier |
//!
//! A packet does one thing: a truthy `auth` comes before a truthy `subscribe`, and that before a truthy `topic`. *Truthy*
//! is JavaScript's, see [`JsonRef::is_truthy`]. The last of equal names counts, unknown ones are ignored.
//!
//! Source: document "Message structure", "Authentication"; Node-RED 0.17.5, 0.18.4, 4.1.15 and 5.0.7 as observed.

mod envelope;
mod frame;
mod json;
mod object;
mod packet;

pub use frame::{AuthReply, Frame, Item, Message, decode_frame};
pub use json::{Json, JsonError, JsonKind, JsonRef};
pub use packet::{
    Malformed, Packet, decode_packet, encode_auth, encode_message, encode_publish, encode_subscribe,
};

pub(crate) use object::{Members, object_of};
