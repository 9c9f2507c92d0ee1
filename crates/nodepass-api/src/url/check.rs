//! Whether a URL is what somebody could have meant.

use super::address::{Address, AddressError, Host, Port};
use super::effective::items;
use super::escape::masked;
use super::parameter::Parameters;
use super::text::Form;
use super::value::{Balance, Block, LogLevel, RunMode, TlsMode, Transport, number, positive};
use super::{InstanceUrl, Parameter, Role, Rules, duration};
use std::fmt;
use std::net::IpAddr;

/// Something in an instance URL that a master takes and nobody wants. No text of it has the tunnel key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No `//` after the scheme.
    #[error("no `//` follows the scheme, so that neither tunnel nor target is named")]
    NoAuthority,
    /// A password after the tunnel key.
    #[error("what stands after the colon of the tunnel key is ignored")]
    Password,
    /// Neither host nor port.
    #[error("the tunnel address is missing")]
    NoTunnel,
    /// The tunnel address is none.
    #[error("the tunnel address cannot be used: {0}")]
    Tunnel(AddressError),
    /// The tunnel's port is 0.
    #[error("the tunnel's port is not between 1 and 65535")]
    TunnelPort,
    /// No target.
    #[error("the target is missing")]
    NoTarget,
    /// A target is none.
    #[error("target {} cannot be used: {error}", index + 1)]
    Target {
        /// Which one, from 0.
        index: usize,
        /// Why.
        error: AddressError,
    },
    /// A target's port is 0.
    #[error("the port of target {} is not between 1 and 65535", index + 1)]
    TargetPort {
        /// Which one, from 0.
        index: usize,
    },
    /// More than one target where one is all there may be.
    #[error("there is more than one target, which {rules} does not take")]
    SeveralTargets {
        /// By whose word.
        rules: Rules,
    },
    /// The target is the tunnel itself.
    #[error("target {} is the tunnel itself", index + 1)]
    Loop {
        /// Which one, from 0.
        index: usize,
    },
    /// No version knows the parameter.
    #[error("{:?} is no parameter", Cut(name))]
    Unknown {
        /// Its name, `…` if there is an `@` in it.
        name: Box<str>,
    },
    /// Another version knows the parameter.
    #[error("`{parameter}` is no parameter of {rules}")]
    NotInVersion {
        /// Which.
        parameter: Parameter,
        /// Whose it would have to be.
        rules: Rules,
    },
    /// The parameter is for the other role.
    #[error("`{parameter}` has no effect on a {role}")]
    OtherRole {
        /// Which.
        parameter: Parameter,
        /// The role that it is not for.
        role: Role,
    },
    /// The pool of the handshake is never used by a client that forwards by itself.
    #[error("`{parameter}` has no effect on a client with mode=1")]
    SingleEnded {
        /// `min` or `max`.
        parameter: Parameter,
    },
    /// A certificate that is not used.
    #[error("`{parameter}` has no effect without tls=2")]
    WithoutFiles {
        /// `crt` or `key`.
        parameter: Parameter,
    },
    /// `tls=2` without a file that it needs: the process would make a certificate of its own.
    #[error("tls=2 needs `{parameter}`")]
    NoFile {
        /// `crt` or `key`.
        parameter: Parameter,
    },
    /// A value that is not understood.
    #[error("`{parameter}` is {:?}, which is not {expected}", Cut(value))]
    Invalid {
        /// Which.
        parameter: Parameter,
        /// What is given, `…` if there is an `@` in it.
        value: Box<str>,
        /// What would do.
        expected: &'static str,
    },
    /// The first value counts alone.
    #[error("`{parameter}` is there more than once")]
    Repeated {
        /// Which.
        parameter: Parameter,
    },
    /// Masters and processes drop a parameter.
    #[error("a parameter with a semicolon or a broken escape is dropped")]
    Dropped,
    /// Nothing reads what stands after `#`.
    #[error("what stands after `#` is ignored")]
    Fragment,
}

/// The beginning of a long text.
struct Cut<'a>(&'a str);

impl fmt::Debug for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LENGTH: usize = 60;
        match self.0.char_indices().nth(LENGTH) {
            Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

/// Returns all problems, in the order of the parts.
pub(super) fn problems(url: &InstanceUrl, rules: Rules) -> Vec<Problem> {
    let mut problems = Vec::new();
    addresses(url, rules, &mut problems);
    parameters(url, rules, &mut problems);
    if url.dropped_pairs() > 0 {
        problems.push(Problem::Dropped);
    }
    if url.text().fragment().is_some() {
        problems.push(Problem::Fragment);
    }
    problems
}

fn addresses(url: &InstanceUrl, rules: Rules, problems: &mut Vec<Problem>) {
    if url.text().form() != Form::Authority {
        problems.push(Problem::NoAuthority);
        return;
    }
    if url.has_password() {
        problems.push(Problem::Password);
    }
    let tunnel_text = url.tunnel_text();
    let tunnel = match Address::parse(&tunnel_text) {
        _ if tunnel_text.is_empty() => Err(Problem::NoTunnel),
        Ok(tunnel) if tunnel.port == Port::Number(0) => Err(Problem::TunnelPort),
        Ok(tunnel) => Ok(tunnel),
        Err(error) => Err(Problem::Tunnel(error)),
    };
    let target_text = url.target_text();
    let takes_several = rules.since(1, 8, 2);
    let mut targets: Vec<&str> = items(&target_text).collect();
    if targets.len() == 1 && !takes_several {
        targets = vec![&target_text]; // where there is no list, spaces and commas belong to the address
    }
    let tunnel = tunnel.map_err(|problem| problems.push(problem)).ok();
    match targets.len() {
        0 => problems.push(Problem::NoTarget),
        2.. if !takes_several => problems.push(Problem::SeveralTargets { rules }),
        _ => {}
    }
    for (index, target) in targets.into_iter().enumerate() {
        match Address::parse(target) {
            Err(error) => problems.push(Problem::Target { index, error }),
            Ok(target) if target.port == Port::Number(0) => problems.push(Problem::TargetPort { index }),
            Ok(target) if tunnel.is_some_and(|tunnel| is_loop(&tunnel, &target, rules)) => {
                problems.push(Problem::Loop { index });
            }
            Ok(_) => {}
        }
    }
}

/// Whether a target is the tunnel itself; by the rule of 1.11.0, or where that would not be said, by common sense.
fn is_loop(tunnel: &Address<'_>, target: &Address<'_>, rules: Rules) -> bool {
    let is_local = |address: &Address<'_>| {
        address.is_loopback()
            || matches!(address.host, Host::Name(name) if name.eq_ignore_ascii_case("localhost"))
    };
    let is_here = |address: &Address<'_>| is_local(address) || address.is_wildcard();
    tunnel.port == target.port
        && match rules.since(1, 11, 0) {
            true => is_local(target) || tunnel.is_wildcard(),
            false => (is_here(tunnel) && is_here(target)) || tunnel.host == target.host,
        }
}

fn parameters(url: &InstanceUrl, rules: Rules, problems: &mut Vec<Problem>) {
    let role = url.role();
    let is_given = |parameter: Parameter, value: &str| url.parameter(parameter).as_deref() == Some(value);
    let is_single_ended = role == Role::Client && is_given(Parameter::Mode, "1");
    let has_files = is_given(Parameter::Tls, "2");
    let mut seen = Parameters::NONE;
    for pair in url.parameters() {
        let (name, value) = (pair.name(), pair.value());
        let Some(parameter) = Parameter::from_name(&name) else {
            problems.push(Problem::Unknown { name: masked(&name).into() });
            continue;
        };
        if !seen.insert(parameter) {
            problems.push(Problem::Repeated { parameter });
            continue;
        }
        let is_file = matches!(parameter, Parameter::Crt | Parameter::Key);
        let is_of_pool = matches!(parameter, Parameter::Min | Parameter::Max);
        let is_document = rules == Rules::Document;
        if value.is_empty() {
            // It counts as absent.
        } else if !parameter.is_known(rules) {
            problems.push(Problem::NotInVersion { parameter, rules });
        } else if !parameter.is_used(rules, role) {
            problems.push(Problem::OtherRole { parameter, role });
        } else if is_document && is_of_pool && is_single_ended {
            problems.push(Problem::SingleEnded { parameter });
        } else if is_document && is_file && !has_files {
            problems.push(Problem::WithoutFiles { parameter });
        } else if !is_valid(parameter, &value, rules) {
            let expected = expected(parameter, rules);
            problems.push(Problem::Invalid { parameter, value: masked(&value).into(), expected });
        }
    }
    if has_files && Parameter::Tls.is_used(rules, role) {
        for parameter in [Parameter::Crt, Parameter::Key] {
            if url.parameter(parameter).is_none_or(|file| file.is_empty()) {
                problems.push(Problem::NoFile { parameter });
            }
        }
    }
}

/// Whether a value is one that a user could want. A zero that means "none" is; a process takes more than this.
pub(super) fn is_valid(parameter: Parameter, value: &str, rules: Rules) -> bool {
    let is_flag = || matches!(value, "0" | "1");
    let is_count = |limit: i64| number(value).is_some_and(|number| (0..=limit).contains(&number));
    match parameter {
        Parameter::Log => LogLevel::from_name(value).is_some(),
        Parameter::Tls => TlsMode::from_code(value).is_some(),
        Parameter::Crt | Parameter::Key | Parameter::Sni => true,
        Parameter::Min | Parameter::Max => positive(value).is_some(),
        Parameter::Mode => RunMode::from_code(value).is_some(),
        Parameter::Read => duration::parse(value).is_some(),
        Parameter::Rate => is_count(i64::MAX),
        Parameter::Slot => is_count(i32::MAX.into()),
        Parameter::Proxy | Parameter::NoUdp | Parameter::NoTcp | Parameter::Quic => is_flag(),
        Parameter::Dns if rules.since(1, 12, 0) => duration::parse(value).is_some(),
        Parameter::Dns => items(value).all(is_address) && items(value).next().is_some(),
        Parameter::Dial => value == "auto" || is_address(value),
        Parameter::Type => Transport::from_code(value).is_some(),
        Parameter::Block => Block::is_strict(value),
        Parameter::Lbs => Balance::from_code(value).is_some(),
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn expected(parameter: Parameter, rules: Rules) -> &'static str {
    match parameter {
        Parameter::Log => "one of none, debug, info, warn, error, event",
        Parameter::Tls | Parameter::Mode | Parameter::Lbs => "0, 1 or 2",
        Parameter::Crt | Parameter::Key | Parameter::Sni => "a text",
        Parameter::Min | Parameter::Max => "a whole number above 0",
        Parameter::Read => "a time such as 30s, 10m or 1h30m",
        Parameter::Rate => "a whole number of Mbps, 0 for no limit",
        Parameter::Slot => "a whole number up to 2147483647, 0 for no limit",
        Parameter::Proxy | Parameter::NoUdp | Parameter::NoTcp | Parameter::Quic => "0 or 1",
        Parameter::Dns if rules.since(1, 12, 0) => "a time such as 30s, 5m or 1h",
        Parameter::Dns => "a list of IP addresses",
        Parameter::Dial => "auto or an IP address",
        Parameter::Type => "0, 1, 2 or 3",
        Parameter::Block => "0, or digits from 1 to 3",
    }
}
