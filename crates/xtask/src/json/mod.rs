//! JSON as the original of teeth reads and writes it: integers of any size, `NaN` and infinities, halves of surrogate
//! pairs as escapes and in UTF-8.

mod reader;

pub(crate) use reader::{members, read};

use std::collections::BTreeMap;
use std::fmt;

/// A value. Equal ones are equal by value; an integer is no float.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// Its digits.
    Integer(String),
    Float(Float),
    /// UTF-16, since a text may hold half a pair.
    Text(Vec<u16>),
    List(Vec<Self>),
    Object(BTreeMap<Vec<u16>, Self>),
}

/// A float; one that is not a number equals itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Float(u64);

/// Returns a text as UTF-16.
pub(crate) fn utf16(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

impl Value {
    /// Returns the member of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(&utf16(name)),
            _ => None,
        }
    }

    /// Returns a text that is proper Unicode.
    pub(crate) fn as_text(&self) -> Option<String> {
        match self {
            Self::Text(units) => String::from_utf16(units).ok(),
            _ => None,
        }
    }

    /// Whether it is an array or an object.
    pub(crate) fn is_structured(&self) -> bool {
        matches!(self, Self::List(_) | Self::Object(_))
    }

    /// Returns how many arrays and objects stand in each other.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => 1 + members.values().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Returns the value with every text replaced that `other` knows another one for.
    pub(crate) fn map_texts(self, other: &impl Fn(&str) -> Option<String>) -> Self {
        match self {
            Self::List(items) => Self::List(items.into_iter().map(|item| item.map_texts(other)).collect()),
            Self::Object(members) => {
                let members = members.into_iter().map(|(name, value)| (name, value.map_texts(other)));
                Self::Object(members.collect())
            }
            Self::Text(units) => {
                let replaced = String::from_utf16(&units).ok().and_then(|text| other(&text));
                Self::Text(replaced.map_or(units, |text| utf16(&text)))
            }
            rest => rest,
        }
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::Text(utf16(text))
    }

    pub(crate) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (utf16(name), value)).collect())
    }
}

impl Float {
    fn new(number: f64) -> Self {
        Self(if number.is_nan() { f64::NAN } else { number }.to_bits())
    }

    pub(crate) fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// As JSON; long texts are cut.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 200;
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(digits) => f.write_str(digits),
            Self::Float(number) => write!(f, "{:?}", number.get()),
            Self::Text(units) if units.len() > LONGEST => write!(f, "\"… {} units\"", units.len()),
            Self::Text(units) => {
                f.write_str("\"")?;
                for character in char::decode_utf16(units.iter().copied()) {
                    match character {
                        Ok(character @ ('"' | '\\')) => write!(f, "\\{character}")?,
                        Ok(character) if character.is_control() => write!(f, "\\u{:04x}", character as u32)?,
                        Ok(character) => write!(f, "{character}")?,
                        Err(half) => write!(f, "\\u{:04x}", half.unpaired_surrogate())?,
                    }
                }
                f.write_str("\"")
            }
            _ if self.depth() > LONGEST => write!(f, "[… {} deep]", self.depth()),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Object(members) => {
                let member =
                    |(name, value): (&Vec<u16>, &Self)| format!("{}: {value}", Self::Text(name.clone()));
                let members: Vec<_> = members.iter().map(member).collect();
                write!(f, "{{{}}}", members.join(", "))
            }
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<Value> {
        read(text.as_bytes()).map(|reading| reading.value)
    }

    #[test]
    fn equal_values_are_equal_however_they_are_written() {
        assert_eq!(
            value("{\"a\": [1, 1e2], \"b\":\"\\u00e9\"}"),
            value("{\"b\":\"é\",\"a\":[1,100.0],\"a\":[1,1E2]}")
        );
        assert_eq!(
            value("123456789012345678901234567890"),
            Some(Value::Integer("123456789012345678901234567890".into()))
        );
        assert_eq!(value("-0"), value("0"));
        assert_ne!(value("-0.0"), value("0.0"));
        assert_ne!(value("1"), value("1.0"));
        assert_eq!(value("1e999"), value("Infinity"));
        assert_eq!(value("NaN"), value("NaN"));
    }

    #[test]
    fn what_strict_json_does_not_have_is_seen() {
        assert!(read(b"[NaN]").is_some_and(|reading| reading.has_literals && !reading.has_surrogates));
        assert!(read(b"\"NaN\"").is_some_and(|reading| !reading.has_literals));
        let half = read(b"\"\xED\xA0\x80\"").unwrap();
        assert!(half.has_surrogates);
        assert_eq!(Some(half.value), value("\"\\ud800\""));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "01",
            "+1",
            ".5",
            "1.",
            "True",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "'a'",
            "{} {}",
            "\"\u{1}\"",
            "\"\\u12\"",
        ] {
            assert_eq!(value(text), None, "{text}");
        }
        assert!(read(b"\"\xFF\"").is_none());
        assert!(read(&[b'['; 100_000]).is_none());
    }

    #[test]
    fn members_stand_where_they_stand() {
        let text = "{\"\\u0069d\" : \"x\", \"id\":[]}";
        let members = members(text.as_bytes()).unwrap();
        let places: Vec<_> = members.iter().map(|member| &text[member.place.clone()]).collect();
        assert_eq!(places, ["\"x\"", "[]"]);
        assert!(members.iter().all(|member| member.name == utf16("id")));
    }

    #[test]
    fn a_value_shows_as_json() {
        let text = "{\"a\": [null, true, 1, 1.5, \"\\\"\\ud800\\u0001é\"]}";
        assert_eq!(value(text).unwrap().to_string(), text);
    }
}
