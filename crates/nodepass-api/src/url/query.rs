//! Pairs of the query. §6.2.

use super::escape::{decode_query, is_well_formed, to_text};
use std::borrow::Cow;
use std::fmt;

/// A parameter as it stands in a URL. `Debug` shows the name alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    pub(super) raw_name: &'a str,
    pub(super) raw_value: &'a str,
}

impl<'a> Pair<'a> {
    /// Returns the name, decoded.
    #[must_use]
    pub fn name(&self) -> Cow<'a, str> {
        to_text(decode_query(self.raw_name))
    }

    /// Returns the value, decoded; empty where there is none.
    #[must_use]
    pub fn value(&self) -> Cow<'a, str> {
        to_text(decode_query(self.raw_value))
    }

    /// Cuts a pair in two, unless it is one that masters and processes drop.
    fn read(text: &'a str, is_plain: bool) -> Option<Self> {
        if !is_plain && is_dropped(text) {
            return None;
        }
        let (raw_name, raw_value) = text.split_once('=').unwrap_or((text, ""));
        Some(Self { raw_name, raw_value })
    }
}

impl fmt::Debug for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pair({:?})", self.name())
    }
}

/// Whether masters and processes leave a pair out: it has a semicolon or a broken escape.
pub(super) fn is_dropped(pair: &str) -> bool {
    pair.contains(';') || !is_well_formed(pair)
}

/// Returns the pairs that count, in order.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = Pair<'_>> {
    let is_plain = memchr::memchr2(b';', b'%', query.as_bytes()).is_none();
    pieces(query).filter_map(move |text| Pair::read(text, is_plain))
}

/// Returns everything between ampersands that is not empty.
pub(super) fn pieces(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter(|text| !text.is_empty())
}
