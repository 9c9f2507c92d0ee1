//! JSON objects that are carried as they are.

use crate::json::{MAX_JSON_DEPTH, is_too_deep};
use crate::value::ValueError;
use serde_json::value::RawValue;
use std::fmt;

/// A JSON object, kept as its text. Equal objects may be spelled differently and then differ here. `Debug` shows the
/// length only.
#[derive(Clone)]
pub struct JsonObject(Box<RawValue>);

impl JsonObject {
    /// Takes the text of an object.
    ///
    /// # Errors
    /// [`ValueError::NotJson`], [`ValueError::NotAnObject`], [`ValueError::TooDeep`].
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        if is_too_deep(text.as_bytes()) {
            return Err(ValueError::TooDeep(MAX_JSON_DEPTH));
        }
        let value: &RawValue = serde_json::from_str(text).map_err(|_| ValueError::NotJson)?;
        Self::from_raw(value)
    }

    /// Takes a value that is not too deep.
    pub(super) fn from_raw(value: &RawValue) -> Result<Self, ValueError> {
        if value.get().starts_with('{') { Ok(Self(value.to_owned())) } else { Err(ValueError::NotAnObject) }
    }

    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for JsonObject {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for JsonObject {}

impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonObject({} bytes)", self.text().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_kept_as_it_is_spelled() {
        let object = JsonObject::parse(" {\"a\" : 1e2} ").unwrap();
        assert_eq!(object.text(), "{\"a\" : 1e2}");
        assert_eq!(format!("{object:?}"), "JsonObject(11 bytes)");
    }

    #[test]
    fn other_values_are_refused() {
        for text in ["[]", "null", "\"{}\"", "1"] {
            assert_eq!(JsonObject::parse(text), Err(ValueError::NotAnObject));
        }
        for text in ["", "{", "{}{}", "{a:1}"] {
            assert_eq!(JsonObject::parse(text), Err(ValueError::NotJson));
        }
    }

    #[test]
    fn brackets_in_texts_do_not_nest_and_the_65th_level_is_too_deep() {
        assert!(JsonObject::parse(&format!("{{\"a\\\"\":\"{}\"}}", "[{".repeat(100))).is_ok());
        let nested =
            |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(JsonObject::parse(&nested(64)).is_ok());
        assert_eq!(JsonObject::parse(&nested(65)), Err(ValueError::TooDeep(64)));
    }
}
