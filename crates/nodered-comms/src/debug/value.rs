//! The value that a debug message shows.

use super::number::DebugNumber;
use super::reader;
use crate::wire::{Json, JsonRef};

/// A value of JavaScript as a debug message carries it: perhaps cut, but with its original length.
///
/// Lengths count UTF-16 units for strings, bytes for buffers and elements otherwise; one that is smaller than what is
/// there counts as that. `{value}` shows a value on one line, `{value:#}` on many.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DebugValue {
    /// `undefined`; also a hole in a list, and a property that does not exist.
    Undefined,
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, also `NaN` and the infinities.
    Number(DebugNumber),
    /// A big integer, as its decimal text (1.2.4 and later).
    BigInt(Box<str>),
    /// A string.
    String {
        /// What is there of it, without the `...` of a cut. Inside other values the wire does not tell the
        /// cut from the string: there the dots stay.
        text: String,
        /// Its original length in UTF-16 units.
        length: u64,
    },
    /// A symbol; of its text nothing is sent. Inside other values it is left out, in lists it is `null`.
    Symbol,
    /// A function; of its text nothing is sent.
    Function,
    /// A regular expression in its source form, `/…/flags`.
    RegExp(Box<str>),
    /// A list.
    Array {
        /// Its first elements.
        items: Vec<Self>,
        /// Its original length.
        length: u64,
    },
    /// An array of numbers of one type, or a view of a buffer.
    TypedArray {
        /// The class, as `Uint8Array`. `None` where the wire does not say it: inside other values if nothing is cut.
        class: Option<Box<str>>,
        /// Its first elements.
        items: Vec<Self>,
        /// Its original length; `None` for a `DataView`, which has none.
        length: Option<u64>,
    },
    /// A buffer of bytes.
    Buffer {
        /// Its first bytes.
        bytes: Vec<u8>,
        /// Its original length.
        length: u64,
    },
    /// A set (2.0 and later).
    Set {
        /// Its first elements.
        items: Vec<Self>,
        /// Its original size.
        length: u64,
    },
    /// A map (2.0 and later).
    Map {
        /// Its first entries; keys of other types have become strings.
        entries: Vec<(String, Self)>,
        /// Its original size.
        length: u64,
    },
    /// A plain object with its members in their order. Never cut. If a name comes twice, both are here.
    Object(Vec<(String, Self)>),
    /// An error.
    Error(Box<DebugError>),
    /// A part of the runtime that is not shown: members called `_req` and `_res`.
    Internal,
    /// An object that contains itself, by the path to it from the top: `.a`, or empty for the top itself. Only inside
    /// other values.
    Circular(Box<str>),
    /// An object of another class, by its string form. Inside other values such objects are plain objects or strings.
    Class {
        /// The class, as `Date`.
        name: Box<str>,
        /// The string form, as `[object Promise]`.
        text: String,
    },
    /// Any JSON, as it is. Reading makes one of what nests deeper than 100 levels; writing does not cut it.
    Raw(Json),
}

/// An error as a debug message carries it. What the error does not have, or the runtime is too old to send, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "users write it as a literal; a new member is a breaking change"
)]
pub struct DebugError {
    /// The class, if it was said in the place of `error`: of an object that is no error but is called one, in 0.18 of
    /// every error.
    pub class: Option<Box<str>>,
    /// The name, as `TypeError`.
    pub name: Option<String>,
    /// What went wrong.
    pub message: Option<String>,
    /// The code, mostly a string or a number (4.1 and later).
    pub code: Option<DebugValue>,
    /// The text of the error behind this one (4.1 and later).
    pub cause: Option<String>,
    /// The places in the program, one a line; the first line repeats name and message (4.1 and later).
    pub stack: Option<String>,
}

impl DebugValue {
    /// Makes a list that is whole.
    #[must_use]
    pub fn array(items: Vec<Self>) -> Self {
        Self::Array { length: count(items.len()), items }
    }

    /// Makes a buffer that is whole.
    #[must_use]
    pub fn buffer(bytes: Vec<u8>) -> Self {
        Self::Buffer { length: count(bytes.len()), bytes }
    }

    /// Makes a set that is whole.
    #[must_use]
    pub fn set(items: Vec<Self>) -> Self {
        Self::Set { length: count(items.len()), items }
    }

    /// Makes a map that is whole.
    #[must_use]
    pub fn map(entries: Vec<(String, Self)>) -> Self {
        Self::Map { length: count(entries.len()), entries }
    }

    /// Reads JSON as it stands inside the text of a message: with its wrappers.
    #[must_use]
    pub fn from_json(json: JsonRef<'_>) -> Self {
        reader::read(json)
    }

    /// Returns the original length of a value that has one.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::String { text, length } => Some(units(text).max(*length)),
            Self::Array { items, length } | Self::Set { items, length } => {
                Some(count(items.len()).max(*length))
            }
            Self::TypedArray { items, length, .. } => length.map(|length| length.max(count(items.len()))),
            Self::Buffer { bytes, length } => Some(count(bytes.len()).max(*length)),
            Self::Map { entries, length } => Some(count(entries.len()).max(*length)),
            Self::Object(members) => Some(count(members.len())),
            _ => None,
        }
    }

    /// Whether only the beginning of the value is here. Says nothing about the values inside it.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.length().is_some_and(|length| length > self.present())
    }

    /// How much of it is here.
    pub(super) fn present(&self) -> u64 {
        match self {
            Self::String { text, .. } => units(text),
            Self::Array { items, .. } | Self::Set { items, .. } | Self::TypedArray { items, .. } => {
                count(items.len())
            }
            Self::Buffer { bytes, .. } => count(bytes.len()),
            Self::Map { entries, .. } => count(entries.len()),
            Self::Object(members) => count(members.len()),
            _ => 0,
        }
    }
}

impl From<&str> for DebugValue {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for DebugValue {
    fn from(text: String) -> Self {
        Self::String { length: units(&text), text }
    }
}

impl From<bool> for DebugValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for DebugValue {
    fn from(value: f64) -> Self {
        Self::Number(value.into())
    }
}

impl From<DebugNumber> for DebugValue {
    fn from(number: DebugNumber) -> Self {
        Self::Number(number)
    }
}

impl From<DebugError> for DebugValue {
    fn from(error: DebugError) -> Self {
        Self::Error(Box::new(error))
    }
}

/// Counts UTF-16 units.
pub(super) fn units(text: &str) -> u64 {
    if text.is_ascii() { count(text.len()) } else { count(text.encode_utf16().count()) }
}

pub(super) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
