//! The HTTP client under the machine: HTTP/1.1, over TLS also HTTP/2. It follows no redirect, and reads no more of an answer
//! than the machine looks at.
//!
//! | what happens | what the machine is told |
//! |---|---|
//! | nobody listens, or there is no way to the host | [`FailureKind::Refused`] |
//! | the host name has no address | [`FailureKind::NameResolution`] |
//! | the system gives up | [`FailureKind::TimedOut`] |
//! | the answer to a TLS handshake is none | [`FailureKind::PlainHttp`] |
//! | nobody who is trusted vouches for the certificate | [`FailureKind::Certificate`] |
//! | TLS does not come about otherwise | [`FailureKind::Tls`] |
//! | the connection ends before the answer does | [`FailureKind::ConnectionLost`] |

use crate::tls::Trust;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use nodepass_api::client::{Delivery, Failure, FailureKind};
pub use program::client::Traffic;
use program::client::{self, Client, NoAnswer, Problem};

/// An HTTP client; clones share their connections.
#[derive(Clone)]
pub struct Connector(Client);

impl Connector {
    /// Returns a client that trusts these.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Self(Client::new(trust))
    }

    /// Returns what went over the connections.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        self.0.traffic()
    }

    /// Sends a request and reads at most `limit` bytes of the answer; the rest is not read.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn exchange(&self, request: Request<Bytes>, limit: usize) -> Result<Response<Bytes>, Failure> {
        self.0.exchange(request, limit).await.map_err(failure)
    }

    /// Sends a request and returns the answer with its body still to be read.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn open(&self, request: Request<Bytes>) -> Result<Response<Incoming>, Failure> {
        self.0.open(request).await.map_err(failure)
    }
}

/// Returns the next piece of a body; `None` at its end.
pub(crate) async fn piece(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    client::piece(body).await.map_err(failure)
}

fn failure(NoAnswer { is_written, problem }: NoAnswer) -> Failure {
    let delivered = if is_written { Delivery::Perhaps } else { Delivery::No };
    let kind = match problem {
        Problem::Refused | Problem::Unreachable => FailureKind::Refused,
        Problem::NameResolution => FailureKind::NameResolution,
        Problem::TimedOut => FailureKind::TimedOut,
        Problem::PlainHttp => FailureKind::PlainHttp,
        Problem::Certificate(_) => FailureKind::Certificate,
        Problem::Tls => FailureKind::Tls,
        Problem::ConnectionLost => FailureKind::ConnectionLost,
        _ => FailureKind::Other,
    };
    Failure::new(delivered, kind)
}
