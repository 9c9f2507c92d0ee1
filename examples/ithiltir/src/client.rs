//! The HTTP client under the node's machines: no redirect is followed, no URL rewritten, no more of an answer read
//! than the machine looks at. What went wrong is mapped to the kinds that the machines know.

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use ithiltir_proto::{CertificateProblem, Delivery, Failure, FailureKind};
use rustls::{CertificateError, RootCertStore};
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest head of an answer, in bytes. As much is read at once: of endless interim answers so little that time goes on.
const HEAD_LIMIT: usize = 16 << 10;

/// An HTTP client; clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    roots: Arc<RootCertStore>,
    traffic: Arc<Traffic>,
}

/// What went over a client's connections.
#[derive(Debug, Default)]
pub struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
    latency: AtomicU64,
}

impl Traffic {
    /// Returns the requests sent, the answers received, and how long the last answer took.
    #[must_use]
    pub fn figures(&self) -> (u64, u64, Duration) {
        let figure = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (figure(&self.sent), figure(&self.received), Duration::from_micros(figure(&self.latency)))
    }

    fn answered(&self, since: Instant) {
        let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.latency.store(micros, Ordering::Relaxed);
        self.received.fetch_add(1, Ordering::Relaxed);
    }
}

impl Client {
    /// Returns a client that trusts the system's certificate authorities.
    #[must_use]
    pub fn new() -> Self {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a certificate authority of the system could not be read");
        }
        roots.add_parsable_certificates(found.certs);
        Self::with_roots(roots)
    }

    /// Returns a client that trusts nobody: every `https` peer is refused.
    #[must_use]
    pub fn trusting_nobody() -> Self {
        Self::with_roots(RootCertStore::empty())
    }

    /// Returns a client that trusts these certificate authorities.
    #[must_use]
    pub fn with_roots(roots: RootCertStore) -> Self {
        let roots = Arc::new(roots);
        let tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider knows the default versions")
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let inner = HyperClient::builder(TokioExecutor::new())
            .http1_read_buf_exact_size(HEAD_LIMIT)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(90))
            .build(connector);
        Self { inner, roots, traffic: Arc::default() }
    }

    /// Returns the certificate authorities that the client trusts.
    #[must_use]
    pub fn roots(&self) -> Arc<RootCertStore> {
        self.roots.clone()
    }

    /// Returns what went over the connections.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Sends a request and reads at most `limit` bytes of the answer; the rest is not read.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn exchange(&self, request: Request<Bytes>, limit: usize) -> Result<Response<Bytes>, Failure> {
        let since = Instant::now();
        let (head, mut body) = self.open(request).await?.into_parts();
        let mut taken = BytesMut::new();
        while taken.len() < limit {
            match body.frame().await {
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    taken.extend_from_slice(&data[..data.len().min(limit - taken.len())]);
                }
                Some(Err(error)) => return Err(Failure::new(Delivery::Perhaps, classify(&error))),
                None => break,
            }
        }
        self.traffic.answered(since);
        Ok(Response::from_parts(head, taken.freeze()))
    }

    /// Sends a request and returns the answer with its body still to be read.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn open(&self, request: Request<Bytes>) -> Result<Response<Incoming>, Failure> {
        self.traffic.sent.fetch_add(1, Ordering::Relaxed);
        self.inner.request(request.map(Full::new)).await.map_err(|error| {
            tracing::debug!(error = &error as &dyn Error, "no answer");
            let delivery = if error.is_connect() { Delivery::No } else { Delivery::Perhaps };
            Failure::new(delivery, classify(&error))
        })
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

/// The one cryptography provider of the programs.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Finds out what an error means by looking at its causes.
pub(crate) fn classify(error: &(dyn Error + 'static)) -> FailureKind {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(kind) = classify_one(error) {
            return kind;
        }
        cause = error.source();
    }
    FailureKind::Other
}

fn classify_one(error: &(dyn Error + 'static)) -> Option<FailureKind> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(classify_tls(tls));
    }
    if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message) {
        return Some(FailureKind::ConnectionLost);
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // An error inside an io::Error is not among its sources.
        if let Some(kind) = error.get_ref().and_then(|inner| classify_one(inner)) {
            return Some(kind);
        }
        return match error.kind() {
            io::ErrorKind::ConnectionRefused => Some(FailureKind::Refused),
            io::ErrorKind::TimedOut => Some(FailureKind::TimedOut),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Some(FailureKind::ConnectionLost),
            _ => None,
        };
    }
    // The connector's error for a failed look-up has no type of its own.
    error.to_string().starts_with("dns error").then_some(FailureKind::NameResolution)
}

fn classify_tls(error: &rustls::Error) -> FailureKind {
    match error {
        rustls::Error::InvalidCertificate(error) => FailureKind::Certificate(match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                CertificateProblem::Expired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                CertificateProblem::NotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                CertificateProblem::NameMismatch
            }
            // A known authority's name over another key is as unknown as another name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                CertificateProblem::UnknownAuthority
            }
            _ => CertificateProblem::Other,
        }),
        rustls::Error::InvalidMessage(_) => FailureKind::PlainHttp,
        _ => FailureKind::Tls,
    }
}

/// Returns bytes that nobody can guess.
///
/// # Errors
/// The system has none to give.
pub fn entropy() -> Result<[u8; 16], String> {
    let mut bytes = [0; 16];
    let filled = provider().secure_random.fill(&mut bytes);
    filled.map(|()| bytes).map_err(|_| "the system gave no random bytes".to_owned())
}
