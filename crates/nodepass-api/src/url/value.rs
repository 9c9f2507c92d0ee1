//! What the values of parameters mean. §6.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// What a process logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol knows these")]
pub enum LogLevel {
    /// `none`: nothing, not even the records that counters come from.
    None,
    /// `debug`
    Debug,
    /// `info`
    #[default]
    Info,
    /// `warn`
    Warn,
    /// `error`
    Error,
    /// `event`: the records that counters come from, and hardly anything else.
    Event,
}

/// How a tunnel, or a master's API, is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol knows these")]
pub enum TlsMode {
    /// `0`: not at all.
    #[default]
    Off,
    /// `1`: with a certificate of its own making.
    SelfSigned,
    /// `2`: with the certificate of `crt` and `key`; a process that cannot read them does as for `1`.
    Files,
}

/// The way to run, as the URL asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the protocol knows these, and anything else counts as automatic"
)]
pub enum RunMode {
    /// `0` and whatever is not `1` or `2`: listen if that is possible, else run as in the second mode.
    #[default]
    Auto,
    /// `1`: a server listens on its target (reverse), a client forwards by itself (single-ended).
    First,
    /// `2`: a server dials its target (forward), a client shakes hands with its server (two-ended).
    Second,
}

/// What `dns` says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "releases have the one or the other")]
pub enum Dns<'a> {
    /// Resolvers by their addresses, with commas. 1.11.
    Resolvers(Cow<'a, str>),
    /// How long names are remembered. From 1.12 on.
    Cache(Duration),
}

/// Where outgoing connections come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "an address or none")]
pub enum Dial {
    /// `auto`, and whatever is no address.
    #[default]
    Auto,
    /// This address.
    From(IpAddr),
}

/// What the pool speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// `0`
    #[default]
    Tcp,
    /// `1`, always encrypted
    Quic,
    /// `2`
    WebSocket,
    /// `3`
    Http2,
    /// Any other text.
    Unknown,
}

/// How one of several targets is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Balance {
    /// `0`: one after the other.
    #[default]
    RoundRobin,
    /// `1`: the one that answers soonest.
    Latency,
    /// `2`: the first, as long as it can be had.
    PrimaryBackup,
    /// Any other text.
    Unknown,
}

/// What is not let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Block {
    /// `1`: SOCKS.
    pub socks: bool,
    /// `2`: HTTP.
    pub http: bool,
    /// `3`: TLS.
    pub tls: bool,
}

/// The key of a tunnel, which both ends have to have. `Debug` hides it, comparison takes constant time for keys of the
/// same length; [`expose`](Self::expose) is the only way to it.
#[derive(Clone)]
pub struct TunnelKey<'a>(Source<'a>);

#[derive(Clone)]
enum Source<'a> {
    Given(Cow<'a, [u8]>),
    Derived([u8; 8]),
}

impl LogLevel {
    /// Returns the name, as in `info`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Event => "event",
        }
    }

    /// Finds a level by its name, whose case matters.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" => Self::Warn,
            "error" => Self::Error,
            "event" => Self::Event,
            _ => return None,
        })
    }
}

impl TlsMode {
    /// Returns the code, as in `1`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Off => "0",
            Self::SelfSigned => "1",
            Self::Files => "2",
        }
    }

    /// Finds a mode by its code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "0" => Some(Self::Off),
            "1" => Some(Self::SelfSigned),
            "2" => Some(Self::Files),
            _ => None,
        }
    }
}

impl RunMode {
    pub(super) fn from_code(code: &str) -> Option<Self> {
        match code {
            "0" => Some(Self::Auto),
            "1" => Some(Self::First),
            "2" => Some(Self::Second),
            _ => None,
        }
    }
}

impl Transport {
    pub(super) fn from_code(code: &str) -> Option<Self> {
        match code {
            "0" => Some(Self::Tcp),
            "1" => Some(Self::Quic),
            "2" => Some(Self::WebSocket),
            "3" => Some(Self::Http2),
            _ => None,
        }
    }
}

impl Balance {
    pub(super) fn from_code(code: &str) -> Option<Self> {
        match code {
            "0" => Some(Self::RoundRobin),
            "1" => Some(Self::Latency),
            "2" => Some(Self::PrimaryBackup),
            _ => None,
        }
    }
}

impl Block {
    /// Reads digits; others than 1 to 3 mean nothing.
    pub(super) fn from_digits(text: &str) -> Self {
        Self { socks: text.contains('1'), http: text.contains('2'), tls: text.contains('3') }
    }

    /// Whether a text is `0`, or digits from 1 to 3.
    pub(super) fn is_strict(text: &str) -> bool {
        text == "0" || (!text.is_empty() && text.bytes().all(|byte| matches!(byte, b'1'..=b'3')))
    }
}

/// Reads a whole number as the original does: a sign and digits, within 64 bits.
pub(super) fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Reads a number above zero.
pub(super) fn positive(text: &str) -> Option<u64> {
    number(text).filter(|number| *number > 0).map(i64::unsigned_abs)
}

impl<'a> TunnelKey<'a> {
    pub(super) fn given(key: Cow<'a, [u8]>) -> Self {
        Self(Source::Given(key))
    }

    /// Makes the key of a tunnel that names none: the FNV-1a hash of its port's digits, in hexadecimal.
    pub(super) fn of_port(port: &str) -> Self {
        let hash = port
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let mut digits = [0; 8];
        for (place, digit) in digits.iter_mut().enumerate() {
            let nibble = (hash >> (28 - 4 * place)) & 0xF;
            *digit = b"0123456789abcdef"[nibble as usize];
        }
        Self(Source::Derived(digits))
    }

    /// Whether the URL names it; else it follows from the port.
    #[must_use]
    pub fn is_given(&self) -> bool {
        matches!(self.0, Source::Given(_))
    }

    /// Returns the key itself. Escapes may stand for bytes that are no UTF-8.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        match &self.0 {
            Source::Given(key) => key,
            Source::Derived(digits) => digits,
        }
    }
}

impl PartialEq for TunnelKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for TunnelKey<'_> {}

impl fmt::Debug for TunnelKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TunnelKey(…)")
    }
}
