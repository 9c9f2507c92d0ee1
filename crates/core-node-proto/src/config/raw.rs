//! Parts of JSON as they stand, without a tree.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Returns the JSON text of a part without space around it, `None` if it is blank or `null`.
pub(super) fn given(text: &str) -> Option<&str> {
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    (!text.is_empty() && text != "null").then_some(text)
}

/// Whether a JSON value without space around it is an object.
pub(super) fn is_object(text: &str) -> bool {
    text.starts_with('{')
}

/// Returns the named members of an object, of repeated ones the last.
///
/// # Errors
/// The text is no JSON object.
pub(super) fn members<'a, const N: usize>(
    text: &'a str,
    names: [&str; N],
) -> serde_json::Result<[Option<&'a str>; N]> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = deserializer.deserialize_map(Members(names))?;
    deserializer.end()?;
    Ok(found)
}

/// Returns the elements of a list, none if it is no list.
pub(super) fn elements(text: &str) -> Vec<&str> {
    let raw: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
    raw.into_iter().map(RawValue::get).collect()
}

/// Returns a value that is text.
pub(super) fn text(text: &str) -> Option<String> {
    serde_json::from_str(text).ok()
}

/// Appends a text as JSON.
pub(super) fn push_text(json: &mut String, text: &str) {
    json.push_str(&serde_json::Value::from(text).to_string());
}

struct Members<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<&'de str>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(place) = map.next_key_seed(Name(&self.0))? {
            match place {
                Some(place) => found[place] = Some(map.next_value::<&RawValue>()?.get()),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Reads a key as its place in a list of names.
pub(super) struct Name<'a>(pub(super) &'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_repeated_members_the_last_counts() {
        let found = members(r#" {"a":1,"b":[2, 3] ,"\u0061":{"x":null},"c":0}"#, ["a", "b", "d"]);
        assert_eq!(found.unwrap(), [Some(r#"{"x":null}"#), Some("[2, 3]"), None]);
        assert!(members("[]", ["a"]).is_err());
        assert!(members("{} x", ["a"]).is_err());
    }
}
