//! Why there is no response.

/// Why a request has no response, or a stream no proper end. A driver maps its transport's errors to this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Whether the master may have seen the request.
    pub delivered: Delivery,
    /// What happened.
    pub kind: FailureKind,
}

/// Whether the master may have seen a request that has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it may have or it may not")]
pub enum Delivery {
    /// No byte of it was sent.
    No,
    /// Some or all of it was sent.
    Perhaps,
}

/// What happened to a request that has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FailureKind {
    /// The connection was refused, or there is no way to the host.
    #[error("connection refused")]
    Refused,
    /// The host name has no address.
    #[error("host name not found")]
    NameResolution,
    /// It took too long; also what the machine itself reports when its own limit passes.
    #[error("timed out")]
    TimedOut,
    /// The connection was reset or ended early.
    #[error("connection lost")]
    ConnectionLost,
    /// The peer answered the TLS handshake with something that is not TLS: a master without TLS most likely.
    #[error("the peer does not speak TLS")]
    PlainHttp,
    /// The certificate was refused: masters make their own unless they are given one.
    #[error("certificate refused")]
    Certificate,
    /// TLS did not come about for another reason: masters want version 1.3.
    #[error("TLS handshake failed")]
    Tls,
    /// The answer is longer than the driver is willing to hold. The peer does answer.
    #[error("larger than the limit of this side")]
    TooLarge,
    /// Anything else.
    #[error("transport error")]
    Other,
}

impl Failure {
    /// Returns a failure.
    #[must_use]
    pub fn new(delivered: Delivery, kind: FailureKind) -> Self {
        Self { delivered, kind }
    }
}
