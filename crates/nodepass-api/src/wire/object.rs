//! How objects are read and written: known members by name, all others kept.

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Members that an object has beyond those that this crate knows, in their order, as their JSON text. `Debug` shows the
/// names only.
#[derive(Clone, Default)]
pub struct Extra(Vec<(Box<str>, Box<RawValue>)>);

impl Extra {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the members: names, and values as JSON texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.get()))
    }

    /// Returns the JSON text of a member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|&(other, _)| other == name).map(|(_, value)| value)
    }

    pub(super) fn push(&mut self, name: &str, value: Box<RawValue>) {
        self.0.push((name.into(), value));
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.0.retain(|(other, _)| **other != *name);
    }

    pub(super) fn push_null(&mut self, name: &str) {
        self.push(name, RawValue::NULL.to_owned());
    }

    pub(super) fn raw(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Extra {}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// The name of a member, borrowed where it can be.
pub(super) struct Name<'de>(pub(super) Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a member")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Declares an object. Each member is `required` (an error if it is missing or null), `optional` (`None` is left out
/// when written; a null is kept among the others) or `nullable` (always written, `None` as null). With `quick` before it
/// there is the quick way to read it, too.
macro_rules! object {
    ($(#[$meta:meta])* pub struct $object:ident {
        $($(#[$doc:meta])* $class:ident $name:literal $member:ident: $type:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Default, PartialEq, Eq)]
        #[expect(clippy::exhaustive_structs, reason = "objects are written as struct literals")]
        pub struct $object {
            $($(#[$doc])* pub $member: $crate::wire::object::object!(@type $class $type),)*
            /// Members that are not known here.
            pub extra: $crate::wire::Extra,
        }

        impl serde::Serialize for $object {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(None)?;
                $($crate::wire::object::object!(@write $class map, $name, self.$member);)*
                for (name, value) in self.extra.raw() {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $object {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;
                impl<'de> serde::de::Visitor<'de> for Members {
                    type Value = $object;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$object, A::Error> {
                        $(let mut $member: Option<$type> = None;)*
                        let mut extra = $crate::wire::Extra::default();
                        while let Some($crate::wire::object::Name(name)) = map.next_key()? {
                            match &*name {
                                $($name => {
                                    $member = map.next_value()?;
                                    $crate::wire::object::object!(@null $class extra, $name, $member);
                                })*
                                name => extra.push(name, map.next_value()?),
                            }
                        }
                        $($crate::wire::object::object!(@last $class extra, $name, $member);)*
                        Ok($object { $($member: $crate::wire::object::object!(@take $class $name, $member),)* extra })
                    }
                }
                deserializer.deserialize_map(Members)
            }
        }
    };
    (quick $(#[$meta:meta])* pub struct $object:ident {
        $($(#[$doc:meta])* $class:ident $name:literal $member:ident: $type:ty,)*
    }) => {
        $crate::wire::object::object! {
            $(#[$meta])* pub struct $object { $($(#[$doc])* $class $name $member: $type,)* }
        }

        #[cfg(feature = "client")]
        impl $crate::wire::quick::Quick for $object {
            fn quick(reader: &mut $crate::wire::quick::Reader<'_>) -> Option<Self> {
                $(let mut $member: Option<$type> = None;)*
                #[allow(unused_mut, reason = "not all objects have optional members")]
                let mut extra = $crate::wire::Extra::default();
                reader.expect("{")?;
                'members: loop {
                    let mut is_known = false;
                    $(if reader.skip(concat!("\"", $name, "\":")) {
                        is_known = true;
                        if reader.skip("null") {
                            $member = None;
                            $crate::wire::object::object!(@null $class extra, $name, $member);
                        } else {
                            $member = Some($crate::wire::quick::Quick::quick(reader)?);
                        }
                        if reader.is_last("}")? {
                            break 'members;
                        }
                    })*
                    if !is_known {
                        return None;
                    }
                }
                $($crate::wire::object::object!(@last $class extra, $name, $member);)*
                Some($object { $($member: $crate::wire::object::object!(@given $class $member),)* extra })
            }
        }
    };
    (@type required $type:ty) => { $type };
    (@type $class:ident $type:ty) => { Option<$type> };
    (@write optional $map:ident, $name:literal, $value:expr) => {
        if let Some(value) = &$value {
            $map.serialize_entry($name, value)?;
        }
    };
    (@write $class:ident $map:ident, $name:literal, $value:expr) => { $map.serialize_entry($name, &$value)? };
    (@null optional $extra:ident, $name:literal, $value:ident) => {
        if $value.is_none() {
            $extra.push_null($name);
        }
    };
    (@null $class:ident $extra:ident, $name:literal, $value:ident) => {};
    // Of a member that is given twice the last counts: a null before a value does not.
    (@last optional $extra:ident, $name:literal, $value:ident) => {
        if $value.is_some() {
            $extra.forget($name);
        }
    };
    (@last $class:ident $extra:ident, $name:literal, $value:ident) => {};
    (@take required $name:literal, $value:ident) => {
        $value.ok_or_else(|| serde::de::Error::missing_field($name))?
    };
    (@take $class:ident $name:literal, $value:ident) => { $value };
    (@given required $value:ident) => { $value? };
    (@given $class:ident $value:ident) => { $value };
}

/// Declares an enumeration of texts that may grow: known spellings, and `Other`.
macro_rules! open_enumeration {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// Another one, as it was spelled; made by `From` only, so that a known one is never here.
            Other(Box<str>),
        }

        impl $name {
            /// Returns how it is spelled.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)*
                    other => Self::Other(other.into()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        #[cfg(feature = "client")]
        impl $crate::wire::quick::Quick for $name {
            fn quick(reader: &mut $crate::wire::quick::Reader<'_>) -> Option<Self> {
                reader.string(|text| text.into())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a string")
                    }
                    fn visit_str<E>(self, text: &str) -> Result<$name, E> {
                        Ok(text.into())
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

pub(super) use {object, open_enumeration};
