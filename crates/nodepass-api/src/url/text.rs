//! The grammar that masters read URLs with, as offsets into one text. §6.

use super::escape::{Bytes, HOST, decode_text, escaped_byte, is_well_formed};
use std::borrow::Cow;
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
    /// Whether host and path are known to have no escape, and there is no user.
    is_plain: bool,
    /// The colon after the scheme; 0 where there is no scheme.
    scheme_end: u32,
    user_start: u32,
    /// Where the host begins: one further than where the user begins if there is an `@`.
    host_start: u32,
    /// The colon before the port, or where it would be.
    port_start: u32,
    path_start: u32,
    /// The `?`, or where the query would be.
    path_end: u32,
    /// The `#`, or the end.
    query_end: u32,
}

impl Text {
    /// Takes a text apart from its front to its end.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        u32::try_from(text.len()).map_err(|_| Malformed)?;
        let bytes = text.as_bytes();
        let scheme_end = scheme_end(bytes)?;
        let (form, user_start) = form(bytes, scheme_end)?;
        let authority = match form {
            Form::Authority => Authority::read(bytes, user_start)?,
            Form::Rooted | Form::Opaque => Authority::none(user_start),
        };
        let path_start = authority.end;
        let plain_end = PATH.skip(bytes, path_start);
        let path_end = match bytes.get(plain_end) {
            None | Some(b'?' | b'#') => plain_end,
            _ => find(bytes, plain_end, |rest| memchr::memchr2(b'?', b'#', rest)),
        };
        let query_end = match bytes.get(path_end) {
            Some(b'?') => find(bytes, path_end, |rest| memchr::memchr(b'#', rest)),
            _ => path_end,
        };
        // Nothing before the first byte that is not plain takes a control character.
        if plain_end < bytes.len() {
            let is_fine = (form == Form::Opaque || is_well_formed(&bytes[plain_end..path_end]))
                && is_well_formed(&bytes[query_end..])
                && !has_control(&bytes[plain_end..query_end]);
            if !is_fine {
                return Err(Malformed);
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "the length fits, and these are places in it")]
        let place = |place: usize| place as u32;
        Ok(Self {
            text: text.into(),
            form,
            is_plain: authority.is_plain && plain_end == path_end,
            scheme_end: place(scheme_end),
            user_start: place(user_start),
            host_start: place(authority.host_start),
            port_start: place(authority.port_start),
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

    /// Returns a part before the query, decoded.
    pub(super) fn decoded<'a>(&self, part: &'a str) -> Cow<'a, str> {
        if self.is_plain { part.into() } else { decode_text(part) }
    }

    /// Returns the host as it is written, without brackets.
    pub(super) fn bare_host(&self) -> &str {
        let host = self.range(self.host_start, self.port_start);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// Returns the digits of the port, empty where there are none.
    pub(super) fn port(&self) -> &str {
        let port = self.range(self.port_start, self.path_start);
        port.strip_prefix(':').unwrap_or(port)
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

/// The bytes of a path that mean nothing but themselves.
static PATH: Bytes = Bytes::with_marks(b" !\"$&'()*+,-./:;<=>@[\\]^_`{|}~");

/// The places in what stands between `//` and the path.
struct Authority {
    host_start: usize,
    port_start: usize,
    end: usize,
    is_plain: bool,
}

impl Authority {
    fn none(at: usize) -> Self {
        Self { host_start: at, port_start: at, end: at, is_plain: true }
    }

    fn read(text: &[u8], start: usize) -> Result<Self, Malformed> {
        let (mut host_start, mut end) = (start, HOST.skip(text, start));
        let is_plain = matches!(text.get(end), None | Some(b'/' | b'?' | b'#'));
        if !is_plain {
            end = find(text, end, |rest| memchr::memchr3(b'/', b'?', b'#', rest));
            if let Some(at) = memchr::memrchr(b'@', &text[start..end]) {
                check_user(&text[start..start + at])?;
                host_start += at + 1;
            }
        }
        let port_start = host_start + check_host(&text[host_start..end])?;
        Ok(Self { host_start, port_start, end, is_plain })
    }
}

/// Returns where the search finds something, or the end.
fn find(bytes: &[u8], start: usize, search: impl Fn(&[u8]) -> Option<usize>) -> usize {
    search(&bytes[start..]).map_or(bytes.len(), |at| start + at)
}

fn has_control(text: &[u8]) -> bool {
    text.iter().fold(false, |found, byte| found | byte.is_ascii_control())
}

/// Returns where the colon after the scheme is, 0 if there is no scheme.
fn scheme_end(text: &[u8]) -> Result<usize, Malformed> {
    for (at, byte) in text.iter().enumerate() {
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

/// Returns the form, and where the part after the scheme and its slashes begins.
fn form(text: &[u8], scheme_end: usize) -> Result<(Form, usize), Malformed> {
    let has_scheme = scheme_end > 0;
    let body = if has_scheme { scheme_end + 1 } else { 0 };
    match &text[body..] {
        [b'/', b'/', rest @ ..] if has_scheme || !rest.starts_with(b"/") => Ok((Form::Authority, body + 2)),
        [b'/', ..] => Ok((Form::Rooted, body)),
        _ if has_scheme => Ok((Form::Opaque, body)),
        rest => {
            let mut first = rest.iter().take_while(|byte| !b"/?#".contains(byte));
            if first.any(|byte| *byte == b':') { Err(Malformed) } else { Ok((Form::Rooted, body)) }
        }
    }
}

fn check_user(user: &[u8]) -> Result<(), Malformed> {
    static USER: Bytes = Bytes::with_marks(b"-._:~!$&'()*+,;=%@");
    let is_fine = USER.has_all(user) && is_well_formed(user);
    if is_fine { Ok(()) } else { Err(Malformed) }
}

/// Returns where the port's colon is, or would be. An empty port and any number of digits are fine, and so is anything in
/// brackets that has no odd character.
fn check_host(host: &[u8]) -> Result<usize, Malformed> {
    let bracket = match host.starts_with(b"[") {
        true => memchr::memrchr(b']', host).ok_or(Malformed)?,
        false => 0,
    };
    let port = match bracket {
        0 => host.iter().rposition(|byte| *byte == b':').unwrap_or(host.len()),
        _ => bracket + 1,
    };
    match &host[port..] {
        [] => {}
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {}
        _ => return Err(Malformed),
    }
    let (mut at, mut is_zone) = (0, false);
    while let Some(&byte) = host.get(at) {
        if HOST.has(byte) || !byte.is_ascii() {
            at += 1;
            continue;
        }
        // Escapes stand for bytes beyond ASCII, and in a zone, which a `%` begins, for a space and what needs none.
        let escaped = escaped_byte(&host[at..]).ok_or(Malformed)?;
        is_zone = at < bracket && (is_zone || escaped == b'%');
        let may_be = match is_zone {
            true => escaped == b' ' || HOST.has(escaped),
            false => !escaped.is_ascii(),
        };
        if escaped != b'%' && !may_be {
            return Err(Malformed);
        }
        at += 3;
    }
    Ok(port)
}
