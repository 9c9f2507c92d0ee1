//! The grammar that masters read URLs with, as offsets into one text. §6.

use super::escape::{self, escaped_byte, is_host_byte};
use std::hash::{Hash, Hasher};

/// The text is no URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// How the part between scheme and query stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `server://host/path`
    Authority,
    /// `server:/path`
    Rooted,
    /// `server:anything`, which has neither host nor path.
    Opaque,
}

/// A text and where its parts are. Two of them are equal if their texts are.
#[derive(Clone)]
pub(super) struct Text {
    text: Box<str>,
    form: Form,
    /// The colon after the scheme; 0 where there is no scheme.
    scheme_end: u32,
    user_start: u32,
    /// Where the host begins: one further than where the user begins if there is an `@`.
    host_start: u32,
    path_start: u32,
    /// The `?`, or where the query would be.
    path_end: u32,
    /// The `#`, or the end.
    query_end: u32,
}

impl Text {
    /// Takes a text apart in one pass.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        u32::try_from(text.len()).map_err(|_| Malformed)?;
        let query_end = memchr::memchr(b'#', text.as_bytes()).unwrap_or(text.len());
        let (front, fragment) = text.split_at(query_end);
        if has_control(front) || !escape::is_well_formed(fragment) {
            return Err(Malformed);
        }
        let scheme_end = scheme_end(front)?;
        let body = if scheme_end == 0 { 0 } else { scheme_end + 1 };
        let path_end = memchr::memchr(b'?', &front.as_bytes()[body..]).map_or(query_end, |at| body + at);
        let rest = &front[body..path_end];
        let (form, user_start) = match rest.strip_prefix("//") {
            Some(rest) if scheme_end > 0 || !rest.starts_with('/') => (Form::Authority, body + 2),
            _ if rest.starts_with('/') => (Form::Rooted, body),
            _ if scheme_end > 0 => (Form::Opaque, body),
            _ if rest.split('/').next().is_some_and(|first| first.contains(':')) => return Err(Malformed),
            _ => (Form::Rooted, body),
        };
        let (mut host_start, mut path_start) = (user_start, user_start);
        if form == Form::Authority {
            let bytes = &front.as_bytes()[..path_end];
            path_start = memchr::memchr(b'/', &bytes[user_start..]).map_or(path_end, |at| user_start + at);
            if let Some(at) = memchr::memrchr(b'@', &bytes[user_start..path_start]) {
                check_user(&front[user_start..user_start + at])?;
                host_start = user_start + at + 1;
            }
            check_host(&front[host_start..path_start])?;
        }
        if form != Form::Opaque && !escape::is_well_formed(&front[path_start..path_end]) {
            return Err(Malformed);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the length fits, and these are places in it")]
        let place = |place: usize| place as u32;
        Ok(Self {
            text: text.into(),
            form,
            scheme_end: place(scheme_end),
            user_start: place(user_start),
            host_start: place(host_start),
            path_start: place(path_start),
            path_end: place(path_end),
            query_end: place(query_end),
        })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Returns the scheme in the case that it was given in; empty where there is none.
    pub(super) fn scheme(&self) -> &str {
        self.range(0, self.scheme_end)
    }

    /// Returns what stands before the `@`.
    pub(super) fn user(&self) -> Option<&str> {
        (self.user_start < self.host_start).then(|| self.range(self.user_start, self.host_start - 1))
    }

    /// Returns host and port, as they are written.
    pub(super) fn host(&self) -> &str {
        self.range(self.host_start, self.path_start)
    }

    /// Returns the path as it is written, or what stands in its place in an opaque text.
    pub(super) fn path(&self) -> &str {
        self.range(self.path_start, self.path_end)
    }

    pub(super) fn query(&self) -> Option<&str> {
        (self.path_end < self.query_end).then(|| self.range(self.path_end + 1, self.query_end))
    }

    pub(super) fn fragment(&self) -> Option<&str> {
        let end = self.query_end as usize;
        (end < self.text.len()).then(|| &self.text[end + 1..])
    }

    fn range(&self, start: u32, end: u32) -> &str {
        &self.text[start as usize..end as usize]
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// Returns host and port without its colon, which is empty where there is none.
pub(super) fn split_port(host: &str) -> (&str, &str) {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port),
        _ => (host, ""),
    }
}

fn has_control(text: &str) -> bool {
    text.bytes().fold(false, |found, byte| found | byte.is_ascii_control())
}

/// Returns where the colon after the scheme is, 0 if there is no scheme.
fn scheme_end(text: &str) -> Result<usize, Malformed> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err(Malformed),
            b':' => return Ok(at),
            _ => break,
        }
    }
    Ok(0)
}

fn check_user(user: &str) -> Result<(), Malformed> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    let is_fine = user.bytes().all(allowed) && escape::is_well_formed(user);
    if is_fine { Ok(()) } else { Err(Malformed) }
}

/// An empty port and any number of digits are fine, and so is anything in brackets that has no odd character.
fn check_host(text: &str) -> Result<(), Malformed> {
    let bytes = text.as_bytes();
    let (port, zone) = if text.starts_with('[') {
        let end = memchr::memrchr(b']', bytes).ok_or(Malformed)?;
        (end + 1, text[..end].find("%25").unwrap_or(end)..end)
    } else {
        (memchr::memrchr(b':', bytes).unwrap_or(bytes.len()), 0..0)
    };
    match &bytes[port..] {
        [] => {}
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {}
        _ => return Err(Malformed),
    }
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let escaped = escaped_byte(&bytes[at..]).ok_or(Malformed)?;
            // Escapes stand for bytes beyond ASCII, and in a zone for a space and what needs none.
            let may_be = match zone.contains(&at) {
                true => escaped == b' ' || is_host_byte(escaped),
                false => !escaped.is_ascii(),
            };
            if escaped != b'%' && !may_be {
                return Err(Malformed);
            }
            at += 3;
        } else if byte.is_ascii() && !is_host_byte(byte) {
            return Err(Malformed);
        } else {
            at += 1;
        }
    }
    Ok(())
}
