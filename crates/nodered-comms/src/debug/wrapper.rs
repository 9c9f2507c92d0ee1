//! What objects and strings inside JSON text stand for.

use super::number::DebugNumber;
use super::value::{DebugError, DebugValue, count};
use std::borrow::Cow;
use std::mem::take;

type Members = Vec<(String, DebugValue)>;

/// Takes a string inside JSON text for what it is.
pub(super) fn text_value(text: Cow<'_, str>) -> DebugValue {
    match text.strip_prefix("[Circular ~").and_then(|path| path.strip_suffix(']')) {
        Some(path) => DebugValue::Circular(path.into()),
        None => text.into_owned().into(),
    }
}

/// Takes an object inside JSON text for what it is: a wrapper, or itself.
pub(super) fn object_value(mut members: Members) -> DebugValue {
    let unwrapped = Wrapper::of(&members).and_then(|wrapper| wrapper.unwrap(&mut members));
    unwrapped.unwrap_or(DebugValue::Object(members))
}

/// Reads the members of an error; gives them back if they are not those of one.
pub(super) fn error_of(class: Option<&str>, mut members: Members) -> Result<DebugError, Members> {
    if !is_error(&members) {
        return Err(members);
    }
    let mut error = DebugError { class: class.map(Into::into), ..DebugError::default() };
    for (name, value) in take(&mut members) {
        match (name.as_str(), value) {
            ("code", code) => error.code = Some(code),
            ("name", DebugValue::String { text, .. }) => error.name = Some(text),
            ("message", DebugValue::String { text, .. }) => error.message = Some(text),
            ("cause", DebugValue::String { text, .. }) => error.cause = Some(text),
            ("stack", DebugValue::String { text, .. }) => error.stack = Some(text),
            _ => {}
        }
    }
    Ok(error)
}

/// Whether these are members of an error: their names, each once, and texts where texts belong.
fn is_error(members: &Members) -> bool {
    const NAMES: [&str; 5] = ["name", "message", "code", "cause", "stack"];
    let fits = |(name, value): &(String, DebugValue)| {
        name == "code" || (NAMES.contains(&name.as_str()) && matches!(value, DebugValue::String { .. }))
    };
    let is_once = |name: &str| members.iter().filter(|member| member.0 == name).count() <= 1;
    members.len() <= NAMES.len() && members.iter().all(fits) && NAMES.into_iter().all(is_once)
}

/// An object that looks like a wrapper: its members and where they are.
struct Wrapper {
    kind: Box<str>,
    data: Option<usize>,
    length: Length,
}

enum Length {
    Missing,
    /// As that of a `DataView`.
    Undefined,
    Is(u64),
}

impl Wrapper {
    /// Recognises one: a mark, a type, perhaps data and length, nothing else.
    fn of(members: &Members) -> Option<Self> {
        if members.len() > 4 {
            return None;
        }
        let (mut marked, mut kind, mut data, mut length) = (false, None, None, Length::Missing);
        for (at, (name, value)) in members.iter().enumerate() {
            match (name.as_str(), value) {
                ("__enc__" | "__encoded__", DebugValue::Bool(true)) if !marked => marked = true,
                ("type", DebugValue::String { text, .. }) if kind.is_none() => {
                    kind = Some(text.as_str().into())
                }
                ("data", _) if data.is_none() => data = Some(at),
                ("length", DebugValue::Undefined) => length = Length::Undefined,
                ("length", DebugValue::Number(number)) => length = Length::Is(whole(number)?),
                _ => return None,
            }
        }
        marked.then_some(Self { kind: kind?, data, length })
    }

    /// Returns what it stands for and takes the data out of the members; `None` leaves them as they are.
    fn unwrap(self, members: &mut Members) -> Option<DebugValue> {
        match (&*self.kind, &self.length) {
            ("undefined", Length::Missing) if self.data.is_none() => Some(DebugValue::Undefined),
            ("function", Length::Missing) if self.data.is_none() => Some(DebugValue::Function),
            ("internal", Length::Missing) if self.data.is_none() => Some(DebugValue::Internal),
            ("number", Length::Missing) => DebugNumber::parse(self.text(members)?).map(DebugValue::Number),
            ("bigint", Length::Missing) => Some(DebugValue::BigInt(self.text(members)?.into())),
            ("regexp", Length::Missing) => Some(DebugValue::RegExp(self.text(members)?.into())),
            ("error", Length::Missing) => self.error(members),
            ("array", _) => self.array(members),
            ("set", Length::Missing | Length::Is(_)) => {
                let items = self.items(members)?;
                Some(DebugValue::Set { length: self.length_for(items.len()), items })
            }
            ("map", Length::Missing | Length::Is(_)) => {
                let entries = self.entries(members)?;
                Some(DebugValue::Map { length: self.length_for(entries.len()), entries })
            }
            ("Buffer", Length::Missing | Length::Is(_)) => {
                let bytes = self.bytes(members)?;
                Some(DebugValue::Buffer { length: self.length_for(bytes.len()), bytes })
            }
            ("undefined" | "function" | "internal" | "number" | "bigint" | "regexp" | "error", _)
            | ("set" | "map" | "Buffer", Length::Undefined) => None,
            _ => self.typed_array(members),
        }
    }

    /// A list that is cut; one that is whole must be a typed array, since lists are wrapped only when cut.
    fn array(&self, members: &mut Members) -> Option<DebugValue> {
        let items = self.items(members)?;
        let length = self.length_for(items.len());
        let is_cut = length > count(items.len());
        Some(match self.length {
            Length::Missing => DebugValue::Array { items, length },
            Length::Is(_) if is_cut => DebugValue::Array { items, length },
            Length::Is(_) => DebugValue::TypedArray { class: None, items, length: Some(length) },
            Length::Undefined => DebugValue::TypedArray { class: None, items, length: None },
        })
    }

    /// A wrapper that is named after a class: a typed array that is cut.
    fn typed_array(&self, members: &mut Members) -> Option<DebugValue> {
        let Length::Is(length) = self.length else { return None };
        if self.data.is_none() || length <= self.data(members)?.present() {
            return None;
        }
        let items = self.items(members)?;
        Some(DebugValue::TypedArray { class: Some(self.kind.clone()), items, length: Some(length) })
    }

    fn error(&self, members: &mut Members) -> Option<DebugValue> {
        let Some(at) = self.data else { return Some(DebugError::default().into()) };
        let DebugValue::Object(parts) = &mut members[at].1 else { return None };
        match error_of(None, take(parts)) {
            Ok(error) => Some(error.into()),
            Err(back) => {
                *parts = back;
                None
            }
        }
    }

    fn data<'a>(&self, members: &'a mut Members) -> Option<&'a mut DebugValue> {
        self.data.map(|at| &mut members[at].1)
    }

    fn text<'a>(&self, members: &'a mut Members) -> Option<&'a str> {
        match self.data(members)? {
            DebugValue::String { text, .. } => Some(text),
            _ => None,
        }
    }

    fn items(&self, members: &mut Members) -> Option<Vec<DebugValue>> {
        match self.data(members) {
            None => Some(Vec::new()),
            Some(DebugValue::Array { items, .. } | DebugValue::TypedArray { class: None, items, .. }) => {
                Some(take(items))
            }
            Some(_) => None,
        }
    }

    fn entries(&self, members: &mut Members) -> Option<Members> {
        match self.data(members) {
            None => Some(Vec::new()),
            Some(DebugValue::Object(entries)) => Some(take(entries)),
            Some(_) => None,
        }
    }

    fn bytes(&self, members: &mut Members) -> Option<Vec<u8>> {
        match self.data(members) {
            None => Some(Vec::new()),
            Some(DebugValue::Array { items, .. }) => items.iter().map(byte).collect(),
            Some(_) => None,
        }
    }

    fn length_for(&self, present: usize) -> u64 {
        match self.length {
            Length::Is(length) => length.max(count(present)),
            Length::Missing | Length::Undefined => count(present),
        }
    }
}

fn byte(value: &DebugValue) -> Option<u8> {
    match value {
        DebugValue::Number(number) => number.text().parse().ok(),
        _ => None,
    }
}

/// A length: a whole number that `f64` holds exactly.
fn whole(number: &DebugNumber) -> Option<u64> {
    let length: u64 = number.text().parse().ok()?;
    (length <= 1 << 53).then_some(length)
}
