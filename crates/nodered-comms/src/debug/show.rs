//! Values for people to read.

use super::value::{DebugError, DebugValue, count};
use std::fmt::{self, Formatter, Write as _};

/// How deep values are shown.
const DEPTH_LIMIT: usize = 500;

/// How wide a list or an object without others inside may be to stay on one line.
const WIDTH: usize = 80;

/// Shows the value much as a JavaScript console does: `{value}` on one line, `{value:#}` on as many as help. What is
/// cut says so: `"abc"… (3 of 1001 characters)`, `[0, 1, … 999 more]`. Control characters are escaped.
impl fmt::Display for DebugValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_tall = f.alternate();
        Printer { f, is_tall }.value(self, 0)
    }
}

struct Printer<'f, 'a> {
    f: &'f mut Formatter<'a>,
    is_tall: bool,
}

impl Printer<'_, '_> {
    fn value(&mut self, value: &DebugValue, depth: usize) -> fmt::Result {
        match value {
            DebugValue::Undefined => self.f.write_str("undefined"),
            DebugValue::Null => self.f.write_str("null"),
            DebugValue::Bool(value) => write!(self.f, "{value}"),
            DebugValue::Number(number) => write!(self.f, "{number}"),
            DebugValue::BigInt(digits) => write!(self.f, "{}n", Plain(digits)),
            DebugValue::String { text, .. } => self.string(value, text),
            DebugValue::Symbol => self.f.write_str("[symbol]"),
            DebugValue::Function => self.f.write_str("[function]"),
            DebugValue::RegExp(source) => write!(self.f, "{}", Plain(source)),
            DebugValue::Buffer { bytes, .. } => self.buffer(value, bytes),
            DebugValue::Error(error) => self.error(error, depth),
            DebugValue::Internal => self.f.write_str("[internal]"),
            DebugValue::Circular(path) => write!(self.f, "[Circular ~{}]", Plain(path)),
            DebugValue::Class { name, text } => write!(self.f, "{} {}", Plain(name), Plain(text)),
            DebugValue::Raw(json) => write!(self.f, "{}", Plain(json.text())),
            _ if depth > DEPTH_LIMIT => self.f.write_str("…"),
            _ => self.container(value, depth),
        }
    }

    fn string(&mut self, value: &DebugValue, text: &str) -> fmt::Result {
        write!(self.f, "{text:?}")?;
        match value.length() {
            Some(length) if value.is_truncated() => {
                write!(self.f, "… ({} of {length} characters)", value.present())
            }
            _ => Ok(()),
        }
    }

    fn buffer(&mut self, value: &DebugValue, bytes: &[u8]) -> fmt::Result {
        self.f.write_str("<Buffer")?;
        for byte in bytes {
            write!(self.f, " {byte:02x}")?;
        }
        match missing(value) {
            0 => self.f.write_str(">"),
            more => write!(self.f, " … {more} more>"),
        }
    }

    fn error(&mut self, error: &DebugError, depth: usize) -> fmt::Result {
        let name = error.name.as_deref().filter(|name| !name.is_empty());
        let head = match (name.or(error.class.as_deref()).unwrap_or("Error"), error.message.as_deref()) {
            (name, None | Some("")) => name.to_owned(),
            (name, Some(message)) => format!("{name}: {message}"),
        };
        write!(self.f, "{}", Plain(&head))?;
        if let Some(code) = &error.code {
            self.f.write_str(" (code ")?;
            self.value(code, depth + 1)?;
            self.f.write_str(")")?;
        }
        if let Some(cause) = &error.cause {
            write!(self.f, " (cause: {})", Plain(cause))?;
        }
        let stack = error.stack.as_deref().filter(|_| self.is_tall).unwrap_or_default();
        for line in stack.strip_prefix(&head).unwrap_or(stack).lines().filter(|line| !line.is_empty()) {
            self.new_line(depth + 1)?;
            write!(self.f, "{}", Plain(line.trim_start()))?;
        }
        Ok(())
    }

    fn container(&mut self, value: &DebugValue, depth: usize) -> fmt::Result {
        if self.is_tall && is_flat(value) {
            let line = format!("{value}");
            if line.chars().count() <= WIDTH {
                return self.f.write_str(&line);
            }
        }
        self.head(value)?;
        match value {
            DebugValue::Array { items, .. } | DebugValue::TypedArray { items, .. } => {
                self.entries(['[', ']'], items, missing(value), depth, |to, item| to.value(item, depth + 1))
            }
            DebugValue::Set { items, .. } => {
                self.entries(['{', '}'], items, missing(value), depth, |to, item| to.value(item, depth + 1))
            }
            DebugValue::Map { entries, .. } => {
                self.entries(['{', '}'], entries, missing(value), depth, |to, (name, item)| {
                    write!(to.f, "{name:?} => ")?;
                    to.value(item, depth + 1)
                })
            }
            DebugValue::Object(members) => self.entries(['{', '}'], members, 0, depth, |to, (name, item)| {
                write!(to.f, "{}: ", Name(name))?;
                to.value(item, depth + 1)
            }),
            _ => Ok(()),
        }
    }

    /// The class of a container, unless its brackets say it.
    fn head(&mut self, value: &DebugValue) -> fmt::Result {
        let class = match value {
            DebugValue::Set { .. } => "Set",
            DebugValue::Map { .. } => "Map",
            DebugValue::TypedArray { class, .. } => class.as_deref().unwrap_or("TypedArray"),
            _ => return Ok(()),
        };
        match value.length() {
            Some(length) => write!(self.f, "{}({length}) ", Plain(class)),
            None => write!(self.f, "{} ", Plain(class)),
        }
    }

    fn entries<T>(
        &mut self,
        [open, close]: [char; 2],
        entries: &[T],
        more: u64,
        depth: usize,
        mut show: impl FnMut(&mut Self, &T) -> fmt::Result,
    ) -> fmt::Result {
        self.f.write_char(open)?;
        for (at, entry) in entries.iter().enumerate() {
            self.separate(at == 0, depth)?;
            show(self, entry)?;
        }
        if more > 0 {
            self.separate(entries.is_empty(), depth)?;
            write!(self.f, "… {more} more")?;
        }
        if self.is_tall && (more > 0 || !entries.is_empty()) {
            self.new_line(depth)?;
        }
        self.f.write_char(close)
    }

    fn separate(&mut self, is_first: bool, depth: usize) -> fmt::Result {
        if !is_first {
            self.f.write_str(if self.is_tall { "," } else { ", " })?;
        }
        if self.is_tall { self.new_line(depth + 1) } else { Ok(()) }
    }

    fn new_line(&mut self, depth: usize) -> fmt::Result {
        write!(self.f, "\n{:indent$}", "", indent = depth * 2)
    }
}

fn missing(value: &DebugValue) -> u64 {
    value.length().map_or(0, |length| length - value.present())
}

/// Whether nothing in it holds other values.
fn is_flat(value: &DebugValue) -> bool {
    let is_scalar = |value: &DebugValue| match value {
        DebugValue::Error(_) | DebugValue::Raw(_) => false,
        DebugValue::Buffer { bytes, .. } => bytes.len() <= WIDTH,
        DebugValue::String { text, .. } => text.len() <= WIDTH,
        other => other.length().is_none() && !matches!(other, DebugValue::TypedArray { .. }),
    };
    match value {
        // No entry takes less than two characters.
        _ if value.present() > count(WIDTH) => false,
        DebugValue::Array { items, .. }
        | DebugValue::TypedArray { items, .. }
        | DebugValue::Set { items, .. } => items.iter().all(is_scalar),
        DebugValue::Map { entries, .. } | DebugValue::Object(entries) => {
            entries.iter().all(|entry| is_scalar(&entry.1))
        }
        _ => false,
    }
}

/// The name of a member: bare if it is a usual one.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_usual = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        if !self.0.is_empty() && self.0.chars().all(is_usual) {
            f.write_str(self.0)
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

/// Text without quotes; control characters and the like are escaped.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' | '\'' | '\\' => f.write_char(c)?,
                _ => write!(f, "{}", c.escape_debug())?,
            }
        }
        Ok(())
    }
}
