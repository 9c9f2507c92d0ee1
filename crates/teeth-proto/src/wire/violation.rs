//! What ends a connection, in the words that go over the wire.

/// Why a connection is ended with a fatal error: the peer broke the protocol.
///
/// `Display` tells what happened; [`text`](Self::text) is what the peer is told. The first ten are the original's; it
/// answers the others with a closed connection or with nothing at all, this crate with a malformed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The line is not JSON in UTF-8, or nests too deep.
    #[error("protocol error: unable to decode message.")]
    Undecodable,
    /// An object without `method`, `error` and `result`.
    #[error("protocol error: malformed message.")]
    Malformed,
    /// `version` is absent or empty.
    #[error("protocol violation: missing message version.")]
    MissingVersion,
    /// `id` is absent or empty.
    #[error("protocol violation: missing message id.")]
    MissingId,
    /// A command without `params`.
    #[error("protocol violation: missing message params.")]
    MissingParams,
    /// `params` is not an object.
    #[error("protocol violation: message params must be an object.")]
    ParamsNotAnObject,
    /// A response to a command that is not outstanding.
    #[error("protocol violation: unknown message id referenced.")]
    UnknownId,
    /// A command, and this side serves none at all.
    #[error("protocol violation: unsupported command.")]
    UnsupportedCommand,
    /// A command of another version than `v1`.
    #[error("unknown message version")]
    UnknownVersion,
    /// A command that this side does not serve.
    #[error("unknown message method")]
    UnknownMethod,
    /// The line is JSON and no object.
    #[error("the message is not an object")]
    NotAnObject,
    /// The line is longer than the limit.
    #[error("the line is too long")]
    LineTooLong,
    /// An answer with the command's id would not fit into a line.
    #[error("the message id is too long to be answered")]
    IdTooLong,
    /// `version` of a command is an array or an object.
    #[error("the message version is an array or an object")]
    StructuredVersion,
    /// `method` is an array or an object.
    #[error("the method is an array or an object")]
    StructuredMethod,
}

impl Violation {
    /// Returns the text of the fatal error that the peer gets.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Undecodable => "protocol error: unable to decode message.",
            Self::Malformed
            | Self::NotAnObject
            | Self::LineTooLong
            | Self::IdTooLong
            | Self::StructuredVersion
            | Self::StructuredMethod => "protocol error: malformed message.",
            Self::MissingVersion => "protocol violation: missing message version.",
            Self::MissingId => "protocol violation: missing message id.",
            Self::MissingParams => "protocol violation: missing message params.",
            Self::ParamsNotAnObject => "protocol violation: message params must be an object.",
            Self::UnknownId => "protocol violation: unknown message id referenced.",
            Self::UnsupportedCommand => "protocol violation: unsupported command.",
            Self::UnknownVersion => "unknown message version",
            Self::UnknownMethod => "unknown message method",
        }
    }
}
