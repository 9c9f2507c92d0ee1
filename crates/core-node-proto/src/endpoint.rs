//! Where Core's gRPC service is: the settings `CORE_GRPC_URL` and `CORE_INSECURE`. §1.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest host name, a limit of the domain name system.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Where the gRPC service is and whether to speak TLS. `Display` writes it as a URL: `https://core.example:3002`.
///
/// | `CORE_GRPC_URL` | without `CORE_INSECURE=true` | with it |
/// | --- | --- | --- |
/// | `host`, `host:port`, `[v6]`, `[v6]:port` | TLS | cleartext |
/// | the same after `https://` or `grpcs://` | TLS | [`TargetError::TlsScheme`] |
/// | the same after `http://` or `grpc://` | [`TargetError::CleartextScheme`] | cleartext |
///
/// The port is 3002 unless one is named, whatever the scheme. Schemes in any letter case, white space around the whole
/// and one `/` at its end after a scheme are taken; anything else beyond the host and the port is an error.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GrpcTarget {
    /// Without brackets.
    host: Box<str>,
    port: u16,
    tls: bool,
}

/// Why the settings name no target. The texts themselves are not repeated, as they may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Nothing but white space.
    #[error("CORE_GRPC_URL is empty")]
    Empty,
    /// A scheme that is not one of the four.
    #[error("the scheme of CORE_GRPC_URL is not http, https, grpc or grpcs")]
    Scheme,
    /// `http` or `grpc` without `CORE_INSECURE=true`.
    #[error("CORE_GRPC_URL asks for cleartext, which needs CORE_INSECURE=true")]
    CleartextScheme,
    /// `https` or `grpcs` with `CORE_INSECURE=true`.
    #[error("CORE_GRPC_URL asks for TLS, which CORE_INSECURE=true turns off")]
    TlsScheme,
    /// A user or password before the host.
    #[error("CORE_GRPC_URL holds user information")]
    UserInformation,
    /// A path, query or fragment after the port.
    #[error("CORE_GRPC_URL holds more than a host and a port")]
    Path,
    /// An IPv6 address without brackets, whose port could not be told from its last group.
    #[error("the IPv6 address in CORE_GRPC_URL needs brackets")]
    Brackets,
    /// No host, or one that is neither an address nor an ASCII host name.
    #[error("the host of CORE_GRPC_URL is malformed")]
    Host,
    /// A port that is not a number from 1 to 65535.
    #[error("the port of CORE_GRPC_URL is not a number from 1 to 65535")]
    Port,
}

impl GrpcTarget {
    /// Core's gRPC port where none is named.
    pub const DEFAULT_PORT: u16 = 3002;

    /// Reads the two settings; `insecure` is `None` where `CORE_INSECURE` is not set. It turns TLS off if it is exactly `true`.
    ///
    /// # Errors
    /// See [`TargetError`]. A contradiction between the scheme and `CORE_INSECURE` is one, so that nothing is sent in
    /// cleartext by mistake.
    pub fn parse(url: &str, insecure: Option<&str>) -> Result<Self, TargetError> {
        let url = url.trim_ascii();
        if url.is_empty() {
            return Err(TargetError::Empty);
        }
        let tls = insecure != Some("true");
        let authority = match url.split_once("://") {
            None => url,
            Some((scheme, rest)) => {
                check_scheme(scheme, tls)?;
                rest.strip_suffix('/').unwrap_or(rest)
            }
        };
        if authority.contains('@') {
            return Err(TargetError::UserInformation);
        }
        if authority.contains(['/', '?', '#']) {
            return Err(TargetError::Path);
        }
        let (host, port) = split_port(authority)?;
        let host = read_host(host)?;
        let port = port.map_or(Ok(Self::DEFAULT_PORT), |text| read_port(text).ok_or(TargetError::Port))?;
        Ok(Self { host, port, tls })
    }

    /// Returns the host name or address, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, from 1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether to speak TLS.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// Whether the host is this machine: a loopback address, or `localhost`. Cleartext to anywhere else deserves a warning (§15).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Returns host and port as one text, an IPv6 address in brackets.
    #[must_use]
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for GrpcTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

/// Whether a host, without brackets, is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case("localhost"),
    }
}

fn check_scheme(scheme: &str, tls: bool) -> Result<(), TargetError> {
    let is = |names: [&str; 2]| names.iter().any(|name| scheme.eq_ignore_ascii_case(name));
    if is(["https", "grpcs"]) {
        if tls { Ok(()) } else { Err(TargetError::TlsScheme) }
    } else if is(["http", "grpc"]) {
        if tls { Err(TargetError::CleartextScheme) } else { Ok(()) }
    } else {
        Err(TargetError::Scheme)
    }
}

/// Splits at the colon before the port; brackets stay.
pub(crate) fn split_port(authority: &str) -> Result<(&str, Option<&str>), TargetError> {
    if authority.starts_with('[') {
        let end = authority.find(']').ok_or(TargetError::Host)? + 1;
        let (host, rest) = authority.split_at(end);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(TargetError::Host),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(TargetError::Brackets),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

/// Reads a port from 1; `parse` alone would take a sign and 0.
pub(crate) fn read_port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&port| is_number && port > 0)
}

pub(crate) fn read_host(host: &str) -> Result<Box<str>, TargetError> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return Ok(address.ok_or(TargetError::Host)?.to_string().into());
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() > MAX_NAME || !name.split('.').all(is_label) {
        return Err(TargetError::Host);
    }
    // A last label of digits makes it an address to resolvers, so it has to be a whole one.
    let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(TargetError::Host);
    }
    Ok(host.into())
}

/// Whether this is one part of a host name. Underscores occur in the names of containers.
fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
