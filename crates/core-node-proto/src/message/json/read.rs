//! Reading: an object's known members into slots, then slots into values.

use super::object::JsonObject;
use crate::json::{MAX_JSON_DEPTH, Scalar, is_too_deep};
use crate::message::FieldError;
use crate::value::ValueError;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;

/// A member that holds a list of objects, or an object itself; `None` and `Other` stand for what is none.
#[derive(Default)]
pub(in crate::message) enum List<T> {
    /// Not given, or null.
    #[default]
    Absent,
    Items(Vec<Option<T>>),
    Other,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<List<T>, E> {
                Ok(List::Absent)
            }
            fn visit_bool<E>(self, _: bool) -> Result<List<T>, E> {
                Ok(List::Other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<List<T>, E> {
                Ok(List::Other)
            }
            fn visit_u64<E>(self, _: u64) -> Result<List<T>, E> {
                Ok(List::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<List<T>, E> {
                Ok(List::Other)
            }
            fn visit_str<E>(self, _: &str) -> Result<List<T>, E> {
                Ok(List::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(Item(item)) = list.next_element()? {
                    items.push(item);
                }
                Ok(List::Items(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<List<T>, A::Error> {
                IgnoredAny.visit_map(map).map(|_| List::Other)
            }
        }
        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// An object, or `None` for any other value.
struct Item<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Item<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = Item<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Item<T>, E> {
                Ok(Item(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Item<T>, E> {
                Ok(Item(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Item<T>, E> {
                Ok(Item(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Item<T>, E> {
                Ok(Item(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Item<T>, E> {
                Ok(Item(None))
            }
            fn visit_str<E>(self, _: &str) -> Result<Item<T>, E> {
                Ok(Item(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Item<T>, A::Error> {
                IgnoredAny.visit_seq(list).map(|_| Item(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|object| Item(Some(object)))
            }
        }
        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// A member that is kept as its text; `None` if it is not given or null.
#[derive(Default)]
pub(in crate::message) struct Raw<'a>(Option<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<&RawValue>::deserialize(deserializer).map(Self)
    }
}

impl Raw<'_> {
    pub(in crate::message) fn object(&self, name: &str) -> Result<Option<JsonObject>, FieldError> {
        self.0.map(JsonObject::from_raw).transpose().map_err(|error| FieldError::new(name, error))
    }
}

/// Declares the members that are read of an object. Others are ignored; of equal names the last counts.
macro_rules! members {
    (struct $object:ident<$lifetime:lifetime> { $($name:literal $slot:ident: $type:ty,)* }) => {
        #[derive(Default)]
        struct $object<$lifetime> { $($slot: $type,)* }

        impl<'de: $lifetime, $lifetime> serde::Deserialize<'de> for $object<$lifetime> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ObjectVisitor;
                impl<'de> serde::de::Visitor<'de> for ObjectVisitor {
                    type Value = $object<'de>;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$object<'de>, A::Error> {
                        let mut object = $object::default();
                        while let Some($crate::json::Name(name)) = map.next_key()? {
                            match &*name {
                                $($name => object.$slot = map.next_value()?,)*
                                _ => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                }
                            }
                        }
                        Ok(object)
                    }
                }
                deserializer.deserialize_map(ObjectVisitor)
            }
        }
    };
}
pub(in crate::message) use members;

/// Reads the members of a body.
pub(in crate::message) fn body<'a, T: Deserialize<'a> + Default>(body: &'a [u8]) -> Result<T, FieldError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    let text = std::str::from_utf8(body).map_err(|_| FieldError::of_message(ValueError::NotJson))?;
    if is_too_deep(body) {
        return Err(FieldError::of_message(ValueError::TooDeep(MAX_JSON_DEPTH)));
    }
    let Item(object) = serde_json::from_str(text).map_err(|_| FieldError::of_message(ValueError::NotJson))?;
    object.ok_or_else(|| FieldError::of_message(ValueError::NotAnObject))
}

/// Reads a member that may be absent.
pub(in crate::message) fn optional<T>(
    name: &str,
    slot: &Scalar<'_>,
    read: impl FnOnce(&Scalar<'_>) -> Result<T, ValueError>,
) -> Result<Option<T>, FieldError> {
    if slot.is_absent() {
        return Ok(None);
    }
    read(slot).map(Some).map_err(|error| FieldError::new(name, error))
}

/// Reads a member that must be there.
pub(in crate::message) fn required<T>(
    name: &str,
    slot: &Scalar<'_>,
    read: impl FnOnce(&Scalar<'_>) -> Result<T, ValueError>,
) -> Result<T, FieldError> {
    optional(name, slot, read)?.ok_or_else(|| FieldError::new(name, ValueError::Missing))
}

/// Reads a list that must be there.
pub(in crate::message) fn items<S, T>(
    name: &str,
    list: &List<S>,
    read: impl Fn(&S) -> Result<T, FieldError>,
) -> Result<Vec<T>, FieldError> {
    let items = match list {
        List::Items(items) => items,
        List::Absent => return Err(FieldError::new(name, ValueError::Missing)),
        List::Other => return Err(FieldError::new(name, ValueError::NotAList)),
    };
    let item = |(index, item): (usize, &Option<S>)| {
        let item = item.as_ref().ok_or_else(|| FieldError::of_message(ValueError::NotAnObject));
        item.and_then(&read).map_err(|error| error.in_item(name, index))
    };
    items.iter().enumerate().map(item).collect()
}
