//! JSON as a Go program writes it. §1.

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io;

/// Returns a value as compact JSON, with `<`, `>`, `&`, U+2028 and U+2029 escaped as masters do.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    encode_into(value, &mut bytes);
    bytes
}

/// Writes a value behind what is there already.
pub fn encode_into<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) {
    let mut serializer = Serializer::with_formatter(bytes, GoFormatter);
    value
        .serialize(&mut serializer)
        .expect("objects of this protocol have text for names, and a Vec takes all");
}

struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment.as_bytes();
        while let Some((at, length, escape)) = next_escape(rest) {
            writer.write_all(&rest[..at])?;
            writer.write_all(escape)?;
            rest = &rest[at + length..];
        }
        writer.write_all(rest)
    }
}

/// Finds the first character that is escaped: where, how long, and as what.
fn next_escape(bytes: &[u8]) -> Option<(usize, usize, &'static [u8])> {
    bytes.iter().enumerate().find_map(|(at, byte)| match byte {
        b'<' => Some((at, 1, br"\u003c".as_slice())),
        b'>' => Some((at, 1, br"\u003e")),
        b'&' => Some((at, 1, br"\u0026")),
        0xE2 => match bytes.get(at + 1..at + 3) {
            Some([0x80, 0xA8]) => Some((at, 3, br"\u2028")),
            Some([0x80, 0xA9]) => Some((at, 3, br"\u2029")),
            _ => None,
        },
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_a_go_program_does() {
        let text = "a&b <c> \u{1b}[0m é \u{2028}\u{2029}\u{202a} \"\\\n";
        let expected =
            r#""a\u0026b \u003cc\u003e \u001b[0m é \u2028\u2029"#.to_owned() + "\u{202a} \\\"\\\\\\n\"";
        assert_eq!(String::from_utf8(encode(text)).unwrap(), expected);
    }
}
