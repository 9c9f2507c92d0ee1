//! Addresses as processes take them: `host:port`. §6.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host and a port as a process takes them from an instance URL. `Display` writes what a process would listen on or
/// dial, IPv6 in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Address<'a> {
    /// Where.
    pub host: Host<'a>,
    /// The port.
    pub port: Port<'a>,
}

/// The host of an [`Address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a host is one of these")]
pub enum Host<'a> {
    /// Empty: all interfaces where something listens, this machine where something dials.
    Any,
    /// An address; IPv4 addresses in IPv6 form have become IPv4.
    Ip(IpAddr),
    /// An IPv6 address with a zone.
    Zoned(Ipv6Addr, &'a str),
    /// A name, which has to be looked up.
    Name(&'a str),
}

/// The port of an [`Address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a port is one of these")]
pub enum Port<'a> {
    /// A number; 0 where the text ends after the colon.
    Number(u16),
    /// The name of a service, as in `:http`, which has to be looked up.
    Service(&'a str),
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// No colon, or none where the port should be.
    #[error("the port is missing")]
    NoPort,
    /// More than one colon outside brackets: an IPv6 address needs them.
    #[error("there are too many colons; an IPv6 address stands in brackets")]
    Colons,
    /// Brackets that do not stand around a host.
    #[error("the brackets are wrong")]
    Brackets,
    /// Not from 0 to 65535, and no name that a service could have.
    #[error("the port is not between 0 and 65535")]
    Port,
    /// Neither an address nor a name that a host could have.
    #[error("the host is neither an address nor a name")]
    Host,
}

impl<'a> Address<'a> {
    /// Reads `host:port`, both of which may be empty.
    ///
    /// ```
    /// use nodepass_api::url::{Address, AddressError};
    ///
    /// assert_eq!(Address::parse("[0:0::1]:80")?.to_string(), "[::1]:80");
    /// assert!(Address::parse("example.com:http")?.needs_resolver());
    /// assert_eq!(Address::parse("::1:80"), Err(AddressError::Colons));
    /// assert_eq!(Address::parse("127.0.0.1:99999"), Err(AddressError::Port));
    /// # Ok::<(), AddressError>(())
    /// ```
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &'a str) -> Result<Self, AddressError> {
        let mut read = match text.strip_prefix('[') {
            Some(rest) => bracketed(rest),
            None => plain(text),
        };
        if let Err(error) = &mut read {
            *error = misplaced(text).unwrap_or(*error);
        }
        read
    }

    /// Whether host or port are names, so that only a look-up tells whether they are any good.
    #[must_use]
    pub fn needs_resolver(&self) -> bool {
        matches!(self.host, Host::Name(_)) || matches!(self.port, Port::Service(_))
    }

    /// Whether the host is every interface: empty, `0.0.0.0` or `::`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        match self.host {
            Host::Any => true,
            Host::Ip(address) => address.is_unspecified(),
            Host::Zoned(address, _) => address.is_unspecified(),
            Host::Name(_) => false,
        }
    }

    /// Whether the host is this machine's loopback address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.host {
            Host::Ip(address) => address.is_loopback(),
            Host::Zoned(address, _) => address.is_loopback(),
            Host::Any | Host::Name(_) => false,
        }
    }
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Host::Any => {}
            Host::Ip(IpAddr::V4(address)) => write!(f, "{address}")?,
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            Host::Zoned(address, zone) => write!(f, "[{address}%{zone}]")?,
            Host::Name(name) => f.write_str(name)?,
        }
        match self.port {
            Port::Number(port) => write!(f, ":{port}"),
            Port::Service(service) => write!(f, ":{service}"),
        }
    }
}

/// Reads `name:port`. Neither of the two may have a colon or brackets.
fn plain(text: &str) -> Result<Address<'_>, AddressError> {
    let colon = text.bytes().rposition(|byte| byte == b':').ok_or(AddressError::NoPort)?;
    let port = parse_port(&text[colon + 1..])?;
    Ok(Address { host: parse_name(&text[..colon])?, port })
}

/// Reads `host]:port`.
fn bracketed(text: &str) -> Result<Address<'_>, AddressError> {
    let end = text.bytes().position(|byte| byte == b']').ok_or(AddressError::Brackets)?;
    let port = text[end + 1..].strip_prefix(':').ok_or(AddressError::NoPort)?;
    let port = parse_port(port)?;
    Ok(Address { host: parse_host(&text[..end])?, port })
}

/// Returns what is wrong with the colons and brackets of a text that is no address, if anything is: that counts more than
/// what is wrong with a part.
fn misplaced(text: &str) -> Option<AddressError> {
    let has_bracket = |text: &str| text.contains(['[', ']']);
    let Some((before, port)) = text.rsplit_once(':') else { return Some(AddressError::NoPort) };
    let (host, are_many) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        None => (before, before.contains(':')),
        Some(None) => return Some(AddressError::Brackets),
        Some(Some((_, after))) if !after.starts_with(':') => return Some(AddressError::NoPort),
        Some(Some((host, after))) => (host, after[1..].contains(':')),
    };
    match are_many {
        true => Some(AddressError::Colons),
        false => (has_bracket(host) || has_bracket(port)).then_some(AddressError::Brackets),
    }
}

fn parse_port(text: &str) -> Result<Port<'_>, AddressError> {
    // Nearly all of them are this.
    if let 1..=5 = text.len()
        && text.bytes().all(|byte| byte.is_ascii_digit())
    {
        let number = text.bytes().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
        return u16::try_from(number).map(Port::Number).map_err(|_| AddressError::Port);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let digits = digits.trim_start_matches('0');
        let number = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| AddressError::Port)? };
        return match text.starts_with('-') && number > 0 {
            true => Err(AddressError::Port),
            false => Ok(Port::Number(number)),
        };
    }
    let may_be_named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+*".contains(&byte);
    match text.bytes().all(may_be_named) && text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        true => Ok(Port::Service(text)),
        false => Err(AddressError::Port),
    }
}

/// Reads what stands in brackets.
fn parse_host(text: &str) -> Result<Host<'_>, AddressError> {
    if !text.contains(':') {
        return parse_name(text);
    }
    let parsed = |text: &str| text.parse::<Ipv6Addr>().map_err(|_| AddressError::Host);
    match text.split_once('%') {
        None => Ok(Host::Ip(parsed(text)?.to_canonical())),
        Some((_, zone)) if zone.is_empty() || zone.contains('[') => Err(AddressError::Host),
        Some((address, zone)) => Ok(Host::Zoned(parsed(address)?, zone)),
    }
}

/// Reads a host that is no IPv6 address.
fn parse_name(text: &str) -> Result<Host<'_>, AddressError> {
    if text.is_empty() {
        return Ok(Host::Any);
    }
    match text.parse::<Ipv4Addr>() {
        Ok(address) => Ok(Host::Ip(address.into())),
        Err(_) if is_domain(text) => Ok(Host::Name(text)),
        Err(_) => Err(AddressError::Host),
    }
}

/// Whether a name can be looked up at all: labels of up to 63 letters, digits, `-` and `_`, not all of them digits.
fn is_domain(text: &str) -> bool {
    if text == "." {
        return true;
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.len() > 253 {
        return false;
    }
    let (mut length, mut last, mut is_number) = (0, b'.', true);
    for byte in text.bytes() {
        match byte {
            b'.' if length == 0 || length > 63 || last == b'-' => return false,
            b'-' if length == 0 => return false,
            b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {}
            _ => return false,
        }
        length = if byte == b'.' { 0 } else { length + 1 };
        is_number &= byte == b'.' || byte.is_ascii_digit();
        last = byte;
    }
    (1..=63).contains(&length) && last != b'-' && !is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_a_process_takes_them() {
        for (text, shown) in [
            (":0", ":0"),
            (":", ":0"),
            ("127.0.0.1:00080", "127.0.0.1:80"),
            ("127.0.0.1:+80", "127.0.0.1:80"),
            ("[::ffff:1.2.3.4]:1", "1.2.3.4:1"),
            ("[127.0.0.1]:1", "127.0.0.1:1"),
            ("[fe80::1%eth 0]:1", "[fe80::1%eth 0]:1"),
            ("localhost:1", "localhost:1"),
            ("a_b.example.:http-alt", "a_b.example.:http-alt"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for (text, error) in [
            ("", AddressError::NoPort),
            ("127.0.0.1", AddressError::NoPort),
            ("[::1]", AddressError::NoPort),
            ("[::1]80:", AddressError::NoPort),
            ("::1:80", AddressError::Colons),
            ("[::1]:80:90", AddressError::Colons),
            ("a:1,b:2", AddressError::Colons),
            ("[::1:80", AddressError::Brackets),
            ("[[::1]:80", AddressError::Brackets),
            ("a]:80", AddressError::Brackets),
            ("a:65536", AddressError::Port),
            ("a:-1", AddressError::Port),
            ("a:80/", AddressError::Port),
            ("/a:80", AddressError::Host),
            ("256.0.0.1:80", AddressError::Host),
            ("127.0.0.01:80", AddressError::Host),
            ("-a:80", AddressError::Host),
            ("\u{fc}.example:80", AddressError::Host),
            ("[fe80::1%]:80", AddressError::Host),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text}");
        }
    }
}
