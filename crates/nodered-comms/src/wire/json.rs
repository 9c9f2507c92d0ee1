//! JSON values that keep their text.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// One JSON value, as its text. `Debug` shows kind and length only: values may hold anything.
///
/// Equal texts are equal values here, nothing else: `1.0` and `1` differ.
#[derive(Clone)]
pub struct Json(Box<RawValue>);

/// A borrowed [`Json`].
#[derive(Clone, Copy)]
pub struct JsonRef<'a>(&'a RawValue);

/// Why a text is no JSON value, or not the wanted one. Holds none of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Not one JSON value.
    #[error("not one JSON value")]
    Syntax,
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
    /// Takes a text. White space at the ends goes.
    ///
    /// # Errors
    /// [`JsonError::Syntax`].
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|_| JsonError::Syntax)?;
        Ok(Self(raw.to_owned()))
    }

    /// Writes a value, as `JSON.stringify` spaces it: not at all.
    ///
    /// # Errors
    /// [`JsonError::WrongForm`] if the value cannot be JSON, as a map with keys that are no strings.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, JsonError> {
        serde_json::value::to_raw_value(value).map(Self).map_err(|_| JsonError::WrongForm)
    }

    /// Returns `null`.
    #[must_use]
    pub fn null() -> Self {
        Self(RawValue::NULL.to_owned())
    }

    /// Returns `{}`.
    #[must_use]
    pub fn empty_object() -> Self {
        Self::parse("{}").expect("it is JSON")
    }

    /// Borrows it.
    #[must_use]
    pub fn as_ref(&self) -> JsonRef<'_> {
        JsonRef(&self.0)
    }

    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
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
        self.0.get()
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

    /// Whether JavaScript takes it for true: anything but `null`, `false`, a zero (also a number so small that it
    /// reads as zero) and `""`.
    #[must_use]
    pub fn is_truthy(self) -> bool {
        let text = self.text();
        match self.kind() {
            JsonKind::Null => false,
            JsonKind::Bool => text == "true",
            JsonKind::String => text != "\"\"",
            JsonKind::Array | JsonKind::Object => true,
            JsonKind::Number => text.parse() != Ok(0.0_f64),
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
        Json(self.0.to_owned())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::encode(text).unwrap_or_else(|_| Self::null())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Json {}

impl PartialEq for JsonRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for JsonRef<'_> {}

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
        self.0.serialize(serializer)
    }
}

impl Serialize for JsonRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonRef<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'a RawValue>::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_by_its_first_byte_equal_by_its_text_and_shown_by_its_length() {
        for (text, kind) in [
            ("{}", JsonKind::Object),
            ("[1]", JsonKind::Array),
            ("\"a\"", JsonKind::String),
            ("true", JsonKind::Bool),
            ("false", JsonKind::Bool),
            ("null", JsonKind::Null),
            ("-1", JsonKind::Number),
        ] {
            let json = Json::parse(text).unwrap();
            assert_eq!(json.as_ref().kind(), kind);
            assert_eq!(json, Json::parse(text).unwrap());
            assert_ne!(json, Json::parse("17").unwrap());
            assert_eq!(json.as_ref(), Json::parse(text).unwrap().as_ref());
            assert_ne!(json.as_ref(), Json::parse("17").unwrap().as_ref());
            let shown = format!("{kind:?}({} bytes)", text.len());
            assert_eq!((format!("{json:?}"), format!("{:?}", json.as_ref())), (shown.clone(), shown));
        }
    }
}
