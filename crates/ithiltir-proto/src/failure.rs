//! Why there is no response, and what that means for HTTPS. §2.1.

use crate::HostKind;
use crate::wire::Timestamp;

/// Why a request has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Whether the peer may have seen the request.
    pub delivered: Delivery,
    /// What happened.
    pub kind: FailureKind,
}

/// Whether the peer may have seen a request that has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it may have or it may not")]
pub enum Delivery {
    /// No byte of it was sent.
    No,
    /// Some or all of it was sent.
    Perhaps,
}

/// What happened to a request that has no response. A driver maps its transport's errors to these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FailureKind {
    /// The peer refused the connection (`ECONNREFUSED`). Three of these suppress a target.
    #[error("connection refused")]
    Refused,
    /// No end within the time limit; also what the machine itself reports when its own limit passes.
    #[error("timed out")]
    TimedOut,
    /// The host name has no address.
    #[error("host name not found")]
    NameResolution,
    /// The connection was reset or ended early, also during the TLS handshake.
    #[error("connection lost")]
    ConnectionLost,
    /// The peer answered the TLS handshake with something that is not TLS: plain HTTP most likely.
    #[error("the peer does not speak TLS")]
    PlainHttp,
    /// The peer's certificate was refused.
    #[error("certificate refused: {0}")]
    Certificate(CertificateProblem),
    /// Any other problem of the TLS handshake.
    #[error("TLS handshake failed")]
    Tls,
    /// Anything else.
    #[error("transport error")]
    Other,
}

/// Why a certificate was refused. Where several apply: expiry before name, name before authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// Its time has not come.
    #[error("not yet valid")]
    NotYetValid,
    /// It is for another host.
    #[error("host name mismatch")]
    NameMismatch,
    /// Nobody known signed it.
    #[error("unknown authority")]
    UnknownAuthority,
    /// Anything else.
    #[error("invalid")]
    Other,
}

impl Failure {
    /// Returns a failure.
    #[must_use]
    pub fn new(delivered: Delivery, kind: FailureKind) -> Self {
        Self { delivered, kind }
    }
}

/// What a failure on an `https` target leads to, unless HTTPS is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the table of §2.1 has these three decisions")]
pub enum Fallback {
    /// Switch to `http` for the rest of the process.
    Switch,
    /// Find out whether the certificate was good until it expired, and switch if it was.
    Probe,
    /// Stay with `https`.
    Stay,
}

impl Fallback {
    /// Decides by the table of §2.1; the first matching row wins.
    #[must_use]
    pub fn decide(kind: FailureKind, host: HostKind) -> Self {
        use CertificateProblem::{Expired, NotYetValid};
        match (kind, host) {
            (FailureKind::PlainHttp, _) => Self::Switch,
            (FailureKind::Certificate(_), HostKind::Ip(_)) => Self::Switch,
            (FailureKind::Certificate(Expired | NotYetValid), HostKind::Domain) => Self::Probe,
            _ => Self::Stay,
        }
    }
}

/// A question to the driver: was this host's certificate good until it expired?
///
/// The driver opens a TLS connection to `host` and `port` without verifying anything, takes the chain that is
/// served, asks [`verification_time`] for the instant, verifies the chain at that instant against the system's roots
/// for `host`, and answers with a [`ProbeOutcome`]. No byte is sent over the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpiryProbe {
    /// Host name, without brackets.
    pub host: String,
    /// Port, 1 to 65535.
    pub port: u16,
}

impl ExpiryProbe {
    /// Returns the question for a host and a port.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

/// The answer to an [`ExpiryProbe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "a driver answers one of these")]
pub enum ProbeOutcome {
    /// The chain was good for this host at the instant.
    #[error("the certificate was good until it expired")]
    FormerlyGood,
    /// The leaf has not expired (it may be not yet valid): there is no such instant.
    #[error("the certificate has not expired")]
    NotExpired,
    /// The chain was not good for this host even then.
    #[error("the certificate was not good before it expired")]
    NeverGood,
    /// There was no connection or no certificate, or it took too long.
    #[error("the certificate could not be looked at")]
    NoAnswer,
}

/// Returns the instant at which to verify an expired leaf's chain: one second before its end, or one second after
/// its beginning if that is later. `None` if the leaf has not expired at `wall_clock`.
#[must_use]
pub fn verification_time(
    not_before: Timestamp,
    not_after: Timestamp,
    wall_clock: Timestamp,
) -> Option<Timestamp> {
    if not_after >= wall_clock {
        return None;
    }
    let last = not_after.checked_add_seconds(-1)?;
    let first = not_before.checked_add_seconds(1)?;
    Some(last.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    /// Every row of the table in §2.1.
    #[test]
    fn the_decision_follows_the_table() {
        use CertificateProblem::{Expired, NameMismatch, NotYetValid, Other as NotListed, UnknownAuthority};
        use FailureKind::*;
        let ip = HostKind::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let domain = HostKind::Domain;
        for (kind, on_ip, on_domain) in [
            (PlainHttp, Fallback::Switch, Fallback::Switch),
            (Certificate(UnknownAuthority), Fallback::Switch, Fallback::Stay),
            (Certificate(NameMismatch), Fallback::Switch, Fallback::Stay),
            (Certificate(NotListed), Fallback::Switch, Fallback::Stay),
            (Certificate(Expired), Fallback::Switch, Fallback::Probe),
            (Certificate(NotYetValid), Fallback::Switch, Fallback::Probe),
            (Refused, Fallback::Stay, Fallback::Stay),
            (TimedOut, Fallback::Stay, Fallback::Stay),
            (NameResolution, Fallback::Stay, Fallback::Stay),
            (ConnectionLost, Fallback::Stay, Fallback::Stay),
            (Tls, Fallback::Stay, Fallback::Stay),
            (Other, Fallback::Stay, Fallback::Stay),
        ] {
            assert_eq!(Fallback::decide(kind, ip), on_ip, "{kind:?} on an address");
            assert_eq!(Fallback::decide(kind, domain), on_domain, "{kind:?} on a name");
        }
    }

    #[test]
    fn an_expired_chain_is_verified_one_second_before_its_end() {
        let at = |seconds| Timestamp::from_unix(seconds, 0).unwrap();
        assert_eq!(verification_time(at(100), at(200), at(201)), Some(at(199)));
        assert_eq!(verification_time(at(199), at(200), at(201)), Some(at(200)));
        assert_eq!(verification_time(at(100), at(200), at(200)), None);
        assert_eq!(verification_time(at(300), at(400), at(200)), None);
    }
}
