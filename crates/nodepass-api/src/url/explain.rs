//! An instance URL in words.

use super::effective::items;
use super::escape::masked;
use super::value::{Balance, Block, Dial, Dns, LogLevel, RunMode, TlsMode, Transport};
use super::{Address, Effective, InstanceUrl, Parameter, Role, Rules};
use std::fmt;

/// One part of an instance URL. `Display` writes it as one line, for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Line {
    /// The name of the part or of the parameter.
    pub name: Box<str>,
    /// Its value as a process uses it; `…` in the place of a tunnel key, and of what has an `@` in it.
    pub value: Box<str>,
    /// Where the value is from.
    pub origin: Origin,
    /// What it does.
    pub meaning: Box<str>,
}

/// Where the value of a [`Line`] is from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// From the URL.
    Given,
    /// The URL has none.
    Default,
    /// The URL has this, which is not understood.
    Replaced(Box<str>),
    /// From the URL, but nothing reads it.
    Ignored,
    /// From the URL, and no process can use it.
    Unusable,
}

impl Line {
    fn new(name: &str, value: impl fmt::Display, origin: Origin, meaning: impl Into<Box<str>>) -> Self {
        Self { name: name.into(), value: value.to_string().into(), origin, meaning: meaning.into() }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Control characters of a decoded value would write elsewhere on a terminal.
        let value = self.value.escape_debug();
        write!(f, "{:<11} {value}  [{}] {}", self.name.escape_debug().to_string(), self.origin, self.meaning)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("given"),
            Self::Default => f.write_str("default"),
            Self::Replaced(given) => write!(f, "for {given:?}, which is not understood"),
            Self::Ignored => f.write_str("ignored"),
            Self::Unusable => f.write_str("unusable"),
        }
    }
}

pub(super) fn lines(url: &InstanceUrl, rules: Rules) -> Vec<Line> {
    let values = Effective::without_addresses(url, rules);
    let mut lines = addresses(url, rules);
    for parameter in Parameter::ALL {
        lines.extend(line_of(parameter, url, &values));
    }
    for pair in url.parameters() {
        let (name, value) = (pair.name(), pair.value());
        let meaning = match Parameter::from_name(&name) {
            Some(parameter) if parameter.is_used(rules, url.role()) => continue,
            Some(parameter) if parameter.is_known(rules) => format!("not for a {}", url.role()),
            Some(_) => format!("no parameter of {rules}"),
            None => "no parameter of any version".to_owned(),
        };
        lines.push(Line::new(masked(&name), masked(&value), Origin::Ignored, meaning));
    }
    lines
}

/// Kind, key, tunnel and targets, and whether a process ends itself over them.
fn addresses(url: &InstanceUrl, rules: Rules) -> Vec<Line> {
    let role = match url.role() {
        Role::Server => "waits for its client on the tunnel address",
        Role::Client => "forwards by itself, or connects to its server on the tunnel address",
    };
    let (origin, key) = match url.tunnel_key().is_given() {
        true => (Origin::Given, "both ends need this key"),
        false => (Origin::Default, "follows from the port: anybody who knows the port knows it"),
    };
    let mut lines =
        vec![Line::new("type", url.role(), Origin::Given, role), Line::new("tunnel key", "…", origin, key)];
    lines.push(address("tunnel", &url.tunnel_text(), url.role()));
    let targets = url.target_text();
    let listed: Vec<&str> = if rules.since(1, 8, 2) { items(&targets).collect() } else { vec![&targets] };
    lines.extend(listed.into_iter().map(|target| address("target", target, url.role())));
    if let Err(refused) = url.effective(rules) {
        lines.push(Line::new("process", "exits", Origin::Unusable, refused.to_string()));
    }
    lines
}

fn address(name: &str, text: &str, role: Role) -> Line {
    match Address::parse(text) {
        Ok(_) if text.contains('@') => Line::new(name, masked(text), Origin::Given, "an address with a zone"),
        Ok(address) if address.needs_resolver() => {
            Line::new(name, address, Origin::Given, "looked up when the process starts")
        }
        Ok(address) if address.is_wildcard() => {
            let meaning = match (name, role) {
                ("tunnel", Role::Server) => "on all interfaces",
                _ => "this machine, or all its interfaces where it listens",
            };
            Line::new(name, address, Origin::Given, meaning)
        }
        Ok(address) => Line::new(name, address, Origin::Given, "an address"),
        Err(_) if text.is_empty() => Line::new(name, "", Origin::Default, "missing"),
        // What stands here may have been meant for another place.
        Err(error) => Line::new(name, "…", Origin::Unusable, error.to_string()),
    }
}

fn line_of(parameter: Parameter, url: &InstanceUrl, values: &Effective<'_>) -> Option<Line> {
    let meaning = meaning(parameter, values)?;
    let value = values.text(parameter).unwrap_or_default();
    let given = url.parameter(parameter).filter(|given| !given.is_empty());
    let origin = match given {
        None => Origin::Default,
        Some(given) if is_understood(parameter, &given, values) => Origin::Given,
        Some(given) => Origin::Replaced(masked(&given).into()),
    };
    Some(Line::new(parameter.name(), masked(&value), origin, meaning))
}

/// Whether the value that was given is the one in use; words that mean nothing are kept by a process.
fn is_understood(parameter: Parameter, given: &str, values: &Effective<'_>) -> bool {
    match parameter {
        Parameter::Crt | Parameter::Key | Parameter::Sni => true,
        _ => super::check::is_valid(parameter, given, values.rules),
    }
}

/// Returns what a value does; `None` for a parameter that the process does not look at, and for absent files.
fn meaning(parameter: Parameter, values: &Effective<'_>) -> Option<String> {
    let on = |flag: bool, on: &str, off: &str| if flag { on.to_owned() } else { off.to_owned() };
    Some(match parameter {
        Parameter::Log if !parameter.is_used(values.rules, values.role) => return None,
        Parameter::Log => match values.log {
            LogLevel::None => "nothing is logged, and no counter moves".to_owned(),
            LogLevel::Event => "counters move, and hardly anything is logged".to_owned(),
            level => format!("what is logged: {} and above", level.as_str()),
        },
        Parameter::Tls => match values.tls? {
            TlsMode::Off => "the tunnel is not encrypted".to_owned(),
            TlsMode::SelfSigned => "encrypted, with a certificate that the process makes".to_owned(),
            TlsMode::Files => "encrypted, with the certificate of `crt` and `key`".to_owned(),
        },
        Parameter::Crt => values.crt.as_ref().map(|_| "file of the certificate".to_owned())?,
        Parameter::Key => values.key.as_ref().map(|_| "file of the certificate's key".to_owned())?,
        Parameter::Min => format!("pooled connections at least, {} asked for", values.min?),
        Parameter::Max => format!("pooled connections at most, {} allowed", values.max?),
        Parameter::Mode => mode(values.mode?, values.role).to_owned(),
        Parameter::Read => on(values.read?.is_zero(), "no read timeout", "read timeout"),
        Parameter::Rate => on(values.rate? == 0, "no limit of the rate", "Mbps at most"),
        Parameter::Slot => match values.slot? {
            0 => "any number of connections at once".to_owned(),
            1.. => "connections at once at most".to_owned(),
            _ => "connections at once: the number does not fit into 32 bits".to_owned(),
        },
        Parameter::Proxy => on(values.proxy?, "a PROXY v1 header is sent", "no PROXY header is sent"),
        Parameter::NoUdp => on(values.noudp?, "UDP is off", "UDP is on"),
        Parameter::NoTcp => on(values.notcp?, "TCP is off", "TCP is on"),
        Parameter::Dns => match values.dns.as_ref()? {
            Dns::Resolvers(_) => "resolvers".to_owned(),
            Dns::Cache(_) => "how long names are remembered".to_owned(),
        },
        Parameter::Dial => match values.dial? {
            Dial::Auto => "any source address".to_owned(),
            Dial::From(_) => "source address of outgoing connections".to_owned(),
        },
        Parameter::Quic => on(values.quic?, "the pool speaks QUIC", "the pool does not speak QUIC"),
        Parameter::Type => transport(values.transport?).to_owned(),
        Parameter::Sni => on(values.sni.as_deref()? == "none", "no server name", "server name asked for"),
        Parameter::Block => block(values.block?),
        Parameter::Lbs => balance(values.balance?).to_owned(),
    })
}

fn mode(mode: RunMode, role: Role) -> &'static str {
    match (mode, role) {
        (RunMode::Auto, Role::Server) => "listens on the target if it can, else dials it",
        (RunMode::First, Role::Server) => "listens on the target (reverse)",
        (RunMode::Second, Role::Server) => "dials the target (forward)",
        (RunMode::Auto, Role::Client) => {
            "listens on the tunnel address if it can, else shakes hands with a server"
        }
        (RunMode::First, Role::Client) => "listens on the tunnel address (single-ended)",
        (RunMode::Second, Role::Client) => "shakes hands with its server (two-ended)",
    }
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "the pool speaks TCP",
        Transport::Quic => "the pool speaks QUIC, always encrypted",
        Transport::WebSocket => "the pool speaks WebSocket",
        Transport::Http2 => "the pool speaks HTTP/2",
        Transport::Unknown => "the pool would speak something unknown",
    }
}

fn balance(balance: Balance) -> &'static str {
    match balance {
        Balance::RoundRobin => "targets take turns",
        Balance::Latency => "the target that answers soonest",
        Balance::PrimaryBackup => "the first target, the others while it is away",
        Balance::Unknown => "targets are chosen in an unknown way",
    }
}

fn block(block: Block) -> String {
    let kinds = [(block.socks, "SOCKS"), (block.http, "HTTP"), (block.tls, "TLS")];
    let blocked: Vec<&str> = kinds.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name).collect();
    if blocked.is_empty() {
        "lets everything through".to_owned()
    } else {
        format!("blocks {}", blocked.join(", "))
    }
}
