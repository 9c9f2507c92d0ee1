//! Members that may be `null`, which means their default.

use super::{List, Timestamp};
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor,
};
use std::fmt;
use std::marker::PhantomData;

/// Reads a member: `null` means the default, for a list that it is absent, for an optional member that it is unknown.
#[inline]
pub(crate) fn null_is_default<'de, D: Deserializer<'de>, T: Nullable<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::read(deserializer)
}

/// A type of members.
///
/// Every value is looked at once. Going by way of `Option` and the derived code would look twice, and take an array in
/// the place of an object.
pub(crate) trait Nullable<'de>: Sized + Default {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

impl<'de> Nullable<'de> for Timestamp {
    #[inline]
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Option::unwrap_or_default)
    }
}

impl<'de, T: Nullable<'de>> Nullable<'de> for Option<T> {
    #[inline]
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Known<T>(PhantomData<T>);
        impl<'de, T: Nullable<'de>> Visitor<'de> for Known<T> {
            type Value = Option<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or null")
            }
            fn visit_none<E>(self) -> Result<Option<T>, E> {
                Ok(None)
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
                T::read(deserializer).map(Some)
            }
        }
        deserializer.deserialize_option(Known(PhantomData))
    }
}

impl<'de, T: Nullable<'de>> Nullable<'de> for Vec<T> {
    #[inline]
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        List::read(deserializer).map(List::into_vec)
    }
}

impl<'de, T: Nullable<'de>> Nullable<'de> for List<T> {
    #[inline]
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Nullable<'de>> Visitor<'de> for Items<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_unit<E>(self) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element_seed(Item(PhantomData))? {
                    list.push(item);
                }
                Ok(list.into())
            }
        }
        deserializer.deserialize_any(Items(PhantomData))
    }
}

/// Reads an item as a member is read.
struct Item<T>(PhantomData<T>);

impl<'de, T: Nullable<'de>> DeserializeSeed<'de> for Item<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read(deserializer)
    }
}

/// Reads an object, and nothing that the derived code takes in its place.
#[inline]
pub(super) fn read_object<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Object<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_unit<E>(self) -> Result<T, E> {
            Ok(T::default())
        }
        #[inline]
        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members))
        }
    }
    deserializer.deserialize_any(Object(PhantomData))
}

/// Implements the shorter way: a visitor for the given forms and for `null`.
macro_rules! scalar {
    ($type:ty, $expecting:literal, $($visit:ident($form:ty) $value:ident => $result:expr,)*) => {
        impl<'de> Nullable<'de> for $type {
            #[inline]
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Scalar;
                impl Visitor<'_> for Scalar {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_unit<E>(self) -> Result<$type, E> {
                        Ok(<$type>::default())
                    }
                    $(
                        fn $visit<E: Error>(self, $value: $form) -> Result<$type, E> {
                            $result
                        }
                    )*
                }
                deserializer.deserialize_any(Scalar)
            }
        }
    };
}
pub(super) use scalar;

scalar!(f64, "a number",
    visit_f64(f64) value => Ok(value),
    visit_u64(u64) value => Ok(value as f64),
    visit_i64(i64) value => Ok(value as f64),
);
scalar!(u64, "an integer of at least 0", visit_u64(u64) value => Ok(value),);
scalar!(i64, "an integer",
    visit_u64(u64) value => value.try_into().map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &"a smaller integer")),
    visit_i64(i64) value => Ok(value),
);
scalar!(bool, "true or false", visit_bool(bool) value => Ok(value),);
scalar!(String, "a string", visit_str(&str) value => Ok(value.to_owned()), visit_string(String) value => Ok(value),);
