//! Looking into JSON objects, and writing them.

use super::{Json, JsonKind, JsonRef};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// The members of an object, taken out one by one; what is left at the end is of no known name.
pub(crate) struct Members<'a>(Vec<Option<(String, JsonRef<'a>)>>);

impl<'a> Members<'a> {
    /// Reads an object; `None` for anything else. Each name stands once, with the last value it has.
    pub(crate) fn of(json: JsonRef<'a>) -> Option<Self> {
        if json.kind() != JsonKind::Object {
            return None;
        }
        let mut deserializer = serde_json::Deserializer::from_str(json.text());
        deserializer.deserialize_map(MembersVisitor).ok()
    }

    /// Takes the member of a name if `read` can make something of it.
    pub(crate) fn take<T>(&mut self, name: &str, read: impl FnOnce(JsonRef<'a>) -> Option<T>) -> Option<T> {
        let slot = self.0.iter_mut().find(|slot| slot.as_ref().is_some_and(|(known, _)| known == name))?;
        let value = read(slot.as_ref()?.1)?;
        *slot = None;
        Some(value)
    }

    /// Takes a string.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.take(name, |value| value.as_str().map(Into::into))
    }

    /// Takes a boolean.
    pub(crate) fn bool(&mut self, name: &str) -> Option<bool> {
        self.take(name, |value| value.decode().ok())
    }

    /// Returns what was not taken.
    pub(crate) fn rest(self) -> Vec<(String, Json)> {
        self.0.into_iter().flatten().map(|(name, value)| (name, value.to_json())).collect()
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let (mut members, mut places) = (Vec::new(), BTreeMap::new());
        while let Some(Name(name)) = map.next_key()? {
            let value = map.next_value()?;
            let Some(name) = name else { continue };
            let place = *places.entry(name.clone()).or_insert(members.len());
            if place == members.len() {
                members.push(Some((name, value)));
            } else {
                members[place] = Some((name, value));
            }
        }
        Ok(Members(members))
    }
}

/// A member's name; `None` if it is no proper Unicode.
struct Name(Option<String>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                Ok(Name(std::str::from_utf8(name).ok().map(str::to_owned)))
            }
        }
        // Bytes, since a name may hold a lone surrogate.
        deserializer.deserialize_bytes(NameVisitor)
    }
}

/// Writes an object of members that have different names; those without a value are left out.
pub(crate) fn object_of<'a>(members: impl IntoIterator<Item = (&'a str, Option<Json>)>) -> Json {
    struct Writer<I>(RefCell<I>);
    impl<'a, I: Iterator<Item = (&'a str, Json)>> Serialize for Writer<I> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(&mut *self.0.borrow_mut())
        }
    }
    let members = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Json::encode(&Writer(RefCell::new(members))).expect("names and values that are JSON make an object")
}
