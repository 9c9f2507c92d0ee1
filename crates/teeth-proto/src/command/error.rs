//! What goes wrong with commands, on either side.

use super::Method;
use crate::Dialect;
use crate::wire::{Json, JsonKind, JsonRef, Object, ObjectWriter};
use std::borrow::Cow;

/// Why a command's parameters cannot be; `Display` is the text that the peer gets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// A parameter is not there. The original's words.
    #[error("missing parameter \"{parameter}\" in \"{method}\" command")]
    Missing {
        /// The parameter.
        parameter: &'static str,
        /// The method, as it came.
        method: Box<str>,
    },
    /// A parameter must be an array. The original's words.
    #[error("\"{parameter}\" must be a list")]
    NotAList {
        /// The parameter.
        parameter: &'static str,
    },
    /// A task id that is no string, in the words of the original's interpreter.
    #[error("cannot concatenate 'str' and '{found}' objects")]
    NotText {
        /// The interpreter's name of what was there.
        found: &'static str,
    },
    /// A parameter has another form.
    #[error("\"{parameter}\" must be {wanted}")]
    WrongForm {
        /// The parameter.
        parameter: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
}

impl ParamsError {
    pub(super) fn missing(parameter: &'static str, method: &str) -> Self {
        Self::Missing { parameter, method: method.into() }
    }

    pub(super) fn wrong(parameter: &'static str, wanted: &'static str) -> Self {
        Self::WrongForm { parameter, wanted }
    }

    /// What adding such a value to a string says in the original's interpreter.
    pub(super) fn not_text(found: JsonRef<'_>) -> Self {
        Self::NotText {
            found: match found.kind() {
                JsonKind::Null => "NoneType",
                JsonKind::Bool => "bool",
                JsonKind::String => "unicode",
                JsonKind::Array => "list",
                JsonKind::Object => "dict",
                JsonKind::Number if found.text().contains(['.', 'e', 'E']) => "float",
                JsonKind::Number if found.text().parse::<i64>().is_ok() => "int",
                JsonKind::Number => "long",
            },
        }
    }
}

/// Why a command cannot be sent. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The peer's dialect does not know it: `ping` and `decom.*` end the connection of an original agent.
    #[error("{method} is not served by a peer of this dialect")]
    NotServed {
        /// The method.
        method: Method,
    },
    /// A parameter cannot be sent under this dialect.
    #[error("\"{parameter}\" must be {wanted}")]
    Parameter {
        /// The parameter.
        parameter: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
}

impl SendError {
    pub(super) fn wrong(parameter: &'static str, wanted: &'static str) -> Self {
        Self::Parameter { parameter, wanted }
    }
}

/// The value of `error` in a response: under the document an object with `msg`, of the original a string, by any other
/// peer anything. What came is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorValue(Json);

impl ErrorValue {
    /// Makes an error with a text for humans.
    #[must_use]
    pub fn new(msg: &str) -> Self {
        Self(Json::from(msg))
    }

    /// Makes an error of an object, whose further members go along under the document's dialect.
    #[must_use]
    pub fn from_object(object: Object) -> Self {
        Self(object.into())
    }

    /// Takes what a peer sent.
    #[must_use]
    pub fn from_json(json: JsonRef<'_>) -> Self {
        Self(json.to_json())
    }

    /// Returns the text for humans: the string itself or the string `msg` of the object; otherwise empty.
    #[must_use]
    pub fn msg(&self) -> Cow<'_, str> {
        let json = self.0.as_ref();
        let msg = match json.kind() {
            JsonKind::Object => msg_of(json),
            _ => Some(json),
        };
        msg.and_then(JsonRef::as_str).unwrap_or_default()
    }

    /// Returns all of it.
    #[must_use]
    pub fn json(&self) -> &Json {
        &self.0
    }

    /// Returns what is sent under a dialect: an object with `msg`, or a string.
    pub(crate) fn under(&self, dialect: Dialect) -> Json {
        match dialect {
            Dialect::Original => Json::from(&*self.msg()),
            Dialect::Document => {
                let json = self.0.as_ref();
                if json.kind() == JsonKind::Object && msg_of(json).and_then(JsonRef::as_str).is_some() {
                    return self.0.clone();
                }
                let msg = self.msg();
                let further = crate::wire::members(json);
                let further = further.iter().filter(|(name, _)| name != "msg");
                let mut error = ObjectWriter::new();
                error.text("msg", &msg).fields(further.map(|(name, value)| (name.as_str(), *value)));
                error.finish().map_or_else(|_| Json::from(&*msg), Json::from)
            }
        }
    }
}

fn msg_of(object: JsonRef<'_>) -> Option<JsonRef<'_>> {
    crate::wire::members(object).into_iter().find(|(name, _)| name == "msg").map(|(_, value)| value)
}
