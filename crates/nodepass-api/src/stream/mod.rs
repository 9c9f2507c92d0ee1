//! The event stream of a master, from the bytes of its body to typed events. §5.
//!
//! The grammar is that of the WHATWG's *server-sent events*: lines end with LF, CR or both, a byte order mark at the start
//! is skipped, lines that begin with a colon are comments, the `data` lines of a frame are joined, a blank line ends the
//! frame, and one without data is none. Bytes that are no UTF-8 are read as U+FFFD. `id` has no meaning here, since masters
//! replay nothing.
//!
//! Recorded streams in pieces of 16 KiB are split into frames at 7 to 8 GB/s on one core, where the crate `sse-core` reaches 4
//! to 5. What takes time is to read the JSON: bytes become events at 500 to 850 MB/s, with `eventsource-stream` and
//! `serde_json::Value` at 130 to 160.
//!
//! | line or frame | item |
//! | --- | --- |
//! | a frame named `instance`, or without a name, that holds an event | [`Item::Event`] |
//! | `retry: 3000` | [`Item::Retry`], at once |
//! | `: lost 3` | [`Item::Lost`], at once |
//! | another comment, such as the Rust port's keep-alive `:` | [`Item::Comment`], at once |
//! | a frame of another name, with other data, or too long | [`Item::Rejected`] |
//!
//! ```
//! use nodepass_api::stream::{EventReader, Item};
//!
//! let mut reader = EventReader::new(1 << 20);
//! let mut items = Vec::new();
//! for piece in [b"retry: 3000\n\nevent: inst".as_slice(), b"ance\ndata: {\"type\":\"shutdown\",\"time\":\"\",\"instance\":null}\n\n"] {
//!     reader.read(piece, |item| items.push(item));
//! }
//! assert!(matches!(items[..], [Item::Retry(_), Item::Event(_)]));
//! ```

mod item;
mod lines;
mod reader;

pub use item::{Item, Rejected, Rejection};
pub use reader::EventReader;
