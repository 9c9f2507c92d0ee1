//! The parameters of instance URLs: which there are, since when and for whom. §6.

use super::Role;
use crate::Release;
use std::fmt;

/// A parameter that some version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Parameter {
    /// `log`: what is logged. [`LogLevel`](super::LogLevel)
    Log,
    /// `tls`: whether the tunnel is encrypted. [`TlsMode`](super::TlsMode)
    Tls,
    /// `crt`: the certificate's file.
    Crt,
    /// `key`: the file of the certificate's key. The tunnel key stands before the `@`.
    Key,
    /// `min`: the least number of pooled connections.
    Min,
    /// `max`: the greatest number of pooled connections.
    Max,
    /// `mode`: the way to run. [`RunMode`](super::RunMode)
    Mode,
    /// `read`: the read timeout, none at 0.
    Read,
    /// `rate`: the limit in Mbps, none at 0. 1 Mbps is 125 000 bytes a second.
    Rate,
    /// `slot`: how many connections there may be at once, any number at 0.
    Slot,
    /// `proxy`: whether a PROXY header is sent.
    Proxy,
    /// `noudp`: whether UDP is off.
    NoUdp,
    /// `notcp`: whether TCP is off.
    NoTcp,
    /// `dns`: resolvers in 1.11, then a cache time. [`Dns`](super::Dns)
    Dns,
    /// `dial`: the source address of outgoing connections. [`Dial`](super::Dial)
    Dial,
    /// `quic`: whether the pool speaks QUIC; `type` replaced it.
    Quic,
    /// `type`: what the pool speaks. [`Transport`](super::Transport)
    Type,
    /// `sni`: the server name that a client asks for.
    Sni,
    /// `block`: what is not let through. [`Block`](super::Block)
    Block,
    /// `lbs`: how a target is chosen. [`Balance`](super::Balance)
    Lbs,
}

/// Whose word counts: the published document's, or what a release does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rules {
    /// The document: its parameters, defaults and scopes. A value that it does not allow counts as absent.
    Document,
    /// A release of the Go line; the Rust port 0.x counts as 1.14. A value that is not understood counts as zero.
    Release(Release),
}

/// For whom a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two roles")]
pub enum Scope {
    /// Servers and clients.
    Both,
    /// Servers.
    Server,
    /// Clients.
    Client,
}

impl Parameter {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Log,
        Self::Tls,
        Self::Crt,
        Self::Key,
        Self::Min,
        Self::Max,
        Self::Mode,
        Self::Read,
        Self::Rate,
        Self::Slot,
        Self::Proxy,
        Self::NoUdp,
        Self::NoTcp,
        Self::Dns,
        Self::Dial,
        Self::Quic,
        Self::Type,
        Self::Sni,
        Self::Block,
        Self::Lbs,
    ];

    /// Returns the name in the URL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Tls => "tls",
            Self::Crt => "crt",
            Self::Key => "key",
            Self::Min => "min",
            Self::Max => "max",
            Self::Mode => "mode",
            Self::Read => "read",
            Self::Rate => "rate",
            Self::Slot => "slot",
            Self::Proxy => "proxy",
            Self::NoUdp => "noudp",
            Self::NoTcp => "notcp",
            Self::Dns => "dns",
            Self::Dial => "dial",
            Self::Quic => "quic",
            Self::Type => "type",
            Self::Sni => "sni",
            Self::Block => "block",
            Self::Lbs => "lbs",
        }
    }

    /// Finds a parameter by its name, whose case matters.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "log" => Self::Log,
            "tls" => Self::Tls,
            "crt" => Self::Crt,
            "key" => Self::Key,
            "min" => Self::Min,
            "max" => Self::Max,
            "mode" => Self::Mode,
            "read" => Self::Read,
            "rate" => Self::Rate,
            "slot" => Self::Slot,
            "proxy" => Self::Proxy,
            "noudp" => Self::NoUdp,
            "notcp" => Self::NoTcp,
            "dns" => Self::Dns,
            "dial" => Self::Dial,
            "quic" => Self::Quic,
            "type" => Self::Type,
            "sni" => Self::Sni,
            "block" => Self::Block,
            "lbs" => Self::Lbs,
            _ => return None,
        })
    }

    /// Returns the first release that knows it. Log level and certificates are older than any that was looked at.
    #[must_use]
    pub fn since(self) -> Release {
        self.lifetime().0
    }

    /// Returns the first release that does not know it any more.
    #[must_use]
    pub fn until(self) -> Option<Release> {
        self.lifetime().1
    }

    const fn lifetime(self) -> (Release, Option<Release>) {
        match self {
            Self::Log | Self::Tls | Self::Crt | Self::Key => (Release::new(0, 0, 0), None),
            Self::Min | Self::Max => (Release::new(1, 4, 0), None),
            Self::Mode | Self::Read | Self::Rate | Self::Slot | Self::Proxy => (Release::new(1, 6, 0), None),
            Self::NoUdp => (Release::new(1, 9, 0), None),
            Self::NoTcp => (Release::new(1, 10, 0), None),
            Self::Dns | Self::Dial => (Release::new(1, 11, 0), None),
            Self::Quic => (Release::new(1, 11, 0), Some(Release::new(1, 13, 0))),
            Self::Type | Self::Sni | Self::Block => (Release::new(1, 13, 0), None),
            Self::Lbs => (Release::beta(1, 15, 0, 0), None),
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Whether this version knows it, for either role.
    #[must_use]
    pub fn is_known(self, rules: Rules) -> bool {
        rules.known().has(self)
    }

    /// Returns for whom it is; `None` if this version does not know it. Certificates are for servers, and from 2.0.0-b10 on
    /// for clients too.
    #[must_use]
    pub fn scope(self, rules: Rules) -> Option<Scope> {
        match (self.is_used(rules, Role::Server), self.is_used(rules, Role::Client)) {
            (true, true) => Some(Scope::Both),
            (true, false) => Some(Scope::Server),
            (false, true) => Some(Scope::Client),
            (false, false) => None,
        }
    }

    /// Whether a process of this version and role looks at it.
    #[must_use]
    pub fn is_used(self, rules: Rules, role: Role) -> bool {
        rules.used(role).has(self)
    }

    /// Returns what a process uses where the URL has none, as it writes it; certificates have no default, and a client
    /// whose `sni` is `none` asks for the name in its URL if that is a name.
    #[must_use]
    pub fn default(self, rules: Rules) -> Option<&'static str> {
        let from = |major, minor| rules.since(major, minor, 0);
        Some(match self {
            Self::Log => "info",
            Self::Crt | Self::Key => return None,
            Self::Min => "64",
            Self::Max => "1024",
            Self::Read if rules == Rules::Document => "10m0s",
            Self::Read if from(1, 8) => "0s",
            Self::Read => "1h0m0s",
            Self::Slot if from(1, 7) => "65536",
            Self::Slot => "1024",
            Self::Dns if from(1, 12) => "5m0s",
            Self::Dns => "1.1.1.1,8.8.8.8",
            Self::Dial => "auto",
            Self::Sni => "none",
            _ => "0",
        })
    }
}

/// Some of the parameters, a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters(u32);

impl Parameters {
    pub(super) const NONE: Self = Self(0);

    const OF_DOCUMENT: Self = Self(
        Parameter::Log.bit()
            | CERTIFICATES
            | Parameter::Min.bit()
            | Parameter::Max.bit()
            | Parameter::Mode.bit()
            | Parameter::Read.bit()
            | Parameter::Rate.bit()
            | Parameter::Proxy.bit(),
    );

    /// Returns what the release of this rank knows.
    const fn known_at(rank: u64) -> Self {
        let mut known = 0;
        let mut place = 0;
        while place < Parameter::ALL.len() {
            let (since, until) = Parameter::ALL[place].lifetime();
            let is_gone = match until {
                Some(until) => until.rank() <= rank,
                None => false,
            };
            if since.rank() <= rank && !is_gone {
                known |= Parameter::ALL[place].bit();
            }
            place += 1;
        }
        Self(known)
    }

    pub(super) fn has(self, parameter: Parameter) -> bool {
        self.0 & parameter.bit() != 0
    }

    /// Adds one, and returns whether it is new.
    pub(super) fn insert(&mut self, parameter: Parameter) -> bool {
        let is_new = !self.has(parameter);
        self.0 |= parameter.bit();
        is_new
    }
}

const CERTIFICATES: u32 = Parameter::Tls.bit() | Parameter::Crt.bit() | Parameter::Key.bit();

impl Rules {
    /// Whether these are the rules of this release or a later one.
    pub(super) fn since(self, major: u16, minor: u16, patch: u16) -> bool {
        self.reaches(Release::new(major, minor, patch))
    }

    fn reaches(self, since: Release) -> bool {
        match self {
            Self::Document => false,
            Self::Release(release) => release.of_go_line().rank() >= since.rank(),
        }
    }

    fn known(self) -> Parameters {
        /// What is known from the release on that brought each parameter. None goes without another one coming.
        const KNOWN: [(u64, Parameters); Parameter::ALL.len()] = {
            let mut known = [(0, Parameters::NONE); Parameter::ALL.len()];
            let mut place = 0;
            while place < known.len() {
                let since = Parameter::ALL[place].lifetime().0.rank();
                known[place] = (since, Parameters::known_at(since));
                place += 1;
            }
            known
        };
        match self {
            Self::Document => Parameters::OF_DOCUMENT,
            Self::Release(release) => {
                let rank = release.of_go_line().rank();
                // They are in the order in which they came, and most programs are new.
                let latest = KNOWN.iter().rev().find(|(since, _)| *since <= rank);
                latest.map_or(Parameters::NONE, |(_, known)| *known)
            }
        }
    }

    /// Returns what a process of this version and role looks at.
    pub(super) fn used(self, role: Role) -> Parameters {
        let others = match role {
            Role::Server => Parameter::Min.bit() | Parameter::Sni.bit(),
            Role::Client if self == Self::Document => CERTIFICATES,
            Role::Client => {
                let certificates = if self.reaches(Release::V2_0_0_B10) { 0 } else { CERTIFICATES };
                certificates | Parameter::Max.bit() | Parameter::Type.bit()
            }
        };
        Parameters(self.known().0 & !others)
    }
}

impl AsRef<str> for Parameter {
    fn as_ref(&self) -> &str {
        self.name()
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => f.write_str("the document"),
            Self::Release(release) => write!(f, "{release}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_knows_the_parameters_of_its_time() {
        let changes =
            Parameter::ALL.into_iter().flat_map(|parameter| [Some(parameter.since()), parameter.until()]);
        let between =
            [Release::new(1, 5, 1), Release::beta(1, 15, 0, 3), Release::V2_0_0_B10, Release::new(9, 0, 0)];
        for release in changes.flatten().chain(between).map(Release::of_go_line) {
            for parameter in Parameter::ALL {
                let is_alive =
                    parameter.since() <= release && parameter.until().is_none_or(|until| release < until);
                assert_eq!(parameter.is_known(Rules::Release(release)), is_alive, "{parameter} in {release}");
            }
        }
    }
}
