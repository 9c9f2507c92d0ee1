//! Reads JSON into debug values: one pass, bounded depth.
//!
//! The text is known to be JSON when it gets here, so what is left is to walk it. serde's own walk does not do: it
//! refuses lone surrogates, which JavaScript sends, loses the text of numbers and refuses those beyond `f64`.

use super::number::DebugNumber;
use super::value::DebugValue;
use super::wrapper;
use crate::wire::{JsonKind, JsonRef};
use serde::de::{Deserialize, Deserializer, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// How deep values nest; below that the JSON is kept as it is.
const DEPTH_LIMIT: usize = 100;

/// Reads a value.
pub(super) fn read(json: JsonRef<'_>) -> DebugValue {
    Reader { rest: json.text() }.value(0).unwrap_or_else(|| DebugValue::Raw(json.to_json()))
}

/// Reads a text, if it is JSON.
pub(super) fn read_text(text: &str) -> Option<DebugValue> {
    serde_json::from_str(text).ok().map(read)
}

/// Returns the text of a JSON string; what is no Unicode becomes U+FFFD.
pub(super) fn text_of(json: JsonRef<'_>) -> Option<Cow<'_, str>> {
    (json.kind() == JsonKind::String).then(|| Reader { rest: json.text() }.text())?
}

/// Returns the members of an object in the order of their first places, each with the last value of its name.
pub(super) fn members_of(object: JsonRef<'_>) -> Option<Vec<(String, JsonRef<'_>)>> {
    let mut reader = Reader { rest: object.text() };
    let mut members: Vec<(String, JsonRef<'_>)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    reader.opens(b'{')?;
    while reader.goes_on(b'}', members.is_empty())? {
        let name = reader.name()?.into_owned();
        let value = reader.take()?;
        match places.get(&name) {
            Some(&place) => members[place].1 = value,
            None => {
                places.insert(name.clone(), members.len());
                members.push((name, value));
            }
        }
    }
    Some(members)
}

/// What is left of a text. Every part is `None` where the text is no JSON.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<DebugValue> {
        match self.peek()? {
            b'{' | b'[' if depth >= DEPTH_LIMIT => {
                self.take().map(|json: JsonRef<'_>| DebugValue::Raw(json.to_json()))
            }
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => self.text().map(wrapper::text_value),
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<DebugValue> {
        let mut members = Vec::new();
        self.opens(b'{')?;
        while self.goes_on(b'}', members.is_empty())? {
            let name = self.name()?.into_owned();
            members.push((name, self.value(depth + 1)?));
        }
        Some(wrapper::object_value(members))
    }

    fn list(&mut self, depth: usize) -> Option<DebugValue> {
        let mut items = Vec::new();
        self.opens(b'[')?;
        while self.goes_on(b']', items.is_empty())? {
            items.push(self.value(depth + 1)?);
        }
        Some(DebugValue::array(items))
    }

    /// A number, or one of the three words.
    fn word(&mut self) -> Option<DebugValue> {
        let end = self.rest.bytes().position(|byte| b",]} \t\r\n".contains(&byte)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "null" => Some(DebugValue::Null),
            "true" => Some(DebugValue::Bool(true)),
            "false" => Some(DebugValue::Bool(false)),
            _ => DebugNumber::of_json(word).map(DebugValue::Number),
        }
    }

    /// The name of a member, and the colon after it.
    fn name(&mut self) -> Option<Cow<'a, str>> {
        let name = self.text()?;
        self.opens(b':')?;
        Some(name)
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        self.take().map(|Text(text)| text)
    }

    fn take<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter();
        let taken = stream.next()?.ok()?;
        self.rest = self.rest.get(stream.byte_offset()..)?;
        Some(taken)
    }

    /// Steps over one sign.
    fn opens(&mut self, sign: u8) -> Option<()> {
        let found = self.peek()? == sign;
        found.then(|| self.rest = &self.rest[1..])
    }

    /// Steps over the comma before the next element, or over the end.
    fn goes_on(&mut self, end: u8, is_first: bool) -> Option<bool> {
        if self.peek()? == end {
            self.rest = &self.rest[1..];
            return Some(false);
        }
        if !is_first {
            self.opens(b',')?;
        }
        Some(true)
    }

    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.rest.bytes().next()
    }
}

/// A JSON string, whatever its surrogates.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
                Ok(Text(String::from_utf8_lossy(bytes)))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(without_surrogates(bytes.to_vec()))))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Puts U+FFFD into the place of surrogates, which serde hands out as three bytes each, like any character there.
fn without_surrogates(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut bytes = error.into_bytes();
        for at in 0..bytes.len().saturating_sub(2) {
            if bytes[at] == 0xED && bytes[at + 1] >= 0xA0 {
                bytes[at..at + 3].copy_from_slice("\u{FFFD}".as_bytes());
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
