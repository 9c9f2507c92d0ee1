//! From a value to `format` and `msg`, as Node-RED 4.1 writes them.

use super::reader;
use super::value::{DebugError, DebugValue, count, units};
use crate::wire::Json;
use std::borrow::Cow;
use std::fmt::Write as _;

/// How much of a value is sent unless the settings say otherwise: Node-RED's `debugMaxLength`.
pub const DEBUG_MAX_LENGTH: usize = 1000;

/// How deep a value may nest to be written.
const DEPTH_LIMIT: usize = 500;

impl DebugValue {
    /// Writes the parts `format` and `msg` of a debug message; a symbol has no `msg`.
    ///
    /// Strings are cut to `max_length` UTF-16 units, lists, sets, maps and typed arrays to as many elements, buffers
    /// to as many hexadecimal digits (inside other values: bytes). What was cut before stays marked as cut.
    /// A value that nests deeper than 500 levels becomes an error value that says so.
    #[must_use]
    pub fn encode(&self, max_length: usize) -> (String, Option<Json>) {
        if let Self::Raw(json) = self {
            return match reader::read(json.as_ref()) {
                Self::Raw(json) => ("Object".to_owned(), Some(json.text().into())),
                value => value.encode(max_length),
            };
        }
        self.encode_top(max_length).unwrap_or_else(|TooDeep| {
            let error = DebugError {
                name: Some("RangeError".to_owned()),
                message: Some("encodeObject Error: the value nests too deep".to_owned()),
                ..DebugError::default()
            };
            ("error".to_owned(), write(usize::MAX, |to| to.error(&error, 0)).ok())
        })
    }

    fn encode_top(&self, limit: usize) -> Encoded {
        let length = self.length().map_or_else(|| "undefined".to_owned(), |length| length.to_string());
        match self {
            Self::Undefined => plain("undefined", "(undefined)"),
            Self::Null => plain("null", "(undefined)"),
            Self::Bool(value) => plain("boolean", if *value { "true" } else { "false" }),
            Self::Number(number) => plain("number", &number.text()),
            Self::Symbol => Ok(("string[undefined]".to_owned(), None)),
            Self::Function => plain("function", "[function]"),
            Self::RegExp(source) => plain("regexp", source),
            Self::Class { name, text } => plain(name, text),
            Self::String { text, .. } => {
                plain(&format!("string[{length}]"), &cut_text(text, self.is_truncated(), limit))
            }
            Self::Circular(path) => Self::from(circular(path)).encode_top(limit),
            Self::Buffer { bytes, .. } => plain(&format!("buffer[{length}]"), &hex(bytes, limit)),
            Self::BigInt(digits) => {
                let wrapper = text_of(usize::MAX, |to| to.wrap_text("bigint", digits))?;
                Ok(("bigint".to_owned(), Json::parse(&wrapper).ok()))
            }
            Self::Array { .. } | Self::TypedArray { class: None, .. } => {
                structured(format!("array[{length}]"), limit, self)
            }
            Self::TypedArray { class: Some(class), items, length: Some(_) } if self.sends_part(limit) => {
                let msg = write(limit, |to| to.cut_typed_array(class, items, &length))?;
                Ok((format!("{class}[{length}]"), Some(msg)))
            }
            Self::TypedArray { class: Some(class), .. } => {
                structured(format!("{class}[{length}]"), limit, self)
            }
            Self::Set { .. } => structured(format!("set[{length}]"), limit, self),
            Self::Map { .. } => structured("map".to_owned(), limit, self),
            Self::Object(_) | Self::Internal | Self::Raw(_) => structured("Object".to_owned(), limit, self),
            Self::Error(error) => {
                let format = error.class.as_deref().unwrap_or("error");
                // The texts of an error that is the value itself are not cut.
                Ok((format.to_owned(), Some(write(usize::MAX, |to| to.error(error, 0))?)))
            }
        }
    }

    /// Whether less than its original length is sent.
    fn sends_part(&self, limit: usize) -> bool {
        self.is_truncated() || self.present() > count(limit)
    }
}

type Encoded = Result<(String, Option<Json>), TooDeep>;

/// The value nests deeper than is written.
struct TooDeep;

fn plain(format: &str, msg: &str) -> Encoded {
    Ok((format.to_owned(), Some(msg.into())))
}

fn structured(format: String, limit: usize, value: &DebugValue) -> Encoded {
    Ok((format, Some(write(limit, |to| to.value(value, 0))?)))
}

/// Writes JSON text and puts it into a JSON string.
fn write(limit: usize, fill: impl FnOnce(&mut Writer) -> Result<(), TooDeep>) -> Result<Json, TooDeep> {
    text_of(limit, fill).map(|text| text.as_str().into())
}

fn text_of(limit: usize, fill: impl FnOnce(&mut Writer) -> Result<(), TooDeep>) -> Result<String, TooDeep> {
    let mut writer = Writer { out: String::new(), limit };
    fill(&mut writer)?;
    Ok(writer.out)
}

/// JSON text in the making.
struct Writer {
    out: String,
    limit: usize,
}

impl Writer {
    fn value(&mut self, value: &DebugValue, depth: usize) -> Result<(), TooDeep> {
        if depth > DEPTH_LIMIT {
            return Err(TooDeep);
        }
        match value {
            DebugValue::Undefined => self.wrap("undefined"),
            DebugValue::Function => self.wrap("function"),
            DebugValue::Internal => self.wrap("internal"),
            // What a list has in the place of a symbol.
            DebugValue::Null | DebugValue::Symbol => self.put("null"),
            DebugValue::Bool(value) => self.put(if *value { "true" } else { "false" }),
            DebugValue::Number(number) if number.is_json() => self.put(&number.text()),
            // Never cut, or it could not be read.
            DebugValue::Number(number) => {
                self.put_all(["{\"__enc__\":true,\"type\":\"number\",\"data\":\"", &number.text(), "\"}"])
            }
            DebugValue::BigInt(digits) => self.wrap_text("bigint", digits),
            DebugValue::RegExp(source) => self.wrap_text("regexp", source),
            DebugValue::String { text, .. } => self.text(text, value.is_truncated()),
            DebugValue::Class { text, .. } => self.text(text, false),
            DebugValue::Circular(path) => self.text(&circular(path), false),
            DebugValue::Array { items, .. } => self.array(value, items, depth),
            DebugValue::TypedArray { class, items, .. } => {
                self.typed_array(value, class.as_deref(), items, depth)
            }
            DebugValue::Set { items, .. } => self.set(value, items, depth),
            DebugValue::Map { entries, .. } => self.map(value, entries, depth),
            DebugValue::Buffer { bytes, .. } => self.buffer(value, bytes),
            DebugValue::Object(members) => self.members(members, depth),
            DebugValue::Error(error) => self.error(error, depth),
            DebugValue::Raw(json) => self.put(json.text()),
        }
    }

    fn array(&mut self, value: &DebugValue, items: &[DebugValue], depth: usize) -> Result<(), TooDeep> {
        if value.sends_part(self.limit) {
            self.wrap_items("array", items, &length_text(value), depth)
        } else {
            self.items(items, depth)
        }
    }

    fn typed_array(
        &mut self,
        value: &DebugValue,
        class: Option<&str>,
        items: &[DebugValue],
        depth: usize,
    ) -> Result<(), TooDeep> {
        let class = class.filter(|_| value.length().is_some() && value.sends_part(self.limit));
        let kind = class.map_or("array".into(), |class| cut_text(class, false, self.limit));
        self.wrap_items(&kind, items, &length_text(value), depth)
    }

    /// A typed array that is the value itself and too long holds a shorter one.
    fn cut_typed_array(&mut self, class: &str, items: &[DebugValue], length: &str) -> Result<(), TooDeep> {
        self.put("{\"__enc__\":true,\"type\":")?;
        self.text(class, false)?;
        self.put(",\"data\":")?;
        let items = first(items, self.limit);
        self.wrap_items("array", items, &items.len().to_string(), 1)?;
        self.put_all([",\"length\":", length, "}"])
    }

    fn set(&mut self, value: &DebugValue, items: &[DebugValue], depth: usize) -> Result<(), TooDeep> {
        self.wrap_items("set", items, &length_text(value), depth)
    }

    fn map(
        &mut self,
        value: &DebugValue,
        entries: &[(String, DebugValue)],
        depth: usize,
    ) -> Result<(), TooDeep> {
        self.put("{\"__enc__\":true,\"type\":\"map\",\"data\":")?;
        self.members(first(entries, self.limit), depth)?;
        self.put_all([",\"length\":", &length_text(value), "}"])
    }

    fn buffer(&mut self, value: &DebugValue, bytes: &[u8]) -> Result<(), TooDeep> {
        self.put("{\"type\":\"Buffer\",\"data\":[")?;
        for (at, byte) in first(bytes, self.limit).iter().enumerate() {
            let _ = write!(self.out, "{}{byte}", if at == 0 { "" } else { "," });
        }
        self.put_all(["],\"__enc__\":true,\"length\":", &length_text(value), "}"])
    }

    fn error(&mut self, error: &DebugError, depth: usize) -> Result<(), TooDeep> {
        let is_wrapped = error.class.is_none();
        self.put(if is_wrapped { "{\"__enc__\":true,\"type\":\"error\",\"data\":{" } else { "{" })?;
        let start = self.out.len();
        self.error_text(start, "name", error.name.as_deref())?;
        self.error_text(start, "message", error.message.as_deref())?;
        if let Some(code) = error.code.as_ref().filter(|code| **code != DebugValue::Symbol) {
            self.name(start, "code")?;
            self.value(code, depth + 1)?;
        }
        self.error_text(start, "cause", error.cause.as_deref())?;
        self.error_text(start, "stack", error.stack.as_deref())?;
        self.put(if is_wrapped { "}}" } else { "}" })
    }

    fn error_text(&mut self, start: usize, name: &str, text: Option<&str>) -> Result<(), TooDeep> {
        let Some(text) = text else { return Ok(()) };
        self.name(start, name)?;
        self.text(text, false)
    }

    /// A wrapper of nothing but its kind.
    fn wrap(&mut self, kind: &str) -> Result<(), TooDeep> {
        self.put_all(["{\"__enc__\":true,\"type\":\"", kind, "\"}"])
    }

    fn wrap_text(&mut self, kind: &str, text: &str) -> Result<(), TooDeep> {
        self.put_all(["{\"__enc__\":true,\"type\":\"", kind, "\",\"data\":"])?;
        self.text(text, false)?;
        self.put("}")
    }

    fn wrap_items(
        &mut self,
        kind: &str,
        items: &[DebugValue],
        length: &str,
        depth: usize,
    ) -> Result<(), TooDeep> {
        self.put("{\"__enc__\":true,\"type\":")?;
        self.string(kind);
        self.put(",\"data\":")?;
        self.items(first(items, self.limit), depth)?;
        self.put_all([",\"length\":", length, "}"])
    }

    fn items(&mut self, items: &[DebugValue], depth: usize) -> Result<(), TooDeep> {
        self.out.push('[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            self.value(item, depth + 1)?;
        }
        self.put("]")
    }

    /// Members whose value is a symbol are left out; of parts of the runtime only the names are shown.
    fn members(&mut self, members: &[(String, DebugValue)], depth: usize) -> Result<(), TooDeep> {
        self.out.push('{');
        let start = self.out.len();
        for (name, value) in members.iter().filter(|member| member.1 != DebugValue::Symbol) {
            self.name(start, name)?;
            match name.as_str() {
                "_req" | "_res" => self.wrap("internal")?,
                _ => self.value(value, depth + 1)?,
            }
        }
        self.put("}")
    }

    /// The name of a member of the object that opened before `start`.
    fn name(&mut self, start: usize, name: &str) -> Result<(), TooDeep> {
        if self.out.len() > start {
            self.out.push(',');
        }
        self.string(name);
        self.put(":")
    }

    /// A string, cut if it is long.
    fn text(&mut self, text: &str, is_cut: bool) -> Result<(), TooDeep> {
        let text = cut_text(text, is_cut, self.limit);
        self.string(&text);
        Ok(())
    }

    fn string(&mut self, text: &str) {
        self.out.push_str(Json::from(text).text());
    }

    fn put(&mut self, text: &str) -> Result<(), TooDeep> {
        self.out.push_str(text);
        Ok(())
    }

    fn put_all<const N: usize>(&mut self, texts: [&str; N]) -> Result<(), TooDeep> {
        texts.into_iter().try_for_each(|text| self.put(text))
    }
}

/// The length in a wrapper; a `DataView` has none.
fn length_text(value: &DebugValue) -> String {
    match value.length() {
        Some(length) => length.to_string(),
        None => "{\"__enc__\":true,\"type\":\"undefined\"}".to_owned(),
    }
}

fn circular(path: &str) -> String {
    format!("[Circular ~{path}]")
}

/// The first `limit` UTF-16 units and three dots, or the text if it is no longer than that and was not cut before.
/// In the place of half a pair of surrogates is U+FFFD.
fn cut_text(text: &str, is_cut: bool, limit: usize) -> Cow<'_, str> {
    if text.len() > limit && units(text) > count(limit) {
        let mut left = limit;
        let fits = |c: &char| left.checked_sub(c.len_utf16()).map(|rest| left = rest).is_some();
        let end: usize = text.chars().take_while(fits).map(char::len_utf8).sum();
        let half = if left > 0 { "\u{FFFD}" } else { "" };
        return format!("{}{half}...", &text[..end]).into();
    }
    if is_cut { format!("{text}...").into() } else { text.into() }
}

fn hex(bytes: &[u8], limit: usize) -> String {
    let mut digits = String::with_capacity(limit.min(bytes.len() * 2) + 1);
    for byte in first(bytes, limit.div_ceil(2)) {
        let _ = write!(digits, "{byte:02x}");
    }
    digits.truncate(limit);
    digits
}

fn first<T>(all: &[T], limit: usize) -> &[T] {
    all.get(..limit).unwrap_or(all)
}
