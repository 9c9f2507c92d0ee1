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

use crate::tls::{self, Trust};
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use nodepass_api::client::{Delivery, Failure, FailureKind};
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a connection may be unused before it is closed, and before it is asked whether it is still alive.
const IDLE: Duration = Duration::from_secs(60);
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The longest head of an answer, in bytes. As much is read at once: of endless interim answers so little that time goes on.
const HEAD_LIMIT: usize = 16 << 10;

/// An HTTP client; clones share their connections.
#[derive(Clone)]
pub struct Connector {
    inner: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
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
    /// Returns the requests sent, the answers and pieces of streams received, and how long the last answer took.
    #[must_use]
    pub fn figures(&self) -> (u64, u64, Duration) {
        let figure = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (figure(&self.sent), figure(&self.received), Duration::from_micros(figure(&self.latency)))
    }

    pub(crate) fn count_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    fn answered(&self, since: Instant) {
        let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.latency.store(micros, Ordering::Relaxed);
        self.count_received();
    }
}

impl Connector {
    /// Returns a client that trusts these.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_keepalive(Some(IDLE));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client(trust))
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(connector);
        let inner = HyperClient::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .http1_read_buf_exact_size(HEAD_LIMIT)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .build(connector);
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
    pub async fn exchange(&self, request: Request<Bytes>, limit: usize) -> Result<Response<Bytes>, Failure> {
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
    pub async fn open(&self, request: Request<Bytes>) -> Result<Response<Incoming>, Failure> {
        self.traffic.sent.fetch_add(1, Ordering::Relaxed);
        self.inner.request(request.map(Full::new)).await.map_err(|error| {
            tracing::debug!(error = &error as &dyn Error, "no answer");
            let delivery = if error.is_connect() { Delivery::No } else { Delivery::Perhaps };
            Failure::new(delivery, classify(&error))
        })
    }
}

/// Returns the next piece of a body; `None` at its end.
pub(crate) async fn piece(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    match body.frame().await {
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(error)) => Err(Failure::new(Delivery::Perhaps, classify(&error))),
        None => Ok(None),
    }
}

/// Finds out what an error means by looking at its causes.
fn classify(error: &(dyn Error + 'static)) -> FailureKind {
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
    if is_hyper { FailureKind::ConnectionLost } else { FailureKind::Other }
}

fn classify_one(error: &(dyn Error + 'static)) -> Option<FailureKind> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(match tls {
            rustls::Error::InvalidCertificate(_) => FailureKind::Certificate,
            rustls::Error::InvalidMessage(_) => FailureKind::PlainHttp,
            _ => FailureKind::Tls,
        });
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // An error inside an io::Error is not among its sources.
        if let Some(kind) = error.get_ref().and_then(|inner| classify_one(inner)) {
            return Some(kind);
        }
        return match error.kind() {
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => Some(FailureKind::Refused),
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
