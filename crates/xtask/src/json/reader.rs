//! Reading.

use super::{Float, Value};
use std::ops::Range;

/// No reader of the protocol follows values deeper than this.
const DEEPEST: usize = 1100;

/// A value, and what of it strict JSON does not have.
pub(crate) struct Reading {
    pub(crate) value: Value,
    /// `NaN`, `Infinity` or `-Infinity` stands somewhere.
    pub(crate) has_literals: bool,
    /// A surrogate is written in UTF-8 instead of as an escape.
    pub(crate) has_surrogates: bool,
}

/// A member of an object, as it stands in the text.
pub(crate) struct Member {
    pub(crate) name: Vec<u16>,
    pub(crate) value: Value,
    /// Where the value stands.
    pub(crate) place: Range<usize>,
}

/// Reads one value, with nothing but white space around it.
pub(crate) fn read(text: &[u8]) -> Option<Reading> {
    let mut reader = Reader::new(text);
    let value = reader.value(0)?;
    reader.end()?;
    Some(Reading { value, has_literals: reader.has_literals, has_surrogates: reader.has_surrogates })
}

/// Reads the members of an object, all that are written.
pub(crate) fn members(text: &[u8]) -> Option<Vec<Member>> {
    let mut reader = Reader::new(text);
    reader.skip_space();
    let members = reader.members(0)?;
    reader.end()?;
    Some(members)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    has_literals: bool,
    has_surrogates: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, has_literals: false, has_surrogates: false }
    }

    fn end(&mut self) -> Option<()> {
        self.skip_space();
        (self.at == self.text.len()).then_some(())
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes a token off the front, if it stands there.
    fn takes(&mut self, token: &str) -> bool {
        let stands = self.rest().starts_with(token.as_bytes());
        self.at += if stands { token.len() } else { 0 };
        stands
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.skip_space();
        match self.peek()? {
            b'{' => {
                let members = self.members(depth)?;
                Some(Value::Object(members.into_iter().map(|member| (member.name, member.value)).collect()))
            }
            b'[' => self.list(depth),
            b'"' => self.string().map(Value::Text),
            _ => self.word().or_else(|| self.number()),
        }
    }

    fn members(&mut self, depth: usize) -> Option<Vec<Member>> {
        let mut members = Vec::new();
        if depth >= DEEPEST || !self.takes("{") {
            return None;
        }
        self.skip_space();
        if self.takes("}") {
            return Some(members);
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            self.skip_space();
            if !self.takes(":") {
                return None;
            }
            self.skip_space();
            let start = self.at;
            let value = self.value(depth + 1)?;
            members.push(Member { name, value, place: start..self.at });
            self.skip_space();
            if self.takes("}") {
                return Some(members);
            }
            if !self.takes(",") {
                return None;
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        if depth >= DEEPEST || !self.takes("[") {
            return None;
        }
        self.skip_space();
        if self.takes("]") {
            return Some(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.takes("]") {
                return Some(Value::List(items));
            }
            if !self.takes(",") {
                return None;
            }
        }
    }

    fn word(&mut self) -> Option<Value> {
        let words = [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];
        let literals = [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)];
        if let Some((_, value)) = words.into_iter().find(|(word, _)| self.takes(word)) {
            return Some(value);
        }
        let (_, number) = literals.into_iter().find(|(word, _)| self.takes(word))?;
        self.has_literals = true;
        Some(Value::Float(Float::new(number)))
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        self.takes("-");
        if !self.takes("0") {
            self.digits()?;
        }
        let whole = self.at;
        if self.takes(".") {
            self.digits()?;
        }
        if self.takes("e") || self.takes("E") {
            _ = self.takes("+") || self.takes("-");
            self.digits()?;
        }
        let text = std::str::from_utf8(&self.text[start..self.at]).ok()?;
        if self.at > whole {
            return text.parse().ok().map(|number| Value::Float(Float::new(number)));
        }
        Some(Value::Integer(if text == "-0" { "0" } else { text }.to_owned()))
    }

    fn digits(&mut self) -> Option<()> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }

    fn string(&mut self) -> Option<Vec<u16>> {
        let mut units = Vec::new();
        if !self.takes("\"") {
            return None;
        }
        loop {
            let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..=0x1F);
            let plain = self.rest().iter().take_while(is_plain).count();
            self.plain(&self.rest()[..plain], &mut units)?;
            self.at += plain;
            if self.takes("\"") {
                return Some(units);
            }
            if !self.takes("\\") {
                return None;
            }
            units.push(self.escape()?);
        }
    }

    fn plain(&mut self, mut bytes: &[u8], units: &mut Vec<u16>) -> Option<()> {
        loop {
            let error = match std::str::from_utf8(bytes) {
                Ok(text) => {
                    units.extend(text.encode_utf16());
                    return Some(());
                }
                Err(error) => error,
            };
            let (text, rest) = bytes.split_at(error.valid_up_to());
            units.extend(std::str::from_utf8(text).ok()?.encode_utf16());
            let &[0xED, middle @ 0xA0..=0xBF, last @ 0x80..=0xBF, ref rest @ ..] = rest else { return None };
            units.push(0xD000 | u16::from(middle & 0x3F) << 6 | u16::from(last & 0x3F));
            self.has_surrogates = true;
            bytes = rest;
        }
    }

    fn escape(&mut self) -> Option<u16> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' | b'/' => u16::from(byte),
            b'b' => 8,
            b'f' => 12,
            b'n' => 10,
            b'r' => 13,
            b't' => 9,
            b'u' => {
                let digits =
                    self.rest().get(..4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
                self.at += 4;
                u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            _ => return None,
        })
    }
}
