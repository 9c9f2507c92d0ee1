//! JSON values that keep their text.

use super::encode::{push_string, spaced};
use serde::de::{Deserialize, Deserializer, IgnoredAny};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// How many arrays and objects may stand in each other, that of the message included.
///
/// The original refuses an array in `params` that nests deeper than 977, which makes 979 with the two objects around
/// it (an object one level earlier; its limit comes from the stack of its interpreter).
pub const NESTING_LIMIT: usize = 979;

/// One JSON value, as its text on one line. `Debug` shows kind and length only: values may hold keys.
///
/// Equal texts are equal values here, nothing else: `1.0` and `1` differ.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Json(Box<str>);

/// A borrowed [`Json`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JsonRef<'a>(&'a str);

/// Why a text is no JSON value, or not the wanted one. Holds none of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Not one JSON value.
    #[error("not one JSON value")]
    Syntax,
    /// With a message around it deeper than [`NESTING_LIMIT`].
    #[error("the JSON value nests too deep")]
    TooDeep,
    /// The value has another form.
    #[error("the JSON value is not of the wanted form")]
    WrongForm,
}

/// The kinds of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "JSON has no more of them")]
pub enum JsonKind {
    /// `null`
    Null,
    /// `true` and `false`
    Bool,
    /// Any number.
    Number,
    /// Any string.
    String,
    /// Any array.
    Array,
    /// Any object.
    Object,
}

impl Json {
    /// Takes a text. Line breaks between tokens become spaces, white space at the ends goes.
    ///
    /// # Errors
    /// [`JsonError::Syntax`], [`JsonError::TooDeep`].
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|_| JsonError::Syntax)?;
        Self::on_one_line(raw.get().into())
    }

    /// Writes a value.
    ///
    /// # Errors
    /// [`JsonError::WrongForm`] if the value cannot be JSON, as a map with keys that are no strings;
    /// [`JsonError::TooDeep`].
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, JsonError> {
        Self::on_one_line(spaced(value).map_err(|_| JsonError::WrongForm)?.into())
    }

    /// The way in for all that is JSON: values have no line feed, and leave one level for the message around them.
    pub(super) fn on_one_line(text: Box<str>) -> Result<Self, JsonError> {
        if nests_deeper(text.as_bytes(), NESTING_LIMIT - 1) {
            return Err(JsonError::TooDeep);
        }
        match memchr::memchr(b'\n', text.as_bytes()) {
            None => Ok(Self(text)),
            // Between tokens, since it cannot stand in a string.
            Some(_) => Ok(Self(text.replace('\n', " ").into())),
        }
    }

    /// Returns `null`.
    #[must_use]
    pub fn null() -> Self {
        Self("null".into())
    }

    /// Borrows it.
    #[must_use]
    pub fn as_ref(&self) -> JsonRef<'_> {
        JsonRef(&self.0)
    }

    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Reads it as a value of a type.
    ///
    /// # Errors
    /// [`JsonError::WrongForm`]; also for values that nest deeper than 127 in parts that `T` looks at.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T, JsonError> {
        self.as_ref().decode()
    }
}

impl<'a> JsonRef<'a> {
    /// Returns the text.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.0
    }

    /// Takes what is known to be JSON on one line.
    pub(crate) const fn of(text: &'a str) -> Self {
        Self(text)
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(self) -> JsonKind {
        match self.text().as_bytes().first() {
            Some(b'{') => JsonKind::Object,
            Some(b'[') => JsonKind::Array,
            Some(b'"') => JsonKind::String,
            Some(b't' | b'f') => JsonKind::Bool,
            Some(b'n') => JsonKind::Null,
            _ => JsonKind::Number,
        }
    }

    /// Whether the original takes it for absent where a value must be there: `null`, `false`, any zero (also a number
    /// so small that it reads as zero), `""`, `[]`, `{}`.
    #[must_use]
    pub fn is_empty(self) -> bool {
        let text = self.text();
        match self.kind() {
            JsonKind::Null => true,
            JsonKind::Bool => text == "false",
            JsonKind::String => text == "\"\"",
            JsonKind::Array | JsonKind::Object => {
                text[1..text.len() - 1].bytes().all(|byte| byte.is_ascii_whitespace())
            }
            JsonKind::Number => text.parse() == Ok(0.0_f64),
        }
    }

    /// Returns the string, if it is one that is proper Unicode.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        let inner = self.text().strip_prefix('"')?.strip_suffix('"')?;
        match memchr::memchr(b'\\', inner.as_bytes()) {
            None => Some(Cow::Borrowed(inner)),
            Some(_) => serde_json::from_str(self.text()).ok().map(Cow::Owned),
        }
    }

    /// Returns the number, if it is one that is finite.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        if self.kind() != JsonKind::Number {
            return None;
        }
        self.text().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Reads it as a value of a type.
    ///
    /// # Errors
    /// [`JsonError::WrongForm`]; also for values that nest deeper than 127 in parts that `T` looks at.
    pub fn decode<T: Deserialize<'a>>(self) -> Result<T, JsonError> {
        serde_json::from_str(self.text()).map_err(|_| JsonError::WrongForm)
    }

    /// Copies it.
    #[must_use]
    pub fn to_json(self) -> Json {
        Json(self.0.into())
    }
}

/// Whether the text is one JSON value; says nothing about depth.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Whether a control character stands in a string as it is. The names of members would be read with it.
pub(super) fn has_raw_control(text: &[u8]) -> bool {
    // Without a way out in the middle, so that many bytes are looked at at once.
    if !text.iter().fold(false, |found, &byte| found | (byte < b' ')) {
        return false;
    }
    let (mut in_string, mut escaped) = (false, false);
    text.iter().any(|&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ => {}
        }
        in_string && byte < b' '
    })
}

/// Whether arrays and objects stand in each other deeper than a limit.
pub(super) fn nests_deeper(text: &[u8], limit: usize) -> bool {
    // Two cheap looks spare nearly every message the third: each level takes two bytes, one of them an opening one.
    if text.len() < 2 * limit || text.iter().filter(|&&byte| byte | 0x20 == b'{').count() <= limit {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        let mut json = Vec::with_capacity(text.len() + 2);
        push_string(&mut json, text);
        Self(String::from_utf8(json).expect("it is ASCII").into())
    }
}

impl<'a> From<&'a Json> for JsonRef<'a> {
    fn from(json: &'a Json) -> Self {
        json.as_ref()
    }
}

impl fmt::Debug for JsonRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes)", self.kind(), self.text().len())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().serialize(serializer)
    }
}

impl Serialize for JsonRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::on_one_line(Box::<str>::from(raw)).map_err(serde::de::Error::custom)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonRef<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'a RawValue>::deserialize(deserializer).map(|raw| Self(raw.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_character_counts_in_a_string_only_and_a_space_is_none() {
        for text in ["\n[\t\"a b\" ]", "\t\"a\\\\\"\n", "\t\"a\\\"b\"\n"] {
            assert!(!has_raw_control(text.as_bytes()), "{text:?}");
        }
        for text in ["\"a\nb\"", "\"\\\\\\\"\u{1f}\"", "[1,\"\",\"\t\"]", "\"\n\n\"", "\\\"\n"] {
            assert!(has_raw_control(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn brackets_nest_outside_of_strings_and_only_while_they_are_open() {
        assert!(!nests_deeper(b"[[{}]]", 3) && nests_deeper(b"[[{}]]", 2));
        assert!(!nests_deeper(b"[[],[],[],[]]", 2), "one after the other is not deep");
        assert!(nests_deeper(b"[][[[]]]", 2), "however it begins");
        assert!(!nests_deeper(br#"["[[[\"[[[\\",[]]"#, 2), "brackets in a string are none");
        assert!(nests_deeper(br#"["\\\"",[["]"]]]"#, 2), "a closing one neither");
        assert!(nests_deeper(br#"{"a":[{"b":1}]}"#, 2), "objects count as arrays do");
        assert!(!nests_deeper(b"[[[]]", 3) && nests_deeper(b"[[[", 1), "the text need not be whole");
    }

    #[test]
    fn a_value_leaves_one_level_for_its_message() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::parse(&nested(NESTING_LIMIT - 1)).is_ok());
        assert_eq!(Json::parse(&nested(NESTING_LIMIT)), Err(JsonError::TooDeep));
    }

    #[test]
    fn numbers_are_finite_and_texts_are_none() {
        let number = |text: &str| Json::parse(text).unwrap().as_ref().as_f64();
        assert_eq!([number("2.5"), number("-1e3"), number("0")], [Some(2.5), Some(-1000.0), Some(0.0)]);
        assert_eq!([number("1e999"), number("\"1\""), number("null"), number("[1]")], [None; 4]);
    }
}
