//! Pairs of the query. §6.

use super::escape::{decode_query_text, is_well_formed, masked};
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
        decode_query_text(self.raw_name)
    }

    /// Returns the value, decoded; empty where there is none.
    #[must_use]
    pub fn value(&self) -> Cow<'a, str> {
        decode_query_text(self.raw_value)
    }

    /// Cuts a pair in two, unless it is one that masters and processes drop.
    fn read(text: &'a str, is_plain: bool) -> Option<Self> {
        if !is_plain && is_dropped(text) {
            return None;
        }
        // Names are short, so that a plain loop finds their end sooner than a search.
        let (raw_name, raw_value) = match text.bytes().position(|byte| byte == b'=') {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, ""),
        };
        Some(Self { raw_name, raw_value })
    }
}

impl fmt::Debug for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pair({:?})", masked(&self.name()))
    }
}

/// Whether masters and processes leave a pair out: it has a semicolon or a broken escape.
pub(super) fn is_dropped(pair: &str) -> bool {
    pair.contains(';') || !is_well_formed(pair.as_bytes())
}

/// Returns the pairs that count, in order.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = Pair<'_>> {
    let is_plain = memchr::memchr2(b';', b'%', query.as_bytes()).is_none();
    pieces(query).filter_map(move |text| Pair::read(text, is_plain))
}

/// Returns everything between ampersands that is not empty.
pub(super) fn pieces(query: &str) -> impl Iterator<Item = &str> {
    let mut rest = query;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches('&');
        let end = memchr::memchr(b'&', rest.as_bytes()).unwrap_or(rest.len());
        let piece = &rest[..end];
        rest = &rest[end..];
        (!piece.is_empty()).then_some(piece)
    })
}
