//! Writing messages as the original does: ASCII, `", "` and `": "` between tokens.

use super::{JsonRef, Message};
use bytes::Bytes;
use serde::ser::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};
use std::io::{self, Write};

/// Writes a message with its line feed. Longer ones than the [limit](super::LINE_LIMIT) are written too; the peer will
/// refuse them.
#[must_use]
pub fn encode(message: &Message<'_>) -> Bytes {
    let mut line = Vec::with_capacity(capacity(message));
    match message {
        Message::Command { version, params, id, method } => {
            member(&mut line, "{\"version\": ", version.text());
            member(&mut line, ", \"params\": ", params.text());
            member(&mut line, ", \"id\": ", id.text());
            member(&mut line, ", \"method\": ", method.text());
        }
        Message::Result { version, id, result } => {
            member(&mut line, "{\"version\": ", version.text());
            member(&mut line, ", \"id\": ", id.text());
            member(&mut line, ", \"result\": ", result.text());
        }
        Message::Error { version, id, error } => {
            member(&mut line, "{\"version\": ", version.text());
            member(&mut line, ", \"id\": ", id.text());
            member(&mut line, ", \"error\": ", error.text());
        }
        Message::FatalError(text) => member(&mut line, "{\"fatal_error\": ", text.text()),
    }
    line.extend_from_slice(b"}\n");
    line.into()
}

fn capacity(message: &Message<'_>) -> usize {
    let none = JsonRef::of("");
    let parts = match message {
        Message::Command { version, params, id, method } => [*version, *params, *id, *method],
        Message::Result { version, id, result } => [*version, *id, *result, none],
        Message::Error { version, id, error } => [*version, *id, *error, none],
        Message::FatalError(text) => [*text, none, none, none],
    };
    let names = 48;
    names + parts.iter().map(|part| part.text().len()).sum::<usize>()
}

fn member(line: &mut Vec<u8>, name: &str, value: &str) {
    line.extend_from_slice(name.as_bytes());
    push_ascii(line, value).expect("writing to memory does not fail");
}

/// Writes a value the way the original writes values.
pub(super) fn spaced<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    let mut text = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut text, Spaced))?;
    Ok(String::from_utf8(text).expect("it is ASCII"))
}

/// Writes a string in quotes.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: u8| (b' '..0x7F).contains(&byte) & (byte != b'"') & (byte != b'\\');
    // Without a way out in the middle, so that many bytes are looked at at once.
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        text.serialize(&mut Serializer::with_formatter(out, Spaced))
            .expect("writing to memory does not fail");
    }
}

/// Writes a number as the original's interpreter does.
pub(super) fn push_number(out: &mut Vec<u8>, number: f64) {
    Spaced.write_f64(out, number).expect("writing to memory does not fail");
}

/// Copies JSON text. What is not plain ASCII can only stand in strings, where an escape means the same.
pub(super) fn push_ascii<W: Write + ?Sized>(out: &mut W, text: &str) -> io::Result<()> {
    let is_special = |byte: u8| byte >= 0x7F;
    let mut rest = text;
    if !text.bytes().fold(false, |found, byte| found | is_special(byte)) {
        return out.write_all(text.as_bytes());
    }
    while let Some(at) = rest.bytes().position(is_special) {
        out.write_all(&rest.as_bytes()[..at])?;
        let special = rest[at..].chars().next().expect("a byte is there");
        for unit in special.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}")?;
        }
        rest = &rest[at + special.len_utf8()..];
    }
    out.write_all(rest.as_bytes())
}

/// The original's spelling.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        push_ascii(writer, fragment)
    }

    fn write_raw_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        push_ascii(writer, fragment)
    }

    fn write_char_escape<W: Write + ?Sized>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Backspace => writer.write_all(b"\\b"),
            CharEscape::FormFeed => writer.write_all(b"\\f"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04x}"),
        }
    }

    fn write_f64<W: Write + ?Sized>(&mut self, writer: &mut W, number: f64) -> io::Result<()> {
        // Shortest digits with the exponent written below 1e-4 and from 1e16 on, with a sign and two digits.
        let magnitude = number.abs();
        if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
            let text = format!("{number:e}");
            let (digits, exponent) = text.split_once('e').expect("the format writes an exponent");
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            return write!(writer, "{digits}e{sign}{exponent:0>2}");
        }
        write!(writer, "{number:?}")
    }
}
