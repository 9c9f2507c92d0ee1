//! The id of a node. §3.

use super::id::MOST;
use super::{LsId, ValueError};
use std::fmt;

/// The id that Core gives a node: a number from 1 to 2³¹-1, or a text of 1 to 64 characters where a Core sends one. A
/// text that is the decimal form of such a number is that number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Repr);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    Number(u32),
    Text(Box<str>),
}

impl NodeId {
    /// The greatest number of characters of a text.
    pub const MAX_CHARACTERS: usize = 64;

    /// Takes a number.
    ///
    /// # Errors
    /// [`ValueError::OutOfRange`] unless it is from 1 to 2³¹-1.
    pub fn new(number: i64) -> Result<Self, ValueError> {
        LsId::new(number).map(|id| Self(Repr::Number(id.get())))
    }

    /// Takes a text.
    ///
    /// # Errors
    /// [`ValueError::WrongLength`] unless it has 1 to 64 characters.
    pub fn from_text(text: &str) -> Result<Self, ValueError> {
        ValueError::check_length(text, 1, Self::MAX_CHARACTERS)?;
        let number = text.parse::<u32>().ok().filter(|number| (1..=MOST).contains(number));
        // Only the decimal form without sign and leading zeros is the number: other texts stay what they are.
        Ok(Self(match number {
            Some(number) if number.to_string() == text => Repr::Number(number),
            _ => Repr::Text(text.into()),
        }))
    }

    /// Returns the number; `None` if it is a text.
    #[must_use]
    pub const fn number(&self) -> Option<u32> {
        match self.0 {
            Repr::Number(number) => Some(number),
            Repr::Text(_) => None,
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(number) => number.fmt(f),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_text_is_the_number() {
        assert_eq!(NodeId::from_text("12"), NodeId::new(12));
        for text in ["012", "+12", "0", "2147483648", "node-12"] {
            let id = NodeId::from_text(text).unwrap();
            assert_eq!((id.number(), id.to_string().as_str()), (None, text));
        }
    }

    #[test]
    fn an_empty_or_long_text_is_refused_and_so_is_0() {
        assert!(NodeId::from_text("").is_err());
        assert!(NodeId::from_text(&"é".repeat(64)).is_ok());
        assert!(NodeId::from_text(&"é".repeat(65)).is_err());
        assert!(NodeId::new(0).is_err());
    }
}
