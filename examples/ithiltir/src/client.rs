//! The HTTP client under the node's machines: no redirect is followed, no URL rewritten, no more of an answer read
//! than the machine looks at. What went wrong is mapped to the kinds that the machines know.

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use ithiltir_proto::{CertificateProblem, Delivery, Failure, FailureKind};
use program::client::{self, NoAnswer, Problem, Traffic};
use program::tls::{self, Trust};
use rustls::RootCertStore;
use std::sync::Arc;

/// An HTTP client; clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: client::Client,
    roots: Arc<RootCertStore>,
}

impl Client {
    /// Returns a client that trusts the system's certificate authorities.
    #[must_use]
    pub fn new() -> Self {
        Self::with_roots(tls::system_authorities())
    }

    /// Returns a client that trusts nobody: every `https` peer is refused.
    #[must_use]
    pub fn trusting_nobody() -> Self {
        Self::with_roots(RootCertStore::empty())
    }

    /// Returns a client that trusts these certificate authorities.
    #[must_use]
    pub fn with_roots(roots: RootCertStore) -> Self {
        let inner = client::Client::http1(Trust::Authorities(roots.clone()));
        Self { inner, roots: Arc::new(roots) }
    }

    /// Returns the certificate authorities that the client trusts.
    #[must_use]
    pub fn roots(&self) -> Arc<RootCertStore> {
        self.roots.clone()
    }

    /// Returns what went over the connections.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        self.inner.traffic()
    }

    /// Sends a request and reads at most `limit` bytes of the answer; the rest is not read.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn exchange(&self, request: Request<Bytes>, limit: usize) -> Result<Response<Bytes>, Failure> {
        self.inner.exchange(request, limit).await.map_err(failure)
    }

    /// Sends a request and returns the answer with its body still to be read.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn open(&self, request: Request<Bytes>) -> Result<Response<Incoming>, Failure> {
        self.inner.open(request).await.map_err(failure)
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

/// Says it in the words of the machines.
pub(crate) fn failure(no_answer: NoAnswer) -> Failure {
    let delivery = if no_answer.is_written { Delivery::Perhaps } else { Delivery::No };
    Failure::new(delivery, kind(no_answer.problem))
}

fn kind(problem: Problem) -> FailureKind {
    match problem {
        Problem::Refused => FailureKind::Refused,
        Problem::NameResolution => FailureKind::NameResolution,
        Problem::TimedOut => FailureKind::TimedOut,
        Problem::PlainHttp => FailureKind::PlainHttp,
        Problem::Certificate(problem) => FailureKind::Certificate(certificate(problem)),
        Problem::Tls => FailureKind::Tls,
        Problem::ConnectionLost => FailureKind::ConnectionLost,
        _ => FailureKind::Other,
    }
}

fn certificate(problem: client::CertificateProblem) -> CertificateProblem {
    match problem {
        client::CertificateProblem::Expired => CertificateProblem::Expired,
        client::CertificateProblem::NotYetValid => CertificateProblem::NotYetValid,
        client::CertificateProblem::NameMismatch => CertificateProblem::NameMismatch,
        client::CertificateProblem::UnknownAuthority => CertificateProblem::UnknownAuthority,
        _ => CertificateProblem::Other,
    }
}

/// Returns bytes that nobody can guess.
///
/// # Errors
/// The system has none to give.
pub fn entropy() -> Result<[u8; 16], String> {
    let mut bytes = [0; 16];
    let filled = tls::provider().secure_random.fill(&mut bytes);
    filled.map(|()| bytes).map_err(|_| "the system gave no random bytes".to_owned())
}
