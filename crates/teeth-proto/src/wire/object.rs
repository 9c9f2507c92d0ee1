//! JSON objects: checked once, looked into by name.

use super::encode::{push_ascii, push_number, push_string};
use super::{Json, JsonError, JsonKind, JsonRef};
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use std::fmt;

/// A JSON object, as its text. What `params` are, and under the document's dialect every result.
#[derive(Clone, PartialEq, Eq)]
pub struct Object(Json);

impl Object {
    /// Returns `{}`.
    #[must_use]
    pub fn new() -> Self {
        Self(Json::parse("{}").expect("it is JSON"))
    }

    /// Takes a text.
    ///
    /// # Errors
    /// As [`Json::parse`], and [`JsonError::WrongForm`] for anything but an object.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        Self::try_from(Json::parse(text)?)
    }

    /// Writes a value that becomes an object.
    ///
    /// # Errors
    /// [`JsonError::WrongForm`] for anything else.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, JsonError> {
        Self::try_from(Json::encode(value)?)
    }

    /// Borrows it.
    #[must_use]
    pub fn as_ref(&self) -> JsonRef<'_> {
        self.0.as_ref()
    }

    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// Reads it as a value of a type.
    ///
    /// # Errors
    /// As [`Json::decode`].
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T, JsonError> {
        self.0.decode()
    }

    /// Whether it has no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    /// Returns the last member of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<JsonRef<'_>> {
        self.members().into_iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Returns all members in their order, each name once, with the last value it has. Names that are no proper
    /// Unicode are left out.
    #[must_use]
    pub fn members(&self) -> Vec<(String, JsonRef<'_>)> {
        members(self.as_ref())
    }
}

/// Returns the members of an object in the order of their first places, each with the last value of its name.
pub(crate) fn members(object: JsonRef<'_>) -> Vec<(String, JsonRef<'_>)> {
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, JsonRef<'de>)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members: Self::Value = Vec::new();
            while let Some(Name(name)) = map.next_key()? {
                let value = map.next_value()?;
                members.extend(name.map(|name| (name, value)));
            }
            Ok(each_once(members))
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(object.text());
    Deserializer::deserialize_map(&mut deserializer, Members).unwrap_or_default()
}

/// Leaves each name once, in its first place and with its last value.
fn each_once(members: Vec<(String, JsonRef<'_>)>) -> Vec<(String, JsonRef<'_>)> {
    if members.len() <= FEW {
        let mut once: Vec<(String, JsonRef<'_>)> = Vec::with_capacity(members.len());
        for (name, value) in members {
            match once.iter_mut().find(|(known, _)| *known == name) {
                Some(member) => member.1 = value,
                None => once.push((name, value)),
            }
        }
        return once;
    }
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|&a, &b| members[a].0.cmp(&members[b].0).then(a.cmp(&b)));
    let mut last_values = std::collections::BTreeMap::new();
    for equal in order.chunk_by(|&a, &b| members[a].0 == members[b].0) {
        last_values.insert(equal[0], members[equal[equal.len() - 1]].1);
    }
    let first_places = members.into_iter().enumerate();
    first_places.filter_map(|(place, (name, _))| Some((name, *last_values.get(&place)?))).collect()
}

/// So few names are compared with each other.
const FEW: usize = 16;

/// Writes an object, member by member, in the original's spelling. Names must differ.
pub(crate) struct ObjectWriter(Vec<u8>);

impl ObjectWriter {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(128))
    }

    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(if self.0.is_empty() { b"{" } else { b", " });
        push_string(&mut self.0, name);
        self.0.extend_from_slice(b": ");
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.name(name);
        push_string(&mut self.0, text);
        self
    }

    /// Writes a finite number.
    pub(crate) fn number(&mut self, name: &str, number: f64) -> &mut Self {
        self.name(name);
        push_number(&mut self.0, number);
        self
    }

    pub(crate) fn json(&mut self, name: &str, json: JsonRef<'_>) -> &mut Self {
        self.name(name);
        push_ascii(&mut self.0, json.text()).expect("writing to memory does not fail");
        self
    }

    pub(crate) fn list<'a>(&mut self, name: &str, items: impl Iterator<Item = JsonRef<'a>>) -> &mut Self {
        self.name(name);
        self.0.push(b'[');
        for (place, item) in items.enumerate() {
            self.0.extend_from_slice(if place == 0 { b"" } else { b", " });
            push_ascii(&mut self.0, item.text()).expect("writing to memory does not fail");
        }
        self.0.push(b']');
        self
    }

    pub(crate) fn fields<'a>(
        &mut self,
        fields: impl IntoIterator<Item = (&'a str, JsonRef<'a>)>,
    ) -> &mut Self {
        for (name, value) in fields {
            self.json(name, value);
        }
        self
    }

    /// Returns the object; an error if a member nests too deep for that.
    pub(crate) fn finish(&mut self) -> Result<Object, JsonError> {
        let mut text = std::mem::take(&mut self.0);
        text.extend_from_slice(if text.is_empty() { b"{}" } else { b"}" });
        Json::on_one_line(String::from_utf8(text).expect("it is ASCII").into()).map(Object)
    }
}

/// A member's name; `None` if it is no proper Unicode.
struct Name(Option<String>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                Ok(Name(std::str::from_utf8(name).ok().map(str::to_owned)))
            }
        }
        // Bytes, since a name may hold a lone surrogate.
        deserializer.deserialize_bytes(Visitor)
    }
}

/// Makes a struct of optional members that a JSON object is read into: each name once or with its other spellings,
/// the last of equal names counts, unknown ones are ignored. The rule of the original for every object it reads.
macro_rules! slots {
    ($(#[$meta:meta])* $visibility:vis struct $name:ident { $($slot:ident: $first:literal $(| $other:literal)*,)* }) => {
        $(#[$meta])*
        #[derive(Default)]
        $visibility struct $name<'a> { $($visibility $slot: Option<$crate::wire::JsonRef<'a>>,)* }

        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[allow(non_camel_case_types, reason = "a slot's name is its variant's name")]
                enum Slot { $($slot,)* Unknown }

                impl<'de> serde::Deserialize<'de> for Slot {
                    #[inline]
                    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                        struct Visitor;
                        impl serde::de::Visitor<'_> for Visitor {
                            type Value = Slot;

                            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                                f.write_str("a name")
                            }

                            #[inline]
                            fn visit_bytes<E>(self, name: &[u8]) -> Result<Slot, E> {
                                $(if name == $first.as_bytes() $(|| name == $other.as_bytes())* {
                                    return Ok(Slot::$slot);
                                })*
                                Ok(Slot::Unknown)
                            }
                        }
                        // Bytes, since a name may hold a lone surrogate.
                        deserializer.deserialize_bytes(Visitor)
                    }
                }

                struct Visitor;
                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = $name<'de>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    #[inline]
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name<'de>, A::Error> {
                        let mut slots = $name::default();
                        while let Some(slot) = map.next_key()? {
                            match slot {
                                $(Slot::$slot => slots.$slot = Some(map.next_value()?),)*
                                Slot::Unknown => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                }
                            }
                        }
                        Ok(slots)
                    }
                }
                deserializer.deserialize_map(Visitor)
            }
        }
    };
}
pub(crate) use slots;

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

impl TryFrom<Json> for Object {
    type Error = JsonError;

    fn try_from(json: Json) -> Result<Self, JsonError> {
        if json.as_ref().kind() == JsonKind::Object { Ok(Self(json)) } else { Err(JsonError::WrongForm) }
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        object.0
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Json::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
