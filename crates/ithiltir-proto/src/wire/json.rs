//! Writing and reading JSON as the original programs do.

use serde::de::DeserializeOwned;
use serde::ser::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io;

/// Why bytes are not the message they should be.
///
/// Holds no content of the message, since that may be anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are not UTF-8.
    #[error("invalid UTF-8 at byte {offset}")]
    Utf8 {
        /// How many bytes are valid.
        offset: usize,
    },
    /// The text is not JSON: at this line and column something else was expected.
    #[error("invalid JSON at line {line} column {column}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
    },
    /// The JSON text ends too early.
    #[error("the JSON text ends too early")]
    Incomplete,
    /// A member has a wrong type or an impossible value.
    #[error("wrong value for {path} at line {line} column {column}: {problem}")]
    Value {
        /// The member, as in `metrics.disk.physical[0].name`; `.` is the whole message.
        path: Box<str>,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
        /// What was expected.
        problem: Problem,
    },
}

/// What is wrong with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A member that stands twice.
    #[error("it stands twice")]
    Repeated,
    /// A number too large for its type.
    #[error("the number is out of range")]
    OutOfRange,
    /// Any other: a wrong type, a fraction for an integer, an unreadable time.
    #[error("a value of another form was expected")]
    WrongForm,
}

/// Reads one message; white space around it is allowed, anything else after it is not.
///
/// # Errors
/// See [`DecodeError`]. The work is linear in the length of `bytes`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    // A check of the whole text followed by `from_str` is faster than the check string by string of `from_slice`.
    let text =
        std::str::from_utf8(bytes).map_err(|error| DecodeError::Utf8 { offset: error.valid_up_to() })?;
    // The derived code would take an array of the members' values.
    if let Some(end) = text.find(|c: char| !c.is_ascii_whitespace()).filter(|&at| text[at..].starts_with('['))
    {
        let line = 1 + text[..end].matches('\n').count();
        let column = 1 + end - text[..end].rfind('\n').map_or(0, |at| at + 1);
        return Err(DecodeError::Value { path: ".".into(), line, column, problem: Problem::WrongForm });
    }
    serde_json::from_str(text).map_err(|error| explain::<T>(text, &error))
}

/// Reads the text again, this time keeping track of the path: only messages that fail pay for it.
#[cold]
pub(crate) fn explain<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> DecodeError {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        return DecodeError::Incomplete;
    }
    let message = error.to_string();
    let problem = if message.starts_with("number out of range") {
        Problem::OutOfRange
    } else if message.starts_with("duplicate field") {
        Problem::Repeated
    } else if error.is_data() {
        Problem::WrongForm
    } else {
        return DecodeError::Syntax { line, column };
    };
    let path = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(text))
        .map_or_else(|error| error.path().to_string(), |_| ".".to_owned());
    DecodeError::Value { path: path.into(), line, column, problem }
}

/// Writes a message.
#[must_use]
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let mut buffer = Vec::new();
    encode_into(message, &mut buffer);
    buffer
}

/// Writes a message behind what the buffer holds.
pub fn encode_into<T: Serialize>(message: &T, buffer: &mut Vec<u8>) {
    message
        .serialize(&mut Serializer::with_formatter(buffer, Original::default()))
        .expect("messages have string keys and a Vec takes every write");
}

/// Whether an optional or omit-when-zero member is left out.
pub(crate) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether an optional float is left out: it is unknown, or JSON cannot say it.
pub(crate) fn is_unknown(value: &Option<f64>) -> bool {
    !value.is_some_and(f64::is_finite)
}

/// The spelling of numbers and strings that the original's encoder uses.
#[derive(Default)]
struct Original {
    /// Member names are ours and need no escapes.
    in_name: bool,
}

impl Formatter for Original {
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.in_name = true;
        if first { Ok(()) } else { writer.write_all(b",") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.in_name = false;
        writer.write_all(b":")
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        /// Below, every whole number is a float and fits an integer.
        const WHOLE: f64 = 9_007_199_254_740_992.0;
        let magnitude = value.abs();
        if magnitude < WHOLE && value.trunc() == value && (value != 0.0 || value.is_sign_positive()) {
            writer.write_all(itoa::Buffer::new().format(value as i64).as_bytes())
        } else if (1e-5..1e15).contains(&magnitude) {
            writer.write_all(zmij::Buffer::new().format_finite(value).as_bytes())
        } else if magnitude >= 1e21 {
            writer.write_all(format!("{value:e}").replace('e', "e+").as_bytes())
        } else if magnitude < 1e-6 && magnitude != 0.0 {
            write!(writer, "{value:e}")
        } else {
            write!(writer, "{value}")
        }
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // U+2028 and U+2029 are E2 80 A8 and E2 80 A9. Without an early end the loop needs no branches.
        let is_odd = |byte| matches!(byte, b'<' | b'>' | b'&' | 0xe2);
        if self.in_name || !fragment.bytes().fold(false, |odd, byte| odd | is_odd(byte)) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some((at, found)) =
            rest.char_indices().find(|(_, c)| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'))
        {
            writer.write_all(&rest.as_bytes()[..at])?;
            write!(writer, "\\u{:04x}", u32::from(found))?;
            rest = &rest[at + found.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_spelled_as_the_original_spells_them() {
        for (value, text) in [
            (90.0, "90"),
            (0.0, "0"),
            (-0.0, "-0"),
            (-1.0, "-1"),
            (0.009950248756208774, "0.009950248756208774"),
            (1e-5, "0.00001"),
            (1.5e-6, "0.0000015"),
            (1e-7, "1e-7"),
            (1.25e-9, "1.25e-9"),
            (1e15, "1000000000000000"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (123_456_789_012_345.6, "123456789012345.6"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
        ] {
            assert_eq!(String::from_utf8(encode(&value)).unwrap(), text);
        }
    }

    #[test]
    fn strings_are_escaped_as_the_original_escapes_them() {
        let text = "<a href=\"x\">&\u{2028}\u{2029}\u{e9}\u{20ac}\n\\\u{1}</a>";
        let encoded = String::from_utf8(encode(&text)).unwrap();
        assert_eq!(
            encoded,
            "\"\\u003ca href=\\\"x\\\"\\u003e\\u0026\\u2028\\u2029\u{e9}\u{20ac}\\n\\\\\\u0001\\u003c/a\\u003e\""
        );
        assert_eq!(decode::<String>(encoded.as_bytes()).unwrap(), text);
    }

    #[test]
    fn an_array_in_the_place_of_an_object_is_told_where_it_begins() {
        for (text, line, column) in [("[]", 1, 1), ("  [1]", 1, 3), ("\n\r\n [1]", 3, 2)] {
            let error = decode::<crate::wire::NodeReport>(text.as_bytes()).unwrap_err();
            let expected = DecodeError::Value { path: ".".into(), line, column, problem: Problem::WrongForm };
            assert_eq!(error, expected, "{text:?}");
        }
    }
}
