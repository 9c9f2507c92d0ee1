//! The members of a packet that have a meaning.

use super::JsonRef;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Members of an object; the last of equal names counts.
#[derive(Default)]
pub(super) struct Envelope<'a> {
    pub(super) auth: Option<JsonRef<'a>>,
    pub(super) subscribe: Option<JsonRef<'a>>,
    pub(super) topic: Option<JsonRef<'a>>,
    pub(super) data: Option<JsonRef<'a>>,
}

/// Whether names hold no control character as it is: they are read as bytes, where nobody looks for them.
pub(super) fn is_strict(text: &str) -> bool {
    // Without a way out in the middle, so that many bytes are looked at at once; nearly no text has one.
    let is_plain = !text.bytes().fold(false, |found, byte| found | (byte < b' '));
    is_plain || serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Any JSON value; what is no object has no members.
pub(super) struct Value<'a>(pub(super) Option<Envelope<'a>>);

enum Name {
    Auth,
    Subscribe,
    Topic,
    Data,
    Unknown,
}

impl<'de> Deserialize<'de> for Name {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            #[inline]
            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                Ok(match name {
                    b"auth" => Name::Auth,
                    b"subscribe" => Name::Subscribe,
                    b"topic" => Name::Topic,
                    b"data" => Name::Data,
                    _ => Name::Unknown,
                })
            }
        }
        // Bytes, since a name may hold a lone surrogate.
        deserializer.deserialize_bytes(NameVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(name) = map.next_key()? {
            match name {
                Name::Auth => envelope.auth = Some(map.next_value()?),
                Name::Subscribe => envelope.subscribe = Some(map.next_value()?),
                Name::Topic => envelope.topic = Some(map.next_value()?),
                Name::Data => envelope.data = Some(map.next_value()?),
                Name::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value(Some(envelope)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value(None))
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value<'de>, E> {
        Ok(Value(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Value<'de>, E> {
        Ok(Value(None))
    }
}
