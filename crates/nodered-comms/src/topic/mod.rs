//! Topics: filters with wildcards, an index over many of them, and retained messages.
//!
//! A filter must match the whole topic, letter for letter, but for two wildcards (§2):
//!
//! | in a filter | matches |
//! | --- | --- |
//! | `/#` at the end | nothing, or a slash and anything after it, line terminators (U+000A, U+000D, U+2028, U+2029) excepted |
//! | `+` anywhere | one or more UTF-16 units other than `/` |
//! | everything else, also `#` elsewhere, `{` and `}` | itself |
//!
//! So `status/#` matches `status`, `status/` and `status/a/b`; `#` matches only `#`, and `+/#` all topics whose first
//! level is not empty. Braces are an exception from the original, which takes `a{2}` for `aa` by a slip of its own.
//!
//! Source: document "Subscribe events"; Node-RED 0.18.4, 4.1.15 and 5.0.7 as observed.

mod filter;
mod index;
mod retained;

pub use filter::{TopicFilter, TopicFilterError};
pub use index::{FilterId, TopicIndex};
pub use retained::Retained;
