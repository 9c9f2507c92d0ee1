//! Why a call has no reply, and what that means for what it carried. §9.3.

use crate::config::NodeConfigError;
use crate::message::FieldError;

/// Why a call has no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Whether Core may have seen the call. A driver that cannot tell says [`Delivery::Perhaps`].
    pub delivered: Delivery,
    /// What happened.
    pub kind: FailureKind,
}

/// Whether Core may have seen a call that has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "it may have or it may not")]
pub enum Delivery {
    /// No byte of it was written.
    No,
    /// Some or all of it was written.
    Perhaps,
}

/// What happened to a call that has no reply. A driver maps its transport's errors to these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FailureKind {
    /// Core, or the gRPC implementation, ended it with a code. Its text is for people and is never looked at.
    #[error("gRPC status {0:?}")]
    Grpc(GrpcCode),
    /// Core answered with an HTTP status that is no success.
    #[error("HTTP status {0}")]
    Http(u16),
    /// The connection was refused.
    #[error("connection refused")]
    Refused,
    /// The host name has no address.
    #[error("host name not found")]
    NameResolution,
    /// The TLS handshake failed.
    #[error("TLS handshake failed")]
    Tls,
    /// No end within the time limit.
    #[error("timed out")]
    TimedOut,
    /// The connection was reset or ended early.
    #[error("connection lost")]
    ConnectionLost,
    /// A message is above a size limit of this side.
    #[error("larger than the limit of this side")]
    TooLarge,
    /// There is a reply that cannot be read.
    #[error("unreadable reply: {0}")]
    Unreadable(FieldError),
    /// There is a configuration that cannot be taken.
    #[error("unusable configuration: {0}")]
    Config(NodeConfigError),
    /// Anything else.
    #[error("transport error")]
    Other,
}

/// The codes of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "gRPC has these codes")]
#[expect(missing_docs, reason = "their meaning is that of gRPC")]
#[repr(u8)]
pub enum GrpcCode {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl GrpcCode {
    const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// Returns the code of a number; [`Unknown`](Self::Unknown) for a number that gRPC does not have.
    #[must_use]
    pub fn from_number(number: i32) -> Self {
        let code = usize::try_from(number).ok().and_then(|index| Self::ALL.get(index));
        code.copied().unwrap_or(Self::Unknown)
    }

    /// Returns its number, 0 to 16.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }
}

/// What became of what a call carried. §9.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Core took it.
    Acked,
    /// Core did not take it, and may take it later.
    NotApplied,
    /// Core does not know the key.
    Auth,
    /// Core will never take it as it is.
    Rejected,
    /// It is too large.
    TooLarge,
    /// Core does not have this call on this way.
    Missing,
    /// Nobody can tell.
    Ambiguous,
}

impl Failure {
    /// Returns a failure.
    #[must_use]
    pub const fn new(delivered: Delivery, kind: FailureKind) -> Self {
        Self { delivered, kind }
    }

    /// Returns the failure of a call that Core answered, hence has seen.
    #[must_use]
    pub const fn answered(kind: FailureKind) -> Self {
        Self::new(Delivery::Perhaps, kind)
    }

    /// Returns what became of what the call carried.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match &self.kind {
            FailureKind::Grpc(code) => self.of_code(*code),
            FailureKind::Http(status) => of_status(*status),
            FailureKind::TooLarge if self.delivered == Delivery::No => Outcome::TooLarge,
            FailureKind::Refused
            | FailureKind::NameResolution
            | FailureKind::Tls
            | FailureKind::TimedOut
            | FailureKind::ConnectionLost
            | FailureKind::TooLarge
            | FailureKind::Unreadable(_)
            | FailureKind::Config(_)
            | FailureKind::Other => self.of_delivery(),
        }
    }

    /// Whether the transport failed, rather than Core: what counts towards the change from gRPC to HTTP (§12).
    #[must_use]
    pub fn is_transport(&self) -> bool {
        match &self.kind {
            FailureKind::Grpc(code) => matches!(code, GrpcCode::Unavailable | GrpcCode::DeadlineExceeded),
            FailureKind::Refused
            | FailureKind::NameResolution
            | FailureKind::Tls
            | FailureKind::TimedOut
            | FailureKind::ConnectionLost
            | FailureKind::Other => true,
            FailureKind::Http(_)
            | FailureKind::TooLarge
            | FailureKind::Unreadable(_)
            | FailureKind::Config(_) => false,
        }
    }

    fn of_delivery(&self) -> Outcome {
        match self.delivered {
            Delivery::No => Outcome::NotApplied,
            Delivery::Perhaps => Outcome::Ambiguous,
        }
    }

    fn of_code(&self, code: GrpcCode) -> Outcome {
        match code {
            GrpcCode::Unavailable => self.of_delivery(),
            GrpcCode::ResourceExhausted | GrpcCode::FailedPrecondition | GrpcCode::Aborted => {
                Outcome::NotApplied
            }
            GrpcCode::Unauthenticated | GrpcCode::PermissionDenied => Outcome::Auth,
            GrpcCode::InvalidArgument
            | GrpcCode::OutOfRange
            | GrpcCode::NotFound
            | GrpcCode::AlreadyExists => Outcome::Rejected,
            GrpcCode::Unimplemented => Outcome::Missing,
            GrpcCode::Ok
            | GrpcCode::Cancelled
            | GrpcCode::Unknown
            | GrpcCode::DeadlineExceeded
            | GrpcCode::Internal
            | GrpcCode::DataLoss => Outcome::Ambiguous,
        }
    }
}

fn of_status(status: u16) -> Outcome {
    match status {
        429 => Outcome::NotApplied,
        401 | 403 => Outcome::Auth,
        400 | 409 | 422 => Outcome::Rejected,
        413 => Outcome::TooLarge,
        404 | 405 => Outcome::Missing,
        _ => Outcome::Ambiguous,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_agree() {
        for number in 0..=16 {
            assert_eq!(GrpcCode::from_number(number).number(), number);
        }
        for number in [-1, 17, i32::MIN, i32::MAX] {
            assert_eq!(GrpcCode::from_number(number), GrpcCode::Unknown);
        }
    }

    #[test]
    fn unavailable_depends_on_whether_the_call_was_written() {
        let unavailable = FailureKind::Grpc(GrpcCode::Unavailable);
        assert_eq!(Failure::new(Delivery::No, unavailable.clone()).outcome(), Outcome::NotApplied);
        assert_eq!(Failure::new(Delivery::Perhaps, unavailable).outcome(), Outcome::Ambiguous);
    }

    #[test]
    fn statuses_fall_into_the_classes_of_the_table() {
        let outcome = |status| Failure::answered(FailureKind::Http(status)).outcome();
        assert_eq!([429].map(outcome), [Outcome::NotApplied]);
        assert_eq!([401, 403].map(outcome), [Outcome::Auth; 2]);
        assert_eq!([400, 409, 422].map(outcome), [Outcome::Rejected; 3]);
        assert_eq!([404, 405].map(outcome), [Outcome::Missing; 2]);
        assert_eq!([413].map(outcome), [Outcome::TooLarge]);
        assert_eq!([301, 408, 500, 503, 200].map(outcome), [Outcome::Ambiguous; 5]);
    }
}
