//! Percent-encoding as the original programs write and read it. §6.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::borrow::Cow;

/// All but letters, digits and `-_.~`.
const REST: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Also the colon between name and password is encoded where it belongs to one of them.
const USER: &AsciiSet = &REST.remove(b'$').remove(b'&').remove(b'+').remove(b',').remove(b';').remove(b'=');
const PATH: &AsciiSet = &USER.remove(b'/').remove(b':').remove(b'@');
const FRAGMENT: &AsciiSet = &PATH.remove(b'?').remove(b'!').remove(b'(').remove(b')').remove(b'*');

/// A place in a URL, with the bytes that stand there as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    User,
    Host,
    Path,
    /// Names and values of the query, where a space is a `+`.
    Query,
    Fragment,
}

impl Place {
    /// Writes bytes so that they are read back there.
    pub(super) fn encode(self, bytes: &[u8], out: &mut String) {
        let set = match self {
            Self::User => USER,
            Self::Path => PATH,
            Self::Fragment => FRAGMENT,
            Self::Host => return encode_host(bytes, out),
            Self::Query => return encode_query(bytes, out),
        };
        out.extend(percent_encode(bytes, set));
    }

    /// Writes an encoded text: as it stands if every byte may stand there, else decoded and encoded anew.
    pub(super) fn normalise(self, text: &str, out: &mut String) {
        if text.bytes().all(|byte| self.takes(byte)) {
            out.push_str(text);
        } else {
            self.encode(&decode(text), out);
        }
    }

    /// Whether a byte of an encoded path or fragment may stay, escapes included.
    fn takes(self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric()
            || b"-_.~/!$&'()*+,;=:@[]%".contains(&byte)
            || (self == Self::Fragment && byte == b'?')
    }
}

fn encode_host(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        if HOST.has(*byte) {
            out.push((*byte).into());
        } else {
            out.push_str(percent_encoding::percent_encode_byte(*byte));
        }
    }
}

fn encode_query(bytes: &[u8], out: &mut String) {
    for (place, word) in bytes.split(|byte| *byte == b' ').enumerate() {
        if place > 0 {
            out.push('+');
        }
        out.extend(percent_encode(word, REST));
    }
}

/// Letters, digits and some marks, as a table: it is asked for each byte of a URL.
pub(super) struct Bytes([bool; 256]);

impl Bytes {
    pub(super) const fn with_marks(marks: &[u8]) -> Self {
        let mut table = [false; 256];
        let mut byte = 0u8;
        while byte.is_ascii() {
            table[byte as usize] = byte.is_ascii_alphanumeric();
            byte += 1;
        }
        let mut place = 0;
        while place < marks.len() {
            table[marks[place] as usize] = true;
            place += 1;
        }
        Self(table)
    }

    pub(super) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }

    /// Returns where the first other byte is, or the end. What these bytes are skipped in is short, so that a plain loop is
    /// sooner done than a search.
    pub(super) fn skip(&self, text: &[u8], start: usize) -> usize {
        text[start..].iter().position(|byte| !self.has(*byte)).map_or(text.len(), |at| start + at)
    }

    pub(super) fn has_all(&self, text: &[u8]) -> bool {
        text.iter().all(|byte| self.has(*byte))
    }
}

/// The bytes that may stand in a host and its port as they are.
pub(super) static HOST: Bytes = Bytes::with_marks(b"-_.~!$&'()*+,;=:[]<>\"");

/// Returns the byte for which an escape at the start of the text stands.
pub(super) fn escaped_byte(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match text {
        [b'%', high, low, ..] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    }
}

/// Whether two hex digits follow every `%`.
pub(super) fn is_well_formed(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text).all(|at| escaped_byte(&text[at..]).is_some())
}

/// Replaces escapes by their bytes; nothing is copied where there are none.
pub(super) fn decode(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if memchr::memchr(b'%', bytes).is_none() { bytes.into() } else { unescape(bytes, b'+').into() }
}

/// The same for a name or value of the query, where `+` is a space.
pub(super) fn decode_query(text: &str) -> Cow<'_, [u8]> {
    if is_plain(text) { text.as_bytes().into() } else { unescape(text.as_bytes(), b' ').into() }
}

/// Replaces escapes as [`decode`] does, and what is no UTF-8 then by U+FFFD.
pub(super) fn decode_text(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if memchr::memchr(b'%', bytes).is_none() { text.into() } else { to_text(unescape(bytes, b'+')).into() }
}

/// The same for a name or value of the query.
pub(super) fn decode_query_text(text: &str) -> Cow<'_, str> {
    if is_plain(text) { text.into() } else { to_text(unescape(text.as_bytes(), b' ')).into() }
}

/// Whether a name or value of the query stands for itself.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte != b'%' && byte != b'+')
}

/// Returns a text for people: one with an `@` in it was perhaps meant to be a URL with a key.
pub(super) fn masked(text: &str) -> &str {
    if text.contains('@') { "…" } else { text }
}

/// Replaces escapes by their bytes, and every `+` by what it stands for. A broken escape stays.
fn unescape(text: &[u8], plus: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        match escaped_byte(rest) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &rest[3..];
            }
            None => {
                bytes.push(if *first == b'+' { plus } else { *first });
                rest = after;
            }
        }
    }
    bytes
}

/// Makes a text of bytes; they are not copied if they are one.
fn to_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_own_bytes() {
        let all: Vec<u8> = (b' '..=b'~').filter(|byte| !byte.is_ascii_alphanumeric()).chain([0xE9]).collect();
        let kept = |place: Place| {
            let stays = |byte: &u8| {
                let mut out = String::new();
                place.encode(&[*byte], &mut out);
                out.as_bytes() == [*byte]
            };
            String::from_utf8(all.iter().copied().filter(stays).collect()).unwrap()
        };
        assert_eq!(kept(Place::User), "$&+,-.;=_~");
        assert_eq!(kept(Place::Host), "!\"$&'()*+,-.:;<=>[]_~");
        assert_eq!(kept(Place::Path), "$&+,-./:;=@_~");
        assert_eq!(kept(Place::Query), "-._~");
        assert_eq!(kept(Place::Fragment), "!$&()*+,-./:;=?@_~");
    }

    #[test]
    fn a_path_keeps_its_escapes_unless_it_has_to_be_written_anew() {
        let normal = |text| {
            let mut out = String::new();
            Place::Path.normalise(text, &mut out);
            out
        };
        assert_eq!(normal("/a%3Ab%2f'[x]"), "/a%3Ab%2f'[x]");
        assert_eq!(normal("/a%3Ab c%2f"), "/a:b%20c/");
        assert_eq!(normal("/\u{e9}"), "/%C3%A9");
    }

    #[test]
    fn a_plus_is_a_space_in_the_query_alone() {
        assert_eq!((&*decode("a+%2B"), &*decode_query("a+%2B")), (&b"a++"[..], &b"a +"[..]));
        assert_eq!((&*decode_text("a+%ff"), &*decode_query_text("+%2B")), ("a+\u{fffd}", " +"));
    }
}
