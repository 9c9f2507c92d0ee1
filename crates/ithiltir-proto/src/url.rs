//! URLs as the original programs read them, which is not how browsers do.
//!
//! Nothing is normalised: dot segments, doubled slashes, the case of the host and default ports stay. What cannot
//! stand in a path is percent-encoded, everything else keeps its spelling, also in the derived URLs.

use crate::wire::redact_url;
use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A parsed URL. `Debug` and `Display` hide what may be secret; [`to_text`](Self::to_text) shows it whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// In lower case; empty where there is none.
    scheme: Box<str>,
    user: Option<Box<str>>,
    /// Host and port with escapes decoded, brackets kept.
    host: Box<str>,
    /// With every byte that cannot stand there encoded.
    path: Box<str>,
    query: Option<Box<str>>,
    fragment: Option<Box<str>>,
}

/// The two schemes that can be spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol knows these two")]
pub enum Scheme {
    /// `http`, port 80
    Http,
    /// `https`, port 443
    Https,
}

/// What a host name is; the fallback rules differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a host is an address or it is not")]
pub enum HostKind {
    /// A dotted-quad IPv4 address, or an IPv6 address without a zone.
    Ip(IpAddr),
    /// Anything else, also `127.1` and addresses with a zone.
    Domain,
}

/// Why a text is not a usable URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Nothing but white space.
    #[error("the URL is empty")]
    Empty,
    /// A control character.
    #[error("the URL holds a control character")]
    ControlCharacter,
    /// A `%` that two hex digits do not follow, or an escape where none may stand.
    #[error("the URL holds a malformed escape")]
    Escape,
    /// A character that no host name has, or an unfinished or wrong address in brackets.
    #[error("the URL's host is malformed")]
    Host,
    /// Something other than digits after the host's colon.
    #[error("the URL's port is not a number")]
    Port,
    /// A character that no user information has.
    #[error("the URL's user information is malformed")]
    UserInformation,
    /// The text starts like a URL and is none.
    #[error("the URL is malformed")]
    Malformed,
    /// A scheme other than `http` and `https`, or none.
    #[error("the URL's scheme is neither http nor https")]
    Scheme,
    /// No host.
    #[error("the URL has no host")]
    NoHost,
    /// A host name in letters beyond ASCII, where the ASCII form is needed.
    #[error("the URL's host is not in its ASCII form")]
    NotAscii,
    /// A port above 65535, which can be written and never reached.
    #[error("the URL's port is above 65535")]
    PortRange,
}

impl Url {
    /// Parses a URL, white space around it removed.
    ///
    /// Any scheme, also none, and an empty host pass here; see [`check_configured`](Self::check_configured).
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(UrlError::ControlCharacter);
        }
        let (text, fragment) = cut(text, '#');
        check_escapes(fragment.unwrap_or_default())?;
        let (scheme, rest) = split_scheme(text)?;
        let (rest, query) = cut(rest, '?');
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) if !(scheme.is_empty() && rest.starts_with('/')) => {
                rest.split_at(rest.find('/').unwrap_or(rest.len()))
            }
            _ if rest.starts_with('/') => ("", rest),
            _ if !scheme.is_empty() => ("", ""), // `http:name` names no host
            _ if rest.split('/').next().is_some_and(|first| first.contains(':')) => {
                return Err(UrlError::Malformed);
            }
            _ => ("", rest),
        };
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(check_user(user)?), host),
            None => (None, authority),
        };
        check_escapes(path)?;
        Ok(Self {
            scheme: scheme.to_ascii_lowercase().into(),
            user: user.map(|user| encode_user(user).into()),
            host: parse_host(host)?.into(),
            path: encode_where_needed(path).into(),
            query: query.map(Into::into),
            fragment: fragment
                .filter(|fragment| !fragment.is_empty())
                .map(|text| encode_fragment(text).into()),
        })
    }

    /// Applies the rules for a URL in the configuration: scheme `http` or `https`, and an authority that is
    /// not empty without its user information. `http://:80/` passes.
    ///
    /// # Errors
    /// [`UrlError::Scheme`] or [`UrlError::NoHost`].
    pub fn check_configured(&self) -> Result<Scheme, UrlError> {
        let scheme = self.scheme().ok_or(UrlError::Scheme)?;
        if self.host.is_empty() { Err(UrlError::NoHost) } else { Ok(scheme) }
    }

    /// Applies the rule for a URL that is about to be used: the host is not empty without its port.
    ///
    /// # Errors
    /// [`UrlError::NoHost`].
    pub fn check_usable(&self) -> Result<(), UrlError> {
        if self.host().is_empty() { Err(UrlError::NoHost) } else { Ok(()) }
    }

    /// Returns the scheme, if it is one of the two.
    #[must_use]
    pub fn scheme(&self) -> Option<Scheme> {
        match &*self.scheme {
            "http" => Some(Scheme::Http),
            "https" => Some(Scheme::Https),
            _ => None,
        }
    }

    /// Returns the same URL with another scheme. The host and its port are not changed, so that an implicit 443
    /// becomes an implicit 80.
    #[must_use]
    pub fn with_scheme(&self, scheme: Scheme) -> Self {
        Self { scheme: scheme.as_str().into(), ..self.clone() }
    }

    /// Returns the host without port and brackets, its escapes decoded.
    #[must_use]
    pub fn host(&self) -> &str {
        let (host, _) = split_port(&self.host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// Returns whether the host is an address.
    #[must_use]
    pub fn host_kind(&self) -> HostKind {
        let address = if self.host.starts_with('[') {
            self.host().parse::<Ipv6Addr>().map(IpAddr::V6)
        } else {
            self.host().parse::<Ipv4Addr>().map(IpAddr::V4)
        };
        address.map_or(HostKind::Domain, HostKind::Ip)
    }

    /// Returns the digits of the port, or 443 for `https` and 80 otherwise. They may exceed 65535.
    #[must_use]
    pub fn port(&self) -> &str {
        match split_port(&self.host).1 {
            Some(port) if !port.is_empty() => port,
            _ if self.scheme() == Some(Scheme::Https) => "443",
            _ => "80",
        }
    }

    /// Whether the other URL has the same scheme, host (in any case) and effective port: its origin may be given
    /// what this one may.
    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.host().eq_ignore_ascii_case(other.host())
            && self.port().trim_start_matches('0') == other.port().trim_start_matches('0')
    }

    /// Returns path and query as they stand in the request line. The fragment is never sent.
    #[must_use]
    pub fn request_target(&self) -> String {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        match &self.query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        }
    }

    /// Returns the URL of a sibling: the final `/metrics` of the *decoded* path replaced, everything else as it
    /// is. `None` where the path does not end so.
    #[must_use]
    pub fn sibling(&self, name: &str) -> Option<Self> {
        let kept = strip_decoded_suffix(&self.path, b"/metrics")?;
        Some(Self { path: format!("{kept}/{name}").into(), ..self.clone() })
    }

    /// Returns the whole URL, user information and query included.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        if !self.scheme.is_empty() {
            let _ = write!(text, "{}:", self.scheme);
        }
        if !(self.scheme.is_empty() && self.host.is_empty() && self.user.is_none()) {
            text.push_str("//");
        }
        if let Some(user) = &self.user {
            let _ = write!(text, "{user}@");
        }
        text.push_str(&encode_host(&self.host));
        text.push_str(&self.path);
        if let Some(query) = &self.query {
            let _ = write!(text, "?{query}");
        }
        if let Some(fragment) = &self.fragment {
            let _ = write!(text, "#{fragment}");
        }
        text
    }

    /// Returns the host name in its ASCII form (IDNA), as it has to go over the wire.
    ///
    /// # Errors
    /// [`UrlError::Host`] where there is no such form.
    #[cfg(feature = "idna")]
    pub fn into_ascii(self) -> Result<Self, UrlError> {
        if self.host.is_ascii() {
            return Ok(self);
        }
        let (host, port) = split_port(&self.host);
        let mut host = idna::domain_to_ascii(host).map_err(|_| UrlError::Host)?;
        if let Some(port) = port {
            let _ = write!(host, ":{port}");
        }
        Ok(Self { host: host.into(), ..self })
    }

    /// Returns the URI to ask for, without user information, and the user information, its escapes decoded.
    pub(crate) fn to_request_parts(&self) -> Result<(http::Uri, Option<Vec<u8>>), UrlError> {
        self.check_usable()?;
        self.check_configured()?;
        if !self.host.is_ascii() {
            return Err(UrlError::NotAscii);
        }
        self.port().parse::<u16>().map_err(|_| UrlError::PortRange)?;
        let authority = match split_port(&self.host) {
            (host, Some("")) => encode_host(host),
            _ => encode_host(&self.host),
        };
        let target = encode_unsendable(&self.request_target());
        let uri = http::Uri::builder()
            .scheme(&*self.scheme)
            .authority(&*authority)
            .path_and_query(target)
            .build()
            .map_err(|_| UrlError::Host)?;
        // A colon of the name is encoded, so that the first one ends the name; one has to be there.
        let user = self.user.as_deref().map(|user| match user.contains(':') {
            true => decode(user),
            false => [decode(user), b":".to_vec()].concat(),
        });
        Ok((uri, user))
    }
}

impl Scheme {
    /// Returns `http` or `https`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_url(&self.to_text()))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn split_scheme(text: &str) -> Result<(&str, &str), UrlError> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err(UrlError::Malformed),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn check_user(user: &str) -> Result<&str, UrlError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    if !user.bytes().all(allowed) {
        return Err(UrlError::UserInformation);
    }
    check_escapes(user)?;
    Ok(user)
}

/// Host and port: an empty port and any number of digits are fine.
fn parse_host(text: &str) -> Result<String, UrlError> {
    let port = if text.starts_with('[') {
        let end = text.rfind(']').ok_or(UrlError::Host)?;
        let inner = &text[1..end];
        let address = match inner.split_once("%25") {
            Some((_, "")) => return Err(UrlError::Host),
            Some((address, _)) => address,
            None => inner,
        };
        address.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?;
        &text[end + 1..]
    } else {
        text.rfind(':').map_or("", |at| &text[at..])
    };
    if !port.is_empty()
        && !port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(UrlError::Port);
    }
    decode_host(text)
}

/// Escapes may stand for bytes beyond ASCII, and for the `%` of a zone with whatever a zone holds.
fn decode_host(text: &str) -> Result<String, UrlError> {
    check_escapes(text)?;
    let zone = if text.starts_with('[') { text.find("%25") } else { None };
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'%' {
            let value = escape_value(&text.as_bytes()[at..]).ok_or(UrlError::Escape)?;
            if value < 0x80 && value != b'%' && zone.is_none_or(|zone| at < zone) {
                return Err(UrlError::Escape);
            }
            if value.is_ascii_control() {
                return Err(UrlError::Host);
            }
            decoded.push(value);
            bytes.nth(1);
        } else if byte < 0x80 && !is_host_byte(byte) {
            return Err(UrlError::Host);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).map_err(|_| UrlError::Host)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
        _ => (host, None),
    }
}

fn check_escapes(text: &str) -> Result<(), UrlError> {
    let bytes = text.as_bytes();
    let malformed =
        bytes.iter().enumerate().any(|(at, &byte)| byte == b'%' && escape_value(&bytes[at..]).is_none());
    if malformed { Err(UrlError::Escape) } else { Ok(()) }
}

/// Returns the byte for which an escape at the start of the text stands.
fn escape_value(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match text {
        [b'%', high, low, ..] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    }
}

fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = escape_value(&bytes[at..]);
        decoded.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    decoded
}

/// A path is sent as it was given if every byte may stand in one; else the odd bytes are encoded.
fn encode_where_needed(path: &str) -> Cow<'_, str> {
    encode(path, is_path_byte)
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*[]%".contains(&byte)
}

fn encode_fragment(fragment: &str) -> Cow<'_, str> {
    encode(fragment, |byte| is_path_byte(byte) || byte == b'?')
}

/// Name and password are written anew, each by itself.
fn encode_user(user: &str) -> String {
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~$&+,;=".contains(&byte);
    let part = |text: &str| encode_bytes(&decode(text), stays);
    match user.split_once(':') {
        Some((name, password)) => format!("{}:{}", part(name), part(password)),
        None => part(user),
    }
}

fn encode_host(host: &str) -> Cow<'_, str> {
    encode(host, is_host_byte)
}

fn encode_unsendable(target: &str) -> String {
    encode(target, |byte| byte.is_ascii_graphic() && !b"\"<>#".contains(&byte)).into_owned()
}

fn encode(text: &str, stays: impl Fn(u8) -> bool) -> Cow<'_, str> {
    if text.bytes().all(&stays) {
        return text.into();
    }
    encode_bytes(text.as_bytes(), stays).into()
}

fn encode_bytes(text: &[u8], stays: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len() + 8);
    for &byte in text {
        if stays(byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Strips what decodes to the suffix from the end of an encoded text.
fn strip_decoded_suffix<'a>(text: &'a str, suffix: &[u8]) -> Option<&'a str> {
    let bytes = text.as_bytes();
    let mut end = bytes.len();
    for &wanted in suffix.iter().rev() {
        let escaped = end.checked_sub(3).filter(|&at| escape_value(&bytes[at..end]) == Some(wanted));
        end = match escaped {
            Some(at) => at,
            None => end.checked_sub(1).filter(|&at| bytes[at] == wanted)?,
        };
    }
    Some(&text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn derived_urls_keep_the_escapes_that_were_given() {
        for (url, sibling) in [
            ("http://h/a%2Fb/metrics", "http://h/a%2Fb/static"),
            ("http://h/api/node%2Fmetrics", "http://h/api/node/static"),
            ("http://h/%6Detrics", "http://h/static"),
            ("http://h/a'b(c)!*/metrics", "http://h/a'b(c)!*/static"),
            ("http://h/a b/metrics?x=%zz#f", "http://h/a%20b/static?x=%zz#f"),
        ] {
            assert_eq!(parsed(url).sibling("static").unwrap().to_text(), sibling);
        }
        for url in
            ["http://h/metrics/", "http://h/xmetrics", "http://h/METRICS", "http://h", "http://h/?x=/metrics"]
        {
            assert_eq!(parsed(url).sibling("static"), None, "{url}");
        }
    }

    #[test]
    fn hosts_and_ports_are_taken_as_the_original_takes_them() {
        for (url, error) in [
            ("http://h:99a/x", UrlError::Port),
            ("http://[::1]x/", UrlError::Port),
            ("http://[::1/x", UrlError::Host),
            ("http://[1.2.3.4]/", UrlError::Host),
            ("http://a b/", UrlError::Host),
            ("http://a\\b/", UrlError::Host),
            ("http://a%41/", UrlError::Escape),
            ("http://[fe80::1%25%0d]/", UrlError::Host),
            ("http://[fe80::1%25]/", UrlError::Host),
            ("http://h/%zz/metrics", UrlError::Escape),
            ("http://h/%4", UrlError::Escape),
            ("http://h/\u{1}", UrlError::ControlCharacter),
            ("http://us er@h/", UrlError::UserInformation),
            (":80/x", UrlError::Malformed),
            ("1:80/x", UrlError::Malformed),
        ] {
            assert_eq!(Url::parse(url), Err(error), "{url}");
        }
        assert_eq!(parsed("http://:80/metrics").check_configured(), Ok(Scheme::Http));
        assert_eq!(parsed("http://:80/metrics").check_usable(), Err(UrlError::NoHost));
        assert_eq!(parsed("http://u@/x").check_configured(), Err(UrlError::NoHost));
        assert_eq!(parsed("ftp://h/x").check_configured(), Err(UrlError::Scheme));
    }

    #[test]
    fn requests_go_without_user_information_and_without_odd_bytes() {
        let (uri, user) = parsed("http://u:p%40@h:/a b?c d=\u{e9}").to_request_parts().unwrap();
        assert_eq!(uri, "http://h/a%20b?c%20d=%C3%A9");
        assert_eq!(user.unwrap(), b"u:p@");
        assert_eq!(parsed("http://h:99999/").to_request_parts(), Err(UrlError::PortRange));
        assert_eq!(parsed("http://\u{fc}.example/").to_request_parts(), Err(UrlError::NotAscii));
    }

    #[test]
    fn user_information_and_fragments_are_written_as_the_original_writes_them() {
        for (url, text) in [
            ("http://u!:p%40%2f@h/x", "http://u%21:p%40%2F@h/x"),
            ("http://u:@h/x", "http://u:@h/x"),
            ("http://h/x#a b?c", "http://h/x#a%20b?c"),
            ("http://a@b@h/x", "http://a%40b@h/x"),
            ("http://h/x#", "http://h/x"),
        ] {
            assert_eq!(parsed(url).to_text(), text);
            assert_eq!(parsed(text), parsed(url));
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_effective_port() {
        let origin = parsed("https://Dash.example/metrics");
        assert!(origin.same_origin(&parsed("https://u@dash.example:443/deploy/x?y")));
        assert!(!origin.same_origin(&parsed("http://dash.example:443/")));
        assert!(!origin.same_origin(&parsed("https://dash.example:8443/")));
        assert!(!origin.same_origin(&parsed("https://dash.example.org/")));
    }

    #[cfg(feature = "idna")]
    #[test]
    fn international_names_have_an_ascii_form() {
        let url = parsed("http://\u{fc}.example:81/metrics").into_ascii().unwrap();
        assert_eq!(url.to_text(), "http://xn--tda.example:81/metrics");
    }

    #[test]
    fn what_may_be_secret_does_not_show() {
        let url = parsed("https://user:hunter2@h/x?token=hunter2");
        assert_eq!(format!("{url:?} {url}"), "Url(https://h/x?…) https://h/x?…");
    }
}
