//! What a node's proxies run, carried as it stands.

use super::error::Problem;
use super::raw;
use super::xray::{Mtproto, Xray};
use super::{Field, NodeConfigError};
use crate::json::is_too_deep;
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

const XRAY: &str = "xray";
const MTPROTO: &str = "mtproto";

/// The services of a configuration: a JSON object whose members are kept as they are written, known or not (§7.4). Of a repeated
/// member the last one counts.
///
/// Users' keys stand in here, so its [`Debug`] shows the lengths of the known services and how many members there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Services(BTreeMap<Box<str>, Box<str>>);

impl Services {
    /// Reads services from their JSON text. Blank text and `null` are none.
    ///
    /// # Errors
    /// The text is no JSON object, is nested deeper than [`MAX_JSON_DEPTH`](crate::message::MAX_JSON_DEPTH), or has an `xray` or `mtproto` that is neither null
    /// nor an object.
    pub fn from_json(text: &str) -> Result<Self, NodeConfigError> {
        match raw::given(text) {
            Some(text) => Self::read(text).map_err(|problem| NodeConfigError::new(Field::Services, problem)),
            None => Ok(Self::default()),
        }
    }

    fn read(text: &str) -> Result<Self, Problem> {
        if is_too_deep(text.as_bytes()) {
            return Err(Problem::TooDeep);
        }
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_str(text).map_err(|error| match error.classify() {
                Category::Data if !raw::is_object(text) => Problem::NotAnObject,
                _ => Problem::NotJson { line: error.line(), column: error.column() },
            })?;
        let services = members.into_iter().map(|(name, value)| (name.into(), value.get().into()));
        let services = Self(services.collect());
        for name in [XRAY, MTPROTO] {
            if services.member(name).is_some_and(|value| value != "null" && !raw::is_object(value)) {
                return Err(Problem::Service(name));
            }
        }
        Ok(services)
    }

    /// Returns them as JSON text, members in the order of their names.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        self.write(&mut json);
        json
    }

    pub(super) fn write(&self, json: &mut String) {
        json.push('{');
        let mut comma = "";
        for (name, value) in &self.0 {
            json.push_str(comma);
            raw::push_text(json, name);
            json.push(':');
            json.push_str(value);
            comma = ",";
        }
        json.push('}');
    }

    /// Returns a member's JSON as it was written.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| &**value)
    }

    /// Returns the names of all members, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> + '_ {
        self.0.keys().map(|name| &**name)
    }

    /// Returns what Xray is to run. `None` if it is absent or null.
    #[must_use]
    pub fn xray(&self) -> Option<Xray<'_>> {
        self.member(XRAY).filter(|value| raw::is_object(value)).map(Xray::new)
    }

    /// Returns what telemt is to run. `None` if it is absent or null.
    #[must_use]
    pub fn mtproto(&self) -> Option<Mtproto<'_>> {
        self.member(MTPROTO).filter(|value| raw::is_object(value)).map(Mtproto::new)
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |name| self.member(name).map_or(0, str::len);
        f.debug_struct("Services")
            .field("members", &self.0.len())
            .field("xray_bytes", &length(XRAY))
            .field("mtproto_bytes", &length(MTPROTO))
            .finish()
    }
}
