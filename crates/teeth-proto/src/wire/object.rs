//! JSON objects: checked once, looked into by name.

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
            let mut places = std::collections::BTreeMap::new();
            while let Some(Name(name)) = map.next_key()? {
                let value = map.next_value()?;
                let Some(name) = name else { continue };
                match places.get(&name) {
                    Some(&place) => {
                        let member: &mut (String, JsonRef<'de>) = &mut members[place];
                        member.1 = value;
                    }
                    None => {
                        places.insert(name.clone(), members.len());
                        members.push((name, value));
                    }
                }
            }
            Ok(members)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(object.text());
    Deserializer::deserialize_map(&mut deserializer, Members).unwrap_or_default()
}

/// Writes an object of members that have different names; an error if one nests too deep for that.
pub(crate) fn object_of<'a>(
    members: impl IntoIterator<Item = (String, JsonRef<'a>)>,
) -> Result<Object, JsonError> {
    struct Members<I>(std::cell::RefCell<I>);
    impl<'a, I: Iterator<Item = (String, JsonRef<'a>)>> Serialize for Members<I> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(&mut *self.0.borrow_mut())
        }
    }
    let members = Members(std::cell::RefCell::new(members.into_iter()));
    Object::encode(&members)
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
