//! A list that a message always carries.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use std::ops::{Deref, DerefMut};

/// A list that a message always carries, empty or not: a `Vec` that remembers whether it was there.
///
/// It is written as `[]` when empty. When a message is read, a list that was missing or `null` is
/// [absent](Self::is_absent): the Dash refuses such a message where the original does (422). For equality only the
/// items count.
#[derive(Clone, Debug)]
pub struct List<T> {
    items: Vec<T>,
    present: bool,
}

impl<T> List<T> {
    /// Whether the list was missing or `null` in the message that was read, and nothing was added since.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        !self.present && self.items.is_empty()
    }

    /// Returns the items.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.items
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { items: Vec::new(), present: false }
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, present: true }
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Vec::from_iter(items).into()
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<T>;
    fn deref(&self) -> &Vec<T> {
        &self.items
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.items
    }
}

impl<T: PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.items.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_compared_and_used_as_its_items() {
        let list: List<u8> = serde_json::from_str("[1,2]").unwrap();
        assert_eq!(*list, [1, 2]);
        assert_eq!(list, List::from_iter([1, 2]));
        assert_ne!(list, List::from_iter([1]));
        assert_eq!(serde_json::to_string(&list).unwrap(), "[1,2]");
    }
}
