//! What is wrong with a configuration, and what is odd about one that is taken.

use std::fmt;

/// A part of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// The whole HTTP body.
    Body,
    /// `revision`.
    Revision,
    /// `clientMap`, in the gRPC message `clientMapJson`.
    ClientMap,
    /// `mtprotoClientMap`, in the gRPC message `mtprotoClientMapJson`.
    MtprotoClientMap,
    /// `services`, in the gRPC message `servicesJson`.
    Services,
}

impl Field {
    /// Returns its name in the HTTP object, empty for the body itself.
    #[must_use]
    pub fn http_name(self) -> &'static str {
        match self {
            Self::Body => "",
            Self::Revision => "revision",
            Self::ClientMap => "clientMap",
            Self::MtprotoClientMap => "mtprotoClientMap",
            Self::Services => "services",
        }
    }

    /// Returns its name in the gRPC message, empty for the body, which a message has none of.
    #[must_use]
    pub fn grpc_name(self) -> &'static str {
        match self {
            Self::Body => "",
            Self::Revision => "revision",
            Self::ClientMap => "clientMapJson",
            Self::MtprotoClientMap => "mtprotoClientMapJson",
            Self::Services => "servicesJson",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Body { "the configuration" } else { self.http_name() })
    }
}

/// What is wrong with a part. Shows no text of it, for services are full of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The body is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// It is not JSON.
    #[error("is not JSON from line {line}, column {column}")]
    NotJson {
        /// Counted from 1, within this part.
        line: usize,
        /// Counted from 1, in bytes; 0 is the end of the line before.
        column: usize,
    },
    /// It is JSON, but no object.
    #[error("is no object")]
    NotAnObject,
    /// Lists and objects stand inside each other deeper than [`MAX_JSON_DEPTH`](crate::message::MAX_JSON_DEPTH).
    #[error("is nested too deep")]
    TooDeep,
    /// An entry is no object with a valid userId and a valid, null or absent subscriptionId.
    #[error("has an entry that is none, at line {line}, column {column}")]
    Entry {
        /// Counted from 1, within this part.
        line: usize,
        /// Counted from 1, in bytes; 0 is the end of the line before.
        column: usize,
    },
    /// The named service is there and no object.
    #[error("has a service {0:?} that is no object")]
    Service(&'static str),
    /// The revision is not there.
    #[error("is not there")]
    Missing,
    /// The revision is no integer in the range of a [`Revision`](crate::value::Revision).
    #[error("is no integer in range")]
    OutOfRange,
}

/// A configuration that cannot be taken: which part, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{field} {problem}")]
#[non_exhaustive]
pub struct NodeConfigError {
    /// The part at fault.
    pub field: Field,
    /// What is wrong with it.
    pub problem: Problem,
}

impl NodeConfigError {
    pub(super) fn new(field: Field, problem: Problem) -> Self {
        Self { field, problem }
    }
}

/// A defect that does not keep a configuration from being taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// Keys of the client map are no decimal ids: they are kept and attribute nothing.
    #[error("clientMap has {count} keys that are no ids")]
    KeysNotIds {
        /// How many, at least 1.
        count: usize,
    },
    /// The map of old nodes is broken and was left empty.
    #[error("mtprotoClientMap {0}")]
    MtprotoClientMap(Problem),
}

impl Warning {
    /// Returns how many defects it stands for.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::KeysNotIds { count } => *count,
            Self::MtprotoClientMap(_) => 1,
        }
    }
}
