//! What a process makes of its URL. §6.

use super::address::{Address, AddressError, Host, Port};
use super::duration::{self, Shown};
use super::escape::{decode_query_text, masked};
use super::parameter::{Parameter, Parameters, Rules};
use super::query::pairs;
use super::value::{
    Balance, Block, Dial, Dns, LogLevel, RunMode, TlsMode, Transport, TunnelKey, number, positive,
};
use super::{InstanceUrl, Role};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// The values that a process uses. A parameter that its version or role does not look at is `None`.
///
/// `Debug` shows neither the tunnel key nor addresses nor unknown parameters.
#[derive(Clone)]
#[non_exhaustive]
pub struct Effective<'a> {
    /// Whose rules these are.
    pub rules: Rules,
    /// What the process is.
    pub role: Role,
    /// The key of the tunnel.
    pub tunnel_key: TunnelKey<'a>,
    /// `log`
    pub log: LogLevel,
    /// `tls`; QUIC is encrypted also where it is `0`.
    pub tls: Option<TlsMode>,
    /// `crt`, where it is given.
    pub crt: Option<Cow<'a, str>>,
    /// `key`, where it is given.
    pub key: Option<Cow<'a, str>>,
    /// `min`; a pool takes 0 for 1.
    pub min: Option<u64>,
    /// `max`
    pub max: Option<u64>,
    /// `mode`
    pub mode: Option<RunMode>,
    /// `read`; zero is no timeout.
    pub read: Option<Duration>,
    /// `rate` in Mbps; 0 is no limit.
    pub rate: Option<u64>,
    /// `slot`; 0 is no limit. It is stored in 32 bits, whatever is left of a greater number there.
    pub slot: Option<i32>,
    /// `proxy`
    pub proxy: Option<bool>,
    /// `noudp`
    pub noudp: Option<bool>,
    /// `notcp`
    pub notcp: Option<bool>,
    /// `dns`
    pub dns: Option<Dns<'a>>,
    /// `dial`
    pub dial: Option<Dial>,
    /// `quic`
    pub quic: Option<bool>,
    /// `type`
    pub transport: Option<Transport>,
    /// `sni`: `none`, or the name that is asked for.
    pub sni: Option<Cow<'a, str>>,
    /// `block`
    pub block: Option<Block>,
    /// `lbs`
    pub balance: Option<Balance>,
    tunnel: Option<Cow<'a, str>>,
    targets: Option<Targets<'a>>,
    url: &'a InstanceUrl,
}

/// Why a process of this version ends by itself, as far as the URL alone tells. A name may still not be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No host and no port.
    #[error("the tunnel address is missing")]
    NoTunnel,
    /// The tunnel address is none.
    #[error("the tunnel address cannot be used: {0}")]
    Tunnel(AddressError),
    /// No target.
    #[error("the target is missing")]
    NoTarget,
    /// A target is none. Several targets are none to releases before 1.8.2 and to the document.
    #[error("target {} cannot be used: {error}", index + 1)]
    Target {
        /// Which one, from 0.
        index: usize,
        /// Why.
        error: AddressError,
    },
    /// What comes out of the tunnel would go into it again. From 1.11.0 on.
    #[error("target {} has the port of the tunnel on this machine", index + 1)]
    Loop {
        /// Which one, from 0.
        index: usize,
    },
}

/// The targets of an instance URL, in order. `Debug` shows how many there are, `Display` what they are.
#[derive(Clone)]
pub struct Targets<'a> {
    text: Cow<'a, str>,
    are_several: bool,
}

impl Targets<'_> {
    /// Returns the addresses.
    pub fn iter(&self) -> impl Iterator<Item = Address<'_>> {
        // Before 1.7, no target at all is port 0 everywhere.
        let nothing = self.text.is_empty().then_some(Address { host: Host::Any, port: Port::Number(0) });
        self.texts().filter_map(|text| Address::parse(text).ok()).chain(nothing)
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        let (one, list) = if self.are_several { ("", &*self.text) } else { (&*self.text, "") };
        items(list).chain((!one.is_empty()).then_some(one))
    }
}

/// Returns the items of a list of targets: spaces around them and empty ones do not count.
pub(super) fn items(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(list);
    let pieces = std::iter::from_fn(move || {
        let text = rest?;
        let (piece, after) = match memchr::memchr(b',', text.as_bytes()) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        rest = after;
        Some(piece)
    });
    pieces.map(str::trim).filter(|item| !item.is_empty())
}

impl fmt::Display for Targets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, target) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{target}")?;
        }
        Ok(())
    }
}

impl<'a> Effective<'a> {
    pub(super) fn of(url: &'a InstanceUrl, rules: Rules) -> Result<Self, Refused> {
        let never_ends = matches!(rules, Rules::Release(_)) && !rules.since(1, 7, 0);
        let (tunnel, targets) = if never_ends {
            (tolerant_tunnel(url), tolerant_targets(url))
        } else {
            let (tunnel, targets) = strict_addresses(url, rules)?;
            (Some(tunnel), Some(targets))
        };
        Ok(Self::with_addresses(url, rules, tunnel, targets))
    }

    /// Returns the values of the parameters alone, which every process has before it looks at its addresses.
    pub(super) fn without_addresses(url: &'a InstanceUrl, rules: Rules) -> Self {
        Self::with_addresses(url, rules, None, None)
    }

    fn with_addresses(
        url: &'a InstanceUrl,
        rules: Rules,
        tunnel: Option<Cow<'a, str>>,
        targets: Option<Targets<'a>>,
    ) -> Self {
        let given = Given::of(url);
        let read = Reader { given: &given, rules, used: rules.used(url.role()) };
        let transport = read.kept(Parameter::Type, Transport::from_code, Transport::Unknown);
        let quic = read.flag(Parameter::Quic);
        let is_quic = transport == Some(Transport::Quic) || quic == Some(true);
        let tls = read.number(Parameter::Tls, TlsMode::Off, TlsMode::Off, TlsMode::from_code);
        let read_default = match rules {
            Rules::Document => Duration::from_secs(600),
            Rules::Release(_) if rules.since(1, 8, 0) => Duration::ZERO,
            Rules::Release(_) => Duration::from_secs(3600),
        };
        let zero = Duration::ZERO;
        Self {
            rules,
            role: url.role(),
            tunnel_key: url.tunnel_key(),
            log: read
                .number(Parameter::Log, LogLevel::Info, LogLevel::Info, LogLevel::from_name)
                .unwrap_or_default(),
            tls: tls.map(|tls| if is_quic && tls == TlsMode::Off { TlsMode::SelfSigned } else { tls }),
            crt: read.text(Parameter::Crt),
            key: read.text(Parameter::Key),
            min: read.number(Parameter::Min, 64, 0, positive),
            max: read.number(Parameter::Max, 1024, 0, positive),
            mode: read.kept(Parameter::Mode, RunMode::from_code, RunMode::Auto),
            read: read.number(Parameter::Read, read_default, zero, duration::parse_duration),
            rate: read.number(Parameter::Rate, 0, 0, positive),
            slot: read.number(Parameter::Slot, if rules.since(1, 7, 0) { 65536 } else { 1024 }, 0, slots),
            proxy: read.flag(Parameter::Proxy),
            noudp: read.flag(Parameter::NoUdp),
            notcp: read.flag(Parameter::NoTcp),
            dns: read.dns(),
            dial: read
                .number(Parameter::Dial, Dial::Auto, Dial::Auto, |text| text.parse().ok().map(Dial::From)),
            quic,
            transport,
            sni: read.sni(url),
            block: read.kept(Parameter::Block, |text| Some(Block::from_digits(text)), Block::default()),
            balance: read.kept(Parameter::Lbs, Balance::from_code, Balance::Unknown),
            tunnel,
            targets,
            url,
        }
    }

    /// Returns the tunnel address. `None` where it is unusable and the version (1.6) keeps running without it.
    #[must_use]
    pub fn tunnel(&self) -> Option<Address<'_>> {
        match self.tunnel.as_deref()? {
            "" => Some(Address { host: Host::Any, port: Port::Number(0) }),
            text => Address::parse(text).ok(),
        }
    }

    /// Returns the targets, at least one. `None` where they are unusable and the version (1.6) keeps running without them.
    #[must_use]
    pub fn targets(&self) -> Option<&Targets<'a>> {
        self.targets.as_ref()
    }

    /// Returns a value as the process writes it into its log, durations as `1h0m0s`. What is neither a number nor a time
    /// keeps the text that was given, as in `mode=7`. `None` for what the process does not look at, and for a
    /// certificate that is not given.
    #[must_use]
    pub fn text(&self, parameter: Parameter) -> Option<Cow<'_, str>> {
        if !parameter.is_used(self.rules, self.role) {
            return None;
        }
        let kept = || {
            let given = self.url.parameter(parameter).filter(|text| !text.is_empty());
            let given = given.filter(|text| !self.is_replaced(parameter, text));
            given.or_else(|| parameter.default(self.rules).map(Cow::Borrowed))
        };
        match parameter {
            Parameter::Log => Some(self.log.as_str().into()),
            Parameter::Tls => self.tls.map(|tls| tls.code().into()),
            Parameter::Min => self.min.map(|number| number.to_string().into()),
            Parameter::Max => self.max.map(|number| number.to_string().into()),
            Parameter::Rate => self.rate.map(|number| number.to_string().into()),
            Parameter::Slot => self.slot.map(|number| number.to_string().into()),
            Parameter::Read => self.read.map(|time| Shown(time).to_string().into()),
            Parameter::Dns => self.dns.as_ref().map(|dns| match dns {
                Dns::Resolvers(list) => Cow::Borrowed(&**list),
                Dns::Cache(time) => Shown(*time).to_string().into(),
            }),
            Parameter::Sni => self.sni.as_deref().map(Cow::Borrowed),
            Parameter::Crt => self.crt.as_deref().map(Cow::Borrowed),
            Parameter::Key => self.key.as_deref().map(Cow::Borrowed),
            _ => kept(),
        }
    }

    /// Whether the text that was given is not what is used.
    fn is_replaced(&self, parameter: Parameter, given: &str) -> bool {
        match parameter {
            Parameter::Dial => self.dial == Some(Dial::Auto),
            _ => self.rules == Rules::Document && !super::check::is_valid(parameter, given, self.rules),
        }
    }
}

impl fmt::Debug for Targets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Targets({})", self.iter().count())
    }
}

impl fmt::Debug for Effective<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Effective");
        shown.field("rules", &self.rules).field("role", &self.role);
        shown.field("has_tunnel", &self.tunnel.is_some()).field("targets", &self.targets);
        for parameter in Parameter::ALL {
            if let Some(text) = self.text(parameter) {
                shown.field(parameter.name(), &masked(&text));
            }
        }
        shown.finish_non_exhaustive()
    }
}

/// The first value of each parameter, empty where it is absent or empty: both count the same.
struct Given<'a>([&'a str; Parameter::ALL.len()]);

impl<'a> Given<'a> {
    fn of(url: &'a InstanceUrl) -> Self {
        let mut given = Self([""; Parameter::ALL.len()]);
        let mut seen = Parameters::NONE;
        for pair in url.raw_query().into_iter().flat_map(pairs) {
            // A name that is known as it stands has no escapes.
            let parameter =
                Parameter::from_name(pair.raw_name).or_else(|| Parameter::from_name(&pair.name()));
            if let Some(parameter) = parameter.filter(|parameter| seen.insert(*parameter)) {
                given.0[parameter as usize] = pair.raw_value;
            }
        }
        given
    }

    fn get(&self, parameter: Parameter) -> Option<Cow<'a, str>> {
        let raw = self.0[parameter as usize];
        (!raw.is_empty()).then(|| decode_query_text(raw))
    }
}

/// Reads values by the rules: absent is the default, and what is not understood is zero.
struct Reader<'r, 'a> {
    given: &'r Given<'a>,
    rules: Rules,
    used: Parameters,
}

impl<'a> Reader<'_, 'a> {
    fn is_used(&self, parameter: Parameter) -> bool {
        self.used.has(parameter)
    }

    fn number<T>(
        &self,
        parameter: Parameter,
        default: T,
        invalid: T,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        self.is_used(parameter).then(|| match self.given.get(parameter) {
            None => default,
            Some(text) => {
                let invalid = if self.rules == Rules::Document { default } else { invalid };
                read(&text).unwrap_or(invalid)
            }
        })
    }

    /// Reads one of several words; any other is kept by the process as it is.
    fn kept<T: Default>(
        &self,
        parameter: Parameter,
        read: impl Fn(&str) -> Option<T>,
        other: T,
    ) -> Option<T> {
        self.number(parameter, T::default(), other, read)
    }

    fn flag(&self, parameter: Parameter) -> Option<bool> {
        self.kept(parameter, |text| Some(text == "1"), false)
    }

    fn text(&self, parameter: Parameter) -> Option<Cow<'a, str>> {
        self.is_used(parameter).then(|| self.given.get(parameter)).flatten()
    }

    fn dns(&self) -> Option<Dns<'a>> {
        const CACHE: Duration = Duration::from_secs(300);
        if self.rules.since(1, 12, 0) {
            return self
                .number(Parameter::Dns, CACHE, Duration::ZERO, duration::parse_duration)
                .map(Dns::Cache);
        }
        let list =
            || self.given.get(Parameter::Dns).or(Parameter::Dns.default(self.rules).map(Cow::Borrowed));
        self.is_used(Parameter::Dns).then(list).flatten().map(Dns::Resolvers)
    }

    fn sni(&self, url: &'a InstanceUrl) -> Option<Cow<'a, str>> {
        let host = || {
            let host = url.host();
            let is_name = !host.is_empty() && host.parse::<std::net::IpAddr>().is_err();
            if is_name { host } else { "none".into() }
        };
        self.is_used(Parameter::Sni).then(|| self.given.get(Parameter::Sni).unwrap_or_else(host))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the original stores the number in 32 bits")]
fn slots(text: &str) -> Option<i32> {
    number(text).filter(|number| *number > 0).map(|number| number as i32)
}

fn tolerant_tunnel(url: &InstanceUrl) -> Option<Cow<'_, str>> {
    let text = url.tunnel_text();
    (text.is_empty() || Address::parse(&text).is_ok()).then_some(text)
}

fn tolerant_targets(url: &InstanceUrl) -> Option<Targets<'_>> {
    let targets = Targets { text: url.target_text(), are_several: false };
    let is_fine = targets.texts().all(|text| Address::parse(text).is_ok());
    is_fine.then_some(targets)
}

/// Reads both addresses of a process that ends itself over a wrong one. A check of the names is left to the process.
fn strict_addresses(url: &InstanceUrl, rules: Rules) -> Result<(Cow<'_, str>, Targets<'_>), Refused> {
    let tunnel_text = url.tunnel_text();
    if tunnel_text.is_empty() {
        return Err(Refused::NoTunnel);
    }
    let tunnel = Address::parse(&tunnel_text);
    let tunnel = tunnel.as_ref().map_err(|error| Refused::Tunnel(*error))?;
    let targets = Targets { text: url.target_text(), are_several: rules.since(1, 8, 2) };
    let mut count = 0;
    let mut found_loop = None;
    for (index, text) in targets.texts().enumerate() {
        let target = Address::parse(text);
        let target = target.as_ref().map_err(|error| Refused::Target { index, error: *error })?;
        let is_here = || target.is_loopback() || tunnel.is_wildcard();
        if target.port == tunnel.port && is_here() && found_loop.is_none() {
            found_loop = Some(Refused::Loop { index });
        }
        count += 1;
    }
    match found_loop {
        _ if count == 0 => Err(Refused::NoTarget),
        Some(refused) if rules.since(1, 11, 0) => Err(refused),
        _ => Ok((tunnel_text, targets)),
    }
}
