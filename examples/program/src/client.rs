//! An HTTP client: HTTP/1.1, over TLS also HTTP/2. It follows no redirect, and reads no more of an answer than it is told to.

use crate::tls::{self, Trust};
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client as HyperClient};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::CertificateError;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a connection may be unused before it is closed, before it is asked whether it is still alive, and until it says so.
const IDLE: Duration = Duration::from_secs(60);
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The longest head of an answer, in bytes. As much is read at once: of endless interim answers so little that time goes on.
const HEAD_LIMIT: usize = 16 << 10;

/// An HTTP client; clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    traffic: Arc<Traffic>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer {
    /// Whether the request, or a part of it, may have been written.
    pub is_written: bool,
    /// What happened.
    pub problem: Problem,
}

/// What may happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Nobody listens there.
    Refused,
    /// There is no way to the host.
    Unreachable,
    /// The host name has no address.
    NameResolution,
    /// The system gave up.
    TimedOut,
    /// The answer to a TLS handshake is none.
    PlainHttp,
    /// The certificate is not one to be trusted.
    Certificate(CertificateProblem),
    /// TLS does not come about otherwise.
    Tls,
    /// The connection ends before the answer does.
    ConnectionLost,
    /// Anything else.
    Other,
}

/// Why a certificate is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is for another host.
    NameMismatch,
    /// Nobody who is trusted vouches for it.
    UnknownAuthority,
    /// Anything else.
    Other,
}

/// What went over a client's connections.
#[derive(Debug, Default)]
pub struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
    latency: AtomicU64,
}

impl Traffic {
    /// Returns the requests sent, the answers and pieces of streams received, and how long the last answer took.
    #[must_use]
    pub fn figures(&self) -> (u64, u64, Duration) {
        let figure = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (figure(&self.sent), figure(&self.received), Duration::from_micros(figure(&self.latency)))
    }

    /// Counts something received.
    pub fn count_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer to what was sent then.
    pub fn answered(&self, since: Instant) {
        let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.latency.store(micros, Ordering::Relaxed);
        self.count_received();
    }
}

impl Client {
    /// Returns a client that trusts these. It speaks HTTP/1.1, over TLS also HTTP/2.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client(trust))
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(sockets());
        Self { inner: builder().build(connector), traffic: Arc::default() }
    }

    /// Returns a client that trusts these and speaks HTTP/1.1 only.
    #[must_use]
    pub fn http1(trust: Trust) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client(trust))
            .https_or_http()
            .enable_http1()
            .wrap_connector(sockets());
        Self { inner: builder().build(connector), traffic: Arc::default() }
    }

    /// Returns a client that trusts these and speaks HTTP/2 only, as gRPC does, over one connection a host.
    #[must_use]
    pub fn http2(trust: Trust) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client(trust))
            .https_or_http()
            .enable_http2()
            .wrap_connector(sockets());
        let inner = builder().http2_only(true).http2_adaptive_window(true).build(connector);
        Self { inner, traffic: Arc::default() }
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
    pub async fn exchange(&self, request: Request<Bytes>, limit: usize) -> Result<Response<Bytes>, NoAnswer> {
        let since = Instant::now();
        let (head, mut body) = self.open(request).await?.into_parts();
        let mut taken = BytesMut::new();
        while taken.len() < limit
            && let Some(data) = piece(&mut body).await?
        {
            taken.extend_from_slice(&data[..data.len().min(limit - taken.len())]);
        }
        self.traffic.answered(since);
        Ok(Response::from_parts(head, taken.freeze()))
    }

    /// Sends a request and returns the answer with its body still to be read.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn open(&self, request: Request<Bytes>) -> Result<Response<Incoming>, NoAnswer> {
        self.traffic.sent.fetch_add(1, Ordering::Relaxed);
        self.inner.request(request.map(Full::new)).await.map_err(|error| {
            tracing::debug!(error = &error as &dyn Error, "no answer");
            NoAnswer { is_written: !error.is_connect(), problem: classify(&error) }
        })
    }
}

/// Returns the next piece of a body; `None` at its end.
///
/// # Errors
/// Why there is no more.
pub async fn piece(body: &mut Incoming) -> Result<Option<Bytes>, NoAnswer> {
    match body.frame().await {
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(error)) => Err(NoAnswer { is_written: true, problem: classify(&error) }),
        None => Ok(None),
    }
}

fn sockets() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(IDLE));
    connector
}

fn builder() -> Builder {
    let mut builder = HyperClient::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .http1_read_buf_exact_size(HEAD_LIMIT)
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .http2_keep_alive_timeout(KEEP_ALIVE);
    builder
}

/// Finds out what an error means by looking at its causes.
#[must_use]
pub fn classify(error: &(dyn Error + 'static)) -> Problem {
    let mut cause = Some(error);
    let mut is_hyper = false;
    while let Some(error) = cause {
        if let Some(kind) = classify_one(error) {
            return kind;
        }
        is_hyper |= error.is::<hyper::Error>();
        cause = error.source();
    }
    // Whatever goes wrong on a connection that there was, it is not there any more.
    if is_hyper { Problem::ConnectionLost } else { Problem::Other }
}

fn classify_one(error: &(dyn Error + 'static)) -> Option<Problem> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(match tls {
            rustls::Error::InvalidCertificate(error) => Problem::Certificate(classify_certificate(error)),
            rustls::Error::InvalidMessage(_) => Problem::PlainHttp,
            _ => Problem::Tls,
        });
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // An error inside an io::Error is not among its sources.
        if let Some(kind) = error.get_ref().and_then(|inner| classify_one(inner)) {
            return Some(kind);
        }
        return match error.kind() {
            io::ErrorKind::ConnectionRefused => Some(Problem::Refused),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Some(Problem::Unreachable),
            io::ErrorKind::TimedOut => Some(Problem::TimedOut),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Some(Problem::ConnectionLost),
            _ => None,
        };
    }
    // The connector's error for a failed look-up has no type of its own.
    error.to_string().starts_with("dns error").then_some(Problem::NameResolution)
}

fn classify_certificate(error: &CertificateError) -> CertificateProblem {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateProblem::Expired,
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
    }
}
