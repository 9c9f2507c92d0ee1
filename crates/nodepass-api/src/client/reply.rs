//! What a master answers. §3.

use super::{Call, Ignored, RequestError};
use crate::Secret;
use crate::wire::{Info, Instance, TcpingResult, decode};
use bytes::Bytes;
use http::Response;
use std::fmt;

/// The result of a call.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// Of [`Call::List`].
    List(List),
    /// Of [`Call::Create`], [`Call::Get`], [`Call::Patch`] and [`Call::Put`].
    Instance {
        /// The instance. Actions and starts take their time: it is as it was before.
        instance: Box<Instance>,
        /// What was asked for and did not happen, although the master gives no error.
        ignored: Vec<Ignored>,
    },
    /// Of [`Call::Delete`]: it is gone.
    Deleted,
    /// Of [`Call::Info`] and [`Call::SetMasterAlias`].
    Info(Box<Info>),
    /// Of [`Call::Tcping`], also if no connection came about.
    Tcping(TcpingResult),
    /// Of [`Call::OpenApi`] and [`Call::Docs`], as it came.
    Document(Bytes),
    /// Of [`Call::RotateKey`]: the new key.
    Key(Secret),
}

/// All instances.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct List {
    /// The instances, in the master's order, which means nothing.
    pub instances: Vec<Instance>,
    /// The record that holds the API key, which masters list as if it were one.
    pub key_record: Option<Box<Instance>>,
}

/// Reads the answer to a call, whatever its status. What was asked for and did not happen is told as far as the answer alone
/// shows it; a [`Client`](super::Client) knows the master's release and more.
///
/// A key is a new one if it differs from the one that the call was made with, which only the caller can tell.
///
/// # Errors
/// [`RequestError`] if the status is none of success, or the body is not what the call is answered with.
///
/// ```
/// use nodepass_api::client::{Call, Reply, reply};
///
/// let answer = r#"{"target":"h:1","connected":false,"latency":0,"error":"i/o timeout"}"#;
/// let Ok(Reply::Tcping(result)) = reply(&Call::Tcping("h:1".into()), &http::Response::new(answer.into())) else { panic!() };
/// assert_eq!(result.error.as_deref(), Some("i/o timeout"));
/// ```
pub fn reply(call: &Call, response: &Response<Bytes>) -> Result<Reply, RequestError> {
    reply_without(&[], call, response)
}

/// Reads an answer; errors do not repeat these secrets.
pub(super) fn reply_without(
    secrets: &[&str],
    call: &Call,
    response: &Response<Bytes>,
) -> Result<Reply, RequestError> {
    if !response.status().is_success() {
        return Err(RequestError::of(response, secrets));
    }
    let body = response.body();
    let undecodable = |error| RequestError::undecodable(error, body, secrets);
    match call {
        Call::List => Ok(Reply::List(List::of(decode(body).map_err(undecodable)?))),
        Call::Create(_) | Call::Get(_) | Call::Patch(..) | Call::Put(..) => {
            let instance: Box<Instance> = decode(body).map_err(undecodable)?;
            Ok(Reply::Instance { ignored: Ignored::find(call, &instance, None, None), instance })
        }
        // Masters send nothing; what others may send matters only if it says no.
        Call::Delete(_) => match decode::<serde::de::IgnoredAny>(body) {
            Err(error @ crate::wire::DecodeError::Failure) => Err(undecodable(error)),
            _ => Ok(Reply::Deleted),
        },
        Call::Info | Call::SetMasterAlias(_) => Ok(Reply::Info(decode(body).map_err(undecodable)?)),
        Call::Tcping(_) => Ok(Reply::Tcping(decode(body).map_err(undecodable)?)),
        Call::OpenApi | Call::Docs => Ok(Reply::Document(body.clone())),
        Call::RotateKey => {
            let record: Instance = decode(body).map_err(undecodable)?;
            Ok(Reply::Key(Secret::new(record.url)))
        }
    }
}

impl List {
    /// Sorts out the key record.
    fn of(mut all: Vec<Instance>) -> Self {
        let at = all.iter().position(|instance| instance.id.is_key_record());
        let key_record = at.map(|at| Box::new(all.remove(at)));
        all.retain(|instance| !instance.id.is_key_record());
        Self { instances: all, key_record }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(list) => write!(f, "List({} instances)", list.instances.len()),
            Self::Instance { instance, ignored } => {
                instance.fmt(f)?;
                if ignored.is_empty() { Ok(()) } else { write!(f, " ignored {ignored:?}") }
            }
            Self::Deleted => f.write_str("Deleted"),
            Self::Info(_) => f.write_str("Info"),
            Self::Tcping(result) => write!(f, "Tcping(connected {})", result.connected),
            Self::Document(bytes) => write!(f, "Document({} bytes)", bytes.len()),
            Self::Key(_) => f.write_str("Key(…)"),
        }
    }
}
