//! From `format` and `msg` to a value.

use super::number::DebugNumber;
use super::reader;
use super::value::{DebugError, DebugValue, units};
use super::wrapper;
use crate::wire::{JsonKind, JsonRef};

impl DebugValue {
    /// Reads the parts `format` and `msg` of a debug message. Never fails: what is not as its format says is its text,
    /// and what is no string, as other runtimes send it, is read as the JSON that it is.
    #[must_use]
    pub fn decode(format: Option<&str>, msg: Option<JsonRef<'_>>) -> Self {
        let format = Format::of(format);
        match (format.name, msg) {
            ("null", _) => Self::Null,
            ("undefined", _) => Self::Undefined,
            (_, None) => absent(format),
            (_, Some(json)) if json.kind() == JsonKind::String => match reader::text_of(json) {
                Some(text) => of_text(format, &text),
                None => Self::Raw(json.to_json()),
            },
            (_, Some(json)) => reader::read(json),
        }
    }
}

/// A format and its parts: `name[length]`, or just a name.
#[derive(Clone, Copy)]
struct Format<'a> {
    whole: &'a str,
    name: &'a str,
    /// Outer: whether there are brackets. Inner: whether there is a number in them.
    length: Option<Option<u64>>,
}

impl<'a> Format<'a> {
    /// No format at all is that of a string.
    fn of(format: Option<&'a str>) -> Self {
        let whole = format.unwrap_or("string");
        match whole.strip_suffix(']').and_then(|inner| inner.split_once('[')) {
            Some((name, length)) => Self { whole, name, length: Some(length.parse().ok()) },
            None => Self { whole, name: whole, length: None },
        }
    }

    fn number(self) -> Option<u64> {
        self.length.flatten()
    }
}

/// Values that JSON leaves out of the message.
fn absent(format: Format<'_>) -> DebugValue {
    match (format.name, format.length) {
        ("string", Some(None)) => DebugValue::Symbol,
        ("string", Some(Some(_))) | ("function", _) => DebugValue::Function,
        _ => DebugValue::Undefined,
    }
}

fn of_text(format: Format<'_>, text: &str) -> DebugValue {
    match format.name {
        "string" => string(format.number(), text),
        "number" => DebugNumber::parse(text).map_or_else(|| text.into(), DebugValue::Number),
        "boolean" | "Object" | "map" => reader::read_text(text).unwrap_or_else(|| text.into()),
        "array" | "set" => list(format, text),
        "buffer" => buffer(format.number(), text).unwrap_or_else(|| text.into()),
        "function" => DebugValue::Function,
        "bigint" => DebugValue::BigInt(text.into()),
        "regexp" => DebugValue::RegExp(text.into()),
        "RegExp" if text.starts_with('/') => DebugValue::RegExp(text.into()),
        "error" => error(text),
        name if name.to_ascii_lowercase().contains("error") => named_error(format, text),
        _ if format.length.is_some() => typed_array(format, text),
        _ => class(format, text),
    }
}

fn string(length: Option<u64>, text: &str) -> DebugValue {
    let present = units(text);
    let length = length.unwrap_or(present);
    let cut = text.strip_suffix("...").filter(|_| length != present && length > present - 3);
    match cut {
        Some(cut) => DebugValue::String { text: cut.to_owned(), length },
        None => DebugValue::String { text: text.to_owned(), length: length.max(present) },
    }
}

/// The original length is also in the format.
fn list(format: Format<'_>, text: &str) -> DebugValue {
    let said = format.number().unwrap_or(0);
    match reader::read_text(text) {
        Some(DebugValue::Array { items, length }) => DebugValue::Array { items, length: length.max(said) },
        Some(DebugValue::Set { items, length }) => DebugValue::Set { items, length: length.max(said) },
        Some(DebugValue::TypedArray { class: None, items, length: Some(length) }) => {
            DebugValue::Array { items, length: length.max(said) }
        }
        Some(value) => value,
        None => text.into(),
    }
}

fn buffer(length: Option<u64>, text: &str) -> Option<DebugValue> {
    let digits = text.bytes().map(|digit| char::from(digit).to_digit(16)).collect::<Option<Vec<_>>>()?;
    // A limit that is odd leaves half a byte.
    let bytes: Option<Vec<u8>> =
        digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).ok()).collect();
    let DebugValue::Buffer { bytes, length: present } = DebugValue::buffer(bytes?) else { return None };
    Some(DebugValue::Buffer { bytes, length: length.unwrap_or(present).max(present) })
}

/// An error with its wrapper (4.1), or its members alone.
fn error(text: &str) -> DebugValue {
    match reader::read_text(text) {
        Some(DebugValue::Object(members)) => {
            wrapper::error_of(None, members).map_or_else(DebugValue::Object, DebugValue::from)
        }
        Some(value) => value,
        None => DebugError { message: Some(text.to_owned()), ..DebugError::default() }.into(),
    }
}

/// What is called an error and perhaps is one; what has other members is kept as its text.
fn named_error(format: Format<'_>, text: &str) -> DebugValue {
    let Some(DebugValue::Object(members)) = reader::read_text(text) else { return class(format, text) };
    wrapper::error_of(Some(format.whole), members).map_or_else(|_| class(format, text), DebugValue::from)
}

fn typed_array(format: Format<'_>, text: &str) -> DebugValue {
    let class_name = Some(format.name.into());
    match reader::read_text(text) {
        Some(DebugValue::TypedArray { items, length, .. }) => {
            DebugValue::TypedArray { class: class_name, items, length: length.max(format.number()) }
        }
        Some(DebugValue::Array { items, length }) => {
            DebugValue::TypedArray { class: class_name, items, length: Some(length).max(format.number()) }
        }
        _ => class(format, text),
    }
}

fn class(format: Format<'_>, text: &str) -> DebugValue {
    DebugValue::Class { name: format.whole.into(), text: text.to_owned() }
}
