//! Lines and messages: how bytes are cut into lines, what a line means, and how messages are written. Pure functions
//! and one buffer, no protocol state. §2.
//!
//! A message is one JSON object on one line that ends with a line feed.
//!
//! | message | members, in the order written | recognised by |
//! | --- | --- | --- |
//! | [command](Message::Command) | `version`, `params`, `id`, `method` | `method` |
//! | [error response](Message::Error) | `version`, `id`, `error` | `error`, and no `method` |
//! | [result response](Message::Result) | `version`, `id`, `result` | `result`, and neither of those |
//! | [fatal error](Message::FatalError) | `fatal_error` | `fatal_error`, whatever else is there |
//!
//! # Reading
//!
//! [`LineBuffer`] cuts, [`decode`] decides. Values keep their JSON text ([`Json`], [`JsonRef`]), so that an echo is an
//! echo: integers of any size, exponents and escapes come back as they came. Members may come in any order, the last
//! of equal names counts, unknown ones are ignored, names may be escaped. White space is allowed around a message
//! (space, tab, carriage return, vertical tab, form feed) and between its tokens (not the last two).
//!
//! Stricter than the original: the literals `NaN`, `Infinity` and `-Infinity` and surrogates in UTF-8 are undecodable.
//!
//! # Writing
//!
//! As the original does: pure ASCII, `", "` and `": "` between tokens, floats in the shortest form that reads back the
//! same. Values that came as text keep their spacing and digits.
//!
//! Source: teeth-agent document, "Protocol"; teeth-agent b3ee1d8 as observed.

mod encode;
mod json;
mod line;
mod message;
mod object;
mod violation;

pub use encode::encode;
pub use json::{Json, JsonError, JsonKind, JsonRef, NESTING_LIMIT};
pub use line::{LINE_LIMIT, LineBuffer, LineTooLong, trim};
pub use message::{Message, MessageId, VERSION, decode};
pub use object::Object;
pub use violation::Violation;

pub(crate) use object::{ObjectWriter, members, slots};
