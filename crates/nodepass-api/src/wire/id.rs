//! Ids of instances. §3, §7.

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

const KEY_RECORD: &str = "********";

/// An instance's id: 8 hexadecimal digits as masters make them, or the key record's `********`. Any other text is kept as
/// it is. Case matters.
///
/// Ids of 8 bytes need no memory of their own. Their order is that of their texts.
#[derive(Clone)]
pub struct InstanceId(Form);

#[derive(Clone)]
enum Form {
    Usual([u8; 8]),
    Other(Box<str>),
}

impl InstanceId {
    /// Takes a text as it stands.
    #[must_use]
    pub fn new(text: &str) -> Self {
        match text.as_bytes().try_into() {
            Ok(bytes) => Self(Form::Usual(bytes)),
            Err(_) => Self(Form::Other(text.into())),
        }
    }

    /// Returns the id of the record that holds the API key.
    #[must_use]
    pub fn key_record() -> Self {
        Self::new(KEY_RECORD)
    }

    /// Returns the id that is made of these random bytes.
    #[must_use]
    pub fn from_entropy(bytes: [u8; 4]) -> Self {
        Self::new(&hex::encode(bytes))
    }

    /// Whether this is the record that holds the API key: no instance at all.
    #[must_use]
    pub fn is_key_record(&self) -> bool {
        self.as_str() == KEY_RECORD
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Form::Usual(bytes) => std::str::from_utf8(bytes).expect("it was made of a text"),
            Form::Other(text) => text,
        }
    }
}

impl Default for InstanceId {
    fn default() -> Self {
        Self::new("")
    }
}

impl From<&str> for InstanceId {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl Borrow<str> for InstanceId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for InstanceId {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for InstanceId {}

impl Ord for InstanceId {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Form::Usual(one), Form::Usual(two)) => one.cmp(two),
            _ => self.as_str().cmp(other.as_str()),
        }
    }
}

impl PartialOrd for InstanceId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for InstanceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceId({:?})", self.as_str())
    }
}

impl Serialize for InstanceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for InstanceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = InstanceId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an instance's id")
            }
            fn visit_str<E>(self, text: &str) -> Result<InstanceId, E> {
                Ok(InstanceId::new(text))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_of_both_forms_are_their_texts() {
        let ids = ["1f", "00000000", "0000000g", "a", "ffffffff"].map(InstanceId::from);
        for one in &ids {
            for other in &ids {
                assert_eq!(one == other, one.as_str() == other.as_str());
                assert_eq!(one.partial_cmp(other), Some(one.as_str().cmp(other.as_str())));
            }
            assert_eq!(format!("{one:?}"), format!("InstanceId({:?})", one.as_str()));
        }
        let kept: HashSet<_> = ids.iter().cloned().collect();
        assert!(ids.iter().all(|id| kept.contains(id.as_str())));
    }

    #[test]
    fn the_hash_is_that_of_the_text() {
        use std::hash::{BuildHasher as _, RandomState};
        let state = RandomState::new();
        for text in ["00000000", "ffffffff", "g"] {
            assert_eq!(state.hash_one(InstanceId::from(text)), state.hash_one(text));
        }
    }
}
