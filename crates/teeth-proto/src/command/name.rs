//! Names of tasks and images.

use crate::wire::{Json, JsonRef};
use serde::ser::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

macro_rules! name {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(Json);

        impl $name {
            /// Returns the string; `None` for another JSON value, which only the original's dialect allows.
            #[must_use]
            pub fn as_str(&self) -> Option<Cow<'_, str>> {
                self.0.as_ref().as_str()
            }

            /// Returns the JSON text: a string is in quotes.
            #[must_use]
            pub fn json(&self) -> &Json {
                &self.0
            }

            /// Takes any JSON value. Strings that mean the same are equal afterwards, however they were escaped.
            #[must_use]
            pub fn from_json(json: JsonRef<'_>) -> Self {
                // What is borrowed has no escapes.
                match json.as_str() {
                    Some(Cow::Borrowed(text)) if text.is_ascii() && !text.contains('\u{7f}') => Self(json.to_json()),
                    Some(text) => Self(Json::from(&*text)),
                    None => Self(json.to_json()),
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Json::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.as_str().unwrap_or(Cow::Borrowed(self.0.text())))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.text())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }
    };
}

name! {
    /// Names a task; the server chooses it. A string; the original takes any JSON value for some commands.
    TaskId
}

name! {
    /// Names an image. A UUID in its usual form of 36 characters; the original takes any JSON value.
    ImageId
}

impl ImageId {
    /// Whether it is a UUID in the form of 36 characters, in capitals or not.
    #[must_use]
    pub fn is_uuid(&self) -> bool {
        self.as_str().is_some_and(|text| text.len() == 36 && uuid::Uuid::try_parse(&text).is_ok())
    }
}
